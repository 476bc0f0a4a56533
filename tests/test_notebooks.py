"""The guard over the chapters: what nbval needs to be worth its green, and what a chapter promises.

nbval runs every cell again and compares the text that it stores. It says nothing about a changed
picture, a silent cell, a cell with a marker or without an execution count, and nothing at all
where it is not switched on. Here each rule of ``notebook_rules.py`` is applied to each chapter as
it is stored, and nbval itself is tried on a wrong number.
"""

import collections
import functools
import re
import subprocess
import sys
import tomllib

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output
from notebook_rules import ROOT, RULES, Chapter

CHAPTERS = sorted((ROOT / "chapters").glob("*.ipynb"))


@functools.cache
def read(path):
    return Chapter(path)


def test_there_are_chapters():
    assert len(CHAPTERS) >= 2


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_chapter(path, rule):
    problems = list(rule(read(path)))
    assert not problems, f"{rule.__doc__}\n" + "\n".join(problems)


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_chapter_stores_what_nbval_compares(path):
    texts = [text for code in read(path).code for text in code.texts]
    assert len(texts) >= 5, "there is next to nothing that nbval could compare"


# --- nbval is on, and strict --------------------------------------------------------------------


def run_pytest(*arguments):
    """Run pytest as a reader does, with the project's own configuration."""
    command = [sys.executable, "-m", "pytest", "-c", ROOT / "pyproject.toml", "--rootdir", ROOT]
    return subprocess.run(
        [*command, "-p", "no:cacheprovider", *arguments], cwd=ROOT, capture_output=True, text=True
    )


def test_nbval_is_on_for_every_run():
    with (ROOT / "pyproject.toml").open("rb") as file:
        options = tomllib.load(file)["tool"]["pytest"]["ini_options"]
    assert {"--nbval", "--nbval-current-env"} <= set(options["addopts"])
    assert "chapters" in options["testpaths"]
    weaker = re.compile(r"nbval-(lax|sanitize|kernel)|nbdime|chapters|ipynb|no:nbval")
    assert not [option for option in options["addopts"] if weaker.search(option)]


def test_nbval_is_on_and_strict_in_this_run(pytestconfig):
    assert pytestconfig.getoption("nbval") and pytestconfig.getoption("nbval_current_env")
    assert not pytestconfig.getoption("nbval_lax")
    assert pytestconfig.getoption("nbval_sanitize_with") is None
    assert pytestconfig.getoption("nbval_kernel_name") is None
    assert pytestconfig.getoption("nbval_cell_timeout") <= 60


def test_nbval_collects_every_code_cell():
    result = run_pytest("--collect-only", "-q", "chapters")
    assert result.returncode == 0, result.stdout + result.stderr
    found = collections.Counter(re.findall(r"([^/\s]+\.ipynb)::Cell \d+", result.stdout))
    assert found == {path.name: len(read(path).code) for path in CHAPTERS}


def test_nbval_sees_a_wrong_number(tmp_path):
    numbers = [
        new_output("stream", name="stdout", text=text) for text in ("0.07068\n", "0.07069\n")
    ]
    cells = [
        new_code_cell("print(0.07068)", outputs=[output], execution_count=count)
        for count, output in enumerate(numbers, start=1)
    ]
    nbformat.write(new_notebook(cells=cells), tmp_path / "wrong.ipynb")
    result = run_pytest("-rA", tmp_path / "wrong.ipynb")
    assert result.returncode == 1, result.stdout + result.stderr
    verdicts = re.findall(r"^(PASSED|FAILED) .*::(Cell \d)", result.stdout, re.MULTILINE)
    assert sorted(verdicts) == [("FAILED", "Cell 1"), ("PASSED", "Cell 0")]
