"""The data sets: the digits against scikit-learn's, and the synthetic sets by their geometry."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.datasets import load_digits as sklearn_digits
from sklearn.preprocessing import StandardScaler

from initcore import datasets


def test_digits_are_scikit_learns_in_the_same_order():
    ours, theirs = datasets.load_digits(), sklearn_digits()
    np.testing.assert_array_equal(ours.x, theirs.data)
    np.testing.assert_array_equal(ours.y, theirs.target)
    assert ours.x.dtype == np.float64 and ours.y.dtype == np.int64


def test_each_call_gives_arrays_of_its_own():
    datasets.load_digits().x[:] = -1
    assert datasets.load_digits().x.min() == 0


def test_digits_file_is_small_and_has_its_licence_beside_it():
    from importlib import resources

    folder = resources.files("initcore") / "data"
    assert len((folder / "digits.npz").read_bytes()) < 60_000
    text = (folder / "README.md").read_text(encoding="utf8")
    assert "CC BY 4.0" in text and "10.24432/C50P49" in text


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
    x = datasets.load_digits().x
    scale = datasets.Standardizer.fit(x[:1000])
    theirs = StandardScaler().fit(x[:1000])
    np.testing.assert_allclose(scale(x), theirs.transform(x), atol=1e-12)


@given(
    hnp.arrays(
        float,
        st.tuples(st.integers(2, 20), st.integers(1, 5)),
        elements=st.floats(-1e6, 1e6).map(lambda value: round(value, 3)),
    )
)
def test_standardized_training_part_has_mean_zero_and_std_one_or_zero(x):
    scaled = datasets.Standardizer.fit(x)(x)
    constant = np.ptp(x, axis=0) == 0
    np.testing.assert_allclose(scaled.mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(scaled.std(axis=0), np.where(constant, 0, 1), atol=1e-6)


def test_split_is_a_partition_fitted_on_the_training_part_only():
    x = np.arange(40.0).reshape(20, 2)
    train, test = datasets.split((x, np.arange(20)), test_fraction=0.25, seed=1)
    assert len(test.y) == 5
    assert sorted([*train.y, *test.y]) == list(range(20))
    np.testing.assert_allclose(train.x.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(train.x.std(axis=0), 1)
    mean, std = x[train.y].mean(axis=0), x[train.y].std(axis=0)
    np.testing.assert_allclose(test.x, (x[test.y] - mean) / std)


def test_split_can_leave_the_inputs_as_they_are():
    x = np.arange(40.0).reshape(20, 2)
    train, test = datasets.split((x, np.arange(20)), seed=1, standardize=False)
    np.testing.assert_array_equal(train.x, x[train.y])
    np.testing.assert_array_equal(test.x, x[test.y])


def test_split_follows_its_seed():
    data = datasets.load_digits()
    first, again, other = (datasets.split(data, seed=seed).test.y for seed in (0, 0, 1))
    assert (first == again).all() and (first != other).any()


@pytest.mark.parametrize(
    ("call", "error", "says"),
    [
        (lambda: datasets.spirals(0), ValueError, "`points` must be an integer at least 1"),
        (lambda: datasets.spirals(classes=1), ValueError, "`classes` must be an integer"),
        (lambda: datasets.spirals(noise=-0.1), ValueError, "`noise` must be a finite number"),
        (lambda: datasets.spirals(turns=np.nan), ValueError, "`turns` must be a finite number"),
        (lambda: datasets.spirals(seed=True), TypeError, "`seed` must be a non-negative"),
        (lambda: datasets.spirals(points=2.5), TypeError, "`points` must be an integer"),
        (lambda: datasets.Standardizer.fit([1.0, 2.0]), ValueError, "`x` must be an array with 2"),
        (lambda: datasets.Standardizer.fit([[np.inf]]), ValueError, "`x` must be finite"),
        (lambda: datasets.Standardizer.fit([["a"]]), TypeError, "`x` must be an array of real"),
        (lambda: datasets.Standardizer.fit(np.ones((3, 2)))([[1.0]]), ValueError, "2 features"),
        (lambda: datasets.split((np.ones((3, 2)), [0, 1])), ValueError, "`data` must be inputs"),
        (lambda: datasets.split((np.ones((3, 2)), [0, 1, 1]), test_fraction=0.01), ValueError,
         "leaves two parts of 3 examples"),
        (lambda: datasets.split(datasets.xor(), test_fraction=1.0), ValueError, "below 1"),
        (lambda: datasets.split(datasets.xor(), standardize="no"), TypeError, "True or False"),
    ],
)  # fmt: skip
def test_bad_input_is_named(call, error, says):
    with pytest.raises(error, match=says.replace("(", r"\(").replace(")", r"\)")):
        call()
