"""Style and spelling, as tests, so that `make test` is the one thing to run."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def run(*command, text=None):
    """Return the exit status and the output of a Python tool, run at the root."""
    result = subprocess.run(
        [sys.executable, "-m", *command], cwd=ROOT, input=text, capture_output=True, text=True
    )
    return result.returncode, result.stdout + result.stderr


def prose(path):
    """Return the text and the code of a notebook, each line after the number of its cell."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return [
        f"cell {number}: {line}"
        for number, cell in enumerate(cells, start=1)
        for line in "".join(cell["source"]).splitlines()
    ]


def test_ruff_finds_nothing():
    status, output = run("ruff", "check", ".")
    assert status == 0, output


def test_ruff_would_format_nothing():
    status, output = run("ruff", "format", "--check", ".")
    assert status == 0, output


def test_spelling():
    status, output = run("codespell_lib", ".")
    assert status == 0, output


def test_spelling_of_the_notebooks():
    lines = [
        f"{path.name}: {line}"
        for path in sorted(ROOT.glob("chapters/*.ipynb"))
        for line in prose(path)
    ]
    status, output = run("codespell_lib", "-", text="\n".join(lines))
    assert status == 0, output


def test_the_spelling_check_sees_a_mistake():
    mistake = "rec" + "ieve"
    status, output = run("codespell_lib", "-", text=f"03.ipynb: cell 1: to {mistake} a gradient")
    assert status != 0 and mistake in output
