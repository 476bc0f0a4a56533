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
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.errors import ExtensionError

from website.tools.repository import read_hub, read_repository

LITE = "lite/notebooks/index.html"
WHAT_IT_LOADS = (
    "“Run in your browser” loads Python (Pyodide, about {megabytes} MB) from {source}, once. "
    "Your code then runs on your own machine, some ten times slower than outside of a browser: "
    "a whole chapter takes minutes."
)
# The core of Pyodide 0.27.7 and the packages that the chapters use are 34 MB of files. The
# network compresses what it sends, to 24 MB; the site's own server may not.
FROM_HERE = {"megabytes": 35, "source": "this site"}
FROM_THE_NETWORK = {"megabytes": 25, "source": "cdn.jsdelivr.net"}


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
    source = FROM_HERE if app.config.launch_offline else FROM_THE_NETWORK
    context["body"] = title + end + row(links, WHAT_IT_LOADS.format(**source)) + rest


def read_settings(app: Sphinx, config: Config) -> None:
    """Take the settings from where Jupyter Book puts those of ``_config.yml``, and check them."""
    theme = dict(config.html_theme_options)
    buttons = theme.pop("launch_buttons", None) or {}
    config.html_theme_options = theme
    config.launch_repository = theme.get("repository_url") or ""
    config.launch_branch = theme.get("repository_branch") or "main"
    config.launch_hub = buttons.get("jupyterhub_url") or ""
    config.launch_offline = os.environ.get("OFFLINE", "0") not in ("", "0")
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
