"""Judge `initcore.diagnose` by nets whose state is known (``make calibrate``).

Usage: ``python tests/calibrate.py [--half seen|unseen] [--kind WORD ...] [--twins] [--train N]``

300 nets are healthy and 300 broken; a net is drawn from its number within its kind. The thresholds
were chosen with the *seen* half in view, the even numbers; the *unseen* half says what they are
worth. A healthy net with a fault or a watch is a false alarm, a broken one with neither is missed.
A few more deviate in a way that costs little: these are to be named, be it by a note.

Without options the verdicts are stored in ``tests/calibration.json``, and the tables of
``pages/calibration.md`` are written from there. Where there is no PyTorch or Keras, their nets are
left out, and what is stored of them is kept. ``--kind`` judges the kinds whose names have one of
the words, and prints each net; ``--twins`` judges the healthy twins of the faults; ``--train``
trains N nets of each kind for a few steps, those with a fault beside their twins.
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
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from initcore import _files, diagnose

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))
RESULTS, PAGE = ROOT / "tests/calibration.json", ROOT / "pages/calibration.md"
HALVES = ("seen", "unseen")
STATES = ("healthy", "broken", "named")
PACKAGES = {"numpy": "calibration_nets", "torch": "calibration_torch", "keras": "calibration_keras"}
TARGETS = {"false alarms": "≤ 2%", "misses": "≤ 5%", "right first layer": "≥ 90%"}
PARTS = re.compile(r"(<!-- calibration: (\w+) -->).*?<!-- end -->", re.DOTALL)


class Kind(NamedTuple):
    """Nets of one kind; `state` is one of `STATES`."""

    name: str
    state: str
    draw: Callable
    count: int
    package: str

    def net(self, number: int, broken: bool = True) -> Any:
        """Draw a net by its number; of a kind with a fault its twin, if it is not to be broken."""
        rng = np.random.default_rng([zlib.crc32(self.name.encode()), number])
        return self.draw(rng) if self.state == "healthy" else self.draw(rng, broken)


class Verdict(NamedTuple):
    """The leading finding of a net: its level, code and layer, "" and None where there is none.

    `is_code` and `is_layer` say whether its code and its layer are right; None where there is
    nothing that they could be compared with.
    """

    level: str = ""
    code: str = ""
    layer: str | None = None
    is_code: bool | None = None
    is_layer: bool | None = None

    @property
    def is_alarm(self) -> bool:
        return self.level in ("fault", "watch")

    def is_wrong(self, state: str) -> bool:
        """Say whether a healthy net was called ill, a broken one not, or a deviation not named."""
        return {"healthy": self.is_alarm, "broken": not self.is_alarm, "named": not self.is_code}[
            state
        ] or self.level == "error"


def kinds() -> list[Kind]:
    """Return all kinds whose packages are installed."""
    found = []
    for package, module in PACKAGES.items():
        if importlib.util.find_spec(package):
            nets = importlib.import_module(module)
            for state in STATES:
                rows = getattr(nets, state.upper()).items()
                found += [Kind(name, state, *row, package) for name, row in rows]
    return found


# ---- verdicts ----------------------------------------------------------------------------------


def report_on(net: Any) -> Any:
    """Return what `diagnose` says; the frameworks may warn of what is broken."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        return diagnose(net.model, net.x, net.y, **net.options)


def is_right_layer(layer: str | None, right: tuple, report: Any) -> bool:
    """Say whether a layer is one of those that may be named: see `calibration_nets.Net`."""
    with_weights = [one.name for one in report.looks[0].layers if one.weight is not None]
    for one in right:
        if isinstance(one, int):
            if one < len(with_weights) and layer == with_weights[one]:
                return True
        elif layer == one or (layer and one and layer.startswith(one)):
            return True
    return False


def judge(net: Any, state: str) -> Verdict:
    """Return what `diagnose` says of a net, beside what it should say."""
    try:
        report = report_on(net)
    except Exception as error:  # noqa: BLE001  # a diagnosis that fails is a wrong one
        return Verdict("error", f"{type(error).__name__}: {error}"[:200], None, False)
    levels = ("fault", "watch", "note") if state == "named" else ("fault", "watch")
    loud = [finding for finding in report.findings if finding.level in levels]
    if not loud:
        return Verdict(is_code=None if state == "healthy" else False)
    level, code, layer = loud[0].level, loud[0].code, loud[0].layer
    if state == "healthy":
        return Verdict(level, code, layer)
    if code not in net.leading:
        return Verdict(level, code, layer, False)
    right = net.leading[code]
    is_layer = None if right is ... else is_right_layer(layer, right, report)
    return Verdict(level, code, layer, True, is_layer)


def judged(kind: Kind, numbers: range, twins: bool, told: bool) -> list[Verdict]:
    """Judge nets of a kind, or their healthy twins; print those that are misjudged, or all."""
    began, state, verdicts = time.process_time(), "healthy" if twins else kind.state, []
    for number in numbers:
        net = kind.net(number, broken=not twins)
        verdict = judge(net, state)
        verdicts.append(verdict)
        if told or verdict.is_wrong(state) or False in verdict[3:]:
            said = f"{verdict.level} {verdict.code} at {verdict.layer}" if verdict.level else "–"
            print(f"  {number:2}  {said}{'' if state == 'healthy' else f'; right: {net.leading}'}")
    wrong, seconds = sum(v.is_wrong(state) for v in verdicts), time.process_time() - began
    print(f"{kind.name}: {wrong} of {len(verdicts)} wrong; {seconds:.1f} s", flush=True)
    return verdicts


# ---- tables ------------------------------------------------------------------------------------


def wilson(hits: int, count: int) -> tuple[float, float]:
    """Return the 95% interval of a share (Wilson 1927)."""
    z, share = 1.959964, hits / count
    middle = share + z * z / (2 * count)
    half = z * math.sqrt(share * (1 - share) / count + (z / (2 * count)) ** 2)
    low, high = ((middle + sign * half) / (1 + z * z / count) for sign in (-1, 1))
    return max(low, 0.0), min(high, 1.0)


def rate(hits: int, count: int) -> str:
    if not count:
        return "–"
    low, high = (100 * bound for bound in wilson(hits, count))
    return f"{hits} of {count}: {100 * hits / count:.1f}% ({low:.1f} to {high:.1f})"


def counts(healthy: list[Verdict], broken: list[Verdict]) -> dict[str, tuple[int, int]]:
    """Return (hits, of how many) for each of the numbers that count."""
    layers = [v.is_layer for v in broken if v.is_layer is not None]
    return {
        "false alarms": (sum(v.is_wrong("healthy") for v in healthy), len(healthy)),
        "misses": (sum(v.is_wrong("broken") for v in broken), len(broken)),
        "right leading code": (sum(bool(v.is_code) for v in broken), len(broken)),
        "right first layer": (sum(layers), len(layers)),
    }


def half_of(results: dict[str, Any], state: str, half: str) -> list[Verdict]:
    first = HALVES.index(half)
    return [Verdict(*row) for rows in results[state].values() for row in rows[first::2]]


def overview(results: dict[str, Any]) -> Iterator[str]:
    """Yield the table of both halves."""
    yield f"| | {' | '.join(HALVES)} | target |"
    yield "|---" * 4 + "|"
    halves = [counts(*(half_of(results, s, half) for s in STATES[:2])) for half in HALVES]
    for name in halves[0]:
        rates = " | ".join(rate(*half[name]) for half in halves)
        yield f"| {name} | {rates} | {TARGETS.get(name, '–')} |"
    versions = ", ".join(f"{name} {value}" for name, value in results["versions"].items())
    yield ""
    yield f"Measured: {results['date']}, {versions}."


def said(verdicts: list[Verdict]) -> str:
    """Return the leading codes, each with the number of nets."""
    codes = [v.code for v in verdicts if v.level]
    return ", ".join(f"`{code}` {codes.count(code)}" for code in sorted({*codes})) or "–"


def by_kind(results: dict[str, Any], state: str, wrong: str) -> Iterator[str]:
    """Yield a table with a row a kind."""
    columns = [f"{wrong}, {half}" for half in HALVES]
    columns += ["right code", "right layer"] if state != "healthy" else []
    is_told = any(Verdict(*row).level for rows in results[state].values() for row in rows)
    columns += ["leading codes"] * is_told
    yield f"| kind | nets | {' | '.join(columns)} |"
    yield "|---" * (len(columns) + 2) + "|"
    for name, rows in results[state].items():
        verdicts = [Verdict(*row) for row in rows]
        cells = [sum(v.is_wrong(state) for v in verdicts[first::2]) for first in range(2)]
        if state != "healthy":
            layers = [v.is_layer for v in verdicts if v.is_layer is not None]
            cells += [sum(bool(v.is_code) for v in verdicts)]
            cells += [f"{sum(layers)} of {len(layers)}" if layers else "–"]
        cells += [said(verdicts)] * is_told
        yield f"| {name} | {len(rows)} | {' | '.join(map(str, cells))} |"


TABLES = {
    "overview": overview,
    "healthy": lambda results: by_kind(results, "healthy", "false alarms"),
    "broken": lambda results: by_kind(results, "broken", "missed"),
    "named": lambda results: by_kind(results, "named", "not named"),
}


def page(results: dict[str, Any], text: str) -> str:
    """Return the page with the tables of these results."""
    return PARTS.sub(
        lambda part: f"{part[1]}\n\n" + "\n".join(TABLES[part[2]](results)) + "\n\n<!-- end -->",
        text,
    )


# ---- results -----------------------------------------------------------------------------------


def stored() -> dict[str, Any]:
    return json.loads(RESULTS.read_text(encoding="utf-8"))


def as_text(results: dict[str, Any]) -> str:
    """Return the results as JSON with a net a line."""
    text = json.dumps(results, indent=1, ensure_ascii=False)
    nets = re.compile(r"(?<=\n {3})\[[^\[\]{}]*\]")
    return nets.sub(lambda net: json.dumps(json.loads(net[0]), ensure_ascii=False), text) + "\n"


def store(found: dict[str, dict[str, list[Verdict]]]) -> None:
    """Write the results, and the page; what is stored of kinds that were left out is kept."""
    old = stored() if RESULTS.exists() else {state: {} for state in STATES} | {"versions": {}}
    left_out = sum(len(r) for s in STATES for name, r in old[s].items() if name not in found[s])
    if left_out:
        print(f"{left_out} nets were left out: PyTorch or Keras is not installed")
    versions = {"Python": platform.python_version(), "NumPy": np.__version__}
    for name, module in (("PyTorch", "torch"), ("Keras", "keras")):
        if module in sys.modules:
            versions[name] = sys.modules[module].__version__
    new = {"date": datetime.date.today().isoformat(), "versions": old["versions"] | versions}
    new |= {state: {**old[state], **found[state]} for state in STATES}
    _files.write(RESULTS, as_text(new))
    _files.write(PAGE, page(stored(), PAGE.read_text(encoding="utf-8")))


def parsed(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--half", choices=HALVES)
    parser.add_argument("--kind", nargs="+", default=[], metavar="WORD")
    parser.add_argument("--twins", action="store_true", help="judge the twins of those with faults")
    parser.add_argument("--train", type=int, metavar="N", help="train N nets of each kind")
    return parser.parse_args(arguments)


def main(arguments: list[str]) -> None:
    """Judge the nets that are asked for; store what is said if these are all."""
    options = parsed(arguments)
    words, half, twins = options.kind, options.half, options.twins
    chosen = [kind for kind in kinds() if not words or any(word in kind.name for word in words)]
    if twins:
        chosen = [kind for kind in chosen if kind.state != "healthy"]
    if options.train:
        training = importlib.import_module("calibration_training")
        for kind in chosen:
            if kind.package != "keras":
                told = [training.compared(kind, number) for number in range(options.train)]
                print(f"{kind.name}: {'; '.join(told)}", flush=True)
        return
    found: dict[str, dict[str, list[Verdict]]] = {state: {} for state in STATES}
    for kind in chosen:
        numbers = range(HALVES.index(half) if half else 0, kind.count, 2 if half else 1)
        state = "healthy" if twins else kind.state
        found[state][kind.name] = judged(kind, numbers, twins, bool(words))
    healthy, broken = ([v for row in found[s].values() for v in row] for s in STATES[:2])
    for name, (hits, count) in counts(healthy, broken).items():
        if count:
            print(f"{name}: {rate(hits, count)}")
    if not (words or half or twins):
        store(found)


if __name__ == "__main__":
    main(sys.argv[1:])
