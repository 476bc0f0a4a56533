"""What a layer can rebuild: the stored numbers against other readers, and the readout itself."""

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.linear_model import Ridge

from initcore import datasets, experiments
from initcore.explorers import Pretraining
from initcore.explorers._digits import pixels, to_image
from initcore.explorers.pretraining import (
    LAYERS,
    NOISES,
    STACKS,
    WITHOUT,
    noisy_readout,
    started,
)

DATA = Pretraining.load()
ALL = DATA["cases"] | {WITHOUT: DATA["shared"]["without"]}


def pixels_of(pictures):
    return np.array([[to_image(text) for text in of_digit] for of_digit in pictures])


def test_readout_is_that_of_a_ridge_regression():
    rng = np.random.default_rng(0)
    a, x = rng.standard_normal((3, 40, 5)), rng.standard_normal((40, 4))
    B, c = noisy_readout(a, x, 0.3)
    for one, weights, offset in zip(a, B, c):
        ridge = Ridge(alpha=40 * 0.3**2).fit(one, x)
        np.testing.assert_allclose(weights, ridge.coef_.T, atol=1e-10)
        np.testing.assert_allclose(offset[0], ridge.intercept_, atol=1e-10)


def test_readout_is_the_best_for_noisy_activations():
    """The same minimum by brute force: least squares on many noisy copies."""
    rng = np.random.default_rng(1)
    a, x = rng.standard_normal((30, 3)), rng.standard_normal((30, 2))
    copies = 4000
    noisy = np.tile(a, (copies, 1)) + 0.5 * rng.standard_normal((30 * copies, 3))
    design = np.hstack([noisy, np.ones((len(noisy), 1))])
    brute = np.linalg.lstsq(design, np.tile(x, (copies, 1)), rcond=None)[0]
    B, c = noisy_readout(a, x, 0.5)
    np.testing.assert_allclose(np.vstack([B, c]), brute, atol=0.02)


def test_a_unit_that_never_moves_is_not_read():
    B, c = noisy_readout([[1.0, 7.0], [3.0, 7.0]], [[10.0], [30.0]])
    np.testing.assert_allclose(B.ravel(), [10, 0], atol=1e-12)
    np.testing.assert_allclose(c.ravel(), [0], atol=1e-12)


def test_pixels_are_the_digits_from_0_to_1():
    train, test = pixels()
    assert (len(train.y), len(test.y)) == (1438, 359)
    both = np.concatenate([train.x, test.x])
    assert both.min() == 0 and both.max() == 1
    assert both.sum() == pytest.approx(datasets.load_digits().x.sum() / 16, rel=1e-12)
    scaled = experiments.split_digits(standardize=False)
    assert np.array_equal(test.x * 16, scaled.test.x)


@pytest.mark.false_alarm(4e-9)
def test_the_random_starts_have_the_scale_of_their_names():
    """Normal bands, 6.5 standard errors of the std: false alarm below 1e-9 each."""
    images = pixels().train.x
    wanted = {WITHOUT: 0.01, "centred sigmoid, gain 4": 4 / 8, "tanh, Glorot": np.sqrt(2 / 128)}
    for start, sd in wanted.items():
        W = started(start, images).weights[0]
        assert abs(W.std() / sd - 1) < 6.5 / np.sqrt(2 * W.size), start


def test_small_weights_lose_the_digit_to_noise_and_to_nothing_else():
    """No noise: all is there. Noise of 0.01 is far above the spread of layer 2 (1e-4)."""
    assert max(ALL[WITHOUT]["0"]["mid"]) <= 0.01
    np.testing.assert_allclose(
        ALL[WITHOUT]["0.01"]["mid"][1:], DATA["shared"]["mean image"], atol=0.02
    )


def test_pretrained_layers_withstand_noise():
    """Layer 5 rebuilds digits better than six principal components do, at a noise of 0.01."""
    train, test = (part.x for part in pixels())
    pca = PCA(6).fit(train)
    lost = test - pca.inverse_transform(pca.transform(test))
    for stack in STACKS:
        assert ALL[stack]["0.01"]["high"][-1] < np.square(lost).sum(axis=1).mean()


@pytest.mark.parametrize("stack", [*STACKS, WITHOUT])
def test_errors_grow_with_the_layer_and_with_the_noise(stack):
    mid = np.array([ALL[stack][noise]["mid"] for noise in ("0", "0.001", "0.01", "0.1")])
    assert mid.shape == (len(NOISES), LAYERS)
    assert np.all(np.diff(mid, axis=1) >= -0.01) and np.all(np.diff(mid, axis=0) >= -0.01)
    for case in ALL[stack].values():
        assert pixels_of(case["pictures"]).shape == (10, LAYERS, 64)
