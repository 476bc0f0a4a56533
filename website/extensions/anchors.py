"""Sphinx extension: sources, claims, terms and the package's names can be linked to from anywhere.

Their pages are plain Markdown, and say themselves where a link leads:
``[He et al. (2015)](../pages/references.md#he2015)`` to ``<a id="he2015"></a>``. An entry of the
glossary is an item of a list::

    - <a id="term-dead-unit"></a>**dead unit**
      A unit whose activation is zero for every input.

Sphinx reads such items as its own ``{glossary}``, which puts the terms into the search and gives
them the same ids. Terms that share a definition stand in one line, with commas between them.

A name of the package has the id that Sphinx gives it:
``[HeNormal](../pages/api/initializers.md#initcore.initializers.HeNormal)``.
"""

from __future__ import annotations

import re
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.transforms import SphinxTransform

TERM = re.compile(r'<a id="(term-[^"]+)"></a>\*\*(.+?)\*\*')
ENTRIES = re.compile(r'(?:^- <a id="term-.*\n(?:(?: +\S.*)?\n)*)+', re.MULTILINE)
ID = re.compile(r'\bid="([^"]+)"')


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


def add_slugs(reading: SphinxTransform, slugs: dict[str, tuple]) -> None:
    """Let links find places of the page that is being read, its own links and those of others.

    MyST knows a page's headings by their slugs: (line, id, text).
    """
    reading.document.__dict__.setdefault("myst_slugs", {}).update(slugs)
    reading.env.metadata[reading.env.docname].setdefault("myst_slugs", {}).update(slugs)


class WrittenAnchors(SphinxTransform):
    """Tell MyST of the terms, and of the ids that a page's own HTML gives."""

    default_priority = 870  # MyST resolves the links within a page at 879

    def apply(self, **kwargs: Any) -> None:
        """Look at every term and every piece of HTML."""
        found = {
            id_: term.astext() for term in self.document.findall(nodes.term) for id_ in term["ids"]
        }
        for html in self.document.findall(nodes.raw):
            found |= {id_: id_ for id_ in ID.findall(html.astext())}
        add_slugs(self, {id_: (0, id_, text) for id_, text in found.items()})


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the hooks and the transform."""
    app.connect("env-get-outdated", pages_with_terms)
    app.connect("source-read", read_glossary)
    app.connect("env-updated", name_anchors)
    app.add_transform(WrittenAnchors)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
