"""Signals and gradients at the start: the chapters on small and large weights and the variance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from initcore import _checks, activations, network, probes
from initcore.experiments._common import counts
from initcore.initializers import RandomNormal

Case = tuple[Any, float]
INPUTS = 1  # a stream of random numbers that no weight is drawn from


class Run(NamedTuple):
    """A network, what it computed, and what the probes say of it.

    Attributes
    ----------
    net : MLP
    trace : Trace
    gradients : Gradients
        Of the output (its sum, if there are several), by everything.
    statistics : LayerStatistics
        With gradients; one row a layer, the output layer last.
    """

    net: network.MLP
    trace: network.Trace
    gradients: network.Gradients
    statistics: probes.LayerStatistics


def normal_network(
    activation: Any,
    sd: float,
    *,
    depth: int = 5,
    width: int = 50,
    inputs: int = 100,
    batch: int = 1,
    replicas: int = 200,
    seed: int = 0,
) -> Run:
    """Send standard normal inputs through nets whose weights are ``sd`` times standard normal.

    The classic experiment of the chapters on small and large random weights: an input of 100
    standard normals, five hidden layers of 50, no biases, and here one linear output unit, whose
    gradient by every weight is computed.

    Parameters
    ----------
    activation : str, Activation or callable
        φ of the hidden layers.
    sd : float
        Standard deviation of every weight, output layer included.
    depth, width, inputs : int
        Hidden layers, units in each, and input units.
    batch : int
        Number of inputs; the gradient is that of the mean output over them.
    replicas : int
        Independent nets, each with inputs of its own.
    seed : int
        Of weights and inputs.

    Returns
    -------
    Run

    Raises
    ------
    ValueError, TypeError
        `sd` is not positive, a count is below 1, or the activation is not known.

    Examples
    --------
    >>> run = normal_network("tanh", 0.01, replicas=20)
    >>> print(run.statistics.table("std", "grad W norm", spec=".1e"))  # doctest: +ELLIPSIS
    layer  std                         grad W norm
        1  9... [...]  1.7e-05 [...]
    ...
    """
    sd = _checks.number("sd", sd, above=0.0)
    depth, batch, replicas = counts(depth=depth, batch=batch, replicas=replicas)
    net = network.MLP(
        (inputs, *[width] * depth, 1),
        activation,
        weights=RandomNormal(stddev=sd),
        replicas=replicas,
        seed=seed,
    )
    streams = network.replica_generators(seed, replicas, INPUTS)
    trace = net.forward(np.stack([rng.standard_normal((batch, inputs)) for rng in streams]))
    gradients = net.backward(trace, np.full_like(trace.output, 1 / batch))
    return Run(net, trace, gradients, probes.layer_statistics(net, trace, gradients))


def propagate(
    cases: Mapping[str, Case],
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
    if not cases:
        _checks.fail("cases", "a mapping with at least one case", cases)
    kinds = {
        label: (activations.get(activation), _checks.number(f"gain of {label!r}", gain, above=0.0))
        for label, (activation, gain) in cases.items()
    }
    depth, width, batch, replicas = counts(depth=depth, width=width, batch=batch, replicas=replicas)
    rng = _checks.generator("seed", seed)
    x = rng.standard_normal((replicas, batch, width))
    q_0 = probes.mean_square(x)
    a = dict.fromkeys(kinds, x)
    layers: dict[str, list] = {label: [] for label in kinds}
    for _ in range(depth):
        unit_weights = rng.standard_normal((replicas, width, width))
        for label, (phi, gain) in kinds.items():
            z = gain / np.sqrt(width) * (a[label] @ unit_weights)
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


def one_layer_gain(
    fan_ins: Sequence[int],
    sd: float,
    *,
    units: int = 200,
    replicas: int = 20,
    seed: int = 0,
) -> np.ndarray:
    """Return by how much one linear layer changes the root mean square of its input.

    Parameters
    ----------
    fan_ins : sequence of int
        The numbers of inputs n to try.
    sd : float
        Standard deviation of the normal weights, the same for every n.
    units : int
        Units of the layer.
    replicas : int
        Independent layers, each with a standard normal input of its own.
    seed : int
        Of weights and inputs.

    Returns
    -------
    ndarray, shape (fan_ins, replicas)
        √(mean z² / mean x²); the expected square is ``n sd²``.

    Raises
    ------
    ValueError, TypeError
        A count below 1, or `sd` not positive.

    Examples
    --------
    >>> one_layer_gain([100, 10_000], 0.01, replicas=5).mean(axis=1).round(1).tolist()
    [0.1, 1.0]
    """
    sd = _checks.number("sd", sd, above=0.0)
    units, replicas = counts(units=units, replicas=replicas)
    gains = np.empty((len(fan_ins), replicas))
    for row, n in zip(gains, fan_ins):
        n = _checks.integer("fan_ins", n, at_least=1)
        for r, rng in enumerate(network.replica_generators(seed, replicas, n)):
            x = rng.standard_normal(n)
            row[r] = sd * np.sqrt(np.square(x @ rng.standard_normal((n, units))).mean())
            row[r] /= np.sqrt(np.square(x).mean())
    return gains
