"""How soon the built site's pages come up, what they weigh then, and how fast figures answer.

Usage: ``make bench-site``, on an idle machine. Nothing here fails, it only prints;
tests/site/test_weight.py holds the limits that do not hang on time.

First views: the opening page and each chapter, wide and on a phone, in a fresh profile, with the
processor slowed down four times; of three views the median, or the most. kB are those of the files
asked for before any scrolling, compressed as a host sends them, paint is the largest contentful
one, shift all layout shifts added up, ready when all formulas are set and the last file has come.

Live figures: each on its page of its own, with its numbers unfolded, which is the most that it has
to draw, moved by keys. handler is from an ``input`` or ``change`` event to the end of all that it
does, key to frame from the key press to the end of the frame that shows it. The course promises
4 ms (95% of the handlers), and two frames (of 1/60 s).
"""

from __future__ import annotations

import sys
from pathlib import Path
from statistics import median

import numpy as np
from playwright.sync_api import Browser, Page, sync_playwright

from initcore.explorers import EXPLORERS

sys.path.append(str(Path(__file__).resolve().parents[1] / "tests" / "site"))

import browser as browsers  # noqa: E402
import weight  # noqa: E402

from website.tools import serve  # noqa: E402

RUNS, SLOWED = 3, 4
KEYS = 30  # for each control of a figure

# Of a key's event the time that its handlers take; then that from the key's time stamp to a message
# which is sent in the next frame and comes after it.
WATCH = """() => {
    let pressed, begun;
    const { port1, port2 } = new MessageChannel();
    for (const kind of ["keydown", "keyup"])
        addEventListener(kind, (event) => (pressed = event.timeStamp), true);
    for (const kind of ["input", "change"]) {
        addEventListener(kind, () => (begun = performance.now()), true);
        addEventListener(kind, (event) => {
            if (kind !== (event.target.type === "range" ? "input" : "change")) return;
            const handled = performance.now() - begun;
            requestAnimationFrame(() => port2.postMessage(handled));
        });
    }
    window.painted = () => new Promise((resolve) => {
        port1.onmessage = ({ data }) => resolve([data, performance.now() - pressed]);
    });
}"""


def first_views(browser: Browser, folder: Path, site: str) -> None:
    """Print a line a page and screen."""
    limits = f"{weight.TRANSFER / 1000:6.0f}{weight.PAINT:7.2f}{weight.SHIFT:7.3f}"
    print(f"{'page':41}{'kB':>6}{'paint':>7}{'shift':>7}{'ready':>7}\n{'limit':41}{limits}")
    for path in [folder / "intro.html", *sorted(folder.glob("chapters/*.html"))]:
        address = f"{site}/{path.relative_to(folder).as_posix()}"
        for screen in weight.SCREENS:
            views = [weight.look(browser, address, screen, SLOWED) for _ in range(RUNS)]
            kilobytes = max(weight.transfer(view.files, folder) for view in views) / 1000
            paint, ready = (median(getattr(v, what) for v in views) for what in ("paint", "ready"))
            told = f"{kilobytes:6.0f}{paint:7.2f}{max(v.shift for v in views):7.3f}{ready:7.1f}"
            print(f"{path.stem:34}{screen:7}{told}", flush=True)


def keys(page: Page, controls: dict[str, dict]) -> np.ndarray:
    """Return the milliseconds of the handlers, and from key to frame, for each key press."""
    page.evaluate(WATCH)
    times = []
    for name, about in controls.items():
        radio = about["kind"] == "radio"
        control = f"[data-key={name}]:checked" if radio else f"[name={name}]"
        page.locator(f".ie-controls {control}").focus()
        pair = "ArrowRight", "ArrowLeft"
        if about["kind"] in ("range", "list"):
            page.keyboard.press("Home")
        elif not radio:
            pair = "Space", "Space"
        page.wait_for_timeout(50)
        for key in pair * (KEYS // 2):
            page.evaluate("() => { window.next = painted(); }")
            page.keyboard.press(key)
            times.append(page.evaluate("next"))
    return np.array(times)


def figures(browser: Browser, site: str) -> None:
    """Print a line a live figure: of each time the median, the 95% quantile and the maximum."""
    print(f"\n{'figure':14}{'handler, ms':>24}{'key to frame, ms':>24}   within 2 frames")
    for name, kind in EXPLORERS.items():
        with browser.new_context(reduced_motion="reduce") as context:
            page = context.new_page()
            page.goto(f"{site}/embed/{name}.html")
            page.wait_for_selector(".explorer.is-live .ie-says:not(:empty)")
            page.locator(".ie-numbers summary").click()
            times = keys(page, kind.described_controls())
        quantiles = np.quantile(times, [0.5, 0.95, 1], axis=0).T.flat
        told = "".join(f"{value:8.1f}" for value in quantiles)
        print(f"{name:14}{told}{np.mean(times[:, 1] <= 2 * 1000 / 60):10.0%}", flush=True)


def main(folder: str) -> None:
    """Print both tables."""
    try:
        with serve.running(serve.make_server(folder, 0)) as site, sync_playwright() as playwright:
            browser = browsers.launch(playwright)
            first_views(browser, Path(folder), site)
            figures(browser, site)
    except browsers.NoBrowserError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main(*sys.argv[1:2])
