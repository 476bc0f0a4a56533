"""Short trainings: healthy nets learn, and a fault costs something.

A net is trained on its own batch. What is told is the loss after the last step over that of the
best constant guess: near 0 it has learnt, at 1 nothing, and infinity says that it diverged, or
that no step could be made.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from initcore import losses, network, optimizers

STEPS = 60
RATES = (0.1, 0.01)  # of SGD
ADAM = optimizers.Adam(0.001)


def guess(y: np.ndarray) -> float:
    """Return the loss of the best constant guess."""
    if y.dtype.kind == "f" and not np.isin(y, (0, 1)).all():
        return float(y.var(axis=0).mean())
    shares = np.unique(y, return_counts=True)[1] / y.size
    return float(-(shares * np.log(shares)).sum()) or 1.0


def mlp_of(model: Any) -> network.MLP:
    """Return the model, or a list of arrays as an `MLP`."""
    if not isinstance(model, list):
        return model
    net = network.MLP((len(model[0][0]), *[W.shape[1] for W, _, _ in model]), model[0][2])
    net.weights = [W.astype(float) for W, _, _ in model]
    net.biases = [np.zeros(W.shape[1]) if b is None else b.astype(float) for W, b, _ in model]
    return net


def train_numpy(net: Any, optimizer: Any) -> float:
    model, y = mlp_of(net.model), net.y
    # The squared error of initcore adds the outputs up; a guess, and PyTorch, take their mean.
    loss, units = (
        (losses.squared_error, y.shape[1]) if y.ndim == 2 else (losses.softmax_cross_entropy, 1)
    )
    parameters, optimizer, value = model.parameters(), optimizers.get(optimizer), np.inf
    optimizer.start(parameters)
    for _ in range(STEPS):
        trace = model.forward(net.x)
        value, gradient = loss(trace.output, y)
        optimizer.step(parameters, model.backward(trace, gradient / units).parameters())
    return value / units


def train_torch(net: Any, optimizer: Any) -> float:
    torch = sys.modules["torch"]
    functional, value = torch.nn.functional, np.inf
    kind = torch.optim.Adam if isinstance(optimizer, optimizers.Adam) else torch.optim.SGD
    moving = kind(net.model.parameters(), lr=optimizer.learning_rate)
    for _ in range(STEPS):
        moving.zero_grad()
        out = net.model(net.x)
        if net.options.get("loss"):
            lost = net.options["loss"](out, net.y)
        elif net.y.is_floating_point():
            lost = functional.mse_loss(out, net.y)
        else:
            lost = functional.cross_entropy(out.flatten(0, -2), net.y.flatten())
        lost.backward()
        moving.step()
        value = lost.item()
    return value


def train(net: Any, optimizer: Any) -> float:
    """Return the last loss over that of the best constant guess."""
    is_torch = "torch" in sys.modules and isinstance(net.model, sys.modules["torch"].nn.Module)
    try:
        with np.errstate(all="ignore"):
            value = (train_torch if is_torch else train_numpy)(net, optimizer)
    except (ValueError, IndexError, RuntimeError):
        return np.inf
    value /= guess(net.y.numpy() if is_torch else net.y)
    return value if np.isfinite(value) else np.inf


def compared(kind: Any, number: int) -> str:
    """Return what SGD and Adam make of a net; beside its twin, at the rate that is the twin's."""
    own = kind.net(number).options.get("optimizer")
    if kind.state != "healthy" and own is not None:
        twin = kind.net(number, broken=False)
        before, after = train(twin, twin.options["optimizer"]), train(kind.net(number), own)
        return f"{before:.2g} → {after:.2g}"
    broken = kind.state == "healthy"
    by_rate = [(train(kind.net(number, broken), optimizers.SGD(r)), r) for r in RATES]
    (sgd, rate), adam = min(by_rate), train(kind.net(number, broken), ADAM)
    if kind.state == "healthy":
        return f"SGD {sgd:.2g}, Adam {adam:.2g}"
    after = [train(kind.net(number), way) for way in (optimizers.SGD(rate), ADAM)]
    return f"SGD {sgd:.2g} → {after[0]:.2g}, Adam {adam:.2g} → {after[1]:.2g}"
