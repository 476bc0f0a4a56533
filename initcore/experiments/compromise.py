"""Forward against backward: layers of unequal widths, Glorot's statistics, and default starts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from initcore import _checks, activations, initializers, losses, network, probes
from initcore.experiments._common import counts

INPUTS = 1  # streams of random numbers that no weight is drawn from
LABELS = 2
MODES = ("fan_in", "fan_out", "fan_avg", "fan_geo_avg")


class Signals(NamedTuple):
    """The hidden layers of some nets: what one input made there, and the statistics of all.

    Attributes
    ----------
    activations : list of ndarray, shape (replicas, 1, width)
        Those of each net's first input, layer by layer.
    statistics : LayerStatistics
        Arrays of shape ``(depth, replicas)``: ``std`` of the activations, ``delta rms`` and
        ``grad W norm`` of the gradients.
    """

    activations: list[np.ndarray]
    statistics: probes.LayerStatistics


def both_ways(
    widths: Sequence[int],
    *,
    modes: Sequence[str] = MODES,
    activation: Any = "linear",
    batch: int = 50,
    replicas: int = 40,
    seed: int = 0,
) -> dict[str, probes.LayerStatistics]:
    """Send a signal forward and a gradient back through nets whose layers differ in width.

    The weights are normal, of variance ``1/n`` with n by each mode: fan_in, fan_out, their mean
    (Glorot's) or their geometric mean. Inputs, and the gradient at the output, are standard
    normal and independent of the weights. All modes share one set of draws.

    Parameters
    ----------
    widths : sequence of int
        ``(n_0, …, n_L)``, inputs first.
    modes : sequence of str
        Modes of `initcore.initializers.VarianceScaling`.
    activation : str, Activation or callable
        φ of every layer, the last one included.
    batch : int
        Number of inputs.
    replicas : int
        Independent nets, each with inputs and gradients of its own.
    seed : int
        Of everything.

    Returns
    -------
    dict of str to LayerStatistics
        By mode, two arrays of shape ``(L + 1, replicas)``: ``forward``, the mean square of a_l
        over that of a_0 = x; and ``backward``, the mean square of the gradient by a_l over that
        by a_L. Both are 1 where they start.

    Raises
    ------
    ValueError, TypeError
        No mode or an unknown one, fewer than two widths, a count below 1.

    Notes
    -----
    For linear layers the expectations are products of ``fan_in Var(w)`` forward and of
    ``fan_out Var(w)`` backward: Glorot and Bengio (2010), eqs. 5 and 6.

    Examples
    --------
    >>> found = both_ways((100, 400, 100), modes=["fan_avg"])["fan_avg"]
    >>> found["forward"].mean(axis=1).round(1).tolist()
    [1.0, 0.4, 0.6]
    """
    if isinstance(modes, str) or not len(modes):
        _checks.fail("modes", "a sequence of at least one mode", modes)
    batch, replicas = counts(batch=batch, replicas=replicas)
    net = network.MLP(
        widths,
        activation,
        weights=initializers.RandomNormal(stddev=1.0),
        output_activation=activation,
        replicas=replicas,
        seed=seed,
    )
    unit = [W.copy() for W in net.weights]
    streams = network.replica_generators(seed, replicas, INPUTS)
    ends = (net.widths[0], net.widths[-1])
    drawn = [[rng.standard_normal((batch, n)) for n in ends] for rng in streams]
    x, top = (np.stack(arrays) for arrays in zip(*drawn))
    found = {}
    for mode in modes:
        scaling = initializers.VarianceScaling(1.0, mode)
        for W, draws in zip(net.weights, unit):
            np.multiply(draws, np.sqrt(scaling.variance(W.shape[-2:])), out=W)
        trace = net.forward(x)
        by_inputs = net.backward(trace, top)
        forward = [x, *trace.activations]
        # The gradient by a_{l-1} is δ_l Wᵀ.
        backward = [d @ W.swapaxes(-1, -2) for d, W in zip(by_inputs.deltas, net.weights)]
        found[mode] = probes.LayerStatistics(
            {
                "forward": _relative(forward, 0),
                "backward": _relative([*backward, top], -1),
            }
        )
    return found


def _relative(layers: list[np.ndarray], start: int) -> np.ndarray:
    squares = np.array([probes.mean_square(layer) for layer in layers])
    return squares / squares[start]


def classifier_signals(
    starts: Mapping[str, initializers.VarianceScaling],
    *,
    activation: Any = "tanh",
    width: int = 1000,
    depth: int = 5,
    classes: int = 10,
    batch: int = 20,
    replicas: int = 20,
    seed: int = 0,
) -> dict[str, Signals]:
    """Return what Glorot and Bengio looked at: activations and gradients of wide fresh nets.

    A classifier with `depth` hidden layers of one width, standard normal inputs, random labels,
    softmax and cross-entropy. The weights of all starts are one set of uniform draws, scaled to
    each start's variance. One net is in memory at a time.

    Parameters
    ----------
    starts : mapping of str to VarianceScaling
        What the weights' variance is; they are uniform whatever the start's distribution.
    activation : str, Activation or callable
        φ of the hidden layers.
    width, depth, classes : int
        Inputs and units of a hidden layer, hidden layers, outputs.
    batch, replicas, seed : int
        Inputs of a net, independent nets, and their seed.

    Returns
    -------
    dict of str to Signals

    Raises
    ------
    ValueError, TypeError
        No start, one that is no `VarianceScaling`, a count below 1.

    Notes
    -----
    Glorot and Bengio (2010), section 4.2, with other inputs.

    Examples
    --------
    >>> starts = {"Glorot": initializers.GlorotUniform()}
    >>> classifier_signals(starts, width=50)["Glorot"].statistics["delta rms"].shape
    (5, 20)
    """
    _check_starts(starts)
    width, depth, classes, batch, replicas = counts(
        width=width, depth=depth, classes=classes, batch=batch, replicas=replicas
    )
    widths = (*[width] * (depth + 1), classes)
    weights = network.replica_generators(seed, replicas)
    inputs = network.replica_generators(seed, replicas, INPUTS)
    labels = network.replica_generators(seed, replicas, LABELS)
    rows: dict[str, list] = {label: [] for label in starts}
    for r in range(replicas):
        unit = [_unit_uniform(shape, weights[r]) for shape in zip(widths[:-1], widths[1:])]
        x = inputs[r].standard_normal((batch, width))
        y = labels[r].integers(classes, size=batch)
        for label, start in starts.items():
            scaled = [np.sqrt(start.variance(W.shape)) * W for W in unit]
            net = network.MLP(widths, activation, weights=scaled)
            trace = net.forward(x)
            gradients = net.backward(trace, losses.softmax_cross_entropy(trace.output, y)[1])
            a = trace.activations[:-1]
            statistics = {
                "std": [probes.pooled_std(layer) for layer in a],
                "delta rms": [probes.rms(delta) for delta in gradients.deltas[:-1]],
                "grad W norm": [probes.gradient_norm(dW) for dW in gradients.weights[:-1]],
            }
            rows[label].append(([layer[:1] for layer in a], statistics))
    return {label: _joined(nets) for label, nets in rows.items()}


def _unit_uniform(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Return uniform draws of variance 1."""
    values = rng.random(shape)
    values *= 2 * np.sqrt(3)
    values -= np.sqrt(3)
    return values


def _joined(nets: list) -> Signals:
    first = [np.stack(layer) for layer in zip(*(a for a, _ in nets))]
    names = nets[0][1]
    values = {name: np.array([found[name] for _, found in nets]).T for name in names}
    return Signals(first, probes.LayerStatistics(values))


def _check_starts(starts: Any) -> None:
    if not isinstance(starts, Mapping) or not starts:
        _checks.fail("starts", "a mapping with at least one start", starts)
    for label, start in starts.items():
        if not isinstance(start, initializers.VarianceScaling):
            _checks.fail(f"starts[{label!r}]", "a VarianceScaling", start, TypeError)


def layer_singular_values(
    starts: Mapping[str, initializers.VarianceScaling],
    *,
    activation: Any = "tanh",
    width: int = 250,
    depth: int = 5,
    replicas: int = 20,
    seed: int = 0,
) -> dict[str, probes.LayerStatistics]:
    """Return the mean singular value of each layer's weights and of its Jacobian.

    The Jacobian of layer l is ``∂a_l/∂a_{l-1} = W_l diag(φ'(z_l))`` (Glorot and Bengio 2010,
    eq. 17), here at one standard normal input a net. Its mean singular value hardly depends on
    the width, and the cost is of the third power in it.

    Parameters
    ----------
    starts, activation
        As in `classifier_signals`.
    width, depth : int
        Inputs and units of a layer, layers.
    replicas, seed : int
        Independent nets, each with an input of its own, and their seed.

    Returns
    -------
    dict of str to LayerStatistics
        Arrays of shape ``(depth, replicas)``: ``W``, ``Jacobian``, and ``rms of Jacobian``, the
        root mean square of the same singular values.

    Raises
    ------
    ValueError, TypeError
        As in `classifier_signals`.

    Examples
    --------
    >>> found = layer_singular_values({"Glorot": initializers.GlorotUniform()}, width=50)
    >>> float(found["Glorot"]["W"].mean().round(2))  # 8 / (3 pi) = 0.849
    0.85
    """
    _check_starts(starts)
    phi = activations.get(activation)
    width, depth, replicas = counts(width=width, depth=depth, replicas=replicas)
    inputs = network.replica_generators(seed, replicas, INPUTS)
    x = np.stack([rng.standard_normal((1, width)) for rng in inputs])
    streams = network.replica_generators(seed, replicas)
    a = dict.fromkeys(starts, x)
    rows: dict[str, list] = {label: [] for label in starts}
    for _ in range(depth):
        unit = np.stack([_unit_uniform((width, width), rng) for rng in streams])
        unit_values = _singular_values(unit).mean(axis=-1)
        for label, start in starts.items():
            sd = np.sqrt(start.variance((width, width)))
            z = sd * (a[label] @ unit)
            values = _singular_values(sd * unit * phi.derivative(z))
            a[label] = phi(z)
            rms = np.sqrt(np.square(values).mean(axis=-1))
            rows[label].append((sd * unit_values, values.mean(axis=-1), rms))
    names = ("W", "Jacobian", "rms of Jacobian")
    return {
        label: probes.LayerStatistics(dict(zip(names, map(np.array, zip(*found)))))
        for label, found in rows.items()
    }


def _singular_values(M: np.ndarray) -> np.ndarray:
    """Return the singular values of square matrices: the roots of the eigenvalues of MᵀM."""
    return np.sqrt(np.maximum(np.linalg.eigvalsh(M.swapaxes(-1, -2) @ M), 0.0))


def through_layers(
    cases: Mapping[str, tuple],
    *,
    depth: int = 50,
    width: int = 256,
    batch: int = 20,
    replicas: int = 20,
    seed: int = 0,
) -> dict[str, probes.LayerStatistics]:
    """Send inputs through deep square nets, weights and biases drawn by any initializers.

    Parameters
    ----------
    cases : mapping of str to (activation, weights) or (activation, weights, biases)
        An activation and initializers, or their names. Biases are zero where none are given.
        One seeded generator a replica draws layer by layer: cases share the draws as far as
        their initializers ask for the same ones.
    depth, width, batch : int
        Layers, units of each and of the input, standard normal inputs.
    replicas, seed : int
        Independent nets, each with inputs of its own, and their seed.

    Returns
    -------
    dict of str to LayerStatistics
        Arrays of shape ``(depth, replicas)`` of the activations: ``mean``, ``rms`` and
        ``std across inputs``.

    Raises
    ------
    ValueError, TypeError
        No case, a case that is no pair or triple, an unknown name, a count below 1.

    Examples
    --------
    >>> found = through_layers({"He": ("relu", "he_normal")}, depth=3, width=20)
    >>> found["He"]["rms"].shape
    (3, 20)
    """
    if not isinstance(cases, Mapping) or not cases:
        _checks.fail("cases", "a mapping with at least one case", cases)
    depth, width, batch, replicas = counts(depth=depth, width=width, batch=batch, replicas=replicas)
    found = {}
    for label, case in cases.items():
        if not isinstance(case, (tuple, list)) or len(case) not in (2, 3):
            _checks.fail(f"cases[{label!r}]", "(activation, weights[, biases])", case)
        phi = activations.get(case[0])
        weights, biases = (initializers.get(one) for one in (*case[1:], "zeros")[:2])
        inputs = network.replica_generators(seed, replicas, INPUTS)
        a = np.stack([rng.standard_normal((batch, width)) for rng in inputs])
        streams = network.replica_generators(seed, replicas)
        rows = []
        for _ in range(depth):
            W = np.stack([weights.draw((width, width), rng, "float64") for rng in streams])
            b = np.stack([biases.draw((width,), rng, "float64") for rng in streams])
            a = phi(a @ W + b[:, None])
            across = probes.std_across_inputs(a)
            rows.append((a.mean(axis=(-2, -1)), np.sqrt(probes.mean_square(a)), across))
        names = ("mean", "rms", "std across inputs")
        found[label] = probes.LayerStatistics(dict(zip(names, map(np.array, zip(*rows)))))
    return found


def draw_weights(
    starts: Mapping[str, Any],
    shape: tuple[int, int],
    *,
    replicas: int = 20,
    seed: int = 0,
) -> dict[str, np.ndarray]:
    """Draw one layer's weights from several initializers, many times.

    Parameters
    ----------
    starts : mapping of str to (str, Initializer or class)
        As `initcore.initializers.get` takes them.
    shape : (int, int)
        ``(fan_in, fan_out)``.
    replicas, seed : int
        Draws of each, and their seed; the starts share the streams.

    Returns
    -------
    dict of str to ndarray, shape (replicas, fan_in, fan_out)

    Raises
    ------
    ValueError, TypeError
        No start, an unknown one, a shape without positive integers.

    Examples
    --------
    >>> draw_weights({"Keras": "glorot_uniform"}, (30, 20), replicas=5)["Keras"].shape
    (5, 30, 20)
    """
    if not isinstance(starts, Mapping) or not starts:
        _checks.fail("starts", "a mapping with at least one start", starts)
    (replicas,) = counts(replicas=replicas)
    found = {}
    for label, start in starts.items():
        streams = network.replica_generators(seed, replicas)
        initializer = initializers.get(start)
        found[label] = np.stack([initializer.draw(shape, rng, "float64") for rng in streams])
    return found
