"""Make the students' copy of the course and the teachers' answer key (``make students``).

``_build/students.zip`` holds what is needed to read and run the chapters. Their cells with the tag
``solution`` are left out; they go to ``_build/answer_key.md``, with the right option of each
question under ``## Check yourself``. The same course gives the same bytes. Nothing is written, and
one line says why, when an exercise has no solution, when a question has no right option or several,
or when an answer (`my_k = 3` in a solution) is still in a file of the zip.
"""

import re
import sys
import zipfile
from pathlib import Path

from nbformat import NotebookNode

from website.tools import notebooks

ROOT = Path(__file__).resolve().parents[2]
COPIED = ("LICENSE", "LICENSE-CC-BY-4.0", "pyproject.toml")
PAGES = ("pages/notation.md", "pages/glossary.md", "pages/claims.md", "pages/references.md")

FOLDED = re.compile(r"<details>\s*<summary>(.*?)</summary>(.*?)</details>", re.DOTALL)
# A chapter's link to a file of the course that is not in the zip.
DEAD_LINK = re.compile(rf"\[([^\[\]]*)\]\(\.\./(?!{'|'.join(PAGES)})[^()\s]+\)")


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


def question_texts(notebook: NotebookNode) -> list[str]:
    """Return the items of ``## Check yourself`` as they stand there, without their numbers."""
    text = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    section = text.partition("\n## Check yourself\n")[2].partition("\n## ")[0]
    return re.split(r"^\d+\. +", section, flags=re.MULTILINE)[1:]


def questions(notebook: NotebookNode) -> list[str]:
    """Return the items of ``## Check yourself``, each with its right option and the feedback."""
    found = []
    for number, item in enumerate(question_texts(notebook), start=1):
        right = [fold for fold in FOLDED.findall(item) if fold[1].strip().startswith("Right.")]
        if len(right) != 1:
            raise ValueError(f"question {number} has {len(right)} options that are `Right.`, not 1")
        parts = [item.partition("<details")[0], f"**{right[0][0]}**", right[0][1]]
        found.append(f"{number}. " + "\n\n   ".join(part.strip() for part in parts))
    return found


def answers(name: str, notebook: NotebookNode) -> str:
    """Return a chapter's part of the answer key."""
    title = notebook.cells[0].source.partition("\n")[0].removeprefix("# ")
    parts = [f"## {title}", f"`{name}`", "### Exercises"]
    for exercise, cells in exercises(notebook).items():
        solutions = [FOLDED.sub(r"\2", cell.source).strip() for cell in cells if is_solution(cell)]
        if not any(solutions):
            raise ValueError(f"the exercise “{exercise}” has no solution")
        parts += [f"#### {exercise}", *solutions]
    return "\n\n".join([*parts, "### Check yourself", *questions(notebook)])


def students_files(root: Path, chapters: dict[str, NotebookNode]) -> dict[str, bytes]:
    """Return the files of the students' copy by their names."""
    files = {name: (root / name).read_bytes() for name in (*COPIED, *PAGES)}
    files["README.md"] = (ROOT / "website/students.md").read_bytes()
    pins = (root / "requirements.txt").read_text(encoding="utf-8").split("# The notebooks\n")[1]
    files["requirements.txt"] = (pins.split("\n\n")[0] + "\n-e .\n").encode()
    for path in root.glob("initcore/**/*"):
        if path.is_file() and not {"__pycache__", ".ipynb_checkpoints"} & {*path.parts}:
            files[path.relative_to(root).as_posix()] = path.read_bytes()
    for name, notebook in chapters.items():
        notebook.cells = [cell for cell in notebook.cells if not is_solution(cell)]
        for cell in notebook.cells:
            if cell.cell_type == "markdown":
                cell.source = DEAD_LINK.sub(r"\1", cell.source)
        files[name] = notebooks.to_text(notebook).encode()
    return files


def main(root: Path = ROOT) -> None:
    """Write both files to ``_build``."""
    chapters, key = {}, "# Answer key\n\nFor teachers, made from the notebooks by `make students`."
    for path in sorted(root.glob("chapters/*.ipynb")):
        name = path.relative_to(root).as_posix()
        try:
            chapters[name] = notebooks.read(path.read_text(encoding="utf-8"))
            key += f"\n\n{answers(name, chapters[name])}"
        except (ValueError, notebooks.NotebookError) as error:
            sys.exit(f"The students' copy cannot be made: {name}: {error}")
    files = students_files(root, chapters)
    for variable, answer in re.findall(r"`(my_\w+) *= *([^`]+)`", key):
        pattern = re.compile(rf"{variable}\s*=\s*{re.escape(answer)}(?![\w.])".encode())
        if found := [name for name in files if pattern.search(files[name])]:
            sys.exit(f"The students' copy cannot be made: {found[0]}: has `{variable} = {answer}`")
    build = root / "_build"
    build.mkdir(exist_ok=True)
    with zipfile.ZipFile(build / "students.zip", "w") as archive:
        for name in sorted(files):
            info = zipfile.ZipInfo(f"weight-initialization/{name}", (2026, 1, 1, 0, 0, 0))
            info.external_attr = 0o100644 << 16  # or unzip makes files that nobody may read
            archive.writestr(info, files[name], zipfile.ZIP_DEFLATED)
    (build / "answer_key.md").write_text(f"{key}\n", encoding="utf-8")
    print(f"{build}: students.zip, {len(chapters)} chapters without solutions; answer_key.md")


if __name__ == "__main__":
    main()
