"""The initializers without Keras: arguments, protocol, shapes, seeds, names, fans and gains.

Names and defaults are compared with Keras' in test_initializers_keras.py, distributions with
SciPy's in test_initializers_statistics.py.
"""

import functools
import inspect
import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from initcore import initializers
from initcore.initializers import (
    Constant,
    FromArray,
    GlorotNormal,
    GlorotUniform,
    HeNormal,
    HeUniform,
    Identity,
    Initializer,
    LecunNormal,
    LecunUniform,
    Ones,
    Orthogonal,
    RandomNormal,
    RandomUniform,
    TruncatedNormal,
    VarianceScaling,
    Zeros,
    calculate_gain,
    compute_fans,
    deserialize,
    get,
    serialize,
)

NAMED = (GlorotNormal, GlorotUniform, HeNormal, HeUniform, LecunNormal, LecunUniform)
RANDOM = (*NAMED, Orthogonal, RandomNormal, RandomUniform, TruncatedNormal, VarianceScaling)
EVERY = (*RANDOM, Zeros, Ones, Constant, Identity)
DTYPES = ("float16", "float32", "float64")

shapes = st.lists(st.integers(1, 6), max_size=4).map(tuple)
matrices = st.lists(st.integers(1, 6), min_size=2, max_size=4).map(tuple)
seeds = st.integers(0, 2**70)
sizes = st.floats(0.01, 100.0)
axes = st.none() | st.just([0]) | st.just((-1, 0))

junk = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=12),
    st.binary(max_size=4),
    st.complex_numbers(),
    st.lists(st.integers(-2, 3), max_size=3),
    st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
    st.just(object()),
    st.just(np.array([1.0, np.nan])),
    st.just(np.float32),
    st.just(lambda shape, dtype=None: np.zeros(shape)),
)


def any_initializer(seed):
    """Return a strategy of initializers of all classes and all their arguments."""
    real = st.integers(-40, 40).map(lambda n: n / 4)
    wide = st.floats(0.2, 100.0)  # beside 0.0078, which float16's numbers near 10 are apart
    named = st.sampled_from(NAMED)
    modes = st.sampled_from(initializers.MODES)
    kinds = st.sampled_from(initializers.DISTRIBUTIONS)
    return st.one_of(
        st.just(Zeros()),
        st.just(Ones()),
        st.builds(Constant, real | st.lists(real, min_size=1, max_size=1)),
        st.builds(Identity, real),
        st.builds(RandomNormal, real, wide, seed),
        st.builds(TruncatedNormal, real, wide, seed),
        st.builds(lambda low, width, s: RandomUniform(low, low + width, s), real, wide, seed),
        st.builds(Orthogonal, real, seed),
        st.builds(VarianceScaling, sizes, modes, kinds, seed, axes, axes),
        st.builds(lambda cls, *rest: cls(*rest), named, seed, axes, axes),
    )


# ---- names -------------------------------------------------------------------------------


def test_get_of_everything_it_takes():
    init = HeNormal(seed=1)
    assert get(init) is init
    assert get(None) is None
    assert get("he_normal") == get("HeNormal") == get(HeNormal) == HeNormal()
    assert get("kaiming_normal") == HeNormal() and get("kaiming_uniform") == HeUniform()
    assert get("xavier_normal") == GlorotNormal() and get("xavier_uniform") == GlorotUniform()
    assert initializers.kaiming_normal is HeNormal
    assert get({"class_name": "he_normal", "config": {"seed": 1}}) == init
    assert get({"class_name": "HeNormal"}) == HeNormal()
    assert get({"class_name": "HeNormal", "config": None}) == HeNormal()

    def own(shape, dtype=None):
        return np.full(shape, 3.0, dtype)

    assert get(own) is own
    assert get(np.float32(2.0))((), "float64") == 2.0


@pytest.mark.parametrize(
    ("make", "begins", "meant"),
    [
        (lambda: get("glorot_unifrom"), "Could not interpret", "glorot_uniform"),
        (lambda: get("HeNorml"), "Could not interpret", "he_normal"),
        (lambda: get("kaimng_normal"), "Could not interpret", "kaiming_normal"),
        (lambda: VarianceScaling(mode="fan_uot"), "Invalid `mode` argument:", "fan_out"),
        (
            lambda: VarianceScaling(distribution="unifrom"),
            "Invalid `distribution` argument:",
            "uniform",
        ),
        (lambda: calculate_gain("reul"), "Argument `activation`", "relu"),
    ],
)
def test_a_mistyped_name_is_told_the_nearest(make, begins, meant):
    with pytest.raises(ValueError, match=rf"^{begins} .*Did you mean '{meant}'\?"):
        make()


# ---- the call ----------------------------------------------------------------------------


@given(any_initializer(seeds), matrices, st.sampled_from(DTYPES))
@settings(max_examples=300)
def test_a_call_gives_a_finite_array_and_an_int_seed_the_same_at_every_call(init, shape, dtype):
    shape = shape[:2] if isinstance(init, Identity) else shape
    values = init(shape, dtype)
    assert type(values) is np.ndarray
    assert values.shape == shape
    assert values.dtype == dtype
    assert np.isfinite(values).all()
    assert values.flags.writeable
    assert np.array_equal(init(shape, dtype), values)
    assert np.array_equal(init.clone()(shape, dtype), values)


@pytest.mark.parametrize("cls", RANDOM)
def test_seeds_of_each_kind(cls):
    shape = (7, 5)
    by_int = cls(seed=3)(shape)
    assert np.array_equal(by_int, cls(seed=np.int64(3))(shape))
    assert not np.array_equal(by_int, cls(seed=4)(shape))

    goes_on = cls(seed=np.random.default_rng(3))
    first, second = goes_on(shape), goes_on(shape)
    assert np.array_equal(first, by_int)
    assert not np.array_equal(first, second)

    fresh = cls()
    assert fresh.seed is None
    assert not np.array_equal(fresh(shape), fresh(shape))


@pytest.mark.parametrize("cls", RANDOM)
def test_draw_uses_the_generator_given_and_leaves_the_own_seed_alone(cls):
    shape = (7, 5)
    own = np.random.default_rng(0)
    before = own.bit_generator.state
    drawn = cls(seed=own).draw(shape, np.random.default_rng(9), "float64")
    assert own.bit_generator.state == before
    assert np.array_equal(drawn, cls(seed=9)(shape, "float64"))
    rng = np.random.default_rng(9)
    first, second = cls().draw(shape, rng), cls().draw(shape, rng)
    assert not np.array_equal(first, second)


@pytest.mark.parametrize("cls", RANDOM)
def test_a_draw_in_float16_is_the_float64_draw_rounded_and_in_float32_another(cls):
    wide = cls(seed=5)((40, 30), "float64")
    inside = np.abs(wide) < 0.999 * np.abs(wide).max()  # a rounding beyond a bound is undone
    narrow, fast = (cls(seed=5)((40, 30), dtype) for dtype in ("float16", "float32"))
    assert np.array_equal(narrow[inside], wide.astype("float16")[inside])
    assert np.mean(np.isclose(fast, wide, rtol=1e-3)) < 0.02


@pytest.mark.parametrize("cls", EVERY)
def test_the_dtype_is_float32_where_none_is_asked_for(cls):
    """Keras is not loaded in this process, or its floatx is float32."""
    assert cls()((3, 2)).dtype == "float32"
    assert cls()((3, 2), np.float16).dtype == "float16"
    assert cls()((3, 2), float).dtype == "float64"


def test_the_stream_is_that_of_numpy():
    """What is printed in the notebooks hangs on these numbers; NumPy keeps its streams stable."""
    expected = 0.05 * np.random.default_rng(0).standard_normal(4)
    assert np.array_equal(RandomNormal(seed=0)((2, 2), "float64").ravel(), expected)
    expected = np.random.default_rng(0).random(4)
    drawn = RandomUniform(0.0, 1.0, seed=0)((4,), "float64")
    assert np.array_equal(drawn, expected)


def test_a_subclass_needs_its_draw_only():
    class Checkerboard(Initializer):
        def __init__(self, gain=1.0):
            super().__init__()
            self.gain = gain

        def _draw(self, shape, rng, dtype):
            return (self.gain * (np.indices(shape).sum(axis=0) % 2)).astype(dtype)

    init = Checkerboard(2.0)
    assert init((2, 2)).tolist() == [[0.0, 2.0], [2.0, 0.0]]
    assert init.get_config() == {"gain": 2.0}
    assert init.clone() == init
    assert Checkerboard.from_config(serialize(init)["config"]) == init


# ---- arguments ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cls", "argument", "values"),
    [
        *((cls, "seed", [True, -1, 1.0, "1", [1], np.array([1]), int]) for cls in RANDOM),
        (RandomNormal, "stddev", [-1.0, math.nan]),
        (RandomNormal, "mean", [math.inf, "0"]),
        (TruncatedNormal, "stddev", [-1e-300, None]),
        (RandomUniform, "minval", [math.nan, 0.05, 1.0]),
        (RandomUniform, "maxval", [True, -0.05]),
        (functools.partial(RandomUniform, -1.7e308), "maxval", [1.7e308]),
        (Orthogonal, "gain", [math.inf, "1"]),
        (Identity, "gain", [math.nan]),
        (Constant, "value", [math.nan, "a", [1.0, math.inf], [[1.0], [1.0, 2.0]], True, []]),
        (FromArray, "value", [[[math.nan]]]),
        (VarianceScaling, "scale", ["2", True, 0.0, -1.0, math.nan, math.inf]),
        (VarianceScaling, "mode", [1, "fan"]),
        (VarianceScaling, "distribution", [None, "x"]),
        (VarianceScaling, "input_axes", [0, []]),
        (VarianceScaling, "output_axes", ["1", [0.5]]),
        (HeNormal, "input_axes", [[True]]),
        (HeNormal, "scale", [2.0]),
    ],
)
def test_a_bad_argument_is_refused(cls, argument, values):
    for value in values:
        with pytest.raises((TypeError, ValueError), match=argument):
            cls(**{argument: value})


@given(st.sampled_from([*RANDOM, Identity, Constant]), st.lists(junk, max_size=6))
@settings(max_examples=300)
def test_any_arguments_give_an_initializer_or_one_of_two_errors(cls, arguments):
    count = len(inspect.signature(cls).parameters)
    try:
        init = cls(*arguments[:count])
    except (TypeError, ValueError) as error:
        assert str(error)
    else:
        assert init.clone() == init


@pytest.mark.parametrize("cls", EVERY)
def test_a_bad_call_is_refused(cls):
    for shape in (3, None, "33", (3, 0), (2.0, 3), np.array(3)):
        with pytest.raises((TypeError, ValueError), match="`shape(\\[\\d\\])?` must be"):
            cls()(shape)
    for dtype in ("int32", bool, "floatt32"):
        with pytest.raises(TypeError, match="`dtype` must be one of 'float16', 'float32', 'float"):
            cls()((3, 2), dtype)
    with pytest.raises(TypeError, match="`rng` must be"):
        cls().draw((3, 2), "0")


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: Constant(1e5)((2,), "float16"), "`dtype` must be able to hold the values"),
        (lambda: RandomNormal(stddev=1e300)((50,)), "`dtype` must be able to hold the values"),
        (lambda: RandomNormal(1.7e308, 1.7e308)((50,), "float64"), "`dtype` must be able to hold"),
        # all would be rounded to zero
        (lambda: Identity(1e-9)((10, 10), "float16"), "`dtype` must be able to hold the values"),
        # they would be rounded to a few numbers, or to one
        (lambda: VarianceScaling(1e-20)((10, 10), "float16"), "near 0 are at most 1.58e-11 apart"),
        (lambda: RandomUniform(1, 1 + 1e-9)((9,)), "near 1 are at most .* not 1.19e-07"),
        (lambda: Constant([1, 2, 3])((2, 2)), r"`shape` must be one that a value of shape \(3,\)"),
        (lambda: get(np.ones((2, 3)))((3, 2)), r"^Expected `shape` to be \(2, 3\) .*=\(3, 2\)"),
        (lambda: get(np.ones((2, 3)))((3, 2)), r"PyTorch stores \(out, in\): transpose it$"),
        (lambda: get(np.ones((2, 3)))((3, 3)), r"Received: shape=\(3, 3\)$"),
        (lambda: compute_fans((3, 0)), r"`shape\[1\]` must be"),
        (lambda: Initializer()((2, 2)), "subclasses must implement"),
        (lambda: serialize("he_normal"), "`initializer` must be an initcore Initializer"),
        (lambda: deserialize({"class_name": "A", "module": "b.c"}), "a class of initcore or Keras"),
        (lambda: get(3), "Could not interpret initializer identifier: 3"),
        (lambda: calculate_gain(None), "`activation` must be a name"),
        (lambda: calculate_gain("tanh", 0.1), "`param` must be None for 'tanh'"),
        (lambda: calculate_gain("leaky_relu", math.nan), "`param` must be a finite number"),
    ],
)
def test_what_cannot_be_done_is_said(call, says):
    with pytest.raises((ValueError, TypeError, NotImplementedError), match=says):
        call()


# ---- constants and orthogonal -----------------------------------------------------


def test_a_constant_is_broadcast_and_keeps_its_own_copy():
    assert Constant(7)(()) == 7.0
    assert Constant([1, 2, 3])((2, 3)).tolist() == [[1.0, 2.0, 3.0]] * 2
    value = np.ones(3)
    for init in (Constant(value), get(value)):
        first = init((3,), "float64")
        first[:] = 5.0
        value[:] = 7.0
        assert init((3,), "float64").tolist() == [1.0] * 3
        value[:] = 1.0


@given(matrices, st.floats(-10, 10), seeds)
@settings(max_examples=300)
def test_orthogonal_columns_or_rows(shape, gain, seed):
    """Also of more than two axes, whose matrix is (all but the last, the last)."""
    W = Orthogonal(gain, seed)(shape, "float64").reshape(-1, shape[-1])
    W = W if len(W) >= shape[-1] else W.T
    assert np.allclose(W.T @ W, gain**2 * np.eye(len(W.T)), atol=1e-12 * max(1.0, gain**2))


# ---- configurations ----------------------------------------------------------------------


@given(any_initializer(seeds | st.none()), matrices)
@settings(max_examples=200)
def test_a_round_trip_through_json_keeps_everything(init, shape):
    text = json.dumps(serialize(init))
    again = deserialize(json.loads(text))
    assert type(again) is type(init)
    assert again == init
    assert get(json.loads(text)) == init
    assert hash(again) == hash(init)
    assert repr(again) == repr(init)
    if getattr(init, "seed", 0) is not None:
        assert np.array_equal(again(shape[:2]), init(shape[:2]))


def test_the_repr_shows_what_is_not_default_and_no_address():
    assert repr(HeNormal()) == "HeNormal()"
    init = VarianceScaling(2, "fan_out", "uniform", np.random.default_rng(0), [0], (-1,))
    assert repr(init) == (
        "VarianceScaling(scale=2.0, mode='fan_out', distribution='uniform', seed=Generator, "
        "input_axes=(0,), output_axes=(-1,))"
    )
    assert eval(repr(RandomUniform(-1, 2, 3))) == RandomUniform(-1, 2, 3)


def test_equality_is_of_class_and_configuration():
    assert HeNormal(seed=1) != HeNormal(seed=2)
    assert HeNormal(seed=1) != HeUniform(seed=1)
    assert HeNormal() != VarianceScaling(2.0)
    assert HeNormal() != "he_normal"
    assert Constant([1.0, 2.0]) == Constant(np.array([1, 2]))
    assert len({HeNormal(seed=1), HeNormal(seed=1), HeNormal(seed=2)}) == 2
    init = HeNormal(seed=np.random.default_rng(0))
    twin = init.clone()
    assert init == twin
    init((2, 2))
    assert init != twin


@pytest.mark.parametrize(
    "config",
    [
        "HeNormal",
        {},
        {"class_name": "HeNorml", "config": {}},
        {"class_name": 3, "config": {}},
        {"class_name": "HeNormal", "config": {"sed": 1}},
        {"class_name": "HeNormal", "config": {"seed": -1}},
        {"class_name": "HeNormal", "config": {"seed": {"class_name": "Dense"}}},
        {"class_name": "HeNormal", "config": [1]},
    ],
)
def test_a_bad_dict_is_refused(config):
    with pytest.raises((TypeError, ValueError)):
        deserialize(config)


# ---- fans and gains ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shape", "inputs", "outputs", "expected"),
    [
        ((512, 8, 64), [0], [1, 2], (512, 512)),  # the query of an attention layer
        ((512, 8, 64), [0], [-1, 1], (512, 512)),
        ((32, 16, 3, 5), [1, 2, 3], [0, 2, 3], (240, 480)),  # a convolution in PyTorch's layout
        ((4, 10, 20), [1], [2], (10, 20)),  # the first axis a batch of matrices
        ((3, 5), [1], [0], (5, 3)),
        ((3, 5, 7), [1], None, (5, 21)),
        ((3, 5, 7), None, [2], (15, 7)),
    ],
)
def test_fans_of_named_axes(shape, inputs, outputs, expected):
    assert compute_fans(shape, inputs, outputs) == expected
    for mode, fan in zip(("fan_in", "fan_out"), expected):
        init = VarianceScaling(1.0, mode, input_axes=inputs, output_axes=outputs)
        assert init.clone().variance(shape) == 1 / fan
    init = HeNormal(input_axes=inputs, output_axes=outputs).clone()
    assert init.variance(shape) == 2 / expected[0]


@given(shapes, st.lists(st.integers(-5, 5), max_size=3), st.booleans())
@settings(max_examples=200)
def test_any_axes_give_fans_or_an_error(shape, axes, of_inputs):
    named = {"input_axes" if of_inputs else "output_axes": axes}
    rank = len(shape)
    places = [axis % rank for axis in axes] if rank else []
    if rank < 2:
        assert compute_fans(shape, **named) == (math.prod(shape),) * 2
    elif axes and all(-rank <= axis < rank for axis in axes) and len({*places}) == len(axes):
        fan = compute_fans(shape, **named)[0 if of_inputs else 1]
        assert fan == math.prod(shape[place] for place in places)
    else:
        with pytest.raises((TypeError, ValueError), match="put_axes` must be"):
            compute_fans(shape, **named)


def test_gains():
    assert calculate_gain("linear") == calculate_gain("sigmoid") == 1.0
    assert calculate_gain("tanh") == 5 / 3
    assert calculate_gain("relu") ** 2 == pytest.approx(2)
    assert calculate_gain("selu") == 0.75
    assert calculate_gain("leaky_relu") ** 2 == pytest.approx(2 / 1.0001)
    assert calculate_gain("leaky_relu", 0.5) ** 2 == pytest.approx(2 / 1.25)
    assert calculate_gain("leaky_relu", 0.0) == calculate_gain("relu")
