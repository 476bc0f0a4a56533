"""The tokens of a transformer before training: do they stay apart, and who gets the gradient?"""

from __future__ import annotations

from typing import Any

import numpy as np

from initcore import experiments, losses, probes, theory
from initcore.explorers._base import Explorer, band, control, rounded
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
    HEIGHTS = (745, 1255)
    MEASURED = ("place", "scale", "blocks")
    COLUMNS = {
        "block": list(range(1, BLOCKS[-1] + 1)),
        "cosine between tokens": "case/cosine/mid",
        "cosine, 5%": "case/cosine/low",
        "cosine, 95%": "case/cosine/high",
        "cosine, theory": "case/cosine/theory",
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
        alpha = factor(scale, blocks)
        cosine, gradient = tokens(place, alpha, blocks)
        found = {"cosine": band(cosine[1:], decimals=2), "gradient": band(gradient / gradient[-1])}
        found["cosine"]["theory"] = rounded(predict(place, alpha, blocks, np.median(cosine[0])), 2)
        return found


def factor(scale: str, blocks: int) -> float:
    """Return what the last weights of the branches are multiplied by."""
    return {"1": 1.0, "1/sqrt(2L)": (2 * blocks) ** -0.5, "0": 0.0}[scale]


def tokens(place: str, alpha: float, blocks: int) -> tuple[np.ndarray, np.ndarray]:
    """Return cosines, ``(blocks + 1, nets)``, and norms of gradients, ``(blocks, nets)``."""
    train, _ = experiments.split_digits()
    he, small = (VarianceScaling(k, distribution="untruncated_normal") for k in (2.0, 0.01))
    net = Transformer(
        (64, WIDTH, 10),
        "relu",
        blocks=blocks,
        hidden=2 * WIDTH,
        place=place,
        weights={"mlp_in": he, "head": small},
        positions=RandomNormal(stddev=1.0),
        replicas=NETS,
    )
    for W in (*net.weights_of("attention_out"), *net.weights_of("mlp_out")):
        W *= alpha
    trace = net.forward(train.x[:DIGITS])
    gradient = losses.softmax_cross_entropy(trace.output, train.y[:DIGITS])[1]
    moves = net.backward(trace, gradient).weights
    rows = [h.reshape(NETS * DIGITS, net.tokens, WIDTH) for h in trace.streams[::2]]
    cosines = [probes.mean_cosine(h).reshape(NETS, DIGITS).mean(axis=1) for h in rows]
    last = [dW for dW, role in zip(moves, net.roles) if role == "mlp_out"]
    return np.array(cosines), np.linalg.norm(np.array(last), axis=(-2, -1))


def predict(place: str, alpha: float, blocks: int, c: float, q: float = 2.0) -> np.ndarray:
    """Return the cosine after each block, by a recursion on what two tokens have in common.

    The stream has the mean square q, and the tokens share cq of it. Attention that is uniform
    adds α² times the mean square of the average of the normalised tokens to both; the MLP adds α²
    to q, and α² times the correlation map of the ReLU to what is shared. Post-norm then makes q 1;
    its first branch sees the embedding as it is, and adds q times as much.
    """
    shared, cosines = c * q, []
    for branch in range(2 * blocks):
        c = shared / q
        own = 1.0 if branch % 2 else c + (1 - c) / 8
        both = theory.correlation_map("relu", c) if branch % 2 else own
        size = alpha**2 * (q if place == "post" else 1.0)
        q, shared = q + size * own, shared + size * both
        if place == "post":
            q, shared = 1.0, shared / q
        cosines.append(shared / q)
    return np.array(cosines[1::2])
