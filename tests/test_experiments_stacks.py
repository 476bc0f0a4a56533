"""Pretraining at work: the runs, the yardsticks and the small machines, each by another way."""

import numpy as np
import pytest

from initcore import datasets, experiments, training
from initcore.experiments import stacks

SMALL = {"optimizer": training.SGD(0.1), "epochs": 1, "pretraining_epochs": 1}


def test_pixels_are_the_digits_from_0_to_1():
    train, test = experiments.pixels()
    assert (len(train.y), len(test.y)) == (1438, 359)
    both = np.concatenate([train.x, test.x])
    assert both.min() == 0 and both.max() == 1
    assert both.sum() == pytest.approx(datasets.load_digits().x.sum() / 16, rel=1e-12)
    scaled = experiments.split_digits("validation", standardize=False)
    assert np.array_equal(experiments.pixels("validation").test.x * 16, scaled.test.x)


@pytest.mark.parametrize("start", stacks.STACK_STARTS)
def test_a_classifier_from_each_start(start):
    run = experiments.deep_classifier(start, hidden=(8, 6), replicas=2, part="validation", **SMALL)
    assert run.net.widths == (64, 8, 6, 10)
    assert run.history.validation_accuracy.shape == (2, 2) and len(run.test.y) == 288
    pretrained = stacks.STACK_STARTS[start].method is not None
    assert (run.stack is not None) == pretrained
    if pretrained:
        for W, kept in zip(run.start.weights, run.stack.weights, strict=False):
            np.testing.assert_array_equal(W, kept)
    for before, after in zip(run.start.weights, run.net.weights, strict=True):
        assert not np.array_equal(before, after)
    assert run.net.dtype == "float32"


def test_the_random_starts_have_the_scale_of_their_names():
    """Normal bands, 6.5 standard errors of the std: false alarm below 1e-9 each."""
    wanted = {
        "0.01 normal": 0.01,
        "centred sigmoid, gain 4": 4 / np.sqrt(64),
        "tanh, Glorot": np.sqrt(2 / 128),
        "ReLU, He": np.sqrt(2 / 64),
    }
    for start, sd in wanted.items():
        W = experiments.deep_classifier(start, hidden=(64,), **SMALL).start.weights[0]
        assert abs(W.std() / sd - 1) < 6.5 / np.sqrt(2 * W.size), start


def test_shuffled_labels_leave_the_stack_and_change_the_net():
    options = {"hidden": (8,), "replicas": 2} | SMALL
    one = experiments.deep_classifier("RBM stack", **options)
    shuffle = np.random.default_rng(0).permutation
    other = experiments.deep_classifier("RBM stack", labels=shuffle, **options)
    np.testing.assert_array_equal(one.stack.weights[0], other.stack.weights[0])
    assert not np.array_equal(one.net.weights[0], other.net.weights[0])


def test_the_probe_is_for_the_pretraining():
    seen = []
    experiments.deep_classifier("RBM stack", hidden=(8, 6), replicas=2, probe=seen.append, **SMALL)
    assert len(seen) == 3


@pytest.mark.parametrize("start", ["autoencoder stack", "RBM stack", "tanh, Glorot"])
def test_a_deep_autoencoder_is_mirrored(start):
    run = experiments.deep_autoencoder(start, encoder=(10, 4), replicas=2, **SMALL)
    assert run.net.widths == (64, 10, 4, 10, 64)
    if run.stack is not None:
        for decoder, W in zip(run.stack.decoder_weights, run.start.weights[::-1], strict=False):
            np.testing.assert_array_equal(decoder, W)
    back = run.net.predict(run.test.x)
    error = np.square(back - run.test.x.astype(np.float32)).sum(axis=-1).mean(axis=-1)
    np.testing.assert_allclose(run.history.validation_loss[-1], error, rtol=1e-5)


def test_a_replica_does_not_depend_on_how_many_there_are():
    runs = [
        experiments.deep_autoencoder(
            "RBM stack", encoder=(10, 4), replicas=r, dtype="float64", **SMALL
        )
        for r in (1, 3)
    ]
    for one, three in zip(runs[0].net.weights, runs[1].net.weights, strict=True):
        np.testing.assert_allclose(one[0], three[0], rtol=1e-9)


def test_a_stack_of_the_stuck_net_trains_where_it_alone_does_not():
    """The chapter's finding on a smaller budget: three hidden layers, eight epochs."""
    options = {"optimizer": training.SGD(0.1, momentum=0.9), "hidden": (32,) * 4, "epochs": 8}
    options |= {"replicas": 3, "pretraining_epochs": 5}
    stuck = experiments.deep_classifier("0.01 normal", **options).history.validation_accuracy[-1]
    assert stuck.max() < 0.2
    for start in ("autoencoder stack", "RBM stack"):
        history = experiments.deep_classifier(start, **options).history
        assert history.validation_accuracy[-1].min() > 0.8


def test_unknown_starts_are_refused():
    for train in (experiments.deep_classifier, experiments.deep_autoencoder):
        with pytest.raises(ValueError, match="Did you mean 'RBM stack'"):
            train("RBM stak", **SMALL)


def test_every_start_has_its_tuned_optimizers():
    assert set(stacks.TUNED["classifier"]) == set(stacks.STACK_STARTS)
    for best in stacks.TUNED.values():
        assert set(best) <= set(stacks.STACK_STARTS)
    assert set(stacks.PRETRAINING) == {"autoencoder", "rbm"}


# --- the yardsticks -----------------------------------------------------------------------------


def test_pca_is_that_of_the_covariance():
    train, test = (part.x for part in experiments.pixels())
    mean = train.mean(axis=0)
    values, vectors = np.linalg.eigh(np.cov(train.T))
    U = vectors[:, ::-1][:, :6]
    expected = np.square((test - mean) - (test - mean) @ U @ U.T).sum(axis=1).mean()
    assert experiments.pca_error(train, test, 6) == pytest.approx(expected, rel=1e-10)
    left = values[:-6].sum() * (len(train) - 1) / len(train)  # what the training images lose
    assert experiments.pca_error(train, train, 6) == pytest.approx(left, rel=1e-10)
    assert experiments.pca_error(train, test, 64) == pytest.approx(0, abs=1e-12)
    flat = np.square(test - mean).sum(axis=1).mean()
    assert experiments.mean_image_error(train, test) == pytest.approx(flat, rel=1e-12)
    with pytest.raises(ValueError, match="an array with 64 columns"):
        experiments.pca_error(train, test[:, :5], 6)
    with pytest.raises(ValueError, match="`components` must be an integer at least 0 and at most"):
        experiments.pca_error(train, test, 65)


def test_a_layer_learns_from_activations_and_hardly_from_weights():
    errors = experiments.second_layer_errors(widths=(64, 20, 10), epochs=3, replicas=2)
    assert errors["activations"].max() < 0.5 * errors["weights"].min()
    assert set(errors) == {"activations", "weights", "nothing"}
    # nothing: an RBM near 0 answers one half, whatever it is shown
    assert (errors["nothing"] < 20 / 4).all()


# --- the small machines -------------------------------------------------------------------------


def test_small_machines_cannot_tell_the_three_directions_apart():
    """For W near 0 all are (v - 1/2) / 2 summed, to first order."""
    likelihood, error = experiments.cd1_cosines(1e-4, replicas=5)
    assert likelihood.shape == error.shape == (5,)
    assert likelihood.min() > 0.9999 and error.min() > 0.9999
    likelihood, error = experiments.cd1_cosines(3.0, replicas=5)
    assert np.median(error) < 0.9


def test_smoothness_is_the_correlation_of_neighbours():
    rng = np.random.default_rng(0)
    noise = rng.standard_normal((3, 64, 200))
    assert np.abs(experiments.smoothness(noise)).max() < 6.5 / np.sqrt(2 * 56 * 200)
    pictures = noise.reshape(3, 8, 8, 200)
    pairs = [
        (pictures[1, i, j], pictures[1, i + down, j + 1 - down])
        for down in (0, 1)
        for i in range(8 - down)
        for j in range(7 + down)
    ]
    a, b = np.concatenate(pairs, axis=1)
    assert experiments.smoothness(noise)[1] == pytest.approx(np.corrcoef(a, b)[0, 1], rel=1e-9)
    flat = np.broadcast_to(rng.standard_normal((1, 1, 50)), (1, 9, 50))
    assert experiments.smoothness(flat) == pytest.approx(1)
    with pytest.raises(ValueError, match="square pictures"):
        experiments.smoothness(np.ones((2, 5, 3)))
