"""How the cost of a draw, of a training step, of the tests and of the site grows.

Usage: ``make bench-growth`` or ``python benchmarks/growth.py [WORD ...]``, after ``make book``, on
an idle machine; with words, only the curves whose names have one of them. What is measured is
written into ``benchmarks/results.json``, beside the rows of ``peers.py``, and `make notebooks`
and `make lists` take the figure and the text of ``pages/speed.md`` from there.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator

import common
import peers

from website.tools import notebooks

POINT = 3.0  # seconds
Series = Iterator[tuple[float, dict[str, float]]]


def timed(works: dict[int, peers.Peers]) -> Series:
    """Yield a size, and the milliseconds of the work of that size."""
    for size, work in works.items():
        found = dict(work)
        found.pop(peers.BITS, None)
        yield size, peers.measure(found, POINT)


def suite() -> Series:
    """Yield how many chapters are run, and the seconds that this takes on one core; print each's.

    It is a reader's "run all". The course promises 20 seconds, and 30 for chapters 1 and 7.
    """
    if hasattr(os, "sched_setaffinity"):  # for the kernels too
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    total = 0.0
    for count, path in enumerate(sorted(notebooks.ROOT.glob("chapters/*.ipynb")), start=1):
        began = time.monotonic()
        good, report = notebooks.run(path, check=True)
        if not good:
            sys.exit(report)
        print(f"  {path.stem:40}{time.monotonic() - began:6.1f} s", flush=True)
        total += time.monotonic() - began
        yield count, {"all cells, one after the other": total}


def site() -> Series:
    """Yield how many chapters the site has, and the megabytes of its pages with their pictures."""
    built = notebooks.ROOT / "_build/html"
    chapters = sorted(path.stem for path in built.glob("chapters/*.html"))
    if not chapters:
        sys.exit("There is no site: run `make book` first")
    files = [path for path in built.rglob("*") if path.is_file()]
    rest = [path for path in files if built / "lite" not in path.parents]
    total, own = 0.0, []
    for chapter in chapters:
        own.append([path for path in rest if chapter in path.name])
        rest = [path for path in rest if chapter not in path.name]
    for count, paths in enumerate([rest, *own]):
        total += sum(path.stat().st_size for path in paths) / 1e6
        yield count, {"megabytes": total}


CURVES: dict[str, tuple[str, str, Series]] = {
    "One draw (He, truncated, float32)": (
        *("weights", "ms"),
        timed({4**k: peers.draws(peers.HE_NORMAL, (2**k, 2**k)) for k in range(5, 13)}),
    ),
    "One step against width": (
        *("units in each of 3 layers", "ms"),
        timed({n: peers.steps((64, n, n, n, 10)) for n in (16, 32, 64, 128, 256, 512)}),
    ),
    "One step against depth": (
        *("hidden layers of 64 units", "ms"),
        timed({n: peers.steps((64, *[64] * n, 10)) for n in (1, 2, 4, 8, 16, 32)}),
    ),
    "One step against replicas": (
        *("nets of 5 × 50 units", "ms"),
        timed({n: peers.steps(peers.CHAPTERS, n) for n in (1, 2, 4, 8, 16, 32, 64)}),
    ),
    "All chapters on one core": ("chapters", "s", suite()),
    "The site, without the kernel": ("chapters", "MB", site()),
}


def main(words: list[str]) -> None:
    """Measure the curves whose names have one of the words, print and store them."""
    for name in common.chosen(CURVES, words):
        of, unit, measured = CURVES[name]
        print(f"{name} ({unit})")
        at, series = [], {}
        for size, found in measured:
            told = ", ".join(f"{peer} {value:.3g}" for peer, value in found.items())
            print(f"  {size:>10g} {of}: {told}", flush=True)
            at.append(size)
            for peer, value in found.items():
                series.setdefault(peer, []).append(float(f"{value:.3g}"))
        curve = {"name": name, "of": of, "unit": unit, "at": at, "series": series}
        peers.store("growth", curve, CURVES)


if __name__ == "__main__":
    main(sys.argv[1:])
