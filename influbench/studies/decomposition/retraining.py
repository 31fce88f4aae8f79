"""The terms of each mask's scores, stored mask by mask."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import ClassVar

from torch import Tensor

from influbench.api import Shard
from influbench.estimators.turn_over_dropout.estimator import TurnOverDropout
from influbench.problem import TrainingProblem
from influbench.shards import Trainings
from influbench.studies.decomposition.terms import Halves, Parts, in_halves, of_mask
from influbench.training.fingerprint import digest, training_key

_NAMES = [field.name for field in fields(Parts)]


@dataclass(frozen=True, eq=False)
class MaskedRetraining(Trainings["tuple[Halves, Halves | None]"]):
    """The terms by mask, one mask per shard: its network is trained once, and once more without each train point.

    `seed` is the estimator's stream, so the scores equal the scores of a run.
    """

    holds: ClassVar[str] = "measures of networks with masks"

    estimator: TurnOverDropout
    seed: int

    @property
    def names(self) -> list[str]:
        return [f"mask-{number:05d}" for number in range(self.estimator.n_masks)]

    @property
    def n_trainings(self) -> int:
        """The number of networks that are trained for all masks."""
        return self.estimator.n_masks * (1 + len(self.trainer.data.train))

    @cached_property
    def folder(self) -> str:
        estimator = replace(self.estimator, n_masks=2)
        return f"decomposed/{digest('decomposed', estimator, training_key(self.trainer, self.seed))}"

    def compute(self, name: str) -> dict[str, Tensor]:
        """The parts of one mask's scores."""
        problem = TrainingProblem(self.trainer, seed=self.seed)
        influence, memorization = of_mask(problem, self.estimator, int(name.rpartition("-")[2]))
        found = {f"influence.{field}": getattr(influence, field) for field in _NAMES}
        if memorization is not None:
            found |= {f"memorization.{field}": getattr(memorization, field) for field in _NAMES}
        return {field: values.contiguous().cpu() for field, values in found.items()}

    def assemble(self, shards: Sequence[Shard]) -> tuple[Halves, Halves | None]:
        """Influence and memorization (None for regression), averaged over halves of the masks, from all shards."""

        def halves(quantity: str) -> Halves:
            return in_halves([Parts(*(shard.tensors[f"{quantity}.{field}"] for field in _NAMES)) for shard in shards])

        has_memorization = self.trainer.data.n_classes is not None
        return halves("influence"), halves("memorization") if has_memorization else None
