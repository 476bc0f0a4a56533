"""With what probability a right package fails the statistical tests by chance.

Their seeds are fixed, so that a test that has passed once goes on passing; the bound is for the day
on which a change of a stream, on purpose, draws all of them anew.
"""

import inspect
import re

import pytest

pytest_plugins = "pytester"

STATISTICAL = re.compile(r"false.alarm|standard errors?\b|by chance|\bALPHA\b|\bALARM\b|pvalue")


def alarms(items):
    """Return the stated probability of each test that has one."""
    marks = {item.nodeid: item.get_closest_marker("false_alarm") for item in items}
    return {name: mark.args[0] for name, mark in marks.items() if mark}


def unmarked(items):
    """Return the tests that compare what is drawn, by their source, and state no probability."""
    functions = {i.nodeid: i.function for i in items if hasattr(i, "function")}
    texts = {name: inspect.getsource(function) for name, function in functions.items()}
    return {name for name, text in texts.items() if STATISTICAL.search(text)} - {*alarms(items)}


def test_the_suite_fails_by_chance_less_than_once_in_a_million(request):
    others = [item for item in request.session.items if "test_false_alarms" not in item.nodeid]
    assert sum(alarms(others).values()) < 1e-6
    assert not unmarked(others)


@pytest.mark.parametrize("marked", [False, True])
def test_a_test_without_a_probability_is_seen(pytester, marked):
    mark = "@pytest.mark.false_alarm(1e-9)\n" * marked
    pytester.makepyfile(f"import pytest\n{mark}def test_it():\n    'Six standard errors.'")
    items, _ = pytester.inline_genitems("--strict-markers", "-p", "no:cacheprovider")
    assert len(alarms(items)) == marked and len(unmarked(items)) == (not marked)
