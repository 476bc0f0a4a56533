"""What a batch shows of the package's own networks, and of a plain list of weights."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import numpy as np

from initcore import _checks, activations, blocks, losses, network, optimizers
from initcore.diagnosis.look import Layer, Look, Signal, measure, task_of

STACK = "a list of (W, b, activation), each W of shape (units of the last, units), b (units,)"
TASKS = {"softmax_cross_entropy": "classes", "squared_error": "regression"}


class _Stack(network.MLP):
    """The layers of a list, for the passes of `MLP`; each has its own activation."""

    def __init__(self, layers: Any) -> None:
        if not len(layers):
            _checks.fail("model", STACK, layers)
        self.weights, self.biases, self._activations = [], [], []
        for layer in layers:
            if not isinstance(layer, (list, tuple)) or not 1 <= len(layer) <= 3:
                _checks.fail("model", STACK, layer, TypeError)
            W, b, phi = (*layer, None, None)[:3]
            W = floats("model", W)
            b = np.zeros(W.shape[-1], W.dtype) if b is None else floats("model", b)
            fits = not self.weights or len(W) == len(self.biases[-1])
            if W.ndim != 2 or b.shape != W.shape[1:] or not fits:
                _checks.fail("model", STACK, [W, b])
            self.weights.append(W)
            self.biases.append(b)
            self._activations.append(activations.get("linear" if phi is None else phi))
        self.dtype = np.result_type(*self.weights)
        self.weights = [W.astype(self.dtype, copy=False) for W in self.weights]
        self.biases = [b.astype(self.dtype, copy=False) for b in self.biases]
        self.widths = (len(self.weights[0]), *map(len, self.biases))
        self.replicas, self.dropout = None, 0.0

    def _phi(self, layer: int) -> activations.Activation:
        return self._activations[layer]


def floats(name: str, value: Any) -> np.ndarray:
    """Return an array of floats, in which NaN and infinity may be; bfloat16 becomes float32."""
    value = np.asarray(value)
    value = value.astype(np.float32) if value.dtype.name == "bfloat16" else value
    value = _checks.array(name, value, finite=False)
    return value if value.dtype.kind == "f" else value.astype(np.float64)


def replicas(net: network.MLP) -> list[network.MLP]:
    """Return the replicas of a network one by one, without that axis."""
    nets = [copy.copy(net) for _ in range(net.replicas or 1)]
    for r, one in enumerate(nets if net.replicas else ()):
        one.replicas = None
        for name in net._parameter_shapes():
            setattr(one, name, [array[r] for array in getattr(net, name)])
    return nets


def look(model: Any, x: Any, y: Any = None, loss: Any = None, optimizer: Any = None) -> Look:
    """Return what a batch shows of an `MLP`, or of a list of (W, b, activation).

    Of a list, b may be None, and both it and a linear activation left out; x is ``(batch, ...,
    fan_in)``, or integers that choose rows of the first W, an embedding. `loss` is a name, and no
    function. Labels out of range are no error, but nothing is sent back.
    """
    is_list, x = not isinstance(model, network.MLP), np.asarray(x)
    net = _Stack(model) if is_list else model
    net._check_parameters()
    tokens = is_list and net.n_layers > 1 and x.dtype.kind in "iu"
    tokens = tokens and x.shape[-1:] != (net.widths[0],)  # those may be pixels
    rows = floats("x", x)
    if tokens:  # an embedding is the product with rows of one 1 each
        rows = _checks.labels("x", x, net.widths[0])[..., None] == np.arange(net.widths[0])
    if rows.ndim < 2 or (rows.ndim > 2 and not is_list) or rows.shape[-1] != net.widths[0]:
        _checks.fail("x", f"an array of shape (batch, {net.widths[0]})", x)
    look = Look("arrays" if is_list else "initcore", [], {}, inputs=x if tokens else rows)
    with np.errstate(all="ignore"):
        trace = net._forward(rows.reshape(-1, rows.shape[-1]).astype(net.dtype), None)
        look.outputs = trace.output.astype(np.float64).reshape(*rows.shape[:-1], -1)
        found = None if y is None else _backward(look, net, trace, y, loss)
        for i in range(net.n_layers):
            _add(look, "embedding" if tokens and not i else "dense", net, i, trace, found)
            if isinstance(net, blocks._BlockMLP):
                _mend(look, net, i, trace, found)
        if optimizer is not None and found is not None:
            optimizer = optimizers.get(optimizer)
            look.optimizer, after = repr(optimizer), copy.deepcopy(net.parameters())
            optimizer.start(after)
            optimizer.step(after, found.parameters())
            look.add_updates({f"weights[{i}]": after[i] for i in range(net.n_layers)})
    return look


def train(net: Any, x: Any, y: Any, loss: Any, optimizer: Any) -> Iterator[dict[str, Any]]:
    """Yield each layer's sums, the last one's as the net returns them, before each step."""
    _checks.instance("net", net, network.MLP, "an initcore.network.MLP")
    optimizer = optimizer(net) if callable(optimizer) else optimizer
    is_rate = isinstance(optimizer, float)
    optimizer = optimizers.get(optimizers.Adam(optimizer) if is_rate else optimizer)
    optimizer.start(net.parameters())
    while True:
        trace = net._forward(np.asarray(x, net.dtype), None)
        sums = [*trace.pre_activations[:-1], trace.output]
        yield {f"layer {i}": z for i, z in enumerate(sums, 1)}
        look = Look("initcore", [], {}, outputs=trace.output.astype(np.float64))
        optimizer.step(net.parameters(), _backward(look, net, trace, y, loss).parameters())


def _backward(look: Look, net: network.MLP, trace: network.Trace, y: Any, loss: Any) -> Any:
    """Return the gradients, and note targets, loss and task; None if a label is out of range."""
    y, shape = np.asarray(y), look.outputs.shape
    is_integer = y.dtype.kind in "iu"
    task, remark = task_of(is_integer, y.size, look.outputs.size)
    if loss is not None:
        task, remark = TASKS[_checks.choice("loss", loss, list(TASKS))], ""
    loss = next(name for name in TASKS if TASKS[name] == task)
    y = look.targets = y if is_integer else floats("y", y)
    look.task, look.loss_name = task, loss.replace("_", " ") + remark
    if look.task == "classes":
        if not is_integer or y.shape != shape[:-1]:
            _checks.fail("y", f"an array of integers of shape {shape[:-1]}", y)
        if y.min() < 0 or y.max() >= shape[-1]:
            return None  # which is a finding
    else:
        if y.shape not in (shape, shape[: len(shape) - (shape[-1] == 1)]):
            labels = f"integers of shape {shape[:-1]}, if they are labels"
            _checks.fail("y", f"an array of shape {shape}, or of {labels}", y)
        y = y.reshape(shape).astype(np.float64)
    value, gradient = losses.LOSSES[loss](
        look.outputs.reshape(-1, shape[-1]), y.reshape(-1, *y.shape[len(shape) - 1 :])
    )
    look.loss = float(value)
    return net._backward(trace, np.reshape(gradient, trace.output.shape).astype(net.dtype))


def _seen(look: Look, rows: np.ndarray, phi: str | None = None) -> Signal:
    """Return the signal of rows, with the places of the batch put back."""
    return measure(rows.reshape(*look.outputs.shape[:-1], rows.shape[-1]), phi)


def _add(look: Look, kind: str, net: Any, i: int, trace: Any, found: Any) -> None:
    """Add the row of a layer, and its tensors; tied weights have the key of the first ones."""
    W, b, phi = net.weights[i], net.biases[i], net._phi(i).name
    tied = (name for name, known in look.tensors.items() if np.shares_memory(known, W))
    key = next(tied, f"weights[{i}]")
    look.tensors |= {key: look.tensors.get(key, W), f"biases[{i}]": b}
    row = Layer(f"layer {i + 1}", kind, shape=W.shape, library_fans=W.shape, key=key)
    row.weigh(W[None], b, *((found.weights[i][None], found.biases[i]) if found else ()))
    row.activation = phi if phi.partition("(")[0] in activations.names() else None
    row.inputs, row.sums = _seen(look, trace.inputs[i]), _seen(look, trace.pre_activations[i])
    row.outputs = _seen(look, trace.activations[i], phi)
    row.deltas = _seen(look, found.deltas[i]) if found else None
    look.layers.append(row)


def _mend(look: Look, net: Any, i: int, trace: Any, found: Any) -> None:
    """Put right the last row where it is normalised or ends a branch; add the normalisation's."""
    row = last = look.layers[-1]
    if i in net.ends:
        row.outputs = _seen(look, net.branch_scale * trace.pre_activations[i])
    if (slot := net._slot.get(i)) is not None:
        last = copy.copy(row)  # whose sums are those behind it
        last.name, last.kind, last.key = f"norm {slot + 1}", "normalisation", f"scales[{slot}]"
        last.shape, by_scale = net.scales[slot].shape, found and found.scales[slot]
        last.weigh(net.scales[slot], row.bias, by_scale)
        last.weight = last.distinct = last.distinct_gradients = row.bias = None
        row.sums = last.inputs = _seen(look, network.product(trace.inputs[i], net.weights[i]))
        row.normalised = True
        if found is not None:
            row.deltas = _seen(look, net._past_normalisation(i, trace, found.deltas[i]))
        look.tensors[last.key] = net.scales[slot]
        look.layers.append(last)
    if i in net.ends:
        last.branch, last.stream = f"block {i // 2}", _seen(look, trace.activations[i])
