"""The guard over the chapters: what nbval needs to be worth its green, and what a chapter promises.

nbval runs every cell again and compares the text that it stores. What it does not see is for the
rules of ``notebook_rules.py``, applied here to each chapter as it is stored; and nbval itself is
tried on a wrong number.
"""

import functools
import inspect
import re
import subprocess
import sys

import nbformat
import pytest
from chapter import ROOT, Chapter
from nbformat.v4 import new_code_cell, new_notebook, new_output
from needed_cells import CHAPTERS
from notebook_rules import RULES

from initcore import experiments

read = functools.cache(Chapter)


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_chapter(path, rule):
    problems = list(rule(read(path)))
    assert not problems, f"{rule.__doc__}\n" + "\n".join(problems)


def test_an_experiment_of_the_package_is_one_that_several_share():
    """Every other one stands in its chapter, where the reader sees it."""
    users = [path.read_text("utf-8") for path in [*CHAPTERS, *ROOT.glob("initcore/explorers/*.py")]]
    for name, value in inspect.getmembers(experiments, inspect.isfunction):
        if value.__module__ == experiments.__name__ and not name.startswith("_"):
            assert sum(f"experiments.{name}" in text for text in users) >= 2, name


# --- nbval is on, and strict --------------------------------------------------------------------


def test_nbval_is_on_and_strict_in_this_run(pytestconfig):
    assert pytestconfig.getoption("nbval") and pytestconfig.getoption("nbval_current_env")
    assert not pytestconfig.getoption("nbval_lax")
    assert pytestconfig.getoption("nbval_sanitize_with") is None
    assert pytestconfig.getoption("nbval_cell_timeout") <= 60
    assert "chapters" in pytestconfig.getini("testpaths")


def test_nbval_collects_every_cell_and_sees_a_wrong_number(tmp_path):
    """By the project's own configuration; of all notebooks only the wrong one is run."""
    numbers = ("0.07068\n", "0.07069\n")
    outputs = [[new_output("stream", name="stdout", text=number)] for number in numbers]
    cells = [new_code_cell("print(0.07068)", outputs=o, execution_count=1) for o in outputs]
    wrong = tmp_path / "wrong.ipynb"
    nbformat.write(new_notebook(cells=cells), wrong)
    command = [sys.executable, "-m", "pytest", "-c", "pyproject.toml", "-p", "no:cacheprovider"]
    command += ["-rA", "--rootdir", ROOT, "chapters", wrong, "-k", "wrong"]
    said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True).stdout
    verdicts = re.findall(r"^(PASSED|FAILED) .*::(Cell \d)", said, re.MULTILINE)
    assert sorted(verdicts) == [("FAILED", "Cell 1"), ("PASSED", "Cell 0")], said
    assert f"{sum(len(read(path).code) for path in CHAPTERS)} deselected" in said
