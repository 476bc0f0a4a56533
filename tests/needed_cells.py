"""What a cell of a chapter needs: the cells that make the names it uses, and so on down."""

import ast
import builtins


def names(source: str) -> tuple[set[str], set[str]]:
    """Return the names that code makes at its top level, and those that it uses."""
    tree = ast.parse(source)
    made, used = set(), set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            (used if isinstance(node.ctx, ast.Load) else made).add(node.id)
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            made |= {(alias.asname or alias.name).split(".")[0] for alias in node.names}
        elif isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            made.add(node.name)
    return made, used - set(dir(builtins))


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


def run_needed(sources: list[str], number: int) -> dict:
    """Return the namespace in which a cell can run."""
    namespace = {"__name__": "__main__"}
    for n in needed(sources, number):
        exec(compile(sources[n], f"<cell {n}>", "exec"), namespace)
    return namespace
