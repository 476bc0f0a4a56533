"""The page for teachers agrees with the chapters."""

import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "pages/teaching.md").read_text(encoding="utf-8")
NUMBERS = r" \| (\d+) \| (\d+) \| (\d+) \|$"
ROW = re.compile(r"^\| \[[^\]]+\]\(\.\./chapters/(\w+)\.ipynb\)" + NUMBERS, re.MULTILINE)
MINUTES = {name: tuple(map(int, minutes)) for name, *minutes in ROW.findall(PAGE)}
CHAPTERS = sorted(ROOT.glob("chapters/*.ipynb"))


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_the_minutes_to_read_are_those_of_the_chapter(path):
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    text = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")
    (minutes,) = re.findall(r"\*\*Time:\*\*\s+(\d+)\s+minutes\s+to\s+read", text)
    assert MINUTES[path.stem][0] == int(minutes)


def test_every_chapter_is_in_every_list():
    wanted = re.findall(r"chapters/(\w+)", (ROOT / "_toc.yml").read_text(encoding="utf-8"))
    assert list(MINUTES) == wanted
    sessions = PAGE.partition("## A syllabus")[2].partition("## A short")[0]
    assert len(re.findall(r"^\d+\. \*\*", sessions, re.MULTILINE)) == 8
    titles = re.findall(r"^\| \[([^\]]+)\]", PAGE, re.MULTILINE)
    listed = re.findall(r"\(([A-Z][\w ]+)\)", sessions)
    assert sorted(listed) == sorted(titles)
    misconceptions = PAGE.partition("## Common")[2].partition("\n## ")[0]
    assert re.findall(r"^### (.+)$", misconceptions, re.MULTILINE) == titles


def test_a_claim_is_called_by_its_id():
    links = re.findall(r"\[(\w+)\]\(claims\.md#claim-(\w+)\)", PAGE)
    assert len(links) > 20
    assert all(text == claim for text, claim in links)
