"""The experiments beyond the plain net: against literal computation and closed forms."""

import numpy as np
import pytest

from initcore import experiments, initializers, losses, network, theory, training
from initcore.blocks import BatchNormMLP, ResidualMLP
from initcore.experiments import modern

# --- batch normalisation at the start -----------------------------------------------------------


def test_scaled_weights_change_nothing_forward_and_the_gradient_by_one_over_k():
    found = experiments.scaled_weights([0.01, 1.0, 50.0], replicas=3)
    assert found["output change"].max() < 1e-12 and found["radial"].max() < 1e-12
    k = np.array([[0.01], [1.0], [50.0]]) * np.ones(3)
    np.testing.assert_allclose(found["gradient"], 1 / k, rtol=1e-9)
    np.testing.assert_allclose(found["relative step"], 1 / k**2, rtol=1e-9)
    two = experiments.scaled_weights([0.01, 1.0, 50.0], replicas=2)
    np.testing.assert_allclose(found["gradient"][:, :2], two["gradient"], rtol=1e-12)


def test_scaled_weights_measures_what_it_says():
    """With a large epsilon all four numbers are far from their ideal; computed net by net."""
    found = experiments.scaled_weights([3.0], epsilon=0.5, replicas=2, seed=6)
    digits = experiments.split_digits().train
    x, y = digits.x[:200], digits.y[:200]
    for r in range(2):
        results = []
        for k in (1.0, 3.0):
            net = BatchNormMLP((64, *[50] * 5, 10), epsilon=0.5, replicas=2, seed=6)
            for W in net.weights[:-1]:
                W *= k
            trace = net.forward(x)
            by_output = np.stack([losses.softmax_cross_entropy(o, y)[1] for o in trace.output])
            gradients = [g[r] for g in net.backward(trace, by_output).weights[:-1]]
            results.append((trace.output[r], gradients, [W[r] for W in net.weights[:-1]]))
        (out, dW, _), (out_k, dW_k, W_k) = results
        change = np.abs(out_k - out).max() / np.abs(out).max()
        np.testing.assert_allclose(found["output change"][0, r], change)
        norm, norm_k = (np.linalg.norm(np.concatenate([g.ravel() for g in d])) for d in (dW, dW_k))
        np.testing.assert_allclose(found["gradient"][0, r], norm_k / norm)
        cosines = [
            abs(W[:, j] @ g[:, j]) / np.linalg.norm(W[:, j]) / np.linalg.norm(g[:, j])
            for W, g in zip(W_k, dW_k)
            for j in range(50)
        ]
        np.testing.assert_allclose(found["radial"][0, r], max(cosines))
        assert change > 0.01 and max(cosines) > 0.01


def test_one_step_depends_on_the_rate_over_the_square_of_the_factor():
    before = experiments.one_step(1, 0.5)
    np.testing.assert_allclose(experiments.one_step(10, 50.0), before, rtol=1e-8, atol=1e-10)
    assert np.abs(experiments.one_step(10, 5.0) - before).max() > 0.01


def test_normalised_spread_is_s_over_root_s2_plus_epsilon():
    found = experiments.normalised_spread([0.01, 1e-4], epsilon=1e-3, replicas=2, seed=3)
    assert found.shape == (2, 5, 2)
    x = experiments.split_digits().train.x[:200]
    for row, sd in zip(found, (0.01, 1e-4)):
        weights = initializers.RandomNormal(stddev=sd)
        net = BatchNormMLP((64, *[50] * 5, 10), weights=weights, replicas=2, seed=3)
        s = (x @ net.weights[0]).std(axis=1)
        np.testing.assert_allclose(row[0], (s / np.sqrt(s**2 + 1e-3)).mean(axis=1))
    assert (found[1, 1:] < found[1, :-1]).all()


# --- training from several scales ---------------------------------------------------------------


@pytest.mark.parametrize(("normalise", "kind"), [(True, BatchNormMLP), (False, network.MLP)])
def test_train_scales_is_a_plain_training(normalise, kind):
    options = {"hidden": (12, 8), "epochs": 1, "replicas": 2, "part": "validation", "seed": 4}
    run = experiments.train_scales([0.2], output_sds=[0.5], normalise=normalise, **options)
    weights = [initializers.RandomNormal(stddev=sd) for sd in (0.2, 0.2, 0.5)]
    net = kind((64, 12, 8, 10), "relu", weights=weights, replicas=2, seed=4)
    before = np.sqrt(np.mean(np.square(np.concatenate([W[0].ravel() for W in net.weights[:-1]]))))
    np.testing.assert_allclose(run.rms_before[0, 0], before)
    train, test = experiments.split_digits("validation")
    history = training.fit(
        net,
        train.x,
        train.y,
        optimizer=training.SGD(0.02, momentum=0.9),
        epochs=1,
        batch_size=32,
        seed=4,
        validation=(test.x, test.y),
    )
    np.testing.assert_allclose(run.start_loss[0], history.loss[0])
    np.testing.assert_allclose(run.accuracy[0], history.validation_accuracy[-1], atol=0.004)
    after = np.sqrt(np.mean(np.square(np.concatenate([W[1].ravel() for W in net.weights[:-1]]))))
    np.testing.assert_allclose(run.rms_after[0, 1], after, rtol=1e-6)
    assert not run.diverged.any()


def test_train_scales_keeps_scales_and_replicas_apart():
    sds = [0.1, 1e3]
    one, two = (
        experiments.train_scales(
            sds, normalise=False, hidden=(8, 8), epochs=1, replicas=replicas, output_sds=[0.1, 1e9]
        )
        for replicas in (1, 2)
    )
    assert two.accuracy.shape == two.diverged.shape == (2, 2)
    np.testing.assert_allclose(two.rms_before[:, :1], one.rms_before)
    np.testing.assert_allclose(two.rms_after[0, :1], one.rms_after[0], rtol=1e-6)
    assert two.diverged.tolist() == [[False, False], [True, True]]
    np.testing.assert_allclose(two.rms_before[1] / two.rms_before[0], 1e4)


def test_constant_weights_stay_one_unit():
    distinct, accuracy = experiments.train_constant(0.1, epochs=1, replicas=2)
    assert (distinct == 1).all() and distinct.shape == (5, 2) and accuracy.shape == (2,)
    distinct, _ = experiments.train_constant(0.1, noise=1e-3, epochs=1, replicas=2)
    assert (distinct == 50).all()


# --- LSUV ---------------------------------------------------------------------------------------


def test_lsuv_gives_unit_variance_by_rescaling_alone():
    x = np.random.default_rng(1).standard_normal((40, 6)) * 3 + 1
    net = network.MLP((6, 9, 8, 3), "sigmoid", weights="orthogonal", replicas=3)
    before = [W.copy() for W in net.weights]
    assert experiments.lsuv(net, x) is net
    for z in net.forward(x).pre_activations[:-1]:
        np.testing.assert_allclose(z.std(axis=(1, 2)), 1)
    for W, W_0 in zip(net.weights[:-1], before):
        ratio = W / W_0
        np.testing.assert_allclose(ratio, ratio[:, :1, :1] * np.ones_like(W), rtol=1e-9)
    np.testing.assert_array_equal(net.weights[-1], before[-1])


def test_lsuv_refuses_a_layer_that_does_not_vary():
    with pytest.raises(ValueError, match="`net` must be one whose layer 1 tells the inputs apart"):
        experiments.lsuv(network.MLP((3, 4, 2), weights="zeros"), np.ones((2, 3)))


@pytest.mark.parametrize("start", experiments.DEEP_STARTS)
def test_train_deep_measures_its_start(start):
    options = {"depth": 3, "width": 8, "epochs": 1, "replicas": 2}
    run = experiments.train_deep(start, **options)
    assert run.std.shape == run.across.shape == (3, 2) and run.accuracy.shape == (2,)
    for layer, z in enumerate(run.trace.pre_activations[:-1]):
        np.testing.assert_allclose(run.std[layer], z.std(axis=(1, 2)))
        np.testing.assert_allclose(run.across[layer], z.std(axis=1).mean(axis=1))
    if start == "lsuv":
        assert (run.across[2] < 0.5 * run.across[0]).all()
    else:
        np.testing.assert_allclose(run.across, 1, atol=0.01)


# --- residual nets ------------------------------------------------------------------------------


def test_residual_stream_is_the_stream_of_the_network():
    found = experiments.residual_stream(
        {"a": 0.5, "b": -1.0}, blocks=2, width=6, activation="tanh", replicas=3, seed=2
    )
    rng = np.random.default_rng(2)
    h_0 = rng.standard_normal((3, 1, 6))
    draws = [rng.standard_normal((2, 3, 6, 6)) / np.sqrt(6) for _ in range(2)]
    for name, alpha in (("a", 0.5), ("b", -1.0)):
        net = ResidualMLP((6, 6, 1), "tanh", blocks=2, branch_scale=alpha, replicas=3)
        net.weights[0][...] = np.eye(6)
        for k, W in enumerate(draws):
            net.weights[1 + 2 * k][...] = np.sqrt(2) * W[0]
            net.weights[2 + 2 * k][...] = W[1]
        stream = net.forward(h_0).activations[0:5:2]
        q = np.array([np.square(h).mean(axis=(1, 2)) for h in stream])
        np.testing.assert_allclose(found[name], q / q[0])


def test_the_stream_grows_by_one_plus_alpha_squared():
    """The mean of q_1 / q_0 over 4,000 nets: 6.5 of its own standard errors, below 1e-9."""
    scales = {"plain": 1.0, "half": 0.5}
    found = experiments.residual_stream(scales, blocks=1, width=10, replicas=4000)
    for name, alpha in scales.items():
        ratio = found[name][1]
        error = ratio.std() / np.sqrt(ratio.size)
        assert abs(ratio.mean() - (1 + alpha**2)) < 6.5 * error < 0.15


def test_residual_nets_start_as_they_are_called():
    nets = {start: experiments.residual_net(start, blocks=4) for start in modern.RESIDUAL_STARTS}
    assert nets["plain"].branch_scale == 1 and nets["scaled by 1/sqrt(L)"].branch_scale == 0.5
    zero = {start: [bool((W == 0).all()) for W in net.weights[1:3]] for start, net in nets.items()}
    assert zero["plain"] == zero["zero gamma"] == zero["normalised"] == [False, False]
    assert zero["zero last weights"] == zero["zero last weights, constant first"] == [False, True]
    assert zero["all zero"] == [True, True]
    assert np.ptp(nets["zero last weights, constant first"].weights[1]) == 0
    scales = {start: [float(s.max()) for s in net.scales] for start, net in nets.items()}
    assert scales["zero gamma"] == [0.0] * 4 and scales["normalised"] == [1.0] * 4
    assert scales["plain"] == []


def test_the_first_steps_wake_a_zero_branch():
    runs = {
        start: experiments.first_steps(start, steps=2, replicas=2)
        for start in modern.RESIDUAL_STARTS
    }
    last, gamma = runs["zero last weights"], runs["zero gamma"]
    assert (
        (last["first"][0] == 0).all() and (last["last"] > 0).all() and (last["first"][1] > 0).all()
    )
    assert (gamma["first"][0] == 0).all() and (gamma["last"][0] == 0).all()
    assert (gamma["scale"] > 0).all() and (gamma["last"][1] > 0).all()
    assert (last["scale"] == 0).all()
    for start in ("plain", "zero last weights", "zero gamma", "normalised"):
        assert (runs[start]["distinct"] == 32).all()
    assert (runs["zero last weights, constant first"]["distinct"] == 1).all()
    still = runs["all zero"]
    assert (still["distinct"] == 1).all() and (still["last"] == 0).all()


def test_the_gradient_norms_of_the_first_step():
    found = experiments.first_steps("normalised", steps=1, replicas=2, seed=5)
    net = experiments.residual_net("normalised", blocks=3, replicas=2, seed=5)
    digits = experiments.split_digits().train
    trace = net.forward(digits.x[:200])
    by_output = [losses.softmax_cross_entropy(o, digits.y[:200])[1] for o in trace.output]
    gradients = net.backward(trace, np.stack(by_output))
    for r in range(2):
        expected = [gradients.weights[1][r], gradients.weights[2][r], gradients.scales[0][r]]
        for name, g in zip(("first", "last", "scale"), expected):
            np.testing.assert_allclose(found[name][0, r], np.sqrt(np.square(g).sum()))


def test_train_residual_trains():
    history = experiments.train_residual("zero gamma", blocks=2, epochs=1, replicas=2, rate=0.03)
    assert history.validation_accuracy.shape == (2, 2) and (history.accuracy[-1] > 0.8).all()


def test_gpt2_branch_is_its_integral():
    """Mean over 100 branches against the integral; band 6.5 of its standard errors plus 3%.

    The 3% are for the width, at which the inputs' mean squares scatter around 1.
    """
    measured = experiments.gpt2_branch(100, sd=0.05, replicas=100)
    q = 100 * 0.05**2
    expected = 400 * 0.05**2 * theory.second_moment("gelu", q)
    error = measured.std() / np.sqrt(measured.size)
    assert abs(measured.mean() - expected) < 6.5 * error + 0.03 * expected < 0.2 * expected
    np.testing.assert_array_equal(
        experiments.gpt2_branch(20, replicas=2), experiments.gpt2_branch(20, replicas=3)[:2]
    )


# --- products of matrices -----------------------------------------------------------------------


def test_product_spectrum_is_that_of_the_product():
    found = experiments.product_spectrum("lecun_normal", [1, 3], width=5, replicas=3, seed=2)
    initializer = initializers.LecunNormal()
    for r, rng in enumerate(network.replica_generators(2, 3)):
        draws = [initializer.draw((5, 5), rng, "float64") for _ in range(3)]
        products = draws[0], draws[0] @ draws[1] @ draws[2]
        for values, product in zip(found[:, r], products):
            expected = np.linalg.svd(product, compute_uv=False)
            np.testing.assert_allclose(values, expected, rtol=1e-7, atol=1e-9)


def test_orthogonal_products_keep_all_directions():
    found = experiments.product_spectrum("orthogonal", [1, 12], width=6, replicas=2)
    np.testing.assert_allclose(found, 1, rtol=1e-12)


# --- what is refused ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: experiments.scaled_weights([0.0]), "`factors` must be a finite number above 0"),
        (lambda: experiments.scaled_weights([1.0], replicas=0), "`replicas` must be an integer"),
        (lambda: experiments.one_step(0, 1), "`factor` must be a finite number above 0"),
        (lambda: experiments.one_step(1, 0), "`rate` must be a finite number above 0"),
        (lambda: experiments.normalised_spread([0.0], epsilon=1e-3), "`sds` must be"),
        (lambda: experiments.train_scales([-1.0]), "`sds` must be a finite number above 0"),
        (lambda: experiments.train_scales([1.0], output_sds=[0.0]), "`output_sds` must be a fin"),
        (lambda: experiments.train_scales([1.0], output_sds=[1, 2]), "a sequence of 1 numbers"),
        (lambda: experiments.train_scales([1.0], normalise=1), "`normalise` must be True or False"),
        (lambda: experiments.train_deep("lsvu"), "`start` must be one of 'lsuv', 'batch norm'"),
        (lambda: experiments.train_deep("lsuv", depth=0), "`depth` must be an integer at least 1"),
        (lambda: experiments.residual_stream({}, blocks=1), "`branch_scales` must be a mapping"),
        (lambda: experiments.residual_stream({"a": "b"}, blocks=1), "`scale of 'a'` must be"),
        (lambda: experiments.residual_net("zero", blocks=1), "`start` must be one of 'plain'"),
        (lambda: experiments.residual_net("plain", blocks=0), "`blocks` must be an integer"),
        (lambda: experiments.first_steps("plain", steps=0), "`steps` must be an integer"),
        (lambda: experiments.gpt2_branch(10, sd=0), "`sd` must be a finite number above 0"),
        (lambda: experiments.product_spectrum("zeros", [2, 2]), "`depths` must be a rising"),
        (lambda: experiments.product_spectrum("zeros", []), "`depths` must be a rising"),
        (lambda: experiments.product_spectrum("zeros", [0]), r"`depths\[0\]` must be an integer"),
    ],
)
def test_wrong_arguments_are_refused(call, message):
    with pytest.raises((ValueError, TypeError), match=message):
        call()
