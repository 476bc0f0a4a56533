"""`make replicate`: what is stored follows from the papers, and an interruption loses nothing."""

import functools
import json
import re

import numpy as np
import papers
import pytest
import replicate
from chapter import ROOT
from papers import Paper
from pybtex.database import parse_file

from website.tools import lists

STORED = json.loads(replicate.RESULTS.read_text(encoding="utf-8"))
BY_KEY = {paper.key: paper for paper in papers.PAPERS}
CHEAPEST = sorted(STORED, key=lambda entry: entry["seconds"])[:3]


def test_every_paper_is_stored_in_its_order():
    assert [entry["key"] for entry in STORED] == [*BY_KEY]
    sources = parse_file(str(ROOT / "references.bib")).entries
    assert {key.partition(":")[0] for key in BY_KEY} <= sources.keys()


@pytest.mark.parametrize("entry", STORED, ids=lambda entry: entry["key"])
def test_an_entry_is_complete_and_its_verdict_follows_from_its_numbers(entry):
    paper = BY_KEY[entry["key"]]
    assert replicate.judged(paper, entry) == entry
    assert entry["verdict"] in lists.OUTCOMES
    assert all(re.match(r"\S.*\.$", entry[part]) for part in ("statement", "ours", "measured"))
    assert entry["values"] and {len(row) for row in entry["values"].values()} == {paper.seeds}
    assert paper.seeds >= 8 and np.isfinite([*entry["values"].values()]).all()
    assert entry["seconds"] > 0 and re.fullmatch(r"20\d\d-\d\d-\d\d", entry["date"])
    assert entry["processor"] and {"Python", "NumPy"} <= entry["versions"].keys()


def test_the_page_says_what_is_stored():
    page = (ROOT / "pages/replications.md").read_text(encoding="utf-8")
    at = 0
    for entry in STORED:
        versions = [f"{name} {value}" for name, value in entry["versions"].items()]
        verdict = lists.OUTCOMES[entry["verdict"]].capitalize()
        parts = [entry["statement"], entry["ours"], f"**{verdict}.**"]
        for part in [*parts, entry["measured"], entry["date"], *versions]:
            assert part in page[at:], (entry["key"], part)
        assert f"(references.md#{entry['key'].partition(':')[0]})" in page
        at = page.index(entry["measured"], at)


@pytest.mark.parametrize("entry", CHEAPEST, ids=lambda entry: entry["key"])
def test_a_sample_is_measured_again(entry):
    """As many seeds as a second allows, in the digits that another processor gives too."""
    paper = BY_KEY[entry["key"]]
    seeds = min(paper.seeds, max(1, int(paper.seeds / entry["seconds"])))
    for seed in range(seeds):
        for name, value in paper.run(seed).items():
            assert value == pytest.approx(entry["values"][name][seed], rel=1e-3), (seed, name)


# --- the command ---------------------------------------------------------------------------------


class Course:
    """Two papers that note what is run; at the seeds in `stops` they raise."""

    def __init__(self):
        self.runs, self.stops, self.limit = [], {}, 1.0

    def paper(self, key):
        def run(seed):
            self.runs.append((key, seed))
            if (key, seed) in self.stops:
                raise self.stops[key, seed]
            return {"a": seed / 3, "b": 2.0}

        def judge(values):
            assert values["a"].shape == (3,)
            return ("reproduced" if values["a"].max() < self.limit else "not"), "It is."

        return Paper(key, "So.", "Here.", run, 3, judge)


@pytest.fixture
def course(tmp_path, monkeypatch):
    made = Course()
    monkeypatch.setattr(papers, "PAPERS", [made.paper("he2015:a"), made.paper("he2015:b")])
    monkeypatch.setattr(replicate, "RESULTS", tmp_path / "results.json")
    monkeypatch.setattr(replicate, "PARTS", tmp_path / "parts")
    monkeypatch.setattr(replicate, "sweep", functools.partial(replicate.sweep, jobs=1))
    made.written = []
    monkeypatch.setattr(lists, "main", lambda root: made.written.append([*replicate.stored()]))
    return made


def test_all_are_measured_and_stored_and_the_page_is_written(course, capsys):
    replicate.main([])
    both = ["he2015:a", "he2015:b"]
    assert course.runs == [(key, seed) for key in both for seed in range(3)]
    entry = replicate.stored()["he2015:b"]
    assert entry["values"] == {"a": [0.0, 0.333333, 0.666667], "b": [2.0, 2.0, 2.0]}
    assert entry["verdict"] == "reproduced" and entry["versions"]["NumPy"] == np.__version__
    assert course.written == [both] and "he2015:b: reproduced, 0" in capsys.readouterr().out
    assert not list(replicate.PARTS.iterdir())
    replicate.main(["B"])  # again, and only this
    assert course.runs[6:] == [("he2015:b", seed) for seed in range(3)]
    assert [*replicate.stored()] == both


def test_after_an_interruption_only_the_rest_is_measured(course):
    course.stops = {("he2015:b", 1): KeyboardInterrupt()}
    with pytest.raises(KeyboardInterrupt):
        replicate.main([])
    assert course.written == [["he2015:a"]]  # the page too has what is there
    course.stops = {}
    replicate.main(["he2015:b"])
    assert course.runs[3:] == [("he2015:b", seed) for seed in (0, 1, 1, 2)]
    assert replicate.stored()["he2015:b"]["values"]["a"] == [0.0, 0.333333, 0.666667]


def test_what_another_code_measured_is_not_mixed_in(course, tmp_path, monkeypatch):
    course.stops = {("he2015:a", 2): KeyboardInterrupt()}
    with pytest.raises(KeyboardInterrupt):
        replicate.main([])
    (tmp_path / "benchmarks").mkdir()
    (tmp_path / "benchmarks/papers.py").write_text("changed = True")
    monkeypatch.setattr(replicate, "ROOT", tmp_path)
    course.stops = {}
    replicate.main(["he2015:a"])
    assert [seed for _, seed in course.runs] == [0, 1, 2, 0, 1, 2]


def test_a_paper_that_fails_is_named_and_the_others_are_stored(course):
    course.stops = {("he2015:a", 1): ValueError("no such rate")}
    with pytest.raises(SystemExit, match=r"(?s)^Failed: he2015:a .*ValueError: no such rate"):
        replicate.main([])
    assert course.written == [["he2015:b"]]
    course.stops = {}
    replicate.main(["he2015:a"])
    assert course.runs.count(("he2015:a", 0)) == 1 and len(replicate.stored()) == 2


def test_words_alone_judge_what_is_stored_again(course):
    replicate.main([])
    course.limit = 0.5
    replicate.main(["--words"])
    assert len(course.runs) == 6 and replicate.stored()["he2015:a"]["verdict"] == "not"


def test_a_number_that_is_missing_is_named(course, monkeypatch):
    replicate.main([])
    other = Paper("he2015:a", "So.", "Here.", None, 3, lambda values: values["c"])
    monkeypatch.setattr(papers, "PAPERS", [other, papers.PAPERS[1]])
    with pytest.raises(SystemExit, match=r"^Failed: he2015:a \('c'\)$"):
        replicate.main(["--words"])
    assert len(replicate.stored()) == 2
    replicate.main(["he2015:b"])  # which does not ask the other


def test_an_unknown_word_is_answered_with_the_keys(course):
    with pytest.raises(SystemExit, match="There are: he2015:a, he2015:b"):
        replicate.main(["xavier"])
    assert not course.runs and not replicate.RESULTS.exists()
