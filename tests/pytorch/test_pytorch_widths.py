"""`diagnose.widths` on PyTorch's models: `make test-all`. Every seed is fixed."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from initcore.diagnosis import diagnose

WIDTHS, BASE, RATE = (64, 128, 256), 64, 1e-3
DATA = torch.Generator().manual_seed(0)
X, Y = torch.randn(64, 20, generator=DATA), torch.randint(10, (64,), generator=DATA)


def net(width):
    layers = [nn.Linear(20, width), nn.ReLU(inplace=True), nn.Linear(width, width), nn.Tanh()]
    return nn.Sequential(*layers, nn.Linear(width, 10))


class Divided(nn.Module):
    """A net with the output layer of the narrowest one, and its logits divided."""

    def __init__(self, width):
        super().__init__()
        self.body, self.n = net(width), width / BASE
        nn.init.normal_(self.body[4].weight, std=BASE**-0.5)

    def forward(self, x):
        return self.body(x) / self.n


def rates(model):
    hidden = model.body[2].weight
    others = [p for p in model.parameters() if p is not hidden]
    return torch.optim.Adam([{"params": [hidden], "lr": RATE / model.n}, {"params": others}], RATE)


def test_linear_layers_change_more_the_wider_they_are():
    state = torch.get_rng_state()
    found = diagnose.widths(net, X, Y, WIDTHS)
    assert torch.equal(torch.get_rng_state(), state)
    assert found.layers == {"0": "input", "2": "hidden", "4": "output"}
    first, hidden, output = np.median(found.slopes[:, 1], axis=1)
    assert abs(first) < 0.1 and 0.4 < hidden < 1 and 0.7 < output < 1.4
    assert [drift.layer for drift in found.drifts] == ["2", "4"]
    assert "CrossEntropyLoss" in str(found)


def test_divided_logits_and_a_rate_for_the_hidden_layer_mend_it():
    found = diagnose.widths(Divided, X, Y, WIDTHS, optimizer=rates)
    assert found.ok and np.abs(np.median(found.slopes[:2, 1:], axis=-1)).max() < 0.1
    undivided = diagnose.widths(lambda width: Divided(width).body, X, Y, WIDTHS)
    assert [drift.what for drift in undivided.drifts if drift.layer == "4"] == [
        "at birth",
        "change",
    ]


def test_a_net_is_trained_as_its_users_train_it():
    """The function's model itself takes the steps; what is measured is that of a loop by hand."""
    model, steps = net(8), 3
    twin, start = copy.deepcopy(model), copy.deepcopy(model)
    given = {8: model, 16: net(16)}
    sgd = lambda one: torch.optim.SGD(one.parameters(), lr=0.1, momentum=0.9)  # noqa: E731
    found = diagnose.widths(given.get, X, Y, (8, 16), steps, nn.CrossEntropyLoss(), sgd, seeds=1)
    optimizer = sgd(twin)
    for _ in range(steps):
        optimizer.zero_grad()
        nn.functional.cross_entropy(twin(X), Y).backward()
        optimizer.step()
    for ours, theirs in zip(model.parameters(), twin.parameters()):
        torch.testing.assert_close(ours, theirs)
    with torch.no_grad():
        changes = [twin[0](X) - start[0](X), twin(X) - start(X)]
    for layer, change in zip((0, 2), changes):
        rms = change.double().square().mean().sqrt().item()
        assert found.rms[layer, -1, 0, 0] == pytest.approx(rms, rel=1e-4)


def test_attention_and_normalisations_have_their_rows():
    def transformer(width):
        layer = nn.TransformerEncoderLayer(width, 2, 2 * width, dropout=0.5, batch_first=True)
        return nn.Sequential(nn.Unflatten(1, (4, 5)), nn.Linear(5, width), layer, nn.Flatten(),
                             nn.Linear(4 * width, 10))  # fmt: skip

    found = diagnose.widths(transformer, X, Y, (16, 32, 64), seeds=2)
    assert found.layers["2.self_attn.in_proj"] == "hidden" and found.layers["2.norm1"] == "other"
    assert found.layers["1"] == "input" and found.layers["4"] == "output"
    assert np.isfinite(found.slopes[:, 1:]).all() and not found.ok


def test_frozen_layers_stand_still():
    def frozen(width):
        model = net(width)
        model[0].requires_grad_(False)
        return model

    found = diagnose.widths(frozen, X, Y, (8, 16), seeds=2)
    assert not found.rms[0, 1:].any() and found.rms[1:, 1:].all()


@pytest.mark.parametrize(
    "optimizer", ["adam", torch.optim.SGD(net(8).parameters(), 0.1), lambda model: 3]
)
def test_what_is_no_optimizer_of_the_model_is_refused(optimizer):
    with pytest.raises(TypeError, match="optimizer.*a function that returns an optimizer"):
        diagnose.widths(net, X, Y, (8, 16), optimizer=optimizer)
