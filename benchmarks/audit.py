"""What the layers of PyTorch, Keras and Flax draw by default, beside what their pages say.

Usage: ``make audit [ARGS=Keras]`` or ``python benchmarks/audit.py [FRAMEWORK ...]``. For each array
``benchmarks/audit.json`` holds what is known of it: its law, its variance times `fan_in` (the
products that meet in an output; 1 of an embedding), and what its page says. What is drawn now is
compared with that and written beside it, with version and date, and `make lists` makes
``pages/framework_defaults.md`` of it. A framework that is not installed is left out.
"""

from __future__ import annotations

import datetime
import importlib.util
import json
import math
import os
import sys
from pathlib import Path
from typing import Any

import common
import numpy as np
from scipy import stats

from initcore import _files, sampling

RESULTS = Path(__file__).with_name("audit.json")
LAWS = {  # of variance 1
    "uniform": stats.uniform(-math.sqrt(3), 2 * math.sqrt(3)),
    "normal": stats.norm(),
    "truncated normal": stats.truncnorm(-2, 2, scale=1 / sampling.TRUNCATED_STD),
}
FARTHEST = 3.5  # √N D of Kolmogorov and Smirnov: beyond it once in 2e10
SIGMAS = 7.0  # of a variance

os.environ.setdefault("KERAS_BACKEND", "jax")


def torch_arrays() -> list[Any]:
    """Return what PyTorch draws, in the order of the rows; small arrays of many layers."""
    import torch

    torch.manual_seed(0)
    nn, join = torch.nn, torch.cat
    linear, lstm = (
        [make() for _ in range(40)]
        for make in (lambda: nn.Linear(400, 500), lambda: nn.LSTM(300, 200))
    )
    packed, apart = nn.MultiheadAttention(512, 4), nn.MultiheadAttention(512, 4, kdim=64)
    norms = [nn.LayerNorm(64), nn.BatchNorm2d(64), nn.GroupNorm(4, 64), nn.RMSNorm(64)]
    return [
        linear[0].weight,
        join([one.bias for one in linear]),
        nn.Conv2d(128, 128, 3).weight,
        nn.ConvTranspose2d(64, 256, 3).weight,
        nn.Embedding(1000, 200).weight,
        lstm[0].weight_ih_l0,
        lstm[0].weight_hh_l0,
        join([bias for one in lstm for bias in (one.bias_ih_l0, one.bias_hh_l0)]),
        packed.in_proj_weight,
        apart.q_proj_weight,
        packed.out_proj.weight,
        join([packed.in_proj_bias, packed.out_proj.bias]),
        join([one.weight for one in norms]),
        join([one.bias for one in norms[:3]]),
    ]


def keras_arrays() -> list[Any]:
    """Return what Keras draws, in the order of the rows."""
    import keras

    kl, join = keras.layers, np.concatenate
    keras.utils.set_random_seed(0)

    def built(layer: Any, *shape: int) -> Any:
        layer.build((None, *shape))
        return layer

    dense, lstm = built(kl.Dense(500), 400), built(kl.LSTM(200), 5, 300).cell
    depthwise = [built(kl.DepthwiseConv2D(3), 8, 8, 256) for _ in range(64)]
    attention = kl.MultiHeadAttention(8, 64)
    attention.build((None, 5, 512), (None, 5, 512))
    norms = [kl.LayerNormalization(), kl.BatchNormalization(), kl.GroupNormalization(4)]
    norms = [built(one, 64).weights for one in [*norms, kl.RMSNormalization()]]
    return [
        dense.kernel,
        dense.bias,
        built(kl.Conv2D(128, 3), 8, 8, 64).kernel,
        join([one.kernel for one in depthwise]),
        built(kl.Embedding(1000, 200)).embeddings,
        lstm.kernel,
        lstm.recurrent_kernel,
        lstm.bias[200:400],
        join([lstm.bias[:200], lstm.bias[400:]]),
        attention.query_dense.kernel,
        attention.output_dense.kernel,
        join([np.ravel(w) for w in attention.weights if "bias" in w.path]),
        join([one[0] for one in norms]),
        join([one[1] for one in norms[:3]]),
    ]


def flax_arrays() -> list[Any]:
    """Return what Flax draws, in the order of the rows."""
    import jax
    from flax import linen, nnx

    def drawn(layer: Any, *inputs: Any) -> Any:
        return layer.init(jax.random.key(0), *inputs)["params"]

    rngs, carry = nnx.Rngs(0), (np.zeros((1, 200)),) * 2
    linear = nnx.Linear(400, 500, rngs=rngs)
    cell, packed = (one(300, 200, rngs=rngs) for one in (nnx.LSTMCell, nnx.OptimizedLSTMCell))
    attention = nnx.MultiHeadAttention(8, 512, decode=False, rngs=rngs)
    norms = [nnx.LayerNorm(64, rngs=rngs), nnx.BatchNorm(64, rngs=rngs)]
    norms += [nnx.GroupNorm(64, 4, rngs=rngs), nnx.RMSNorm(64, rngs=rngs)]
    return [
        linear.kernel[...],
        linear.bias[...],
        drawn(linen.Dense(500), np.ones((1, 400)))["kernel"],
        nnx.Conv(64, 256, (3, 3), rngs=rngs).kernel[...],
        nnx.Embed(1000, 200, rngs=rngs).embedding[...],
        cell.ii.kernel[...],
        cell.hi.kernel[...],
        cell.hf.bias[...],
        packed.dense_h.kernel[...],
        drawn(linen.OptimizedLSTMCell(200), carry, np.ones((1, 300)))["hi"]["kernel"],
        attention.query.kernel[...],
        attention.out.kernel[...],
        np.stack([one.scale[...] for one in norms]),
        np.stack([one.bias[...] for one in norms[:3]]),
    ]


FRAMEWORKS = {
    "PyTorch": ("torch", torch_arrays),
    "Keras": ("keras", keras_arrays),
    "Flax": ("flax", flax_arrays),
}


def law_of(values: np.ndarray) -> str:
    """Return the law that an array looks drawn from; "" if it is none of them."""
    if np.ptp(values) == 0:
        return {0.0: "zeros", 1.0: "ones"}.get(float(values.flat[0]), "")
    if values.ndim == 2:
        gram = values @ values.T if len(values) <= values.shape[1] else values.T @ values
        if np.allclose(gram, gram[0, 0] * np.eye(len(gram)), atol=1e-4 * gram[0, 0]):
            return "orthogonal"
    scaled = values.ravel() / np.sqrt(np.square(values).mean())
    distances = {name: stats.kstest(scaled, law.cdf).statistic for name, law in LAWS.items()}
    nearest = min(distances, key=distances.get)
    return nearest if distances[nearest] * math.sqrt(values.size) < FARTHEST else ""


def measured(row: dict[str, Any], array: Any) -> dict[str, Any]:
    """Return a row with what was drawn now, and whether it is what is known."""
    values = np.asarray(array.detach() if hasattr(array, "detach") else array, np.float64)
    law, n_var = law_of(values), row["fan_in"] * float(values.var())
    margin = 0.01 if law == "orthogonal" else SIGMAS * math.sqrt(2 / values.size)
    fits = law == row["law"] and abs(n_var - row["n_var"]) <= margin * row["n_var"]
    return row | {"drawn": [law, float(f"{n_var:.3g}")], "fits": bool(fits)}


def audit(name: str) -> dict[str, Any]:
    """Return the rows of a framework as they are drawn now, with its version and the date."""
    package, arrays = FRAMEWORKS[name]
    rows = json.loads(RESULTS.read_text("utf-8"))[name]["rows"]
    rows = [measured(*pair) for pair in zip(rows, arrays(), strict=True)]
    version = importlib.import_module(package).__version__
    return {"version": version, "date": f"{datetime.date.today()}", "rows": rows}


def main(words: list[str]) -> None:
    """Audit the frameworks that are installed, or those named, and store what they draw."""
    stored = json.loads(RESULTS.read_text("utf-8"))
    if not (names := common.chosen(FRAMEWORKS, words)):
        sys.exit(f"No framework is called so. There are: {', '.join(FRAMEWORKS)}")
    for name in names:
        if importlib.util.find_spec(FRAMEWORKS[name][0]):
            stored[name] = audit(name)
            print(name, stored[name]["version"])
            for row in stored[name]["rows"]:
                sign = "  " if row["fits"] else "! "
                print(f"{sign}{row['layer']}, {row['part']}: {' '.join(map(str, row['drawn']))}")
    _files.write(RESULTS, json.dumps(stored, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
