"""The block for PyTorch on the page *My model does not train*: `make test-all`."""

import numpy as np
import pytest
import torch
from test_looks import (
    batch,
    collected,
    compare_with_the_package,
    ill_in_three_ways,
    looks_run_on,
    run,
    same,
    widths,
)

from initcore import losses
from initcore.network import MLP


def twin(ours):
    """Return a PyTorch net with the weights and biases of a ReLU net, and a batch for it."""
    layers = []
    for W, b in zip(ours.weights, ours.biases):
        linear = torch.nn.Linear(*W.shape)
        linear.weight.data = torch.tensor(W.T, dtype=torch.float32)
        linear.bias.data = torch.tensor(b, dtype=torch.float32)
        layers += [linear, torch.nn.ReLU()]
    x, labels = batch()
    here = {"x": torch.tensor(x, dtype=torch.float32), "labels": torch.tensor(labels)}
    return here | {"net": torch.nn.Sequential(*layers[:-1])}


def test_it_collects_what_the_block_for_the_package_collects():
    ours = MLP(widths(3, 20), "relu", weights="he_normal", biases="random_normal", seed=0)
    theirs = run("PyTorch", twin(ours))
    same(collected(ours), theirs)
    looks_run_on(theirs)


def test_the_looks_without_the_package_are_those_of_the_package():
    ours, (x, labels) = ill_in_three_ways(), batch()
    found = run("Seven", twin(ours))
    trace = ours.forward(x)
    loss, g = losses.softmax_cross_entropy(trace.output, labels)
    np.testing.assert_allclose(found["loss"].item(), loss, rtol=1e-5)
    compare_with_the_package(found["table"], ours, ours.backward(trace, g).deltas)
    assert found["table"][1]["dead"] == pytest.approx(0.05)
    parts = list(found["net"].modules())
    assert not any(part._forward_hooks for part in parts)
    assert all(parameter.grad is None for parameter in found["net"].parameters())


def test_the_looks_without_the_package_take_images_with_the_channels_first():
    torch.manual_seed(0)
    net = torch.nn.Sequential(
        torch.nn.Conv2d(1, 4, 3), torch.nn.ReLU(), torch.nn.Conv2d(4, 5, 3), torch.nn.Flatten()
    )
    net[0].bias.data[1] = -100.0  # a dead channel
    x, labels = batch()
    images = torch.tensor(x.reshape(-1, 1, 8, 8), dtype=torch.float32)
    here = {"net": net, "x": images, "labels": torch.tensor(labels)}
    first, second = run("Seven", here)["table"]
    assert first["mean square"] == pytest.approx(np.mean(x**2), rel=1e-5)
    assert second["dead"] == 0.25 and second["distinct units"] == 1


class RootOfZero(torch.nn.Module):
    """Adds the root of zeros, whose slope is infinite."""

    def forward(self, x):
        return x + torch.sqrt(0 * x.square())


def spoil(fault, here):
    """Put a fault into a net of three hidden layers."""
    net = here["net"]
    if fault == "input":
        here["x"][7, 20] = torch.nan
    elif fault == "weight":
        net[2].weight.data[3, 4] = torch.nan
    elif fault == "never drawn":
        net[2].weight.data[3, 4] = 1e37
    elif fault == "too large":
        net[2].weight.data *= 1e5
        net[4].weight.data *= 1e9
    elif fault == "root":
        net[3] = RootOfZero()


@pytest.mark.parametrize(
    ("fault", "first"),
    [
        ("none", "all is finite"),
        ("input", "inputs"),
        ("weight", "weight 2.weight"),
        ("never drawn", "weight 2.weight"),
        ("too large", "output of 4"),
        ("root", "gradient of 2.bias"),
    ],
)
def test_the_first_place_that_is_not_finite_is_named(fault, first, capsys):
    here = twin(MLP(widths(3, 20), "relu", weights="he_normal", seed=0))
    spoil(fault, here)
    run("Hooks", here)
    assert capsys.readouterr().out.strip() == first
    assert not any(part._forward_hooks for part in here["net"].modules())


def test_it_looks_at_a_convolutional_net_in_the_order_of_the_calls():
    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.head = torch.nn.Linear(3 * 8 * 8, 10)  # made first, called last
            self.first = torch.nn.Conv2d(1, 3, 3, padding=1)

        def forward(self, x):
            return self.head(torch.relu(self.first(x.reshape(-1, 1, 8, 8))).flatten(1))

    torch.manual_seed(0)
    x, labels = batch()
    here = {"x": torch.tensor(x, dtype=torch.float32), "labels": torch.tensor(labels)}
    found = run("PyTorch", here | {"net": Net()})
    assert [d.shape for d in found["deltas"]] == [(200 * 64, 3)]
    assert [W.shape for W in found["weights"]] == [(9, 3)]
    assert found["net"].first.weight.grad is None
    looks_run_on(found)
