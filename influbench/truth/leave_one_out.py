"""The ground truth: train with every example, then retrain without each of them, over several seeds.

For seed r, `influence[r, i, j] = measure_j(trained with i) - measure_j(trained without i)`, and `memorization[r, i]` is
the same difference for `p_correct` of i on itself (Feldman & Zhang 2020). The two trainings are paired: they have the
same initial parameters and the same batches, and the left-out example keeps its place with weight 0.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar

import torch
from torch import Tensor

from influbench.api import Shard, Truth
from influbench.measures import available
from influbench.results import Statistic
from influbench.seeds import derive
from influbench.shards import Trainings
from influbench.statistics.yardsticks import correlations
from influbench.training.fingerprint import digest, training_key
from influbench.training.loop import Trainer

BLOCK = 64  # examples left out in one shard; part of what is stored, so it never depends on the machine


@dataclass(frozen=True, eq=False)
class GroundTruth(Trainings[Truth]):
    """The truth of one problem, in shards: seed by seed, blocks of 64 left-out points in row order.

    Effects are stored at `steps` and at the last step; `steps` are part of the key. With a `reliability`, seeds are
    added until the interval of the influence truth's reliability lies above it, or until there are `max_seeds`.
    """

    holds: ClassVar[str] = "leave-one-out effects"

    root_seed: int
    steps: Sequence[int] = ()
    n_seeds: int = 1
    reliability: float | None = None
    max_seeds: int = 1

    @cached_property
    def key(self) -> str:
        """The digest under which the truth is stored: of everything that decides it except the number of seeds."""
        return digest("leave_one_out", "batch", sorted(self.steps), training_key(self.trainer, self.seed(0)))

    @property
    def folder(self) -> str:
        return f"truth/{self.key}"

    @property
    def names(self) -> list[str]:
        """The fixed grid of shards."""
        n_blocks = -(-len(self.trainer.data.train) // BLOCK)
        return [f"seed-{seed:04d}/block-{block:05d}" for seed in range(self.n_seeds) for block in range(n_blocks)]

    @property
    def kept_steps(self) -> list[int]:
        """Steps at which effects are stored, the last one included."""
        return sorted({*self.steps, self.trainer.n_steps})

    def seed(self, number: int) -> int:
        """The training seed of the truth's seed with this number."""
        return derive(self.root_seed, "truth", number)

    def trainings_in(self, name: str) -> int:
        """One training without each of the shard's train points, and one with all train points."""
        return len(self._rows(name)) + 1

    def values_in(self, name: str) -> int:
        data = self.trainer.data
        n_answers = len(available(data.n_classes)) * len(self.kept_steps)
        return len(self._rows(name)) * (len(data.test) + 1) * n_answers

    def compute(self, name: str) -> dict[str, Tensor]:
        """The tensors of one shard, trained now."""
        seed = int(name.split("/")[0].rpartition("-")[2])
        return leave_out(self.trainer, self.seed(seed), self._rows(name), steps=self.steps)

    def assemble(self, shards: Sequence[Shard]) -> Truth:
        """The whole truth after the last step, together with the truths after earlier steps."""
        *earlier, last = self.kept_steps
        return replace(self._after(shards, last), earlier={step: self._after(shards, step) for step in earlier})

    def further(self, so_far: Truth) -> "GroundTruth | None":
        """The truth with more seeds if this one is less reliable than required, else None."""
        if self.reliability is None or self.n_seeds >= self.max_seeds:
            return None
        known = _reliability(so_far)
        if known.low is not None and known.low >= self.reliability:
            return None
        # A quarter more at a time: the truth is assembled only a few times, and at most a quarter of it is not needed.
        return replace(self, n_seeds=min(self.max_seeds, self.n_seeds + max(2, self.n_seeds // 4)))

    def standing(self, so_far: Truth) -> str:
        return f"{so_far.n_seeds} seeds: reliability {_reliability(so_far)}, {self.reliability:g} wanted"

    def _rows(self, name: str) -> range:
        block = int(name.rpartition("-")[2])
        return range(block * BLOCK, min((block + 1) * BLOCK, len(self.trainer.data.train)))

    def _after(self, shards: Sequence[Shard], step: int) -> Truth:
        n_train = len(self.trainer.data.train)

        def whole(name: str) -> Tensor:
            effects = torch.cat([shard.tensors[f"{name}@{step}"].double() for shard in shards])
            return effects.reshape(-1, n_train, *effects.shape[1:])

        return Truth(
            influence=whole(f"influence/{self.trainer.measure}"),
            memorization=None if self.trainer.data.n_classes is None else whole("own/p_correct"),
        )


def _reliability(truth: Truth) -> Statistic:
    return correlations(truth.influence).reliability.interval()


def leave_out(trainer: Trainer, seed: int, rows: Sequence[int], *, steps: Sequence[int] = ()) -> dict[str, Tensor]:
    """Effects of leaving out each of `rows` in turn, by measure and step.

    `influence/MEASURE@STEP` is (n_rows, n_test) and `own/MEASURE@STEP` is (n_rows,). The training with every example is
    replica 0 of each stack, so that both trainings use the same kernels.
    """
    alone = trainer.network.path(trainer.device) == "loop"  # if every replica runs by itself, one base run is enough
    per_stack = len(rows) if alone else max(1, trainer.stack_width - 1)
    parts = [
        _effects(trainer, seed, rows[start : start + per_stack], steps) for start in range(0, len(rows), per_stack)
    ]
    return {name: torch.cat([part[name] for part in parts]).to(trainer.dtype) for name in parts[0]}


def _effects(trainer: Trainer, seed: int, rows: Sequence[int], steps: Sequence[int]) -> dict[str, Tensor]:
    data = trainer.data
    weights = torch.ones(1 + len(rows), len(data.train))
    weights[torch.arange(1, 1 + len(rows)), torch.tensor(rows)] = 0
    runs = trainer.train(trainer.course(weights, seeds=[seed] * len(weights), checkpoints=steps))
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
