"""Depth and gain: which ReLU nets train, over the line that the theory of the signal draws."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from initcore import experiments, initializers, plots, training
from initcore.explorers._base import Explorer, band, control, key, rounded
from initcore.tables import fmt, quantiles

WIDTH, EPOCHS, REPLICAS = 64, 8, 8
RATES = (0.001, 0.005, 0.02)
DEPTHS = (2, 4, 8, 12, 16, 22, 30)
GAINS = (0.5, 0.7, 1.0, 1.4, 2.0, 2.8, 4.0, 5.6, 8.0)

BOUND = 100
"""The factor by which the RMS of z may change over a net before the line is crossed: a choice."""


def train(depth: int, gain: float) -> np.ndarray:
    """Return the test accuracies at the rate whose median *training* accuracy is best.

    The test digits have no part in the choice. Where two rates are equally good, the smaller one.
    """
    weights = initializers.VarianceScaling(gain, "fan_in", "truncated_normal")
    how = {"hidden": (WIDTH,) * depth, "epochs": EPOCHS, "batch_size": 64, "replicas": REPLICAS}
    sgds = [training.SGD(rate, momentum=0.9) for rate in RATES]
    runs = [
        experiments.train_on_digits("relu", weights, optimizer=sgd, **how).history for sgd in sgds
    ]
    best = max(runs, key=lambda history: np.median(history.accuracy[-1]))  # the first such
    return best.validation_accuracy[-1]


def _by_gain(path: str) -> list[str]:
    """Return the paths of one number at the present depth, a row for each gain²."""
    return [f"cases/{{depth}} {gain:g}/{path}" for gain in GAINS]


class Depth(Explorer):
    """Depth and gain, of the chapter on He: a map of what trains, and what theory says of it.

    ReLU classifiers of the digits, 64 units a layer, trained for a short while by SGD: eight nets a
    place, at the best of three rates. Accuracies are stored to a twentieth, as the training of deep
    nets is chaotic. The root mean square of z, layer L by layer 1, is that of 200 fresh nets.

    Examples
    --------
    >>> point = Depth(depth=16, gain=1.0)
    >>> point.verdict(), Depth(depth=16, gain=2.0).verdict()
    ('fails', 'trains')
    """

    TITLE = "Depth and gain: which nets train?"
    HEIGHTS = (750, 1345)
    MEASURED = ("depth", "gain")
    COLUMNS = {
        "gain²": list(GAINS),
        "accuracy": _by_gain("accuracy/mid"),
        "accuracy, 5%": _by_gain("accuracy/low"),
        "accuracy, 95%": _by_gain("accuracy/high"),
        "RMS ratio": _by_gain("ratio/mid"),
        "RMS ratio, theory": _by_gain("ratio/theory"),
    }

    depth = control("Hidden layers", DEPTHS, 16)
    gain = control("Gain² = n Var(w)", {g: key(g) for g in GAINS} | {2.0: "2 (He)"}, 1.0)

    @classmethod
    def shared(cls) -> dict[str, Any]:
        """Return where theory expects the RMS of z to change by the factor `BOUND` over the net."""
        depths = np.arange(2.0, DEPTHS[-1] + 0.5, 0.5)
        reach = BOUND ** (2 / (depths - 1))
        ends = {"lower": 2 / reach, "upper": 2 * reach}
        return {
            "bound": BOUND,
            "line": {"depth": rounded(depths)} | {name: rounded(end) for name, end in ends.items()},
        }

    @classmethod
    def measure(cls, depth: int, gain: float) -> dict[str, Any]:
        """Train nets of this depth and gain, and send a signal through others."""
        accuracy = zip(("low", "mid", "high"), quantiles(train(depth, gain)))
        nets = {"net": ("relu", math.sqrt(gain))}
        q = experiments.propagate(nets, depth=depth, width=WIDTH, replicas=200)["net"]["q"]
        ratio = np.sqrt(q[-1] / q[0])
        return {
            "accuracy": {end: twentieth(value) for end, value in accuracy},
            "ratio": band(ratio, theory=(gain / 2) ** ((depth - 1) / 2)),
        }

    def verdict(self) -> str:
        """Return fails, trains in part or trains: a median up to 0.3, between, from 0.8."""
        accuracy = self.case()["accuracy"]["mid"]
        return "fails" if accuracy <= 0.3 else "trains" if accuracy >= 0.8 else "trains in part"

    def still(self) -> Figure:
        """Draw the map with the present place, and the RMS ratio at the present depth."""
        data = self.load()
        cases, line = data["cases"], data["shared"]["line"]
        fig, (left, right) = plots.figure(2, height=3.6)
        mids = [[cases[key(d, g)]["accuracy"]["mid"] for d in DEPTHS] for g in GAINS]
        left.imshow(mids, cmap="Blues", vmin=0, vmax=1.6, origin="lower", aspect="auto")
        for (row, place), value in np.ndenumerate(mids):
            left.text(place, row, fmt(100 * value, ".0f"), ha="center", va="center", fontsize=8)
        places = np.interp(line["depth"], DEPTHS, np.arange(len(DEPTHS)))
        for end in ("lower", "upper"):
            plots.theory(left, places, 4 + 2 * np.log2(np.array(line[end]) / 2), series=1)
        mine = (DEPTHS.index(self.depth), GAINS.index(self.gain))
        left.plot(*mine, "s", ms=20, mfc="none", mec="black", mew=2)
        title = f"{self.depth} layers, gain² {self.gain:g}: {self.verdict()}"
        plots.finish(left, title=title, x="hidden layers", y="gain²", legend="none")
        left.set(xticks=range(len(DEPTHS)), xticklabels=DEPTHS, xlim=(-0.5, len(DEPTHS) - 0.5))
        left.set(yticks=range(len(GAINS)), yticklabels=GAINS, ylim=(-0.5, len(GAINS) - 0.5))
        left.grid(visible=False)
        self._draw(right, "RMS ratio")
        plots.finish(right, title="z of the last layer", x="gain²", y="RMS by layer 1", log="xy")
        return fig

    def alt(self) -> str:
        """Say how the nets of this place do, too."""
        accuracy = self.case()["accuracy"]["mid"]
        return f"{super().alt()} This place {self.verdict()}: a median accuracy of {accuracy:g}."


def twentieth(value: float) -> float:
    """Return an accuracy to the nearest 0.05: finer digits of chaotic training say nothing."""
    return round(round(20 * float(value)) / 20, 2)
