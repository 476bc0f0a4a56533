"""Sphinx extension: the live figures of the pages, which need no kernel.

- The output of a cell that shows an anywidget becomes ``<div class="explorer">``, which holds the
  output's still picture. The widget's module, style and state go to ``_static/explorers/``, each
  under a name made from its content, and ``explorers/host.js`` brings them to life.
- ``{explorer}`` puts a figure of `initcore.explorers` on a page that is no notebook. Its content
  is the still picture.
- Every figure of `initcore.explorers` also gets a page of its own, ``embed/NAME.html``, for an
  ``<iframe>`` elsewhere.
- Other widgets need a running kernel. Their still picture stays, with a line that says so.
"""

from __future__ import annotations

import hashlib
import html
import json
import re
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util.docutils import SphinxDirective

from initcore.explorers import EXPLORERS, Explorer
from website.extensions.claims import element, title_of

VIEW = "application/vnd.jupyter.widget-view+json"
STATE = "application/vnd.jupyter.widget-state+json"
STILLS = ("image/svg+xml", "image/png", "text/html")
FOLDER = "_static/explorers"  # in the site; holds host.js, too
NOTE = "This is a still picture. The live figure needs JavaScript."
NEEDS_KERNEL = "The controls of this figure need a running kernel: run this page to use them."


def save(app: Sphinx, content: str | bytes, suffix: str) -> str:
    """Write a file named after its content beside ``host.js``; return its name."""
    content = content.encode() if isinstance(content, str) else content
    path = Path(app.outdir, FOLDER, hashlib.sha256(content).hexdigest()[:16] + suffix)
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return path.name


def attributes(app: Sphinx, state: dict[str, Any]) -> dict[str, str]:
    """Save what a widget needs, given its traits; return the attributes of its element."""
    public = {
        name: value
        for name, value in state.items()
        if not name.startswith("_") and name not in ("layout", "tabbable", "tooltip")
    }
    text = json.dumps(public, separators=(",", ":"), ensure_ascii=False)
    name = state.get("name", "widget")
    return {
        "id": f"explorer-{name}",
        "data-name": name,
        "data-esm": save(app, state["_esm"], ".js"),
        "data-css": save(app, state["_css"], ".css") if state.get("_css") else "",
        "data-state": save(app, text, ".json"),
    }


def box(app: Sphinx, state: dict[str, Any], still: list[nodes.Node]) -> nodes.Element:
    """Return the element of a live figure around its still picture."""
    note = element("noscript", element("p", NOTE, classes=["explorer-note"]))
    known = {name.replace("-", "_"): value for name, value in attributes(app, state).items()}
    place = element("div", still, note, classes=["explorer"], **known)
    place["ids"] = [place["attributes"].pop("id")]
    return place


class Outputs(SphinxPostTransform):
    """Give the outputs that show a widget their element."""

    default_priority = 3  # myst-nb chooses one type for each output at 4
    formats = ("html",)

    def run(self, **kwargs: Any) -> None:
        """Look at the outputs of a notebook; other pages have none."""
        path = Path(self.env.doc2path(self.env.docname))
        if path.suffix != ".ipynb":
            return
        stored = json.loads(path.read_text("utf-8"))["metadata"].get("widgets", {})
        models = stored.get(STATE, {}).get("state", {})
        for bundle in list(self.document.findall(nodes.container)):
            if bundle.get("nb_element") != "mime_bundle":
                continue
            kinds = {child["mime_type"]: child for child in bundle.children}
            if VIEW in kinds:
                bundle.replace_self(self.shown(kinds, models))

    def shown(self, kinds: dict[str, nodes.Element], models: dict[str, Any]) -> nodes.Element:
        """Return what the page shows for one widget."""
        still = next((kinds[kind].children for kind in STILLS if kind in kinds), [])
        view = next(iter(kinds[VIEW].findall(nodes.raw))).astext()
        model = models.get(re.search(r'"model_id":\s*"([^"]+)"', view)[1], {})
        if model.get("model_module") == "anywidget":
            return box(self.app, model["state"], still)
        run_it = element("p", NEEDS_KERNEL, classes=["explorer-note"])
        return element("div", still, run_it, classes=["needs-kernel"])


class explorer_place(nodes.General, nodes.Element):  # noqa: N801  (docutils' names are like this)
    """Where the directive stands: the site's folder is known only when the page is written."""


class ExplorerDirective(SphinxDirective):
    """``{explorer} NAME``: a live figure, and within it the still picture as Markdown."""

    required_arguments = 1
    has_content = True

    def run(self) -> list[nodes.Node]:
        """Check the name and read the still picture."""
        name = self.arguments[0]
        if name not in EXPLORERS:
            raise self.error(f"NAME must be one of {', '.join(EXPLORERS)}, not {name!r}")
        place = explorer_place(name=name)
        self.state.nested_parse(self.content, self.content_offset, place)
        if not list(place.findall(nodes.image)):
            raise self.error("an explorer needs a still picture as its content")
        return [place]


class Places(SphinxPostTransform):
    """Put the live figures where the directives stand; other formats keep the still picture."""

    default_priority = 3

    def run(self, **kwargs: Any) -> None:
        """Replace the places of a page."""
        for place in list(self.document.findall(explorer_place)):
            children = place.children
            if self.app.builder.format != "html":
                place.replace_self(children)
                continue
            place.replace_self(box(self.app, EXPLORERS[place["name"]]().get_state(), children))


def add_host(app: Sphinx, page: str, template: str, context: dict, doctree: Any) -> None:
    """Load the host on pages with a live figure; no page keeps its widgets' state inline."""
    scripts = context.get("script_files", [])
    # in place: Sphinx goes on with this very list
    scripts[:] = [s for s in scripts if (getattr(s, "attributes", None) or {}).get("type") != STATE]
    found = doctree.findall(nodes.Element) if doctree is not None else ()
    if any("explorer" in node.get("classes", ()) for node in found):
        app.add_js_file("explorers/host.js", type="module")


EMBED = """\
<!DOCTYPE html>
<html lang="en" class="explorer-page">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<link rel="icon" href="../_static/favicon.svg">
<link rel="stylesheet" href="../{folder}/host.css">
<script type="module" src="../{folder}/host.js"></script>
</head>
<body>
<main>
<h1>{title}</h1>
<div class="explorer" {attributes}>
<img src="../{folder}/{still}" width="{width}" height="{height}" alt="{alt}">
<noscript><p class="explorer-note">{note}</p></noscript>
</div>
<p>From <a href="../{page}.html" target="_top">{chapter}</a></p>
</main>
</body>
</html>
"""


def embed(app: Sphinx, exception: Exception | None) -> None:
    """Write the page of its own of each figure."""
    if exception or app.builder.format != "html":
        return
    for name, kind in EXPLORERS.items():
        figure = kind()
        about, picture = attributes(app, figure.get_state()), figure.to_png()
        page, chapter = home(app, kind)
        words = {
            "title": figure.title,
            "attributes": " ".join(f'{key}="{value}"' for key, value in about.items()),
            "alt": html.escape(figure.alt()),
            "still": save(app, picture, ".png"),
            "width": int.from_bytes(picture[16:20], "big"),
            "height": int.from_bytes(picture[20:24], "big"),
            "page": page,
            "chapter": chapter,
        }
        path = Path(app.outdir, "embed", f"{name}.html")
        path.parent.mkdir(exist_ok=True)
        path.write_text(EMBED.format(folder=FOLDER, note=NOTE, **words), encoding="utf-8")


def home(app: Sphinx, kind: type[Explorer]) -> tuple[str, str]:
    """Return the page that a figure belongs to, and its title: the opening page, or a chapter."""
    for path in sorted(Path(app.srcdir, "chapters").glob("*.ipynb")):
        if f"explorers.{kind.__name__}(" in path.read_text("utf-8"):
            return f"chapters/{path.stem}", html.escape(title_of(path))
    return app.config.root_doc, html.escape(app.config.html_title)


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the transforms, the directive and the style sheet."""
    app.add_node(explorer_place)
    app.add_directive("explorer", ExplorerDirective)
    app.add_post_transform(Outputs)
    app.add_post_transform(Places)
    app.add_css_file("explorers/host.css")
    app.connect("html-page-context", add_host)
    app.connect("build-finished", embed)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
