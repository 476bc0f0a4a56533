"""Short trainings: healthy nets do train, and faults cost something.

A net is trained on its own batch. The loss after the last step, over that of the best constant
guess, is near 0 where it has learnt and 1 where it has learnt nothing; a net that diverges, or
whose training raises an error, has infinity.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from initcore import losses, network, optimizers

STEPS = 100
RATES = {"sgd": (0.3, 0.1, 0.03, 0.01, 0.001), "adam": (0.003, 0.001, 0.0003)}


def guess(y: np.ndarray) -> float:
    """Return the loss of the best constant guess."""
    if y.dtype.kind == "f" and not np.isin(y, (0, 1)).all():
        return float(np.square(y - y.mean(axis=0)).mean(axis=0).mean())
    shares = np.unique(y, return_counts=True)[1] / y.size
    return float(-(shares * np.log(shares)).sum()) or 1.0


def mlp_of(model: Any) -> network.MLP:
    """Return a list of arrays as an `MLP`."""
    if not isinstance(model, list):
        return model
    weights = [W for W, _, _ in model]
    biases = [np.zeros(W.shape[1], W.dtype) if b is None else b for W, b, _ in model]
    net = network.MLP((len(weights[0]), *[W.shape[1] for W in weights]), model[0][2])
    net.weights, net.biases = [W.astype(float) for W in weights], [b.astype(float) for b in biases]
    return net


def train_numpy(net: Any, optimizer: Any, steps: int) -> float:
    model, y = mlp_of(net.model), net.y
    loss = losses.squared_error if y.ndim == 2 else losses.softmax_cross_entropy
    parameters, optimizer = model.parameters(), optimizers.get(optimizer)
    optimizer.start(parameters)
    value = np.inf
    for _ in range(steps):
        trace = model.forward(net.x)
        value, gradient = loss(trace.output, y)
        units = y.shape[1] if y.ndim == 2 else 1  # a mean over the outputs too, as the guess is
        optimizer.step(parameters, model.backward(trace, gradient / units).parameters())
    return value / (y.shape[1] if y.ndim == 2 else 1)


def train_torch(net: Any, optimizer: Any, steps: int) -> float:
    torch = sys.modules["torch"]
    functional = torch.nn.functional
    kind = torch.optim.Adam if isinstance(optimizer, optimizers.Adam) else torch.optim.SGD
    moving = kind(net.model.parameters(), lr=optimizer.learning_rate)
    value = np.inf
    for _ in range(steps):
        moving.zero_grad()
        out = net.model(net.x)
        if loss := net.options.get("loss"):
            lost = loss(out, net.y)
        elif net.y.is_floating_point():
            lost = functional.mse_loss(out, net.y)
        else:
            lost = functional.cross_entropy(out.flatten(0, -2), net.y.flatten())
        lost.backward()
        moving.step()
        value = lost.item()
    return value


def train(net: Any, optimizer: Any, steps: int = STEPS) -> float:
    """Return the loss after these steps over that of the best constant guess."""
    is_torch = "torch" in sys.modules and isinstance(net.model, sys.modules["torch"].nn.Module)
    y = net.y.numpy() if is_torch else net.y
    try:
        with np.errstate(all="ignore"):
            value = (train_torch if is_torch else train_numpy)(net, optimizer, steps)
    except (ValueError, IndexError, RuntimeError, FloatingPointError):
        return np.inf
    value /= guess(y)
    return float(value) if np.isfinite(value) else np.inf


def best(draw: Any, deep: bool) -> tuple[float, Any]:
    """Return the best loss of a net over the rates, and the optimizer that gave it."""
    ways = [optimizers.Adam(r) for r in RATES["adam"]]
    if not deep:
        ways += [optimizers.SGD(r) for r in RATES["sgd"]]
    return min(((train(draw(), way), way) for way in ways), key=lambda pair: pair[0])
