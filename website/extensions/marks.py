r"""Number marks: a measured number in a sentence is a link to the cell that prints it.

A code cell has an id of its own, and a sentence names it::

    The spread falls by a factor of [57](#cell-id=across-inputs) a layer.

JupyterLab follows such a link to the cell. As a Sphinx extension this module makes it lead there
on the page too, where the cell gets the id ``cell-across-inputs``; other pages write
``[57](03_small_random_weights.ipynb#cell-id=across-inputs)``.

The tests read the numbers with the functions below: every number in the text of such a link must
be one that the cell prints, rounded to the digits that the sentence gives.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform

from website.extensions.anchors import add_slugs

PREFIX = "cell-id="
NUMBER = re.compile(r"(?<![\w.])(\d+(?:\.\d+)?(?:e[-+]?\d+)?)(%?)(?![\w]|\.\d)", re.IGNORECASE)
# How a sentence writes what a cell prints as 1.8e-05 and 1437.
AS_PRINTED = (
    (re.compile(r"\{,\}|\\,|(?<=\d),(?=\d{3}(?!\d))"), ""),
    (re.compile(r"\s*(?:\\cdot|\\times|·|×)\s*10\^\{?(-?\d+)\}?"), r"e\1"),
    (re.compile(r"(?<![\d.e])10\^\{?(-?\d+)\}?"), r"1e\1"),
    (re.compile(r"\\%"), "%"),
    (re.compile(r"[$−]"), ""),
)


def numerals(text: str) -> list[str]:
    r"""Return the numbers in a text as they are printed, without their signs.

    Examples
    --------
    >>> numerals(r"from $1.8\cdot10^{-5}$ to 1,437, or 69%")
    ['1.8e-5', '1437', '69%']
    """
    for pattern, replacement in AS_PRINTED:
        text = pattern.sub(replacement, text)
    return ["".join(found) for found in NUMBER.findall(text)]


def is_printed(numeral: str, output: str) -> bool:
    """Return whether an output holds a number, in more digits or in as many.

    A share may be printed as one and written in percent.

    Examples
    --------
    >>> is_printed("0.97", "accuracy 0.9721 [0.961, 0.981]"), is_printed("69%", "0.688")
    (True, True)
    >>> is_printed("0.99", "accuracy 0.9721 [0.961, 0.981]")
    False
    """
    value, percent = float(numeral.rstrip("%")), numeral.endswith("%")
    mantissa = numeral.rstrip("%").lower().split("e")[0].replace(".", "").lstrip("0")
    digits = max(len(mantissa), 1)
    for printed in numerals(output):
        number = float(printed.rstrip("%"))
        candidates = [number] if percent == printed.endswith("%") else []
        candidates += [100 * number] if percent and not printed.endswith("%") else []
        if any(f"{c:.{digits - 1}e}" == f"{value:.{digits - 1}e}" for c in candidates):
            return True
    return False


class CellAnchors(SphinxTransform):
    """Give every code cell the id ``cell-…``, and tell MyST where ``#cell-id=…`` leads."""

    default_priority = 871  # MyST resolves the links within a page at 879

    def apply(self, **kwargs: Any) -> None:
        """Look at the code cells of a notebook; other pages have none."""
        path = Path(self.env.doc2path(self.env.docname))
        if path.suffix != ".ipynb":
            return
        ids = [cell.get("id", "") for cell in json.loads(path.read_text("utf-8"))["cells"]]
        slugs = {}
        for node in self.document.findall(nodes.container):
            if node.get("nb_element") == "cell_code" and ids[node["cell_index"]]:
                name = ids[node["cell_index"]]
                node["ids"].append(f"cell-{name}")
                slugs[PREFIX + name] = (0, f"cell-{name}", f"cell {name}")
        add_slugs(self, slugs)


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the transform."""
    app.add_transform(CellAnchors)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
