"""What a training step does with a gradient: SGD with momentum, and Adam (level 1).

An optimizer holds settings only, until `start` is given the parameters; `step` then changes them
in place. Every operation is elementwise, so that replicas in one array never touch each other.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from initcore import _checks


@dataclass
class SGD:
    """Stochastic gradient descent with momentum.

    ``v ← momentum · v - learning_rate · gradient`` and ``p ← p + v`` (Sutskever et al. 2013,
    eqs. 1 and 2). It holds settings only, until `start`.

    Parameters
    ----------
    learning_rate : float
        Above 0.
    momentum : float
        In [0, 1); 0 is plain gradient descent.

    Raises
    ------
    ValueError, TypeError
        A setting outside its range.

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
    _velocities: list[np.ndarray] = field(default_factory=list, init=False, repr=False)

    def __post_init__(self) -> None:
        self.learning_rate = _checks.number("learning_rate", self.learning_rate, above=0.0)
        self.momentum = _checks.number("momentum", self.momentum, at_least=0.0, below=1.0)

    def start(self, parameters: Sequence[np.ndarray]) -> None:
        """Reset the state, for these parameters."""
        self._velocities = _zeros_like(parameters)

    def step(self, parameters: Sequence[np.ndarray], gradients: Sequence[np.ndarray]) -> None:
        """Change the parameters in place.

        Raises
        ------
        ValueError, TypeError
            Parameters other than those of `start`, or gradients that do not fit them.
        """
        _check_step(self._velocities, parameters, gradients)
        for p, g, v in zip(parameters, gradients, self._velocities, strict=True):
            v *= self.momentum
            v -= self.learning_rate * g
            p += v


@dataclass
class Adam:
    """Adam: steps scaled by running means of the gradient and of its square.

    ``m ← beta_1 m + (1 - beta_1) g``, ``v ← beta_2 v + (1 - beta_2) g²`` and
    ``p ← p - learning_rate · m̂ / (√v̂ + epsilon)``, where ``m̂ = m / (1 - beta_1ᵗ)`` and
    ``v̂ = v / (1 - beta_2ᵗ)`` at step t (Kingma and Ba 2015, algorithm 1). It holds settings only,
    until `start`.

    Parameters
    ----------
    learning_rate : float
        Above 0.
    beta_1, beta_2 : float
        In [0, 1).
    epsilon : float
        At least 1e-30, so that it is not 0 in float32. (Keras adds its 1e-7 to √v instead.)

    Raises
    ------
    ValueError, TypeError
        A setting outside its range.

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
    _steps: int = field(default=0, init=False, repr=False)
    _means: list[np.ndarray] = field(default_factory=list, init=False, repr=False)
    _squares: list[np.ndarray] = field(default_factory=list, init=False, repr=False)

    def __post_init__(self) -> None:
        self.learning_rate = _checks.number("learning_rate", self.learning_rate, above=0.0)
        self.beta_1 = _checks.number("beta_1", self.beta_1, at_least=0.0, below=1.0)
        self.beta_2 = _checks.number("beta_2", self.beta_2, at_least=0.0, below=1.0)
        self.epsilon = _checks.number("epsilon", self.epsilon, at_least=1e-30)

    def start(self, parameters: Sequence[np.ndarray]) -> None:
        """Reset the state, for these parameters."""
        self._steps = 0
        self._means, self._squares = _zeros_like(parameters), _zeros_like(parameters)

    def step(self, parameters: Sequence[np.ndarray], gradients: Sequence[np.ndarray]) -> None:
        """Change the parameters in place.

        Raises
        ------
        ValueError, TypeError
            Parameters other than those of `start`, or gradients that do not fit them.
        """
        _check_step(self._means, parameters, gradients)
        self._steps += 1
        rate = self.learning_rate / (1.0 - self.beta_1**self._steps)
        unbias = 1.0 / math.sqrt(1.0 - self.beta_2**self._steps)
        for p, g, m, v in zip(parameters, gradients, self._means, self._squares, strict=True):
            m *= self.beta_1
            m += (1.0 - self.beta_1) * g
            v *= self.beta_2
            v += (1.0 - self.beta_2) * np.square(g)
            root = np.sqrt(v)
            root *= unbias
            root += self.epsilon
            p -= rate * m / root


def get(optimizer: Any) -> Any:
    """Return an optimizer of a run's own: by its name, or a copy of one, which keeps no state.

    Parameters
    ----------
    optimizer : SGD, Adam, "sgd" or "adam"
        Or any object with their `start` and `step`.

    Raises
    ------
    ValueError, TypeError
        An unknown name, a class, or an object without the two methods.

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


def _zeros_like(parameters: Sequence[np.ndarray]) -> list[np.ndarray]:
    for i, p in enumerate(parameters):
        if not isinstance(p, np.ndarray) or p.dtype.kind != "f":
            _checks.fail(f"parameters[{i}]", "an array of floats", p, TypeError)
    return [np.zeros_like(p) for p in parameters]


def _check_step(state: list, parameters: Sequence, gradients: Sequence) -> None:
    expected = [s.shape for s in state]
    for name, arrays in (("parameters", parameters), ("gradients", gradients)):
        shapes = [np.shape(array) for array in arrays]
        if not expected or shapes != expected:
            allowed = f"arrays of the shapes that `start` was given, {expected}"
            _checks.fail(name, allowed, shapes)
