"""What several chapters run: training on the digits, and signals through a stack (level 6).

Every other experiment stands in its chapter, and a live figure's own with that figure. A function
here returns numbers over seeds; it draws no figure and computes no theory.
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

    Parameters
    ----------
    activation : str, Activation or callable
        φ of the hidden layers.
    weights, biases : str, Initializer or callable, or a list of these
        Initializers of all layers, or one a layer.
    dropout : float
        Share of the hidden activations that a training step sets to zero.
    hidden : sequence of int
        Widths of the hidden layers.
    optimizer : SGD or Adam, optional
        SGD with learning rate 0.02 and momentum 0.9 by default.
    epochs : int
        Passes over the training digits.
    replicas : int
        Independent nets: they differ in weights and in the order of the digits, not in the split.
    seed : int
        Of weights and order. The split is always that of ``datasets.split(..., seed=0)``.
    dtype : {"float32", "float64"}
        Precision. ``"float32"`` is faster, and good for verdicts only, not for printed digits.
    **options
        ``batch_size``, ``part`` and all others of `fit_on_digits`.

    Returns
    -------
    DigitsRun
        ``history.validation_accuracy`` is that on the test (or validation) digits.

    Raises
    ------
    ValueError, TypeError
        As `MLP` and `fit` raise them.
    """
    net = network.MLP(
        (64, *hidden, 10),
        activation,
        weights=weights,
        biases=biases,
        dropout=dropout,
        replicas=replicas,
        seed=seed,
        dtype=dtype,
    )
    return fit_on_digits(
        net,
        optimizer=optimizer or training.SGD(0.02, momentum=0.9),
        epochs=epochs,
        seed=seed,
        **options,
    )


def fit_on_digits(
    net: network.MLP,
    *,
    batch_size: int = 32,
    part: str = "test",
    **options: Any,
) -> DigitsRun:
    """Train a network on the digits that was made before: of another kind, or with set weights.

    Parameters
    ----------
    net : MLP
        With 64 inputs and 10 outputs; changed in place.
    batch_size : int
        Examples a step.
    part : {"test", "validation"}
        What the nets are judged on: the 359 test digits after training on the other 1,438; or, to
        choose settings by, a fifth of those 1,438 after training on the rest of them.
    **options
        ``optimizer``, ``epochs``, ``seed`` and all others of `fit`.

    Returns
    -------
    DigitsRun
        As `train_on_digits` returns it.

    Raises
    ------
    ValueError, TypeError
        As `fit` raises them.
    """
    train, test = split_digits(part)
    history = training.fit(
        net,
        train.x,
        train.y,
        batch_size=batch_size,
        validation=(test.x, test.y),
        **options,
    )
    return DigitsRun(net, history, train, test)


def split_digits(part: str = "test", *, standardize: bool = True) -> datasets.Split:
    """Return the digits to train on and those to judge by, the same split in every chapter.

    Parameters
    ----------
    part : {"test", "validation"}
        ``"test"``: 1,438 and 359 digits. ``"validation"``: those 1,438 split again, into 1,150
        and 288; the test digits are in neither part.
    standardize : bool
        Whether both are standardised by the part to train on.

    Returns
    -------
    Split

    Raises
    ------
    ValueError, TypeError
        `part` is none of the two.

    Examples
    --------
    >>> [len(digits.y) for digits in split_digits("validation")]
    [1150, 288]
    """
    _checks.choice("part", part, ("test", "validation"))
    digits = datasets.load_digits()
    if part == "test":
        return datasets.split(digits, seed=0, standardize=standardize)
    rest = datasets.split(digits, seed=0, standardize=False).train
    return datasets.split(rest, seed=1, standardize=standardize)


def propagate(
    cases: Mapping[str, tuple[Any, float]],
    *,
    depth: int,
    width: int,
    batch: int = 1,
    replicas: int = 20,
    seed: int = 0,
) -> dict[str, probes.LayerStatistics]:
    """Send inputs forward through deep nets of several kinds that share one set of draws.

    Case by case the weights are ``gain / √n`` times the same standard normals (common random
    numbers), so that a difference between cases is due to the case. Only one layer is in memory
    at a time, which lets the nets be deep and wide.

    Parameters
    ----------
    cases : mapping of str to (activation, gain)
        ``gain² = n Var(w)``; biases are zero.
    depth, width : int
        Layers, and units in each and in the input (n).
    batch : int
        Number of standard normal inputs.
    replicas : int
        Independent nets, each with inputs of its own.
    seed : int
        Of weights and inputs.

    Returns
    -------
    dict of str to LayerStatistics
        Arrays of shape ``(depth, replicas)``: ``mean``, ``std`` and ``std across inputs`` of the
        activations; ``q`` of the pre-activations, and ``q ratio``, q divided by the mean square
        of the input; with two inputs or more, ``cosine`` of the pre-activations of different
        inputs.

    Raises
    ------
    ValueError, TypeError
        No case, a gain that is not positive, a count below 1, an unknown activation.

    Examples
    --------
    >>> found = propagate({"He": ("relu", 2**0.5)}, depth=3, width=100, replicas=200)
    >>> found["He"]["q"].shape
    (3, 200)
    """
    if not isinstance(cases, Mapping):
        _checks.fail("cases", "a mapping of names to cases", cases, TypeError)
    if not cases:
        _checks.fail("cases", "a mapping with at least one case", cases)
    kinds = {
        label: (activations.get(activation), _checks.number(f"gain of {label!r}", gain, above=0.0))
        for label, (activation, gain) in cases.items()
    }
    depth = _checks.integer("depth", depth, at_least=1)
    width = _checks.integer("width", width, at_least=1)
    batch = _checks.integer("batch", batch, at_least=1)
    replicas = _checks.integer("replicas", replicas, at_least=1)
    rng = _checks.generator("seed", seed)
    x = rng.standard_normal((replicas, batch, width))
    q_0 = probes.mean_square(x)
    a = dict.fromkeys(kinds, x)
    layers: dict[str, list] = {label: [] for label in kinds}
    for _ in range(depth):
        unit_weights = rng.standard_normal((replicas, width, width))
        for label, (phi, gain) in kinds.items():
            z = gain / np.sqrt(width) * network.product(a[label], unit_weights)
            a[label] = phi(z)
            layers[label].append(_forward_statistics(z, a[label], q_0))
    return {
        label: probes.LayerStatistics(
            {name: np.array([row[name] for row in rows]) for name in rows[0]}
        )
        for label, rows in layers.items()
    }


def _forward_statistics(z: np.ndarray, a: np.ndarray, q_0: np.ndarray) -> dict[str, np.ndarray]:
    q = probes.mean_square(z)
    found = {
        "mean": a.mean(axis=(-2, -1)),
        "std": probes.pooled_std(a),
        "std across inputs": probes.std_across_inputs(a),
        "q": q,
        "q ratio": q / q_0,
    }
    return found | ({"cosine": probes.mean_cosine(z)} if z.shape[-2] > 1 else {})
