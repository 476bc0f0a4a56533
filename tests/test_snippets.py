"""What the chapters say that practitioners write, run against Keras, JAX and Flax themselves.

``snippets.py`` says how snippets and names are written, and finds them. Those of PyTorch are for
``pytorch/test_pytorch_snippets.py``; that they are well written is held here. A comparison of
draws would fail by chance with a probability below 1e-10 over fresh seeds.
"""

import os

import pytest
import snippets
from chapter import MARKDOWN, ROOT, Chapter, Section
from snippets import Name, Snippet

pytestmark = pytest.mark.false_alarm(1e-10)

os.environ.setdefault("KERAS_BACKEND", "jax")

CHAPTERS = [Chapter(path) for path in sorted((ROOT / "chapters").glob("*.ipynb"))]
SNIPPETS = [snippet for chapter in CHAPTERS for snippet in snippets.snippets(chapter)]
NAMES = sorted({name for chapter in CHAPTERS for name in snippets.names(chapter)})
CALLS = snippets.calls_of_the_summary()
OTHERS = ("Keras", "JAX", "Flax")


def cases(found, libraries):
    """Return one test parameter for each snippet or name of these libraries."""
    return [
        pytest.param(one, id=f"{one.chapter}-{one.library}-{number}")
        for number, one in enumerate(one for one in found if one.library in libraries)
    ]


def test_every_snippet_names_its_library_and_there_are_some_of_each():
    assert {snippet.library for snippet in SNIPPETS} == set(snippets.LIBRARIES)


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda chapter: chapter.path.stem)
def test_every_chapter_has_a_name_of_each_library(chapter):
    found = {name.library for name in snippets.names(chapter)}
    assert {"Keras", "PyTorch"} <= found and found & {"JAX", "Flax"}


def test_every_name_in_a_table_has_a_library():
    without = [
        (chapter.path.stem, text)
        for chapter in CHAPTERS
        for library, text in snippets.spans(chapter.section(snippets.SECTION))
        if not library and "initcore" not in text
    ]
    assert without == []


@pytest.mark.parametrize("snippet", cases(SNIPPETS, OTHERS))
def test_snippet(snippet):
    snippets.check(snippet)


@pytest.mark.parametrize("name", cases(NAMES + CALLS, OTHERS))
def test_name(name):
    assert list(snippets.problems(name)) == []


@pytest.mark.parametrize("call", cases(filter(snippets.is_drawn, CALLS), OTHERS))
def test_a_call_of_the_summary_has_the_variance_of_its_row(call):
    snippets.check_call(call)


def test_every_row_of_the_summary_that_draws_has_a_call_of_each_library():
    rows = list(dict.fromkeys(call.chapter for call in CALLS if snippets.is_drawn(call)))
    assert {snippets.first_word(call) for call in CALLS} >= set(snippets.VARIANCES)
    drawn = [(call.chapter, call.library) for call in CALLS if snippets.is_drawn(call)]
    assert drawn == [(row, library) for row in rows for library in ("Keras", "PyTorch", "JAX")]


@pytest.mark.parametrize("snippet", cases(SNIPPETS, ("PyTorch",)))
def test_snippet_of_pytorch_is_python_with_weights_at_its_end(snippet):
    compile(snippet.source, "snippet", "exec")
    assert snippets.LAST.fullmatch(snippet.source.strip().splitlines()[-1])


# --- the rules at work --------------------------------------------------------------------------

GOOD = """\
# JAX: He
import jax

W = jax.nn.initializers.he_normal()(jax.random.key(0), (512, 256))
W  # variance 2 / fan_in
"""


def table(text):
    """Return a section with a table in it."""
    return Section(snippets.SECTION, MARKDOWN.parse(text))


def test_a_good_snippet_passes():
    snippets.check(Snippet("good", "JAX", GOOD))


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("2 / fan_in", "1.9 / fan_in", "not 0.003711"),
        ("2 / fan_in", "2 / fan_out", "not 0.007812"),
        ("he_normal", "lecun_normal", "variance 0.0019"),
        ("(512, 256)", "(51, 256)", "too small"),
        ("W  # variance 2 / fan_in", "W", "the last line"),
        ("he_normal", "he_nromal", "he_nromal"),
    ],
)
def test_a_bad_snippet_fails(old, new, says):
    with pytest.raises((AssertionError, AttributeError), match=says):
        snippets.check(Snippet("bad", "JAX", GOOD.replace(old, new)))


@pytest.mark.parametrize(
    ("line", "library"), [("# Flax, nnx", "Flax"), ("# Kerasy", ""), ("W = 1", "")]
)
def test_the_first_line_names_the_library(line, library):
    assert snippets.library_of(line) == library


def test_fans_follow_the_layout_of_the_library():
    assert snippets.fans("Keras", (3, 3, 8, 16)) == (72, 144)
    assert snippets.fans("PyTorch", (16, 8, 3, 3)) == (72, 144)


def test_names_are_found_by_column_and_by_row():
    columns = table("| | Keras | JAX / Flax | ours |\n|-|-|-|-|\n| `q` | `A()` `B()` | `c` | `d` |")
    assert list(snippets.spans(columns)) == [
        *(("", "q"), ("Keras", "A()"), ("Keras", "B()"), ("JAX", "c"), ("", "d"))
    ]
    rows = table("| library | default |\n|-|-|\n| PyTorch | `e` |\n| Keras | `F()` |\n\n`no`")
    assert list(snippets.spans(rows)) == [("PyTorch", "e"), ("Keras", "F()")]


@pytest.mark.parametrize(
    ("library", "text", "says"),
    [
        ("Keras", "HeNrmal()", "not in Keras"),
        ("Keras", "HeNormal(sd=1)", "no setting `sd`"),
        ("Keras", '"he_nrmal"', "no name that Keras knows"),
        ("Keras", 'kernel_initializer="he_nrmal"', "no initializer 'he_nrmal'"),
        ("Keras", 'Dense(10, kernel_initializer="he_nrmal")', "no initializer 'he_nrmal'"),
        ("Keras", 'kernel_initialiser="he_normal"', "has the setting"),
        ("Keras", "a=√5", "not Python"),
        ("Keras", "model.trainables = False", "not in Keras"),
        ("JAX", "nnx.Linear(1, 2, rng=rngs)", "no setting `rng`"),
        ("JAX", '"he_normal"', "no name that JAX knows"),
    ],
)
def test_a_bad_name_is_seen(library, text, says):
    found = list(snippets.problems(Name("bad", library, text)))
    assert found and says in found[0]
