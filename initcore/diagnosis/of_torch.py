"""What a batch shows of a PyTorch model, whatever its modules are called.

A copy of the model runs, so that nothing of the caller's is moved. Meanwhile a `TorchFunctionMode`
hears every function of tensors that is called: `F.linear` inside a module, and ``x @ self.W`` too.
Each tensor carries a `_Trail`: which layers' sums it still is, and what it was computed from. So
activations, normalisations, attention and residual branches are found wherever they are written.
"""

from __future__ import annotations

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
from unittest import mock

import numpy as np

from initcore import _checks, activations, probes
from initcore.diagnosis.look import MOST, Layer, Look, measure

# Functions that are layers: the kind, what the weight's first axis is, the arguments in order.
ARGUMENTS = ("input", "weight", "bias", "stride", "padding", "dilation", "groups")
TRANSPOSED = (*ARGUMENTS[:5], "output_padding", "groups")
LAYERS = {
    "linear": ("dense", "out", ARGUMENTS),
    "conv": ("convolution", "out", ARGUMENTS),
    "conv_transpose": ("transposed convolution", "transposed", TRANSPOSED),
    "embedding": ("embedding", "in", ARGUMENTS[:2]),
    "addmm": ("dense", "in", ("bias", "input", "weight")),
    "baddbmm": ("dense", "in", ("bias", "input", "weight")),
    **dict.fromkeys(("matmul", "mm", "bmm"), ("dense", "in", ARGUMENTS[:2])),
}
NORMALISATIONS = {
    **dict.fromkeys(("layer_norm", "rms_norm"), ("input", "shape", "weight", "bias")),
    **dict.fromkeys(("batch_norm", "instance_norm"), ("input", "", "", "weight", "bias")),
    "group_norm": ("input", "groups", "weight", "bias"),
}
GATES = {"lstm": 4, "gru": 3, "rnn_tanh": 1, "rnn_relu": 1}  # matrices that one weight holds
PRODUCTS = ("scaled_dot_product_attention", "matmul", "mm", "bmm", "baddbmm", "einsum")
ACTIVATIONS = ("relu", "tanh", "sigmoid", "gelu", "silu", "selu", "softsign")  # no parameters
ARITHMETIC = ("add", "sub", "mul", "div", "neg", "multiply", "true_divide")
# What leaves sums as they are, but for their places: it moves, pools, drops or joins them.
PASSING = re.compile(
    r"view|reshape|(un)?flatten|transpose|permute|movedim|m?T|contiguous|to|float|half|bfloat16|"
    r"double|type_as|clone|detach|(un)?squeeze|expand(_as)?|chunk|(tensor_)?split|getitem|unbind|"
    r"select|index_select|narrow|cat|concat|stack|\w*dropout(\dd)?|(adaptive_)?(max|avg)_pool\dd|"
    r"mean|sum|amax|roll|flip|pad|interpolate|masked_fill|pixel_shuffle|where"
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
    first: str  # what the weight's first axis is; "" of a normalisation
    groups: int
    stride: int
    array: Callable  # (t, is_moved=False) -> array of (inputs, ..., units)
    start: int = 0  # the bit of what came in
    sample: np.ndarray | None = None
    shape: tuple[int, ...] = ()
    parts: int = 0  # how many of query, key and value it made
    is_open: bool = True  # what its sums go through is not known yet

    def see(self, t: Any, phi: str | None = None) -> None:
        """Note what the sums became."""
        self.layer.outputs = measure(self.array(t, t.shape != self.shape), phi)

    @property
    def key(self) -> Any:
        """The tensor that the weight is, or is a view of."""
        return self.weight if getattr(self.weight, "_base", None) is None else self.weight._base


def _trail(t: Any) -> _Trail:
    return getattr(t, "_trail", None) or _Trail()


def _tensors(value: Any) -> Iterator[Any]:
    """Yield the tensors in nested lists, tuples and mappings."""
    if hasattr(value, "requires_grad"):
        yield value
    elif isinstance(value, (list, tuple, Mapping)):
        for part in value.values() if isinstance(value, Mapping) else value:
            yield from _tensors(part)


class _Ear:
    """Hears the calls of a model while it runs."""

    def __init__(self, torch: Any, model: Any, batch: int) -> None:
        self.batch, self.bits, self.columns, self.is_over = batch, 0, 0, False
        self.calls: list[_Call] = []
        self.times: Counter = Counter()
        self.path = [(type(model).__name__, model)]  # the modules that run
        self.normalisation: Any = None  # one of them, whose own steps are not heard
        named = [*model.named_buffers(), *model.named_parameters()]
        self.keys = {id(t): name for name, t in named}
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
            is_norm = re.match(r"[A-Z]\w*Norm(\dd)?$", type(module).__name__)
            if is_norm and not (self.normalisation or self.is_over or [*module.children()]):
                self.normalisation = module

        return enter

    def _leave(self, module: Any, args: tuple, out: Any) -> None:
        if self.normalisation is module:
            if args and out is not None:
                is_map = re.search(r"(Batch|Group|Instance)Norm|Norm2d", type(module).__name__)
                parameters = (getattr(module, name, None) for name in ("weight", "bias"))
                self._normalise(args[0], out, *parameters, axis=1 if is_map else -1)
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
            query = next(_tensors((args, kwargs)))
            self.columns = query.shape[1] if query.ndim == 3 else 0
            with self.mode:
                out = steps(*args, **kwargs)
            self.columns = 0
            return out
        name = name.rstrip("123d") if name.startswith("conv") else name
        kind, first, names = LAYERS.get(name, ("", "", NORMALISATIONS.get(name, ())))
        given = dict(zip(names, args)) | kwargs
        tensors = [*_tensors((args, kwargs))]
        heard = [t for t in tensors if hasattr(t, "_trail")]
        is_layer = kind and (name not in PRODUCTS or self._key(given.get("weight")))
        trail, ends = _Trail(), []
        if heard and name not in NORMALISATIONS and not is_layer:
            before, size = heard[0]._trail, heard[0].numel()
            trail, ends = self._follow(name, heard, len(tensors))
        out = func(*args, **kwargs)
        if name in NORMALISATIONS:
            axis = -1 if name in ("layer_norm", "rms_norm") else 1
            self._normalise(given["input"], out, given.get("weight"), given.get("bias"), axis)
        elif is_layer:
            self._layer(kind, first, given, out)
        elif heard:
            passes = PASSING.fullmatch(name)
            for t in _tensors(out):
                t._trail = trail
                if passes and len(heard) == 1 and t.numel() == size:  # the same numbers
                    t._trail = replace(trail, bit=before.bit, past=before.past)
                elif not passes and t.numel() != size:
                    t._trail = replace(trail, sums=())
        for end in ends:
            end.layer.stream = measure(end.array(out))
        for W in tensors if (cell := name.removesuffix("_cell")) in GATES else ():
            if W.ndim == 2 and self._key(W):
                self._row("recurrent", W, None, "out", groups=GATES[cell]).is_open = False
        return out

    def _new(self, heard: list, **known: Any) -> _Trail:
        """Return the trail of what is computed from tensors."""
        self.bits += 1
        past, depth = 0, 0
        for trail in map(_trail, heard):
            past, depth = past | trail.past | 1 << trail.bit, max(depth, trail.depth)
        return _Trail(self.bits, past, depth=depth, **known)

    def settle(self, t: Any) -> None:
        """Note what the sums in a tensor became, as it goes into a layer, a sum or the output."""
        trail = _trail(t)
        for call in (self.calls[i] for i in trail.sums):
            if call.is_open:
                call.is_open, phi = False, trail.phi
                if phi == "linear" and call is self.calls[trail.sums[-1]]:
                    call.layer.outputs = call.layer.outputs or call.layer.sums
                elif not trail.is_joint:
                    phi = phi or _recognised(call.sample, _sample(t))
                    call.see(t, phi)
                call.layer.activation = phi

    def _follow(self, name: str, heard: list, count: int) -> tuple[_Trail, list[_Call]]:
        """Return the trail of what a function gives, and the calls whose branch ends there."""
        trails = [t._trail for t in heard]
        first, phi = trails[0], trails[0].phi
        new = self._new(heard, is_mixed=any(trail.is_mixed for trail in trails))
        if name in PRODUCTS and len(heard) > 1 or name.removesuffix("_cell") in GATES:
            self._attend(heard[:3]) if name in PRODUCTS else self.settle(heard[0])
            return replace(new, is_mixed=name in PRODUCTS), []
        passes = PASSING.fullmatch(name)
        if all(trail.sums == first.sums for trail in trails):
            scales = name in ARITHMETIC and (count > 1 or phi == "linear")
            if len(heard) == 1 and (passes or scales):
                if phi != "linear":
                    self.settle(heard[0])
            else:  # a step of an activation
                phi = name if name in ACTIVATIONS and phi == "linear" else None
            return replace(new, sums=first.sums, phi=phi, is_joint=first.is_joint), []
        ends = self._ends(*trails) if name == "add" and len(heard) == 2 else []
        for t, trail in zip(heard, trails):
            if trail.phi != "linear" or not (passes or name in ("add", "sub")):
                self.settle(t)
            for call in (self.calls[i] for i in trail.sums):
                if call.is_open and not trail.is_joint:
                    call.see(t)
        sums = [i for trail in trails for i in trail.sums if self.calls[i].is_open]
        return replace(new, sums=tuple(dict.fromkeys(sums)), is_joint=True), ends

    def _ends(self, one: _Trail, other: _Trail) -> list[_Call]:
        """Return the calls that end a residual branch: one summand has left the other one."""
        for skip, branch in ((one, other), (other, one)):
            left = {skip.bit}
            if skip.sums and not skip.is_joint and skip.depth < branch.depth:
                left.add(self.calls[skip.sums[0]].start)  # before the projection on the way past
            ends = [self.calls[i] for i in branch.sums if self.calls[i].is_open]
            ends = [call for call in ends if call.layer.kind != "embedding"]
            if any(branch.past >> bit & 1 for bit in left - {0}):
                ends = ends if branch.is_joint else ends[-1:]
                for call in ends:
                    call.layer.branch = call.layer.name.rpartition(".")[0] or call.layer.name
                return ends
        return []

    def _attend(self, factors: list) -> None:
        """Note which calls made query, key and value, and which made several of them."""
        for t in factors:
            self.settle(t)
            for call in (self.calls[i] for i in t._trail.sums):
                if call.layer.kind in ("dense", "attention"):
                    call.layer.kind, call.parts = "attention", call.parts + 1
                    call.layer.activation = call.layer.activation or "linear"
                    if math.prod(call.shape) == call.parts * t.numel():
                        call.groups = call.parts

    def _layer(self, kind: str, first: str, given: dict, out: Any) -> None:
        """Add the row of a layer with a weight."""
        x, W, groups, stride = given["input"], given["weight"], given.get("groups", 1), 1
        self.settle(x)
        is_map = kind.endswith("convolution")
        if is_map:
            kind = "depthwise convolution" if groups == x.shape[1 - W.ndim] > 1 else kind
            stride = given.get("stride", 1)
            stride = stride ** (W.ndim - 2) if isinstance(stride, int) else math.prod(stride)
        elif kind == "dense" and _trail(x).is_mixed:
            kind = "attention"
        axis = 1 - W.ndim if is_map else -1
        call = self._row(kind, W, given.get("bias"), first, x, out, axis, groups)
        call.start, call.stride = _trail(x).bit, stride
        trail = self._new([x], sums=(len(self.calls) - 1,))
        out._trail = replace(trail, depth=trail.depth + 1)

    def _normalise(self, x: Any, out: Any, scale: Any, bias: Any, axis: int) -> None:
        """Add the row of a normalisation."""
        trail = _trail(x)
        for i in trail.sums:
            self.calls[i].layer.normalised = True
        if is_last := trail.phi != "linear" or trail.is_joint:
            self.settle(x)
        self._row("normalisation", scale, bias, "", x, out, axis).start = trail.bit
        sums = (*(() if is_last else trail.sums), len(self.calls) - 1)
        out._trail = self._new([x], sums=sums)

    def _key(self, W: Any) -> str:
        """Return the name of the tensor that W is, or is a view of; "" of any other."""
        base = getattr(W, "_base", None)
        return self.keys.get(id(W if base is None else base), "")

    def _row(
        self, kind: str, W: Any, bias: Any, first: str, x=None, out=None, axis=-1, groups=1
    ) -> _Call:
        """Add the row of a call, with the signals of the forward pass."""
        name, module = self.path[-1]
        key, columns = self._key(W), self.columns
        if key and getattr(module, "weight", None) is not W:
            name = re.sub(r"[._]weight$", "", key)
            if W._base is not None and W.numel() < W._base.numel():  # part of a packed weight
                name += f"[{W.storage_offset() // W.stride(0)}:]"
        self.times[name] += 1
        name += f" (call {self.times[name]})" if self.times[name] > 1 else ""

        def array(t: Any, is_moved: bool = False) -> np.ndarray:
            t = t.detach()
            if t.ndim < 2:
                return _array(t.reshape(1, -1))
            t = t.movedim(-1 if is_moved else axis, -1)
            if columns:  # inside an attention, where places come before inputs
                t = t.reshape(-1, columns, t.shape[-1]).transpose(0, 1)
            is_folded = len(t) != self.batch and len(t) % self.batch == 0
            return _array(t.reshape(self.batch, -1, *t.shape[1:]) if is_folded else t)

        layer = Layer(name, kind, key=key or (f"{name}.weight" if first else ""))
        call = _Call(layer, W, bias, first, groups, 1, array)
        if x is not None and x.is_floating_point():
            layer.inputs = measure(array(x))
        if out is not None:
            layer.sums = measure(array(out))
            call.sample, call.shape = _sample(out), out.shape
            if out.requires_grad:
                out.register_hook(lambda g: setattr(layer, "deltas", measure(array(g))))
        self.calls.append(call)
        return call


def _array(t: Any) -> np.ndarray:
    """Return a tensor as an array; NumPy has no bfloat16."""
    t = t.detach().cpu()
    return (t.float() if re.search(r"bfloat|float8", str(t.dtype)) else t).numpy()


def _sample(t: Any) -> np.ndarray:
    flat = t.detach().reshape(-1)
    return _array(flat[:: max(1, len(flat) // SAMPLE)]).astype(np.float64)


def _recognised(z: np.ndarray, a: np.ndarray) -> str | None:
    """Return the activation whose values at z are a; a leaky ReLU of any slope is one."""
    if len(z) != len(a) or not np.isfinite([z, a]).all():
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
    """Return how many units differ; a large weight's need not be compared in all of its rows."""
    b = None if bias is None else bias.reshape(len(W), -1)
    if not np.isfinite(W).all() or not (b is None or np.isfinite(b).all()):
        return None
    few = probes.distinct_units(W[:, :: W.size // MOST + 1], b).sum()
    return int(few if few == W[:, 0].size else probes.distinct_units(W, b).sum())


def _complete(call: _Call, gradients: dict[int, Any]) -> None:
    """Add to a row what its parameters tell."""
    layer, W, by_W = call.layer, call.weight, gradients.get(id(call.weight))
    bias, by_bias = (
        None if t is None else _array(t).astype(np.float64)
        for t in (call.bias, gradients.get(id(call.bias)))
    )
    layer.bias = bias
    if W is None:
        return
    layer.shape, layer.trainable = tuple(call.key.shape), getattr(call.key, "is_trained", False)
    if not call.first:
        layer.scale = _array(W).astype(np.float64)
        layer.gradient = None if by_W is None else measure(_array(by_W).reshape(1, -1))
        return
    layer.weight = _stack(W, call.first, call.groups)
    _, fan_in, fan_out = layer.weight.shape
    is_map, places = layer.kind.endswith("convolution"), math.prod(layer.shape[2:])
    if call.first == "transposed":
        fan_in /= call.stride
    layer.fan_in = 1.0 if layer.kind == "embedding" else float(fan_in)
    layer.fan_out = float(fan_out * places if is_map else fan_out)
    layer.fan_out /= 1 if call.first == "transposed" else call.stride
    layer.library_fans = (float(layer.shape[1] * places), float(layer.shape[0] * places))
    layer.distinct = _distinct(layer.weight, bias)
    if by_W is not None:
        by_W = _stack(by_W, call.first, call.groups)
        layer.gradient, layer.distinct_gradients = measure(by_W), _distinct(by_W, by_bias)


def _assumed(F: Any, a: Any, t: Any) -> tuple[Any, str, str] | None:
    """Return the loss that suits outputs and targets, its name, and what it is about."""
    is_float, is_map = t.is_floating_point(), t.shape == a.shape[:1] + a.shape[2:]
    a = a if a.element_size() > 2 else a.float()
    if t.numel() == a.numel():
        t = t.reshape(a.shape).to(a)
        if is_float or t.min() < 0 or t.max() > 1:
            return F.mse_loss(a, t), "MSELoss", "regression"
        return F.binary_cross_entropy_with_logits(a, t), "BCEWithLogitsLoss", "classes"
    if is_float or not (is_map or t.shape == a.shape[:-1]):
        return None
    a, t = (a if is_map else a.flatten(0, -2)), (t if is_map else t.flatten()).long()
    is_known = ((t >= 0) & (t < a.shape[1]) | (t == -100)).all()  # else it is a finding
    return F.cross_entropy(a, t) if is_known else None, "CrossEntropyLoss", "classes"


def _loss(torch: Any, look: Look, raw: Any, main: Any, y: Any, loss: Any) -> Any:
    """Return the loss as a tensor, or None where there are no targets, and name it."""
    assumed = _assumed(torch.nn.functional, main, y) if torch.is_tensor(y) else None
    value, name, task = assumed or (None, "", None)
    if loss is None and getattr(raw, "loss", None) is not None:
        look.loss_name, look.task = "the model's own loss", task
        return raw.loss
    if loss is None:
        if y is not None and assumed is None:
            _checks.fail("y", f"targets for outputs of shape {tuple(main.shape)}", y)
        look.loss_name = name and f"{name}, as y holds {str(y.dtype)[6:]}"
        look.task = task
        return value
    look.loss_name = getattr(loss, "__name__", type(loss).__name__)
    is_torchs = str(getattr(loss, "__module__", "")).startswith("torch.nn")
    if is_torchs:
        is_classes = re.search(r"entropy|bce|nll", look.loss_name, re.IGNORECASE)
        look.task = "classes" if is_classes else "regression"
        if task == look.task == "classes" and value is None:
            return None
    given = loss(main if is_torchs else raw, y)
    if not torch.is_tensor(given) or given.numel() != 1:
        _checks.fail("loss", "a callable that returns one number", loss)
    if value is not None and torch.isclose(given.double(), value.double(), rtol=1e-3):
        look.task = task
    return given.reshape(())


def _first_step(look: Look, calls: list[_Call], twin: Any, optimizer: Any, found: dict) -> None:
    """Let the copied optimizer step once, and compare the step with the weights."""
    look.optimizer = type(optimizer).__name__
    before = {id(p): p.detach().clone().double() for p in twin.parameters()}
    for p in twin.parameters():
        p.grad = found.get(id(p)) if p.is_trained else None
    optimizer.step()
    for call in calls:
        if (old := before.get(id(call.key))) is not None:
            size, step = old.norm(), (call.key.detach().double() - old).norm()
            call.layer.update = float(step / size) if size else math.inf


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
    if {id(p) for group in groups for p in group["params"]} - {*map(id, model.parameters())}:
        _checks.fail("optimizer", "an optimizer of the model's own parameters", optimizer)
    named = [*model.named_parameters(), *model.named_buffers()]
    tensors = {name: np.array(_array(t)) for name, t in named}
    kept = [
        t for module in model.modules() for t in _tensors(vars(module)) if t.grad_fn is not None
    ]
    memo = {
        id(t): t.detach().clone() for t in kept
    }  # computed by an earlier call: no copy has them
    twin, loss, optimizer = copy.deepcopy((model, loss, optimizer), memo)
    for p in twin.parameters():
        p.is_trained = p.requires_grad
        p.requires_grad_(p.is_floating_point())
    like = next((p for p in twin.parameters() if p.is_floating_point()), torch.zeros(()))

    def own(value: Any) -> Any:
        if isinstance(value, np.ndarray):
            return torch.tensor(value).to(like if value.dtype.kind == "f" else like.device)
        return value.detach().clone() if torch.is_tensor(value) else value

    is_named, y = isinstance(x, Mapping), own(y)
    args = [] if is_named else [*map(own, x if isinstance(x, (tuple, list)) else [x])]
    kwargs = {name: own(value) for name, value in x.items()} if is_named else {}
    given = [t for t in _tensors((args, kwargs)) if t.ndim]
    if not given:
        _checks.fail("x", "a tensor, or a tuple or mapping of them", x, TypeError)
    first = next((t for t in given if t.is_floating_point()), given[0])
    if loss is None and y is not None and "labels" in inspect.signature(twin.forward).parameters:
        kwargs["labels"] = y
    look = Look("torch", [], tensors, inputs=np.array(_array(first)))
    ear, gradients = _Ear(torch, twin, len(first)), {}
    for t in given:
        t._trail = ear._new([])
    cuda = {p.device.index for p in twin.parameters() if p.device.type == "cuda"}
    plain = mock.patch.object(  # a checkpoint of the old kind cannot be asked for gradients
        torch.utils.checkpoint.CheckpointFunction, "apply", lambda run, _, *args: run(*args)
    )
    with torch.random.fork_rng(sorted(cuda)), torch.enable_grad(), plain:
        with ear.mode:
            raw = twin(*args, **kwargs)
            main = next((t for t in _tensors(raw) if t.ndim and t.is_floating_point()), None)
            if main is None:
                raise ValueError(f"The model must return floats. It returned {_checks.show(raw)}")
            ear.settle(main)
        ear.is_over = True  # what a checkpoint runs again is not heard
        value = _loss(torch, look, raw, main, kwargs.get("labels", y), loss)
        if value is not None and value.requires_grad:
            weights = [call.weight for call in ear.calls if call.weight is not None]
            wanted = {id(W): W for W in [*twin.parameters(), *weights] if W.requires_grad}
            found = torch.autograd.grad(value, [*wanted.values()], allow_unused=True)
            gradients = {i: g for i, g in zip(wanted, found) if g is not None}
    look.loss = None if value is None else float(value.detach())
    for call in ear.calls:
        _complete(call, gradients)
    if torch.is_tensor(y):
        look.targets = np.array(_array(y))
        is_map = main.ndim > 2 and y.shape == main.shape[:1] + main.shape[2:]
        main = main.movedim(1, -1) if is_map and look.task == "classes" else main
    look.outputs = _array(main).astype(np.float64)
    look.layers = [call.layer for call in ear.calls]
    seen = {layer.key for layer in look.layers}
    left = [name for name, p in twin.named_parameters() if p.ndim > 1 and name not in seen]
    owners = [twin.get_submodule(name.rpartition(".")[0]) for name in left]
    look.unseen = dict(Counter(type(module).__name__ for module in owners))
    if optimizer is not None and gradients:
        _first_step(look, ear.calls, twin, optimizer, gradients)
    return look
