"""The block for PyTorch on the page *My model does not train*: `make test-all`."""

import torch
from test_looks import batch, collected, looks_run_on, run, same, widths

from initcore.network import MLP


def test_it_collects_what_the_block_for_the_package_collects():
    ours = MLP(widths(3, 20), "relu", weights="he_normal", biases="random_normal", seed=0)
    layers = []
    for W, b in zip(ours.weights, ours.biases):
        linear = torch.nn.Linear(*W.shape)
        linear.weight.data = torch.tensor(W.T, dtype=torch.float32)
        linear.bias.data = torch.tensor(b, dtype=torch.float32)
        layers += [linear, torch.nn.ReLU()]
    x, labels = batch()
    here = {"x": torch.tensor(x, dtype=torch.float32), "labels": torch.tensor(labels)}
    theirs = run("PyTorch", here | {"net": torch.nn.Sequential(*layers[:-1])})
    same(collected(ours), theirs)
    looks_run_on(theirs)


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
