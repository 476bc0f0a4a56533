"""The rules a chapter's notebook must keep: what nbval cannot see, and what a reader is promised.

No kernel is needed: the rules look at the stored file. nbval compares text only, and only in
cells that let it, so a chapter can pass nbval and be wrong (``test_notebooks.py`` says how these
rules close the gaps). Each rule is a function that takes a `Chapter` and yields the problems it
finds as sentences; `RULES` lists them. ``test_notebook_tools.py`` shows each of them at work on
a bad notebook.

How a chapter is written, so that it keeps them
-----------------------------------------------
- The first cell is Markdown and starts with the only ``# `` heading: the title, a question.
- The sections of `SECTIONS` follow as ``## `` headings, in this order, others between them at
  will. Before the first or in it stand ``**Time:** … minutes`` and ``**You need:** …``.
  *What you will learn* lists two to four objectives. *Predict first* asks a question before the
  first figure. *When it breaks* holds an experiment. *What practitioners do today* has a table
  and names Keras, PyTorch and JAX. *Exercises* has three or more, each under a ``### `` heading
  or a paragraph that begins with ``**1. …**``, each with a ``<details>`` block whose
  ``<summary>`` holds the word Solution, in the same cell or a later one. *Check yourself* is
  a list of three to five questions. Each has two options or more, a ``<details>`` block each, with
  the option as its ``<summary>`` and the feedback within, which starts with ``Right.`` for one of
  them and with ``No.`` for the others. From the second chapter on one question or more is about
  another chapter and starts with ``(From the chapter on …)``. *References* is a list of links.
- *In one screen* answers the question in a few sentences and holds the chapter's live figure.
- A code cell is plain Python of at most 20 lines (lines that hold nothing but text, such as a
  long alternative text within brackets, do not count), prints or asserts something, and draws at
  most one figure, by `initcore.plots.show`. The numbers of a figure are printed or asserted in
  its own cell, or in the next one, which then uses a variable of the figure's cell.
- The experiment stands in the cells. One that only lays out a table, draws or checks has the tag
  ``hide-input``: it is folded on the page and, by `website/tools/notebooks.py`, in JupyterLab.
- *Turn it yourself* holds a panel of controls (`initcore.widgets.panel`) around a function of the
  chapter; the next cell moves it (`set`) and prints what it shows.
- Links are plain Markdown: ``[Glorot and Bengio (2010)](../pages/references.md#glorot2010)``.
- A measured number in a sentence is a link to the cell that prints it, ``[0.97](#cell-id=depth)``:
  see ``website/extensions/marks.py``.
"""

from __future__ import annotations

import ast
import builtins
import io
import re
import tokenize
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path

import nbformat
from markdown_it import MarkdownIt
from markdown_it.token import Token
from mdit_py_plugins.anchors.index import slugify
from mdit_py_plugins.dollarmath import dollarmath_plugin
from nbformat import NotebookNode

ROOT = Path(__file__).resolve().parents[1]

from initcore.explorers import EXPLORERS  # noqa: E402
from website.extensions import claims, marks  # noqa: E402
from website.extensions.anchors import term_anchors  # noqa: E402
from website.tools import notebooks, setup_cell  # noqa: E402

GLOSSARY = "glossary.md"
SECTIONS = (
    "In one screen",
    "What you will learn",
    "Predict first",
    "Turn it yourself",
    "When it breaks",
    "Takeaway",
    "What practitioners do today",
    "Exercises",
    "Check yourself",
    "Claims decided here",
    "References",
)
MOST_LINES = 20
MOST_CELLS = 70
SHORTEST_ALT = 40

# What a chapter may import. Another package would have to be in requirements.txt; modules that
# read files, the clock, the network or hide what happens are left out on purpose.
IMPORTS = {
    "collections",
    "fractions",
    "functools",
    "initcore",
    "ipywidgets",
    "itertools",
    "math",
    "matplotlib",
    "numpy",
    "statistics",
    "textwrap",
}
# Names that a chapter does not use, whatever they belong to.
HIDES = {
    **dict.fromkeys(
        ("catch_warnings", "filterwarnings", "simplefilter", "showwarning", "errstate", "seterr"),
        "hides warnings",
    ),
    **dict.fromkeys(
        ("capture_output", "redirect_stderr", "redirect_stdout", "suppress", "Output"),
        "hides output",
    ),
    **dict.fromkeys(
        ("clear_output", "update_display", "display_id"), "replaces output that nbval would compare"
    ),
    **dict.fromkeys(
        ("interact", "interactive", "interactive_output"),
        "swallows errors, and its output is not compared",
    ),
    **dict.fromkeys(
        ("get_ipython", "run_cell_magic", "run_line_magic", "__import__", "eval", "exec"),
        "runs what the rules cannot read",
    ),
    **dict.fromkeys(("exit", "quit", "input", "breakpoint"), "stops the notebook"),
}
OUTSIDE = {
    **dict.fromkeys(
        (
            *("open", "read_bytes", "read_text", "write_bytes", "write_text", "tofile", "fromfile"),
            *("savefig", "loadtxt", "savetxt", "genfromtxt", "memmap", "savez"),
            *("savez_compressed", "DataSource"),
        ),
        "reads or writes a file",
    ),
    **dict.fromkeys(("urlopen", "urlretrieve"), "uses the network"),
}
NUMPY_RANDOM = {"BitGenerator", "Generator", "PCG64", "Philox", "SeedSequence", "default_rng"}
FOLDED = "hide-input"  # folds the code on the page, and `source_hidden` folds it in JupyterLab

# What `initcore.experiments` holds for a notebook: what several chapters run.
EXPERIMENTS = {"fit_on_digits", "propagate", "split_digits", "train_on_digits"}

MARKER = re.compile(r"NBVAL|PYTEST_VALIDATE", re.IGNORECASE)
MAGIC = re.compile(r"^\s*(%|!|\?|\w+\s*=\s*[%!])|\?\s*$")
FRAGILE = {
    "nan": re.compile(r"\bnan\b", re.IGNORECASE),
    "a negative zero": re.compile(r"(?<![\w.])-0(\.0*)?(e[+-]?0+)?(?![\d.e])"),
    "nine decimals": re.compile(r"\d\.\d{9}"),
    "an address": re.compile(
        r"\b0x[0-9a-f]{6,}|\bobject at\b|<(function|generator|bound method)\b"
    ),
    "a path of one machine": re.compile(r"(^|[\s'\"(])(/(home|root|tmp|Users|var|usr)/|[A-Z]:\\)"),
    "a control character": re.compile(r"[\x00-\x08\x0b-\x1f\x7f]"),
}
WARNING = re.compile(r"\b[A-Z]\w*Warning\b|^\s*WARNING\b", re.MULTILINE)
WIDGET = "application/vnd.jupyter.widget-view+json"

MARKDOWN = MarkdownIt("commonmark").enable(["table", "strikethrough"]).use(dollarmath_plugin)
ROLE = re.compile(r"\{[A-Za-z][\w:.+-]*\}$")
MYST_LINE = re.compile(r":::+|\+\+\+|%|: |\([\w-]+\)=\s*$|\{[.#\w][^{}]*\}$")  # at its start
MYST = re.compile(r"\{\{.*\}\}|\[\^[^\]]+\]")
TAKES_ATTRIBUTES = ("image", "code_inline", "link_close")  # MyST's `![…](…){width=50%}`
HTML_ID = re.compile(r"""\b(?:id|name)=["']([^"']+)["']""")
HTML_LINK = re.compile(r"""\b(?:href|src)=["']([^"']+)["']""")
HTML_ALT = re.compile(r"""\balt=["']([^"']*)["']""")


# --- a chapter, read once -----------------------------------------------------------------------


@dataclass(frozen=True)
class Code:
    """A code cell: its number among the code cells (from 1), and what it says."""

    number: int
    cell: NotebookNode

    @property
    def source(self) -> str:
        return self.cell.source

    @cached_property
    def tree(self) -> ast.Module:
        """The parsed code; nothing, if it is not Python (a rule of its own sees to that)."""
        try:
            return ast.parse(self.source)
        except SyntaxError:
            return ast.Module(body=[], type_ignores=[])

    @cached_property
    def texts(self) -> list[str]:
        """The texts that nbval compares, without those that stand in for a picture."""
        shown = []
        for output in self.cell.outputs:
            data = output.get("data", {})
            if output.output_type == "stream":
                shown.append(output.text)
            elif WIDGET not in data and not any(kind.startswith("image/") for kind in data):
                shown += [str(text) for kind, text in data.items() if kind.startswith("text/")]
        return shown

    @cached_property
    def all_texts(self) -> list[str]:
        """All texts that the cell put out, those of pictures too."""
        outputs = [output.get("data", {}).get("text/plain", "") for output in self.cell.outputs]
        return [*self.texts, *map(str, outputs)]

    @property
    def draws(self) -> bool:
        """Whether the cell shows something that nbval does not compare: a picture, a widget."""
        return bool(notebooks.pictures(self.cell)) or any(
            WIDGET in output.get("data", {}) for output in self.cell.outputs
        )

    @cached_property
    def asserts(self) -> bool:
        """Whether the cell asserts something, by ``assert`` or by `initcore.tables.decide`."""
        checks = [node for node in ast.walk(self.tree) if isinstance(node, ast.Assert)]
        return bool(claims.deciding_calls(self.source)) or any(
            not is_constant(node.test) for node in checks
        )

    @property
    def has_numbers(self) -> bool:
        """Whether a number is printed or something asserted."""
        return self.asserts or any(re.search(r"\d", text) for text in self.texts)

    @cached_property
    def variables(self) -> set[str]:
        """The names that the cell uses or makes."""
        return {node.id for node in ast.walk(self.tree) if isinstance(node, ast.Name)}


@dataclass
class Section:
    """What stands under one ``## `` heading."""

    title: str
    tokens: list[Token] = field(default_factory=list)
    code: list[Code] = field(default_factory=list)

    @property
    def text(self) -> str:
        return "\n".join(token.content for token in self.tokens)

    @property
    def html(self) -> str:
        return html_of(self.tokens)

    def items(self) -> list[str]:
        """Return the texts of the items of its lists, without those of lists within lists."""
        found, depth = [], 0
        for token in self.tokens:
            depth += token.type.endswith("_list_open") - token.type.endswith("_list_close")
            if depth == 1 and token.type == "list_item_open":
                found.append("")
            elif depth >= 1 and token.type == "inline" and found:
                found[-1] += token.content + "\n"
        return found


class Chapter:
    """A notebook with what the rules need to know of it.

    Parameters
    ----------
    path : Path
        Where the notebook is, or would be: links are relative to its folder.
    notebook : NotebookNode, optional
        Its content; read from `path` if not given.
    root : Path
        The folder of the course: links lead nowhere outside of it.
    """

    def __init__(self, path: Path, notebook: NotebookNode | None = None, root: Path = ROOT) -> None:
        self.path, self.root = path, root
        self.notebook = notebook or nbformat.read(path, as_version=4)
        self.title, self.opening = "", Section("")
        self.code: list[Code] = []
        self.markdown: list[list[Token]] = []
        self.sections: list[Section] = []
        for cell in self.notebook.cells:
            here = self.sections[-1] if self.sections else self.opening
            if cell.cell_type == "code":
                self.code.append(Code(len(self.code) + 1, cell))
                here.code.append(self.code[-1])
            elif cell.cell_type == "markdown":
                self._read_markdown(MARKDOWN.parse(cell.source))

    def _read_markdown(self, tokens: list[Token]) -> None:
        self.markdown.append(tokens)
        for before, token in zip([None, *tokens], tokens, strict=False):
            if before is not None and before.type == "heading_open" and before.tag == "h1":
                self.title = self.title or token.content
            elif before is not None and before.type == "heading_open" and before.tag == "h2":
                self.sections.append(Section(token.content))
            else:
                (self.sections[-1] if self.sections else self.opening).tokens.append(token)

    def section(self, title: str) -> Section:
        """Return a section of the template, an empty one if it is missing."""
        return next((part for part in self.sections if part.title == title), Section(title))

    @property
    def own_code(self) -> list[Code]:
        """The code cells without the setup cell, which may do what no other may."""
        return [code for code in self.code if not self.is_setup(code.cell)]

    def is_setup(self, cell: NotebookNode) -> bool:
        """Whether a cell is, to the letter, the setup cell of the course."""
        return setup_cell.is_setup(cell, self.root / "_config.yml")

    @cached_property
    def imported(self) -> set[str]:
        """The names that the chapter's imports bind."""
        return {
            (alias.asname or alias.name).split(".")[0]
            for code in self.code
            for node in ast.walk(code.tree)
            if isinstance(node, (ast.Import, ast.ImportFrom))
            for alias in node.names
        }


def is_constant(node: ast.expr) -> bool:
    """Whether an expression comes out the same whatever the chapter computes."""
    names = {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}
    return isinstance(node, ast.Tuple) or not names - set(dir(builtins))


def html_of(tokens: list[Token]) -> str:
    """Return the raw HTML among Markdown tokens."""
    parts = []
    for token in tokens:
        inner = token.children or []
        parts += [part.content for part in (token, *inner) if part.type.startswith("html")]
    return "\n".join(parts)


def inline(tokens: list[Token], kind: str) -> Iterator[Token]:
    """Yield the inline tokens of one kind."""
    for token in tokens:
        yield from (part for part in token.children or [] if part.type == kind)


def slugs(tokens: list[Token]) -> set[str]:
    """Return the fragments that lead to a heading or to an HTML id, as MyST makes them."""
    headings = {
        slugify("".join(part.content for part in token.children or []))
        for before, token in zip(tokens, tokens[1:], strict=False)
        if before.type == "heading_open"
    }
    return headings | set(HTML_ID.findall(html_of(tokens)))


# --- executed from top to bottom ----------------------------------------------------------------


def is_executed_from_top_to_bottom(chapter: Chapter) -> Iterator[str]:
    """The counts are 1, 2, … n, in cells and in outputs."""
    if not chapter.code:
        yield "there is no code cell"
    for code in chapter.code:
        counts = [code.cell.execution_count]
        counts += [o.execution_count for o in code.cell.outputs if "execution_count" in o]
        for count in counts:
            if count != code.number:
                yield f"code cell {code.number} has the execution count {count}"


def is_stored_by_make_notebooks(chapter: Chapter) -> Iterator[str]:
    """The file has the one form that ``make notebooks`` gives it."""
    copy = nbformat.from_dict(chapter.notebook)
    wanted = notebooks.to_text(notebooks.normalise(copy))
    if chapter.path.exists():
        stored = chapter.path.read_text(encoding="utf-8")
    else:
        stored = notebooks.to_text(chapter.notebook)
    if stored != wanted:
        yield "the file is not as `make notebooks` stores it"


def stores_no_error_and_no_warning(chapter: Chapter) -> Iterator[str]:
    """No output is an error, comes from stderr, or reads like a warning."""
    for code in chapter.code:
        for output in code.cell.outputs:
            if output.output_type == "error":
                yield f"code cell {code.number} stores an error: {output.get('ename')}"
            elif output.get("name") == "stderr":
                yield f"code cell {code.number} stores stderr"
        for text in code.texts:
            if match := WARNING.search(text):
                yield f"code cell {code.number} stores a warning: {match.group().strip()}"


# --- nothing escapes nbval ----------------------------------------------------------------------


def lets_nbval_see_every_cell(chapter: Chapter) -> Iterator[str]:
    """No marker, no tag, no metadata and no kind of output that nbval passes over."""
    for key in set(chapter.notebook.metadata) - {"kernelspec", "language_info", "widgets"}:
        yield f"the notebook has metadata that no chapter needs: {key}"
    for cell in chapter.notebook.cells:
        if cell.cell_type == "raw":
            yield "a raw cell, which JupyterLab shows and the page does not"
        where = f"a cell ({cell.source[:30]!r})"
        if chapter.is_setup(cell):
            continue  # not on the page, which does not begin with machinery; run by nbval
        tags = cell.metadata.get("tags", [])
        for tag in set(tags) - {FOLDED if cell.cell_type == "code" else "solution"}:
            yield f"{where} has the tag {tag}"
        folded = {"source_hidden": True} if FOLDED in tags and cell.cell_type == "code" else None
        if cell.metadata.get("jupyter") != folded:
            yield f"{where} is folded on the page or in JupyterLab, not in both"
        for key in set(cell.metadata) - {"tags", "mystnb", "jupyter"}:
            yield f"{where} has metadata that no chapter needs: {key}"
        for key in set(cell.metadata.get("mystnb", {})) - {"image"}:
            yield f"{where} has metadata that no chapter needs: mystnb.{key}"
    for code in chapter.code:
        if match := MARKER.search(code.source):
            yield f"code cell {code.number} uses a marker of nbval: {match.group()}"
        kinds = {kind for output in code.cell.outputs for kind in output.get("data", {})}
        for kind in kinds:
            if not kind.startswith("text/") and kind not in ("image/png", WIDGET):
                yield f"code cell {code.number} stores {kind}; pictures are PNG"


def is_plain_python(chapter: Chapter) -> Iterator[str]:
    """No magic, no shell escape, no help request: code that runs anywhere."""
    for code in chapter.code:
        try:
            ast.parse(code.source)
        except SyntaxError:
            lines = [line for line in code.source.splitlines() if MAGIC.search(line)]
            what = f"a magic or shell escape: {lines[0].strip()}" if lines else "not plain Python"
            yield f"code cell {code.number}: {what}"


def hides_nothing(chapter: Chapter) -> Iterator[str]:
    """Nothing that swallows warnings, output or errors, or runs code the rules cannot read."""
    for code in chapter.code:
        for node in ast.walk(code.tree):
            name = name_of(node)
            if name in HIDES:
                yield f"code cell {code.number}: {name} {HIDES[name]}"
            if isinstance(node, ast.Call) and name_of(node.func) == "print":
                if any(keyword.arg == "file" for keyword in node.keywords):
                    yield f"code cell {code.number}: print(file=…) hides output"


def name_of(node: ast.AST) -> str:
    """Return the name that a name, an attribute, an imported name or a keyword argument has."""
    for attribute in ("id", "attr", "arg", "name"):
        if isinstance(value := getattr(node, attribute, None), str):
            return value
    return ""


def shows_what_it_catches(chapter: Chapter) -> Iterator[str]:
    """An exception is caught by its own class, and something is said about it."""
    for code in chapter.code:
        for node in ast.walk(code.tree):
            if not isinstance(node, ast.ExceptHandler):
                continue
            if node.type is None or name_of(node.type) in ("Exception", "BaseException"):
                yield f"code cell {code.number} catches every exception"
            body = [part for statement in node.body for part in ast.walk(statement)]
            says = any(
                isinstance(part, (ast.Raise, ast.Assert))
                or (isinstance(part, ast.Call) and name_of(part.func) == "print")
                for part in body
            )
            if not says:
                yield f"code cell {code.number} catches an exception and says nothing"


def asserts_what_can_fail(chapter: Chapter) -> Iterator[str]:
    """An assertion hangs on something that was computed."""
    for code in chapter.code:
        for node in ast.walk(code.tree):
            if isinstance(node, ast.Assert) and is_constant(node.test):
                yield f"code cell {code.number}: `{ast.unparse(node)}` cannot fail"


def checks_what_it_computes(chapter: Chapter) -> Iterator[str]:
    """A cell that computes prints, shows or asserts something."""
    for code in chapter.code:
        computes = [node for node in code.tree.body if not is_definition(node)]
        if not code.source.strip():
            yield f"code cell {code.number} is empty"
        elif computes and not (code.asserts or code.draws or any(map(str.strip, code.texts))):
            yield f"code cell {code.number} computes and neither prints nor asserts"


def is_definition(node: ast.stmt) -> bool:
    """Whether a statement computes nothing: an import, a function, a literal with a name."""
    if isinstance(node, (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.ClassDef)):
        return True
    value = getattr(node, "value", None)
    if not isinstance(node, (ast.Assign, ast.AnnAssign, ast.Expr)) or value is None:
        return False
    try:
        ast.literal_eval(value)
    except (ValueError, TypeError):
        return False
    return True


def prints_what_is_stable(chapter: Chapter) -> Iterator[str]:
    """No stored text that another machine or another run would give differently."""
    for code in chapter.code:
        texts = [output.get("text", "") for output in code.cell.outputs]
        for output in code.cell.outputs:
            data = output.get("data", {})
            texts += [str(text) for kind, text in data.items() if kind.startswith("text/")]
        for what, pattern in FRAGILE.items():
            for text in texts:
                if match := pattern.search(text):
                    line = text[: match.end()].splitlines()[-1].strip()
                    yield f"code cell {code.number} prints {what}: {line[-60:]!r}"
                    break


# --- figures ------------------------------------------------------------------------------------


def draws_one_figure_a_cell(chapter: Chapter) -> Iterator[str]:
    """The alternative text in a cell's metadata is that of its one figure."""
    for code in chapter.code:
        count = len(notebooks.pictures(code.cell))
        if count > 1:
            yield f"code cell {code.number} draws {count} figures"


def stores_live_figures_as_they_are(chapter: Chapter) -> Iterator[str]:
    """What the page runs, a figure's module and its numbers, is that of the package."""
    stored = chapter.notebook.metadata.get("widgets", {}).get(notebooks.WIDGET_STATE, {})
    for model in stored.get("state", {}).values():
        state, name = model["state"], model["state"].get("name")
        if model["model_module"] != "anywidget" or name not in EXPLORERS:
            continue
        now = EXPLORERS[name]
        for trait, fresh in {"_esm": now._esm, "_css": now._css, "data": now.stored()}.items():
            if state[trait] != fresh:
                yield f"the figure {name} has another {trait} than initcore: run `make notebooks`"


def says_what_a_figure_shows(chapter: Chapter) -> Iterator[str]:
    """Each picture has an alternative text, the same for the notebook and for the page."""
    for code in chapter.code:
        for picture in notebooks.pictures(code.cell):
            text = notebooks.alt_text(picture) or ""
            on_page = code.cell.metadata.get("mystnb", {}).get("image", {}).get("alt")
            if len(text.strip()) < SHORTEST_ALT:
                yield f"code cell {code.number}: a figure has no alternative text: {text!r}"
            elif on_page != text:
                yield f"code cell {code.number}: the page has another alternative text: {on_page!r}"
    for tokens in chapter.markdown:
        texts = [image.content for image in inline(tokens, "image")]
        for tag in re.findall(r"<img\b[^>]*>", html_of(tokens)):
            texts.append("".join(HTML_ALT.findall(tag)))
        for text in texts:
            if len(text.strip()) < SHORTEST_ALT:
                yield f"a picture in Markdown has no alternative text: {text!r}"


def gives_the_numbers_of_a_figure(chapter: Chapter) -> Iterator[str]:
    """nbval does not compare pictures: their numbers are printed or asserted at once."""
    not_its_own = chapter.imported | set(dir(builtins))
    for code, after in zip(chapter.code, [*chapter.code[1:], None], strict=True):
        if not code.draws or code.has_numbers:
            continue
        if after is None or not after.has_numbers:
            yield f"code cell {code.number}: no number of its figure is printed or asserted"
        elif not (code.variables & after.variables) - not_its_own:
            yield (
                f"code cell {code.number}: its figure's numbers are not in the next cell, which "
                "uses none of its variables"
            )


# --- code that can be read, and run anywhere ----------------------------------------------------


def is_short(chapter: Chapter) -> Iterator[str]:
    """A chapter has about 60 cells, a cell at most 20 lines of code, one statement a line."""
    if len(chapter.notebook.cells) > MOST_CELLS:
        yield f"there are {len(chapter.notebook.cells)} cells, {MOST_CELLS} at most"
    for code in chapter.code:
        lines, semicolons = count_lines(code.source)
        if lines > MOST_LINES:
            yield f"code cell {code.number} has {lines} lines of code, {MOST_LINES} at most"
        if semicolons:
            yield f"code cell {code.number}: `;`, which at the end of a cell does not pass nbval"


def count_lines(source: str) -> tuple[int, int]:
    """Return the number of lines with more than text, comments and brackets, and that of ``;``."""
    lines, semicolons, inside_text = set(), 0, 0
    try:
        for token in tokenize.generate_tokens(io.StringIO(source).readline):
            kind = tokenize.tok_name[token.type]
            # from Python 3.12 on the expressions in an f-string are tokens of their own
            inside_text += (kind == "FSTRING_START") - (kind == "FSTRING_END")
            if kind in ("NAME", "NUMBER") and not inside_text:
                lines.add(token.start[0])
            semicolons += token.string == ";"
    except (tokenize.TokenError, SyntaxError):  # `is_plain_python` says so
        pass
    return len(lines), semicolons


def shows_its_experiments(chapter: Chapter) -> Iterator[str]:
    """The experiment stands in the cells: of `initcore.experiments` only what several share."""
    for code in chapter.code:
        for node in ast.walk(code.tree):
            name = None
            if isinstance(node, ast.Attribute) and name_of(node.value) == "experiments":
                name = node.attr
            elif isinstance(node, ast.ImportFrom) and node.module == "initcore.experiments":
                name = next((a.name for a in node.names if a.name not in EXPERIMENTS), None)
            if name is not None and name not in EXPERIMENTS:
                yield f"code cell {code.number} calls experiments.{name}, and shows it to nobody"


def drives_its_panels(chapter: Chapter) -> Iterator[str]:
    """A panel of controls is moved by the next cell, which prints what it shows."""
    panels = 0
    for code, after in zip(chapter.code, [*chapter.code[1:], None], strict=True):
        for node in ast.walk(code.tree):
            is_panel = isinstance(node, ast.Assign) and isinstance(node.value, ast.Call)
            if not is_panel or name_of(node.value.func) != "panel":
                continue
            panels += 1
            name = name_of(node.targets[0])
            if f"{name}.show()" not in code.source:
                yield f"code cell {code.number} makes a panel and does not show it"
            if after is None or f"{name}.set(" not in after.source or not after.has_numbers:
                yield f"the cell after code cell {code.number} does not move `{name}` and print"
    if not panels:
        yield "there is no panel of controls (initcore.widgets.panel) to turn"


def imports_initcore(chapter: Chapter) -> Iterator[str]:
    """The machinery is the package's; other imports are few."""
    roots = set()
    for code in chapter.own_code:
        for node in ast.walk(code.tree):
            if isinstance(node, ast.Import):
                roots |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                roots.add("." if node.level else str(node.module).split(".")[0])
    if "initcore" not in roots:
        yield "initcore is not imported"
    for root in sorted(roots - IMPORTS):
        yield f"{root} is imported: no chapter may, see IMPORTS in tests/notebook_rules.py"


def begins_with_the_setup_cell(chapter: Chapter) -> Iterator[str]:
    """Wherever the notebook is opened, its first code cell sees to it that initcore is there."""
    wanted = "website/tools/setup_cell.py: run `make notebooks`"
    for number, cell in enumerate(chapter.notebook.cells):
        if cell.get("id") == setup_cell.ID and (number != 1 or not chapter.is_setup(cell)):
            yield f"cell {number + 1} is called {setup_cell.ID} and is not that of {wanted}"
    is_there = any(chapter.is_setup(cell) for cell in chapter.notebook.cells)
    if not is_there and (chapter.root / "_config.yml").is_file():
        yield f"there is no cell below the title as in {wanted}"


def stays_inside(chapter: Chapter) -> Iterator[str]:
    """No file is read or written, nothing is downloaded."""
    for code in chapter.code:
        for node in ast.walk(code.tree):
            name = name_of(node)
            if name in OUTSIDE:
                yield f"code cell {code.number}: {name} {OUTSIDE[name]}"
            elif name in ("load", "save") and is_numpy(getattr(node, "value", None)):
                yield f"code cell {code.number}: np.{name} reads or writes a file"


def is_numpy(node: ast.AST | None) -> bool:
    """Whether an expression is the module NumPy."""
    return isinstance(node, ast.Name) and node.id in ("np", "numpy")


def seeds_what_is_random(chapter: Chapter) -> Iterator[str]:
    """Every draw comes from a generator with a seed."""
    for code in chapter.code:
        inner = {id(node.value) for node in ast.walk(code.tree) if isinstance(node, ast.Attribute)}
        for node in ast.walk(code.tree):
            where = f"code cell {code.number}: `{ast.unparse(node)[:60]}`"
            if isinstance(node, ast.Call) and name_of(node.func) in NUMPY_RANDOM:
                seed = [*node.args, *(keyword.value for keyword in node.keywords)]
                if not seed or all(isinstance(s, ast.Constant) and s.value is None for s in seed):
                    yield f"{where} has no seed"
            elif isinstance(node, ast.keyword) and node.arg == "seed":
                if isinstance(node.value, ast.Constant) and node.value.value is None:
                    yield f"code cell {code.number}: seed=None is no seed"
            elif isinstance(node, ast.ImportFrom) and node.module == "numpy.random":
                for alias in node.names:
                    if alias.name not in NUMPY_RANDOM:
                        yield f"{where} draws from the global generator"
            elif isinstance(node, ast.Import):
                if any(alias.name == "numpy.random" for alias in node.names):
                    yield f"{where}: use np.random.default_rng(seed)"
            elif isinstance(node, ast.Attribute):
                if is_random(node) and id(node) not in inner:
                    yield f"{where}: use np.random.default_rng(seed)"
                elif is_random(node.value) and node.attr not in NUMPY_RANDOM:
                    yield f"{where} draws from the global generator"


def is_random(node: ast.AST) -> bool:
    """Whether an expression is the module ``numpy.random``."""
    return isinstance(node, ast.Attribute) and node.attr == "random" and is_numpy(node.value)


# --- text ---------------------------------------------------------------------------------------


def is_plain_markdown(chapter: Chapter) -> Iterator[str]:
    """No role, directive or other MyST syntax that JupyterLab shows raw."""
    for tokens in chapter.markdown:
        for token in tokens:
            if token.type == "fence" and token.info.strip().startswith("{"):
                yield f"a directive, which JupyterLab shows raw: {token.info.strip()}"
            elif token.type == "math_block_label":
                yield f"a label of a formula, which JupyterLab shows raw: ({token.info})"
            elif token.type == "inline":
                yield from _raw_in(token.children or [])


def _raw_in(children: list[Token]) -> Iterator[str]:
    """Yield what is raw in a line or more of text; `before` is what stands left of a token."""
    for before, token in zip([None, *children], children, strict=False):
        left = before.type if before is not None else "softbreak"
        if token.type == "code_inline" and left == "text" and ROLE.search(before.content):
            yield f"a role, which JupyterLab shows raw: {ROLE.search(before.content).group()}"
        elif token.type == "link_close" and left == "link_open":
            yield f"a link without text: {before.attrGet('href')}"
        elif token.type != "text":
            continue
        elif token.content.startswith("{") and left in TAKES_ATTRIBUTES:
            yield f"attributes, which JupyterLab shows raw: {token.content[:40]}"
        elif token.content.startswith("^") and left == "link_open":
            yield f"a footnote, which JupyterLab shows raw: {token.content}"
        elif left == "softbreak" and (match := MYST_LINE.match(token.content)):
            yield f"MyST syntax, which JupyterLab shows raw: {match.group().strip()}"
        elif match := MYST.search(token.content):
            yield f"MyST syntax, which JupyterLab shows raw: {match.group().strip()}"


def has_links_that_lead_somewhere(chapter: Chapter) -> Iterator[str]:
    """A link to a file of the course leads to one, and to a part of it that exists."""
    for tokens in chapter.markdown:
        targets = [str(link.attrGet("href")) for link in inline(tokens, "link_open")]
        targets += [str(image.attrGet("src")) for image in inline(tokens, "image")]
        targets += HTML_LINK.findall(html_of(tokens))
        for target in targets:
            if re.match(r"(https?|mailto):", target):
                continue
            name, _, fragment = target.partition("#")
            path = (chapter.path.parent / name).resolve() if name else chapter.path.resolve()
            is_itself = path == chapter.path.resolve()
            if not is_itself and not (path.is_file() and path.is_relative_to(chapter.root)):
                yield f"a link to a file that is not there: {target}"
            elif fragment and fragment not in anchors(chapter if is_itself else path, chapter.root):
                yield f"a link to a part that is not there: {target}"


def anchors(there: Chapter | Path, root: Path) -> set[str]:
    """Return the fragments that lead somewhere in a notebook or page."""
    if isinstance(there, Path) and there.suffix == ".ipynb":
        there = Chapter(there, root=root)
    if isinstance(there, Chapter):
        calls = [call for code in there.code for call in claims.deciding_calls(code.source)]
        cells = {marks.PREFIX + code.cell.id for code in there.code}
        found = {claims.anchor(call.claim) for call in calls} | cells
        return found.union(*map(slugs, there.markdown))
    if there.suffix != ".md":
        return set()
    text = there.read_text(encoding="utf-8")
    found = slugs(MARKDOWN.parse(text)) | set(re.findall(r"^\(([\w-]+)\)=", text, re.MULTILINE))
    found |= set(term_anchors(text).values())
    if "```{bibliography}" in text:
        found |= set(claims.load_sources(root / claims.BIBLIOGRAPHY))
    if "```{claims}" in text:
        found |= {claims.anchor(claim.id) for claim in claims.load_claims(root / claims.LEDGER)}
    return found


def links_in(tokens: list[Token]) -> Iterator[tuple[str, str]]:
    """Yield the target and the text of each link in Markdown, its formulas as they are written."""
    for token in tokens:
        href, text = None, ""
        for part in token.children or []:
            if part.type == "link_open":
                href, text = str(part.attrGet("href")), ""
            elif part.type == "link_close":
                yield str(href), text
                href = None
            elif href is not None:
                text += f"${part.content}$" if part.type == "math_inline" else part.content


def marks_measured_numbers(chapter: Chapter) -> Iterator[str]:
    """A measured number in a sentence leads to the cell that prints it, and is what it prints."""
    for tokens in chapter.markdown:
        yield from problems_of_marks(tokens, chapter.path, chapter)
    printed = {n for code in chapter.code for text in code.texts for n in marks.numerals(text)}
    given = {n for code in chapter.code for n in marks.numerals(code.source)}
    for tokens in chapter.markdown:
        given |= {
            n
            for token in tokens
            for part in inline([token], "math_inline")
            for n in marks.numerals(part.content)
        }
        given |= {
            n
            for token in tokens
            if token.type == "math_block"
            for n in marks.numerals(token.content)
        }
    for tokens in chapter.markdown:
        for numeral in unmarked(tokens):
            if numeral in printed - given and len(numeral.replace(".", "").strip("0%")) > 1:
                yield f"{numeral} is printed by a cell, and no mark in the text says by which"


def problems_of_marks(tokens: list[Token], path: Path, own: Chapter | None = None) -> Iterator[str]:
    """Yield what is wrong with the marks in the Markdown of a page or a chapter."""
    for href, text in links_in(tokens):
        name, _, fragment = href.partition("#")
        if not fragment.startswith(marks.PREFIX):
            continue
        there = own if not name else read_chapter((path.parent / name).resolve())
        cells = {code.cell.id: code for code in there.code} if there else {}
        code = cells.get(fragment.removeprefix(marks.PREFIX))
        if code is None:
            yield f"the mark [{text}]({href}) names no code cell"
            continue
        output = "\n".join(code.all_texts)
        numerals = marks.numerals(text)
        if not numerals:
            yield f"the mark [{text}]({href}) holds no number"
        for numeral in numerals:
            if not marks.is_printed(numeral, output):
                yield f"the cell of [{text}]({href}) does not print {numeral}"


def unmarked(tokens: list[Token]) -> Iterator[str]:
    """Yield the decimals and percentages that stand in plain text, outside links and formulas."""
    for token in tokens:
        depth = 0
        for part in token.children or []:
            depth += (part.type == "link_open") - (part.type == "link_close")
            if part.type == "text" and not depth:
                yield from (n for n in marks.numerals(part.content) if re.search(r"[.%]", n))


@cache
def read_chapter(path: Path) -> Chapter | None:
    """Return the chapter in a file, None where there is none."""
    return Chapter(path) if path.suffix == ".ipynb" and path.is_file() else None


def links_first_uses_to_the_glossary(chapter: Chapter) -> Iterator[str]:
    """The first time that a chapter's text uses a word of the glossary, it links to it."""
    pieces = list(prose_of(chapter.markdown))
    for term, anchor in glossary_terms(chapter.root).items():
        words = r"\s+".join(map(re.escape, term.split()))
        word = re.compile(rf"(?<![\w-]){words}(?:e?s)?(?![\w-])", re.IGNORECASE)
        target = f"{GLOSSARY}#{anchor}"
        for text, href in pieces:
            if word.search(text) and (href is None or href.endswith(target)):
                if href is None:
                    yield f"the first use of “{term}” is no link to the glossary: {text[:60]!r}"
                break


def prose_of(markdown: list[list[Token]]) -> Iterator[tuple[str, str | None]]:
    """Yield the text of paragraphs and lists in pieces, each with the link that it stands in.

    Headings and tables, code and formulas are left out.
    """
    for tokens in markdown:
        outside = 0
        for token in tokens:
            if token.type in ("heading_open", "table_open", "heading_close", "table_close"):
                outside += 1 if token.type.endswith("open") else -1
            if token.type != "inline" or outside:
                continue
            text, href = "", None
            for part in token.children or []:
                if part.type == "text":
                    text += part.content
                elif part.type in ("softbreak", "hardbreak"):
                    text += " "
                elif part.type in ("link_open", "link_close"):
                    yield text, href
                    text, href = "", part.attrGet("href") if part.type == "link_open" else None
                elif part.type in ("code_inline", "math_inline"):
                    text += "\0"  # keeps the words around it apart
            yield text, href


@cache
def glossary_terms(root: Path) -> dict[str, str]:
    """Return the terms of a course's glossary with their anchors, none if it has no such page."""
    path = root / "pages" / GLOSSARY
    return term_anchors(path.read_text(encoding="utf-8")) if path.is_file() else {}


# --- the parts of a chapter ---------------------------------------------------------------------


def has_a_question_as_its_title(chapter: Chapter) -> Iterator[str]:
    """The first cell starts with the only title, and that is a question."""
    first = chapter.notebook.cells[0] if chapter.notebook.cells else None
    if first is None or first.cell_type != "markdown" or not first.source.startswith("# "):
        yield "the first cell does not start with the title, `# …?`"
    if not chapter.title.rstrip().endswith("?"):
        yield f"the title is not a question: {chapter.title!r}"
    titles = [t for tokens in chapter.markdown for t in tokens if t.type == "heading_open"]
    if sum(token.tag == "h1" for token in titles) > 1:
        yield "there is more than one `# ` heading"


def has_the_sections_of_a_chapter(chapter: Chapter) -> Iterator[str]:
    """The sections of the template are there, once, in order, with something in them."""
    titles = [section.title for section in chapter.sections]
    for title in SECTIONS:
        if titles.count(title) != 1:
            yield f"`## {title}` is there {titles.count(title)} times"
        section = chapter.section(title)
        if title in titles and not section.code and not section.text.strip():
            yield f"`## {title}` is empty"
    template = [title for title in titles if title in SECTIONS]
    if template != sorted(template, key=SECTIONS.index):
        yield f"the sections are not in the order {', '.join(SECTIONS)}"


def says_what_the_reader_gets(chapter: Chapter) -> Iterator[str]:
    """Two to four objectives, what is needed, how long it takes."""
    section = chapter.section("What you will learn")
    if not 2 <= len(section.items()) <= 4:
        yield f"{len(section.items())} learning objectives in a list, not two to four"
    text = f"{chapter.opening.text}\n{section.text}"
    if not re.search(r"\byou need\b", text, re.IGNORECASE):
        yield "the beginning does not say what you need (“You need …”)"
    if not re.search(r"\d\s*(min|minutes)\b", text):
        yield "the beginning does not say how many minutes it takes"


def asks_before_it_shows(chapter: Chapter) -> Iterator[str]:
    """The prediction is asked for before the first figure."""
    if "?" not in chapter.section("Predict first").text:
        yield "`## Predict first` asks nothing"
    before = [chapter.opening]
    for section in chapter.sections:
        if section.title == "Predict first":
            break
        if section.title != "In one screen":
            before.append(section)
    for section in before:
        for code in section.code:
            if code.draws:
                yield f"code cell {code.number} shows a figure before `## Predict first`"


def shows_where_it_breaks(chapter: Chapter) -> Iterator[str]:
    """The assumption that fails first is shown, not told."""
    if not any(code.has_numbers for code in chapter.section("When it breaks").code):
        yield "`## When it breaks` holds no experiment with printed or asserted numbers"


def says_what_is_done_today(chapter: Chapter) -> Iterator[str]:
    """A table in the names of the libraries."""
    section = chapter.section("What practitioners do today")
    if not any(token.type == "table_open" for token in section.tokens):
        yield "`## What practitioners do today` has no table"
    for library in ("Keras", "PyTorch", "JAX"):
        if library not in section.text:
            yield f"`## What practitioners do today` does not name {library}"


def has_exercises_with_solutions(chapter: Chapter) -> Iterator[str]:
    """Three exercises or more, each with a solution that is folded."""
    exercises: list[list[Token]] = []
    before = None
    for token in chapter.section("Exercises").tokens:
        is_heading = before is not None and before.type == "heading_open" and before.tag == "h3"
        if token.type == "inline" and (is_heading or re.match(r"\*\*\d", token.content)):
            exercises.append([])
        elif exercises:
            exercises[-1].append(token)
        before = token
    if len(exercises) < 3:
        yield f"{len(exercises)} exercises (`### …` or `**1. …**`), three or more are wanted"
    for number, tokens in enumerate(exercises, start=1):
        html = html_of(tokens)
        folded = re.search(r"<details\b.*?<summary>.*?Solution.*?</summary>", html, re.DOTALL)
        if not folded:
            yield f"exercise {number} has no <details> with a <summary> that says Solution"
            continue
        opens = next(n for n, token in enumerate(tokens) if "<details" in html_of([token]))
        inside = "".join(token.content for token in tokens[opens:])
        inside = re.sub(r"<summary>.*?</summary>|<[^>]*>", "", inside, flags=re.DOTALL)
        if not inside.strip():
            yield f"the solution of exercise {number} is empty"
    for tokens in chapter.markdown:
        html = html_of(tokens)
        if html.count("<details") != html.count("</details>"):
            yield "a <details> is not closed in the cell that opens it"


def asks_what_was_learnt(chapter: Chapter) -> Iterator[str]:
    """Three to five questions to be answered from memory, each option with its feedback."""
    section = chapter.section("Check yourself")
    questions = questions_of(section)
    if not 3 <= len(questions) <= 5:
        yield f"{len(questions)} questions under `## Check yourself`, not three to five"
    for number, (question, options) in enumerate(questions, start=1):
        if "?" not in question:
            yield f"question {number} asks nothing"
        right = [feedback.startswith("Right.") for _, feedback in options]
        wrong = [feedback.startswith("No.") for _, feedback in options]
        if len(options) < 2 or right.count(True) != 1 or any(map(bool.__eq__, right, wrong)):
            yield (
                f"question {number} has {len(options)} options, {right.count(True)} of them right: "
                "two or more are wanted, one `Right.`, the others `No.`"
            )
    others = [text for text, _ in questions if text.startswith("(From the chapter on ")]
    if not chapter.path.name.startswith("01_") and not others:
        yield "no question is about another chapter: `(From the chapter on …)`"


def questions_of(section: Section) -> list[tuple[str, list[tuple[str, str]]]]:
    """Return the questions of a section's list, each with its options: (option, feedback)."""
    questions: list[tuple[str, list[tuple[str, str]]]] = []
    depth, option = 0, None
    for token in section.tokens:
        depth += token.type.endswith("_list_open") - token.type.endswith("_list_close")
        if depth == 1 and token.type == "list_item_open":
            questions.append(("", []))
        elif not depth or not questions:
            continue
        elif token.type == "html_block":
            for summary in re.findall(r"<summary>(.*?)</summary>", token.content, re.DOTALL):
                option = (summary.strip(), "")
                questions[-1][1].append(option)
            if "</details>" in token.content.rpartition("<details")[2]:
                option = None
        elif token.type == "inline" and option is None:
            question, options = questions[-1]
            questions[-1] = (f"{question}\n{token.content}".strip(), options)
        elif token.type == "inline":
            option = (option[0], f"{option[1]}\n{token.content}".strip())
            questions[-1][1][-1] = option
    return questions


def names_its_sources(chapter: Chapter) -> Iterator[str]:
    """A list of references, each a link."""
    section = chapter.section("References")
    items = section.items()
    links = len(list(inline(section.tokens, "link_open")))
    if not items or links < len(items):
        yield f"`## References` is not a list of links: {len(items)} items, {links} links"


RULES: tuple[Callable[[Chapter], Iterator[str]], ...] = (
    is_executed_from_top_to_bottom,
    is_stored_by_make_notebooks,
    stores_no_error_and_no_warning,
    lets_nbval_see_every_cell,
    is_plain_python,
    hides_nothing,
    shows_what_it_catches,
    asserts_what_can_fail,
    checks_what_it_computes,
    prints_what_is_stable,
    draws_one_figure_a_cell,
    stores_live_figures_as_they_are,
    says_what_a_figure_shows,
    gives_the_numbers_of_a_figure,
    is_short,
    shows_its_experiments,
    drives_its_panels,
    imports_initcore,
    begins_with_the_setup_cell,
    stays_inside,
    seeds_what_is_random,
    is_plain_markdown,
    has_links_that_lead_somewhere,
    marks_measured_numbers,
    links_first_uses_to_the_glossary,
    has_a_question_as_its_title,
    has_the_sections_of_a_chapter,
    says_what_the_reader_gets,
    asks_before_it_shows,
    shows_where_it_breaks,
    says_what_is_done_today,
    has_exercises_with_solutions,
    asks_what_was_learnt,
    names_its_sources,
)
