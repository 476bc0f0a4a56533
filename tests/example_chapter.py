"""A small chapter that keeps every rule, and a course around it, for the tests of the tools."""

from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from notebook_rules import WIDGET, Chapter, notebooks

# One grey pixel: the smallest PNG there is, more or less.
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNoAAAAggCBd81ytgAAAABJRU5ErkJggg=="
ALT = "A line that rises from one at the first layer to three at the third."
NAME = "chapters/03_small.ipynb"

IMPORTS = (
    "import numpy as np\n\nfrom initcore import plots, widgets\nfrom initcore.tables import decide"
)
INTRODUCTION = """\
# Why do small weights keep a net from learning?

## In one screen

Small weights shrink the spread, layer by layer.

## What you will learn

- why the spread of the activations shrinks,
- what that does to the gradients.

You need: what a matrix product is. It takes 10 minutes to read and 5 s to run.

## Predict first

After ten layers, is the spread half of what it was, or a millionth?
"""
SHRINKING = """\
## The spread shrinks

Each layer multiplies the spread by $\\sigma\\sqrt{n}$, here to [0.32](#cell-id=cell-4), see
[Glorot and Bengio (2010)](../pages/references.md#glorot2010).
"""
TURN = """\
## Turn it yourself

Move the slider.
"""
BREAKS = """\
## When it breaks

A single net [scatters](../pages/glossary.md#term-scatter) around the mean.
"""
END = """\
## Takeaway

Small weights shrink the spread. Gradients shrink too. Scale them.

## What practitioners do today

| library | default |
| --- | --- |
| Keras | Glorot uniform |
| PyTorch | uniform |
| JAX (Flax) | LeCun normal |

## Exercises

### 1. Twice as wide

What changes?

<details><summary>Solution</summary>

The factor, by $\\sqrt 2$.

</details>

### 2. Twice as deep

What changes?

<details>
<summary>Solution</summary>
The exponent.
</details>

### 3. Twice as large

What changes?

<details><summary>Solution</summary>

Each factor doubles.

</details>

## Check yourself

1. What shrinks?

   <details><summary>The spread</summary>

   Right. The mean stays.

   </details>
   <details><summary>The mean</summary>

   No. It was zero before.

   </details>

2. By how much a layer?

   <details><summary>By half</summary>

   No. It depends on $n$.

   </details>
   <details><summary>By the square root</summary>

   Right. Of $n$, times the scale.

   </details>

3. (From the chapter on symmetry.) What does `np.sqrt` do here, as in `f{x}`?

   <details><summary>It takes a root</summary>

   Right. Of each element.

   </details>
   <details><summary>Nothing</summary>

   No. It takes a root.

   </details>

## Claims decided here

- [S1](#claim-S1), imprecise: the spread shrinks by $\\sigma\\sqrt{n}$ a layer.

## References

- [Glorot and Bengio (2010)](../pages/references.md#glorot2010), on the scale of weights.
"""
STATEMENT = "With small weights the activations shrink, by $\\sigma\\sqrt n$ a layer."
DECIDE = f'''\
decide(
    "S1",
    "imprecise",
    r"{STATEMENT}",
    {{"it shrinks": (spread[0], "<", 1)}},
)'''
VERDICT = f'Claim S1: "{STATEMENT}"\nVerdict: imprecise\n  it shrinks: 0.32 < 1\n'
PANEL = """\
def measure(sd=1.0):
    return f"a layer multiplies the spread by {sd * layers**0.5:.3g}"


dial = widgets.panel(measure, sd=[0.1, 1.0])
dial.show()"""
LEDGER = f"""\
- id: S1
  statement: {STATEMENT}
  verdict: imprecise
  truth: It is the **spread** that shrinks.
  source: [glorot2010]
  chapter: {NAME}
"""
BIBLIOGRAPHY = """\
@inproceedings{glorot2010,
  author    = {Glorot, Xavier and Bengio, Yoshua},
  title     = {Understanding the difficulty of training deep feedforward neural networks},
  booktitle = {AISTATS},
  year      = {2010}
}
"""
CONTENTS = """\
format: jb-book
root: intro
chapters:
  - file: chapters/03_small
  - file: pages/claims
  - file: pages/glossary
  - file: pages/references
"""


def notebook():
    """Return the chapter, as if it had just been executed and stored."""
    printed = [new_output("stream", name="stdout", text="layer     std\n    1   0.316\n")]
    figure = new_output(
        "display_data",
        data={"image/png": PNG, "text/plain": f"Figure: {ALT}"},
        metadata={"image/png": {"alt": ALT, "width": 720}},
    )
    said = {"text/plain": "panel(measure): sd = 1", WIDGET: {"model_id": "1"}}
    shown = new_output("display_data", data=said)
    cells = [
        new_markdown_cell(INTRODUCTION),
        new_code_cell(f"{IMPORTS}\n\nlayers = 10"),
        new_markdown_cell(SHRINKING),
        new_code_cell(
            "fig, ax = plots.figure()\nspread = np.random.default_rng(0).normal(size=layers)\n"
            f'ax.plot(spread)\nplots.show(fig, "{ALT}")',
            outputs=[figure],
        ),
        new_code_cell('print(f"layer     std\\n    1   {spread[0]:.3f}")', outputs=printed),
        new_code_cell(
            DECIDE,
            outputs=[new_output("stream", name="stdout", text=VERDICT)],
        ),
        new_markdown_cell(TURN),
        new_code_cell(PANEL, outputs=[shown]),
        new_code_cell("print(dial.set(sd=0.1))", outputs=printed),
        new_markdown_cell(BREAKS),
        new_code_cell("other = np.random.default_rng(1).normal()\nassert other > -9"),
        new_markdown_cell(END),
    ]
    code = 0
    for number, cell in enumerate(cells):
        cell.id = f"cell-{number}"
        if cell.cell_type == "code":
            code += 1
            cell.execution_count = code
    return notebooks.normalise(new_notebook(cells=cells))


def make_course(folder: Path, chapter=None) -> Path:
    """Write a course of one chapter into a folder and return the path of its notebook."""
    (folder / "chapters").mkdir(exist_ok=True)
    (folder / "pages").mkdir(exist_ok=True)
    files = {
        NAME: notebooks.to_text(chapter or notebook()),
        "claims.yml": LEDGER,
        "references.bib": BIBLIOGRAPHY,
        "_toc.yml": CONTENTS,
        "intro.md": "# The course\n\n[The claim](pages/claims.md#claim-S1).\n",
        "pages/claims.md": f"# The claims\n\n```{{claims}}\n```\n\n[S1](../{NAME}#claim-S1)\n",
        "pages/glossary.md": "# Glossary\n\n```{glossary}\nscatter\n  From net to net.\n```\n",
        "pages/references.md": "# References\n\n```{bibliography}\n:all:\n:list: bullet\n```\n",
    }
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    return folder / NAME


def make_chapter(folder: Path, change=None) -> Chapter:
    """Return the chapter of a course in a folder, changed by a function of its notebook."""
    chapter = notebook()
    if change is not None:
        change(chapter)
    path = make_course(folder, chapter)
    return Chapter(path, nbformat.read(path, as_version=4), root=folder)
