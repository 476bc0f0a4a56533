"""Make the students' copy of the course and the teachers' answer key (``make students``).

``_build/students.zip`` holds what is needed to read and run the chapters. Their cells with the tag
``solution`` are left out; they go to ``_build/answer_key.md``, with the exercises, and with all
questions, those in the text and those under ``## Check yourself``. Nothing is written, and one line
says why, when an exercise has no solution, when a question has no right option or several, or when
an answer (`my_k = 3` in a solution) is still in a file of the zip.

``python -m website.tools.students FOLDER`` writes another copy: all that the site is built from,
without solutions. `make zip STUDENTS=1` builds the students' site there.
"""

import html
import io
import posixpath
import re
import shutil
import sys
import zipfile
from collections.abc import Iterable
from pathlib import Path

from nbformat import NotebookNode

from initcore import _files
from website.tools import notebooks

ROOT = Path(__file__).resolve().parents[2]
COPIED = ("LICENSE", "LICENSE-CC-BY-4.0", "pyproject.toml")
PAGES = [
    *("pages/ten_minutes.md", "pages/summary.md", "pages/my_model_does_not_train.md"),
    *("pages/claims.md", "pages/notation.md", "pages/glossary.md", "pages/references.md"),
]
FOLDED = re.compile(r"<details>\s*<summary>(.*?)</summary>(.*?)</details>", re.DOTALL)
LINK = re.compile(r"\[([^\[\]]*)\]\(([\w./]+)(?:#[^()\s]*)?\)")  # to a file of the course


def exercises(notebook: NotebookNode) -> dict[str, list[NotebookNode]]:
    """Return the cells of each exercise, by its title: those that check the answer, and solutions.

    Under ``## Exercises`` a heading ``### Title`` starts an exercise. The cells up to the next
    heading belong to it; `is_solution` tells which of them are its solution.
    """
    found, cells, section = {}, [], ""
    for cell in notebook.cells:
        if cell.cell_type == "markdown" and not is_solution(cell):
            for level, title in re.findall(r"^(##|###) +(.+)$", cell.source, re.MULTILINE):
                if level == "##":
                    section = title
                elif section == "Exercises":
                    cells = found[title] = []
        elif section == "Exercises":
            cells.append(cell)
    return found


def is_solution(cell: NotebookNode) -> bool:
    """Tell whether a cell is left out of the students' copy."""
    return "solution" in cell.metadata.get("tags", ())


def section(notebook: NotebookNode, title: str) -> str:
    """Return the text of a chapter below ``## Title``, without solutions."""
    cells = [c for c in notebook.cells if c.cell_type == "markdown" and not is_solution(c)]
    text = "\n\n".join(cell.source for cell in cells)
    return text.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def read_chapters(root: Path) -> dict[str, NotebookNode]:
    """Return the chapters by their names, or end with one line if one is not to be handed out."""
    chapters = {}
    for path in sorted(root.glob("chapters/*.ipynb")):
        name = path.relative_to(root).as_posix()
        try:
            chapters[name] = notebooks.read(path.read_text(encoding="utf-8"))
        except notebooks.NotebookError as error:
            sys.exit(f"{name}: {error}")
        for exercise, cells in exercises(chapters[name]).items():
            printed = "".join(o.get("text", "") for cell in cells for o in cell.get("outputs", ()))
            if printed.strip().endswith("right"):
                answered = f"and “{exercise}” is answered in it: git restore {name}"
                sys.exit(f"{name} must be as it is handed out, {answered}")
    return chapters


def question_texts(notebook: NotebookNode) -> list[str]:
    """Return the items of ``## Check yourself`` as they stand there, without their numbers."""
    return re.split(r"^\d+\. +", section(notebook, "Check yourself"), flags=re.MULTILINE)[1:]


def marked(question: str, name: str) -> str:
    """Return a question with its options, the right one marked."""
    parts, rights = [question.partition("<details")[0].strip()], 0
    for option, feedback in FOLDED.findall(question):
        right = feedback.strip().startswith(("Right.", "Right:"))
        rights += right
        parts.append(f"- **{option}** ✓ {feedback.strip()}" if right else f"- {option}")
    if rights != 1:
        raise ValueError(f"{name} has {rights} options that are `Right.`, not 1")
    return "\n\n   ".join(parts)


def questions(notebook: NotebookNode) -> list[str]:
    """Return the items of ``## Check yourself`` with their options, the right one marked."""
    items = enumerate(question_texts(notebook), start=1)
    return [marked(f"{number}. {item}", f"question {number}") for number, item in items]


def quizzes(notebook: NotebookNode) -> list[str]:
    """Return the questions in the text, each under a heading: one option is ``Right:``."""
    cells = [cell.source for cell in notebook.cells if cell.cell_type == "markdown"]
    parts = re.split(r"^##+ +", "\n\n".join(cells), flags=re.MULTILINE)
    asked = [part for part in parts if "\nRight: " in part]
    return [marked(f"### {part}", part.partition("\n")[0]) for part in asked]


def answers(name: str, notebook: NotebookNode) -> str:
    """Return a chapter's part of the answer key."""
    title = notebook.cells[0].source.partition("\n")[0]
    parts = [f"#{title}", f"`{name}`", *quizzes(notebook), "### Exercises"]
    texts = re.split(r"^### +.+$", section(notebook, "Exercises"), flags=re.MULTILINE)[1:]
    for (exercise, cells), text in zip(exercises(notebook).items(), texts, strict=True):
        solutions = [FOLDED.sub(r"\2", cell.source).strip() for cell in cells if is_solution(cell)]
        if not any(solutions):
            raise ValueError(f"the exercise “{exercise}” has no solution")
        code = [f"```python\n{c.source}\n```" for c in cells if c.cell_type == "code"]
        parts += [f"#### {exercise}", text.strip(), *code, "**Solution.**", *solutions]
    return "\n\n".join([*parts, "### Check yourself", *questions(notebook)])


def students_files(root: Path, chapters: dict[str, NotebookNode]) -> dict[str, bytes]:
    """Return the files of the students' copy by their names."""

    def plain(text: str, folder: str) -> str:
        """Turn links to what is not in the zip into plain words."""
        for link in LINK.finditer(text):
            if posixpath.normpath(f"{folder}/{link[2]}") not in {*PAGES, *chapters}:
                text = text.replace(link[0], link[1])
        return text

    files = {name: (root / name).read_bytes() for name in COPIED}
    files["README.md"] = (ROOT / "website/students.md").read_bytes()
    pins = (root / "requirements.txt").read_text(encoding="utf-8").split("# The notebooks\n")[1]
    files["requirements.txt"] = (pins.split("\n\n")[0] + "\n-e .\n").encode()
    for path in root.glob("initcore/**/*"):
        if path.is_file() and not {"__pycache__", ".ipynb_checkpoints"} & {*path.parts}:
            files[path.relative_to(root).as_posix()] = path.read_bytes()
    for name in PAGES:
        files[name] = plain((root / name).read_text(encoding="utf-8"), "pages").encode()
    for name, notebook in chapters.items():
        notebook.cells = [cell for cell in notebook.cells if not is_solution(cell)]
        for cell in (cell for cell in notebook.cells if cell.cell_type == "markdown"):
            cell.source = plain(cell.source, "chapters")
        files[name] = notebooks.to_text(notebook).encode()
    return files


def read_course(root: Path = ROOT) -> tuple[dict[str, NotebookNode], str]:
    """Return the chapters by their names, and the answer key."""
    chapters = read_chapters(root)
    key = "# Answer key\n\nFor teachers, made from the notebooks by `make students`."
    for name, notebook in chapters.items():
        try:
            key += f"\n\n{answers(name, notebook)}"
        except ValueError as error:
            sys.exit(f"The students' copy cannot be made: {name}: {error}")
    return chapters, key


def check(files: Iterable[tuple[str, bytes]], key: str) -> None:
    """End with one line if an answer of the key is in a file."""
    patterns = {
        f"{name} = {value}": re.compile(rf"{name}\s*=\s*{re.escape(value)}(?!\w|\.\d)".encode())
        for name, value in re.findall(r"`(my_\w+) *= *([^`]+)`", key)
    }
    for file, content in files:
        if file.endswith(".html"):  # where each word of code may be an element
            content = html.unescape(re.sub(r"<[^>]*>", "", content.decode())).encode()
        if found := [answer for answer, pattern in patterns.items() if pattern.search(content)]:
            sys.exit(f"The students' copy cannot be made: {file}: has `{found[0]}`")


def write_course(folder: Path, root: Path = ROOT) -> None:
    """Write all that the site is built from to a new folder, the chapters without solutions.

    What was installed or fetched for the course is used there too.
    """
    shutil.rmtree(folder, ignore_errors=True)
    left_out = shutil.ignore_patterns(".*", "_build", "__pycache__", "node_modules", "tests")
    shutil.copytree(root, folder, ignore=left_out)
    for path in folder.glob("chapters/*.ipynb"):
        notebook = notebooks.read(path.read_text(encoding="utf-8"))
        notebook.cells = [cell for cell in notebook.cells if not is_solution(cell)]
        path.write_text(notebooks.to_text(notebook), encoding="utf-8")
    for name in ("_build/pyodide", "website/node_modules"):
        (root / name).mkdir(parents=True, exist_ok=True)
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).symlink_to(root / name)


def main(root: Path = ROOT) -> None:
    """Write the zip and the answer key to ``_build``."""
    chapters, key = read_course(root)
    files = students_files(root, chapters)
    check(files.items(), key)
    (build := root / "_build").mkdir(exist_ok=True)
    with zipfile.ZipFile(stream := io.BytesIO(), "w") as archive:
        for name in sorted(files):
            info = zipfile.ZipInfo(f"weight-initialization/{name}", (2026, 1, 1, 0, 0, 0))
            info.external_attr = 0o100644 << 16  # or unzip makes files that nobody may read
            archive.writestr(info, files[name], zipfile.ZIP_DEFLATED)
    _files.write(build / "students.zip", stream.getvalue())
    _files.write(build / "answer_key.md", f"{key}\n")
    print(f"{build}: students.zip, {len(chapters)} chapters without solutions; answer_key.md")


if __name__ == "__main__":
    with _files.plain_errors():
        write_course(Path(sys.argv[1])) if sys.argv[1:] else main()
