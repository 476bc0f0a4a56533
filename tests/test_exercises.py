"""Every exercise: its checking cell refuses the stored answer and accepts the written solution."""

import contextlib
import io
import re
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).parent.parent
CHAPTERS = sorted((ROOT / "chapters").glob("*.ipynb"))
ANSWER = re.compile(r"^(my_\w+) = .*# your answer$", re.MULTILINE)


def exercises():
    """Yield (chapter, imports, checking cell, name of the answer, its value in the solution)."""
    for path in CHAPTERS:
        cells = nbformat.read(path, 4).cells
        code = [cell for cell in cells if cell.cell_type == "code" and cell.id != "setup"]
        imports = code[0].source
        text = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
        for cell in cells:
            found = ANSWER.search(cell.source) if cell.cell_type == "code" else None
            if found:
                solutions = re.findall(rf"`{found[1]} = ([^`]+)`", text)
                yield pytest.param(imports, cell.source, found[1], solutions, id=found[1])


def run(imports, source, answer=None):
    """Return what a checking cell prints, in a namespace that holds the imports only."""
    if answer is not None:
        source = ANSWER.sub(rf"\1 = {answer}", source)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(imports + "\n" + source, {})
    return printed.getvalue()


def test_each_chapter_has_exercises():
    assert len(list(exercises())) >= 3 * len(CHAPTERS)


@pytest.mark.parametrize(("imports", "source", "name", "solutions"), list(exercises()))
def test_the_solution_is_right_and_the_first_guess_is_not(imports, source, name, solutions):
    assert len(solutions) == 1, f"the solution of {name} is to be written once, as `{name} = …`"
    assert "not yet" in run(imports, source)
    assert run(imports, source, solutions[0]).strip().endswith("right")
