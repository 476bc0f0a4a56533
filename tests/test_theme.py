"""What the site adds to the theme's pages: names, and the sizes of pictures."""

import sys
from pathlib import Path

import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
sys.path.append(str(ROOT / "website"))

import images  # noqa: E402
import theme  # noqa: E402

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
        '<img src="c.svg" width="64" height="32"/>'
    )
    assert images.add_sizes(sized, tmp_path) == sized


def test_what_has_a_size_or_is_no_file_stays(tmp_path):
    page = '<img src="a.png" width="3" height="2"><img src="data:image/png;base64,AA==">'
    assert images.add_sizes(page, tmp_path) == page


def test_an_svg_without_a_size(tmp_path):
    (tmp_path / "c.svg").write_text("<svg></svg>", encoding="utf-8")
    with pytest.raises(ValueError, match=r"c\.svg has no viewBox"):
        images.size(tmp_path / "c.svg")
