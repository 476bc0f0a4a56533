"""What make does about .venv, run for real with stand-ins for Python and for pip."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
TOOLS = "cksum cp cut dirname echo expand grep make mkdir pwd rm sed sh test touch".split()
# A Python that makes .venv with itself in it, and whose pip says what it is asked for.
PYTHON = """#!/bin/sh
case "$*" in
  *"-m venv"*) rm -rf .venv; mkdir -p .venv/bin; cp "$0" .venv/bin/python;;
  *"pip install"*) [ -z "$BROKEN" ] || { echo "ERROR: no route to the index"; exit 1; };;
esac"""


@pytest.fixture
def make(tmp_path):
    """A function that runs make in a bare copy of the project, and returns what it printed."""
    bin_ = tmp_path / "bin"
    bin_.mkdir()
    for tool in TOOLS:
        (bin_ / tool).symlink_to(shutil.which(tool))

    def run(folder, *arguments, python="", **variables):
        for name in ("Makefile", "requirements.txt", "pyproject.toml"):
            if not (folder / name).exists():
                folder.mkdir(exist_ok=True)
                shutil.copy(ROOT / name, folder / name)
        if python:
            (bin_ / "python3").write_text(python, encoding="utf-8")
            (bin_ / "python3").chmod(0o755)
        environment = {"PATH": str(bin_), "LC_ALL": "C", **variables}
        command = [shutil.which("make"), *arguments]
        return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)

    return run


def test_make_alone_lists_the_targets(tmp_path, make):
    result = make(tmp_path)
    for target in ("book", "serve", "lab", "test", "test-all", "notebooks", "clean"):
        assert f"make {target} " in result.stdout


@pytest.mark.parametrize("python", ["", "#!/bin/sh\nexit 1"], ids=["none", "too old"])
def test_without_a_python_that_can_be_used_there_is_one_line(tmp_path, make, python):
    result = make(tmp_path / "a course", "book", python=python)
    line, _ = result.stderr.splitlines()  # the last one is make's own
    assert result.returncode and "Python 3.11 or later is needed" in line


def test_without_a_network_there_is_one_line(tmp_path, make):
    result = make(tmp_path / "a course", "book", python=PYTHON, BROKEN="1")
    line, _ = result.stderr.splitlines()
    assert result.returncode and "is there a network?" in line and "no route" in line
    assert "no route" in (tmp_path / "a course/.venv/pip.log").read_text(encoding="utf-8")


def test_it_is_installed_once_until_something_changes_or_the_folder_moves(tmp_path, make):
    folder = tmp_path / "a course"
    making, installing = "Making .venv", "Installing requirements.txt"
    first = make(folder, "students", python=PYTHON).stdout
    assert making in first and installing in first
    again = make(folder, "students").stdout
    assert making not in again and installing not in again
    changed = folder / "requirements.txt"
    later = (folder / ".venv/pip.log").stat().st_mtime + 10
    os.utime(changed, (later, later))
    updated = make(folder, "students").stdout
    assert making not in updated and installing in updated
    moved = make(folder.rename(tmp_path / "moved"), "students").stdout
    assert making in moved and installing in moved
