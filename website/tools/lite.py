"""Build the browser's kernel into the site: ``python -m website.tools.lite [FOLDER]``.

JupyterLite shows the chapters' notebooks, cell by cell as they are stored, at
``lite/notebooks/index.html?path=…``, and runs them in the reader's browser on Pyodide. `initcore`
and what it needs beyond Pyodide's own packages are wheels of the site itself, loaded when the
kernel starts. Pyodide comes from its official network, and only when a reader opens a notebook.

With ``OFFLINE=1`` in the environment the site carries Pyodide, and nothing asks another host. Its
core comes from its npm package (``website/package-lock.json``), whose lock names the wheels, each
with a hash that it must match. They come from the folder that the environment variable
``PYODIDE_DIR`` names, or else from the official network, and are kept then in ``_build/pyodide``.
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

import nbformat
from bs4 import BeautifulSoup

from initcore import _files
from website.extensions import policy as csp
from website.tools.javascript import run

ROOT = Path(__file__).resolve().parents[2]
PARTS = ROOT / "website/lite"
APP = "notebooks"
#: Of Pyodide's packages: what the kernel itself and the chapters import.
PACKAGES = (
    *("ipython", "jedi", "matplotlib", "matplotlib-inline", "micropip", "numpy", "packaging"),
    *("sqlite3", "ssl", "traitlets"),
)
NPM = ROOT / "website/node_modules/pyodide"
CORE = ("pyodide.js", "pyodide.asm.js", "pyodide.asm.wasm", "python_stdlib.zip")
LOCK = "pyodide-lock.json"
FETCHED = ROOT / "_build/pyodide"
KERNEL = "@jupyterlite/pyodide-kernel-extension:kernel"
#: Of the installed extensions of JupyterLab: the kernel, and what shows anywidget's widgets. That
#: of ipywidgets is in ``extensions.txt``. Others that are installed stay out.
EXTENSIONS = [
    str(Path(sys.prefix, "share/jupyter/labextensions", name))
    for name in ("@jupyterlite/pyodide-kernel-extension", "anywidget")
]
PIP = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input")
WHEELS = "static/wheels"


def offline() -> bool:
    """Whether the site is to carry Pyodide."""
    return os.environ.get("OFFLINE", "0") not in ("", "0")


def cdn() -> str:
    """Return the official address of the files of the version that ``package.json`` pins."""
    pinned = json.loads((ROOT / "website/package.json").read_text("utf-8"))["dependencies"]
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


def find(name: str, digest: str) -> Path:
    """Return the file of Pyodide's of this name and hash, fetched if need be."""

    def is_right() -> bool:
        return file.is_file() and hashlib.sha256(file.read_bytes()).hexdigest() == digest

    named = os.environ.get("PYODIDE_DIR")
    file = Path(named or FETCHED, name)
    if not named and not is_right():
        FETCHED.mkdir(parents=True, exist_ok=True)
        try:
            with urllib.request.urlopen(cdn() + name, timeout=60) as answer:
                file.write_bytes(answer.read())
        except OSError as error:
            sys.exit(f"{cdn()}{name}: {error}. Or name a folder with such files by PYODIDE_DIR")
    if not is_right():
        sys.exit(f"{file} must be the file of that name in {cdn()}, and is not")
    return file


def carry_pyodide(target: Path) -> None:
    """Put Pyodide's core and the packages, with all that they need, into a new folder."""
    packages = json.loads((NPM / LOCK).read_text("utf-8"))["packages"]
    chosen = [packages[name] for name in closure(packages, PACKAGES)]
    target.mkdir(parents=True)
    core = [NPM / name for name in (*CORE, LOCK)]
    for file in core + [find(package["file_name"], package["sha256"]) for package in chosen]:
        shutil.copyfile(file, target / file.name)


def fetch(folder: Path, listed: str) -> None:
    """Fetch the wheels of a list of requirements with hashes into a folder."""
    command = [*PIP, "download", "--quiet", "--no-deps", "--require-hashes", "-d", str(folder)]
    # pure Python, whatever machine this is: the browser is another one
    command += ["--only-binary", ":all:", "--platform", "any", "--abi", "none"]
    command += ["--implementation", "py", "--python-version", "3.12", "-r", str(PARTS / listed)]
    run(command, f"pip could not fetch the wheels of website/lite/{listed}:")


def settings(wheels: list[str], mark: str) -> dict:
    """Return ``jupyter-lite.json``: that of ``website/lite``, with what this build is made of.

    What a reader changes is kept in the browser, under a name that changes with the course: a
    reload keeps it, and a new version of a chapter is not hidden by an old copy. Extensions are
    disabled that ask another host, lack a file of theirs, or bring a second kernel.
    """
    every = json.loads((PARTS / "jupyter-lite.json").read_text(encoding="utf-8"))
    data = every["jupyter-config-data"]
    data["contentsStorageName"] = f"initcore {mark}"
    kernel = data["litePluginSettings"][KERNEL]
    kernel["pyodideUrl"] = f"{'./static/pyodide/' if offline() else cdn()}pyodide.js"
    # relative to the worker's script, .../lite/extensions/@jupyterlite/KERNEL/static/N.js
    places = [f"../../../../{WHEELS}/{mark}/{name}" for name in wheels]
    kernel["loadPyodideOptions"]["packages"] += places
    return every


def carry(notebook: Path, target: Path) -> None:
    """Write a notebook whose texts are not cut into lines, as a server of Jupyter would send it.

    JupyterLite sends the file as it is, and shows the lines of a stored output with commas between.
    """
    target.write_text(json.dumps(nbformat.read(notebook, as_version=4)), encoding="utf-8")


def policy(lite: Path) -> str:
    """Return what the kernel, with the scripts that stand in its pages, may load."""
    directives = csp.LITE
    if not offline():
        scripts = [*csp.LITE["script-src"], cdn()]
        directives = {**csp.LITE, "script-src": scripts, "connect-src": ["'self'", cdn()]}
    pages = [BeautifulSoup(path.read_text("utf-8"), "html.parser") for path in lite.rglob("*.html")]
    return csp.line(directives, set().union(*map(csp.inline_scripts, pages)))


def build(site: Path) -> None:
    """Build the kernel into ``site/lite``, in a folder beside it first."""
    lite, work = site / "lite", site.parent / "lite"
    shutil.rmtree(work, ignore_errors=True)  # jupyterlite's own record of what is done goes stale
    contents, wheels, output = work / "contents/chapters", work / "wheels", work / "output"
    contents.mkdir(parents=True)
    for path in ROOT.glob("chapters/*.ipynb"):
        carry(path, contents / path.name)
    command = [*PIP, "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    command += ["-w", str(wheels), str(ROOT)]
    run(command, "pip could not build the wheel of initcore:")
    fetch(wheels, "requirements.txt")
    fetch(work / "extensions", "extensions.txt")
    files = [path.read_bytes() for path in sorted([*contents.iterdir(), *wheels.iterdir()])]
    mark = hashlib.sha256(b"".join(files)).hexdigest()[:12]
    names = sorted(path.name for path in wheels.iterdir())
    (work / "jupyter-lite.json").write_text(json.dumps(settings(names, mark), indent=1))
    options = {
        "ignore_sys_prefix": True,
        "federated_extensions": [*EXTENSIONS, *map(str, (work / "extensions").iterdir())],
        "contents": ["contents"],
        "output_dir": str(output),
        "apps": [APP],
        "no_sourcemaps": True,
        "no_unused_shared_packages": True,
    }
    (work / "jupyter_lite_config.json").write_text(json.dumps({"LiteBuildConfig": options}))
    environment = {name: value for name, value in os.environ.items() if name != "JUPYTER_PATH"}
    command = [sys.executable, "-m", "jupyterlite_core", "build"]
    run(command, "jupyter lite could not be built:", cwd=work, env=environment)
    shutil.copytree(wheels, output / WHEELS / mark)
    if offline():
        carry_pyodide(output / "static/pyodide")
    shutil.rmtree(lite, ignore_errors=True)
    shutil.move(output, lite)
    shutil.rmtree(work)


def main(folder: str = "_build/html") -> None:
    """Build the kernel and write its policy."""
    site = (ROOT / folder).resolve()
    if not (site / "index.html").is_file():
        sys.exit(f"FOLDER must hold the built book, and {folder} does not: run make book")
    print("Building the browser's kernel into lite/")
    build(site)
    csp.write(site, "lite/", policy(site / "lite"))


if __name__ == "__main__":
    with _files.plain_errors():
        main(*sys.argv[1:2])
