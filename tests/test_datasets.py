"""The data sets: the digits against scikit-learn's, and exclusive or by its signs."""

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


def test_standardizing_is_scikit_learns():
    digits = datasets.load_digits()
    ours = datasets.split(digits, seed=0)
    plain = datasets.split(digits, seed=0, standardize=False)
    theirs = StandardScaler().fit(plain.train.x)
    for part, kept in zip(ours, plain, strict=True):
        np.testing.assert_allclose(part.x, theirs.transform(kept.x), atol=1e-12)


@given(
    hnp.arrays(
        float,
        st.tuples(st.integers(3, 20), st.integers(1, 5)),
        elements=st.floats(-1e6, 1e6).map(lambda value: round(value, 3)),
    )
)
def test_standardized_training_part_has_mean_zero_and_std_one_or_zero(x):
    y = np.arange(len(x))
    train, _ = datasets.split((x, y))
    constant = np.ptp(x[train.y], axis=0) == 0
    np.testing.assert_allclose(train.x.mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(train.x.std(axis=0), np.where(constant, 0, 1), atol=1e-6)


def test_split_is_a_partition_fitted_on_the_training_part_only():
    x = np.arange(40.0).reshape(20, 2)
    train, test = datasets.split((x, np.arange(20)), seed=1)
    assert len(test.y) == 4
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
        (lambda: datasets.split((np.ones((3, 2)), [0, 1])), ValueError, "`data` must be inputs"),
        (lambda: datasets.split((np.ones(3), [0, 1, 1])), ValueError, "`data.x` must be an array"),
        (lambda: datasets.split((np.full((3, 2), np.inf), [0, 1, 1])), ValueError, "be finite"),
        (lambda: datasets.split(datasets.xor(), seed=True), TypeError, "`seed` must be a non-"),
        (lambda: datasets.split((np.ones((2, 2)), [0, 1])), ValueError, "at least three examples"),
        (lambda: datasets.split(datasets.xor(), standardize="no"), TypeError, "True or False"),
    ],
)  # fmt: skip
def test_bad_input_is_named(call, error, says):
    with pytest.raises(error, match=says.replace("(", r"\(").replace(")", r"\)")):
        call()
