"""Real data inside the package, and exclusive or (level 1).

Nothing downloads: the digits are a 45 kB file beside this module, with source and licence in
``data/README.md``.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from importlib import resources
from typing import NamedTuple

import numpy as np

from initcore import _checks

# The SHA-256 hash of the stored digits.
_DIGITS = "af104d81e7cd419be5f343d23c6ca2e4e4ff847b06636260802df8e903c6183f"


class Dataset(NamedTuple):
    """Inputs `x`, ``(batch, features)``, and their class labels `y` from 0, ``(batch,)``."""

    x: np.ndarray
    y: np.ndarray


class Split(NamedTuple):
    """A training part and a test part without an example in common."""

    train: Dataset
    test: Dataset


def load_digits() -> Dataset:
    """Return 1,797 handwritten digits of 8×8 pixels; a damaged file is a ``ValueError``.

    `x` is ``(1797, 64)``, float64, pixels from 0 (paper) to 16 (ink) row by row; `y` is
    ``(1797,)`` with the digits 0–9. Source: E. Alpaydin and C. Kaynak, Optical Recognition of
    Handwritten Digits, UCI Machine Learning Repository, 1998, https://doi.org/10.24432/C50P49 (the
    test part), CC BY 4.0.

    Examples
    --------
    >>> digits = load_digits()
    >>> digits.x.shape, float(digits.x.max()), digits.y[:5].tolist()
    ((1797, 64), 16.0, [0, 1, 2, 3, 4])
    """
    content = resources.files("initcore").joinpath("data/digits.npz").read_bytes()
    if hashlib.sha256(content).hexdigest() != _DIGITS:
        raise ValueError("The digits in data/digits.npz are damaged: install initcore again")
    with np.load(io.BytesIO(content)) as stored:
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


def split(
    data: Dataset,
    *,
    seed: int | np.random.Generator | None = 0,
    standardize: bool = True,
) -> Split:
    """Return a random training part and, of a fifth of the examples, a test part.

    Parameters
    ----------
    data : Dataset
        Or any pair of inputs ``(batch, features)`` and labels ``(batch,)``, of three examples or
        more.
    seed : int, numpy.random.Generator or None
        Source of the shuffle.
    standardize : bool
        Whether to shift and scale each feature of both parts by the training part's mean and
        standard deviation. A feature that is constant there is shifted only.

    Examples
    --------
    >>> train, test = split(load_digits(), seed=0)
    >>> len(train.y), len(test.y), round(float((train.x**2).mean()), 3)
    (1438, 359, 0.953)
    """
    if not isinstance(data, Sequence) or len(data) != 2:
        _checks.fail("data", "a pair of inputs and labels", data, TypeError)
    x = _checks.array("data.x", data[0], ndim=2, dtype=np.float64)
    y = _checks.array("data.y", data[1], ndim=1)
    if len(x) != len(y):
        _checks.fail("data", "inputs and labels of one length", (x.shape, y.shape))
    _checks.flag("standardize", standardize)
    if len(x) < 3:
        _checks.fail("data", "at least three examples", x)
    n_test = round(len(x) * 0.2)
    order = _checks.generator("seed", seed).permutation(len(x))
    test, train = order[:n_test], order[n_test:]
    if standardize:
        mean, std = x[train].mean(axis=0), x[train].std(axis=0)
        constant = np.ptp(x[train], axis=0) == 0  # where a rounded std need not be exactly 0
        x = (x - mean) / np.where(constant, 1.0, std)
    return Split(Dataset(x[train], y[train]), Dataset(x[test], y[test]))
