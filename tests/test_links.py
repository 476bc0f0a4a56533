"""``website/tools/links.py``: the links of small made-up sites."""

import pytest

from website.tools import links

CHAPTER = """\
<html><head><link rel="stylesheet" href="../_static/style.css?v=1"></head><body>
<div id="menu"></div><div id="menu"></div>
<article><h1 id="title">One</h1><section id="größe"></section></article>
</body></html>
"""
FILES = {
    "chapters/one.html": CHAPTER,
    "guide.v1/index.html": "<p id='start'></p>",
    "_static/style.css": "",
    "_static/macros.html": "<a href=\"{{ pathto('nowhere') }}\">a template of the theme</a>",
    "_static/one.png": "",
    "lite/notebooks/index.html": "",
    "lite/files/chapters/one.ipynb": "",
}


def make(folder, article):
    """Write a site of a page that is tested and of what it can link to."""
    index = {"index.html": f"<div id='a'></div><article>{article}</article>"}
    for name, text in (FILES | index).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder


def found(folder, article):
    return list(links.Site(make(folder, article)).problems())


@pytest.mark.parametrize(
    "link",
    [
        "./chapters/../chapters/one.html#title",
        "chapters/one.html#gr%C3%B6%C3%9Fe",
        "chapters/one.html?highlight=spread#menu",
        "guide.v1/index.html#start",
        "#here",
        "lite/notebooks/index.html?path=chapters/one.ipynb",
        "https://example.org/page#part",
        "mailto:someone@example.org",
        "data:image/png;base64,AAAA",
    ],
)
def test_what_leads_somewhere(tmp_path, link):
    assert found(tmp_path, f'<p id="here"></p><a href="{link}">a link</a>') == []


@pytest.mark.parametrize(
    ("link", "problem"),
    [
        ("chapters/two.html#title", "there is no file chapters/two.html"),
        ("chapters/One.html", "there is no file chapters/One.html"),
        ("chapters/one.html?q=1#gr%C3%B6", "there is no id grö in chapters/one.html"),
        ("guide.v1/#start", "there is no file guide.v1"),  # none answers it in a folder of files
        ("#part", "there is no id part in index.html"),
        ("../index.html", "there is no file ../index.html"),
        ("lite/notebooks/index.html?path=one.ipynb", "there is no file lite/files/one.ipynb"),
        ("/chapters/one.html", "must be relative to its page"),
        ("", "must be relative to its page"),
        ("http://example.org", "not https"),
    ],
)
def test_what_leads_nowhere(tmp_path, link, problem):
    (line,) = found(tmp_path, f'<a href="{link}">1</a><a href="{link}">2</a>')
    assert line.startswith(f"index.html: {link or 'an empty link'}: {problem}")


TAGS = ('<img src="{}">', '<script src="{}"></script>', '<link href="{}">', '<form action="{}">')


@pytest.mark.parametrize("html", TAGS)
def test_what_a_page_loads_is_there_and_its_own(tmp_path, html):
    assert found(tmp_path, html.format("_static/one.png")) == []
    assert "there is no file none.png" in found(tmp_path, html.format("none.png"))[0]
    assert "another host" in found(tmp_path, html.format("https://example.org/one.png"))[0]


@pytest.mark.parametrize("article", ['<p id="b"></p><p id="b"></p>', '<p id="a"></p>'])
def test_an_id_of_the_course_stands_once(tmp_path, article):
    (line,) = found(tmp_path, article)
    assert line.startswith("index.html: #") and line.endswith("the id is there 2 times")


def test_the_command(tmp_path, capsys):
    links.main(str(make(tmp_path, '<a href="chapters/one.html#title">One</a>')))
    assert capsys.readouterr().out == "All 2 links on 3 pages lead somewhere\n"
    with pytest.raises(SystemExit, match="1 links or ids of the built site are wrong"):
        links.main(str(make(tmp_path, '<a href="x"></a>')))
    assert capsys.readouterr().out == "index.html: x: there is no file x\n"
    with pytest.raises(SystemExit, match="run `make book` first"):
        links.main(str(tmp_path / "nothing"))
