"""Symmetry between the units of a layer: what keeps it, what breaks it, and what that costs."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from initcore import _checks, losses, network, probes, training
from initcore.experiments._common import counts
from initcore.experiments.digits import DigitsRun, fit_on_digits, split_digits, train_on_digits
from initcore.initializers import Constant, GlorotUniform

BRANCHES = 2  # a stream of random numbers that no weight and no order is drawn from


class RankRun(NamedTuple):
    """A run of `train_on_digits`, with the effective rank of its weights over training.

    Attributes
    ----------
    run : DigitsRun
    effective_rank : ndarray, shape (epochs + 1, layers, replicas)
        Of each layer's weights; row 0 is before training.
    distinct : ndarray of int, shape (layers, replicas)
        Distinct units of each layer after training.
    """

    run: DigitsRun
    effective_rank: np.ndarray
    distinct: np.ndarray

    @property
    def accuracy(self) -> np.ndarray:
        """On the test (or validation) digits, shape (epochs + 1, replicas)."""
        return self.run.history.validation_accuracy

    @property
    def median(self) -> float:
        """The median accuracy after the last epoch."""
        return float(np.median(self.accuracy[-1]))


def rank_over_training(
    activation: Any,
    weights: Any,
    *,
    learning_rate: float = 0.05,
    hidden: tuple[int, ...] = (32, 32),
    epochs: int = 10,
    **options: Any,
) -> RankRun:
    """Train digit classifiers and watch the effective rank of their weights, epoch by epoch.

    Parameters
    ----------
    activation, weights, hidden, epochs
        As for `train_on_digits`.
    learning_rate : float
        Of SGD with momentum 0.9.
    **options
        Others of `train_on_digits`, but for the optimizer and the probe.

    Returns
    -------
    RankRun

    Raises
    ------
    ValueError, TypeError
        As `train_on_digits` raises them.

    Examples
    --------
    >>> found = rank_over_training("tanh", Constant(0.05), hidden=(4,), epochs=1, replicas=1)
    >>> found.effective_rank.shape, found.distinct.tolist()
    ((2, 2, 1), [[1], [10]])
    """
    optimizer = training.SGD(learning_rate, momentum=0.9)
    run = train_on_digits(
        activation,
        weights,
        hidden=hidden,
        epochs=epochs,
        optimizer=optimizer,
        probe=lambda net: [probes.effective_rank(W) for W in net.weights],
        **options,
    )
    distinct = [probes.distinct_units(W, b) for W, b in zip(run.net.weights, run.net.biases)]
    return RankRun(run, np.array(run.history.probes), np.array(distinct))


def full_batch_steps(
    activation: Any,
    weights: Any = "zeros",
    *,
    learning_rate: float = 0.1,
    steps: int = 4,
    hidden: tuple[int, ...] = (32, 32),
) -> list[network.MLP]:
    """Return a digit classifier as it is before and after each step of plain gradient descent.

    A step uses all training digits, so nothing is left to chance.

    Parameters
    ----------
    activation, weights, hidden
        As for `train_on_digits`; the biases start at zero.
    learning_rate : float
        There is no momentum.
    steps : int
        How many.

    Returns
    -------
    list of MLP, length ``steps + 1``

    Raises
    ------
    ValueError, TypeError
        A rate that is not positive, fewer than one step, or what `MLP` refuses.

    Examples
    --------
    >>> nets = full_batch_steps("tanh", steps=2)
    >>> [bool(net.biases[-1].any()) for net in nets]
    [False, True, True]
    """
    learning_rate = _checks.number("learning_rate", learning_rate, above=0.0)
    (steps,) = counts(steps=steps)
    digits = split_digits().train
    net = network.MLP((64, *hidden, 10), activation, weights=weights)
    nets = [net]
    for _ in range(steps):
        trace = net.forward(digits.x)
        _, gradient = losses.softmax_cross_entropy(trace.output, digits.y)
        gradients = net.backward(trace, gradient)
        down = zip(net.parameters(), gradients.parameters())
        moved = [p - learning_rate * g for p, g in down]
        layers = net.n_layers
        net = network.MLP(net.widths, activation, weights=moved[:layers], biases=moved[layers:])
        nets.append(net)
    return nets


class _LayerRates:
    """SGD whose gradients are multiplied by a factor for each parameter array."""

    def __init__(self, sgd: training.SGD, factors: list[float]) -> None:
        self.sgd, self.factors = sgd, factors

    def start(self, parameters: list[np.ndarray]) -> None:
        self.sgd.start(parameters)

    def step(self, parameters: list[np.ndarray], gradients: list[np.ndarray]) -> None:
        self.sgd.step(parameters, [f * g for f, g in zip(self.factors, gradients)])


class NarrowTwin(NamedTuple):
    """A net of equal units, and nets that are one unit wide.

    Attributes
    ----------
    wide : ndarray, shape (replicas,)
        Test accuracy of the constant net with `width` units a layer.
    twin : ndarray, shape (replicas,)
        Of the narrow net that starts as the same function, with a rate of its own in each layer.
    narrow : ndarray, shape (replicas,)
        Of a narrow net with the common rate and Glorot's start.
    gap : ndarray, shape (replicas,)
        Largest difference between the outputs of the wide net and its twin on the test digits,
        over the largest output.
    """

    wide: np.ndarray
    twin: np.ndarray
    narrow: np.ndarray
    gap: np.ndarray


def narrow_twin(
    activation: Any = "tanh",
    *,
    constant: float = 0.05,
    width: int = 32,
    learning_rate: float = 0.05,
    epochs: int = 10,
    replicas: int = 8,
    seed: int = 0,
) -> NarrowTwin:
    """Train a net of equal units, and the net one unit wide that is the same function.

    With n equal units a layer, a unit's n equal incoming weights w act as one weight ``n w``. By
    the chain rule the wide net moves as the narrow one would with the learning rate divided by n
    for first weights and hidden biases, unchanged between hidden layers and for output biases,
    and multiplied by n for last weights.

    Parameters
    ----------
    activation : str, Activation or callable
        φ of the two hidden layers.
    constant : float
        Every weight of the wide net.
    width : int
        n, units of each hidden layer of the wide net.
    learning_rate, epochs, replicas, seed
        As for `rank_over_training`.

    Returns
    -------
    NarrowTwin

    Raises
    ------
    ValueError, TypeError
        As `train_on_digits` raises them.

    Examples
    --------
    >>> twin = narrow_twin(width=4, epochs=1, replicas=2)
    >>> bool(twin.gap.max() < 1e-8)
    True
    """
    (width,) = counts(width=width)
    constant = _checks.number("constant", constant)
    common = {"epochs": epochs, "replicas": replicas, "seed": seed}

    def sgd() -> training.SGD:
        return training.SGD(learning_rate, momentum=0.9)

    wide = train_on_digits(
        activation, Constant(constant), hidden=(width,) * 2, optimizer=sgd(), **common
    )
    factors = [1 / width, 1.0, float(width), 1 / width, 1 / width, 1.0]  # weights, then biases
    collapsed = [Constant(constant), Constant(width * constant), Constant(width * constant)]
    own_rates = _LayerRates(sgd(), factors)
    twin = train_on_digits(activation, collapsed, hidden=(1, 1), optimizer=own_rates, **common)
    narrow = train_on_digits(activation, "glorot_uniform", hidden=(1, 1), optimizer=sgd(), **common)
    outputs = [run.net.predict(run.test.x) for run in (wide, twin)]
    largest = np.abs(outputs[0]).max(axis=(1, 2))
    gap = np.abs(outputs[0] - outputs[1]).max(axis=(1, 2)) / largest
    accuracies = [run.history.validation_accuracy[-1] for run in (wide, twin, narrow)]
    return NarrowTwin(*accuracies, gap)


class Branches(NamedTuple):
    """Nets whose hidden layer is made of two branches, after training.

    Attributes
    ----------
    accuracy : ndarray, shape (replicas,)
        On the test digits.
    gap : ndarray, shape (replicas,)
        Largest difference between a parameter of branch 2 and ``sign`` times that of branch 1,
        over the largest parameter.
    distinct : ndarray of int, shape (replicas,)
        Distinct hidden units, of ``2 * units``.
    effective_rank : ndarray, shape (replicas,)
        Of the kernels of both branches together.
    """

    accuracy: np.ndarray
    gap: np.ndarray
    distinct: np.ndarray
    effective_rank: np.ndarray


def two_branches(
    activation: Any = "tanh",
    *,
    kernels: str = "shared",
    heads: str = "shared",
    sign: int = 1,
    units: int = 16,
    learning_rate: float = 0.05,
    epochs: int = 5,
    replicas: int = 8,
    seed: int = 0,
) -> Branches:
    """Train digit classifiers of two branches that may share an initializer with an int seed.

    Each branch has a kernel ``(64, units)``, biases that start at zero, and a head
    ``(units, 10)``; the outputs of the heads are added. An initializer with an integer seed that
    two layers of equal shape *share* gives both the same weights.

    Parameters
    ----------
    activation : str, Activation or callable
        φ of the branches.
    kernels, heads : {"shared", "own"}
        Whether the kernels (the heads) of the two branches come from one initializer object with
        an integer seed, or each from one of its own with another seed.
    sign : {1, -1}
        What the weights of branch 2 are multiplied by: -1 makes sign twins.
    units : int
        In each branch.
    learning_rate, epochs, replicas, seed
        As for `rank_over_training`.

    Returns
    -------
    Branches

    Raises
    ------
    ValueError, TypeError
        `kernels`, `heads` or `sign` is none of those, or what `fit` refuses.

    Examples
    --------
    >>> found = two_branches(units=3, epochs=1, replicas=2)
    >>> found.distinct.tolist(), bool(found.gap.max() < 1e-8)
    ([3, 3], True)
    """
    units, replicas = counts(units=units, replicas=replicas)
    _checks.choice("kernels", kernels, ("shared", "own"))
    _checks.choice("heads", heads, ("shared", "own"))
    if _checks.integer("sign", sign) not in (1, -1):
        _checks.fail("sign", "1 or -1", sign)
    net = network.MLP((64, 2 * units, 10), activation, weights="zeros", replicas=replicas)
    for r, rng in enumerate(network.replica_generators(seed, replicas, BRANCHES)):
        for layer, shape in enumerate([(64, units), (units, 10)]):
            first, second = (GlorotUniform(seed=int(s)) for s in rng.integers(2**32, size=2))
            if (kernels, heads)[layer] == "shared":
                second = first
            halves = [first(shape, "float64"), sign * second(shape, "float64")]
            net.weights[layer][r] = np.concatenate(halves, axis=1 - layer)
    sgd = training.SGD(learning_rate, momentum=0.9)
    history = fit_on_digits(net, optimizer=sgd, epochs=epochs, seed=seed).history
    units_in_rows = [net.weights[0].swapaxes(1, 2), net.biases[0][..., None], net.weights[1]]
    unit = np.concatenate(units_in_rows, axis=-1)  # (replicas, 2 units, all its parameters)
    apart = np.abs(unit[:, units:] - sign * unit[:, :units]).max(axis=(1, 2))
    return Branches(
        history.validation_accuracy[-1],
        apart / np.abs(unit).max(axis=(1, 2)),
        probes.distinct_units(net.weights[0], net.biases[0]),
        probes.effective_rank(net.weights[0]),
    )
