"""Real data inside the package, and two small synthetic sets (level 1).

Nothing downloads: the 1,797 handwritten digits are a 45 kB file beside this module
(``data/README.md`` states source and licence). Standardisation is fitted on a training part and
only applied to the others.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources
from typing import NamedTuple

import numpy as np

from initcore import _checks


class Dataset(NamedTuple):
    """Inputs and labels that belong together.

    Attributes
    ----------
    x : ndarray, shape (batch, features)
        One example a row.
    y : ndarray of int, shape (batch,)
        Class labels from 0.
    """

    x: np.ndarray
    y: np.ndarray


class Split(NamedTuple):
    """A training part and a test part without an example in common."""

    train: Dataset
    test: Dataset


def load_digits() -> Dataset:
    """Return 1,797 handwritten digits of 8×8 pixels.

    Returns
    -------
    Dataset
        `x` is ``(1797, 64)``, float64, pixels from 0 (paper) to 16 (ink) row by row; `y` is
        ``(1797,)`` with the digits 0–9.

    Notes
    -----
    Source: E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits, UCI Machine
    Learning Repository, 1998, https://doi.org/10.24432/C50P49 (the test part), CC BY 4.0.

    Examples
    --------
    >>> digits = load_digits()
    >>> digits.x.shape, float(digits.x.max()), digits.y[:5].tolist()
    ((1797, 64), 16.0, [0, 1, 2, 3, 4])
    """
    with resources.files("initcore").joinpath("data/digits.npz").open("rb") as file:
        with np.load(file) as stored:
            return Dataset(stored["images"].astype(float), stored["labels"].astype(np.int64))


def xor() -> Dataset:
    """Return the four points of exclusive or, with coordinates ±1.

    Examples
    --------
    >>> xor().y.tolist()
    [0, 1, 1, 0]
    """
    x = np.array([[-1.0, -1.0], [-1.0, 1.0], [1.0, -1.0], [1.0, 1.0]])
    return Dataset(x, (x[:, 0] * x[:, 1] < 0).astype(np.int64))


def spirals(
    points: int = 100,
    classes: int = 3,
    *,
    turns: float = 0.75,
    noise: float = 0.03,
    seed: int | np.random.Generator | None = 0,
) -> Dataset:
    """Return interleaved spiral arms in the plane, one a class.

    Arm `k` is ``r (cos θ, sin θ)`` with ``θ = 2π (turns · r + k / classes)`` for radii ``r`` in
    (0, 1], plus normal noise.

    Parameters
    ----------
    points : int
        Points an arm.
    classes : int
        Number of arms, at least 2.
    turns : float
        How far an arm winds, in full turns.
    noise : float
        Standard deviation of the noise added to both coordinates.
    seed : int, numpy.random.Generator or None
        Source of the noise.

    Returns
    -------
    Dataset
        `x` is ``(points · classes, 2)``, `y` the arm of each point.

    Raises
    ------
    ValueError, TypeError
        `points` below 1, `classes` below 2, a negative or non-finite `turns` or `noise`.

    Examples
    --------
    >>> spirals(points=50, classes=2).x.shape
    (100, 2)
    """
    points = _checks.integer("points", points, at_least=1)
    classes = _checks.integer("classes", classes, at_least=2)
    turns = _checks.number("turns", turns, at_least=0.0)
    noise = _checks.number("noise", noise, at_least=0.0)
    rng = _checks.generator("seed", seed)
    radius = np.tile(np.arange(1, points + 1) / points, classes)
    y = np.repeat(np.arange(classes), points)
    angle = 2 * np.pi * (turns * radius + y / classes)
    x = radius[:, None] * np.column_stack([np.cos(angle), np.sin(angle)])
    return Dataset(x + noise * rng.standard_normal(x.shape), y)


@dataclass(frozen=True)
class Standardizer:
    """Shift and scale features by the mean and standard deviation of a training part.

    A feature that is constant in the training part is shifted only: it becomes 0 there, and so
    E[x²] over all features stays below 1.

    Attributes
    ----------
    mean, std : ndarray, shape (features,)
        Of the training part; `std` is 1 where a feature is constant.
    """

    mean: np.ndarray
    std: np.ndarray

    @classmethod
    def fit(cls, x: np.ndarray) -> Standardizer:
        """Return the standardizer of training inputs `x` of shape ``(batch, features)``.

        Raises
        ------
        ValueError, TypeError
            `x` is not a finite, non-empty array with two axes.

        Examples
        --------
        >>> scaled = Standardizer.fit([[0.0, 5.0], [2.0, 5.0]])([[4.0, 6.0]])
        >>> scaled.tolist()
        [[3.0, 1.0]]
        """
        x = _checks.array("x", x, ndim=2, dtype=np.float64)
        std = x.std(axis=0)
        constant = np.ptp(x, axis=0) == 0  # a rounded std of a constant need not be exactly 0
        return cls(x.mean(axis=0), np.where(constant, 1.0, std))

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Return the standardised inputs; `x` is ``(batch, features)``."""
        x = _checks.array("x", x, ndim=2, dtype=np.float64)
        if x.shape[1] != len(self.mean):
            _checks.fail("x", f"an array with {len(self.mean)} features (columns)", x)
        return (x - self.mean) / self.std


def split(
    data: Dataset,
    *,
    test_fraction: float = 0.2,
    seed: int | np.random.Generator | None = 0,
    standardize: bool = True,
) -> Split:
    """Return a random training and test part, standardised by the training part.

    Parameters
    ----------
    data : Dataset
        Or any pair of inputs ``(batch, features)`` and labels ``(batch,)``.
    test_fraction : float
        Share of the examples that goes to the test part, rounded to whole examples.
    seed : int, numpy.random.Generator or None
        Source of the shuffle.
    standardize : bool
        Whether to apply a `Standardizer` fitted on the training part to both parts.

    Raises
    ------
    ValueError, TypeError
        Inputs and labels of different lengths, or a fraction that leaves a part empty.

    Examples
    --------
    >>> train, test = split(load_digits(), seed=0)
    >>> len(train.y), len(test.y), round(float((train.x**2).mean()), 3)
    (1438, 359, 0.953)
    """
    x = _checks.array("data.x", data[0], ndim=2, dtype=np.float64)
    y = _checks.array("data.y", data[1], ndim=1)
    if len(x) != len(y):
        _checks.fail("data", "inputs and labels of one length", (x.shape, y.shape))
    fraction = _checks.number("test_fraction", test_fraction, above=0.0, below=1.0)
    _checks.flag("standardize", standardize)
    n_test = round(len(x) * fraction)
    if not 0 < n_test < len(x):
        _checks.fail("test_fraction", f"one that leaves two parts of {len(x)} examples", fraction)
    order = _checks.generator("seed", seed).permutation(len(x))
    test, train = order[:n_test], order[n_test:]
    scale = Standardizer.fit(x[train]) if standardize else lambda part: part
    return Split(Dataset(scale(x[train]), y[train]), Dataset(scale(x[test]), y[test]))
