"""Batch normalisation and LSUV: what they make of the scale of the weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from initcore import _checks, initializers, losses, network, probes, training
from initcore.blocks import BatchNormMLP
from initcore.experiments._common import counts
from initcore.experiments.digits import fit_on_digits, split_digits

HIDDEN = (50,) * 5
TRAINED = (32,) * 4


class ScaleRun(NamedTuple):
    """Trained classifiers from several scales of the weights; one row a scale.

    Attributes
    ----------
    accuracy, start_loss : ndarray, shape (scales, replicas)
        On the digits to judge by, after training; and on those to train on, before it.
    rms_before, rms_after : ndarray, shape (scales, replicas)
        Root mean square of the weights of all hidden layers.
    diverged : ndarray of bool, shape (scales, replicas)
    """

    accuracy: np.ndarray
    start_loss: np.ndarray
    rms_before: np.ndarray
    rms_after: np.ndarray
    diverged: np.ndarray


class DeepRun(NamedTuple):
    """A deep classifier at its start, and how well it did.

    Attributes
    ----------
    trace : Trace
        Of the digits to judge by, before training.
    std, across : ndarray, shape (hidden layers, replicas)
        Spread of the pre-activations before training: pooled, and across inputs.
    accuracy : ndarray, shape (replicas,)
        On the digits to judge by, after training.
    """

    trace: network.Trace
    std: np.ndarray
    across: np.ndarray
    accuracy: np.ndarray


def scaled_weights(
    factors: Sequence[float], *, epsilon: float = 0.0, replicas: int = 20, seed: int = 0
) -> dict[str, np.ndarray]:
    """Multiply the hidden weights of batch-normalised nets by k, and see what changes.

    Nets of five tanh layers of 50 from Glorot's scale, on 200 digits.

    Parameters
    ----------
    factors : sequence of float
        The k, each positive.
    epsilon : float
        ε of the normalisation.
    replicas, seed : int
        Independent nets, and the seed of their weights.

    Returns
    -------
    dict of str to ndarray, shape (factors, replicas)
        ``output change``: the largest change of an output, over the largest output;
        ``gradient``: the norm of the gradient by the hidden weights, over that at k = 1;
        ``relative step``: gradient over weights, the same; ``radial``: the largest cosine, in
        absolute value, between a unit's incoming weights and their gradient.

    Raises
    ------
    ValueError, TypeError
        A factor that is not positive, or what `BatchNormMLP` raises.

    Examples
    --------
    >>> scaled_weights([10.0], replicas=2)["gradient"].round(6).tolist()
    [[0.1, 0.1]]
    """
    factors = [_checks.number("factors", k, above=0.0) for k in factors]
    (replicas,) = counts(replicas=replicas)
    digits = split_digits().train
    x, y = digits.x[:200], digits.y[:200]
    net = BatchNormMLP((64, *HIDDEN, 10), epsilon=epsilon, replicas=replicas, seed=seed)
    start = [W.copy() for W in net.weights]
    rows = []
    for k in (1.0, *factors):
        for W, W_1 in zip(net.weights[:-1], start):
            W[...] = k * W_1
        trace = net.forward(x)
        _, by_output = losses.softmax_cross_entropy(trace.output, np.tile(y, (replicas, 1)))
        gradients = net.backward(trace, by_output).weights[:-1]
        pairs = list(zip(net.weights, gradients))
        radial = [_cosine(W, dW).max(axis=-1) for W, dW in pairs]
        norm = np.sqrt(sum(np.square(dW).sum(axis=(1, 2)) for _, dW in pairs))
        rows.append((trace.output, norm, np.max(radial, axis=0)))
    output, norm, _ = rows[0]
    size = np.abs(output).max(axis=(1, 2))
    gradient = np.array([row[1] / norm for row in rows[1:]])
    return {
        "output change": np.array(
            [np.abs(row[0] - output).max(axis=(1, 2)) / size for row in rows[1:]]
        ),
        "gradient": gradient,
        "relative step": gradient / np.array(factors)[:, None],
        "radial": np.array([row[2] for row in rows[1:]]),
    }


def _cosine(W: np.ndarray, dW: np.ndarray) -> np.ndarray:
    """Return |cosine| of each unit's incoming weights with their gradient."""
    lengths = np.linalg.norm(W, axis=1) * np.linalg.norm(dW, axis=1)
    return np.abs((W * dW).sum(axis=1)) / np.where(lengths > 0, lengths, 1.0)


def one_step(factor: float, rate: float, *, seed: int = 0) -> np.ndarray:
    """Return a batch-normalised net's outputs after one gradient step on its hidden weights.

    A net 64-50-50-10 of tanh layers with ε = 0, on 100 digits; only hidden weights are moved.

    Parameters
    ----------
    factor : float
        By which the hidden weights are multiplied before the step.
    rate : float
        Learning rate of the step.
    seed : int
        Of the weights.

    Returns
    -------
    ndarray, shape (100, 10)

    Raises
    ------
    ValueError, TypeError
        `factor` or `rate` not positive.

    Examples
    --------
    >>> one_step(1.0, 0.5).shape
    (100, 10)
    """
    factor = _checks.number("factor", factor, above=0.0)
    rate = _checks.number("rate", rate, above=0.0)
    digits = split_digits().train
    x, y = digits.x[:100], digits.y[:100]
    net = BatchNormMLP((64, 50, 50, 10), epsilon=0.0, seed=seed)
    for W in net.weights[:-1]:
        W *= factor
    trace = net.forward(x)
    gradients = net.backward(trace, losses.softmax_cross_entropy(trace.output, y)[1])
    for W, dW in zip(net.weights[:-1], gradients.weights):
        W -= rate * dW
    return net.forward(x).output


def normalised_spread(
    sds: Sequence[float], *, epsilon: float, replicas: int = 20, seed: int = 0
) -> np.ndarray:
    """Return what batch normalisation makes of the spread, layer by layer, with its ε.

    Nets of five tanh layers of 50, on 200 digits.

    Parameters
    ----------
    sds : sequence of float
        Standard deviations of the hidden weights, each positive.
    epsilon : float
        ε of the normalisation.
    replicas, seed : int
        Independent nets, and the seed of their weights.

    Returns
    -------
    ndarray, shape (sds, layers, replicas)
        Standard deviation of û over the batch, averaged over the units; 1 if ε is negligible.

    Raises
    ------
    ValueError, TypeError
        A standard deviation that is not positive, or what `BatchNormMLP` raises.

    Examples
    --------
    >>> normalised_spread([1.0], epsilon=1e-5, replicas=1).round(2).ravel().tolist()
    [1.0, 1.0, 1.0, 1.0, 1.0]
    """
    x = split_digits().train.x[:200]
    found = []
    for sd in sds:
        weights = initializers.RandomNormal(stddev=_checks.number("sds", sd, above=0.0))
        widths = (64, *HIDDEN, 10)
        net = BatchNormMLP(widths, weights=weights, epsilon=epsilon, replicas=replicas, seed=seed)
        normalised = net.forward(x).normalised[:-1]
        found.append([probes.std_across_inputs(u) for u in normalised])
    return np.array(found)


def train_scales(
    sds: Sequence[float],
    *,
    output_sds: Sequence[float] | None = None,
    normalise: bool = True,
    activation: Any = "relu",
    hidden: Sequence[int] = TRAINED,
    rate: float = 0.02,
    epochs: int = 10,
    part: str = "test",
    replicas: int = 8,
    seed: int = 0,
) -> ScaleRun:
    """Train classifiers of the digits from normal weights of several scales, side by side.

    All scales multiply the same standard normals. SGD with momentum 0.9, 32 digits a step.

    Parameters
    ----------
    sds : sequence of float
        Standard deviations of the hidden weights, each positive.
    output_sds : sequence of float, optional
        Those of the output layer, as many; the same as `sds` by default.
    normalise : bool
        Whether the hidden layers are batch-normalised.
    activation, hidden
        φ and widths of the hidden layers.
    rate, epochs
        Learning rate, and passes over the digits.
    part : {"test", "validation"}
        As for `train_on_digits`.
    replicas, seed : int
        Independent nets a scale, and the seed of weights and order.

    Returns
    -------
    ScaleRun

    Raises
    ------
    ValueError, TypeError
        Scales that are not positive or not as many, and what `MLP` and `fit` raise.
    """
    sds = [_checks.number("sds", sd, above=0.0) for sd in sds]
    outer = sds if output_sds is None else list(output_sds)
    outer = [_checks.number("output_sds", sd, above=0.0) for sd in outer]
    if len(outer) != len(sds):
        _checks.fail("output_sds", f"a sequence of {len(sds)} numbers", output_sds)
    (replicas,) = counts(replicas=replicas)
    kind = BatchNormMLP if _checks.flag("normalise", normalise) else network.MLP
    widths = (64, *hidden, 10)
    unit = kind(
        widths,
        activation,
        weights=initializers.RandomNormal(stddev=1.0),
        replicas=replicas,
        seed=seed,
    )
    net = kind(widths, activation, weights="zeros", replicas=replicas * len(sds))
    for layer, (W, W_1) in enumerate(zip(net.weights, unit.weights)):
        scales = np.array(sds if layer < net.depth else outer)
        W[...] = (W_1[:, None] * scales[:, None, None]).reshape(W.shape)  # replica by replica

    def rms() -> np.ndarray:
        squares = [np.square(W).sum(axis=(1, 2)) for W in net.weights[:-1]]
        return np.sqrt(sum(squares) / sum(W[0].size for W in net.weights[:-1]))

    before = rms()
    history = fit_on_digits(
        net, optimizer=training.SGD(rate, momentum=0.9), epochs=epochs, part=part, seed=seed
    ).history
    columns = (
        history.validation_accuracy[-1],
        history.loss[0],
        before,
        rms(),
        history.diverged >= 0,
    )
    return ScaleRun(*(values.reshape(replicas, len(sds)).T for values in columns))


def train_constant(
    value: float, *, noise: float = 0.0, epochs: int = 4, replicas: int = 8, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Train batch-normalised nets whose weights all have one value.

    Five tanh layers of 50, biases of zero; SGD with rate 0.02 and momentum 0.9, 32 digits a step.

    Parameters
    ----------
    value : float
        Of all weights, the output layer's included.
    noise : float
        Standard deviation of a normal number that is added to each weight.
    epochs, replicas, seed : int
        Passes over the digits, independent nets, and their seed.

    Returns
    -------
    distinct : ndarray of int, shape (hidden layers, replicas)
        Distinct units after training.
    accuracy : ndarray, shape (replicas,)
        On the test digits.

    Raises
    ------
    ValueError, TypeError
        What `MLP` and `fit` raise.
    """
    if noise:
        weights: Any = initializers.RandomNormal(mean=value, stddev=noise)
    else:
        weights = initializers.Constant(value)
    net = BatchNormMLP((64, *HIDDEN, 10), weights=weights, replicas=replicas, seed=seed)
    history = fit_on_digits(
        net, optimizer=training.SGD(0.02, momentum=0.9), epochs=epochs, seed=seed
    ).history
    pairs = zip(net.weights[:-1], net.biases)
    return np.array([probes.distinct_units(W, b) for W, b in pairs]), history.validation_accuracy[
        -1
    ]


def lsuv(net: network.MLP, x: np.ndarray) -> network.MLP:
    """Rescale a network's layers, first to last, to pre-activations of variance 1 (in place).

    ``W ← W / std(z)``, with the standard deviation over all inputs and units of the layer: the
    second step of Mishkin and Matas (2016); the first one are orthogonal weights. With biases of
    zero, one division a layer is exact. The output layer is left as it is.

    Parameters
    ----------
    net : MLP
        Changed in place.
    x : array_like, shape (batch, n_0)
        The inputs to measure by.

    Returns
    -------
    MLP
        The same object.

    Raises
    ------
    ValueError
        A layer whose pre-activations do not vary at all.

    Examples
    --------
    >>> net = lsuv(network.MLP((3, 40, 40, 2), "relu"), np.eye(3))
    >>> [round(float(z.std()), 6) for z in net.forward(np.eye(3)).pre_activations[:-1]]
    [1.0, 1.0]
    """
    for layer in range(net.depth):
        std = np.asarray(probes.pooled_std(net.forward(x).pre_activations[layer]))
        if not (std > 0).all():
            _checks.fail("net", f"one whose layer {layer + 1} tells the inputs apart", net)
        net.weights[layer] /= std[..., None, None]
    return net


DEEP_STARTS = ("lsuv", "batch norm")


def train_deep(
    start: str,
    activation: Any = "sigmoid",
    *,
    depth: int = 10,
    width: int = 32,
    rate: float = 0.05,
    epochs: int = 5,
    part: str = "test",
    replicas: int = 8,
    seed: int = 0,
) -> DeepRun:
    """Train deep classifiers of the digits after LSUV, or with batch normalisation.

    Both start from orthogonal weights; the output layer is Glorot's. SGD with momentum 0.9, 32
    digits a step.

    Parameters
    ----------
    start : {"lsuv", "batch norm"}
    activation : str, Activation or callable
        φ of the hidden layers.
    depth, width : int
        Hidden layers and their units.
    rate, epochs
        Learning rate, and passes over the digits.
    part : {"test", "validation"}
        As for `train_on_digits`.
    replicas, seed : int
        Independent nets, and the seed of weights and order.

    Returns
    -------
    DeepRun

    Raises
    ------
    ValueError, TypeError
        An unknown start, a count below 1, and what `MLP` and `fit` raise.
    """
    _checks.choice("start", start, DEEP_STARTS)
    depth, width = counts(depth=depth, width=width)
    train, test = split_digits(part)
    kind = network.MLP if start == "lsuv" else BatchNormMLP
    weights = ["orthogonal"] * depth + ["glorot_uniform"]
    widths = (64, *[width] * depth, 10)
    net = kind(widths, activation, weights=weights, replicas=replicas, seed=seed)
    if start == "lsuv":
        lsuv(net, train.x)
    trace = net.forward(test.x)
    z = trace.pre_activations[:-1]
    history = fit_on_digits(
        net, optimizer=training.SGD(rate, momentum=0.9), epochs=epochs, part=part, seed=seed
    ).history
    return DeepRun(
        trace,
        np.array([probes.pooled_std(layer) for layer in z]),
        np.array([probes.std_across_inputs(layer) for layer in z]),
        history.validation_accuracy[-1],
    )
