"""Build the browser's kernel into the site: ``python -m website.tools.lite [FOLDER]``.

JupyterLite shows the chapters' notebooks, cell by cell as they are stored, at
``lite/notebooks/index.html?path=…``, and runs them in the reader's browser on Pyodide. `initcore`
and what it needs beyond Pyodide's own packages are wheels of the site itself, loaded when the
kernel starts. Pyodide comes from its official network, and only when a reader opens a notebook;
with ``OFFLINE=1`` in the environment it is carried by the site (see ``pyodide_files.py``), and
nothing asks another host.

Building takes half a minute, and is left out when nothing that it is made of has changed.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from importlib.metadata import files, version
from pathlib import Path

import nbformat
from bs4 import BeautifulSoup

from website.extensions import policy as csp
from website.tools import pyodide_files

ROOT = Path(__file__).resolve().parents[2]
PARTS = ROOT / "website" / "lite"
FOLDER = "_build/html"
APPS = ("notebooks",)
#: Of Pyodide's packages: what the kernel itself and the chapters import.
PACKAGES = (
    *("ipython", "jedi", "matplotlib", "matplotlib-inline", "micropip", "numpy", "packaging"),
    *("sqlite3", "ssl", "traitlets"),
)
KERNEL = "@jupyterlite/pyodide-kernel-extension:kernel"
#: Installed packages whose extensions JupyterLite gets: the kernel, and what shows anywidget's
#: widgets. That of ipywidgets is in `EXTENSION_WHEELS`. Others that are installed stay out.
EXTENSIONS = ("jupyterlite-pyodide-kernel", "anywidget")
EXTENSION_WHEELS = PARTS / "extensions.txt"
PIP = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input")
MADE_FROM = ".made-from"
WHEELS = "static/wheels"


def offline() -> bool:
    """Whether the site is to carry Pyodide."""
    return os.environ.get("OFFLINE", "0") not in ("", "0")


def run(command: list[str], failure: str, **options: object) -> None:
    """Run a command; where it fails, end with one line and its last words."""
    result = subprocess.run(command, capture_output=True, text=True, **options)
    if result.returncode:
        words = (result.stdout + result.stderr).strip().splitlines()
        sys.exit("\n    ".join([failure, *words[-8:]]))


def digest() -> str:
    """Return a digest of all that the browser's kernel is made of."""
    found = hashlib.sha256()
    sources = [*ROOT.glob("chapters/*.ipynb"), *ROOT.glob("initcore/**/*"), *PARTS.glob("*")]
    sources += [
        ROOT / "pyproject.toml",
        *Path(__file__).parent.glob("*.py"),
        *ROOT.glob("LICENSE*"),
    ]
    sources += [pyodide_files.HERE / "package-lock.json"]
    for path in sorted(sources):
        if path.is_file() and "__pycache__" not in path.parts:
            found.update(path.relative_to(ROOT).as_posix().encode() + b"\0" + path.read_bytes())
    names = ("jupyterlite-core", "jupyterlite-pyodide-kernel", "ipywidgets", "anywidget")
    found.update(json.dumps([offline(), *map(version, names)]).encode())
    return found.hexdigest()


def fetch(folder: Path, listed: Path) -> None:
    """Fetch the wheels of a list of requirements with hashes into a folder."""
    # pure Python, whatever machine this is: the browser is another one
    pure = ["--platform", "any", "--implementation", "py", "--abi", "none"]
    command = [*PIP, "download", "--quiet", "--no-deps", "--require-hashes", "-d", str(folder)]
    command += [*pure, "--python-version", "3.12", "--only-binary", ":all:", "-r", str(listed)]
    run(command, f"pip could not fetch the wheels of website/lite/{listed.name}:")


def extension(package: str) -> str:
    """Return the folder of the extension of JupyterLab that an installed package brings."""
    found = [f for f in files(package) or [] if f.name == "package.json"]
    folders = [f.locate().resolve().parent for f in found if "labextensions" in f.parts]
    if len(folders) != 1:
        sys.exit(f"{package} is to bring one extension of JupyterLab, and brings {len(folders)}")
    return str(folders[0])


def make_wheels(folder: Path) -> list[str]:
    """Put the wheels of `initcore` and of what it needs into a folder; return their names."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    command = [*PIP, "wheel", "--quiet", "--no-deps", "-w", str(folder), str(ROOT)]
    run(command, "pip could not build the wheel of initcore:")
    fetch(folder, PARTS / "requirements.txt")
    names = sorted(path.name for path in folder.glob("*.whl"))
    wanted = (PARTS / "requirements.txt").read_text("utf-8").count("--hash")
    if len(names) != wanted + 1 or not all(name.endswith("py3-none-any.whl") for name in names):
        sys.exit(f"Wheels that run anywhere were wanted, {wanted + 1} of them: {', '.join(names)}")
    return names


def settings(wheels: list[str], mark: str) -> dict:
    """Return ``jupyter-lite.json``.

    What a reader changes is kept in the browser, under a name that changes with the course: a
    reload keeps it, and a new version of a chapter is not hidden by an old copy.
    """
    carried, network = "static/pyodide/pyodide.js", f"{pyodide_files.cdn()}pyodide.js"
    # relative to the worker's script, .../lite/extensions/@jupyterlite/KERNEL/static/N.js
    up = "../../../.."
    kernel = {
        "pyodideUrl": f"./{carried}" if offline() else network,
        "disablePyPIFallback": True,
        "loadPyodideOptions": {
            "packages": [
                *("numpy", "matplotlib", "ipython", "micropip"),
                *(f"{up}/{WHEELS}/{mark}/{name}" for name in wheels),
            ]
        },
    }
    return {
        "jupyter-lite-schema-version": 0,
        "jupyter-config-data": {
            "appName": "Weight Initialization, by Experiment",
            "contentsStorageName": f"initcore {mark}",
            "settingsStorageName": "initcore settings",
            "disabledExtensions": [
                "@jupyterlab/apputils-extension:announcements",
                "@jupyter-notebook/notebook-extension:tab-icon",  # JupyterLite lacks its files
                "@jupyterlite/javascript-kernel-extension",
            ],
            "litePluginSettings": {KERNEL: kernel},
        },
    }


def carry(notebook: Path, target: Path) -> None:
    """Write a notebook whose texts are not cut into lines, as a server of Jupyter would send it.

    JupyterLite sends the file as it is, and shows the lines of a stored output with commas between.
    """
    target.write_text(json.dumps(nbformat.read(notebook, as_version=4)), encoding="utf-8")


def add_way_back(lite: Path) -> None:
    """Load ``back.js`` and ``back.css`` in each application, which is one folder down."""
    for name in ("back.js", "back.css"):
        shutil.copyfile(PARTS / name, lite / name)
    for app in APPS:
        path = lite / app / "index.html"
        text = path.read_text("utf-8")
        head = '<link rel="stylesheet" href="../back.css">\n</head>'
        body = '<script src="../back.js"></script>\n</body>'
        text = text.replace("</head>", head, 1).replace("</body>", body, 1)
        if text.count("../back.") != 2:
            sys.exit(f"{path} has no place for the way back")
        path.write_text(text, encoding="utf-8")


def check(lite: Path) -> None:
    """End unless the built kernel asks only where it should."""
    built = json.loads((lite / "jupyter-lite.json").read_text("utf-8"))["jupyter-config-data"]
    kernel = built["litePluginSettings"][KERNEL]
    url = kernel["pyodideUrl"]
    if offline():
        right = url.startswith("./static/") and (lite / url).is_file()
    else:
        right = url == f"{pyodide_files.cdn()}pyodide.js"
    wheels = [name for name in kernel["loadPyodideOptions"]["packages"] if name.endswith(".whl")]
    there = [lite / name.removeprefix("../../../../") for name in wheels]
    if not right or not kernel["disablePyPIFallback"] or not all(p.is_file() for p in there):
        sys.exit(f"The browser's kernel is not as it should be: {json.dumps(kernel)}")


def policy(lite: Path) -> str:
    """Return what the kernel, with the scripts that stand in its pages, may load."""
    directives = {name: list(sources) for name, sources in csp.LITE.items()}
    if not offline():
        network = pyodide_files.cdn()
        directives["script-src"].append(network)
        directives["connect-src"] = ["'self'", network]
    scripts: set[str] = set()
    for path in lite.rglob("*.html"):
        page = BeautifulSoup(path.read_text("utf-8"), "html.parser")
        scripts |= csp.inline_scripts(page)
    return csp.line(directives, scripts)


def build(site: Path) -> None:
    """Build the kernel into ``site/lite``, in a folder beside it first."""
    lite, work = site / "lite", site.parent / "lite"
    shutil.rmtree(work, ignore_errors=True)  # jupyterlite's own record of what is done goes stale
    contents = work / "contents" / "chapters"
    contents.mkdir(parents=True)
    for path in sorted(ROOT.glob("chapters/*.ipynb")):
        carry(path, contents / path.name)
    wheels = make_wheels(work / "wheels")
    mark = hashlib.sha256(
        b"".join(
            p.read_bytes() for p in sorted([*contents.iterdir(), *(work / "wheels").iterdir()])
        )
    ).hexdigest()[:12]
    (work / "jupyter-lite.json").write_text(json.dumps(settings(wheels, mark), indent=1))
    fetch(work / "extensions", EXTENSION_WHEELS)
    extensions = [*map(extension, EXTENSIONS), *map(str, (work / "extensions").glob("*.whl"))]
    options = {
        "LiteBuildConfig": {
            "ignore_sys_prefix": True,
            "federated_extensions": extensions,
            "contents": ["contents"],
            "output_dir": str(work / "output"),
            "apps": list(APPS),
            "no_sourcemaps": True,
            "no_unused_shared_packages": True,
        }
    }
    (work / "jupyter_lite_config.json").write_text(json.dumps(options))
    command = [sys.executable, "-m", "jupyterlite_core", "build"]
    environment = {name: value for name, value in os.environ.items() if name != "JUPYTER_PATH"}
    run(command, "jupyter lite could not be built:", cwd=work, env=environment)
    output = work / "output"
    shutil.copytree(work / "wheels", output / WHEELS / mark)
    if offline():
        pyodide_files.carry(output / "static" / "pyodide", PACKAGES)
    add_way_back(output)
    check(output)
    (output / MADE_FROM).write_text(digest())
    shutil.rmtree(lite, ignore_errors=True)
    shutil.move(output, lite)
    shutil.rmtree(work)


def main(folder: str = FOLDER) -> None:
    """Build, unless all is there already."""
    site = (ROOT / folder).resolve()
    if not (site / "index.html").is_file():
        sys.exit(f"FOLDER must hold the built book, and {folder} does not: run make book")
    made_from = site / "lite" / MADE_FROM
    if made_from.is_file() and made_from.read_text() == digest():
        # the book, built anew, has written its own policy only
        csp.write(site, "lite/", policy(site / "lite"))
        return
    print("Building the browser's kernel into lite/")
    build(site)
    csp.write(site, "lite/", policy(site / "lite"))
    size = sum(path.stat().st_size for path in (site / "lite").rglob("*") if path.is_file())
    print(f"The browser's kernel is built: {size / 1e6:.0f} MB")


if __name__ == "__main__":
    main(*sys.argv[1:2])
