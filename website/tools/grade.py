"""Grade a folder of returned notebooks (``make grade ARGS=FOLDER``).

It prints a table for each chapter, a line for each notebook in the folder or below it, and writes
``grades.csv`` there, with the answers too. An exercise is `right`, `not yet` with the reason that
its cell gives, `missing` if the answer is not there or is that handed out, or an `error`.

Of a returned notebook only the answers count, lines such as ``my_k = …``, wherever they stand. Such
an answer is put into the course's own cell, which runs in the course's own chapter: once for all
notebooks. It must be a number, a fraction, a tuple or such a formula as ``1 / np.sqrt(300)``. No
other line that a student wrote is run.
"""

from __future__ import annotations

import ast
import csv
import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Collection
from pathlib import Path

from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, DeadKernelError
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_notebook, new_output

from initcore import _files
from website.tools import notebooks, students

ROOT = Path(__file__).resolve().parents[2]
MARK = "# your answer"
ANSWER = re.compile(r"^(\w+) *=(?!=) *([^#\n]*?) *(?:#.*)?$", re.MULTILINE)
LIMIT = 60  # seconds for the check of an answer
VALUE = (
    *(ast.Expression, ast.Constant, ast.Tuple, ast.List, ast.Load, ast.operator, ast.unaryop),
    *(ast.BinOp, ast.UnaryOp, ast.Name, ast.Attribute, ast.Call),
)
NUMERIC = "sqrt cbrt exp log log2 log10 pi e".split()
NAMES = {"Fraction", "abs", "float", "int", "round", "math", "np"}
NAMES |= {f"{module}.{name}" for module in ("math", "np") for name in NUMERIC}
IMPORTS = "import math\nfrom fractions import Fraction\nimport numpy as np\n"


def asked(source: str) -> dict[str, str]:
    """Return the answers that a cell of the course asks for, with those that it is stored with."""
    return dict(ANSWER.findall("\n".join(line for line in source.splitlines() if MARK in line)))


def given(sources: list[str], names: Collection[str]) -> dict[str, str]:
    """Return the answers to these names in code cells: of several the last, as when they run."""
    found = (answer for source in sources for answer in ANSWER.findall(source))
    return {name: value for name, value in found if name in names}


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
    for name, value in answers.items():
        line = re.compile(rf"^{name} = .*{MARK}.*$", re.MULTILINE)
        source = line.sub(lambda _, line=f"{name} = {value}": line, source)
    return f"{IMPORTS}\n{source}"


def to_check(source: str, answers: dict[str, str]) -> NotebookNode:
    """Return the cell that checks answers, or that says what is wrong with them."""
    stored = asked(source)
    if bad := [value for value in answers.values() if not is_value(value)]:
        said = f"error: {bad[0][:40]}{' …' if len(bad[0]) > 40 else ''} is not a value"
        source = f"print({said!r})"
    elif len(answers) < len(stored) or answers == stored:
        source = "print('missing')"
    else:
        source = with_answers(source, answers)
    return new_code_cell(source, metadata={"tags": ["raises-exception"]})


def verdict(check: NotebookNode) -> str:
    """Return what the check of an answer came to."""
    for output in check.outputs:
        if output.output_type == "error":
            slow = output.ename == "KeyboardInterrupt"
            return f"error: it takes more than {LIMIT} s" if slow else f"error: {output.ename}"
    printed = "".join(o.text for o in check.outputs if o.get("name") == "stdout").strip()
    if found := re.search("not yet.*|^missing$|^error: .*", printed):
        return found[0]
    return "right" if printed.endswith("right") else f"error: it printed {printed[-40:]!r}"


def execute(cells: list[NotebookNode], folder: Path) -> None:
    """Run cells in one kernel; a check that ends the kernel is left out, and all begins again."""
    running: list[NotebookNode] = []
    client = NotebookClient(
        new_notebook(cells=cells),
        kernel_name="python3",
        resources={"metadata": {"path": str(folder)}},
        timeout_func=lambda cell: LIMIT if "tags" in cell.metadata else notebooks.CELL_TIMEOUT,
        interrupt_on_timeout=True,
        iopub_timeout=notebooks.CELL_TIMEOUT,
        on_cell_execute=lambda cell, cell_index: running.append(cell),
    )
    client.log.disabled = True  # what it would log is in the outputs
    environment = os.environ | notebooks.ENVIRONMENT
    try:
        client.execute(env=environment, stderr=subprocess.DEVNULL, cleanup_kc=True)
    except CellExecutionError as error:
        sys.exit(f"The course's own chapter fails: {error.ename}: {error.evalue}")
    except DeadKernelError:
        if "tags" not in running[-1].metadata:
            sys.exit("The course's own chapter ends the kernel")
        execute([cell for cell in cells if cell is not running[-1]], folder)
        running[-1].outputs = [new_output("error", ename="the kernel died")]


def grade(
    chapter: NotebookNode, returned: list[list[str]], folder: Path
) -> dict[str, list[tuple[str, str]]]:
    """Return what each notebook's answer to an exercise came to, and the answer, by its title."""
    exercises = students.exercises(chapter).items()
    titles = {cell.id: title for title, cells in exercises for cell in cells if MARK in cell.source}
    run, table = [], {}
    for cell in (cell for cell in chapter.cells if cell.cell_type == "code"):
        if title := titles.get(cell.id):
            answers = [given(sources, asked(cell.source)) for sources in returned]
            checks = [to_check(cell.source, one) for one in answers]
            table[title] = list(zip(checks, answers, strict=True))
            run += checks
        run.append(new_code_cell(cell.source))
    while "tags" not in run[-1].metadata:  # what stands below the last check
        run.pop()
    execute(run, folder)
    return {
        title: [(verdict(check), "; ".join(one.values())) for check, one in row]
        for title, row in table.items()
    }


def plain(text: str) -> str:
    """Return a text of a student's as one that a spreadsheet does not take for a formula."""
    return f"'{text}" if text[:1] in tuple("=+-@") and not is_value(text) else text


def read(path: Path) -> list[str]:
    """Return the code cells of a returned notebook; of what is no notebook there are none."""
    try:
        cells = json.loads(path.read_text(encoding="utf-8-sig"))["cells"]
        return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    except (ValueError, LookupError, TypeError, RecursionError):
        return []


def main(folder: str = "", root: Path = ROOT) -> None:
    """Print the tables, and write them to ``grades.csv`` in the folder."""
    left_out = {".ipynb_checkpoints", "grades.csv"}
    found = sorted(Path(folder).rglob("*")) if folder else []
    found = [path for path in found if path.is_file() and not left_out & {*path.parts[-2:]}]
    if not any(path.suffix.lower() == ".ipynb" for path in found):
        sys.exit(f"FOLDER must hold returned notebooks, not {folder or 'nothing'!r}")
    chapters = students.read_chapters(root)
    parts = {name: {cell.source for cell in one.cells} for name, one in chapters.items()}
    returned: dict[str, dict[str, list[str]]] = {name: {} for name in chapters}
    rows = []
    for path in found:
        name, sources = path.relative_to(folder).as_posix(), read(path)
        chapter = max(chapters, key=lambda chapter: len(parts[chapter].intersection(sources)))
        if parts[chapter].intersection(sources):
            returned[chapter][name] = sources
        else:
            rows.append([name, "error: no notebook of the course"])
            print(": ".join(rows[-1]))
    for chapter, sources in returned.items():
        if not sources:
            continue
        table = grade(chapters[chapter], list(sources.values()), root / "chapters")
        print(f"\n{Path(chapter).name}: {'; '.join(table)}")
        width = max(map(len, sources))
        for name, *cells in zip(sources, *table.values(), strict=True):
            print(name.ljust(width), *(f"{said:8}" for said, _ in cells), sep="  ")
            rows.append([name, Path(chapter).stem, *(text for cell in cells for text in cell)])
    most = max(map(len, rows)) // 2
    heads = [f"{what}{n}" for n in range(1, most) for what in ("exercise ", "answer ")]
    rows = [[plain(text) for text in row] for row in rows]
    csv.writer(stream := io.StringIO()).writerows([["notebook", "chapter", *heads], *rows])
    _files.write(Path(folder, "grades.csv"), stream.getvalue().encode("utf-8-sig"))


if __name__ == "__main__":
    with _files.plain_errors():
        main(*sys.argv[1:2])
