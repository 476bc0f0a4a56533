"""Seeds, and the numbers drawn from them (level 1, below the initializers).

A float64 draw comes from the bit-stable stream of a ``numpy.random.Generator``, and what is
printed in the chapters hangs on it; float16 and bfloat16 weights are float64 weights, rounded. A
truncated normal is drawn by redrawing what falls beyond the cut (4.6% of the numbers, then 4.6% of
these, ...). Rounding may carry a number up to half a unit of a narrow dtype beyond a cut or a
bound: `to_dtype` sets it to the last number inside.

A float32 draw is several times faster: one function of one random word a value. It stands below
the others, and a page of the book explains it, "How the fast draw works".

There is no state here but that of the generators handed in.
"""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
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

STEPS = 2  # of a dtype's numbers in a standard deviation: rounding then adds 1 / (12 · 2²) to σ²
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
    """Return the number of `dtype` nearest to `bound` that does not lie beyond it."""
    with np.errstate(over="ignore"):
        edge = dtype.type(bound)
    is_outside = float(edge) < bound if inward > 0 else float(edge) > bound
    return np.nextafter(edge, dtype.type(inward)) if is_outside else edge


def _check_steps(dtype: np.dtype, mean: float, stddev: float) -> None:
    """Refuse a spread that rounding to the numbers of `dtype` around `mean` would not leave."""
    with np.errstate(all="ignore"):  # to_dtype reports what overflows
        step = float(np.spacing(dtype.type(max(abs(mean), stddev))))
    if 0 < stddev < STEPS * step:
        allowed = f"one whose numbers near {mean:g} are at most {stddev / STEPS:.3g} apart"
        _checks.fail("dtype", f"{allowed}, for draws as close as these, not {step:.3g}", str(dtype))


def to_dtype(values: Any, dtype: np.dtype, low: float = -math.inf, high: float = math.inf) -> Array:
    """Return float64 values rounded to `dtype`, and within ``[low, high]`` after it too.

    A value that overflows the dtype, or values that all underflow it, are a ``ValueError``.
    """
    with np.errstate(over="ignore", under="ignore"):  # what is lost is reported by the check
        rounded = np.asarray(values).astype(dtype)
    if not np.isfinite(rounded).all() or (np.any(values) and not rounded.any()):
        size = float(np.max(np.abs(values)))
        _checks.fail("dtype", f"able to hold the values drawn, of up to {size:.3g}", str(dtype))
    lowest, highest = _inside(low, dtype, math.inf), _inside(high, dtype, -math.inf)
    np.maximum(rounded, lowest, out=rounded)
    return np.minimum(rounded, highest, out=rounded)


def normal(shape: Shape, rng: Rng, mean: float, stddev: float, dtype: np.dtype) -> Array:
    """Return draws of N(mean, stddev²)."""
    _check_steps(dtype, mean, stddev)
    if _is_fast(dtype, mean, stddev):
        return _fast(shape, rng, _normal, stddev, mean, -math.inf, math.inf)
    z = rng.standard_normal(math.prod(shape))
    with np.errstate(over="ignore"):  # to_dtype reports it
        values = mean + stddev * z
    return to_dtype(values.reshape(shape), dtype)


def truncated_normal(shape: Shape, rng: Rng, mean: float, stddev: float, dtype: np.dtype) -> Array:
    """Return draws of N(mean, stddev²), given that they lie within ``mean ± CUT stddev``."""
    _check_steps(dtype, mean, TRUNCATED_STD * stddev)
    low, high = mean - CUT * stddev, mean + CUT * stddev
    if _is_fast(dtype, mean, stddev):
        return _fast(shape, rng, _truncated, stddev, mean, low, high)
    z = rng.standard_normal(math.prod(shape))
    beyond = np.flatnonzero(np.abs(z) > CUT)
    while beyond.size:
        z[beyond] = rng.standard_normal(beyond.size)
        beyond = beyond[np.abs(z[beyond]) > CUT]
    with np.errstate(over="ignore"):  # to_dtype reports it
        values = mean + stddev * z
    return to_dtype(values.reshape(shape), dtype, low, high)


def uniform(shape: Shape, rng: Rng, low: float, high: float, dtype: np.dtype) -> Array:
    """Return draws of U(low, high); `high` itself never occurs."""
    last = math.nextafter(high, -math.inf)
    mean, half = low / 2 + high / 2, high / 2 - low / 2
    _check_steps(dtype, mean, half / 4)  # below half / √3: its ends move inwards, too
    if _is_fast(dtype, mean, half):
        half = float(_inside(math.nextafter(half, 0.0), dtype, -math.inf))
        return _fast(shape, rng, _uniform, half, mean, low, last)
    values = low + (high - low) * rng.random(math.prod(shape))
    return to_dtype(values.reshape(shape), dtype, low, last)


def orthogonal(shape: Shape, rng: Rng, gain: float, dtype: np.dtype) -> Array:
    """Return `gain` times a Haar-distributed matrix of orthonormal columns (or rows)."""
    rows, columns = math.prod(shape[:-1]), shape[-1]
    long, short = max(rows, columns), min(rows, columns)
    _check_steps(dtype, 0.0, abs(gain) / math.sqrt(long))
    if _is_fast(dtype, 0.0, abs(gain)):
        q = _reflected(long, short, rng, gain)
        return np.ascontiguousarray(q if rows >= columns else q.T).reshape(shape)
    q, r = np.linalg.qr(rng.standard_normal((long, short)))
    q *= np.where(np.diagonal(r) < 0, -1.0, 1.0)  # makes R's diagonal positive, hence Q unique
    with np.errstate(over="ignore"):  # to_dtype reports it
        values = gain * (q if rows >= columns else q.T)
    return to_dtype(values.reshape(shape), dtype)


# ---- float32: one random word a value --------------------------------------------------------
#
# The page "How the fast draw works" (pages/fast_draws.md) explains this part. A value is a function
# of one 32-bit word of the generator's stream; the function is made of operations that IEEE 754
# rounds in one way only (+, -, ×, ÷, √), so that a seed gives the same numbers everywhere.

FLOAT32 = np.dtype("float32")
EASY = 1e25  # scales from 1 / EASY to EASY, and means up to EASY, are far from the ends of float32
BLOCK = 2**16  # values at a time: what a block needs stays in a core's cache
PER_THREAD = 2**20  # values at least: two threads also cost, as they take turns in Python

UNIT = 2.0**31  # signed words go from -UNIT to UNIT
WITHIN = math.erf(CUT / math.sqrt(2)) - 6e-8  # P(|Z| < CUT), less what rounding might carry over

# Fitted by tests/fit_draws.py: `_middle` for probabilities up to WITHIN, `_tail` for those beyond.
MIDDLE = (1.09542489, 1.42616785, -1.11830366, -0.135338455, -0.665698647, 2.54713284, 0.0344062951)
TAIL = (
    -592.9929, 264.721865, -82.9310762, 22.2637183, -35.3184063, 12.0438861,
    -13.498855, 4.04415942, -6.53364009, 1.79606782, -7.05428225, 4.32491898,
)  # fmt: skip


def _float32(value: float) -> Array:
    """Return a number as an array without axes, which NumPy's functions take faster."""
    return np.array(value, FLOAT32)


# The first five for words in place of v = word / UNIT. Powers of 2 do not change their rounding.
_IN_WORDS = [_float32(c * UNIT**power) for c, power in zip(MIDDLE, (2, 1, 1, 2, 2))]


def _is_fast(dtype: np.dtype, mean: float, scale: float) -> bool:
    """Return whether nothing can overflow or vanish; where it could, float64 finds out."""
    return dtype == FLOAT32 and 1 / EASY <= scale <= EASY and abs(mean) <= EASY


def _words(source: np.random.BitGenerator, count: int) -> Array:
    """Return the next random words of a bit generator, as signed integers of 32 bits."""
    if type(source).__name__ == "MT19937":  # its raw words have 32 bits, those of the others 64
        return source.random_raw(count).astype(np.uint32).view(np.int32)
    return source.random_raw((count + 1) // 2).view(np.int32)[:count]


# Each of the three fills `out` from as many words; `spare` is memory of the same size, and the
# words' own is written over.


def _uniform(half: float, words: Array, out: Array, spare: Array) -> None:
    """Fill with draws of U(-half, half)."""
    out[:] = words
    out *= _float32(half / UNIT)


def _truncated(stddev: float, words: Array, out: Array, spare: Array) -> None:
    """Fill with draws of N(0, stddev²), given that they lie within ``± CUT stddev``."""
    out[:] = words
    _middle(stddev, out, spare, words.view(FLOAT32))


def _normal(stddev: float, words: Array, out: Array, spare: Array) -> None:
    """Fill with draws of N(0, stddev²): the truncated ones, and two tails."""
    out[:] = words
    out *= _float32(1 / WITHIN)
    beyond = np.flatnonzero(np.abs(out, spare) > UNIT)
    p = (words[beyond] + 0.5) / UNIT
    with np.errstate(invalid="ignore"):  # of the numbers beyond, which are replaced
        _middle(stddev, out, spare, words.view(FLOAT32))
    out[beyond] = stddev * _tail(p)


def _middle(stddev: float, v: Array, t: Array, x: Array) -> None:
    """Replace words by the numbers stddev·z of their sign with ``P(|Z| < |z|) = WITHIN |v|``.

    For ``v = word / UNIT``, z = v (c6 + c5 / (t + c4 / (t + c3 / (t + c2)))), where
    t = c1 + √(c0 - v²).
    """
    c0, c1, c2, c3, c4 = _IN_WORDS
    np.multiply(v, v, x)
    np.subtract(c0, x, x)
    np.sqrt(x, t)
    np.add(t, c1, t)
    np.add(t, c2, x)
    np.divide(c3, x, x)
    np.add(t, x, x)
    np.divide(c4, x, x)
    np.add(t, x, x)
    np.divide(_float32(stddev * MIDDLE[5]), x, x)
    np.add(x, _float32(stddev * MIDDLE[6] / UNIT), x)
    np.multiply(v, x, v)


def _tail(p: Array) -> Array:
    """Return the numbers z of the sign of p with ``P(|Z| < |z|) = |p|``, in float64."""
    t = 1 - np.abs(p)
    for _ in range(4):
        np.sqrt(t, t)
    t -= 0.5  # the sixteenth root lies between 0.25 and 0.83
    z = np.full_like(t, TAIL[0])
    for coefficient in TAIL[1:]:
        z *= t
        z += coefficient
    return np.copysign(z, p)


def _fast(
    shape: Shape, rng: Rng, law: Callable, scale: float, mean: float, low: float, high: float
) -> Array:
    """Return float32 draws of a law around 0, moved by `mean` and then kept in [low, high]."""
    out = np.empty(math.prod(shape), FLOAT32)
    threads = _threads(rng.bit_generator, out.size)
    if threads > 1:
        _fill_in_threads(out, rng.bit_generator, law, scale, threads)
    else:
        _fill(out, rng.bit_generator, law, scale)
    if mean:
        out += _float32(mean)
        lowest, highest = _inside(low, FLOAT32, math.inf), _inside(high, FLOAT32, -math.inf)
        np.clip(out, lowest, highest, out=out)
    return out.reshape(shape)


def _fill(out: Array, source: np.random.BitGenerator, law: Callable, scale: float) -> None:
    """Fill an array of one axis from a bit generator, a block at a time."""
    size = min(BLOCK, out.size)
    spare = np.empty(size, FLOAT32)
    for start in range(0, out.size, size):
        part = out[start : start + size]
        law(scale, _words(source, part.size), part, spare[: part.size])


def _fill_in_threads(
    out: Array, source: np.random.BitGenerator, law: Callable, scale: float, threads: int
) -> None:
    """Do what `_fill` does: each thread jumps to the place in the stream where its part begins."""
    size = 2 * math.ceil(out.size / (2 * threads))  # even: a step of the stream makes two words

    def fill(start: int) -> dict[str, int]:
        stream = type(source)(0)
        stream.state = source.state
        _fill(out[start : start + size], stream.advance(start // 2), law, scale)
        return stream.state["state"]

    with source.lock, ThreadPoolExecutor(threads) as pool:
        *_, end = pool.map(fill, range(0, out.size, size))
        source.state = {**source.state, "state": end}


def _threads(source: np.random.BitGenerator, size: int) -> int:
    """Return how many threads share the work: one in the browser, and where none can jump."""
    can_jump = type(source).__name__ in ("PCG64", "PCG64DXSM")
    if size < 2 * PER_THREAD or not can_jump or sys.platform == "emscripten":
        return 1
    here = hasattr(os, "sched_getaffinity")
    return min(len(os.sched_getaffinity(0)) if here else os.cpu_count() or 1, size // PER_THREAD)


def _reflected(rows: int, columns: int, rng: Rng, gain: float) -> Array:
    """Return the first columns of `gain` times a Haar-distributed matrix of rows × rows.

    It is a product of one random reflection a column, H₁ H₂ …, whose mirrors are the Gaussian
    vectors that the QR decomposition of a Gaussian matrix would meet (Stewart 1980); nothing is
    decomposed. 64 reflections at a time are one product, I - V T Vᵀ (Schreiber and Van Loan 1989).
    """
    q = np.eye(rows, columns, dtype=FLOAT32)
    signs = np.empty(columns, FLOAT32)
    for start in reversed(range(0, columns, 64)):
        stop = min(start + 64, columns)
        V = np.tril(normal((rows - start, stop - start), rng, 0.0, 1.0, FLOAT32))
        diagonal = np.einsum("ii->i", V[: stop - start])  # a view
        lengths = np.sqrt(np.einsum("ij,ij->j", V, V))
        lengths[lengths == 0] = 1  # a vector of one number, which is 0 once in 2³² draws
        side = np.copysign(FLOAT32.type(1), diagonal)
        diagonal += side * lengths
        signs[start:stop] = -side  # of R's diagonal, as in `orthogonal`
        gram = V.astype(np.float64)
        gram = gram.T @ gram
        T = np.linalg.inv(np.triu(gram, 1) + np.diag(np.diagonal(gram) / 2)).astype(FLOAT32)
        rest = q[start:, start:]
        rest -= V @ (T @ (V.T @ rest))
    q *= FLOAT32.type(gain) * signs
    return q
