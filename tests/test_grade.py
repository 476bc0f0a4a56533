"""``website/tools/grade.py``: returned notebooks, of which only the answers are trusted."""

import copy
import csv
import os
import re

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from needed_cells import CHAPTERS

from website.tools import grade, students

CHECK = """\
my_k = 1  # your answer
assert my_k != 13
while my_k == 17:
    pass
if my_k == 19:
    os._exit(1)
good = np.isclose(my_k, three)
print("k is", my_k, "- right" if good else "- not yet: too small" if my_k < 3 else "- not yet")"""
PAIR = """\
my_first = 1.0  # your answer
my_second = 1  # your answer
for mine in (my_first, my_second):
    print("right" if mine == 2 else "not yet")"""
ALL = {"my_k": "3", "my_first": "2", "my_second": "2"}


@pytest.fixture
def course(tmp_path):
    """A course of two chapters, whose second has two exercises."""
    chapter = new_notebook(
        cells=[
            new_markdown_cell("# Three"),
            new_code_cell("import os\nimport numpy as np\nthree = 3"),
            new_markdown_cell("## Exercises\n\n### 1. A number\n\nWhich?"),
            new_code_cell(CHECK),
            new_markdown_cell("### 2. A pair\n\nWhich?"),
            new_code_cell(PAIR),
            new_code_cell("raise ValueError('below the exercises')"),
        ]
    )
    (tmp_path / "chapters").mkdir()
    other = new_notebook(cells=[new_markdown_cell("# Other"), new_code_cell("1")])
    nbformat.write(other, tmp_path / "chapters/01_other.ipynb")
    nbformat.write(chapter, tmp_path / "chapters/02_three.ipynb")
    (tmp_path / "returned").mkdir()
    return tmp_path, chapter


def filled(chapter, answers, change=lambda cells: None):
    """Return a chapter with these answers, changed by what a student does."""
    chapter = copy.deepcopy(chapter)
    for cell in chapter.cells:
        for name, answer in answers.items():
            line = rf"^{name} = [^#]*"
            cell.source = re.sub(line, f"{name} = {answer}  ", cell.source, flags=re.MULTILINE)
    change(chapter.cells)
    return chapter


def graded(course, returned, capsys):
    """Return the lines of the table, a list for each file that was returned."""
    root, chapter = course
    for name, content in returned.items():
        path = root / "returned" / name
        path.parent.mkdir(exist_ok=True)
        text = content if isinstance(content, str) else nbformat.writes(filled(chapter, *content))
        path.write_text(text, encoding="utf-8")
    grade.main(str(root / "returned"), root)
    with (root / "returned/grades.csv").open(encoding="utf-8-sig", newline="") as stream:
        head, *rows = csv.reader(stream)
    printed = capsys.readouterr().out
    assert head[:4] == ["notebook", "chapter", "exercise 1", "answer 1"]
    for name, *cells in rows:
        (line,) = [line for line in printed.splitlines() if line.startswith(name)]
        assert all(said in line for said in cells[1::2])
    return {name: cells for name, *cells in rows}


def test_ten_returned_notebooks_are_a_table(course, capsys, tmp_path):
    trap = tmp_path / "trap"
    touch = f"import pathlib\npathlib.Path({str(trap)!r}).touch()\n"

    def claim_it_is_right(cells):
        cells[1].source = "three = 1\nprint = lambda *a: None"
        cells[3].source = f"{touch}my_k = 1.0  # your answer\nprint('right')"
        cells.append(new_code_cell("class np: isclose = lambda *a: True"))

    def put(source):
        return lambda cells: cells.insert(0, new_code_cell(source))

    rows = graded(
        course,
        {
            "all.ipynb": (ALL,),
            "übung 3/b c.ipynb": (ALL | {"my_k": "2"}, lambda cells: cells.reverse()),
            "cheat.ipynb": (ALL, claim_it_is_right),
            "deleted.ipynb": (ALL, lambda cells: cells.pop(5)),
            "loop.ipynb": (ALL, put(f"{touch}while True:\n    pass")),
            "broken.ipynb": (ALL | {"my_second": "1"}, lambda c: c[3].update(source="my_k = 3\n)")),
            "as it was.ipynb": ({"my_first": "np.sqrt(4)"},),
            "formula.ipynb": (ALL | {"my_k": "1.5 * 2", "my_second": "two()"},),
            "two lines.ipynb": (ALL | {"my_k": "(\n    1.5 * 2\n)"},),
            "text.ipynb": (ALL | {"my_k": "'3'"},),
            "shell.ipynb": (ALL | {"my_k": f"__import__('os').system('touch {trap}')"},),
            "no ids.ipynb": re.sub(r' *"id": .*\n', "", nbformat.writes(filled(course[1], ALL))),
            "damaged.ipynb": '{"cells": [',
            "sum.ipynb": (ALL | {"my_k": "=1+1", "my_second": "-1"},),
            "twice.ipynb": (
                ALL | {"my_k": "2"},
                lambda c: c[3].update(source=f"{c[3].source}\nmy_k = 3"),
            ),
            "capital.IPYNB": nbformat.writes(filled(course[1], ALL)),
            "packed.zip": "",
            "foreign.ipynb": nbformat.writes(new_notebook(cells=[new_code_cell("2")])),
        },
        capsys,
    )
    assert not trap.exists(), "a line of a student was run"
    verdicts = {name: row[1::2] for name, row in rows.items()}
    shell = verdicts.pop("shell.ipynb")
    assert shell[0].startswith("error: __import__") and shell[1] == "right"
    assert verdicts == {
        "all.ipynb": ["right", "right"],
        "übung 3/b c.ipynb": ["not yet: too small", "right"],
        "cheat.ipynb": ["not yet: too small", "right"],
        "deleted.ipynb": ["right", "missing"],
        "loop.ipynb": ["right", "right"],
        "broken.ipynb": ["right", "not yet"],
        "as it was.ipynb": ["missing", "not yet"],
        "formula.ipynb": ["right", "error: two() is not a value"],
        "two lines.ipynb": ["error: ( is not a value", "right"],
        "text.ipynb": ["error: UFuncTypeError", "right"],
        "no ids.ipynb": ["right", "right"],
        "sum.ipynb": ["error: =1+1 is not a value", "not yet"],
        "twice.ipynb": ["right", "right"],
        "capital.IPYNB": ["right", "right"],
        "packed.zip": [],
        "damaged.ipynb": [],
        "foreign.ipynb": [],
    }
    for name in ("foreign.ipynb", "damaged.ipynb", "packed.zip"):
        assert rows[name] == ["error: no notebook of the course"]
    assert rows["sum.ipynb"][2::2] == ["'=1+1", "2; -1"]  # a spreadsheet would compute the first
    assert rows["formula.ipynb"][:3] == ["02_three", "right", "1.5 * 2"]


def test_a_check_that_fails_hangs_or_dies_spoils_no_other(course, capsys, monkeypatch):
    monkeypatch.setattr(grade, "LIMIT", 2)
    course[1].cells[1].source += "\nimport time\ntime.sleep(2.5)"  # the chapter may take longer
    nbformat.write(course[1], course[0] / "chapters/02_three.ipynb")
    answers = {"a": "13", "b": "17", "c": "19", "d": "3"}
    returned = {f"{name}.ipynb": (ALL | {"my_k": k},) for name, k in answers.items()}
    rows = graded(course, returned, capsys)
    assert [rows[f"{name}.ipynb"][1] for name in answers] == [
        *("error: AssertionError", "error: it takes more than 2 s", "error: the kernel died"),
        "right",
    ]
    assert {row[3] for row in rows.values()} == {"right"}


def test_a_chapter_that_fails_itself_is_one_line(course, capsys):
    course[1].cells[1].source += "\n1 / 0"
    nbformat.write(course[1], course[0] / "chapters/02_three.ipynb")
    with pytest.raises(SystemExit, match="own chapter fails: ZeroDivisionError: division by zero$"):
        graded(course, {"one.ipynb": (ALL,)}, capsys)


@pytest.mark.parametrize(
    ("expression", "answer"),
    [
        *((text, True) for text in ("3", "-1.5e-3", "1 / np.sqrt(300)", "(4.61, math.log(28))")),
        *((text, True) for text in ("Fraction(23, 40)", "24**-0.5", "'text'", "None", "[1, 2]")),
        *((text, False) for text in ("x", "open('x')", "np.load('x')", "().__class__", "1 +", "")),
        *((text, False) for text in ("[x for x in '1']", "lambda: 1", "f'{1}'", "print(1)")),
    ],
)
def test_an_answer_is_a_value(expression, answer):
    assert grade.is_value(expression) == answer


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_each_solution_of_the_course_can_be_put_into_its_cell(path):
    chapter = nbformat.read(path, as_version=4)
    for cells in students.exercises(chapter).values():
        (source,) = (cell.source for cell in cells if grade.MARK in cell.source)
        text = "\n".join(cell.source for cell in cells if students.is_solution(cell))
        solutions = dict(re.findall(r"`(my_\w+) = ([^`]+)`", text))
        assert solutions.keys() == grade.asked(source).keys() and solutions
        assert all(map(grade.is_value, solutions.values()))
        code = grade.with_answers(source, solutions)
        assert all(f"\n{name} = {value}\n" in code for name, value in solutions.items())


def test_a_chapter_that_is_answered_is_not_graded_with(course, capsys):
    cell = course[1].cells[3]
    cell.outputs = [new_output("stream", text="k: 3\nright\n")]
    nbformat.write(course[1], course[0] / "chapters/02_three.ipynb")
    with pytest.raises(SystemExit, match="must be as it is handed out.*git restore chapters/02_th"):
        graded(course, {"one.ipynb": (ALL,)}, capsys)


@pytest.mark.parametrize("folder", ["", "empty"])
def test_a_folder_without_notebooks_is_one_line(tmp_path, folder):
    (tmp_path / "empty").mkdir()
    with pytest.raises(SystemExit, match="FOLDER must hold returned notebooks, not "):
        grade.main(folder and str(tmp_path / folder))
    assert os.listdir(tmp_path / "empty") == []
