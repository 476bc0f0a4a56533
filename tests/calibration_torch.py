"""The nets of the calibration in PyTorch: convolutions, normalisation, transformers.

As in `calibration_nets`: a function draws one `Net`, a fault's takes `broken`. All weights come
from NumPy's generator, so that they do not depend on PyTorch's.
"""

from __future__ import annotations

import copy
from collections import OrderedDict

import numpy as np
import torch
from calibration_nets import (
    INPUTS,
    Net,
    class_frequencies,
    draw_task,
    labels_by,
    smooth_images,
    teacher,
)
from torch import nn
from torch.nn import functional

CONVOLUTIONS = (nn.Conv2d, nn.ConvTranspose2d)


def normal_(parameter, rng, stddev):
    """Fill a parameter with normal weights."""
    values = rng.standard_normal(tuple(parameter.shape)) * stddev
    parameter.data.copy_(torch.from_numpy(np.asarray(values, dtype=np.float32)))


def products(layer):
    """Return the true fan_in of a layer: how many products meet in an output."""
    if isinstance(layer, nn.Linear):
        return layer.in_features
    places = np.prod(layer.kernel_size)
    if isinstance(layer, nn.ConvTranspose2d):
        places = places / np.prod(layer.stride)
    return layer.in_channels // layer.groups * places


def start(model, rng, gain=2.0, last=None, last_gain=1.0):
    """Give all layers normal weights of variance gain / fan_in, and zero biases."""
    for layer in model.modules():
        if isinstance(layer, (nn.Linear, *CONVOLUTIONS)):
            share = last_gain if layer is last else gain
            normal_(layer.weight, rng, np.sqrt(share / products(layer)))
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
    return model


def tensor(values):
    values = np.asarray(values)
    kind = np.int64 if values.dtype.kind == "i" else np.float32
    return torch.from_numpy(values.astype(kind))


def image_task(rng, channels, side, task=None):
    """Return images as PyTorch has them, labels or targets, and the right output biases."""
    x = smooth_images(rng, INPUTS // 2, channels, side)
    if rng.random() < 0.3:
        x = rng.standard_normal(x.shape)
    task = task or rng.choice(["balanced", "balanced", "unbalanced", "regression"])
    values = teacher(rng, x)
    x = tensor(np.moveaxis(x, -1, 1).copy())
    if task == "regression":
        return x, tensor(values), np.zeros(1)
    frequencies = class_frequencies(rng, task)
    y = labels_by(rng, values[:, 0], frequencies)
    return x, tensor(y), np.log(frequencies) * (task == "unbalanced")


# ---- convolutions ------------------------------------------------------------------------------


def convolutional(rng, kind="plain", task=None):
    """A stack of convolutions under an average, or flattened, and a linear layer."""
    channels, side = int(rng.choice([1, 3])), int(rng.choice([8, 16]))
    x, y, biases = image_task(rng, channels, side, task)
    width, depth = int(rng.choice([16, 32, 64])), int(rng.integers(2, 9))
    parts, before = OrderedDict(), channels
    for k in range(depth):
        groups = {"grouped": 4, "depthwise": width}.get(kind, 1) if k and k % 2 else 1
        stride = 2 if k in (1, 3) and side >= 8 else 1
        size = int(rng.choice([3, 3, 5]))
        parts[f"conv{k}"] = nn.Conv2d(
            before, width, size, stride=stride, padding=size // 2, groups=groups, bias=kind != "bn"
        )
        if kind == "bn":
            parts[f"bn{k}"] = nn.BatchNorm2d(width)
        parts[f"relu{k}"] = nn.ReLU(inplace=bool(rng.random() < 0.3))
        before, side = width, -(-side // stride)
    if rng.random() < 0.5:
        parts["pool"], side = nn.AdaptiveAvgPool2d(1), 1
    parts["flat"] = nn.Flatten()
    parts["head"] = nn.Linear(width * side * side, len(biases))
    model = start(nn.Sequential(parts), rng, last=parts["head"])
    parts["head"].bias.data.copy_(tensor(biases.astype(float)))
    return Net(model, x, y)


def normalised_convolutional(rng):
    return convolutional(rng, "bn")


def grouped(rng):
    return convolutional(rng, rng.choice(["grouped", "depthwise"]))


def transposed(rng):
    """An autoencoder of images: strided convolutions down, transposed ones up."""
    x = tensor(np.moveaxis(smooth_images(rng, INPUTS // 2, 1, 16), -1, 1).copy())
    width = int(rng.choice([16, 32]))
    model = nn.Sequential(
        nn.Conv2d(1, width, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Conv2d(width, width, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.ConvTranspose2d(width, width, 4, stride=2, padding=1),
        nn.ReLU(),
        nn.ConvTranspose2d(width, width, 4, stride=2, padding=1),
        nn.ReLU(),
        last := nn.Conv2d(width, 1, 3, padding=1),
    )
    return Net(start(model, rng, last=last, last_gain=0.1), x, x.clone())


class ResidualConvolutions(nn.Module):
    """Blocks of two normalised convolutions, whose last γ is zero."""

    def __init__(self, channels, width, count, outputs):
        super().__init__()
        self.stem = nn.Conv2d(channels, width, 3, padding=1, bias=False)
        self.bn = nn.BatchNorm2d(width)
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(width, width, 3, padding=1, bias=False),
                nn.BatchNorm2d(width),
                nn.ReLU(),
                nn.Conv2d(width, width, 3, padding=1, bias=False),
                nn.BatchNorm2d(width),
            )
            for _ in range(count)
        )
        self.head = nn.Linear(width, outputs)

    def forward(self, x):
        x = functional.relu(self.bn(self.stem(x)))
        for block in self.blocks:
            x = functional.relu(x + block(x))
        return self.head(x.mean(dim=(2, 3)))


def residual_convolutional(rng):
    x, y, biases = image_task(rng, 3, 8)
    count = int(rng.integers(2, 9))
    model = ResidualConvolutions(3, int(rng.choice([16, 32])), count, len(biases))
    start(model, rng, last=model.head)
    model.head.bias.data.copy_(tensor(biases.astype(float)))
    if rng.random() < 0.7:
        for block in model.blocks:
            nn.init.zeros_(block[-1].weight)
    return Net(model, x, y)


# ---- dense ones --------------------------------------------------------------------------------


def dense(rng, norm=None, depths=(2, 10), task=None):
    x, y, biases = draw_task(rng, task=task)
    width, depth = int(rng.choice([64, 128, 256])), int(rng.integers(*depths))
    parts, before = [], x.shape[1]
    for _ in range(depth):
        parts += [nn.Linear(before, width), *([norm(width)] if norm else []), nn.ReLU()]
        before = width
    parts.append(nn.Linear(width, len(biases)))
    model = start(nn.Sequential(*parts), rng, last=parts[-1])
    parts[-1].bias.data.copy_(tensor(biases.astype(float)))
    return Net(model, tensor(x), tensor(y))


def layer_normalised(rng):
    return dense(rng, nn.LayerNorm)


def batch_normalised(rng):
    return dense(rng, nn.BatchNorm1d)


def defaults(rng):
    """Two or three layers as PyTorch makes them: they deviate, and train."""
    net = dense(rng, depths=(2, 4), task="balanced")
    for layer in net.model:
        if isinstance(layer, nn.Linear):
            bound = 1 / np.sqrt(layer.in_features)
            for parameter in (layer.weight, layer.bias):
                values = rng.uniform(-bound, bound, tuple(parameter.shape))
                parameter.data.copy_(tensor(values))
    net.options["loss"] = nn.CrossEntropyLoss()
    return net


def one_logit(rng):
    """Two classes by one logit, with its own loss."""
    net = dense(rng, task="balanced")
    head = net.model[-1]
    rare = float(rng.choice([0.5, 0.1, 0.05]))
    net.model[-1] = nn.Linear(head.in_features, 1)
    normal_(net.model[-1].weight, rng, 0.3 / np.sqrt(head.in_features))
    nn.init.constant_(net.model[-1].bias, np.log(rare / (1 - rare)))
    scores = teacher(rng, net.x.numpy())[:, 0]
    net.y = tensor(labels_by(rng, scores, [1 - rare, rare]).astype(float))[:, None]
    net.options["loss"] = nn.BCEWithLogitsLoss()
    return net


# ---- transformers --------------------------------------------------------------------------------


class Block(nn.Module):
    """Attention and two layers, each a branch, normalised where it begins."""

    def __init__(self, d, heads, causal=True):
        super().__init__()
        self.ln_1, self.ln_2 = nn.LayerNorm(d), nn.LayerNorm(d)
        self.c_attn, self.attn_proj = nn.Linear(d, 3 * d), nn.Linear(d, d)
        self.c_fc, self.c_proj = nn.Linear(d, 4 * d), nn.Linear(4 * d, d)
        self.heads, self.causal = heads, causal

    def forward(self, x):
        shape = (*x.shape[:2], self.heads, x.shape[2] // self.heads)
        q, k, v = (
            part.view(shape).transpose(1, 2) for part in self.c_attn(self.ln_1(x)).chunk(3, 2)
        )
        mixed = functional.scaled_dot_product_attention(q, k, v, is_causal=self.causal)
        x = x + self.attn_proj(mixed.transpose(1, 2).reshape(x.shape))
        return x + self.c_proj(functional.gelu(self.c_fc(self.ln_2(x))))


class Transformer(nn.Module):
    """A small GPT for tokens, or with `patches` a classifier of images."""

    def __init__(self, vocabulary, places, d, count, *, tied=False, patches=None):
        super().__init__()
        self.patches = patches
        self.wte = nn.Embedding(vocabulary, d) if not patches else nn.Linear(patches, d)
        self.wpe = nn.Embedding(places, d)
        self.blocks = nn.ModuleList(Block(d, 4, not patches) for _ in range(count))
        self.ln_f = nn.LayerNorm(d)
        self.head = nn.Linear(d, vocabulary, bias=bool(patches))
        if tied:
            self.head.weight = self.wte.weight

    def forward(self, x):
        x = self.wte(x) + self.wpe.weight[: x.shape[1]]
        for block in self.blocks:
            x = block(x)
        x = self.ln_f(x)
        return self.head(x.mean(dim=1) if self.patches else x)


def tokens(rng, vocabulary, rows=16, places=24, zipf=False):
    """Return sequences in which the next token mostly follows from the one before."""
    chances = 1 / np.arange(1, vocabulary + 1) if zipf else np.ones(vocabulary)
    chances = chances / chances.sum()
    follows = rng.permutation(vocabulary)
    seen = [rng.choice(vocabulary, rows, p=chances)]
    for _ in range(places):
        free = rng.choice(vocabulary, rows, p=chances)
        seen.append(np.where(rng.random(rows) < 0.5, free, follows[seen[-1]]))
    seen = np.stack(seen, axis=1)
    return tensor(seen[:, :-1]), tensor(seen[:, 1:])


def as_gpt(model, rng, deep=True, embedding=0.02):
    """Fill a transformer with 0.02, and the last layer of each branch as GPT-2 does."""
    for name, parameter in model.named_parameters():
        if parameter.ndim < 2:
            continue
        stddev = 0.02
        if name.endswith(("attn_proj.weight", "c_proj.weight")) and deep:
            stddev /= np.sqrt(2 * len(model.blocks))
        if name.startswith(("wte", "wpe")):
            stddev = embedding
        if name == "wte.weight" and model.patches:
            stddev = 1 / np.sqrt(model.patches)
        normal_(parameter, rng, stddev)
    for layer in model.modules():
        if isinstance(layer, nn.Linear) and layer.bias is not None:
            nn.init.zeros_(layer.bias)
    return model


def gpt(rng, count=None, d=None, tied=None, **options):
    vocabulary, zipf = int(rng.choice([32, 128])), rng.random() < 0.3
    d = d or int(rng.choice([64, 128, 192]))
    count = count or int(rng.integers(2, 9))
    tied = bool(rng.random() < 0.5) if tied is None else tied
    x, y = tokens(rng, vocabulary, zipf=zipf)
    return Net(as_gpt(Transformer(vocabulary, 24, d, count, tied=tied), rng, **options), x, y)


def patches(rng):
    x = smooth_images(rng, INPUTS // 2, 1, 16)
    classes = int(rng.choice([2, 10]))
    y = labels_by(rng, teacher(rng, x)[:, 0], np.full(classes, 1 / classes))
    x = x[..., 0].reshape(-1, 4, 4, 4, 4).swapaxes(2, 3).reshape(len(x), 16, 16)
    model = Transformer(
        classes, 16, int(rng.choice([64, 128])), int(rng.integers(2, 7)), patches=16
    )
    return Net(as_gpt(model, rng), tensor(x), tensor(y))


# ---- faults --------------------------------------------------------------------------------


class Encoder(nn.Module):
    """Layers of `nn.TransformerEncoderLayer` over embedded tokens."""

    def __init__(self, layers, vocabulary, d):
        super().__init__()
        self.wte = nn.Embedding(vocabulary, d)
        self.layers = nn.ModuleList(layers)
        self.head = nn.Linear(d, vocabulary)

    def forward(self, x):
        x = self.wte(x)
        for layer in self.layers:
            x = layer(x)
        return self.head(x)


def encoder(rng, pack=1.0):
    """Return an encoder; its packed projections have `pack` times Glorot's right variance."""
    d, vocabulary, count = int(rng.choice([64, 128])), 32, int(rng.integers(2, 7))
    options = {"batch_first": True, "dropout": 0.0, "norm_first": True}
    layers = [nn.TransformerEncoderLayer(d, 4, 2 * d, **options) for _ in range(count)]
    model = Encoder(layers, vocabulary, d)
    normal_(model.wte.weight, rng, 1.0)
    for layer in layers:
        bound = np.sqrt(pack * 6 / (2 * d))
        weights = rng.uniform(-bound, bound, (3 * d, d))
        layer.self_attn.in_proj_weight.data.copy_(tensor(weights))
        for part, share in [(layer.self_attn.out_proj, 1), (layer.linear1, 2), (layer.linear2, 1)]:
            normal_(part.weight, rng, np.sqrt(share / part.in_features))
            nn.init.zeros_(part.bias)
        for part in (layer.self_attn.out_proj, layer.linear2):
            part.weight.data /= np.sqrt(2 * count)
    normal_(model.head.weight, rng, 0.3 / np.sqrt(d))
    nn.init.zeros_(model.head.bias)
    return Net(model, *tokens(rng, vocabulary))


def cloned_layers(rng, broken):
    """Encoder layers, or blocks, that are deep copies of the first."""
    net = encoder(rng) if rng.random() < 0.5 else gpt(rng)
    name = "layers" if hasattr(net.model, "layers") else "blocks"
    stack = getattr(net.model, name)
    for k in range(1, len(stack)) if broken else []:
        stack[k] = copy.deepcopy(stack[0])
    net.leading = {"equal-layers": (f"{name}.0", f"{name}.1")}
    return net


def packed(rng, broken):
    """The three projections as one matrix, under Glorot: half of the variance."""
    net = encoder(rng, pack=0.5 if broken else 1.0)
    net.leading = {"packed-qkv": ("layers.0",)}
    return net


def convolution_fans(rng, broken):
    """He's weights of convolutions by the channels alone."""
    net = convolutional(rng)
    for layer in net.model if broken else []:
        if isinstance(layer, nn.Conv2d):
            layer.weight.data *= np.sqrt(np.prod(layer.kernel_size))
    net.leading = {"fans": ("conv0",)}
    return net


def wide_embeddings(rng, broken):
    """Embeddings of variance one, tied to the last layer."""
    net = gpt(rng, tied=True)
    if broken:
        net.model.wte.weight.data /= net.model.wte.weight.data.std()
    net.leading = {"embedding-scale": ("wte", "head"), "first-loss": (None, "head")}
    return net


def wide_projections(rng, broken):
    """The last layers of GPT-2's branches as wide as all others."""
    net = gpt(rng, count=int(rng.choice([6, 8, 12])), d=64, deep=not broken)
    net.leading = {"residual-growth": ("blocks.0",)}
    return net


def zero_scales(rng, broken):
    """Every γ is zero, of batch or of layer normalisation."""
    net = [layer_normalised, normalised_convolutional, gpt][rng.integers(3)](rng)
    norms = (nn.LayerNorm, nn.BatchNorm1d, nn.BatchNorm2d)
    parts = [(name, part) for name, part in net.model.named_modules() if isinstance(part, norms)]
    for _, part in parts if broken else []:
        nn.init.zeros_(part.weight)
    net.leading = {"zero-scales": (parts[0][0],)}
    return net


def raw_images(rng, broken):
    net = convolutional(rng)
    if broken:
        low, high = net.x.min(), net.x.max()
        net.x = (net.x - low) / (high - low) * 255
    net.leading = {"input-scale": (None, "conv0")}
    return net


def one_convolution(rng, broken):
    """One convolution that is not finite, far too large or small, or whose units die."""
    net = convolutional(rng)
    parts = [name for name, _ in net.model.named_children() if name.startswith("conv")]
    name, way = str(rng.choice(parts)), rng.choice(["nan", "large", "small", "biases"])
    layer = getattr(net.model, name)
    if broken:
        if way == "biases":
            nn.init.constant_(layer.bias, -20.0)
        else:
            layer.weight.data *= {"nan": np.nan, "large": 100.0, "small": 0.001}[way]
    net.leading = {
        "nan": {"not-finite": (name,)},
        "large": {"weight-scale": (name,), "forward-explodes": (name,)},
        "small": {"weight-scale": (name,), "forward-vanishes": (name,)},
        "biases": {"bias-scale": (name,), "dead-units": (name,)},
    }[way]
    return net


HEALTHY = {
    "convolutions": (convolutional, 18),
    "convolutions, batch-normalised": (normalised_convolutional, 10),
    "convolutions, grouped and depthwise": (grouped, 8),
    "convolutions, transposed": (transposed, 4),
    "convolutions, residual": (residual_convolutional, 8),
    "layer normalisation": (layer_normalised, 8),
    "batch normalisation, PyTorch": (batch_normalised, 6),
    "PyTorch's defaults, two or three layers": (defaults, 4),
    "one logit": (one_logit, 4),
    "transformer": (gpt, 14),
    "transformer, patches": (patches, 8),
}
BROKEN = {
    "cloned layers": (cloned_layers, 10),
    "convolution fans": (convolution_fans, 10),
    "wide embeddings": (wide_embeddings, 8),
    "wide projections": (wide_projections, 8),
    "zero scales, PyTorch": (zero_scales, 6),
    "raw images": (raw_images, 6),
    "one convolution": (one_convolution, 8),
}
NAMED = {"packed projections": (packed, 6)}
