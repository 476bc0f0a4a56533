"""`make matrix`: its rows name what they set, and its versions are the course's own."""

import subprocess
import sys
from importlib import metadata

import matrix
import pytest
from packaging.requirements import Requirement


def test_the_environments_hold_all_that_the_notebooks_import():
    """Every module of the package can be imported by what a row installs, and nothing else."""
    allowed = {"numpy", "initcore"}
    open_ends = [*matrix.needed(), "numpy"]
    while open_ends:
        package = metadata.distribution(open_ends.pop())
        name = package.metadata["Name"]
        if name not in allowed:
            allowed.add(name)
            requires = [Requirement(line) for line in package.requires or []]
            open_ends += [r.name for r in requires if r.marker is None or r.marker.evaluate()]
    owners = metadata.packages_distributions()
    known = {name.lower().replace("_", "-") for name in allowed}
    code = f"""
import importlib, importlib.abc, pkgutil, sys
owners, allowed = {owners!r}, {known!r}

class Closed(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        packages = owners.get(name.split(".")[0], [])
        if packages and not any(p.lower().replace("_", "-") in allowed for p in packages):
            raise ImportError(f"{{name}} is in none of the environments")

sys.meta_path.insert(0, Closed())
import initcore
for module in initcore.__all__:
    importlib.import_module(f"initcore.{{module}}")
print("all")
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stdout.strip() == "all", result.stderr
    assert "anywidget" in known and "jupyter-book" not in known


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
