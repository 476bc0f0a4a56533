"""Residual branches: how the stream grows, which starts of a branch learn, orthogonal products."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from initcore import _checks, activations, initializers, losses, network, probes, training
from initcore.blocks import ResidualMLP
from initcore.experiments._common import counts
from initcore.experiments.digits import fit_on_digits, split_digits


def residual_stream(
    branch_scales: Mapping[str, float],
    *,
    blocks: int,
    normalise: bool = False,
    width: int = 100,
    activation: Any = "relu",
    replicas: int = 50,
    seed: int = 0,
) -> dict[str, np.ndarray]:
    """Follow the mean square of the stream through ``h + α φ(h W) W'``, block by block.

    W has variance 2/n (He) and W' variance 1/n, so that a ReLU branch hands on the mean square
    of its input. The cases share their draws; two layers are in memory at a time.

    Parameters
    ----------
    branch_scales : mapping of str to float
        α of each case.
    blocks, width : int
        Blocks, and units of stream and branch (n).
    normalise : bool
        Whether a branch sees the stream divided by its root mean square.
    activation : str, Activation or callable
        φ of the branches.
    replicas, seed : int
        Independent nets with one standard normal input each, and the seed.

    Returns
    -------
    dict of str to ndarray, shape (blocks + 1, replicas)
        Mean square of the stream over that of the input; row 0 is 1.

    Raises
    ------
    ValueError, TypeError
        No case, a scale that is no number, a count below 1, an unknown activation.

    Examples
    --------
    >>> found = residual_stream({"none": 0.0, "plain": 1.0}, blocks=2, replicas=200)
    >>> found["none"].max(axis=1).tolist(), found["plain"].mean(axis=1).round().tolist()
    ([1.0, 1.0, 1.0], [1.0, 2.0, 4.0])
    """
    if not branch_scales:
        _checks.fail("branch_scales", "a mapping with at least one case", branch_scales)
    scales = {name: _checks.number(f"scale of {name!r}", a) for name, a in branch_scales.items()}
    count, width, replicas = counts(blocks=blocks, width=width, replicas=replicas)
    phi, normalise = activations.get(activation), _checks.flag("normalise", normalise)
    rng = _checks.generator("seed", seed)
    h = dict.fromkeys(scales, rng.standard_normal((replicas, 1, width)))
    q = {name: [probes.mean_square(h[name])] for name in scales}
    for _ in range(count):
        W = rng.standard_normal((2, replicas, width, width)) / np.sqrt(width)
        for name, alpha in scales.items():
            seen = h[name]
            if normalise:
                seen = seen / np.sqrt(np.square(seen).mean(axis=-1, keepdims=True))
            h[name] = h[name] + alpha * (phi(np.sqrt(2) * (seen @ W[0])) @ W[1])
            q[name].append(probes.mean_square(h[name]))
    return {name: np.array(rows) / rows[0] for name, rows in q.items()}


RESIDUAL_STARTS: dict[str, dict[str, Any]] = {
    "plain": {},
    "scaled by 1/sqrt(L)": {"branch_scale": "1/sqrt(L)"},
    "zero last weights": {"last": "zeros"},
    "normalised": {"normalise": True},
    "zero gamma": {"normalise": True, "scales": "zeros"},
    "zero last weights, constant first": {"first": initializers.Constant(0.05), "last": "zeros"},
    "all zero": {"first": "zeros", "last": "zeros"},
}
"""By name: how the branches of a residual net start; He and LeCun where nothing is said."""


def residual_net(
    start: str, *, blocks: int, width: int = 32, replicas: int = 8, seed: int = 0
) -> ResidualMLP:
    """Return residual classifiers of the digits whose branches start in one of several ways.

    Parameters
    ----------
    start : str
        One of `RESIDUAL_STARTS`.
    blocks, width : int
        Blocks of two layers, and units of stream and branches.
    replicas, seed : int
        Independent nets, and the seed of their weights.

    Returns
    -------
    ResidualMLP

    Raises
    ------
    ValueError, TypeError
        An unknown start, or a count below 1.

    Examples
    --------
    >>> net = residual_net("zero last weights", blocks=2)
    >>> [bool((W == 0).all()) for W in net.weights]
    [False, False, True, False, True, False]
    """
    options = dict(RESIDUAL_STARTS[_checks.choice("start", start, tuple(RESIDUAL_STARTS))])
    (count,) = counts(blocks=blocks)
    branch = [options.pop("first", "he_normal"), options.pop("last", "lecun_normal")]
    if "branch_scale" in options:
        options["branch_scale"] = count**-0.5
    return ResidualMLP(
        (64, width, 10),
        "relu",
        blocks=count,
        weights=["lecun_normal", *branch * count, "glorot_uniform"],
        replicas=replicas,
        seed=seed,
        **options,
    )


def first_steps(
    start: str,
    *,
    steps: int = 3,
    blocks: int = 3,
    rate: float = 0.1,
    replicas: int = 20,
    seed: int = 0,
) -> dict[str, np.ndarray]:
    """Take a few plain gradient steps on one batch of 200 digits, and look at the first branch.

    Parameters
    ----------
    start : str
        One of `RESIDUAL_STARTS`.
    steps, blocks : int
        Steps, and blocks of the net.
    rate : float
        Learning rate.
    replicas, seed : int
        Independent nets, and the seed of their weights.

    Returns
    -------
    dict of str to ndarray, shape (steps, replicas)
        ``first``, ``last`` and ``scale``: norms of the gradient by the branch's first and last
        weights and by γ (0 where there is none) at each step; ``distinct``: hidden units of the
        branch that differ in their incoming or outgoing weights, after the step.

    Raises
    ------
    ValueError, TypeError
        As `residual_net`.
    """
    steps, replicas = counts(steps=steps, replicas=replicas)
    net = residual_net(start, blocks=blocks, replicas=replicas, seed=seed)
    digits = split_digits().train
    x, y = digits.x[:200], np.tile(digits.y[:200], (replicas, 1))
    found: dict[str, list] = {"first": [], "last": [], "scale": [], "distinct": []}
    for _ in range(steps):
        trace = net.forward(x)
        gradients = net.backward(trace, losses.softmax_cross_entropy(trace.output, y)[1])
        found["first"].append(probes.gradient_norm(gradients.weights[1]))
        found["last"].append(probes.gradient_norm(gradients.weights[2]))
        scale = gradients.scales[0] if gradients.scales else np.zeros((replicas, 1))
        found["scale"].append(np.linalg.norm(scale, axis=-1))
        for parameter, gradient in zip(net.parameters(), gradients.parameters()):
            parameter -= rate * gradient
        both = np.concatenate([net.weights[1], net.weights[2].swapaxes(1, 2)], axis=1)
        found["distinct"].append(probes.distinct_units(both))
    return {name: np.array(rows) for name, rows in found.items()}


def train_residual(
    start: str,
    *,
    blocks: int = 20,
    width: int = 32,
    rate: float = 0.01,
    epochs: int = 2,
    part: str = "test",
    replicas: int = 8,
    seed: int = 0,
) -> training.History:
    """Train deep residual classifiers of the digits from one kind of start.

    SGD with momentum 0.9, 32 digits a step.

    Parameters
    ----------
    start : str
        One of `RESIDUAL_STARTS`.
    blocks, width : int
        Blocks of two layers, and units of stream and branches.
    rate, epochs
        Learning rate, and passes over the digits.
    part : {"test", "validation"}
        As for `train_on_digits`.
    replicas, seed : int
        Independent nets, and the seed of weights and order.

    Returns
    -------
    History

    Raises
    ------
    ValueError, TypeError
        As `residual_net` and `fit`.
    """
    net = residual_net(start, blocks=blocks, width=width, replicas=replicas, seed=seed)
    return fit_on_digits(
        net, optimizer=training.SGD(rate, momentum=0.9), epochs=epochs, part=part, seed=seed
    ).history


def gpt2_branch(
    width: int, *, sd: float = 0.02, batch: int = 20, units: int = 100, replicas: int = 20, seed=0
) -> np.ndarray:
    """Return the mean square that a GPT-2-like MLP branch adds to the stream, at the start.

    ``GELU(x W) W'`` with width → 4 width → width, all weights normal with one sd, biases zero,
    on normalised inputs (standard normals).

    Parameters
    ----------
    width : int
        Of the stream.
    sd : float
        Standard deviation of all weights.
    batch, units : int
        Inputs, and outputs that are computed (they are alike).
    replicas, seed : int
        Independent branches, and their seed.

    Returns
    -------
    ndarray, shape (replicas,)

    Raises
    ------
    ValueError, TypeError
        A count below 1, `sd` not positive.

    Examples
    --------
    >>> gpt2_branch(16, replicas=3).shape
    (3,)
    """
    width, batch, units, replicas = counts(width=width, batch=batch, units=units, replicas=replicas)
    sd = _checks.number("sd", sd, above=0.0)
    gelu = activations.get("gelu")
    q = np.empty(replicas)
    for r, rng in enumerate(network.replica_generators(seed, replicas)):
        x = rng.standard_normal((batch, width))
        hidden = gelu(sd * (x @ rng.standard_normal((width, 4 * width))))
        q[r] = np.square(sd * (hidden @ rng.standard_normal((4 * width, units)))).mean()
    return q


def product_spectrum(
    weights: Any, depths: Sequence[int], *, width: int = 100, replicas: int = 20, seed: int = 0
) -> np.ndarray:
    """Return the singular values of products of square weight matrices.

    Parameters
    ----------
    weights : str or Initializer
        Without a seed of its own.
    depths : sequence of int
        Numbers of factors, rising.
    width : int
        Rows and columns.
    replicas, seed : int
        Independent products, and their seed.

    Returns
    -------
    ndarray, shape (depths, replicas, width)
        Largest first.

    Raises
    ------
    ValueError, TypeError
        Depths that do not rise, a count below 1, an unknown initializer.

    Examples
    --------
    >>> product_spectrum("orthogonal", [1, 9], width=4, replicas=1).round(6).tolist()
    [[[1.0, 1.0, 1.0, 1.0]], [[1.0, 1.0, 1.0, 1.0]]]
    """
    width, replicas, *depths = counts(
        width=width, replicas=replicas, **{f"depths[{i}]": d for i, d in enumerate(depths)}
    )
    if not depths or any(b <= a for a, b in zip(depths, depths[1:])):
        _checks.fail("depths", "a rising sequence of integers", depths)
    initializer = initializers.get(weights)
    rngs = network.replica_generators(seed, replicas)
    product, found = np.eye(width), {}
    for depth in range(1, depths[-1] + 1):
        product = product @ np.stack(
            [initializer.draw((width, width), rng, "float64") for rng in rngs]
        )
        if depth in depths:
            found[depth] = np.linalg.svd(product, compute_uv=False)
    return np.array([found[depth] for depth in depths])
