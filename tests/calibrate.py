"""Judge `initcore.diagnose` by nets whose state is known (``make calibrate``).

Usage: ``python tests/calibrate.py [--half seen|unseen] [--kind WORDS] [--twins] [--train N]``

300 nets are healthy, 300 broken, each drawn from the number that it has within its kind. The
thresholds were chosen with the *seen* half before the eyes, those of even numbers; the *unseen*
half tells what they are worth. A healthy net with a fault or a watch is a false alarm, a broken
one with neither is missed. Where there is no PyTorch or Keras, their nets are left out, and what
the last run said of them is kept.

Without options the results are stored in ``tests/calibration.json``, and the tables of
``pages/calibration.md`` are written from there. ``--kind`` prints what was said, net by net, of
the kinds whose names have one of the words; ``--twins`` judges each fault's healthy twins instead;
``--train`` trains N nets of each kind and their twins for a few steps.
"""

from __future__ import annotations

import argparse
import datetime
import importlib
import importlib.util
import json
import math
import platform
import re
import sys
import time
import warnings
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from initcore import _files

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))
RESULTS, PAGE = ROOT / "tests/calibration.json", ROOT / "pages/calibration.md"
HALVES = ("seen", "unseen")
PARTS = re.compile(r"(<!-- calibration: (\w+) -->).*?<!-- end -->", re.DOTALL)
FAMILIES = {"calibration_nets": "numpy", "calibration_torch": "torch", "calibration_keras": "keras"}


class Kind(NamedTuple):
    """Nets of one kind."""

    name: str
    healthy: bool
    draw: Any
    count: int
    package: str

    def net(self, number: int, broken: bool = True) -> Any:
        """Draw a net by its number; of a fault's kind the twin, if it is not to be broken."""
        rng = np.random.default_rng([zlib.crc32(self.name.encode()), number])
        return self.draw(rng) if self.healthy else self.draw(rng, broken)


class Verdict(NamedTuple):
    """What was said of a net.

    `level` is that of the leading finding, "" without a fault or a watch; `is_code` and `is_layer`
    say whether its code and its layer are right, and None where there is nothing to be right.
    """

    level: str
    code: str
    layer: str | None
    is_code: bool | None = None
    is_layer: bool | None = None


def kinds() -> list[Kind]:
    """Return all kinds whose packages are installed."""
    found = []
    for module, package in FAMILIES.items():
        if importlib.util.find_spec(package):
            nets = importlib.import_module(module)
            for table, healthy in [(nets.HEALTHY, True), (nets.FAULTS, False)]:
                found += [Kind(name, healthy, *row, package) for name, row in table.items()]
    return found


def names_of(layer: Any, report: Any) -> tuple[Any, bool]:
    """Return the name of a layer given by its index, and whether only its beginning counts."""
    if isinstance(layer, int):
        with_weights = [one.name for one in report.looks[0].layers if one.weight is not None]
        return (with_weights[layer] if layer < len(with_weights) else None), False
    return layer, layer is not None


def is_among(layer: str | None, right: tuple, report: Any) -> bool:
    """Say whether a finding's layer is one of those that it may name."""
    for one in right:
        name, is_beginning = names_of(one, report)
        if layer == name or is_beginning and layer and name in layer:
            return True
    return False


def diagnosis(net: Any) -> Any:
    """Return the report on a net; nobody is to be bothered by warnings of what is broken."""
    from initcore import diagnose

    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        return diagnose(net.model, net.x, net.y, **net.options)


def judge(net: Any) -> Verdict:
    """Return what `diagnose` says of a net, beside what it should say."""
    try:
        report = diagnosis(net)
    except Exception as error:  # noqa: BLE001  # a diagnosis that fails is wrong, and counted so
        return Verdict("error", f"{type(error).__name__}: {error}"[:200], None, False, None)
    loud = [f for f in report.findings if f.level in ("fault", "watch")]
    if not loud:
        return Verdict("", "", None, None if not net.leading else False)
    first = loud[0]
    if not net.leading:
        return Verdict(first.level, first.code, first.layer)
    is_code, is_layer = first.code in net.leading, None
    if is_code and (right := net.leading[first.code]) is not ...:
        is_layer = is_among(first.layer, right, report)
    return Verdict(first.level, first.code, first.layer, is_code, is_layer)


def is_wrong(verdict: Verdict, healthy: bool) -> bool:
    """Say whether a healthy net was called ill, or a broken one not."""
    return bool(verdict.level) == healthy or verdict.level == "error"


# ---- tables ----------------------------------------------------------------------------------


def wilson(hits: int, count: int) -> tuple[float, float]:
    """Return the 95% interval of a share (Wilson 1927)."""
    if not count:
        return math.nan, math.nan
    z, share = 1.959964, hits / count
    middle = share + z * z / (2 * count)
    half = z * math.sqrt(share * (1 - share) / count + (z / (2 * count)) ** 2)
    low, high = ((middle + sign * half) / (1 + z * z / count) for sign in (-1, 1))
    return max(low, 0.0), min(high, 1.0)


def rate(hits: int, count: int) -> str:
    low, high = (100 * bound for bound in wilson(hits, count))
    share = 100 * hits / count if count else math.nan
    return f"{hits} of {count}: {share:.1f}% [{low:.1f}, {high:.1f}]"


def halves(verdicts: list) -> dict[str, list[Verdict]]:
    """Return the verdicts of a kind by their half: even numbers were seen."""
    return {half: [Verdict(*v) for v in verdicts[i::2]] for i, half in enumerate(HALVES)}


def counted(good: list[Verdict], bad: list[Verdict]) -> dict[str, tuple[int, int]]:
    """Return (hits, of how many) for each of the numbers that count."""
    layers = [v.is_layer for v in bad if v.is_layer is not None]
    return {
        "false alarms": (sum(is_wrong(v, True) for v in good), len(good)),
        "misses": (sum(is_wrong(v, False) for v in bad), len(bad)),
        "right leading code": (sum(bool(v.is_code) for v in bad), len(bad)),
        "right first layer": (sum(layers), len(layers)),
    }


TARGETS = {"false alarms": "≤ 2%", "misses": "≤ 5%", "right first layer": "≥ 90%"}


def overview(results: dict[str, Any]) -> Iterator[str]:
    yield f"| | {' | '.join(HALVES)} | target |"
    yield "|---" * (len(HALVES) + 2) + "|"
    by_half = []
    for half in HALVES:
        rows = [[*results[key].values()] for key in ("healthy", "broken")]
        by_half.append(counted(*([v for row in some for v in halves(row)[half]] for some in rows)))
    for name in by_half[0]:
        yield f"| {name} | {' | '.join(rate(*one[name]) for one in by_half)} | {TARGETS.get(name, '')} |"


def healthy_table(results: dict[str, Any]) -> Iterator[str]:
    yield "| healthy nets | count | false alarms: seen | unseen | which |"
    yield "|---" * 5 + "|"
    for name, row in results["healthy"].items():
        wrong = [sum(is_wrong(v, True) for v in one) for one in halves(row).values()]
        which = ", ".join(sorted({f"`{v[1]}`" for v in row if v[0]}))
        yield f"| {name} | {len(row)} | {wrong[0]} | {wrong[1]} | {which} |"


def broken_table(results: dict[str, Any]) -> Iterator[str]:
    yield "| broken nets | count | misses: seen | unseen | right code | right layer | leading codes |"
    yield "|---" * 7 + "|"
    for name, row in results["broken"].items():
        missed = [sum(is_wrong(v, False) for v in one) for one in halves(row).values()]
        verdicts = [Verdict(*v) for v in row]
        layers = [v.is_layer for v in verdicts if v.is_layer is not None]
        codes = [v.code for v in verdicts if v.level]
        said = ", ".join(f"`{c}` {codes.count(c)}" for c in dict.fromkeys(sorted(codes)))
        right = sum(bool(v.is_code) for v in verdicts)
        layer = f"{sum(layers)} of {len(layers)}" if layers else "–"
        yield f"| {name} | {len(row)} | {missed[0]} | {missed[1]} | {right} | {layer} | {said} |"


TABLES = {"overview": overview, "healthy": healthy_table, "broken": broken_table}


def page(results: dict[str, Any], text: str) -> str:
    """Return the page with the tables of these results."""

    def part(found: re.Match) -> str:
        lines = list(TABLES[found[2]](results))
        if found[2] == "overview":
            versions = ", ".join(f"{name} {value}" for name, value in results["versions"].items())
            lines += ["", f"Measured: {results['date']}, {versions}."]
        return "\n\n".join([found[1], "\n".join(lines), "<!-- end -->"])

    return PARTS.sub(part, text)


def stored() -> dict[str, Any]:
    return json.loads(RESULTS.read_text(encoding="utf-8"))


def as_text(results: dict[str, Any]) -> str:
    """Return the results as JSON, a kind a paragraph and a net a line."""
    parts = []
    for key, value in results.items():
        if key in ("healthy", "broken"):
            rows = [
                f"  {json.dumps(name, ensure_ascii=False)}: [\n   "
                + ",\n   ".join(json.dumps(v, ensure_ascii=False) for v in row)
                + "\n  ]"
                for name, row in value.items()
            ]
            value = "{\n" + ",\n".join(rows) + "\n }"
        else:
            value = json.dumps(value)
        parts.append(f" {json.dumps(key)}: {value}")
    return "{\n" + ",\n".join(parts) + "\n}\n"


# ---- the command -----------------------------------------------------------------------------


def judged(kind: Kind, numbers: range, twins: bool, told: bool) -> list[Verdict]:
    """Judge nets of a kind, or their healthy twins; print what is wrong, or all."""
    began, healthy, verdicts = time.process_time(), kind.healthy or twins, []
    for number in numbers:
        net = kind.net(number, broken=not twins)
        right, net.leading = net.leading, {} if healthy else net.leading
        verdict = judge(net)
        wrong = is_wrong(verdict, healthy) or verdict.is_code is False or verdict.is_layer is False
        if told or wrong:
            said = f"{verdict.level} {verdict.code} at {verdict.layer}" if verdict.level else "–"
            print(f"  {number:2}  {said}{'' if healthy else f'; right: {right}'}", flush=True)
        verdicts.append(verdict)
    wrong, seconds = sum(is_wrong(v, healthy) for v in verdicts), time.process_time() - began
    print(f"{kind.name}: {wrong} of {len(verdicts)} wrong; {seconds:.1f} s", flush=True)
    return verdicts


def tell_training(chosen: list[Kind], count: int) -> None:
    """Print what a few steps make of some nets of each kind, and of their twins."""
    import calibration_training as training

    for kind in chosen:
        if kind.package != "keras":
            rows = [training.compared(kind, number) for number in range(count)]
            print(f"{kind.name}: {'; '.join(rows)}", flush=True)


def circumstances() -> dict[str, Any]:
    versions = {"Python": platform.python_version(), "NumPy": np.__version__}
    for name, module in (("PyTorch", "torch"), ("Keras", "keras")):
        if module in sys.modules:
            versions[name] = sys.modules[module].__version__
    return {"date": datetime.date.today().isoformat(), "versions": versions}


def store(found: dict[str, dict[str, list[Verdict]]]) -> None:
    """Write the results, and the page; of a kind that was left out the old ones are kept."""
    old = stored() if RESULTS.exists() else {"healthy": {}, "broken": {}, "versions": {}}
    new = circumstances()
    new["versions"] = old["versions"] | new["versions"]
    new |= {key: old[key] | found[key] for key in ("healthy", "broken")}
    left_out = sum(len(row) for key in found for name, row in old[key].items() if name not in found[key])
    if left_out:
        print(f"{left_out} nets of PyTorch or Keras, which is not installed, were left out")
    _files.write(RESULTS, as_text(new))
    _files.write(PAGE, page(stored(), PAGE.read_text(encoding="utf-8")))


def parsed(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--half", choices=HALVES)
    parser.add_argument("--kind", nargs="+", default=[], metavar="WORD")
    parser.add_argument("--twins", action="store_true", help="judge the healthy twins of the faults")
    parser.add_argument("--train", type=int, metavar="N", help="train N nets of each kind")
    return parser.parse_args(arguments)


def main(arguments: list[str]) -> None:
    options = parsed(arguments)
    words, half, twins = options.kind, options.half, options.twins
    chosen = [kind for kind in kinds() if not words or any(word in kind.name for word in words)]
    if options.train:
        return tell_training(chosen, options.train)
    found: dict[str, dict] = {"healthy": {}, "broken": {}}
    for kind in chosen:
        if twins and kind.healthy:
            continue
        numbers = range(HALVES.index(half) if half else 0, kind.count, 2 if half else 1)
        verdicts = judged(kind, numbers, twins, bool(words))
        found["healthy" if kind.healthy or twins else "broken"][kind.name] = verdicts
    good, bad = ([v for row in rows.values() for v in row] for rows in found.values())
    for name, numbers in counted(good, bad).items():
        if numbers[1]:
            print(f"{name}: {rate(*numbers)}")
    if not (words or half or twins):
        store(found)
    return None


if __name__ == "__main__":
    main(sys.argv[1:])
