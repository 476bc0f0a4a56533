"""Every page, wide and narrow, light and dark: what a reader, of whatever sight, must not meet.

A page is loaded once, wide and in light colours. It then changes as it does when the system's
setting changes and when the window is made narrow, without a new load: axe-core looks at all rules
on each width, and at the colours alone where nothing else has changed.
"""

import time

import pytest
from checks import (
    COLOUR_RULES,
    Watch,
    accessibility,
    faults_of_images,
    faults_of_maths,
    hidden_edges,
    settle,
    sideways,
    skip_link,
    touched,
    wait_until,
)

WIDE, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
RESIZED = 400  # milliseconds
LOOKS = {
    "wide, light": (WIDE, "light", None),
    "wide, dark": (WIDE, "dark", COLOUR_RULES),
    "phone, dark": (PHONE, "dark", None),
    "phone, light": (PHONE, "light", COLOUR_RULES),
}


def test_page(browser, site, name, record_property):
    with browser.new_context(
        viewport=WIDE, color_scheme="light", reduced_motion="reduce"
    ) as context:
        page = context.new_page()
        watch = Watch(page, site)
        begin = time.perf_counter()
        page.goto(f"{site}/{name}")
        settle(page)
        record_property("seconds", time.perf_counter() - begin)

        faults = []
        # The first Tab of a page that was just opened. What is to be embedded has nothing to skip.
        if not name.startswith("embed/"):
            faults += skip_link(page)
        faults += faults_of_maths(page)
        faults += faults_of_images(page)
        if (headings := page.locator("h1").count()) != 1:
            faults.append(f"{headings} headings of the first level")
        violations = []
        for look, (viewport, colours, rules) in LOOKS.items():
            if viewport != page.viewport_size:
                page.set_viewport_size(viewport)
                # The theme waits that long before it makes focusable what now scrolls.
                page.wait_for_timeout(RESIZED)
            page.emulate_media(color_scheme=colours)
            wait_until(page, "c => document.documentElement.dataset.theme === c", colours)
            settle(page)
            faults += [f"{look}: {fault}" for fault in sideways(page)]
            if not rules:
                faults += [f"{look}: {fault}" for fault in hidden_edges(page)]
            violations += [f"{look}: {violation}" for violation in accessibility(page, rules)]
        faults += violations + watch.faults
        record_property("elsewhere", len(watch.elsewhere))
        record_property("violations", len(violations))
        record_property("page", name)
        assert not faults, "\n".join(faults)


@pytest.mark.parametrize("first", ["intro.html", "chapters/03_small_random_weights.html"])
def test_a_phone_may_come_first(browser, site, first):
    """By touch, in the dark: nothing but the width and the colours is as it was."""
    with browser.new_context(viewport=PHONE, has_touch=True, color_scheme="dark") as context:
        page = context.new_page()
        watch = Watch(page, site)
        page.goto(f"{site}/{first}")
        settle(page)
        faults = skip_link(page) + faults_of_maths(page) + faults_of_images(page) + sideways(page)
        assert faults + watch.faults == []


# --- what shows late --------------------------------------------------------------------------

CHAPTER, MODULE = "chapters/03_small_random_weights.html", "pages/api/tables.html"


def scroll_up(page):
    """The button "Back to top", which shows as the reader turns back."""
    page.mouse.wheel(0, 3000)
    wait_until(page, "() => scrollY > 1000")
    page.mouse.wheel(0, -300)
    return page.locator("#pst-back-to-top")


def open_menu(page):
    page.locator("button.primary-toggle").click()
    return page.locator("#pst-primary-sidebar-modal").get_by_role("link", name="Glossary")


def open_contents(page):
    page.locator("button.secondary-toggle").click()
    return page.locator("#pst-secondary-sidebar-modal a").first


def ask(page):
    page.keyboard.press("Control+k")
    page.keyboard.type("spread")
    return page.locator("#pst-search-dialog input")


def open_downloads(page):
    page.locator(".dropdown-download-buttons > button").click()
    return page.locator(".dropdown-menu.show button, .dropdown-menu.show a").first


def copy_code(page):
    """The button's check mark, which otherwise goes again."""
    page.evaluate("{ const set = setTimeout; setTimeout = (f, ms) => ms < 1000 && set(f, ms); }")
    page.locator("div.highlight").first.hover()
    page.locator(".copybtn").first.click()
    return page.locator(".copybtn.success").first


def come_to_a_button(page):
    page.locator("button.primary-toggle").focus()
    return page.locator(".tooltip.show")


def find(page):
    return page.locator("#search-results .highlighted").first


def follow_a_result(page):
    page.locator("#search-results a[href*=glossary]").first.click()
    page.wait_for_url("**/glossary.html*")
    settle(page)
    return page.locator("article a .highlighted").first


def unfold(page):
    """All that is folded, with the live figure and its numbers."""
    page.locator(".explorer").scroll_into_view_if_needed()
    page.locator(".ie-says:not(:empty)").wait_for()
    page.evaluate("document.querySelectorAll('details').forEach((one) => (one.open = true))")
    page.locator(".ie-numbers td").first.wait_for()
    return page.locator("article details pre").first


def ask_in_vain(page):
    return page.get_by_text("The address asks for sd=7")


def lose_a_figure(page):
    page.route("**/_static/explorers/*.json", lambda route: route.fulfill(status=404))
    page.reload()
    return page.locator(".explorer-note", has_text="could not be loaded")


LATE = {
    "back to top": (PHONE, MODULE, scroll_up),
    "menu": (PHONE, MODULE, open_menu),
    "contents": (PHONE, MODULE, open_contents),
    "results on a phone": (PHONE, "search.html?q=spread", find),
    "search": (WIDE, MODULE, ask),
    "downloads": (WIDE, MODULE, open_downloads),
    "copied": (WIDE, MODULE, copy_code),
    "tooltip": (WIDE, MODULE, come_to_a_button),
    "results": (WIDE, "search.html?q=spread", find),
    "words found": (WIDE, "search.html?q=spread", follow_a_result),
    "unfolded": (WIDE, CHAPTER, unfold),
    "opening page": (WIDE, "intro.html", lambda page: page.locator(".ie-says:not(:empty)")),
    "wrong address": (WIDE, "embed/scale.html?sd=7", ask_in_vain),
    "lost figure": (WIDE, "embed/scale.html", lose_a_figure),
}


@pytest.mark.parametrize(("viewport", "address", "reach"), LATE.values(), ids=LATE)
def test_what_shows_late(browser, site, viewport, address, reach):
    """A state that a page comes to as it is used; then with the pointer and the focus on all."""
    options = {"viewport": viewport, "color_scheme": "light", "reduced_motion": "reduce"}
    with browser.new_context(**options) as context:
        page = context.new_page()
        page.goto(f"{site}/{address}")
        settle(page)
        late = reach(page)
        late.wait_for()
        faults = []
        for colours, rules in ("light", None), ("dark", COLOUR_RULES):
            page.emulate_media(color_scheme=colours)
            wait_until(page, "c => document.documentElement.dataset.theme === c", colours)
            settle(page)
            faults += [f"{colours}: {fault}" for fault in accessibility(page, rules)]
            with touched(page):
                found = accessibility(page, COLOUR_RULES)
            faults += [f"{colours}, touched: {fault}" for fault in found]
            assert late.is_visible(), colours
        assert not faults, "\n".join(faults)
