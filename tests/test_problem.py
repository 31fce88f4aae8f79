"""The problem as an estimator sees it: what it hands out is the estimator's own."""

import torch
from torch import Tensor, nn

from tests.problems import ModuleModel, problem, trainer


def test_a_module_gives_the_outputs_of_its_parameters_and_is_a_copy() -> None:
    view = problem()
    runs = view.train(replicates=[0, 1])
    parameters = {name: p[1] for name, p in runs.parameters().items()}
    module = view.module(parameters)
    assert not module.training
    torch.testing.assert_close(module(view.data.test.inputs), runs.outputs(view.data.test)[1], rtol=0, atol=1e-12)
    before = {name: p.clone() for name, p in parameters.items()}
    for parameter in module.parameters():
        torch.nn.init.zeros_(parameter)
    assert all(torch.equal(before[name], p) for name, p in parameters.items())
    assert view.module(parameters)(view.data.test.inputs).abs().sum() > 0


def test_a_module_is_of_the_network_that_is_trained_whatever_the_random_state() -> None:
    view = problem(trainer(model=None))
    state = torch.get_rng_state()
    module = view.module(view.initial_parameters(3))
    assert torch.equal(state, torch.get_rng_state())
    assert {p.dtype for p in module.parameters()} == {view.dtype}


class Shared(nn.Module):
    """Two layers that share a weight, of which one bias is not trained."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.last = nn.Linear(5, 5), nn.Linear(5, 5), nn.Linear(5, 3)
        self.second.weight = self.first.weight
        self.first.weight.requires_grad_(False)
        self.second.bias.requires_grad_(False)

    def forward(self, inputs: Tensor) -> Tensor:
        outputs: Tensor = self.last(self.second(self.first(inputs).tanh()).tanh())
        return outputs


def test_frozen_parameters_can_be_buffers() -> None:
    view = problem(trainer(model=ModuleModel(Shared)))
    parameters = {name: p[0] for name, p in view.train(replicates=[0]).parameters().items()}
    module = view.module(parameters, frozen_as_buffers=True)
    assert {name for name, _ in module.named_parameters()} == set(view.trainable)
    assert {name for name, _ in module.named_buffers()} == {"first.weight", "second.bias"}
    inputs = view.data.test.inputs
    torch.testing.assert_close(module(inputs), view.forward(parameters, inputs))
