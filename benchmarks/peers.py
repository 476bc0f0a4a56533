"""How fast initcore draws and trains beside its peers, each called as its users call it.

Usage: ``make bench [ARGS="orthogonal 22"]`` or ``python benchmarks/peers.py [WORD ...]``, on an
idle machine; with words, only the rows are measured whose names have one of them. Peers that are
not installed are left out (PyTorch is not among the course's requirements).

A row's work is done by all its peers in turn, round after round, after a warm-up; what counts is
each one's median. The rows are printed and written into ``benchmarks/results.json``, which keeps
its others. Nothing here fails because something is slow.
"""

from __future__ import annotations

import importlib.util
import json
import math
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from timeit import repeat, timeit
from typing import Any, NamedTuple

import common
import numpy as np

from initcore import _files, initializers, losses, network, optimizers, probes

RESULTS = Path(__file__).with_name("results.json")
OURS, BITS, BARE = "initcore", "raw bits", "bare step"
WARM_UP, FEWEST, MOST = 2, 5, 31  # rounds
SHORTEST, WHOLE_ROW = 0.002, 10.0  # seconds, of several calls at a time, and of a row

os.environ.setdefault("KERAS_BACKEND", "jax")


torch, jax, keras = (
    importlib.import_module(name) if importlib.util.find_spec(name) else None
    for name in ("torch", "jax", "keras")
)
PACKAGES = {"NumPy": np, "PyTorch": torch, "JAX": jax, "Keras": keras}
Peers = Iterator[tuple[str, Callable[[], Any]]]
Shape = tuple[int, ...]

# ---- draws -------------------------------------------------------------------------------

RNG = np.random.default_rng(0)


class Law(NamedTuple):
    """A distribution of weights: what it is called here and in Keras, and how the others draw it.

    `by_numpy` takes a shape, `by_torch` a tensor that it fills.
    """

    name: str
    in_jax: str
    by_numpy: Callable[[Shape], np.ndarray]
    by_torch: Callable[[Any], Any]
    arguments: dict[str, float] = {}


def normal(shape: Shape, stddev: float, bound: float = math.inf) -> np.ndarray:
    """Return normal weights as one writes them with NumPy: what lies beyond is drawn again."""
    z = RNG.standard_normal(shape, dtype=np.float32)
    while bound < math.inf and (beyond := np.abs(z) > bound).any():
        z[beyond] = RNG.standard_normal(np.count_nonzero(beyond), dtype=np.float32)
    z *= np.float32(stddev)
    return z


def uniform(shape: Shape, limit: float) -> np.ndarray:
    values = RNG.random(shape, dtype=np.float32)
    values -= np.float32(0.5)
    values *= np.float32(2 * limit)
    return values


def orthogonal(shape: Shape) -> np.ndarray:
    q, r = np.linalg.qr(RNG.standard_normal(shape, dtype=np.float32))
    q *= np.sign(np.diagonal(r))
    return q


def truncated(name: str, in_jax: str, variance: Callable[[Shape], float]) -> Law:
    """Return a normal law, cut at two standard deviations; the variance is that after the cut."""

    def stddev(shape: Shape) -> float:
        return math.sqrt(variance(shape)) / initializers.TRUNCATED_STD

    def by_torch(W: Any) -> Any:
        s = stddev(W.shape)
        return torch.nn.init.trunc_normal_(W, std=s, a=-2 * s, b=2 * s)

    return Law(name, in_jax, lambda shape: normal(shape, stddev(shape), 2), by_torch)


HE_NORMAL = truncated("HeNormal", "he_normal", lambda shape: 2 / shape[0])
GLOROT_NORMAL = truncated("GlorotNormal", "glorot_normal", lambda shape: 2 / sum(shape))
GLOROT_UNIFORM = Law(
    *("GlorotUniform", "glorot_uniform"),
    lambda shape: uniform(shape, math.sqrt(6 / sum(shape))),
    lambda W: torch.nn.init.xavier_uniform_(W),
)
NORMAL = Law(
    *("RandomNormal", "normal"),
    lambda shape: normal(shape, 0.02),
    lambda W: torch.nn.init.normal_(W, std=0.02),
    {"stddev": 0.02},
)
ORTHOGONAL = Law("Orthogonal", "orthogonal", orthogonal, lambda W: torch.nn.init.orthogonal_(W))
HE_IN_NETS = HE_NORMAL._replace(  # not truncated by NumPy and PyTorch
    by_numpy=lambda shape: normal(shape, math.sqrt(2 / shape[0])),
    by_torch=lambda W: torch.nn.init.kaiming_normal_(W, nonlinearity="relu"),
)


def draws(law: Law, *shapes: Shape) -> Peers:
    """Yield who draws weights of all these shapes, and what they are made of."""
    draw = getattr(initializers, law.name)(seed=np.random.default_rng(0), **law.arguments)
    yield OURS, lambda: [draw(shape) for shape in shapes]
    yield "NumPy", lambda: [law.by_numpy(shape) for shape in shapes]
    if torch:
        yield "PyTorch", lambda: [law.by_torch(torch.empty(shape)) for shape in shapes]
    if jax:
        theirs = getattr(jax.nn.initializers, law.in_jax)(**law.arguments)
        keys = jax.random.split(jax.random.key(0), len(shapes))
        compiled = jax.jit(lambda keys: list(map(theirs, keys, shapes)))
        yield "JAX", lambda: jax.block_until_ready(compiled(keys))
    if keras:
        seed = keras.random.SeedGenerator(0)
        layer = getattr(keras.initializers, law.name)(seed=seed, **law.arguments)
        yield "Keras", lambda: jax.block_until_ready([layer(shape) for shape in shapes])
    words = sum(map(math.prod, shapes)) // 2
    yield BITS, lambda: RNG.integers(0, 2**64 - 1, words, np.uint64, endpoint=True)


# ---- one training step: forward, cross-entropy, backward, SGD with momentum ---------------

BATCH, RATE, MOMENTUM = 64, 0.01, 0.9


def digits(widths: Shape, lead: Shape) -> tuple[np.ndarray, np.ndarray]:
    """Return a batch of inputs and labels, for each replica."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((*lead, BATCH, widths[0]), dtype=np.float32)
    return x, rng.integers(0, widths[-1], (*lead, BATCH))


def our_step(widths: Shape, lead: Shape, look: Any = None) -> Callable[[], None]:
    """Return a step as `training.fit` takes it; `look` is called on the gradients."""
    options = {"weights": "he_normal", "replicas": lead[0] if lead else None, "dtype": "float32"}
    net, sgd = network.MLP(widths, "relu", **options), optimizers.SGD(RATE, momentum=MOMENTUM)
    x, y = digits(widths, lead)
    parameters, loss = net.parameters(), losses.LOSSES["softmax_cross_entropy"]
    sgd.start(parameters)

    def step() -> None:
        _, gradients = net.loss_and_gradients(x, y, loss)
        sgd.step(parameters, gradients.parameters())
        if look:
            look(gradients)

    return step


def jax_step(widths: Shape, lead: Shape) -> Callable[[], None]:
    """Return a compiled step that reuses the memory of its parameters; replicas by vmap."""
    x, y = map(jax.numpy.asarray, digits(widths, lead))
    draw, zeros = jax.nn.initializers.he_normal(), jax.numpy.zeros
    shapes = list(zip(widths[:-1], widths[1:]))
    net = [(draw(jax.random.key(0), (*lead, *s)), zeros((*lead, s[1]))) for s in shapes]
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

    compiled = jax.jit(jax.vmap(update) if lead else update, donate_argnums=(0, 1))

    def step() -> None:
        state[:] = compiled(*state, x, y)
        jax.block_until_ready(state)

    return step


def torch_step(widths: Shape) -> Callable[[], None]:
    """Return a step as PyTorch's tutorials write it."""
    layers = [torch.nn.Linear(*shape) for shape in zip(widths[:-1], widths[1:])]
    parts = [part for layer in layers for part in (layer, torch.nn.ReLU())][:-1]
    net, loss = torch.nn.Sequential(*parts), torch.nn.CrossEntropyLoss()
    sgd = torch.optim.SGD(net.parameters(), lr=RATE, momentum=MOMENTUM)
    x, y = map(torch.from_numpy, digits(widths, ()))

    def step() -> None:
        sgd.zero_grad()
        loss(net(x), y).backward()
        sgd.step()

    return step


def steps(widths: Shape, *lead: int) -> Peers:
    """Yield who takes a step with a net, or with as many replicas of it as `lead` says."""
    yield OURS, our_step(widths, lead)
    if torch and not lead:
        yield "PyTorch", torch_step(widths)
    if jax:
        yield "JAX", jax_step(widths, lead)


def probed(widths: Shape) -> Peers:
    """Yield a step with the norms of all weights' gradients, and one without."""
    yield OURS, our_step(widths, (), lambda g: [probes.gradient_norm(w) for w in g.weights])
    yield BARE, our_step(widths, ())


# ---- the rows ----------------------------------------------------------------------------


class Row(NamedTuple):
    """Some work, the least wanted ratios of peers' medians to that of initcore, and all peers.

    "fastest" is the fastest peer but for the raw bits, which are not the work but its material.
    """

    name: str
    target: dict[str, float]
    peers: Peers  # what they prepare is not timed


LARGE = (4096, 4096)
SMALL_NET = [(100, 50), *[(50, 50)] * 4, (50, 10)]
CHAPTERS, SHORT = (100, *[50] * 5, 10), (64, *[128] * 3, 10)  # widths
OF_TRUNCATED = {"JAX": 3, "PyTorch": 10, BITS: 1 / 3.5}
OF_STEPS = {"JAX": 1.2, "PyTorch": 3}
ROWS = [
    Row("HeNormal 4096² float32", OF_TRUNCATED, draws(HE_NORMAL, LARGE)),
    Row("GlorotNormal 4096² float32", OF_TRUNCATED, draws(GLOROT_NORMAL, LARGE)),
    Row("GlorotUniform 4096² float32", {"fastest": 1.5}, draws(GLOROT_UNIFORM, LARGE)),
    Row("RandomNormal 4096² float32", {"PyTorch": 1}, draws(NORMAL, LARGE)),
    Row("Orthogonal 1024² float32", {"PyTorch": 1.7}, draws(ORTHOGONAL, (1024, 1024))),
    Row("all weights of 22×512, truncated", {"PyTorch": 1}, draws(HE_IN_NETS, *[(512, 512)] * 22)),
    Row("all weights of 100-50×5-10", {"PyTorch": 1}, draws(HE_IN_NETS, *SMALL_NET)),
    Row("SGD step 100-50×5-10, batch 64", OF_STEPS, steps(CHAPTERS)),
    Row("SGD step 64-128×3-10, batch 64", OF_STEPS, steps(SHORT)),
    Row("SGD step 256×22, batch 64", {"fastest": 1}, steps((256,) * 22)),
    Row("SGD step of 32 replicas of 100-50×5-10, batch 64", {"JAX": 1.2}, steps(CHAPTERS, 32)),
    Row("SGD step of 32 replicas of 64-128×3-10, batch 64", {"JAX": 1.2}, steps(SHORT, 32)),
    Row("SGD step 64-128×3-10, probed", {BARE: 1 / 1.3}, probed(SHORT)),
]

# ---- measuring ---------------------------------------------------------------------------


def rest() -> None:
    """Wait until no thread of the peer before runs on with nothing to do, as OpenBLAS's do."""
    busy = True
    while busy:
        used = time.process_time()
        time.sleep(0.01)
        busy = time.process_time() - used > 0.001


def measure(peers: dict[str, Callable], whole: float = WHOLE_ROW) -> dict[str, float]:
    """Return each peer's median in milliseconds; they take turns, for some `whole` seconds."""
    warm = {name: min(repeat(work, number=1, repeat=WARM_UP)) for name, work in peers.items()}
    calls = {name: math.ceil(SHORTEST / once) for name, once in warm.items()}
    one_round = sum(once * calls[name] for name, once in warm.items())
    times: dict[str, list[float]] = {name: [] for name in peers}
    for _ in range(min(MOST, max(FEWEST, round(whole / one_round)))):
        for name, work in peers.items():
            rest()
            times[name].append(timeit(work, number=calls[name]) / calls[name])
    return {name: 1e3 * statistics.median(taken) for name, taken in times.items()}


def judge(row: Row, medians: dict[str, float]) -> dict[str, Any]:
    """Return a row of the results: times in ms, and the ratios beside those wanted."""
    ratios = {peer: round(taken / medians[OURS], 3) for peer, taken in medians.items()}
    ratios["fastest"] = min(r for peer, r in ratios.items() if peer not in (OURS, BITS))
    known = [ratios[peer] >= least for peer, least in row.target.items() if peer in ratios]
    return {
        "name": row.name,
        "medians": {peer: float(f"{time:.4g}") for peer, time in medians.items()},
        "target": ", ".join(said(peer, least) for peer, least in row.target.items()),
        "ratio": ratios,
        "met": all(known) if known else None,
    }


def said(peer: str, least: float) -> str:
    """Return a target in words: a speed, or a share of time where initcore may be slower."""
    peer = {"fastest": "the fastest peer", BARE: f"the {BARE}"}.get(peer, peer)
    return f"≥ {least:g}× {peer}" if least >= 1 else f"≤ {1 / least:.3g}× the time of {peer}"


def store(kind: str, measured: dict[str, Any], order: Iterable[str]) -> None:
    """Write what was measured beside the stored entries of other names, in this order."""
    stored = json.loads(RESULTS.read_text("utf-8"))
    measured |= common.circumstances(PACKAGES)
    by_name = {entry["name"]: entry for entry in [*stored[kind], measured]}
    stored[kind] = [by_name[name] for name in order if name in by_name]
    _files.write(RESULTS, json.dumps(stored, indent=1, ensure_ascii=False) + "\n")


def main(words: list[str]) -> None:
    """Measure the rows whose names have one of the words, print and store them."""
    print(*common.circumstances(PACKAGES).values(), sep="; ", flush=True)
    rows = {row.name: row for row in ROWS}
    for name in common.chosen(rows, words):
        result = judge(rows[name], measure(dict(rows[name].peers)))
        print(f"{name}: {result['target']}; met: {result['met']}")
        for peer, taken in result["medians"].items():
            print(f"  {peer:12}{taken:10.4g} ms  ×{result['ratio'][peer]:.2f}", flush=True)
        store("rows", result, rows)


if __name__ == "__main__":
    main(sys.argv[1:])
