"""The ground truth: train with every example, then again without each of them, over several seeds.

For seed r, `influence[r, i, j] = measure_j(trained with i) - measure_j(trained without i)`, and `memorization[r, i]` is
the same difference of `p_correct` of i on itself (Feldman & Zhang 2020). The two trainings are paired: same
initial parameters, same batches, and the left-out example has weight 0 in its place.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from influbench.errors import TrainingError
from influbench.measures import available
from influbench.seeds import derive
from influbench.shards import Shard, gather
from influbench.store.cache import Cache
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
        return len(self.influence)


def shard_names(n_train: int, n_seeds: int) -> list[str]:
    """The fixed grid of shards: seed by seed, blocks of left-out examples in row order."""
    n_blocks = -(-n_train // BLOCK)
    return [f"seed-{seed:04d}/block-{block:05d}" for seed in range(n_seeds) for block in range(n_blocks)]


def leave_one_out(trainer: Trainer, cache: Cache, *, root_seed: int, n_seeds: int) -> Iterator[Shard]:
    """The shards of the truth, in the order of `shard_names`, computed where they are not stored."""
    n_train = len(trainer.data.train)

    def compute(name: str) -> Mapping[str, Tensor]:
        seed, block = (int(part.rpartition("-")[2]) for part in name.split("/"))
        rows = range(block * BLOCK, min((block + 1) * BLOCK, n_train))
        return leave_out(trainer, _truth_seed(root_seed, seed), rows)

    key = digest("leave_one_out", "batch", training_key(trainer, _truth_seed(root_seed, 0)))
    yield from gather(cache, f"truth/{key}", shard_names(n_train, n_seeds), compute)


def leave_out(trainer: Trainer, seed: int, rows: Sequence[int]) -> dict[str, Tensor]:
    """Effects of leaving out each of `rows` in turn, by measure: `influence/...` (n_rows, n_test), `own/...` (n_rows,).

    The training with every example is replica 0 of the same stack, so that both go through the same kernels.
    """
    data = trainer.data
    weights = torch.ones(1 + len(rows), len(data.train))
    weights[torch.arange(1, 1 + len(rows)), torch.tensor(rows)] = 0
    runs = trainer.train([seed] * len(weights), weights)
    left_out = data.train.rows(torch.tensor(rows))
    effects = {}
    measures = available(data.n_classes)
    measured_on_test = runs.measured_by(measures, data.test)
    measured_on_itself = runs.measured_by(measures, left_out)
    for measure in measures:
        on_test, on_itself = measured_on_test[measure], measured_on_itself[measure]
        effects[f"influence/{measure}"] = (on_test[0] - on_test[1:]).to(trainer.dtype)
        effects[f"own/{measure}"] = (on_itself[0] - on_itself[1:].diagonal()).to(trainer.dtype)
    if not all(effect.isfinite().all() for effect in effects.values()):
        raise TrainingError(
            "training diverged: leave-one-out effects are not finite; lower the learning rate in the plan's "
            f"[training], which is {trainer.recipe.learning_rate}"
        )
    return effects


def assemble(shards: Sequence[Shard], *, measure: str, n_train: int, n_seeds: int) -> Truth:
    """The whole truth for one measure, from all its shards in order."""

    def whole(name: str) -> Tensor:
        effects = torch.cat([shard.tensors[name].double() for shard in shards])
        return effects.reshape(n_seeds, n_train, *effects.shape[1:])

    return Truth(
        influence=whole(f"influence/{measure}"),
        memorization=whole("own/p_correct") if "own/p_correct" in shards[0].tensors else None,
        n_trainings=n_seeds * n_train + len(shards),
        seconds=sum(shard.seconds for shard in shards),
        n_shards=len(shards),
        n_shards_reused=sum(shard.reused for shard in shards),
    )


def _truth_seed(root_seed: int, seed: int) -> int:
    return derive(root_seed, "truth", seed)
