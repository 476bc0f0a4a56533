"""A chapter's notebook with what the tests need to know of it."""

from __future__ import annotations

import ast
import builtins
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import nbformat
from markdown_it import MarkdownIt
from markdown_it.token import Token
from mdit_py_plugins.dollarmath import dollarmath_plugin
from nbformat import NotebookNode

from website.tools import claims

ROOT = Path(__file__).resolve().parents[1]
MARKDOWN = MarkdownIt("commonmark").enable(["table", "strikethrough"]).use(dollarmath_plugin)
WIDGET = "application/vnd.jupyter.widget-view+json"
NOT_COMPARED = {"image/png", WIDGET}  # by nbval


@dataclass(frozen=True)
class Code:
    """A code cell and its number among the code cells, from 1."""

    number: int
    cell: NotebookNode

    def __str__(self) -> str:
        return f"code cell {self.number}"

    @property
    def source(self) -> str:
        return self.cell.source

    @cached_property
    def tree(self) -> ast.Module:
        """The parsed code; nothing, if it is not Python."""
        try:
            return ast.parse(self.source)
        except SyntaxError:
            return ast.Module(body=[], type_ignores=[])

    @cached_property
    def outputs(self) -> list[tuple[set[str], str]]:
        """The kinds of data in each output, and its plain text."""
        texts = ({"text/plain": output.get("text", "")} for output in self.cell.outputs)
        data = [o.get("data", text) for o, text in zip(self.cell.outputs, texts, strict=True)]
        return [(set(kinds), kinds.get("text/plain", "")) for kinds in data]

    @property
    def texts(self) -> list[str]:
        """The texts that nbval compares, without those that stand in for a picture."""
        return [text for kinds, text in self.outputs if not kinds & NOT_COMPARED]

    @property
    def all_text(self) -> str:
        """What the cell put out, the texts that stand in for pictures too."""
        return "\n".join(text for _, text in self.outputs)

    @property
    def draws(self) -> bool:
        """Whether the cell shows a picture or a widget."""
        return any(kinds & NOT_COMPARED for kinds, _ in self.outputs)

    @cached_property
    def asserts(self) -> bool:
        """Whether the cell asserts something, by ``assert`` or by `initcore.tables.decide`."""
        checks = [node.test for node in ast.walk(self.tree) if isinstance(node, ast.Assert)]
        return bool(claims.deciding_calls(self.source)) or not all(map(is_constant, checks))

    @property
    def has_numbers(self) -> bool:
        """Whether a number is printed or something asserted."""
        return self.asserts or any(re.search(r"\d", text) for text in self.texts)

    def names(self, *contexts: type) -> set[str]:
        """Return the variables that the cell makes (`ast.Store`) or uses (`ast.Load`)."""
        nodes = [node for node in ast.walk(self.tree) if isinstance(node, ast.Name)]
        return {node.id for node in nodes if isinstance(node.ctx, contexts)}


def is_constant(node: ast.expr) -> bool:
    """Whether an expression comes out the same whatever the chapter computes."""
    names = {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}
    return not names - set(dir(builtins))


@dataclass
class Section:
    """What stands under one ``## `` heading."""

    title: str
    tokens: list[Token] = field(default_factory=list)
    code: list[Code] = field(default_factory=list)

    @property
    def text(self) -> str:
        return "\n".join(token.content for token in self.tokens)

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
    """The notebook in a file; `root` is the folder of its course."""

    def __init__(self, path: Path, root: Path = ROOT) -> None:
        self.path, self.root = path, root
        self.notebook = nbformat.read(path, as_version=4)
        self.title, self.opening = "", Section("")
        self.code: list[Code] = []
        self.markdown: list[list[Token]] = []
        self.sections: list[Section] = []
        for cell in self.notebook.cells:
            if cell.cell_type == "markdown":
                self.markdown.append(MARKDOWN.parse(cell.source))
                self._read(self.markdown[-1])
            here = self.sections[-1] if self.sections else self.opening
            if cell.cell_type == "code":
                self.code.append(Code(len(self.code) + 1, cell))
                here.code.append(self.code[-1])

    def _read(self, tokens: list[Token]) -> None:
        heading = ""
        for token in tokens:
            if heading == "h1":
                self.title = self.title or token.content
            elif heading == "h2":
                self.sections.append(Section(token.content))
            else:
                (self.sections[-1] if self.sections else self.opening).tokens.append(token)
            heading = token.tag if token.type == "heading_open" else ""

    def section(self, title: str) -> Section:
        """Return a section of the template, an empty one if it is missing."""
        return next((part for part in self.sections if part.title == title), Section(title))


def inline(tokens: list[Token], kind: str) -> Iterator[Token]:
    """Yield the inline tokens of one kind."""
    for token in tokens:
        yield from (part for part in token.children or [] if part.type == kind)
