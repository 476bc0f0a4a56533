"""What `diagnose` takes of PyTorch beside a model: loaders, factories, weights; and its seeds."""

import numpy as np
import torch
from torch.utils.data import DataLoader, TensorDataset

from initcore import diagnose
from initcore.diagnosis import of_weights

X = torch.from_numpy(np.random.default_rng(0).standard_normal((100, 64), dtype="float32"))
Y = torch.arange(100) % 10


def make():
    layers = [torch.nn.Linear(64, 64), torch.nn.ReLU(), torch.nn.Linear(64, 10)]
    return torch.nn.Sequential(*layers)


def scales(report):
    return [look.layers[0].sums.rms for look in report.looks]


def test_a_loader_gives_its_first_batch_and_moves_no_generator():
    torch.manual_seed(0)
    model, own = make(), torch.Generator().manual_seed(5)
    state = torch.get_rng_state(), own.get_state()
    for generator in (None, own):
        loader = DataLoader(TensorDataset(X, Y), batch_size=50, shuffle=True, generator=generator)
        report = diagnose(model, loader)
        assert len(report.looks[0].inputs) == 50
        assert torch.equal(torch.get_rng_state(), state[0])
        assert torch.equal(own.get_state(), state[1])
    first = next(iter(loader))  # what a training would have seen first, it sees still
    np.testing.assert_array_equal(report.looks[0].inputs, first[0])


def test_a_factory_draws_anew_from_the_same_seeds_and_moves_no_generator():
    torch.manual_seed(0)
    state = torch.get_rng_state()
    found = scales(diagnose(make, X, Y, seeds=4))
    assert len(set(found)) == 4 and found == scales(diagnose(make, X, Y, seeds=4))
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(3)
    assert scales(diagnose(make(), X, Y)) == found[3:]


def test_a_class_is_a_factory_and_keeps_its_own_defaults():
    class Net(torch.nn.Sequential):
        def __init__(self, width=32):
            super().__init__(
                torch.nn.Linear(64, width), torch.nn.ReLU(), torch.nn.Linear(width, 10)
            )

    report = diagnose(Net, X, Y, seeds=3)
    assert len(report.looks) == 3 and report.looks[2].layers[0].weight.shape == (1, 64, 32)


def test_a_state_dict_is_weights_alone():
    model = make()
    (first, last) = of_weights.look(model.state_dict()).layers
    assert (first.name, last.name) == ("0", "2")
    np.testing.assert_array_equal(first.weight[0], model[0].weight.detach().numpy().T)
    np.testing.assert_array_equal(last.bias, model[2].bias.detach().numpy())
