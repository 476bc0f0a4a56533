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
