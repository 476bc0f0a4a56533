"""The plane of weights and biases: what fifty layers do to the signal and to a pair of inputs."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from initcore import activations, probes, theory
from initcore.explorers._base import Explorer, band, control, rounded

NAMES = {"tanh": "tanh", "relu": "ReLU", "gelu": "GELU", "sigmoid": "sigmoid"}
SIGMA_W2 = (0.5, 1.0, 1.424, 1.761, 1.983, 2.0, 2.5, 4.0)
SIGMA_B2 = (0.0, 0.01, 0.05, 0.173)
WIDTH, DEPTH, NETS, COSINE = 100, 50, 20, 0.6
LAYERS = np.array([1, 2, 3, 5, 10, 15, 20, 30, 40, 50])
LEAST = 1e-30  # a measured 1 - c below is rounding


class Plane(Explorer):
    """The plane of the variances of weights and biases, of the chapter on order and chaos.

    Fifty layers of 100 units before training: 20 nets, with two inputs of mean square 1 and cosine
    0.6 each. The mean square of the pre-activations and the cosine between the two inputs' with the
    theory of wide layers, and in which phase the net is.

    Examples
    --------
    >>> critical = Plane(activation="tanh", sigma_w2=1.761, sigma_b2=0.05)
    >>> critical.case()["chi"]
    1
    """

    TITLE = "Order or chaos: choose a point of the plane"
    HEIGHTS = (712, 1194)
    MEASURED = ("activation", "sigma_w2", "sigma_b2")
    COLUMNS = {
        "layer": LAYERS.tolist(),
        "q": "case/q/mid",
        "q, 5%": "case/q/low",
        "q, 95%": "case/q/high",
        "q, theory": "case/q/theory",
        "1 - c": "case/apart/mid",
        "1 - c, 5%": "case/apart/low",
        "1 - c, 95%": "case/apart/high",
        "1 - c, theory": "case/apart/theory",
    }
    STILL = {"mean square q": ("q",), "1 - c": ("1 - c",)}

    activation = control("Activation", NAMES, "tanh", kind="list")
    sigma_w2 = control("Weights, σ_w²", SIGMA_W2, 2.5)
    sigma_b2 = control("Biases, σ_b²", SIGMA_B2, 0.05)

    @classmethod
    def measure(cls, activation: str, sigma_w2: float, sigma_b2: float) -> dict[str, Any]:
        """Measure the nets of one point of the plane, and predict them."""
        point = activation, sigma_w2, sigma_b2
        pairs = zip(two_inputs(*point), predicted(*point))
        q, apart = (band(found[LAYERS - 1], theory=line[LAYERS - 1]) for found, line in pairs)
        settled = theory.fixed_point(*point)
        chi = rounded(theory.chi(*point), 4)
        return {"q": q, "apart": apart, "chi": chi, "settled": rounded(settled)}


def first_layer(sigma_w2: float, sigma_b2: float) -> tuple[float, float]:
    """Return mean square and cosine of the pre-activations of layer 1."""
    q = sigma_w2 + sigma_b2
    return q, (COSINE * sigma_w2 + sigma_b2) / q


def two_inputs(
    activation: str, sigma_w2: float, sigma_b2: float, width: int = WIDTH
) -> tuple[np.ndarray, np.ndarray]:
    """Return q, and 1 minus the cosine between the two inputs, by layer: (layers, nets) each.

    The difference is measured as such, ``|u - v|² / 2`` of the two directions, so that it keeps
    its digits where the cosine is 1.
    """
    phi, rng = activations.get(activation), np.random.default_rng(0)
    orthogonal, _ = np.linalg.qr(rng.standard_normal((NETS, width, 2)))
    a = math.sqrt(width) * orthogonal.swapaxes(1, 2)
    a[:, 1] = COSINE * a[:, 0] + math.sqrt(1 - COSINE**2) * a[:, 1]
    q, apart = [], []
    for _ in range(DEPTH):
        W = rng.standard_normal((NETS, width, width)) * math.sqrt(sigma_w2 / width)
        z = a @ W + math.sqrt(sigma_b2) * rng.standard_normal((NETS, 1, width))
        directions = z / np.linalg.norm(z, axis=-1, keepdims=True)
        q.append(probes.mean_square(z))
        apart.append(np.square(directions[:, 0] - directions[:, 1]).sum(axis=-1) / 2)
        a = phi(z)
    return np.array(q), np.maximum(apart, LEAST)


def predicted(activation: str, sigma_w2: float, sigma_b2: float) -> tuple[np.ndarray, np.ndarray]:
    """Return what `two_inputs` gives in wide layers.

    Near ``c = 1`` the map of ``d = 1 - c`` is its slope, which keeps the digits of d.
    """
    q1, c1 = first_layer(sigma_w2, sigma_b2)
    q = theory.variance_trajectory(activation, DEPTH, q1, sigma_w2, sigma_b2)
    d = [1 - c1]
    for level in q[:-1]:
        point = (level, sigma_w2, sigma_b2)
        if d[-1] > 1e-5:
            d.append(1 - theory.correlation_map(activation, 1 - d[-1], *point))
        else:
            d.append(d[-1] * theory.correlation_slope(activation, 1.0, *point))
    return q, np.maximum(d, LEAST)
