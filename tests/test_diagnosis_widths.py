"""`diagnose.widths`: exponents that are known, of starts and rates that are known, and its errors.

Standard starts have the first change of a hidden layer and of the logits grow with the width, and
the exponents lie between 1/2 and 1; μP keeps both (Yang et al. 2022). Every seed is fixed.
"""

import os

import numpy as np
import pytest

os.environ.setdefault("KERAS_BACKEND", "jax")

import keras  # noqa: E402

import initcore  # noqa: E402
from initcore import blocks, datasets, network, optimizers  # noqa: E402
from initcore.diagnosis import Scaling, diagnose  # noqa: E402
from initcore.losses import LOSSES  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

DIGITS = datasets.load_digits()
X, Y = (DIGITS.x[:64] - DIGITS.x.mean()) / DIGITS.x.std(), DIGITS.y[:64]
WIDTHS, BASE, RATE = (64, 128, 256, 512), 64, 1e-3


def standard(width, seed, **options):
    options = {"weights": "lecun_normal", "dtype": "float32"} | options
    return network.MLP((64, width, width, 10), "tanh", seed=seed, **options)


def mup(width, seed):
    """Return a net whose output weights shrink as 1/width, and not as its root."""
    net = standard(width, seed)
    net.weights[-1] *= np.float32((BASE / width) ** 0.5)
    return net


class Each:
    """An optimizer with a rate for each array."""

    def __init__(self, kind, rates):
        self.parts = [kind(rate) for rate in rates]

    def start(self, parameters):
        for part, p in zip(self.parts, parameters):
            part.start([p])

    def step(self, parameters, gradients):
        for part, p, g in zip(self.parts, parameters, gradients):
            part.step([p], [g])


def mup_adam(net):
    n = net.widths[1] / BASE
    return Each(optimizers.Adam, [RATE * f for f in (1, 1 / n, 1 / n, 1, 1, 1)])


def mup_sgd(net):
    n = net.widths[1] / BASE
    return Each(optimizers.SGD, [0.05 * f for f in (n, 1, 1 / n, n, n, 1)])


def test_a_standard_start_with_adam_changes_more_the_wider_it_is():
    found = diagnose.widths(standard, X, Y, WIDTHS)
    assert found.layers == {"layer 1": "input", "layer 2": "hidden", "layer 3": "output"}
    assert found.rms.shape == (3, 4, 4, 8) and found.slopes.shape == (3, 4, 8)
    first, hidden, output = np.median(found.slopes[:, 1], axis=1)  # after a step
    assert abs(first) < 0.05 and 0.5 < hidden < 1 and 0.7 < output < 1.4
    assert np.abs(np.median(found.slopes[:, 0], axis=1)).max() < 0.15  # at birth
    assert [drift[:2] for drift in found.drifts] == [("layer 2", "change"), ("layer 3", "change")]
    assert all(low <= slope <= high for _, _, slope, (low, high) in found.drifts)
    assert not found.ok and found.verdict.startswith("2 of 3 layers do not keep")


@pytest.mark.parametrize("optimizer", [mup_adam, mup_sgd])
def test_with_mup_nothing_grows_or_vanishes(optimizer):
    found = diagnose.widths(mup, X, Y, WIDTHS, optimizer=optimizer)
    assert found.ok and found.verdict == "Every layer keeps its scale across widths"
    assert np.abs(np.median(found.slopes[:2, 1:], axis=-1)).max() < 0.1
    assert np.median(found.slopes[2, 0]) == pytest.approx(-0.5, abs=0.2)  # logits at birth
    assert "What keeps it" not in str(found)


@pytest.mark.parametrize(
    ("make_model", "optimizer", "signs"),
    [
        (standard, mup_adam, {"layer 3": 1}),
        (mup, RATE, {"layer 2": 1, "layer 3": 1}),
        (standard, mup_sgd, {"layer 1": 1, "layer 2": 1, "layer 3": 1}),
        (mup, optimizers.SGD(0.05), {"layer 1": -1, "layer 2": -1}),
    ],
    ids=["rates of Adam", "start with Adam", "rates of SGD", "start with SGD"],
)
def test_half_of_mup_does_not_do(make_model, optimizer, signs):
    found = diagnose.widths(make_model, X, Y, WIDTHS, optimizer=optimizer)
    drifts = {drift.layer: np.sign(drift.slope) for drift in found.drifts}
    assert signs.items() <= drifts.items() and not found.ok


def test_the_first_layer_hardly_learns_with_one_rate_of_sgd():
    found = diagnose.widths(standard, X, Y, WIDTHS, optimizer=optimizers.SGD(0.01), steps=1)
    first, hidden, output = np.median(found.slopes[:, 1], axis=1)
    assert first == pytest.approx(-0.5, abs=0.1)
    assert 0 < hidden < 0.5 < output < 1
    assert [str(drift).partition(" like")[0] for drift in found.drifts] == [
        "layer 1: its change vanishes",
        "layer 3: its change grows",
    ]


def test_the_numbers_are_those_of_a_loop_by_hand():
    found = diagnose.widths(standard, X, Y, (8, 16), steps=2, seeds=2, optimizer=0.01)
    net, adam = standard(16, 1), optimizers.Adam(0.01)
    adam.start(net.parameters())
    births = net.forward(X).pre_activations
    for step in range(3):
        sums = net.forward(X).pre_activations
        for layer, (z, birth) in enumerate(zip(sums, births)):
            z = z.astype("float64") - (birth if step else 0)
            assert found.rms[layer, step, 1, 1] == pytest.approx(np.sqrt(np.mean(z**2)), rel=1e-4)
        _, gradients = net.loss_and_gradients(
            X.astype("float32"), Y, LOSSES["softmax_cross_entropy"]
        )
        adam.step(net.parameters(), gradients.parameters())
    octave = np.log2(found.rms[:, :, 1] / found.rms[:, :, 0])
    np.testing.assert_allclose(found.slopes, octave, rtol=1e-9)


def test_an_exponent_is_the_slope_of_a_power_of_the_width():
    widths, powers = (4, 8, 32), np.array([[0.5, 0.0], [-0.5, 1.0]])
    rms = 3.0 * np.array(widths)[:, None] ** powers[:, :, None, None] * np.ones(2)
    found = Scaling({"a": "input", "b": "output"}, widths, rms)
    np.testing.assert_allclose(found.slopes, np.repeat(powers[..., None], 2, axis=-1), atol=1e-12)
    # Logits may vanish at birth; what is born growing, and what changes more, is named.
    assert [drift[:3] for drift in found.drifts] == [
        ("a", "at birth", pytest.approx(0.5)),
        ("b", "change", pytest.approx(1.0)),
    ]


@pytest.mark.parametrize(
    ("role", "birth", "change", "drifts"),
    [
        ("hidden", -0.5, -0.5, ["at birth"]),
        ("output", -0.5, -0.5, []),
        ("other", -0.5, -0.6, []),
        ("output", -0.5, -0.8, ["change"]),
        ("output", 0.0, -0.3, ["change"]),
        ("hidden", 0.2, 0.2, []),
        ("hidden", 0.3, 0.3, ["at birth", "change"]),
        ("input", 0.0, np.nan, []),
        ("input", 0.0, np.inf, ["change"]),
    ],
)
def test_what_is_a_drift(role, birth, change, drifts):
    rms = np.array([2.0, 4.0]) ** np.array([[[birth], [change]]])
    rms = np.nan_to_num(rms, nan=0.0, posinf=np.inf)[..., None]
    found = Scaling({"a": role}, (2, 4), rms)
    assert [drift.what for drift in found.drifts] == drifts
    if np.isinf(change):
        assert "is not finite, or is 0, at some widths" in str(found)


def test_a_drift_is_beyond_the_limit_in_nearly_all_nets():
    rms = np.array([2.0, 4.0])[:, None] ** np.array([0.0, 0.9, 0.9])
    assert Scaling({"a": "hidden"}, (2, 4), np.stack([np.ones((2, 3)), rms])[None]).ok


def test_a_layer_may_stand_still_and_a_net_may_not():
    found = diagnose.widths(lambda width: standard(width, 0, weights="zeros"), X, Y, (4, 8))
    assert found.ok and not found.rms[:2].any()  # the output's biases move alone
    assert str(found.table()).splitlines()[1].split() == ["layer", "1", "input", *"0000"]
    still = Scaling({"a": "hidden"}, (2, 4), np.stack([np.ones((2, 1)), np.zeros((2, 1))])[None])
    assert still.verdict == "No layer learns" and not still.ok
    assert str(still.table()).split() == "layer weight at birth step 1 a hidden 0.00 0".split()


def test_equal_nets_are_one_and_replicas_are_several():
    def alike(width):
        return standard(width, 3)

    assert diagnose.widths(alike, X, Y, (4, 8)).rms.shape[-1] == 1
    several = diagnose.widths(lambda width: standard(width, 3, replicas=4), X, Y, (4, 8), seeds=1)
    assert several.rms.shape[-1] == 4 and "4 nets of each" in str(several)


def test_blocks_and_squared_errors_are_followed_too():
    def residual(width, seed):
        return blocks.ResidualMLP((64, width, 10), "relu", blocks=1, normalise=True, seed=seed)

    found = diagnose.widths(residual, X, np.eye(10)[Y], (8, 16), seeds=2)
    assert [*found.layers.values()] == ["input", "hidden", "hidden", "output"]
    assert "squared error" in str(found) and (found.rms > 0).all()


def test_an_output_multiplier_counts():
    """The last layer is judged by what the net returns."""

    def scaled(width, seed):
        return standard(width, seed, output_activation=lambda z: z * (8 / width))

    plain = diagnose.widths(standard, X, Y, (8, 32), seeds=2, steps=1)
    found = diagnose.widths(scaled, X, Y, (8, 32), seeds=2, steps=1)
    np.testing.assert_allclose(found.rms[2, 0] * [[1], [4]], plain.rms[2, 0], rtol=1e-6)


def test_the_report_says_what_keeps_it():
    said = str(diagnose.widths(standard, X, Y, (16, 64), seeds=2))
    for line in (
        "widths 16, 64; loss softmax cross entropy, as y holds integers; 2 nets of",
        "layer    weight  at birth",
        "layer 3: its change grows like width^",
        "layers  start (sd)  rate of Adam  rate of SGD",
        "hidden  ÷ √n        ÷ n           the same",
        "output  ÷ n         ÷ n           ÷ n",
    ):
        assert line in said
    assert max(map(len, said.splitlines())) <= 78


# --- Keras.


def keras_net(width):  # of few widths, as each is compiled
    dense = keras.layers.Dense
    hidden = [dense(width, "tanh", kernel_initializer="lecun_normal") for _ in range(2)]
    return keras.Sequential([keras.Input((64,)), *hidden, dense(10)])


def test_a_net_of_keras_has_the_scales_of_the_packages_own():
    def alike(width, seed):
        model, ours = keras_net(width), standard(width, seed)
        model.set_weights([part for pair in zip(ours.weights, ours.biases) for part in pair])
        return model

    x, sgd = X.astype("float32"), keras.optimizers.SGD(0.05)
    found = diagnose.widths(alike, x, Y, (16, 64), seeds=2, optimizer=sgd)
    ours = diagnose.widths(standard, X, Y, (16, 64), seeds=2, optimizer=optimizers.SGD(0.05))
    assert [*found.layers.values()] == [*ours.layers.values()]
    np.testing.assert_allclose(found.rms, ours.rms, rtol=1e-3)
    assert "sparse_categorical_crossentropy" in str(found)


def test_one_net_of_keras_is_trained_as_keras_trains_it():
    keras.utils.set_random_seed(0)
    model = keras_net(16)
    start = model.get_weights()
    x = X.astype("float32")
    nets, optimizer = {16: model, 64: keras_net(64)}, keras.optimizers.Adam(0.01)
    diagnose.widths(nets.get, x, Y, (16, 64), seeds=1, optimizer=optimizer)
    assert not optimizer.built  # the one that is given keeps no state
    twin = keras_net(16)
    twin.set_weights(start)
    twin.compile(optimizer, keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    for _ in range(3):
        twin.train_on_batch(x, Y)
    for ours, theirs in zip(model.get_weights(), twin.get_weights()):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-6)


def test_logits_of_keras_behind_a_multiplier_and_softmax():
    def net(width):
        model = keras_net(width)
        last = [keras.layers.Rescaling(8 / width), keras.layers.Softmax()]
        return keras.Sequential([model, *last])

    found = diagnose.widths(net, X.astype("float32"), Y, (16, 64), seeds=1, steps=1)
    logits = [name for name, role in found.layers.items() if role == "output"]
    assert len(logits) == 1 and np.median(found.slopes[-1, 0]) < -0.7


# --- What does not fit.


@pytest.mark.parametrize(
    ("change", "error", "said"),
    [
        ({"make_model": standard(8, 0)}, TypeError, "make_model.*a function that makes a model"),
        ({"make_model": lambda width: 3}, TypeError, "make_model.*can be trained.*3"),
        ({"make_model": lambda width: {"a": np.ones((2, 2))}}, TypeError, "can be trained"),
        (
            {"make_model": lambda width: network.MLP([64, *[width] * (width // 8), 10])},
            ValueError,
            "make_model.*as many layers",
        ),
        ({"widths": (8,)}, ValueError, "widths.*at least two"),
        ({"widths": (16, 8)}, ValueError, "widths.*narrowest"),
        ({"widths": (8, 8)}, ValueError, "widths.*narrowest"),
        ({"widths": 8}, TypeError, "widths"),
        ({"widths": (8.0, 16.0)}, TypeError, "widths"),
        ({"steps": 0}, ValueError, "steps"),
        ({"seeds": 0}, ValueError, "seeds"),
        ({"y": None}, ValueError, "y.*targets"),
        ({"y": Y + 10}, ValueError, "y.*targets"),
        ({"y": Y[:5]}, ValueError, "y"),
        ({"optimizer": -1.0}, ValueError, "optimizer.*above 0"),
        ({"optimizer": True}, TypeError, "optimizer"),
        ({"optimizer": optimizers.Adam}, TypeError, "optimizer.*a rate"),
        ({"optimizer": "adan"}, ValueError, "optimizer"),
        ({"optimizer": lambda net: 3}, TypeError, "optimizer"),
        ({"loss": "mse"}, ValueError, "loss"),
    ],
)
def test_what_does_not_fit_is_named(change, error, said):
    given = {"make_model": standard, "x": X, "y": Y, "widths": (8, 16), "seeds": 1}
    with pytest.raises(error, match=said):
        diagnose.widths(**given | change)


def test_it_is_an_attribute_of_the_function():
    assert initcore.diagnose.widths is initcore.diagnosis.widths is diagnose.widths
