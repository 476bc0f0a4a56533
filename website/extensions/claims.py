"""Sphinx extension: the ledger of claims, ``claims.yml``, and the cells that decide.

A *deciding cell* is a code cell of a chapter that calls `initcore.tables.decide`::

    decide("S1", "imprecise", "Small weights shrink the signal.", {"tanh": (ratio, "<", 1)})

It gets the id ``claim-S1``, so that ``[S1](#claim-S1)`` in its chapter and
``[S1](05_variance_derivation.ipynb#claim-S1)`` on another page lead to it. The directive
``{claims}`` shows the ledger as a table with links to the deciding cells and to the sources;
``[S1](../pages/claims.md#claim-S1)`` leads to a claim's row. The tests read the ledger and the
cells with the same functions.
"""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from docutils import nodes
from docutils.statemachine import StringList
from jinja2 import Template
from jsonschema import Draft202012Validator
from pybtex.database import parse_file
from pybtex.richtext import Text
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform
from sphinx.util.docutils import SphinxDirective

from website.extensions.anchors import add_slugs

LEDGER = "claims.yml"
BIBLIOGRAPHY = "references.bib"
SCHEMA = Path(__file__).with_name("claims.schema.json")
TEMPLATE = Path(__file__).with_name("claims.md.jinja")
SIGNS = {"true": "✓", "imprecise": "≈", "wrong": "✗"}  # said in words too, never by sign alone


class Claim(NamedTuple):
    """One claim of the ledger, with the keys of its sources and the chapters that decide it."""

    id: str
    statement: str
    verdict: str
    truth: str
    source: list[str]
    chapter: list[str]


class DecidingCall(NamedTuple):
    """A call of `decide`, with its first two arguments, ``""`` where one is not plain text."""

    claim: str
    verdict: str
    node: ast.Call


def load_claims(path: Path) -> list[Claim]:
    """Return the claims in a ledger, in its order.

    Raises
    ------
    ValueError
        An entry does not follow the schema, or two have one id. The message names the claim.
    """
    entries = yaml.safe_load(path.read_text(encoding="utf-8"))
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise ValueError(f"{path.name} must be a list of claims")
    schema = Draft202012Validator(json.loads(SCHEMA.read_text(encoding="utf-8")))
    claims: dict[str, Claim] = {}
    for number, entry in enumerate(entries, start=1):
        where = f"{path.name}, claim {entry.get('id', number)}"
        for error in schema.iter_errors(entry):
            raise ValueError(f"{where}, {error.json_path}: {error.message}")
        if entry["id"] in claims:
            raise ValueError(f"{where}: another claim has this id")
        chapters = entry["chapter"] if isinstance(entry["chapter"], list) else [entry["chapter"]]
        claims[entry["id"]] = Claim(**entry | {"chapter": chapters})
    return list(claims.values())


def load_sources(path: Path) -> dict[str, str]:
    """Return what to call each source of a BibTeX file, by its key: ``He et al. (2015)``."""
    names = {}
    for key, entry in parse_file(str(path)).entries.items():
        people = [
            str(Text.from_latex(" ".join([*person.prelast_names, *person.last_names])))
            for person in entry.persons.get("author", [])
        ]
        who = f"{people[0]} et al." if len(people) > 2 else " and ".join(people)
        names[key] = f"{who} ({entry.fields['year']})" if "year" in entry.fields else who
    return names


def deciding_calls(source: str) -> list[DecidingCall]:
    """Return the calls of `initcore.tables.decide` in the code of a cell.

    Examples
    --------
    >>> [(call.claim, call.verdict) for call in deciding_calls("decide('S1', 'true', '…', {})")]
    [('S1', 'true')]
    """
    try:
        tree = ast.parse(source)
    except SyntaxError:
        return []
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] == "decide":
            first = [arg.value if isinstance(arg, ast.Constant) else "" for arg in node.args[:2]]
            claim, verdict = (*first, "", "")[:2]
            found.append(DecidingCall(str(claim), str(verdict), node))
    return found


def anchor(claim: str) -> str:
    """Return the id of a claim's deciding cell in its chapter, and of its row in the table."""
    return f"claim-{claim}"


class ClaimAnchors(SphinxTransform):
    """Give the deciding cells their ids, and tell MyST where they and the table's rows are.

    MyST knows where a link can lead by the slugs of a page's headings, kept for the page itself
    and for others as (line, id, text): the claims are added to them. A link without a text of its
    own gets that text, the title of the page.
    """

    default_priority = 870  # MyST resolves the links within a page at 879

    def apply(self, **kwargs: Any) -> None:
        """Look at every code cell, and at the table."""
        ids = []
        for node in self.document.findall(nodes.container):
            ids += node.get("claims", [])
            if node.get("nb_element") == "cell_code":
                source = next((block.astext() for block in node.findall(nodes.literal_block)), "")
                decided = [anchor(call.claim) for call in deciding_calls(source) if call.claim]
                node["ids"] += decided
                ids += decided
        if ids:
            title = self.document.next_node(nodes.title).astext()
            add_slugs(self, {id_: (0, id_, title) for id_ in ids})


class ClaimsTable(SphinxDirective):
    """``{claims}``: the ledger as a table, which a narrow page shows as a list of blocks."""

    def run(self) -> list[nodes.Node]:
        """Read the ledger; the page is made anew when it or one of the chapters changes."""
        root = Path(self.env.srcdir)
        try:
            claims = load_claims(root / LEDGER)
        except (OSError, ValueError, yaml.YAMLError) as error:
            raise self.error(f"The table of claims cannot be made: {error}") from error
        chapters = [name for claim in claims for name in claim.chapter]
        for name in (LEDGER, BIBLIOGRAPHY, TEMPLATE, *chapters):
            self.env.note_dependency(str(root / name))
        text = Template(TEMPLATE.read_text(encoding="utf-8")).render(
            claims=claims, sources=load_sources(root / BIBLIOGRAPHY), signs=SIGNS, anchor=anchor
        )
        table = nodes.container(claims=[anchor(claim.id) for claim in claims], classes=["claims"])
        self.state.nested_parse(StringList(text.splitlines(), LEDGER), self.content_offset, table)
        return [table]


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the directive, the hook and the style sheet (found in ``html_static_path``)."""
    app.add_directive("claims", ClaimsTable)
    app.add_transform(ClaimAnchors)
    app.add_css_file("claims.css")
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
