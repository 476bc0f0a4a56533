"""``website/extensions/claims.py``: the list of claims, the links to deciding cells."""

import re
import subprocess
import sys

import pytest
from example_chapter import LEDGER, NAME, make_chapter
from notebook_rules import ROOT, claims

# The parts of Jupyter Book that matter here, without its theme and its table of contents.
CONFIGURATION = f"""
import sys

sys.path.append({str(ROOT)!r})
extensions = ["myst_nb", "sphinxcontrib.bibtex"]
extensions += ["website.extensions." + name for name in ("anchors", "claims", "marks")]
nb_execution_mode = "off"
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3
bibtex_bibfiles = ["references.bib"]
bibtex_cite_id = "{{key}}"
html_static_path = [{str(ROOT / "website/assets")!r}]
exclude_patterns = ["out"]
"""
OTHER = (
    "# Other\n\n[S1](chapters/03_small.ipynb#claim-S1) and [its row](pages/claims.md#claim-S1)\n"
    "and [0.32](chapters/03_small.ipynb#cell-id=cell-4)\n"
)


def prepare(folder, change=None):
    """Write a course and its Sphinx configuration."""
    make_chapter(folder, change)
    (folder / "conf.py").write_text(CONFIGURATION, encoding="utf-8")
    contents = (
        "```{toctree}\nchapters/03_small\npages/claims\npages/glossary\npages/references\n```\n"
    )
    (folder / "index.md").write_text(f"{OTHER}\n{contents}", encoding="utf-8")
    (folder / "intro.md").unlink()


def build(folder, *options, builder="html"):
    """Build the site as `make book` does, warnings being errors."""
    command = [sys.executable, "-m", "sphinx", "-b", builder, "-W", "-n", "--keep-going", *options]
    return subprocess.run([*command, ".", "out"], cwd=folder, capture_output=True, text=True)


def page(folder, name):
    return (folder / "out" / f"{name}.html").read_text(encoding="utf-8")


def test_claims_and_deciding_cells_are_linked(tmp_path):
    def a_folded_cell_that_decides_twice(chapter):
        chapter.cells[5].metadata["tags"] = ["hide-input"]
        chapter.cells[5].source += '\ndecide("S2", "true", "It is.", {"it shrinks": spread[0] < 2})'
        chapter.cells[11].source += "\n\n[S2](#claim-S2)"

    prepare(tmp_path, a_folded_cell_that_decides_twice)
    ledger = tmp_path / claims.LEDGER
    second = LEDGER.replace("S1", "S2").replace("imprecise", '"true"')
    ledger.write_text(LEDGER + second, encoding="utf-8")
    result = build(tmp_path)
    assert result.returncode == 0, result.stderr

    listed = page(tmp_path, "pages/claims")
    assert re.search(r"<caption>2 claims: 1 true, 1 imprecise, 0 wrong</caption>", listed)
    rows = re.findall(r'<tr id="(claim-S\d)"[^>]*>(.*?)</tr>', listed, re.DOTALL)
    assert [name for name, _ in rows] == ["claim-S1", "claim-S2"]
    for (name, row), verdict in zip(rows, ("imprecise", "true"), strict=True):
        assert f'scope="row">{name[-2:]}</th>' in row
        assert f"{claims.VERDICTS[verdict]}</span>\n {verdict}</td>" in row
        assert 'aria-hidden="true"' in row and 'data-label="Verdict"' in row
        assert '<span class="math' in row and "<strong>spread</strong>" in row
        assert 'href="references.html#glorot2010"' in row and "Glorot and Bengio (2010)" in row
        assert f'href="../chapters/03_small.html#{name}"' in row
        assert "Why do small weights keep a net from learning?" in row
    assert len(re.findall(r'<th [^>]*scope="col">', listed)) == 4
    assert re.search(r'href="[^"]*claims\.css', listed)
    assert (tmp_path / "out/_static/claims.css").is_file()

    chapter = page(tmp_path, "chapters/03_small")
    for name in ("claim-S1", "claim-S2"):
        assert chapter.count(f'id="{name}"') == 1
        assert f'href="#{name}"' in chapter
    cell = chapter[chapter.index('id="claim-S1"') :]
    before, after = cell.split("Verdict: imprecise", 1)
    assert "decide" in before and "<h2" not in before, "the id is on the wrong cell"
    assert chapter.count('id="cell-cell-4"') == 1 and 'href="#cell-cell-4"' in chapter
    cell = chapter[chapter.index('id="cell-cell-4"') :]
    assert "layer     std" in cell[: cell.index("decide")], "the id is on the wrong cell"
    index = page(tmp_path, "index")
    assert 'href="chapters/03_small.html#cell-cell-4"' in index
    assert 'href="chapters/03_small.html#claim-S1"' in index
    assert 'href="pages/claims.html#claim-S1"' in index

    # A changed ledger and a changed chapter are on the page after the next build.
    ledger.write_text(LEDGER.replace("is the **spread**", "is the scatter"), encoding="utf-8")
    path = tmp_path / NAME
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("keep a net from", "stop"), encoding="utf-8")
    build(tmp_path)  # the chapter decides S2 still, which is not what this test is about
    listed = page(tmp_path, "pages/claims")
    assert "is the scatter" in listed and "Why do small weights stop learning?" in listed


def test_a_claim_without_a_deciding_cell_fails_the_build(tmp_path):
    prepare(tmp_path, lambda chapter: chapter.cells[5].update(source="print(1)"))
    result = build(tmp_path, "-q")
    assert result.returncode != 0
    assert "local id not found in doc 'chapters/03_small': 'claim-S1'" in result.stderr


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("imprecise", "unclear", "`verdict` must be one of true, imprecise, wrong"),
        (NAME, "chapters/04_large.ipynb", "04_large.ipynb"),
    ],
)
def test_a_wrong_ledger_fails_the_build(tmp_path, old, new, message):
    prepare(tmp_path)
    (tmp_path / claims.LEDGER).write_text(LEDGER.replace(old, new), encoding="utf-8")
    result = build(tmp_path, "-q", builder="dummy")
    assert result.returncode != 0
    assert message in result.stderr and "Traceback (most" not in result.stderr


def test_other_formats_get_the_content(tmp_path):
    prepare(tmp_path)
    result = build(tmp_path, "-q", builder="text")
    assert result.returncode == 0, result.stderr
    text = (tmp_path / "out/pages/claims.txt").read_text(encoding="utf-8")
    assert "S1" in text and "imprecise" in text and "Glorot and Bengio (2010)" in text
