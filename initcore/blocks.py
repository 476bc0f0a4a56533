"""Networks with batch normalisation or residual branches (level 2, right above `network`).

Both are an `MLP` to whoever trains or probes them: same passes, same traces, same replicas. What
is new are the scales γ of the normalised layers, which are trained with the weights and biases.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from initcore import _checks, activations
from initcore.network import MLP, SCALES, Gradients, Trace, product, replica_generators

MOMENTUM = 0.9  # share of the old in the moving averages


@dataclass(frozen=True, eq=False, repr=False)
class BlockTrace(Trace):
    """A `Trace` that keeps what batch normalisation computed; index ``l`` is layer ``l + 1``.

    Attributes
    ----------
    normalised : list of (ndarray of shape ([replicas,] batch, fan_out), or None)
        û, the sums ``x @ W`` with mean 0 and variance 1 over the batch; None without it.
    deviations : list of (ndarray of shape ([replicas,] 1, fan_out), or None)
        ``√(variance + ε)``, by which they were divided.
    """

    normalised: list[np.ndarray | None]
    deviations: list[np.ndarray | None]


@dataclass(frozen=True, eq=False, repr=False)
class BlockGradients(Gradients):
    """`Gradients` with those by the scales γ, ``([replicas,] fan_out)`` each, in `scales`."""

    scales: list[np.ndarray]

    def parameters(self) -> list[np.ndarray]:
        """Return the gradients of all parameters, in the order of the network's."""
        return [*self.weights, *self.biases, *self.scales]


def _moments(sums: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    mean = sums.mean(axis=-2, keepdims=True)
    return mean, np.square(sums - mean).mean(axis=-2, keepdims=True)


class _BlockMLP(MLP):
    """The passes of both networks: some layers are normalised, some end a residual branch."""

    ends: frozenset[int] = frozenset()  # the layers whose output is added to the stream
    branch_scale: float = 1.0

    def __init__(
        self,
        widths: Sequence[int],
        activation: Any,
        *,
        normalised: Iterable[int],
        scales: Any = "ones",
        epsilon: float = 1e-5,
        seed: int | np.random.Generator | None = 0,
        **options: Any,
    ) -> None:
        if "dropout" in options:
            raise TypeError("Argument `dropout` is for an MLP: these networks have none")
        self._slot = {layer: number for number, layer in enumerate(normalised)}
        super().__init__(widths, activation, seed=seed, **options)
        self.epsilon = _checks.number("epsilon", epsilon, at_least=0.0)
        rngs = replica_generators(seed, self.replicas, SCALES)
        self.scales = self._draw("scales", scales, self._parameter_shapes()["scales"], rngs)
        self.averages: list[tuple[np.ndarray, np.ndarray] | None] = [None] * len(self.scales)
        self._batches = 0

    def parameters(self) -> list[np.ndarray]:
        """Return the arrays themselves in one list: weights, biases, then scales."""
        return [*self.weights, *self.biases, *self.scales]

    def backward(self, trace: Trace, output_gradient: np.ndarray) -> BlockGradients:
        """Return the derivatives of a loss, given that by the output; those of γ included.

        ``∂loss/∂u = (g - mean_batch g - û mean_batch(g û)) / √(var_batch u + ε)`` with
        ``g = γ δ``, where a layer is normalised; otherwise as `MLP.backward`, whose parameters
        and errors it has.
        """
        kept = [n is not None for n in trace.normalised] if isinstance(trace, BlockTrace) else None
        if kept != [layer in self._slot for layer in range(self.n_layers)]:
            _checks.fail("trace", "a trace that `forward` of this network returned", trace)
        return super().backward(trace, output_gradient)

    def _parameter_shapes(self) -> dict[str, list[tuple[int, ...]]]:
        scales = [(self.widths[layer + 1],) for layer in self._slot]
        return {**super()._parameter_shapes(), "scales": scales}

    def _standardise(self, sums: np.ndarray, mean: np.ndarray, variance: np.ndarray) -> tuple:
        deviation = np.sqrt(variance + self.dtype.type(self.epsilon))
        deviation = np.where(deviation > 0, deviation, self.dtype.type(1))  # a constant unit, ε = 0
        return (sums - mean) / deviation, deviation

    def _move_averages(self, slot: int, mean: np.ndarray, variance: np.ndarray) -> None:
        """Move the averages towards a batch; what is not finite (a net that diverged) stays out."""
        old = self.averages[slot] or (mean, variance)
        share = max(1.0 / self._batches, 1.0 - MOMENTUM)
        good = np.isfinite(mean) & np.isfinite(variance)
        with np.errstate(all="ignore"):
            new = [(1.0 - share) * o + share * n for o, n in zip(old, (mean, variance))]
        kept = [np.where(good, n, o).astype(self.dtype) for n, o in zip(new, old)]
        self.averages[slot] = (kept[0], kept[1])

    def _onto_stream(self, layer: int, a: np.ndarray, stream: np.ndarray) -> tuple:
        """Return the layer's output and the stream after it."""
        if layer in self.ends:
            a = stream + self.dtype.type(self.branch_scale) * a
        return a, a if layer == 0 or layer in self.ends else stream

    def _layers(self, x: np.ndarray, moments: Callable) -> Iterator[tuple]:
        """Yield of each layer what a trace keeps, normalised by ``moments(slot, sums)``."""
        stream = x
        for layer in range(self.n_layers):
            z, normal, deviation = product(x, self.weights[layer]), None, None
            if layer in self._slot:
                slot = self._slot[layer]
                normal, deviation = self._standardise(z, *moments(slot, z))
                z = normal * self.scales[slot][..., None, :]
            z += self.biases[layer][..., None, :]
            a, stream = self._onto_stream(layer, self._phi(layer)(z), stream)
            yield x, z, a, None, normal, deviation  # in the order of the trace's fields
            x = a

    def _predict(self, x: np.ndarray) -> np.ndarray:
        for _, _, a, *_ in self._layers(x, lambda slot, z: self.averages[slot] or _moments(z)):
            x = a
        return x

    def _forward(self, x: np.ndarray, rngs: list[np.random.Generator] | None) -> BlockTrace:
        def moments(slot: int, sums: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            found = _moments(sums)
            if rngs is not None:
                self._move_averages(slot, *found)
            return found

        if rngs is not None:
            self._batches += 1
        return BlockTrace(*map(list, zip(*self._layers(x, moments))))

    def _past_normalisation(self, layer: int, trace: BlockTrace, delta: np.ndarray) -> np.ndarray:
        """Return the derivatives by the sums u of a normalised layer, given those by z."""
        normal = trace.normalised[layer]
        by_sums = delta * self.scales[self._slot[layer]][..., None, :]
        along = (by_sums * normal).mean(axis=-2, keepdims=True)
        by_sums = by_sums - by_sums.mean(axis=-2, keepdims=True) - normal * along
        return by_sums / trace.deviations[layer]

    def _backward(
        self, trace: BlockTrace, output_gradient: np.ndarray, by_inputs: bool = True
    ) -> BlockGradients:
        weights, biases, deltas, scales = [], [], [], []
        gradient, past_branch = output_gradient, output_gradient
        for layer in reversed(range(self.n_layers)):
            if layer in self.ends:
                past_branch = gradient
                gradient = gradient * self.dtype.type(self.branch_scale)
            delta = gradient * self._phi(layer).derivative(trace.pre_activations[layer])
            by_sums = delta
            if layer in self._slot:
                scales.append((delta * trace.normalised[layer]).sum(axis=-2))
                by_sums = self._past_normalisation(layer, trace, delta)
            weights.append(product(trace.inputs[layer].swapaxes(-1, -2), by_sums))
            biases.append(delta.sum(axis=-2))
            deltas.append(delta)
            if layer > 0 or by_inputs:
                gradient = product(by_sums, self.weights[layer].swapaxes(-1, -2))
            if layer + 1 in self.ends:  # the first layer of a branch: here the stream went past it
                gradient = gradient + past_branch
        by_batch = gradient if by_inputs else None
        return BlockGradients(weights[::-1], biases[::-1], deltas[::-1], by_batch, scales[::-1])


class BatchNormMLP(_BlockMLP):
    """An `MLP` whose hidden layers are batch-normalised before the activation.

    ``u = x W``, ``û = (u - mean_batch u) / √(var_batch u + ε)``, ``z = γ û + b``, ``a = φ(z)``
    unit by unit (Ioffe and Szegedy 2015, algorithm 1; their β is the bias b). The output layer
    is a plain one. `forward` normalises by the batch, and `backward` differentiates that. `predict`
    normalises by the averages. A forward pass with `rng`, which is what `training.fit` does, moves
    them; before the first one `predict` uses the batch it is given.

    The parameters of `MLP` but `dropout` are the same here, and so are its errors and, of one
    seed, the weights.

    Parameters
    ----------
    scales : str, Initializer, callable(shape, dtype), array, or a list of these
        Initializers of the γ of the hidden layers, ``(fan_out,)`` each.
    epsilon : float
        ε, at least 0. With 0, a unit that is constant over the batch has û = 0.

    Attributes
    ----------
    scales : list of ndarray, shape ([replicas,] fan_out)
        γ of each hidden layer; may be changed in place.
    averages : list of (mean, variance) or None
        Moving averages over the batches of training, ``([replicas,] 1, fan_out)`` each.

    Examples
    --------
    >>> net = BatchNormMLP((3, 4, 2), "tanh", seed=1)
    >>> x = np.random.default_rng(0).standard_normal((5, 3))
    >>> net.forward(x).normalised[0].std(axis=0).round(2).tolist()
    [1.0, 1.0, 1.0, 1.0]
    >>> len(net.parameters())
    5
    """

    def __init__(self, widths: Sequence[int], activation: Any = "tanh", **options: Any) -> None:
        hidden = range(len(_checks.shape("widths", widths)) - 2)
        super().__init__(widths, activation, normalised=hidden, **options)


class ResidualMLP(_BlockMLP):
    """A stream of fixed width to which residual branches of two layers are added.

    ``h_0 = x W + b``; ``h_k = h_{k-1} + α B_k(h_{k-1})`` for the blocks k = 1 … K, with the
    branch ``B(h) = φ(h W + b) W' + b'``; and a last layer on ``h_K``: the residual nets of He et
    al. (2016), eq. 1, with dense layers and nothing after the addition. With ``normalise=True``
    the last layer of each branch is batch-normalised, ``B(h) = γ û + b'``. The parameters that
    are not listed, and the errors, are those of `BatchNormMLP`; a list of initializers names
    2 K + 2, for the first layer, two a block, and the last.

    Parameters
    ----------
    widths : (int, int, int)
        Inputs, width of the stream, outputs.
    activation : str, Activation or callable
        φ within the branches; the stream itself is linear.
    blocks : int
        K, at least 1. There are 2 K + 2 layers.
    branch_scale : float
        α, a fixed number.
    normalise : bool
        Whether the last layer of each branch is batch-normalised.

    Attributes
    ----------
    ends : frozenset of int
        Indices of the layers that end a branch. There, ``trace.activations`` is the stream after
        the block and ``trace.pre_activations`` the output of the branch.

    Examples
    --------
    >>> net = ResidualMLP((64, 32, 10), "relu", blocks=3)
    >>> net.widths
    (64, 32, 32, 32, 32, 32, 32, 32, 10)
    >>> sorted(net.ends)
    [2, 4, 6]
    """

    def __init__(
        self,
        widths: Sequence[int],
        activation: Any = "relu",
        *,
        blocks: int,
        branch_scale: float = 1.0,
        normalise: bool = False,
        **options: Any,
    ) -> None:
        if not isinstance(widths, (Sequence, np.ndarray)) or len(widths) != 3:
            _checks.fail("widths", "three integers: inputs, stream, outputs", widths)
        inputs, width, outputs = widths
        blocks = _checks.integer("blocks", blocks, at_least=1)
        self.ends = frozenset(range(2, 2 * blocks + 1, 2))
        self.branch_scale = _checks.number("branch_scale", branch_scale)
        normalise = _checks.flag("normalise", normalise)
        super().__init__(
            (inputs, *[width] * (2 * blocks + 1), outputs),
            activation,
            normalised=sorted(self.ends) if normalise else (),
            **options,
        )

    def _phi(self, layer: int) -> activations.Activation:
        if layer == self.depth:
            return self.output_activation
        return self.activation if layer % 2 else activations.get("linear")
