"""What a command leaves when it is ended, when the disk is full, or when a file is damaged.

A file is whole or as it was, one line says why, and the next run recovers. The commands run in a
copy of the course, each in one process that forks for each fault: it imports only once.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook
from test_environment import PYTHON, make

from initcore import _files, datasets, explorers
from website.tools import claims, notebooks

ROOT = Path(__file__).resolve().parents[1]
FULL = "a full disk"
# What each makes of a command: its exit code, negative for a signal.
FAULTS = {
    "in the file": -signal.SIGKILL,
    "before it is in place": -signal.SIGKILL,
    "SIGTERM": -signal.SIGTERM,
    "Ctrl+C": 1,
    FULL: 1,
}
DRIVER = """
import os, resource, runpy, signal, sys
from pathlib import Path

sys.path.insert(0, os.getcwd())
faults, module, *sys.argv[1:] = sys.argv[1].split("|"), *sys.argv[2:]
__import__(module.removesuffix(".__main__"))
if "picture" in module:  # what takes long
    from matplotlib.figure import Figure
    Figure.savefig = lambda fig, file, **options: file.write(bytes(3000))
if "explorers" in module:
    numbers = {"shared": {}, "cases": {"a": list(range(1000))}}
    sys.modules["initcore.explorers"].Explorer.compute = lambda progress: numbers
write = Path.write_bytes


def end(number):
    signal.raise_signal(number)  # to this thread: sent to the process, another one may take it


def half(path, content):
    write(path, content[: len(content) // 2])
    end(signal.SIGKILL)


for fault in faults:
    sys.stdout.flush()
    if not (child := os.fork()):
        os.dup2(os.open(fault, os.O_CREAT | os.O_TRUNC | os.O_WRONLY), 2)
        if fault == "in the file":
            Path.write_bytes = half
        elif fault == "a full disk":
            resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
        elif fault != "nothing":
            number = {"SIGTERM": signal.SIGTERM, "Ctrl+C": signal.SIGINT}.get(fault, signal.SIGKILL)
            Path.replace = lambda *paths: end(number)
        runpy.run_module(module, run_name="__main__", alter_sys=True)
        os._exit(0)
    print(fault, os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), sep=": ")
"""


@pytest.fixture
def course(tmp_path):
    """A copy of what the commands read."""
    left_out = shutil.ignore_patterns("__pycache__", "node_modules")
    for name in ("benchmarks", "chapters", "initcore", "pages", "website"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=left_out)
    for pattern in ("claims.yml", "references.bib", "requirements.txt", "*.toml", "LICENSE*"):
        for path in ROOT.glob(pattern):
            shutil.copy(path, tmp_path)
    return tmp_path


def run(course, faults, module, *arguments):
    """Run a command under each fault; return its exit codes, negative for a signal."""
    command = [sys.executable, "-c", DRIVER, "|".join(faults), module, *arguments]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=course, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = [line.split(": ") for line in done.stdout.splitlines()]
    return {fault: int(code) for fault, code in (one for one in found if one[0] in faults)}


def last_line(course, fault):
    """Return the last line that a command has said; a progress bar stands before it."""
    text = (course / fault).read_text(encoding="utf-8")
    assert "Traceback" not in text, text
    return text.splitlines()[-1]


@pytest.mark.parametrize(
    ("module", "argument", "file"),
    [
        ("initcore.explorers.__main__", "compromise", "initcore/explorers/data/compromise.json"),
        ("website.tools.lists", None, "pages/claims.md"),
        ("website.tools.picture", ".", "course.png"),
        ("website.tools.students", None, "_build/students.zip"),
    ],
)
def test_a_file_is_whole_or_as_it_was_and_the_next_run_recovers(course, module, argument, file):
    arguments = [argument] if argument else []
    target = course / file
    target.parent.mkdir(exist_ok=True)
    target.write_bytes(b"as it was")
    # all faults where nothing is measured or drawn, the two worst ones for the others
    faults = FAULTS if "explorers" in module else {n: FAULTS[n] for n in ("in the file", FULL)}
    assert run(course, faults, module, *arguments) == faults
    assert target.read_bytes() == b"as it was"
    if "Ctrl+C" in faults:
        assert last_line(course, "Ctrl+C") == "Stopped: what was not finished is as it was"
    line = last_line(course, FULL)
    assert line.endswith("cannot be read or written: File too large") and target.name in line
    target.unlink()
    target.mkdir()  # in the file's place, as nothing is read-only for root
    assert run(course, ["nothing"], module, *arguments) == {"nothing": 1}
    assert last_line(course, "nothing").endswith("cannot be read or written: Is a directory")
    target.rmdir()
    assert run(course, ["nothing"], module, *arguments) == {"nothing": 0}
    assert target.stat().st_size > 1000 and not list(course.glob("**/*.tmp"))


def test_what_could_not_be_finished_is_taken_away(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("old", encoding="utf-8")
    for content in ("new", b"\x00new"):
        _files.write(tmp_path / "file", content)
        assert (tmp_path / "file").read_bytes().endswith(b"new")
    monkeypatch.setattr(Path, "replace", lambda *paths: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        _files.write(tmp_path / "file", "newer")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


WAIT = """\
import os, pathlib, time
pathlib.Path("kernel").write_text(f"{os.getpid()} {os.getppid()}")
time.sleep(20)"""


def is_running(process):
    """Tell whether there is a process of this number."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(process, 0)
        return True
    return False


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_notebooks_that_are_ended_stay_and_leave_no_kernel(tmp_path, number):
    path, kernel = tmp_path / "one.ipynb", tmp_path / "kernel"
    nbformat.write(new_notebook(cells=[new_code_cell(WAIT)]), path)
    was = path.read_bytes()
    command = [sys.executable, "-m", "website.tools.notebooks", str(path)]
    said = tmp_path / "said"
    with (
        said.open("wb") as stream,
        subprocess.Popen(command, cwd=ROOT, stderr=stream, start_new_session=True) as process,
    ):
        while not (kernel.is_file() and kernel.read_text().count(" ")):
            assert process.poll() is None
            time.sleep(0.02)
        send = os.killpg if number == signal.SIGINT else os.kill  # Ctrl+C goes to all of them
        send(process.pid, number)
    assert process.returncode == (1 if number == signal.SIGINT else -number)
    text = said.read_text(encoding="utf-8")
    assert text.startswith("Stopped: " if number == signal.SIGINT else "") and "Trace" not in text
    left = {*map(int, kernel.read_text().split())}
    for _ in range(1000):  # a kernel looks once a second whether its parent is there
        left = {one for one in left if is_running(one)}
        time.sleep(0.02 if left else 0)
    for one in left:
        os.kill(one, signal.SIGKILL)
    assert not left
    assert path.read_bytes() == was and [p.name for p in tmp_path.glob("one*")] == ["one.ipynb"]


def test_a_notebook_that_the_disk_cannot_take_stays(tmp_path, monkeypatch):
    path = tmp_path / "one.ipynb"
    nbformat.write(new_notebook(cells=[new_code_cell("print('x')")]), path)
    was = path.read_bytes()
    with monkeypatch.context() as full:
        full.setattr(_files, "write", lambda *_: os.open(tmp_path, os.O_WRONLY))
        good, said = notebooks.run(path)
    assert not good and "failed, file unchanged" in said and path.read_bytes() == was
    assert notebooks.run(path)[0] and path.read_bytes() != was


BUILD = """#!/bin/sh
test -e _build/html/page && echo "built on what was there"
mkdir -p _build/html
echo half > _build/html/page
test -e fault && . ./fault
echo whole > _build/html/page
"""


def test_a_book_that_was_not_finished_is_built_anew(tmp_path):
    folder = tmp_path / "course"
    make(folder, "students", PYTHON.format(pip="true"))
    (folder / ".venv/bin/jupyter-book").write_text(BUILD, encoding="utf-8")
    (folder / ".venv/bin/jupyter-book").chmod(0o755)

    def book():
        return make(folder, "book", PYTHON.format(pip="true"))

    for fault in ("exit 1", "kill -KILL $$", "kill -TERM $$", "kill -INT $$"):
        (folder / "fault").write_text(fault, encoding="utf-8")
        failed = book()
        assert failed.returncode and "Run make book again" in failed.stderr
        (folder / "fault").unlink()
        recovered = book()
        assert not recovered.returncode and "built on" not in recovered.stdout
        assert (folder / "_build/html/page").read_text(encoding="utf-8") == "whole\n"
        assert "built on what was there" in book().stdout
    shutil.rmtree(folder / "_build")
    (folder / "_build").touch()
    assert "_build" in book().stderr.splitlines()[0]


def test_damaged_digits_are_said_to_be(monkeypatch):
    whole = (ROOT / "initcore/data/digits.npz").read_bytes()
    flipped = whole[:100] + bytes([whole[100] ^ 1]) + whole[101:]
    for content in (whole[: len(whole) // 2], flipped, b"", b"\xff" * 100):
        with monkeypatch.context() as fault:
            fault.setattr(Path, "read_bytes", lambda path, content=content: content)
            with pytest.raises(ValueError, match="digits.npz are damaged: install initcore again"):
                datasets.load_digits()
    assert len(datasets.load_digits().x) == 1797


def test_damaged_numbers_of_a_figure_are_said_to_be(tmp_path, monkeypatch):
    (tmp_path / "data").mkdir()
    monkeypatch.setattr("initcore.explorers._base.FILES", tmp_path)
    whole = (ROOT / "initcore/explorers/data/depth.json").read_bytes()
    for content in (whole[:-3], whole[: len(whole) // 2], b"", b"\xff" * 100):
        (tmp_path / "data/depth.json").write_bytes(content)
        with pytest.raises(ValueError, match=r"depth.json are damaged: .*initcore.explorers depth"):
            explorers.Depth.load()


BAD = ["[*a]", "a: [", "\x00", "- !!int ''", "- 2001-99-99", "[" * 5000, "- !x y"]


@pytest.mark.parametrize("text", BAD, ids=range(len(BAD)))
def test_a_ledger_that_cannot_be_read_is_one_line(tmp_path, text):
    (tmp_path / "claims.yml").write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match="^claims.yml is no YAML: .+$"):
        claims.load_claims(tmp_path / "claims.yml")
