"""`fit`, which trains every replica of a network at once (level 4).

The module trains and records; what to record of the layers is the caller's `probe`, and drawing is
left to `initcore.plots`.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import sys
import types
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from initcore import _checks, optimizers, tables
from initcore.losses import LOSSES, _accuracy
from initcore.network import MLP, ORDER, replica_generators
from initcore.optimizers import SGD, Adam  # noqa: F401  (also found here: training.SGD)

DIVERGED_ABOVE = 1e12  # a replica has when its loss or the size of a parameter is not at most this
PROGRESS_AFTER = 2.0  # seconds after which a run is long, and shows its progress bar
CURVES = ("loss", "accuracy", "validation_loss", "validation_accuracy")  # of a `History`


@dataclass(frozen=True, eq=False, repr=False)
class History:
    """What happened in training, epoch by epoch; row 0 is before the first step.

    All numbers are finite: where a replica diverged, they stay those measured last before that.

    Attributes
    ----------
    epochs : ndarray of int, shape (rows,)
        The epochs after which was measured: 0, before training, to the last.
    loss, accuracy : ndarray, shape (rows,) or (rows, replicas)
        On all training data, without dropout; accuracy is None where the loss is no classifier's.
    validation_loss, validation_accuracy : ndarray of that shape, or None
        None without validation data.
    diverged : ndarray of int, shape (replicas,), or int
        The epoch in which a replica diverged, 0 if it had before training, -1 if it never did.
    probes : list
        What `probe` returned before training and after each epoch.
    """

    epochs: np.ndarray
    loss: np.ndarray
    accuracy: np.ndarray | None
    validation_loss: np.ndarray | None
    validation_accuracy: np.ndarray | None
    diverged: np.ndarray
    probes: list

    def __repr__(self) -> str:
        """Say where training ended, and how many replicas diverged, in a line or two."""
        shown = []
        for name in CURVES:
            curve = getattr(self, name)
            if curve is not None:
                end = tables.fmt(curve[-1]) if curve.ndim == 1 else tables.spread(curve[-1])
                shown.append(f"{name.replace('_', ' ')} {end}")
        text = f"after epoch {self.epochs[-1]}: {', '.join(shown)}"
        if count := np.sum(self.diverged >= 0):
            text += f"\n{count} of {self.diverged.size} diverged; "
            text += "their numbers are those before that"
        return text


def fit(
    net: MLP,
    x: np.ndarray,
    y: np.ndarray,
    *,
    loss: str = "softmax_cross_entropy",
    optimizer: Any,
    epochs: int,
    batch_size: int,
    seed: int | np.random.Generator | None = 0,
    validation: tuple[np.ndarray, np.ndarray] | None = None,
    measure_every: int = 1,
    probe: Callable[[MLP], Any] | None = None,
) -> History:
    """Train a network in place on shuffled mini-batches, and return what happened.

    Every replica sees the data in an order of its own, which does not depend on how many
    replicas there are. The last mini-batch of an epoch may be smaller.

    A replica *diverges* when its loss on a mini-batch, or after an epoch its loss or one of its
    parameters, is NaN or beyond 1e12 in size. It is put back to the end of the epoch before, and
    stays there; the others go on as if it were not there.

    A run of over two seconds shows a bar in a terminal or a notebook, if tqdm is installed: not
    under pytest and nbval, nor with ``INITCORE_PROGRESS=0`` in the environment.

    Parameters
    ----------
    net : MLP
        Changed in place. An error in the arguments is raised before anything is changed.
    x : array_like, shape (examples, n_0) or (replicas, examples, n_0)
        Inputs, the same for all replicas or one set each.
    y : array_like, shape (examples,) of int or (examples, units), replicas in front or not
        Labels, or targets of the squared error.
    loss : {"softmax_cross_entropy", "squared_error"}
        What is minimised.
    optimizer : SGD, Adam, "sgd" or "adam"
        Or any object with their `start` and `step`. It is copied: the one given keeps no state.
    epochs, batch_size : int
        Passes over the data, and examples a step.
    seed : int, numpy.random.Generator or None
        Of the order of the examples and of dropout (where the network has it).
    validation : (x, y), optional
        Evaluated too, never trained on.
    measure_every : int
        Loss and accuracy are measured before training, after every so many epochs, and after the
        last; after every epoch, that is about a quarter of the running time.
    probe : callable, optional
        Called as ``probe(net)`` before training and after every epoch; it must not change `net`.

    Raises
    ------
    ValueError, TypeError
        An unknown loss or optimizer, data that do not fit the network or are not finite, labels
        out of range, a batch larger than the data, fewer than one epoch, or a network whose loss
        is not finite to begin with.

    Examples
    --------
    >>> from initcore import datasets
    >>> data, net = datasets.xor(), MLP((2, 8, 2), replicas=5)
    >>> history = fit(net, *data, optimizer=Adam(0.05), epochs=200, batch_size=4)
    >>> history.accuracy[-1].tolist(), history.diverged.tolist()
    ([1.0, 1.0, 1.0, 1.0, 1.0], [-1, -1, -1, -1, -1])
    """
    _checks.instance("net", net, MLP, "an initcore.network.MLP")
    _checks.choice("loss", loss, tuple(LOSSES))
    optimizer = optimizers.get(optimizer)
    parts = {"": _check_data(net, loss, "", x, y)}
    examples = parts[""][0].shape[-2]
    if validation is not None:
        if not isinstance(validation, (tuple, list)) or len(validation) != 2:
            _checks.fail("validation", "a pair (x, y)", validation, TypeError)
        parts["validation_"] = _check_data(net, loss, "validation ", *validation)
    epochs = _checks.integer("epochs", epochs, at_least=1)
    batch_size = _checks.integer("batch_size", batch_size, at_least=1, at_most=examples)
    measure_every = _checks.integer("measure_every", measure_every, at_least=1)
    if probe is not None and not callable(probe):
        _checks.fail("probe", "a function of the network", probe, TypeError)

    run = _Run(net, loss, optimizer, parts, batch_size, seed)
    measured = [*range(0, epochs, measure_every), epochs]
    rows = [run.evaluate()]
    if not all(np.isfinite(values).all() for values in rows[0].values()):
        _checks.fail("net", "a network whose loss is finite before training", net)
    diverged = np.where(run.is_sound(rows[0]), -1, 0)
    probes = [] if probe is None else [probe(net)]
    steps = epochs * len(range(0, examples, batch_size))
    with contextlib.closing(_progress_bar(steps)) as bar:
        for epoch in range(1, epochs + 1):
            row, sound = rows[-1], diverged < 0
            if sound.any():
                row, sound = run.epoch(sound, bar, epoch in measured)
                diverged = np.where(sound | (diverged >= 0), diverged, epoch)
            if epoch in measured:
                rows.append({name: np.where(sound, row[name], rows[-1][name]) for name in row})
            if probe is not None:
                probes.append(probe(net))
    curves = {n: np.array([row[n] for row in rows]) if n in rows[0] else None for n in CURVES}
    ends = diverged[()]  # a number where there are no replicas
    return History(np.array(measured), **curves, diverged=ends, probes=probes)


def batches(
    rngs: Sequence[np.random.Generator], examples: int, batch_size: int, replicas: int | None
) -> Iterator[tuple]:
    """Yield what picks each mini-batch of one epoch out of an array, shuffled for each replica.

    It is an index of the axes ``([replicas,] examples)``; `replicas` is None where there is no such
    axis. Each of the generators, one a replica, shuffles once. The last mini-batch may be smaller.

    Examples
    --------
    >>> x = np.array([10, 11, 12])
    >>> rngs = [np.random.default_rng(0)]
    >>> [x[index].tolist() for index in batches(rngs, 3, batch_size=2, replicas=None)]
    [[12, 10], [11]]
    """
    for i, rng in enumerate(rngs):
        _checks.instance(f"rngs[{i}]", rng, np.random.Generator, "a numpy.random.Generator")
    order = np.stack([rng.permutation(examples) for rng in rngs])
    for first in range(0, examples, batch_size):
        chosen = order[:, first : first + batch_size]
        yield (chosen[0],) if replicas is None else (np.arange(replicas)[:, None], chosen)


def _check_data(net: MLP, loss: str, which: str, x: Any, y: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return inputs and labels (or targets) that fit; with replicas, an axis of them in front."""
    x = net.check_batch(f"{which}x", x)
    if loss == "softmax_cross_entropy":
        y = _checks.labels(f"{which}y", y, net.widths[-1])
        shape: tuple[int, ...] = (x.shape[-2],)
    else:
        y = _checks.array(f"{which}y", y, dtype=net.dtype)
        shape = (x.shape[-2], net.widths[-1])
    shapes = [shape] if net.replicas is None else [shape, (net.replicas, *shape)]
    if y.shape not in shapes:
        allowed = " or ".join(map(str, shapes))
        _checks.fail(f"{which}y", f"an array of shape {allowed}", y)
    if net.replicas is not None:  # views, not copies
        x = np.broadcast_to(x, (net.replicas, *x.shape[-2:]))
        y = np.broadcast_to(y, shapes[-1])
    return x, y


class _Run:
    """One call of `fit`, its arguments checked: what an epoch does."""

    def __init__(
        self, net: MLP, loss: str, optimizer: Any, parts: dict, batch_size: int, seed: Any
    ) -> None:
        self.net = net
        self.loss = LOSSES[loss]
        self.classifies = loss == "softmax_cross_entropy"
        self.parts = parts
        self.batch_size = batch_size
        self.order_rngs = replica_generators(seed, net.replicas, ORDER)
        self.dropout_rngs = [stream.spawn(1)[0] for stream in self.order_rngs]
        self.optimizer = optimizer
        optimizer.start(net.parameters())

    @np.errstate(all="ignore")  # what overflows is found by is_sound
    def evaluate(self) -> dict[str, np.ndarray]:
        """Return loss and accuracy of each replica on the training and the validation data."""
        numbers = {}
        for part, (x, y) in self.parts.items():
            output = self.net.predict(x)
            numbers[f"{part}loss"] = np.asarray(self.loss(output, y)[0], np.float64)
            if self.classifies:
                numbers[f"{part}accuracy"] = np.asarray(_accuracy(output, y))
        return numbers

    def is_sound(self, numbers: dict[str, np.ndarray]) -> np.ndarray:
        """Return which replicas have no number and no parameter that is NaN or too large."""
        sound = np.ones(self.net.replicas or (), bool)
        for value in numbers.values():
            sound = sound & (np.abs(value) <= DIVERGED_ABOVE)  # False for NaN
        for p in self.net.parameters():
            own = tuple(range(sound.ndim, p.ndim))
            sound = sound & (p.max(axis=own) <= DIVERGED_ABOVE)
            sound = sound & (p.min(axis=own) >= -DIVERGED_ABOVE)
        return sound

    @np.errstate(all="ignore")
    def epoch(
        self, sound: np.ndarray, bar: Any, is_measured: bool
    ) -> tuple[dict[str, np.ndarray], np.ndarray]:
        """Train the replicas that are sound; return the numbers after it, and which still are."""
        net = self.net
        parameters = net.parameters()
        saved = [p.copy() for p in parameters]
        x, y = self.parts[""]
        try:
            for index in batches(self.order_rngs, x.shape[-2], self.batch_size, net.replicas):
                loss, gradients = net.loss_and_gradients(
                    x[index], y[index], self.loss, self.dropout_rngs
                )
                sound = sound & (np.abs(loss) <= DIVERGED_ABOVE)
                self.optimizer.step(parameters, gradients.parameters())
                bar.update()
            numbers = self.evaluate() if is_measured else {}
            sound = sound & self.is_sound(numbers)
        finally:  # also where training is interrupted
            for p, s in zip(parameters, saved):
                np.copyto(p, s, where=~sound.reshape(sound.shape + (1,) * (p.ndim - sound.ndim)))
        return numbers, sound


def _progress_bar(steps: int, what: str = "training", unit: str = "step", initial: int = 0) -> Any:
    """Return a tqdm bar over the steps of a run, or what does nothing in its place (see `fit`)."""
    no_bar = types.SimpleNamespace(update=lambda: None, close=lambda: None)
    if not _is_watched():
        return no_bar
    try:
        from tqdm.auto import tqdm  # chooses between terminal and notebook
    except ImportError:
        return no_bar
    if sys.platform == "emscripten":
        tqdm.monitor_interval = 0  # its monitor is a thread, and a browser's Python has none
    options = {"desc": what, "unit": unit, "initial": initial, "leave": False}
    return tqdm(total=steps, delay=PROGRESS_AFTER, **options)


def _is_watched() -> bool:
    """Return whether somebody sees a bar, and no output is stored or compared."""
    if os.environ.get("INITCORE_PROGRESS") == "0":  # `make notebooks`
        return False
    if multiprocessing.parent_process():  # a worker's bar would be drawn over the sweep's
        return False
    # Pytest sets these, and the kernels that nbval starts inherit them.
    if {"PYTEST_CURRENT_TEST", "PYTEST_VERSION"} & set(os.environ):
        return False
    get_ipython = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)
    in_notebook = hasattr(get_ipython(), "kernel")
    return in_notebook or (sys.stderr is not None and sys.stderr.isatty())
