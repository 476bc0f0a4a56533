"""The API reference: every public name of the package is on its module's page."""

import importlib
import inspect
import re
import shutil

import pytest
import yaml
from small_site import ROOT, build
from sphinx.util.inventory import InventoryFile
from test_architecture import ORDER

import initcore
from initcore import explorers

CONFIG = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))["sphinx"]["config"]
OURS = re.compile("add_module|autodoc|default_role|numpydoc|python_|toc_object")
EXTENSIONS = ["myst_parser", "sphinx.ext.autodoc", "numpydoc", "website.extensions.anchors"]
# A module that shows all that can be written in a docstring, and a name that is not there.
EXAMPLE = '''
"""A module: `square`, `initcore.probes.rms`, which the package has, and `initcore.probes.rsm`."""

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


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The folder of the built reference and example, with the book's settings; the warnings."""
    folder = tmp_path_factory.mktemp("api")
    shutil.copytree(ROOT / "pages/api", folder, dirs_exist_ok=True)
    (folder / "example.py").write_text(EXAMPLE, encoding="utf-8")
    page = "# Example\n\n```{eval-rst}\n.. automodule:: example\n```\n"
    (folder / "page.md").write_text(page, encoding="utf-8")
    (folder / "index.md").write_text("# Index\n\n```{toctree}\n:glob:\n**\n```\n", encoding="utf-8")
    settings = [f"{name} = {value!r}" for name, value in CONFIG.items() if OURS.match(name)]
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        return folder, build(folder, "\n".join([f"extensions = {EXTENSIONS}", *settings]))


@pytest.fixture(scope="module")
def inventory(site):
    """Name → page of all that the reference documents."""
    with (site[0] / "out/objects.inv").open("rb") as file:
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
    assert inventory.get(module.__name__) == name, f"pages/api/{name}.md is missing"
    missing = {
        part
        for part, value in vars(module).items()
        if (inspect.isfunction(value) or inspect.isclass(value)) and not part.startswith("_")
        if value.__module__ == module.__name__
        if inventory.get(f"{module.__name__}.{part}") != name
    }
    assert not missing, "without a docstring, or not in __all__"


def test_every_live_figure_is_on_their_page(inventory):
    assert {kind.__name__ for kind in explorers.EXPLORERS.values()} < set(explorers.__all__)
    for name in explorers.__all__:
        assert inventory.get(f"initcore.explorers.{name}") == "explorers", name


def test_nothing_private_is_listed(inventory):
    private = {name for name in inventory if re.search(r"\._(?!_call__$)", name)}
    # autodoc also notes where an imported class is written
    assert not private - {f"{explorers.Explorer.__module__}.Explorer"}


def test_the_pages_stand_in_the_order_of_the_levels():
    order = [name for name in ORDER if name in initcore.__all__]
    text = (ROOT / "pages/api.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\[(\w+)\]\(api/(\w+)\.md\)\n: .+\.$", text, re.M)
    assert listed == [(name, name) for name in order]
    contents = (ROOT / "_toc.yml").read_text(encoding="utf-8")
    assert re.findall(r"pages/api/([\w/]+)", contents) == order
    assert sorted(page.stem for page in (ROOT / "pages/api").glob("*")) == sorted(order)


def test_the_index_of_tasks_leads_to_entries_of_every_module(inventory):
    text = (ROOT / "pages/api.md").read_text(encoding="utf-8")
    found = re.findall(r"\[`([\w.]+)`\]\(api/(\w+)\.md#([\w.]+)\)", text)
    for shown, page, name in found:
        assert name.endswith(f".{shown}") and inventory.get(name) == page, shown
    assert {page for _, page, _ in found} == set(initcore.__all__)


def test_names_are_links_where_they_can_be(site):
    page = (site[0] / "out/page.html").read_text(encoding="utf-8")
    assert re.search(r'href="#example\.Pair"[^>]*><code[^>]*><span class="pre">Pair<', page)
    assert re.search(r'href="probes\.html#initcore\.probes\.rms"', page)
    assert "Alias for field" not in page
    assert "float or ndarray, shape (batch, units)" in page and "ValueError, TypeError" in page


def test_only_a_name_that_the_package_does_not_have_fails_the_build(site):
    (warning,) = site[1]
    assert "reference target not found: initcore.probes.rsm" in warning
