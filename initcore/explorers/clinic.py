"""A patient of the clinic: the table that `diagnose` prints, a guess, and the verdict."""

from __future__ import annotations

from typing import Any

import numpy as np

from initcore.diagnosis import diagnose
from initcore.experiments import split_digits
from initcore.explorers._base import Explorer, control, rounded
from initcore.initializers import Constant, RandomNormal
from initcore.network import MLP

PATIENTS, DEPTHS, WIDTH, BATCH = tuple("ABCDEFGHI"), (3, 6, 12), 64, 256
RULES = {"relu": "he_uniform", "tanh": "glorot_uniform"}
FAULTS = {
    "nothing": "nothing wrong",
    "small": "hidden weights too small",
    "large": "hidden weights too large",
    "one": "weights of one layer too small",
    "output": "output weights too large",
    "equal": "hidden units all equal",
    "biases": "biases far too negative",
    "pixels": "raw pixels as inputs",
    "alike": "inputs nearly all alike",
}
WAYS = {"forward": "sums", "backward": "deltas"}
ENDS = {"": "mid", ", least in theory": "low", ", most in theory": "high"}


class Clinic(Explorer):
    """A patient of the chapter on the clinic: of nine for each activation and depth, one is well.

    Dense nets of 64 units a layer before training, and 256 digits. The table is that of `diagnose`,
    but for what it says of the weights; who has which fault differs from depth to depth.

    Examples
    --------
    >>> Clinic(patient="H", depth=6, guess="one", locked=True).case()["verdict"][0]
    'Fault: weight-scale at layer 4'
    """

    TITLE = "A patient of the clinic: what is wrong with this net?"
    HEIGHTS = (930, 1405)
    MEASURED = ("patient", "activation", "depth")
    COLUMNS = {
        "layer": list(range(1, DEPTHS[-1] + 2)),
        **{way + end: f"case/{way}/{ENDS[end]}" for way in WAYS for end in ENDS},
    }
    STILL = {"RMS of sums, and band": ("forward",), "RMS of deltas, and band": ("backward",)}

    patient = control("Patient", PATIENTS, "A", kind="list")
    activation = control("Activation", {"relu": "ReLU", "tanh": "tanh"}, "relu", kind="radio")
    depth = control("Hidden layers", DEPTHS, 6, kind="radio")
    guess = control("My guess", {"open": "choose one"} | FAULTS, "open", kind="list")
    locked = control("Lock it in", {False: "no", True: "yes"}, False, kind="check")

    @classmethod
    def measure(cls, patient: str, activation: str, depth: int) -> dict[str, Any]:
        """Return what `diagnose` prints: of the columns with a band the numbers."""
        ward = len(DEPTHS) * list(RULES).index(activation) + DEPTHS.index(depth)
        fault = list(FAULTS)[(4 * PATIENTS.index(patient) + 2 * ward) % len(FAULTS)]
        report = diagnose(*examined(fault, activation, depth))
        table, (net,) = report.table(), report.to_dict()["nets"]
        told, found = [report.verdict], {"fault": fault, "loss": rounded(net["loss"])}
        for side, (way, seen) in enumerate(WAYS.items()):
            mid = [rounded(layer[seen]["rms"]) for layer in net["layers"]]
            # backward has no band at the output, from which it starts: its ends are the value
            bands = [both[side] or [rms] * 3 for both, rms in zip(net["expected"], mid)]
            low, _, high = rounded(np.transpose(bands))
            found[way] = {"low": low, "mid": mid, "high": high}
        found["table"] = {
            name: None
            if name in WAYS
            else [one.strip().replace("e-0", "e−") for one in table[name]]
            for name in table.columns
            if name not in ("layer", "finding", "weights", "looks like")
        }
        for one in report.findings:
            told += [f"{one.level.upper()}: {one.sentence}", f"Remedy: {one.remedy}"]
        return found | {"verdict": told}

    def _chosen(self) -> str:
        return super()._chosen() + f". {self.case()['verdict'][0]}" * self.locked


def examined(fault: str, activation: str, depth: int, nets: int | None = None) -> tuple:
    """Return a net (or so many replicas) with a fault, and a batch of digits, for `diagnose`."""
    laws = {"small": RandomNormal(stddev=2 / WIDTH), "large": RandomNormal(stddev=1.0)}
    hidden = (laws | {"equal": Constant(1 / WIDTH)}).get(fault, RULES[activation])
    last = RandomNormal(stddev=3.0) if fault == "output" else "lecun_uniform"
    biases = [Constant(-4.6) if fault == "biases" else "zeros"] * depth + ["zeros"]
    widths, weights = (64, *[WIDTH] * depth, 10), [hidden] * depth + [last]
    net = MLP(widths, activation, weights=weights, biases=biases, replicas=nets)
    if fault == "one":
        net.weights[(depth + 1) // 2] /= 300
    x, y = split_digits(standardize=fault != "pixels").train
    x = {"pixels": 255 / 16 * x, "alike": 1 + 0.05 * x}.get(fault, x)
    return net, x[:BATCH], y[:BATCH]
