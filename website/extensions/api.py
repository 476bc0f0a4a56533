"""Sphinx extension: what the API reference needs beyond autodoc and numpydoc.

A docstring writes a name in single backticks: a parameter, or an object of the package. It is a
link where the reference has an entry of that name, and code elsewhere. A name that begins with
``initcore.`` and is not there in the package fails the build. The fields of a named tuple stand
in its signature, and are not listed once more as aliases.
"""

from __future__ import annotations

import pkgutil
from collections import namedtuple
from typing import Any

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment

FIELD = type(namedtuple("Example", "field").field)


def show_as_code(
    app: Sphinx, env: BuildEnvironment, node: pending_xref, content: nodes.TextElement
) -> nodes.Node | None:
    """Return a name without an entry as it is; None leaves it to Sphinx, which warns."""
    if (node.get("refdomain"), node.get("reftype")) != ("py", "obj"):
        return None
    if node["reftarget"].partition(".")[0] == "initcore":
        try:
            pkgutil.resolve_name(node["reftarget"])
        except (ImportError, AttributeError):
            return None
    return content


def leave_out_fields(
    app: Sphinx, what: str, name: str, obj: Any, skip: bool, options: Any
) -> bool | None:
    """Leave out a field of a named tuple; None leaves the decision to autodoc."""
    return True if type(obj) is FIELD else None


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the hooks."""
    app.connect("autodoc-skip-member", leave_out_fields)
    app.connect("missing-reference", show_as_code)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
