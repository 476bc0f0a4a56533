"""The activations: each a function, its derivative, and what the theory must know (level 1).

Every built-in function and derivative is written so that no finite input overflows (large arguments
only ever meet ``exp(-|z|)``) and keeps its relative accuracy in the tails, where
``1 - tanh(z)**2`` and its like would cancel to 0.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from initcore import _checks
from initcore._expression import Expression

Function = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True, repr=False)
class Activation:
    """An elementwise function with its derivative.

    Attributes
    ----------
    name : str
        As `get` knows it.
    function, slope : callable
        ``φ`` and its derivative ``φ′``, both on float arrays; call them through ``act(z)`` and
        ``act.derivative(z)``.
    kinks : tuple of float
        Where ``φ`` or one of its derivatives jumps, in increasing order; the quadrature of
        `initcore.theory` splits its panels there.
    at_zero : float
        ``φ(0)``. Where it is 0, zero weights send zeros on.

    Examples
    --------
    >>> sigmoid.at_zero, relu.kinks
    (0.5, (0.0,))
    >>> relu([-1, 0, 2])
    array([0., 0., 2.])
    """

    name: str
    function: Function
    slope: Function
    kinks: tuple[float, ...] = ()
    at_zero: float = 0.0

    def __call__(self, z: Any) -> np.ndarray:
        """Return ``φ(z)``: the shape and float dtype of `z`; integers become float64.

        What is not an array of real numbers is a ``TypeError``, an empty one a ``ValueError``.
        """
        return _evaluate(self.function, z)

    def derivative(self, z: Any) -> np.ndarray:
        """Return ``φ′(z)``, at a jump the value on its left; shape, dtype and errors as for ``φ``.

        >>> relu.derivative([-1.0, 0.0, 2.0])
        array([0., 0., 1.])
        """
        return _evaluate(self.slope, z)

    def __repr__(self) -> str:  # no address of a function: notebooks print this
        return f"Activation({self.name!r})"


def _evaluate(function: Function, z: Any) -> np.ndarray:
    if not (isinstance(z, np.ndarray) and z.dtype.kind == "f" and z.size):  # a step's are
        z = _checks.array("z", z, finite=False)
        z = z if z.dtype.kind == "f" else z.astype(np.float64)
    result = np.asarray(function(z))
    if result.shape != z.shape:
        _checks.fail("function", f"elementwise: an array of shape {z.shape} out", result)
    return result.astype(z.dtype, copy=False)[()]  # NumPy 1 widens scalars; [()] as ufuncs do


# --- The functions. `z` is a float array throughout.


def _sigmoid(z: np.ndarray) -> np.ndarray:
    tail = np.exp(-np.abs(z))  # at most 1, so that the maximum is 1 where z >= 0 and tail elsewhere
    return np.maximum(tail, (z >= 0).astype(tail.dtype)) / (1.0 + tail)  # faster than np.where


def _sigmoid_slope(z: np.ndarray) -> np.ndarray:
    tail = np.exp(-np.abs(z))
    return tail / (1.0 + tail) ** 2


def _tanh_slope(z: np.ndarray) -> np.ndarray:
    tail = np.exp(-np.abs(z))
    return (2.0 * tail / (1.0 + tail * tail)) ** 2  # 1 / cosh², without 2|z|, which can overflow


def _elu(z: np.ndarray, alpha: float = 1.0) -> np.ndarray:
    return np.where(z > 0, z, alpha * np.expm1(np.minimum(z, 0.0)))


def _elu_slope(z: np.ndarray, alpha: float = 1.0) -> np.ndarray:
    return np.where(z > 0, 1.0, alpha * np.exp(np.minimum(z, 0.0)))


def _selu(z: np.ndarray) -> np.ndarray:  # of the largest floats, it stops just below infinity
    z = np.minimum(z, 0.999 * float(np.finfo(z.dtype).max) / SELU_SCALE)
    return _elu(z, SELU_ALPHA) * SELU_SCALE


def _selu_slope(z: np.ndarray) -> np.ndarray:
    return _elu_slope(z, SELU_ALPHA) * SELU_SCALE


def _silu_slope(z: np.ndarray) -> np.ndarray:
    return _sigmoid(z) * (1.0 + z * _sigmoid(-z))


def _softsign_slope(z: np.ndarray) -> np.ndarray:
    return (1.0 / (1.0 + np.abs(z))) ** 2


def _softplus(z: np.ndarray) -> np.ndarray:
    return np.maximum(z, 0.0) + np.log1p(np.exp(-np.abs(z)))


def _mish_slope(z: np.ndarray) -> np.ndarray:
    inside = _softplus(z)
    return np.tanh(inside) + z * (_tanh_slope(inside) * _sigmoid(z))


def _quick(z: np.ndarray) -> np.ndarray:
    return 1.702 * np.clip(z, -1e3, 1e3).astype(np.float64)  # beyond, its sigmoid is 0 or 1


def _relu_squared(z: np.ndarray) -> np.ndarray:  # of the largest floats, below infinity as SELU
    return np.square(np.clip(z, 0.0, 0.9995 * math.sqrt(float(np.finfo(z.dtype).max))))


def _relu_squared_slope(z: np.ndarray) -> np.ndarray:
    return 2.0 * np.clip(z, 0.0, 0.4995 * float(np.finfo(z.dtype).max))


def _hard_sigmoid(z: np.ndarray) -> np.ndarray:
    return np.clip(z + 3.0, 0.0, 6.0) / 6.0


def _within(z: np.ndarray, start: float, end: float) -> np.ndarray:
    return ((z > start) & (z <= end)).astype(z.dtype)


def _normal_density(z: np.ndarray) -> np.ndarray:
    z = np.clip(z, -40.0, 40.0)  # beyond, the density is below the smallest double
    return np.exp(-0.5 * z * z) / math.sqrt(2.0 * math.pi)


# The normal distribution's lower tail, x ≥ 0, is an integral over the whole line,
#     Φ(-x) = (x/2π) exp(-x²/2) ∫ exp(-s²/2) / (s² + x²) ds,
# for which the midpoint rule of step h errs by about exp(-2π²/h²) ≈ 3e-18 once the poles
# s = ±ix are accounted for by 1 / (exp(2πx/h) + 1). Every term is positive, so nothing cancels:
# Matta and Reichel (1971), Uniform computation of the error function, Math. Comp. 25,
# with nodes half a step off the origin, so that x = 0 is not singular.
_STEP = 0.7
_NODES = [(k + 0.5) * _STEP for k in range(13)]


def _normal_cdf(z: np.ndarray) -> np.ndarray:
    """Return ``Φ(z)``, relative error below 1e-15 near 0 and 1e-13 in the far lower tail."""
    x = np.minimum(np.abs(z), 40.0)
    square = x * x
    total, term = np.zeros_like(x), np.empty_like(x)
    for node in _NODES:  # in place: this is GELU's whole cost
        np.add(square, node * node, out=term)
        np.divide(math.exp(-0.5 * node * node), term, out=term)
        total += term
    pole = np.exp(-2.0 * math.pi / _STEP * x)
    pole = np.where(x < 2.0 * math.pi / _STEP, pole / (1.0 + pole), 0.0)
    lower = math.sqrt(2.0 / math.pi) * _STEP * x * _normal_density(x) * total + pole
    return np.where(z > 0, 1.0 - lower, lower)


def _erf(z: np.ndarray) -> np.ndarray:
    return 2.0 * _normal_cdf(math.sqrt(2.0) * z) - 1.0


def _gelu_slope(z: np.ndarray) -> np.ndarray:
    return _normal_cdf(z) + np.clip(z, -40.0, 40.0) * _normal_density(z)


SELU_SCALE, SELU_ALPHA = 1.0507009873554805, 1.6732632423543772
"""λ and α of Klambauer et al. (2017), eq. 14: with them E[φ(z)] = 0 and E[φ(z)²] = 1."""


# --- The activations.


def make_leaky_relu(slope: float = 0.01) -> Activation:
    """Return ``max(z, 0) + slope · min(z, 0)``: He et al. (2015), eq. 1.

    The `slope` goes from -1 (the absolute value) over 0 (ReLU) to 1 (linear); another one is a
    ``ValueError``. The default is that of PyTorch and JAX; `keras.activations.leaky_relu` has 0.2.

    Examples
    --------
    >>> make_leaky_relu(0.2)([-10.0, 10.0])
    array([-2., 10.])
    """
    slope = _checks.number("slope", slope, at_least=-1.0, at_most=1.0)
    return Activation(
        "leaky_relu" if slope == 0.01 else f"leaky_relu({slope:g})",
        lambda z: np.where(z > 0, z, slope * z),
        lambda z: np.where(z > 0, 1.0, slope),
        kinks=() if slope == 1.0 else (0.0,),
    )


linear = Activation("linear", np.array, np.ones_like)
tanh = Activation("tanh", np.tanh, _tanh_slope)
sigmoid = Activation("sigmoid", _sigmoid, _sigmoid_slope, at_zero=0.5)
centred_sigmoid = Activation(  # sigmoid(z) - ½, written so that nothing cancels near 0
    "centred_sigmoid", lambda z: 0.5 * np.tanh(0.5 * z), _sigmoid_slope
)
relu = Activation(
    "relu", lambda z: np.maximum(z, 0.0), lambda z: (z > 0).astype(z.dtype), kinks=(0.0,)
)
leaky_relu = make_leaky_relu()
elu = Activation("elu", _elu, _elu_slope, kinks=(0.0,))
selu = Activation("selu", _selu, _selu_slope, kinks=(0.0,))
gelu = Activation("gelu", lambda z: z * _normal_cdf(z), _gelu_slope)
silu = Activation("silu", lambda z: z * _sigmoid(z), _silu_slope)
softsign = Activation("softsign", lambda z: z / (1.0 + np.abs(z)), _softsign_slope, kinks=(0.0,))
softplus = Activation("softplus", _softplus, _sigmoid, at_zero=math.log(2.0))
mish = Activation("mish", lambda z: z * np.tanh(_softplus(z)), _mish_slope)
quick_gelu = Activation(
    "quick_gelu", lambda z: z * _sigmoid(_quick(z)), lambda z: _silu_slope(_quick(z))
)
relu_squared = Activation("relu_squared", _relu_squared, _relu_squared_slope, (0.0,))
relu6 = Activation("relu6", lambda z: np.clip(z, 0, 6), lambda z: _within(z, 0, 6), (0.0, 6.0))
hard_tanh = Activation(
    "hard_tanh", lambda z: np.clip(z, -1, 1), lambda z: _within(z, -1, 1), (-1.0, 1.0)
)
hard_sigmoid = Activation(
    "hard_sigmoid", _hard_sigmoid, lambda z: _within(z, -3, 3) / 6.0, (-3.0, 3.0), 0.5
)
hard_silu = Activation(
    "hard_silu",
    lambda z: z * _hard_sigmoid(z),
    lambda z: _hard_sigmoid(z) + z * (_within(z, -3, 3) / 6.0),
    (-3.0, 3.0),
)

_BUILT_IN = {
    act.name: act
    for act in (
        linear, tanh, sigmoid, centred_sigmoid, relu, leaky_relu,
        elu, selu, gelu, silu, softsign, softplus, mish, quick_gelu, relu_squared,
        relu6, hard_tanh, hard_sigmoid, hard_silu,
    )
}  # fmt: skip
_KNOWN = _BUILT_IN | {"identity": linear, "swish": silu, "hard_swish": hard_silu}


def names() -> tuple[str, ...]:
    """Return the names that `get` knows, without aliases.

    >>> names()[:5]
    ('linear', 'tanh', 'sigmoid', 'centred_sigmoid', 'relu')
    """
    return tuple(_BUILT_IN)


def get(identifier: str | Activation | Function) -> Activation:
    """Return an activation by name, as it is, or made of a callable.

    A name may be written with or without capitals and underscores (``"leaky_relu"`` or
    ``"LeakyReLU"``; ``"swish"`` is ``"silu"``); of a function of an array, see `from_callable`.
    GLU, SwiGLU and softmax have no name here: they are not elementwise. An unknown name is a
    ``ValueError``, which proposes the nearest, another kind of value a ``TypeError``.

    Examples
    --------
    >>> get("swish"), get("ReLU"), get(np.sin)
    (Activation('silu'), Activation('relu'), Activation('sin'))
    """
    if isinstance(identifier, Activation):
        return identifier
    if isinstance(identifier, str):
        known = {name.replace("_", ""): act for name, act in _KNOWN.items()}
        plain = identifier.lower().replace("_", "")
        if plain not in known:
            _checks.choice("activation", identifier, list(_KNOWN))
        return known[plain]
    if callable(identifier) and not isinstance(identifier, type):
        return from_callable(identifier)
    _checks.fail(
        "activation", "a name, an Activation or a function of an array", identifier, TypeError
    )


def from_callable(
    function: Function,
    derivative: Function | None = None,
    kinks: Sequence[float] = (),
    *,
    name: str | None = None,
) -> Activation:
    """Return an activation made of a function.

    What is not elementwise, or not finite near 0, is a ``ValueError`` or ``TypeError``.

    Parameters
    ----------
    function : callable
        Of a float array, elementwise.
    derivative : callable, optional
        Its derivative. Without it, a five-point difference that no kink comes between; its
        error is about 1e-11 of the function's values.
    kinks : sequence of float
        Where the function or one of its derivatives jumps.
    name : str, optional
        The function's own name by default.

    Examples
    --------
    >>> cube = from_callable(lambda z: z**3, name="cube")
    >>> cube.derivative([1.0, 2.0]).round(6)
    array([ 3., 12.])
    """
    _check_elementwise("function", function)
    if derivative is not None:
        _check_elementwise("derivative", derivative)
    points = tuple(sorted(_checks.number("kinks", kink) for kink in kinks))
    return Activation(
        name or getattr(function, "__name__", type(function).__name__),
        function,
        derivative or functools.partial(_difference, function=function, kinks=points),
        kinks=points,
        at_zero=float(np.asarray(function(np.zeros(1)))[0]),
    )


def from_expression(text: str) -> Activation:
    """Return an activation by its name, or made of a formula of ``z`` that is typed as a text.

    The text is a name that `get` knows, or a formula of at most 200 characters: numbers,
    ``+ - * / **``, brackets, ``max`` and ``min`` of two numbers, ``where(z > 0, a, b)`` with ``<``,
    ``<=``, ``>`` or ``>=``, and functions of one number: `names`, and ``abs``, ``arctan``, ``cos``,
    ``erf``, ``exp``, ``expm1``, ``log``, ``log1p``, ``sin`` and ``sqrt``. No part of it is run as
    Python, so that it may come from anybody. Anything else, or a formula that is not finite from
    -50 to 50, is a ``ValueError`` with what is allowed and the part that is not, and what is no
    text is a ``TypeError``.

    Examples
    --------
    >>> hard_swish = from_expression("z * min(max(z + 3, 0), 6) / 6")
    >>> hard_swish.kinks, hard_swish([-4.0, 1.0])
    ((-3.0, 3.0), array([-0.        ,  0.66666667]))
    """
    if isinstance(text, str) and text.strip().isidentifier() and text.strip() != "z":
        return get(text.strip())
    smooth = (np.arctan, np.cos, np.exp, np.expm1, np.log, np.log1p, np.sin, np.sqrt, _erf)
    functions = {function.__name__.strip("_"): (function, ()) for function in smooth}
    functions["abs"] = (np.abs, (0.0,))
    functions |= {name: (act.function, act.kinks) for name, act in _KNOWN.items()}
    formula = Expression(text, functions)
    return from_callable(formula, kinks=formula.kinks, name=" ".join(text.split()))


def _check_elementwise(name: str, function: Any) -> None:
    allowed = "an elementwise function of a float array, finite near 0"
    if not callable(function):
        _checks.fail(name, allowed, function, TypeError)
    probe = np.array([[-0.5, 0.0], [0.5, 1.0]])
    try:
        result = np.asarray(function(probe), dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise TypeError(
            f"Argument `{name}` must be {allowed}. "
            f"Received: {name}={_checks.show(function)}, which raised {error!r}"
        ) from error
    if result.shape != probe.shape or not np.isfinite(result).all():
        _checks.fail(name, allowed, function)


def _difference(z: np.ndarray, function: Function, kinks: tuple[float, ...]) -> np.ndarray:
    z = z.astype(np.float64)
    step = 1e-3 * np.maximum(np.abs(z), 1.0)
    for kink in kinks:  # stay on one side of it, but for the last few rounding units
        least = max(abs(kink), abs(float(function(np.full(1, kink))[0])), 1e-290)
        step = np.minimum(step, np.maximum(0.49 * np.abs(z - kink), 1e-9 * least))
    near = function(z + step) - function(z - step)
    far = function(z + 2.0 * step) - function(z - 2.0 * step)
    return (8.0 * near - far) / (12.0 * step)
