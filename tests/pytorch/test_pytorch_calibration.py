"""A sample of the calibration's nets in PyTorch gets the stored verdicts."""

import calibrate
import pytest

RESULTS = calibrate.stored()
KINDS = {kind.name: kind for kind in calibrate.kinds() if kind.package == "torch"}


def test_the_stored_kinds_are_those_that_are_drawn():
    stored = {
        name: len(rows) for state in calibrate.STATES for name, rows in RESULTS[state].items()
    }
    assert {name: stored.get(name) for name in KINDS} == {k.name: k.count for k in KINDS.values()}


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.name)
def test_a_sample_gets_the_stored_verdicts(kind):
    for number in (0, 1):
        found = calibrate.judge(kind.net(number), kind.state)
        assert found == calibrate.Verdict(*RESULTS[kind.state][kind.name][number]), number
