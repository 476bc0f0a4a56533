"""Quantiles of products of chi-square variables (level 1).

The mean square of a linear or ReLU network's layer is such a product, exactly and at any width.
The logarithms add, so their densities are convolved: on one grid, by FFT.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np


class Mixture(NamedTuple):
    """The law of ``scale · χ²_K`` for a random number of degrees of freedom."""

    freedom: np.ndarray  # the values of K
    chances: np.ndarray  # how likely each is; what they leave to 1 is the chance of 0
    scale: float

    def log_moments(self) -> tuple[float, float]:
        """Return mean and standard deviation of the logarithm, where it is finite."""
        means = digamma(self.freedom / 2) + math.log(2.0 * self.scale)
        weights = self.chances / self.chances.sum()
        mean = (weights * means).sum()
        variance = (weights * (trigamma(self.freedom / 2) + (means - mean) ** 2)).sum()
        return float(mean), float(np.sqrt(variance))

    def log_density(self, y: np.ndarray) -> np.ndarray:
        """Return the density of the logarithm at `y`."""
        total, x = np.zeros_like(y), y - math.log(2.0 * self.scale)
        growth = np.exp(np.minimum(x, 700.0))
        for k, chance in zip(self.freedom.tolist(), self.chances.tolist(), strict=True):
            total += chance * np.exp(0.5 * k * x - growth - math.lgamma(0.5 * k))
        return total

    def left_tail(self) -> float:
        """Return how far the logarithm reaches below its mean, but for 1e-15 of the cases.

        So it is for few degrees of freedom. With many, it is nearly normal, and has to reach some
        standard deviations further.
        """
        return float(np.max(2.0 * (np.log(self.chances) + 34.0) / self.freedom))


def product_quantiles(last: Mixture, factor: Mixture, count: int, ends: np.ndarray) -> np.ndarray:
    """Return quantiles of ``last · factor₁ ⋯ factorₖ``, all independent, for k = 0 to `count` - 1.

    The `ends` are probabilities from 5e-7 to 1 - 5e-7. The result, of shape ``(count, ends)``, is
    within 1e-4 of its values (2e-4 in the last 5e-4 of either tail), and 0 up to the chance that a
    factor is 0.

    Examples
    --------
    >>> chi_square = Mixture(np.array([2]), np.array([1.0]), scale=1.0)
    >>> product_quantiles(chi_square, chi_square, 1, np.array([0.5])).round(4)  # 2 ln 2
    array([[1.3863]])
    """
    (mean, deviation), (factor_mean, factor_deviation) = last.log_moments(), factor.log_moments()
    step = min(deviation, factor_deviation) / 64
    reach = 12.0 * max(deviation, factor_deviation) * math.sqrt(count)
    reach += max(last.left_tail(), factor.left_tail())
    size = 2 ** math.ceil(math.log2(2.0 * reach / step))
    y = step * np.arange(-size // 2, size // 2)  # each logarithm less its mean
    spectrum, multiplier = (
        np.fft.rfft(np.fft.ifftshift(step * density))
        for density in (last.log_density(y + mean), factor.log_density(y + factor_mean))
    )
    alive = min(float(factor.chances.sum()), 1.0)
    result = np.empty((count, len(ends)))
    for k in range(count):
        masses = np.fft.fftshift(np.fft.irfft(spectrum, size))
        dead = 1.0 - alive**k
        # up to y + step / 2; the second term is Euler and Maclaurin's for cells about their middle
        below = np.cumsum(masses) + np.diff(masses, append=0.0) / 24.0
        below = dead + np.maximum.accumulate(below)
        logs = np.interp(_logit(ends), _logit(below), y + 0.5 * step) + mean + k * factor_mean
        result[k] = np.where(ends > dead, np.exp(logs), 0.0)
        spectrum = spectrum * multiplier
    return result


def _logit(p: np.ndarray) -> np.ndarray:
    """Return ``ln(p / (1 - p))``, in which both tails of a law are nearly straight."""
    p = np.clip(p, 1e-15, 1.0 - 1e-15)
    return np.log(p / (1.0 - p))


# Abramowitz and Stegun, 6.3.18 and 6.4.12: the asymptotic series, with the Bernoulli numbers
# B₂ … B₁₂; from x = 12 on, the next term is below 1e-16. So the series is taken at x + 12.
_BERNOULLI = (1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730)
_DOWN = range(11, -1, -1)


def digamma(x: np.ndarray) -> np.ndarray:
    """Return ``ψ(x) = d ln Γ(x) / dx`` for positive `x`, to about 1e-15.

    >>> round(float(digamma(1.0)), 12)  # minus Euler's constant
    -0.577215664902
    """
    y = np.asarray(x, dtype=np.float64) + 12.0
    terms = sum(b / (2 * k * y ** (2 * k)) for k, b in enumerate(_BERNOULLI, 1))
    return np.log(y) - 0.5 / y - terms + sum(-1.0 / (x + k) for k in _DOWN)


def trigamma(x: np.ndarray) -> np.ndarray:
    """Return ``ψ′(x)`` for positive `x`, to about 1e-15 of its value.

    >>> round(float(trigamma(1.0)), 12) == round(math.pi**2 / 6, 12)
    True
    """
    y = np.asarray(x, dtype=np.float64) + 12.0
    terms = sum(b / y ** (2 * k + 1) for k, b in enumerate(_BERNOULLI, 1))
    return 1.0 / y + 0.5 / y**2 + terms + sum(1.0 / (x + k) ** 2 for k in _DOWN)
