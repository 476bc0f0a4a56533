"""What a layer can rebuild of a digit, with and without pretraining."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from matplotlib.figure import Figure

from initcore import experiments, plots, training
from initcore.explorers._base import Explorer, control, key
from initcore.explorers._digits import examples, to_image, to_text
from initcore.tables import Table

LAYERS, REPLICAS, COMPONENTS = 5, 8, 6
WITHOUT = "0.01 normal"
STACKS = ("autoencoder stack", "RBM stack", "centred sigmoid, gain 4", "tanh, Glorot")
NOISES = (0.0, 0.001, 0.01, 0.1)


class Pretraining(Explorer):
    """What each layer can rebuild of a digit, of the chapter on pretraining.

    The deep classifiers of that chapter before any label: five layers of 64 units. A linear
    readout for each layer, fitted on the training digits, brings the pixels back from the layer's
    activations, to which normal noise is added. The error is squared, summed over the pixels and
    averaged over the 359 test digits and the noise.

    Examples
    --------
    >>> Pretraining(stack="tanh, Glorot", noise=0.1).reading()["0.01 normal"].tolist()[-1]
    4.65
    """

    NAME: ClassVar[str] = "pretraining"
    TITLE: ClassVar[str] = "What each layer can still rebuild of a digit"
    MEASURED: ClassVar[tuple[str, ...]] = ("stack",)

    stack = control("Start", STACKS, "autoencoder stack", kind="radio")
    noise = control(
        "Noise on the activations (standard deviation)",
        NOISES,
        0.01,
        texts=["none", *(f"{noise:g}" for noise in NOISES[1:])],
    )
    digit = control("Digit", tuple(range(10)), 3, kind="radio")

    @classmethod
    def shared(cls) -> dict[str, Any]:
        """Return the digits, the net without pretraining, and the errors to compare with."""
        train, test = experiments.pixels()
        return {
            "digits": to_text(test.x[examples(test.y)]),
            "without": cls.measure(WITHOUT),
            "mean image": round(experiments.mean_image_error(train.x, test.x), 2),
            "PCA": round(experiments.pca_error(train.x, test.x, COMPONENTS), 2),
        }

    @classmethod
    def measure(cls, stack: str) -> dict[str, Any]:
        """Read out the layers of eight nets, by noise; the pictures are those of the first.

        The errors are rounded to hundredths: pretraining amplifies rounding errors, and of
        further digits not all would be the same on every machine.
        """
        run = experiments.deep_classifier(
            stack, optimizer=training.SGD(0.1), epochs=1, replicas=REPLICAS, dtype="float64"
        )
        train, test = run.train.x, run.test.x
        shown = examples(run.test.y)
        seen, tested = (run.start.forward(x).activations[:LAYERS] for x in (train, test))
        rngs = [np.random.default_rng(0) for _ in NOISES]
        errors, pictures = np.zeros((len(NOISES), LAYERS, REPLICAS)), [[] for _ in NOISES]
        for layer, (a, b) in enumerate(zip(seen, tested)):
            for i, (noise, B, c) in enumerate(
                zip(NOISES, *experiments.noisy_readout(a, train, NOISES))
            ):
                missing = np.square(b @ B + c - test).sum(axis=-1).mean(axis=-1)
                errors[i, layer] = missing + noise**2 * np.square(B).sum(axis=(-2, -1))
                draw = b[0, shown] + noise * rngs[i].standard_normal((len(shown), b.shape[-1]))
                pictures[i].append(to_text(draw @ B[0] + c[0]))
        found = {}
        for noise, error, texts in zip(NOISES, errors, pictures):
            ends = np.quantile(error, [0.05, 0.5, 0.95], axis=-1).round(2) + 0.0
            of_digits = [list(layers) for layers in zip(*texts)]
            bands = dict(zip(("low", "mid", "high"), ends.tolist()))
            found[key(noise)] = bands | {"pictures": of_digits}
        return found

    def _both(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the numbers of the chosen start, and those without pretraining."""
        noise = key(self.noise)
        return self.case()[noise], self.load()["shared"]["without"][noise]

    def reading(self) -> Table:
        """Return the errors by layer."""
        chosen, without = self._both()
        columns = {
            "layer": list(range(1, LAYERS + 1)),
            self.stack: chosen["mid"],
            "5%": chosen["low"],
            "95%": chosen["high"],
            WITHOUT: without["mid"],
        }
        return Table(columns, formats={name: ".3g" for name in columns if name != "layer"})

    def still(self) -> Figure:
        """Draw the digit and what the five layers rebuild, with and without pretraining."""
        digit = to_image(self.load()["shared"]["digits"][self.digit])
        rows = [
            [digit, *(to_image(text) for text in one["pictures"][self.digit])]
            for one in self._both()
        ]
        chosen, without = (one["mid"][-1] for one in self._both())
        title = (
            f"A digit, and layers 1 to {LAYERS}: error {chosen:.2g} and {without:.2g} in the last"
        )
        return plots.images(rows, title=title, labels=[self.stack, WITHOUT])

    def alt(self) -> str:
        """Say how well the layers rebuild digits."""
        chosen, without = (one["mid"] for one in self._both())
        return (
            f"The digit {self.digit} and what each of {LAYERS} layers can rebuild of it, read with "
            f"noise of standard deviation {self.noise:g}. {self.stack}: the squared error goes "
            f"from {chosen[0]:.2g} in layer 1 to {chosen[-1]:.2g} in layer {LAYERS}. {WITHOUT}: "
            f"from {without[0]:.2g} to {without[-1]:.2g}."
        )
