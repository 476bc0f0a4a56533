"""MLP: against JAX's autodiff, against finite differences, and against itself, net by net."""

import math
import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from initcore import activations, blocks, initializers, network
from initcore.losses import LOSSES
from initcore.network import MLP
from initcore.optimizers import SGD, Adam

os.environ["KERAS_BACKEND"] = "jax"  # read when Keras is imported, in one test below

JAX = {
    "linear": lambda z: z,
    "tanh": jnp.tanh,
    "centred_sigmoid": lambda z: jax.nn.sigmoid(z) - 0.5,
    "gelu": lambda z: jax.nn.gelu(z, approximate=False),
    "quick_gelu": lambda z: z * jax.nn.sigmoid(1.702 * z),
    "relu_squared": lambda z: jax.nn.relu(z) ** 2,
    "softsign": jax.nn.soft_sign,
}
SAME = ("sigmoid", "relu", "leaky_relu", "elu", "selu", "silu", "softplus", "mish", "relu6")
SAME += ("hard_tanh", "hard_sigmoid", "hard_silu")
JAX |= {name: getattr(jax.nn, name) for name in SAME}
WIDTHS = (5, 7, 6, 3)


def make(widths=WIDTHS, activation="tanh", **options):
    """Return a network whose biases are random too, so that no gradient is right by chance."""
    options = {"weights": "lecun_normal", "biases": initializers.RandomNormal(stddev=0.5)} | options
    return MLP(widths, activation, **options)


def draw(shape, seed=1):
    return np.random.default_rng([9, seed]).standard_normal(shape)


def jax_passes(net, trace, x, output_gradient, replica):
    """Return JAX's output and gradients of one replica, with the dropout masks of the trace.

    The deltas are its gradients by perturbations that are added to the pre-activations.
    """
    pick = (lambda a: a) if replica is None else (lambda a: a[replica])
    x = pick(x) if x.ndim == 3 else x
    masks = [None if mask is None else pick(mask) for mask in trace.masks]
    weights, biases = [pick(w) for w in net.weights], [pick(b) for b in net.biases]
    zeros = [np.zeros((len(x), n)) for n in net.widths[1:]]

    def run(weights, biases, zeros, x):
        for layer, (w, b, zero) in enumerate(zip(weights, biases, zeros, strict=True)):
            last = layer == len(weights) - 1
            phi = net.output_activation if last else net.activation
            x = JAX[phi.name](x @ w + b + zero)
            if masks[layer] is not None:
                x = x * masks[layer]
        return x

    with jax.enable_x64(True):
        arguments = jax.tree.map(jnp.asarray, (weights, biases, zeros, x))
        output, pull_back = jax.vjp(run, *arguments)
        return output, *pull_back(jnp.asarray(pick(output_gradient)))


def assert_agrees_with_jax(net, x, rng=None):
    x = np.asarray(x)
    trace = net.forward(x, rng=rng)
    output_gradient = draw(trace.output.shape, seed=2)
    gradients = net.backward(trace, output_gradient)
    for replica in [None] if net.replicas is None else range(net.replicas):
        pick = (lambda a: a) if replica is None else (lambda a, r=replica: a[r])
        output, weights, biases, deltas, inputs = jax_passes(
            net, trace, x, output_gradient, replica
        )
        close = {"rtol": 1e-10, "atol": 1e-12}
        np.testing.assert_allclose(pick(trace.output), output, **close)
        np.testing.assert_allclose(pick(gradients.inputs), inputs, **close)
        for ours, theirs in zip(
            [*gradients.weights, *gradients.biases, *gradients.deltas],
            [*weights, *biases, *deltas],
            strict=True,
        ):
            assert pick(ours).shape == theirs.shape
            np.testing.assert_allclose(pick(ours), theirs, **close)
    return trace


# --- Forward and backward.


def test_the_oracle_has_every_activation():
    assert set(JAX) == set(activations.names())


@pytest.mark.parametrize("replicas", [None, 3])
@pytest.mark.parametrize("name", JAX)
def test_every_activation_agrees_with_jax(name, replicas):
    assert_agrees_with_jax(make(activation=name, replicas=replicas), 2.0 * draw((4, 5)))


@pytest.mark.parametrize("hidden", [(), (7,), (7, 6), (7, 6, 5, 7, 6)])
@pytest.mark.parametrize("output", ["sigmoid", "tanh", "relu", "softsign"])
@pytest.mark.parametrize(("replicas", "shape"), [(None, (4, 5)), (2, (4, 5)), (2, (2, 4, 5))])
def test_every_depth_and_output_agrees_with_jax(hidden, output, replicas, shape):
    net = make((5, *hidden, 3), "softplus", replicas=replicas, output_activation=output)
    assert net.depth == len(hidden) and net.n_layers == len(hidden) + 1
    assert_agrees_with_jax(net, draw(shape))


@pytest.mark.parametrize("shape", [(8, 5), (2, 8, 5)])
@pytest.mark.parametrize("name", ["tanh", "relu", "sigmoid"])
def test_dropout_agrees_with_jax_under_the_same_masks(name, shape):
    net = make(activation=name, dropout=0.4, replicas=2)
    trace = assert_agrees_with_jax(net, draw(shape), rng=5)
    assert trace.masks[-1] is None
    for mask in trace.masks[:-1]:
        assert mask.shape[0] == 2 and set(np.unique(mask)) == {0.0, 1.0 / 0.6}


# ---- the product -------------------------------------------------------------------------


SHAPES = [(1, 256, 256), (32, 32, 50), (32, 128, 50), (64, 64, 10), (64, 10, 256), (64, 256, 10)]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("lead", [((), ()), ((3,), (3,)), ((), (3,)), ((3,), ())])
@pytest.mark.parametrize("m,k,n", [*SHAPES, (1, 1, 1), (2, 3, 4)])
def test_the_product_is_the_same_without_blas(m, k, n, lead, dtype, monkeypatch):
    rows, columns = draw((*lead[0], m, k)).astype(dtype), draw((*lead[1], k, n)).astype(dtype)
    other_rows, other_columns = draw((*lead[0], k, m)), draw((*lead[1], n, k))
    pairs = [
        (rows, columns),
        (other_rows.astype(dtype).swapaxes(-1, -2), columns),
        (rows, other_columns.astype(dtype).swapaxes(-1, -2)),
        (np.asfortranarray(rows), columns[..., ::-1, :]),
    ]
    unit = np.finfo(dtype).eps * k
    for a, b in pairs:
        assert (network.product(a, b) == a @ b).all()  # there is a BLAS here
        with monkeypatch.context() as patch:
            patch.setattr(network, "HAS_BLAS", False)
            found = network.product(a, b)
        assert (found.shape, found.dtype) == ((a @ b).shape, dtype)
        assert (np.abs(found - a @ b) <= unit * (np.abs(a) @ np.abs(b))).all()


def test_without_blas_einsum_runs_where_it_was_measured_to_be_faster():
    def along(m, k, n, transposed=False):
        b = np.empty((n, k)).T if transposed else np.empty((k, n))
        return network._einsum_runs_along(np.empty((m, k)), b)

    assert [along(*shape) for shape in SHAPES] == [
        "columns", None, "terms", None, "columns", "terms"
    ]  # fmt: skip
    assert [along(*shape, transposed=True) for shape in SHAPES] == [
        "terms", None, "terms", None, None, "terms"
    ]  # fmt: skip


@pytest.mark.parametrize(
    "build", [make, blocks.BatchNormMLP, lambda w: blocks.ResidualMLP((5, 4, 3), blocks=1)]
)
def test_a_step_has_every_gradient_but_that_by_the_batch(build):
    net, x, y = build(WIDTHS), draw((4, 5)), np.array([0, 1, 2, 0])
    _, step = net.loss_and_gradients(x, y, LOSSES["softmax_cross_entropy"])
    trace = net.forward(x)
    full = net.backward(trace, LOSSES["softmax_cross_entropy"](trace.output, y)[1])
    for ours, theirs in zip(step.parameters(), full.parameters(), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert step.inputs is None and full.inputs.shape == x.shape
    assert "by inputs" in repr(full) and "by inputs" not in repr(step)


@pytest.mark.parametrize("optimizer", [SGD(0.1, momentum=0.9), Adam(0.1)])
@pytest.mark.parametrize("replicas", [None, 2])
def test_what_a_pass_returned_is_not_changed_by_the_next(optimizer, replicas):
    """Nor does a pass change what it is given."""
    net = make(output_activation="tanh", dropout=0.5, replicas=replicas)
    x, y, loss = draw((4, 5)), np.array([0, 1, 2, 0]), LOSSES["softmax_cross_entropy"]
    trace = net.forward(x, rng=0)
    by_output = loss(trace.output, y)[1]
    kept = [net.backward(trace, by_output), net.loss_and_gradients(x, y, loss)[1]]

    def arrays():
        lists = [trace.inputs, trace.pre_activations, trace.activations, trace.masks[:-1]]
        lists += [a for g in kept for a in (g.weights, g.biases, g.deltas)]
        return [x, by_output, kept[0].inputs, *(array for one in lists for array in one)]

    before = [array.copy() for array in arrays()]
    optimizer.start(net.parameters())
    for _ in range(2):
        optimizer.step(net.parameters(), net.loss_and_gradients(x, y, loss)[1].parameters())
        net.backward(net.forward(2 * x, rng=1), by_output)
    for old, new in zip(before, arrays(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_the_memory_of_a_step_is_used_again():
    """On Linux, in a fresh process: each page that it gets anew is a fault. It was 2,000 a step."""
    code = """
import resource, numpy as np
from initcore.losses import LOSSES
from initcore.network import MLP
net, x, y = MLP((50, 50, 50, 50), replicas=32), np.ones((64, 50)), np.zeros((32, 64), int)
faults = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_minflt
counts = []
for _ in range(20):
    before = faults()
    net.loss_and_gradients(x, y, LOSSES["softmax_cross_entropy"])
    counts.append(faults() - before)
print(sorted(counts)[10])
"""
    faults = int(subprocess.check_output([sys.executable, "-c", code], text=True))
    assert faults < 100 or sys.platform != "linux"


def test_every_product_of_the_passes_can_do_without_blas(monkeypatch):
    """With `product` made to fail, nothing passes: none of them is a plain ``@``."""
    x = draw((4, 5))
    nets = [make(), blocks.BatchNormMLP(WIDTHS), blocks.ResidualMLP((5, 4, 3), blocks=1)]
    traces = [net.forward(x) for net in nets]

    def refuse(a, b):
        raise ZeroDivisionError

    for module in (network, blocks):
        monkeypatch.setattr(module, "product", refuse)
    for net, trace in zip(nets, traces, strict=True):
        for work in (net.predict, net.forward, lambda x, n=net, t=trace: n.backward(t, t.output)):
            with pytest.raises(ZeroDivisionError):
                work(x)


@pytest.mark.parametrize("name", sorted(set(JAX) - {"relu", "leaky_relu", "elu", "selu"}))
def test_gradients_are_finite_differences(name):
    """Central differences of step h err by O(h²): 1e-5 leaves eight digits of a smooth loss."""
    net, x = make(activation=name), draw((3, 5))
    direction = draw((3, 3), seed=4)

    def loss():
        return float((net.predict(x) * direction).sum())

    gradients = net.backward(net.forward(x), direction)
    step = 1e-5
    for p, gradient in zip(net.parameters(), gradients.parameters(), strict=True):
        for index in [(0,) * p.ndim, (-1,) * p.ndim]:
            kept = p[index]
            p[index] = kept + step
            above = loss()
            p[index] = kept - step
            difference = (above - loss()) / (2 * step)
            p[index] = kept
            assert gradient[index] == pytest.approx(difference, rel=1e-7, abs=1e-8)


def test_the_trace_is_what_each_layer_did():
    net, x = make(replicas=2, dropout=0.5), draw((4, 5))
    x.flags.writeable = False
    trace = net.forward(x, rng=0)
    assert trace.inputs[0].shape == (4, 5)  # shared, not copied for each replica
    for layer in range(3):
        z = trace.inputs[layer] @ net.weights[layer] + net.biases[layer][:, None, :]
        np.testing.assert_allclose(trace.pre_activations[layer], z, rtol=1e-14, atol=1e-15)
        phi = np.tanh if layer < 2 else np.array
        np.testing.assert_allclose(trace.activations[layer], phi(z), rtol=1e-13, atol=1e-15)
        if layer < 2:
            dropped = trace.activations[layer] * trace.masks[layer]
            np.testing.assert_array_equal(trace.inputs[layer + 1], dropped)
    assert trace.output is trace.activations[-1]
    plain = net.forward(x)
    assert plain.masks == [None] * 3  # without rng no dropout, nor in predict
    np.testing.assert_array_equal(net.predict(x), plain.output)
    many = draw((network.MANY, 5))  # from which on predict takes the replicas one by one
    np.testing.assert_allclose(net.predict(many), net.forward(many).output, rtol=1e-12)
    assert repr(trace) == "Trace(3 layers, output of shape (2, 4, 3))"
    gradients = net.backward(trace, np.ones((2, 4, 3)))
    assert repr(gradients) == "Gradients(3 layers, by inputs of shape (2, 4, 5))"


@pytest.mark.parametrize("name", JAX)
def test_float32_stays_float32_and_near_float64(name):
    nets = [make(activation=name, dtype=dtype, dropout=0.3) for dtype in ("float64", "float32")]
    x, gradient = draw((4, 5)), draw((4, 3), seed=2)
    (wide, wide_back), (narrow, narrow_back) = (
        (trace := net.forward(x, rng=1), net.backward(trace, gradient)) for net in nets
    )
    for ours, exact in zip(
        [*narrow.pre_activations, *narrow.activations, *narrow_back.deltas, narrow_back.inputs]
        + [*nets[1].parameters(), *narrow_back.parameters(), narrow.inputs[1], narrow.masks[0]],
        [*wide.pre_activations, *wide.activations, *wide_back.deltas, wide_back.inputs]
        + [*nets[0].parameters(), *wide_back.parameters(), wide.inputs[1], wide.masks[0]],
        strict=True,
    ):
        assert ours.dtype == np.float32 and exact.dtype == np.float64
        np.testing.assert_allclose(ours, exact, rtol=1e-4, atol=1e-5)


# --- Replicas.


@pytest.mark.parametrize("dropout", [0.0, 0.3])
@pytest.mark.parametrize("shared", [True, False])
def test_replicas_give_the_numbers_of_nets_run_one_by_one(shared, dropout):
    together = make(replicas=5, dropout=dropout)
    alone = make(dropout=dropout)
    x = draw((6, 5) if shared else (5, 6, 5))
    rngs = [np.random.default_rng(r) for r in range(5)]
    trace = together._forward(x, rngs)
    gradient = draw((5, 6, 3), seed=2)
    gradients = together.backward(trace, gradient)
    for r in range(5):
        alone.weights = [w[r] for w in together.weights]
        alone.biases = [b[r] for b in together.biases]
        one = alone._forward(x if shared else x[r], [np.random.default_rng(r)])
        back = alone.backward(one, gradient[r])
        for ours, theirs in zip(
            [*trace.pre_activations, *trace.activations]
            + [*gradients.parameters(), *gradients.deltas, gradients.inputs],
            [*one.pre_activations, *one.activations]
            + [*back.parameters(), *back.deltas, back.inputs],
            strict=True,
        ):
            np.testing.assert_allclose(ours[r], theirs, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("seed", [0, 7, 2**70, np.int64(3)])
def test_a_replica_does_not_depend_on_how_many_there_are(seed):
    few, many, one = (make(replicas=n, seed=seed) for n in (3, 8, None))
    for a, b, c in zip(few.parameters(), many.parameters(), one.parameters(), strict=True):
        np.testing.assert_array_equal(a, b[:3])
        np.testing.assert_array_equal(a[0], c)
        assert len({w.tobytes() for w in b}) == 8  # all different


def test_the_weights_are_drawn_from_the_stated_streams():
    net = make(replicas=2, seed=11)
    for r, child in enumerate(np.random.SeedSequence(11).spawn(2)):
        rng, maker = np.random.default_rng(child), initializers.LecunNormal()
        for layer, shape in enumerate([(5, 7), (7, 6), (6, 3)]):
            drawn = maker.draw(shape, rng, "float64")
            np.testing.assert_array_equal(net.weights[layer][r], drawn)


def test_a_generator_as_seed_is_spawned():
    few = make(replicas=2, seed=np.random.default_rng(5))
    many = make(replicas=4, seed=np.random.default_rng(5))
    np.testing.assert_array_equal(few.weights[1], many.weights[1][:2])
    rng = np.random.default_rng(5)
    first, second = make(seed=rng), make(seed=rng)
    np.testing.assert_array_equal(first.weights[0], few.weights[0][0])
    assert not np.array_equal(first.weights[0], second.weights[0])
    first, second = make(seed=None), make(seed=None)
    assert not np.array_equal(first.weights[0], second.weights[0])
    assert rng.random() == np.random.default_rng(5).random()  # its own stream has not moved


def test_streams_of_one_seed_are_apart():
    streams = [network.replica_generators(3, 2, *key) for key in [(), (1,), (2,)]]
    firsts = {rng.random() for stream in streams for rng in stream}
    assert len(firsts) == 6 and np.random.default_rng(3).random() not in firsts


@pytest.mark.parametrize(("name", "arguments"), [("replicas", (0, 0)), ("stream", (0, 1, -1))])
def test_generators_need_a_replica_and_no_negative_stream(name, arguments):
    with pytest.raises(ValueError, match=f"`{name}` must be an integer at least"):
        network.replica_generators(*arguments)


# --- Initializers.


def test_defaults_are_glorot_uniform_and_zeros():
    net = MLP((30, 50, 10))
    assert net.activation.name == "tanh" and net.output_activation.name == "linear"
    assert net.replicas is None and net.dropout == 0 and net.dtype == np.float64
    for w in net.weights:
        bound = math.sqrt(6 / sum(w.shape))
        assert 0.95 * bound < abs(w).max() <= bound
    assert not any(b.any() for b in net.biases)


def test_an_initializer_with_a_seed_of_its_own_repeats_itself():
    import keras  # here, because it takes seconds

    for maker in (initializers.HeNormal(seed=3), keras.initializers.GlorotUniform(seed=5)):
        net = MLP((4, 4, 4), weights=maker, dtype="float32")
        np.testing.assert_array_equal(net.weights[0], net.weights[1])
        np.testing.assert_array_equal(net.weights[0], np.asarray(maker((4, 4), "float32")))
        MLP((4, 4), weights=maker, replicas=1, dtype="float32")
        for option in ("weights", "biases"):
            with pytest.raises(ValueError, match=rf"`{option}\[0\]` must be an init.* without"):
                MLP((4, 4), **{option: maker}, replicas=2, dtype="float32")


def test_an_initializer_with_a_generator_of_its_own_goes_on():
    maker = initializers.HeNormal(seed=np.random.default_rng(3))
    net = MLP((4, 4, 4), weights=maker, replicas=2)
    drawn = {w.tobytes() for layer in net.weights for w in layer}
    assert len(drawn) == 4
    few = MLP((4, 4, 4), weights=initializers.HeNormal(seed=np.random.default_rng(3)))
    np.testing.assert_array_equal(few.weights[1], net.weights[1][0])


def test_arrays_and_callables_are_initializers_and_are_copied():
    kept = np.arange(6.0).reshape(3, 2)
    shapes = []

    def same(shape, dtype):
        shapes.append((shape, dtype))
        return kept

    for spec in (kept, same, [kept]):
        net = MLP((3, 2), weights=spec, replicas=2)
        np.testing.assert_array_equal(net.weights[0], np.stack([kept, kept]))
        one = MLP((3, 2), weights=spec)
        one.weights[0][:] = 0
        np.testing.assert_array_equal(kept, np.arange(6.0).reshape(3, 2))
    assert set(shapes) == {((3, 2), "float64")}
    one = MLP((3, 2, 2), weights=["zeros", kept[:2]], biases=("ones", "zeros"))  # one a layer
    assert not one.weights[0].any() and (one.weights[1] == kept[:2]).all()
    assert (one.biases[0] == 1.0).all() and not one.biases[1].any()


# --- Dropout.


@pytest.mark.false_alarm(6e-10)
def test_dropout_keeps_the_stated_share_and_scales_it_up():
    """A share of 160,000 coins leaves ±6.5 sd by chance with probability 1e-10 a comparison.

    Six comparisons: false-alarm probability 6e-10 over a fresh seed.
    """
    n = 160_000
    for rate in (0.1, 0.5, 0.8):
        net = MLP((1, 400, 400, 1), "linear", weights="ones", dropout=rate)
        trace = net.forward(np.ones((400, 1)), rng=3)
        for mask in trace.masks[:2]:
            share = (mask == 0).mean()
            assert abs(share - rate) < 6.5 * math.sqrt(rate * (1 - rate) / n)
            np.testing.assert_allclose(mask[mask > 0], 1 / (1 - rate), rtol=1e-15)


def test_masks_of_a_replica_do_not_depend_on_how_many_there_are():
    x = draw((6, 5))
    few, many = (make(dropout=0.5, replicas=n).forward(x, rng=4).masks for n in (2, 5))
    one = make(dropout=0.5).forward(x, rng=4).masks
    for layer in range(2):
        np.testing.assert_array_equal(few[layer], many[layer][:2])
        np.testing.assert_array_equal(few[layer][0], one[layer])
    rngs = [np.random.default_rng(r) for r in range(2)]
    given_one = make(dropout=0.5, replicas=2)._forward(x, rngs).masks
    moved = make(dropout=0.5, replicas=2)._forward(x, rngs).masks
    assert not np.array_equal(given_one[0], moved[0])  # a sequence is used as it is
    masks = [*many[:2], *given_one[:2], *moved[:2]]
    assert len({m.tobytes() for mask in masks for m in mask}) == 2 * (5 + 2 + 2)
    untouched = [np.random.default_rng(0)]
    make()._forward(x, untouched)  # a net without dropout draws nothing
    assert untouched[0].random() == np.random.default_rng(0).random()


# --- Properties.

nets = st.fixed_dictionaries(
    {
        "widths": st.lists(st.integers(1, 6), min_size=2, max_size=5).map(tuple),
        "activation": st.sampled_from(sorted(JAX)),
        "replicas": st.none() | st.integers(1, 4),
        "seed": st.integers(0, 2**32),
        "dtype": st.sampled_from(["float32", "float64"]),
    }
)


@given(nets, st.integers(1, 5), st.booleans(), st.floats(0, 0.9))
def test_shapes_and_dtypes_of_any_network(options, batch, own_batches, dropout):
    net = MLP(**options, dropout=dropout, biases=initializers.RandomNormal())
    front = () if net.replicas is None else (net.replicas,)
    x = np.ones((*(front if own_batches else ()), batch, net.widths[0]))
    trace = net.forward(x, rng=0)
    gradients = net.backward(trace, np.ones(trace.output.shape))
    outs = [(*front, batch, n) for n in net.widths[1:]]
    for arrays in (trace.pre_activations, trace.activations, gradients.deltas):
        assert [a.shape for a in arrays] == outs
    assert gradients.inputs.shape == (*front, batch, net.widths[0])
    for p, g in zip(net.parameters(), gradients.parameters(), strict=True):
        assert p.shape == g.shape and p.dtype == g.dtype == net.dtype
    assert all(np.isfinite(g).all() for g in gradients.parameters())


junk = (
    st.none() | st.booleans() | st.integers(-3, 3) | st.floats() | st.text(max_size=5)
    | st.lists(st.integers(-2, 2) | st.floats() | st.booleans(), max_size=4)
    | st.complex_numbers() | st.binary(max_size=3)
)  # fmt: skip


ARGUMENTS = "widths activation weights biases output_activation dropout replicas seed dtype"


@pytest.mark.parametrize("name", ARGUMENTS.split())
@given(value=junk)
def test_junk_is_refused_or_makes_a_working_network(name, value):
    try:
        net = MLP(**{"widths": (2, 3, 2)} | {name: value})
    except (ValueError, TypeError) as error:
        assert str(error).startswith(("Argument `", "Could not interpret initializer", "Expected"))
    else:
        assert np.isfinite(net.predict(np.ones((1, net.widths[0])))).all()


# --- Bad input.


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"widths": (3,)}, ValueError, "`widths` must be a sequence of at least two"),
        ({"widths": (3, 0)}, ValueError, r"`widths\[1\]` must be an integer at least 1"),
        ({"activation": "tanhh"}, ValueError, "Did you mean 'tanh'"),
        ({"weights": ["zeros"]}, ValueError, r"`weights` must be .* a list of 2 \(one a layer\)"),
        ({"weights": lambda s, d: np.ones((2, 2))}, ValueError, r"returns \(3, 4\)"),
        ({"weights": lambda s, d: np.full(s, 1e60), "dtype": "float32"}, ValueError, "finite"),
        ({"biases": lambda s, d: "x"}, TypeError, r"`biases\[0\]` must be an array of real"),
        ({"dropout": 1.0}, ValueError, "`dropout` must be a finite number at least 0 and below 1"),
        ({"replicas": 0}, ValueError, "`replicas` must be an integer at least 1"),
        ({"dtype": "float16"}, TypeError, "`dtype` must be one of 'float32', 'float64'"),
    ],
)
def test_bad_arguments_are_named(options, error, message):
    with pytest.raises(error, match=message):
        MLP(**{"widths": (3, 4, 2)} | options)


@pytest.mark.parametrize(
    ("replicas", "x", "error", "message"),
    [
        (None, np.ones((2, 4)), ValueError, r"`x` must be an array of shape \(batch, 5\)\."),
        (None, np.ones((1, 2, 5)), ValueError, r"shape \(1, 2, 5\)"),
        (2, np.ones((3, 2, 5)), ValueError, r"\(batch, 5\) or \(2, batch, 5\)"),
        (None, [[1, 2, 3, 4, np.inf]], ValueError, "1 of 5 values are NaN or infinite"),
        (None, np.full((1, 5), 1e60), ValueError, "`x` must be finite"),  # too large for float32
    ],
)
def test_bad_batches_are_named(replicas, x, error, message):
    net = make(replicas=replicas, dtype="float32")
    for call in (net.forward, net.predict):
        with pytest.raises(error, match=message):
            call(x)


@pytest.mark.parametrize("rng", [True, -1, "seed", [np.random.default_rng(0)], [0, 1]])
def test_bad_generators_are_named(rng):
    with pytest.raises((TypeError, ValueError), match="Argument `rng` must be"):
        make(replicas=2).forward(np.ones((1, 5)), rng=rng)


def test_backward_refuses_what_does_not_fit():
    net = make(replicas=2)
    trace, good = net.forward(draw((4, 5))), np.ones((2, 4, 3))
    with pytest.raises(TypeError, match="`trace` must be a Trace"):
        net.backward(trace.output, good)
    for other in (make(), make((5, 7, 5, 3), replicas=2), make((5, 3), replicas=2)):
        with pytest.raises(ValueError, match="`trace` must be one of this network"):
            net.backward(other.forward(draw((4, 5))), good)
    for gradient in (np.ones((4, 3)), np.ones((2, 3, 3)), np.ones(1)):
        with pytest.raises(ValueError, match=r"`output_gradient` .* shape \(2, 4, 3\)"):
            net.backward(trace, gradient)
    with pytest.raises(ValueError, match="`output_gradient` must be finite"):
        net.backward(trace, good * np.nan)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda n: n.weights.pop(), "`weights` must be a list of 3 arrays"),
        (lambda n: n.biases.__setitem__(1, np.zeros(6)), r"`biases\[1\]` must be .*\(2, 6\)"),
        (lambda n: n.weights.__setitem__(0, n.weights[0].astype("f4")), "dtype float64"),
    ],
)
def test_parameters_that_no_longer_fit_are_named(change, message):
    net, x = make(replicas=2), draw((4, 5))
    trace = net.forward(x)
    change(net)
    for call, argument in ((net.forward, (x,)), (net.predict, (x,)), (net.backward, (trace, x))):
        with pytest.raises(ValueError, match=message):
            call(*argument)


def test_a_network_prints_what_is_not_by_default():
    net = make(replicas=2, dropout=0.25, output_activation="sigmoid")
    assert repr(net) == (
        "MLP(widths=(5, 7, 6, 3), activation='tanh', output_activation='sigmoid', "
        "dropout=0.25, replicas=2, dtype='float64')"
    )
    assert repr(make((2, 1))) == "MLP(widths=(2, 1), activation='tanh', dtype='float64')"
