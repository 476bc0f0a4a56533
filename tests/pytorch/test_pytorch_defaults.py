"""What PyTorch's layers start from, and what that does to deep ReLU nets: `make test-all`.

The seeds are fixed. Over fresh ones a layer of the audit would fail by chance with a probability
below 1e-10.
"""

import json
import math
import re

import numpy as np
import pytest
import torch

from benchmarks import audit
from initcore import network, probes
from initcore.initializers import VarianceScaling

pytestmark = pytest.mark.false_alarm(4e-9)

FAN_IN, FAN_OUT = 400, 500
DEFAULT = VarianceScaling(1 / 3, "fan_in", "uniform")


def test_each_layer_draws_what_the_page_says():
    drifted = [row for row in audit.audit("PyTorch")["rows"] if not row["fits"]]
    assert not drifted


def test_the_pages_say_what_the_audit_says_of_them():
    for row in json.loads(audit.RESULTS.read_text("utf-8"))["PyTorch"]["rows"]:
        if row["layer"] == "normalisations":
            continue
        text = getattr(torch.nn, row["layer"].partition("(")[0]).__doc__
        found = re.search(r"(?i)sampled from|initialized from|xavier|glorot", text)
        assert bool(found) == (row["says"] != "nothing"), row
        if found:
            assert (r"\mathcal{U}" if row["law"] == "uniform" else r"\mathcal{N}(0, 1)") in text
    assert r"k = \frac{1}{\text{hidden\_size}}" in torch.nn.LSTM.__doc__
    assert r"{C_\text{out} * \prod" in torch.nn.ConvTranspose2d.__doc__


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
