"""The experiments on deep rectifier nets, against closed forms and literal re-computation."""

import math

import numpy as np
import pytest

from initcore import experiments, network, probes
from initcore.experiments.depth import WEIGHT_LAWS

# --- what a ReLU keeps --------------------------------------------------------------------------


@pytest.mark.parametrize("law", WEIGHT_LAWS)
def test_weight_laws_have_mean_0_and_variance_1(law):
    """10⁶ draws, 7 standard errors (the largest fourth moment is 9): below 1e-10 each."""
    draws = WEIGHT_LAWS[law](np.random.default_rng(0), (1000, 1000))
    assert abs(draws.mean()) < 7e-3
    assert abs(draws.var() - 1) < 7 * math.sqrt(8) * 1e-3


@pytest.mark.parametrize("law", ["normal", "uniform", "signs"])
@pytest.mark.parametrize("n", [1, 30])
def test_symmetric_weights_keep_one_half(law, n):
    """400 layers within 7 standard errors: below 1e-10 each."""
    share = experiments.kept_share(law, n=n, batch=20, replicas=400, seed=1)
    assert share.shape == (400,)
    error = share.std() / 20
    assert error < 0.01  # so that the band can fail
    assert abs(share.mean() - 0.5) < 7 * error


def test_exponential_weights_keep_two_over_e_of_one_input():
    """With one input z is e - 1 times it, and E[(e-1)²; e > 1] = 2/e. A layer of 20,000 units."""
    share = experiments.kept_share("exponential", n=1, units=20_000, batch=1, replicas=50)
    assert abs(share.mean() - 2 / math.e) < 7 * share.std() / math.sqrt(50) + 2e-3
    assert share.std() / math.sqrt(50) < 0.01


def test_a_bias_of_one_standard_deviation_keeps_nearly_all():
    """For z ~ N(1, 1): ((1 + 1) Φ(1) + φ(1)) / 2 = 0.9623. Inputs of n = 400 are nearly equal."""
    normal_cdf = 0.5 * math.erfc(-1 / math.sqrt(2))
    density = math.exp(-0.5) / math.sqrt(2 * math.pi)
    share = experiments.kept_share("normal", n=400, bias=1.0, units=500)
    assert share.mean() == pytest.approx((2 * normal_cdf + density) / 2, abs=4e-3)


def test_kept_share_of_a_replica_does_not_depend_on_their_number():
    few, many = (experiments.kept_share("normal", replicas=r, seed=3) for r in (2, 5))
    np.testing.assert_array_equal(few, many[:2])
    assert len(set(many)) == 5


# --- signals ------------------------------------------------------------------------------------


def test_signals_are_those_of_the_net():
    widths = (6, 5, 4, 3)
    found = experiments.signals(widths, "tanh", "glorot_normal", batch=7, replicas=2, seed=4)
    net = network.MLP(widths, "tanh", weights="glorot_normal", replicas=2, seed=4)
    x = [rng.standard_normal((7, 6)) for rng in network.replica_generators(4, 2, 1)]
    back = [rng.standard_normal((7, 3)) for rng in network.replica_generators(4, 2, 2)]
    for r in range(2):
        a, z = x[r], []
        for layer in range(3):
            z.append(a @ net.weights[layer][r])
            a = np.tanh(z[-1])
        np.testing.assert_allclose(found["q"][:, r], [np.square(one).mean() for one in z])
        delta = back[r]
        for layer in (2, 1, 0):
            rms = np.sqrt(np.square(delta).mean())
            np.testing.assert_allclose(found["delta rms"][layer, r], rms)
            if layer:
                slope = 1 - np.tanh(z[layer - 1]) ** 2
                delta = (delta @ net.weights[layer][r].T) * slope


def test_signals_takes_inputs_and_biases():
    x = np.ones((3, 4))
    found = experiments.signals((4, 2), "relu", "zeros", biases="ones", x=x, replicas=2)
    np.testing.assert_array_equal(found["q"], [[1, 1]])
    same = experiments.signals((4, 5, 2), "relu", "he_normal", x=x, replicas=2)
    more = experiments.signals((4, 5, 2), "relu", "he_normal", x=x, replicas=4)
    np.testing.assert_array_equal(same["delta rms"], more["delta rms"][:, :2])


def test_he_keeps_both_ways_and_gain_1_halves():
    """Means over 400 nets, 12 layers of 40; q of a layer scatters by about its own size.

    Bands of 7 standard errors of the mean: below 1e-10 each.
    """
    widths = (40,) * 13
    for weights, factor in (("he_normal", 1.0), ("lecun_normal", 0.5)):
        found = experiments.signals(widths, "relu", weights, batch=10, replicas=400, seed=2)
        forward = found["q"][-1] / found["q"][0]
        back = (found["delta rms"][0] / found["delta rms"][-1]) ** 2
        for ratio in (forward / factor**11, back / factor**11):
            error = ratio.std() / 20
            assert error < 0.07
            assert abs(ratio.mean() - 1) < 7 * error


# --- epochs and answers -------------------------------------------------------------------------


def test_epochs_to_is_the_first_epoch_at_the_threshold():
    accuracy = np.array([[0.1, 0.9, 0.1], [0.6, 0.2, 0.1], [0.5, 0.9, 0.2]])
    np.testing.assert_array_equal(experiments.epochs_to(accuracy, 0.5), [1, 0, np.inf])
    np.testing.assert_array_equal(experiments.epochs_to(accuracy, 0.6), [1, 0, np.inf])


def test_disagreement_is_over_pairs():
    one = np.array([[0, 1, 2, 3], [0, 1, 2, 0]])
    other = np.array([[9, 9, 9, 9], [0, 1, 2, 3], [0, 1, 0, 0]])
    np.testing.assert_array_equal(experiments.disagreement(one), [0.25])
    np.testing.assert_array_equal(experiments.disagreement(one, other), [1, 0, 0.5, 1, 0.25, 0.25])


# --- training in single precision ---------------------------------------------------------------


def test_train_on_digits_in_single_precision():
    run = experiments.train_on_digits(
        "relu", "he_normal", hidden=(32,), epochs=5, replicas=2, dtype="float32"
    )
    assert run.net.dtype == np.float32
    assert run.history.validation_accuracy[-1].min() > 0.85


def test_deep_units_are_dead_more_often():
    """30 layers: the median over 20 nets is far from 0, that of layer 1 is 0 (2^-50 a unit)."""
    found = experiments.signals((40,) * 31, "relu", "he_normal", batch=50)
    assert found["dead"][0].max() == 0
    assert np.median(found["dead"][28]) > 0.1
    assert set(found.values) >= {"dead", "cosine"} and isinstance(found, probes.LayerStatistics)


@pytest.mark.parametrize(
    ("call", "error", "says"),
    [
        (lambda: experiments.kept_share("cauchy"), ValueError, "`law` must be"),
        (lambda: experiments.kept_share("normal", n=0), ValueError, "`n` must be"),
        (lambda: experiments.kept_share("normal", bias=np.nan), ValueError, "`bias` must be"),
        (lambda: experiments.signals((3, 2), "relu", "zeros", batch=0), ValueError, "`batch`"),
        (lambda: experiments.signals((3,), "relu", "zeros"), ValueError, "`widths` must be"),
        (lambda: experiments.epochs_to([0.1], 0.5), ValueError, "`accuracy` must be"),
        (lambda: experiments.epochs_to([[0.1]], 2), ValueError, "`threshold` must be"),
        (lambda: experiments.disagreement([[1, 2]]), ValueError, "`one` must be"),
        (lambda: experiments.disagreement([1, 2]), ValueError, "`one` must be"),
        (lambda: experiments.disagreement([[1, 2]], [[1]]), ValueError, "`other` must be"),
    ],
)
def test_bad_input_is_named(call, error, says):
    with pytest.raises(error, match=says):
        call()
