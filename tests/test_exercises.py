"""Every exercise: its checking cell refuses the stored answer and accepts the written solution."""

import contextlib
import io
import re
from pathlib import Path

import nbformat
import pytest
from needed_cells import run_needed

ROOT = Path(__file__).parent.parent
CHAPTERS = sorted((ROOT / "chapters").glob("*.ipynb"))
ANSWER = re.compile(r"^(my_\w+) = .*# your answer$", re.MULTILINE)


def exercises():
    """Yield (code cells, number of the checking one, name of the answer, its solutions)."""
    for path in CHAPTERS:
        cells = nbformat.read(path, 4).cells
        code = [cell.source for cell in cells if cell.cell_type == "code" and cell.id != "setup"]
        text = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
        for number, source in enumerate(code):
            if found := ANSWER.search(source):
                solutions = re.findall(rf"`{found[1]} = ([^`]+)`", text)
                yield pytest.param(code, number, found[1], solutions, id=found[1])


def run(code, number, *answers):
    """Return what a checking cell prints, with its own answer and with others."""
    namespace = run_needed(code, number)
    printed = []
    for answer in (None, *answers):
        source = code[number] if answer is None else ANSWER.sub(rf"\1 = {answer}", code[number])
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            exec(source, namespace)
        printed.append(out.getvalue().strip())
    return printed


def test_each_chapter_has_exercises():
    assert len(list(exercises())) >= 3 * len(CHAPTERS)


@pytest.mark.parametrize(("code", "number", "name", "solutions"), list(exercises()))
def test_the_solution_is_right_and_the_first_guess_is_not(code, number, name, solutions):
    assert len(solutions) == 1, f"the solution of {name} is to be written once, as `{name} = …`"
    first, solved = run(code, number, solutions[0])
    assert "not yet" in first
    assert solved.endswith("right")
