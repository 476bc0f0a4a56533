"""The convolutions that chapter 8 writes out, against JAX; the fans that Keras and Flax read."""

import os

import jax
import numpy as np
import pytest
from chapter import ROOT, Chapter

from initcore import initializers

os.environ.setdefault("KERAS_BACKEND", "jax")

import flax.nnx  # noqa: E402
import keras  # noqa: E402

CHAPTER = ROOT / "chapters/08_any_activation_any_layer.ipynb"
LAYOUT = ("NHWC", "HWIO", "NHWC")


@pytest.fixture(scope="module")
def chapter():
    """The functions of the two cells that define convolutions and count their products."""
    namespace = {"np": np, "initializers": initializers}
    cells = {code.cell.id: code.source for code in Chapter(CHAPTER).code}
    for name in ("convolve", "products"):
        exec(compile(cells[name], name, "exec"), namespace)
    return namespace


@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("k", [1, 3, 4])
def test_convolutions_agree_with_jax(chapter, k, stride):
    rng = np.random.default_rng(0)
    x, kernel = rng.standard_normal((2, 9, 11, 4)), rng.standard_normal((k, k, 4, 6))
    with jax.enable_x64(True):
        up = jax.lax.conv_general_dilated(
            x, kernel, (stride, stride), "VALID", dimension_numbers=LAYOUT
        )
        np.testing.assert_allclose(chapter["convolve"](x, kernel, stride), up, atol=1e-12)
        if k >= stride:  # JAX cuts the last rows otherwise
            down = jax.lax.conv_transpose(
                x, kernel[::-1, ::-1], (stride, stride), "VALID", dimension_numbers=LAYOUT
            )
            np.testing.assert_allclose(chapter["transposed"](x, kernel, stride), down, atol=1e-12)


def test_groups_agree_with_jax(chapter):
    """A kernel with zeros outside of the groups is JAX's grouped kernel."""
    rng = np.random.default_rng(1)
    x, kernel = rng.standard_normal((2, 7, 7, 4)), rng.standard_normal((3, 3, 2, 6))
    full = chapter["ones"](3, 4, 6, groups=2) * np.concatenate([kernel, kernel], axis=2)
    with jax.enable_x64(True):
        theirs = jax.lax.conv_general_dilated(
            x, kernel, (1, 1), "VALID", dimension_numbers=LAYOUT, feature_group_count=2
        )
        np.testing.assert_allclose(chapter["convolve"](x, full), theirs, atol=1e-12)


def test_the_way_back_is_the_transpose(chapter):
    """<convolve(x), z> = <x, transposed(z)> with the channels of the kernel exchanged."""
    rng = np.random.default_rng(2)
    x, kernel = rng.standard_normal((1, 9, 9, 2)), rng.standard_normal((3, 3, 2, 5))
    up = chapter["convolve"](x, kernel, 2)
    z = rng.standard_normal(up.shape)
    down = chapter["transposed"](z, kernel.swapaxes(2, 3), 2)
    assert (up * z).sum() == pytest.approx((x * down).sum(), rel=1e-12)


def test_products_are_counted(chapter):
    counted = {kind: (chapter["adds"][kind], chapter["reaches"][kind]) for kind in chapter["adds"]}
    assert list(counted.values()) == [(144, 288), (144, 72), (36, 72), (9, 9), (64, 512)]


HE = {"kernel_initializer": keras.initializers.HeNormal(seed=0)}
HE_BY_DEPTH = {"depthwise_initializer": keras.initializers.HeNormal(seed=0)}


@pytest.mark.false_alarm(1e-8)
@pytest.mark.parametrize(
    ("built", "read", "right"),
    [
        (keras.layers.Conv2D(64, 3, **HE), 9 * 128, 9 * 128),
        (keras.layers.Conv2D(64, 3, groups=4, **HE), 9 * 32, 9 * 32),
        (keras.layers.DepthwiseConv2D(9, **HE_BY_DEPTH), 81 * 128, 81),
        (keras.layers.Conv2DTranspose(64, 4, strides=2, **HE), 16 * 64, 4 * 128),
    ],
)
def test_fans_that_keras_reads(built, read, right):
    """10,000 weights or more, to 8% (5 standard errors)."""
    built.build((None, 16, 16, 128))
    kernel = np.asarray(built.kernel.value)
    assert initializers.compute_fans(kernel.shape)[0] == read
    assert kernel.var() * read == pytest.approx(2, rel=0.08)
    assert (read == right) == isinstance(built, keras.layers.Conv2D)


@pytest.mark.false_alarm(1e-8)
@pytest.mark.parametrize(
    ("kind", "shape", "groups", "read"),
    [
        (flax.nnx.Conv, (64, 96, (3, 3)), {}, 9 * 64),
        (flax.nnx.Conv, (1200, 1200, (3, 3)), {"feature_group_count": 1200}, 9),
        (flax.nnx.ConvTranspose, (64, 96, (4, 4)), {}, 16 * 64),
    ],
)
def test_fans_that_flax_reads(kind, shape, groups, read):
    """LeCun's variance is 1 / fan_in; 10,000 weights or more, to 8%."""
    kernel = np.asarray(kind(*shape, **groups, rngs=flax.nnx.Rngs(0)).kernel[...])
    assert kernel.var() * read == pytest.approx(1, rel=0.08)


def test_slopes_of_leaky_relu_by_default():
    assert keras.layers.LeakyReLU().negative_slope == 0.3
    x = np.array([-1.0])
    assert float(keras.activations.leaky_relu(x)[0]) == pytest.approx(-0.2)
    assert float(jax.nn.leaky_relu(x)[0]) == pytest.approx(-0.01)
