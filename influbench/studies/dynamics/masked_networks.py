"""The networks of turn-over dropout while they are trained: what they answer about their train points, stored."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from influbench.errors import TrainingError
from influbench.estimators.turn_over_dropout.estimator import TurnOverDropout
from influbench.executors import Executor, Here
from influbench.problem import TrainingProblem
from influbench.seeds import derive
from influbench.shards import Shard, gather
from influbench.store.cache import Cache
from influbench.training.fingerprint import digest, training_key
from influbench.training.loop import Trainer

BLOCK = 16  # networks in one shard; even, so that an antithetic pair is in one


@dataclass(frozen=True, eq=False)
class Course:
    """`p_correct` of every train point after each of `steps`, by seed: means over the networks that share a seed."""

    steps: Sequence[int]
    seen: Tensor  # (n_seeds, n_steps, n_train) float64, under the point's own mask
    unseen: Tensor  # the same under the flipped mask

    @property
    def memorization(self) -> Tensor:
        """Seen minus unseen, (n_seeds, n_steps, n_train)."""
        return self.seen - self.unseen


@dataclass(frozen=True, eq=False)
class MaskedNetworks:
    """The networks of an estimator, in shards of 16, so that more masks contain the fewer.

    `seed` is the stream of masks, initial parameters and batches; `steps` are those after which they are looked at.
    """

    trainer: Trainer
    estimator: TurnOverDropout
    seed: int
    steps: Sequence[int]
    cache: Cache

    @cached_property
    def key(self) -> str:
        """Where the answers are stored: a digest of all that decides them, but for the number of masks."""
        return digest(
            "masked", replace(self.estimator, n_masks=BLOCK), list(self.steps), training_key(self.trainer, self.seed)
        )

    @property
    def folder(self) -> str:
        """The folder of a cache that holds the shards."""
        return f"masked/{self.key}"

    @property
    def shard_names(self) -> list[str]:
        return [f"block-{block:05d}" for block in range(-(-self.estimator.n_masks // BLOCK))]

    def gather(self, executor: Executor) -> Iterator[Shard]:
        """Its shards, from the cache as far as they are stored."""
        return gather(self.cache, self.folder, self.shard_names, self, executor)

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
        if not all(answer.isfinite().all() for answer in answers.values()):
            raise TrainingError(
                "training with masks diverged: outputs are not finite; lower the learning rate in the plan's "
                f"[training], which is {self.trainer.recipe.learning_rate}"
            )
        return {half: answer.to(self.trainer.dtype).cpu() for half, answer in answers.items()}

    def assemble(self, shards: Sequence[Shard]) -> Course:
        """The course of training, from all of the shards."""
        in_order = sorted(shards, key=lambda shard: shard.name)
        replicates = self.estimator.replicates()

        def by_seed(half: str) -> Tensor:
            of_networks = torch.cat([shard.tensors[half] for shard in in_order])[: len(replicates)].double()
            of_seeds = [[n for n, its in enumerate(replicates) if its == seed] for seed in dict.fromkeys(replicates)]
            return torch.stack([of_networks[networks].mean(0) for networks in of_seeds])

        return Course(tuple(self.steps), by_seed("seen"), by_seed("unseen"))

    def view(self) -> TrainingProblem:
        """The problem as the estimator sees it."""
        bank_seed = derive(self.seed, "bank")
        return TrainingProblem(self.trainer, seed=self.seed, bank_seed=bank_seed, cache=self.cache, executor=Here())
