"""What the site adds to the theme's pages: names, and the sizes of pictures."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from website.extensions import icons, images, theme

ROOT = Path(__file__).resolve().parents[1]

SIDEBAR = (
    '<a class="current reference internal" href="#">The reference</a>'
    '<details open="open"><summary><span></span></summary>'
)
SEARCH = (
    '<button class="btn search-button-field search-button__button pst-js-only" title="Search" '
    'aria-label="Search">Search</button>'
)
PRINTED = '<div id="jb-print-docs-body" class="onlyprint"><h1>A</h1></div>\n<div id="searchbox">'
SIGNATURE = '<dl>\n<dd><em class="sig-param">x</em>,</dd>\n</dl>'
FORMULA = (
    '<a class="reference internal" href="#cell-a"><span class="std std-ref">'
    r'<span class="math notranslate">\(3\cdot10^{-20}\)</span></span></a>'
)


@pytest.mark.parametrize(
    "page, wanted, gone",
    [
        (SIDEBAR, '<summary aria-label="Pages below The reference">', "<summary>"),
        (SEARCH, 'title="Search">Search', "aria-label"),
        ('<summary aria-label="Toggle hidden content">', "<summary>", "aria-label"),
        ('<i class="theme-switch fa" data-mode="dark"  title="Dark"></i>', "dark", "title"),
        (PRINTED, '<div id="searchbox">', "<h1>"),
        (SIGNATURE, '<span class="sig-line"><em class="sig-param">x</em>,</span>', "<dd>"),
        (FORMULA, 'aria-label="3 times 10 to the power −20"', "no such text"),
    ],
)
def test_mending(page, wanted, gone):
    mended = theme.mend(page)
    assert wanted in mended and gone not in mended
    assert theme.mend(mended) == mended


def test_other_lists_of_definitions_stay():
    assert theme.mend("<dl>\n<dd>A text.</dd>\n</dl>") == "<dl>\n<dd>A text.</dd>\n</dl>"


def test_pictures_get_their_size(tmp_path):
    Image.new("RGB", (30, 20)).save(tmp_path / "a b.png")
    (tmp_path / "c.svg").write_text('<svg viewBox="0 0 64.2 32"></svg>', encoding="utf-8")
    page = '<img alt="A" src="a%20b.png" style="width: 9px;" /><img src="c.svg"/>'
    sized = images.add_sizes(page, tmp_path)
    assert sized == (
        '<img alt="A" src="a%20b.png" style="width: 9px;" width="30" height="20"/>'
        '<img src="c.svg" width="64" height="32" loading="lazy" decoding="async"/>'
    )
    assert images.add_sizes(sized, tmp_path) == sized


def test_the_logo_is_no_first_picture(tmp_path):
    (tmp_path / "c.svg").write_text('<svg viewBox="0 0 64 32"></svg>', encoding="utf-8")
    page = '<img src="c.svg" class="logo__image only-light"/><img src="c.svg"/>'
    assert "lazy" not in images.add_sizes(page, tmp_path)


def test_pictures_become_lighter_and_stay_the_same(tmp_path):
    rng = np.random.default_rng(0)
    picture = Image.fromarray(rng.integers(0, 9, (40, 60, 4), dtype=np.uint8) * 28, "RGBA")
    picture.save(tmp_path / "a.png")
    images.convert(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["a.webp"]
    with Image.open(tmp_path / "a.webp") as light:
        # what nobody sees, below a transparency of 0, may change
        seen = np.asarray(picture)[..., 3] > 0
        np.testing.assert_array_equal(np.asarray(light)[seen], np.asarray(picture)[seen])
    images.convert(tmp_path)


@pytest.mark.parametrize(
    "page", ['<img src="https://a.example/_images/a.png">', '<a href="a.png">']
)
def test_pictures_of_other_folders_are_left(page):
    assert images.show_converted(page) == page


def test_icons_that_no_page_shows_are_left_out():
    style = (
        r'.fa-sun:before,.fa-day:before{content:"\f185"}.fa-moon:before{content:"\f186"}.a{top:0}'
    )
    assert (
        icons.keep(style, {"fa-day"}) == r'.fa-sun:before,.fa-day:before{content:"\f185"}.a{top:0}'
    )
    page = (
        '<script src="../_static/scripts/fontawesome.js?digest=1"></script>'
        '<span class="fa-solid fa-sun"></span><p class="fabulous">'
    )
    light = icons.lighten(page)
    assert light == '<span class="fa-solid fa-sun" aria-hidden="true"></span><p class="fabulous">'
    assert icons.lighten(light) == light and icons.names(light) == {"fa-solid", "fa-sun"}


def test_what_has_a_size_or_is_no_file_stays(tmp_path):
    page = '<img src="a.png" width="3" height="2"><img src="data:image/png;base64,AA==">'
    assert images.add_sizes(page, tmp_path) == page


def test_an_svg_without_a_size(tmp_path):
    (tmp_path / "c.svg").write_text("<svg></svg>", encoding="utf-8")
    with pytest.raises(ValueError, match=r"c\.svg has no viewBox"):
        images.size(tmp_path / "c.svg")
