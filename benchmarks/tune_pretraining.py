"""Choose the learning rates of the chapter on pretraining, on the validation part of the digits.

    python benchmarks/tune_pretraining.py [pretraining] [classifier] [autoencoder]

Prints a table of every setting tried. The test digits are not touched, and the seed is another
than the chapter's, where what was chosen stands. About fifteen minutes on one core.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np

from initcore import experiments, pretraining
from initcore.initializers import GlorotUniform, HeNormal, RandomNormal, VarianceScaling
from initcore.network import MLP
from initcore.tables import Table
from initcore.training import SGD, Adam, History, fit

FEW, CODE = 480, 6  # images that the deep autoencoder learns from, numbers that it makes of them
COMMON = {"replicas": 4, "seed": 1}
BATCHES = {"batch_size": 32, "seed": 1}


class Start(NamedTuple):
    """A net's activation and weights, and what pretrains its layers: a method and an optimizer."""

    activation: str
    weights: Any
    method: str | None = None
    layerwise: SGD | None = None


SMALL, GAIN_4 = RandomNormal(stddev=0.01), VarianceScaling(16.0, "fan_in")
STARTS = {
    "small random": Start("sigmoid", SMALL),
    "autoencoder stack": Start("sigmoid", SMALL, "autoencoder", SGD(0.3, momentum=0.9)),
    "RBM stack": Start("sigmoid", SMALL, "rbm", SGD(0.3, momentum=0.5)),
    "plain sigmoid, gain 4": Start("sigmoid", GAIN_4),
    "centred sigmoid, gain 4": Start("centred_sigmoid", GAIN_4),
    "tanh, Glorot": Start("tanh", GlorotUniform()),
    "ReLU, He": Start("relu", HeNormal()),
}


class Decaying(Adam):
    """Adam that also shrinks the weights in each step: decoupled weight decay."""

    decay = 0.0

    def step(self, parameters, gradients):
        for W in parameters[: len(parameters) // 2]:
            W *= 1 - self.learning_rate * self.decay
        super().step(parameters, gradients)


SGDS = {f"SGD {rate:g}": SGD(rate, momentum=0.9) for rate in (0.01, 0.03, 0.1, 0.3)}
ADAMS = {f"Adam {rate:g}": Adam(rate) for rate in (0.001, 0.003, 0.005, 0.01, 0.02, 0.03)}
DECAYING = {}  # Adam at the best of its rates and the two beside it
for rate in (0.005, 0.01, 0.02):
    for decay in (0.01, 0.03, 0.1, 0.2):
        DECAYING[f"Adam {rate:g}, decay {decay:g}"] = optimizer = Decaying(rate)
        optimizer.decay = decay


def report(title: str, tried: Iterable[tuple[dict, History]], **measures: Callable) -> None:
    """Print a table: what was tried, and what each measure says of its history."""
    rows = [on | {name: of(history) for name, of in measures.items()} for on, history in tried]
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    print(Table(columns, title=title), "\n", flush=True)


def last(name: str) -> Callable[[History], float]:
    """Return the measure of a curve: its median at the end."""
    return lambda history: np.median(getattr(history, name)[-1])


def classifier(start: Start, optimizer: Any, epochs: int) -> History:
    """Train deep classifiers, pretrained or not, judged on the validation digits."""
    (x, y), (x_judged, y_judged) = experiments.split_digits("validation", standardize=False)
    net = MLP((64, *[64] * 5, 10), start.activation, weights=start.weights, **COMMON)
    if start.method:
        stack = {"method": start.method, "optimizer": start.layerwise, "epochs": 10, "seed": 1}
        pretraining.pretrain(net, x / 16, **stack)
    options = {"epochs": epochs, "validation": (x_judged / 16, y_judged), **BATCHES}
    return fit(net, x / 16, y, optimizer=optimizer, **options)


def autoencoder(start: Start, optimizer: Any, passes: int = 20) -> History:
    """Train deep autoencoders of a few digits, judged by the error on the validation digits."""
    train, judged = experiments.split_digits("validation", standardize=False)
    x, x_judged = train.x[:FEW] / 16, judged.x / 16
    options = {"weights": start.weights, "output_activation": "sigmoid", **COMMON}
    net = MLP((64, 50, 25, CODE, 25, 50, 64), start.activation, **options)
    if start.method:
        stack = {"method": start.method, "optimizer": start.layerwise, "epochs": passes}
        pretraining.unroll(net, pretraining.pretrain(net, x, layers=3, seed=1, **stack))
    options = {"loss": "squared_error", "epochs": 150, "validation": (x_judged,) * 2, **BATCHES}
    return fit(net, x, x, optimizer=optimizer, **options)


def tune_pretraining() -> None:
    """Rate, momentum and passes of the stacks, by the deep autoencoder after fine-tuning."""
    for name in ("autoencoder stack", "RBM stack"):
        start = STARTS[name]
        settings = [(rate, momentum, 20) for rate in (0.1, 0.3, 1.0) for momentum in (0.5, 0.9)]
        settings += [(0.3, start.layerwise.momentum, passes) for passes in (10, 15, 30)]
        tried = []
        for rate, momentum, passes in settings:
            stack = start._replace(layerwise=SGD(rate, momentum=momentum))
            setting = {"rate": rate, "momentum": momentum, "passes": passes}
            tried.append((setting, autoencoder(stack, Adam(0.01), passes)))
        report(f"{name}: deep autoencoder, Adam 0.01", tried, error=last("validation_loss"))


def tune_classifier() -> None:
    """Median accuracy (and, where that ties, loss) of the deep classifier after 15 epochs.

    Adam is for the small random start alone, and needs 30.
    """
    measures = {"accuracy": last("validation_accuracy"), "loss": last("validation_loss")}
    measures["above 0.5"] = lambda history: int(np.sum(history.validation_accuracy[-1] > 0.5))
    for name, start in STARTS.items():
        tried = [({"fine-tuning": o}, classifier(start, SGDS[o], 15)) for o in SGDS]
        if name == "small random":
            tried += [({"fine-tuning": o}, classifier(start, ADAMS[o], 30)) for o in ADAMS]
        report(f"{name}: deep classifier", tried, **measures)


def tune_autoencoder() -> None:
    """Median squared error of the deep autoencoder after 150 epochs, with and without decay."""
    measures = {"training error": last("loss"), "validation error": last("validation_loss")}
    measures["diverged"] = lambda history: int(np.sum(history.diverged >= 0))
    for name in ("small random", "RBM stack", "centred sigmoid, gain 4"):
        settings = SGDS | ADAMS | (DECAYING if name != "small random" else {})
        tried = [({"fine-tuning": o}, autoencoder(STARTS[name], settings[o])) for o in settings]
        report(f"{name}: deep autoencoder", tried, **measures)


if __name__ == "__main__":
    for part in sys.argv[1:] or ("pretraining", "classifier", "autoencoder"):
        globals()[f"tune_{part}"]()
