"""What of_keras reads off Keras models, against the package's own nets, counts and Keras' training.

Every seed is fixed; nothing here depends on chance.
"""

import os
import random
import subprocess
import sys

import numpy as np
import pytest

os.environ.setdefault("KERAS_BACKEND", "jax")

import keras  # noqa: E402
from keras import layers as kl  # noqa: E402
from keras.src.initializers.random_initializers import compute_fans  # noqa: E402

from initcore import activations, blocks, network, optimizers  # noqa: E402
from initcore.diagnosis import diagnose, of_arrays, of_keras  # noqa: E402

# Raised inside Keras 3.15 under NumPy 2.4: nothing of ours.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

SIGNALS = ("inputs", "sums", "outputs", "stream", "deltas", "gradient")
NUMBERS = ("finite", "rms", "mean", "median", "across", "cosine", "dead")
RNG = np.random.default_rng(0)
X = RNG.standard_normal((12, 6)).astype("float32")
Y = RNG.integers(0, 4, size=12)


def dense(units, activation=None, **options):
    return kl.Dense(units, activation, kernel_initializer="he_normal", **options)


def sequential(*layers, width=6):
    return keras.Sequential([keras.Input((width,)), *layers])


def rows(look):
    return {row.name.split("/")[-1]: row for row in look.layers}


def looked(layer, shape, x=None, **call):
    """Return the only row of one layer on a batch of ones, without targets."""
    i = keras.Input(shape[1:], batch_size=shape[0])
    look = of_keras.look(keras.Model(i, layer(i, **call)), np.ones(shape) if x is None else x)
    return look.layers[0]


def same(ours, theirs, tolerance=2e-4):
    """Compare all signals of two rows; float32 against float64."""
    for name in SIGNALS:
        a, b = getattr(ours, name), getattr(theirs, name)
        assert (a is None) == (b is None), name
        for number in NUMBERS if a is not None else ():
            close = pytest.approx(getattr(b, number), rel=tolerance, abs=2e-6 * b.rms, nan_ok=True)
            assert getattr(a, number) == close, (ours.name, name, number)


# ---- against the package's own networks --------------------------------------------------


@pytest.mark.parametrize("phi", ["relu", "tanh", "gelu", "sigmoid"])
def test_a_dense_net_is_seen_as_the_same_mlp(phi):
    net = network.MLP((6, 8, 8, 4), phi, weights="he_normal", biases="random_normal", seed=1)
    model = sequential(dense(8, phi), kl.Dense(8), kl.Activation(phi), kl.Dropout(0.5), dense(4))
    model.set_weights([p for pair in zip(net.weights, net.biases) for p in pair])
    ours = of_keras.look(model, X, Y, optimizer=keras.optimizers.SGD(0.1))
    theirs = of_arrays.look(net, X, Y, optimizer=optimizers.SGD(0.1))
    assert ours.loss == pytest.approx(theirs.loss, rel=1e-5)
    np.testing.assert_allclose(ours.outputs, theirs.outputs, rtol=1e-4, atol=1e-6)
    assert (ours.task, len(ours.layers)) == ("classes", 3)
    for a, b in zip(ours.layers, theirs.layers):
        same(a, b)
        assert a.update == pytest.approx(b.update, rel=1e-4)
        for field in ("kind", "activation", "shape", "library_fans", "fan_in", "fan_out"):
            assert getattr(a, field) == getattr(b, field), field
        assert (a.distinct, a.distinct_gradients) == (b.distinct, b.distinct_gradients)
        np.testing.assert_array_equal(a.weight, b.weight.astype("float32"))


def test_batch_normalisation_takes_the_batch_and_its_gradient_goes_through_it():
    net = blocks.BatchNormMLP(
        (6, 8, 8, 4), "tanh", weights="he_normal", scales="random_normal", epsilon=1e-3, seed=1
    )
    bare = [dense(8, use_bias=False) for _ in range(2)]
    norms = [kl.BatchNormalization() for _ in range(2)]
    between = [layer for pair in zip(bare, norms) for layer in (*pair, kl.Activation("tanh"))]
    model = sequential(*between, dense(4))
    for layer, norm, W, b, scale in zip(bare, norms, net.weights, net.biases, net.scales):
        layer.set_weights([W])
        norm.set_weights([scale, b, *norm.get_weights()[2:]])
    model.layers[-1].set_weights([net.weights[2], net.biases[2]])
    ours, theirs = of_keras.look(model, X, Y), of_arrays.look(net, X, Y)
    assert [row.kind for row in ours.layers] == [row.kind for row in theirs.layers]
    for a, b in zip(ours.layers, theirs.layers):
        same(a, b)
        assert (a.activation, a.normalised) == (b.activation, b.normalised)
        if b.scale is not None:
            np.testing.assert_allclose(a.scale, b.scale, rtol=1e-6)


@pytest.mark.parametrize("is_layer", [True, False])
def test_residual_branches_end_at_additions(is_layer):
    net = blocks.ResidualMLP(
        (6, 8, 4), "relu", blocks=3, branch_scale=0.5, weights="he_normal", seed=1
    )
    i = keras.Input((6,))
    h, parts = dense(8)(i), []
    for _ in range(3):
        branch = 0.5 * dense(8)(dense(8, "relu")(h))
        h = kl.Add()([h, branch]) if is_layer else h + branch
        parts.append(h)
    model = keras.Model(i, dense(4)(h))
    model.set_weights([p for pair in zip(net.weights, net.biases) for p in pair])
    ours, theirs = of_keras.look(model, X, Y), of_arrays.look(net, X, Y)
    for a, b in zip(ours.layers, theirs.layers):
        same(a, b)
        assert (a.branch is None) == (b.branch is None)
        assert a.activation == b.activation
    assert len({row.branch for row in ours.layers}) == 4


# ---- fans and stacks ---------------------------------------------------------------------

CASES = {  # a layer, the shape of its input, the kernel as (groups, fan_in, units) of the sum
    "dense": (kl.Dense(5), (2, 7), (1, 7, 5)),
    "dense on places": (kl.Dense(5), (2, 9, 7), (1, 7, 5)),
    "conv1d": (kl.Conv1D(5, 3), (2, 12, 4), (1, 12, 5)),
    "conv2d same": (kl.Conv2D(5, (3, 2), padding="same"), (2, 12, 12, 4), (1, 24, 5)),
    "conv2d strides": (kl.Conv2D(5, 4, strides=2), (2, 16, 16, 3), (1, 48, 5)),
    "conv2d dilated": (kl.Conv2D(5, 3, dilation_rate=2), (2, 14, 14, 3), (1, 27, 5)),
    "conv2d groups": (kl.Conv2D(6, 3, groups=3), (2, 12, 12, 9), (3, 27, 2)),
    "conv3d": (kl.Conv3D(2, 2), (2, 10, 10, 10, 3), (1, 24, 2)),
    "depthwise": (kl.DepthwiseConv2D(3, depth_multiplier=2), (2, 12, 12, 4), (4, 9, 2)),
    "depthwise1d": (kl.DepthwiseConv1D(4, strides=2), (2, 16, 3), (3, 4, 1)),
    "transposed": (kl.Conv2DTranspose(5, 4, strides=2), (2, 10, 10, 3), (1, 48, 5)),
    "transposed1d": (kl.Conv1DTranspose(5, 6, strides=3), (2, 12, 3), (1, 18, 5)),
    "einsum": (kl.EinsumDense("abc,cde->abde", (None, 3, 4)), (2, 5, 7), (1, 7, 12)),
    "einsum out": (kl.EinsumDense("abde,dec->abc", (None, 6)), (2, 5, 3, 4), (1, 12, 6)),
    "einsum dots": (kl.EinsumDense("...x,xy->...y", 4), (2, 5, 3), (1, 3, 4)),
    "einsum groups": (kl.EinsumDense("xyi,yiu->xyu", (3, 4)), (2, 3, 5), (3, 5, 4)),
}


@pytest.mark.parametrize("name", CASES)
def test_fans_are_the_products_that_meet_and_the_outputs_that_are_reached(name):
    """With weights and inputs of 1 an inner sum counts its products, and a gradient the sums."""
    layer, shape, stack = CASES[name]
    layer = type(layer).from_config(
        layer.get_config() | {"kernel_initializer": "ones"}
        if "depthwise" not in name
        else layer.get_config() | {"depthwise_initializer": "ones"}
    )
    row = looked(layer, shape)
    assert row.weight.shape == stack
    assert row.shape == tuple(layer.kernel.shape)
    assert row.library_fans == compute_fans(row.shape)
    import jax

    x = np.ones(shape, "float32")
    sums = np.asarray(layer(x))
    back = np.asarray(jax.grad(lambda x: keras.ops.sum(layer(x)))(x))
    inner = tuple(slice(4, -4) if 10 <= n else slice(None) for n in shape[1:-1])
    assert row.fan_in == pytest.approx(middle(sums, layer))
    assert row.fan_out == pytest.approx(back[(slice(None), *inner)].mean())


def middle(sums, layer):
    """Return the mean over whole strides in the middle, away from the edges."""
    if isinstance(layer, (kl.Dense, kl.EinsumDense)):
        return sums.mean()
    reach = max(layer.kernel_size)
    places = tuple(
        slice(reach, reach + 2 * s) if "Transpose" in type(layer).__name__ else slice(1, -1)
        for s in layer.strides
    )
    return sums[(slice(None), *places)].mean()


def test_attention_has_the_fans_of_its_products():
    """As tracked in issue 14, F1: the kernels of rank 3 are no convolutions."""
    i = keras.Input((5, 24))
    attention = kl.MultiHeadAttention(4, 3, output_shape=7)
    look = of_keras.look(keras.Model(i, attention(i, i)), RNG.standard_normal((6, 5, 24)))
    found = rows(look)
    for name in ("query", "key", "value"):
        row = found[name]
        assert (row.kind, row.weight.shape) == ("attention", (1, 24, 12))
        assert (row.fan_in, row.fan_out, row.shape) == (24, 12, (24, 4, 3))
        assert (row.sums.units, row.activation) == (3, "linear")  # of each head
    row = found["attention_output"]
    assert (row.weight.shape, row.fan_in, row.fan_out) == ((1, 12, 7), 12, 7)
    assert row.library_fans == compute_fans((4, 3, 7)) == (12, 28)
    assert look.unseen == {}


def test_grouped_query_attention():
    i = keras.Input((5, 24))
    layer = kl.GroupQueryAttention(3, 4, 2)
    found = rows(of_keras.look(keras.Model(i, layer(i, i)), RNG.standard_normal((6, 5, 24))))
    assert {name: (row.fan_in, row.fan_out) for name, row in found.items()} == {
        "query": (24, 12),
        "key": (24, 6),
        "value": (24, 6),
        "attention_output": (12, 24),
    }


def test_units_of_one_group_are_compared_and_those_of_two_are_not():
    layer = kl.Conv2D(6, 2, groups=3)
    shape = (2, 3, 3, 6)
    layer.build(shape)
    kernel = np.array(layer.kernel)
    kernel[..., 1] = kernel[..., 0]  # of the first group
    kernel[..., 2] = kernel[..., 4]  # of two
    layer.kernel.assign(kernel)
    assert looked(layer, shape).distinct == 5
    layer.bias.assign([0, 1, 0, 0, 0, 0])
    assert looked(layer, shape).distinct == 6


def test_channels_first_is_seen_as_channels_last():
    seen, weights = {}, None
    x = RNG.standard_normal((3, 6, 6, 4)).astype("float32")
    for order in ("channels_last", "channels_first"):
        axis = -1 if order == "channels_last" else 1
        i = keras.Input((6, 6, 4) if axis == -1 else (4, 6, 6))
        conv = kl.Conv2D(5, 3, data_format=order, bias_initializer="ones")
        depthwise = kl.DepthwiseConv2D(3, data_format=order, bias_initializer="ones")
        h = kl.ReLU()(kl.BatchNormalization(axis=axis)(conv(i)))
        h = kl.GlobalAveragePooling2D(data_format=order)(depthwise(h))
        model = keras.Model(i, kl.Dense(2)(h))
        model.set_weights(weights or model.get_weights())
        weights = model.get_weights()
        z = x if axis == -1 else np.moveaxis(x, -1, 1)
        seen[order] = of_keras.look(model, z, np.array([0, 1, 1])).layers
    for a, b in zip(*seen.values(), strict=True):
        same(a, b)


# ---- what comes behind a layer -----------------------------------------------------------


@pytest.mark.parametrize(
    ("layer", "phi"),
    [
        (kl.ReLU(), "relu"),
        (kl.ReLU(max_value=6.0), "relu6"),
        (kl.Activation("mish"), "mish"),
        (kl.LeakyReLU(negative_slope=0.2), "leaky_relu(0.2)"),
        (kl.LeakyReLU(negative_slope=0.01), "leaky_relu"),
        (kl.ELU(), "elu"),
        (kl.Activation("silu"), "silu"),
        (kl.Activation("selu"), "selu"),
        (kl.Lambda(lambda z: keras.ops.gelu(z, approximate=True)), "gelu"),
        (kl.Lambda(keras.ops.cos), None),
        (kl.PReLU(), None),
        (kl.Softmax(), None),
        (kl.Dropout(0.9), "linear"),
        (kl.Reshape((2, 4)), "linear"),
    ],
)
def test_the_activation_is_known_by_what_it_does(layer, phi):
    i = keras.Input((6,))
    h = kl.Flatten()(layer(kl.Dense(8)(i)))
    first = of_keras.look(keras.Model(i, kl.Dense(2)(h)), X).layers[0]
    assert first.activation == phi
    if phi not in (None, "linear"):
        z = np.linspace(-3, 3, 5)
        ours = activations.make_leaky_relu(0.2) if "(" in phi else activations.get(phi)
        np.testing.assert_allclose(np.asarray(layer(z)), ours(z), atol=2e-3)


def test_functions_of_a_graph_and_layers_behind_an_addition():
    i = keras.Input((6,))
    a = kl.Dense(6)(i)
    h = keras.ops.tanh(a)
    b = kl.Dense(6)(h)
    h = kl.LayerNormalization()(b + i)
    c = kl.Dense(6, "relu")(kl.BatchNormalization()(keras.ops.gelu(h)))
    h = kl.BatchNormalization()(c)
    look = of_keras.look(keras.Model(i, kl.Dense(3)(h)), X)
    first, second, norm, norm_2, third, _, _ = look.layers
    assert (first.activation, first.normalised, first.branch) == ("tanh", False, None)
    assert (second.activation, second.normalised) == ("gelu", True)
    assert second.branch.startswith("add")
    assert second.stream.rms != second.outputs.rms == second.sums.rms
    assert (norm.activation, norm.normalised) == ("gelu", True)
    assert (third.activation, third.normalised, third.outputs.dead) == ("relu", True, 0.0)
    assert third.outputs.median < third.sums.median
    assert norm_2.kind == "normalisation" and norm_2.inputs.rms == norm.outputs.rms


def test_what_is_added_but_is_no_branch():
    """Two towers of equal depth, and tokens and places: nothing is a stream."""
    tokens, places = (keras.Input((5,), dtype="int32") for _ in range(2))
    h = kl.Embedding(7, 4)(tokens) + kl.Embedding(7, 4)(places)
    h = kl.Dense(4)(h) + kl.Dense(4)(h)
    x = RNG.integers(0, 7, (2, 3, 5))
    look = of_keras.look(keras.Model([tokens, places], h), [x[0], x[1]])
    assert [row.kind for row in look.layers] == ["embedding"] * 2 + ["dense"] * 2
    assert [row.branch for row in look.layers] == [None] * 4


def test_a_shortcut_with_weights_is_the_stream_and_the_longer_way_the_branch():
    i = keras.Input((6,))
    short, long = kl.Dense(4, name="short")(i), kl.Dense(4, "relu")(kl.Dense(4)(i))
    normed = kl.BatchNormalization(name="norm")(kl.Dense(4)(long))
    look = of_keras.look(keras.Model(i, kl.ReLU()(kl.Add(name="sum")([short, normed]))), X)
    assert {row.name: row.branch for row in look.layers if row.branch} == {"norm": "sum"}


def test_branches_through_containers():
    """An attention layer, a nested model and a layer of one's own end a branch with their last."""

    class Block(kl.Layer):
        def __init__(self):
            super().__init__()
            self.inner, self.outer = kl.Dense(8, "relu"), kl.Dense(6)

        def call(self, x):
            return self.outer(self.inner(x * 1.0))

    i = keras.Input((5, 6))
    h = i + kl.MultiHeadAttention(2, 3)(i, i)
    j = keras.Input((5, 6))
    h = h + keras.Model(j, kl.Dense(6)(kl.Dense(6)(j)))(h)
    h = h + Block()(h)
    look = of_keras.look(keras.Model(i, h), RNG.standard_normal((3, 5, 6)))
    ends = [row.name.split("/")[-1] for row in look.layers if row.branch]
    assert ends[0] == "attention_output" and len(ends) == 3
    assert [row.fan_in for row in look.layers if row.branch] == [6, 6, 8]


def test_a_layer_that_is_called_twice_has_two_rows_and_one_weight():
    i = keras.Input((6,))
    shared = kl.Dense(6, "tanh", name="shared")
    look = of_keras.look(keras.Model(i, kl.Dense(4)(shared(shared(i)))), X, Y)
    first, second, _ = look.layers
    assert (first.name, second.name) == ("shared", "shared (call 2)")
    assert first.key == second.key and first.gradient == second.gradient
    assert second.inputs.rms == first.outputs.rms
    assert first.deltas.rms != second.deltas.rms


def test_a_tied_embedding_is_a_dense_layer_on_its_way_back():
    tokens = keras.Input((5,), dtype="int32")
    layer = kl.ReversibleEmbedding(7, 4)
    model = keras.Model(tokens, layer(layer(tokens), reverse=True))
    x = RNG.integers(0, 7, (3, 5))
    first, last = of_keras.look(model, x, x).layers
    assert (first.kind, first.weight.shape, first.fan_in, first.inputs) == (
        "embedding", (1, 7, 4), 1.0, None
    )  # fmt: skip
    assert (last.kind, last.weight.shape, last.fan_in, last.fan_out) == ("dense", (1, 4, 7), 4, 7)
    assert first.key == last.key
    np.testing.assert_array_equal(last.weight[0], first.weight[0].T)


def test_subclassed_models_with_several_inputs():
    class Model(keras.Model):
        def __init__(self):
            super().__init__()
            self.towers = [kl.Dense(5, "relu"), kl.Dense(5, "relu")]
            self.last = kl.Dense(4, "softmax")

        def call(self, x):
            return self.last(self.towers[0](x["a"]) - self.towers[1](x["b"]))

    model, x = Model(), {"a": X, "b": X[:, :3]}
    model(x)
    look = of_keras.look(model, x, Y)
    assert [row.fan_in for row in look.layers] == [6, 3, 5]
    assert look.inputs.shape == (12, 6)
    assert look.layers[-1].activation == "linear"
    assert all(row.deltas.rms > 0 for row in look.layers)


def test_sums_and_activations_that_a_model_writes_out_itself():
    """A transformer block as in Keras' own guides, with ``+`` and `keras.ops` in its call."""

    class Block(kl.Layer):
        def __init__(self):
            super().__init__()
            self.attention, self.norms = (
                kl.MultiHeadAttention(2, 4),
                [kl.LayerNormalization(name=f"norm_{k}") for k in (0, 1)],
            )
            self.inner, self.outer = kl.Dense(16, name="inner"), kl.Dense(8, name="outer")

        def call(self, x):
            h = self.norms[0](x)
            x = x + self.attention(h, h)
            return x + self.outer(keras.ops.gelu(self.inner(self.norms[1](x))))

    class Model(keras.Model):
        def __init__(self):
            super().__init__()
            self.first, self.blocks = kl.Dense(8, name="first"), [Block(), Block()]
            self.last = kl.Dense(4, name="last")

        def call(self, x):
            x = self.first(x)
            for block in self.blocks:
                x = block(x)
            return self.last(keras.ops.mean(keras.ops.relu(x), axis=1))

    model, x = Model(), RNG.standard_normal((12, 5, 6))
    model(x)
    look = of_keras.look(model, x, Y)
    assert look.unseen == {}
    ends = [row for row in look.layers if row.branch]
    assert [row.name.split("/")[-1] for row in ends] == ["attention_output", "outer"] * 2
    assert len({row.branch for row in ends}) == 4
    assert [row.normalised for row in ends] == [True, True, True, False]
    found = [(row.name.split("/")[-1], row.activation) for row in look.layers]
    assert [phi for name, phi in found if name == "inner"] == ["gelu", "gelu"]
    assert ends[-1].stream.rms > ends[-1].outputs.rms == ends[-1].sums.rms


def test_what_is_not_judged_is_counted():
    class Scale(kl.Layer):
        def build(self, shape):
            self.gain = self.add_weight(shape=shape[-1:], initializer="ones")

        def call(self, x):
            return x * self.gain

    i = keras.Input((5, 6))
    h = kl.LSTM(4, return_sequences=True)(kl.TimeDistributed(kl.Dense(5))(i))
    h = kl.SeparableConv1D(6, 3)(h)
    h = Scale()(kl.Bidirectional(kl.GRU(3))(Scale()(h)))
    look = of_keras.look(keras.Model(i, kl.Dense(4)(h)), RNG.standard_normal((12, 5, 6)), Y)
    layers = ("TimeDistributed", "LSTM", "SeparableConv1D", "Bidirectional")
    assert look.unseen == {**dict.fromkeys(layers, 1), "Scale": 2}
    assert [row.fan_in for row in look.layers] == [6]
    assert len(look.tensors) == 18


# ---- losses and steps --------------------------------------------------------------------


@pytest.mark.parametrize("end", ["layer", "activation", "logits"])
@pytest.mark.parametrize("given", ["compiled", "given", "guessed"])
def test_the_logits_of_a_softmax_are_understood(end, given):
    net = network.MLP((6, 4), "tanh", weights="he_normal", seed=1)
    model = sequential(kl.Dense(4, "softmax" if end == "activation" else None))
    if end == "layer":
        model.add(kl.Softmax())
    model.set_weights([net.weights[0], net.biases[0]])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=end == "logits")
    if given == "compiled":
        model.compile("sgd", loss)
    ours = of_keras.look(model, X, Y, loss=loss if given == "given" else None)
    theirs = of_arrays.look(net, X, Y)
    np.testing.assert_allclose(ours.outputs, theirs.outputs, rtol=1e-4)
    assert ours.loss == pytest.approx(theirs.loss, rel=1e-5)
    same(ours.layers[0], theirs.layers[0])
    assert (ours.task, ours.layers[0].activation) == ("classes", "linear")
    assert ours.loss_name.startswith("sparse_categorical_crossentropy")
    assert ("as y holds integers" in ours.loss_name) == (given == "guessed")
    np.testing.assert_array_equal(ours.targets, Y)


def test_other_losses():
    binary = sequential(kl.Dense(1, "sigmoid"))
    probability = np.asarray(binary(X))[:, 0]
    y = Y % 2
    look = of_keras.look(binary, X, y)
    expected = -np.log(np.where(y, probability, 1 - probability)).mean()
    assert look.loss == pytest.approx(expected, rel=1e-4)
    assert (look.task, look.targets.shape, look.outputs.shape) == ("classes", (12, 1), (12, 1))
    np.testing.assert_allclose(1 / (1 + np.exp(-look.outputs[:, 0])), probability, rtol=1e-4)

    plain = sequential(kl.Dense(1))
    y = RNG.standard_normal(12)
    expected = np.square(np.asarray(plain(X))[:, 0] - y).mean()
    for loss in (None, "mse", "mean_squared_error", keras.losses.MeanSquaredError()):
        look = of_keras.look(plain, X, y, loss)
        assert look.loss == pytest.approx(expected, rel=1e-4)
        assert look.task == "regression"
    look = of_keras.look(plain, X, y, lambda y, outputs: keras.ops.sum(outputs - y))
    assert look.task is None and look.loss_name == "<lambda>"

    hot = np.eye(4)[Y]
    softmax = sequential(kl.Dense(4, "softmax"))
    look = of_keras.look(softmax, X, hot)
    assert look.loss == pytest.approx(of_keras.look(softmax, X, Y).loss, rel=1e-5)
    np.testing.assert_array_equal(look.targets, Y)


def test_a_softmax_before_a_loss_from_logits_is_left_as_it_is():
    """A fault of many: the loss takes the probabilities for logits."""
    model = sequential(kl.Dense(4, "softmax"))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    look = of_keras.look(model, X, Y, loss)
    np.testing.assert_allclose(look.outputs.sum(axis=1), 1.0, rtol=1e-5)
    assert look.loss == pytest.approx(float(loss(Y, model(X))), rel=1e-5)


def test_labels_out_of_range_send_nothing_back():
    look = of_keras.look(sequential(kl.Dense(4)), X, Y + 1)
    assert (look.loss, look.layers[0].deltas, look.layers[0].gradient) == (None, None, None)
    np.testing.assert_array_equal(look.targets, Y + 1)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=4)
    assert of_keras.look(sequential(kl.Dense(4)), X, Y + 1, loss).loss > 0


OPTIMIZERS = {
    "sgd": lambda: keras.optimizers.SGD(0.1, momentum=0.9, nesterov=True),
    "adam": lambda: keras.optimizers.Adam(keras.optimizers.schedules.ExponentialDecay(0.1, 9, 0.5)),
    "adamw": lambda: keras.optimizers.AdamW(0.01, weight_decay=0.5, clipnorm=0.1),
    "scaled": lambda: keras.optimizers.LossScaleOptimizer(keras.optimizers.RMSprop(0.01)),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_first_step_is_the_one_that_training_takes(name):
    model = sequential(kl.Dense(5, "relu"), kl.BatchNormalization(), kl.Dense(4, "softmax"))
    model.compile(OPTIMIZERS[name](), "sparse_categorical_crossentropy")
    look = of_keras.look(model, X, Y)
    before = {v.path: np.array(v) for v in model.trainable_variables}
    model.train_on_batch(X, Y)
    after = {v.path: np.array(v) for v in model.trainable_variables}
    for row in look.layers:
        step = np.linalg.norm(after[row.key] - before[row.key])
        assert row.update == pytest.approx(step / np.linalg.norm(before[row.key]), rel=1e-3)


def test_frozen_layers_have_no_gradient_and_no_step():
    model = sequential(kl.Dense(5, trainable=False), kl.Dense(4))
    first, last = of_keras.look(model, X, Y, optimizer="sgd").layers
    assert (first.trainable, first.gradient, first.update) == (False, None, None)
    assert first.deltas.rms > 0 and last.trainable and last.update > 0


# ---- numbers that are not healthy --------------------------------------------------------


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16", "float16"])
def test_half_precision_is_measured_in_float64(policy):
    model = sequential(*[kl.Dense(8, "tanh", dtype=policy) for _ in range(3)], kl.Dense(4))
    plain = sequential(*[kl.Dense(8, "tanh") for _ in range(3)], kl.Dense(4))
    plain.set_weights([np.asarray(w, "float32") for w in model.get_weights()])
    rough = 0.05 if "b" in policy else 0.01
    ours, theirs = of_keras.look(model, X, Y), of_keras.look(plain, X, Y)
    for a, b in zip(ours.layers, theirs.layers):
        assert a.activation == b.activation
        for name in ("sums", "outputs", "deltas", "gradient"):
            assert getattr(a, name).rms == pytest.approx(getattr(b, name).rms, rel=rough)
    assert ours.layers[0].weight.dtype == np.float64


def test_gradients_below_what_half_precision_holds_are_scaled():
    model = sequential(kl.Dense(8, "tanh", dtype="mixed_float16"), kl.Dense(4))
    model.layers[-1].kernel.assign(1e-6 * model.layers[-1].kernel)
    row = of_keras.look(model, X, Y).layers[0]
    model.layers[-1].kernel.assign(1e6 * model.layers[-1].kernel)
    assert row.deltas.rms > 0 and row.deltas.median > 0 and row.deltas.finite == 1.0


def test_a_model_that_writes_out_its_sums_may_be_infinite():
    class Model(keras.Model):
        def __init__(self):
            super().__init__()
            self.parts = [dense(6, name=f"d{k}") for k in range(3)]

        def call(self, x):
            for part in self.parts:
                x = x + part(x)
            return x

    model = Model()
    model(X)
    model.parts[1].kernel.assign(np.full((6, 6), np.inf))
    look = of_keras.look(model, X, X, optimizer="sgd")
    assert [row.sums.finite for row in look.layers] == [1.0, 0.0, 0.0]
    assert [row.branch for row in look.layers] == ["sum", None, None]


def test_what_is_not_finite_is_a_result():
    model = sequential(*[dense(8, "relu", name=f"d{k}") for k in range(3)], dense(4))
    bias = np.zeros(8)
    bias[2] = np.nan
    model.get_layer("d1").bias.assign(bias)
    look = of_keras.look(model, X, Y, optimizer="adam")
    assert [row.sums.finite for row in look.layers] == [1.0, 7 / 8, 0.0, 0.0]
    assert [row.distinct for row in look.layers] == [8, None, 8, 4]
    assert (
        np.isnan(
            look.tensors[
                "sequential/d1/bias"
                if "sequential/d1/bias" in look.tensors
                else look.layers[1].key.replace("kernel", "bias")
            ]
        ).sum()
        == 1
    )
    model.get_layer("d1").bias.assign(np.zeros(8))
    model.get_layer("d0").kernel.assign(1e37 * np.ones((6, 8)))
    assert of_keras.look(model, X, Y, optimizer="sgd").layers[0].update >= 0
    row = of_keras.look(model, X).layers[0]
    assert row.sums.rms == pytest.approx(1e37 * np.sqrt(np.square(X.sum(1)).mean()), rel=1e-4)
    assert row.distinct == 1


# ---- nothing is moved, and what does not fit is said -------------------------------------


class Failing(kl.Layer):
    """A layer that works until it is told not to."""

    is_broken = False

    def call(self, x):
        if self.is_broken:
            raise RuntimeError("broken")
        return x


def state(model):
    """Return everything that a look could have moved."""
    from keras.src.backend.common import global_state

    ops = {id(op): op for op in model._flatten_layers()}
    ops |= {id(op): op for op in getattr(model, "operations", ())}
    found = [{k: id(v) for k, v in vars(op).items()} for op in ops.values()]
    variables = [*model.variables, *model.optimizer.variables]
    generator = keras.src.random.seed_generator.global_seed_generator()
    return {
        "attributes": found,
        "order": [list(vars(op)) for op in ops.values()],
        "values": [np.array(v).tolist() for v in [*variables, generator.state]],
        "variables": [id(v.value) for v in variables],
        "trainable": [v.trainable for v in variables],
        "losses": len(model.losses),
        "numpy": np.random.get_state()[1].tolist(),  # noqa: NPY002 - the one that must not move
        "python": random.getstate(),
        "names": dict(global_state.get_global_attribute("object_name_uids")),
    }


@pytest.mark.parametrize("kind", ["functional", "subclassed"])
def test_nothing_of_the_model_is_moved_even_if_it_fails(kind):
    failing = Failing()
    parts = [
        kl.Dense(8, kl.LeakyReLU(0.1), kernel_regularizer="l2", activity_regularizer="l2"),
        kl.BatchNormalization(),
        kl.Dropout(0.5),
        kl.GaussianNoise(0.3),
        failing,
        kl.Dense(4, "softmax"),
    ]
    if kind == "functional":
        i = keras.Input((6,))
        h = i
        for part in parts:
            h = part(h)
        model = keras.Model(i, keras.ops.relu(h))
    else:

        class Model(keras.Model):
            def __init__(self):
                super().__init__()
                self.parts = parts
                self.calls = 0

            def call(self, x):
                self.calls += 1
                for part in self.parts:
                    x = part(x)
                return x

        model = Model()
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.train_on_batch(X, Y)
    assert len(model.optimizer.variables) > 2
    before = state(model)
    look = of_keras.look(model, X, Y, optimizer=keras.optimizers.Adam(name="adam"))
    assert look.layers[0].update > 0
    assert state(model) == before
    assert "call" not in vars(parts[0]) and callable(parts[0].activation)
    Failing.is_broken = True
    try:
        with pytest.raises(RuntimeError, match="broken"):
            of_keras.look(model, X, Y)
    finally:
        Failing.is_broken = False
    assert state(model) == before
    with pytest.raises(ZeroDivisionError):
        of_keras.look(model, X, Y, loss=lambda y, outputs: 1 / 0)
    assert state(model) == before


def test_what_does_not_fit_is_said():
    i = keras.Input((6,))
    two = keras.Model(i, [kl.Dense(2)(i), kl.Dense(3)(i)])
    assert len(of_keras.look(two, X).layers) == 2
    with pytest.raises(ValueError, match="`y` must be the targets of one output"):
        of_keras.look(two, X, Y)
    with pytest.raises(ValueError, match=r"`model` must be built: call `model\(x\)` once"):
        of_keras.look(keras.Sequential([kl.Dense(3)]), X)
    with pytest.raises(TypeError, match="`model` must be a keras.Model"):
        of_keras.look(lambda x: x, X)
    one = sequential(kl.Dense(4))
    with pytest.raises(ValueError, match="`y` must be"):
        of_keras.look(one, X, Y[:5])
    with pytest.raises(ValueError, match=r"`y` must be an array of shape \(12, 4\)"):
        of_keras.look(one, X, np.zeros((12, 3)))
    assert of_keras.look(one, X, Y[:, None]).targets.shape == (12,)
    with pytest.raises(ValueError, match="loss"):
        of_keras.look(one, X, Y, loss=["mse"])


def test_keras_is_not_imported_without_need():
    code = (
        "import sys, initcore.diagnosis.of_keras as k; assert not {'keras', 'jax'} & {*sys.modules}"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_pixels_that_the_model_scales_itself():
    rng, layers = np.random.default_rng(0), keras.layers
    x, y = rng.integers(0, 256, (20, 12)).astype("float32"), rng.integers(0, 3, 20)
    parts = [layers.Rescaling(1 / 128, -1), layers.Dense(32, "relu"), layers.Dense(3)]
    model = keras.Sequential([keras.Input((12,)), *parts])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    assert not [one for one in diagnose(model, x, y, loss).findings if one.level != "note"]
    parts[0].scale, parts[0].offset = 1 / 255**2, 0.0
    first = diagnose(model, x, y, loss).findings[0]
    assert (first.level, first.code, first.layer) == ("fault", "input-scale", parts[1].name)


def test_what_goes_past_a_small_branch_is_no_explosion():
    layers = keras.layers
    inputs = x = keras.Input((12,))
    x = layers.Dense(32)(x)
    for _ in range(3):
        branch = layers.Dense(32)(layers.Dense(64, "relu")(layers.LayerNormalization()(x)))
        x = layers.Add()([x, layers.Rescaling(1e-6)(branch)])
    model = keras.Model(inputs, layers.Dense(3)(x))
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(20, 12)).astype("float32"), rng.integers(0, 3, 20)
    report = diagnose(model, x, y, keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    assert not [one for one in report.findings if one.level != "note"]
    assert [row.kind for row in report.looks[0].layers if row.opens] == ["normalisation"] * 3


def test_a_class_that_is_no_factory_is_said_to_be_one():
    class Net(keras.Model):
        def __init__(self, width):
            super().__init__()
            self.dense = kl.Dense(width)

    for kind in (keras.Sequential, keras.Model, kl.Dense, Net):
        with pytest.raises(TypeError, match="`model` must be an instance or a function, no class"):
            diagnose(kind, np.ones((5, 4)), np.arange(5) % 2)
