"""What the course says of PyTorch, compared with PyTorch itself: `make test-all`.

The seeds are fixed. Over fresh seeds a comparison of draws would fail by chance with a probability
below 1e-9 each: two samples of 200,000 numbers, Kolmogorov-Smirnov. They would see a scale that is
off by 6%.
"""

import math

import numpy as np
import pytest
import torch
from scipy import stats

from initcore import activations, initializers
from initcore.network import MLP

pytestmark = pytest.mark.false_alarm(4e-9)

FAN_IN, FAN_OUT = 400, 500
ALARM = 1e-9


def torch_weights(fill, seed=0, **arguments):
    """Return a weight of PyTorch's in the course's layout, (fan_in, fan_out)."""
    weight = torch.empty(FAN_OUT, FAN_IN, dtype=torch.float64)
    fill(weight, generator=torch.Generator().manual_seed(seed), **arguments)
    return weight.numpy().T


def p_value(ours, theirs):
    """Return the probability of samples that differ this much, if their distribution is one."""
    return stats.ks_2samp(np.ravel(ours), np.ravel(theirs), method="asymp").pvalue


@pytest.mark.parametrize(
    ("name", "param"),
    [
        ("linear", None),
        ("sigmoid", None),
        ("tanh", None),
        ("relu", None),
        ("leaky_relu", None),
        ("leaky_relu", 0.2),
        ("leaky_relu", math.sqrt(5)),
        ("selu", None),
    ],
)
def test_gains(name, param):
    expected = torch.nn.init.calculate_gain(name, param)
    assert initializers.calculate_gain(name, param) == pytest.approx(expected, rel=1e-15)


SAME_DRAWS = {
    "xavier_uniform": (initializers.GlorotUniform(1), torch.nn.init.xavier_uniform_, {}),
    "kaiming_uniform": (
        initializers.HeUniform(1),
        torch.nn.init.kaiming_uniform_,
        {"nonlinearity": "relu"},
    ),
    # PyTorch's normal draws are not truncated, Keras' and initcore's named ones are.
    "xavier_normal": (
        initializers.VarianceScaling(1, "fan_avg", "untruncated_normal", seed=1),
        torch.nn.init.xavier_normal_,
        {},
    ),
    "kaiming_normal": (
        initializers.VarianceScaling(2, "fan_in", "untruncated_normal", seed=1),
        torch.nn.init.kaiming_normal_,
        {"nonlinearity": "relu"},
    ),
    "kaiming_normal fan_out": (
        initializers.VarianceScaling(2, "fan_out", "untruncated_normal", seed=1),
        torch.nn.init.kaiming_normal_,
        {"nonlinearity": "relu", "mode": "fan_out"},
    ),
}


@pytest.mark.parametrize("case", SAME_DRAWS)
def test_the_same_distribution(case):
    initializer, fill, arguments = SAME_DRAWS[case]
    ours, theirs = initializer((FAN_IN, FAN_OUT), dtype="float64"), torch_weights(fill, **arguments)
    assert p_value(ours, theirs) > ALARM
    assert p_value(1.06 * ours, theirs) < ALARM  # so that it can fail


NAMES_OF_PYTORCH = ("kaiming_normal", "kaiming_uniform", "xavier_normal", "xavier_uniform")


@pytest.mark.parametrize("shape", [(300, 200), (64, 16, 3, 3), (40, 32, 5)])
@pytest.mark.parametrize("name", NAMES_OF_PYTORCH)
def test_its_names_and_its_layout_give_its_variance(name, shape):
    """With PyTorch's defaults; 12 variances, beyond 7 standard errors."""
    theirs = torch.empty(shape, dtype=torch.float64)
    getattr(torch.nn.init, f"{name}_")(theirs, generator=torch.Generator().manual_seed(0))
    places = range(2, len(shape))
    axes = {"input_axes": [1, *places], "output_axes": [0, *places]}
    ours = getattr(initializers, name)(**axes).variance(shape)
    error = 7 * math.sqrt(2 / theirs.numel())
    assert theirs.var().item() == pytest.approx(ours, rel=error)


def test_its_layers_start_from_a_third_and_its_biases_from_the_same_bound():
    layer = torch.nn.Linear(FAN_IN, FAN_OUT)
    third = initializers.VarianceScaling(1 / 3, "fan_in", "uniform").variance((FAN_IN, FAN_OUT))
    assert layer.weight.var().item() == pytest.approx(third, rel=0.02)
    for parameter in (layer.weight, layer.bias):
        assert parameter.abs().max().item() == pytest.approx(FAN_IN**-0.5, rel=0.05)
    shrunk = initializers.HeUniform().variance((FAN_OUT,))  # a vector's fans are its own length
    assert shrunk == 2 / FAN_OUT


def test_named_normals_are_truncated_here_and_not_there():
    ours = initializers.HeNormal(1)((FAN_IN, FAN_OUT), dtype="float64")
    theirs = torch_weights(torch.nn.init.kaiming_normal_, nonlinearity="relu")
    assert p_value(ours, theirs) < ALARM
    stddev = math.sqrt(2 / FAN_IN)
    cut = 2 * stddev / initializers.TRUNCATED_STD
    assert np.abs(ours).max() <= cut < np.abs(theirs).max()
    assert ours.std() == pytest.approx(theirs.std(), rel=0.02)


ACTIVATIONS = {
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "relu": torch.relu,
    "leaky_relu": torch.nn.functional.leaky_relu,
    "elu": torch.nn.functional.elu,
    "selu": torch.nn.functional.selu,
    "gelu": torch.nn.functional.gelu,
    "silu": torch.nn.functional.silu,
    "softsign": torch.nn.functional.softsign,
    "softplus": torch.nn.functional.softplus,
    "mish": torch.nn.functional.mish,
    "relu6": torch.nn.functional.relu6,
    "hard_tanh": torch.nn.functional.hardtanh,
    "hard_sigmoid": torch.nn.functional.hardsigmoid,
    "hard_silu": torch.nn.functional.hardswish,
}


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations_and_their_slopes(name):
    z = torch.linspace(-12, 12, 2000, dtype=torch.float64, requires_grad=True)
    a = ACTIVATIONS[name](z)  # z meets no kink, where PyTorch takes either side
    a.sum().backward()
    ours = activations.get(name)
    # PyTorch's softplus is linear beyond 20, and its SELU has its own rounded constants.
    np.testing.assert_allclose(ours(z.detach().numpy()), a.detach().numpy(), rtol=1e-9, atol=1e-14)
    slopes = ours.derivative(z.detach().numpy())
    rtol = 5e-8 if name == "hard_sigmoid" else 1e-9  # PyTorch's slope is the float32 of 1/6
    np.testing.assert_allclose(slopes, z.grad.numpy(), rtol=rtol, atol=1e-14)


@pytest.mark.parametrize("activation", ["tanh", "sigmoid", "relu", "gelu"])
def test_backward_agrees_with_autograd(activation):
    net = MLP((7, 6, 5, 3), activation, weights="glorot_normal", biases="random_normal", seed=3)
    x = np.random.default_rng(4).standard_normal((9, 7))
    trace = net.forward(x)
    gradients = net.backward(trace, np.ones_like(trace.output))

    weights = [torch.tensor(W, requires_grad=True) for W in net.weights]
    biases = [torch.tensor(b, requires_grad=True) for b in net.biases]
    a = torch.tensor(x)
    for layer, (W, b) in enumerate(zip(weights, biases)):
        z = a @ W + b
        a = ACTIVATIONS[activation](z) if layer < len(weights) - 1 else z
    a.sum().backward()
    np.testing.assert_allclose(trace.output, a.detach().numpy(), rtol=1e-10, atol=1e-12)
    for ours, theirs in zip(gradients.weights + gradients.biases, weights + biases):
        np.testing.assert_allclose(ours, theirs.grad.numpy(), rtol=1e-9, atol=1e-12)
