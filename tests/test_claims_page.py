"""``website/extensions/claims.py``: the table of claims, and the links to deciding cells."""

import pickle

import pytest
from bs4 import BeautifulSoup
from example_chapter import LEDGER, NAME, make_chapter
from small_site import build

from website.extensions import book, claims

CHAPTER = NAME.removesuffix(".ipynb")
HIDDEN = {"aria-hidden": "true"}
# The parts of Jupyter Book that matter here, without its theme and its table of contents.
CONFIGURATION = """
extensions = ["myst_nb", "sphinxcontrib.bibtex"]
extensions += ["website.extensions." + name for name in ("book", "claims", "marks")]
nb_execution_mode = "off"
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3
bibtex_bibfiles = ["references.bib"]
bibtex_cite_id = "{key}"
exclude_patterns = ["out", "intro.md"]
"""
INDEX = """\
# Other

[S1](chapters/03_small.ipynb#claim-S1), [its row](pages/claims.md#claim-S1) and
[0.32](chapters/03_small.ipynb#cell-id=cell-4)

```{toctree}
:glob:
chapters/*
pages/*
```
"""


def a_folded_cell_that_decides_twice(chapter):
    cell = next(cell for cell in chapter.cells if "decide(" in cell.source)
    cell.metadata["tags"] = ["hide-input"]
    cell.source += '\ndecide("S2", "true", "It is.", {"it shrinks": spread[0] < 2})'
    chapter.cells[-1].source += "\n\n[S2](#claim-S2)"


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The folder of a built course, and the warnings: three claims of its ledger are wrong."""
    folder = tmp_path_factory.mktemp("course")
    make_chapter(folder, a_folded_cell_that_decides_twice)
    (folder / "index.md").write_text(INDEX, encoding="utf-8")
    claim = LEDGER.replace
    ledger = [
        LEDGER,
        claim("S1", "S2").replace("imprecise", '"true"'),
        claim("S1", "S3"),
        claim("S1", "S4").replace(NAME, "chapters/04_large.ipynb"),
        claim("S1", "S5").replace("glorot2010", "he2015").replace(NAME, f"[{NAME}]"),
    ]
    (folder / claims.LEDGER).write_text("".join(ledger), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(book, "MATHJAX", folder)  # `make test` needs no Node.js
        (folder / "es5").mkdir()
        (folder / "es5/tex-chtml.js").touch()
        return folder, build(folder, CONFIGURATION)


def page(site, name):
    return BeautifulSoup((site[0] / f"out/{name}.html").read_text("utf-8"), "html.parser")


@pytest.mark.parametrize(("claim", "verdict"), [("S1", "imprecise"), ("S2", "true")])
def test_a_claim_is_a_row_with_links(site, claim, verdict):
    row = page(site, "pages/claims").find("tr", id=f"claim-{claim}")
    head, statement, said, truth = row.find_all(["th", "td"])
    assert (head["scope"], head.text) == ("row", claim)
    assert statement.select_one(".math") and truth.find("strong").text == "spread"
    assert said.text == f"{claims.SIGNS[verdict]} {verdict}" and said.find(attrs=HIDDEN)
    assert {link.text: link["href"] for link in truth.find_all("a")} == {
        "Glorot and Bengio (2010)": "references.html#glorot2010",
        "Why do small weights keep a net from learning?": f"../{CHAPTER}.html#claim-{claim}",
    }


def test_the_table_has_a_caption_and_headings(site):
    listed = page(site, "pages/claims")
    assert listed.caption.text.strip() == "5 claims: 1 true, 4 imprecise, 0 wrong"
    assert [cell["scope"] for cell in listed.thead.find_all("th")] == ["col"] * 4


def test_links_lead_to_the_deciding_cells(site):
    chapter = page(site, CHAPTER)
    for claim in ("claim-S1", "claim-S2"):
        (cell,) = chapter.find_all(id=claim)
        cell = cell.find_parent(class_="cell") or cell
        assert "decide" in cell.text and "Verdict: imprecise" in cell.text and not cell.find("h2")
        assert chapter.find("a", href=f"#{claim}")
    (cell,) = chapter.find_all(id="cell-cell-4")
    assert "layer     std" in cell.text and chapter.find("a", href="#cell-cell-4")
    links = {tag["href"] for tag in page(site, "index").find_all("a")}
    assert {f"{CHAPTER}.html#cell-cell-4", f"{CHAPTER}.html#claim-S1"} < links
    assert "pages/claims.html#claim-S1" in links


def test_a_claim_without_a_deciding_cell_chapter_or_source_fails_the_build(site):
    wrong = [
        "local id not found in doc 'chapters/03_small': 'claim-S3'",
        "target not found: '/chapters/04_large.ipynb#claim-S4'",
        "local id not found in doc 'pages/references': 'he2015'",
        "local id not found in doc 'chapters/03_small': 'claim-S5'",
    ]
    for expected, warning in zip(wrong, site[1], strict=True):
        assert expected in warning


def test_the_page_is_made_anew_when_what_it_shows_has_changed(site):
    environment = pickle.loads((site[0] / "out/.doctrees/environment.pickle").read_bytes())
    shown = {str(site[0] / name) for name in (claims.LEDGER, claims.BIBLIOGRAPHY, NAME)}
    assert shown <= {str(path) for path in environment.dependencies["pages/claims"]}


def test_a_wrong_ledger_fails_the_build(tmp_path):
    (tmp_path / "index.md").write_text("# Claims\n\n```{claims}\n```\n", encoding="utf-8")
    (tmp_path / claims.LEDGER).write_text(LEDGER.replace("imprecise", "unclear"), encoding="utf-8")
    found = build(tmp_path, 'extensions = ["myst_parser", "website.extensions.claims"]', "dummy")
    assert "claims.yml, claim S1, $.verdict: 'unclear' is not one of" in found[0]
