"""The compromise, against the two conditions of the chapter."""

import numpy as np
import pytest

from initcore.explorers import Compromise
from initcore.explorers.compromise import LAYERS, MODES, predict, widths


def ends(**state):
    table = Compromise(**state).reading()
    return [
        [float(table[name][place]) for name in (way, f"{way}, theory")]
        for way, place in (("signal", LAYERS), ("gradient", 0))
    ]


def test_the_widths_go_from_a_to_b_or_back_and_forth():
    assert widths("taper", 512, 16)[::LAYERS] == [512, 16]
    assert widths("taper", 64, 64) == [64] * (LAYERS + 1)
    assert widths("zigzag", 16, 32) == [16, 32, 16, 32, 16, 32, 16]


@pytest.mark.parametrize(
    ("mode", "signal", "gradient"),
    [("fan_in", 1, 1 / 16), ("fan_out", 16, 1), ("fan_geo_avg", 4, 1 / 4)],
)
def test_a_taper_costs_the_ratio_of_its_ends(mode, signal, gradient):
    """The chapter's net from 512 to 32 units; the widths in between cancel."""
    (forward, forward_theory), (backward, backward_theory) = ends(mode=mode)
    assert forward_theory == pytest.approx(signal, rel=0.005)
    assert backward_theory == pytest.approx(gradient, rel=0.005)
    assert forward == pytest.approx(signal, rel=0.1)
    assert backward == pytest.approx(gradient, rel=0.1)


def test_only_the_arithmetic_mean_loses_in_pairs():
    """Three pairs of 64 and 256 units: 0.64 each, in both directions."""
    for mode in MODES:
        expected = 0.64**3 if mode == "fan_avg" else 1.0
        for measured, theory in ends(shape="zigzag", first=64, second=256, mode=mode):
            assert theory == pytest.approx(expected, rel=0.005)
            assert measured == pytest.approx(expected, rel=0.12)


def test_the_prediction_is_one_where_each_mode_promises_it():
    sizes = widths("taper", 128, 16)
    assert np.allclose(predict(sizes, "fan_in")[0], 1)
    assert np.allclose(predict(sizes, "fan_out")[1], 1)


def test_medians_lie_near_the_theory_in_every_case():
    """A layer of 16 units scatters by a third, one of 64 by a sixth; the median of 20 by less."""
    for name, case in Compromise.load()["cases"].items():
        narrow = min(case["widths"]) < 64
        for mode in MODES:
            for way in case[mode].values():
                off = np.abs(np.log(np.divide(way["mid"], way["theory"])))
                assert off.max() < (0.6 if narrow else 0.25), (name, mode)
