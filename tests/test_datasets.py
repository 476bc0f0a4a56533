"""The data sets: the digits against scikit-learn's, and the synthetic sets by their geometry."""

import numpy as np
import pytest
from sklearn.datasets import load_digits as sklearn_digits
from sklearn.preprocessing import StandardScaler

from initcore import datasets

DATA = (np.arange(40.0).reshape(20, 2), np.arange(20))


def test_digits_are_scikit_learns_in_the_same_order():
    ours, theirs = datasets.load_digits(), sklearn_digits()
    np.testing.assert_array_equal(ours.x, theirs.data)
    np.testing.assert_array_equal(ours.y, theirs.target)
    assert ours.x.dtype == np.float64 and ours.y.dtype == np.int64


def test_each_call_gives_arrays_of_its_own():
    datasets.load_digits().x[:] = -1
    assert datasets.load_digits().x.min() == 0


def test_xor_is_one_where_the_signs_differ():
    x, y = datasets.xor()
    assert y.tolist() == [int(a != b) for a, b in x]
    assert sorted(map(tuple, x)) == [(-1, -1), (-1, 1), (1, -1), (1, 1)]


def test_spirals_without_noise_lie_on_their_arms():
    x, y = datasets.spirals(points=40, classes=3, turns=1.25, noise=0.0)
    radius, angle = np.hypot(*x.T), np.arctan2(x[:, 1], x[:, 0])
    np.testing.assert_allclose(radius, np.tile(np.arange(1, 41) / 40, 3))
    winding = angle - 2 * np.pi * (1.25 * radius + y / 3)
    np.testing.assert_allclose(np.cos(winding), 1)
    assert np.bincount(y).tolist() == [40, 40, 40]


def test_spirals_noise_has_the_stated_std_and_comes_from_the_seed():
    """False alarm below 1e-9: 60,000 normals, std within 6.5 of its standard errors."""
    quiet, noisy = (datasets.spirals(10_000, noise=noise, seed=3).x for noise in (0.0, 0.1))
    noise = noisy - quiet
    assert abs(noise.std() / 0.1 - 1) < 6.5 / np.sqrt(2 * noise.size)
    np.testing.assert_array_equal(noisy, datasets.spirals(10_000, noise=0.1, seed=3).x)
    assert (noisy != datasets.spirals(10_000, noise=0.1, seed=4).x).all()


def test_standardizer_is_scikit_learns():
    x = datasets.load_digits().x  # with pixels that are always zero
    scale = datasets.Standardizer.fit(x[:1000])
    theirs = StandardScaler().fit(x[:1000])
    np.testing.assert_allclose(scale(x), theirs.transform(x), atol=1e-12)


def test_split_is_a_partition_fitted_on_the_training_part_only():
    x, _ = DATA
    train, test = datasets.split(DATA, test_fraction=0.25, seed=1)
    assert len(test.y) == 5
    assert sorted([*train.y, *test.y]) == list(range(20))
    np.testing.assert_allclose(train.x.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(train.x.std(axis=0), 1)
    mean, std = x[train.y].mean(axis=0), x[train.y].std(axis=0)
    np.testing.assert_allclose(test.x, (x[test.y] - mean) / std)
    for part in datasets.split(DATA, seed=1, standardize=False):
        np.testing.assert_array_equal(part.x, x[part.y])


def test_split_follows_its_seed():
    data = datasets.load_digits()
    first, again, other = (datasets.split(data, seed=seed).test.y for seed in (0, 0, 1))
    assert (first == again).all() and (first != other).any()


@pytest.mark.parametrize(
    ("call", "error", "says"),
    [
        (lambda: datasets.spirals(0), ValueError, "`points` must be an integer at least 1"),
        (lambda: datasets.spirals(noise=-0.1), ValueError, "`noise` must be a finite number"),
        (lambda: datasets.Standardizer.fit([1.0, 2.0]), ValueError, "`x` must be an array with 2"),
        (lambda: datasets.Standardizer.fit(np.ones((3, 2)))([[1.0]]), ValueError, "2 features"),
        (lambda: datasets.split((np.ones((3, 2)), [0, 1])), ValueError, "`data` must be inputs"),
        (lambda: datasets.split(DATA, test_fraction=0.01), ValueError, "leaves 20 examples two"),
        (lambda: datasets.split(DATA, test_fraction=1.0), ValueError, "below 1"),
        (lambda: datasets.split(DATA, standardize="no"), TypeError, "True or False"),
    ],
)
def test_bad_input_is_named(call, error, says):
    with pytest.raises(error, match=says):
        call()
