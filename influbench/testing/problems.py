"""Small problems on which a test takes milliseconds."""

from atexit import register
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp

import torch
from torch import Tensor

from influbench.api import Data, Dataset, MeasureName, Model, Recipe, Split
from influbench.engine.boundary import checked_data
from influbench.isolation import isolated
from influbench.models.mlp import Mlp
from influbench.problem import TrainingProblem
from influbench.registry import Registry
from influbench.resources import Resources
from influbench.seeds import derive
from influbench.store.cache import Cache
from influbench.training.loop import Trainer
from influbench.training.updates import update_rule
from influbench.truth.judged_problem import TruthProblem
from influbench.truth.leave_one_out import GroundTruth


def blobs(n_train: int = 20, n_test: int = 8, *, n_classes: int = 3, n_inputs: int = 5, seed: int = 0) -> Data:
    """Overlapping Gaussian clusters; ids are neither row numbers nor in order."""
    generator = torch.Generator().manual_seed(seed)
    n = n_train + n_test
    labels = torch.arange(n) % n_classes
    centers = torch.randn(n_classes, n_inputs, generator=generator)
    inputs = centers[labels] + torch.randn(n, n_inputs, generator=generator)
    return _split(Split(inputs, labels, _ids(n, generator)), n_train, n_classes)


def line(n_train: int = 20, n_test: int = 6, *, n_inputs: int = 3, seed: int = 0) -> Data:
    """A linear relation with noise, for regression."""
    generator = torch.Generator().manual_seed(seed)
    n = n_train + n_test
    inputs = torch.randn(n, n_inputs, generator=generator, dtype=torch.float64)
    slope = torch.arange(1.0, n_inputs + 1, dtype=torch.float64)
    labels = inputs @ slope + 0.5 * torch.randn(n, generator=generator, dtype=torch.float64)
    return _split(Split(inputs, labels, torch.arange(n) + 100), n_train, None)


def pictures(n_train: int = 12, n_test: int = 4, *, n_classes: int = 2, size: int = 8, seed: int = 0) -> Data:
    """Noisy pictures with one channel in which each class has its own bright corner."""
    generator = torch.Generator().manual_seed(seed)
    n = n_train + n_test
    labels = torch.arange(n) % n_classes
    inputs = torch.randn(n, 1, size, size, generator=generator)
    rows, columns = (labels % 2) * (size // 2), (labels // 2 % 2) * (size // 2)
    for picture, row, column in zip(inputs, rows, columns, strict=True):
        picture[:, row : row + size // 2, column : column + size // 2] += 1
    return _split(Split(inputs, labels, _ids(n, generator)), n_train, n_classes)


def permuted(data: Data, order: Tensor) -> Data:
    """The same examples with the train points in another order."""
    return Data(data.train.rows(order), data.test, data.n_classes)


def some_of(data: Data, *, n_train: int = 12, n_test: int = 4) -> Data:
    """The data with at most this many train and test points, spread over all of them."""

    def spread(split: Split, n: int) -> Split:
        return split.rows(torch.linspace(0, len(split) - 1, min(n, len(split))).round().long())

    return Data(spread(data.train, n_train), spread(data.test, n_test), data.n_classes)


def loaded(dataset: Dataset, *, seed: int = 1, dtype: torch.dtype = torch.float32) -> Data:
    """The data of a data set, checked as in a run."""
    with isolated(seed):
        data = dataset.load(seed)
    return checked_data(data, name=type(dataset).__name__, dtype=dtype)


def small_trainer(
    data: Data | None = None,
    model: Model | None = None,
    *,
    dtype: torch.dtype = torch.float64,
    measure: MeasureName = "neg_loss",
    device: str = "cpu",
    registry: Registry | None = None,
    **recipe: object,
) -> Trainer:
    """The training of `small_problem`. The recipe's names are looked up in `registry`, or among installed plugins."""
    settings = {"learning_rate": 0.1, "momentum": 0.9, "batch_size": 6, "epochs": 2, **recipe}
    return Trainer(
        (data or blobs()).to(dtype, torch.device(device)),
        model or Mlp(hidden=(8,)),
        update_rule(Recipe(**settings), registry),  # type: ignore[arg-type]
        measure,
        dtype,
        torch.device(device),
    )


def small_problem(
    data: Data | None = None,
    model: Model | None = None,
    *,
    dtype: torch.dtype = torch.float64,
    measure: MeasureName = "neg_loss",
    device: str = "cpu",
    seed: int = 1,
    **recipe: object,
) -> TrainingProblem:
    """A problem as an estimator receives it: by default `blobs`, a perceptron of 8 units, 2 epochs in batches of 6.

    Problems with equal arguments give an estimator the same trainings. `recipe` sets fields of `Recipe`.
    """
    return problem_of(small_trainer(data, model, dtype=dtype, measure=measure, device=device, **recipe), seed=seed)  # type: ignore[arg-type]


def problem_of(trainer: Trainer, *, seed: int = 1) -> TrainingProblem:
    """The problem of a training for an estimator with this seed, with a cache of this process."""
    return TrainingProblem(trainer, seed=seed, bank_seed=derive(seed, "bank"), resources=scratch())


def small_judged_problem(
    data: Data | None = None, *, steps: Sequence[int] = (), n_seeds: int = 2, n_wrong: int = 0
) -> TruthProblem:
    """A problem as a judge receives it, of `small_problem`'s size; the first `n_wrong` train labels count as wrong."""
    trainer = small_trainer(data, learning_rate=0.01)  # at which no subset of the small problems diverges
    wrong = torch.arange(len(trainer.data.train)) < n_wrong
    return TruthProblem(GroundTruth(trainer, 1, steps, n_seeds=n_seeds), wrong)


def _ids(n: int, generator: torch.Generator) -> Tensor:
    return torch.randperm(1000, generator=generator)[:n]


def _split(everything: Split, n_train: int, n_classes: int | None) -> Data:
    return Data(everything.rows(slice(0, n_train)), everything.rows(slice(n_train, len(everything))), n_classes)


@cache
def scratch() -> Resources:
    """Resources with a cache only for this process, so that toy networks stay out of the user's cache."""
    folder = mkdtemp(prefix="influbench-testing-")
    register(rmtree, folder, ignore_errors=True)
    return Resources(cache=Cache(Path(folder)))
