"""Run the notebooks on several Pythons, NumPys, processors and threads, and in the browser.

nbval compares each cell's text with the stored one, to the letter. ``make matrix`` lists in the end
what each run came to; one that needs what is not on this machine is skipped, and says so. One run,
or one chapter of it:

    make matrix ARGS="-k haswell"
    make matrix ARGS="-k haswell -- chapters/02_symmetry.ipynb"
"""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import nox

PINS = "".join(Path(n, "requirements.txt").read_text("utf-8") for n in (".", "tests"))
# What the notebooks import beside NumPy, and what runs them: nothing else that may hide a need.
NEEDED = re.findall(
    r"^(?:matplotlib|ipywidgets|anywidget|tqdm|ipykernel|nbclient|pytest|pytest-xdist|nbval)==\S+",
    PINS,
    re.MULTILINE,
)
NUMPY = re.search(r"^numpy==\S+", PINS, re.MULTILINE)[0]
# One thread and the processor's own kernels, whatever the shell says.
PLAIN = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": None}
PLAIN |= {"OPENBLAS_CORETYPE": None, "NPY_DISABLE_CPU_FEATURES": None}
FEATURE = """
from numpy._core._multiarray_umath import __cpu_features__ as features
raise SystemExit(not features[{0!r}])
"""
VERSION = "import sys, ensurepip, venv; print('%d.%d' % sys.version_info[:2])"


def compare(session, python, variables, workers=2):
    """Run the chapters, or those that are named after ``--``."""
    command = [python, "-m", "pytest", "--nbval", "-q", "-p", "no:cacheprovider"]
    command += ["-n", str(workers), "--dist", "loadfile", *(session.posargs or ["chapters"])]
    session.run(*command, env=PLAIN | variables, external=True)


def interpreter(version):
    """Return a Python of this version that is on this machine, or None."""
    own = Path.home().glob(f".pyenv/versions/{version}.*/bin/python")
    for name in filter(None, [shutil.which(f"python{version}"), *own]):
        said = subprocess.run([name, "-c", VERSION], capture_output=True, text=True).stdout
        if said.strip() == version:
            return str(name)
    return None


def compare_elsewhere(session, base, numpy):
    """Run the notebooks in an environment of their own, with this Python and this NumPy."""
    folder = Path(".nox", re.sub(r"\W+", "-", session.name))
    python = str(folder / ("Scripts" if sys.platform == "win32" else "bin") / "python")
    if not Path(python).is_file():
        session.run(base, "-m", "venv", str(folder), external=True)
    install = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    session.run(*install, "--only-binary", "numpy", numpy, *NEEDED, external=True)
    session.run(*install, "--no-deps", "-e", ".", external=True)
    session.run(python, "-c", "import matplotlib.font_manager", silent=True, external=True)
    compare(session, python, {})


@nox.session(venv_backend="none")
@nox.parametrize("version", ["1.26.4", "2.0.2"], ids=["numpy_1_26", "numpy_2_0"])
def numpy(session, version):
    """Run the notebooks on an older NumPy."""
    compare_elsewhere(session, sys.executable, f"numpy=={version}")


@nox.session(venv_backend="none")
@nox.parametrize("version", [nox.param(f"3.{n}", id=f"python_3_{n}") for n in range(11, 15)])
def python(session, version):
    """Run the notebooks on another Python, with the NumPy of ``requirements.txt``."""
    if version == f"{sys.version_info[0]}.{sys.version_info[1]}":
        session.skip("it is that of .venv, in which those of the processor run")
    if not (base := interpreter(version)):
        session.skip("there is no such Python on this machine")
    compare_elsewhere(session, base, NUMPY)


@nox.session(venv_backend="none")
@nox.parametrize(
    "variables, feature",
    [
        nox.param({}, None, id="requirements"),
        nox.param({"OPENBLAS_CORETYPE": "Nehalem"}, None, id="nehalem"),
        nox.param({"OPENBLAS_CORETYPE": "Haswell"}, "AVX2", id="haswell"),
        nox.param({"OPENBLAS_CORETYPE": "SkylakeX"}, "X86_V4", id="skylakex"),
        nox.param({"NPY_DISABLE_CPU_FEATURES": "X86_V3 X86_V4"}, None, id="without_avx"),
        nox.param({"OMP_NUM_THREADS": "2", "OPENBLAS_NUM_THREADS": "2"}, None, id="two_threads"),
    ],
)
def processor(session, variables, feature):
    """Run the notebooks on the NumPy of ``requirements.txt``, in ``.venv``."""
    check = [sys.executable, "-c", FEATURE.format(feature)]
    if feature and subprocess.run(check).returncode:
        session.skip(f"the processor has no {feature}")
    compare(session, sys.executable, variables, 1 if "OMP_NUM_THREADS" in variables else 2)


@nox.session(venv_backend="none")
def browser(session):
    """Run all chapters in the browser's kernel."""
    if subprocess.run([sys.executable, "tests/site/browser.py"], capture_output=True).returncode:
        session.skip("there is no browser: see tests/site/browser.py")
    names = [re.search(r"\d+", Path(name).name)[0] for name in session.posargs]
    chapters = f"--chapters {','.join(names)}" if names else ""
    session.run("make", "test-lite", f"ARGS={chapters}", external=True)
