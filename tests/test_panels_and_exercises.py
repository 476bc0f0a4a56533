"""What a reader does in a chapter: moves the controls of its panel, and answers its exercises."""

import contextlib
import io
import re
from fractions import Fraction
from types import SimpleNamespace

import numpy as np
import pytest
from chapter import Chapter
from needed_cells import CHAPTERS, PANEL, needed

from initcore import exercises, widgets
from website.tools import students

# The chapters' cells run here, which coverage would only make slower.
pytestmark = pytest.mark.no_cover

ANSWER = re.compile(r"^(my_\w+) = .*# your answer$", re.MULTILINE)
# What an answer may be by mistake, worked out by hand; its exercise asks whether it is that.
SLIPS = {
    "my_probability": {"a percentage": 73},
    "my_v": {"the change of it": 3 / 40, "a step up the gradient": 17 / 40},
    "my_sd": {"the variance": 1 / 300},
    "my_powers": {"the ratio itself": 3e-14},
    "my_half": {"the variance": 0.385},
    "my_losses": {"a number of bits": (np.log2(100), 4.81)},
    "my_sigmoid_sd": {"the variance": 103 / 50},
    "my_gain": {"n Var(w)": 18, "the gain squared": 1.3},
    "my_bound": {
        "the standard deviation": 300**-0.5,
        "the variance": 1 / 300,
        "the square of the bound": 0.01,
        "the distance of the two ends": 0.2,
    },
    "my_width": {"the ratio of the widths": 5.83},
    "my_output_scale": {"the variance of one weight": 0.01},
    "my_both_halves": {"the gain": 2**0.5},
    "my_leaky_scale": {"its inverse": 0.625, "the gain": 1.6**0.5},
    "my_bias_variance": {"the standard deviation": 0.443},
    "my_factor": {"its inverse": 0.01, "a factor on the variance": 2},
    "my_rate": {"the rate of the biases": 2**-6},
    "my_alpha": {"the square of α": 0.0293},
    "my_difference": {"a number of bits": 5.615},
    "my_end_sd": {"the number for one branch a block": 0.004714},
    "my_sigma_w2": {"σ_w": 2.505**0.5},
    "my_layers": {"the number for d, a square": 20},
}


@pytest.fixture(scope="module", params=CHAPTERS, ids=lambda path: path.stem)
def chapter(request):
    """A chapter, and the names that its panel and its exercises need: each cell ran once.

    Figures are made, and not painted: that takes most of the time.
    """
    chapter = Chapter(request.param)
    sources = [code.source for code in chapter.code]
    panels = {n for n, source in enumerate(sources) if PANEL.search(source)}
    exercises = {n for n, source in enumerate(sources) if ANSWER.search(source)}
    cells = panels.union(*(needed(sources, n) for n in panels | exercises))
    namespace = {"__name__": "__main__"}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(widgets.plots, "to_png", lambda fig: b"")
        for n in sorted(cells):
            run(sources[n], namespace)
        yield chapter, namespace


def run(source, namespace):
    """Run a cell and return what it prints."""
    with contextlib.redirect_stdout(io.StringIO()) as out:
        exec(compile(source, "<cell>", "exec"), namespace)
    return out.getvalue().strip()


def test_a_panel_answers_at_each_value_of_its_controls(chapter):
    """Each control at all of its values, the others where they start; and all at their last."""
    cells, namespace = chapter
    names = [name for code in cells.code for name in PANEL.findall(code.source)]
    assert names
    for name in names:
        answers_at_each_value(namespace[name])


def answers_at_each_value(panel):
    values = {key: list(options.values()) for key, options in panel._options.items()}
    start, answers = dict(panel.values), [panel.text]
    moved = [start | {k: v} for k, every in values.items() for v in every if v is not start[k]]
    with np.errstate(all="raise", under="ignore"):
        for position in [*moved, {key: every[-1] for key, every in values.items()}]:
            answers.append(panel.set(**position))
            assert not {"nan", "inf"} & set(panel.text.lower().split()), position
    assert moved and len(set(answers)) > len(answers) / 2, "most positions look alike"
    for seed in set(start) - set(values):
        before = panel.text
        assert panel.set(**{seed: start[seed] + 1}) != before, "a new draw changes nothing"


def exercises_of(chapter):
    """Yield the code cell of each exercise, its answer's name, and its written solution."""
    code_of = {code.cell.id: code for code in chapter.code}
    found = students.exercises(chapter.notebook).values()
    assert len(found) >= 3
    for parts in found:
        (code,) = (code_of[one.id] for one in parts if ANSWER.search(one.source))
        name = ANSWER.search(code.source)[1]
        text = "\n".join(one.source for one in parts if students.is_solution(one))
        (solution,) = re.findall(rf"`{name} = ([^`]+)`", text)
        yield code, name, solution


def test_an_exercise_refuses_the_first_guess_and_accepts_the_written_solution(chapter):
    cells, namespace = chapter
    for code, _, solution in exercises_of(cells):
        # nbval runs it with the first guess.
        assert re.fullmatch("not yet: .+", code.all_text.strip().splitlines()[-1]), code
        solved = ANSWER.sub(lambda found, right=solution: f"{found[1]} = {right}", code.source)
        assert run(solved, dict(namespace)).splitlines()[-1] == "right", code


def test_an_exercise_says_what_is_wrong_with_an_answer(chapter):
    cells, namespace = chapter
    for code, name, solution in exercises_of(cells):
        say, options = checker(code.source, name, namespace)
        right = eval(solution, {"Fraction": Fraction})
        several = isinstance(right, tuple)
        kinds = dict.fromkeys(("0.5", solution, b"1"), "a text") | {None: "None", True: "True"}
        kinds |= {1j: "a complex number", abs: "a function", float("nan"): "nan"}
        for wrong, kind in [*kinds.items(), ([0.5], "a list"), (np.ones(3), "an array")]:
            of = f"number 2: a number is asked for, and this is {kind}" if several else kind
            assert say((right[0], wrong) if several else wrong).endswith(of), (name, wrong)
            if several:
                assert say(wrong).startswith("not yet: 2 numbers are asked for"), (name, wrong)
        assert say(np.array(right)) == "right", name

        def times(factor, several=several, right=right):
            return tuple(factor * one for one in right) if several else factor * right

        whole = options.get("whole", False)
        assert "the sign is wrong" in say(times(-1)), name
        assert "too large" in say(times(2)), name
        assert ("a whole number" if whole and right % 2 else "too small") in say(times(0.5)), name
        assert not whole or say(right + 0.4) == "not yet: a whole number is asked for", name
        for extreme in (0, 1e-3, 1, 1e6, 1e300, 10**400, float("inf")):
            answer = (extreme, extreme) if several else extreme
            assert re.fullmatch("right|not yet: .+", say(answer)), (name, answer)
        for slip in options.get("slips", {}):
            assert say(SLIPS[name][slip]).endswith(f": is this {slip}?"), (name, slip)


def checker(source, name, namespace):
    """Return a function, the last line that a cell prints about an answer; the check's options."""
    calls = []
    recorded = {
        function.__name__: lambda _, *rest, function=function, **options: calls.append(
            (function, rest, options)
        )
        for function in (exercises.check, exercises.check_with)
    }
    run(source, namespace | {"exercises": SimpleNamespace(**recorded)})
    ((function, rest, options),) = calls
    uses = re.findall(rf"\b{name}\b", source)
    assert len(uses) == 2, f"{name} is given to the check, and nothing else"

    def say(answer):
        with contextlib.redirect_stdout(io.StringIO()) as out:
            function(answer, *rest, **options)
        return out.getvalue().strip().splitlines()[-1]

    return say, options
