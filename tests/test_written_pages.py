"""The pages around the chapters agree with them: contents, opening page, page for teachers."""

import json
import re

import pytest
from chapter import ROOT, Chapter
from needed_cells import CHAPTERS
from notebook_rules import MYST
from sphinx_external_toc.parsing import parse_toc_yaml

from website.tools import lists

LINK = r"^\| \[([^]]+)\]\((?:\.\./)?chapters/(\w+)\.ipynb\)"
OPENING = re.compile(LINK + r" \| .* \| (\d+)\smin \| (\d+)\ss \|$", re.MULTILINE)
SYLLABUS = re.compile(LINK + r" \| (\d+) \| \d+ \| \d+ \|$", re.MULTILINE)
TIME = re.compile(r"\*\*Time:\*\* (\d+) minutes to read, (\d+) seconds to run")
MAP = OPENING.findall((ROOT / "intro.md").read_text("utf-8"))
TEACHING = (ROOT / "pages/teaching.md").read_text("utf-8")


def test_every_page_is_in_the_table_of_contents():
    contents = set(parse_toc_yaml(str(ROOT / "_toc.yml"), encoding="utf-8"))
    pages = [path for folder in ("chapters", "pages") for path in (ROOT / folder).rglob("*.*")]
    names = {
        path.relative_to(ROOT).with_suffix("").as_posix()
        for path in pages
        if path.suffix in (".ipynb", ".md") and ".ipynb_checkpoints" not in path.parts
    }
    assert contents - {"intro"} == names


def test_the_opening_page_and_the_teachers_have_each_chapter_with_its_own_times():
    said = {}
    for path in CHAPTERS:
        chapter = Chapter(path)
        text = f"{chapter.opening.text}\n{chapter.section('What you will learn').text}"
        times = TIME.search(" ".join(text.split()))
        assert times, f"{path.name} does not say “**Time:** … minutes to read, … seconds to run”"
        said[path.stem] = times.groups()
    assert [(name, tuple(times)) for _, name, *times in MAP] == list(said.items())
    reading = [(name, minutes) for _, name, minutes in SYLLABUS.findall(TEACHING)]
    assert reading == [(name, minutes) for name, (minutes, _) in said.items()]


def test_a_reader_s_run_is_promised_to_be_short():
    """20 seconds on one core, half a minute for some; benchmarks/growth.py measures it."""
    longer = dict.fromkeys(("01_", "07_", "11_", "12_", "13_"), 30)
    for _, name, _, seconds in MAP:
        assert int(seconds) <= longer.get(name[:3], 20), name


def test_every_chapter_is_in_every_list_of_the_teachers():
    titles = [title for title, *_ in SYLLABUS.findall(TEACHING)]
    sessions = TEACHING.partition("## A syllabus")[2].partition("## A short")[0]
    assert sorted(re.findall(r"\(([A-Z][\w ]+)\)", sessions)) == sorted(titles)
    misconceptions = TEACHING.partition("## Common")[2].partition("\n## ")[0]
    assert re.findall(r"^### (.+)$", misconceptions, re.MULTILINE) == titles


def test_the_pages_are_plain_markdown():
    """JupyterLab and the students' copy show them as they are; the API reference is the site's."""
    texts = {path.name: path.read_text("utf-8") for path in ROOT.glob("pages/*.md")}
    assert {"claims.md", "glossary.md", "references.md", "notation.md"} < set(texts)
    raw = {name: MYST.search(text) for name, text in texts.items()}
    assert not any(raw.values()), raw


def test_a_claim_is_called_by_its_id():
    links = re.findall(r"\[(\w+)\]\(claims\.md#claim-(\w+)\)", TEACHING)
    assert links and all(text == claim for text, claim in links)


def test_the_course_in_ten_minutes_has_each_question_with_its_answer():
    page = (ROOT / "pages/ten_minutes.md").read_text("utf-8")
    part = r"^## (.+)\n\n(?:(?!## ).*\n)+?<!-- In one screen: chapters/(\w+).ipynb -->$"
    shown = re.findall(part, page, re.MULTILINE)
    assert shown == [(Chapter(path).title, path.stem) for path in CHAPTERS]
    assert len(page.split()) < 2500  # ten minutes


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_an_answer_can_do_without_its_figure(path):
    answer = lists.in_one_screen(path)
    assert len(answer.split()) > 60
    assert not re.search(r"\b(figure|map|table|(?<!layer )below|above)\b", answer)


def test_links_of_an_answer_are_rebased_and_its_figure_is_left_out(tmp_path):
    text = (
        "# A?\n\n## In one screen\n\nYes: [1](#cell-id=a), [b](02_b.ipynb), [c](../pages/c.md).\n\n"
    )
    text += "So.\n\nThe figure shows it.\n\n## What you will learn\n\nMuch."
    path = tmp_path / "chapters/01_a.ipynb"
    path.parent.mkdir()
    cells = [{"cell_type": "markdown", "source": text.splitlines(keepends=True)}]
    path.write_text(json.dumps({"cells": cells}), encoding="utf-8")
    links = "[1](../chapters/01_a.ipynb#cell-id=a), [b](../chapters/02_b.ipynb), [c](../pages/c.md)"
    assert lists.in_one_screen(path) == f"Yes: {links}.\n\nSo."
    path.write_text(json.dumps({"cells": []}), encoding="utf-8")
    with pytest.raises(ValueError, match=r"01_a\.ipynb has nothing under '## In one screen'"):
        lists.in_one_screen(path)


def test_the_opening_page_answers_five_readers_before_its_figure():
    opening = (ROOT / "intro.md").read_text("utf-8").partition("```{explorer}")[0]
    links = re.findall(
        r"^- I .+: \[[^]]+\]\((pages/\w+\.md)(?:#[\w-]+)?\)\.$", opening, re.MULTILINE
    )
    assert len(links) == 5 and all((ROOT / link).is_file() for link in links)


def test_each_row_of_the_decision_tables_leads_to_the_cell_that_decides_it():
    tables = (ROOT / "pages/summary.md").read_text("utf-8").partition("## The calls")[0]
    rows = [line for line in tables.splitlines() if line.startswith("| ") and "| Why |" not in line]
    without = [row.split(" | ")[0] for row in rows if "#cell-id=" not in row]
    assert len(rows) > 25 and not without
