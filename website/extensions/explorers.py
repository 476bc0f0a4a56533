"""Sphinx extension: the live figures of the pages, which need no kernel.

The output of a cell that shows an anywidget becomes ``<div class="explorer">`` around its still
picture. Module, style and state go to ``_static/explorers/``, each under a name made from its
content, and ``explorers/host.js`` brings them to life. Of other widgets the still picture stays,
and a line says that they need a kernel. ``{explorer} NAME`` puts a figure on a page that is no
notebook. Each figure has a page of its own too, ``embed/NAME.html``, for an ``<iframe>`` elsewhere.
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

VIEW = "application/vnd.jupyter.widget-view+json"
STATE = "application/vnd.jupyter.widget-state+json"
EMBED = Path(__file__).with_name("embed.html")  # a page of its own, of one figure
FOLDER = "_static/explorers"  # in the site; holds host.js, too
START = '<div class="explorer"'
END = """\
<noscript><p class="explorer-note">This is a still picture. The live figure needs JavaScript.</p>
</noscript></div>"""
NEEDS_KERNEL = """\
<p class="explorer-note">The controls of this figure need a running kernel: run this page to use
them.</p></div>"""


def save(app: Sphinx, content: str | bytes, suffix: str) -> str:
    """Write a file named after its content beside ``host.js``; return its name."""
    content = content.encode() if isinstance(content, str) else content
    path = Path(app.outdir, FOLDER, hashlib.sha256(content).hexdigest()[:16] + suffix)
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return path.name


def start(app: Sphinx, state: dict[str, Any]) -> str:
    """Save what a widget needs, given its traits; return the start of its element."""
    hidden = {name for name in state if name.startswith("_")} | {"layout", "tabbable", "tooltip"}
    public = {name: value for name, value in state.items() if name not in hidden}
    text = json.dumps(public, separators=(",", ":"), ensure_ascii=False)
    name = state["name"]
    wide, phone = EXPLORERS[name].HEIGHTS
    attributes = {
        "id": f"explorer-{name}",
        "data-name": name,
        "data-esm": save(app, state["_esm"], ".js"),
        "data-css": save(app, state["_css"], ".css"),
        "data-state": save(app, text, ".json"),
        "style": f"--height: {wide}px; --height-on-phone: {phone}px",
    }
    return START + "".join(f' {key}="{value}"' for key, value in attributes.items()) + ">"


def around(still: list[nodes.Node], before: str, after: str) -> list[nodes.Node]:
    """Return a still picture between two pieces of HTML."""
    return [nodes.raw("", before, format="html"), *still, nodes.raw("", after, format="html")]


class Figures(SphinxPostTransform):
    """Give the outputs that show a widget, and the places of the directive, their element."""

    default_priority = 3  # myst-nb chooses one type for each output at 4

    def run(self, **kwargs: Any) -> None:
        path = Path(self.env.doc2path(self.env.docname))
        about = json.loads(path.read_text("utf-8"))["metadata"] if path.suffix == ".ipynb" else {}
        models = about.get("widgets", {}).get(STATE, {}).get("state", {})
        for box in list(self.document.findall(nodes.container)):
            if "explorer" in box:
                figure = EXPLORERS[box["explorer"]]()
                box.replace_self(around(box.children, start(self.app, figure.get_state()), END))
            elif box.get("nb_element") == "mime_bundle":
                kinds = {child["mime_type"]: child for child in box.children}
                if VIEW in kinds:
                    box.replace_self(self.shown(kinds, models))

    def shown(self, kinds: dict[str, nodes.Element], models: dict[str, Any]) -> list[nodes.Node]:
        """Return what the page shows for one widget."""
        still = kinds["image/png"].children if "image/png" in kinds else []
        view = next(iter(kinds[VIEW].findall(nodes.raw))).astext()
        model = models.get(re.search(r'"model_id":\s*"([^"]+)"', view)[1], {})
        if model.get("model_module") == "anywidget":
            return around(still, start(self.app, model["state"]), END)
        return around(still, '<div class="needs-kernel">', NEEDS_KERNEL)


class ExplorerDirective(SphinxDirective):
    """``{explorer} NAME``: a live figure, and within it the still picture as Markdown."""

    required_arguments = 1
    has_content = True

    def run(self) -> list[nodes.Node]:
        name = self.arguments[0]
        if name not in EXPLORERS:
            raise self.error(f"NAME must be one of {', '.join(EXPLORERS)}, not {name!r}")
        place = nodes.container(explorer=name)
        self.state.nested_parse(self.content, self.content_offset, place)
        if not list(place.findall(nodes.image)):
            raise self.error("an explorer needs a still picture as its content")
        return [place]


def add_host(app: Sphinx, page: str, template: str, context: dict, doctree: Any) -> None:
    """Load the host on pages with a live figure; no page keeps its widgets' state inline."""
    scripts = context.get("script_files", [])
    # in place: Sphinx goes on with this very list
    scripts[:] = [s for s in scripts if (getattr(s, "attributes", None) or {}).get("type") != STATE]
    found = doctree.findall(nodes.raw) if doctree is not None else ()
    if any(node.astext().startswith(START) for node in found):
        app.add_js_file("explorers/host.js", type="module")


def embed(app: Sphinx, exception: Exception | None) -> None:
    """Write the page of its own of each figure."""
    if exception:
        return
    Path(app.outdir, "embed").mkdir(exist_ok=True)
    for name, kind in EXPLORERS.items():
        figure, page = kind(), home(app, kind)
        picture = figure.to_png()
        text = EMBED.read_text(encoding="utf-8").format(
            title=figure.title,
            start=start(app, figure.get_state()),
            end=END,
            alt=html.escape(figure.alt()),
            still=f"{FOLDER}/{save(app, picture, '.png')}",
            folder=FOLDER,
            width=int.from_bytes(picture[16:20], "big"),
            height=int.from_bytes(picture[20:24], "big"),
            page=page,
            chapter=html.escape(app.env.titles[page].astext()),
        )
        Path(app.outdir, "embed", f"{name}.html").write_text(text, encoding="utf-8")


def home(app: Sphinx, kind: type[Explorer]) -> str:
    """Return the page that a figure belongs to: a chapter, or else the opening page."""
    for path in sorted(Path(app.srcdir, "chapters").glob("*.ipynb")):
        if f"explorers.{kind.__name__}(" in path.read_text("utf-8"):
            return f"chapters/{path.stem}"
    return app.config.root_doc


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the transform, the directive and the style sheet."""
    app.add_directive("explorer", ExplorerDirective)
    app.add_post_transform(Figures)
    app.add_css_file("explorers/host.css")
    app.connect("html-page-context", add_host)
    app.connect("build-finished", embed)
    return {"env_version": 1, "parallel_read_safe": True, "parallel_write_safe": True}
