"""Run the chapters from top to bottom and store them with their outputs (``make notebooks``).

``python -m website.tools.notebooks [--check] [NOTEBOOK ...]`` runs each in a new kernel, in its own
folder. The file is replaced only when every cell ran, wrote nothing to stderr and drew at most one
figure; otherwise it stays as it was. The lines of the file that have changed are printed, long ones
cut. With ``--check`` nothing is written: the outputs are compared with the stored ones, pictures
too. Running the command twice leaves the files byte-identical.
"""

from __future__ import annotations

import argparse
import asyncio
import difflib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError
from nbformat import NotebookNode

from initcore import _files
from website.tools import setup_cell

ROOT = Path(__file__).resolve().parents[2]
CELL_TIMEOUT = 300  # seconds; nbval allows less, this is against a notebook that never ends

METADATA = {  # without the version of Python: it is the reader's, not the notebook's
    "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
    "language_info": {
        "codemirror_mode": {"name": "ipython", "version": 3},
        **{"file_extension": ".py", "mimetype": "text/x-python", "name": "python"},
        **{"nbconvert_exporter": "python", "pygments_lexer": "ipython3"},
    },
}
# Cells whose code the page folds, or leaves out: JupyterLab folds it too.
FOLDED = {"hide-input", setup_cell.TAG}
ENVIRONMENT = {  # not that of the shell; one thread, or two kernels are three times slower
    "INITCORE_PROGRESS": "0",
    "JUPYTER_PREFER_ENV_PATH": "1",  # the kernel of this environment, not of the user
    "MPLBACKEND": "module://matplotlib_inline.backend_inline",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "PYTHONSTARTUP": "",
    "PYTHONWARNINGS": "",
}
WIDGET_STATE = "application/vnd.jupyter.widget-state+json"


class NotebookError(Exception):
    """What is wrong with a notebook, in a few lines."""


def read(text: str) -> NotebookNode:
    """Return the notebook in a text; raise a `NotebookError` if there is none."""
    try:
        notebook = nbformat.reads(text, as_version=4)
        nbformat.validate(notebook)
    except (ValueError, nbformat.ValidationError) as error:
        raise NotebookError(f"cannot be read as a notebook: {error}".splitlines()[0]) from None
    return notebook


def to_text(notebook: NotebookNode) -> str:
    """Return the one text that a notebook is stored as."""
    return nbformat.writes(notebook, version=4).rstrip("\n") + "\n"


def normalise(notebook: NotebookNode) -> NotebookNode:
    """Return a copy of an executed notebook without what changes from run to run.

    The text of a figure, by `initcore.plots.show`, is copied to where MyST-NB takes it from.
    """
    text = json.dumps(notebook)
    widgets = notebook.metadata.get("widgets", {}).get(WIDGET_STATE, {})
    for number, model in enumerate(widgets.get("state", {}), start=1):
        text = text.replace(model, f"{number:032x}")  # the ids of widgets are random
    notebook = nbformat.from_dict(json.loads(text))
    kept = {"widgets": notebook.metadata.widgets} if widgets else {}
    notebook.metadata = nbformat.from_dict(METADATA | kept)
    for cell in notebook.cells:
        tags = cell.metadata.get("tags", [])
        cell.metadata = nbformat.from_dict({"tags": tags} if tags else {})
        if cell.cell_type != "code":
            continue
        # what a cell printed in one go: how a kernel cuts it into messages is chance
        joined: list[NotebookNode] = []
        for output in cell.outputs:
            if joined and output.get("name") and output.name == joined[-1].get("name"):
                joined[-1].text += output.text
            else:
                joined.append(output)
        cell.outputs = joined
        for text in filter(None, map(alt_text, pictures(cell))):
            cell.metadata["mystnb"] = {"image": {"alt": text}}
        if FOLDED & set(tags):
            cell.metadata["jupyter"] = {"source_hidden": True}
    return notebook


def pictures(cell: NotebookNode) -> list[NotebookNode]:
    """Return the outputs of a code cell that hold a picture."""
    return [output for output in cell.outputs if "image/png" in output.get("data", {})]


def alt_text(picture: NotebookNode) -> str:
    """Return the text that an output carries for its PNG, "" if it has none."""
    return picture.metadata.get("image/png", {}).get("alt", "")


def execute(notebook: NotebookNode, folder: Path) -> NotebookNode:
    """Run all cells in a new kernel and return the notebook as it is to be stored.

    A cell that fails, takes too long, writes to stderr or draws two figures is a `NotebookError`.
    """
    notebook.metadata.pop("widgets", None)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    with tempfile.TemporaryDirectory(prefix="notebook-") as scratch:
        client = NotebookClient(
            notebook,
            kernel_name="python3",
            resources={"metadata": {"path": str(folder)}},
            timeout=CELL_TIMEOUT,
            iopub_timeout=CELL_TIMEOUT,  # output that is late is waited for, not left out
            raise_on_iopub_timeout=True,
            force_raise_errors=True,  # a tag that allows an error does not allow it here
            shutdown_kernel="immediate",
        )
        client.log.disabled = True  # what it would log is in the exceptions
        environment = os.environ | ENVIRONMENT | {"IPYTHONDIR": scratch}
        try:
            asyncio.run(client.async_execute(env=environment, stderr=subprocess.DEVNULL))
        except (CellExecutionError, CellTimeoutError, RuntimeError) as error:  # the last: it died
            failed = isinstance(error, CellExecutionError)
            what = f"{error.ename}: {error.evalue}" if failed else error
            number = client.code_cells_executed
            name = code[number - 1].id if number else ""
            raise NotebookError(f"code cell {number} ({name}): {what}") from None
    for number, cell in enumerate(code, start=1):
        said = [output.text for output in cell.outputs if output.get("name") == "stderr"]
        if said:
            raise NotebookError(f"code cell {number}: wrote to stderr: {''.join(said).strip()}")
        if (drawn := len(pictures(cell))) > 1:
            raise NotebookError(f"code cell {number}: {drawn} figures, at most one is allowed")
    return normalise(notebook)


def run(path: Path, check: bool = False) -> tuple[bool, str]:
    """Run one notebook and store it, or compare it; return whether all is well, and a report."""
    start, good, outcome = time.monotonic(), True, "unchanged"
    try:
        was = path.read_text(encoding="utf-8")
        notebook, folder = read(was), path.resolve().parent
        if (folder.parent / "_config.yml").is_file():  # a chapter of a course
            setup_cell.put(notebook, folder.parent / "_config.yml")
        text = to_text(execute(notebook, folder))
        if path.read_text(encoding="utf-8") != was:
            raise NotebookError("it was saved by somebody else in the meantime")
        if text != was:
            outcome = f"stored\n{differences(was, text)}"
            if check:
                raise NotebookError(f"it differs\n{differences(was, text)}")
            _files.write(path, text)
    except (NotebookError, OSError, ValueError) as error:
        good, outcome = False, f"failed, file unchanged\n{error}"
    outcome = outcome.replace("\n", "\n    ")
    return good, f"{path}: {time.monotonic() - start:.1f} s, {outcome}"


def differences(stored: str, new: str) -> str:
    """Return which lines of a stored file have changed, with their numbers; a long one is cut."""
    lines = difflib.unified_diff(stored.splitlines(), new.splitlines(), lineterm="", n=0)
    return "\n".join(line[:100] for line in list(lines)[2:])


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return 0 if all went well, 1 if a notebook failed or differs."""
    parser = argparse.ArgumentParser(description="Run notebooks and store their outputs.")
    parser.add_argument("--check", action="store_true", help="compare, and write nothing")
    parser.add_argument("paths", nargs="*", type=Path, help="notebooks (default: chapters/)")
    options = parser.parse_args(arguments)
    paths = options.paths or sorted((ROOT / "chapters").glob("*.ipynb"))
    failed = False
    with ThreadPoolExecutor(2) as pool:  # two at once; each waits for a kernel of its own
        try:
            for good, report in pool.map(partial(run, check=options.check), paths):
                print(report, file=sys.stdout if good else sys.stderr, flush=True)
                failed |= not good
        except KeyboardInterrupt:
            print("Stopped: what was not finished is as it was", file=sys.stderr, flush=True)
            os._exit(1)  # at once: the kernels end with this process
    return int(failed)


if __name__ == "__main__":
    with _files.plain_errors():
        sys.exit(main())
