"""The opening picture: its stored numbers against theory, and what stands on the page."""

import numpy as np
import pytest

from initcore import theory
from initcore.explorers import Opening
from initcore.explorers.opening import ACTIVATIONS, DEPTH, LEAST, SHOWN

CASES = Opening.load()["cases"]


def across(weights, activation):
    return np.array(CASES[f"{weights} {activation}"]["across"]["mid"])


def test_small_weights_divide_the_spread_as_theory_says():
    """A tanh near 0 is the identity: each layer multiplies by √(64 · 0.01²); a ReLU by half."""
    tanh, relu = across("normal_0.01", "tanh"), across("normal_0.01", "relu")
    np.testing.assert_allclose(tanh[1:] / tanh[:-1], 0.08, rtol=0.12)
    rms = np.array(CASES["normal_0.01 relu"]["rms"]["mid"])
    ratio = (rms[-1] / rms[0]) ** (1 / (DEPTH - 1))
    assert ratio == pytest.approx(np.sqrt(32) * 0.01, rel=0.05)
    assert np.all(np.diff(relu) < 0)


def test_sigmoid_is_lit_but_blind():
    """Near its middle its slope is 1/4: the spread across inputs dies, the activations do not."""
    spread = across("normal_0.01", "sigmoid")
    there = spread[spread > 0]
    np.testing.assert_allclose(there[1:] / there[:-1], 0.02, rtol=0.1)
    assert (spread == 0).any() and there.min() >= LEAST
    assert min(CASES["normal_0.01 sigmoid"]["rms"]["mid"]) > 0.49
    last = {digit[-1] for digit in CASES["normal_0.01 sigmoid"]["units"]}
    assert len(last) == 1, "the dots of the last layer are the same for all digits"


def test_he_keeps_a_relu_alive_and_large_weights_explode():
    """With He the mean square stays; with standard normal weights it grows 32-fold a layer."""
    he, large = (np.array(CASES[f"{w} relu"]["rms"]["mid"]) for w in ("he_normal", "normal_1"))
    assert 0.5 < he[-1] / he[0] < 1.5
    assert (large[-1] / large[0]) ** (1 / (DEPTH - 1)) == pytest.approx(np.sqrt(32), rel=0.05)


def test_large_weights_saturate_a_tanh():
    """The share beyond 0.99, against that of a normal pre-activation with the fixed point's q."""
    q = 64.0
    for _ in range(50):
        q = theory.variance_map("tanh", q, 64.0)
    z = np.sqrt(q) * np.random.default_rng(0).standard_normal(100_000)
    expected = np.mean(np.abs(np.tanh(z)) > 0.99)
    assert CASES["normal_1 tanh"]["saturated"] == pytest.approx(expected, abs=0.03)


def test_zeros_answer_nothing():
    for activation in ACTIVATIONS:
        assert not across("zeros", activation).any()
    assert set("".join(map("".join, CASES["zeros tanh"]["units"]))) == {"5", "0"}


def test_every_case_has_all_dots_and_the_digits_are_there():
    assert [len(digit) for digit in Opening.load()["shared"]["digits"]] == [64] * 10
    for case in CASES.values():
        rows = [row for digit in case["units"] for row in digit]
        assert len(rows) == 10 * DEPTH and {len(row) for row in rows} == {2 * SHOWN}


def test_values_are_shares_of_full_size():
    values = Opening(weights="normal_1", activation="relu").values()
    assert values.shape == (DEPTH, SHOWN)
    assert values.min() == 0 and values[-1].max() == 1  # off the scale: full size
    assert Opening(digit=3).values().min() < 0
