"""The block for PyTorch on the page *My model does not train*: `make test-all`."""

import torch
from test_looks import batch, collected, run, same, widths

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
