"""Lazy and rich: the stored numbers against what homogeneity and a loop by hand say."""

import numpy as np
import pytest

from initcore.explorers import Lazy
from initcore.explorers.lazy import SCALES, learn

DATA = Lazy.load()["cases"]


@pytest.mark.parametrize("layers", [1, 2])
def test_above_scale_one_the_first_steps_move_the_answers_alike(layers):
    """With f_0 subtracted the error is the same at first, and a step moves W by s^-L as much."""
    one, four = (learn(s, layers, 16, True, steps=1)[2] for s in (1.0, 4.0))
    np.testing.assert_allclose(four, one / 4.0 ** (layers + 1), rtol=1e-4)


@pytest.mark.parametrize("key", DATA)
def test_larger_starts_move_less_and_do_worse(key):
    one = DATA[key]
    assert all(len(one[name]["mid"]) == len(SCALES) for name in one)
    if " 16 " in key:
        return  # a narrow net has too few random features, and does not fit from all starts
    moved, test = one["moved"]["mid"], one["test"]["mid"]
    assert moved[0] == max(moved) and min(moved) <= moved[-1] * 1.05
    assert test[0] == max(test) and test[-1] <= min(test) + 0.02


def test_in_a_narrow_net_subtracting_f_0_does_harm():
    found = [DATA[f"1 16 {which}"]["test"] for which in ("false", "true")]
    assert found[0]["low"][2] > found[1]["high"][2]


def test_without_f_0_all_scales_fit_and_the_test_accuracy_levels_off():
    for layers, width in ((1, 64), (1, 128), (2, 128)):
        one = DATA[f"{layers} {width} true"]
        assert min(one["training"]["mid"]) == 1
        assert abs(one["test"]["mid"][-1] - one["test"]["mid"][-2]) <= 0.02
        assert one["test"]["mid"][0] > one["test"]["mid"][-1]
