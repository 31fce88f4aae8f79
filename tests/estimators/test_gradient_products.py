"""Inner products of gradients against gradients that are written out one by one."""

import pytest
import torch
from torch import Tensor, nn

from influbench.api import Data, Split
from influbench.estimators.gradient_products import GradientProducts
from influbench.estimators.gradients import loss_gradients, measure_gradients
from influbench.models.cnn import Cnn
from influbench.models.mlp import Mlp
from influbench.models.resnet import Resnet
from tests.problems import ModuleModel, ResidualModel, blobs, line, problem, trainer


def pictures() -> Data:
    generator = torch.Generator().manual_seed(0)
    train, test = (
        Split(torch.rand(n, 2, 8, 8, generator=generator), torch.arange(n) % 3, torch.arange(n) + first)
        for n, first in ((12, 0), (5, 50))
    )
    return Data(train, test, 3)


class Positions(nn.Module):
    """A linear layer that runs at every position, and a table that is not a layer."""

    def __init__(self) -> None:
        super().__init__()
        self.of_position = nn.Linear(1, 4)
        self.scale = nn.Parameter(torch.rand(5, 1))
        self.last = nn.Linear(4, 3, bias=False)

    def forward(self, inputs: Tensor) -> Tensor:
        outputs: Tensor = self.last((self.of_position(inputs[..., None]).tanh() * self.scale).sum(1))
        return outputs


class Shared(nn.Module):
    """One layer that runs twice, and a weight that is used beside its layer."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.twice, self.last = nn.Linear(5, 6), nn.Linear(6, 6), nn.Linear(6, 3)

    def forward(self, inputs: Tensor) -> Tensor:
        outputs: Tensor = self.last(self.twice(self.twice(self.first(inputs)).tanh()))
        return outputs + (inputs @ self.first.weight.T)[:, :3]


def frozen_weight() -> nn.Module:
    module = nn.Sequential(nn.Linear(5, 6), nn.ReLU(inplace=True), nn.Linear(6, 4), nn.Tanh(), nn.Linear(4, 3))
    module[0].weight.requires_grad_(False)
    module[2].bias.requires_grad_(False)
    return module


def strided() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(2, 4, 3, stride=2, padding=1, dilation=1), nn.Tanh(), nn.Conv2d(4, 4, 2, groups=2), nn.Tanh(),
        nn.Conv2d(4, 2, 3, padding="same", bias=False), nn.Flatten(), nn.Linear(18, 3),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("data", "model", "n_layers"),
    [
        (blobs(), Mlp(hidden=(8, 7)), 3),
        (line(), Mlp(hidden=(8,)), 2),
        (pictures(), Cnn(channels=(3, 4)), 3),
        (pictures(), Resnet(width=4, blocks=(1, 1)), None),
        (pictures(), ModuleModel(strided), 2),
        (blobs(), ResidualModel(), 3),
        (blobs(), ModuleModel(Positions), 2),
        (blobs(), ModuleModel(Shared), 1),
        (blobs(), ModuleModel(frozen_weight), 2),
    ],
)
def test_products_and_norms_are_those_of_the_gradients(data: Data, model: object, n_layers: int | None) -> None:
    view = problem(trainer(data, model))  # type: ignore[arg-type]
    parameters = {name: p[0] for name, p in view.train(replicates=[0]).parameters().items()}
    of_loss = torch.cat(list(loss_gradients(view, parameters, view.data.train)))
    of_measure = torch.cat(list(measure_gradients(view, parameters, view.data.test)))
    gradients = GradientProducts(view, parameters)
    torch.testing.assert_close(gradients.products(parameters), of_loss @ of_measure.T, rtol=1e-9, atol=1e-12)
    for found, expected in zip(gradients.norms(parameters), (of_loss, of_measure), strict=True):
        torch.testing.assert_close(found, expected.norm(dim=1), rtol=1e-9, atol=1e-12)
    if n_layers is not None:
        assert len(gradients._layers) == n_layers


def test_single_precision_and_chunks_change_little(monkeypatch: pytest.MonkeyPatch) -> None:
    single, double = (
        problem(trainer(pictures(), Cnn(channels=(3, 4)), dtype=d)) for d in (torch.float32, torch.float64)
    )
    parameters = {name: p[0] for name, p in single.train(replicates=[0]).parameters().items()}
    found = GradientProducts(single, parameters).products(parameters)
    exact = {name: p.double() for name, p in parameters.items()}
    expected = GradientProducts(double, exact).products(exact)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5 * expected.abs().max().item())
    monkeypatch.setattr("influbench.estimators.gradients._NUMBERS", 5 * sum(p.numel() for p in parameters.values()))
    torch.testing.assert_close(GradientProducts(single, parameters).products(parameters), found, rtol=1e-5, atol=1e-7)
