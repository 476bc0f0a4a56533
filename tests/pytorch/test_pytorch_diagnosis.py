"""What `diagnose` sees of PyTorch models, against oracles by hand: `make test-all`."""

import copy
import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from initcore.diagnosis import diagnose, of_torch
from initcore.diagnosis.look import measure
from initcore.losses import softmax_cross_entropy
from initcore.network import MLP

F = nn.functional


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def fields(signal):
    return [getattr(signal, name) for name in signal.__dataclass_fields__]


def same(signal, values, activation=None, rtol=1e-10):
    wanted = measure(np.asarray(values), activation)
    np.testing.assert_allclose(fields(signal), fields(wanted), rtol=rtol, atol=1e-12)


def rows(look):
    return {row.name: row for row in look.layers}


def classes(n=12, width=6, of=4):
    return torch.randn(n, width), torch.randint(of, (n,))


class Of(nn.Module):
    """A module made of a function and of the modules and parameters that it uses."""

    def __init__(self, function, **parts):
        super().__init__()
        self.function = function
        for name, part in parts.items():
            setattr(self, name, part)

    def forward(self, *args, **kwargs):
        return self.function(self, *args, **kwargs)


# --- The numbers.


@pytest.mark.parametrize("activation", ["tanh", "relu", "sigmoid"])
def test_a_multilayer_perceptron_has_the_signals_of_the_packages_own(activation):
    ours = MLP((6, 20, 20, 4), activation, weights="he_normal", biases="random_normal", seed=1)
    layers = []
    for W, b in zip(ours.weights, ours.biases):
        linear = nn.Linear(*W.shape, dtype=torch.float64)
        linear.weight.data, linear.bias.data = torch.tensor(W.T), torch.tensor(b)
        layers += [linear, {"tanh": nn.Tanh, "relu": nn.ReLU, "sigmoid": nn.Sigmoid}[activation]()]
    x, y = classes()
    trace = ours.forward(x.double().numpy())
    loss, by_outputs = softmax_cross_entropy(trace.output, y.numpy())
    gradients = ours.backward(trace, by_outputs)
    look = of_torch.look(nn.Sequential(*layers[:-1]), x.double(), y)
    assert (look.framework, look.task, look.unseen) == ("torch", "classes", {})
    assert look.loss == pytest.approx(loss, rel=1e-12)
    np.testing.assert_allclose(look.outputs, trace.output, rtol=1e-12)
    assert [row.name for row in look.layers] == ["0", "2", "4"]
    for i, row in enumerate(look.layers):
        phi = activation if i < 2 else "linear"
        assert (row.kind, row.activation, row.branch, row.normalised) == ("dense", phi, None, False)
        np.testing.assert_array_equal(row.weight[0], ours.weights[i])
        np.testing.assert_array_equal(row.bias, ours.biases[i])
        assert (row.fan_in, row.fan_out) == ours.weights[i].shape == row.library_fans
        same(row.inputs, trace.inputs[i])
        same(row.sums, trace.pre_activations[i])
        same(row.outputs, trace.activations[i], phi)
        same(row.deltas, gradients.deltas[i])
        same(row.gradient, gradients.weights[i])
        assert row.distinct == row.distinct_gradients == ours.weights[i].shape[1]


CONVOLUTIONS = [
    nn.Conv1d(4, 6, 5),
    nn.Conv2d(4, 6, 3, stride=2),
    nn.Conv2d(4, 8, 3, groups=2, dilation=2),
    nn.Conv2d(4, 8, 3, groups=4),
    nn.Conv3d(4, 6, (3, 1, 3), stride=(3, 1, 1)),
    nn.ConvTranspose1d(4, 6, 4, stride=2),
    nn.ConvTranspose2d(4, 6, 3),
    nn.ConvTranspose2d(4, 8, 4, stride=2, groups=2),
]


@pytest.mark.parametrize("layer", CONVOLUTIONS, ids=str)
def test_a_convolutions_fans_are_the_products_that_meet(layer):
    """With ones everywhere, sums and gradients count them: in the middle, over whole strides."""
    n = layer.weight.ndim - 2
    middle = (slice(None), slice(None), *[slice(6, -6)] * n)
    x = torch.ones(2, 4, *[36] * n, requires_grad=True)
    ones = copy.deepcopy(layer)
    nn.init.ones_(ones.weight)
    nn.init.zeros_(ones.bias)
    sums = ones(x)
    (by_x,) = torch.autograd.grad(sums.sum(), x)
    row = of_torch.look(layer, torch.randn(x.shape)).layers[0]
    groups, fan_in, units = row.weight.shape
    assert groups == layer.groups and groups * units == layer.out_channels
    whole = sums.detach()[middle] if layer.transposed else sums.detach()
    assert row.fan_in == pytest.approx(float(whole.mean()))
    assert row.fan_out == pytest.approx(float(by_x[middle].mean()))
    kind = "transposed " if layer.transposed else "depthwise " if groups == 4 else ""
    assert row.kind == kind + "convolution"
    for own, W in zip(np.split(layer.weight.detach().numpy(), groups), row.weight):
        own = own.swapaxes(0, 1) if layer.transposed else own  # now each unit's own numbers
        np.testing.assert_array_equal(np.sort(W, axis=0).T, np.sort(own.reshape(units, -1), axis=1))
    assert row.library_fans == nn.init._calculate_fan_in_and_fan_out(layer.weight)


@pytest.mark.parametrize("layer", CONVOLUTIONS[:5], ids=str)
def test_a_convolution_is_the_product_of_its_patches_and_the_weight(layer):
    row = of_torch.look(
        layer.double(), x := torch.randn(3, 4, *[13] * (layer.weight.ndim - 2)).double()
    )
    row, out = row.layers[0], layer(x)
    per = layer.in_channels // layer.groups
    places = [range(size) for size in out.shape[2:]]
    for g, W in enumerate(row.weight):
        for at in [tuple(p[0] for p in places), tuple(p[-1] for p in places)]:
            cut = [
                slice(i * s, i * s + d * (k - 1) + 1, d)
                for i, s, d, k in zip(at, layer.stride, layer.dilation, layer.kernel_size)
            ]
            patch = x[(slice(None), slice(g * per, (g + 1) * per), *cut)].movedim(1, -1)
            patch = patch.reshape(3, -1).numpy()
            units = slice(g * W.shape[1], (g + 1) * W.shape[1])
            wanted = out[(slice(None), units, *at)].detach().numpy() - row.bias[units]
            np.testing.assert_allclose(patch @ W, wanted, atol=1e-12)
    same(row.sums, out.detach().movedim(1, -1))
    same(row.inputs, x.movedim(1, -1))


def test_deltas_and_gradients_of_a_small_net_by_hand():
    """loss = mean (relu(x w) v - t)²: its derivatives are written out."""
    net = nn.Sequential(
        nn.Linear(3, 5, bias=False), nn.ReLU(inplace=True), nn.Linear(5, 1, bias=False)
    )
    net.double()
    x, t = torch.randn(7, 3).double(), torch.randn(7).double()
    w, v = (p.detach().numpy().T for p in net.parameters())
    z = x.numpy() @ w
    a = np.maximum(z, 0)
    by_out = 2 * (a @ v - t.numpy()[:, None]) / 7
    by_z = by_out @ v.T * (z > 0)
    look = of_torch.look(net, x, t)
    first, last = look.layers
    same(first.sums, z)
    same(first.outputs, a)
    same(first.deltas, by_z)
    same(first.gradient, x.numpy().T @ by_z)
    same(last.deltas, by_out)
    same(last.gradient, a.T @ by_out)
    assert look.task == "regression" and look.loss_name.startswith("MSELoss")


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_measured_in_double(dtype):
    net = nn.Sequential(nn.Linear(6, 300), nn.ReLU(), nn.Linear(300, 4)).to(dtype)
    x, y = classes()
    x = 3e4 * x.clamp(-2, 2)  # a square of it overflows in half precision
    look = of_torch.look(net, x.to(dtype), y)
    first = look.layers[0]
    same(first.inputs, x.to(dtype).double())
    same(first.sums, net[0](x.to(dtype)).detach().double())
    same(first.outputs, net[:2](x.to(dtype)).detach().double())
    assert first.weight.dtype == np.float64 and math.isfinite(first.sums.rms)


def test_what_is_not_finite_is_a_result():
    net = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 4))
    net[2].weight.data[0, 0] = math.nan
    look = of_torch.look(net, *classes(), optimizer=torch.optim.SGD(net.parameters(), 0.1))
    assert [row.sums.finite == 1 for row in look.layers] == [True, False, False]
    assert look.layers[1].distinct is None and math.isnan(look.loss)
    assert [row.activation for row in look.layers] == ["relu", "tanh", "linear"]


# --- Nothing of the caller's is moved.


def state(model, optimizer=None):
    found = {
        "hooks": [
            {name: len(value) for name, value in vars(module).items() if name.endswith("hooks")}
            for module in model.modules()
        ],
        "modes": [module.training for module in model.modules()],
        "ids": [id(t) for t in [*model.parameters(), *model.buffers()]],
        "values": [t.detach().clone() for t in [*model.parameters(), *model.buffers()]],
        "versions": [t._version for t in [*model.parameters(), *model.buffers()]],
        "grads": [None if p.grad is None else p.grad.clone() for p in model.parameters()],
        "trained": [p.requires_grad for p in model.parameters()],
        "attributes": [sorted(vars(module)) for module in model.modules()],
        "random": [torch.get_rng_state()],
        "own": [vars(p) for p in model.parameters()],
        "modes of torch": [
            torch.is_grad_enabled(),
            len(torch.overrides._get_current_function_mode_stack()),
        ],
    }
    if torch.cuda.is_available():
        found["random"] += torch.cuda.get_rng_state_all()
    if optimizer is not None:
        found["optimizer"] = copy.deepcopy(optimizer.state_dict())
    return found


def assert_equal(one, other):
    if isinstance(one, torch.Tensor):
        assert torch.equal(one, other)
    elif isinstance(one, dict):
        assert one.keys() == other.keys()
        for name in one:
            assert_equal(one[name], other[name])
    elif isinstance(one, list):
        assert len(one) == len(other)
        for pair in zip(one, other):
            assert_equal(*pair)
    else:
        assert one == other


def restless():
    """Return a net that moves everything that a forward pass can move."""

    def forward(net, x):
        x.mul_(2.0)
        net.calls += 1
        x = net.seen = net.drop(net.norm(net.conv(x)))
        return net.head(F.relu_(x.clone()).flatten(1) + torch.randn(()))

    net = Of(
        forward,
        conv=nn.utils.parametrizations.spectral_norm(nn.Conv2d(2, 4, 3)),
        norm=nn.BatchNorm2d(4),
        drop=nn.Dropout(0.5),
        head=nn.Linear(4 * 16, 3),
    )
    net.calls = 0
    net.head.bias.requires_grad_(False)
    net.norm.register_forward_hook(lambda *_: None)
    return net


@pytest.mark.parametrize("mode", ["train", "eval", "mixed"])
@pytest.mark.parametrize("make", [torch.optim.SGD, torch.optim.AdamW])
def test_nothing_is_moved(mode, make):
    net = restless()
    x, y = torch.randn(8, 2, 6, 6), torch.randint(3, (8,))
    optimizer = make([p for p in net.parameters() if p.requires_grad], 0.1)
    for _ in range(2):  # gradients, moving averages, the optimizer's state, an output that is kept
        F.cross_entropy(net(x.clone()), y).backward()
        optimizer.step()
    net.train(mode == "train")
    net.norm.train(mode != "eval")
    before, inputs, calls = state(net, optimizer), x.clone(), net.calls
    with torch.no_grad():
        look = of_torch.look(net, x, y, nn.CrossEntropyLoss(label_smoothing=0.1), optimizer)
    assert_equal(before, state(net, optimizer) | {"modes of torch": before["modes of torch"]})
    assert torch.is_grad_enabled() and torch.equal(x, inputs) and net.calls == calls
    assert [row.name for row in look.layers] == ["conv", "norm", "head"]
    assert all(row.deltas.rms > 0 and row.gradient.rms > 0 for row in look.layers)
    assert look.task == "classes" and look.optimizer == make.__name__


def test_nothing_is_moved_where_the_model_raises():
    net = restless()
    x, y = torch.randn(8, 2, 7, 7), torch.randint(3, (8,))
    before = state(net)
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        of_torch.look(net, x, y)
    assert_equal(before, state(net))


def test_a_loss_that_knows_the_callers_parameters_leaves_them_without_gradients():
    net = nn.Linear(6, 4)
    look = of_torch.look(
        net, *classes(), lambda a, t: F.cross_entropy(a, t) + net.weight.square().sum()
    )
    assert net.weight.grad is None and look.layers[0].gradient.rms > 0 and look.task is None


def test_frozen_parameters_are_said_to_be_frozen_and_have_no_gradient():
    net = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 4))
    net[0].requires_grad_(False)
    first, last = of_torch.look(
        net, *classes(), optimizer=torch.optim.SGD(net.parameters(), 0.1)
    ).layers
    assert (first.trainable, last.trainable) == (False, True)
    assert first.gradient is None and first.update == 0  # not judged: nothing is to learn there
    assert first.sums.rms > 0 and last.gradient.rms > 0 and last.update > 0


# --- What follows a layer.

TANH_GELU = lambda z: 0.5 * z * (1 + torch.tanh((2 / math.pi) ** 0.5 * (z + 0.044715 * z**3)))  # noqa: E731
WRITTEN = {
    "relu": [
        nn.ReLU(),
        nn.ReLU(inplace=True),
        F.relu,
        F.relu_,
        torch.relu,
        lambda z: z.relu(),
        lambda z: z.clamp(min=0),
        lambda z: torch.where(z > 0, z, 0.0 * z),
        lambda z: torch.maximum(z, torch.zeros(())),
        lambda z: z.view(3, -1).relu().view(12, -1),
        lambda z: F.dropout(z, 0.5).relu(),
        lambda z: F.dropout(z.relu(), 0.5),
        lambda z: F.max_pool1d(z.relu(), 2),
    ],
    "tanh": [nn.Tanh(), torch.tanh, F.tanh, lambda z: 2 * torch.sigmoid(2 * z) - 1],
    "sigmoid": [nn.Sigmoid(), torch.sigmoid, lambda z: 1 / (1 + torch.exp(-z))],
    "gelu": [nn.GELU(), nn.GELU("tanh"), F.gelu, TANH_GELU],
    "silu": [nn.SiLU(), F.silu, lambda z: z * torch.sigmoid(z)],
    "elu": [nn.ELU(), F.elu],
    "selu": [nn.SELU(), F.selu],
    "softplus": [nn.Softplus(), lambda z: (1 + z.exp()).log()],
    "softsign": [nn.Softsign(), lambda z: z / (1 + z.abs())],
    "leaky_relu": [nn.LeakyReLU(), F.leaky_relu],
    "leaky_relu(0.2)": [nn.LeakyReLU(0.2, inplace=True), lambda z: F.leaky_relu(z, 0.2)],
    "leaky_relu(0.25)": [nn.PReLU()],
    "linear": [nn.Identity(), nn.Dropout(0.5), lambda z: 2 * z, lambda z: z.t().t().contiguous()],
    None: [torch.sin, lambda z: z**2, nn.Softmax(-1), lambda z: z.relu() * z.roll(1, 0)],
}


@pytest.mark.parametrize("name, function", [(n, f) for n, fs in WRITTEN.items() for f in fs])
def test_an_activation_is_recognised_however_it_is_written(name, function):
    net = Of(
        lambda net, x: net.last(F.pad(z := net.phi(net.first(x)), (0, 24 - z.shape[1]))),
        first=nn.Linear(6, 24),
        phi=function if isinstance(function, nn.Module) else Of(lambda _, z: function(z)),
        last=nn.Linear(24, 4),
    )
    x, y = classes()
    first, last = of_torch.look(net, 3 * x, y).layers
    assert (first.activation, last.activation) == (name, "linear")
    z = net.first(3 * x).detach()
    same(first.sums, z, rtol=1e-6)
    if name and "drop" not in repr(net) and first.outputs.units == 24:
        clean = function(z.clone()) if isinstance(function, nn.Module) else z
        assert first.outputs.rms > 0 and clean.shape == z.shape


@pytest.mark.parametrize("scale", [1e-12, 1e-4, 1.0, 1e4])
def test_a_named_activation_is_known_at_any_scale(scale):
    net = nn.Sequential(nn.Linear(6, 9), nn.Tanh(), nn.Linear(9, 9), nn.GELU(), nn.Linear(9, 4))
    for p in net.parameters():
        p.data *= scale
    found = of_torch.look(net, *classes()).layers
    assert [row.activation for row in found] == ["tanh", "gelu", "linear"]


def test_a_convolution_before_batch_normalisation_and_relu():
    net = nn.Sequential(nn.Conv2d(3, 8, 3, bias=False), nn.BatchNorm2d(8), nn.ReLU(True)).double()
    net += nn.Sequential(
        nn.Conv2d(8, 4, 3), nn.ReLU(), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(16, 2)
    ).double()
    net[1].weight.data.uniform_(0.5, 2)
    x = torch.randn(8, 3, 6, 6).double()
    found = of_torch.look(net, x, torch.randint(2, (8,))).layers
    assert [row.kind for row in found] == [
        *("convolution", "normalisation", "convolution", "normalisation", "dense")
    ]
    assert [row.activation for row in found] == ["relu", "relu", "relu", "linear", "linear"]
    assert [row.normalised for row in found] == [True, False, True, False, False]
    z = net[0](x).detach()
    u = F.batch_norm(z, None, None, net[1].weight, net[1].bias, True).detach()
    same(found[0].sums, z.movedim(1, -1))
    same(found[1].inputs, z.movedim(1, -1))
    same(found[1].sums, u.movedim(1, -1))
    for row in found[:2]:
        same(row.outputs, u.relu().movedim(1, -1), "relu")
    np.testing.assert_array_equal(found[1].scale, net[1].weight.detach())
    assert found[1].weight is None and found[1].key == "1.weight" and found[1].deltas.rms > 0


@pytest.mark.parametrize(
    "layer",
    [
        nn.LayerNorm(6),
        nn.LayerNorm(6, elementwise_affine=False),
        nn.RMSNorm(6),
        nn.GroupNorm(2, 6),
        nn.InstanceNorm1d(6),
        Of(lambda _, x: F.rms_norm(x, (6,))),
        Of(lambda net, x: F.layer_norm(x, (6,), net.g), g=nn.Parameter(torch.ones(6))),
    ],
)
def test_the_normalisations(layer):
    net = Of(
        lambda net, x: net.last(net.norm(net.first(x)[..., None].expand(-1, -1, 3)).mean(2)),
        norm=layer,
    )
    if not isinstance(layer, (nn.GroupNorm, nn.InstanceNorm1d)):
        net.function = lambda net, x: net.last(net.norm(net.first(x)))
    net.first, net.last = nn.Linear(6, 6), nn.Linear(6, 4)
    found = of_torch.look(net.eval(), *classes()).layers
    assert [row.kind for row in found] == ["dense", "normalisation", "dense"]
    assert found[0].normalised and found[1].sums.units == 6
    assert (found[1].scale is None) == (found[1].key == "")


class RootMeanSquareNorm(nn.Module):  # as large language models write it
    def __init__(self, width):
        super().__init__()
        self.weight = nn.Parameter(torch.full((width,), 2.0))

    def forward(self, x):
        return self.weight * (x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6))


def test_a_normalisation_of_ones_own():
    net = nn.Sequential(nn.Linear(6, 8), RootMeanSquareNorm(8), nn.Tanh(), nn.Linear(8, 4))
    first, norm, last = of_torch.look(net, *classes()).layers
    assert (norm.kind, norm.activation, first.activation) == ("normalisation", "tanh", "tanh")
    assert norm.sums.rms == pytest.approx(2, rel=1e-3) and (norm.scale == 2).all()
    assert first.normalised and not last.normalised
    for name in ("bias", "shift", "power"):  # beyond a scale and a bias nothing is shown
        net[1].register_parameter(name, nn.Parameter(torch.zeros(8)))
    assert of_torch.look(net, *classes()).layers[1].bias.shape == (8,)


# --- Residual branches.


def residual(kind):
    """Return a net of two blocks, and the names of what ends a branch."""
    linear = {f"f{i}": nn.Linear(8, 8) for i in range(4)}
    norms = {f"n{i}": nn.LayerNorm(8) for i in range(4)}

    def forward(net, x):
        x = net.first(x)
        if kind == "plain":
            x = x + net.f1(net.f0(x).relu())
            x = net.f3(net.f2(x.clone()).relu()).add_(x.view(-1, 8))
        elif kind == "pre":
            x = x + F.dropout(net.f1(net.f0(net.n0(x)).relu()), 0.1)
            x = x + 0.5 * net.f3(net.f2(net.n1(x)).relu())
        elif kind == "post":
            x = net.n0(net.f1(net.f0(x).relu()) + x)
            x = net.n1(net.f3(net.f2(x).relu()) + x)
        elif kind == "projection":
            x = torch.relu(net.n1(net.f1(net.n0(net.f0(x)).relu())) + net.n2(net.f2(x)))
        elif kind == "parallel":
            h = net.n0(x)
            x = x + (net.f1(net.f0(h).relu()) + net.f3(net.f2(h).relu()))
        elif kind == "none":
            x = (net.f0(x) + net.f1(x) + net.g).tanh() + net.g
            x = net.f2(x) * torch.sigmoid(net.f3(x))
        return net.last(x)

    ends = {"plain": "f1 f3", "pre": "f1 f3", "post": "f1 f3", "projection": "n1"}
    ends |= {"parallel": "f3", "none": ""}
    parts = {"first": nn.Linear(6, 8), "last": nn.Linear(8, 4), "g": nn.Parameter(torch.ones(8))}
    return Of(forward, **linear, **norms, **parts), ends[kind].split()


@pytest.mark.parametrize("kind", ["plain", "pre", "post", "projection", "parallel", "none"])
def test_the_ends_of_residual_branches(kind):
    net, ends = residual(kind)
    look = of_torch.look(net.eval(), *classes())
    assert [row.name for row in look.layers if row.branch] == ends
    assert all((row.stream is None) == (row.branch is None) for row in look.layers)


def test_the_stream_is_the_sum():
    net, _ = residual("plain")
    x, y = classes()
    found = rows(of_torch.look(net.double(), x.double(), y))
    h = net.first(x.double())
    added = net.f1(net.f0(h).relu())
    same(found["f1"].outputs, added.detach())
    same(found["f1"].stream, (h + added).detach())
    assert (found["f1"].activation, found["f0"].activation) == ("linear", "relu")


def test_relu_after_the_sum_is_what_the_branch_goes_through():
    found = rows(of_torch.look(residual("projection")[0], *classes()))
    assert [found[n].activation for n in ("f0", "n0", "f1", "n1", "f2", "n2")] == ["relu"] * 6


# --- Attention, embeddings, shared and packed weights, recurrence.


@pytest.mark.parametrize("length", [5, 12])  # 12 is the batch too
@pytest.mark.parametrize("weights", [True, False])
def test_multihead_attention_is_a_packed_and_an_output_projection(length, weights):
    net = nn.MultiheadAttention(8, 2, batch_first=True).double()
    nn.init.normal_(net.in_proj_bias)
    x = torch.randn(12, length, 8).double()
    look = of_torch.look(
        Of(lambda net, x: net.attention(x, x, x, need_weights=weights)[0], attention=net), x, x
    )
    packed, last = look.layers
    assert [packed.name, last.name] == ["attention.in_proj", "attention.out_proj"]
    assert (packed.kind, last.kind, look.unseen) == ("attention", "attention", {})
    W = net.in_proj_weight.detach().numpy()
    np.testing.assert_array_equal(packed.weight, [W[8 * i : 8 * i + 8].T for i in range(3)])
    assert (packed.fan_in, packed.fan_out, packed.library_fans) == (8, 8, (8, 24))
    assert (packed.activation, last.activation) == ("linear", "linear")
    same(packed.sums, x.numpy() @ W.T + net.in_proj_bias.detach().numpy())
    same(last.sums, net(x, x, x)[0].detach())
    assert packed.gradient.rms > 0 and packed.deltas.rms > 0 and packed.distinct == 24


def test_attention_written_out_with_packed_weights_as_hugging_face_stores_them():
    def forward(net, x):
        h = net.norm(x)
        q, k, v = torch.addmm(net.b, h.view(-1, 8), net.W).view(12, 5, 24).split(8, dim=2)
        q, k, v = (t.view(12, 5, 2, 4).transpose(1, 2) for t in (q, k, v))
        shares = F.dropout((q @ k.transpose(-2, -1) / 2.0).softmax(-1), 0.1)
        x = x + net.proj((shares @ v).transpose(1, 2).reshape(12, 5, 8))
        return net.head(x.mean(1))

    parts = {"norm": nn.LayerNorm(8), "proj": nn.Linear(8, 8), "head": nn.Linear(8, 4)}
    net = Of(forward, **parts, W=nn.Parameter(torch.randn(8, 24)), b=nn.Parameter(torch.randn(24)))
    x = torch.randn(12, 5, 8)
    found = rows(of_torch.look(net, x, torch.randint(4, (12,))))
    assert list(found) == ["norm", "W", "proj", "head"]
    W = found["W"]
    assert (W.kind, W.weight.shape, W.shape, W.library_fans) == (
        "attention",
        (3, 8, 8),
        (8, 24),
        (24, 8),
    )
    np.testing.assert_array_equal(W.weight[1], net.W.detach()[:, 8:16])
    same(W.sums, (net.norm(x) @ net.W + net.b).detach(), rtol=1e-5)
    assert (
        found["proj"].kind == "attention" and found["proj"].branch and found["head"].kind == "dense"
    )


def test_cross_attention_names_the_parts_of_the_packed_weight():
    net = nn.TransformerDecoderLayer(8, 2, 16, batch_first=True)
    x = torch.randn(12, 5, 8)
    look = of_torch.look(net, {"tgt": x, "memory": torch.randn(12, 3, 8)}, x)
    assert [row.name for row in look.layers if row.kind == "attention"] == [
        *("self_attn.in_proj", "self_attn.out_proj", "multihead_attn.in_proj"),
        *("multihead_attn.in_proj (call 2)", "multihead_attn.out_proj"),
    ]
    assert rows(look)["multihead_attn.in_proj (call 2)"].weight.shape == (2, 8, 8)
    assert [row.name for row in look.layers if row.branch] == [
        *("self_attn.out_proj", "multihead_attn.out_proj", "linear2")
    ]
    assert rows(look)["linear1"].activation == "relu" and look.unseen == {}


def test_embeddings_and_a_tied_head_share_their_key():
    net = Of(lambda net, i: net.head(net.body(net.table(i)).tanh()), table=nn.Embedding(30, 8))
    net.body, net.head = nn.Linear(8, 8), nn.Linear(8, 30, bias=False)
    net.head.weight = net.table.weight
    tokens = torch.randint(30, (12, 5))
    look = of_torch.look(net, tokens, tokens)
    table, body, head = look.layers
    assert (table.kind, head.kind, head.name) == ("embedding", "dense", "head")
    assert table.key == head.key == "table.weight" and list(look.tensors).count(table.key) == 1
    assert table.weight.shape == (1, 30, 8) and head.weight.shape == (1, 8, 30)
    assert (table.fan_in, table.fan_out, table.inputs) == (1, 8, None)
    assert look.outputs.shape == (12, 5, 30) and look.inputs.dtype.kind == "i"
    same(table.sums, net.table(tokens).detach(), rtol=1e-6)
    assert table.gradient.rms == pytest.approx(head.gradient.rms)


def test_a_shared_module_has_a_row_for_each_call():
    net = Of(lambda net, x: net.last(net.f(net.f(x).relu()).tanh()), f=nn.Linear(6, 6))
    net.last = nn.Linear(6, 4)
    look = of_torch.look(net, *classes())
    assert [row.name for row in look.layers] == ["f", "f (call 2)", "last"]
    assert [row.activation for row in look.layers] == ["relu", "tanh", "linear"]
    assert look.layers[0].key == look.layers[1].key == "f.weight"
    assert look.layers[0].sums.rms != look.layers[1].sums.rms


def test_parameters_outside_modules_are_layers_too():
    net = Of(
        lambda net, x: F.linear((x @ net.w1 + net.b).relu() @ net.w2.T, net.w3),
        w1=nn.Parameter(torch.randn(6, 9)),
        b=nn.Parameter(torch.zeros(9)),
        w2=nn.Parameter(torch.randn(7, 9)),
        w3=nn.Parameter(torch.randn(4, 7)),
    )
    look = of_torch.look(net, *classes())
    assert [(row.name, row.weight.shape) for row in look.layers] == [
        *(("w1", (1, 6, 9)), ("w2", (1, 9, 7)), ("w3", (1, 7, 4)))
    ]
    assert [row.activation for row in look.layers] == ["relu", "linear", "linear"]
    assert all(row.gradient.rms > 0 for row in look.layers) and look.unseen == {}


def test_computed_weights_are_seen_and_learn():
    net = nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Linear(6, 8)), nn.ReLU())
    net.append(nn.Linear(8, 4))
    first = of_torch.look(net, *classes()).layers[0]
    np.testing.assert_allclose(first.weight[0], net[0].weight.detach().T)
    assert (first.name, first.activation) == ("0", "relu") and first.gradient.rms > 0
    assert of_torch.look(net, *classes()).unseen == {}


def test_a_compiled_model_is_looked_at_as_it_was_before():
    net = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 4))
    net = torch.compile(net, backend="eager")
    look = of_torch.look(net, *classes(), optimizer=torch.optim.SGD(net.parameters(), 0.1))
    assert [row.name for row in look.layers] == ["0", "2"] and look.layers[0].update > 0


@pytest.mark.parametrize("cell", [nn.LSTM, nn.GRU, nn.RNN])
def test_recurrent_layers_are_said_to_be_unseen(cell):
    net = Of(lambda net, i: net.head(net.cell(net.table(i))[0][:, -1]), table=nn.Embedding(9, 6))
    net.cell, net.head = cell(6, 8, batch_first=True), nn.Linear(8, 4)
    look = of_torch.look(net, torch.randint(9, (12, 5)), torch.randint(4, (12,)))
    assert [row.name for row in look.layers] == ["table", "head"]
    assert look.unseen == {cell.__name__: 1} and all(row.deltas.rms > 0 for row in look.layers)


def test_equal_units_of_large_layers_are_counted():
    """More numbers than are compared at once: equal, sparse and dead units."""
    net = nn.Sequential(nn.Linear(1500, 1200), nn.ReLU(), nn.Linear(1200, 1200), nn.Linear(1200, 3))
    net[0].weight.data[7:10] = net[0].weight.data[6]
    net[0].bias.data[6:10] = -1e3
    nn.init.eye_(net[2].weight)
    nn.init.zeros_(net[2].bias)
    x, y = torch.randn(4, 1500), torch.randint(3, (4,))
    found = of_torch.look(net, x, y).layers
    assert (found[0].distinct, found[1].distinct) == (1197, 1200)
    F.cross_entropy(net(x), y).backward()
    dead = int((net[0].weight.grad == 0).all(dim=1).sum())
    assert found[0].distinct_gradients == 1201 - dead and dead > 4


def test_what_is_not_understood_is_said():
    net = Of(
        lambda net, x: net.head(net.two(x, x) + net.position + torch.einsum("bi,io->bo", x, net.w)),
        two=nn.Bilinear(6, 6, 8),
        head=nn.Linear(8, 4),
        spare=nn.Linear(3, 3),
        position=nn.Parameter(torch.zeros(12, 8)),
        w=nn.Parameter(torch.zeros(6, 8)),
    )
    look = of_torch.look(net, *classes())
    assert [row.name for row in look.layers] == ["head"]
    assert look.unseen == {"Of.position": 1, "Of.w": 1, "Bilinear": 1, "Linear": 1}


# --- Batches, outputs, losses, optimizers.


def test_checkpointed_parts_are_seen_as_others():
    def make(wrap):
        torch.manual_seed(0)
        body = nn.Sequential(
            nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.5), nn.Linear(8, 8)
        )
        net = Of(lambda net, x: net.head(wrap(net.body, net.first(x))), body=body)
        net.first, net.head = nn.Linear(6, 6), nn.Linear(8, 4)
        return net

    x, y = classes()
    net = make(lambda part, x: part(x))
    torch.manual_seed(1)
    plain = of_torch.look(net, x, y)
    net = make(lambda part, x: checkpoint(part, x, use_reentrant=False))
    before = state(net)
    torch.manual_seed(1)
    found = of_torch.look(net, x, y)
    assert_equal(before["values"], state(net)["values"])
    for one, other in zip(plain.layers, found.layers, strict=True):
        assert (one.name, one.activation) == (other.name, other.activation)
        for name in ("sums", "outputs", "deltas", "gradient"):
            np.testing.assert_allclose(fields(getattr(one, name)), fields(getattr(other, name)))
    net = make(lambda part, x: checkpoint(part, x, use_reentrant=True))
    with pytest.raises(RuntimeError, match="use_reentrant=False"):  # PyTorch says what to do
        of_torch.look(net, x, y)


class Output(dict):
    """As the outputs of Hugging Face's models: a mapping whose entries are attributes too."""

    loss = property(lambda self: self.get("loss"))


def test_models_that_take_and_return_mappings_and_know_their_loss():
    def forward(net, ids=None, mask=None, labels=None):
        logits = net.head(net.table(ids).mean(1) * mask)
        out = {} if labels is None else {"loss": 2 * F.cross_entropy(logits, labels)}
        return Output(out | {"logits": logits, "state": None})

    net = Of(forward, table=nn.Embedding(9, 6), head=nn.Linear(6, 4))
    net.forward = lambda ids=None, mask=None, labels=None: forward(net, ids, mask, labels)
    batch = {"ids": torch.randint(9, (12, 5)), "mask": torch.ones(12, 1)}
    y = torch.randint(4, (12,))
    look = of_torch.look(net, batch, y)
    logits = net(**batch)["logits"].detach()
    assert look.loss == pytest.approx(2 * float(F.cross_entropy(logits, y)))
    assert (look.loss_name, look.task) == ("the model's own loss", "classes")
    np.testing.assert_allclose(look.outputs, logits)
    np.testing.assert_array_equal(look.targets, y)
    given = of_torch.look(net, batch, y, lambda out, t: F.cross_entropy(out["logits"], t))
    assert given.task == "classes" and given.loss == pytest.approx(look.loss / 2)
    assert of_torch.look(net, batch).loss is None and of_torch.look(net, batch | {"labels": y}).loss


def test_tuples_of_tensors_and_no_arrays():
    net = Of(lambda net, a, b: (net.head(a + b), a), head=nn.Linear(6, 4))
    x, y = classes()
    look = of_torch.look(net, (x, x), y)
    with pytest.raises(TypeError, match="`x` must be a tensor, or a tuple or mapping of them"):
        of_torch.look(net, (x.numpy(), x.numpy()), y)
    with pytest.raises(ValueError, match="`y` must be a tensor of targets"):
        of_torch.look(net, (x, x), y.numpy())
    np.testing.assert_allclose(look.outputs, net(x, x)[0].detach(), rtol=1e-6)
    assert look.layers[0].gradient.rms > 0 and look.targets.dtype.kind == "i"


LOSSES = [
    (None, "classes", (12,), 4, "classes"),
    (nn.CrossEntropyLoss(), "classes", (12,), 4, "classes"),
    (nn.CrossEntropyLoss(reduction="sum"), "classes", (12,), 4, "classes"),
    (lambda a, t: F.cross_entropy(a, t), "classes", (12,), 4, "classes"),
    (lambda a, t: 3 * F.cross_entropy(a, t), "classes", (12,), 4, None),
    (None, "binary", (12,), 1, "regression"),
    (nn.BCEWithLogitsLoss(), "float", (12, 3), 3, "classes"),
    (None, "float", (12, 3), 3, "regression"),
    (None, "float", (12,), 1, "regression"),
    (F.l1_loss, "float", (12, 1), 1, "regression"),
]


@pytest.mark.parametrize("loss, kind, shape, units, task", LOSSES)
def test_what_the_loss_is_about(loss, kind, shape, units, task):
    y = (
        torch.rand(shape)
        if kind == "float"
        else torch.randint(4 if kind == "classes" else 2, shape)
    )
    net = nn.Linear(6, units)
    look = of_torch.look(net, x := torch.randn(12, 6), y, loss)
    assert look.task == task
    if loss is not None:
        assert look.loss == pytest.approx(float(loss(net(x), y).detach()))
    assert math.isfinite(look.loss) and look.layers[0].gradient.rms > 0 and look.loss_name


def test_segmentation_has_its_classes_last():
    look = of_torch.look(nn.Conv2d(2, 5, 1), torch.randn(12, 2, 3, 3), torch.randint(5, (12, 3, 3)))
    assert look.outputs.shape == (12, 3, 3, 5) and look.task == "classes" and look.layers[0].deltas


def test_labels_out_of_range_are_no_error():
    for loss in (None, nn.CrossEntropyLoss()):
        look = of_torch.look(nn.Linear(6, 4), torch.randn(12, 6), torch.full((12,), 4), loss)
        assert (look.loss, look.task, look.targets.max()) == (None, "classes", 4)
        assert look.layers[0].gradient is None


OPTIMIZERS = [
    lambda p: torch.optim.SGD(p, 0.1),
    lambda p: torch.optim.SGD(p, 0.1, momentum=0.9, weight_decay=0.1),
    lambda p: torch.optim.Adam(p, 0.01),
    lambda p: torch.optim.AdamW([{"params": [q], "lr": 0.01 * i} for i, q in enumerate(p, 1)]),
]


@pytest.mark.parametrize("make", OPTIMIZERS)
def test_the_first_step_over_the_weight(make):
    net = nn.Sequential(nn.Linear(6, 8), nn.LayerNorm(8), nn.ReLU(), nn.Linear(8, 4)).double()
    x, y = torch.randn(12, 6).double(), torch.randint(4, (12,))
    optimizer = make([*net.parameters()])
    look = of_torch.look(net, x, y, optimizer=optimizer)
    before = [p.detach().clone() for p in (net[0].weight, net[1].weight, net[3].weight)]
    F.cross_entropy(net(x), y).backward()
    optimizer.step()
    after = [net[0].weight, net[1].weight, net[3].weight]
    wanted = [float((b.detach() - a).norm() / a.norm()) for a, b in zip(before, after)]
    assert [row.update for row in look.layers] == pytest.approx(wanted)
    for row, start in zip(look.layers, before):  # as they were before the step
        same_as = row.scale if row.weight is None else row.weight[0].T
        np.testing.assert_array_equal(same_as, start)
    assert [row.bias.any() for row in look.layers] == [True, False, True]


@pytest.mark.parametrize(
    "arguments, error, words",
    [
        (("net", torch.ones(3, 6)), TypeError, "`model` must be a torch.nn.Module"),
        ((nn.Linear(6, 4), "text"), TypeError, "`x` must be a tensor"),
        (
            (nn.Linear(6, 4), torch.ones(3, 6), torch.ones(3, 2)),
            ValueError,
            "`y` must be a tensor",
        ),
        ((nn.Linear(6, 4), torch.ones(3, 6), torch.ones(3), "mse"), TypeError, "`loss` must be"),
        (
            (nn.Linear(6, 4), torch.ones(3, 6), torch.ones(3, 4), nn.MSELoss(reduction="none")),
            ValueError,
            "one number",
        ),
        ((Of(lambda _, x: None), torch.ones(3, 6)), ValueError, "must return floats"),
        (
            (
                nn.Linear(6, 4),
                torch.ones(3, 6),
                None,
                None,
                torch.optim.SGD(nn.Linear(6, 4).parameters()),
            ),
            ValueError,
            "`optimizer` must be an optimizer of the model's own",
        ),
    ],
)
def test_what_does_not_fit_is_an_error(arguments, error, words):
    with pytest.raises(error, match=words):
        of_torch.look(*arguments)


@pytest.mark.filterwarnings("ignore:`torch.jit")
def test_a_scripted_model_is_to_be_handed_over_as_it_was_before():
    x = torch.ones(3, 6)
    for scripted in (torch.jit.script(nn.Linear(6, 4)), torch.jit.trace(nn.Linear(6, 4), x)):
        with pytest.raises(TypeError, match="as it was before torch.jit"):
            of_torch.look(scripted, x)


# --- Architectures that nobody here wrote, from their configurations.


@pytest.fixture(scope="module")
def vision():
    """Return `torchvision.models`; PyPI's is built for CUDA and finds no operators without it."""
    try:
        import torchvision
    except RuntimeError:
        library = torch.library.Library("torchvision", "FRAGMENT")
        for name in ("nms", "qnms"):
            library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        import torchvision
    return torchvision.models


def images(size=64):
    return torch.randn(8, 3, size, size), torch.randint(10, (8,))


def fans(module):
    """Return the true fans, from the module's own attributes."""
    if isinstance(module, nn.Conv2d):
        places, stride = math.prod(module.kernel_size), math.prod(module.stride)
        by = module.groups
        return module.in_channels // by * places, module.out_channels // by * places / stride
    return module.in_features, module.out_features


@pytest.mark.parametrize("name, ends", [("resnet18", 8), ("resnet50", 16)])
def test_a_residual_network(vision, name, ends):
    net = getattr(vision, name)(num_classes=10)
    look = of_torch.look(net, *images(32))
    found = rows(look)
    parts = {n: m for n, m in net.named_modules() if isinstance(m, (nn.Conv2d, nn.Linear))}
    norms = {n for n, m in net.named_modules() if isinstance(m, nn.BatchNorm2d)}
    assert {n for n, row in found.items() if row.kind == "normalisation"} == norms
    assert found.keys() == parts.keys() | norms and len(look.layers) == len(found)
    assert look.unseen == {} and look.task == "classes"
    for n, module in parts.items():
        assert (found[n].fan_in, found[n].fan_out) == fans(module)
        assert found[n].normalised == (n != "fc")
    assert {row.activation for n, row in found.items()} == {"relu", "linear"}
    assert [n for n, row in found.items() if row.activation == "linear"] == ["fc"]
    last = "bn2" if name == "resnet18" else "bn3"
    blocks = [n.removesuffix(".relu") for n, _ in net.named_modules() if n.endswith(".relu")]
    branches = [(n, row.branch) for n, row in found.items() if row.branch]
    assert branches == [(f"{block}.{last}", block) for block in blocks] and len(blocks) == ends
    assert all(row.deltas.rms > 0 and row.gradient.rms > 0 for row in look.layers)


def test_a_vision_transformer(vision):
    net = vision.vit_b_16(num_classes=10, image_size=32)
    look = of_torch.look(net, *images(32))
    found = rows(look)
    blocks = [f"encoder.layers.encoder_layer_{i}." for i in range(12)]
    steps = ("ln_1", "self_attention.in_proj", "self_attention.out_proj", "ln_2", "mlp.0", "mlp.3")
    inner = [block + step for block in blocks for step in steps]
    assert list(found) == ["conv_proj", *inner, "encoder.ln", "heads.head"]
    assert look.unseen == {"Encoder.pos_embedding": 1}
    for block in blocks:
        packed, out, first, last = (found[block + steps[i]] for i in (1, 2, 4, 5))
        assert (packed.kind, packed.weight.shape) == (out.kind, (3, 768, 768))
        assert (out.kind, out.weight.shape) == ("attention", (1, 768, 768))
        assert (packed.activation, first.activation, last.activation) == (
            "linear",
            "gelu",
            "linear",
        )
        assert (first.fan_in, first.fan_out, last.fan_in, last.fan_out) == (768, 3072, 3072, 768)
        assert (out.branch, last.branch) == (block + "self_attention", block + "mlp")
    assert sum(row.branch is not None for row in look.layers) == 24
    assert (found["conv_proj"].fan_in, found["conv_proj"].fan_out) == (768, 768)
    assert found["heads.head"].sums.rms == 0 and look.loss == pytest.approx(math.log(10))
    assert found["encoder.ln"].deltas.rms == 0 and found["heads.head"].gradient.rms > 0


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_a_gpt2(attention):
    from transformers import GPT2Config, GPT2LMHeadModel

    config = GPT2Config(
        n_layer=2, vocab_size=500, attn_implementation=attention, bos_token_id=0, eos_token_id=0
    )
    net, tokens = GPT2LMHeadModel(config), torch.randint(500, (8, 12))
    look = of_torch.look(net, {"input_ids": tokens}, tokens)
    found = {n.removeprefix("transformer."): row for n, row in rows(look).items()}
    steps = ("ln_1", "attn.c_attn", "attn.c_proj", "ln_2", "mlp.c_fc", "mlp.c_proj")
    inner = [f"h.{i}.{step}" for i in range(2) for step in steps]
    assert list(found) == ["wte", "wpe", *inner, "ln_f", "lm_head"] and look.unseen == {}
    assert found["wte"].key == found["lm_head"].key == "transformer.wte.weight"
    for i in range(2):
        packed, out, first, last = (found[f"h.{i}.{steps[j]}"] for j in (1, 2, 4, 5))
        assert (packed.kind, packed.weight.shape) == ("attention", (3, 768, 768))
        W = net.transformer.h[i].attn.c_attn.weight.detach().numpy()
        np.testing.assert_array_equal(packed.weight[2], W[:, 1536:])
        assert (packed.library_fans, out.kind) == ((2304, 768), "attention")
        assert (first.activation, last.activation) == ("gelu", "linear")
        assert (first.fan_in, last.fan_in, last.library_fans) == (768, 3072, (768, 3072))
        assert (out.branch, last.branch) == (f"transformer.h.{i}.attn", f"transformer.h.{i}.mlp")
    assert sum(row.branch is not None for row in look.layers) == 4
    assert look.loss_name == "the model's own loss" and look.outputs.shape == (8, 12, 500)
    assert look.loss == pytest.approx(math.log(500), rel=0.05) and look.task == "classes"


def test_a_bert():
    from transformers import BertConfig, BertForSequenceClassification

    net = BertForSequenceClassification(BertConfig(num_hidden_layers=2, vocab_size=500))
    tokens = torch.randint(500, (8, 12))
    batch = {"input_ids": tokens, "attention_mask": torch.ones_like(tokens)}
    look = of_torch.look(net, batch, torch.randint(2, (8,)))
    found = {n.removeprefix("bert."): row for n, row in rows(look).items()}
    tables = [f"embeddings.{n}_embeddings" for n in ("word", "token_type", "position")]
    steps = [f"attention.self.{n}" for n in ("query", "key", "value")]
    steps += ["attention.output.dense", "attention.output.LayerNorm"]
    steps += ["intermediate.dense", "output.dense", "output.LayerNorm"]
    inner = [f"encoder.layer.{i}.{step}" for i in range(2) for step in steps]
    assert sorted(found) == sorted(
        [*tables, "embeddings.LayerNorm", *inner, "pooler.dense", "classifier"]
    )
    assert list(found)[3:] == ["embeddings.LayerNorm", *inner, "pooler.dense", "classifier"]
    assert look.unseen == {} and all(found[n].kind == "embedding" for n in tables)
    for i in range(2):
        block = {step: found[f"encoder.layer.{i}.{step}"] for step in steps}
        assert {block[step].kind for step in steps[:4]} == {"attention"}
        assert block["intermediate.dense"].activation == "gelu"
        ends = [step for step in steps if block[step].branch]
        assert ends == ["attention.output.dense", "output.dense"]
        assert all(block[step].normalised for step in ends)
    assert found["pooler.dense"].activation == "tanh" and found["classifier"].fan_out == 2
    assert sum(row.branch is not None for row in look.layers) == 4


def test_windows_of_attention(vision):
    look = of_torch.look(vision.swin_t(num_classes=10), *images(64))
    packed = [row for row in look.layers if row.name.endswith("qkv")]
    assert len(packed) == 12 and all(len(row.weight) == 3 for row in packed)
    assert all(row.activation in ("linear", "gelu") for row in look.layers)
    assert sum(row.branch is not None for row in look.layers) == 24
    assert look.unseen == {"ShiftedWindowAttention.relative_position_bias_table": 12}


# --- Faults that are not the weights', and small branches that are none.


def mlp(*end, of=5):
    return nn.Sequential(nn.Linear(20, 64), nn.ReLU(), nn.Linear(64, of), *end)


def leading(model, x, y, loss=None, optimizer=None):
    """Return the first finding that is no note, and the report."""
    report = diagnose(model, x, y, loss, optimizer)
    first = next((one for one in report.findings if one.level != "note"), None)
    return (first and (first.level, first.code, first.layer)), report


def test_a_softmax_before_the_cross_entropy_is_one_too_many():
    x, y = classes(200, 20, 5)
    assert leading(mlp(nn.Softmax(-1)), x, y, nn.CrossEntropyLoss())[0] == (
        "fault", "first-loss", "2",
    )  # fmt: skip
    half = (torch.arange(200) % 2).float()[:, None]
    once = mlp(nn.Sigmoid(), of=1)
    assert leading(once, x, half, nn.BCEWithLogitsLoss())[0] == ("fault", "first-loss", "2")
    assert leading(once, x, half, nn.BCELoss())[0] is None
    assert leading(mlp(nn.LogSoftmax(-1)), x, y, nn.NLLLoss())[0] is None


@pytest.mark.filterwarnings("ignore:Using a target size")
def test_targets_that_are_broadcast_against_the_outputs():
    x, y, model = torch.randn(100, 20), torch.randn(100), mlp(of=1)
    found, report = leading(model, x, y, nn.MSELoss())
    assert found == ("fault", "target-scale", None) and "(100, 1)" in report.findings[0].sentence
    scope = {"x": x, "y": y, "model": model}
    exec(report.findings[0].remedy, scope)
    assert leading(model, x, scope["y"], nn.MSELoss())[0] is None
    assert leading(model, x, y, lambda out, y: F.mse_loss(out[:, 0], y))[0] is None
    assert leading(model, x, y)[0] is None  # no loss is given that would broadcast


def test_a_way_that_is_cut_leaves_no_gradient():
    x, y = classes(100, 20, 5)
    parts = {"a": nn.Linear(20, 64), "b": nn.Linear(64, 5)}
    cut = Of(lambda s, x: s.b(F.relu(s.a(x)).detach()), **parts)
    assert leading(cut, x, y)[0] == ("fault", "no-gradient", "a")
    cut.a.requires_grad_(False)  # and so it is meant
    assert leading(cut, x, y)[0] is None
    cut.b.requires_grad_(False)  # all is frozen: nothing can be learned
    assert leading(cut, x, y)[0] == ("watch", "no-gradient", "a")
    dead = mlp(nn.ReLU(), of=1)
    nn.init.constant_(dead[2].bias, -5.0)
    assert leading(dead, x, torch.randn(100, 1), nn.MSELoss())[0] == ("fault", "no-gradient", "2")


def test_one_output_that_lies_within_0_and_1_by_chance_is_no_probability():
    wrong = 0
    for seed in range(60):
        torch.manual_seed(seed)
        y = (torch.rand(16, 1) < 0.5).float()
        wrong += leading(mlp(of=1), torch.randn(16, 20), y, nn.BCEWithLogitsLoss())[0] is not None
    assert wrong == 0


def test_labels_that_do_not_count_are_those_of_the_loss():
    y = torch.randint(5, (8, 16, 16))
    y[:, 0] = 255
    at = nn.Conv2d(3, 5, 1), torch.randn(8, 3, 16, 16), y
    assert leading(*at, nn.CrossEntropyLoss(ignore_index=255))[0] is None
    assert leading(*at, nn.CrossEntropyLoss())[0] == ("fault", "labels", None)


def test_a_map_of_yes_and_no_has_two_classes():
    x, mask = torch.randn(8, 3, 16, 16), (torch.rand(8, 1, 16, 16) < 0.2).float()
    conv = nn.Conv2d(3, 1, 1)
    assert leading(conv, x, mask, nn.BCEWithLogitsLoss())[0] is None
    assert leading(conv, x, 255 * mask, nn.BCEWithLogitsLoss())[0] == ("fault", "labels", None)
    nn.init.normal_(conv.weight, std=20)
    _, report = leading(conv, x, mask, nn.BCEWithLogitsLoss())
    assert "ln 2 = 0.693" in report.findings[0].sentence


@pytest.mark.parametrize("sd", [0.003, 0.03, 0.3])
def test_a_softmax_is_found_however_small_the_logits_are(sd):
    x, y = classes(100, 20, 5)
    net = mlp()
    nn.init.normal_(net[-1].weight, std=sd)
    soft = Of(lambda s, x: s.net(x).softmax(1), net=net)
    assert leading(soft, x, y, nn.CrossEntropyLoss())[0][:2] == ("fault", "first-loss")
    assert leading(soft, x, y, lambda p, y: F.nll_loss(p.log(), y))[0] is None


def test_a_loss_that_is_given_no_log_probabilities_is_negative():
    x, y = classes(100, 20, 5)
    net = mlp()
    nn.init.constant_(net[-1].bias, 1.0)
    assert leading(net, x, y, nn.NLLLoss())[0][:2] == ("fault", "first-loss")
    assert leading(mlp(nn.LogSoftmax(-1)), x, y, nn.NLLLoss())[0] is None


def test_targets_beyond_what_the_output_can_give():
    x, net = torch.randn(100, 20), mlp(nn.Sigmoid(), of=20)
    assert leading(net, x, x, nn.MSELoss())[0][:2] == ("fault", "target-scale")
    assert leading(net, x, x.sigmoid(), nn.MSELoss())[0] is None


def test_the_inputs_of_a_recurrent_net_are_looked_at():
    x, y = torch.randn(64, 20, 12), torch.randint(5, (64,))
    net = Of(
        lambda s, x: s.out(s.gru(x)[0][:, -1]),
        gru=nn.GRU(12, 32, batch_first=True),
        out=nn.Linear(32, 5),
    )
    assert leading(net, x, y)[0] is None
    assert leading(net, 1e9 * x, y)[0] == ("fault", "input-scale", None)


def test_an_infinite_gradient_is_not_called_an_overflow():
    net = nn.Linear(3, 1, bias=False)
    _, report = leading(
        net,
        torch.ones(4, 3),
        torch.zeros(4, 1),
        lambda out, y: ((out - out.detach()) ** 2).sum().sqrt(),
    )
    assert report.findings[0].code == "not-finite" and "a root" in report.findings[0].sentence


def test_copies_are_drawn_anew_at_the_size_that_each_weight_has():
    x, y = classes(100, 20, 5)
    net = mlp()
    block = nn.Linear(64, 64)
    nn.init.normal_(block.weight, std=0.1)
    net.insert(2, block)
    net.insert(3, nn.ReLU())
    net.insert(4, copy.deepcopy(block))
    net.insert(5, nn.ReLU())
    found, report = leading(net, x, y)
    assert found[:2] == ("fault", "equal-layers")
    exec(report.findings[0].remedy, {"model": net, "torch": torch})
    assert leading(net, x, y)[1].ok and abs(net[2].weight.data.std().item() / 0.1 - 1) < 0.1


def test_a_large_first_step_is_not_the_default_weights_fault():
    x, y = classes(100, 20, 5)
    model = mlp()
    adam = torch.optim.Adam(model.parameters(), lr=0.3)
    assert leading(model, x, y, None, adam)[0] == ("fault", "first-step", "0")
    for wrong in ({"optimizer": "adam"}, {"loss": nn.CrossEntropyLoss}):
        with pytest.raises(TypeError, match=next(iter(wrong))):
            diagnose(model, x, y, **wrong)


def test_the_remedy_of_a_first_loss_that_unbalanced_classes_make():
    x = torch.randn(600, 20)
    for y, of, loss in (
        ((torch.arange(600) % 50 == 0).float()[:, None], 1, nn.BCEWithLogitsLoss()),
        ((torch.arange(600) % 50 == 0).long(), 6, None),  # four classes do not occur
    ):
        model = mlp(of=of)
        found, report = leading(model, x, y, loss)
        assert found == ("watch", "class-bias", "2")
        exec(report.findings[0].remedy, {"model": model, "y": y, "torch": torch})
        assert model[2].bias.isfinite().all() and leading(model, x, y, loss)[0] is None


def test_the_remedy_of_inputs_that_are_not_finite():
    (x, y), model = classes(100, 20, 5), mlp()
    x[3, 4], x[5, 0] = math.nan, math.inf
    scope = {"x": x, "y": y}
    exec(leading(model, x, y)[1].findings[0].remedy, scope)
    assert len(scope["x"]) == 98 and leading(model, scope["x"], scope["y"])[0] is None


def test_inputs_are_judged_where_the_first_layer_gets_them():
    pixels, y = torch.randint(256, (40, 20)).float(), torch.randint(5, (40,))
    inside = Of(lambda s, x: s.net((x / 255 - 0.5) / 0.25), net=mlp())
    assert leading(inside, pixels, y)[0] is None
    twice = Of(lambda s, x: s.net(x / 255), net=mlp())
    assert leading(twice, pixels / 255, y)[0] == ("fault", "input-scale", "net.0")


@pytest.mark.parametrize("is_normalised", [True, False])
@pytest.mark.parametrize("size", [0.0, 1e-6, 1.0])
def test_what_goes_past_a_small_branch_is_no_explosion(size, is_normalised):
    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm = nn.LayerNorm(64) if is_normalised else nn.Identity()
            self.a, self.b = nn.Linear(64, 256), nn.Linear(256, 64)
            self.scale = nn.Parameter(torch.full((64,), size))

        def forward(self, x):
            return x + self.scale * self.b(F.gelu(self.a(self.norm(x))))

    x, y = classes(64, 20, 5)
    net = nn.Sequential(nn.Linear(20, 64), Block(), Block(), Block(), nn.Linear(64, 5))
    assert leading(net, x, y)[0] is None
    look = of_torch.look(net, x, y)
    assert [row.name for row in look.layers if row.opens] == [
        f"{n}.{'norm' if is_normalised else 'a'}" for n in (1, 2, 3)
    ]


def test_a_low_rank_adapter_may_begin_at_zero():
    class Adapter(nn.Module):
        def __init__(self, before, after):
            super().__init__()
            self.base = nn.Linear(before, after).requires_grad_(False)
            self.a = nn.Parameter(torch.randn(before, 4) / before**0.5)
            self.b = nn.Parameter(torch.zeros(4, after))

        def forward(self, x):
            return self.base(x) + x @ self.a @ self.b

    x, y = classes(64, 20, 5)
    net = nn.Sequential(Adapter(20, 64), nn.ReLU(), Adapter(64, 5))
    assert leading(net, x, y)[0] is None
    nn.init.zeros_(net[0].a)
    assert leading(net, x, y)[0] == ("fault", "equal-units", "0.a")


def test_scales_that_are_all_small():
    x, y = classes(64, 20, 5)
    net = nn.Sequential(nn.Linear(20, 64), nn.BatchNorm1d(64), nn.ReLU(), nn.Linear(64, 5))
    assert leading(net, x, y)[0] is None
    nn.init.normal_(net[1].weight, 0.0, 0.02)  # where 1.0 was meant as its mean
    assert leading(net, x, y)[0] == ("watch", "zero-scales", "1")
