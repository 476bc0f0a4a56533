"""The initializers: what weights are before training (level 1).

Names, arguments, defaults and the call protocol are those of Keras, and an instance may be
handed to a Keras layer as it is. Glorot, He and LeCun are settings of one `VarianceScaling`.
Weights have the shape ``(..., fan_in, fan_out)``. An argument out of its range is a ``ValueError``,
one of another kind a ``TypeError``. How a number is drawn, and rounded to the dtype asked for,
stands in `initcore.sampling`.

Differences from Keras, all on purpose: ``seed=None`` draws afresh at every call (an unseeded
Keras instance repeats itself), a seed may be a ``numpy.random.Generator``, and a dimension of zero
is an error.

The classes are registered with Keras (``initcore>HeNormal``) as soon as this module or one of
its instances finds Keras imported. From then on, the Keras layers that know the fan axes of their
kernels (EinsumDense, and the four kernels of MultiHeadAttention) set them here as for Keras' own
variance scalings, unless both are given. A program that only loads a saved model, or that makes its
initializers first, therefore imports Keras before this module, or calls `register_keras`.
"""

from __future__ import annotations

import copy
import inspect
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from initcore import _checks, _keras, activations, sampling
from initcore._quadrature import gaussian_mean
from initcore.sampling import TRUNCATED_STD, Array, Rng, Shape

MODES = ("fan_in", "fan_out", "fan_avg", "fan_geo_avg")
DISTRIBUTIONS = ("truncated_normal", "untruncated_normal", "uniform")
Axes = Sequence[int] | None


def _option(name: str, value: Any, allowed: Sequence[str]) -> str:
    """Return `value` if it is allowed; the error begins as Keras' does."""
    try:
        return _checks.choice(name, value, allowed)
    except (TypeError, ValueError) as error:
        raise type(error)(f"Invalid `{name}` argument: {error}") from None


class Initializer:
    """Base class: what is drawn when it is called with a shape.

    A subclass keeps each argument of its constructor as an attribute of the same name, and
    defines ``_draw(shape, rng, dtype)``, which gets a checked shape, a Generator and a dtype.

    Attributes
    ----------
    seed : int, numpy.random.Generator, object with ``.next()``, or None
        Where `__call__` draws from. None: fresh numbers at each call, whatever
        NumPy's global seed and ``keras.utils.set_random_seed`` were given. For the same ones
        again, give every layer an int of its own (the same array at each call, as in Keras, so two
        layers of one shape get equal weights), or all of them one Generator, whose stream goes on
        from call to call; so does that of a Keras SeedGenerator, or what else has ``.next()``.
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
            None: Keras' floatx if Keras is loaded, else float32. bfloat16 needs ml_dtypes. A
            float32 draw is made of other random numbers than that of float64, and much faster;
            the narrower two are the float64 draw, rounded.

        Raises
        ------
        ValueError, TypeError
            A shape that is not a sequence of positive integers, a dtype that is no floating one,
            or too small for the values, or so coarse that rounding would take their spread.
        """
        return self.draw(shape, sampling.generator(self.seed), dtype)

    def draw(self, shape: Sequence[int], rng: Any, dtype: Any = None) -> np.ndarray:
        """Return an array drawn with the Generator `rng` instead of this initializer's seed."""
        rng = _checks.generator("rng", rng)
        return self._draw(_checks.shape("shape", shape), rng, _keras.float_dtype(dtype))

    def _draw(self, shape: Shape, rng: Rng, dtype: np.dtype) -> Array:
        raise NotImplementedError("Initializer subclasses must implement the `_draw()` method.")

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments in a form that JSON can hold."""
        register_keras()
        return {name: sampling.plain(getattr(self, name)) for name in _parameters(type(self))}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Initializer:
        """Return an initializer from what `get_config` returned."""
        return cls(**config)

    def clone(self) -> Initializer:
        """Return an initializer of the same configuration (and, if seeded, the same draws)."""
        return self.from_config(self.get_config())

    def __eq__(self, other: object) -> bool:
        is_same = type(self) is type(other)
        return self.get_config() == other.get_config() if is_same else NotImplemented

    def __hash__(self) -> int:
        return hash(type(self))  # a generator among the arguments changes with each draw

    def __repr__(self) -> str:
        shown = []
        for name, parameter in _parameters(type(self)).items():
            value = getattr(self, name)
            # The repr of a generator would show its address.
            text = type(value).__name__ if sampling.is_stream(value) else _checks.show(value)
            if text != _checks.show(parameter.default):
                shown.append(f"{name}={text}")
        return f"{type(self).__name__}({', '.join(shown)})"


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
        check = _checks.array if is_array else _checks.number
        self.value = copy.copy(check("value", value))

    def _draw(self, shape: Shape, rng: Rng, dtype: np.dtype) -> Array:
        try:
            values = np.broadcast_to(self.value, shape)
        except ValueError:
            _checks.fail("shape", f"one that a value of shape {np.shape(self.value)} fits", shape)
        return sampling.to_dtype(values, dtype)


class FromArray(Constant):
    """Exactly the given array: what `get` makes of an array. The shape must be the array's."""

    def __init__(self, value: Any) -> None:
        super().__init__(np.asarray(value))
        self.value = np.array(self.value)

    def _draw(self, shape: Shape, rng: Rng, dtype: np.dtype) -> Array:
        if shape != self.value.shape:
            raise ValueError(
                f"Expected `shape` to be {self.value.shape} for an array as initializer. "
                f"Received: shape={shape}"
                + (". PyTorch stores (out, in): transpose it" * (shape == self.value.shape[::-1]))
            )
        return super()._draw(shape, rng, dtype)


class Zeros(Initializer):
    """Every weight is 0: right for biases, fatal for most weights (chapter 2)."""

    def _draw(self, shape: Shape, rng: Rng, dtype: np.dtype) -> Array:
        return np.zeros(shape, dtype)


class Ones(Initializer):
    """Every weight is 1."""

    def _draw(self, shape: Shape, rng: Rng, dtype: np.dtype) -> Array:
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

    def _draw(self, shape: Shape, rng: Rng, dtype: np.dtype) -> Array:
        if len(shape) != 2:
            raise ValueError(
                "Identity matrix initializer can only be used for 2D matrices. "
                f"Received: shape={shape} of rank {len(shape)}."
            )
        return sampling.to_dtype(self.gain * np.eye(*shape), dtype)


class RandomNormal(Initializer):
    """Normal distribution, ``N(mean, stddev²)``.

    >>> RandomNormal(stddev=0.01, seed=0)((2,), "float64").round(4)
    array([ 0.0013, -0.0013])
    """

    def __init__(self, mean: float = 0.0, stddev: float = 0.05, seed: Any = None) -> None:
        super().__init__()
        self.mean = _checks.number("mean", mean)
        self.stddev = _checks.number("stddev", stddev, at_least=0)
        self.seed = sampling.seed_of(seed)

    def _draw(self, shape: Shape, rng: Rng, dtype: np.dtype) -> Array:
        return sampling.normal(shape, rng, self.mean, self.stddev, dtype)


class TruncatedNormal(RandomNormal):
    """Normal distribution whose values beyond ``mean ± 2 stddev`` are drawn again.

    `stddev` is that before the cut: the weights' own is `TRUNCATED_STD` times it, 12% less.
    `VarianceScaling` corrects for that, this class (as Keras') does not.

    >>> weights = TruncatedNormal(seed=0)((100_000,), "float64")
    >>> bool(abs(weights).max() <= 0.1), round(float(weights.std() / 0.05), 2)
    (True, 0.88)
    """

    def _draw(self, shape: Shape, rng: Rng, dtype: np.dtype) -> Array:
        return sampling.truncated_normal(shape, rng, self.mean, self.stddev, dtype)


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
        self.seed = sampling.seed_of(seed)

    def _draw(self, shape: Shape, rng: Rng, dtype: np.dtype) -> Array:
        return sampling.uniform(shape, rng, self.minval, self.maxval, dtype)


class Orthogonal(Initializer):
    r"""A matrix with orthonormal columns (or rows), times `gain`; uniform over all such.

    :math:`W = \mathrm{gain}\, Q \operatorname{sign}(\operatorname{diag} R)`, where :math:`QR`
    is the decomposition of a Gaussian matrix. Without the sign, Q depends on how the
    decomposition was computed, and is not uniform (Haar) distributed: Stewart 1980;
    Mezzadri 2007. In float32, such a matrix is a product of random reflections (Stewart
    1980 again). A weight of more axes is a matrix of shape
    ``(product of all axes but the last, last axis)``, as in Keras; a call with fewer than two is a
    ``ValueError``. Deep linear networks that start orthogonal: Saxe, McClelland and Ganguli 2014.

    Examples
    --------
    >>> W = Orthogonal(seed=0)((3, 2), "float64")
    >>> bool(np.allclose(W.T @ W, np.eye(2)))
    True
    """

    def __init__(self, gain: float = 1.0, seed: Any = None) -> None:
        super().__init__()
        self.gain = _checks.number("gain", gain)
        self.seed = sampling.seed_of(seed)

    def _draw(self, shape: Shape, rng: Rng, dtype: np.dtype) -> Array:
        if len(shape) < 2:
            raise ValueError(
                "The tensor to initialize must be at least two-dimensional. "
                f"Received: shape={shape} of rank {len(shape)}."
            )
        return sampling.orthogonal(shape, rng, self.gain, dtype)


class VarianceScaling(Initializer):
    r"""Zero mean and variance ``scale / n``, where n counts the weight's inputs or outputs.

    "truncated_normal" draws :math:`N(0, s^2)` cut at :math:`\pm 2s` with
    :math:`s = \sqrt{\mathrm{scale}/n}\, /` `TRUNCATED_STD`, so that the variance *after* the cut
    is the one named (the cut lies at 2.27 of the actual standard deviations);
    "untruncated_normal" draws :math:`N(0, \mathrm{scale}/n)`; "uniform" draws
    :math:`U(-a, a)` with :math:`a = \sqrt{3\, \mathrm{scale}/n}`, as :math:`U(-a, a)` has the
    variance :math:`a^2/3`.

    Both fans of a vector are its length, as in Keras: biases drawn so shrink with their own layer's
    width. PyTorch's are ``RandomUniform(-a, a)`` with ``a = fan_in**-0.5`` of the weight.

    Parameters
    ----------
    scale : float
        Above 0.
    mode : {"fan_in", "fan_out", "fan_avg", "fan_geo_avg"}
        What n is: "fan_in" keeps the forward variance, "fan_out" the backward one; the others are
        the arithmetic and the geometric mean of both.
    distribution : {"truncated_normal", "untruncated_normal", "uniform"}
        "normal" means truncated, as in Keras (in JAX it means untruncated).
    seed
        See `Initializer`.
    input_axes, output_axes : sequence of int, optional
        See `compute_fans`, where PyTorch's layout stands too. In a Keras layer leave them out: the
        layer sets them, which are others in the output kernel of MultiHeadAttention.

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
        input_axes: Axes = None,
        output_axes: Axes = None,
    ) -> None:
        super().__init__()
        self.scale = _checks.number("scale", scale, above=0, allowed="positive float")
        self.mode = _option("mode", mode, MODES)
        name = distribution.lower() if isinstance(distribution, str) else distribution
        name = "truncated_normal" if name == "normal" else name
        self.distribution = _option("distribution", name, DISTRIBUTIONS)
        self.seed = sampling.seed_of(seed)
        self.input_axes = _axes("input_axes", input_axes)
        self.output_axes = _axes("output_axes", output_axes)

    def variance(self, shape: Sequence[int]) -> float:
        """Return the variance that weights of this shape are drawn with: ``scale / n``."""
        fan_in, fan_out = compute_fans(shape, self.input_axes, self.output_axes)
        count = {
            "fan_in": fan_in,
            "fan_out": fan_out,
            "fan_avg": (fan_in + fan_out) / 2,
            "fan_geo_avg": math.sqrt(fan_in * fan_out),
        }
        return self.scale / count[self.mode]

    def _draw(self, shape: Shape, rng: Rng, dtype: np.dtype) -> Array:
        stddev = math.sqrt(self.variance(shape))
        if self.distribution == "uniform":
            limit = math.sqrt(3) * stddev
            return sampling.uniform(shape, rng, -limit, limit, dtype)
        if self.distribution == "untruncated_normal":
            return sampling.normal(shape, rng, 0.0, stddev, dtype)
        return sampling.truncated_normal(shape, rng, 0.0, stddev / TRUNCATED_STD, dtype)


class _NamedScaling(VarianceScaling):
    """A `VarianceScaling` whose scale, mode and distribution its name stands for."""

    def __init__(self, seed: Any = None, input_axes: Axes = None, output_axes: Axes = None) -> None:
        preset = (self.scale, self.mode, self.distribution)
        super().__init__(*preset, seed, input_axes, output_axes)


class GlorotUniform(_NamedScaling):
    """``U(-a, a)``, ``a = √(6 / (fan_in + fan_out))``: Glorot and Bengio 2010, eq. 16."""

    scale, mode, distribution = 1.0, "fan_avg", "uniform"


class GlorotNormal(_NamedScaling):
    """Truncated normal of variance ``2 / (fan_in + fan_out)``: Glorot and Bengio 2010, eq. 12.

    >>> GlorotNormal().variance((100, 400))
    0.004
    """

    scale, mode, distribution = 1.0, "fan_avg", "truncated_normal"


class HeUniform(_NamedScaling):
    """``U(-a, a)``, ``a = √(6 / fan_in)``, the bound that has the variance of `HeNormal`."""

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
    """``U(-a, a)``, ``a = √(3 / fan_in)``, the bound that has the variance of `LecunNormal`."""

    scale, mode, distribution = 1.0, "fan_in", "uniform"


class LecunNormal(_NamedScaling):
    """Truncated normal of variance ``1 / fan_in``: LeCun et al. 1998, section 4.6.

    Also what SELU networks start from: Klambauer et al. 2017.

    >>> LecunNormal().variance((100, 400))
    0.01
    """

    scale, mode, distribution = 1.0, "fan_in", "truncated_normal"


# ---- fans and gains ----------------------------------------------------------------------


def _axes(name: str, axes: Any) -> tuple[int, ...] | None:
    if axes is None:
        return None
    if isinstance(axes, str) or not isinstance(axes, Sequence) or not axes:
        _checks.fail(name, "a sequence of at least one integer, or None", axes, TypeError)
    return tuple(_checks.integer(f"{name}[{i}]", axis) for i, axis in enumerate(axes))


def compute_fans(
    shape: Sequence[int], input_axes: Axes = None, output_axes: Axes = None
) -> tuple[int, int]:
    """Return ``(fan_in, fan_out)``: how many weights meet at an output, and at an input.

    Parameters
    ----------
    shape : sequence of int
        ``(fan_in, fan_out)``; ``(*receptive field, channels in, channels out)`` of a
        convolution, whose fans both count the receptive field; ``(n,)``, with both fans n; or
        ``()``, with both fans 1. The axes below do not apply to the last two.
    input_axes, output_axes : sequence of int, optional
        The axes whose sizes are multiplied into fan_in and into fan_out; a receptive field
        stands in both (JAX's in_axis and out_axis leave it out). None: all axes but the last,
        and all but the last but one. PyTorch stores ``(out, in, ...)``, which no shape gives away:
        ``input_axes=[1], output_axes=[0]``, and ``input_axes=[1, 2, 3], output_axes=[0, 2, 3]`` of
        a convolution.

    An axis out of range or named twice is a ``ValueError``.

    Examples
    --------
    >>> compute_fans((256, 128)), compute_fans((3, 3, 16, 32)), compute_fans((10,))
    ((256, 128), (144, 288), (10, 10))
    >>> compute_fans((512, 8, 64), input_axes=[0], output_axes=[1, 2])
    (512, 512)
    """
    shape = _checks.shape("shape", shape)
    size, rank = math.prod(shape), len(shape)
    if rank < 2:
        return size, size

    def fan(name: str, axes: Axes, other: int) -> int:
        axes = _axes(name, axes)
        if axes is None:
            return size // shape[other]
        last = {"at_least": -rank, "at_most": rank - 1}
        places = {_checks.integer(name, axis, **last) % rank for axis in axes}
        if len(places) < len(axes):
            _checks.fail(name, "axes that are each named once", axes)
        return math.prod(shape[place] for place in places)

    return fan("input_axes", input_axes, -1), fan("output_axes", output_axes, -2)


GAINS = {
    "linear": 1.0,
    "relu": math.sqrt(2),
    "leaky_relu": math.sqrt(2),
    "tanh": 5 / 3,
    "selu": 3 / 4,
    "sigmoid": 1.0,
}


def calculate_gain(activation: str, param: float | None = None) -> float:
    """Return the factor on the weights' standard deviation ``1/√fan_in`` that PyTorch recommends.

    For linear, relu (√2: He et al. 2015) and leaky_relu (√(2 / (1 + slope²))) it is
    ``1/√E[φ(z)²]``, which keeps the mean square of ``z ~ N(0, 1)`` from layer to layer. For the
    others it is a convention: 5/3 for tanh, where the formula gives 1.593, 3/4 for selu, which
    shrinks with depth, where formula and paper give 1, and 1 for sigmoid instead of 1.846.

    Parameters
    ----------
    activation : str
        One of these names.
    param : float, optional
        The slope of leaky_relu, 0.01 if None; the others have no parameter.

    Raises
    ------
    ValueError, TypeError
        A `param` that does not apply, or another activation; of those that `initcore.activations`
        knows, the message says what `initcore.theory.forward_gain` computes.

    Examples
    --------
    >>> calculate_gain("relu") ** 2, calculate_gain("leaky_relu", 1.0)
    (2.0000000000000004, 1.0)
    """
    _checks.instance("activation", activation, str, "a name")
    act = activations.get(activation)
    if act.name not in GAINS:
        gain = gaussian_mean(lambda z: act(z) ** 2, 1.0, act.kinks) ** -0.5
        raise ValueError(
            f"Argument `activation` must be one of {', '.join(GAINS)}, for which PyTorch names a "
            f"gain. Received: activation={act.name!r}, whose theory.forward_gain is {gain:.4g}"
        )
    gain = GAINS[act.name]
    if act.name == "leaky_relu":
        return gain / math.hypot(1, _checks.number("param", 0.01 if param is None else param))
    if param is not None:
        _checks.fail("param", f"None for {act.name!r}", param)
    return gain


# ---- by name -----------------------------------------------------------------------------

_CLASSES = (
    Initializer, Constant, FromArray, Zeros, Ones, Identity, RandomNormal, TruncatedNormal,
    RandomUniform, Orthogonal, VarianceScaling, GlorotUniform, GlorotNormal, HeUniform, HeNormal,
    LecunUniform, LecunNormal,
)  # fmt: skip


# Keras' other spelling of every class: he_normal is HeNormal.
_SNAKE_CASE = {re.sub(r"(?<!^)(?=[A-Z])", "_", cls.__name__).lower(): cls for cls in _CLASSES}
_ALIASES = {
    "normal": RandomNormal,
    "one": Ones,
    "uniform": RandomUniform,
    "zero": Zeros,
    "kaiming_normal": HeNormal,
    "kaiming_uniform": HeUniform,
    "xavier_normal": GlorotNormal,
    "xavier_uniform": GlorotUniform,
    "IdentityInitializer": Identity,
    "OrthogonalInitializer": Orthogonal,
}
_KNOWN = {cls.__name__: cls for cls in _CLASSES} | _SNAKE_CASE | _ALIASES


def __getattr__(name: str) -> type[Initializer]:
    """Return a class by Keras' other spelling: ``initializers.he_normal`` is `HeNormal`."""
    if name in _KNOWN:
        return _KNOWN[name]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def register_keras() -> None:
    """Register the classes with Keras, if Keras has been imported; else do nothing."""
    _keras.register(_CLASSES, VarianceScaling)


def _by_name(name: Any) -> type[Initializer]:
    if isinstance(name, str) and name in _KNOWN:
        return _KNOWN[name]
    known = _SNAKE_CASE | _ALIASES
    raise ValueError(
        f"Could not interpret initializer identifier: {_checks.show(name)}. Known names are "
        f"{', '.join(known)} and their class names.{_checks.nearest(name, known)}"
    )


def get(identifier: Any) -> Any:
    """Return the initializer that a name, dict, class, instance, callable or array stands for.

    It takes a name in either spelling ("he_normal", "HeNormal"), what `serialize` returned, a class
    (called without arguments), anything with the signature ``(shape, dtype)`` (returned as it is),
    an array (`FromArray`), or None (returned as it is, as in Keras). "kaiming_normal" is
    `HeNormal`, "xavier_uniform" `GlorotUniform`: PyTorch's variances, by its defaults, but it does
    not cut its normals. What its layers start from, ``kaiming_uniform_`` with ``a=√5``, is
    ``VarianceScaling(1 / 3, "fan_in", "uniform")``. Of an unknown name, the error proposes the
    nearest.

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
    _checks.instance("initializer", initializer, Initializer, "an initcore Initializer")
    cls = type(initializer)
    return {
        "module": cls.__module__,
        "class_name": cls.__name__,
        "config": initializer.get_config(),
        "registered_name": f"initcore>{cls.__name__}" if cls in _CLASSES else cls.__name__,
    }


def deserialize(config: Mapping[str, Any]) -> Initializer:
    """Return the initializer of a dict that `serialize`, or Keras for its own, has written.

    A class of another package is a ``ValueError``: it would turn into the one of that name here.
    Its own `from_config` takes the dict's ``"config"``.

    Examples
    --------
    >>> init = VarianceScaling(0.5, "fan_out", seed=3)
    >>> deserialize(serialize(init)) == init
    True
    """
    if not isinstance(config, Mapping) or "class_name" not in config:
        error = ValueError if isinstance(config, Mapping) else TypeError
        _checks.fail("config", "a dict with 'class_name' and 'config'", config, error)
    module = str(config.get("module") or __name__)
    if module.partition(".")[0] not in ("initcore", "keras"):
        _checks.fail("config", "that of a class of initcore or Keras", config)
    return _by_name(config["class_name"]).from_config(config.get("config") or {})


register_keras()
