"""Gaussian means by panel quadrature (level 0).

A Gauss–Hermite rule spreads its nodes over the bell curve and so steps over an activation that
does all its work near 0, as ``tanh(10 z)`` does: χ at σ_w = 10 comes out as 11 where it is 5.54.
Here the line is cut into panels, halved again and again towards 0 until the smallest lies where
``√q |z|`` is below 1, and cut at the kinks; each panel gets a Gauss–Legendre rule. Every mean is
computed by two rules, and the panels are halved until both agree.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from initcore import _checks

REACH = 10.0  # |z| up to here: beyond it the bell curve holds 1.5e-23 of its mass
COARSE, FINE = (np.polynomial.legendre.leggauss(order) for order in (10, 14))
TOLERANCE = 1e-9  # between the two rules; the finer is better by orders of magnitude
HALVINGS, PAIR_HALVINGS = 6, 3  # a halving costs twice the time, of a pair four times
TINY = 1e-290  # below, the doubles that are summed have lost digits
CHUNK = 64  # values of q that are integrated at once

Rule = tuple[np.ndarray, np.ndarray]


def _ladder(sharpness: float) -> np.ndarray:
    """Return ±REACH · 2⁻ᵏ and 0, down to 1/sharpness, in no order."""
    levels = max(4, math.ceil(math.log2(REACH * max(sharpness, 1e-300))))
    rungs = REACH * 0.5 ** np.arange(levels + 1)
    return np.concatenate([-rungs, [0.0], rungs])


def _edges(parts: Sequence[np.ndarray], shape: tuple[int, ...]) -> np.ndarray:
    """Return sorted panel edges in ±REACH, shape ``(*shape, edges)``; a panel may be empty."""
    rows = [np.broadcast_to(part, (*shape, np.shape(part)[-1])) for part in parts]
    return np.sort(np.clip(np.concatenate(rows, axis=-1), -REACH, REACH), axis=-1)


def _middles(edges: np.ndarray) -> np.ndarray:
    return 0.5 * (edges[..., 1:] + edges[..., :-1])


def _nodes(edges: np.ndarray, rule: Rule, halvings: int) -> Rule:
    """Return nodes and bell-curve weights on all panels, halved as often, the last axis flat."""
    for _ in range(halvings):
        edges = np.sort(np.concatenate([edges, _middles(edges)], axis=-1), axis=-1)
    half, middle = 0.5 * np.diff(edges)[..., None], _middles(edges)[..., None]
    z = (middle + half * rule[0]).reshape(*edges.shape[:-1], -1)
    weights = (half * rule[1]).reshape(z.shape)
    return z, weights * np.exp(-0.5 * z * z) / math.sqrt(2.0 * math.pi)


def _converged(estimate: Callable[[Rule, int], Rule], most: int) -> np.ndarray:
    """Return the mean once two rules agree, relative to the mean absolute value."""
    for halvings in range(most + 1):
        with np.errstate(over="ignore", invalid="ignore"):  # reported below, not as warnings
            (rough, _), (mean, size) = estimate(COARSE, halvings), estimate(FINE, halvings)
        if not np.isfinite(size).all():
            raise ValueError(
                "The function to integrate must be finite wherever the normal law reaches. "
                f"Received: one with a mean absolute value of {np.max(size):g}"
            )
        error = np.abs(mean - rough)
        if (error <= TOLERANCE * size + TINY).all():
            return mean
    raise ValueError(
        "The function to integrate must be smooth between its `kinks`, and computed in double "
        f"precision. Received: one whose mean is uncertain by {np.max(error):.1e} after "
        f"{most} halvings of the panels"
    )


def gaussian_mean(
    function: Callable[[np.ndarray], np.ndarray],
    q: float | np.ndarray = 1.0,
    kinks: Sequence[float] = (),
) -> float | np.ndarray:
    """Return ``E[f(√q z)]`` for a standard normal `z` and an elementwise `function`.

    The result has the shape of `q`. At the `kinks`, the function or one of its derivatives jumps
    (0 is always treated as one). Relative to ``E|f|`` the error is below 1e-8 for q from 1e-6 to
    1e4, and in fact near 1e-13; a number that is not trusted, as where kinks are missing, is a
    ``ValueError`` instead.

    Examples
    --------
    >>> round(gaussian_mean(np.square, 3.0), 12)
    3.0
    >>> gaussian_mean(np.abs, [1.0, 4.0]).round(6)
    array([0.797885, 1.595769])
    """
    q = _checks.array("q", q, dtype=np.float64)
    if (q < 0).any():
        _checks.fail("q", "at least 0", q)
    kinks = np.array([_checks.number("kinks", kink) for kink in kinks])
    flat = q.reshape(-1)
    chunks = np.array_split(flat, math.ceil(len(flat) / CHUNK))
    result = np.concatenate([_mean_of_chunk(function, part, kinks) for part in chunks])
    return result.reshape(q.shape) if q.ndim else float(result[0])


def _mean_of_chunk(function: Callable, q: np.ndarray, kinks: np.ndarray) -> np.ndarray:
    root = np.sqrt(q)[:, None]
    inside = np.clip(kinks, -REACH * root, REACH * root)  # first: a kink over a tiny √q is huge
    edges = _edges([_ladder(root.max()), inside / np.where(root > 0, root, 1.0)], q.shape)

    def estimate(rule: Rule, halvings: int) -> Rule:
        z, weights = _nodes(edges, rule, halvings)
        values = np.asarray(function(root * z), dtype=np.float64)
        return (weights * values).sum(axis=-1), (weights * np.abs(values)).sum(axis=-1)

    return _converged(estimate, HALVINGS)


def gaussian_pair_mean(
    function: Callable[[np.ndarray, np.ndarray], np.ndarray],
    c: float,
    q: float = 1.0,
    kinks: Sequence[float] = (),
) -> float:
    """Return ``E[f(u, v)]`` for normal `u` and `v` of variance `q` and correlation `c`.

    With ``u = √q x`` and ``v = √q (c x + √(1 - c²) y)`` this is an integral over `x` of integrals
    over `y`; the panels in `y` follow the kinks of `v`, which move with `x`. The kinks are those
    in `u` and in `v` alike. Accuracy and errors are those of `gaussian_mean`.

    Examples
    --------
    >>> round(gaussian_pair_mean(lambda u, v: u * v, c=0.3, q=2.0), 12)
    0.6
    """
    c = _checks.number("c", c, at_least=-1.0, at_most=1.0)
    q = _checks.number("q", q, above=0.0)
    kinks = [_checks.number("kinks", kink) for kink in kinks]
    if abs(c) == 1.0:
        return gaussian_mean(lambda u: function(u, c * u), q, [*kinks, *(c * k for k in kinks)])
    root, s = math.sqrt(q), math.sqrt((1.0 - c) * (1.0 + c))
    # In x, the mean over y has bends as wide as s where v meets a kink, near x = ±kink/√q.
    sharpness = max(root, 1.0 / s) if kinks else root
    centres = sorted({0.0, *kinks, *(-kink for kink in kinks)})
    in_x = [_ladder(sharpness) + np.clip(k / root, -REACH, REACH) for k in centres]
    edges_x = np.unique(_edges(in_x, ()))
    in_v = np.concatenate([_ladder(root), np.divide(kinks, root)])

    def estimate(rule: Rule, halvings: int) -> Rule:
        x, weights_x = _nodes(edges_x, rule, halvings)
        in_y = (in_v - c * x[:, None]) / s
        y, weights = _nodes(_edges([_ladder(1.0), in_y], x.shape), rule, halvings)
        weights *= weights_x[:, None]
        values = function(root * x[:, None], root * (c * x[:, None] + s * y))
        return (weights * values).sum(), (weights * np.abs(values)).sum()

    return float(_converged(estimate, PAIR_HALVINGS))
