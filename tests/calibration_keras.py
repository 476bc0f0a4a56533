"""The nets of the calibration in Keras: attention, whose kernels have three axes."""

from __future__ import annotations

import os

os.environ.setdefault("KERAS_BACKEND", "jax")

import keras  # noqa: E402  # the backend is chosen before
import numpy as np  # noqa: E402
from calibration_nets import INPUTS, Net, labels_by, smooth_images, teacher  # noqa: E402


def attention(rng, broken=None):
    """Patches of images under attention and a dense layer, each a branch."""
    d, heads, classes, count = int(rng.choice([32, 64])), 4, 5, int(rng.integers(1, 3))
    images = smooth_images(rng, INPUTS // 2)
    x = images.reshape(len(images), 8, 8).astype(np.float32)
    inputs = keras.Input((8, 8))
    stream = keras.layers.Dense(d, name="embed")(inputs)
    for k in range(count):
        h = keras.layers.LayerNormalization(name=f"norm{k}")(stream)
        h = keras.layers.MultiHeadAttention(heads, d // heads, name=f"attention{k}")(h, h)
        stream = keras.layers.Add()([stream, h])
        h = keras.layers.LayerNormalization(name=f"norm_mlp{k}")(stream)
        h = keras.layers.Dense(2 * d, "relu", name=f"wide{k}")(h)
        h = keras.layers.Dense(d, name=f"narrow{k}")(h)
        stream = keras.layers.Add()([stream, h])
    h = keras.layers.LayerNormalization(name="norm")(stream)
    h = keras.layers.GlobalAveragePooling1D()(h)
    model = keras.Model(inputs, keras.layers.Dense(classes, name="head")(h))
    for variable in model.trainable_variables:
        if len(variable.shape) < 2:
            continue
        shape, path = variable.shape, variable.path
        is_output = "attention_output" in path
        fan_in = shape[0] * shape[1] if is_output else shape[0]
        if broken and "attention" in path:  # a convolution has places on the first axis
            fan_in = shape[0] * shape[1]
        gain = 2.0 if "wide" in path else 1.0
        if is_output or "narrow" in path:
            gain /= 2 * count
        variable.assign(rng.standard_normal(shape) * np.sqrt(gain / fan_in))
    y = labels_by(rng, teacher(rng, images)[:, 0], np.full(classes, 1 / classes))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    return Net(model, x, y, {"loss": loss})


def rank_three(rng, broken):
    """Kernels of attention, drawn with the fans of a convolution."""
    net = attention(rng, broken)
    net.leading = {"fans": ("attention0",)}
    return net


HEALTHY = {"attention, Keras": (attention, 4)}
BROKEN: dict = {}
NAMED = {"rank-three kernels": (rank_three, 6)}
