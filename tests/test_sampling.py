"""Seeds, their configurations, and the rounding of draws to a dtype.

The distributions are tested in test_initializers_statistics.py.
"""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from initcore import sampling

DTYPES = [np.dtype(name) for name in ("float16", "float32", "float64")]
dtypes = st.sampled_from(DTYPES)


class Counter:
    """A seed object as Keras' SeedGenerator is one, without Keras."""

    def __init__(self, start=0):
        self.count = start

    def next(self):
        self.count += 1
        return np.array([7, self.count], "uint32")


# ---- seeds -------------------------------------------------------------------------------


def test_the_constant_of_the_truncated_normal():
    """Against the number that Keras and JAX paste, and SciPy's."""
    assert sampling.TRUNCATED_STD == pytest.approx(0.87962566103423978, rel=1e-14)
    assert sampling.TRUNCATED_STD == pytest.approx(stats.truncnorm(-2, 2).std(), rel=1e-12)


@pytest.mark.parametrize("kind", sampling.BIT_GENERATORS)
def test_a_generator_goes_through_json_and_draws_what_it_would_have_drawn(kind):
    rng = np.random.Generator(getattr(np.random, kind)(5))
    rng.random(3, dtype="float32")
    config = json.loads(json.dumps(sampling.plain(rng)))
    again = sampling.seed_of(config)
    assert again is not rng
    assert np.array_equal(again.standard_normal(50), rng.standard_normal(50))


@pytest.mark.parametrize(
    "config",
    [
        {"class_name": "Generator"},
        {"class_name": "Generator", "config": {"bit_generator": "seed"}},
        {"class_name": "Generator", "config": {"bit_generator": "PCG64", "state": 3}},
        {"class_name": "Generator", "config": [1]},
        {"class_name": "SeedGenerator"},
        {},
    ],
)
def test_a_bad_seed_config_is_refused(config):
    with pytest.raises((TypeError, ValueError)):
        sampling.seed_of(config)


def test_a_seed_object_is_asked_at_each_draw():
    seed = sampling.seed_of(Counter())
    first, second = (sampling.generator(seed).random(5) for _ in range(2))
    assert seed.count == 2
    assert not np.array_equal(first, second)
    assert np.array_equal(first, sampling.generator(Counter()).random(5))
    assert not np.array_equal(first, sampling.generator(Counter(5)).random(5))
    assert sampling.plain(seed) is seed
    with pytest.raises(TypeError, match="`seed` must be"):
        sampling.seed_of(Counter)  # the class is none


@pytest.mark.parametrize(
    ("word", "is_good"),
    [(-3, True), ([1, -2], True), (np.arange(4, dtype="uint64"), True)]
    + [(0.5, False), ("a", False), ([True], False), (None, False)],
)
def test_a_seed_object_gives_integers(word, is_good):
    class Fixed:
        def next(self):
            return word

    if is_good:
        first, second = (sampling.generator(Fixed()).random(5) for _ in range(2))
        assert np.array_equal(first, second)
    else:
        with pytest.raises(TypeError, match=r"`seed.next\(\)` must be an integer"):
            sampling.generator(Fixed())


# ---- rounding ----------------------------------------------------------------------------


@given(
    st.lists(st.floats(-100, 100), min_size=1, max_size=20),
    st.floats(-100, 0),
    st.floats(1, 100),
    dtypes,
)
@settings(max_examples=300)
def test_rounding_is_to_the_nearest_and_never_beyond_a_bound(values, low, high, dtype):
    values = np.clip(values, low, high)
    with np.errstate(under="ignore"):
        nearest = values.astype(dtype)
    if values.any() and not nearest.any():
        with pytest.raises(ValueError, match="able to hold the values"):
            sampling.to_dtype(values, dtype, low, high)
        return
    rounded = sampling.to_dtype(values, dtype, low, high)
    assert rounded.dtype == dtype
    wide = rounded.astype("float64")
    assert (low <= wide).all()
    assert (wide <= high).all()
    inside = (low <= nearest.astype("float64")) & (nearest.astype("float64") <= high)
    assert np.array_equal(rounded[inside], nearest[inside])
    spacing = np.spacing(np.abs(values).astype(dtype)).astype("float64")
    assert (np.abs(wide - values) <= spacing).all()


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_the_upper_end_of_a_uniform_never_occurs(dtype):
    """Even for an interval with two numbers of the dtype in it."""

    class Last:
        def random(self, size):
            return np.full(size, np.nextafter(1.0, 0.0))

    low, high = 1.0, float(np.nextafter(dtype.type(1), dtype.type(2)))
    drawn = sampling.uniform((9,), Last(), low, high, dtype)
    assert drawn.tolist() == [low] * 9


class Scripted:
    """A generator that deals out given standard normal numbers."""

    def __init__(self, *numbers):
        self.numbers = list(numbers)

    def standard_normal(self, size):
        dealt, self.numbers = self.numbers[:size], self.numbers[size:]
        return np.array(dealt)


def test_what_lies_beyond_the_cut_is_drawn_again_until_it_does_not():
    rng = Scripted(0.5, 2.1, -2.0, -9.0, 3.0, 1.0, 1.5)
    drawn = sampling.truncated_normal((4,), rng, 10.0, 2.0, np.dtype("float64"))
    assert drawn.tolist() == [11.0, 13.0, 6.0, 12.0]
    assert rng.numbers == []


@given(st.floats(-1, 1), st.floats(1e-2, 1), dtypes, st.integers(0, 2**32))
@settings(max_examples=300)
def test_no_truncated_draw_lies_beyond_the_cut_whatever_the_dtype(mean, stddev, dtype, seed):
    """The cut is met from inside by numbers of exactly 2, which rounding would carry over."""
    edge = Scripted(2.0, -2.0, np.nextafter(2.0, 0.0), np.nextafter(-2.0, 0.0))
    for rng, size in ((edge, 4), (np.random.default_rng(seed), 50)):
        drawn = sampling.truncated_normal((size,), rng, mean, stddev, dtype).astype("float64")
        assert (drawn <= mean + 2 * stddev).all()
        assert (drawn >= mean - 2 * stddev).all()


def test_an_interval_without_a_number_of_the_dtype_is_refused():
    with pytest.raises(ValueError, match="able to hold a number from 1.00001 to 1.00002"):
        sampling.to_dtype(np.array([1.000015]), np.dtype("float16"), 1.00001, 1.00002)


def test_the_shape_of_a_scalar_gives_an_array():
    for draw in (sampling.normal, sampling.truncated_normal, sampling.uniform):
        drawn = draw((), np.random.default_rng(0), 0.0, 1.0, np.dtype("float32"))
        assert isinstance(drawn, np.ndarray)
        assert drawn.shape == ()


@pytest.mark.parametrize(("rows", "columns"), [(4, 4), (6, 3), (3, 6)])
def test_the_sign_correction_makes_the_decomposition_unique(rows, columns):
    """Q R of a matrix, with a positive diagonal in R, is one pair: Q recovers what was drawn."""
    drawn = np.random.default_rng(1).standard_normal((max(rows, columns), min(rows, columns)))
    Q = sampling.orthogonal((rows, columns), np.random.default_rng(1), 1.0, np.dtype("float64"))
    Q = Q if rows >= columns else Q.T
    R = Q.T @ drawn
    assert np.allclose(R, np.triu(R), atol=1e-12)
    assert (np.diagonal(R) > 0).all()
