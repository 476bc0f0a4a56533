"""Sphinx extension: what the book needs beyond Jupyter Book's own settings.

- MathJax is served by the site itself, from what ``website/tools/javascript.py`` installed.
- The sources on the references page can be linked to by key from any page or notebook:
  ``[Glorot and Bengio (2010)](../pages/references.md#glorot2010)``.
- The terms of the glossary can be linked to in the same way:
  ``[saturated](../pages/glossary.md#term-saturated)``, with hyphens for spaces.
- sphinx-thebe puts an inline script on every page, twice, whether it is used or not: dropped.
"""

from __future__ import annotations

import hashlib
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.errors import ExtensionError
from sphinx.util.nodes import _make_id

MATHJAX = Path(__file__).resolve().parents[1] / "node_modules" / "mathjax"
# The page loads tex-chtml.js and the fonts it uses. The rest is asked for only by rarer TeX
# commands and by the accessibility entries of the menu on a formula, and works offline as well.
MATHJAX_FILES = (
    "LICENSE",
    "es5/tex-chtml.js",
    "es5/output/chtml/fonts/woff-v2/*.woff",
    "es5/input/tex/extensions/*.js",
    "es5/a11y/*.js",
    "es5/sre/mathmaps/base.json",
    "es5/sre/mathmaps/en.json",
)


def find_mathjax(app: Sphinx) -> None:
    """Stop the build of a site whose formulas would stay raw."""
    if app.builder.format == "html" and not (MATHJAX / "es5" / "tex-chtml.js").is_file():
        raise ExtensionError("MathJax is missing: run `python -m website.tools.javascript` first")


def copy_mathjax(app: Sphinx, exception: Exception | None) -> None:
    """Copy MathJax into the built site, where ``mathjax_path`` of ``_config.yml`` expects it."""
    if exception or app.builder.format != "html":
        return
    for pattern in MATHJAX_FILES:
        for source in MATHJAX.glob(pattern):
            path = source.relative_to(MATHJAX).as_posix().removeprefix("es5/")
            target = Path(app.outdir, "_static", "mathjax", path)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)


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


def drop_thebe(app: Sphinx, pagename: str, templatename: str, context: dict, doctree: Any) -> None:
    """Remove sphinx-thebe's scripts: the inline one stands twice and fails in the console."""
    context["script_files"] = [
        script
        for script in context.get("script_files", [])
        if "thebe" not in str(getattr(script, "filename", "")).lower()
        and "THEBE" not in (getattr(script, "attributes", None) or {}).get("body", "")
    ]
    context["css_files"] = [
        css
        for css in context.get("css_files", [])
        if "thebe" not in str(getattr(css, "filename", "")).lower()
    ]


def defer_scripts(
    app: Sphinx, pagename: str, templatename: str, context: dict, doctree: Any
) -> None:
    """Let the text of a page be painted before its scripts run, which still run in their order.

    Not on the page of the search, whose template has scripts of its own that need these first.
    """
    if pagename == "search":
        return
    # Sphinx has one object for all pages, which is left as it is: this page gets its own.
    context["script_files"] = [
        type(script)(script.filename, priority=script.priority, defer="defer", **attributes)
        if script.filename and not {"body", "type", "defer"} & set(attributes)
        else script
        for script in context["script_files"]
        for attributes in [getattr(script, "attributes", None) or {}]
    ]


def rewrite_pages(
    app: Sphinx, exception: Exception | None, mend: Callable[[str, Path], str]
) -> None:
    """Replace each page of the written site by what `mend` makes of its text and its folder.

    Not those of the theme's own files, nor of the browser's kernel, which is another program.
    """
    if exception or app.builder.format != "html":
        return
    for path in Path(app.outdir).rglob("*.html"):
        if {"_static", "lite"} & set(path.relative_to(app.outdir).parts):
            continue
        page = path.read_text(encoding="utf-8")
        if (mended := mend(page, path.parent)) != page:
            path.write_text(mended, encoding="utf-8")


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the hooks."""
    # A change here writes every page anew: by itself Sphinx sees changes of a page's text only, and
    # copies no style sheet where there are none.
    here = Path(__file__).parents[1]
    parts = sorted([*here.glob("extensions/*.py"), *here.glob("assets/**/*.*")])
    code = hashlib.sha256(b"".join(path.read_bytes() for path in parts)).hexdigest()
    app.add_config_value("website_code", code, "html", [str])
    app.connect("builder-inited", find_mathjax)
    app.connect("build-finished", copy_mathjax)
    # after sphinxcontrib-bibtex's own handler of this event, which collects the citations
    app.connect("env-updated", name_citations, priority=900)
    app.connect("env-updated", name_terms)
    app.connect("html-page-context", drop_thebe, priority=900)
    app.connect("html-page-context", defer_scripts, priority=910)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
