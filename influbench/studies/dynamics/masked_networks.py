"""The networks of turn-over dropout during training: their stored answers on their train points."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar

import torch
from torch import Tensor

from influbench.api import Shard
from influbench.estimators.turn_over_dropout.estimator import TurnOverDropout
from influbench.problem import TrainingProblem
from influbench.shards import Trainings
from influbench.training.fingerprint import digest, training_key

BLOCK = 16  # networks in one shard; even, so that an antithetic pair is in one


@dataclass(frozen=True, eq=False)
class PointCurves:
    """`p_correct` of every train point after each of `steps`, by seed: means over the networks that share a seed."""

    steps: Sequence[int]
    seen: Tensor  # (n_seeds, n_steps, n_train) float64, under the point's own mask
    unseen: Tensor  # the same under the flipped mask

    @property
    def memorization(self) -> Tensor:
        """Seen minus unseen, (n_seeds, n_steps, n_train)."""
        return self.seen - self.unseen


@dataclass(frozen=True, eq=False)
class MaskedNetworks(Trainings[PointCurves]):
    """The networks of an estimator, in shards of 16, so that a run with more masks reuses the shards of one with fewer.

    `seed` decides masks, initial parameters and batches; the networks are evaluated after each of `steps`.
    """

    holds: ClassVar[str] = "outputs of networks with masks"

    estimator: TurnOverDropout
    seed: int
    steps: Sequence[int]

    @cached_property
    def key(self) -> str:
        """The key of the stored answers: a digest of everything that decides them, except the number of masks."""
        return digest(
            "masked", replace(self.estimator, n_masks=BLOCK), list(self.steps), training_key(self.trainer, self.seed)
        )

    @property
    def folder(self) -> str:
        return f"masked/{self.key}"

    @property
    def names(self) -> list[str]:
        return [f"block-{block:05d}" for block in range(-(-self.estimator.n_masks // BLOCK))]

    def compute(self, name: str) -> dict[str, Tensor]:
        """`p_correct` of the shard's networks, seen and unseen, each (n_networks, n_steps, n_train)."""
        first = int(name.rpartition("-")[2]) * BLOCK
        block, view = slice(first, first + BLOCK), self.view()
        estimator = replace(self.estimator, n_masks=block.stop)
        of_all = estimator.masks(view)
        masks = replace(of_all, seeds=of_all.seeds[block], swapped=of_all.swapped[block])
        runs = view.train(
            replicates=estimator.replicates()[block],
            masks=masks,
            checkpoints=self.steps,
            frozen=estimator.frozen(view),
        )
        train = self.trainer.data.train
        answers = {
            half: torch.stack([runs.p_correct(train, step=step, masks=its) for step in self.steps], dim=1)
            for half, its in (("seen", masks), ("unseen", masks.flipped()))
        }
        return {half: answer.to(self.trainer.dtype).cpu() for half, answer in answers.items()}

    def assemble(self, shards: Sequence[Shard]) -> PointCurves:
        """The curves of all points, from all shards."""
        replicates = self.estimator.replicates()

        def by_seed(half: str) -> Tensor:
            of_networks = torch.cat([shard.tensors[half] for shard in shards])[: len(replicates)].double()
            of_seeds = [[n for n, its in enumerate(replicates) if its == seed] for seed in dict.fromkeys(replicates)]
            return torch.stack([of_networks[networks].mean(0) for networks in of_seeds])

        return PointCurves(tuple(self.steps), by_seed("seen"), by_seed("unseen"))

    def view(self) -> TrainingProblem:
        """The problem as the estimator sees it."""
        return TrainingProblem(self.trainer, seed=self.seed)
