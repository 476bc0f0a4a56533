"""Sphinx extension: each written page is mended, in one pass over its tree.

The theme has most of this in its templates, where it cannot be changed. Each step is a function of
a page and names the rule that it keeps; ``tests/site`` finds what is still missing, in a browser.
The last step gives the page its policy: a page that has one was mended by an earlier build.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from bs4 import BeautifulSoup
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError

from website.extensions import assets, policy
from website.tools.links import page_names

# Not needed: Font Awesome as a script (the fonts are enough), sphinx-thebe (it needs a server), and
# the theme's list of versions (there is one).
UNUSED = re.compile(r"fontawesome\.js|thebe|THEBE|kernelName =|OPTIONS\.pagename")
JOINT = re.compile(r"(?<=[._(=,])(?=[^\W\d]|[\"'])")
PNG = re.compile(r"^((?:[^:]*/)?_images/[^:]+)\.png$")
ICON = {"name": ["i", "span"], "class_": re.compile("^fa-")}
DOES = {"window.print()": "print", "toggleFullScreen()": "full-screen"}


def drop_unused(page: BeautifulSoup) -> None:
    """A page neither loads nor holds what nothing on it needs."""
    for script in page("script"):
        if UNUSED.search(f"{script.get('src')} {script.get('type')} {script.get_text()}"):
            script.decompose()
    for link in page("link", href=re.compile("thebe")):
        link.decompose()


def defer_scripts(page: BeautifulSoup) -> None:
    """The text is painted before scripts run; the search has some that need others first."""
    if not page.find("script", src=re.compile("searchtools")):
        for script in page("script", src=True, type=False, defer=False):
            script["defer"] = "defer"


def name_controls(page: BeautifulSoup) -> None:
    """A control has a name (WCAG 4.1.2), which holds the words that it shows (2.5.3)."""
    for button in page("button", class_="search-button-field"):
        del button["aria-label"]  # it shows "Search Ctrl + K"
    for icon in page("i", class_="theme-switch"):
        del icon["title"]  # a text within the button, which is named "Color mode"
    for summary in page("summary"):
        if summary.get("aria-label") == "Toggle hidden content":
            del summary["aria-label"]  # it shows "Show code cell source"
        link = summary.parent.find_previous_sibling()
        if link and link.name == "a" and "reference" in link.get("class", ()):
            summary["aria-label"] = f"Pages below {link.get_text()}"  # an arrow of the sidebar


def name_formulas(page: BeautifulSoup) -> None:
    """A link has a name for all screen readers (2.4.4), though it be a number in TeX."""
    for formula in page.select("a span.math"):
        link, tex = formula.find_parent("a"), formula.get_text()
        if link.get_text() == tex:
            tex = re.sub(r"\\(?:cdot|times)\s*", " times ", tex.strip(r"\()"))
            tex = re.sub(r"\^(?:\{([^}]*)\}|(\w))", r" to the power \1\2", tex)
            link["aria-label"] = tex.replace("-", "−").replace("\\", "")


def keep_one_heading(page: BeautifulSoup) -> None:
    """A page has one h1 (1.3.1): Jupyter Book's second one, made for printing, is dropped."""
    for copy in page("div", id="jb-print-docs-body"):
        copy.decompose()


def move_code(page: BeautifulSoup) -> None:
    """No code stands in an attribute, which the policy forbids: ``theme.js`` does it."""
    for button in page("button", onclick=list(DOES)):
        button["data-does"] = DOES[button["onclick"]]
        del button["onclick"]


def hide_icons(page: BeautifulSoup) -> None:
    """A sign of the icons' fonts is nothing to be read out (1.1.1)."""
    for icon in page(**ICON):
        icon["aria-hidden"] = "true"


def count_columns(page: BeautifulSoup) -> None:
    """A text in columns, as a printed table, tells their number: ``course.css`` makes it fit.

    On paper a short one stays on one page.
    """
    for text in page("pre"):
        lines = text.get_text().splitlines()
        text["style"] = f"--columns: {max(map(len, lines), default=0)}"
        if len(lines) <= 12:
            text["style"] += "; break-inside: avoid"


def break_names(page: BeautifulSoup) -> None:
    """Code in a cell of a table goes on in the next line, where one of its names is joined."""
    for code in page.select("table:not(.autosummary) code .pre"):
        first, *others = JOINT.split(code.get_text())
        code.string = first
        for part in others:
            code.extend([page.new_tag("wbr"), part])


def show_pictures(page: BeautifulSoup, folder: Path) -> None:
    """A picture is light, keeps its place while it loads, and all but the first load when near."""
    for link in page("a", href=PNG):
        link["href"] = PNG.sub(r"\1.webp", link["href"])
    for image in page("img", src=re.compile("^[^:]+$"), width=False, height=False):
        image["src"] = PNG.sub(r"\1.webp", image["src"])
        image["width"], image["height"] = map(str, assets.size(folder / unquote(image["src"])))
    figures = [image for image in page("img") if "logo__image" not in image.get("class", ())]
    for image in figures[1:]:
        image["loading"], image["decoding"] = "lazy", "async"


STEPS = (
    *(drop_unused, defer_scripts, name_controls, name_formulas, keep_one_heading, move_code),
    *(hide_icons, count_columns, break_names),
)


def mend(page: BeautifulSoup, folder: Path) -> None:
    """Take all steps for a page that stands in this folder."""
    for step in STEPS:
        step(page)
    show_pictures(page, folder)
    policy.harden(page)


def mend_site(app: Sphinx, exception: Exception | None) -> None:
    """Mend all pages of the written site, and with them its pictures, its icons and its policy."""
    if exception:
        return
    site = Path(app.outdir)
    assets.convert(site / app.builder.imagedir)
    shown, scripts = set(), set()
    for path in (site / name for name in page_names(site)):
        page = BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")
        if not page.find("meta", policy.META):
            try:
                mend(page, path.parent)
            except ValueError as error:
                raise ExtensionError(f"{path}: {error}") from error
            path.write_text(str(page), encoding="utf-8")
        shown.update(name for icon in page(**ICON) for name in icon["class"])
        scripts |= policy.inline_scripts(page)
    assets.keep_icons(site / "_static", shown)
    policy.write(site, "", policy.line(policy.PAGES, scripts))


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the hook, after all others that write pages, and the files of the looks."""
    # A change here writes every page anew: by itself Sphinx sees changes of a page's text only, and
    # copies no style sheet where there are none.
    here = Path(__file__).parents[1]
    parts = sorted([*here.glob("extensions/*.*"), *here.glob("assets/**/*.*")])
    code = hashlib.sha256(b"".join(path.read_bytes() for path in parts)).hexdigest()
    app.add_config_value("website_code", code, "html", [str])
    app.add_js_file("theme.js", loading_method="defer")
    app.connect("build-finished", mend_site, priority=950)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
