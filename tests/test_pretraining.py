"""Pretraining against sums over all states of a small RBM, and against literal loops."""

import copy
import itertools
from unittest import mock

import numpy as np
import pytest

from initcore import activations, initializers, losses, network, pretraining, training
from initcore.optimizers import SGD, Adam


def data(examples=40, pixels=6, seed=0):
    return np.random.default_rng(seed).random((examples, pixels))


def sigmoid_net(*widths, replicas=None, sd=0.1, **options):
    weights = initializers.RandomNormal(stddev=sd)
    return network.MLP(widths, "sigmoid", weights=weights, replicas=replicas, **options)


def small_rbm(seed=0, visible=4, hidden=3):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(visible, hidden)), rng.normal(size=hidden), rng.normal(size=visible)


def states(n):
    return np.array(list(itertools.product([0.0, 1.0], repeat=n)))


def joint(W, b, c):
    """Return p(v, h) of all states, (2^visible, 2^hidden), from the energies."""
    v, h = states(len(c))[:, None], states(len(b))[None]
    weight = np.exp(-pretraining.energy(v, h, W, b, c))
    return weight / weight.sum()


# --- the RBM ------------------------------------------------------------------------------------


def test_the_energy_is_the_sum_of_its_terms():
    W, b, c = small_rbm()
    v, h = np.array([1, 0, 1, 1.0]), np.array([0, 1, 1.0])
    expected = -sum(c[i] * v[i] for i in range(4)) - sum(b[j] * h[j] for j in range(3))
    expected -= sum(v[i] * W[i, j] * h[j] for i in range(4) for j in range(3))
    assert pretraining.energy(v, h, W, b, c) == pytest.approx(expected, rel=1e-12)
    assert pretraining.energy(states(4)[:, None], states(3), W, b, c).shape == (16, 8)
    with pytest.raises(ValueError, match="`h` must be an array whose last axis has 3 entries"):
        pretraining.energy(np.ones(4), np.ones(4), W, b, c)


def test_the_conditional_probabilities_follow_from_the_energy():
    W, b, c = small_rbm(1)
    p = joint(W, b, c)
    hidden_on = (p @ states(3)) / p.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(hidden_on, activations.sigmoid(states(4) @ W + b), rtol=1e-12)
    visible_on = (p.T @ states(4)) / p.sum(axis=0)[:, None]
    np.testing.assert_allclose(visible_on, activations.sigmoid(states(3) @ W.T + c), rtol=1e-12)


def test_the_likelihood_gradient_is_a_difference_of_correlations():
    """The formula that CD-1 cuts short, against finite differences."""
    W, b, c = small_rbm(2)
    v = states(4)[5]

    def log_likelihood(W):
        return np.log(joint(W, b, c).sum(axis=1)[5])

    found = np.zeros_like(W)
    for index in np.ndindex(W.shape):
        step = np.zeros_like(W)
        step[index] = 1e-6
        found[index] = (log_likelihood(W + step) - log_likelihood(W - step)) / 2e-6
    p = joint(W, b, c)
    of_model = np.einsum("vh,vi,hj->ij", p, states(4), states(3))
    np.testing.assert_allclose(found, np.outer(v, activations.sigmoid(v @ W + b)) - of_model, 1e-6)


def test_contrastive_divergence_is_the_four_steps_in_a_loop():
    W, b, c = small_rbm(3)
    rng = np.random.default_rng(0)
    v, uniform = rng.random((5, 4)), rng.random((5, 3))
    (dW, db, dc), r = pretraining.contrastive_divergence(v, W, b, c, uniform)
    expected = [np.zeros_like(W), np.zeros_like(b), np.zeros_like(c)]
    for n in range(5):
        p = 1 / (1 + np.exp(-(v[n] @ W + b)))
        h = np.where(uniform[n] < p, 1.0, 0.0)
        back = 1 / (1 + np.exp(-(W @ h + c)))
        again = 1 / (1 + np.exp(-(back @ W + b)))
        np.testing.assert_allclose(r[n], back, rtol=1e-12)
        expected[0] -= (np.outer(v[n], p) - np.outer(back, again)) / 5
        expected[1] -= (p - again) / 5
        expected[2] -= (v[n] - back) / 5
    for found, wanted in zip((dW, db, dc), expected, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-11)


def test_an_rbm_learns_the_distribution_of_its_data():
    """Two complementary patterns: the exact likelihood rises to near its bound, ln 2 an example."""
    patterns = np.array([[1.0, 1, 0, 0], [0, 0, 1, 1]])
    x = np.repeat(patterns, 50, axis=0)
    net = sigmoid_net(4, 3, 1, sd=0.01)
    rows = [int(v @ [8, 4, 2, 1]) for v in patterns]  # their places among the states

    def log_likelihood(stack):
        W, b, c = stack.weights[0], stack.biases[0], stack.decoder_biases[0]
        return np.log(joint(W, b, c).sum(axis=1)[rows]).mean()

    found = [
        log_likelihood(pretraining.pretrain(net, x, method="rbm", optimizer=SGD(rate), epochs=100))
        for rate in (1e-9, 0.3)
    ]
    assert found[0] == pytest.approx(-4 * np.log(2), abs=0.01)  # all sixteen states alike
    assert -np.log(2) > found[1] > -1.2


# --- a stack ------------------------------------------------------------------------------------

METHODS = {"autoencoder": SGD(0.5, momentum=0.9), "rbm": SGD(0.3, momentum=0.5)}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_each_layer_is_trained_in_its_turn_and_reconstructs_better_than_at_its_start(method, dtype):
    net, seen, optimizer = sigmoid_net(6, 5, 4, 3, replicas=3, dtype=dtype), [], METHODS[method]
    x = (np.random.default_rng(0).random((60, 1)) < 0.5) * np.ones(6) * 0.8 + 0.1
    options = {"epochs": 20, "probe": lambda net: seen.append([p.copy() for p in net.parameters()])}
    stack = pretraining.pretrain(net, x, method=method, optimizer=optimizer, **options)
    assert [e.shape for e in stack.errors] == [(21, 3)] * 2
    assert (stack.errors[0][-1] < 0.5 * stack.errors[0][0]).all()
    assert (stack.errors[1][-1] < stack.errors[1][0]).all()
    assert repr(stack) == f"Stack('{method}', 6-5-4)" and optimizer == METHODS[method]
    assert {p.dtype.name for p in [*net.parameters(), *stack.decoder_weights]} == {dtype}
    assert len(seen) == 3  # the layers below are frozen, and those above untouched
    for layer, (before, after) in enumerate(itertools.pairwise(seen)):
        changed = [not np.array_equal(old, new) for old, new in zip(before, after, strict=True)]
        assert changed == [i == layer for i in range(3)] * 2


@pytest.mark.parametrize("method", METHODS)
def test_the_next_layer_learns_from_the_activations(method):
    """Pretraining two layers is pretraining the second on what comes out of the first."""
    options = {"method": method, "optimizer": METHODS[method], "epochs": 2, "batch_size": 8}
    both, first, x = sigmoid_net(6, 5, 4, 3), sigmoid_net(6, 5, 4, 3), data()
    start = both.weights[1].copy()
    stack = pretraining.pretrain(both, x, seed=3, **options)
    pretraining.pretrain(first, x, seed=3, layers=1, **options)
    np.testing.assert_array_equal(both.weights[0], first.weights[0])
    a = both.forward(x).activations[0]
    assert stack.errors[0][-1] == pytest.approx(reconstruction_error(stack, 0, x), rel=1e-9)
    assert stack.errors[1][-1] == pytest.approx(reconstruction_error(stack, 1, a), rel=1e-9)
    alone = sigmoid_net(5, 4, 3)
    alone.weights[0][:] = start
    again = pretraining.pretrain(alone, a, seed=3, **options)
    assert again.errors[0][0] == pytest.approx(stack.errors[1][0], rel=1e-9)


def reconstruction_error(stack, layer, x):
    code = activations.sigmoid(x @ stack.weights[layer] + stack.biases[layer])
    decoder = stack.decoder_weights[layer], stack.decoder_biases[layer]
    return losses.squared_error(activations.sigmoid(code @ decoder[0] + decoder[1]), x)[0]


@pytest.mark.parametrize("method", METHODS)
def test_a_replica_does_not_depend_on_how_many_there_are(method):
    options = {"method": method, "optimizer": METHODS[method], "epochs": 2, "batch_size": 8}
    two, three, one = (sigmoid_net(6, 5, 4, 3, replicas=r) for r in (2, 3, None))
    stacks = [pretraining.pretrain(net, data(), **options) for net in (two, three, one)]
    for a, b, c in zip(*(net.weights for net in (two, three, one)), strict=True):
        np.testing.assert_allclose(a, b[:2], rtol=1e-12)
        np.testing.assert_allclose(a[0], c, rtol=1e-12)
    assert not np.allclose(two.weights[0][0], two.weights[0][1])
    assert stacks[2].errors[0].shape == (3,)
    own = sigmoid_net(6, 5, 4, 3, replicas=2)  # with data of its own for each
    pretraining.pretrain(own, np.stack([data(seed=1), data()]), **options)
    np.testing.assert_allclose(own.weights[0][1], two.weights[0][1], rtol=1e-12)
    assert not np.allclose(own.weights[0][0], two.weights[0][0])


@pytest.mark.parametrize("method", METHODS)
def test_errors_measured_less_often_are_those_of_the_same_passes(method):
    options = {"method": method, "optimizer": METHODS[method], "epochs": 5, "batch_size": 8}
    often, seldom = sigmoid_net(6, 5, 4, 3), sigmoid_net(6, 5, 4, 3)
    each = pretraining.pretrain(often, data(), **options)
    some = pretraining.pretrain(seldom, data(), measure_every=2, **options)
    for all_rows, rows in zip(each.errors, some.errors, strict=True):
        np.testing.assert_array_equal(rows, all_rows[[0, 2, 4, 5]])
    for a, b in zip(often.parameters(), seldom.parameters(), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("seed", [7, np.random.default_rng(7), None])
def test_only_an_integer_as_seed_repeats_itself(seed):
    nets = [sigmoid_net(6, 5, 3) for _ in range(2)]
    for net in nets:
        pretraining.pretrain(net, data(), method="rbm", optimizer=Adam(0.01), epochs=1, seed=seed)
    assert np.array_equal(nets[0].weights[0], nets[1].weights[0]) == isinstance(seed, int)


def test_an_unrolled_stack_goes_the_way_back():
    net = sigmoid_net(6, 5, 2, 5, 6, output_activation="sigmoid")
    x = data()
    options = {"method": "autoencoder", "optimizer": SGD(0.5), "epochs": 3}
    stack = pretraining.pretrain(net, x, layers=2, **options)
    pretraining.unroll(net, stack)
    a = x
    for W, b in [
        (stack.weights[0], stack.biases[0]),
        (stack.weights[1], stack.biases[1]),
        (stack.decoder_weights[1], stack.decoder_biases[1]),
        (stack.decoder_weights[0], stack.decoder_biases[0]),
    ]:
        a = 1 / (1 + np.exp(-(a @ W + b)))
    np.testing.assert_allclose(net.predict(x), a, rtol=1e-12)
    net.weights[0] += 1.0
    assert not np.array_equal(net.weights[0], stack.weights[0])  # the stack is a copy


# --- what it refuses ----------------------------------------------------------------------------

TANH = network.MLP((6, 5, 4, 3), "tanh")


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"net": "net"}, TypeError, "`net` must be an initcore.network.MLP"),
        ({"net": TANH}, ValueError, "`net` must be a sigmoid network"),
        ({"method": "pca"}, ValueError, "`method` must be one of 'autoencoder', 'rbm'"),
        ({"x": data() * 2}, ValueError, "`x` must be from 0 to 1"),
        ({"x": data(pixels=5)}, ValueError, r"`x` must be an array of shape \(batch, 6\)"),
        ({"optimizer": 0.1}, TypeError, "`optimizer` must be"),
        ({"batch_size": 41}, ValueError, "`batch_size` .* at least 1 and at most 40"),
        ({"layers": 4}, ValueError, "`layers` must be an integer at least 1 and at most 3"),
        ({"measure_every": 0}, ValueError, "`measure_every` must be an integer at least 1"),
        ({"probe": 1}, TypeError, "`probe` must be a function of the network"),
        ({"seed": -1}, ValueError, "`seed` must be"),
    ],
)
def test_wrong_arguments_change_nothing(options, error, message):
    net = sigmoid_net(6, 5, 4, 3)
    before = [p.copy() for p in net.parameters()]
    call = {"net": net, "x": data(), "method": "rbm", "optimizer": SGD(0.1)}
    with pytest.raises(error, match=message):
        pretraining.pretrain(**call | options)
    assert all(np.array_equal(p, b) for p, b in zip(net.parameters(), before, strict=True))


def test_activations_outside_the_unit_interval_are_refused_where_they_are_data():
    options = {"method": "autoencoder", "optimizer": SGD(0.1), "epochs": 1}
    with pytest.raises(ValueError, match="`activations of layer 1` must be from 0 to 1"):
        pretraining.pretrain(copy.deepcopy(TANH), data(), **options)
    pretraining.pretrain(copy.deepcopy(TANH), data(), layers=1, **options)


def test_unroll_wants_a_mirrored_network():
    net = sigmoid_net(6, 5, 4, 3)
    stack = pretraining.pretrain(net, data(), method="rbm", optimizer=SGD(0.1), epochs=1)
    for other in (net, sigmoid_net(6, 5, 4, 5, 7)):
        with pytest.raises(ValueError, match="`stack` must be one of the first half of"):
            pretraining.unroll(other, stack)
    with pytest.raises(TypeError, match="`stack` must be what `pretrain` returns"):
        pretraining.unroll(net, None)


@pytest.mark.parametrize("name", ["v", "W", "b", "c", "uniform"])
def test_contrastive_divergence_names_what_is_no_array_of_its_axes(name):
    right = {"v": np.ones((1, 2)), "W": np.zeros((2, 1)), "b": [0.0], "c": [0.0, 0.0]}
    arguments = right | {"uniform": [[0.3]], name: 1.0}
    with pytest.raises(ValueError, match=f"`{name}` must be an array with . or . axes"):
        pretraining.contrastive_divergence(**arguments)


@pytest.mark.parametrize(("method", "module"), [("rbm", pretraining), ("autoencoder", training)])
def test_each_layer_has_a_bar_over_its_steps(method, module, monkeypatch):
    bars = []

    def make(steps):
        bars.append((steps, bar := mock.Mock()))
        return bar

    monkeypatch.setattr(module, "_progress_bar", make)
    x, options = data(), {"optimizer": SGD(0.1), "epochs": 3, "batch_size": 4}
    pretraining.pretrain(sigmoid_net(6, 5, 4, 3), x, method=method, **options)
    steps = 3 * -(-len(x) // 4)
    for number, bar in bars:
        assert number == bar.update.call_count == steps
        assert bar.close.call_count == 1
    assert len(bars) == 2  # layers


class Explosion:
    """An optimizer that leaves nothing finite."""

    def start(self, parameters):
        pass

    def step(self, parameters, gradients):
        for p in parameters:
            p += np.inf


@pytest.mark.parametrize("method", METHODS)
def test_a_layer_that_diverges_is_named(method):
    with np.errstate(all="ignore"), pytest.raises(ValueError, match="layer 1 does not diverge"):
        pretraining.pretrain(sigmoid_net(6, 5, 3), data(), method=method, optimizer=Explosion())


def test_a_layer_that_had_diverged_before_its_first_step_is_named():
    net = sigmoid_net(6, 5, 3)
    net.weights[0][:] *= 1e13
    with pytest.raises(ValueError, match="layer 1 does not diverge"):
        pretraining.pretrain(net, data(), method="autoencoder", optimizer=SGD(1e-30), epochs=1)
