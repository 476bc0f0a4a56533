"""What a random network should do: variances, correlations, gains and bands (level 2).

Throughout, `q` is the mean square of a pre-activation, weights are independent with mean 0 and
variance ``sigma_w2 / fan_in``, biases with variance ``sigma_b2``, and a hidden layer is wide
enough for its pre-activations to be normal. What holds at any width stands at the end: the exact
bands of linear and ReLU networks.

Arguments of one name are the same everywhere: `variance_map`, `correlation_map` and `linear_band`
describe those that a function does not. A number out of its range or not finite, or an unknown
name, is a ``ValueError``, an object of another kind a ``TypeError``; a function names the errors
that it raises besides. Poole et al. (2016) is Exponential expressivity in deep neural networks
through transient chaos, Schoenholz et al. (2017) Deep information propagation.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from initcore import _checks, activations
from initcore._chi_square import Mixture, digamma, product_quantiles, trigamma
from initcore._quadrature import gaussian_mean, gaussian_pair_mean

Identifier = str | activations.Activation | Callable[[np.ndarray], np.ndarray]
Numbers = float | np.ndarray

GRID = np.geomspace(1e-12, 1e12, 241)  # where fixed points of the variance map are looked for
STILL = 1e-11  # a relative change of q below this is none
NEARLY = 1e-9  # a slope this close to 1 is 1: the rounding of the quadrature is far below
LARGEST_Q = 1e300  # beyond, squares overflow: the trajectory is infinite
MOST_LAYERS, MOST_UNITS = 10**4, 10**6  # far beyond the course: memory must not run out
TINIEST_Q = 1e-24  # where a limit q → 0 is taken


class FixedPoint(NamedTuple):
    """A `q` that the variance map leaves as it is; `slope` is the map's derivative there."""

    q: float
    stable: bool
    slope: float


class DepthScales(NamedTuple):
    """Layers over which a deviation from the fixed point shrinks by the factor e."""

    xi_q: float
    xi_c: float


class LogMoments(NamedTuple):
    """Mean and variance of a logarithm."""

    mean: float
    variance: float


# --- Moments of an activation.


def mean_activation(activation: Identifier, q: Numbers = 1.0) -> Numbers:
    """Return ``E[φ(√q z)]`` for a standard normal `z`; the shape of `q`.

    Examples
    --------
    >>> mean_activation("relu", [1.0, 4.0]).round(6)
    array([0.398942, 0.797885])
    """
    act = activations.get(activation)
    return gaussian_mean(act, q, act.kinks)


def second_moment(activation: Identifier, q: Numbers = 1.0) -> Numbers:
    """Return ``E[φ(√q z)²]``; the shape of `q`.

    Examples
    --------
    >>> round(second_moment("relu", 3.0), 12)  # half of q: the 2 of He's initializer
    1.5
    """
    act = activations.get(activation)
    return gaussian_mean(lambda u: act(u) ** 2, q, act.kinks)


def slope_moment(activation: Identifier, q: Numbers = 1.0) -> Numbers:
    """Return ``E[φ′(√q z)²]``, at `q` = 0 the limit from above; the shape of `q`.

    Examples
    --------
    >>> round(slope_moment("relu", 3.0), 12), round(slope_moment("tanh", 100.0), 4)
    (0.5, 0.0531)
    """
    act = activations.get(activation)
    q = _checks.array("q", q, dtype=np.float64)
    q = np.where(q == 0.0, TINIEST_Q, q)  # not φ′(0): ReLU's is one-sided
    return gaussian_mean(lambda u: act.derivative(u) ** 2, q, act.kinks)


# --- The variance map.


def variance_map(
    activation: Identifier, q: Numbers, sigma_w2: float = 1.0, sigma_b2: float = 0.0
) -> Numbers:
    """Return the next layer's mean square, ``σ_w² E[φ(√q z)²] + σ_b²``: Poole et al. (2016).

    Parameters
    ----------
    activation : str, Activation or callable
        See `initcore.activations.get`.
    q : float or array_like
        Mean square of this layer's pre-activations; the result has its shape.
    sigma_w2, sigma_b2 : float
        ``fan_in`` times the variance of a weight, and the variance of a bias.

    Examples
    --------
    >>> round(variance_map("relu", 3.0, sigma_w2=2.0), 12)
    3.0
    """
    sigma_w2, sigma_b2 = _variances(sigma_w2, sigma_b2)
    return sigma_w2 * second_moment(activation, q) + sigma_b2


def variance_slope(activation: Identifier, q: Numbers, sigma_w2: float = 1.0) -> Numbers:
    """Return the variance map's derivative, ``σ_w² E[φ(u) φ′(u) u] / q`` with ``u = √q z``.

    Examples
    --------
    >>> round(variance_slope("relu", 3.0, sigma_w2=2.0), 12)
    1.0
    """
    act = activations.get(activation)
    sigma_w2, _ = _variances(sigma_w2, 0.0)
    q = _positive("q", q)
    return sigma_w2 * gaussian_mean(lambda u: act(u) * act.derivative(u) * u, q, act.kinks) / q


def variance_trajectory(
    activation: Identifier, depth: int, q1: float, sigma_w2: float = 1.0, sigma_b2: float = 0.0
) -> np.ndarray:
    """Return ``q`` in layers 1 to `depth`, by the variance map from `q1` in layer 1.

    The result has the shape ``(depth,)``, and is infinite from where `q` exceeds 1e300.

    Parameters
    ----------
    depth : int
        Number of layers, at least 1.
    q1 : float
        Mean square of the first layer's pre-activations: ``sigma_w2`` times that of the inputs,
        plus ``sigma_b2``.

    Examples
    --------
    >>> variance_trajectory("relu", 4, 1.0, sigma_w2=1.0)
    array([1.   , 0.5  , 0.25 , 0.125])
    """
    act = activations.get(activation)
    depth = _checks.integer("depth", depth, at_least=1, at_most=MOST_LAYERS)
    q = np.full(depth, _checks.number("q1", q1, at_least=0.0))
    _variances(sigma_w2, sigma_b2)
    for layer in range(1, depth):
        known = q[layer - 1] <= LARGEST_Q
        q[layer] = variance_map(act, q[layer - 1], sigma_w2, sigma_b2) if known else math.inf
    return q


def fixed_points(
    activation: Identifier, sigma_w2: float, sigma_b2: float = 0.0
) -> list[FixedPoint]:
    """Return the mean squares that the variance map leaves as they are, in increasing order.

    The list has those at 0 and from 1e-12 to 1e12, with ``stable`` where the map's slope is below
    1. Where every `q` is one (ReLU at ``σ_w² = 2``), only 0 is listed, with slope 1. An activation
    that oscillates up to infinity, such as the sine, is a ``ValueError``: it cannot be integrated
    at large `q` (`variance_map` and `chi` at a given `q` can).

    Examples
    --------
    >>> [(round(point.q, 4), point.stable) for point in fixed_points("tanh", 2.25)]
    [(0.0, False), (0.7934, True)]
    """
    act = activations.get(activation)

    def growth(q: np.ndarray) -> np.ndarray:
        return variance_map(act, q, sigma_w2, sigma_b2) / q - 1.0

    at_zero = variance_map(act, 0.0, sigma_w2, sigma_b2)
    grid = GRID if at_zero == 0.0 else np.unique([*GRID, 0.5 * at_zero])
    values = growth(grid)
    moving = np.abs(values) > STILL
    grid, sign = grid[moving], np.sign(values[moving])
    before = np.flatnonzero(sign[1:] != sign[:-1])
    found = [float(q) for q in _bisect(growth, grid[before], grid[before + 1])]
    if at_zero == 0.0:
        found.insert(0, 0.0)
    slopes = [float(variance_slope(act, q or TINIEST_Q, sigma_w2)) for q in found]
    return [FixedPoint(q, s < 1.0 - NEARLY, s) for q, s in zip(found, slopes, strict=True)]


def fixed_point(activation: Identifier, sigma_w2: float, sigma_b2: float = 0.0) -> float:
    """Return the mean square that deep layers tend to when they start from ``q = 1``.

    It is 0 where the signal dies out, infinity where it grows without bound (beyond 1e12), and 1
    where the map leaves it as it is (ReLU at ``σ_w² = 2``): the next fixed point in the direction
    of the first step, which is where the layers go if the map increases, as it does for every
    built-in activation. Its slope is never below -½ (a mean over a widening bell curve falls no
    faster than ``1/√q``): layers do not alternate.

    Examples
    --------
    >>> round(fixed_point("tanh", 2.25), 4), fixed_point("relu", 1.0), fixed_point("relu", 2.1)
    (0.7934, 0.0, inf)
    """
    points = fixed_points(activation, sigma_w2, sigma_b2)
    growth = variance_map(activation, 1.0, sigma_w2, sigma_b2) - 1.0
    if abs(growth) <= STILL:
        return 1.0
    if growth > 0:
        return min((point.q for point in points if point.q > 1.0), default=math.inf)
    return max(point.q for point in points if point.q < 1.0)


def chi(
    activation: Identifier, sigma_w2: float, sigma_b2: float = 0.0, q: float | None = None
) -> float:
    """Return ``χ = σ_w² E[φ′(√q z)²]``, what a layer does to a small difference, and a gradient.

    Below 1 nearby inputs become alike and gradients vanish (order), above 1 they part and
    gradients explode (chaos). `q` is by default `fixed_point`, or the limit where that is 0 or
    infinite. Source: Poole et al. (2016); for gradients Schoenholz et al. (2017).

    Examples
    --------
    >>> round(chi("relu", 2.0), 12), round(chi("tanh", 100.0), 2)
    (1.0, 5.54)
    """
    act = activations.get(activation)
    sigma_w2, sigma_b2 = _variances(sigma_w2, sigma_b2)
    if q is None:
        q = min(fixed_point(act, sigma_w2, sigma_b2), 1.0 / TINIEST_Q)
    return sigma_w2 * slope_moment(act, _checks.number("q", q, at_least=0.0))


def critical_line(activation: Identifier, sigma_b2: Numbers = 0.0) -> Numbers:
    """Return the ``σ_w²`` at which ``χ = 1``, the border of order and chaos.

    On the border ``σ_w² = 1 / E[φ′²]`` and so ``σ_b² = q - E[φ²] / E[φ′²]``: a single equation
    for the fixed point `q`, of which the smallest solution is taken. That fixed point may be
    unstable, so that a network does not stay there (GELU and SiLU at small ``σ_b²``):
    `fixed_points` tells. Where no fixed point up to 1e12 has ``χ = 1`` (softplus), this is a
    ``ValueError``. Source: Poole et al. (2016); Schoenholz et al. (2017).

    Parameters
    ----------
    sigma_b2 : float or array_like
        Variance of a bias; the result has its shape.

    Examples
    --------
    >>> critical_line("tanh", [0.0, 0.01, 0.05]).round(3)
    array([1.   , 1.424, 1.761])
    >>> round(critical_line("relu", 0.3), 12)
    2.0
    """
    act = activations.get(activation)
    sigma_b2 = _checks.array("sigma_b2", sigma_b2, dtype=np.float64)
    if (sigma_b2 < 0).any():
        _checks.fail("sigma_b2", "at least 0", sigma_b2)

    def bias_variance(q: np.ndarray) -> np.ndarray:
        return q - second_moment(act, q) / slope_moment(act, q)

    slopes = slope_moment(act, GRID)
    wanted = sigma_b2.reshape(-1)
    if np.ptp(slopes) <= NEARLY * slopes.max():  # φ is linear on each side of 0: one χ
        result = np.full(wanted.shape, 1.0 / slopes[0])
    else:
        above = bias_variance(GRID) >= wanted[:, None]
        at_zero = (wanted == 0.0) & (act.at_zero == 0.0)  # there the fixed point itself is 0
        if not (above.any(axis=1) | at_zero).all():
            _checks.fail("sigma_b2", f"one at which {act.name} has a critical point", sigma_b2)
        first = np.maximum(above.argmax(axis=1), 1)
        q = _bisect(lambda q: bias_variance(q) - wanted, GRID[first - 1], GRID[first])
        result = 1.0 / slope_moment(act, np.where(at_zero, 0.0, q))
    return result.reshape(sigma_b2.shape) if sigma_b2.ndim else float(result[0])


# --- The correlation map.


def correlation_map(
    activation: Identifier,
    c: Numbers,
    q: float = 1.0,
    sigma_w2: float = 1.0,
    sigma_b2: float = 0.0,
) -> Numbers:
    """Return the next layer's correlation, ``(σ_w² E[φ(u) φ(v)] + σ_b²) / q′``.

    Here `u` and `v` are normal with variance `q` and correlation `c`, the pre-activations of one
    unit for two inputs, and ``q′`` is `variance_map` of `q`. It is computed as
    ``1 - σ_w² E[(φ(u) - φ(v))²] / 2q′``, which is the same and keeps its accuracy at `c` near 1.
    Source: Poole et al. (2016). For ReLU without biases it is
    ``(√(1 - c²) + c (π - arccos c)) / π``: Cho and Saul (2009), Kernel methods for deep learning.
    A next layer without variance is a ``ValueError``.

    Parameters
    ----------
    c : float or array_like
        Correlation (cosine) between two inputs' pre-activations, from -1 to 1. The result has its
        shape, and is exact within 1e-8.
    q : float
        Mean square of the pre-activations for either input, above 0.

    Examples
    --------
    >>> correlation_map("relu", [-0.5, 0.0, 1.0], sigma_w2=2.0).round(6)
    array([0.108998, 0.31831 , 1.      ])
    """
    act = activations.get(activation)
    q = _checks.number("q", q, above=0.0)
    apart = _pair_means(act, lambda u, v: (act(u) - act(v)) ** 2, c, q)
    share = _share_of_weights(act, q, sigma_w2, sigma_b2)
    result = np.clip(1.0 - 0.5 * share * apart, -1.0, 1.0)  # rounding alone leads beyond
    return result if result.ndim else float(result)


def correlation_slope(
    activation: Identifier,
    c: Numbers,
    q: float = 1.0,
    sigma_w2: float = 1.0,
    sigma_b2: float = 0.0,
) -> Numbers:
    """Return the correlation map's derivative in `c`, ``σ_w² q E[φ′(u) φ′(v)] / q′``.

    At a fixed point ``q′ = q``, and at ``c = 1`` it is then `chi`. The shape is that of `c`.

    Examples
    --------
    >>> round(correlation_slope("relu", 0.0, sigma_w2=2.0), 6)
    0.5
    """
    act = activations.get(activation)
    q = _checks.number("q", q, above=0.0)
    slopes = _pair_means(act, lambda u, v: act.derivative(u) * act.derivative(v), c, q)
    result = q * _share_of_weights(act, q, sigma_w2, sigma_b2) * slopes
    return result if result.ndim else float(result)


def correlation_trajectory(
    activation: Identifier,
    depth: int,
    c1: float,
    q1: float = 1.0,
    sigma_w2: float = 1.0,
    sigma_b2: float = 0.0,
) -> np.ndarray:
    """Return the correlation in layers 1 to `depth`, while `q` moves as in `variance_trajectory`.

    The result has the shape ``(depth,)``. In the first layer the correlation is `c1`, from -1 to
    1, and the mean square is `q1`, above 0, for both inputs. A `q` that becomes 0 or infinite is a
    ``ValueError``.

    Examples
    --------
    >>> correlation_trajectory("relu", 4, 0.0, sigma_w2=2.0).round(3)
    array([0.   , 0.318, 0.494, 0.605])
    """
    act = activations.get(activation)
    c1 = _checks.number("c1", c1, at_least=-1.0, at_most=1.0)
    q = variance_trajectory(act, depth, _checks.number("q1", q1, above=0.0), sigma_w2, sigma_b2)
    c = np.full(len(q), c1)
    for layer in range(1, len(q)):
        c[layer] = correlation_map(act, c[layer - 1], q[layer - 1], sigma_w2, sigma_b2)
    return c


def correlation_fixed_point(
    activation: Identifier, sigma_w2: float, sigma_b2: float = 0.0, q: float | None = None
) -> float:
    """Return the correlation ``c*`` that deep layers tend to, whatever positive one they had.

    It is 1 where the map's slope at 1 (`chi` at the fixed point of `q`) is at most 1, else the
    one root below 1: on 0 to 1 the map is convex, so Newton's method from 0 cannot overshoot.
    `q` is by default `fixed_point`; where that is 0 or infinite, a ``ValueError`` asks for it.
    Source: Poole et al. (2016).

    Examples
    --------
    >>> correlation_fixed_point("tanh", 1.2, 0.05)
    1.0
    >>> round(correlation_fixed_point("tanh", 4.0, 0.05), 3)
    0.165
    """
    act = activations.get(activation)
    q = _settled(act, sigma_w2, sigma_b2) if q is None else q
    if correlation_slope(act, 1.0, q, sigma_w2, sigma_b2) <= 1.0 + NEARLY:
        return 1.0
    c = 0.0
    for _ in range(100):
        gap = correlation_map(act, c, q, sigma_w2, sigma_b2) - c
        step = gap / (1.0 - correlation_slope(act, c, q, sigma_w2, sigma_b2))
        c = min(max(c + step, 0.0), 1.0)
        if abs(step) < 1e-12:
            break
    return c


def depth_scales(activation: Identifier, sigma_w2: float, sigma_b2: float = 0.0) -> DepthScales:
    """Return over how many layers `q` and `c` approach their fixed points by the factor e.

    ``ξ_q = -1 / ln |dq′/dq|`` and ``ξ_c = -1 / ln |dc′/dc|``, at the fixed points; infinite where
    the slope is 1 (on the critical line, for ``ξ_c``). A fixed point of 0 or infinity is a
    ``ValueError``. Source: Schoenholz et al. (2017).

    Examples
    --------
    >>> [round(scale, 2) for scale in depth_scales("tanh", 1.2, 0.05)]
    [1.81, 5.94]
    >>> depth_scales("relu", 2.0)
    DepthScales(xi_q=inf, xi_c=inf)
    """
    act = activations.get(activation)
    q = _settled(act, sigma_w2, sigma_b2)
    c = correlation_fixed_point(act, sigma_w2, sigma_b2, q)
    return DepthScales(
        _depth_scale(variance_slope(act, q, sigma_w2)),
        _depth_scale(correlation_slope(act, c, q, sigma_w2, sigma_b2)),
    )


# --- Gains.


def forward_gain(activation: Identifier, q: Numbers = 1.0) -> Numbers:
    """Return ``√(q / E[φ(√q z)²])``: with this ``σ_w`` the next layer has mean square `q` again.

    `q` is above 0, and the result has its shape. For ReLU it is √2 at any `q`: He et al. (2015),
    Delving deep into rectifiers, eq. 10. For tanh it depends on `q`: 1 near 0 and 1.5925 at 1,
    which the customary 5/3 comes near. An activation that is 0 everywhere is a ``ValueError``.

    Examples
    --------
    >>> [round(forward_gain(name), 3) for name in ("relu", "tanh", "gelu", "selu")]
    [1.414, 1.593, 1.534, 1.0]
    """
    q = _positive("q", q)
    return (q / _nonzero(activation, second_moment(activation, q))) ** 0.5


def backward_gain(activation: Identifier, q: Numbers = 1.0) -> Numbers:
    """Return ``1 / √E[φ′(√q z)²]``: with this ``σ_w``, ``χ`` is 1 and square layers keep gradients.

    Shapes and errors are those of `forward_gain`. For ReLU it is √2 again: He et al. (2015),
    eq. 14.

    Examples
    --------
    >>> [round(backward_gain(name), 3) for name in ("relu", "tanh", "sigmoid")]
    [1.414, 1.467, 4.723]
    """
    q = _positive("q", q)
    return _nonzero(activation, slope_moment(activation, q)) ** -0.5


# --- Exact at any width: linear and ReLU networks with normal weights, without biases.


def linear_log_q(units: int, depth: int) -> LogMoments:
    """Return mean and variance of ``ln(q_depth / q_0)`` over draws of a linear network.

    With weights ``N(0, 1 / fan_in)``, each layer multiplies the mean square of one input by an
    independent ``χ²_n / n``, where ``n`` is the layer's number of units. So the mean is
    ``L (ψ(n/2) - ln(n/2))``, below 0 although ``E[q]`` is kept, and the variance ``L ψ′(n/2)``.

    Examples
    --------
    >>> mean, variance = linear_log_q(units=50, depth=10)
    >>> round(mean, 3), round(variance**0.5, 3)
    (-0.201, 0.639)
    """
    n = _checks.integer("units", units, at_least=1, at_most=MOST_UNITS)
    depth = _checks.integer("depth", depth, at_least=1, at_most=MOST_LAYERS)
    mean = digamma(n / 2) - math.log(n / 2)
    return LogMoments(float(depth * mean), float(depth * trigamma(n / 2)))


def linear_band(units: int, depth: int, probability: float = 0.9) -> np.ndarray:
    """Return the central band of ``q_l / q_0`` in layers 1 to `depth` of a linear network.

    Exact for one input and normal weights of variance ``1 / fan_in``; for another variance,
    of ``q_l / E[q_l]``. See `linear_log_q` for the law.

    Parameters
    ----------
    units : int
        Units in each layer, the number that is also ``fan_in`` of the next; at least 1.
    depth : int
        Number of layers, at least 1.
    probability : float
        Of the band, above 0 and at most 0.999999.

    Returns
    -------
    ndarray, shape (depth, 2)
        Lower and upper end, within 1e-4 of their values (2e-4 for a `probability` above 0.999).

    Examples
    --------
    >>> linear_band(units=50, depth=10)[[0, -1]].round(2)
    array([[0.7 , 1.35],
           [0.28, 2.31]])
    """
    n, depth, ends = _band_arguments(units, depth, probability)
    factor = Mixture(np.array([n]), np.array([1.0]), 1.0 / n)
    return product_quantiles(factor, factor, depth, ends)


def relu_band(units: int, depth: int, probability: float = 0.9) -> np.ndarray:
    """Return the central band of ``q_l / E[q_l]`` in layers 1 to `depth` of a ReLU network.

    Exact for the pre-activations of one input with normal weights of any variance (with He's,
    ``E[q_l]`` is the same in all layers). A hidden layer of ``n`` units passes on ``K`` of them,
    where ``K`` is Binomial(n, ½), and multiplies the variance by ``(2/n) χ²_K``; the mean square
    over the ``n`` pre-activations of layer ``l`` adds a last factor ``χ²_n / n``.

    Parameters and result are those of `linear_band`. The lower end is 0 where at least that share
    of the networks is dead (``K = 0`` in one layer).

    Examples
    --------
    >>> relu_band(units=50, depth=10)[[0, -1]].round(2)
    array([[0.7 , 1.35],
           [0.11, 3.1 ]])
    """
    n, depth, ends = _band_arguments(units, depth, probability)
    width = 5.0 * math.sqrt(n)  # ten standard deviations of K
    k = np.arange(max(1, round(n / 2 - width)), min(n, round(n / 2 + width)) + 1)
    ways = [math.lgamma(n + 1) - math.lgamma(j + 1) - math.lgamma(n - j + 1) for j in k.tolist()]
    chances = np.exp(np.array(ways) - n * math.log(2.0))
    last = Mixture(np.array([n]), np.array([1.0]), 1.0 / n)
    hidden = Mixture(k, chances, 2.0 / n)
    return product_quantiles(last, hidden, depth, ends)


# --- Arguments, and two small numerical helpers.


def _variances(sigma_w2: Any, sigma_b2: Any) -> tuple[float, float]:
    return (
        _checks.number("sigma_w2", sigma_w2, at_least=0.0),
        _checks.number("sigma_b2", sigma_b2, at_least=0.0),
    )


def _band_arguments(units: Any, depth: Any, probability: Any) -> tuple[int, int, np.ndarray]:
    units = _checks.integer("units", units, at_least=1, at_most=MOST_UNITS)
    depth = _checks.integer("depth", depth, at_least=1, at_most=MOST_LAYERS)
    p = _checks.number("probability", probability, above=0.0, at_most=0.999999)
    return units, depth, np.array([0.5 * (1.0 - p), 0.5 * (1.0 + p)])


def _positive(name: str, value: Any) -> Numbers:
    value = _checks.array(name, value, dtype=np.float64)
    if (value <= 0).any():
        _checks.fail(name, "above 0", value)
    return value if value.ndim else float(value)


def _nonzero(activation: Identifier, moment: Numbers) -> Numbers:
    if np.any(np.asarray(moment) == 0.0):
        _checks.fail("activation", "one that is not constant 0", activation)
    return moment


def _pair_means(act: activations.Activation, function: Callable, c: Any, q: float) -> np.ndarray:
    c = _checks.array("c", c, dtype=np.float64)
    if (np.abs(c) > 1.0).any():
        _checks.fail("c", "from -1 to 1", c)
    means = [gaussian_pair_mean(function, x, q, act.kinks) for x in c.reshape(-1)]
    return np.reshape(means, c.shape)


def _share_of_weights(act: activations.Activation, q: float, sigma_w2: Any, sigma_b2: Any) -> float:
    """Return ``σ_w² / q′``."""
    sigma_w2, sigma_b2 = _variances(sigma_w2, sigma_b2)
    q_next = variance_map(act, q, sigma_w2, sigma_b2)
    if q_next == 0.0:
        raise ValueError(
            "A correlation needs a next layer that is not constant 0. Received: "
            f"sigma_w2={sigma_w2}, sigma_b2={sigma_b2} and {act.name} at q={q:g}"
        )
    return sigma_w2 / q_next


def _settled(act: activations.Activation, sigma_w2: float, sigma_b2: float) -> float:
    q = fixed_point(act, sigma_w2, sigma_b2)
    if not 0.0 < q < math.inf:
        raise ValueError(
            f"Arguments `sigma_w2` and `sigma_b2` must give q a fixed point above 0 and below "
            f"infinity. Received: sigma_w2={sigma_w2}, sigma_b2={sigma_b2}, for which "
            f"{act.name} leads to q = {q:g}"
        )
    return q


def _depth_scale(slope: float) -> float:
    slope = abs(slope)
    if slope == 0.0:
        return 0.0
    return -1.0 / math.log(slope) if slope < 1.0 - NEARLY else math.inf


def _bisect(function: Callable, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Return the roots between positive `low` and `high`, one per pair, to the last digit."""
    if not len(low):
        return low
    start = np.sign(function(low))
    for _ in range(60):
        middle = np.sqrt(low * high)
        before = np.sign(function(middle)) == start
        low, high = np.where(before, middle, low), np.where(before, high, middle)
    return np.sqrt(low * high)
