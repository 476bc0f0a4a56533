"""Batch normalisation and residual branches: against JAX's autodiff, Keras' layer, themselves."""

import os

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from initcore import datasets, initializers, probes, training
from initcore.blocks import BatchNormMLP, ResidualMLP
from initcore.network import MLP

os.environ["KERAS_BACKEND"] = "jax"  # read when Keras is imported, in one test below

RANDOM = {
    "biases": initializers.RandomNormal(stddev=0.5),
    "scales": initializers.RandomNormal(mean=1.0, stddev=0.5),
}
BUILD = {
    "batch norm": lambda **o: BatchNormMLP((5, 7, 6, 3), "tanh", **RANDOM, **o),
    "batch norm, relu, large epsilon": lambda **o: BatchNormMLP(
        (5, 7, 6, 3), "relu", epsilon=0.3, **RANDOM, **o
    ),
    "residual": lambda **o: ResidualMLP(
        (5, 6, 3), "tanh", blocks=2, branch_scale=0.7, biases=RANDOM["biases"], **o
    ),
    "residual, normalised": lambda **o: ResidualMLP(
        (5, 6, 3), "relu", blocks=3, normalise=True, epsilon=0.1, **RANDOM, **o
    ),
}
nets = pytest.mark.parametrize("build", BUILD.values(), ids=BUILD.keys())


def draw(shape, seed=1):
    return np.random.default_rng([8, seed]).standard_normal(shape)


def run_in_jax(net, weights, biases, scales, zeros, x):
    """Compute a network's output from its definition; `zeros` are added to what φ takes."""
    phi = {"tanh": jnp.tanh, "relu": jax.nn.relu}[net.activation.name]
    scales, last = list(scales), len(weights) - 1
    residual = isinstance(net, ResidualMLP)
    stream = None
    for layer, (W, b, zero) in enumerate(zip(weights, biases, zeros, strict=True)):
        ends = residual and 0 < layer < last and layer % 2 == 0
        z = x @ W
        if scales and (ends or not residual) and layer < last:
            z = (z - z.mean(axis=0)) / jnp.sqrt(z.var(axis=0) + net.epsilon)
            z = scales.pop(0) * z
        z = z + b + zero
        if ends:
            x = stream = stream + net.branch_scale * z
        elif layer == last or (residual and layer == 0):
            x = stream = z
        else:
            x = phi(z)
    assert not scales
    return x


@nets
@pytest.mark.parametrize("replicas", [None, 3])
def test_both_passes_agree_with_jax(build, replicas):
    net = build(replicas=replicas, seed=4)
    x = draw((8, 5) if replicas is None else (3, 8, 5))
    trace = net.forward(x)
    by_output = draw(trace.output.shape, 2)
    gradients = net.backward(trace, by_output)
    for r in [None] if replicas is None else range(replicas):
        pick = (lambda a: a) if r is None else (lambda a, r=r: a[r])
        lists = [[pick(p) for p in part] for part in (net.weights, net.biases, net.scales)]
        zeros = [np.zeros((8, n)) for n in net.widths[1:]]
        with jax.enable_x64(True):
            arguments = jax.tree.map(jnp.asarray, (*lists, zeros, pick(x)))
            output, pull_back = jax.vjp(lambda *a: run_in_jax(net, *a), *arguments)
            weights, biases, scales, deltas, inputs = pull_back(jnp.asarray(pick(by_output)))
        np.testing.assert_allclose(pick(trace.output), output, rtol=1e-10, atol=1e-12)
        found = (gradients.weights, gradients.biases, gradients.scales, gradients.deltas)
        for ours, theirs in zip(found, (weights, biases, scales, deltas), strict=True):
            assert len(ours) == len(theirs)
            for one, other in zip(ours, theirs, strict=True):
                np.testing.assert_allclose(pick(one), other, rtol=1e-9, atol=1e-11)
        np.testing.assert_allclose(pick(gradients.inputs), inputs, rtol=1e-9, atol=1e-11)


@nets
def test_parameters_and_gradients_come_in_one_order(build):
    net = build(replicas=2)
    trace = net.forward(draw((8, 5)))
    gradients = net.backward(trace, np.ones_like(trace.output)).parameters()
    assert [g.shape for g in gradients] == [p.shape for p in net.parameters()]
    assert all(p is q for p, q in zip(net.parameters()[len(net.weights) * 2 :], net.scales))


@nets
def test_a_replica_is_the_net_alone(build):
    three, two, one = build(replicas=3, seed=7), build(replicas=2, seed=7), build(seed=7)
    for a, b, c in zip(three.parameters(), two.parameters(), one.parameters(), strict=True):
        np.testing.assert_array_equal(a[:2], b)
        np.testing.assert_array_equal(a[0], c)
    x = draw((8, 5))
    np.testing.assert_allclose(three.predict(x)[0], one.predict(x), rtol=1e-12, atol=1e-14)


@nets
def test_before_training_predict_normalises_by_its_batch(build):
    net, x = build(replicas=2), draw((8, 5))
    np.testing.assert_array_equal(net.predict(x), net.forward(x).output)


def test_the_layer_is_that_of_keras():
    import keras

    net = BatchNormMLP((5, 7, 2), "tanh", epsilon=1e-3, **RANDOM)
    x = draw((9, 5))
    layer = keras.layers.BatchNormalization()
    assert layer.epsilon == 1e-3
    layer.build((None, 7))
    layer.gamma.assign(net.scales[0])
    layer.beta.assign(net.biases[0])
    theirs = np.asarray(layer((x @ net.weights[0]).astype("float32"), training=True))
    np.testing.assert_allclose(net.forward(x).pre_activations[0], theirs, rtol=1e-4, atol=1e-5)


def test_the_weights_are_those_of_an_mlp():
    pair = MLP((5, 7, 3), seed=3, replicas=2), BatchNormMLP((5, 7, 3), seed=3, replicas=2)
    for a, b in zip(pair[0].parameters(), pair[1].parameters()):
        np.testing.assert_array_equal(a, b)


def test_normalised_sums_have_mean_zero_and_variance_one():
    net = BatchNormMLP((5, 7, 6, 3), replicas=2, epsilon=0.0)
    trace = net.forward(draw((2, 9, 5)))
    for layer, (u, sd) in enumerate(zip(trace.normalised[:-1], trace.deviations)):
        np.testing.assert_allclose(u.mean(axis=1), 0, atol=1e-13)
        np.testing.assert_allclose(u.std(axis=1), 1, rtol=1e-12)
        sums = trace.inputs[layer] @ net.weights[layer]
        np.testing.assert_allclose(sd[:, 0], sums.std(axis=1), rtol=1e-12)
    assert trace.normalised[-1] is None and trace.deviations[-1] is None


def test_a_constant_unit_is_zero_without_epsilon():
    net = BatchNormMLP((3, 4, 2), epsilon=0.0, weights="ones")
    trace = net.forward(np.ones((5, 3)))
    assert (trace.normalised[0] == 0).all()
    gradients = net.backward(trace, np.ones((5, 2))).parameters()
    assert all(np.isfinite(g).all() for g in gradients)


# --- the moving averages ------------------------------------------------------------------------


def test_averages_move_as_documented():
    net = BatchNormMLP((3, 4, 2), "tanh", seed=1)
    batches = [draw((6, 3), seed) for seed in range(20)]
    mean, variance = 0.0, 0.0
    for number, x in enumerate(batches, start=1):
        net.forward(x, rng=0)
        share = max(1 / number, 0.1)
        u = x @ net.weights[0]
        mean = (1 - share) * mean + share * u.mean(axis=0)
        variance = (1 - share) * variance + share * u.var(axis=0)
    np.testing.assert_allclose(net.averages[0][0][0], mean)
    np.testing.assert_allclose(net.averages[0][1][0], variance)
    x = draw((2, 3), 9)
    normal = (x @ net.weights[0] - mean) / np.sqrt(variance + net.epsilon)
    np.testing.assert_allclose(net.predict(x), np.tanh(normal) @ net.weights[1], atol=1e-13)
    np.testing.assert_allclose(net.predict(x)[:1], net.predict(x[:1]), rtol=1e-12)  # one alone


def test_only_a_forward_pass_with_rng_moves_them():
    net = BatchNormMLP((3, 4, 2))
    net.forward(draw((6, 3)))
    net.predict(draw((6, 3)))
    assert net.averages == [None]


def test_what_is_not_finite_stays_out_of_the_averages():
    net = BatchNormMLP((3, 4, 2), replicas=2)
    net.forward(draw((6, 3)), rng=0)
    before = net.averages[0][0].copy()
    net.weights[0][1] = np.inf
    with np.errstate(all="ignore"):
        net.forward(draw((6, 3), 2), rng=0)
    np.testing.assert_array_equal(net.averages[0][0][1], before[1])
    assert (net.averages[0][0][0] != before[0]).all()


# --- the stream ---------------------------------------------------------------------------------


def test_zero_branches_leave_the_stream_alone():
    x = draw((8, 5))
    for options in ({"normalise": True, "scales": "zeros"}, {"branch_scale": 0.0}):
        net = ResidualMLP((5, 6, 3), "relu", blocks=4, **options)
        trace = net.forward(x)
        for end in net.ends:
            np.testing.assert_array_equal(trace.activations[end], trace.activations[0])
        np.testing.assert_array_equal(trace.output, x @ net.weights[0] @ net.weights[-1])


def test_the_stream_is_what_the_trace_holds_behind_a_branch():
    net = ResidualMLP((5, 6, 3), "relu", blocks=2, branch_scale=0.5)
    trace = net.forward(draw((8, 5)))
    h_0, a, h_1 = trace.activations[:3]
    np.testing.assert_allclose(h_1, h_0 + 0.5 * (a @ net.weights[2]), atol=1e-14)
    assert probes.layer_statistics(net, trace)["std"].shape == (6,)


# --- training -----------------------------------------------------------------------------------


@nets
def test_fit_trains_them_whatever_the_number_of_replicas(build):
    """A net with tanh or ReLU layers separates three clusters; the band is wide."""
    y = np.arange(60) % 3
    x = draw((60, 5)) / 4
    x[np.arange(60), y] += 2.0
    ends = []
    for replicas in (2, 3):
        net = build(replicas=replicas)
        history = training.fit(
            net, x, y, optimizer=training.SGD(0.05, momentum=0.9), epochs=20, batch_size=10
        )
        assert (history.diverged == -1).all() and (history.accuracy[-1] > 0.9).all()
        ends.append([p[:2] for p in net.parameters()])
    for a, b in zip(*ends, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-9)


def test_a_replica_that_diverges_harms_no_other():
    train, _ = datasets.split(datasets.load_digits(), seed=0)
    net = ResidualMLP((64, 8, 10), "relu", blocks=3, normalise=True, replicas=2)
    net.weights[-1][1] *= 1e9
    history = training.fit(
        net, train.x, train.y, optimizer=training.SGD(0.1), epochs=1, batch_size=300
    )
    assert history.diverged.tolist() == [-1, 1]
    assert all(np.isfinite(average).all() for pair in net.averages for average in pair)


@nets
def test_float32_stays_float32(build):
    net = build(dtype="float32")
    trace = net.forward(draw((8, 5)), rng=0)
    gradients = net.backward(trace, np.ones_like(trace.output))
    for array in (*net.parameters(), *gradients.parameters(), *trace.activations):
        assert array.dtype == np.float32
    assert net.predict(draw((8, 5))).dtype == np.float32
    assert all(average.dtype == np.float32 for pair in net.averages for average in pair)


# --- what is refused ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: BatchNormMLP((3, 2), epsilon=-1), "`epsilon` must be a finite number at least 0"),
        (lambda: BatchNormMLP((3, 4, 2), scales=["ones", "ones"]), "`scales` must be"),
        (lambda: BatchNormMLP((3, 4, 2), dropout=0.5), "`dropout` is for an MLP"),
        (lambda: BatchNormMLP(3), "`widths` must be"),
        (lambda: ResidualMLP((3, 4, 2), blocks=1, dropout=0.5), "`dropout` is for an MLP"),
        (lambda: ResidualMLP((3, 4, 4, 2), blocks=1), "`widths` must be three integers"),
        (lambda: ResidualMLP(3, blocks=1), "`widths` must be three integers"),
        (lambda: ResidualMLP((3, 4, 2), blocks=0), "`blocks` must be an integer at least 1"),
        (lambda: ResidualMLP((3, 4, 2), blocks=1, normalise=1), "`normalise` must be True or"),
        (lambda: ResidualMLP((3, 4, 2), blocks=1, branch_scale=np.nan), "`branch_scale` must be"),
    ],
)
def test_wrong_arguments_are_refused(make, message):
    with pytest.raises((ValueError, TypeError), match=message):
        make()


def test_wrong_parameters_are_refused():
    net = BatchNormMLP((3, 4, 2))
    net.scales[0] = np.ones(5)
    with pytest.raises(ValueError, match=r"`scales\[0\]` must be an array of shape \(4,\)"):
        net.forward(np.ones((2, 3)))
    net.scales = []
    with pytest.raises(ValueError, match="`scales` must be a list of 1 arrays"):
        net.predict(np.ones((2, 3)))


def test_the_trace_of_another_net_is_refused():
    net, x = BatchNormMLP((3, 4, 2)), np.ones((2, 3))
    for other in (MLP((3, 4, 2)), ResidualMLP((3, 4, 2), blocks=1)):
        with pytest.raises(ValueError, match="`trace` must be a trace that"):
            net.backward(other.forward(x), np.ones((2, 2)))
