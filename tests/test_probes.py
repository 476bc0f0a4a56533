"""Probes against slow, literal definitions, and against SciPy's and NumPy's own."""

import functools
import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.stats import entropy

from initcore import network, probes
from initcore.diagnosis.look import measure

# Rounded: NumPy's plain norm, the oracle, loses squares of numbers below 1e-154.
FINITE = st.floats(-1e3, 1e3).map(lambda value: round(value, 6))
BATCHES = hnp.arrays(float, st.tuples(st.integers(2, 6), st.integers(1, 5)), elements=FINITE)


def draw(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


EVERY = (
    *("pooled_std", "std_across_inputs", "mean_square", "mean_cosine", "dead_fraction", "rms"),
    *("median_abs", "gradient_norm", "numerical_rank", "effective_rank", "distinct_units"),
)


@pytest.mark.parametrize("name", [*EVERY, "saturated_fraction"])
def test_a_replica_axis_gives_the_numbers_of_the_replicas(name):
    probe, a = getattr(probes, name), np.maximum(draw(2, 3, 5, 4), 0)
    if name == "saturated_fraction":
        probe = functools.partial(probe, activation="tanh")
    together = probe(a)
    assert together.shape == (2, 3)
    assert isinstance(probes.rms(a[0, 0]), float)  # without replicas a number, which prints as one
    for index in np.ndindex(2, 3):
        np.testing.assert_allclose(together[index], probe(a[index]), rtol=1e-12)


def test_pooled_spread_is_across_inputs_plus_between_units():
    a = draw(200, 30) * np.linspace(0.1, 2, 30) + draw(30, seed=1)
    np.testing.assert_allclose(
        probes.pooled_std(a) ** 2, a.var(axis=0).mean() + a.mean(axis=0).var(), rtol=1e-12
    )
    np.testing.assert_allclose(probes.std_across_inputs(a), a.std(axis=0).mean(), rtol=1e-12)


@given(BATCHES)
def test_mean_cosine_is_the_mean_over_pairs_of_answers(a):
    rows = [row for row in a if row.any()]
    pairs = list(itertools.combinations(rows, 2))
    literal = [u @ v / np.linalg.norm(u) / np.linalg.norm(v) for u, v in pairs]
    expected = np.mean(literal) if literal else 1.0
    np.testing.assert_allclose(probes.mean_cosine(a), expected, atol=1e-9)


@pytest.mark.parametrize("scale", [1e-250, 1e-10, 1e10, 1e200])
def test_mean_cosine_and_rms_survive_any_scale(scale):
    a = draw(6, 4)
    np.testing.assert_allclose(probes.mean_cosine(scale * a), probes.mean_cosine(a), rtol=1e-9)
    np.testing.assert_allclose(probes.rms(scale * a) / scale, probes.rms(a), rtol=1e-12)


@given(BATCHES)
def test_sizes_are_numpys(values):
    np.testing.assert_allclose(
        probes.rms(values), np.sqrt(np.mean(values**2)), rtol=1e-12, atol=1e-150
    )
    np.testing.assert_allclose(probes.median_abs(values), np.median(np.abs(values)))
    np.testing.assert_allclose(probes.mean_square(values), np.mean(values**2))
    np.testing.assert_allclose(
        probes.gradient_norm(values), np.linalg.norm(values), rtol=1e-12, atol=1e-150
    )
    np.testing.assert_allclose(probes.dead_fraction(values), np.mean(~values.any(axis=0)))


@pytest.mark.parametrize(
    ("activation", "inside", "outside"),
    [
        ("tanh", [0.99, -0.99, 0], [0.995, -0.995, 1]),
        ("hard_tanh", [0.99, -0.99, 0], [0.995, -1, 1]),
        ("sigmoid", [0.01, 0.99, 0.5], [0.005, 0.995, 0]),
        ("hard_sigmoid", [0.01, 0.99, 0.5], [0.005, 1, 0]),
        ("centred_sigmoid", [0.49, -0.49, 0], [0.495, -0.495, 0.5]),
    ],
)
def test_saturated_is_within_one_percent_of_the_end(activation, inside, outside):
    assert probes.saturated_fraction(np.array([inside]), activation) == 0
    assert probes.saturated_fraction(np.array([outside]), activation) == 1
    assert probes.saturated_fraction(np.array([inside + outside]), activation) == 0.5


@pytest.mark.parametrize("rank", [0, 1, 3])
def test_ranks_of_a_matrix_of_known_rank(rank):
    W = draw(8, 3)[:, :rank] @ draw(3, 6, seed=1)[:rank]
    assert probes.numerical_rank(W) == rank == np.linalg.matrix_rank(W)
    assert rank - 1 < probes.effective_rank(W) <= rank + 1e-6
    graded = [np.diag([1.0, 1e-3, smallest]) for smallest in (1e-9, 1e-7)]
    assert probes.numerical_rank(np.array(graded)).tolist() == [2, 3]


def test_effective_rank_is_the_exponential_of_scipys_entropy():
    W = draw(20, 9)
    values = np.linalg.svd(W, compute_uv=False)
    np.testing.assert_allclose(probes.effective_rank(W), np.exp(entropy(values)))


def test_distinct_units_counts_columns_with_their_biases():
    W = np.array([[1.0, 1.0, 2.0, 1.0], [3.0, 3.0, 3.0, 3.0]])
    assert probes.distinct_units(W) == 2
    assert probes.distinct_units(W, np.array([0.0, 0.5, 0.0, 0.0])) == 3
    assert probes.distinct_units(W + np.array([0, 1e-12, 0, -1e-12])) == 2
    assert probes.distinct_units(W + np.array([0, 1e-6, 0, -1e-6])) == 4
    assert probes.distinct_units(np.zeros((3, 5))) == 1
    assert probes.distinct_units(draw(4, 30)) == 30


@pytest.fixture
def run():
    net = network.MLP((6, 5, 4, 3), "tanh", replicas=7, seed=2)
    trace = net.forward(draw(10, 6))
    return net, trace, net.backward(trace, np.ones_like(trace.output))


def test_layer_statistics_hold_every_probe_of_every_layer(run):
    net, trace, gradients = run
    measured = probes.layer_statistics(net, trace, gradients, parameters=True)
    assert set(measured.values) == {
        *("mean", "std", "std across inputs", "q", "dead", "cosine", "saturated"),
        *("delta rms", "delta median", "grad W norm", "rank", "effective rank", "distinct units"),
    }
    for layer in range(3):
        a, delta = trace.activations[layer], gradients.deltas[layer]
        W, b = net.weights[layer], net.biases[layer]
        expected = {
            "mean": a.mean(axis=(1, 2)),
            "std": probes.pooled_std(a),
            "std across inputs": probes.std_across_inputs(a),
            "q": probes.mean_square(trace.pre_activations[layer]),
            "dead": probes.dead_fraction(a),
            "cosine": probes.mean_cosine(a),
            "delta rms": probes.rms(delta),
            "delta median": probes.median_abs(delta),
            "grad W norm": probes.gradient_norm(gradients.weights[layer]),
            "rank": probes.numerical_rank(W),
            "effective rank": probes.effective_rank(W),
            "distinct units": probes.distinct_units(W, b),
        }
        for name, value in expected.items():
            np.testing.assert_array_equal(measured[name][layer], value, err_msg=name)
    saturated = probes.saturated_fraction(trace.activations[0], "tanh")
    np.testing.assert_array_equal(measured["saturated"][0], saturated)
    assert (measured["saturated"][-1] == 0).all()


def test_layer_statistics_without_replicas_gradients_or_a_second_input():
    net = network.MLP((6, 5, 3), "relu", seed=2)
    measured = probes.layer_statistics(net, net.forward(draw(1, 6)))
    assert set(measured.values) == {"mean", "std", "std across inputs", "q", "dead"}
    assert measured["std"].shape == (2,)


def test_statistics_print_the_spread_over_replicas(run):
    net, trace, _ = run
    measured = probes.layer_statistics(net, trace)
    low, middle, high = np.quantile(measured["std"][1], [0.05, 0.5, 0.95])
    assert f"{middle:.3g} [{low:.3g}, {high:.3g}]" in repr(measured)
    assert (measured["std"] > 0).all() and measured.values["q"].shape == (3, 7)
    table = measured.table("q", "std", spec=".2f", title="two of them")
    assert table.columns == ("layer", "q", "std") and str(table).startswith("two of them\n")
    assert f"{middle:.2f} [{low:.2f}, {high:.2f}]" in str(table)


@pytest.mark.parametrize(
    ("call", "error", "says"),
    [
        (lambda: probes.pooled_std([1.0, 2.0]), ValueError, "`a` must be an array of shape"),
        (lambda: probes.mean_cosine(np.ones((1, 3))), ValueError, "at least two inputs"),
        (lambda: probes.saturated_fraction(np.ones((2, 2)), "relu"), ValueError, "one of 'tanh'"),
        (
            lambda: probes.distinct_units(np.eye(2), np.ones(3)),
            ValueError,
            r"`b` must be an array of shape \(2,\)\. Received: b=.*\(3,\)",
        ),
        (lambda: probes.distinct_units(np.eye(2), [np.nan, 1.0]), ValueError, "`b` must be finite"),
        (lambda: probes.layer_statistics("net", None), TypeError, "`net` must be"),
        (lambda: probes.layer_statistics(network.MLP((2, 1)), 1), TypeError, "`trace` must be"),
        (
            lambda: probes.layer_statistics(
                network.MLP((2, 1)), network.MLP((2, 1)).forward(np.ones((1, 2))), 1
            ),
            TypeError,
            "`gradients` must be",
        ),
        (lambda: probes.LayerStatistics({"std": np.ones(2)})["sdt"], ValueError, "mean 'std'"),
    ],
)
def test_bad_input_is_named(call, error, says):
    with pytest.raises(error, match=says):
        call()


def test_activations_of_another_net_are_led_to_what_takes_them():
    """Maps of shape (inputs, height, width, channels), as hooks keep them."""
    maps = np.maximum(draw(6, 4, 4, 3), 0.0)
    maps[..., 0] = 0.0
    with pytest.raises(
        TypeError, match=r"diagnosis\.look\.measure` takes .*\(inputs, \.\.\., units"
    ):
        probes.layer_statistics([maps, maps], None)
    seen, flat = measure(maps, "relu"), maps.reshape(6, -1)
    assert seen.across == pytest.approx(probes.std_across_inputs(flat))
    assert seen.cosine == pytest.approx(probes.mean_cosine(flat))
    assert seen.dead == pytest.approx(probes.dead_fraction(maps.reshape(-1, 3))) == 1 / 3
    assert np.isnan(seen.saturated)
