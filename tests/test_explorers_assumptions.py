"""The assumption breaker, against the double sum of the chapter."""

import numpy as np
import pytest

from initcore import network
from initcore.explorers import Assumptions
from initcore.explorers.assumptions import BREAKS, DEPTH, broken_net


def test_what_each_costs_alone():
    """The stored medians of 40 nets, each of which scatters by up to a fifth a layer."""

    def factors(name):
        q = Assumptions(**{name: True}).reading()["q / q0"]
        return q[1:] / q[:-1]

    # n Σx⁴ / (Σx²)² of 100 normals: 3 in the limit, and its median less; that of 40 draws
    # scatters by 3%, which is 1.25 of its own spread by √40
    x = np.random.default_rng(0).normal(size=(20_000, 100))
    kurtosis = np.median(100 * (x**4).sum(axis=1) / (x**2).sum(axis=1) ** 2)
    np.testing.assert_allclose(factors("dependent"), kurtosis, rtol=0.1)
    np.testing.assert_allclose(factors("unequal"), [1, *[1.25] * 5], rtol=0.07)
    # a ReLU layer scatters by √(5/n) = 0.22, the median of 40 of them by 0.04: 3.5 of these
    np.testing.assert_allclose(factors("relu"), [1, *[0.5] * 5], rtol=0.15)
    found = Assumptions(biases=True).reading()["q / q0"]
    np.testing.assert_allclose(found, 1 + np.arange(DEPTH + 1) / 2, rtol=0.07)
    np.testing.assert_allclose(factors("mean")[2:], 100, rtol=0.05)  # n² μ² = n: units are alike


@pytest.mark.parametrize(
    ("broken", "expected"),
    [
        ((), [1, 1, 1]),
        (("dependent",), [1, 3 * 100 / 102]),  # mean a⁴ / (mean a²)² of 100 normals
        (("pairs",), [1, 1, 1]),  # the cross terms have mean zero
        (("pairs", "input_mean"), [1, 1.5, 1.5]),  # as in the chapter; then z has no mean
        (("pairs", "relu"), [1, 1, 0.5 * (1 + 1 / np.pi)]),  # a ReLU's outputs have a mean
        (("unequal",), [1, 1, 1.25]),  # (1.5² + 0.5²) / 2, once the inputs are unequal too
        (("biases",), [1, 1.5, 2]),
        (("relu",), [1, 1, 0.5]),
        (("input_mean",), [1, 1, 1]),
        (("mean",), [1, 2, 1 + 2 + 99]),  # Σa is n times the common part of the units
        (("mean", "input_mean"), [1, 51.5]),
    ],
)
def test_a_net_that_breaks_assumptions_has_the_factors_of_the_double_sum(broken, expected):
    """200 nets, means within 8%."""
    found = broken_net(broken, replicas=200, seed=4, depth=2).mean(axis=1)
    np.testing.assert_allclose(found[: len(expected)], expected, rtol=0.08)


@pytest.mark.parametrize("n", [1, 7])
def test_broken_net_is_a_plain_forward_pass_where_nothing_is_broken(n):
    q = broken_net((), n=n, depth=2, batch=3, replicas=1, seed=2)
    (rng,) = network.replica_generators(2, 1, network.BROKEN)
    inputs, weights, _ = rng.spawn(3)
    a = inputs.standard_normal((3, n))
    expected = [(a**2).mean()]
    for _ in range(2):
        a = a @ weights.standard_normal((n, n)) / np.sqrt(n)
        expected.append((a**2).mean())
    np.testing.assert_allclose(q[:, 0], np.divide(expected, expected[0]))
    assert np.isfinite(broken_net(BREAKS, n=n, depth=2, batch=2, replicas=2)).all()
