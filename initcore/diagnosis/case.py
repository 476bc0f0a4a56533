"""A look on its way through the criteria: what they need of it, and what they have found.

The limits of harm, with their sources, stand in ``findings.json``, with the words, the remedy and
the page of each finding.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from initcore.diagnosis import bands
from initcore.diagnosis.identify import identify
from initcore.diagnosis.look import Layer, Look

LEVELS = ("fault", "watch", "note")
CATALOGUE = json.loads(Path(__file__).with_name("findings.json").read_text("utf-8"))
for _entry in CATALOGUE.values():  # where none is written: new weights
    _entry.setdefault("remedy", CATALOGUE["not-finite"]["remedy"])
CODES = tuple(CATALOGUE)  # causes before symptoms


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong, or worth knowing."""

    code: str  # one of CODES
    level: str  # one of LEVELS; a note is no illness
    layer: str | None  # the first one concerned, by name; None: the data
    measured: float | None
    expected: float | None
    band: tuple[float, float] | None  # where `measured` should be
    sentence: str
    remedy: str  # a line of the framework's code
    link: str  # a page of the book
    found_in: tuple[int, int] | None = None  # in how many seeds of how many


class Case:
    """A look, what several criteria need of it, and what was found."""

    def __init__(self, look: Look) -> None:
        self.look, self.found = look, []
        calls = [x for x in look.layers if x.weight is not None]
        by_key = {x.key or x.name: x for x in reversed(calls)}
        self.layers = [*reversed(by_key.values())]  # each weight once
        ends = [x for x in calls if x.kind not in ("embedding", "attention")]
        self.last = ends[-1] if ends else None
        self.branches = sum(x.branch is not None for x in look.layers)
        self.free = self.branches > 0 or any(x.kind == "normalisation" for x in look.layers)
        self.schemes = {x: identify(x, self.branches) for x in look.layers}
        self.ranges = bands.ranges(look, self.last)
        self.forward = bands.forward(look, self.ranges)
        hidden = {x: band for x, band in self.forward.items() if x is not self.last}
        self.backward = bands.backward(look, hidden)  # a small output layer hands down little
        # The largest RMS expected of the output layer, 0 where nothing is.
        self.most_of_last = self.forward[self.last].ends[2] if self.last in self.forward else 0.0

    def add(
        self, code: str, says: str, layer: Layer | None, measured: Any = None,
        expects: Any = None, band: Any = None, level: str = "", change: Any = None, **words: Any,
    ) -> None:  # fmt: skip
        """Add a finding in the words of the catalogue, of a `level`, or if it does harm.

        It does where `change` (by default `measured`) is beyond the code's limits.
        """
        entry, about = CATALOGUE[code], layer or self.last
        change = measured if change is None else change
        left = [name for name in LEVELS[:2] if not is_within(change, entry.get(name))]
        if not level and not left:
            return
        known = {"layer": about, "measured": measured, "expected": expects, "change": change}
        known["low"], known["high"] = band or (None, None)
        known["sd"] = math.sqrt(self.ranges[about].best / about.fan_in) if about else 0.0
        remedy = entry.get("remedies", {}).get(says, entry["remedy"])
        if isinstance(remedy, dict):
            remedy = remedy[self.look.framework] if about else ""
        texts = [text.format(**known | words) for text in (entry["says"][says], remedy)]
        name, level = layer.name if layer else None, level or left[0]
        one = Finding(code, level, name, measured, expects, band, *texts, entry["link"])
        self.found.append(one)


def is_within(value: float, ends: list[float | None] | None) -> bool:
    """Say whether a value is between two ends, where there are such."""
    low, high = ends or (None, None)
    return (low is None or value >= low) and (high is None or value <= high)
