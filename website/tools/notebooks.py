"""Run the chapters from top to bottom and store them with their outputs (``make notebooks``).

Usage::

    python -m website.tools.notebooks [--check] [PATH ...]

A PATH is a notebook or a folder; without one, all of ``chapters/``. Each notebook runs in a new
kernel of the Python that runs this command, in the notebook's own folder, with no progress bars
and without the reader's own IPython configuration. Its file is replaced in one step, and only
when every cell ran, printed nothing to stderr and drew at most one figure; otherwise it stays as
it was and the command says which cell is to blame. With ``--check`` nothing is written: the
outputs are compared with the stored ones, pictures too.

Running the command twice leaves the files byte-identical: what changes from run to run or from
machine to machine (times, versions, the random ids of widgets, how a front end folds its cells)
is not stored. The text of a figure, which `initcore.plots.show` puts beside the picture, is
copied to ``mystnb.image.alt`` in the cell's metadata, where MyST-NB takes a picture's alternative
text from. A chapter gets the cell of ``setup_cell.py`` below its title.

The exit status is 0 if all went well, 1 if a notebook failed or differs, 2 for a wrong argument.
"""

from __future__ import annotations

import argparse
import difflib
import hashlib
import json
import multiprocessing
import os
import re
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
from ipykernel.kernelspec import RESOURCES, get_kernel_dict
from jupyter_client import AsyncKernelManager
from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbformat import NotebookNode

from website.tools import setup_cell

ROOT = Path(__file__).resolve().parents[2]
CELL_TIMEOUT = 300  # seconds; nbval allows less, this is against a notebook that never ends
AT_ONCE = 2

KERNELSPEC = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
LANGUAGE_INFO = {  # without the version: it is the reader's, not the notebook's
    "codemirror_mode": {"name": "ipython", "version": 3},
    "file_extension": ".py",
    "mimetype": "text/x-python",
    "name": "python",
    "nbconvert_exporter": "python",
    "pygments_lexer": "ipython3",
}
# What front ends keep in a cell for themselves: when it ran, how it is folded.
VOLATILE = (
    "collapsed",
    "deletable",
    "editable",
    "execution",
    "ExecuteTime",
    "jupyter",
    "jp-MarkdownHeadingCollapsed",
    "scrolled",
    "slideshow",
    "trusted",
)
# Cells whose code the page folds, or leaves out: JupyterLab folds it too.
FOLDED = {"hide-input", setup_cell.TAG}
# What would make a run depend on the shell it was started from.
NOT_INHERITED = ("MPLBACKEND", "PYTHONSTARTUP", "PYTHONWARNINGS")
# One thread each, as in `make test`: two kernels with all threads each are three times slower.
SET = {"INITCORE_PROGRESS": "0", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
WIDGET_STATE = "application/vnd.jupyter.widget-state+json"


class NotebookError(Exception):
    """What is wrong with a notebook, in a few lines."""


# --- reading and writing ------------------------------------------------------------------------


def read(text: str) -> NotebookNode:
    """Return the notebook in a text, every cell with an id of its own that the next run keeps.

    Raises
    ------
    NotebookError
        The text is not a notebook of format 4.
    """
    try:
        content = json.loads(text)
        cells = content["cells"] if content["nbformat"] == 4 else None
    except (ValueError, KeyError, TypeError) as error:
        raise NotebookError(f"cannot be read as a notebook: {error}") from None
    if cells is None:
        raise NotebookError("is not in format 4: open and save it in JupyterLab first")
    used: set[str] = set()
    for number, cell in enumerate(cells):
        if cell.get("id") in used or not cell.get("id"):
            # nbformat would give it a random one
            cell["id"] = next(new for new in _numbered(f"cell-{number}") if new not in used)
        used.add(cell["id"])
    content["nbformat_minor"] = max(5, content.get("nbformat_minor", 0))
    try:
        notebook = nbformat.reads(json.dumps(content), as_version=4)
        nbformat.validate(notebook)
    except nbformat.ValidationError as error:
        raise NotebookError(f"is not a valid notebook: {error}".splitlines()[0]) from None
    return notebook


def _numbered(name: str) -> Iterable[str]:
    yield name
    yield from (f"{name}-{number}" for number in range(2, 10_000))


def to_text(notebook: NotebookNode) -> str:
    """Return the one text that a notebook is stored as."""
    return nbformat.writes(notebook, version=4).rstrip("\n") + "\n"


def write(path: Path, text: str, was: str) -> bool:
    """Replace a file in one step, if its content changes; tell whether it did.

    Raises
    ------
    NotebookError
        The file is no longer as it was: somebody saved it in the meantime.
    """
    if path.read_text(encoding="utf-8") != was:
        raise NotebookError("was saved by somebody else while it ran; nothing is stored")
    if text == was:
        return False
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}-", suffix=".tmp")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(text.encode("utf-8"))
        os.chmod(temporary, path.stat().st_mode)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
    return True


# --- the form in which a notebook is stored -----------------------------------------------------


def normalise(notebook: NotebookNode) -> NotebookNode:
    """Return an executed notebook without what changes from run to run."""
    notebook = _rename_widgets(notebook)
    notebook.metadata["kernelspec"] = nbformat.from_dict(KERNELSPEC)
    notebook.metadata["language_info"] = nbformat.from_dict(LANGUAGE_INFO)
    for cell in notebook.cells:
        for key in VOLATILE:
            cell.metadata.pop(key, None)
        if cell.cell_type == "code":
            if FOLDED & set(cell.metadata.get("tags", ())):
                cell.metadata["jupyter"] = nbformat.from_dict({"source_hidden": True})
            cell.outputs = _join_streams(cell.outputs)
            _carry_alt_text(cell)
    return notebook


def _rename_widgets(notebook: NotebookNode) -> NotebookNode:
    """Number the widget models in the order in which they were made; their ids are random."""
    state = notebook.metadata.get("widgets", {}).get(WIDGET_STATE, {}).get("state", {})
    text = json.dumps(notebook)
    for number, model in enumerate(state, start=1):
        text = text.replace(model, f"{number:032x}")
    return nbformat.from_dict(json.loads(text))


def _join_streams(outputs: Sequence[NotebookNode]) -> list[NotebookNode]:
    """Join what a cell printed in one go: how a kernel cuts it into messages is chance."""
    joined: list[NotebookNode] = []
    for output in outputs:
        last = joined[-1] if joined else {}
        if output.output_type == "stream" and last.get("name") == output.name:
            last["text"] += output.text
        else:
            joined.append(output)
    return joined


def pictures(cell: NotebookNode) -> list[NotebookNode]:
    """Return the outputs of a code cell that hold a picture."""
    return [
        output
        for output in cell.outputs
        if any(kind.startswith("image/") for kind in output.get("data", {}))
    ]


def alt_text(picture: NotebookNode) -> str | None:
    """Return the text that an output carries for its PNG."""
    return picture.metadata.get("image/png", {}).get("alt")


def _carry_alt_text(cell: NotebookNode) -> None:
    texts = [text for text in map(alt_text, pictures(cell)) if text]
    mystnb = cell.metadata.get("mystnb", {})
    image = mystnb.get("image", {})
    image.pop("alt", None)
    if texts:
        cell.metadata.setdefault("mystnb", mystnb).setdefault("image", image)["alt"] = texts[0]
        return
    if "image" in mystnb and not image:
        del mystnb["image"]
    if "mystnb" in cell.metadata and not mystnb:
        del cell.metadata["mystnb"]


# --- running ------------------------------------------------------------------------------------


class ThisPython(KernelSpecManager):
    """Knows one kernel, whatever is installed elsewhere: the one of this Python."""

    def get_kernel_spec(self, kernel_name: str) -> KernelSpec:
        """Return the kernel of `sys.executable` under any name."""
        return KernelSpec(resource_dir=RESOURCES, **get_kernel_dict())


def execute(notebook: NotebookNode, folder: Path) -> NotebookNode:
    """Run all cells in a new kernel and return the notebook as it is to be stored.

    Raises
    ------
    NotebookError
        A cell raised an error, wrote to stderr, drew more than one figure or took too long, or
        the kernel died.
    """
    notebook = nbformat.from_dict(notebook)  # a copy
    notebook.metadata.pop("widgets", None)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    with (
        tempfile.TemporaryDirectory(prefix="notebook-") as scratch,
        Path(scratch, "kernel.log").open("w+", encoding="utf-8", errors="replace") as kernel_log,
    ):
        environment = {name: os.environ[name] for name in os.environ if name not in NOT_INHERITED}
        environment |= SET | {"IPYTHONDIR": scratch}
        client = NotebookClient(
            notebook,
            km=AsyncKernelManager(kernel_name="python3", kernel_spec_manager=ThisPython()),
            resources={"metadata": {"path": str(folder)}},
            timeout=CELL_TIMEOUT,
            iopub_timeout=CELL_TIMEOUT,  # output that is late is waited for, not left out
            raise_on_iopub_timeout=True,
            record_timing=False,
            force_raise_errors=True,  # a tag that allows an error does not allow it here
            skip_cells_with_tag="",  # nor does one that skips a cell
            shutdown_kernel="immediate",
        )
        client.log.disabled = True  # what it would log is in the exceptions
        try:
            client.execute(env=environment, stderr=kernel_log, cleanup_kc=True)
        except CellExecutionError as error:
            raise NotebookError(_describe(notebook, error)) from None
        except CellTimeoutError:
            where = client.code_cells_executed
            raise NotebookError(f"code cell {where}: not done after {CELL_TIMEOUT} s") from None
        except (DeadKernelError, RuntimeError) as error:  # the second: it did not even start
            kernel_log.seek(0)
            words = [line for line in kernel_log.read().splitlines() if "IPKernelApp" not in line]
            where = f"code cell {client.code_cells_executed}: {error}"
            raise NotebookError("\n    ".join([where, *words[-5:]])) from None
    for number, cell in enumerate(_code_cells(notebook), start=1):
        _refuse(cell, number)
    return normalise(notebook)


def _code_cells(notebook: NotebookNode) -> list[NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def _describe(notebook: NotebookNode, error: CellExecutionError) -> str:
    """Say which cell raised what, and at which of its lines."""
    ran = [n for n, cell in enumerate(_code_cells(notebook), start=1) if cell.execution_count]
    message = str(error.evalue).strip().splitlines()
    lines = [f"code cell {ran[-1]}: {error.ename}: {message[0] if message else ''}", *message[1:5]]
    plain = re.sub(r"\x1b\[[0-9;]*m", "", error.traceback)
    lines += [line for line in plain.splitlines() if line.startswith("---->")][:1]
    return "\n    ".join(lines)


def _refuse(cell: NotebookNode, number: int) -> None:
    """Raise if what a cell put out must not be stored."""
    written = "".join(output.text for output in cell.outputs if output.get("name") == "stderr")
    if written:
        shown = "\n    ".join(written.strip().splitlines()[:5])
        raise NotebookError(f"code cell {number}: wrote to stderr, not stored\n    {shown}")
    if len(pictures(cell)) > 1:
        raise NotebookError(f"code cell {number}: {len(pictures(cell))} figures, one a cell")


@dataclass(frozen=True)
class Run:
    """What came of one notebook: its text before and after, or what is wrong with it."""

    path: Path
    seconds: float
    was: str = ""
    text: str = ""
    problem: str = ""


def run(path: Path) -> Run:
    """Execute one notebook; its file is not touched."""
    start = time.monotonic()
    try:
        was = path.read_text(encoding="utf-8")
        notebook, config = read(was), path.resolve().parent.parent / "_config.yml"
        if config.is_file():  # a chapter of a course
            setup_cell.put(notebook, config)
        text = to_text(execute(notebook, path.resolve().parent))
    except (NotebookError, OSError, ValueError) as error:
        return Run(path, time.monotonic() - start, problem=str(error))
    return Run(path, time.monotonic() - start, was=was, text=text)


def run_all(paths: Sequence[Path]) -> Iterable[Run]:
    """Execute notebooks, two at a time, and yield what came of them in the order given."""
    # Processes, so that Ctrl+C ends kernels and command; new ones, as the caller may have threads.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(AT_ONCE, mp_context=context) as pool:
        yield from pool.map(run, paths)


# --- comparing ----------------------------------------------------------------------------------


def differences(stored: str, new: str) -> str:
    """Say in a few lines how a stored notebook differs from one that was just executed."""
    old_cells, new_cells = (json.loads(text)["cells"] for text in (stored, new))
    lines, number = [], 0
    if len(old_cells) != len(new_cells):
        return "the setup cell is missing, or is not the second one"
    for old, cell in zip(old_cells, new_cells, strict=True):
        number += cell["cell_type"] == "code"
        if old != cell:
            diff = list(difflib.unified_diff(_readable(old), _readable(cell), lineterm="", n=0))
            shown = [line[:100] for line in diff[2:] if not line.startswith("@@")]
            what = f"code cell {number}" if cell["cell_type"] == "code" else "a Markdown cell"
            lines += [f"{what}: not what is stored", *(f"  {line}" for line in shown[:12])]
    if not lines:
        lines = ["the formatting or the metadata of the notebook is not what is stored"]
    return "\n    ".join(lines[:40])


def _readable(cell: dict[str, Any]) -> list[str]:
    """Return what a cell stores as lines, data that cannot be read as a digest."""
    lines = [f"execution count {cell.get('execution_count')}", f"metadata {cell['metadata']}"]
    for output in cell.get("outputs", []):
        data = {output.get("name", "error"): output.get("text", []), **output.get("data", {})}
        for kind, content in data.items():
            text = content if isinstance(content, str) else "".join(map(str, content))
            if kind.startswith("image/"):
                text = f"{len(text)} characters, sha256 {hashlib.sha256(text.encode()).hexdigest()}"
            lines += [f"{kind}: {line}" for line in text.splitlines()]
        lines.append(f"output metadata {output.get('metadata')}")
    return lines


# --- the command --------------------------------------------------------------------------------


def find(names: Sequence[str]) -> list[Path]:
    """Return the notebooks that the arguments name, each once.

    Raises
    ------
    NotebookError
        A name is neither a notebook nor a folder that holds one.
    """
    found: list[Path] = []
    for name in names or [str(ROOT / "chapters")]:
        path = Path(name)
        inside = sorted(path.glob("*.ipynb")) if path.is_dir() else [path]
        if not inside or not all(file.is_file() and file.suffix == ".ipynb" for file in inside):
            raise NotebookError(f"no notebook there: {_show(path)}")
        found += [file for file in inside if file not in found]
    return found


def _show(path: Path) -> str:
    resolved, here = path.resolve(), Path.cwd()
    return str(resolved.relative_to(here) if resolved.is_relative_to(here) else path)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    parser = argparse.ArgumentParser(
        prog="notebooks.py", description="Run notebooks top to bottom and store their outputs."
    )
    parser.add_argument("--check", action="store_true", help="compare, and write nothing")
    parser.add_argument("paths", nargs="*", help="notebooks or folders (default: chapters/)")
    options = parser.parse_args(arguments)
    try:
        paths = find(options.paths)
    except NotebookError as error:
        print(error, file=sys.stderr)
        return 2
    reports = [report(result, options.check) for result in run_all(paths)]
    return 0 if all(reports) else 1


def report(result: Run, check: bool) -> bool:
    """Store or compare what came of one notebook, say so, and tell whether all is well."""
    problem, outcome = result.problem, "as stored"
    try:
        if check and not problem and result.text != result.was:
            problem = differences(result.was, result.text)
        elif not check and not problem:
            outcome = "stored" if write(result.path, result.text, result.was) else "unchanged"
    except (NotebookError, OSError) as error:
        problem = str(error)
    name, seconds = _show(result.path), f"{result.seconds:.1f} s"
    if problem:
        print(f"{name}, {problem}", file=sys.stderr)
        outcome = "differs" if check and result.text else "failed; the file is as it was"
    print(f"{name}: {seconds}, {outcome}", file=sys.stderr if problem else sys.stdout, flush=True)
    return not problem


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("Interrupted; what was not yet stored is as it was")
