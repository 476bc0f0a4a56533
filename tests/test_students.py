"""``website/tools/students.py``: the course without its solutions, and the answer key."""

import html
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
import small_site

from website.tools import students

ROOT = Path(__file__).resolve().parents[1]
CHAPTERS = sorted(ROOT.glob("chapters/*.ipynb"))
SMALL = "03_small_random_weights.ipynb"
QUIZZES = {"10_clinic": 15}  # of sixteen patients: two come together


def copy(folder, chapters):
    """Copy what the tool reads into a folder, with these chapters only."""
    folder.mkdir(exist_ok=True)
    for pattern in (
        "LICENSE*",
        "Makefile",
        "_*.yml",
        "intro.md",
        "pyproject.toml",
        "requirements.*",
    ):
        for path in ROOT.glob(pattern):
            shutil.copy(path, folder)
    left_out = shutil.ignore_patterns("__pycache__", "node_modules")
    for name in ("initcore", "pages", "website"):
        shutil.copytree(ROOT / name, folder / name, ignore=left_out)
    (folder / "chapters").mkdir()
    for path in chapters:
        shutil.copy(path, folder / "chapters")
    return folder


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The unpacked zip of the real course, and its answer key."""
    root = copy(tmp_path_factory.mktemp("course"), CHAPTERS)
    students.main(root)
    shutil.unpack_archive(root / "_build/students.zip", root)
    key = (root / "_build/answer_key.md").read_text(encoding="utf-8")
    return root / "weight-initialization", key


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_a_chapter_is_whole_but_for_its_solutions(made, path):
    folder, key = made
    stored, given = (nbformat.read(p, 4).cells for p in (path, folder / "chapters" / path.name))
    assert [cell for cell in stored if "outputs" in cell] == [c for c in given if "outputs" in c]
    text, everything = ("\n".join(cell.source for cell in cells) for cells in (stored, given))
    solutions = re.findall(r"<summary>Solution \d</summary>\s*(.*?)\s*</details>", text, re.S)
    assert len(solutions) >= 3
    for title, solution in zip(re.findall(r"^### (\d\. .+)", text, re.M), solutions, strict=True):
        asked, _, solved = key.partition(f"\n#### {title}\n\n")[2].partition("**Solution.**\n\n")
        assert solved.startswith(f"{solution}\n\n") and solution not in everything
        assert f"### {title}\n\n{asked.partition('```python')[0].strip()}" in everything
        assert re.search(r"^my_\w+ = .*# your answer$", asked, re.MULTILINE)
    assert everything.count("<summary>Hint</summary>") == len(solutions)
    options = re.findall(
        r"<summary>([^<]*)</summary>\s*((?:Right|No)[.:].*?)\s*</details>", text, re.S
    )
    assert sum(feedback.startswith("Right.") for _, feedback in options) >= 3
    assert sum(feedback.startswith("Right:") for _, feedback in options) == QUIZZES.get(
        path.stem, 0
    )
    for option, feedback in options:
        marked = f"\n   - **{option}** ✓ {feedback}\n"
        assert (marked if feedback.startswith("Right") else f"\n   - {option}\n") in key
        assert feedback in everything


def test_no_answer_is_in_any_file(made):
    folder, key = made
    answers = re.findall(r"`(my_\w+ = [^`]+)`", key)
    assert len(answers) >= 3 * len(CHAPTERS)
    everything = b"\n".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())
    for answer in answers:
        assert not re.search(re.escape(answer.encode()) + rb"(?!\w|\.\d)", everything)


SITE = """
extensions = ["myst_nb"]
nb_execution_mode = "off"
myst_enable_extensions = ["dollarmath"]
suppress_warnings = ["myst.xref_missing", "myst.header"]
include_patterns = ["index.md", "chapters/*"]
"""


@pytest.mark.parametrize("students_only", [True, False])
def test_a_site_of_the_students_chapters_has_no_answer(tmp_path, students_only):
    """Not in its pages, its sources or its index; those of the other site are found like this."""
    root = copy(tmp_path / "course", [ROOT / "chapters" / SMALL])
    chapter = root / "chapters" / SMALL
    text = chapter.read_text(encoding="utf-8")
    chapter.write_text(text.replace("Solution 1", "Xylophone"), encoding="utf-8")
    students.write_folder(root / "_build/students", root)
    folder = root / "_build/students" if students_only else root
    (folder / "index.md").write_text("# Course\n\n```{toctree}\n:glob:\nchapters/*\n```\n")
    small_site.build(folder, SITE)
    index = (folder / "out/searchindex.js").read_text(encoding="utf-8")
    assert ("xylophon" in index) != students_only and "layer" in index
    answers = re.findall(r"`(my_\w+ = [^`]+)`", students.make(root)[1])
    assert len(answers) >= 3
    for pattern in ("*.html", "*.ipynb*"):
        texts = [path.read_text(encoding="utf-8") for path in (folder / "out").rglob(pattern)]
        shown = "\n".join(html.unescape(re.sub(r"<[^>]*>", "", text)) for text in texts)
        for answer in answers:
            assert bool(re.search(rf"{re.escape(answer)}(?!\w|\.\d)", shown)) != students_only


def test_files_and_links_lead_to_what_is_in_the_zip(made):
    folder, _ = made
    for path in folder.rglob("*"):
        if path.suffix in (".md", ".ipynb") and path.parent.name != "data":
            text = path.read_text(encoding="utf-8")
            for name in re.findall(r"\]\(((?:\.\./)?[\w/]+\.(?:md|ipynb))", text):
                assert (path.parent / name).is_file(), f"{path.name}: {name}"
    readme = (folder / "README.md").read_text(encoding="utf-8")
    names = re.findall(r"`((?:pages|initcore)/[\w./]+|LICENSE[\w.-]*)`", readme)
    assert len(names) == 10 and all((folder / name).exists() for name in names)


def test_the_copy_brings_its_package_and_the_requirements_of_the_notebooks(made):
    folder, _ = made
    pins = (folder / "requirements.txt").read_text(encoding="utf-8").splitlines()
    assert set(pins) < set((ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines())
    names = {line.split("=")[0] for line in pins}
    assert {"numpy", "matplotlib", "jupyterlab", "ipykernel", "tqdm", "-e ."} <= names
    assert "Sphinx" not in names and "jupyter-book" not in names
    code = "from initcore import datasets, explorers; datasets.load_digits(); print(explorers)"
    command = [sys.executable, "-c", f"{code}; explorers.Depth()"]
    assert str(folder) in subprocess.check_output(command, cwd=folder, text=True)


def test_the_same_course_gives_the_same_bytes(tmp_path):
    root, made = copy(tmp_path, [ROOT / "chapters" / SMALL]), []
    for seconds in (1e9, 2e9):
        for path in root.rglob("*"):
            os.utime(path, (seconds, seconds))
        students.main(root)
        made.append([path.read_bytes() for path in sorted(root.glob("_build/*"))])
    assert made[0] == made[1] and len(made[0]) == 2


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"solution"', '"note"', "the exercise “1. Keep the spread” has no solution"),
        ("   Right. ", "   No. ", "question 1 has 0 options"),
        ("   No. ", "   Right. ", "question 1 has 2 options"),
        ('"not yet: too small\\n"', '"right\\n"', "must be as it is handed out"),
        ("## References", "`my_sd=0.0577`", "has `my_sd = 0.0577`"),
        ("## References", "`my_sd = 0.05771`", ""),  # another number
    ],
)
def test_what_cannot_be_made_is_one_clear_line(tmp_path, old, new, message):
    root = copy(tmp_path, [ROOT / "chapters" / SMALL])
    text = (root / "chapters" / SMALL).read_text(encoding="utf-8")
    assert old in text
    (root / "chapters" / SMALL).write_text(text.replace(old, new, 1), encoding="utf-8")
    if not message:
        return students.main(root)
    with pytest.raises(SystemExit, match=f"{SMALL}:? {re.escape(message)}") as error:
        students.main(root)
    assert "\n" not in str(error.value) and not (root / "_build").exists()
