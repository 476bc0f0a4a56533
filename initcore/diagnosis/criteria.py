"""What is wrong with a net, judged by one `Look` at it: causes before symptoms.

The bands are the theory's, for the widths and depths at hand: `expected`. What leaves its band is
a finding only where the change is also large enough to do harm. The limits of harm, with their
sources, stand in ``findings.json``, with the words, the remedy and the page of each finding. A
symptom that a found cause explains is no finding of its own; it gives the cause its level.
"""

from __future__ import annotations

import functools
import itertools
import json
import math
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from initcore import _checks, activations, theory
from initcore._quadrature import gaussian_mean
from initcore.diagnosis.identify import WRONG, Scheme, identify
from initcore.diagnosis.look import Layer, Look

LEVELS = ("fault", "watch", "note")
CATALOGUE = json.loads(Path(__file__).with_name("findings.json").read_text("utf-8"))
for _entry in CATALOGUE.values():  # where none is written: new weights
    _entry.setdefault("remedy", CATALOGUE["not-finite"]["remedy"])
CODES = tuple(CATALOGUE)  # causes before symptoms

SIGMAS = 3.0  # half-width of a band of ln q; beyond it by chance is one layer of 400
CHANCE = 0.9973  # the same, for the exact bands of linear and ReLU nets
SLACK = 1.5  # on an RMS: what the theory leaves out, such as the margins of convolutions
FLOOR = 1e-3  # further no start is expected to fade: GELU at 25 layers, sigmoids at 12
POOLED = 8.0  # change of the mean square by which layers may be linked: a maximum of 4 gives 3
ROOM, ROOM_FREE = 1.25, 9.0  # on gain², beyond sampling errors; and in nets that normalise
LAYER, LAYER_FREE = 4.0, 10.0  # a wrong rule's change of the spread (looks); any layer's
CONSTANT = 100.0  # mean² over variance of a feature: its direction is common to all inputs
BIASED = 2.0  # biases over the spread of the sums: a ReLU shifted so far is 2% on, or off
ENOUGH = 10  # inputs a class, for frequencies to mean something
UNBALANCED = 1 / 4  # share of ln C that the frequencies of the classes save
SMALL = 0.1  # γ of all normalisations, where none begins a branch as nothing
HUGE = 1e10  # no initializer draws it: memory that nothing was written to
STREAM = 3.0  # growth of a residual stream over √branches, which normalised ones give it
NOTHING = 1e-100  # a band below this belongs to a signal of 0, and says nothing
TINY, FAR = 1e-280, 300.0  # a mean square, and its logarithm, that nothing overflows with

# σ_w² that the summary recommends after an activation: least, best, highest.
RECOMMENDED = {
    "linear": (1.0, 1.0, 1.0),
    "tanh": (1.0, 1.0, 25 / 9),  # Glorot; PyTorch's 5/3
    "softsign": (1.0, 1.0, 25 / 9),
    "sigmoid": (1.0, 16.0, 16.0),
    "centred_sigmoid": (16.0, 16.0, 16.0),
    "selu": (9 / 16, 1.0, 1.0),  # PyTorch's 3/4
    "gelu": (2.0, 2.0, 2.353),  # He; the forward gain
    "silu": (2.0, 2.0, 2.812),
    "elu": (1.0, 1.55, 2.0),
}
GLOROT = ("linear", "tanh", "softsign", "sigmoid", "centred_sigmoid")  # by the average of fans


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong, or worth knowing; `code` is one of `CODES`, a note no illness.

    `measured` should be in `band`. `layer` is the name of the first one concerned, None for the
    data. `remedy` is a line of the framework's code, `link` a page of the book, and `found_in`
    says in how many seeds of how many it was found.
    """

    code: str
    level: str
    layer: str | None
    measured: float | None
    expected: float | None
    band: tuple[float, float] | None
    sentence: str
    remedy: str
    link: str
    found_in: tuple[int, int] | None = None


class Expected(NamedTuple):
    """(low, middle, high) of the RMS of a layer's sums and deltas; None where nothing is."""

    forward: tuple[float, float, float] | None
    backward: tuple[float, float, float] | None


class _Band(NamedTuple):
    ends: tuple[float, float, float]
    start: float  # RMS at the chain's first layer (the last one, of deltas)
    q: tuple[float, float] = (1.0, 1.0)  # E[q] at the least and at the highest gain


# --- The theory beside the measured.


@functools.cache
def _activation(name: str | None) -> activations.Activation:
    if name and name.startswith("leaky_relu("):
        return activations.make_leaky_relu(float(name[len("leaky_relu(") : -1]))
    return activations.get(name or "linear")


@functools.cache
def gains(activation: str | None) -> tuple[float, float, float]:
    """Return the least, best and highest σ_w² recommended after an activation: the summary's.

    >>> gains("relu")
    (2.0, 2.0, 2.0)
    """
    act = _activation(activation)
    own = round(theory.forward_gain(act) ** 2, 12)
    return RECOMMENDED.get(act.name, (own, own, own))


def _around(layer: Layer, before: Layer) -> tuple[float, float, float]:
    """Return the σ_w² recommended behind `before`, with what Glorot's average does to it."""
    least, best, highest = gains(before.activation)
    n, m = layer.fan_in, layer.fan_out
    if _activation(before.activation).name not in GLOROT:
        return least, best, highest
    glorot = max(1.0, 2 * n / (n + m))  # an orthogonal matrix into a wider layer has n/m
    return least * min(1.0, n / m), best * glorot, highest * glorot


def _is_judged(layer: Layer | None) -> bool:
    if layer is None or layer.weight is None or layer.outputs is None or layer.inputs is None:
        return False
    is_plain = layer.kind not in ("embedding", "attention", "recurrent", "normalisation")
    return is_plain and layer.sums is not None and layer.sums.finite == 1.0


def _link(layer: Layer | None, following: Layer) -> float | None:
    """Return the factor on the mean square from a layer to the next, None if it feeds another.

    A pooling may stand between; a sum with a residual stream may not.
    """
    if not (_is_judged(layer) and _is_judged(following)):
        return None
    if layer.branch or layer.activation is None or following.inputs.units % layer.outputs.units:
        return None
    if not layer.outputs.rms or not following.inputs.rms:
        return 1.0
    factor = _square(following.inputs.rms / layer.outputs.rms)
    return factor if 1 / POOLED < factor < POOLED else None


def _square(x: float) -> float:
    return min(max(x * x, TINY), 1 / TINY)  # x**2 of a Python float overflows with an error


def chains(look: Look) -> list[list[Layer]]:
    """Return the runs of layers without a normalisation, each fed by the one before it."""
    found: list[list[Layer]] = []
    for before, layer in itertools.pairwise([None, *look.layers]):
        if _is_judged(layer):
            is_linked = _link(before, layer) is not None and not before.normalised
            found[-1].append(layer) if is_linked else found.append([layer])
    return found


@functools.lru_cache(4096)
def _moments(name: str | None, q: float) -> tuple[float, float, float, float, float]:
    """Return E[φ²], Var(φ²)/E[φ²]², d ln E[φ²] / d ln q, E[φ′²] and 3 E[φ′⁴]/E[φ′²]² - 1."""
    act = _activation(name)
    q = min(max(q, 1e-12), 1e12)
    second, slope = theory.second_moment(act, q), theory.slope_moment(act, q)
    fourth = gaussian_mean(lambda u: act(u) ** 4, q, act.kinks)
    steep = gaussian_mean(lambda u: act.derivative(u) ** 4, q, act.kinks)
    power = theory.variance_slope(act, q) * q / second
    return second, fourth / second**2 - 1, power, slope, 3 * steep / slope**2 - 1


@functools.lru_cache(64)
def _exact(activation: str, units: int, depth: int) -> np.ndarray:
    band = theory.relu_band if activation == "relu" else theory.linear_band
    return np.log(np.maximum(band(units, depth, CHANCE), TINY)) * (-1, 1)


def _ends(low: float, high: float, below: float, above: float) -> tuple[float, float, float]:
    """Return the band of an RMS from two mean squares, and how far ln q may be off them."""
    low, middle = low * math.exp(-min(below, FAR)) / SLACK**2, math.sqrt(low) * math.sqrt(high)
    return math.sqrt(low), math.sqrt(middle), math.sqrt(high * math.exp(min(above, FAR))) * SLACK


def _forward(chain: list[Layer]) -> Iterator[_Band]:
    """Yield the band of each layer's sums after the first, from the measured q of that one.

    There are two trajectories, at the least and at the highest recommended gain, each with the
    variance of ln q that finite width gives it. For one input a layer of n units adds
    Var(φ²)/(n E[φ²]²), which is 2/n in a linear net and 5/n with ReLU; the slope of the variance
    map carries it on (chapter 5). The mean over a batch scatters as much where its inputs answer
    alike or mirrored, and less otherwise. For equal layers of ReLU or linear units the exact
    bands are taken as well.
    """
    first, start = chain[0], _square(chain[0].sums.rms)
    q, noise, drift = [start, start], [2 / first.sums.units] * 2, [0.0, 0.0]
    kinds = {(layer.activation, layer.sums.units) for layer in chain[:-1]}
    is_exact = len(kinds) == 1 and first.activation in ("relu", "linear")
    for depth, (before, layer) in enumerate(itertools.pairwise(chain), 1):
        for end, gain in enumerate(_around(layer, before)[::2]):
            second, scatter, power, _, _ = _moments(before.activation, q[end])
            noise[end] = power**2 * noise[end] + scatter / before.sums.units
            drift[end] = power * drift[end] - scatter / before.sums.units / 2
            q[end] = gain * second * _link(before, layer)
        off = [SIGMAS * math.sqrt(one + 2 / layer.sums.units) for one in noise]
        off[0] -= drift[0]  # the mean of ln q lies below ln E[q]
        if is_exact:
            of_first = SIGMAS * math.sqrt(2 / first.sums.units)
            exact = _exact(first.activation, first.sums.units, len(chain))[depth] + of_first
            off = np.maximum(off, exact).tolist()
        low, middle, high = _ends(*q, *off)
        if before.activation not in ("relu", "linear"):  # these have no scale of their own
            low = max(low, FLOOR * first.sums.rms)
        bias = 0.0 if layer.bias is None else float(np.sqrt(np.square(layer.bias).mean()))
        yield _Band((low, middle, high + bias), first.sums.rms, tuple(q))


def _backward(layers: list[Layer], forward: dict[int, _Band]) -> dict[int, _Band]:
    """Return the bands of the deltas by the layer's number, from the last ones of each run back.

    A layer's deltas have the mean square of the next one's times σ_w² fan_out/fan_in E[φ′²]
    (Glorot and Bengio 2010, eq. 6). Through a normalisation the factor is the next sums' mean
    square over the square of what these sums are divided by: with ReLU the π/(π-1) of batch
    normalisation's own growth (Yang et al. 2019, A mean field theory of batch normalization).
    """
    found: dict[int, _Band] = {}
    following = None
    for number, layer in reversed(list(enumerate(layers))):
        if layer.kind == "normalisation":
            following = None if layer.opens else following
            continue
        if layer.deltas is None or not layer.deltas.rms > 0 or number not in forward:
            following = None
            continue
        # A branch may end small, and then hands down little; the rest goes past its start.
        is_open = following is not None and not (following.branch or following.opens)
        factor = _link(layer, following) if is_open else None
        if factor is None or abs(factor - 1) > 0.05:  # a pooling spreads or gathers deltas
            start, noise = layer.deltas.rms, 0.0
            low = high = _square(start)
        else:
            least, _, highest = _around(following, layer)
            ratio = following.fan_out / following.fan_in
            two = [_moments(layer.activation, q) for q in forward[number].q]
            ends = [gain * ratio * one[3] for gain, one in zip((least, highest), two)]
            if layer.normalised:
                second, _, _, slope, _ = _moments(layer.activation, 1.0)
                size = slope / second * ratio * _square(following.sums.rms)
                ends = [size / _square(s) for s in (layer.sums.rms, layer.sums.across)]
            low, high = low * min(ends), high * max(ends)
            noise += two[0][4] / layer.sums.units
        wide = SIGMAS * math.sqrt(noise)
        found[number] = _Band(_ends(low, high, wide + noise / 2, wide), start)
        following = layer
    return found


class _Case:
    """A look, what several criteria need of it, and what was found."""

    def __init__(self, look: Look) -> None:
        if not isinstance(look, Look):
            _checks.fail("look", "a Look", look, TypeError)
        self.look, self.found = look, []
        by_key = {layer.key or layer.name: layer for layer in reversed(look.layers)}
        self.layers = [x for x in reversed(by_key.values()) if x.weight is not None]
        calls = [x for x in look.layers if x.weight is not None]
        self.before = {id(x): one for one, x in itertools.pairwise(calls)}
        ends = [x for x in calls if x.kind not in ("embedding", "attention")]
        self.last = ends[-1] if ends else None
        self.branches = sum(x.branch is not None for x in look.layers)
        self.free = self.branches > 0 or any(x.kind == "normalisation" for x in look.layers)
        self.forward = self._bands()
        hidden = {n: band for n, band in self.forward.items() if look.layers[n] is not self.last}
        self.backward = _backward(look.layers, hidden)  # a small output layer hands down little

    @functools.cached_property
    def schemes(self) -> dict[int, Scheme | None]:
        return {id(layer): identify(layer, self.branches) for layer in self.layers}

    def range(self, layer: Layer) -> tuple[float, float, float, float]:
        """Return σ_w² for the φ before and behind a layer: least, best, most, and highest."""
        around, own = _around(layer, self.before.get(id(layer), layer)), gains(layer.activation)
        is_end = layer is self.last or layer.branch is not None  # which may be small
        least = 0.0 if is_end else min(around[0], own[0])
        return least, own[1], max(around[1], own[1]), max(around[2], own[2])

    def _bands(self) -> dict[int, _Band]:
        number = {id(layer): n for n, layer in enumerate(self.look.layers)}
        found = {}
        for chain in chains(self.look):
            first, q = chain[0], _square(chain[0].sums.rms)
            least, _, _, highest = self.range(first)
            size, off = _square(first.inputs.rms), SIGMAS * math.sqrt(2 / first.sums.units)
            ends = _ends(least * size, highest * size, off, off)
            bands = [_Band(ends, first.sums.rms, (q, q)), *_forward(chain)]
            found |= {number[id(layer)]: band for layer, band in zip(chain, bands)}
        return found

    def most_of_last(self) -> float:
        """Return the largest RMS expected of the output layer, 0 where nothing is."""
        number = next((n for n, x in enumerate(self.look.layers) if x is self.last), -1)
        return self.forward[number].ends[2] if number in self.forward else 0.0

    def add(
        self, code: str, says: str, layer: Layer | None, measured: Any = None,
        expects: Any = None, band: Any = None, level: str = "", change: Any = None, **words: Any,
    ) -> None:  # fmt: skip
        """Add a finding in the words of the catalogue, of a `level`, or if it does harm.

        It does where `change` (by default `measured`) is beyond the code's limits.
        """
        entry, about = CATALOGUE[code], layer or self.last
        change = measured if change is None else change
        left = [name for name in LEVELS[:2] if not _is_within(change, entry.get(name))]
        if not level and not left:
            return
        known = {"layer": about, "measured": measured, "expected": expects, "change": change}
        known["low"], known["high"] = band or (None, None)
        known["sd"] = math.sqrt(self.range(about)[1] / about.fan_in) if about else 0.0
        remedy = entry.get("remedies", {}).get(says, entry["remedy"])
        remedy = remedy if isinstance(remedy, str) or about else ""
        remedy = remedy[self.look.framework] if isinstance(remedy, dict) else remedy
        texts = [text.format(**known | words) for text in (entry["says"][says], remedy)]
        name, level = layer.name if layer else None, level or left[0]
        one = Finding(code, level, name, measured, expects, band, *texts, entry["link"])
        self.found.append(one)


def _is_within(value: float, ends: list[float | None] | None) -> bool:
    low, high = ends or (None, None)
    return (low is None or value >= low) and (high is None or value <= high)


def expected(look: Look) -> list[Expected]:
    """Return what the theory expects of each layer of a look, in their order.

    The band of the sums' RMS is that of recommended weights, from the measured first layer of
    each chain on; that of the deltas' from the last hidden ones back. A chain ends at a
    normalisation or a residual stream.

    Parameters
    ----------
    look : Look
    """
    case = _Case(look)
    sides = (case.forward, case.backward)
    bands = [{n: one.ends for n, one in side.items() if one.ends[2] > NOTHING} for side in sides]
    return [Expected(*(side.get(n) for side in bands)) for n in range(len(look.layers))]


# --- The criteria. Each adds what it finds; the last part decides what is cause and symptom.


def _finite(case: _Case) -> None:
    """NaN and infinity are results: the first place that holds one, in the order of computation."""
    look, add = case.look, functools.partial(case.add, "not-finite", level="fault")
    if look.inputs is not None and not np.isfinite(look.inputs).all():
        add("inputs", None)
    for name, tensor in look.tensors.items():
        good = np.isfinite(tensor)
        largest = np.abs(tensor[good], dtype=np.float64).max(initial=0.0)
        if not good.all() or (tensor.dtype.kind == "f" and largest > HUGE):
            what = f"numbers up to {largest:.0e}" if good.all() else "NaN or infinity"
            layer = next((x for x in case.layers if x.key == name), None)
            return add("tensor", layer, float(largest), tensor=name, what=what)
    way = itertools.product(look.layers, ("inputs", "sums", "outputs"))
    back = itertools.product(reversed(look.layers), ("deltas", "gradient"))
    for layer, what in itertools.chain(way, back):
        if (signal := getattr(layer, what)) is not None and signal.finite < 1.0:
            return add("signal", layer, signal.finite, 1.0, what=what)
    if look.loss is not None and not math.isfinite(look.loss):
        add("loss", None, look.loss)


def _symmetry(case: _Case) -> None:
    """Units that start equal and get equal gradients stay equal (chapter 2)."""
    seen: dict[tuple, Layer] = {}
    for layer in case.layers:
        scheme, units = case.schemes[id(layer)], layer.weight.shape[0] * layer.weight.shape[2]
        if scheme is None or layer.kind == "embedding":
            continue
        apart, is_last = layer.distinct_gradients, layer is case.last
        if layer.distinct is not None and layer.distinct <= 0.9 * units:
            level = "watch" if apart is None else "note" if apart > layer.distinct else "fault"
            is_zero_end = scheme.kind == "zeros" and (layer.branch is not None or is_last)
            if not is_zero_end or (level == "fault" and not is_last):
                case.add("equal-units", level, layer, layer.distinct, units, level=level)
        if scheme.kind in ("zeros", "constant", "identity"):
            continue
        first = seen.setdefault((layer.weight.shape, float(layer.weight.sum())), layer)
        if first is not layer and np.array_equal(first.weight, layer.weight):
            case.add("equal-layers", "fault", layer, level="fault", other=first.name)


def _data(case: _Case) -> None:
    """The first layer multiplies the inputs' mean square (chapter 5), tokens aside."""
    x, layers = case.look.inputs, case.look.layers
    if x is None or any(layer.kind == "embedding" for layer in layers) or not np.isfinite(x).all():
        return
    x = np.asarray(x, np.float64).reshape(len(x), -1)
    level = "note" if layers and layers[0].kind == "normalisation" else ""
    size, band = float(np.square(x).mean()), CATALOGUE["input-scale"]["watch"]
    first = layers[0].inputs if layers else None
    is_seen = first and first.finite == 1.0 and first.rms > 0 and size < 1 / TINY
    got = _square(first.rms) if is_seen else size
    if max(got, size) > 2 * min(got, size):  # the model scales them itself
        if not _is_within(got, CATALOGUE["input-scale"]["fault"]):
            case.add("input-scale", "inside", layers[0], got, 1.0, tuple(band), level, of_x=size)
    elif not _is_within(size, band):
        says = "pixels" if x.min() >= 0 and 100 < x.max() <= 255 else "plain"
        case.add("input-scale", says, None, size, 1.0, tuple(band), level)
    used = x[:, (x != 0).any(axis=0)]
    if len(x) >= ENOUGH and used.size:
        share = float((used.mean(axis=0) ** 2 > CONSTANT * used.var(axis=0)).mean())
        is_one = not np.ptp(x, axis=0).any()
        if share > 0.5:
            level = "fault" if is_one else level or "watch"
            case.add("input-constant", "all" if is_one else "most", None, share, 0.0, level=level)


def _entropy(z: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.logaddexp.reduce(z, axis=1) - z[np.arange(len(y)), y]


def _logits(look: Look, is_raw: bool = False) -> tuple[np.ndarray, np.ndarray] | None:
    """Return logits (inputs, classes) and labels (inputs,); of one logit two classes.

    Probabilities become logits, unless the outputs are wanted as they are.
    """
    if look.task != "classes" or look.outputs is None or look.targets is None:
        return None
    z, y = look.outputs.reshape(-1, look.outputs.shape[-1]), np.asarray(look.targets)
    y = y.reshape(z.shape).argmax(axis=1) if y.size == z.size > len(z) else y.reshape(-1)
    if len(y) != len(z) or not np.isfinite(z).all() or not np.isfinite(y).all():
        return None
    kept = y != -100  # PyTorch's mark of what does not count
    z, y = z[kept], y[kept].astype(np.int64)
    if not len(y):
        return None
    if z.shape[1] == 1:  # a logit, or a probability
        is_probability = 0 <= z.min() and z.max() <= 1 and not is_raw
        z = np.concatenate([1 - z if is_probability else np.zeros_like(z), z], axis=1)
    is_probability = z.min() >= 0 and np.allclose(z.sum(axis=1), 1, atol=1e-3) and not is_raw
    return np.log(np.maximum(z, 1e-12)) if is_probability else z, y


def _losses(case: _Case) -> None:
    """ln C for C classes is a guess; logits of spread s add about (1 - 1/C) s²/2 (chapter 4)."""
    look, last, pair = case.look, case.last, _logits(case.look)
    if last is not None and not last.weight.any():
        says, classes = ("exactly", pair[0].shape[1]) if pair else ("plain", 0)
        case.add("zero-output", says, last, look.loss, level="note", classes=classes)
    if pair is None:
        return _regression(case)
    z, y = pair
    classes, low, high = z.shape[1], int(y.min()), int(y.max())
    if low < 0 or high >= classes:
        shift = ": they are counted from 1" if (low, high) == (1, classes) else ""
        return case.add(
            "labels", "range", None, high, classes - 1.0, (low, high), "fault", shift=shift
        )
    count, guess = np.bincount(y, minlength=classes), math.log(classes)
    if low == high and len(y) >= ENOUGH:
        return case.add("labels", "single", None, high, None, (low, high), "fault")
    if classes > 2 and len(y) >= ENOUGH * classes and not count[0] and count[1:].all():
        case.add("labels", "shifted", None, low, 0.0, level="watch")
    own, twice = _entropy(z, y), _entropy(*_logits(look, is_raw=True)).mean()
    if look.loss is not None and math.isclose(look.loss, twice, rel_tol=1e-4):
        if not math.isclose(twice, own.mean(), rel_tol=1e-3):
            case.add("first-loss", "twice", last, look.loss, float(own.mean()), level="fault")
            return
    loss = float(own.mean()) if look.loss is None or not math.isfinite(look.loss) else look.loss
    if loss > 2 * own.mean() and math.isclose(loss, own.sum(), rel_tol=0.01):
        return case.add("first-loss", "summed", None, loss, float(own.mean()), level="watch")
    # C normal logits of deviation s give at most ln C + s²/2, from s² = 2 ln C on s √(2 ln C).
    most, corner = case.most_of_last(), math.sqrt(2 * guess)
    healthy = guess + most**2 / 2 if most < corner else most * corner
    is_large = any(one.code in WEIGHTS and one.measured > one.expected for one in case.found)
    if loss > healthy or is_large:
        spread = float((z - z.mean(axis=1, keepdims=True)).std())
        words = {"classes": classes, "spread": spread, "added": (1 - 1 / classes) / 2}
        band = (0.0, healthy)
        case.add("first-loss", "logits", last, loss, guess, band, "", loss / guess, **words)
    p = count[count > 0] / len(y)
    saved = guess + float((p * np.log(p)).sum())  # ln C less the entropy of the classes
    is_flat = last is not None and (last.bias is None or np.ptp(last.bias) < 1)
    is_late = saved > UNBALANCED * guess and loss > guess - saved / 2
    if is_flat and is_late and len(y) >= ENOUGH * classes:
        says, words = "plain" if last.weight.shape[2] > 1 else "one", {"classes": classes}
        case.add("class-bias", says, last, loss, guess - saved, level="watch", **words)


def _regression(case: _Case) -> None:
    """The best guess of a target is its mean, and the error then its variance."""
    look = case.look
    if look.task != "regression" or look.outputs is None or look.targets is None:
        return
    t = np.asarray(look.targets, np.float64)
    if t.size != look.outputs.size or len(t) < ENOUGH or not np.isfinite(t).all():
        return
    out = look.outputs.reshape(t.shape)
    error, mean = float(np.square(out - t).mean()), float(np.sqrt(np.square(t.mean(0)).mean()))
    is_plain = re.fullmatch(r"(?i)(mse|smooth_?l1|l1|huber)_?loss", look.loss_name)
    if is_plain and look.framework == "torch" and t.shape != look.outputs.shape:
        shapes = {"out": look.outputs.shape, "of_y": t.shape}
        return case.add("target-scale", "shape", None, look.loss, level="fault", **shapes)
    spread, size = math.sqrt(float(t.var(axis=0).mean())), float(np.sqrt(np.square(out).mean()))
    ratio, target = error / max(spread**2, TINY), spread**2
    if size**2 < error / 2 or spread < 1 / 100:  # the targets' size, not the outputs'
        words = {"change": max(ratio, spread), "mean": mean, "spread": spread}
        case.add("target-scale", "plain", None, error, target, **words)
    elif size > case.most_of_last():
        case.add("first-loss", "regression", case.last, error, target, change=ratio)


def _scales(case: _Case) -> None:
    """A zero γ at the end of a branch is usual (chapter 9); elsewhere it stops the signal."""
    layers = case.look.layers
    norms = [(n, layer) for n, layer in enumerate(layers) if layer.scale is not None]
    zero = [(n, layer) for n, layer in norms if not layer.scale.any()]
    is_blind = len(zero) == len(norms) and not case.branches
    is_silent = [
        is_blind or any(x.inputs and not x.inputs.rms for x in layers[n:]) for n, _ in zero
    ]
    if zero:
        level, (_, layer) = "fault" if any(is_silent) else "note", zero[np.argmax(is_silent)]
        case.add("zero-scales", level, layer, len(zero), len(norms), level=level)
    sizes = [float(np.sqrt(np.square(layer.scale).mean())) for _, layer in norms]
    if sizes and max(sizes) < SMALL and not (zero or case.branches):
        case.add("zero-scales", "small", norms[0][1], sizes[0], 1.0, (SMALL, 1.0), "watch")


WEIGHTS = ("packed-qkv", "fans", "weight-scale")


def _weights(case: _Case) -> None:
    """The rules with the true fans (chapters 5 to 8). A deviation alone is a note.

    It is one to watch beyond what a layer, or layers of one wrong rule together, may do.
    """
    off: dict[int, float] = {}
    wrong = {id(x): set() for x in case.layers}
    for layer in case.layers:
        scheme = case.schemes[id(layer)]
        if scheme is None or not scheme.sd or layer.kind in ("embedding", "recurrent"):
            continue
        least, best, most, highest = case.range(layer)
        gain2, room = _square(scheme.sd) * layer.fan_in, ROOM * (1 + SIGMAS * scheme.error) ** 2
        if case.free and scheme.rule and scheme.rule.fans == "fixed":
            least = 0.0  # 0.02 at every width
        if scheme.rule and scheme.rule.fans in WRONG:
            wrong[id(layer)] = {rule.fans for rule in scheme.fits}
        is_exact = wrong[id(layer)] - {"fan_out"}  # a rule of another layer's shape
        free = ROOM_FREE if case.free and not is_exact else 1.0
        is_right = least / free <= gain2 * room and gain2 <= most * free * room
        is_known = layer.activation is None and scheme.rule and not wrong[id(layer)]
        if not (is_right or is_known or highest / room <= gain2 <= highest * room):
            off[id(layer)] = math.sqrt(gain2 / (most if gain2 > most else least or best))
    count = Counter(fans for one in off for fans in wrong[one])
    plain = [x for x in case.layers if id(x) in off and x.kind != "attention"]
    alone = [x for x in plain if not (x.normalised or x is case.last)]
    total = math.prod(off[id(x)] for x in alone if wrong[id(x)])
    rows = []
    for layer in (x for x in case.layers if id(x) in off):
        scheme, (least, best, most, _) = case.schemes[id(layer)], case.range(layer)
        fans = max(wrong[id(layer)], key=lambda one: (count[one], one), default="")
        rule = next((one for one in scheme.fits if one.fans == fans), scheme.rule)
        is_packed = layer.kind == "attention" and len(layer.weight) == 3 and fans == "library"
        code = "packed-qkv" if is_packed else "fans" if fans in WRONG[:3] else "weight-scale"
        one = total if fans and layer in alone else off[id(layer)]
        limit = LAYER if fans else LAYER_FREE
        is_end = layer.normalised or layer is case.last or (case.free and not fans)
        level = "watch" if not is_end and not 1 / limit < one < limit else "note"
        measured, right, *band = (
            math.sqrt(g) for g in (_square(scheme.sd) * layer.fan_in, best, least, most)
        )
        name = f", that of {rule.name}" if rule and rule.fans != "fixed" else ""
        words = {"sd_is": scheme.sd, "rule": name, "phi": layer.activation or "the rule"}
        rows.append(((code, "gain", layer, measured, right, tuple(band)), level, words))
    for row, _, words in rows:  # the first layer of a code, at the level of its worst
        worst = min((one for other, one, _ in rows if other[0] == row[0]), key=LEVELS.index)
        case.add(*row, worst, **words)


def _embeddings(case: _Case) -> None:
    """A head that is tied to an embedding gives logits of its size times √units."""
    tables = {layer.key: layer for layer in case.look.layers if layer.kind == "embedding"}
    for head in case.look.layers:
        if head.kind != "embedding" and head.key in tables:
            size = math.sqrt(float(np.square(head.weight).mean()) * head.fan_in)
            size, words = head.sums.rms if head.sums else size, {"other": head.name, "sd": 0.02}
            case.add("embedding-scale", "plain", tables[head.key], size, 1.0, **words)


def _biases(case: _Case) -> None:
    """A bias beyond the spread of the sums fixes what a unit does for all inputs."""
    for layer in case.layers:
        if layer.bias is None or layer is case.last or layer.kind == "recurrent":
            continue
        size = float(np.sqrt(np.square(layer.bias).mean()))
        spread = layer.sums.across if layer.sums else 1.0
        if size > BIASED * spread > 0:
            band = (0.0, BIASED * spread)
            case.add("bias-scale", "plain", layer, size, 0.0, band, "note", spread=spread)


def _levels(case: _Case) -> None:
    """Sums and deltas that leave their bands, and change by what does harm."""
    ways = (("forward", case.forward), ("backward", case.backward))
    for (way, bands), verb in itertools.product(ways, ("vanishes", "explodes")):
        out, changes, is_back = [], [1.0], way == "backward"
        for number, band in sorted(bands.items(), reverse=is_back):
            layer, (low, middle, high) = case.look.layers[number], band.ends
            is_end = layer is case.last or layer.branch is not None or not layer.weight.any()
            rms = layer.deltas.rms if is_back else layer.sums.rms
            # A small end is legal, and a large one the first loss's, or the stream's.
            if (is_back or not is_end) and (rms < low if verb == "vanishes" else rms > high):
                out.append((layer, rms, middle, (low, high)))
                changes.append(rms / band.start if band.start else 1.0)
        if out:
            change = (min if verb == "vanishes" else max)(changes)
            case.add(f"{way}-{verb}", "band", *out[0], change=change)


def _alike(case: _Case) -> None:
    """The spread across inputs is lost while the size stays (chapters 3 and 6: sigmoids).

    Where the gain is that of the summary, as sigmoids' 4, a loss is expected, down to `FLOOR`.
    """
    limit = CATALOGUE["inputs-alike"]["watch"][0]
    for chain in chains(case.look):
        hidden = [x for x in chain if x is not case.last]
        left = [x.sums.across / x.sums.rms if x.sums.rms else 0.0 for x in hidden]
        for n, layer in enumerate(hidden[1:], 1):
            part = left[n] / left[0] if left[0] and left[n] else 1.0
            is_small = np.square(layer.weight).mean() * layer.fan_in < case.range(layer)[1] / 2
            if part < (limit if is_small else FLOOR):
                words = {"every": n / -math.log(part), "cosine": layer.sums.cosine}
                words["change"] = min(left[n:]) / left[0]
                case.add("inputs-alike", "band", layer, part, 1.0, (limit, 1.0), **words)
                break


def _units(case: _Case) -> None:
    """Units that are dead, and numbers at an end of their activation's range."""
    if any(one.code == "zero-scales" for one in case.found):
        return  # which is why they are zero
    for layer in case.look.layers:
        if not _is_judged(layer) or layer is case.last or not layer.weight.any():
            continue  # zeros are legal, or equal units
        # Where inputs have become alike half of the units are off, give or take.
        by_chance = 0.5 + SIGMAS * 0.5 / math.sqrt(layer.outputs.units)
        dead, share = layer.outputs.dead, layer.outputs.saturated
        if layer.activation == "relu" and (dead > by_chance or dead == 1.0):
            case.add("dead-units", "plain", layer, dead, 0.0)
        if not math.isnan(share):
            case.add("saturated", "plain", layer, share, 0.0)


def _streams(case: _Case) -> None:
    """Chapter 9: a stream grows by √2 a block, by √branches where these normalise, or hardly."""
    ends = [x for x in case.look.layers if x.branch is not None and x.stream and x.stream.rms]
    if len(ends) < 2:
        return
    first, growth, root = ends[0], ends[-1].stream.rms / ends[0].stream.rms, math.sqrt(len(ends))
    words = {"branches": len(ends), "growth": growth}
    rules = [scheme.rule for x in ends if (scheme := case.schemes.get(id(x)))]
    is_undivided = len(rules) >= 4 and all(rule and rule.name == "sd 0.02" for rule in rules)
    if growth > STREAM * root:
        sd, band = math.sqrt(case.range(first)[1] / first.fan_in) / root, (0.0, STREAM * root)
        case.add("residual-growth", "growth", first, growth, 1.0, band, sd=sd, **words)
    elif is_undivided and growth > SLACK:  # it does not grow if the sums are normalised
        sd, band = 0.02 / root, (0.0, 0.02 / root)
        case.add("residual-growth", "undivided", first, 0.02, sd, band, "watch", sd=sd, **words)


def _steps(case: _Case) -> None:
    """A first step as large as the weights replaces the start by one batch's gradient."""
    for layer in case.layers:
        step, (least, best, _, _) = layer.update, case.range(layer)
        if step is not None and layer.kind != "embedding" and layer.weight.any():
            # An end may be small; elsewhere 1/3 is the least of the rules: PyTorch's default.
            usual = best if least == 0.0 else 1 / 3
            size = math.sqrt(float(np.square(layer.weight).mean()) * layer.fan_in / usual)
            change = step * min(size, 1.0)
            case.add("first-step", "plain", layer, step, 0.01, change=change, factor=change / 0.01)


def _cut(case: _Case) -> None:
    """A gradient comes back to the first layer, unless it is frozen or something cuts the way."""
    last, trained = case.last, [x for x in case.layers if x.trainable]
    if last and last.activation == "relu" and last.outputs and last.outputs.dead == 1.0:
        if last.weight.any():
            case.add("no-gradient", "dead", last, 0.0, level="fault")
    elif case.look.loss is not None and trained and not trained[0].gradient:
        case.add("no-gradient", "cut", trained[0], 0.0, level="fault")


CRITERIA = (
    *(_finite, _symmetry, _data, _scales, _weights, _embeddings, _biases, _losses),
    *(_cut, _levels, _alike, _units, _streams, _steps),
)
RAISED = (*WEIGHTS, "bias-scale")


def _settled(found: list[Finding]) -> list[Finding]:
    """Return one finding a code: causes, raised to the level of their symptoms, and the rest."""

    def rank(one: Finding) -> tuple[int, int]:
        return LEVELS.index(one.level), CODES.index(one.code)

    left: dict[str, Finding] = {}
    for one in sorted(found, key=rank):
        left.setdefault(one.code, one)
    kept = []
    for code, entry in CATALOGUE.items():
        if (cause := left.pop(code, None)) is None:
            continue
        explained = entry.get("explains", ())
        if code in WEIGHTS:
            explained = explained["large" if cause.measured > cause.expected else "small"]
        if cause.level != "note" or code in (*RAISED, "zero-output"):
            symptoms = sorted([left.pop(one) for one in explained if one in left], key=rank)
            if symptoms and code in RAISED and symptoms[0].level != "note":
                sentence = f"{cause.sentence}; {symptoms[0].sentence}"
                level = min(cause, symptoms[0], key=rank).level
                cause = replace(cause, level=level, sentence=sentence)
        kept.append(cause)
    return sorted(kept, key=rank)


def findings(look: Look) -> list[Finding]:
    """Return what is wrong with a net, the diagnosis first; a healthy one has notes at most.

    There is at most one finding a code: faults, then what to watch, then notes, and causes
    before symptoms.

    Parameters
    ----------
    look : Look
    """
    case = _Case(look)
    with np.errstate(over="ignore", invalid="ignore"):  # numbers near the largest are results
        for criterion in CRITERIA:
            criterion(case)
    return _settled(case.found)
