"""The pass over the written pages: each step on a small page, and the pass over a small site."""

import base64
import hashlib
import json
from types import SimpleNamespace

import numpy as np
import pytest
from bs4 import BeautifulSoup
from PIL import Image
from sphinx.errors import ExtensionError

from website.extensions import assets, pages, policy

HEAD = '<head>\n<meta charset="utf-8"/><title>A</title>'
SIDEBAR = (
    '<li><a class="current reference internal" href="#">The reference</a>'
    '<details open="open"><summary><span></span></summary></details></li>'
)
SEARCH = '<button class="search-button-field" title="Search" aria-label="Search">Search</button>'
FORMULA = (
    '<a class="reference internal" href="#cell-a"><span class="std std-ref">'
    r'<span class="math notranslate">\(3\cdot10^{-20}\)</span></span></a>'
)
PRINTED = '<div id="jb-print-docs-body"><h1>A</h1></div><h1>A</h1>'
THEBE = (
    '<link href="sphinx-thebe.css"/><script type="text/x-thebe-config">{}</script>'
    "<script>kernelName = 'python3'</script><script>const THEBE_JS_URL = 1</script>"
)


def hashed(text):
    """Return the source that allows a script."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def mended(text, folder=None):
    page = BeautifulSoup(text, "html.parser")
    pages.mend(page, folder)
    return str(page)


@pytest.mark.parametrize(
    "page, wanted, gone",
    [
        (SIDEBAR, '<summary aria-label="Pages below The reference">', "<summary>"),
        (SEARCH, 'title="Search">Search', "aria-label"),
        ('<summary aria-label="Toggle hidden content">A</summary>', "<summary>A", "aria-label"),
        ('<i class="theme-switch fa" title="Dark"></i>', "theme-switch", "title"),
        (PRINTED, "<h1>A</h1>", "<div"),
        (FORMULA, 'aria-label="3 times 10 to the power −20"', "no such text"),
        ('<button onclick="window.print()">', '<button data-does="print">', "onclick"),
        ('<i class="fas fa-sun"></i>', '<i aria-hidden="true" class="fas fa-sun">', "no such text"),
        (f"<p></p>{THEBE}", "<p></p>", "hebe"),
        ('<script src="scripts/fontawesome.js?v=1"></script><p></p>', "<p></p>", "script"),
        (
            "<pre>n  q\n10  1.02\n</pre>",
            '<pre style="--columns: 8; break-inside: avoid">',
            "no such text",
        ),
        ("<script>DOCUMENTATION_OPTIONS.pagename = 'a';</script><p></p>", "<p></p>", "script"),
        ('<script src="a.js"></script>', '<script defer="defer" src="a.js">', "no such text"),
        ('<script src="searchtools.js"></script>', '<script src="searchtools.js">', "defer"),
    ],
)
def test_each_mend(page, wanted, gone):
    found = mended(page)
    assert wanted in found and gone not in found


@pytest.mark.parametrize(
    "text",
    [
        r"<p>\(a &lt; b\) — “é”</p><pre style='--columns: 3; break-inside: avoid'>a\n</pre>",
        '<details class="hide"><summary>Answer</summary><p>An onclick="go()"</p></details>',
        '<svg viewBox="0 0 9 9"><path d="M0 0"></path></svg><dl>\n<dd>A text.</dd>\n</dl>',
        '<script type="application/json">{"a": "</p> &amp; <b>"}</script>',
        '<p class="fabulous"></p><a href="a.png"></a><a href="https://a.example/_images/a.png"></a>',
        '<img src="a.png" width="3" height="2"/>',
        '<img src="data:image/png;base64,A"/>',
    ],
)
def test_all_else_stays_as_it_is(text):
    assert BeautifulSoup(mended(text), "html.parser") == BeautifulSoup(text, "html.parser")


def test_pictures_have_their_size_and_all_but_the_first_wait(tmp_path):
    (tmp_path / "_images").mkdir()
    Image.new("RGB", (30, 20)).save(tmp_path / "_images/a b.webp")
    (tmp_path / "c.svg").write_text('<svg viewBox="0 0 64.2 32"></svg>', encoding="utf-8")
    page = (
        '<img class="logo__image" src="c.svg"/><a href="_images/a%20b.png">'
        '<img alt="A" src="_images/a%20b.png"/></a><img src="c.svg"/>'
    )
    assert mended(page, tmp_path) == (
        '<img class="logo__image" height="32" src="c.svg" width="64"/><a href="_images/a%20b.webp">'
        '<img alt="A" height="20" src="_images/a%20b.webp" width="30"/></a>'
        '<img decoding="async" height="32" loading="lazy" src="c.svg" width="64"/>'
    )
    (tmp_path / "c.svg").write_text("<svg></svg>", encoding="utf-8")
    with pytest.raises(ValueError, match=r"c\.svg has no viewBox"):
        mended(page, tmp_path)


def test_pictures_become_lighter_and_stay_the_same(tmp_path):
    rng = np.random.default_rng(0)
    picture = Image.fromarray(rng.integers(0, 9, (40, 60, 4), dtype=np.uint8) * 28, "RGBA")
    picture.save(tmp_path / "a.png")
    assets.convert(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["a.webp"]
    with Image.open(tmp_path / "a.webp") as light:
        # what nobody sees, below a transparency of 0, may change
        seen = np.asarray(picture)[..., 3] > 0
        np.testing.assert_array_equal(np.asarray(light)[seen], np.asarray(picture)[seen])


@pytest.mark.parametrize(
    "script, allowed",
    [
        ("<script>a()</script>", {hashed("a()")}),
        ('<script type="module">a() &amp;&amp; "é"\n</script>', {hashed('a() &amp;&amp; "é"\n')}),
        ('<script src="a.js"></script>', set()),
        ('<script type="application/json">{}</script>', set()),
        ("<script>a()</script><script>b()</script>", {hashed("a()"), hashed("b()")}),
    ],
)
def test_the_policy_of_a_page_allows_its_scripts_by_their_hash(script, allowed):
    page = BeautifulSoup(mended(f"{HEAD}{script}"), "html.parser")
    assert page.meta.find_next_sibling().attrs.keys() == {"http-equiv", "content"}
    sources = page.find("meta", policy.META)["content"].split("script-src ")[1].split(";")[0]
    assert set(sources.split()) == {"'self'", *allowed}


@pytest.fixture
def app(tmp_path):
    """What Sphinx gives at the end of a build: a page, and what the theme brings."""
    files = {
        "a.html": f'{HEAD}<i class="fa-day"></i><script>a()</script></head>',
        "_static/b.html": "<p onclick='go()'>",
        "_static/styles/sphinx-book-theme.css": r'.fa-moon:before{content:"\f186"}.a{top:0}',
        "_static/styles/pydata-sphinx-theme.css": r'.fa-sun:before,.fa-day:before{content:"\f185"}',
        "_static/scripts/fontawesome.js": "",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    return SimpleNamespace(
        outdir=str(tmp_path), builder=SimpleNamespace(format="html", imagedir="_images")
    )


def test_a_site_is_mended_once_and_keeps_the_icons_that_it_shows(app, tmp_path):
    written = []
    for _ in range(2):
        pages.mend_site(app, None)
        written.append(
            {path: path.read_bytes() for path in tmp_path.rglob("*.*") if path.is_file()}
        )
    assert written[0] == written[1]
    styles = tmp_path / "_static/styles"
    assert (styles / "sphinx-book-theme.css").read_text() == ".a{top:0}"
    assert (styles / "pydata-sphinx-theme.css").read_text().startswith(".fa-sun:before,.fa-day:bef")
    assert not (tmp_path / "_static/scripts/fontawesome.js").exists()
    assert hashed("a()") in json.loads((tmp_path / policy.FILE).read_text("utf-8"))[""]
    assert hashed("a()") in (tmp_path / "a.html").read_text("utf-8")
    with pytest.raises(ValueError, match="no icon is left"):
        assets.keep_icons(tmp_path / "_static", set())


@pytest.mark.parametrize(
    "element",
    ['<p class="a"\n ONCLICK="go()">', "<img onload = 'go()'>", '<a href=" javascript:go()">'],
)
def test_code_in_an_attribute_ends_the_build(app, tmp_path, element):
    (tmp_path / "b.html").write_text(element, encoding="utf-8")
    with pytest.raises(ExtensionError, match=r"b\.html: code in an attribute"):
        pages.mend_site(app, None)


def test_the_policies_of_the_book_and_of_the_kernel_stand_side_by_side(tmp_path):
    policy.write(tmp_path, "lite/", "default-src 'none'")
    policy.write(tmp_path, "", "default-src 'self'")
    known = json.loads((tmp_path / policy.FILE).read_text("utf-8"))
    assert known == {"lite/": "default-src 'none'", "": "default-src 'self'"}
