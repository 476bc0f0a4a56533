"""Make the students' copy of the course and the teachers' answer key (``make students``).

``_build/students.zip`` holds what is needed to read and run the chapters: the notebooks with
their outputs, the package, the notation, the glossary and the sources. The solutions of the
exercises are cut out. They go to ``_build/answer_key.md``, with the right option of every
retrieval question; the questions keep their feedback in the notebooks, as it is for the learner.

Nothing is written, and one line says why, when an exercise has no solution, when a question has
no right option or several, or when an answer is still to be found in a file of the zip. The same
course gives the same bytes.
"""

from __future__ import annotations

import re
import sys
import textwrap
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from pybtex import PybtexEngine

from website.extensions import claims
from website.tools import notebooks

ROOT = Path(__file__).resolve().parents[2]
FOLDER = "weight-initialization"  # what the zip unpacks to
DATE = (2026, 1, 1, 0, 0, 0)  # of every file in the zip
COPIED = ("LICENSE", "LICENSE-CC-BY-4.0", "pyproject.toml")
PAGES = ("notation", "glossary", "references")

EXERCISE = re.compile(r"^(?:### +|\*\*(?=\d))(.+?)(?:\*\*|$)", re.MULTILINE)
FOLDED = re.compile(
    r"^[ ]*<details\b[^>]*>\s*<summary>(.*?)</summary>(.*?)</details>[ ]*$\n?",
    re.DOTALL | re.MULTILINE,
)
QUESTION = re.compile(r"^(\d+)\. +", re.MULTILINE)
ANSWER = re.compile(r"`(my_\w+) *= *([^`]+)`")
LINK = re.compile(r"(?<!!)\[((?:[^\[\]]|\[[^\[\]]*\])*)\]\(([^()\s]+)\)")


class CourseError(Exception):
    """What keeps the students' copy from being made, in a line."""


@dataclass
class Exercise:
    """The title of an exercise, and its solutions."""

    title: str
    solutions: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Question:
    """A retrieval question, its right option and what is said about that."""

    text: str
    option: str
    feedback: str


@dataclass(frozen=True)
class Chapter:
    """A chapter as students get it, and what they do not get."""

    name: str
    title: str
    notebook: str
    exercises: list[Exercise]
    questions: list[Question]


# --- a chapter ----------------------------------------------------------------------------------


def read_chapter(path: Path) -> Chapter:
    """Return a chapter, its solutions taken out of its notebook.

    Raises
    ------
    CourseError
        There is no exercise, one has no solution, or a question has not one right option.
    """
    notebook = notebooks.read(path.read_text(encoding="utf-8"))
    exercises: list[Exercise] = []
    section, asked, kept = "", "", []
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            parts = re.split(r"^## +(.+?) *$", cell.source, flags=re.MULTILINE)
            for number, part in enumerate(parts):
                if number % 2:
                    section = part
                elif section == "Exercises":
                    parts[number] = take_solutions(part, exercises, path.name)
                elif section == "Check yourself":
                    asked += part
            titles = [f"## {part}" if number % 2 else part for number, part in enumerate(parts)]
            cell.source = re.sub(r"\n{3,}", "\n\n", "".join(titles)).strip("\n")
        if cell.source or cell.cell_type == "code":
            kept.append(cell)
    notebook.cells = kept
    if not exercises:
        raise CourseError(f"{path.name}: there is no exercise under `## Exercises`")
    for exercise in exercises:
        if not exercise.solutions:
            raise CourseError(f"{path.name}: the exercise “{exercise.title}” has no solution")
    return Chapter(
        name=path.name,
        title=claims.title_of(path),
        notebook=notebooks.to_text(notebook),
        exercises=exercises,
        questions=list(read_questions(asked, path.name)),
    )


def take_solutions(text: str, exercises: list[Exercise], name: str) -> str:
    """Return a part of the exercises without solutions; add what is in it to the exercises."""

    def take(match: re.Match) -> str:
        summary, solution = match[1], match[2].strip()
        if "<details" in solution:
            raise CourseError(f"{name}: a block is folded within the block “{summary.strip()}”")
        if "solution" not in summary.lower():
            return match[0]  # a hint
        exercises.extend(map(Exercise, EXERCISE.findall(text[start[0] : match.start()])))
        start[0] = match.end()
        if not exercises:
            raise CourseError(f"{name}: “{summary.strip()}” stands before the first exercise")
        if solution:
            exercises[-1].solutions.append(solution)
        return ""

    start = [0]
    rest = FOLDED.sub(take, text)
    exercises.extend(map(Exercise, EXERCISE.findall(text[start[0] :])))
    return rest


def read_questions(text: str, name: str) -> Iterator[Question]:
    """Yield the retrieval questions of a section: a numbered list with folded options.

    Raises
    ------
    CourseError
        There is none, or one of them has not exactly one option that is right.
    """
    parts = QUESTION.split(text)[1:]
    if not parts:
        raise CourseError(f"{name}: there is no question under `## Check yourself`")
    for number, part in zip(parts[::2], parts[1::2], strict=True):
        item = textwrap.dedent(" " * len(f"{number}. ") + part)
        right = [
            Question(item.partition("<details")[0].strip(), option.strip(), feedback.strip())
            for option, feedback in FOLDED.findall(item)
            if feedback.strip().startswith("Right.")
        ]
        if len(right) != 1:
            raise CourseError(
                f"{name}: question {number} of `## Check yourself` has {len(right)} options "
                "whose feedback begins with “Right.”, not one"
            )
        yield right[0]


# --- the zip ------------------------------------------------------------------------------------


def students_files(root: Path, chapters: list[Chapter]) -> dict[str, bytes]:
    """Return the files of the students' copy by their names.

    Raises
    ------
    CourseError
        An answer is in one of them.
    """
    files = {name: (root / name).read_bytes() for name in COPIED}
    files["README.md"] = (ROOT / "website/students.md").read_bytes()
    files["requirements.txt"] = requirements(root / "requirements.txt").encode()
    for path in sorted((root / "initcore").rglob("*")):
        name = path.relative_to(root).as_posix()
        if path.is_file() and not re.search(r"/(__pycache__|\.)", name):
            files[name] = path.read_bytes()
    texts = {f"chapters/{chapter.name}": chapter.notebook for chapter in chapters}
    texts |= {f"pages/{name}.md": page(root, name) for name in PAGES}
    for name, text in texts.items():
        files[name] = without_dead_links(name, text, texts).encode()
    for variable, answer in answers(chapters):
        pattern = re.compile(rf"{variable}\s*=\s*{re.escape(answer)}(?![\w.])".encode())
        for name, content in files.items():
            if pattern.search(content):
                raise CourseError(f"{name}: the answer `{variable} = {answer}` is in it")
    return files


def answers(chapters: list[Chapter]) -> list[tuple[str, str]]:
    """Return what the solutions say the answers are: ``("my_k", "3")``."""
    exercises = [exercise for chapter in chapters for exercise in chapter.exercises]
    return [found for e in exercises for text in e.solutions for found in ANSWER.findall(text)]


def requirements(path: Path) -> str:
    """Return the requirements of the notebooks, without those of the book and the tests."""
    text = path.read_text(encoding="utf-8")
    found = re.search(r"^# The notebooks\n(?:.+\n)+", text, re.MULTILINE)
    if not found:
        raise CourseError(f"{path.name} has no part that begins with “# The notebooks”")
    return f"{found[0]}\n-e .\n"


def page(root: Path, name: str) -> str:
    """Return a page with what its directives stand for, as plain Markdown."""
    text = (root / f"pages/{name}.md").read_text(encoding="utf-8")
    text = re.sub(r"^```\{bibliography\}.*?^```$", lambda _: sources(root), text, flags=re.M | re.S)
    return re.sub(
        r"^```\{glossary\}\n(.*?)^```$", lambda match: entries(match[1]), text, flags=re.M | re.S
    )


def sources(root: Path) -> str:
    """Return the bibliography as a list."""
    file = str(root / claims.BIBLIOGRAPHY)
    text = PybtexEngine().format_from_file(file, style="unsrt", output_backend="markdown")
    one_line_each = re.sub(r"\s*\n(?!\[\d+\])", " ", text).strip()
    return re.sub(r"^\[\d+\] (.*?) *$", r"- \1", one_line_each, flags=re.MULTILINE)


def entries(glossary: str) -> str:
    """Return the entries of a glossary, each term in bold above its definition."""
    glossary = re.sub(r"\{term\}`([^`]+)`", r"\1", glossary)
    bold = re.sub(r"^(\S.*)$", r"\n**\1**", glossary, flags=re.MULTILINE)
    return re.sub(r"^[ ]+", "", bold, flags=re.MULTILINE).strip()


def without_dead_links(name: str, text: str, there: Mapping[str, str]) -> str:
    """Return a file with the text only of links to files of the course that are not there."""

    def keep(match: re.Match) -> str:
        path = match[2].partition("#")[0]
        if not path or re.match(r"[a-z]+:", path):
            return match[0]
        parts: list[str] = []
        for part in (PurePosixPath(name).parent / path).parts:
            parts = parts[:-1] if part == ".." else [*parts, part]
        return match[0] if "/".join(parts) in there else match[1]

    return LINK.sub(keep, text)


def zipped(files: Mapping[str, bytes]) -> Iterator[tuple[zipfile.ZipInfo, bytes]]:
    """Yield the members of the zip, in one order and with one date."""
    for name in sorted(files):
        info = zipfile.ZipInfo(f"{FOLDER}/{name}", DATE)
        info.compress_type = zipfile.ZIP_DEFLATED
        info.create_system = 3  # the permissions below are Unix's, whatever wrote the zip
        info.external_attr = 0o100644 << 16
        yield info, files[name]


# --- the answer key -----------------------------------------------------------------------------


def answer_key(chapters: list[Chapter]) -> str:
    """Return the solutions and the right options, chapter by chapter, as Markdown."""
    lines = [
        "# Answer key",
        "For teachers. Made by `make students` from the notebooks: change it there.",
    ]
    for chapter in chapters:
        lines += [f"## {chapter.title}", f"`chapters/{chapter.name}`", "### Exercises"]
        for exercise in chapter.exercises:
            lines += [f"#### {exercise.title}", *exercise.solutions]
        lines.append("### Check yourself")
        for number, question in enumerate(chapter.questions, start=1):
            found = f"{question.text}\n\n**{question.option}**\n\n{question.feedback}"
            item = textwrap.indent(found, " " * len(f"{number}. "))
            lines.append(f"{number}. {item.strip()}")
    return "\n\n".join(lines) + "\n"


def main(root: Path = ROOT) -> None:
    """Write both files to ``_build``."""
    paths = sorted((root / "chapters").glob("*.ipynb"))
    try:
        if not paths:
            raise CourseError("there is no notebook in chapters")
        chapters = [read_chapter(path) for path in paths]
        files = students_files(root, chapters)
    except (CourseError, notebooks.NotebookError) as error:
        sys.exit(f"The students' copy cannot be made: {error}")
    build = root / "_build"
    build.mkdir(exist_ok=True)
    with zipfile.ZipFile(build / "students.zip", "w") as archive:
        for info, content in zipped(files):
            archive.writestr(info, content, compresslevel=9)
    (build / "answer_key.md").write_text(answer_key(chapters), encoding="utf-8")
    print(f"{build / 'students.zip'}: {len(chapters)} chapters without solutions")
    print(f"{build / 'answer_key.md'}: the solutions, and the answers to the questions")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:2]))
