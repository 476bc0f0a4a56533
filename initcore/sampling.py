"""Seeds, and the numbers drawn from them (level 1, below the initializers).

Every draw is made in float64 from the bit-stable stream of a ``numpy.random.Generator``, and then
rounded to the dtype asked for: float32 weights are the float64 weights rounded, and what is
printed of the latter does not depend on the former.

A truncated normal is drawn by redrawing what falls beyond the cut (4.6% of the numbers, then
4.6% of these, ...). That is exact, with no more code than the inverse of the distribution function
would need for its error function alone, which NumPy lacks. Rounding may carry a number up to half
a unit of a narrow dtype beyond a cut or a bound: `to_dtype` sets it to the last number inside.

There is no state here but that of the generators handed in.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from initcore import _checks, _keras

CUT = 2.0
"""Where a truncated normal is cut, in standard deviations before the cut."""

# Var(z | |z| < c) = 1 - 2 c phi(c) / P(|z| < c), integrating z^2 phi(z) by parts.
TRUNCATED_STD = math.sqrt(
    1 - 2 * CUT * math.exp(-(CUT**2) / 2) / math.sqrt(2 * math.pi) / math.erf(CUT / math.sqrt(2))
)
"""Standard deviation of a standard normal truncated to ±2: 0.8796 (its variance is 0.774)."""

BIT_GENERATORS = ("PCG64", "PCG64DXSM", "MT19937", "Philox", "SFC64")
Shape, Rng, Array = tuple[int, ...], np.random.Generator, np.ndarray


# ---- seeds -------------------------------------------------------------------------------


def is_stream(seed: Any) -> bool:
    """Return whether a seed goes on from draw to draw: a Generator, or an object with .next()."""
    has_next = callable(getattr(seed, "next", None)) and not isinstance(seed, type)
    return isinstance(seed, np.random.Generator) or has_next


def seed_of(seed: Any) -> Any:
    """Return a seed that can be drawn from; a dict is one that `plain` has made."""
    if isinstance(seed, Mapping):
        return _from_config(seed)
    if seed is None or is_stream(seed):
        return seed
    _checks.generator("seed", seed)  # raises unless it is a non-negative integer
    return int(seed)


def _from_config(config: Mapping[str, Any]) -> Any:
    if config.get("class_name") != "Generator":
        return _keras.deserialize_seed(config)
    try:
        state = config["config"]
        kind = _checks.choice("bit_generator", state["bit_generator"], BIT_GENERATORS)
        bit_generator = getattr(np.random, kind)()
        bit_generator.state = state
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"Argument `seed` must hold a generator's state: {error!r}") from error
    return np.random.Generator(bit_generator)


def plain(value: Any) -> Any:
    """Return an argument as JSON can hold it: arrays and tuples as lists, seeds as configs."""
    if isinstance(value, np.random.Generator):
        return {"class_name": "Generator", "config": plain(value.bit_generator.state)}
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray):
        return value.tolist()
    return list(value) if isinstance(value, tuple) else _keras.serialize_seed(value)


def generator(seed: Any) -> Rng:
    """Return the generator to draw from: of None a fresh one, of an int always the same."""
    if isinstance(seed, np.random.Generator) or not is_stream(seed):
        return _checks.generator("seed", seed)
    words = np.ravel(np.asarray(seed.next())).tolist()
    return np.random.default_rng([_checks.integer("seed.next()", n) % 2**64 for n in words])


# ---- draws -------------------------------------------------------------------------------


def _inside(bound: float, dtype: np.dtype, inward: float) -> Any:
    """Return the number of `dtype` nearest to `bound` that does not lie outside it."""
    with np.errstate(over="ignore"):
        edge = dtype.type(bound)
    is_outside = float(edge) < bound if inward > 0 else float(edge) > bound
    return np.nextafter(edge, dtype.type(inward)) if is_outside else edge


def to_dtype(values: Any, dtype: np.dtype, low: float = -math.inf, high: float = math.inf) -> Array:
    """Return float64 values rounded to `dtype`, and within ``[low, high]`` after it too.

    Raises
    ------
    ValueError
        A value that overflows the dtype, values that all underflow it, or a dtype without any
        number from `low` to `high`.
    """
    with np.errstate(over="ignore", under="ignore"):  # what is lost is reported by the check
        rounded = np.asarray(values).astype(dtype)
    if not np.isfinite(rounded).all() or (np.any(values) and not rounded.any()):
        size = float(np.max(np.abs(values)))
        _checks.fail("dtype", f"able to hold the values drawn, of up to {size:.3g}", str(dtype))
    lowest, highest = _inside(low, dtype, math.inf), _inside(high, dtype, -math.inf)
    if float(lowest) > float(highest):
        _checks.fail("dtype", f"able to hold a number from {low:.9g} to {high:.9g}", str(dtype))
    np.maximum(rounded, lowest, out=rounded)
    return np.minimum(rounded, highest, out=rounded)


def normal(shape: Shape, rng: Rng, mean: float, stddev: float, dtype: np.dtype) -> Array:
    """Return draws of N(mean, stddev²)."""
    z = rng.standard_normal(math.prod(shape))
    with np.errstate(over="ignore"):  # to_dtype reports it
        values = mean + stddev * z
    return to_dtype(values.reshape(shape), dtype)


def truncated_normal(shape: Shape, rng: Rng, mean: float, stddev: float, dtype: np.dtype) -> Array:
    """Return draws of N(mean, stddev²), given that they lie within ``mean ± CUT stddev``."""
    z = rng.standard_normal(math.prod(shape))
    beyond = np.flatnonzero(np.abs(z) > CUT)
    while beyond.size:
        z[beyond] = rng.standard_normal(beyond.size)
        beyond = beyond[np.abs(z[beyond]) > CUT]
    with np.errstate(over="ignore"):  # to_dtype reports it
        values = mean + stddev * z
    return to_dtype(values.reshape(shape), dtype, mean - CUT * stddev, mean + CUT * stddev)


def uniform(shape: Shape, rng: Rng, low: float, high: float, dtype: np.dtype) -> Array:
    """Return draws of U(low, high); `high` itself never occurs."""
    values = low + (high - low) * rng.random(math.prod(shape))
    return to_dtype(values.reshape(shape), dtype, low, math.nextafter(high, -math.inf))


def orthogonal(shape: Shape, rng: Rng, gain: float, dtype: np.dtype) -> Array:
    """Return `gain` times a Haar-distributed matrix of orthonormal columns (or rows)."""
    rows, columns = math.prod(shape[:-1]), shape[-1]
    q, r = np.linalg.qr(rng.standard_normal((max(rows, columns), min(rows, columns))))
    q *= np.where(np.diagonal(r) < 0, -1.0, 1.0)  # makes R's diagonal positive, hence Q unique
    with np.errstate(over="ignore"):  # to_dtype reports it
        values = gain * (q if rows >= columns else q.T)
    return to_dtype(values.reshape(shape), dtype)
