"""One visual language for every figure of the course (level 7).

Measured values are markers (the median over seeds) with a band (5–95%); theory is a line. A
series has a colour of the Okabe–Ito palette and a marker and dash of its own, so that no figure
depends on colour alone. Figures are opaque and legible on a light and on a dark page. They are made
without pyplot, so there is no global state and nothing is shown twice.

Arguments of one name are the same everywhere: `measured` and `finish` describe them. Values that
are not finite or of another shape, an unknown name, and a mapping without an entry are a
``ValueError``, an object of another kind is a ``TypeError``.
"""

from __future__ import annotations

import base64
import io
import math
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from initcore import _checks, tables

# Okabe and Ito, Color Universal Design, https://jfly.uni-koeln.de/color/; dark ones first.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#000000", "#E69F00", "#56B4E9")
MARKERS = ("o", "s", "D", "^", "v", "P", "X")
DASHES = ("-", "--", "-.", ":", (0, (5, 1)), (0, (3, 1, 1, 1, 1, 1)), (0, (1, 1)))
WIDTH = 6.0  # inches
PIXELS = 720  # the width on the page; at 120 pixels an inch the text is legible on a phone too
DPI = 1.5 * PIXELS / WIDTH  # 1.5 times what the page shows, for sharp text
BINS = 41  # of a layer's histogram

STYLE = {
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "axes.facecolor": "white",
    "axes.edgecolor": "#444444",
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 10,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.6,
    "font.family": "DejaVu Sans",  # ships with Matplotlib: the same picture everywhere
    "font.size": 10,
    "legend.fontsize": 9,
    "legend.frameon": True,
    "legend.framealpha": 0.9,
    "legend.edgecolor": "none",
    "lines.linewidth": 1.6,
    "lines.markersize": 5.5,
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
}


# Matplotlib reads some settings when a thing is drawn, so every function that draws is styled.
styled = matplotlib.rc_context(STYLE)


@styled
def figure(columns: int = 1, *, height: float = 3.2, **options: Any) -> tuple[Figure, Any]:
    """Return a figure of the course's width with one row of axes, and these: one, or an array.

    The height is in inches; all other options are those of ``Figure.subplots``.

    Examples
    --------
    >>> fig, (left, right) = figure(2, sharey=True)
    >>> len(fig.axes)
    2
    """
    columns = _checks.integer("columns", columns, at_least=1, at_most=100)
    height = _checks.number("height", height, above=0.0)
    fig = Figure(figsize=(WIDTH, height), layout="constrained")
    return fig, fig.subplots(1, columns, **options)


@styled
def measured(
    ax: Axes, x: Any, values: Any, *, label: str, series: int = 0, line: bool = False
) -> None:
    """Draw measured values: the median over seeds as markers, 5–95% of the seeds as a band.

    Parameters
    ----------
    ax : Axes
    x : array_like, shape (points,)
        Layer number, width, scale ...
    values : array_like, shape (points,) or (points, replicas)
        What was measured, a column a seed.
    label : str
        For the legend.
    series : int
        Chooses colour, marker and dash.
    line : bool
        Join the markers by a thin line, where no theory line guides the eye.
    """
    values, points = _checks.array("values", values, ndim=(1, 2)), np.size(x)
    if len(values) != points:
        _checks.fail("values", f"an array of shape ({points},) or ({points}, replicas)", values)
    quantiles = tables.quantiles(values.reshape(points, -1))
    banded(ax, x, quantiles, label=label, series=series, line=line)


@styled
def banded(
    ax: Axes, x: Any, quantiles: Any, *, label: str, series: int = 0, line: bool = False
) -> None:
    """Draw measured values as `measured` does, of which only the quantiles are known.

    These are 5%, 50% and 95% over the seeds, an array of shape ``(3, points)``.
    """
    x = _checks.array("x", x, ndim=1)
    quantiles = _checks.array("quantiles", quantiles, ndim=2)
    if quantiles.shape != (3, len(x)):
        _checks.fail("quantiles", f"an array of shape (3, {len(x)})", quantiles)
    low, middle, high = quantiles
    colour, marker = _colour(series), MARKERS[series % len(MARKERS)]
    ax.fill_between(x, low, high, color=colour, alpha=0.2, linewidth=0)
    joined = DASHES[series % len(DASHES)] if line else "none"
    ax.plot(x, middle, marker, ls=joined, lw=1.0, color=colour, label=label, zorder=3)


@styled
def theory(ax: Axes, x: Any, values: Any, *, label: str | None = None, series: int = 0) -> None:
    """Draw a prediction of shape ``(points,)`` as a line, in the colour of the series it is of."""
    x = _checks.array("x", x, ndim=1)
    values = _checks.array("values", values, ndim=1)
    if len(x) != len(values):
        _checks.fail("values", f"an array of shape ({len(x)},)", values)
    dash, colour = DASHES[series % len(DASHES)], _colour(series)
    ax.plot(x, values, ls=dash, label=label, color=colour, zorder=2)


_line_of_theory = theory  # `chart` has an argument of that name


@styled
def finish(ax: Axes, *, title: str, x: str, y: str, log: str = "", legend: str = "best") -> None:
    """Name the axes and state the finding as the title.

    Parameters
    ----------
    title : str
        The finding, in a few words.
    x, y : str
        Labels of the axes, with units or scale.
    log : {"", "x", "y", "xy"}
        Which axes are logarithmic.
    legend : {"best", "right", "none"}
        Where nothing is in its way, to the right of the axes, or not at all.
    """
    _checks.choice("log", log, ("", "x", "y", "xy"))
    _checks.choice("legend", legend, ("best", "right", "none"))
    ax.set(title=title, xlabel=x, ylabel=y, **{f"{axis}scale": "log" for axis in log})
    if ("layer" in x or "epoch" in x) and "x" not in log:  # counts: no ticks between them
        ax.xaxis.get_major_locator().set_params(integer=True)
    if legend == "right":
        ax.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    elif legend == "best":
        ax.legend(loc="best")


@styled
def chart(
    x: Any,
    series: Mapping[str, Any],
    *,
    theory: Mapping[str, Any] | None = None,
    title: str,
    xlabel: str,
    ylabel: str,
    log: str = "",
    line: bool = False,
    legend: str = "best",
    ax: Axes | None = None,
) -> Figure:
    """Return a figure of several measured series over one axis, with the theory of each.

    Parameters
    ----------
    series : mapping of str to array_like, shape (points,) or (points, replicas)
        What was measured, by its label.
    theory : mapping of str to array_like, shape (points,)
        Lines; one with the label of a series has its colour, and no line of its own in the legend.
    ax : Axes, optional
        Where to draw; otherwise on a new figure.
    xlabel, ylabel : str
        The `x` and `y` of `finish`.

    Examples
    --------
    >>> fig = chart([1, 2], {"tanh": [0.5, 0.4]}, theory={"tanh": [0.5, 0.41]}, title="It falls",
    ...             xlabel="layer", ylabel="std of a")
    >>> len(fig.axes[0].lines)
    2
    """
    _checks.mapping("series", series, "series")
    if ax is None:
        _, ax = figure()
    labels = list(series)
    for number, (label, values) in enumerate(series.items()):
        measured(ax, x, np.asarray(values, float), label=label, series=number, line=line)
    for number, (label, values) in enumerate((theory or {}).items(), start=len(labels)):
        known = label in labels
        number = labels.index(label) if known else number
        _line_of_theory(ax, x, values, label=None if known else label, series=number)
    finish(ax, title=title, x=xlabel, y=ylabel, log=log, legend=legend)
    return ax.figure


@styled
def layer_histograms(
    rows: Mapping[str, Sequence[Any]],
    *,
    title: str,
    quantity: str = "activation",
    log: bool = False,
    limit: float | None = None,
) -> Figure:
    """Return one histogram of all values a layer, a row of them a start, all on one axis.

    Parameters
    ----------
    rows : mapping of str to sequence of array_like, shape (..., batch, units)
        The values of each layer, by the label of the row; replicas, inputs and units are pooled.
        All rows have the same number of layers.
    quantity : str
        What the values are, for the axis label.
    log : bool
        Show log10 of the absolute values. Zeros have none: a panel says which share they are.
    limit : float, optional
        The axis runs from ``-limit`` to ``limit`` instead of holding all that is shown.

    Examples
    --------
    >>> fig = layer_histograms({"a start": [[[0.0, 1.0]], [[2.0, 2.0]]]}, title="two layers")
    >>> [ax.get_title() for ax in fig.axes]
    ['layer 1', 'layer 2']
    """
    _checks.mapping("rows", rows, "row")
    values = {
        label: [
            _checks.array(f"rows[{label!r}][{i}]", layer).ravel() for i, layer in enumerate(row)
        ]
        for label, row in rows.items()
    }
    lengths = {label: len(row) for label, row in values.items()}
    if len(set(lengths.values())) != 1 or 0 in lengths.values():
        _checks.fail("rows", "rows of the same number of layers, at least one", lengths)

    def shown(layer: np.ndarray) -> np.ndarray:
        return np.log10(np.abs(layer[layer != 0])) if log else layer

    everything = np.concatenate([shown(layer) for row in values.values() for layer in row])
    if not everything.size:
        _checks.fail("rows", "values other than 0, as `log` is True", lengths)
    ends = (everything.min(), everything.max()) if limit is None else (-limit, limit)
    n_layers = max(lengths.values())
    fig, axes = _grid(title, 0.9 + 1.1 * len(values), len(values), n_layers, sharex=True)
    for number, (label, row) in enumerate(values.items()):
        axes[number, 0].set_ylabel(label)
        for depth, (ax, layer) in enumerate(zip(axes[number], row), start=1):
            if shown(layer).size:
                ax.hist(shown(layer), BINS, range=ends, density=True, color=_colour(number))
            if log and 0 in layer:
                zeros = f"{np.mean(layer == 0):.0%} zeros"
                ax.text(0.03, 0.95, zeros, transform=ax.transAxes, fontsize=8, va="top")
            if not number:
                ax.set_title(f"layer {depth}", loc="center", fontsize=10, fontweight="normal")
            ax.set_yticks([])
            ax.grid(False)
            ax.spines["left"].set_visible(False)
            ax.xaxis.get_major_locator().set_params(nbins=3)
    fig.supxlabel(f"log10 |{quantity}|" if log else quantity, fontsize=10)
    return fig


@styled
def images(
    rows: Any,
    *,
    title: str,
    labels: Sequence[str] | None = None,
    quantity: str = "pixel",
    signed: bool = False,
) -> Figure:
    """Return rows of small square pictures, all on one scale: digits, weights.

    Parameters
    ----------
    rows : array_like, shape (rows, pictures, side · side)
        Each picture's pixels row by row.
    labels : sequence of str, optional
        What each row is, one text a row, written to its left.
    quantity : str
        What the values are, for the colour bar.
    signed : bool
        Whether a value's sign matters: then the scale is symmetric about 0, which is white.
        Otherwise 0 is white and the largest value black, and no value may be negative.

    Examples
    --------
    >>> fig = images([np.eye(3).reshape(1, 9)], title="a diagonal", labels=["one"])
    >>> fig.axes[0].images[0].get_array().shape
    (3, 3)
    """
    values = _checks.array("rows", rows, ndim=3)
    n_rows, n_pictures, n_pixels = values.shape
    side = math.isqrt(n_pixels)
    if side * side != n_pixels:
        _checks.fail("rows", "an array of square pictures", values)
    if not signed and values.min() < 0:
        _checks.fail("rows", "at least 0, as `signed` is False", values)
    if labels is not None and len(labels) != n_rows:
        _checks.fail("labels", f"a sequence of {n_rows} texts, one a row", labels)
    end = float(np.abs(values).max()) or 1.0
    scale = {"cmap": "PuOr", "vmin": -end} if signed else {"cmap": "Greys", "vmin": 0.0}
    fig, axes = _grid(title, 0.5 + 0.85 * WIDTH / n_pictures * n_rows, n_rows, n_pictures)
    for number, (line, row) in enumerate(zip(axes, values)):
        for ax, picture in zip(line, row):
            shown = ax.imshow(picture.reshape(side, side), vmax=end, **scale)
            ax.set(xticks=[], yticks=[])
            ax.grid(False)
            ax.spines[:].set_visible(False)
        if labels is not None:
            line[0].set_ylabel(labels[number], rotation=0, ha="right", va="center")
    fig.colorbar(shown, ax=axes, label=quantity, shrink=min(1.0, 2.0 / n_rows), pad=0.02)
    return fig


def _grid(title: str, height: float, rows: int, columns: int, **options: Any) -> tuple[Figure, Any]:
    fig = Figure(figsize=(WIDTH, height), layout="constrained")
    fig.suptitle(title, x=0.01, ha="left", fontsize=11, fontweight="bold")
    return fig, fig.subplots(rows, columns, squeeze=False, **options)


def to_png(fig: Figure) -> bytes:
    """Return a figure as the PNG of the course: its style and width, no version of Matplotlib.

    Examples
    --------
    >>> to_png(figure()[0]).startswith(b"\\x89PNG")
    True
    """
    picture = io.BytesIO()
    with matplotlib.rc_context(STYLE):
        fig.savefig(picture, format="png", dpi=DPI, metadata={"Software": None})
    return picture.getvalue()


def show(fig: Figure, alt: str) -> None:
    """Show a figure in a notebook, with a text that is stored beside it and as its alternative.

    The text says what is to be seen, in a sentence or two; one of less than 40 characters is a
    ``ValueError``. Outside a notebook it is printed.
    """
    _checks.instance("fig", fig, Figure, "a Matplotlib Figure")
    if not isinstance(alt, str) or len(alt.strip()) < 40:
        _checks.fail("alt", "a text of at least 40 characters that says what is seen", alt)
    alt = " ".join(alt.split())
    ipython = sys.modules.get("IPython")  # a notebook's kernel has it loaded
    if ipython is None or ipython.get_ipython() is None:
        print(f"Figure: {alt}")
        return
    from IPython.display import display

    picture = base64.b64encode(to_png(fig)).decode()  # not every kernel encodes it by itself
    data = {"image/png": picture, "text/plain": f"Figure: {alt}"}
    display(data, raw=True, metadata={"image/png": {"alt": alt, "width": PIXELS}})


def _colour(series: int) -> str:
    return COLOURS[_checks.integer("series", series, at_least=0) % len(COLOURS)]
