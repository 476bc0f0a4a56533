"""The API reference: every public name of the package is on its module's page."""

import importlib
import inspect
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from sphinx.util.inventory import InventoryFile

import initcore

ROOT = Path(__file__).resolve().parents[1]
sys.path.append(str(ROOT / "website"))

import api  # noqa: E402

CONFIG = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))["sphinx"]["config"]
OURS = re.compile("add_module|autodoc|default_role|numpydoc|python_|toc_object")
SETTINGS = {name: value for name, value in CONFIG.items() if OURS.match(name)}
# A module that shows all that can be written in a docstring, and what goes wrong there.
EXAMPLE = '''
"""A module: `square`, and `initcore.probes.rms`, which the package has.{more}"""

from typing import NamedTuple


class Pair(NamedTuple):
    """Two numbers, `first` and `second`."""

    first: float
    second: float


def square(x: float) -> float:
    """Return the square of `x`; see `Pair`.

    Parameters
    ----------
    x : float or ndarray, shape (batch, units)
        A number.

    Raises
    ------
    ValueError, TypeError
        Not a number.
    """
'''


def build(folder, title="# Index\n", **pages):
    """Build the pages with the book's own settings, warnings being errors."""
    contents = "```{toctree}\n:glob:\n*\n```\n"
    (folder / "index.md").write_text(f"{title}\n{contents}", encoding="utf-8")
    for name, text in pages.items():
        (folder / f"{name}.md").write_text(text, encoding="utf-8")
    settings = "\n".join(f"{name} = {value!r}" for name, value in SETTINGS.items())
    configuration = f"""
import sys
sys.path[:0] = [{str(ROOT / "website")!r}, {str(folder)!r}]
extensions = ["myst_parser", "sphinx.ext.autodoc", "numpydoc", "api"]
{settings}
"""
    (folder / "conf.py").write_text(configuration, encoding="utf-8")
    command = [sys.executable, "-m", "sphinx", "-b", "html", "-W", "-n", "-q", "--keep-going"]
    return subprocess.run([*command, ".", "out"], cwd=folder, capture_output=True, text=True)


def public(module):
    """Return the full names of a module's (or package's) own public functions and classes."""
    modules = [module]
    for part in pkgutil.iter_modules(getattr(module, "__path__", [])):
        if not part.name.startswith("_"):
            modules.append(importlib.import_module(f"{module.__name__}.{part.name}"))
    return {
        f"{module.__name__}.{name}"
        for part in modules
        for name, value in vars(part).items()
        if not name.startswith("_") and (inspect.isfunction(value) or inspect.isclass(value))
        if value.__module__ == part.__name__
    }


@pytest.fixture(scope="module")
def inventory(tmp_path_factory):
    """Name → page of all that the reference documents."""
    folder = tmp_path_factory.mktemp("api")
    pages = {f.stem: f.read_text(encoding="utf-8") for f in (ROOT / "pages/api").glob("*.md")}
    result = build(folder, **pages)
    assert result.returncode == 0, result.stderr
    with (folder / "out/objects.inv").open("rb") as file:
        found = InventoryFile.load(file, "", lambda base, location: location)
    return {
        name: location.partition(".html")[0]
        for kind, entries in found.items()
        if kind.startswith("py:")
        for name, (_, _, location, _) in entries.items()
    }


@pytest.mark.parametrize("name", initcore.__all__)
def test_every_public_name_is_on_the_page_of_its_module(inventory, name):
    module = importlib.import_module(f"initcore.{name}")
    assert inventory.get(f"initcore.{name}") == name, f"pages/api/{name}.md is missing"
    names = public(module)
    assert names
    missing = {full for full in names if inventory.get(full) != name}
    assert not missing, "without a docstring, or not in __all__"


def test_nothing_private_is_listed(inventory):
    private = {name for name in inventory if re.search(r"\._(?!_call__$)", name)}
    assert not private
    assert {page.stem for page in (ROOT / "pages/api").glob("*.md")} == set(initcore.__all__)


def test_the_pages_stand_in_the_order_of_the_floors():
    from test_architecture import ORDER

    order = [name for name in ORDER if name in initcore.__all__]
    text = (ROOT / "pages/api.md").read_text(encoding="utf-8")
    entries = re.findall(r"^\[(\w+)\]\(api/(\w+)\.md\)\n: .+\.$", text, re.MULTILINE)
    assert entries == [(name, name) for name in order]
    contents = (ROOT / "_toc.yml").read_text(encoding="utf-8")
    assert re.findall(r"pages/api/(\w+)", contents) == order


def module(folder, more=""):
    """Write the example, and return the page that documents it."""
    (folder / "example.py").write_text(EXAMPLE.format(more=more), encoding="utf-8")
    return "# Example\n\n```{eval-rst}\n.. automodule:: example\n```\n"


def test_names_are_links_where_they_can_be(tmp_path):
    result = build(tmp_path, page=module(tmp_path))
    assert result.returncode == 0, result.stderr
    page = (tmp_path / "out/page.html").read_text(encoding="utf-8")
    assert re.search(r'href="#example\.Pair"[^>]*><code[^>]*><span class="pre">Pair<', page)
    assert "Alias for field" not in page
    assert "float or ndarray, shape (batch, units)" in page and "ValueError, TypeError" in page


def test_a_name_that_the_package_does_not_have_fails_the_build(tmp_path):
    result = build(tmp_path, page=module(tmp_path, " And `initcore.probes.rsm`."))
    assert result.returncode != 0
    assert "reference target not found: initcore.probes.rsm" in result.stderr


def test_what_exists():
    there = ("initcore", "initcore.sampling", "initcore.network.MLP.forward")
    assert all(map(api.exists, there))
    assert not any(map(api.exists, ("initcores", "initcore.sample", "initcore.network.MLP.fit")))
