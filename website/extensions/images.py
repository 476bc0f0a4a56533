"""Sphinx extension: the pictures of a page are light, and no text jumps as they come.

- The site has its PNG pictures as WebP, with the very same colours: less than half of the bytes.
- Every picture tells its width and height. Sphinx writes neither for the figures of a notebook.
  They are read from the picture files and added to the written pages, where a browser takes the
  room that a picture will need from them.
- A browser asks for a picture as the reader comes near it, or prints the page; for the first one
  of a page at once.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from PIL import Image
from sphinx.application import Sphinx

from website.extensions.book import rewrite_pages

IMAGE = re.compile(r'<img\b(?![^>]*\s(?:width|height)=)([^>]*?\ssrc="([^":]+)"[^>]*?)\s*/?>')
PNG = re.compile(r'(\s(?:src|href)="(?:[^":]*/)?_images/[^":]+)\.png"')
FIGURE = re.compile(r'<img\b(?![^>]*\sclass="logo__image)')
SVG_SIZE = re.compile(r'<svg\b[^>]*\sviewBox="[\d.-]+ [\d.-]+ ([\d.]+) ([\d.]+)"')


def size(path: Path) -> tuple[int, int]:
    """Return the width and the height of a picture: in pixels, or an SVG's own units."""
    if path.suffix == ".svg":
        found = SVG_SIZE.search(path.read_text(encoding="utf-8"))
        if not found:
            raise ValueError(f"{path} has no viewBox, which tells the size of an SVG picture")
        return round(float(found[1])), round(float(found[2]))
    with Image.open(path) as image:
        return image.size


def convert(folder: Path) -> None:
    """Replace the PNG pictures of a folder by WebP, without loss."""
    for path in folder.glob("*.png"):
        with Image.open(path) as image:
            image.save(path.with_suffix(".webp"), lossless=True, method=4)
        path.unlink()


def show_converted(page: str) -> str:
    """Return a page that shows what `convert` made of the site's pictures.

    Examples
    --------
    >>> show_converted('<img alt="A dial" src="../_images/a.png">')
    '<img alt="A dial" src="../_images/a.webp">'
    """
    return PNG.sub(r'\1.webp"', page)


def add_sizes(page: str, folder: Path) -> str:
    """Return a page of this folder whose pictures all have a width and a height.

    Those after the first, the theme's own aside, are loaded as the reader comes near them.
    """
    first = FIGURE.search(page)

    def sized(image: re.Match) -> str:
        width, height = size(folder / unquote(image[2]))
        later = first and image.start() > first.start()
        when = ' loading="lazy" decoding="async"' if later else ""
        return f'<img{image[1]} width="{width}" height="{height}"{when}/>'

    return IMAGE.sub(sized, page)


def mend_pages(app: Sphinx, exception: Exception | None) -> None:
    """Convert the pictures of the written site, and mend all pages that show them."""
    if not exception and app.builder.format == "html":
        convert(Path(app.outdir, app.builder.imagedir))
    rewrite_pages(app, exception, lambda page, folder: add_sizes(show_converted(page), folder))


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the hook."""
    app.connect("build-finished", mend_pages)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
