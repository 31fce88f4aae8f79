"""Small problems with known properties, for the tests."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from influbench.api import Data, Model, Recipe, Split
from influbench.executors import Here
from influbench.models.mlp import Mlp
from influbench.problem import TrainingProblem
from influbench.store.cache import default_cache
from influbench.training.loop import Trainer


def blobs(n_train: int = 20, n_test: int = 8, *, n_classes: int = 3, n_inputs: int = 5, seed: int = 0) -> Data:
    """Overlapping Gaussian clusters; ids are neither rows nor in order."""
    generator = torch.Generator().manual_seed(seed)
    n = n_train + n_test
    labels = torch.arange(n) % n_classes
    centres = torch.randn(n_classes, n_inputs, generator=generator)
    inputs = centres[labels] + torch.randn(n, n_inputs, generator=generator)
    ids = torch.randperm(1000, generator=generator)[:n]
    everything = Split(inputs, labels, ids)
    return Data(everything.rows(slice(0, n_train)), everything.rows(slice(n_train, n)), n_classes)


def line(n_train: int = 20, n_test: int = 6, *, n_inputs: int = 3, seed: int = 0) -> Data:
    """A linear relation with noise, for regression."""
    generator = torch.Generator().manual_seed(seed)
    n = n_train + n_test
    inputs = torch.randn(n, n_inputs, generator=generator, dtype=torch.float64)
    slope = torch.arange(1.0, n_inputs + 1, dtype=torch.float64)
    labels = inputs @ slope + 0.5 * torch.randn(n, generator=generator, dtype=torch.float64)
    everything = Split(inputs, labels, torch.arange(n) + 100)
    return Data(everything.rows(slice(0, n_train)), everything.rows(slice(n_train, n)), None)


def in_dtype(data: Data, dtype: torch.dtype) -> Data:
    def cast(split: Split) -> Split:
        labels = split.labels.to(dtype) if data.n_classes is None else split.labels
        return Split(split.inputs.to(dtype), labels, split.ids)

    return Data(cast(data.train), cast(data.test), data.n_classes)


def permuted(data: Data, order: Tensor) -> Data:
    """The same examples with the train points in another order."""
    return Data(data.train.rows(order), data.test, data.n_classes)


def trainer(
    data: Data | None = None,
    model: Model | None = None,
    *,
    dtype: torch.dtype = torch.float64,
    measure: str = "neg_loss",
    **recipe: object,
) -> Trainer:
    """A quick training: 2 epochs in batches of 6."""
    data = blobs() if data is None else data
    settings = {"learning_rate": 0.1, "momentum": 0.9, "batch_size": 6, "epochs": 2, **recipe}
    return Trainer(
        in_dtype(data, dtype),
        model or Mlp(hidden=(8,)),
        Recipe(**settings),  # type: ignore[arg-type]
        measure,  # type: ignore[arg-type]
        dtype,
        torch.device("cpu"),
    )


def problem(of: Trainer | None = None, *, seed: int = 1, bank_seed: int = 2) -> TrainingProblem:
    """A problem as an estimator sees it, with the test's own cache."""
    return TrainingProblem(of or trainer(), seed=seed, bank_seed=bank_seed, cache=default_cache(), executor=Here())


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
