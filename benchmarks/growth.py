"""How the cost of a draw, of a training step, of the tests and of the site grows.

Usage: ``make bench-growth`` or ``python benchmarks/growth.py [WORD ...]``, after ``make book``, on
an idle machine; with words, only the curves whose names have one of them. What is measured is
written into ``benchmarks/results.json``, beside the rows of ``peers.py``, and `make notebooks`
and `make lists` take the figure and the text of ``pages/speed.md`` from there.
"""

from __future__ import annotations

import math
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import peers

ROOT = Path(__file__).resolve().parents[1]
POINT = 3.0  # seconds
Series = Iterator[tuple[float, dict[str, float]]]


def draws() -> Series:
    """Yield sizes in weights, and the milliseconds of one draw of a truncated normal."""
    for power in range(10, 26, 2):
        shape = (2 ** (power // 2),) * 2
        named = dict(peers.truncated("HeNormal", "he_normal", 2 / shape[0], shape))
        named.pop(peers.BITS)
        found = peers.measure(named, POINT)
        yield math.prod(shape), {name: 1e3 * taken for name, taken in found.items()}


def steps(sizes: list[tuple[int, tuple[int, ...], int | None]]) -> Series:
    """Yield a size, and the milliseconds of one step of SGD of a net that has it."""
    for size, widths, replicas in sizes:
        found = peers.measure(dict(peers.steps(widths, replicas)), POINT)
        yield size, {name: 1e3 * taken for name, taken in found.items()}


def suite() -> Series:
    """Yield how many chapters are run, and the seconds that this takes on one core; print each's.

    It is a reader's "run all". The course promises 20 seconds, and 30 for chapters 1 and 7.
    """
    if hasattr(os, "sched_setaffinity"):  # for the kernels too
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    total = 0.0
    for count, path in enumerate(sorted((ROOT / "chapters").glob("*.ipynb")), start=1):
        command = [sys.executable, "-m", "website.tools.notebooks", "--check", str(path)]
        said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        if said.returncode:
            sys.exit(f"{path.name} does not run as stored:\n{said.stderr}")
        seconds = float(re.search(r": ([\d.]+) s,", said.stdout).group(1))  # of the kernel
        print(f"  {path.stem:40}{seconds:6.1f} s", flush=True)
        total += seconds
        yield count, {"all cells, one after the other": total}


def site() -> Series:
    """Yield how many chapters the site has, and the megabytes of its pages with their pictures."""
    built = ROOT / "_build/html"
    if not (built / "chapters").is_dir():
        sys.exit("There is no site: run `make book` first")
    others = [
        p for p in built.rglob("*") if p.is_file() and p.relative_to(built).parts[0] != "lite"
    ]
    sizes = {path: path.stat().st_size / 1e6 for path in others}
    chapters = sorted(path.stem for path in built.glob("chapters/*.html"))
    own = {c: sum(size for path, size in sizes.items() if c in path.name) for c in chapters}
    rest = sum(sizes.values()) - sum(own.values())
    yield 0, {"megabytes": rest}
    for count in range(1, len(chapters) + 1):
        yield count, {"megabytes": rest + sum(list(own.values())[:count])}


CURVES: dict[str, tuple[str, str, Callable[[], Series]]] = {
    "One draw (He, truncated, float32)": ("weights", "ms", draws),
    "One step against width": (
        *("units in each of 3 layers", "ms"),
        lambda: steps([(n, (64, n, n, n, 10), None) for n in (16, 32, 64, 128, 256, 512)]),
    ),
    "One step against depth": (
        *("hidden layers of 64 units", "ms"),
        lambda: steps([(n, (64, *[64] * n, 10), None) for n in (1, 2, 4, 8, 16, 32)]),
    ),
    "One step against replicas": (
        *("nets of 5 × 50 units", "ms"),
        lambda: steps([(n, (100, *[50] * 5, 10), n) for n in (1, 2, 4, 8, 16, 32, 64)]),
    ),
    "All chapters on one core": ("chapters", "s", suite),
    "The site, without the kernel": ("chapters", "MB", site),
}


def main(words: list[str]) -> None:
    """Measure the curves whose names have one of the words, print and store them."""
    here = peers.circumstances()
    for name, (of, unit, measure) in CURVES.items():
        if words and not any(word.lower() in name.lower() for word in words):
            continue
        print(f"{name} ({unit})")
        at, series = [], {}
        for size, found in measure():
            told = ", ".join(f"{peer} {value:.3g}" for peer, value in found.items())
            print(f"  {size:>10g} {of}: {told}", flush=True)
            at.append(size)
            for peer, value in found.items():
                series.setdefault(peer, []).append(float(f"{value:.3g}"))
        curve = {"name": name, "of": of, "unit": unit, "at": at, "series": series} | here
        peers.store("growth", [curve], list(CURVES))


if __name__ == "__main__":
    main(sys.argv[1:])
