"""Your own net, looked at layer by layer before it is trained (above `plots`).

`diagnose` sends one batch through a model and back, compares what it sees with the theory, and
returns a `Report` that says what is wrong, where first, and how it is mended. It never trains.
The model may be of PyTorch or Keras, which are imported only if it is.
"""

from __future__ import annotations

import contextlib
import importlib
import inspect
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from initcore import _checks, network
from initcore.diagnosis import of_arrays
from initcore.diagnosis.look import Look
from initcore.diagnosis.report import Report

__all__ = ["Report", "diagnose"]
SEEDS = 20  # nets of a factory: as many as the course asks for at initialization
TARGETS = ("labels", "label", "targets", "target", "y")  # the key of y in a batch that is a dict
MODEL = (
    "a torch.nn.Module, a keras.Model, an initcore MLP, a list of (W, b, activation), "
    "a mapping of named weights, or a function that makes one of these"
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
    """Return what is wrong with a model before it is trained, and how to mend it.

    Parameters
    ----------
    model : torch.nn.Module, keras.Model, MLP, list of (W, b, activation), mapping, or callable
        A mapping of named arrays is weights alone. A callable that is no model is a factory: it is
        called with each seed, if it has an argument `seed` or one without a default, and the
        report gives bands over the nets. An `MLP` with replicas gives a band too.
    x : array, tensor, tuple, dict or iterable
        The inputs of one batch; without `y` also the batch (x, y), a dict with an entry labels,
        targets or y, or a loader, of which one batch is taken. A loader starts anew for whoever
        uses it next; a generator or iterator has lost that batch.
    y : array or tensor, optional
        Without it nothing is sent back, and gradients are not judged.
    loss : str or callable, optional
        As the framework takes it. None: softmax cross-entropy for integers and several outputs,
        squared error for floats; the report says which.
    optimizer : optional
        Of that framework; its first step is then compared with the weights. It takes none itself.
    seeds : int, optional
        How many nets of a factory, 20 by default.

    Returns
    -------
    Report

    Raises
    ------
    ValueError, TypeError
        No such model, a batch, loss or optimizer that do not fit it, a factory whose nets are all
        equal or that needs more than a seed. NaN and infinity are no errors but findings.

    Notes
    -----
    One batch goes forward and back. The model's weights, averages, mode, gradients and hooks, and
    the random state of NumPy and PyTorch, are afterwards what they were.

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
        _checks.fail("model", MODEL, model, TypeError)
    if adapter is not None and seeds is not None:
        _checks.fail("seeds", "None, as `model` is one net and no function that makes it", seeds)
    with _torch_unmoved(x):
        if y is None:
            x, y = _batch(x)
        if adapter is not None:
            return Report(adapter(model, x, y, loss, optimizer))
        looks: list[Look] = []
        for net in _made(
            model, SEEDS if seeds is None else _checks.integer("seeds", seeds, at_least=2)
        ):
            adapter = _adapter(net)
            if adapter is None:
                _checks.fail("model", f"a function that makes {MODEL}", net, TypeError)
            looks += adapter(net, x, y, loss, optimizer)
            if len(looks) == 2 and _are_equal(*looks):
                return Report(looks[:1], "the function makes equal nets, of which one is shown")
    return Report(looks)


def _adapter(model: Any) -> Callable[..., list[Look]] | None:
    """Return what looks at a model, by the modules of its class and of those it is a child of."""
    if isinstance(model, network.MLP):
        return lambda net, *rest: [of_arrays.look(one, *rest) for one in of_arrays.replicas(net)]
    look = of_arrays.look if isinstance(model, (list, tuple)) else None
    packages = {kind.__module__.partition(".")[0] for kind in type(model).__mro__}
    for package in packages & {"torch", "keras"} & {*sys.modules}:
        look = importlib.import_module(f"initcore.diagnosis.of_{package}").look
    return look and (lambda *rest: [look(*rest)])


def _made(factory: Callable, seeds: int) -> Iterator[Any]:
    """Return the nets of a function, which is called with the seed if it asks for one.

    A function without it draws from the generator of its framework: PyTorch's is set to each seed.
    """
    torch = sys.modules.get("torch")
    try:
        parameters = inspect.signature(factory).parameters
    except ValueError:  # of some built-in functions
        parameters = {}
    asked = [
        name
        for name, one in parameters.items()
        if (one.default is one.empty or name == "seed")
        and one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD)
    ]
    if len(asked) > 1:
        _checks.fail(
            "model", "a function of one argument, the seed, or of none", factory, TypeError
        )
    for seed in range(seeds):
        if torch is not None:
            torch.default_generator.manual_seed(seed)
        positional_only = asked and parameters[asked[0]].kind == inspect.Parameter.POSITIONAL_ONLY
        yield factory(seed) if positional_only else factory(**dict.fromkeys(asked, seed))


@contextlib.contextmanager
def _torch_unmoved(x: Any) -> Iterator[None]:
    """Leave PyTorch's random numbers as they were: a loader draws some when it starts."""
    torch = sys.modules.get("torch")
    generators = [] if torch is None else [torch.default_generator, getattr(x, "generator", None)]
    states = [(one, one.get_state()) for one in generators if one is not None]
    try:
        yield
    finally:
        for generator, state in states:
            generator.set_state(state)


def _batch(x: Any) -> tuple[Any, Any]:
    """Return inputs and targets of what holds both, or inputs and None."""
    if isinstance(x, Mapping):
        key = next((name for name in TARGETS if name in x), None)
        if key is None:
            return x, None
        inputs = {name: value for name, value in x.items() if name != key}
        return inputs.get("x", inputs) if len(inputs) == 1 else inputs, x[key]
    if hasattr(x, "shape") or x is None:
        return x, None
    if isinstance(x, (list, tuple)) and len(x):
        has_arrays = all(hasattr(part, "shape") for part in x)
        if len(x) == 2 and (has_arrays or isinstance(x, tuple)):
            return x[0], x[1]
        if has_arrays and len(x) > 1:
            _checks.fail("x", "a batch (inputs, targets)", x)
        if not isinstance(x[0], Mapping) and not any(hasattr(part, "shape") for part in x[0]):
            return x, None  # rows of numbers
    if isinstance(x, (str, bytes)) or not (isinstance(x, Iterable) or hasattr(x, "__getitem__")):
        _checks.fail("x", "an array, a batch or an iterable of batches", x, TypeError)
    first = next(iter(x), None)
    if first is None:
        _checks.fail("x", "an iterable of at least one batch", x)
    return _batch(first)


def _are_equal(one: Look, other: Look) -> bool:
    pairs = zip(one.tensors.values(), other.tensors.values())
    return all(np.array_equal(a, b, equal_nan=True) for a, b in pairs)
