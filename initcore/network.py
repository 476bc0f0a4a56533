"""A fully connected network: forward with a trace, backward by hand (level 2).

A layer computes ``z = x @ W + b`` and ``a = φ(z)``. With a *replica* axis in front, R independent
networks (other seeds of one experiment) run in one batched matrix product. The module computes
and returns; it measures nothing, draws no figure and never trains by itself.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from numbers import Integral
from typing import Any

import numpy as np

from initcore import _checks, activations, initializers

MANY = 256  # rows from which on `predict` takes the replicas one by one
HAS_BLAS = sys.platform != "emscripten"  # in a browser, NumPy multiplies matrices in plain loops
LONG = 64  # terms or columns from which on `einsum` is faster than those loops

# On Linux the memory of an array above 128 kB goes back to the system when the array is freed, and
# a step of 32 replicas spent 40% of its time on getting it again. To free a larger array raises
# that limit to its size, up to 32 MB. Nothing of this one is touched, so that it costs nothing.
if sys.platform == "linux":
    np.empty(30_000_000, np.uint8)

# What one seed is used for beside the weights: each use has its own stream of random numbers. No
# experiment has two uses of one number. The stored outputs and figures depend on these numbers.
ORDER = 1  # of the examples in training, and dropout there
INPUTS = 1  # of networks that are not trained
SCALES = 2  # of batch normalisation
CHAINS = 2  # hidden units that a restricted Boltzmann machine samples
BROKEN = 9  # nets that break the assumptions of the variance derivation


def replica_generators(
    seed: int | np.random.Generator | None, replicas: int | None, *stream: int
) -> list[np.random.Generator]:
    """Return one random generator a replica; replica r's does not depend on how many there are.

    Parameters
    ----------
    seed : int, numpy.random.Generator or None
        Of an integer, replica r gets the r-th spawned child of ``SeedSequence(seed)``, and so
        shares no number with ``default_rng(seed)``, from which a user may draw the inputs; of a
        Generator, its r-th spawned child; of None, a fresh unpredictable generator.
    replicas : int or None
        How many, at least 1; None gives one, the same as replica 0.
    *stream : int
        What for: nothing for the weights, otherwise one of `ORDER`, `INPUTS`, `SCALES`, `CHAINS`,
        `BROKEN`.

    Examples
    --------
    >>> two, three = replica_generators(0, 2), replica_generators(0, 3)
    >>> float(two[1].random()) == float(three[1].random())
    True
    """
    count = 1 if replicas is None else _checks.integer("replicas", replicas, at_least=1)
    stream = tuple(_checks.integer("stream", one, at_least=0) for one in stream)
    rng = _checks.generator("seed", seed)
    if seed is None or rng is seed:
        return rng.spawn(count)
    keys = [np.random.SeedSequence(int(seed), spawn_key=(r, *stream)) for r in range(count)]
    return [np.random.default_rng(key) for key in keys]


def product(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return ``a @ b``, in the fastest way that NumPy has for it.

    With a BLAS that is ``a @ b`` itself. The browser's NumPy has none: there `numpy.einsum`, whose
    inner loop runs along neighbours in memory, is up to six times faster than ``@``, but slower
    for small matrices. All products of the passes go through this function. The shapes are
    ``([replicas,] m, k)``, ``([replicas,] k, n)`` and ``([replicas,] m, n)``.

    >>> product(np.array([[1.0, 2.0]]), np.array([[3.0], [4.0]]))
    array([[11.]])
    """
    return a @ b if HAS_BLAS else _product_without_blas(a, b)


def _product_without_blas(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    along = _einsum_runs_along(a, b)
    if along is None:
        return a @ b
    if along == "terms":
        a, b = np.ascontiguousarray(a), np.ascontiguousarray(b.swapaxes(-1, -2)).swapaxes(-1, -2)
    replicas = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    a, b = (np.broadcast_to(array, replicas + array.shape[-2:]) for array in (a, b))
    out = np.empty((*replicas, a.shape[-2], b.shape[-1]), np.result_type(a, b))
    for r in np.ndindex(replicas):  # one by one: einsum is slower with an axis more
        np.einsum("mk,kn->mn", a[r], b[r], out=out[r])
    return out


def _einsum_runs_along(a: np.ndarray, b: np.ndarray) -> str | None:
    """Return the axis of b for einsum's inner loop, or None where ``@`` is not slower.

    In Pyodide 0.27 (GFlop/s, ``@`` against einsum): 0.9 and 5.1 for (64 × 256) (256 × 256),
    3.3 and 4.0 for (64 × 64) (64 × 50), but 3.8 and 3.1 for (32 × 32) (32 × 50).
    """
    m, k, n = *a.shape[-2:], b.shape[-1]
    if m * k * n < 50_000 or max(k, n) < LONG:
        return None
    is_transposed = b.strides[-2] < b.strides[-1]
    along, length = ("terms", k) if is_transposed or n < LONG else ("columns", n)
    return along if length >= LONG else None


@dataclass(frozen=True, eq=False, repr=False)
class Trace:
    """What a forward pass computed; index ``l`` is layer ``l + 1``.

    Attributes
    ----------
    inputs : list of ndarray, shape ([replicas,] batch, fan_in)
        What each layer multiplies by its weights: the batch (without a replica axis where all
        replicas share it), then the activations, with dropout applied.
    pre_activations : list of ndarray, shape ([replicas,] batch, fan_out)
        ``inputs[l] @ W + b``.
    activations : list of ndarray, shape ([replicas,] batch, fan_out)
        φ of the pre-activations, before dropout.
    masks : list of (ndarray or None)
        The factor, 0 or 1 / (1 - rate), that dropout put on each layer's activations.
    """

    inputs: list[np.ndarray]
    pre_activations: list[np.ndarray]
    activations: list[np.ndarray]
    masks: list[np.ndarray | None]

    @property
    def output(self) -> np.ndarray:
        """The activations of the last layer."""
        return self.activations[-1]

    def __repr__(self) -> str:
        return f"Trace({len(self.activations)} layers, output of shape {self.output.shape})"


@dataclass(frozen=True, eq=False, repr=False)
class Gradients:
    """Derivatives of the loss; index ``l`` is layer ``l + 1``.

    Attributes
    ----------
    weights : list of ndarray, shape ([replicas,] fan_in, fan_out)
        By each layer's weights.
    biases : list of ndarray, shape ([replicas,] fan_out)
        By each layer's biases.
    deltas : list of ndarray, shape ([replicas,] batch, fan_out)
        By each layer's pre-activations.
    inputs : ndarray, shape ([replicas,] batch, fan_in of layer 1), or None
        By the batch: each replica's own, where they share one batch too. `loss_and_gradients`
        leaves it out, since no training step needs it.
    """

    weights: list[np.ndarray]
    biases: list[np.ndarray]
    deltas: list[np.ndarray]
    inputs: np.ndarray | None

    def parameters(self) -> list[np.ndarray]:
        """Return the gradients of all parameters, in the order of `MLP.parameters`."""
        return [*self.weights, *self.biases]

    def __repr__(self) -> str:
        inputs = "" if self.inputs is None else f", by inputs of shape {self.inputs.shape}"
        return f"Gradients({len(self.weights)} layers{inputs})"


class MLP:
    """A fully connected network, or R independent ones side by side.

    ``z_l = a_{l-1} W_l + b_l`` and ``a_l = φ(z_l)``, with ``a_0 = x``; the L hidden layers are
    1 … L, and the output is layer L + 1.

    Parameters
    ----------
    widths : sequence of int
        ``(n_0, …, n_L)``: inputs, hidden layers, outputs; at least two.
    activation : str, Activation or callable
        φ of every hidden layer.
    weights, biases : str, Initializer, callable(shape, dtype), array, or a list of these
        Initializers of the ``(fan_in, fan_out)`` weights and the ``(fan_out,)`` biases; a list
        names one a layer. One that carries a seed of its own is called as it is, as Keras does:
        an integer seed then gives layers of equal shape equal weights.
    output_activation : str, Activation or callable
        φ of the last layer.
    dropout : float
        Share of the hidden activations that a forward pass with `rng` sets to zero, in [0, 1).
    replicas : int or None
        R networks in one pass; all arrays then have a leading axis. None: one, without the axis.
    seed : int, numpy.random.Generator or None
        Replica r draws the weights, then the biases, layer by layer, from the r-th of the
        `replica_generators`.
    dtype : {"float32", "float64"}
        Precision of all parameters and computations.

    Attributes
    ----------
    weights : list of ndarray, shape ([replicas,] fan_in, fan_out)
        One a layer; may be changed in place.
    biases : list of ndarray, shape ([replicas,] fan_out)
        One a layer.

    Raises
    ------
    ValueError, TypeError
        Widths or a rate out of range, an unknown name, a list of another length than the layers, an
        initializer that returns another shape or something not finite, or one integer-seeded
        initializer for more than one replica.

    Examples
    --------
    >>> net = MLP((64, 32, 10), "relu", weights="he_normal", replicas=20)
    >>> net
    MLP(widths=(64, 32, 10), activation='relu', replicas=20, dtype='float64')
    >>> net.weights[0].shape, net.biases[0].shape
    ((20, 64, 32), (20, 32))
    """

    def __init__(
        self,
        widths: Sequence[int],
        activation: str | activations.Activation | Callable = "tanh",
        *,
        weights: Any = "glorot_uniform",
        biases: Any = "zeros",
        output_activation: str | activations.Activation | Callable = "linear",
        dropout: float = 0.0,
        replicas: int | None = None,
        seed: int | np.random.Generator | None = 0,
        dtype: Any = "float64",
    ) -> None:
        self.widths = _checks.shape("widths", widths)
        if len(self.widths) < 2:
            _checks.fail("widths", "a sequence of at least two integers", widths)
        self.activation = activations.get(activation)
        self.output_activation = activations.get(output_activation)
        self.dropout = _checks.number("dropout", dropout, at_least=0.0, below=1.0)
        if replicas is not None:
            replicas = _checks.integer("replicas", replicas, at_least=1)
        self.replicas = replicas
        self.dtype = _checks.float_dtype("dtype", dtype)
        if self.dtype == np.float16:
            _checks.fail("dtype", "one of 'float32', 'float64'", dtype, TypeError)
        # All weights are drawn before the first bias: whatever the biases, the weights are equal.
        rngs = replica_generators(seed, replicas)
        shapes = self._parameter_shapes()
        self.weights = self._draw("weights", weights, shapes["weights"], rngs)
        self.biases = self._draw("biases", biases, shapes["biases"], rngs)

    def _draw(self, name: str, spec: Any, shapes: list, rngs: list) -> list[np.ndarray]:
        """Return the weights (or biases) of all replicas, an array a layer."""
        names = [f"{name}[{layer}]" for layer in range(len(shapes))]
        layers = list(zip(names, _per_layer(name, spec, len(shapes), self.replicas), shapes))
        drawn = [[self._draw_one(*layer, rng) for layer in layers] for rng in rngs]
        return [self._stacked(arrays) for arrays in zip(*drawn)]

    def _draw_one(
        self, name: str, maker: Callable, shape: tuple[int, ...], rng: np.random.Generator
    ) -> np.ndarray:
        """Return one layer's array of one replica."""
        seeded = getattr(maker, "seed", None) is not None
        if isinstance(maker, initializers.Initializer) and not seeded:
            # Rounded below: a net in float32 starts where the one in float64 of its seed does.
            drawn = maker.draw(shape, rng, "float64")
        else:
            drawn = maker(shape, self.dtype.name)
        drawn = _checks.array(name, drawn, dtype=self.dtype)
        if drawn.shape != shape:
            _checks.fail(name, f"an initializer that returns {shape}", drawn)
        return drawn.copy()  # an initializer may hand out an array that it keeps

    def _stacked(self, arrays: Sequence[np.ndarray]) -> np.ndarray:
        """Return the replicas' arrays as one, or the only one without the axis of replicas."""
        return arrays[0] if self.replicas is None else np.stack(arrays)

    @property
    def n_layers(self) -> int:
        """The number of weight layers: the hidden ones, L, and the output."""
        return len(self.widths) - 1

    @property
    def depth(self) -> int:
        """The number of hidden layers, L."""
        return self.n_layers - 1

    def parameters(self) -> list[np.ndarray]:
        """Return the arrays themselves in one list: all weights, then all biases.

        Examples
        --------
        >>> [p.shape for p in MLP((3, 2, 1)).parameters()]
        [(3, 2), (2, 1), (2,), (1,)]
        """
        return [*self.weights, *self.biases]

    def __repr__(self) -> str:
        parts = [f"widths={self.widths}", f"activation={self.activation.name!r}"]
        if self.output_activation.name != "linear":
            parts.append(f"output_activation={self.output_activation.name!r}")
        if self.dropout:
            parts.append(f"dropout={self.dropout:g}")
        if self.replicas is not None:
            parts.append(f"replicas={self.replicas}")
        return f"{type(self).__name__}({', '.join(parts)}, dtype={self.dtype.name!r})"

    def forward(self, x: np.ndarray, *, rng: int | np.random.Generator | None = None) -> Trace:
        """Return all that the network computes from a batch.

        With `rng`, hidden activations are multiplied by a mask of 0 (probability `dropout`) and
        1 / (1 - dropout), so that their mean stays (inverted dropout; Srivastava et al. 2014).

        Parameters
        ----------
        x : array_like, shape (batch, n_0) or (replicas, batch, n_0)
            One batch for all replicas, or one for each.
        rng : int, numpy.random.Generator or None
            None: no dropout. A Generator (or the one of an integer) is spawned, one child a
            replica.

        Returns
        -------
        Trace
            Overflow of extreme weights shows in it as inf or NaN, with NumPy's warning.

        Raises
        ------
        ValueError, TypeError
            `x` of another shape or not finite, a wrong `rng`, or parameters whose shape or
            dtype was changed.

        Examples
        --------
        >>> trace = MLP((3, 5, 2), seed=1).forward([[1.0, 0.0, -1.0]])
        >>> [z.shape for z in trace.pre_activations], trace.output.shape
        ([(1, 5), (1, 2)], (1, 2))
        """
        x, rngs = self.check_batch("x", x), None
        if rng is not None:
            rngs = _checks.generator("rng", rng).spawn(self.replicas or 1)
        return self._forward(x, rngs)

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Return the output alone, ``([replicas,] batch, n_L)``, without dropout.

        Arguments and errors are those of `forward`, but no trace is kept in memory.

        Examples
        --------
        >>> MLP((3, 2), weights="ones", biases="ones").predict([[1.0, 2.0, 3.0]])
        array([[7., 7.]])
        """
        return self._predict(self.check_batch("x", x))

    def backward(self, trace: Trace, output_gradient: np.ndarray) -> Gradients:
        """Return the derivatives of a loss, given that by the output.

        ``δ_L = ∂loss/∂a_L · φ'(z_L)``, ``δ_l = (δ_{l+1} W_{l+1}ᵀ) · φ'(z_l)``,
        ``∂loss/∂W_l = a_{l-1}ᵀ δ_l``, ``∂loss/∂b_l = Σ_batch δ_l`` (Glorot and Bengio 2010,
        eqs. 2 and 3); where dropout acted, its mask multiplies on the way back too.

        Parameters
        ----------
        trace : Trace
            What `forward` of this network returned, its parameters unchanged since.
        output_gradient : array_like, shape of ``trace.output``
            ∂loss/∂output: if the loss is a mean over the batch, so are these.

        Raises
        ------
        ValueError, TypeError
            A trace of another network, or an `output_gradient` of another shape or not finite.

        Examples
        --------
        >>> net = MLP((2, 1), weights="ones")
        >>> gradients = net.backward(net.forward([[3.0, 4.0]]), [[1.0]])
        >>> gradients.weights[0].tolist(), gradients.inputs.tolist()
        ([[3.0], [4.0]], [[1.0, 1.0]])
        """
        self._check_parameters()
        _checks.instance("trace", trace, Trace, "a Trace that `forward` returned")
        expected = [(*self._replica_shape, *trace.output.shape[-2:-1], n) for n in self.widths[1:]]
        if [z.shape for z in trace.pre_activations] != expected:
            _checks.fail("trace", f"one of this network, with layers of shape {expected}", trace)
        gradient = _checks.array("output_gradient", output_gradient, dtype=self.dtype)
        if gradient.shape != trace.output.shape:
            allowed = f"an array of the output's shape {trace.output.shape}"
            _checks.fail("output_gradient", allowed, gradient)
        return self._backward(trace, gradient)

    def loss_and_gradients(
        self,
        x: np.ndarray,
        y: np.ndarray,
        loss: Callable,
        rngs: list[np.random.Generator] | None = None,
    ) -> tuple[np.ndarray, Gradients]:
        """Return the loss of a batch and its derivatives: forward, the loss, backward.

        Nothing is checked, so that a training loop can go on while one replica overflows:
        `training.fit` checks its arguments once, and calls this at each step. The batch `x` is what
        `check_batch` returned, and `y` has its labels or targets; ``loss(output, y)`` returns the
        loss and its gradient, as in `losses.LOSSES`; `rngs` are for dropout, one a replica.

        Examples
        --------
        >>> from initcore.losses import LOSSES
        >>> net, x, y = MLP((1, 1), weights="ones"), np.array([[3.0]]), np.array([[1.0]])
        >>> loss, gradients = net.loss_and_gradients(x, y, LOSSES["squared_error"])
        >>> float(loss), gradients.weights[0].tolist()
        (4.0, [[12.0]])
        """
        trace = self._forward(x, rngs)
        value, gradient = loss(trace.output, y)
        return value, self._backward(trace, gradient, by_inputs=False)

    # The passes themselves, on checked arguments.

    def _phi(self, layer: int) -> activations.Activation:
        return self.activation if layer < len(self.widths) - 2 else self.output_activation

    def _predict(self, x: np.ndarray) -> np.ndarray:
        if self.replicas is not None and x.shape[-2] >= MANY:
            # On many rows the layers of one replica stay in the processor's cache.
            own = np.broadcast_to(x, (self.replicas, *x.shape[-2:]))
            return np.stack([self._output(own[r], r) for r in range(self.replicas)])
        return self._output(x, ...)

    def _output(self, x: np.ndarray, replica: Any) -> np.ndarray:
        """Return the output of one replica, or of all (``...``)."""
        for layer in range(self.n_layers):
            z = product(x, self.weights[layer][replica])
            z += self.biases[layer][replica][..., None, :]
            x = self._phi(layer)(z)
        return x

    def _forward(self, x: np.ndarray, rngs: list[np.random.Generator] | None) -> Trace:
        trace = Trace([], [], [], [])
        for layer in range(self.n_layers):
            z = product(x, self.weights[layer])
            z += self.biases[layer][..., None, :]
            a = self._phi(layer)(z)
            drops = rngs is not None and self.dropout > 0 and layer < self.depth
            mask = self._mask(a.shape[-2:], rngs) if drops else None
            trace.inputs.append(x)
            trace.pre_activations.append(z)
            trace.activations.append(a)
            trace.masks.append(mask)
            x = a if mask is None else a * mask
        return trace

    def _mask(self, shape: tuple[int, ...], rngs: list[np.random.Generator]) -> np.ndarray:
        keep = 1.0 - self.dropout
        kept = self._stacked([rng.random(shape) < keep for rng in rngs])
        return kept * self.dtype.type(1.0 / keep)

    def _backward(
        self, trace: Trace, output_gradient: np.ndarray, by_inputs: bool = True
    ) -> Gradients:
        weights, biases, deltas = [], [], []
        gradient = output_gradient.copy()
        for layer in reversed(range(self.n_layers)):
            delta = gradient  # turned into δ in place
            if trace.masks[layer] is not None:
                delta *= trace.masks[layer]
            delta *= self._phi(layer).derivative(trace.pre_activations[layer])
            weights.append(product(trace.inputs[layer].swapaxes(-1, -2), delta))
            biases.append(delta.sum(axis=-2))
            deltas.append(delta)
            if layer > 0 or by_inputs:
                gradient = product(delta, self.weights[layer].swapaxes(-1, -2))
        return Gradients(weights[::-1], biases[::-1], deltas[::-1], gradient if by_inputs else None)

    # Checks of what comes from outside.

    @property
    def _replica_shape(self) -> tuple[int, ...]:
        return () if self.replicas is None else (self.replicas,)

    def check_batch(self, name: str, x: Any) -> np.ndarray:
        """Return a batch that this network takes, in its dtype.

        Errors are those of `forward`, about the argument of this name.
        """
        self._check_parameters()
        x = _checks.array(name, x, dtype=self.dtype)
        good = x.ndim == 2 or (x.ndim == 3 and x.shape[:-2] == self._replica_shape)
        if not good or x.shape[-1] != self.widths[0]:
            allowed = f"an array of shape (batch, {self.widths[0]})"
            if self.replicas is not None:
                allowed += f" or ({self.replicas}, batch, {self.widths[0]})"
            _checks.fail(name, allowed, x)
        return x

    def _parameter_shapes(self) -> dict[str, list[tuple[int, ...]]]:
        """Return the shapes, without replicas, of the arrays in each list of parameters."""
        return {"weights": list(pairwise(self.widths)), "biases": [(n,) for n in self.widths[1:]]}

    def _check_parameters(self) -> None:
        """Raise if an array in `weights` or `biases` was replaced by one that does not fit."""
        for name, shapes in self._parameter_shapes().items():
            arrays = getattr(self, name)
            if len(arrays) != len(shapes):
                _checks.fail(name, f"a list of {len(shapes)} arrays", arrays)
            for layer, (array, shape) in enumerate(zip(arrays, shapes, strict=True)):
                shape = self._replica_shape + shape
                fits = isinstance(array, np.ndarray) and array.dtype == self.dtype
                if not fits or array.shape != shape:
                    allowed = f"an array of shape {shape} and dtype {self.dtype}"
                    _checks.fail(f"{name}[{layer}]", allowed, array)


def _per_layer(name: str, spec: Any, n_layers: int, replicas: int | None) -> list:
    """Return one initializer a layer."""
    specs = list(spec) if isinstance(spec, (list, tuple)) else [spec] * n_layers
    if len(specs) != n_layers:
        _checks.fail(name, f"one initializer, or a list of {n_layers} (one a layer)", spec)
    makers = [initializers.get(one) for one in specs]
    for layer, maker in enumerate(makers):
        if not callable(maker):
            _checks.fail(f"{name}[{layer}]", "an initializer", specs[layer], TypeError)
        if (replicas or 1) > 1 and isinstance(getattr(maker, "seed", None), Integral):
            _checks.fail(
                f"{name}[{layer}]",
                f"an initializer without an integer seed when there are {replicas} replicas (it "
                "would make them all equal; pass `seed` to the network instead)",
                maker,
            )
    return makers
