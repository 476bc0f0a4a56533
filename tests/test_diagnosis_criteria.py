"""`identify`, the theory's bands and the findings, on nets whose faults are known.

The oracles are the initializers' own definitions, NumPy's laws, and nets that are healthy or broken
by construction; a `Look` is filled by `of_arrays`, or by hand where no network here has the part.
"""

import ast
import math
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from initcore import activations, initializers, theory
from initcore.blocks import BatchNormMLP, ResidualMLP
from initcore.diagnosis import bands, case, criteria, limits, of_arrays
from initcore.diagnosis.identify import LAWS, WRONG, identify
from initcore.diagnosis.look import Layer, Look, measure
from initcore.initializers import Constant, HeNormal, RandomNormal, VarianceScaling
from initcore.network import MLP

ROOT = Path(__file__).resolve().parents[1]
PYTORCH = VarianceScaling(1 / 3, "fan_in", "uniform")


def layer_of(W, *, kind="dense", fans=None, library=None, shape=None, **more):
    W = np.asarray(W, np.float64)
    W = W if W.ndim == 3 else W[None]
    fans = fans or W.shape[1:]
    return Layer("fc", kind, W, None, *fans, shape or W.shape[1:], library or fans, **more)


def batch(seed, widths, rows=40):
    rng = np.random.default_rng([seed, 5])
    return rng.normal(size=(rows, widths[0])), rng.integers(0, widths[-1], rows)


def findings_of(look):
    return criteria.judge(look).findings


def found(net, x=None, y=None, **more):
    if x is None:
        x, y = batch(0, net.widths)
    return findings_of(of_arrays.look(net, x, y, **more))


def codes(findings):
    return [(one.level, one.code, one.layer) for one in findings]


# --- identify


NAMED = {
    "he_normal": "He", "he_uniform": "He", "glorot_normal": "Glorot", "glorot_uniform": "Glorot",
    "lecun_normal": "LeCun", "lecun_uniform": "LeCun",
}  # fmt: skip


@pytest.mark.parametrize("shape", [(300, 100), (100, 300), (64, 64), (784, 128)])
@pytest.mark.parametrize("name", NAMED)
def test_a_draw_is_named_as_what_it_was_drawn_from(name, shape):
    for seed in range(5):
        scheme = identify(
            layer_of(initializers.get(name).draw(shape, np.random.default_rng(seed), "float64"))
        )
        assert scheme.kind == ("uniform" if "uniform" in name else "truncated normal")
        assert NAMED[name] in {rule.name for rule in scheme.fits} and scheme.rule.fans == "true"


def test_a_square_layer_does_not_tell_lecun_from_glorot():
    W = initializers.LecunNormal(seed=0)((128, 128))
    assert {"LeCun", "Glorot"} <= {rule.name for rule in identify(layer_of(W)).fits}


DRAWS = {
    "uniform": lambda rng, size: rng.uniform(-1, 1, size),
    "normal": lambda rng, size: rng.normal(size=size),
    "truncated normal": lambda rng, size: initializers.TruncatedNormal(stddev=1.0).draw(
        size, rng, "float64"
    ),
}


@pytest.mark.parametrize("law", DRAWS)
@pytest.mark.parametrize("shape", [(12, 8), (64, 64)])
def test_the_sampling_error_is_that_of_many_draws(law, shape):
    rng, sd = np.random.default_rng(1), {"uniform": 3**-0.5, "normal": 1.0}.get(law, 0.8796256610)
    schemes = [identify(layer_of(DRAWS[law](rng, shape))) for _ in range(400)]
    z = np.array([(one.sd / sd - 1) / one.error for one in schemes])
    assert abs(z.mean()) < 0.2 and 0.85 < z.std() < 1.15
    if shape == (64, 64):
        assert sum(one.kind == law for one in schemes) >= 398


@pytest.mark.parametrize("law", DRAWS)
def test_the_variance_of_a_laws_kurtosis(law):
    x = DRAWS[law](np.random.default_rng(2), (3000, 2000))
    kurtosis = (x**4).mean(axis=1) / (x**2).mean(axis=1) ** 2
    assert kurtosis.mean() == pytest.approx(LAWS[law][0], rel=2e-3)
    assert 2000 * kurtosis.var() == pytest.approx(LAWS[law][1], rel=0.12)


def test_what_is_no_sample():
    orthogonal = initializers.Orthogonal(gain=1.4, seed=0)((96, 32))
    assert str(identify(layer_of(orthogonal))) == "orthogonal, gain 1.4"
    assert identify(layer_of(orthogonal.astype(np.float16))).kind == "orthogonal"
    kinds = [
        identify(layer_of(W)).kind for W in (np.zeros((4, 3)), np.full((4, 3), 0.1), np.eye(5))
    ]
    assert kinds == ["zeros", "constant", "identity"]
    assert identify(layer_of(np.full((2, 2), np.nan))) is None
    assert identify(Layer("norm", "normalisation")) is None
    trained = np.random.default_rng(0).standard_t(3, (200, 200))
    assert identify(layer_of(trained)).kind == "other"
    assert identify(layer_of(np.random.default_rng(0).uniform(0, 1, (50, 50)))).rule is None
    with pytest.raises(TypeError, match="layer"):
        identify(np.eye(3))


def test_the_same_rule_with_other_fans_is_told_apart():
    rng = np.random.default_rng(3)
    d, heads, size = 128, 4, 32
    rank3 = HeNormal(seed=0)((d, heads, size)).reshape(d, -1)
    cases = {
        "library": layer_of(
            rank3, kind="attention", library=(d * heads, d * size), shape=(d, heads, size)
        ),
        "places": layer_of(
            rng.normal(0, math.sqrt(2 / 32), (9 * 32, 64)), kind="convolution", fans=(288, 576),
            shape=(3, 3, 32, 64), places=9,
        ),
        "fan_out": layer_of(rng.normal(0, math.sqrt(2 / 64), (256, 64))),
        "variance": layer_of(rng.normal(0, 2 / 256, (256, 64))),
    }  # fmt: skip
    for fans, layer in cases.items():
        assert identify(layer).rule.fans == fans, fans


def test_a_small_weight_is_not_blamed_for_its_sampling_error():
    for seed in range(300):
        W = np.random.default_rng(seed).normal(0, math.sqrt(2 / 6), (6, 4))
        rule = identify(layer_of(W, library=(24, 24))).rule
        assert rule is None or rule.fans not in WRONG


# --- The theory's bands


def outside(look):
    """Return (layers outside of the band, layers) for the sums and the deltas of a look."""
    number = [0, 0, 0, 0]
    judged = criteria.judge(look)
    for layer, *theirs in zip(look.layers, judged.forward, judged.backward):
        for way, signal in enumerate((layer.sums, layer.deltas)):
            if (band := theirs[way]) is not None:
                assert band[0] <= band[1] <= band[2]
                number[2 * way] += not band[0] <= signal.rms <= band[2]
                number[2 * way + 1] += 1
    return np.array(number)


HEALTHY = [
    ("relu", "he_normal", 64, 20), ("relu", "he_uniform", 16, 50), ("relu", "he_normal", 512, 2),
    ("linear", "lecun_normal", 32, 20), ("linear", "orthogonal", 64, 20),
    ("tanh", "glorot_uniform", 64, 10), ("tanh", "glorot_normal", 16, 50),
    ("tanh", VarianceScaling(25 / 9), 64, 10), ("selu", "lecun_normal", 64, 10),
    ("gelu", "he_normal", 64, 10), ("silu", "he_normal", 32, 10),
    ("softsign", "glorot_uniform", 64, 10), ("centred_sigmoid", VarianceScaling(16.0), 64, 10),
    ("sigmoid", VarianceScaling(16.0), 64, 10), ("sigmoid", "glorot_uniform", 64, 3),
    ("leaky_relu", VarianceScaling(2 / 1.0001), 64, 10), ("elu", VarianceScaling(1.55), 64, 10),
]  # fmt: skip


@pytest.mark.parametrize(("phi", "weights", "width", "depth"), HEALTHY)
def test_a_recommended_start_is_within_the_bands_and_gives_no_fault_and_no_watch(
    phi, weights, width, depth
):
    seeds = 20 if width * depth < 2000 else 8
    total = np.zeros(4)
    for seed in range(seeds):
        widths = (64, *[width] * depth, 10)
        net = MLP(widths, phi, weights=weights, seed=seed)
        look = of_arrays.look(net, *batch(seed, widths))
        ill = [one for one in findings_of(look) if one.level != "note"]
        assert not ill, (seed, ill)
        total += outside(look)
    assert total[0] <= 0.02 * total[1] and total[2] <= 0.02 * total[3]


def test_the_band_of_a_relu_net_is_no_wider_than_the_exact_one_and_its_slack():
    look = of_arrays.look(
        MLP((64, *[64] * 10, 10), "relu", weights="he_normal"), *batch(0, (64, 10))
    )
    low, _, high = criteria.judge(look).forward[9]
    exact = theory.relu_band(64, 10, limits.CHANCE)[-1]
    slack = limits.SLACK**2 * math.exp(limits.SIGMAS * math.sqrt(2 / 64))
    q1 = look.layers[0].sums.rms ** 2
    assert low**2 == pytest.approx(q1 * exact[0] / slack, rel=0.25)
    assert high**2 == pytest.approx(q1 * exact[1] * slack, rel=0.25)


def test_tanh_at_gain_1_is_expected_to_fade_as_one_over_the_root_of_the_depth():
    widths = (256, *[256] * 30, 10)
    look = of_arrays.look(MLP(widths, "tanh", weights="lecun_normal"), *batch(0, widths))
    q1 = look.layers[0].sums.rms ** 2
    q = theory.variance_trajectory("tanh", 30, q1, 1.0)[-1]
    low, middle, _ = criteria.judge(look).forward[29]
    assert low < math.sqrt(q) < middle


def test_the_growth_of_batch_normalisation_is_divided_out():
    widths = (64, *[64] * 30, 10)
    for seed in range(5):
        look = of_arrays.look(
            BatchNormMLP(widths, "relu", weights="he_normal", seed=seed), *batch(seed, widths)
        )
        deltas = [layer.deltas.rms for layer in look.layers if layer.kind == "dense"]
        assert deltas[0] > 20 * deltas[-2]  # √(π/(π-1)) a layer, which is 260 in 29
        assert not findings_of(look) and outside(look)[2] == 0


def test_a_chain_ends_at_a_normalisation_and_a_stream():
    look = of_arrays.look(BatchNormMLP((8, 8, 8, 8, 4)), *batch(0, (8, 4)))
    assert [len(chain) for chain in bands.chains(look)] == [1, 1, 1, 1]
    look = of_arrays.look(MLP((8, 8, 8, 4)), *batch(0, (8, 4)))
    assert [len(chain) for chain in bands.chains(look)] == [3]


# --- Broken nets


GENERATOR = np.random.default_rng(14)


def deep(phi="relu", width=64, depth=20, classes=10, **more):
    """Return a net of another draw each time; a rate of chance is far below one in a run."""
    more = {"weights": "he_normal", "seed": GENERATOR, **more}
    return MLP((64, *[width] * depth, classes), phi, **more)


HE3, LOUD = ["he_normal"] * 3, RandomNormal(stddev=3.0)
TINY = [*HE3, RandomNormal(stddev=1e-3), *HE3]
BN = {"weights": "he_normal", "scales": "zeros"}
FAN_OUT = VarianceScaling(2.0, "fan_out")
TAPER = (1024, 512, 256, 128, 64, 16)
BROKEN = {
    "weight-scale": {
        "the gain forgotten": (lambda: deep(weights="glorot_uniform", depth=30), 1),
        "PyTorch's default, deep": (lambda: deep(weights=PYTORCH), 1),
        "N(0, 1)": (lambda: deep(weights=RandomNormal(stddev=1.0)), 1),
        "N(0, 1), tanh": (lambda: deep("tanh", depth=3, weights=RandomNormal(stddev=1.0)), 1),
        "sd = variance": (lambda: deep(weights=[RandomNormal(stddev=2 / 64)] * 21), 1),
        "one tiny layer": (lambda: deep(depth=6, weights=TINY), 4),
        "a loud output": (lambda: deep(depth=3, weights=[*HE3, LOUD]), 4),
    },
    "fans": {
        "fan_out in a taper": (lambda: MLP(TAPER, "relu", weights=FAN_OUT, seed=GENERATOR), 1)
    },
    "inputs-alike": {"sigmoids": (lambda: deep("sigmoid", weights="glorot_uniform"), None)},
    "bias-scale": {"biases that kill": (lambda: deep(biases=Constant(-4.0)), 1)},
    "equal-layers": {"one seed": (lambda: deep(weights=HeNormal(seed=3)), 2)},
    "equal-units": {
        "all zero": (lambda: deep(weights="zeros"), 1),
        "constant": (lambda: deep("tanh", weights=Constant(0.1)), 1),
    },
    "zero-scales": {"no scale": (lambda: BatchNormMLP((64, 32, 32, 10), "relu", **BN), None)},
    "residual-growth": {
        "doubling": (lambda: ResidualMLP((64, 64, 10), blocks=16, weights="he_normal"), None)
    },
    # One draw, as in about one of twenty the signal lives: GELU's fixed point repels it.
    "forward-vanishes": {"GELU, fifty deep": (lambda: deep("gelu", 256, 50, seed=0), None)},
}
CASES = [(code, name) for code, cases in BROKEN.items() for name in cases]


@pytest.mark.parametrize(("code", "name"), CASES)
def test_a_broken_net_gets_its_code_and_its_first_layer(code, name):
    make, number = BROKEN[code][name]
    for seed in range(4):
        net = make()
        first, *others = found(net, *batch(seed, net.widths))
        assert (first.code, first.level) in {(code, "fault"), (code, "watch")}, (seed, first)
        assert number is None or first.layer == f"layer {number}", (seed, first)
        assert all(one.level == "note" for one in others), (seed, others)  # no symptom again
        assert first.sentence and first.remedy and first.link


def test_a_deviation_alone_is_a_note():
    assert codes(found(deep(depth=3, weights="glorot_uniform"))) == [
        ("note", "weight-scale", "layer 1")
    ]
    assert codes(found(deep("tanh", depth=5))) == [("note", "weight-scale", "layer 1")]  # He's gain


def test_what_is_legal():
    small = deep(depth=3, weights=["he_normal"] * 3 + [RandomNormal(stddev=0.001)])
    assert not found(small)
    zero = deep(depth=3, weights=["he_normal"] * 3 + ["zeros"])
    assert codes(found(zero)) == [("note", "zero-output", "layer 4")]
    assert "exactly ln 10" in found(zero)[0].sentence
    hidden = deep("sigmoid", depth=2, weights=["glorot_uniform", "zeros", "glorot_uniform"])
    assert codes(found(hidden))[0] == ("note", "equal-units", "layer 2")
    ends = ["he_normal", *["he_normal", "zeros"] * 6, "he_normal"]
    assert not found(ResidualMLP((64, 64, 10), blocks=6, weights=ends))
    closed = ResidualMLP(
        (64, 32, 10), blocks=6, weights="he_normal", normalise=True, scales="zeros"
    )
    assert [one[:2] for one in codes(found(closed))] == [("note", "zero-scales")]
    scaled = ResidualMLP((64, 64, 10), blocks=25, weights="he_normal", branch_scale=0.2)
    assert not found(scaled)


def test_not_finite_names_the_first_place():
    x, y = batch(0, (64, 10))
    net = deep(depth=4)
    net.weights[2][3, 3] = np.nan
    first = found(net, x, y)[0]
    assert (first.code, first.level, first.layer) == ("not-finite", "fault", "layer 3")
    net.weights[2][3, 3] = 1e37  # finite, and no initializer's
    assert found(net, x, y)[0].layer == "layer 3" and "1e+37" in found(net, x, y)[0].sentence
    x[5, 5] = np.inf
    assert found(deep(depth=4), x, y)[0].layer is None


@pytest.mark.parametrize("scale", [1e-200, 1e200])
def test_numbers_near_the_ends_of_floats_are_judged(scale):
    x, y = batch(0, (64, 10))
    assert found(deep(depth=3), x * scale, y)[0].code in ("input-scale", "not-finite")
    weights = RandomNormal(stddev=scale / 1e3)
    assert found(deep(depth=3, weights=weights), x, y)[0].level == "fault"


def test_inputs():
    x, y = batch(0, (64, 10))
    rng, net = np.random.default_rng(0), deep(depth=3)
    raw = found(net, rng.integers(0, 256, x.shape), y)
    assert codes(raw) == [("fault", "input-scale", None)] and "pixels" in raw[0].sentence
    assert codes(found(net, 4 * x, y)) == [("watch", "input-scale", None)]
    assert codes(found(net, x / 300, y))[0] == ("fault", "input-scale", None)
    assert codes(found(net, np.ones_like(x), y))[0] == ("fault", "input-constant", None)
    assert codes(found(net, 1 + x / 50, y))[0] == ("watch", "input-constant", None)
    blank = x * (rng.random(64) < 0.5)
    assert not found(net, blank, y)
    assert not found(net, x / 3, y) and not found(net, x * 3, y)


def test_labels_and_classes():
    x, y = batch(0, (64, 10), rows=400)
    net = deep(depth=3)
    look = of_arrays.look(net, x, y)

    def with_labels(labels, **more):
        return findings_of(replace(look, targets=labels, loss=None, **more))

    assert not with_labels(y)
    assert codes(with_labels(y + 1))[0] == ("fault", "labels", None)
    assert "counted from 1" in with_labels(y + 1)[0].sentence
    assert codes(with_labels(np.maximum(y, 1)))[0] == ("watch", "labels", None)
    assert codes(with_labels(np.full_like(y, 3)))[0] == ("fault", "labels", None)
    assert not with_labels(np.eye(10)[y])  # one-hot
    assert not with_labels(np.where(np.arange(400) < 50, -100, y))  # left out by PyTorch
    rare = (np.random.default_rng(1).random(400) < 0.02).astype(int)
    two = deep(depth=3, classes=2, seed=0)
    first = found(two, x, rare)[0]
    p = rare.mean()
    assert (first.level, first.code) == ("watch", "class-bias")
    assert first.expected == pytest.approx(-p * math.log(p) - (1 - p) * math.log(1 - p))
    saved = math.log(2) - first.expected  # half of it is the limit
    for part, count in ((0.45, 1), (0.55, 0)):
        loss = math.log(2) - part * saved
        alone = replace(of_arrays.look(two, x, rare), loss=loss)
        assert [one.code for one in findings_of(alone)] == ["class-bias"] * count
    two.biases[-1][:] = np.log([1 - p, p])
    assert not found(two, x, rare)
    summed = findings_of(replace(look, loss=look.loss * 400))
    assert summed[0].code == "first-loss" and "adds up" in summed[0].sentence
    softmax = np.exp(look.outputs) / np.exp(look.outputs).sum(axis=1, keepdims=True)
    assert not with_labels(y, outputs=softmax)  # probabilities are taken for what they are
    loud = with_labels(y, outputs=12 * look.outputs)
    assert codes(loud) == [("fault", "first-loss", "layer 4")]


def test_regression():
    x, _ = batch(0, (64, 1), rows=200)
    net = MLP((64, 64, 64, 1), "relu", weights="he_normal")
    t = x @ np.random.default_rng(1).normal(0, 1 / 8, (64, 1))
    assert not found(net, x, t)
    assert codes(found(net, x, t + 100)) == [("fault", "target-scale", None)]
    assert codes(found(net, x, 20 * t)) == [("watch", "target-scale", None)]
    assert codes(found(net, x, t / 1e4))[0] == ("fault", "target-scale", None)
    loud = MLP(
        (64, 64, 64, 1), "relu", weights=["he_normal", "he_normal", RandomNormal(stddev=4.0)]
    )
    assert found(loud, x, t)[0].code == "weight-scale" and found(loud, x, t)[0].level == "fault"


def test_the_first_step():
    assert not found(deep(depth=3), optimizer="sgd")
    look = of_arrays.look(deep(depth=3), *batch(0, (64, 10)))
    look.layers[1].update = 3.0
    first = findings_of(look)[0]
    assert (first.level, first.code, first.layer) == ("fault", "first-step", "layer 2")
    assert first.remedy == "rate /= 300"


# --- Looks by hand


def signal(rms=1.0, units=64, seed=0):
    return measure(rms * np.random.default_rng(seed).normal(size=(64, units)))


def transformer(sd_end, growth, *, blocks=6, d=64, table=0.02, head=1.0):
    """Return a look at the layers of a transformer with LayerNorms before its branches."""
    rng, layers = np.random.default_rng(0), []
    W = rng.normal(0, table, (1, 500, d))
    layers.append(Layer("wte", "embedding", W, None, 1, d, (500, d), (500, d), "wte"))
    for n in range(blocks):
        for name, kind, out in (("attn", "attention", d), ("mlp", "dense", 4 * d)):
            for part, shape, sd in (("in", (d, out), 0.02), ("out", (out, d), sd_end)):
                V = rng.normal(0, sd, shape)
                phi = "gelu" if kind == "dense" and part == "in" else "linear"
                one = layer_of(V, kind=kind, activation=phi)
                one.name = one.key = f"h.{n}.{name}.{part}"
                if part == "out":
                    one.branch, one.stream = f"h.{n}", signal(1 + growth * n / (blocks - 1))
                layers.append(one)
        layers.append(Layer(f"h.{n}.ln", "normalisation", scale=np.ones(d)))
    tied = Layer("head", "dense", W.swapaxes(1, 2), None, d, 500, (500, d), (d, 500), "wte")
    tied.sums = signal(head, 500)
    return Look("torch", [*layers, tied], {})


def test_a_transformer_whose_branches_are_divided_is_healthy():
    assert not findings_of(transformer(0.02 / math.sqrt(12), 1.0))


def test_branches_that_are_not_divided():
    first = findings_of(transformer(0.02, 1.5))[0]
    assert (first.level, first.code, first.layer) == ("watch", "residual-growth", "h.0.attn.out")
    assert first.remedy.endswith("std=0.00577)") and "h.0.attn.out" in first.remedy
    assert not findings_of(transformer(0.02, 0.0))  # sums that are normalised: BERT


def test_a_tied_head_with_an_embedding_of_size_1():
    first = findings_of(transformer(0.02 / math.sqrt(12), 1.0, table=1.0, head=8.0))[0]
    assert (first.level, first.code, first.layer) == ("watch", "embedding-scale", "wte")
    first = findings_of(transformer(0.02 / math.sqrt(12), 1.0, table=1.0, head=22.0))[0]
    assert first.level == "fault" and "std=0.02" in first.remedy


def test_packed_query_key_and_value():
    d = 96
    W = VarianceScaling(1.0, "fan_avg", "uniform", seed=0)((d, 3 * d))
    W = np.stack(np.split(W, 3, axis=1))
    packed = layer_of(W, kind="attention", library=(d, 3 * d), shape=(d, 3 * d))
    assert codes(findings_of(Look("arrays", [packed], {}))) == [("note", "packed-qkv", "fc")]
    right = np.stack([initializers.GlorotUniform(seed=s)((d, d)) for s in range(3)])
    assert not findings_of(Look("arrays", [replace(packed, weight=right)], {}))


def test_kernels_of_rank_3_and_convolutions_without_their_places():
    d = 256
    W = HeNormal(seed=0)((d, 8, 32)).reshape(1, d, d)
    rank3 = layer_of(W, kind="attention", library=(d * 8, d * 32), shape=(d, 8, 32))
    assert codes(findings_of(Look("keras", [rank3], {})))[0][1:] == ("fans", "fc")
    rng = np.random.default_rng(0)
    convolutions = [
        layer_of(rng.normal(0, math.sqrt(2 / c), (9 * c, u)), kind="convolution",
                 fans=(9 * c, 9 * u), shape=(3, 3, c, u), activation="relu", places=9)
        for c, u in ((1, 16), (16, 32), (32, 32))
    ]  # fmt: skip
    for n, layer in enumerate(convolutions):
        layer.name = layer.key = f"conv{n}"
    first = findings_of(Look("arrays", convolutions, {}))[0]
    assert (first.level, first.code, first.layer) == ("watch", "fans", "conv0")


def test_weights_alone():
    same = [layer_of(np.full((9, 5), 0.2), distinct=1)]
    assert codes(findings_of(Look("arrays", same, {})))[0] == ("watch", "equal-units", "fc")
    assert criteria.judge(Look("arrays", [], {})) == ([], [], [], [])


# --- Causes, symptoms, words


def test_a_symptom_gives_its_cause_its_level_and_is_dropped():
    def one(code, level, measured=1.0, expected=2.0):
        return case.Finding(code, level, None, measured, expected, None, code, "", "")

    settled = criteria._settled(
        [one("forward-vanishes", "fault"), one("weight-scale", "note"), one("saturated", "watch")]
    )
    assert codes(settled) == [("fault", "weight-scale", None), ("watch", "saturated", None)]
    assert settled[0].sentence == "weight-scale; forward-vanishes"
    large = [one("weight-scale", "note", 2.0, 1.0), one("forward-vanishes", "fault")]
    assert [x.code for x in criteria._settled(large)] == ["forward-vanishes", "weight-scale"]


def test_the_catalogue():
    for code, entry in case.CATALOGUE.items():
        page = re.sub(r"\.html.*", "", entry["link"])
        assert (ROOT / f"{page}.ipynb").exists() or (ROOT / f"{page}.md").exists(), code
        remedy = entry["remedy"]
        others = entry.get("remedies", {})
        assert set(others) <= set(entry["says"])
        layer = layer_of(np.eye(3), sums=signal())
        for one in [remedy, *others.values()]:
            lines = one.values() if isinstance(one, dict) else [one]
            frameworks = {"torch", "keras", "initcore", "arrays"}
            assert isinstance(one, str) or set(one) == frameworks
            for line in lines:
                ast.parse(line.format(layer=layer, sd=0.1, factor=10.0, classes=3))
        explains = entry.get("explains", [])
        groups = explains.values() if isinstance(explains, dict) else [explains]
        assert all(set(group) <= set(case.CODES) - {code} for group in groups)
        assert entry.get("source") or not {"watch", "fault"} & set(entry), code


def test_the_gains_are_the_summarys():
    for name in activations.names():
        least, best, highest = bands.gains(name)
        assert 0 < least <= best <= highest
    assert bands.gains("leaky_relu(0.2)")[1] == pytest.approx(2 / 1.04)
    for name in ("gelu", "silu"):
        assert bands.gains(name)[2] == pytest.approx(theory.forward_gain(name) ** 2, rel=1e-3)


def test_only_a_look_is_judged():
    with pytest.raises(TypeError, match="look"):
        criteria.judge(deep(depth=2))
