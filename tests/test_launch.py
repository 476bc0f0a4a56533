"""The row at the top of a chapter: where its links lead, and what it says."""

from types import SimpleNamespace
from urllib.parse import parse_qsl, urlsplit

import pytest
from bs4 import BeautifulSoup
from example_chapter import NAME, notebook
from small_site import build
from sphinx.errors import ExtensionError

from website.extensions import launch
from website.tools import notebooks, repository, setup_cell

GITHUB = "https://github.com/owner/course"
HUB = "https://hub.example.org"


@pytest.mark.parametrize(
    ("url", "binder", "hosts"),
    [
        (f"{GITHUB}.git", "gh/owner/course", ["Binder", "Colab", "JupyterHub"]),
        ("https://gitlab.com/o/more/course/", "gl/o%2Fmore%2Fcourse", ["Binder", "JupyterHub"]),
        (
            "https://git.org:84/course",
            "git/https%3A%2F%2Fgit.org%3A84%2Fcourse",
            ["Binder", "JupyterHub"],
        ),
    ],
)
def test_the_addresses(url, binder, hosts):
    course = repository.read_repository(url, "spring/2027")
    links = course.links("a b.ipynb", f"{HUB}/")
    assert list(links) == hosts and list(course.links("a b.ipynb")) == hosts[:-1]
    file = "spring/2027?urlpath=lab/tree/a%20b.ipynb"
    assert links["Binder"] == f"https://mybinder.org/v2/{binder}/{file}"
    colab = "https://colab.research.google.com/github/owner/course/blob/spring/2027/a%20b.ipynb"
    assert links.get("Colab", colab) == colab
    pull = urlsplit(links["JupyterHub"])
    assert f"{pull.scheme}://{pull.netloc}{pull.path}" == f"{HUB}/hub/user-redirect/git-pull"
    query = {"repo": course.url, "urlpath": "lab/tree/course/a b.ipynb", "branch": "spring/2027"}
    assert dict(parse_qsl(pull.query)) == query


MALFORMED = [
    {"repository_url": "github.com/owner/course"},
    {"repository_url": "http://github.com/owner/course"},
    {"repository_url": "git@github.com:owner/course.git"},
    {"repository_url": "https://me:word@github.com/owner/course"},
    {"repository_url": f"{GITHUB}?tab=readme"},
    {"repository_url": f"{GITHUB}/tree/main"},
    {"repository_url": "https://github.com/owner"},
    {"repository_url": 7},
    {"repository_url": GITHUB, "repository_branch": "a b"},
    {"launch_buttons": {"jupyterhub_url": "hub.example.org"}},
]


@pytest.mark.parametrize("theme", MALFORMED)
def test_a_malformed_setting_stops_the_build(theme):
    with pytest.raises(ExtensionError, match="^_config.yml: .* must be .*, not ") as error:
        launch.read_settings(None, SimpleNamespace(html_theme_options=theme))
    wrong = list(theme.get("launch_buttons", theme).values())[-1]
    assert str(error.value).endswith(repr(wrong))


def add_row(theme):
    """Return the links of a page's row by their texts, and what it says, for some settings."""
    config = SimpleNamespace(html_theme_options=theme)
    launch.read_settings(None, config)
    app = SimpleNamespace(config=config, env=SimpleNamespace(doc2path=lambda name: f"{name}.ipynb"))
    context = {"body": "<h1>Title</h1><p>Text</p>", "sourcename": NAME}
    context["pathto"] = lambda path, resource: f"../{path}"
    launch.add_row(app, "chapters/03_small", "page.html", context, "a tree")
    return read_row(BeautifulSoup(context["body"], "html.parser"))


def read_row(page):
    (row,) = page.find_all("nav", class_="launch")
    assert row.find_previous_sibling().name == "h1", "the row is not right below the title"
    return {link.text: link["href"] for link in row.find_all("a")}, " ".join(row.p.text.split())


def test_without_a_repository_there_are_two_links_that_lead_into_the_site():
    there, said = add_row({"launch_buttons": {"jupyterhub_url": HUB}})
    assert there == {
        "Run in your browser": f"../lite/notebooks/index.html?path={NAME}",
        "Download the notebook": f"../_sources/{NAME}",
    }
    assert "25 MB) from cdn.jsdelivr.net, once" in said and "your own machine" in said


def test_the_site_that_carries_pyodide_says_so(monkeypatch):
    monkeypatch.setenv("OFFLINE", "1")
    assert "35 MB) from this site, once" in add_row({})[1]


CONFIGURATION = f"""
extensions = ["myst_nb", "website.extensions.launch"]
nb_execution_mode = "off"
suppress_warnings = ["myst.xref_missing"]
html_theme = "sphinx_book_theme"
html_theme_options = {{
    "repository_url": {GITHUB!r},
    "launch_buttons": {{"jupyterhub_url": {HUB!r}, "binderhub_url": "https://binder.example.org"}},
}}
"""


def test_with_a_repository_there_are_links_to_binder_colab_and_the_hub_too(tmp_path):
    chapter = notebook()
    setup_cell.put(chapter, tmp_path / "_config.yml")
    (tmp_path / "chapters").mkdir()
    (tmp_path / NAME).write_text(notebooks.to_text(chapter), encoding="utf-8")
    contents = "# Index\n\n```{toctree}\nchapters/03_small\n```\n"
    (tmp_path / "index.md").write_text(contents, encoding="utf-8")
    assert build(tmp_path, CONFIGURATION) == []
    page = (tmp_path / "out/chapters/03_small.html").read_text(encoding="utf-8")
    first, *others, last = read_row(BeautifulSoup(page, "html.parser"))[0].items()
    assert first == ("Run in your browser", f"../lite/notebooks/index.html?path={NAME}")
    expected = repository.read_repository(GITHUB).links(NAME, HUB)
    assert others == [(f"Open on {host}", url) for host, url in expected.items()]
    assert last == ("Download the notebook", f"../_sources/{NAME}")
    # the theme shows no buttons of its own, and the page no setup cell
    assert "binder.example.org" not in page and "dropdown-launch-buttons" not in page
    assert "subprocess" not in page
    assert "subprocess" in (tmp_path / "out/_sources" / NAME).read_text(encoding="utf-8")
    assert "Run in your browser" not in (tmp_path / "out/index.html").read_text(encoding="utf-8")
