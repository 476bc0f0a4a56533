"""A chapter's first code cell, by ``make notebooks``: it installs initcore where that is missing.

It does so from the repository that ``_config.yml`` names, or from ``INITCORE_SOURCE``, and never by
the name "initcore", which anybody could have taken in a package index. The page leaves it out. Its
import is also what makes the browser's kernel load the package.
"""

from __future__ import annotations

from pathlib import Path

import yaml
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell

from website.tools.repository import read_repository

ID = "setup"
TAG = "remove-cell"  # MyST-NB leaves the cell out of the page
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
    subprocess.run(pip, check=True)"""


def make(config: Path) -> NotebookNode:
    """Return the cell for the course that a ``_config.yml`` describes."""
    settings = yaml.safe_load(config.read_text(encoding="utf-8")) if config.is_file() else {}
    about = (settings or {}).get("repository") or {}
    repository = read_repository(about.get("url"), about.get("branch"))
    address = f"git+{repository.url}@{repository.branch}" if repository else ""
    metadata = {"tags": [TAG], "jupyter": {"source_hidden": True}}
    return new_code_cell(TEMPLATE.replace("ADDRESS", address), id=ID, metadata=metadata)


def put(notebook: NotebookNode, config: Path) -> None:
    """Make the setup cell the first one below the title, whatever it was before."""
    notebook.cells = [cell for cell in notebook.cells if cell.get("id") != ID]
    notebook.cells.insert(1, make(config))
