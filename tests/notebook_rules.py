"""The rules a chapter's notebook keeps: what nbval cannot see, and what a reader is promised.

No kernel is needed: the rules look at the stored file. nbval compares text only, and only in
cells that let it, so a chapter can pass nbval and be wrong. Each rule is a function of a `Chapter`
that yields what is wrong as sentences; its docstring says what is right; `RULES` lists them, and
``test_notebooks.py`` breaks each. Links are checked on the built site (``make book``).
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from functools import cache
from itertools import takewhile
from pathlib import Path

from chapter import NOT_COMPARED, Chapter, inline, is_constant
from markdown_it.token import Token
from marks import is_printed, numerals

from initcore.explorers import EXPLORERS
from website.extensions import anchors
from website.tools import notebooks, setup_cell, students

SECTIONS = """\
In one screen
What you will learn
Predict first
Turn it yourself
When it breaks
Takeaway
What practitioners do today
Exercises
Check yourself
Claims decided here
References""".splitlines()
MOST_LINES = 20  # of a cell
MOST_CELLS = 70  # of a chapter
SHORTEST_ALT = 40  # characters
TAGS = {"hide-input", "solution"}
# What a chapter may import: another package would have to be in requirements.txt, and modules that
# read files, the clock, the network or hide what happens are left out on purpose.
IMPORTS = set(
    "collections fractions functools initcore ipywidgets itertools math matplotlib numpy "
    "statistics textwrap".split()
)
# What the code of no chapter holds. Ruff refuses more: draws from NumPy's global generator, an
# `except` for every exception or that only passes, an assertion of a tuple.
REFUSED = {
    "is a marker of nbval": r"(?i)NBVAL\w*|PYTEST_VALIDATE\w*",
    "has no seed": r"\b(default_rng|\w*Sequence|PCG64|RandomState)\((None)?\)|\bseed=None[,)](?!:)",
    "hides warnings or output": r"\b(errstate|seterr|clear_output|get_ipython)\b|\bOutput\(|file=",
    "replaces output that nbval would compare": r"\b(display_id|update_display)\b",
    "swallows errors": r"\binteract(ive|ive_output)?\(",
    "reads or writes a file": r"\b(open|savefig|loadtxt|savetxt)\(|\bnp\.(load|savez?)\(",
}
# What another machine or another run would print differently.
UNSTABLE = {
    "nan": r"(?i)\bnan\b",
    "a negative zero": r"(?<![\w.])-0(\.0*)?(e[+-]?0+)?(?![\d.e])",
    "nine decimals": r"\d\.\d{9}",
    "an address": r"\b0x[0-9a-f]{6,}|\bobject at\b|<(function|generator|bound method)\b",
    "a path of one machine": r"(^|[\s'\"(])(/(home|root|tmp|Users|var|usr)/|[A-Z]:\\)",
    "a control character": r"[\x00-\x08\x0b-\x1f\x7f]",
}
# A role, a directive, a label of a line or of a formula.
MYST = re.compile(r"(?<![`\w}])\{[a-z][\w:.-]*\}`|^(:::+|```\{|~~~\{|\([\w-]+\)=|\$\$ \().*", re.M)
SYMBOLS = re.compile(r"\$[^$]*\$|`[^`]*`")  # formulas and code


# --- executed, and compared by nbval ------------------------------------------------------------


def is_executed_from_top_to_bottom(chapter: Chapter) -> Iterator[str]:
    """The counts are 1, 2, … n, in cells and in outputs."""
    for code in chapter.code:
        counts = [cell.execution_count for cell in code.cell.outputs if "execution_count" in cell]
        for count in (code.cell.execution_count, *counts):
            if count != code.number:
                yield f"{code} has the execution count {count}"


def is_stored_by_make_notebooks(chapter: Chapter) -> Iterator[str]:
    """The file is as ``make notebooks`` stores it: metadata, folded cells, the text of a figure."""
    wanted = notebooks.to_text(notebooks.normalise(chapter.notebook))
    if chapter.path.read_text(encoding="utf-8") != wanted:
        yield "the file is not as `make notebooks` stores it"


def stores_no_error(chapter: Chapter) -> Iterator[str]:
    """No output is an error or comes from stderr."""
    for code in chapter.code:
        for output in code.cell.outputs:
            if output.output_type == "error" or output.get("name") == "stderr":
                yield f"{code} stores an error or stderr"


def lets_nbval_see_every_cell(chapter: Chapter) -> Iterator[str]:
    """No tag, no kind of cell and no kind of output that nbval or the page passes over."""
    for number, cell in enumerate(chapter.notebook.cells, start=1):
        if cell.cell_type == "raw":
            yield f"cell {number} is raw, which JupyterLab shows and the page does not"
        for tag in set(cell.metadata.get("tags", ())) - TAGS:
            if cell.id != setup_cell.ID:
                yield f"cell {number} has the tag {tag}"
    for code in chapter.code:
        for kind in set().union(*(kinds for kinds, _ in code.outputs)) - NOT_COMPARED:
            if not kind.startswith("text/"):
                yield f"{code} stores {kind}; pictures are PNG"


def is_plain_python(chapter: Chapter) -> Iterator[str]:
    """No magic, no shell, nothing that hides what happens, has no seed or touches a file."""
    for code in chapter.code:
        try:
            ast.parse(code.source)
        except SyntaxError as error:
            yield f"{code} is not plain Python: {error.text}"
        for what, pattern in REFUSED.items():
            if match := re.search(pattern, code.source):
                yield f"{code}: `{match.group()}` {what}"


def imports_initcore(chapter: Chapter) -> Iterator[str]:
    """The machinery is the package's; other imports are few."""
    own = [code.tree for code in chapter.code if code.cell.id != setup_cell.ID]
    nodes = [node for tree in own for node in ast.walk(tree)]
    names = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    names += [node.module or "." for node in nodes if isinstance(node, ast.ImportFrom)]
    roots = {name.split(".")[0] for name in names}
    if "initcore" not in roots:
        yield "initcore is not imported"
    for root in sorted(roots - IMPORTS):
        yield f"{root} is imported: no chapter may, see IMPORTS in tests/notebook_rules.py"


def begins_with_the_setup_cell(chapter: Chapter) -> Iterator[str]:
    """Wherever the notebook is opened, its first code cell sees to it that initcore is there."""
    config = chapter.root / "_config.yml"
    wanted = setup_cell.make(config)
    cells = enumerate(chapter.notebook.cells)
    found = [(n, cell.source, cell.metadata) for n, cell in cells if cell.id == setup_cell.ID]
    if (found or config.is_file()) and found != [(1, wanted.source, wanted.metadata)]:
        yield "the setup cell is missing or not that of website/tools/setup_cell.py"


def says_what_it_computes(chapter: Chapter) -> Iterator[str]:
    """A cell that computes prints, shows or asserts something."""
    definitions = (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.ClassDef)
    for code in chapter.code:
        computes = [
            line
            for line in code.tree.body
            if not isinstance(line, definitions)
            and not (isinstance(line, ast.Assign) and is_constant(line.value))
        ]
        if computes and not (code.asserts or code.draws or "".join(code.texts).strip()):
            yield f"{code} computes and neither prints nor asserts"


def prints_what_is_stable(chapter: Chapter) -> Iterator[str]:
    """No stored text that another machine or another run would give differently."""
    for code in chapter.code:
        for what, pattern in UNSTABLE.items():
            if match := re.search(pattern, code.all_text):
                yield f"{code} prints {what}: {match.group()!r}"


# --- figures and panels -------------------------------------------------------------------------


def says_what_a_figure_shows(chapter: Chapter) -> Iterator[str]:
    """A cell draws one figure at most, and each picture has an alternative text."""
    texts = [image.content for tokens in chapter.markdown for image in inline(tokens, "image")]
    for code in chapter.code:
        found = notebooks.pictures(code.cell)
        texts += map(notebooks.alt_text, found)
        if len(found) > 1:
            yield f"{code} draws {len(found)} figures"
    for text in texts:
        if len(text.strip()) < SHORTEST_ALT:
            yield f"a picture has no alternative text: {text!r}"


def stores_live_figures_as_they_are(chapter: Chapter) -> Iterator[str]:
    """What the page runs, a figure's module and its numbers, is that of the package."""
    stored = chapter.notebook.metadata.get("widgets", {}).get(notebooks.WIDGET_STATE, {})
    for model in stored.get("state", {}).values():
        state = model["state"]
        if model["model_module"] != "anywidget" or state.get("name") not in EXPLORERS:
            continue
        now = EXPLORERS[state["name"]]
        traits = {"_esm": now._esm, "_css": now._css, "data": now.stored()}
        traits |= {"measured": list(now.MEASURED), "columns": list(map(list, now.COLUMNS.items()))}
        traits |= {"formats": now.FORMATS}
        for trait, fresh in traits.items():
            if state[trait] != fresh:
                yield f"the figure {now.__name__} has another {trait}: run `make notebooks`"


def gives_the_numbers_of_a_figure(chapter: Chapter) -> Iterator[str]:
    """nbval does not compare pictures: their numbers are printed or asserted at once."""
    made = set().union(*(code.names(ast.Store) for code in chapter.code))
    for code, after in zip(chapter.code, [*chapter.code[1:], None], strict=True):
        if code.draws and not code.has_numbers:
            shared = made & code.names(ast.Load, ast.Store) & after.names(ast.Load) if after else ()
            if not shared or not after.has_numbers:
                yield f"{code}: no number of its figure is printed or asserted, here or in the next"


def drives_its_panels(chapter: Chapter) -> Iterator[str]:
    """A panel of controls is moved by the next cell, which prints what it shows."""
    panels = 0
    for code, after in zip(chapter.code, [*chapter.code[1:], None], strict=True):
        for name in re.findall(r"^(\w+) = widgets\.panel\(", code.source, re.MULTILINE):
            panels += 1
            if f"{name}.show()" not in code.source:
                yield f"{code} makes a panel and does not show it"
            if not after or f"{name}.set(" not in after.source or not after.has_numbers:
                yield f"the cell after {code} does not move `{name}` and print"
    if not panels:
        yield "there is no panel of controls (initcore.widgets.panel) to turn"


def is_short(chapter: Chapter) -> Iterator[str]:
    """A chapter has about 60 cells, a cell at most 20 lines that hold more than text."""
    if len(chapter.notebook.cells) > MOST_CELLS:
        yield f"there are {len(chapter.notebook.cells)} cells, {MOST_CELLS} at most"
    for code in chapter.code:
        texts = [n for n in ast.walk(code.tree) if isinstance(n, ast.JoinedStr)]
        nodes = set(ast.walk(code.tree)).difference(*map(ast.walk, texts))
        kinds = (ast.stmt, ast.Name, ast.keyword)
        lines = {n.lineno for n in nodes if isinstance(n, kinds) and not isinstance(n, ast.Expr)}
        if len(lines) > MOST_LINES:
            yield f"{code} has {len(lines)} lines of code, {MOST_LINES} at most"


# --- text ---------------------------------------------------------------------------------------


def is_plain_markdown(chapter: Chapter) -> Iterator[str]:
    """No role, directive or other MyST syntax that JupyterLab shows raw."""
    for cell in chapter.notebook.cells:
        if cell.cell_type == "markdown" and (match := MYST.search(cell.source)):
            yield f"MyST syntax, which JupyterLab shows raw: {match.group()}"


def pieces(tokens: list[Token], *, prose: bool = False) -> Iterator[tuple[str, str | None]]:
    """Yield the text in pieces as it is written, each with the target of the link it stands in.

    `prose` is without headings and tables.
    """
    signs = {"math_inline": "$", "code_inline": "`"}
    for before, token in zip(tokens, tokens[1:], strict=False):
        if prose and before.tag in ("h1", "h2", "h3", "th", "td"):
            continue
        text, href = "", None
        for part in token.children or []:
            if part.type in ("link_open", "link_close"):
                yield text, href
                text, href = "", part.attrGet("href") if part.type == "link_open" else None
            else:
                sign = signs.get(part.type, "")
                text += f"{sign}{part.content}{sign}" or " "  # a line's end has no content
        yield text, href


def marks_measured_numbers(chapter: Chapter) -> Iterator[str]:
    """A measured number in a sentence leads to the cell that prints it, and is what it prints."""
    printed = {n for code in chapter.code for n in numerals("\n".join(code.texts))}
    given = {n for code in chapter.code for n in numerals(code.source)}
    for tokens in chapter.markdown:
        formulas = [*inline(tokens, "math_inline"), *(t for t in tokens if t.type == "math_block")]
        given |= {n for formula in formulas for n in numerals(formula.content)}
    for tokens in chapter.markdown:
        yield from problems_of_marks(tokens, chapter.path)
        for numeral in unmarked(tokens):
            if numeral in printed - given and len(numeral.replace(".", "").strip("0%")) > 1:
                yield f"{numeral} is printed by a cell, and no mark in the text says by which"


def problems_of_marks(tokens: list[Token], path: Path) -> Iterator[str]:
    """Yield what is wrong with the marks in the Markdown of a page or a chapter."""
    for text, href in pieces(tokens):
        name, _, cell = (href or "").partition(f"#{anchors.PREFIX}")
        if not cell:
            continue
        there = outputs_by_id((path.parent / name).resolve() if name else path)
        if cell not in there:
            yield f"the mark [{text}]({href}) names no code cell"
        elif not numerals(text) and f"Claim {text}:" not in there[cell]:
            yield f"the mark [{text}]({href}) holds no number, and no claim that its cell decides"
        for numeral in numerals(text):
            if not is_printed(numeral, there.get(cell, "")):
                yield f"the cell of [{text}]({href}) does not print {numeral}"


@cache
def outputs_by_id(path: Path) -> dict[str, str]:
    """Return what the code cells of a notebook put out, by their ids."""
    is_chapter = path.suffix == ".ipynb" and path.is_file()
    return {code.cell.id: code.all_text for code in Chapter(path).code} if is_chapter else {}


def unmarked(tokens: list[Token]) -> Iterator[str]:
    """Yield the decimals and percentages that stand in plain text, outside links and formulas."""
    for text, href in pieces(tokens):
        if href is None:
            yield from (n for n in numerals(SYMBOLS.sub("\0", text)) if re.search(r"[.%]", n))


def links_first_uses_to_the_glossary(chapter: Chapter) -> Iterator[str]:
    """The first time that a chapter's text uses a term of the glossary, it links to it."""
    glossary = (chapter.root / "pages/glossary.md").read_text(encoding="utf-8")
    explained = glossary.partition("\n## ")[0]  # the other list leads into the chapters
    found = [piece for tokens in chapter.markdown for piece in pieces(tokens, prose=True)]
    for anchor, term in anchors.TERM.findall(explained):
        words = r"\s+".join(map(re.escape, term.split()))
        word = re.compile(rf"(?<![\w-]){words}(?:e?s)?(?![\w-])", re.IGNORECASE)
        target = f"glossary.md#{anchor}"
        uses = (href for text, href in found if word.search(SYMBOLS.sub("\0", text)))
        if not next((href for href in uses if not href or href.endswith(target)), target):
            yield f"the first use of “{term}” is no link to the glossary"


# --- the parts of a chapter ---------------------------------------------------------------------


def has_the_sections_of_a_chapter(chapter: Chapter) -> Iterator[str]:
    """A question as the title; the sections once, in order, with something in them."""
    if not chapter.notebook.cells[0].source.startswith("# ") or chapter.title[-1:] != "?":
        yield f"the notebook does not begin with a title that is a question: {chapter.title!r}"
    titles = [section.title for section in chapter.sections]
    if [title for title in titles if title in SECTIONS] != SECTIONS:
        yield f"the sections are not once each, in order, {', '.join(SECTIONS)}: {titles}"
    for title in SECTIONS:
        if not (chapter.section(title).code or chapter.section(title).text.strip()):
            yield f"`## {title}` is empty"


def keeps_the_promises_of_its_sections(chapter: Chapter) -> Iterator[str]:
    """Objectives and needs; a prediction before the first figure; what breaks; names; sources."""
    objectives = chapter.section("What you will learn")
    if not 2 <= len(objectives.items()) <= 4:
        yield f"{len(objectives.items())} learning objectives in a list, not two to four"
    if "you need" not in f"{chapter.opening.text}\n{objectives.text}".lower():
        yield "the beginning does not say what you need (“You need …”)"
    if "?" not in chapter.section("Predict first").text:
        yield "`## Predict first` asks nothing"
    parts = (chapter.opening, *chapter.sections)
    for section in takewhile(lambda part: part.title != "Predict first", parts):
        if section.title != "In one screen" and any(code.draws for code in section.code):
            yield f"`## {section.title}` shows a figure before `## Predict first`"
    if not any(code.has_numbers for code in chapter.section("When it breaks").code):
        yield "`## When it breaks` holds no experiment with printed or asserted numbers"
    for library in ("Keras", "PyTorch", "JAX"):
        if library not in chapter.section("What practitioners do today").text:
            yield f"`## What practitioners do today` does not name {library}"
    items = chapter.section("References").items()
    if not items or not all("](" in item for item in items):
        yield "`## References` is not a list of links"


def has_exercises_with_solutions(chapter: Chapter) -> Iterator[str]:
    """Three exercises or more, each with a solution: a folded cell with the tag ``solution``."""
    exercises = students.exercises(chapter.notebook)
    if len(exercises) < 3:
        yield f"{len(exercises)} exercises (`### …`), three or more are wanted"
    for title, cells in exercises.items():
        solutions = [cell.source for cell in cells if students.is_solution(cell)]
        if not solutions or not all("</details>" in text for text in solutions):
            yield f"the exercise “{title}” has no solution with that tag and in <details>"


def gives_one_hint_an_exercise(chapter: Chapter) -> Iterator[str]:
    """The text of an exercise, which students get, folds one hint; the answer is not in it."""
    cells = [cell for cell in chapter.notebook.cells if cell.cell_type == "markdown"]
    text = "\n".join(cell.source for cell in cells if not students.is_solution(cell))
    section = f"\n{text}".partition("\n## Exercises\n")[2].partition("\n## ")[0]
    for title, own in students.exercises(chapter.notebook).items():
        part = section.partition(f"\n### {title}\n")[2].partition("\n### ")[0]
        hints = re.findall(r"<details>\s*<summary>Hint</summary>\s*(\S.*?)</details>", part, re.S)
        if len(hints) != 1:
            yield f"the text of the exercise “{title}” has {len(hints)} hints, not one"
        solution = "\n".join(cell.source for cell in own if students.is_solution(cell))
        for answer in re.findall(r"`my_\w+ = ([^`]+)`", solution):
            given = {*re.findall(r"[\d.]*\d", answer)} & {*re.findall(r"[\d.]*\d", " ".join(hints))}
            if given:
                yield f"the hint of the exercise “{title}” gives the answer {given}"


def asks_what_was_learnt(chapter: Chapter) -> Iterator[str]:
    """Three to five questions to be answered from memory, each option with its feedback."""
    questions = students.question_texts(chapter.notebook)
    if not 3 <= len(questions) <= 5:
        yield f"{len(questions)} questions under `## Check yourself`, not three to five"
    for number, question in enumerate(questions, start=1):
        said = re.findall(r"<summary>.*?</summary>\s*(\w+)\.", question, re.DOTALL)
        count = question.count("<details")
        if "?" not in question.partition("<details")[0]:
            yield f"question {number} asks nothing"
        if count < 2 or sorted(said) != ["No"] * (count - 1) + ["Right"]:
            yield f"question {number} has the feedback {said}, not one `Right.` and else `No.`"
    goes_back = any("(From the chapter on " in question for question in questions)
    if not goes_back and not chapter.path.name.startswith("01_"):
        yield "no question is about another chapter: `(From the chapter on …)`"


RULES: tuple[Callable[[Chapter], Iterator[str]], ...] = (
    is_executed_from_top_to_bottom,
    is_stored_by_make_notebooks,
    stores_no_error,
    lets_nbval_see_every_cell,
    is_plain_python,
    imports_initcore,
    begins_with_the_setup_cell,
    says_what_it_computes,
    prints_what_is_stable,
    says_what_a_figure_shows,
    stores_live_figures_as_they_are,
    gives_the_numbers_of_a_figure,
    drives_its_panels,
    is_short,
    is_plain_markdown,
    marks_measured_numbers,
    links_first_uses_to_the_glossary,
    has_the_sections_of_a_chapter,
    keeps_the_promises_of_its_sections,
    has_exercises_with_solutions,
    gives_one_hint_an_exercise,
    asks_what_was_learnt,
)
