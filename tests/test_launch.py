"""The row at the top of a chapter: where its links lead, and what it says."""

import html
import re
import subprocess
import sys
from pathlib import Path

import pytest
from example_chapter import notebook
from notebook_rules import notebooks

from website.tools import links, repository, setup_cell

ROOT = Path(__file__).resolve().parents[1]

FILE = "chapters/03_small.ipynb"
GITHUB = "https://github.com/owner/course"
LOCAL = ["Run in your browser", "Download the notebook"]


# --- addresses ----------------------------------------------------------------------------------


def test_the_addresses_on_github():
    course = repository.read_repository(f"{GITHUB}.git", "main")
    assert course.url == GITHUB
    assert course.binder(FILE) == (
        f"https://mybinder.org/v2/gh/owner/course/main?urlpath=lab/tree/{FILE}"
    )
    assert course.colab(FILE) == (
        f"https://colab.research.google.com/github/owner/course/blob/main/{FILE}"
    )
    assert course.jupyterhub("https://hub.example.org", FILE) == (
        "https://hub.example.org/hub/user-redirect/git-pull"
        f"?repo=https%3A//github.com/owner/course&urlpath=lab/tree/course/{FILE}&branch=main"
    )


def test_the_addresses_on_gitlab():
    course = repository.read_repository("https://gitlab.com/group/below/course/", "branch")
    assert course.binder(FILE).startswith(
        "https://mybinder.org/v2/gl/group%2Fbelow%2Fcourse/branch?"
    )
    assert course.colab(FILE) == "", "Colab opens notebooks of GitHub only"
    assert "urlpath=lab/tree/course/chapters" in course.jupyterhub("https://h.org", FILE)


def test_the_addresses_on_another_host():
    course = repository.read_repository("https://git.example.org:8443/course", "main")
    assert course.binder(FILE).startswith(
        "https://mybinder.org/v2/git/https%3A%2F%2Fgit.example.org%3A8443%2Fcourse/main?"
    )
    assert course.colab(FILE) == ""


def test_what_is_not_plain_is_quoted():
    course = repository.read_repository(GITHUB, "spring/2027")
    assert "/spring/2027?urlpath=lab/tree/a%20b%26c.ipynb" in course.binder("a b&c.ipynb")
    assert "lab/tree/course/a%20b%26c.ipynb&branch=spring/2027" in course.jupyterhub(
        "https://h.org", "a b&c.ipynb"
    )


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("github.com/owner/course", "must be an https address"),
        ("http://github.com/owner/course", "must be an https address"),
        ("git@github.com:owner/course.git", "must be an https address"),
        ("https://me:word@github.com/owner/course", "must be an https address"),
        ("https://github.com/owner/course?tab=readme", "must be an https address"),
        ("https://github.com/owner/my course", "must be an https address"),
        ("https://[github.com/owner", "must be an https address"),
        (7, "must be an https address"),
        ("https://github.com/owner", "must name a repository"),
        ("https://github.com/owner/course/tree/main", "must name a repository"),
        ('https://github.com/owner/co"urse', "must name a repository"),
        ("https://git.example.org/", "must name a repository"),
    ],
)
def test_a_malformed_address_is_refused(url, message):
    with pytest.raises(ValueError, match=message) as error:
        repository.read_repository(url)
    assert repr(url) in str(error.value)


def test_a_malformed_branch_or_hub_is_refused():
    with pytest.raises(ValueError, match="branch must be the name of a branch, not 'a b'"):
        repository.read_repository(GITHUB, "a b")
    with pytest.raises(ValueError, match="jupyterhub_url must be an https address"):
        repository.read_hub("hub.example.org")
    assert repository.read_hub("") == "" and repository.read_repository("") is None
    assert repository.read_hub("https://h.org/jupyter/") == "https://h.org/jupyter"


# --- on the page --------------------------------------------------------------------------------

CONF = f"""
import sys
sys.path.append({str(ROOT)!r})
extensions = ["myst_nb", "website.extensions.launch"]
myst_enable_extensions = ["dollarmath"]
nb_execution_mode = "off"
exclude_patterns = ["jupyter_execute"]
suppress_warnings = ["myst.xref_missing"]
html_theme = "sphinx_book_theme"
html_static_path = [{str(ROOT / "website/assets")!r}]
html_theme_options = {{
    "repository_url": URL,
    "repository_branch": "main",
    "launch_buttons": {{"jupyterhub_url": HUB, "binderhub_url": "https://binder.example.org"}},
}}
"""


def build(folder, url="", hub="", offline=""):
    """Build a small book of a page and two notebooks, one of them deeper; return what came."""
    (folder / "chapters/more").mkdir(parents=True, exist_ok=True)
    chapter = notebook()
    setup_cell.put(chapter, folder / "_config.yml")
    text = notebooks.to_text(chapter)
    for name in (FILE, "chapters/more/deep.ipynb"):
        (folder / name).write_text(text, encoding="utf-8")
    toctree = "```{toctree}\nchapters/03_small\nchapters/more/deep\n```\n"
    (folder / "index.md").write_text(f"# Index\n\n{toctree}", encoding="utf-8")
    conf = CONF.replace("URL", repr(url)).replace("HUB", repr(hub))
    (folder / "conf.py").write_text(conf, encoding="utf-8")
    command = [sys.executable, "-m", "sphinx", "-b", "html", "-W", "-q", "--keep-going", ".", "out"]
    environment = {**notebooks.os.environ, "OFFLINE": offline}
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, env=environment)


def row(folder, name="chapters/03_small.html"):
    """Return the row's links, by their texts, and its sentence."""
    page = (folder / "out" / name).read_text(encoding="utf-8")
    (found,) = re.findall(r'<nav class="launch".*?</nav>', page, re.DOTALL)
    title, _, _ = page.partition(found)
    assert title.rstrip().endswith("</h1>"), "the row is not right below the title"
    addresses = re.findall(r'<a class="launch[^"]*" href="([^"]+)"[^>]*>([^<]+)</a>', found)
    (sentence,) = re.findall(r"<p>(.*?)</p>", found)
    return {text: html.unescape(url) for url, text in addresses}, html.unescape(sentence)


def test_without_a_repository_there_are_two_links_that_lead_into_the_site(tmp_path):
    result = build(tmp_path, hub="https://hub.example.org")
    assert result.returncode == 0, result.stderr
    there, sentence = row(tmp_path)
    assert list(there) == LOCAL
    assert there["Run in your browser"] == f"../lite/notebooks/index.html?path={FILE}"
    assert "cdn.jsdelivr.net" in sentence and "your own machine" in sentence
    deep, _ = row(tmp_path, "chapters/more/deep.html")
    assert deep["Run in your browser"] == (
        "../../lite/notebooks/index.html?path=chapters/more/deep.ipynb"
    )
    page = (tmp_path / "out/index.html").read_text(encoding="utf-8")
    assert "launch-button" not in page, "a page that is no notebook has the row"

    # The links are right as soon as the browser's kernel is built into the site.
    site = links.Site(tmp_path / "out")
    name = "chapters/03_small.html"
    assert "no file lite/notebooks" in site.problem(name, there["Run in your browser"])
    assert site.problem(name, there["Download the notebook"]) == ""
    (tmp_path / "out/lite/notebooks").mkdir(parents=True)
    (tmp_path / "out/lite/notebooks/index.html").touch()
    site = links.Site(tmp_path / "out")
    assert site.problem(name, there["Run in your browser"]) == ""
    assert site.problem("chapters/more/deep.html", deep["Run in your browser"]) == ""


def test_the_theme_shows_no_buttons_of_its_own_and_the_page_no_setup_cell(tmp_path):
    assert build(tmp_path, GITHUB).returncode == 0
    page = (tmp_path / "out/chapters/03_small.html").read_text(encoding="utf-8")
    assert "binder.example.org" not in page and "dropdown-launch-buttons" not in page
    assert "subprocess" not in page
    downloaded = (tmp_path / "out/_sources" / FILE).read_text(encoding="utf-8")
    assert "subprocess" in downloaded


def test_the_links_follow_the_settings(tmp_path):
    """One folder, built again and again: a page is written anew when a setting changes."""
    assert build(tmp_path, GITHUB).returncode == 0
    github, _ = row(tmp_path)
    first, last = LOCAL
    assert list(github) == [first, "Open on Binder", "Open on Colab", last]
    assert github["Open on Binder"].startswith("https://mybinder.org/v2/gh/owner/course/main?")

    assert build(tmp_path, "https://gitlab.com/o/c", "https://hub.example.org").returncode == 0
    gitlab, _ = row(tmp_path)
    assert list(gitlab) == [first, "Open on Binder", "Open on JupyterHub", last]
    assert "urlpath=lab/tree/c/chapters/03_small.ipynb&branch" in gitlab["Open on JupyterHub"]

    assert build(tmp_path, offline="1").returncode == 0
    offline, sentence = row(tmp_path)
    assert list(offline) == LOCAL
    assert "from this site" in sentence and "jsdelivr" not in sentence

    wrong = build(tmp_path, "github.com/owner/course")
    assert wrong.returncode != 0
    assert "_config.yml: repository: url must be an https address" in wrong.stderr
