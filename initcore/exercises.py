"""What the cell of an exercise says to an answer (level 0).

`check` compares the answer with what is right, `check_with` tries it in an experiment. The last
line that they print is ``right``, or ``not yet:`` and the reason. No answer raises an error; a
mistake in the exercise itself, such as an experiment that measures nan, is a ``ValueError`` or
``TypeError``.
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np

from initcore import _checks
from initcore.tables import fmt

Slips = Mapping[str, Callable[[float], float]]


def check(
    answer: Any,
    right: float | tuple[float, ...],
    *,
    within: float = 0.0,
    whole: bool = False,
    slips: Slips | None = None,
) -> None:
    """Print whether an answer is right, or what is wrong with it.

    Parameters
    ----------
    answer : object
        The learner's.
    right : float, or tuple of float
        A tuple asks for as many numbers, in its order.
    within : float
        How far from it an answer may be.
    whole : bool
        Whether a whole number is asked for.
    slips : mapping of str to callable, optional
        What an answer may be by mistake, and how it becomes the right one. With
        ``{"the variance": np.sqrt}``, an answer whose root is right is asked whether it is the
        variance.

    Examples
    --------
    >>> check(7.6, 8, whole=True)
    not yet: a whole number is asked for
    >>> check(73, 0.731, within=0.006, slips={"a percentage": lambda p: p / 100})
    not yet: too large: is this a percentage?
    >>> check((4.6, 3.2), (4.605, 3.329), within=0.02)
    not yet: number 2: too small, but close
    """
    off = _checks.number("within", within, at_least=0)
    several = isinstance(right, tuple)
    goals = [_checks.number("right", goal) for goal in (right if several else (right,))]
    answers = [answer]
    if several:
        many = isinstance(answer, (list, tuple)) or np.ndim(answer) > 0
        if not many or len(answer) != len(goals):
            found = f"these are {len(answer)}" if many else f"this is {_kind(answer)}"
            print(f"not yet: {len(goals)} numbers are asked for, and {found}")
            return
        answers = answer
    wrong = []
    for position, (one, goal) in enumerate(zip(answers, goals), start=1):
        between = (0.0, math.inf) if goal >= 0 else (-math.inf, 0.0)
        side = partial(_side, low=goal - off, high=goal + off)
        reason = _reason(one, side, between, whole, slips or {})
        if reason in ("too small", "too large") and abs(float(one) - goal) <= abs(goal) / 10:
            reason += ", but close"  # off by a tenth of what is right, or less
        if reason:
            wrong.append(f"number {position}: {reason}" if several else reason)
    print("not yet: " + "; ".join(wrong) if wrong else "right")


def check_with(
    answer: Any,
    experiment: Callable[[Any], float],
    *,
    wanted: tuple[float, float],
    falls: bool = False,
    whole: bool = False,
    between: tuple[float, float] = (0.0, 1e6),
    slips: Slips | None = None,
    spec: str = ".3g",
) -> None:
    """Run an experiment with an answer, print what it measures, and whether the answer is right.

    Parameters
    ----------
    answer, whole, slips
        As for `check`. The experiment runs only with a number that it can take.
    experiment : callable
        Takes the answer as a float, or as an int if `whole`, and returns one number, which rises
        with the answer. Its name is printed: ``spread_of_layer_5`` is the "spread of layer 5".
    wanted, between : tuple of float
        From where to where the measured number is right, and the experiment can run. An answer
        outside is too small or too large.
    falls : bool
        Whether the measured number falls where the answer rises. What is said is of the answer.
    spec : str
        How to print the measured number.

    Examples
    --------
    >>> def factor_of_a_layer(sd):
    ...     return sd * 400**0.5
    >>> check_with(0.04, factor_of_a_layer, wanted=(0.9, 1.1))
    factor of a layer: 0.8 (wanted: 0.9 to 1.1)
    not yet: too small
    """
    low, high = (_checks.number("wanted", bound) for bound in wanted)
    if low > high:
        _checks.fail("wanted", "a pair that rises", wanted)
    measured: dict[float, float] = {}

    def side(number: float) -> int:
        value = measured[number] = float(experiment(number))
        if math.isnan(value):
            _checks.fail("experiment", f"one that measures a number for {number}", value)
        found = _side(value, low, high)
        return -found if falls else found

    reason = _reason(answer, side, between, whole, slips or {})
    if falls and reason.startswith("too "):
        reason = f"the answer is {reason}"  # and what was measured is not
    if (number := _number(answer)) in measured:
        name = experiment.__name__.replace("_", " ")
        print(f"{name}: {fmt(measured[number], spec)} (wanted: {fmt(low)} to {fmt(high)})")
    print(f"not yet: {reason}" if reason else "right")


def _reason(
    answer: Any,
    side: Callable[[float], int],
    between: tuple[float, float],
    whole: bool,
    slips: Slips,
) -> str:
    """Return what is wrong with one answer, or nothing if it is right.

    `side` tells of a number that lies `between`, an int if `whole`, whether it is too small (-1),
    right (0) or too large (1).
    """
    low, high = between
    number = _number(answer)
    if isinstance(number, str):
        return f"a number is asked for, and this is {number}"
    if number < 0 <= low or number > 0 >= high:
        return "the sign is wrong"

    def at(value: float) -> int:
        if not math.isfinite(value):
            return 1
        value = round(value) if whole else float(value)
        return _side(value, low, high) or side(value)

    if whole and not number.is_integer():
        reason = "a whole number is asked for"
    elif not (found := at(number)):
        return ""
    else:
        reason = "too small" if found < 0 else "too large"
    for name, mend in slips.items():
        with np.errstate(over="ignore"):  # what overflows is no slip
            mended = mend(number) if number else math.inf
        if not at(mended):
            return f"{reason}: is this {name}?"
    return reason


def _side(number: float, low: float, high: float) -> int:
    """Return -1 for a number that is too small, 1 for one that is too large, else 0."""
    return int(number > high) - int(number < low)


def _number(answer: Any) -> float | str:
    """Return an answer as a finite float, or else what it is."""
    if isinstance(answer, np.ndarray) and not answer.ndim:
        answer = answer.item()
    if not isinstance(answer, numbers.Real) or isinstance(answer, bool):
        return _kind(answer)
    try:
        number = float(answer)
    except OverflowError:
        return "an integer too large for a float"
    except TypeError:  # a length of time
        return _kind(answer)
    if math.isfinite(number):
        return number
    return "nan" if math.isnan(number) else "infinite"


def _kind(answer: Any) -> str:
    """Return what an answer is that is no real number, such as "a text"."""
    if answer is None or isinstance(answer, (bool, np.bool_)):
        return str(answer)
    for kinds, name in KINDS.items():
        if isinstance(answer, kinds):
            return name
    return f"of type {type(answer).__name__}"


KINDS: dict[Any, str] = {
    numbers.Real: "one number",  # where several are asked for
    numbers.Complex: "a complex number",
    (str, bytes): "a text",
    list: "a list",
    tuple: "a tuple, such as a decimal comma makes",
    np.ndarray: "an array",
    Callable: "a function",
}
