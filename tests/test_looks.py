"""The page *My model does not train*: its code runs, and its bounds tell healthy nets from ill.

The blocks of the page are run as they stand there, on the nets and seeds that it names. Of two
thousand other nets of these kinds (a thousand of them of thirty ReLU layers of 64 units) none was
called ill.
"""

import os
import re
from functools import cache

import numpy as np
import pytest
from chapter import ROOT

from initcore import experiments, initializers, losses, probes
from initcore.blocks import BatchNormMLP
from initcore.initializers import Constant, RandomNormal
from initcore.network import MLP

os.environ.setdefault("KERAS_BACKEND", "jax")

PAGE = (ROOT / "pages/my_model_does_not_train.md").read_text("utf-8")
BLOCKS = {
    re.match(r"# (\w+)", code)[1]: code
    for code in re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
}
LOOKS = [name for name in BLOCKS if name[0].isdigit()]
SEEDS = range(20)


@cache
def batch():
    """Return two hundred digits and their labels."""
    digits = experiments.split_digits().train
    return digits.x[:200], digits.y[:200]


def run(name, here):
    """Run a block of the page with these variables, and return all that there are then."""
    exec(compile(BLOCKS[name], f"<{name}>", "exec"), here)
    return here


def collected(net):
    """Return what the block for the package collects of a net that is given."""
    x, labels = batch()
    code = re.sub(r"^net = .*\n", "", BLOCKS["initcore"], flags=re.MULTILINE)
    here = {"x": x, "labels": labels, "net": net}
    exec(code, here)
    return here


def ill(net, *looks):
    """Return which of these looks call a net ill; a net of zeros divides by zero in them."""
    here = collected(net)
    with np.errstate(all="ignore"):
        return [look for look in looks if not run(look, here)["healthy"]]


def looks_at(activation):
    """Return the looks that the page takes at a net with this activation."""
    others = {"tanh": {"6b"}, "relu": {"5b", "6a"}, "sigmoid": {"4", "6a", "6b"}}
    return [look for look in LOOKS if look not in others.get(activation, {"5b", "6a", "6b"})]


def widths(depth, units):
    return (64, *[units] * depth, 10)


def test_the_page_has_all_looks():
    assert LOOKS == ["0", "1", "2", "3", "4", "5a", "5b", "6a", "6b", "7"]


@pytest.mark.parametrize("units", [64, 128])
@pytest.mark.parametrize("depth", [2, 10, 30])
@pytest.mark.parametrize(
    ("activation", "weights"), [("relu", "he_normal"), ("tanh", "glorot_normal")]
)
def test_no_healthy_net_is_called_ill(activation, weights, depth, units):
    for seed in SEEDS:
        net = MLP(widths(depth, units), activation, weights=weights, seed=seed)
        assert ill(net, *looks_at(activation)) == [], f"seed {seed}"


@pytest.mark.parametrize(
    ("activation", "weights", "depth"),
    [
        ("gelu", "he_normal", 10),
        ("leaky_relu", "he_normal", 30),
        ("selu", "lecun_normal", 30),
        ("sigmoid", "glorot_normal", 3),
    ],
)
def test_nor_are_the_others_that_the_summary_recommends(activation, weights, depth):
    for seed in SEEDS:
        net = MLP(widths(depth, 64), activation, weights=weights, seed=seed)
        assert ill(net, *looks_at(activation)) == [], f"seed {seed}"


def of_chapter_4(activation, sd):
    return lambda seed: MLP(widths(5, 50), activation, weights=RandomNormal(stddev=sd), seed=seed)


def deep(depth, weights, **settings):
    return lambda seed: MLP(widths(depth, 64), "relu", weights=weights, seed=seed, **settings)


def with_output_of(sd):
    laws = ["he_normal"] * 4 + [RandomNormal(stddev=sd)]
    return lambda seed: MLP(widths(4, 32), "relu", weights=laws, seed=seed)


def sigmoids(seed):
    return MLP(widths(10, 64), "sigmoid", weights="glorot_normal", seed=seed)


def three_small_layers(seed):
    return MLP(widths(3, 100), "tanh", weights=RandomNormal(stddev=0.01), seed=seed)


def under_biases(seed):
    laws = {"weights": RandomNormal(stddev=0.01), "biases": RandomNormal(stddev=1.0)}
    return MLP(widths(3, 64), "tanh", seed=seed, **laws)


def normalised(seed):
    return BatchNormMLP(widths(30, 32), "relu", weights="he_normal", seed=seed)


def with_a_twin(seed):
    net = MLP(widths(3, 64), "relu", weights="he_normal", seed=seed)
    net.weights[1][:, 5] = net.weights[1][:, 9]
    return net


BROKEN = {
    "output layer of 3": ("1", with_output_of(3)),
    "output layer of 10": ("1", with_output_of(10)),
    "ReLU, 0.4": ("2", of_chapter_4("relu", 0.4)),
    "ReLU, 0.05": ("2", of_chapter_4("relu", 0.05)),
    "tanh, 0.03": ("2", of_chapter_4("tanh", 0.03)),
    "tanh, 0.01": ("3", of_chapter_4("tanh", 0.01)),
    "thirty ReLU layers without the 2": ("2", deep(30, "lecun_normal")),
    "its gradients": ("5a", deep(30, "lecun_normal")),
    "three tanh layers": ("2", three_small_layers),
    "ten sigmoids": ("3", sigmoids),
    "weights small beside their biases": ("4", under_biases),
    "thirty normalised layers": ("5a", normalised),
    "tanh, 1, its gradients": ("5b", of_chapter_4("tanh", 1.0)),
    "tanh, 1": ("6a", of_chapter_4("tanh", 1.0)),
    "tanh, 0.5": ("6a", of_chapter_4("tanh", 0.5)),
    "dead units": ("6b", deep(3, "he_normal", biases=Constant(-10.0))),
    "all weights equal": ("7", deep(3, Constant(0.05))),
    "all weights zero": ("7", deep(3, "zeros")),
    "one unit twice": ("7", with_a_twin),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_net_is_caught(name):
    look, make = BROKEN[name]
    for seed in SEEDS:
        assert ill(make(seed), look) == [look], f"seed {seed}"


def test_raw_pixels_are_told():
    digits = experiments.split_digits().train
    for x in (np.clip(16 * digits.x + 128, 0, 255), digits.x / 255):
        assert not run("0", {"x": x, "np": np})["healthy"]


def test_one_logit_is_two_classes_beside_zeros():
    here = {"logits": np.column_stack([np.zeros(50), np.linspace(-1, 1, 50)]), "np": np}
    assert run("1", here | {"loss": 0.705})["healthy"]
    assert not run("1", here | {"loss": 7.0})["healthy"]


def test_a_hundred_layers_are_called_ill_more_often_than_not():
    found = [ill(deep(100, "he_normal")(seed), "4") for seed in SEEDS]
    assert found.count(["4"]) > 10


def test_a_loss_that_is_added_up_is_told_from_a_large_output_layer():
    bound = 5 * np.log(10)
    summed = collected(MLP(widths(3, 64), "relu", weights="he_normal", seed=0))
    summed["loss"] = 200 * summed["loss"]
    assert not run("1", summed)["healthy"] and summed["expected"] < bound
    large = run("1", collected(with_output_of(10)(0)))
    assert not large["healthy"] and large["expected"] > bound


def test_the_blocks_for_jax_and_for_the_package_collect_the_same():
    import jax.numpy as jnp

    net = MLP(widths(3, 20), "relu", weights="he_normal", biases="random_normal", seed=0)
    x, labels = batch()
    parameters = [(jnp.asarray(W), jnp.asarray(b)) for W, b in zip(net.weights, net.biases)]
    theirs = run("JAX", {"x": jnp.asarray(x), "labels": labels, "parameters": parameters})
    same(collected(net), theirs)
    looks_run_on(theirs)


def looks_run_on(theirs):
    """Take all looks at what the block of another library collected, with nothing else."""
    run("needed", theirs)
    assert all(isinstance(bool(run(look, theirs)["healthy"]), bool) for look in LOOKS)


def same(ours, theirs):
    """Compare what two blocks collected, in single precision."""
    for name in ("logits", "loss"):
        np.testing.assert_allclose(theirs[name], ours[name], rtol=1e-4, atol=1e-5)
    for name in ("activations", "deltas", "weights"):
        assert len(theirs[name]) == len(ours[name]) == 3
        for one, other in zip(theirs[name], ours[name]):
            np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-5)


def test_the_last_block_prints_every_statistic(capsys):
    x, labels = batch()
    here = run("initcore", {"x": x, "labels": labels})
    run("all", here)
    printed = capsys.readouterr().out
    for column in ("std across inputs", "cosine", "dead", "delta median", "distinct units"):
        assert column in printed
    assert losses.softmax_cross_entropy(here["trace"].output, labels)[0].shape == (20,)


# --- without the package -------------------------------------------------------------------------


def twin_in_keras(net):
    """Return a Keras model with the widths, weights and biases of a ReLU net."""
    import keras

    model = keras.Sequential([keras.Input(net.widths[:1])])
    for layer, units in enumerate(net.widths[1:]):
        is_last = layer == len(net.weights) - 1
        how = {"activation": None if is_last else "relu", "name": f"layer_{9 - layer}"}
        model.add(keras.layers.Dense(units, **how))  # not in the order of the alphabet
        model.layers[-1].set_weights([net.weights[layer], net.biases[layer]])
    return model


def numbers_in(model):
    """Return all weights of a Keras model, with those that are not trained."""
    import keras

    return [np.array(keras.ops.convert_to_numpy(weight.value)) for weight in model.weights]


def compare_with_the_package(table, net, gradients):
    """Compare the numbers of a block, layer by layer, with the package's probes."""
    x, labels = batch()
    for row, W, a, g in zip(table, net.weights, net.forward(x).inputs, gradients, strict=True):
        wanted = {
            "mean square": np.mean(a**2),
            "spread": probes.pooled_std(a),
            "across inputs": probes.std_across_inputs(a),
            "cosine": probes.mean_cosine(a),
            "dead": probes.dead_fraction(a),
            "beyond 0.99": np.mean(abs(a) > 0.99),
            "gradient": probes.rms(g),
            "median": np.median(abs(g)),
            "distinct units": probes.distinct_units(W) / W.shape[1],
        }
        assert list(row) == list(wanted)
        for name, value in wanted.items():
            np.testing.assert_allclose(row[name], value, rtol=2e-3, atol=1e-6, err_msg=name)


def ill_in_three_ways():
    """Return a ReLU net with a dead unit, one unit twice and biases."""
    net = MLP(widths(3, 20), "relu", weights="he_normal", biases="random_normal", seed=0)
    net.biases[0][3] = -100.0
    net.weights[1][:, 5] = net.weights[1][:, 9]
    return net


@pytest.mark.parametrize("net", [ill_in_three_ways(), MLP((64, 10), seed=0)], ids=["ill", "one"])
def test_the_looks_in_keras_are_those_of_the_package(net):
    x, labels = batch()
    model = twin_in_keras(net)
    before = numbers_in(model)
    found = run("Keras", {"model": model, "x": x.astype("float32"), "labels": labels})
    trace = net.forward(x)
    loss, g = losses.softmax_cross_entropy(trace.output, labels)
    np.testing.assert_allclose(found["loss"], loss, rtol=1e-5)
    compare_with_the_package(found["table"], net, net.backward(trace, g).weights)
    if len(net.weights) > 1:
        assert found["table"][1]["dead"] == 0.05
        assert found["table"][1]["distinct units"] == 0.95
    assert all(np.array_equal(a, b) for a, b in zip(before, numbers_in(model), strict=True))


def test_the_looks_in_keras_take_images_with_the_channels_last():
    import keras

    layers, (x, labels) = keras.layers, batch()
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((8, 8, 1)), layers.Conv2D(4, 3, activation="relu")])
    for layer in (layers.BatchNormalization(), layers.Flatten(), layers.Dense(10)):
        model.add(layer)
    model.layers[0].bias.assign([-100.0, 0.0, 0.0, 0.0])
    before = numbers_in(model)
    here = {"model": model, "x": x.reshape(-1, 8, 8, 1).astype("float32"), "labels": labels}
    first, last = run("Keras", here)["table"]
    images = here["x"].astype("float64")
    np.testing.assert_allclose(first["mean square"], np.mean(images**2), rtol=1e-6)
    np.testing.assert_allclose(first["cosine"], probes.mean_cosine(images.reshape(200, -1)), 1e-5)
    assert first["distinct units"] == last["distinct units"] == 1
    assert all(np.array_equal(a, b) for a, b in zip(before, numbers_in(model), strict=True))


@pytest.mark.parametrize(
    ("fault", "first"),
    [
        ("none", "all is finite"),
        ("input", "inputs"),
        ("weight", "weight layer_8/kernel"),
        ("never drawn", "weight layer_8/kernel"),
        ("too large", "output of layer_7"),
    ],
)
def test_the_block_for_keras_names_the_first_place_that_is_not_finite(fault, first, capsys):
    net, x = MLP(widths(3, 20), "relu", weights="he_normal", seed=0), batch()[0].copy()
    if fault == "too large":
        net.weights[1] *= 1e5
        net.weights[2] *= 1e9
    if fault in ("weight", "never drawn"):
        net.weights[1][3, 4] = np.nan if fault == "weight" else 1e37
    x[7, 20] = np.nan if fault == "input" else x[7, 20]
    run("Layers", {"model": twin_in_keras(net), "x": x.astype("float32")})
    assert re.sub(r"sequential\w*/", "", capsys.readouterr().out.strip()) == first


def test_standardised_inputs_have_mean_square_1_where_they_are_not_blank():
    raw = experiments.split_digits(standardize=False)
    here = {"np": np, "train": raw.train.x, "test": raw.test.x}
    run("Standardise", here)
    blank = np.ptp(raw.train.x, axis=0) == 0
    assert 0 < blank.sum() < 10 and (here["train"][:, blank] == 0).all()
    np.testing.assert_allclose(np.mean(here["train"] ** 2, axis=0), ~blank, atol=1e-9)
    np.testing.assert_allclose(here["test"], experiments.split_digits().test.x, atol=1e-9)


def test_the_first_loss_is_that_of_the_best_guess_under_the_biases_of_the_table():
    counts = np.array([990, 7, 3])
    here = run("Bias", {"np": np, "counts": counts})
    labels = np.repeat(np.arange(3), counts)
    logits = np.tile(here["bias"], (1000, 1))
    loss, _ = losses.softmax_cross_entropy(logits, labels)
    np.testing.assert_allclose(loss, here["entropy"], rtol=1e-12)
    p, z = 0.01, np.log(0.01 / 0.99)
    assert round(np.logaddexp(0, z) - p * z, 3) == 0.056  # as the page prints
    assert round(-p * np.log(p) - (1 - p) * np.log(1 - p), 3) == 0.056


LAWS = {
    "LeCun": initializers.LecunNormal,
    "He": initializers.HeUniform,
    "Glorot": initializers.GlorotNormal,
    "PyTorch": lambda seed: initializers.VarianceScaling(1 / 3, "fan_in", "uniform", seed),
    "GPT": lambda seed: initializers.RandomNormal(stddev=0.02, seed=seed),
}


@pytest.mark.false_alarm(1e-9)  # 200 draws beyond 7 errors
@pytest.mark.parametrize("rule", LAWS)
def test_the_fingerprint_names_the_rule_of_a_fresh_weight_and_no_other(rule):
    fingerprint = run("Fingerprint", {"np": np})["fingerprint"]
    for seed in range(40):
        found = fingerprint(LAWS[rule](seed=seed)((200, 100), "float64"))
        assert [name for name, errors in found.items() if abs(errors) < 7] == [rule]


def test_the_fingerprint_of_a_trained_weight_is_another():
    fingerprint = run("Fingerprint", {"np": np})["fingerprint"]
    trained = experiments.train_on_digits("tanh", "glorot_uniform", epochs=2).net
    fresh = MLP(trained.widths, "tanh", weights="glorot_uniform", replicas=8)
    for net, is_fresh in ((fresh, True), (trained, False)):
        for W in net.weights[-1]:
            assert bool(abs(fingerprint(W)["Glorot"]) < 7) is is_fresh
