"""The live figures: what Python measured is what they hold, and every state can be shown."""

import base64
import io
import json
import math
import re
import sys
from itertools import product
from types import SimpleNamespace

import anywidget
import ipywidgets
import matplotlib.image
import numpy as np
import pytest
import traitlets
from chapter import ROOT
from IPython.core.formatters import DisplayFormatter

from initcore import plots
from initcore.explorers import EXPLORERS, Explorer, _base
from initcore.widgets import panel

MOST_BYTES = 150_000
WIDGET = "application/vnd.jupyter.widget-view+json"
#: What is measured again: short runs, of each kind of start. Training that is long is chaotic.
AGAIN = {
    "opening": [("normal_1", "relu"), ("glorot_uniform", "sigmoid"), ("zeros", "tanh")],
    "pretraining": [("autoencoder stack",), ("RBM stack",), ("tanh, Glorot",)],
    "zeros": [("relu", "zero", "zero", "random"), ("sigmoid", "constant", "random", "zero")],
    "scale": [("tanh", 0.01), ("sigmoid", 0.14)],
    "assumptions": [tuple(i == one for i in range(7)) for one in range(8)] + [(True,) * 7],
    "compromise": [("taper", 16, 32), ("zigzag", 64, 256)],
    "depth": [(2, 2.0), (8, 8.0)],
    "gains": [("relu", "lecun"), ("gelu", "both")],
    "clinic": [("A", "relu", 3), ("B", "tanh", 6), ("C", "tanh", 6)],
    "plane": [("tanh", 2.5, 0.05), ("sigmoid", 1.0, 0.0), ("relu", 2.0, 0.05)],
    "residual": [("1", False, 4), ("1/sqrt(L)", True, 8), ("1/L", False, 16)],
    "tokens": [("pre", "1", 4), ("post", "1/sqrt(2L)", 4), ("post", "1", 8)],
    "lazy": [(1, 16, True)],
}

kinds = pytest.mark.parametrize("kind", EXPLORERS.values(), ids=EXPLORERS)


def states(kind, most):
    """Return up to `most` states of a figure, spread over all, the extreme ones among them."""
    known = kind.described_controls()
    everything = list(product(*(about["values"] for about in known.values())))
    chosen = np.unique(np.linspace(0, len(everything) - 1, most).round().astype(int))
    return [dict(zip(known, everything[i])) for i in chosen]


def leaves(value):
    """Yield the numbers and texts in nested data."""
    if isinstance(value, (dict, list)):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from leaves(inner)
    else:
        yield value


def assert_as_stored(new, stored):
    """Compare data but for one unit of a number's third digit."""
    new = json.loads(json.dumps(new))
    assert new.keys() == stored.keys()
    for one, old in zip(leaves(new), leaves(stored), strict=True):
        if isinstance(one, str) or one is None or old is None:
            assert one == old
        else:
            assert math.isclose(one, old, rel_tol=0.011, abs_tol=1e-12)


@kinds
def test_the_data_are_small_and_complete(kind):
    assert kind.NAME and kind.TITLE and kind.__doc__
    assert len(kind.stored().encode()) <= MOST_BYTES
    data = kind.load()
    assert set(data) == {"shared", "cases"}
    assert set(data["cases"]) == {_base.key(*case) for case in kind.cases()}
    assert all(value is None or value == value for value in leaves(data))


@kinds
def test_a_sample_measured_again_gives_the_stored_numbers(kind):
    data = kind.load()
    assert_as_stored(kind.shared(), data["shared"])
    for case in AGAIN[kind.NAME]:
        assert_as_stored(kind.measure(*case), data["cases"][_base.key(*case)])


@kinds
def test_every_state_can_be_read_and_told(kind):
    for state in states(kind, 25):
        figure = kind(**state)
        assert figure.state == state
        table = figure.reading()
        described = {head.format(**state) for head in kind.COLUMNS}
        missing = described - set(table.columns)
        assert not missing or (kind.NAME, state["activation"]) == ("scale", "relu"), missing
        for high in (head for head in table.columns if head.endswith("95%")):
            assert (table[high] >= table[high.replace("95%", "5%")]).all(), high
        assert len(table) and not re.search(r"\b(nan|inf)\b", str(table), re.IGNORECASE), state
        assert len(figure.alt()) >= 40 and "nan" not in figure.alt()


@kinds
def test_the_still_picture_shows_the_present_state(kind):
    figure = kind(**states(kind, 3)[1])
    data, about = figure._repr_mimebundle_()
    assert data[WIDGET]["model_id"] == figure.model_id
    assert data["text/plain"] == repr(figure) and "0x" not in repr(figure)
    assert base64.b64decode(data["image/png"]).startswith(b"\x89PNG")
    assert about["image/png"]["alt"] == " ".join(figure.alt().split())


def test_a_still_picture_is_the_one_stored_in_the_notebooks():
    """A few pixels may differ where letters are drawn in another way; no line may move."""
    names = {kind.__name__: kind for kind in EXPLORERS.values()}
    compared = set()
    for path in ROOT.glob("chapters/*.ipynb"):
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
            for output in cell.get("outputs", []):
                made = re.match(
                    r"(\w+)\(.*\)$", "".join(output.get("data", {}).get("text/plain", ""))
                )
                if made and made[1] in names and WIDGET in output["data"]:
                    figure = eval(made[0], dict(names))
                    stored = base64.b64decode(output["data"]["image/png"])
                    old, new = (
                        matplotlib.image.imread(io.BytesIO(png))
                        for png in (stored, figure.to_png())
                    )
                    assert old.shape == new.shape
                    assert np.abs(old - new).mean() < 0.0005, figure
                    compared.add(made[1])
    assert compared == names.keys() - {"Opening"}


@kinds
def test_controls_have_labels_and_reach_the_page(kind):
    assert {"controls", "data", "columns", *kind.described_controls()} <= set(kind().keys)
    for about in kind.described_controls().values():
        assert isinstance(about["label"], str) and about["label"]


@kinds
def test_the_table_has_a_row_for_each_measured_value(kind):
    """None is cut off because another column is shorter."""
    for state in states(kind, 8):
        figure = kind(**state)
        found = {str(where): figure._finder()(where) for where in figure.COLUMNS.values()}
        measured = [
            values for where, values in found.items() if "/" in where and values is not None
        ]
        assert len(next(iter(figure.numbers().values()))) == min(map(len, measured))


def test_on_colab_it_names_its_widget_manager_as_any_anywidget_does(monkeypatch):
    """Without, Colab shows the still picture only."""
    url = "https://manager/"
    manager = SimpleNamespace(_installed_url=url)
    colab = SimpleNamespace(_widgets=manager, enable_custom_widget_manager=lambda: None)
    monkeypatch.setitem(sys.modules, "google.colab.output", colab)
    _, plain = anywidget.AnyWidget()._repr_mimebundle_()
    _, about = EXPLORERS["depth"]()._repr_mimebundle_()
    assert about[WIDGET] == plain[WIDGET] == {"colab": {"custom_widget_manager": {"url": url}}}
    assert about["image/png"]["alt"]


def test_ipywidgets_7_shows_the_still_picture_too(monkeypatch):
    """It displays a widget by a method of its own, which IPython asks first."""
    shown = []
    own = lambda self, **_: shown.append(self)  # noqa: E731
    monkeypatch.setattr(ipywidgets.DOMWidget, "_ipython_display_", own, raising=False)
    for made in (EXPLORERS["depth"](), panel(lambda n: (plots.figure()[0], ""), n=[1])):
        data, about = DisplayFormatter().format(made)
        assert {WIDGET, "image/png", "text/plain"} <= set(data) and about["image/png"]["alt"]
        assert data[WIDGET]["model_id"] == made.model_id
    assert not shown


@kinds
def test_it_needs_no_network_and_no_eval(kind):
    foreign = r"https?://(?!www\.w3\.org/2000/svg)|\beval\(|new Function|innerHTML"
    assert not re.search(foreign, kind._esm) and "export default explorer(" in kind._esm
    assert not re.search(r"url\(|@import", kind._css)


def test_a_wrong_state_is_a_clear_error():
    kind = EXPLORERS["scale"]
    with pytest.raises(ValueError, match="Argument `sd` must be one of .*0.01.* Received: sd=7"):
        kind(sd=7)
    with pytest.raises(TypeError, match="has no control .colour.: activation, sd, depth"):
        kind(colour="red")
    figure = kind()
    with pytest.raises(traitlets.TraitError):
        figure.sd = 7
    assert figure.sd == 0.14


def test_each_chapter_shows_one():
    shown = {}
    for path in sorted(ROOT.glob("chapters/*.ipynb")):
        text = path.read_text(encoding="utf-8")
        shown[path.stem] = re.findall(r"explorers\.(\w+)\(", text)
    assert all(shown.values()), shown
    names = {kind.__name__ for kind in EXPLORERS.values()}
    opening = (ROOT / "intro.md").read_text(encoding="utf-8")
    placed = {
        EXPLORERS[name].__name__ for name in re.findall(r"^```\{explorer\} (\w+)", opening, re.M)
    }
    assert placed and set().union(*shown.values()) | placed == names


def test_a_figure_of_ones_own():
    """The parts that a figure is made of, on the smallest example."""

    class Example(Explorer):
        gain = _base.control("Gain", {1.0: "one", 1.5: "more"}, 1.0)
        centred = _base.control("Centred", (False, True), False, kind="check")
        MEASURED = ("gain",)
        COLUMNS = {
            "n": [1, 2, 3],
            "gain {gain}": "case/by/{centred}",
            "both": ["cases/1/by/true/0", "cases/1.5/by/true/0", 0.5],
            "absent": "case/none",
        }

        @classmethod
        def measure(cls, gain):
            return {"by": {"false": [gain, gain**2], "true": {"0": -gain}}}

        @classmethod
        def stored(cls):
            return json.dumps(cls.compute())

    assert list(Example.described_controls()) == ["gain", "centred"]
    assert Example.described_controls()["gain"]["texts"] == ["one", "more"]
    table = Example(gain=1.5).numbers()
    found = {head: values.tolist() for head, values in table.items()}
    assert found == {"n": [1, 2], "gain 1.5": [1.5, 2.25], "both": [-1.0, -1.5]}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"start": 3}, "`start` must be one of"),
        ({"start": 1, "kind": "knob"}, "`kind` must be one of"),
    ],
)
def test_a_wrong_control_is_a_clear_error(arguments, message):
    with pytest.raises(ValueError, match=message):
        _base.control("Gain", (1, 2), **arguments)
