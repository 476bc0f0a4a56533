"""Deep rectifier nets at birth: what a ReLU keeps, signals both ways, units that are dead."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from initcore import _checks, network, probes
from initcore.experiments._common import counts

INPUTS, OUTPUTS = 1, 2  # streams of random numbers that no weight is drawn from

# Each law has mean 0 and variance 1; only the last one is not symmetric about 0.
WEIGHT_LAWS: dict[str, Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]] = {
    "normal": lambda rng, shape: rng.standard_normal(shape),
    "uniform": lambda rng, shape: rng.uniform(-np.sqrt(3), np.sqrt(3), shape),
    "signs": lambda rng, shape: rng.choice([-1.0, 1.0], shape),
    "exponential": lambda rng, shape: rng.standard_exponential(shape) - 1.0,
}


def kept_share(
    law: str,
    *,
    n: int = 100,
    bias: float = 0.0,
    units: int = 200,
    batch: int = 50,
    replicas: int = 200,
    seed: int = 0,
) -> np.ndarray:
    """Return which share of the mean square of z a ReLU lets through, ``E[relu(z)²] / E[z²]``.

    The inputs are as after a ReLU: positive, ``|N(0, 1)|``. The weights have mean 0 and variance
    1/n, so that ``E[z²] = 1 + bias²``.

    Parameters
    ----------
    law : {"normal", "uniform", "signs", "exponential"}
        Of the weights. The first three are symmetric about 0; ``"exponential"`` is an
        exponential variable minus its mean, so its mean is 0, too.
    n, units, batch : int
        fan_in, units of the layer, inputs.
    bias : float
        Of every unit.
    replicas : int
        Independent layers, each with inputs of its own.
    seed : int
        Of weights and inputs.

    Returns
    -------
    ndarray, shape (replicas,)
        One half, on average, wherever z is symmetric about 0.

    Raises
    ------
    ValueError, TypeError
        An unknown law, a count below 1, a bias that is not finite.

    Notes
    -----
    Source: He et al. (2015), Delving deep into rectifiers, section 2.2, the step to eq. 8.

    Examples
    --------
    >>> float(kept_share("uniform", replicas=20).mean().round(1))
    0.5
    """
    draw = WEIGHT_LAWS[_checks.choice("law", law, tuple(WEIGHT_LAWS))]
    n, units, batch, replicas = counts(n=n, units=units, batch=batch, replicas=replicas)
    bias = _checks.number("bias", bias)
    shares = np.empty(replicas)
    for r, rng in enumerate(network.replica_generators(seed, replicas)):
        x = np.abs(rng.standard_normal((batch, n)))
        z = x @ draw(rng, (n, units)) / np.sqrt(n) + bias
        shares[r] = np.square(np.maximum(z, 0.0)).mean() / np.square(z).mean()
    return shares


def signals(
    widths: Sequence[int],
    activation: Any,
    weights: Any,
    *,
    biases: Any = "zeros",
    x: np.ndarray | None = None,
    batch: int = 20,
    replicas: int = 20,
    seed: int = 0,
) -> probes.LayerStatistics:
    """Send inputs up and random deltas down through fresh nets, and measure every layer.

    On the way back the derivative of the output is standard normal and independent of the net,
    so that the deltas show what the weights do to a gradient, and nothing of a loss.

    Parameters
    ----------
    widths : sequence of int
        ``(n_0, …, n_L)``: inputs, hidden layers, outputs. The last layer is linear.
    activation, weights, biases
        As for `initcore.network.MLP`.
    x : ndarray, shape (batch, n_0), optional
        Inputs, the same for all replicas. By default standard normals, each replica's own.
    batch : int
        Number of inputs, where `x` is not given.
    replicas : int
        Independent nets.
    seed : int
        Of weights, inputs and deltas.

    Returns
    -------
    LayerStatistics
        As `initcore.probes.layer_statistics`, with ``delta rms``; one row a layer, the output
        layer last.

    Raises
    ------
    ValueError, TypeError
        As `MLP` raises them, and a count below 1.

    Examples
    --------
    >>> found = signals((50, 50, 50, 1), "relu", "he_normal")
    >>> found["q"].shape, found["delta rms"].shape
    ((3, 20), (3, 20))
    """
    batch, replicas = counts(batch=batch, replicas=replicas)
    net = network.MLP(
        widths, activation, weights=weights, biases=biases, replicas=replicas, seed=seed
    )
    if x is None:
        shape = (batch, net.widths[0])
        streams = network.replica_generators(seed, replicas, INPUTS)
        x = np.stack([rng.standard_normal(shape) for rng in streams])
    trace = net.forward(x)
    streams = network.replica_generators(seed, replicas, OUTPUTS)
    back = np.stack([rng.standard_normal(trace.output.shape[1:]) for rng in streams])
    return probes.layer_statistics(net, trace, net.backward(trace, back))


def epochs_to(accuracy: np.ndarray, threshold: float) -> np.ndarray:
    """Return after how many epochs each net first reaches an accuracy; infinity if it never does.

    Parameters
    ----------
    accuracy : ndarray, shape (epochs + 1, replicas)
        As in `initcore.training.History`: row 0 is before training.
    threshold : float
        From 0 to 1.

    Returns
    -------
    ndarray, shape (replicas,)

    Raises
    ------
    ValueError, TypeError
        `accuracy` has not two axes, or `threshold` is out of range.

    Examples
    --------
    >>> epochs_to([[0.1, 0.1], [0.8, 0.2], [0.9, 0.3]], 0.5)
    array([ 1., inf])
    """
    accuracy = _checks.array("accuracy", accuracy, ndim=2)
    threshold = _checks.number("threshold", threshold, at_least=0.0, at_most=1.0)
    reached = accuracy >= threshold
    return np.where(reached.any(axis=0), reached.argmax(axis=0), np.inf)


def disagreement(one: np.ndarray, other: np.ndarray | None = None) -> np.ndarray:
    """Return on which share of the inputs pairs of classifiers give different answers.

    Parameters
    ----------
    one : ndarray of int, shape (replicas, batch)
        The classes that nets of one kind answer.
    other : ndarray of int, shape (replicas, batch), optional
        Those of another kind. Without it, nets of the one kind are compared with each other.

    Returns
    -------
    ndarray, shape (pairs,)
        All pairs of one of `one` and one of `other`; without `other`, all pairs of two.

    Raises
    ------
    ValueError, TypeError
        Arrays that have not two axes or do not have the same inputs; fewer than two nets.

    Examples
    --------
    >>> disagreement([[1, 2, 3, 4], [1, 2, 3, 0], [1, 2, 3, 4]])
    array([0.25, 0.  , 0.25])
    """
    one = _checks.array("one", one, ndim=2)
    if other is None:
        if len(one) < 2:
            _checks.fail("one", "the answers of at least two nets", one)
        first, second = np.triu_indices(len(one), k=1)
        return np.mean(one[first] != one[second], axis=-1)
    other = _checks.array("other", other, ndim=2)
    if other.shape[1] != one.shape[1]:
        _checks.fail("other", f"an array of shape (replicas, {one.shape[1]})", other)
    return np.mean(one[:, None] != other, axis=-1).ravel()
