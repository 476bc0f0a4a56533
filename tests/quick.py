"""Give nbval's verdict on the chapters from one warm process (``make quick``).

``python tests/quick.py [NOTEBOOK ...]`` imports once what notebooks import, NumPy,
Matplotlib and the widgets, and forks a worker for each notebook. No kernel is started. What a cell
says is compared as nbval compares it, and its picture too, which nbval leaves out. It is the loop
while one writes; nbval, in ``make test``, stays the gate. A cell's nbval markers are not heeded:
the chapters have none.
"""

from __future__ import annotations

import argparse
import difflib
import hashlib
import importlib
import json
import multiprocessing
import os
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from multiprocessing.connection import Connection, wait
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from website.tools import notebooks

WORKERS = 2
CELL_TIMEOUT = 60  # seconds, as for nbval
WARM = ("matplotlib.pyplot", "ipywidgets", "anywidget", "tqdm.auto", "nbval.plugin", "ipykernel")
WIDGET = "application/vnd.jupyter.widget-view+json"  # holds an id that is new in each run


def warm() -> None:
    """Import what the workers share; the package itself is left to each of them."""
    os.environ |= notebooks.ENVIRONMENT
    for name in (*WARM, "matplotlib_inline.backend_inline", "IPython.utils.capture"):
        importlib.import_module(name)


def differences(
    path: Path, begin: Callable[[str], object] = lambda cell: None
) -> Iterator[tuple[str, str]]:
    """Run a notebook in this process, and yield each cell that does not say what is stored.

    To be called once in a process: what the cells make stays in it, and it moves to their folder.

    Parameters
    ----------
    path : Path
    begin : callable, optional
        Is called with the id of each code cell before that runs.

    Yields
    ------
    cell : str
        Its id.
    words : str
        What it says otherwise: the lines that are stored, with a minus, and those that came.
    """
    from IPython.core.interactiveshell import InteractiveShell
    from traitlets.config import Config

    notebook = notebooks.read(path.read_text(encoding="utf-8"))
    os.chdir(path.parent)
    with tempfile.TemporaryDirectory(prefix="notebook-") as scratch:
        config = Config({"HistoryManager": {"enabled": False}})
        shell = InteractiveShell.instance(config=config, ipython_dir=scratch)
        shell.user_ns["display"] = importlib.import_module("IPython.display").display
        for cell in notebook.cells:
            if cell.cell_type == "code":
                begin(cell.id)
                outputs, error = _run(shell, cell.source)
                words = error if error else compared(cell, outputs)
                if words:
                    yield cell.id, words


def _run(shell, source: str) -> tuple[list[NotebookNode], str]:
    """Run a cell; return its outputs, and what it ended in if that is an error."""
    from ipykernel.jsonutil import encode_images, json_clean
    from IPython.utils.capture import capture_output

    with capture_output() as captured:
        shell.display_trap.hook = sys.displayhook  # the value of a last line is captured too
        result = shell.run_cell(source, store_history=False)
    outputs = [
        nbformat.v4.new_output("stream", name=name, text=text)
        for name, text in (("stdout", captured.stdout), ("stderr", captured.stderr))
        if text
    ]
    for output in captured.outputs:
        data = json_clean(encode_images(output.data))
        outputs.append(nbformat.v4.new_output("display_data", data))
    error = result.error_before_exec or result.error_in_exec
    return outputs, f"ends in {type(error).__name__}: {error}" if error else ""


def compared(cell: NotebookNode, outputs: list[NotebookNode]) -> str:
    """Return what outputs say otherwise than those stored in a cell, "" if nothing."""
    if cell.execution_count is None:  # nbval asks nothing of a cell that was never run
        return "has outputs and was never run" if cell.outputs else ""
    stored, new = contents(cell.outputs), contents(outputs)
    words = []
    for kind in sorted({*stored, *new}):
        if stored[kind] != new[kind]:
            changed = difflib.unified_diff(
                *(_lines(kind, values) for values in (stored[kind], new[kind])), lineterm="", n=0
            )
            shown = [line for line in list(changed)[2:] if not line.startswith("@@")]
            words += [f"{kind}:", *(shown or ["the same lines, but in other pieces"])]
    return "\n".join(words)


def contents(outputs: Iterable[NotebookNode]) -> defaultdict[str, list]:
    """Return what nbval compares of a cell's outputs, and the pictures: the values of each kind."""
    from nbval.plugin import coalesce_streams

    found = defaultdict(list)
    for output in coalesce_streams(list(outputs)):
        if output.output_type == "stream":
            found[output.name].append(output.text)
        elif output.output_type == "error":
            found["error"].append(f"{output.ename}: {output.evalue}")
        for kind, value in output.get("data", {}).items():
            if kind != WIDGET:
                found[kind].append(value.rstrip() if kind == "image/png" else value)
    return found


def _lines(kind: str, values: list) -> list[str]:
    """Return values as lines that can be read; a picture is one line."""
    if kind.startswith("image/"):
        return [f"a picture {hashlib.sha256(str(v).encode()).hexdigest()[:8]}" for v in values]
    texts = (value if isinstance(value, str) else json.dumps(value) for value in values)
    return [line for text in texts for line in text.splitlines() or [""]]


class Worker:
    """A process that was forked to run one notebook.

    Attributes
    ----------
    pipe : Connection
        Brings the id of each cell that begins, and in the end the list of the differences.
    cell : str
        The cell that runs.
    began, since : float
        When the worker began, and the cell.
    """

    def __init__(self, path: Path) -> None:
        fork = multiprocessing.get_context("fork")
        self.path, self.cell = path, ""
        self.pipe, other = fork.Pipe()
        self.process = fork.Process(target=self._work, args=(other,))
        self.process.start()
        other.close()  # or nobody would see that the worker is gone
        self.began = self.since = time.monotonic()

    def _work(self, pipe: Connection) -> None:
        pipe.send(list(differences(self.path, pipe.send)))

    def hear(self) -> list[tuple[str, str]] | None:
        """Return the differences if the notebook is done; the worker's death is one."""
        try:
            message = self.pipe.recv() if self.pipe.poll() else ""
        except EOFError:
            self.process.join()
            return [(self.cell, f"the worker died: exit code {self.process.exitcode}")]
        if isinstance(message, list):
            return message
        if message:
            self.cell, self.since = message, time.monotonic()
        late = time.monotonic() - self.since >= CELL_TIMEOUT
        return [(self.cell, f"is not done after {CELL_TIMEOUT} s")] if late else None

    def end(self) -> None:
        """Stop the worker, whatever it does."""
        self.process.kill()
        self.process.join()
        self.pipe.close()


def verdicts(paths: Iterable[Path]) -> Iterator[tuple[Path, float, list[tuple[str, str]]]]:
    """Run notebooks, each in a worker forked from this process; yield each as it ends.

    A worker that dies, or a cell that takes longer than `CELL_TIMEOUT` seconds, is a difference.

    Yields
    ------
    path : Path
    seconds : float
    found : list of (cell, words)
        As `differences` has them.
    """
    waiting, running = list(paths), []
    try:
        while waiting or running:
            while waiting and len(running) < WORKERS:
                running.append(Worker(waiting.pop(0)))
            wait([worker.pipe for worker in running], timeout=1)
            for worker in list(running):
                if (found := worker.hear()) is not None:
                    running.remove(worker)
                    worker.end()
                    yield worker.path, time.monotonic() - worker.began, found
    finally:
        for worker in running:
            worker.end()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return 0 if all notebooks say what is stored, 1 if one does not."""
    parser = argparse.ArgumentParser(description="Compare notebooks with what they store.")
    parser.add_argument("paths", nargs="*", type=Path, help="notebooks (default: chapters/)")
    paths = parser.parse_args(arguments).paths or sorted(notebooks.ROOT.glob("chapters/*.ipynb"))
    try:
        for path in paths:
            notebooks.read(path.read_text(encoding="utf-8"))
    except (notebooks.NotebookError, OSError, ValueError) as error:
        print(f"{path}: {error}", file=sys.stderr)
        return 1
    warm()
    failed = False
    for path, seconds, found in verdicts(paths):
        count = f"{len(found)} cell{'s' * (len(found) > 1)}"
        outcome = f"{count} not as stored" if found else "as stored"
        print(f"{path}: {seconds:.1f} s, {outcome}", flush=True)
        for cell, words in found:
            print(f"cell {cell}\n{words}".replace("\n", "\n    "), flush=True)
        failed |= bool(found)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
