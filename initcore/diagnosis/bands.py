"""What the theory expects of the sums and deltas of a net with recommended weights."""

from __future__ import annotations

import functools
import itertools
import math
from typing import NamedTuple

import numpy as np

from initcore import activations, theory
from initcore._quadrature import gaussian_mean
from initcore.diagnosis import limits
from initcore.diagnosis.look import Layer, Look


class Band(NamedTuple):
    """The RMS that is expected of a layer, and what it was followed from."""

    ends: tuple[float, float, float]  # low, middle, high
    start: float  # RMS at the chain's first layer (the last one, of deltas)
    q: tuple[float, float] = (1.0, 1.0)  # E[q] at the least and at the highest gain


class Range(NamedTuple):
    """σ_w² for the activations around a layer, from the least to the highest recommended."""

    least: float
    best: float
    most: float  # of the best ones before and behind it
    highest: float


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
    return limits.RECOMMENDED.get(act.name, (own, own, own))


def _behind(before: Layer, layer: Layer) -> tuple[float, float, float]:
    """Return the gains behind `before`, with what Glorot's average of the fans does to them."""
    least, best, highest = gains(before.activation)
    n, m = layer.fan_in, layer.fan_out
    if _activation(before.activation).name not in limits.GLOROT:
        return least, best, highest
    glorot = max(1.0, 2 * n / (n + m))  # an orthogonal matrix into a wider layer has n/m
    return least * min(1.0, n / m), best * glorot, highest * glorot


def ranges(look: Look, last: Layer | None) -> dict[Layer, Range]:
    """Return the range of each layer; an end, of the net or of a branch, may be small."""
    calls = [x for x in look.layers if x.weight is not None]
    before = dict(zip(calls[1:], calls))
    found = {}
    for layer in look.layers:
        around, own = _behind(before.get(layer, layer), layer), gains(layer.activation)
        is_end = layer is last or layer.branch is not None
        least = 0.0 if is_end else min(around[0], own[0])
        found[layer] = Range(least, own[1], max(around[1], own[1]), max(around[2], own[2]))
    return found


def square(x: float) -> float:
    """Return x², within the range of a float: x**2 overflows with an error."""
    return min(max(x * x, limits.TINY), 1 / limits.TINY)


def rms(values: np.ndarray) -> float:
    """Return the root mean square."""
    return float(np.sqrt(np.square(values).mean()))


def is_judged(layer: Layer | None) -> bool:
    """Say whether a layer has weights, finite sums, and a place in a chain."""
    if layer is None or layer.weight is None or not (layer.inputs and layer.outputs):
        return False
    is_plain = layer.kind not in ("embedding", "attention", "recurrent")
    return is_plain and layer.sums is not None and layer.sums.finite == 1.0


def _link(layer: Layer | None, following: Layer) -> float | None:
    """Return the factor on the mean square from a layer to the next, None if it feeds another.

    A pooling may stand between; a sum with a residual stream may not.
    """
    if not (is_judged(layer) and is_judged(following)):
        return None
    if layer.branch or layer.activation is None or following.inputs.units % layer.outputs.units:
        return None
    if not layer.outputs.rms or not following.inputs.rms:
        return 1.0
    factor = square(following.inputs.rms / layer.outputs.rms)
    return factor if 1 / limits.POOLED < factor < limits.POOLED else None


def chains(look: Look) -> list[list[Layer]]:
    """Return the runs of layers without a normalisation, each fed by the one before it."""
    found: list[list[Layer]] = []
    for before, layer in itertools.pairwise([None, *look.layers]):
        if is_judged(layer):
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
    return np.log(np.maximum(band(units, depth, limits.CHANCE), limits.TINY)) * (-1, 1)


def _ends(low: float, high: float, below: float, above: float) -> tuple[float, float, float]:
    """Return the band of an RMS from two mean squares, and how far ln q may be off them."""
    middle = math.sqrt(low) * math.sqrt(high)
    low = low * math.exp(-min(below, limits.FAR)) / limits.SLACK**2
    high = high * math.exp(min(above, limits.FAR))
    return math.sqrt(low), math.sqrt(middle), math.sqrt(high) * limits.SLACK


def forward(look: Look, allowed: dict[Layer, Range]) -> dict[Layer, Band]:
    """Return the bands of the sums, in each chain from the measured q of the first layer on.

    There are two trajectories, at the least and at the highest recommended gain, each with the
    variance of ln q that finite width gives it. For one input a layer of n units adds
    Var(φ²)/(n E[φ²]²), which is 2/n in a linear net and 5/n with ReLU; the slope of the variance
    map carries it on (chapter 5). The mean over a batch scatters as much where its inputs answer
    alike or mirrored, and less otherwise. For equal layers of ReLU or linear units the exact
    bands are taken as well.
    """
    found = {}
    for chain in chains(look):
        first, start = chain[0], square(chain[0].sums.rms)
        size, of_first = square(first.inputs.rms), limits.SIGMAS * math.sqrt(2 / first.sums.units)
        ends = allowed[first].least * size, allowed[first].highest * size
        found[first] = Band(_ends(*ends, of_first, of_first), first.sums.rms, (start, start))
        q, noise, drift = [start, start], [2 / first.sums.units] * 2, [0.0, 0.0]
        kinds = {(layer.activation, layer.sums.units) for layer in chain[:-1]}
        is_exact = len(kinds) == 1 and first.activation in ("relu", "linear")
        for depth, (before, layer) in enumerate(itertools.pairwise(chain), 1):
            for end, gain in enumerate(_behind(before, layer)[::2]):
                second, scatter, power, _, _ = _moments(before.activation, q[end])
                noise[end] = power**2 * noise[end] + scatter / before.sums.units
                drift[end] = power * drift[end] - scatter / before.sums.units / 2
                q[end] = gain * second * _link(before, layer)
            off = [limits.SIGMAS * math.sqrt(one + 2 / layer.sums.units) for one in noise]
            off[0] -= drift[0]  # the mean of ln q lies below ln E[q]
            if is_exact:
                exact = _exact(first.activation, first.sums.units, len(chain))[depth]
                off = np.maximum(off, exact + of_first).tolist()
            low, middle, high = _ends(*q, *off)
            if before.activation not in ("relu", "linear"):  # these have no scale of their own
                low = max(low, limits.FLOOR * first.sums.rms)
            bias = 0.0 if layer.bias is None else rms(layer.bias)
            found[layer] = Band((low, middle, high + bias), first.sums.rms, tuple(q))
    return found


def backward(look: Look, sums: dict[Layer, Band]) -> dict[Layer, Band]:
    """Return the bands of the deltas, from the last layer of each run that `sums` has on back.

    A layer's deltas have the mean square of the next one's times σ_w² fan_out/fan_in E[φ′²]
    (Glorot and Bengio 2010, eq. 6). Through a normalisation the factor is the next sums' mean
    square over the square of what these sums are divided by: with ReLU the π/(π-1) of batch
    normalisation's own growth (Yang et al. 2019, A mean field theory of batch normalization).
    """
    found: dict[Layer, Band] = {}
    following = None
    for layer in reversed(look.layers):
        if layer.kind == "normalisation":
            following = None if layer.opens else following
            continue
        if layer not in sums or layer.deltas is None or not layer.deltas.rms > 0:
            following = None
            continue
        # A branch may end small, and then hands down little; the rest goes past its start.
        is_open = following is not None and not (following.branch or following.opens)
        factor = _link(layer, following) if is_open else None
        if factor is None or abs(factor - 1) > 0.05:  # a pooling spreads or gathers deltas
            start, noise = layer.deltas.rms, 0.0
            low = high = square(start)
        else:
            least, _, highest = _behind(layer, following)
            ratio = following.fan_out / following.fan_in
            two = [_moments(layer.activation, q) for q in sums[layer].q]
            ends = [gain * ratio * one[3] for gain, one in zip((least, highest), two)]
            if layer.normalised:
                second, _, _, slope, _ = _moments(layer.activation, 1.0)
                size = slope / second * ratio * square(following.sums.rms)
                ends = [size / square(s) for s in (layer.sums.rms, layer.sums.across)]
            low, high = low * min(ends), high * max(ends)
            noise += two[0][4] / layer.sums.units
        wide = limits.SIGMAS * math.sqrt(noise)
        found[layer] = Band(_ends(low, high, wide + noise / 2, wide), start)
        following = layer
    return found
