"""What an exercise says to an answer: one line, whatever the answer is."""

import math
from collections import UserList
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest

from initcore.exercises import check, check_with


@pytest.fixture
def lines(capsys):
    """A function that runs a check and returns the lines that it prints."""

    def run(function, *args, **options):
        function(*args, **options)
        return capsys.readouterr().out.splitlines()

    return run


@pytest.mark.parametrize(
    "answer",
    [8, 8.0, Fraction(8), np.int8(8), np.float32(8), np.array(8), np.array(8.0), np.longdouble(8)],
)
def test_any_real_number_is_taken(lines, answer):
    assert lines(check, answer, 8, whole=True) == ["right"]
    assert lines(check, (answer, 1), (8.0, np.float64(1))) == ["right"]
    assert lines(check_with, answer, float, wanted=(7, 9))[-1] == "right"


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        *(("8", "a text"), (b"8", "a text"), (np.str_("8"), "a text"), (np.array("8"), "a text")),
        *(
            (None, "None"),
            (True, "True"),
            (np.False_, "False"),
            ([8], "a list"),
            ((8,), "a tuple, such as a decimal comma makes"),
        ),
        *((np.array([8]), "an array"), (np.zeros((0, 2)), "an array"), (abs, "a function")),
        *((8 + 0j, "a complex number"), (np.complex64(8), "a complex number")),
        *((math.nan, "nan"), (np.float32("nan"), "nan"), (math.inf, "infinite")),
        *((-np.inf, "infinite"), (-(10**400), "an integer too large for a float")),
        *(({8}, "of type set"), ({}, "of type dict"), (Decimal(8), "of type Decimal")),
        *((object(), "of type object"), (UserList([8]), "of type UserList")),
    ],
)
def test_what_is_no_number_is_named_and_starts_no_experiment(lines, answer, kind):
    said = f"a number is asked for, and this is {kind}"
    assert lines(check, answer, 8, whole=True, slips={"a root": np.square}) == [f"not yet: {said}"]
    assert lines(check, (8, answer), (8, 8)) == [f"not yet: number 2: {said}"]
    assert lines(check_with, answer, pytest.fail, wanted=(7, 9)) == [f"not yet: {said}"]


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        *(
            (-8, "the sign is wrong"),
            (-7.5, "the sign is wrong"),
            (7.6, "a whole number is asked for"),
        ),
        *(
            (math.nextafter(8, 9), "a whole number is asked for"),
            (0, "too small"),
            (-0.0, "too small"),
        ),
        *((7, "too small"), (9, "too large"), (800, "too large"), (np.uint8(3), "too small")),
        *(
            (64, "too large: is this the square?"),
            (10**300, "too large"),
            (1 / 8, "a whole number "),
        ),
    ],
)
def test_what_is_wrong_with_a_whole_number(lines, answer, reason):
    said = lines(check, answer, 8, whole=True, slips={"the square": np.sqrt})
    assert said == [f"not yet: {reason}"] or reason[-1] == " " and reason in said[0]


def test_an_answer_is_compared_within_the_tolerance(lines):
    said = {
        **dict.fromkeys((0.9, 1.1, 1.0), "right"),
        **dict.fromkeys((0.89, 0.9 - 1e-9), "not yet: too small"),
        **dict.fromkeys((1.11, 1e9), "not yet: too large"),
    }
    assert {answer: lines(check, answer, 1, within=0.1)[0] for answer in said} == said


@pytest.mark.parametrize("right", [50, 0.731, -20.0])
def test_close_is_a_tenth_off_at_most(lines, right):
    words = ("too small", "too large")
    for factor, number in ((0.91, 0), (1.09, 1), (0.89, 0), (1.11, 1)):
        word = words[number if right > 0 else 1 - number]
        is_close = factor in (0.91, 1.09)
        said = f"not yet: {word}{', but close' if is_close else ''}"
        assert lines(check, factor * right, right) == [said]
    assert lines(check, -right, right) == ["not yet: the sign is wrong"]


def test_several_numbers_are_judged_one_by_one(lines):
    goals, options = (4.605, 3.329), {"within": 0.02, "slips": {"a percentage": lambda p: p / 100}}
    assert lines(check, [4.61, 3.33], goals, **options) == ["right"]
    assert lines(check, np.array(goals), goals, **options) == ["right"]
    assert lines(check, (4.6, 3.2), goals, **options) == ["not yet: number 2: too small, but close"]
    both = ["not yet: number 1: the sign is wrong; number 2: too large: is this a percentage?"]
    assert lines(check, (-4.6, 333), goals, **options) == both
    for answer, found in (
        (4.6, "this is one number"),
        ("4.6", "this is a text"),
        ((), "these are 0"),
    ):
        said = f"not yet: 2 numbers are asked for, and {found}"
        assert lines(check, answer, goals, **options) == [said]
    assert lines(check, np.ones((3, 2)), goals)[0].endswith("these are 3")
    assert lines(check, [[1], "1"], goals)[0].count("a number is asked for") == 2


def spread_of_layer_5(sd):
    return 40 * sd


def test_an_experiment_runs_once_and_says_what_it_measured(lines):
    asked = []

    def q(sd):
        asked.append(sd)
        return spread_of_layer_5(sd)

    for answer, said in ((0.02, "not yet: too small"), (0.025, "right"), (1, "not yet: too large")):
        measured = f"q: {40 * answer:g} (wanted: 0.9 to 1.1)"
        assert lines(check_with, answer, q, wanted=(0.9, 1.1)) == [measured, said]
    assert asked == [0.02, 0.025, 1] and all(type(sd) is float for sd in asked)
    lines(check_with, np.float64(3), q, wanted=(0.9, 1.1), whole=True)
    assert asked[3:] == [3] and type(asked[3]) is int
    printed = lines(check_with, 1 / 3, spread_of_layer_5, wanted=(0, 1), spec=".1f")
    assert printed == ["spread of layer 5: 13.3 (wanted: 0 to 1)", "not yet: too large"]


def test_what_falls_with_the_answer_is_too_large_where_the_answer_is_too_small(lines):
    options = {"wanted": (0.9, 1.1), "falls": True}
    said = {0.5: "not yet: the answer is too small", 1: "right"}
    said |= {2: "not yet: the answer is too large", -2: "not yet: the sign is wrong"}
    for answer, verdict in said.items():
        assert lines(check_with, answer, lambda x: 1 / x, **options)[-1] == verdict


def test_no_experiment_runs_outside_its_range(lines):
    options = {"wanted": (7, 9), "between": (1, 100)}
    said = {0.9: "too small", 101: "too large", -5: "the sign is wrong", 0: "too small"}
    for answer, reason in said.items():
        assert lines(check_with, answer, pytest.fail, **options) == [f"not yet: {reason}"]
    assert lines(check_with, -5, float, wanted=(-6, -4), between=(-9, 9))[-1] == "right"
    said = "not yet: a whole number is asked for"
    assert lines(check_with, 7.6, pytest.fail, **options, whole=True) == [said]


def test_a_slip_is_tried_in_the_experiment_and_only_the_answer_is_printed(lines):
    slips = {"the variance": np.sqrt, "its inverse": lambda sd: 1 / sd}
    options = {"wanted": (0.9, 1.1), "slips": slips}
    for answer, reason in {
        0.025**2: "too small: is this the variance?",
        40.0: "too large: is this its inverse?",
        0.01: "too small",
        0: "too small",
        5e-324: "too small",
        1e300: "too large",
    }.items():
        printed = lines(check_with, answer, spread_of_layer_5, **options)
        assert printed[-1] == f"not yet: {reason}"
        measured = [f"spread of layer 5: {40 * answer:.3g} (wanted: 0.9 to 1.1)"]
        assert printed[:-1] == (measured if answer <= 1e6 else [])
    ratio = {"the ratio": lambda r: 100 * r}
    options = {"wanted": (580, 586), "whole": True, "between": (100, 900), "slips": ratio}
    said = ["not yet: a whole number is asked for: is this the ratio?"]
    assert lines(check_with, 5.83, int, **options) == said


@pytest.mark.parametrize(
    ("function", "options", "message"),
    [
        (check, {"right": "8"}, "`right` must be a finite number"),
        (check, {"right": (8, math.nan)}, "`right` must be"),
        (check, {"right": 8, "within": -1}, "`within` must be a finite number at least 0"),
        (
            check_with,
            {"experiment": lambda sd: math.nan, "wanted": (0, 1)},
            r"`experiment` must be one that measures a number for 8\.0\. Received: experiment=nan",
        ),
    ],
)
def test_a_mistake_in_the_exercise_itself_raises(function, options, message):
    with pytest.raises((TypeError, ValueError), match=message):
        function(8, **options)
