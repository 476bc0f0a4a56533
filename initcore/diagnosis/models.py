"""Which framework a model is of, the nets that a function makes, and the batch of a loader."""

from __future__ import annotations

import contextlib
import importlib
import inspect
import sys
from collections.abc import Callable, Iterator, Mapping
from types import ModuleType
from typing import Any

from initcore import _checks, network, transformer
from initcore.diagnosis import of_arrays, of_weights
from initcore.diagnosis.look import Look

TARGETS = ("labels", "label", "targets", "target", "y")  # the key of y in a batch that is a dict
MODELS = (
    "a PyTorch or Keras model, an MLP, a list of (W, b, activation), a mapping of named weights"
)


def adapter_of(model: Any) -> Callable[..., list[Look]] | None:
    """Return what looks at a model, and at each replica of an `MLP`."""
    if isinstance(model, network.MLP) and module_of(model):
        return lambda net, *rest: [of_arrays.look(one, *rest) for one in of_arrays.replicas(net)]
    module = module_of(model)
    return module and (lambda *arguments: [module.look(*arguments)])


def module_of(model: Any) -> ModuleType | None:
    """Return the adapter of a model, by the modules of its class and of those it is a child of."""
    if isinstance(model, transformer.Transformer):
        return None  # its layers are no chain
    known = {Mapping: of_weights, (network.MLP, list, tuple): of_arrays}
    module = next((known[kind] for kind in known if isinstance(model, kind)), None)
    for package in packages_of(type(model)):
        module = importlib.import_module(f"initcore.diagnosis.of_{package}")
    return module


def packages_of(kind: type) -> set[str]:
    return {one.__module__.partition(".")[0] for one in kind.__mro__} & {"torch", "keras"}


def made(factory: Callable, seeds: int) -> Iterator[Any]:
    """Return the nets of a function; PyTorch's generator is set to the seed as well."""
    is_class = isinstance(factory, type) and packages_of(factory)  # Keras hides what one takes
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
def torch_unmoved(x: Any) -> Iterator[None]:
    """Leave the generators of PyTorch as they were: a loader that starts draws from them."""
    torch = sys.modules.get("torch")
    generators = [getattr(torch, "default_generator", None), getattr(x, "generator", None)]
    states = [(one, one.get_state()) for one in generators if hasattr(one, "get_state")]
    try:
        yield
    finally:
        for generator, state in states:
            generator.set_state(state)


def batch_of(x: Any) -> tuple[Any, Any]:
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
    if "torch" in packages_of(type(x)) and not hasattr(x, "__iter__"):
        _checks.fail("x", "a batch or a DataLoader, as a Dataset has no batches", x, TypeError)
    try:
        return batch_of(next(iter(x)))
    except (TypeError, StopIteration, RecursionError):
        _checks.fail("x", "an array, a batch (x, y), or an iterable of batches", x, TypeError)
