"""Sphinx extension: sources, terms and the package's names can be linked to from any page.

- A source on the references page by its key:
  ``[Glorot and Bengio (2010)](../pages/references.md#glorot2010)``.
- A term of the glossary, with hyphens for spaces:
  ``[saturated](../pages/glossary.md#term-saturated)``.
- A name of the package:
  ``[HeNormal](../pages/api/initializers.md#initcore.initializers.HeNormal)``.
"""

from __future__ import annotations

from typing import Any

from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.transforms import SphinxTransform


def name_anchors(app: Sphinx, env: BuildEnvironment) -> None:
    """Add the ids of sources (made from ``bibtex_cite_id``), terms and names to those of headings.

    MyST's links find a page's headings by their slugs: (line, id, text).
    """
    found = [
        (source.bibliography_key.docname, source.citation_id, source.formatted_entry.label)
        for source in env.get_domain("cite").citations
    ]
    for term, _, kind, page, anchor, _ in env.get_domain("std").get_objects():
        if kind == "term":
            found.append((page, anchor, term))
    for name, _, _, page, anchor, _ in env.get_domain("py").get_objects():
        found.append((page, anchor, name))
    for page, anchor, text in found:
        env.metadata[page].setdefault("myst_slugs", {})[anchor] = (0, anchor, text)


def pages_with_terms(app: Sphinx, env: BuildEnvironment, *changes: set[str]) -> set[str]:
    """Return the pages to be read in any case: Sphinx's search forgets the terms of all others."""
    objects = env.get_domain("std").get_objects()
    return {page for _, _, kind, page, _, _ in objects if kind == "term"}


def add_slugs(reading: SphinxTransform, slugs: dict[str, tuple]) -> None:
    """Let links find places of the page that is being read, its own links and those of others."""
    reading.document.__dict__.setdefault("myst_slugs", {}).update(slugs)
    reading.env.metadata[reading.env.docname].setdefault("myst_slugs", {}).update(slugs)


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the hooks, the first after sphinxcontrib-bibtex's own, which collects citations."""
    app.connect("env-updated", name_anchors, priority=900)
    app.connect("env-get-outdated", pages_with_terms)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
