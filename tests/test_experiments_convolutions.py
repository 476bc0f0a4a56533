"""Convolutions against JAX, and the fans that Keras reads off their kernels."""

import os

import jax
import numpy as np
import pytest

from initcore import experiments, initializers

os.environ.setdefault("KERAS_BACKEND", "jax")

import keras  # noqa: E402


def by_jax(x, kernel, stride, groups, transposed):
    layout = ("NHWC", "HWIO", "NHWC")
    if transposed:
        return jax.lax.conv_transpose(
            x, kernel[::-1, ::-1], (stride, stride), "VALID", dimension_numbers=layout
        )
    return jax.lax.conv_general_dilated(
        x, kernel, (stride, stride), "VALID", dimension_numbers=layout, feature_group_count=groups
    )


@pytest.mark.parametrize(
    ("kernel", "stride", "groups", "transposed"),
    [
        ((3, 3, 4, 6), 1, 1, False),
        ((3, 2, 4, 6), 2, 1, False),
        ((1, 1, 4, 5), 1, 1, False),
        ((3, 3, 2, 6), 1, 2, False),
        ((2, 3, 1, 8), 2, 4, False),
        ((3, 3, 4, 6), 1, 1, True),
        ((4, 4, 4, 3), 2, 1, True),
        ((3, 5, 4, 2), 3, 1, True),
    ],
)
def test_convolve_agrees_with_jax(kernel, stride, groups, transposed):
    rng = np.random.default_rng(0)
    x, kernel = rng.standard_normal((2, 7, 9, 4)), rng.standard_normal(kernel)
    ours = experiments.convolve(x, kernel, stride=stride, groups=groups, transposed=transposed)
    theirs = by_jax(
        np.float32(x), np.float32(kernel), stride=stride, groups=groups, transposed=transposed
    )
    np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-4)


def test_transposed_is_the_transpose():
    """<conv(x), z> = <x, transposed(z)> with the channels of the kernel exchanged."""
    rng = np.random.default_rng(1)
    kernel = rng.standard_normal((3, 3, 2, 5))
    x, z = rng.standard_normal((1, 9, 9, 2)), rng.standard_normal((1, 4, 4, 5))
    forward = experiments.convolve(x, kernel, stride=2)
    back = experiments.convolve(z, kernel.transpose(0, 1, 3, 2), stride=2, transposed=True)
    assert (forward * z).sum() == pytest.approx((x * back).sum(), rel=1e-12)


CASES = {  # kernel, options, how many products are added up in one output
    "plain": ((3, 3, 8, 16), {}, 72),
    "strided": ((3, 3, 8, 16), {"stride": 2}, 72),
    "grouped": ((3, 3, 4, 16), {"groups": 2}, 36),
    "depthwise": ((3, 3, 1, 8), {"groups": 8}, 9),
    "transposed": ((4, 4, 8, 16), {"transposed": True, "stride": 2}, 32),
}


@pytest.mark.parametrize("case", CASES)
def test_convolution_q_is_1_at_the_number_of_products(case):
    """The mean of 200 layers within 7 standard errors: below 1e-10 each."""
    kernel, how, n = CASES[case]
    q = experiments.convolution_q(kernel, n, size=8, replicas=200, **how)
    steps = 2 if case == "transposed" else 1
    assert q.shape == (200, steps, steps)
    q = q.mean(axis=(1, 2))
    error = q.std() / np.sqrt(200)
    assert error < 0.02
    assert abs(q.mean() - 1) < 7 * error


def test_products_are_counted_by_ones():
    """With all weights and inputs 1 an output is the number of products in it."""
    for kernel, how, n in CASES.values():
        channels = kernel[2] * how.get("groups", 1)
        z = experiments.convolve(np.ones((1, 12, 12, channels)), np.ones(kernel), **how)
        assert z[0, z.shape[1] // 2, z.shape[2] // 2, 0] == n


def test_transposed_q_by_place_in_the_stride():
    """A 3×3 kernel at stride 2 reaches an output 4, 2, 2 or 1 times; 100 layers, to 12%."""
    q = experiments.convolution_q((3, 3, 8, 16), 8, transposed=True, stride=2, replicas=100)
    np.testing.assert_allclose(q.mean(axis=0), [[4, 2], [2, 1]], rtol=0.12)


def test_replicas_do_not_depend_on_their_number():
    few, many = (experiments.convolution_q((3, 3, 2, 3), 18, replicas=r) for r in (2, 4))
    np.testing.assert_array_equal(few, many[:2])


@pytest.mark.parametrize(
    ("layer", "read", "right"),
    [
        (lambda he: keras.layers.Conv2D(64, 3, kernel_initializer=he), 9 * 128, 9 * 128),
        (lambda he: keras.layers.Conv2D(64, 3, groups=4, kernel_initializer=he), 9 * 32, 9 * 32),
        (lambda he: keras.layers.DepthwiseConv2D(9, depthwise_initializer=he), 81 * 128, 81),
        (
            lambda he: keras.layers.Conv2DTranspose(64, 4, strides=2, kernel_initializer=he),
            16 * 64,
            4 * 128,
        ),
    ],
)
def test_fans_that_keras_reads(layer, read, right):
    """What the chapter on He says of Keras; 10,000 weights or more, to 8% (5 standard errors)."""
    built = layer(keras.initializers.HeNormal(seed=0))
    built.build((None, 16, 16, 128))
    kernel = np.asarray(built.kernel.value)
    assert initializers.compute_fans(kernel.shape)[0] == read
    assert kernel.var() * read == pytest.approx(2, rel=0.08)
    assert (read == right) == isinstance(built, keras.layers.Conv2D)


@pytest.mark.parametrize(
    ("call", "error", "says"),
    [
        (
            lambda: experiments.convolve(np.ones((1, 3, 3)), np.ones((1, 1, 1, 1))),
            ValueError,
            "`x`",
        ),
        (
            lambda: experiments.convolve(np.ones((1, 3, 3, 2)), np.ones((1, 1, 3, 1))),
            ValueError,
            "2/1 inp",
        ),
        (
            lambda: experiments.convolve(np.ones((1, 3, 3, 2)), np.ones((1, 1, 1, 3)), groups=2),
            ValueError,
            "`kernel` must be",
        ),
        (
            lambda: experiments.convolve(
                np.ones((1, 3, 3, 2)), np.ones((1, 1, 1, 2)), groups=2, transposed=True
            ),
            ValueError,
            "`groups` must be",
        ),
        (
            lambda: experiments.convolve(np.ones((1, 2, 3, 1)), np.ones((3, 3, 1, 1))),
            ValueError,
            "images of at least 3 by 3",
        ),
        (lambda: experiments.convolution_q((3, 2, 1, 1), 1), ValueError, "`kernel_shape` must be"),
        (lambda: experiments.convolution_q((3, 3, 1, 1), 0), ValueError, "`fan_in` must be"),
        (
            lambda: experiments.convolution_q((7, 7, 1, 1), 1, size=3, transposed=True),
            ValueError,
            "`size` must be",
        ),
        (
            lambda: experiments.convolution_q((3, 3, 1, 1), 1, transposed=1),
            TypeError,
            "`transposed` must be",
        ),
    ],
)
def test_bad_input_is_named(call, error, says):
    with pytest.raises(error, match=says):
        call()
