"""What is wrong with a net, judged by one `Look` at it: causes before symptoms.

The bands are the theory's, for the widths and depths at hand: `expected`. What leaves its band is
a finding only where the change is also large enough to do harm, as the chapters measured it. A
symptom that a found cause explains is no finding of its own; it gives the cause its level.
"""

from __future__ import annotations

import functools
import itertools
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from initcore import _checks, activations, probes, theory
from initcore._quadrature import gaussian_mean
from initcore.diagnosis.identify import WRONG, identify
from initcore.diagnosis.look import Layer, Look

LEVELS = ("fault", "watch", "note")
# Every code, causes before symptoms: its page of the book, its sentences, the line that helps.
CATALOGUE = json.loads(Path(__file__).with_name("findings.json").read_text("utf-8"))
CODES = tuple(CATALOGUE)

# --- Thresholds. "Looks" is the page "My model does not train", whose bounds are tested.

SIGMAS = 3.0  # half-width of a band of ln q; beyond it by chance is one layer of 400
CHANCE = 0.9973  # the same, for the exact bands of linear and ReLU nets
SLACK = 1.5  # on an RMS: what the theory leaves out, such as the margins of convolutions
FALL, FALLEN = 1 / 8, 1 / 100  # change of the sums: chapter 4 learnt at 0.03, nothing at 0.002
GROWTH, GROWN = 5.0, 10.0  # the same: chapter 4 learnt at 2.4, and nothing at 16
FLOOR = 1e-3  # further no start is expected to fade: GELU at 25 layers, sigmoids at 12
ALIKE, SAME = 1 / 30, 1 / 100  # spread across inputs over RMS: four and five layers of sigmoids
STEEP, STEEPER = 30.0, 100.0  # change of the deltas: looks
TYPICAL = 30.0  # RMS of the deltas over their median, which is 1.5 for normal ones: looks
ROOM, ROOM_FREE = 1.25, 9.0  # on gain², beyond sampling errors; and in nets that normalise
LAYER = 4.0  # by more no layer alone may change the spread: looks
INPUTS, RAW = (1 / 100, 10.0), 100.0  # mean square of the inputs: looks; a fault
CONSTANT = 100.0  # mean² over variance of a feature: its direction is common to all inputs
LOSS, LARGE_LOSS = 2.5, 5.0  # first loss over ln C; a fault: looks
ENOUGH = 10  # inputs a class, for frequencies to mean something
UNBALANCED = 1 / 4  # share of ln C that the frequencies of the classes save
TARGETS = 10.0  # first error over the targets' variance; spread of the targets
DEAD = 3 / 4  # share of dead units: looks
SATURATED, MOSTLY = 1 / 4, 1 / 2  # share of saturated numbers: looks; a fault
BIASED = 2.0  # RMS of biases over the spread of the sums: a ReLU shifted so far is 2% on or off
STEP, JUMP = 0.1, 1.0  # first step over weight; a hundredth is usual under Adam
HUGE = 1e10  # no initializer draws it: memory that nothing was written to
STREAM = 3.0  # growth of a residual stream over √branches, which normalised ones give it
EPSILON = 1e-5  # of batch normalisation: below its root the spread is not made 1
TINY = 1e-280

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
    """One thing that is wrong, or worth knowing.

    Attributes
    ----------
    code : str
        One of `CODES`.
    level : {"fault", "watch", "note"}
        A note alone is no illness.
    layer : str or None
        The first layer concerned; None for the data.
    measured, expected : float or None
    band : tuple of (float, float) or None
        Where `measured` should be.
    sentence, remedy, link : str
        In words; one line of the framework's code; a page of the book.
    found_in : tuple of (int, int) or None
        In how many seeds, and of how many.
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
    factor = (following.inputs.rms / layer.outputs.rms) ** 2
    return factor if 1 / 8 < factor < 8 else None


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
    return band(units, depth, CHANCE)


def _ends(low: float, high: float, sigmas: tuple[float, float]) -> tuple[float, float, float]:
    """Return the band of an RMS from two mean squares and how far ln q scatters below, above."""
    ends = low * math.exp(-sigmas[0]) / SLACK**2, math.sqrt(low * high)
    return tuple(math.sqrt(q) for q in (*ends, high * math.exp(sigmas[1]) * SLACK**2))


def _forward(chain: list[Layer], inputs: int) -> Iterator[_Band]:
    """Yield the band of each layer's sums after the first, from the measured q of that one.

    There are two trajectories, at the least and at the highest recommended gain, each with the
    variance of ln q that finite width gives it. A layer of n units adds Var(φ²)/(n E[φ²]²), which
    is 2/n in a linear net and 5/n with ReLU; the slope of the variance map carries it on (chapter
    5). In a batch only what the inputs have in common counts, the square of their cosine. For
    equal layers of ReLU or linear units the exact bands of one input are taken as well.
    """
    first = chain[0]
    start = max(first.sums.rms**2, TINY)
    q, noise, drift = [start, start], [2 / first.sums.units] * 2, [0.0, 0.0]
    kinds = {(layer.activation, layer.sums.units) for layer in chain[:-1]}
    is_exact = len(kinds) == 1 and first.activation in ("relu", "linear")
    exact = _exact(first.activation, first.sums.units, len(chain)) if is_exact else None
    for depth, (before, layer) in enumerate(itertools.pairwise(chain), 1):
        cosine = 1.0 if math.isnan(before.outputs.cosine) else before.outputs.cosine
        common = 1 / inputs + (1 - 1 / inputs) * cosine**2
        least, _, highest = _around(layer, before)
        for end, gain in enumerate((least, highest)):
            second, scatter, power, _, _ = _moments(before.activation, q[end])
            noise[end] = power**2 * noise[end] + scatter * common / before.sums.units
            drift[end] = power * drift[end] - scatter * common / before.sums.units / 2
            q[end] = gain * second * _link(before, layer)
        q[0] = max(q[0], FLOOR**2 * start)
        sigmas = [SIGMAS * math.sqrt(one + 2 / layer.sums.units) for one in noise]
        sigmas[0] -= drift[0]  # the mean of ln q lies below ln E[q]
        if exact is not None:
            of_first = SIGMAS * math.sqrt(2 / first.sums.units)
            outer = -math.log(max(exact[depth, 0], TINY)), math.log(exact[depth, 1])
            sigmas = [max(s, one + of_first) for s, one in zip(sigmas, outer)]
        low, middle, high = _ends(*q, sigmas)
        bias = 0.0 if layer.bias is None else float(np.sqrt(np.square(layer.bias).mean()))
        yield _Band((low, middle, high + bias), first.sums.rms, tuple(q))


def _backward(look: Look, forward: dict[int, _Band]) -> dict[int, _Band]:
    """Return the bands of the deltas by the layer's number, from the last ones of each run back.

    A layer's deltas have the mean square of the next one's times σ_w² fan_out/fan_in E[φ′²]
    (Glorot and Bengio 2010, eq. 6). Through a normalisation the factor is the next sums' mean
    square over the square of what these sums are divided by: with ReLU the π/(π-1) of batch
    normalisation's own growth (Yang et al. 2019, A mean field theory of batch normalization).
    """
    found: dict[int, _Band] = {}
    following = None
    for number, layer in reversed(list(enumerate(look.layers))):
        if layer.kind == "normalisation":
            continue
        if layer.deltas is None or not layer.deltas.rms > 0 or number not in forward:
            following = None
            continue
        factor = None if following is None else _link(layer, following)
        if factor is None or abs(factor - 1) > 0.05:  # a pooling spreads or gathers deltas
            start, noise = layer.deltas.rms, 0.0
            low = high = start**2
        else:
            ratio = following.fan_out / following.fan_in
            if layer.normalised:
                second, _, _, slope, scatter = _moments(layer.activation, 1.0)
                size = slope / second * following.sums.rms**2 * ratio
                ends = [size / max(s, TINY) ** 2 for s in (layer.sums.rms, layer.sums.across)]
            else:
                least, _, highest = _around(following, layer)
                both = [_moments(layer.activation, q) for q in forward[number].q]
                ends = [gain * ratio * one[3] for gain, one in zip((least, highest), both)]
                scatter = both[0][4]
            low, high = low * min(ends), high * max(ends)
            noise += scatter / layer.sums.units
        wide = SIGMAS * math.sqrt(noise)
        found[number] = _Band(_ends(low, high, (wide + noise / 2, wide)), start)
        following = layer
    return found


class _Case:
    """A look, and what several criteria need of it."""

    def __init__(self, look: Look) -> None:
        if not isinstance(look, Look):
            _checks.fail("look", "a Look", look, TypeError)
        self.look = look
        by_key = {layer.key or layer.name: layer for layer in reversed(look.layers)}
        self.layers = [x for x in reversed(by_key.values()) if x.weight is not None]
        calls = [x for x in look.layers if x.weight is not None]
        self.before = {id(x): one for one, x in itertools.pairwise(calls)}
        ends = [x for x in calls if x.kind != "embedding"]
        self.last = ends[-1] if ends else None
        self.branches = sum(x.branch is not None for x in look.layers)
        self.free = self.branches > 0 or any(x.kind == "normalisation" for x in look.layers)
        self.forward = self._bands()
        self.backward = _backward(look, self.forward)

    @functools.cached_property
    def schemes(self) -> dict[int, Any]:
        return {id(layer): identify(layer, self.branches) for layer in self.layers}

    def range(self, layer: Layer) -> tuple[float, float, float, float]:
        """Return σ_w² for the φ before and behind a layer: least, best, most, and highest."""
        around, own = _around(layer, self.before.get(id(layer), layer)), gains(layer.activation)
        least = 0.0 if layer is self.last else min(around[0], own[0])
        return least, own[1], max(around[1], own[1]), max(around[2], own[2])

    def _bands(self) -> dict[int, _Band]:
        inputs = 1 if self.look.inputs is None else max(len(self.look.inputs), 1)
        number = {id(layer): n for n, layer in enumerate(self.look.layers)}
        found = {}
        for chain in chains(self.look):
            first = chain[0]
            least, _, _, highest = self.range(first)
            size, sigma = first.inputs.rms**2, SIGMAS * math.sqrt(2 / first.sums.units)
            ends = _ends(least * size, highest * size, (sigma, sigma))
            q = max(first.sums.rms**2, TINY)
            found[number[id(first)]] = _Band(ends, first.sums.rms, (q, q))
            bands = _forward(chain, inputs)
            found |= {number[id(layer)]: band for layer, band in zip(chain[1:], bands)}
        return found

    def finding(
        self, code: str, level: str, says: str, layer: Layer | None, measured: Any = None,
        expects: Any = None, band: tuple[float, float] | None = None, **values: Any,
    ) -> Finding:  # fmt: skip
        """Return a finding in the words of the catalogue."""
        entry, about = CATALOGUE[code], layer or self.last
        known = {"measured": measured, "expected": expects, "factor": 10.0, "sd": 0.0, "units": 0}
        if about is not None:
            name = about.name.split(" (call")[0]
            known |= {"name": name, "key": about.key, "shape": about.shape, "phi": about.activation}
            if about.weight is not None:
                known["sd"] = math.sqrt(self.range(about)[1] / about.fan_in)
                known["units"] = about.weight.shape[-1]
        if band is not None:
            known |= {"low": band[0], "high": band[1]}
        known |= values
        remedy = entry["remedy"]
        if isinstance(remedy, dict):
            remedy = remedy[self.look.framework] if about is not None else ""
        sentence, name = entry["says"][says].format(**known), layer.name if layer else None
        fixed = sentence, remedy.format(**known), entry["link"]
        return Finding(code, level, name, measured, expects, band, *fixed)


def expected(look: Look) -> list[Expected]:
    """Return what the theory expects of each layer of a look, in their order.

    Parameters
    ----------
    look : Look

    Returns
    -------
    list of Expected
        The band of the sums' RMS is that of recommended weights, from the measured first layer
        of each chain on; that of the deltas' from the last measured ones back. A chain ends at a
        normalisation or a residual stream.
    """
    case = _Case(look)
    both = case.forward, case.backward
    ends = [
        [bands[n].ends if n in bands else None for bands in both] for n in range(len(look.layers))
    ]
    return [Expected(*pair) for pair in ends]


# --- The criteria. Each yields what it finds; the last part decides what is cause and symptom.


def _finite(case: _Case) -> Iterator[Finding]:
    """NaN and infinity are results: the first place that holds one, in the order of computation."""
    look, code = case.look, "not-finite"
    if look.inputs is not None and not np.isfinite(look.inputs).all():
        yield case.finding(code, "fault", "inputs", None)
    for name, tensor in look.tensors.items():
        if tensor.dtype.kind != "f":
            continue
        good = np.isfinite(tensor)
        largest = float(np.abs(tensor, where=good, out=np.zeros(tensor.shape)).max(initial=0.0))
        if not good.all() or largest > HUGE:
            what = f"numbers up to {largest:.0e}" if good.all() else "NaN or infinity"
            layer = next((x for x in case.layers if x.key == name), None)
            yield case.finding(code, "fault", "tensor", layer, largest, tensor=name, what=what)
            return
    for layer, what in itertools.product(look.layers, ("inputs", "sums", "outputs")):
        if (signal := getattr(layer, what)) is not None and signal.finite < 1.0:
            yield case.finding(code, "fault", "signal", layer, signal.finite, 1.0, what=what)
            return
    for layer, what in itertools.product(reversed(look.layers), ("deltas", "gradient")):
        if (signal := getattr(layer, what)) is not None and signal.finite < 1.0:
            yield case.finding(code, "fault", "signal", layer, signal.finite, 1.0, what=what)
            return
    if look.loss is not None and not math.isfinite(look.loss):
        yield case.finding(code, "fault", "loss", None, look.loss)


def _symmetry(case: _Case) -> Iterator[Finding]:
    """Units that start equal and get equal gradients stay equal (chapter 2)."""
    seen: dict[tuple, Layer] = {}
    for layer in case.layers:
        scheme, units = case.schemes[id(layer)], layer.weight.shape[0] * layer.weight.shape[2]
        if scheme is None or layer.kind == "embedding":
            continue
        apart, is_end = layer.distinct_gradients, layer is case.last or layer.branch is not None
        if layer.distinct is not None and layer.distinct <= 0.9 * units:
            level = "watch" if apart is None else "note" if apart > layer.distinct else "fault"
            if not (scheme.kind == "zeros" and (layer is case.last or is_end and level == "note")):
                yield case.finding("equal-units", level, level, layer, layer.distinct, units)
        if scheme.kind in ("zeros", "constant", "identity"):
            continue
        first = seen.setdefault((layer.weight.shape, float(layer.weight.sum())), layer)
        if first is not layer and np.array_equal(first.weight, layer.weight):
            yield case.finding("equal-layers", "fault", "fault", layer, other=first.name)


def _data(case: _Case) -> Iterator[Finding]:
    """The first layer multiplies the inputs' mean square (chapter 5), tokens aside."""
    x, layers = case.look.inputs, case.look.layers
    if x is None or any(layer.kind == "embedding" for layer in layers) or not np.isfinite(x).all():
        return
    x = np.asarray(x, np.float64).reshape(len(x), -1)
    size, used = float(np.square(x).mean()), (x != 0).any(axis=0)
    forgiven = bool(layers) and layers[0].kind == "normalisation"
    if not INPUTS[0] <= size <= INPUTS[1]:
        says = "pixels" if x.min() >= 0 and 100 < x.max() <= 255 else "plain"
        level = "fault" if size > RAW or size < 1 / RAW**2 else "watch"
        level = "note" if forgiven else level
        yield case.finding("input-scale", level, says, None, size, 1.0, INPUTS)
    share = (
        float((x.mean(axis=0) ** 2 > CONSTANT * x.var(axis=0))[used].mean()) if used.any() else 0
    )
    if len(x) >= ENOUGH and share > 0.5:
        alike = not np.ptp(x, axis=0).any()
        level = "fault" if alike else "note" if forgiven else "watch"
        yield case.finding("input-constant", level, "all" if alike else "most", None, share, 0.0)


def _logits(look: Look) -> tuple[np.ndarray, np.ndarray] | None:
    """Return logits (inputs, classes) and labels (inputs,); of one logit two classes."""
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
    if z.shape[1] == 1 and 0 <= z.min() and z.max() <= 1:  # a probability
        z = np.concatenate([1 - z, z], axis=1)
    if z.shape[1] == 1:
        return np.concatenate([np.zeros_like(z), z], axis=1), y
    is_probability = z.min() >= 0 and np.allclose(z.sum(axis=1), 1, atol=1e-3)
    return np.log(np.maximum(z, 1e-12)) if is_probability else z, y


def _losses(case: _Case) -> Iterator[Finding]:
    """ln C for C classes is a guess; logits of spread s add about (1 - 1/C) s²/2 (chapter 4)."""
    look, last, pair = case.look, case.last, _logits(case.look)
    if last is not None and not last.weight.any():
        says, classes = ("exactly", pair[0].shape[1]) if pair else ("plain", 0)
        yield case.finding("zero-output", "note", says, last, look.loss, classes=classes)
    if pair is None:
        yield from _regression(case)
        return
    z, y = pair
    classes, guess = z.shape[1], math.log(z.shape[1])
    low, high = int(y.min()), int(y.max())
    ends = {"low": low, "high": high}
    if low < 0 or high >= classes:
        shift = ": they are counted from 1" if (low, high) == (1, classes) else ""
        yield case.finding(
            "labels", "fault", "range", None, high, classes - 1.0, shift=shift, **ends
        )
        return
    count = np.bincount(y, minlength=classes)
    if low == high and len(y) >= ENOUGH:
        yield case.finding("labels", "fault", "single", None, 1.0, float(classes), **ends)
        return
    if classes > 2 and len(y) >= ENOUGH * classes and not count[0] and count[1:].all():
        yield case.finding("labels", "watch", "shifted", None, low, 0.0)
    own = np.logaddexp.reduce(z, axis=1) - z[np.arange(len(y)), y]
    loss = float(own.mean()) if look.loss is None or not math.isfinite(look.loss) else look.loss
    spread = float((z - z.mean(axis=1, keepdims=True)).std())
    band = case.forward.get(next((n for n, x in enumerate(look.layers) if x is last), -1))
    # The largest of C normal numbers of deviation s has a mean below s √(2 ln C).
    healthy = guess + (band.ends[2] if band else 0.0) * math.sqrt(2 * guess)
    summed = loss > 2 * own.mean() and math.isclose(loss, own.sum(), rel_tol=0.01)
    if summed or loss > max(LOSS * guess, healthy):
        level = "fault" if loss > LARGE_LOSS * guess else "watch"
        says, right = ("summed", float(own.mean())) if summed else ("logits", guess)
        more = {"classes": classes, "spread": spread, "added": (1 - 1 / classes) * spread**2 / 2}
        yield case.finding(
            "first-loss", level, says, last, loss, right, (0.0, LOSS * guess), **more
        )
        return
    p = count[count > 0] / len(y)
    saved = guess + float((p * np.log(p)).sum())  # ln C less the entropy of the classes
    flat = last is not None and (last.bias is None or not np.ptp(last.bias))
    late = saved > UNBALANCED * guess and loss > guess - saved / 2
    if flat and late and len(y) >= ENOUGH * classes:
        yield case.finding("class-bias", "watch", "plain", last, loss, guess - saved)


def _regression(case: _Case) -> Iterator[Finding]:
    """The best guess of a target is its mean, and the error its variance."""
    look = case.look
    if look.task != "regression" or look.outputs is None or look.targets is None:
        return
    t = np.asarray(look.targets, np.float64)
    if t.size != look.outputs.size or len(t) < ENOUGH or not np.isfinite(t).all():
        return
    error = float(np.square(look.outputs.reshape(t.shape) - t).mean())
    variance = float(t.var(axis=0).mean())
    mean, spread = float(np.sqrt(np.square(t.mean(axis=0)).mean())), math.sqrt(variance)
    ratio = error / max(variance, TINY)
    far = ratio > TARGETS and mean**2 > error / 2
    if far or not 1 / TARGETS**2 < spread < TARGETS:
        level = "fault" if max(ratio, variance) > TARGETS**3 else "watch"
        more = {"mean": mean, "spread": spread}
        yield case.finding("target-scale", level, "plain", None, error, variance, **more)
    elif ratio > TARGETS:
        yield case.finding("first-loss", "fault", "regression", case.last, error, variance)


def _scales(case: _Case) -> Iterator[Finding]:
    """A zero γ at the end of a branch is usual (chapter 9); elsewhere it stops the signal."""
    layers = case.look.layers
    norms = [(n, layer) for n, layer in enumerate(layers) if layer.scale is not None]
    zero = [(n, layer) for n, layer in norms if not layer.scale.any()]
    silent = [
        layer
        for n, layer in zero
        if len(zero) == len(norms) or any(x.inputs and not x.inputs.rms for x in layers[n + 1 :])
    ]
    if zero:
        level, layer = ("fault", silent[0]) if silent else ("note", zero[0][1])
        yield case.finding("zero-scales", level, level, layer, len(zero), len(norms))


def _weights(case: _Case) -> Iterator[Finding]:
    """The rules with the true fans (chapters 5 to 8). A deviation alone is a note."""
    for layer in case.layers:
        scheme = case.schemes[id(layer)]
        if scheme is None or not scheme.sd or layer.kind in ("embedding", "recurrent"):
            continue
        least, best, most, highest = case.range(layer)
        gain2, room = scheme.sd**2 * layer.fan_in, ROOM * (1 + SIGMAS * scheme.error) ** 2
        fans = scheme.rule.fans if scheme.rule else "true"
        free = ROOM_FREE if case.free and fans in ("true", "fixed", "fan_out") else 1.0
        is_right = least / free <= gain2 * room and gain2 <= most * free * room
        if is_right or highest / room <= gain2 <= highest * room:
            continue
        off = math.sqrt(gain2 / (most if gain2 > most else least or best))
        packed = layer.kind == "attention" and len(layer.weight) == 3 and fans == "library"
        code = "packed-qkv" if packed else "fans" if fans in WRONG[:3] else "weight-scale"
        alone = fans in WRONG and not (layer.normalised or layer is case.last)
        more = {"sd_is": scheme.sd, "rule": f", that of {scheme.rule.name}" if scheme.rule else ""}
        yield case.finding(
            code, "watch" if alone and not 1 / LAYER < off < LAYER else "note", "gain", layer,
            math.sqrt(gain2), math.sqrt(best), (math.sqrt(least), math.sqrt(most)),
            fan_in=layer.fan_in, **more,
        )  # fmt: skip


def _embeddings(case: _Case) -> Iterator[Finding]:
    """A head that is tied to an embedding gives logits of its size times √units."""
    tables = {layer.key: layer for layer in case.look.layers if layer.kind == "embedding"}
    heads = [x for x in case.look.layers if x.kind != "embedding" and x.key in tables]
    for head in heads:
        table, sums = tables.pop(head.key), head.sums
        size = sums.rms if sums else math.sqrt(float(np.square(head.weight).mean()) * head.fan_in)
        if size > GROWTH:
            level, more = "fault" if sums else "watch", {"other": head.name, "sd": 0.02}
            band = (0.0, GROWTH)
            yield case.finding("embedding-scale", level, "tied", table, size, 1.0, band, **more)
    for table in tables.values():
        size, band = float(np.sqrt(np.square(table.weight).mean())), (1 / RAW**2, GROWN)
        if not band[0] <= size <= band[1]:
            yield case.finding("embedding-scale", "watch", "alone", table, size, 1.0, band, sd=0.02)


def _biases(case: _Case) -> Iterator[Finding]:
    """A bias beyond the spread of the sums fixes what a unit does for all inputs."""
    for layer in case.layers:
        if layer.bias is None or layer is case.last or layer.kind == "recurrent":
            continue
        size = float(np.sqrt(np.square(layer.bias).mean()))
        spread = layer.sums.across if layer.sums else 1.0
        if size > BIASED * spread > 0:
            band = (0.0, BIASED * spread)
            yield case.finding("bias-scale", "note", "plain", layer, size, 0.0, band, spread=spread)


def _levels(case: _Case) -> Iterator[Finding]:
    """Sums and deltas that leave their bands, and change by what does harm."""
    layers = case.look.layers
    for code, bands, watch, fault in (
        ("forward-vanishes", case.forward, FALL, FALLEN),
        ("forward-explodes", case.forward, GROWTH, GROWN),
        ("backward-vanishes", case.backward, 1 / STEEP, 1 / STEEPER),
        ("backward-explodes", case.backward, STEEP, STEEPER),
    ):
        falls, is_back = code.endswith("vanishes"), bands is case.backward
        out, worst = [], 1.0
        for number, band in sorted(bands.items(), reverse=is_back):
            layer = layers[number]
            rms = layer.deltas.rms if is_back else layer.sums.rms
            # A small output layer is legal, and a large one the first loss's.
            if (rms < band.ends[0] if falls else rms > band.ends[2]) and (
                is_back or layer is not case.last
            ):
                out.append((layer, rms, band.ends))
                change = rms / band.start if band.start else 1.0
                worst = min(worst, change) if falls else max(worst, change)
        if out and (worst <= watch if falls else worst >= watch):
            level = "fault" if (worst <= fault if falls else worst >= fault) else "watch"
            layer, rms, ends = out[0]
            yield case.finding(
                code, level, "band", layer, rms, ends[1], (ends[0], ends[2]), change=worst
            )
    grown = [
        (layers[n].deltas.rms / band.start, layers[n])
        for n, band in case.backward.items()
        if layers[n].normalised
    ]
    if grown and max(grown, key=lambda one: one[0])[0] > STEEPER:
        size, layer = max(grown, key=lambda one: one[0])
        yield case.finding("backward-explodes", "note", "norm", layer, size)
    for layer in layers:
        if _is_judged(layer) and layer.normalised and layer.sums.across < math.sqrt(EPSILON):
            yield case.finding("forward-vanishes", "watch", "epsilon", layer, layer.sums.across)


def _left(chain: list[Layer], layers: int) -> float:
    """Return the least part of the spread across inputs, over the RMS, that the theory expects."""
    first, found = chain[0], []
    start = min(max((first.sums.across / first.sums.rms) ** 2, 1e-12), 1.0)
    for end in (0, 2):
        c, q = 1.0 - start, max(first.sums.rms**2, 1e-12)
        for before, layer in itertools.pairwise(chain[: layers + 1]):
            act = _activation(before.activation)
            gain = _around(layer, before)[2 if act.at_zero else end]
            c = theory.correlation_map(act, c, q, gain)
            q = min(max(gain * _moments(before.activation, q)[0], 1e-12), 1e12)
        found.append(math.sqrt(max(1.0 - c, 1e-16) / start))
    scatter = SIGMAS / 2 * math.sqrt(sum(5 / x.sums.units for x in chain[:layers]))  # ReLU's ln q
    return max(min(found), FLOOR) * math.exp(-scatter) / SLACK


def _alike(case: _Case) -> Iterator[Finding]:
    """The spread across inputs is lost while the size stays (chapters 3 and 6: sigmoids)."""
    for chain in chains(case.look):
        hidden = [x for x in chain if x is not case.last]
        left = [x.sums.across / x.sums.rms if x.sums.rms else 0.0 for x in hidden]
        for n, layer in enumerate(hidden[1:], 1):
            part = left[n] / left[0] if left[0] and left[n] else 1.0
            if part < ALIKE and part < _left(hidden, n):
                level = "fault" if min(left[n:]) < SAME * left[0] else "watch"
                more = {"every": n / -math.log(part), "cosine": layer.sums.cosine}
                band = (ALIKE, 1.0)
                yield case.finding("inputs-alike", level, "band", layer, part, 1.0, band, **more)
                break


def _ends_of_range(case: _Case) -> Iterator[Finding]:
    """Units that are dead, and those at an end of their activation's range."""
    for layer in case.look.layers:
        if not _is_judged(layer) or layer is case.last or layer.activation is None:
            continue
        outputs, act = layer.outputs, _activation(layer.activation)
        if act.name == "relu":
            # Where inputs have become alike half of the units are off, give or take.
            bound = max(DEAD, 0.5 + SIGMAS * 0.5 / math.sqrt(outputs.units))
            if outputs.dead > bound or outputs.dead == 1.0:
                band = (0.0, bound)
                yield case.finding("dead-units", "fault", "plain", layer, outputs.dead, 0.3, band)
        elif act.name in probes.SATURATED:
            deltas, share = layer.deltas, outputs.saturated
            if share > SATURATED:
                level = "fault" if share > MOSTLY else "watch"
                band = (0.0, SATURATED)
                yield case.finding("saturated", level, "share", layer, share, 0.0, band)
            elif deltas and deltas.median and deltas.rms / deltas.median > TYPICAL:
                ratio = deltas.rms / deltas.median
                yield case.finding(
                    "saturated", "watch", "typical", layer, ratio, 1.5, (0.0, TYPICAL)
                )


def _streams(case: _Case) -> Iterator[Finding]:
    """Chapter 9: a stream grows by √2 a block, by √branches where these normalise, or hardly."""
    ends = [x for x in case.look.layers if x.branch is not None and x.stream and x.stream.rms]
    if len(ends) < 2:
        return
    first, growth = ends[0], ends[-1].stream.rms / ends[0].stream.rms
    root = math.sqrt(len(ends))
    more = {"branches": len(ends), "growth": growth}
    if growth > max(STREAM * root, GROWTH):
        level, sd = (
            "fault" if growth > GROWN else "watch",
            math.sqrt(case.range(first)[1] / first.fan_in),
        )
        band = (0.0, STREAM * root)
        yield case.finding(
            "residual-growth", level, "growth", first, growth, 1.0, band, sd=sd / root, **more
        )
        return
    rules = [case.schemes[id(x)].rule for x in ends if case.schemes.get(id(x))]
    undivided = len(rules) >= 4 and all(rule and rule.name == "0.02" for rule in rules)
    if undivided and growth > SLACK:  # it does not grow if the sums are normalised
        sd = 0.02 / root
        yield case.finding("residual-growth", "watch", "undivided", first, 0.02, sd, sd=sd, **more)


def _steps(case: _Case) -> Iterator[Finding]:
    for layer in case.layers:
        step = layer.update
        if step is not None and step > STEP and layer.kind != "embedding" and layer.weight.any():
            level, band = "fault" if step > JUMP else "watch", (0.0, STEP)
            factor = step / (STEP / 10)
            yield case.finding("first-step", level, "plain", layer, step, 0.01, band, factor=factor)


CRITERIA = (
    *(_finite, _symmetry, _data, _scales, _weights, _embeddings, _biases, _losses),
    *(_levels, _alike, _ends_of_range, _streams, _steps),
)

# --- Causes and symptoms.

SYMPTOMS = {"first-loss", *CODES[CODES.index("forward-vanishes") :]}
OF_SMALL = {"forward-vanishes", "backward-vanishes", "inputs-alike", "first-step", "dead-units"}
OF_LARGE = SYMPTOMS - {"forward-vanishes", "residual-growth"}
WEIGHTS = ("packed-qkv", "fans", "weight-scale")
RAISED = (*WEIGHTS, "embedding-scale", "bias-scale")  # notes, but for what they do
EXPLAINS = {
    "not-finite": SYMPTOMS | {"class-bias"},
    "equal-units": SYMPTOMS | {"class-bias", *RAISED},
    "input-scale": OF_LARGE | {"input-constant"},
    "input-constant": {"inputs-alike", "dead-units"},
    "labels": {"first-loss", "class-bias"},
    "zero-scales": SYMPTOMS | {"class-bias"},
    "zero-output": {"first-step", "backward-vanishes"},
    "embedding-scale": OF_LARGE,
    "bias-scale": SYMPTOMS - {"residual-growth", "first-step"},
    "target-scale": {"first-loss", "first-step"},
    "forward-vanishes": OF_SMALL,
    "forward-explodes": OF_LARGE,
    "residual-growth": SYMPTOMS,
    "inputs-alike": OF_SMALL,
    "dead-units": OF_SMALL,
    "saturated": {"backward-vanishes", "backward-explodes", "inputs-alike"},
    "backward-explodes": {"first-step"},
}


def _settled(found: list[Finding]) -> list[Finding]:
    """Return one finding a code: causes, raised to the level of their symptoms, and the rest."""

    def rank(one: Finding) -> tuple[int, int]:
        return LEVELS.index(one.level), CODES.index(one.code)

    left: dict[str, Finding] = {}
    for one in found:
        if one.code not in left or rank(one) < rank(left[one.code]):
            left[one.code] = one
    kept = []
    for code in CODES:
        if (cause := left.pop(code, None)) is None:
            continue
        explained = EXPLAINS.get(code, set())
        if code in WEIGHTS:
            explained = OF_LARGE if cause.measured > cause.expected else OF_SMALL
            explained = explained | ({"weight-scale"} - {code})
        if cause.level != "note" or code in (*RAISED, "zero-output"):
            symptoms = sorted([left.pop(one) for one in list(left) if one in explained], key=rank)
            if symptoms and code in RAISED and rank(symptoms[0]) < rank(cause):
                sentence = f"{cause.sentence}; {symptoms[0].sentence}"
                cause = replace(cause, level=symptoms[0].level, sentence=sentence)
        kept.append(cause)
    return sorted(kept, key=rank)


def findings(look: Look) -> list[Finding]:
    """Return what is wrong with a net, the diagnosis first.

    Parameters
    ----------
    look : Look

    Returns
    -------
    list of Finding
        At most one a code: faults, then what to watch, then notes, and causes before symptoms.
        A healthy net has notes at most.
    """
    case = _Case(look)
    return _settled([one for criterion in CRITERIA for one in criterion(case)])
