"""Losses and `fit`: against JAX, against a training loop of its own, and when runs diverge."""

import copy
import os
import subprocess
import sys
import types
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from initcore import datasets, initializers, training
from initcore.losses import accuracy, softmax_cross_entropy, squared_error
from initcore.network import MLP
from initcore.training import SGD, Adam, fit

ROOT = Path(__file__).resolve().parents[1]


def draw(shape, seed=1):
    return np.random.default_rng([8, seed]).standard_normal(shape)


def classes(shape, n=3, seed=1):
    return np.random.default_rng([8, seed]).integers(0, n, shape)


def state(net):
    return [p.copy() for p in net.parameters()]


def assert_equal(arrays, others):
    for a, b in zip(arrays, others, strict=True):
        np.testing.assert_array_equal(a, b)


# --- Losses.


def jax_cross_entropy(logits, labels):
    return -jnp.take_along_axis(jax.nn.log_softmax(logits), labels[:, None], axis=-1).mean()


def jax_squared_error(outputs, targets):
    return ((outputs - targets) ** 2).sum(axis=-1).mean()


@pytest.mark.parametrize("scale", [1e-8, 1.0, 30.0, 1e4])
@pytest.mark.parametrize("replicas", [None, 4])
@pytest.mark.parametrize("shared", [True, False])
def test_losses_and_gradients_agree_with_jax(scale, replicas, shared):
    front = () if replicas is None else (replicas,)
    outputs = scale * draw((*front, 6, 3))
    outputs.flags.writeable = False
    behind = () if shared else front
    cases = (
        (softmax_cross_entropy, jax_cross_entropy, classes((*behind, 6))),
        (squared_error, jax_squared_error, draw((*behind, 6, 3), seed=2)),
    )
    for ours, theirs, y in cases:
        loss, gradient = ours(outputs, y)
        assert np.shape(loss) == front and gradient.shape == outputs.shape
        for index in [()] if replicas is None else [(r,) for r in range(replicas)]:
            own = y if shared else y[index]
            with jax.enable_x64(True):
                value, slope = jax.value_and_grad(theirs)(jnp.asarray(outputs[index]), own)
            np.testing.assert_allclose(loss[index], value, rtol=1e-12)
            np.testing.assert_allclose(gradient[index], slope, rtol=1e-10, atol=1e-12)


def test_extreme_logits_have_exact_losses():
    logits = np.array([[1e4, -1e4], [-1e4, 1e4], [1e4, 1e4]])
    loss, gradient = softmax_cross_entropy(logits, [0, 0, 1])
    assert loss == pytest.approx((0.0 + 2e4 + np.log(2)) / 3, rel=1e-15)
    np.testing.assert_allclose(gradient, np.array([[0, 0], [-1, 1], [0.5, -0.5]]) / 3, atol=1e-17)


def test_logits_of_zero_cost_the_log_of_the_number_of_classes():
    loss, gradient = softmax_cross_entropy(np.zeros((2, 10)), [3, 9])
    assert loss == pytest.approx(np.log(10), rel=1e-15)
    assert gradient[0, 3] == pytest.approx(-0.9 / 2) and gradient[0, 0] == pytest.approx(0.1 / 2)


finite = st.floats(-1e150, 1e150)


@given(hnp.arrays(np.float64, (4, 3), elements=finite), st.lists(st.integers(0, 2), min_size=4))
def test_cross_entropy_of_any_logits(logits, labels):
    labels = labels[:4]
    loss, gradient = softmax_cross_entropy(logits, labels)
    assert 0.0 <= loss < np.inf and np.isfinite(gradient).all()
    np.testing.assert_allclose(gradient.sum(axis=-1), 0.0, atol=1e-15)
    assert np.abs(gradient).max() <= 1 / 4
    shifted, _ = softmax_cross_entropy(logits[:, ::-1] + 4.0, 2 - np.array(labels))
    assert shifted == pytest.approx(loss, rel=1e-9, abs=1e-9 * max(1, abs(logits).max()))


@given(hnp.arrays(np.float64, (2, 4, 3), elements=finite))
def test_squared_error_of_any_outputs(outputs):
    loss, gradient = squared_error(outputs, outputs[0])
    assert loss[0] == 0.0 <= loss[1] < np.inf and not gradient[0].any()
    np.testing.assert_allclose(gradient[1], (outputs[1] - outputs[0]) / 2, rtol=1e-15)


def test_losses_keep_float32_and_take_integers():
    for ours, y in ((softmax_cross_entropy, [0, 1]), (squared_error, np.ones((2, 3)))):
        loss, gradient = ours(np.ones((2, 3), np.float32), y)
        assert loss.dtype == gradient.dtype == np.float32
        loss, gradient = ours(np.ones((2, 3), int), y)
        assert loss.dtype == gradient.dtype == np.float64


def test_accuracy_counts_the_largest_logit():
    logits = np.array([[3.0, 1.0, 2.0], [0.0, 0.0, 1.0], [1.0, 1.0, 0.0], [0.0, 2.0, 1.0]])
    assert accuracy(logits, [0, 2, 0, 2]) == 0.75
    assert accuracy(logits, [0, 2, 1, 2]) == 0.5  # of two equal ones the first
    both = accuracy(np.stack([logits, -logits]), [0, 2, 0, 1])
    assert both.tolist() == [1.0, 0.0]
    own = accuracy(np.stack([logits, logits]), [[0, 2, 0, 1], [1, 1, 1, 0]])
    assert own.tolist() == [1.0, 0.0]


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: softmax_cross_entropy(np.ones((2, 3)), [0, 3]), ValueError, "values from 0 to 3"),
        (lambda: softmax_cross_entropy(np.ones((2, 3)), [0, -1]), ValueError, "from 0 to 2"),
        (lambda: softmax_cross_entropy(np.ones((2, 3)), [0.0, 1.0]), TypeError, "`labels`"),
        (lambda: softmax_cross_entropy(np.ones((2, 3)), [True, False]), TypeError, "`labels`"),
        (lambda: softmax_cross_entropy(np.ones((2, 3)), [0]), ValueError, r"shape \(2,\)"),
        (lambda: softmax_cross_entropy(np.ones((2, 2, 3)), [[0, 1]]), ValueError, r"\(2, 2\)"),
        (lambda: softmax_cross_entropy(np.ones(3), [0]), ValueError, "2 or 3 axes"),
        (lambda: softmax_cross_entropy([[np.nan, 1]], [0]), ValueError, "`logits` must be finite"),
        (lambda: softmax_cross_entropy([[1e308, -1e308]], [1]), ValueError, "a finite loss"),
        (lambda: accuracy(np.ones((2, 3)), [0, 3]), ValueError, "`labels`"),
        (lambda: accuracy(np.full((2, 3), np.inf), [0, 1]), ValueError, "`logits`"),
        (lambda: squared_error(np.ones((2, 3)), np.ones((3, 3))), ValueError, "`targets`"),
        (lambda: squared_error(np.ones((2, 3)), np.ones(3)), ValueError, r"shape \(2, 3\)"),
        (lambda: squared_error(np.ones((2, 3)), np.full((2, 3), np.nan)), ValueError, "finite"),
        (lambda: squared_error([[True]], [[1.0]]), TypeError, "`outputs`"),
        (lambda: squared_error([[1e200]], [[-1e200]]), ValueError, "small enough .* in float64"),
    ],
)
def test_losses_refuse_what_does_not_fit(call, error, message):
    with pytest.raises(error, match=message):
        call()


# --- One run, step by step.


class Recorder:
    """An optimizer that moves nothing and keeps the gradients it is given."""

    def __init__(self):
        self.steps = []

    def start(self, parameters):
        self.shapes = [p.shape for p in parameters]

    def step(self, parameters, gradients):
        assert [g.shape for g in gradients] == self.shapes
        self.steps.append(copy.deepcopy(gradients))


def batches(examples, batch_size, epochs, replicas=None, seed=0, **options):
    """Return the weight gradients of each step where every example has a weight of its own.

    Input i is the i-th unit vector, the output 0 and the target -1/2: in a batch of b, the
    gradient of weight i is 1 / b if example i is in it, and else 0.
    """
    net = MLP((examples, 1), weights="zeros", replicas=replicas)
    recorder = Recorder()
    fit(
        net,
        np.eye(examples),
        np.full((examples, 1), -0.5),
        loss="squared_error",
        optimizer=recorder,
        epochs=epochs,
        batch_size=batch_size,
        seed=seed,
        **options,
    )
    return [step[0][..., 0] for step in recorder.steps]


def test_an_epoch_visits_every_example_once_and_the_last_batch_is_smaller():
    steps = batches(11, 4, epochs=3)
    assert [np.count_nonzero(g) for g in steps] == [4, 4, 3] * 3
    for g in steps:
        np.testing.assert_allclose(g[g != 0], 1.0 / np.count_nonzero(g), rtol=1e-15)
    for epoch in range(3):
        seen = [np.flatnonzero(g) for g in steps[3 * epoch : 3 * epoch + 3]]
        assert sorted(np.concatenate(seen)) == list(range(11))
    assert len({(steps[3 * epoch] != 0).tobytes() for epoch in range(3)}) == 3  # shuffled anew


def test_batches_of_all_and_of_one():
    assert [np.count_nonzero(g) for g in batches(5, 5, epochs=2)] == [5, 5]
    assert [np.count_nonzero(g) for g in batches(5, 1, epochs=1)] == [1] * 5


def test_every_replica_has_an_order_of_its_own_whatever_their_number():
    few, many = batches(12, 4, 2, replicas=3), batches(12, 4, 2, replicas=6)
    alone = batches(12, 4, 2)
    for a, b, c in zip(few, many, alone, strict=True):
        np.testing.assert_array_equal(a, b[:3])
        np.testing.assert_array_equal(a[0], c)
        assert len({row.tobytes() for row in b}) == 6
    other = batches(12, 4, 2, replicas=3, seed=1)
    assert not np.array_equal(few[0], other[0])


def test_a_generator_as_seed_gives_orders_whatever_the_number():
    few, many = (batches(12, 4, 2, replicas=n, seed=np.random.default_rng(7)) for n in (2, 5))
    np.testing.assert_array_equal(few[-1], many[-1][:2])


def test_the_order_is_not_the_stream_of_the_weights():
    """One seed for net and training must not tie the order of the data to the weights."""
    order = [np.flatnonzero(g)[0] for g in batches(12, 1, 1, seed=3)]
    for child in (*np.random.SeedSequence(3).spawn(2), np.random.SeedSequence(3)):
        assert order != list(np.random.default_rng(child).permutation(12))


def jax_training(net, x, y, loss, optimizer, epochs, replica):
    """Return loss curve and parameters of full-batch training, written in JAX with autodiff."""
    pick = (lambda a: a) if replica is None else (lambda a: a[replica])
    n = net.n_layers

    def value(parameters):
        a = x
        for layer in range(n):
            a = a @ parameters[layer] + parameters[n + layer]
            a = jnp.tanh(a) if layer < n - 1 else a
        return loss(a, y)

    with jax.enable_x64(True):
        parameters = [jnp.asarray(pick(p)) for p in net.parameters()]
        first = [jnp.zeros_like(p) for p in parameters]
        second = [jnp.zeros_like(p) for p in parameters]
        run = jax.jit(jax.value_and_grad(value))
        curve = []
        for t in range(1, epochs + 1):
            now, gradients = run(parameters)
            curve.append(float(now))
            for k, g in enumerate(gradients):
                if isinstance(optimizer, SGD):
                    first[k] = optimizer.momentum * first[k] + g
                    parameters[k] = parameters[k] - optimizer.learning_rate * first[k]
                else:
                    first[k] = 0.9 * first[k] + 0.1 * g
                    second[k] = 0.999 * second[k] + 0.001 * g * g
                    mean, square = first[k] / (1 - 0.9**t), second[k] / (1 - 0.999**t)
                    move = optimizer.learning_rate * mean / (jnp.sqrt(square) + 1e-8)
                    parameters[k] = parameters[k] - move
        return [*curve, float(run(parameters)[0])], parameters


@pytest.mark.parametrize("replicas", [None, 2])
@pytest.mark.parametrize("optimizer", [SGD(0.1, momentum=0.9), Adam(0.01)])
@pytest.mark.parametrize("loss", ["softmax_cross_entropy", "squared_error"])
def test_training_agrees_with_a_loop_in_jax(loss, optimizer, replicas):
    net = MLP((4, 6, 3), replicas=replicas, biases=initializers.RandomNormal())
    x = draw((10, 4))
    theirs, y = jax_cross_entropy, classes(10)
    if loss == "squared_error":
        theirs, y = jax_squared_error, draw((10, 3), seed=3)
    start = copy.deepcopy(net)
    history = fit(net, x, y, loss=loss, optimizer=optimizer, epochs=20, batch_size=10)
    for replica in [None] if replicas is None else range(replicas):
        pick = (lambda a: a) if replica is None else (lambda a, r=replica: a[r])
        curve, parameters = jax_training(start, x, y, theirs, optimizer, 20, replica)
        ours = history.loss if replica is None else history.loss[:, replica]
        np.testing.assert_allclose(ours, curve, rtol=1e-10)
        for p, expected in zip(net.parameters(), parameters, strict=True):
            np.testing.assert_allclose(pick(p), expected, rtol=1e-8, atol=1e-10)


# --- What fit learns, and records.


def test_it_learns_exclusive_or():
    data, net = datasets.xor(), MLP((2, 8, 2), replicas=6)
    history = fit(net, *data, optimizer=Adam(0.05), epochs=200, batch_size=4)
    assert (history.accuracy[-1] == 1.0).all() and (history.loss[-1] < 0.01).all()
    linear = fit(MLP((2, 2), replicas=6), *data, optimizer=Adam(0.05), epochs=200, batch_size=4)
    assert (linear.accuracy[-1] <= 0.75).all()  # no straight line separates it


def test_it_learns_two_clouds_by_sgd():
    y = np.repeat([0, 1], 40)
    x = draw((80, 2)) * 0.3 + np.where(y, 1.0, -1.0)[:, None]
    net = MLP((2, 5, 2), "relu", weights="he_normal", dtype="float32", seed=2)
    history = fit(net, x, y, optimizer=SGD(0.1, momentum=0.9), epochs=20, batch_size=16)
    assert history.accuracy[-1] == 1.0 and history.loss[-1] < 0.05 < history.loss[0]
    assert all(p.dtype == np.float32 for p in net.parameters())


def test_it_learns_a_linear_map_exactly():
    x, weights = draw((30, 3)), draw((3, 2), seed=5)
    net = MLP((3, 2))
    history = fit(
        net, x, x @ weights + 1.0, loss="squared_error", optimizer=SGD(0.1), epochs=300,
        batch_size=30,
    )  # fmt: skip
    np.testing.assert_allclose(net.weights[0], weights, atol=1e-8)
    np.testing.assert_allclose(net.biases[0], 1.0, atol=1e-8)
    assert history.accuracy is None and history.validation_accuracy is None


def small(replicas=None, **options):
    net = MLP((4, 6, 5, 3), replicas=replicas, **{"seed": 2, "dropout": 0.2} | options)
    return net, draw((22, 4)), classes(22)


def settings(**options):
    return {"optimizer": SGD(0.2, momentum=0.9), "epochs": 4, "batch_size": 5} | options


@pytest.mark.parametrize("optimizer", [SGD(0.2, momentum=0.9), Adam(0.02)])
def test_a_replica_trains_alike_in_any_company(optimizer):
    runs = {}
    for replicas in (None, 3, 8):
        net, x, y = small(replicas)
        runs[replicas] = fit(net, x, y, **settings(optimizer=optimizer)), net
    (one, alone), (few, three), (many, eight) = (runs[n] for n in (None, 3, 8))
    np.testing.assert_allclose(few.loss, many.loss[:, :3], rtol=1e-12)
    np.testing.assert_allclose(few.loss[:, 0], one.loss, rtol=1e-12)
    np.testing.assert_array_equal(few.accuracy, many.accuracy[:, :3])
    for p, q, r in zip(three.parameters(), eight.parameters(), alone.parameters(), strict=True):
        np.testing.assert_allclose(p, q[:3], rtol=1e-12, atol=1e-14)
        np.testing.assert_allclose(p[0], r, rtol=1e-12, atol=1e-14)


def test_the_same_call_gives_the_same_run_and_another_seed_another():
    runs = []
    for seed in (5, 5, 6):
        net, x, y = small(3)
        runs.append((fit(net, x, y, **settings(seed=seed)).loss, net.parameters()))
    assert_equal([runs[0][0], *runs[0][1]], [runs[1][0], *runs[1][1]])
    assert not np.array_equal(runs[0][0][-1], runs[2][0][-1])
    net, x, y = small(3)
    assert np.isfinite(fit(net, x, y, **settings(seed=None)).loss).all()


def test_data_of_their_own_for_each_replica():
    """Replica r of two sets at once is replica r of the run with its set alone."""
    sets = draw((2, 22, 4)), classes((2, 22))
    net, _, _ = small(2)
    both = fit(net, *sets, **settings(), validation=sets)
    np.testing.assert_array_equal(both.loss, both.validation_loss)
    for r in range(2):
        other, _, _ = small(2)
        one = fit(other, sets[0][r], sets[1][r], **settings())
        np.testing.assert_allclose(one.loss[:, r], both.loss[:, r], rtol=1e-12)
    targets = draw((2, 22, 3), seed=3)
    net, _, _ = small(2)
    own = fit(net, sets[0], targets, loss="squared_error", **settings(optimizer=SGD(0.01)))
    net, _, _ = small(2)
    one = fit(net, sets[0][1], targets[1], loss="squared_error", **settings(optimizer=SGD(0.01)))
    np.testing.assert_allclose(one.loss[:, 1], own.loss[:, 1], rtol=1e-12)


def test_dropout_acts_in_training_and_not_in_what_is_recorded():
    quiet, x, y = small(2, dropout=0.0)
    noisy, _, _ = small(2, dropout=0.2)
    without, with_it = (fit(net, x, y, **settings()) for net in (quiet, noisy))
    np.testing.assert_array_equal(without.loss[0], with_it.loss[0])
    assert (without.loss[1] != with_it.loss[1]).all()
    loss, _ = softmax_cross_entropy(noisy.predict(x), y)
    np.testing.assert_allclose(with_it.loss[-1], loss, rtol=1e-12)


@pytest.mark.parametrize("replicas", [None, 3])
def test_the_history_is_what_the_network_says(replicas):
    net, x, y = small(replicas)
    held_out = draw((9, 4), seed=6), classes(9, seed=6)
    losses, accuracies = [], []

    def probe(one):
        assert one is net
        losses.append(softmax_cross_entropy(net.predict(x), y)[0])
        accuracies.append(accuracy(net.predict(held_out[0]), held_out[1]))
        return len(losses)

    history = fit(net, x, y, **settings(), validation=held_out, probe=probe)
    shape = (5,) if replicas is None else (5, replicas)
    for curve in (history.loss, history.accuracy, history.validation_loss):
        assert curve.shape == shape and curve.dtype == np.float64
    np.testing.assert_allclose(history.loss, losses, rtol=1e-12)
    np.testing.assert_array_equal(history.validation_accuracy, accuracies)
    held_out_loss, _ = softmax_cross_entropy(net.predict(held_out[0]), held_out[1])
    np.testing.assert_allclose(history.validation_loss[-1], held_out_loss, rtol=1e-12)
    np.testing.assert_allclose(history.accuracy[-1], accuracy(net.predict(x), y), rtol=1e-15)
    assert history.probes == [1, 2, 3, 4, 5] and history.probe_epochs == [0, 1, 2, 3, 4]
    assert history.epochs.tolist() == [0, 1, 2, 3, 4]
    assert np.shape(history.diverged) == shape[1:] and np.all(history.diverged == -1)


def test_numbers_are_measured_as_often_as_asked():
    """The rows are those of a run that measures after each epoch, and training is the same."""
    nets, (_, x, y) = [small()[0] for _ in range(2)], small()
    steps = {"optimizer": SGD(0.1), "batch_size": 2, "epochs": 7, "validation": (x, y)}
    each, third = (fit(net, x, y, measure_every=k, **steps) for net, k in zip(nets, (1, 3)))
    rows = [0, 3, 6, 7]
    assert third.epochs.tolist() == rows
    for curve in ("loss", "accuracy", "validation_loss", "validation_accuracy"):
        np.testing.assert_array_equal(getattr(third, curve), getattr(each, curve)[rows])
    assert_equal(*(net.parameters() for net in nets))
    assert "after epoch 7" in third.summary()


def test_probes_are_taken_as_often_as_asked():
    net, x, y = small()
    history = fit(
        net, x, y, **settings(epochs=7), probe=lambda n: n.weights[0][0, 0], probe_every=3
    )
    assert history.probe_epochs == [0, 3, 6] and len(set(history.probes)) == 3
    none = fit(net, x, y, **settings())
    assert none.probes == [] == none.probe_epochs
    assert none.validation_loss is None and none.validation_accuracy is None


def test_probes_do_not_change_the_run():
    losses = []
    for probe in (None, lambda net: net.predict(np.ones((2, 4)))):
        net, x, y = small(2)
        losses.append(fit(net, x, y, **settings(), probe=probe).loss)
    np.testing.assert_array_equal(*losses)


def test_an_optimizer_by_name_and_one_that_is_used_twice():
    curves = []
    for optimizer in ("adam", Adam()):
        net, x, y = small(2)
        curves.append(fit(net, x, y, **settings(optimizer=optimizer)).loss)
    np.testing.assert_array_equal(*curves)
    sgd = SGD(0.1, momentum=0.9)
    before = copy.deepcopy(vars(sgd))
    curves = []
    for _ in range(2):
        net, x, y = small(2)
        curves.append(fit(net, x, y, **settings(optimizer=sgd)).loss)
    np.testing.assert_array_equal(*curves)
    assert vars(sgd) == before
    net, x, y = small()
    assert np.isfinite(fit(net, x, y, **settings(optimizer="sgd")).loss).all()


def test_tables_and_summaries():
    net, x, y = small(3)
    history = fit(net, x, y, **settings(), validation=(x, y))
    table = history.table()
    assert table.columns == ("epoch", "loss", "accuracy", "validation loss", "validation accuracy")
    assert len(table) == 5 and "[" in table["loss"][0]
    first, *rest = history.summary().splitlines()
    assert first.startswith("after epoch 4: loss ") and not rest
    assert repr(history) == history.summary()
    net, x, y = small()
    history = fit(net, x, y, **settings())
    assert history.table().columns == ("epoch", "loss", "accuracy")
    np.testing.assert_array_equal(history.table()["loss"], history.loss)
    assert "[" not in history.summary() and "diverged" not in history.summary()


# --- Divergence.


def doubling(weights, *, rate=2.0, epochs=20, **options):
    """Train ``a = w x`` to 0 on x = ±1: each step multiplies w by 1 - 2 rate; the loss is w²."""
    net = MLP((1, 1), weights="zeros", replicas=len(weights))
    net.weights[0][:, 0, 0] = weights
    x, y = np.array([[1.0], [-1.0]]), np.zeros((2, 1))
    call = {"loss": "squared_error", "optimizer": SGD(rate), "epochs": epochs, "batch_size": 2}
    return net, fit(net, x, y, **call | options)


def test_a_divergence_is_stopped_where_it_is_stated():
    """w = (-3)^epoch: the loss 9^12 is below 1e12 and 9^13 beyond it."""
    net, history = doubling([1.0, 0.0, 9.0])
    assert history.diverged.tolist() == [13, -1, 11]
    expected = [9.0 ** min(epoch, 12) for epoch in range(21)]
    np.testing.assert_allclose(history.loss[:, 0], expected, rtol=1e-12)
    assert net.weights[0][:, 0, 0].tolist() == [(-3.0) ** 12, 0.0, 9 * (-3.0) ** 10]
    assert not history.loss[:, 1].any()
    table = history.table()
    assert table["diverged"].tolist() == [0] * 11 + [1, 1] + [2] * 8
    assert history.summary().splitlines()[1] == (
        "2 of 3 diverged (in epoch 11 to 13); their numbers are those before that"
    )


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_a_large_parameter_is_a_divergence_too(sign):
    """The bias follows the targets beyond ±1e12, while the loss shrinks from below 1e12."""
    net = MLP((1, 1), weights="zeros", replicas=2)
    net.biases[0][1] = sign * (1e12 - 5e5)
    y = np.stack([np.zeros((2, 1)), np.full((2, 1), sign * (1e12 + 4e5))])
    history = fit(
        net, np.zeros((2, 1)), y, loss="squared_error", optimizer=SGD(0.4), epochs=3, batch_size=2
    )
    assert history.diverged.tolist() == [-1, 1]
    assert net.biases[0][:, 0].tolist() == [0.0, sign * (1e12 - 5e5)]
    assert (history.loss[:, 1] == history.loss[0, 1]).all()


def test_a_diverged_loss_on_validation_data_counts_too():
    far = np.array([[1e3]]), np.zeros((1, 1))
    _, history = doubling([1.0, 0.0], validation=far)
    assert history.diverged.tolist() == [7, -1]  # 1e6 · 9^7 > 1e12
    assert history.validation_loss[-1, 0] == pytest.approx(1e6 * 9.0**6)


def test_a_run_that_has_diverged_before_it_starts():
    net, history = doubling([1e7, 0.0, 1.0], rate=0.25, epochs=3)
    assert history.diverged.tolist() == [0, -1, -1]
    np.testing.assert_allclose(history.loss[:, 0], 1e14)
    np.testing.assert_allclose(history.loss[:, 2], [1, 0.25, 0.0625, 0.015625])
    assert net.weights[0][0, 0, 0] == 1e7


def test_when_all_have_diverged_the_rest_is_skipped_and_still_recorded():
    calls = []
    net, history = doubling([1e7, 1e8], epochs=50, probe=lambda n: calls.append(1), probe_every=10)
    assert history.loss.shape == (51, 2) and (history.loss == history.loss[0]).all()
    assert len(history.probes) == 6 == len(calls)
    assert history.summary().endswith(
        "2 of 2 diverged (in epoch 0); their numbers are those before that"
    )


def test_one_network_without_replicas_diverges_as_well():
    net = MLP((4, 30, 30, 3), "relu", weights=initializers.RandomNormal(stddev=3.0))
    before = state(net)
    _, x, y = small()
    history = fit(net, x, y, **settings(optimizer=SGD(100.0)))
    assert history.diverged == 1 and np.isfinite(history.loss).all()
    assert (history.loss == history.loss[0]).all()
    assert_equal(net.parameters(), before)
    assert history.summary().endswith(
        "1 of 1 diverged (in epoch 1); their numbers are those before that"
    )


def test_an_interrupted_run_leaves_no_diverged_parameters():
    class Impatient(SGD):
        left = 24  # raises at the second step of an epoch

        def step(self, parameters, gradients):
            self.left -= 1
            if not self.left:
                raise KeyboardInterrupt
            super().step(parameters, gradients)

    net = MLP((1, 1), weights="zeros", replicas=2)
    net.weights[0][:, 0, 0] = 1e7, 1.0  # the first has diverged, the second shrinks
    x, y = np.array([[1.0], [-1.0]]), np.zeros((2, 1))
    with pytest.raises(KeyboardInterrupt):
        fit(net, x, y, loss="squared_error", optimizer=Impatient(0.2), epochs=20, batch_size=1)
    assert net.weights[0][0, 0, 0] == 1e7 and abs(net.weights[0][1, 0, 0]) < 0.1


@pytest.mark.parametrize("optimizer", [SGD(0.05, momentum=0.9), Adam(0.01)])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_others_train_as_if_the_diverged_one_were_not_there(optimizer, dtype):
    options = {"dropout": 0.2, "dtype": dtype, "activation": "relu", "weights": "he_normal"}
    calm, x, y = small(4, **options)
    wild, _, _ = small(4, **options)
    for w in wild.weights:
        w[2] *= 300.0
    quiet = fit(calm, x, y, **settings(optimizer=optimizer))
    history = fit(wild, x, y, **settings(optimizer=optimizer))
    others = [0, 1, 3]
    assert (history.diverged[others] == -1).all()
    if isinstance(optimizer, SGD):  # a step of Adam is never large
        assert history.diverged[2] >= 1
    np.testing.assert_array_equal(history.loss[:, others], quiet.loss[:, others])
    for p, q in zip(wild.parameters(), calm.parameters(), strict=True):
        np.testing.assert_array_equal(p[others], q[others])
    assert all(np.isfinite(p).all() for p in wild.parameters())


@given(
    st.floats(-3, 30),
    st.floats(-3, 6),
    st.sampled_from(["relu", "linear", "tanh", "sigmoid", "gelu"]),
    st.sampled_from(["float32", "float64"]),
    st.sampled_from(["sgd", "adam"]),
    st.sampled_from(["softmax_cross_entropy", "squared_error"]),
)
def test_no_rate_and_no_scale_brings_anything_but_numbers(
    log_rate, log_scale, act, dtype, opt, loss
):
    """Warnings are errors here, so that none is let out either."""
    net = MLP(
        (4, 5, 5, 3), act, weights=initializers.RandomNormal(stddev=10.0**log_scale), replicas=3,
        dtype=dtype, dropout=0.1,
    )  # fmt: skip
    x, y = draw((12, 4)), classes(12) if loss == "softmax_cross_entropy" else draw((12, 3))
    optimizer = SGD(10.0**log_rate, momentum=0.9) if opt == "sgd" else Adam(10.0**log_rate)
    history = fit(
        net, x, y, loss=loss, optimizer=optimizer, epochs=3, batch_size=5, validation=(x, y)
    )
    assert np.isfinite(history.loss).all() and np.isfinite(history.validation_loss).all()
    assert all(np.isfinite(p).all() for p in net.parameters())
    never = history.diverged == -1
    assert (history.loss[:, never] <= 1e12).all()
    for r, epoch in enumerate(history.diverged):
        if epoch >= 0:
            assert (history.loss[max(epoch - 1, 0) :, r] == history.loss[-1, r]).all()
    if (history.diverged > 0).any():
        assert "diverged" in history.summary() and "diverged" in history.table().columns


def test_a_loss_that_is_not_finite_to_begin_with_is_refused():
    for weights in (np.full((4, 3), 1e300), np.full((4, 3), np.inf)):
        net, (_, x, y) = MLP((4, 3)), small()
        net.weights[0][:] = weights
        with pytest.raises(ValueError, match="`net` must be a network whose loss is finite"):
            fit(net, np.abs(x) * 1e10, y, **settings())
        np.testing.assert_array_equal(net.weights[0], weights)


# --- Bad input.

X, Y = draw((22, 4)), classes(22)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"net": "net"}, TypeError, "`net` must be an initcore.network.MLP"),
        ({"x": X[:, :3]}, ValueError, r"`x` must be an array of shape \(batch, 4\)"),
        ({"x": X[None]}, ValueError, r"or \(3, batch, 4\)"),
        ({"x": np.where(X > 1, np.nan, X)}, ValueError, "`x` must be finite"),
        ({"x": X > 0}, TypeError, "`x` must be an array of real numbers"),
        ({"y": Y[:-1]}, ValueError, r"`y` must be an array of shape \(22,\) or \(3, 22\)"),
        ({"y": np.stack([Y, Y])}, ValueError, "`y`"),
        ({"y": Y + 1}, ValueError, "`y` must be an array of integers from 0 to 2.*from 1 to 3"),
        ({"y": Y - 1}, ValueError, "`y` must be an array of integers from 0 to 2"),
        ({"y": Y.astype(float)}, TypeError, "`y` must be an array of integers"),
        ({"y": Y > 0}, TypeError, "`y`"),
        ({"loss": "squared_error"}, ValueError, r"`y` must be an array of shape \(22, 3\) or"),
        ({"loss": "squared_error", "y": np.full((22, 3), np.nan)}, ValueError, "`y` must be fin"),
        ({"loss": "squared_eror"}, ValueError, "Did you mean 'squared_error'"),
        ({"loss": squared_error}, TypeError, "`loss` must be one of 'softmax_cross_entropy', 's"),
        ({"optimizer": "adm"}, ValueError, "`optimizer` must be one of .* Did you mean 'adam'"),
        ({"optimizer": SGD}, TypeError, "`optimizer` must be 'sgd', 'adam', or an instance"),
        ({"optimizer": None}, TypeError, "`optimizer`"),
        ({"optimizer": types.SimpleNamespace(start=print)}, TypeError, "`optimizer`"),
        ({"epochs": 0}, ValueError, "`epochs` must be an integer at least 1"),
        ({"epochs": 2.0}, TypeError, "`epochs`"),
        ({"epochs": True}, TypeError, "`epochs`"),
        (
            {"batch_size": 0},
            ValueError,
            "`batch_size` must be an integer at least 1 and at most 22",
        ),
        ({"batch_size": 23}, ValueError, "`batch_size` .* at most 22. Received: batch_size=23"),
        ({"batch_size": None}, TypeError, "`batch_size`"),
        ({"seed": -1}, ValueError, "`seed`"),
        ({"seed": True}, TypeError, "`seed`"),
        ({"validation": X}, TypeError, r"`validation` must be a pair \(x, y\)"),
        ({"validation": (X,)}, TypeError, "`validation`"),
        ({"validation": (X, Y[:3])}, ValueError, "`validation y`"),
        ({"validation": (X, Y + 9)}, ValueError, "`validation y`"),
        ({"validation": (X * np.inf, Y)}, ValueError, "`validation x` must be finite"),
        ({"probe": 3}, TypeError, "`probe` must be a function of the network"),
        ({"probe_every": 0}, ValueError, "`probe_every`"),
        ({"progress": 1}, TypeError, "`progress` must be True or False"),
    ],
)
def test_a_call_that_is_refused_changes_nothing(options, error, message):
    net, rng = MLP((4, 6, 3), replicas=3), np.random.default_rng(3)
    before, optimizer = state(net), SGD(0.2, momentum=0.9)
    settings_before = copy.deepcopy(vars(optimizer))
    call = {
        "net": net, "x": X, "y": Y, "optimizer": optimizer, "epochs": 2, "batch_size": 5,
        "seed": rng,
    }  # fmt: skip
    with pytest.raises(error, match=message):
        fit(**call | options)
    assert_equal(net.parameters(), before)
    assert vars(optimizer) == settings_before
    assert rng.bit_generator.seed_seq.n_children_spawned == 0


def test_parameters_that_no_longer_fit_are_refused():
    net, x, y = small()
    net.biases[0] = np.zeros(2)
    with pytest.raises(ValueError, match=r"`biases\[0\]` must be an array of shape \(6,\)"):
        fit(net, x, y, **settings())


junk = st.none() | st.booleans() | st.floats() | st.text(max_size=4) | st.integers(-5, 40)


@pytest.mark.parametrize("name", ["x", "y", "loss", "optimizer", "epochs", "batch_size", "seed"])
@given(value=junk | st.lists(junk, max_size=3))
def test_junk_is_refused_or_trains(name, value):
    net, x, y = small()
    before = state(net)
    call = {"x": x, "y": y, "optimizer": "adam", "epochs": 1, "batch_size": 5, "seed": 0}
    try:
        history = fit(net, **call | {name: value})
    except (ValueError, TypeError) as error:
        assert str(error).startswith("Argument `")
        assert_equal(net.parameters(), before)
    else:
        assert np.isfinite(history.loss).all()


# --- The progress bar.


class FakeBar:
    """Stands in for tqdm, and notes what it is asked to do."""

    made: list = []

    def __init__(self, **options):
        self.options, self.steps, self.closed = options, 0, False
        FakeBar.made.append(self)

    def update(self):
        self.steps += 1

    def close(self):
        self.closed = True


@pytest.fixture
def bars(monkeypatch):
    """Return the list of the bars that are made; every run counts as a long one."""
    monkeypatch.setitem(sys.modules, "tqdm.auto", types.SimpleNamespace(tqdm=FakeBar))
    monkeypatch.setattr(FakeBar, "made", [])
    monkeypatch.setattr(training, "PROGRESS_AFTER", 0.0)
    monkeypatch.delenv("INITCORE_PROGRESS", raising=False)
    return FakeBar.made


def surround(monkeypatch, terminal, notebook=False):
    """Make it look as if no pytest ran, in a terminal or notebook or neither."""
    # Called by the test and not by the fixture: pytest sets the first one between the two.
    for name in ("PYTEST_CURRENT_TEST", "PYTEST_VERSION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(sys, "stderr", types.SimpleNamespace(isatty=lambda: terminal))
    shell = types.SimpleNamespace(kernel=object()) if notebook else None
    ipython = types.SimpleNamespace(get_ipython=lambda: shell)
    monkeypatch.setitem(sys.modules, "IPython", ipython)


def train(progress=None):
    net, x, y = small()
    fit(net, x, y, **settings(), progress=progress)  # 4 epochs of 5 steps


def test_a_bar_on_request_counts_every_step(bars):
    train(progress=True)
    (bar,) = bars
    assert bar.options["total"] == 20 and bar.options["initial"] + bar.steps == 20 and bar.closed


def test_a_bar_where_somebody_watches(bars, monkeypatch):
    surround(monkeypatch, terminal=False)
    train()
    assert not bars
    surround(monkeypatch, terminal=True)
    train()
    assert len(bars) == 1
    surround(monkeypatch, terminal=False, notebook=True)
    train()
    assert len(bars) == 2
    surround(monkeypatch, terminal=False)
    monkeypatch.delitem(sys.modules, "IPython")
    monkeypatch.setattr(sys, "stderr", None)  # as under pythonw
    train()
    assert len(bars) == 2


def test_no_bar_in_a_short_run(bars, monkeypatch):
    surround(monkeypatch, terminal=True)
    monkeypatch.setattr(training, "PROGRESS_AFTER", 60.0)
    train()
    assert not bars
    train(progress=True)
    assert len(bars) == 1


def test_no_bar_where_outputs_are_compared_or_stored(bars, monkeypatch):
    surround(monkeypatch, terminal=True, notebook=True)
    for name in ("PYTEST_CURRENT_TEST", "PYTEST_VERSION"):
        with monkeypatch.context() as patch:
            patch.setenv(name, "x")
            train()
    assert not bars
    monkeypatch.setenv("INITCORE_PROGRESS", "0")
    train(progress=True)
    assert not bars
    monkeypatch.setenv("INITCORE_PROGRESS", "1")
    train(progress=False)
    assert not bars
    train()
    assert len(bars) == 1


def test_the_bar_is_closed_when_training_is_broken_off(bars):
    net, x, y = small()
    values = iter([1])
    with pytest.raises(StopIteration):
        fit(net, x, y, **settings(), probe=lambda n: next(values), progress=True)
    assert bars[0].closed


def test_tqdm_is_optional(bars, monkeypatch):
    monkeypatch.setitem(sys.modules, "tqdm.auto", None)  # makes its import an ImportError
    surround(monkeypatch, terminal=True)
    train()
    net, x, y = small()
    before = state(net)
    with pytest.raises(ImportError, match="progress=True needs tqdm"):
        fit(net, x, y, **settings(), progress=True)
    assert_equal(net.parameters(), before)


def test_the_real_bar_is_on_stderr_and_gone_afterwards(capsys):
    train(progress=True)
    captured = capsys.readouterr()
    assert captured.out == "" and "training" in captured.err
    assert captured.err.endswith("\r")
    train()
    assert capsys.readouterr().err == ""


def test_a_process_started_by_pytest_shows_no_bar():
    """As the kernels of nbval are: they inherit the environment."""
    code = "import sys; sys.stderr.isatty = lambda: True\n"
    code += "from initcore import training; print(training._wants_bar(None))"
    for environment, expected in (
        (os.environ, "False"),
        ({k: v for k, v in os.environ.items() if not k.startswith("PYTEST")}, "True"),
    ):
        environment = {k: v for k, v in environment.items() if k != "INITCORE_PROGRESS"}
        result = subprocess.run(
            [sys.executable, "-c", code], env=environment | {"PYTHONPATH": str(ROOT)},
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        assert result.stdout.strip() == expected
