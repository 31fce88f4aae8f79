"""A binary classifier with one logit is the network with the logits 0 and z, in losses, measures and effects."""

from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

import influbench
from influbench.api import Data, Model, Recipe
from influbench.engine.one_logit import TwoLogits
from influbench.errors import ModelError
from influbench.measures import measure_of
from influbench.testing.problems import blobs

PLAN = {
    "estimators": ["tracin[n_checkpoints=2]", "leave_one_out", "influence_function", "turn_over_dropout", "subset"],
    "problem": {"dataset": "digits", "model": "mlp"},
    "training": {"epochs": 3},
    "truth": {"seeds": 2},
}


@dataclass(frozen=True)
class OneLogit(Model):
    """A network with one output for each example, with or without an axis of its own."""

    flat: bool = False

    @property
    def recipe(self) -> Recipe:
        return Recipe(epochs=3, batch_size=5)

    def build(self, data: Data) -> nn.Module:
        layers = [nn.Linear(data.train.inputs.shape[1], 4), nn.Tanh(), nn.Linear(4, 1)]
        return nn.Sequential(*layers, *([nn.Flatten(0)] if self.flat else []))


@dataclass(frozen=True)
class BothLogits(OneLogit):
    """The same network with the second logit written out."""

    def build(self, data: Data) -> nn.Module:
        inner = super().build(data)

        class Both(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.inner = inner

            def forward(self, inputs: Tensor) -> Tensor:
                z = self.inner(inputs)
                return torch.stack([0 * z[:, 0], z[:, 0]], 1)

        return Both()


@dataclass(frozen=True)
class OwnLoss(OneLogit):
    """With a loss of its own, whose measures are not known."""

    def loss(self, outputs: Tensor, labels: Tensor) -> Tensor:
        return binary_cross_entropy_with_logits(outputs[:, 0], labels.to(outputs.dtype), reduction="none")


@pytest.mark.parametrize("shape", [(40,), (40, 1)])
def test_loss_and_measures_are_those_of_a_sigmoid(shape: tuple[int, ...]) -> None:
    generator = torch.Generator().manual_seed(0)
    z = 5 * torch.randn(shape, generator=generator, dtype=torch.float64)
    labels = torch.arange(40) % 2
    outputs, z = TwoLogits()(z), z.reshape(-1)
    expected = binary_cross_entropy_with_logits(z, labels.double(), reduction="none")
    torch.testing.assert_close(OneLogit().loss(outputs, labels), expected)
    signed = torch.where(labels == 1, z, -z)
    torch.testing.assert_close(measure_of("margin", OneLogit())(outputs, labels), signed)
    torch.testing.assert_close(measure_of("p_correct", OneLogit())(outputs, labels), signed.sigmoid())


@pytest.mark.parametrize("flat", [False, True])
def test_effects_and_scores_are_those_of_the_network_with_both_logits(flat: bool, tmp_path: Path) -> None:
    data = blobs(14, 6, n_classes=2)

    def ran(model: Model, name: str) -> influbench.Result:
        return influbench.run(PLAN, dataset=data, model=model, directory=tmp_path / name, quiet=True)

    one, both = ran(OneLogit(flat=flat), "one"), ran(BothLogits(), "both")
    for name in ("truth", "tracin[n_checkpoints=2]", "leave_one_out", "influence_function"):
        for quantity, values in one.scores(name).items():
            torch.testing.assert_close(values, both.scores(name)[quantity], rtol=1e-3, atol=1e-5)
    assert {cell.status for cell in one.cells} == {"ok"}
    assert one.problems[0].problem.fit is not None
    assert both.problems[0].problem.fit is not None
    assert one.problems[0].problem.fit.train == both.problems[0].problem.fit.train
    assert "one logit z" in " ".join(str(one).split())


@pytest.mark.parametrize(("model", "n_classes"), [(OwnLoss(), 2), (OneLogit(), 3)])
def test_one_logit_with_a_loss_of_its_own_or_for_three_classes_is_refused(
    model: Model, n_classes: int, tmp_path: Path
) -> None:
    data = blobs(12, 6, n_classes=n_classes)
    with pytest.raises(ModelError, match=rf"expected \(n, n_classes\) = \(4, {n_classes}\)"):
        influbench.run(PLAN, dataset=data, model=model, directory=tmp_path / "out", quiet=True)
