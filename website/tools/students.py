"""Make the students' copy of the course and the teachers' answer key (``make students``).

``_build/students.zip`` holds what the site is built from, and a README for students. The cells with
the tag ``solution`` are left out of its chapters. They go to ``_build/answer_key.md``, with the
exercises, and with all questions, those in the text and those under ``## Check yourself``. Nothing
is written, and one line says why, when an exercise has no solution, when a question has no right
option or several, or when an answer (`my_k = …` in a solution) is still in a file.

``python -m website.tools.students FOLDER`` writes the same files into a folder, where
`make zip STUDENTS=1` builds the students' site.
"""

import io
import re
import shutil
import sys
import zipfile
from pathlib import Path

from nbformat import NotebookNode

from initcore import _files
from website.tools import notebooks

ROOT = Path(__file__).resolve().parents[2]
COPIED = (  # and the chapters: what the site is built from, and nothing that lies about
    *("LICENSE*", "Makefile", "_*.yml", "intro.md", "pyproject.toml", "requirements.lock"),
    *("initcore/**/*", "pages/**/*", "website/**/*"),
)
LEFT_OUT = re.compile(r"/(\.|__pycache__/|node_modules/)")
FOLDED = re.compile(r"<details>\s*<summary>(.*?)</summary>(.*?)</details>", re.DOTALL)


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


def without_solutions(root: Path, chapters: dict[str, NotebookNode]) -> dict[str, bytes]:
    """Return the files of the students' copy by their names."""
    paths = (path for pattern in COPIED for path in root.glob(pattern) if path.is_file())
    names = (path.relative_to(root) for path in paths)
    names = (name for name in names if not LEFT_OUT.search(f"/{name.as_posix()}"))
    files = {name.as_posix(): (root / name).read_bytes() for name in names}
    files["README.md"] = (ROOT / "website/students.md").read_bytes()
    pins = (root / "requirements.txt").read_text(encoding="utf-8").split("# The notebooks\n")[1]
    files["requirements.txt"] = (pins.split("\n\n")[0] + "\n-e .\n").encode()
    for name, notebook in chapters.items():
        notebook.cells = [cell for cell in notebook.cells if not is_solution(cell)]
        files[name] = notebooks.to_text(notebook).encode()
    return files


def make(root: Path = ROOT) -> tuple[dict[str, bytes], str]:
    """Return the files of the students' copy and the answer key, or end with one line."""
    chapters = read_chapters(root)
    key = "# Answer key\n\nFor teachers, made from the notebooks by `make students`."
    for name, notebook in chapters.items():
        try:
            key += f"\n\n{answers(name, notebook)}"
        except ValueError as error:
            sys.exit(f"The students' copy cannot be made: {name}: {error}")
    files = without_solutions(root, chapters)
    for name, value in re.findall(r"`(my_\w+) *= *([^`]+)`", key):
        pattern = re.compile(rf"{name}\s*=\s*{re.escape(value)}(?!\w|\.\d)".encode())
        if found := [file for file, content in files.items() if pattern.search(content)]:
            sys.exit(f"The students' copy cannot be made: {found[0]}: has `{name} = {value}`")
    return files, key


def write_folder(folder: Path, root: Path = ROOT) -> None:
    """Write the copy to a new folder, where what was installed for the course is used too."""
    files, _ = make(root)
    shutil.rmtree(folder, ignore_errors=True)
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    for name in ("_build/pyodide", "website/node_modules"):
        (root / name).mkdir(parents=True, exist_ok=True)
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).symlink_to(root / name)


def main(root: Path = ROOT) -> None:
    """Write the zip and the answer key to ``_build``."""
    files, key = make(root)
    (build := root / "_build").mkdir(exist_ok=True)
    with zipfile.ZipFile(stream := io.BytesIO(), "w") as archive:
        for name in sorted(files):
            info = zipfile.ZipInfo(f"weight-initialization/{name}", (2026, 1, 1, 0, 0, 0))
            info.external_attr = 0o100644 << 16  # or unzip makes files that nobody may read
            archive.writestr(info, files[name], zipfile.ZIP_DEFLATED)
    _files.write(build / "students.zip", stream.getvalue())
    _files.write(build / "answer_key.md", f"{key}\n")
    print(f"{build}: students.zip, the course without solutions; answer_key.md")


if __name__ == "__main__":
    with _files.plain_errors():
        write_folder(Path(sys.argv[1])) if sys.argv[1:] else main()
