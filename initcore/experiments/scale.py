"""The scale of random weights: saturation, gradients, curvature, the first loss, what trains."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from initcore import _checks, losses, network, probes
from initcore.experiments._common import counts
from initcore.experiments.digits import split_digits, train_on_digits
from initcore.initializers import RandomNormal
from initcore.tables import Table, fmt, spread

DATA = 1  # a stream of random numbers that no weight is drawn from


class Start(NamedTuple):
    """Classifiers before training, and all that one pass forward and back says of them.

    Attributes
    ----------
    net : MLP
    trace : Trace
    gradients : Gradients
        Of the softmax cross-entropy, the mean over the batch.
    loss : ndarray, shape (replicas,)
    statistics : LayerStatistics
        With gradients; one row a layer, the output layer last.
    """

    net: network.MLP
    trace: network.Trace
    gradients: network.Gradients
    loss: np.ndarray
    statistics: probes.LayerStatistics


def classifier_at_start(
    activation: Any,
    sd: float,
    *,
    depth: int = 5,
    width: int = 50,
    inputs: int = 100,
    classes: int = 10,
    batch: int = 500,
    replicas: int = 40,
    seed: int = 0,
) -> Start:
    """Differentiate the loss of classifiers whose weights are ``sd`` times standard normal.

    The net of `normal_network` with an output unit a class. The inputs are standard normals, the
    labels are drawn at random; biases are zero.

    Parameters
    ----------
    activation : str, Activation or callable
        φ of the hidden layers.
    sd : float
        Standard deviation of every weight, output layer included.
    depth, width, inputs, classes : int
        Hidden layers, units in each, input units and output units.
    batch : int
        Number of inputs.
    replicas : int
        Independent nets, each with inputs and labels of its own.
    seed : int
        Of weights, inputs and labels.

    Returns
    -------
    Start

    Raises
    ------
    ValueError, TypeError
        `sd` is not positive, a count is below 1, or the activation is not known.

    Examples
    --------
    >>> start = classifier_at_start("tanh", 1.0, replicas=20)
    >>> rms, typical = (start.statistics[f"delta {name}"] for name in ("rms", "median"))
    >>> bool(np.median(rms[0]) > 1000 * np.median(typical[0]))
    True
    """
    sd = _checks.number("sd", sd, above=0.0)
    depth, width, inputs, classes = counts(depth=depth, width=width, inputs=inputs, classes=classes)
    batch, replicas = counts(batch=batch, replicas=replicas)
    widths = (inputs, *[width] * depth, classes)
    net = network.MLP(
        widths, activation, weights=RandomNormal(stddev=sd), replicas=replicas, seed=seed
    )
    streams = network.replica_generators(seed, replicas, DATA)
    x = np.stack([rng.standard_normal((batch, inputs)) for rng in streams])
    y = np.stack([rng.integers(classes, size=batch) for rng in streams])
    trace = net.forward(x)
    loss, output_gradient = losses.softmax_cross_entropy(trace.output, y)
    gradients = net.backward(trace, output_gradient)
    statistics = probes.layer_statistics(net, trace, gradients)
    return Start(net, trace, gradients, loss, statistics)


def unit_factors(start: Start, layer: int) -> np.ndarray:
    """Return what each unit of a hidden layer makes of the gradient that reaches it.

    ``|δ_lj| / (s ‖δ_{l+1}‖)`` with the standard deviation ``s`` of the weights of layer l + 1.
    What reaches unit j from above, ``Σ_k w_jk δ_k``, is normal with standard deviation
    ``s ‖δ_{l+1}‖`` over the draws of the weights, so the result is like ``|φ′(z_j) ξ|`` with a
    standard normal ξ.

    Parameters
    ----------
    start : Start
    layer : int
        From 1 to the number of hidden layers.

    Returns
    -------
    ndarray, shape (replicas, batch, units)
        Inputs whose gradient above is exactly zero (or underflows) give zeros.

    Raises
    ------
    ValueError, TypeError
        `start` is no `Start`, or has no such hidden layer.

    Examples
    --------
    >>> start = classifier_at_start("tanh", 0.01, replicas=20, batch=10)
    >>> round(float(np.square(unit_factors(start, 3)).mean()), 1)  # φ′ = 1, E[ξ²] = 1
    1.0
    """
    if not isinstance(start, Start):
        _checks.fail("start", "a Start of `classifier_at_start`", start, TypeError)
    layer = _checks.integer("layer", layer, at_least=1, at_most=start.net.depth)
    here, above = (np.abs(delta) for delta in start.gradients.deltas[layer - 1 : layer + 1])
    sd = start.net.weights[layer].std(axis=(-2, -1))[:, None]
    length = sd * np.linalg.norm(above, axis=-1)
    return here / np.where(length > 0, length, np.inf)[..., None]


def first_losses(
    activation: Any,
    output_sds: Sequence[float],
    *,
    weights: Any = "glorot_uniform",
    hidden: Sequence[int] = (50,) * 5,
    replicas: int = 20,
    seed: int = 0,
) -> np.ndarray:
    """Return the loss on the training digits before training, by the scale of the last layer.

    Parameters
    ----------
    activation : str, Activation or callable
        φ of the hidden layers.
    output_sds : sequence of float
        Standard deviations of the normal weights of the output layer, the same draws scaled.
    weights : str, Initializer or callable
        Of the hidden layers.
    hidden : sequence of int
        Their widths.
    replicas, seed : int
        Independent nets, and their seed.

    Returns
    -------
    ndarray, shape (output_sds, replicas)
        Softmax cross-entropy; ln 10 for guessing with equal probabilities.

    Raises
    ------
    ValueError, TypeError
        No scale or one that is not positive; as `MLP` raises them.

    Examples
    --------
    >>> first_losses("tanh", [1e-3, 0.3]).mean(axis=1).round(1).tolist()
    [2.3, 2.5]
    """
    scales = _scales("output_sds", output_sds)
    digits = split_digits().train
    makers = [weights] * len(hidden) + [RandomNormal(stddev=1.0)]
    net = network.MLP(
        (digits.x.shape[1], *hidden, 10), activation, weights=makers, replicas=replicas, seed=seed
    )
    logits = net.predict(digits.x)
    return np.array([losses.softmax_cross_entropy(sd * logits, digits.y)[0] for sd in scales])


class Scales(NamedTuple):
    """What training made of the digits, by the standard deviation of the weights.

    Attributes
    ----------
    sds : ndarray, shape (scales,)
    first_loss, loss, accuracy : ndarray, shape (scales, replicas)
        Training loss before and after training, and accuracy on the digits that were kept apart.
    diverged : ndarray of bool, shape (scales, replicas)
    runs : list of DigitsRun
        One a scale, with the trained nets.
    """

    sds: np.ndarray
    first_loss: np.ndarray
    loss: np.ndarray
    accuracy: np.ndarray
    diverged: np.ndarray
    runs: list

    def table(self, *, coarse: Sequence[float] = (), title: str | None = None) -> Table:
        """Return a row a scale: ``s √n``, the first loss, the accuracy, the nets that diverged.

        Parameters
        ----------
        coarse : sequence of float
            The scales whose training is chaotic, so that rounding errors change the nets: of
            their accuracy only the median is printed, to one digit.
        title : str, optional

        Raises
        ------
        ValueError
            A coarse scale that was not tried.
        """
        for sd in coarse:
            if sd not in self.sds:
                _checks.fail("coarse", f"some of {self.sds.tolist()}", coarse)
        widths = np.array([run.net.widths[1] for run in self.runs])
        accuracy = [
            fmt(np.median(row), ".1f") if sd in coarse else str(spread(row, ".2f"))
            for sd, row in zip(self.sds, self.accuracy)
        ]
        columns = {"sd": self.sds, "sd sqrt(n)": self.sds * np.sqrt(widths)}
        columns |= {"first loss": spread(self.first_loss, ".2g"), "accuracy": accuracy}
        columns |= {"diverged": self.diverged.sum(axis=1)}
        return Table(columns, title=title, formats={"sd sqrt(n)": ".2g"})


def accuracy_over_scales(activation: Any, sds: Sequence[float], **options: Any) -> Scales:
    """Train classifiers of the digits from normal weights of several standard deviations.

    Parameters
    ----------
    activation : str, Activation or callable
        φ of the hidden layers.
    sds : sequence of float
        Standard deviations of all weights.
    **options
        Of `train_on_digits`.

    Returns
    -------
    Scales

    Raises
    ------
    ValueError, TypeError
        No scale, or one that is not positive; as `train_on_digits` raises them.

    Examples
    --------
    >>> found = accuracy_over_scales("tanh", [1e-4, 0.14], epochs=2, replicas=3, hidden=(20,))
    >>> found.accuracy.shape, found.first_loss[0].round(2).tolist()
    ((2, 3), [2.3, 2.3, 2.3])
    """
    scales = _scales("sds", sds)
    runs = [train_on_digits(activation, RandomNormal(stddev=sd), **options) for sd in scales]
    histories = [run.history for run in runs]
    return Scales(
        scales,
        np.array([history.loss[0] for history in histories]),
        np.array([history.loss[-1] for history in histories]),
        np.array([history.validation_accuracy[-1] for history in histories]),
        np.array([history.diverged >= 0 for history in histories]),
        runs,
    )


def largest_curvature(
    net: network.MLP,
    x: np.ndarray,
    y: np.ndarray,
    *,
    loss: str = "softmax_cross_entropy",
    iterations: int = 20,
    step: float = 1e-5,
    seed: int = 0,
) -> np.ndarray:
    """Return the largest eigenvalue of the loss's Hessian by all parameters, replica by replica.

    Lanczos iteration, orthogonalised in full, on products of the Hessian and a vector of length
    1, ``H v ≈ (∇(θ + ε v) - ∇(θ - ε v)) / 2ε`` with ``ε = step · ‖θ‖``. Up to the error of the
    difference the result bounds the eigenvalue from below, the closer the more iterations.

    Parameters
    ----------
    net : MLP
        With replicas. Its parameters are put back as they were.
    x : ndarray, shape (batch, n_0)
    y : ndarray, shape (batch,) of int, or (batch, units)
        Labels, or targets of the squared error.
    loss : {"softmax_cross_entropy", "squared_error"}
    iterations : int
        Products with the Hessian.
    step : float
        Relative to the length of the parameters.
    seed : int
        Of the first vector.

    Returns
    -------
    ndarray, shape (replicas,)

    Raises
    ------
    ValueError, TypeError
        `net` is no `MLP` with replicas, an unknown loss, a count below 1, a `step` that is not
        positive; data that do not fit.

    Examples
    --------
    >>> net = network.MLP((1, 1), weights="zeros", biases="ones", replicas=1)
    >>> x, y = np.array([[2.0], [-2.0]]), np.zeros((2, 1))  # loss: 4 w² + b²
    >>> largest_curvature(net, x, y, loss="squared_error", iterations=2).round(6)
    array([8.])
    """
    if not isinstance(net, network.MLP) or net.replicas is None:
        _checks.fail("net", "an initcore.network.MLP with replicas", net, TypeError)
    loss_function = getattr(losses, _checks.choice("loss", loss, tuple(losses.LOSSES)))
    (iterations,) = counts(iterations=iterations)
    step = _checks.number("step", step, above=0.0)
    parameters = net.parameters()
    origin = _flatten(parameters)
    epsilon = step * np.linalg.norm(origin, axis=1, keepdims=True)

    def gradient(theta: np.ndarray) -> np.ndarray:
        _put(parameters, theta)
        trace = net.forward(x)
        return _flatten(net.backward(trace, loss_function(trace.output, y)[1]).parameters())

    def product(v: np.ndarray) -> np.ndarray:
        return (gradient(origin + epsilon * v) - gradient(origin - epsilon * v)) / (2 * epsilon)

    rng = _checks.generator("seed", seed)
    first = rng.standard_normal(origin.shape[1])
    v = np.broadcast_to(first / np.linalg.norm(first), origin.shape)
    basis, images = [], []
    try:
        for _ in range(min(iterations, origin.shape[1])):
            basis.append(v)
            images.append(product(v))
            v = images[-1]
            for _ in range(2):  # once more, against rounding
                for b in basis:
                    v = v - np.sum(v * b, axis=1, keepdims=True) * b
            length = np.linalg.norm(v, axis=1, keepdims=True)
            v = v / np.where(length > 0, length, np.inf)
    finally:
        _put(parameters, origin)
    projected = np.einsum("irp,jrp->rij", np.stack(basis), np.stack(images))
    return np.linalg.eigvalsh((projected + projected.swapaxes(1, 2)) / 2)[:, -1]


def curvature_over_scales(
    activation: Any,
    sds: Sequence[float],
    *,
    hidden: Sequence[int] = (50,) * 5,
    examples: int = 64,
    replicas: int = 20,
    iterations: int = 10,
    seed: int = 0,
) -> np.ndarray:
    """Return the largest curvature of classifiers of the digits at the start of training.

    Parameters
    ----------
    activation : str, Activation or callable
        φ of the hidden layers.
    sds : sequence of float
        Standard deviations of all weights.
    hidden : sequence of int
        Widths of the hidden layers.
    examples : int
        The loss is that of the first so many training digits.
    replicas, iterations, seed : int
        Independent nets; the rest as in `largest_curvature`.

    Returns
    -------
    ndarray, shape (sds, replicas)

    Raises
    ------
    ValueError, TypeError
        No scale or one that is not positive, a count below 1.

    Examples
    --------
    >>> curvature = curvature_over_scales("relu", [0.2, 0.4], replicas=3, iterations=8)
    >>> bool((curvature[1] > 5 * curvature[0]).all())
    True
    """
    scales = _scales("sds", sds)
    (examples,) = counts(examples=examples)
    digits = split_digits().train
    x, y = digits.x[:examples], digits.y[:examples]
    found = []
    for sd in scales:
        maker = RandomNormal(stddev=sd)
        net = network.MLP(
            (x.shape[1], *hidden, 10), activation, weights=maker, replicas=replicas, seed=seed
        )
        found.append(largest_curvature(net, x, y, iterations=iterations))
    return np.array(found)


def _scales(name: str, sds: Any) -> np.ndarray:
    """Return standard deviations as an array of at least one positive number."""
    sds = _checks.array(name, sds, ndim=1, dtype=np.float64)
    if not len(sds) or (sds <= 0).any():
        _checks.fail(name, "a sequence of at least one positive number", sds)
    return sds


def _flatten(arrays: Sequence[np.ndarray]) -> np.ndarray:
    """Return parameters as one row a replica."""
    return np.concatenate([a.reshape(len(a), -1) for a in arrays], axis=1)


def _put(parameters: Sequence[np.ndarray], theta: np.ndarray) -> None:
    """Write one row a replica back into the parameters."""
    first = 0
    for p in parameters:
        size = p[0].size
        p[...] = theta[:, first : first + size].reshape(p.shape)
        first += size
