"""The nets of the calibration that need NumPy alone: healthy ones, and faults with their twins.

Every function draws one `Net` from a generator. A fault's takes `broken` too: without it, the same
draws give the healthy twin, which differs by the fault and by nothing else. `HEALTHY` and `BROKEN`
name the functions and say how many nets of each there are; `NAMED` has deviations that cost little.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from initcore import blocks, datasets, network, optimizers, theory
from initcore.initializers import (
    GlorotNormal,
    GlorotUniform,
    HeNormal,
    HeUniform,
    LecunNormal,
    Orthogonal,
    VarianceScaling,
    Zeros,
)

INPUTS = 128  # in a batch
MOST = 3_000_000  # weights in the hidden layers of a net
SIDE = 8  # of the images, in pixels
DIGITS = datasets.split(datasets.load_digits(), seed=0).train
RAW = datasets.split(datasets.load_digits(), seed=0, standardize=False).train.x
ANY = ...  # no layer is clearly the first


@dataclass
class Net:
    """A model and its batch, and what `diagnose` should say of them.

    `leading` has for each code that is right as the leading finding the layers it may name: an
    index among those with weights, the beginning of a name, None for the net as a whole; or `ANY`.
    """

    model: Any
    x: Any
    y: Any
    options: dict[str, Any] = field(default_factory=dict)
    leading: dict[str, Any] = field(default_factory=dict)


# ---- batches ---------------------------------------------------------------------------------


def smooth_images(rng, count, channels=1, side=SIDE):
    """Return images of a few low frequencies, (count, side, side, channels), standardised."""
    u = (np.arange(side) + 0.5) * np.pi / side
    waves = np.array([np.cos(k * u) for k in range(4)])
    size = 1 / (1 + np.hypot(*np.meshgrid(range(4), range(4))))
    coefficients = rng.standard_normal((count, 4, 4, channels)) * size[:, :, None]
    x = np.einsum("bklc,kx,ly->bxyc", coefficients, waves, waves)
    return (x - x.mean()) / x.std()


def teacher(rng, x, outputs=1):
    """Return smooth functions of the inputs, standardised."""
    x = x.reshape(len(x), -1)
    y = np.sin(2 * x @ rng.standard_normal((x.shape[1], outputs)) / np.sqrt(x.shape[1]))
    return (y - y.mean(axis=0)) / y.std(axis=0)


def labels_by(rng, scores, frequencies):
    """Return labels drawn with these frequencies, and given in the order of the scores."""
    y = np.empty(len(scores), dtype=np.int64)
    counts = rng.multinomial(len(scores), frequencies)
    y[np.argsort(scores)] = np.repeat(np.arange(len(counts)), counts)
    return y


def class_frequencies(rng, task):
    classes = int(rng.choice([2, 5, 10]))
    if task == "balanced":
        return np.full(classes, 1 / classes)
    if classes == 2:
        rare = rng.choice([0.05, 0.1, 0.2])
        return np.array([1 - rare, rare])
    falling = 1 / np.arange(1, classes + 1)
    return falling / falling.sum()


def draw_inputs(rng, kind=None, features=None):
    """Return inputs of a kind, standardised, and for digits what they are."""
    kind = kind or rng.choice(["gaussian", "digits", "smooth"])
    if kind == "digits":
        rows = rng.choice(len(DIGITS.y), INPUTS, replace=False)
        return DIGITS.x[rows], DIGITS.y[rows]
    if kind == "smooth":
        return smooth_images(rng, INPUTS).reshape(INPUTS, -1), None
    return rng.standard_normal((INPUTS, features or int(rng.choice([32, 64, 128, 256])))), None


def draw_task(rng, kind=None, task=None, features=None):
    """Return x, y, and the right biases of the last layer, one for each output."""
    x, digits = draw_inputs(rng, kind, features)
    task = task or rng.choice(["balanced", "balanced", "unbalanced", "regression"])
    if task == "regression":
        outputs, middle = int(rng.choice([1, 3])), rng.choice([0.0, 0.0, 5.0])
        return x, teacher(rng, x, outputs) + middle, np.full(outputs, middle)
    if task == "balanced" and digits is not None:
        return x, digits, np.zeros(10)
    frequencies = class_frequencies(rng, task)
    y = labels_by(rng, teacher(rng, x)[:, 0], frequencies)
    return x, y, np.log(frequencies) * (task == "unbalanced")


# ---- plain nets ------------------------------------------------------------------------------


@dataclass
class Start:
    """A row of the summary's table: an activation, its weights, and how deep they carry it."""

    activation: str
    weights: tuple
    depths: tuple[int, int]
    narrowest: int = 32


def scaled(gain):
    return VarianceScaling(gain**2)


HE = (HeNormal(), HeUniform())
GLOROT = (GlorotUniform(), GlorotNormal())
STARTS = {
    "linear": Start("linear", (LecunNormal(),), (2, 50)),
    "linear, orthogonal": Start("linear", (Orthogonal(),), (2, 50)),
    "tanh, orthogonal": Start("tanh", (Orthogonal(),), (10, 50)),
    "tanh": Start("tanh", GLOROT, (2, 10)),
    "softsign": Start("softsign", GLOROT, (2, 10)),
    "sigmoid": Start("sigmoid", GLOROT, (2, 3)),
    "sigmoid, gain 4": Start("sigmoid", (scaled(4),), (4, 6)),
    "centred sigmoid, gain 4": Start("centred_sigmoid", (scaled(4),), (4, 10)),
    "ReLU": Start("relu", HE, (2, 30), 64),
    "leaky ReLU": Start("leaky_relu", (VarianceScaling(2 / (1 + 0.01**2)),), (2, 30), 64),
    "SELU": Start("selu", (LecunNormal(),), (2, 50)),
    "GELU": Start("gelu", HE, (2, 10)),
    "SiLU": Start("silu", HE, (2, 10)),
    "ELU, its forward gain": Start("elu", (scaled(theory.forward_gain("elu")),), (2, 10)),
    "GELU, its forward gain": Start("gelu", (scaled(theory.forward_gain("gelu")),), (2, 10)),
}
RELU, TANH = STARTS["ReLU"], STARTS["tanh"]


def draw_shape(rng, depths, narrowest=32):
    """Return a depth and a width that is at least twice the depth."""
    depth = int(np.exp(rng.uniform(np.log(depths[0]), np.log(depths[1] + 1))))
    enough = [n for n in (32, 64, 128, 256, 512) if n >= max(2 * depth, narrowest)]
    return depth, int(rng.choice([n for n in enough if n * n * depth <= MOST]))


def last_layer(rng, weights, task_is_regression):
    """Return what people give the last layer: the same, or smaller, or zero."""
    small = (LecunNormal(), VarianceScaling(0.01), Zeros())
    return rng.choice([*small] if task_is_regression else [weights, *small])


def plain(
    rng,
    start=None,
    *,
    kind=None,
    task=None,
    features=None,
    depths=None,
    widths=None,
    last=None,
    dtype="float64",
):
    """Return an `MLP` as the summary recommends it, with its batch; `widths` of hidden layers."""
    start = start or STARTS[rng.choice(["ReLU", "tanh", "leaky ReLU", "SELU", "GELU"])]
    x, y, biases = draw_task(rng, kind, task, features)
    depth, width = draw_shape(rng, depths or start.depths, start.narrowest)
    weights = rng.choice(start.weights)
    last = last or last_layer(rng, weights, y.ndim == 2)
    hidden = widths or [width] * depth
    net = network.MLP(
        (x.shape[1], *hidden, len(biases)),
        start.activation,
        weights=[weights] * len(hidden) + [last],
        seed=int(rng.integers(2**31)),
        dtype=dtype,
    )
    net.biases[-1][:] = biases
    return Net(net, x, y)


def as_arrays(net):
    """Return the same net as a list of (W, b, activation)."""
    mlp = net.model
    names = [mlp.activation.name] * mlp.depth + ["linear"]
    net.model = [(W, b, name) for W, b, name in zip(mlp.weights, mlp.biases, names)]
    return net


def arrays(rng):
    """A plain net as arrays, some in float32, some without biases, their widths mixed."""
    start = STARTS[rng.choice(["tanh", "ReLU", "leaky ReLU", "SELU", "GELU"])]
    depth, width = draw_shape(rng, (start.depths[0], min(start.depths[1], 10)), start.narrowest)
    widths = [width * int(factor) for factor in rng.choice([1, 1, 2], depth)]
    net = plain(rng, start, widths=widths, dtype=rng.choice(["float32", "float64"]))
    net = as_arrays(net)
    if rng.random() < 0.3 and not net.model[-1][1].any():
        net.model = [(W, None, name) for W, _, name in net.model]
    return net


def zero_output(rng):
    """A zero output layer, which is legal."""
    return plain(rng, last=Zeros(), task=rng.choice(["balanced", "unbalanced", "regression"]))


def another_rule(rng):
    """A shallow net with a neighbour's rule: it deviates, and trains."""
    activation, weights = [
        ("relu", GLOROT[0]),
        ("relu", LecunNormal()),
        ("tanh", HeNormal()),
        ("gelu", LecunNormal()),
    ][rng.integers(4)]
    return plain(rng, Start(activation, (weights,), (2, 3), 64))


def with_optimizer(rng):
    """A plain net and the optimizer it is to be trained with."""
    net = plain(rng, depths=(2, 10))
    steps = [optimizers.SGD(0.01), optimizers.SGD(0.05, 0.9), optimizers.Adam(), "sgd", "adam"]
    net.options["optimizer"] = steps[rng.integers(len(steps))]
    return net


# ---- normalised and residual ones --------------------------------------------------------------


def batch_normalised(rng, broken=None):
    x, y, biases = draw_task(rng)
    depth, width = draw_shape(rng, (2, 10))
    activation, weights = [("relu", HeNormal()), ("tanh", GLOROT[0])][rng.integers(2)]
    net = blocks.BatchNormMLP(
        (x.shape[1], *[width] * depth, len(biases)),
        activation,
        weights=[weights] * depth + [LecunNormal()],
        scales="zeros" if broken else "ones",
        seed=int(rng.integers(2**31)),
    )
    net.biases[-1][:] = biases
    return Net(net, x, y)


def residual(rng, broken=None):
    """Branches whose last layers are zero, or divided by √L, or scaled by it."""
    x, y, biases = draw_task(rng)
    width, count = int(rng.choice([64, 128, 256])), int(rng.integers(2, 25))
    way = rng.choice(["zero", "divided", "scaled"])
    inside, end = HeNormal(), LecunNormal()
    if way == "zero" and not broken:
        end = Zeros()
    elif way == "divided" and not broken:
        end = VarianceScaling(1 / count)
    net = blocks.ResidualMLP(
        (x.shape[1], width, len(biases)),
        "relu",
        blocks=count,
        branch_scale=1 / np.sqrt(count) if way == "scaled" and not broken else 1.0,
        weights=[LecunNormal(), *[inside, end] * count, LecunNormal()],
        seed=int(rng.integers(2**31)),
    )
    net.biases[-1][:] = biases
    return Net(net, x, y)


def normalised_residual(rng):
    x, y, biases = draw_task(rng)
    width, count = int(rng.choice([64, 128, 256])), int(rng.integers(2, 20))
    net = blocks.ResidualMLP(
        (x.shape[1], width, len(biases)),
        "relu",
        blocks=count,
        normalise=True,
        scales="zeros" if rng.random() < 0.7 else "ones",
        weights=[LecunNormal(), *[HeNormal()] * (2 * count), VarianceScaling(0.1)],
        seed=int(rng.integers(2**31)),
    )
    net.biases[-1][:] = biases
    return Net(net, x, y)


# ---- faults --------------------------------------------------------------------------------


def hidden_layer(rng, mlp):
    return int(rng.integers(mlp.depth))


def redraw(mlp, rng, stddev):
    """Draw the hidden weights anew, normal, each with the standard deviation of its shape."""
    for W in mlp.weights[:-1]:
        W[:] = rng.standard_normal(W.shape) * stddev(*W.shape)


def not_finite(rng, broken):
    """One weight or all of a layer, or a number of the inputs, is NaN or infinite."""
    net = plain(rng)
    k, way, bad = hidden_layer(rng, net.model), rng.integers(3), rng.choice([np.nan, np.inf])
    if way == 2:
        net.x = net.x.copy()
    values = [net.model.weights[k], net.model.weights[k][:1], net.x[:1]][way]
    if broken:
        values.reshape(-1)[: 1 if way == 1 else None] = bad
    net.leading = {"not-finite": (k,) if way < 2 else (None, 0)}
    return net if rng.random() < 0.5 else as_arrays(net)


def never_initialised(rng, broken):
    """What lay in the memory: here and there a number that is huge."""
    net = plain(rng, dtype="float32")
    k = hidden_layer(rng, net.model)
    junk = np.zeros_like(net.model.weights[k])
    some = rng.random(junk.shape) < rng.choice([0.01, 0.1, 1.0])
    some[0, 0] = True
    junk[some] = rng.choice([1.0, -1.0], some.sum()) * 10.0 ** rng.uniform(20, 37, some.sum())
    if broken:
        net.model.weights[k][:] = junk
    # The sums of the layer are finite or not; its weights are far too large in any case.
    net.leading = {"not-finite": (k, k + 1), "weight-scale": (k,), "forward-explodes": (k,)}
    return net if rng.random() < 0.5 else as_arrays(net)


def equal_units(rng, broken):
    """From some layer on all units of a layer are equal, and so are their outgoing weights."""
    net = plain(rng, RELU if rng.random() < 0.5 else TANH, depths=(2, 10), last=LecunNormal())
    k = int(rng.choice([0, hidden_layer(rng, net.model)]))
    way = rng.choice(["constant", "zero", "copies"])
    for W in net.model.weights[k:] if broken else []:
        value = {"constant": abs(W).mean(), "zero": 0.0, "copies": W[:, :1]}[way]
        W[:] = value
        if way == "copies":
            W[:] = W[:1] if W is not net.model.weights[k] else W
    net.leading = {"equal-units": (k,)}
    return net


def one_seed(rng, broken):
    """One initializer that carries an integer seed, in all layers."""
    net = plain(rng, depths=(3, 20), last=LecunNormal())
    mlp = net.model
    same = [k for k in range(mlp.depth) if mlp.weights[k].shape == mlp.weights[1].shape]
    for k in same[1:] if broken else []:
        mlp.weights[k][:] = mlp.weights[same[0]]
    net.leading = {"equal-layers": (same[0], same[1])}
    return net


def raw_pixels(rng, broken):
    """Pixels from 0 to 255, or digits from 0 to 16, as they are."""
    kind = rng.choice(["digits", "smooth"])
    net = plain(rng, kind=kind)
    top = 255 if kind == "smooth" else rng.choice([16, 255])
    if broken and kind == "digits":  # undo what `split` did
        net.x = (net.x * RAW.std(axis=0) + RAW.mean(axis=0)) * (top / 16)
    elif broken:
        net.x = (net.x - net.x.min()) / np.ptp(net.x) * top
    net.leading = {"input-scale": (None, 0)}
    return net


def constant_inputs(rng, broken):
    """Every input is the same, as after a division that makes all pixels zero or one."""
    net = plain(rng)
    if broken:
        net.x = np.tile(net.x[:1], (len(net.x), 1)) * rng.choice([0.0, 1.0])
    net.leading = {"input-constant": (None, 0)}
    if not net.x.any():  # their mean square is far from 1 too
        net.leading["input-scale"] = (None, 0)
    return net


def wrong_labels(rng, broken):
    """Labels from one on, one that is negative, or all of one class."""
    net = plain(rng, task="balanced")
    way = rng.choice(["from one", "negative", "one class"])
    if broken:
        net.y = {"from one": net.y + 1, "negative": net.y - 1, "one class": net.y * 0 + net.y[0]}[
            way
        ]
    net.leading = {"labels": (None, net.model.depth)}
    return net


def zero_scales(rng, broken):
    net = batch_normalised(rng, broken)
    net.leading = {"zero-scales": ("norm 1",)}
    return net


def tapered(rng, broken):
    """He's weights of a net that gets narrower, by what goes out in place of what comes in."""
    ratio, depth = [(2, 6), (4, 3)][rng.integers(2)]
    hidden = [1024 // ratio**k for k in range(1, depth + 1)]
    net = plain(rng, RELU, kind="gaussian", features=1024, widths=hidden, last=LecunNormal())
    for W in net.model.weights[:-1] if broken else []:
        W *= np.sqrt(W.shape[0] / W.shape[1])
    net.leading = {"fans": (0,)}
    return net


def sd_for_variance(rng, broken):
    """The variance is handed over as the standard deviation."""
    net = plain(rng, RELU if rng.random() < 0.5 else TANH)
    factor = 2 if net.model.activation.name == "relu" else 1
    if broken:
        redraw(net.model, rng, lambda fan_in, _: factor / fan_in)
    net.leading = {"weight-scale": (0,), "forward-vanishes": (0,)}
    return net


def gain_forgotten(rng, broken):
    """LeCun's or Glorot's weights in a deep net of ReLUs."""
    net = plain(rng, RELU, depths=(15, 50), last=LecunNormal())
    if broken:
        redraw(net.model, rng, lambda fan_in, fan_out: np.sqrt(2 / (fan_in + fan_out)))
    net.leading = {"weight-scale": (0, 1), "forward-vanishes": ANY}
    return net


def relu_gain_for_tanh(rng, broken):
    """He's weights, or larger ones, in a deep net of tanh."""
    net = plain(rng, STARTS["tanh, orthogonal"], depths=(30, 50), last=LecunNormal())
    gain = np.sqrt(2) * rng.choice([1.5, 2.0])
    if broken:
        redraw(net.model, rng, lambda fan_in, _: gain / np.sqrt(fan_in))
    net.leading = {"weight-scale": (0, 1), "backward-explodes": ANY, "saturated": ANY}
    return net


def small_weights(rng, broken):
    net = plain(rng, depths=(4, 30))
    stddev = rng.choice([0.01, 0.001])
    if broken:
        redraw(net.model, rng, lambda *_: stddev)
    net.leading = {"weight-scale": (0,), "forward-vanishes": (0, 1)}
    return net


def large_weights(rng, broken):
    net = plain(rng, depths=(4, 30))
    stddev = rng.choice([0.5, 1.0])
    if broken:
        redraw(net.model, rng, lambda *_: stddev)
    net.leading = dict.fromkeys(["weight-scale", "forward-explodes", "saturated"], (0,))
    return net


def one_layer(rng, broken):
    """The weights of one layer are far too large or too small."""
    net = plain(rng, depths=(3, 30), last=LecunNormal())
    k, factor = hidden_layer(rng, net.model), rng.choice([1e-3, 100.0])
    if broken:
        net.model.weights[k] *= factor
    codes = ["weight-scale", "forward-explodes" if factor > 1 else "forward-vanishes"]
    net.leading = dict.fromkeys(codes, (k,))
    if factor > 1 and net.model.activation.name == "tanh":
        net.leading["saturated"] = (k,)
    return net if rng.random() < 0.5 else as_arrays(net)


def deadly_biases(rng, broken):
    """Biases that keep a ReLU at zero for every input, in one layer or in all."""
    net = plain(rng, RELU, depths=(2, 20))
    k, size = int(rng.choice([0, hidden_layer(rng, net.model)])), rng.choice([5.0, 10.0, 100.0])
    for b in net.model.biases[k : k + 1 if rng.random() < 0.5 else -1] if broken else []:
        b[:] = -size
    net.leading = {"bias-scale": (k,), "dead-units": (k,)}
    return net if rng.random() < 0.5 else as_arrays(net)


def large_output(rng, broken):
    net = plain(rng, task=rng.choice(["balanced", "unbalanced"]), last=LecunNormal())
    if broken:
        net.model.weights[-1] *= rng.choice([50.0, 100.0])
    last = net.model.depth
    net.leading = {"first-loss": (None, last), "weight-scale": (last,)}
    return net


def zero_class_bias(rng, broken):
    """One class is frequent, and the biases of the last layer do not say so."""
    net = plain(rng, task="balanced", kind="gaussian", last=VarianceScaling(0.01))
    classes = net.model.widths[-1]
    frequencies = np.full(classes, rng.choice([0.03, 0.05]) / (classes - 1))
    frequencies[0] = 1 - frequencies[1:].sum()
    net.y = labels_by(rng, teacher(rng, net.x)[:, 0], frequencies)
    net.model.biases[-1][:] = 0 if broken else np.log(frequencies)
    net.leading = {"class-bias": (None, net.model.depth)}
    return net if rng.random() < 0.5 else as_arrays(net)


def large_targets(rng, broken):
    """Targets of regression in their own unit, a hundred or a thousand from zero."""
    net = plain(rng, task="regression")
    size = rng.choice([30.0, 100.0, 1000.0])
    if broken:
        net.y, net.model.biases[-1][:] = net.y * size + size, 0
    net.leading = {"target-scale": (None, net.model.depth)}
    return net


def doubling_stream(rng, broken):
    """Residual branches without a zero or a √L: the stream doubles with every block."""
    net = residual(rng, broken)
    if net.model.depth < 21:  # eight blocks or more: a factor of sixteen
        return doubling_stream(rng, broken)
    net.leading = {"residual-growth": ANY, "forward-explodes": ANY}
    return net


def first_step(rng, broken):
    """A rate at which the first step is larger than the weights."""
    net = plain(rng, depths=(2, 10), last=LecunNormal())
    options = [
        (optimizers.Adam(0.001), optimizers.Adam(rng.choice([0.5, 1.0]))),
        (optimizers.SGD(0.01), optimizers.SGD(rng.choice([100.0, 1000.0]))),
    ]
    net.options["optimizer"] = options[rng.integers(2)][broken]
    net.leading = {"first-step": ANY}
    return net


def deep_sigmoids(rng, broken):
    net = plain(rng, STARTS["centred sigmoid, gain 4"], depths=(6, 10), last=LecunNormal())
    if broken:
        mlp = net.model
        weights = [GlorotUniform()] * mlp.depth + [LecunNormal()]
        seed = int(rng.integers(2**31))
        biases = mlp.biases[-1]
        net.model = network.MLP(mlp.widths, "sigmoid", weights=weights, seed=seed)
        net.model.biases[-1][:] = biases
    codes = ["inputs-alike", "forward-vanishes", "backward-vanishes", "weight-scale"]
    net.leading = dict.fromkeys(codes, ANY)
    return net


def from_start(name):
    return lambda rng: plain(rng, STARTS[name])


HEALTHY = {
    **{name: (from_start(name), 8) for name in STARTS},
    "arrays, mixed widths, float32": (arrays, 16),
    "zero output layer": (zero_output, 8),
    "another rule, two or three layers": (another_rule, 8),
    "with an optimizer": (with_optimizer, 10),
    "batch normalisation": (batch_normalised, 14),
    "residual": (residual, 16),
    "residual, normalised": (normalised_residual, 12),
}
BROKEN = {
    "not finite": (not_finite, 12),
    "never initialised": (never_initialised, 10),
    "equal units": (equal_units, 14),
    "one seeded initializer": (one_seed, 14),
    "raw pixels": (raw_pixels, 12),
    "constant inputs": (constant_inputs, 6),
    "wrong labels": (wrong_labels, 12),
    "zero scales": (zero_scales, 8),
    "fan_out in a tapered net": (tapered, 12),
    "sd taken for variance": (sd_for_variance, 12),
    "ReLU's gain forgotten": (gain_forgotten, 12),
    "ReLU's gain for tanh": (relu_gain_for_tanh, 10),
    "small weights": (small_weights, 10),
    "large weights": (large_weights, 10),
    "one layer's scale": (one_layer, 16),
    "deadly biases": (deadly_biases, 14),
    "large output layer": (large_output, 10),
    "zero class biases": (zero_class_bias, 12),
    "large targets": (large_targets, 8),
    "doubling stream": (doubling_stream, 12),
    "first step too large": (first_step, 10),
    "deep sigmoids": (deep_sigmoids, 8),
}
NAMED: dict = {}
