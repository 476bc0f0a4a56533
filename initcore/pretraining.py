"""Greedy layer-wise pretraining, by autoencoders and by restricted Boltzmann machines (level 5).

A layer learns to describe what comes out of the layer below, then it is frozen and its activations
are the data of the next. No label is used anywhere. The fine-tuning of all layers together is left
to `training.fit`. All replicas of a network are pretrained at once. Arrays that do not fit are a
``ValueError``, what holds no numbers is a ``TypeError``.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from initcore import _checks, activations, optimizers
from initcore.losses import LOSSES
from initcore.network import CHAINS, MLP, product, replica_generators
from initcore.training import _progress_bar, batches, fit


@dataclass(frozen=True, eq=False, repr=False)
class Stack:
    """Layers that were trained one by one; index ``l`` is layer ``l + 1``.

    Attributes
    ----------
    method : {"autoencoder", "rbm"}
    weights, biases : list of ndarray, ([replicas,] n_{l-1}, n_l) and ([replicas,] n_l)
        Those of the layer when pretraining ended.
    decoder_weights, decoder_biases : list of ndarray
        What leads back to the layer below, ``([replicas,] n_l, n_{l-1})`` and ``([replicas,]
        n_{l-1})``; in an RBM the transposed weights, and the biases of the visible units.
    errors : list of ndarray, shape (rows,) or (rows, replicas)
        The squared error of a layer's reconstruction of its own input, summed over the units,
        averaged over the examples; row 0 is before the first step, the last row at the end.
    """

    method: str
    weights: list[np.ndarray]
    biases: list[np.ndarray]
    decoder_weights: list[np.ndarray]
    decoder_biases: list[np.ndarray]
    errors: list[np.ndarray]

    def __repr__(self) -> str:
        widths = [self.weights[0].shape[-2], *[W.shape[-1] for W in self.weights]]
        return f"Stack({self.method!r}, {'-'.join(map(str, widths))})"


def pretrain(
    net: MLP,
    x: np.ndarray,
    *,
    method: str,
    optimizer: Any,
    epochs: int = 10,
    batch_size: int = 32,
    layers: int | None = None,
    seed: int | np.random.Generator | None = 0,
    measure_every: int = 1,
    probe: Callable[[MLP], Any] | None = None,
) -> Stack:
    """Train a network's first layers in place, one after the other, without labels; return them.

    Layer l starts from the weights it has and learns from ``a_{l-1}``, the activations of the
    layers below, which stay as they are (Hinton and Salakhutdinov 2006 with RBMs; Bengio et al.
    2007 with RBMs and with autoencoders). A layer that takes long shows a bar, as `fit` does.

    - ``"autoencoder"``: minimises ``mean Σ_i (r_i - a_{l-1,i})²`` of the reconstruction
      ``r = sigmoid(φ(a_{l-1} W + b) V + d)``. V starts as Wᵀ and is then free (untied); d starts
      as 0.
    - ``"rbm"``: one step of contrastive divergence, see `contrastive_divergence`.

    Parameters
    ----------
    x : array_like, shape (examples, n_0) or (replicas, examples, n_0)
        Inputs from 0 to 1, for example pixels; a value between is taken as a probability.
    method : {"autoencoder", "rbm"}
        ``"rbm"`` needs a sigmoid network, ``"autoencoder"`` one whose activations lie in [0, 1].
    layers : int, optional
        How many; all hidden layers by default.
    net, optimizer, epochs, batch_size, seed, measure_every
        As in `fit`, for each layer; an RBM's hidden units are sampled from the seed, too.
    probe : callable, optional
        ``probe(net)`` is called before the first layer is trained and after each.

    Raises
    ------
    ValueError, TypeError
        Inputs that do not fit or leave [0, 1], an unknown method, a network of another activation
        than the method needs, more layers than there are, or a layer that diverged.

    Examples
    --------
    >>> from initcore.datasets import load_digits
    >>> from initcore.optimizers import SGD
    >>> net = MLP((64, 16, 8, 10), "sigmoid", weights="random_normal", replicas=3)
    >>> pixels = load_digits().x[:200] / 16
    >>> stack = pretrain(net, pixels, method="rbm", optimizer=SGD(0.1), epochs=2)
    >>> stack, stack.errors[0].shape
    (Stack('rbm', 64-16-8), (3, 3))
    >>> bool((net.weights[1] == stack.weights[1]).all())
    True
    """
    _checks.instance("net", net, MLP, "an initcore.network.MLP")
    train = {"autoencoder": _autoencoder, "rbm": _rbm}
    _checks.choice("method", method, tuple(train))
    x = _in_unit_interval("x", net.check_batch("x", x))
    optimizer = optimizers.get(optimizer)
    epochs = _checks.integer("epochs", epochs, at_least=1)
    batch_size = _checks.integer("batch_size", batch_size, at_least=1, at_most=x.shape[-2])
    measure_every = _checks.integer("measure_every", measure_every, at_least=1)
    layers = net.depth if layers is None else layers
    layers = _checks.integer("layers", layers, at_least=1, at_most=net.n_layers)
    if method == "rbm" and net.activation is not activations.sigmoid:
        _checks.fail("net", "a sigmoid network: an RBM's hidden units are", net)
    if probe is not None and not callable(probe):
        _checks.fail("probe", "a function of the network", probe, TypeError)
    streams = _streams(seed, layers)
    how = {"epochs": epochs, "batch_size": batch_size, "measure_every": measure_every}
    trained = []
    if probe is not None:
        probe(net)
    for layer in range(layers):
        W, b = net.weights[layer], net.biases[layer]
        V, d, errors, diverged = train[method](net, W, b, x, optimizer, seed=streams[layer], **how)
        if diverged:
            allowed = f"one with which layer {layer + 1} does not diverge"
            _checks.fail("optimizer", allowed, optimizer)
        trained.append((W.copy(), b.copy(), V, d, errors))
        x = net.activation(product(x, W) + b[..., None, :])
        if layer + 1 < layers:
            x = _in_unit_interval(f"activations of layer {layer + 1}", x)
        if probe is not None:
            probe(net)
    return Stack(method, *map(list, zip(*trained)))


def unroll(net: MLP, stack: Stack) -> None:
    """Set the layers of a deep autoencoder's second half to the decoders of a stack, in place.

    The last layer undoes the first, the last but one the second, and so on (Hinton and
    Salakhutdinov 2006, figure 1). From then on the two halves are trained apart. The widths of the
    network read the same backwards, and it has twice the layers of the stack; otherwise this is a
    ``ValueError``.

    Examples
    --------
    >>> from initcore.optimizers import SGD
    >>> net = MLP((4, 3, 2, 3, 4), "sigmoid", output_activation="sigmoid")
    >>> stack = pretrain(net, np.eye(4), method="rbm", optimizer=SGD(0.1), batch_size=4, layers=2)
    >>> unroll(net, stack)
    >>> bool((net.weights[3] == net.weights[0].T).all())
    True
    """
    _checks.instance("stack", stack, Stack, "what `pretrain` returns")
    shapes = [W.shape for W in stack.decoder_weights[::-1]]
    half = len(shapes)
    if net.n_layers != 2 * half or [W.shape for W in net.weights[half:]] != shapes:
        _checks.fail("stack", f"one of the first half of {net!r}", stack)
    for layer in range(half):
        np.copyto(net.weights[-1 - layer], stack.decoder_weights[layer])
        np.copyto(net.biases[-1 - layer], stack.decoder_biases[layer])


def energy(v: np.ndarray, h: np.ndarray, W: np.ndarray, b: np.ndarray, c: np.ndarray) -> Any:
    """Return the energy of a restricted Boltzmann machine's joint states.

    ``E(v, h) = -Σ_i c_i v_i - Σ_j b_j h_j - Σ_ij v_i W_ij h_j``, and
    ``p(v, h) = exp(-E(v, h)) / Z``. No term couples two visible or two hidden units, which is
    the *restricted*, and why ``p(h_j = 1 | v) = sigmoid(b_j + Σ_i v_i W_ij)``, unit by unit.

    Parameters
    ----------
    v, h : array_like, shape (..., n_visible) and (..., n_hidden)
        The states; the energy has their shape without the last axis.
    W : array_like, shape (n_visible, n_hidden)
    b, c : array_like, shape (n_hidden,) and (n_visible,)
        Biases of the hidden units (the layer's b) and of the visible ones.

    Examples
    --------
    >>> float(energy([1, 0], [1], W=[[2.0], [5.0]], b=[0.5], c=[0.25, 4.0]))
    -2.75
    """
    W = _checks.array("W", W, ndim=2)
    v, h, b, c = (_checks.array(n, a) for n, a in (("v", v), ("h", h), ("b", b), ("c", c)))
    for name, values, n in (("v", v, 0), ("h", h, 1), ("b", b, 1), ("c", c, 0)):
        if values.ndim < 1 or values.shape[-1] != W.shape[n]:
            _checks.fail(name, f"an array whose last axis has {W.shape[n]} entries", values)
    return -(v @ c) - h @ b - ((v @ W) * h).sum(axis=-1)


def contrastive_divergence(
    v: np.ndarray, W: np.ndarray, b: np.ndarray, c: np.ndarray, uniform: np.ndarray
) -> tuple[list[np.ndarray], np.ndarray]:
    """Return the CD-1 step of a restricted Boltzmann machine, as a gradient to descend.

    With ``p = sigmoid(v W + b)``, sampled hidden states ``h = [uniform < p]``, the reconstruction
    ``r = sigmoid(h Wᵀ + c)`` and ``s = sigmoid(r W + b)``, the step is

    ``ΔW ∝ mean_batch(vᵀ p - rᵀ s)``, ``Δb ∝ mean_batch(p - s)``, ``Δc ∝ mean_batch(v - r)``

    (Hinton 2002). Hidden states are sampled where they drive the reconstruction and
    probabilities are used elsewhere. What is returned is minus that, for an optimizer.

    Parameters
    ----------
    v : ndarray, shape ([replicas,] batch, n_visible)
        Data from 0 to 1.
    W, b, c : ndarray
        As in `energy`, in front an axis of replicas where `v` has one.
    uniform : ndarray, shape ([replicas,] batch, n_hidden)
        Uniform random numbers in [0, 1).

    Returns
    -------
    list of ndarray
        Minus the steps of W, b and c.
    ndarray, shape of `v`
        The reconstruction.

    Examples
    --------
    >>> v, W = np.array([[1.0, 0.0]]), np.zeros((2, 1))
    >>> (dW, db, dc), r = contrastive_divergence(v, W, np.zeros(1), np.zeros(2), np.array([[0.3]]))
    >>> dW.tolist(), dc.tolist(), r.tolist()
    ([[-0.25], [0.25]], [-0.5, 0.5], [[0.5, 0.5]])
    """
    numbers = {"v": v, "W": W, "uniform": uniform}
    v, W, uniform = (_checks.array(n, a, ndim=(2, 3), finite=False) for n, a in numbers.items())
    biases = {"b": b, "c": c}
    b, c = (_checks.array(n, a, ndim=(1, 2), finite=False) for n, a in biases.items())
    sigmoid = activations.sigmoid
    p = sigmoid(product(v, W) + b[..., None, :])
    h = (uniform < p).astype(v.dtype)
    r = sigmoid(product(h, W.swapaxes(-1, -2)) + c[..., None, :])
    s = sigmoid(product(r, W) + b[..., None, :])
    dW = product(r.swapaxes(-1, -2), s) - product(v.swapaxes(-1, -2), p)
    gradients = [dW, (s - p).sum(axis=-2), (r - v).sum(axis=-2)]
    return [g / v.shape[-2] for g in gradients], r


# One layer: each changes W and b in place, and returns the decoder's weights and biases, the
# errors, and whether a replica diverged.


def _autoencoder(net, W, b, x, optimizer, **how):
    kind = {"output_activation": "sigmoid", "replicas": net.replicas, "dtype": net.dtype}
    layer = MLP((*W.shape[-2:], W.shape[-2]), net.activation, weights="zeros", **kind)
    layer.weights[:] = W, W.swapaxes(-1, -2).copy()
    layer.biases[0] = b
    history = fit(layer, x, x, loss="squared_error", optimizer=optimizer, **how)
    return layer.weights[1], layer.biases[1], history.loss, np.any(history.diverged >= 0)


def _rbm(net, W, b, x, optimizer, *, epochs, batch_size, measure_every, seed):
    c = np.zeros(W.shape[:-2] + W.shape[-2:-1], W.dtype)
    orders = replica_generators(seed, net.replicas)
    chains = replica_generators(seed, net.replicas, CHAINS)
    if net.replicas is not None:
        x = np.broadcast_to(x, (net.replicas, *x.shape[-2:]))

    def error() -> np.ndarray:
        """Squared error of the mean-field reconstruction, hidden probabilities for states."""
        p = activations.sigmoid(product(x, W) + b[..., None, :])
        r = activations.sigmoid(product(p, W.swapaxes(-1, -2)) + c[..., None, :])
        return LOSSES["squared_error"](r, x)[0]

    errors = [error()]
    optimizer.start([W, b, c])
    steps = epochs * len(range(0, x.shape[-2], batch_size))
    with contextlib.closing(_progress_bar(steps)) as bar:
        for epoch in range(1, epochs + 1):
            for index in batches(orders, x.shape[-2], batch_size, net.replicas):
                v = x[index]
                shape = (v.shape[-2], W.shape[-1])
                uniform = np.stack([rng.random(shape, W.dtype) for rng in chains])
                uniform = uniform if net.replicas else uniform[0]
                gradients, _ = contrastive_divergence(v, W, b, c, uniform)
                optimizer.step([W, b, c], gradients)
                bar.update()
            if epoch % measure_every == 0 or epoch == epochs:
                errors.append(error())
    diverged = not all(np.isfinite(values).all() for values in (W, b, c, *errors))
    return W.swapaxes(-1, -2).copy(), c, np.array(errors), diverged


def _streams(seed: Any, layers: int) -> list:
    """Return a seed a layer: what a layer draws does not depend on how many follow."""
    rng = _checks.generator("seed", seed)
    if seed is None or rng is seed:
        return rng.spawn(layers)
    return [int(s) for s in np.random.SeedSequence(int(seed)).generate_state(layers)]


def _in_unit_interval(name: str, x: np.ndarray) -> np.ndarray:
    if x.min() < 0 or x.max() > 1:
        _checks.fail(name, "from 0 to 1", x)
    return x
