"""The papers that the course builds on, each measured again, small (``make replicate``).

What a paper says, what is measured in its place, and what must come out for its statement to hold
stands in ``papers.yml``. Data are the course's 1,438 training digits and 359 others; SGD has
momentum 0.9 and batches of 32. Each arm has a learning rate of its own, of several the best on a
fifth of the training digits, or the fastest where no accuracy is measured, or that of the chapter
which has the same experiment.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from initcore import activations, experiments, losses, pretraining, probes, tables, training
from initcore.blocks import BatchNormMLP, ResidualMLP
from initcore.initializers import LecunNormal, Orthogonal, RandomNormal, VarianceScaling
from initcore.network import MLP
from initcore.training import SGD, Adam
from initcore.transformer import Transformer

Values = dict[str, np.ndarray]  # of each measured number, one a seed
TRAIN, TEST = experiments.split_digits()
IMAGES, NEW = (part.x / 16 for part in experiments.split_digits(standardize=False))  # 0 to 1


@dataclass(frozen=True)
class Paper:
    """One statement of a paper, and what is measured in its place."""

    key: str  # in references.bib; what follows a colon tells the rows of one paper apart
    statement: str
    ours: str
    run: Callable[[int], dict[str, float]]  # one seed's numbers, by name
    seeds: int
    judge: Callable[[Values], tuple[str, str]]  # the verdict, and a sentence


def judged(v: Values, told: str, spec: str, parts: dict[str, Sequence]) -> tuple[str, str]:
    """Return the verdict by the parts of a statement, and the numbers with their bands."""
    middle = {part: np.median(number(v, name)) for part, (name, _, _) in parts.items()}
    fails = [part for part, (_, low, high) in parts.items() if not low <= middle[part] <= high]
    found = "; ".join(f"*{name}* {tables.spread(v[name], spec)[()]}" for name in v)
    missing = f" Not found: {', '.join(fails)}." if fails else ""
    verdict = "partly" if len(fails) < len(parts) else "not"
    return verdict if fails else "reproduced", f"{told}: {found}.{missing}"


def number(v: Values, name: str) -> np.ndarray:
    """Return the values of that name, or of a quotient or difference of two: "a / b", "a - b"."""
    for sign, of in ((" / ", np.divide), (" - ", np.subtract)):
        if sign in name:
            return of(*(v[part] for part in name.split(sign)))
    return v[name]


def normal(gain2: float) -> VarianceScaling:
    """Return the initializer of normal weights of variance ``gain2 / fan_in``."""
    return VarianceScaling(gain2, "fan_in", "untruncated_normal")


def stack(phi: str, depth: int, weights: Any, seed: int, width: int = 64, **how: Any) -> MLP:
    """Return a classifier of the digits with so many equal layers."""
    return MLP((64, *[width] * depth, 10), phi, weights=weights, seed=seed, **how)


def passes(net: MLP, x: np.ndarray, y: np.ndarray) -> tuple[Any, Any]:
    """Return the trace of a pass forward, and the gradients of the loss."""
    trace = net.forward(x)
    return trace, net.backward(trace, losses.softmax_cross_entropy(trace.output, y)[1])


def accuracy(net: MLP, rate: float, epochs: int, seed: int) -> float:
    """Return the test accuracy after so many epochs of SGD."""
    how = {"optimizer": SGD(rate, momentum=0.9), "batch_size": 32, "measure_every": epochs}
    run = training.fit(net, *TRAIN, epochs=epochs, validation=TEST, seed=seed, **how)
    return run.validation_accuracy[-1]


def steps_to(wanted: float, net: MLP, optimizer: Any, most: int, seed: int) -> float:
    """Return the steps of an optimizer to a test accuracy, looked at every ten, or `most`."""
    rng, x, loss = np.random.default_rng(seed), TRAIN.x.astype(net.dtype), losses.LOSSES
    optimizer.start(net.parameters())
    for step in range(most):
        if step % 10 == 0 and losses.accuracy(net.predict(TEST.x), TEST.y) > wanted:
            return float(step)
        rows = rng.choice(len(x), 32, replace=False)
        how = x[rows], TRAIN.y[rows], loss["softmax_cross_entropy"]
        optimizer.step(net.parameters(), net.loss_and_gradients(*how)[1].parameters())
    return float(most)


def hinton(seed: int) -> dict[str, float]:
    few, mean = IMAGES[:480], IMAGES[:480].mean(axis=0)

    def born() -> MLP:
        widths, small = (64, 50, 25, 6, 25, 50, 64), RandomNormal(stddev=0.01)
        return MLP(widths, "sigmoid", weights=small, output_activation="sigmoid", seed=seed)

    def error(net: MLP, optimizer: Any, epochs: int) -> float:
        how = {"epochs": epochs, "batch_size": 32, "measure_every": epochs, "seed": seed}
        how |= {"loss": "squared_error", "validation": (NEW, NEW), "optimizer": optimizer}
        return training.fit(net, few, few, **how).validation_loss[-1]

    axes = np.linalg.svd(few - mean, full_matrices=False)[2][:6]
    rest = NEW - mean - (NEW - mean) @ axes.T @ axes
    net, sgd = born(), SGD(0.3, momentum=0.5)
    how = {"method": "rbm", "optimizer": sgd, "epochs": 18, "layers": 3, "seed": seed}
    pretraining.unroll(net, pretraining.pretrain(net, few, **how))
    found = {"PCA": np.square(rest).sum(axis=1).mean()}
    found["SGD alone"] = error(born(), SGD(0.3, momentum=0.9), 60)
    found["Adam alone"] = error(born(), Adam(0.01), 60)
    found["pretrained, SGD"] = error(net, SGD(0.3, momentum=0.9), 20)
    average = np.square(NEW - mean).sum(axis=1).mean()
    return {arm: value / average for arm, value in found.items()}


def glorot(what: str, seed: int) -> dict[str, float]:
    rng, found = np.random.default_rng([seed, 1]), {}
    x, y = rng.standard_normal((100, 1000)), rng.integers(10, size=100)
    for start, gain2 in {"standard": 1 / 3, "normalised": 1.0}.items():
        W = VarianceScaling(gain2, "fan_avg", "uniform")
        net = MLP((*[1000] * 6, 10), "tanh", weights=W, seed=seed, dtype="float32")
        trace, back = passes(net, x, y)
        size = {"activations": trace.activations[4::-1], "deltas": back.deltas}
        size = [probes.rms(a) for a in (size | {"weight gradients": back.weights})[what]]
        found[start] = size[0] / size[4]
    return found


def erhan(seed: int) -> dict[str, float]:
    x, y, found, fit = IMAGES[:100], TRAIN.y[:100], {}, []
    small, starts = RandomNormal(stddev=0.01), {"sigmoid": normal(16.0), "tanh": normal(1.0)}
    arms = {"sigmoid": 0, "tanh": 0, "the 100": 100, "all images": len(IMAGES)}
    for arm, images in arms.items():
        phi, rate = ("tanh", 0.03) if arm == "tanh" else ("sigmoid", 0.1)
        net = stack(phi, 3, starts.get(arm, small), seed)
        how = {"batch_size": 20, "seed": seed}
        if images:
            some = {"optimizer": SGD(0.3, momentum=0.5), "epochs": 60 if images == 100 else 10}
            pretraining.pretrain(net, IMAGES[:images], method="rbm", **some, **how)
        how |= {"optimizer": SGD(rate, momentum=0.9), "epochs": 60, "measure_every": 60}
        run = training.fit(net, x, y, validation=(NEW, TEST.y), **how)
        found[arm] = run.validation_accuracy[-1]
        fit.append(run.accuracy[-1])
    return found | {"least training accuracy": min(fit)}


KINDS = {"orthogonal": Orthogonal(), "Gaussian": normal(1.0)}
RATES = {("orthogonal", 2): -3, ("orthogonal", 8): -4, ("orthogonal", 32): -5}  # powers of two
RATES |= {("Gaussian", 2): -3.2, ("Gaussian", 8): -5.5, ("Gaussian", 32): -8}


def saxe(seed: int, most: int = 600) -> dict[str, float]:
    found = {}
    for (kind, depth), rate in RATES.items():
        rng, shapes = np.random.default_rng(seed), [*[(64, 64)] * (depth - 1), (64, 10)]
        W = [KINDS[kind].draw(shape, rng, "float64") for shape in shapes]
        found[f"{kind}, {depth}"] = steps_of_linear(W, 2.0**rate, most)
    return found


@np.errstate(over="ignore", invalid="ignore")  # Gaussian nets that diverge
def steps_of_linear(W: list[np.ndarray], rate: float, most: int) -> float:
    """Return the steps in which gradient descent on all digits learns 98% of what a line can."""
    x, y = TRAIN.x, np.eye(10)[TRAIN.y] - 0.1
    xx, xy = x.T @ x / len(x), x.T @ y / len(x)
    most_learned = np.sum(xy * np.linalg.lstsq(x, y, rcond=None)[0])
    for step in range(most):
        below = [np.eye(64)]  # the product of the layers below each
        for W_l in W:
            below.append(below[-1] @ W_l)
        error = xx @ below[-1] - xy
        if np.sum((xy - error) * below[-1]) > 0.98 * most_learned:  # by how much the loss fell
            return float(step)
        for layer in reversed(range(len(W))):
            gradient, error = 2 * below[layer].T @ error, error @ W[layer].T
            W[layer] = W[layer] - rate * gradient
    return float(most)


def he(depth: int, most: int, seed: int) -> dict[str, float]:
    arms = {"He": (2.0, SGD(0.004, momentum=0.9)), "Xavier": (1.0, SGD(0.01, momentum=0.9))}
    arms |= {"Xavier, Adam": (1.0, Adam(0.001))}
    found = {}
    for arm, (gain2, optimizer) in arms.items():
        net = stack("relu", depth, normal(gain2), seed, dtype="float32")
        found[arm] = steps_to(0.5, net, optimizer, most, seed)
    return found


def mishkin(seed: int) -> dict[str, float]:
    found = {}
    for phi, gain2, rates in (("relu", 2.0, (0.01, 0.01, 0.003)), ("tanh", 1.0, (0.01,) * 3)):
        usual = stack(phi, 20, normal(gain2), seed, width=32)
        start = [*[Orthogonal(gain2**0.5)] * 20, "glorot_uniform"]
        orthogonal, lsuv = (stack(phi, 20, start, seed, width=32) for _ in range(2))
        a = TRAIN.x[:500]
        for W in lsuv.weights[:-1]:  # z of unit variance, layer by layer
            W /= (a @ W).std()
            a = lsuv.activation(a @ W)
        arms = {"usual": usual, "orthogonal": orthogonal, "LSUV": lsuv}
        for (arm, net), rate in zip(arms.items(), rates):
            found[f"{phi}, {arm}"] = accuracy(net, rate, 4, seed)
    return found


def kumar(seed: int) -> dict[str, float]:
    net, found = stack("sigmoid", 10, normal(3.6**2), seed), {}
    layers = net.forward(TEST.x).activations
    found["pooled"] = np.divide(*(probes.pooled_std(layers[k]) for k in (9, 1)))
    found["across inputs"] = np.divide(*(probes.std_across_inputs(layers[k]) for k in (9, 1)))
    found["3.6/√N"] = accuracy(net, 0.1, 20, seed)
    return found | {"Xavier": accuracy(stack("sigmoid", 10, "glorot_normal", seed), 0.1, 20, seed)}


DEPTHS = {"ordered, 3 ξ": (0.8, 7, 0.01), "ordered, 6 ξ": (0.8, 14, 0.01)}  # σ_w², layers, rate
DEPTHS |= {"ordered, 12 ξ": (0.8, 28, 0.01), "chaotic, 3 ξ": (4.0, 21, 0.005)}
DEPTHS |= {"chaotic, 6 ξ": (4.0, 42, 0.001)}


def schoenholz(seed: int) -> dict[str, float]:
    found, b = {}, RandomNormal(stddev=0.05**0.5)
    for arm, (gain2, depth, rate) in DEPTHS.items():
        net = stack("tanh", depth, normal(gain2), seed, biases=b, dtype="float32")
        found[arm] = accuracy(net, rate, 8, seed)
    return found


def pennington(seed: int) -> dict[str, float]:
    found = {}
    for depth, *rates in ((20, 0.02, 0.01), (40, 0.01, 0.004)):
        for (kind, W), rate in zip(KINDS.items(), rates):
            weights = [LecunNormal(), *[W] * (depth - 1), "glorot_normal"]
            net = stack("tanh", depth, weights, seed, width=32)
            sgd = SGD(rate, momentum=0.9)
            found[f"{kind}, {depth}"] = steps_to(0.7, net, sgd, 900, seed)
    return found


def yang(seed: int) -> dict[str, float]:
    found = {}
    for sd in (0.01, 0.1, 10.0):
        W, widths = RandomNormal(stddev=sd), (64, *[100] * 30, 10)
        net = BatchNormMLP(widths, "relu", weights=W, epsilon=0.0, seed=seed)
        dW = passes(net, TRAIN.x[:200], TRAIN.y[:200])[1].weights
        first, last = (probes.gradient_norm(dW[layer]) for layer in (1, 29))
        found[f"sd {sd:g}"] = (first / last) ** (1 / 28)
    return found


def zhang(seed: int) -> dict[str, float]:
    two, one, found = normal(2.0), normal(1.0), {}
    small = activations.from_callable(lambda z: z / 2.0**16)
    arms = {"batch norm": (two, one, 0.01), "Fixup": (normal(2 / 32), "zeros", 0.03)}
    arms |= {"zero branches alone": (two, "zeros", 0.003), "neither": (two, one, 0.003)}
    for arm, (first, last, rate) in arms.items():
        head, phi = (one, small) if arm == "neither" else ("zeros", "linear")
        how = {"weights": [one, *[first, last] * 32, head], "output_activation": phi, "blocks": 32}
        net = ResidualMLP((64, 32, 10), normalise=arm == "batch norm", seed=seed, **how)
        found[arm] = accuracy(net, rate, 3, seed)
    return found


def chizat(seed: int) -> dict[str, float]:
    rng, found = np.random.default_rng(seed), {}
    x, teacher = rng.standard_normal((1300, 30)), rng.standard_normal((30, 3))
    y = np.maximum(x @ (teacher / np.linalg.norm(teacher, axis=0)), 0) @ [1.0, -1.0, 1.0]
    W_0, a_0 = rng.standard_normal((30, 50)) / 30**0.5, rng.standard_normal(50) / 50**0.5
    (x, new), (y, y_new) = np.split(x, [300]), np.split(y, [300])
    for arm, alpha in {"rich": 0.2, "lazy": 20.0}.items():
        start = W = np.hstack([W_0, W_0])
        a = np.hstack([a_0, -a_0])  # the output starts at 0
        for _ in range(2000):
            h = np.maximum(x @ W, 0)
            error = alpha * h @ a - y
            if np.mean(error**2) < 1e-3 * np.var(y):
                break
            by_output = 2 * error / alpha / len(x)  # of the loss over α²
            W_step, a_step = x.T @ ((h > 0) * np.outer(by_output, a)), h.T @ by_output
            W, a = W - 0.05 * W_step, a - 0.05 * a_step
        wrong = alpha * np.maximum(new @ W, 0) @ a - y_new
        found[f"{arm}, train"] = np.mean(error**2) / np.var(y)
        found[f"{arm}, test"] = np.mean(wrong**2) / np.var(y_new)
        found[f"{arm}, move"] = np.linalg.norm(W - start) / np.linalg.norm(start)
    return found


def xiong(seed: int) -> dict[str, float]:
    found, one = {}, slice(seed, seed + 1)
    for place in ("post", "pre"):
        for blocks in (2, 8, 32):
            net = Transformer((64, 32, 10), "relu", blocks=blocks, place=place, seed=seed)
            dW = passes(net, TRAIN.x[one], TRAIN.y[one])[1].weights
            found[f"{place}, {blocks}"] = float(probes.gradient_norm(dW[-2]))
    return found


class ScaledAdam(Adam):
    """Adam whose moves of each parameter are multiplied by one of the `factors`."""

    factors: Sequence[float] = ()

    def step(self, parameters: Sequence[np.ndarray], gradients: Sequence[np.ndarray]) -> None:
        before = [p.copy() for p in parameters]
        super().step(parameters, gradients)
        for p, old, factor in zip(parameters, before, self.factors):
            p[:] = old + factor * (p - old)


def mup(seed: int) -> dict[str, float]:
    found = {}
    for n in (32, 128, 512):
        for arm, r in {"standard": 1.0, "μP": n / 32}.items():
            loss = {}
            for power in range(-10, -4):
                W = [LecunNormal(), LecunNormal(), normal(1 / r)]  # μP: logits smaller by √r
                net = MLP((64, n, n, 10), "relu", weights=W, seed=seed, dtype="float32")
                adam = ScaledAdam(2.0**power)
                adam.factors = [1, 1 / r, 1 / r, 1, 1, 1]  # of three weights and three biases
                how = {"epochs": 1, "batch_size": 32, "seed": seed}
                loss[power] = training.fit(net, *TRAIN, optimizer=adam, **how).loss[-1]
            found[f"{arm}, {n}"] = float(min(loss, key=loss.get))
    return found


RUNS: dict[str, tuple[Callable[[int], dict[str, float]], int]] = {  # and how many seeds
    "hinton2006": (hinton, 8),
    "glorot2010:6": (partial(glorot, "activations"), 20),
    "glorot2010:7": (partial(glorot, "deltas"), 20),
    "glorot2010:8": (partial(glorot, "weight gradients"), 20),
    "erhan2010": (erhan, 20),
    "saxe2014": (saxe, 8),
    "he2015:22": (partial(he, 22, 2500), 8),
    "he2015:30": (partial(he, 30, 3000), 8),
    "mishkin2016": (mishkin, 8),
    "kumar2017": (kumar, 8),
    "schoenholz2017": (schoenholz, 8),
    "pennington2017": (pennington, 8),
    "yang2019": (yang, 20),
    "zhang2019": (zhang, 8),
    "chizat2019": (chizat, 8),
    "xiong2020": (xiong, 20),
    "yang2022": (mup, 8),
}
WORDS = yaml.safe_load(Path(__file__).with_name("papers.yml").read_text("utf-8"))
PAPERS = [
    Paper(key, words.pop("statement"), words.pop("ours"), *RUNS[key], partial(judged, **words))
    for key, words in WORDS.items()
]
