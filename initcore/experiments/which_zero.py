"""Which zero is fatal: every start of the blocks of a net, after training and on the way."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product
from typing import Any, NamedTuple

import numpy as np

from initcore import _checks, network, probes, training
from initcore.experiments._common import counts
from initcore.experiments.digits import fit_on_digits, split_digits, train_on_digits
from initcore.initializers import Constant, GlorotUniform, RandomNormal, Zeros

LEVELS = ("zero", "constant", "random")
LAST_LEVELS = ("zero", "random")  # with a softmax, constant last weights are as good as zero
STEPS_AN_EPOCH = 45  # 1,438 digits, 32 a step


class BlockRuns(NamedTuple):
    """Nets with one hidden layer, trained from combinations of starts of their blocks.

    Attributes
    ----------
    starts : list of (str, str, str)
        What the first weights, the last weights and the hidden biases were.
    accuracy : ndarray, shape (starts, replicas)
        On the digits that `part` names.
    distinct : ndarray of int, shape (starts, replicas)
        Distinct hidden units after training.
    effective_rank : ndarray, shape (starts, replicas)
        Of the first weights after training.
    """

    starts: list[tuple[str, str, str]]
    accuracy: np.ndarray
    distinct: np.ndarray
    effective_rank: np.ndarray

    def where(self, first: str, last: str, biases: str) -> int:
        """Return the row of one start.

        Raises
        ------
        ValueError, TypeError
            A level that does not occur.
        """
        for name, level, levels in zip(
            ("first", "last", "biases"), (first, last, biases), zip(*self.starts)
        ):
            _checks.choice(name, level, sorted(set(levels)))
        return self.starts.index((first, last, biases))

    def median(self, first: str, last: str, biases: str) -> float:
        """Return the median accuracy from one start; errors as `where`."""
        return float(np.median(self.accuracy[self.where(first, last, biases)]))


def _starts(constant: float, bias_sd: float) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the initializers of weights and of biases that the names in `LEVELS` stand for."""
    weights = dict(zip(LEVELS, (Zeros(), Constant(constant), GlorotUniform())))
    biases = dict(zip(LEVELS, (Zeros(), Constant(constant), RandomNormal(stddev=bias_sd))))
    return weights, biases


def which_zero_is_fatal(
    activation: Any,
    learning_rate: float = 0.05,
    *,
    last_levels: Sequence[str] = LAST_LEVELS,
    units: int = 16,
    constant: float = 0.05,
    bias_sd: float = 0.5,
    epochs: int = 4,
    part: str = "test",
    replicas: int = 8,
    seed: int = 0,
) -> BlockRuns:
    """Train digit classifiers from every combination of zero, constant and random blocks.

    The net is 64-`units`-10. Its blocks are the first weights, the last weights and the hidden
    biases; the output biases are zero. *Random* means Glorot's uniform distribution for weights
    and a normal one for biases. Constant last weights are left out unless asked for: they add
    the same number to all outputs, which a softmax does not see, so that in exact arithmetic
    they train as zero ones do.

    Parameters
    ----------
    activation : str, Activation or callable
        φ of the hidden layer.
    learning_rate : float
        Of SGD with momentum 0.9 and 32 images a step.
    last_levels : sequence of str
        Of `LEVELS`: how the last weights start.
    units : int
        Of the hidden layer.
    constant : float
        What every number of a constant block is.
    bias_sd : float
        Standard deviation of random biases.
    epochs, part, replicas, seed
        As for `train_on_digits`.

    Returns
    -------
    BlockRuns

    Raises
    ------
    ValueError, TypeError
        As `train_on_digits` raises them.

    Examples
    --------
    >>> runs = which_zero_is_fatal("tanh", 0.1, epochs=1, units=4, replicas=1)
    >>> int(runs.distinct[runs.where("zero", "zero", "zero"), 0])
    1
    """
    weights, biases = _starts(constant, bias_sd)
    for level in last_levels:
        _checks.choice("last_levels", level, LEVELS)
    starts = list(product(LEVELS, last_levels, LEVELS))
    rows = []
    for first, last, bias in starts:
        run = train_on_digits(
            activation,
            [weights[first], weights[last]],
            biases=[biases[bias], Zeros()],
            hidden=(units,),
            optimizer=training.SGD(learning_rate, momentum=0.9),
            epochs=epochs,
            part=part,
            replicas=replicas,
            seed=seed,
        )
        W, b = run.net.weights[0], run.net.biases[0]
        accuracy = run.history.validation_accuracy[-1]
        rows.append((accuracy, probes.distinct_units(W, b), probes.effective_rank(W)))
    return BlockRuns(starts, *map(np.array, zip(*rows)))


class _Watched:
    """SGD that looks at the network after some of its steps."""

    def __init__(self, sgd: training.SGD, after: Sequence[int], look: Callable[[], None]) -> None:
        self.sgd, self.after, self.look = sgd, frozenset(after), look

    def start(self, parameters: list[np.ndarray]) -> None:
        self.sgd.start(parameters)
        self.done = 0

    def step(self, parameters: list[np.ndarray], gradients: list[np.ndarray]) -> None:
        self.sgd.step(parameters, gradients)
        self.done += 1
        if self.done in self.after:
            self.look()


class BlockSteps(NamedTuple):
    """Nets with one hidden layer, from one start of their blocks, at some steps of training.

    Attributes
    ----------
    steps : ndarray of int, shape (points,)
        0 is before training.
    accuracy : ndarray, shape (points, replicas)
        On the test digits.
    distinct : ndarray of int, shape (points, replicas)
        Distinct hidden units.
    effective_rank : ndarray, shape (points, replicas)
        Of the first weights.
    """

    steps: np.ndarray
    accuracy: np.ndarray
    distinct: np.ndarray
    effective_rank: np.ndarray


def block_steps(
    activation: Any,
    first: str,
    last: str,
    biases: str,
    learning_rate: float = 0.05,
    *,
    steps: Sequence[int] = (0, 1, 45, 180),
    units: int = 16,
    replicas: int = 8,
    seed: int = 0,
) -> BlockSteps:
    """Train digit classifiers from one start of `which_zero_is_fatal` and look at them on the way.

    The nets, the training and the order of the digits are those of `which_zero_is_fatal`. An
    epoch has 45 steps.

    Parameters
    ----------
    activation : str, Activation or callable
        φ of the hidden layer.
    first, last, biases : {"zero", "constant", "random"}
        How the first weights, the last weights and the hidden biases start.
    learning_rate : float
        Of SGD with momentum 0.9.
    steps : sequence of int
        When to look, rising.
    units : int
        Of the hidden layer.
    replicas, seed
        As for `train_on_digits`.

    Returns
    -------
    BlockSteps

    Raises
    ------
    ValueError, TypeError
        An unknown level, steps that do not rise, or what `train_on_digits` refuses.

    Examples
    --------
    >>> found = block_steps("tanh", "zero", "random", "zero", steps=(0, 1), replicas=2)
    >>> found.distinct.tolist()
    [[1, 1], [16, 16]]
    """
    for name, level in {"first": first, "last": last, "biases": biases}.items():
        _checks.choice(name, level, LEVELS)
    steps = [_checks.integer(f"steps[{i}]", s, at_least=0) for i, s in enumerate(steps)]
    if not steps or any(b <= a for a, b in zip(steps, steps[1:])):
        _checks.fail("steps", "a rising sequence of integers", steps)
    units, replicas = counts(units=units, replicas=replicas)
    weights_of, biases_of = _starts(0.05, 0.5)
    net = network.MLP(
        (64, units, 10),
        activation,
        weights=[weights_of[first], weights_of[last]],
        biases=[biases_of[biases], "zeros"],
        replicas=replicas,
        seed=seed,
    )
    test, found = split_digits().test, []

    def look() -> None:
        W, b = net.weights[0], net.biases[0]
        accuracy = (net.predict(test.x).argmax(axis=-1) == test.y).mean(axis=-1)
        found.append((accuracy, probes.distinct_units(W, b), probes.effective_rank(W)))

    if steps[0] == 0:
        look()
    if steps[-1] > 0:
        sgd = _Watched(training.SGD(learning_rate, momentum=0.9), steps, look)
        fit_on_digits(net, optimizer=sgd, epochs=-(-steps[-1] // STEPS_AN_EPOCH), seed=seed)
    return BlockSteps(np.array(steps), *map(np.array, zip(*found)))
