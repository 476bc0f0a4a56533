"""Which zero is fatal: the reader sets the blocks of a net, and scrubs through its training."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain, count
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from initcore import experiments, losses, network, probes, training
from initcore.explorers._base import Explorer, band, control
from initcore.initializers import Constant, RandomNormal

LEVELS = ("zero", "constant", "random")
WEIGHTS = dict(zip(LEVELS, ("zeros", Constant(0.05), "glorot_uniform")))
BIASES = dict(zip(LEVELS, ("zeros", Constant(0.05), RandomNormal(stddev=0.5))))
# No further: the starts called "cancelled" and "multiples" below are fatal for ever in exact
# arithmetic, but within ten epochs rounding errors grow large enough to free them.
STEPS = (0, 1, 2, 3, 5, 10, 20, 45, 90, 180)
UNITS, EPOCHS, REPLICAS, BATCH = 16, 4, 8, 32  # 1,438 digits: 45 steps an epoch
RATES = {"tanh": 0.05, "sigmoid": 0.2, "relu": 0.05}
SHOWN = {"tanh": "tanh", "sigmoid": "sigmoid", "relu": "ReLU"}

#: What happens in training, by the name that `reason` gives it. It holds at every step shown.
REASONS = {
    "dead ReLU": "Every z is exactly 0, and ReLU's slope there is taken as 0. So no gradient "
    "reaches a weight: only the output biases learn.",
    "dead": "tanh(0) is 0 and the last weights are 0, so every gradient has a factor 0: only the "
    "output biases learn.",
    "cancelled": "A softmax's errors add up to 0, so equal last weights hand nothing back but "
    "rounding errors, and tanh(0) is 0: only the output biases learn.",
    "equal": "No block is random: the units start equal, and equal units stay equal. The net is "
    "one unit wide.",
    "first": "The first weights are random. So the units answer differently and get different "
    "gradients, whatever the other blocks are.",
    "last": "Different last weights send equal units different gradients: they part in the first "
    "step.",
    "last and biases": "The biases make the units differ from the start, and different last "
    "weights send each its own gradient.",
    "half dead": "A ReLU whose bias is below 0 answers 0 to every input and stays dead. The others "
    "differ, and the last weights send each its own gradient.",
    "biases": "Only the biases are random. That is enough: the units answer differently, so their "
    "last weights part, and then their first weights.",
    "multiples": "ReLUs with a bias below 0 are dead. The others are positive multiples of one "
    "unit: different units of rank 1. Only rounding errors, much later, set them free.",
}


class Zeros(Explorer):
    """Which zero is fatal, of the chapter on symmetry.

    Classifiers of the digits with one hidden layer of 16, trained for four epochs from every
    combination of zero, constant (0.05) and random first weights, last weights and hidden biases,
    8 nets a case. The nets and their training are those of the chapter.

    Examples
    --------
    >>> blocks = Zeros(activation="relu", first="zero", last="random", biases="zero", step=180)
    >>> set(blocks.reading()["distinct units"].tolist())
    {1.0}
    """

    TITLE = "Which zero is fatal? Set the blocks, then go through training"
    HEIGHTS = (800, 1410)
    MEASURED = ("activation", "first", "last", "biases")
    COLUMNS = {
        "step": list(STEPS),
        "distinct units": "case/units/mid",
        "effective rank": "case/rank/mid",
        "test accuracy": "case/accuracy/mid",
    }
    STILL = {"units": ("distinct units", "effective rank"), "accuracy": ("test accuracy",)}
    FORMATS = {"effective rank": ".1f", "test accuracy": ".2f"}

    activation = control("Activation", SHOWN, "tanh", kind="radio")
    first = control("First weights", LEVELS, "zero", kind="radio")
    last = control("Last weights", LEVELS, "zero", kind="radio")
    biases = control("Hidden biases", LEVELS, "zero", kind="radio")
    step = control("Training step (45 make an epoch)", STEPS, STEPS[-1])

    @classmethod
    def measure(cls, *case: str) -> dict[str, Any]:
        """Measure the nets of one start at all steps."""
        accuracy, units, rank = block_steps(*case)
        return {
            "units": band(units, decimals=0),
            "rank": band(rank, decimals=1),
            "accuracy": band(accuracy, decimals=2),
            "reason": reason(*case),
        }

    @classmethod
    def shared(cls) -> dict[str, Any]:
        """Return the steps, the reasons, and how good a net without a hidden layer is."""
        how = {"hidden": (), "epochs": EPOCHS, "replicas": REPLICAS}
        sgd = training.SGD(RATES["tanh"], momentum=0.9)
        linear = experiments.train_on_digits("tanh", "glorot_uniform", optimizer=sgd, **how)
        middle = np.median(linear.history.validation_accuracy[-1])
        return {"steps": list(STEPS), "linear": round(float(middle), 2), "reasons": REASONS}

    def still(self) -> Figure:
        """Draw the steps, the later ones closer, with a line at the present one."""
        fig = super().still()
        for ax in fig.axes:
            ax.axvline(self.step, color="0.4", lw=1.0)
            ax.set_xscale("symlog", linthresh=1)
            ax.set_yscale("linear")
            ax.set_xlim(-0.2, 1.3 * STEPS[-1])
        return fig

    def alt(self) -> str:
        """Say why, too."""
        return f"{super().alt()} {REASONS[self.case()['reason']]}"


def block_steps(
    activation: str, *blocks: str, steps: Sequence[int] = STEPS, replicas: int = REPLICAS
) -> Iterator[np.ndarray]:
    """Train nets from one start of the first and last weights and hidden biases.

    Return the test accuracy, the distinct units and the effective rank after `steps`, each of
    the shape (steps, replicas).
    """
    first, last, hidden = blocks
    weights, biases = [WEIGHTS[first], WEIGHTS[last]], [BIASES[hidden], "zeros"]
    sizes = (64, UNITS, 10)
    net = network.MLP(sizes, activation, weights=weights, biases=biases, replicas=replicas)
    train, test = experiments.split_digits()
    sgd = training.SGD(RATES[activation], momentum=0.9)
    sgd.start(net.parameters())
    rngs = network.replica_generators(0, replicas, network.ORDER)
    epochs = (training.batches(rngs, len(train.y), BATCH, replicas) for _ in count())
    found = []
    for step, (_, chosen) in zip(range(steps[-1] + 1), chain.from_iterable(epochs)):
        if step in steps:
            W, b = net.weights[0], net.biases[0]
            accuracy = (net.predict(test.x).argmax(axis=-1) == test.y).mean(axis=-1)
            found.append((accuracy, probes.distinct_units(W, b), probes.effective_rank(W)))
        batch = train.x[chosen], train.y[chosen]
        _, gradients = net.loss_and_gradients(*batch, losses.softmax_cross_entropy)
        sgd.step(net.parameters(), gradients.parameters())
    return map(np.array, zip(*found))


def reason(activation: str, first: str, last: str, biases: str) -> str:
    """Return which of `REASONS` holds: it follows from the start alone."""
    if first == "random":
        return "first"
    zero_sums = first == "zero" and biases == "zero"  # every pre-activation is 0
    if activation == "relu" and zero_sums:
        return "dead ReLU"
    if activation == "tanh" and zero_sums and last != "random":
        return "dead" if last == "zero" else "cancelled"
    if biases == "random":
        unfed = activation == "relu" and first == "zero"  # z = b, whatever the input
        if last == "random":
            return "half dead" if unfed else "last and biases"
        return "multiples" if unfed else "biases"
    return "last" if last == "random" else "equal"
