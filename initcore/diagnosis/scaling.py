"""How a model's activations, and their first changes, scale with its width."""

from __future__ import annotations

import functools
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from numbers import Real
from typing import Any, NamedTuple

import numpy as np

from initcore import _checks, network
from initcore.diagnosis import of_arrays
from initcore.diagnosis.look import Look
from initcore.diagnosis.models import made, module_of, torch_unmoved
from initcore.tables import PAGE, Table, fmt, quantiles, spread

SEEDS = 8  # as many as the course asks for in training
RATE = 1e-3  # of Adam, where no optimizer is given
CLEAR = 0.25  # an exponent is 0, or 1/2 and more: half way between them
ROLES = {(0, 1): "input", (1, 1): "hidden", (1, 0): "output", (0, 0): "other"}  # which fans grow
# What keeps the changes (Yang et al. 2022), in a net n times as wide as the one that the rates were
# tuned for: start, rate of Adam, rate of SGD.
KEEPS = {
    "input": ("the same", "the same", "× n"),
    "hidden": ("÷ √n", "÷ n", "the same"),
    "output": ("÷ n", "÷ n", "÷ n"),
}
ALSO = (
    "Biases and scales: as input layers. Logits that are divided by n leave start and rate (Adam) "
    "of the output layer the same. Scores of attention: ÷ width of a head, not ÷ its root."
)


class Drift(NamedTuple):
    """A layer that does not keep its scale across widths."""

    layer: str
    what: str  # "at birth" or "change", that of the last step
    slope: float  # the exponent: the median over the seeds
    band: tuple[float, float]  # and 5% to 95% of them

    def __str__(self) -> str:
        said = f"{self.layer}: its change" if self.what == "change" else f"{self.layer} at birth"
        if np.isnan(self.slope):
            return f"{said} is not finite, or is 0, at some widths"
        return f"{said} {'grows' if self.slope > 0 else 'vanishes'} like width^{self.slope:.2f}"


class Scaling:
    """What `diagnose.widths` found; ``print`` shows it.

    Attributes
    ----------
    layers : dict
        Each layer's role, by its name: "hidden" if its fan_in and its fan_out grow with the width,
        "input" or "output" if one of them does, "other" if none.
    rms : ndarray, shape (layers, 1 + steps, widths, seeds)
        Of each layer's sums ``x W + b`` at birth, then of what has changed in them after each step.
    slopes : ndarray, shape (layers, 1 + steps, seeds)
        The exponents: slopes of log2(rms) over log2(width), by least squares. NaN where an RMS is
        0 or not finite.
    drifts : list
        What does not keep its scale: ``layer``, ``what`` ("at birth", or "change", that of the last
        step), ``slope`` and ``band``, the median and from 5% to 95% of the seeds.
    """

    def __init__(
        self, layers: Mapping[str, str], widths: Sequence[int], rms: np.ndarray, about: str = ""
    ) -> None:
        self.layers, self.widths, self.rms, self.about = dict(layers), [*widths], rms, about
        octaves = np.log2(self.widths) - np.log2(self.widths).mean()
        with np.errstate(divide="ignore", invalid="ignore"):
            slopes = np.einsum("w,ltws->lts", octaves / np.square(octaves).sum(), np.log2(rms))
        self.slopes = np.where(np.isfinite(slopes), slopes, np.nan)
        self.drifts = [drift for i, name in enumerate(layers) for drift in self._drifts(i, name)]

    def _drifts(self, i: int, name: str) -> Iterator[Drift]:
        birth, change = self.slopes[i, 0], self.slopes[i, -1]
        # Logits may vanish at birth, and a change may fall as fast as what it changes does.
        falls = birth * (self.layers[name] in ("input", "hidden")), change - np.minimum(birth, 0)
        for what, t, fall in zip(("at birth", "change"), (0, -1), falls):
            low, middle, high = map(float, quantiles(self.slopes[i, t]))
            is_wrong = low > CLEAR or quantiles(fall)[2] < -CLEAR
            if is_wrong or (np.isnan(middle) and self.rms[i, t].any()):
                yield Drift(name, what, middle, (low, high))

    @property
    def ok(self) -> bool:
        """Whether every layer keeps its scale; a net that does not learn at all does not."""
        return not self.drifts and bool(self.rms[:, -1].any())

    @property
    def verdict(self) -> str:
        """The first line of the report."""
        wrong = len({drift.layer for drift in self.drifts})
        if self.ok:
            return "Every layer keeps its scale across widths"
        if not wrong:
            return "No layer learns"
        return f"{wrong} of {len(self.layers)} layers do not keep their scale across widths"

    def table(self) -> Table:
        """Return each layer's exponents, at birth and of the change after each step."""
        columns = {"layer": [*self.layers], "weight": [*self.layers.values()]}
        for t in range(self.slopes.shape[1]):
            values = self.slopes[:, t]
            is_band = values.shape[1] > 1
            bands = spread(values, ".2f") if is_band else [fmt(*row, ".2f") for row in values]
            cells = np.where(np.isnan(values).any(axis=1), "not finite", bands)
            cells = np.where(self.rms[:, t].any(axis=(1, 2)), cells, "0")
            columns[f"step {t}" if t else "at birth"] = cells
        return Table(columns)

    def __str__(self) -> str:
        lines = [self.verdict, *textwrap.wrap(self.about, PAGE), ""]
        lines += ["Exponents of the RMS at birth, and of that of the change since then:"]
        lines += [*map(str, self.table().blocks()), *(f"  {drift}" for drift in self.drifts)]
        if self.drifts:
            roles = [role for role in KEEPS if role in self.layers.values()]
            columns = zip(*(KEEPS[role] for role in roles))
            names = "start (sd)", "rate of Adam", "rate of SGD"
            lines += ["", "What keeps it (μP), n times as wide as the net with the tuned rates:"]
            lines += [str(Table({"layers": roles} | dict(zip(names, columns))))]
            lines += textwrap.wrap(ALSO, PAGE)
        return "\n".join(lines)

    __repr__ = __str__


def widths(
    make_model: Callable,
    x: Any,
    y: Any,
    widths: Sequence[int],
    steps: int = 3,
    loss: Any = None,
    optimizer: Any = None,
    *,
    seeds: int | None = None,
) -> Scaling:
    """Return how each layer, and its change in the first steps, scales with a model's width.

    It is the coordinate check of Yang et al. (2022). Where a change grows with the width, a wider
    net needs a smaller rate; where it vanishes, a wide net hardly learns. With μP's starts and
    rates, which the report names, it does neither.

    Parameters
    ----------
    make_model : callable
        ``make_model(width)`` or ``make_model(width, seed)`` returns a net of PyTorch, Keras or the
        package, with layers of the same names at each width. These nets are trained.
    x, y
        One batch of inputs and targets, as `diagnose` takes them.
    widths : sequence of int
        At least two, from the narrowest on. Exponents are clearer over several octaves.
    steps : int
        How many the optimizer takes, each on the whole batch.
    loss : optional
        As `diagnose` takes it.
    optimizer : optional
        A rate, of the framework's Adam, 0.001 by default; or a function that is given a net and
        returns its optimizer, which may have a rate for each layer. Keras' optimizers and the
        package's may be given by name, or as an object, of which each net gets a copy.
    seeds : int, optional
        How many nets of each width; 8 by default. PyTorch's generator is seeded as well, and is
        afterwards what it was.

    Returns
    -------
    Scaling
        With ``ok``, ``slopes``, ``drifts`` and a table.

    Raises
    ------
    ValueError, TypeError
        Fewer than two widths, a function that makes no such net, nets whose layers have other
        names, a batch, loss or optimizer that does not fit.

    Examples
    --------
    >>> from initcore.network import MLP
    >>> rng = np.random.default_rng(0)
    >>> x, y = rng.standard_normal((32, 8)), rng.integers(10, size=32)
    >>> def make_model(width, seed):
    ...     return MLP((8, width, width, 10), "tanh", weights="lecun_normal", seed=seed)
    >>> found = widths(make_model, x, y, (32, 64, 128, 256))
    >>> found.ok, [(drift.layer, drift.what) for drift in found.drifts]
    (False, [('layer 2', 'change'), ('layer 3', 'change')])
    """
    if not callable(make_model) or module_of(make_model):
        _checks.fail("make_model", "a function that makes a model", make_model, TypeError)
    sizes = _checks.shape("widths", widths)
    if len(sizes) < 2 or [*sizes] != sorted({*sizes}):
        _checks.fail("widths", "at least two widths, from the narrowest on", widths)
    steps = _checks.integer("steps", steps, at_least=1)
    count = SEEDS if seeds is None else _checks.integer("seeds", seeds, at_least=1)
    optimizer = RATE if optimizer is None else optimizer
    if isinstance(optimizer, type):
        _checks.fail("optimizer", "a rate, or a function of the net", optimizer, TypeError)
    if isinstance(optimizer, Real):
        optimizer = _checks.number("optimizer", optimizer, above=0.0)
    rows, found = [], []  # of each width: the layers of its first net, the scales of all nets
    with torch_unmoved(x), np.errstate(all="ignore"):
        for width in sizes:
            nets: list[list[list[float]]] = []
            for net in _nets(functools.partial(make_model, width), count):
                if not nets:
                    look = _look(net, x, y, loss)
                sums = [*islice(module_of(net).train(net, x, y, loss, optimizer), steps + 1)]
                if not nets:
                    rows.append([row for row in look.layers if row.name in sums[0]])
                nets.append(_scales(*sums))
                if nets[1:] == nets[:1]:  # all nets are equal
                    nets.pop()
                    break
            found.append(nets)
    if len({(len(nets), *map(len, nets)) for nets in found}) > 1:
        names = [[row.name for row in one] for one in rows]
        _checks.fail("make_model", "nets of as many layers at each width", names)
    layers = {}
    for narrow, wide in zip(rows[0], rows[-1]):
        layers[narrow.name] = ROLES[wide.fan_in > narrow.fan_in, wide.fan_out > narrow.fan_out]
    said = [f"widths {', '.join(map(str, sizes))}", f"loss {look.loss_name}"]
    if len(nets) > 1:
        said += [f"{len(nets)} nets of each: median [5%, 95%]"]
    if isinstance(optimizer, float):
        said += [f"Adam at a rate of {optimizer:g}"]
    if look.unseen:
        said += [f"not seen: {', '.join(look.unseen)}"]
    return Scaling(layers, sizes, np.array(found).transpose(2, 3, 0, 1), "; ".join(said))


def _nets(factory: Callable, count: int) -> Iterator[Any]:
    """Yield the nets of one width, of an `MLP` its replicas."""
    for net in made(factory, count):
        if not hasattr(module_of(net), "train"):
            _checks.fail("make_model", "to return a net that can be trained", net, TypeError)
        yield from of_arrays.replicas(net) if isinstance(net, network.MLP) else [net]


def _look(net: Any, x: Any, y: Any, loss: Any) -> Look:
    """Return what a batch shows of a net, if it gives a loss."""
    look = module_of(net).look(net, x, y, loss)
    if look.loss is None:
        _checks.fail("y", "targets or labels that give a loss", y)
    return look


def _scales(*sums: dict[str, Any]) -> list[list[float]]:
    """Return the RMS of each layer's sums at birth, and of what has changed in them since."""
    scales = []
    for first, *later in zip(*(now.values() for now in sums)):
        first = np.asarray(first, np.float64)
        parts = [first, *(z - first for z in later)]
        scales.append([float(np.sqrt(np.square(part).mean())) for part in parts])
    return scales
