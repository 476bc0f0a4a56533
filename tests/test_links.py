"""``website/tools/links.py``: the links of small made-up sites."""

import subprocess
import sys
from pathlib import Path

import pytest

from website.tools import links

ROOT = Path(__file__).resolve().parents[1]

CHAPTER = """\
<html><head><link rel="stylesheet" href="../_static/style.css?v=1"></head><body>
<div id="menu"></div><div id="menu"></div>
<article><h1 id="title">One</h1><section id="größe"></section><a name="old"></a></article>
</body></html>
"""


def make(folder, article="", **files):
    """Write a site of a page that is tested and of what it can link to."""
    contents = {
        "index.html": f"<html><body><article>{article}</article></body></html>",
        "chapters/one.html": CHAPTER,
        "chapters/my page.html": "<article id='a b'></article>",
        "guide.v1/index.html": "<p id='start'></p>",
        "_static/style.css": "",
        "_static/macros.html": "<a href=\"{{ pathto('nowhere') }}\">a template of the theme</a>",
        "_static/pictures/one.png": "",
        "_static/pictures/two.png": "",
        "_sources/one.ipynb": "",
        **files,
    }
    for name, text in contents.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder


def found(folder, article, **files):
    """Return the problems of a site, without those of other pages than the first."""
    site = links.Site(make(folder, article, **files))
    assert not [line for name in site.names[:-1] for line in site.problems(name)]
    return list(site.problems("index.html"))


@pytest.mark.parametrize(
    "link",
    [
        "chapters/one.html",
        "./chapters/../chapters/one.html#title",
        "chapters/one.html#old",
        "chapters/one.html#gr%C3%B6%C3%9Fe",
        "chapters/one.html#größe",
        "chapters/one.html#menu",
        "chapters/one.html?highlight=spread#title",
        "chapters/my%20page.html#a%20b",
        "chapters/one.html#:~:text=One",
        "guide.v1",
        "guide.v1/#start",
        ".",
        "#",
        "#here",
        "?q=spread",
        "_static/pictures/one.png?size=2",
        "_static/pictures/one.png#layer",
        "_sources/one.ipynb",
        "https://example.org/page#part",
        "mailto:someone@example.org",
        "data:image/png;base64,AAAA",
        "  chapters/one.html ",
    ],
)
def test_what_leads_somewhere(tmp_path, link):
    assert found(tmp_path, f'<p id="here"></p><a href="{link}">a link</a>') == []


@pytest.mark.parametrize(
    ("link", "problem"),
    [
        ("chapters/two.html", "there is no file chapters/two.html"),
        ("chapters/two.html#title", "there is no file chapters/two.html"),
        ("chapters/One.html", "there is no file chapters/One.html"),
        ("chapters", "there is no file chapters"),
        ("_static/pictures/three.png", "there is no file _static/pictures/three.png"),
        ("chapters/one.html#part", "there is no id part in chapters/one.html"),
        ("chapters/one.html#Title", "there is no id Title in chapters/one.html"),
        ("chapters/one.html?q=1#gr%C3%B6", "there is no id grö in chapters/one.html"),
        ("guide.v1/#end", "there is no id end in guide.v1/index.html"),
        ("#part", "there is no id part in index.html"),
        ("../index.html", "leads out of the site"),
        ("/chapters/one.html", "begins at the host's root, where the site need not be"),
        ("http://example.org", "not https"),
        ("//example.org/a.js", "not https"),
        ("https:page", "not https"),
        ("javascript:void(0)", "not https"),
        ("https://[::1", "cannot be read as a link: Invalid IPv6 URL"),
        ("", "leads nowhere"),
    ],
)
def test_what_leads_nowhere(tmp_path, link, problem):
    (line,) = found(tmp_path, f'<a href="{link}">a link</a>')
    assert line == f"index.html: {link or 'an empty link'}: {problem}"


@pytest.mark.parametrize(
    "html",
    [
        '<img src="{}">',
        '<script src="{}"></script>',
        '<link rel="preload" href="{}">',
        '<object data="{}"></object>',
        '<video poster="{}"></video>',
        '<form action="{}"></form>',
        '<svg><use xlink:href="{}"/></svg>',
        '<img srcset="_static/pictures/one.png 1x, {} 2x">',
        '<img srcset="{} 480w,\n _static/pictures/two.png">',
        '<link rel="preload" imagesrcset="{}">',
        "<a href={}>no quotes</a>",
    ],
)
def test_every_kind_of_link_is_followed(tmp_path, html):
    assert found(tmp_path, html.format("_static/pictures/one.png")) == []
    (line,) = found(tmp_path, html.format("_static/none.png"))
    assert line == "index.html: _static/none.png: there is no file _static/none.png"


def test_what_is_no_link_is_not_followed(tmp_path):
    assert found(tmp_path, '<!-- <a href="x"> --><script>"<a href=\'x\'>"</script>href="x"') == []


def test_a_problem_is_said_once(tmp_path):
    assert len(found(tmp_path, '<a href="x">1</a><a href="x">2</a><a href="x#y">3</a>')) == 2


def test_an_id_of_the_course_stands_once(tmp_path):
    twice = "index.html: #a: the id is there 2 times"
    assert found(tmp_path, '<p id="a"></p><p id="a"></p>') == [twice]
    assert found(tmp_path, '<p id="a"></p><a name="a"></a>') == [twice]
    assert found(tmp_path, '<a id="a" name="a"></a><p id="b"></p>') == []
    # one is the theme's: a link to the course's may lead to it
    page = '<html><div id="a"></div><article><p id="a"></p></article></html>'
    assert found(tmp_path, "", **{"index.html": page}) == [twice]
    page = '<html><article></article><div id="a"></div><div id="a"></div></html>'
    assert found(tmp_path, "", **{"index.html": page}) == []


def run(folder):
    """Run the command as the Makefile does."""
    command = [sys.executable, str(ROOT / "website/tools/links.py"), str(folder)]
    return subprocess.run(command, capture_output=True, text=True)


def test_a_good_site(tmp_path):
    result = run(make(tmp_path, '<a href="chapters/one.html#title">One</a>'))
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout == "All 2 links on 4 pages lead somewhere\n"


def test_a_bad_site(tmp_path):
    result = run(make(tmp_path, '<a href="x"></a>', **{"chapters/two.html": '<img src="y">'}))
    assert result.returncode == 1
    assert result.stdout.splitlines() == [
        "chapters/two.html: y: there is no file chapters/y",
        "index.html: x: there is no file x",
    ]
    assert result.stderr.endswith("2 links or ids of the built site are wrong: see above\n")


def test_a_folder_without_pages(tmp_path):
    result = run(tmp_path / "nothing")
    assert result.returncode == 1
    assert "run `make book` first" in result.stderr and "Traceback" not in result.stderr
