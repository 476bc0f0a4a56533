"""The handwritten digits of the live figures, as text: one character a pixel."""

from __future__ import annotations

from typing import Any

import numpy as np

from initcore import datasets, experiments

LEVELS = "0123456789abcdefg"  # 0 (paper) to 16 (ink): digits to base 17


def pixels() -> datasets.Split:
    """Return the digits of `split_digits` with pixels from 0 (paper) to 1 (ink)."""
    split = experiments.split_digits(standardize=False)
    return datasets.Split(*(datasets.Dataset(x / 16.0, y) for x, y in split))


def examples(y: np.ndarray) -> np.ndarray:
    """Return where the first digit of each class stands."""
    return np.unique(y, return_index=True)[1]


def to_text(images: Any) -> list[str]:
    """Return a text for each image with pixels from 0 to 1; what is outside is cut off.

    >>> to_text([[0.0, 0.5, 1.0, -0.2]])
    ['08g0']
    """
    levels = np.rint(16 * np.clip(images, 0, 1)).astype(int)
    return ["".join(LEVELS[level] for level in image) for image in levels]


def to_image(text: str) -> np.ndarray:
    """Return the pixels of a text, from 0 to 1."""
    return np.array([int(pixel, 17) for pixel in text]) / 16
