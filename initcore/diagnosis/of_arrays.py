"""What a batch shows of the package's own networks, and of a plain list of weights.

The passes are those of `network` and `blocks`, in the network's own precision; what is measured is
measured in float64. No parameter and no moving average is changed.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from initcore import _checks, activations, blocks, losses, network, optimizers, probes
from initcore.diagnosis.look import Layer, Look, Signal, measure

LOSSES = {
    "softmax_cross_entropy": ("softmax cross-entropy", "classes"),
    "squared_error": ("squared error", "regression"),
}
STACK = "a list of (W, b, activation), W of shape (fan_in, units), b of (units,) or None"


class _Stack(network.MLP):
    """The layers of a list, for the passes of `MLP`; each has its own activation."""

    def __init__(self, layers: list[tuple]) -> None:
        self.weights, self.biases, self._activations = map(list, zip(*layers))
        self.widths = (len(self.weights[0]), *[W.shape[1] for W in self.weights])
        self.dtype = np.result_type(*self.weights)
        self.replicas, self.dropout = None, 0.0

    def _phi(self, layer: int) -> activations.Activation:
        return self._activations[layer]


def floats(name: str, value: Any, ndim: int | None = None) -> np.ndarray:
    """Return an array of floats, in which NaN and infinity may be; bfloat16 becomes float32."""
    value = np.asarray(value)
    if value.dtype.name == "bfloat16":
        value = value.astype(np.float32)
    value = _checks.array(name, value, ndim=ndim, finite=False)
    return value if value.dtype.kind == "f" else value.astype(np.float64)


def _layers(model: Sequence) -> list[tuple]:
    """Return the checked (W, b, activation) of a list."""
    layers: list[tuple] = []
    for i, layer in enumerate(model):
        if not isinstance(layer, (list, tuple)) or not 1 <= len(layer) <= 3:
            _checks.fail(f"model[{i}]", f"of {STACK}", layer, TypeError)
        W, b, phi = (*layer, None, None)[:3]
        W = floats(f"model[{i}][0]", W, ndim=2)
        b = np.zeros(W.shape[1], W.dtype) if b is None else floats(f"model[{i}][1]", b, ndim=1)
        if layers and len(W) != layers[-1][0].shape[1]:
            _checks.fail(f"model[{i}][0]", f"of shape ({layers[-1][0].shape[1]}, units)", W)
        if len(b) != W.shape[1]:
            _checks.fail(f"model[{i}][1]", f"of shape ({W.shape[1]},)", b)
        layers.append((W, b, activations.get("linear" if phi is None else phi)))
    if not layers:
        _checks.fail("model", STACK, model)
    return layers


def replicas(net: network.MLP) -> list[network.MLP]:
    """Return the replicas of a network one by one, without that axis."""
    if net.replicas is None:
        return [net]
    nets = [copy.copy(net) for _ in range(net.replicas)]
    for r, one in enumerate(nets):
        one.replicas = None
        for name in net._parameter_shapes():
            setattr(one, name, [array[r] for array in getattr(net, name)])
    return nets


def guess_loss(y: np.ndarray, units: int) -> str:
    """Return which loss of `losses.LOSSES` the targets call for.

    >>> guess_loss(np.array([3, 1]), units=10), guess_loss(np.array([0.5, 1.5]), units=1)
    ('softmax_cross_entropy', 'squared_error')
    """
    return "softmax_cross_entropy" if y.dtype.kind in "iu" and units > 1 else "squared_error"


def look(
    model: network.MLP | Sequence,
    x: Any,
    y: Any = None,
    loss: str | Callable | None = None,
    optimizer: Any = None,
) -> Look:
    """Return what a batch shows of a network.

    Parameters
    ----------
    model : MLP, or list of (W, b, activation)
        W ``(fan_in, units)``; b ``(units,)`` or None; the activation as `activations.get` takes
        it, linear if left out.
    x : array_like, shape (batch, fan_in)
        NaN and infinity are allowed. For a list also ``(batch, ..., fan_in)``, or integers: the
        first W is then an embedding, of which they choose the rows.
    y : array_like, shape (batch, ...), optional
        Labels or targets; without them nothing is sent back.
    loss : {"softmax_cross_entropy", "squared_error"} or callable, optional
        A callable ``loss(outputs, y)`` returns the loss and its gradient. None: see `guess_loss`.
    optimizer : str or optimizer, optional
        As `optimizers.get` takes it.

    Raises
    ------
    ValueError, TypeError
        A layer, a batch, targets, a loss or an optimizer that do not fit.
    """
    is_list = not isinstance(model, network.MLP)
    layers = _layers(model) if is_list else []
    x, embedding = np.asarray(x), None
    if len(layers) > 1 and x.dtype.kind in "iu":
        embedding = layers.pop(0)[0]
        places, rows = x.shape, embedding[_checks.labels("x", x, len(embedding)).reshape(-1)]
    net = _Stack(layers) if is_list else model
    if embedding is None:
        x = floats("x", x)
        if x.ndim < 2 or (x.ndim > 2 and not is_list) or x.shape[-1] != net.widths[0]:
            _checks.fail("x", f"an array of shape (batch, {net.widths[0]})", x)
        places, rows = x.shape[:-1], x.reshape(-1, x.shape[-1])
    look = Look("arrays" if is_list else "initcore", [], {}, inputs=x)
    with np.errstate(all="ignore"):
        trace = net._forward(rows.astype(net.dtype), None)
        look.outputs = trace.output.astype(np.float64).reshape(*places, -1)
        gradients = None if y is None else _backward(look, net, trace, y, loss)
        if embedding is not None:
            _add_embedding(look, embedding, rows, gradients)
        for layer in range(net.n_layers):
            _add(look, net, layer, trace, gradients)
        if optimizer is not None and gradients is not None:
            _add_updates(look, net, gradients, optimizer)
    return look


def _backward(look: Look, net: network.MLP, trace: network.Trace, y: Any, loss: Any) -> Any:
    """Return the gradients, and note targets, loss and task; None if labels are out of range."""
    y, units = np.asarray(y), look.outputs.shape[-1]
    is_integer = y.dtype.kind in "iu"
    kind = guess_loss(y, units) if loss is None else loss
    if not callable(kind):
        _checks.choice("loss", kind, list(LOSSES))
    name = getattr(kind, "__name__", type(kind).__name__)
    look.loss_name, look.task = LOSSES.get(kind, (name, None))
    if loss is None:
        look.loss_name += f", as y holds {'integers' if is_integer else 'floats'}"
    look.targets = y = y if is_integer else floats("y", y)
    shape = look.outputs.shape
    if look.task == "classes":
        if not is_integer or y.shape != shape[:-1]:
            _checks.fail("y", f"an array of integers of shape {shape[:-1]}", y)
        if y.min() < 0 or y.max() >= units:
            return None  # which is a finding
        y = y.reshape(-1)
    elif look.task == "regression":
        if y.shape != shape and not (units == 1 and y.shape == shape[:-1]):
            _checks.fail("y", f"an array of shape {shape}", y)
        y = y.reshape(-1, units).astype(np.float64)
    value, gradient = losses.LOSSES.get(kind, kind)(look.outputs.reshape(-1, units), y)
    look.loss = float(value)
    return net._backward(trace, np.reshape(gradient, trace.output.shape).astype(net.dtype))


def _seen(look: Look, rows: np.ndarray | None, phi: str | None = None) -> Signal | None:
    """Return the signal of rows, with the places of the batch put back."""
    places = look.outputs.shape[:-1]
    return None if rows is None else measure(rows.reshape(*places, rows.shape[-1]), phi)


def _distinct(W: np.ndarray, b: np.ndarray) -> int | None:
    """Return the number of units that differ, if all their numbers are finite."""
    is_finite = np.isfinite(W).all() and np.isfinite(b).all()
    return int(probes.distinct_units(W, b)) if is_finite else None


def _row(look: Look, kind: str, W: np.ndarray, b: np.ndarray, **signals: Any) -> Layer:
    """Add a layer, with what its parameters tell, and its tensors; of tied ones only the first."""
    number = sum(row.kind != "normalisation" for row in look.layers)
    key = f"weights[{number}]"
    for name, known in look.tensors.items():
        ties = look.layers[0].kind == "embedding" and known.shape == W.shape[::-1]
        if np.shares_memory(known, W) or (ties and np.array_equal(known.T, W)):
            key = name
    look.tensors |= {key: look.tensors.get(key, W), f"biases[{number}]": b}
    row = Layer(
        f"layer {number + 1}",
        kind,
        weight=W[None].astype(np.float64),
        bias=b.astype(np.float64),
        fan_in=float(1 if kind == "embedding" else len(W)),
        fan_out=float(W.shape[1]),
        shape=W.shape,
        library_fans=W.shape,
        key=key,
        distinct=_distinct(W, b),
        **signals,
    )
    look.layers.append(row)
    return row


def _add_embedding(look: Look, E: np.ndarray, rows: np.ndarray, gradients: Any) -> None:
    """Add the row of an embedding of the tokens ``look.inputs``."""
    seen = _seen(look, rows)
    row = _row(look, "embedding", E, np.zeros(E.shape[1]), sums=seen, outputs=seen)
    row.activation = "linear"
    if gradients is not None:
        by_E = np.zeros(E.shape)
        np.add.at(by_E, look.inputs.reshape(-1), gradients.inputs)
        row.deltas, row.gradient = _seen(look, gradients.inputs), measure(by_E)
        row.distinct_gradients = _distinct(by_E, row.bias)


def _add(look: Look, net: network.MLP, layer: int, trace: network.Trace, gradients: Any) -> None:
    """Add the row of a dense layer, and that of the normalisation behind it."""
    W, b, phi = net.weights[layer], net.biases[layer], net._phi(layer).name
    z, a = trace.pre_activations[layer], trace.activations[layer]
    is_block = isinstance(net, blocks._BlockMLP)
    ends, normalised = is_block and layer in net.ends, is_block and layer in net._slot
    out = _seen(look, net.branch_scale * z if ends else a, phi)
    sums = network.product(trace.inputs[layer], W) if normalised else z
    row = _row(look, "dense", W, b, inputs=_seen(look, trace.inputs[layer]), outputs=out)
    row.sums, row.normalised = _seen(look, sums), normalised
    row.activation = phi if phi in activations.names() else None
    if gradients is not None:
        delta = gradients.deltas[layer]
        by_sums = net._past_normalisation(layer, trace, delta) if normalised else delta
        row.deltas, row.gradient = _seen(look, by_sums), measure(gradients.weights[layer])
        row.distinct_gradients = _distinct(gradients.weights[layer], gradients.biases[layer])
    last = row
    if normalised:
        slot, row.bias = net._slot[layer], None
        look.tensors[f"scales[{slot}]"] = net.scales[slot]
        last = Layer(
            f"normalisation {slot + 1}",
            "normalisation",
            bias=b.astype(np.float64),
            shape=b.shape,
            key=f"scales[{slot}]",
            activation=row.activation,
            scale=net.scales[slot].astype(np.float64),
            inputs=row.sums,
            sums=_seen(look, z),
            outputs=out,
        )
        if gradients is not None:
            last.deltas, last.gradient = _seen(look, delta), measure(gradients.scales[slot][None])
        look.layers.append(last)
    if ends:
        last.branch, last.stream = f"block {layer // 2}", _seen(look, a)


def _add_updates(look: Look, net: network.MLP, gradients: Any, optimizer: Any) -> None:
    """Take the optimizer's first step with copies of the parameters, and compare."""
    optimizer = optimizers.get(optimizer)
    look.optimizer = repr(optimizer)
    after = [parameter.copy() for parameter in net.parameters()]
    optimizer.start(after)
    optimizer.step(after, gradients.parameters())
    rows = [row for row in look.layers if row.kind == "dense"]
    for row, W, new in zip(rows, net.weights, after):
        size = measure(W).rms
        row.update = measure(new.astype(np.float64) - W).rms / size if size else np.inf
