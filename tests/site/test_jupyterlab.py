"""JupyterLab itself: its shortcuts leave the keys to a live figure, and links lead somewhere."""

import contextlib
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import nbformat
import pytest
from checks import move_controls
from playwright.sync_api import expect

from initcore.explorers import Scale

sys.path.append(str(Path(__file__).resolve().parents[1]))
from chapter import ROOT, Chapter  # noqa: E402
from needed_cells import CHAPTERS, PANEL, needed  # noqa: E402
from notebook_rules import MYST  # noqa: E402

# Sliders and lists of choices. The other chapters' panels are moved in the browser's kernel, or
# without a page by test_panels_and_exercises.py: what is tested here is JupyterLab.
SHOWN = ("02", "07")
CHAPTER = "03_small_random_weights.ipynb"
FIGURE = """\
from initcore import explorers

figure = explorers.Scale(sd=0.1)
figure.show()
print(figure.reading().select("layer", "pooled spread"))
"""


def panels():
    """Return the cells of a chapter that its panel needs, with the panel's own last."""
    found = {}
    for path in (path for path in CHAPTERS if path.name.startswith(SHOWN)):
        code = [cell.source for cell in Chapter(path).code]
        number = next(n for n, source in enumerate(code) if PANEL.search(source))
        found[path.stem] = [code[n] for n in (*needed(code, number), number)]
    return found


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """The address of a JupyterLab with a live figure, one of each panel, and the course."""
    tmp_path = tmp_path_factory.mktemp("lab")
    (tmp_path / "notebooks").mkdir()
    for name in ("chapters", "pages"):
        shutil.copytree(ROOT / name, tmp_path / "notebooks" / name)
    # All cells of a notebook are on the page at once, for a test to find what is in them.
    settings = tmp_path / "JUPYTERLAB_SETTINGS_DIR/@jupyterlab/notebook-extension"
    settings.mkdir(parents=True)
    (settings / "tracker.jupyterlab-settings").write_text('{"windowingMode": "none"}')
    for name, cells in {"figure": [FIGURE, "1 + 1"], **panels()}.items():
        code = [nbformat.v4.new_code_cell(cell) for cell in cells]
        notebook = nbformat.v4.new_notebook(cells=code)
        notebook.metadata.kernelspec = {"name": "python3", "display_name": "Python 3"}
        nbformat.write(notebook, tmp_path / "notebooks" / f"{name}.ipynb")
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--port=0"]
    settings = {
        "ServerApp.root_dir": tmp_path / "notebooks",
        "IdentityProvider.token": "",
        "LabApp.check_for_updates_class": "jupyterlab.NeverCheckForUpdate",
    }
    command += [f"--{name}={value}" for name, value in settings.items()]
    folders = [f"JUPYTER_{name}_DIR" for name in ("CONFIG", "DATA", "RUNTIME")]
    folders += ["JUPYTERLAB_SETTINGS_DIR", "IPYTHONDIR"]
    own = {name: str(tmp_path / name) for name in folders}
    environment = {**os.environ, **own, "JUPYTER_PREFER_ENV_PATH": "1"}
    log = tmp_path / "log"
    with (
        log.open("w") as written,
        subprocess.Popen(command, env=environment, stderr=written) as process,
    ):
        try:
            yield address(process, log)
        finally:
            process.terminate()


def address(process, log):
    """Return the address that JupyterLab writes down, once it answers there."""
    end = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < end:
        time.sleep(0.2)
        if found := re.search(r"http://127\.0\.0\.1:\d+(?=/lab)", log.read_text()):
            with contextlib.suppress(URLError):  # it writes before it listens
                urlopen(f"{found.group()}/api").close()
                return found.group()
    pytest.fail("JupyterLab does not start:\n" + log.read_text()[-2000:])


def run_all(page, lab, name):
    """Open a notebook in JupyterLab and run all its cells."""
    page.set_default_timeout(60_000)
    page.goto(f"{lab}/lab/tree/{name}.ipynb?reset")
    page.get_by_text("Python 3 (ipykernel) | Idle").wait_for()
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()


@pytest.mark.parametrize("panel_of", panels())
def test_a_panel_runs_the_function_of_its_chapter(page, lab, panel_of):
    run_all(page, lab, panel_of)
    panel = page.locator(".jp-OutputArea .widget-vbox").last
    panel.locator("pre").last.wait_for()
    move_controls(panel)
    assert not page.locator(".jp-RenderedText[data-mime-type*=stderr]").count()


def test_keys_are_the_controls_own(page, lab):
    run_all(page, lab, "figure")
    figure = page.locator(".initcore-explorer")
    table = page.locator(".jp-OutputArea pre").first
    printed = table.text_content()
    slider = figure.locator("input[name=sd]")
    slider.focus()
    for key, spoken in {
        "ArrowRight": "0.14 = 1/√50",
        "ArrowLeft": "0.1",
        "ArrowUp": "0.14 = 1/√50",
        "ArrowDown": "0.1",
        "Home": "0.01",
        "End": "3",
    }.items():
        page.keyboard.press(key)
        assert slider.get_attribute("aria-valuetext") == spoken, key
    assert "standard deviation 3:" in figure.locator(".ie-says").text_content()
    reading = Scale(sd=3.0).reading().select("layer", "pooled spread")
    assert table.text_content().strip() == str(reading) != printed.strip()
    figure.locator("input[data-key=activation]:checked").focus()
    page.keyboard.press("ArrowDown")
    assert figure.locator("input[data-key=activation]:checked").get_attribute("value") == "1"
    page.keyboard.press("x")  # a shortcut that cuts the cell away
    assert "sigmoid" in figure.locator(".ie-says").text_content()
    figure.get_by_role("button", name="Reset").focus()
    page.keyboard.press("Enter")
    assert "tanh, standard deviation 0.1:" in figure.locator(".ie-says").text_content()
    assert table.text_content().strip() == printed.strip()


def follow(place, path="", fragment=""):
    """Click on the first link to a file, to a fragment, or both, in a part of JupyterLab."""
    # JupyterLab writes a token of its own between the two.
    end = f'[href$="{fragment}"]' if fragment else ""
    place.locator(f'a[href*="{path or "#"}"]{end}').first.click()


# What is read, without formulas that are set and code.
TEXT = """page => {
  const copy = page.cloneNode(true);
  for (const element of copy.querySelectorAll("mjx-container, code")) element.remove();
  return copy.textContent;
}"""


@pytest.mark.parametrize(
    ("file", "fragment", "words"),
    [
        ("pages/references.md", "#he2015", "Delving deep into rectifiers"),
        ("pages/glossary.md", "#term-pre-activation", "What a unit computes before its activation"),
        ("pages/notation.md", "", "A layer computes"),
    ],
)
def test_a_link_of_a_chapter_leads_to_its_entry_in_plain_words(page, lab, file, fragment, words):
    page.set_default_timeout(60_000)
    page.goto(f"{lab}/lab/tree/chapters/{CHAPTER}?reset")
    follow(page.locator(".jp-NotebookPanel"), file, fragment)
    shown = page.locator(".jp-MarkdownViewer .jp-RenderedMarkdown")
    shown.get_by_text(words).first.wait_for()
    if fragment:
        entry = shown.locator(f':has(> [data-jupyter-id="{fragment[1:]}"])')
        expect(entry).to_contain_text(words)
        expect(entry).to_be_in_viewport()
    text = shown.evaluate(TEXT)
    assert not MYST.search(text) and "$" not in text and ":all:" not in text


def test_a_claim_leads_to_the_cell_that_decides_it_and_back(page, lab):
    page.set_default_timeout(60_000)
    page.goto(f"{lab}/lab/tree/chapters/{CHAPTER}?reset")
    chapter = page.locator(".jp-NotebookPanel")
    verdict = chapter.get_by_text('Claim S1: "')
    follow(chapter, fragment="#cell-id=s1-decided")
    expect(verdict).to_be_in_viewport()
    follow(chapter, "pages/claims.md")
    entry = page.locator('.jp-MarkdownViewer li:has([data-jupyter-id="claim-S1"])')
    follow(entry, CHAPTER, "#cell-id=s1-decided")
    expect(verdict).to_be_in_viewport()
