"""The theory against SciPy's quadrature, closed forms, published numbers and simulated networks."""

import inspect
import math
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, optimize, special, stats

from initcore import _chi_square, activations, initializers, theory

NAMES = activations.names()
each = pytest.mark.parametrize("name", NAMES)

# The functions themselves are compared with JAX in test_activations.py.
REFERENCE = {name: (activations.get(name), activations.get(name).derivative) for name in NAMES}
KINDS = {
    "mean": (theory.mean_activation, lambda value, slope: value),
    "second": (theory.second_moment, lambda value, slope: value**2),
    "slope": (theory.slope_moment, lambda value, slope: slope**2),
}


def scipy_mean(function, q):
    """Return E[f(√q z)] and E|f| by SciPy's tanh-sinh quadrature between many breakpoints."""
    root = math.sqrt(q)
    near = [p / root for p in (0.25, 0.5, 1, 2, 3, 4, 6, 8, 16, 32, 64) if p / root < 13.0]
    points = sorted({0.0, 0.5, 1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 13.0, *near})
    points = [-p for p in reversed(points)][:-1] + points

    def weighted(z):
        return function(root * z) * np.exp(-0.5 * z * z) / math.tau**0.5

    mean = integrate.tanhsinh(weighted, points[:-1], points[1:])
    size = integrate.tanhsinh(lambda z: np.abs(weighted(z)), points[:-1], points[1:])
    assert mean.error.sum() <= 1e-11 * size.integral.sum()
    return np.array([mean.integral.sum(), size.integral.sum()])


# --- Gaussian means.


@pytest.mark.parametrize("kind", KINDS)
@each
def test_moments_agree_with_scipy(name, kind):
    """σ_w from 0.001 to 100, and q as an array or one by one."""
    ours, pick = KINDS[kind]
    value, slope = REFERENCE[name]
    q = np.array([1e-6, 1e-3, 0.1, 1.0, 9.0, 100.0, 1e4])
    got = ours(name, q)
    for one, result in zip(q, got, strict=True):
        exact, size = scipy_mean(lambda u: pick(value(u), slope(u)), one)
        assert abs(result - exact) <= 1e-10 * size
        np.testing.assert_allclose(ours(name, float(one)), result, rtol=1e-12, atol=1e-12 * size)


@pytest.mark.parametrize("name", sorted({*NAMES} - {*initializers.GAINS}))
def test_the_error_of_calculate_gain_names_the_gain(name):
    """Which the theory computes, and SciPy's quadrature; PyTorch has none for these."""
    with pytest.raises(ValueError, match=f"activation='{name}', whose theory.forward_gain is") as e:
        initializers.calculate_gain(name)
    told = float(str(e.value).rpartition(" ")[2])
    exact, _ = scipy_mean(lambda z: activations.get(name)(z) ** 2, 1.0)
    assert told == pytest.approx(exact**-0.5, rel=1e-3)
    assert theory.forward_gain(name) == pytest.approx(exact**-0.5, rel=1e-9)
    known = {"gelu": 1.534, "silu": 1.677, "elu": 1.245}
    known |= {"relu_squared": math.sqrt(2 / 3), "mish": 1.487}
    assert told == pytest.approx(known.get(name, told), abs=1e-3)


@each
def test_the_slope_of_the_variance_map_agrees_with_scipy(name):
    value, slope = REFERENCE[name]
    for q in (1e-4, 0.5, 100.0):
        exact, size = scipy_mean(lambda u: value(u) * slope(u) * u, q)
        got = theory.variance_slope(name, q, sigma_w2=1.7)
        assert abs(got - 1.7 * exact / q) <= 1e-9 * 1.7 * size / q


def test_large_gains_do_not_fool_the_quadrature():
    """129 Gauss–Hermite nodes give 11.0 for the first; 5.54 is right."""
    assert round(theory.chi("tanh", sigma_w2=100.0), 2) == 5.54
    # E[tanh'(σz)²] tends to ∫ tanh'² / (σ √2π) = 4 / (3 σ √2π)
    for sigma in (1e3, 1e5):
        limit = 4.0 / (3.0 * sigma * math.tau**0.5)
        np.testing.assert_allclose(theory.slope_moment("tanh", sigma**2), limit, rtol=3.0 / sigma)


def test_q_of_zero_and_shapes():
    assert theory.mean_activation("sigmoid", 0.0) == pytest.approx(0.5, rel=1e-14)
    assert theory.second_moment("sigmoid", 0.0) == pytest.approx(0.25, rel=1e-14)
    assert theory.slope_moment("relu", 0.0) == pytest.approx(0.5, rel=1e-12)
    assert theory.slope_moment("tanh", 0.0) == pytest.approx(1.0, rel=1e-12)
    many = theory.second_moment("tanh", np.linspace(0.0, 3.0, 200).reshape(4, 50))
    assert many.shape == (4, 50) and many[0, 0] == 0.0 and (np.diff(many.ravel()) > 0).all()
    assert isinstance(theory.second_moment("tanh", 1), float)


@pytest.mark.parametrize("kink", [0.3, -2.0, 7.0])
@pytest.mark.parametrize("q", [0.04, 1.0, 400.0])
def test_kinks_away_from_zero(kink, q):
    """E[max(u - k, 0)²] = (q + k²) Φ(-k/√q) - k √q φ(k/√q), and the step's mean is Φ(-k/√q)."""
    root = math.sqrt(q)
    tail = special.ndtr(-kink / root)
    density = math.exp(-0.5 * kink**2 / q) / math.tau**0.5
    exact = (q + kink**2) * tail - kink * root * density
    shifted = activations.from_callable(
        lambda u: np.maximum(u - kink, 0.0), lambda u: 1.0 * (u > kink), kinks=(kink,)
    )
    np.testing.assert_allclose(theory.second_moment(shifted, q), exact, rtol=1e-8, atol=1e-22)
    np.testing.assert_allclose(theory.slope_moment(shifted, q), tail, rtol=1e-8, atol=1e-22)


def test_the_rule_never_returns_what_it_does_not_trust():
    step = lambda u: 1.0 * (u > 0.3)  # noqa: E731
    exact = special.ndtr(-0.3)
    assert theory.gaussian_mean(step, 1.0, kinks=[0.3]) == pytest.approx(exact, rel=1e-12)
    with pytest.raises(ValueError, match="smooth between its `kinks`"):
        theory.gaussian_mean(step, 1.0)
    with pytest.raises(ValueError, match="smooth between its `kinks`"):
        theory.gaussian_pair_mean(lambda u, v: np.sin(100 * u) * np.sin(100 * v), 0.5)
    # oscillations take halvings of the panels, and are found
    for q in (1.5, 1e4):
        exact = 0.5 * (1.0 - math.exp(-2.0 * q))
        assert theory.second_moment(np.sin, q) == pytest.approx(exact, rel=1e-8)
    with pytest.raises(ValueError, match="must be smooth between"):  # up to any q
        theory.fixed_points(np.sin, 2.0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ValueError, match="must be finite"):
            theory.gaussian_mean(np.exp, 1e8)
        with pytest.raises(ValueError, match="must be finite"):  # and a sum that is no number
            theory.gaussian_mean(lambda u: np.where(u > 0, np.inf, -np.inf), 1.0, kinks=[0.0])
        with pytest.raises(ValueError, match="must be finite"):
            theory.second_moment("relu", 1e308)


@given(st.floats(-4.0, 4.0), st.floats(-2.0, 2.0), st.floats(1e-6, 1e4), st.integers(0, 6))
def test_polynomials_are_exact(a, b, q, power):
    """E[(√q z)^k] = q^(k/2) (k - 1)!! for even k, else 0."""
    moment = q ** (power / 2) * math.prod(range(1, power, 2)) if power % 2 == 0 else 0.0
    got = theory.gaussian_mean(lambda u: a * u**power + b, q)
    size = abs(a) * q ** (power / 2) * 15.0 + abs(b)
    assert abs(got - (a * moment + b)) <= 1e-10 * size + 1e-280


# --- The variance map, its trajectory and its fixed points.


def test_the_variance_map_is_the_moment_scaled_and_shifted():
    q = np.array([0.0, 0.5, 2.0])
    wanted = 1.7 * theory.second_moment("gelu", q) + 0.3
    np.testing.assert_allclose(theory.variance_map("gelu", q, 1.7, 0.3), wanted, rtol=1e-15)
    np.testing.assert_allclose(theory.variance_map("relu", 3.0, 2.0), 3.0, rtol=1e-14)
    np.testing.assert_allclose(theory.variance_map("linear", 3.0, 2.0, 0.5), 6.5, rtol=1e-14)


def test_a_trajectory_iterates_the_map():
    q = theory.variance_trajectory("tanh", 5, 0.7, 1.3, 0.1)
    assert q.shape == (5,) and q[0] == 0.7
    np.testing.assert_allclose(q[1:], theory.variance_map("tanh", q[:-1], 1.3, 0.1), rtol=1e-14)
    np.testing.assert_allclose(
        theory.variance_trajectory("relu", 31, 1.0, 1.0)[-1] ** 0.5, 2.0**-15, rtol=1e-12
    )


def test_trajectories_reach_0_and_infinity_without_a_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        grown = theory.variance_trajectory("linear", 400, 1.0, sigma_w2=100.0)
        gone = theory.variance_trajectory("tanh", 400, 1.0, sigma_w2=0.01)
    np.testing.assert_allclose(grown[:150], 100.0 ** np.arange(150), rtol=1e-11)
    assert np.isinf(grown[-1]) and not np.isnan(grown).any() and gone[-1] == 0.0


def test_published_numbers_of_small_and_scaled_weights():
    """A layer of 50 at sd 0.01 shrinks by 0.0707; q₅ is 0.1279 at 1/√n."""
    small = theory.variance_trajectory("tanh", 5, 1e-4 * 100, sigma_w2=1e-4 * 50)
    np.testing.assert_allclose(np.sqrt(small[4] / small[3]), 0.0707, rtol=1e-3)
    assert round(theory.variance_trajectory("tanh", 5, 1.0)[-1], 4) == 0.1279


@pytest.mark.parametrize(
    "name, sigma_w2, sigma_b2",
    [("tanh", 2.25, 0.0), ("tanh", 1.2, 0.05), ("sigmoid", 103.0, 0.0), ("softplus", 0.4, 0.2)]
    + [("selu", 1.0, 0.0), ("relu", 1.5, 0.3), ("softsign", 4.0, 0.0), ("tanh", 0.5, 1e-15)],
)
def test_the_fixed_point_agrees_with_scipy(name, sigma_w2, sigma_b2):
    value, _ = REFERENCE[name]

    def gap(log_q):
        q = math.exp(log_q)
        return (sigma_w2 * scipy_mean(lambda u: value(u) ** 2, q)[0] + sigma_b2) / q - 1.0

    q = theory.fixed_point(name, sigma_w2, sigma_b2)
    exact = math.exp(optimize.brentq(gap, math.log(q) - 0.1, math.log(q) + 0.1, xtol=1e-13))
    np.testing.assert_allclose(q, exact, rtol=1e-8)
    reached = theory.variance_trajectory(name, 400, 1.0, sigma_w2, sigma_b2)[-1]
    np.testing.assert_allclose(q, reached, rtol=1e-8)
    stable = [point for point in theory.fixed_points(name, sigma_w2, sigma_b2) if point.stable]
    assert len(stable) == 1 and stable[0].q == pytest.approx(q, rel=1e-14)
    np.testing.assert_allclose(stable[0].slope, theory.variance_slope(name, q, sigma_w2))


def test_fixed_points_at_0_1_and_infinity():
    assert theory.fixed_point("relu", 1.0) == 0.0
    assert theory.fixed_point("relu", 2.0) == 1.0
    assert theory.fixed_point("relu", 2.1) == math.inf
    assert theory.fixed_point("linear", 1.0, 0.5) == math.inf
    assert theory.fixed_point("tanh", 0.0) == 0.0
    assert theory.fixed_point("sigmoid", 1e-13) == pytest.approx(0.25e-13, rel=1e-9)
    (only,) = theory.fixed_points("relu", 2.0)
    assert only.q == 0.0 and not only.stable and only.slope == pytest.approx(1.0)


def test_selu_holds_variance_one_and_mean_zero():
    """Klambauer et al. (2017): gain 1, not the 3/4 of some libraries, is the fixed point."""
    assert theory.mean_activation("selu", 1.0) == pytest.approx(0.0, abs=1e-14)
    assert theory.second_moment("selu", 1.0) == pytest.approx(1.0, rel=1e-13)
    assert theory.fixed_point("selu", 1.0) == pytest.approx(1.0, rel=1e-10)
    at_50 = theory.variance_trajectory("selu", 50, 1.0, 0.75**2)[-1]
    assert theory.variance_trajectory("selu", 50, 1.0, 1.0)[-1] == pytest.approx(1.0, rel=1e-9)
    assert 0.15 < math.sqrt(at_50) < 0.25


def test_the_moment_matched_gain_of_gelu_is_an_unstable_fixed_point():
    gain = theory.forward_gain("gelu")
    assert round(gain, 3) == 1.534
    zero, one = theory.fixed_points("gelu", gain**2)
    assert zero.stable and zero.q == 0.0
    assert not one.stable and one.q == pytest.approx(1.0, rel=1e-9) and one.slope > 1.1
    assert math.sqrt(theory.variance_trajectory("gelu", 50, 1.0, 2.0)[-1]) < 1e-4


# --- χ and the critical line.


def test_chi_is_the_slope_moment_at_the_fixed_point():
    q = theory.fixed_point("tanh", 1.5, 0.05)
    exact = 1.5 * scipy_mean(lambda u: REFERENCE["tanh"][1](u) ** 2, q)[0]
    np.testing.assert_allclose(theory.chi("tanh", 1.5, 0.05), exact, rtol=1e-8)
    assert theory.chi("tanh", 1.5, q=0.0) == pytest.approx(1.5, rel=1e-12)
    assert theory.chi("tanh", 0.6) == pytest.approx(0.6, rel=1e-12)  # the fixed point is 0
    for sigma_w2 in (1.0, 2.0, 3.0):  # 0, 1 and infinity
        assert theory.chi("relu", sigma_w2) == pytest.approx(sigma_w2 / 2, rel=1e-12)
    assert theory.chi("gelu", 3.0, 1.0) == pytest.approx(1.5, rel=1e-9)


def test_the_published_critical_lines():
    """tanh 1.424 at 0.01 and 1.761 at 0.05; ReLU 2; sigmoid σ_w = 10.15."""
    assert theory.critical_line("tanh", [0.0, 0.01, 0.05]).round(3).tolist() == [1.0, 1.424, 1.761]
    np.testing.assert_allclose(theory.critical_line("relu", [0.0, 0.3]), 2.0, rtol=1e-12)
    leaky = activations.make_leaky_relu(0.2)
    assert theory.critical_line(leaky, 0.1) == pytest.approx(2 / 1.04, rel=1e-12)
    assert theory.critical_line("linear", 0.1) == pytest.approx(1.0, rel=1e-12)
    assert round(math.sqrt(theory.critical_line("sigmoid", 0.0)), 2) == 10.15
    assert theory.critical_line("gelu", 0.0) == pytest.approx(4.0, rel=1e-9)


@pytest.mark.parametrize("name", ["tanh", "sigmoid", "centred_sigmoid", "elu", "selu", "softsign"])
def test_chi_is_1_on_the_critical_line(name):
    sigma_b2 = np.array([[1e-4, 0.02], [0.3, 2.0]])
    line = theory.critical_line(name, sigma_b2)
    assert line.shape == (2, 2)
    for w2, b2 in zip(line.ravel(), sigma_b2.ravel(), strict=True):
        assert theory.chi(name, w2, b2) == pytest.approx(1.0, abs=1e-9)
        assert theory.chi(name, 1.01 * w2, b2) > 1.0 > theory.chi(name, 0.99 * w2, b2)
    assert isinstance(theory.critical_line(name, 0.1), float)


def test_no_critical_line():
    with pytest.raises(ValueError, match="`sigma_b2`.*softplus has a critical point"):
        theory.critical_line("softplus", 0.1)


# --- The correlation map.

CORRELATIONS = (-1.0, -1 + 1e-12, -0.99, -0.3, 0.0, 0.5, 0.9, 0.9999, 1 - 1e-8, 1 - 1e-12, 1.0)


@pytest.mark.parametrize("q", [1e-6, 1.0, 100.0, 1e4])
@pytest.mark.parametrize("slope", [0.0, 0.01, 0.3, -1.0, 1.0])
def test_the_relu_family_has_closed_forms(slope, q):
    """φ(z) = s z + d |z| with s, d = (1 ± a)/2, and E|uv| is that of Cho and Saul (2009)."""
    act = activations.make_leaky_relu(slope)
    s2, d2 = ((1 + slope) / 2) ** 2, ((1 - slope) / 2) ** 2
    c = np.array(CORRELATIONS)
    root = np.sqrt((1 - c) * (1 + c))
    exact = (s2 * c + d2 * 2 / np.pi * (root + c * np.arcsin(c))) / (s2 + d2)
    np.testing.assert_allclose(theory.correlation_map(act, c, q, 2.0), exact, rtol=0, atol=1e-10)
    exact = (s2 + d2 * 2 / np.pi * np.arcsin(c)) / (s2 + d2)
    np.testing.assert_allclose(theory.correlation_slope(act, c, q, 2.0), exact, rtol=0, atol=1e-8)


@pytest.mark.parametrize("q", [1e-6, 0.01, 1.0, 100.0, 1e4])
def test_the_error_function_has_a_closed_form(q):
    """Williams (1998): E[erf(u) erf(v)] = (2/π) asin(2qc / (1 + 2q)); without parity or bias."""
    act = activations.from_callable(
        special.erf, lambda u: 2 / math.pi**0.5 * np.exp(-np.minimum(u * u, 700.0)), name="erf"
    )
    c = np.array(CORRELATIONS)
    full = math.asin(2 * q / (1 + 2 * q))
    exact = np.arcsin(2 * q * c / (1 + 2 * q)) / full
    np.testing.assert_allclose(theory.correlation_map(act, c, q, 2.0), exact, rtol=0, atol=1e-10)
    share = 1.3 * 2 / np.pi * full / (1.3 * 2 / np.pi * full + 0.4)
    got = theory.correlation_map(act, c, q, 1.3, 0.4)
    np.testing.assert_allclose(got, share * exact + 1 - share, rtol=0, atol=1e-10)


@pytest.mark.parametrize("kink", [0.4, -1.5])
@pytest.mark.parametrize("q", [0.3, 30.0])
def test_pairs_with_kinks_away_from_zero(kink, q):
    """P(u > k, v > k) = Φ(-h) - 2 T(h, √((1-c)/(1+c))), h = k/√q, with the function of Owen."""
    h = kink / math.sqrt(q)
    for c in CORRELATIONS[1:-1]:
        got = theory.gaussian_pair_mean(
            lambda u, v: 1.0 * ((u > kink) & (v > kink)), c, q, kinks=[kink]
        )
        exact = special.ndtr(-h) - 2.0 * special.owens_t(h, math.sqrt((1 - c) / (1 + c)))
        assert abs(got - exact) < 1e-8


def mehler(name, q, terms=120):
    """Return a_k², with E[φ(u) φ(v)] = Σ a_k² cᵏ, by a fine trapezoid rule per Hermite term."""
    z = np.linspace(-12.0, 12.0, 40_001)
    weighted = REFERENCE[name][0](math.sqrt(q) * z) * np.exp(-0.5 * z * z) / math.tau**0.5
    weighted *= z[1] - z[0]
    before, hermite, squares = np.zeros_like(z), np.ones_like(z), []
    for k in range(terms):
        squares.append((weighted * hermite).sum() ** 2)
        before, hermite = hermite, (z * hermite - math.sqrt(k) * before) / math.sqrt(k + 1)
    return np.array(squares)


@each
def test_correlations_agree_with_a_series(name):
    """An oracle without any integral over two variables; its own error is below 1e-7."""
    for q in (0.01, 1.0, 100.0, 1e4):
        squares = mehler(name, q)
        q_next = scipy_mean(lambda u: REFERENCE[name][0](u) ** 2, q)[0]
        for c in (-0.85, -0.3, 0.0, 0.6, 0.85):
            exact = (1.5 * np.polynomial.polynomial.polyval(c, squares) + 0.1) / (
                1.5 * q_next + 0.1
            )
            got = theory.correlation_map(name, c, q, 1.5, 0.1)
            assert abs(got - exact) < 2e-7


@pytest.mark.parametrize("name", ["tanh", "sigmoid", "gelu", "silu", "softplus", "selu"])
@pytest.mark.parametrize("c", [0.999, -0.99])
def test_correlations_near_1_agree_with_scipy_cubature(name, c):
    value, slope = REFERENCE[name]
    q = 4.0

    def integrand(x, function):
        u, v = x[:, 0], x[:, 1]  # the sum and difference, each of unit variance
        first = math.sqrt((1 + c) / 2) * u + math.sqrt((1 - c) / 2) * v
        second = math.sqrt((1 + c) / 2) * u - math.sqrt((1 - c) / 2) * v
        weight = np.exp(-0.5 * (u * u + v * v)) / math.tau
        return function(2.0 * first) * function(2.0 * second) * weight

    def mean(function):
        total = integrate.cubature(
            integrand,
            [-9, -9],
            [9, 9],
            args=(function,),
            rtol=1e-9,
            atol=1e-9,
            max_subdivisions=20_000,
        )
        assert total.status == "converged"
        return float(total.estimate)

    q_next = 1.2 * scipy_mean(lambda u: value(u) ** 2, q)[0] + 0.1
    exact = (1.2 * mean(value) + 0.1) / q_next
    assert abs(theory.correlation_map(name, c, q, 1.2, 0.1) - exact) < 1e-6
    if name != "selu":
        exact = 1.2 * q * mean(slope) / q_next
        assert abs(theory.correlation_slope(name, c, q, 1.2, 0.1) - exact) < 1e-6 * max(1, exact)


def test_correlations_at_the_ends_and_shapes():
    assert theory.correlation_map("gelu", 1.0, 2.0, 1.3, 0.1) == 1.0
    assert theory.correlation_map("tanh", -1.0, 2.0, 1.3) == pytest.approx(-1.0, abs=1e-14)
    assert theory.correlation_map("tanh", np.zeros((2, 3)), 2.0).shape == (2, 3)
    assert theory.correlation_slope("tanh", np.zeros((2, 3)), 2.0).shape == (2, 3)
    assert isinstance(theory.correlation_map("tanh", 0), float)
    assert isinstance(theory.correlation_slope("tanh", 0), float)


@each
@given(c=st.floats(-1.0, 1.0), q=st.floats(1e-6, 1e4), sigma_w2=st.floats(0.01, 100.0))
@settings(max_examples=15)
def test_a_correlation_stays_one(name, c, q, sigma_w2):
    """Between -1 and 1, increasing in c where c ≥ 0, and pulled towards 1 by a bias."""
    got = theory.correlation_map(name, c, q, sigma_w2)
    assert -1.0 <= got <= theory.correlation_map(name, c, q, sigma_w2, 0.5) <= 1.0
    assert got <= theory.correlation_map(name, min(1.0, abs(c) + 0.01), q, sigma_w2) + 1e-12


@pytest.mark.parametrize("name", ["tanh", "gelu", "elu", "softsign"])
def test_the_correlation_slope_is_the_derivative(name):
    c, h = np.array([-0.7, 0.2, 0.9]), 1e-4
    rise = [theory.correlation_map(name, c + s * h, 2.0, 1.5, 0.2) for s in (1, -1)]
    slope = theory.correlation_slope(name, c, 2.0, 1.5, 0.2)
    np.testing.assert_allclose(slope, np.subtract(*rise) / (2 * h), rtol=1e-6)
    q = theory.fixed_point("tanh", 1.5, 0.05)
    at_1 = theory.correlation_slope("tanh", 1.0, q, 1.5, 0.05)
    assert at_1 == pytest.approx(theory.chi("tanh", 1.5, 0.05), rel=1e-9)


def test_a_correlation_trajectory_iterates_the_map_while_q_moves():
    c = theory.correlation_trajectory("tanh", 4, 0.3, 2.0, 1.5, 0.1)
    q = theory.variance_trajectory("tanh", 4, 2.0, 1.5, 0.1)
    assert c.shape == (4,) and c[0] == 0.3
    for layer in range(3):
        assert c[layer + 1] == theory.correlation_map("tanh", c[layer], q[layer], 1.5, 0.1)


def test_he_relu_forgets_its_inputs_although_chi_is_1():
    """Networks have a cosine of 0.98–0.99 at depth 50, between different inputs."""
    c = theory.correlation_trajectory("relu", 50, 0.0, 1.0, 2.0)
    assert 0.98 < c[-1] < 0.99 and (np.diff(c) > 0).all()
    assert theory.chi("relu", 2.0) == pytest.approx(1.0)


def test_correlations_end_at_their_fixed_point():
    for name, w2, b2 in [("tanh", 4.0, 0.05), ("softsign", 12.0, 0.3)]:
        c = theory.correlation_fixed_point(name, w2, b2)
        q = theory.fixed_point(name, w2, b2)
        assert 0.0 < c < 1.0
        assert theory.correlation_map(name, c, q, w2, b2) == pytest.approx(c, abs=1e-10)
        assert theory.correlation_slope(name, c, q, w2, b2) < 1.0
        for start in (0.0, 0.95):
            reached = theory.correlation_trajectory(name, 120, start, q, w2, b2)[-1]
            assert reached == pytest.approx(c, abs=1e-6)
    assert theory.correlation_fixed_point("tanh", 1.2, 0.05) == 1.0
    assert theory.correlation_fixed_point("relu", 2.0) == 1.0
    assert theory.correlation_fixed_point("tanh", 4.0) == pytest.approx(0.0, abs=1e-12)
    assert theory.correlation_fixed_point("tanh", 4.0, 0.05, q=5.0) != pytest.approx(
        theory.correlation_fixed_point("tanh", 4.0, 0.05), abs=1e-3
    )


@pytest.mark.parametrize("sigma_w2", [1.2, 1.5, 3.0])
def test_depth_scales_are_what_trajectories_show(sigma_w2):
    """The rates at which q and c approach their fixed points, in layers 10 to 13."""
    scales = theory.depth_scales("tanh", sigma_w2, 0.05)
    q_star = theory.fixed_point("tanh", sigma_w2, 0.05)
    q = theory.variance_trajectory("tanh", 14, 1.1 * q_star, sigma_w2, 0.05)
    gaps = np.abs(q - q_star)
    np.testing.assert_allclose(scales.xi_q, 3.0 / np.log(gaps[9] / gaps[12]), rtol=1e-3)
    c_star = theory.correlation_fixed_point("tanh", sigma_w2, 0.05)
    start = 0.999 * c_star
    c = theory.correlation_trajectory("tanh", 14, start, q_star, sigma_w2, 0.05)
    gaps = np.abs(c - c_star)
    np.testing.assert_allclose(scales.xi_c, 3.0 / np.log(gaps[9] / gaps[12]), rtol=5e-3)


def test_depth_scales_diverge_on_the_critical_line():
    line = theory.critical_line("tanh", 0.05)
    near = [theory.depth_scales("tanh", line * (1 - gap), 0.05).xi_c for gap in (1e-1, 1e-2, 1e-3)]
    assert near[0] < 0.2 * near[1] < 0.04 * near[2] * 1.1
    assert theory.depth_scales("tanh", line, 0.05).xi_c == math.inf
    assert theory.depth_scales("relu", 2.0) == (math.inf, math.inf)
    assert theory.depth_scales("linear", 0.0, 1.0) == (0.0, 0.0)


@pytest.mark.parametrize("function", [theory.depth_scales, theory.correlation_fixed_point])
@pytest.mark.parametrize("sigma_w2", [1.0, 3.0])
def test_without_a_fixed_point_there_is_no_depth_scale(function, sigma_w2):
    with pytest.raises(ValueError, match="must give q a fixed point above 0"):
        function("relu", sigma_w2)


# --- Gains.


def test_published_gains():
    assert theory.forward_gain("relu") == pytest.approx(math.sqrt(2), rel=1e-13)
    assert theory.backward_gain("relu", 7.0) == pytest.approx(math.sqrt(2), rel=1e-13)
    assert f"{theory.forward_gain('tanh'):.4f}" == "1.5925"
    assert f"{theory.forward_gain('sigmoid'):.3f}" == "1.846"  # in `calculate_gain`'s docstring
    assert theory.forward_gain("selu") == pytest.approx(1.0, rel=1e-13)
    assert theory.forward_gain("linear", 9.0) == pytest.approx(1.0, rel=1e-13)
    assert theory.forward_gain("tanh", 1e-6) == pytest.approx(1.0, abs=2e-6)
    assert theory.backward_gain("sigmoid", 1e-6) == pytest.approx(4.0, abs=1e-5)
    leaky = activations.make_leaky_relu(0.2)
    assert theory.forward_gain(leaky) == pytest.approx(math.sqrt(2 / 1.04), rel=1e-13)


@each
def test_gains_are_what_they_are_for(name):
    q = np.array([0.1, 1.0, 30.0])
    forward, backward = theory.forward_gain(name, q), theory.backward_gain(name, q)
    for one, f, b in zip(q, forward, backward, strict=True):
        assert theory.variance_map(name, one, f**2) == pytest.approx(one, rel=1e-12)
        assert theory.chi(name, b**2, q=one) == pytest.approx(1.0, rel=1e-12)
    assert isinstance(theory.forward_gain(name), float)
    assert isinstance(theory.backward_gain(name), float)


def test_a_callable_has_a_theory_too():
    assert theory.forward_gain(np.tanh) == pytest.approx(theory.forward_gain("tanh"), rel=1e-13)
    assert theory.chi(np.tanh, 100.0) == pytest.approx(theory.chi("tanh", 100.0), rel=1e-8)
    relu = lambda z: np.maximum(z, 0.0)  # noqa: E731  (its kink is at 0, which is always cut)
    assert theory.forward_gain(relu) == pytest.approx(math.sqrt(2), rel=1e-13)
    assert theory.correlation_map(np.tanh, 0.3, 2.0) == theory.correlation_map("tanh", 0.3, 2.0)


# --- Networks of any width.


def test_digamma_and_trigamma_agree_with_scipy():
    x = np.concatenate([np.geomspace(1e-3, 1e8, 500), np.arange(1, 60) / 2])
    size = np.maximum(np.abs(special.digamma(x)), 1.0)
    assert (np.abs(_chi_square.digamma(x) - special.digamma(x)) <= 2e-15 * size).all()
    np.testing.assert_allclose(_chi_square.trigamma(x), special.polygamma(1, x), rtol=2e-15)


def test_log_q_of_linear_networks():
    """n = 50 and L = 10 give a standard deviation of 0.639; the rest is SciPy's law."""
    moments = theory.linear_log_q(50, 10)
    assert round(math.sqrt(moments.variance), 3) == 0.639
    law = stats.loggamma(25)  # the logarithm of χ²₅₀ / 2
    np.testing.assert_allclose(moments.mean, 10 * (law.mean() - math.log(25)), rtol=1e-9)
    np.testing.assert_allclose(moments.variance, 10 * law.var(), rtol=1e-9)


def simulate(activation, units, depth, replicas, seed):
    """Return q_l / E[q_l] of real networks, one input each, weights N(0, σ_w² / fan_in).

    Shape ``(replicas, depth)``; σ_w² is 1, but 2 behind a ReLU.
    """
    rng = np.random.default_rng(seed)
    x = np.full((replicas, units), 1.5)  # any input of the same mean square has the same law
    scale, q = 1.0 / units, np.empty((replicas, depth))
    for layer in range(depth):
        W = rng.standard_normal((replicas, units, units)) * math.sqrt(scale)
        z = np.einsum("ri,rio->ro", x, W)
        q[:, layer] = (z**2).mean(axis=1) / 1.5**2
        x, scale = activation(z), (1.0 if activation is linear else 2.0) / units
    return q


def linear(z):
    return z


def relu(z):
    return np.maximum(z, 0.0)


@pytest.mark.parametrize("units", [3, 12])
@pytest.mark.parametrize("activation", [linear, relu])
def test_bands_hold_simulated_networks(activation, units):
    """Each tail of 5 of 6 layers holds 5% of 20,000 networks, within 6.8 binomial sds.

    A count leaves that range with probability 2.3e-11; 4 × 5 × 2 counts make 9e-10.
    """
    band = {linear: theory.linear_band, relu: theory.relu_band}[activation](units, 6)
    q = simulate(activation, units, 6, replicas=20_000, seed=5)
    allowed = 6.8 * math.sqrt(0.05 * 0.95 / len(q))
    for layer in (0, 1, 2, 3, 5):
        low, high = band[layer]
        assert abs((q[:, layer] > high).mean() - 0.05) < allowed
        if low > 0.0:
            assert abs((q[:, layer] < low).mean() - 0.05) < allowed
        else:
            assert (q[:, layer] == 0.0).mean() > 0.05 - allowed


@pytest.mark.parametrize("units", [1, 2, 7, 50, 3000])
def test_the_first_layer_is_chi_square(units):
    for function in (theory.linear_band, theory.relu_band):
        for p, accuracy in ((0.5, 1e-4), (0.9, 1e-4), (0.999, 1e-4), (0.999999, 2e-4)):
            exact = stats.chi2.ppf([(1 - p) / 2, (1 + p) / 2], units) / units
            np.testing.assert_allclose(function(units, 3, p)[0], exact, rtol=accuracy)


@pytest.mark.parametrize("units", [1, 4, 50])
def test_the_second_layer_of_a_linear_network_agrees_with_scipy(units):
    """P(AB < t) for two independent factors, as one integral."""
    factor = stats.chi2(units, scale=1 / units)
    for end, t in zip((0.05, 0.95), theory.linear_band(units, 2)[1], strict=True):
        chance = integrate.quad(
            lambda y: factor.pdf(np.exp(y)) * np.exp(y) * factor.cdf(t * np.exp(-y)),  # noqa: B023
            -60.0 / units - 3.0, 4.0, limit=400, points=[-1.0, 0.0],
        )[0]  # fmt: skip
        assert abs(chance - end) < 1e-5


@pytest.mark.parametrize("units", [4, 50, 150])
def test_the_second_layer_of_a_relu_network_agrees_with_scipy(units):
    last = stats.chi2(units, scale=1 / units)
    k = np.arange(1, units + 1)
    weights = stats.binom(units, 0.5).pmf(k)
    for end, t in zip((0.05, 0.95), theory.relu_band(units, 2)[1], strict=True):
        if t == 0.0:
            assert end <= 0.5**units
            continue

        def density(y):
            laws = stats.chi2.pdf(np.exp(y), k, scale=2 / units) * weights
            return laws.sum() * np.exp(y) * last.cdf(t * np.exp(-y))  # noqa: B023

        chance = 0.5**units + integrate.quad(density, -50.0, 4.0, limit=400, points=[-1.0, 0.0])[0]
        assert abs(chance - end) < 1e-5


@pytest.mark.parametrize("function", [theory.linear_band, theory.relu_band])
def test_deep_bands_tend_to_the_log_normal_law(function):
    """Berry and Esseen: at n = 200 and depth 100 the logarithm is normal within about 1%."""
    low, high = np.log(function(200, 100, 0.9))[-1]
    if function is theory.linear_band:
        mean, variance = theory.linear_log_q(200, 100)
    else:
        k = np.arange(1, 201)
        w = stats.binom(200, 0.5).pmf(k)
        means = special.digamma(k / 2) + math.log(4 / 200)
        one = w @ means
        variance = 99 * (w @ (special.polygamma(1, k / 2) + (means - one) ** 2))
        first = theory.linear_log_q(200, 1)
        mean, variance = 99 * one + first.mean, variance + first.variance
    wanted = mean + np.array([-1.6449, 1.6449]) * math.sqrt(variance)
    np.testing.assert_allclose([low, high], wanted, atol=0.02 * math.sqrt(variance))


def test_dead_networks():
    """With one unit half of the networks die in each layer; alive ones are finite."""
    band = theory.relu_band(1, 6)
    assert (band[1:, 0] == 0.0).all() and band[1, 1] > 0.0
    assert (band[5] == 0.0).all()  # 31 in 32 are dead
    dead = theory.relu_band(3, 3, 0.9)  # 1 - (7/8)² = 0.23 are dead in layer 3
    assert dead[0, 0] > 0.0 and (dead[1:, 0] == 0.0).all()


@given(st.integers(1, 400), st.integers(1, 30), st.floats(0.01, 0.999))
@settings(max_examples=25)
def test_bands_are_ordered_and_widen(units, depth, p):
    for function in (theory.linear_band, theory.relu_band):
        band, wider = function(units, depth, p), function(units, depth, 0.5 + 0.5 * p)
        assert band.shape == (depth, 2) and np.isfinite(band).all() and (band >= 0.0).all()
        assert (band[:, 0] <= band[:, 1]).all()
        assert (wider[:, 0] <= band[:, 0]).all() and (band[:, 1] <= wider[:, 1]).all()


# --- Bad arguments.

NOT_POSITIVE = [0.0, -1.0, math.nan, math.inf, True, None, "1", 1j]
NEGATIVE = [-5e-324, *NOT_POSITIVE[1:]]
OUTSIDE = [-1.0000001, 1.1, *NOT_POSITIVE[2:]]
NO_COUNT = [0, -1, 2**70, 1.0, math.nan, True, None, "1"]
NO_PROBABILITY = [0.0, 0.9999999, *NOT_POSITIVE[1:]]
ARGUMENTS = {
    "sigma_w2": NEGATIVE,
    "sigma_b2": NEGATIVE,
    "q": NEGATIVE,
    "q1": NEGATIVE,
    "c": OUTSIDE,
    "c1": OUTSIDE,
    "units": NO_COUNT,
    "depth": NO_COUNT,
    "probability": NO_PROBABILITY,
    "kinks": [[math.nan], ["0"], [True]],
    "activation": ["softpluss", 3],
}
Q_DIVIDES = (
    theory.variance_slope,
    theory.correlation_map,
    theory.correlation_slope,
    theory.correlation_trajectory,
    theory.correlation_fixed_point,
    theory.forward_gain,
    theory.backward_gain,
    theory.gaussian_pair_mean,
)
GOOD = {"activation": "tanh", "sigma_w2": 2.0, "q": 1.0, "q1": 1.0, "c": 0.5, "c1": 0.5}
GOOD |= {"depth": 2, "units": 3, "function": np.multiply}
FUNCTIONS = {
    name: function
    for name, function in vars(theory).items()
    if inspect.isfunction(function)
    and not name.startswith("_")
    and ARGUMENTS.keys() & inspect.signature(function).parameters
}


@pytest.mark.parametrize("function", FUNCTIONS.values(), ids=FUNCTIONS)
def test_every_argument_of_every_function_is_checked(function):
    parameters = inspect.signature(function).parameters
    good = {name: GOOD[name] for name in parameters if name in GOOD}
    if function is theory.gaussian_mean:
        good["function"] = np.tanh
    function(**good)
    for name in ARGUMENTS.keys() & parameters:
        values = NOT_POSITIVE if name[0] == "q" and function in Q_DIVIDES else ARGUMENTS[name]
        for value in values:
            if value is not parameters[name].default:
                with pytest.raises((ValueError, TypeError), match=f"Argument `{name}`"):
                    function(**{**good, name: value})


def test_arrays_are_checked_throughout():
    for call, name in [
        (lambda bad: theory.critical_line("tanh", [0.1, bad]), "sigma_b2"),
        (lambda bad: theory.gaussian_mean(np.tanh, [1.0, bad]), "q"),
        (lambda bad: theory.backward_gain("tanh", [1.0, bad]), "q"),
        (lambda bad: theory.correlation_map("tanh", [0.5, bad]), "c"),
    ]:
        for bad in (-1.1, math.nan, math.inf, "1"):
            with pytest.raises((ValueError, TypeError), match=f"Argument `{name}` must be"):
                call(bad)


def test_a_network_that_is_constant_0_has_neither_gain_nor_correlation():
    nothing = activations.from_callable(np.zeros_like, np.zeros_like, name="nothing")
    for function in (theory.forward_gain, theory.backward_gain):
        with pytest.raises(ValueError, match="not constant 0"):
            function(nothing)
    with pytest.raises(ValueError, match="not constant 0"):
        theory.correlation_map(nothing, 0.5)
    assert theory.correlation_map(nothing, 0.5, sigma_b2=0.1) == 1.0
