"""The ledger of claims, ``claims.yml``: read it, find the cells that decide, show both on the site.

A *deciding cell* is a code cell of a chapter that calls `initcore.tables.decide`::

    decide("S1", "imprecise", {"tanh shrinks by a factor σ√n": abs(ratio / factor - 1) < 0.05})

As a Sphinx extension this module

- gives each deciding cell the id ``claim-S1``, so that ``[S1](#claim-S1)`` in its chapter and
  ``[S1](05_variance_derivation.ipynb#claim-S1)`` in another lead to it;
- adds the directive ``{claims}``, which lists the ledger with links to the deciding cells and to
  the sources. ``[S1](../pages/claims.md#claim-S1)`` leads to a claim in that list.

The tests read the ledger with the same functions.
"""

from __future__ import annotations

import ast
import json
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from docutils import nodes
from docutils.statemachine import StringList
from pybtex.database import parse_file
from pybtex.exceptions import PybtexError
from pybtex.richtext import Text
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError
from sphinx.transforms import SphinxTransform
from sphinx.util.docutils import SphinxDirective

LEDGER = "claims.yml"
BIBLIOGRAPHY = "references.bib"
REFERENCES = "pages/references.md"
VERDICTS = {"true": "✓", "imprecise": "≈", "wrong": "✗"}  # said in words too, never by sign alone
FIELDS = ("id", "statement", "verdict", "truth", "source", "chapter")


# --- the ledger ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Claim:
    """One claim of the ledger, with the keys of its sources and the chapters that decide it."""

    id: str
    statement: str
    verdict: str
    truth: str
    sources: tuple[str, ...]
    chapters: tuple[str, ...]


def load_claims(path: Path) -> list[Claim]:
    """Return the claims in a ledger, in its order.

    Raises
    ------
    ValueError
        An entry lacks a field or has an unknown one, a field is not text, the verdict is none of
        the three words, or two claims have one id. The message names the claim.
    """
    entries = yaml.safe_load(path.read_text(encoding="utf-8"))
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise ValueError(f"{path.name} must be a list of claims")
    claims = [_claim(path.name, entry) for entry in entries]
    for name, count in Counter(claim.id for claim in claims).items():
        if count > 1:
            raise ValueError(f"{path.name}: the id {name} is there {count} times")
    return claims


def _claim(ledger: str, entry: dict[str, Any]) -> Claim:
    where = f"{ledger}, claim {entry.get('id', entry)}"
    for field in FIELDS:
        if not entry.get(field):  # YAML reads an unquoted true as a bool, and no as False
            raise ValueError(f"{where}: `{field}` is missing")
    if unknown := set(entry) - set(FIELDS):
        raise ValueError(f"{where}: unknown fields {', '.join(sorted(unknown))}")
    lists = {}
    for field in FIELDS:
        value = entry[field]
        several = isinstance(value, list) and field in ("source", "chapter")
        lists[field] = values = value if several else [value]
        if not all(isinstance(text, str) and text.strip() for text in values):
            raise ValueError(f"{where}: `{field}` must be text, quoted if need be: {value}")
        if len(set(values)) < len(values):
            raise ValueError(f"{where}: `{field}` names something twice")
    if entry["verdict"] not in VERDICTS:
        raise ValueError(f"{where}: `verdict` must be one of {', '.join(VERDICTS)}")
    if not re.fullmatch(r"[A-Z]\d+", entry["id"]):
        raise ValueError(f"{where}: `id` must be a letter and a number, such as S1")
    texts = [lists[field][0].strip() for field in ("id", "statement", "verdict", "truth")]
    return Claim(*texts, sources=tuple(lists["source"]), chapters=tuple(lists["chapter"]))


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


# --- the cells that decide ----------------------------------------------------------------------


@dataclass(frozen=True)
class DecidingCall:
    """A call of `decide` with its first two arguments, ``""`` where one is not plain text."""

    claim: str
    verdict: str
    node: ast.Call


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
        if isinstance(node, ast.Call) and _name(node.func) == "decide":
            named = {keyword.arg: keyword.value for keyword in node.keywords}
            named |= dict(zip(("claim", "verdict", "statement", "checks"), node.args, strict=False))
            found.append(DecidingCall(_text(named.get("claim")), _text(named.get("verdict")), node))
    return found


def _name(node: ast.AST) -> str:
    return getattr(node, "id", None) or getattr(node, "attr", "")


def _text(node: ast.AST | None) -> str:
    is_text = isinstance(node, ast.Constant) and isinstance(node.value, str)
    return node.value if is_text else ""


def anchor(claim: str) -> str:
    """Return the id of a claim's deciding cell in its chapter, and of its row in the list."""
    return f"claim-{claim}"


# --- links to them ------------------------------------------------------------------------------


class ClaimAnchors(SphinxTransform):
    """Give deciding cells and the rows of the list their ids, and tell MyST where they are."""

    default_priority = 870  # MyST resolves the links within a page at 879

    def apply(self, **kwargs: Any) -> None:
        """Look at every code cell and every row of the document.

        MyST knows where a link can lead by the slugs of a page's headings, kept for the page
        itself and for others as (line, id, text): the claims are added to them.
        """
        slugs = {}
        for node in self.document.findall(nodes.Element):
            for claim in claims_at(node):
                node["ids"].append(anchor(claim))
                slugs[anchor(claim)] = (0, anchor(claim), f"claim {claim}")
        if slugs:
            self.document.__dict__.setdefault("myst_slugs", {}).update(slugs)
            self.env.metadata[self.env.docname].setdefault("myst_slugs", {}).update(slugs)


def claims_at(node: nodes.Element) -> list[str]:
    """Return the claims that a cell decides, or that a row of the list is about."""
    if node.get("nb_element") != "cell_code":
        return [node["claim"]] if "claim" in node else []
    source = next((block.astext() for block in node.findall(nodes.literal_block)), "")
    return [call.claim for call in deciding_calls(source) if call.claim]


# --- the list on the site -----------------------------------------------------------------------


class html_element(nodes.General, nodes.Element):  # noqa: N801  (docutils' names are like this)
    """An element of HTML with its attributes; other formats get its content only."""


def _open(translator: Any, node: html_element) -> None:
    translator.body.append(translator.starttag(node, node["tag"], "", **node["attributes"]))


def _close(translator: Any, node: html_element) -> None:
    translator.body.append(f"</{node['tag']}>\n")


def _pass(translator: Any, node: html_element) -> None:
    """Leave the element out."""


def element(tag: str, *children: Any, classes: Any = (), **attributes: str) -> html_element:
    """Return an HTML element; children are nodes, lists of nodes or plain text.

    An underscore in the name of an attribute stands for a hyphen.
    """
    node = html_element(
        tag=tag,
        attributes={name.replace("_", "-"): value for name, value in attributes.items()},
        classes=list(classes),
    )
    for child in children:
        node += nodes.Text(child) if isinstance(child, str) else child
    return node


class ClaimsList(SphinxDirective):
    """``{claims}``: the ledger as a table, which a narrow page shows as a list of blocks.

    The ARIA roles say again what the elements are, because a browser may forget it when a style
    sheet lays a table out as blocks.
    """

    HEADINGS = ("Claim", "As it is usually told", "Verdict", "What is the case")

    def run(self) -> list[nodes.Node]:
        """Read the ledger and the chapters; the page is made anew when one of them changes."""
        root = Path(self.env.srcdir)
        try:
            claims = load_claims(root / LEDGER)
            self.sources = load_sources(root / BIBLIOGRAPHY)
            self.titles = {name: title_of(root / name) for c in claims for name in c.chapters}
        except (OSError, ValueError, yaml.YAMLError, PybtexError) as error:
            raise ExtensionError(f"The list of claims cannot be made: {error}") from error
        for name in (LEDGER, BIBLIOGRAPHY, *self.titles):
            self.env.note_dependency(str(root / name))
        headings = [element("th", text, role="columnheader", scope="col") for text in self.HEADINGS]
        count = Counter(claim.verdict for claim in claims)
        summary = ", ".join(f"{count[verdict]} {verdict}" for verdict in VERDICTS)
        table = element(
            "table",
            element("caption", f"{len(claims)} claims: {summary}"),
            element("thead", element("tr", headings, role="row"), role="rowgroup"),
            element("tbody", [self.row(claim) for claim in claims], role="rowgroup"),
            classes=["claims-table"],
            role="table",
        )
        return [element("div", table, classes=["claims"])]

    def row(self, claim: Claim) -> html_element:
        """Return the row of one claim."""
        sign = element("span", VERDICTS[claim.verdict], aria_hidden="true")
        sources = ", ".join(
            f"[{self.sources.get(key, key)}](/{REFERENCES}#{key})" for key in claim.sources
        )
        decided = ", ".join(
            f"[{self.titles[name]}](/{name}#{anchor(claim.id)})" for name in claim.chapters
        )
        right = [
            *self.markdown(claim.truth),
            *self.markdown(f"{'Sources' if len(claim.sources) > 1 else 'Source'}: {sources}"),
            *self.markdown(f"Decided in: {decided}"),
        ]
        cells = [
            (self.markdown(claim.statement), []),
            ([sign, nodes.Text(f" {claim.verdict}")], [f"claims-{claim.verdict}"]),
            (right, []),
        ]
        row = element(
            "tr",
            element("th", claim.id, role="rowheader", scope="row"),
            [
                element("td", content, classes=classes, role="cell", data_label=heading)
                for heading, (content, classes) in zip(self.HEADINGS[1:], cells, strict=True)
            ],
            role="row",
        )
        row["claim"] = claim.id
        return row

    def markdown(self, text: str) -> list[nodes.Node]:
        """Return Markdown as nodes."""
        parent = nodes.Element()
        self.state.nested_parse(StringList([text], source=LEDGER), self.content_offset, parent)
        return parent.children


def title_of(path: Path) -> str:
    """Return the title of a notebook: its first ``# `` heading."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    text = "\n".join("".join(c["source"]) for c in cells if c["cell_type"] == "markdown")
    title = re.search(r"^# +(.+)$", text, re.MULTILINE)
    return title.group(1).strip() if title else path.stem


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the directive, the hook and the style sheet (found in ``html_static_path``)."""
    nothing = (_pass, _pass)
    app.add_node(
        html_element,
        html=(_open, _close),
        latex=nothing,
        text=nothing,
        man=nothing,
        texinfo=nothing,
    )
    app.add_directive("claims", ClaimsList)
    app.add_transform(ClaimAnchors)
    app.add_css_file("claims.css")
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
