"""The rules for notebooks and ``website/tools/notebooks.py``: each sees what is wrong."""

import subprocess
import sys

import notebook_rules as rules
import pytest
from chapter import ROOT, WIDGET
from example_chapter import ALT, HINT, make_chapter, notebook
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output, new_raw_cell

from initcore.explorers import Scale
from website.tools import notebooks

# The cells of the example.
START, IMPORTS, TEXT, FIGURE, TABLE, PANEL, MOVE, BREAKS, BROKEN = 0, 1, 2, 3, 4, 7, 8, 9, 10
PRACTICE, EXERCISE, SOLUTION, END = 11, 12, 13, 18


def change(number, old, new):
    """Replace a part of the source of a cell."""

    def apply(chapter):
        assert old in chapter.cells[number].source, "the example has changed"
        chapter.cells[number].source = chapter.cells[number].source.replace(old, new)

    return apply


def add(number, source):
    """Add lines to the source of a cell."""
    return lambda chapter: chapter.cells[number].update(
        source=f"{chapter.cells[number].source}\n\n{source}"
    )


def put(number, **attributes):
    """Set attributes of a cell."""
    return lambda chapter: chapter.cells[number].update(attributes)


def tag(*tags, **metadata):
    """Set the metadata of the table's cell."""
    return put(TABLE, metadata={"tags": list(tags), **metadata})


def show(text, number=TABLE, name="stdout"):
    """Let a cell print something else."""
    return put(number, outputs=[new_output("stream", name=name, text=text)])


def picture(alt):
    return new_output("display_data", {"image/png": "x"}, metadata={"image/png": {"alt": alt}})


def insert(number, cell):
    return lambda chapter: chapter.cells.insert(number, cell)


def take_out(number):
    return lambda chapter: chapter.cells.pop(number)


def answer_in_the_hint(chapter):
    """Let a hint hold the number of its solution."""
    change(SOLUTION, "The factor.", "So `my_sd = 0.58`.")(chapter)
    change(EXERCISE, "the spread.", "the spread at 0.58.")(chapter)


def show_an_old_figure(chapter):
    """Store a live figure with other numbers than the package has."""
    state = Scale().get_state() | {"data": "{}"}
    model = {"model_module": "anywidget", "state": state}
    chapter.metadata["widgets"] = {notebooks.WIDGET_STATE: {"state": {"1": model}}}


SVG = new_output("display_data", data={"image/svg+xml": "<svg/>"})
RESULT = new_output("execute_result", data={"text/plain": "1"}, execution_count=9)
ERROR = new_output("error", ename="ValueError", evalue="bad", traceback=[])
LONG = "\n".join(f"x{n} = {n}" for n in range(20))
MARK = "[0.32](#cell-id=cell-4)"

# What is done to the example, and what the rule says of it.
BAD = {
    rules.is_executed_from_top_to_bottom: [
        (put(TABLE, execution_count=None), "code cell 3 has the execution count None"),
        (take_out(IMPORTS), "code cell 1 has the execution count 2"),
        (put(TABLE, outputs=[RESULT]), "the execution count 9"),
    ],
    rules.is_stored_by_make_notebooks: [
        (tag(collapsed=False), "not as `make notebooks`"),
        (tag("hide-input"), "not as `make notebooks`"),  # folded on the page only
        (tag(jupyter={"source_hidden": True}), "not as `make notebooks`"),  # in JupyterLab only
        (put(FIGURE, metadata={"mystnb": {"image": {"alt": "No."}}}), "not as `make notebooks`"),
        (lambda chapter: chapter.metadata.language_info.update(version="3"), "not as `make"),
    ],
    rules.stores_no_error: [
        (put(TABLE, outputs=[ERROR]), "stores an error"),
        (show("1 %", name="stderr"), "code cell 3 stores an error or stderr"),
    ],
    rules.lets_nbval_see_every_cell: [
        (tag("nbval-skip"), "tag nbval-skip"),
        (tag("remove-output"), "tag remove-output"),
        (insert(2, new_raw_cell("raw")), "is raw"),
        (put(TABLE, outputs=[SVG]), "stores image/svg+xml"),
    ],
    rules.is_plain_python: [
        (add(TABLE, "%%capture"), "not plain Python: %%capture"),
        (add(TABLE, "# NBVAL_IGNORE_OUTPUT"), "`NBVAL_IGNORE_OUTPUT` is a marker of nbval"),
        (add(TABLE, "with np.errstate(all='ignore'): f()"), "`errstate` hides warnings"),
        (add(TABLE, "print(1, file=log)"), "`file=` hides"),
        (add(TABLE, "display(1, display_id='a')"), "display_id` replaces output"),
        (add(TABLE, "interact(spread)"), "interact(` swallows errors"),
        (add(TABLE, "open('x')"), "`open(` reads or writes a file"),
        (add(TABLE, "np.load('x.npy')"), "reads or writes a file"),
        (add(TABLE, "np.random.default_rng()"), "`default_rng()` has no seed"),
        (add(TABLE, "HeNormal(seed=None)"), "has no seed"),
    ],
    rules.imports_initcore: [
        (add(IMPORTS, "from urllib.request import x"), "urllib is imported"),
        (put(IMPORTS, source="import numpy"), "initcore is not imported"),
    ],
    rules.begins_with_the_setup_cell: [
        (insert(1, new_code_cell("import initcore", id="setup")), "setup cell is missing or not"),
    ],
    rules.says_what_it_computes: [
        (show(" \n"), "code cell 3 computes and neither"),
        (add(IMPORTS, "net = plots.figure()"), "code cell 1 computes"),
        (change(BROKEN, "other > -9", "True"), "code cell 7 computes"),
    ],
    rules.prints_what_is_stable: [
        (show("a nan b"), "prints nan"),
        (show("loss -0.000"), "a negative zero"),
        (show("0.123456789"), "nine decimals"),
        (show("<X at 0x7f8a2c3d>"), "an address"),
        (show("in /home/me/x.py"), "a path of one machine"),
        (show("10%\r20%"), "a control character"),
    ],
    rules.says_what_a_figure_shows: [
        (put(FIGURE, outputs=[picture(ALT)] * 2), "draws 2 figures"),
        (put(FIGURE, outputs=[picture("a figure")]), "no alternative text: 'a figure'"),
        (add(TEXT, "![](a.png)"), "no alternative text: ''"),
    ],
    rules.stores_live_figures_as_they_are: [(show_an_old_figure, "Scale has another data")],
    rules.gives_the_numbers_of_a_figure: [
        (show("done\n"), "code cell 2: no number of its figure"),
        (change(TABLE, "spread[0]", "0.3"), "code cell 2: no number of its figure"),
        (show("done\n", MOVE), "code cell 5: no number of its figure"),
    ],
    rules.drives_its_panels: [
        (change(PANEL, "dial.show()", ""), "does not show it"),
        (change(MOVE, "dial.set(sd=0.1)", "dial"), "does not move `dial`"),
        (change(PANEL, "widgets.panel", "print"), "there is no panel"),
    ],
    rules.is_short: [
        (add(IMPORTS, LONG), "lines of code, 20 at most"),
        (lambda c: c.cells.extend(new_markdown_cell("x") for _ in range(60)), "70 at most"),
    ],
    rules.is_plain_markdown: [
        (add(TEXT, "See {cite:t}`glorot2010`."), "{cite:t}"),
        (add(TEXT, "```{note}\nText\n```"), "```{note}"),
        (add(TEXT, ":::{tip}\nText\n:::"), ":::{tip}"),
        (add(TEXT, "(label)="), "(label)="),
        (add(TEXT, "$$\nx\n$$ (eq:x)"), "$$ (eq:x)"),
    ],
    rules.marks_measured_numbers: [
        (change(TEXT, "[0.32]", "[0.33]"), "does not print 0.33"),
        (change(TEXT, "[0.32]", "[a third]"), "holds no number"),
        (change(END, "[S1]", "[S2]"), "[S2](#cell-id=cell-5) holds no number, and no claim"),
        (change(TEXT, "id=cell-4", "id=cell-99"), "names no code cell"),
        (change(TEXT, MARK, "0.316"), "no mark"),
    ],
    rules.links_first_uses_to_the_glossary: [
        (change(BREAKS, "[scatters](../pages/glossary.md#term-scatter)", "scatters"), "“scatter”"),
        (add(TEXT, "Nets scatter."), "the first use of “scatter”"),
    ],
    rules.has_the_sections_of_a_chapter: [
        (change(START, "learning?", "learning"), "title that is a question"),
        (insert(0, new_markdown_cell("Hello")), "does not begin with a title"),
        (change(PRACTICE, "## Takeaway", "## Other"), "not once each, in order"),
        (add(TEXT, "## Takeaway\n\nText"), "not once each, in order"),
        (change(PRACTICE, "Small weights shrink the spread.", ""), "`## Takeaway` is empty"),
    ],
    rules.keeps_the_promises_of_its_sections: [
        (change(START, "- what that", "and what"), "1 learning"),
        (change(START, "You need", "Have"), "what you need"),
        (change(START, "millionth?", "millionth."), "asks nothing"),
        (change(START, "## Predict first", "## Then"), "asks nothing"),
        (lambda chapter: chapter.cells.insert(0, chapter.cells.pop(FIGURE)), "a figure before"),
        (take_out(BROKEN), "holds no experiment"),
        (change(PRACTICE, "JAX (Flax)", "Flax"), "does not name JAX"),
        (change(END, "(../pages/references.md#glorot2010)", ""), "not a list of links"),
    ],
    rules.has_exercises_with_solutions: [
        (change(EXERCISE, "### 1", "1"), "2 exercises"),
        (take_out(SOLUTION), "“1. Larger” has no solution"),
        (put(SOLUTION, metadata={}), "“1. Larger” has no solution"),
        (put(SOLUTION, source="The factor."), "in <details>"),
    ],
    rules.gives_one_hint_an_exercise: [
        (change(EXERCISE, "<summary>Hint", "<summary>Idea"), "“1. Larger” has 0 hints"),
        (change(EXERCISE, "Look at the spread.", ""), "“1. Larger” has 0 hints"),
        (add(EXERCISE, HINT), "“1. Larger” has 2 hints"),
        (answer_in_the_hint, "gives the answer {'0.58'}"),
    ],
    rules.asks_what_was_learnt: [
        (change(END, "1. What shrinks", "What shrinks"), "2 questions"),
        (change(END, "By how much?", "By how much."), "2 asks nothing"),
        (change(END, "No. It", "Right. It"), "1 has the feedback ['Right', 'Right']"),
        (change(END, "No. It", "It"), "1 has the feedback ['Right']"),
        (change(END, "chapter on symmetry", "beginning"), "another chapter"),
    ],
}
CASES = [(rule, *case) for rule, cases in BAD.items() for case in cases]


def test_the_example_keeps_every_rule(tmp_path):
    chapter = make_chapter(tmp_path)
    assert not [fault for rule in rules.RULES for fault in rule(chapter)]


@pytest.mark.parametrize(
    ("rule", "spoil", "words"), CASES, ids=[f"{rule.__name__}: {words}" for rule, _, words in CASES]
)
def test_a_rule_sees_what_breaks_it(tmp_path, rule, spoil, words):
    faults = list(rule(make_chapter(tmp_path, spoil)))
    assert any(words in fault for fault in faults), faults


def test_every_rule_is_tried():
    assert set(BAD) == set(rules.RULES)


@pytest.mark.parametrize(
    ("rule", "harmless"),
    [
        (rules.prints_what_is_stable, show("-0.05 1e-05 -0.5e-3 nano 2-0 v0.1.0 inf 1/0")),
        (rules.is_plain_python, add(TABLE, "print(layers\n% 3)\ndef f(seed=None): pass")),
        (rules.is_plain_markdown, add(TEXT, "`\\frac{a}{b}` `{x}` `y` $\\sqrt{n}$ `z` {1, 2}")),
        (rules.is_short, add(IMPORTS, "text = (\n" + "    f'words {layers}'\n" * 30 + ")")),
        (rules.marks_measured_numbers, change(TEXT, "[0.32]", "[$3.2\\cdot 10^{-1}$]")),
        (rules.lets_nbval_see_every_cell, tag("hide-input", jupyter={"source_hidden": True})),
    ],
)
def test_a_rule_lets_pass_what_is_right(tmp_path, rule, harmless):
    assert not list(rule(make_chapter(tmp_path, harmless)))


def test_ruff_refuses_what_the_rules_leave_to_it():
    source = "import numpy as np\n\nnp.random.normal()\nassert (1, np)\ntry:\n    np.x()\n"
    source += "except Exception:\n    pass\n"
    command = [sys.executable, "-m", "ruff", "check", "--stdin-filename", "chapters/a.py", "-"]
    said = subprocess.run(command, cwd=ROOT, input=source, capture_output=True, text=True).stdout
    assert [code for code in ("NPY002", "F631", "BLE001", "S110") if code not in said] == []
    source = "try:\n    int('a')\nexcept ValueError:\n    pass\n"
    said = subprocess.run(command, cwd=ROOT, input=source, capture_output=True, text=True).stdout
    assert "S110" in said


# --- storing ------------------------------------------------------------------------------------


def test_what_front_ends_and_chance_leave_behind_is_not_stored():
    chapter = notebook()
    wanted = notebooks.to_text(notebook())
    chapter.metadata.update(kernelspec={"name": "venv"}, language_info={"version": "3.13.1"})
    for cell in chapter.cells:
        cell.metadata.update(execution={"iopub.status.busy": "2025"}, collapsed=True, scrolled=1)
    chapter.cells[FIGURE].metadata.jupyter = {"source_hidden": True}  # an author's own
    table = chapter.cells[TABLE].outputs[0].text
    cut = [new_output("stream", name="stdout", text=part) for part in (table[:7], table[7:])]
    chapter.cells[TABLE].outputs = cut
    assert notebooks.to_text(notebooks.normalise(chapter)) == wanted
    assert wanted.endswith("}\n") and '\n "cells": [\n  {\n' in wanted


def test_text_around_a_figure_stays_around_it():
    texts = [new_output("stream", name="stdout", text=text) for text in "abc"]
    cell = new_code_cell("x", outputs=[*texts[:2], picture(ALT), texts[2]])
    (stored,) = notebooks.normalise(new_notebook(cells=[cell])).cells
    assert [output.get("text") for output in stored.outputs] == ["ab", None, "c"]


def test_widgets_are_numbered_in_the_order_they_were_made():
    def chapter(first, second):
        box = new_output("display_data", data={WIDGET: {"model_id": second}})
        state = {first: {}, second: {"layout": f"IPY_MODEL_{first}"}}
        widgets = {notebooks.WIDGET_STATE: {"state": state}}
        cells = [new_code_cell("box", outputs=[box], id="box")]
        made = new_notebook(cells=cells, metadata={"widgets": widgets})
        return notebooks.to_text(notebooks.normalise(made))

    stored = chapter("c" * 32, "a" * 32)
    assert stored == chapter("1" + "f" * 31, "b" * 32)
    assert f'"model_id": "{2:032x}"' in stored and f"IPY_MODEL_{1:032x}" in stored


# --- the command --------------------------------------------------------------------------------


def save(path, *sources, **metadata):
    cells = [new_code_cell(source, metadata=metadata) for source in sources]
    path.write_text(notebooks.to_text(new_notebook(cells=cells)), encoding="utf-8")
    return path.read_bytes()


def test_two_runs_leave_the_same_bytes_and_a_check_sees_a_difference(tmp_path, monkeypatch):
    """All kinds of output, run from a shell with settings of its own."""
    monkeypatch.setenv("MPLBACKEND", "Agg")
    monkeypatch.setenv("INITCORE_PROGRESS", "1")
    path = tmp_path / "one.ipynb"
    save(
        path,
        "import ipywidgets, os, sys\nfrom initcore import plots, tables",
        "print(sys.executable, os.environ['INITCORE_PROGRESS'], os.path.exists('one.ipynb'))",
        f"fig, ax = plots.figure()\nax.plot([1, 3])\nplots.show(fig, {ALT!r})",
        "_ = display(ipywidgets.VBox([ipywidgets.IntSlider(), ipywidgets.Label('x')]))",
        "tables.Table({'layer': [1, 2]})",
    )
    good, report = notebooks.run(path)
    assert good and " s, stored\n" in report and '"layer\\n",' in report, report
    stored = path.read_text(encoding="utf-8")
    good, report = notebooks.run(path)
    assert good and report.endswith(" s, unchanged"), report
    assert path.read_text(encoding="utf-8") == stored

    notebook = notebooks.read(stored)
    code = notebook.cells
    assert [cell.execution_count for cell in code] == [1, 2, 3, 4, 5]
    assert code[1].outputs[0].text == f"{sys.executable} 0 True\n"
    (picture,) = notebooks.pictures(code[2])
    assert notebooks.alt_text(picture) == ALT == code[2].metadata.mystnb.image.alt
    models = notebook.metadata.widgets[notebooks.WIDGET_STATE].state
    assert code[3].outputs[0].data[WIDGET]["model_id"] in models
    assert all(int(name, 16) < 100 for name in models)
    assert code[4].outputs[0].data["text/plain"] == "layer\n    1\n    2"

    image = picture.data["image/png"]
    changed = stored.replace(" 0 True", " 1 True").replace(image, image.replace("A", "B"))
    path.write_text(changed, encoding="utf-8")
    good, report = notebooks.run(path, check=True)
    assert not good and path.read_text(encoding="utf-8") == changed
    told = [line[4:] for line in report.splitlines()[2:]]
    assert [line[:2] for line in told] == ["@@", "- ", "+ ", "@@", "- ", "+ "]
    number = 1 + changed.splitlines().index(told[1][1:])
    assert told[0].startswith(f"@@ -{number} ") and told[1].strip("- ").startswith('"/')
    assert f"{sys.executable} 0 True" in told[2] and all(len(line) <= 100 for line in told)
    assert '"image/png": "iVB' in told[4]


def test_a_failing_notebook_stays_as_it_was(tmp_path, capfd):
    """Each says which cell and why; the good one among them is stored."""
    plot = "import matplotlib.pyplot as plt\nplt.plot([1]); plt.show(); plt.plot([2]); plt.show()"
    bad = {
        "a.ipynb": ("x = 1", "raise ValueError('too large')"),
        "b.ipynb": ("import warnings\nwarnings.warn('careful')",),
        "c.ipynb": ("1", "import os\nos._exit(1)"),
        "d.ipynb": (plot,),
    }
    paths = [tmp_path / name for name in (*bad, "no.ipynb", "good.ipynb")]
    tags = {"tags": ["raises-exception"]}
    before = {name: save(tmp_path / name, *sources, **tags) for name, sources in bad.items()}
    good = save(paths[-1], "1 + 1")
    assert notebooks.main([str(path) for path in paths]) == 1
    assert {name: (tmp_path / name).read_bytes() for name in before} == before
    assert paths[-1].read_bytes() != good
    said, errors = capfd.readouterr()
    assert said.startswith(f"{paths[-1]}: ") and " s, stored\n    @@ " in said
    assert "\n    +" in said and ' "2"\n' in said
    for words in (
        "): ValueError: too large",
        "code cell 1: wrote to stderr: ",
        "): Kernel died",
        "code cell 1: 2 figures, at most one",
        "No such file",
    ):
        assert words in errors
    assert errors.count("file unchanged") == 5 and "Traceback" not in errors
    assert sorted(tmp_path.iterdir()) == sorted({*paths} - {tmp_path / "no.ipynb"})


@pytest.mark.parametrize("text", ["{", '{"cells": [{}], "metadata": {}, "nbformat": 4}'])
def test_what_is_not_a_notebook_is_refused(text):
    with pytest.raises(notebooks.NotebookError, match="cannot be read as a notebook"):
        notebooks.read(text)
