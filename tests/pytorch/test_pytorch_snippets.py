"""The PyTorch snippets and names of every chapter, run against PyTorch itself: `make test-all`.

``../snippets.py`` says how they are written, and finds them.
"""

import pytest
import snippets
from chapter import ROOT, Chapter
from snippets import Name, Snippet

pytestmark = pytest.mark.false_alarm(1e-10)

CHAPTERS = [Chapter(path) for path in sorted((ROOT / "chapters").glob("*.ipynb"))]
SNIPPETS = [snippet for chapter in CHAPTERS for snippet in snippets.snippets(chapter)]
NAMES = sorted({name for chapter in CHAPTERS for name in snippets.names(chapter)})
CALLS = snippets.calls_of_the_summary()


def cases(found):
    """Return one test parameter for each snippet or name of PyTorch's."""
    return [
        pytest.param(one, id=f"{one.chapter}-{number}")
        for number, one in enumerate(one for one in found if one.library == "PyTorch")
    ]


@pytest.mark.parametrize("snippet", cases(SNIPPETS))
def test_snippet(snippet):
    snippets.check(snippet)


@pytest.mark.parametrize("call", cases(filter(snippets.is_drawn, CALLS)))
def test_a_call_of_the_summary_has_the_variance_of_its_row(call):
    snippets.check_call(call)


@pytest.mark.parametrize("name", cases(NAMES + CALLS))
def test_name(name):
    assert list(snippets.problems(name)) == []


def test_there_are_some():
    assert cases(SNIPPETS) and cases(NAMES)


@pytest.mark.parametrize("text", ["kaiming_norml_(w)", "kaiming_normal_(w, sd=1)", "nn.Liner(1)"])
def test_a_bad_name_is_seen(text):
    assert list(snippets.problems(Name("bad", "PyTorch", text)))


def test_a_wrong_variance_is_seen():
    source = "# PyTorch\nimport torch\n\nW = torch.randn(500, 400)\nW  # variance 2"
    with pytest.raises(AssertionError, match="not 2"):
        snippets.check(Snippet("bad", "PyTorch", source))
