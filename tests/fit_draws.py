"""The constants of initcore's fast draws, fitted anew: `python tests/fit_draws.py` prints them.

What is fitted is the quantile of the normal distribution as a function of a two-sided
probability: z with ``P(|Z| < z) = p``, from SciPy's inverse error functions. Each of two forms has
its constants chosen so that the largest relative error is as small as it can be (a minimax fit);
`initcore.sampling` evaluates the forms, and pages/fast_draws.md explains them.
"""

import math

import numpy as np
from scipy.optimize import linprog
from scipy.special import erfcinv, erfinv

from initcore.sampling import WITHIN


def chebyshev(low, high, count):
    """Return points that lie closer together towards both ends, where errors are largest."""
    return low + (high - low) * (1 - np.cos(np.linspace(0, np.pi, count))) / 2


def middle(c, v):
    """Return z / v, where ``P(|Z| < z) = WITHIN v``."""
    t = c[1] + np.sqrt(c[0] - v * v)
    return c[6] + c[5] / (t + c[4] / (t + c[3] / (t + c[2])))


def tail(c, q):
    """Return z for the probabilities ``q = 1 - p`` beyond; the smallest is 2⁻³²."""
    return np.polyval(c, q ** (1 / 16) - 0.5)


def minimax(model, start, x, wanted, free):
    """Return the constants for which ``model(c, x)`` has the smallest largest relative error.

    Gauss-Newton: the model is replaced by its tangent, whose minimax problem is a linear program,
    and a step that makes things worse is halved. Only the constants `free` are changed.
    """
    c = np.array(start, dtype=float)
    error = model(c, x) / wanted - 1
    for _ in range(100):
        steps = 1e-6 * np.diag(np.abs(c))[free]
        slopes = [(model(c + d, x) - model(c - d, x)) / (2 * d.sum() * wanted) for d in steps]
        worst, units = np.abs(error).max(), np.abs(slopes).max(axis=1)
        J, e = (slopes / units[:, None]).T, error / worst
        one = np.ones((len(x), 1))
        found = linprog(
            [*np.zeros(len(free)), 1],
            A_ub=np.block([[J, -one], [-J, -one]]),
            b_ub=np.concatenate([-e, e]),
            bounds=[(None, None)] * len(free) + [(0, None)],
        )
        step = np.zeros_like(c)
        step[free] = found.x[:-1] * worst / units
        for half in 0.5 ** np.arange(12):
            error = model(c + half * step, x) / wanted - 1
            if np.abs(error).max() < worst:
                break
        else:
            return c
        c += half * step
        if np.abs(error).max() > (1 - 1e-6) * worst:
            return c
    raise RuntimeError("the fit does not converge")


def fit_middle():
    """Return the seven constants of `middle`; all but the last two are numbers of float32.

    Rounded one after the other, and the rest fitted again each time, they lose nothing. The last
    two are rounded only when they have been multiplied by a standard deviation.
    """
    v = chebyshev(1e-3, 1.0, 1500)
    wanted = math.sqrt(2) * erfinv(WITHIN * v) / v
    c = minimax(middle, [1.1, 1.43, -1.12, -0.135, -0.666, 2.55, 0.034], v, wanted, [*range(7)])
    for i in range(5):
        c[i] = np.float32(c[i])
        c = minimax(middle, c, v, wanted, [*range(i + 1, 7)])
    return c


def fit_tail():
    """Return the twelve coefficients of `tail`, highest power first."""
    q = chebyshev(2**-2, (1 - WITHIN) ** (1 / 16), 1500) ** 16
    wanted = math.sqrt(2) * erfcinv(q)
    start = np.polyfit(q ** (1 / 16) - 0.5, wanted, 11)
    return minimax(tail, start, q, wanted, [*range(12)])


if __name__ == "__main__":
    for constants in (fit_middle(), fit_tail()):
        print(", ".join(f"{value:.9g}" for value in constants))
