"""Symmetry: what must stay equal does, the narrow twin is exact, the libraries have the traps."""

import os

import numpy as np
import pytest

from initcore import activations, experiments, initializers, losses, network, probes, training

os.environ.setdefault("KERAS_BACKEND", "jax")

EPOCHS = {"epochs": 1, "replicas": 2}
HALF = initializers.Constant(0.5)
SHORT = {"learning_rate": 0.1, "units": 4, "epochs": 1}


# --- which zero is fatal ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def blocks():
    return {
        phi: experiments.which_zero_is_fatal(
            phi, replicas=2, last_levels=("zero", "random"), **SHORT
        )
        for phi in ("tanh", "sigmoid", "relu")
    }


def test_every_combination_is_there_once(blocks):
    runs = blocks["tanh"]
    assert len(runs.starts) == len(set(runs.starts)) == 18
    for numbers in (runs.accuracy, runs.distinct, runs.effective_rank):
        assert numbers.shape == (18, 2)
    row = runs.where("random", "zero", "constant")
    assert runs.starts[row] == ("random", "zero", "constant")
    assert runs.median(*runs.starts[row]) == np.median(runs.accuracy[row])


def test_units_stay_equal_where_the_proposition_says_so(blocks):
    """Equal first weights, biases and last weights: one unit. A random block: all differ."""
    for phi, runs in blocks.items():
        for row, (first, last, biases) in enumerate(runs.starts):
            equal = "random" not in (first, last, biases)
            is_dead_relu = phi == "relu" and (first, biases) == ("zero", "zero")
            expected = 1 if equal or is_dead_relu else 4
            assert (runs.distinct[row] == expected).all(), (phi, first, last, biases)


def test_rank_of_what_stays_equal(blocks):
    for phi, runs in blocks.items():
        for row, start in enumerate(runs.starts):
            if (runs.distinct[row] == 1).all():
                dead = start == ("zero", "zero", "zero") and phi != "sigmoid"
                dead |= phi == "relu" and (start[0], start[2]) == ("zero", "zero")
                np.testing.assert_allclose(runs.effective_rank[row], 0 if dead else 1, atol=1e-6)


def test_relu_units_that_are_multiples_stay_so(blocks):
    """Zero weights, random biases: distinct units, but a rank of one."""
    row = blocks["relu"].where("zero", "zero", "random")
    assert (blocks["relu"].distinct[row] == 4).all()
    np.testing.assert_allclose(blocks["relu"].effective_rank[row], 1, atol=1e-6)
    row = blocks["tanh"].where("zero", "zero", "random")
    assert (blocks["tanh"].effective_rank[row] > 1.01).all()


def test_constant_last_weights_are_as_good_as_zero():
    """A softmax does not see a number added to all outputs."""
    runs = experiments.which_zero_is_fatal(
        "tanh", replicas=2, last_levels=("zero", "constant"), **SHORT
    )
    rows = [runs.where("random", last, "zero") for last in ("zero", "constant")]
    np.testing.assert_allclose(runs.effective_rank[rows[0]], runs.effective_rank[rows[1]])
    np.testing.assert_allclose(runs.accuracy[rows[0]], runs.accuracy[rows[1]])


def test_a_block_run_is_train_on_digits(blocks):
    run = experiments.train_on_digits(
        "sigmoid",
        [initializers.Constant(0.05), "glorot_uniform"],
        biases=[initializers.RandomNormal(stddev=0.5), "zeros"],
        hidden=(4,),
        optimizer=training.SGD(0.1, momentum=0.9),
        epochs=1,
        replicas=3,
    )
    runs = blocks["sigmoid"]
    row = runs.where("constant", "random", "random")  # and replica r is the same, whatever R
    accuracy = run.history.validation_accuracy[-1]
    np.testing.assert_allclose(runs.accuracy[row], accuracy[:2])
    rank = probes.effective_rank(run.net.weights[0])
    np.testing.assert_allclose(runs.effective_rank[row], rank[:2])


def test_block_runs_refuse_unknown_levels(blocks):
    with pytest.raises(ValueError, match="`last` must be one of 'random', 'zero'"):
        blocks["tanh"].where("zero", "constant", "zero")
    with pytest.raises(ValueError, match="`last_levels` must be one of"):
        experiments.which_zero_is_fatal("tanh", last_levels=("ones",))


# --- rank over training -------------------------------------------------------------------------


def test_rank_over_training_looks_before_and_after():
    found = experiments.rank_over_training("tanh", "glorot_uniform", hidden=(5, 4), **EPOCHS)
    assert found.effective_rank.shape == (2, 3, 2) and found.distinct.shape == (3, 2)
    assert found.accuracy.shape == (2, 2) and found.median == np.median(found.accuracy[-1])
    fresh = network.MLP((64, 5, 4, 10), weights="glorot_uniform", replicas=2)
    for layer, W in enumerate(fresh.weights):
        np.testing.assert_allclose(found.effective_rank[0, layer], probes.effective_rank(W))
    W = found.run.net.weights[1]
    np.testing.assert_allclose(found.effective_rank[1, 1], probes.effective_rank(W))


@pytest.mark.parametrize("phi", ["tanh", "sigmoid", "relu"])
def test_dropout_parts_equal_units_unless_all_is_zero(phi):
    options = {"hidden": (6, 6), "dropout": 0.5, **EPOCHS}
    from_half = experiments.rank_over_training(phi, HALF, **options)
    assert (from_half.distinct[:2] == 6).all()
    from_zero = experiments.rank_over_training(phi, "zeros", **options)
    assert (from_zero.distinct[:2] == (6 if phi == "sigmoid" else 1)).all()


@pytest.mark.parametrize("optimizer", [training.SGD(0.1, momentum=0.9), training.Adam(0.01)])
@pytest.mark.parametrize("phi", ["tanh", "sigmoid", "relu", "gelu"])
def test_equal_units_stay_equal_under_any_optimizer(phi, optimizer):
    run = experiments.train_on_digits(phi, HALF, hidden=(6, 6), optimizer=optimizer, **EPOCHS)
    for W, b in zip(run.net.weights[:2], run.net.biases[:2]):
        assert (probes.distinct_units(W, b) == 1).all()


# --- full-batch steps ---------------------------------------------------------------------------


def test_full_batch_steps_are_plain_gradient_descent():
    nets = experiments.full_batch_steps("tanh", HALF, learning_rate=0.3, steps=2, hidden=(3,))
    digits = experiments.split_digits().train
    net = network.MLP((64, 3, 10), "tanh", weights=HALF)
    history = training.fit(
        net, *digits, optimizer=training.SGD(0.3), epochs=2, batch_size=len(digits.y)
    )
    for p, q in zip(net.parameters(), nets[2].parameters()):
        np.testing.assert_allclose(p, q, atol=1e-12)
    loss = [losses.softmax_cross_entropy(n.predict(digits.x), digits.y)[0] for n in nets]
    np.testing.assert_allclose(history.loss, loss)


def test_sigmoid_layers_leave_zero_from_the_top():
    nets = experiments.full_batch_steps("sigmoid", hidden=(3, 3, 3), steps=4)
    left = [[bool(W.any()) for W in net.weights] for net in nets]
    assert left == [[layer >= 4 - step for layer in range(4)] for step in range(5)]


@pytest.mark.parametrize("bad", [{"learning_rate": 0.0}, {"steps": 0}])
def test_full_batch_steps_refuse(bad):
    with pytest.raises(ValueError, match=f"`{next(iter(bad))}` must be"):
        experiments.full_batch_steps("tanh", **bad)


# --- the narrow twin ----------------------------------------------------------------------------


@pytest.mark.parametrize("phi", ["tanh", "sigmoid", "softplus"])
def test_a_net_of_equal_units_is_a_narrow_net_with_other_rates(phi):
    twin = experiments.narrow_twin(phi, constant=0.1, width=5, epochs=2, replicas=2)
    assert twin.gap.shape == (2,) and twin.gap.max() < 1e-9
    np.testing.assert_array_equal(twin.wide, twin.twin)


def test_the_narrow_net_with_one_rate_is_another():
    twin = experiments.narrow_twin(width=5, epochs=1, replicas=2)
    plain = experiments.train_on_digits(
        "tanh",
        "glorot_uniform",
        hidden=(1, 1),
        optimizer=training.SGD(0.05, momentum=0.9),
        **EPOCHS,
    )
    np.testing.assert_array_equal(twin.narrow, plain.history.validation_accuracy[-1])
    with pytest.raises(ValueError, match="`width` must be"):
        experiments.narrow_twin(width=0)


# --- branches -----------------------------------------------------------------------------------


def test_branches_that_share_everything_stay_copies():
    found = experiments.two_branches(units=5, **EPOCHS)
    assert found.gap.max() < 1e-10 and (found.distinct == 5).all()
    assert (found.effective_rank < 5.001).all() and found.accuracy.shape == (2,)


@pytest.mark.parametrize(
    "sharing",
    [{"heads": "own"}, {"kernels": "own"}, {"kernels": "own", "heads": "own"}],
)
def test_branches_that_share_less_part(sharing):
    found = experiments.two_branches(units=5, **sharing, **EPOCHS)
    assert found.gap.min() > 0.1 and (found.distinct == 10).all()


@pytest.mark.parametrize(
    ("phi", "stay"), [("tanh", True), ("softsign", True), ("sigmoid", False), ("relu", False)]
)
def test_sign_twins_stay_twins_where_phi_is_odd(phi, stay):
    assert (activations.get(phi).parity == "odd") == stay
    found = experiments.two_branches(phi, sign=-1, units=5, **EPOCHS)
    assert (found.distinct == 10).all()
    assert (found.gap.max() < 1e-10) == stay


def test_replicas_of_branches_do_not_depend_on_their_number():
    two, three = (experiments.two_branches(units=3, epochs=1, replicas=r) for r in (2, 3))
    np.testing.assert_allclose(two.effective_rank, three.effective_rank[:2])
    assert len(np.unique(three.effective_rank)) == 3


@pytest.mark.parametrize(
    ("bad", "error"),
    [
        ({"kernels": "same"}, ValueError),
        ({"heads": None}, TypeError),
        ({"sign": 0}, ValueError),
        ({"sign": 1.0}, TypeError),
        ({"units": 0}, ValueError),
    ],
)
def test_branches_refuse(bad, error):
    with pytest.raises(error, match=f"`{next(iter(bad))}` must be"):
        experiments.two_branches(**bad)


# --- what the chapter says of the libraries -----------------------------------------------------


def test_one_unseeded_keras_object_repeats_itself():
    import keras

    def kernels(*inits):
        layers = [keras.layers.Dense(4, kernel_initializer=init) for init in inits]
        for layer in layers:
            layer.build((None, 4))
        return [np.asarray(layer.kernel) for layer in layers]

    one, seeded = keras.initializers.GlorotUniform(), keras.initializers.GlorotUniform(seed=7)
    assert np.array_equal(*kernels(one, one)) and np.array_equal(*kernels(seeded, seeded))
    assert not np.array_equal(*kernels("glorot_uniform", "glorot_uniform"))
    bias = keras.layers.Dense(4)
    bias.build((None, 4))
    assert not np.asarray(bias.bias).any()


def test_slopes_at_zero_and_keys_in_jax():
    import jax
    import keras
    from jax import numpy as jnp

    assert float(jax.grad(jax.nn.relu)(0.0)) == float(jax.grad(keras.ops.relu)(0.0)) == 0
    assert float(jax.grad(lambda z: jnp.maximum(z, 0.0))(0.0)) == 0.5
    draw, key = jax.nn.initializers.glorot_uniform(), jax.random.key(0)
    assert np.array_equal(draw(key, (4, 4)), draw(key, (4, 4)))
    first, second = (draw(k, (4, 4)) for k in jax.random.split(key))
    assert not np.array_equal(first, second)
