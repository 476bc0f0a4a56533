"""Every claim of ``claims.yml`` is decided, by a cell that could decide otherwise.

A claim has one deciding cell in each of its chapters, with the ledger's verdict; a chapter lists
the claims that it decides; sources and chapters exist. `problems` finds what is wrong in a
course, and the tests show that it finds it.
"""

import ast
from pathlib import Path

import pytest
import yaml
from example_chapter import DECIDE, LEDGER, NAME, make_chapter, make_course
from notebook_rules import ROOT, Chapter, claims, inline, is_constant


def problems(root: Path) -> list[str]:
    """Return what is wrong with the ledger of a course, as sentences."""
    try:
        ledger = claims.load_claims(root / claims.LEDGER)
    except ValueError as error:
        return [str(error)]
    found = []
    sources = claims.load_sources(root / claims.BIBLIOGRAPHY)
    contents = files_in(yaml.safe_load((root / "_toc.yml").read_text(encoding="utf-8")))
    for claim in ledger:
        found += [f"{claim.id}: no source {key}" for key in claim.sources if key not in sources]
        for name in claim.chapters:
            if not (root / name).is_file():
                found.append(f"{claim.id}: {name} does not exist")
            if name not in contents and name.removesuffix(".ipynb") not in contents:
                found.append(f"{claim.id}: {name} is not in _toc.yml")
    names = {f"chapters/{path.name}" for path in (root / "chapters").glob("*.ipynb")}
    for name in sorted(names):
        found += [f"{name}: {problem}" for problem in _chapter(Chapter(root / name), name, ledger)]
    return found


def files_in(contents) -> set[str]:
    """Return the pages that a table of contents names."""
    if isinstance(contents, list):
        return set().union(*map(files_in, contents))
    if not isinstance(contents, dict):
        return set()
    own = {contents[key] for key in ("root", "file") if key in contents}
    return own.union(*map(files_in, contents.values()))


def _chapter(chapter, name, ledger):
    """Yield what is wrong with the deciding cells and with the list of one chapter."""
    verdicts = {claim.id: claim.verdict for claim in ledger}
    statements = {claim.id: claim.statement for claim in ledger}
    expected = [claim.id for claim in ledger if name in claim.chapters]
    decided = []
    for code in chapter.code:
        for call in claims.deciding_calls(code.source):
            where = f"code cell {code.number}"
            decided.append(call.claim)
            if call.claim not in verdicts:
                yield f"{where} decides {call.claim or 'no claim that is named'}, not in the ledger"
            elif call.verdict != verdicts[call.claim]:
                in_ledger = verdicts[call.claim]
                yield f"{where}: {call.claim} is {call.verdict}, {in_ledger} in the ledger"
            said = statements.get(call.claim, "")
            wanted = f'Claim {call.claim}: "{said}" Verdict: {call.verdict} '
            if wanted not in " ".join("".join(code.texts).split()):  # it is wrapped
                yield f"{where} does not print the ledger's statement and verdict on {call.claim}"
            yield from (f"{where}: {problem}" for problem in _call(call.node, code.tree))
    for claim in sorted(set(expected) | set(decided)):
        count = decided.count(claim)
        if claim in expected and count != 1:
            yield f"{claim} has {count} deciding cells"
        elif claim in verdicts and claim not in expected:
            yield f"{claim} is decided here, the ledger says elsewhere"
    section = chapter.section("Claims decided here")
    links = [
        (token.content, link.attrGet("href"))
        for token in section.tokens
        for link in inline([token], "link_open")
    ]
    listed = [href.removeprefix("#claim-") for _, href in links if href.startswith("#claim-")]
    if sorted(listed) != sorted(expected):
        yield f"it lists {sorted(listed)}, the ledger says {sorted(expected)}"
    for item in section.items():
        for claim in expected:
            if f"(#claim-{claim})" not in item:
                continue
            if f"[{claim}](#claim-{claim})" not in item:
                yield f"the link to {claim} does not say so"
            if verdicts[claim] not in item.lower():
                yield f"the list does not say that {claim} is {verdicts[claim]}"


def _call(node, tree):
    """Yield what is wrong with one call of `decide`."""
    places = [(line.lineno, line.col_offset) for line in tree.body if isinstance(line, ast.Expr)]
    if (node.lineno, node.col_offset) not in places:
        yield "decide(…) must stand on a line of its own, not in a condition, loop or function"
    named = {keyword.arg: keyword.value for keyword in node.keywords}
    checks = node.args[3] if len(node.args) > 3 else named.get("checks")
    if isinstance(checks, ast.Name):
        checks = assigned(checks.id, tree)
    if not isinstance(checks, ast.Dict) or not checks.keys:
        yield "the checks must be written out: {“what was checked”: whether it holds}"
        return
    for text, check in zip(checks.keys, checks.values, strict=True):
        if not isinstance(text, (ast.JoinedStr, ast.Constant)):
            yield "a check has no sentence that says what was checked"
        if is_settled(check):
            yield f"the check `{ast.unparse(check)}` hangs on nothing that was computed"


def assigned(name, tree):
    """Return the one value that a cell gives to a name, None if it does more with it than that."""
    uses = [node for node in ast.walk(tree) if isinstance(node, ast.Name) and node.id == name]
    values = [
        line.value
        for line in tree.body
        if isinstance(line, ast.Assign) and getattr(line.targets[0], "id", None) == name
    ]
    return values[0] if len(values) == 1 and len(uses) == 2 else None


def is_settled(check: ast.expr) -> bool:
    """Whether a check comes out the same whatever the chapter computes."""
    if isinstance(check, ast.Tuple):  # (value, relation, bound)
        return not check.elts or is_constant(check.elts[0])
    if isinstance(check, ast.BoolOp):
        return any(map(is_settled, check.values))
    if isinstance(check, ast.Compare) and len(check.ops) == 1:
        return ast.dump(check.left) == ast.dump(check.comparators[0]) or is_constant(check)
    return is_constant(check)


def test_the_claims_of_the_course_are_decided():
    assert problems(ROOT) == []


def test_the_example_is_right(tmp_path):
    make_course(tmp_path)
    assert problems(tmp_path) == []


# --- what is wrong in the ledger ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("  verdict: imprecise\n", "", "claim S1: `verdict` is missing"),
        ("  truth: It is the **spread** that shrinks.\n", "", "claim S1: `truth` is missing"),
        ("- id: S1\n  statement", "- statement", "`id` is missing"),
        ("[glorot2010]", "[]", "claim S1: `source` is missing"),
        ("verdict: imprecise", "verdict: true", "`verdict` must be text, quoted if need be: True"),
        ("verdict: imprecise", "verdict: false", "`verdict` is missing"),
        ("verdict: imprecise", "verdict: unclear", "must be one of true, imprecise, wrong"),
        ("verdict: imprecise", "verdict: [wrong]", "`verdict` must be text"),
        ("id: S1", "id: small", "`id` must be a letter and a number"),
        ("id: S1", "id: S1\n  note: x", "unknown fields note"),
        ("[glorot2010]", "[glorot2010, glorot2010]", "`source` names something twice"),
        (LEDGER, LEDGER + LEDGER, "the id S1 is there 2 times"),
        (LEDGER, "S1: true\n", "must be a list of claims"),
        (LEDGER, "- S1\n", "must be a list of claims"),
        ("[glorot2010]", "[glorot2010, he2015]", "S1: no source he2015"),
        (NAME, "chapters/04_large.ipynb", "S1: chapters/04_large.ipynb does not exist"),
        (NAME, "chapters/04_large.ipynb", "S1: chapters/04_large.ipynb is not in _toc.yml"),
        (NAME, "pages/claims.md", "S1 is decided here, the ledger says elsewhere"),
        ("verdict: imprecise", "verdict: wrong", "S1 is imprecise, wrong in the ledger"),
        ("id: S1", "id: S2", "decides S1, not in the ledger"),
        ("id: S1", "id: S2", "S2 has 0 deciding cells"),
        ("id: S1", "id: S2", "it lists ['S1'], the ledger says ['S2']"),
        (LEDGER, LEDGER + LEDGER.replace("S1", "S2"), "S2 has 0 deciding cells"),
    ],
)
def test_a_wrong_ledger_is_seen(tmp_path, old, new, message):
    make_course(tmp_path)
    ledger = tmp_path / claims.LEDGER
    text = ledger.read_text(encoding="utf-8")
    assert old in text
    ledger.write_text(text.replace(old, new), encoding="utf-8")
    assert any(message in problem for problem in problems(tmp_path)), problems(tmp_path)


def test_a_chapter_that_the_contents_leave_out_is_seen(tmp_path):
    make_course(tmp_path)
    (tmp_path / "_toc.yml").write_text("format: jb-book\nroot: intro\n", encoding="utf-8")
    assert problems(tmp_path) == [f"S1: {NAME} is not in _toc.yml"]


def test_the_contents_are_read_to_the_bottom():
    contents = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
    assert {"intro", "pages/claims", "pages/references"} <= files_in(contents)
    assert files_in({"parts": [{"chapters": [{"file": "a", "sections": [{"file": "b"}]}]}]}) == {
        "a",
        "b",
    }


# --- what is wrong in a chapter -----------------------------------------------------------------

DECIDING = 5  # the number of the deciding cell and of the last one in the example
END = 11
CALL = DECIDE
CHECKS = '{"it shrinks": (spread[0], "<", 1)}'


NAMED = f"checks = {CHECKS}\n{CALL.replace(CHECKS, 'checks')}"


@pytest.mark.parametrize(
    ("cell", "old", "new", "message"),
    [
        (DECIDING, CALL, "print(1)", "S1 has 0 deciding cells"),
        (DECIDING, CALL, f"{CALL}\n{CALL}", "S1 has 2 deciding cells"),
        (DECIDING, '"S1"', '"S2"', "decides S2, not in the ledger"),
        (DECIDING, '"S1"', "name", "decides no claim that is named"),
        (DECIDING, '"imprecise"', '"wrong"', "S1 is wrong, imprecise in the ledger"),
        (DECIDING, '"imprecise"', "verdict", "S1 is , imprecise in the ledger"),
        (DECIDING, CALL, f"if layers:\n    {CALL}", "on a line of its own"),
        (DECIDING, CALL, f"x = {CALL}", "on a line of its own"),
        (DECIDING, CALL, f"def f():\n    {CALL}", "on a line of its own"),
        (DECIDING, CHECKS, "checks", "written out"),
        (DECIDING, CALL, NAMED.replace('(spread[0], "<", 1)', "True"), "`True` hangs on nothing"),
        (DECIDING, CALL, NAMED.replace("decide", "checks.clear()\ndecide"), "written out"),
        (DECIDING, CALL, NAMED.replace("checks =", "if layers:\n    checks ="), "written out"),
        (DECIDING, CHECKS, "{}", "written out"),
        (DECIDING, f"    {CHECKS},\n", "", "written out"),
        (DECIDING, "(spread[0],", "(0.5,", "hangs on nothing"),
        (DECIDING, CHECKS, '{"it shrinks": ()}', "hangs on nothing"),
        (DECIDING, '(spread[0], "<", 1)', "True", "`True` hangs on nothing"),
        (DECIDING, '(spread[0], "<", 1)', "not False", "`not False` hangs on nothing"),
        (DECIDING, '(spread[0], "<", 1)', "bool(1)", "`bool(1)` hangs on nothing"),
        (DECIDING, '(spread[0], "<", 1)', "0 < 1", "`0 < 1` hangs on nothing"),
        (
            DECIDING,
            '(spread[0], "<", 1)',
            "spread is spread",
            "`spread is spread` hangs on nothing",
        ),
        (DECIDING, '(spread[0], "<", 1)', "bool(spread[0]) or True", "or True` hangs on nothing"),
        (DECIDING, '"it shrinks": (', "name: (", "no sentence that says"),
        (END, "- [S1](#claim-S1), imprecise: the spread", "- the spread", "it lists []"),
        (END, "[S1](#claim-S1)", "[S1](#claim-S1) [S2](#claim-S2)", "it lists ['S1', 'S2']"),
        (END, "[S1](#claim-S1)", "[here](#claim-S1)", "the link to S1 does not say so"),
        (END, "imprecise: the", "true: the", "does not say that S1 is imprecise"),
    ],
)
def test_a_wrong_deciding_cell_is_seen(tmp_path, cell, old, new, message):
    def spoil(chapter):
        assert old in chapter.cells[cell].source
        chapter.cells[cell].source = chapter.cells[cell].source.replace(old, new)

    make_chapter(tmp_path, spoil)
    assert any(message in problem for problem in problems(tmp_path)), problems(tmp_path)


def test_checks_may_have_a_name(tmp_path):
    make_chapter(tmp_path, lambda chapter: chapter.cells[DECIDING].update(source=NAMED))
    assert problems(tmp_path) == []


def test_a_deciding_cell_that_printed_nothing_is_seen(tmp_path):
    make_chapter(tmp_path, lambda chapter: chapter.cells[DECIDING].update(outputs=[]))
    assert problems(tmp_path) == [
        f"{NAME}: code cell 4 does not print the ledger's statement and verdict on S1"
    ]


def test_a_claim_is_decided_in_each_of_its_chapters(tmp_path):
    path = make_course(tmp_path)
    (tmp_path / "chapters/05_other.ipynb").write_bytes(path.read_bytes())
    ledger = tmp_path / claims.LEDGER
    both = LEDGER.replace(f"chapter: {NAME}", f"chapter: [{NAME}, chapters/05_other.ipynb]")
    ledger.write_text(both, encoding="utf-8")
    contents = (tmp_path / "_toc.yml").read_text(encoding="utf-8")
    (tmp_path / "_toc.yml").write_text(f"{contents}  - file: chapters/05_other.ipynb\n")
    assert problems(tmp_path) == []
    make_chapter(tmp_path, lambda chapter: chapter.cells[DECIDING].update(source="print(1)"))
    ledger.write_text(both, encoding="utf-8")
    (tmp_path / "_toc.yml").write_text(f"{contents}  - file: chapters/05_other.ipynb\n")
    assert problems(tmp_path) == [f"{NAME}: S1 has 0 deciding cells"]


def test_arguments_by_name_count_too():
    (call,) = claims.deciding_calls(
        "tables.decide('S1', checks={}, verdict='true', statement='It is.')"
    )
    assert (call.claim, call.verdict) == ("S1", "true")
    assert claims.deciding_calls("decide = 1\nx.decided('S1', 'true', {})") == []
    assert claims.deciding_calls("%magic") == []


# The statements that the course set out to decide, by topic: pretraining, symmetry, small and
# large weights, variance, Glorot, He, and what is said of nets in general. More may come.
IDS = {
    f"{letter}{n}"
    for letter, last in zip("PYSLVGHN", (5, 8, 4, 4, 5, 5, 5, 6), strict=True)
    for n in range(1, last + 1)
}


def test_the_ledger_keeps_the_claims_of_the_start():
    assert {claim.id for claim in claims.load_claims(ROOT / claims.LEDGER)} >= IDS
