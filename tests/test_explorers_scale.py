"""The scale dial, against the theory and the chapters."""

import numpy as np
import pytest

from initcore.explorers import Scale


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


def test_a_relu_does_not_saturate():
    assert "saturated" not in Scale(activation="relu").reading().columns
