"""Any activation, five starts: what fifty layers do to the signal and to the deltas."""

from __future__ import annotations

from typing import Any

import numpy as np

from initcore import activations, initializers, network, theory
from initcore.explorers._base import Explorer, band, control, rounded

NAMES = {"relu": "ReLU", "elu": "ELU", "selu": "SELU", "gelu": "GELU", "silu": "SiLU"}
NAMES |= {"tanh": "tanh", "sigmoid": "sigmoid"}
STARTS = {
    "lecun": "gain 1 (LeCun)",
    "he": "gain √2 (He)",
    "forward": "its forward gain",
    "backward": "its backward gain",
    "both": "both, with random biases",
}
WIDTH, DEPTH, NETS = 100, 50, 20
LAYERS = np.array([1, *range(5, DEPTH + 1, 5)])


class Gains(Explorer):
    """Signals and deltas over fifty layers, of the chapter on other activations and layers.

    Fifty layers of 100 units before training: 20 nets with one standard normal input and one
    standard normal gradient of the output each. The root mean square of the pre-activations, and
    that of the deltas divided by that of the last layer, with the theory of wide layers.

    Examples
    --------
    >>> vanishing = Gains(activation="gelu", start="he")
    >>> float(vanishing.reading()["rms z"][-1]) < 1e-5
    True
    """

    TITLE = "Fifty layers: does a gain keep the signal and the deltas?"
    HEIGHTS = (620, 1110)
    MEASURED = ("activation", "start")
    COLUMNS = {
        "layer": LAYERS.tolist(),
        "rms z": "case/z/mid",
        "rms z, 5%": "case/z/low",
        "rms z, 95%": "case/z/high",
        "rms z, theory": "case/z/theory",
        "rms delta": "case/delta/mid",
        "rms delta, 5%": "case/delta/low",
        "rms delta, 95%": "case/delta/high",
        "rms delta, theory": "case/delta/theory",
    }
    STILL = {"rms of z": ("rms z",), "rms of delta / layer 50's": ("rms delta",)}

    activation = control("Activation", NAMES, "gelu", kind="list")
    start = control("Start", STARTS, "forward", kind="list")

    @classmethod
    def measure(cls, activation: str, start: str) -> dict[str, Any]:
        """Measure both ways through the nets."""
        gain, sigma_b = scales(activation, start)
        rows = LAYERS - 1
        found = zip(signals(activation, gain, sigma_b), predicted(activation, gain, sigma_b))
        z, delta = (band(measured[rows], theory=line[rows]) for measured, line in found)
        return {"gain": rounded(gain, 4), "sigma_b": rounded(sigma_b), "z": z, "delta": delta}


def scales(activation: str, start: str) -> tuple[float, float]:
    """Return the gain and the standard deviation of the biases that a start means."""
    if start == "both":
        return both(activation)
    fixed = {"lecun": 1.0, "he": 2**0.5}
    gain = fixed[start] if start in fixed else getattr(theory, f"{start}_gain")(activation)
    return float(gain), 0.0


def both(activation: str) -> tuple[float, float]:
    """Return the gain and the sd of biases that keep q and the deltas, at the first stable q.

    ``σ_w² = 1 / E[φ'²]`` and ``σ_b² = q - σ_w² E[φ²]``, at the first of q = 1, 2, 4, … where
    ``σ_b²`` is not negative and the variance map is no steeper than 1.
    """
    for q in 2.0 ** np.arange(8):
        sigma_w2 = 1 / theory.slope_moment(activation, q)
        sigma_b2 = q - sigma_w2 * theory.second_moment(activation, q)
        if sigma_b2 > -1e-9 and theory.variance_slope(activation, q, sigma_w2) < 1 + 1e-9:
            return float(sigma_w2**0.5), float(max(sigma_b2, 0.0) ** 0.5)
    raise ValueError(f"there is no such q for {activation}")


def signals(activation: str, gain: float, sigma_b: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the rms of z, and that of the deltas over the last layer's: (layers, nets) each."""
    phi = activations.get(activation)
    start = initializers.VarianceScaling(gain**2, "fan_in", "untruncated_normal")
    biases = initializers.RandomNormal(stddev=sigma_b) if sigma_b else "zeros"
    how = {"output_activation": phi, "replicas": NETS}
    net = network.MLP((WIDTH,) * (DEPTH + 1), phi, weights=start, biases=biases, **how)
    trace = net.forward(np.random.default_rng(0).standard_normal((NETS, 1, WIDTH)))
    output_gradient = np.random.default_rng(1).standard_normal(trace.output.shape)
    deltas = net.backward(trace, output_gradient).deltas
    z, delta = (
        np.sqrt(np.square(layers).mean(axis=(2, 3))) for layers in (trace.pre_activations, deltas)
    )
    return z, delta / delta[-1]


def predicted(activation: str, gain: float, sigma_b: float) -> tuple[np.ndarray, np.ndarray]:
    """Return what `signals` gives in wide layers: q by the variance map, χ_l layer by layer."""
    first = gain**2 + sigma_b**2
    q = theory.variance_trajectory(activation, DEPTH, first, gain**2, sigma_b**2)
    chi = gain**2 * theory.slope_moment(activation, q)
    to_layer = np.cumprod(np.append(1.0, chi[-2::-1]))[::-1]
    return np.sqrt(q), np.sqrt(to_layer)
