"""What make does about .venv, run for real with stand-ins for Python and its pip."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
TOOLS = "cksum cp cut expand grep make mkdir rm sed sh touch".split()
MAKING, INSTALLING = "Making .venv", "Installing requirements.lock"
# It makes a .venv with itself in it.
PYTHON = """case "$*" in
  *"-m venv"*) rm -rf .venv; mkdir -p .venv/bin; cp "$0" .venv/bin/python;;
  *"pip install"*) {pip};;
esac"""


def make(folder, target, python):
    """Run make in a bare copy of the project, with a script in Python's place."""
    programs = folder.parent / "bin"
    programs.mkdir(exist_ok=True)
    for tool in TOOLS:
        (programs / tool).unlink(missing_ok=True)
        (programs / tool).symlink_to(shutil.which(tool))
    (programs / "python3").write_text(f"#!/bin/sh\n{python}\n", encoding="utf-8")
    (programs / "python3").chmod(0o755)
    folder.mkdir(exist_ok=True)
    for name in ("Makefile", "requirements.lock", "pyproject.toml"):
        shutil.copy2(ROOT / name, folder / name)
    command, environment = [programs / "make", target], {"PATH": str(programs), "LC_ALL": "C"}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


@pytest.mark.parametrize(
    "python, words",
    [
        ("exit 1", "Python 3.11 or later is needed"),  # none, one that is too old, one without venv
        (
            PYTHON.format(pip="echo ERROR: no route; exit 1"),
            "(ERROR: no route): is there a network?",
        ),
    ],
)
def test_what_is_missing_is_said_in_one_line(tmp_path, python, words):
    result = make(tmp_path / "a course", "book", python)
    line, _ = result.stderr.splitlines()  # the last one is make's own
    assert result.returncode and words in line


def test_it_is_installed_once_until_something_changes_or_the_folder_moves(tmp_path):
    folder, python = tmp_path / "a course", PYTHON.format(pip="true")
    first = make(folder, "students", python).stdout
    assert MAKING in first and INSTALLING in first
    again = make(folder, "students", python).stdout
    assert MAKING not in again and INSTALLING not in again
    for stamp in folder.glob(".venv/at-*/requirements.lock"):
        os.utime(stamp, (0, 0))  # as if the file had been changed since
    updated = make(folder, "students", python).stdout
    assert MAKING not in updated and INSTALLING in updated
    moved = make(folder.rename(tmp_path / "moved"), "students", python).stdout
    assert MAKING in moved and INSTALLING in moved


@pytest.mark.parametrize("name", ["ci.yml", "weekly.yml"])
def test_a_workflow_can_be_read_and_runs_what_is_there(name):
    text = (ROOT / ".github/workflows" / name).read_text("utf-8")
    jobs = yaml.safe_load(text)["jobs"]
    targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    runs = [step["run"] for job in jobs.values() for step in job["steps"] if "run" in step]
    assert len(runs) >= 2 and all(isinstance(run, str) for run in runs)
    made = [run.split()[1] for run in runs if run.startswith("make ")]
    assert made and set(made) <= set(targets)
    files = re.findall(r"-r (\S+\.(?:txt|lock))", " ".join(runs))
    assert files and all((ROOT / file).is_file() for file in files)
    used = [line for line in text.splitlines() if "uses:" in line]
    assert used and all(re.search(r"uses: [\w/-]+@[0-9a-f]{40} # v[\d.]+$", line) for line in used)
