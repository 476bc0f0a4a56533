"""Your own net, looked at layer by layer before it is trained (above `plots`).

`diagnose` sends one batch through a model and back, compares what it sees with the theory, and
returns a `Report` of what is wrong, where first, and how it is mended. PyTorch and Keras are
imported only if the model is theirs.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from initcore import _checks
from initcore.diagnosis.look import Look
from initcore.diagnosis.models import MODELS, adapter_of, batch_of, made, torch_unmoved
from initcore.diagnosis.report import Report
from initcore.diagnosis.scaling import Scaling, widths

__all__ = ["Report", "Scaling", "diagnose", "widths"]
SEEDS = 20  # nets of a factory: as many as the course asks for at initialization


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
    How a model scales with its width, ``diagnose.widths`` tells.

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
    adapter = adapter_of(model)
    if adapter is None and not callable(model):
        _checks.fail("model", f"{MODELS}, or a function that makes one", model, TypeError)
    if adapter is not None and seeds is not None:
        _checks.fail("seeds", "None, as `model` is no function that makes one", seeds)
    count = SEEDS if seeds is None else _checks.integer("seeds", seeds, at_least=2)
    looks: list[Look] = []
    with torch_unmoved(x):
        x, y = batch_of(x) if y is None else (x, y)
        for net in [model] if adapter else made(model, count):
            adapter = adapter_of(net) or _checks.fail("model", f"to make {MODELS}", net, TypeError)
            looks += adapter(net, x, y, loss, optimizer)
            tensors = [look.tensors.values() for look in looks[:2]]
            if len(looks) == 2 and all(map(np.array_equal, *tensors)):
                return Report(looks[:1], "all nets are equal")
    return Report(looks)


diagnose.widths = widths
