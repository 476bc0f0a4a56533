"""Sphinx extension: of the theme's two thousand icons a page loads the few that the site shows.

The theme brings Font Awesome twice: as a script of 1.5 MB, which every page would wait for, and as
fonts. Either alone is enough. The script is left out of the written pages; the style sheet and the
fonts keep only the icons that stand on a page or that the theme's own rules name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from fontTools.subset import Options, Subsetter, load_font, save_font
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError

from website.extensions.book import rewrite_pages

FONTS = Path("_static", "vendor", "fontawesome", "webfonts")
STYLES = ("pydata-sphinx-theme.css", "sphinx-book-theme.css")

SCRIPT = re.compile(r'[ \t]*<script src="[^"]*/fontawesome\.js[^"]*"></script>\n?')
ICON = re.compile(r'<(i|span) class="([^"]*\bfa-[^"]*)"(?: aria-hidden="true")?')
# .fa-house:before,.fa-home:before{content:"\f015"}
RULE = re.compile(r'((?:\.fa-[\w-]+:before,?)+)\{content:"[^"]*"\}')
# in the private part of Unicode, as itself or by its number
SIGN = re.compile(r"\\([ef][0-9a-f]{3})\b|([\ue000-\uf8ff])")
SOURCES = re.compile(r'(url\([^)]*/)([\w-]+)\.woff2\) format\("woff2"\),url\([^)]*\.ttf\) [^}]*')


def lighten(page: str) -> str:
    """Return a page without the script, whose icons say nothing to screen readers.

    Examples
    --------
    >>> lighten('<i class="fas fa-expand"></i>')
    '<i class="fas fa-expand" aria-hidden="true"></i>'
    """
    return ICON.sub(r'<\1 class="\2" aria-hidden="true"', SCRIPT.sub("", page))


def names(page: str) -> set[str]:
    """Return the classes of the icons on a page."""
    return {name for _, classes in ICON.findall(page) for name in classes.split()}


def keep(style: str, shown: set[str]) -> str:
    r"""Return a style sheet with the rules of these icons alone.

    Examples
    --------
    >>> keep(r'.fa-sun:before{content:"\f185"}.fa-moon:before{content:"\f186"}', {"fa-sun"})
    '.fa-sun:before{content:"\\f185"}'
    """

    def kept(rule: re.Match) -> str:
        return rule[0] if shown & set(re.findall(r"\.([\w-]+):", rule[1])) else ""

    return RULE.sub(kept, style)


def write_fonts(folder: Path, signs: Iterable[int]) -> None:
    """Replace the fonts of a folder by WOFF files that hold these signs alone."""
    for path in sorted(folder.glob("*.ttf")):
        options = Options(flavor="woff", notdef_outline=True)
        font = load_font(path, options)
        subsetter = Subsetter(options)
        subsetter.populate(unicodes=signs)
        subsetter.subset(font)
        save_font(font, path.with_suffix(".woff"), options)
        path.unlink()
        path.with_suffix(".woff2").unlink()


def lighten_site(app: Sphinx, exception: Exception | None) -> None:
    """Leave out of the written site what no page shows; the theme's files are new in each build."""
    shown: set[str] = set()

    def lightened(page: str, folder: Path) -> str:
        shown.update(names(page))
        return lighten(page)

    rewrite_pages(app, exception, lightened)
    if exception or app.builder.format != "html":
        return
    site = Path(app.outdir)
    signs: set[int] = set()
    for name in STYLES:
        path = site / "_static" / "styles" / name
        style = keep(path.read_text(encoding="utf-8"), shown)
        signs.update(int(n, 16) if n else ord(itself) for n, itself in SIGN.findall(style))
        path.write_text(SOURCES.sub(r'\1\2.woff) format("woff")', style), encoding="utf-8")
    if not signs:
        raise ExtensionError(f"No icon is left in {', '.join(STYLES)}: has the theme changed?")
    write_fonts(site / FONTS, signs)
    for pattern in ("scripts/fontawesome.js*", "scripts/*.map", "styles/*.map"):
        for path in (site / "_static").glob(pattern):
            path.unlink()


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the hook."""
    app.connect("build-finished", lighten_site)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
