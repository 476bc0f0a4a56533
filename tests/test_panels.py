"""Every panel of a chapter, moved to all of its positions: it answers, and never raises."""

import ast
from pathlib import Path

import nbformat
import numpy as np
import pytest
from needed_cells import run_needed

from initcore import widgets

ROOT = Path(__file__).parent.parent
CHAPTERS = sorted((ROOT / "chapters").glob("*.ipynb"))
MOST = 100  # positions


def panels():
    """Yield (code cells, number of the cell, name of the panel)."""
    for path in CHAPTERS:
        cells = nbformat.read(path, 4).cells
        code = [cell.source for cell in cells if cell.cell_type == "code" and cell.id != "setup"]
        for number, source in enumerate(code):
            for node in ast.parse(source).body:
                call = node.value if isinstance(node, ast.Assign) else None
                if isinstance(call, ast.Call) and getattr(call.func, "attr", "") == "panel":
                    name = node.targets[0].id
                    yield pytest.param(code, number, name, id=f"{path.stem}-{name}")


def test_each_chapter_has_a_panel():
    assert {case.id.rpartition("-")[0] for case in panels()} == {path.stem for path in CHAPTERS}


@pytest.mark.parametrize(("code", "number", "name"), list(panels()))
def test_a_panel_answers_in_every_position(code, number, name, monkeypatch):
    namespace = run_needed(code, number)
    exec(code[number], namespace)
    panel = namespace[name]
    # the figures are made, and need not be painted: that takes most of the time
    monkeypatch.setattr(widgets.plots, "to_png", lambda fig: b"")
    positions = list(panel.positions())
    assert 1 < len(positions) <= MOST
    answers = set()
    with np.errstate(all="raise", under="ignore"):
        for position in positions:
            answers.add(panel.set(**position))
            assert not np.isin(["nan", "inf"], panel.text.lower().split()).any(), position
    assert len(answers) > len(positions) / 2, "most positions look alike"
    for seed in set(panel.values) - set(positions[0]):
        before = panel.text
        assert panel.set(**{seed: panel.values[seed] + 1}) != before, "a new draw changes nothing"
