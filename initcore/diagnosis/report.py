"""What `diagnose` found: to be read, drawn, compared and asserted. Nothing is judged here."""

from __future__ import annotations

import dataclasses
import textwrap
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from initcore import _checks
from initcore.diagnosis import criteria, identify
from initcore.diagnosis.criteria import Finding
from initcore.diagnosis.look import Layer, Look
from initcore.tables import Table, fmt, quantiles, spread

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WIDTH = 100  # characters of a line
NAME = 30  # characters of a layer's name; of a longer one the middle is left out
ALIKE = 0.9  # from this cosine on, the spread across inputs has something to say
FEW = 5  # times the median: then few gradients carry the root mean square (1.5 for a normal law)
MOVED = 1.1  # `compare` has the scales that moved by more than this factor
SIDES = {"forward": "sums.rms", "backward": "deltas.rms"}  # what the theory has a band for
# Columns of numbers: where they stand in a `Layer`, their format, and from which number on one of
# them has something to say.
COLUMNS = {
    "distinct": ("distinct", ".0f", 0),
    "forward": (SIDES["forward"], ".3g", 0),
    "across": ("outputs.across", ".2g", 0),
    "cosine": ("outputs.cosine", ".2f", -1),
    "dead": ("outputs.dead", ".0%", 0.005),
    "saturated": ("outputs.saturated", ".0%", 0.005),
    "backward": (SIDES["backward"], ".2g", 0),
    "grad rms": ("gradient.rms", ".2g", 0),
    "grad median": ("gradient.median", ".2g", 0),
    "step": ("update", ".2g", 0),
}
NOUNS = {"forward": "the sums x W + b", "backward": "the gradient by the sums"}
LEVELS = ("fault", "watch", "note")
SHORT = {"dense": "", "normalisation": "norm", "convolution": "conv"}  # kinds in the table


class Report:
    """What was found in a model; ``print`` shows it.

    Parameters
    ----------
    looks : sequence of Look
        One a net, all of the same layers.
    remark : str
        For the second line.

    Attributes
    ----------
    findings : list of Finding
        Causes before symptoms. Of several nets, ``found_in`` says in how many it was found.

    Raises
    ------
    ValueError
        Nets of different layers.
    """

    def __init__(self, looks: Sequence[Look], remark: str = "") -> None:
        self.looks, self.remark = list(looks), remark
        names = [[layer.name for layer in look.layers] for look in self.looks]
        if any(others != names[0] for others in names):
            _checks.fail("looks", "of nets with the same layers", names)
        self._layers, self._names = self.looks[0].layers, [*map(_shortened, names[0])]
        self._expected = [criteria.expected(look) for look in self.looks]
        branches = sum(layer.branch is not None for layer in self._layers)
        schemes = [identify.identify(layer, branches) for layer in self._layers]
        self._schemes = ["" if scheme is None else str(scheme) for scheme in schemes]
        self.findings = _merged([criteria.findings(look) for look in self.looks])

    @property
    def ok(self) -> bool:
        """Whether no fault was found; what is to be watched, and notes, may be there."""
        return all(finding.level != "fault" for finding in self.findings)

    @property
    def verdict(self) -> str:
        """The first line of the report."""
        faults = [finding for finding in self.findings if finding.level == "fault"]
        others = len(self.findings) - len(faults[:1])
        said = f"Fault: {_head(faults[0])}" if faults else "No fault found"
        return f"{said} (and {others} more to read)" if others else said

    def table(self) -> Table:
        """Return a row for each layer call, with the columns that have something to say.

        ``finding`` is the number of a finding in the printed report. ``forward`` is the root mean
        square of the sums ``x W + b`` and ``backward`` that of the gradient by them, each with the
        theory's band in parentheses; ``across`` the spread of the outputs across inputs, ``step``
        the first update over the weights. Of several nets a cell reads ``median [5%, 95%]``.
        """
        columns = {
            "layer": self._names,
            "finding": [
                ", ".join(str(i) for i, one in enumerate(self.findings, 1) if one.layer == row.name)
                for row in self._layers
            ],
            "weights": [
                f"{SHORT.get(row.kind, row.kind)} {'×'.join(map(str, row.shape))}".strip()
                for row in self._layers
            ],
            "looks like": self._schemes,
        }
        for name, (path, spec, least) in COLUMNS.items():
            numbers = self._numbers(path)
            if name == "across" and not (self._numbers("outputs.cosine") > ALIKE).any():
                continue
            if name == "grad median" and not (self._numbers("gradient.rms") > FEW * numbers).any():
                continue
            if name == "distinct":
                units = [
                    np.nan if row.weight is None else row.weight.shape[-1] for row in self._layers
                ]
                numbers = numbers if (numbers < np.array([units]).T).any() else numbers * np.nan
            cells = [_cell(row, spec) for row in numbers] if (numbers >= least).any() else []
            for i, band in enumerate(self._bands(name) if name in SIDES and cells else ()):
                ends = [fmt(end, ".2g") for end in band]
                cells[i] += f" ({ends[0]}–{ends[2]})" * bool(cells[i] and np.isfinite(band).all())
            columns[name] = [cell.rjust(max(map(len, cells))) for cell in cells]
        return Table(
            {name: cells for name, cells in columns.items() if any(cells)} or {"layer": []}
        )

    def __str__(self) -> str:
        look, unseen = self.looks[0], Counter(self.looks[0].unseen)
        seen = len({row.name.partition(" (call ")[0] for row in self._layers})
        said = [f"{seen} of {seen + unseen.total()} layers seen"]
        said += [f"{', '.join(unseen)} not judged"] * bool(unseen) + [self.remark] * bool(
            self.remark
        )
        if look.loss is not None:
            losses = _cell(np.array([one.loss for one in self.looks]), ".3g")
            said += [f"loss {losses} ({look.loss_name})"]
        if len(self.looks) > 1:
            said += [f"{len(self.looks)} nets: median [5%, 95%]"]
        lines = [self.verdict, *textwrap.wrap("; ".join(said), WIDTH), "", _fitting(self.table())]
        for number, one in enumerate(self.findings, 1):
            lines += ["", f"{number}. {one.level.upper()}: {_head(one)}"]
            for text in (one.sentence, f"Remedy: {one.remedy}", f"See {one.link}"):
                lines += textwrap.wrap(text, WIDTH, initial_indent="   ", subsequent_indent="   ")
        return "\n".join(lines)

    __repr__ = __str__

    def plot(self) -> Figure:
        """Return the forward and the backward scale of each layer, from top to bottom.

        Markers are what was measured (of several nets the median, and a bar from 5% to 95%), the
        grey band is the theory's. ``plots.show(report.plot(), report.alt)`` shows it.
        """
        from initcore import plots

        return plots.styled(self._draw)(plots)

    def _draw(self, plots: Any) -> Figure:
        rows = np.arange(len(self._names))
        fig, axes = plots.figure(2, height=1.5 + 0.2 * len(rows), sharey=True)
        for number, (ax, side) in enumerate(zip(axes, SIDES)):
            low, _, high = self._bands(side).T
            ax.fill_betweenx(rows, low, high, color="#bbbbbb", alpha=0.5, lw=0, label="theory")
            seen = self._numbers(SIDES[side])
            good = (np.isfinite(seen) & (seen > 0)).all(axis=1)
            low, middle, high = quantiles(np.where(good[:, None], seen, 1.0))[:, good]
            colour, marker = plots.COLOURS[number], plots.MARKERS[number]
            ax.hlines(rows[good], low, high, color=colour, alpha=0.4, lw=4)
            ax.plot(middle, rows[good], marker, ls="none", color=colour, label="measured")
            plots.finish(ax, title=side, x=f"rms of {NOUNS[side]}", y="", log="x")
        fig.suptitle(textwrap.fill(self.verdict, 70), x=0.01, ha="left", fontweight="bold")
        axes[0].set(yticks=rows, yticklabels=self._names, ylim=(len(rows) - 0.5, -0.5))
        return fig

    @property
    def alt(self) -> str:
        """What the figure shows, in words."""
        return (
            f"The scale of {NOUNS['forward']} and of {NOUNS['backward']}, layer by layer from top "
            f"to bottom, on logarithmic axes beside the theory's band. {self.verdict}."
        )

    def to_dict(self) -> dict[str, Any]:
        """Return all numbers but weights and batches, as JSON can hold them.

        NaN and infinity are "nan", "inf" and "-inf". ``nets`` has an entry a net.
        """
        nets = [
            {**vars(look), "tensors": None, "expected": expected}
            for look, expected in zip(self.looks, self._expected)
        ]
        scheme = dict(zip([layer.name for layer in self._layers], self._schemes))
        found = {"ok": self.ok, "verdict": self.verdict, "findings": self.findings}
        return _plain({**found, "looks_like": scheme, "nets": nets})

    def assert_healthy(self, allow: Iterable[str] = ()) -> None:
        """Raise an AssertionError that names the faults, but for those whose codes are allowed.

        Raises
        ------
        AssertionError
            A fault that is not allowed.
        ValueError, TypeError
            `allow` is no sequence of codes.
        """
        if isinstance(allow, str) or not isinstance(allow, Iterable):
            _checks.fail("allow", "a sequence of codes", allow, TypeError)
        allow = [_checks.choice("allow", code, criteria.CODES) for code in allow]
        faults = [one for one in self.findings if one.level == "fault" and one.code not in allow]
        if faults:
            said = [f"{_head(one)}: {one.sentence} Remedy: {one.remedy}" for one in faults]
            raise AssertionError("\n".join(said))

    def compare(self, other: Report) -> Table:
        """Return what changed from this report, the one before, to another.

        A row for each finding that is gone, new or still there, and for each layer whose scheme
        changed, or whose forward or backward scale by more than 10%.
        """
        if not isinstance(other, Report):
            _checks.fail("other", "a Report", other, TypeError)
        before, after = [{one.code: one for one in each.findings} for each in (self, other)]
        rows = []
        for code in [*before, *(code for code in after if code not in before)]:
            ends = [found.get(code) for found in (before, after)]
            change = "new" if ends[0] is None else "gone" if ends[1] is None else "still"
            places = [_shortened(one.layer or "yes") if one else "" for one in ends]
            rows.append((change, "", code, *places))
        values = [each._values() for each in (self, other)]
        for key in (key for key in values[0] if key in values[1]):
            ends = [each[key] for each in values]
            if _moved(*ends):
                rows.append(("moved", *key, *(fmt(end, ".3g") for end in ends)))
        names = ("change", "layer", "what", "before", "after")
        return Table(dict(zip(names, zip(*rows))) if rows else dict.fromkeys(names, []))

    def _values(self) -> dict[tuple[str, str], Any]:
        """Return what `compare` compares, by layer and name."""
        columns = {side: np.median(self._numbers(path), axis=1) for side, path in SIDES.items()}
        columns = {"looks like": self._schemes, **columns}
        return {
            (layer, what): value
            for what, column in columns.items()
            for layer, value in zip(self._names, column)
        }

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
        nets = [[getattr(one, side) or (np.nan,) * 3 for one in net] for net in self._expected]
        return np.median(np.array(nets, float).reshape(len(nets), -1, 3), axis=0)


def _merged(nets: list[list[Finding]]) -> list[Finding]:
    """Return the findings of several nets as one list, a code once, with the commonest layer."""
    if len(nets) == 1:
        return nets[0]
    merged = []
    for code in criteria.CODES:
        found = [one for net in nets for one in net if one.code == code]
        worst = next((level for level in LEVELS if level in [one.level for one in found]), None)
        layers = Counter(one.layer for one in found if one.level == worst).most_common(1)
        for layer, _ in layers:
            first = next(one for one in found if (one.layer, one.level) == (layer, worst))
            count = sum(any(one.code == code for one in net) for net in nets)
            merged.append(dataclasses.replace(first, found_in=(count, len(nets))))
    return merged


def _head(finding: Finding) -> str:
    """Return a finding's code, its layer, and in how many nets it was found."""
    said = finding.code + (f" at {finding.layer}" if finding.layer else "")
    return said + (", in {} of {} nets".format(*finding.found_in) if finding.found_in else "")


def _shortened(name: str) -> str:
    return name if len(name) <= NAME else f"{name[: NAME // 3]}…{name[1 - NAME + NAME // 3 :]}"


def _cell(numbers: np.ndarray, spec: str) -> str:
    """Return a number, or the median and band of several nets; nothing if there is none."""
    numbers = numbers[~np.isnan(numbers)]
    if np.isinf(numbers).any():
        return "not finite"
    if len(numbers) > 1:
        return str(spread(numbers, spec.replace("3", "2")))
    return fmt(np.median(numbers), spec) if len(numbers) else ""


def _fitting(table: Table) -> str:
    """Return a table with as many columns side by side as fit, the others below."""
    blocks = [["layer"]]
    for name in [*table][1:]:
        if max(map(len, str(table.select(*blocks[-1], name)).splitlines())) > WIDTH:
            blocks.append(["layer"])
        blocks[-1].append(name)
    return "\n\n".join(str(table.select(*names)) for names in blocks)


def _moved(before: Any, after: Any) -> bool:
    """Return whether a scheme changed, or a scale by more than `MOVED`."""
    if isinstance(before, str) or not np.isfinite(before) or not np.isfinite(after):
        return str(before) != str(after)
    return max(before, after) > MOVED * min(before, after)


def _plain(value: Any) -> Any:
    """Return a value as JSON can hold it: no arrays, and texts for NaN and infinity."""
    if dataclasses.is_dataclass(value):
        value = vars(value)
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items() if not isinstance(v, np.ndarray)}
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]
    value = value.item() if isinstance(value, np.generic) else value
    return str(value) if isinstance(value, float) and not np.isfinite(value) else value
