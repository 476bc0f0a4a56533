"""The assumption breaker: what each assumption of the variance derivation is worth."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from matplotlib.figure import Figure

from initcore import experiments, plots
from initcore.explorers._base import Explorer, band, control
from initcore.tables import Table

DEPTH = 6
# The names of the experiment's sets by those of the controls, which must be Python's.
BREAKS = {
    "dependent": "dependent",
    "mean": "mean",
    "pairs": "pairs",
    "unequal": "unequal",
    "biases": "biases",
    "relu": "relu",
    "input_mean": "input mean",
}


def _break(name: str) -> Any:
    label = experiments.BREAKS[BREAKS[name]]
    return control(label, (False, True), False, kind="check", texts=("kept", "broken"))


class Assumptions(Explorer):
    """The assumption breaker, of the chapter on the variance.

    Nets of six layers of 100 units, 40 of each kind, with ``n Var(w) = 1``: the derivation says
    that q stays what it is at the input. A check box breaks an assumption; all 128 combinations
    are measured on the same draws.

    Examples
    --------
    >>> figure = Assumptions(relu=True)
    >>> figure.reading()["q / q0"].tolist()[:3]
    [1.0, 1.0, 0.512]
    """

    NAME: ClassVar[str] = "assumptions"
    TITLE: ClassVar[str] = "The assumption breaker: when does q stay as predicted?"
    MEASURED: ClassVar[tuple[str, ...]] = tuple(BREAKS)

    dependent = _break("dependent")
    mean = _break("mean")
    pairs = _break("pairs")
    unequal = _break("unequal")
    biases = _break("biases")
    relu = _break("relu")
    input_mean = _break("input_mean")

    @classmethod
    def measure(cls, *broken: bool) -> dict[str, Any]:
        """Measure the nets that break what is True, in the order of the controls."""
        names = [name for name, is_broken in zip(BREAKS.values(), broken) if is_broken]
        return band(experiments.broken_net(names, depth=DEPTH))

    def reading(self) -> Table:
        """Return q over that at the input, by layer, and the factor of each layer."""
        case = self.case()
        mid = case["mid"]
        columns: dict[str, list] = {
            "layer": list(range(DEPTH + 1)),
            "predicted": [1.0] * (DEPTH + 1),
            "q / q0": mid,
            "5%": case["low"],
            "95%": case["high"],
            "factor of the layer": [1.0, *(new / old for old, new in zip(mid, mid[1:]))],
        }
        return Table(columns, formats=dict.fromkeys(list(columns)[1:], ".3g"))

    def still(self) -> Figure:
        """Draw q by layer over its prediction."""
        case, layers = self.case(), np.arange(DEPTH + 1)
        fig, ax = plots.figure(height=3.6)
        quantiles = [case[end] for end in ("low", "mid", "high")]
        plots.banded(ax, layers, quantiles, label="measured", series=0)
        plots.theory(ax, layers, np.ones(DEPTH + 1), label="n Var(w) to the power l", series=1)
        title = f"{self._broken()}: q is {case['mid'][-1]:.2g} times its prediction"
        plots.finish(ax, title=title, x="layer", y="q / q₀", log="y")
        return fig

    def alt(self) -> str:
        """Say what is broken and where q ends."""
        return (
            f"{self._broken()}: q over its value at the input, where the prediction is 1 in every "
            f"layer. Measured, it is {self.case()['mid'][1]:.2g} in layer 1 and "
            f"{self.case()['mid'][-1]:.2g} in layer {DEPTH}."
        )

    def _broken(self) -> str:
        """Return what is broken, in short: ``A1, A4``; A2 has two parts."""
        short = {"mean": "A2 (mean)", "pairs": "A2 (pairs)", "input_mean": "input mean"}
        names = [name for name in BREAKS if getattr(self, name)]
        labels = [short.get(name, experiments.BREAKS[BREAKS[name]][:2]) for name in names]
        return ", ".join(labels) or "Nothing broken"
