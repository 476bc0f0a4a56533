"""Every page, wide and narrow, light and dark: what a reader, of whatever sight, must not meet.

A page is loaded twice: wide, in light colours, and on a phone, in dark ones. Each then changes to
the other colours without a new load, as it does when the system's setting changes; axe-core then
looks at the colours only, as nothing else has changed.
"""

import time

import pytest
from checks import (
    COLOUR_RULES,
    Watch,
    accessibility,
    faults_of_images,
    faults_of_maths,
    settle,
    sideways,
    skip_link,
    wait_until,
)

SCREENS = {
    "wide": {"viewport": {"width": 1280, "height": 900}},
    "phone": {"viewport": {"width": 390, "height": 844}, "has_touch": True},
}
COLOURS = {"wide": ["light", "dark"], "phone": ["dark", "light"]}


@pytest.mark.parametrize("screen", SCREENS)
def test_page(browser, site, name, screen, record_property):
    first, second = COLOURS[screen]
    options = {"color_scheme": first, "reduced_motion": "reduce", **SCREENS[screen]}
    with browser.new_context(**options) as context:
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
        for colours, rules in ((first, None), (second, COLOUR_RULES)):
            page.emulate_media(color_scheme=colours)
            wait_until(page, "c => document.documentElement.dataset.theme === c", colours)
            settle(page)
            faults += [f"{colours}: {fault}" for fault in sideways(page)]
            violations += [f"{colours}: {violation}" for violation in accessibility(page, rules)]
        faults += violations + watch.faults
        record_property("elsewhere", len(watch.elsewhere))
        record_property("violations", len(violations))
        record_property("page", name)
        assert not faults, "\n".join(faults)
