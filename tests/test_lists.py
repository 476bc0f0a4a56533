"""``website/tools/lists.py`` and `anchors`: claims, sources and terms, and the links to them."""

import json
import re

import pytest
from bs4 import BeautifulSoup
from chapter import ROOT
from example_chapter import FILES, LEDGER, NAME, make_chapter, make_course
from pybtex.database import parse_file
from small_site import build

from website.extensions import anchors
from website.tools import lists
from website.tools.claims import load_claims

CHAPTER = NAME.removesuffix(".ipynb")
HIDDEN = {"aria-hidden": "true"}
# The parts of Jupyter Book that matter here, without its theme and its table of contents.
CONFIGURATION = """
extensions = ["myst_nb", "website.extensions.anchors"]
nb_execution_mode = "off"
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3
exclude_patterns = ["out", "jupyter_execute", "intro.md"]
"""
INDEX = """\
# Other

[Its row](pages/claims.md#claim-S1), [0.32](chapters/03_small.ipynb#cell-id=cell-4),
[a source](pages/references.md#glorot2010) and [](pages/glossary.md#term-He-s-dead-unit)

```{toctree}
:glob:
chapters/*
pages/*
```
"""
TERMS = """
- <a id="term-spread-across-inputs"></a>**spread across inputs**, <a id="term-RMS"></a>**RMS**
  Two terms, see [this one](#term-scatter).

  In two paragraphs.

## Others

- <a id="term-He-s-dead-unit"></a>**He's dead unit**
  Zero for *every* input.
"""


def a_folded_cell_that_decides_twice(chapter):
    cell = next(cell for cell in chapter.cells if "decide(" in cell.source)
    cell.metadata["tags"] = ["hide-input"]
    cell.source += '\ndecide("S2", "true", "It is.", {"it shrinks": spread[0] < 2})'
    chapter.cells[-1].source += "\n\n[S2](#cell-id=cell-5)"


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The folder of a built course with two claims."""
    folder = tmp_path_factory.mktemp("course")
    make_chapter(folder, a_folded_cell_that_decides_twice)
    (folder / "index.md").write_text(INDEX, encoding="utf-8")
    second = LEDGER.replace("S1", "S2").replace("imprecise", '"true"')
    (folder / "claims.yml").write_text(LEDGER + second, encoding="utf-8")
    glossary = FILES["pages/glossary.md"] + TERMS
    (folder / "pages/glossary.md").write_text(glossary, encoding="utf-8")
    lists.main(folder)
    assert build(folder, CONFIGURATION) == []
    return folder


def page(site, name):
    return BeautifulSoup((site / f"out/{name}.html").read_text("utf-8"), "html.parser")


def test_the_stored_pages_are_made_of_the_stored_lists():
    for name, make in lists.PAGES.items():
        stored = (ROOT / name).read_text(encoding="utf-8")
        assert stored == make(ROOT), f"{name} is not that of its list: run `make lists`"


def test_every_claim_and_every_source_is_listed_once():
    text = "".join((ROOT / name).read_text(encoding="utf-8") for name in lists.PAGES)
    wanted = [f"claim-{claim.id}" for claim in load_claims(ROOT / "claims.yml")]
    wanted += parse_file(str(ROOT / "references.bib")).entries
    found = re.findall(r'\bid="([^"]+)"', text)
    assert sorted(found) == sorted(wanted)
    years = re.findall(r"[a-z]((?:19|20)\d\d)\b", " ".join(found))
    assert years == sorted(years) and len(years) > 20


@pytest.mark.parametrize(("claim", "verdict"), [("S1", "imprecise"), ("S2", "true")])
def test_a_claim_is_an_item_with_links(site, claim, verdict):
    item = page(site, "pages/claims").find("a", id=f"claim-{claim}").find_parent("li")
    statement, truth, links = item.find_all("p")
    assert statement.text.startswith(f"{claim}. ") and statement.select_one(".math")
    assert truth.text.startswith(f"{lists.SIGNS[verdict]} {verdict.capitalize()}. ")
    assert truth.find(attrs=HIDDEN) and truth.find_all("strong")[-1].text == "spread"
    assert {link.text: link["href"] for link in links.find_all("a")} == {
        "Glorot and Bengio (2010)": "references.html#glorot2010",
        "Why do small weights keep a net from learning?": f"../{CHAPTER}.html#cell-cell-5",
    }


def test_the_claims_are_counted(site):
    assert "2 claims: 1 true, 1 imprecise, 0 wrong." in page(site, "pages/claims").text


def test_links_lead_to_cells_claims_sources_and_terms(site):
    chapter = page(site, CHAPTER)
    (cell,) = chapter.find_all(id="cell-cell-5")
    assert "Verdict: imprecise" in cell.text and not cell.find("h2")
    assert [link.text for link in chapter.find_all("a", href="#cell-cell-5")] == ["S1", "S2"]
    links = {tag["href"]: tag.text for tag in page(site, "index").find_all("a")}
    wanted = ["pages/claims.html#claim-S1", f"{CHAPTER}.html#cell-cell-4"]
    wanted += ["pages/references.html#glorot2010", "pages/glossary.html#term-He-s-dead-unit"]
    assert set(wanted) < set(links) and re.fullmatch("He.s dead unit", links[wanted[-1]])
    for link in (*wanted, "pages/glossary.html#term-scatter"):
        name, _, id_ = link.partition(".html#")
        assert len(page(site, name).find_all(id=id_)) == 1, link
    (link,) = page(site, "pages/glossary").select('dd a[href="#term-scatter"]')
    assert link.text == "this one"


def test_the_terms_are_a_glossary_of_sphinx_and_in_its_search(site):
    glossaries = page(site, "pages/glossary").select("dl.glossary")
    ids = [[term["id"] for term in listed.find_all("dt")] for listed in glossaries]
    assert ids == [
        ["term-scatter", "term-spread-across-inputs", "term-RMS"],
        ["term-He-s-dead-unit"],
    ]
    assert [len(definition.find_all("p")) for definition in glossaries[0].find_all("dd")] == [1, 2]
    assert "spread across inputs" in found_by_search(site)["indexentries"]
    with (site / "index.md").open("a", encoding="utf-8") as text:
        text.write("\nAfterwards.\n")
    assert build(site, CONFIGURATION) == []  # now the glossary has not changed
    assert "afterward" in found_by_search(site)["terms"]
    assert "spread across inputs" in found_by_search(site)["indexentries"]


def found_by_search(site):
    index = (site / "out/searchindex.js").read_text(encoding="utf-8")
    return json.loads(index[index.index("(") + 1 : -1])


def test_a_link_to_no_claim_source_or_term_fails_the_build(tmp_path):
    make_course(tmp_path)
    wrong = "[](glossary.md#term-fan) [](references.md#he2051) [](claims.md#claim-S9)"
    (tmp_path / "pages/wrong.md").write_text(f"# Wrong\n\n{wrong}\n", encoding="utf-8")
    (tmp_path / "index.md").write_text(INDEX.replace("He-s-dead-unit", "scatter"), "utf-8")
    found = build(tmp_path, CONFIGURATION)
    for warning, name in zip(found, ["term-fan", "he2051", "claim-S9"], strict=True):
        assert "local id not found in doc 'pages/" in warning and f"'{name}'" in warning


def test_the_pages_on_speed_and_draws_show_the_results_as_they_are_stored(tmp_path):
    make_course(tmp_path)
    lists.main(tmp_path)
    page = (tmp_path / "pages/speed.md").read_text(encoding="utf-8")
    assert "| a draw | 1 | – | – | 3.14 | – | – | ≥ 3× JAX | ✓ met |" in page
    assert "| its bare step | 0.5 | – | – | – | – | – | | |" in page
    assert "2026-01-31, a chip, 2 cores, NumPy 2.0" in page
    page = (tmp_path / "pages/framework_defaults.md").read_text(encoding="utf-8")
    assert "Drawn by Keras 3.1 on 2026-01-31." in page
    assert (
        "| Dense(5) | kernel | uniform, 0.889 | so |\n| Dense(5) | bias | zeros | nothing |" in page
    )


def test_the_page_of_the_papers_shows_the_results_as_they_are_stored(tmp_path):
    make_course(tmp_path)
    lists.main(tmp_path)
    page = (tmp_path / "pages/replications.md").read_text(encoding="utf-8")
    assert page.strip().split("\n\n")[3:] == [
        "2 statements: 0 reproduced, 1 partly reproduced, 1 not reproduced.",
        "## [Glorot and Bengio (2010)](references.md#glorot2010)",
        *("*The paper says.* It shrinks.", "*Measured here.* Ten layers."),
        '<span aria-hidden="true">≈</span> **Partly reproduced.** To 0.3.',
        "*Cost.* 8 seeds, 1.5 s of processor time (2026-01-31, a chip, NumPy 2.0).",
        *("*The paper says.* It shrinks.", "*Measured here.* Ten layers."),
        '<span aria-hidden="true">✗</span> **Not reproduced.** To 0.3.',
        "*Cost.* 8 seeds, 1.5 s of processor time (2026-01-31, a chip, NumPy 2.0).",
    ]


def test_a_paper_that_is_no_source_is_named(tmp_path):
    make_course(tmp_path)
    file = tmp_path / "benchmarks/replications.json"
    file.write_text(FILES["benchmarks/replications.json"].replace("glorot2010", "glorot2011"))
    with pytest.raises(
        SystemExit, match=r"replications.json: the source of glorot2011:6 is not in"
    ):
        lists.main(tmp_path)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("imprecise", "unclear", "claims.yml, claim S1, $.verdict: 'unclear' is not one of"),
        ("S1", "S3", f"{NAME} has no cell that decides S3"),
        (NAME, "chapters/04_large.ipynb", "chapters/04_large.ipynb"),
        ("glorot2010", "he2015", "S1 names the source he2015, not in references.bib"),
    ],
)
def test_a_wrong_ledger_is_one_clear_line_and_nothing_is_written(tmp_path, old, new, words):
    make_course(tmp_path)
    (tmp_path / "claims.yml").write_text(LEDGER.replace(old, new), encoding="utf-8")
    with pytest.raises(SystemExit, match=r"The lists cannot be made: .*") as error:
        lists.main(tmp_path)
    assert words in str(error.value) and "\n" not in str(error.value)
    for name in lists.PAGES:
        assert (tmp_path / name).read_text(encoding="utf-8") == FILES[name]


def test_the_glossary_is_in_the_order_of_the_alphabet_and_its_ids_are_those_of_sphinx():
    text = (ROOT / "pages/glossary.md").read_text(encoding="utf-8")
    for entries in anchors.ENTRIES.findall(text):
        first = [anchors.TERM.search(line)[2] for line in entries.splitlines() if line[:1] == "-"]
        assert len(first) >= 10 and first == sorted(first, key=str.casefold)
    found = anchors.TERM.findall(text)
    assert len(found) == text.count("<a id=") == len(dict(found))
    for id_, term in found:
        assert id_ == "term-" + re.sub(r"[^\w.]+", "-", term)
