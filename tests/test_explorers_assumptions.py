"""The assumption breaker, against the double sum of the chapter."""

import numpy as np
import pytest

from initcore import experiments
from initcore.explorers import Assumptions
from initcore.explorers.assumptions import BREAKS, DEPTH


def q(**broken):
    return Assumptions(**dict.fromkeys(broken, True)).reading()["q / q0"].astype(float)


def factors(*broken):
    found = q(**dict.fromkeys(broken))
    return found[1:] / found[:-1]


def test_a_check_box_for_each_assumption():
    assert list(BREAKS.values()) == list(experiments.BREAKS)
    assert list(Assumptions.traits_with_controls()) == list(BREAKS) == list(Assumptions.MEASURED)
    assert len(list(Assumptions.cases())) == 2 ** len(BREAKS)


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


def test_the_alternative_text_names_what_is_broken():
    assert Assumptions().alt().startswith("Nothing broken:")
    assert Assumptions(mean=True, biases=True).alt().startswith("A2 (mean), A4:")
