"""Residual branches and products: against literal computation and closed forms."""

import numpy as np
import pytest

from initcore import experiments, initializers, losses, network, theory
from initcore.blocks import ResidualMLP

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
    nets = {
        start: experiments.residual_net(start, blocks=4) for start in experiments.RESIDUAL_STARTS
    }
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
        for start in experiments.RESIDUAL_STARTS
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
