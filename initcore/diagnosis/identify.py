"""What scheme a layer's weights look like: the shape of their law, and the rule of its scale.

A weight is a sample, so its standard deviation and kurtosis are known up to a sampling error, and
a rule is only refused if the deviation is beyond that. The rules are those of Keras, PyTorch and
JAX, each with the true fans, and then with the fans that people and libraries take by mistake.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from initcore import _checks
from initcore.diagnosis.look import Layer
from initcore.sampling import TRUNCATED_STD


class Law(NamedTuple):
    """Kurtosis κ = E[x⁴] of a standardized law, n times the sampling variance of κ, and its end."""

    kurtosis: float
    variance: float  # E[x⁸] - 4κ E[x⁶] + 4κ³ - κ², by the delta method
    end: float


LAWS = {
    "uniform": Law(9 / 5, 1.3166, math.sqrt(3)),
    "truncated normal": Law(2.36554, 3.8482, 2 / TRUNCATED_STD),
    "normal": Law(3.0, 24.0, math.inf),
}
SIGMAS = 4.0  # a law or rule is refused beyond these sampling errors: one in 16,000 by chance
ROUNDING = 0.002  # relative; bfloat16 rounds by up to 0.004, and by less on average
FEW = 20  # numbers below which the law is not guessed
PROBED = 32  # rows whose products tell whether a matrix is orthogonal
ALIKE = 1e-3  # relative; float16 keeps orthogonality to about this
MOST = 1 << 20  # weights from which moments are taken: a sampling error of 0.1%


class Rule(NamedTuple):
    """A scale: its name, the standard deviation, and whose fans it takes ("true" or which)."""

    name: str
    sd: float
    fans: str


@dataclass(frozen=True)
class Scheme:
    """What `identify` found.

    Attributes
    ----------
    kind : str
        "zeros", "constant", "identity", "orthogonal", "uniform", "truncated normal", "normal",
        "few numbers", or "other" where no law fits.
    rule : Rule or None
        The rule that fits best; None if none does.
    sd, error : float
        Root mean square of the weights, and its relative standard error.
    fits : tuple of Rule
        All rules within the sampling error, `rule` first.
    mean : float
    """

    kind: str
    rule: Rule | None
    sd: float
    error: float
    fits: tuple[Rule, ...] = ()
    mean: float = 0.0

    def __str__(self) -> str:
        if self.kind in ("zeros", "identity"):
            return self.kind
        if self.kind == "constant":
            return f"constant {self.mean:.3g}"
        name = self.rule.name if self.rule else f"sd {self.sd:.3g}"
        if self.kind == "orthogonal":
            return f"orthogonal, gain {name}"
        law = "" if self.kind in ("other", "few numbers") else f" {self.kind}"
        return f"{name}{law}, ±{self.error:.1%}"

    @property
    def sentence(self) -> str:
        """The same in words, with the other rules that fit."""
        if self.rule is None or self.kind == "orthogonal":
            return f"{self}; no known rule" if self.rule is None and self.error else str(self)
        off = self.sd / self.rule.sd - 1.0
        text = (
            f"{self.kind} of standard deviation {self.sd:.3g}, {abs(off):.1%} "
            f"{'above' if off > 0 else 'below'} that of {self.rule.name} ({self.rule.sd:.3g}), "
            f"with a sampling error of {self.error:.1%}"
        )
        others = list(dict.fromkeys(rule.name for rule in self.fits[1:]))
        return f"{text}; the same for this shape: {', '.join(others)}" if others else text


def places(layer: Layer) -> int:
    """Return over how many places of the input a convolution's kernel reaches, 1 of others."""
    if "convolution" not in layer.kind or layer.weight is None or len(layer.shape) < 3:
        return 1
    out_first = layer.weight.shape[1] == math.prod(layer.shape[1:])  # PyTorch's layout
    return math.prod(layer.shape[2:] if out_first else layer.shape[:-2])


def rules(layer: Layer, branches: int = 0) -> list[Rule]:
    """Return the rules that are known for a layer, those with the true fans first.

    Sources: LeCun et al. 1998, Glorot and Bengio 2010, He et al. 2015; Radford et al. 2018 for
    0.02; the chapters on Glorot, He and other layers for what the libraries take for fans.

    Parameters
    ----------
    layer : Layer
    branches : int
        Residual branches in the net, for GPT-2's ``0.02/√branches``.
    """
    n, m = layer.fan_in, layer.fan_out

    def scalings(n: float, m: float, fans: str, note: str = "") -> list[Rule]:
        named = {"Glorot": 2 / (n + m), "LeCun": 1 / n, "He": 2 / n}
        return [Rule(name + note, math.sqrt(v), fans) for name, v in named.items()]

    found = scalings(n, m, "true")
    found += [
        Rule("PyTorch default", math.sqrt(1 / (3 * n)), "true"),
        Rule("gain 5/3", 5 / 3 / math.sqrt(n), "true"),
        Rule("gain 3/4", 3 / 4 / math.sqrt(n), "true"),
    ]
    if branches:
        found.append(Rule(f"0.02/√{branches}", 0.02 / math.sqrt(branches), "fixed"))
    fixed = {"0.02": 0.02, "0.01": 0.01, "0.05": 0.05, "N(0, 1)": 1.0, "±0.05": 0.05 / 3**0.5}
    found += [Rule(name, sd, "fixed") for name, sd in fixed.items()]
    found.append(Rule("0.02, cut", 0.02 * TRUNCATED_STD, "fixed"))
    if layer.kind == "embedding":
        found.append(Rule("1/√units", layer.weight.shape[-1] ** -0.5, "fixed"))
        return found
    if not np.allclose(layer.library_fans, (n, m), equal_nan=True):
        found += scalings(*layer.library_fans, "library", ", library's fans")
    if (k := places(layer)) > 1:
        found += scalings(n / k, m / k, "places", " without places")
    if m != n:
        found += [
            Rule("He, fan_out", math.sqrt(2 / m), "fan_out"),
            Rule("LeCun, fan_out", math.sqrt(1 / m), "fan_out"),
            Rule("PyTorch default, fan_out", math.sqrt(1 / (3 * m)), "fan_out"),
        ]
    found += [Rule(f"{r.name}'s variance", r.sd**2, "variance") for r in found[:3]]
    return found


def identify(layer: Layer, branches: int = 0) -> Scheme | None:
    """Return what scheme a layer's weights look like, or None for a layer without weights.

    The standard error of a standard deviation is ``√((κ - 1) / 4N)`` of it, where κ is the law's
    kurtosis and N the number of weights. A square layer cannot tell He's rule from the one with
    fan_out, nor LeCun's from Glorot's: `Scheme.fits` holds all that fit.

    Parameters
    ----------
    layer : Layer
        With `weight`, the fans, `shape` and `library_fans`.
    branches : int
        As in `rules`.

    Examples
    --------
    >>> W = np.random.default_rng(0).uniform(-0.1, 0.1, (1, 100, 50))
    >>> layer = Layer("fc", "dense", W, None, 100, 50, (100, 50), (100, 50))
    >>> print(identify(layer))
    PyTorch default uniform, ±0.6%
    """
    if not isinstance(layer, Layer):
        _checks.fail("layer", "a Layer of a Look", layer, TypeError)
    if layer.weight is None or not np.isfinite(layer.weight).all():
        return None
    matrix = layer.weight
    if not matrix.any():
        return Scheme("zeros", None, 0.0, 0.0)
    if np.ptp(matrix) == 0.0:
        value = float(matrix.flat[0])
        return Scheme("constant", None, abs(value), 0.0, mean=value)
    w = matrix.reshape(-1)[:: -(-matrix.size // MOST)]
    count, mean, sd = len(w), float(w.mean()), float(np.sqrt(np.square(w).mean()))
    if (special := _special(matrix, sd)) is not None:
        return special
    kind, kurtosis = _law(w, mean)
    error = math.sqrt(max(kurtosis - 1.0, 0.1) / (4 * count))
    if abs(mean) > SIGMAS * sd / math.sqrt(count):  # no rule has a mean
        return Scheme("other" if kind == "few numbers" else kind, None, sd, error, mean=mean)
    fits = [
        rule
        for rule in rules(layer, branches)
        if abs(sd / rule.sd - 1.0) <= SIGMAS * error + ROUNDING
        and (kind in ("uniform", "few numbers") or not rule.name.startswith(("PyTorch", "±")))
    ]
    if kind == "other":
        fits = []
    order = ["true", "fixed", "library", "places", "fan_out", "variance"]
    fits.sort(key=lambda rule: (order.index(rule.fans), abs(math.log(sd / rule.sd))))
    return Scheme(kind, fits[0] if fits else None, sd, error, tuple(fits), mean)


def _law(w: np.ndarray, mean: float) -> tuple[str, float]:
    """Return the law that the weights are likeliest from, and its kurtosis (theirs if none)."""
    if len(w) < FEW:
        return "few numbers", 3.0
    centred = w - mean
    sd = centred.std()
    kurtosis = float(np.mean((centred / sd) ** 4))
    room = 1.0 + SIGMAS / math.sqrt(len(w))
    off = {
        name: abs(kurtosis - law.kurtosis) / math.sqrt(law.variance / len(w))
        for name, law in LAWS.items()
        if np.abs(centred).max() <= law.end * sd * room
    }
    # In a small sample the normal's own kurtosis scatters far; the nearest law is taken.
    name = min(off, key=off.get)
    return (name, LAWS[name].kurtosis) if off[name] <= SIGMAS else ("other", kurtosis)


def _special(matrix: np.ndarray, sd: float) -> Scheme | None:
    """Return the scheme of a weight that is no sample: an identity or an orthogonal matrix."""
    used = matrix != 0
    if (used.sum(axis=1) == 1).all() and matrix.shape[2] > 1 and np.ptp(matrix[used]) == 0.0:
        return Scheme("identity", None, sd, 0.0)
    flat = matrix if matrix.shape[1] <= matrix.shape[2] else matrix.swapaxes(1, 2)
    if flat.shape[1] < 2:
        return None
    some = flat[:, :PROBED]
    gram = some @ some.swapaxes(1, 2)
    square = np.diagonal(gram, axis1=1, axis2=2).mean()
    if np.abs(gram / square - np.eye(some.shape[1])).max() > ALIKE:
        return None
    gain = math.sqrt(square)
    return Scheme("orthogonal", Rule(f"{gain:.3g}", sd, "true"), sd, 0.0)
