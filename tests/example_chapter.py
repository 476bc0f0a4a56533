"""A small chapter that keeps every rule, and a course around it, for the tests of the tools."""

import json
from pathlib import Path

from chapter import WIDGET, Chapter
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from website.tools import notebooks

# One grey pixel: the smallest PNG there is, more or less.
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNoAAAAggCBd81ytgAAAABJRU5ErkJggg=="
ALT = "A line that rises from one at the first layer to three at the third."
NAME = "chapters/03_small.ipynb"
STATEMENT = "With small weights the activations shrink, by $\\sigma\\sqrt n$ a layer."
DECIDE = f'''\
decide(
    "S1",
    "imprecise",
    r"{STATEMENT}",
    {{"it shrinks": (spread[0], "<", 1)}},
)'''
IMPORTS = (
    "import numpy as np\nfrom initcore import plots, widgets\nfrom initcore.tables import decide"
)
FIGURE = (
    "fig, ax = plots.figure()\nspread = np.random.default_rng(0).normal(size=layers)\n"
    f'ax.plot(spread)\nplots.show(fig, "{ALT}")'
)
PANEL = "dial = widgets.panel(lambda sd=1.0: sd * layers, sd=[0.1, 1.0])\ndial.show()"
INTRODUCTION = """\
# Why do small weights keep a net from learning?
## In one screen
Small weights shrink the spread, layer by layer.
## What you will learn
- why the spread of the activations shrinks,
- what that does to the gradients.

You need: what a matrix product is.
## Predict first
After ten layers, is the spread half of what it was, or a millionth?
"""
SHRINKING = """\
## The spread shrinks
Each layer multiplies the spread by $\\sigma\\sqrt{n}$, here to [0.32](#cell-id=cell-4), see
[Glorot and Bengio (2010)](../pages/references.md#glorot2010).
"""
BREAKS = """\
## When it breaks
A single net [scatters](../pages/glossary.md#term-scatter) around the mean.
"""
PRACTICE = """\
## Takeaway
Small weights shrink the spread.
## What practitioners do today
Keras: Glorot uniform. PyTorch: uniform. JAX (Flax): LeCun normal.
## Exercises
"""
SOLUTION = "<details><summary>Solution</summary>\n\nThe factor.\n\n</details>"
HINT = "<details><summary>Hint</summary>\n\nLook at the spread.\n\n</details>"
OPTIONS = """?
   <details><summary>The spread</summary>Right. The mean stays.</details>
   <details><summary>The mean</summary>No. It was zero before.</details>
"""
END = f"""\
## Check yourself
1. What shrinks{OPTIONS}
2. By how much{OPTIONS}
3. (From the chapter on symmetry.) Why{OPTIONS}

## Claims decided here
- [S1](#cell-id=cell-5), imprecise: the spread shrinks by $\\sigma\\sqrt{{n}}$ a layer.
## References
- [Glorot and Bengio (2010)](../pages/references.md#glorot2010), on the scale of weights.
"""
LEDGER = f"""\
- id: S1
  statement: {STATEMENT}
  verdict: imprecise
  truth: It is the **spread** that shrinks.
  source: [glorot2010]
  chapter: {NAME}
"""
CONTENTS = "format: jb-book\nroot: intro\nchapters:\n  - file: "
SOURCE = "@misc{glorot2010, author={Glorot, X and Bengio, Y}, title={Difficulty}, year={2010}}\n"
TERM = '- <a id="term-scatter"></a>**scatter**\n  From net to net.'
ROW = {
    **{
        "name": "a draw",
        "medians": {"initcore": 1.0, "JAX": 3.14159, "bare step": 0.5},
        "target": "≥ 3× JAX",
    },
    **{"met": True, "date": "2026-01-31", "processor": "a chip", "cores": 2},
    **{"versions": {"NumPy": "2.0"}},
}
DRAWN = {"version": "3.1", "date": "2026-01-31", "rows": []}
DRAWN["rows"] += [
    {"layer": "Dense(5)", "part": "kernel", "drawn": ["uniform", 0.889], "says": "so"}
]
DRAWN["rows"] += [{"layer": "Dense(5)", "part": "bias", "drawn": ["zeros", 0.0], "says": "nothing"}]
PAPER = {
    **{"key": "glorot2010:6", "statement": "It shrinks.", "ours": "Ten layers.", "seeds": 8},
    **{"verdict": "partly", "measured": "To 0.3.", "seconds": 1.5, "date": "2026-01-31"},
    **{"processor": "a chip", "versions": {"NumPy": "2.0"}},
}
FILES = {
    "claims.yml": LEDGER,
    "references.bib": SOURCE,
    "_toc.yml": CONTENTS + "\n  - file: ".join(["chapters/03_small", "pages/claims"]) + "\n",
    "intro.md": "# The course\n\n[The claim](pages/claims.md#claim-S1).\n",
    "pages/claims.md": f'# The claims\n\n- <a id="claim-S1"></a>[S1](../{NAME}#cell-id=cell-5)\n',
    "pages/glossary.md": f"# Glossary\n\n{TERM}\n",
    "pages/ten_minutes.md": f"# Ten minutes\n\n<!-- In one screen: {NAME} -->\n\n<!-- end -->\n",
    "pages/speed.md": "# Speed\n\n<!-- benchmarks/results.json -->\n\n<!-- end -->\n",
    "benchmarks/results.json": json.dumps({"rows": [ROW]}),
    "pages/framework_defaults.md": "# D\n\n<!-- benchmarks/audit.json: Keras -->\n\n<!-- end -->\n",
    "benchmarks/audit.json": json.dumps({"Keras": DRAWN}),
    "pages/replications.md": "# Papers\n",
    "benchmarks/replications.json": json.dumps([PAPER, PAPER | {"verdict": "not"}]),
    "pages/references.md": '# References\n\n- <a id="glorot2010"></a>Glorot and Bengio. 2010.\n',
}


def notebook():
    """Return the chapter, as if it had just been executed and stored."""
    table = [new_output("stream", name="stdout", text="layer     std\n    1   0.316\n")]
    verdict = f'Claim S1: "{STATEMENT}"\nVerdict: imprecise\n  it shrinks: 0.32 < 1\n'
    picture = {"image/png": PNG, "text/plain": f"Figure: {ALT}"}
    panel = {"text/plain": "panel: sd = 1", WIDGET: {"model_id": "1"}}
    alt = {"metadata": {"image/png": {"alt": ALT}}}
    cells = [
        new_markdown_cell(INTRODUCTION),
        new_code_cell(f"{IMPORTS}\n\nlayers = 10"),
        new_markdown_cell(SHRINKING),
        new_code_cell(FIGURE, outputs=[new_output("display_data", data=picture, **alt)]),
        new_code_cell('print(f"layer     std\\n    1   {spread[0]:.3f}")', outputs=table),
        new_code_cell(DECIDE, outputs=[new_output("stream", name="stdout", text=verdict)]),
        new_markdown_cell("## Turn it yourself\nMove the slider."),
        new_code_cell(PANEL, outputs=[new_output("display_data", data=panel)]),
        new_code_cell("print(dial.set(sd=0.1))", outputs=table),
        new_markdown_cell(BREAKS),
        new_code_cell("other = np.random.default_rng(1).normal()\nassert other > -9"),
        new_markdown_cell(PRACTICE),
    ]
    for number in (1, 2, 3):
        cells.append(new_markdown_cell(f"### {number}. Larger\nWhat changes?\n\n{HINT}"))
        cells.append(new_markdown_cell(SOLUTION, metadata={"tags": ["solution"]}))
    cells.append(new_markdown_cell(END))
    count = 0
    for number, cell in enumerate(cells):
        cell.id = f"cell-{number}"
        if cell.cell_type == "code":
            cell.execution_count = count = count + 1
    return notebooks.normalise(new_notebook(cells=cells))


def make_course(folder: Path, chapter=None) -> Path:
    """Write a course of one chapter into a folder and return the path of its notebook."""
    for name, text in (FILES | {NAME: notebooks.to_text(chapter or notebook())}).items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    return folder / NAME


def make_chapter(folder: Path, change=None) -> Chapter:
    """Return the chapter of a course in a folder, changed by a function of its notebook."""
    chapter = notebook()
    if change is not None:
        change(chapter)
    return Chapter(make_course(folder, chapter), root=folder)
