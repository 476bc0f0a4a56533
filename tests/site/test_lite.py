"""The kernel in the browser: a chapter runs there as a reader runs it, and says what is stored."""

import re

import nbformat
import pytest
from checks import Watch, move_controls, settle
from conftest import ROOT, site_folder
from kernel import Notebook, Progress, Traffic, differences, expose, is_bar, texts
from playwright.sync_api import expect
from serving import running

from initcore.explorers import EXPLORERS
from initcore.initializers import HeNormal
from website.tools import lite, serve

CHAPTER = "03_small_random_weights"
BUTTON = "Run in your browser"
WIDGET = "application/vnd.jupyter.widget-view+json"
# Warnings of JupyterLite's own, in the console of every page of it.
WARNINGS = (
    # two entries of its File menu stand there twice; one of each pair is left out
    r"console, warning: Menu entry for command '[\w:-]+' is duplicated\.",
    # the notebooks' kernel is python3, as Jupyter's own is called; the browser's is python
    r"console, warning: No exact match found for python, using kernel python that matches language",
)
READERS_CELL = """\
import sys

import anywidget
import ipywidgets

from initcore.initializers import HeNormal

print(sys.platform, issubclass(anywidget.AnyWidget, ipywidgets.DOMWidget))
print(HeNormal(seed=0)(shape=(3, 2)).round(6).tolist())
ipywidgets.IntSlider(3, description="Layers")"""


def open_chapter(page, site, notebook):
    """Press the chapter's own button, which is there without a menu; return the notebook."""
    page.goto(f"{site}/chapters/{notebook}.html")
    button = page.get_by_role("link", name=BUTTON, exact=True)
    assert button.is_visible() and button.bounding_box()["y"] < page.viewport_size["height"]
    button.click()
    return Notebook(page)


def faults(watch):
    """Return what a page did wrong, without the warnings that are known."""
    return [fault for fault in watch.faults if not any(re.match(w, fault) for w in WARNINGS)]


def shown(cells):
    """Return what a reader has of cells before they are run."""
    return [
        {
            **{name: cell[name] for name in ("id", "cell_type")},
            "source": cell["source"],
            "texts": texts(cell.get("outputs", [])),
            "tags": cell["metadata"].get("tags", []),
        }
        for cell in cells
    ]


def test_a_difference_is_told_with_its_cell():
    """What nbval would not let pass, this does not either."""
    stored = nbformat.v4.new_output("stream", name="stdout", text="0.07068\n")
    figure = {"text/plain": "Figure: a line", "image/png": "AAAA", WIDGET: {"model_id": "1"}}

    def cells(*outputs):
        return [nbformat.v4.new_code_cell("0", id="one", outputs=list(outputs))]

    def display(**changed):
        return nbformat.v4.new_output("display_data", data={**figure, **changed})

    halves = [nbformat.v4.new_output("stream", name="stdout", text=t) for t in ("0.07", "068\n")]
    assert not differences(cells(stored, display()), cells(*halves, display()))
    assert not differences(cells(display()), cells(display(**{"image/png": "BBBB"})))
    (told,) = differences(cells(stored), cells({**stored, "text": "0.07069\n"}))
    assert told.splitlines() == [
        *("cell one", "  expected:", "    stdout| 0.07068", "  got:", "    stdout| 0.07069")
    ]
    others = [
        [],
        [{**stored, "name": "stderr"}],
        [stored, nbformat.v4.new_output("stream", name="stderr", text="a warning\n")],
        [nbformat.v4.new_output("error", ename="ValueError", evalue="no", traceback=[])],
    ]
    for outputs in others:
        assert len(differences(cells(stored), cells(*outputs))) == 1, outputs
    bar = nbformat.v4.new_output(
        "display_data", data={"text/plain": "training:   0%|          | 0/9", WIDGET: {}}
    )
    assert not differences(cells(stored), cells(bar, stored))
    changed = display(**{"text/plain": "Figure: two lines"})
    assert len(differences(cells(display()), cells(changed))) == 1


def test_a_chapter_runs_from_first_to_last_cell(page, site, notebook, record_property, capfd):
    context = page.context
    expose(context)
    watch, traffic = Watch(page, site), Traffic(context)
    stored = nbformat.read(ROOT / "chapters" / f"{notebook}.ipynb", as_version=4)
    cells = stored["cells"]

    record_property("notebook", notebook)
    progress = Progress(notebook, capfd)
    chapter = open_chapter(page, site, notebook)
    record_property("visible", progress.seconds)
    carried = page.request.get(f"{site}/lite/files/chapters/{notebook}.ipynb")
    assert carried.json() == stored, "the site has an older notebook: run `make book OFFLINE=1`"
    assert shown(chapter.cells()) == shown(cells)

    first = 0.0
    for done, number in chapter.run_all():
        first = first or progress.seconds
        progress.say(f"{done} of {number} cells")
    record_property("first", first)
    record_property("cells", progress.seconds - first)
    record_property("all", progress.seconds)
    run = chapter.cells()
    if notebook == CHAPTER:  # it trains for over two seconds here
        assert any(is_bar(output) for cell in run for output in cell.get("outputs", ()))
    found = differences(cells, run)
    assert not found, "\n".join([f"{len(found)} cells say something else", *found])
    assert_widget_lives(chapter, cells)
    assert_panel_runs(chapter, cells)
    record_property("megabytes", traffic.bytes / 1e6)
    record_property("requests", traffic.requests)
    record_property("foreign", len(watch.elsewhere))
    assert not faults(watch), "\n".join(faults(watch))

    page.go_back()
    page.wait_for_url(f"{site}/chapters/{notebook}.html")
    assert page.get_by_role("link", name=BUTTON, exact=True).is_visible()


def shows_widgets(cells):
    """Return the cells that show a widget."""
    return [
        cell
        for cell in cells
        if any(WIDGET in output.get("data", ()) for output in cell.get("outputs", ()))
    ]


def assert_panel_runs(chapter, cells):
    """Move every control of the chapter's panel: its function runs again in this kernel."""
    for cell in shows_widgets(cells):
        if "panel(" in cell["source"]:
            panel = chapter.show(cell["id"]).locator(".widget-vbox").last
            panel.scroll_into_view_if_needed()
            move_controls(panel)


def assert_widget_lives(chapter, cells):
    """Move the first control of the chapter's live figure: the sentence and the kernel follow."""
    (cell,) = (cell for cell in shows_widgets(cells) if "explorers." in cell["source"])
    assigned = re.search(r"^(\w+) = explorers\.(\w+)\(", cell["source"], re.MULTILINE)
    variable, kind = assigned.groups()
    (explorer,) = (one for one in EXPLORERS.values() if one.__name__ == kind)
    known = explorer.described_controls()

    figure = chapter.show(cell["id"]).locator(".initcore-explorer")
    figure.scroll_into_view_if_needed()
    assert figure.locator("figure svg").first.is_visible()
    control = figure.locator("input[type=range], input[type=checkbox], select").first
    name = control.get_attribute("name")
    control.focus()
    sentence = figure.locator(".ie-says")
    # from one end to the other: this moves a slider or a list wherever it stands
    is_check = known[name]["kind"] == "check"
    for key in ("Space",) if is_check else ("Home", "End"):
        said = sentence.text_content()
        chapter.page.keyboard.press(key)
    expect(sentence).not_to_have_text(said)
    value = control.is_checked() if is_check else known[name]["values"][-1]
    last = [cell for cell in cells if cell["cell_type"] == "code"][-1]["id"]
    outputs = chapter.run_instead(last, f"print({variable}.{name} == {value!r}, {variable})")
    assert texts(outputs)[0][1].startswith("True"), f"{name} is to be {value!r}: {texts(outputs)}"


@pytest.fixture
def default_site(pytestconfig, monkeypatch):
    """The site under the policy of the default build, whose Pyodide comes from its network."""
    monkeypatch.delenv("OFFLINE", raising=False)
    folder = site_folder(pytestconfig)
    server = serve.make_server(str(folder), 0)
    server.policies["lite/"] = lite.policy(folder / "lite")
    with running(server) as address:
        yield address


def assert_readers_cell_runs(page, site):
    """Open a chapter, write a cell of one's own, run it, and see what it prints and shows."""
    notebook = open_chapter(page, site, CHAPTER)
    code = [cell for cell in notebook.cells() if cell["cell_type"] == "code"]
    first = next(cell for cell in code if not cell["metadata"].get("jupyter"))  # not folded
    outputs = notebook.run_instead(first["id"], READERS_CELL)
    weights = HeNormal(seed=0)(shape=(3, 2)).round(6).tolist()
    assert texts(outputs)[0] == ("stdout", f"emscripten True\n{weights}\n"), texts(outputs)
    slider = page.locator(".jp-OutputArea .widget-slider")
    slider.wait_for()
    assert slider.locator(".widget-readout").text_content() == "3"


def test_a_cell_of_the_reader_runs(page, site):
    expose(page.context)
    watch = Watch(page, site)
    assert_readers_cell_runs(page, site)
    assert not faults(watch), "\n".join(faults(watch))


def test_by_default_pyodide_comes_from_its_network_when_the_button_is_pressed(page, default_site):
    """The files of the offline site are given in the network's stead."""
    network = lite.cdn()
    given = []

    def change(settings):
        settings["litePluginSettings"][lite.KERNEL]["pyodideUrl"] = f"{network}pyodide.js"

    def give(route):
        given.append(name := route.request.url.removeprefix(network))
        response = route.fetch(url=f"{default_site}/lite/static/pyodide/{name}")
        headers = {**response.headers, "access-control-allow-origin": "*"}
        route.fulfill(response=response, headers=headers)

    expose(page.context, change)
    page.context.route(f"{network}**", give)
    watch = Watch(page, default_site)
    page.goto(f"{default_site}/chapters/{CHAPTER}.html")
    settle(page)
    assert not given and not watch.faults, "the page itself asks for Python"

    assert_readers_cell_runs(page, default_site)
    assert {"pyodide.js", "pyodide.asm.wasm", "pyodide-lock.json"} <= set(given), given
    # also a check of the watch itself: a worker asks for these, through a service worker
    assert set(watch.elsewhere) == {f"{network}{name}" for name in given}
    others = [fault for fault in faults(watch) if not fault.startswith("asks another host")]
    assert not others, "\n".join(others)
