"""What a reader does in a chapter: moves the controls of its panel, and answers its exercises."""

import contextlib
import io
import re

import numpy as np
import pytest
from chapter import Chapter
from needed_cells import CHAPTERS, PANEL, needed

from initcore import widgets
from website.tools import students

# The chapters' cells run here, which coverage would only make slower.
pytestmark = pytest.mark.no_cover

ANSWER = re.compile(r"^(my_\w+) = .*# your answer$", re.MULTILINE)


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
    (name,) = (found for code in cells.code for found in PANEL.findall(code.source))
    panel = namespace[name]
    start, positions, answers = dict(panel.values), list(panel.positions()), [panel.text]
    values = {key: list({id(p[key]): p[key] for p in positions}.values()) for key in positions[0]}
    moved = [start | {k: v} for k, every in values.items() for v in every if v is not start[k]]
    with np.errstate(all="raise", under="ignore"):
        for position in [*moved, positions[-1]]:
            answers.append(panel.set(**position))
            assert not {"nan", "inf"} & set(panel.text.lower().split()), position
    assert moved and len(set(answers)) > len(answers) / 2, "most positions look alike"
    for seed in set(start) - set(positions[0]):
        before = panel.text
        assert panel.set(**{seed: start[seed] + 1}) != before, "a new draw changes nothing"


def test_an_exercise_refuses_the_first_guess_and_accepts_the_written_solution(chapter):
    cells, namespace = chapter
    code_of = {code.cell.id: code for code in cells.code}
    exercises = students.exercises(cells.notebook).values()
    assert len(exercises) >= 3
    for parts in exercises:
        (code,) = (code_of[one.id] for one in parts if ANSWER.search(one.source))
        name = ANSWER.search(code.source)[1]
        assert "not yet" in code.all_text  # nbval runs it with the first guess
        text = "\n".join(one.source for one in parts if students.is_solution(one))
        (solution,) = re.findall(rf"`{name} = ([^`]+)`", text)
        solved = ANSWER.sub(lambda found, right=solution: f"{found[1]} = {right}", code.source)
        assert run(solved, dict(namespace)).endswith("right")
