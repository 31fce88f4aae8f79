"""How hard train points are to learn, measured in ordinary trainings that are used for nothing else."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import torch
from torch import Tensor

from influbench.api import Shard
from influbench.banks import SubsetBank
from influbench.errors import EstimateError, TrainingError, UsageError
from influbench.estimators.inclusion import with_minus_without
from influbench.estimators.proxies import learning_times
from influbench.resources import Progress, Resources
from influbench.seeds import derive
from influbench.shards import Trainings, trained
from influbench.training.fingerprint import digest, training_key
from influbench.training.loop import Trainer

BLOCK = 16  # trainings in one shard
SUBSET_RATIO = 0.7  # of the train points in each subset, as in Feldman & Zhang 2020


@dataclass(frozen=True, eq=False)
class LearningTimes(Trainings[Tensor]):
    """The epoch from whose end on each point is classified as its label, averaged over `n_networks` trainings.

    One training gives whole epochs, with many ties; see influbench.estimators.proxies.
    """

    holds: ClassVar[str] = "learning times"

    seed: int
    n_networks: int

    @cached_property
    def folder(self) -> str:
        return f"learning_times/{digest('learning times', training_key(self.trainer, self.seed))}"

    @property
    def names(self) -> list[str]:
        return [f"block-{block:05d}" for block in range(-(-self.n_networks // BLOCK))]

    def compute(self, name: str) -> dict[str, Tensor]:
        """Learning times of one shard's trainings, (n_trainings, n_train)."""
        first = int(name.rpartition("-")[2]) * BLOCK
        n_steps, train = self.trainer.n_steps, self.trainer.data.train
        steps_per_epoch = n_steps // self.trainer.recipe.epochs
        ends = range(steps_per_epoch, n_steps + 1, steps_per_epoch)
        seeds = [derive(self.seed, "training", number) for number in range(first, first + BLOCK)]
        runs = self.trainer.train(self.trainer.course(seeds=seeds, checkpoints=ends))
        correct = []
        for step in ends:
            outputs = runs.outputs(train, step=step)
            if not outputs.isfinite().all():
                raise TrainingError(f"outputs are not finite after step {step}: the training diverged")
            correct.append((outputs.argmax(-1) == train.labels).flatten())
        return {"times": learning_times(torch.stack(correct)).reshape(BLOCK, -1).cpu()}

    def assemble(self, shards: Sequence[Shard]) -> Tensor:
        """The mean learning times, (n_train,) float64."""
        times = torch.cat([shard.tensors["times"] for shard in shards])
        return times[: self.n_networks].double().mean(0)


def subset_memorization(
    trainer: Trainer, seed: int, *, n_trainings: int, resources: Resources, what: str, progress: Progress
) -> Tensor:
    """Memorization by networks trained on random subsets (Feldman & Zhang 2020), (n_train,) float64."""
    of_subsets = SubsetBank(trainer, seed, n_models=n_trainings, ratio=SUBSET_RATIO)
    bank = trained(of_subsets, resources, what=what, progress=progress)
    assert bank.p_correct is not None
    try:
        return with_minus_without(bank.weights.double(), bank.p_correct, own=True)
    except EstimateError as error:
        raise UsageError(f"[dynamics] difficulty_trainings = {n_trainings} is too small: {error}") from None


def by_difficulty(rows: Tensor, difficulty: Tensor, ties: Tensor, *, n_groups: int) -> Sequence[Tensor]:
    """These rows in groups of nearly equal size, the easiest first; equally difficult rows are ordered by `ties`."""
    by_ties = rows[ties[rows].argsort()]
    return by_ties[difficulty[by_ties].argsort(stable=True)].tensor_split(n_groups)
