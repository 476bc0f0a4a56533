"""The course's experiments: one named function a claim, numbers over seeds out (floor 6).

Notebooks, tests and explorers share these functions, so that a figure, a printed number and a
test look at the same thing. A function here runs networks and returns arrays or tables; it draws
no figure and computes no theory.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from initcore import _checks, activations, datasets, network, probes, training
from initcore.initializers import RandomNormal

Case = tuple[Any, float]
INPUTS = 1  # a stream of random numbers that no weight is drawn from


def _counts(**values: Any) -> list[int]:
    """Return the arguments, each an integer of at least 1, in their order."""
    return [_checks.integer(name, value, at_least=1) for name, value in values.items()]


class Run(NamedTuple):
    """A network, what it computed, and what the probes say of it.

    Attributes
    ----------
    net : MLP
    trace : Trace
    gradients : Gradients
        Of the output (its sum, if there are several), by everything.
    statistics : LayerStatistics
        With gradients; one row a layer, the output layer last.
    """

    net: network.MLP
    trace: network.Trace
    gradients: network.Gradients
    statistics: probes.LayerStatistics


def normal_network(
    activation: Any,
    sd: float,
    *,
    depth: int = 5,
    width: int = 50,
    inputs: int = 100,
    batch: int = 1,
    replicas: int = 200,
    seed: int = 0,
) -> Run:
    """Send standard normal inputs through nets whose weights are ``sd`` times standard normal.

    The classic experiment of the chapters on small and large random weights: an input of 100
    standard normals, five hidden layers of 50, no biases, and here one linear output unit, whose
    gradient by every weight is computed.

    Parameters
    ----------
    activation : str, Activation or callable
        φ of the hidden layers.
    sd : float
        Standard deviation of every weight, output layer included.
    depth, width, inputs : int
        Hidden layers, units in each, and input units.
    batch : int
        Number of inputs; the gradient is that of the mean output over them.
    replicas : int
        Independent nets, each with inputs of its own.
    seed : int
        Of weights and inputs.

    Returns
    -------
    Run

    Raises
    ------
    ValueError, TypeError
        `sd` is not positive, a count is below 1, or the activation is not known.

    Examples
    --------
    >>> run = normal_network("tanh", 0.01, replicas=20)
    >>> print(run.statistics.table("std", "grad W norm", spec=".1e"))  # doctest: +ELLIPSIS
    layer  std                         grad W norm
        1  9... [...]  1.7e-05 [...]
    ...
    """
    sd = _checks.number("sd", sd, above=0.0)
    depth, batch, replicas = _counts(depth=depth, batch=batch, replicas=replicas)
    net = network.MLP(
        (inputs, *[width] * depth, 1),
        activation,
        weights=RandomNormal(stddev=sd),
        replicas=replicas,
        seed=seed,
    )
    streams = network.replica_generators(seed, replicas, INPUTS)
    trace = net.forward(np.stack([rng.standard_normal((batch, inputs)) for rng in streams]))
    gradients = net.backward(trace, np.full_like(trace.output, 1 / batch))
    return Run(net, trace, gradients, probes.layer_statistics(net, trace, gradients))


def propagate(
    cases: Mapping[str, Case],
    *,
    depth: int,
    width: int,
    batch: int = 1,
    replicas: int = 20,
    seed: int = 0,
) -> dict[str, probes.LayerStatistics]:
    """Send inputs forward through deep nets of several kinds that share one set of draws.

    Case by case the weights are ``gain / √n`` times the same standard normals (common random
    numbers), so that a difference between cases is due to the case. Only one layer is in memory
    at a time, which lets the nets be deep and wide.

    Parameters
    ----------
    cases : mapping of str to (activation, gain)
        ``gain² = n Var(w)``; biases are zero.
    depth, width : int
        Layers, and units in each and in the input (n).
    batch : int
        Number of standard normal inputs.
    replicas : int
        Independent nets, each with inputs of its own.
    seed : int
        Of weights and inputs.

    Returns
    -------
    dict of str to LayerStatistics
        Arrays of shape ``(depth, replicas)``: ``mean``, ``std`` and ``std across inputs`` of the
        activations; ``q`` of the pre-activations, and ``q ratio``, q divided by the mean square
        of the input; with two inputs or more, ``cosine`` of the pre-activations of different
        inputs.

    Raises
    ------
    ValueError, TypeError
        No case, a gain that is not positive, a count below 1, an unknown activation.

    Examples
    --------
    >>> found = propagate({"He": ("relu", 2**0.5)}, depth=3, width=100, replicas=200)
    >>> found["He"]["q"].shape
    (3, 200)
    """
    if not cases:
        _checks.fail("cases", "a mapping with at least one case", cases)
    kinds = {
        label: (activations.get(activation), _checks.number(f"gain of {label!r}", gain, above=0.0))
        for label, (activation, gain) in cases.items()
    }
    depth, width, batch, replicas = _counts(
        depth=depth, width=width, batch=batch, replicas=replicas
    )
    rng = _checks.generator("seed", seed)
    x = rng.standard_normal((replicas, batch, width))
    q_0 = probes.mean_square(x)
    a = dict.fromkeys(kinds, x)
    layers: dict[str, list] = {label: [] for label in kinds}
    for _ in range(depth):
        unit_weights = rng.standard_normal((replicas, width, width))
        for label, (phi, gain) in kinds.items():
            z = gain / np.sqrt(width) * (a[label] @ unit_weights)
            a[label] = phi(z)
            layers[label].append(_forward_statistics(z, a[label], q_0))
    return {
        label: probes.LayerStatistics(
            {name: np.array([row[name] for row in rows]) for name in rows[0]}
        )
        for label, rows in layers.items()
    }


def _forward_statistics(z: np.ndarray, a: np.ndarray, q_0: np.ndarray) -> dict[str, np.ndarray]:
    q = probes.mean_square(z)
    found = {
        "mean": a.mean(axis=(-2, -1)),
        "std": probes.pooled_std(a),
        "std across inputs": probes.std_across_inputs(a),
        "q": q,
        "q ratio": q / q_0,
    }
    return found | ({"cosine": probes.mean_cosine(z)} if z.shape[-2] > 1 else {})


def one_layer_gain(
    fan_ins: Sequence[int],
    sd: float,
    *,
    units: int = 200,
    replicas: int = 20,
    seed: int = 0,
) -> np.ndarray:
    """Return by how much one linear layer changes the root mean square of its input.

    Parameters
    ----------
    fan_ins : sequence of int
        The numbers of inputs n to try.
    sd : float
        Standard deviation of the normal weights, the same for every n.
    units : int
        Units of the layer.
    replicas : int
        Independent layers, each with a standard normal input of its own.
    seed : int
        Of weights and inputs.

    Returns
    -------
    ndarray, shape (fan_ins, replicas)
        √(mean z² / mean x²); the expected square is ``n sd²``.

    Raises
    ------
    ValueError, TypeError
        A count below 1, or `sd` not positive.

    Examples
    --------
    >>> one_layer_gain([100, 10_000], 0.01, replicas=5).mean(axis=1).round(1).tolist()
    [0.1, 1.0]
    """
    sd = _checks.number("sd", sd, above=0.0)
    units, replicas = _counts(units=units, replicas=replicas)
    gains = np.empty((len(fan_ins), replicas))
    for row, n in zip(gains, fan_ins):
        n = _checks.integer("fan_ins", n, at_least=1)
        for r, rng in enumerate(network.replica_generators(seed, replicas, n)):
            x = rng.standard_normal(n)
            row[r] = sd * np.sqrt(np.square(x @ rng.standard_normal((n, units))).mean())
            row[r] /= np.sqrt(np.square(x).mean())
    return gains


# --- Breaking the assumptions of the derivation, one at a time. Each function draws the inputs
# (batch, n), the weights (n, units) and the biases (units,) of one layer; Var(w) = 1/n always.

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
    n, units, batch, replicas = _counts(n=n, units=units, batch=batch, replicas=replicas)
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
    units, replicas = _counts(units=units, replicas=replicas)
    streams = network.replica_generators(seed, replicas)
    return np.array([np.square(x @ _weights(rng, x.shape[1], units)).mean() for rng in streams])


class DigitsRun(NamedTuple):
    """Trained networks, the parts of the digits they saw, and how the training went."""

    net: network.MLP
    history: training.History
    train: datasets.Dataset
    test: datasets.Dataset


def train_on_digits(
    activation: Any,
    weights: Any,
    *,
    hidden: Sequence[int] = (50,) * 5,
    optimizer: Any = None,
    epochs: int = 15,
    batch_size: int = 32,
    replicas: int = 8,
    seed: int = 0,
) -> DigitsRun:
    """Train classifiers of the handwritten digits from one kind of initialization.

    Parameters
    ----------
    activation : str, Activation or callable
        φ of the hidden layers.
    weights : str, Initializer or callable
        Initializer of all weights; biases start at zero.
    hidden : sequence of int
        Widths of the hidden layers.
    optimizer : SGD or Adam, optional
        SGD with learning rate 0.02 and momentum 0.9 by default.
    epochs, batch_size : int
        Passes over the 1,438 training digits, and examples a step.
    replicas : int
        Independent nets: they differ in weights and in the order of the digits, not in the split.
    seed : int
        Of weights and order. The split is always that of ``datasets.split(..., seed=0)``.

    Returns
    -------
    DigitsRun
        ``history.validation_accuracy`` is that on the 359 test digits.

    Raises
    ------
    ValueError, TypeError
        As `MLP` and `fit` raise them.
    """
    train, test = datasets.split(datasets.load_digits(), seed=0)
    net = network.MLP((64, *hidden, 10), activation, weights=weights, replicas=replicas, seed=seed)
    history = training.fit(
        net,
        train.x,
        train.y,
        optimizer=optimizer or training.SGD(0.02, momentum=0.9),
        epochs=epochs,
        batch_size=batch_size,
        seed=seed,
        validation=(test.x, test.y),
    )
    return DigitsRun(net, history, train, test)


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
