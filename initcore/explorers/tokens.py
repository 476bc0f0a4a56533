"""The tokens of a transformer before training: do they stay apart, and who gets the gradient?"""

from __future__ import annotations

from typing import Any

import numpy as np

from initcore import experiments, losses, probes
from initcore.explorers._base import Explorer, band, control
from initcore.initializers import RandomNormal, VarianceScaling
from initcore.transformer import Transformer

BLOCKS = (4, 8, 12, 24)
PLACES = {"pre": "inside the branch (pre-norm)", "post": "after the sum (post-norm)"}
SCALES = {"1": "1", "1/sqrt(2L)": "1/√(2L)", "0": "0 (zero last weights)"}
WIDTH, NETS, DIGITS = 16, 20, 32


class Tokens(Explorer):
    """The tokens of a transformer, of the chapter on how it starts.

    Digits as eight tokens, the rows of the image, go through blocks of width 16 whose weights have
    the variance 1/n (2/n before the ReLU): 20 nets before training, on 32 digits. After each block
    the mean cosine between two tokens of a digit; of each block the norm of the gradient of the
    MLP's last weights, over that of the last block.

    Examples
    --------
    >>> Tokens(place="post", blocks=24).reading()["cosine between tokens"].tolist()[-1] > 0.9
    True
    """

    TITLE = "The tokens of a transformer: do they stay apart?"
    HEIGHTS = (800, 1300)
    MEASURED = ("place", "scale", "blocks")
    COLUMNS = {
        "block": list(range(1, BLOCKS[-1] + 1)),
        "cosine between tokens": "case/cosine/mid",
        "cosine, 5%": "case/cosine/low",
        "cosine, 95%": "case/cosine/high",
        "gradient": "case/gradient/mid",
        "gradient, 5%": "case/gradient/low",
        "gradient, 95%": "case/gradient/high",
    }
    STILL = {"cosine between tokens": ("cosine between tokens",)}

    place = control("Layer normalisation", PLACES, "pre", kind="radio")
    scale = control("Last weights of the branches, times", SCALES, "1", kind="radio")
    blocks = control("Blocks, L", BLOCKS, 12)

    @classmethod
    def measure(cls, place: str, scale: str, blocks: int) -> dict[str, Any]:
        """Measure the tokens and the gradients of all blocks."""
        cosine, gradient = tokens(place, factor(scale, blocks), blocks)
        return {"cosine": band(cosine, decimals=2), "gradient": band(gradient / gradient[-1])}


def factor(scale: str, blocks: int) -> float:
    """Return what the last weights of the branches are multiplied by."""
    return {"1": 1.0, "1/sqrt(2L)": (2 * blocks) ** -0.5, "0": 0.0}[scale]


def tokens(place: str, alpha: float, blocks: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the cosine after each block and the norm of each gradient, ``(blocks, nets)``."""
    train, _ = experiments.split_digits()
    he = VarianceScaling(2.0, distribution="untruncated_normal")
    net = Transformer(
        (64, WIDTH, 10),
        "relu",
        blocks=blocks,
        hidden=2 * WIDTH,
        place=place,
        weights={"mlp_in": he},
        positions=RandomNormal(stddev=1.0),
        replicas=NETS,
    )
    for W in (*net.weights_of("attention_out"), *net.weights_of("mlp_out")):
        W *= alpha
    trace = net.forward(train.x[:DIGITS])
    gradient = losses.softmax_cross_entropy(trace.output, train.y[:DIGITS])[1]
    moves = net.backward(trace, gradient).weights
    rows = [h.reshape(NETS * DIGITS, net.tokens, WIDTH) for h in trace.streams[2::2]]
    cosines = [probes.mean_cosine(h).reshape(NETS, DIGITS).mean(axis=1) for h in rows]
    last = [dW for dW, role in zip(moves, net.roles) if role == "mlp_out"]
    return np.array(cosines), np.linalg.norm(np.array(last), axis=(-2, -1))
