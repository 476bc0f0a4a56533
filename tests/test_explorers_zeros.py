"""Which zero is fatal: the runs are the chapter's, and each stated reason is what happens."""

import numpy as np
import pytest

from initcore import experiments, probes, training
from initcore.explorers import Zeros
from initcore.explorers.zeros import (
    BIASES,
    REASONS,
    WEIGHTS,
    block_steps,
    reason,
)

CASES = list(Zeros.cases())
DATA = Zeros.load()
DEAD = ("dead ReLU", "dead", "cancelled")


def stored(case):
    return DATA["cases"][" ".join(case)]


@pytest.mark.parametrize("start", [("zero", "zero", "random"), ("zero", "random", "zero")])
def test_an_epoch_is_what_training_without_a_look_makes_of_the_nets(start):
    """The chapter trains the same nets by `train_on_digits`."""
    first, last, biases = start
    run = experiments.train_on_digits(
        "relu",
        [WEIGHTS[first], WEIGHTS[last]],
        biases=[BIASES[biases], "zeros"],
        hidden=(16,),
        optimizer=training.SGD(0.05, momentum=0.9),
        epochs=1,
        replicas=2,
    )
    accuracy, units, rank = block_steps("relu", *start, steps=(45,), replicas=2)
    W, b = run.net.weights[0], run.net.biases[0]
    np.testing.assert_array_equal(accuracy[0], run.history.validation_accuracy[-1])
    np.testing.assert_array_equal(units[0], probes.distinct_units(W, b))
    np.testing.assert_array_equal(rank[0], probes.effective_rank(W))


@pytest.mark.parametrize("case", CASES, ids=" ".join)
def test_the_reason_is_what_happens(case):
    """The sentence of each of the 81 starts, against the runs from it."""
    one = stored(case)
    units, rank, accuracy = (one[name] for name in ("units", "rank", "accuracy"))
    why = one["reason"]
    assert why == reason(*case) and DATA["shared"]["reasons"][why] == REASONS[why]
    all_different = units["low"][-1] == 16
    if why in (*DEAD, "equal"):
        assert set(units["low"] + units["high"]) == {1} and max(rank["high"]) <= 1
        # guessing, or what one unit a layer is worth
        low, high = (0, 0.15) if why in DEAD else (0.2, 0.45)
        assert low <= accuracy["low"][-1] <= accuracy["high"][-1] <= high
        if why in ("dead", "dead ReLU"):
            assert set(rank["high"]) <= ({1} if case[1] == "constant" else {0})
    elif why == "multiples":
        assert all_different and max(rank["high"]) <= 1 and accuracy["high"][-1] < 0.5
    else:
        assert all_different and rank["low"][-1] > 2 and accuracy["mid"][-1] > 0.9
    if why == "last":
        assert units["high"][0] == 1 and units["low"][1] == 16
    if why in ("first", "biases", "multiples", "half dead", "last and biases"):
        assert units["low"][0] == 16


def test_constant_last_weights_act_as_zero_ones():
    """Equal to a unit of the last stored digit; the rank of zero weights is rounding alone."""
    for case in CASES:
        if case[2] == "zero":
            other = stored((*case[:2], "constant", case[3]))
            for name, step in (("accuracy", 0.011), ("rank", 0.11)):
                if name == "rank" and case[1] == "zero":
                    continue
                np.testing.assert_allclose(
                    stored(case)[name]["mid"][1:], other[name]["mid"][1:], atol=step
                )
