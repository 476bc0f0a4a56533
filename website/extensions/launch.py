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

import re
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jinja2 import Template
from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.errors import ExtensionError

from website.tools.lite import offline
from website.tools.repository import read_repository

LITE = "lite/notebooks/index.html"
ROW = Path(__file__).with_name("launch.html.jinja")


def add_row(app: Sphinx, pagename: str, templatename: str, context: dict, doctree: Any) -> None:
    """Put the row below the title of a page that is a notebook."""
    if doctree is None or Path(app.env.doc2path(pagename)).suffix != ".ipynb":
        return
    title, end, rest = context["body"].partition("</h1>")
    file, pathto, settings = f"{pagename}.ipynb", context["pathto"], app.config.launch
    links = {"Run in your browser": f"{pathto(LITE, 1)}?path={quote(file)}"}
    if repository := settings["repository"]:
        others = repository.links(file, settings["hub"])
        links |= {f"Open on {name}": url for name, url in others.items()}
    links["Download the notebook"] = pathto(f"_sources/{context['sourcename']}", 1)
    row = Template(ROW.read_text(encoding="utf-8"), autoescape=True)
    context["body"] = title + end + row.render(links=links, offline=settings["offline"]) + rest


def read_settings(app: Sphinx, config: Config) -> None:
    """Take the settings from where Jupyter Book puts those of ``_config.yml``, and check them."""
    theme = dict(config.html_theme_options)
    buttons = theme.pop("launch_buttons", None) or {}
    config.html_theme_options = theme
    url, branch = theme.get("repository_url") or "", theme.get("repository_branch") or "main"
    hub = buttons.get("jupyterhub_url") or ""
    if hub and not re.fullmatch(r"https://[\w.-]+(:\d+)?(/[\w./~-]*)?", str(hub)):
        raise ExtensionError(
            "_config.yml: launch_buttons: jupyterhub_url must be an https address, such as "
            f"https://hub.example.org, not {hub!r}"
        )
    try:
        repository = read_repository(url, branch)
    except ValueError as error:
        raise ExtensionError(f"_config.yml: {error}") from None
    config.launch = {"repository": repository, "hub": hub, "offline": offline()}


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the settings, which a page is written again for, and the row."""
    app.add_config_value("launch", {}, "html", [dict])
    app.add_css_file("launch.css")
    app.connect("config-inited", read_settings)
    app.connect("html-page-context", add_row)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
