"""The residual stream: how the mean square grows, block by block, and what tames it."""

from __future__ import annotations

from typing import Any

import numpy as np

from initcore import probes
from initcore.explorers._base import Explorer, band, control, rounded

BLOCKS = (4, 8, 16, 32, 64)
NO_YES = {False: "no", True: "yes"}
SCALES = {"1": "1", "1/sqrt(L)": "1/√L", "1/L": "1/L", "0": "0 (zero last weights)"}


class Residual(Explorer):
    """The residual stream, of the chapter on normalisation and residual branches.

    ReLU branches of 100 units that hand on the mean square of what they see, times α, are added
    to a stream, before training: 50 nets with one standard normal input each. The mean square of
    the stream after each block, and its exact mean.

    Examples
    --------
    >>> plain = Residual(scale="1", normalise=False, blocks=4)
    >>> plain.reading()["exact mean"].tolist()
    [1.0, 2.0, 4.0, 8.0, 16.0]
    """

    TITLE = "The residual stream: how much may each branch add?"
    HEIGHTS = (795, 1010)
    MEASURED = ("scale", "normalise", "blocks")
    COLUMNS = {
        "block": list(range(BLOCKS[-1] + 1)),
        "mean square": "case/mid",
        "5%": "case/low",
        "95%": "case/high",
        "exact mean": "case/theory",
    }
    STILL = {"mean square of the stream": ("mean square",)}

    scale = control("Scale of the branches, α", SCALES, "1", kind="radio")
    normalise = control("Normalise what a branch sees", NO_YES, False, kind="check")
    blocks = control("Blocks, L", BLOCKS, 16)

    @classmethod
    def measure(cls, scale: str, normalise: bool, blocks: int) -> dict[str, Any]:
        """Measure the stream of all blocks."""
        alpha = factor(scale, blocks)
        found = residual_stream(alpha, blocks=blocks, normalise=normalise)
        return band(found) | {"theory": rounded(mean_square(alpha, normalise, blocks), 5)}


def residual_stream(
    alpha: float,
    *,
    blocks: int,
    normalise: bool,
    width: int = 100,
    replicas: int = 50,
    seed: int = 0,
) -> np.ndarray:
    """Return the mean square of the stream ``h + α relu(h W) W'`` after each block.

    W has variance 2/n (He) and W' variance 1/n, so that a branch hands on the mean square of its
    input. The result has shape ``(blocks + 1, replicas)`` and is relative to the input, which is
    standard normal, one a net; with `normalise` a branch sees the stream over its root mean square.
    """
    rng = np.random.default_rng(seed)
    h = rng.standard_normal((replicas, 1, width))
    q = [probes.mean_square(h)]
    for _ in range(blocks):
        W, W_last = rng.standard_normal((2, replicas, width, width)) / np.sqrt(width)
        seen = h
        if normalise:
            seen = h / np.sqrt(np.square(h).mean(axis=-1, keepdims=True))
        h = h + alpha * (np.maximum(np.sqrt(2) * (seen @ W), 0) @ W_last)
        q.append(probes.mean_square(h))
    return np.array(q) / q[0]


def factor(scale: str, blocks: int) -> float:
    """Return α, given its name and the number of blocks."""
    return {"1": 1.0, "1/sqrt(L)": blocks**-0.5, "1/L": 1 / blocks, "0": 0.0}[scale]


def mean_square(alpha: float, normalise: bool, blocks: int) -> np.ndarray:
    """Return the mean over the weights of ``q_l / q_0``, for l from 0 to the number of blocks.

    A branch of mean square 1 adds α²; one of the stream's own mean square multiplies it by
    ``1 + α²``. Cross terms vanish: those of W' have mean zero, whatever the stream is.
    """
    layers = np.arange(blocks + 1)
    return 1 + layers * alpha**2 if normalise else (1 + alpha**2) ** layers
