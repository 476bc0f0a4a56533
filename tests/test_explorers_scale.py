"""The scale dial, against the theory and the chapters."""

import numpy as np
import pytest

from initcore import theory
from initcore.explorers import Scale
from initcore.explorers.scale import classifier_at_start


@pytest.mark.parametrize("activation", ["tanh", "sigmoid", "relu"])
def test_the_spread_is_that_of_the_theory(activation):
    """Medians of 20 nets, 100 inputs each: within 6%, where the net has not lost its units."""
    for sd in (0.03, 0.1, 0.14, 0.2):
        table = Scale(activation=activation, sd=sd).reading()
        found, expected = (table[f"pooled spread{more}"].astype(float) for more in ("", ", theory"))
        np.testing.assert_allclose(found[:3], expected[:3], rtol=0.06)


def test_small_weights_of_tanh_shrink_by_the_factor_of_the_chapter():
    spread = Scale(sd=0.01).reading()["pooled spread"].astype(float)
    np.testing.assert_allclose(spread[1:] / spread[:-1], 0.01 * 50**0.5, rtol=0.03)


def test_small_weights_of_the_sigmoid_lose_the_input_and_not_the_spread():
    table = Scale(activation="sigmoid", sd=0.01).reading()
    assert table["pooled spread"][4] > 0.008 and table["spread across inputs"][4] < 1e-8


def test_large_weights_of_tanh_saturate_and_part_the_gradients():
    table = Scale(sd=1.0).reading()
    assert 0.66 < table["saturated"][4] < 0.72
    rms, median = (table[f"{name} gradient"].astype(float) for name in ("RMS", "median"))
    assert rms[0] > 5 * rms[-1] and median[0] < rms[0] / 1000


@pytest.mark.false_alarm(1e-9)
@pytest.mark.parametrize("sd", [0.05, 0.14, 0.3])
def test_rms_of_the_deltas_grows_by_the_root_of_chi(sd):
    """The mean square over 20 nets: 12 of its standard errors (t, 19 degrees of freedom: 1e-9).

    3% more is for the finite width of 50; a missing factor of one layer is at least 30%.
    """
    deltas = classifier_at_start("tanh", sd, 5)["delta rms"]
    ratio = np.square(deltas[0] / deltas[4])
    q = theory.variance_trajectory("tanh", 4, 100 * sd**2, sigma_w2=50 * sd**2)
    chi = np.prod(50 * sd**2 * theory.slope_moment("tanh", q))
    error = ratio.std() / np.sqrt(len(ratio)) / chi
    assert error < 0.08
    assert abs(ratio.mean() / chi - 1) < 12 * error + 0.03


def test_the_labels_are_drawn_independently_of_the_net():
    """At tiny weights each delta of the output is 0.1 / 100, and that of the label -0.9 / 100."""
    deltas = classifier_at_start("tanh", 1e-6, 5)["delta rms"][-1]
    np.testing.assert_allclose(deltas, np.sqrt((9 * 0.1**2 + 0.9**2) / 10) / 100, rtol=1e-6)
