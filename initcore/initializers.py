r"""The initializers: what weights are before training (floor 1).

Names, arguments, defaults and the call protocol are those of Keras, and an instance may be
handed to a Keras layer as it is. One `VarianceScaling` holds the rule

.. math:: \operatorname{Var}(w) = \mathrm{scale} / n, \qquad n = \text{fan\_in, fan\_out or a mean},

and Glorot, He and LeCun are settings of it. Weights have the shape ``(..., fan_in, fan_out)``.

How a number is made: every draw is a float64 of the generator's bit-stable stream, rounded to
the dtype asked for, so float32 weights are the float64 weights rounded. A truncated normal is
drawn by redrawing what falls beyond the cut (4.6% of the draws): that is exact, and needs no
inverse error function. Rounding never carries a value beyond a cut or a bound.

Differences from Keras, all on purpose: ``seed=None`` draws afresh at every call (an unseeded
Keras instance repeats itself), a seed may be a ``numpy.random.Generator``, a dimension of zero is
an error, and the Keras layers that set the fan axes of *Keras'* variance scalings (EinsumDense,
MultiHeadAttention) cannot do so here: pass `input_axes` and `output_axes` yourself.

The classes are registered with Keras (``initcore>HeNormal``) as soon as this module or one of
its instances finds Keras imported; a program that only loads a saved model therefore imports
Keras before this module, or calls `register_keras`.

The module draws; it never measures, and keeps no state but the generators handed to it.
"""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Callable, Mapping, Sequence
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

MODES = ("fan_in", "fan_out", "fan_avg", "fan_geo_avg")
DISTRIBUTIONS = ("truncated_normal", "untruncated_normal", "uniform")
Axes = int | Sequence[int]


# ---- arguments ---------------------------------------------------------------------------


def _shape(shape: Any) -> tuple[int, ...]:
    if isinstance(shape, np.ndarray):
        shape = shape.tolist()
    if isinstance(shape, (str, bytes)) or not isinstance(shape, Sequence):
        _checks.fail("shape", "a sequence of positive integers", shape, TypeError)
    return tuple(_checks.integer(f"shape[{i}]", n, at_least=1) for i, n in enumerate(shape))


def _axes(name: str, axes: Any) -> int | tuple[int, ...]:
    """Return one axis as an int, several as a tuple."""
    if isinstance(axes, (str, bytes)) or not isinstance(axes, Sequence):
        return _checks.integer(name, axes)
    return tuple(_checks.integer(f"{name}[{i}]", axis) for i, axis in enumerate(axes))


def _paired(input_axes: Any, output_axes: Any) -> tuple[Any, Any]:
    if (input_axes is None) != (output_axes is None):
        missing = "input_axes" if input_axes is None else "output_axes"
        _checks.fail(missing, "given when the other one of input_axes, output_axes is", None)
    if input_axes is None:
        return None, None
    return _axes("input_axes", input_axes), _axes("output_axes", output_axes)


def _option(name: str, value: Any, allowed: Sequence[str]) -> str:
    """Return `value` if it is allowed; the error begins as Keras' does."""
    if isinstance(value, str) and value in allowed:
        return value
    error = ValueError if isinstance(value, str) else TypeError
    options = ", ".join(repr(option) for option in allowed)
    raise error(
        f"Invalid `{name}` argument: {_checks.show(value)}. Please use one of {options}."
        f"{_checks.nearest(value, allowed)}"
    )


def _seed(seed: Any) -> Any:
    """Return a seed that can be drawn from; a dict is one that `get_config` has written."""
    if isinstance(seed, Mapping):
        seed = _seed_from_config(dict(seed))
    if seed is None or isinstance(seed, np.random.Generator):
        return seed
    if callable(getattr(seed, "next", None)) and not isinstance(seed, type):
        return seed
    allowed = "a non-negative integer, a numpy.random.Generator, None or an object with .next()"
    if isinstance(seed, (bool, np.bool_)) or not isinstance(seed, (int, np.integer)) or seed < 0:
        is_integer = isinstance(seed, (int, np.integer)) and not isinstance(seed, bool)
        _checks.fail("seed", allowed, seed, ValueError if is_integer else TypeError)
    return int(seed)


def _seed_from_config(config: dict[str, Any]) -> Any:
    if config.get("class_name") != "Generator":
        return _keras.deserialize_seed(config)
    kinds = ("PCG64", "PCG64DXSM", "MT19937", "Philox", "SFC64")
    try:
        kind = _checks.choice("bit_generator", config["config"]["bit_generator"], kinds)
        bit_generator = getattr(np.random, kind)()
        bit_generator.state = config["config"]
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"Argument `seed` must hold a generator's state. Received: {error!r}"
        ) from error
    return np.random.Generator(bit_generator)


def _plain(value: Any) -> Any:
    """Return an argument as JSON can hold it: arrays and tuples as lists, seeds as configs."""
    if isinstance(value, np.random.Generator):
        return {"class_name": "Generator", "config": _plain(value.bit_generator.state)}
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray):
        return value.tolist()
    return list(value) if isinstance(value, tuple) else _keras.serialize_seed(value)


# ---- draws -------------------------------------------------------------------------------


def _edge(bound: float, dtype: np.dtype, inward: float) -> Any:
    """Return the number of `dtype` nearest to `bound` that does not lie outside it."""
    with np.errstate(over="ignore"):
        edge = dtype.type(bound)
    is_outside = float(edge) < bound if inward > 0 else float(edge) > bound
    return np.nextafter(edge, dtype.type(inward)) if is_outside else edge


def _round(values: Any, dtype: np.dtype, low: float = -math.inf, high: float = math.inf) -> Any:
    """Return float64 values rounded to `dtype`, and within ``[low, high]`` after it too."""
    with np.errstate(over="ignore", under="ignore"):  # an overflow is reported by the check instead
        rounded = np.asarray(values).astype(dtype)
    if not np.isfinite(rounded).all():
        largest = float(np.max(np.abs(values)))
        _checks.fail("dtype", f"able to hold the values drawn, up to {largest:.3g}", str(dtype))
    lowest, highest = _edge(low, dtype, math.inf), _edge(high, dtype, -math.inf)
    if float(lowest) > float(highest):
        _checks.fail("dtype", f"able to hold a number from {low:.9g} to {high:.9g}", str(dtype))
    return np.minimum(np.maximum(rounded, lowest), highest)


def _normal(shape: tuple, rng: np.random.Generator, mean: float, stddev: float, dtype: Any) -> Any:
    z = rng.standard_normal(math.prod(shape))
    with np.errstate(over="ignore"):
        return _round((mean + stddev * z).reshape(shape), dtype)


def _truncated_normal(
    shape: tuple, rng: np.random.Generator, mean: float, stddev: float, dtype: Any
) -> Any:
    z = rng.standard_normal(math.prod(shape))
    beyond = np.flatnonzero(np.abs(z) > CUT)
    while beyond.size:
        z[beyond] = rng.standard_normal(beyond.size)
        beyond = beyond[np.abs(z[beyond]) > CUT]
    cut = CUT * stddev
    with np.errstate(over="ignore"):
        return _round((mean + stddev * z).reshape(shape), dtype, mean - cut, mean + cut)


def _uniform(shape: tuple, rng: np.random.Generator, low: float, high: float, dtype: Any) -> Any:
    values = low + (high - low) * rng.random(math.prod(shape))
    below_high = math.nextafter(high, -math.inf)
    return _round(values.reshape(shape), dtype, low, below_high)


# ---- the classes -------------------------------------------------------------------------


class Initializer:
    """Base class: what is drawn when it is called with a shape.

    A subclass keeps each argument of its constructor as an attribute of the same name, and
    defines ``_draw(shape, rng, dtype)``, which gets a checked shape, a Generator and a dtype.

    Attributes
    ----------
    seed : int, numpy.random.Generator, object with ``.next()``, or None
        Where `__call__` draws from. None: fresh, unpredictable numbers at each call. An int: the
        same array at each call, as in Keras (so two layers of one shape get equal weights). A
        Generator, or an object whose ``.next()`` gives integers (a Keras SeedGenerator): the
        stream goes on from call to call.
    """

    seed: Any = None

    def __init__(self) -> None:
        register_keras()

    def __call__(self, shape: Sequence[int], dtype: Any = None) -> np.ndarray:
        """Return an array drawn with this initializer's own seed.

        Parameters
        ----------
        shape : sequence of int
            ``(..., fan_in, fan_out)`` for a weight, ``(units,)`` for a bias.
        dtype : {"float16", "float32", "float64", "bfloat16"}, optional
            None: Keras' floatx if Keras is loaded, else float32. bfloat16 needs ml_dtypes.

        Raises
        ------
        ValueError, TypeError
            A shape that is not a sequence of positive integers, a dtype that is no floating one
            or too small for the values.
        """
        seed = self.seed
        if callable(getattr(seed, "next", None)):
            words = np.ravel(np.asarray(seed.next())).tolist()
            seed = [_checks.integer("seed.next()", word) % 2**64 for word in words]
            return self.draw(shape, np.random.default_rng(seed), dtype)
        return self.draw(shape, _checks.generator("seed", seed), dtype)

    def draw(self, shape: Sequence[int], rng: Any, dtype: Any = None) -> np.ndarray:
        """Return an array drawn with the Generator `rng` instead of this initializer's seed."""
        return self._draw(_shape(shape), _checks.generator("rng", rng), _keras.float_dtype(dtype))

    def _draw(self, shape: tuple[int, ...], rng: np.random.Generator, dtype: np.dtype) -> Any:
        raise NotImplementedError("Initializer subclasses must implement the `_draw()` method.")

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments in a form that JSON can hold."""
        register_keras()
        return {name: _plain(getattr(self, name)) for name in _parameters(type(self))}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Initializer:
        """Return an initializer from what `get_config` returned."""
        if not isinstance(config, Mapping):
            _checks.fail("config", "a dict of the constructor's arguments", config, TypeError)
        for name in config:
            _checks.choice(f"{cls.__name__} config key", name, list(_parameters(cls)))
        return cls(**config)

    def clone(self) -> Initializer:
        """Return an initializer of the same configuration (and, if seeded, the same draws)."""
        return self.from_config(self.get_config())

    def __eq__(self, other: object) -> bool:
        same_class = isinstance(other, Initializer) and type(self) is type(other)
        return self.get_config() == other.get_config() if same_class else NotImplemented

    def __hash__(self) -> int:
        return hash(type(self))  # a generator among the arguments changes with each draw

    def __repr__(self) -> str:
        arguments = []
        for name, parameter in _parameters(type(self)).items():
            value = getattr(self, name)
            is_plain = isinstance(value, (str, int, float, tuple, list, np.ndarray, type(None)))
            if isinstance(value, np.ndarray) or value != parameter.default:
                # The repr of a generator would show its address.
                text = _checks.show(value) if is_plain else str(type(value).__name__)
                arguments.append(f"{name}={text}")
        return f"{type(self).__name__}({', '.join(arguments)})"


def _parameters(cls: type) -> Mapping[str, inspect.Parameter]:
    return inspect.signature(cls).parameters


class Constant(Initializer):
    """Every weight is `value`: a number, or an array that is broadcast to the shape.

    >>> Constant(0.1)((2,), "float64")
    array([0.1, 0.1])
    """

    def __init__(self, value: Any = 0.0) -> None:
        super().__init__()
        is_array = isinstance(value, (list, tuple)) or np.ndim(value) > 0
        self.value = _checks.array("value", value) if is_array else _checks.number("value", value)

    def _draw(self, shape: tuple[int, ...], rng: np.random.Generator, dtype: np.dtype) -> Any:
        try:
            values = np.broadcast_to(self.value, shape)
        except ValueError:
            _checks.fail("shape", f"one that a value of shape {np.shape(self.value)} fits", shape)
        return _round(values, dtype)


class FromArray(Constant):
    """Exactly the given array: what `get` makes of an array. The shape must be the array's."""

    def __init__(self, value: Any) -> None:
        super().__init__(np.asarray(value))
        self.value = np.array(self.value)

    def _draw(self, shape: tuple[int, ...], rng: np.random.Generator, dtype: np.dtype) -> Any:
        if shape != self.value.shape:
            raise ValueError(
                f"Expected `shape` to be {self.value.shape} for an array as initializer. "
                f"Received: shape={shape}"
            )
        return super()._draw(shape, rng, dtype)


class Zeros(Initializer):
    """Every weight is 0: right for biases, fatal for most weights (chapter 2)."""

    def _draw(self, shape: tuple[int, ...], rng: np.random.Generator, dtype: np.dtype) -> Any:
        return np.zeros(shape, dtype)


class Ones(Initializer):
    """Every weight is 1."""

    def _draw(self, shape: tuple[int, ...], rng: np.random.Generator, dtype: np.dtype) -> Any:
        return np.ones(shape, dtype)


class Identity(Initializer):
    """`gain` on the diagonal of a two-dimensional weight, 0 elsewhere.

    >>> Identity(2.0)((2, 3), "float64")
    array([[2., 0., 0.],
           [0., 2., 0.]])
    """

    def __init__(self, gain: float = 1.0) -> None:
        super().__init__()
        self.gain = _checks.number("gain", gain)

    def _draw(self, shape: tuple[int, ...], rng: np.random.Generator, dtype: np.dtype) -> Any:
        if len(shape) != 2:
            raise ValueError(
                "Identity matrix initializer can only be used for 2D matrices. "
                f"Received: shape={shape} of rank {len(shape)}."
            )
        return _round(self.gain * np.eye(*shape), dtype)


class RandomNormal(Initializer):
    """Normal distribution, ``N(mean, stddev²)``.

    >>> RandomNormal(stddev=0.01, seed=0)((2,), "float64").round(4)
    array([ 0.0013, -0.0013])
    """

    def __init__(self, mean: float = 0.0, stddev: float = 0.05, seed: Any = None) -> None:
        super().__init__()
        self.mean = _checks.number("mean", mean)
        self.stddev = _checks.number("stddev", stddev, at_least=0)
        self.seed = _seed(seed)

    def _draw(self, shape: tuple[int, ...], rng: np.random.Generator, dtype: np.dtype) -> Any:
        return _normal(shape, rng, self.mean, self.stddev, dtype)


class TruncatedNormal(RandomNormal):
    """Normal distribution whose values beyond ``mean ± 2 stddev`` are drawn again.

    `stddev` is that before the cut: the weights' own is `TRUNCATED_STD` times it, 12% less.
    `VarianceScaling` corrects for that, this class (as Keras') does not.

    >>> weights = TruncatedNormal(seed=0)((100_000,), "float64")
    >>> bool(abs(weights).max() <= 0.1), round(float(weights.std() / 0.05), 2)
    (True, 0.88)
    """

    def _draw(self, shape: tuple[int, ...], rng: np.random.Generator, dtype: np.dtype) -> Any:
        return _truncated_normal(shape, rng, self.mean, self.stddev, dtype)


class RandomUniform(Initializer):
    """Uniform distribution on ``[minval, maxval)``, of variance ``(maxval - minval)² / 12``.

    >>> RandomUniform(seed=0)((2,), "float64").round(4)
    array([ 0.0137, -0.023 ])
    """

    def __init__(self, minval: float = -0.05, maxval: float = 0.05, seed: Any = None) -> None:
        super().__init__()
        self.minval = _checks.number("minval", minval)
        self.maxval = _checks.number("maxval", maxval)
        if not 0 < self.maxval - self.minval < math.inf:
            _checks.fail("maxval", f"above minval={minval} by a finite number", maxval)
        self.seed = _seed(seed)

    def _draw(self, shape: tuple[int, ...], rng: np.random.Generator, dtype: np.dtype) -> Any:
        return _uniform(shape, rng, self.minval, self.maxval, dtype)


class Orthogonal(Initializer):
    r"""A matrix with orthonormal columns (or rows), times `gain`; uniform over all such.

    :math:`W = \mathrm{gain}\, Q \operatorname{sign}(\operatorname{diag} R)`, where :math:`QR`
    is the decomposition of a Gaussian matrix. Without the sign, Q depends on how the
    decomposition was computed, and is not uniform (Haar) distributed: Stewart 1980, section 3;
    Mezzadri 2007, section 5. A weight of more axes is a matrix of shape
    ``(product of all axes but the last, last axis)``, as in Keras.

    Parameters
    ----------
    gain : float
        The common singular value.
    seed : int, numpy.random.Generator, object with ``.next()``, or None
        See `Initializer`.

    Raises
    ------
    ValueError
        At the call: a shape of fewer than two axes.

    References
    ----------
    Saxe, McClelland and Ganguli 2014: deep linear networks that start orthogonal.

    Examples
    --------
    >>> W = Orthogonal(seed=0)((3, 2), "float64")
    >>> bool(np.allclose(W.T @ W, np.eye(2)))
    True
    """

    def __init__(self, gain: float = 1.0, seed: Any = None) -> None:
        super().__init__()
        self.gain = _checks.number("gain", gain)
        self.seed = _seed(seed)

    def _draw(self, shape: tuple[int, ...], rng: np.random.Generator, dtype: np.dtype) -> Any:
        if len(shape) < 2:
            raise ValueError(
                "The tensor to initialize must be at least two-dimensional. "
                f"Received: shape={shape} of rank {len(shape)}."
            )
        rows, columns = math.prod(shape[:-1]), shape[-1]
        tall = (max(rows, columns), min(rows, columns))
        q, r = np.linalg.qr(rng.standard_normal(tall))
        q *= np.where(np.diagonal(r) < 0, -1.0, 1.0)
        return _round(self.gain * (q if rows >= columns else q.T).reshape(shape), dtype)


class VarianceScaling(Initializer):
    r"""Zero mean and variance ``scale / n``, where n counts the weight's inputs or outputs.

    .. math::
        \operatorname{Var}(w) = \frac{\mathrm{scale}}{n},\qquad
        n = \begin{cases}
            \mathrm{fan\_in} & \text{fan\_in: keeps the forward variance}\\
            \mathrm{fan\_out} & \text{fan\_out: keeps the backward variance}\\
            (\mathrm{fan\_in} + \mathrm{fan\_out}) / 2 & \text{fan\_avg}\\
            \sqrt{\mathrm{fan\_in} \cdot \mathrm{fan\_out}} & \text{fan\_geo\_avg}
        \end{cases}

    "truncated_normal" draws :math:`N(0, s^2)` cut at :math:`\pm 2s` with
    :math:`s = \sqrt{\mathrm{scale}/n}\, /` `TRUNCATED_STD`, so that the variance *after* the cut
    is the one named (the cut lies at 2.27 of the actual standard deviations);
    "untruncated_normal" draws :math:`N(0, \mathrm{scale}/n)`; "uniform" draws
    :math:`U(-a, a)` with :math:`a = \sqrt{3\, \mathrm{scale}/n}`, as :math:`U(-a, a)` has the
    variance :math:`a^2/3`.

    Parameters
    ----------
    scale : float
        Above 0.
    mode : {"fan_in", "fan_out", "fan_avg", "fan_geo_avg"}
        What n is.
    distribution : {"truncated_normal", "untruncated_normal", "uniform"}
        "normal" means truncated, as in Keras (in JAX it means untruncated).
    seed : int, numpy.random.Generator, object with ``.next()``, or None
        See `Initializer`.
    input_axes, output_axes, in_axis, out_axis : int or sequence of int, optional
        Which axes are inputs and which are outputs, where the shape is not
        ``(..., fan_in, fan_out)``; see `compute_fans`. The EinsumDense kernel of shape
        ``(features, heads, head_size)`` needs ``input_axes=[0], output_axes=[1, 2]``.

    Raises
    ------
    ValueError, TypeError
        A scale that is not a positive number, an unknown mode or distribution, a bad seed or
        bad axes.

    Examples
    --------
    >>> init = VarianceScaling(2.0, "fan_in", "uniform", seed=0)
    >>> weights = init((300, 200), "float64")
    >>> round(float(weights.var() * 300), 2), bool(abs(weights).max() < np.sqrt(6 / 300))
    (2.0, True)
    """

    def __init__(
        self,
        scale: float = 1.0,
        mode: str = "fan_in",
        distribution: str = "truncated_normal",
        seed: Any = None,
        input_axes: Axes | None = None,
        output_axes: Axes | None = None,
        *,
        in_axis: Axes = -2,
        out_axis: Axes = -1,
    ) -> None:
        super().__init__()
        self.scale = _checks.number("scale", scale, above=0, allowed="positive float")
        self.mode = _option("mode", mode, MODES)
        name = distribution.lower() if isinstance(distribution, str) else distribution
        name = "truncated_normal" if name == "normal" else name
        self.distribution = _option("distribution", name, DISTRIBUTIONS)
        self.seed = _seed(seed)
        self.input_axes, self.output_axes = _paired(input_axes, output_axes)
        self.in_axis, self.out_axis = _axes("in_axis", in_axis), _axes("out_axis", out_axis)

    def variance(self, shape: Sequence[int]) -> float:
        """Return the variance that weights of this shape are drawn with: ``scale / n``."""
        fan_in, fan_out = compute_fans(
            shape,
            self.in_axis,
            self.out_axis,
            input_axes=self.input_axes,
            output_axes=self.output_axes,
        )
        count = {
            "fan_in": fan_in,
            "fan_out": fan_out,
            "fan_avg": (fan_in + fan_out) / 2,
            "fan_geo_avg": math.sqrt(fan_in * fan_out),
        }
        return self.scale / count[self.mode]

    def _draw(self, shape: tuple[int, ...], rng: np.random.Generator, dtype: np.dtype) -> Any:
        stddev = math.sqrt(self.variance(shape))
        if self.distribution == "uniform":
            limit = math.sqrt(3) * stddev
            return _uniform(shape, rng, -limit, limit, dtype)
        if self.distribution == "untruncated_normal":
            return _normal(shape, rng, 0.0, stddev, dtype)
        return _truncated_normal(shape, rng, 0.0, stddev / TRUNCATED_STD, dtype)


class _NamedScaling(VarianceScaling):
    """A `VarianceScaling` whose scale, mode and distribution its name stands for."""

    scale: float
    mode: str
    distribution: str

    def __init__(
        self,
        seed: Any = None,
        input_axes: Axes | None = None,
        output_axes: Axes | None = None,
        *,
        in_axis: Axes = -2,
        out_axis: Axes = -1,
    ) -> None:
        super().__init__(
            self.scale,
            self.mode,
            self.distribution,
            seed,
            input_axes,
            output_axes,
            in_axis=in_axis,
            out_axis=out_axis,
        )


class GlorotUniform(_NamedScaling):
    """``U(-a, a)``, ``a = √(6 / (fan_in + fan_out))``: Glorot and Bengio 2010, eq. 16.

    >>> bool(abs(GlorotUniform(seed=0)((4, 2))).max() < 1.0)
    True
    """

    scale, mode, distribution = 1.0, "fan_avg", "uniform"


class GlorotNormal(_NamedScaling):
    """Truncated normal of variance ``2 / (fan_in + fan_out)``: Glorot and Bengio 2010, eq. 12.

    >>> GlorotNormal().variance((100, 400))
    0.004
    """

    scale, mode, distribution = 1.0, "fan_avg", "truncated_normal"


class HeUniform(_NamedScaling):
    """``U(-a, a)``, ``a = √(6 / fan_in)``, the bound that has the variance of `HeNormal`.

    >>> bool(abs(HeUniform(seed=0)((6, 50))).max() < 1.0)
    True
    """

    scale, mode, distribution = 2.0, "fan_in", "uniform"


class HeNormal(_NamedScaling):
    """Truncated normal of variance ``2 / fan_in``, for ReLU: He et al. 2015, eq. 10 (forward).

    Their eq. 14 (backward) has fan_out instead: ``VarianceScaling(2.0, "fan_out")``. The paper
    draws an untruncated normal of the same variance.

    >>> HeNormal().variance((3, 3, 64, 128)) == 2 / (3 * 3 * 64)
    True
    """

    scale, mode, distribution = 2.0, "fan_in", "truncated_normal"


class LecunUniform(_NamedScaling):
    """``U(-a, a)``, ``a = √(3 / fan_in)``, the bound that has the variance of `LecunNormal`.

    >>> bool(abs(LecunUniform(seed=0)((3, 50))).max() < 1.0)
    True
    """

    scale, mode, distribution = 1.0, "fan_in", "uniform"


class LecunNormal(_NamedScaling):
    """Truncated normal of variance ``1 / fan_in``: LeCun et al. 1998, section 4.6.

    Also what SELU networks start from: Klambauer et al. 2017.

    >>> LecunNormal().variance((100, 400))
    0.01
    """

    scale, mode, distribution = 1.0, "fan_in", "truncated_normal"


# ---- fans and gains ----------------------------------------------------------------------


def compute_fans(
    shape: Sequence[int],
    in_axis: Axes = -2,
    out_axis: Axes = -1,
    *,
    input_axes: Axes | None = None,
    output_axes: Axes | None = None,
) -> tuple[int, int]:
    """Return ``(fan_in, fan_out)``: how many weights meet at an output, and at an input.

    Parameters
    ----------
    shape : sequence of int
        ``(fan_in, fan_out)``; ``(*receptive field, channels in, channels out)`` of a
        convolution, whose fans both count the receptive field; ``(n,)``, with both fans n; or
        ``()``, with both fans 1. The axes below do not apply to the last two.
    in_axis, out_axis : int or sequence of int
        The axes of the inputs and of the outputs; all others are the receptive field (JAX).
    input_axes, output_axes : int or sequence of int, optional
        Keras' arguments. Given both, they replace `in_axis` and `out_axis`, and all other axes
        count in neither fan.

    Raises
    ------
    ValueError, TypeError
        A dimension that is not a positive integer, an axis out of range, one axis named twice,
        or one of `input_axes`, `output_axes` without the other.

    Examples
    --------
    >>> compute_fans((256, 128)), compute_fans((3, 3, 16, 32)), compute_fans((10,))
    ((256, 128), (144, 288), (10, 10))
    >>> compute_fans((512, 8, 64), in_axis=0, out_axis=(1, 2))
    (512, 512)
    """
    shape = _shape(shape)
    input_axes, output_axes = _paired(input_axes, output_axes)
    is_keras = input_axes is not None
    if len(shape) < 2:
        return math.prod(shape), math.prod(shape)
    pairs = {"in_axis": in_axis, "out_axis": out_axis}
    if is_keras:
        pairs = {"input_axes": input_axes, "output_axes": output_axes}
    named: list[int] = []
    fans: list[int] = []
    for name, axes in pairs.items():
        chosen = _axes(name, axes)
        chosen = (chosen,) if isinstance(chosen, int) else chosen
        rank = len(shape)
        found = [_checks.integer(name, i, at_least=-rank, at_most=rank - 1) % rank for i in chosen]
        named += found
        fans.append(math.prod(shape[i] for i in found))
    if len(set(named)) < len(named):
        _checks.fail(" and ".join(f"{name}" for name in pairs), "axes named once", pairs)
    field = 1 if is_keras else math.prod(shape) // math.prod(fans)
    return fans[0] * field, fans[1] * field


GAINS: Mapping[str, Callable[[float], float]] = {
    "linear": lambda _: 1.0,
    "sigmoid": lambda _: 1.0,
    "tanh": lambda _: 5 / 3,
    "relu": lambda _: math.sqrt(2),
    "leaky_relu": lambda slope: math.sqrt(2 / (1 + slope**2)),
    "selu": lambda _: 3 / 4,
}


def calculate_gain(activation: str, param: float | None = None) -> float:
    r"""Return the factor on the weights' standard deviation ``1/√fan_in`` that PyTorch recommends.

    For a pre-activation :math:`z \sim N(0, 1)`, the gain
    :math:`1/\sqrt{E[\varphi(z)^2]}` keeps the mean square from layer to layer:

    ==========  ==================================  =======================================
    activation  gain                                where it comes from
    ==========  ==================================  =======================================
    linear      1                                   :math:`E[z^2] = 1`
    relu        :math:`\sqrt 2`                     half of :math:`E[z^2]`: He et al. 2015
    leaky_relu  :math:`\sqrt{2/(1 + a^2)}`          :math:`(1 + a^2)/2` of it, a the slope
    tanh        5/3                                 a rounding up; the formula gives 1.592
    selu        3/4                                 a convention that shrinks with depth;
                                                    the formula, and the paper, give 1
    sigmoid     1                                   a convention; the formula gives 1.85
    ==========  ==================================  =======================================

    Parameters
    ----------
    activation : str
        A name of the table. For any other one use `initcore.theory.forward_gain`.
    param : float, optional
        The slope of leaky_relu, 0.01 if None; the others have no parameter.

    Raises
    ------
    ValueError, TypeError
        An activation that is not in the table, or a `param` that does not apply.

    Examples
    --------
    >>> calculate_gain("relu") ** 2, calculate_gain("leaky_relu", 1.0)
    (2.0000000000000004, 1.0)
    """
    gain = GAINS[_checks.choice("activation", activation, tuple(GAINS))]
    if param is None:
        return gain(0.01)
    if activation != "leaky_relu":
        _checks.fail("param", f"None for {activation!r}", param)
    return gain(_checks.number("param", param, allowed="a finite slope"))


# ---- by name -----------------------------------------------------------------------------

_CLASSES = (
    Initializer,
    Constant,
    FromArray,
    GlorotNormal,
    GlorotUniform,
    HeNormal,
    HeUniform,
    Identity,
    LecunNormal,
    LecunUniform,
    Ones,
    Orthogonal,
    RandomNormal,
    RandomUniform,
    TruncatedNormal,
    VarianceScaling,
    Zeros,
)


def _snake(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


# Keras' other spelling of every class, also as attributes of this module: he_normal is HeNormal.
_SNAKE_CASE = {_snake(cls.__name__): cls for cls in _CLASSES}
globals().update(_SNAKE_CASE)

_KNOWN: dict[str, type[Initializer]] = {
    **{cls.__name__: cls for cls in _CLASSES},
    **_SNAKE_CASE,
    # Keras' further names.
    "IdentityInitializer": Identity,
    "OrthogonalInitializer": Orthogonal,
    "normal": RandomNormal,
    "one": Ones,
    "uniform": RandomUniform,
    "zero": Zeros,
}


def register_keras() -> None:
    """Register the classes with Keras, if Keras has been imported; else do nothing."""
    _keras.register(_CLASSES)


def _by_name(name: Any) -> type[Initializer]:
    if isinstance(name, str) and name in _KNOWN:
        return _KNOWN[name]
    raise ValueError(
        f"Could not interpret initializer identifier: {_checks.show(name)}. Known names are "
        f"{', '.join(_SNAKE_CASE)} and their class names.{_checks.nearest(name, _SNAKE_CASE)}"
    )


def get(identifier: Any) -> Any:
    """Return the initializer that a name, dict, class, instance, callable or array stands for.

    Parameters
    ----------
    identifier : str, dict, type, Initializer, callable, array or None
        A name in either spelling ("he_normal", "HeNormal"), what `serialize` returned, a class
        (called without arguments), anything with the signature ``(shape, dtype)`` (returned as
        it is), an array (`FromArray`), or None (returned as it is, as in Keras).

    Raises
    ------
    ValueError, TypeError
        An unknown name, with the nearest known one; or another kind of object.

    Examples
    --------
    >>> get("he_normal"), get(Zeros), get({"class_name": "Constant", "config": {"value": 2.0}})
    (HeNormal(), Zeros(), Constant(value=2.0))
    """
    if identifier is None:
        return None
    if isinstance(identifier, str):
        return _by_name(identifier)()
    if isinstance(identifier, Mapping):
        return deserialize(identifier)
    if isinstance(identifier, type):
        identifier = identifier()
    if callable(identifier):
        return identifier
    if hasattr(identifier, "__array__"):
        return FromArray(np.asarray(identifier))
    raise TypeError(
        f"Could not interpret initializer identifier: {_checks.show(identifier)}. It must be a "
        "name, a dict, a class, an initializer, a callable or an array."
    )


def serialize(initializer: Initializer) -> dict[str, Any]:
    """Return an initializer as a dict, the one that Keras writes into a saved model.

    >>> serialize(Constant(2.0))["config"]
    {'value': 2.0}
    """
    if not isinstance(initializer, Initializer):
        _checks.fail("initializer", "an initcore Initializer", initializer, TypeError)
    cls = type(initializer)
    return {
        "module": cls.__module__,
        "class_name": cls.__name__,
        "config": initializer.get_config(),
        "registered_name": f"initcore>{cls.__name__}" if cls in _CLASSES else cls.__name__,
    }


def deserialize(
    config: Mapping[str, Any], custom_objects: Mapping[str, type] | None = None
) -> Initializer:
    """Return the initializer of a dict that `serialize`, or Keras for its own, has written.

    Parameters
    ----------
    config : dict
        With "class_name" and "config".
    custom_objects : dict of str to type, optional
        Further classes by name; they go before the package's own.

    Raises
    ------
    ValueError, TypeError
        Not such a dict, an unknown class, or a class of another package that is not in
        `custom_objects` (it would otherwise turn into the one of that name here).

    Examples
    --------
    >>> init = VarianceScaling(0.5, "fan_out", seed=3)
    >>> deserialize(serialize(init)) == init
    True
    """
    if not isinstance(config, Mapping):
        _checks.fail("config", "a dict with 'class_name' and 'config'", config, TypeError)
    if "class_name" not in config:
        _checks.fail("config", "a dict with 'class_name' and 'config'", config)
    name = config["class_name"]
    if custom_objects and name in custom_objects:
        return custom_objects[name].from_config(config.get("config") or {})
    module = str(config.get("module") or "initcore")
    if module.partition(".")[0] not in ("initcore", "keras"):
        _checks.fail(
            "custom_objects", f"a dict with the class {name!r} of {module}", custom_objects
        )
    return _by_name(name).from_config(config.get("config") or {})


register_keras()
