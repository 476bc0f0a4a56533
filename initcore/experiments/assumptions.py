"""The variance derivation's assumptions, broken; real inputs, learned weights."""

from __future__ import annotations

from collections.abc import Callable, Collection

import numpy as np

from initcore import _checks, network, probes
from initcore.experiments._common import counts

# Each function draws the inputs (batch, n), the weights (n, units) and the biases (units,) of one
# layer; Var(w) = 1/n always.

BROKEN: dict[str, Callable[[np.random.Generator, int, int, int], tuple]] = {}


def _breaks(name: str) -> Callable:
    def register(draw: Callable) -> Callable:
        BROKEN[name] = draw
        return draw

    return register


def _weights(rng: np.random.Generator, n: int, units: int) -> np.ndarray:
    return rng.standard_normal((n, units)) / np.sqrt(n)


@_breaks("nothing")
def _none(rng, batch, n, units):
    return rng.standard_normal((batch, n)), _weights(rng, n, units), 0.0


@_breaks("inputs have a mean")
def _input_mean(rng, batch, n, units):
    return 1.0 + rng.standard_normal((batch, n)), _weights(rng, n, units), 0.0


@_breaks("inputs are correlated")
def _input_correlation(rng, batch, n, units):
    common = rng.standard_normal((batch, 1))
    return common + rng.standard_normal((batch, n)), _weights(rng, n, units), 0.0


@_breaks("biases vary (variance 1/2)")
def _biases(rng, batch, n, units):
    b = rng.standard_normal(units) * np.sqrt(0.5)
    return rng.standard_normal((batch, n)), _weights(rng, n, units), b


@_breaks("weights have a mean, inputs have none")
def _weight_mean(rng, batch, n, units):
    return rng.standard_normal((batch, n)), _weights(rng, n, units) + 1 / np.sqrt(n), 0.0


@_breaks("weights and inputs have a mean")
def _both_means(rng, batch, n, units):
    x, W, b = _weight_mean(rng, batch, n, units)
    return 1.0 + x, W, b


@_breaks("a unit's weights are pairwise equal, inputs have a mean")
def _equal_pairs(rng, batch, n, units):
    W = np.repeat(_weights(rng, -(-n // 2), units), 2, axis=0)[:n] * np.sqrt(-(-n // 2) / n)
    return 1.0 + rng.standard_normal((batch, n)), W, 0.0


@_breaks("weights depend on the input, uncorrelated with it")
def _dependent(rng, batch, n, units):
    x = rng.standard_normal((1, n))  # one input: weights can know only one
    signs = rng.choice([-1.0, 1.0], (n, units))
    return x, signs * x.T / np.sqrt(n), 0.0


def broken_assumptions(
    *, n: int = 100, units: int = 100, batch: int = 100, replicas: int = 200, seed: int = 0
) -> dict[str, np.ndarray]:
    """Return q over its prediction for one linear layer, with one assumption broken at a time.

    The prediction is ``q = n Var(w) E[x²]``. Everything is measured on the draws; only Var(w) is
    the one that was asked for, 1/n.

    Parameters
    ----------
    n, units, batch : int
        fan_in, units of the layer, inputs.
    replicas : int
        Independent layers, each with inputs of its own.
    seed : int
        Of everything.

    Returns
    -------
    dict of str to ndarray, shape (replicas,)
        By what is broken (the keys of `BROKEN`): ``mean z² / (n Var(w) mean x²)``.

    Raises
    ------
    ValueError, TypeError
        A count below 1.

    Examples
    --------
    >>> ratios = broken_assumptions(replicas=20)
    >>> bool(abs(ratios["nothing"].mean() - 1) < 0.05)
    True
    """
    n, units, batch, replicas = counts(n=n, units=units, batch=batch, replicas=replicas)
    ratios = {}
    for number, (name, draw) in enumerate(BROKEN.items(), start=1):
        ratios[name] = np.empty(replicas)
        for r, rng in enumerate(network.replica_generators(seed, replicas, number)):
            x, W, b = draw(rng, batch, n, units)
            ratios[name][r] = np.square(x @ W + b).mean() / np.square(x).mean()
    return ratios


#: What `broken_net` can break, by a short name.
BREAKS = {
    "dependent": "A1: a weight is ± its input's size",
    "mean": "A2: the weights have the mean 1/√n",
    "pairs": "A2: a unit's weights are equal in pairs",
    "unequal": "A3: half of the units have larger weights",
    "biases": "A4: the biases vary (variance 1/2)",
    "relu": "A5: the activation is a ReLU",
    "input mean": "not assumed: the inputs have the mean 1",
}


def broken_net(
    broken: Collection[str],
    *,
    n: int = 100,
    depth: int = 6,
    batch: int = 20,
    replicas: int = 40,
    seed: int = 0,
) -> np.ndarray:
    """Return q over q_0 by layer in nets that break any set of the derivation's assumptions.

    Always ``n Var(w) = 1``, so the derivation says 1 in every layer. All sets share their draws.

    Parameters
    ----------
    broken : collection of str
        Keys of `BREAKS`; none is a net that keeps all assumptions.
    n, depth, batch : int
        Units of every layer, layers, inputs.
    replicas : int
        Independent nets, each with inputs of its own.
    seed : int
        Of everything.

    Returns
    -------
    ndarray, shape (depth + 1, replicas)
        The mean of z² over inputs and units, over the mean of x²; 1 at the input.

    Raises
    ------
    ValueError, TypeError
        An unknown name in `broken`, a count below 1.

    Notes
    -----
    Weights that depend on the input can know only one, so each input then has weights of its own.
    Without A3 weight ``w_ij`` has the variance ``c_i c_j / n``, with c = 1.5 in the first half of
    the units and 0.5 in the second.

    Examples
    --------
    >>> broken_net({"dependent"}, depth=1).mean(axis=1).round().tolist()
    [1.0, 3.0]
    """
    n, depth, batch, replicas = counts(n=n, depth=depth, batch=batch, replicas=replicas)
    if isinstance(broken, str):
        _checks.fail("broken", "a collection of names", broken, TypeError)
    for name in broken:
        _checks.choice("broken", name, tuple(BREAKS))
    q = np.empty((depth + 1, replicas))
    for r, rng in enumerate(network.replica_generators(seed, replicas, len(BROKEN) + 1)):
        for_inputs, for_weights, for_biases = rng.spawn(3)
        a = for_inputs.standard_normal((batch, n)) + ("input mean" in broken)
        q[0, r] = np.square(a).mean()
        for layer in range(1, depth + 1):
            W = _broken_weights(for_weights, a, broken)
            z = (a[:, None, :] @ W)[:, 0] if W.ndim == 3 else a @ W
            b = for_biases.standard_normal(n) * np.sqrt(0.5)
            if "biases" in broken:
                z = z + b
            q[layer, r] = np.square(z).mean()
            a = np.maximum(z, 0) if "relu" in broken else z
    return q / q[0]


def _broken_weights(rng: np.random.Generator, a: np.ndarray, broken: Collection[str]) -> np.ndarray:
    """Draw the weights (n, n) of one layer, or (batch, n, n) where each input has its own."""
    n = a.shape[1]
    if "dependent" in broken:
        size = np.sqrt(np.square(a).mean(axis=1, keepdims=True))
        known = a / np.where(size > 0, size, 1.0)
        W = rng.choice([-1.0, 1.0], (*a.shape, n)) * known[:, :, None] / np.sqrt(n)
    else:
        W = _weights(rng, n, n)
    if "pairs" in broken:
        W = np.repeat(W[..., ::2, :], 2, axis=-2)[..., :n, :]
    if "unequal" in broken:
        c = np.where(np.arange(n) < n / 2, 1.5, 0.5)
        c /= c.mean()
        W = W * np.sqrt(c[:, None] * c)
    return W + 1 / np.sqrt(n) if "mean" in broken else W


def input_layer_on(x: np.ndarray, *, units: int = 100, replicas: int = 200, seed: int = 0):
    """Return E[z²] of a first layer with ``n Var(w) = 1`` on given inputs.

    Parameters
    ----------
    x : ndarray, shape (batch, n)
        Real inputs, the same for all replicas.
    units, replicas, seed : int
        Units of the layer, independent layers, and their seed.

    Returns
    -------
    ndarray, shape (replicas,)
        The mean of z² over inputs and units; the derivation says E[x²].

    Raises
    ------
    ValueError, TypeError
        `x` is not a finite array with two axes.

    Examples
    --------
    >>> input_layer_on(np.full((2, 8), 3.0), replicas=4).shape
    (4,)
    """
    x = _checks.array("x", x, ndim=2, dtype=np.float64)
    units, replicas = counts(units=units, replicas=replicas)
    streams = network.replica_generators(seed, replicas)
    return np.array([np.square(x @ _weights(rng, x.shape[1], units)).mean() for rng in streams])


def prediction_ratio(net: network.MLP, x: np.ndarray) -> np.ndarray:
    """Return q over its prediction, layer by layer, for the weights that a net has now.

    Biases are left out of z, so that only the weights can differ from the derivation.

    Parameters
    ----------
    net : MLP
        Freshly drawn (the ratio is near 1) or trained (it need not be).
    x : ndarray, shape (batch, n_0)
        Inputs.

    Returns
    -------
    ndarray, shape (layers,) or (layers, replicas)
        ``mean (a W)² / (n Var(w) mean a²)``.

    Raises
    ------
    TypeError
        `net` is not an `MLP`.

    Examples
    --------
    >>> fresh = network.MLP((100, 2000), weights="lecun_normal")
    >>> prediction_ratio(fresh, np.ones((1, 100))).round(1)
    array([1.])
    """
    if not isinstance(net, network.MLP):
        _checks.fail("net", "an initcore.network.MLP", net, TypeError)
    ratios = []
    for a, W in zip(net.forward(x).inputs, net.weights):
        predicted = W.shape[-2] * W.var(axis=(-2, -1)) * np.square(a).mean(axis=(-2, -1))
        ratios.append(probes.mean_square(a @ W) / predicted)
    return np.array(ratios)
