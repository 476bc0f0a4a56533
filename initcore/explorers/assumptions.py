"""The assumption breaker: what each assumption of the variance derivation is worth."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np

from initcore import network
from initcore.explorers._base import Explorer, band, control

DEPTH = 6
#: What a net can break, by the names of the controls; before the colon, what it is called.
BREAKS = {
    "dependent": "A1: a weight is ± its input's size",
    "mean": "A2 (mean): the weights have the mean 1/√n",
    "pairs": "A2 (pairs): a unit's weights are equal in pairs",
    "unequal": "A3: half of the units have larger weights",
    "biases": "A4: the biases vary (variance 1/2)",
    "relu": "A5: the activation is a ReLU",
    "input_mean": "the inputs' mean: 1, where nothing is assumed",
}


def broken_net(
    broken: Collection[str],
    *,
    n: int = 100,
    depth: int = DEPTH,
    batch: int = 20,
    replicas: int = 40,
    seed: int = 0,
) -> np.ndarray:
    """Return q over q_0 by layer, ``(depth + 1, replicas)``, in nets that break some assumptions.

    Always ``n Var(w) = 1``, so the derivation says 1 in every layer. All sets share their draws.
    Weights that depend on the input can know only one, so each input then has weights of its own.
    Without A3 weight ``w_ij`` has the variance ``c_i c_j / n``, with c = 1.5 in the first half of
    the units and 0.5 in the second.
    """
    q = np.empty((depth + 1, replicas))
    for r, rng in enumerate(network.replica_generators(seed, replicas, network.BROKEN)):
        for_inputs, for_weights, for_biases = rng.spawn(3)
        a = for_inputs.standard_normal((batch, n)) + ("input_mean" in broken)
        q[0, r] = np.square(a).mean()
        for layer in range(1, depth + 1):
            W = _broken_weights(for_weights, a, broken)
            z = (a[:, None, :] @ W)[:, 0] if W.ndim == 3 else a @ W
            b = for_biases.standard_normal(n) * np.sqrt(0.5)
            if "biases" in broken:
                z = z + b
            q[layer, r] = np.square(z).mean()
            a = np.maximum(z, 0) if "relu" in broken else z
    return q / q[0]


def _broken_weights(rng: np.random.Generator, a: np.ndarray, broken: Collection[str]) -> np.ndarray:
    """Draw the weights (n, n) of one layer, or (batch, n, n) where each input has its own."""
    n = a.shape[1]
    if "dependent" in broken:
        size = np.sqrt(np.square(a).mean(axis=1, keepdims=True))
        known = a / np.where(size > 0, size, 1.0)
        W = rng.choice([-1.0, 1.0], (*a.shape, n)) * known[:, :, None] / np.sqrt(n)
    else:
        W = rng.standard_normal((n, n)) / np.sqrt(n)
    if "pairs" in broken:
        W = np.repeat(W[..., ::2, :], 2, axis=-2)[..., :n, :]
    if "unequal" in broken:
        c = np.where(np.arange(n) < n / 2, 1.5, 0.5)
        c /= c.mean()
        W = W * np.sqrt(c[:, None] * c)
    return W + 1 / np.sqrt(n) if "mean" in broken else W


def _break(name: str) -> Any:
    return control(BREAKS[name], {False: "kept", True: "broken"}, False, kind="check")


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

    TITLE = "The assumption breaker: when does q stay as predicted?"
    HEIGHTS = (745, 1040)
    MEASURED = tuple(BREAKS)
    COLUMNS = {
        "layer": list(range(DEPTH + 1)),
        "predicted": [1.0] * (DEPTH + 1),
        "q / q0": "case/mid",
        "5%": "case/low",
        "95%": "case/high",
    }
    STILL = {"q / q₀": ("q / q0", "predicted")}

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
        return band(broken_net([name for name, is_so in zip(BREAKS, broken) if is_so]))

    def _chosen(self) -> str:
        """Return what is broken, in short: ``A1, A4``."""
        called = [BREAKS[name].partition(":")[0] for name in BREAKS if getattr(self, name)]
        return f"Broken: {', '.join(called) or 'nothing'}"
