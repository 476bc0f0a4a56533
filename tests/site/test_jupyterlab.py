"""A live figure in JupyterLab itself, whose shortcuts must leave the keys to the controls."""

import contextlib
import os
import re
import subprocess
import sys
import time
from urllib.error import URLError
from urllib.request import urlopen

import nbformat
import pytest


@pytest.fixture
def lab(tmp_path):
    """The address of a JupyterLab that knows one notebook: a figure, and a cell after it."""
    cells = ["from initcore import explorers\nexplorers.Scale(sd=0.1).show()", "1 + 1"]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    notebook.metadata.kernelspec = {"name": "python3", "display_name": "Python 3"}
    (tmp_path / "notebooks").mkdir()
    nbformat.write(notebook, tmp_path / "notebooks" / "figure.ipynb")
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--port=0"]
    settings = {
        "ServerApp.root_dir": tmp_path / "notebooks",
        "IdentityProvider.token": "",
        "LabApp.check_for_updates_class": "jupyterlab.NeverCheckForUpdate",
    }
    command += [f"--{name}={value}" for name, value in settings.items()]
    folders = ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR")
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


def test_keys_are_the_controls_own(page, lab):
    page.set_default_timeout(60_000)
    page.goto(f"{lab}/lab/tree/figure.ipynb")
    page.get_by_text("Python 3 (ipykernel) | Idle").wait_for()
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
    figure = page.locator(".initcore-explorer")
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
    figure.locator("input[data-key=activation]:checked").focus()
    page.keyboard.press("ArrowDown")
    assert figure.locator("input[data-key=activation]:checked").get_attribute("value") == "1"
    page.keyboard.press("x")  # a shortcut that cuts the cell away
    assert "sigmoid" in figure.locator(".ie-says").text_content()
    figure.get_by_role("button", name="Reset").focus()
    page.keyboard.press("Enter")
    assert "tanh, standard deviation 0.14:" in figure.locator(".ie-says").text_content()
