"""The site is light. Bytes and layout are the same everywhere; seconds are not tested."""

import re
from html.parser import HTMLParser
from pathlib import PurePosixPath

import pytest
import weight
from checks import settle
from conftest import page_names, site_folder
from fontTools.ttLib import TTFont
from PIL import Image

FONTS = "_static/vendor/fontawesome/webfonts"


@pytest.mark.parametrize("screen", weight.SCREENS)
def test_a_chapter_is_light_and_steady(browser, site, pytestconfig, chapter, screen):
    """With all that it ever loads: a first view alone need not reach the live figure."""
    view = weight.look(browser, f"{site}/{chapter}", screen, scroll=True)
    files = view.files + view.later
    for part in (r"mathjax/.*\.woff$", r"^_images/.*\.webp$", r"explorers/\w{16}\.json$"):
        assert any(re.search(part, file.name) for file in files), f"{part} was not loaded"
    assert weight.transfer(files, site_folder(pytestconfig)) < weight.TRANSFER, files
    assert view.scrolled <= weight.SHIFT, view.shifts


@pytest.mark.parametrize("screen", weight.SCREENS)
def test_the_opening_page_is_light_and_steady(browser, site, pytestconfig, screen):
    view = weight.look(browser, f"{site}/intro.html", screen, scroll=True)
    files = view.files + view.later
    assert weight.transfer(files, site_folder(pytestconfig)) < weight.TRANSFER, files
    assert view.scrolled <= weight.SHIFT, view.shifts


class Elements(HTMLParser):
    """The elements of a page: name and attributes of each."""

    def __init__(self, text):
        super().__init__()
        self.found = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, {name: value or "" for name, value in attributes}))


@pytest.fixture(scope="module")
def pages(pytestconfig):
    """The elements of all pages."""
    folder = site_folder(pytestconfig)
    names = page_names(pytestconfig)
    return {name: Elements((folder / name).read_text("utf-8")).found for name in names}


def test_pictures_are_compressed_and_have_a_size(pytestconfig, pages):
    folder = site_folder(pytestconfig)
    faults, seen = [], set()
    for name, elements in pages.items():
        for source in (values for tag, values in elements if tag == "img"):
            path = (folder / PurePosixPath(name).parent / source["src"]).resolve()
            seen.add(path.suffix)
            if not all(source.get(side, "").isdecimal() for side in ("width", "height")):
                faults.append(f"{name}: {path.name} has no width or height")
            if path.suffix != ".svg":
                with Image.open(path) as image:
                    if image.format not in ("PNG", "WEBP"):
                        faults.append(f"{name}: {path.name} is {image.format}")
    assert faults == []
    assert {".svg", ".webp"} <= seen


def test_later_pictures_wait_for_the_reader(pages, chapter):
    figures = [
        values for tag, values in pages[chapter] if tag == "img" and "_images/" in values["src"]
    ]
    assert [figure.get("loading") for figure in figures] == [None] + ["lazy"] * (len(figures) - 1)


def test_the_data_of_a_live_figure(pytestconfig, pages):
    folder = site_folder(pytestconfig) / "_static" / "explorers"
    data = {
        values["data-name"]: (folder / values["data-state"]).stat().st_size
        for elements in pages.values()
        for _, values in elements
        if values.get("data-state")
    }
    assert data
    assert {name: size for name, size in data.items() if size >= weight.DATA} == {}


def test_every_icon_is_in_the_fonts(pytestconfig, pages):
    """`website/extensions/assets.py` leaves out the others."""
    folder = site_folder(pytestconfig)
    style = (folder / "_static/styles/pydata-sphinx-theme.css").read_text("utf-8")
    icons = {
        name
        for elements in pages.values()
        for _, values in elements
        if re.search(r"\b(fa|fas|fab|far|fa-solid|fa-brands|fa-regular)\b", values.get("class", ""))
        for name in values["class"].split()
        if re.fullmatch(r"fa-(?!solid|brands|regular|lg)[\w-]+", name)
    }
    assert len(icons) > 5
    fonts = [TTFont(path) for path in (folder / FONTS).glob("*.woff")]
    drawn = {chr(sign) for font in fonts for sign in font.getBestCmap()}
    for name in icons:
        rule = re.search(rf'\.{name}:before[^{{]*\{{content:"([^"]*)"\}}', style)
        assert rule, f"no rule for {name}"
        text = re.sub(r"\\([0-9a-f]+)", lambda sign: chr(int(sign[1], 16)), rule[1])
        assert set(text) <= drawn, f"no font has {name}"


@pytest.mark.parametrize("screen", weight.SCREENS)
def test_the_place_of_a_live_figure_is_kept(browser, site, chapter, screen):
    """While its data is on the way: within a seventh of the height that it then has."""
    height = "box => box.getBoundingClientRect().height"
    with browser.new_context(**weight.SCREENS[screen]) as context:
        page = context.new_page()
        held = []
        page.route("**/explorers/*.json", lambda route: held.append(route))
        with page.expect_request("**/explorers/*.json"):
            page.goto(f"{site}/{chapter}")
            page.locator(".explorer").first.scroll_into_view_if_needed()
        settle(page)
        figure = page.locator(".explorer[data-esm]").first
        figure.scroll_into_view_if_needed()
        kept = figure.evaluate(height)
        assert not figure.locator(".explorer-live").count(), "it is live without its data"
        assert held, "it did not ask for its data"
        for route in held:
            route.continue_()
        figure.locator(".ie-says:not(:empty)").wait_for()
        assert kept == pytest.approx(figure.evaluate(height), rel=1 / 7)
