"""The ground truth: train with every example, then again without each of them, over several seeds.

For seed r, `influence[r, i, j] = measure_j(trained with i) - measure_j(trained without i)`, and `memorization[r, i]` is
the same difference of `p_correct` of i on itself (Feldman & Zhang 2020). The two trainings are paired: same
initial parameters, same batches, and the left-out example has weight 0 in its place.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from influbench.errors import TrainingError
from influbench.measures import available
from influbench.seeds import derive
from influbench.shards import Shard
from influbench.training.fingerprint import digest, training_key
from influbench.training.loop import Trainer

BLOCK = 64  # examples left out in one shard; part of what is stored, so it never depends on the machine


@dataclass(frozen=True, eq=False)
class Truth:
    """Leave-one-out effects of every train point. `seconds` is what they took to compute, whenever that was."""

    influence: Tensor  # (n_seeds, n_train, n_test) float64
    memorization: Tensor | None  # (n_seeds, n_train) float64; None for regression
    n_trainings: int
    seconds: float
    n_shards: int
    n_shards_reused: int

    @property
    def n_seeds(self) -> int:
        """Seeds that every point was left out with."""
        return len(self.influence)


@dataclass(frozen=True, eq=False)
class GroundTruth:
    """The truth of one problem, in shards: seed by seed, blocks of 64 left-out points in row order.

    `steps` are checkpoints at which effects are stored besides the last step; they are part of the key.
    """

    trainer: Trainer
    root_seed: int
    steps: Sequence[int] = ()

    @cached_property
    def key(self) -> str:
        """Where the truth is stored: a digest of all that decides it, but for the number of seeds."""
        return digest("leave_one_out", "batch", sorted(self.steps), training_key(self.trainer, self.seed(0)))

    @property
    def folder(self) -> str:
        """The folder of a cache that holds its shards."""
        return f"truth/{self.key}"

    @property
    def kept_steps(self) -> list[int]:
        """Steps at which effects are stored, the last one included."""
        return sorted({*self.steps, self.trainer.n_steps})

    def seed(self, number: int) -> int:
        """The training seed of the truth's seed number so and so."""
        return derive(self.root_seed, "truth", number)

    def shard_names(self, seeds: Iterable[int]) -> list[str]:
        """The fixed grid of shards of these seed numbers."""
        n_blocks = -(-len(self.trainer.data.train) // BLOCK)
        return [f"seed-{seed:04d}/block-{block:05d}" for seed in seeds for block in range(n_blocks)]

    def compute(self, name: str) -> dict[str, Tensor]:
        """The tensors of one shard, trained now."""
        seed, block = (int(part.rpartition("-")[2]) for part in name.split("/"))
        rows = range(block * BLOCK, min((block + 1) * BLOCK, len(self.trainer.data.train)))
        return leave_out(self.trainer, self.seed(seed), rows, steps=self.steps)

    def assemble(self, shards: Sequence[Shard], *, step: int | None = None) -> Truth:
        """The whole truth after a step (the last one unless told otherwise), from all shards of its seeds."""
        in_order = sorted(shards, key=lambda shard: shard.name)
        step = self.trainer.n_steps if step is None else step
        n_train = len(self.trainer.data.train)

        def whole(name: str) -> Tensor:
            effects = torch.cat([shard.tensors[f"{name}@{step}"].double() for shard in in_order])
            return effects.reshape(-1, n_train, *effects.shape[1:])

        return Truth(
            influence=whole(f"influence/{self.trainer.measure}"),
            memorization=None if self.trainer.data.n_classes is None else whole("own/p_correct"),
            n_trainings=len(shards) + sum(len(shard.tensors[f"own/neg_loss@{step}"]) for shard in shards),
            seconds=sum(shard.seconds for shard in shards),
            n_shards=len(shards),
            n_shards_reused=sum(shard.reused for shard in shards),
        )


def leave_out(trainer: Trainer, seed: int, rows: Sequence[int], *, steps: Sequence[int] = ()) -> dict[str, Tensor]:
    """Effects of leaving out each of `rows` in turn, by measure and step.

    `influence/MEASURE@STEP` is (n_rows, n_test) and `own/MEASURE@STEP` (n_rows,). The training with every example is
    replica 0 of each stack, so that both go through the same kernels.
    """
    alone = trainer.network.path(trainer.device) == "loop"  # where every replica runs by itself, one base run is enough
    per_stack = len(rows) if alone else max(1, trainer.stack_width - 1)
    parts = [
        _effects(trainer, seed, rows[start : start + per_stack], steps) for start in range(0, len(rows), per_stack)
    ]
    effects = {name: torch.cat([part[name] for part in parts]).to(trainer.dtype) for name in parts[0]}
    if not all(effect.isfinite().all() for effect in effects.values()):
        raise TrainingError(
            "training diverged: leave-one-out effects are not finite; lower the learning rate in the plan's "
            f"[training], which is {trainer.recipe.learning_rate}"
        )
    return effects


def _effects(trainer: Trainer, seed: int, rows: Sequence[int], steps: Sequence[int]) -> dict[str, Tensor]:
    data = trainer.data
    weights = torch.ones(1 + len(rows), len(data.train))
    weights[torch.arange(1, 1 + len(rows)), torch.tensor(rows)] = 0
    runs = trainer.train([seed] * len(weights), weights, checkpoints=steps)
    left_out = data.train.rows(torch.tensor(rows))
    measures = available(data.n_classes)
    effects = {}
    for step in {*steps, trainer.n_steps}:
        measured_on_test = runs.measured_by(measures, data.test, step=step)
        measured_on_itself = runs.measured_by(measures, left_out, step=step)
        for measure in measures:
            on_test, on_itself = measured_on_test[measure], measured_on_itself[measure]
            effects[f"influence/{measure}@{step}"] = (on_test[0] - on_test[1:]).cpu()
            effects[f"own/{measure}@{step}"] = (on_itself[0] - on_itself[1:].diagonal()).cpu()
    return effects
