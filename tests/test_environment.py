"""What make says on a machine where something is missing: one clear line, and a failure."""

import os
import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TOOLS = (
    "cat",
    "cmp",
    "cp",
    "dirname",
    "echo",
    "expand",
    "grep",
    "make",
    "mkdir",
    "sed",
    "sh",
    "tr",
)


def make(tmp_path, *arguments, programs=None):
    """Run make in a bare copy of the project, with only basic tools and these programs."""
    folder, bin_ = tmp_path / "a course", tmp_path / "bin"
    bin_.mkdir()
    (folder / "website/tools").mkdir(parents=True)
    for name in ("Makefile", "requirements.txt", "pyproject.toml", "website/tools/environment.sh"):
        shutil.copy(ROOT / name, folder / name)
    for tool in TOOLS:
        (bin_ / tool).symlink_to(shutil.which(tool))
    for name, script in (programs or {}).items():
        (bin_ / name).write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
        (bin_ / name).chmod(0o755)
    command = [shutil.which("make"), *arguments]
    environment = {"PATH": str(bin_), "LC_ALL": "C"}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


def said(result):
    """Return the lines on stderr that are not make's own closing line."""
    return [line for line in result.stderr.splitlines() if not line.startswith("make: ***")]


if os.name == "posix":  # make and sh; the README has the plain commands for Windows

    def test_make_alone_lists_the_targets(tmp_path):
        result = make(tmp_path)
        assert result.returncode == 0, result.stderr
        for target in ("book", "serve", "lab", "test", "test-all", "notebooks", "clean"):
            assert f"make {target} " in result.stdout

    def test_no_python(tmp_path):
        result = make(tmp_path, "book")
        assert result.returncode != 0
        (line,) = said(result)
        assert "Python 3.11 or later is needed" in line

    def test_a_python_that_is_too_old_or_does_not_run(tmp_path):
        programs = {"python3": "exit 1", "python3.12": "exit 127"}
        result = make(tmp_path, "test", programs=programs)
        assert result.returncode != 0
        (line,) = said(result)
        assert "Python 3.11 or later is needed" in line

    def test_a_python_without_venv(tmp_path):
        programs = {"python3": 'case "$2" in *ensurepip*) exit 1;; esac'}
        result = make(tmp_path, "book", programs=programs)
        assert result.returncode != 0
        (line,) = said(result)
        assert "no venv module" in line

    def test_no_network(tmp_path):
        """A stand-in for Python whose pip cannot reach anything."""
        broken = "echo 'NewConnectionError: Temporary failure in name resolution'; exit 1"
        pip = f"""
case "$*" in
  *"-m venv"*) mkdir -p .venv/bin; cp "$0" .venv/bin/python;;
  *"pip install"*) {broken};;
  *--version*) echo Python 3.11.0;;
esac"""
        result = make(tmp_path, "book", programs={"python3": pip})
        assert result.returncode != 0
        (line,) = said(result)
        assert "is there a network?" in line and ".venv/pip.log" in line
        log = tmp_path / "a course/.venv/pip.log"
        assert "NewConnectionError" in log.read_text(encoding="utf-8")
