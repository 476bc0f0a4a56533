"""The pages around the chapters: the table of contents, and the map on the opening page."""

import re

from notebook_rules import ROOT, Chapter
from sphinx_external_toc.parsing import parse_toc_yaml

CHAPTERS = sorted((ROOT / "chapters").glob("*.ipynb"))
MAP = re.compile(
    r"^\| \[[^]]+\]\((chapters/\S+\.ipynb)\) \| .* \| (\d+)\smin \| (\d+)\ss \|$", re.M
)
TIME = re.compile(r"\*\*Time:\*\* (\d+) minutes to read, (\d+) seconds to run")


def test_every_page_is_in_the_table_of_contents():
    contents = set(parse_toc_yaml(ROOT / "_toc.yml"))
    pages = [path for folder in ("chapters", "pages") for path in (ROOT / folder).rglob("*.*")]
    names = {
        path.relative_to(ROOT).with_suffix("").as_posix()
        for path in pages
        if path.suffix in (".ipynb", ".md") and ".ipynb_checkpoints" not in path.parts
    }
    assert contents - {"intro"} == names


def test_the_opening_page_maps_all_chapters_with_their_own_times():
    found = {name: times for name, *times in MAP.findall((ROOT / "intro.md").read_text("utf-8"))}
    said = {}
    for path in CHAPTERS:
        chapter = Chapter(path)
        text = f"{chapter.opening.text}\n{chapter.section('What you will learn').text}"
        times = TIME.search(" ".join(text.split()))
        assert times, f"{path.name} does not say “**Time:** … minutes to read, … seconds to run”"
        said[f"chapters/{path.name}"] = list(times.groups())
    assert found == said and list(found) == list(said)


def test_a_reader_s_run_is_promised_to_be_short():
    """30 seconds on one core, 45 for two chapters; benchmarks/chapters.py measures it."""
    for name, _, seconds in MAP.findall((ROOT / "intro.md").read_text("utf-8")):
        limit = 45 if re.match(r"chapters/0[17]_", name) else 30
        assert int(seconds) <= limit, name
