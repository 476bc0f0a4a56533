"""Greedy pretraining at work: deep classifiers and deep autoencoders of the digits."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from initcore import _checks, activations, datasets, network, pretraining, training
from initcore.experiments._common import counts
from initcore.experiments.digits import split_digits
from initcore.initializers import RandomNormal, VarianceScaling


class StackStart(NamedTuple):
    """How a deep net starts: its activation, its random weights, and what pretrains them."""

    activation: Any
    weights: Any
    method: str | None = None


STACK_STARTS = {
    "0.01 normal": StackStart("sigmoid", RandomNormal(stddev=0.01)),
    "autoencoder stack": StackStart("sigmoid", RandomNormal(stddev=0.01), "autoencoder"),
    "RBM stack": StackStart("sigmoid", RandomNormal(stddev=0.01), "rbm"),
    "centred sigmoid, gain 4": StackStart("centred_sigmoid", VarianceScaling(16.0, "fan_in")),
    "tanh, Glorot": StackStart("tanh", "glorot_uniform"),
    "ReLU, He": StackStart("relu", "he_normal"),
}
"""The starts that the chapter on pretraining compares, by name."""


PRETRAINING = {
    "autoencoder": training.SGD(0.3, momentum=0.9),
    "rbm": training.SGD(0.3, momentum=0.5),
}
"""What trains each layer of a stack; chosen on the validation digits."""

TUNED = {
    "classifier": {
        "0.01 normal": training.SGD(0.1, momentum=0.9),  # none of those tried learns
        "autoencoder stack": training.SGD(0.1, momentum=0.9),
        "RBM stack": training.SGD(0.1, momentum=0.9),
        "centred sigmoid, gain 4": training.SGD(0.3, momentum=0.9),
        "tanh, Glorot": training.SGD(0.03, momentum=0.9),
        "ReLU, He": training.SGD(0.01, momentum=0.9),
    },
    "autoencoder": {
        "0.01 normal": training.SGD(0.1, momentum=0.9),  # none of those tried learns
        "autoencoder stack": training.SGD(0.3, momentum=0.9),
        "RBM stack": training.SGD(0.3, momentum=0.9),
        "centred sigmoid, gain 4": training.SGD(0.3, momentum=0.9),
    },
    "autoencoder race": {
        "RBM stack": training.Adam(0.01),
        "centred sigmoid, gain 4": training.Adam(0.01),
        "tanh, Glorot": training.SGD(0.03, momentum=0.9),
    },
}
"""The best optimizer of each start by ``benchmarks/tune_pretraining.py``: SGD alone for 15 epochs
of the classifier and 40 of the autoencoder, SGD or Adam for 100 epochs of the race,
in batches of 64."""


class StackRun(NamedTuple):
    """Networks that were pretrained (or not) and fine-tuned, and the digits they saw.

    Attributes
    ----------
    net : MLP
        After the fine-tuning.
    start : MLP
        A copy from before it, pretrained if that was asked for.
    stack : Stack or None
        None without pretraining.
    history : History
        Of the fine-tuning; ``validation_…`` is on the digits to judge by.
    train, test : Dataset
        Pixels from 0 to 1.
    """

    net: network.MLP
    start: network.MLP
    stack: pretraining.Stack | None
    history: training.History
    train: datasets.Dataset
    test: datasets.Dataset


def pixels(part: str = "test") -> datasets.Split:
    """Return the digits of `split_digits` with pixels from 0 (paper) to 1 (ink).

    Examples
    --------
    >>> float(pixels().train.x.max())
    1.0
    """
    split = split_digits(part, standardize=False)
    return datasets.Split(*(datasets.Dataset(x / 16.0, y) for x, y in split))


def deep_classifier(
    start: str,
    *,
    optimizer: Any,
    hidden: Sequence[int] = (64,) * 5,
    epochs: int = 15,
    batch_size: int = 32,
    pretraining_epochs: int = 10,
    pretraining_optimizer: Any = None,
    labels: Callable[[np.ndarray], np.ndarray] | None = None,
    part: str = "test",
    probe: Callable[[network.MLP], Any] | None = None,
    replicas: int = 8,
    seed: int = 0,
    dtype: str = "float32",
) -> StackRun:
    """Train deep classifiers of the digits from one of `STACK_STARTS`.

    Parameters
    ----------
    start : str
        A name in `STACK_STARTS`.
    optimizer : SGD or Adam
        Of the fine-tuning.
    hidden : sequence of int
        Widths of the hidden layers.
    epochs, batch_size : int
        Of the fine-tuning; pretraining has the same batch size.
    pretraining_epochs : int
        For each layer.
    pretraining_optimizer : SGD or Adam, optional
        `PRETRAINING` by default.
    labels : callable, optional
        Changes the labels to train on, for example ``np.random.default_rng(0).permutation``.
    part : {"test", "validation"}
        What the nets are judged on, see `split_digits`.
    probe : callable, optional
        For `pretrain`: called before the first layer is pretrained and after each.
    replicas, seed : int
        Independent nets; they differ in weights, order and sampling, not in the split.
    dtype : {"float32", "float64"}

    Returns
    -------
    StackRun

    Raises
    ------
    ValueError, TypeError
        An unknown start, or as `MLP`, `pretrain` and `fit` raise them.

    Examples
    --------
    >>> run = deep_classifier("RBM stack", optimizer="sgd", hidden=(8,), epochs=1, replicas=2,
    ...                       pretraining_epochs=1)
    >>> run.stack, run.history.validation_accuracy.shape
    (Stack('rbm', 64-8), (2, 2))
    """
    _checks.choice("start", start, tuple(STACK_STARTS))
    train, test = pixels(part)
    y = train.y if labels is None else labels(train.y)
    options = {"replicas": replicas, "seed": seed, "dtype": dtype}
    how = STACK_STARTS[start]
    net = network.MLP((64, *hidden, 10), how.activation, weights=how.weights, **options)
    stack = None
    if how.method is not None:
        stack = pretraining.pretrain(
            net,
            train.x,
            method=how.method,
            optimizer=pretraining_optimizer or PRETRAINING[how.method],
            epochs=pretraining_epochs,
            batch_size=batch_size,
            seed=seed,
            probe=probe,
        )
    before = copy.deepcopy(net)
    history = training.fit(
        net,
        train.x,
        y,
        optimizer=optimizer,
        epochs=epochs,
        batch_size=batch_size,
        seed=seed,
        validation=(test.x, test.y),
    )
    return StackRun(net, before, stack, history, train, test)


def deep_autoencoder(
    start: str,
    *,
    optimizer: Any,
    encoder: Sequence[int] = (100, 50, 25, 6),
    epochs: int = 40,
    batch_size: int = 32,
    pretraining_epochs: int = 10,
    pretraining_batch_size: int = 32,
    pretraining_optimizer: Any = None,
    part: str = "test",
    replicas: int = 8,
    seed: int = 0,
    dtype: str = "float32",
) -> StackRun:
    """Train deep autoencoders of the digits from one of `STACK_STARTS`.

    The encoder's widths, mirrored, are the decoder's; all layers have the start's activation but
    the last, which is a sigmoid, as pixels go from 0 to 1. What is minimised, and recorded, is the
    squared error an image: summed over the pixels, averaged over the images.

    Parameters
    ----------
    encoder : sequence of int
        Widths from the first hidden layer to the code.
    pretraining_batch_size : int
        Of the pretraining, whatever that of the fine-tuning is.
    start, optimizer, epochs, batch_size, pretraining_epochs, pretraining_optimizer, part, \
replicas, seed, dtype
        As for `deep_classifier`.

    Returns
    -------
    StackRun

    Raises
    ------
    ValueError, TypeError
        An unknown start, or as `MLP`, `pretrain` and `fit` raise them.

    Examples
    --------
    >>> run = deep_autoencoder("tanh, Glorot", optimizer="sgd", encoder=(8, 2), epochs=1)
    >>> run.net.widths
    (64, 8, 2, 8, 64)
    """
    _checks.choice("start", start, tuple(STACK_STARTS))
    train, test = pixels(part)
    how = STACK_STARTS[start]
    net = network.MLP(
        (64, *encoder, *encoder[-2::-1], 64),
        how.activation,
        weights=how.weights,
        output_activation="sigmoid",
        replicas=replicas,
        seed=seed,
        dtype=dtype,
    )
    stack = None
    if how.method is not None:
        stack = pretraining.pretrain(
            net,
            train.x,
            method=how.method,
            optimizer=pretraining_optimizer or PRETRAINING[how.method],
            epochs=pretraining_epochs,
            batch_size=pretraining_batch_size,
            layers=len(encoder),
            seed=seed,
        )
        pretraining.unroll(net, stack)
    before = copy.deepcopy(net)
    history = training.fit(
        net,
        train.x,
        train.x,
        loss="squared_error",
        optimizer=optimizer,
        epochs=epochs,
        batch_size=batch_size,
        seed=seed,
        validation=(test.x, test.x),
    )
    return StackRun(net, before, stack, history, train, test)


def mean_image_error(train: np.ndarray, test: np.ndarray) -> float:
    """Return the squared error an image if each is replaced by the mean training image.

    Parameters
    ----------
    train, test : ndarray, shape (images, pixels)

    Examples
    --------
    >>> mean_image_error([[0.0, 0.0], [2.0, 0.0]], [[1.0, 3.0]])
    9.0
    """
    return pca_error(train, test, 0)


def pca_error(train: np.ndarray, test: np.ndarray, components: int) -> float:
    """Return the squared error an image of a reconstruction from principal components.

    ``mean Σ (x - m - (x - m) U Uᵀ)²`` with the mean m and the first principal directions U of the
    training images: the best that any linear autoencoder with a code this long can do on them.

    Parameters
    ----------
    train, test : array_like, shape (images, pixels)
    components : int
        Length of the code, from 0 (the mean image) to the number of pixels.

    Raises
    ------
    ValueError, TypeError
        Images of different sizes, or `components` out of range.

    Examples
    --------
    >>> line = np.outer([-1.0, 0.0, 1.0], [3.0, 4.0])
    >>> round(pca_error(line, line, 0), 6), round(pca_error(line, line, 1), 6)
    (16.666667, 0.0)
    """
    return float(np.square(test - pca_reconstruction(train, test, components)).sum(axis=1).mean())


def pca_reconstruction(train: np.ndarray, images: np.ndarray, components: int) -> np.ndarray:
    """Return images as the first principal components of the training images have them.

    Parameters and errors are those of `pca_error`; the result has the shape of `images`.
    """
    train = _checks.array("train", train, ndim=2, dtype=np.float64)
    images = _checks.array("images", images, ndim=2, dtype=np.float64)
    if images.shape[1] != train.shape[1]:
        _checks.fail("images", f"an array with {train.shape[1]} columns", images)
    components = _checks.integer("components", components, at_least=0, at_most=train.shape[1])
    mean = train.mean(axis=0)
    directions = np.linalg.svd(train - mean, full_matrices=False)[2][:components]
    return mean + (images - mean) @ directions.T @ directions


def noisy_readout(
    activations: np.ndarray, images: np.ndarray, noise: Any = 0.0
) -> tuple[np.ndarray, np.ndarray]:
    """Return the linear map that brings images back from activations seen with noise.

    ``B, c`` minimise ``mean ‖x - (a + ε) B - c‖²`` over the images and over ε, independent normals
    of standard deviation `noise`: least squares, and with noise a ridge regression with the
    penalty ``n noise²`` for n images. What is far below the noise cannot be read; without noise
    it can, however small.

    Parameters
    ----------
    activations : array_like, shape ([replicas,] n, units)
        Of one layer, for n images.
    images : array_like, shape (n, pixels)
    noise : float or sequence of float
        At least 0; several share most of the work.

    Returns
    -------
    B : ndarray, shape ([noises,] [replicas,] units, pixels)
    c : ndarray, shape ([noises,] [replicas,] 1, pixels)

    Raises
    ------
    ValueError, TypeError
        Not as many activations as images, or negative noise.

    Examples
    --------
    >>> a, x = np.array([[1.0], [3.0]]), np.array([[10.0], [30.0]])
    >>> [float(part.squeeze().round(6)) for part in noisy_readout(a, x)]
    [10.0, 0.0]
    >>> [float(part.squeeze().round(6)) for part in noisy_readout(a, x, noise=1.0)]
    [5.0, 10.0]
    """
    images = _checks.array("images", images, ndim=2, dtype=np.float64)
    a = np.asarray(activations, dtype=np.float64)
    if a.ndim < 2 or a.shape[-2] != len(images):
        _checks.fail("activations", f"an array with {len(images)} rows", activations)
    noise = _checks.array("noise", noise, dtype=np.float64)
    if noise.min() < 0:
        _checks.fail("noise", "at least 0", noise)
    mean, target = a.mean(axis=-2, keepdims=True), images.mean(axis=0)
    u, s, vt = np.linalg.svd(a - mean, full_matrices=False)
    seen = s > s[..., :1] * len(images) * np.finfo(float).eps  # the rest is rounding
    square = s**2 + len(images) * noise.reshape(noise.shape + (1,) * s.ndim) ** 2
    factor = np.divide(s, square, out=np.zeros_like(square), where=seen)
    B = vt.swapaxes(-1, -2) @ (factor[..., None] * (u.swapaxes(-1, -2) @ (images - target)))
    return B, target - mean @ B


def second_layer_errors(
    *,
    widths: Sequence[int] = (64, 100, 50),
    epochs: int = 5,
    replicas: int = 8,
    seed: int = 0,
) -> dict[str, np.ndarray]:
    """Return how well a second RBM, trained on one thing or another, reconstructs activations.

    The first RBM learns from the digits. The second learns from its activations, or from its
    weights, which have to be squeezed between 0 and 1 first and are one row a *pixel*, in as many
    steps; or from nothing. It is then judged by the squared error of its reconstruction of the
    first layer's activations on the test digits.

    Parameters
    ----------
    widths : sequence of three int
        Pixels, and units of the two layers.
    epochs, replicas, seed : int

    Returns
    -------
    dict of str to ndarray, shape (replicas,)
        The errors by what the second layer learnt from.

    Examples
    --------
    >>> {name: error.shape for name, error in second_layer_errors(epochs=1, replicas=2).items()}
    {'activations': (2,), 'weights': (2,), 'nothing': (2,)}
    """
    epochs, replicas = counts(epochs=epochs, replicas=replicas)
    train, test = pixels()
    common = {"replicas": replicas, "weights": RandomNormal(stddev=0.01), "dtype": "float32"}
    options = {"method": "rbm", "optimizer": PRETRAINING["rbm"], "layers": 1, "seed": seed}
    first = network.MLP(widths[:2], "sigmoid", output_activation="sigmoid", seed=seed, **common)
    pretraining.pretrain(first, train.x, epochs=epochs, **options)
    codes = first.predict(test.x)
    data = {
        "activations": first.predict(train.x),
        "weights": activations.sigmoid(first.weights[0]),
        "nothing": None,
    }
    found = {}
    for name, x in data.items():
        second = network.MLP(widths[1:], "sigmoid", seed=seed + 1, **common)
        W, b, visible = second.weights[0], second.biases[0], np.zeros((replicas, widths[1]))
        if x is not None:
            batches = [-(-rows // 32) for rows in (len(train.x), x.shape[-2])]
            passes = round(epochs * batches[0] / batches[1])  # as many steps, however few the rows
            stack = pretraining.pretrain(second, x, epochs=passes, **options)
            visible = stack.decoder_biases[0]
        hidden = activations.sigmoid(codes @ W + b[:, None])
        back = activations.sigmoid(hidden @ W.swapaxes(-1, -2) + visible[:, None])
        found[name] = np.square(back - codes).sum(axis=-1).mean(axis=-1)
    return found


def cd1_cosines(
    sd: float,
    *,
    visible: int = 6,
    hidden: int = 4,
    patterns: int = 8,
    repeats: int = 500,
    replicas: int = 20,
    seed: int = 0,
) -> tuple[np.ndarray, np.ndarray]:
    """Compare the CD-1 step of small RBMs with two gradients it is taken for.

    The machines are so small that the exact gradient of the log-likelihood is a sum over all
    their states. Their weights are ``sd`` times standard normal, their biases 0, and the data
    random binary patterns.

    Parameters
    ----------
    sd : float
        Standard deviation of the weights.
    visible, hidden, patterns : int
        Units, and examples.
    repeats : int
        How often each pattern is taken, so that the noise of sampling averages out.
    replicas, seed : int
        Independent machines and data.

    Returns
    -------
    with_likelihood, with_error : ndarray, shape (replicas,)
        The cosine between the CD-1 step of the weights and the direction in which the
        log-likelihood rises fastest, and that in which the squared error of the (mean-field)
        reconstruction falls fastest.

    Examples
    --------
    >>> likelihood, error = cd1_cosines(0.1, replicas=3, repeats=20)
    >>> bool((likelihood > 0.9).all())
    True
    """
    sd = _checks.number("sd", sd, above=0.0)
    sizes = counts(visible=visible, hidden=hidden, patterns=patterns, repeats=repeats)
    visible, hidden, patterns, repeats = sizes
    v_all, h_all = (np.array(list(itertools.product([0.0, 1.0], repeat=n))) for n in sizes[:2])
    found = []
    for rng in network.replica_generators(seed, counts(replicas=replicas)[0]):
        W, b, c = sd * rng.standard_normal((visible, hidden)), np.zeros(hidden), np.zeros(visible)
        v = (rng.random((patterns, visible)) < 0.5).astype(float)
        uniform = rng.random((patterns * repeats, hidden))
        step = pretraining.contrastive_divergence(np.tile(v, (repeats, 1)), W, b, c, uniform)
        p = np.exp(-pretraining.energy(v_all[:, None], h_all, W, b, c))
        of_model = v_all.T @ (p / p.sum()) @ h_all
        likelihood = v.T @ activations.sigmoid(v @ W) / patterns - of_model
        rbm = network.MLP((visible, hidden, visible), "sigmoid", output_activation="sigmoid")
        rbm.weights[:] = W, W.T.copy()
        trace = rbm.forward(v)
        gradients = rbm.backward(trace, 2 * (trace.output - v) / patterns).weights
        fall = -(gradients[0] + gradients[1].T)  # the two matrices are one, transposed
        found.append([_cosine(-step[0][0], other) for other in (likelihood, fall)])
    with_likelihood, with_error = np.transpose(found)
    return with_likelihood, with_error


def _cosine(a: np.ndarray, b: np.ndarray) -> float:
    return float((a * b).sum() / np.sqrt((a**2).sum() * (b**2).sum()))


def smoothness(weights: np.ndarray) -> np.ndarray:
    """Return the correlation between the weights of neighbouring pixels.

    Parameters
    ----------
    weights : array_like, shape (replicas, side · side, units)
        Of a first layer; a unit's weights form a square picture.

    Returns
    -------
    ndarray, shape (replicas,)
        0 for independent weights, 1 where each picture is a constant of its own.

    Examples
    --------
    >>> ramp = np.arange(16.0).reshape(1, 16, 1)
    >>> smoothness(ramp).round(2)
    array([0.93])
    """
    weights = _checks.array("weights", weights, ndim=3)
    side = round(np.sqrt(weights.shape[1]))
    if side * side != weights.shape[1] or side < 2:
        _checks.fail("weights", "of square pictures with more than one pixel", weights)
    pictures = weights.reshape(len(weights), side, side, -1)
    neighbours = [
        np.concatenate([part.reshape(len(weights), -1) for part in parts], axis=1)
        for parts in (
            (pictures[:, :, :-1], pictures[:, :-1]),
            (pictures[:, :, 1:], pictures[:, 1:]),
        )
    ]
    return np.array([np.corrcoef(one, other)[0, 1] for one, other in zip(*neighbours)])
