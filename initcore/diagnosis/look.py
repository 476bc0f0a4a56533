"""What one batch showed of a net, whatever framework it is of.

An adapter (`of_arrays`, `of_torch`, `of_keras`) sends a batch through a model and back, and fills
a `Look`; `criteria` judges it. Nothing here knows a framework, a threshold or a verdict.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from initcore import activations, probes

MOST = 1 << 20  # numbers of one array that are measured: evenly chosen inputs beyond
NEAR = 2e-3  # of the largest output: more than half precision, or the tanh in a GELU, changes


@dataclass
class Signal:
    """What an array ``(inputs, ..., units)`` looks like; all in float64, of the finite numbers."""

    finite: float  # share of the numbers that are finite
    rms: float
    mean: float
    median: float  # of the absolute values
    across: float  # standard deviation over the inputs, averaged over places and units
    cosine: float  # mean between inputs, each with all its places and units; NaN for one input
    dead: float  # share of the units that are 0 for every input, at every place
    saturated: float  # share beyond `probes.SATURATED`; NaN where the activation has no ends
    units: int


def measure(values: np.ndarray, activation: str | None = None) -> Signal:
    """Return the `Signal` of an array of shape ``(inputs, ..., units)``, of any float dtype.

    Divided by its largest number first, so that no square overflows or underflows.

    >>> measure(np.array([[1e30, -1e30], [1e30, np.inf]], np.float32)).rms
    1.0000000150474662e+30
    """
    values = np.asarray(values)
    if values.size > MOST and len(values) > 2:
        step = -(-values.size // MOST)
        values = values[:: min(step, len(values) // 2)]
    values = values.astype(np.float64)
    units = values.shape[-1]
    good = np.isfinite(values)
    if not good.any():
        return Signal(0.0, *[np.nan] * 7, units)
    kept = np.where(good, values, 0.0)
    largest = float(np.abs(kept).max())
    scaled = kept / (largest or 1.0)
    rows = scaled.reshape(len(scaled), -1)
    saturated = np.nan
    if activation in probes.SATURATED:
        saturated = float(probes.SATURATED[activation](kept)[good].mean())
    return Signal(
        finite=float(good.mean()),
        rms=largest * float(np.sqrt(np.square(scaled).sum() / good.sum())),
        mean=largest * float(scaled.sum() / good.sum()),
        median=largest * float(np.median(np.abs(scaled[good]))),
        across=largest * float(rows.std(axis=0).mean()),
        cosine=float(probes.mean_cosine(rows)) if len(rows) > 1 else np.nan,
        dead=float((kept == 0).all(axis=tuple(range(kept.ndim - 1))).mean()),
        saturated=saturated,
        units=units,
    )


def named(z: np.ndarray, a: np.ndarray) -> str | None:
    """Return the name of the activation whose values at z are a; None if none is near.

    A leaky ReLU of any slope is one, and any multiple of z is linear.

    >>> z = np.linspace(-2.0, 2.0, 9)
    >>> named(z, np.where(z > 0, z, 0.2 * z)), named(z, 3 * z), named(z, np.cos(z))
    ('leaky_relu(0.2)', 'linear', None)
    """
    if z.shape != a.shape or not z.size or not np.isfinite([z, a]).all():
        return None
    known = {name: activations.get(name)(z) for name in activations.names()}
    slope, end = round(float(a[z.argmin()] / (z.min() or 1.0)), 4), np.abs(z).argmax()
    if z.min() < 0 < abs(slope) < 0.99:  # beyond, it is linear
        leaky = activations.make_leaky_relu(slope)
        known[leaky.name] = leaky(z)
    if z[end] and a[end]:
        known["linear"] = z * (a[end] / z[end])
    errors = {name: np.abs(values - a).max() for name, values in known.items()}
    best = min(errors, key=errors.get)
    return best if errors[best] <= NEAR * np.abs(a).max() else None


def task_of(is_integer: bool, size: int, outputs: int) -> tuple[str, str]:
    """Return the task, and the remark on it: fewer integers than outputs are labels of classes."""
    task = "classes" if is_integer and size < outputs else "regression"
    return task, f", as y holds {'integers' if is_integer else 'floats'}"


def distinct(stack: np.ndarray, bias: np.ndarray | None, at_least: bool = False) -> int | None:
    """Return the number of units of a stack that differ; None if not all numbers are finite.

    Of a large one the rows with the largest numbers are compared first; `at_least`: no others.
    """
    groups, _, units = stack.shape
    count = groups * units
    bias = bias.reshape(groups, units) if bias is not None and bias.size == count else None
    if not np.isfinite(stack).all() or not (bias is None or np.isfinite(bias).all()):
        return None
    largest = np.abs(stack).max(axis=(0, 2)).argsort()[-max(1, MOST // count) :]
    few = int(probes.distinct_units(stack[:, largest], bias).sum())
    is_enough = at_least or few == count or len(largest) == stack.shape[1]
    return few if is_enough else int(probes.distinct_units(stack, bias).sum())


@dataclass(eq=False)
class Layer:
    """One call of one layer; a shared module has one for each call.

    ``weight`` is a stack of matrices, ``(groups, fan_in, units)`` in float64: an output is the
    sum of `fan_in` products, whatever the framework's own layout. A convolution's places are in
    fan_in; a grouped or depthwise one has several groups; an embedding has ``(1, entries,
    units)``, a packed query-key-value projection 3 groups. A transposed convolution of stride s
    has ``(1, channels · places, units)``, and its fan_in is smaller.
    """

    name: str  # as the framework names it ("blocks.0.attn.c_proj"), then " (call 2)" and so on
    # "dense", "convolution", "depthwise convolution", "transposed convolution", "embedding",
    # "attention" (a projection of it), "recurrent", or "normalisation" (`weight` is None).
    kind: str
    weight: np.ndarray | None = None
    bias: np.ndarray | None = None
    fan_in: float = np.nan  # the true ones: products that meet in an output, and outputs that an
    fan_out: float = np.nan  # input reaches; see `weigh`
    shape: tuple[int, ...] = ()  # of the weight as the framework stores it
    # What the framework's own initializers take for fan_in and fan_out of that shape.
    library_fans: tuple[float, float] = (np.nan, np.nan)
    key: str = ""  # of the weight in `Look.tensors`: equal for shared and tied weights
    # The φ before the next layer, as `activations.get` knows it; None: it is not understood.
    activation: str | None = None
    normalised: bool = False  # a normalisation stands before the next layer with weights
    branch: str | None = None  # the residual branch that ends here: it is added to a stream
    opens: bool = False  # a residual branch begins here: what came in goes past it as well
    scale: np.ndarray | None = None  # γ of a normalisation
    inputs: Signal | None = None  # these five are None where there were no data
    sums: Signal | None = None  # ``x @ W + b``
    outputs: Signal | None = None  # φ of the sums
    stream: Signal | None = None  # the sum after the addition, where `branch` is set
    deltas: Signal | None = None  # the gradient by `sums`
    gradient: Signal | None = None  # that by the weight
    distinct: int | None = None  # units that differ in their incoming weights and bias
    distinct_gradients: int | None = None  # and in the gradient by these
    update: float | None = None  # RMS of the optimizer's first step over that of the weight
    trainable: bool = True
    places: int = 1  # of a convolution's kernel

    def weigh(
        self,
        stack: np.ndarray,
        bias: np.ndarray | None = None,
        by_stack: np.ndarray | None = None,
        by_bias: np.ndarray | None = None,
        places: int = 1,
        stride: int = 1,
    ) -> None:
        """Set what a weight, a bias and the gradients by them tell, of a layer whose kind is set.

        `stack` and `by_stack` are as `weight`, or γ of any shape; `places` and `stride` products.
        A stride divides a transposed convolution's fan_in, and another one's fan_out.
        """
        self.bias = None if bias is None else np.asarray(bias, np.float64)
        if self.kind == "normalisation":
            self.scale = np.array(stack, np.float64).ravel()
            self.gradient = None if by_stack is None else measure(by_stack.reshape(1, -1))
            return
        self.weight, self.places = np.asarray(stack, np.float64), places
        _, n, m = stack.shape
        is_transposed = self.kind.startswith("transposed")
        self.fan_in = 1.0 if self.kind == "embedding" else float(n / stride**is_transposed)
        self.fan_out = float(m * places / stride ** (not is_transposed))
        self.distinct = distinct(self.weight, self.bias)
        if by_stack is not None:
            self.gradient = measure(by_stack.reshape(-1, by_stack.shape[-1]))
            self.distinct_gradients = distinct(by_stack, by_bias, at_least=True)


@dataclass
class Look:
    """What an adapter saw of a model."""

    framework: str  # "initcore", "torch", "keras" or "arrays"
    layers: list[Layer]  # in the order of the calls
    # Every parameter and buffer, by name, as it is stored, tied ones once.
    tensors: dict[str, np.ndarray]
    unseen: dict[str, int] = field(default_factory=dict)  # not judged, by class: {"LSTM": 1}
    # The batch, ``(inputs, ...)``; integers are tokens. Of a dict or tuple the first float array.
    inputs: np.ndarray | None = None
    targets: np.ndarray | None = None
    outputs: np.ndarray | None = None  # (inputs, ..., classes), logits or predictions in float64
    loss: float | None = None
    task: str | None = None  # "classes", "regression", or None: it is not understood
    optimizer: str | None = None
    ignored: int = -100  # the label of what does not count
    loss_name: str = ""  # and why it was taken, if it was not given

    def add_updates(self, after: Mapping[str, np.ndarray]) -> None:
        """Note how far an optimizer moves each weight, by the tensors after its step."""
        for layer in (layer for layer in self.layers if layer.key in after):
            old = self.tensors[layer.key].astype(np.float64)
            size = np.linalg.norm(old)
            with np.errstate(invalid="ignore"):  # infinity less itself
                step = np.linalg.norm(after[layer.key].astype(np.float64) - old)
            layer.update = float(step / size) if size else None


def log_softmax(look: Look, is_raw: bool = False) -> tuple[np.ndarray, np.ndarray] | None:
    """Return ln softmax (inputs, classes) and labels (inputs,); of one logit two classes.

    Probabilities are taken for what they are, unless all outputs are to be logits.
    """
    if look.task != "classes" or look.outputs is None or look.targets is None:
        return None
    z, y = look.outputs.reshape(-1, look.outputs.shape[-1]), np.asarray(look.targets)
    if y.size == z.size > len(z) and np.allclose(y.reshape(z.shape).sum(axis=1), 1):
        y = y.reshape(z.shape).argmax(axis=1)
    elif y.size == z.size:  # each output says yes or no
        z = z.reshape(-1, 1)
    y = y.reshape(-1)
    if len(y) != len(z) or not np.isfinite(z).all() or not np.isfinite(y).all():
        return None
    kept = y != look.ignored
    z, y = z[kept], y[kept]
    if not len(y) or (y % 1).any():
        return None
    y = y.astype(np.intp)
    if z.shape[1] == 1:  # a logit, or a probability
        is_probability = look.layers and look.layers[-1].activation == "sigmoid" and not is_raw
        z = np.concatenate([1 - z if is_probability else np.zeros_like(z), z], axis=1)
    if z.min() >= 0 and np.allclose(z.sum(axis=1), 1, atol=1e-3) and not is_raw:
        z = np.log(np.maximum(z, 1e-12))
    return z - np.logaddexp.reduce(z, axis=1, keepdims=True), y
