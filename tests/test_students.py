"""``website/tools/students.py``: the course without its solutions, and the answer key."""

import io
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from website.tools import notebooks, students

ROOT = Path(__file__).resolve().parents[1]

NAME = "03_small.ipynb"
TITLE = """\
# Why do small weights shrink?

A term: [saturated](../pages/glossary.md#term-saturated),
from [He et al. (2015)](../pages/references.md#he2015).
[S1](../pages/claims.md#claim-S1) and [it again](#claim-S1), [another chapter](04_large.ipynb),
[**its** $x[1]$](../pages/claims.md), [foreign](https://example.org/a_b).
"""
FIRST = """\
## Exercises

Three of them.

### 1. Double it

What is twice two?

<details>
<summary>A hint</summary>

Count.

</details>
"""
THEN = """\
<details>
<summary>Solution 1</summary>

Two and two: `my_double = 4`.

```python
print(2 + 2)
```

</details>

### 2. Halve it

Half of three?
"""
LAST = """\
<details><summary>Solution 2</summary>

So `my_half = 1.5`.

</details>

## Check yourself

1. What shrinks?
   In one word.

   <details>
   <summary>The signs</summary>

   No. They stay.

   </details>
   <details>
   <summary>The spread</summary>

   Right. It shrinks by $\\sigma\\sqrt{n}$,

   - a layer.

   </details>

2. Does it help?

   <details>
   <summary>Yes</summary>

   Right. A little.

   </details>
   <details>
   <summary>No</summary>

   No. It does.

   </details>

## References

- none
"""
CELL = (
    "my_double = 3  # your answer\n"
    'print("right" if my_double == 4 else "not yet", Path(initcore.__file__).parent.parent.name)'
)


def chapter(**changes):
    """Return the text of a small chapter, with parts of it replaced."""
    texts = {"FIRST": FIRST, "THEN": THEN, "LAST": LAST, **changes}
    printed = [new_output("stream", name="stdout", text="not yet weight-initialization\n")]
    cells = [
        new_markdown_cell(TITLE),
        new_code_cell("from pathlib import Path\n\nimport initcore"),
        new_markdown_cell(texts["FIRST"]),
        new_code_cell(CELL, outputs=printed),
        new_markdown_cell(texts["THEN"]),
        new_code_cell("my_half = 1.0  # your answer\nprint('not yet')"),
        new_markdown_cell(texts["LAST"]),
    ]
    count = 0
    for number, cell in enumerate(cells):
        cell.id = f"cell-{number}"
        if cell.cell_type == "code":
            cell.execution_count = count = count + 1
    return notebooks.to_text(notebooks.normalise(new_notebook(cells=cells)))


@pytest.fixture
def course(tmp_path):
    """A folder of a course with one small chapter, and with the files of the real one."""
    for name in (*students.COPIED, "requirements.txt", "references.bib"):
        shutil.copy(ROOT / name, tmp_path)
    ignore = shutil.ignore_patterns("__pycache__")
    for name in ("initcore", "pages"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=ignore)
    for name in ("tests", "chapters", "initcore/__pycache__"):
        (tmp_path / name).mkdir()
    for name in ("tests/test_it.py", "claims.yml", "initcore/__pycache__/a.pyc"):
        (tmp_path / name).write_text("my_double = 4", encoding="utf-8")
    (tmp_path / "chapters" / NAME).write_text(chapter(), encoding="utf-8")
    return tmp_path


def make(folder):
    """Make both files; return the members of the zip and the answer key."""
    students.main(folder)
    with zipfile.ZipFile(folder / "_build/students.zip") as archive:
        members = {info.filename: archive.read(info) for info in archive.infolist()}
    assert all(name.startswith("weight-initialization/") for name in members)
    members = {name.partition("/")[2]: content for name, content in members.items()}
    return members, (folder / "_build/answer_key.md").read_text(encoding="utf-8")


def test_what_is_in_the_zip(course):
    members, _ = make(course)
    package = {name for name in members if name.startswith("initcore/")}
    assert {"initcore/__init__.py", "initcore/data/digits.npz"} <= package
    assert not [name for name in package if "pycache" in name]
    assert set(members) - package == {
        *("README.md", "requirements.txt", "pyproject.toml", "LICENSE", "LICENSE-CC-BY-4.0"),
        *("pages/notation.md", "pages/glossary.md", "pages/references.md", f"chapters/{NAME}"),
    }
    readme = members["README.md"].decode()
    for block in re.findall(r"```\w+\n(.*?)```", readme, re.DOTALL):
        assert len(block.splitlines()) == 3
    for name in re.findall(r"`((?:pages|initcore)/[\w./]+|LICENSE[\w.-]*)`", readme):
        assert any(member.startswith(name) for member in members), name


def test_the_requirements_are_those_of_the_notebooks(course):
    members, _ = make(course)
    pins = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    lines = members["requirements.txt"].decode().splitlines()
    assert set(lines) <= set(pins) and lines[-1] == "-e ."
    names = {line.split("=")[0] for line in lines}
    assert {"numpy", "matplotlib", "jupyterlab", "ipykernel", "tqdm"} <= names
    assert not names & {"Sphinx", "jupyter-book", "numpydoc", "pytest"}


def test_the_notebook_is_whole_but_for_its_solutions(course):
    members, _ = make(course)
    text = members[f"chapters/{NAME}"].decode()
    notebook = nbformat.reads(text, as_version=4)
    nbformat.validate(notebook)
    assert text == notebooks.to_text(notebooks.normalise(notebook))
    original = nbformat.reads(chapter(), as_version=4)
    assert [c for c in notebook.cells if c.cell_type == "code"] == [
        c for c in original.cells if c.cell_type == "code"
    ]
    markdown = [cell.source for cell in notebook.cells if cell.cell_type == "markdown"]
    assert markdown[1] == FIRST.strip(), "a hint was cut out"
    assert markdown[2] == "### 2. Halve it\n\nHalf of three?"
    assert markdown[3] == LAST[LAST.index("## Check") :].strip()


def test_a_cell_with_nothing_but_a_solution_is_left_out(course):
    title = "### 2. Halve it\n\n"
    text = chapter(THEN=THEN.partition(title)[0], LAST=title + LAST)
    (course / "chapters" / NAME).write_text(text, encoding="utf-8")
    members, _ = make(course)
    notebook = nbformat.reads(members[f"chapters/{NAME}"].decode(), as_version=4)
    assert [cell.id for cell in notebook.cells if cell.id[-1] in "345"] == ["cell-3", "cell-5"]


def test_links_to_what_is_not_there_are_text(course):
    members, _ = make(course)
    notebook = nbformat.reads(members[f"chapters/{NAME}"].decode(), as_version=4)
    assert notebook.cells[0].source.splitlines()[2:] == [
        "A term: [saturated](../pages/glossary.md#term-saturated),",
        "from [He et al. (2015)](../pages/references.md#he2015).",
        "S1 and [it again](#claim-S1), another chapter,",
        "**its** $x[1]$, [foreign](https://example.org/a_b).",
    ]


def test_the_pages_are_plain_markdown(course):
    glossary = (
        "# Words\n\n```{glossary}\nfan-in\n  Of a {term}`unit`,\n  all.\n\nunit\n  One.\n```\n"
    )
    (course / "pages/glossary.md").write_text(glossary, encoding="utf-8")
    members, _ = make(course)
    text = members["pages/glossary.md"].decode()
    assert text == "# Words\n\n**fan-in**\nOf a unit,\nall.\n\n\n**unit**\nOne.\n"
    sources = members["pages/references.md"].decode()
    assert "Kaiming He" in sources and "{" not in sources
    count = len(re.findall(r"^@", (ROOT / "references.bib").read_text(encoding="utf-8"), re.M))
    assert len(re.findall(r"^- \S", sources, re.MULTILINE)) == count


def test_the_answer_key(course):
    _, key = make(course)
    assert key.partition("## Why")[2] == (
        " do small weights shrink?\n\n`chapters/03_small.ipynb`\n\n### Exercises\n\n"
        "#### 1. Double it\n\nTwo and two: `my_double = 4`.\n\n```python\nprint(2 + 2)\n```\n\n"
        "#### 2. Halve it\n\nSo `my_half = 1.5`.\n\n"
        "### Check yourself\n\n"
        "1. What shrinks?\n   In one word.\n\n   **The spread**\n\n"
        "   Right. It shrinks by $\\sigma\\sqrt{n}$,\n\n   - a layer.\n\n"
        "2. Does it help?\n\n   **Yes**\n\n   Right. A little.\n"
    )


def test_the_same_course_gives_the_same_bytes(course):
    made = []
    for _ in range(2):
        make(course)
        made.append(
            [(course / "_build" / n).read_bytes() for n in ("students.zip", "answer_key.md")]
        )
        for path in course.rglob("*"):
            path.touch()
    assert made[0] == made[1]
    with zipfile.ZipFile(course / "_build/students.zip") as archive:
        names = archive.namelist()
        assert names == sorted(names)
        assert {info.date_time for info in archive.infolist()} == {students.DATE}


def test_the_notebook_runs_from_the_unpacked_zip(course, monkeypatch):
    make(course)
    zipfile.ZipFile(course / "_build/students.zip").extractall(course / "unpacked")
    folder = course / "unpacked" / students.FOLDER
    monkeypatch.setenv("PYTHONPATH", str(folder))  # where `-e .` would find the package
    stored = (folder / "chapters" / NAME).read_text(encoding="utf-8")
    executed = notebooks.execute(notebooks.read(stored), folder / "chapters")
    printed = [o.text for cell in executed.cells for o in cell.get("outputs", [])]
    assert printed[0] == "not yet weight-initialization\n", "another initcore than that of the zip"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"THEN": "### 2. Halve it"},
            "03_small.ipynb: the exercise “1. Double it” has no solution",
        ),
        ({"LAST": LAST.replace("Solution 2", "Answer")}, "“2. Halve it” has no solution"),
        ({"LAST": LAST.replace("So `my_half = 1.5`.", "")}, "“2. Halve it” has no solution"),
        ({"LAST": LAST.replace("So", "<details>x</details>")}, "folded within"),
        ({"FIRST": FIRST.replace("### 1", "1")}, "“Solution 1” stands before the first exercise"),
        ({"FIRST": "## Other", "THEN": ""}, "there is no exercise under `## Exercises`"),
        ({"LAST": LAST.partition("## Check")[0]}, "there is no question under `## Check yourself`"),
        ({"LAST": LAST.replace("Right. A little", "Yes. A little")}, "question 2 of `## Check"),
        ({"LAST": LAST.replace("No. It does", "Right. No")}, "has 2 options whose feedback"),
        ({"FIRST": f"{FIRST}\n\nNot `my_half=1.5`, is it?"}, "the answer `my_half = 1.5` is in it"),
    ],
)
def test_what_cannot_be_made_is_one_clear_line(course, changes, message):
    (course / "chapters" / NAME).write_text(chapter(**changes), encoding="utf-8")
    with pytest.raises(SystemExit) as error:
        students.main(course)
    assert message in str(error.value) and "\n" not in str(error.value)
    assert not (course / "_build").exists(), "something was written"


def test_the_command(course):
    for path in (course / "chapters").iterdir():
        path.unlink()
    command = [sys.executable, str(ROOT / "website/tools/students.py"), str(course)]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 1
    assert result.stderr == "The students' copy cannot be made: there is no notebook in chapters\n"


def test_an_answer_is_a_whole_number(course):
    """The answer 4 is not in a cell or a text that holds 40 or 4.5."""
    text = chapter(FIRST=f"{FIRST}\n\nNot `my_double = 40` and not `my_double = 4.5`.")
    (course / "chapters" / NAME).write_text(text, encoding="utf-8")
    members, _ = make(course)
    assert b"my_double = 40" in members[f"chapters/{NAME}"]


# --- the real course ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def real():
    """The files of the real zip, and the real answer key."""
    chapters = [students.read_chapter(path) for path in sorted(ROOT.glob("chapters/*.ipynb"))]
    return students.students_files(ROOT, chapters), students.answer_key(chapters)


def folded(text):
    """Return what stands in the blocks of a notebook whose summary says Solution."""
    cells = nbformat.read(io.StringIO(text), 4).cells
    markdown = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    return re.findall(r"<summary>[^<]*Solution[^<]*</summary>\s*(.*?)\s*</details>", markdown, re.S)


@pytest.mark.parametrize("path", sorted(ROOT.glob("chapters/*.ipynb")), ids=lambda path: path.stem)
def test_the_real_solutions_are_in_the_key_and_not_in_the_zip(real, path):
    files, key = real
    solutions = folded(path.read_text(encoding="utf-8"))
    assert len(solutions) >= 3
    for solution in solutions:
        assert solution in key
    assigned = [a for text in solutions for a in re.findall(r"`(my_\w+ = [^`]+)`", text)]
    assert len(assigned) >= 3
    everything = b"\n".join(files.values())
    for answer in assigned:
        assert not re.search(re.escape(answer.encode()) + rb"(?![\w.])", everything)
    students_notebook = files[f"chapters/{path.name}"].decode()
    assert not folded(students_notebook)
    nbformat.validate(nbformat.reads(students_notebook, as_version=4))
    assert students_notebook.count("# your answer") == path.read_text("utf-8").count(
        "# your answer"
    )
