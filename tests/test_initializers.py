"""The initializers without Keras: arguments, protocol, shapes, seeds, names, fans and gains.

Their distributions are tested in test_initializers_statistics.py.
"""

import copy
import inspect
import json
import math
import pickle
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from initcore import initializers, theory
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

# Every name of the claims ledger, in both spellings.
NAMES = {
    "Constant": "constant",
    "GlorotNormal": "glorot_normal",
    "GlorotUniform": "glorot_uniform",
    "HeNormal": "he_normal",
    "HeUniform": "he_uniform",
    "Identity": "identity",
    "Initializer": "initializer",
    "LecunNormal": "lecun_normal",
    "LecunUniform": "lecun_uniform",
    "Ones": "ones",
    "Orthogonal": "orthogonal",
    "RandomNormal": "random_normal",
    "RandomUniform": "random_uniform",
    "TruncatedNormal": "truncated_normal",
    "VarianceScaling": "variance_scaling",
    "Zeros": "zeros",
}
RANDOM = (
    GlorotNormal,
    GlorotUniform,
    HeNormal,
    HeUniform,
    LecunNormal,
    LecunUniform,
    Orthogonal,
    RandomNormal,
    RandomUniform,
    TruncatedNormal,
    VarianceScaling,
)
FIXED = (Zeros, Ones, Constant, Identity)
NAMED_SCALINGS = {
    GlorotNormal: (1.0, "fan_avg", "truncated_normal"),
    GlorotUniform: (1.0, "fan_avg", "uniform"),
    HeNormal: (2.0, "fan_in", "truncated_normal"),
    HeUniform: (2.0, "fan_in", "uniform"),
    LecunNormal: (1.0, "fan_in", "truncated_normal"),
    LecunUniform: (1.0, "fan_in", "uniform"),
}
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


maybe_seeds = seeds | st.none()


def any_initializer(seed=maybe_seeds):
    """Return a strategy of initializers of all classes and all their arguments."""
    real = st.integers(-40, 40).map(lambda n: n / 4)  # float16 holds them, and numbers nearby
    named = st.sampled_from(list(NAMED_SCALINGS))
    modes = st.sampled_from(initializers.MODES)
    kinds = st.sampled_from(initializers.DISTRIBUTIONS)
    return st.one_of(
        st.just(Zeros()),
        st.just(Ones()),
        st.builds(Constant, real | st.lists(real, min_size=1, max_size=1)),
        st.builds(Identity, real),
        st.builds(RandomNormal, real, sizes, seed),
        st.builds(TruncatedNormal, real, sizes, seed),
        st.builds(lambda low, width, s: RandomUniform(low, low + width, s), real, sizes, seed),
        st.builds(Orthogonal, real, seed),
        st.builds(VarianceScaling, sizes, modes, kinds, seed, axes, axes),
        st.builds(lambda cls, *rest: cls(*rest), named, seed, axes, axes),
    )


# ---- names -------------------------------------------------------------------------------


@pytest.mark.parametrize(("camel", "snake"), NAMES.items())
def test_every_keras_name_exists_in_both_spellings(camel, snake):
    cls = getattr(initializers, camel)
    assert getattr(initializers, snake) is cls
    assert cls.__name__ == camel
    assert type(get(camel)) is type(get(snake)) is type(get(cls)) is cls


def test_keras_further_names():
    expected = {
        "normal": RandomNormal,
        "uniform": RandomUniform,
        "one": Ones,
        "zero": Zeros,
        "IdentityInitializer": Identity,
        "OrthogonalInitializer": Orthogonal,
    }
    assert {name: type(get(name)) for name in expected} == expected


def test_get_of_everything_it_takes():
    init = HeNormal(seed=1)
    assert get(init) is init
    assert get(None) is None
    assert get({"class_name": "he_normal", "config": {"seed": 1}}) == init
    assert get({"class_name": "HeNormal"}) == HeNormal()
    assert get({"class_name": "HeNormal", "config": None}) == HeNormal()

    def own(shape, dtype=None):
        return np.full(shape, 3.0, dtype)

    assert get(own) is own
    array = np.arange(6.0).reshape(2, 3)
    assert np.array_equal(get(array)((2, 3), "float64"), array)
    assert get(np.float32(2.0))((), "float64") == 2.0


@pytest.mark.parametrize(
    ("typo", "meant"),
    [("glorot_unifrom", "glorot_uniform"), ("HeNorml", "he_normal"), ("orthogonl", "orthogonal")],
)
def test_a_mistyped_name_is_told_the_nearest(typo, meant):
    with pytest.raises(ValueError, match=rf"^Could not interpret .*'{typo}'.*mean '{meant}'\?"):
        get(typo)


@given(junk)
def test_get_of_anything_is_an_initializer_or_one_of_two_errors(thing):
    try:
        found = get(thing)
    except (TypeError, ValueError) as error:
        assert str(error)
    else:
        assert found is None or callable(found)


@given(st.text(max_size=20))
def test_get_of_any_text_is_a_known_name_or_an_error_that_shows_it(text):
    if text in initializers._KNOWN:
        assert isinstance(get(text), Initializer)
    else:
        with pytest.raises(ValueError, match="^Could not interpret initializer identifier"):
            get(text)


def test_the_package_knows_what_keras_knows_but_stft():
    """The list is that of Keras 3.15."""
    assert set(NAMES) | set(NAMES.values()) <= set(initializers._KNOWN)


def test_importing_the_initializers_does_not_import_keras():
    code = "import sys, initcore.initializers; assert not {'keras', 'ml_dtypes'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


# ---- the call ----------------------------------------------------------------------------


@given(any_initializer(), matrices, st.sampled_from(DTYPES))
@settings(max_examples=1000)
def test_a_call_gives_a_finite_array_of_the_shape_and_dtype(init, shape, dtype):
    shape = shape[:2] if isinstance(init, Identity) else shape
    values = init(shape, dtype)
    assert type(values) is np.ndarray
    assert values.shape == shape
    assert values.dtype == dtype
    assert np.isfinite(values).all()
    assert values.flags.writeable


@given(any_initializer(seed=seeds), matrices, st.sampled_from(DTYPES))
@settings(max_examples=500)
def test_an_int_seed_gives_the_same_array_at_every_call(init, shape, dtype):
    shape = shape[:2] if isinstance(init, Identity) else shape
    assert np.array_equal(init(shape, dtype), init(shape, dtype))
    assert np.array_equal(init(shape, dtype), init.clone()(shape, dtype))


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
def test_a_draw_in_another_dtype_is_the_float64_draw_rounded(cls):
    wide = cls(seed=5)((40, 30), "float64")
    for dtype in ("float32", "float16"):
        narrow = cls(seed=5)((40, 30), dtype)
        inside = np.abs(wide) < 0.999 * np.abs(wide).max()  # a rounding beyond a bound is undone
        assert np.array_equal(narrow[inside], wide.astype(dtype)[inside])


@pytest.mark.parametrize("cls", [*RANDOM, *FIXED])
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


def test_the_base_class_draws_nothing():
    with pytest.raises(NotImplementedError, match="subclasses must implement"):
        Initializer()((2, 2))


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
    assert deserialize(serialize(init), {"Checkerboard": Checkerboard}) == init
    with pytest.raises(ValueError, match="`custom_objects` must be a dict with the 'Checkerboard'"):
        deserialize(serialize(init))


# ---- arguments ---------------------------------------------------------------------------


def test_defaults_are_those_of_keras():
    assert RandomNormal().get_config() == {"mean": 0.0, "stddev": 0.05, "seed": None}
    assert TruncatedNormal().get_config() == RandomNormal().get_config()
    assert RandomUniform().get_config() == {"minval": -0.05, "maxval": 0.05, "seed": None}
    assert Orthogonal().get_config() == {"gain": 1.0, "seed": None}
    assert Identity().get_config() == {"gain": 1.0}
    assert Constant().get_config() == {"value": 0.0}
    assert Zeros().get_config() == Ones().get_config() == {}
    assert VarianceScaling().get_config() == {
        "scale": 1.0,
        "mode": "fan_in",
        "distribution": "truncated_normal",
        "seed": None,
        "input_axes": None,
        "output_axes": None,
    }


@pytest.mark.parametrize(("cls", "settings_"), NAMED_SCALINGS.items())
def test_a_named_scaling_is_the_general_one_with_settings(cls, settings_):
    init = cls(seed=2)
    assert isinstance(init, VarianceScaling)
    assert (init.scale, init.mode, init.distribution) == settings_
    general = VarianceScaling(*settings_, seed=2)
    assert np.array_equal(init((6, 10), "float64"), general((6, 10), "float64"))
    assert init.get_config() == {"seed": 2, "input_axes": None, "output_axes": None}
    arguments = list(inspect.signature(cls).parameters)
    assert arguments == ["seed", "input_axes", "output_axes"]


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("fan_in", 2 / 180),
        ("fan_out", 2 / 288),
        ("fan_avg", 2 / 234),
        ("fan_geo_avg", 2 / 227.6839),
    ],
)
def test_variance_of_each_mode(mode, expected):
    """A 3 × 3 convolution from 20 to 32 channels: fans 180 and 288."""
    assert VarianceScaling(2.0, mode).variance((3, 3, 20, 32)) == pytest.approx(expected, rel=1e-6)


def test_normal_means_truncated_as_in_keras():
    assert VarianceScaling(distribution="normal").distribution == "truncated_normal"
    assert VarianceScaling(distribution="Uniform").distribution == "uniform"


@given(st.floats().filter(lambda x: not 0 < x < math.inf))
def test_a_scale_that_is_not_positive_is_refused_in_keras_words(scale):
    with pytest.raises(ValueError, match="^Argument `scale` must be positive float. Received: sc"):
        VarianceScaling(scale)


@given(st.text(max_size=12).filter(lambda x: x not in initializers.MODES))
def test_a_wrong_mode_is_refused_in_keras_words(mode):
    with pytest.raises(ValueError, match="^Invalid `mode` argument: .*'fan_geo_avg'"):
        VarianceScaling(mode=mode)


def test_a_wrong_option_is_told_the_nearest():
    with pytest.raises(ValueError, match="^Invalid `mode` argument: .*Did you mean 'fan_out'?"):
        VarianceScaling(mode="fan_uot")
    message = "^Invalid `distribution` argument: .*Received: .*'unifrom'.*Did you mean 'uniform'?"
    with pytest.raises(ValueError, match=message):
        VarianceScaling(distribution="unifrom")
    with pytest.raises(TypeError, match="^Invalid `distribution` argument:"):
        VarianceScaling(distribution=None)


BAD_SEEDS = [True, False, np.True_, -1, 1.0, "1", [1], (1, 2), np.array([1]), 1j, {1}, int]


@pytest.mark.parametrize("cls", RANDOM)
@pytest.mark.parametrize("seed", BAD_SEEDS, ids=repr)
def test_a_bad_seed_is_refused(cls, seed):
    with pytest.raises((TypeError, ValueError), match="`seed` must be"):
        cls(seed=seed)


@pytest.mark.parametrize(
    "make",
    [
        lambda: RandomNormal(stddev=-1.0),
        lambda: RandomNormal(stddev=math.nan),
        lambda: RandomNormal(mean=math.inf),
        lambda: RandomNormal(mean="0"),
        lambda: TruncatedNormal(stddev=-1e-300),
        lambda: TruncatedNormal(stddev=None),
        lambda: RandomUniform(minval=math.nan),
        lambda: RandomUniform(1.0, 1.0),
        lambda: RandomUniform(1.0, 0.0),
        lambda: RandomUniform(-1.7e308, 1.7e308),
        lambda: RandomUniform(maxval=True),
        lambda: Orthogonal(gain=math.inf),
        lambda: Orthogonal(gain="1"),
        lambda: Identity(gain=math.nan),
        lambda: Constant(math.nan),
        lambda: Constant("a"),
        lambda: Constant([1.0, math.inf]),
        lambda: Constant([[1.0], [1.0, 2.0]]),
        lambda: Constant(True),
        lambda: Constant([]),
        lambda: FromArray([[math.nan]]),
        lambda: VarianceScaling(scale="2"),
        lambda: VarianceScaling(scale=True),
        lambda: VarianceScaling(mode=1),
        lambda: VarianceScaling(input_axes=0),
        lambda: VarianceScaling(input_axes=[]),
        lambda: VarianceScaling(output_axes="1"),
        lambda: VarianceScaling(output_axes=[0.5]),
        lambda: HeNormal(input_axes=[True]),
        lambda: HeNormal(scale=2.0),
    ],
)
def test_a_bad_argument_is_refused(make):
    with pytest.raises((TypeError, ValueError)):
        make()


@given(st.sampled_from([*RANDOM, Identity, Constant]), st.lists(junk, max_size=6))
@settings(max_examples=1000)
def test_any_arguments_give_an_initializer_or_one_of_two_errors(cls, arguments):
    count = len(inspect.signature(cls).parameters)
    try:
        init = cls(*arguments[:count])
    except (TypeError, ValueError) as error:
        assert str(error)
    else:
        assert init.clone() == init


BAD_SHAPES = [
    3,
    None,
    "33",
    b"33",
    (0,),
    (3, -1),
    (3, 0, 2),
    (2.0, 3),
    (True, 3),
    ("3", 3),
    (None, 3),
    ((2, 3), 4),
    {2, 3},
    {2: 3},
    np.array(3),
    np.array([[2, 3]]),
    np.array([2.0, 3.0]),
]


@pytest.mark.parametrize("cls", [*RANDOM, *FIXED])
@pytest.mark.parametrize("shape", BAD_SHAPES, ids=repr)
def test_a_bad_shape_is_refused(cls, shape):
    with pytest.raises((TypeError, ValueError), match="`shape(\\[\\d\\])?` must be"):
        cls()(shape)


@pytest.mark.parametrize("shape", [[3, 2], (3, 2), np.array([3, 2]), (np.int64(3), np.uint8(2))])
def test_a_shape_may_be_any_sequence_of_integers(shape):
    assert GlorotUniform()(shape).shape == (3, 2)


@pytest.mark.parametrize("cls", [*RANDOM, *FIXED])
@pytest.mark.parametrize("dtype", ["int32", int, bool, "complex64", "float8", "floatt32", ">f4", 3])
def test_a_bad_dtype_is_refused(cls, dtype):
    with pytest.raises(TypeError, match="`dtype` must be one of 'float16', 'float32', 'float64'"):
        cls()((3, 2), dtype)


@pytest.mark.parametrize("rng", ["0", True, -1, np.random.RandomState(0)])
def test_draw_refuses_what_is_no_generator(rng):
    with pytest.raises((TypeError, ValueError), match="`rng` must be"):
        HeNormal().draw((3, 2), rng)


def test_a_dtype_too_small_for_the_values_is_refused():
    with pytest.raises(ValueError, match="`dtype` must be able to hold the values"):
        Constant(1e5)((2,), "float16")
    with pytest.raises(ValueError, match="`dtype` must be able to hold the values"):
        RandomNormal(stddev=1e300)((50,), "float32")
    with pytest.raises(ValueError, match="`dtype` must be able to hold the values"):
        RandomNormal(mean=1.7e308, stddev=1.7e308)((50,), "float64")
    with pytest.raises(ValueError, match="`dtype` must be able to hold the values"):
        VarianceScaling(1e-20)((10, 10), "float16")  # all would be rounded to zero


# ---- constants, identity, orthogonal -----------------------------------------------------


def test_constants():
    assert Zeros()((2, 3)).tolist() == [[0.0] * 3] * 2
    assert Ones()((2, 3)).tolist() == [[1.0] * 3] * 2
    assert Constant(-2.5)((2, 3)).tolist() == [[-2.5] * 3] * 2
    assert Constant([1, 2, 3])((2, 3)).tolist() == [[1.0, 2.0, 3.0]] * 2
    assert Constant(7)(()) == 7.0
    with pytest.raises(ValueError, match=r"`shape` must be one that a value of shape \(3,\) fits"):
        Constant([1, 2, 3])((2, 2))


def test_a_constant_keeps_its_own_copy():
    value = np.ones(3)
    for init in (Constant(value), get(value)):
        first = init((3,), "float64")
        first[:] = 5.0
        value[:] = 7.0
        assert init((3,), "float64").tolist() == [1.0] * 3
        value[:] = 1.0


def test_an_array_as_initializer_wants_its_own_shape():
    init = get(np.arange(6).reshape(2, 3))
    assert isinstance(init, FromArray)
    assert init((2, 3), "float16").dtype == "float16"
    with pytest.raises(ValueError, match=r"^Expected `shape` to be \(2, 3\) .* shape=\(3, 2\)"):
        init((3, 2))


@given(st.integers(1, 6), st.integers(1, 6), st.floats(-10, 10))
def test_identity(rows, columns, gain):
    assert np.array_equal(Identity(gain)((rows, columns), "float64"), gain * np.eye(rows, columns))


@pytest.mark.parametrize("shape", [(), (3,), (3, 3, 3)])
def test_identity_is_of_matrices_only(shape):
    with pytest.raises(ValueError, match=r"^Identity matrix initializer .* of rank \d"):
        Identity()(shape)


@given(matrices, st.floats(-10, 10), seeds)
@settings(max_examples=300)
def test_orthogonal_columns_or_rows(shape, gain, seed):
    """Also of more than two axes, whose matrix is (all but the last, the last)."""
    W = Orthogonal(gain, seed)(shape, "float64").reshape(-1, shape[-1])
    W = W if len(W) >= shape[-1] else W.T
    assert np.allclose(W.T @ W, gain**2 * np.eye(len(W.T)), atol=1e-12 * max(1.0, gain**2))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(64, 64), (200, 30), (30, 200), (3, 3, 16, 40)])
def test_orthogonal_in_each_dtype(shape, dtype):
    W = Orthogonal(seed=0)(shape, dtype).astype("float64").reshape(-1, shape[-1])
    singular = np.linalg.svd(W, compute_uv=False)
    assert np.abs(singular - 1).max() < 8 * np.finfo(dtype).eps


@pytest.mark.parametrize("shape", [(), (5,)])
def test_orthogonal_needs_two_axes(shape):
    with pytest.raises(ValueError, match=r"^The tensor to initialize must be at least two-dim"):
        Orthogonal()(shape)


# ---- configurations ----------------------------------------------------------------------


@given(any_initializer(), matrices)
@settings(max_examples=500)
def test_a_round_trip_through_json_keeps_everything(init, shape):
    text = json.dumps(serialize(init))
    again = deserialize(json.loads(text))
    assert type(again) is type(init)
    assert again == init
    assert get(json.loads(text)) == init
    assert hash(again) == hash(init)
    assert repr(again) == repr(init)
    assert again.get_config() == init.get_config()
    shape = shape[:2]
    if getattr(init, "seed", 0) is not None:
        assert np.array_equal(again(shape), init(shape))


@pytest.mark.parametrize(
    "copied", [copy.copy, copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))]
)
def test_copies_are_equal(copied):
    for init in (HeNormal(seed=1), Constant([1.0, 2.0]), Orthogonal(2.0)):
        assert copied(init) == init


def test_the_repr_shows_what_is_not_default_and_no_address():
    assert repr(HeNormal()) == "HeNormal()"
    assert repr(HeNormal(seed=0)) == "HeNormal(seed=0)"
    init = VarianceScaling(2, "fan_out", "uniform", np.random.default_rng(0), [0], (-1,))
    assert repr(init) == (
        "VarianceScaling(scale=2.0, mode='fan_out', distribution='uniform', seed=Generator, "
        "input_axes=(0,), output_axes=(-1,))"
    )
    assert repr(Constant(np.ones((2, 2)))) == (
        "Constant(value=array of shape (2, 2) and dtype float64)"
    )
    assert eval(repr(RandomUniform(-1, 2, 3))) == RandomUniform(-1, 2, 3)


def test_equality_is_of_class_and_configuration():
    assert HeNormal(seed=1) == HeNormal(seed=1)
    assert HeNormal(seed=1) != HeNormal(seed=2)
    assert HeNormal(seed=1) != HeUniform(seed=1)
    assert HeNormal() != VarianceScaling(2.0)
    assert HeNormal() != "he_normal"
    assert Constant([1.0, 2.0]) == Constant(np.array([1, 2]))
    assert len({HeNormal(seed=1), HeNormal(seed=1), HeNormal(seed=2)}) == 2
    rng = np.random.default_rng(0)
    init = HeNormal(seed=rng)
    twin = init.clone()
    assert init == twin
    init((2, 2))
    assert init != twin


@pytest.mark.parametrize(
    ("config", "error"),
    [
        ("HeNormal", TypeError),
        ({}, ValueError),
        ({"config": {}}, ValueError),
        ({"class_name": "HeNorml", "config": {}}, ValueError),
        ({"class_name": 3, "config": {}}, ValueError),
        ({"class_name": "HeNormal", "config": {"sed": 1}}, TypeError),
        ({"class_name": "HeNormal", "config": {"seed": -1}}, ValueError),
        ({"class_name": "HeNormal", "config": {"seed": {"class_name": "Dense"}}}, ValueError),
        ({"class_name": "HeNormal", "config": {"seed": {}}}, ValueError),
        ({"class_name": "HeNormal", "config": {}, "module": "somebody.else"}, ValueError),
        ({"class_name": "HeNormal", "config": [1]}, (TypeError, ValueError)),
    ],
)
def test_a_bad_dict_is_refused(config, error):
    with pytest.raises(error):
        deserialize(config)


def test_only_initializers_are_serialized():
    with pytest.raises(TypeError, match="`initializer` must be an initcore Initializer"):
        serialize("he_normal")


def test_custom_objects_go_first():
    class HeNormal(VarianceScaling):
        pass

    found = deserialize({"class_name": "HeNormal", "config": {}}, {"HeNormal": HeNormal})
    assert type(found) is HeNormal


# ---- fans and gains ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((), (1, 1)),
        ((7,), (7, 7)),
        ((5, 3), (5, 3)),
        ((4, 5, 3), (20, 12)),
        ((3, 3, 16, 32), (144, 288)),
        ((2, 3, 4, 5, 6), (120, 144)),
    ],
)
def test_fans(shape, expected):
    assert compute_fans(shape) == expected


@pytest.mark.parametrize(
    ("shape", "inputs", "outputs", "expected"),
    [
        ((512, 8, 64), [0], [1, 2], (512, 512)),  # the query of an attention layer
        ((512, 8, 64), [0], [-1, 1], (512, 512)),
        ((8, 64, 512), (0, 1), (2,), (512, 512)),  # its output
        ((32, 16, 3, 5), [1, 2, 3], [0, 2, 3], (240, 480)),  # a convolution in PyTorch's layout
        ((4, 10, 20), [1], [2], (10, 20)),  # the first axis a batch of matrices
        ((3, 5), [1], [0], (5, 3)),
        ((3, 5, 7), [1], None, (5, 21)),
        ((3, 5, 7), None, [2], (15, 7)),
    ],
)
def test_fans_of_named_axes(shape, inputs, outputs, expected):
    assert compute_fans(shape, inputs, outputs) == expected
    init = VarianceScaling(1.0, "fan_in", input_axes=inputs, output_axes=outputs)
    assert init.variance(shape) == 1 / expected[0]
    init = HeNormal(input_axes=inputs, output_axes=outputs).clone()
    assert init.variance(shape) == 2 / expected[0]
    init = VarianceScaling(1.0, "fan_out", input_axes=inputs, output_axes=outputs)
    assert init.variance(shape) == 1 / expected[1]


@given(matrices)
def test_fans_count_the_weights(shape):
    fan_in, fan_out = compute_fans(shape)
    assert fan_in * shape[-1] == fan_out * shape[-2] == math.prod(shape)
    assert type(fan_in) is type(fan_out) is int


@given(shapes, st.lists(st.integers(-5, 5), max_size=3), st.booleans())
@settings(max_examples=500)
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


@pytest.mark.parametrize("shape", BAD_SHAPES, ids=repr)
def test_fans_of_a_bad_shape_are_refused(shape):
    with pytest.raises((TypeError, ValueError), match="`shape(\\[\\d\\])?` must be"):
        compute_fans(shape)


@given(junk)
def test_fans_of_anything_are_two_positive_integers_or_an_error(shape):
    try:
        fans = compute_fans(shape)
    except (TypeError, ValueError) as error:
        assert "shape" in str(error)
    else:
        assert len(fans) == 2
        assert min(fans) >= 1


def test_gains():
    assert calculate_gain("linear") == 1.0
    assert calculate_gain("sigmoid") == 1.0
    assert calculate_gain("tanh") == 5 / 3
    assert calculate_gain("relu") ** 2 == pytest.approx(2)
    assert calculate_gain("selu") == 0.75
    assert calculate_gain("leaky_relu") ** 2 == pytest.approx(2 / 1.0001)
    assert calculate_gain("leaky_relu", 0.5) ** 2 == pytest.approx(2 / 1.25)
    assert calculate_gain("leaky_relu", 0.0) == calculate_gain("relu")
    assert all(type(calculate_gain(name)) is float for name in initializers.GAINS)


@pytest.mark.parametrize(
    ("name", "printed"),
    [("linear", 1.0), ("relu", math.sqrt(2)), ("tanh", 1.592), ("selu", 1.0), ("sigmoid", 1.846)],
)
def test_the_gains_that_the_docstring_compares_with(name, printed):
    assert theory.forward_gain(name) == pytest.approx(printed, rel=5e-4)


def test_bad_gains():
    with pytest.raises(ValueError, match="`activation` must be one of .*Did you mean 'relu'?"):
        calculate_gain("reLU")
    with pytest.raises(TypeError, match="`activation` must be one of"):
        calculate_gain(None)
    with pytest.raises(ValueError, match="`param` must be None for 'tanh'"):
        calculate_gain("tanh", 0.1)
    with pytest.raises(TypeError, match="`param` must be a finite number"):
        calculate_gain("leaky_relu", "0.1")
    with pytest.raises(ValueError, match="`param` must be a finite number"):
        calculate_gain("leaky_relu", math.nan)
