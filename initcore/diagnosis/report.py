"""What `diagnose` found, to be read, drawn, compared and asserted.

A `Report` holds one `Look` a net, several of a factory, and the findings of `criteria` about them.
It measures nothing and judges nothing.
"""

from __future__ import annotations

import dataclasses
import textwrap
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from initcore import _checks
from initcore.diagnosis import criteria, identify
from initcore.diagnosis.criteria import Finding
from initcore.diagnosis.look import Layer, Look, Signal
from initcore.tables import Table, fmt, spread

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WIDTH = 100  # characters of a line
NAME = 30  # characters of a layer's name; of a longer one the middle is left out
ALIKE = 0.9  # from this cosine on, the spread across inputs has something to say
MOVED = 1.1  # `compare` has the scales that moved by more than this factor
SHORT = {
    "dense": "",
    "convolution": "conv ",
    "depthwise convolution": "depthwise ",
    "transposed convolution": "transposed ",
    "normalisation": "norm ",
}  # of kinds, in the table
SIDES = {"forward": "sums", "backward": "deltas"}  # whose root mean square is the scale


class Report:
    """What was found in a model.

    Parameters
    ----------
    looks : sequence of Look
        One a net, of the same layers each.
    remark : str, optional
        For the second line.

    Attributes
    ----------
    looks : list of Look
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
        if any(other != names[0] for other in names):
            _checks.fail("looks", "of nets with the same layers", names)
        self.findings = _merged([criteria.findings(look) for look in self.looks])
        self._expected = [criteria.expected(look) for look in self.looks]

    @property
    def ok(self) -> bool:
        """Whether no fault was found; what is to be watched, and notes, may be there."""
        return not any(finding.level == "fault" for finding in self.findings)

    @property
    def verdict(self) -> str:
        """The first line of the report."""
        counts = Counter(finding.level for finding in self.findings)
        faults = f"{counts['fault']} fault{'s' * (counts['fault'] != 1)}"
        more = [f"{counts['watch']} to watch"] * bool(counts["watch"])
        more += [f"{counts['note']} note{'s' * (counts['note'] != 1)}"] * bool(counts["note"])
        if self.ok:
            return ", ".join(["No fault found", *more])
        first = next(finding for finding in self.findings if finding.level == "fault")
        return f"{', '.join([faults, *more])}. First: {_head(first)}"

    def table(self) -> Table:
        """Return a row for each layer call, with the columns that have something to say.

        ``finding`` has the numbers of the findings in the printed report. ``forward`` is the root
        mean square of the sums ``x W + b``, ``backward`` that of the gradient by them, each with
        the theory's band in parentheses; ``across`` and ``cosine`` are of the outputs, ``grad``
        of the gradient by the weights, ``step`` is the first update over the weights. Of several
        nets a cell reads ``median [5%, 95%]`` over them.
        """
        layers = self.looks[0].layers
        outputs = {
            name: self._numbers(lambda layer, name=name: _of(layer.outputs, name))
            for name in ("across", "cosine", "dead", "saturated")
        }
        columns = {
            "layer": [_shortened(layer.name) for layer in layers],
            "finding": [
                ", ".join(str(i) for i, one in enumerate(self.findings, 1) if one.layer == name)
                for name in (layer.name for layer in layers)
            ],
            "weights": [
                SHORT.get(layer.kind, f"{layer.kind} ") + "×".join(map(str, layer.shape))
                for layer in layers
            ],
            "looks like": [str(scheme or "") for scheme in _schemes(self.looks[0])],
            "distinct": self._distinct(),
            "forward": self._scales("forward"),
            "across": _cells(outputs["across"]) if (outputs["cosine"] > ALIKE).any() else [],
            "not finite": _cells(self._numbers(_share_not_finite), ".1%", 1e-12),
            "cosine": _cells(outputs["cosine"], ".2f"),
            "dead": _cells(outputs["dead"], ".0%", 0.005),
            "saturated": _cells(outputs["saturated"], ".0%", 0.005),
            "backward": self._scales("backward"),
            "grad rms/median": self._gradients(),
            "step": _cells(self._numbers(lambda layer: layer.update), ".2g"),
        }
        return Table(
            {name: cells for name, cells in columns.items() if any(cells)} or {"layer": []}
        )

    def __str__(self) -> str:
        look = self.looks[0]
        unseen = Counter()
        for one in self.looks:
            unseen |= Counter(one.unseen)
        seen = len({layer.name.partition(" (call ")[0] for layer in look.layers})
        said = f"{seen} of {seen + unseen.total()} layers seen"
        if unseen:
            said += f"; {', '.join(unseen)} not judged"
        if len(self.looks) > 1:
            said += f"; {len(self.looks)} nets: median [5%, 95%]"
        if look.loss is not None:
            losses = _cells(np.array([[one.loss for one in self.looks]]))[0]
            said += f"; loss {losses.strip()} ({look.loss_name})"
        if self.remark:
            said += f"; {self.remark}"
        lines = [self.verdict, *textwrap.wrap(said, WIDTH)]
        if look.layers:
            lines += ["", *_blocks(self.table())]
        for number, finding in enumerate(self.findings, 1):
            lines += ["", f"{number}. {finding.level.upper()}: {_head(finding)}"]
            for text in (finding.sentence, f"Remedy: {finding.remedy}", f"See {finding.link}"):
                lines += textwrap.wrap(text, WIDTH, initial_indent="   ", subsequent_indent="   ")
        return "\n".join(lines)

    __repr__ = __str__

    def plot(self) -> Figure:
        """Return the forward and backward scale, layer by layer from top to bottom.

        Measured are markers, of several nets the median with a band from 5% to 95%; what the
        theory allows is a grey band. ``plots.show(report.plot(), report.alt)`` shows it.
        """
        from initcore import plots

        return plots.styled(self._draw)(plots)

    def _draw(self, plots: ModuleType) -> Figure:
        names = [_shortened(layer.name) for layer in self.looks[0].layers]
        places = np.arange(len(names))
        fig, axes = plots.figure(2, height=1.2 + 0.22 * len(names), sharey=True)
        for number, (ax, (side, signals)) in enumerate(zip(axes, SIDES.items())):
            low, _, high = self._bands(side).T
            ax.fill_betweenx(places, low, high, color="#bbbbbb", alpha=0.5, lw=0, label="theory")
            values = self._rms(signals)
            values = np.where(np.isfinite(values) & (values > 0), values, np.nan)
            with warnings.catch_warnings(action="ignore"):  # a row of NaN has no quantile
                low, middle, high = np.nanquantile(values, [0.05, 0.5, 0.95], axis=1)
            colour, marker = plots.COLOURS[number], plots.MARKERS[number]
            ax.hlines(places, low, high, color=colour, alpha=0.4, lw=4)
            ax.plot(middle, places, marker, ls="none", color=colour, label="measured")
            plots.finish(ax, title=side, x=f"root mean square of the {signals}", y="", log="x")
        axes[0].set(yticks=places, yticklabels=names)
        axes[0].invert_yaxis()
        fig.suptitle(self.verdict, x=0.01, ha="left", fontsize=11, fontweight="bold")
        return fig

    @property
    def alt(self) -> str:
        """What the figure shows, in words."""
        return (
            f"Two charts of {len(self.looks[0].layers)} layers from top to bottom on logarithmic "
            f"axes: the scale of the sums on the way forward and that of the gradient on the way "
            f"back, beside the theory's band. {self.verdict}."
        )

    def to_dict(self) -> dict[str, Any]:
        """Return all numbers as JSON can hold them; NaN and infinity are "nan", "inf", "-inf".

        ``nets`` has one entry a net: its loss, and of each layer the signals, the theory's bands
        and the scheme. Weights and batches are left out.
        """
        nets = []
        for look, expected in zip(self.looks, self._expected):
            layers = []
            for layer, scheme, band in zip(look.layers, _schemes(look), expected):
                row = {**vars(layer), "looks_like": str(scheme or "")}
                row |= {f"expected_{side}": getattr(band, side) for side in SIDES}
                layers.append(
                    {k: v for k, v in row.items() if k not in ("weight", "bias", "scale")}
                )
            nets.append({"loss": look.loss, "layers": layers})
        look = self.looks[0]
        kept = ("framework", "loss_name", "task", "optimizer", "unseen")
        return _plain(
            {
                "ok": self.ok,
                "verdict": self.verdict,
                **{name: getattr(look, name) for name in kept},
                "findings": [vars(finding) for finding in self.findings],
                "nets": nets,
            }
        )

    def assert_healthy(self, allow: Iterable[str] = ()) -> None:
        """Raise an AssertionError with the faults in words, but for the codes in `allow`.

        Raises
        ------
        AssertionError
            A fault whose code is not allowed.
        ValueError, TypeError
            `allow` is no sequence of codes.
        """
        if isinstance(allow, str) or not isinstance(allow, Iterable):
            _checks.fail("allow", "a sequence of codes", allow, TypeError)
        allow = [_checks.choice("allow", code, criteria.CODES) for code in allow]
        faults = [one for one in self.findings if one.level == "fault" and one.code not in allow]
        if faults:
            texts = [f"{_head(one)}. {one.sentence} Remedy: {one.remedy}" for one in faults]
            raise AssertionError("\n".join(texts))

    def compare(self, other: Report) -> Table:
        """Return what changed from this report to another of the mended net.

        A row each for a finding that is gone, that is new or that is still there, and for a layer
        of both whose scheme changed or whose forward or backward scale moved by more than 10%.
        """
        if not isinstance(other, Report):
            _checks.fail("other", "a Report", other, TypeError)
        rows = []
        old, new = [{f.code: f for f in report.findings} for report in (self, other)]
        for code in [*old, *(code for code in new if code not in old)]:
            before, after = old.get(code), new.get(code)
            change = "gone" if after is None else "new" if before is None else "still"
            layer = (after or before).layer or ""
            levels = [one.level if one else "" for one in (before, after)]
            rows.append((change, _shortened(layer), code, *levels))
        ours, theirs = self._summary(), other._summary()
        for layer in (name for name in ours if name in theirs):
            for what, before in ours[layer].items():
                after = theirs[layer][what]
                if _has_moved(before, after):
                    ends = [fmt(value, ".3g") for value in (before, after)]
                    rows.append(("moved", _shortened(layer), what, *ends))
        names = ("change", "layer", "what", "before", "after")
        return Table(dict(zip(names, zip(*rows))) if rows else dict.fromkeys(names, ()))

    # Parts of the table.

    def _numbers(self, get: Callable[[Layer], float | None]) -> np.ndarray:
        """Return a number of each layer and net, shape (layers, nets); NaN where there is none."""
        found = [[get(layer) for layer in look.layers] for look in self.looks]
        return np.array(found, dtype=float).T

    def _bands(self, side: str) -> np.ndarray:
        """Return low, middle and high of the theory, shape (layers, 3): medians over the nets."""
        none = (np.nan,) * 3
        bands = [[getattr(one, side) or none for one in rows] for rows in self._expected]
        return np.median(np.array(bands, dtype=float).reshape(len(bands), -1, 3), axis=0)

    def _scales(self, side: str) -> list[str]:
        """Return the cells of a scale, each with the theory's band."""
        cells = _cells(self._rms(SIDES[side])) or [""] * len(self.looks[0].layers)
        for i, (low, _, high) in enumerate(self._bands(side)):
            if cells[i].strip() and np.isfinite(low + high):
                cells[i] += f" ({fmt(low, '.2g')}–{fmt(high, '.2g')})"
        return cells

    def _rms(self, signals: str) -> np.ndarray:
        return self._numbers(lambda layer: _of(getattr(layer, signals), "rms"))

    def _gradients(self) -> list[str]:
        """Return the cells of the gradients by the weights."""
        rms, median = (
            _cells(self._numbers(lambda layer, name=name: _of(layer.gradient, name)), ".2g")
            for name in ("rms", "median")
        )
        return [f"{a}/{b.strip()}" if a.strip() else "" for a, b in zip(rms, median)]

    def _distinct(self) -> list[str]:
        """Return the cells of the layers in which units are equal, in one of the nets at least."""
        counts = self._numbers(lambda layer: layer.distinct)
        units = self._numbers(lambda layer: layer.weight is not None and layer.weight.shape[-1])
        return [
            f"{few:.0f} of {all_:.0f}" if few < all_ else ""
            for few, all_ in zip(np.fmin.reduce(counts, axis=1), units[:, 0])
        ]

    def _summary(self) -> dict[str, dict[str, Any]]:
        """Return, by the layer's name, what `compare` compares."""
        scales = {side: np.median(self._rms(signals), axis=1) for side, signals in SIDES.items()}
        look = self.looks[0]
        return {
            layer.name: {
                "looks like": str(scheme or ""),
                **{side: values[i] for side, values in scales.items()},
            }
            for i, (layer, scheme) in enumerate(zip(look.layers, _schemes(look)))
        }


def _merged(found: list[list[Finding]]) -> list[Finding]:
    """Return the findings of several nets as one list: of each code, that of most nets."""
    if len(found) == 1:
        return found[0]
    by_code: dict[str, list[Finding]] = {}
    for one in found:
        for finding in one:
            by_code.setdefault(finding.code, []).append(finding)
    merged = []
    for code in sorted(by_code, key=criteria.CODES.index):
        levels = ("fault", "watch", "note")
        level = min((one.level for one in by_code[code]), key=levels.index)
        same = [one for one in by_code[code] if one.level == level]
        layer = Counter(one.layer for one in same).most_common(1)[0][0]
        first = next(one for one in same if one.layer == layer)
        nets = sum(any(one.code == code for one in findings) for findings in found)
        merged.append(dataclasses.replace(first, found_in=(nets, len(found))))
    return merged


def _head(finding: Finding) -> str:
    """Return a finding's code, layer and share of the nets."""
    text = f"{finding.code} at {finding.layer}" if finding.layer else finding.code
    nets = finding.found_in
    return text if nets is None else f"{text}, in {nets[0]} of {nets[1]} nets"


def _schemes(look: Look) -> list[identify.Scheme | None]:
    branches = sum(layer.branch is not None for layer in look.layers)
    return [identify.identify(layer, branches) for layer in look.layers]


def _of(signal: Signal | None, name: str) -> float:
    return np.nan if signal is None else getattr(signal, name)


def _share_not_finite(layer: Layer) -> float:
    """Return the largest share of numbers that are NaN or infinite, of all that was measured."""
    signals = [layer.inputs, layer.sums, layer.outputs, layer.deltas, layer.gradient]
    return max((1.0 - one.finite for one in signals if one is not None), default=np.nan)


def _shortened(name: str) -> str:
    """Return a name without its middle, if it is long.

    >>> _shortened("transformer.encoder.layers.11.self_attention.out_proj")
    'transfor….self_attention.out_proj'
    """
    tail = NAME * 2 // 3
    return name if len(name) <= NAME else f"{name[: NAME - tail - 1]}…{name[-tail:]}"


def _cells(numbers: np.ndarray, spec: str = ".3g", least: float = -np.inf) -> list[str]:
    """Return a cell a row of numbers, one a net, aligned to the right; NaN alone is empty.

    There are no cells where no number is as large as `least`: the column has nothing to say.

    >>> _cells(np.array([[1.0, 3.0], [np.nan, np.nan]]))
    ['2 [1.1, 2.9]', '            ']
    """
    cells = []
    if not (numbers >= least).any():
        return cells
    for row in numbers:
        row = row[~np.isnan(row)]
        if len(row) > 1 and np.isfinite(row).all():
            cells.append(str(spread(row, spec)))
        else:
            cells.append(fmt(np.median(row), spec) if len(row) else "")
    return [cell.rjust(max(map(len, cells))) for cell in cells]


def _blocks(table: Table) -> list[str]:
    """Return the lines of a table; of one that is too wide, of several below each other."""
    names, lines, block = [name for name in table if name != "layer"], [], ["layer"]
    for name in [*names, None]:
        if name is not None and _width(table.select(*block, name)) <= WIDTH:
            block.append(name)
            continue
        lines += [*([""] if lines else []), *str(table.select(*block)).splitlines()]
        block = ["layer", name]
    return lines


def _width(table: Table) -> int:
    return max(map(len, str(table).splitlines()))


def _has_moved(before: Any, after: Any) -> bool:
    """Return whether a scheme changed, or a scale by more than the factor `MOVED`."""
    if isinstance(before, str):
        return before != after
    if np.isnan(before) or np.isnan(after):
        return bool(np.isnan(before) != np.isnan(after))
    low, high = sorted((before, after))
    return bool(high > MOVED * low)


def _plain(value: Any) -> Any:
    """Return a value of JSON: texts for what it has no number for."""
    if dataclasses.is_dataclass(value):
        value = vars(value)
    if isinstance(value, dict):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple, np.ndarray)):
        return [_plain(one) for one in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not np.isfinite(value):
        return str(value)
    return value
