"""The live figures in a browser: they show what Python computed, by every kind of control."""

import json
import re

import pytest
from checks import wait_until

from initcore.explorers import EXPLORERS

kinds = pytest.mark.parametrize("kind", EXPLORERS.values(), ids=EXPLORERS)


@pytest.fixture
def page(browser):
    """A page in a context of its own."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    context.set_default_timeout(20_000)
    yield context.new_page()
    context.close()


def open_figure(page, site, kind, **state):
    """Open the page of a figure in a state that the address names, with its numbers unfolded."""
    query = "&".join(f"{name}={json.dumps(value).strip(chr(34))}" for name, value in state.items())
    page.goto(f"{site}/embed/{kind.NAME}.html?{query}")
    page.wait_for_selector(".explorer.is-live .ie-says:not(:empty)")
    page.locator(".ie-numbers summary").click()
    page.wait_for_selector(".ie-numbers td")


def table(page):
    """Return the head and the rows of the numbers on the page."""
    read = "rows => rows.map(row => [...row.cells].map(cell => cell.textContent))"
    head, *rows = page.locator(".ie-numbers tr").evaluate_all(read)
    return head, rows


def value(text):
    """Return the number in a cell; what is no number stays text, and a dash is nothing."""
    text = str(text).replace("−", "-").strip()
    if text in ("–", "-", "None", "nan"):
        return None
    try:
        return float(text)
    except ValueError:
        return text


def assert_shows(page, figure):
    """Compare the table on the page with the one that Python reads, to three digits."""
    head, rows = table(page)
    reading = figure.reading()
    assert head == list(reading.columns), figure
    expected = list(zip(*(reading[name].tolist() for name in reading.columns)))
    assert len(rows) == len(expected), figure
    for row, wanted in zip(rows, expected):
        for shown, right in zip(map(value, row), map(value, wanted)):
            if isinstance(right, float):
                assert shown == pytest.approx(right, rel=0.006, abs=1e-12), (figure, row, wanted)
            else:
                assert shown == right, (figure, row, wanted)


def extremes(kind):
    """Yield the state at first, and for each control the one at its other end."""
    known = kind.traits_with_controls()
    yield {}
    for name, about in known.items():
        yield {name: about["values"][0 if about["start"] != about["values"][0] else -1]}


@kinds
def test_the_page_shows_what_python_computed(site, page, kind):
    for state in extremes(kind):
        open_figure(page, site, kind, **state)
        assert_shows(page, kind(**state))


@kinds
def test_keys_move_every_control(site, page, kind):
    open_figure(page, site, kind)
    state = kind().state
    for name, about in kind.traits_with_controls().items():
        place = about["values"].index(state[name])
        forward = place + 1 < len(about["values"])
        if about["kind"] == "check":
            page.locator(f"input[name={name}]").focus()
            page.keyboard.press("Space")
            state[name] = not state[name]
        else:
            selector = {"radio": f"input[data-key={name}]:checked", "list": f"select[name={name}]"}
            page.locator(selector.get(about["kind"], f"input[name={name}]")).focus()
            onward = {"range": "ArrowRight"}.get(about["kind"], "ArrowDown")
            back = {"range": "ArrowLeft"}.get(about["kind"], "ArrowUp")
            page.keyboard.press(onward if forward else back)
            state[name] = about["values"][place + (1 if forward else -1)]
        assert_shows(page, kind(**state))
    page.get_by_role("button", name="Reset").click()
    assert_shows(page, kind())


@kinds
def test_a_slider_says_its_value_and_follows_the_pointer(site, page, kind):
    sliders = {n: a for n, a in kind.traits_with_controls().items() if a["kind"] == "range"}
    open_figure(page, site, kind)
    for name, about in sliders.items():
        slider = page.locator(f"input[name={name}]")
        box = slider.bounding_box()
        page.mouse.click(box["x"] + box["width"] - 3, box["y"] + box["height"] / 2)
        assert slider.get_attribute("aria-valuetext") == about["texts"][-1]
        assert_shows(page, kind(**{n: a["values"][-1] if n == name else a["start"]
                                   for n, a in kind.traits_with_controls().items()}))  # fmt: skip
        page.get_by_role("button", name="Reset").click()


def test_the_marks_stand_where_python_says(site, page):
    """Read the markers of the scale dial back through its axes."""
    kind = EXPLORERS["scale"]
    open_figure(page, site, kind, sd=0.5)
    svg = page.locator("figure svg[role=img]").first
    (low, high), log = json.loads(svg.get_attribute("data-y"))
    path = svg.locator("path[data-series=pooled]").get_attribute("d")
    heights = [float(y) for y in re.findall(r"M[-\d.]+ ([-\d.]+)a4", path)]
    reading = kind(sd=0.5).reading()["pooled spread"].astype(float)
    assert log and len(heights) == len(reading) == 5
    top, bottom = 8, 250 - 40  # the margins in kit.js
    for height, expected in zip(heights, reading):
        shown = low * (high / low) ** ((bottom - height) / (bottom - top))
        assert shown == pytest.approx(expected, rel=0.05)


def test_a_wrong_address_is_told_and_shows_the_start(site, page):
    page.goto(f"{site}/embed/scale.html?sd=7")
    page.wait_for_selector(".explorer.is-live .ie-says:not(:empty)")
    told = page.locator(".explorer-live > p").first.text_content()
    assert "sd=7" in told and "0.01" in told
    page.locator(".ie-numbers summary").click()
    assert_shows(page, EXPLORERS["scale"]())


def test_a_view_is_shared_by_its_address(site, page):
    open_figure(page, site, EXPLORERS["scale"], activation="sigmoid", sd=3)
    page.get_by_role("button", name="Copy a link").click()
    wait_until(page, "() => location.search.includes('activation=sigmoid')")
    assert "sd=3" in page.url and page.url.endswith("#explorer-scale")
