"""How fast initcore draws and trains beside its peers, each called as its users call it.

Usage: ``make bench [ARGS="orthogonal 22"]`` or ``python benchmarks/peers.py [WORD ...]``, on an
idle machine; with words, only the rows are measured whose names have one of them. Peers that are
not installed are named and left out (PyTorch is not among the course's requirements).

A row's work is done by all its peers in turn, round after round, after a warm-up; what counts is
each one's median. A row takes about ten seconds, in 5 to 31 rounds. Work of under two milliseconds
is timed several calls at a time.
The table is printed, and the rows measured are written into ``benchmarks/results.json``, which
keeps its other rows. Nothing here fails because something is slow.

To add a row, write a generator function under `row`: it yields a peer's name and the function to
time. What it prepares before a ``yield`` is not timed, and an absent peer is not yielded.
"""

from __future__ import annotations

import datetime
import importlib
import json
import math
import os
import platform
import re
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from initcore import _files, initializers, losses, network, optimizers, probes

RESULTS = Path(__file__).with_name("results.json")
OURS, BITS = "initcore", "raw bits"
WARM_UP, FEWEST, MOST = 2, 5, 31  # rounds
SHORTEST, WHOLE_ROW = 0.002, 10.0  # seconds
os.environ.setdefault("KERAS_BACKEND", "jax")


def optional(name: str) -> Any:
    """Return a module, or None where it is not installed."""
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


torch, jax, keras = optional("torch"), optional("jax"), optional("keras")
PACKAGES = {"NumPy": np, "PyTorch": torch, "JAX": jax, "Keras": keras}

# ---- the rows ----------------------------------------------------------------------------

Peers = Iterator[tuple[str, Callable[[], Any]]]


class Row(NamedTuple):
    """Some work, what is wanted of initcore, and who does the work.

    `target` has for a peer the least wanted ratio of its median to that of initcore; "fastest" is
    the fastest of all peers but the raw bits, which are not the work but what it is made of.
    """

    name: str
    target: dict[str, float]
    peers: Callable[[], Peers]


ROWS: list[Row] = []


def row(name: str, **target: float) -> Callable:
    """Register a generator function as the peers of a row; `_` stands for a space in a name."""
    wanted = {peer.replace("_", " "): ratio for peer, ratio in target.items()}

    def register(peers: Callable[[], Peers]) -> Callable[[], Peers]:
        ROWS.append(Row(name, wanted, peers))
        return peers

    return register


LARGE = (4096, 4096)
SMALL_NET = [(100, 50), *[(50, 50)] * 4, (50, 10)]
WIDE_NET = [(512, 512)] * 22


def raw_bits(shape: tuple[int, ...]) -> Callable[[], Any]:
    """Return what draws 32 random bits a weight and does nothing with them."""
    rng = np.random.default_rng(0)
    words, most = math.prod(shape) // 2, 2**64 - 1
    return lambda: rng.integers(0, most, words, np.uint64, endpoint=True)


def jitted(draws: Callable, shapes: list[tuple[int, ...]]) -> Callable[[], Any]:
    """Return a call of a JAX initializer for all shapes, compiled as one function of the key."""
    keys = jax.jit(lambda key: jax.random.split(key, len(shapes)))(jax.random.key(0))
    compiled = jax.jit(lambda keys: [draws(key, shape) for key, shape in zip(keys, shapes)])
    return lambda: jax.block_until_ready(compiled(keys))


def of_keras(name: str, shapes: list[tuple[int, ...]], **arguments: Any) -> Callable[[], Any]:
    """Return a call of a Keras initializer for all shapes, on its JAX backend."""
    seed = keras.random.SeedGenerator(0)
    draw = getattr(keras.initializers, name)(seed=seed, **arguments)
    return lambda: jax.block_until_ready([draw(shape) for shape in shapes])


def of_torch(fill: Callable, shapes: list[tuple[int, ...]], **arguments: Any) -> Callable[[], Any]:
    """Return a call of a function of torch.nn.init for new tensors of all shapes."""
    return lambda: [fill(torch.empty(shape), **arguments) for shape in shapes]


def ours(name: str, shapes: list[tuple[int, ...]], **arguments: Any) -> Callable[[], Any]:
    """Return a call of an initializer of this package for all shapes."""
    draw = getattr(initializers, name)(seed=np.random.default_rng(0), **arguments)
    return lambda: [draw(shape) for shape in shapes]


def redrawn(rng: np.random.Generator, shape: tuple[int, ...], stddev: float) -> np.ndarray:
    """Return a truncated normal as one writes it with NumPy: what lies beyond is drawn again."""
    z = rng.standard_normal(shape, dtype=np.float32)
    beyond = np.abs(z) > 2
    while beyond.any():
        z[beyond] = rng.standard_normal(np.count_nonzero(beyond), dtype=np.float32)
        beyond = np.abs(z) > 2
    z *= np.float32(stddev)
    return z


def truncated(name: str, in_jax: str, variance: float, shape: tuple[int, ...] = LARGE) -> Peers:
    """Yield who draws a truncated normal of this variance after the cut."""
    rng, stddev = np.random.default_rng(0), math.sqrt(variance) / initializers.TRUNCATED_STD
    yield OURS, ours(name, [shape])
    yield "NumPy", lambda: redrawn(rng, shape, stddev)
    if torch:
        cut = {"a": -2 * stddev, "b": 2 * stddev}
        yield "PyTorch", of_torch(torch.nn.init.trunc_normal_, [shape], std=stddev, **cut)
    if jax:
        yield "JAX", jitted(getattr(jax.nn.initializers, in_jax)(), [shape])
    if keras:
        yield "Keras", of_keras(name, [shape])
    yield BITS, raw_bits(shape)


@row("HeNormal 4096² float32", JAX=3, PyTorch=10, raw_bits=1 / 3.5)
def he_normal() -> Peers:
    """A truncated normal whose variance is right after the cut."""
    yield from truncated("HeNormal", "he_normal", 2 / LARGE[0])


@row("GlorotNormal 4096² float32", JAX=3, PyTorch=10, raw_bits=1 / 3.5)
def glorot_normal() -> Peers:
    """The same of another variance."""
    yield from truncated("GlorotNormal", "glorot_normal", 2 / sum(LARGE))


@row("GlorotUniform 4096² float32", fastest=1.5)
def glorot_uniform() -> Peers:
    """A uniform distribution between two bounds."""
    rng, limit = np.random.default_rng(0), np.float32(math.sqrt(6 / sum(LARGE)))

    def numpy_uniform() -> np.ndarray:
        values = rng.random(LARGE, dtype=np.float32)
        values -= np.float32(0.5)
        values *= 2 * limit
        return values

    yield OURS, ours("GlorotUniform", [LARGE])
    yield "NumPy", numpy_uniform
    if torch:
        yield "PyTorch", of_torch(torch.nn.init.xavier_uniform_, [LARGE])
    if jax:
        yield "JAX", jitted(jax.nn.initializers.glorot_uniform(), [LARGE])
    if keras:
        yield "Keras", of_keras("GlorotUniform", [LARGE])
    yield BITS, raw_bits(LARGE)


@row("RandomNormal 4096² float32", PyTorch=1)
def random_normal() -> Peers:
    """A normal distribution without a cut."""
    rng = np.random.default_rng(0)

    def numpy_normal() -> np.ndarray:
        values = rng.standard_normal(LARGE, dtype=np.float32)
        values *= np.float32(0.02)
        return values

    yield OURS, ours("RandomNormal", [LARGE], stddev=0.02)
    yield "NumPy", numpy_normal
    if torch:
        yield "PyTorch", of_torch(torch.nn.init.normal_, [LARGE], std=0.02)
    if jax:
        yield "JAX", jitted(jax.nn.initializers.normal(0.02), [LARGE])
    if keras:
        yield "Keras", of_keras("RandomNormal", [LARGE], stddev=0.02)
    yield BITS, raw_bits(LARGE)


@row("Orthogonal 1024² float32", PyTorch=1.7)
def orthogonal() -> Peers:
    """A matrix uniform over the orthogonal ones."""
    rng, shape = np.random.default_rng(0), (1024, 1024)

    def numpy_orthogonal() -> np.ndarray:
        q, r = np.linalg.qr(rng.standard_normal(shape, dtype=np.float32))
        q *= np.sign(np.diagonal(r))
        return q

    yield OURS, ours("Orthogonal", [shape])
    yield "NumPy", numpy_orthogonal
    if torch:
        yield "PyTorch", of_torch(torch.nn.init.orthogonal_, [shape])
    if jax:
        yield "JAX", jitted(jax.nn.initializers.orthogonal(), [shape])
    if keras:
        yield "Keras", of_keras("Orthogonal", [shape])


def _all_weights(shapes: list[tuple[int, ...]]) -> Peers:
    """Yield who draws all weights of a net by He; in NumPy and PyTorch they are not truncated."""
    rng = np.random.default_rng(0)

    def numpy_weights() -> list[np.ndarray]:
        weights = [rng.standard_normal(shape, dtype=np.float32) for shape in shapes]
        for W in weights:
            W *= np.float32(math.sqrt(2 / len(W)))
        return weights

    yield OURS, ours("HeNormal", shapes)
    yield "NumPy", numpy_weights
    if torch:
        kaiming = torch.nn.init.kaiming_normal_
        yield "PyTorch", of_torch(kaiming, shapes, nonlinearity="relu")
    if jax:
        yield "JAX", jitted(jax.nn.initializers.he_normal(), shapes)
    if keras:
        yield "Keras", of_keras("HeNormal", shapes)


@row("all weights of 22×512, truncated", PyTorch=1)
def wide_net() -> Peers:
    """A deep net of 5.8 million weights."""
    yield from _all_weights(WIDE_NET)


@row("all weights of 100-50×5-10", PyTorch=1)
def small_net() -> Peers:
    """The net of the chapters: 15,500 weights."""
    yield from _all_weights(SMALL_NET)


# ---- one training step: forward, cross-entropy, backward, SGD with momentum ---------------

BATCH, RATE, MOMENTUM = 64, 0.01, 0.9


def digits(widths: tuple[int, ...], *replicas: int) -> tuple[np.ndarray, np.ndarray]:
    """Return a batch of inputs and labels."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((*replicas, BATCH, widths[0]), dtype=np.float32)
    return x, rng.integers(0, widths[-1], (*replicas, BATCH))


def our_step(widths: tuple[int, ...], replicas: int | None = None, look: Any = None) -> Callable:
    """Return a step as `training.fit` takes it; `look` is called on the net and its gradients."""
    options = {"weights": "he_normal", "replicas": replicas, "dtype": "float32"}
    net, sgd = network.MLP(widths, "relu", **options), optimizers.SGD(RATE, momentum=MOMENTUM)
    x, y = digits(widths, *([replicas] if replicas else []))
    parameters, loss = net.parameters(), losses.LOSSES["softmax_cross_entropy"]
    sgd.start(parameters)

    def step() -> None:
        _, gradients = net.loss_and_gradients(x, y, loss)
        sgd.step(parameters, gradients.parameters())
        if look:
            look(net, gradients)

    return step


def jax_step(widths: tuple[int, ...], replicas: int | None = None) -> Callable[[], Any]:
    """Return a compiled step that reuses the memory of its parameters; replicas by vmap."""
    x, y = map(jax.numpy.asarray, digits(widths, *([replicas] if replicas else [])))
    he, lead = jax.nn.initializers.he_normal(), [replicas] if replicas else []
    shapes = list(zip(widths[:-1], widths[1:]))
    net = [(he(jax.random.key(0), (*lead, *s)), jax.numpy.zeros((*lead, s[1]))) for s in shapes]
    state = [net, jax.tree.map(jax.numpy.zeros_like, net)]

    def loss(net: list, x: Any, y: Any) -> Any:
        for W, b in net[:-1]:
            x = jax.nn.relu(x @ W + b)
        W, b = net[-1]
        log_p = jax.nn.log_softmax(x @ W + b)
        return -jax.numpy.take_along_axis(log_p, y[:, None], axis=-1).mean()

    def update(net: list, v: list, x: Any, y: Any) -> tuple[list, list]:
        gradients = jax.grad(loss)(net, x, y)
        v = jax.tree.map(lambda v, g: MOMENTUM * v - RATE * g, v, gradients)
        return jax.tree.map(jax.numpy.add, net, v), v

    compiled = jax.jit(jax.vmap(update) if replicas else update, donate_argnums=(0, 1))

    def step() -> None:
        state[:] = compiled(*state, x, y)
        jax.block_until_ready(state)

    return step


def torch_step(widths: tuple[int, ...]) -> Callable[[], Any]:
    """Return a step as PyTorch's tutorials write it."""
    layers = [torch.nn.Linear(*shape) for shape in zip(widths[:-1], widths[1:])]
    parts = [part for layer in layers for part in (layer, torch.nn.ReLU())][:-1]
    net, loss = torch.nn.Sequential(*parts), torch.nn.CrossEntropyLoss()
    sgd = torch.optim.SGD(net.parameters(), lr=RATE, momentum=MOMENTUM)
    x, y = map(torch.from_numpy, digits(widths))

    def step() -> None:
        sgd.zero_grad()
        loss(net(x), y).backward()
        sgd.step()

    return step


STEPS = {
    "100-50×5-10": ((100, *[50] * 5, 10), {"JAX": 1.2, "PyTorch": 3}),
    "64-128×3-10": ((64, *[128] * 3, 10), {"JAX": 1.2, "PyTorch": 3}),
    "256×22": ((256,) * 22, {"fastest": 1}),
}


def steps(widths: tuple[int, ...], replicas: int | None = None) -> Peers:
    yield OURS, our_step(widths, replicas)
    if torch and not replicas:
        yield "PyTorch", torch_step(widths)
    if jax:
        yield "JAX", jax_step(widths, replicas)


for net, (widths, target) in STEPS.items():
    row(f"SGD step {net}, batch 64", **target)(lambda w=widths: steps(w))
for net, (widths, _) in list(STEPS.items())[:2]:
    row(f"SGD step of 32 replicas of {net}, batch 64", JAX=1.2)(lambda w=widths: steps(w, 32))


@row("SGD step 64-128×3-10, probed", bare_step=1 / 1.3)
def probed_step() -> Peers:
    """The norms of all weights' gradients on every step; without a look, none is computed."""

    def look(net: network.MLP, gradients: network.Gradients) -> list:
        return [probes.gradient_norm(g) for g in gradients.weights]

    widths, _ = STEPS["64-128×3-10"]
    yield OURS, our_step(widths, look=look)
    yield "bare step", our_step(widths)


# ---- measuring ---------------------------------------------------------------------------


def seconds(work: Callable[[], Any], calls: int = 1) -> float:
    """Return how long one call takes, of several in a row."""
    start = time.perf_counter()
    for _ in range(calls):
        work()
    return (time.perf_counter() - start) / calls


def measure(peers: dict[str, Callable], whole: float = WHOLE_ROW) -> dict[str, float]:
    """Return the median seconds of each peer; they take turns, for some `whole` seconds in all."""
    warm = {name: min(seconds(work) for _ in range(WARM_UP)) for name, work in peers.items()}
    calls = {name: math.ceil(SHORTEST / once) for name, once in warm.items()}
    one_round = sum(once * calls[name] for name, once in warm.items())
    rounds = min(MOST, max(FEWEST, round(whole / one_round)))
    times: dict[str, list[float]] = {name: [] for name in peers}
    for _ in range(rounds):
        for name, work in peers.items():
            time.sleep(0.01)  # until the threads of the one before have come to rest
            times[name].append(seconds(work, calls[name]))
    return {name: statistics.median(taken) for name, taken in times.items()}


def judge(row: Row, medians: dict[str, float]) -> dict[str, Any]:
    """Return a row of the results: times in ms, and the ratios beside those wanted."""
    others = {peer: time for peer, time in medians.items() if peer != OURS}
    with_fastest = others | {"fastest": min(t for peer, t in others.items() if peer != BITS)}
    ratios = {peer: round(time / medians[OURS], 3) for peer, time in with_fastest.items()}
    known = {peer: least for peer, least in row.target.items() if peer in ratios}
    return {
        "name": row.name,
        "unit": "ms",
        "medians": {peer: float(f"{1e3 * time:.4g}") for peer, time in medians.items()},
        "target": ", ".join(said(peer, least) for peer, least in row.target.items()),
        "wanted": row.target,
        "ratio": ratios,
        "met": all(ratios[peer] >= least for peer, least in known.items()) if known else None,
    }


def said(peer: str, least: float) -> str:
    """Return a target in words: a speed, or a share of time where initcore may be slower."""
    peer = "the fastest peer" if peer == "fastest" else peer
    return f"≥ {least:g}× {peer}" if least >= 1 else f"≤ {1 / least:.3g}× the time of {peer}"


def processor() -> str:
    """Return the name of the processor."""
    try:
        found = re.search(r"model name\s*: (.+)", Path("/proc/cpuinfo").read_text("utf-8"))
        return found.group(1)
    except (AttributeError, OSError):
        return platform.processor() or platform.machine()


def circumstances() -> dict[str, Any]:
    """Return when, on what and with which versions the rows are measured."""
    versions = {name: module.__version__ for name, module in PACKAGES.items() if module}
    return {
        "date": datetime.date.today().isoformat(),
        "processor": processor(),
        "cores": os.cpu_count(),
        "versions": {"Python": platform.python_version()} | versions,
    }


def store(
    kind: str, measured: list[dict[str, Any]], order: list[str], path: Path = RESULTS
) -> None:
    """Write what was measured beside the stored entries of other names, in this order."""
    stored = json.loads(path.read_text("utf-8")) if path.exists() else {}
    by_name = {entry["name"]: entry for entry in [*stored.get(kind, []), *measured]}
    stored[kind] = [by_name[name] for name in order if name in by_name]
    _files.write(path, json.dumps(stored, indent=1, ensure_ascii=False) + "\n")


def main(words: list[str]) -> None:
    """Measure the rows whose names have one of the words, print and store them."""
    here = circumstances()
    print(f"{here['processor']}, {here['cores']} cores;", end=" ")
    print(", ".join(f"{name} {version}" for name, version in here["versions"].items()), flush=True)
    absent = [name for name, module in PACKAGES.items() if not module]
    print(f"not installed: {', '.join(absent)}\n" if absent else "")
    measured = []
    for wanted in ROWS:
        if words and not any(word.lower() in wanted.name.lower() for word in words):
            continue
        result = judge(wanted, measure(dict(wanted.peers())))
        measured.append(result | here)
        print(f"{wanted.name}: {result['target']}; met: {result['met']}")
        for peer, time_ in result["medians"].items():
            ratio = f"  ×{result['ratio'][peer]:.2f}" if peer != OURS else ""
            print(f"  {peer:12}{time_:10.4g} ms{ratio}", flush=True)
    store("rows", measured, [row.name for row in ROWS])


if __name__ == "__main__":
    main(sys.argv[1:])
