"""What turns the book into the site, except for its claims page and its notebooks."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from website.extensions import book
from website.tools import javascript, picture

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
CITED = re.compile(r"pages/references\.md#([\w-]+)|\]\(references\.md#([\w-]+)")


def build(folder, link, text="He et al. (2015)"):
    """Build a small book of a page that links to a source or a term, warnings being errors."""
    (folder / "pages").mkdir(parents=True)
    (folder / "chapters").mkdir()
    shutil.copy(ROOT / "references.bib", folder)
    shutil.copy(ROOT / "pages/references.md", folder / "pages")
    (folder / "pages/glossary.md").write_text(GLOSSARY, encoding="utf-8")
    toctree = "```{toctree}\nchapters/one\npages/references\npages/glossary\n```\n"
    (folder / "index.md").write_text(f"# Index\n\n{toctree}", encoding="utf-8")
    page = f"# One\n\n[{text}](../pages/{link})\n"
    (folder / "chapters/one.md").write_text(page, encoding="utf-8")
    # MathJax is not what is tested here, and `make test` needs no Node.js.
    configuration = f"""
import sys
sys.path.append({str(ROOT)!r})
from website.extensions import book

from pathlib import Path
book.MATHJAX = Path({str(folder / "mathjax")!r})
extensions = ["myst_parser", "sphinxcontrib.bibtex", "website.extensions.book"]
bibtex_bibfiles = ["references.bib"]
bibtex_cite_id = "{{key}}"
bibtex_default_style = "unsrt"
myst_heading_anchors = 3
"""
    (folder / "conf.py").write_text(configuration, encoding="utf-8")
    (folder / "mathjax/es5").mkdir(parents=True)
    (folder / "mathjax/es5/tex-chtml.js").write_text("/* maths */", encoding="utf-8")
    command = [sys.executable, "-m", "sphinx", "-b", "html", "-W", "-n", "-q", "--keep-going"]
    return subprocess.run([*command, ".", "out"], cwd=folder, capture_output=True, text=True)


def test_a_link_by_key_leads_to_the_source(tmp_path):
    result = build(tmp_path, "references.md#he2015")
    assert result.returncode == 0, result.stderr
    page = (tmp_path / "out/chapters/one.html").read_text(encoding="utf-8")
    assert 'href="../pages/references.html#he2015"' in page
    sources = (tmp_path / "out/pages/references.html").read_text(encoding="utf-8")
    assert sources.count('id="he2015"') == 1
    assert (tmp_path / "out/_static/mathjax/tex-chtml.js").is_file()


def test_a_link_by_an_unknown_key_fails_the_build(tmp_path):
    result = build(tmp_path, "references.md#he2051")
    assert result.returncode != 0
    assert "he2051" in result.stderr


def test_a_link_to_a_term_leads_to_it(tmp_path):
    result = build(tmp_path, "glossary.md#term-He-s-dead-unit", text="")
    assert result.returncode == 0, result.stderr
    page = (tmp_path / "out/chapters/one.html").read_text(encoding="utf-8")
    assert re.search(
        r'href="../pages/glossary.html#term-He-s-dead-unit"[^>]*>.*He.s dead unit', page
    )
    listed = (tmp_path / "out/pages/glossary.html").read_text(encoding="utf-8")
    anchors = re.findall(r'<dt id="(term-[^"]+)"', listed)
    assert sorted(anchors) == sorted(book.term_anchors(GLOSSARY).values()) and len(anchors) == 4


def test_a_link_to_an_unknown_term_fails_the_build(tmp_path):
    result = build(tmp_path, "glossary.md#term-fan")
    assert result.returncode != 0
    assert "term-fan" in result.stderr


def test_the_glossary_is_in_the_order_of_the_alphabet():
    text = (ROOT / "pages/glossary.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"^```\{glossary\}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    terms = re.findall(r"^\w.*$", block, re.MULTILINE)
    assert len(terms) >= 10 and terms == sorted(terms, key=str.casefold)


def test_every_source_that_is_cited_is_listed():
    entries = re.findall(r"^@\w+\{([\w-]+),", (ROOT / "references.bib").read_text("utf-8"), re.M)
    assert len(entries) == len(set(entries))
    pages = [*ROOT.glob("*.md"), *ROOT.glob("pages/*.md"), *ROOT.glob("chapters/*.ipynb")]
    for page in pages:
        cited = {a or b for a, b in CITED.findall(page.read_text(encoding="utf-8"))}
        assert cited <= set(entries), f"{page.name}: {sorted(cited - set(entries))}"


def test_only_a_node_that_is_new_enough_and_runs_is_used(tmp_path):
    if os.name != "posix":  # the stand-ins below are shell scripts
        return

    def put(name, script):
        (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
        (tmp_path / name).chmod(0o755)

    assert javascript.find_npm(str(tmp_path)) is None
    put("node", "echo v20.1.0")
    assert javascript.find_npm(str(tmp_path)) is None
    put("npm", "echo 10.0.0")
    assert javascript.find_npm(str(tmp_path)) == str(tmp_path / "npm")
    put("node", "echo v16.20.0")
    assert javascript.find_npm(str(tmp_path)) is None
    put("node", "exit 1")
    assert javascript.find_npm(str(tmp_path)) is None


def test_the_course_picture_is_the_one_that_is_drawn_from_data(tmp_path):
    picture.main(tmp_path / "course.png")
    assert (tmp_path / "course.png").read_bytes() == picture.FILE.read_bytes()
