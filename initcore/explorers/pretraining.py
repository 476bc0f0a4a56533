"""What a layer can rebuild of a digit, with and without pretraining."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from initcore import plots, pretraining
from initcore.explorers._base import Explorer, band, control, key
from initcore.explorers._digits import examples, pixels, to_image, to_text
from initcore.initializers import RandomNormal, VarianceScaling
from initcore.network import MLP
from initcore.training import SGD

LAYERS, WIDTH, REPLICAS = 5, 64, 8
WITHOUT = "0.01 normal"
STARTS: dict[str, tuple[str, Any, str | None]] = {  # activation, random weights, pretraining
    WITHOUT: ("sigmoid", RandomNormal(stddev=0.01), None),
    "autoencoder stack": ("sigmoid", RandomNormal(stddev=0.01), "autoencoder"),
    "RBM stack": ("sigmoid", RandomNormal(stddev=0.01), "rbm"),
    "centred sigmoid, gain 4": ("centred_sigmoid", VarianceScaling(16.0, "fan_in"), None),
    "tanh, Glorot": ("tanh", "glorot_uniform", None),
}
STACKS = tuple(start for start in STARTS if start != WITHOUT)
NOISES = {0.0: "none"} | {noise: key(noise) for noise in (0.001, 0.01, 0.1)}
MOMENTUM = {"autoencoder": 0.9, "rbm": 0.5}  # of the pretraining, at a rate of 0.3


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

    TITLE = "What each layer can still rebuild of a digit"
    HEIGHTS = (840, 1260)
    MEASURED = ("stack",)
    COLUMNS = {
        "layer": list(range(1, LAYERS + 1)),
        "{stack}": "case/{noise}/mid",
        "5%": "case/{noise}/low",
        "95%": "case/{noise}/high",
        WITHOUT: "shared/without/{noise}/mid",
    }

    stack = control("Start", STACKS, "autoencoder stack", kind="radio")
    noise = control("Noise on the activations (standard deviation)", NOISES, 0.01)
    digit = control("Digit", tuple(range(10)), 3, kind="radio")

    @classmethod
    def shared(cls) -> dict[str, Any]:
        """Return the digits, the net without pretraining, and the errors to compare with."""
        train, test = pixels()
        missing = np.square(test.x - train.x.mean(axis=0)).sum(axis=1).mean()
        return {
            "digits": to_text(test.x[examples(test.y)]),
            "without": cls.measure(WITHOUT),
            "mean image": round(float(missing), 2),
        }

    @classmethod
    def measure(cls, stack: str) -> dict[str, Any]:
        """Read out the layers of eight nets, by noise; the pictures are those of the first.

        The errors are rounded to hundredths: pretraining amplifies rounding errors, and of
        further digits not all would be the same on every machine.
        """
        (train, _), (test, classes) = pixels()
        shown = examples(classes)
        net = started(stack, train)
        seen, tested = (net.forward(x).activations[:LAYERS] for x in (train, test))
        rngs = [np.random.default_rng(0) for _ in NOISES]
        errors, pictures = np.zeros((len(NOISES), LAYERS, REPLICAS)), [[] for _ in NOISES]
        for layer, (a, b) in enumerate(zip(seen, tested)):
            for i, (noise, B, c) in enumerate(zip(NOISES, *noisy_readout(a, train, list(NOISES)))):
                missing = np.square(b @ B + c - test).sum(axis=-1).mean(axis=-1)
                errors[i, layer] = missing + noise**2 * np.square(B).sum(axis=(-2, -1))
                draw = b[0, shown] + noise * rngs[i].standard_normal((len(shown), b.shape[-1]))
                pictures[i].append(to_text(draw @ B[0] + c[0]))
        found = {}
        for noise, error, texts in zip(NOISES, errors, pictures):
            of_digits = [list(layers) for layers in zip(*texts)]
            found[key(noise)] = band(error, decimals=2) | {"pictures": of_digits}
        return found

    def still(self) -> Figure:
        """Draw the digit and what the five layers rebuild, with and without pretraining."""
        shared, noise = self.load()["shared"], key(self.noise)
        digit = to_image(shared["digits"][self.digit])
        both = self.case()[noise], shared["without"][noise]
        rows = [[digit, *map(to_image, one["pictures"][self.digit])] for one in both]
        errors = " and ".join(f"{one['mid'][-1]:.2g}" for one in both)
        title = f"A digit, and layers 1 to {LAYERS}: error {errors} in the last"
        return plots.images(rows, title=title, labels=[self.stack, WITHOUT])

    def alt(self) -> str:
        """Say that the numbers are errors, too."""
        return f"{super().alt()} These are squared errors, an image."


def started(start: str, images: np.ndarray) -> MLP:
    """Return deep classifiers of the digits as one of `STARTS` has them before any label."""
    activation, weights, method = STARTS[start]
    net = MLP((64, *[WIDTH] * LAYERS, 10), activation, weights=weights, replicas=REPLICAS)
    if method is not None:
        sgd = SGD(0.3, momentum=MOMENTUM[method])
        pretraining.pretrain(net, images, method=method, optimizer=sgd, epochs=10, batch_size=32)
    return net


def noisy_readout(
    activations: np.ndarray, images: np.ndarray, noise: Any = 0.0
) -> tuple[np.ndarray, np.ndarray]:
    """Return the linear map that brings images back from activations seen with noise.

    ``B, c`` minimise ``mean ‖x - (a + ε) B - c‖²`` over the images and over ε, independent normals
    of standard deviation `noise`: a ridge regression with the penalty ``n noise²`` for n images.
    Activations have the shape ([replicas,] n, units), images (n, pixels), B the shape ([noises,]
    [replicas,] units, pixels) and c ([noises,] [replicas,] 1, pixels): noises share the work.
    """
    a, images, noise = (np.asarray(part, float) for part in (activations, images, noise))
    mean, target = a.mean(axis=-2, keepdims=True), images.mean(axis=0)
    u, s, vt = np.linalg.svd(a - mean, full_matrices=False)
    seen = s > s[..., :1] * len(images) * np.finfo(float).eps  # the rest is rounding
    square = s**2 + len(images) * noise.reshape(noise.shape + (1,) * s.ndim) ** 2
    factor = np.divide(s, square, out=np.zeros_like(square), where=seen)
    B = vt.swapaxes(-1, -2) @ (factor[..., None] * (u.swapaxes(-1, -2) @ (images - target)))
    return B, target - mean @ B
