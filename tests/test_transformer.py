"""The transformer: against JAX's autodiff in all its variants, against itself, and in training."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from initcore import diagnosis, losses, probes, training
from initcore.initializers import RandomNormal
from initcore.transformer import Transformer

RANDOM = RandomNormal(stddev=0.5)
VARIANTS = [
    {"norm": norm, "place": place, "packed": packed, "gates": gates}
    for norm in ("layer", "rms", "none")
    for place in ("pre", "post")
    for packed in (True, False)
    for gates in (None, RandomNormal(mean=1.0, stddev=0.5))
]


def make(activation="gelu", **options):
    """Return a net of 2 blocks, no two of whose sizes are equal, with nothing left at 0 or 1."""
    sizes = {"blocks": 2, "tokens": 4, "heads": 2, "hidden": 7, "biases": RANDOM}
    net = Transformer((20, 6, 3), activation, positions=RANDOM, **sizes | {"seed": 1} | options)
    for p in (*net.scales, *net.shifts):
        p += draw(p.shape).astype(p.dtype) / 3
    return net


def draw(shape, seed=1):
    return np.random.default_rng([13, seed]).standard_normal(shape)


def run_in_jax(net, parameters, x):
    """Compute a network's output from its definition."""
    weights, biases, scales, shifts, gates = map(list, parameters)
    phi = {"relu": jax.nn.relu, "gelu": lambda z: jax.nn.gelu(z, approximate=False)}

    def linear(u):
        return u @ weights.pop(0) + biases.pop(0)

    def attention(u):
        q, k, v = jnp.split(linear(u), 3, -1) if net.packed else [linear(u) for _ in range(3)]
        heads = []
        for q_h, k_h, v_h in zip(*(jnp.split(part, net.heads, -1) for part in (q, k, v))):
            logits = net.attention_scale * jnp.einsum("bid,bjd->bij", q_h, k_h)
            heads.append(jax.nn.softmax(logits, axis=-1) @ v_h)
        return linear(jnp.concatenate(heads, axis=-1))

    def mlp(u):
        return linear(phi[net.activation.name](linear(u)))

    def normalise(h):
        if net.norm == "none":
            return h
        if net.norm == "rms":
            return scales.pop(0) * h / jnp.sqrt((h**2).mean(-1, keepdims=True) + net.epsilon)
        u = (h - h.mean(-1, keepdims=True)) / jnp.sqrt(h.var(-1, keepdims=True) + net.epsilon)
        return scales.pop(0) * u + shifts.pop(0)

    h = linear(x.reshape(len(x), net.tokens, -1))
    for branch in [attention, mlp] * net.blocks:
        added = branch(normalise(h) if net.place == "pre" else h)
        h = h + (gates.pop(0) if gates else 1.0) * added
        h = normalise(h) if net.place == "post" else h
    h = normalise(h) if net.place == "pre" else h
    output = linear(h.mean(axis=1))
    assert not any((weights, biases, scales, shifts, gates))
    return output


def lists(net, r=...):
    parts = (net.weights, net.biases, net.scales, net.shifts, net.gates)
    return tuple([p[r] for p in part] for part in parts)


def assert_equal_to_jax(net, x, r=...):
    """Compare the output and each derivative, relative to the size of each."""
    trace = net.forward(x)
    by_output = draw(trace.output.shape, 2)
    gradients = net.backward(trace, by_output)
    own = x if x.ndim == 2 else x[r]
    with jax.enable_x64(True):
        parameters = jax.tree.map(jnp.asarray, lists(net, r))
        run = lambda *arguments: run_in_jax(net, *arguments)  # noqa: E731
        output, pull_back = jax.vjp(run, parameters, jnp.asarray(own))
        by_parameters, by_inputs = pull_back(jnp.asarray(by_output[r]))
        theirs = [np.asarray(g) for g in (*jax.tree.leaves(by_parameters), by_inputs)]
    np.testing.assert_allclose(trace.output[r], np.asarray(output), rtol=1e-12, atol=1e-12)
    for ours, other in zip([*gradients.parameters(), gradients.inputs], theirs, strict=True):
        # A bias of the keys shifts a row of logits and has no effect at all: the floor is for it.
        size = max(np.linalg.norm(other), 1e-3)
        assert ours[r].shape == other.shape and np.linalg.norm(ours[r] - other) < 1e-10 * size


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda v: "-".join(map(str, v.values())))
def test_both_passes_agree_with_jax(variant):
    assert_equal_to_jax(make(**variant), draw((5, 20)))


@pytest.mark.parametrize("shared", [True, False])
def test_each_replica_agrees_with_jax(shared):
    net = make("relu", replicas=3, gates="ones", packed=False, attention_scale=0.3, epsilon=0.1)
    for r in range(3):
        assert_equal_to_jax(net, draw((5, 20) if shared else (3, 5, 20)), r)


def test_a_replica_is_the_net_alone():
    nets = [
        Transformer((20, 6, 3), blocks=1, tokens=4, positions=RANDOM, gates=RANDOM, replicas=r)
        for r in (3, None)
    ]
    for a, b in zip(*(net.parameters() for net in nets), strict=True):
        np.testing.assert_array_equal(a[0], b)
    x = draw((5, 20))
    np.testing.assert_allclose(nets[0].predict(x)[0], nets[1].predict(x), rtol=1e-12)


def test_predict_takes_parts_and_gives_the_output_of_forward():
    net, x = make(replicas=2), draw((150, 20))
    np.testing.assert_allclose(net.predict(x), net.forward(x).output, rtol=1e-12, atol=1e-13)


def test_the_trace_holds_streams_branches_and_logits():
    net = make(gates=RANDOM)
    trace = net.forward(draw((5, 20)))
    assert len(trace.streams) == 5 and len(trace.branches) == 4 and len(trace.logits) == 2
    for n, gate in enumerate(net.gates):
        after = trace.streams[n] + gate * trace.branches[n]
        np.testing.assert_allclose(trace.streams[n + 1], after, rtol=1e-13)
    assert trace.logits[0].shape == (5, 2, 4, 4)
    deltas = net.backward(trace, trace.output).deltas
    assert [d.shape for d in deltas] == [(20, 6)] * 5


@pytest.mark.parametrize("norm", ["layer", "rms"])
def test_a_post_norm_stream_is_normalised(norm):
    net = Transformer((20, 6, 3), blocks=2, tokens=4, norm=norm, place="post", epsilon=0.0)
    for h in net.forward(draw((5, 20))).streams[1:]:
        np.testing.assert_allclose(np.square(h).mean(axis=-1), 1, rtol=1e-12)
        assert (np.abs(h.mean(axis=-1)) < 1e-12).all() == (norm == "layer")
    assert net.shifts == [] or norm == "layer"


def test_zero_branches_and_zero_gates_leave_the_stream_alone():
    zeros = {"attention_out": "zeros", "mlp_out": "zeros"}
    for options in ({"weights": zeros}, {"gates": "zeros"}):
        net = Transformer((20, 6, 3), blocks=3, tokens=4, **options)
        streams = net.forward(draw((5, 20))).streams
        assert all(np.array_equal(h, streams[0]) for h in streams[1:])


def test_roles_name_the_weights():
    net = Transformer((20, 6, 3), blocks=2, tokens=4, packed=False, weights={"queries": "zeros"})
    block = ("queries", "keys", "values", "attention_out", "mlp_in", "mlp_out")
    assert net.roles == ("embedding", *block, *block, "head")
    assert [W.any() for W in net.weights] == [role != "queries" for role in net.roles]
    assert net.weights_of("mlp_in")[1] is net.weights[11]
    assert [b.shape for b in net.biases[:2]] == [(4, 6), (6,)]
    assert repr(net).startswith("Transformer(widths=(20, 6, 3), activation='gelu'")


def test_parameters_and_gradients_come_in_one_order():
    net = make(replicas=2, gates="ones")
    trace = net.forward(draw((5, 20)))
    gradients = net.backward(trace, trace.output).parameters()
    assert [g.shape for g in gradients] == [p.shape for p in net.parameters()]


def test_single_precision_stays_single():
    net = make(dtype="float32", replicas=2, gates="ones")
    _, gradients = net.loss_and_gradients(
        net.check_batch("x", draw((5, 20))),
        np.array([0, 1, 2, 0, 1]),
        losses.LOSSES["softmax_cross_entropy"],
    )
    assert {g.dtype for g in gradients.parameters()} == {np.dtype("float32")}
    assert gradients.inputs is None


@pytest.mark.parametrize("place", ["pre", "post"])
def test_fit_trains_it(place):
    """Which of three tokens is the loudest is learnt by every replica."""
    x = draw((60, 6)) / 4
    y = np.arange(60) % 3
    for token in range(3):
        x[y == token, 2 * token] += 3.0
    net = Transformer((6, 8, 3), "relu", blocks=1, tokens=3, place=place, replicas=3)
    how = {"optimizer": training.Adam(0.02), "epochs": 40, "batch_size": 20}
    assert (training.fit(net, x, y, **how).accuracy[-1] > 0.9).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"heads": 4}, "widths"),
        ({"tokens": 3}, "widths"),
        ({"blocks": 0}, "blocks"),
        ({"hidden": 0}, "hidden"),
        ({"norm": "batch"}, "norm"),
        ({"place": "sandwich"}, "place"),
        ({"weights": {"keys": "zeros"}}, "weights"),
        ({"epsilon": -1.0}, "epsilon"),
        ({"attention_scale": np.inf}, "attention_scale"),
    ],
)
def test_wrong_arguments_are_named(options, message):
    with pytest.raises(ValueError, match=f"Argument `{message}`"):
        make(**options)


def test_the_widths_are_three():
    with pytest.raises(ValueError, match="widths"):
        Transformer((20, 3), blocks=1)
    with pytest.raises(TypeError, match="packed"):
        make(packed=1)
    with pytest.raises(ValueError, match="role"):
        make().weights_of("keys")


def test_wrong_traces_and_gradients_are_named():
    net, x = make(), draw((5, 20))
    trace = net.forward(x)
    with pytest.raises(TypeError, match="trace"):
        net.backward(x, trace.output)
    with pytest.raises(ValueError, match="trace"):
        make(blocks=1).backward(trace, trace.output)
    with pytest.raises(ValueError, match="output_gradient"):
        net.backward(trace, trace.output[:1])
    net.scales[0] = net.scales[0][:1]
    with pytest.raises(ValueError, match=r"scales\[0\]"):
        net.forward(x)


def test_what_reads_dense_layers_refuses_it():
    net, x = make(), draw((5, 20))
    with pytest.raises(TypeError, match="model"):
        diagnosis.diagnose(net, x, np.zeros(5, int))
    with pytest.raises(TypeError, match="trace"):
        probes.layer_statistics(net, net.forward(x))
