"""What a batch shows of a PyTorch model, whatever its modules are called.

A copy of the model runs, so that nothing of the caller's is moved. Meanwhile a `TorchFunctionMode`
hears every function of tensors that is called: `F.linear` inside a module, and ``x @ self.W`` too.
Each tensor carries a `_Trail`: which layers' sums it still is, and what it was computed from. So
activations, normalisations, attention and residual branches are found wherever they are written.
"""

from __future__ import annotations

import contextlib
import copy
import inspect
import math
import re
import sys
import types
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from initcore import _checks, activations, probes
from initcore.diagnosis.look import MOST, Layer, Look, measure

# The functions that are layers: what the weight's first axis is, and the arguments in order.
CONVOLUTION = ("input", "weight", "bias", "stride", "padding", "dilation", "groups")
LAYERS = {
    "linear": ("out", CONVOLUTION[:3]),
    "conv": ("out", CONVOLUTION),
    "conv_transpose": ("transposed", (*CONVOLUTION[:5], "output_padding", "groups")),
    "embedding": ("in", CONVOLUTION[:2]),
    "matmul": ("in", CONVOLUTION[:2]),
    "mm": ("in", CONVOLUTION[:2]),
    "bmm": ("in", CONVOLUTION[:2]),
    "addmm": ("in", ("bias", "input", "weight")),
    "baddbmm": ("in", ("bias", "input", "weight")),
}
NORMALISATIONS = {
    "layer_norm": ("input", "shape", "weight", "bias"),
    "rms_norm": ("input", "shape", "weight"),
    "group_norm": ("input", "groups", "weight", "bias"),
    "batch_norm": ("input", "mean", "variance", "weight", "bias"),
    "instance_norm": ("input", "mean", "variance", "weight", "bias"),
}
GATES = {"lstm": 4, "gru": 3, "rnn_tanh": 1, "rnn_relu": 1}  # matrices that one weight holds
PRODUCTS = ("scaled_dot_product_attention", "matmul", "bmm", "baddbmm", "einsum")
ACTIVATIONS = ("relu", "tanh", "sigmoid", "gelu", "silu", "selu", "softsign")  # no parameters
ARITHMETIC = ("add", "sub", "mul", "div", "neg", "multiply", "true_divide")
# What gives sums on as they are, but for places: it moves, pools, drops or joins them.
PASSING = set(
    """view reshape flatten unflatten transpose permute movedim T mT contiguous to float half
    bfloat16 double type_as clone detach squeeze unsqueeze expand expand_as chunk split getitem
    tensor_split unbind select narrow cat concat stack dropout dropout1d dropout2d dropout3d
    feature_dropout alpha_dropout max_pool1d max_pool2d max_pool3d avg_pool1d avg_pool2d avg_pool3d
    adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d adaptive_max_pool2d mean sum amax
    roll pad interpolate masked_fill pixel_shuffle index_select flip where""".split()
)
SAMPLE = 1024  # numbers by which an activation that is no function of PyTorch's is recognised
NEAR = 2e-3  # of the largest: more than half precision, or the tanh in a GELU, changes


@dataclass
class _Trail:
    """What is known of a tensor; a set of tensors is an integer, a bit for each."""

    bit: int = 0  # its own
    past: int = 0  # of those that it was computed from
    sums: tuple[int, ...] = ()  # the calls whose sums it is, but for an activation and the shape
    phi: str | None = "linear"  # what they went through since; None: something without a name
    depth: int = 0  # layers with weights on the longest way here
    is_joint: bool = False  # sums of several layers were added or joined
    is_mixed: bool = False  # an attention mixed it: the next layer is its last one


@dataclass
class _Call:
    """One call of one layer, with what completes its row after the passes."""

    layer: Layer
    weight: Any
    bias: Any
    first: str  # what the weight's first axis is, as in LAYERS
    groups: int
    stride: float
    arrange: Callable  # (t, is_moved=False) -> array of (inputs, ..., units)
    start: int = 0  # the bit of what came in
    sample: np.ndarray | None = None
    shape: tuple[int, ...] = ()
    parts: int = 0  # how many of query, key and value it made
    is_open: bool = True  # what its sums go through is not known yet

    def settle(self, t: Any, trail: _Trail) -> None:
        """Note what the sums became, when they go into the next layer or into a sum."""
        if self.is_open:
            self.is_open, phi = False, trail.phi
            if phi is None and not trail.is_joint:
                phi = _recognised(self.sample, _sample(t))
            self.layer.activation = phi
            if not trail.is_joint:
                self.layer.outputs = measure(self.arrange(t, t.shape != self.shape), phi)


class _Ear:
    """Hears the calls of a model while it runs."""

    def __init__(self, torch: Any, model: Any, batch: int) -> None:
        self.torch, self.batch, self.bits = torch, batch, 0
        self.calls: list[_Call] = []
        self.times: Counter = Counter()
        self.path: list[tuple[str, Any]] = [(type(model).__name__, model)]
        self.normalisation: Any = None  # the module that runs; its own steps are not heard
        self.is_time_first = False
        named = [*model.named_buffers(), *model.named_parameters()]
        self.keys = {id(tensor): name for name, tensor in named}
        for name, module in model.named_modules():
            module.register_forward_pre_hook(self._enter(name or type(model).__name__))
            module.register_forward_hook(self._leave, always_call=True)

        class Mode(torch.overrides.TorchFunctionMode):
            def __torch_function__(mode, func, kinds, args=(), kwargs=None):  # noqa: N805
                return self._hear(func, args, kwargs or {})

        self.mode = Mode()

    def _enter(self, name: str) -> Callable:
        def enter(module: Any, args: tuple) -> None:
            self.path.append((name, module))
            if self.normalisation is None and re.search(r"Norm(\dd)?$", type(module).__name__):
                self.normalisation = None if [*module.children()] else module

        return enter

    def _leave(self, module: Any, args: tuple, out: Any) -> None:
        if self.normalisation is module:
            if args and self.torch.is_tensor(out):
                is_map = re.search(r"(Batch|Group|Instance)Norm|Norm2d", type(module).__name__)
                scale, bias = (getattr(module, name, None) for name in ("weight", "bias"))
                self._normalise(args[0], out, scale, bias, 1 if is_map else -1)
            self.normalisation = None
        self.path.pop()

    def _hear(self, func: Callable, args: tuple, kwargs: dict) -> Any:
        """Call a function, and note what it did."""
        if self.normalisation is not None:
            return func(*args, **kwargs)
        name = re.sub(r"^_+i?(?=add|mul|sub|div)|^_+|_+$", "", func.__name__)
        if name == "get":  # of an attribute
            name = getattr(func.__self__, "__name__", "")
        if name == "multi_head_attention_forward":  # its own steps are heard
            scope = func.__globals__ | {"has_torch_function": lambda _: False}
            steps = types.FunctionType(func.__code__, scope, name, func.__defaults__)
            self.is_time_first = True
            with self.mode:
                out = steps(*args, **kwargs)
            self.is_time_first = False
            return out
        name = name.rstrip("123d") if name.startswith("conv") else name
        first, names = LAYERS.get(name, ("", NORMALISATIONS.get(name, ())))
        given = dict(zip(names, args)) | kwargs
        tensors = [*self._tensors([*args, *kwargs.values()])]
        heard = [t for t in tensors if hasattr(t, "_trail")]
        cell = name.removesuffix("_cell")
        if name in NORMALISATIONS:
            out = func(*args, **kwargs)
            axis = -1 if name in ("layer_norm", "rms_norm") else 1
            self._normalise(given["input"], out, given.get("weight"), given.get("bias"), axis)
        elif first and (name not in PRODUCTS or self._key(given.get("weight"))):
            out = func(*args, **kwargs)
            self._layer(name, first, given, out)
        elif cell in GATES:
            out = func(*args, **kwargs)
            for t in heard:
                self._settle(t)
            trail = self._new(heard)
            for W in (t for t in tensors if t.ndim == 2 and self._key(t)):
                self._row("recurrent", W, None, "out", groups=GATES[cell]).is_open = False
            for t in self._tensors([out]):
                t._trail = replace(trail, depth=trail.depth + 1)
        elif heard:
            before, size = heard[0]._trail, heard[0].numel()
            trail, ends = self._follow(name, heard, len(tensors))
            out = func(*args, **kwargs)
            for t in self._tensors([out]):
                t._trail = trail
                if name in PASSING and len(heard) == 1 and t.numel() == size:  # the same numbers
                    t._trail = replace(trail, bit=before.bit, past=before.past)
                elif name not in PASSING and t.numel() != size:
                    t._trail = replace(trail, sums=())
            for end in ends:
                end.layer.stream = measure(end.arrange(out))
        else:
            out = func(*args, **kwargs)
        return out

    def _tensors(self, values: Any) -> Iterator[Any]:
        for value in values:
            if self.torch.is_tensor(value):
                yield value
            elif isinstance(value, (list, tuple)):
                yield from self._tensors(value)

    def _new(self, heard: list, **known: Any) -> _Trail:
        """Return the trail of what is computed from tensors."""
        self.bits += 1
        past, depth = 0, 0
        for trail in (t._trail for t in heard if hasattr(t, "_trail")):
            past, depth = past | trail.past | 1 << trail.bit, max(depth, trail.depth)
        return _Trail(self.bits, past, depth=depth, **known)

    def _settle(self, t: Any) -> None:
        for i in t._trail.sums if hasattr(t, "_trail") else ():
            self.calls[i].settle(t, t._trail)

    def _follow(self, name: str, heard: list, count: int) -> tuple[_Trail, list[_Call]]:
        """Return the trail of what a function gives, and the calls whose branch ends there."""
        trails = [t._trail for t in heard]
        first, phi, is_joint = trails[0], trails[0].phi, trails[0].is_joint
        new = self._new(heard, is_mixed=any(trail.is_mixed for trail in trails))
        if name in PRODUCTS and len(heard) > 1:
            self._attend(heard[:3])
            return replace(new, is_mixed=True), []
        if all(trail.sums == first.sums for trail in trails):
            with_number = name in ARITHMETIC and len(heard) == 1 and (count > 1 or phi == "linear")
            if with_number or (name in PASSING and len(heard) == 1):
                if phi != "linear":
                    self._settle(heard[0])
            else:  # a step of an activation
                phi = name if name in ACTIVATIONS and phi == "linear" else None
            return replace(new, sums=first.sums, phi=phi, is_joint=is_joint), []
        ends = self._ends(*trails) if name == "add" and len(heard) == 2 else []
        joins = name in ("add", "sub") or name in PASSING
        for t, trail in zip(heard, trails):
            if trail.phi != "linear" or not joins:
                self._settle(t)
            for call in (self.calls[i] for i in trail.sums):
                if call.is_open and not trail.is_joint:
                    call.layer.outputs = measure(call.arrange(t, t.shape != call.shape))
        sums = [i for trail in trails for i in trail.sums if self.calls[i].is_open]
        return replace(new, sums=tuple(dict.fromkeys(sums)), is_joint=True), ends

    def _ends(self, one: _Trail, other: _Trail) -> list[_Call]:
        """Return the calls that end a residual branch: a summand that left the other one."""
        for skip, branch in ((one, other), (other, one)):
            left = {skip.bit}
            if skip.sums and not skip.is_joint and skip.depth < branch.depth:
                left.add(self.calls[skip.sums[0]].start)  # a projection on the way past
            ends = [self.calls[i] for i in branch.sums]
            ends = [call for call in ends if call.is_open and call.layer.kind != "embedding"]
            if any(branch.past >> bit & 1 for bit in left - {0}):
                for call in (ends := ends if branch.is_joint else ends[-1:]):
                    call.layer.branch = call.layer.name.rpartition(".")[0] or call.layer.name
                return ends
        return []

    def _attend(self, factors: list) -> None:
        """Note which calls made query, key and value, and which of them in one weight."""
        for t in factors:
            self._settle(t)
            for call in (self.calls[i] for i in t._trail.sums):
                if call.layer.kind in ("dense", "attention"):
                    call.layer.kind, call.parts = "attention", call.parts + 1
                    call.layer.activation = call.layer.activation or "linear"
                    if math.prod(call.shape) == call.parts * t.numel():
                        call.groups = call.parts

    def _layer(self, name: str, first: str, given: dict, out: Any) -> None:
        """Add the row of a layer with a weight."""
        x, W, groups = given["input"], given["weight"], given.get("groups", 1)
        self._settle(x)
        kind, stride = "dense", given.get("stride", 1)
        if name == "embedding":
            kind = name
        elif name.startswith("conv"):
            kind = "depthwise convolution" if groups == x.shape[1 - W.ndim] > 1 else "convolution"
            kind = "transposed convolution" if name == "conv_transpose" else kind
            stride = stride ** (W.ndim - 2) if isinstance(stride, int) else math.prod(stride)
        elif getattr(x, "_trail", _Trail()).is_mixed:
            kind = "attention"
        axis = 1 - W.ndim if name.startswith("conv") else -1
        call = self._row(kind, W, given.get("bias"), first, x, out, axis, groups, stride)
        trail = self._new([x], sums=(len(self.calls) - 1,))
        call.start = getattr(x, "_trail", _Trail()).bit
        out._trail = replace(trail, depth=trail.depth + 1)

    def _normalise(self, x: Any, out: Any, scale: Any, bias: Any, axis: int) -> None:
        """Add the row of a normalisation."""
        trail = getattr(x, "_trail", _Trail())
        for i in trail.sums:
            self.calls[i].layer.normalised = True
        chain = trail.sums
        if trail.phi != "linear" or trail.is_joint:
            self._settle(x)
            chain = ()
        call = self._row("normalisation", scale, bias, "", x, out, axis)
        call.start = trail.bit
        out._trail = self._new([x], sums=(*chain, len(self.calls) - 1))

    def _key(self, W: Any) -> str:
        """Return the name of the tensor that W is, or is a view of; "" of any other."""
        base = getattr(W, "_base", None)
        return self.keys.get(id(W if base is None else base), "")

    def _row(
        self,
        kind: str,
        W: Any,
        bias: Any,
        first: str,
        x: Any = None,
        out: Any = None,
        axis: int = -1,
        groups: int = 1,
        stride: float = 1.0,
    ) -> _Call:
        """Add the row of a call, with the signals of the forward pass."""
        name, module = self.path[-1]
        key, own = self._key(W), getattr(module, "weight", None)
        if key and own is not W:
            name = re.sub(r"[._]weight$", "", key)
            if (base := W._base) is not None and W.numel() < base.numel():
                name += f"[{W.storage_offset() // W.stride(0)}:]"  # part of a packed weight
        self.times[name] += 1
        times, is_time_first = self.times[name], self.is_time_first

        def arrange(t: Any, is_moved: bool = False) -> np.ndarray:
            t = t.detach()
            if t.ndim < 2:
                return _array(t.reshape(1, -1))
            t = t.movedim(-1 if is_moved else axis, -1)
            t = t.transpose(0, 1) if is_time_first and t.ndim == 3 else t
            is_folded = len(t) != self.batch and len(t) % self.batch == 0
            return _array(t.reshape(self.batch, -1, *t.shape[1:]) if is_folded else t)

        layer = Layer(name if times == 1 else f"{name} (call {times})", kind)
        layer.key = key or (f"{name}.weight" if first else "")
        if x is not None and x.is_floating_point():
            layer.inputs = measure(arrange(x))
        call = _Call(layer, W, bias, first, groups, stride, arrange)
        if out is not None:
            layer.sums, call.sample, call.shape = measure(arrange(out)), _sample(out), out.shape
            if out.requires_grad:
                out.register_hook(lambda g: setattr(layer, "deltas", measure(arrange(g))))
        self.calls.append(call)
        return call


def _array(t: Any) -> np.ndarray:
    """Return a tensor as an array; NumPy has no bfloat16."""
    t = t.detach().cpu()
    is_narrow = t.is_floating_point() and str(t.dtype) not in ("torch.float16", "torch.float64")
    return (t.float() if is_narrow else t).numpy()


def _sample(t: Any) -> np.ndarray:
    flat = t.detach().reshape(-1)
    return _array(flat[:: max(1, len(flat) // SAMPLE)]).astype(np.float64)


def _recognised(z: np.ndarray, a: np.ndarray) -> str | None:
    """Return the activation whose values at z are a; a leaky ReLU of any slope is one."""
    if len(z) != len(a) or not np.isfinite(z).all() or not np.isfinite(a).all():
        return None
    known = [activations.get(name) for name in activations.names()]
    slope = round(a[z.argmin()] / (z.min() or 1.0), 4)
    if z.min() < 0 < abs(slope) < 1:
        known.append(activations.make_leaky_relu(slope))
    errors = [np.abs(phi(z) - a).max() for phi in known]
    best = int(np.argmin(errors))
    return known[best].name if errors[best] <= NEAR * np.abs(a).max() else None


def _stack(t: Any, first: str, groups: int) -> np.ndarray:
    """Return a weight as ``(groups, fan_in, units)`` in float64."""
    W = _array(t.to_dense()).astype(np.float64)
    if first == "in":
        return W if W.ndim > 2 else W.reshape(len(W), groups, -1).swapaxes(0, 1)
    if first == "out":
        return W.reshape(groups, len(W) // groups, -1).swapaxes(1, 2)
    W = W.reshape(groups, len(W) // groups, W.shape[1], -1)
    return W.swapaxes(2, 3).reshape(groups, -1, W.shape[2])


def _distinct(W: np.ndarray, bias: np.ndarray | None) -> int | None:
    """Return how many units differ; of a large weight evenly chosen rows are enough for most."""
    if not np.isfinite(W).all() or not (bias is None or np.isfinite(bias).all()):
        return None
    b = None if bias is None else bias.reshape(len(W), -1)
    step = W.size // MOST + 1
    few = int(probes.distinct_units(W[:, ::step], b).sum())
    is_all = step == 1 or few == W.shape[0] * W.shape[2]
    return few if is_all else int(probes.distinct_units(W, b).sum())


def _complete(call: _Call, gradients: dict[int, Any]) -> None:
    """Add to a row what its parameters tell."""
    layer, W = call.layer, call.weight
    bias, by_bias = (
        None if t is None else _array(t).astype(np.float64)
        for t in (call.bias, gradients.get(id(call.bias)))
    )
    layer.bias, gradient = bias, gradients.get(id(W))
    if W is None:
        return
    base = W if W._base is None else W._base
    layer.shape, layer.trainable = tuple(base.shape), getattr(base, "was_trained", True)
    if not call.first:
        layer.scale = _array(W).astype(np.float64)
        if gradient is not None:
            layer.gradient = measure(_array(gradient).reshape(1, -1))
        return
    layer.weight = _stack(W, call.first, call.groups)
    places = math.prod(W.shape[2:]) if layer.kind.endswith("convolution") else 1
    layer.fan_in, layer.fan_out = (
        float(layer.weight.shape[1]),
        float(layer.weight.shape[2] * places),
    )
    if call.first == "transposed":
        layer.fan_in /= call.stride
    elif layer.kind == "embedding":
        layer.fan_in = 1.0
    else:
        layer.fan_out /= call.stride
    area = math.prod(base.shape[2:])
    layer.library_fans = (float(base.shape[1] * area), float(base.shape[0] * area))
    layer.distinct = _distinct(layer.weight, bias)
    if gradient is not None:
        gradient = _stack(gradient, call.first, call.groups)
        layer.gradient = measure(gradient)
        layer.distinct_gradients = _distinct(gradient, by_bias)


@contextlib.contextmanager
def _plain_checkpoints() -> Iterator[None]:
    """Let a checkpointed part that cannot be asked for its gradients run as any other."""
    from torch.utils import checkpoint

    apply = checkpoint.CheckpointFunction.apply
    checkpoint.CheckpointFunction.apply = lambda run, preserve, *args: run(*args)
    try:
        yield
    finally:
        checkpoint.CheckpointFunction.apply = apply


def _main(raw: Any) -> Any:
    """Return the logits or predictions among a model's outputs: the first tensor with an axis."""
    parts = [raw]
    while parts:
        part = parts.pop(0)
        if getattr(part, "ndim", 0) and part.is_floating_point():
            return part
        parts += (
            part.values()
            if isinstance(part, Mapping)
            else part
            if isinstance(part, (list, tuple))
            else ()
        )
    raise ValueError(f"The model must return a tensor of floats. It returned {_checks.show(raw)}")


def _assumed(torch: Any, main: Any, y: Any) -> tuple[Callable | None, str, str | None]:
    """Return the loss that suits the targets, its name, and what it is about."""
    F = torch.nn.functional
    if y.is_floating_point() and y.numel() == main.numel():
        return (lambda a, t: F.mse_loss(a, t.to(a).reshape(a.shape))), "MSELoss", "regression"
    if y.numel() == main.numel() and not y.is_floating_point():
        bce = F.binary_cross_entropy_with_logits
        return (lambda a, t: bce(a, t.to(a).reshape(a.shape))), "BCEWithLogitsLoss", "classes"
    if y.shape == main.shape[:-1]:
        ce = F.cross_entropy
        return (
            (lambda a, t: ce(a.flatten(0, -2), t.flatten().long())),
            "CrossEntropyLoss",
            "classes",
        )
    if y.shape == main.shape[:1] + main.shape[2:]:
        return (lambda a, t: F.cross_entropy(a, t.long())), "CrossEntropyLoss", "classes"
    return None, "", None


def _add_loss(torch: Any, look: Look, raw: Any, main: Any, y: Any, loss: Any) -> Any:
    """Return the loss as a tensor, or None where there are no targets, and name it."""
    assumed, name, task = _assumed(torch, main, y) if torch.is_tensor(y) else (None, "", None)
    if loss is None and getattr(raw, "loss", None) is not None:
        look.loss_name, look.task = "the model's own loss", task
        return raw.loss
    if loss is None:
        if y is None:
            return None
        if assumed is None:
            allowed = f"targets for outputs of shape {tuple(main.shape)}"
            _checks.fail("y", allowed, _array(y) if torch.is_tensor(y) else y)
        look.loss_name, look.task = f"{name}, as y holds {str(y.dtype)[6:]}", task
        return assumed(main, y)
    look.loss_name = getattr(loss, "__name__", type(loss).__name__)
    of_torch = (getattr(loss, "__module__", None) or "").startswith("torch.nn")
    value = loss(main if of_torch else raw, y)
    if not torch.is_tensor(value) or value.numel() != 1:
        _checks.fail("loss", "a callable that returns one number", loss)
    value = value.reshape(())
    if of_torch:
        is_classes = re.search(r"entropy|bce|nll", look.loss_name, re.I)
        look.task = "classes" if is_classes else "regression"
    elif assumed is not None and torch.allclose(assumed(main, y).to(value), value, rtol=1e-3):
        look.task = task
    return value


def _first_step(look: Look, ear: _Ear, twin: Any, optimizer: Any, gradients: dict) -> None:
    """Let the copied optimizer step once, and compare the step with the weights."""
    look.optimizer = type(optimizer).__name__
    before = {id(p): p.detach().clone() for p in twin.parameters()}
    for p in twin.parameters():
        p.grad = gradients.get(id(p)) if p.was_trained else None
    optimizer.step()
    for call in ear.calls:
        W = call.weight if getattr(call.weight, "_base", None) is None else call.weight._base
        if id(W) in before:
            old = before[id(W)].double()
            size = float(old.square().mean().sqrt())
            step = float((W.detach().double() - old).square().mean().sqrt())
            call.layer.update = step / size if size else math.inf


def look(model: Any, x: Any, y: Any = None, loss: Any = None, optimizer: Any = None) -> Look:
    """Return what a batch shows of a PyTorch model.

    Parameters
    ----------
    model : torch.nn.Module
        Its mode is kept: in training mode, dropout drops, from a copy of PyTorch's random state.
    x : tensor or array, or a tuple or mapping of them
        Handed on as ``model(x)``, ``model(*x)`` or ``model(**x)``; the first axis is that of the
        inputs. Arrays become tensors of the model's precision.
    y : tensor or array, optional
        Without it, and without a loss of the model's own, nothing is sent back.
    loss : callable, optional
        ``loss(outputs, y)``. None: the model's own if it takes labels, as those of Hugging Face
        do, otherwise cross-entropy for integers and the squared error for floats.
    optimizer : torch.optim.Optimizer, optional
        Over the model's parameters. A copy takes one step, with copies of the parameters.

    Raises
    ------
    ValueError, TypeError
        No module, outputs without a tensor of floats, targets, a loss or an optimizer that do not
        fit. What the model itself raises is passed on.
    """
    torch = sys.modules["torch"]
    if not isinstance(model, torch.nn.Module):
        _checks.fail("model", "a torch.nn.Module", model, TypeError)
    if loss is not None and not callable(loss):
        _checks.fail("loss", "a callable of outputs and targets, or None", loss, TypeError)
    model = getattr(model, "_orig_mod", model)  # of torch.compile
    groups = [] if optimizer is None else optimizer.param_groups
    if {id(p) for group in groups for p in group["params"]} - {id(p) for p in model.parameters()}:
        _checks.fail("optimizer", "an optimizer of the model's own parameters", optimizer)
    like = next((p for p in model.parameters() if p.is_floating_point()), torch.zeros(()))
    named = [*model.named_parameters(), *model.named_buffers()]
    tensors = {name: np.array(_array(t)) for name, t in named}
    computed = [
        value  # as old weight normalisations keep it; such tensors cannot be copied
        for module in model.modules()
        for value in vars(module).values()
        if torch.is_tensor(value) and value.grad_fn is not None
    ]
    memo = {id(value): value.detach().clone() for value in computed}
    twin, loss, optimizer = copy.deepcopy((model, loss, optimizer), memo)
    for p in twin.parameters():
        p.was_trained = p.requires_grad
        p.requires_grad_(p.is_floating_point())

    def own(value: Any) -> Any:
        if isinstance(value, np.ndarray):
            t = torch.tensor(value, device=like.device)
            return t.to(like.dtype) if t.is_floating_point() else t
        return value.detach().clone() if torch.is_tensor(value) else value

    is_named, y = isinstance(x, Mapping), own(y)
    args = [] if is_named else list(map(own, x if isinstance(x, (tuple, list)) else [x]))
    kwargs = {name: own(value) for name, value in x.items()} if is_named else {}
    given = [v for v in [*args, *kwargs.values()] if torch.is_tensor(v) and v.ndim]
    if not given:
        _checks.fail("x", "a tensor, or a tuple or mapping of them", x, TypeError)
    first = next((v for v in given if v.is_floating_point()), given[0])
    if loss is None and y is not None and "labels" in inspect.signature(twin.forward).parameters:
        kwargs["labels"] = y
    y = kwargs.get("labels", y)
    look = Look("torch", [], tensors, inputs=np.array(_array(first)))
    ear, gradients = _Ear(torch, twin, len(first)), {}
    for t in given:
        t._trail = ear._new([])
    cuda = {p.device.index for p in twin.parameters() if p.device.type == "cuda"}
    with torch.random.fork_rng(sorted(cuda)), _plain_checkpoints(), torch.enable_grad():
        with ear.mode:
            raw = twin(*args, **kwargs)
            main = _main(raw)
            ear._settle(main)
        value = _add_loss(torch, look, raw, main, y, loss)
        if value is not None:
            look.loss = float(value.detach())
        if value is not None and value.requires_grad:
            weights = [call.weight for call in ear.calls if call.weight is not None]
            wanted = {id(W): W for W in [*twin.parameters(), *weights] if W.requires_grad}
            found = torch.autograd.grad(value, [*wanted.values()], allow_unused=True)
            gradients = {i: g for i, g in zip(wanted, found) if g is not None}
    for call in ear.calls:
        _complete(call, gradients)
    seen = {ear._key(call.weight) for call in ear.calls}
    left = {name for name, p in twin.named_parameters() if p.ndim > 1} - seen
    owners = [twin.get_submodule(name.rpartition(".")[0]) for name in sorted(left)]
    look.unseen = dict(Counter(type(module).__name__ for module in owners))
    look.layers = [call.layer for call in ear.calls]
    if torch.is_tensor(y):
        look.targets = np.array(_array(y))
        if look.task == "classes" and main.ndim > 2 and y.shape == main.shape[:1] + main.shape[2:]:
            main = main.movedim(1, -1)
    look.outputs = _array(main).astype(np.float64)
    if optimizer is not None and gradients:
        _first_step(look, ear, twin, optimizer, gradients)
    return look
