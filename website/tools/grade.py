"""Grade a folder of returned notebooks (``make grade ARGS=FOLDER``).

It prints a table for each chapter, a line for each notebook in the folder or below it, and writes
``grades.csv`` there, with the answers too. An exercise is `right`, `not yet` with the reason that
its cell gives, `missing` if the answer is not there or is that handed out, or an `error`.

Of a returned notebook only the answers count, ``my_k = 3``, wherever they stand. Such an answer is
put into the course's own cell, which runs in the course's own chapter: once for all notebooks. It
must be a number, a fraction, a tuple or such a formula as ``1 / np.sqrt(300)``. No other line that
a student wrote is run.
"""

from __future__ import annotations

import ast
import csv
import io
import os
import re
import subprocess
import sys
import warnings
from collections.abc import Collection, Iterator
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, DeadKernelError
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_notebook, new_output

from initcore import _files
from website.tools import notebooks, students

ROOT = Path(__file__).resolve().parents[2]
MARK = "# your answer"
LIMIT = 60  # seconds for the check of an answer
VALUE = (
    *(ast.Expression, ast.Constant, ast.Tuple, ast.List, ast.Load, ast.operator, ast.unaryop),
    *(ast.BinOp, ast.UnaryOp, ast.Name, ast.Attribute, ast.Call),
)
NUMERIC = "sqrt cbrt exp log log2 log10 pi e".split()
NAMES = {"Fraction", "abs", "float", "int", "round", "math", "np"}
NAMES |= {f"{module}.{name}" for module in ("math", "np") for name in NUMERIC}
IMPORTS = "import math\nfrom fractions import Fraction\nimport numpy as np\n"


def assignments(source: str) -> Iterator[tuple[str, ast.Assign, bool]]:
    """Yield each variable that code sets on a line of its own, and whether it is an answer."""
    lines = source.splitlines()
    for node in ast.parse(source).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            marked = any(MARK in line for line in lines[node.lineno - 1 : node.end_lineno])
            yield node.targets[0].id, node, marked


def asked(source: str) -> dict[str, str]:
    """Return the answers that a cell of the course asks for, with those that it is stored with."""
    return {name: ast.unparse(node.value) for name, node, marked in assignments(source) if marked}


def given(notebook: NotebookNode, names: Collection[str]) -> dict[str, str]:
    """Return the answers to these names in a notebook: of several the last, as when it runs."""
    found = {}
    for cell in (cell for cell in notebook.cells if cell.cell_type == "code"):
        try:
            lines = [(name, ast.unparse(node.value)) for name, node, _ in assignments(cell.source)]
        except (SyntaxError, ValueError, RecursionError):  # or whatever is no Python at all
            pattern = re.compile(r"^(\w+) *=(?!=) *([^#\n]*)", re.MULTILINE)
            lines = [(name, value.strip()) for name, value in pattern.findall(cell.source)]
        found |= {name: value for name, value in lines if name in names}
    return found


def is_value(expression: str) -> bool:
    """Tell whether an answer can be run: it is made of numbers and of a few functions of them."""
    try:
        nodes = list(ast.walk(ast.parse(expression, mode="eval")))
    except (SyntaxError, ValueError, RecursionError):
        return False
    named = [ast.unparse(node) for node in nodes if isinstance(node, ast.Attribute | ast.Name)]
    return all(isinstance(node, VALUE) for node in nodes) and NAMES.issuperset(named)


def with_answers(source: str, answers: dict[str, str]) -> str:
    """Return a cell of the course with other answers in place of those that it is stored with."""
    lines = source.splitlines()
    for name, node, marked in reversed(list(assignments(source))):
        if marked:
            lines[node.lineno - 1 : node.end_lineno] = [f"{name} = {answers[name]}"]
    return "\n".join([IMPORTS, *lines])


def verdict(cell: NotebookNode) -> str:
    """Return what the check of an answer came to."""
    for output in cell.outputs:
        if output.output_type == "error":
            slow = output.ename == "KeyboardInterrupt"
            return f"error: it takes more than {LIMIT} s" if slow else f"error: {output.ename}"
    printed = "".join(o.text for o in cell.outputs if o.get("name") == "stdout").strip()
    if found := re.search("not yet.*", printed):
        return found[0]
    return "right" if printed.endswith("right") else f"error: it printed {printed[-40:]!r}"


def is_check(cell: NotebookNode) -> bool:
    """Tell whether a cell checks a returned answer, and so may fail."""
    return "raises-exception" in cell.metadata.get("tags", ())


def execute(cells: list[NotebookNode], folder: Path) -> None:
    """Run cells in one kernel; an error is kept where a tag allows it.

    A check that ends the kernel is left out with such an error, and all begins again.
    """
    running: list[NotebookNode] = []
    client = NotebookClient(
        new_notebook(cells=cells),
        kernel_name="python3",
        resources={"metadata": {"path": str(folder)}},
        timeout_func=lambda cell: LIMIT if is_check(cell) else notebooks.CELL_TIMEOUT,
        interrupt_on_timeout=True,
        iopub_timeout=notebooks.CELL_TIMEOUT,
        on_cell_execute=lambda cell, cell_index: running.append(cell),
    )
    client.log.disabled = True  # what it would log is in the outputs
    environment = os.environ | notebooks.ENVIRONMENT
    try:
        client.execute(env=environment, stderr=subprocess.DEVNULL, cleanup_kc=True)
    except DeadKernelError:
        if not is_check(running[-1]):
            sys.exit("The course's own chapter ends the kernel")
        execute([cell for cell in cells if cell is not running[-1]], folder)
        running[-1].outputs = [new_output("error", ename="the kernel died")]
    except CellExecutionError as error:
        sys.exit(f"The course's own chapter fails: {error.ename}: {error.evalue}")


def grade(
    chapter: NotebookNode, returned: list[NotebookNode], folder: Path
) -> dict[str, list[tuple[str, str]]]:
    """Return what each notebook's answer to an exercise came to, and the answer, by its title."""
    titles = {
        cell.id: title
        for title, cells in students.exercises(chapter).items()
        for cell in cells
        if cell.cell_type == "code" and MARK in cell.source
    }
    code = [cell for cell in chapter.cells if cell.cell_type == "code"]
    cells, found = [], {title: [] for title in titles.values()}
    while code and code[-1].id not in titles:
        code.pop()
    for cell in code:
        stored, checks = asked(cell.source) if cell.id in titles else {}, {}
        for notebook in returned if stored else ():
            answers = given(notebook, stored)
            if bad := [text for text in answers.values() if not is_value(text)]:
                said = f"error: {bad[0][:40]}{' …' if len(bad[0]) > 40 else ''} is not a value"
            elif len(answers) < len(stored) or answers == stored:
                said = "missing"
            else:
                source = with_answers(cell.source, answers)
                check = new_code_cell(source, metadata={"tags": ["raises-exception"]})
                said = checks.setdefault(source, check)  # one for all who gave this answer
            found[titles[cell.id]].append((said, "; ".join(answers.values())))
        cells += [*checks.values(), new_code_cell(cell.source)]
    if any(map(is_check, cells)):
        execute(cells, folder)
    return {
        title: [(said if isinstance(said, str) else verdict(said), answer) for said, answer in row]
        for title, row in found.items()
    }


def plain(text: str) -> str:
    """Return a text of a student's as one that a spreadsheet does not take for a formula."""
    return f"'{text}" if text[:1] in tuple("=+-@") and not is_value(text) else text


def read(path: Path) -> NotebookNode | None:
    """Return a returned notebook, of any version, or None if it is none."""
    try:
        with warnings.catch_warnings(action="ignore"):  # of cells without an id
            notebook = nbformat.reads(path.read_text(encoding="utf-8-sig"), as_version=4)
        return notebook if [cell.source for cell in notebook.cells] else None
    except (nbformat.ValidationError, ValueError, LookupError, TypeError, AttributeError):
        return None
    except (NameError, RecursionError):  # of nbformat too, for a damaged one
        return None


def main(folder: str = "", root: Path = ROOT) -> None:
    """Print the tables, and write them to ``grades.csv`` in the folder."""
    left_out = {".ipynb_checkpoints", "grades.csv"}
    found = sorted(Path(folder).rglob("*")) if folder else []
    found = [path for path in found if path.is_file() and not left_out & {*path.parts[-2:]}]
    if not any(path.suffix.lower() == ".ipynb" for path in found):
        sys.exit(f"FOLDER must hold returned notebooks, not {folder or 'nothing'!r}")
    chapters = students.read_chapters(root)
    parts = {name: {cell.source for cell in one.cells} for name, one in chapters.items()}
    returned: dict[str, dict[str, NotebookNode]] = {name: {} for name in chapters}
    rows = []
    for path in found:
        name, notebook = path.relative_to(folder).as_posix(), read(path)
        own = {cell.source for cell in notebook.cells} if notebook else set()
        chapter = max(chapters, key=lambda chapter: len(parts[chapter] & own))
        if parts[chapter] & own:
            returned[chapter][name] = notebook
        else:
            no = "cannot be read" if path.suffix.lower() == ".ipynb" else "no notebook"
            rows.append([name, f"error: {'no chapter of the course' if notebook else no}"])
            print(": ".join(rows[-1]))
    for chapter, given_back in returned.items():
        if given_back:
            table = grade(chapters[chapter], list(given_back.values()), root / "chapters")
            print(f"\n{Path(chapter).name}: {'; '.join(table)}")
            columns = [[*given_back], *([said for said, _ in row] for row in table.values())]
            widths = [max(map(len, column)) for column in columns]
            for line in zip(*columns, strict=True):
                print(*(text.ljust(n) for text, n in zip(line, widths, strict=True)), sep="  ")
            for name, *cells in zip(given_back, *table.values(), strict=True):
                rows.append([name, Path(chapter).stem, *(text for cell in cells for text in cell)])
    most = max(map(len, rows)) // 2
    heads = [f"{what}{n}" for n in range(1, most) for what in ("exercise ", "answer ")]
    rows = [[plain(text) for text in row] for row in rows]
    csv.writer(stream := io.StringIO()).writerows([["notebook", "chapter", *heads], *rows])
    _files.write(Path(folder, "grades.csv"), stream.getvalue().encode("utf-8-sig"))


if __name__ == "__main__":
    with _files.plain_errors():
        main(*sys.argv[1:2])
