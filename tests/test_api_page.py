"""The API reference: every public name of the package is on its module's page."""

import importlib
import inspect
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from sphinx.util.inventory import InventoryFile
from test_architecture import ORDER

import initcore
from initcore import explorers

ROOT = Path(__file__).resolve().parents[1]

from website.extensions import api  # noqa: E402

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
    contents = "```{toctree}\n:glob:\n**\n```\n"
    (folder / "index.md").write_text(f"{title}\n{contents}", encoding="utf-8")
    for name, text in pages.items():
        (folder / f"{name}.md").write_text(text, encoding="utf-8")
    settings = "\n".join(f"{name} = {value!r}" for name, value in SETTINGS.items())
    configuration = f"""
import sys
sys.path[:0] = [{str(ROOT)!r}, {str(folder)!r}]
extensions = ["myst_parser", "sphinx.ext.autodoc", "numpydoc", "website.extensions.api"]
{settings}
"""
    (folder / "conf.py").write_text(configuration, encoding="utf-8")
    command = [sys.executable, "-m", "sphinx", "-b", "html", "-W", "-n", "-q", "--keep-going"]
    return subprocess.run([*command, ".", "out"], cwd=folder, capture_output=True, text=True)


def modules():
    """Return the public modules; the live figures, a class each, share one page."""
    return list(initcore.__all__)


def imported(name):
    """Return the module of a page."""
    return importlib.import_module(f"initcore.{name}")


def public(module):
    """Return the names of a module's own public functions and classes."""
    return {
        name
        for name, value in vars(module).items()
        if not name.startswith("_") and (inspect.isfunction(value) or inspect.isclass(value))
        if value.__module__ == module.__name__
    }


@pytest.fixture(scope="module")
def inventory(tmp_path_factory):
    """Name → page of all that the reference documents."""
    folder = tmp_path_factory.mktemp("api")
    shutil.copytree(ROOT / "pages/api", folder, dirs_exist_ok=True)
    result = build(folder)
    assert result.returncode == 0, result.stderr
    with (folder / "out/objects.inv").open("rb") as file:
        found = InventoryFile.load(file, "", lambda base, location: location)
    return {
        name: location.partition(".html")[0]
        for kind, entries in found.items()
        if kind.startswith("py:")
        for name, (_, _, location, _) in entries.items()
    }


@pytest.mark.parametrize("name", modules())
def test_every_public_name_is_on_the_page_of_its_module(inventory, name):
    module = imported(name)
    assert inventory.get(module.__name__) == name, f"pages/api/{name}.md is missing"
    names = public(module)
    assert names or module.__file__.endswith("__init__.py")
    missing = {part for part in names if inventory.get(f"{module.__name__}.{part}") != name}
    assert not missing, "without a docstring, or not in __all__"


def test_every_live_figure_is_on_their_page(inventory):
    assert {kind.__name__ for kind in explorers.EXPLORERS.values()} < set(explorers.__all__)
    for name in explorers.__all__:
        assert inventory.get(f"initcore.explorers.{name}") == "explorers", name


def test_nothing_private_is_listed(inventory):
    private = {name for name in inventory if re.search(r"\._(?!_call__$)", name)}
    # autodoc also notes where an imported class is written
    assert not private - {f"{explorers.Explorer.__module__}.Explorer"}
    pages = (ROOT / "pages/api").rglob("*.md")
    found = {page.relative_to(ROOT / "pages/api").with_suffix("").as_posix() for page in pages}
    assert found == set(modules())


def entries(page):
    """Return the modules in the list of a page."""
    text = (ROOT / "pages" / page).read_text(encoding="utf-8")
    found = re.findall(r"^\[(\w+)\]\(api/(\w+)\.md\)\n: .+\.$", text, re.M)
    assert all(name == page for name, page in found)
    return [name for name, _ in found]


def test_the_pages_stand_in_the_order_of_the_levels():
    order = [name for name in ORDER if name in initcore.__all__]
    assert entries("api.md") == order
    contents = (ROOT / "_toc.yml").read_text(encoding="utf-8")
    assert re.findall(r"pages/api/([\w/]+)", contents) == order


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
