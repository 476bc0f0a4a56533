"""What the pages weigh at their first view, how soon they come up, and how fast figures answer.

Usage: ``python benchmarks/site.py [SITE_FOLDER]`` (after ``make book`` and once ``make test-site``,
which find the browser; on an idle machine: other work makes the times longer). Nothing here fails,
it only prints.

First views: the opening page and each chapter are opened wide and on a phone, three times, in a
fresh profile, from this machine, with the processor slowed down four times. The times are the
median of three. The course promises 900 kB, 1.5 s and 0.05 for its chapters.

- kB: the files asked for before any scrolling, compressed as a host sends them;
- whole: the same when the reader has slowly gone through the whole page, with every figure;
- paint: the largest contentful paint, in seconds;
- shift: all layout shifts of the first view added up, the most of the three times; scrolled: at the
  end of the whole page;
- ready: seconds until all formulas are set, and the last file has come.

Live figures: each is on its page of its own, with its numbers unfolded, which is the most that it
has to draw; once at full speed, and once slowed down four times. A frame is one of 60 in a second.
The course promises handlers below 4 ms (95% of them), two frames from key to picture, and at most
150 kB of data.

- handler: from an ``input`` or ``change`` event to the end of all that it does, for every value of
  every control in turn;
- key to frame: from a real key press to the end of the frame that shows what it did.
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

FOLDER = "_build/html"
RUNS = 3
SLOWED = 4
COLUMNS = {"kB": 7, "whole": 7, "requests": 10, "paint": 7, "shift": 7, "scrolled": 10, "ready": 7}
PLACES = {"paint": 2, "shift": 3, "scrolled": 3, "ready": 1}
EVENTS, KEYS = 240, 120  # at least, for each figure
FRAME = 1000 / 60  # milliseconds

SWEEP = """async (events) => {
    const frame = () => new Promise((resolve) => requestAnimationFrame(resolve));
    const moves = [];
    for (const input of document.querySelectorAll(".ie-controls :is(input, select)")) {
        const values = input.type === "range" ? Number(input.max) + 1 : input.options?.length ?? 1;
        for (let value = 0; value < values; value += 1)
            moves.push(() => {
                if (input.type === "range" || input.options) input.value = value;
                else input.checked = input.type === "radio" || !input.checked;
                const kind = input.type === "range" ? "input" : "change";
                const event = new Event(kind, { bubbles: true });
                const begin = performance.now();
                input.dispatchEvent(event);
                return performance.now() - begin;
            });
    }
    const times = [];
    while (times.length < events)
        for (const move of moves) {
            times.push(move());
            await frame(); // as a reader's events come: one a frame
        }
    return times;
}"""

# From the time stamp of the key to a message that is sent in the next frame and comes after it.
WATCH = """() => {
    let pressed = 0;
    const { port1, port2 } = new MessageChannel();
    for (const kind of ["keydown", "keyup"])
        document.addEventListener(kind, (event) => (pressed = event.timeStamp), true);
    for (const kind of ["input", "change"])
        document.addEventListener(kind, (event) => {
            if (event.isTrusted && kind === (event.target.type === "range" ? "input" : "change"))
                requestAnimationFrame(() => port2.postMessage(pressed));
        }, true);
    window.painted = () => new Promise((resolve) => {
        port1.onmessage = ({ data }) => resolve(performance.now() - data);
    });
}"""


def measure(browser: Browser, folder: Path, address: str, screen: str) -> dict[str, float]:
    """Return what three first views of a page came to."""
    views = [weight.look(browser, address, screen, SLOWED, scroll=run == 0) for run in range(RUNS)]
    return {
        "kB": max(weight.transfer(view.files, folder) for view in views) / 1000,
        "whole": weight.transfer(views[0].files + views[0].later, folder) / 1000,
        "requests": max(len(view.files) for view in views),
        "paint": median(view.paint for view in views),
        "shift": max(view.shift for view in views),
        "scrolled": views[0].scrolled,
        "ready": median(view.ready for view in views),
    }


def above(row: dict[str, float]) -> str:
    """Return which limits of a first view are exceeded."""
    limits = {"kB": weight.TRANSFER / 1000, "paint": weight.PAINT, "shift": weight.SHIFT}
    return ", ".join(name for name, limit in limits.items() if row[name] > limit)


def first_views(browser: Browser, folder: Path, site: str) -> None:
    """Print a line a page and screen."""
    pages = ["intro.html", *(f"chapters/{p.name}" for p in sorted(folder.glob("chapters/*.html")))]
    head = "".join(f"{name:>{width}}" for name, width in COLUMNS.items())
    print(f"{'page':34}{'screen':7}{head}  above the limit")
    over = 0
    for page in pages:
        for screen in weight.SCREENS:
            print(f"{page}, {screen} …", file=sys.stderr, flush=True)
            row = measure(browser, folder, f"{site}/{page}", screen)
            over += bool(above(row))
            values = (f"{row[name]:{w}.{PLACES.get(name, 0)}f}" for name, w in COLUMNS.items())
            print(f"{Path(page).stem:34}{screen:7}{''.join(values)}  {above(row)}", flush=True)
    print(
        f"\nLimits: {weight.TRANSFER // 1000} kB, paint {weight.PAINT} s, shift {weight.SHIFT}: "
        f"{over} of {len(pages) * len(weight.SCREENS)} first views are above one of them."
    )


def keys(page: Page, kind: type[Explorer]) -> list[float]:
    """Return the milliseconds from each key press to the end of its frame."""
    page.evaluate(WATCH)
    times: list[float] = []
    while len(times) < KEYS:
        for name, about in kind.described_controls().items():
            if about["kind"] == "radio":
                page.locator(f"input[data-key={name}]:checked").focus()
                presses = ["ArrowDown"] * len(about["values"])  # around
            else:
                page.locator(f".ie-controls [name={name}]").focus()
                presses = ["Space"] * 2
            if about["kind"] in ("range", "list"):
                page.keyboard.press("Home")
                there = len(about["values"]) - 1
                presses = ["ArrowRight"] * there + ["ArrowLeft"] * there
            page.wait_for_timeout(50)
            for key in presses:
                page.evaluate("() => { window.next = painted(); }")
                page.keyboard.press(key)
                times.append(page.evaluate("next"))
    return times


def told(times: list[float]) -> str:
    """Return median, 95% quantile and maximum."""
    return "".join(f"{value:8.1f}" for value in np.quantile(times, [0.5, 0.95, 1.0]))


def figures(browser: Browser, site: str) -> None:
    """Print two lines a live figure."""
    print()
    print("              data  slowed             handler, ms          key to frame, ms    within")
    print("figure          kB    down     p50     p95     max       p50     p95     max  2 frames")
    for name, kind in EXPLORERS.items():
        for slower in (1, SLOWED):
            with browser.new_context(reduced_motion="reduce") as context:
                page = context.new_page()
                page.goto(f"{site}/embed/{name}.html")
                page.wait_for_selector(".explorer.is-live .ie-says:not(:empty)")
                page.locator(".ie-numbers summary").click()
                speed = {"rate": slower}
                context.new_cdp_session(page).send("Emulation.setCPUThrottlingRate", speed)
                handled, painted = page.evaluate(SWEEP, EVENTS), keys(page, kind)
            within = np.mean(np.array(painted) <= 2 * FRAME)
            size = len(kind.stored().encode()) / 1000
            print(f"{name:12}{size:6.1f}{f'{slower}×':>8}{told(handled)}  {told(painted)}"
                  f"{within:10.0%}", flush=True)  # fmt: skip


def main(folder: str = FOLDER) -> None:
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
