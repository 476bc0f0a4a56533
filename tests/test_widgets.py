"""The panel of controls, without a browser: `tests/site` moves one in JupyterLab by hand."""

import asyncio
import time

import ipywidgets
import numpy as np
import pytest

from initcore import plots, widgets
from initcore.activations import relu, tanh
from initcore.tables import Table


def spread(sd=0.1, phi="tanh", seed=3):
    """Answer with a figure and a table, as a chapter's function does."""
    values = sd * np.random.default_rng(seed).standard_normal((2, 20))
    fig = plots.chart([1, 2], {phi: values}, title="t", xlabel="layer", ylabel="std")
    return fig, Table({"layer": [1, 2], phi: values})


@pytest.fixture
def dial():
    return widgets.panel(spread, sd=[0.01, 0.1, 1], phi=["tanh", "relu"], seed=3)


def box(panel, kind, number=0):
    """Return one of a panel's controls, as a front end has it."""
    return [child for child in panel.children if isinstance(child, kind)][number]


def said(panel):
    """Return what the panel shows and what it says meanwhile."""
    status, shown = panel.children[-2:]
    return status.value, shown.value


def test_it_starts_where_the_function_does(dial):
    assert dial.values == {"sd": 0.1, "phi": "tanh", "seed": 3}
    assert dial.text == str(spread()[1])
    slider = box(dial, ipywidgets.SelectionSlider)
    assert (slider.description, slider.value, slider.options) == ("sd", "0.1", ("0.01", "0.1", "1"))
    assert box(dial, ipywidgets.Dropdown).value == "tanh"
    assert "<img" in said(dial)[1] and "<pre>layer  tanh" in said(dial)[1]
    assert widgets.panel(lambda n: f"{n}", n=[5, 6]).values == {"n": 5}


def test_a_control_that_is_moved_runs_the_function_again(dial):
    box(dial, ipywidgets.SelectionSlider).value = "1"
    assert dial.text == str(spread(sd=1)[1])
    box(dial, ipywidgets.Dropdown).value = "relu"
    assert dial.text == str(spread(sd=1, phi="relu")[1])
    box(dial, ipywidgets.Button).click()
    assert dial.text == str(spread(sd=1, phi="relu", seed=4)[1])
    assert repr(dial) == "panel(spread): sd = 1, phi = relu, seed = 4"


def test_a_box_to_type_in_proposes_and_takes_any_text():
    dial = widgets.panel(lambda phi="tanh": f"this is {phi}", phi=("relu", "gelu"))
    field = box(dial, ipywidgets.Combobox)
    assert (field.value, field.options, dial.text) == ("tanh", ("relu", "gelu"), "this is tanh")
    field.value = "z**2"
    assert dial.text == "this is z**2" and dial.values == {"phi": "z**2"}
    assert dial.set(phi="z**3") == "this is z**3" and field.value == "z**3"
    assert repr(dial).endswith("phi = z**3")
    with pytest.raises(ValueError, match="one of relu, gelu"):
        dial.set(phi=3)


def test_set_moves_the_controls_and_returns_the_text(dial):
    assert dial.set(sd=0.01, phi="relu", seed=9) == str(spread(0.01, "relu", 9)[1])
    assert box(dial, ipywidgets.SelectionSlider).value == "0.01"
    assert box(dial, ipywidgets.Dropdown).value == "relu"


def test_a_choice_of_objects_goes_by_their_labels():
    panel = widgets.panel(lambda phi: phi.name, phi={"tanh": tanh, "ReLU": relu})
    assert panel.text == "tanh"
    assert panel.set(phi=relu) == panel.set(phi="ReLU") == "relu"
    assert repr(panel).endswith("phi = ReLU")


def test_numbers_are_one_value_if_they_are_equal():
    panel = widgets.panel(lambda n=5.0: f"{n:.1f}", n=[4, 5])
    assert panel.values == {"n": 5}
    assert panel.set(n=4.0) == "4.0"


def test_each_move_calls_the_function_once():
    calls = []
    panel = widgets.panel(lambda n=1, m=1: calls.append((n, m)) or "", n=[1, 2], m=[1, 2])
    panel.set(n=2, m=2)
    box(panel, ipywidgets.SelectionSlider).value = "1"
    assert calls == [(1, 1), (2, 2), (1, 2)]


def test_an_error_is_shown_and_the_next_answer_takes_its_place():
    def inverse(n=1):
        return f"1/n = {1 / n:g}"

    panel = widgets.panel(inverse, n=[0, 1, 2])
    slider = box(panel, ipywidgets.SelectionSlider)
    slider.value = "0"
    assert "ZeroDivisionError" in panel.text and 'role="alert"' in said(panel)[1]
    slider.value = "2"
    assert panel.text == "1/n = 0.5" and "alert" not in said(panel)[1]
    with pytest.raises(ZeroDivisionError):
        panel.set(n=0)


def test_a_slow_function_waits_until_the_controls_rest_and_says_that_it_computes():
    calls = []

    def slow(n=0):
        calls.append(n)
        time.sleep(1.5 * widgets.QUICK)
        return f"n = {n}"

    panel = widgets.panel(slow, n=[0, 1, 2, 3])

    async def move():
        for value in ("1", "2", "3"):
            box(panel, ipywidgets.SelectionSlider).value = value
            await asyncio.sleep(widgets.QUICK / 10)
        meanwhile = panel.text, *said(panel)
        await asyncio.sleep(4 * widgets.QUICK)
        return meanwhile

    text, status, _ = asyncio.run(move())
    assert text == "n = 0" and "Computing" in status and 'role="status"' in status
    assert calls == [0, 3] and panel.text == "n = 3" and said(panel)[0] == ""


def test_a_quick_function_answers_at_once_in_a_kernel_too():
    panel = widgets.panel(lambda n=0: f"n = {n}", n=[0, 1])

    async def move():
        box(panel, ipywidgets.SelectionSlider).value = "1"
        return panel.text

    assert asyncio.run(move()) == "n = 1"


def test_a_notebook_stores_its_still_picture_with_its_text(dial):
    data, metadata = dial._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in data
    assert data["text/plain"] == f"{dial!r}\n{dial.text}"
    assert data["image/png"].startswith("iVBOR")
    alt = metadata["image/png"]["alt"]
    assert alt.startswith("panel(spread): sd = 0.1, phi = tanh, seed = 3. It shows: layer tanh 1")
    assert "\n" not in alt
    data, metadata = widgets.panel(lambda n: f"{n}", n=[1])._repr_mimebundle_()
    assert "image/png" not in data and metadata == {}


def test_what_it_shows_is_text_and_no_markup():
    panel = widgets.panel(lambda n: "<b>1 < 2</b>", n=[1])
    assert said(panel)[1] == "<pre>&lt;b&gt;1 &lt; 2&lt;/b&gt;</pre>"


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: widgets.panel("x", n=[1]), TypeError, "`function` must be a function"),
        (lambda: widgets.panel(spread, sd=[]), ValueError, "`sd` must be at least one value"),
        (lambda: widgets.Panel(spread, object), TypeError, "at least one parameter"),
        (lambda: widgets.panel(spread), ValueError, r"at least one parameter.*Received.*\{\}"),
        (lambda: widgets.panel(spread, sd=[3]), ValueError, "`sd` must be one of 3.*sd=0.1"),
        (lambda: widgets.panel(lambda n: n, n=[1]), TypeError, "`function` must be one that"),
        (lambda: widgets.panel(spread, sd=[0.1]).set(sd=5), ValueError, "`sd` must be one of 0.1"),
        (lambda: widgets.panel(spread, sd=[0.1]).set(sdd=1), ValueError, "Did you mean 'sd'"),
    ],
)
def test_bad_input_is_named(make, error, message):
    with pytest.raises(error, match=message):
        make()
