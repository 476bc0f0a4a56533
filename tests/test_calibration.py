"""The calibration: its page shows what is stored, and a sample of its nets gets what is stored."""

import math
import re

import calibrate
import numpy as np
import pytest
from calibrate import HALVES, PAGE, Verdict
from scipy.stats import binomtest

from initcore import diagnose, network
from initcore.initializers import GlorotNormal, HeNormal, LecunNormal, Zeros

RESULTS = calibrate.stored()
KINDS = {kind.name: kind for kind in calibrate.kinds() if kind.package == "numpy"}
FAULTS = [kind for kind in KINDS.values() if kind.state != "healthy"]


def test_the_page_shows_the_stored_verdicts():
    text = PAGE.read_text(encoding="utf-8")
    assert calibrate.page(RESULTS, text) == text
    assert {found[1] for found in calibrate.PARTS.findall(text)} == {*calibrate.TABLES}


@pytest.mark.parametrize("state", ["healthy", "broken"])
def test_there_are_three_hundred_of_each(state):
    assert sum(map(len, RESULTS[state].values())) == 300
    half = {half: len(calibrate.half_of(RESULTS, state, half)) for half in HALVES}
    assert half == dict.fromkeys(HALVES, 150)


def test_the_stored_kinds_are_those_that_are_drawn():
    stored = {
        name: len(rows) for state in calibrate.STATES for name, rows in RESULTS[state].items()
    }
    assert {name: stored.get(name) for name in KINDS} == {k.name: k.count for k in KINDS.values()}


@pytest.mark.parametrize("half", HALVES)
def test_the_targets_are_met(half):
    found = calibrate.counts(*(calibrate.half_of(RESULTS, s, half) for s in calibrate.STATES[:2]))
    alarms, misses, _, layers = (hits / count for hits, count in found.values())
    assert alarms <= 0.02 and misses <= 0.05 and layers >= 0.9


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.name)
def test_a_sample_gets_the_stored_verdicts(kind):
    """One net of each half and kind; the printed numbers may differ, level, code, layer do not."""
    for number in (0, 1):
        found = calibrate.judge(kind.net(number), kind.state)
        assert found == Verdict(*RESULTS[kind.state][kind.name][number]), number


@pytest.mark.parametrize(
    "kind", [k for k in KINDS.values() if k.state != "healthy"], ids=lambda k: k.name
)
def test_a_fault_is_all_that_tells_a_net_from_its_twin(kind):
    """The twin of the net that is called broken is called healthy."""
    assert not calibrate.judge(kind.net(0, broken=False), "healthy").is_alarm


@pytest.mark.parametrize(("hits", "count"), [(0, 150), (3, 150), (140, 150), (150, 150)])
def test_wilson_against_scipy(hits, count):
    expected = binomtest(hits, count).proportion_ci(method="wilson")
    assert calibrate.wilson(hits, count) == pytest.approx(tuple(expected), abs=1e-6)


def test_what_counts_as_wrong():
    alarm, note, silence = Verdict("watch", "a"), Verdict("note", "a", None, True), Verdict()
    error = Verdict("error", "ValueError: no")
    for state, wrong in {
        "healthy": (True, False, False, True),
        "broken": (False, True, True, True),
        "named": (True, False, True, True),
    }.items():
        assert tuple(v.is_wrong(state) for v in (alarm, note, silence, error)) == wrong, state


# ---- mistakes of other tools -------------------------------------------------------------------


def looked_at(weights, widths=(64, 128, 128, 128, 128, 10), activation="relu", seed=0, **options):
    """Return the report on a net that sees Gaussian inputs and balanced labels."""
    rng = np.random.default_rng([seed, 1])
    x, y = rng.standard_normal((128, widths[0])), np.arange(128) % widths[-1]
    return diagnose(network.MLP(widths, activation, weights=weights, seed=seed, **options), x, y)


def looks_like(report):
    """Return what the weights of each layer look like, a cell of the table."""
    from initcore.diagnosis import identify

    return [str(identify.identify(layer)) for layer in report.looks[0].layers]


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize(("weights", "name"), [(HeNormal, "He"), (GlorotNormal, "Glorot|LeCun")])
def test_he_and_glorot_are_told_apart_on_square_layers(weights, name, seed):
    square = looks_like(looked_at(weights(), seed=seed))[1:4]
    assert all(re.match(name, cell) for cell in square), square


@pytest.mark.parametrize("seed", range(8))
def test_glorot_does_not_pass_for_he_in_a_deep_net_of_relus(seed):
    widths = (64, *[128] * 30, 10)
    glorot = looked_at([*[GlorotNormal()] * 30, LecunNormal()], widths, seed=seed).findings[0]
    assert (glorot.code, glorot.level) == ("weight-scale", "fault")
    assert looked_at([*[HeNormal()] * 30, LecunNormal()], widths, seed=seed).ok


@pytest.mark.parametrize("seed", range(20))
def test_a_relu_layer_of_which_half_is_zero_is_not_dead(seed):
    report = looked_at([*[HeNormal()] * 4, LecunNormal()], seed=seed)
    assert report.ok and "dead-units" not in {finding.code for finding in report.findings}
    assert math.isclose(report.looks[0].layers[1].outputs.dead, 0, abs_tol=0.1)


@pytest.mark.parametrize("seed", range(20))
def test_a_zero_output_layer_passes_with_a_note(seed):
    report = looked_at([*[HeNormal()] * 4, Zeros()], seed=seed)
    assert report.ok and not [f for f in report.findings if f.level != "note"]
    assert "zero-output" in {finding.code for finding in report.findings}
