"""What all live figures share (level 8): traits that Python and the page know, data, a still.

A live figure is an anywidget. Python measured its numbers once (`Explorer.compute`, stored as JSON
in ``data/``) and a small ES module draws them: ``kit.js`` and ``follow.js``, which all share, and
one of its own. So it works in a notebook, in the browser's kernel, and with no kernel at all on a
built page. Nothing here draws on the screen or measures when it is shown.
"""

from __future__ import annotations

import base64
import json
import textwrap
from collections.abc import Callable, Iterator
from importlib import resources
from itertools import product
from typing import Any, ClassVar

import anywidget
import numpy as np
import traitlets
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from initcore import _checks, plots
from initcore.tables import Table, fmt, quantiles

FILES = resources.files("initcore.explorers")


def control(label: str, values: Any, start: Any, *, kind: str = "range") -> traitlets.TraitType:
    """Return a trait that the reader sets by a control, for the body of an `Explorer`.

    The values stand in their order, as ``format(value, "g")`` writes them; a mapping says how they
    are shown and spoken. The kind is a slider ("range"), "radio" buttons, a "list" to choose from
    or a "check" box, whose values are False and True. A start that is no value is a ValueError.

    >>> control("Depth", (5, 10), 5).metadata["control"]["texts"]
    ['5', '10']
    """
    shown = values if isinstance(values, dict) else {value: key(value) for value in values}
    values, texts = list(shown), list(shown.values())
    _checks.choice("kind", kind, ("range", "radio", "list", "check"))
    if start not in values:
        _checks.fail("start", f"one of {values}", start)
    about = {"label": label, "kind": kind, "values": values, "texts": texts, "start": start}
    return traitlets.Enum(values, start).tag(sync=True, control=about)


def key(*values: Any) -> str:
    """Return the name of a case: its values as JavaScript writes them, with spaces between.

    >>> key("tanh", 1.0, 0.05, True)
    'tanh 1 0.05 true'
    """
    plain = (str(value).lower() if isinstance(value, bool) else value for value in values)
    return " ".join(one if isinstance(one, str) else f"{one:g}" for one in plain)


def rounded(values: Any, digits: int = 3) -> Any:
    """Return numbers as nested lists, rounded to significant digits; what is not finite is None.

    >>> rounded(np.array([[0.123456, 0.0], [np.inf, 98765.0]]))
    [[0.123, 0.0], [None, 98800.0]]
    """
    values = np.asarray(values, dtype=float)
    if values.ndim:
        return [rounded(value, digits) for value in values]
    return float(f"{values:.{digits - 1}e}") if np.isfinite(values) else None


def band(values: Any, decimals: int | None = None, theory: Any = None) -> dict[str, list]:
    """Return the 5%, 50% and 95% quantiles over the last axis, the replicas, and what theory says.

    They have 2, 3 and 2 significant digits, as the ends of a band need fewer than its middle; or
    all of them so many `decimals`, where further ones are not the same on every machine.

    >>> band([[1.0, 2.0, 3.0]], theory=[2.0004])
    {'low': [1.1], 'mid': [2.0], 'high': [2.9], 'theory': [2.0]}
    >>> band([0.111, 0.123, 0.13], decimals=2)
    {'low': 0.11, 'mid': 0.12, 'high': 0.13}
    """
    ends = quantiles(values)
    if decimals is not None:
        found = (ends.round(decimals) + 0.0).tolist()  # no -0.0
    else:
        found = [rounded(end, digits) for end, digits in zip(ends, (2, 3, 2))]
    more = {} if theory is None else {"theory": rounded(theory)}
    return dict(zip(("low", "mid", "high"), found)) | more


class Explorer(anywidget.AnyWidget):
    """A live figure. A child names itself, lists its controls as traits, and measures.

    Parameters
    ----------
    **state
        Values of the controls.

    Raises
    ------
    TypeError
        There is no control of that name.
    ValueError
        A control cannot take that value.

    Attributes
    ----------
    NAME : str
        The class's in lower case, and that of its files and of its own page on the site.
    TITLE : str
        What it is about, in one line.
    HEIGHTS : tuple of int
        In pixels, on a wide page and on a phone: a page keeps this place while the figure loads.
    data : str
        Python's numbers as JSON, which a notebook stores in one line: `load` returns them.
    controls : list of dict
        The controls in their order: key, label, kind, values, texts and start.
    MEASURED : tuple of str
        The controls whose values make a case of their own: one measurement each.
    COLUMNS : dict
        The table of the picture, by the heads of its columns: where the values stand in the data
        (``"case/rms/mid"`` and ``"shared/…"``, or ``"cases/KEY/…"`` for another case), or a list
        with a path or a value for each row. ``{name}`` is the value of a control. What is not in
        the data has no column, and the table is as long as its shortest column.
    STILL : dict of str to tuple of str
        The charts of the still picture: the name of the logarithmic y axis, and the columns in it.
    FORMATS : dict of str to str
        How Python prints columns: three significant digits unless named here.
    """

    NAME: ClassVar[str]
    TITLE: ClassVar[str] = ""
    HEIGHTS: ClassVar[tuple[int, int]] = (0, 0)
    MEASURED: ClassVar[tuple[str, ...]] = ()
    COLUMNS: ClassVar[dict[str, str | list]] = {}
    STILL: ClassVar[dict[str, tuple[str, ...]]] = {}
    FORMATS: ClassVar[dict[str, str]] = {}

    name, title, data = (traitlets.Unicode().tag(sync=True) for _ in range(3))
    controls, measured, columns = (traitlets.List().tag(sync=True) for _ in range(3))
    formats = traitlets.Dict().tag(sync=True)

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if "_esm" in vars(cls):
            return  # anywidget's own child, with traits in their place
        cls.NAME = cls.__name__.lower()
        for trait, kind in (("_esm", "js"), ("_css", "css")):
            files = [FILES.joinpath(f"{name}.{kind}") for name in ("kit", "follow", cls.NAME)]
            setattr(cls, trait, "\n".join(f.read_text("utf-8") for f in files if f.is_file()))

    def __init__(self, **state: Any) -> None:
        known = self.described_controls()
        for name, value in state.items():
            if name not in known:
                raise TypeError(
                    f"{type(self).__name__} has no control {name!r}: {', '.join(known)}"
                )
            if value not in known[name]["values"]:
                _checks.fail(name, f"one of {known[name]['values']}", value)
        super().__init__(
            name=self.NAME,
            title=self.TITLE,
            data=self.stored(),
            controls=[{"key": name, **about} for name, about in known.items()],
            measured=list(self.MEASURED),
            columns=[list(column) for column in self.COLUMNS.items()],
            formats=dict(self.FORMATS),
            **state,
        )

    @classmethod
    def described_controls(cls) -> dict[str, dict[str, Any]]:
        """Return what each control is, by its name, in the order of the class."""
        return {
            name: trait.metadata["control"]
            for parent in reversed(cls.__mro__)
            for name, trait in vars(parent).items()
            if isinstance(trait, traitlets.TraitType) and "control" in trait.metadata
        }

    @property
    def state(self) -> dict[str, Any]:
        """The values of the controls."""
        return {control["key"]: getattr(self, control["key"]) for control in self.controls}

    def __repr__(self) -> str:
        state = ", ".join(f"{name}={value!r}" for name, value in self.state.items())
        return f"{type(self).__name__}({state})"

    # --- the numbers ----------------------------------------------------------------------------

    @classmethod
    def cases(cls) -> Iterator[tuple]:
        """Yield the arguments of `measure` for every case."""
        known = cls.described_controls()
        yield from product(*(known[name]["values"] for name in cls.MEASURED))

    @classmethod
    def shared(cls) -> dict[str, Any]:
        """Return what all cases share, such as the names of an axis."""
        return {}

    @classmethod
    def measure(cls, *case: Any) -> dict[str, Any]:
        """Return the numbers of one case, rounded, ready for JSON."""
        raise NotImplementedError

    @classmethod
    def compute(cls, progress: Any = iter) -> dict[str, Any]:
        """Measure all cases; `progress` wraps the list of them (`tqdm.tqdm`, for example)."""
        measured = {key(*case): cls.measure(*case) for case in progress(list(cls.cases()))}
        return {"shared": cls.shared(), "cases": measured}

    @classmethod
    def stored(cls) -> str:
        """Return the stored numbers as text: JSON without line breaks."""
        return FILES.joinpath("data", f"{cls.NAME}.json").read_text("utf-8").replace("\n", "")

    @classmethod
    def load(cls) -> dict[str, Any]:
        """Return the stored numbers, ``{"shared": {…}, "cases": {key: {…}}}``."""
        try:
            return json.loads(cls.stored())
        except ValueError:
            again = f"measure them again by `python -m initcore.explorers {cls.NAME}`"
            raise ValueError(f"The numbers in data/{cls.NAME}.json are damaged: {again}") from None

    def case(self, data: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the numbers of the present case."""
        return (data or self.load())["cases"][key(*(getattr(self, n) for n in self.MEASURED))]

    # --- without a kernel or a screen -----------------------------------------------------------

    def _texts(self) -> dict[str, str]:
        """Return the values of the controls as they stand in the paths and heads of `COLUMNS`."""
        return {name: key(value) for name, value in self.state.items()}

    def _finder(self) -> Callable[[Any], Any]:
        """Return what finds the numbers at a path in the present state, or None; or at a list."""
        texts, data = self._texts(), self.load()
        data["case"] = self.case(data)

        def find(where: Any) -> Any:
            if isinstance(where, list):
                return [find(one) for one in where]
            if not isinstance(where, str):
                return where
            found = data
            for name in where.format(**texts).split("/"):
                found = found.get(name, {})
            return None if isinstance(found, dict) else np.array(found, dtype=float)

        return find

    def numbers(self) -> dict[str, np.ndarray]:
        """Return the columns of the table, as `COLUMNS` describes them."""
        texts, find = self._texts(), self._finder()
        found = {head.format(**texts): find(where) for head, where in self.COLUMNS.items()}
        there = {head: np.array(values) for head, values in found.items() if values is not None}
        rows = min(map(len, there.values()))
        return {head: values[:rows] for head, values in there.items()}

    def reading(self) -> Table:
        """Return the numbers in the picture as it is now: what the page shows as a table."""
        columns = self.numbers()
        return Table(columns, formats=dict.fromkeys(columns, ".3g") | self.FORMATS)

    def _chosen(self) -> str:
        """Return the values of the controls, as they are shown."""
        shown = zip(self.controls, self.state.values())
        return "; ".join(f"{c['label']}: {c['texts'][c['values'].index(v)]}" for c, v in shown)

    def _ends(self, *heads: str, between: str = " to ") -> list[str]:
        """Return where columns begin and end."""
        numbers = self.numbers()
        both = {head: [fmt(numbers[head][end], ".3g") for end in (0, -1)] for head in heads}
        return [f"{head} {between.join(pair)}" for head, pair in both.items()]

    def _draw(self, ax: Axes, head: str, series: int = 0) -> None:
        """Draw a column over the first one: as measured, with band and theory, or as a line."""
        columns, where, find = self.numbers(), self.COLUMNS[head], self._finder()
        x = next(iter(columns.values()))
        if "mid" not in str(where):
            plots.theory(ax, x, columns[head], label=head, series=series)
            return
        ends = [
            find([path.replace("/mid", f"/{end}") for path in np.ravel(where).tolist()])
            for end in ("low", "mid", "high", "theory")
        ]
        found = [np.ravel(values)[: len(x)] for values in ends if values[0] is not None]
        plots.banded(ax, x, found[:3], label=head, series=series, line=len(found) == 3)
        for theory in found[3:]:
            plots.theory(ax, x, theory, label=None if series else "theory", series=series)

    def still(self) -> Figure:
        """Return the picture as it is now, for print and for readers without JavaScript."""
        fig, axes = plots.figure(len(self.STILL), height=3.6, squeeze=False)
        for ax, (y, heads) in zip(axes.flat, self.STILL.items()):
            for series, head in enumerate(heads):
                self._draw(ax, head, series=series)
            title = "\n".join(self._ends(*heads, between=" → "))
            plots.finish(ax, title=title, x=next(iter(self.COLUMNS)), y=y, log="y")
            ax.set_title(title, fontsize=7.5)
        fig.suptitle(textwrap.fill(self._chosen(), 80), fontsize="medium")
        return fig

    def to_png(self) -> bytes:
        """Return the still picture as PNG."""
        # styled here, too: a still also draws what is not by `plots`
        return plots.to_png(plots.styled(self.still)())

    def alt(self) -> str:
        """Return what is to be seen in the still picture: the state, and where each column goes."""
        (x, places), *columns = self.numbers().items()
        heads = [head for head, _ in columns if not head.endswith(("%", "theory"))]
        about = f"{self.TITLE.partition(':')[0]}. {self._chosen()}."
        goes = "; ".join(self._ends(*heads))
        return f"{about} From {x} {places[0]:g} to {places[-1]:g}: {goes}."

    def show(self) -> None:
        """Show the live figure in a notebook, and its still picture where there is no kernel."""
        from IPython.display import display

        display(self)

    _ipython_display_ = None  # ipywidgets 7 would show the live figure alone

    def _repr_mimebundle_(self, **options: Any) -> tuple[dict, dict]:
        data, metadata = super()._repr_mimebundle_(**options)
        alt = " ".join(self.alt().split())
        about = {"image/png": {"alt": alt, "width": plots.PIXELS}}
        # as text: not every kernel encodes it, and the browser's does not
        data |= {"image/png": base64.b64encode(self.to_png()).decode()}
        return data, metadata | about  # on Colab, `metadata` names what brings the figure to life
