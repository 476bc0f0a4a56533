"""What a batch shows of a Keras 3 model, on the JAX, torch or TensorFlow backend.

While the model runs, the `call` of each of its operations is replaced by one that notes what goes
in and out; whatever happens, all attributes are put back. It runs in Keras' stateless scope: batch
normalisation takes the batch's statistics, as in training, and keeps its own; dropout is off, so
that no seed is used. In a second run zeros are added to the sums, for the gradient by them.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from initcore import _checks, activations, initializers, probes
from initcore.diagnosis.look import Layer, Look, Signal, measure

# What is judged, by the class of Keras' own that a layer is of, or is derived from.
KINDS = {
    **dict.fromkeys(("Dense", "EinsumDense"), "dense"),
    **dict.fromkeys(("BaseConv", "BaseSeparableConv"), "convolution"),
    "BaseDepthwiseConv": "depthwise convolution",
    "BaseConvTranspose": "transposed convolution",
    **dict.fromkeys(("ReversibleEmbedding", "Embedding"), "embedding"),
    **dict.fromkeys(("BatchNormalization", "LayerNormalization"), "normalisation"),
    **dict.fromkeys(("GroupNormalization", "RMSNormalization"), "normalisation"),
}
CLOSED = ("RNN", "Bidirectional", "TimeDistributed")  # they call their parts inside a loop
ATTENTION = ("MultiHeadAttention", "GroupedQueryAttention")
GRID = np.linspace(-8.0, 8.0, 32)  # where activations are told apart; none of it is 0
NEAR = 2e-3  # more than half precision, or the tanh in an approximate GELU, changes on GRID
PHIS = [activations.get(name) for name in activations.names()]
SAMPLE, RECENT = 1024, 32  # numbers by which tensors are compared, and how many are
keras: Any = None  # which `look` imports: nobody calls it without a model of Keras'
LOSS_SCALE = 2.0**15  # in half precision: what Keras' LossScaleOptimizer begins with


def _family(op: Any, known: Any = KINDS) -> str:
    """Return the class of Keras' own, among `known`, that an operation is of; "" if none."""
    classes = (c for c in type(op).__mro__ if c.__module__.startswith("keras."))
    return next((c.__name__ for c in classes if c.__name__ in known), "")


def _numpy(tensor: Any) -> np.ndarray:
    return np.asarray(keras.ops.convert_to_numpy(tensor))


@dataclass
class _Call:
    """One call of one operation, with its tensors, which are told apart by identity."""

    op: Any
    kind: str | None  # None: not judged
    inputs: list
    outputs: list
    sums: Any = None
    name: str = ""
    grid: Any = ()  # on GRID, of its activation or itself; None: no function of one number
    phi: str | None = "linear"  # what the sums go through before the next weights
    last: Any = None  # and the tensor that they become, before they are added to others
    add: _Call | None = None  # the addition at the end of a residual branch
    normalised: bool = False
    opens: bool = False
    is_joint: bool = False
    is_closed: bool = False


class _Run:
    """A model's operations, and the calls of them that are noted while it runs."""

    def __init__(self, model: Any, x: Any) -> None:
        paths = [variable.path for variable in model.weights]
        twins = (f" ({i})" if path in paths[:i] else "" for i, path in enumerate(paths))
        self.keys = {id(v): path + twin for v, path, twin in zip(model.weights, paths, twins)}
        self.model, self.x, self.variables = model, x, model.trainable_variables
        self.fixed = [variable.value for variable in model.non_trainable_variables]
        self.weights = [variable.value for variable in self.variables]
        self.ops, self.names, self.kinds, self.containers = [model], {}, {}, set()
        self._find(model, "")

    def _find(self, parent: Any, path: str) -> None:
        for op in [*getattr(parent, "_layers", ()), *getattr(parent, "operations", ())]:
            self.containers.add(id(parent))
            if id(op) not in self.names:
                self.ops.append(op)
                self.names[id(op)] = path + op.name
                is_quantized = getattr(op, "quantization_mode", None)
                kind = None if is_quantized else KINDS.get(_family(op))
                self.kinds[id(op)] = "attention" if kind and _family(parent, ATTENTION) else kind
                if not kind and not _family(op, CLOSED):
                    self._find(op, f"{path}{op.name}/")

    def _outputs(self, x: Any, fixed: list, weights: list, zeros: list | None = None) -> Any:
        self.calls, self.zeros, self.times = [], zeros, Counter()
        before = [dict(vars(op)) for op in self.ops]
        try:
            for op in self.ops[1:]:
                self._listen(op)
            return self.model.stateless_call(weights, fixed, x)[0]
        finally:
            for op, attributes in zip(self.ops, before):
                vars(op).clear()
                vars(op).update(attributes)

    def forward(self) -> tuple[Any, list[_Call]]:
        """Return the outputs, and the calls."""

        def tensors(*arguments: Any) -> dict:
            self.outputs = self._outputs(*arguments)
            seen = [(call.inputs, call.outputs, call.sums, call.grid) for call in self.calls]
            found = keras.tree.flatten((self.outputs, seen))
            return {id(t): t for t in found if keras.ops.is_tensor(t)}

        if keras.backend.backend() == "jax":  # step by step is slower, as each is compiled alone
            import jax

            tensors = jax.jit(tensors)
        values = tensors(self.x, self.fixed, self.weights)
        for call in self.calls:
            call.inputs = [values[id(t)] for t in call.inputs]
            call.outputs = [values[id(t)] for t in call.outputs]
            call.sums = values.get(id(call.sums))
            call.grid = values.get(id(call.grid), call.grid)
        return keras.tree.map_structure(lambda t: values[id(t)], self.outputs), self.calls

    def backward(self, loss: Callable, zeros: list) -> tuple[float, list[np.ndarray]]:
        """Return the loss, and the gradients by the trainable weights and by the sums."""
        backend, n = keras.backend.backend(), len(self.weights)
        arrays = [*self.weights, *zeros]
        scale = LOSS_SCALE if any("float16" in str(zero.dtype) for zero in zeros) else 1.0

        def value(arrays: list, x: Any, fixed: list) -> Any:
            return scale * loss(self._outputs(x, fixed, arrays[:n], arrays[n:]))

        if backend == "jax":
            import jax

            result, found = jax.jit(jax.value_and_grad(value))(arrays, self.x, self.fixed)
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
        found = [_numpy(tf.convert_to_tensor(g) if backend == "tensorflow" else g) for g in found]
        if scale > 1.0:
            found = [gradient.astype(np.float64) / scale for gradient in found]
        return float(_numpy(result)) / scale, found

    def _listen(self, op: Any) -> None:
        call, kind, phi = op.call, self.kinds[id(op)], getattr(op, "activation", None)

        def tensors(tree: Any) -> list:
            return [leaf for leaf in keras.tree.flatten(tree) if keras.ops.is_tensor(leaf)]

        def noted(*args: Any, **kwargs: Any) -> Any:
            args, before = list(args), {}
            if _family(op) == "BatchNormalization":
                kwargs["training"] = True
            if _family(op) == "BaseSeparableConv":
                before = dict(vars(op))
                args[0] = self._depthwise(op, args[0])
            self._sums, inputs = None, tensors((args, kwargs))
            outputs = call(*args, **kwargs)
            vars(op).update(before)
            if kind and self._sums is None:
                outputs = self._sum(outputs)
            known = "dense" if kwargs.get("reverse") else kind  # an embedding, on its way back
            made = _Call(op, known, inputs, tensors(outputs), self._sums if kind else None)
            self._add(made)
            if kind and callable(phi):
                made.grid = self._on_grid(phi, 2)
            elif not kind and not _own(op) and len(inputs) == len(made.outputs) == 1:
                if inputs[0].shape == made.outputs[0].shape:
                    made.grid = self._on_grid(
                        lambda z: call(*(z if a is inputs[0] else a for a in args), **kwargs),
                        len(inputs[0].shape),
                    )
            return outputs

        vars(op)["call"] = noted
        if kind and callable(phi):
            vars(op)["activation"] = lambda z: phi(self._sum(z))

    def _add(self, call: _Call, part: str = "") -> None:
        call.name = self.names[id(call.op)] + part
        self.times[call.name] += 1
        call.name += f" (call {self.times[call.name]})" if self.times[call.name] > 1 else ""
        self.calls.append(call)

    def _sum(self, z: Any) -> Any:
        number = sum(call.kind is not None for call in self.calls)
        self._sums = z if self.zeros is None else z + self.zeros[number]
        return self._sums

    def _depthwise(self, op: Any, x: Any) -> Any:
        """Take the first half of a separable convolution, and leave the second to its `call`."""
        settings = op.strides, op.padding, op.data_format, op.dilation_rate
        z = self._sum(keras.ops.depthwise_conv(x, op.depthwise_kernel, *settings))
        self._add(_Call(op, "depthwise convolution", [x], [z], z), " depthwise")
        one = (1,) * op.rank
        kernel = keras.ops.ones((*one, math.prod(op.depthwise_kernel.shape[-2:]), 1), z.dtype)
        vars(op).update(strides=one, dilation_rate=one, depthwise_kernel=kernel)
        return z

    def _on_grid(self, function: Callable, ndim: int) -> Any:
        try:
            z = GRID.astype("float32").reshape((1,) * (ndim - 1) + (-1,))
            return None if self.zeros else function(keras.ops.convert_to_tensor(z))
        except Exception:  # noqa: BLE001 - whatever somebody's layer raises for this shape
            return None


def _name(grid: Any) -> str | None:
    """Return the name of the function with these values, None if it is not known.

    >>> _name(np.where(GRID > 0, GRID, 0.2 * GRID)), _name(3 * GRID), _name(np.cos(GRID))
    ('leaky_relu(0.2)', 'linear', None)
    """
    values = GRID if isinstance(grid, tuple) else np.ravel(grid).astype(np.float64)
    if values.size != GRID.size:
        return None
    slopes = values / GRID
    leaky = activations.make_leaky_relu(float(np.clip(slopes[0], -1.0, 1.0)))
    near = (phi.name for phi in [*PHIS, leaky] if np.abs(phi(GRID) - values).max() < NEAR)
    return "linear" if np.ptp(slopes) < NEAR else next(near, None)


def _own(op: Any) -> Any:
    """Return the weights of an operation that are in none of its parts."""
    return op.weights if _family(op, CLOSED) else getattr(op, "_trainable_variables", ())


def look(model: Any, x: Any, y: Any = None, loss: Any = None, optimizer: Any = None) -> Look:
    """Return what a batch shows of a Keras model.

    Parameters
    ----------
    model : keras.Model
        Built: sequential, functional or subclassed.
    x : array or tensor, or a list, tuple or dict of them
        As the model takes them; the first axis is that of the inputs.
    y : array_like, optional
        Targets of one output; without them nothing is sent back.
    loss : str, keras.losses.Loss or callable ``loss(y, outputs)``, optional
        None: that of ``model.compile``, else one that suits `y` and the last activation.
    optimizer : str or keras.optimizers.Optimizer, optional
        None: that of ``model.compile``. A copy takes one step, with copies of the weights.

    Raises
    ------
    ValueError, TypeError
        Not a built model of Keras 3; targets or a loss that do not fit; no gradients.
    """
    global keras
    import keras

    if not isinstance(model, keras.Layer):
        _checks.fail("model", "a keras.Model of Keras 3", model, TypeError)
    if not model.built:
        _checks.fail("model", "built: call `model(x)` once", model)
    run = _Run(model, keras.tree.map_structure(keras.ops.convert_to_tensor, x))
    outputs, calls = run.forward()
    flat = keras.tree.flatten(run.x)
    first = next((t for t in flat if "float" in str(t.dtype)), flat[0])
    tensors = {run.keys[id(v)]: _numpy(v.value) for v in model.weights}
    look = Look("keras", [], tensors, inputs=_numpy(first))
    end, head = _head(calls, outputs)
    gradients: list = []
    if y is not None:
        function, end = _loss(look, model, _numpy(y), loss, outputs, end, head)
        if function is not None:
            zeros = [keras.ops.zeros_like(call.sums) for call in calls if call.kind]
            look.loss, gradients = run.backward(function, zeros)
    end = keras.tree.flatten(end)[0]
    look.outputs = _numpy(end).astype(np.float64)
    calls = _written_out(run, calls)
    _settle(run, calls, end)
    _add_rows(look, run, calls, gradients)
    optimizer = getattr(model, "optimizer", None) if optimizer is None else optimizer
    if gradients and optimizer is not None:
        _add_updates(look, run, gradients, optimizer)
    return look


def _head(calls: list[_Call], outputs: Any) -> tuple[Any, str]:
    """Return the logits and "softmax" or "sigmoid" if the model ends in one, else its outputs."""
    for call in calls:
        phi = getattr(call.op, "activation", call.op)
        name = getattr(phi, "__name__", type(phi).__name__).lower()
        if name in ("softmax", "sigmoid") and any(t is outputs for t in call.outputs):
            return (call.sums if call.kind else call.inputs[0]), name
    return outputs, ""


def _loss(
    look: Look, model: Any, y: np.ndarray, loss: Any, outputs: Any, logits: Any, head: str
) -> tuple[Callable | None, Any]:
    """Return the loss as a function of the outputs, and the logits or predictions it is about.

    The function is None if labels are out of range, which is a finding.
    """
    if not keras.ops.is_tensor(outputs) or len(y) != len(outputs):
        _checks.fail("y", "the targets of one output, one for each input", y)
    shape, is_integer, losses = tuple(outputs.shape), y.dtype.kind in "iub", keras.losses
    loss = getattr(model, "loss", None) if loss is None else loss
    note = "" if loss is not None else f", as y holds {'integers' if is_integer else 'floats'}"
    if loss is not None:
        loss = losses.get(loss)
    elif head == "sigmoid":
        loss = losses.BinaryCrossentropy()
    elif is_integer and shape[-1] > 1 and y.shape != shape:
        loss = losses.SparseCategoricalCrossentropy(from_logits=not head)
    else:
        loss = losses.CategoricalCrossentropy() if head else losses.MeanSquaredError()
    name = getattr(loss, "name", None) or getattr(loss, "__name__", type(loss).__name__)
    look.loss_name, is_sparse = name + note, "sparse" in name
    if "crossentropy" in name:
        look.task = "classes"
    elif name.startswith(("mean_", "huber", "log_cosh")):
        look.task = "regression"
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


def _add_updates(look: Look, run: _Run, gradients: list, optimizer: Any) -> None:
    """Let a new optimizer of the same settings take a step with copies of the weights."""
    optimizer = keras.optimizers.get(optimizer)
    optimizer = getattr(optimizer, "inner_optimizer", optimizer)  # of a LossScaleOptimizer
    look.optimizer = optimizer.name
    config = optimizer.get_config() | {"gradient_accumulation_steps": None}
    copies = [keras.Variable(keras.ops.copy(v.value), name=v.name) for v in run.variables]
    steps = [keras.ops.convert_to_tensor(g, v.dtype) for g, v in zip(gradients, copies)]
    fresh = type(optimizer).from_config(config)
    fresh.build(copies)
    if keras.backend.backend() == "jax":
        import jax

        states = [[variable.value for variable in group] for group in (fresh.variables, copies)]
        after = jax.jit(fresh.stateless_apply)(states[0], steps, states[1])[0]
    else:
        fresh.apply(steps, copies)
        after = [variable.value for variable in copies]
    for variable, new in zip(run.variables, after):
        old = _numpy(variable.value).astype(np.float64).reshape(1, -1)
        with np.errstate(invalid="ignore"):  # infinity less itself
            size, step = measure(old).rms, measure(_numpy(new).reshape(1, -1) - old).rms
        for row in look.layers:
            if row.key == run.keys[id(variable)]:
                row.update = step / size if size else np.inf


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
        scale = op.scale if family == "RMSNormalization" else getattr(op, "gamma", None)
        return scale, "u" * len(getattr(scale, "shape", ()))
    if family == "EinsumDense":
        entering, kernel, leaving = _equation(op)
        letters = ("i" if a not in leaving else "g" if a in entering else "u" for a in kernel)
        return op.kernel, "".join(letters)
    if family == "BaseSeparableConv":
        first = op.depthwise_kernel, places + "gu"
        return first if call.kind != "convolution" else (op.pointwise_kernel, places + "iu")
    if "Embedding" in family:
        is_tied = call.kind == "embedding" or op.tie_weights
        kernel = op.embeddings if is_tied else op.reverse_embeddings
        return kernel, "ui" if call.kind == "dense" and is_tied else "iu"
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


def _written_out(run: _Run, calls: list[_Call]) -> list[_Call]:
    """Add the activations and sums of two that a model computes without an operation of Keras'.

    They are known by their values: what goes into a layer, or comes out of a model within, and no
    operation has made, is compared with tensors of that shape from before.
    """
    known: dict[int, Any] = {}
    samples: dict[int, np.ndarray] = {}
    written: list[_Call] = []

    def sample(tensor: Any) -> np.ndarray:
        if id(tensor) not in samples:
            samples[id(tensor)] = _numpy(tensor).ravel()[:SAMPLE].astype(np.float64)
        return samples[id(tensor)]

    for call in calls:
        is_container = id(call.op) in run.containers
        for tensor in (*call.inputs, *(call.outputs if is_container else ())):
            alike = [t for t in known.values() if t.shape == tensor.shape and t.ndim > 1][-RECENT:]
            if id(tensor) in known or not alike:
                continue
            limit = (
                (5.0 if "16" in str(tensor.dtype) else 1.0) * NEAR * np.abs(sample(tensor)).max()
            )
            with np.errstate(all="ignore"):
                options = [((t,), phi(sample(t)), phi(GRID)) for t in alike for phi in PHIS]
                pairs = combinations(alike, 2)
                options += [((a, b), sample(a) + sample(b), GRID) for a, b in pairs]
                errors = [np.abs(values - sample(tensor)).max() for _, values, _ in options]
            best = int(np.nan_to_num(errors, nan=np.inf).argmin())
            if errors[best] <= limit:
                inputs, _, grid = options[best]
                name = f"sum {sum(call.op is None for call in written) + 1}"
                written.append(_Call(None, None, list(inputs), [tensor], name=name, grid=grid))
            known[id(tensor)] = tensor
        known |= {} if is_container else {id(t): t for t in call.outputs}
        known |= {id(t): t for t in call.inputs}
        written.append(call)
    return written


def _settle(run: _Run, calls: list[_Call], end: Any) -> None:
    """Note what the sums of each call become before the next weights, and the residual branches.

    Of two tensors that are added, the one with more weights behind it is the branch, if something
    is behind both. `end` is the tensor of the logits or predictions.
    """
    # Of each tensor: the number of weights and, as bits, the calls behind it (bit 0 is whatever is
    # not known), the last of these that is judged, and those whose sums it still is.
    trails: dict[int, tuple[int, int, int, set[int]]] = {}
    unknown: tuple[int, int, int, set[int]] = (0, 1, -1, set())
    for place, call in enumerate(calls):
        came = [trails.get(id(t), unknown) for t in call.inputs] or [unknown]
        depth, past, tip, _ = max(came, key=lambda trail: trail[0])
        for trail in came:
            past |= trail[1]
        if id(call.op) in run.containers:  # one of its parts may have made the tensor
            for t in call.outputs:
                own = trails.get(id(t), unknown)
                trails[id(t)] = (max(own[0], depth + 1), own[1] | past, *own[2:])
            continue
        if (
            type(call.op).__name__ in ("Add", "NoneType")
            and len(came) == 2
            and came[0][1] & came[1][1]
        ):
            if came[0][0] != came[1][0] and tip >= 0:
                calls[tip].add, calls[tip].is_joint = call, True
                branch = int(came[0][0] != depth)
                calls[tip].last = call.inputs[branch]
                for other in calls[:place]:
                    other.opens |= any(t is call.inputs[1 - branch] for t in other.inputs)
        still, name = set().union(*(trail[3] for trail in came)), _name(call.grid)
        is_norm = call.kind == "normalisation"
        is_end = not is_norm and bool(call.kind or _own(call.op))
        for before in [calls[k] for k in still if not calls[k].is_closed]:
            before.is_closed = is_end
            before.normalised = before.normalised or is_norm
            before.is_joint = before.is_joint or len(came) > 1
            if before.phi != "linear":
                continue
            if is_end:
                before.phi = "linear" if call.kind else None
            elif is_norm or name != "linear":
                before.phi = "linear" if is_norm else name
                before.last = before.last if before.is_joint else call.outputs[0]
        if call.kind:
            call.phi, call.last, tip = name, call.outputs[0], place
            still = still | {place} if is_norm else {place}
        elif is_end:
            still = set()
        for t in call.outputs:
            trails.setdefault(id(t), (depth + is_end, past | 2 << place, tip, still))
    reached = trails.get(id(end), unknown)[3]
    for place, call in enumerate(calls):
        if call.kind and call.sums is end:  # the loss, or what it leaves out, comes behind
            call.phi, call.last = "linear", end
        elif not call.is_closed and call.phi == "linear" and place not in reached:
            is_cast = call.kind and call.last.shape == end.shape
            is_end = is_cast and np.array_equal(_numpy(call.last), _numpy(end))
            call.phi = "linear" if is_end or call.kind == "attention" else None


def _add_rows(look: Look, run: _Run, calls: list[_Call], gradients: list) -> None:
    """Add a row for each call that is judged, and count the layers that are not."""
    known: dict[tuple, Signal] = {}

    def seen(tensor: Any, call: _Call, phi: str | None = None) -> Signal:
        array = _numpy(tensor)
        if array.ndim == len(call.sums.shape):
            array = _units_last(array, call.op)
        key = (id(tensor), phi, array.shape)
        if key not in known:
            known[key] = measure(array, phi)
        return known[key]

    by_weight = dict(zip(map(id, run.variables), gradients))
    deltas, unseen = iter(gradients[len(run.variables) :]), Counter()
    for call in calls:
        op, is_norm = call.op, call.kind == "normalisation"
        delta = next(deltas, None) if call.kind else None
        variable, letters = _kernel(call) if call.kind else (None, "")
        is_lora = variable is not None and id(variable) not in run.keys
        if is_lora or not call.kind:
            unseen[type(op).__name__] += is_lora or bool(
                _own(op) and run.names[id(op)] == call.name
            )
            continue
        row = Layer(call.name, call.kind, activation=call.phi, normalised=call.normalised)
        row.opens = call.opens
        look.layers.append(row)
        row.sums, row.outputs = seen(call.sums, call), seen(call.last, call, call.phi)
        if call.kind != "embedding":
            row.inputs = seen(call.inputs[0], call)
        if call.add:
            row.branch, row.stream = call.add.name, seen(call.add.outputs[0], call)
        if delta is not None:
            row.deltas = measure(_units_last(delta, op))
        bias = getattr(op, "beta" if is_norm else "bias", None)
        if bias is not None and not row.name.endswith(" depthwise"):
            row.bias = _numpy(bias.value).astype(np.float64)
        if variable is not None:
            row.key, row.shape = run.keys[id(variable)], tuple(variable.shape)
            row.trainable = any(variable is v for v in run.variables)
            row.library_fans = initializers.compute_fans(row.shape)
            groups = op.groups if _family(op) == "BaseConv" else 1
            row.weight = _stack(_numpy(variable.value).astype(np.float64), letters, groups)
            gradient = by_weight.get(id(variable))
            if gradient is not None:
                gradient = _stack(gradient, letters, groups)
                row.gradient = measure(gradient.reshape(-1, gradient.shape[-1]))
        if is_norm:
            row.scale, row.weight = row.weight if variable is None else row.weight.ravel(), None
            continue
        row.distinct = _distinct(row.weight, row.bias)
        if gradient is not None:
            row.distinct_gradients = _distinct(gradient, by_weight.get(id(bias)))
        _, row.fan_in, units = row.weight.shape
        row.fan_out = units * math.prod(n for n, a in zip(row.shape, letters) if a == "p")
        is_pointwise = _family(op) == "BaseSeparableConv" and call.kind == "convolution"
        strides = 1 if is_pointwise else math.prod(getattr(op, "strides", ()))
        if call.kind == "embedding":
            row.fan_in = 1.0
        elif call.kind == "transposed convolution":
            row.fan_in /= strides
        row.fan_out /= strides if call.kind != "transposed convolution" else 1
    look.unseen = dict(+unseen)


def _distinct(stack: np.ndarray, bias: np.ndarray | None) -> int | None:
    """Return the number of units that differ, if all numbers are finite."""
    if bias is not None and bias.size == stack.shape[0] * stack.shape[2]:
        stack = np.concatenate([stack, bias.reshape(len(stack), 1, -1)], axis=1)
    return int(probes.distinct_units(stack).sum()) if np.isfinite(stack).all() else None
