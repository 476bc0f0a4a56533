"""How soon the built site's pages come up, what they weigh then, and how fast figures answer.

Usage: ``python benchmarks/site.py [SITE_FOLDER]`` (after ``make book`` and once ``make test-site``,
on an idle machine). Nothing here fails, it only prints; tests/site/test_weight.py holds the limits
that do not hang on time.

First views: the opening page and each chapter, wide and on a phone, in a fresh profile, with the
processor slowed down four times; of three views the median, or the most. kB are those of the files
asked for before any scrolling, compressed as a host sends them, paint is the largest contentful
one, shift all layout shifts added up, ready when all formulas are set and the last file has come.

Live figures: each on its page of its own, with its numbers unfolded, which is the most that it has
to draw, moved by keys; once at full speed, and once slowed down. handler is from an ``input`` or
``change`` event to the end of all that it does, key to frame from the key press to the end of the
frame that shows it. The course promises 4 ms (95% of the handlers), and two frames (of 1/60 s).
"""

from __future__ import annotations

import sys
from pathlib import Path
from statistics import median

import numpy as np
from playwright.sync_api import Browser, Page, sync_playwright

from initcore.explorers import EXPLORERS, Explorer

ROOT = Path(__file__).resolve().parents[1]
sys.path.append(str(ROOT / "tests" / "site"))

import browser as browsers  # noqa: E402
import weight  # noqa: E402

from website.tools import serve  # noqa: E402

RUNS, SLOWED = 3, 4
KEYS = 120  # at least, for each figure

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
    limits = {"kB": weight.TRANSFER / 1000, "paint": weight.PAINT, "shift": weight.SHIFT}
    told = ", ".join(f"{name} {limit:g}" for name, limit in limits.items())
    print(f"{'page':34}{'screen':7}     kB  paint  shift  ready  above a limit ({told})")
    for path in [folder / "intro.html", *sorted(folder.glob("chapters/*.html"))]:
        address = f"{site}/{path.relative_to(folder).as_posix()}"
        for screen in weight.SCREENS:
            views = [weight.look(browser, address, screen, SLOWED) for _ in range(RUNS)]
            found = {
                "kB": max(weight.transfer(view.files, folder) for view in views) / 1000,
                "paint": median(view.paint for view in views),
                "shift": max(view.shift for view in views),
            }
            above = ", ".join(name for name, limit in limits.items() if found[name] > limit)
            ready = median(view.ready for view in views)
            print(f"{path.stem:34}{screen:7}{found['kB']:7.0f}{found['paint']:7.2f}"
                  f"{found['shift']:7.3f}{ready:7.1f}  {above}", flush=True)  # fmt: skip


def keys(page: Page, kind: type[Explorer]) -> np.ndarray:
    """Return the milliseconds of the handlers, and from key to frame, for each key press."""
    page.evaluate(WATCH)
    times: list[list[float]] = []
    while len(times) < KEYS:
        for name, about in kind.described_controls().items():
            radio = about["kind"] == "radio"
            control = f"[data-key={name}]:checked" if radio else f"[name={name}]"
            page.locator(f".ie-controls {control}").focus()
            presses = ["ArrowDown"] * len(about["values"]) if radio else ["Space"] * 2  # around
            if about["kind"] in ("range", "list"):
                page.keyboard.press("Home")
                there = len(about["values"]) - 1
                presses = ["ArrowRight"] * there + ["ArrowLeft"] * there
            page.wait_for_timeout(50)
            for key in presses:
                page.evaluate("() => { window.next = painted(); }")
                page.keyboard.press(key)
                times.append(page.evaluate("next"))
    return np.array(times)


def figures(browser: Browser, site: str) -> None:
    """Print two lines a live figure: of each time the median, the 95% quantile and the maximum."""
    print("\n           slowed             handler, ms          key to frame, ms    within")
    print("figure       down     p50     p95     max       p50     p95     max  2 frames")
    for name, kind in EXPLORERS.items():
        for slower in (1, SLOWED):
            with browser.new_context(reduced_motion="reduce") as context:
                page = context.new_page()
                page.goto(f"{site}/embed/{name}.html")
                page.wait_for_selector(".explorer.is-live .ie-says:not(:empty)")
                page.locator(".ie-numbers summary").click()
                speed = {"rate": slower}
                context.new_cdp_session(page).send("Emulation.setCPUThrottlingRate", speed)
                times = keys(page, kind)
            told = [
                "".join(f"{value:8.1f}" for value in np.quantile(column, [0.5, 0.95, 1.0]))
                for column in times.T
            ]
            within = np.mean(times[:, 1] <= 2 * 1000 / 60)
            print(f"{name:11}{slower:5}×{'  '.join(told)}{within:10.0%}", flush=True)


def main(folder: str = "_build/html") -> None:
    """Print both tables."""
    if not (ROOT / folder / "embed").is_dir():
        sys.exit(f"There is no site in {folder}: run `make book` first")
    server = serve.make_server(str(ROOT / folder), 0)
    try:
        with serve.running(server) as site, sync_playwright() as playwright:
            browser = browsers.launch(playwright)
            first_views(browser, ROOT / folder, site)
            figures(browser, site)
            browser.close()
    except browsers.NoBrowserError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main(*sys.argv[1:2])
