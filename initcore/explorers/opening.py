"""The opening picture: a digit travels through a deep net, whose layers light up or die."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from initcore import experiments, plots, probes
from initcore.explorers._base import Explorer, band, control, rounded
from initcore.explorers._digits import examples, pixels, to_text
from initcore.initializers import RandomNormal
from initcore.network import MLP

DEPTH, WIDTH, SHOWN, REPLICAS = 10, 64, 16, 20
WEIGHTS = {
    "zeros": ("zeros", "zeros"),
    "normal_0.01": ("0.01 × normal", RandomNormal(stddev=0.01)),
    "glorot_uniform": ("Glorot", "glorot_uniform"),
    "he_normal": ("He", "he_normal"),
    "normal_1": ("1.0 × normal", RandomNormal(stddev=1.0)),
}
TEXTS = {name: text for name, (text, _) in WEIGHTS.items()}
ACTIVATIONS = {"tanh": "tanh", "relu": "ReLU", "sigmoid": "sigmoid"}
FULL = {"tanh": 1.0, "relu": 3.0, "sigmoid": 1.0}  # the activation of a dot of full size
LEAST = 1e-13  # the sigmoid's rounding errors are not far below: less counts as 0


class Opening(Explorer):
    """The picture of the opening page: a digit travels through a deep net.

    Nets of 64 pixels, ten hidden layers of 64 units without biases, before training. The dots are
    16 units a layer of one net, with the first test digit of each class as input. The RMS
    activation and the spread across inputs are over all 359 test digits, 20 nets a case.

    Examples
    --------
    >>> start = Opening(weights="normal_0.01", activation="tanh")
    >>> start.reading()["spread across inputs"].tolist()[:2]
    [0.0811, 0.0064]
    """

    TITLE = "Choose how the weights start: does a digit get through ten layers?"
    HEIGHTS = (855, 1075)
    MEASURED = ("weights", "activation")
    COLUMNS = {
        "layer": list(range(1, DEPTH + 1)),
        "RMS activation": "case/rms/mid",
        "spread across inputs": "case/across/mid",
        "spread, 5%": "case/across/low",
        "spread, 95%": "case/across/high",
    }

    weights = control("Weights", TEXTS, "glorot_uniform", kind="radio")
    activation = control("Activation", ACTIVATIONS, "tanh", kind="radio")
    digit = control("Digit", tuple(range(10)), 0, kind="radio")

    @classmethod
    def shared(cls) -> dict[str, Any]:
        """Return the pixels of the ten digits, 0 to 16 as one character each (base 17)."""
        test = pixels().test
        digits = to_text(test.x[examples(test.y)])
        return {"digits": digits, "shown": SHOWN}

    @classmethod
    def measure(cls, weights: str, activation: str) -> dict[str, Any]:
        """Send the test digits through 20 nets, and write down one of them.

        ``units[digit][layer]`` has two characters a unit: 50 is an activation of 0, 99 and 01 are
        those of a dot of full size.
        """
        test = experiments.split_digits().test
        sizes = (64, *[WIDTH] * DEPTH, 10)
        net = MLP(sizes, activation, weights=WEIGHTS[weights][1], replicas=REPLICAS)
        layers = np.array(net.forward(test.x).activations[:-1])
        found: dict[str, Any] = {}
        for name, probe in (("rms", probes.rms), ("across", probes.std_across_inputs)):
            values = probe(layers)
            found[name] = band(np.where(values < LEAST, 0.0, values))
        if activation != "relu":
            share = probes.saturated_fraction(layers[-1], activation)
            found["saturated"] = rounded(np.median(share), 2)
        one = layers[:, 0, examples(test.y), :SHOWN].swapaxes(0, 1)
        levels = 50 + np.rint(49 * np.clip(one / FULL[activation], -1, 1)).astype(int)
        found["units"] = [["".join(f"{v:02d}" for v in layer) for layer in d] for d in levels]
        return found

    def values(self) -> np.ndarray:
        """Return the activations in the picture, as shares of full size: layers by units."""
        codes = self.case()["units"][self.digit]
        pairs = [[int(row[i : i + 2]) for i in range(0, 2 * SHOWN, 2)] for row in codes]
        return (np.array(pairs) - 50) / 49

    def still(self) -> Figure:
        """Draw the shown units of each layer as a square."""
        title = f"{self._chosen()}. Units of layers 1 to {DEPTH}"
        return plots.images([self.values()], title=title, quantity="activation", signed=True)
