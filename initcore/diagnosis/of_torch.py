"""What a batch shows of a PyTorch model, whatever its modules are called.

A copy of the model runs. Meanwhile a `TorchFunctionMode` hears every function of tensors that is
called, ``x @ self.W`` too, and each tensor carries a `Trail`: which layers' sums it still is, and
what it was computed from. So activations and branches are found wherever they are written.
"""

from __future__ import annotations

import copy
import functools
import inspect
import math
import operator
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any
from unittest import mock

import numpy as np

from initcore import _checks
from initcore.diagnosis.look import Layer, Look, measure, named, task_of
from initcore.diagnosis.trail import Call, Trail

# The functions that are layers: the kind of their row, and what the weight's first axis is.
LAYERS = {
    "linear": ("dense", "out"),
    "conv": ("convolution", "out"),
    "conv_transpose": ("transposed convolution", "in, by groups"),
    "embedding": ("embedding", "in"),
    **dict.fromkeys(("addmm", "matmul", "mm", "bmm"), ("dense", "in")),
}
NORM = re.compile(r"(layer|rms|batch|group|instance)_norm")  # a function that normalises
ARGUMENTS = ("input", "weight", "bias", "stride", "padding", "", "groups")
PRODUCTS = ("scaled_dot_product_attention", "matmul", "mm", "bmm", "baddbmm", "einsum")
ACTIVATIONS = ("relu", "tanh", "sigmoid", "gelu", "silu", "selu", "softsign")  # no parameters
ARITHMETIC = ("add", "sub", "mul", "div", "neg")
# What leaves sums as they are, but for their places: it moves, pools, drops or joins them.
PASSING = re.compile(
    r"view|reshape|(un)?flatten|transpose|permute|movedim|m?T|contiguous|to|float|half|bfloat16|"
    r"double|type_as|clone|detach|(un)?squeeze|expand(_as)?|chunk|(tensor_)?split|getitem|unbind|"
    r"select|index_select|narrow|cat|concat|stack|\w*dropout|(adaptive_)?(max|avg)_pool|"
    r"mean|sum|amax|roll|flip|pad|interpolate|masked_fill|pixel_shuffle|where"
)
SAMPLE = 1024  # numbers by which an activation that is no function of PyTorch's is recognised
torch: Any = None  # which `look` imports: nobody calls it without a model of PyTorch's


def _base(W: Any) -> Any:
    """Return the tensor that W is, or is a view of."""
    return W if getattr(W, "_base", None) is None else W._base


def _tensors(value: Any) -> Iterator[Any]:
    """Yield the tensors in nested lists, tuples and mappings."""
    if torch.is_tensor(value):
        yield value
    elif isinstance(value, (list, tuple, Mapping)):
        for part in value.values() if isinstance(value, Mapping) else value:
            yield from _tensors(part)


def _array(t: Any) -> np.ndarray:
    """Return a tensor as an array; NumPy has no bfloat16."""
    t = t.detach().to_dense().cpu()
    return (t.float() if re.search(r"bfloat|float8", str(t.dtype)) else t).numpy()


def _double(t: Any) -> np.ndarray:
    return _array(t).astype(np.float64)  # a copy, which nothing moves later


def _sample(t: Any) -> np.ndarray:
    return _double(t.detach().reshape(-1)[:: max(1, t.numel() // SAMPLE)])


class _Ear:
    """Hears the calls of a model while it runs."""

    def __init__(self, model: Any, inputs: list, batch: int, keeps: bool) -> None:
        self.batch, self.bit, self.keeps = batch, 1, keeps
        for t in inputs:
            t._trail, self.bit = Trail(self.bit), 2 * self.bit
        self.calls: list[Call] = []
        self.times: Counter = Counter()
        self.path: list[tuple[str, Any]] = []  # the modules that run
        self.is_deaf = False  # in a normalisation, whose steps are not heard, and after the run
        self.keys = {id(p): name for name, p in model.named_parameters()}
        for name, module in model.named_modules():
            known = name or type(model).__name__, module, module.forward
            run = functools.partial(self._run, *known)
            module.forward = functools.update_wrapper(run, module.forward)

        class Mode(torch.overrides.TorchFunctionMode):
            def __torch_function__(mode, func, kinds, args=(), kwargs=None):  # noqa: N805
                return self._hear(func, args, kwargs or {})

        self.mode = Mode()

    def _run(self, name: str, module: Any, forward: Callable, *args: Any, **kwargs: Any) -> Any:
        """Run a module, in one step if it is called a normalisation."""
        kind, was_deaf = type(module).__name__, self.is_deaf
        is_norm = re.match(r"[A-Z]\w*Norm(\dd)?$", kind) and not [*module.children()]
        self.path.append((name, module))
        self.is_deaf = was_deaf or bool(is_norm)
        out = forward(*args, **kwargs)
        if self.is_deaf and not was_deaf and torch.is_tensor(out):
            self._row(kind, out, next(_tensors((args, kwargs))), *[*module.parameters()][:2])
        self.is_deaf = was_deaf
        self.path.pop()
        return out

    def _hear(self, func: Callable, args: tuple, kwargs: dict) -> Any:
        """Call a function, and note what it did."""
        name = re.sub(r"^_+i?(?=add|mul|sub|div)|^_+|_+$|\dd$", "", func.__name__)
        if name == "get":  # of an attribute
            name = getattr(func.__self__, "__name__", "")
        tensors = [*_tensors((args, kwargs))]
        heard = [t for t in tensors if hasattr(t, "_trail")]
        given = dict(zip(ARGUMENTS, args[1:] + args[:1] if name == "addmm" else args)) | kwargs
        is_known = id(_base(given.get("weight"))) in self.keys  # or else a product of two tensors
        is_layer = name in LAYERS and (is_known or LAYERS[name][1] != "in")
        if self.is_deaf or not (heard or is_layer):
            return func(*args, **kwargs)
        if is_layer or NORM.fullmatch(name):
            out = func(*args, **kwargs)
            parts = [given.get(key) for key in ("input", "weight", "bias", "stride", "groups")]
            parameters = [t for t in tensors[1:] if isinstance(t, torch.nn.Parameter)]
            self._row(name, out, *(parts if is_layer else [tensors[0], *parameters]))
            return out
        before, size, passes = heard[0]._trail, heard[0].numel(), PASSING.fullmatch(name)
        end = self._end(*(t._trail for t in heard)) if name == "add" and len(heard) == 2 else None
        trail = self._follow(name, passes, tensors, heard)
        out = func(*args, **kwargs)
        for t in _tensors(out):
            t._trail = trail if passes or t.numel() == size else replace(trail, sums=())
            if passes and len(heard) == 1 and t.numel() == size:
                t._trail = before  # the same numbers
        if end is not None:
            end.layer.stream = measure(end.array(out))
        return out

    def settle(self, t: Any) -> None:
        """Note what the sums in a tensor became, as it goes into a layer, a sum or the output."""
        trail = getattr(t, "_trail", Trail())
        for call in (call for call in trail.sums if call.is_open):
            layer, phi, call.is_open = call.layer, trail.phi, False
            if phi == "linear" and call is trail.sums[-1]:
                layer.outputs = layer.outputs or layer.sums
            elif not trail.is_joint:
                phi = phi or named(call.sample, _sample(t))
                layer.outputs = measure(call.array(t), phi)
            layer.activation = phi

    def _follow(self, name: str, passes: Any, tensors: list, heard: list) -> Trail:
        """Return the trail of what a function gives, and settle what it ends."""
        trails = [t._trail for t in heard]
        sums, phi, is_joint = trails[0].sums, trails[0].phi, trails[0].is_joint
        past = functools.reduce(operator.or_, [trail.past for trail in trails])
        new = Trail(past, depth=max(trail.depth for trail in trails))
        new.is_mixed = any(trail.is_mixed for trail in trails)
        if name in PRODUCTS and len(heard) > 1:
            self._attend(heard[:3])
            new.is_mixed = True
        elif all(trail.sums == sums for trail in trails):
            is_plain = len(heard) == 1 and (len(tensors) > 1 or phi == "linear")
            passes = passes and all(trail.phi == phi for trail in trails)
            if not passes and not (name in ARITHMETIC and is_plain):  # a step of an activation
                phi = name if name in ACTIVATIONS and phi == "linear" else None
            elif phi != "linear":
                self.settle(heard[0])
            new.sums, new.phi, new.is_joint = sums, phi, is_joint
        else:
            for t, trail in zip(heard, trails):
                if trail.phi != "linear" or not (passes or name in ("add", "sub")):
                    self.settle(t)
                for call in trail.sums if not trail.is_joint else ():
                    if call.is_open:
                        call.layer.outputs = measure(call.array(t))
            open_sums = [call for trail in trails for call in trail.sums if call.is_open]
            new.sums, new.is_joint = tuple(dict.fromkeys(open_sums)), True
        return new

    def _end(self, *summands: Trail) -> Call | None:
        """Return the call that ends a residual branch, the summand with more layers behind it."""
        skip, branch = sorted(summands, key=lambda trail: trail.depth)
        last = branch.sums[-1] if branch.sums and branch.past & skip.past else None
        if last is None or last.layer.kind == "embedding" or skip.depth == branch.depth:
            return None
        last.layer.branch = last.layer.name.rpartition(".")[0] or last.layer.name
        left = [skip, *(call.came for call in skip.sums[:1])]  # or before a projection
        for call in self.calls:
            call.layer.opens |= call.came in left and call not in skip.sums
        return last

    def _attend(self, factors: list) -> None:
        """Note which calls made query, key and value, and which made several of them."""
        for t in factors:
            self.settle(t)
            for call in t._trail.sums:
                if call.layer.kind in ("dense", "attention"):
                    call.layer.kind, call.parts = "attention", call.parts + 1
                    call.layer.activation = call.layer.activation or "linear"
                    if call.size == call.parts * t.numel():
                        call.groups = call.parts

    def _row(self, function, out, x, W=None, bias=None, stride=None, groups=None) -> None:
        """Add the row of a layer, with the signals of the forward pass."""
        kind, first = LAYERS.get(function, ("normalisation", ""))
        trail, chain, axis = getattr(x, "_trail", Trail()), (), -1
        stride, groups = stride or 1, groups or 1
        if kind == "normalisation":
            for call in trail.sums:
                call.layer.normalised = True
            chain = trail.sums if trail.phi == "linear" and not trail.is_joint else ()
            axis = 1 if re.search(r"(?i)(batch|group|instance)_?norm|Norm2d", function) else -1
        elif kind.endswith("convolution"):
            axis, stride = 1 - W.ndim, math.prod(np.broadcast_to(stride, W.ndim - 2))
            kind = f"depthwise {kind}" if groups == x.shape[axis] > 1 and first == "out" else kind
        elif kind == "dense" and trail.is_mixed:
            kind = "attention"
        elif kind == "embedding":
            bias = None  # which has something else in its place
        if not chain:
            self.settle(x)
        name, module = self.path[-1]
        key = self.keys.get(id(_base(W)), "")
        if key and getattr(module, "weight", None) is not W:
            name = re.sub(r"[._]weight$", "", key)
        self.times[name] += 1
        name += f" (call {self.times[name]})" if self.times[name] > 1 else ""
        is_turned = isinstance(module, torch.nn.MultiheadAttention)  # places come before inputs
        shapes = x.shape, out.shape

        def array(t: Any) -> np.ndarray:
            t = t.detach() if t.ndim > 1 else t.detach().reshape(1, -1)
            t = t.movedim(axis if t.shape in shapes else -1, -1)
            if is_turned and t.numel() % (self.batch * t.shape[-1]) == 0:
                t = t.reshape(-1, self.batch, t.shape[-1]).transpose(0, 1)
            is_folded = len(t) != self.batch and len(t) % self.batch == 0
            return _array(t.reshape(self.batch, -1, *t.shape[1:]) if is_folded else t)

        layer = Layer(name, kind, key=key or (f"{name}.weight" if first else ""))
        layer.inputs = measure(array(x)) if x.is_floating_point() else None
        layer.sums = measure(array(out))
        if out.requires_grad:
            out.register_hook(lambda g: setattr(layer, "deltas", measure(array(g))))
        seen = array, _sample(out), out.numel(), trail
        self.calls.append(Call(layer, (W, bias), first, groups, int(stride), *seen))
        self.calls[-1].values = np.array(array(out)) if self.keeps else None
        depth = trail.depth + bool(first)
        out._trail = Trail(trail.past | self.bit, (*chain, self.calls[-1]), depth=depth)
        self.bit *= 2


def _stack(W: np.ndarray | None, first: str, groups: int) -> np.ndarray | None:
    """Return a weight as ``(groups, fan_in, units)``."""
    if W is None or (first == "in" and W.ndim > 2):
        return W
    W = W.T if first == "in" else W
    W = W.reshape(groups, len(W) // groups, W.shape[1], -1)
    W = W.transpose((0, 3, 1, 2) if first == "in, by groups" else (0, 3, 2, 1))
    return W.reshape(groups, -1, W.shape[3])


def _complete(call: Call, gradients: dict[int, Any]) -> None:
    """Add to a row what its parameters tell."""
    layer, (W, b) = call.layer, call.parameters
    base, tensors = _base(W), (W, b, gradients.get(id(W)), gradients.get(id(b)))
    W, b, by_W, by_b = (None if t is None else _double(t) for t in tensors)
    if W is None:
        return
    layer.shape, layer.trainable = tuple(base.shape), base.requires_grad
    places = math.prod(layer.shape[2:]) if layer.kind.endswith("convolution") else 1
    if call.first:
        layer.library_fans = (float(layer.shape[1] * places), float(layer.shape[0] * places))
        W, by_W = (_stack(array, call.first, call.groups) for array in (W, by_W))
    layer.weigh(W, b, by_W, by_b, places, call.stride)


def _loss(look: Look, raw: Any, main: Any, y: Any, loss: Any) -> Any:
    """Return the loss as a tensor, None without a right target, and note what it is about."""
    F, value, fits, own = torch.nn.functional, None, False, getattr(raw, "loss", None)
    if torch.is_tensor(y):
        look.task, remark = task_of(not y.is_floating_point(), y.numel(), main.numel())
        is_classes = look.task == "classes"
        is_map = is_classes and main.ndim > 2 and y.shape == main.shape[:1] + main.shape[2:]
        last = main.movedim(1, -1) if is_map else main
        look.targets, look.outputs = np.array(_array(y)), _double(last)
        look.loss_name = ("CrossEntropyLoss" if is_classes else "MSELoss") + remark
        fits = y.numel() * (last.shape[-1] if is_classes else 1) == main.numel()
        if fits and not is_classes:
            value = F.mse_loss(main, y.reshape(main.shape).to(main))
        elif fits and ((y >= 0) & (y < last.shape[-1]) | (y == -100)).all():  # else a finding
            value = F.cross_entropy(last.flatten(0, -2), y.flatten().long())
    if loss is not None:
        look.loss_name = getattr(loss, "__name__", type(loss).__name__)
        look.ignored = getattr(loss, "ignore_index", look.ignored)
        if fits and value is None:
            return None
        given = loss(raw, y)
        if not torch.is_tensor(given) or given.numel() != 1:
            _checks.fail("loss", "a callable that returns one number", loss)
        if value is None or not torch.isclose(given.double(), value.double(), rtol=1e-3):
            kind = re.search(r"(?i)(entropy|bce|^nll)|mse|l1|huber", look.loss_name)
            look.task = kind and ("classes" if kind[1] else "regression")
        return given.reshape(())
    if own is not None:
        look.loss_name = "the model's own loss"
    elif y is not None and not fits:
        _checks.fail("y", f"a tensor of targets for outputs of shape {tuple(main.shape)}", y)
    return value if own is None else own


def _unseen(model: Any, keys: set[str]) -> dict[str, int]:
    """Count what has no row: modules by their class, and the parameters of those with parts."""
    names = {}
    for name, p in model.named_parameters():
        owner, _, own = name.rpartition(".")
        module = model.get_submodule(owner)
        key = re.sub(r"parametrizations\.(\w+)\..*", r"\1", name)  # of a computed weight
        if key not in keys and p.numel() > max((0, *p.shape)):
            names[owner, own * bool([*module.children()])] = type(module).__name__
    return dict(Counter(f"{kind}.{own}".strip(".") for (_, own), kind in names.items()))


def look(model: Any, x: Any, y: Any = None, loss: Any = None, optimizer: Any = None) -> Look:
    """Return what a batch shows of a PyTorch model; the arguments are those of `diagnose`.

    The model is called as ``model(x)``, ``model(*x)`` of a tuple or ``model(**x)`` of a mapping of
    tensors, in the caller's mode: dropout drops, by a copy of PyTorch's random state. A loss of
    None is the model's own if it takes labels, as Hugging Face's do.
    """
    global torch
    import torch

    model = getattr(model, "_orig_mod", model)  # of what `torch.compile` returned
    if not isinstance(model, torch.nn.Module) or isinstance(model, torch.jit.ScriptModule):
        _checks.fail("model", "a torch.nn.Module, as it was before torch.jit", model, TypeError)
    if loss is not None and (not callable(loss) or isinstance(loss, type)):
        _checks.fail("loss", "a callable of outputs and targets, or None", loss, TypeError)
    groups = [] if optimizer is None else getattr(optimizer, "param_groups", None)
    if groups is None:
        _checks.fail("optimizer", "an optimizer of PyTorch, or None", optimizer, TypeError)
    if {id(p) for group in groups for p in group["params"]} - {*map(id, model.parameters())}:
        _checks.fail("optimizer", "an optimizer of the model's own parameters", optimizer)
    # What an earlier call computed and left in a module cannot be copied by `copy`.
    kept = [t for module in model.modules() for t in _tensors(vars(module)) if t.grad_fn]
    memo = {id(t): t.detach().clone() for t in kept}
    twin, loss, optimizer = copy.deepcopy((model, loss, optimizer), memo)
    look, calls, gradients = _passes(twin, x, y, loss)
    for call in calls:
        _complete(call, gradients)
    look.layers = [call.layer for call in calls]
    look.unseen = _unseen(twin, {layer.key for layer in look.layers})
    if optimizer is not None and gradients:
        look.optimizer, parameters = type(optimizer).__name__, dict(twin.named_parameters())
        for p in parameters.values():
            p.grad = gradients.get(id(p))
        optimizer.step()
        look.add_updates({name: _array(p) for name, p in parameters.items()})
    return look


def _passes(twin: Any, x: Any, y: Any, loss: Any, keeps: bool = False) -> tuple[Look, list, dict]:
    """Send a batch forward and back; return a look, the calls, and gradients by id of weights."""
    parameters = dict(twin.named_parameters())
    own = lambda value: value.detach().clone() if torch.is_tensor(value) else value  # noqa: E731
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
    tensors = [*parameters.items(), *twin.named_buffers()]
    tensors = {name: np.array(_array(t)) for name, t in tensors}
    look = Look("torch", [], tensors, inputs=np.array(_array(first)))
    ear, gradients = _Ear(twin, given, len(first), keeps), {}
    # So that the steps of `multi_head_attention_forward` are heard, and not it alone.
    steps = mock.patch.object(torch.nn.functional, "has_torch_function", lambda _: False)
    devices = {p.device for p in parameters.values() if p.is_cuda}
    with torch.random.fork_rng(devices), torch.enable_grad():
        with steps, ear.mode:
            raw = twin(*args, **kwargs)
            main = next((t for t in _tensors(raw) if t.ndim and t.is_floating_point()), None)
            if main is None:
                raise ValueError(f"The model must return floats. It returned {_checks.show(raw)}")
            ear.settle(main)
        ear.is_deaf = True  # to what a checkpoint runs again
        look.outputs = _double(main)
        value = _loss(look, raw, main, y, loss)
        if value is not None and value.requires_grad:
            weights = [call.parameters[0] for call in ear.calls if call.layer.key]
            wanted = {id(W): W for W in [*parameters.values(), *weights] if W.requires_grad}
            found = torch.autograd.grad(value, [*wanted.values()], allow_unused=True)
            gradients = dict(zip(wanted, found))
    look.loss = None if value is None else float(value.detach())
    return look, ear.calls, gradients


def train(model: Any, x: Any, y: Any, loss: Any, optimizer: Any) -> Iterator[dict[str, Any]]:
    """Yield each layer's sums, the last one's as the net returns them, before each step."""
    model = getattr(model, "_orig_mod", model)
    if isinstance(optimizer, float):
        own = torch.optim.Adam(model.parameters(), lr=optimizer)
    else:
        own = optimizer(model) if callable(optimizer) else None
    if not hasattr(own, "param_groups"):
        allowed = "a rate, or a function that returns an optimizer of the model it is given"
        _checks.fail("optimizer", allowed, optimizer, TypeError)
    while True:
        twin = copy.deepcopy(model)
        look, calls, gradients = _passes(twin, x, y, loss, keeps=True)
        if look.outputs.size == calls[-1].size:
            calls[-1].values = look.outputs
        yield {call.layer.name: call.values for call in calls}
        for p, copied in zip(model.parameters(), twin.parameters()):
            p.grad = gradients.get(id(copied))
        own.step()
