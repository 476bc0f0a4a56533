"""The scale dial: what the scale of the weights does to signals and gradients, layer by layer."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from initcore import losses, network, probes, theory
from initcore.explorers._base import Explorer, band, control, key
from initcore.initializers import RandomNormal

WIDTH, INPUTS, CLASSES, BATCH, REPLICAS = 50, 100, 10, 100, 20
ACTIVATIONS = {"tanh": "tanh", "sigmoid": "sigmoid", "relu": "ReLU"}
SDS = {sd: key(sd) for sd in (0.01, 0.03, 0.05, 0.1, 0.14, 0.2, 0.3, 0.5, 1.0, 3.0)}
SDS |= {0.14: "0.14 = 1/√50", 0.2: "0.2 = √(2/50)"}
DEPTHS = (5, 10, 20)


class Scale(Explorer):
    """The scale dial, of the chapters on small and on large weights.

    Classifiers of 100 inputs and layers of 50 units, before training, with standard normal inputs:
    20 nets a case. The pooled spread, the spread across inputs and the saturated fraction of each
    layer's activations, and the median and RMS gradient with respect to its pre-activations.

    Examples
    --------
    >>> dial = Scale(activation="tanh", sd=0.01, depth=5)
    >>> dial.reading()["pooled spread"].tolist()[0]
    0.0998
    """

    TITLE = "The scale dial: turn the standard deviation of the weights"
    HEIGHTS = (1030, 1525)
    MEASURED = ("activation", "sd")
    COLUMNS = {
        "layer": list(range(1, DEPTHS[-1] + 1)),
        "pooled spread": "case/pooled/mid",
        "pooled spread, theory": "case/pooled/theory",
        "spread across inputs": "case/across/mid",
        "spread across inputs, theory": "case/across/theory",
        "saturated": "case/saturated/mid",
        "saturated, theory": "case/saturated/theory",
        "RMS gradient": "case/gradient {depth}/rms/mid",
        "RMS gradient, theory": "case/gradient {depth}/rms/theory",
        "median gradient": "case/gradient {depth}/median/mid",
    }
    STILL = {
        "spread": ("pooled spread", "spread across inputs"),
        "gradient": ("RMS gradient", "median gradient"),
    }

    activation = control("Activation", ACTIVATIONS, "tanh", kind="radio")
    sd = control("Standard deviation of the weights", SDS, 0.14)
    depth = control("Hidden layers", DEPTHS, 5)

    @classmethod
    def measure(cls, activation: str, sd: float) -> dict[str, Any]:
        """Measure nets of all depths; signals in the deepest, which begins like the others."""
        starts = {depth: classifier_at_start(activation, sd, depth) for depth in DEPTHS}
        deepest = starts[DEPTHS[-1]]
        q, apart = _predict(activation, sd)
        variance = theory.second_moment(activation, q) - theory.mean_activation(activation, q) ** 2
        found = {
            "pooled": band(deepest["std"][:-1], theory=np.sqrt(variance)),
            "across": band(deepest["std across inputs"][:-1], theory=apart),
        }
        if activation != "relu":
            bound = math.atanh(0.99) if activation == "tanh" else math.log(99)
            share = [math.erfc(bound / math.sqrt(2 * value)) for value in q]
            found["saturated"] = band(deepest["saturated"][:-1], theory=share)
        for depth, start in starts.items():
            *rms, output = start["delta rms"]
            expected = _gradients(activation, sd, q[:depth], float(np.median(output)))
            median = band(start["delta median"][:-1])
            found[f"gradient {depth}"] = {"rms": band(rms, theory=expected), "median": median}
        return found


def classifier_at_start(activation: str, sd: float, depth: int) -> probes.LayerStatistics:
    """Return the statistics of classifiers before training, each with its own data."""
    widths = (INPUTS, *[WIDTH] * depth, CLASSES)
    normal = RandomNormal(stddev=sd)
    net = network.MLP(widths, activation, weights=normal, replicas=REPLICAS, seed=0)
    streams = network.replica_generators(0, REPLICAS, network.INPUTS)
    x = np.stack([rng.standard_normal((BATCH, INPUTS)) for rng in streams])
    y = np.stack([rng.integers(CLASSES, size=BATCH) for rng in streams])
    trace = net.forward(x)
    _, output_gradient = losses.softmax_cross_entropy(trace.output, y)
    return probes.layer_statistics(net, trace, net.backward(trace, output_gradient))


def _predict(activation: str, sd: float) -> tuple[np.ndarray, np.ndarray]:
    """Return q by layer, and the spread across inputs of the activations.

    Two inputs of independent standard normals are uncorrelated. ``d = q (1 - c)`` is half the mean
    squared difference of their pre-activations, and is followed instead of ``c``, which is 1 to
    sixteen digits where a net forgets its input: there the map of d is its slope.
    """
    sigma_w2 = WIDTH * sd**2
    q = theory.variance_trajectory(activation, DEPTHS[-1] + 1, INPUTS * sd**2, sigma_w2)
    d, apart = q[0], []
    for level, following in zip(q, q[1:]):
        if d > 1e-5 * level:
            d = following * (1 - theory.correlation_map(activation, 1 - d / level, level, sigma_w2))
        else:
            d *= sigma_w2 * theory.slope_moment(activation, level)
        apart.append(math.sqrt(d / sigma_w2))
    return q[:-1], np.array(apart)


def _gradients(activation: str, sd: float, q: np.ndarray, output: float) -> np.ndarray:
    """Return the RMS gradient with respect to each layer's z, from that at the output.

    ``E[δ_l²] = fan_out Var(w) E[φ′(z_l)²] E[δ_{l+1}²]``.
    """
    fan_outs = np.array([WIDTH] * (len(q) - 1) + [CLASSES])
    factors = fan_outs * sd**2 * theory.slope_moment(activation, q)
    return output * np.sqrt(np.cumprod(factors[::-1])[::-1])
