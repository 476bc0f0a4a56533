"""The variance derivation's assumptions, broken one at a time; real inputs, learned weights."""

from __future__ import annotations

from collections.abc import Callable

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
