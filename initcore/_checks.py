"""Argument checks with one wording (level 0: imports nothing of the package).

Every check returns the value in the form the caller needs, or raises an error that names
the argument, what is allowed and the value received::

    Argument `scale` must be positive float. Received: scale=-1.0

The sentence begins as in Keras. A wrong *kind* of value is a ``TypeError``; a right kind out of
range a ``ValueError``.
"""

from __future__ import annotations

import difflib
import math
import numbers
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NoReturn

import numpy as np

FLOAT_DTYPES = ("float16", "float32", "float64")
# What other libraries call activations, optimizers and dtypes: near to a name, but no misprint.
ELSEWHERE = frozenset(
    "celu crelu prelu rrelu glu geglu reglu swiglu softmax softmin logsoftmax gelunew gelutanh "
    "exponential logsigmoid squareplus sparseplus hardshrink softshrink tanhshrink adamax adamw "
    "nadam radam rmsprop bfloat16 float128".split()
)


def show(value: Any) -> str:
    """Return a value as an error message shows it: short, on one line."""
    if isinstance(value, np.ndarray) and value.ndim:
        return f"array of shape {value.shape} and dtype {value.dtype}"
    text = " ".join(repr(value).split())
    return text if len(text) <= 80 else text[:77] + "..."


def fail(name: str, allowed: str, value: Any, error: type[Exception] = ValueError) -> NoReturn:
    """Raise `error` in the wording of this module."""
    raise error(f"Argument `{name}` must be {allowed}. Received: {name}={show(value)}")


def nearest(word: Any, known: Iterable[str]) -> str:
    """Return `` Did you mean 'x'?`` for the known name closest to a misprint, or nothing.

    >>> nearest("glorot_unifrom", ["glorot_uniform", "he_normal"])
    " Did you mean 'glorot_uniform'?"
    """
    if str(word).lower().replace("_", "") in ELSEWHERE:
        return ""
    by_lower = {name.lower(): name for name in known}
    match = difflib.get_close_matches(str(word).lower(), list(by_lower), n=1)
    return f" Did you mean {by_lower[match[0]]!r}?" if match else ""


def instance(name: str, value: Any, kind: type | tuple[type, ...], allowed: str) -> None:
    """Raise a TypeError that says what is allowed, unless the value is of a kind."""
    if not isinstance(value, kind):
        fail(name, allowed, value, TypeError)


def choice(name: str, value: Any, allowed: Sequence[str]) -> str:
    """Return `value` if it is one of the allowed names."""
    if isinstance(value, str) and value in allowed:
        return value
    error = ValueError if isinstance(value, str) else TypeError
    options = ", ".join(repr(option) for option in allowed)
    raise error(
        f"Argument `{name}` must be one of {options}. Received: {name}={show(value)}."
        f"{nearest(value, allowed)}"
    )


def _within(kind: str, bounds: Mapping[str, float]) -> str:
    """Return what is allowed, such as "a finite number above 0 and at most 1"."""
    words = [f"{word} {end:.12g}" for word, end in bounds.items() if math.isfinite(end)]
    return f"{kind} {' and '.join(words)}" if words else kind


def number(
    name: str,
    value: Any,
    *,
    above: float = -math.inf,
    at_least: float = -math.inf,
    below: float = math.inf,
    at_most: float = math.inf,
    allowed: str | None = None,
) -> float:
    """Return `value` as a finite float within the bounds; a bool is not a number."""
    is_number = isinstance(value, numbers.Real) and not isinstance(value, (bool, np.bool_))
    if isinstance(value, np.ndarray):
        is_number = not value.ndim and value.dtype.kind in "iuf"
    try:
        result = float(value) if is_number else math.nan
    except OverflowError:  # an int beyond the range of a float
        result = math.inf
    if math.isfinite(result) and above < result < below and at_least <= result <= at_most:
        return result
    bounds = {"above": above, "at least": at_least, "below": below, "at most": at_most}
    allowed = allowed or _within("a finite number", bounds)
    fail(name, allowed, value, ValueError if is_number else TypeError)


def integer(
    name: str, value: Any, *, at_least: float = -math.inf, at_most: float = math.inf
) -> int:
    """Return `value` as an int within the bounds; a bool or a float is not an integer."""
    is_integer = type(value) is int or (
        isinstance(value, numbers.Integral) and not isinstance(value, (bool, np.bool_))
    )
    if is_integer and at_least <= value <= at_most:
        return int(value)
    allowed = _within("an integer", {"at least": at_least, "at most": at_most})
    fail(name, allowed, value, ValueError if is_integer else TypeError)


def shape(name: str, value: Any) -> tuple[int, ...]:
    """Return `value` as a tuple of positive integers; () is the shape of a scalar."""
    sizes = value.tolist() if isinstance(value, np.ndarray) else value
    if isinstance(sizes, (str, bytes)) or not isinstance(sizes, Sequence):
        fail(name, "a sequence of positive integers", value, TypeError)
    for i, size in enumerate(sizes):
        if type(size) is not int or size < 1:  # only then make up a name
            integer(f"{name}[{i}]", size, at_least=1)
    return tuple(map(int, sizes))


def flag(name: str, value: Any) -> bool:
    """Return `value` if it is a bool."""
    if not isinstance(value, (bool, np.bool_)):
        fail(name, "True or False", value, TypeError)
    return bool(value)


def mapping(name: str, value: Any, of: str) -> None:
    """Refuse what is no mapping, and an empty one; `of` is what it must hold at least one of."""
    if not isinstance(value, Mapping) or not value:
        error = ValueError if isinstance(value, Mapping) else TypeError
        fail(name, f"a mapping with at least one {of}", value, error)


def generator(name: str, seed: Any) -> np.random.Generator:
    """Return a generator: a fresh one of an int (or of None, unpredictable), or the one given."""
    if isinstance(seed, np.random.Generator):
        return seed
    if seed is None:
        return np.random.default_rng()
    if isinstance(seed, (bool, np.bool_)) or not isinstance(seed, numbers.Integral):
        fail(name, "a non-negative integer, a numpy.random.Generator or None", seed, TypeError)
    return np.random.default_rng(integer(name, seed, at_least=0))


def float_dtype(name: str, dtype: Any) -> np.dtype:
    """Return a floating dtype that NumPy computes in: float16, float32 or float64."""
    try:
        result = np.dtype(dtype)
    except (TypeError, ValueError, SyntaxError):  # the last one of ","
        result = None
    if dtype is not None and result in FLOAT_DTYPES:
        return result
    allowed = "one of " + ", ".join(repr(option) for option in FLOAT_DTYPES)
    hint = nearest(dtype, FLOAT_DTYPES) if result is None and isinstance(dtype, str) else ""
    raise TypeError(
        f"Argument `{name}` must be {allowed}. Received: {name}={show(dtype)}{hint and '.' + hint}"
    )


def array(
    name: str,
    value: Any,
    *,
    ndim: int | tuple[int, ...] | None = None,
    dtype: Any = None,
    finite: bool = True,
) -> np.ndarray:
    """Return `value` as a numeric array of the given number of axes, all of it finite."""
    try:
        result = np.asarray(value)
    except ValueError:  # ragged
        fail(name, "a rectangular array of numbers", value, TypeError)
    if result.dtype.kind not in "iuf":
        fail(name, "an array of real numbers", value, TypeError)
    wanted = (ndim,) if isinstance(ndim, int) else ndim
    if wanted is not None and result.ndim not in wanted:
        axes = " or ".join(str(n) for n in wanted)
        fail(name, f"an array with {axes} axes", result)
    if result.size == 0:
        fail(name, "an array that is not empty", result)
    if dtype is not None:
        with np.errstate(over="ignore"):  # what overflows is found next
            result = result.astype(dtype, copy=False)
    if finite and result.dtype.kind == "f" and not (good := np.isfinite(result)).all():
        raise ValueError(
            f"Argument `{name}` must be finite. Received: {name}={show(result)}, "
            f"in which {(~good).sum()} of {result.size} values are NaN or infinite"
        )
    return result


def labels(name: str, value: Any, classes: int) -> np.ndarray:
    """Return integer class labels, each in ``0 … classes - 1``."""
    result = array(name, value)
    if result.dtype.kind not in "iu":
        fail(name, f"an array of integers from 0 to {classes - 1}", value, TypeError)
    if result.min() < 0 or result.max() >= classes:
        raise ValueError(
            f"Argument `{name}` must be an array of integers from 0 to {classes - 1}. "
            f"Received: {name} with values from {result.min()} to {result.max()}"
        )
    return result
