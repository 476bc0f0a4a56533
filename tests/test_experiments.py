"""The experiments against literal re-computation and against values known in closed form."""

import numpy as np
import pytest

from initcore import datasets, experiments, network, training


def test_normal_network_is_the_classic_setting():
    run = experiments.normal_network("tanh", 0.01, replicas=3, seed=5)
    assert run.net.widths == (100, 50, 50, 50, 50, 50, 1)
    assert all((b == 0).all() for b in run.net.biases)
    assert run.trace.inputs[0].shape == (3, 1, 100)
    assert (run.gradients.deltas[-1] == 1).all()  # of the output itself


def test_normal_network_has_weights_and_inputs_of_the_asked_scale():
    """Normal bands: 6.5 standard errors of the std, false alarm below 1e-9 each."""
    run = experiments.normal_network("linear", 0.3, depth=2, width=40, batch=20, replicas=50)
    for W in run.net.weights[:2]:
        assert abs(W.std() / 0.3 - 1) < 6.5 / np.sqrt(2 * W.size)
    x = run.trace.inputs[0]
    assert abs(x.std() - 1) < 6.5 / np.sqrt(2 * x.size)


def test_inputs_and_weights_share_no_random_numbers():
    run = experiments.normal_network("tanh", 1.0, replicas=4, batch=2)
    drawn = np.concatenate([W.ravel() for W in run.net.weights])
    assert not np.isin(run.trace.inputs[0], drawn).any()
    same_seed = np.random.default_rng(0).standard_normal(10_000)
    assert not np.isin(drawn, same_seed).any()


def test_normal_network_differentiates_the_mean_output():
    run = experiments.normal_network("tanh", 0.2, batch=4, replicas=2, depth=2, width=5, inputs=3)
    W = run.net.weights[0]
    step = np.zeros_like(W)
    step[:, 1, 2] = 1e-6
    outputs = []
    for sign in (1, -1):
        run.net.weights[0] = W + sign * step
        outputs.append(run.net.predict(run.trace.inputs[0]).mean(axis=(1, 2)))
    slope = (outputs[0] - outputs[1]) / 2e-6
    np.testing.assert_allclose(run.gradients.weights[0][:, 1, 2], slope, rtol=1e-6)


def test_propagate_is_a_plain_forward_pass():
    cases = {"a": ("tanh", 1.5), "b": ("relu", 0.7)}
    found = experiments.propagate(cases, depth=3, width=6, batch=4, replicas=2, seed=9)
    rng = np.random.default_rng(9)
    x = rng.standard_normal((2, 4, 6))
    unit = [rng.standard_normal((2, 6, 6)) for _ in range(3)]
    for label, phi, gain in (("a", np.tanh, 1.5), ("b", lambda z: np.maximum(z, 0), 0.7)):
        a = x
        for layer in range(3):
            z = np.stack([a[r] @ (gain / np.sqrt(6) * unit[layer][r]) for r in range(2)])
            a = phi(z)
            values = {name: value[layer] for name, value in found[label].values.items()}
            for r in range(2):
                q = (z[r] ** 2).mean()
                np.testing.assert_allclose(values["q"][r], q)
                np.testing.assert_allclose(values["q ratio"][r], q / (x[r] ** 2).mean())
                np.testing.assert_allclose(values["std"][r], a[r].std())
                np.testing.assert_allclose(values["mean"][r], a[r].mean(), atol=1e-15)
                across = a[r].std(axis=0).mean()
                np.testing.assert_allclose(values["std across inputs"][r], across)
                unit_z = z[r] / np.linalg.norm(z[r], axis=1, keepdims=True)
                cosine = (unit_z @ unit_z.T)[np.triu_indices(4, 1)].mean()
                np.testing.assert_allclose(values["cosine"][r], cosine)


def test_propagate_gives_each_case_the_same_draws():
    one = experiments.propagate({"x": ("tanh", 1.0)}, depth=2, width=5)
    two = experiments.propagate({"y": ("relu", 2.0), "x": ("tanh", 1.0)}, depth=2, width=5)
    np.testing.assert_array_equal(one["x"]["q"], two["x"]["q"])
    assert "cosine" not in one["x"].values


def test_one_layer_gain_is_sd_times_root_n():
    """q of a layer is a mean of 200·20 squared normals: 6.5 standard errors, below 1e-9 each."""
    for n, gains in zip((50, 500), experiments.one_layer_gain([50, 500], 0.02)):
        assert gains.shape == (20,)
        mean_square = (gains**2).mean() / (n * 0.02**2)
        assert abs(mean_square - 1) < 6.5 * np.sqrt(2 / (200 * 20))


EXPECTED = {
    "nothing": 1,
    "inputs have a mean": 1,
    "inputs are correlated": 1,
    "biases vary (variance 1/2)": 1.5,
    "weights have a mean, inputs have none": 2,
    "weights and inputs have a mean": 1 + 101 / 2,
    "a unit's weights are pairwise equal, inputs have a mean": 1.5,
    "weights depend on the input, uncorrelated with it": 3,
}


def test_broken_assumptions_cost_what_the_double_sum_says():
    """The mean over 400 layers within 7 of its standard errors: below 1e-10 each."""
    ratios = experiments.broken_assumptions(replicas=400, seed=1)
    assert ratios.keys() == EXPECTED.keys() == experiments.BROKEN.keys()
    for name, ratio in ratios.items():
        error = ratio.std() / np.sqrt(len(ratio))
        # The ratio of two means is biased by about 1 part in n = 100 where x² is heavy-tailed.
        assert abs(ratio.mean() - EXPECTED[name]) < 7 * error + 0.03 * EXPECTED[name], name
        assert error < 0.02 * EXPECTED[name], name  # so that the band above can fail


@pytest.mark.parametrize("n", [1, 7])
def test_broken_assumptions_run_at_any_width(n):
    ratios = experiments.broken_assumptions(n=n, units=3, batch=2, replicas=2)
    assert all(np.isfinite(ratio).all() and ratio.shape == (2,) for ratio in ratios.values())


def test_first_layer_on_data_has_the_mean_square_of_the_data():
    """1,000 layers of 20 units: 7 standard errors, below 1e-10."""
    x = 3 + np.random.default_rng(0).standard_normal((5, 30))
    q = experiments.input_layer_on(x, units=20, replicas=1000)
    assert abs(q.mean() - (x**2).mean()) < 7 * q.std() / np.sqrt(1000)
    assert q.std() / np.sqrt(1000) < 0.02 * (x**2).mean()


def test_train_on_digits_learns_and_says_what_it_used():
    run = experiments.train_on_digits("tanh", "glorot_uniform", hidden=(32,), epochs=4, replicas=2)
    assert run.net.widths == (64, 32, 10)
    assert run.history.validation_accuracy[-1].min() > 0.85
    train, test = datasets.split(datasets.load_digits(), seed=0)
    np.testing.assert_array_equal(run.train.x, train.x)
    np.testing.assert_array_equal(run.test.y, test.y)
    right = run.net.predict(test.x).argmax(axis=-1) == test.y
    np.testing.assert_allclose(run.history.validation_accuracy[-1], right.mean(axis=-1))


def test_train_on_digits_in_single_precision():
    run = experiments.train_on_digits(
        "relu", "he_normal", hidden=(32,), epochs=5, replicas=2, dtype="float32"
    )
    assert run.net.dtype == np.float32
    assert run.history.validation_accuracy[-1].min() > 0.85


def test_train_on_digits_takes_another_optimizer():
    slow = training.SGD(1e-9)
    run = experiments.train_on_digits("tanh", "zeros", hidden=(4,), optimizer=slow, epochs=1)
    np.testing.assert_allclose(run.history.loss, np.log(10), rtol=1e-6)


def test_prediction_ratio_is_near_one_for_fresh_weights():
    """64 to 32 fresh Glorot weights a layer, 8 nets: medians within a third (they scatter 8%)."""
    net = network.MLP((64, 64, 32, 10), weights="glorot_uniform", replicas=8)
    x = datasets.load_digits().x / 16
    ratios = experiments.prediction_ratio(net, x)
    assert ratios.shape == (3, 8)
    a, W = np.tanh(x @ net.weights[0][2]), net.weights[1][2]
    expected = ((a @ W) ** 2).mean() / (64 * W.var() * (a**2).mean())
    np.testing.assert_allclose(ratios[1, 2], expected)
    wide = network.MLP((64, 2000), weights="he_normal", replicas=20)
    assert (abs(np.median(experiments.prediction_ratio(wide, x)) - 1) < 1 / 3).all()


def test_prediction_ratio_leaves_biases_out():
    drawn = network.MLP((5, 4), biases="ones")
    plain = network.MLP((5, 4))
    x = np.random.default_rng(0).standard_normal((3, 5))
    np.testing.assert_array_equal(
        experiments.prediction_ratio(drawn, x), experiments.prediction_ratio(plain, x)
    )
    with pytest.raises(TypeError, match="`net` must be"):
        experiments.prediction_ratio("net", x)


@pytest.mark.parametrize(
    ("call", "error", "says"),
    [
        (lambda: experiments.normal_network("tanh", -1), ValueError, "`sd` must be"),
        (lambda: experiments.normal_network("tnah", 1), ValueError, "mean 'tanh'"),
        (lambda: experiments.normal_network("tanh", 1, batch=0), ValueError, "`batch` must be"),
        (lambda: experiments.propagate({}, depth=1, width=1), ValueError, "`cases` must be"),
        (lambda: experiments.propagate({"a": ("tanh", 0)}, depth=1, width=1), ValueError, "of 'a'"),
        (
            lambda: experiments.propagate({"a": ("tanh", 1)}, depth=1, width=1, seed=True),
            TypeError,
            "`seed` must be",
        ),
        (lambda: experiments.one_layer_gain([0], 1.0), ValueError, "`fan_ins` must be"),
        (lambda: experiments.broken_assumptions(n=1.5), TypeError, "`n` must be"),
        (lambda: experiments.input_layer_on([1.0]), ValueError, "`x` must be"),
    ],
)
def test_bad_input_is_named(call, error, says):
    with pytest.raises(error, match=says):
        call()


def test_streams_of_one_seed_are_independent():
    streams = [network.replica_generators(3, 2, *key) for key in ((), (1,), (2,))]
    numbers = [rng.random() for stream in streams for rng in stream]
    assert len(set(numbers)) == 6


def mean_factors(broken, **options):
    return experiments.broken_net(broken, replicas=200, seed=4, **options).mean(axis=1)


@pytest.mark.parametrize(
    ("broken", "expected"),
    [
        ((), [1, 1, 1]),
        (("dependent",), [1, 3 * 100 / 102, None]),  # mean a⁴ / (mean a²)² of 100 normals
        (("pairs",), [1, 1, 1]),  # the cross terms have mean zero
        (("pairs", "input mean"), [1, 1.5, 1.5]),  # as in the chapter; then z has no mean
        (("unequal",), [1, 1, 1.25]),  # (1.5² + 0.5²) / 2, once the inputs are unequal too
        (("biases",), [1, 1.5, 2]),
        (("relu",), [1, 1, 0.5]),
        (("input mean",), [1, 1, 1]),
        (("mean",), [1, 2, 1 + 2 + 99]),  # Σa is n times the common part of the units
        (("mean", "input mean"), [1, 51.5, None]),
    ],
)
def test_a_net_that_breaks_assumptions_has_the_factors_of_the_double_sum(broken, expected):
    """200 nets, means within 8%."""
    found = mean_factors(broken, depth=2)
    for value, known in zip(found, expected):
        if known is not None:
            assert abs(value / known - 1) < 0.08, (broken, found)


def test_broken_net_is_a_plain_forward_pass_where_nothing_is_broken():
    q = experiments.broken_net((), n=7, depth=2, batch=3, replicas=1, seed=2)
    number = len(experiments.BROKEN) + 1
    (rng,) = network.replica_generators(2, 1, number)
    inputs, weights, _ = rng.spawn(3)
    a = inputs.standard_normal((3, 7))
    expected = [(a**2).mean()]
    for _ in range(2):
        a = a @ weights.standard_normal((7, 7)) / np.sqrt(7)
        expected.append((a**2).mean())
    np.testing.assert_allclose(q[:, 0], np.divide(expected, expected[0]))


@pytest.mark.parametrize("n", [1, 7])
def test_broken_net_runs_at_any_width(n):
    q = experiments.broken_net(experiments.BREAKS, n=n, depth=2, batch=2, replicas=2)
    assert q.shape == (3, 2) and np.isfinite(q).all()


@pytest.mark.parametrize(
    ("broken", "error"), [({"bias"}, ValueError), ("relu", TypeError), (["relu", 3], TypeError)]
)
def test_an_unknown_break_is_named(broken, error):
    with pytest.raises(error, match="`broken` must be"):
        experiments.broken_net(broken)
