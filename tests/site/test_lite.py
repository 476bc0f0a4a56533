"""The kernel in the browser: chapters run there as a reader runs them, and say what is stored."""

import json

import pytest
from checks import Watch
from conftest import ROOT
from kernel import Notebook, Progress, Traffic, differences, expose

BUTTON = "Run in your browser"


def open_chapter(page, site, chapter):
    """Press the chapter's own button, which is there without a menu; return the notebook."""
    page.goto(f"{site}/chapters/{chapter}.html")
    button = page.get_by_role("link", name=BUTTON, exact=True)
    assert button.is_visible() and button.bounding_box()["y"] < page.viewport_size["height"]
    button.click()
    return Notebook(page)


def test_a_chapter_runs_from_first_to_last_cell(page, site, notebook, record_property, capfd):
    context = page.context
    expose(context)
    watch, traffic = Watch(page, site), Traffic(context)
    file = ROOT / "chapters" / f"{notebook}.ipynb"
    stored = json.loads(file.read_text(encoding="utf-8"))["cells"]

    progress = Progress(notebook, capfd)
    chapter = open_chapter(page, site, notebook)
    record_property("visible", progress.seconds)
    for done, number in chapter.run_all():
        if done == 1:
            record_property("first", progress.seconds)
        progress.say(f"{done} of {number} cells")
    record_property("all", progress.seconds)
    print(watch.faults, traffic.requests, traffic.bytes)
    faults = differences(stored, chapter.cells())
    assert not faults, "\n".join(faults)
