"""The number marks: how numbers are read, and the marks of the pages that are not chapters."""

import re

import pytest
import yaml
from chapter import MARKDOWN, ROOT
from marks import is_printed, numerals
from notebook_rules import problems_of_marks, unmarked

PAGES = [ROOT / "intro.md", *sorted((ROOT / "pages").glob("*.md"))]
PAGES.remove(ROOT / "pages/claims.md")  # made of the ledger: see below


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0.97, 13 of 20 and 4e+04.", ["0.97", "13", "20", "4e+04"]),
        (r"$1.8\cdot10^{-5}$, $2 \times 10^{3}$, $10^{-7}$", ["1.8e-5", "2e3", "1e-7"]),
        ("1,437 of $10{,}000$; 69% or 4.5 %", ["1437", "10000", "69%", "4.5"]),
        ("-0.3 and −0.4, v1.2.3, x2, W1", ["0.3", "0.4"]),
        ("the end is 5.", ["5"]),
        ("none", []),
    ],
)
def test_numerals(text, expected):
    assert numerals(text) == expected


@pytest.mark.parametrize(
    ("numeral", "output", "expected"),
    [
        ("0.97", "a 0.9749 b", True),
        ("0.97", "a 0.9751 b", False),
        ("0.97", "a 0.9 b", False),
        ("57", "factor 56.8", True),
        ("57", "factor 5.7", False),
        ("1.8e-5", "1.77e-05", True),
        ("1e-7", "9.6e-08", True),
        ("69%", "saturated 0.688", True),
        ("69%", "69% of them", True),
        ("69%", "saturated 69", False),
        ("69", "69% of them", False),
        ("1437", "1.437e+03", True),
        ("20", "13 of 20", True),
        ("0.0707", "factor 0.0702", False),
    ],
)
def test_is_printed(numeral, output, expected):
    assert is_printed(numeral, output) is expected


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_a_page_marks_its_numbers(path):
    """A page has no cells: each decimal in its sentences is a mark, or stands in a formula."""
    text = re.sub(r"(Python|CC BY|Jupyter Book) [\d.]+", r"\1", path.read_text(encoding="utf-8"))
    tokens = MARKDOWN.parse(text)
    problems = list(problems_of_marks(tokens, path))
    # Compared elsewhere: calibration in test_calibration.py, fast_draws in test_sampling.py,
    # replications in test_replications.py, speed and framework_defaults in test_lists.py.
    apart = {"api", "fast_draws", "glossary", "notation", "references", "speed", "ten_minutes"}
    apart |= {"calibration", "framework_defaults", "replications"}
    if path.stem not in apart:
        problems += [f"{numeral} has no mark" for numeral in unmarked(tokens)]
    assert not problems, "\n".join(problems)


def test_the_ledger_quotes_no_measured_number():
    """Its entries link to the deciding cells, which print the numbers; it holds only exact ones."""
    for entry in yaml.safe_load((ROOT / "claims.yml").read_text(encoding="utf-8")):
        plain = re.sub(r"\$[^$]*\$|`[^`]*`", "", entry["truth"])
        decimals = {n for n in numerals(plain) if re.search(r"\d\.\d|%", n)}
        assert not decimals - {"0.0001", "0.02"}, f"{entry['id']}: {decimals}"
