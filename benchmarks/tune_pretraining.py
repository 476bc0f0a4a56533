"""Choose the learning rates of the chapter on pretraining, on the validation part of the digits.

    python benchmarks/tune_pretraining.py [pretraining] [classifier] [autoencoder]

Prints a table of every setting tried. The test digits are not touched, and the seed is another
than the chapter's, where what was chosen stands. About fifteen minutes on one core.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from initcore import experiments, pretraining
from initcore.initializers import GlorotUniform, HeNormal, RandomNormal, VarianceScaling
from initcore.network import MLP
from initcore.tables import Table
from initcore.training import SGD, Adam, fit

SGD_RATES = (0.01, 0.03, 0.1, 0.3)
ADAM_RATES = (0.001, 0.003, 0.005, 0.01, 0.02, 0.03)
DECAYS = (0.01, 0.03, 0.1, 0.2)  # with Adam at the best of its rates and the two beside it
FEW, CODE = 480, 6  # images that the deep autoencoder learns from, numbers that it makes of them
COMMON = {"replicas": 4, "seed": 1}


class Start(NamedTuple):
    """A net's activation and weights, and what pretrains its layers: a method and an optimizer."""

    activation: str
    weights: Any
    method: str | None = None
    layerwise: SGD | None = None


SMALL = RandomNormal(stddev=0.01)
STARTS = {
    "small random": Start("sigmoid", SMALL),
    "autoencoder stack": Start("sigmoid", SMALL, "autoencoder", SGD(0.3, momentum=0.9)),
    "RBM stack": Start("sigmoid", SMALL, "rbm", SGD(0.3, momentum=0.5)),
    "plain sigmoid, gain 4": Start("sigmoid", VarianceScaling(16.0, "fan_in")),
    "centred sigmoid, gain 4": Start("centred_sigmoid", VarianceScaling(16.0, "fan_in")),
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


def optimizers() -> Iterator[tuple[str, SGD | Adam]]:
    yield from ((f"SGD {rate:g}", SGD(rate, momentum=0.9)) for rate in SGD_RATES)
    yield from ((f"Adam {rate:g}", Adam(rate)) for rate in ADAM_RATES)


def decaying() -> Iterator[tuple[str, Adam]]:
    for rate in (0.005, 0.01, 0.02):
        for decay in DECAYS:
            optimizer = Decaying(rate)
            optimizer.decay = decay
            yield f"Adam {rate:g}, decay {decay:g}", optimizer


def report(title: str, rows: list[dict]) -> None:
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    print(Table(columns, title=title), "\n", flush=True)


def classifier(start: Start, optimizer: Any, epochs: int) -> Any:
    """Return the history of deep classifiers, pretrained or not, on the validation digits."""
    (x, y), (x_judged, y_judged) = experiments.split_digits("validation", standardize=False)
    net = MLP((64, *[64] * 5, 10), start.activation, weights=start.weights, **COMMON)
    if start.method:
        pretraining.pretrain(
            net, x / 16, method=start.method, optimizer=start.layerwise, epochs=10, seed=1
        )
    options = {"epochs": epochs, "batch_size": 32, "seed": 1}
    judged = (x_judged / 16, y_judged)
    return fit(net, x / 16, y, optimizer=optimizer, validation=judged, **options)


def autoencoder(start: Start, optimizer: Any, passes: int = 20) -> Any:
    """Return the history of deep autoencoders of a few digits, by the error on the validation."""
    train, judged = experiments.split_digits("validation", standardize=False)
    x, x_judged = train.x[:FEW] / 16, judged.x / 16
    widths = (64, 50, 25, CODE, 25, 50, 64)
    options = {"weights": start.weights, "output_activation": "sigmoid", **COMMON}
    net = MLP(widths, start.activation, **options)
    if start.method:
        pretraining.unroll(
            net,
            pretraining.pretrain(
                net,
                x,
                method=start.method,
                optimizer=start.layerwise,
                epochs=passes,
                layers=3,
                seed=1,
            ),
        )
    return fit(
        net,
        x,
        x,
        loss="squared_error",
        optimizer=optimizer,
        epochs=150,
        batch_size=32,
        seed=1,
        validation=(x_judged, x_judged),
    )


def tune_pretraining() -> None:
    """Rate, momentum and passes of the stacks, by the deep autoencoder after fine-tuning."""
    for name in ("autoencoder stack", "RBM stack"):
        rows = []
        for rate, momentum, passes in (
            *((rate, momentum, 20) for rate in (0.1, 0.3, 1.0) for momentum in (0.5, 0.9)),
            *((0.3, STARTS[name].layerwise.momentum, passes) for passes in (10, 15, 30)),
        ):
            start = STARTS[name]._replace(layerwise=SGD(rate, momentum=momentum))
            history = autoencoder(start, Adam(0.01), passes)
            row = {"rate": rate, "momentum": momentum, "passes": passes}
            rows.append(row | {"error": np.median(history.validation_loss[-1])})
        report(f"{name}: deep autoencoder, Adam 0.01", rows)


def tune_classifier() -> None:
    """Median accuracy (and, where that ties, loss) of the deep classifier after 15 epochs.

    Adam is for the small random start alone, and needs 30.
    """
    for name, start in STARTS.items():
        rows = []
        for label, optimizer in optimizers():
            if isinstance(optimizer, Adam) and name != "small random":
                continue
            history = classifier(start, optimizer, 15 if isinstance(optimizer, SGD) else 30)
            accuracy, loss = history.validation_accuracy[-1], history.validation_loss[-1]
            row = {"fine-tuning": label, "accuracy": np.median(accuracy), "loss": np.median(loss)}
            rows.append(row | {"above 0.5": int(np.sum(accuracy > 0.5))})
        report(f"{name}: deep classifier", rows)


def tune_autoencoder() -> None:
    """Median squared error of the deep autoencoder after 150 epochs, with and without decay."""
    for name in ("small random", "RBM stack", "centred sigmoid, gain 4"):
        rows = []
        tried = [*optimizers(), *(decaying() if name != "small random" else ())]
        for label, optimizer in tried:
            history = autoencoder(STARTS[name], optimizer)
            row = {"fine-tuning": label, "training error": np.median(history.loss[-1])}
            row["validation error"] = np.median(history.validation_loss[-1])
            rows.append(row | {"diverged": int(np.sum(history.diverged >= 0))})
        report(f"{name}: deep autoencoder", rows)


if __name__ == "__main__":
    parts = {
        "pretraining": tune_pretraining,
        "classifier": tune_classifier,
        "autoencoder": tune_autoencoder,
    }
    for part in sys.argv[1:] or parts:
        parts[part]()
