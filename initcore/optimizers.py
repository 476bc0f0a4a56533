"""What a training step does with a gradient: SGD with momentum, and Adam (level 1).

An optimizer holds settings only, until `start` is given the parameters; `step` then changes them
in place. A setting out of its range is a ``ValueError``, one that is no number a ``TypeError``.
Every operation is elementwise, so that replicas in one array never touch each other, and so that
all gradients can be one long array: a few operations in all, not a few for each layer.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from initcore import _checks

TOGETHER = 2**14  # numbers in all, of the arrays that are changed in one go


class _Group:
    """Neighbours among the parameters, and what an optimizer keeps of them as one long array."""

    def __init__(self, first: int, parameters: Sequence[np.ndarray]) -> None:
        self.arrays = slice(first, first + len(parameters))
        ends = np.cumsum([p.size for p in parameters])
        self.move, self.mean, self.square = np.zeros((3, ends[-1]), np.result_type(*parameters))
        parts = zip(np.split(self.move, ends[:-1]), parameters)
        self.moves = [part.reshape(p.shape) for part, p in parts]  # in the memory of `move`


class _Optimizer:
    """What both have in common: `_set_move` sets what is then added to a group of parameters."""

    _shapes: list[tuple[int, ...]] = []

    def start(self, parameters: Sequence[np.ndarray]) -> None:
        """Reset the state, for these parameters."""
        for i, p in enumerate(parameters):
            if not isinstance(p, np.ndarray) or p.dtype.kind != "f":
                _checks.fail(f"parameters[{i}]", "an array of floats", p, TypeError)
        self._shapes, self._groups, self._steps = [p.shape for p in parameters], [], 0
        first = 0
        for last in range(1, len(parameters) + 1):
            size = sum(p.size for p in parameters[first : last + 1])
            if last == len(parameters) or size > TOGETHER:
                self._groups.append(_Group(first, parameters[first:last]))
                first = last

    def step(self, parameters: Sequence[np.ndarray], gradients: Sequence[np.ndarray]) -> None:
        """Change the parameters of `start` in place; what does not fit is a ``ValueError``."""
        for name, arrays in (("parameters", parameters), ("gradients", gradients)):
            shapes = [getattr(array, "shape", None) for array in arrays]
            if shapes != self._shapes or not shapes:
                allowed = f"arrays of the shapes that `start` was given, {self._shapes}"
                _checks.fail(name, allowed, shapes)
        self._steps += 1
        for group in self._groups:
            parts = [np.ravel(g) for g in gradients[group.arrays]]
            self._set_move(group, np.concatenate(parts) if len(parts) > 1 else parts[0])
            for p, move in zip(parameters[group.arrays], group.moves):
                p += move


@dataclass
class SGD(_Optimizer):
    """Stochastic gradient descent with momentum.

    ``v ← momentum · v - learning_rate · gradient`` and ``p ← p + v`` (Sutskever et al. 2013,
    eqs. 1 and 2).

    Parameters
    ----------
    learning_rate : float
        Above 0.
    momentum : float
        In [0, 1); 0 is plain gradient descent.

    Examples
    --------
    >>> p, sgd = np.array([1.0]), SGD(0.1, momentum=0.5)
    >>> sgd.start([p])
    >>> for _ in range(2):
    ...     sgd.step([p], [np.array([1.0])])
    >>> p.round(4)
    array([0.75])
    """

    learning_rate: float = 0.01
    momentum: float = 0.0

    def __post_init__(self) -> None:
        self.learning_rate = _checks.number("learning_rate", self.learning_rate, above=0.0)
        self.momentum = _checks.number("momentum", self.momentum, at_least=0.0, below=1.0)

    def _set_move(self, group: _Group, gradient: np.ndarray) -> None:
        group.move *= self.momentum
        group.move -= self.learning_rate * gradient


@dataclass
class Adam(_Optimizer):
    """Adam: steps scaled by running means of the gradient and of its square.

    ``m ← beta_1 m + (1 - beta_1) g``, ``v ← beta_2 v + (1 - beta_2) g²`` and
    ``p ← p - learning_rate · m̂ / (√v̂ + epsilon)``, where ``m̂ = m / (1 - beta_1ᵗ)`` and
    ``v̂ = v / (1 - beta_2ᵗ)`` at step t (Kingma and Ba 2015, algorithm 1).

    Parameters
    ----------
    learning_rate : float
        Above 0.
    beta_1, beta_2 : float
        In [0, 1).
    epsilon : float
        At least 1e-30, so that it is not 0 in float32. (Keras adds its 1e-7 to √v instead.)

    Examples
    --------
    >>> p, adam = np.array([1.0]), Adam(0.1)
    >>> adam.start([p])
    >>> adam.step([p], [np.array([1e-3])])
    >>> p.round(4)
    array([0.9])
    """

    learning_rate: float = 1e-3
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-8

    def __post_init__(self) -> None:
        self.learning_rate = _checks.number("learning_rate", self.learning_rate, above=0.0)
        self.beta_1 = _checks.number("beta_1", self.beta_1, at_least=0.0, below=1.0)
        self.beta_2 = _checks.number("beta_2", self.beta_2, at_least=0.0, below=1.0)
        self.epsilon = _checks.number("epsilon", self.epsilon, at_least=1e-30)

    def _set_move(self, group: _Group, gradient: np.ndarray) -> None:
        rate = self.learning_rate / (1.0 - self.beta_1**self._steps)
        unbias = 1.0 / math.sqrt(1.0 - self.beta_2**self._steps)
        group.mean *= self.beta_1
        group.mean += (1.0 - self.beta_1) * gradient
        group.square *= self.beta_2
        group.square += (1.0 - self.beta_2) * np.square(gradient)
        root = np.sqrt(group.square)
        root *= unbias
        root += self.epsilon
        np.divide(-rate * group.mean, root, out=group.move)


def get(optimizer: Any) -> Any:
    """Return an optimizer of a run's own: by its name, or a copy of one, which keeps no state.

    It is an `SGD` or `Adam`, "sgd" or "adam", or any object with their `start` and `step`. Another
    name is a ``ValueError``, another object, or a class, a ``TypeError``.

    Examples
    --------
    >>> get("sgd"), get(SGD(0.5))
    (SGD(learning_rate=0.01, momentum=0.0), SGD(learning_rate=0.5, momentum=0.0))
    """
    by_name = {"sgd": SGD, "adam": Adam}
    if isinstance(optimizer, str):
        return by_name[_checks.choice("optimizer", optimizer, tuple(by_name))]()
    is_one = all(callable(getattr(optimizer, name, None)) for name in ("start", "step"))
    if isinstance(optimizer, type) or not is_one:
        allowed = "'sgd', 'adam', or an instance of SGD, Adam or alike"
        _checks.fail("optimizer", allowed, optimizer, TypeError)
    return copy.copy(optimizer)
