"""The distributions of the initializers, against SciPy's.

False alarms. The seeds are fixed, so a test that passes goes on passing; what is stated is the
probability that a *correct* package fails over a fresh draw of the seeds. Each statistical
comparison below is made at ALPHA = 1e-11, and there are fewer than 500. The Kolmogorov-Smirnov
limits are exact; the normal limits of means are, this far out, good to a factor of 5. So the whole
file's probability is below 1e-8.

Power. A sample has 10^6 numbers: a Kolmogorov-Smirnov distance of 0.0036 and a standard deviation
wrong by 0.5% are seen, where 3% in the scale makes 0.0072 of distance.
"""

import functools
import math

import numpy as np
import pytest
from scipy import stats

from initcore.initializers import (
    DISTRIBUTIONS,
    MODES,
    GlorotNormal,
    GlorotUniform,
    HeNormal,
    HeUniform,
    LecunNormal,
    LecunUniform,
    Orthogonal,
    RandomNormal,
    RandomUniform,
    TruncatedNormal,
    VarianceScaling,
)

pytestmark = pytest.mark.false_alarm(1.2e-9)

ALPHA = 1e-11
Z = stats.norm.isf(ALPHA / 2)  # a normal statistic lies beyond ± Z with probability ALPHA
SHAPE = (400, 2500)  # oblong, so that fan_in, fan_out and both their means differ by far
FAN_IN, FAN_OUT = SHAPE

# Standard deviations written out, not taken from the code under test.
N = {"fan_in": 400, "fan_out": 2500, "fan_avg": 1450, "fan_geo_avg": 1000}


def truncated(std):
    """Return the zero-mean normal cut at ±2 of its own std before the cut; `std` is that after."""
    return stats.truncnorm(-2, 2, scale=std / 0.87962566103423978)


def symmetric_uniform(limit):
    return stats.uniform(-limit, 2 * limit)


NAMED = {
    GlorotNormal: truncated(math.sqrt(2 / (FAN_IN + FAN_OUT))),
    GlorotUniform: symmetric_uniform(math.sqrt(6 / (FAN_IN + FAN_OUT))),
    HeNormal: truncated(math.sqrt(2 / FAN_IN)),
    HeUniform: symmetric_uniform(math.sqrt(6 / FAN_IN)),
    LecunNormal: truncated(math.sqrt(1 / FAN_IN)),
    LecunUniform: symmetric_uniform(math.sqrt(3 / FAN_IN)),
    RandomNormal: stats.norm(0, 0.05),
    RandomUniform: stats.uniform(-0.05, 0.1),
    TruncatedNormal: stats.truncnorm(-2, 2, scale=0.05),
}
OF_KIND = {
    "truncated_normal": truncated,
    "untruncated_normal": lambda std: stats.norm(0, std),
    "uniform": lambda std: symmetric_uniform(math.sqrt(3) * std),
}


def ks_distance(sample, cdf):
    """Return the largest distance of the sample's distribution function from `cdf`.

    Of a large sample it is taken at 100,000 of the points, which hides at most 1e-5 of it.
    """
    sample = np.sort(sample, axis=None).astype("float64")
    at = slice(None, None, max(1, sample.size // 100_000))
    expected = cdf(sample[at])
    steps = np.arange(sample.size + 1) / sample.size
    return max(np.max(steps[1:][at] - expected), np.max(expected - steps[:-1][at]))


def ks_limit(size):
    """Return the distance that has at most the probability ALPHA (Massart 1990; exact)."""
    return math.sqrt(math.log(2 / ALPHA) / (2 * size))


def check_distribution(sample, law, slack=0.0):
    """Compare a sample with a law: 3 comparisons at ALPHA, and the bounds for certain.

    `slack` is what rounding to a narrow dtype adds to each of them: half a unit in the last place
    moves a number x by at most eps x / 2, and no law here has more than eps / 2 of its
    probability within such a distance of any point.
    """
    size = sample.size
    low, high = law.support()
    values = sample.astype("float64").ravel()
    assert low <= values.min()
    assert values.max() <= high
    assert ks_distance(values, law.cdf) < ks_limit(size) + slack

    mean, variance, kurtosis = law.stats("mvk")
    std = math.sqrt(variance)
    assert abs(values.mean() - mean) < Z * std / math.sqrt(size) + slack * std
    # The standard error of the mean of the squared deviations from a known mean.
    error = variance * math.sqrt((kurtosis + 2) / size)
    assert abs(np.mean((values - mean) ** 2) - variance) < Z * error + 2 * slack * variance


LAWS = [(cls(seed=1), law) for cls, law in NAMED.items()]
LAWS += [  # means and limits other than the defaults
    (RandomNormal(3.0, 0.5, seed=1), stats.norm(3, 0.5)),
    (TruncatedNormal(-2.0, 1.5, seed=1), stats.truncnorm(-2, 2, loc=-2, scale=1.5)),
    (RandomUniform(1.0, 5.0, seed=1), stats.uniform(1, 4)),
]


@pytest.mark.parametrize(("init", "law"), LAWS, ids=[repr(init) for init, _ in LAWS])
def test_the_distribution_of_each_name(init, law):
    """3 comparisons each, 36 in all: 3.6e-10.

    All draws miss an end of the law, of the probability P = 1e-4, with exp(-N P) < 1e-40.
    """
    values = init(SHAPE, "float64")
    check_distribution(values, law)
    low, high = law.ppf([1e-4, 1 - 1e-4])
    assert values.min() < low
    assert values.max() > high


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
def test_the_distribution_of_each_mode_and_kind(mode, distribution):
    """3 comparisons a pair, 36 in all: 3.6e-10."""
    law = OF_KIND[distribution](math.sqrt(0.7 / N[mode]))
    init = VarianceScaling(0.7, mode, distribution, seed=2)
    check_distribution(init(SHAPE, "float64"), law)


@pytest.mark.parametrize("dtype", ["float16", "float32"])
@pytest.mark.parametrize("cls", [HeNormal, GlorotUniform, RandomNormal, TruncatedNormal])
def test_the_distribution_in_each_dtype(cls, dtype):
    """3 comparisons a pair, 24 in all: 2.4e-10."""
    sample = cls(seed=3)(SHAPE, dtype)
    assert sample.dtype == dtype
    check_distribution(sample, NAMED[cls], slack=float(np.finfo(dtype).eps))


@pytest.mark.parametrize(("init", "law"), LAWS, ids=[repr(init) for init, _ in LAWS])
def test_the_distribution_of_each_name_in_float32(init, law):
    """Those are other numbers: 3 comparisons each, 36 in all: 3.6e-10."""
    check_distribution(init(SHAPE, "float32"), law, slack=float(np.finfo("float32").eps))


@pytest.mark.parametrize(("init", "law"), LAWS[-5:], ids=[repr(init) for init, _ in LAWS[-5:]])
def test_float32_draws_fill_a_thousand_cells_of_equal_probability(init, law):
    """Chi-square of 4 million numbers; 1 comparison each, 5 in all: 5e-11.

    A cell has about 4096 of them: one cell that is 12% off is seen, or all by 3%.
    """
    cells, draws = 1024, init((2048, 2048), "float32").ravel()
    edges = law.ppf(np.arange(1, cells) / cells)
    counts = np.bincount(np.searchsorted(edges, draws), minlength=cells)
    assert stats.chisquare(counts).pvalue > ALPHA


def test_the_tails_of_a_float32_normal_reach_as_far_as_they_should():
    """Of 2^25 numbers, those beyond 2 to 5 standard deviations on each side: 8 binomial tests.

    8e-11. Beyond 5 there should be 9.6 on each side; none would be seen as 6e-5, and 40 as 1e-12.
    """
    z = RandomNormal(stddev=1.0, seed=10)((2**25,), "float32")
    for side in (z, -z):
        for limit in (2, 3, 4, 5):
            beyond = int(np.count_nonzero(side > limit))
            assert stats.binomtest(beyond, z.size, stats.norm.sf(limit)).pvalue > ALPHA
    assert np.abs(z).max() < 6.3380


@pytest.mark.parametrize(
    ("shape", "axes", "fans"),
    [
        ((3, 5, 40, 250), {}, (600, 3750)),
        ((250, 10, 60), {"input_axes": [0], "output_axes": [1, 2]}, (250, 600)),
        ((150_000,), {}, (150_000, 150_000)),
    ],
)
def test_fans_reach_the_distribution(shape, axes, fans):
    """A convolution, an EinsumDense kernel and a vector; 6 comparisons each: 1.8e-10."""
    for mode, n in zip(("fan_in", "fan_out"), fans, strict=True):
        init = VarianceScaling(1.0, mode, seed=5, **axes)
        check_distribution(init(shape, "float64"), truncated(math.sqrt(1 / n)))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("cls", NAMED)
def test_draws_do_not_hang_together(cls, dtype):
    """Neighbours along both axes, and two calls of one stream, are uncorrelated.

    Products of independent numbers: 3 comparisons a name and dtype, 54 in all: 5.4e-10.
    """
    init = cls(seed=np.random.default_rng(7))
    first, second = (init(SHAPE, dtype) / NAMED[cls].std() for _ in range(2))
    pairs = ((first, second), (first[1:], first[:-1]), (first[:, 1:], first[:, :-1]))
    for one, other in pairs:
        assert abs(np.mean(one * other)) < Z / math.sqrt(one.size)


def test_seeds_give_independent_arrays():
    """One number of each of 20,000 seeds: the law across seeds; 3 comparisons: 3e-11."""
    sample = np.array([LecunUniform(seed=s)((3, 1), "float64")[0, 0] for s in range(20_000)])
    check_distribution(sample, symmetric_uniform(1.0))


# ---- orthogonal --------------------------------------------------------------------------

DRAWS = 10_000
ROWS = 8


@functools.cache
def haar(rows, columns, dtype):
    """Return matrices made by QR in float64, and by reflections in float32."""
    init = Orthogonal(seed=np.random.default_rng(8))
    return np.array([init((rows, columns), dtype) for _ in range(DRAWS)], dtype="float64")


both_dtypes = pytest.mark.parametrize("dtype", ["float32", "float64"])


def entry_law(n):
    """Return the law of one coordinate of a uniform point on the sphere in n dimensions."""
    return stats.beta((n - 1) / 2, (n - 1) / 2, loc=-1, scale=2)


def rotations():
    """Return fixed orthogonal matrices that are not the identity, made without the package."""
    reflection = np.eye(ROWS) - 2 / ROWS
    cycle = np.roll(np.eye(ROWS), 1, axis=0)
    return (np.eye(ROWS), reflection, cycle, reflection @ cycle)


@both_dtypes
@pytest.mark.parametrize(("rows", "columns"), [(8, 8), (8, 3), (3, 8)])
def test_every_entry_is_a_coordinate_on_the_sphere(rows, columns, dtype):
    """A row or a column of length 8 is uniform on the sphere; every entry has one law.

    Each of the 64, 24 and 24 entries, 112 comparisons a dtype: 2.2e-9. Without the sign correction
    LAPACK's first row holds one sign only: a distance of 0.5 instead of 0.036.
    """
    draws = haar(rows, columns, dtype)
    for i in range(rows):
        for j in range(columns):
            assert ks_distance(draws[:, i, j], entry_law(8).cdf) < ks_limit(DRAWS)


@both_dtypes
def test_traces_are_standard_normal_and_invariant_under_rotation(dtype):
    """tr(U Q) of a Haar Q has the law of tr(Q) for every orthogonal U.

    Its moments are those of N(0, 1) to a high order (Diaconis and Shahshahani 1994); 1e-3 is
    allowed for the distance of the two laws. Per rotation a Kolmogorov-Smirnov test and two
    moments, 4 rotations: 12 comparisons a dtype: 2.4e-10.
    """
    draws = haar(ROWS, ROWS, dtype)
    for rotation in rotations():
        traces = np.einsum("ij,rji->r", rotation, draws)
        assert ks_distance(traces, stats.norm.cdf) < ks_limit(DRAWS) + 1e-3
        assert abs(traces.mean()) < Z / math.sqrt(DRAWS)
        assert abs(np.mean(traces**2) - 1) < Z * math.sqrt(2 / DRAWS)


@both_dtypes
def test_traces_of_powers(dtype):
    """E[tr Q²] = 1 and Var = 2, E[tr Q³] = 0 and Var = 3 (Diaconis and Shahshahani 1994).

    2 comparisons a dtype: 4e-11.
    """
    draws = haar(ROWS, ROWS, dtype)
    squares = np.einsum("rij,rji->r", draws, draws)
    cubes = np.einsum("rij,rjk,rki->r", draws, draws, draws)
    assert abs(squares.mean() - 1) < Z * math.sqrt(2 / DRAWS)
    assert abs(cubes.mean()) < Z * math.sqrt(3 / DRAWS)


@both_dtypes
def test_determinants_are_fair(dtype):
    """Rotations and reflections in equal parts: 1 comparison a dtype: 2e-11."""
    determinants = np.linalg.det(haar(ROWS, ROWS, dtype))
    assert np.allclose(np.abs(determinants), 1)
    assert abs(determinants.mean()) < Z / math.sqrt(DRAWS)


def test_blocks_of_reflections_make_a_haar_matrix_too():
    """Float32 takes 64 columns at a time: entries and traces of 1,000 matrices of 70 × 70.

    Entries at all corners and at the seam, the trace and those of two rotations, 8 comparisons:
    8e-11. All else as above.
    """
    init = Orthogonal(seed=np.random.default_rng(12))
    draws = np.array([init((70, 70), "float32") for _ in range(1000)], dtype="float64")
    for i, j in ((0, 0), (69, 69), (0, 69), (69, 0), (63, 64)):
        assert ks_distance(draws[:, i, j], entry_law(70).cdf) < ks_limit(1000)
    for turned in (draws, np.roll(draws, 1, axis=1), draws - 2 / 70 * draws.sum(1, keepdims=True)):
        traces = np.einsum("rii->r", turned)
        assert ks_distance(traces, stats.norm.cdf) < ks_limit(1000) + 1e-3


def test_a_large_matrix_has_normal_entries_and_the_gain():
    """Entries of a 1000 × 800 matrix times √1000 are close to N(0, 1), gain 1.7 taken out.

    They are dependent, in the direction of *smaller* fluctuations (each column has length 1):
    the mean square is exact, and the KS limit holds with room. 1 comparison: 1e-11.
    """
    W = Orthogonal(1.7, seed=9)((1000, 800), "float64")
    assert np.mean(W**2) == pytest.approx(1.7**2 / 1000, rel=1e-12)
    assert ks_distance(W * math.sqrt(1000) / 1.7, stats.norm.cdf) < ks_limit(W.size) + 5e-4
