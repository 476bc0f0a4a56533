"""Every activation against JAX and SciPy, over all floats, and through bad arguments."""

import math
import warnings

import jax
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special

from initcore import activations

ALL = [activations.get(name) for name in activations.names()]
VARIANTS = [activations.make_leaky_relu(slope) for slope in (0.0, 0.2, 1.0, -1.0)]
each = pytest.mark.parametrize("act", ALL, ids=lambda act: act.name)
each_and_variants = pytest.mark.parametrize("act", ALL + VARIANTS, ids=lambda act: act.name)

JAX = {
    "linear": lambda z: z,
    "tanh": jax.numpy.tanh,
    "sigmoid": jax.nn.sigmoid,
    "centred_sigmoid": lambda z: jax.nn.sigmoid(z) - 0.5,
    "relu": jax.nn.relu,
    "leaky_relu": jax.nn.leaky_relu,
    "leaky_relu(0.2)": lambda z: jax.nn.leaky_relu(z, 0.2),
    "leaky_relu(0)": jax.nn.relu,
    "leaky_relu(1)": lambda z: z,
    "leaky_relu(-1)": lambda z: jax.numpy.where(z > 0, z, -z),
    "elu": jax.nn.elu,
    "selu": jax.nn.selu,
    "gelu": lambda z: jax.nn.gelu(z, approximate=False),
    "silu": jax.nn.silu,
    "softsign": jax.nn.soft_sign,
    "softplus": jax.nn.softplus,
    "mish": jax.nn.mish,
    "quick_gelu": lambda z: z * jax.nn.sigmoid(1.702 * z),  # what OpenAI's CLIP wrote
    "relu_squared": lambda z: jax.numpy.square(jax.nn.relu(z)),  # Primer's
    "relu6": jax.nn.relu6,
    "hard_tanh": jax.nn.hard_tanh,
    "hard_sigmoid": jax.nn.hard_sigmoid,
    "hard_silu": jax.nn.hard_silu,
}


def sweep():
    """Return points over [-1000, 1000], dense where the functions bend, and 0 itself."""
    sizes = np.concatenate([np.linspace(0.0, 50.0, 4001), np.geomspace(1e-12, 1000.0, 1000)])
    return np.concatenate([-sizes[::-1], sizes])


@each_and_variants
def test_value_and_derivative_agree_with_jax(act):
    z = sweep()
    with jax.enable_x64(True):
        value = np.asarray(JAX[act.name](z))
        derivative = np.asarray(jax.vmap(jax.grad(JAX[act.name]))(z))
    assert value.dtype == np.float64
    np.testing.assert_allclose(act(z), value, rtol=1e-13, atol=1e-15)
    away = ~np.isin(z, act.kinks)  # at a kink JAX chooses a side, or the mean of both
    np.testing.assert_allclose(act.derivative(z)[away], derivative[away], rtol=1e-12, atol=1e-14)


def test_the_tails_keep_their_relative_accuracy():
    z = np.linspace(-300.0, 300.0, 2001)
    near = z[np.abs(z) < 37.0]
    exact = {
        activations.mish: z * np.tanh(np.log1p(np.exp(np.minimum(z, 700.0)))),
        activations.quick_gelu: z * special.expit(1.702 * z),
        activations.tanh.derivative: 1.0 / np.cosh(z) ** 2,
        activations.sigmoid: special.expit(z),
        activations.sigmoid.derivative: special.expit(z) * special.expit(-z),
        activations.silu: z * special.expit(z),
        activations.softplus: np.logaddexp(0.0, z),
        activations.elu.derivative: np.exp(np.minimum(z, 0.0)),
    }
    for function, wanted in exact.items():
        np.testing.assert_allclose(function(z), wanted, rtol=1e-13, atol=0.0)
    np.testing.assert_allclose(
        activations.gelu(near), near * special.ndtr(near), rtol=5e-13, atol=0.0
    )
    tiny = np.array([1e-300, -1e-300, 1e-20, -1e-20])
    np.testing.assert_allclose(activations.centred_sigmoid(tiny), tiny / 4, rtol=1e-15, atol=0.0)
    np.testing.assert_allclose(activations.selu(tiny[[0, 2]]), 1.0507009873554805 * tiny[[0, 2]])


def strict(act, z):
    """Return value and derivative, with every warning an error and every error but underflow."""
    with warnings.catch_warnings(), np.errstate(all="raise", under="ignore"):
        warnings.simplefilter("error")
        return act(z), act.derivative(z)


@each_and_variants
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_no_finite_input_overflows_and_the_dtype_stays(act, dtype):
    limits = np.finfo(dtype)
    sizes = [0.0, limits.smallest_subnormal, limits.tiny, limits.eps, 1.0, 11.0, 40.0, 90.0]
    sizes += [709.0, 1000.0, math.sqrt(limits.max), float(limits.max) / 2, limits.max]
    z = np.array([sign * float(size) for size in sizes for sign in (1, -1)]).astype(dtype)
    for result in strict(act, z):
        assert result.dtype == dtype and result.shape == z.shape
        assert np.isfinite(result).all()
    for one in z:
        assert all(result.dtype == dtype and result.shape == () for result in strict(act, one))


@pytest.mark.parametrize("width, dtype", [(16, np.float16), (32, np.float32), (64, np.float64)])
@each
def test_any_finite_float_gives_a_finite_value_that_is_right(act, width, dtype):
    slack = 30 * float(np.finfo(dtype).eps)

    @given(st.floats(allow_nan=False, allow_infinity=False, width=width))
    def check(z):
        value, derivative = strict(act, np.asarray(z, dtype=dtype))
        exact, exact_slope = act(np.float64(z)), act.derivative(np.float64(z))
        largest = float(np.finfo(dtype).max)
        exact, exact_slope = np.clip([exact, exact_slope], -largest, largest)
        size = max(abs(exact), np.finfo(dtype).tiny)
        capped = 1.1e-3 if size > largest / 2 else 0.0  # SELU stops 0.1% below the largest
        assert abs(value - exact) <= (slack + capped) * size
        assert (
            abs(derivative - exact_slope) <= slack * max(abs(exact_slope), 1.0) + capped * largest
        )

    check()


@each_and_variants
def test_the_value_at_zero_is_as_declared_and_odd_functions_are_odd_to_the_last_bit(act):
    assert act(0.0) == act.at_zero
    if act.name in ("linear", "tanh", "centred_sigmoid", "softsign", "leaky_relu(1)"):
        np.testing.assert_array_equal(act(-sweep()), -act(sweep()))


@each_and_variants
def test_kinks_are_where_a_derivative_jumps(act):
    """One-sided first and second derivatives at every quarter from -8 to 8, to about 1e-2."""
    h, found = 1e-3, []
    for place in np.arange(-8.0, 8.25, 0.25):
        middle, jumps = act(place), []
        for side in (h, -h):
            near, far = act(place + side), act(place + 2 * side)
            first = (4 * near - far - 3 * middle) / (2 * side)
            jumps.append((first, (far - 2 * near + middle) / h**2))
        if np.abs(np.subtract(*jumps)).max() > 0.02:
            found.append(place)
    assert act.kinks == tuple(found)


def test_derivatives_at_a_jump_are_those_of_the_left():
    assert activations.relu.derivative(0.0) == 0.0
    assert activations.leaky_relu.derivative(0.0) == 0.01
    assert activations.elu.derivative(0.0) == 1.0
    np.testing.assert_allclose(activations.selu.derivative(0.0), 1.7580993408473766)
    for name in ("relu6", "hard_tanh", "hard_sigmoid", "hard_silu"):
        act = activations.get(name)
        left = [(act(kink) - act(kink - 1e-6)) / 1e-6 for kink in act.kinks]
        np.testing.assert_allclose(act.derivative(act.kinks), left, atol=1e-5)


def test_shapes_and_integers():
    z = np.arange(-3, 3).reshape(1, 2, 3)
    for act in ALL:
        assert act(z).shape == act.derivative(z).shape == z.shape
        assert act(z).dtype == act.derivative(z).dtype == np.float64
        x = z.astype(float)
        np.testing.assert_array_equal(act(z), act(x))
        assert not np.shares_memory(act(x), x)
        assert isinstance(act(1.5), np.float64) and isinstance(act(2), np.float64)


# --- Looking up.


def test_get_knows_names_in_either_style():
    assert activations.get("leaky_relu") is activations.get("LeakyReLU") is activations.leaky_relu
    assert activations.get("swish") is activations.get("SiLU") is activations.silu
    assert activations.get("identity") is activations.linear
    assert activations.get("Hardswish") is activations.get("hard_swish") is activations.hard_silu
    assert activations.get(activations.gelu) is activations.gelu
    assert all(getattr(activations, act.name) is act for act in ALL)


@pytest.mark.parametrize("name", ["celu", "PReLU", "log_sigmoid", "glu", "softmax"])
def test_a_name_of_other_libraries_is_not_taken_for_a_misprint(name):
    with pytest.raises(ValueError, match=rf"Received: activation='{name}'\.$"):
        activations.get(name)
    with pytest.raises(ValueError, match=r"activation='tahn'\. Did you mean 'tanh'\?$"):
        activations.get("tahn")


# --- Made of a callable, and with a parameter.


@each
def test_a_callable_gets_an_accurate_derivative(act):
    made = activations.from_callable(act.function, kinks=act.kinks)
    z = sweep()
    z = z[np.abs(z) < 300.0]
    z = z[np.all([np.abs(z - kink) > 1e-6 for kink in act.kinks], axis=0) if act.kinks else ...]
    scale = 1e-11 + 1e-12 * np.abs(act(z))
    near = 1e-15 / np.maximum(np.abs(z), 1e-6) if act.kinks else 0.0  # shorter steps, more rounding
    assert (np.abs(made.derivative(z) - act.derivative(z)) <= scale + near).all()
    np.testing.assert_array_equal(made(z), act(z))
    assert made.kinks == act.kinks and made.at_zero == act.at_zero


def test_a_callable_keeps_what_it_is_given():
    made = activations.from_callable(np.sin, np.cos, kinks=[2, -1.0], name="wave")
    assert (made.name, made.kinks, made.at_zero) == ("wave", (-1.0, 2.0), 0.0)
    assert made.derivative(0.0) == 1.0
    assert activations.get(np.cos).at_zero == 1.0 and activations.get(np.cos).name == "cos"
    made = activations.from_callable(np.sin)
    z = np.linspace(-2, 2, 9, dtype=np.float32)
    assert made(z).dtype == made.derivative(z).dtype == np.float32


@pytest.mark.parametrize(
    "function, error",
    [
        (3, TypeError),
        (math.tanh, TypeError),
        (lambda z: "text", TypeError),
        (np.sum, ValueError),
        (lambda z: z[0], ValueError),
        (lambda z: z * np.nan, ValueError),
        (lambda z: z * 1e300 * 1e300, ValueError),
    ],
)
@pytest.mark.filterwarnings("ignore:overflow")
def test_a_callable_must_be_elementwise_and_finite(function, error):
    with pytest.raises(error, match="Argument `function` must be an elementwise function"):
        activations.from_callable(function)
    with pytest.raises(error, match="Argument `derivative` must be an elementwise function"):
        activations.from_callable(np.sin, function)


def test_a_callable_that_changes_the_shape_later_is_found_out():
    made = activations.from_callable(lambda z: z if z.ndim == 2 else z[:1])
    with pytest.raises(ValueError, match="elementwise"):
        made(np.zeros(3))


@pytest.mark.parametrize(
    ("call", "argument", "values"),
    [
        (activations.tanh, "z", ["tanh", None, [True], [1j], [[1.0], [1.0, 2.0]], []]),
        (activations.tanh.derivative, "z", ["tanh", []]),
        (activations.get, "activation", ["tahn", "", None, 3, True, ["tanh"], dict]),
        (lambda kinks: activations.from_callable(np.sin, kinks=kinks), "kinks",
         [[math.nan], [math.inf], ["0"], [True]]),
        (activations.make_leaky_relu, "slope", [-1.1, 1.1, math.nan, True, "0", None]),
    ],
)  # fmt: skip
def test_bad_arguments_are_refused(call, argument, values):
    for value in values:
        with pytest.raises((ValueError, TypeError), match=f"Argument `{argument}` must be"):
            call(value)


def test_the_slope_shows_in_the_name():
    assert activations.make_leaky_relu(0.25).name == "leaky_relu(0.25)"
    assert activations.make_leaky_relu().name == "leaky_relu"
