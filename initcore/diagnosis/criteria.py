"""What is wrong with a net, judged by one `Look` at it: causes before symptoms.

The bands are the theory's, for the widths and depths at hand: `expected`. What leaves its band is
a finding only where the change is also large enough to do harm, as measured in the chapters. A
symptom that a found cause explains is not a finding of its own; it gives the cause its level.
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

from initcore import _checks, activations, theory
from initcore._quadrature import gaussian_mean
from initcore.diagnosis.identify import identify
from initcore.diagnosis.look import Layer, Look

LEVELS = ("fault", "watch", "note")
# Every code, causes before symptoms, with its page of the book and the line that helps.
CATALOGUE = json.loads(Path(__file__).with_name("findings.json").read_text("utf-8"))
CODES = tuple(CATALOGUE)

# --- Thresholds. "RMS" is that of the sums of a layer, over that of the first one of its chain.

SIGMAS = 4.0  # half-width of a band of ln q: beyond it by chance in one layer of 16,000
CHANCE = 0.9999  # the same for the exact bands of linear and ReLU nets
SLACK = 1.5  # on the RMS, for what the theory leaves out: margins of convolutions, few inputs
FADED, LOST = 1 / 8, 1 / 100  # RMS: chapter 4 learnt at 0.03 in six epochs, and nothing at 0.002
GROWN, BURST = 5.0, 10.0  # RMS: chapter 4 learnt at 2.4, and nothing at 16
FLOOR = 1e-3  # no recommended start is expected to fade further: deeper needs normalisation
ALIKE, SAME = 1 / 30, 1 / 100  # spread across inputs over RMS: four and five layers of sigmoids
STEEP, STEEPER = 30.0, 100.0  # change of the deltas' RMS: the page of looks has 100
TYPICAL = 30.0  # deltas' RMS over their median; 1.5 for normal ones (page of looks)
ROOM, ROOM_FREE = 1.25, 9.0  # gain²: beyond the sampling error; behind a normalisation
LAYER = 4.0  # no layer alone may change the spread by more (page of looks)
INPUTS, RAW = (1 / 100, 10.0), 100.0  # mean square of the inputs (page of looks), and a fault
CONSTANT = 100.0  # mean² over variance of an input feature
LOSS_WATCH, LOSS_FAULT = 2.5, 5.0  # first loss over ln C (page of looks: 5)
ENOUGH = 10  # inputs a class, so that frequencies mean something
UNBALANCED = 0.25  # share of ln C by which the entropy of the classes is lower
TARGETS = 10.0  # error of the outputs over the targets' variance; their spread against 1
DEAD = 3 / 4  # share of dead units (page of looks): no healthy net had more
SATURATED = (1 / 4, 1 / 2)  # share of saturated numbers (page of looks), and a fault
BIASED = 3.0  # bias RMS over the spread of the sums
STEP = (0.1, 1.0)  # first step over weight: a hundredth is usual under Adam
HUGE = 1e10  # no initializer draws it: memory that was never initialised
GROWTH = 3.0  # of a residual stream, over √branches: ends of branches that are not scaled
TINY = 1e-280

# σ_w² that the summary recommends for an activation: lowest, best, highest.
RECOMMENDED = {
    "linear": (1.0, 1.0, 1.0),
    "tanh": (1.0, 1.0, 25 / 9),  # Glorot; PyTorch's 5/3
    "softsign": (1.0, 1.0, 25 / 9),
    "sigmoid": (1.0, 16.0, 16.0),
    "centred_sigmoid": (16.0, 16.0, 16.0),
    "relu": (2.0, 2.0, 2.0),
    "selu": (9 / 16, 1.0, 1.0),  # 3/4 is PyTorch's
    "elu": (1.0, 1.55, 2.0),
}


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
        The first layer concerned; None for the data or the whole net.
    measured, expected : float or None
    band : tuple of (float, float) or None
        Where `measured` should be.
    sentence, remedy : str
        In words, and one line of the framework's code.
    link : str
        A page of the book.
    found_in : tuple of (int, int) or None
        Seeds with it, of how many, where a band over seeds was looked at.
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
    """(low, middle, high) of a layer's sums' and deltas' RMS, or None where nothing is."""

    forward: tuple[float, float, float] | None
    backward: tuple[float, float, float] | None


# --- The theory beside the measured.


@functools.cache
def _activation(name: str | None) -> activations.Activation:
    if name and name.startswith("leaky_relu("):
        return activations.make_leaky_relu(float(name[len("leaky_relu(") : -1]))
    return activations.get(name or "linear")


def gains(activation: str | None) -> tuple[float, float, float]:
    """Return the lowest, best and highest σ_w² that is recommended after an activation."""
    act = _activation(activation)
    if act.name in RECOMMENDED:
        return RECOMMENDED[act.name]
    forward = theory.forward_gain(act) ** 2
    ends = sorted((2.0, forward)) if act.name in ("gelu", "silu") else (forward, forward)
    return ends[0], ends[0], ends[1]  # GELU and SiLU: He's 2


def _judged(layer: Layer | None) -> bool:
    if layer is None:
        return False
    plain = layer.weight is not None and layer.kind not in ("embedding", "attention", "recurrent")
    return plain and layer.sums is not None and layer.sums.finite == 1.0


def _link(layer: Layer, following: Layer) -> float | None:
    """Return the factor on the mean square from one layer to the next, None if not linked.

    A pooling may stand between; a sum with a residual stream may not.
    """
    if not (_judged(layer) and _judged(following)) or layer.branch or layer.activation is None:
        return None
    if following.inputs.units % layer.outputs.units:
        return None
    if not layer.outputs.rms or not following.inputs.rms:
        return 1.0
    factor = (following.inputs.rms / layer.outputs.rms) ** 2
    return factor if 1 / 8 < factor < 8 else None


def chains(look: Look) -> list[list[Layer]]:
    """Return the runs of layers in which each takes what the one before it gave."""
    found: list[list[Layer]] = []
    before = None
    for layer in look.layers:
        if _judged(layer):
            linked = before and not before.normalised and _link(before, layer)
            found[-1].append(layer) if linked else found.append([layer])
        before = layer
    return found


@functools.lru_cache(1024)
def _moments(name: str, q: float) -> tuple[float, float, float, float, float]:
    """Return E[φ²], Var(φ²)/E[φ²]², E[φ′²], 3E[φ′⁴]/E[φ′²]² - 1 and d ln E[φ²] / d ln q."""
    act = _activation(name)
    q = min(max(q, 1e-12), 1e12)
    second, slope = theory.second_moment(act, q), theory.slope_moment(act, q)
    fourth = gaussian_mean(lambda u: act(u) ** 4, q, act.kinks)
    steep = gaussian_mean(lambda u: act.derivative(u) ** 4, q, act.kinks)
    power = theory.variance_slope(act, q) * q / second
    return second, fourth / second**2 - 1, slope, 3 * steep / slope**2 - 1, power


@functools.lru_cache(64)
def _exact(activation: str, units: int, depth: int) -> np.ndarray:
    band = theory.relu_band if activation == "relu" else theory.linear_band
    return band(units, depth, CHANCE)


def _around(layer: Layer, before: Layer) -> tuple[float, float]:
    """Return the recommended σ_w² of a layer behind `before`, with what Glorot's average does."""
    low, _, high = gains(before.activation)
    n, m = layer.fan_in, layer.fan_out
    if before.activation in ("linear", "tanh", "softsign", "sigmoid", "centred_sigmoid"):
        # Glorot's 2n/(n+m); an orthogonal matrix into a wider layer has n/m.
        low, high = low * min(1.0, n / m), high * max(1.0, 2 * n / (n + m))
    return low, high


class _Band(NamedTuple):
    """Of one layer: (low, middle, high) of an RMS, that of the chain's start, and E[q] there."""

    ends: tuple[float, float, float]
    start: float
    q: tuple[float, float]


def _forward(chain: list[Layer], inputs: int) -> Iterator[_Band]:
    """Yield the band of each layer's sums, from the first one's measured q.

    Two trajectories, at the lowest and the highest recommended gain, each with the variance of
    ln q that finite width gives it: a layer of n units adds Var(φ²)/(n E[φ²]²), which is 2/n
    for a linear layer and 5/n for ReLU, and the map's slope carries it on (chapter 5). Of a
    batch, the part of it that its inputs have in common counts.
    """
    first = chain[0]
    start = max(first.sums.rms**2, TINY)
    q, spread = [start, start], [2 / first.sums.units] * 2
    kinds = {(layer.activation, layer.sums.units) for layer in chain[:-1]}
    is_exact = len(kinds) == 1 and first.activation in ("relu", "linear")
    yield _Band((first.sums.rms,) * 3, first.sums.rms, (start, start))
    exact = _exact(first.activation, first.sums.units, len(chain)) if is_exact else None
    for depth, (before, layer) in enumerate(itertools.pairwise(chain), 1):
        cosine = before.outputs.cosine
        common = 1.0 if math.isnan(cosine) else 1 / inputs + (1 - 1 / inputs) * cosine**2
        for end, gain in enumerate(_around(layer, before)):
            second, noise, _, _, power = _moments(before.activation, q[end])
            spread[end] = power**2 * spread[end] + noise * common / before.sums.units
            q[end] = gain * second * _link(before, layer)
        q = [max(q[0], FLOOR**2 * start), q[1]]
        sigmas = [SIGMAS * math.sqrt(one + 2 / layer.sums.units) for one in spread]
        low, high = math.exp(-sigmas[0] - spread[0] / 2), math.exp(sigmas[1])
        if is_exact:
            of_first = math.exp(SIGMAS * math.sqrt(2 / first.sums.units))
            low, high = min(low, exact[depth, 0] / of_first), max(high, exact[depth, 1] * of_first)
        bias = 0.0 if layer.bias is None else float(np.square(layer.bias).mean())
        ends = q[0] * low / SLACK**2, math.sqrt(q[0] * q[1]), q[1] * high * SLACK**2 + bias
        yield _Band(tuple(math.sqrt(end) for end in ends), first.sums.rms, tuple(q))


def _backward(look: Look, forward: dict[int, _Band]) -> dict[int, _Band]:
    """Return the bands of the deltas by the layer's number, from the last measured ones of a run.

    A layer's deltas have the mean square of the next one's times σ_w² fan_out/fan_in E[φ′²]
    (Glorot and Bengio 2010, eq. 6). Through a normalisation σ_w² drops out: the factor is that of
    the sums' size over their spread, which with ReLU is the π/(π-1) of batch normalisation
    (Yang et al. 2019, A mean field theory of batch normalization).
    """
    found: dict[int, _Band] = {}
    number = None
    for n, layer in reversed(list(enumerate(look.layers))):
        if layer.kind == "normalisation":
            continue
        if layer.deltas is None or not layer.deltas.rms > 0 or n not in forward:
            number = None
            continue
        following = None if number is None else look.layers[number]
        factor = None if following is None else _link(layer, following)
        if factor is None or abs(factor - 1) > 0.05:  # a pooling spreads or gathers deltas
            anchor = layer.deltas.rms
            low = high = anchor**2
            noise = 0.0
        else:
            ratio = following.fan_out / following.fan_in
            second, _, slope, more, _ = _moments(layer.activation, 1.0)
            if layer.normalised:
                growth = slope / second * following.sums.rms**2 * ratio
                ends = [growth / max(s, TINY) ** 2 for s in (layer.sums.rms, layer.sums.across)]
            else:
                slopes = [_moments(layer.activation, q)[2] for q in forward[n].q]
                ends = [g * ratio * s for g, s in zip(_around(following, layer), slopes)]
            low, high = low * min(ends), high * max(ends)
            noise += more / layer.sums.units
        wide = SIGMAS * math.sqrt(noise)
        ends = low * math.exp(-wide - noise / 2) / SLACK**2, math.sqrt(low * high)
        ends = (*ends, high * math.exp(wide) * SLACK**2)
        found[n] = _Band(tuple(math.sqrt(end) for end in ends), anchor, (low, high))
        number = n
    return found


def expected(look: Look) -> list[Expected]:
    """Return what the theory expects of each layer of a look, in their order.

    Parameters
    ----------
    look : Look

    Returns
    -------
    list of Expected
        Bands of the sums' RMS from the first layer of each chain on, and of the deltas' RMS from
        the last one back; a chain ends at normalisations and sums with a residual stream.
    """
    if not isinstance(look, Look):
        _checks.fail("look", "a Look", look, TypeError)
    forward, backward = _bands(look)
    return [
        Expected(*(bands[n].ends if n in bands else None for bands in (forward, backward)))
        for n in range(len(look.layers))
    ]


def _bands(look: Look) -> tuple[dict[int, _Band], dict[int, _Band]]:
    inputs = 1 if look.inputs is None else max(len(look.inputs), 1)
    number = {id(layer): n for n, layer in enumerate(look.layers)}
    forward = {
        number[id(layer)]: band
        for chain in chains(look)
        for layer, band in zip(chain, _forward(chain, inputs))
    }
    return forward, _backward(look, forward)


# --- The findings.


class _Case:
    """A look with what several criteria need of it."""

    def __init__(self, look: Look) -> None:
        self.look = look
        self.forward, self.backward = _bands(look)
        self.branches = sum(layer.branch is not None for layer in look.layers)
        self.free = self.branches or any(one.kind == "normalisation" for one in look.layers)
        weighted = {layer.key or layer.name: layer for layer in reversed(look.layers)}
        self.layers = [x for x in reversed(weighted.values()) if x.weight is not None]
        self.schemes = {x.name: identify(x, self.branches) for x in self.layers}
        ends = [x for x in look.layers if x.weight is not None and x.kind != "embedding"]
        self.last = ends[-1] if ends else None

    def sd(self, layer: Layer) -> float:
        """Return the standard deviation that the summary recommends for a layer."""
        if layer.kind == "embedding" or self.branches and layer.kind == "attention":
            return 0.02
        return math.sqrt(self._range(layer)[1] / layer.fan_in)

    def _range(self, layer: Layer) -> tuple[float, float, float]:
        """Return the lowest, best and highest σ_w², for the activations before and after."""
        before = layer
        for one in self.look.layers:
            if one is layer:
                break
            before = one if one.weight is not None else before
        around, own = _around(layer, before), gains(layer.activation)
        low = 0.0 if layer is self.last else min(around[0], own[0])
        return low, own[1], max(around[1], own[2])

    def finding(
        self, code: str, level: str, layer: Layer | None, measured: Any, expects: Any,
        sentence: str, band: Any = None, **values: Any,
    ) -> Finding:  # fmt: skip
        """Return a finding with its page, and its remedy in the framework's words."""
        entry = CATALOGUE[code]
        remedy, known = entry["remedy"], {"value": "", "factor": 10.0}
        if isinstance(remedy, dict):
            if layer is not None:
                sd = self.sd(layer) if layer.weight is not None else 0.0
                units = layer.sums.units if layer.sums else 0
                name = layer.name.split(" (call")[0]
                known |= {"key": layer.key, "name": name, "shape": layer.shape}
                known |= {"sd": sd, "units": units}
            elif self.last is not None:
                return self.finding(
                    code, level, self.last, measured, expects, sentence, band, **values
                )
            remedy = remedy[self.look.framework].format_map({**known, **values})
        name = None if layer is None else layer.name
        return Finding(code, level, name, measured, expects, band, sentence, remedy, entry["link"])


def _classes(look: Look) -> tuple[np.ndarray, np.ndarray] | None:
    """Return logits (inputs, classes) and labels (inputs,), or None where there are none."""
    if look.task != "classes" or look.outputs is None or look.targets is None:
        return None
    z = np.asarray(look.outputs, np.float64)
    z = z.reshape(-1, z.shape[-1])
    y = np.asarray(look.targets)
    y = y.reshape(-1, z.shape[1]).argmax(1) if y.size == z.size > len(z) else y.reshape(-1)
    if len(y) != len(z) or not np.isfinite(z).all() or not np.isfinite(y).all():
        return None
    sums = z.sum(axis=1) if z.shape[1] > 1 else z[:, 0]
    if z.min() >= 0 and (np.allclose(sums, 1, atol=1e-3) or z.shape[1] == 1 and z.max() <= 1):
        z = np.log(np.maximum(z, 1e-12)) - (
            np.log(np.maximum(1 - z, 1e-12)) if z.shape[1] == 1 else 0
        )
    if z.shape[1] == 1:  # one logit for two classes
        z = np.concatenate([np.zeros_like(z), z], axis=1)
    kept = y != -100  # PyTorch's mark of what does not count
    return z[kept], y[kept].astype(np.int64)


def _finite(case: _Case) -> Iterator[Finding]:
    look = case.look
    if look.inputs is not None and not np.isfinite(look.inputs).all():
        yield case.finding(
            "not-finite", "fault", None, None, None, "the inputs hold NaN or infinity"
        )
    for name, tensor in look.tensors.items():
        if tensor.dtype.kind != "f" or not tensor.size:
            continue
        good = np.isfinite(tensor)
        largest = float(np.abs(tensor[good], dtype=np.float64).max(initial=0.0))
        if good.all() and largest < HUGE:
            continue
        what = f"numbers as large as {largest:.0e}" if good.all() else "NaN or infinity"
        layer = next((x for x in case.layers if x.key == name), None)
        yield case.finding(
            "not-finite", "fault", layer, largest, None,
            f"{name} holds {what}, which no initializer draws: was it ever initialised?",
        )  # fmt: skip
        return
    for layer in look.layers:
        for what in ("inputs", "sums", "outputs", "deltas", "gradient"):
            signal = getattr(layer, what)
            if signal is not None and signal.finite < 1.0:
                yield case.finding(
                    "not-finite", "fault", layer, signal.finite, 1.0,
                    f"the {what} of {layer.name} are the first that are not finite "
                    f"({signal.finite:.0%} of them are), though the weights are: they overflow",
                )  # fmt: skip
                return
    if look.loss is not None and not math.isfinite(look.loss):
        yield case.finding("not-finite", "fault", None, look.loss, None, f"the loss is {look.loss}")


def _symmetry(case: _Case) -> Iterator[Finding]:
    """Chapter 2: units that start equal get equal gradients, and stay equal."""
    for layer in case.layers:
        units = layer.weight.shape[0] * layer.weight.shape[2]
        if layer.kind == "embedding" or layer.distinct is None or units < 2:
            continue
        apart = layer.distinct_gradients
        if layer.distinct > 0.9 * units or case.schemes[layer.name] is None:
            continue
        if apart is not None and apart > layer.distinct:
            level, so = "note", "their gradients differ, so that they part at once"
        elif layer is case.last and not layer.weight.any():
            continue
        else:
            level, so = "fault", "their gradients are equal too, and they stay equal"
            if apart is None:
                level, so = "watch", "without data their gradients are not known"
        yield case.finding(
            "equal-units", level, layer, layer.distinct, units,
            f"{layer.name} has {layer.distinct} different units of {units}; {so}",
        )  # fmt: skip
    seen: dict[tuple, Layer] = {}
    for layer in case.layers:
        scheme = case.schemes[layer.name]
        if scheme is None or scheme.kind in ("zeros", "constant", "identity"):
            continue
        first = seen.setdefault((layer.weight.shape, float(layer.weight.sum())), layer)
        if first is not layer and np.array_equal(first.weight, layer.weight):
            yield case.finding(
                "equal-layers", "fault", layer, None, None,
                f"{layer.name} has the same weights as {first.name}: one draw was used twice",
            )  # fmt: skip
            return


def _data(case: _Case) -> Iterator[Finding]:
    """Chapter 5: the first layer multiplies the inputs' mean square."""
    x, layers = case.look.inputs, case.look.layers
    if x is None or any(layer.kind == "embedding" for layer in layers) or not np.isfinite(x).all():
        return
    x = np.asarray(x, np.float64).reshape(len(x), -1)
    size = float(np.square(x).mean())
    normalised = bool(layers) and layers[0].kind == "normalisation"
    if not INPUTS[0] <= size <= INPUTS[1]:
        raw = "; they look like pixels from 0 to 255" if 1 < x.max() <= 255 and x.min() >= 0 else ""
        level = "fault" if size > RAW or size < 1 / RAW**2 else "watch"
        yield case.finding(
            "input-scale", "note" if normalised else level, None, size, 1.0,
            f"the inputs have a mean square of {size:.3g}, where weights are made for 1{raw}",
            INPUTS,
        )  # fmt: skip
    used = (x != 0).any(axis=0)
    if len(x) < 8 or not used.any():
        return
    if not np.ptp(x, axis=0).any():
        yield case.finding("input-constant", "fault", None, 1.0, 0.0, "all inputs are the same")
        return
    share = float((x.mean(axis=0) ** 2 > CONSTANT * x.var(axis=0))[used].mean())
    if share > 0.5:
        yield case.finding(
            "input-constant", "note" if normalised else "watch", None, share, 0.0,
            f"{share:.0%} of the features are nearly the same for all inputs, and not 0",
        )  # fmt: skip


def _losses(case: _Case) -> Iterator[Finding]:
    look, last = case.look, case.last
    zero = last is not None and last.weight is not None and not last.weight.any()
    pair = _classes(look)
    if zero:
        exactly = f"; the first loss is exactly ln {pair[0].shape[1]}" if pair else ""
        yield case.finding(
            "zero-output", "note", last, look.loss, None,
            f"the output layer is zero{exactly}; the layers below get a gradient after one step",
        )  # fmt: skip
    if pair is None:
        yield from _regression(case)
        return
    z, y = pair
    classes, guess = z.shape[1], math.log(z.shape[1])
    if y.min() < 0 or y.max() >= classes:
        shift = ": counted from 1" if (y.min(), y.max()) == (1, classes) else ""
        yield case.finding(
            "labels", "fault", None, float(y.max()), classes - 1.0,
            f"the labels go from {y.min()} to {y.max()}, for {classes} outputs{shift}",
        )  # fmt: skip
        return
    count = np.bincount(y, minlength=classes)
    if len(y) >= ENOUGH and count.max() == len(y):
        yield case.finding(
            "labels", "fault", None, 1.0, float(classes),
            f"all {len(y)} labels are {y[0]}: a batch of one class teaches that class alone",
        )  # fmt: skip
        return
    if classes > 2 and len(y) >= ENOUGH * classes and not count[0] and count[1:].all():
        yield case.finding(
            "labels", "watch", None, 1.0, 0.0,
            f"no label is 0, and all from 1 to {classes - 1} occur: are they counted from 1?",
        )  # fmt: skip
    top = z.max(axis=1, keepdims=True)
    own = float((np.log(np.exp(z - top).sum(axis=1)) + top[:, 0] - z[np.arange(len(y)), y]).mean())
    loss = own if look.loss is None or not math.isfinite(look.loss) else look.loss
    spread = float((z - z.mean(axis=1, keepdims=True)).std())
    band = case.forward.get(next((n for n, x in enumerate(look.layers) if x is last), -1))
    healthy = guess + (band.ends[2] if band else 0.0) * math.sqrt(2 * guess)  # E max of normals
    if loss > max(LOSS_WATCH * guess, healthy):
        why = f"logits of spread {spread:.3g} add about {(1 - 1 / classes) * spread**2 / 2:.2g}"
        if loss > 1.5 * own:
            why = f"these outputs have {own:.3g}, so that the loss adds up what it should average"
        yield case.finding(
            "first-loss", "fault" if loss > LOSS_FAULT * guess else "watch", last, loss, guess,
            f"the first loss is {loss:.3g}, where guessing has ln {classes} = {guess:.3g}; {why}",
            (0.0, LOSS_WATCH * guess), sd=0.0 if last is None else 0.1 * case.sd(last),
        )  # fmt: skip
        return
    p = count / len(y)
    entropy = float(-(p[p > 0] * np.log(p[p > 0])).sum())
    flat = last is not None and (last.bias is None or not np.ptp(last.bias))
    short = guess - entropy > UNBALANCED * guess and loss - entropy > (guess - entropy) / 2
    if flat and short and len(y) >= ENOUGH * classes:
        yield case.finding(
            "class-bias", "watch", last, loss, entropy,
            f"the first loss is {loss:.3g}, where the frequencies of the classes alone have "
            f"{entropy:.3g}: the output biases are equal",
            value="np.log(np.bincount(y) / len(y))",
        )  # fmt: skip


def _regression(case: _Case) -> Iterator[Finding]:
    look = case.look
    if look.task != "regression" or look.outputs is None or look.targets is None:
        return
    t = np.asarray(look.targets, np.float64)
    if t.size != look.outputs.size or len(t) < 2 or not np.isfinite(t).all():
        return
    t, out = t.reshape(len(t), -1), look.outputs.reshape(len(t), -1)
    spread2, mean2 = float(t.var(axis=0).mean()), float(np.square(t.mean(axis=0)).mean())
    error = float(np.square(out - t).mean())
    far = mean2 > TARGETS * spread2 and error > TARGETS * spread2
    if far or not 1 / TARGETS**4 < spread2 < TARGETS**2:
        ratio = max(error / max(spread2, TINY), spread2)
        yield case.finding(
            "target-scale", "fault" if ratio > RAW * TARGETS else "watch", None,
            error, spread2,
            f"the targets have mean {mean2**0.5:.3g} and spread {spread2**0.5:.3g}, and outputs "
            "begin near 0 with a spread near 1",
        )  # fmt: skip
    elif error > TARGETS * spread2:
        yield case.finding(
            "first-loss", "fault", case.last, error, spread2,
            f"the outputs' squared error is {error:.3g}, where the targets' mean alone has "
            f"{spread2:.3g}",
        )  # fmt: skip


def _scales(case: _Case) -> Iterator[Finding]:
    layers = case.look.layers
    norms = [layer for layer in layers if layer.scale is not None]
    zero = [layer for layer in norms if not layer.scale.any()]
    if not zero:
        return
    after = {id(x): layers[n + 1 :] for n, x in enumerate(layers)}
    silent = [x for x in zero if any(one.inputs and not one.inputs.rms for one in after[id(x)])]
    if len(zero) == len(norms) or silent:
        layer = (silent or zero)[0]
        text = f"γ of {layer.name} is zero, and nothing comes through"
        yield case.finding("zero-scales", "fault", layer, len(zero), 0.0, text)
    else:
        text = f"γ of {len(zero)} of {len(norms)} normalisations is zero: blocks that start as 0"
        yield case.finding("zero-scales", "note", zero[0], len(zero), 0.0, text)


def _weights(case: _Case) -> Iterator[Finding]:
    """The rule with the true fans: chapters 5 to 8. A deviation alone is a note."""
    for layer in case.layers:
        scheme = case.schemes[layer.name]
        if scheme is None or not scheme.sd or layer.kind == "embedding":
            continue
        low, best, high = case._range(layer)
        gain2 = scheme.sd**2 * layer.fan_in
        room = (1 + SIGMAS * scheme.error) ** 2 * ROOM
        if low / room <= gain2 <= high * room:
            continue
        off = math.sqrt(gain2 / (high if gain2 > high else low or best))
        rule, fans = scheme.rule, scheme.rule.fans if scheme.rule else ""
        wrong = fans in ("library", "places", "fan_out", "variance")
        free = case.free and fans not in ("library", "places", "variance")
        if free and low / ROOM_FREE / room <= gain2 <= high * ROOM_FREE * room:
            continue
        alone = wrong and not layer.normalised and layer is not case.last
        level = "watch" if alone and not 1 / LAYER < off < LAYER else "note"
        packed = wrong and layer.kind == "attention" and len(layer.weight) == 3
        code = (
            "packed-qkv" if packed else "fans" if wrong and fans != "variance" else "weight-scale"
        )
        name = f", as of {rule.name}" if rule else ""
        yield case.finding(
            code, level, layer, math.sqrt(gain2), math.sqrt(best),
            f"the weights of {layer.name} have a standard deviation of {scheme.sd:.3g}{name}: a "
            f"gain of {math.sqrt(gain2):.3g} on 1/√{layer.fan_in:g}, where "
            f"{layer.activation or 'it'} asks for {math.sqrt(best):.3g}",
            (math.sqrt(low), math.sqrt(high)),
        )  # fmt: skip


def _embeddings(case: _Case) -> Iterator[Finding]:
    """A tied head multiplies by the embedding again: its logits have sd · √units."""
    tables = {layer.key: layer for layer in case.look.layers if layer.kind == "embedding"}
    for head in case.look.layers:
        table = tables.get(head.key)
        if table is None or head is table or head.kind == "embedding":
            continue
        logits = math.sqrt(float(np.square(table.weight).mean()) * head.fan_in)
        logits = head.sums.rms if head.sums is not None else logits
        if logits > GROWN:
            yield case.finding(
                "embedding-scale", "fault" if head.sums is not None else "watch", table,
                logits, 1.0,
                f"{table.name} is the weights of {head.name} too: its sums have a size of {logits:.3g}",
                (0.0, GROWN),
            )  # fmt: skip
        return
    for table in tables.values():
        sd = float(np.sqrt(np.square(table.weight).mean()))
        if not 1 / RAW**2 <= sd <= BURST:
            text = f"the numbers of {table.name} have a size of {sd:.3g}"
            yield case.finding("embedding-scale", "watch", table, sd, 0.02, text)


def _biases(case: _Case) -> Iterator[Finding]:
    for layer in case.layers:
        if layer.bias is None or layer is case.last or layer.kind == "recurrent":
            continue
        size = float(np.sqrt(np.square(layer.bias).mean()))
        spread = layer.sums.across if layer.sums is not None else 1.0
        if size > BIASED * spread > 0:
            yield case.finding(
                "bias-scale", "note", layer, size, 0.0,
                f"the biases of {layer.name} have a size of {size:.3g}, and its sums a spread of "
                f"{spread:.3g} across the inputs",
                (0.0, BIASED * spread),
            )  # fmt: skip


def _left(chain: list[Layer], most: int) -> float:
    """Return what is expected to be left of the spread across inputs over the RMS, at least."""
    first = chain[0]
    start = min(max((first.sums.across / first.sums.rms) ** 2, 1e-12), 1.0)
    found = []
    for end in (0, 1):
        c, q = 1.0 - start, max(first.sums.rms**2, 1e-12)
        for before, layer in itertools.pairwise(chain[: most + 1]):
            act = _activation(before.activation)
            gain = _around(layer, before)[1 if act.at_zero else end]
            q = min(max(q, 1e-12), 1e12)
            c = theory.correlation_map(act, c, q, gain)
            q = gain * _moments(before.activation, q)[0]
        found.append(math.sqrt(max(1.0 - c, 1e-16) / start))
    noise = sum(5 / layer.sums.units for layer in chain[:most])  # as of ln q with ReLU
    return max(min(found), FLOOR) * math.exp(-SIGMAS / 2 * math.sqrt(noise)) / SLACK


def _signals(case: _Case) -> Iterator[Finding]:
    """Forward, backward, across inputs, dead, saturated: the first layer of each, if any."""
    layers = case.look.layers
    for code, bands, worst in (
        ("forward-vanishes", case.forward, (FADED, LOST)),
        ("forward-explodes", case.forward, (GROWN, BURST)),
        ("backward-vanishes", case.backward, (1 / STEEP, 1 / STEEPER)),
        ("backward-explodes", case.backward, (STEEP, STEEPER)),
    ):
        down, back = code.endswith("vanishes"), code.startswith("backward")
        out = []
        for n, band in sorted(bands.items(), reverse=back):
            layer = layers[n]
            measured = (layer.deltas if back else layer.sums).rms
            ratio = measured / band.start if band.start else 1.0
            if not back and layer is case.last:
                continue  # a small output layer is legal, a large one the first loss's
            if measured < band.ends[0] if down else measured > band.ends[2]:
                out.append((layer, measured, band, ratio))
        harm = [ratio for *_, ratio in out]
        extreme = (min if down else max)(harm, default=1.0)
        hit = [extreme <= limit if down else extreme >= limit for limit in worst]
        if any(hit):
            layer, measured, band, _ = out[0]
            what, seen = ("deltas", "on the way back") if back else ("sums", "from layer to layer")
            yield case.finding(
                code, "fault" if hit[1] else "watch", layer, measured, band.ends[1],
                f"the {what} change {seen} by a factor of {extreme:.2g}; at {layer.name} they have "
                f"an RMS of {measured:.2g}, and should have {band.ends[0]:.2g} to {band.ends[2]:.2g}",
                (band.ends[0], band.ends[2]),
            )  # fmt: skip
    for chain in chains(case.look):
        first = chain[0]
        start = first.sums.across / first.sums.rms if first.sums.rms else 0.0
        for n, layer in enumerate(chain[1:], 1):
            left = layer.sums.across / layer.sums.rms / start if start and layer.sums.rms else 1.0
            if left < ALIKE and left < _left(chain, n):
                last = min(
                    (x.sums.across / max(x.sums.rms, TINY) / start for x in chain[n:]), default=left
                )
                every = n / -math.log(max(left, TINY))
                yield case.finding(
                    "inputs-alike", "fault" if last < SAME else "watch", layer, left, None,
                    f"at {layer.name} the spread across inputs is {left:.2g} of what it was, while "
                    f"the size stays: by the factor e in {every:.1f} layers",
                    (ALIKE, 1.0),
                )  # fmt: skip
                break
    for layer in layers:
        if not _judged(layer) or layer is case.last or layer.activation is None:
            continue
        outputs, act = layer.outputs, _activation(layer.activation)
        if act.at_zero == 0.0 and not act([-1.0]).any():  # of the ReLU's kind
            # At worst all inputs are alike, and half of the units are off, give or take.
            bound = max(DEAD, 0.5 + SIGMAS * 0.5 / math.sqrt(outputs.units))
            if outputs.dead > bound or outputs.dead == 1.0:
                yield case.finding(
                    "dead-units", "fault", layer, outputs.dead, None,
                    f"{outputs.dead:.0%} of the units of {layer.name} are 0 for every input",
                    (0.0, bound),
                )  # fmt: skip
        if outputs.saturated > SATURATED[0]:
            level = "fault" if outputs.saturated > SATURATED[1] else "watch"
            yield case.finding(
                "saturated", level, layer, outputs.saturated, None,
                f"{outputs.saturated:.0%} of the outputs of {layer.name} are at an end of "
                f"{layer.activation}, where its slope is nearly 0",
                (0.0, SATURATED[0]),
            )  # fmt: skip


def _residual(case: _Case) -> Iterator[Finding]:
    """Chapter 9: branches of equal size let the stream grow as √L, unnormalised ones as √2^L."""
    ends = [layer for layer in case.look.layers if layer.branch is not None and layer.stream]
    if len(ends) < 2 or not ends[0].stream.rms:
        return
    growth = ends[-1].stream.rms / ends[0].stream.rms
    limit = GROWTH * math.sqrt(len(ends))
    if growth > max(limit, GROWN):
        yield case.finding(
            "residual-growth", "fault" if growth > BURST else "watch", ends[0], growth, 1.0,
            f"the residual stream grows by a factor of {growth:.3g} over {len(ends)} branches",
            (0.0, limit), sd=case.sd(ends[0]) / math.sqrt(len(ends)),
        )  # fmt: skip
        return
    schemes = [case.schemes.get(layer.name) for layer in ends]
    plain = all(s is not None and s.rule is not None and s.rule.name == "0.02" for s in schemes)
    if plain and growth > 1.5 and len(ends) >= 4:  # not after a sum that is normalised
        yield case.finding(
            "residual-growth", "watch", ends[0], 0.02, 0.02 / math.sqrt(len(ends)),
            f"the ends of all {len(ends)} branches have 0.02, undivided: the stream grows by a "
            f"factor of {growth:.2g}, where 0.02/√{len(ends)} keeps it",
            sd=0.02 / math.sqrt(len(ends)),
        )  # fmt: skip


def _steps(case: _Case) -> Iterator[Finding]:
    for layer in case.layers:
        step = layer.update
        if step is None or layer.kind == "embedding" or not layer.weight.any():
            continue
        if step > STEP[0]:
            level = "fault" if step > STEP[1] else "watch"
            yield case.finding(
                "first-step", level, layer, step, None,
                f"the first step changes the weights of {layer.name} by {step:.2g} of their size",
                (0.0, STEP[0]), factor=step / 0.01,
            )  # fmt: skip
            return


SYMPTOMS = frozenset(CODES[CODES.index("forward-vanishes") :]) | {"first-loss"}
SMALL = {"forward-vanishes", "backward-vanishes", "inputs-alike", "first-step", "dead-units"}
LARGE = SYMPTOMS - {"forward-vanishes", "residual-growth"}
EXPLAINS = {
    **dict.fromkeys(("not-finite", "equal-units", "zero-scales"), SYMPTOMS | {"class-bias"}),
    "input-scale": LARGE | {"input-constant"},
    "input-constant": {"inputs-alike", "dead-units"},
    "labels": {"first-loss", "class-bias"},
    "zero-output": {"first-step", "backward-vanishes"},
    "embedding-scale": LARGE,
    "bias-scale": SYMPTOMS - {"residual-growth", "first-step"},
    "target-scale": {"first-loss", "first-step"},
    "residual-growth": SYMPTOMS,
    "forward-vanishes": {"backward-vanishes", "inputs-alike", "dead-units", "first-step"},
    "forward-explodes": LARGE,
    "inputs-alike": {"backward-vanishes", "dead-units", "first-step"},
    "dead-units": {"forward-vanishes", "backward-vanishes"},
    "saturated": {"backward-vanishes", "backward-explodes", "inputs-alike"},
    "backward-explodes": {"first-step"},
}
RAISED = {"packed-qkv", "fans", "weight-scale", "bias-scale", "embedding-scale"}


def _settled(found: list[Finding]) -> list[Finding]:
    """Return one finding a code, the causes with the level of their symptoms, these dropped."""
    ranked = sorted(found, key=lambda one: (CODES.index(one.code), LEVELS.index(one.level)))
    kept: list[Finding] = []
    left = {one.code: one for one in reversed(ranked)}
    for code in CODES:
        cause = left.pop(code, None)
        if cause is None:
            continue
        explained = EXPLAINS.get(code, set())
        if code in ("packed-qkv", "fans", "weight-scale"):
            explained = LARGE if cause.measured > cause.expected else SMALL
        if cause.level != "note" or code in RAISED or code == "zero-output":
            symptoms = [left.pop(one) for one in list(left) if one in explained]
            if symptoms and code in RAISED:
                level = min([cause, *symptoms], key=lambda one: LEVELS.index(one.level)).level
                symptoms.sort(key=lambda one: (LEVELS.index(one.level), CODES.index(one.code)))
                more = symptoms[0].sentence
                cause = replace(cause, level=level, sentence=f"{cause.sentence}; {more}")
        kept.append(cause)
    return sorted(kept, key=lambda one: LEVELS.index(one.level))


def findings(look: Look) -> list[Finding]:
    """Return what is wrong with a net, the diagnosis first.

    Parameters
    ----------
    look : Look

    Returns
    -------
    list of Finding
        At most one a code: faults, then what to watch, then notes; causes before symptoms.
        A healthy net has notes at most.
    """
    if not isinstance(look, Look):
        _checks.fail("look", "a Look", look, TypeError)
    case = _Case(look)
    criteria = (
        *(_finite, _symmetry, _data, _scales, _weights, _embeddings, _biases, _losses),
        *(_signals, _residual, _steps),
    )
    return _settled([one for criterion in criteria for one in criterion(case)])
