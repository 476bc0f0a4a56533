"""The levels of the package: what may import what, and what `import initcore` brings along."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import initcore

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "initcore"

# Bottom up: a module imports only from those before it.
ORDER = [
    *("_checks", "_files", "_quadrature", "tables", "exercises"),
    *("_expression", "activations", "_keras", "sampling", "initializers", "datasets"),
    *("losses", "optimizers", "_chi_square", "theory", "network", "blocks", "transformer"),
    *("probes", "training", "pretraining", "experiments", "sweeps", "plots"),
    *("diagnosis", "widgets", "explorers"),
]
# What a module may use beside the standard library, NumPy and the package itself.
EXTRA = {
    "plots": {"matplotlib", "IPython"},
    "widgets": {"ipywidgets", "matplotlib", "IPython"},
    "explorers": {"anywidget", "traitlets", "matplotlib", "IPython"},
    "training": {"tqdm"},
    "sweeps": {"joblib"},
    "diagnosis": {"torch", "keras", "jax", "tensorflow"},
    "_keras": {"keras", "ml_dtypes"},
}
OPTIONAL = {"plots", "widgets", "explorers"}  # may do so at the top: they need more than NumPy
# The commands, of the package and of the explorers, stand apart: nothing imports them.
MODULES = sorted(path for path in PACKAGE.glob("*.py") if not path.name.startswith("__"))
MODULES += sorted(set(PACKAGE.glob("*/*.py")) - {*PACKAGE.glob("*/__main__.py")})


def level(path):
    """Return the name of a module's level: its own, or that of the package it is in."""
    return path.stem if path.parent == PACKAGE else path.parent.name


def name(path):
    """Return a module's name within the package, with dots."""
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__")


def imports(path):
    """Return the (module, is it at the top of the file) pairs that a file imports."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    top = set(map(id, tree.body))
    for node in ast.walk(tree):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name}:{node.lineno} is a relative import"
            inside = node.module == "initcore"
            names = [f"initcore.{a.name}" for a in node.names] if inside else [node.module]
        yield from ((name, id(node) in top) for name in names)


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_a_module_imports_from_lower_levels_and_needs_numpy_alone(path):
    own = level(path)
    lower = {*ORDER[: ORDER.index(own)]} | ({own} if path.parent != PACKAGE else set())
    for module, at_top in imports(path):
        package, *inner = module.split(".")
        if package == "initcore":
            assert inner[0] in lower, f"{path.name} imports {module}"
        elif package not in sys.stdlib_module_names | {"numpy"}:
            assert package in EXTRA.get(own, set()), f"{path.name} imports {module}"
            assert not at_top or own in OPTIONAL, f"{path.name} imports {module} at its top"


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_no_global_random_state(path):
    used = re.findall(r"\b(?:np|numpy)\.random\.(\w+)", path.read_text(encoding="utf-8"))
    own_streams = {"BitGenerator", "Generator", "PCG64", "SeedSequence", "default_rng"}
    assert set(used) <= own_streams, "the rest of numpy.random shares one hidden state"
    assert not {module for module, _ in imports(path)} & {"random", "numpy.random"}


def test_the_experiments_are_shared():
    """Each is run by two chapters, or by a chapter and a live figure."""
    tree = ast.parse((PACKAGE / "experiments.py").read_text(encoding="utf-8"))
    names = [node.name for node in tree.body if isinstance(node, ast.FunctionDef)]
    places = [*(ROOT / "chapters").glob("*.ipynb"), *PACKAGE.glob("explorers/*.py")]
    for name in (name for name in names if not name.startswith("_")):
        call = re.compile(rf"experiments\.{name}\b|import [^\n]*\b{name}\b")
        users = [p for p in places if call.search(p.read_text(encoding="utf-8"))]
        assert len(users) >= 2 and any(p.suffix == ".ipynb" for p in users), (name, users)


def test_every_public_module_is_an_attribute_of_the_package():
    inner = {path.stem for path in MODULES if path.stem.startswith("_")} | {"sampling"}
    public = sorted({level(path) for path in MODULES} - inner)
    assert public == initcore.__all__ and set(public) <= set(dir(initcore))
    for name in public:
        assert getattr(initcore, name).__name__ == f"initcore.{name}"
    assert initcore.diagnose is initcore.diagnosis.diagnose and "diagnose" in dir(initcore)
    with pytest.raises(AttributeError, match="no attribute 'initializer'"):
        initcore.initializer  # noqa: B018


def test_all_modules_but_the_optional_do_without_more_than_numpy():
    """Each is imported with nothing but NumPy and the standard library to be had."""
    names = [f"initcore.{name(path)}" for path in MODULES if level(path) not in OPTIONAL]
    code = f"""
import importlib, importlib.abc, sys

class Closed(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        package = name.split(".")[0]
        if package not in sys.stdlib_module_names | {{"numpy", "initcore"}}:
            raise ImportError(name)

sys.path.insert(0, {str(ROOT)!r})
sys.meta_path.insert(0, Closed())
import initcore
assert "numpy" not in sys.modules  # imported when a module is first used
for name in {names!r}:
    importlib.import_module(name)
"""
    result = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
