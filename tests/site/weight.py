"""What a page weighs, and how it comes up: measured at its first view.

The first view is that of a reader who comes for the first time and has not scrolled yet: nothing
is kept from an earlier page.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from urllib.parse import unquote, urlsplit

from checks import wait_until
from playwright.sync_api import Browser, CDPSession, Page

# The limits that the course sets itself for a chapter's first view.
TRANSFER = 900_000  # bytes, texts compressed as a host sends them
SHIFT = 0.05  # cumulative layout shift
DATA = 150_000  # bytes of an explorer's data, unpacked

QUIET = 0.4  # seconds without a request: then there will be none

SCREENS = {
    "wide": {"viewport": {"width": 1280, "height": 900}},
    "phone": {"viewport": {"width": 390, "height": 844}, "has_touch": True},
}

# Runs before the page's own scripts. Shifts are added up, all of them: the usual measure, of the
# worst five seconds, is never more.
OBSERVE = """
window.measured = { shift: 0, shifts: [] };
const named = (node) => {
    const element = node?.nodeType === Node.TEXT_NODE ? node.parentElement : node;
    return element ? [element.localName, ...element.classList].join(".") : "something removed";
};
new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) {
        if (entry.hadRecentInput) continue;
        measured.shift += entry.value;
        const moved = entry.sources.map(({ node }) => named(node));
        measured.shifts.push(`${entry.value.toFixed(4)}: ${moved.join(", ")}`);
    }
}).observe({ type: "layout-shift", buffered: true });
"""

# Until the formulas are set and the figures in view are live.
SETTLED = """async () => {
    if (document.readyState !== "complete")
        await new Promise((resolve) => addEventListener("load", resolve));
    await window.MathJax?.startup?.promise;
    await document.fonts.ready;
}"""
LIVE = """() => [...document.querySelectorAll(".explorer[data-esm]")].every((box) =>
    box.classList.contains("is-live") || box.getBoundingClientRect().top > innerHeight)"""

# To the bottom, a window at a time.
SCROLL = """async () => {
    const end = () => document.documentElement.scrollHeight - innerHeight - 1;
    while (scrollY < end()) {
        scrollBy({ top: innerHeight, behavior: "instant" });
        await new Promise((resolve) => setTimeout(resolve, 25));
    }
}"""


@dataclass
class Asked:
    """A file that a page asked for, and whether it is all there; its name within the site."""

    name: str
    there: bool = False


@dataclass(frozen=True)
class View:
    """What a first view came to, and what the page had come to when it was gone through.

    Attributes
    ----------
    files, later : list of Asked
        Asked for at the first view, and after it.
    shift, scrolled : float
        The layout shifts of the first view, and of all.
    shifts : list of str
        What moved, and how much, a line each.
    """

    files: list[Asked]
    later: list[Asked]
    shift: float
    scrolled: float
    shifts: list[str]


@lru_cache
def compressed(path: Path) -> int:
    """Return the bytes of a file as a host sends it: packed by gzip, where that makes it less."""
    content = path.read_bytes()
    return min(len(content), len(gzip.compress(content, compresslevel=6)))


def transfer(files: Iterable[Asked], folder: Path) -> int:
    """Return what the files of a site weigh on their way, without the heads of the answers."""
    return sum(compressed(folder / file.name) for file in files)


def listen(session: CDPSession) -> dict[str, Asked]:
    """Return the files that the page will ask for, filled in as they come."""
    files: dict[str, Asked] = {}

    def response(event: dict) -> None:
        answer = event["response"]
        if not answer["url"].startswith("data:"):
            files[event["requestId"]] = Asked(unquote(urlsplit(answer["url"]).path).lstrip("/"))

    def finished(event: dict) -> None:
        if file := files.get(event["requestId"]):
            file.there = True

    session.on("Network.responseReceived", response)
    session.on("Network.loadingFinished", finished)
    session.on("Network.loadingFailed", finished)
    session.send("Network.enable")
    return files


def wait_for(page: Page, files: dict[str, Asked]) -> None:
    """Wait until all files are there that a page has asked for, and it asks for no other.

    Playwright's "networkidle" did not come at all, now and then, on a slowed processor.
    """
    known, quiet = -1, 0
    while quiet < QUIET:
        page.wait_for_timeout(100)
        still = len(files) == known and all(file.there for file in files.values())
        known, quiet = len(files), quiet + 0.1 if still else 0


def settle(page: Page, files: dict[str, Asked]) -> None:
    """Wait until a page is ready, with nothing hurried."""
    page.evaluate(SETTLED)
    wait_until(page, LIVE)
    wait_for(page, files)


def look(browser: Browser, address: str, screen: str, scroll: bool = False) -> View:
    """Open a page for the first time, in a profile of its own, and measure.

    Parameters
    ----------
    browser : Browser
    address : str
    screen : str
        A key of `SCREENS`.
    scroll : bool, default False
        Go through the whole page after the first view.
    """
    with browser.new_context(**SCREENS[screen]) as context:
        context.add_init_script(OBSERVE)
        page = context.new_page()
        session = context.new_cdp_session(page)
        files = listen(session)
        page.goto(address)
        settle(page, files)
        first, seen = page.evaluate("measured"), len(files)
        if scroll:
            page.evaluate(SCROLL)
            wait_for(page, files)
        last, asked = page.evaluate("measured"), list(files.values())
        return View(
            files=asked[:seen],
            later=asked[seen:],
            shift=first["shift"],
            scrolled=last["shift"],
            shifts=last["shifts"],
        )
