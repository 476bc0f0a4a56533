"""Every claim of ``claims.yml`` is decided, by a cell that could decide otherwise.

A claim has one deciding cell in each of its chapters, with the ledger's statement and verdict, and
a chapter lists the claims that it decides, each linked to its cell. `problems` finds what is wrong
in a course, and the tests show that it finds it. The page of the claims: tests/test_lists.py.
"""

import ast

import nbformat
import pytest
from chapter import Chapter, is_constant
from example_chapter import DECIDE, LEDGER, NAME, make_chapter, make_course
from nbformat.v4 import new_notebook
from small_site import ROOT

from website.tools import claims

OTHER = "chapters/05_other.ipynb"


def problems(root):
    """Return what is wrong with the ledger of a course and with its chapters, as sentences."""
    try:
        ledger = claims.load_claims(root / claims.LEDGER)
    except ValueError as error:
        return [str(error)]
    names = {f"chapters/{path.name}" for path in (root / "chapters").glob("*.ipynb")}
    found = []
    for name in sorted(names):
        chapter = Chapter(root / name)
        expected = [claim for claim in ledger if name in claim.chapter]
        for problem in (*wrong_calls(chapter, ledger, expected), *wrong_list(chapter, expected)):
            found.append(f"{name}: {problem}")
    return found


def wrong_calls(chapter, ledger, expected):
    """Yield what is wrong with the deciding cells of a chapter."""
    known = {claim.id: claim for claim in ledger}
    decided = []
    for code in chapter.code:
        for call in claims.deciding_calls(code.source):
            where = f"code cell {code.number}"
            decided.append(call.claim)
            if call.claim not in known:
                yield f"{where} decides {call.claim or 'no claim that is named'}, not in the ledger"
                continue
            claim = known[call.claim]
            if call.verdict != claim.verdict:
                yield f"{where}: {claim.id} is {call.verdict}, {claim.verdict} in the ledger"
            wanted = f'Claim {claim.id}: "{claim.statement}" Verdict: {claim.verdict} '
            if wanted not in " ".join("".join(code.texts).split()):  # it is wrapped
                yield f"{where} does not print the ledger's statement and verdict on {claim.id}"
            yield from (f"{where}: {problem}" for problem in wrong_checks(call.node, code.tree))
    for claim in expected:
        if decided.count(claim.id) != 1:
            yield f"{claim.id} has {decided.count(claim.id)} deciding cells"
    for id_ in set(decided) & (set(known) - {claim.id for claim in expected}):
        yield f"{id_} is decided here, the ledger says elsewhere"


def wrong_checks(call, tree):
    """Yield what is wrong with one call of `decide`."""
    lines = [(line.lineno, line.col_offset) for line in tree.body if isinstance(line, ast.Expr)]
    if (call.lineno, call.col_offset) not in lines:
        yield "decide(…) must stand on a line of its own, not in a condition, loop or function"
    checks = call.args[3] if len(call.args) > 3 else None
    if isinstance(checks, ast.Name):
        assigned = [line for line in tree.body if isinstance(line, ast.Assign)]
        values = {ast.unparse(line.targets[0]): line.value for line in assigned}
        checks = values.get(checks.id)
    if not isinstance(checks, ast.Dict) or not checks.keys:
        yield "the checks must be written out: {“what was checked”: whether it holds}"
        return
    for check in checks.values:
        measured = check.elts[0] if isinstance(check, ast.Tuple) else check  # (value, "<", bound)
        if is_constant(measured):
            yield f"the check `{ast.unparse(check)}` hangs on nothing that was computed"


def wrong_list(chapter, expected):
    """Yield which of its claims a chapter does not list, or lists with another verdict."""
    items = chapter.section("Claims decided here").items()
    calls = [(code, call) for code in chapter.code for call in claims.deciding_calls(code.source)]
    cells = {call.claim: code.cell.id for code, call in calls}
    for claim in expected:
        link = f"[{claim.id}](#cell-id={cells.get(claim.id)})"
        if not any(link in item and claim.verdict in item.lower() for item in items):
            yield f"its list does not say that {link} is {claim.verdict}"


def test_the_claims_of_the_course_are_decided():
    assert problems(ROOT) == []


def test_the_example_is_right(tmp_path):
    make_course(tmp_path)
    assert problems(tmp_path) == []


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("  verdict: imprecise\n", "", "claims.yml, claim S1, $: 'verdict' is a required property"),
        ("- id: S1\n  statement", "- statement", "claim 1, $: 'id' is a required property"),
        ("[glorot2010]", "[]", "claim S1, $.source: [] should be non-empty"),
        ("verdict: imprecise", "verdict: true", "claim S1, $.verdict: True is not one of ['true'"),
        ("id: S1", "id: small", "claim small, $.id: 'small' does not match"),
        ("id: S1", "id: S1\n  note: x", "properties are not allowed ('note' was unexpected)"),
        (LEDGER, LEDGER + LEDGER, "claim S1: another claim has this id"),
        (LEDGER, "S1: true\n", "must be a list of claims"),
        (NAME, "pages/claims.md", "S1 is decided here, the ledger says elsewhere"),
        ("verdict: imprecise", "verdict: wrong", "S1 is imprecise, wrong in the ledger"),
        ("With small", "With large", "does not print the ledger's statement and verdict on S1"),
        ("id: S1", "id: S2", "decides S1, not in the ledger"),
        ("id: S1", "id: S2", "S2 has 0 deciding cells"),
        (NAME, f"[{NAME}, {OTHER}]", f"{OTHER}: S1 has 0 deciding cells"),
    ],
)
def test_a_wrong_ledger_is_seen(tmp_path, old, new, message):
    make_course(tmp_path)
    nbformat.write(new_notebook(), tmp_path / OTHER)
    assert old in LEDGER
    (tmp_path / claims.LEDGER).write_text(LEDGER.replace(old, new), encoding="utf-8")
    assert any(message in problem for problem in problems(tmp_path)), problems(tmp_path)


CHECK = '(spread[0], "<", 1)'
LISTED = "[S1](#cell-id=cell-5)"
CHECKS = f'{{"it shrinks": {CHECK}}}'
NAMED = f"checks = {CHECKS}\n{DECIDE.replace(CHECKS, 'checks')}"


def changed(folder, old, new):
    """Write the course with something else in place of a part of its chapter."""

    def change(chapter):
        (cell,) = (cell for cell in chapter.cells if old in cell.source)
        cell.source = cell.source.replace(old, new)

    make_chapter(folder, change)
    return problems(folder)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (DECIDE, f"{DECIDE}\n{DECIDE}", "S1 has 2 deciding cells"),
        ('"S1"', "name", "decides no claim that is named"),
        ('"imprecise"', "verdict", "S1 is , imprecise in the ledger"),
        (DECIDE, f"if layers:\n    {DECIDE}", "on a line of its own"),
        (CHECKS, "checks", "written out"),
        (DECIDE, NAMED.replace("(spread[0],", "(0.5,"), "hangs on nothing"),
        (CHECK, '(0.5, "<", 1)', "hangs on nothing"),
        (CHECK, "bool(1)", "`bool(1)` hangs on nothing"),
        (LISTED, "[here](#cell-id=cell-5)", f"does not say that {LISTED} is imprecise"),
        (LISTED, "[S1](#cell-id=cell-4)", f"does not say that {LISTED} is imprecise"),
        ("imprecise: the", "true: the", f"does not say that {LISTED} is imprecise"),
    ],
)
def test_a_wrong_deciding_cell_is_seen(tmp_path, old, new, message):
    found = changed(tmp_path, old, new)
    assert any(message in problem for problem in found), found


def test_checks_may_have_a_name(tmp_path):
    assert changed(tmp_path, DECIDE, NAMED) == []


def test_the_ledger_keeps_the_claims_of_the_start():
    """Those that the course set out to decide, by topic; more may come."""
    last = {"P": 5, "Y": 8, "S": 4, "L": 4, "V": 5, "G": 5, "H": 5, "N": 6}
    start = {f"{topic}{n}" for topic, count in last.items() for n in range(1, count + 1)}
    assert {claim.id for claim in claims.load_claims(ROOT / claims.LEDGER)} >= start
