"""A notebook that is open in the browser's kernel: read it, run it, and compare what it says.

The page is JupyterLite's own. Its application is reached as ``jupyterapp``, by a setting that a
test adds to the site's ``jupyter-lite.json`` on its way to the browser; nothing else is changed.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

from playwright.sync_api import BrowserContext, Locator, Page, Response, Route
from playwright.sync_api import TimeoutError as PlaywrightTimeout

SETTINGS = "**/lite/jupyter-lite.json"
VISIBLE = 60  # seconds until the notebook is there
CELL = 900  # seconds from one cell's end to the next one's: nbval's 60, for a slower Python
# What a picture shows is said by its text; a widget's model has a new name in every run.
NO_TEXT = ("image/", "application/vnd.jupyter.widget-view+json")

CELLS = """[...jupyterapp.shell.currentWidget.content.model.cells]"""
STATE = f"""() => {CELLS}.filter((cell) => cell.type === "code").map((cell) => [
    cell.id,
    cell.executionCount !== null && cell.executionState === "idle",
    cell.outputs.toJSON().some((output) => output.output_type === "error"),
])"""
MOVED = f"""(before) => {{
    const state = ({STATE})();
    return state.some((cell) => cell[2]) || state.filter((cell) => cell[1]).length > before;
}}"""


def expose(context: BrowserContext, change: Callable[[dict], None] = lambda settings: None) -> None:
    """Let the pages of a context be driven, and change the settings that they get, if need be."""

    def answer(route: Route) -> None:
        response = route.fetch()
        settings = response.json()
        settings["jupyter-config-data"]["exposeAppInBrowser"] = True
        change(settings["jupyter-config-data"])
        route.fulfill(response=response, body=json.dumps(settings))

    context.route(SETTINGS, answer)


class Traffic:
    """Count what the network brings to a context, workers included.

    Attributes
    ----------
    requests, bytes : int
        How many answers came, and how much they held.
    """

    def __init__(self, context: BrowserContext) -> None:
        self.requests = self.bytes = 0
        context.on("response", self._response)

    def _response(self, response: Response) -> None:
        # what a service worker hands on came by a request of its own
        if response.url.startswith("http") and not response.from_service_worker:
            self.requests += 1
            self.bytes += int(response.headers.get("content-length", 0))


class Notebook:
    """The notebook in a page where JupyterLite has just been called up."""

    def __init__(self, page: Page) -> None:
        self.page = page
        page.wait_for_selector(".jp-Notebook .jp-Cell", timeout=VISIBLE * 1000)
        # what is shown before the file is read whole is replaced by it
        page.wait_for_function("() => window.jupyterapp?.shell.currentWidget?.context?.isReady")

    def cells(self) -> list[dict]:
        """Return the cells as they would be saved."""
        return self.page.evaluate(f"() => {CELLS}.map((cell) => cell.toJSON())")

    def menu(self, name: str, item: str) -> None:
        """Choose from the menus."""
        self.page.get_by_role("menuitem", name=name, exact=True).click()
        self.page.get_by_role("menuitem", name=item, exact=True).click()

    def run_all(self) -> Iterator[tuple[int, int]]:
        """Run all cells, from none that has an output; yield how many are done, and of how many.

        Ends early where a cell ends in an error.
        """
        self.menu("Edit", "Clear Outputs of All Cells")
        assert not [cell["id"] for cell in self.cells() if cell.get("outputs")]
        self.menu("Run", "Run All Cells")
        yield from self.wait(0)

    def wait(self, done: int) -> Iterator[tuple[int, int]]:
        """Yield as more than so many cells are done, until all are, or one ends in an error."""
        while True:
            try:
                self.page.wait_for_function(MOVED, arg=done, timeout=CELL * 1000)
            except PlaywrightTimeout:
                waiting = [name for name, is_done, _ in self.page.evaluate(STATE) if not is_done]
                message = f"cell {waiting[0]} is not done after {CELL} seconds"
                raise AssertionError(message) from None
            state = self.page.evaluate(STATE)
            done = sum(is_done for _, is_done, _ in state)
            yield done, len(state)
            if done == len(state) or any(failed for *_, failed in state):
                return

    def run_instead(self, cell: str, source: str) -> list[dict]:
        """Write into a cell, named by its id, what a reader would; run it; return its outputs."""
        find = f"{CELLS}.find((cell) => cell.id === id)"
        self.show(cell).locator(".cm-content").click()
        self.page.evaluate(f"(id) => {find}.clearExecution()", cell)
        self.page.keyboard.press("ControlOrMeta+A")
        self.page.keyboard.insert_text(source)
        self.page.keyboard.press("Shift+Enter")
        try:
            handle = self.page.wait_for_function(
                f"""([id, source]) => {{
                    const cell = {find};
                    const is_done = cell.executionCount !== null && cell.executionState === "idle";
                    return cell.sharedModel.source === source && is_done && cell.outputs.toJSON();
                }}""",
                arg=[cell, source],
                timeout=CELL * 1000,
            )
        except PlaywrightTimeout:
            raise AssertionError(f"cell {cell}, written anew, is not done") from None
        return handle.json_value()

    def show(self, cell: str) -> Locator:
        """Bring a code cell, named by its id, folded or not, into the window, and return it.

        The cells above are laid out only when they come near, and push it down again. The cell's
        element gets its id: the number that JupyterLab gives it is another one's for a while.
        """
        self.page.wait_for_function(
            """(id) => {
                const { content } = jupyterapp.shell.currentWidget;
                const place = content.widgets.findIndex((cell) => cell.model.id === id);
                const { node } = content.widgets[place];
                const { top, height } = node.getBoundingClientRect();
                const is_there = height > 0 && top >= 0 && top < innerHeight;
                const parts = [...node.querySelectorAll(".cm-content, .jp-InputPlaceholder")];
                if (is_there && parts.some((part) => part.checkVisibility())) {
                    const rests = node.dataset.top === String(top);  // since it was looked at last
                    node.dataset.top = top;
                    if (rests) node.dataset.shown = id;
                    return rests;
                }
                content.scrollToItem(place, "start");
                return false;
            }""",
            arg=cell,
            polling=200,
            timeout=VISIBLE * 1000,
        )
        return self.page.locator(f'.jp-Cell[data-shown="{cell}"]')


def is_bar(output: dict) -> bool:
    """Return whether an output is a progress bar of `fit`, which is gone after the run."""
    data = output.get("data", {})
    return NO_TEXT[1] in data and joined(data.get("text/plain", "")).startswith("training: ")


def texts(outputs: list[dict]) -> list[tuple[str, str]]:
    """Return the texts of a cell's outputs in their order, each with its kind.

    Pieces of one stream are one text, as for nbval: where they part is chance. A progress bar is
    none: no stored output has one, and whether a run is long enough for one depends on the machine.
    """
    found: list[tuple[str, str]] = []
    for output in outputs:
        if is_bar(output):
            continue
        if output["output_type"] == "stream":
            kind, text = output["name"], joined(output["text"])
            if found and found[-1][0] == kind:
                text = found.pop()[1] + text
            found.append((kind, text))
        elif output["output_type"] == "error":
            lines = [line for line in output["traceback"] if line.strip()][-3:]
            found.append(("error", "\n".join([f"{output['ename']}: {output['evalue']}", *lines])))
        else:
            data = sorted(output["data"].items())
            found += [(kind, joined(text)) for kind, text in data if not kind.startswith(NO_TEXT)]
    return found


def joined(text: Any) -> str:
    """Return a text that a notebook may hold as lines; what is no text is written as JSON."""
    if isinstance(text, str):
        return text
    is_lines = isinstance(text, list) and all(isinstance(line, str) for line in text)
    return "".join(text) if is_lines else json.dumps(text, sort_keys=True)


def differences(stored: list[dict], run: list[dict]) -> list[str]:
    """Return what two notebooks' code cells say otherwise, with the cell, expected and got."""
    found = []
    for before, after in zip(stored, run, strict=True):
        if before["cell_type"] != "code":
            continue
        expected, got = texts(before["outputs"]), texts(after["outputs"])
        if expected != got:
            found.append(f"cell {before['id']}\n{told('expected', expected)}\n{told('got', got)}")
    return found


def told(label: str, parts: list[tuple[str, str]]) -> str:
    """Return the texts of a cell for a message, each line marked."""
    lines = [f"    {kind}| {line}" for kind, text in parts for line in text.splitlines() or [""]]
    return "\n".join([f"  {label}:", *(lines or ["    nothing"])])


class Progress:
    """Say how far it is, at most every few seconds, past pytest's capture and from a worker too."""

    EVERY = 20  # seconds

    def __init__(self, label: str, capture: Any) -> None:
        self.label, self.capture = label, capture
        self.begin = self.last = time.perf_counter()

    @property
    def seconds(self) -> float:
        """The time since the beginning."""
        return time.perf_counter() - self.begin

    def say(self, text: str) -> None:
        """Write a line, unless the last one was only just written."""
        if time.perf_counter() - self.last >= self.EVERY:
            self.last = time.perf_counter()
            with self.capture.disabled():
                print(f"\n{self.label}: {text}, {self.seconds:.0f} s", file=sys.stderr, flush=True)
