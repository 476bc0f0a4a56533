"""What PyTorch's linear layer starts from, and what that does to deep ReLU nets: `make test-all`.

The seeds are fixed. Over fresh ones a comparison of draws would fail by chance with a probability
below 1e-9.
"""

import math

import numpy as np
import pytest
import torch
from scipy import stats

from initcore import network, probes
from initcore.initializers import VarianceScaling

pytestmark = pytest.mark.false_alarm(4e-9)

FAN_IN, FAN_OUT = 400, 500
ALARM = 1e-9
DEFAULT = VarianceScaling(1 / 3, "fan_in", "uniform")


def p_value(ours, theirs):
    """Return the probability of samples that differ this much, if their distribution is one."""
    return stats.ks_2samp(np.ravel(ours), np.ravel(theirs), method="asymp").pvalue


@pytest.fixture
def layer():
    torch.manual_seed(0)
    return torch.nn.Linear(FAN_IN, FAN_OUT, dtype=torch.float64)


def test_weights_are_the_ones_that_the_chapter_draws(layer):
    theirs = layer.weight.detach().numpy()
    ours = DEFAULT.draw((FAN_IN, FAN_OUT), np.random.default_rng(0), "float64")
    assert p_value(ours, theirs) > ALARM
    assert p_value(1.06 * ours, theirs) < ALARM  # so that it can fail
    assert FAN_IN * theirs.var() == pytest.approx(1 / 3, rel=0.02)
    assert np.abs(theirs).max() == pytest.approx(1 / math.sqrt(FAN_IN), rel=0.001)


def test_biases_have_the_same_bound():
    """200,000 biases of layers with 400 inputs each, against the uniform distribution."""
    torch.manual_seed(1)
    layers = [torch.nn.Linear(FAN_IN, 10_000, dtype=torch.float64) for _ in range(2)]
    biases = np.concatenate([layer.bias.detach().numpy() for layer in layers])
    bound = 1 / math.sqrt(FAN_IN)
    assert np.abs(biases).max() <= bound
    assert stats.kstest(biases, stats.uniform(-bound, 2 * bound).cdf).pvalue > ALARM
    assert stats.kstest(1.06 * biases, stats.uniform(-bound, 2 * bound).cdf).pvalue < ALARM


def test_root_five_is_another_way_to_write_the_bound():
    """kaiming_uniform_ with a = √5 draws what uniform_ within ±1/√fan_in draws, to rounding."""
    generators = [torch.Generator().manual_seed(2) for _ in range(2)]
    first, second = (torch.empty(FAN_OUT, FAN_IN, dtype=torch.float64) for _ in range(2))
    torch.nn.init.kaiming_uniform_(first, a=math.sqrt(5), generator=generators[0])
    bound = 1 / math.sqrt(FAN_IN)
    torch.nn.init.uniform_(second, -bound, bound, generator=generators[1])
    np.testing.assert_allclose(first.numpy(), second.numpy(), rtol=1e-12, atol=1e-15)


def rms_of_ours(width, depth, biases, seed):
    """Return the rms of the last layer of one net as the chapter draws it."""
    net = network.MLP(
        [width] * (depth + 1),
        "relu",
        weights=DEFAULT,
        biases=DEFAULT if biases else "zeros",
        output_activation="relu",
        seed=seed,
    )
    return probes.rms(net.predict(np.random.default_rng(seed).standard_normal((20, width))))


@pytest.mark.parametrize("biases", [False, True])
def test_fifty_relu_layers_vanish_or_are_blind(biases):
    """Our band over 100 nets holds PyTorch's net, widened by its own width on each side."""
    torch.manual_seed(3)
    width, depth = 256, 50
    linear = [torch.nn.Linear(width, width, bias=biases, dtype=torch.float64) for _ in range(depth)]
    a = torch.randn(20, width, dtype=torch.float64)
    with torch.no_grad():
        for layer in linear:
            a = torch.relu(layer(a))
    rms, across = float(a.square().mean().sqrt()), float(a.std(dim=0, correction=0).mean())
    ours = np.log([rms_of_ours(width, depth, biases, seed) for seed in range(100)])
    low, high = ours.min(), ours.max()
    assert 2 * low - high < math.log(rms) < 2 * high - low
    assert across < 1e-15
    assert (rms > 0.01) == biases


def test_normal_draws_are_not_cut():
    weight = torch.empty(FAN_OUT, FAN_IN, dtype=torch.float64)
    for fill, sd in (
        (torch.nn.init.xavier_normal_, math.sqrt(2 / (FAN_IN + FAN_OUT))),
        (torch.nn.init.kaiming_normal_, math.sqrt(2 / FAN_IN)),
    ):
        fill(weight, generator=torch.Generator().manual_seed(4))
        assert weight.std().item() == pytest.approx(sd, rel=0.02)
        assert weight.abs().max().item() > 3.5 * sd
