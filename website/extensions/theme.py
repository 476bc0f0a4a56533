"""Sphinx extension: what the theme leaves wanting for keyboards, screen readers, phones and paper.

The written pages are mended, because the theme has most of these words in its templates. Each
change names the rule that it keeps; ``tests/site`` finds what is still missing, in a browser.
The looks (contrast, print, narrow pages) are in ``assets/theme.css`` and ``theme.js``.
"""

from __future__ import annotations

import html
import re
from typing import Any

from sphinx.application import Sphinx

from website.extensions.book import rewrite_pages

TOGGLE = re.compile(r'(<a class="[^"]*reference[^>]*>([^<]*)</a><details[^>]*>)<summary>')
PRINT_HEAD = re.compile(
    r'<div id="jb-print-docs-body" class="onlyprint">.*?(?=<div id="searchbox">)', re.DOTALL
)
PARAMETERS = re.compile(r'<dl>\n((?:<dd><em class="sig-param">.*?</dd>\n)+)</dl>')
FORMULA_LINK = re.compile(
    r'(<a class="reference[^"]*" href="[^"]*")'
    r'(>(?:<span class="std[^>]*>)?<span class="math[^>]*>\\\(([^<]*)\\\)(?:</span>)+</a>)'
)
DOES = {"window.print()": "print", "toggleFullScreen()": "full-screen"}


def spoken(tex: str) -> str:
    r"""Return a number in TeX in words.

    Examples
    --------
    >>> spoken(r"4.1\cdot10^{-7}")
    '4.1 times 10 to the power −7'
    """
    tex = re.sub(r"\\(?:cdot|times)\s*", " times ", tex)
    tex = re.sub(r"\^(?:\{([^}]*)\}|(\w))", r" to the power \1\2", tex)
    return tex.replace("-", "−").replace("\\", "")


def mend(page: str) -> str:
    """Return a written page with better names and headings; mending twice changes nothing."""
    # The name of a button must hold the words that it shows (WCAG 2.5.3): "Search Ctrl + K".
    page = page.replace(
        'search-button-field search-button__button pst-js-only" title="Search" aria-label="Search"',
        'search-button-field search-button__button pst-js-only" title="Search"',
    )
    # A folded cell is named by what it says, "Show code cell source".
    page = page.replace('<summary aria-label="Toggle hidden content">', "<summary>")
    # The icons' titles become texts within the button, which is named "Color mode".
    page = re.sub(r'(<i class="theme-switch [^>]*?)\s+title="[^"]*"', r"\1", page)
    # The arrows of the sidebar have no name (4.1.2).
    page = TOGGLE.sub(r'\1<summary aria-label="Pages below \2">', page)
    # Nor has a link that is a formula, to all screen readers (2.4.4).
    page = FORMULA_LINK.sub(
        lambda link: f'{link[1]} aria-label="{html.escape(spoken(link[3]))}"{link[2]}', page
    )
    # Code in an attribute is what a Content-Security-Policy forbids: theme.js does it.
    for code, name in DOES.items():
        page = page.replace(f'onclick="{code}"', f'data-does="{name}"')
    # A second title and a table of contents, for paper only: one heading of the first level.
    page = PRINT_HEAD.sub("", page)
    # A signature on several lines is a list of definitions without terms (1.3.1).
    return PARAMETERS.sub(
        lambda found: (
            '<span class="sig-lines">'
            + found[1].replace("<dd>", '<span class="sig-line">').replace("</dd>", "</span>")
            + "</span>"
        ),
        page,
    )


def mend_pages(app: Sphinx, exception: Exception | None) -> None:
    """Mend all pages of the written site."""
    rewrite_pages(app, exception, lambda page, folder: mend(page))


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the hook and the files of the looks."""
    app.add_css_file("theme.css")
    app.add_js_file("theme.js", loading_method="defer")
    app.connect("build-finished", mend_pages)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
