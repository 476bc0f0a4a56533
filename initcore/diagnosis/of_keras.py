"""What a batch shows of a Keras 3 model, on the JAX, TensorFlow or torch backend.

While the model runs, the `call` of each of its layers is replaced on the instance by one that notes
what goes in and out; whatever happens, all attributes are put back. The model runs in Keras' own
stateless scope: batch normalisation takes the batch's statistics, as in training, and keeps its
own; dropout is off, so that no seed is used. A second run adds a zero to every layer's
pre-activations, and the gradient by these zeros is that by the pre-activations.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from initcore import _checks, activations, initializers, probes
from initcore.diagnosis.look import Layer, Look, Signal, measure

# What is judged, by the class of Keras' own that a layer is of, or is derived from.
KINDS = {
    "Dense": "dense",
    "EinsumDense": "dense",
    "BaseConv": "convolution",
    "BaseDepthwiseConv": "depthwise convolution",
    "BaseSeparableConv": "convolution",
    "BaseConvTranspose": "transposed convolution",
    "ReversibleEmbedding": "embedding",
    "Embedding": "embedding",
    "BatchNormalization": "normalisation",
    "LayerNormalization": "normalisation",
    "GroupNormalization": "normalisation",
    "RMSNormalization": "normalisation",
}
CLOSED = ("RNN", "Bidirectional", "TimeDistributed")  # they call their parts inside a loop
ATTENTION = ("MultiHeadAttention", "GroupedQueryAttention")
GRID = np.linspace(-4.0, 4.0, 17)  # where activations are told apart; ReLU6 is ReLU there
NEAR = 2e-3  # more than half precision, or the tanh in an approximate GELU, changes on GRID
LOSS_SCALE = 2.0**15  # what Keras' LossScaleOptimizer begins with


def _family(op: Any, known: Any = KINDS) -> str:
    """Return the class of Keras' own, among `known`, that an operation is of; "" if none."""
    classes = (c for c in type(op).__mro__ if c.__module__.startswith("keras."))
    return next((c.__name__ for c in classes if c.__name__ in known), "")


def _numpy(tensor: Any) -> np.ndarray:
    import keras

    return np.asarray(keras.ops.convert_to_numpy(tensor))


@dataclass
class _Call:
    """One call of one operation, with its tensors, which are told apart by identity."""

    op: Any
    kind: str | None  # None: not judged
    inputs: list
    outputs: list
    sums: Any = None
    part: str = ""  # "depthwise" or "pointwise" of a separable convolution, "reverse" embedding
    name: str = ""


class _Run:
    """A model's operations, and the calls of them that are noted while it runs."""

    def __init__(self, model: Any) -> None:
        self.model, self.ops, self.names, self.kinds = model, [model], {}, {}
        self.containers: set[int] = set()
        self._find(model, "")

    def _find(self, parent: Any, path: str) -> None:
        for op in [*getattr(parent, "_layers", ()), *getattr(parent, "operations", ())]:
            self.containers.add(id(parent))
            if id(op) in self.names:
                continue
            self.ops.append(op)
            self.names[id(op)] = path + op.name
            is_quantized = getattr(op, "quantization_mode", None)
            kind = None if is_quantized else KINDS.get(_family(op))
            self.kinds[id(op)] = "attention" if kind and _family(parent, ATTENTION) else kind
            if not kind and not _family(op, CLOSED):
                self._find(op, f"{path}{op.name}/")

    def __call__(self, x: Any, trainable: list, zeros: list | None = None) -> Any:
        """Return the model's outputs, with `zeros` added to the sums; `calls` are then new."""
        self.calls: list[_Call] = []
        self.zeros = zeros
        fixed = [variable.value for variable in self.model.non_trainable_variables]
        before = [dict(vars(op)) for op in self.ops]
        try:
            for op in self.ops[1:]:
                self._listen(op)
            return self.model.stateless_call(trainable, fixed, x)[0]
        finally:
            for op, attributes in zip(self.ops, before):
                vars(op).clear()
                vars(op).update(attributes)

    def _listen(self, op: Any) -> None:
        import keras

        call, kind, phi = op.call, self.kinds[id(op)], getattr(op, "activation", None)
        family = _family(op)

        def tensors(tree: Any) -> list:
            return [leaf for leaf in keras.tree.flatten(tree) if keras.ops.is_tensor(leaf)]

        def noted(*args: Any, **kwargs: Any) -> Any:
            self._sums, part = None, "reverse" if kwargs.get("reverse") else ""
            inputs = tensors((args, kwargs))
            if family == "BatchNormalization":
                kwargs["training"] = True
            if family == "BaseSeparableConv":
                inputs, outputs, part = *self._separable(op, inputs[0]), "pointwise"
            else:
                outputs = call(*args, **kwargs)
            if kind and self._sums is None:
                outputs = self._sum(outputs)
            sums = self._sums if kind else None
            self.calls.append(_Call(op, kind, inputs, tensors(outputs), sums, part))
            return outputs

        vars(op)["call"] = noted
        if kind and callable(phi):
            vars(op)["activation"] = lambda z: phi(self._sum(z))

    def _sum(self, z: Any) -> Any:
        number = sum(call.kind is not None for call in self.calls)
        self._sums = z if self.zeros is None else z + self.zeros[number]
        return self._sums

    def _separable(self, op: Any, x: Any) -> tuple[list, Any]:
        """Return what goes into the second half of a separable convolution, and its outputs."""
        import keras

        z = self._sum(
            keras.ops.depthwise_conv(
                x, op.depthwise_kernel, op.strides, op.padding, op.data_format, op.dilation_rate
            )
        )
        self.calls.append(_Call(op, "depthwise convolution", [x], [z], z, "depthwise"))
        outputs = keras.ops.conv(z, op.pointwise_kernel, 1, "valid", op.data_format)
        if op.bias is not None:
            places = (1,) * op.rank
            is_last = op.data_format == "channels_last"
            shape = (1, *places, -1) if is_last else (1, -1, *places)
            outputs = outputs + keras.ops.reshape(op.bias, shape)
        return [z], op.activation(outputs)


def look(model: Any, x: Any, y: Any = None, loss: Any = None, optimizer: Any = None) -> Look:
    """Return what a batch shows of a Keras model.

    Parameters
    ----------
    model : keras.Model
        Built: sequential, functional or subclassed, of any depth.
    x : array or tensor, or a list, tuple or dict of them
        As the model takes them; the first axis is that of the inputs.
    y : array_like, optional
        Targets of one output; without them nothing is sent back.
    loss : str, keras.losses.Loss or callable, optional
        A callable is called as ``loss(y, outputs)``. None: that of ``model.compile``, else one
        that suits `y` and the last activation.
    optimizer : str or keras.optimizers.Optimizer, optional
        None: that of ``model.compile``. A copy takes one step, with copies of the weights.

    Raises
    ------
    ValueError, TypeError
        A model that is not built or is not Keras 3's, targets or a loss that do not fit, or a
        backend on which Keras has no gradients.
    """
    import keras

    if not isinstance(model, keras.Layer):
        _checks.fail("model", "a keras.Model of Keras 3", model, TypeError)
    if not model.built:
        _checks.fail("model", "built: call `model(x)` once", model)
    x = keras.tree.map_structure(keras.ops.convert_to_tensor, x)
    weights = [variable.value for variable in model.trainable_variables]
    run = _Run(model)
    outputs = run(x, weights)
    calls, flat = run.calls, keras.tree.flatten(x)
    first = next((t for t in flat if "float" in str(t.dtype)), flat[0])
    keys = _keys(model)
    tensors = {keys[id(variable)]: _numpy(variable.value) for variable in model.weights}
    look = Look("keras", [], tensors, inputs=_numpy(first))
    end, head = _head(calls, outputs)
    found: list = []
    if y is not None:
        function, end = _loss(look, model, y, loss, outputs, end, head)
        if function is not None:
            look.loss = float(function(outputs))
            zeros = [keras.ops.zeros_like(call.sums) for call in calls if call.kind]
            found = _gradients(run, x, weights, zeros, function)
    end = keras.tree.flatten(end)[0]
    look.outputs = _numpy(end).astype(np.float64)
    _add_rows(look, run, calls, end, keys, found)
    optimizer = getattr(model, "optimizer", None) if optimizer is None else optimizer
    if found and optimizer is not None:
        _add_updates(look, model.trainable_variables, keys, found, optimizer)
    return look


def _keys(model: Any) -> dict[int, str]:
    """Return a name for each weight, by its id."""
    keys: dict[int, str] = {}
    for variable in model.weights:
        twin = f" ({len(keys)})" if variable.path in keys.values() else ""
        keys[id(variable)] = variable.path + twin
    return keys


def _head(calls: list[_Call], outputs: Any) -> tuple[Any, str]:
    """Return the logits and "softmax" or "sigmoid" if the model ends in one, else its outputs."""
    for call in calls:
        phi = getattr(call.op, "activation", call.op)
        name = getattr(phi, "__name__", type(phi).__name__).lower()
        if name in ("softmax", "sigmoid") and any(t is outputs for t in call.outputs):
            return (call.sums if call.kind else call.inputs[0]), name
    return outputs, ""


def _loss(
    look: Look, model: Any, y: Any, loss: Any, outputs: Any, logits: Any, head: str
) -> tuple[Callable | None, Any]:
    """Return the loss as a function of the outputs, and the logits or predictions it is about.

    The function is None if labels are out of range, which is a finding.
    """
    import keras

    if not keras.ops.is_tensor(outputs):
        _checks.fail("model", "a model of one output where `y` is given", model)
    y, shape = _numpy(y), tuple(outputs.shape)
    is_integer, is_labels = y.dtype.kind in "iub", y.shape in (shape[:-1], (*shape[:-1], 1))
    is_hot = y.shape == shape and shape[-1] > 1 and bool(((y == 0) | (y == 1)).all())
    loss = getattr(model, "loss", None) if loss is None else loss
    note = "" if loss is not None else f", as y holds {'integers' if is_integer else 'floats'}"
    if loss is not None:
        loss = keras.losses.get(loss)
    elif is_integer and is_labels and shape[-1] > 1:
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=head != "softmax")
    elif is_hot and head != "sigmoid" and bool((y.sum(-1) == 1).all()):
        loss = keras.losses.CategoricalCrossentropy(from_logits=head != "softmax")
    elif head == "sigmoid" or (is_integer and is_labels and set(y.flat) <= {0, 1}):
        loss = keras.losses.BinaryCrossentropy(from_logits=head != "sigmoid")
    else:
        loss = keras.losses.MeanSquaredError()
    if not callable(loss):
        _checks.fail("loss", "one loss: a name, a keras.losses.Loss or a callable", loss, TypeError)
    name = getattr(loss, "name", None) or getattr(loss, "__name__", type(loss).__name__)
    look.loss_name = name + note
    if "crossentropy" in name:
        look.task = "classes"
    elif name.startswith(("mean_", "huber", "log_cosh")):
        look.task = "regression"
    if look.task and not (is_labels if "sparse" in name else y.shape == shape or is_labels):
        _checks.fail("y", f"of shape {shape[:-1] if 'sparse' in name else shape}", y)
    if is_labels and y.ndim == len(shape) - 1 and shape[-1] == 1:
        y = y[..., None]
    look.targets = y.argmax(-1) if is_hot and name.startswith("categorical") else y
    if look.task != "classes" or getattr(loss, "from_logits", False):
        logits = outputs
    if "sparse" in name and not 0 <= y.min() <= y.max() < shape[-1]:
        return None, logits
    return lambda outputs: keras.ops.mean(loss(y, outputs)), logits


def _gradients(run: _Run, x: Any, weights: list, zeros: list, loss: Callable) -> list:
    """Return the gradients by the weights, and by zeros that are added to the sums.

    In half precision the loss is scaled, by less if that overflows, as Keras does in training.
    """
    import keras

    backend = keras.backend.backend()
    scale = LOSS_SCALE if any("float16" in str(zero.dtype) for zero in zeros) else 1.0

    def value(arrays: list) -> Any:
        n = len(weights)
        return scale * loss(run(x, arrays[:n], arrays[n:]))

    while True:
        arrays = [*weights, *zeros]
        if backend == "jax":
            import jax

            found = jax.grad(value)(arrays)
        elif backend == "torch":
            import torch

            arrays = [array.detach().clone().requires_grad_() for array in arrays]
            found = torch.autograd.grad(value(arrays), arrays, materialize_grads=True)
        elif backend == "tensorflow":
            import tensorflow as tf

            arrays = [tf.convert_to_tensor(array) for array in arrays]
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch(arrays)
                result = value(arrays)
            found = tape.gradient(result, arrays, unconnected_gradients="zero")
        else:
            _checks.fail("model", "on a backend with gradients where `y` is given", backend)
        found = [_numpy(gradient) for gradient in found]
        if scale == 1.0:
            return found
        if scale <= 1.0 or all(np.isfinite(gradient).all() for gradient in found):
            return [gradient.astype(np.float64) / scale for gradient in found]
        scale /= 32.0


def _add_updates(look: Look, variables: list, keys: dict, gradients: list, optimizer: Any) -> None:
    """Let a new optimizer of the same settings take a step with copies of the weights."""
    import keras

    optimizer = keras.optimizers.get(optimizer)
    optimizer = getattr(optimizer, "inner_optimizer", optimizer)  # of a LossScaleOptimizer
    look.optimizer = optimizer.name
    config = optimizer.get_config() | {"gradient_accumulation_steps": None}
    copies = [
        keras.Variable(keras.ops.copy(v.value), dtype=v.dtype, name=v.name) for v in variables
    ]
    gradients = [keras.ops.convert_to_tensor(g, v.dtype) for g, v in zip(gradients, variables)]
    type(optimizer).from_config(config).apply(gradients, copies)
    updates = {}
    for old, new in zip(variables, copies):
        step = _numpy(new.value).astype(np.float64) - _numpy(old.value)
        size = _rms(_numpy(old.value))
        updates[keys[id(old)]] = _rms(step) / size if size else np.inf
    for row in look.layers:
        row.update = updates.get(row.key)


def _rms(array: np.ndarray) -> float:
    return measure(array.reshape(-1, array.shape[-1])).rms


def _equation(op: Any) -> tuple[str, str, str]:
    """Return the letters of what an EinsumDense takes, of its kernel and of what it returns."""
    left, leaving = op.equation.replace(" ", "").split("->")
    return *left.split(","), leaving


def _kernel(call: _Call) -> tuple[Any, str]:
    """Return what a call multiplies by, with a letter for each axis: place, group, input, unit.

    Of a normalisation it is γ, which may be None.
    """
    op, family = call.op, _family(call.op)
    places = "p" * getattr(op, "rank", 0)
    if call.kind == "normalisation":
        return op.scale if family == "RMSNormalization" else getattr(op, "gamma", None), "u"
    if call.part == "depthwise":
        return op.depthwise_kernel, places + "gu"
    if call.part == "pointwise":
        return op.pointwise_kernel, places + "iu"
    if "Embedding" in family:
        if call.part == "reverse" and not op.tie_weights:
            return op.reverse_embeddings, "iu"
        return op.embeddings, "ui" if call.part == "reverse" else "iu"
    if family == "EinsumDense":
        entering, kernel, leaving = _equation(op)
        letters = ("i" if a not in leaving else "g" if a in entering else "u" for a in kernel)
        return op.kernel, "".join(letters)
    letters = {"BaseDepthwiseConv": "gu", "BaseConvTranspose": "ui"}.get(family, "iu")
    return op.kernel, places + letters


def _stack(array: np.ndarray, letters: str, groups: int) -> np.ndarray:
    """Return a kernel, or the gradient by it, as ``(groups, fan_in, units)``."""
    if groups > 1:  # the filters of a grouped convolution stand group after group
        array = array.reshape(*array.shape[:-1], groups, -1)
        letters = letters[:-1] + "gu"
    order = sorted(range(array.ndim), key=lambda axis: "gpiu".index(letters[axis]))
    sizes = {a: math.prod(n for n, b in zip(array.shape, letters) if a == b) for a in "gu"}
    return array.transpose(order).reshape(sizes["g"], -1, sizes["u"])


def _units_last(array: np.ndarray, op: Any) -> np.ndarray:
    """Return what goes in or out of a layer with the axis of the units, or channels, last."""
    if _family(op) == "EinsumDense":
        entering, kernel, leaving = _equation(op)
        new = set(leaving) - set(entering)
        axes = [leaving.index(a) - len(leaving) for a in kernel if a in new]
        array = np.moveaxis(array, axes, range(-len(axes), 0))
        return array.reshape(*array.shape[: array.ndim - len(axes)], -1)
    axis = 1 if getattr(op, "data_format", "") == "channels_first" else getattr(op, "axis", -1)
    return np.moveaxis(array, axis, -1) if isinstance(axis, int) else array


def _phi(function: Any, ndim: int = 2) -> str | None:
    """Return the name of an elementwise function, as `activations.get` knows it; None if unknown."""
    import keras

    with keras.StatelessScope():
        try:
            z = GRID.astype("float32").reshape((1,) * (ndim - 1) + (-1,))
            values = _numpy(function(keras.ops.convert_to_tensor(z))).astype(np.float64)
        except Exception:  # noqa: BLE001 - whatever somebody's function raises for this shape
            return None
    if values.size == GRID.size:
        for name in activations.names():
            if np.abs(values.ravel() - activations.get(name)(GRID)).max() < NEAR:
                return name
    return None


def _own(op: Any) -> Any:
    """Return the weights of an operation that are in none of its parts."""
    return op.weights if _family(op, CLOSED) else getattr(op, "_trainable_variables", ())


def _follow(run: _Run, calls: list[_Call], place: int, phi: str | None, end: Any) -> tuple:
    """Return what an output goes through before the next weights: φ, normalised, the last tensor.

    An operation of several inputs, such as an addition, ends the search for φ.
    """
    tensor = last = calls[place].outputs[0]
    normalised, is_open = False, phi == "linear"
    for step in calls[place + 1 :]:
        if id(step.op) in run.containers or not any(t is tensor for t in step.inputs):
            continue
        if step.kind == "normalisation":
            normalised = True
        elif step.kind or _own(step.op):
            return phi if step.kind or not is_open else None, normalised, last
        is_open = is_open and len(step.inputs) == 1
        tensor = step.outputs[0]
        if not is_open or tensor.shape != step.inputs[0].shape:
            continue
        if not step.kind:
            name = _phi(step.op.call, len(tensor.shape))
            if name == "linear":
                continue
            phi, is_open = name, False
        last = tensor
    is_end = tensor is end or (
        tensor.shape == end.shape and np.array_equal(_numpy(tensor), _numpy(end))
    )
    return phi if is_end or not is_open else None, normalised, last


def _branches(run: _Run, calls: list[_Call]) -> dict[int, tuple[_Call, Any]]:
    """Return for each call that ends a residual branch the addition, and what is added.

    Of two tensors that are added, the one with more weights behind it is the branch, if something
    is behind both.
    """
    source: dict[int, int] = {}
    before: list[int] = []  # the calls behind each call, as bits; bit 0 is whatever is not known
    depth: list[int] = []
    ends: dict[int, tuple[_Call, Any]] = {}

    def behind(tensor: Any) -> tuple[int, int]:
        place = source.get(id(tensor))
        return (0, 1) if place is None else (depth[place], before[place] | 2 << place)

    for place, call in enumerate(calls):
        lines = [behind(tensor) for tensor in call.inputs]
        has_weights = call.kind not in (None, "normalisation")
        depth.append(max((deep for deep, _ in lines), default=0) + has_weights)
        before.append(0)
        for _, bits in lines:
            before[place] |= bits
        for tensor in call.outputs:
            owner = source.setdefault(id(tensor), place)
            if id(call.op) in run.containers and owner != place:  # made by one of its parts
                before[owner] |= before[place]
                depth[owner] = max(depth[owner], depth[place] + 1)
        if type(call.op).__name__ == "Add" and len(lines) == 2 and lines[0][1] & lines[1][1]:
            tensor = branch = max(call.inputs, key=behind)
            if lines[0][0] != lines[1][0]:
                while not calls[source[id(tensor)]].kind:
                    tensor = max(calls[source[id(tensor)]].inputs, key=behind)
                ends[source[id(tensor)]] = call, branch
    return ends


def _add_rows(
    look: Look, run: _Run, calls: list[_Call], end: Any, keys: dict[int, str], gradients: list
) -> None:
    """Add a row for each call that is judged, and count the layers that are not.

    `end` is the tensor of the logits or predictions; `gradients` are by the trainable weights,
    then by the sums.
    """
    known: dict[tuple, Signal] = {}

    def seen(tensor: Any, call: _Call, phi: str | None = None) -> Signal:
        array = _numpy(tensor)
        if array.ndim == len(call.sums.shape):
            array = _units_last(array, call.op)
        key = (id(tensor), phi, array.shape)
        if key not in known:
            known[key] = measure(array, phi)
        return known[key]

    trainable = run.model.trainable_variables
    by_weight = dict(zip(map(id, trainable), gradients))
    deltas, ends = iter(gradients[len(trainable) :]), _branches(run, calls)
    times: Counter = Counter()
    unseen: Counter = Counter()
    for call in calls:
        part = f" {call.part}" if call.part.endswith("wise") else ""
        call.name = run.names[id(call.op)] + part
        times[call.name] += 1
        unseen[type(call.op).__name__] += not call.kind and times[call.name] == 1 and bool(_own(call.op))
        if times[call.name] > 1:
            call.name += f" (call {times[call.name]})"
    for place, call in enumerate(calls):
        if not call.kind:
            continue
        op, delta = call.op, next(deltas, None)
        variable, letters = _kernel(call)
        if variable is not None and id(variable) not in keys:  # low-rank adaptation
            unseen[type(op).__name__] += 1
            continue
        is_norm, is_depthwise = call.kind == "normalisation", call.part == "depthwise"
        has_phi = getattr(op, "activation", None) and not is_depthwise
        phi = _phi(op.activation) if has_phi else "linear"
        phi, normalised, last = _follow(run, calls, place, phi, end)
        if call.sums is end:
            phi, last = "linear", end
        row = Layer(call.name, call.kind, activation=phi, normalised=normalised)
        row.sums = seen(call.sums, call)
        if place in ends:
            add, last = ends[place]
            row.branch, row.stream = add.name, seen(add.outputs[0], call)
        row.outputs = seen(last, call, phi)
        bias = None if is_depthwise else getattr(op, "beta" if is_norm else "bias", None)
        row.bias = None if bias is None else _numpy(bias.value).astype(np.float64)
        if delta is not None:
            row.deltas = measure(_units_last(delta, op))
        if variable is not None:
            row.key, row.shape = keys[id(variable)], tuple(variable.shape)
            row.trainable = any(variable is v for v in trainable)
            row.library_fans = initializers.compute_fans(row.shape)
        gradient = by_weight.get(id(variable))
        if is_norm:
            row.inputs = seen(call.inputs[0], call)
            if variable is not None:
                row.scale = _numpy(variable.value).astype(np.float64)
            if gradient is not None:
                row.gradient = measure(gradient.reshape(1, -1))
        else:
            _add_weight(row, call, variable, letters, gradient, by_weight.get(id(bias)))
            if row.kind != "embedding":
                row.inputs = seen(call.inputs[0], call)
        look.layers.append(row)
    look.unseen = dict(+unseen)


def _add_weight(
    row: Layer, call: _Call, variable: Any, letters: str, gradient: Any, by_bias: Any
) -> None:
    """Add what the kernel tells, and the gradient by it."""
    groups = getattr(call.op, "groups", 1)
    row.weight = _stack(_numpy(variable.value), letters, groups).astype(np.float64)
    _, row.fan_in, units = row.weight.shape
    strides = 1 if call.part == "pointwise" else math.prod(getattr(call.op, "strides", ()))
    places = math.prod(n for n, a in zip(row.shape, letters) if a == "p")
    row.fan_out = units * places
    if row.kind == "transposed convolution":
        row.fan_in /= strides
    else:
        row.fan_out /= strides
    if call.part == "reverse":
        row.kind = "dense"
    elif row.kind == "embedding":
        row.fan_in = 1.0
    row.distinct = _distinct(row.weight, row.bias)
    if gradient is not None:
        stack = _stack(gradient, letters, groups)
        row.gradient = measure(stack.reshape(-1, units))
        row.distinct_gradients = _distinct(stack, by_bias)


def _distinct(stack: np.ndarray, bias: np.ndarray | None) -> int | None:
    """Return the number of units that differ, if all numbers are finite."""
    if bias is not None and bias.size == stack.shape[0] * stack.shape[2]:
        stack = np.concatenate([stack, bias.reshape(len(stack), 1, -1)], axis=1)
    return int(probes.distinct_units(stack).sum()) if np.isfinite(stack).all() else None
