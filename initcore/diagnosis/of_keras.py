"""What a batch shows of a Keras 3 model, on the JAX, torch or TensorFlow backend.

The model runs in Keras' stateless scope: batch normalisation takes the batch's statistics, as in
training, and dropout is off. Meanwhile each call of an operation is noted; all attributes of the
layers are put back. In a second run zeros are added to the sums, for the gradient by them.
"""

from __future__ import annotations

import contextlib
import math
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import Any, NamedTuple
from unittest import mock

import numpy as np

from initcore import _checks, initializers
from initcore.diagnosis.look import Layer, Look, Signal, measure, named, task_of

# Classes of Keras' own, and so what is derived from them: the kind, the attribute that holds the
# weight, and what the weight's axes are: places, the group, the input, the unit.
LAYERS = {
    "Dense": ("dense", "kernel", "iu"),
    "EinsumDense": ("dense", "kernel", ""),  # its equation tells
    "BaseConv": ("convolution", "kernel", "piu"),
    "BaseDepthwiseConv": ("depthwise convolution", "kernel", "pgu"),
    "BaseConvTranspose": ("transposed convolution", "kernel", "pui"),
    "Embedding": ("embedding", "embeddings", "iu"),
    "BatchNormalization": ("normalisation", "gamma", "u"),
    "LayerNormalization": ("normalisation", "gamma", "u"),
    "GroupNormalization": ("normalisation", "gamma", "u"),
    "RMSNormalization": ("normalisation", "scale", "u"),
}
CLOSED = ("RNN", "Bidirectional", "TimeDistributed")  # they call their parts inside a loop
ATTENTION = ("MultiHeadAttention", "GroupedQueryAttention")
GRID = np.linspace(-8.0, 8.0, 32)  # where activations are told apart; none of it is 0
SAMPLE, RECENT = 1024, 12  # numbers by which tensors are compared, and how many are
LOSS_SCALE = 2.0**15  # in half precision: what Keras' LossScaleOptimizer begins with
keras: Any = None  # which `look` imports: nobody calls it without a model of Keras'


def _family(op: Any, known: Any = LAYERS) -> str:
    """Return the class of Keras' own, among `known`, that an operation is of; "" if none."""
    classes = (c for c in type(op).__mro__ if c.__module__.startswith("keras."))
    return next((c.__name__ for c in classes if c.__name__ in known), "")


def _numpy(tensor: Any) -> np.ndarray:
    return np.asarray(keras.ops.convert_to_numpy(tensor))


def _tensors(tree: Any) -> list:
    return [leaf for leaf in keras.tree.flatten(tree) if keras.ops.is_tensor(leaf)]


@dataclass(eq=False)
class _Call:
    """One call of one operation that is judged, with what completes its row after the passes."""

    row: Layer
    op: Any
    x: Any
    sums: Any
    last: Any  # what the sums become before the next weights, or before they are added to others
    stream: Any = None  # the sum of two, where a residual branch ends
    is_joint: bool = False
    is_open: bool = True  # no other weights have come yet


class _Trail(NamedTuple):
    """Where a tensor comes from."""

    depth: int = 0  # operations with weights on the longest way here
    tip: _Call | None = None  # the last one on it that is judged
    sums: tuple[_Call, ...] = ()  # those whose sums it is, but for activations and the shape


class _Run:
    """A model that runs, and the calls of its operations that are noted meanwhile."""

    def __init__(self, model: Any, x: Any) -> None:
        paths = [variable.path for variable in model.weights]
        twins = (f" ({i})" if path in paths[:i] else "" for i, path in enumerate(paths))
        self.keys = {id(v): path + twin for v, path, twin in zip(model.weights, paths, twins)}
        self.model, self.x, self.variables = model, x, model.trainable_variables
        self.fixed = [variable.value for variable in model.non_trainable_variables]
        self.weights = [variable.value for variable in self.variables]
        self.calls: list[_Call] = []
        self.trails: dict[int, tuple[Any, _Trail]] = {}  # by the id of a tensor that is kept
        self.ends: dict[int, tuple[Any, str]] = {}  # what was before a softmax or sigmoid
        self.unseen: dict[Any, str] = {}
        self.times: Counter = Counter()
        self.outputs = self._outputs(x, self.fixed, self.weights)

    def _outputs(self, x: Any, fixed: list, weights: list, zeros: list | None = None) -> Any:
        """Return what the model does, with zeros added to the sums; without them, take notes."""
        self.zeros = None if zeros is None else iter(zeros)
        self.path, self.is_inside = [self.model], False
        call = keras.Operation.__call__
        heard = lambda op, *args, **kwargs: self._hear(call, op, args, kwargs)  # noqa: E731
        with contextlib.ExitStack() as kept:
            for layer in self.model._flatten_layers():
                kept.enter_context(mock.patch.dict(vars(layer)))
            kept.enter_context(mock.patch.object(keras.Operation, "__call__", heard))
            return self.model.stateless_call(weights, fixed, x)[0]

    def gradients(self, loss: Callable, compiled: bool) -> tuple[float, list[np.ndarray]]:
        """Return the loss, and the gradients by the trainable weights and by the sums."""
        backend, n = keras.backend.backend(), len(self.weights)
        arrays = [*self.weights, *(keras.ops.zeros_like(call.sums) for call in self.calls)]
        scale = LOSS_SCALE if any("float16" in str(array.dtype) for array in arrays[n:]) else 1.0

        def value(arrays: list, x: Any, fixed: list) -> Any:
            return scale * loss(self._outputs(x, fixed, arrays[:n], arrays[n:]))

        if backend == "jax":
            import jax

            function = jax.value_and_grad(value)
            function = jax.jit(function) if compiled else function  # which pays for large nets
            result, found = function(arrays, self.x, self.fixed)
        elif backend == "torch":
            import torch

            arrays = [array.detach().clone().requires_grad_() for array in arrays]
            result = value(arrays, self.x, self.fixed)
            found = torch.autograd.grad(result, arrays, materialize_grads=True)
        elif backend == "tensorflow":
            import tensorflow as tf

            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch(arrays := [tf.convert_to_tensor(array) for array in arrays])
                result = value(arrays, self.x, self.fixed)
            found = tape.gradient(result, arrays, unconnected_gradients="zero")
        else:
            _checks.fail("model", "on a backend with gradients where `y` is given", backend)
        found = [_numpy(gradient).astype(np.float64) / scale for gradient in found]
        return float(_numpy(result)) / scale, found

    def _hear(self, call: Callable, op: Any, args: tuple, kwargs: dict) -> Any:
        """Call an operation, and note what it did."""
        if op is self.model or self.is_inside:
            return call(op, *args, **kwargs)
        family, phi, before = _family(op), getattr(op, "activation", None), self.times.total()
        is_other = getattr(op, "quantization_mode", None) or getattr(op, "lora_enabled", False)
        kind = LAYERS[family][0] if family and not is_other else None
        if kind and _family(self.path[-1], ATTENTION):
            kind = "attention"
        elif kwargs.get("reverse"):  # an embedding, on its way back
            kind = "dense"
        if family == "BatchNormalization":
            kwargs["training"] = True
        swap = {"activation": lambda z: phi(self._sum(z))} if kind and callable(phi) else {}
        self.path.append(op)
        self.sums, self.is_inside = None, bool(kind or _family(op, CLOSED))
        with mock.patch.dict(vars(op), swap):
            result = call(op, *args, **kwargs)
        if kind and self.sums is None:
            result = self._sum(result)
        if self.zeros is None:
            self._describe(op, kind, phi, args, kwargs, result, self.times.total() > before)
        self.path.pop()
        self.is_inside = False
        return result

    def _describe(self, op, kind, phi, args, kwargs, result, is_container) -> None:
        """Note a call, with the name of the function that it is, or that a layer ends in."""
        inputs, outputs, name = _tensors((args, kwargs)), _tensors(result), "linear"
        function = phi or op
        word = getattr(function, "__name__", type(function).__name__).lower()
        if word in ("softmax", "sigmoid"):
            self.ends[id(outputs[0])] = self.sums if kind else inputs[0], word
        own = op.weights if _family(op, CLOSED) else getattr(op, "_trainable_variables", ())
        if own and not kind:
            self.unseen[op] = type(op).__name__
        if is_container:  # one of its parts may have made the tensor
            depth = max((self.trail(t).depth for t in inputs), default=0) + 1
            for t in outputs:
                trail = self.trail(t)
                self.trails[id(t)] = t, trail._replace(depth=max(trail.depth, depth))
            return
        if kind and callable(phi):
            name = _on_grid(phi, 2)
        elif own and not kind:
            name = None
        elif not kind and len(inputs) == 1 and [t.shape for t in outputs] == [inputs[0].shape]:
            name = _on_grid(
                lambda z: op.call(*(z if a is inputs[0] else a for a in args), **kwargs),
                len(inputs[0].shape),
            )
        path = "/".join(one.name for one in self.path[1:])
        is_end = kind != "normalisation" and bool(kind or own)
        self._note(path, op, kind, inputs, outputs, name, is_end)

    def _sum(self, z: Any) -> Any:
        self.sums = z if self.zeros is None else z + next(self.zeros)
        return self.sums

    def trail(self, t: Any) -> _Trail:
        """Return where a tensor comes from, by its values if a `call` added two or applied a φ."""
        if id(t) not in self.trails:
            known = [one for one, _ in self.trails.values() if one.shape == t.shape][-RECENT:]
            alike, z = [(one, _sample(one)) for one in known], _sample(t)
            with np.errstate(all="ignore"):
                for group in [*combinations(alike, 1), *combinations(alike, 2)]:
                    if phi := named(sum(values for _, values in group), z):
                        inputs = [one for one, _ in group]
                        self._note("sum", None, None, inputs, [t], phi, is_end=False)
                        break
            self.trails.setdefault(id(t), (t, _Trail()))
        return self.trails[id(t)][1]

    def _note(self, name, op, kind, inputs, outputs, phi, is_end) -> None:
        """Note what becomes of sums; of two that are added, that with more layers is a branch."""
        self.times[name] += 1
        name += f" (call {self.times[name]})" if self.times[name] > 1 else ""
        came, is_norm = [self.trail(t) for t in inputs], kind == "normalisation"
        depth, tip, _ = max(came, key=lambda trail: trail.depth, default=_Trail())
        is_sum = op is None or type(op).__name__ == "Add"
        if is_sum and len(came) == 2 and came[0].depth != came[1].depth and tip:
            skip, branch = inputs if came[1].depth == depth else reversed(inputs)
            tip.row.branch, tip.stream, tip.last, tip.is_joint = name, outputs[0], branch, True
            for call in self.calls:
                call.row.opens |= call.x is skip
        sums = tuple(dict.fromkeys(call for trail in came for call in trail.sums))
        for call in [call for call in sums if call.is_open]:
            row, call.is_open = call.row, not is_end
            row.normalised |= is_norm
            call.is_joint |= len(came) > 1
            if row.activation == "linear" and not (kind and is_end):
                row.activation = phi
                if (is_norm or phi != "linear") and not call.is_joint:
                    call.last = outputs[0]
        if kind:
            row = Layer(name, kind, activation=phi)
            self.calls.append(tip := _Call(row, op, inputs[0], self.sums, outputs[0]))
        if kind or is_end:
            sums = (*sums, tip) if is_norm else (tip,) if kind else ()
        for t in outputs:
            self.trails.setdefault(id(t), (t, _Trail(depth + is_end, tip, sums)))

    def settle(self, end: Any) -> None:
        """Note what the last sums become, where `end` is the tensor of logits or predictions."""
        reached = self.trail(end).sums
        for call in self.calls:
            if call.sums is end:  # the loss, or what it leaves out, comes behind
                call.row.activation, call.last = "linear", end
            elif call.is_open and call.row.activation == "linear" and call not in reached:
                call.row.activation = "linear" if call.row.kind == "attention" else None


def _sample(tensor: Any) -> np.ndarray:
    return _numpy(tensor).ravel()[:SAMPLE].astype(np.float64)


def _on_grid(function: Callable, ndim: int) -> str | None:
    """Return the name of a function of one number; whatever it raises, it is not known."""
    z = GRID.astype("float32").reshape((1,) * (ndim - 1) + (-1,))
    try:
        values = _numpy(function(keras.ops.convert_to_tensor(z)))
    except Exception:  # noqa: BLE001
        return None
    return named(GRID, values.ravel().astype(np.float64))


def _weight(op: Any, kind: str) -> tuple[Any, str]:
    """Return what an operation multiplies by (or γ, or None), with a letter for each axis."""
    _, name, axes = LAYERS[_family(op)]
    if name == "embeddings" and kind == "dense":
        name, axes = ("embeddings", "ui") if op.tie_weights else ("reverse_embeddings", "iu")
    if _family(op) == "EinsumDense":
        entering, kernel, leaving = re.split(",|->", op.equation.replace(" ", ""))
        letters = ("i" if a not in leaving else "g" if a in entering else "u" for a in kernel)
        axes = "".join(letters)
    return getattr(op, name, None), axes.replace("p", "p" * getattr(op, "rank", 0))


def _stack(array: np.ndarray, axes: str, groups: int) -> np.ndarray:
    """Return a kernel, or the gradient by it, as ``(groups, fan_in, units)``."""
    if groups > 1:  # the filters of a grouped convolution stand group after group
        array = array.reshape(*array.shape[:-1], groups, -1)
        axes = axes[:-1] + "gu"
    order = sorted(range(array.ndim), key=lambda axis: "gpiu".index(axes[axis]))
    sizes = {a: math.prod(n for n, b in zip(array.shape, axes) if a == b) for a in "gu"}
    return array.transpose(order).reshape(sizes["g"], -1, sizes["u"])


def _signal(call: _Call, tensor: Any, phi: str | None = None) -> Signal:
    """Measure what goes in or out of a layer, with the axis of the units, or channels, last."""
    array, op = _numpy(tensor), call.op
    is_first = getattr(op, "data_format", "") == "channels_first"
    axis = 1 if is_first else getattr(op, "axis", -1)
    if array.ndim == len(call.sums.shape) and isinstance(axis, int):
        array = np.moveaxis(array, axis, -1)
    return measure(array, phi)


def look(model: Any, x: Any, y: Any = None, loss: Any = None, optimizer: Any = None) -> Look:
    """Return what a batch shows of a built Keras model; the arguments are those of `diagnose`.

    `x` is what the model takes, and where `y` is given it has one output. `loss` and `optimizer`
    may be names; None is that of ``model.compile``, else a loss that suits `y` and the last
    activation. A new optimizer of the same settings takes one step, with copies of the weights.
    """
    global keras
    import keras

    _checks.instance("model", model, keras.Layer, "a keras.Model of Keras 3")
    if not model.built:
        _checks.fail("model", "built: call `model(x)` once", model)
    run = _Run(model, keras.tree.map_structure(keras.ops.convert_to_tensor, x))
    flat = keras.tree.flatten(run.x)
    first = next((t for t in flat if "float" in str(t.dtype)), flat[0])
    tensors = {run.keys[id(v)]: _numpy(v.value) for v in model.weights}
    look = Look("keras", [], tensors, inputs=_numpy(first))
    end, gradients = run.ends.get(id(run.outputs), (run.outputs, ""))[0], []
    if y is not None:
        function, end = _loss(look, run, _numpy(y), loss)
        if function is not None:
            look.loss, gradients = run.gradients(function, compiled=True)
    end = keras.tree.flatten(end)[0]
    look.outputs = _numpy(end).astype(np.float64)
    run.settle(end)
    look.unseen = dict(Counter(run.unseen.values()))
    look.layers = [call.row for call in run.calls]
    _complete(run, gradients)
    optimizer = getattr(model, "optimizer", None) if optimizer is None else optimizer
    if gradients and optimizer is not None:
        _add_updates(look, run, gradients, optimizer)
    return look


def _loss(look: Look, run: _Run, y: np.ndarray, loss: Any) -> tuple[Callable | None, Any]:
    """Return the loss of outputs (None if labels are out of range), and what it is about."""
    outputs, losses = run.outputs, keras.losses
    if not keras.ops.is_tensor(outputs) or len(y) != len(outputs):
        _checks.fail("y", "the targets of one output, one for each input", y)
    shape, (logits, head) = tuple(outputs.shape), run.ends.get(id(outputs), (outputs, ""))
    task, remark = task_of(y.dtype.kind in "iub", y.size, math.prod(shape))
    loss = getattr(run.model, "loss", None) if loss is None else loss
    if loss is not None:
        loss, remark = losses.get(loss), ""
    elif head == "sigmoid":
        loss = losses.BinaryCrossentropy()
    elif task == "classes":
        loss = losses.SparseCategoricalCrossentropy(from_logits=not head)
    else:
        loss = losses.CategoricalCrossentropy() if head else losses.MeanSquaredError()
    name = getattr(loss, "name", None) or getattr(loss, "__name__", type(loss).__name__)
    look.loss_name, is_sparse = name + remark, "sparse" in name
    is_error = name.startswith(("mean_", "huber", "log_cosh"))
    look.task = "classes" if "crossentropy" in name else "regression" if is_error else None
    right = shape[:-1] if is_sparse else shape
    if y.size == math.prod(right):  # of (n,) and (n, 1) the difference would be (n, n)
        y = y.reshape(right)
    elif look.task:
        _checks.fail("y", f"an array of shape {right}", y)
    look.targets = y.argmax(-1) if name.startswith("categorical") else y
    if look.task != "classes" or getattr(loss, "from_logits", False):
        logits = outputs
    labels = y[y != getattr(loss, "ignore_class", None)] if is_sparse else y
    if is_sparse and not ((labels >= 0) & (labels < shape[-1])).all():
        return None, logits
    return lambda outputs: keras.ops.mean(loss(y, outputs)), logits


def _complete(run: _Run, gradients: list) -> None:
    """Add to the rows the signals, and what the weights and the gradients tell."""
    by = dict(zip(map(id, run.variables), gradients))
    deltas = iter(gradients[len(run.variables) :])
    for call in run.calls:
        row, op = call.row, call.op
        variable, axes = _weight(op, row.kind)
        row.sums, row.outputs = _signal(call, call.sums), _signal(call, call.last, row.activation)
        row.inputs = None if row.kind == "embedding" else _signal(call, call.x)
        row.stream = None if call.stream is None else _signal(call, call.stream)
        row.deltas = _signal(call, next(deltas)) if gradients else None
        is_norm = row.kind == "normalisation"
        bias = getattr(op, "beta" if is_norm else "bias", None)
        row.bias = None if bias is None else _numpy(bias.value).astype(np.float64)
        if variable is None:
            continue
        row.key, row.shape = run.keys[id(variable)], tuple(variable.shape)
        row.trainable = any(variable is v for v in run.variables)
        row.library_fans = initializers.compute_fans(row.shape)
        groups = op.groups if _family(op) == "BaseConv" else 1
        stacks = [_numpy(variable.value).astype(np.float64), by.get(id(variable))]
        if not is_norm:
            stacks = [one if one is None else _stack(one, axes, groups) for one in stacks]
        places = math.prod(n for n, axis in zip(row.shape, axes) if axis == "p")
        strides = math.prod(getattr(op, "strides", ()))
        row.weigh(stacks[0], row.bias, stacks[1], by.get(id(bias)), places, strides)


def _add_updates(look: Look, run: _Run, gradients: list, optimizer: Any) -> None:
    """Let a new optimizer of the same settings take a step with copies of the weights."""
    fresh = _fresh(optimizer)
    look.optimizer = fresh.name
    copies = [keras.Variable(keras.ops.copy(v.value), name=v.name) for v in run.variables]
    steps = [keras.ops.convert_to_tensor(g, v.dtype) for g, v in zip(gradients, copies)]
    fresh.build(copies)
    fresh.apply(steps, copies)
    look.add_updates({run.keys[id(v)]: _numpy(new) for v, new in zip(run.variables, copies)})


def _fresh(optimizer: Any) -> Any:
    """Return a new optimizer of the settings of one, or of a name's."""
    optimizer = keras.optimizers.get(optimizer)
    optimizer = getattr(optimizer, "inner_optimizer", optimizer)  # of a LossScaleOptimizer
    config = optimizer.get_config() | {"gradient_accumulation_steps": None}
    return type(optimizer).from_config(config)


def train(model: Any, x: Any, y: Any, loss: Any, optimizer: Any) -> Iterator[dict[str, Any]]:
    """Yield each layer's sums, the last one's as they go into the loss, before each step."""
    if isinstance(optimizer, float):
        optimizer = keras.optimizers.Adam(optimizer)
    optimizer = optimizer(model) if callable(optimizer) else _fresh(optimizer)
    while True:
        run = _Run(model, keras.tree.map_structure(keras.ops.convert_to_tensor, x))
        function, end = _loss(Look("keras", [], {}), run, _numpy(y), loss)
        if end.shape == run.calls[-1].sums.shape:
            run.calls[-1].sums = end
        yield {call.row.name: _numpy(call.sums) for call in run.calls}
        gradients = run.gradients(function, compiled=False)[1][: len(run.variables)]
        steps = [keras.ops.convert_to_tensor(g, v.dtype) for g, v in zip(gradients, run.variables)]
        optimizer.apply(steps, run.variables)
