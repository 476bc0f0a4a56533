"""Choose the learning rates of the chapter on pretraining, on the validation part of the digits.

    python benchmarks/tune_pretraining.py [pretraining] [classifier] [autoencoder] [race]

Prints a table of every setting tried. The test digits are not touched, and the seeds are others
than the chapter's. What was chosen stands in `initcore.experiments.stacks`. About ten
minutes on one core.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

import numpy as np

from initcore.experiments import stacks
from initcore.tables import Table
from initcore.training import SGD, Adam

SGD_RATES = (0.01, 0.03, 0.1, 0.3)
ADAM_RATES = (0.001, 0.002, 0.003, 0.005, 0.01, 0.03)
PRETRAINING_RATES = (0.03, 0.1, 0.3, 1.0)
MOMENTA = (0.5, 0.9)
COMMON = {"part": "validation", "replicas": 4, "seed": 1}


def optimizers() -> Iterator[tuple[str, SGD | Adam]]:
    yield from ((f"SGD {rate:g}", SGD(rate, momentum=0.9)) for rate in SGD_RATES)
    yield from ((f"Adam {rate:g}", Adam(rate)) for rate in ADAM_RATES)


def report(title: str, rows: list[dict]) -> None:
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    print(Table(columns, title=title), "\n", flush=True)


def tune_pretraining() -> None:
    """Rate and momentum of the stacks: the error of the deep autoencoder after fine-tuning."""
    for start in ("autoencoder stack", "RBM stack"):
        rows = []
        for rate in PRETRAINING_RATES:
            for momentum in MOMENTA:
                row = {"rate": rate, "momentum": momentum}
                for name, fine in (("SGD 0.1", SGD(0.1, 0.9)), ("Adam 0.01", Adam(0.01))):
                    own = SGD(rate, momentum)
                    run = stacks.deep_autoencoder(
                        start, optimizer=fine, pretraining_optimizer=own, **COMMON
                    )
                    row[f"error, {name}"] = np.median(run.history.validation_loss[-1])
                rows.append(row)
        report(f"{start}: deep autoencoder, 40 epochs", rows)


def tune_classifier() -> None:
    """Median accuracy (and, where that ties, loss) of the deep classifier after 15 epochs.

    Adam is for the small random start alone, and needs 30.
    """
    for start in stacks.STACK_STARTS:
        rows = []
        for name, optimizer in optimizers():
            epochs = 15 if isinstance(optimizer, SGD) else 30
            run = stacks.deep_classifier(start, optimizer=optimizer, epochs=epochs, **COMMON)
            history = run.history
            accuracy, loss = history.validation_accuracy[-1], history.validation_loss[-1]
            row = {"fine-tuning": name, "accuracy": np.median(accuracy), "loss": np.median(loss)}
            rows.append(row | {"above 0.5": int(np.sum(accuracy > 0.5))})
        report(f"{start}: deep classifier", rows)


def tune_autoencoder() -> None:
    """Median squared error of the deep autoencoder after 40 epochs in batches of 32."""
    for start in stacks.STACK_STARTS:
        _tune_autoencoder(f"{start}: deep autoencoder", start, epochs=40, batch_size=32)


def tune_race() -> None:
    """Median squared error of the deep autoencoder after 100 epochs in batches of 64."""
    for start in stacks.STACK_STARTS:
        _tune_autoencoder(f"{start}: race", start, epochs=100, batch_size=64)


def _tune_autoencoder(title: str, start: str, *, epochs: int, batch_size: int) -> None:
    rows = []
    for name, optimizer in optimizers():
        options = {"optimizer": optimizer, "epochs": epochs, "batch_size": batch_size}
        history = stacks.deep_autoencoder(start, **options, **COMMON).history
        row = {"fine-tuning": name, "error": np.median(history.validation_loss[-1])}
        rows.append(row | {"diverged": int(np.sum(history.diverged >= 0))})
    report(title, rows)


if __name__ == "__main__":
    parts = {
        "pretraining": tune_pretraining,
        "classifier": tune_classifier,
        "autoencoder": tune_autoencoder,
        "race": tune_race,
    }
    for part in sys.argv[1:] or parts:
        parts[part]()
