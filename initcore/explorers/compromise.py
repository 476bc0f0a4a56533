"""The compromise: fan_in, fan_out or a mean of both, and what each keeps on its way."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from initcore import network, probes
from initcore.explorers._base import Explorer, band, control
from initcore.initializers import RandomNormal, VarianceScaling

LAYERS = 6
WIDTHS = (16, 32, 64, 128, 256, 512)
SHAPES = {"taper": "steadily from A to B units", "zigzag": "A and B units in turn"}
MODES = {"fan_in": "fan_in", "fan_out": "fan_out", "fan_avg": "Glorot's fan_avg"}
MODES |= {"fan_geo_avg": "geometric mean"}
BATCH = REPLICAS = 20


class Compromise(Explorer):
    """The compromise, of the chapter on Glorot's initialization.

    Linear nets of six layers whose weights have the variance 1/n, with n by the mode: 20 nets a
    case. The mean square of the signal over that of the input, and of the gradient with respect to
    a layer's activations over that at the output.

    Examples
    --------
    >>> figure = Compromise(shape="zigzag", first=64, second=256, mode="fan_avg")
    >>> figure.reading()["signal, theory"].tolist()[-1]
    0.262
    """

    TITLE = "The compromise: which fan keeps the signal, which the gradient?"
    HEIGHTS = (740, 1355)
    MEASURED = ("shape", "first", "second")
    COLUMNS = {
        "layer": list(range(LAYERS + 1)),
        "units": "case/widths",
        "signal": "case/{mode}/signal/mid",
        "signal, theory": "case/{mode}/signal/theory",
        "gradient": "case/{mode}/gradient/mid",
        "gradient, theory": "case/{mode}/gradient/theory",
    }
    STILL = {"mean square / at its start": ("signal", "gradient")}

    shape = control("Shape of the net", SHAPES, "taper", kind="radio")
    first = control("A, units at the input", WIDTHS, 512)
    second = control("B, units at the output or in turn", WIDTHS, 32)
    mode = control("n in Var(w) = 1/n", MODES, "fan_in", kind="radio")

    @classmethod
    def measure(cls, shape: str, first: int, second: int) -> dict[str, Any]:
        """Measure one net with all modes, which share their draws."""
        sizes = widths(shape, first, second)
        found: dict[str, Any] = {"widths": sizes}
        for mode, ways in both_ways(sizes).items():
            lines = predict(sizes, mode)
            found[mode] = {way: band(ways[way], theory=line) for way, line in zip(ways, lines)}
        return found


def widths(shape: str, first: int, second: int) -> list[int]:
    """Return the units of each layer, inputs first."""
    if shape == "zigzag":
        return [second if layer % 2 else first for layer in range(LAYERS + 1)]
    return np.geomspace(first, second, LAYERS + 1).round().astype(int).tolist()


def both_ways(
    sizes: Sequence[int], batch: int = BATCH, replicas: int = REPLICAS, seed: int = 0
) -> dict[str, dict[str, np.ndarray]]:
    """Send a signal forward and a gradient back through linear nets, one draw for all modes.

    The inputs, and the gradient at the output, are standard normal. Returned are by mode, of shape
    ``(layers + 1, replicas)``, the mean square of a_l over that of the input, and that of the
    gradient with respect to a_l over that at the output: Glorot and Bengio (2010), eqs. 5 and 6.
    """
    unit = RandomNormal(stddev=1.0)
    net = network.MLP(sizes, "linear", weights=unit, replicas=replicas, seed=seed)
    drawn = [W.copy() for W in net.weights]
    streams = network.replica_generators(seed, replicas, network.INPUTS)
    ends = [[rng.standard_normal((batch, n)) for n in (sizes[0], sizes[-1])] for rng in streams]
    x, top = (np.stack(arrays) for arrays in zip(*ends))
    found = {}
    for mode in MODES:
        scaling = VarianceScaling(1.0, mode)
        for W, draws in zip(net.weights, drawn):
            np.multiply(draws, np.sqrt(scaling.variance(W.shape[-2:])), out=W)
        trace = net.forward(x)
        # The layers are linear: a delta is the gradient with respect to the activations.
        gradients = net.backward(trace, top)
        signal = np.array([probes.mean_square(a) for a in (x, *trace.activations)])
        back = (gradients.inputs, *gradients.deltas)
        gradient = np.array([probes.mean_square(g) for g in back])
        found[mode] = {"signal": signal / signal[0], "gradient": gradient / gradient[-1]}
    return found


def predict(sizes: list[int], mode: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the products of ``fan_in Var(w)`` from the input on, of ``fan_out Var(w)`` back."""
    fan_in, fan_out = np.array(sizes[:-1]), np.array(sizes[1:])
    scaling = VarianceScaling(1.0, mode)
    variance = np.array([scaling.variance(shape) for shape in zip(sizes[:-1], sizes[1:])])
    signal = np.cumprod([1.0, *(fan_in * variance)])
    gradient = np.cumprod([1.0, *(fan_out * variance)[::-1]])[::-1]
    return signal, gradient
