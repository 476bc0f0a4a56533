"""Sphinx extension: sources and terms can be linked to from any page or notebook.

- A source on the references page by its key:
  ``[Glorot and Bengio (2010)](../pages/references.md#glorot2010)``.
- A term of the glossary, with hyphens for spaces:
  ``[saturated](../pages/glossary.md#term-saturated)``.
"""

from __future__ import annotations

import re
from typing import Any

from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util.nodes import _make_id


def name_citations(app: Sphinx, env: BuildEnvironment) -> None:
    """Let MyST links find the sources of a bibliography by their keys.

    MyST knows a page's headings by their slugs: (line, id, text). The ids of the sources, made
    from ``bibtex_cite_id``, are added to them.
    """
    for citation in env.get_domain("cite").citations:
        slugs = env.metadata[citation.bibliography_key.docname].setdefault("myst_slugs", {})
        slugs[citation.citation_id] = (0, citation.citation_id, citation.formatted_entry.label)


def name_terms(app: Sphinx, env: BuildEnvironment) -> None:
    """Let MyST links find the terms of the glossary, as `name_citations` does for the sources."""
    for term, _, kind, page, anchor, _ in env.get_domain("std").get_objects():
        if kind == "term":
            env.metadata[page].setdefault("myst_slugs", {})[anchor] = (0, anchor, term)


def term_anchors(text: str) -> dict[str, str]:
    """Return the terms of the glossaries in a page's Markdown, with the ids that Sphinx gives them.

    Examples
    --------
    >>> term_anchors("```{glossary}\\nfan-in\\n  Inputs of a unit.\\n```")
    {'fan-in': 'term-fan-in'}
    """
    blocks = re.findall(r"^```\{glossary\}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    terms = re.findall(r"^\w.*$", "\n".join(blocks), re.MULTILINE)
    return {term.strip(): _make_id(f"term-{term.strip()}") for term in terms}


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the hooks."""
    # after sphinxcontrib-bibtex's own handler of this event, which collects the citations
    app.connect("env-updated", name_citations, priority=900)
    app.connect("env-updated", name_terms)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
