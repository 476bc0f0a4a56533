"""The live figures: what Python measured is what they hold, and every state can be shown."""

import base64
import json
import math
import re
from itertools import product

import numpy as np
import pytest
import traitlets
from chapter import ROOT
from matplotlib.figure import Figure

from initcore import explorers
from initcore.explorers import EXPLORERS, Explorer, _base
from initcore.tables import Table

MOST_BYTES = 150_000
SAMPLES = 3  # cases measured again; each figure's cases are spread over the tests' budget
WIDGET = "application/vnd.jupyter.widget-view+json"

kinds = pytest.mark.parametrize("kind", EXPLORERS.values(), ids=EXPLORERS)


def states(kind, most):
    """Return up to `most` states of a figure, spread over all, the extreme ones among them."""
    known = kind.traits_with_controls()
    everything = list(product(*(about["values"] for about in known.values())))
    chosen = np.unique(np.linspace(0, len(everything) - 1, most).round().astype(int))
    return [dict(zip(known, everything[i])) for i in chosen]


def leaves(value):
    """Yield the numbers and texts in nested data."""
    if isinstance(value, dict):
        for inner in value.values():
            yield from leaves(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from leaves(inner)
    else:
        yield value


@kinds
def test_the_data_are_small_and_complete(kind):
    assert kind.NAME and kind.TITLE and kind.__doc__
    assert len(kind.stored().encode()) <= MOST_BYTES
    data = kind.load()
    assert set(data) == {"shared", "cases"}
    assert set(data["cases"]) == {_base.key(*case) for case in kind.cases()}
    assert all(value is None or value == value for value in leaves(data))


def almost_equal(new, stored):
    """Whether two numbers agree but for one unit of their third digit, or of their last."""
    if isinstance(new, str) or new is None or stored is None:
        return new == stored
    return math.isclose(new, stored, rel_tol=0.011, abs_tol=1e-12)


@kinds
def test_a_sample_measured_again_gives_the_stored_numbers(kind):
    cases, stored = list(kind.cases()), kind.load()["cases"]
    for place in np.linspace(0, len(cases) - 1, min(SAMPLES, len(cases))).round().astype(int):
        name = _base.key(*cases[place])
        again = json.loads(json.dumps(kind.measure(*cases[place])))
        new, old = list(leaves(again)), list(leaves(stored[name]))
        assert len(new) == len(old) > 0, name
        different = [pair for pair in zip(new, old) if not almost_equal(*pair)]
        assert not different, f"{name}: {different[:5]} of {len(new)}"


@kinds
def test_what_all_cases_share_is_as_stored(kind):
    again = json.loads(json.dumps(kind.shared()))
    stored = kind.load()["shared"]
    assert again.keys() == stored.keys()
    assert all(map(almost_equal, leaves(again), leaves(stored)))


@kinds
def test_every_state_can_be_read_and_told(kind):
    for state in states(kind, 25):
        figure = kind(**state)
        assert figure.state == state
        table = figure.reading()
        assert isinstance(table, Table) and len(table)
        assert not re.search(r"\b(nan|inf)\b", str(table), re.IGNORECASE), state
        assert len(figure.alt()) >= 40 and "nan" not in figure.alt()


@kinds
def test_the_still_picture_shows_the_present_state(kind):
    for state in states(kind, 2):
        figure = kind(**state)
        still = figure.still()
        assert isinstance(still, Figure) and still.axes
        data, about = figure._repr_mimebundle_()
        assert data[WIDGET]["model_id"] == figure.model_id
        assert data["text/plain"] == repr(figure) and "0x" not in repr(figure)
        assert base64.b64decode(data["image/png"]).startswith(b"\x89PNG")
        assert about["image/png"]["alt"] == " ".join(figure.alt().split())


@kinds
def test_every_control_has_a_label_and_spoken_values(kind):
    for about in kind().controls:
        assert about["label"] and about["start"] in about["values"]
        assert len(about["texts"]) == len(set(about["texts"])) == len(about["values"])
        assert all(about["texts"])


@kinds
def test_it_needs_no_network_and_no_eval(kind):
    assert not re.search(
        r"https?://(?!www\.w3\.org/2000/svg)|\beval\(|new Function|innerHTML", kind._esm
    )
    assert "export default explorer(" in kind._esm
    assert not re.search(r"url\(|@import", kind._css)


@kinds
def test_a_wrong_state_is_a_clear_error(kind):
    name, about = next(iter(kind.traits_with_controls().items()))
    with pytest.raises(ValueError, match=f"Argument `{name}` must be one of"):
        kind(**{name: "no such value"})
    with pytest.raises(TypeError, match="must be of the controls"):
        kind(colour="red")
    figure = kind()
    with pytest.raises(traitlets.TraitError):
        setattr(figure, name, "no such value")
    assert figure.state[name] == about["start"]


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
        gain = explorers._base.control("Gain", (1.0, 1.5), 1.0)
        centred = explorers._base.control("Centred", (False, True), False, kind="check")
        MEASURED = ("gain",)

        @classmethod
        def measure(cls, gain):
            return {"square": gain**2}

    assert list(Example.traits_with_controls()) == ["gain", "centred"]
    assert Example.compute() == {
        "shared": {},
        "cases": {"1": {"square": 1.0}, "1.5": {"square": 2.25}},
    }
    with pytest.raises(NotImplementedError):
        Explorer.measure()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"values": (1, 2), "start": 3}, "`start` must be one of"),
        ({"values": (1, 2), "start": 1, "texts": ["one"]}, "`texts` must be a sequence of 2"),
        ({"values": (1, 2), "start": 1, "kind": "knob"}, "`kind` must be one of"),
    ],
)
def test_a_wrong_control_is_a_clear_error(arguments, message):
    with pytest.raises(ValueError, match=message):
        _base.control("Gain", **arguments)
