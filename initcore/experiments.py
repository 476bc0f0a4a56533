"""What several chapters run: training on the digits, and signals through a stack (level 6).

Every other experiment stands in its chapter, and a live figure's own with that figure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from initcore import _checks, activations, datasets, network, probes, training


class DigitsRun(NamedTuple):
    """Trained networks, the parts of the digits they saw, and how the training went."""

    net: network.MLP
    history: training.History
    train: datasets.Dataset
    test: datasets.Dataset


def train_on_digits(
    activation: Any,
    weights: Any,
    *,
    biases: Any = "zeros",
    dropout: float = 0.0,
    hidden: Sequence[int] = (50,) * 5,
    optimizer: Any = None,
    epochs: int = 15,
    replicas: int = 8,
    seed: int = 0,
    dtype: Any = "float64",
    **options: Any,
) -> DigitsRun:
    """Train classifiers of the handwritten digits from one kind of initialization.

    ``history.validation_accuracy`` of what is returned is that on the test digits.

    Parameters
    ----------
    hidden : sequence of int
        Widths of the hidden layers.
    optimizer : SGD or Adam, optional
        SGD with learning rate 0.02 and momentum 0.9 by default.
    replicas : int
        Independent nets: they differ in weights and in the order of the digits, not in the split.
    dtype : {"float32", "float64"}
        ``"float32"`` is faster, and good for verdicts only, not for printed digits.
    activation, weights, biases, dropout, epochs, seed
        As for `MLP` and for `fit`, which say what errors they raise.
    **options
        ``batch_size`` and all others of `fit_on_digits`.
    """
    how = {"biases": biases, "dropout": dropout, "replicas": replicas, "dtype": dtype}
    net = network.MLP((64, *hidden, 10), activation, weights=weights, seed=seed, **how)
    optimizer = optimizer or training.SGD(0.02, momentum=0.9)
    return fit_on_digits(net, optimizer=optimizer, epochs=epochs, seed=seed, **options)


def fit_on_digits(net: network.MLP, *, batch_size: int = 32, **options: Any) -> DigitsRun:
    """Train a network that was made before in place: one of another kind, or with set weights.

    It has 64 inputs and 10 outputs, and learns from 1,438 digits; the 359 others are those of
    validation. The other options, and the errors, are those of `fit`.
    """
    train, test = split_digits()
    history = training.fit(net, *train, batch_size=batch_size, validation=test, **options)
    return DigitsRun(net, history, train, test)


def split_digits(*, standardize: bool = True) -> datasets.Split:
    """Return the 1,438 digits to train on and the 359 others, the same split in every chapter.

    Both are standardised by the first, or neither, as by `datasets.split`.
    """
    return datasets.split(datasets.load_digits(), seed=0, standardize=standardize)


def propagate(
    cases: Mapping[str, tuple[Any, float]],
    *,
    depth: int,
    width: int,
    replicas: int = 20,
    seed: int = 0,
) -> dict[str, probes.LayerStatistics]:
    """Send an input forward through deep nets of several kinds that share one set of draws.

    Case by case the weights are ``gain / √n`` times the same standard normals (common random
    numbers), so that a difference between cases is due to the case. Only one layer is in memory
    at a time, which lets the nets be deep and wide. Biases are zero.

    Parameters
    ----------
    cases : mapping of str to (activation, gain)
        At least one. ``gain² = n Var(w)`` is above 0; what is not is a ``ValueError``.
    depth, width : int
        Layers, and units in each and in the input (n).
    replicas : int
        Independent nets, each with a standard normal input of its own.
    seed : int
        Of weights and inputs.

    Returns
    -------
    dict of str to LayerStatistics
        With ``q``, the mean square of the pre-activations, shape ``(depth, replicas)``.

    Examples
    --------
    >>> found = propagate({"He": ("relu", 2**0.5)}, depth=3, width=100, replicas=200)
    >>> found["He"]["q"].shape
    (3, 200)
    """
    _checks.mapping("cases", cases, "case")
    kinds = {
        label: (activations.get(activation), _checks.number(f"gain of {label!r}", gain, above=0.0))
        for label, (activation, gain) in cases.items()
    }
    depth = _checks.integer("depth", depth, at_least=1)
    width = _checks.integer("width", width, at_least=1)
    replicas = _checks.integer("replicas", replicas, at_least=1)
    rng = _checks.generator("seed", seed)
    a = dict.fromkeys(kinds, rng.standard_normal((replicas, 1, width)))
    q: dict[str, list] = {label: [] for label in kinds}
    for _ in range(depth):
        unit_weights = rng.standard_normal((replicas, width, width))
        for label, (phi, gain) in kinds.items():
            z = gain / np.sqrt(width) * network.product(a[label], unit_weights)
            a[label] = phi(z)
            q[label].append(probes.mean_square(z))
    return {label: probes.LayerStatistics({"q": np.array(rows)}) for label, rows in q.items()}
