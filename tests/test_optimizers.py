"""SGD and Adam: against sums written out, and against Keras."""

import copy
import os

import jax
import numpy as np
import pytest

from initcore import optimizers
from initcore.optimizers import SGD, Adam

os.environ["KERAS_BACKEND"] = "jax"  # read when Keras is imported, in one test below

STEPS = 7
SHAPES = [(3, 2), (2,), ()]


def draw(seed=0):
    """Return parameters, and the gradients of several steps."""
    rng = np.random.default_rng(seed)
    parameters = [rng.standard_normal(shape) for shape in SHAPES]
    return parameters, [[rng.standard_normal(s) for s in SHAPES] for _ in range(STEPS)]


def run(optimizer, parameters, gradients):
    """Return the parameters after each step."""
    parameters = [np.array(p) for p in parameters]
    optimizer.start(parameters)
    path = []
    for g in gradients:
        optimizer.step(parameters, g)
        path.append([p.copy() for p in parameters])
    return path


@pytest.mark.parametrize("momentum", [0.0, 0.5, 0.9])
def test_sgd_is_the_sum_of_decaying_gradients(momentum):
    """v_t = -η Σ_i μ^(t-i) g_i and p_t = p_0 + Σ_i v_i, without a recursion."""
    parameters, gradients = draw()
    path = run(SGD(0.03, momentum=momentum), parameters, gradients)
    for t in range(1, STEPS + 1):
        for k, p in enumerate(parameters):
            moves = [
                -0.03 * sum(momentum ** (j - i) * gradients[i][k] for i in range(j + 1))
                for j in range(t)
            ]
            np.testing.assert_allclose(path[t - 1][k], p + sum(moves), rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize("epsilon", [1e-8, 0.1])
@pytest.mark.parametrize(("beta_1", "beta_2"), [(0.9, 0.999), (0.5, 0.8), (0.0, 0.9), (0.9, 0.0)])
def test_adam_divides_the_means_it_has_corrected(beta_1, beta_2, epsilon):
    """The corrected means are weighted averages of all gradients, written out as such."""
    parameters, gradients = draw()
    path = run(Adam(0.02, beta_1, beta_2, epsilon), parameters, gradients)
    for k, p in enumerate(parameters):
        expected = p
        for t in range(1, STEPS + 1):
            so_far = np.stack([g[k] for g in gradients[:t]])
            weights = [[beta ** (t - 1 - i) for i in range(t)] for beta in (beta_1, beta_2)]
            mean = np.average(so_far, axis=0, weights=weights[0])
            square = np.average(so_far**2, axis=0, weights=weights[1])
            expected = expected - 0.02 * mean / (np.sqrt(square) + epsilon)
            np.testing.assert_allclose(path[t - 1][k], expected, rtol=1e-12, atol=1e-14)


def test_both_agree_with_keras():
    """Keras adds its epsilon to another place, so here it is too small to matter."""
    import keras  # here, because it takes seconds

    parameters, gradients = draw(1)
    with jax.enable_x64(True):
        for ours, theirs in (
            (SGD(0.03), keras.optimizers.SGD(0.03)),
            (SGD(0.03, momentum=0.9), keras.optimizers.SGD(0.03, momentum=0.9)),
            (Adam(0.02, epsilon=1e-30), keras.optimizers.Adam(0.02, epsilon=1e-30)),
        ):
            path = run(ours, parameters, gradients)
            variables = [keras.Variable(p, dtype="float64") for p in parameters]
            theirs.build(variables)
            for expected, g in zip(path, gradients, strict=True):
                theirs.apply([keras.ops.convert_to_tensor(a, "float64") for a in g])
                for p, v in zip(expected, variables, strict=True):
                    # Keras keeps its rate and its decays as float32.
                    np.testing.assert_allclose(p, np.asarray(v.value), rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("make", [lambda: SGD(0.1, momentum=0.9), lambda: Adam(0.1)])
def test_steps_are_in_place_and_a_start_forgets(make):
    parameters, gradients = draw()
    arrays = [p.copy() for p in parameters]
    kept = copy.deepcopy(gradients)
    optimizer = make()
    optimizer.start(arrays)
    ids = [id(p) for p in arrays]
    optimizer.step(arrays, gradients[0])
    assert [id(p) for p in arrays] == ids
    assert all((a != p).all() for a, p in zip(arrays, parameters, strict=True))
    first = run(make(), parameters, gradients)
    again = run(optimizer, parameters, gradients)  # used before
    for a, b in zip(first[-1], again[-1], strict=True):
        np.testing.assert_array_equal(a, b)
    for step, same in zip(gradients, kept, strict=True):
        for g, h in zip(step, same, strict=True):
            np.testing.assert_array_equal(g, h)


@pytest.mark.parametrize("make", [lambda: SGD(0.1, momentum=0.9), lambda: Adam(0.1)])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_arrays_that_move_together_move_as_they_do_alone(make, dtype, monkeypatch):
    """To the last bit, whichever arrays stand together, and with gradients that are views."""
    shapes = [(3, 2), (40, 30), (7,), (), (90, 80, 2), (90, 80), (4, 5), (2,)]
    rng = np.random.default_rng(3)
    start = [np.array(rng.standard_normal(shape), dtype) for shape in shapes]
    steps = [[rng.standard_normal(s[::-1]).astype(dtype).T for s in shapes] for _ in range(3)]
    together = run(make(), start, steps)
    alone = [run(make(), [p], [[g[k]] for g in steps]) for k, p in enumerate(start)]
    monkeypatch.setattr(optimizers, "TOGETHER", 50)
    fewer = run(make(), start, steps)
    for path in (fewer, [[a[t][0] for a in alone] for t in range(3)]):
        for ours, theirs in zip(together, path, strict=True):
            for p, q in zip(ours, theirs, strict=True):
                assert p.dtype == q.dtype == dtype
                np.testing.assert_array_equal(p, q)


@pytest.mark.parametrize("optimizer", [SGD(0.1, momentum=0.9), Adam(0.1)])
def test_float32_stays_float32(optimizer):
    p = np.ones(3, np.float32)
    optimizer.start([p])
    optimizer.step([p], [np.ones(3, np.float32)])
    assert p.dtype == np.float32
    np.testing.assert_allclose(p, 0.9, rtol=1e-6)


@pytest.mark.parametrize(
    ("optimizer", "name", "values"),
    [
        (SGD, "learning_rate", [-0.1, 0.0, np.nan, np.inf, True, "0.1", None]),
        (SGD, "momentum", [1.0, -0.1, False]),
        (Adam, "learning_rate", [0.0, "0.1"]),
        (Adam, "beta_1", [1.0, -1e-9]),
        (Adam, "beta_2", [1.0, np.nan]),
        (Adam, "epsilon", [0.0, 1e-40]),
    ],
)
def test_bad_settings_are_named(optimizer, name, values):
    for value in values:
        with pytest.raises((ValueError, TypeError), match=f"`{name}` must be a finite number"):
            optimizer(**{name: value})


@pytest.mark.parametrize("make", [lambda: SGD(0.1), lambda: Adam(0.1)])
def test_a_step_that_does_not_fit_changes_nothing(make):
    p, g = [np.ones((2, 3)), np.ones(3)], [np.ones((2, 3)), np.ones(3)]
    with pytest.raises(ValueError, match="`parameters` must be arrays .* that `start` was given"):
        make().step(p, g)
    optimizer = make()
    optimizer.start(p)
    for parameters, gradients, name in (
        ([np.ones((3, 2)), p[1]], g, "parameters"),
        (p, g[:1], "gradients"),
        (p, [g[0], np.ones(1)], "gradients"),  # would be broadcast
    ):
        with pytest.raises(ValueError, match=f"`{name}` must be arrays of the shapes"):
            optimizer.step(parameters, gradients)
    assert all((a == 1).all() for a in p)
    with pytest.raises(TypeError, match=r"`parameters\[0\]` must be an array of floats"):
        make().start([np.ones(2, int)])
