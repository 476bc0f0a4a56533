"""Python for the browser, complete, for a site that needs no other host: ``make book OFFLINE=1``.

The core of Pyodide comes from its npm package (``website/package-lock.json``). Its lock file names
the wheels, each with a hash, which every wheel must match. They come from the folder that the
environment variable ``PYODIDE_DIR`` names, or else from Pyodide's official network, and are kept
then in ``_build/pyodide``. Nothing here is imported or run.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
import urllib.request
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
NPM = ROOT / "website" / "node_modules" / "pyodide"
FETCHED = ROOT / "_build" / "pyodide"
CORE = ("pyodide.js", "pyodide.asm.js", "pyodide.asm.wasm", "python_stdlib.zip")
LOCK = "pyodide-lock.json"


def cdn() -> str:
    """Return the official address of the files of the version that ``package.json`` pins."""
    pinned = json.loads((ROOT / "website" / "package.json").read_text("utf-8"))["dependencies"]
    return f"https://cdn.jsdelivr.net/pyodide/v{pinned['pyodide']}/full/"


def closure(packages: dict[str, dict], names: Iterable[str]) -> set[str]:
    """Return the names of packages and of all that they depend on."""
    needed, todo = set(), list(names)
    while todo:
        name = todo.pop().lower().replace("_", "-")
        if name not in needed:
            needed.add(name)
            todo += packages[name]["depends"]
    return needed


def is_right(file: Path, digest: str) -> bool:
    """Whether a file is there and has this hash."""
    return file.is_file() and hashlib.sha256(file.read_bytes()).hexdigest() == digest


def find(name: str, digest: str) -> Path:
    """Return the file of this name and hash, fetched if need be."""
    named = os.environ.get("PYODIDE_DIR")
    file = Path(named or FETCHED) / name
    if not named and not is_right(file, digest):
        FETCHED.mkdir(parents=True, exist_ok=True)
        try:
            with urllib.request.urlopen(cdn() + name, timeout=60) as answer:
                file.write_bytes(answer.read())
        except OSError as error:
            sys.exit(f"{cdn()}{name}: {error}. Or name a folder with such files by PYODIDE_DIR")
    if not is_right(file, digest):
        sys.exit(f"{file} must be the file of that name in {cdn()}, and is not")
    return file


def carry(target: Path, names: Iterable[str]) -> None:
    """Put Pyodide's core and these packages, with all that they need, into a new folder."""
    packages = json.loads((NPM / LOCK).read_text("utf-8"))["packages"]
    chosen = [packages[name] for name in closure(packages, names)]
    target.mkdir(parents=True)
    core = [NPM / name for name in (*CORE, LOCK)]
    for file in core + [find(package["file_name"], package["sha256"]) for package in chosen]:
        shutil.copyfile(file, target / file.name)
