"""Sphinx extension: the row of buttons at the top of a chapter that open it to be run.

- *Run in your browser* leads to JupyterLite, a part of the site, and says what that loads.
- *Binder*, *Colab* and *JupyterHub* are made from ``repository`` of ``_config.yml``, and are not
  there while its ``url`` is empty. A JupyterHub needs an address too: ``jupyterhub_url`` of
  ``launch_buttons``. These are links; nothing is loaded from their hosts.
- *Download the notebook* leads to the file in the site.

The theme's own menu, a rocket, would show a second set with a wrong link: its settings are taken
from it. The site that carries Pyodide itself (``make book OFFLINE=1``) is built with the
environment variable ``OFFLINE`` set to ``1``.
"""

from __future__ import annotations

import html
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.errors import ExtensionError

LITE = "lite/notebooks/index.html"
BINDER = "https://mybinder.org"
COLAB = "https://colab.research.google.com"
# What a first visit transfers, measured in Chromium with the offline build: 43 MB.
MEGABYTES = 43
WHAT_IT_LOADS = (
    "“Run in your browser” loads Python (Pyodide, about {megabytes} MB) {source}, once. "
    "Your code then runs on your own machine."
)
FROM_HERE = "from this site"
FROM_A_CDN = "from cdn.jsdelivr.net"


@dataclass(frozen=True)
class Repository:
    """Where the course can be cloned from.

    Attributes
    ----------
    url : str
        Its address, without a slash or ``.git`` at the end.
    host : str
        ``github.com``, say.
    path : str
        What follows the host: ``OWNER/NAME``, on GitLab with the groups.
    branch : str
        The branch that readers get.
    """

    url: str
    host: str
    path: str
    branch: str

    @property
    def name(self) -> str:
        """The folder that a clone makes."""
        return self.path.rsplit("/", 1)[-1]

    def binder(self, file: str) -> str:
        """Return the address that opens a file on Binder."""
        if self.host == "github.com":
            where = f"gh/{self.path}"
        elif self.host == "gitlab.com":
            where = f"gl/{quote(self.path, safe='')}"
        else:
            where = f"git/{quote(self.url, safe='')}"
        return f"{BINDER}/v2/{where}/{quote(self.branch)}?urlpath=lab/tree/{quote(file)}"

    def colab(self, file: str) -> str:
        """Return the address that opens a file on Colab, which knows GitHub only; else ``""``."""
        if self.host != "github.com":
            return ""
        return f"{COLAB}/github/{self.path}/blob/{quote(self.branch)}/{quote(file)}"

    def jupyterhub(self, hub: str, file: str) -> str:
        """Return the address by which a hub with nbgitpuller clones the course and opens a file."""
        query = {"repo": self.url, "urlpath": f"lab/tree/{self.name}/{file}", "branch": self.branch}
        return f"{hub}/hub/user-redirect/git-pull?{urlencode(query, safe='/', quote_via=quote)}"


def read_repository(url: str, branch: str = "main") -> Repository | None:
    """Return the repository at an address, None if that is empty.

    Raises
    ------
    ValueError
        It is no address that a browser and git both understand, or the branch is none.

    Examples
    --------
    >>> read_repository("https://github.com/owner/course.git").binder("a.ipynb")
    'https://mybinder.org/v2/gh/owner/course/main?urlpath=lab/tree/a.ipynb'
    """
    if not url:
        return None
    parts = _https(url, "repository: url", "https://github.com/OWNER/NAME")
    path = parts.path.strip("/").removesuffix(".git")
    # One name is enough on a server of one's own; what stands behind a name is not for git.
    fewest = 2 if parts.netloc in ("github.com", "gitlab.com") else 1
    names = path.split("/")
    too_many = parts.netloc == "github.com" and len(names) > 2
    if len(names) < fewest or too_many or not all(re.fullmatch(r"[\w.~-]+", n) for n in names):
        raise ValueError(
            "repository: url must name a repository, such as https://github.com/OWNER/NAME, "
            f"not {url!r}"
        )
    if not re.fullmatch(r"[\w./-]+", branch or ""):
        raise ValueError(f"repository: branch must be the name of a branch, not {branch!r}")
    return Repository(f"https://{parts.netloc}/{path}", parts.netloc, path, branch)


def read_hub(url: str) -> str:
    """Return a JupyterHub's address without a slash at its end.

    Raises
    ------
    ValueError
        It is not the address of a site.
    """
    if not url:
        return ""
    _https(url, "launch_buttons: jupyterhub_url", "https://hub.example.org")
    return url.rstrip("/")


def _https(url: str, key: str, example: str) -> Any:
    """Return the parts of an https address without a user, a query and a fragment."""
    wrong = ValueError(f"{key} must be an https address, such as {example}, not {url!r}")
    try:
        parts = urlsplit(url)
    except (ValueError, AttributeError, TypeError):
        raise wrong from None
    plain = parts.scheme == "https" and re.fullmatch(r"[\w.-]+(:\d+)?", parts.netloc)
    if not plain or parts.query or parts.fragment or re.search(r"\s", url):
        raise wrong
    return parts


# --- the row ------------------------------------------------------------------------------------


def row(links: list[tuple[str, str]], sentence: str) -> str:
    """Return the row as HTML: the first link is the chief one, the last one downloads."""
    items = []
    for number, (label, url) in enumerate(links):
        kind = "launch-button launch-first" if number == 0 else "launch-button"
        extra = ' rel="external noopener"' if url.startswith("https:") else ""
        if number == len(links) - 1:
            extra = " download"
        link = f'<a class="{kind}" href="{html.escape(url)}"{extra}>{html.escape(label)}</a>'
        items.append(f"<li>{link}</li>")
    return (
        '\n<nav class="launch" aria-label="Run this chapter">\n'
        f"<ul>{''.join(items)}</ul>\n<p>{html.escape(sentence)}</p>\n</nav>\n"
    )


def add_row(app: Sphinx, pagename: str, templatename: str, context: dict, doctree: Any) -> None:
    """Put the row below the title of a page that is a notebook."""
    if doctree is None or Path(app.env.doc2path(pagename)).suffix != ".ipynb":
        return
    title, end, rest = context["body"].partition("</h1>")
    if not end:
        raise ExtensionError(f"{pagename} has no title, below which its buttons would stand")
    file = f"{pagename}.ipynb"
    pathto = context["pathto"]
    links = [("Run in your browser", f"{pathto(LITE, 1)}?path={quote(file)}")]
    if repository := read_repository(app.config.launch_repository, app.config.launch_branch):
        others = {"Binder": repository.binder(file), "Colab": repository.colab(file)}
        if hub := read_hub(app.config.launch_hub):
            others["JupyterHub"] = repository.jupyterhub(hub, file)
        links += [(f"Open on {label}", url) for label, url in others.items() if url]
    links.append(("Download the notebook", pathto(f"_sources/{context['sourcename']}", 1)))
    source = FROM_HERE if app.config.launch_offline else FROM_A_CDN
    sentence = WHAT_IT_LOADS.format(megabytes=MEGABYTES, source=source)
    context["body"] = title + end + row(links, sentence) + rest


def read_settings(app: Sphinx, config: Config) -> None:
    """Take the settings from where Jupyter Book puts those of ``_config.yml``, and check them."""
    theme = dict(config.html_theme_options)
    buttons = theme.pop("launch_buttons", None) or {}
    config.html_theme_options = theme
    config.launch_repository = theme.get("repository_url") or ""
    config.launch_branch = theme.get("repository_branch") or "main"
    config.launch_hub = buttons.get("jupyterhub_url") or ""
    config.launch_offline = os.environ.get("OFFLINE", "") == "1"
    try:
        read_repository(config.launch_repository, config.launch_branch)
        read_hub(config.launch_hub)
    except ValueError as error:
        raise ExtensionError(f"_config.yml: {error}") from None


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the settings, which a page is written again for, and the row."""
    for name in ("repository", "branch", "hub"):
        app.add_config_value(f"launch_{name}", "", "html", [str])
    app.add_config_value("launch_offline", False, "html", [bool])
    app.add_css_file("launch.css")
    app.connect("config-inited", read_settings)
    app.connect("html-page-context", add_row)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
