"""Sphinx extension: MathJax, pictures and icons for the site, and no more than it needs.

Formulas are set by a copy of MathJax in the site itself. Pictures are WebP. The theme brings Font
Awesome twice, as a script of 1.5 MB and as fonts: the pages load the fonts (``pages.py``, which
calls what stands here, drops the script), and these keep only the icons that stand on a page or
that the theme's own rules name.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

from fontTools import subset
from PIL import Image
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError

# What ``website/tools/javascript.py`` installed. The page loads tex-chtml.js and the fonts it uses;
# the rest is for rarer TeX commands and the accessibility entries of the menu on a formula.
MATHJAX = Path(__file__).resolve().parents[1] / "node_modules/mathjax"
OF_MATHJAX = (
    *("LICENSE", "es5/tex-chtml.js", "es5/output/chtml/fonts/woff-v2/*.woff"),
    *("es5/input/tex/extensions/*.js", "es5/a11y/*.js"),
    *("es5/sre/mathmaps/base.json", "es5/sre/mathmaps/en.json"),
)
SVG_SIZE = re.compile(r'<svg\b[^>]*\sviewBox="[\d.-]+ [\d.-]+ ([\d.]+) ([\d.]+)"')
STYLES = ("styles/pydata-sphinx-theme.css", "styles/sphinx-book-theme.css")
UNUSED = ("scripts/fontawesome.js*", "scripts/*.map", "styles/*.map")
# .fa-house:before,.fa-home:before{content:"\f015"}
RULE = re.compile(r'((?:\.fa-[\w-]+:before,?)+)\{content:"[^"]*"\}')
# in the private part of Unicode, as itself or by its number
SIGN = re.compile(r"\\([ef][0-9a-f]{3})\b|([\ue000-\uf8ff])")
SOURCES = re.compile(r'(url\([^)]*/)([\w-]+)\.woff2\) format\("woff2"\),url\([^)]*\.ttf\) [^}]*')


def copy_mathjax(app: Sphinx) -> None:
    """Copy MathJax into the site, where ``mathjax_path`` of ``_config.yml`` expects it."""
    if not (MATHJAX / "es5/tex-chtml.js").is_file():
        raise ExtensionError("MathJax is missing: run `python -m website.tools.javascript` first")
    for source in (path for pattern in OF_MATHJAX for path in MATHJAX.glob(pattern)):
        name = source.relative_to(MATHJAX).as_posix().removeprefix("es5/")
        target = Path(app.outdir, "_static/mathjax", name)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)


def convert(folder: Path) -> None:
    """Replace PNG pictures by WebP, without loss: less than half of the bytes."""
    for path in folder.glob("*.png"):
        with Image.open(path) as image:
            image.save(path.with_suffix(".webp"), lossless=True, method=4)
        path.unlink()


def size(path: Path) -> tuple[int, int]:
    """Return the width and the height of a picture: in pixels, or an SVG's own units."""
    if path.suffix == ".svg":
        found = SVG_SIZE.search(path.read_text(encoding="utf-8"))
        if not found:
            raise ValueError(f"{path} has no viewBox, which tells the size of an SVG picture")
        return round(float(found[1])), round(float(found[2]))
    with Image.open(path) as image:
        return image.size


def keep_icons(static: Path, shown: set[str]) -> None:
    """Keep these icons in the theme's style sheets and fonts, which each build copies anew."""

    def kept(rule: re.Match) -> str:
        return rule[0] if shown & set(re.findall(r"\.([\w-]+):", rule[1])) else ""

    signs: set[int] = set()
    for path in (static / name for name in STYLES):
        style = RULE.sub(kept, path.read_text(encoding="utf-8"))
        signs.update(int(n, 16) if n else ord(itself) for n, itself in SIGN.findall(style))
        path.write_text(SOURCES.sub(r'\1\2.woff) format("woff")', style), encoding="utf-8")
    if not signs:
        raise ValueError(f"no icon is left in {', '.join(STYLES)}: has the theme changed?")
    for path in (static / "vendor/fontawesome/webfonts").glob("*.ttf"):
        chosen = f"--unicodes={','.join(f'{sign:x}' for sign in sorted(signs))}"
        target = f"--output-file={path.with_suffix('.woff')}"
        subset.main([str(path), chosen, "--flavor=woff", "--notdef-outline", target])
        path.unlink()
        path.with_suffix(".woff2").unlink()
    for path in (path for pattern in UNUSED for path in static.glob(pattern)):
        path.unlink()


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the hook."""
    app.connect("builder-inited", copy_mathjax)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
