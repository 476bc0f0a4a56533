"""Depth and gain: the map against the theory of the signal and what the chapter says."""

import numpy as np
import pytest

from initcore import theory
from initcore.explorers import Depth
from initcore.explorers import depth as module

CASES = Depth.load()["cases"]


def accuracy(depth, gain, end="mid"):
    return CASES[f"{depth} {gain:g}"]["accuracy"][end]


def test_the_signal_is_as_the_exact_law_of_this_width_says():
    for depth in module.DEPTHS:
        # the law of each layer's q is known exactly, that of two layers' ratio needs wide nets:
        # its median lies in the law's band, and every gain scales the same draws
        low, high = theory.relu_band(module.WIDTH, depth)[-1]
        for gain in module.GAINS:
            ratio = CASES[f"{depth} {gain:g}"]["ratio"]
            assert ratio["theory"] == pytest.approx((gain / 2) ** ((depth - 1) / 2), rel=0.01)
            assert low < (ratio["mid"] / ratio["theory"]) ** 2 < high
            assert ratio["low"] < ratio["mid"] < ratio["high"]


def test_accuracies_are_twentieths_in_order():
    for case in CASES.values():
        low, mid, high = (case["accuracy"][end] for end in ("low", "mid", "high"))
        assert 0 <= low <= mid <= high <= 1
        assert all(20 * value == pytest.approx(round(20 * value)) for value in (low, mid, high))


def test_depth_makes_the_gain_matter():
    # two layers train from a gain² of 1 and of 4; thirty from 2 only, as the chapter finds
    assert min(accuracy(2, 1.0), accuracy(2, 2.0), accuracy(2, 4.0)) >= 0.8
    assert accuracy(30, 2.0) >= 0.5
    assert max(accuracy(30, gain, "high") for gain in (0.5, 0.7, 1.0, 4.0, 5.6, 8.0)) <= 0.2
    for depth in module.DEPTHS[2:]:
        best = max(module.GAINS, key=lambda gain: accuracy(depth, gain))
        assert 1.0 <= best <= 2.8


def test_the_line_is_where_the_expected_rms_changes_by_the_bound():
    line = Depth.load()["shared"]["line"]
    for end, factor in (("lower", 1 / module.BOUND), ("upper", module.BOUND)):
        depth, gain = np.array(line["depth"]), np.array(line[end])
        # rounded to three digits, which the power enlarges
        assert np.allclose(np.log((gain / 2) ** ((depth - 1) / 2) / factor), 0, atol=0.1)
