"""What scheme a layer's weights look like: the shape of their law, and the rule of its scale.

A weight is a sample, so its standard deviation and kurtosis are known up to a sampling error, and
a rule is refused only beyond it. The rules are those of Keras, PyTorch and JAX, with the true fans
first, and then with the fans that people and libraries take for them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from initcore import _checks
from initcore.diagnosis.look import Layer
from initcore.sampling import TRUNCATED_STD

# Of each law, standardized: its kurtosis κ = E[x⁴]; N times the sampling variance of that, which
# is E[x⁸] - 4κ E[x⁶] + 4κ³ - κ² by the delta method; and its end.
LAWS = {
    "uniform": (9 / 5, 1.3166, math.sqrt(3)),
    "truncated normal": (2.36554, 3.8482, 2 / TRUNCATED_STD),
    "normal": (3.0, 24.0, math.inf),
}
SIGMAS = 4.0  # sampling errors beyond which a law or a rule is refused: by chance one in 16,000
ROUNDING = 0.002  # relative; a weight in bfloat16 is off by up to 0.004, their RMS by less
FEW = 20  # numbers below which the law is not guessed
PROBED = 32  # rows whose products tell whether a matrix is orthogonal
ALIKE = 1e-3  # relative; float16 keeps products of rows to about this
MOST = 1 << 20  # weights that moments are taken of: a sampling error of 0.1%
WRONG = ("library", "places", "fan_out", "variance")  # whose fans a rule takes by mistake


class Rule(NamedTuple):
    """A scale: its name, its standard deviation, and whose fans: "true", "fixed" or of `WRONG`."""

    name: str
    sd: float
    fans: str


@dataclass(frozen=True)
class Scheme:
    """What `identify` found; its text is a cell of the report's table."""

    # "zeros", "constant", "identity", "orthogonal", one of `LAWS`, "few numbers" where these
    # cannot be told apart, or "other" where none fits.
    kind: str
    rule: Rule | None  # the one that fits best
    sd: float  # root mean square of the weights
    error: float = 0.0  # its relative standard error
    fits: tuple[Rule, ...] = ()  # all rules within it, `rule` first

    def __str__(self) -> str:
        if self.kind in ("zeros", "identity"):
            return self.kind
        name = self.rule.name if self.rule else f"sd {self.sd:.3g}"
        if not self.error:
            return f"{self.kind}, {name}"
        law = self.kind.split()[-1] if self.kind in LAWS else ""  # the cell is short
        return f"{name} {law}".strip() + f", ±{self.error:.1%}"


def rules(layer: Layer, branches: int = 0) -> list[Rule]:
    """Return the rules that are known for a layer, those with the true fans first.

    Sources: LeCun et al. 1998, Glorot and Bengio 2010, He et al. 2015, for 0.02, and GPT-2's
    0.02/√branches, Radford et al. 2018; the chapter on other layers for the libraries' fans.
    """
    n, m = layer.fan_in, layer.fan_out

    def scaling(fans: str, n: float, m: float, note: str = "") -> list[Rule]:
        variances = {"Glorot": 2 / (n + m), "LeCun": 1 / n, "He": 2 / n}
        return [Rule(name + note, math.sqrt(v), fans) for name, v in variances.items()]

    gains = {"PyTorch": 1 / math.sqrt(3), "gain 5/3": 5 / 3, "gain 3/4": 3 / 4}
    fixed = {f"sd {sd:g}": sd for sd in (0.02, 0.01, 0.05, 1.0)}
    fixed |= {"U(±0.05)": 0.05 / math.sqrt(3), "sd 0.02, cut": 0.02 * TRUNCATED_STD}
    if branches:
        fixed[f"sd 0.02/√{branches}"] = 0.02 / math.sqrt(branches)
    if layer.kind == "embedding":
        fixed["1/√units"] = layer.weight.shape[-1] ** -0.5
        return [Rule(name, sd, "fixed") for name, sd in fixed.items()]
    true = scaling("true", n, m)
    found = true + [Rule(name, gain / math.sqrt(n), "true") for name, gain in gains.items()]
    found += [Rule(name, sd, "fixed") for name, sd in fixed.items()]
    if not np.allclose(layer.library_fans, (n, m), equal_nan=True):
        found += scaling("library", *layer.library_fans, " (library)")
    if (k := layer.places) > 1:
        found += scaling("places", n / k, m / k, " (no places)")
    for out in dict.fromkeys((m, layer.library_fans[1])):
        if not (math.isnan(out) or out == n):
            found += scaling("fan_out", out, out, " (fan_out)")[1:]
    return found + [Rule(f"sd = {rule.name}'s variance", rule.sd**2, "variance") for rule in true]


def identify(layer: Layer, branches: int = 0) -> Scheme | None:
    """Return what scheme a layer's weights look like; None without weights, or with a NaN.

    The standard error of a standard deviation is ``√((κ - 1) / 4N)`` of it, with the law's
    kurtosis κ and N weights. A square layer cannot tell LeCun's rule from Glorot's, nor He's from
    the one with fan_out: `Scheme.fits` holds all that fit.

    >>> W = np.random.default_rng(0).uniform(-0.1, 0.1, (1, 100, 50))
    >>> print(identify(Layer("fc", "dense", W, None, 100, 50, (100, 50), (100, 50))))
    PyTorch uniform, ±0.6%
    """
    _checks.instance("layer", layer, Layer, "a Layer of a Look")
    matrix = layer.weight
    if matrix is None or not np.isfinite(matrix).all():
        return None
    w = matrix.reshape(-1)[:: -(-matrix.size // MOST)]
    largest = float(np.abs(w).max()) or 1.0
    w = w / largest  # so that no square overflows or underflows
    sd = largest * float(np.sqrt(np.square(w).mean()))
    used = matrix != 0
    if not used.any():
        return Scheme("zeros", None, 0.0)
    if np.ptp(matrix) == 0.0:
        return Scheme("constant", None, sd)
    if (used.sum(axis=1) == 1).all() and matrix.shape[2] > 1 and np.ptp(matrix[used]) == 0.0:
        return Scheme("identity", None, sd)
    if (gain := _orthogonal(matrix)) is not None:
        return Scheme("orthogonal", Rule(f"gain {gain:.3g}", sd, "true"), sd)
    kind, kurtosis = _law(w - w.mean())
    error = math.sqrt((kurtosis - 1.0) / (4 * len(w)))
    has_mean = abs(w.mean()) * math.sqrt(len(w)) > SIGMAS * sd / largest  # no rule has one
    if kind == "other" or has_mean:
        return Scheme("other", None, sd, error)
    is_uniform = kind in ("uniform", "few numbers")
    fits = [
        rule
        for rule in rules(layer, branches)
        if abs(sd / rule.sd - 1.0) <= SIGMAS * error + ROUNDING
        and (is_uniform or not rule.name.startswith(("PyTorch", "U(")))
        and not (kind == "uniform" and rule.name.startswith("sd 0"))  # these are normal
    ]
    order = {"true": 0, "fixed": 1}  # of the wrong ones the nearest
    fits.sort(key=lambda rule: (order.get(rule.fans, 2), abs(math.log(sd / rule.sd))))
    return Scheme(kind, fits[0] if fits else None, sd, error, tuple(fits))


def _law(centred: np.ndarray) -> tuple[str, float]:
    """Return the law whose kurtosis is nearest in sampling errors, or "other"; and the kurtosis."""
    if len(centred) < FEW:
        return "few numbers", LAWS["normal"][0]
    x = centred / centred.std()
    measured, largest = float(np.mean(x**4)), float(np.abs(x).max())
    off = {
        name: abs(measured - kurtosis) / math.sqrt(variance / len(x))
        for name, (kurtosis, variance, end) in LAWS.items()
        if largest <= end * (1.0 + SIGMAS / math.sqrt(len(x)))
    }
    name = min(off, key=off.get)
    return (name, LAWS[name][0]) if off[name] <= SIGMAS else ("other", max(measured, 1.1))


def _orthogonal(matrix: np.ndarray) -> float | None:
    """Return the gain of a matrix with orthogonal rows (or columns, if these are fewer)."""
    rows = matrix if matrix.shape[1] <= matrix.shape[2] else matrix.swapaxes(1, 2)
    rows = rows[:, :PROBED]
    if rows.shape[1] < 2:
        return None
    products = rows @ rows.swapaxes(1, 2)
    square = float(np.diagonal(products, axis1=1, axis2=2).mean())
    is_orthogonal = np.abs(products / square - np.eye(rows.shape[1])).max() <= ALIKE
    return math.sqrt(square) if is_orthogonal else None
