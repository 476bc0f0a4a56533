"""`make matrix`: its rows name what they set, and its versions are the course's own."""

import subprocess
import sys

import matrix
import pytest


def test_the_rows_cover_what_the_course_promises():
    versions = [row.numpy for row in matrix.ROWS]
    assert {"1.26.4", "2.0.2", ""} <= set(versions)
    kernels = {row.variables.get("OPENBLAS_CORETYPE") for row in matrix.ROWS}
    assert {"Haswell", "SkylakeX", "Nehalem"} <= kernels
    assert any("NPY_DISABLE_CPU_FEATURES" in row.variables for row in matrix.ROWS)
    threads = {(matrix.PLAIN | row.variables)["OPENBLAS_NUM_THREADS"] for row in matrix.ROWS}
    assert threads == {"1", "2"}
    assert len({row.name for row in matrix.ROWS}) == len(matrix.ROWS)


def test_pinned_versions():
    assert matrix.pinned("nbval") == "nbval==0.11.0"
    with pytest.raises(SystemExit, match="does not pin unheard-of"):
        matrix.pinned("unheard-of")


def test_an_unknown_row_is_refused():
    command = [sys.executable, matrix.__file__, "--only", "riscv"]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 2 and "no row holds 'riscv'" in result.stderr


def test_a_processor_is_asked_for_its_features():
    from pathlib import Path

    assert not matrix.has(Path(sys.executable), "NO_SUCH_FEATURE_AT_ALL")
