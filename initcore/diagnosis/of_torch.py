"""What a batch shows of a PyTorch model, whatever its modules are called.

A copy of the model runs, so that nothing of the caller's is moved. Meanwhile a `TorchFunctionMode`
hears every function of tensors that is called: `F.linear` inside a module, and ``x @ self.W`` too.
Each tensor carries a `_Trail`: which layers' sums it still is, and what it was computed from. So
activations, normalisations, attention and residual branches are found wherever they are written.
"""

from __future__ import annotations

import copy
import functools
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

# Functions that are layers, by what the first axis of their weight is; and their arguments.
LAYERS = {"linear": "out", "conv": "out", "conv_transpose": "transposed", "embedding": "in"}
LAYERS |= dict.fromkeys(("addmm", "matmul", "mm", "bmm"), "in")
ARGUMENTS = ("input", "weight", "bias", "stride", "padding", "", "groups")
PRODUCTS = ("scaled_dot_product_attention", "matmul", "mm", "bmm", "baddbmm", "einsum")
ACTIVATIONS = ("relu", "tanh", "sigmoid", "gelu", "silu", "selu", "softsign")  # no parameters
ARITHMETIC = ("add", "sub", "mul", "div", "neg")
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


NOTHING = _Trail()


@dataclass
class _Call:
    """One call of one layer, with what completes its row after the passes."""

    layer: Layer
    weight: Any
    bias: Any
    first: str  # what the weight's first axis is; "" of a normalisation
    groups: int
    stride: int
    start: int  # the bit of what came in
    array: Callable  # (t, is_moved=False) -> array of (inputs, ..., units)
    sample: np.ndarray
    shape: tuple[int, ...]
    parts: int = 0  # how many of query, key and value it made
    is_open: bool = True  # what its sums go through is not known yet

    def see(self, t: Any, phi: str | None = None) -> None:
        """Note what the sums became."""
        self.layer.outputs = measure(self.array(t, t.shape != self.shape), phi)


def _base(W: Any) -> Any:
    """Return the tensor that W is, or is a view of."""
    return W if getattr(W, "_base", None) is None else W._base


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
            enter = functools.partial(self._enter, name or type(model).__name__)
            module.register_forward_pre_hook(enter)
            module.register_forward_hook(self._leave, always_call=True)

        class Mode(torch.overrides.TorchFunctionMode):
            def __torch_function__(mode, func, kinds, args=(), kwargs=None):  # noqa: N805
                return self._hear(func, args, kwargs or {})

        self.mode = Mode()

    def _enter(self, name: str, module: Any, args: tuple) -> None:
        self.path.append((name, module))
        is_norm = re.match(r"[A-Z]\w*Norm(\dd)?$", type(module).__name__)
        if is_norm and not (self.normalisation or self.is_over or [*module.children()]):
            self.normalisation = module

    def _leave(self, module: Any, args: tuple, out: Any) -> None:
        if self.normalisation is module:
            if args and out is not None:
                self._normalise(type(module).__name__, [args[0], *module.parameters()], out)
            self.normalisation = None
        self.path.pop()

    def _hear(self, func: Callable, args: tuple, kwargs: dict) -> Any:
        """Call a function, and note what it did."""
        if self.normalisation is not None:
            return func(*args, **kwargs)
        name = re.sub(r"^_+i?(?=add|mul|sub|div)|^_+|_+$", "", func.__name__)
        if name == "get":  # of an attribute
            name = getattr(func.__self__, "__name__", "")
        tensors = [*_tensors((args, kwargs))]
        if name == "multi_head_attention_forward":  # its own steps are heard
            scope = func.__globals__ | {"has_torch_function": lambda _: False}
            steps = types.FunctionType(func.__code__, scope, name, func.__defaults__)
            self.columns = tensors[0].shape[1] if tensors[0].ndim == 3 else 0
            with self.mode:
                out = steps(*args, **kwargs)
            self.columns = 0
            return out
        name = name.rstrip("123d") if name.startswith("conv") else name
        first = LAYERS.get(name, "")
        given = dict(zip(ARGUMENTS, args[1:] + args[:1] if name == "addmm" else args)) | kwargs
        if first == "in" and id(_base(given.get("weight"))) not in self.keys:
            first = ""
        is_norm = re.fullmatch("(layer|rms|batch|group|instance)_norm", name)
        heard = [t for t in tensors if hasattr(t, "_trail")]
        trail, end = (None, None) if first or is_norm or not heard else self._follow(name, tensors)
        before, size = (heard[0]._trail, heard[0].numel()) if trail else (None, 0)
        out = func(*args, **kwargs)
        if first:
            self._layer(name, first, given, out)
        elif is_norm:
            parameters = [t for t in tensors[1:] if hasattr(t, "was")]
            self._normalise(name, [tensors[0], *parameters], out)
        for t in _tensors(out) if trail else ():
            passes = PASSING.fullmatch(name)
            t._trail = trail if passes or t.numel() == size else replace(trail, sums=())
            if passes and len(heard) == 1 and t.numel() == size:  # the same numbers
                t._trail = replace(trail, bit=before.bit, past=before.past)
        if end is not None:
            end.layer.stream = measure(end.array(out))
        return out

    def new(self, heard: list, **known: Any) -> _Trail:
        """Return the trail of what is computed from tensors."""
        self.bits += 1
        trails = [t._trail for t in heard if hasattr(t, "_trail")]
        past = functools.reduce(lambda bits, one: bits | one.past | 1 << one.bit, trails, 0)
        depth = max((trail.depth for trail in trails), default=0)
        return _Trail(self.bits, past, depth=depth, **known)

    def settle(self, t: Any) -> None:
        """Note what the sums in a tensor became, as it goes into a layer, a sum or the output."""
        trail = getattr(t, "_trail", NOTHING)
        for call in (self.calls[i] for i in trail.sums if self.calls[i].is_open):
            call.is_open, phi = False, trail.phi
            if phi == "linear" and call is self.calls[trail.sums[-1]]:
                call.layer.outputs = call.layer.outputs or call.layer.sums
            elif not trail.is_joint:
                phi = phi or _recognised(call.sample, _sample(t))
                call.see(t, phi)
            call.layer.activation = phi

    def _follow(self, name: str, tensors: list) -> tuple[_Trail, _Call | None]:
        """Return the trail of what a function gives, and the call whose branch ends there."""
        heard = [t for t in tensors if hasattr(t, "_trail")]
        trails = [t._trail for t in heard]
        first, phi = trails[0], trails[0].phi
        new = self.new(heard, is_mixed=any(trail.is_mixed for trail in trails))
        if name in PRODUCTS and len(heard) > 1:
            self._attend(heard[:3])
            return replace(new, is_mixed=True), None
        passes = PASSING.fullmatch(name)
        if all(trail.sums == first.sums for trail in trails):
            is_plain = len(heard) == 1 and (len(tensors) > 1 or phi == "linear")
            passes = passes and all(trail.phi == phi for trail in trails)
            if not passes and not (name in ARITHMETIC and is_plain):  # a step of an activation
                phi = name if name in ACTIVATIONS and phi == "linear" else None
            elif phi != "linear":
                self.settle(heard[0])
            return replace(new, sums=first.sums, phi=phi, is_joint=first.is_joint), None
        end = self._end(*trails) if name == "add" else None
        for t, trail in zip(heard, trails):
            if trail.phi != "linear" or not (passes or name in ("add", "sub")):
                self.settle(t)
            for call in (self.calls[i] for i in trail.sums if not trail.is_joint):
                if call.is_open:
                    call.see(t)
        sums = [i for trail in trails for i in trail.sums if self.calls[i].is_open]
        return replace(new, sums=tuple(dict.fromkeys(sums)), is_joint=True), end

    def _end(self, one: _Trail, other: _Trail) -> _Call | None:
        """Return the call that ends a residual branch: one summand has left the other one."""
        for skip, branch in ((one, other), (other, one)):
            left = 1 << skip.bit
            if skip.sums and not skip.is_joint and skip.depth < branch.depth:
                left |= 1 << self.calls[skip.sums[0]].start  # before a projection on the way past
            last = self.calls[branch.sums[-1]] if branch.sums else None
            if last and last.layer.kind != "embedding" and branch.past & left & ~1:
                last.layer.branch = last.layer.name.rpartition(".")[0] or last.layer.name
                for i, call in enumerate(self.calls):
                    call.layer.opens |= i not in skip.sums and bool(1 << call.start & left & ~1)
                return last
        return None

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

    def _layer(self, name: str, first: str, given: dict, out: Any) -> None:
        """Add the row of a layer with a weight."""
        x, W, groups, stride, axis = given["input"], given["weight"], given.get("groups", 1), 1, -1
        self.settle(x)
        kind = "embedding" if name == "embedding" else "dense"
        if name.startswith("conv"):
            axis, stride = 1 - W.ndim, given.get("stride", 1)
            kind = "depthwise " if groups == x.shape[axis] > 1 else ""
            kind = ("transposed " if first == "transposed" else kind) + "convolution"
            stride = stride ** (W.ndim - 2) if isinstance(stride, int) else math.prod(stride)
        elif kind == "dense" and getattr(x, "_trail", NOTHING).is_mixed:
            kind = "attention"
        bias = None if kind == "embedding" else given.get("bias")
        self._row(kind, (W, bias), first, x, out, axis, groups, stride)

    def _normalise(self, name: str, parts: list, out: Any) -> None:
        """Add the row of a normalisation of ``parts``: the input, the scale, the bias."""
        x, *parameters = [*parts, None, None][:3]
        trail = getattr(x, "_trail", NOTHING)
        for i in trail.sums:
            self.calls[i].layer.normalised = True
        chain = trail.sums if trail.phi == "linear" and not trail.is_joint else ()
        if not chain:
            self.settle(x)
        axis = 1 if re.search(r"(?i)(batch|group|instance)_?norm|Norm2d", name) else -1
        self._row("normalisation", parameters, "", x, out, axis, chain=chain)

    def _row(self, kind, parameters, first, x, out, axis, groups=1, stride=1, chain=()) -> None:
        """Add the row of a call, with the signals of the forward pass."""
        name, module = self.path[-1]
        key, columns = self.keys.get(id(_base(parameters[0])), ""), self.columns
        if key and getattr(module, "weight", None) is not parameters[0]:
            name = re.sub(r"[._]weight$", "", key)
        self.times[name] += 1
        name += f" (call {self.times[name]})" if self.times[name] > 1 else ""

        def array(t: Any, is_moved: bool = False) -> np.ndarray:
            t = t.detach()
            t = t.movedim(-1 if is_moved else axis, -1) if t.ndim > 1 else t.reshape(1, -1)
            if columns:  # inside an attention, where places come before inputs
                t = t.reshape(-1, columns, t.shape[-1]).transpose(0, 1)
            is_folded = len(t) != self.batch and len(t) % self.batch == 0
            return _array(t.reshape(self.batch, -1, *t.shape[1:]) if is_folded else t)

        layer = Layer(name, kind, key=key or (f"{name}.weight" if first else ""))
        layer.inputs = measure(array(x)) if x.is_floating_point() else None
        layer.sums = measure(array(out))
        if out.requires_grad:
            out.register_hook(lambda g: setattr(layer, "deltas", measure(array(g))))
        start, seen = getattr(x, "_trail", NOTHING).bit, (array, _sample(out), out.shape)
        trail = self.new([x], sums=(*chain, len(self.calls)))
        out._trail = replace(trail, depth=trail.depth + bool(first))
        self.calls.append(_Call(layer, *parameters, first, groups, stride, start, *seen))


def _array(t: Any) -> np.ndarray:
    """Return a tensor as an array; NumPy has no bfloat16."""
    t = t.detach().to_dense().cpu()
    return (t.float() if re.search(r"bfloat|float8", str(t.dtype)) else t).numpy()


def _double(t: Any) -> np.ndarray | None:
    return None if t is None else _array(t).astype(np.float64)


def _sample(t: Any) -> np.ndarray:
    flat = t.detach().reshape(-1)
    return _double(flat[:: max(1, len(flat) // SAMPLE)])


def _recognised(z: np.ndarray, a: np.ndarray) -> str | None:
    """Return the activation whose values at z are a; a leaky ReLU of any slope is one."""
    if len(z) != len(a) or not np.isfinite([z, a]).all():
        return None
    known = [activations.get(name) for name in activations.names()]
    slope = round(a[z.argmin()] / (z.min() or 1.0), 4)
    if z.min() < 0 < abs(slope) < 0.99:  # beyond, it is linear
        known.append(activations.make_leaky_relu(slope))
    errors = [np.abs(phi(z) - a).max() for phi in known]
    best = int(np.argmin(errors))
    return known[best].name if errors[best] <= NEAR * np.abs(a).max() else None


def _stack(W: np.ndarray, first: str, groups: int) -> np.ndarray:
    """Return a weight as ``(groups, fan_in, units)``."""
    if first == "in":
        return W if W.ndim > 2 else W.reshape(len(W), groups, -1).swapaxes(0, 1)
    if first == "out":
        return W.reshape(groups, len(W) // groups, -1).swapaxes(1, 2)
    W = W.reshape(groups, len(W) // groups, W.shape[1], -1)
    return W.swapaxes(2, 3).reshape(groups, -1, W.shape[2])


def _distinct(W: np.ndarray, bias: np.ndarray | None, is_gradient: bool = False) -> int | None:
    """Return how many units differ; in a large array, first by its largest rows."""
    b = None if bias is None else bias.reshape(len(W), -1)
    if not np.isfinite(W).all() or not (b is None or np.isfinite(b).all()):
        return None
    largest = np.abs(W).max(axis=(0, 2)).argsort()[-max(1, MOST // W[:, 0].size) :]
    few = int(probes.distinct_units(W[:, largest], b).sum())
    is_enough = is_gradient or few == W[:, 0].size or len(largest) == W.shape[1]
    return few if is_enough else int(probes.distinct_units(W, b).sum())


def _complete(call: _Call, gradients: dict[int, Any]) -> None:
    """Add to a row what its parameters tell."""
    layer, first, groups = call.layer, call.first, call.groups
    W, by_W = _double(call.weight), _double(gradients.get(id(call.weight)))
    layer.bias, by_bias = _double(call.bias), _double(gradients.get(id(call.bias)))
    if W is None:
        return
    layer.shape = tuple(_base(call.weight).shape)
    layer.trainable = getattr(_base(call.weight), "was", False)
    if not first:
        layer.scale = W
        layer.gradient = None if by_W is None else measure(by_W.reshape(1, -1))
        return
    layer.weight = _stack(W, first, groups)
    layer.distinct = _distinct(layer.weight, layer.bias)
    if by_W is not None:
        by_W = _stack(by_W, first, groups)
        layer.gradient, layer.distinct_gradients = measure(by_W), _distinct(by_W, by_bias, True)
    places = math.prod(layer.shape[2:]) if layer.kind.endswith("convolution") else 1
    layer.library_fans = (float(layer.shape[1] * places), float(layer.shape[0] * places))
    _, fan_in, fan_out = layer.weight.shape
    is_transposed = first == "transposed"
    layer.fan_in = 1.0 if layer.kind == "embedding" else fan_in / call.stride**is_transposed
    layer.fan_out = fan_out * places / call.stride ** (not is_transposed)


def _loss(torch: Any, look: Look, raw: Any, main: Any, y: Any, loss: Any) -> Any:
    """Return the loss as a tensor, or None where there are no targets, and name it."""
    F, value, name = torch.nn.functional, None, ""
    fits = torch.is_tensor(y) and y.numel() == main.numel()
    if fits:
        look.task, name, t = "regression", "MSELoss", y.reshape(main.shape).to(main)
        value = F.mse_loss(main, t)
    elif torch.is_tensor(y) and not y.is_floating_point():
        is_map = y.shape == main.shape[:1] + main.shape[2:]
        look.task, name, t = "classes", "CrossEntropyLoss", y.flatten().long()
        a = (main.movedim(1, -1) if is_map else main).flatten(0, -2)
        if fits := len(a) == len(t):
            is_known = ((t >= 0) & (t < a.shape[1]) | (t == -100)).all()
            value = F.cross_entropy(a, t) if is_known else None  # else it is a finding
    look.loss_name = name and f"{name}, as y holds {str(y.dtype)[6:]}"
    if loss is None and getattr(raw, "loss", None) is not None:
        look.loss_name, value = "the model's own loss", raw.loss
    elif loss is None and y is not None and not fits:
        _checks.fail("y", f"targets for outputs of shape {tuple(main.shape)}", y)
    elif loss is not None:
        look.loss_name = getattr(loss, "__name__", type(loss).__name__)
        if fits and value is None:
            return None
        is_torchs = str(getattr(loss, "__module__", "")).startswith("torch.nn")
        given = loss(main if is_torchs else raw, y)
        if not torch.is_tensor(given) or given.numel() != 1:
            _checks.fail("loss", "a callable that returns one number", loss)
        if is_torchs:
            is_classes = re.search(r"(?i)entropy|bce|nll", look.loss_name)
            look.task = "classes" if is_classes else "regression"
        elif value is None or not torch.isclose(given.double(), value.double(), rtol=1e-3):
            look.task = None
        value = given.reshape(())
    return value


def _first_step(look: Look, calls: list[_Call], twin: Any, optimizer: Any, found: dict) -> None:
    """Let the copied optimizer step once, and compare the step with the weights."""
    look.optimizer = type(optimizer).__name__
    before = {id(p): p.detach().clone().double() for p in twin.parameters()}
    for p in twin.parameters():
        p.grad = found.get(id(p)) if p.was else None
    optimizer.step()
    for call in (call for call in calls if id(_base(call.weight)) in before):
        new, old = _base(call.weight).detach().double(), before[id(_base(call.weight))]
        call.layer.update = float((new - old).norm() / old.norm())  # infinite for zeros


def look(model: Any, x: Any, y: Any = None, loss: Any = None, optimizer: Any = None) -> Look:
    """Return what a batch shows of a PyTorch model; the arguments are those of `diagnose`.

    The model is called as ``model(x)``, ``model(*x)`` of a tuple or ``model(**x)`` of a mapping,
    in the caller's mode: dropout drops, by a copy of PyTorch's random state. `loss` is called as
    ``loss(outputs, y)``; None is the model's own if it takes labels, as Hugging Face's do.

    Raises
    ------
    ValueError, TypeError
        No module, outputs without floats, targets, a loss or an optimizer that do not fit. What
        the model itself raises is passed on.
    """
    torch = sys.modules["torch"]
    if not isinstance(model, torch.nn.Module):
        _checks.fail("model", "a torch.nn.Module", model, TypeError)
    if loss is not None and (not callable(loss) or isinstance(loss, type)):
        _checks.fail("loss", "a callable of outputs and targets, or None", loss, TypeError)
    groups = [] if optimizer is None else getattr(optimizer, "param_groups", None)
    if groups is None:
        _checks.fail("optimizer", "an optimizer of PyTorch, or None", optimizer, TypeError)
    if {id(p) for group in groups for p in group["params"]} - {*map(id, model.parameters())}:
        _checks.fail("optimizer", "an optimizer of the model's own parameters", optimizer)
    named = [*model.named_parameters(), *model.named_buffers()]
    tensors = {name: np.array(_array(t)) for name, t in named}
    # What an earlier call computed and left in a module cannot be copied by `copy`.
    kept = [t for module in model.modules() for t in _tensors(vars(module)) if t.grad_fn]
    memo = {id(t): t.detach().clone() for t in kept}
    twin, loss, optimizer = copy.deepcopy((model, loss, optimizer), memo)
    for p in twin.parameters():
        p.was = p.requires_grad
        p.requires_grad_(p.is_floating_point())
    like = next((p for p in twin.parameters() if p.is_floating_point()), torch.zeros(()))

    def own(value: Any) -> Any:
        if isinstance(value, np.ndarray):
            return torch.tensor(value).to(like if value.dtype.kind == "f" else like.device)
        return value.detach().clone() if torch.is_tensor(value) else value

    y, is_named = own(y), isinstance(x, Mapping)
    kwargs = {name: own(value) for name, value in x.items()} if is_named else {}
    args = [] if is_named else [*map(own, x if isinstance(x, (tuple, list)) else [x])]
    given = [t for t in _tensors((args, kwargs)) if t.ndim]
    if not given:
        _checks.fail("x", "a tensor, or a tuple or mapping of them", x, TypeError)
    first = next((t for t in given if t.is_floating_point()), given[0])
    if loss is None and y is not None and "labels" in inspect.signature(twin.forward).parameters:
        kwargs["labels"] = y
    y = kwargs.get("labels", y)
    look = Look("torch", [], tensors, inputs=np.array(_array(first)))
    ear, gradients = _Ear(torch, twin, len(first)), {}
    for t in given:
        t._trail = ear.new([])
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
        value = _loss(torch, look, raw, main, y, loss)
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
    look.outputs = _double(main)
    look.layers = [call.layer for call in ear.calls]
    seen = {layer.key for layer in look.layers}
    left = [n for n, p in twin.named_parameters() if p.numel() > max((0, *p.shape))]
    owners = [(*n.rpartition(".")[::2],) for n in left if n not in seen]
    whole = {owner for owner, _ in owners if not [*twin.get_submodule(owner).children()]}
    names = dict.fromkeys((owner, "" if owner in whole else f".{n}") for owner, n in owners)
    look.unseen = dict(Counter(type(twin.get_submodule(o)).__name__ + n for o, n in names))
    if optimizer is not None and gradients:
        _first_step(look, ear.calls, twin, optimizer, gradients)
    return look
