"""What did happen in a network, layer by layer (level 3).

Each probe is a function of one layer's array; it returns an array of shape ``(...)``, one number a
replica. Activations, pre-activations and gradients by them, `a` or `values`, have the shape
``(..., batch, units)``; weights `W` and gradients by them have ``(..., fan_in, fan_out)``. What is
no such array of finite numbers is a ``ValueError`` or ``TypeError``. `layer_statistics` calls them
all on a trace and returns an object that prints as a table. Nothing here draws, trains or predicts.

Two spreads must not be confused. The *pooled* std runs over all inputs and units together; it
stays large when every unit has its own constant. The std *across inputs* asks what a unit
still tells about its input.

Maps of shape ``(inputs, height, width, channels)`` would count their inputs as replicas, and their
rows as inputs. For spreads and cosines hand over ``maps.reshape(len(maps), -1)``, for dead units
``maps.reshape(-1, channels)``; `initcore.diagnosis.look.measure` does both.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from initcore import _checks, network
from initcore.tables import Table, spread

# What counts as saturated: the activation is within 1% of its range's end.
SATURATED = {
    **dict.fromkeys(["tanh", "hard_tanh"], lambda a: np.abs(a) > 0.99),
    **dict.fromkeys(["sigmoid", "hard_sigmoid"], lambda a: (a < 0.01) | (a > 0.99)),
    "centred_sigmoid": lambda a: np.abs(a) > 0.49,
}


TOLERANCE = 1e-8  # relative: singular values, and the parameters of two units, this small are none


def _layer(name: str, value: Any) -> np.ndarray:
    """Return a layer's array; of a shorter float, in float64, whose squares do not overflow."""
    value = _checks.array(name, value)
    if value.ndim < 2:
        _checks.fail(name, "an array of shape (..., rows, units)", value)
    return value.astype(np.float64, copy=False) if value.dtype.kind == "f" else value


def pooled_std(a: np.ndarray) -> np.ndarray:
    """Return the standard deviation over all inputs and units together.

    `a` has the shape ``(..., batch, units)``, the result ``(...)``.

    Examples
    --------
    >>> units_with_their_own_constant = np.array([[1.0, -1.0], [1.0, -1.0]])
    >>> float(pooled_std(units_with_their_own_constant))
    1.0
    """
    return _layer("a", a).std(axis=(-2, -1))


def std_across_inputs(a: np.ndarray) -> np.ndarray:
    """Return each unit's standard deviation over the inputs, averaged over the units.

    `a` has the shape ``(..., batch, units)``, the result ``(...)``.

    Examples
    --------
    >>> units_with_their_own_constant = np.array([[1.0, -1.0], [1.0, -1.0]])
    >>> float(std_across_inputs(units_with_their_own_constant))
    0.0
    """
    return _layer("a", a).std(axis=-2).mean(axis=-1)


def mean_square(a: np.ndarray) -> np.ndarray:
    """Return the mean square over inputs and units: q, if `a` are pre-activations.

    `a` has the shape ``(..., batch, units)``, the result ``(...)``.
    """
    return np.square(_layer("a", a)).mean(axis=(-2, -1))


def mean_cosine(a: np.ndarray) -> np.ndarray:
    """Return the mean cosine between the layer's answers to different inputs.

    `a` has the shape ``(..., batch, units)``, the result ``(...)``.

    1 means that the layer answers every input with the same direction. Inputs whose answer is
    exactly zero have no direction and are left out; with fewer than two others left, the layer
    tells no two inputs apart, and the result is 1. A batch of one input is a ``ValueError``.

    Examples
    --------
    >>> float(mean_cosine(np.array([[1.0, 0.0], [0.0, 2.0]])))
    0.0
    """
    a = _layer("a", a)
    if a.shape[-2] < 2:
        _checks.fail("a", "an array of at least two inputs (rows)", a)
    largest = np.abs(a).max(axis=-1, keepdims=True)
    answers = largest[..., 0] > 0
    direction = a / np.where(largest > 0, largest, 1.0)  # first, so that no square underflows
    length = np.sqrt(np.square(direction).sum(axis=-1, keepdims=True))
    direction = direction / np.where(length > 0, length, 1.0)
    n = answers.sum(axis=-1)
    pairs = n * (n - 1)
    over_pairs = np.square(direction.sum(axis=-2)).sum(axis=-1) - n
    return np.where(pairs > 0, np.clip(over_pairs / np.maximum(pairs, 1), -1.0, 1.0), 1.0)


def saturated_fraction(a: np.ndarray, activation: str) -> np.ndarray:
    """Return the share of activations within 1% of the end of their range.

    `a` has the shape ``(..., batch, units)``, the result ``(...)``.

    That is ``|a| > 0.99`` where `activation` is "tanh" or "hard_tanh", ``a < 0.01 or a > 0.99``
    for "sigmoid" and "hard_sigmoid", and ``|a| > 0.49`` for "centred_sigmoid".

    Examples
    --------
    >>> float(saturated_fraction(np.array([[0.999, 0.5], [-0.995, 0.0]]), "tanh"))
    0.5
    """
    is_saturated = SATURATED[_checks.choice("activation", activation, list(SATURATED))]
    return is_saturated(_layer("a", a)).mean(axis=(-2, -1))


def dead_fraction(a: np.ndarray) -> np.ndarray:
    """Return the share of units that are zero for every input of the batch.

    `a` has the shape ``(..., batch, units)``, the result ``(...)``.

    Examples
    --------
    >>> float(dead_fraction(np.array([[0.0, 0.0], [0.0, 3.0]])))
    0.5
    """
    return (_layer("a", a) == 0).all(axis=-2).mean(axis=-1)


def rms(values: np.ndarray) -> np.ndarray:
    """Return the root mean square over inputs and units, of gradients (deltas) say.

    `values` has the shape ``(..., batch, units)``, the result ``(...)``.
    """
    values = _layer("values", values)
    largest = np.abs(values).max(axis=(-2, -1), keepdims=True)
    scaled = values / (largest + (largest == 0))  # tiny gradients: no square underflows
    total = np.square(scaled, out=scaled).sum(axis=(-2, -1), keepdims=True)
    return (largest * np.sqrt(total / (values.shape[-2] * values.shape[-1])))[..., 0, 0][()]


def median_abs(values: np.ndarray) -> np.ndarray:
    """Return the median absolute value over inputs and units: the typical unit's gradient.

    `values` has the shape ``(..., batch, units)``, the result ``(...)``.
    """
    return np.median(np.abs(_layer("values", values)), axis=(-2, -1))


def gradient_norm(gradient: np.ndarray) -> np.ndarray:
    """Return the Frobenius norm ``‖∂W‖`` of one layer's weight gradient.

    `gradient` has the shape ``(..., fan_in, fan_out)``, the result ``(...)``.

    Examples
    --------
    >>> float(gradient_norm(np.array([[3.0, 0.0], [0.0, 4.0]])))
    5.0
    """
    gradient = _layer("gradient", gradient)
    return rms(gradient) * np.sqrt(gradient.shape[-2] * gradient.shape[-1])


def numerical_rank(W: np.ndarray) -> np.ndarray:
    """Return how many singular values exceed 1e-8 times the largest; 0 for a zero matrix.

    `W` has the shape ``(..., fan_in, fan_out)``, the result ``(...)``.

    Examples
    --------
    >>> int(numerical_rank(np.ones((4, 3))))
    1
    """
    values = np.linalg.svd(_layer("W", W), compute_uv=False)
    return ((values > TOLERANCE * values[..., :1]) & (values > 0)).sum(axis=-1)


def effective_rank(W: np.ndarray) -> np.ndarray:
    """Return ``exp(−Σ p ln p)``, where ``p`` are the singular values divided by their sum.

    `W` has the shape ``(..., fan_in, fan_out)``, the result ``(...)``.

    It is 1 for a matrix of rank one, n for n equal singular values, and 0 for a zero matrix.
    Unlike the numerical rank it does not count directions that hardly matter. Source: Roy and
    Vetterli (2007), The effective rank: a measure of effective dimensionality.

    Examples
    --------
    >>> round(float(effective_rank(np.eye(5))), 6), float(effective_rank(np.zeros((2, 2))))
    (5.0, 0.0)
    """
    values = np.linalg.svd(_layer("W", W), compute_uv=False)
    total = values.sum(axis=-1, keepdims=True)
    share = values / np.where(total > 0, total, 1.0)
    entropy = -(share * np.log(np.where(share > 0, share, 1.0))).sum(axis=-1)
    return np.where(total[..., 0] > 0, np.exp(entropy), 0.0)


def distinct_units(W: np.ndarray, b: np.ndarray | None = None) -> np.ndarray:
    """Return how many units of a layer differ in their incoming parameters.

    `W` has the shape ``(..., fan_in, fan_out)``, the result ``(...)``.

    Two units count as one if their incoming weights, the columns of `W`, and their biases in `b`,
    of shape ``(..., fan_out)``, differ by at most 1e-8 times the largest absolute parameter.

    Examples
    --------
    >>> int(distinct_units(np.array([[1.0, 1.0, 2.0], [0.5, 0.5, 0.5]])))
    2
    """
    W = parameters = _layer("W", W)
    if b is not None:
        b = _checks.array("b", b)
        if b.shape != W.shape[:-2] + W.shape[-1:]:
            _checks.fail("b", f"an array of shape {W.shape[:-2] + W.shape[-1:]}", b)
        parameters = np.concatenate([W, b[..., None, :]], axis=-2)
    flat = parameters.reshape(-1, *parameters.shape[-2:])
    return np.array([_count_columns(layer) for layer in flat]).reshape(W.shape[:-2])


def _count_columns(parameters: np.ndarray) -> int:
    """Count columns that differ from every earlier one kept by more than the tolerance."""
    limit = TOLERANCE * np.abs(parameters).max()
    # Sorted by the row that differs most, columns that may be equal stand side by side.
    row = np.ptp(parameters, axis=1).argmax()
    left = parameters.T[parameters[row].argsort()]
    is_left, count = np.ones(len(left), dtype=bool), 0
    ends = left[:, row].searchsorted(left[:, row] + limit, side="right")
    for first, end in enumerate(ends):
        if is_left[first]:
            alike = np.abs(left[first:end] - left[first]).max(axis=1) <= limit
            is_left[first:end] &= ~alike
            count += 1
    return count


@dataclass(frozen=True)
class LayerStatistics:
    """What `layer_statistics` measured, by name, of shape ``(layers,)`` or ``(layers, replicas)``.

    ``measured["std"]`` is ``measured.values["std"]``.
    """

    values: dict[str, np.ndarray]

    def __getitem__(self, name: str) -> np.ndarray:
        return self.values[_checks.choice("name", name, list(self.values))]

    def table(self, *names: str, spec: str = ".3g", title: str | None = None) -> Table:
        """Return these statistics (default: all) as a table with a row a layer.

        With replicas a cell reads ``median [5%, 95%]`` over them.

        Examples
        --------
        >>> measured = LayerStatistics({"std": np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])})
        >>> print(measured.table())
        layer  std
            1  2 [1.1, 2.9]
            2  5 [4.1, 5.9]
        """
        shown = {name: self[name] for name in names or self.values}
        layers = len(next(iter(shown.values())))
        columns: dict[str, Any] = {"layer": np.arange(1, layers + 1)}
        for name, value in shown.items():
            columns[name] = spread(value, spec) if value.ndim == 2 else value
        return Table(columns, title=title, formats=dict.fromkeys(shown, spec))

    def __str__(self) -> str:
        return str(self.table())

    __repr__ = __str__


def layer_statistics(
    net: network.MLP,
    trace: network.Trace,
    gradients: network.Gradients | None = None,
    *,
    parameters: bool = False,
) -> LayerStatistics:
    """Return the statistics of every layer of a network, the output layer last.

    Parameters
    ----------
    net : MLP
        The network that made the trace.
    trace : Trace
        Of ``net.forward``: activations ``(batch, units)`` or ``(replicas, batch, units)``.
    gradients : Gradients, optional
        Of ``net.backward``; adds ``delta rms``, ``delta median`` and ``grad W norm``.
    parameters : bool
        Add ``rank``, ``effective rank`` and ``distinct units`` of the weights, which take
        singular value decompositions.

    Returns
    -------
    LayerStatistics
        ``mean``, ``std`` (pooled) and ``std across inputs`` of the activations, ``q`` of the
        pre-activations; ``cosine`` between inputs if the batch has two or more; ``saturated``
        where the hidden activation has ends; ``dead``.

    Raises
    ------
    ValueError
        A layer holds NaN or infinity; the message names the first. `initcore.diagnosis.diagnose`
        shows the others.
    """
    other = "of another net, `diagnosis.look.measure` takes a layer's (inputs, ..., units)"
    _checks.instance("net", net, network.MLP, f"an initcore.network.MLP ({other})")
    _checks.instance("trace", trace, network.Trace, "what `net.forward` returns")
    kinds = (network.Gradients, type(None))
    _checks.instance("gradients", gradients, kinds, "what `net.backward` returns, or None")
    _checks.flag("parameters", parameters)
    _check_finite("trace", trace.pre_activations, range(len(trace.pre_activations)))
    if gradients is not None:  # on the way back, the last layer is the first
        _check_finite("gradients", gradients.weights, reversed(range(len(gradients.weights))))
    layers = [_layer("trace", a) for a in trace.activations]
    found: dict[str, list] = {
        "mean": [a.mean(axis=(-2, -1)) for a in layers],
        "std": [pooled_std(a) for a in layers],
        "std across inputs": [std_across_inputs(a) for a in layers],
        "q": [mean_square(z) for z in trace.pre_activations],
        "dead": [dead_fraction(a) for a in layers],
    }
    if layers[0].shape[-2] > 1:
        found["cosine"] = [mean_cosine(a) for a in layers]
    if net.activation.name in SATURATED:
        hidden = [saturated_fraction(a, net.activation.name) for a in layers[:-1]]
        found["saturated"] = [*hidden, np.zeros_like(found["std"][0])]  # a linear output has no end
    if gradients is not None:
        found["delta rms"] = [rms(delta) for delta in gradients.deltas]
        found["delta median"] = [median_abs(delta) for delta in gradients.deltas]
        found["grad W norm"] = [gradient_norm(g) for g in gradients.weights]
    if parameters:
        found["rank"] = [numerical_rank(W) for W in net.weights]
        found["effective rank"] = [effective_rank(W) for W in net.weights]
        found["distinct units"] = [distinct_units(W, b) for W, b in zip(net.weights, net.biases)]
    return LayerStatistics({name: np.array(values) for name, values in found.items()})


def _check_finite(name: str, layers: Sequence[np.ndarray], order: Iterable[int]) -> None:
    """Raise an error that names the first layer, in this order, with NaN or infinity."""
    for i in order:
        bad = (~np.isfinite(layers[i])).sum()
        if bad:
            raise ValueError(
                f"Argument `{name}` must be finite. Received: {name} in which layer {i + 1} is the "
                f"first with NaN or infinity, {bad} of its {layers[i].size} values"
            )
