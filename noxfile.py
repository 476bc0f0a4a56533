"""Run the notebooks on several Pythons, NumPys, processors and threads, and in the browser.

nbval compares each cell's text with the stored one, to the letter. ``make matrix`` lists in the end
what each run came to; one that needs what is not on this machine is skipped, and says so. One run,
or one chapter of it:

    make matrix ARGS="-k haswell"
    make matrix ARGS="-k haswell -- chapters/02_symmetry.ipynb"
    make matrix ARGS="-s python-3.12"
"""

import re
import subprocess
import sys
from pathlib import Path

import nox
from numpy._core._multiarray_umath import __cpu_features__

PINS = "".join(Path(n, "requirements.txt").read_text("utf-8") for n in (".", "tests"))
# What the notebooks import beside NumPy, and what runs them: nothing else that may hide a need.
NEEDED = re.findall(
    r"^(?:matplotlib|ipywidgets|anywidget|tqdm|ipykernel|nbclient|pytest|pytest-xdist|nbval)==\S+",
    PINS,
    re.MULTILINE,
)
NUMPY = re.search(r"^numpy==(\S+)", PINS, re.MULTILINE)[1]
# One thread and the processor's own kernels, whatever the shell says.
PLAIN = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": None}
PLAIN |= {"OPENBLAS_CORETYPE": None, "NPY_DISABLE_CPU_FEATURES": None}
OWN = f"{sys.version_info[0]}.{sys.version_info[1]}"  # in .venv: the processor's runs have it

nox.options.error_on_missing_interpreters = False


def compare(session, python, variables, workers=2):
    """Run the chapters, or those that are named after ``--``."""
    command = [python, "-m", "pytest", "--nbval", "-q", "-p", "no:cacheprovider"]
    command += ["-n", str(workers), "--dist", "loadfile", *(session.posargs or ["chapters"])]
    session.run(*command, env=PLAIN | variables, external=True)


def compare_elsewhere(session, numpy):
    """Run the chapters in the session's own environment, with this NumPy."""
    session.install("--only-binary", "numpy", f"numpy=={numpy}", *NEEDED)
    session.install("--no-deps", "-e", ".")
    session.run("python", "-c", "import matplotlib.font_manager", silent=True)
    compare(session, "python", {})


@nox.session(venv_backend="venv", reuse_venv=True)
@nox.parametrize("version", ["1.26.4", "2.0.2"], ids=["numpy_1_26", "numpy_2_0"])
def numpy(session, version):
    """Run the notebooks on an older NumPy."""
    compare_elsewhere(session, version)


@nox.session(
    python=[version for version in ("3.11", "3.12", "3.13", "3.14") if version != OWN],
    venv_backend="venv",
    reuse_venv=True,
)
def python(session):
    """Run the notebooks on another Python, with the NumPy of ``requirements.txt``."""
    compare_elsewhere(session, NUMPY)


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
    if feature and not __cpu_features__[feature]:
        session.skip(f"the processor has no {feature}")
    compare(session, sys.executable, variables, 1 if "OMP_NUM_THREADS" in variables else 2)


@nox.session(venv_backend="none")
def browser(session):
    """Run all chapters in the browser's kernel."""
    if subprocess.run([sys.executable, "tests/site/browser.py"], capture_output=True).returncode:
        session.skip("there is no browser: see tests/site/browser.py")
    session.run("make", "test-lite", external=True)
