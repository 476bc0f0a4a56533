"""``website/tools/notebooks.py`` and the rules: each sees a chapter that breaks it."""

import json
import os
import subprocess
import sys

import notebook_rules
import pytest
from example_chapter import ALT, PNG, make_chapter, make_course, notebook
from nbformat.v4 import (
    new_code_cell,
    new_markdown_cell,
    new_notebook,
    new_output,
    new_raw_cell,
)
from notebook_rules import ROOT, RULES, notebooks

from initcore.explorers import Scale

SETUP, FIGURE, TABLE, DECIDING, PANEL, BROKEN = 1, 3, 4, 5, 7, 10  # the code cells of the example
INTRODUCTION, TEXT, END = 0, 2, 11  # its Markdown cells


# --- the rules ----------------------------------------------------------------------------------


def test_the_example_keeps_every_rule(tmp_path):
    chapter = make_chapter(tmp_path)
    problems = {rule.__name__: list(rule(chapter)) for rule in RULES}
    assert not any(problems.values()), problems


def change(number, old, new):
    """Replace a part of the source of a cell."""

    def apply(chapter):
        cell = chapter.cells[number]
        assert old in cell.source, "the example has changed"
        cell.source = cell.source.replace(old, new)

    return apply


def add(number, source):
    """Add lines to the source of a cell."""

    def apply(chapter):
        chapter.cells[number].source += "\n" + source

    return apply


def put(number, **attributes):
    """Set attributes of a cell."""
    return lambda chapter: chapter.cells[number].update(attributes)


def mark(number, **metadata):
    """Set metadata of a cell."""
    return lambda chapter: chapter.cells[number].metadata.update(metadata)


def show(number, *texts, name="stdout"):
    """Let a cell print something else."""
    outputs = [new_output("stream", name=name, text=text) for text in texts]
    return put(number, outputs=outputs)


def result(number, count, **data):
    """Let a cell end with an expression."""
    data = {kind.replace("_", "/"): value for kind, value in data.items()}
    return put(number, outputs=[new_output("execute_result", data=data, execution_count=count)])


def both(*changes):
    def apply(chapter):
        for one in changes:
            one(chapter)

    return apply


def take_out(number):
    return lambda chapter: chapter.cells.pop(number)


def insert(number, cell):
    return lambda chapter: chapter.cells.insert(number, cell)


def new_alt(text, *, on_page=None):
    """Give the figure another alternative text, and the page the same or yet another."""

    def apply(chapter):
        cell = chapter.cells[FIGURE]
        cell.outputs[0].metadata["image/png"]["alt"] = text
        cell.metadata["mystnb"] = {"image": {"alt": text if on_page is None else on_page}}

    return apply


def error(number):
    output = new_output("error", ename="ValueError", evalue="bad", traceback=["ValueError: bad"])
    return put(number, outputs=[output])


WIDGET = {notebook_rules.WIDGET: {"model_id": "1"}, "text/plain": "Box()"}
ANOTHER_FIGURE = new_output(
    "display_data",
    data={"image/png": PNG, "text/plain": "Figure: 1"},
    metadata={"image/png": {"alt": ALT}},
)
LONG = "\n".join(f"x{n} = {n}" for n in range(20))
LONG_TEXT = "text = (\n" + '    "words"\n' * 20 + ")"


# rule, what is done to the example, what the rule says of it
def old_figure(chapter):
    """Store a live figure with other numbers than the package has."""
    figure = Scale()
    state = figure.get_state() | {"data": "{}"}
    models = {"1": {"model_module": "anywidget", "state": state}}
    chapter.metadata["widgets"] = {notebooks.WIDGET_STATE: {"state": models}}


BAD = [
    ("is_executed_from_top_to_bottom", put(SETUP, execution_count=None), "execution count None"),
    ("is_executed_from_top_to_bottom", put(TABLE, execution_count=7), "count 7"),
    ("is_executed_from_top_to_bottom", take_out(SETUP), "code cell 1 has the execution count 2"),
    ("is_executed_from_top_to_bottom", result(TABLE, 9, text_plain="1"), "count 9"),
    ("is_stored_by_make_notebooks", mark(TABLE, collapsed=False), "not as `make notebooks`"),
    (
        "is_stored_by_make_notebooks",
        lambda chapter: chapter.metadata.language_info.update(version="3.11.7"),
        "not as `make notebooks`",
    ),
    ("stores_no_error_and_no_warning", error(TABLE), "stores an error: ValueError"),
    ("stores_no_error_and_no_warning", show(TABLE, "1 %", name="stderr"), "stderr"),
    ("stores_no_error_and_no_warning", show(TABLE, "x: RuntimeWarning: 1"), "RuntimeWarning"),
    ("lets_nbval_see_every_cell", add(TABLE, "# NBVAL_IGNORE_OUTPUT"), "marker of nbval"),
    ("lets_nbval_see_every_cell", add(TABLE, "# nbval_skip"), "marker of nbval"),
    ("lets_nbval_see_every_cell", add(TABLE, "# PYTEST_VALIDATE_IGNORE_OUTPUT"), "marker"),
    ("lets_nbval_see_every_cell", mark(TABLE, tags=["nbval-skip"]), "tag nbval-skip"),
    ("lets_nbval_see_every_cell", mark(TABLE, tags=["raises-exception"]), "tag raises-exception"),
    ("lets_nbval_see_every_cell", mark(TABLE, tags=["skip-execution"]), "tag skip-execution"),
    ("lets_nbval_see_every_cell", mark(TABLE, tags=["remove-output"]), "tag remove-output"),
    ("lets_nbval_see_every_cell", mark(TABLE, tags=["hide-cell"]), "tag hide-cell"),
    ("lets_nbval_see_every_cell", mark(TABLE, tags=["hide-input"]), "not in both"),
    ("lets_nbval_see_every_cell", mark(TABLE, jupyter={"source_hidden": True}), "not in both"),
    ("lets_nbval_see_every_cell", mark(TABLE, nbval={"skip": True}), "no chapter needs: nbval"),
    ("lets_nbval_see_every_cell", mark(TABLE, mystnb={"remove_code_outputs": True}), "mystnb.rem"),
    (
        "lets_nbval_see_every_cell",
        lambda chapter: chapter.metadata.update(mystnb={"execution_mode": "force"}),
        "the notebook has metadata",
    ),
    ("lets_nbval_see_every_cell", insert(2, new_raw_cell("raw")), "a raw cell"),
    ("lets_nbval_see_every_cell", result(TABLE, 3, **{"image_svg+xml": "<svg/>"}), "svg"),
    ("is_plain_python", add(TABLE, "%%capture"), "a magic or shell escape: %%capture"),
    ("is_plain_python", change(SETUP, "import numpy as np", "%matplotlib inline"), "%matplotlib"),
    ("is_plain_python", add(TABLE, "!ls"), "!ls"),
    ("is_plain_python", add(TABLE, "files = !ls"), "!ls"),
    ("is_plain_python", add(TABLE, "np.sqrt?"), "np.sqrt?"),
    ("is_plain_python", add(TABLE, "x = = 1"), "not plain Python"),
    ("hides_nothing", add(TABLE, "np.testing.suppress_warnings, np.errstate"), "hides warnings"),
    ("hides_nothing", add(TABLE, "warnings.filterwarnings('ignore')"), "filterwarnings hides"),
    ("hides_nothing", add(TABLE, "from warnings import simplefilter"), "simplefilter hides"),
    ("hides_nothing", add(TABLE, "with contextlib.redirect_stdout(f): g()"), "redirect_stdout"),
    ("hides_nothing", add(TABLE, "with contextlib.suppress(ValueError): g()"), "suppress"),
    ("hides_nothing", add(TABLE, "get_ipython().run_line_magic('x', '')"), "get_ipython"),
    ("hides_nothing", add(TABLE, "display(1, display_id='a')"), "display_id replaces"),
    ("hides_nothing", add(TABLE, "interact(spread)"), "interact swallows"),
    ("hides_nothing", add(TABLE, "exec('1')"), "exec runs"),
    ("hides_nothing", add(TABLE, "print(1, file=log)"), "print(file=…)"),
    (
        "shows_what_it_catches",
        add(TABLE, "try:\n    x = layers\nexcept ValueError:\n    pass"),
        "says nothing",
    ),
    (
        "shows_what_it_catches",
        add(TABLE, "try:\n    x = layers\nexcept Exception as error:\n    print(error)"),
        "catches every exception",
    ),
    (
        "shows_what_it_catches",
        add(TABLE, "try:\n    x = layers\nexcept:\n    print(1)"),
        "catches every exception",
    ),
    ("asserts_what_can_fail", add(TABLE, "assert True"), "`assert True` cannot fail"),
    ("asserts_what_can_fail", add(TABLE, "assert (spread, 'it')"), "cannot fail"),
    ("asserts_what_can_fail", add(TABLE, "assert len([1]) == 1"), "cannot fail"),
    ("checks_what_it_computes", show(TABLE), "code cell 3 computes and neither"),
    ("checks_what_it_computes", show(TABLE, " \n"), "code cell 3 computes and neither"),
    ("checks_what_it_computes", add(SETUP, "net = plots.figure()"), "code cell 1 computes"),
    ("checks_what_it_computes", change(BROKEN, "other > -9", "True"), "code cell 7 computes"),
    ("checks_what_it_computes", insert(2, new_code_cell("")), "is empty"),
    ("prints_what_is_stable", show(TABLE, "a nan b"), "prints nan"),
    ("prints_what_is_stable", show(TABLE, "loss -0.000"), "a negative zero"),
    ("prints_what_is_stable", show(TABLE, "[-0., 1.]"), "a negative zero"),
    ("prints_what_is_stable", show(TABLE, "-0.0e+00"), "a negative zero"),
    ("prints_what_is_stable", show(TABLE, "0.123456789"), "nine decimals"),
    ("prints_what_is_stable", show(TABLE, "<X at 0x7f8a2c3d>"), "an address"),
    ("prints_what_is_stable", result(TABLE, 3, text_plain="<function f>"), "an address"),
    ("prints_what_is_stable", show(TABLE, "in /home/me/x.py"), "a path of one machine"),
    ("prints_what_is_stable", show(TABLE, "10%\r20%"), "a control character"),
    ("prints_what_is_stable", show(TABLE, "\x1b[31mred"), "a control character"),
    (
        "draws_one_figure_a_cell",
        lambda chapter: chapter.cells[FIGURE].outputs.append(ANOTHER_FIGURE),
        "draws 2 figures",
    ),
    ("stores_live_figures_as_they_are", old_figure, "another data than initcore"),
    ("says_what_a_figure_shows", new_alt(""), "no alternative text: ''"),
    ("says_what_a_figure_shows", new_alt("a figure"), "no alternative text: 'a figure'"),
    ("says_what_a_figure_shows", new_alt(ALT, on_page=ALT + " No."), "another alternative text"),
    ("says_what_a_figure_shows", mark(FIGURE, mystnb={}), "another alternative text: None"),
    ("says_what_a_figure_shows", add(TEXT, "![](../claims.yml)"), "picture in Markdown"),
    ("says_what_a_figure_shows", add(TEXT, "<img src='../claims.yml'>"), "picture in Markdown"),
    (
        "gives_the_numbers_of_a_figure",
        both(*[take_out(TABLE)] * 3, put(TABLE + 1, source="")),
        "no number of its figure",
    ),
    ("gives_the_numbers_of_a_figure", show(TABLE, "done\n"), "no number of its figure"),
    (
        "gives_the_numbers_of_a_figure",
        change(TABLE, "spread[0]", "0.3"),
        "uses none of its variables",
    ),
    (
        "gives_the_numbers_of_a_figure",
        both(put(FIGURE, outputs=[new_output("display_data", data=WIDGET)]), show(TABLE, "done\n")),
        "no number of its figure",
    ),
    ("is_short", add(SETUP, LONG), "lines of code, 20 at most"),
    (
        "is_short",
        lambda chapter: chapter.cells.extend(new_markdown_cell("x") for _ in range(60)),
        "cells, 70 at most",
    ),
    ("shows_its_experiments", add(TABLE, "experiments.kept_share()"), "experiments.kept_share"),
    (
        "shows_its_experiments",
        add(SETUP, "from initcore.experiments import split_digits, kept_share"),
        "experiments.kept_share",
    ),
    ("drives_its_panels", change(PANEL, "dial.show()", ""), "does not show it"),
    ("drives_its_panels", change(PANEL + 1, "dial.set(sd=0.1)", "dial"), "does not move `dial`"),
    ("drives_its_panels", show(PANEL + 1, ""), "does not move `dial`"),
    ("drives_its_panels", change(PANEL, "widgets.panel", "print"), "there is no panel"),
    ("is_short", add(TABLE, "plots.figure();"), "`;`"),
    ("is_short", add(TABLE, "a = 1; b = 2"), "`;`"),
    (
        "imports_initcore",
        both(take_out(DECIDING), change(SETUP, "initcore", "numpy")),
        "initcore is not imported",
    ),
    ("imports_initcore", add(SETUP, "import torch.nn as nn"), "torch is imported"),
    ("imports_initcore", add(SETUP, "import os"), "os is imported"),
    ("imports_initcore", add(SETUP, "from urllib.request import x"), "urllib is imported"),
    ("imports_initcore", add(SETUP, "from . import helpers"), ". is imported"),
    ("stays_inside", add(TABLE, "open('x')"), "open reads or writes a file"),
    ("stays_inside", add(TABLE, "fig.savefig('x.png')"), "savefig reads or writes"),
    ("stays_inside", add(TABLE, "np.load('x.npy')"), "np.load"),
    ("stays_inside", add(TABLE, "urlopen('https://x')"), "uses the network"),
    ("seeds_what_is_random", add(TABLE, "np.random.default_rng()"), "has no seed"),
    ("seeds_what_is_random", add(TABLE, "np.random.default_rng(None)"), "has no seed"),
    ("seeds_what_is_random", add(TABLE, "np.random.SeedSequence()"), "has no seed"),
    ("seeds_what_is_random", add(TABLE, "HeNormal(seed=None)"), "seed=None"),
    ("seeds_what_is_random", add(TABLE, "np.random.seed(0)"), "global generator"),
    ("seeds_what_is_random", add(TABLE, "np.random.randn(3)"), "global generator"),
    ("seeds_what_is_random", add(TABLE, "draw = np.random\ndraw.normal()"), "default_rng(seed)"),
    ("seeds_what_is_random", add(SETUP, "from numpy.random import normal"), "global generator"),
    ("seeds_what_is_random", add(SETUP, "import numpy.random as r"), "default_rng(seed)"),
    (
        "begins_with_the_setup_cell",
        insert(1, new_code_cell("import initcore", id="setup")),
        "cell 2 is called setup and is not that of",
    ),
    ("is_plain_markdown", add(TEXT, "\nSee {cite}`glorot2010`."), "raw: {cite}"),
    ("is_plain_markdown", add(TEXT, "\nSee {cite:t}`glorot2010`."), "raw: {cite:t}"),
    ("is_plain_markdown", add(TEXT, "\n```{note}\nText\n```"), "a directive"),
    ("is_plain_markdown", add(TEXT, "\n:::{tip}\nText\n:::"), "MyST syntax"),
    ("is_plain_markdown", add(TEXT, "\n(label)="), "MyST syntax"),
    ("is_plain_markdown", add(TEXT, "\nSee {{ version }}"), "MyST syntax"),
    ("is_plain_markdown", add(TEXT, "\nText[^1]"), "MyST syntax"),
    ("is_plain_markdown", add(TEXT, "\nText[^1]\n\n[^1]: word"), "a footnote"),
    ("is_plain_markdown", add(TEXT, "\n~~~{figure} a.png\n~~~"), "a directive"),
    ("is_plain_markdown", add(TEXT, "\n$$\nx\n$$ (eq:x)"), "a label of a formula"),
    ("is_plain_markdown", add(TEXT, f"\n![{ALT}](a.png){{width=50%}}"), "attributes"),
    ("is_plain_markdown", add(TEXT, "\n`x`{.python}"), "attributes"),
    ("is_plain_markdown", add(TEXT, "\n\n{.note}\nText"), "raw: {.note}"),
    ("is_plain_markdown", add(TEXT, "\nterm\n: what it is"), "MyST syntax"),
    ("is_plain_markdown", add(TEXT, "\n\n%a comment"), "MyST syntax"),
    ("is_plain_markdown", add(TEXT, "\n\n+++"), "MyST syntax"),
    ("is_plain_markdown", add(TEXT, "\n\n- {ref}`a`"), "raw: {ref}"),
    ("is_plain_markdown", add(TEXT, "\n[](#takeaway)"), "a link without text"),
    ("has_links_that_lead_somewhere", add(TEXT, "[x](04_large.ipynb)"), "file that is not there"),
    ("has_links_that_lead_somewhere", add(TEXT, "[x](#nowhere)"), "part that is not there"),
    ("has_links_that_lead_somewhere", add(TEXT, "[x](#claim-S2)"), "not there: #claim-S2"),
    (
        "has_links_that_lead_somewhere",
        add(TEXT, "[x](../pages/references.md#he2015)"),
        "not there: ../pages/references.md#he2015",
    ),
    (
        "has_links_that_lead_somewhere",
        add(TEXT, "[x](../pages/claims.md#claim-S9)"),
        "not there: ../pages/claims.md#claim-S9",
    ),
    ("has_links_that_lead_somewhere", add(TEXT, "<a href='no.html'>x</a>"), "no.html"),
    ("has_links_that_lead_somewhere", add(TEXT, "![x](no.png)"), "no.png"),
    ("has_links_that_lead_somewhere", add(TEXT, "[x](../../../etc)"), "file that is not there"),
    ("has_a_question_as_its_title", change(INTRODUCTION, "learning?", "learning"), "a question"),
    ("has_a_question_as_its_title", insert(0, new_markdown_cell("Hello")), "first cell"),
    ("has_a_question_as_its_title", insert(0, new_code_cell("import numpy")), "first cell"),
    ("has_a_question_as_its_title", add(TEXT, "\n# Another?"), "more than one"),
    *(
        ("has_the_sections_of_a_chapter", change(cell, f"## {title}", "## Other"), f"## {title}`")
        for cell, titles in (
            (INTRODUCTION, notebook_rules.SECTIONS[:3]),
            (PANEL - 1, notebook_rules.SECTIONS[3:4]),
            (BROKEN - 1, notebook_rules.SECTIONS[4:5]),
            (END, notebook_rules.SECTIONS[5:]),
        )
        for title in titles
    ),
    ("has_the_sections_of_a_chapter", add(TEXT, "\n## Takeaway\n\nText"), "there 2 times"),
    (
        "has_the_sections_of_a_chapter",
        change(END, "Small weights shrink the spread. Gradients shrink too. Scale them.", ""),
        "`## Takeaway` is empty",
    ),
    (
        "has_the_sections_of_a_chapter",
        lambda chapter: chapter.cells.append(chapter.cells.pop(BROKEN - 1)),
        "not in the order",
    ),
    ("says_what_the_reader_gets", change(INTRODUCTION, "- what that", "and what"), "1 learning"),
    ("says_what_the_reader_gets", change(INTRODUCTION, "You need", "Have"), "what you need"),
    ("says_what_the_reader_gets", change(INTRODUCTION, "10 minutes", "a while"), "how many min"),
    ("asks_before_it_shows", change(INTRODUCTION, "millionth?", "millionth."), "asks nothing"),
    (
        "asks_before_it_shows",
        lambda chapter: chapter.cells.insert(0, chapter.cells.pop(FIGURE)),
        "a figure before",
    ),
    ("shows_where_it_breaks", take_out(BROKEN), "holds no experiment"),
    ("says_what_is_done_today", change(END, "| --- | --- |", ""), "has no table"),
    ("says_what_is_done_today", change(END, "JAX (Flax)", "Flax"), "does not name JAX"),
    ("has_exercises_with_solutions", change(END, "### 3. Twice", "Twice"), "2 exercises"),
    ("has_exercises_with_solutions", change(END, "<summary>Solution", "<summary>S"), "exercise 1"),
    ("has_exercises_with_solutions", change(END, "Each factor doubles.", ""), "3 is empty"),
    ("has_exercises_with_solutions", change(END, "The exponent.\n</details>", ""), "not closed"),
    ("asks_what_was_learnt", change(END, "2. By how much a layer?\n\n   ", "\n   "), "2 questions"),
    ("asks_what_was_learnt", change(END, "1. What shrinks?", "1. A?\n1. B?\n1. C?\n1. D?"), "6 qu"),
    ("asks_what_was_learnt", change(END, "By how much a layer?", "By how much."), "2 asks nothing"),
    ("asks_what_was_learnt", change(END, "No. It depends", "Right. It depends"), "2 of them right"),
    ("asks_what_was_learnt", change(END, "Right. Of $n$", "No. Of $n$"), "0 of them right"),
    ("asks_what_was_learnt", change(END, "No. It takes", "It takes"), "question 3 has 2 options"),
    ("asks_what_was_learnt", change(END, "chapter on symmetry", "beginning"), "another chapter"),
    (
        "links_first_uses_to_the_glossary",
        change(BROKEN - 1, "[scatters](../pages/glossary.md#term-scatter)", "scatters"),
        "the first use of “scatter”",
    ),
    (
        "links_first_uses_to_the_glossary",
        change(TEXT, "Each layer multiplies", "Nets scatter. Each layer multiplies"),
        "the first use of “scatter”",
    ),
    ("marks_measured_numbers", change(TEXT, "[0.32]", "[0.33]"), "does not print 0.33"),
    ("marks_measured_numbers", change(TEXT, "[0.32]", "[a third]"), "holds no number"),
    ("marks_measured_numbers", change(TEXT, "id=cell-4", "id=cell-9"), "names no code cell"),
    ("marks_measured_numbers", change(TEXT, "[0.32](#cell-id=cell-4)", "0.316"), "no mark"),
    (
        "names_its_sources",
        change(END, "- [Glorot and Bengio (2010)](../pages/references.md#glorot2010)", "- Glorot"),
        "not a list of links",
    ),
]


@pytest.mark.parametrize(
    ("rule", "spoil", "message"), BAD, ids=[f"{case[0]}-{n}" for n, case in enumerate(BAD)]
)
def test_a_rule_sees_what_breaks_it(tmp_path, rule, spoil, message):
    problems = list(getattr(notebook_rules, rule)(make_chapter(tmp_path, spoil)))
    assert any(message in problem for problem in problems), problems


def test_every_rule_is_tried():
    assert {rule for rule, _, _ in BAD} == {rule.__name__ for rule in RULES}
    in_module = {
        name
        for name, value in vars(notebook_rules).items()
        if getattr(value, "__annotations__", {}).get("chapter") == "Chapter"
    }
    assert in_module == {rule.__name__ for rule in RULES}, "a rule is not in RULES"


@pytest.mark.parametrize(
    ("rule", "harmless"),
    [
        ("is_short", add(SETUP, LONG_TEXT)),
        (
            "has_exercises_with_solutions",
            both(
                change(END, "### 1. Twice as wide\n", "**1. Twice as wide.**"),
                change(END, "### 2. Twice as deep\n", "**2. Twice as deep.**"),
            ),
        ),
        ("marks_measured_numbers", change(TEXT, "[0.32](#cell-id=cell-4)", "$0.316$")),
        ("marks_measured_numbers", change(TEXT, "[0.32]", "[$3.2\\cdot 10^{-1}$]")),
        (
            "says_what_the_reader_gets",
            both(
                change(INTRODUCTION, "You need: what a matrix product is. It takes 10 minutes", ""),
                change(INTRODUCTION, "learning?", "learning?\n\n**You need:** x. 10 minutes"),
            ),
        ),
        ("is_plain_python", add(TABLE, "print(layers\n% 3)")),
        ("is_plain_markdown", add(TEXT, "`\\frac{a}{b}` and `{x}` `y` and $\\sqrt{n}$ `z`")),
        ("is_plain_markdown", add(TEXT, "\n[a](#b): $50$% of {1, 2} and\n<!-- not shown -->")),
        (
            "lets_nbval_see_every_cell",
            mark(TABLE, tags=["hide-input"], jupyter={"source_hidden": True}),
        ),
        ("prints_what_is_stable", show(TABLE, "-0.05 1e-05 -0.5e-3 nano 2-0 v0.1.0 inf 1/0\n")),
        ("has_links_that_lead_somewhere", add(TEXT, "[a](#takeaway) [b](https://x.y/#z) [c](#S)")),
        (
            "shows_what_it_catches",
            add(TABLE, "try:\n    f()\nexcept ValueError as e:\n    print(e)"),
        ),
        (
            "gives_the_numbers_of_a_figure",
            both(add(FIGURE, "assert spread[0] < 1"), show(TABLE, "done\n")),
        ),
    ],
)
def test_a_rule_lets_pass_what_is_right(tmp_path, rule, harmless):
    spoiled = both(harmless, add(TEXT, "\n<a id='S'></a>"))
    assert not list(getattr(notebook_rules, rule)(make_chapter(tmp_path, spoiled)))


def test_the_terms_of_a_glossary_can_be_linked_to(tmp_path):
    page = tmp_path / "glossary.md"
    page.write_text("# Words\n\n```{glossary}\ndead unit\n  Zero.\n```\n", encoding="utf-8")
    assert notebook_rules.anchors(page, tmp_path) == {"words", "term-dead-unit"}


# --- storing ------------------------------------------------------------------------------------


def test_what_front_ends_and_chance_leave_behind_is_not_stored():
    chapter = notebook()
    wanted = notebooks.to_text(notebooks.normalise(notebook()))
    chapter.metadata.kernelspec = {"display_name": "venv", "language": "python", "name": "venv"}
    chapter.metadata.language_info = {"name": "python", "version": "3.13.1"}
    for cell in chapter.cells:
        cell.metadata.update(execution={"iopub.status.busy": "2025"}, collapsed=True, scrolled=1)
    cell = chapter.cells[TABLE]
    text = cell.outputs[0].text
    cell.outputs = [new_output("stream", name="stdout", text=part) for part in (text[:7], text[7:])]
    assert notebooks.to_text(notebooks.normalise(chapter)) == wanted
    assert wanted.endswith("}\n") and '\n "cells": [\n  {\n' in wanted


def test_streams_of_two_kinds_and_around_a_figure_stay_apart():
    outputs = [
        new_output("stream", name="stdout", text="a"),
        new_output("stream", name="stderr", text="b"),
        new_output("stream", name="stdout", text="c"),
        ANOTHER_FIGURE,
        new_output("stream", name="stdout", text="d"),
        new_output("stream", name="stdout", text="e"),
    ]
    chapter = new_notebook(cells=[new_code_cell("x", outputs=outputs)])
    stored = notebooks.normalise(chapter).cells[0].outputs
    assert [output.get("text") for output in stored] == ["a", "b", "c", None, "de"]


def test_the_text_of_a_figure_reaches_the_page_and_leaves_it_with_the_figure():
    chapter = notebook()
    cell = chapter.cells[FIGURE]
    cell.metadata = {"mystnb": {"image": {"alt": "old", "width": "50%"}}}
    stored = notebooks.normalise(chapter).cells[FIGURE].metadata
    assert stored == {"mystnb": {"image": {"alt": ALT, "width": "50%"}}}
    cell.outputs = []
    stored = notebooks.normalise(chapter).cells[FIGURE].metadata
    assert stored == {"mystnb": {"image": {"width": "50%"}}}
    cell.metadata = {"mystnb": {"image": {"alt": "old"}}}
    assert notebooks.normalise(chapter).cells[FIGURE].metadata == {}


def test_a_cell_that_the_page_folds_is_folded_in_jupyterlab_too():
    chapter = notebook()
    chapter.cells[TABLE].metadata = {"tags": ["hide-input"]}
    chapter.cells[FIGURE].metadata = {"jupyter": {"source_hidden": True}}  # a reader's own
    stored = notebooks.normalise(chapter).cells
    assert stored[TABLE].metadata == {"tags": ["hide-input"], "jupyter": {"source_hidden": True}}
    assert "jupyter" not in stored[FIGURE].metadata


def test_widgets_are_numbered_in_the_order_they_were_made():
    def chapter(first, second):
        made = new_notebook(
            cells=[
                new_code_cell(
                    "box",
                    outputs=[
                        new_output(
                            "display_data", data={notebook_rules.WIDGET: {"model_id": second}}
                        )
                    ],
                )
            ],
            metadata={
                "widgets": {
                    notebooks.WIDGET_STATE: {
                        "state": {first: {}, second: {"layout": f"IPY_MODEL_{first}"}}
                    }
                }
            },
        )
        made.cells[0].id = "box"
        return notebooks.to_text(notebooks.normalise(made))

    stored = chapter("c" * 32, "a" * 32)
    assert stored == chapter("1" + "f" * 31, "b" * 32)
    assert f'"model_id": "{2:032x}"' in stored and f"IPY_MODEL_{1:032x}" in stored


def test_reading_gives_cells_ids_that_stay(tmp_path):
    path = tmp_path / "old.ipynb"
    cells = [{"cell_type": "markdown", "metadata": {}, "source": ["a"]} for _ in range(3)]
    cells[1]["id"] = cells[2]["id"] = "cell-0"
    path.write_text(
        json.dumps({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 4})
    )
    chapter = notebooks.read(path.read_text(encoding="utf-8"))
    ids = [cell.id for cell in chapter.cells]
    assert len(set(ids)) == 3 and ids == [
        cell.id for cell in notebooks.read(path.read_text(encoding="utf-8")).cells
    ]
    path.write_text(notebooks.to_text(chapter), encoding="utf-8")
    assert ids == [cell.id for cell in notebooks.read(path.read_text(encoding="utf-8")).cells]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "cannot be read as a notebook"),
        ("[]", "cannot be read as a notebook"),
        ('{"nbformat": 3, "worksheets": [], "cells": []}', "not in format 4"),
        ('{"cells": [{"cell_type": "x"}], "metadata": {}, "nbformat": 4}', "not a valid notebook"),
    ],
)
def test_what_is_not_a_notebook_is_refused(content, message):
    with pytest.raises(notebooks.NotebookError, match=message):
        notebooks.read(content)


def test_a_file_is_replaced_in_one_step_and_only_if_it_changes(tmp_path, monkeypatch):
    path = tmp_path / "a.ipynb"
    path.write_bytes("é\n".encode())
    path.chmod(0o640)
    before = path.stat()
    assert not notebooks.write(path, "é\n", was="é\n")
    assert path.stat().st_mtime_ns == before.st_mtime_ns
    assert notebooks.write(path, "ü\n", was="é\n")
    assert path.read_bytes() == "ü\n".encode() and path.stat().st_mode == before.st_mode
    with pytest.raises(notebooks.NotebookError, match="saved by somebody else"):
        notebooks.write(path, "new\n", was="é\n")
    monkeypatch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        notebooks.write(path, "new\n", was="ü\n")
    assert path.read_bytes() == "ü\n".encode() and list(tmp_path.iterdir()) == [path]


def test_the_arguments_name_notebooks(tmp_path):
    path = make_course(tmp_path)
    assert notebooks.find([str(path.parent), str(path)]) == [path]
    for wrong in (tmp_path / "pages", tmp_path / "no.ipynb", tmp_path / "claims.yml"):
        with pytest.raises(notebooks.NotebookError, match="no notebook there"):
            notebooks.find([str(wrong)])


# --- the command --------------------------------------------------------------------------------


def make(*arguments):
    """Run the command as a user with unusual settings does."""
    environment = {**os.environ, "MPLBACKEND": "Agg", "PYTHONWARNINGS": "ignore"}
    environment["PYTHONPATH"] = os.pathsep.join(
        [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    )
    environment.pop("INITCORE_PROGRESS", None)
    return subprocess.run(
        [sys.executable, ROOT / "website/tools/notebooks.py", *arguments],
        capture_output=True,
        text=True,
        env=environment,
    )


def save(path, *sources, **metadata):
    cells = [new_code_cell(source) for source in sources]
    for number, cell in enumerate(cells):
        cell.id = f"cell-{number}"
        cell.metadata.update(metadata)
    path.write_text(notebooks.to_text(new_notebook(cells=cells)), encoding="utf-8")
    return path.read_bytes()


def test_two_runs_leave_the_same_bytes(tmp_path):
    """All kinds of output; the second notebook's kernel runs beside the first's."""
    one, two = tmp_path / "one.ipynb", tmp_path / "two.ipynb"
    save(
        one,
        "import ipywidgets, os, sys\nfrom initcore import plots, tables",
        "print(os.getcwd() == os.path.dirname(os.path.abspath('one.ipynb')), sys.executable)\n"
        "print(os.environ['INITCORE_PROGRESS'], os.path.exists('one.ipynb'))",
        f"fig, ax = plots.figure()\nax.plot([1, 3])\nplots.show(fig, {ALT!r})",
        "box = ipywidgets.VBox([ipywidgets.IntSlider(), ipywidgets.Label('x')])\n_ = display(box)",
        "import matplotlib.pyplot as plt\nplt.plot([1, 2])\nplt.show()\nprint('after')",
        "tables.Table({'layer': [1, 2]})",
    )
    save(two, "{'a': 1}")
    first = make(tmp_path)
    assert first.returncode == 0, first.stderr
    assert [line.rsplit(", ")[-1] for line in first.stdout.splitlines()] == ["stored", "stored"]
    stored = one.read_bytes()
    second = make(one)
    assert second.returncode == 0 and second.stdout.endswith(", unchanged\n"), second.stderr
    assert one.read_bytes() == stored

    code = notebooks.read(one.read_text(encoding="utf-8")).cells
    assert [cell.execution_count for cell in code] == [1, 2, 3, 4, 5, 6]
    assert code[1].outputs[0].text == f"True {sys.executable}\n0 True\n"
    figure = code[2].outputs[0]
    assert figure.metadata["image/png"]["alt"] == ALT == code[2].metadata.mystnb.image.alt
    assert [notebooks.alt_text(picture) for picture in notebooks.pictures(code[4])] == [None]
    assert code[5].outputs[0].data["text/plain"] == "layer\n    1\n    2"
    view = code[3].outputs[0].data[notebook_rules.WIDGET]["model_id"]
    models = (
        notebooks.read(one.read_text(encoding="utf-8"))
        .metadata.widgets[notebooks.WIDGET_STATE]
        .state
    )
    assert view in models and len(models) >= 3 and all(int(name, 16) < 100 for name in models)


def test_a_difference_is_said_and_nothing_is_written(tmp_path):
    one = tmp_path / "one.ipynb"
    save(one, "1 + 1", "print('a')\nprint(2)")
    assert make(one).returncode == 0
    assert make("--check", one).stdout.endswith(", as stored\n")
    changed = one.read_text(encoding="utf-8").replace('"2\\n"', '"3\\n"')
    one.write_text(changed, encoding="utf-8")
    result = make("--check", one)
    assert result.returncode == 1
    assert "one.ipynb, code cell 2: not what is stored" in result.stderr
    assert "-stdout: 3" in result.stderr and "+stdout: 2" in result.stderr
    assert "code cell 1" not in result.stderr
    assert one.read_text(encoding="utf-8") == changed


def test_a_failing_notebook_stays_as_it_was(tmp_path):
    """Each says which cell and why; the good one among them is stored."""
    bad = {
        "a.ipynb": ("x = 1", "def f():\n    raise ValueError('too\\nlarge')\nf()"),
        "b.ipynb": ("import warnings\nwarnings.warn('careful')",),
        "c.ipynb": ("1", "import os\nos._exit(1)"),
        "d.ipynb": ("import matplotlib.pyplot as plt",)
        + ("plt.plot([1]); plt.show(); plt.plot([2]); plt.show()",),
    }
    before = {name: save(tmp_path / name, *sources) for name, sources in bad.items()}
    before["e.ipynb"] = save(tmp_path / "e.ipynb", "1 / 0", tags=["raises-exception"])
    before["f.ipynb"] = save(tmp_path / "f.ipynb", "1 / 0", tags=["skip-execution"])
    (tmp_path / "g.ipynb").write_bytes(b"{")
    before["g.ipynb"] = b"{"
    good = save(tmp_path / "good.ipynb", "1 + 1")
    result = make(tmp_path)
    assert result.returncode == 1
    assert {name: (tmp_path / name).read_bytes() for name in before} == before
    assert (tmp_path / "good.ipynb").read_bytes() != good and "good.ipynb" in result.stdout
    words = result.stderr
    assert "a.ipynb, code cell 2: ValueError: too\n    large\n    ----> 3 f()" in words
    assert "b.ipynb, code cell 1: wrote to stderr, not stored" in words and "careful" in words
    assert "c.ipynb, code cell 2: Kernel died" in words
    assert "d.ipynb, code cell 2: 2 figures, one a cell" in words
    assert words.count("ZeroDivisionError") == 2
    assert "g.ipynb, cannot be read as a notebook" in words
    assert words.count("the file is as it was") == len(before)
    assert "Traceback" not in words and sorted(p.name for p in tmp_path.iterdir()) == sorted(
        [*before, "good.ipynb"]
    )


def test_a_wrong_argument_is_one_clear_line(capsys, tmp_path):
    assert notebooks.main([str(tmp_path)]) == 2
    assert capsys.readouterr().err.startswith("no notebook there: ")
