"""Controls around a function of a chapter: `panel`, for *Turn it yourself* (level 8).

A live figure (`initcore.explorers`) shows what was measured before; a panel runs a function again,
in the kernel, whenever a control is moved, and so with every change that a reader makes to that
function.
"""

from __future__ import annotations

import asyncio
import base64
import html
import inspect
import time
import traceback
from collections.abc import Callable, Mapping
from typing import Any

import ipywidgets
from IPython.display import display
from matplotlib.figure import Figure

from initcore import _checks, plots
from initcore.tables import Table

WIDGET = "application/vnd.jupyter.widget-view+json"
QUICK = 0.2
"""Seconds; a function that takes longer runs only once the controls have rested for as long."""


def panel(function: Callable, **controls: Any) -> Panel:
    """Return controls for the parameters of a function, with what the function answers below.

    Parameters
    ----------
    function : callable
        ``function(**values)`` returns a figure and a table (or text), or a table (or text) alone.
        The defaults of its parameters are where the controls start.
    **controls : list, dict, tuple or int
        What a parameter can be. A list of numbers becomes a slider, any other list or a dict
        ``{label: object}`` a choice, a tuple of texts a box to type in, which proposes them. An
        integer is the first seed of a button *New draw*, which counts it up.

    A start that is none of a control's values is a ``ValueError``; what the function itself raises
    at the start is raised as well.

    Examples
    --------
    >>> def factor(sd=0.1, n=100, seed=0):
    ...     return f"a layer multiplies the spread by {sd * n**0.5:g}"
    >>> dial = panel(factor, sd=[0.01, 0.1], n=[100, 400], seed=0)
    >>> dial.set(sd=0.01, n=400)
    'a layer multiplies the spread by 0.2'
    >>> dial
    panel(factor): sd = 0.01, n = 400, seed = 0
    """
    return Panel(function, controls)


class Panel(ipywidgets.VBox):
    """What `panel` returns.

    Attributes
    ----------
    values : dict
        What the function was called with last.
    text : str
        What it answered, without the figure.
    """

    def __init__(self, function: Callable, controls: Mapping[str, Any]) -> None:
        if not callable(function):
            _checks.fail("function", "a function", function, TypeError)
        _checks.mapping("controls", controls, "parameter and its values")
        self._function, self._later = function, None
        self._options: dict[str, dict[str, Any]] = {}  # values by their labels, of all but seeds
        self._boxes: dict[str, ipywidgets.Widget] = {}
        self.values: dict[str, Any] = {}
        for name, choice in controls.items():
            is_seed = isinstance(choice, int) and not isinstance(choice, bool)
            self._boxes[name] = self._button(name, choice) if is_seed else self._box(name, choice)
        self._status, self._shown = ipywidgets.HTML(), ipywidgets.HTML()
        self._answer()
        super().__init__([*self._boxes.values(), self._status, self._shown])

    def _button(self, name: str, seed: int) -> ipywidgets.Button:
        self.values[name] = _checks.integer(name, seed, at_least=0)
        button = ipywidgets.Button(description="New draw", tooltip=f"count {name} up")
        button.on_click(lambda _: self._changed(name, self.values[name] + 1))
        return button

    def _box(self, name: str, choice: Any) -> ipywidgets.Widget:
        """Return the slider, the list or the box of one parameter, at the function's default."""
        options, kind, more = choice, ipywidgets.Dropdown, {}
        if not isinstance(choice, Mapping):
            options = {f"{one:g}" if _is_number(one) else str(one): one for one in choice}
            if all(map(_is_number, options.values())):
                kind = ipywidgets.SelectionSlider
        if not options:
            _checks.fail(name, "at least one value", choice)
        if isinstance(choice, tuple):  # told when Enter is pressed or the box is left
            kind, more, options = ipywidgets.Combobox, {"continuous_update": False}, _Typed(options)
        self._options[name] = options
        parameter = inspect.signature(self._function).parameters.get(name)
        has_start = parameter is not None and parameter.default is not parameter.empty
        label = self._label(name, parameter.default) if has_start else next(iter(options))
        self.values[name] = options[label]
        box = kind(
            options=list(options),
            value=label,
            description=name.replace("_", " "),
            style={"description_width": "initial"},
            **more,
        )
        box.observe(lambda change: self._moved(name, change["new"]), "value")
        return box

    def _label(self, name: str, value: Any) -> str:
        """Return the label of a value of a control, which may be given by its label, too."""
        if isinstance(self._options[name], _Typed) and isinstance(value, str):
            return value
        for label, one in self._options[name].items():
            is_equal = _is_number(one) and _is_number(value) and one == value
            if one is value or is_equal or (isinstance(value, str) and label == value):
                return label
        return _checks.fail(name, f"one of {', '.join(self._options[name])}", value)

    def _moved(self, name: str, label: str) -> None:
        value = self._options[name][label]
        if value is not self.values[name]:  # `set` notes the value before it moves the control
            self._changed(name, value)

    def _changed(self, name: str, value: Any) -> None:
        """Answer a control: at once, or when the function is slow, once the controls rest."""
        self.values[name] = value
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:  # no kernel
            loop = None
        if self._later is not None:
            self._later.cancel()
        if loop is None or self._seconds <= QUICK:
            self._answer_or_say_why_not()
            return
        self._status.value = '<div role="status">Computing …</div>'
        self._later = loop.call_later(QUICK, self._answer_or_say_why_not)

    def _answer_or_say_why_not(self) -> None:
        try:
            self._answer()
        except Exception:  # noqa: BLE001  (shown to the reader, who may have changed the function)
            self.text = traceback.format_exc(limit=-4)
            self._shown.value = f'<pre role="alert">{html.escape(self.text)}</pre>'
        finally:
            self._status.value = ""

    def _answer(self) -> None:
        start = time.perf_counter()
        answer = self._function(**self.values)
        figure, text = answer if isinstance(answer, tuple) else (None, answer)
        if not isinstance(text, (str, Table)) or not isinstance(figure, (Figure, type(None))):
            allowed = "a table or text, or a pair of a figure and a table or text"
            _checks.fail("function", f"one that returns {allowed}", answer, TypeError)
        self.text, self._picture = str(text), None
        shown = f"<pre>{html.escape(self.text)}</pre>"
        if figure is not None:
            self._picture = base64.b64encode(plots.to_png(figure)).decode()
            source = f"data:image/png;base64,{self._picture}"
            shown = (
                f'<img src="{source}" alt="{html.escape(self._alt())}" '
                f'width="{plots.PIXELS}" style="max-width: 100%">{shown}'
            )
        self._shown.value = shown
        self._seconds = time.perf_counter() - start

    def set(self, **values: Any) -> str:
        """Move controls, run the function, and return its text; what it raises is raised here.

        A control that there is not, or that cannot take the value, is a ``ValueError``.
        """
        wanted = {}
        for name, value in values.items():
            _checks.choice("values", name, list(self._boxes))
            if name in self._options:
                wanted[name] = self._options[name][self._label(name, value)]
            else:
                wanted[name] = _checks.integer(name, value, at_least=0)
        self.values |= wanted
        for name, label in self._labels().items():
            self._boxes[name].value = label
        self._answer()
        return self.text

    def show(self) -> None:
        """Show the panel in a notebook; where there is no kernel, its still picture or its text."""
        display(self)

    def _labels(self) -> dict[str, str]:
        """Return the label of each control's present value; a seed has none."""
        return {name: self._label(name, self.values[name]) for name in self._options}

    def _alt(self) -> str:
        return " ".join(f"{self!r}. It shows: {self.text}".split())

    def __repr__(self) -> str:
        shown = {**self.values, **self._labels()}
        state = ", ".join(f"{name} = {value}" for name, value in shown.items())
        return f"panel({self._function.__name__}): {state}"

    _ipython_display_ = None  # ipywidgets 7 would show the controls alone

    def _repr_mimebundle_(self, **options: Any) -> tuple[dict, dict]:
        view = {"version_major": 2, "version_minor": 0, "model_id": self.model_id}
        data = {"text/plain": f"{self!r}\n{self.text}", WIDGET: view}
        if self._picture is None:
            return data, {}
        about = {"image/png": {"alt": self._alt(), "width": plots.PIXELS}}
        return data | {"image/png": self._picture}, about


class _Typed(dict):
    """Proposals of a box to type in: any other text stands for itself."""

    def __missing__(self, text: str) -> str:
        return text


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
