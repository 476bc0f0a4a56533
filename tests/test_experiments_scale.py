"""The experiments on the scale of weights against closed forms, the theory and JAX."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from initcore import experiments, initializers, losses, network, theory, training

jax.config.update("jax_enable_x64", True)


def test_classifier_at_start_is_the_classic_net_with_ten_outputs():
    start = experiments.classifier_at_start("tanh", 0.5, batch=7, replicas=3, seed=4)
    assert start.net.widths == (100, 50, 50, 50, 50, 50, 10)
    assert all((b == 0).all() for b in start.net.biases)
    assert start.trace.inputs[0].shape == (3, 7, 100)
    assert start.loss.shape == (3,)
    assert [d.shape for d in start.gradients.deltas] == [(3, 7, n) for n in start.net.widths[1:]]
    assert start.statistics["delta rms"].shape == start.statistics["delta median"].shape == (6, 3)


def test_a_replica_does_not_depend_on_their_number():
    two, three = (
        experiments.classifier_at_start("tanh", 1.0, depth=2, width=6, batch=4, replicas=r, seed=1)
        for r in (2, 3)
    )
    np.testing.assert_array_equal(two.loss, three.loss[:2])
    np.testing.assert_array_equal(two.trace.inputs[0], three.trace.inputs[0][:2])
    assert len(set(three.loss)) == 3


def test_classifier_at_start_has_weights_and_inputs_of_the_asked_scale():
    """Normal bands: 6.5 standard errors of the std, false alarm below 1e-9 each."""
    start = experiments.classifier_at_start("linear", 0.3, depth=2, width=40, batch=50)
    for W in start.net.weights[:2]:
        assert abs(W.std() / 0.3 - 1) < 6.5 / np.sqrt(2 * W.size)
    x = start.trace.inputs[0]
    assert abs(x.std() - 1) < 6.5 / np.sqrt(2 * x.size)
    assert not np.isin(x[0, 0], np.concatenate([W.ravel() for W in start.net.weights])).any()


def test_the_labels_are_drawn_evenly_and_independently_of_the_net():
    """The loss at tiny weights is ln C; δ of the output is softmax - label, a tenth is -0.9.

    Of 20,000 labels each class has 2,000; 7 standard deviations are 297, below 1e-10 in all.
    """
    start = experiments.classifier_at_start("tanh", 1e-6, width=5, depth=1)
    np.testing.assert_allclose(start.loss, math.log(10), atol=1e-6)
    labels = (start.gradients.deltas[-1] * 500 < 0).sum(axis=(0, 1))
    assert labels.sum() == 20_000
    assert (abs(labels - 2000) < 297).all()


def test_rms_of_the_deltas_grows_by_the_root_of_chi():
    """The mean square over 100 nets: 7 of its standard errors (t, 99 degrees of freedom: 1e-9).

    3% more is for the finite width of 50; a missing factor of one layer is at least 30%.
    """
    for sd in (0.14, 1.0):
        start = experiments.classifier_at_start("tanh", sd, batch=100, replicas=100, seed=9)
        deltas = start.statistics["delta rms"]
        ratio = np.square(deltas[0] / deltas[4])
        q = theory.variance_trajectory("tanh", 4, 100 * sd**2, sigma_w2=50 * sd**2)
        chi = np.prod(50 * sd**2 * theory.slope_moment("tanh", q))
        error = ratio.std() / np.sqrt(len(ratio)) / chi
        assert error < 0.04
        assert abs(ratio.mean() / chi - 1) < 7 * error + 0.03


def test_unit_factors_are_deltas_over_what_reaches_the_layer():
    start = experiments.classifier_at_start("sigmoid", 0.7, depth=3, width=4, batch=5, replicas=2)
    for layer in (1, 2, 3):
        factors = experiments.unit_factors(start, layer)
        here, above = (np.abs(d) for d in start.gradients.deltas[layer - 1 : layer + 1])
        for r in range(2):
            sd = start.net.weights[layer][r].std()
            for i in range(5):
                length = math.sqrt((above[r, i] ** 2).sum())
                np.testing.assert_allclose(factors[r, i], here[r, i] / (sd * length))


def test_unit_factors_follow_the_normal_law_of_slope_times_normal():
    """Shares below quantiles of |φ'(z) ξ|: 7 standard errors over 100 nets (t: 1e-9 each).

    0.01 more is for the width of 100 and for the 200,000 draws that the quantiles are of.
    """
    start = experiments.classifier_at_start("tanh", 0.4, depth=2, width=100, batch=20, replicas=100)
    factors = experiments.unit_factors(start, 1)
    rng = np.random.default_rng(5)
    z, xi = rng.standard_normal((2, 200_000))
    drawn = np.abs((1 - np.tanh(4 * z) ** 2) * xi)  # q = 100 · 0.4²
    for share in (0.1, 0.5, 0.9):
        found = (factors < np.quantile(drawn, share)).mean(axis=(1, 2))
        error = found.std() / 10
        assert error < 0.005
        assert abs(found.mean() - share) < 7 * error + 0.01


def test_unit_factors_of_no_gradient_are_zero():
    start = experiments.classifier_at_start("tanh", 1.0, depth=1, width=3, batch=2, replicas=2)
    start.gradients.deltas[1][0, 1] = 0.0
    start.gradients.deltas[0][0, 1] = 0.0
    factors = experiments.unit_factors(start, 1)
    assert (factors[0, 1] == 0).all()
    assert (factors[0, 0] > 0).all()


def test_first_losses_are_those_of_the_scaled_output_layer():
    sds = [0.01, 2.0]
    found = experiments.first_losses("relu", sds, weights="he_normal", hidden=(7,), replicas=3)
    digits = experiments.split_digits().train
    for sd, row in zip(sds, found):
        makers = ["he_normal", initializers.RandomNormal(stddev=sd)]
        net = network.MLP((64, 7, 10), "relu", weights=makers, replicas=3)
        expected = losses.softmax_cross_entropy(net.predict(digits.x), digits.y)[0]
        np.testing.assert_allclose(row, expected, rtol=1e-12)


def test_first_loss_is_ln_10_plus_half_the_variance():
    """Small s: ln C + ½ s² (1 - 1/C), with the mean square of the net's own logits for s².

    7 standard errors of the mean over 400 nets: below 1e-10.
    """
    found = experiments.first_losses("tanh", [1.0, 0.2], hidden=(50,), replicas=400)[1]
    digits = experiments.split_digits().train
    makers = ["glorot_uniform", initializers.RandomNormal(stddev=1.0)]
    net = network.MLP((64, 50, 10), "tanh", weights=makers, replicas=400)
    a = net.forward(digits.x).activations[0]
    s2 = 0.2**2 * np.square(a).sum(axis=-1).mean()
    # The next term of the expansion is below 0.05 s⁴.
    error = found.std() / np.sqrt(400)
    assert error < 0.01
    assert abs(found.mean() - math.log(10) - 0.45 * s2) < 7 * error + 0.05 * s2**2


def test_accuracy_over_scales_trains_each_scale_as_train_on_digits_does():
    settings = {"hidden": (8,), "epochs": 2, "replicas": 2, "part": "validation", "seed": 3}
    found = experiments.accuracy_over_scales("tanh", (0.01, 0.3), **settings)
    assert found.sds.tolist() == [0.01, 0.3]
    assert len(found.runs) == 2
    for row, sd in enumerate(found.sds):
        maker = initializers.RandomNormal(stddev=sd)
        history = experiments.train_on_digits("tanh", maker, **settings).history
        np.testing.assert_array_equal(found.first_loss[row], history.loss[0])
        np.testing.assert_array_equal(found.loss[row], history.loss[-1])
        np.testing.assert_array_equal(found.accuracy[row], history.validation_accuracy[-1])
        assert not found.diverged[row].any()


def test_the_table_of_scales_rounds_what_is_chaotic():
    found = experiments.accuracy_over_scales("tanh", (0.01, 0.3), hidden=(9,), epochs=1, replicas=3)
    lines = str(found.table(coarse=(0.3,), title="two")).splitlines()
    assert lines[0] == "two"
    assert lines[2].split()[:2] == ["0.01", "0.03"]  # 0.01 √9
    assert lines[2].count("[") == 2  # the spreads of the first loss and of the accuracy
    assert lines[3].count("[") == 1
    assert lines[3].split()[-2:] == [f"{np.median(found.accuracy[1]):.1f}", "0"]


def test_accuracy_over_scales_says_which_nets_diverge():
    rate = training.SGD(10.0)
    found = experiments.accuracy_over_scales(
        "relu", [3.0], hidden=(20,) * 4, epochs=1, replicas=2, optimizer=rate
    )
    assert found.diverged.shape == (1, 2)
    assert found.diverged.all()


def test_largest_curvature_of_a_linear_model_is_that_of_its_inputs():
    rng = np.random.default_rng(1)
    x, y = rng.standard_normal((30, 6)) * np.arange(1, 7), rng.standard_normal((30, 3))
    net = network.MLP((6, 3), replicas=2, seed=2)
    with_one = np.c_[x, np.ones(30)]
    exact = 2 * np.linalg.norm(with_one, 2) ** 2 / 30
    found = experiments.largest_curvature(net, x, y, loss="squared_error", iterations=20)
    np.testing.assert_allclose(found, exact, rtol=1e-6)


def test_largest_curvature_is_the_hessians_largest_eigenvalue():
    """Against JAX's exact Hessian: the largest, where the smallest is larger in size."""
    rng = np.random.default_rng(2)
    x, y = rng.standard_normal((12, 4)), rng.integers(3, size=12)
    maker = initializers.RandomNormal(stddev=1.5)
    net = network.MLP((4, 5, 5, 3), "tanh", weights=maker, replicas=6, seed=8)
    before = [p.copy() for p in net.parameters()]
    found = experiments.largest_curvature(net, x, y, iterations=60)
    for p, old in zip(net.parameters(), before):
        np.testing.assert_array_equal(p, old)

    def loss(theta, shapes):
        parts, first = [], 0
        for shape in shapes:
            parts.append(theta[first : first + math.prod(shape)].reshape(shape))
            first += math.prod(shape)
        a = x
        for W, b in zip(parts[:3], parts[3:]):
            z = a @ W + b
            a = jnp.tanh(z)
        return -jax.nn.log_softmax(z)[jnp.arange(12), y].mean()

    shapes = [p.shape[1:] for p in net.parameters()]
    hessian = jax.jit(jax.hessian(lambda theta: loss(theta, shapes)))
    lower = 0
    for r in range(6):
        theta = np.concatenate([p[r].ravel() for p in net.parameters()])
        values = np.linalg.eigvalsh(hessian(jnp.array(theta)))
        np.testing.assert_allclose(found[r], values[-1], rtol=1e-5)
        lower += -values[0] > values[-1]
    assert lower  # so that the largest in size would have been another one


def test_more_iterations_do_not_lower_the_curvature():
    x, y = np.random.default_rng(3).standard_normal((10, 4)), np.arange(10) % 3
    net = network.MLP((4, 6, 3), replicas=3)
    found = [experiments.largest_curvature(net, x, y, iterations=k) for k in (1, 3, 8, 500)]
    assert all((b > a - 1e-7).all() for a, b in zip(found, found[1:]))


def test_curvature_over_scales_is_that_of_the_first_digits():
    found = experiments.curvature_over_scales(
        "tanh", [0.1, 1.0], hidden=(5,), examples=20, replicas=2, iterations=6, seed=4
    )
    digits = experiments.split_digits().train
    for sd, row in zip((0.1, 1.0), found):
        maker = initializers.RandomNormal(stddev=sd)
        net = network.MLP((64, 5, 10), "tanh", weights=maker, replicas=2, seed=4)
        expected = experiments.largest_curvature(net, digits.x[:20], digits.y[:20], iterations=6)
        np.testing.assert_array_equal(row, expected)


def test_the_parameters_are_put_back_after_an_error():
    net = network.MLP((4, 3), replicas=2)
    before = [p.copy() for p in net.parameters()]
    with pytest.raises(ValueError, match="labels"):
        experiments.largest_curvature(net, np.ones((2, 4)), np.array([0, 7]))
    for p, old in zip(net.parameters(), before):
        np.testing.assert_array_equal(p, old)


START = experiments.classifier_at_start("tanh", 1.0, depth=1, width=2, batch=2, replicas=1)
ONE = network.MLP((2, 2), replicas=1)
SCALES = experiments.Scales(np.ones(1), *[np.zeros((1, 2))] * 3, np.zeros((1, 2), bool), [])


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: experiments.classifier_at_start("tanh", 0.0), ValueError, "`sd`"),
        (lambda: experiments.classifier_at_start("tanh", 1.0, classes=0), ValueError, "`classes`"),
        (lambda: experiments.classifier_at_start("tanh", 1.0, batch=0), ValueError, "`batch`"),
        (lambda: experiments.classifier_at_start("tan", 1.0), ValueError, "tanh"),
        (lambda: experiments.unit_factors(ONE, 1), TypeError, "`start`"),
        (lambda: experiments.unit_factors(START, 0), ValueError, "`layer`"),
        (lambda: experiments.unit_factors(START, 2), ValueError, "`layer`"),
        (lambda: experiments.first_losses("tanh", []), ValueError, "`output_sds`"),
        (lambda: experiments.first_losses("tanh", [1.0, 0.0]), ValueError, "`output_sds`"),
        (lambda: experiments.accuracy_over_scales("tanh", [-1.0]), ValueError, "`sds`"),
        (lambda: experiments.curvature_over_scales("tanh", []), ValueError, "`sds`"),
        (lambda: SCALES.table(coarse=(0.2,)), ValueError, "`coarse`"),
        (
            lambda: experiments.curvature_over_scales("tanh", [1.0], examples=0),
            ValueError,
            "`examples`",
        ),
        (
            lambda: experiments.largest_curvature(network.MLP((2, 2)), [[1.0, 2.0]], [0]),
            TypeError,
            "with replicas",
        ),
        (lambda: experiments.largest_curvature("net", [[1.0]], [0]), TypeError, "`net`"),
        (
            lambda: experiments.largest_curvature(ONE, [[1.0, 2.0]], [0], loss="hinge"),
            ValueError,
            "`loss`",
        ),
        (
            lambda: experiments.largest_curvature(ONE, [[1.0, 2.0]], [0], iterations=0),
            ValueError,
            "`iterations`",
        ),
        (
            lambda: experiments.largest_curvature(ONE, [[1.0, 2.0]], [0], step=0.0),
            ValueError,
            "`step`",
        ),
    ],
)
def test_errors_name_the_argument(call, error, message):
    with pytest.raises(error, match=message):
        call()
