"""The initializers beside Keras', and inside real Keras layers and saved models.

The distributions are compared draw by draw: a difference of 1% in the standard deviation, or of
0.0075 anywhere in the distribution function, is seen.
"""

import json
import math
import os
import subprocess
import sys

import numpy as np
import pytest
from scipy import stats

os.environ.setdefault("KERAS_BACKEND", "jax")

import keras  # noqa: E402

from initcore import _keras, initializers, sampling  # noqa: E402
from initcore.initializers import (  # noqa: E402
    Constant,
    HeNormal,
    Identity,
    LecunNormal,
    Orthogonal,
    RandomNormal,
    VarianceScaling,
    deserialize,
    get,
    serialize,
)

# Raised inside Keras 3.15 under NumPy 2.4 when it saves a model: nothing of ours.
pytestmark = [
    pytest.mark.false_alarm(1e-10),
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
]

ALPHA = 1e-11
Z = stats.norm.isf(ALPHA / 2)

RANDOM_NAMES = (
    "GlorotNormal",
    "GlorotUniform",
    "HeNormal",
    "HeUniform",
    "LecunNormal",
    "LecunUniform",
    "RandomNormal",
    "RandomUniform",
    "TruncatedNormal",
    "VarianceScaling",
)
EXAMPLES = (
    initializers.Zeros(),
    initializers.Ones(),
    Constant(0.25),
    Constant([1.0, 2.0, 3.0]),
    Identity(2.0),
    Orthogonal(1.5, seed=1),
    RandomNormal(0.5, 2.0, seed=1),
    initializers.RandomUniform(0.0, 1.0, seed=1),
    initializers.TruncatedNormal(seed=1),
    VarianceScaling(0.5, "fan_geo_avg", "uniform", seed=1),
    VarianceScaling(0.5, input_axes=[0], output_axes=(1,), seed=np.random.default_rng(1)),
    *(getattr(initializers, name)(seed=1) for name in RANDOM_NAMES[:6]),
)


def numbers(value):
    return np.asarray(value, dtype="float64")


# ---- the same distributions --------------------------------------------------------------


def check_same_distribution(ours, theirs):
    """Two-sample Kolmogorov-Smirnov, means and variances: 3 comparisons."""
    assert ours.size == theirs.size
    assert stats.ks_2samp(ours, theirs, axis=None, method="asymp").pvalue > ALPHA
    both = np.concatenate([ours, theirs], axis=None)
    error = Z * both.std() * math.sqrt(2 / ours.size)
    assert abs(ours.mean() - theirs.mean()) < error
    assert abs(ours.var() - theirs.var()) < error * both.std() * math.sqrt(
        stats.kurtosis(both, fisher=False) - 1
    )


SCALINGS = [
    {"scale": 0.6, "mode": mode, "distribution": distribution}
    for mode in ("fan_in", "fan_out", "fan_avg")
    for distribution in ("normal", "untruncated_normal", "Uniform")
]


@pytest.mark.parametrize(
    ("name", "arguments", "shape"),
    [(name, {}, (250, 2000)) for name in RANDOM_NAMES]
    + [("VarianceScaling", arguments, (3, 3, 30, 200)) for arguments in SCALINGS],
)
def test_draws_are_distributed_as_keras_draws(name, arguments, shape):
    """3 comparisons a case, 57 in all: false alarms 6e-10. The bounds are exact up to float32.

    Both ends are reached within 1e-3 of the largest: missed with probability exp(-50) at most.
    """
    ours = numbers(getattr(initializers, name)(seed=11, **arguments)(shape))
    theirs = numbers(getattr(keras.initializers, name)(seed=11, **arguments)(shape))
    check_same_distribution(ours, theirs)
    if name != "RandomNormal" and not arguments:
        assert ours.max() == pytest.approx(theirs.max(), rel=1e-3)
        assert ours.min() == pytest.approx(theirs.min(), rel=1e-3)


def test_orthogonal_is_distributed_as_that_of_keras():
    """One entry and the trace of 600 matrices each; 6 comparisons: false alarms 6e-11.

    Keras corrects the sign too: without it the entry is always negative.
    """
    streams = (keras.random.SeedGenerator(13), np.random.default_rng(13))
    classes = (keras.initializers.Orthogonal, Orthogonal)
    theirs, ours = (
        np.array([numbers(init((5, 5))) for _ in range(600)])
        for init in (cls(seed=stream) for cls, stream in zip(classes, streams, strict=True))
    )
    check_same_distribution(ours[:, 0, 0], theirs[:, 0, 0])
    check_same_distribution(np.einsum("rii->r", ours), np.einsum("rii->r", theirs))


@pytest.mark.parametrize("name", ["Zeros", "Ones", "Constant", "Identity"])
def test_fixed_values_are_those_of_keras(name):
    arguments = {"Constant": (0.3,), "Identity": (0.7,)}.get(name, ())
    ours = getattr(initializers, name)(*arguments)((4, 3))
    theirs = getattr(keras.initializers, name)(*arguments)((4, 3))
    assert ours.dtype == "float32"
    assert np.array_equal(ours, np.asarray(theirs))


# Not Identity, whose gain Keras 3.15 leaves out of its configuration.
@pytest.mark.parametrize("name", [*RANDOM_NAMES, "Orthogonal", "Constant", "Zeros", "Ones"])
def test_defaults_and_configs_are_those_of_keras(name):
    theirs = getattr(keras.initializers, name)()
    ours = deserialize(keras.initializers.serialize(theirs))
    assert type(ours) is getattr(initializers, name)
    assert ours.get_config() == theirs.get_config() == type(ours)().get_config()


def test_fans_are_those_of_keras():
    from keras.src.initializers.random_initializers import compute_fans

    for shape in ((), (7,), (5, 3), (4, 5, 3), (3, 3, 16, 32), (2, 3, 4, 5, 6)):
        assert initializers.compute_fans(shape) == compute_fans(shape)
    for axes in (([0], [1, 2]), ([0, 1], [2]), ([1], [2]), ([-1], [0])):
        assert initializers.compute_fans((4, 5, 3), *axes) == compute_fans((4, 5, 3), *axes)


def test_every_name_of_keras_but_stft_is_known():
    """In both spellings, also as attributes of the module where Keras has them."""
    from keras.src.initializers import ALL_OBJECTS_DICT

    for name, theirs in ALL_OBJECTS_DICT.items():
        if "stft" not in name.lower():
            ours = getattr(initializers, theirs.__name__)
            assert type(get(name)) is ours
            if hasattr(keras.initializers, name):
                assert getattr(initializers, name) is ours


@pytest.mark.parametrize(
    ("make", "begins"),
    [
        (lambda lib: lib.VarianceScaling(scale=-1.0), "Argument `scale` must be positive float."),
        (lambda lib: lib.VarianceScaling(mode="fan"), "Invalid `mode` argument:"),
        (lambda lib: lib.VarianceScaling(distribution="x"), "Invalid `distribution` argument:"),
        (lambda lib: lib.get(np.ones((2, 2)))((3, 2)), "Expected `shape` to be"),
        (lambda lib: lib.get("typo"), "Could not interpret initializer identifier:"),
        (lambda lib: lib.Orthogonal()((3,)), "The tensor to initialize must be at least two-dim"),
        (lambda lib: lib.Orthogonal()(()), "The tensor to initialize must be at least two-dim"),
        (lambda lib: lib.Identity()((3,)), "Identity matrix initializer can only be used for 2D"),
        (lambda lib: lib.Identity()((3, 3, 3)), "Identity matrix initializer can only be used f"),
    ],
)
def test_errors_begin_as_those_of_keras(make, begins):
    for library in (keras.initializers, initializers):
        with pytest.raises(ValueError) as caught:  # noqa: PT011
            make(library)
        assert str(caught.value).startswith(begins)


# ---- in a layer --------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float16", "float32", "bfloat16"])
@pytest.mark.parametrize("init", EXAMPLES, ids=repr)
def test_a_dense_layer_gets_what_the_initializer_draws(init, dtype):
    expected = init.clone()((3, 3), dtype)
    layer = keras.layers.Dense(3, kernel_initializer=init, dtype=dtype)
    layer.build((None, 3))
    assert layer.kernel_initializer is init
    assert keras.backend.standardize_dtype(layer.kernel.dtype) == dtype
    assert np.array_equal(numbers(layer.kernel), numbers(expected))


@pytest.mark.parametrize(
    ("layer", "input_shape", "fans"),
    [
        (keras.layers.Dense(30), (None, 20), (20, 30)),
        (keras.layers.Conv2D(8, (3, 5)), (None, 9, 9, 4), (60, 120)),
        (keras.layers.Conv1D(8, 3), (None, 9, 4), (12, 24)),
        (keras.layers.Embedding(50, 7), (None, 4), (50, 7)),
    ],
)
def test_layers_hand_over_kernels_whose_fans_are_right(layer, input_shape, fans):
    kind = "kernel" if hasattr(layer, "kernel_initializer") else "embeddings"
    setattr(layer, f"{kind}_initializer", HeNormal(seed=0))
    layer.build(input_shape)
    weight = np.asarray(layer.weights[0])
    assert initializers.compute_fans(weight.shape) == fans
    assert np.array_equal(weight, HeNormal(seed=0)(weight.shape))


def test_bfloat16_by_every_name_of_it_and_within_the_cut():
    import jax.numpy as jnp
    import ml_dtypes

    init = HeNormal(seed=0)
    cut = 2 * math.sqrt(2 / 50) / 0.87962566103423978
    wide = init((50, 2000), "float64")
    for name in ("bfloat16", ml_dtypes.bfloat16, jnp.bfloat16, np.dtype(ml_dtypes.bfloat16)):
        drawn = init((50, 2000), name)
        assert drawn.dtype == ml_dtypes.bfloat16
        drawn = drawn.astype("float64")
        assert np.abs(drawn).max() <= cut
        assert np.abs(drawn - wide).max() <= cut * 2**-8
    with pytest.raises(ValueError, match="able to hold"):
        Constant(1e39)((2,), "bfloat16")


def test_bfloat16_without_ml_dtypes_is_an_unknown_dtype(monkeypatch):
    monkeypatch.setitem(sys.modules, "ml_dtypes", None)
    with pytest.raises(TypeError, match="`dtype` must be one of"):
        HeNormal()((3, 2), "bfloat16")


@pytest.mark.parametrize("floatx", ["float16", "float64"])
def test_the_dtype_is_floatx_where_none_is_asked_for(floatx):
    before = keras.config.floatx()
    keras.config.set_floatx(floatx)
    try:
        assert HeNormal()((3, 2)).dtype == floatx
        assert initializers.Zeros()((3, 2)).dtype == floatx
    finally:
        keras.config.set_floatx(before)


def test_keras_get_takes_ours_and_ours_takes_keras():
    init = HeNormal(seed=0)
    assert keras.initializers.get(init) is init
    theirs = keras.initializers.HeNormal(seed=0)
    assert get(theirs) is theirs
    array = keras.ops.convert_to_tensor(np.ones((2, 3), "float32"))
    assert np.array_equal(get(array)((2, 3)), np.ones((2, 3)))


@pytest.mark.parametrize("name", RANDOM_NAMES)
def test_a_seed_generator_goes_on_from_draw_to_draw(name):
    seed = keras.random.SeedGenerator(5)
    init = getattr(initializers, name)(seed=seed)
    assert init.seed is seed
    first, second = init((20, 20)), init((20, 20))
    assert not np.array_equal(first, second)
    again = init.clone()
    assert isinstance(again.seed, keras.random.SeedGenerator)
    assert again.get_config() == init.get_config()
    assert again == init
    assert np.array_equal(again((20, 20)), first)
    json.dumps(serialize(init))


def test_a_global_seed_reaches_no_unseeded_initializer_and_a_generator_all():
    def kernels(seed):
        keras.utils.set_random_seed(3)  # NumPy's global seed, too
        init = HeNormal(seed)
        layers = [keras.layers.Dense(4, kernel_initializer=init) for _ in range(2)]
        for layer in layers:
            layer.build((None, 4))
        return [numbers(layer.kernel) for layer in layers]

    first, second = kernels(None), kernels(None)
    assert not np.array_equal(first[0], second[0])
    first, second = (kernels(np.random.default_rng(0)) for _ in range(2))
    assert np.array_equal(first, second) and not np.array_equal(*first)


@pytest.mark.parametrize("name", RANDOM_NAMES[:6])
@pytest.mark.parametrize("kind", ["MultiHeadAttention", "GroupQueryAttention"])
def test_the_layer_names_the_fans_of_each_attention_kernel(name, kind):
    """Variances, from the fans of the matrix that each kernel is; and as Keras' own come out.

    The width is 48; 4 heads of 20 (and 2 for keys and values) make 80 (40) outputs. 96 variances
    of 1,920 numbers or more, beyond 7 standard errors: false alarms 2e-10.
    """
    widths = {"query": 80, "key": 80, "value": 80, "output": 80}
    arguments = {"num_heads": 4, "key_dim": 20}
    if kind == "GroupQueryAttention":
        arguments = {"head_dim": 20, "num_query_heads": 4, "num_key_value_heads": 2}
        widths |= {"key": 40, "value": 40}
    for classes in (initializers, keras.initializers):
        cls = getattr(classes, name)
        layer = getattr(keras.layers, kind)(**arguments, kernel_initializer=cls(seed=None))
        layer.build((None, 10, 48), (None, 10, 48))
        for part, width in widths.items():
            kernel = numbers(getattr(layer, f"_{part}_dense").kernel)
            fans = (width, 48) if part == "output" else (48, width)
            wanted = getattr(initializers, name)().variance(fans)
            assert kernel.var() == pytest.approx(wanted, rel=7 * math.sqrt(2 / kernel.size))


def test_named_axes_stay_as_in_keras():
    for cls in (VarianceScaling, keras.initializers.VarianceScaling):
        init = cls(seed=3, input_axes=[0, 1], output_axes=[2])
        layer = keras.layers.EinsumDense("abc,cde->abde", (None, 8, 400), kernel_initializer=init)
        layer.build((None, 10, 32))
        assert numbers(layer.kernel).var() == pytest.approx(1 / (32 * 8), rel=0.05)


@pytest.mark.parametrize("seed", [None, 7])
def test_attention_clones_the_initializer(seed):
    """An unseeded one gives other weights to each kernel, a seeded one the same, as in Keras."""
    layer = keras.layers.MultiHeadAttention(2, 8, kernel_initializer=LecunNormal(seed))
    layer.build((None, 10, 16), (None, 10, 16))
    query, key = np.asarray(layer.query_dense.kernel), np.asarray(layer.key_dense.kernel)
    assert query.shape == (16, 2, 8)
    assert np.array_equal(query, key) == (seed is not None)
    expected = LecunNormal(7, [0], [1, 2])((16, 2, 8))
    assert np.array_equal(query, expected) == (seed is not None)


# ---- configurations ----------------------------------------------------------------------


@pytest.mark.parametrize("init", EXAMPLES, ids=repr)
def test_keras_serializes_ours_as_we_do_and_back(init):
    config = json.loads(json.dumps(keras.initializers.serialize(init)))
    assert config == json.loads(json.dumps(serialize(init)))
    again = keras.initializers.deserialize(config)
    assert type(again) is type(init)
    assert again == init
    assert keras.initializers.get(config) == init


def test_every_class_is_registered_once():
    before = dict(keras.saving.get_custom_objects())
    initializers.register_keras()
    assert dict(keras.saving.get_custom_objects()) == before
    for cls in initializers._CLASSES:
        assert keras.saving.get_registered_name(cls) == f"initcore>{cls.__name__}"
        assert keras.saving.get_registered_object(f"initcore>{cls.__name__}") is cls


@pytest.mark.parametrize("init", EXAMPLES, ids=repr)
def test_a_saved_model_is_reloaded_with_our_class(init, tmp_path):
    path = tmp_path / "model.keras"
    model = keras.Sequential(
        [keras.layers.Input((3,)), keras.layers.Dense(3, kernel_initializer=init)]
    )
    expected = keras.initializers.serialize(init)
    model.save(path)
    again = keras.models.load_model(path)
    found = again.layers[0].kernel_initializer
    assert type(found) is type(init)
    config = serialize(found)
    if sampling.is_stream(init.seed):  # which has gone on: loading builds the layer anew
        del config["config"]["seed"], expected["config"]["seed"]
    assert json.dumps(config) == json.dumps(expected)
    assert np.array_equal(np.asarray(again.layers[0].kernel), np.asarray(model.layers[0].kernel))


def test_a_new_process_registers_as_soon_as_it_can(tmp_path):
    """At the first use after Keras, or at the import if Keras was imported before.

    The second is what a program needs that only loads a model: it finds the package's classes,
    not Keras' own of the same names.
    """
    path = tmp_path / "model.keras"
    layer = keras.layers.Dense(3, kernel_initializer=HeNormal(seed=4))
    keras.Sequential([keras.layers.Input((3,)), layer]).save(path)
    code = f"""
import importlib, sys, warnings
from initcore import initializers

init = initializers.HeNormal(seed=4)
assert init((2, 2)).dtype == "float32"
assert not {{"keras", "ml_dtypes"}} & set(sys.modules)
import keras
assert keras.saving.get_registered_object("initcore>HeNormal") is None
config = keras.initializers.serialize(init)
assert config["registered_name"] == "initcore>HeNormal", config
layer = keras.layers.EinsumDense("ab,bcd->acd", (3, 2), kernel_initializer=init)
layer.build((5, 4))
assert (layer.kernel == initializers.HeNormal(4, [0], [1, 2])((4, 3, 2))).all()
assert keras.initializers.get(config) == init

keras.saving.get_custom_objects().clear()
initializers = importlib.reload(initializers)
warnings.simplefilter("ignore", DeprecationWarning)
model = keras.models.load_model({str(path)!r})
assert model.layers[0].kernel_initializer == initializers.HeNormal(seed=4)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_keras_not_loaded_or_half_loaded_is_as_none(monkeypatch):
    for module in (None, object()):
        monkeypatch.setitem(sys.modules, "keras", module)
        assert _keras.float_dtype(None) == "float32"
        assert _keras.serialize_seed(3) == 3
        initializers.register_keras()
        with pytest.raises(ValueError, match="`seed` must be the config of a Generator"):
            sampling.seed_of({"class_name": "SeedGenerator", "config": {"seed": 1}})
