"""The row at the top of a chapter: where its links lead, and what it says."""

from types import SimpleNamespace
from urllib.parse import parse_qsl, urlsplit

import pytest
from bs4 import BeautifulSoup
from example_chapter import NAME, notebook
from notebook_rules import ROOT, notebooks
from small_site import build
from sphinx.errors import ExtensionError

from website.extensions import launch
from website.tools import links, repository, setup_cell

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


@pytest.mark.parametrize(
    "url",
    [
        "github.com/owner/course",
        "http://github.com/owner/course",
        "git@github.com:owner/course.git",
        "https://me:word@github.com/owner/course",
        "https://github.com/owner/course?tab=readme",
        "https://github.com/owner",
        "https://github.com/owner/course/tree/main",
        "https://git.example.org/",
        7,
    ],
)
def test_a_malformed_address_is_refused(url):
    with pytest.raises(ValueError, match="url must be an https address") as error:
        repository.read_repository(url)
    assert repr(url) in str(error.value)


@pytest.mark.parametrize(
    ("theme", "message"),
    [
        ({"repository_url": "github.com/o/c"}, "_config.yml: repository: url must be an https"),
        ({"repository_url": GITHUB, "repository_branch": "a b"}, "name of a branch, not 'a b'"),
        ({"launch_buttons": {"jupyterhub_url": "hub.org"}}, "jupyterhub_url must be an https"),
    ],
)
def test_wrong_settings_stop_the_build(theme, message):
    with pytest.raises(ExtensionError, match=message):
        launch.read_settings(None, SimpleNamespace(html_theme_options=theme))


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
html_static_path = [{str(ROOT / "website/assets")!r}]
html_theme_options = {{
    "repository_url": {GITHUB!r},
    "launch_buttons": {{"jupyterhub_url": {HUB!r}, "binderhub_url": "https://binder.example.org"}},
}}
"""


def test_with_a_repository_there_are_links_to_binder_colab_and_the_hub_too(tmp_path):
    chapter = notebook()
    setup_cell.put(chapter, tmp_path / "_config.yml")
    names = (NAME, "chapters/more/deep.ipynb")
    for name in names:
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text(notebooks.to_text(chapter), encoding="utf-8")
    contents = "# Index\n\n```{toctree}\nchapters/03_small\nchapters/more/deep\n```\n"
    (tmp_path / "index.md").write_text(contents, encoding="utf-8")
    assert build(tmp_path, CONFIGURATION) == []

    course, out = repository.read_repository(GITHUB), tmp_path / "out"
    for name in names:
        (out / "lite/files" / name).parent.mkdir(parents=True)
        (out / "lite/files" / name).touch()
    (out / "lite/notebooks").mkdir()
    (out / "lite/notebooks/index.html").touch()
    site = links.Site(out)
    for name in names:
        page = name.replace(".ipynb", ".html")
        text = (out / page).read_text(encoding="utf-8")
        there, _ = read_row(BeautifulSoup(text, "html.parser"))
        first, last = there.pop("Run in your browser"), there.pop("Download the notebook")
        assert site.problem(page, first) == site.problem(page, last) == ""
        others = course.links(name, HUB)
        assert there == {f"Open on {host}": url for host, url in others.items()}
        # the theme shows no buttons of its own, and the page no setup cell
        assert "binder.example.org" not in text and "dropdown-launch-buttons" not in text
        assert "subprocess" not in text
        assert "subprocess" in (out / "_sources" / name).read_text(encoding="utf-8")
    assert "launch-button" not in (out / "index.html").read_text(encoding="utf-8")
