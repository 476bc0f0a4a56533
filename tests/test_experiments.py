"""The experiments against literal re-computation and against values known in closed form."""

import numpy as np
import pytest

from initcore import datasets, experiments, training


def test_propagate_is_a_plain_forward_pass():
    cases = {"a": ("tanh", 1.5), "b": ("relu", 0.7)}
    found = experiments.propagate(cases, depth=3, width=6, replicas=2, seed=9)
    rng = np.random.default_rng(9)
    x = rng.standard_normal((2, 6))
    unit = [rng.standard_normal((2, 6, 6)) for _ in range(3)]
    for label, phi, gain in (("a", np.tanh, 1.5), ("b", lambda z: np.maximum(z, 0), 0.7)):
        for r, a in enumerate(x):
            for layer in range(3):
                z = a @ (gain / np.sqrt(6) * unit[layer][r])
                a = phi(z)
                np.testing.assert_allclose(found[label]["q"][layer, r], (z**2).mean())


def test_propagate_gives_each_case_the_same_draws():
    one = experiments.propagate({"x": ("tanh", 1.0)}, depth=2, width=5)
    two = experiments.propagate({"y": ("relu", 2.0), "x": ("tanh", 1.0)}, depth=2, width=5)
    np.testing.assert_array_equal(one["x"]["q"], two["x"]["q"])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_train_on_digits_learns_and_says_what_it_used(dtype):
    options = {"hidden": (32,), "epochs": 4, "replicas": 2, "dtype": dtype}
    run = experiments.train_on_digits("tanh", "glorot_uniform", **options)
    assert run.net.widths == (64, 32, 10) and run.net.dtype == dtype
    assert (len(run.train.y), len(run.test.y)) == (1438, 359)
    assert run.history.validation_accuracy[-1].min() > 0.85
    train, test = datasets.split(datasets.load_digits(), seed=0)
    np.testing.assert_array_equal(run.train.x, train.x)
    np.testing.assert_array_equal(run.test.y, test.y)
    right = run.net.predict(test.x).argmax(axis=-1) == test.y
    np.testing.assert_allclose(run.history.validation_accuracy[-1], right.mean(axis=-1))


def test_train_on_digits_takes_another_optimizer():
    slow = training.SGD(1e-9)
    run = experiments.train_on_digits("tanh", "zeros", hidden=(4,), optimizer=slow, epochs=1)
    np.testing.assert_allclose(run.history.loss, np.log(10), rtol=1e-6)


@pytest.mark.parametrize(
    ("call", "error", "says"),
    [
        (lambda: experiments.propagate({}, depth=1, width=1), ValueError, "`cases` must be"),
        (lambda: experiments.propagate({"a": ("tanh", 0)}, depth=1, width=1), ValueError, "of 'a'"),
        (
            lambda: experiments.propagate({"a": ("tanh", 1)}, depth=1, width=1, seed=True),
            TypeError,
            "`seed` must be",
        ),
    ],
)
def test_bad_input_is_named(call, error, says):
    with pytest.raises(error, match=says):
        call()
