"""The ledger of claims, ``claims.yml``, and the cells that decide, by `initcore.tables.decide`.

The page of the claims is made from both, by website/tools/lists.py. The tests read the ledger and
the cells with the same functions.
"""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import NamedTuple

import yaml
from jsonschema import Draft202012Validator

LEDGER = "claims.yml"
SCHEMA = Path(__file__).with_name("claims.schema.json")


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
    """Return the claims in a ledger, in its order; a `ValueError` names a claim that is wrong."""
    text = path.read_text(encoding="utf-8")
    try:
        entries = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, LookupError, AttributeError, RecursionError) as error:
        raise ValueError(f"{path.name} is no YAML: {' '.join(str(error).split())}") from None
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


def deciding_calls(source: str) -> list[DecidingCall]:
    """Return the calls of `initcore.tables.decide` in the code of a cell."""
    try:
        tree = ast.parse(source)
    except SyntaxError:
        return []
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] == "decide":
            first = [str(arg.value) if isinstance(arg, ast.Constant) else "" for arg in node.args]
            found.append(DecidingCall(*[*first, "", ""][:2], node))
    return found
