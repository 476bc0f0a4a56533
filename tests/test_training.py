"""Losses and `fit`: against JAX, against a training loop of its own, and when runs diverge."""

import copy
import sys
import types
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from initcore import initializers, tables, training
from initcore.losses import accuracy, softmax_cross_entropy, squared_error
from initcore.network import MLP, replica_generators
from initcore.training import SGD, Adam, fit


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


@pytest.mark.parametrize(("given_", "dtype"), [(np.float32, "float32"), (int, "float64")])
def test_losses_keep_float32_and_take_integers(given_, dtype):
    for ours, y in ((softmax_cross_entropy, [0, 1]), (squared_error, np.ones((2, 3)))):
        loss, gradient = ours(np.ones((2, 3), given_), y)
        assert loss.dtype == gradient.dtype == dtype


def test_accuracy_counts_the_largest_logit():
    logits = np.array([[3.0, 1.0, 2.0], [0.0, 0.0, 1.0], [1.0, 1.0, 0.0], [0.0, 2.0, 1.0]])
    assert accuracy(logits, [0, 2, 1, 2]) == 0.5  # of two equal ones the first
    own = accuracy(np.stack([logits, logits]), [[0, 2, 0, 1], [1, 1, 1, 0]])
    assert own.tolist() == [1.0, 0.0]


ONES = np.ones((2, 3))


@pytest.mark.parametrize(
    ("function", "output", "y", "error", "message"),
    [
        (softmax_cross_entropy, ONES, [0, 3], ValueError, "`labels` .* values from 0 to 3"),
        (softmax_cross_entropy, ONES, [0.0, 1.0], TypeError, "`labels`"),
        (softmax_cross_entropy, ONES, [0], ValueError, r"shape \(2,\)"),
        (softmax_cross_entropy, [[np.nan, 1]], [0], ValueError, "`logits` must be finite"),
        (softmax_cross_entropy, [[1e308, -1e308]], [1], ValueError, "a finite loss"),
        (squared_error, ONES, np.ones(3), ValueError, r"`targets` .* shape \(2, 3\)"),
        (squared_error, [[True]], [[1.0]], TypeError, "`outputs`"),
        (squared_error, [[1e200]], [[-1e200]], ValueError, "small enough .* in float64"),
    ],
)
def test_losses_refuse_what_does_not_fit(function, output, y, error, message):
    with pytest.raises(error, match=message):
        function(output, y)


# --- One run, step by step.


@given(st.integers(1, 30), st.data(), st.none() | st.integers(1, 4))
def test_an_epoch_visits_every_example_once_in_an_order_of_each_replica(examples, data, replicas):
    batch_size = data.draw(st.integers(1, examples))
    x = np.tile(np.arange(examples), (replicas or 1, 1))
    x = x[0] if replicas is None else x
    rngs = replica_generators(7, replicas)
    for _ in range(2):  # epochs
        seen = [x[index] for index in training.batches(rngs, examples, batch_size, replicas)]
        full, rest = divmod(examples, batch_size)
        assert [b.shape[-1] for b in seen] == [batch_size] * full + [rest] * (rest > 0)
        orders = np.atleast_2d(np.concatenate(seen, axis=-1))
        assert (np.sort(orders) == np.arange(examples)).all()
    assert examples < 15 or len({order.tobytes() for order in orders}) == (replicas or 1)


def test_batches_need_generators():
    with pytest.raises(TypeError, match=r"`rngs\[0\]` must be a numpy.random.Generator"):
        next(training.batches(["a"], 3, 1, None))


def jax_training(net, x, y, loss, optimizer, epochs, batch_size, replica):
    """Return loss curve and parameters of mini-batch training, written in JAX with autodiff."""
    pick = (lambda a: a) if replica is None else (lambda a: a[replica])
    n, t = net.n_layers, 0
    # The order is that of the replica's stream 1 of the seed 5, shuffled once an epoch.
    order = np.random.default_rng(np.random.SeedSequence(5, spawn_key=(replica or 0, 1)))

    def value(parameters, x, y):
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
        curve = [float(run(parameters, x, y)[0])]
        for _ in range(epochs):
            for part in np.split(order.permutation(len(x)), range(batch_size, len(x), batch_size)):
                t += 1
                _, gradients = run(parameters, x[part], y[part])
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
            curve.append(float(run(parameters, x, y)[0]))
        return curve, parameters


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
    steps = {"optimizer": optimizer, "epochs": 8, "batch_size": 4, "seed": 5}
    history = fit(net, x, y, loss=loss, **steps)
    for replica in [None] if replicas is None else range(replicas):
        pick = (lambda a: a) if replica is None else (lambda a, r=replica: a[r])
        curve, parameters = jax_training(start, x, y, theirs, optimizer, 8, 4, replica)
        ours = history.loss if replica is None else history.loss[:, replica]
        np.testing.assert_allclose(ours, curve, rtol=1e-10)
        for p, expected in zip(net.parameters(), parameters, strict=True):
            np.testing.assert_allclose(pick(p), expected, rtol=1e-8, atol=1e-10)


def plain_training(net, x, y, rate, momentum, epochs, batch_size, seed):
    """The formulas in their order, one replica; return the loss before training and after each."""
    W, b = ([p.copy() for p in part] for part in (net.weights, net.biases))
    v = [np.zeros_like(p) for p in W + b]
    order = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(0, 1)))

    def forward(x):
        a = [x]
        for layer in range(len(W)):
            z = a[-1] @ W[layer] + b[layer]
            a.append(np.maximum(z, 0) if layer < len(W) - 1 else z)
        return a

    def cross_entropy(output, y):
        z = output - output.max(axis=1, keepdims=True)
        total = np.exp(z).sum(axis=1, keepdims=True)
        one_hot = (y[:, None] == np.arange(z.shape[1])).astype(z.dtype)
        loss = (np.log(total) - z[np.arange(len(y)), y][:, None]).mean()
        return float(loss), (np.exp(z) / total - one_hot) / len(y)

    losses = [cross_entropy(forward(x)[-1], y)[0]]
    for _ in range(epochs):
        for chosen in np.split(order.permutation(len(x)), range(batch_size, len(x), batch_size)):
            a, gradients = forward(x[chosen]), [None] * len(v)
            delta = cross_entropy(a[-1], y[chosen])[1]
            for layer in reversed(range(len(W))):
                gradients[layer] = a[layer].T @ delta
                gradients[len(W) + layer] = delta.sum(axis=0)
                delta = (delta @ W[layer].T) * (a[layer] > 0)
            for k, p in enumerate(W + b):
                v[k] = momentum * v[k] - rate * gradients[k]
                p += v[k]
        losses.append(cross_entropy(forward(x)[-1], y)[0])
    return losses, W + b


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("replicas", [None, 2])
def test_training_is_the_plain_loop_to_the_last_bit(replicas, dtype):
    """Speed changes no operation and no order: every printed digit hangs on them."""
    net = MLP((9, 16, 12, 3), "relu", weights="he_normal", replicas=replicas, dtype=dtype)
    start = copy.deepcopy(net)
    if replicas:
        start.weights, start.biases = ([p[0] for p in q] for q in (net.weights, net.biases))
        start.weights, start.biases = copy.deepcopy((start.weights, start.biases))
    x, y = draw((70, 9)).astype(dtype), classes(70)
    run = {"epochs": 5, "batch_size": 32, "seed": 5}
    history = fit(net, x, y, optimizer=SGD(0.1, momentum=0.9), **run)
    losses, parameters = plain_training(start, x, y, 0.1, 0.9, **run)
    first = (lambda a: a[..., 0]) if replicas else (lambda a: a)
    np.testing.assert_array_equal(first(history.loss), losses)
    for p, expected in zip(net.parameters(), parameters, strict=True):
        np.testing.assert_array_equal(p[0] if replicas else p, expected)


# --- What fit learns, and records.


def small(replicas=None, **options):
    net = MLP((4, 6, 5, 3), replicas=replicas, **{"seed": 2, "dropout": 0.2} | options)
    return net, draw((22, 4)), classes(22)


def settings(optimizer=None, **options):
    optimizer = optimizer or SGD(0.2, momentum=0.9)
    return {"optimizer": optimizer, "epochs": 4, "batch_size": 5} | options


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


@pytest.mark.parametrize("loss", ["softmax_cross_entropy", "squared_error"])
def test_data_of_their_own_for_each_replica(loss):
    """Replica r of two sets at once is replica r of the run with its set alone."""
    x = draw((2, 22, 4))
    y = draw((2, 22, 3), seed=3) if loss == "squared_error" else classes((2, 22))
    steps = settings(optimizer=SGD(0.01), loss=loss)
    both = fit(small(2)[0], x, y, **steps, validation=(x, y))
    np.testing.assert_array_equal(both.loss, both.validation_loss)
    for r in range(2):
        one = fit(small(2)[0], x[r], y[r], **steps)
        np.testing.assert_allclose(one.loss[:, r], both.loss[:, r], rtol=1e-12)


@pytest.mark.parametrize("replicas", [None, 3])
@pytest.mark.parametrize("dropout", [0.0, 0.2])
def test_the_history_is_what_the_network_says_without_dropout(replicas, dropout):
    net, x, y = small(replicas, dropout=dropout)
    held_out = draw((9, 4), seed=6), classes(9, seed=6)

    def probe(one):
        outputs = net.predict(x), net.predict(held_out[0])
        parts = list(zip(outputs, (y, held_out[1]), strict=True))
        return [softmax_cross_entropy(*part)[0] for part in parts] + [accuracy(*p) for p in parts]

    history = fit(net, x, y, **settings(), validation=held_out, probe=probe)
    names = ("loss", "validation_loss", "accuracy", "validation_accuracy")
    for name, expected in zip(names, zip(*history.probes, strict=True), strict=True):
        np.testing.assert_allclose(getattr(history, name), expected, rtol=1e-12)
    assert history.loss.shape == ((5,) if replicas is None else (5, replicas))
    assert history.epochs.tolist() == [0, 1, 2, 3, 4]
    assert np.shape(history.diverged) == history.loss.shape[1:] and np.all(history.diverged == -1)
    assert repr(history).startswith("after epoch 4: loss ") and "diverged" not in repr(history)
    assert ("[" in repr(history)) == (replicas is not None)
    end = tables.spread(history.loss[-1]) if replicas else tables.fmt(history.loss[-1])
    assert f"loss {end}" in repr(history)
    without = fit(small(replicas, dropout=0.0)[0], x, y, **settings())
    assert np.all((without.loss[1] != history.loss[1]) == (dropout > 0))  # it acts in training


def test_numbers_are_taken_as_often_as_asked_and_the_probe_after_each_epoch():
    """The rows are those of a run that measures after each epoch, and training is the same."""
    nets, (_, x, y) = [small()[0] for _ in range(2)], small()
    steps = {"optimizer": SGD(0.1), "batch_size": 2, "epochs": 7, "validation": (x, y)}
    each = fit(nets[0], x, y, **steps)

    def probe(net):
        return float(net.predict(x[:1])[0, 0])

    third = fit(nets[1], x, y, measure_every=3, probe=probe, **steps)
    rows = [0, 3, 6, 7]
    assert third.epochs.tolist() == rows
    for curve in ("loss", "accuracy", "validation_loss", "validation_accuracy"):
        np.testing.assert_array_equal(getattr(third, curve), getattr(each, curve)[rows])
    assert_equal(*(net.parameters() for net in nets))
    assert each.probes == [] and len(set(third.probes)) == len(third.probes) == 8
    assert third.probes[-1] == probe(nets[0])


def test_runs_differ_by_their_seed_alone_and_the_optimizer_keeps_no_state():
    sgd, runs = SGD(0.1, momentum=0.9), []
    before = copy.deepcopy(vars(sgd))
    for seed in (5, 5, 6, np.random.default_rng(7), np.random.default_rng(7), None):
        net, x, y = small(3)
        runs.append([fit(net, x, y, **settings(sgd, seed=seed)).loss, *net.parameters()])
    assert_equal(runs[0], runs[1])
    assert_equal(runs[3], runs[4])
    assert len({run[0].tobytes() for run in runs}) == 4
    assert vars(sgd) == before
    for name, same in (("sgd", SGD()), ("adam", Adam())):
        curves = [fit(small()[0], x, y, **settings(optimizer=o)).loss for o in (name, same)]
        np.testing.assert_array_equal(*curves)


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
    assert repr(history).splitlines()[1] == ("2 of 3 diverged; their numbers are those before that")


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
    assert history.validation_accuracy is None is history.accuracy  # of no classifier


def test_one_network_without_replicas_diverges_as_well():
    net, x, y = small(weights=initializers.RandomNormal(stddev=9.0), activation="relu")
    before = state(net)
    history = fit(net, x, y, **settings(optimizer=SGD(1e6)))
    assert history.diverged == 1 and (history.loss == history.loss[0]).all()
    assert_equal(net.parameters(), before)


@pytest.mark.parametrize(("largest", "diverged"), [(1e12, -1), (1.000001e12, 0)])
def test_the_largest_number_that_is_none(largest, diverged):
    net = MLP((1, 1), weights=initializers.Constant(largest))
    zero = np.zeros((2, 1))
    history = fit(net, zero, zero, loss="squared_error", epochs=1, optimizer=SGD(0.1), batch_size=2)
    assert history.diverged == diverged


def test_a_run_that_has_diverged_before_it_starts():
    net, history = doubling([1e7, 0.0, 1.0], rate=0.25, epochs=3)
    assert history.diverged.tolist() == [0, -1, -1] and "1 of 3 diverged" in repr(history)
    np.testing.assert_allclose(history.loss[:, 0], 1e14)
    np.testing.assert_allclose(history.loss[:, 2], [1, 0.25, 0.0625, 0.015625])
    assert net.weights[0][0, 0, 0] == 1e7
    _, history = doubling([1e7, 1e8], epochs=50, probe=lambda net: 1)
    assert history.loss.shape == (51, 2) and (history.loss == history.loss[0]).all()
    assert len(history.probes) == 51  # where all have diverged, the rest is skipped and recorded


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
    st.floats(-3, 5.5),
    st.sampled_from(["relu", "linear", "tanh", "sigmoid", "gelu"]),
    st.sampled_from(["float32", "float64"]),
    st.sampled_from([lambda rate: SGD(rate, momentum=0.9), Adam]),
    st.sampled_from(["softmax_cross_entropy", "squared_error"]),
)
def test_any_rate_and_any_scale_give_finite_numbers(log_rate, log_scale, act, dtype, make, loss):
    """Warnings are errors here, so that none is let out either."""
    weights = initializers.RandomNormal(stddev=10.0**log_scale)
    net, x, y = small(3, activation=act, weights=weights, dtype=dtype)
    y = y if loss == "softmax_cross_entropy" else draw((22, 3))
    history = fit(net, x, y, validation=(x, y), loss=loss, **settings(make(10.0**log_rate)))
    assert np.isfinite(history.loss).all() and np.isfinite(history.validation_loss).all()
    assert all(np.isfinite(p).all() for p in net.parameters())
    assert (history.loss[:, history.diverged == -1] <= 1e12).all()
    for r, epoch in enumerate(history.diverged):
        if epoch >= 0:
            assert (history.loss[max(epoch - 1, 0) :, r] == history.loss[-1, r]).all()


# --- Bad input.

X, Y = draw((22, 4)), classes(22)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"net": "net"}, TypeError, "`net` must be an initcore.network.MLP"),
        ({"x": X[None]}, ValueError, r"`x` .* \(batch, 4\) or \(3, batch, 4\)"),
        ({"y": Y[:-1]}, ValueError, r"`y` must be an array of shape \(22,\) or \(3, 22\)"),
        ({"y": Y + 1}, ValueError, "`y` must be an array of integers from 0 to 2.*from 1 to 3"),
        ({"loss": "squared_error"}, ValueError, r"`y` must be an array of shape \(22, 3\) or"),
        ({"loss": "squared_eror"}, ValueError, "Did you mean 'squared_error'"),
        ({"optimizer": "adm"}, ValueError, "`optimizer` must be one of .* Did you mean 'adam'"),
        ({"optimizer": SGD}, TypeError, "`optimizer` must be 'sgd', 'adam', or an instance"),
        ({"epochs": 0}, ValueError, "`epochs` must be an integer at least 1"),
        ({"batch_size": 23}, ValueError, "`batch_size` .* at most 22. Received: batch_size=23"),
        ({"validation": X}, TypeError, r"`validation` must be a pair \(x, y\)"),
        ({"validation": (X, Y[:3])}, ValueError, "`validation y`"),
        ({"measure_every": 0}, ValueError, "`measure_every`"),
        ({"probe": 3}, TypeError, "`probe` must be a function of the network"),
        ({"x": X * 1e200, "y": X[:, :3], "loss": "squared_error"}, ValueError, "`net` .* finite"),
    ],
)
def test_a_call_that_is_refused_changes_nothing(options, error, message):
    net, rng = MLP((4, 6, 3), "linear", replicas=3), np.random.default_rng(3)
    before, optimizer = state(net), SGD(0.2, momentum=0.9)
    settings_before = copy.deepcopy(vars(optimizer))
    call = {"net": net, "x": X, "y": Y, "seed": rng} | settings(optimizer=optimizer)
    with pytest.raises(error, match=message):
        fit(**call | options)
    assert_equal(net.parameters(), before)
    assert vars(optimizer) == settings_before
    assert "`net`" in message or rng.bit_generator.seed_seq.n_children_spawned == 0


# --- The progress bar.


@pytest.fixture
def tqdm(monkeypatch):
    """Return what stands in for tqdm."""
    fake = mock.Mock()
    monkeypatch.setitem(sys.modules, "tqdm.auto", types.SimpleNamespace(tqdm=fake))
    monkeypatch.delenv("INITCORE_PROGRESS", raising=False)
    return fake


@pytest.fixture
def watched(monkeypatch):
    """Let a bar be shown under pytest."""
    monkeypatch.setattr(training, "_is_watched", lambda: True)


@pytest.mark.usefixtures("watched")
def test_a_bar_counts_every_step_and_is_closed_when_training_is_broken_off(tqdm):
    net, x, y = small()
    fit(net, x, y, **settings())  # 4 epochs of 5 steps
    bar = tqdm.return_value
    assert tqdm.call_args.kwargs["total"] == bar.update.call_count == 20
    assert tqdm.call_args.kwargs["delay"] == training.PROGRESS_AFTER
    values = iter([1])
    with pytest.raises(StopIteration):
        fit(net, x, y, **settings(), probe=lambda n: next(values))
    assert bar.update.call_count == 25 and bar.close.call_count == 2


@pytest.mark.parametrize(
    ("terminal", "notebook", "environment", "bars"),
    [
        (False, False, {}, 0),
        (True, False, {}, 1),
        (False, True, {}, 1),
        (True, True, {"INITCORE_PROGRESS": "1"}, 1),
        (True, True, {"PYTEST_CURRENT_TEST": "x"}, 0),  # as in the kernels of nbval
        (True, True, {"PYTEST_VERSION": "8"}, 0),
        (True, True, {"INITCORE_PROGRESS": "0"}, 0),  # where outputs are stored
    ],
)
def test_a_bar_where_somebody_watches(tqdm, monkeypatch, terminal, notebook, environment, bars):
    for name in ("PYTEST_CURRENT_TEST", "PYTEST_VERSION"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "stderr", types.SimpleNamespace(isatty=lambda: terminal))
    shell = types.SimpleNamespace(kernel=None) if notebook else None
    ipython = types.SimpleNamespace(get_ipython=lambda: shell)
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setattr("multiprocessing.parent_process", lambda: None)  # `make mutants` is one
    net, x, y = small()
    fit(net, x, y, **settings())
    assert tqdm.call_count == bars


@pytest.mark.usefixtures("watched")
def test_a_bar_in_a_browser_starts_no_thread(tqdm, monkeypatch):
    monkeypatch.setattr(sys, "platform", "emscripten")
    net, x, y = small()
    fit(net, x, y, **settings())
    assert tqdm.called and tqdm.monitor_interval == 0


@pytest.mark.usefixtures("watched")
def test_tqdm_is_optional(tqdm, monkeypatch):
    monkeypatch.setitem(sys.modules, "tqdm.auto", None)  # makes its import an ImportError
    net, x, y = small()
    assert fit(net, x, y, **settings()).epochs[-1] == 4 and not tqdm.called


def test_the_real_bar_is_on_stderr_and_gone_afterwards(capsys, monkeypatch):
    net, x, y = small()
    fit(net, x, y, **settings())
    assert capsys.readouterr().err == ""  # under pytest
    monkeypatch.setattr(training, "_is_watched", lambda: True)
    fit(net, x, y, **settings())
    assert capsys.readouterr().err == ""  # as long as it is short
    monkeypatch.setattr(training, "PROGRESS_AFTER", 0)
    fit(net, x, y, **settings())
    captured = capsys.readouterr()
    assert captured.out == "" and "training" in captured.err
    assert captured.err.endswith("\r")
