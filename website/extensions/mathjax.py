"""Sphinx extension: formulas are set by a copy of MathJax in the site itself."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx
from sphinx.errors import ExtensionError

# What ``website/tools/javascript.py`` installed.
SOURCE = Path(__file__).resolve().parents[1] / "node_modules" / "mathjax"
# The page loads tex-chtml.js and the fonts it uses. The rest is asked for only by rarer TeX
# commands and by the accessibility entries of the menu on a formula, and works offline as well.
FILES = (
    "LICENSE",
    "es5/tex-chtml.js",
    "es5/output/chtml/fonts/woff-v2/*.woff",
    "es5/input/tex/extensions/*.js",
    "es5/a11y/*.js",
    "es5/sre/mathmaps/base.json",
    "es5/sre/mathmaps/en.json",
)


def copy(app: Sphinx) -> None:
    """Copy MathJax into the site, where ``mathjax_path`` of ``_config.yml`` expects it."""
    if app.builder.format != "html":
        return
    if not (SOURCE / "es5" / "tex-chtml.js").is_file():
        raise ExtensionError("MathJax is missing: run `python -m website.tools.javascript` first")
    for pattern in FILES:
        for source in SOURCE.glob(pattern):
            path = source.relative_to(SOURCE).as_posix().removeprefix("es5/")
            target = Path(app.outdir, "_static", "mathjax", path)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the hook."""
    app.connect("builder-inited", copy)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
