"""Keras' own architectures, and its torch backend, as of_keras reads them: `make test-all`.

The numbers of layers, fans and branches are counted by hand from the architectures' papers.
"""

import json
import os
import subprocess
import sys
from collections import Counter

import numpy as np
import pytest

os.environ.setdefault("KERAS_BACKEND", "jax")

import keras  # noqa: E402

from initcore.diagnosis import of_keras  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def looked(name, size):
    keras.utils.set_random_seed(0)
    shape = (size, size, 3)
    model = getattr(keras.applications, name)(weights=None, input_shape=shape, classes=10)
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((4, *shape)), rng.integers(10, size=4)
    look = of_keras.look(model, x, y)
    assert look.unseen == {}
    assert len({row.key for row in look.layers}) == len(look.layers)
    assert all(row.deltas.rms > 0 and row.gradient.finite == 1.0 for row in look.layers)
    last = look.layers[-1]
    assert (last.kind, last.activation, last.weight.shape[-1]) == ("dense", "linear", 10)
    assert look.loss == pytest.approx(np.log(10), rel=0.5)
    return look, {row.name: row for row in look.layers}


def test_mobilenet_v2():
    """Sandler et al. (2018), table 2: 17 blocks, of which 10 are added to what came in."""
    look, rows = looked("MobileNetV2", 64)
    assert Counter(row.kind for row in look.layers) == {
        "convolution": 1 + 16 + 17 + 1,  # the first, expansions, projections, the last
        "depthwise convolution": 17,
        "normalisation": 52,
        "dense": 1,
    }
    row = rows["block_6_depthwise"]
    assert (row.weight.shape, row.fan_in, row.fan_out) == ((192, 9, 1), 9, 9 / 4)
    assert row.library_fans == (9 * 192, 9)
    assert {row.activation for row in look.layers if "project" in row.name} == {"linear"}
    assert {row.activation for row in look.layers if "expand" in row.name} <= {"relu6", "linear"}
    ends = [row for row in look.layers if row.branch]
    assert len(ends) == 10 and {row.kind for row in ends} == {"normalisation"}


def test_resnet50_v2():
    """He et al. (2016), fig. 4e: 16 branches, each of a 1 x 1, a 3 x 3 and a 1 x 1 convolution."""
    look, rows = looked("ResNet50V2", 64)
    assert Counter(row.kind for row in look.layers) == {
        "convolution": 1 + 3 * 16 + 4,  # the first, the branches, the shortcuts
        "normalisation": 3 * 16 + 1,
        "dense": 1,
    }
    ends = [row for row in look.layers if row.branch]
    assert [row.name[-6:] for row in ends] == ["3_conv"] * 16
    assert all(row.normalised and row.stream.rms > 0 for row in ends)
    row = rows["conv3_block1_2_conv"]
    assert (row.fan_in, row.fan_out, row.activation) == (9 * 128, 9 * 128, "relu")


def test_efficientnet_b0():
    """Tan and Le (2019), table 1: 16 blocks, each with a gate of two convolutions."""
    look, rows = looked("EfficientNetB0", 64)
    assert Counter(row.kind for row in look.layers) == {
        "convolution": 1 + 15 + 2 * 16 + 16 + 1,
        "depthwise convolution": 16,
        "normalisation": 49,
        "dense": 1,
    }
    assert len([row for row in look.layers if row.branch]) == 9
    assert (rows["block2a_se_reduce"].activation, rows["block2a_se_expand"].activation) == (
        "silu", "sigmoid"
    )  # fmt: skip
    assert rows["block5a_dwconv"].fan_in == 25


NUMBERS = """
import json, numpy as np, keras
from initcore.diagnosis import of_keras
kl, rng = keras.layers, np.random.default_rng(0)
i = keras.Input((8, 8, 3))
h = kl.Conv2D(6, 3, padding="same", activation="relu")(i)
o = kl.Conv2D(6, 1)(kl.DepthwiseConv2D(3, padding="same")(h))
h = h + kl.BatchNormalization()(o)
h = kl.Reshape((64, 6))(h)
h = kl.LayerNormalization()(h + kl.MultiHeadAttention(2, 3)(h, h))
o = kl.Dense(4, "softmax")(kl.Dropout(0.5)(kl.GlobalAveragePooling1D()(h)))
model = keras.Model(i, o)
model.set_weights([0.3 * rng.standard_normal(w.shape) + (w.ndim < 2) for w in model.get_weights()])
before = model.get_weights()
x, y = rng.standard_normal((8, 8, 8, 3)).astype("float32"), rng.integers(4, size=8)
look = of_keras.look(model, x, y, optimizer="adam")
assert all((a == b).all() for a, b in zip(before, model.get_weights(), strict=True))
signals = ("sums", "outputs", "deltas", "gradient")
print(json.dumps([[look.loss], *[
    [row.name, row.activation, row.branch, row.update,
     *[getattr(row, signal).rms for signal in signals]] for row in look.layers
]]))
"""


def test_the_torch_backend_gives_the_same_numbers():
    seen = []
    for backend in ("jax", "torch"):
        run = subprocess.run(
            [sys.executable, "-c", NUMBERS],
            env={**os.environ, "KERAS_BACKEND": backend},
            capture_output=True,
            text=True,
        )
        assert run.returncode == 0, run.stderr
        seen.append(json.loads(run.stdout.splitlines()[-1]))
    assert len(seen[0]) == 11
    for ours, theirs in zip(*seen, strict=True):
        assert [a for a in ours if not isinstance(a, float)] == [
            b for b in theirs if not isinstance(b, float)
        ]
        numbers = [[a for a in row if isinstance(a, float)] for row in (ours, theirs)]
        assert numbers[0] == pytest.approx(numbers[1], rel=2e-3)
