"""Seeds, their configurations, and the rounding of draws to a dtype.

The distributions are tested in test_initializers_statistics.py.
"""

import hashlib
import json
import math
import sys

import fit_draws
import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special, stats

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


class Words:
    """A generator, and its bit generator, that deals out given 32-bit words to float32 draws."""

    def __init__(self, words):
        self.words = np.append(words, [0] * (len(words) % 2)).astype("int32").view("uint64")
        self.bit_generator = self

    def random_raw(self, size):
        dealt, self.words = self.words[:size], self.words[size:]
        return dealt


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_the_upper_end_of_a_uniform_never_occurs(dtype):
    """Even for an interval as short as one may be."""

    class Last(Words):
        def random(self, size):
            return np.full(size, np.nextafter(1.0, 0.0))

    step = float(np.spacing(dtype.type(1)))
    drawn = sampling.uniform((9,), Last(np.full(9, 2**31 - 1)), 1.0, 1.0 + 16 * step, dtype)
    assert drawn.tolist() == [1.0 + 15 * step] * 9


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
    edge.bit_generator = Words([2**31 - 1, -(2**31), 2**31 - 65, -(2**31) + 65])
    for rng, size in ((edge, 4), (np.random.default_rng(seed), 50)):
        drawn = sampling.truncated_normal((size,), rng, mean, stddev, dtype).astype("float64")
        assert (drawn <= mean + 2 * stddev).all()
        assert (drawn >= mean - 2 * stddev).all()


@pytest.mark.false_alarm(1e-10)  # 400 spreads of 1e4 float32 draws, beyond 7 standard errors
@given(
    st.sampled_from(["normal", "truncated_normal", "uniform", "orthogonal"]),
    st.sampled_from([0.0, 1.0, -300.0, 0.7]),
    st.floats(-9, 0).map(lambda power: 10**power),
    st.sampled_from([*DTYPES[:2], np.dtype(ml_dtypes.bfloat16)]),
    st.integers(0, 2**32),
)
@settings(max_examples=400)
def test_a_narrow_draw_keeps_its_spread_or_is_refused(law, mean, spread, dtype, seed):
    """Against the float64 draw, rounded by NumPy: how much of its variance is rounding."""

    def draw(shape, dtype):
        first = {"uniform": (mean - spread, mean + spread), "orthogonal": (10 * spread,)}
        arguments = first.get(law, (mean, spread))
        return getattr(sampling, law)(shape, np.random.default_rng(seed), *arguments, dtype)

    wide = draw((100, 100), DTYPES[2])
    rounding = np.var(wide.astype(dtype).astype("float64") - wide) / wide.var()
    try:
        drawn = draw((100, 100), dtype).astype("float64")
    except ValueError as error:
        assert "`dtype` must be one whose numbers near" in str(error)
        assert rounding > (0.002 if law == "uniform" else 0.012)
        with pytest.raises(ValueError, match="`dtype` must be one whose numbers near"):
            draw((100, 1), dtype)  # however few they are
    else:
        assert rounding < 0.022
        error = 0.08 if dtype == "float32" else 0.02  # float32 has random numbers of its own
        assert drawn.std() == pytest.approx(wide.std(), rel=error)


@pytest.mark.parametrize("dtype", [*DTYPES, np.dtype(ml_dtypes.bfloat16)], ids=str)
def test_what_people_draw_in_half_precision_is_the_float64_draw_rounded(dtype):
    """N(1, 0.02²), DCGAN's start of a normalisation's scale, is near the limit of bfloat16."""
    for mean, stddev in ((0.0, 0.02), (0.0, 0.05), (0.0, 1e-3), (1.0, 0.02), (1.0, 0.0)):
        wide, drawn = (
            sampling.normal((50, 50), np.random.default_rng(4), mean, stddev, kind)
            for kind in (DTYPES[2], dtype)
        )
        if dtype == "float32" and stddev:
            assert drawn.std() == pytest.approx(wide.std(), rel=0.1)
        else:
            assert np.array_equal(drawn, wide.astype(dtype))


def test_a_float64_draw_can_be_too_narrow_as_well():
    with pytest.raises(ValueError, match="near 1 are at most 5e-18 apart"):
        sampling.normal((9,), np.random.default_rng(0), 1.0, 1e-17, DTYPES[2])


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


# ---- float32: one word a value -----------------------------------------------------------------

LAWS = {
    "uniform": lambda shape, rng: sampling.uniform(shape, rng, -0.3, 0.3, np.dtype("float32")),
    "truncated": lambda shape, rng: sampling.truncated_normal(shape, rng, 0.0, 0.02, DTYPES[1]),
    "normal": lambda shape, rng: sampling.normal(shape, rng, 0.0, 0.05, DTYPES[1]),
    "moved": lambda shape, rng: sampling.normal(shape, rng, 3.0, 0.5, DTYPES[1]),
}
# Every 5,000th word above 0, and all those near 0, the cut, the end of the tail and the last one.
CUT_WORD = round(sampling.WITHIN * 2**31)
ENDS = (range(1, 3000), range(CUT_WORD - 3000, CUT_WORD + 3000), range(2**31 - 3000, 2**31))
GRID = np.unique(np.concatenate([np.arange(1, 2**31, 5000), *ENDS]))
STDDEVS = [1.0, 0.05, math.sqrt(2 / 4096), 1.7, 3e-20]


def draw_words(law, words, *arguments):
    """Return what a law of `sampling` makes of given words, in float64."""
    rng = Words(words)
    return law((len(words),), rng, *arguments, DTYPES[1]).astype("float64")


def in_ulps(drawn, exact):
    """Return the errors in units of the last place of the exact float32 number."""
    return np.abs(drawn - exact) / np.spacing(np.abs(exact).astype("float32")).astype("float64")


@pytest.mark.parametrize("stddev", STDDEVS)
def test_a_truncated_draw_is_scipy_s_quantile(stddev):
    """At most 5 units off, for the word as float32 holds it; half of the draws at most 0.6."""
    drawn = draw_words(sampling.truncated_normal, GRID, 0.0, stddev)
    v = GRID.astype("float32").astype("float64") / 2**31
    errors = in_ulps(drawn, stddev * math.sqrt(2) * special.erfinv(sampling.WITHIN * v))
    assert errors.max() < 5
    assert np.median(errors) < 0.7
    assert np.array_equal(draw_words(sampling.truncated_normal, -GRID, 0.0, stddev), -drawn)


@pytest.mark.parametrize("stddev", STDDEVS)
def test_a_normal_draw_is_scipy_s_quantile(stddev):
    """At most 9 units off within the cut and 1 beyond, for the word itself."""
    drawn = draw_words(sampling.normal, GRID, 0.0, stddev)
    middle, far = GRID <= CUT_WORD - 200, GRID > CUT_WORD + 200  # between them either may decide
    exact = stddev * math.sqrt(2) * special.erfinv(GRID / 2**31)
    assert in_ulps(drawn, exact)[~far].max() < 9
    assert np.median(in_ulps(drawn, exact)[middle]) < 0.8
    exact = stddev * math.sqrt(2) * special.erfcinv(1 - (GRID + 0.5) / 2**31)
    assert in_ulps(drawn, exact)[far].max() < 1
    symmetric = draw_words(sampling.normal, -1 - GRID, 0.0, stddev)
    assert np.array_equal(symmetric[far], -drawn[far])
    assert drawn[-1] == pytest.approx(-stddev * stats.norm.ppf(2**-33), rel=1e-7)


def test_the_two_formulas_of_the_normal_meet_and_its_ends_are_the_largest():
    """A larger word gives a larger number, but for 9 units of error at most; so at the seam."""
    drawn = draw_words(sampling.normal, GRID, 0.0, 1.0)
    assert (np.diff(drawn) > -9 * np.spacing(np.float32(2))).all()
    low, high = draw_words(sampling.normal, [-(2**31), 2**31 - 1], 0.0, 1.0)
    assert -low == high == drawn.max()
    assert high == pytest.approx(6.338, abs=5e-4)


@given(st.floats(1 / sampling.EASY, sampling.EASY))
@settings(max_examples=1000)
def test_no_float32_draw_leaves_its_bounds(scale):
    """Whatever the scale: the last words of both signs are the ones that rounding could carry."""
    last = np.concatenate([np.arange(2**31 - 1200, 2**31), np.arange(-(2**31), -(2**31) + 1200)])
    assert np.abs(draw_words(sampling.truncated_normal, last, 0.0, scale)).max() <= 2 * scale
    assert np.abs(draw_words(sampling.uniform, last, -scale, scale)).max() < scale


def test_the_constants_are_the_best_ones():
    """Fitted anew they are no better: 1e-8 in the middle, and 2e-8 in the tail.

    A unit of float32 is 6e-8 at least. The first five are used as float32 holds them.
    """
    v = np.linspace(1e-3, 1, 20_001)
    exact = math.sqrt(2) * special.erfinv(sampling.WITHIN * v) / v
    t = np.linspace(0.25, (1 - sampling.WITHIN) ** (1 / 16), 20_001)
    far = math.sqrt(2) * special.erfcinv(t**16)
    middle = [*np.float32(sampling.MIDDLE[:5]), *sampling.MIDDLE[5:]]
    for stored, fit, model, x, wanted, good in (
        (np.array(middle, "float64"), fit_draws.fit_middle, fit_draws.middle, v, exact, 1e-8),
        (sampling.TAIL, fit_draws.fit_tail, fit_draws.tail, t**16, far, 2e-8),
    ):
        ours, best = (np.abs(model(c, x) / wanted - 1).max() for c in (stored, fit()))
        assert ours < 1.2 * best < 1.2 * good


@pytest.mark.parametrize("kind", sampling.BIT_GENERATORS)
@pytest.mark.parametrize("name", LAWS)
def test_neither_blocks_nor_threads_nor_the_size_change_a_draw(name, kind, monkeypatch):
    """And the generator goes on from the same place, its half-used word included."""

    def drawn(size):
        rng = np.random.Generator(getattr(np.random, kind)(3))
        rng.integers(9, dtype="uint32")  # leaves half a word where the generator keeps one
        values = LAWS[name]((size,), rng)
        return values, rng.integers(2**32, size=5, dtype="uint32").tolist()

    whole, after = drawn(10_001)
    for threads, block in ((1, 100), (2, 2**16), (3, 64), (7, 512)):
        monkeypatch.setattr(sampling, "BLOCK", block)
        monkeypatch.setattr(sampling, "PER_THREAD", 1000)
        cores = range(threads)
        monkeypatch.setattr(sampling.os, "sched_getaffinity", lambda _, c=cores: c, False)
        again, after_again = drawn(10_001)
        assert np.array_equal(again, whole)
        assert after_again == after
    assert np.array_equal(drawn(333)[0], whole[:333])


def test_threads_start_for_large_arrays_only_and_never_in_the_browser(monkeypatch):
    counts = []

    class Pool(sampling.ThreadPoolExecutor):
        def __init__(self, threads):
            counts.append(threads)
            super().__init__(threads)

    monkeypatch.setattr(sampling, "ThreadPoolExecutor", Pool)
    monkeypatch.setattr(sampling.os, "sched_getaffinity", lambda _: range(4), False)
    large, small = (3 * 2**20,), (2**21 - 1,)
    LAWS["uniform"](small, np.random.default_rng(0))
    LAWS["uniform"](large, np.random.Generator(np.random.SFC64(0)))
    assert counts == []
    expected = LAWS["uniform"](large, np.random.default_rng(0))
    assert counts == [3]
    monkeypatch.setattr(sys, "platform", "emscripten")
    assert np.array_equal(LAWS["uniform"](large, np.random.default_rng(0)), expected)
    assert counts == [3]


@pytest.mark.parametrize(
    ("name", "digest"),
    [
        ("uniform", "a15fd9c30934173d"),
        ("truncated", "8cf6a5bf6a45faa9"),
        ("normal", "11039b93174a0a3e"),
        ("moved", "8e8969ba48c4a559"),
    ],
)
def test_a_seed_gives_the_same_bits_everywhere(name, digest):
    """On every NumPy, processor and in the browser; the first million numbers of seed 0."""
    values = LAWS[name]((2**20,), np.random.default_rng(0))
    assert hashlib.sha256(values.astype("<f4").tobytes()).hexdigest()[:16] == digest


def test_a_zero_vector_reflects_too():
    """A column of one number that is 0, which happens once in 2³² draws."""
    q = sampling.orthogonal((1, 1), Words([0, 0]), 1.0, DTYPES[1])
    assert abs(q[0, 0]) == 1


@pytest.mark.parametrize("shape", [(1, 1), (5, 5), (130, 70), (70, 130), (3, 3, 20, 200)])
def test_a_float32_matrix_is_orthogonal_to_its_precision(shape):
    Q = sampling.orthogonal(shape, np.random.default_rng(2), -1.5, DTYPES[1])
    assert Q.dtype == "float32" and Q.shape == shape and Q.flags.c_contiguous
    Q = Q.reshape(-1, shape[-1]).astype("float64") / 1.5
    gram = Q.T @ Q if len(Q) >= shape[-1] else Q @ Q.T
    assert np.abs(gram - np.eye(len(gram))).max() < 1e-6
