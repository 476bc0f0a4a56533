"""What `diagnose` takes of PyTorch beside a model: loaders, factories, weights; and its seeds."""

import numpy as np
import pytest
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


def test_a_class_that_is_no_factory_is_said_to_be_one():
    class Net(torch.nn.Sequential):
        def __init__(self, width):
            super().__init__(torch.nn.Linear(64, width))

    for kind in (torch.nn.Linear, torch.nn.Sequential, torch.nn.LayerNorm, Net):
        said = f"`model` must be an instance or a function, no class.*{kind.__module__}"
        with pytest.raises(TypeError, match=said):
            diagnose(kind, X, Y)


class Examples(torch.utils.data.Dataset):
    """Its items are single examples, as those of torchvision's are."""

    def __getitem__(self, i):
        return X[i], int(Y[i])


@pytest.mark.parametrize("dataset", [TensorDataset(X, Y), TensorDataset(X), Examples()])
def test_a_dataset_is_no_loader(dataset):
    with pytest.raises(TypeError, match="`x` must be a batch or a DataLoader, as a Dataset"):
        diagnose(make(), dataset)


def test_a_batch_of_three_is_refused_and_one_of_inputs_alone_is_taken():
    with pytest.raises(ValueError, match=r"`x` must be a batch \(x, y\)"):
        diagnose(make(), DataLoader(TensorDataset(X, Y, Y), batch_size=50))
    alone = DataLoader(TensorDataset(X), batch_size=50)  # a list of one tensor
    assert str(diagnose(make(), alone)).count("nothing was sent back") == 1


def test_several_inputs_may_come_in_a_batch():
    class Two(torch.nn.Linear):
        def forward(self, a, b):
            return super().forward(a + b)

    model = Two(64, 10)
    assert diagnose(model, ((X, X), Y)).looks[0].loss == diagnose(model, (X, X), Y).looks[0].loss


def test_a_state_dict_is_weights_alone():
    model = make()
    (first, last) = of_weights.look(model.state_dict()).layers
    assert (first.name, last.name) == ("0", "2")
    np.testing.assert_array_equal(first.weight[0], model[0].weight.detach().numpy().T)
    np.testing.assert_array_equal(last.bias, model[2].bias.detach().numpy())
