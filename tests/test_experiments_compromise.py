"""The experiments of the chapter on Glorot, beside JAX, closed forms and the theory.

Seeds are fixed; a statistical test states in its docstring how often it would fail over fresh ones.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from initcore import experiments, initializers, network, theory
from initcore.experiments import compromise
from initcore.initializers import GlorotUniform, VarianceScaling

STANDARD = VarianceScaling(1 / 3, "fan_in", "uniform")


@pytest.fixture(autouse=True)
def double_precision():
    with jax.enable_x64(True):
        yield


def mean_square(array):
    return float(np.mean(np.square(array)))


# ---- both ways -----------------------------------------------------------------------------


@pytest.mark.parametrize("activation", ["linear", "tanh"])
def test_both_ways_agrees_with_jax(activation):
    widths = (5, 7, 4)
    found = experiments.both_ways(widths, activation=activation, batch=3, replicas=2, seed=4)
    assert list(found) == ["fan_in", "fan_out", "fan_avg", "fan_geo_avg"]
    fans = {
        "fan_in": widths[:-1],
        "fan_out": widths[1:],
        "fan_avg": np.add(widths[:-1], widths[1:]) / 2,
        "fan_geo_avg": np.sqrt(np.multiply(widths[:-1], widths[1:])),
    }
    phi = {"linear": lambda z: z, "tanh": jnp.tanh}[activation]
    weights = network.replica_generators(4, 2)
    inputs = network.replica_generators(4, 2, compromise.INPUTS)
    for r in range(2):
        unit = [weights[r].standard_normal(shape) for shape in zip(widths[:-1], widths[1:])]
        x, top = (inputs[r].standard_normal((3, n)) for n in (5, 4))
        for mode, n in fans.items():
            first, second = (W / np.sqrt(k) for W, k in zip(unit, n))
            middle, back_to_input = jax.vjp(lambda a, W=first: phi(a @ W), x)
            output, back_to_middle = jax.vjp(lambda a, W=second: phi(a @ W), middle)
            (by_middle,) = back_to_middle(jnp.asarray(top))
            (by_input,) = back_to_input(by_middle)
            forward = [mean_square(a) / mean_square(x) for a in (x, middle, output)]
            backward = [mean_square(g) / mean_square(top) for g in (by_input, by_middle, top)]
            np.testing.assert_allclose(found[mode]["forward"][:, r], forward)
            np.testing.assert_allclose(found[mode]["backward"][:, r], backward)


def test_both_ways_has_the_expected_factors():
    """Means over 400 nets within 7 standard errors of the exact expectations: below 1e-10."""
    widths = (20, 60, 30, 60)
    found = experiments.both_ways(widths, batch=4, replicas=400, seed=1)
    for mode, statistics in found.items():
        shapes = list(zip(widths[:-1], widths[1:]))
        variances = [VarianceScaling(1.0, mode).variance(shape) for shape in shapes]
        forward = np.cumprod([1.0, *np.multiply(widths[:-1], variances)])
        backward = np.cumprod([1.0, *np.multiply(widths[1:], variances)[::-1]])[::-1]
        for name, expected in (("forward", forward), ("backward", backward)):
            error = statistics[name].std(axis=1) / np.sqrt(400)
            assert (abs(statistics[name].mean(axis=1) - expected) <= 7 * error + 1e-12).all()
            assert (error < 0.03 * expected).all()  # so that the band can fail


def test_a_pair_of_unequal_layers_costs_glorot_both_ways():
    """4ab/(a + b)² = 0.64 for 100 and 400, in both directions, draw by draw against fan_in."""
    found = experiments.both_ways((100, 400, 100), batch=2, replicas=3)
    for name, end in (("forward", -1), ("backward", 0)):
        ratio = found["fan_avg"][name][end] / found["fan_in"][name][end]
        np.testing.assert_allclose(ratio, 4 * 100 * 400 / 500**2)
        for other in ("fan_out", "fan_geo_avg"):
            np.testing.assert_allclose(found[other][name][end], found["fan_in"][name][end])


# ---- Glorot and Bengio's nets ----------------------------------------------------------------


def uniform(rng, shape):
    """Return draws of variance 1, made without the package."""
    return np.sqrt(3) * (2 * rng.random(np.prod(shape)) - 1).reshape(shape)


def test_classifier_signals_agree_with_jax():
    starts = {"standard": STANDARD, "Glorot": GlorotUniform()}
    options = {"width": 6, "depth": 2, "classes": 3, "batch": 4, "replicas": 2, "seed": 5}
    found = experiments.classifier_signals(starts, **options)
    weights = network.replica_generators(5, 2)
    inputs = network.replica_generators(5, 2, compromise.INPUTS)
    labels = network.replica_generators(5, 2, compromise.LABELS)
    variances = {"standard": (1 / 18, 1 / 18, 1 / 18), "Glorot": (1 / 6, 1 / 6, 2 / 9)}
    for r in range(2):
        unit = [uniform(weights[r], shape) for shape in ((6, 6), (6, 6), (6, 3))]
        x, y = inputs[r].standard_normal((4, 6)), labels[r].integers(3, size=4)
        for start, squares in variances.items():
            W = [np.sqrt(square) * draws for square, draws in zip(squares, unit)]

            def loss(shift, W, x=x, y=y):
                """The loss, with a shift of each hidden pre-activation to differentiate by."""
                a = jnp.tanh(jnp.tanh(x @ W[0] + shift[0]) @ W[1] + shift[1])
                return -jax.nn.log_softmax(a @ W[2])[jnp.arange(4), y].mean()

            zero = [jnp.zeros((4, 6))] * 2
            deltas, dW = jax.grad(loss, (0, 1))(zero, [jnp.asarray(w) for w in W])
            a_1 = np.tanh(x @ W[0])
            activations = [a_1, np.tanh(a_1 @ W[1])]
            for layer in range(2):
                statistics = found[start].statistics
                np.testing.assert_allclose(statistics["std"][layer, r], activations[layer].std())
                rms = np.sqrt(mean_square(deltas[layer]))
                np.testing.assert_allclose(statistics["delta rms"][layer, r], rms)
                norm = np.linalg.norm(dW[layer])
                np.testing.assert_allclose(statistics["grad W norm"][layer, r], norm)
                shown = found[start].activations[layer]
                assert shown.shape == (2, 1, 6)
                np.testing.assert_allclose(shown[r, 0], activations[layer][0])


def test_classifier_signals_follow_the_theory():
    """Means over 20 nets 300 wide, within 4%: more than 8 of their standard errors, below 1e-12."""
    starts = {1 / 3: STANDARD, 1.0: GlorotUniform()}
    found = experiments.classifier_signals({str(k): s for k, s in starts.items()}, width=300)
    for gain2 in starts:
        statistics = found[str(gain2)].statistics
        q = theory.variance_trajectory("tanh", 5, gain2, sigma_w2=gain2)
        expected = np.sqrt(theory.second_moment("tanh", q))
        assert (abs(statistics["std"].mean(axis=1) / expected - 1) < 0.04).all()
        chi = gain2 * theory.slope_moment("tanh", q[:-1])
        ratio = (statistics["delta rms"][0] / statistics["delta rms"][-1]).mean()
        assert abs(ratio / np.sqrt(np.prod(chi)) - 1) < 0.06


def test_singular_values_are_those_of_jax_jacobians():
    starts = {"standard": STANDARD, "Glorot": GlorotUniform()}
    found = experiments.layer_singular_values(starts, width=7, depth=2, replicas=2, seed=3)
    weights = network.replica_generators(3, 2)
    inputs = network.replica_generators(3, 2, compromise.INPUTS)
    for r in range(2):
        unit = [uniform(weights[r], (7, 7)) for _ in range(2)]
        x = inputs[r].standard_normal(7)
        for start, variance in (("standard", 1 / 21), ("Glorot", 1 / 7)):
            a = x
            for layer in range(2):
                W = np.sqrt(variance) * unit[layer]
                jacobian = jax.jacobian(lambda a, W=W: jnp.tanh(a @ W))(a)
                values = np.linalg.svd(jacobian, compute_uv=False)
                a = np.tanh(a @ W)
                row = {name: found[start][name][layer, r] for name in found[start].values}
                svd_W = np.linalg.svd(W, compute_uv=False)
                np.testing.assert_allclose(row["W"], svd_W.mean(), rtol=1e-6)
                np.testing.assert_allclose(row["Jacobian"], values.mean(), rtol=1e-6)
                np.testing.assert_allclose(row["rms of Jacobian"], np.sqrt((values**2).mean()))


@pytest.mark.parametrize("width", [100, 200])
def test_the_mean_singular_value_is_that_of_the_quarter_circle(width):
    """8 / (3 pi) times the gain, at any width: the mean of 100 matrices within 1%.

    One scatters by 0.5% at a width of 100; the tolerance is more than 15 standard errors.
    """
    found = experiments.layer_singular_values({"Glorot": GlorotUniform()}, width=width)["Glorot"]
    assert abs(found["W"].mean() / (8 / (3 * np.pi)) - 1) < 0.01


# ---- through layers, and draws -----------------------------------------------------------------


def test_through_layers_is_what_it_says():
    cases = {"plain": ("tanh", "glorot_uniform"), "biased": ("relu", STANDARD, STANDARD)}
    found = experiments.through_layers(cases, depth=2, width=4, batch=3, replicas=2, seed=6)
    inputs = network.replica_generators(6, 2, compromise.INPUTS)
    starts = [rng.standard_normal((3, 4)) for rng in inputs]
    for label, phi, variance in (
        ("plain", np.tanh, 1 / 4),
        ("biased", lambda z: np.maximum(z, 0), 1 / 12),
    ):
        weights = network.replica_generators(6, 2)
        for r in range(2):
            a = starts[r]
            for layer in range(2):
                W = np.sqrt(variance) * uniform(weights[r], (4, 4))
                b = np.sqrt(variance) * uniform(weights[r], (4,)) if label == "biased" else 0.0
                a = phi(a @ W + b)
                row = {name: found[label][name][layer, r] for name in found[label].values}
                np.testing.assert_allclose(row["mean"], a.mean())
                np.testing.assert_allclose(row["rms"], np.sqrt(mean_square(a)))
                across = a.std(axis=0).mean()
                np.testing.assert_allclose(row["std across inputs"], across, atol=1e-16)


def test_default_start_of_pytorch_keeps_a_sixth_a_relu_layer():
    """ln of the mean square over 10 layers, 100 nets: within 7 standard errors, below 1e-11.

    The mean logarithm is below that of the mean by about 5 / (2 · 200) a layer (Hanin 2018).
    """
    found = experiments.through_layers(
        {"no biases": ("relu", STANDARD)}, depth=10, width=200, batch=1, replicas=100
    )
    log = np.log(found["no biases"]["rms"][-1] ** 2)
    expected = 10 * np.log(1 / 6) - 10 * 5 / (2 * 200)
    assert abs(log.mean() - expected) < 7 * log.std() / 10 + 0.02
    assert log.std() / 10 < 0.1


def test_with_its_biases_the_net_is_alive_and_blind():
    found = experiments.through_layers({"x": ("relu", STANDARD, STANDARD)}, width=64, replicas=5)
    assert (found["x"]["rms"][-1] > 0.01).all()
    assert (found["x"]["std across inputs"][-1] < 1e-15).all()


def test_draw_weights_draws_each_start():
    found = experiments.draw_weights({"Glorot": "glorot_uniform"}, (30, 20), replicas=3, seed=2)
    streams = network.replica_generators(2, 3)
    expected = [np.sqrt(1 / 25) * uniform(rng, (30, 20)) for rng in streams]
    np.testing.assert_allclose(found["Glorot"], expected)


# ---- what they share ---------------------------------------------------------------------------

GLOROT = {"Glorot": GlorotUniform()}
SMALL = {
    "both_ways": lambda r: experiments.both_ways((4, 3, 2), replicas=r)["fan_avg"]["backward"],
    "classifier_signals": lambda r: experiments.classifier_signals(
        GLOROT, width=4, depth=2, replicas=r
    )["Glorot"].statistics["grad W norm"],
    "layer_singular_values": lambda r: experiments.layer_singular_values(
        GLOROT, width=4, replicas=r
    )["Glorot"]["Jacobian"],
    "through_layers": lambda r: experiments.through_layers(
        {"x": ("tanh", "he_normal")}, depth=2, width=4, replicas=r
    )["x"]["rms"],
    "draw_weights": lambda r: (
        experiments.draw_weights(GLOROT, (4, 3), replicas=r)["Glorot"].reshape(r, -1).T
    ),
}


@pytest.mark.parametrize("name", SMALL)
def test_a_replica_does_not_depend_on_how_many_there_are(name):
    np.testing.assert_allclose(SMALL[name](2), SMALL[name](5)[:, :2], rtol=1e-12)


@pytest.mark.parametrize(
    ("call", "error", "says"),
    [
        (lambda: experiments.both_ways((2, 2), modes=[]), ValueError, "`modes` must be"),
        (lambda: experiments.both_ways((2, 2), modes="fan_in"), ValueError, "`modes` must be"),
        (lambda: experiments.both_ways((2, 2), modes=["fan"]), ValueError, "Invalid `mode`"),
        (lambda: experiments.both_ways((2,)), ValueError, "`widths` must be"),
        (lambda: experiments.both_ways((2, 2), replicas=0), ValueError, "`replicas` must be"),
        (lambda: experiments.classifier_signals({}), ValueError, "`starts` must be"),
        (lambda: experiments.classifier_signals(GLOROT, depth=0), ValueError, "`depth` must be"),
        (
            lambda: experiments.classifier_signals({"x": initializers.Zeros()}),
            TypeError,
            r"`starts\['x'\]` must be a VarianceScaling",
        ),
        (lambda: experiments.layer_singular_values([]), ValueError, "`starts` must be"),
        (lambda: experiments.through_layers({}), ValueError, "`cases` must be"),
        (lambda: experiments.through_layers({"x": ("tanh",)}), ValueError, r"`cases\['x'\]`"),
        (lambda: experiments.through_layers({"x": "tanh"}), ValueError, r"`cases\['x'\]`"),
        (
            lambda: experiments.through_layers({"x": ("tanh", "zeros")}, width=1.5),
            TypeError,
            "`width` must be",
        ),
        (lambda: experiments.draw_weights({}, (2, 2)), ValueError, "`starts` must be"),
        (lambda: experiments.draw_weights(GLOROT, (2, 0)), ValueError, "`shape"),
    ],
)
def test_bad_input_is_named(call, error, says):
    with pytest.raises(error, match=says):
        call()
