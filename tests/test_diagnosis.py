"""`diagnose`: its arguments, its adapter of arrays, the report, and what it must leave as it was."""

import copy
import json
import re
import subprocess
import sys
import types
import warnings

import ml_dtypes
import numpy as np
import pytest
from scipy.special import log_softmax

import initcore
from initcore import activations, datasets, diagnose, losses, network, optimizers, plots, probes
from initcore.blocks import BatchNormMLP, ResidualMLP
from initcore.diagnosis import Report, criteria, of_arrays
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
    for row, W in zip(of_arrays.look(net, X, Y, optimizer=optimizers.Adam(0.01)).layers, net.weights):
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
    assert embedding.key == head.key != dense.key and set(look.tensors) >= {"weights[0]", "weights[1]"}
    # A row's gradient is the sum of the deltas of its tokens.
    assert embedding.gradient.mean * E.size == pytest.approx(embedding.deltas.mean * tokens.size * 8)


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
    given = diagnose(relu_net(), X, y, loss=dict(classes="softmax_cross_entropy").get(task, "squared_error"))
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
    net = network.MLP((64, *[256] * 40, 10), "relu", weights=RandomNormal(stddev=1.0), dtype="float32")
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


# --- It leaves everything as it was.


@pytest.mark.parametrize("kind", [*NETS, "list"])
def test_nothing_of_the_net_is_moved(kind):
    net = NETS.get(kind, relu_net)()
    model = as_list(net) if kind == "list" else net
    if kind == "BatchNormMLP":
        net.forward(X, rng=0)  # so that there are averages
    adam, batch = optimizers.Adam(0.1), (X.copy(), Y.copy())
    before, state = copy.deepcopy(vars(net)), np.random.get_state()[1].copy()
    settings = copy.deepcopy(vars(adam))
    diagnose(model, *batch, optimizer=adam)
    np.testing.assert_equal(plain(vars(net)), plain(before))
    np.testing.assert_equal(batch, (X, Y))
    assert vars(adam) == settings and np.array_equal(np.random.get_state()[1], state)


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
