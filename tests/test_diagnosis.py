"""`diagnose`: its arguments, its adapter of arrays, the report, the command, and what it leaves."""

import copy
import json
import re
import subprocess
import sys
import warnings
import zipfile

import ml_dtypes
import numpy as np
import pytest
from scipy.special import log_softmax, softmax

from initcore import __main__ as command
from initcore import activations, diagnose, losses, network, optimizers, plots, probes
from initcore.blocks import BatchNormMLP, ResidualMLP
from initcore.diagnosis import case, criteria, of_arrays, of_weights
from initcore.diagnosis import look as looks
from initcore.initializers import HeNormal, RandomNormal

RNG = np.random.default_rng(0)
X, Y = RNG.standard_normal((100, 64)), np.arange(100) % 10


def relu_net(**options):
    return network.MLP((64, 64, 64, 10), "relu", **{"weights": "he_normal", **options})


NETS = {
    "MLP": lambda: relu_net(),
    "BatchNormMLP": lambda: BatchNormMLP((64, 32, 32, 10), "tanh"),
    "ResidualMLP": lambda: ResidualMLP((64, 32, 10), blocks=2, branch_scale=0.5, normalise=True),
}


def as_list(net):
    phis = [net._phi(layer) for layer in range(net.n_layers)]
    return list(zip(net.weights, net.biases, phis))


# --- What the adapter saw, beside NumPy's own numbers.


@pytest.mark.parametrize("kind", NETS)
def test_the_signals_are_those_of_the_passes(kind):
    net = NETS[kind]()
    look = of_arrays.look(net, X, Y)
    trace = net.forward(X)
    loss, gradient = losses.softmax_cross_entropy(trace.output, Y)
    back = net.backward(trace, gradient)
    assert look.loss == pytest.approx(loss, rel=1e-12) and look.task == "classes"
    dense = [row for row in look.layers if row.kind == "dense"]
    norms = [row for row in look.layers if row.kind == "normalisation"]
    assert len(dense) == net.n_layers and len(norms) == len(getattr(net, "scales", ()))
    for i, row in enumerate(dense):
        assert row.inputs.rms == pytest.approx(np.sqrt(np.mean(trace.inputs[i] ** 2)))
        assert row.gradient.rms == pytest.approx(np.sqrt(np.mean(back.weights[i] ** 2)))
        assert row.gradient.median == pytest.approx(np.median(np.abs(back.weights[i])))
        assert (row.fan_in, row.fan_out) == net.weights[i].shape == row.weight.shape[1:]
        assert row.distinct == net.weights[i].shape[1]
        # dL/dW = xᵀ dL/d(x W): of one example, the product of both sizes, so that the deltas
        # are those by the sums x W, also where a normalisation stands behind.
        sums = trace.inputs[i] @ net.weights[i] + (0 if row.normalised else net.biases[i])
        assert row.sums.rms == pytest.approx(np.sqrt(np.mean(sums**2)))
    for row, scale in zip(norms, getattr(net, "scales", ())):
        assert np.array_equal(row.scale, scale) and row.weight is None
        assert row.sums.rms == pytest.approx(1, abs=0.01)  # û of γ = 1, b = 0


def test_the_deltas_of_a_normalised_layer_are_those_by_its_sums():
    """Against a difference of the loss when the sums of one unit for one input move."""
    net = BatchNormMLP((5, 4, 3), "tanh")
    x, y = RNG.standard_normal((6, 5)), np.arange(6) % 3
    trace = net.forward(x)
    back = net.backward(trace, losses.softmax_cross_entropy(trace.output, y)[1])
    by_sums = net._past_normalisation(0, trace, back.deltas[0])

    def loss(step):
        u = x @ net.weights[0]
        u[2, 1] += step
        v = np.mean((u - u.mean(axis=0)) ** 2, axis=0)
        a = np.tanh((u - u.mean(axis=0)) / np.sqrt(v + net.epsilon))
        logits = a @ net.weights[1]
        return -log_softmax(logits, axis=1)[np.arange(6), y].mean()

    assert by_sums[2, 1] == pytest.approx((loss(1e-6) - loss(-1e-6)) / 2e-6, rel=1e-6)
    row = of_arrays.look(net, x, y).layers[0]
    assert row.deltas.rms == pytest.approx(np.sqrt(np.mean(by_sums**2)))


def test_a_branch_is_what_is_added_to_the_stream():
    net = NETS["ResidualMLP"]()
    rows = [row for row in of_arrays.look(net, X, Y).layers if row.branch]
    trace = net.forward(X)
    assert [row.branch for row in rows] == ["block 1", "block 2"]
    for row, end in zip(rows, sorted(net.ends)):
        stream, before = trace.activations[end], trace.inputs[end - 1]
        assert row.stream.rms == pytest.approx(np.sqrt(np.mean(stream**2)))
        assert row.outputs.rms == pytest.approx(np.sqrt(np.mean((stream - before) ** 2)))


def test_a_list_shows_what_its_net_does():
    net = relu_net(biases="random_normal")
    of_net, of_list = of_arrays.look(net, X, Y, optimizer="adam"), None
    of_list = of_arrays.look(as_list(net), X, Y)
    for one, other in zip(of_net.layers, of_list.layers):
        assert one.sums == other.sums and one.deltas == other.deltas
        assert one.activation == other.activation


def test_the_first_step_is_the_optimizers():
    """Adam's first step moves every weight by its rate."""
    net = relu_net()
    for row, W in zip(
        of_arrays.look(net, X, Y, optimizer=optimizers.Adam(0.01)).layers, net.weights
    ):
        assert row.update == pytest.approx(0.01 / np.sqrt(np.mean(W**2)), rel=1e-3)


def test_tokens_choose_the_rows_of_an_embedding_and_a_tied_head_has_its_key():
    E, W = RNG.standard_normal((20, 8)), np.eye(8)
    tokens = RNG.integers(20, size=(6, 5))
    look = of_arrays.look([(E,), (W, None, "tanh"), (E.T, None)], tokens, tokens)
    embedding, dense, head = look.layers
    logits = np.tanh(E[tokens]) @ E.T
    assert np.allclose(look.outputs, logits) and look.outputs.shape == (6, 5, 20)
    picked = np.take_along_axis(log_softmax(logits, axis=-1), tokens[..., None], axis=-1)
    assert look.loss == pytest.approx(-picked.mean())
    assert embedding.kind == "embedding" and embedding.fan_in == 1
    assert embedding.outputs.rms == pytest.approx(np.sqrt(np.mean(E[tokens] ** 2)))
    assert embedding.key == head.key != dense.key and set(look.tensors) >= {
        "weights[0]",
        "weights[1]",
    }
    # A row's gradient is the sum of the deltas of its tokens.
    by_logits = (softmax(logits, axis=-1) - np.eye(20)[tokens]) / tokens.size
    by_rows = by_logits @ E * (1 - np.tanh(E[tokens]) ** 2)
    by_E = np.einsum("btv,btd->vd", np.eye(20)[tokens], by_rows)
    assert embedding.deltas.rms == pytest.approx(np.sqrt(np.mean(by_rows**2)))
    assert embedding.gradient.rms == pytest.approx(np.sqrt(np.mean(by_E**2)))


def test_integers_as_long_as_an_input_are_no_tokens():
    """Pixels from 0 to 16, say, for a net of 64 inputs."""
    pixels = RNG.integers(17, size=(100, 64))
    net = relu_net()
    one, other = of_arrays.look(as_list(net), pixels), of_arrays.look(net, pixels)
    assert np.array_equal(one.outputs, other.outputs) and one.layers[0].kind == "dense"


def test_equal_arrays_that_are_not_one_are_not_tied():
    W = RNG.standard_normal((64, 64))
    keys = [row.key for row in of_arrays.look([(W,), (W.copy(),), (W,)], X).layers]
    assert keys == ["weights[0]", "weights[1]", "weights[0]"]


@pytest.mark.parametrize(
    ("y", "said", "task"),
    [
        (Y, "softmax cross entropy, as y holds integers", "classes"),
        (RNG.standard_normal((100, 10)), "squared error, as y holds floats", "regression"),
    ],
)
def test_the_report_says_which_loss_was_taken(y, said, task):
    report = diagnose(relu_net(), X, y)
    assert said in " ".join(str(report).split()) and report.looks[0].task == task
    given = diagnose(
        relu_net(), X, y, loss=dict(classes="softmax_cross_entropy").get(task, "squared_error")
    )
    assert "as y holds" not in str(given) and given.looks[0].loss == report.looks[0].loss


def test_one_output_and_integers_are_a_regression():
    look = of_arrays.look(network.MLP((64, 1)), X, Y)
    assert look.task == "regression"
    error = network.MLP((64, 1)).predict(X)[:, 0] - Y
    assert look.loss == pytest.approx(np.mean(error**2))


def test_labels_out_of_range_are_a_finding_and_no_error():
    report = diagnose(relu_net(), X, Y + 1)
    assert report.looks[0].loss is None and report.findings[0].code == "labels"
    assert "nothing was sent back" in str(report)


def test_without_targets_nothing_is_sent_back():
    report = diagnose(relu_net(), X)
    assert report.looks[0].layers[0].deltas is None and "nothing was sent back" in str(report)


# --- What the adapters share.


@pytest.mark.parametrize("most", [1, 40, 1 << 20])
def test_equal_units_are_counted_whatever_part_is_compared_first(monkeypatch, most):
    monkeypatch.setattr(looks, "MOST", most)
    W, bias = RNG.standard_normal((2, 6, 8)), np.zeros(16)
    W[0, :, 1], W[1, :, 3] = W[0, :, 0], W[1, :, 2]
    assert looks.distinct(W, None) == looks.distinct(W, bias) == 14
    assert looks.distinct(W, RNG.standard_normal(3)) == 14  # which is not the units' own
    bias[1] = 1.0
    assert looks.distinct(W, bias) == 15
    for bad in ((W * np.inf, bias), (W, bias * np.nan)):
        assert looks.distinct(*bad) is None


def test_gradients_are_compared_by_their_largest_rows(monkeypatch):
    G = np.stack([np.ones(8), 1e-3 * np.arange(8)])[None]
    assert looks.distinct(G, None) == looks.distinct(G, None, at_least=True) == 8
    monkeypatch.setattr(looks, "MOST", 8)
    assert looks.distinct(G, None) == 8 and looks.distinct(G, None, at_least=True) == 1


@pytest.mark.parametrize(
    ("kind", "fans"),
    [
        ("dense", (18, 5 * 9 / 4)),
        ("convolution", (18, 5 * 9 / 4)),
        ("transposed convolution", (18 / 4, 5 * 9)),
        ("embedding", (1, 5 * 9 / 4)),
    ],
)
def test_a_stride_divides_the_products_that_meet_or_the_outputs_that_are_reached(kind, fans):
    layer = looks.Layer("a", kind)
    layer.weigh(np.ones((1, 18, 5)), places=9, stride=4)
    assert (layer.fan_in, layer.fan_out) == fans and layer.distinct == 1
    assert layer.gradient is None and layer.distinct_gradients is None


@pytest.mark.parametrize("name", activations.names())
def test_an_activation_is_named_by_its_values(name):
    phi, z = activations.get(name), RNG.standard_normal(500) * 4
    assert looks.named(z, phi(z).astype("float16").astype(float)) == name
    assert looks.named(z, phi(z) + 0.01 * np.abs(phi(z)).max() * np.sin(9 * z)) is None


def test_leaky_relus_multiples_and_what_has_no_name():
    z = RNG.standard_normal(500)
    assert looks.named(z, np.where(z > 0, z, -0.3 * z)) == "leaky_relu(-0.3)"
    assert looks.named(z, -2 * z) == "linear" and looks.named(-abs(z), 0 * z) == "relu"
    assert looks.named(0 * z, 0 * z + 0.5) in ("sigmoid", "hard_sigmoid")
    for a in (z[:-1], z * np.nan):
        assert looks.named(z, a) is None
    assert looks.named(z[:0], z[:0]) is None


@pytest.mark.parametrize(
    ("given", "task"),
    [
        ((True, 100, 1000), "classes"),
        ((True, 100, 100), "regression"),
        ((True, 1000, 1000), "regression"),
        ((False, 100, 1000), "regression"),
    ],
)
def test_few_integers_are_labels(given, task):
    remark = f", as y holds {'integers' if given[0] else 'floats'}"
    assert looks.task_of(*given) == (task, remark)


# --- NaN, infinity and short floats are results.


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e300])
def test_the_first_bad_layer_is_named_and_the_others_are_filled_in(bad):
    net = relu_net()
    net.weights[1][3, 5] = bad * (1e10 if bad == 1e300 else 1)
    report = diagnose(net, X, Y)
    assert (report.findings[0].code, report.findings[0].layer) == ("not-finite", "layer 2")
    first = report.looks[0].layers[0]
    assert first.sums.rms == diagnose(relu_net(), X, Y).looks[0].layers[0].sums.rms
    assert "not finite" in str(report) and not report.ok
    json.dumps(report.to_dict(), allow_nan=False)


def test_a_float32_net_of_forty_layers_at_sd_1_overflows_by_name():
    """Each layer multiplies by √(256/2), so that 3e38 is reached near layer 36."""
    net = network.MLP(
        (64, *[256] * 40, 10), "relu", weights=RandomNormal(stddev=1.0), dtype="float32"
    )
    with warnings.catch_warnings(action="error"):
        report = diagnose(net, X, Y)
    rows = report.looks[0].layers
    first = next(i for i, row in enumerate(rows) if row.sums.finite < 1)
    assert 30 <= first <= 39 and report.findings[0].layer == rows[first].name
    grows = [after.sums.rms / before.sums.rms for before, after in zip(rows[:30], rows[1:30])]
    assert np.allclose(grows, np.sqrt(128), rtol=0.3)


@pytest.mark.parametrize("dtype", ["float16", "float32", "bfloat16"])
def test_short_floats_are_measured_in_float64(dtype):
    kind = ml_dtypes.bfloat16 if dtype == "bfloat16" else dtype
    layers = [(W.astype(kind), None, "relu") for W in relu_net().weights]
    big = 300 * X.astype("float32")  # whose squares are beyond float16
    look = of_arrays.look(layers, big.astype("float16") if dtype == "float16" else big)
    exact = of_arrays.look(relu_net(), big)
    for one, other in zip(look.layers, exact.layers):
        assert one.sums.rms == pytest.approx(other.sums.rms, rel=0.02)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("many", [False, True])
def test_a_loss_that_is_not_finite_is_said_to_be(bad, many):
    """NaN is no number that is missing, also where other nets have a loss."""
    net = relu_net(replicas=2 if many else None)
    net.biases[-1][..., 0] = np.where(np.arange(2) == 0, bad, 0.0) if many else bad
    assert "; loss not finite (softmax cross entropy" in " ".join(str(diagnose(net, X, Y)).split())


# --- It leaves everything as it was.


@pytest.mark.parametrize("kind", [*NETS, "list"])
def test_nothing_of_the_net_is_moved(kind):
    net = NETS.get(kind, relu_net)()
    model = as_list(net) if kind == "list" else net
    if kind == "BatchNormMLP":
        net.forward(X, rng=0)  # so that there are averages
    adam, batch = optimizers.Adam(0.1), (X.copy(), Y.copy())
    before = copy.deepcopy(vars(net))
    state = np.random.get_state()[1].copy()  # noqa: NPY002 - this must not move either
    settings = copy.deepcopy(vars(adam))
    diagnose(model, *batch, optimizer=adam)
    np.testing.assert_equal(plain(vars(net)), plain(before))
    np.testing.assert_equal(batch, (X, Y))
    assert vars(adam) == settings
    assert np.array_equal(np.random.get_state()[1], state)  # noqa: NPY002


def plain(values):
    return {name: value for name, value in values.items() if "activation" not in name}


def test_neither_torch_nor_keras_is_imported():
    code = """
import sys, numpy as np
from initcore import diagnose, network
str(diagnose(network.MLP((4, 3)), np.eye(4), np.arange(4) % 3))
assert not {"torch", "keras", "matplotlib"} & {*sys.modules}
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# --- What is handed over.


class Loader:
    """Iterable as often as one likes, like PyTorch's and Keras's."""

    def __init__(self, batches):
        self.batches, self.started = batches, 0

    def __iter__(self):
        self.started += 1
        return iter(self.batches)


@pytest.mark.parametrize(
    "batch",
    [
        (X, Y),
        [X, Y],
        {"x": X, "y": Y},
        {"x": X, "labels": Y},
        [(X, Y), (X[:2], Y[:2])],
        Loader([(X, Y), None]),
        Loader([{"x": X, "target": Y}]),
        iter([[X, Y]]),
    ],
    ids=["tuple", "list", "dict", "labels", "list of batches", "loader", "of dicts", "iterator"],
)
def test_a_batch_may_come_in_many_forms(batch):
    whole = diagnose(relu_net(), X, Y)
    assert str(diagnose(relu_net(), batch)) == str(whole)
    assert getattr(batch, "started", 1) == 1


@pytest.mark.parametrize(
    ("model", "arguments", "error", "named"),
    [
        (3, {}, TypeError, "model"),
        ("relu", {}, TypeError, "model"),
        ([], {}, ValueError, "model"),
        ([(X, Y)], {"x": X}, ValueError, "model"),
        ([(np.ones((64, 3)),), (np.ones((4, 3)),)], {"x": X}, ValueError, "model"),
        ([np.ones((64, 3))], {"x": X}, TypeError, "model"),
        ([(np.ones((64, 3)), None, "rulu")], {"x": X}, ValueError, "relu"),
        ({}, {}, ValueError, "model"),
        ({"a": np.ones(3)}, {}, ValueError, "model"),
        ({"a.weight": "text"}, {}, TypeError, "model"),
        (lambda: 3, {"x": X}, TypeError, "model"),
        (relu_net(), {"x": X[:, :3]}, ValueError, "x"),
        (relu_net(), {"x": 3}, TypeError, "x"),
        (relu_net(), {"x": []}, TypeError, "x"),
        (relu_net(), {"x": (X, Y, Y)}, ValueError, "x"),
        (relu_net(), {"x": Loader([[X, Y, "names"]])}, ValueError, "x"),
        (relu_net(), {"x": X, "y": Y[:3]}, ValueError, "y"),
        (relu_net(), {"x": X, "y": Y, "loss": "mse"}, ValueError, "loss"),
        (relu_net(), {"x": X, "y": Y, "loss": losses.squared_error}, TypeError, "loss"),
        (relu_net(), {"x": X, "y": Y, "optimizer": "adamw"}, ValueError, "optimizer"),
        (relu_net(), {"x": X, "y": Y, "seeds": 3}, ValueError, "seeds"),
        (relu_net, {"x": X, "y": Y, "seeds": 1}, ValueError, "seeds"),
    ],
)
def test_what_does_not_fit_is_named(model, arguments, error, named):
    with pytest.raises(error, match=f"`{named}|'{named}'"):
        diagnose(model, **arguments)


# --- Many nets.


def small_weights(seed):
    return network.MLP((64, *[64] * 8, 10), "relu", weights="random_normal", seed=seed)


@pytest.mark.parametrize(
    "make",
    [small_weights, lambda width=64, seed=0: small_weights(seed), lambda n, *_: small_weights(n)],
    ids=["seed", "named", "of another name"],
)
def test_a_factory_gives_bands(make):
    report = diagnose(make, X, Y, seeds=5)
    looks = [of_arrays.look(small_weights(seed), X, Y) for seed in range(5)]
    scales = [look.layers[2].sums.rms for look in looks]
    low, middle, high = np.quantile(scales, [0.05, 0.5, 0.95])
    assert f"{middle:.2g} [{low:.2g}, {high:.2g}]" in report.table()["forward"][2]
    assert len(report.looks) == 5 and report.findings[0].found_in == (5, 5)
    assert "in 5 of 5 nets" in report.verdict


def test_a_finding_counts_the_nets_that_have_it():
    nets = [relu_net(seed=seed) for seed in range(3)]
    nets[1].weights[1][0, 0] = np.nan
    made = iter(nets)
    report = diagnose(lambda: next(made), X, Y, seeds=3)
    assert report.findings[0].code == "not-finite" and report.findings[0].found_in == (1, 3)
    assert not report.ok


def test_a_finding_of_many_nets_is_at_its_usual_layer():
    nets = [relu_net() for _ in range(3)]
    for net, layer in zip(nets, [0, 1, 1]):
        net.weights[layer][0, 0] = np.nan
    made = iter(nets)
    report = diagnose(lambda: next(made), X, Y, seeds=3)
    assert report.verdict.startswith("Fault: not-finite at layer 2, in 3 of 3 nets")


def test_the_replicas_of_a_net_are_a_band():
    net = relu_net(replicas=4)
    report = diagnose(net, X, Y)
    alone = relu_net(seed=0)  # replica 0
    assert len(report.looks) == 4 and net.replicas == 4 and net.weights[0].ndim == 3
    assert report.looks[0].loss == pytest.approx(of_arrays.look(alone, X, Y).loss)


def test_a_factory_of_equal_nets_says_so_and_shows_one():
    calls = []
    report = diagnose(lambda: calls.append(1) or relu_net(), X, Y)
    assert len(calls) == 2 and len(report.looks) == 1 and "all nets are equal" in str(report)


def test_nets_of_different_layers_have_no_band():
    with pytest.raises(ValueError, match="`looks`"):
        diagnose(lambda seed: network.MLP((64, *[8] * (seed + 1), 10)), X, Y)


# --- The report.


@pytest.fixture(scope="module")
def faulty():
    return diagnose(
        network.MLP((64, *[64] * 12, 10), "tanh", weights=RandomNormal(stddev=0.01)), X, Y
    )


@pytest.fixture(scope="module")
def healthy():
    return diagnose(network.MLP((64, *[64] * 12, 10), "tanh"), X, Y, optimizer="adam")


def test_the_verdict_is_the_first_line(faulty, healthy):
    assert str(healthy).splitlines()[0] == "No fault found" and healthy.ok
    first = faulty.findings[0]
    assert str(faulty).splitlines()[0].startswith(f"Fault: {first.code} at {first.layer}")
    for finding in faulty.findings:
        link = "See " + finding.link.replace(".html", "")  # of the site and of a clone alike
        for said in (finding.sentence, finding.remedy, link):
            assert re.sub(r"\s+", " ", said) in re.sub(r"\s+", " ", str(faulty))
        assert f"   Remedy: {finding.remedy}\n" in str(faulty)  # on one line, to be copied


@pytest.mark.parametrize("many", [False, True])
def test_no_line_is_wider_than_the_page_and_no_cell_is_lost(many):
    def make(seed):
        wide = RandomNormal(stddev=2.0)
        return network.MLP((64, *[64] * 3, 10), "tanh", weights=wide, seed=seed)

    report = diagnose(make if many else make(0), X, Y, optimizer="adam")
    lines = str(report).splitlines()
    assert max(len(line) for line in lines if "Remedy: " not in line) <= 78
    for name in report.table():
        assert any(name in line for line in lines)
        for cell in report.table()[name]:
            assert any(str(cell).strip() in line for line in lines)


def test_the_verdict_counts_what_else_there_is_to_read():
    kinds = ["fault", "note", "fault", "watch", "note"]
    kinds = [case.Finding("dead-units", kind, "a", *[None] * 6) for kind in kinds]
    report = diagnose(relu_net(), X, Y)
    report.findings = kinds
    assert report.verdict == "Fault: dead-units at a (1 more at fault, 1 to watch, 2 to note)"
    report.findings = kinds[1:2]
    assert report.verdict == "No fault found (1 to note)" and report.ok


def test_only_columns_that_have_something_to_say(faulty, healthy):
    assert not {"dead", "distinct", "finding"} & {*healthy.table()}
    assert "finding" in faulty.table()
    saturated = diagnose(network.MLP((64, 64, 10), "tanh", weights=RandomNormal(stddev=9.0)), X, Y)
    share = np.mean(np.abs(np.tanh(X @ RandomNormal(stddev=9.0, seed=0)((64, 64)))) > 0.99)
    assert float(saturated.table()["saturated"][0].strip(" %")) / 100 == pytest.approx(
        share, abs=0.03
    )
    alike = network.MLP((64, 8, 10), weights=["ones", "he_normal"])
    assert diagnose(alike, X, Y).table()["distinct"].tolist() == [" 1", "10"]
    far = diagnose(relu_net(), X + 10, Y).table()  # all inputs are nearly one
    assert "across" in far and not {"across", "grad median"} & {*healthy.table()}
    sparse = [(np.eye(64), None, "relu"), (np.eye(64)[:, :10], None)]  # 54 units go nowhere
    assert "grad median" in diagnose(sparse, X, Y).table()


def test_the_table_names_long_layers_by_both_ends():
    name = "transformer.encoder.layers.11.self_attention.query"
    table = diagnose({f"{name}.weight": np.ones((4, 4)), "b.weight": np.ones((4, 4))}).table()
    short = table["layer"][0]
    assert len(short) == 30 and name.startswith(short.partition("…")[0])
    assert name.endswith(short.partition("…")[2])


def test_the_figure_has_what_was_measured_and_the_band(faulty):
    fig = faulty.plot()
    forward, backward = fig.axes
    layers = faulty.looks[0].layers
    for ax, side in ((forward, "sums"), (backward, "deltas")):
        (line,) = ax.lines
        assert ax.get_xscale() == "log"
        assert np.allclose(line.get_xdata(), [getattr(row, side).rms for row in layers])
        assert np.array_equal(line.get_ydata(), range(13))
    top, bottom = forward.get_ylim()
    assert top > bottom and [t.get_text() for t in forward.get_yticklabels()][0] == "layer 1"
    band = forward.collections[0].get_paths()[0].vertices
    expected = criteria.judge(faulty.looks[0]).forward[12]
    assert {*expected[::2]} <= {*band[:, 0]}
    plots.to_png(fig)
    assert len(faulty.alt) > 40 and faulty.verdict in faulty.alt


def test_nothing_of_the_figure_lies_over_anything_else(healthy):
    """Drawn without the style of the course, as by a plain ``savefig``."""
    fig = healthy.plot()
    fig.draw_without_rendering()
    (legend,) = fig.legends
    boxes = [ax.xaxis.label.get_window_extent() for ax in fig.axes]
    boxes += [ax.get_window_extent() for ax in fig.axes] + [legend.get_window_extent()]
    for i, box in enumerate(boxes):
        assert not any(box.overlaps(other) for other in boxes[:i])
        assert fig.bbox.x0 <= box.x0 and box.x1 <= fig.bbox.x1
    said = [text.get_text() for text in legend.get_texts()]
    assert said == ["theory", "forward, measured", "backward, measured"]


def test_the_figure_has_only_the_sides_that_were_seen():
    (ax,) = diagnose(relu_net(), X).plot().axes
    assert ax.get_title(loc="left") == "forward" and len(ax.lines) == 1
    with pytest.raises(ValueError, match="no signal to plot: .* weights alone"):
        diagnose({"a.weight": SQUARE}).plot()


def test_the_figure_leaves_out_what_is_not_finite():
    net = relu_net()
    net.weights[1][0, 0] = np.inf
    for ax in diagnose(net, X, Y).plot().axes:
        assert all(np.isfinite(line.get_xdata()).all() for line in ax.lines)


def test_the_dictionary_is_json(faulty):
    found = json.loads(json.dumps(faulty.to_dict(), allow_nan=False))
    assert found["ok"] is False and found["findings"][0]["code"] == faulty.findings[0].code
    layers = found["nets"][0]["layers"]
    assert layers[3]["sums"]["rms"] == faulty.looks[0].layers[3].sums.rms
    assert layers[3]["sums"]["saturated"] == "NaN" and layers[3]["weight"] is None
    assert found["nets"][0]["expected"][3][0] == list(criteria.judge(faulty.looks[0]).forward[3])


def test_assert_healthy_names_the_faults(faulty, healthy):
    healthy.assert_healthy()
    codes = {finding.code for finding in faulty.findings if finding.level == "fault"}
    faulty.assert_healthy(allow=codes)
    with pytest.raises(AssertionError, match=faulty.findings[0].code) as caught:
        faulty.assert_healthy(allow=["zero-output"])
    assert faulty.findings[0].sentence in str(caught.value)
    with pytest.raises(ValueError, match="Did you mean 'dead-units'"):
        healthy.assert_healthy(allow=["dead-unit"])
    with pytest.raises(TypeError, match="`allow`"):
        healthy.assert_healthy(allow="dead-units")


def test_compare_shows_what_is_gone_new_and_moved(faulty, healthy):
    table = faulty.compare(healthy)
    rows = list(zip(*(table[name] for name in table)))
    gone = [row for row in rows if row[0] == "gone"]
    assert {row[2] for row in gone} == {finding.code for finding in faulty.findings}
    back = healthy.compare(faulty)
    assert {*back["change"]} == {"new", "moved"}
    scales = {row[1]: row[3:] for row in rows if row[2] == "forward"}
    layers = faulty.looks[0].layers, healthy.looks[0].layers
    assert scales["layer 5"] == tuple(f"{each[4].sums.rms:.3g}" for each in layers)
    assert ("moved", "layer 1", "looks like") in {row[:3] for row in rows}
    assert len(faulty.compare(faulty)["change"]) == len(faulty.findings)
    assert len(healthy.compare(healthy)) == 0
    one_way = diagnose(relu_net(), X)  # nothing was sent back, twice
    assert len(one_way.compare(one_way)) == 0
    with pytest.raises(TypeError, match="`other`"):
        faulty.compare("healthy")


# --- Issue 14: F3 and F4.


def test_one_seeded_initializer_in_every_layer_is_found():
    report = diagnose(network.MLP((64, 64, 64, 64, 64, 10), weights=HeNormal(seed=0)), X, Y)
    finding = report.findings[0]
    assert (finding.code, finding.level) == ("equal-layers", "fault")
    apart = network.MLP((64, 64, 64, 64, 64, 10), weights=HeNormal(), seed=0)
    assert "equal-layers" not in [finding.code for finding in diagnose(apart, X, Y).findings]


def test_layer_statistics_name_the_layer_that_is_not_finite():
    net = relu_net()
    net.weights[1][0, 0] = np.nan
    with pytest.raises(ValueError, match="`trace` must be finite.*layer 2 is the first"):
        probes.layer_statistics(net, net.forward(X))


def test_layer_statistics_name_the_last_layer_with_a_gradient_that_is_not_finite():
    net = relu_net()
    trace = net.forward(X)
    gradients = net.backward(trace, np.ones((100, 10)))
    gradients.weights[0][0, 0] = gradients.weights[1][0, 0] = np.inf
    with pytest.raises(ValueError, match="`gradients` must be finite.*layer 2 is the first"):
        probes.layer_statistics(net, trace, gradients)


def test_layer_statistics_of_a_deep_float32_net_do_not_overflow():
    """40 layers at sd 1 of width 16 grow to 1e19, whose square is beyond float32."""
    net = network.MLP((64, *[32] * 40), "relu", weights=RandomNormal(stddev=1.0), dtype="float32")
    trace = net.forward(X)
    exact = [np.square(z, dtype=np.float64).mean() for z in trace.pre_activations]
    assert exact[-1] > np.finfo("float32").max
    with warnings.catch_warnings(action="error"):
        found = probes.layer_statistics(net, trace)
    np.testing.assert_allclose(found["q"], exact, rtol=1e-12)
    np.testing.assert_allclose(found["std"], [a.std(dtype=np.float64) for a in trace.activations])


@pytest.mark.parametrize("name", ["pooled_std", "std_across_inputs", "mean_square", "rms"])
def test_probes_of_half_precision_are_those_of_its_numbers(name):
    a = (300 * X).astype("float16")
    with warnings.catch_warnings(action="error"):
        found = getattr(probes, name)(a)
    assert found == getattr(probes, name)(a.astype(float)) and np.isfinite(found)


# --- Weights alone, and the command.


def safetensors(arrays, **entries):
    """Return a file's bytes, written by the format's description and not by our reader."""
    kinds = {
        "float64": "F64",
        "float32": "F32",
        "float16": "F16",
        "bfloat16": "BF16",
        "int64": "I64",
    }
    header, body = {"__metadata__": {"format": "pt"}}, b""
    for name, array in arrays.items():
        data = array.tobytes()
        header[name] = {
            "dtype": kinds[array.dtype.name],
            "shape": array.shape,
            "data_offsets": [len(body), len(body) + len(data)],
        } | entries
        body += data
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + body


def torch_weights(net, dtype="float32"):
    pairs = enumerate(zip(net.weights, net.biases))
    named = {
        f"{2 * i}.{what}": a for i, (W, b) in pairs for what, a in (("weight", W.T), ("bias", b))
    }
    return {name: np.ascontiguousarray(array, dtype) for name, array in named.items()}


@pytest.fixture
def files(tmp_path):
    net = relu_net(biases="random_normal")
    (tmp_path / "net.safetensors").write_bytes(safetensors(torch_weights(net)))
    named = {
        f"d{i}/{what}": a
        for i in range(3)
        for what, a in (("kernel", net.weights[i]), ("bias", net.biases[i]))
    }
    np.savez(tmp_path / "net.npz", **named)
    bad = relu_net()
    bad.weights[1][0, 0] = np.nan
    (tmp_path / "nan.safetensors").write_bytes(safetensors(torch_weights(bad)))
    np.savez(tmp_path / "data.npz", x=X, y=Y)
    return tmp_path


def run(capsys, *arguments):
    code = command.main(["diagnose", *map(str, arguments)])
    return code, *capsys.readouterr()


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", ml_dtypes.bfloat16])
def test_safetensors_are_read_as_they_were_written(tmp_path, dtype):
    arrays = torch_weights(relu_net(), dtype)
    (tmp_path / "a").write_bytes(safetensors(arrays))
    read = of_weights.read(tmp_path / "a")
    assert list(read) == list(arrays)
    for name, array in arrays.items():
        assert np.array_equal(read[name], array.astype(read[name].dtype))
        assert read[name].dtype == ("float32" if dtype is ml_dtypes.bfloat16 else dtype)


@pytest.mark.parametrize("name", ["net.safetensors", "net.npz"])
def test_the_command_with_inputs_shows_what_the_net_does(files, capsys, name):
    code, out, err = run(
        capsys, files / name, "--activation", "relu", "--inputs", files / "data.npz", "--json"
    )
    layers = json.loads(out)["nets"][0]["layers"]
    expected = of_arrays.look(relu_net(biases="random_normal"), X, Y)
    assert code == 0 and err == ""
    for one, other in zip(layers, expected.layers):
        assert one["sums"]["rms"] == pytest.approx(other.sums.rms, rel=1e-5)
        assert one["gradient"]["rms"] == pytest.approx(other.gradient.rms, rel=1e-4)


def test_the_command_without_inputs_says_what_it_cannot(files, capsys):
    code, out, _ = run(capsys, files / "net.safetensors", "--activation", "relu")
    assert code == 0 and "weights alone: no signal, gradient or loss was seen" in out
    assert "He " in out and "3 of 3 layers seen" in out
    assert "--activation" not in out
    code, out, _ = run(capsys, files / "nan.safetensors")
    assert code == 1 and out.startswith("Fault: not-finite at 2")
    said = "no --activation named: scales that no rule gives are compared with a gain of 1"
    assert said in " ".join(out.split())


def test_without_an_activation_a_scale_is_judged_as_the_report_says(files, capsys):
    """Any rule's scale is right; one that no rule gives is compared with a gain of 1."""
    own = {f"{i}.weight": SQUARE * sd for i, sd in enumerate((0.02, np.sqrt(2 / 64)))}
    np.savez(files / "rules.npz", **own)
    np.savez(files / "none.npz", **own, **{"2.weight": SQUARE * 0.3 / 8, "3.weight": SQUARE / 9})
    assert run(capsys, files / "rules.npz")[1].startswith("No fault found\n")
    _, out, _ = run(capsys, files / "none.npz")
    assert "NOTE: weight-scale at 2\n" in out and "where the rule asks for 1\n" in out
    assert "compared with a gain of 1" in " ".join(out.split())


def test_inputs_of_layers_that_cannot_be_run_name_them_and_the_option(files, capsys):
    """Of many the first three, and how many there are."""
    kernels = {f"c{i}.weight": np.ones((4, 4, 3, 3)) for i in range(5)}
    np.savez(files / "conv.npz", **kernels, **{"fc.weight": SQUARE})
    arguments = [files / "conv.npz", "--activation", "relu", "--inputs", files / "data.npz"]
    code, _, err = run(capsys, *arguments)
    assert code == 2 and "--inputs" in err and "5 layers, such as c0 (convolution), c1" in err
    assert "c2" in err and "c3" not in err and "fc" not in err and "must be None" not in err


@pytest.mark.parametrize(
    ("name", "said"),
    [("none.npz", "cannot read none.npz: no such file"), (".", "cannot read .: ")],
)
def test_a_file_that_cannot_be_read_is_said_in_plain_words(files, capsys, monkeypatch, name, said):
    monkeypatch.chdir(files)
    for arguments in ([name], ["net.npz", "--activation", "relu", "--inputs", name]):
        _, _, err = run(capsys, *arguments)
        assert err.startswith(f"error: {said}") and "Errno" not in err


def test_inputs_without_an_activation_are_told_what_is_missing(files, capsys):
    code, _, err = run(capsys, files / "net.npz", "--inputs", files / "data.npz")
    assert code == 2 and "--activation relu" in err


@pytest.mark.parametrize(
    "arguments",
    [
        ["none.npz"],
        ["data.npz"],
        ["net.npz", "--activation", "rulu"],
        ["net.npz", "--layout", "tf"],
        ["net.npz", "--inputs", "net.npz"],
        ["net.npz", "--inputs", "data.npz"],  # of which activation?
        ["."],
    ],
)
def test_the_command_ends_with_one_line_where_it_cannot_do_it(
    files, capsys, monkeypatch, arguments
):
    monkeypatch.chdir(files)
    code, out, err = run(capsys, *arguments)
    assert code == 2 and out == "" and err.startswith("error: ") and err.count("\n") == 1


def test_the_command_is_the_packages(files):
    command = [sys.executable, "-m", "initcore", "diagnose", files / "nan.safetensors"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 1 and result.stdout.startswith("Fault: not-finite")


GOOD = safetensors({"a.weight": np.ones((3, 4), "float32")})
ENTRY = {"dtype": "F32", "shape": [3, 4], "data_offsets": [0, 48]}


def of_header(header, body=bytes(48)):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + body


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"PK",
        b"PK\x03\x04" + bytes(40),
        b"not a file of weights at all",
        GOOD[:7],
        GOOD[:60],
        GOOD[:-1],
        (2**63).to_bytes(8, "little") + GOOD[8:],
        of_header([1, 2]),
        of_header(b"\xff\xfe{}"),
        of_header(b"[" * 100_000),
        of_header({"a": 1}),
        of_header({"a": {}}),
        of_header({"a": ENTRY | {"dtype": "F33"}}),
        of_header({"a": ENTRY | {"dtype": ["F32"]}}),
        of_header({"a": ENTRY | {"dtype": "O"}}),
        of_header({"a": ENTRY | {"shape": [3, 5]}}),
        of_header({"a": ENTRY | {"shape": [-3, -4]}}),
        of_header({"a": ENTRY | {"shape": [2**40, 2**40]}}),
        of_header({"a": ENTRY | {"shape": [3.0, 4.0]}}),
        of_header({"a": ENTRY | {"shape": 12}}),
        of_header({"a": ENTRY | {"data_offsets": [0, 49]}}),
        of_header({"a": ENTRY | {"data_offsets": [48, 96]}}),
        of_header({"a": ENTRY | {"data_offsets": [-48, 0]}}),
        of_header({"a": ENTRY | {"data_offsets": [-48, -24], "shape": [6]}}),
        of_header({"a": ENTRY | {"data_offsets": [0]}}),
        of_header({"a": ENTRY | {"data_offsets": [False, 48]}}),
        of_header({"a": ENTRY | {"data_offsets": [48, 0], "shape": [0]}}),
    ],
)
def test_a_corrupt_or_hostile_file_is_one_clear_error(tmp_path, content):
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(ValueError, match="is no safetensors or npz file, or damaged: .") as caught:
        of_weights.read(tmp_path / "a")
    assert len(str(caught.value)) < 400 and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ((2**63).to_bytes(8, "little") + GOOD[8:], "decode byte"),
        (of_header({"a": ENTRY}, bytes(47)), "offsets of 'a' do not fit its shape or the file"),
        (of_header({"a": ENTRY | {"dtype": "F33"}}), "F33"),
    ],
)
def test_a_damaged_file_says_where(tmp_path, content, said):
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(ValueError, match=said):
        of_weights.read(tmp_path / "a")


def test_an_npz_that_unpacks_to_very_much_more_is_refused_before_it_is(tmp_path):
    zeros = {"a.weight": np.zeros((3000, 3000))}  # 72 MB, which become 70 kB
    np.savez_compressed(tmp_path / "a.npz", **zeros)
    with pytest.raises(ValueError, match="it would unpack to 69 MB"):
        of_weights.read(tmp_path / "a.npz")
    np.savez_compressed(tmp_path / "b.npz", **{"a.weight": np.zeros((300, 300))})
    assert of_weights.read(tmp_path / "b.npz")["a.weight"].shape == (300, 300)


def test_a_file_that_pytorch_saved_is_told_how_to_be_written(tmp_path):
    with zipfile.ZipFile(tmp_path / "m.pt", "w") as file:
        file.writestr("m/data.pkl", b"\x80\x02}q\x00.")
    (tmp_path / "old.pt").write_bytes(b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.")
    for name in ("m.pt", "old.pt"):
        with pytest.raises(ValueError, match=r"safetensors\.torch\.save_file\(model\.state_dict"):
            of_weights.read(tmp_path / name)


@pytest.mark.parametrize(
    ("name", "options", "framework"),
    [
        ("a.weight", {}, "torch"),
        ("a.kernel", {"layout": "torch"}, "torch"),
        ("a.weight", {"layout": "keras"}, "arrays"),
        ("a.kernel", {}, "arrays"),
    ],
)
def test_remedies_of_weights_alone_are_in_the_code_of_their_framework(name, options, framework):
    look = of_weights.look({name: np.ones((6, 6))}, **options)
    assert look.framework == framework
    remedy = criteria.judge(look).findings[0].remedy
    assert remedy.startswith("torch.nn.init.normal_" if framework == "torch" else "W = ")


def test_an_npz_with_objects_is_not_unpickled(tmp_path):
    np.savez(tmp_path / "a.npz", a=np.array([{}], dtype=object))
    with pytest.raises(ValueError, match="damaged: Object arrays"):
        of_weights.read(tmp_path / "a.npz")


SQUARE = RNG.standard_normal((64, 64))


@pytest.mark.parametrize(
    ("tensors", "options", "kind", "stack", "fan_out"),
    [
        ({"fc.weight": np.ones((10, 64)), "fc.bias": np.ones(10)}, {}, "dense", (1, 64, 10), 10),
        ({"fc.weight": np.ones((64, 10)), "fc.bias": np.ones(10)}, {}, "dense", (1, 64, 10), 10),
        ({"fc/kernel:0": np.ones((64, 10))}, {}, "dense", (1, 64, 10), 10),
        ({"fc.kernel": np.ones((64, 10))}, {"layout": "torch"}, "dense", (1, 10, 64), 64),
        ({"W1": np.ones((64, 10)), "b1": np.ones(10)}, {}, "dense", (1, 64, 10), 10),
        ({"c.weight": np.ones((16, 3, 5, 5))}, {}, "convolution", (1, 75, 16), 400),
        ({"c.kernel": np.ones((5, 5, 3, 16))}, {}, "convolution", (1, 75, 16), 400),
        ({"attn.in_proj_weight": np.ones((192, 64))}, {}, "attention", (3, 64, 64), 64),
        ({"attn.c_attn.weight": np.ones((64, 192))}, {}, "attention", (3, 64, 64), 64),
        ({"attention/query/kernel": np.ones((64, 8, 4))}, {}, "attention", (1, 64, 32), 32),
        ({"attention/output/kernel": np.ones((8, 4, 64))}, {}, "attention", (1, 32, 64), 64),
        ({"wte.weight": np.ones((500, 64))}, {}, "embedding", (1, 500, 64), 64),
        (
            {"norm.weight": np.ones(64), "fc.weight": np.ones((3, 64))},
            {},
            "normalisation",
            None,
            None,
        ),
    ],
)
def test_names_and_shapes_tell_a_layer(tensors, options, kind, stack, fan_out):
    row = of_weights.look(tensors, **options).layers[0]
    assert row.kind == kind and (None if row.weight is None else row.weight.shape) == stack
    assert stack is None or (row.fan_in, row.fan_out) == (
        1 if kind == "embedding" else stack[1],
        fan_out,
    )


def test_a_weight_is_taken_apart_along_the_right_axes():
    """Against the layer itself: inputs times the stack are the outputs."""
    W = RNG.standard_normal((5, 4, 3))
    x = RNG.standard_normal((2, 5))
    (row,) = of_weights.look({"query/kernel": W, "b": SQUARE[0]}, layout="keras").layers
    heads = np.einsum("bd,dhs->bhs", x, W)
    assert np.allclose(x @ row.weight[0], heads.reshape(2, -1))
    (row,) = of_weights.look({"conv.weight": np.moveaxis(W[None], 0, 0)}).layers
    assert np.allclose(row.weight[0][:, 0], W.reshape(-1))


def test_neighbours_tell_the_layout():
    keras_like = {"a.weight": np.ones((64, 32)), "b.weight": np.ones((32, 16))}
    assert [row.weight.shape for row in of_weights.look(keras_like).layers] == [
        (1, 64, 32),
        (1, 32, 16),
    ]


def test_the_tenth_layer_follows_the_ninth():
    arrays = {f"{i}.weight": np.ones((4, 4)) for i in sorted(map(str, range(12)))}
    assert [row.name for row in of_weights.look(arrays).layers] == [str(i) for i in range(12)]


def test_what_is_not_judged_is_named():
    report = diagnose({"rnn.weight_ih_l0": SQUARE, "fc.weight": SQUARE, "steps": np.array([3])})
    assert "1 of 2 layers seen; rnn.weight_ih_l0 not judged" in str(report)
