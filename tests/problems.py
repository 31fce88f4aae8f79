"""Small problems with known properties, for the tests."""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from influbench.api import Data, Model, Recipe
from influbench.problem import TrainingProblem
from influbench.resources import Resources
from influbench.store.cache import Cache
from influbench.testing.problems import blobs, line, permuted, small_trainer
from influbench.training.loop import Trainer
from influbench.truth.judged_problem import TruthProblem
from influbench.truth.leave_one_out import GroundTruth

__all__ = [
    "ModuleModel",
    "Residual",
    "ResidualModel",
    "blobs",
    "judged",
    "line",
    "permuted",
    "problem",
    "stored_in",
    "trainer",
]

trainer = small_trainer


def stored_in(folder: Path, **others: object) -> Resources:
    """Resources whose cache is this folder."""
    return Resources(cache=Cache(folder), **others)  # type: ignore[arg-type]


def problem(of: Trainer | None = None, *, seed: int = 1, draw: int = 0, bank_seed: int = 2) -> TrainingProblem:
    """A problem as an estimator sees it, with the test's own cache."""
    return TrainingProblem(of or trainer(), seed=seed, draw=draw, bank_seed=bank_seed, resources=Resources())


def judged(
    of: Trainer | None = None, *, seed: int = 0, wrong: Tensor | None = None, **settings: object
) -> TruthProblem:
    """A problem as a judge sees it; `settings` are those of its ground truth, and by default no label is wrong."""
    trained_with = of or trainer()
    right = torch.zeros(len(trained_with.data.train), dtype=torch.bool)
    return TruthProblem(GroundTruth(trained_with, seed, **settings), right if wrong is None else wrong)  # type: ignore[arg-type]


class Residual(nn.Module):
    """A module that is no chain of layers, so that it has no stacked form."""

    def __init__(self, n_inputs: int, n_classes: int) -> None:
        super().__init__()
        self.first = nn.Linear(n_inputs, 6)
        self.act = nn.Tanh()
        self.second = nn.Linear(6, 6)
        self.last = nn.Linear(6, n_classes)

    def forward(self, inputs: Tensor) -> Tensor:
        hidden = self.act(self.first(inputs))
        outputs: Tensor = self.last(hidden + self.second(hidden))
        return outputs


@dataclass(frozen=True)
class ResidualModel(Model):
    @property
    def recipe(self) -> Recipe:
        return Recipe(batch_size=6, epochs=2)

    def build(self, data: Data) -> nn.Module:
        return Residual(data.train.inputs.shape[1], data.n_classes or 1)


@dataclass(frozen=True)
class ModuleModel(Model):
    """Any module, made anew by `make`."""

    make: object = None

    @property
    def recipe(self) -> Recipe:
        return Recipe(batch_size=6, epochs=2)

    def build(self, data: Data) -> nn.Module:
        assert callable(self.make)
        module: nn.Module = self.make()
        return module
