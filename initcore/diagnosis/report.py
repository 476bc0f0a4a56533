"""What `diagnose` found: to be read, drawn, compared and asserted. Nothing is judged here."""

from __future__ import annotations

import dataclasses
import json
import textwrap
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from initcore import _checks
from initcore.diagnosis import criteria
from initcore.diagnosis.case import CODES, Finding
from initcore.diagnosis.look import Layer, Look
from initcore.tables import PAGE, Table, fmt, quantiles, spread

NAME = 30  # characters of a layer's name; of a longer one the middle is left out
MOVED = 0.1  # relative; `compare` has the scales that moved by more
SIDES = {"forward": "sums.rms", "backward": "deltas.rms"}  # what the theory has a band for
# Where a column's numbers stand in a `Layer`, their format, and when it has something to say: if
# one is at least so large, or below this part of another (of a normal law 1 and 2/3).
COLUMNS = {
    "distinct": ("distinct", ".0f", 0),
    "forward": (SIDES["forward"], ".3g", 0),
    "across": ("outputs.across", ".2g", ("outputs.rms", 1 / 3)),
    "cosine": ("outputs.cosine", ".2f", -1),
    "dead": ("outputs.dead", ".0%", 0.005),
    "saturated": ("outputs.saturated", ".0%", 0.005),
    "backward": (SIDES["backward"], ".2g", 0),
    "grad rms": ("gradient.rms", ".2g", 0),
    "grad median": ("gradient.median", ".2g", ("gradient.rms", 1 / 5)),
    "step": ("update", ".2g", 0),
}
LEVELS = {"fault": "more at fault", "watch": "to watch", "note": "to note"}
KINDS = {"dense": "", "normalisation": "norm ", "convolution": "conv "}  # shorter in the table


class Report:
    """What was found in a model; ``print`` shows it.

    Attributes
    ----------
    findings : list
        Causes before symptoms, each with ``code``, ``level`` ("fault", "watch" or "note"),
        ``layer`` (the first one concerned), ``measured``, ``expected``, ``band``, ``sentence``,
        ``remedy`` and ``link``; of several nets ``found_in`` says in how many.
    looks : list
        What was seen, one of each net.
    """

    def __init__(self, looks: Sequence[Look], remark: str = "") -> None:
        self.looks, self.remark = list(looks), remark
        names = [[layer.name for layer in look.layers] for look in self.looks]
        if any(others != names[0] for others in names):
            _checks.fail("looks", "of nets with the same layers", names)
        self._layers, self._names = self.looks[0].layers, [*map(_shortened, names[0])]
        self._judged = [criteria.judge(look) for look in self.looks]
        self._schemes = [str(scheme or "") for scheme in self._judged[0].schemes]
        self.findings = _merged([one.findings for one in self._judged])

    @property
    def ok(self) -> bool:
        """Whether no fault was found; what is to be watched, and notes, may be there."""
        return not self._faults()

    def _faults(self) -> list[Finding]:
        return [finding for finding in self.findings if finding.level == "fault"]

    @property
    def verdict(self) -> str:
        """The first line of the report."""
        first = self._faults()[:1]
        counts = Counter(one.level for one in self.findings) - Counter(fault=len(first))
        more = ", ".join(f"{counts[level]} {LEVELS[level]}" for level in LEVELS if counts[level])
        said = f"Fault: {_head(first[0])}" if first else "No fault found"
        return said + f" ({more})" * bool(more)

    def table(self) -> Table:
        """Return a row for each layer call, with the columns that have something to say.

        ``finding`` is the number of a finding in the printed report. ``forward`` is the root mean
        square of the sums ``x W + b`` and ``backward`` that of the gradient by them, each with the
        theory's band in parentheses; ``across`` the spread of the outputs across inputs, ``step``
        the first update over the weights. Of several nets a cell reads ``median [5%, 95%]``.
        """
        numbers = {row.name: [] for row in self._layers}
        for number, one in enumerate(self.findings, 1):
            numbers.get(one.layer, []).append(str(number))
        columns = {
            "layer": self._names,
            "finding": [", ".join(numbers[row.name]) for row in self._layers],
            "weights": [
                KINDS.get(row.kind, f"{row.kind} ") + "×".join(map(str, row.shape))
                for row in self._layers
            ],
            "looks like": self._schemes,
        }
        for name, (path, spec, least) in COLUMNS.items():
            numbers = self._numbers(path)
            bands = self._bands(name) if name in SIDES else [None] * len(numbers)
            if isinstance(least, tuple):
                says = numbers < least[1] * self._numbers(least[0])
            else:
                says = numbers >= least
            if says.any():
                cells = [_cell(row, spec, band) for row, band in zip(numbers, bands)]
                columns[name] = [cell.rjust(max(map(len, cells))) for cell in cells]
        units = [row.weight is not None and row.weight.shape[-1] for row in self._layers]
        if not (self._numbers("distinct").T < units).any():
            columns.pop("distinct", None)
        return Table(
            {name: cells for name, cells in columns.items() if any(cells)} or {"layer": []}
        )

    def __str__(self) -> str:
        look, unseen = self.looks[0], Counter(self.looks[0].unseen)
        seen = len({row.name.partition(" (call ")[0] for row in self._layers})
        said = [f"{seen} of {seen + unseen.total()} layers seen", self.remark]
        if unseen:
            said += [f"{', '.join(unseen)} not judged"]
        if look.loss is not None:
            losses = np.array([one.loss for one in self.looks])
            losses = _cell(np.where(np.isnan(losses), np.inf, losses), ".3g")
            said += [f"loss {losses} ({look.loss_name})"]
        else:
            alone = "weights alone: no signal, gradient or loss was seen"
            said += [alone if look.outputs is None else "nothing was sent back"]
        if len(self.looks) > 1:
            said += [f"{len(self.looks)} nets: median [5%, 95%]"]
        lines = [self.verdict, *textwrap.wrap("; ".join(filter(None, said)), PAGE)]
        lines += [f"\n{block}" for block in self.table().blocks()]
        for number, one in enumerate(self.findings, 1):  # a remedy is copied: not broken
            lines += ["", f"{number}. {one.level.upper()}: {_head(one)}"]
            lines += [f"   {line}" for line in textwrap.wrap(one.sentence, PAGE - 3)]
            lines += [f"   Remedy: {one.remedy}", f"   See {one.link}".replace(".html", "")]
        return "\n".join(lines)

    __repr__ = __str__

    def plot(self) -> Any:
        """Return a Matplotlib figure of each layer's forward and backward scale, top to bottom.

        Markers are what was measured (of several nets the median, and a bar from 5% to 95%), the
        grey band is the theory's. ``plots.show(report.plot(), report.alt)`` shows it. A side of
        which nothing was seen is left out; of weights alone there is no figure, but a ValueError.
        """
        from initcore import plots

        return plots.styled(self._draw)(plots)

    def _draw(self, plots: Any) -> Any:
        rows, height = np.arange(len(self._names)), 1.8 + 0.2 * len(self._names)
        sides = [side for side in SIDES if not np.isnan(self._numbers(SIDES[side])).all()]
        if not sides:
            raise ValueError("There is no signal to plot: `diagnose` was given weights alone")
        fig, [axes] = plots.figure(len(sides), height=height, sharey=True, squeeze=False)
        for number, (ax, side) in enumerate(zip(axes, sides)):
            (low, _, high), label = self._bands(side).T, "" if number else "theory"
            ax.fill_betweenx(rows, low, high, color="#bbbbbb", alpha=0.5, lw=0, label=label)
            seen = self._numbers(SIDES[side])
            good = (np.isfinite(seen) & (seen > 0)).all(axis=1)
            if good.any():
                low, middle, high = quantiles(seen[good])
                colour, marker = plots.COLOURS[number], plots.MARKERS[number]
                ax.hlines(rows[good], low, high, color=colour, alpha=0.4, lw=4)
                ax.plot(middle, rows[good], marker, ls="none", c=colour, label=f"{side}, measured")
            what = "RMS of x W + b" if side == "forward" else "RMS of the gradient by it"
            plots.finish(ax, title=side, x=what, y="", log="x", legend="none")
        fig.legend(loc="outside lower center", ncols=3)
        fig.suptitle(textwrap.fill(self.verdict, 70), x=0.01, ha="left", fontweight="bold")
        axes[0].set(yticks=rows, yticklabels=self._names, ylim=(len(rows) - 0.5, -0.5))
        return fig

    @property
    def alt(self) -> str:
        """What the figure shows, in words."""
        return (
            "The scale of the sums and of the gradient by them, layer by layer from top to bottom, "
            f"on logarithmic axes beside the theory's band. {self.verdict}."
        )

    def to_dict(self) -> dict[str, Any]:
        """Return all numbers as JSON can hold them: NaN and infinity as texts, arrays as null.

        ``nets`` has one entry a net, with what each layer showed and what the theory expects.
        """

        def plain(value: Any) -> Any:
            if isinstance(value, np.ndarray):
                return None
            return value.item() if isinstance(value, np.generic) else vars(value)

        found = {"ok": self.ok, "verdict": self.verdict, "findings": self.findings}
        found["looks_like"] = {row.name: said for row, said in zip(self._layers, self._schemes)}
        found["nets"] = [
            vars(look) | {"tensors": [*look.tensors], "expected": [*zip(one.forward, one.backward)]}
            for look, one in zip(self.looks, self._judged)
        ]
        return json.loads(json.dumps(found, default=plain), parse_constant=str)

    def assert_healthy(self, allow: Iterable[str] = ()) -> None:
        """Raise an AssertionError that names the faults whose codes are not allowed."""
        if isinstance(allow, str) or not isinstance(allow, Iterable):
            _checks.fail("allow", "a sequence of codes", allow, TypeError)
        allow = [_checks.choice("allow", code, CODES) for code in allow]
        faults = [one for one in self._faults() if one.code not in allow]
        said = [f"{_head(one)}: {one.sentence} Remedy: {one.remedy}" for one in faults]
        if said:
            raise AssertionError("\n".join(said))

    def compare(self, other: Report) -> Table:
        """Return what changed from this report, the one before, to another.

        A row for each finding that is gone, new or still there, and for each layer whose scheme
        changed, or whose forward or backward scale by more than 10%.
        """
        _checks.instance("other", other, Report, "a Report")
        old, new = ({one.code: one.layer or "found" for one in r.findings} for r in (self, other))
        rows = []
        for code in old | new:
            change = "new" if code not in old else "still" if code in new else "gone"
            rows.append((change, "", code, old.get(code, ""), new.get(code, "")))
        if self._names == other._names:
            for name, *ends in zip(self._names, self._schemes, other._schemes):
                rows += [("moved", name, "looks like", *ends)] * (ends[0] != ends[1])
            for side, path in SIDES.items():
                ends = [np.median(report._numbers(path), axis=1) for report in (self, other)]
                moved = ~np.isclose(*ends, rtol=MOVED, atol=0.0, equal_nan=True)
                for i in np.flatnonzero(moved):
                    rows.append(("moved", self._names[i], side, *(fmt(x[i], ".3g") for x in ends)))
        names = ("change", "layer", "what", "before", "after")
        return Table(dict(zip(names, zip(*rows))) if rows else dict.fromkeys(names, []))

    def _numbers(self, path: str) -> np.ndarray:
        """Return a number a layer and net: NaN where there is none, inf where not all is finite."""
        first, _, last = path.partition(".")

        def get(layer: Layer) -> float:
            found = getattr(layer, first)
            if found is None or not last:
                return np.nan if found is None else found
            return np.inf if found.finite < 1 else getattr(found, last)

        return np.array([[get(layer) for layer in look.layers] for look in self.looks], float).T

    def _bands(self, side: str) -> np.ndarray:
        """Return low, middle and high of the theory, shape (layers, 3)."""
        nets = [[ends or (np.nan,) * 3 for ends in getattr(one, side)] for one in self._judged]
        return np.median(np.array(nets, float).reshape(len(nets), -1, 3), axis=0)


def _merged(nets: list[list[Finding]]) -> list[Finding]:
    """Return the findings of several nets as one list: of a code the worst, at its usual layer."""
    if len(nets) == 1:
        return nets[0]
    merged = []
    for code in CODES:
        found = [one for net in nets for one in net if one.code == code]  # at most one of each net
        layers = Counter(one.layer for one in found)
        found.sort(key=lambda one: ([*LEVELS].index(one.level), -layers[one.layer]))
        number = len(found), len(nets)
        merged += [dataclasses.replace(one, found_in=number) for one in found[:1]]
    return merged


def _head(finding: Finding) -> str:
    """Return a finding's code, its layer, and in how many nets it was found."""
    said = finding.code + (f" at {finding.layer}" if finding.layer else "")
    return said + (", in {} of {} nets".format(*finding.found_in) if finding.found_in else "")


def _shortened(name: str) -> str:
    return name if len(name) <= NAME else f"{name[: NAME // 3]}…{name[1 - NAME + NAME // 3 :]}"


def _cell(numbers: np.ndarray, spec: str, band: Any = None) -> str:
    """Return a number, or the median and spread of several nets, beside the theory's band."""
    numbers = numbers[~np.isnan(numbers)]
    if not len(numbers) or np.isinf(numbers).any():
        return "not finite" if len(numbers) else ""
    few = spec.replace("3", "2")  # digits: the cell is long
    said = str(spread(numbers, few)) if len(numbers) > 1 else fmt(numbers[0], spec)
    if band is None or not band[0] < band[2] < np.inf:
        return said
    return f"{said} ({fmt(band[0], '.2g')}–{fmt(band[2], '.2g')})"
