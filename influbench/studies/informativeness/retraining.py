"""Trainings without each group and on each group alone, seed by seed."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import torch
from torch import Tensor

from influbench.api import Shard
from influbench.measures import measure_of
from influbench.seeds import derive
from influbench.shards import Trainings
from influbench.studies.informativeness.groups import Group
from influbench.training.fingerprint import digest, training_key

ACCURACY, P_CORRECT = "accuracy", "p_correct"


@dataclass(frozen=True, eq=False)
class Outcomes:
    """Measures of the networks on the test points, by name: trained without each group, and on each group alone.

    Besides the problem's measure they are `accuracy`, which is 1 or 0 for a test point, and `p_correct`.
    """

    whole: dict[str, Tensor]  # (n_seeds, n_test) float64
    without: dict[str, Tensor]  # (n_seeds, n_groups, n_test)
    alone: dict[str, Tensor]  # (n_seeds, n_whole_groups, n_test); groups of halves, which come last, have none


@dataclass(frozen=True, eq=False)
class Retraining(Trainings[Outcomes]):
    """Trainings on all train points, without each group, and on each group alone, one seed per shard.

    They share initial parameters and batches, so they differ only in the group.
    """

    holds: ClassVar[str] = "measures without a group, or on one alone,"

    root_seed: int
    groups: Sequence[Group]
    n_seeds: int = 1

    @cached_property
    def weights(self) -> Tensor:
        """Weights of train points, 1 for those a network is trained on and 0 for others, (n_networks, n_train).

        One network for all points comes first, then one for the points without each group, then one for each group
        alone. No network is trained on the group of a half alone.
        """
        inside = torch.zeros(len(self.groups), len(self.trainer.data.train))
        for of_group, group in zip(inside, self.groups, strict=True):
            of_group[group.rows] = 1
        whole = torch.tensor([group.half is None for group in self.groups])
        return torch.cat([torch.ones(1, inside.shape[1]), 1 - inside, inside[whole]])

    @cached_property
    def folder(self) -> str:
        return f"groups/{digest('groups', 'kept', self.weights, training_key(self.trainer, self._seed(0)))}"

    @property
    def names(self) -> list[str]:
        return [f"seed-{number:04d}" for number in range(self.n_seeds)]

    def compute(self, name: str) -> dict[str, Tensor]:
        """Each measure of one seed's networks on the test points, (n_networks, n_test)."""
        seed, test = self._seed(int(name.rpartition("-")[2])), self.trainer.data.test
        stacks = []
        for weights in self.weights.split(self.trainer.stack_width):
            course = self.trainer.course(weights, seeds=[seed] * len(weights), normalizer="kept")
            stacks.append(self.trainer.train(course).outputs(test))
        outputs = torch.cat(stacks)
        measured = {
            measure: measure_of(measure, self.trainer.model)(outputs, test.labels[None])
            for measure in {self.trainer.measure, P_CORRECT}
        }
        measured[ACCURACY] = (outputs.argmax(-1) == test.labels).double()
        return {measure: values.to(self.trainer.dtype).cpu() for measure, values in measured.items()}

    def assemble(self, shards: Sequence[Shard]) -> Outcomes:
        """The measures, from the shards of all seeds."""
        n = len(self.groups)
        measured = {
            measure: torch.stack([shard.tensors[measure].double() for shard in shards]) for measure in shards[0].tensors
        }
        return Outcomes(
            whole={measure: values[:, 0] for measure, values in measured.items()},
            without={measure: values[:, 1 : 1 + n] for measure, values in measured.items()},
            alone={measure: values[:, 1 + n :] for measure, values in measured.items()},
        )

    def _seed(self, number: int) -> int:
        return derive(self.root_seed, "informativeness", number)
