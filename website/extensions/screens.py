"""Sphinx extension: the answers of the chapters, on a page of their own.

``{in-one-screen} chapters/03_small_random_weights`` puts there what this chapter says under *In one
screen*, without the paragraph about its figure. Text and links stand in the notebook only.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

HEADING = "## In one screen\n"


def screen(path: Path) -> str:
    """Return the answer in one screen of a notebook, its links as seen from a folder beside it.

    Raises
    ------
    ValueError
        There is none.
    """
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    texts = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown"]
    text = next((text.partition(HEADING)[2] for text in texts if HEADING in text), "")
    paragraphs = [part.strip() for part in text.partition("\n## ")[0].split("\n\n")]
    kept = [part for part in paragraphs if part and "figure" not in part]
    if not kept:
        raise ValueError(f"{path.name} has nothing under {HEADING.strip()!r}")
    folder = f"../{path.parent.name}/"
    answer = re.sub(r"\]\((?=\w+\.ipynb)", f"]({folder}", "\n\n".join(kept))
    return answer.replace("](#", f"]({folder}{path.name}#")


class InOneScreen(SphinxDirective):
    """``{in-one-screen} CHAPTER``, for a page in a folder beside that of the chapters."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Read the notebook; the page is made anew when it changes."""
        path = Path(self.env.srcdir, self.arguments[0] + ".ipynb")
        self.env.note_dependency(str(path))
        try:
            lines = screen(path).splitlines()
        except (OSError, ValueError) as error:
            raise self.error(f"The answer of a chapter cannot be shown: {error}") from error
        answer = nodes.container()
        self.state.nested_parse(StringList(lines, path.name), self.content_offset, answer)
        return answer.children


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the directive."""
    app.add_directive("in-one-screen", InOneScreen)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
