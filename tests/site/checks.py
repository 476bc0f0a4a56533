"""What is asked of a page that is open in a browser. A check returns findings, a line each."""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
from PIL import Image
from playwright.sync_api import ConsoleMessage, Locator, Page, Request, Response, expect

AXE = Path(__file__).resolve().parent / "node_modules" / "axe-core" / "axe.min.js"
WCAG = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
# The rules that look at colours, which are all that changes between light and dark.
COLOUR_RULES = ["color-contrast", "link-in-text-block"]
SCROLLING = "article :is(pre, .pst-scrollable-table-container, mjx-container[display='true'])"
LEAST_CONTRAST = 1.4  # of a shadow
SHORTEST_ALT = 15  # letters: what a figure shows cannot be said in fewer


class Watch:
    """What a page says in the console and asks of the network, from now on, its workers included.

    Attributes
    ----------
    faults : list of str
        Errors and warnings in the console, failed requests, and the requests elsewhere.
    elsewhere : list of str
        The addresses of requests to another host than the site's.
    """

    def __init__(self, page: Page, site: str) -> None:
        self.faults: list[str] = []
        self.elsewhere: list[str] = []
        self._host = urlsplit(site).netloc
        context = page.context  # which hears of service workers, too
        context.on("console", self._console)
        context.on("weberror", lambda error: self.faults.append(f"error: {error.error}"))
        context.on("request", self._request)
        context.on("requestfailed", self._failed)
        context.on("response", self._response)

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.faults.append(f"console, {message.type}: {message.text}")

    def _request(self, request: Request) -> None:
        address = urlsplit(request.url)
        if address.scheme not in ("data", "blob") and address.netloc != self._host:
            self.elsewhere.append(request.url)
            self.faults.append(f"asks another host: {request.url}")

    def _failed(self, request: Request) -> None:
        # the icon of a page that was left before it came is given up, and that is no fault
        is_icon = request.resource_type == "other" and request.url.endswith((".svg", ".ico"))
        if not (is_icon and request.failure == "net::ERR_ABORTED"):
            self.faults.append(f"failed: {request.url}")

    def _response(self, response: Response) -> None:
        if response.status >= 400:
            self.faults.append(f"status {response.status}: {response.url}")


def wait_until(page: Page, script: str, arg: object = None, seconds: float = 20) -> None:
    """Wait until a function in the page returns something true.

    Playwright's own `wait_for_function` evaluates a text in the page, which the site's policy
    forbids; what is asked from outside, as here, is not under it.
    """
    end = time.monotonic() + seconds
    while not page.evaluate(script, arg):
        if time.monotonic() > end:
            raise AssertionError(f"still not true after {seconds} s, on {page.url}: {script}")
        page.wait_for_timeout(50)


def settle(page: Page) -> None:
    """Wait until formulas are set, pictures are there, and nothing moves."""
    page.evaluate(
        """async () => {
            await window.MathJax?.startup?.promise;
            for (const image of document.images) image.loading = "eager";
            await Promise.all([...document.images].map((image) => image.decode().catch(() => {})));
            await document.fonts.ready;
            // `finished` does not come for a transition of what the paper does not show
            const moves = (one) => one.playState === "running"
                && one.effect.getComputedTiming().endTime !== Infinity;
            while (document.getAnimations().some(moves))
                await new Promise((resolve) => setTimeout(resolve, 20));
        }"""
    )


def sideways(page: Page) -> list[str]:
    """Return what makes the page wider than its window."""
    return page.evaluate(
        """() => {
            const root = document.documentElement;
            const wide = root.clientWidth;
            window.scrollTo(100, window.scrollY);
            const moved = window.scrollX;
            window.scrollTo(0, window.scrollY);
            if (root.scrollWidth <= wide && !moved) return [];
            const named = (element) => `${element.tagName.toLowerCase()}.${element.className}`;
            const out = [...document.body.querySelectorAll("*")]
                .filter((element) => element.getBoundingClientRect().right > wide + 1)
                .slice(0, 3).map(named);
            return [`scrolls sideways (${root.scrollWidth} > ${wide}): ${out}`];
        }"""
    )


def hidden_edges(page: Page) -> list[str]:
    """Return what is cut off at the right, and no shadow shows it, or no key can scroll to it.

    The shadow is looked for where of each kind, text, table or formula, least and most is cut off.
    """
    faults = []
    cut: dict[str, list[tuple[int, int]]] = {}
    boxes = page.locator(SCROLLING)
    seen = boxes.evaluate_all(
        """boxes => boxes.map((box) => {
            const beyond = box.scrollWidth - box.clientWidth;
            const room = parseFloat(getComputedStyle(box).paddingRight); // it may be cut off
            return [box.tagName, beyond - room, box.tabIndex, box.textContent];
        })"""
    )
    for number, (kind, pixels, stop, text) in enumerate(seen):
        if pixels > 1:
            cut.setdefault(kind, []).append((pixels, number))
            if stop != 0:
                faults.append(f"not reached by keyboard: {text[:60]!r}")
    for number in {number for found in cut.values() for _, number in (min(found), max(found))}:
        box = boxes.nth(number)
        for at, shows in (("0", True), ("box.scrollWidth", False)):
            box.evaluate(f"box => {{ box.scrollLeft = {at} }}")
            if shadow_at_the_right(box) != shows:
                faults.append(f"scrolled to {at}, shadow {not shows}: {box.text_content()[:60]!r}")
    # As it was: a reader at the top is offered no way back to it.
    page.evaluate(
        """async () => {
            scrollTo({ top: 0, behavior: "instant" });
            for (const _ of [1, 2]) await new Promise(requestAnimationFrame);
        }"""
    )
    return faults


def shadow_at_the_right(box: Locator) -> bool:
    """Tell whether the right edge of a box has another colour than most of it."""
    with Image.open(io.BytesIO(box.screenshot())) as picture:
        grey = np.asarray(picture.convert("L")) / 255
    edge = box.evaluate("box => box.clientLeft + box.clientWidth") - 2
    light, dark = sorted([np.median(grey), np.median(grey[:, edge])], reverse=True)
    return (light**2.2 + 0.05) / (dark**2.2 + 0.05) > LEAST_CONTRAST


def faults_of_paper(page: Page) -> list[str]:
    """Return what is wider than its place on paper, has a scroll bar, or leaves a page empty."""
    return page.evaluate(
        """(scrolling) => {
            const faults = [];
            for (const box of document.querySelectorAll(`${scrolling}, article table, mjx-math`)) {
                if (!box.checkVisibility() || box.closest(".explorer-live")) continue;
                const say = (fault) => faults.push(`${fault}: ${box.textContent.slice(0, 60)}`);
                const place = box.closest("section").getBoundingClientRect();
                if (box.getBoundingClientRect().right > place.right + 1) say("beyond the text");
                if (box.scrollWidth > box.clientWidth + 1 && box.matches("pre"))
                    say(`${box.scrollWidth} px in a box of ${box.clientWidth}`);
                if (box.matches(scrolling) && getComputedStyle(box).overflowX !== "visible")
                    say("it scrolls");
                // What is not broken between pages leaves one of them empty, with its frame around.
                // Only a short text itself may go to the next page as a whole.
                if (!box.matches("pre")) continue;
                const isShort = box.textContent.trim().split("\\n").length <= 12;
                for (let part = isShort ? box.parentElement : box; part; part = part.parentElement)
                    if (getComputedStyle(part).breakInside !== "auto") say("kept on one page");
            }
            return faults;
        }""",
        SCROLLING,
    )


def faults_of_maths(page: Page) -> list[str]:
    """Return the formulas that are not rendered."""
    return page.evaluate(
        r"""() => {
            const faults = [];
            for (const error of document.querySelectorAll("mjx-merror"))
                faults.push(`formula with an error: ${error.textContent}`);
            for (const math of document.querySelectorAll(".math"))
                if (!math.querySelector("mjx-container"))
                    faults.push(`formula not set: ${math.textContent.slice(0, 60)}`);
            const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
            while (texts.nextNode()) {
                const { data, parentElement } = texts.currentNode;
                if (/\\[([]|\$\$|\\begin\{/.test(data)
                        && !parentElement.closest("pre, code, script, style, mjx-container"))
                    faults.push(`raw TeX: ${data.trim().slice(0, 60)}`);
            }
            return faults;
        }"""
    )


def faults_of_images(page: Page) -> list[str]:
    """Return the pictures that are broken, move the text as they come, or say nothing."""
    return page.evaluate(
        r"""(shortest) => {
            const faults = [];
            for (const image of document.images) {
                const name = image.getAttribute("src").slice(0, 80);
                const say = (fault) => faults.push(`picture ${name}: ${fault}`);
                const alt = image.getAttribute("alt");
                // Only the theme has pictures that are mere decoration.
                if (alt === null) say("no alt");
                else if (alt === "" ? image.closest("article") : alt.trim().length < shortest
                         || /_images\/|\.(png|svg|jpe?g|webp|gif)$/i.test(alt))
                    say(`no real alt text: "${alt}"`);
                for (const side of ["width", "height"])
                    if (!(Number(image.getAttribute(side)) > 0)) say(`no ${side}`);
                if (!image.naturalWidth) say("does not load");
            }
            return faults;
        }""",
        SHORTEST_ALT,
    )


def skip_link(page: Page) -> list[str]:
    """Return what is wrong with the link to the content, the first that Tab reaches."""
    page.keyboard.press("Tab")
    text = page.evaluate("document.activeElement.textContent.trim()")
    if text != "Skip to main content":
        return [f"the first Tab leads to {text!r}, not to the skip link"]
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    inside = page.evaluate(
        """() => document.activeElement.closest("main") !== null
            || document.activeElement === document.body"""
    )
    return [] if inside else ["after the skip link, Tab is not in the content"]


# In a chapter's code and outputs thousands of words have the colours of a few classes: the first
# visible word of each class, in each kind of box, stays for axe-core to look at; the others become
# plain text.
ONE_OF_A_CLASS = """() => {
    const find = () => [...document.querySelectorAll("pre span[class]:not(:has(*))")]
        .filter((word) => word.checkVisibility());
    const classes = (words) => [...new Set(words.map((word) => word.className))].sort();
    const words = find(), seen = new Set();
    for (const word of words) {
        const box = word.closest(".cell_input, .cell_output, .admonition, details")?.className;
        const language = word.closest("[class*=highlight-]")?.className;
        const key = [word.className, box, language].join(" in ");
        if (seen.has(key)) word.replaceWith(word.textContent);
        seen.add(key);
    }
    return [classes(words), classes(find())];
}"""


def accessibility(page: Page, rules: list[str] | None = None) -> list[str]:
    """Return what axe-core finds: violations of WCAG 2.2, level AA, or of these rules alone."""
    if not page.evaluate("typeof axe === 'object'"):
        page.evaluate(AXE.read_text(encoding="utf-8"))
        before, after = page.evaluate(ONE_OF_A_CLASS)
        assert before == after, "a class of code that a reader sees is hidden from axe-core"
    only = {"type": "rule", "values": rules} if rules else {"type": "tag", "values": WCAG}
    # It does not judge what stands on a shadow, as all does in a box that may scroll.
    no_shadows = page.add_style_tag(content=f"{SCROLLING} {{ background-image: none !important }}")
    result = page.evaluate(
        """(runOnly) => axe.run(document, {runOnly, resultTypes: ["violations"]})""", only
    )
    no_shadows.evaluate("style => style.remove()")
    return [
        f"axe: {violation['id']}: {violation['help']}: {node['target'][0]}: "
        f"{' '.join(node['failureSummary'].split()[:40])}"
        for violation in result["violations"]
        for node in violation["nodes"]
    ]


# What may look otherwise under the pointer or with the focus, and what shows something then: one of
# each kind is marked. And how those look.
ONE_OF_A_KIND = """() => {
    const all = "a, button, summary, label, input, select, [tabindex], h1, h2, h3, dt, .highlight";
    const around = "table, aside, dialog, nav, header, footer, article, details, .admonition";
    const seen = new Set();
    for (const one of document.querySelectorAll(all)) {
        const boxes = [one, one.parentElement, one.parentElement.closest(around)];
        const key = boxes.map((box) => [box?.tagName, box?.className].join()).join(" in ");
        if (one.checkVisibility() && !seen.has(key)) one.dataset.kind = seen.size;
        if (one.checkVisibility()) seen.add(key);
    }
}"""
KINDS = "[data-kind]"
LOOKS_OF_KINDS = """all => all.map((one) => {
    const look = getComputedStyle(one);
    return [look.color, look.backgroundColor, look.textDecoration, look.outline, look.boxShadow];
})"""


@contextmanager
def touched(page: Page) -> Iterator[None]:
    """Show one of each kind of things as if the pointer were on it and it had the focus.

    The browser's inspector forces the state: a pointer can be in one place only.
    """
    page.evaluate(ONE_OF_A_KIND)
    kinds = page.locator(KINDS)
    before = kinds.evaluate_all(LOOKS_OF_KINDS)
    inspector = page.context.new_cdp_session(page)
    for domain in ("DOM", "CSS"):
        inspector.send(f"{domain}.enable")
    root = inspector.send("DOM.getDocument")["root"]["nodeId"]
    found = inspector.send("DOM.querySelectorAll", {"nodeId": root, "selector": KINDS})
    forced = {"forcedPseudoClasses": ["hover", "focus", "focus-visible"]}
    for node in found["nodeIds"]:
        inspector.send("CSS.forcePseudoState", {"nodeId": node, **forced})
    settle(page)
    after = kinds.evaluate_all(LOOKS_OF_KINDS)
    changed = sum(old != new for old, new in zip(before, after, strict=True))
    assert changed > len(before) / 2, f"{changed} of {len(before)} look otherwise"
    yield
    inspector.detach()


def move_controls(panel: Locator) -> None:
    """Move each control of a panel as a reader would: what it shows follows, and is no error.

    A move may lead to the same answer, as from one seed of zeros to the next; most do not.
    """
    said = panel.locator("pre").last
    changes = []

    def follow(move: Callable[[], None], state: Callable[[], object] | None = None) -> None:
        """Make a move, unless the control is there already, and wait for the answer."""
        before, stood = said.text_content(), state and state()
        move()
        if state is None or state() != stood:
            try:
                expect(said).not_to_have_text(before, timeout=5_000)
            except AssertionError:
                changes.append(False)
            else:
                expect(panel.get_by_text("Computing")).to_have_count(0, timeout=60_000)
                changes.append(True)

    for handle in panel.locator(".noUi-handle").all():
        handle.scroll_into_view_if_needed()
        handle.focus()
        for key in ("Home", "End"):
            follow(partial(handle.press, key), partial(handle.get_attribute, "aria-valuenow"))
    for one in panel.locator("select").all():
        for number in (1, 0):
            follow(partial(one.select_option, index=number), one.input_value)
    for button in panel.get_by_role("button", name="New draw").all():
        follow(button.click)
    assert changes and np.mean(changes) > 1 / 2, f"what each move changes: {changes}"
    assert not panel.get_by_role("alert").count(), said.text_content()
