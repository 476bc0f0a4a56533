"""Lazy and rich: what the scale of the start decides, where the training digits are all learnt."""

from __future__ import annotations

from typing import Any

import numpy as np

from initcore import experiments, losses, network
from initcore.explorers._base import Explorer, band, control

DIGITS, NETS, STEPS = 200, 8, 400
SCALES = (0.25, 0.5, 1.0, 2.0, 4.0)


class Lazy(Explorer):
    """Lazy and rich training, of the chapter on what a start decides.

    ReLU classifiers without biases learn 200 digits by 400 steps of gradient descent on the squared
    error, from He's weights times a scale: eight nets a point. Their accuracy on these digits and
    on 359 others, and how far the weights moved, as a multiple of their length at the start.

    Examples
    --------
    >>> table = Lazy(layers=1, width=64, subtract=True).reading()
    >>> bool(table["moved"][0] > 50 * table["moved"][-1])
    True
    """

    TITLE = "Lazy and rich: one scale for all weights of the start"
    HEIGHTS = (690, 1220)
    MEASURED = ("layers", "width", "subtract")
    COLUMNS = {
        "scale": list(SCALES),
        "training": "case/training/mid",
        "test": "case/test/mid",
        "moved": "case/moved/mid",
    }
    STILL = {"accuracy": ("training", "test"), "weights moved by": ("moved",)}
    FORMATS = {"training": ".2f", "test": ".2f"}

    layers = control("Hidden layers", (1, 2), 1, kind="radio")
    width = control("Width", (16, 64, 128), 64)
    subtract = control(
        "Subtract the start's answers", {False: "no", True: "yes"}, False, kind="check"
    )

    @classmethod
    def measure(cls, layers: int, width: int, subtract: bool) -> dict[str, Any]:
        """Train from all scales."""
        rows = [learn(scale, layers, width, subtract) for scale in SCALES]
        training, test, moved = (np.array(part) for part in zip(*rows))
        accuracy = {"training": band(training, decimals=2), "test": band(test, decimals=2)}
        return accuracy | {"moved": band(moved)}


def learn(
    scale: float, layers: int, width: int, subtract: bool, steps: int = STEPS
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the accuracy on both kinds of digits, and how far the weights moved, a number a net.

    The output is of degree L + 1 in the scale, and its gradients of degree L: above scale 1 the
    learning rate is divided by the scale to the power 2 L, which keeps the pace of the answers.
    """
    split, laws = experiments.split_digits(), ["he_normal"] * layers + ["lecun_normal"]
    x, y = split.train.x[:DIGITS], split.train.y[:DIGITS]
    how = {"weights": laws, "replicas": NETS, "dtype": "float32"}
    net = network.MLP((64, *[width] * layers, 10), "relu", **how)
    for W in net.weights:
        W *= scale
    before = [W.copy() for W in net.weights]
    parts = {"training": (x, y), "test": split.test}
    offset = {name: int(subtract) * net.predict(part[0]) for name, part in parts.items()}
    targets = np.eye(10, dtype="float32")[y] + offset["training"]
    rate = 1.6 / layers / width / max(scale, 1) ** (2 * layers)
    move = [np.zeros_like(W) for W in net.weights]
    for _ in range(steps):
        trace = net.forward(x)
        dW = net.backward(trace, 2 * (trace.output - targets) / len(x)).weights
        for W, v, g in zip(net.weights, move, dW):
            v *= 0.9
            v -= rate * g
            W += v
    right = (losses.accuracy(net.predict(p[0]) - offset[name], p[1]) for name, p in parts.items())
    change = sum(np.square(W - V).sum(axis=(1, 2)) for W, V in zip(net.weights, before))
    return *right, np.sqrt(change / sum(np.square(V).sum(axis=(1, 2)) for V in before))
