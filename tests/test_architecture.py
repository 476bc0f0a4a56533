"""The floors of the package: what may import what, and what `import initcore` brings along."""

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
ORDER = (
    "_checks",
    "tables",
    "activations",
    "_keras",
    "sampling",
    "initializers",
    "datasets",
    "losses",
    "optimizers",
    "_chi_square",
    "_quadrature",
    "theory",
    "network",
    "blocks",
    "probes",
    "training",
    "pretraining",
    "experiments",
    "plots",
    "widgets",
    "explorers",
)
# What a module may use beside the standard library, NumPy and the package itself.
EXTRA = {
    "plots": {"matplotlib", "IPython"},
    "widgets": {"ipywidgets", "matplotlib", "IPython"},
    "explorers": {"anywidget", "traitlets", "matplotlib", "IPython"},
    "training": {"tqdm"},
    "_keras": {"keras", "ml_dtypes"},
}
OPTIONAL = {"plots", "widgets", "explorers"}  # may do so at the top: they need more than NumPy
# Of numpy.random: what makes a stream of its own. The rest shares one hidden state.
OWN_STREAM = {"BitGenerator", "Generator", "PCG64", "SeedSequence", "default_rng"}

MODULES = sorted(path for path in PACKAGE.glob("*.py") if path.name != "__init__.py")
MODULES += sorted(PACKAGE.glob("*/*.py"))  # the explorers, a level of their own


def floor(path):
    """Return the name of a module's floor: its own, or that of the package it is in."""
    return path.stem if path.parent == PACKAGE else path.parent.name


def name(path):
    """Return a module's name within the package, with dots."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


def imports(path):
    """Return the (module, is it at the top level) pairs that a file imports."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    top = set(map(id, tree.body))
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name}:{node.lineno} is a relative import"
            inside = node.module == "initcore"
            names = [f"initcore.{a.name}" for a in node.names] if inside else [node.module]
        else:
            continue
        yield from ((name, id(node) in top) for name in names)


def test_there_are_modules():
    assert len(MODULES) >= 10


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_a_module_imports_only_from_lower_floors(path):
    own = floor(path)
    assert own in ORDER, f"give {own} a place in ORDER"
    lower = {*ORDER[: ORDER.index(own)]} | ({own} if path.parent != PACKAGE else set())
    used = {name.split(".")[1] for name, _ in imports(path) if name.startswith("initcore.")}
    assert used <= lower, f"{path.name} imports {sorted(used - lower)}"


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_a_module_needs_numpy_alone(path):
    extra = EXTRA.get(floor(path), set())
    for name, at_top in imports(path):
        package = name.split(".")[0]
        if package in sys.stdlib_module_names or package in {"numpy", "initcore"}:
            continue
        assert package in extra, f"{path.name} imports {name}"
        assert not at_top or floor(path) in OPTIONAL, f"{path.name} imports {name} at its top"


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_no_global_random_state(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Attribute):
            owner = node.value
            if owner.attr == "random" and getattr(owner.value, "id", "") in {"np", "numpy"}:
                assert node.attr in OWN_STREAM, f"{path.name}:{node.lineno} np.random.{node.attr}"
    names = {name for name, _ in imports(path)}
    assert not names & {"random", "numpy.random"}


def test_the_experiments_are_few_and_shared():
    """Each is run by two chapters, or by a chapter and a live figure; the module is short."""
    source = (PACKAGE / "experiments.py").read_text(encoding="utf-8")
    assert len(source.splitlines()) <= 900
    names = [node.name for node in ast.parse(source).body if isinstance(node, ast.FunctionDef)]
    places = [*(ROOT / "chapters").glob("*.ipynb"), *PACKAGE.glob("explorers/*.py")]
    for name in (name for name in names if not name.startswith("_")):
        call = re.compile(rf"experiments\.{name}\b|import [^\n]*\b{name}\b")
        users = [p for p in places if call.search(p.read_text(encoding="utf-8"))]
        assert len(users) >= 2 and any(p.suffix == ".ipynb" for p in users), (name, users)


def run(code):
    """Return what a new Python prints that runs this code with the package on its path."""
    code = f"import sys; sys.path.insert(0, {str(ROOT)!r})\n{code}"
    result = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_importing_the_package_is_light():
    loaded = set(
        run("import initcore; print(*{name.split('.')[0] for name in sys.modules})").split()
    )
    assert "initcore" in loaded
    heavy = {
        "IPython",
        "anywidget",
        "ipywidgets",
        "jax",
        "keras",
        "matplotlib",
        "scipy",
        "sklearn",
        "tqdm",
    }
    assert not loaded & heavy


def test_every_public_module_is_an_attribute_of_the_package():
    inner = {path.stem for path in MODULES if path.stem.startswith("_")} | {"sampling"}
    public = sorted({floor(path) for path in MODULES} - inner)
    assert public == initcore.__all__ and set(public) <= set(dir(initcore))
    for name in public:
        assert getattr(initcore, name).__name__ == f"initcore.{name}"
    with pytest.raises(AttributeError, match="no attribute 'initializer'"):
        initcore.initializer  # noqa: B018


def test_all_modules_but_the_optional_do_without_matplotlib():
    """Each is imported with nothing but NumPy and the standard library to be had."""
    names = [f"initcore.{name(path)}" for path in MODULES if floor(path) not in OPTIONAL]
    run(f"""
import importlib, importlib.abc

class Closed(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        package = name.split(".")[0]
        if package not in sys.stdlib_module_names | {{"numpy", "initcore"}}:
            raise ImportError(name)

sys.meta_path.insert(0, Closed())
for name in {names!r}:
    importlib.import_module(name)
""")
