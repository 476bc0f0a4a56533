"""Sphinx extension: sources, claims, terms, cells and the package's names can be linked to.

Their pages are plain Markdown, and say themselves where a link leads:
``[He et al. (2015)](../pages/references.md#he2015)`` to ``<a id="he2015"></a>``. An entry of the
glossary is an item of a list, ``- <a id="term-dead-unit"></a>**dead unit**``, with its definition
indented below. Sphinx reads such items as its own ``{glossary}``, which puts the terms into the
search and gives them the same ids. Terms that share a definition stand in one line, with commas.

A name of the package has the id that Sphinx gives it:
``[HeNormal](../pages/api/initializers.md#initcore.initializers.HeNormal)``. A docstring writes a
name in single backticks: a parameter, or an object of the package. It is a link where the reference
has an entry of that name, and code elsewhere; a name that begins with ``initcore.`` and is not
there in the package fails the build.

A measured number in a sentence is a *mark*, a link to the cell that prints it, by the cell's id::

    The spread falls by a factor of [57](#cell-id=across-inputs) a layer.

JupyterLab follows such a link to the cell; on the page the cell gets the id ``cell-across-inputs``.
``tests/marks.py`` compares its numbers with what the cell prints.
"""

from __future__ import annotations

import json
import pkgutil
import re
from collections import namedtuple
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.transforms import SphinxTransform

TERM = re.compile(r'<a id="(term-[^"]+)"></a>\*\*(.+?)\*\*')
ENTRIES = re.compile(r'(?:^- <a id="term-.*\n(?:(?: +\S.*)?\n)*)+', re.MULTILINE)
ID = re.compile(r'\bid="([^"]+)"')
FIELD = type(namedtuple("Example", "field").field)
PREFIX = "cell-id="


def to_glossary(entries: re.Match) -> str:
    """Return the items of a list of terms as Sphinx's directive."""

    def terms(line: re.Match) -> str:
        return "\n".join(term for _, term in TERM.findall(line.group()))

    return "```{glossary}\n" + re.sub(r"^- .*$", terms, entries.group(), flags=re.M) + "```\n\n"


def read_glossary(app: Sphinx, page: str, source: list[str]) -> None:
    """Turn the lists of terms of a page into glossaries before it is read."""
    source[0] = ENTRIES.sub(to_glossary, source[0])


def pages_with_terms(app: Sphinx, env: BuildEnvironment, *changes: set[str]) -> set[str]:
    """Return the pages to be read in any case: Sphinx's search forgets the terms of all others."""
    objects = env.get_domain("std").get_objects()
    return {page for _, _, kind, page, _, _ in objects if kind == "term"}


def name_anchors(app: Sphinx, env: BuildEnvironment) -> None:
    """Let links find the names of the package."""
    for name, _, _, page, anchor, _ in env.get_domain("py").get_objects():
        env.metadata[page].setdefault("myst_slugs", {})[anchor] = (0, anchor, name)


def show_as_code(
    app: Sphinx, env: BuildEnvironment, node: pending_xref, content: nodes.TextElement
) -> nodes.Node | None:
    """Return a name without an entry as it is; None leaves it to Sphinx, which warns."""
    if (node.get("refdomain"), node.get("reftype")) != ("py", "obj"):
        return None
    if node["reftarget"].partition(".")[0] == "initcore":
        try:
            pkgutil.resolve_name(node["reftarget"])
        except (ImportError, AttributeError):
            return None
    return content


def leave_out_fields(app: Sphinx, what: str, name: str, obj: Any, *options: Any) -> bool | None:
    """Leave out a field of a named tuple, which its signature has; None leaves it to autodoc."""
    return True if type(obj) is FIELD else None


class WrittenAnchors(SphinxTransform):
    """Tell MyST of the terms, of the ids that a page's own HTML gives, and of its code cells."""

    default_priority = 871  # MyST resolves the links within a page at 879

    def apply(self, **kwargs: Any) -> None:
        """Look at every term, every piece of HTML and every cell; a cell gets an id first."""
        slugs = {}  # as MyST has them for headings: (line, id, text)
        for term in self.document.findall(nodes.term):
            slugs |= {id_: (0, id_, term.astext()) for id_ in term["ids"]}
        for html in self.document.findall(nodes.raw):
            slugs |= {id_: (0, id_, id_) for id_ in ID.findall(html.astext())}
        path = Path(self.env.doc2path(self.env.docname))
        if path.suffix == ".ipynb":
            cells = json.loads(path.read_text("utf-8"))["cells"]
            for node in self.document.findall(nodes.container):
                if node.get("nb_element") == "cell_code":
                    name = cells[node["cell_index"]]["id"]
                    node["ids"].append(f"cell-{name}")
                    slugs[PREFIX + name] = (0, f"cell-{name}", f"cell {name}")
        # for the links of this page, and for those of others
        self.document.__dict__.setdefault("myst_slugs", {}).update(slugs)
        self.env.metadata[self.env.docname].setdefault("myst_slugs", {}).update(slugs)


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the hooks and the transform."""
    app.setup_extension("sphinx.ext.autodoc")  # for its event
    app.connect("env-get-outdated", pages_with_terms)
    app.connect("source-read", read_glossary)
    app.connect("env-updated", name_anchors)
    app.connect("autodoc-skip-member", leave_out_fields)
    app.connect("missing-reference", show_as_code)
    app.add_transform(WrittenAnchors)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
