"""The first code cell of a chapter: it installs initcore where that is missing.

In the repository, on Binder and in the browser's own kernel the package is there, and the cell
only imports it; that line is also what makes the browser's kernel load it. Elsewhere, on Colab or
on a class's hub, the cell installs it from the course's repository, whose address is written into
it from ``_config.yml``, or from what the environment variable ``INITCORE_SOURCE`` names: a wheel,
a folder or an address. It never asks a package index for the name "initcore", which anybody could
have taken.

``make notebooks`` puts the cell into each chapter, and the tests allow no other like it. It is
not shown on the chapter's page.
"""

from __future__ import annotations

from pathlib import Path

import yaml
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell

from website.tools.repository import read_repository

ID = "setup"
TAG = "remove-cell"  # MyST-NB leaves the cell out of the page
METADATA = {"tags": [TAG], "jupyter": {"source_hidden": True}}  # and JupyterLab folds it
TEMPLATE = """\
# This cell makes sure that initcore, the course's own package, is there. If
# the next cell does not find it although this one has just installed it,
# restart the kernel.
try:
    import initcore  # noqa: F401
except ModuleNotFoundError:
    import os
    import subprocess
    import sys
    from pathlib import Path

    source = os.environ.get("INITCORE_SOURCE") or "ADDRESS"
    assert source, (
        "initcore is not installed. Set the environment variable "
        "INITCORE_SOURCE to its wheel, its folder (a copy of the course's "
        "repository) or its address, and run this cell again."
    )
    if Path(source).exists():
        source = Path(source).resolve().as_uri()
    package = f"initcore[plots,widgets] @ {source}"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", package]
    subprocess.run(pip, check=True)
"""


def address(config: Path) -> str:
    """Return what pip installs initcore from, as a ``_config.yml`` has it; without one, ``""``.

    Raises
    ------
    ValueError
        The address of the repository is malformed.
    """
    settings = yaml.safe_load(config.read_text(encoding="utf-8")) if config.is_file() else {}
    about = (settings or {}).get("repository") or {}
    repository = read_repository(about.get("url") or "", about.get("branch") or "main")
    return f"git+{repository.url}@{repository.branch}" if repository else ""


def source(config: Path) -> str:
    """Return the code of the cell for a course."""
    return TEMPLATE.replace("ADDRESS", address(config)).rstrip("\n")


def is_setup(cell: NotebookNode, config: Path) -> bool:
    """Whether a cell is the setup cell of a course, exactly."""
    return (
        cell.cell_type == "code"
        and cell.get("id") == ID
        and cell.metadata == METADATA
        and cell.source == source(config)
    )


def put(notebook: NotebookNode, config: Path) -> None:
    """Make the setup cell the first one below the title, whatever it was before."""
    notebook.cells = [cell for cell in notebook.cells if cell.get("id") != ID]
    cell = new_code_cell(source(config), id=ID, metadata=METADATA)
    notebook.cells.insert(1, cell)
