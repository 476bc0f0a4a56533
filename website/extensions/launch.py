"""Sphinx extension: the row of buttons at the top of a chapter that open it to be run.

*Run in your browser* leads to JupyterLite, a part of the site, *Download the notebook* to a file of
it. Links to Binder, Colab and a JupyterHub are made from ``repository`` and ``launch_buttons`` of
``_config.yml``. The theme's own menu, a rocket, would show a second set with a wrong link: its
settings are taken from it.
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

ROW = Path(__file__).with_name("launch.html.jinja")


def add_row(app: Sphinx, pagename: str, templatename: str, context: dict, doctree: Any) -> None:
    """Put the row below the title of a page that is a notebook."""
    if doctree is None or Path(app.env.doc2path(pagename)).suffix != ".ipynb":
        return
    file, pathto, settings = f"{pagename}.ipynb", context["pathto"], app.config.launch
    links = {"Run in your browser": f"{pathto('lite/notebooks/index.html', 1)}?path={quote(file)}"}
    if repository := settings["repository"]:
        others = repository.links(file, settings["hub"])
        links |= {f"Open on {name}": url for name, url in others.items()}
    links["Download the notebook"] = pathto(f"_sources/{context['sourcename']}", 1)
    template = Template(ROW.read_text(encoding="utf-8"), autoescape=True)
    row = template.render(links=links, offline=settings["offline"])
    context["body"] = context["body"].replace("</h1>", f"</h1>{row}", 1)


def read_settings(app: Sphinx, config: Config) -> None:
    """Take the settings from where Jupyter Book puts those of ``_config.yml``, and check them."""
    theme = dict(config.html_theme_options)
    buttons = theme.pop("launch_buttons", None) or {}
    config.html_theme_options = theme
    hub = buttons.get("jupyterhub_url") or ""
    if hub and not re.fullmatch(r"https://[\w.-]+(:\d+)?(/[\w./~-]*)?", str(hub)):
        must = "jupyterhub_url must be an https address, such as https://hub.example.org"
        raise ExtensionError(f"_config.yml: launch_buttons: {must}, not {hub!r}")
    try:
        repository = read_repository(theme.get("repository_url"), theme.get("repository_branch"))
    except ValueError as error:
        raise ExtensionError(f"_config.yml: {error}") from None
    config.launch = {"repository": repository, "hub": hub, "offline": offline()}


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the settings, which a page is written again for, and the row."""
    app.add_config_value("launch", {}, "html", [dict])
    app.connect("config-inited", read_settings)
    app.connect("html-page-context", add_row)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
