"""Batch normalisation and LSUV: against literal computation and closed forms."""

import numpy as np
import pytest

from initcore import experiments, initializers, losses, network, training
from initcore.blocks import BatchNormMLP

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
    ],
)
def test_wrong_arguments_are_refused(call, message):
    with pytest.raises((ValueError, TypeError), match=message):
        call()
