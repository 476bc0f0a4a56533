"""A small transformer: forward with a trace, backward by hand, many seeds at once (level 2).

It is an `MLP` to whoever trains it. The stream of all tokens is one matrix of ``batch * tokens``
rows. Each part of the forward pass returns its output, and the function for the way back.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from initcore import _checks
from initcore.network import MLP, SCALES, Gradients, product, replica_generators

TOGETHER = 64  # examples that `predict` takes at a time: then they stay in the cache


@dataclass(frozen=True, eq=False, repr=False)
class TransformerTrace:
    """What a forward pass computed. A block has two branches: attention, then the MLP.

    The `streams` after the embedding and after each branch (with post-norm, normalised) and what
    the `branches` add, before their gates, are ``([replicas,] batch * tokens, width)`` each; the
    attention `logits` of each block are ``([replicas,] batch, heads, tokens, tokens)``.
    """

    output: np.ndarray
    streams: list[np.ndarray]
    branches: list[np.ndarray]
    logits: list[np.ndarray]
    tape: list[tuple[Callable, Callable]]
    ends: tuple[Callable, ...]


@dataclass(frozen=True, eq=False, repr=False)
class TransformerGradients(Gradients):
    """`Gradients`, whose deltas are those by the trace's streams, with three lists more."""

    scales: list[np.ndarray]
    shifts: list[np.ndarray]
    gates: list[np.ndarray]

    def parameters(self) -> list[np.ndarray]:
        """Return the gradients of all parameters, in the order of the network's."""
        return [*self.weights, *self.biases, *self.scales, *self.shifts, *self.gates]


def _mean(x: np.ndarray) -> np.ndarray:
    """Return the mean over the last axis, which stays: as a product, many times faster."""
    return x @ np.full((x.shape[-1], 1), 1.0 / x.shape[-1], x.dtype)


def _sum_rows(x: np.ndarray) -> np.ndarray:
    return (np.ones((1, x.shape[-2]), x.dtype) @ x)[..., 0, :]


class Transformer(MLP):
    """An encoder that classifies a sequence of vectors, or R independent ones side by side.

    An input of ``tokens * n`` numbers is cut into tokens of n, each embedded by one matrix plus a
    position of its own. L blocks add two branches of u, with d the width of a head:
    ``softmax(scale Q Kᵀ) V W'``, head by head, and ``φ(u W) W' + b'``. With pre-norm the stream
    becomes ``h + branch(norm(h))``, and a last norm follows the blocks; with post-norm it becomes
    ``norm(h + branch(h))`` (Xiong et al. 2020). The mean over the tokens goes through the head.
    There is no mask and no dropout.

    Parameters
    ----------
    widths : (int, int, int)
        Inputs, width of the stream, classes.
    activation : str, Activation or callable
        φ of the MLPs, which have `hidden` units: 4 * width by default.
    blocks, tokens, heads : int
        L; what the inputs, and what the width is divided by.
    norm : {"layer", "rms", "none"}
        Layer normalisation; or the stream over its root mean square; or nothing.
    place : {"pre", "post"}
        Where the norms stand.
    packed : bool
        Whether queries, keys and values are one weight, ``(width, 3 * width)``, or three.
    weights : str, Initializer, callable(shape, dtype), or a mapping of roles to these
        The roles are embedding; qkv, or queries, keys, values; attention_out; mlp_in; mlp_out;
        head. What a mapping leaves out is "lecun_normal".
    positions, biases : str, Initializer or callable(shape, dtype)
        The positions, ``(tokens, width)``, and all biases.
    gates : str, Initializer or callable(shape, dtype), optional
        With it, each branch is multiplied by one trained number (ReZero, Bachlechner et al. 2021).
    attention_scale : float, optional
        What multiplies the logits; ``1 / √d`` by default (Vaswani et al. 2017).

    The other parameters, and the errors, are those of `MLP` and `BatchNormMLP`. The attributes are
    `roles`, one for each of the `weights`; `biases`, of which the first are the positions; `scales`
    and `shifts`, γ and β of the norms (no β without a mean to subtract); and `gates`.

    Examples
    --------
    >>> net = Transformer((64, 16, 10), blocks=2)
    >>> net.roles[:5]
    ('embedding', 'qkv', 'attention_out', 'mlp_in', 'mlp_out')
    >>> trace = net.forward(np.ones((5, 64)))
    >>> trace.output.shape, len(trace.streams), trace.logits[0].shape
    ((5, 10), 5, (5, 2, 8, 8))
    """

    def __init__(
        self,
        widths: Sequence[int],
        activation: Any = "gelu",
        *,
        blocks: int,
        tokens: int = 8,
        heads: int = 2,
        hidden: int | None = None,
        norm: str = "layer",
        place: str = "pre",
        packed: bool = True,
        weights: Any = "lecun_normal",
        positions: Any = "zeros",
        biases: Any = "zeros",
        gates: Any = None,
        attention_scale: float | None = None,
        epsilon: float = 1e-5,
        replicas: int | None = None,
        seed: int | np.random.Generator | None = 0,
        dtype: Any = "float64",
    ) -> None:
        if len(sizes := _checks.shape("widths", widths)) != 3:
            _checks.fail("widths", "three integers: inputs, stream, classes", widths)
        inputs, width, classes = sizes
        self.blocks = _checks.integer("blocks", blocks, at_least=1)
        self.tokens = _checks.integer("tokens", tokens, at_least=1)
        self.heads = _checks.integer("heads", heads, at_least=1)
        hidden = 4 * width if hidden is None else _checks.integer("hidden", hidden, at_least=1)
        if inputs % self.tokens or width % self.heads:
            _checks.fail("widths", f"inputs of {tokens} tokens, a width of {heads} heads", widths)
        self.norm = _checks.choice("norm", norm, ("layer", "rms", "none"))
        self.place = _checks.choice("place", place, ("pre", "post"))
        self.packed = _checks.flag("packed", packed)
        scale = (width // self.heads) ** -0.5 if attention_scale is None else attention_scale
        self.attention_scale = _checks.number("attention_scale", scale)
        self.epsilon = _checks.number("epsilon", epsilon, at_least=0.0)

        block = (
            {"qkv": (width, 3 * width)}
            if packed
            else dict.fromkeys(("queries", "keys", "values"), (width,) * 2)
        )
        block |= {"attention_out": (width,) * 2, "mlp_in": (width, hidden)}
        block["mlp_out"] = (hidden, width)
        ends = ("embedding", (inputs // tokens, width)), ("head", (width, classes))
        self.roles, self._shapes = zip(ends[0], *list(block.items()) * blocks, ends[1])
        norms = (2 * self.blocks + (place == "pre")) * (norm != "none")
        self._norm_shapes = [(width,)] * norms
        self._gate_shapes = [(1,)] * (0 if gates is None else 2 * self.blocks)
        if isinstance(weights, Mapping):
            for role in weights:
                _checks.choice("weights", role, tuple(dict.fromkeys(self.roles)))
            weights = [weights.get(role, "lecun_normal") for role in self.roles]
        start = {"weights": weights, "biases": [positions] + [biases] * (len(self.roles) - 1)}
        super().__init__(sizes, activation, **start, replicas=replicas, seed=seed, dtype=dtype)
        shapes, rngs = self._parameter_shapes(), replica_generators(seed, self.replicas, SCALES)
        self.scales = self._draw("scales", "ones", shapes["scales"], rngs)
        self.shifts = self._draw("shifts", "zeros", shapes["shifts"], rngs)
        self.gates = self._draw("gates", "zeros" if gates is None else gates, shapes["gates"], rngs)

    def parameters(self) -> list[np.ndarray]:
        """Return the arrays themselves in one list: weights, biases, scales, shifts, gates."""
        return [*self.weights, *self.biases, *self.scales, *self.shifts, *self.gates]

    def weights_of(self, role: str) -> list[np.ndarray]:
        """Return the weights of a role, block by block."""
        _checks.choice("role", role, tuple(dict.fromkeys(self.roles)))
        return [W for W, its in zip(self.weights, self.roles) if its == role]

    def backward(self, trace: Any, output_gradient: np.ndarray) -> TransformerGradients:
        """Return the derivatives of a loss, given that by the output; errors are as in `MLP`.

        For A = softmax(s), ``∂loss/∂s = A (G - Σ_keys A G)`` with ``G = ∂loss/∂A``; for a norm
        û = (x - mean x) / s, ``(g - mean g - û mean(g û)) / s``, without mean g for the RMS.
        """
        self._check_parameters()
        _checks.instance("trace", trace, TransformerTrace, "what `forward` returned")
        if len(trace.tape) != 2 * self.blocks or trace.streams[0].shape[-1] != self.widths[1]:
            _checks.fail("trace", "one of this network", trace)
        gradient = _checks.array("output_gradient", output_gradient, dtype=self.dtype)
        if gradient.shape != trace.output.shape:
            _checks.fail("output_gradient", f"of the shape {trace.output.shape}", gradient)
        return self._backward(trace, gradient)

    def _parameter_shapes(self) -> dict[str, list[tuple[int, ...]]]:
        biases = [(self.tokens, self._shapes[0][1]), *[(n,) for _, n in self._shapes[1:]]]
        shifts = self._norm_shapes if self.norm == "layer" else []
        lists = {"weights": [*self._shapes], "biases": biases, "scales": self._norm_shapes}
        return lists | {"shifts": shifts, "gates": self._gate_shapes}

    def _linear(self, layer: int, x: np.ndarray) -> tuple[np.ndarray, Callable]:
        W = self.weights[layer]

        def back(g: np.ndarray, into: TransformerGradients) -> np.ndarray:
            into.weights[layer] = product(x.swapaxes(-1, -2), g)
            into.biases[layer] = _sum_rows(g)
            return product(g, W.swapaxes(-1, -2))

        z = product(x, W)
        if layer:  # the positions are not the same for all rows
            z += self.biases[layer][..., None, :]
        return z, back

    def _normalised(self, slot: int, x: np.ndarray) -> tuple[np.ndarray, Callable]:
        if self.norm == "none":
            return x, lambda g, into: g
        is_layer, scale = self.norm == "layer", self.scales[slot][..., None, :]
        if is_layer:
            x = x - _mean(x)
        size = np.sqrt(_mean(np.square(x)) + self.dtype.type(self.epsilon))
        u = x / size

        def back(g: np.ndarray, into: TransformerGradients) -> np.ndarray:
            into.scales[slot] = _sum_rows(g * u)
            if is_layer:
                into.shifts[slot] = _sum_rows(g)
            g = g * scale
            mean = _mean(g) if is_layer else 0
            return (g - mean - u * _mean(g * u)) / size

        return (u * scale + self.shifts[slot][..., None, :] if is_layer else u * scale), back

    def _attention(self, block: int, x: np.ndarray) -> tuple[np.ndarray, Callable, np.ndarray]:
        first = 1 + block * (4 if self.packed else 6)
        count = 1 if self.packed else 3
        made = [self._linear(first + i, x) for i in range(count)]
        parts = np.split(made[0][0], 3, axis=-1) if self.packed else [z for z, _ in made]
        q, k, v = (self._by_head(part) for part in parts)
        scale = self.dtype.type(self.attention_scale)
        logits = scale * product(q, k.swapaxes(-1, -2))
        A = np.exp(logits - np.maximum.reduce(np.moveaxis(logits, -1, 0))[..., None])
        A /= _mean(A) * self.dtype.type(self.tokens)
        out, back_out = self._linear(first + count, self._by_row(product(A, v)))

        def back(g: np.ndarray, into: TransformerGradients) -> np.ndarray:
            g = self._by_head(back_out(g, into))
            by_A = product(g, v.swapaxes(-1, -2))
            along = _mean(A * by_A) * self.dtype.type(self.tokens)
            by_logits = scale * A * (by_A - along)
            g_q, g_k = product(by_logits, k), product(by_logits.swapaxes(-1, -2), q)
            gs = [self._by_row(part) for part in (g_q, g_k, product(A.swapaxes(-1, -2), g))]
            gs = [np.concatenate(gs, axis=-1)] if self.packed else gs
            return sum(back_one(one, into) for (_, back_one), one in zip(made, gs))

        return out, back, logits

    def _by_token(self, rows: np.ndarray) -> np.ndarray:
        return rows.reshape(*rows.shape[:-2], -1, self.tokens, rows.shape[-1])

    def _by_head(self, x: np.ndarray) -> np.ndarray:
        size = x.shape[-1] // self.heads
        x = self._by_token(x)
        return x.reshape(*x.shape[:-1], self.heads, size).swapaxes(-2, -3)

    def _by_row(self, x: np.ndarray) -> np.ndarray:
        x = x.swapaxes(-2, -3)
        return x.reshape(*x.shape[:-4], -1, self.widths[1])

    def _mlp(self, block: int, x: np.ndarray) -> tuple[np.ndarray, Callable]:
        last = (block + 1) * (4 if self.packed else 6)
        z, back_in = self._linear(last - 1, x)
        out, back_out = self._linear(last, self.activation(z))

        def back(g: np.ndarray, into: TransformerGradients) -> np.ndarray:
            return back_in(back_out(g, into) * self.activation.derivative(z), into)

        return out, back

    def _forward(self, x: np.ndarray, rngs: Any = None, keep: bool = True) -> TransformerTrace:
        rows = x.reshape(*x.shape[:-2], -1, self.widths[0] // self.tokens)
        h, embedded = self._linear(0, rows)
        h = self._by_token(h) + self.biases[0][..., None, :, :]
        h = h.reshape(*h.shape[:-3], -1, h.shape[-1])
        streams, branches, all_logits, tape = [h], [], [], []
        for branch in range(2 * self.blocks):
            u, back_norm = self._normalised(branch, h) if self.place == "pre" else (h, None)
            block, is_mlp = divmod(branch, 2)
            if is_mlp:
                added, back = self._mlp(block, u)
            else:
                added, back, logits = self._attention(block, u)
            h = h + (self.gates[branch][..., None, :] * added if self.gates else added)
            if self.place == "post":
                h, back_norm = self._normalised(branch, h)
            if keep:
                kept = (h, added, (back_norm, back), *(() if is_mlp else (logits,)))
                for one, of_all in zip(kept, (streams, branches, tape, all_logits)):
                    of_all.append(one)
        back_norm = None
        if self.place == "pre":
            h, back_norm = self._normalised(2 * self.blocks, h)
        output, headed = self._linear(len(self.weights) - 1, self._by_token(h).mean(axis=-2))
        return TransformerTrace(
            output, streams, branches, all_logits, tape, (embedded, back_norm, headed)
        )

    def _predict(self, x: np.ndarray) -> np.ndarray:
        parts = np.array_split(x, -(-x.shape[-2] // TOGETHER), axis=-2)
        return np.concatenate([self._forward(p, keep=False).output for p in parts], axis=-2)

    def _backward(
        self, trace: Any, output_gradient: np.ndarray, by_inputs: bool = True
    ) -> TransformerGradients:
        lists = self._parameter_shapes().values()
        empty = [[np.empty(0)] * len(shapes) for shapes in lists]
        into = TransformerGradients(*empty[:2], [], None, *empty[2:])
        embedded, back_norm, headed = trace.ends
        g = headed(output_gradient, into) / self.dtype.type(self.tokens)
        g = np.repeat(g, self.tokens, axis=-2)
        g = back_norm(g, into) if back_norm else g
        into.deltas.append(g)
        for branch in reversed(range(2 * self.blocks)):
            back_norm, back = trace.tape[branch]
            by_sum = back_norm(g, into) if self.place == "post" else g
            by_branch = by_sum
            if self.gates:
                into.gates[branch] = (by_sum * trace.branches[branch]).sum(axis=(-1, -2))[..., None]
                by_branch = by_sum * self.gates[branch][..., None, :]
            by_branch = back(by_branch, into)
            g = by_sum + (back_norm(by_branch, into) if self.place == "pre" else by_branch)
            into.deltas.insert(0, g)
        by_rows = embedded(g, into)
        into.biases[0] = self._by_token(g).sum(axis=-3)
        if not by_inputs:
            return into
        x_gradient = by_rows.reshape(*by_rows.shape[:-2], -1, self.widths[0])
        return dataclasses.replace(into, inputs=x_gradient)
