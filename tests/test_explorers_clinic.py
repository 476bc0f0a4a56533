"""A patient of the clinic: the table tells each fault, and `diagnose` finds it in every net."""

import re

import numpy as np
import pytest

from initcore import diagnose
from initcore.explorers import Clinic
from initcore.explorers._base import FILES
from initcore.explorers.clinic import DEPTHS, FAULTS, RULES, examined

CASES = Clinic.load()["cases"]
CODES = {
    "small": ("weight-scale", "layer 1"),
    "large": ("weight-scale", "layer 1"),
    "one": ("weight-scale", "layer 3"),
    "output": ("weight-scale", "layer 4"),
    "equal": ("equal-units", "layer 1"),
    "biases": ("bias-scale", "layer 1"),
    "pixels": ("input-scale", None),
    "alike": ("input-constant", None),
}


def shown(case):
    """Return the faults whose signs a patient shows, by what the page says of them."""
    cosine = np.array(case["table"]["cosine"], float)
    low, forward, high = (np.array(case["forward"][end]) for end in ("low", "mid", "high"))
    least, backward, most = (np.array(case["backward"][end]) for end in ("low", "mid", "high"))
    is_in, is_above = (forward >= low) & (forward <= high), forward > high
    begins = int(np.argmax(forward < low))  # the first row that is too small, or 0
    signs = {
        "nothing": is_in.all() and (backward >= least).all() and (backward <= most).all()
        and (cosine < 1).all() and 0.5 < forward[0] < 2,
        "small": forward[0] < low[0] and (forward[1:-1] < forward[:-2] / 2).all(),
        "large": is_above[:-1].all() and (cosine < 1).all(),
        "one": begins > 0 and is_in[:begins].all() and (forward < low)[begins:-1].all()
        and (backward < least)[:begins].all() and (backward >= least)[begins:].all(),
        "output": is_in[:-1].all() and is_above[-1],
        "equal": set(case["table"].get("distinct", ["64"])[:-1]) == {"1"},
        "biases": np.allclose(forward[:-1], 4.6, rtol=0.1) and cosine[-2] == 1,
        "pixels": forward[0] > 100 and low[0] < forward[0] < high[0],
        "alike": (cosine == 1).all() and is_in.all(),
    }  # fmt: skip
    return {name for name, shows in signs.items() if shows}


@pytest.mark.parametrize("key", CASES)
def test_a_patient_shows_the_signs_of_its_fault_and_no_others(key):
    assert shown(CASES[key]) == {CASES[key]["fault"]}


@pytest.mark.parametrize("activation", RULES)
@pytest.mark.parametrize("depth", DEPTHS)
def test_a_ward_has_every_fault_once(activation, depth):
    ward = [case for key, case in CASES.items() if key.endswith(f" {activation} {depth}")]
    assert sorted(case["fault"] for case in ward) == sorted(FAULTS)


def test_the_page_has_a_sentence_for_every_fault():
    signs = FILES.joinpath("clinic.js").read_text("utf-8").partition("SIGNS = {")[2]
    assert re.findall(r"^  (\w+): \"", signs.partition("};")[0], re.M) == list(FAULTS)


@pytest.mark.parametrize("activation", RULES)
@pytest.mark.parametrize("fault", FAULTS)
def test_every_net_with_the_fault_has_its_code_and_no_other(fault, activation):
    found = diagnose(*examined(fault, activation, 3, nets=20)).findings
    assert {one.found_in for one in found} <= {(20, 20)}
    expected = [CODES[fault]] if fault in CODES else []
    assert [(one.code, one.layer) for one in found] == expected


def test_the_verdict_is_told_when_the_guess_is_locked_in():
    figure = Clinic(patient="H", depth=6, guess="one")
    assert "Fault" not in figure.alt()
    figure.locked = True
    verdict, sentence, remedy = figure.case()["verdict"]
    assert verdict in figure.alt() and "layer 4 have" in sentence and "RandomNormal" in remedy
