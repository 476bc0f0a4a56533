"""The site's pictures: smaller files, and the sizes that the pages tell (see ``pages.py``)."""

from __future__ import annotations

import re
from pathlib import Path

from PIL import Image

SVG_SIZE = re.compile(r'<svg\b[^>]*\sviewBox="[\d.-]+ [\d.-]+ ([\d.]+) ([\d.]+)"')


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
