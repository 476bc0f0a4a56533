"""Your own net, looked at layer by layer before it is trained (above `plots`).

`diagnose` sends one batch through a model and back, compares what it sees with the theory, and
returns a `Report` of what is wrong, where first, and how it is mended. PyTorch and Keras are
imported only if the model is theirs.
"""

from __future__ import annotations

import contextlib
import importlib
import inspect
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from initcore import _checks, network, transformer
from initcore.diagnosis import of_arrays, of_weights
from initcore.diagnosis.look import Look
from initcore.diagnosis.report import Report

__all__ = ["Report", "diagnose"]
SEEDS = 20  # nets of a factory: as many as the course asks for at initialization
TARGETS = ("labels", "label", "targets", "target", "y")  # the key of y in a batch that is a dict
MODELS = (
    "a PyTorch or Keras model, an MLP, a list of (W, b, activation), a mapping of named weights"
)


def diagnose(
    model: Any,
    x: Any = None,
    y: Any = None,
    loss: Any = None,
    optimizer: Any = None,
    *,
    seeds: int | None = None,
) -> Report:
    """Return what is wrong with a model before it is trained, and how it is mended.

    One batch goes forward and back. Weights, averages, mode, gradients and hooks of the model are
    afterwards what they were, and so are the random numbers that NumPy and PyTorch draw next.

    Parameters
    ----------
    model : torch.nn.Module, keras.Model, MLP, list of (W, b, activation), mapping or callable
        A mapping of names to arrays is weights alone. A callable that is no model is a factory,
        called with the seed if it takes an argument; the report has bands over its nets, as it
        has over the replicas of an `MLP`.
    x : array, tensor, tuple, dict or iterable
        Inputs of one batch; or, without `y`, the batch (x, y), a dict with the key labels, targets
        or y, or a loader, of which the first batch is taken. A generator has then lost that batch.
        A model of PyTorch takes tensors.
    y : array or tensor, optional
        Labels or targets. Without them nothing is sent back.
    loss : optional
        As the framework takes it. None: the model's own, or else softmax cross-entropy if y holds
        fewer integers than the batch has outputs, and squared error if not. The report says which.
    optimizer : optional
        Of the framework; its first step is compared with the weights, and not taken.
    seeds : int, optional
        How many nets a factory makes, from 2 on; 20 by default.

    Raises
    ------
    ValueError, TypeError
        No such model; a batch, loss or optimizer that does not fit it. NaN and infinity are
        findings. Errors of the model's own forward pass come through unchanged.

    Examples
    --------
    >>> from initcore.network import MLP
    >>> rng = np.random.default_rng(0)
    >>> x, y = rng.standard_normal((100, 64)), rng.integers(10, size=100)
    >>> diagnose(MLP((64, 64, 64, 10), "relu", weights="he_normal"), x, y).ok
    True
    """
    adapter = _adapter(model)
    if adapter is None and not callable(model):
        _checks.fail("model", f"{MODELS}, or a function that makes one", model, TypeError)
    if adapter is not None and seeds is not None:
        _checks.fail("seeds", "None, as `model` is no function that makes one", seeds)
    count = SEEDS if seeds is None else _checks.integer("seeds", seeds, at_least=2)
    looks: list[Look] = []
    with _torch_unmoved(x):
        x, y = _batch(x) if y is None else (x, y)
        for net in [model] if adapter else _made(model, count):
            adapter = _adapter(net) or _checks.fail("model", f"to make {MODELS}", net, TypeError)
            looks += adapter(net, x, y, loss, optimizer)
            tensors = [look.tensors.values() for look in looks[:2]]
            if len(looks) == 2 and all(map(np.array_equal, *tensors)):
                return Report(looks[:1], "all nets are equal")
    return Report(looks)


def _adapter(model: Any) -> Callable[..., list[Look]] | None:
    """Return what looks at a model, by the modules of its class and of those it is a child of."""
    if isinstance(model, network.MLP) and not isinstance(model, transformer.Transformer):
        return lambda net, *rest: [of_arrays.look(one, *rest) for one in of_arrays.replicas(net)]
    look = of_arrays.look if isinstance(model, (list, tuple)) else None
    look = of_weights.look if isinstance(model, Mapping) else look
    for package in _packages(type(model)):
        look = importlib.import_module(f"initcore.diagnosis.of_{package}").look
    return look and (lambda *arguments: [look(*arguments)])


def _packages(kind: type) -> set[str]:
    return {one.__module__.partition(".")[0] for one in kind.__mro__} & {"torch", "keras"}


def _made(factory: Callable, seeds: int) -> Iterator[Any]:
    """Return the nets of a function; PyTorch's generator is set to the seed as well."""
    is_class = isinstance(factory, type) and _packages(factory)  # Keras hides what one takes
    known = inspect.signature(factory.__init__.__get__(0) if is_class else factory).parameters
    needed = {p.name for p in known.values() if p.default is p.empty and p.kind < p.VAR_POSITIONAL}
    if is_class and (needed - {"seed"} or factory.__module__.startswith(("torch.", "keras."))):
        _checks.fail("model", "an instance or a function, no class of models", factory, TypeError)
    for seed in range(seeds):
        if "torch" in sys.modules:
            sys.modules["torch"].default_generator.manual_seed(seed)
        if "seed" in known:
            yield factory(seed=seed)
        else:
            yield factory(seed) if needed else factory()


@contextlib.contextmanager
def _torch_unmoved(x: Any) -> Iterator[None]:
    """Leave the generators of PyTorch as they were: a loader that starts draws from them."""
    torch = sys.modules.get("torch")
    generators = [getattr(torch, "default_generator", None), getattr(x, "generator", None)]
    states = [(one, one.get_state()) for one in generators if hasattr(one, "get_state")]
    try:
        yield
    finally:
        for generator, state in states:
            generator.set_state(state)


def _batch(x: Any) -> tuple[Any, Any]:
    """Return the inputs and targets (or None) of a batch, or of a loader's first one."""
    if isinstance(x, Mapping):
        key = next((name for name in TARGETS if name in x), None)
        return x.get("x", {name: x[name] for name in x if name != key}), x.get(key)
    if hasattr(x, "shape") or x is None:
        return x, None
    if isinstance(x, (tuple, list)) and len(x) == 2 and hasattr(x[1], "shape"):
        return x[0], x[1]  # the first may be a tuple, of a model with several inputs
    if isinstance(x, (tuple, list)) and len(x) > 1 and hasattr(x[0], "shape"):
        _checks.fail("x", "a batch (x, y) of inputs and one array; or give x and y apart", x)
    if "torch" in _packages(type(x)) and not hasattr(x, "__iter__"):
        _checks.fail("x", "a batch or a DataLoader, as a Dataset has no batches", x, TypeError)
    try:
        return _batch(next(iter(x)))
    except (TypeError, StopIteration, RecursionError):
        _checks.fail("x", "an array, a batch (x, y), or an iterable of batches", x, TypeError)
