"""How fast the live figures answer, and how large their data are, in Chromium.

Usage: ``python benchmarks/explorers.py [SITE_FOLDER]`` (after ``make book`` and once ``make
test-site``, which find the browser; on an idle machine). Each figure is on its page of its own,
with its numbers unfolded, which is the most that it has to draw; once at full speed, and once with
the processor slowed down four times. A frame is one of 60 in a second.

- handler: from an ``input`` or ``change`` event to the end of all that it does, for every value of
  every control in turn;
- key to frame: from a real key press to the end of the frame that shows what it did.

The course promises handlers below 4 ms (95% of them), two frames from key to picture, and at most
150 kB of data. Nothing here fails, it only prints.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from playwright.sync_api import Page, sync_playwright

from initcore.explorers import EXPLORERS, Explorer

ROOT = Path(__file__).resolve().parents[1]
sys.path.append(str(ROOT / "tests" / "site"))

import browser  # noqa: E402

from website.tools import serve  # noqa: E402

EVENTS, KEYS = 240, 120  # at least, for each figure
SLOWER = (1, 4)
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


def handlers(page: Page) -> list[float]:
    """Return the milliseconds of each event's handler."""
    return page.evaluate(SWEEP, EVENTS)


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


def main(folder: str = "_build/html") -> None:
    """Print two lines a figure."""
    if not (ROOT / folder / "embed").is_dir():
        sys.exit(f"There is no site with live figures in {folder}: run `make book` first")
    print("              data  slowed             handler, ms          key to frame, ms    within")
    print("figure          kB    down     p50     p95     max       p50     p95     max  2 frames")
    with (
        serve.running(serve.make_server(str(ROOT / folder), 0)) as site,
        sync_playwright() as playwright,
    ):
        started = browser.launch(playwright)
        for name, kind in EXPLORERS.items():
            for slower in SLOWER:
                with started.new_context(reduced_motion="reduce") as context:
                    page = context.new_page()
                    page.goto(f"{site}/embed/{name}.html")
                    page.wait_for_selector(".explorer.is-live .ie-says:not(:empty)")
                    page.locator(".ie-numbers summary").click()
                    speed = {"rate": slower}
                    context.new_cdp_session(page).send("Emulation.setCPUThrottlingRate", speed)
                    handled, painted = handlers(page), keys(page, kind)
                within = np.mean(np.array(painted) <= 2 * FRAME)
                size = len(kind.stored().encode()) / 1000
                print(f"{name:12}{size:6.1f}{f'{slower}×':>8}{told(handled)}  {told(painted)}"
                      f"{within:10.0%}", flush=True)  # fmt: skip
        started.close()


if __name__ == "__main__":
    main(*sys.argv[1:2])
