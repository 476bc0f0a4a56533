"""What a cell of a chapter needs: the cells that make the names it uses, and so on down."""

import ast
import builtins
import re
import symtable
from collections.abc import Iterator
from pathlib import Path

CHAPTERS = sorted((Path(__file__).resolve().parents[1] / "chapters").glob("*.ipynb"))
PANEL = re.compile(r"^(\w+) = widgets\.panel\(", re.MULTILINE)


def names(source: str) -> tuple[set[str], set[str]]:
    """Return the names that code makes at its top level, and those that it needs from before.

    What a function or a comprehension binds is its own. A name that the code makes before it uses
    it is not needed from before; one that it changes, as ``found |= …`` does, is.

    >>> made, needed = names("def f(W):\\n    b = a @ W\\n    return b\\nc = f(d)\\nprint(c)")
    >>> sorted(made), sorted(needed)
    (['c', 'f'], ['a', 'd'])
    """
    made: set[str] = set()
    needed: set[str] = set()
    for statement in in_order(ast.parse(source).body):
        table = symtable.symtable(ast.unparse(statement), "cell", "exec")
        bound = {s.get_name() for s in table.get_symbols() if s.is_assigned() or s.is_imported()}
        used = set(used_in(table))
        for node in ast.walk(statement):
            if isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name):
                used |= {node.target.id} & bound
        needed |= used - made
        made |= bound
    return made, needed - set(dir(builtins))


def in_order(statements: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Yield simple statements as they run: a loop's target is bound, then its body's lines run.

    >>> [ast.unparse(s) for s in in_order(ast.parse("for i in x:\\n    y = i\\n    f(y)").body)]
    ['i = x', 'y = i', 'f(y)']
    """
    for s in statements:
        if isinstance(s, ast.For):
            yield ast.copy_location(ast.Assign([s.target], s.iter), s)
        elif isinstance(s, (ast.If, ast.While)):
            yield ast.copy_location(ast.Expr(s.test), s)
        else:
            yield s
            continue
        yield from in_order([*s.body, *s.orelse])


def used_in(table: symtable.SymbolTable, *, top: bool = True) -> Iterator[str]:
    """Yield the names that a piece of code takes from the top level."""
    for symbol in table.get_symbols():
        if symbol.is_referenced() and (top or symbol.is_global()):
            yield symbol.get_name()
    for child in table.get_children():
        yield from used_in(child, top=False)


def needed(sources: list[str], number: int) -> list[int]:
    """Return the cells to run before a cell, in their order: for each name the last that makes it.

    A cell that also *uses* a name that it makes, as ``found |= …`` does, needs the one before it.
    """
    found: set[int] = set()
    open_ends = [(name, number) for name in names(sources[number])[1]]
    while open_ends:
        name, before = open_ends.pop()
        makers = [n for n in range(before) if name in names(sources[n])[0]]
        if makers and makers[-1] not in found:
            found.add(makers[-1])
            open_ends += [(other, makers[-1]) for other in names(sources[makers[-1]])[1]]
    return sorted(found)
