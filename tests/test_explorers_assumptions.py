"""The assumption breaker, against the double sum of the chapter."""

import numpy as np
import pytest

from initcore import network
from initcore.explorers import Assumptions
from initcore.explorers.assumptions import BREAKS, DEPTH, STREAM, broken_net


def q(**broken):
    return Assumptions(**dict.fromkeys(broken, True)).reading()["q / q0"].astype(float)


def factors(*broken):
    found = q(**dict.fromkeys(broken))
    return found[1:] / found[:-1]


@pytest.mark.parametrize("harmless", [(), ("pairs",), ("input_mean",)])
def test_what_does_no_harm_alone(harmless):
    """Medians of 40 nets; a net's q scatters by about a seventh a layer, the median by less."""
    np.testing.assert_allclose(q(**dict.fromkeys(harmless)), 1, rtol=0.15)


def test_what_each_costs_alone():
    # n Σx⁴ / (Σx²)² of 100 normals: 3 in the limit, and its median less; that of 40 draws
    # scatters by 3%, which is 1.25 of its own spread by √40
    x = np.random.default_rng(0).normal(size=(20_000, 100))
    kurtosis = np.median(100 * (x**4).sum(axis=1) / (x**2).sum(axis=1) ** 2)
    np.testing.assert_allclose(factors("dependent"), kurtosis, rtol=0.1)
    np.testing.assert_allclose(factors("unequal"), [1, *[1.25] * 5], rtol=0.07)
    # a ReLU layer scatters by √(5/n) = 0.22, the median of 40 of them by 0.04: 3.5 of these
    np.testing.assert_allclose(factors("relu"), [1, *[0.5] * 5], rtol=0.15)
    np.testing.assert_allclose(q(biases=True), 1 + np.arange(DEPTH + 1) / 2, rtol=0.07)


def test_pairs_need_a_mean_of_what_comes_in():
    assert factors("pairs", "input_mean")[0] == pytest.approx(1.5, rel=0.07)
    # a ReLU's outputs have a mean: E[φ]²/E[φ²] = 1/π more
    expected = 0.5 * (1 + 1 / np.pi)
    np.testing.assert_allclose(factors("pairs", "relu")[1:], expected, rtol=0.12)


def test_a_mean_of_the_weights_makes_the_mean_that_it_needs():
    found = factors("mean")
    assert 1.7 < found[0] < 2.2
    np.testing.assert_allclose(found[2:], 100, rtol=0.05)  # n² μ² = n, where units are alike
    assert factors("mean", "input_mean")[0] == pytest.approx(51.5, rel=0.05)


def mean_factors(broken, **options):
    return broken_net(broken, replicas=200, seed=4, **options).mean(axis=1)


@pytest.mark.parametrize(
    ("broken", "expected"),
    [
        ((), [1, 1, 1]),
        (("dependent",), [1, 3 * 100 / 102, None]),  # mean a⁴ / (mean a²)² of 100 normals
        (("pairs",), [1, 1, 1]),  # the cross terms have mean zero
        (("pairs", "input_mean"), [1, 1.5, 1.5]),  # as in the chapter; then z has no mean
        (("unequal",), [1, 1, 1.25]),  # (1.5² + 0.5²) / 2, once the inputs are unequal too
        (("biases",), [1, 1.5, 2]),
        (("relu",), [1, 1, 0.5]),
        (("input_mean",), [1, 1, 1]),
        (("mean",), [1, 2, 1 + 2 + 99]),  # Σa is n times the common part of the units
        (("mean", "input_mean"), [1, 51.5, None]),
    ],
)
def test_a_net_that_breaks_assumptions_has_the_factors_of_the_double_sum(broken, expected):
    """200 nets, means within 8%."""
    found = mean_factors(broken, depth=2)
    for value, known in zip(found, expected):
        if known is not None:
            assert abs(value / known - 1) < 0.08, (broken, found)


def test_broken_net_is_a_plain_forward_pass_where_nothing_is_broken():
    q = broken_net((), n=7, depth=2, batch=3, replicas=1, seed=2)
    (rng,) = network.replica_generators(2, 1, STREAM)
    inputs, weights, _ = rng.spawn(3)
    a = inputs.standard_normal((3, 7))
    expected = [(a**2).mean()]
    for _ in range(2):
        a = a @ weights.standard_normal((7, 7)) / np.sqrt(7)
        expected.append((a**2).mean())
    np.testing.assert_allclose(q[:, 0], np.divide(expected, expected[0]))


@pytest.mark.parametrize("n", [1, 7])
def test_broken_net_runs_at_any_width(n):
    q = broken_net(BREAKS, n=n, depth=2, batch=2, replicas=2)
    assert q.shape == (3, 2) and np.isfinite(q).all()
