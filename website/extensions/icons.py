"""Of the theme's two thousand icons, the site keeps the few that it shows.

The theme brings Font Awesome twice, as a script of 1.5 MB and as fonts. The pages load the fonts
(``pages.py`` drops the script); the style sheets and the fonts keep only the icons that stand on a
page or that the theme's own rules name.
"""

from __future__ import annotations

import re
from pathlib import Path

from fontTools import subset

STYLES = ("styles/pydata-sphinx-theme.css", "styles/sphinx-book-theme.css")
UNUSED = ("scripts/fontawesome.js*", "scripts/*.map", "styles/*.map")

# .fa-house:before,.fa-home:before{content:"\f015"}
RULE = re.compile(r'((?:\.fa-[\w-]+:before,?)+)\{content:"[^"]*"\}')
# in the private part of Unicode, as itself or by its number
SIGN = re.compile(r"\\([ef][0-9a-f]{3})\b|([\ue000-\uf8ff])")
SOURCES = re.compile(r'(url\([^)]*/)([\w-]+)\.woff2\) format\("woff2"\),url\([^)]*\.ttf\) [^}]*')


def keep(style: str, shown: set[str]) -> str:
    """Return a style sheet with the rules of these icons alone, by their classes."""
    return RULE.sub(
        lambda rule: rule[0] if shown & set(re.findall(r"\.([\w-]+):", rule[1])) else "", style
    )


def keep_shown(static: Path, shown: set[str]) -> None:
    """Keep these icons in the theme's style sheets and fonts, which each build copies anew."""
    signs: set[int] = set()
    for path in (static / name for name in STYLES):
        style = keep(path.read_text(encoding="utf-8"), shown)
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
