"""Run the notebooks on several NumPy versions, processors and threads: ``make matrix``.

nbval compares each cell's text with the stored one, to the letter. One row, or one chapter of it:

    make matrix ARGS="-k haswell"
    make matrix ARGS="-k haswell -- chapters/02_symmetry.ipynb"
"""

import re
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
# One thread and the processor's own kernels, whatever the shell says.
PLAIN = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": None}
PLAIN |= {"OPENBLAS_CORETYPE": None, "NPY_DISABLE_CPU_FEATURES": None}
FEATURE = """
from numpy._core._multiarray_umath import __cpu_features__ as features
assert features[{0!r}], "this row cannot run here: the processor has no {0}"
"""


def compare(session, python, variables, workers=2):
    """Run the chapters, or those that are named after ``--``."""
    command = [python, "-m", "pytest", "--nbval", "-q", "-p", "no:cacheprovider"]
    command += ["-n", str(workers), "--dist", "loadfile", *(session.posargs or ["chapters"])]
    session.run(*command, env=PLAIN | variables)


@nox.session(reuse_venv=True)
@nox.parametrize("version", ["1.26.4", "2.0.2"], ids=["numpy_1_26", "numpy_2_0"])
def numpy(session, version):
    """Run the notebooks on an older NumPy, in an environment of its own."""
    session.install("--only-binary", "numpy", f"numpy=={version}", *NEEDED)
    session.install("--no-deps", "-e", ".")
    session.run("python", "-c", "import matplotlib.font_manager", silent=True)
    compare(session, "python", {})


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
    if feature:
        session.run(sys.executable, "-c", FEATURE.format(feature), env=PLAIN)
    workers = 1 if "OMP_NUM_THREADS" in variables else 2
    compare(session, sys.executable, variables, workers)
