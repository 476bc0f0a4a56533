"""The starts that Keras and Flax give a dense layer, drawn by them and drawn with `initcore`.

The chapter on Glorot names and draws these defaults; PyTorch's are in ``tests/pytorch``. Seeds are
fixed. Over fresh ones each comparison would fail by chance with a probability below 1e-9: two
samples of 200,000 weights, Kolmogorov-Smirnov. They see a scale that is off by 6%.
"""

import itertools
import os

import numpy as np
import pytest
from scipy import stats

os.environ.setdefault("KERAS_BACKEND", "jax")

import flax.linen  # noqa: E402
import flax.nnx  # noqa: E402
import jax  # noqa: E402
import keras  # noqa: E402

from initcore import initializers, sampling  # noqa: E402

pytestmark = pytest.mark.false_alarm(4e-9)

FAN_IN, FAN_OUT = 400, 500
SHAPE = (FAN_IN, FAN_OUT)
ALARM = 1e-9
CUT = sampling.CUT / sampling.TRUNCATED_STD  # 2.27, in actual standard deviations


def keras_dense():
    keras.utils.set_random_seed(3)
    layer = keras.layers.Dense(FAN_OUT)
    layer.build((None, FAN_IN))
    return layer.kernel, layer.bias


def flax_linen_dense():
    x = np.zeros((1, FAN_IN), "float32")
    parameters = flax.linen.Dense(FAN_OUT).init(jax.random.key(3), x)["params"]
    return parameters["kernel"], parameters["bias"]


def flax_nnx_linear():
    layer = flax.nnx.Linear(FAN_IN, FAN_OUT, rngs=flax.nnx.Rngs(3))
    return layer.kernel[...], layer.bias[...]


# What each library draws; the initializer that the chapter says it is; variance and largest weight
# in units of 1/fan_in and of the standard deviation.
DEFAULTS = {
    "Keras": (keras_dense, "glorot_uniform", 2 * FAN_IN / (FAN_IN + FAN_OUT), 3**0.5),
    "Flax linen": (flax_linen_dense, "lecun_normal", 1.0, CUT),
    "Flax nnx": (flax_nnx_linear, "lecun_normal", 1.0, CUT),
}


def p_value(ours, theirs):
    """Return the probability of samples that differ this much, if their distribution is one."""
    return stats.ks_2samp(np.ravel(ours), np.ravel(theirs), method="asymp").pvalue


@pytest.mark.parametrize("library", DEFAULTS)
def test_the_default_is_the_one_that_the_chapter_draws(library):
    draw, name, n_var, end = DEFAULTS[library]
    weights, biases = (np.asarray(array, "float64") for array in draw())
    assert weights.shape == SHAPE and not biases.any()
    ours = initializers.get(name).draw(SHAPE, np.random.default_rng(1), "float64")
    assert p_value(ours, weights) > ALARM
    assert p_value(1.06 * ours, weights) < ALARM  # so that it can fail
    # 200,000 weights: the variance within 6.5 standard errors (0.32% each) at most.
    assert FAN_IN * weights.var() == pytest.approx(n_var, rel=0.02)
    largest = np.abs(weights).max() / np.sqrt(n_var / FAN_IN)
    assert largest == pytest.approx(end, rel=0.01) and largest <= end * (1 + 1e-6)


def test_the_three_defaults_are_three():
    """Each default fits its own library only."""
    rng = np.random.default_rng(1)
    pytorch = initializers.VarianceScaling(1 / 3, "fan_in", "uniform").draw(SHAPE, rng, "float64")
    keras_weights, flax_weights = keras_dense()[0], flax_linen_dense()[0]
    for one, other in itertools.combinations((pytorch, keras_weights, flax_weights), 2):
        assert p_value(one, other) < ALARM


NORMALS = {
    "Keras": lambda: keras.initializers.GlorotNormal(seed=5)(SHAPE),
    "JAX": lambda: jax.nn.initializers.glorot_normal()(jax.random.key(5), SHAPE),
}


@pytest.mark.parametrize("library", NORMALS)
def test_glorot_normal_is_cut_and_corrected(library):
    """The variance is 2/(fan_in + fan_out), and the cut lies at 2.27 standard deviations."""
    theirs = np.asarray(NORMALS[library](), "float64")
    ours = initializers.GlorotNormal().draw(SHAPE, np.random.default_rng(2), "float64")
    assert p_value(ours, theirs) > ALARM
    plain = initializers.VarianceScaling(1.0, "fan_avg", "untruncated_normal")
    assert p_value(plain.draw(SHAPE, np.random.default_rng(2), "float64"), theirs) < ALARM
    sd = np.sqrt(2 / (FAN_IN + FAN_OUT))
    assert theirs.std() == pytest.approx(sd, rel=0.01)
    largest = np.abs(theirs).max() / sd
    assert largest == pytest.approx(CUT, rel=0.01) and largest <= CUT * (1 + 1e-6)


def test_without_the_correction_a_cut_normal_has_three_quarters_of_its_variance():
    """Neither library corrects where a standard deviation is named."""
    for theirs in (
        keras.initializers.TruncatedNormal(stddev=1.0, seed=5)(SHAPE),
        jax.nn.initializers.truncated_normal(stddev=1.0)(jax.random.key(5), SHAPE),
    ):
        assert np.asarray(theirs, "float64").var() == pytest.approx(0.774, rel=0.01)
