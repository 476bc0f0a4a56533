"""What sources, terms and formulas need: `anchors` and `mathjax`; and the course's picture."""

import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from sphinx.errors import ExtensionError

from website.extensions import mathjax
from website.tools import picture

ROOT = Path(__file__).resolve().parents[1]
GLOSSARY = """\
# Glossary

```{glossary}
fan-in
  Inputs of a unit,

  in two paragraphs.

spread across inputs
pooled spread
  Two terms, see {term}`fan-in`.

He's dead unit
  Zero for *every* input.
```
"""
CONFIGURATION = f"""
import sys
sys.path.append({str(ROOT)!r})
extensions = ["myst_parser", "sphinxcontrib.bibtex", "website.extensions.anchors"]
bibtex_bibfiles = ["references.bib"]
bibtex_cite_id = "{{key}}"
bibtex_default_style = "unsrt"
myst_heading_anchors = 3
"""


def build(folder, links):
    """Build a small book of a page with these links, warnings being errors."""
    (folder / "pages").mkdir()
    shutil.copy(ROOT / "references.bib", folder)
    shutil.copy(ROOT / "pages/references.md", folder / "pages")
    (folder / "pages/glossary.md").write_text(GLOSSARY, encoding="utf-8")
    toctree = "```{toctree}\npages/references\npages/glossary\n```\n"
    (folder / "index.md").write_text(f"# Index\n\n{links}\n\n{toctree}", encoding="utf-8")
    (folder / "conf.py").write_text(CONFIGURATION, encoding="utf-8")
    return build_again(folder)


def build_again(folder):
    """Build with Sphinx what a folder holds; what has not changed stays as it is."""
    command = [sys.executable, "-m", "sphinx", "-b", "html", "-W", "-n", "-q", "--keep-going"]
    return subprocess.run([*command, ".", "out"], cwd=folder, capture_output=True, text=True)


def test_links_lead_to_sources_and_terms(tmp_path):
    links = "[He](pages/references.md#he2015) and [](pages/glossary.md#term-He-s-dead-unit)"
    result = build(tmp_path, links)
    assert result.returncode == 0, result.stderr
    page, listed, sources = (
        (tmp_path / "out" / name).read_text(encoding="utf-8")
        for name in ("index.html", "pages/glossary.html", "pages/references.html")
    )
    assert 'href="pages/references.html#he2015"' in page and sources.count('id="he2015"') == 1
    assert re.search(r'href="pages/glossary.html#term-He-s-dead-unit".*He.s dead unit', page)
    ids = re.findall(r'<dt id="(term-[^"]+)"', listed)
    assert "term-He-s-dead-unit" in ids and len(ids) == len(set(ids)) == 4


def test_search_keeps_the_terms_of_a_page_that_has_not_changed(tmp_path):
    build(tmp_path, "before")
    page = tmp_path / "index.md"
    page.write_text(page.read_text("utf-8").replace("before", "after"), encoding="utf-8")
    result = build_again(tmp_path)
    index = (tmp_path / "out/searchindex.js").read_text(encoding="utf-8")
    assert result.returncode == 0 and '"after"' in index, result.stderr
    assert '"pooled spread": [[' in index


def test_links_to_no_source_and_no_term_fail_the_build(tmp_path):
    result = build(tmp_path, "[He](pages/references.md#he2051) and [](pages/glossary.md#term-fan)")
    assert result.returncode != 0
    assert "he2051" in result.stderr and "term-fan" in result.stderr


def test_the_site_has_mathjax_or_is_not_built(tmp_path, monkeypatch):
    app = SimpleNamespace(outdir=str(tmp_path), builder=SimpleNamespace(format="html"))
    monkeypatch.setattr(mathjax, "SOURCE", tmp_path / "mathjax")
    with pytest.raises(ExtensionError, match="MathJax is missing"):
        mathjax.copy(app)
    (tmp_path / "mathjax/es5").mkdir(parents=True)
    (tmp_path / "mathjax/es5/tex-chtml.js").write_text("/* maths */", encoding="utf-8")
    mathjax.copy(app)
    assert (tmp_path / "_static/mathjax/tex-chtml.js").read_text("utf-8") == "/* maths */"


def test_the_glossary_is_in_the_order_of_the_alphabet():
    text = (ROOT / "pages/glossary.md").read_text(encoding="utf-8")
    lists = re.findall(r"^```{glossary}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert len(lists) == 2
    for entries in lists:
        terms = re.findall(r"(?:^|\n\n)(\w.*)", entries)  # the first of those that share a meaning
        assert len(terms) >= 10 and terms == sorted(terms, key=str.casefold)


def test_the_course_picture_is_the_one_that_is_drawn_from_data(tmp_path):
    picture.main(tmp_path / "course.png")
    assert (tmp_path / "course.png").read_bytes() == picture.FILE.read_bytes()
