"""Scores of estimators on a problem; those of influbench's own estimators are stored."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor

import influbench
from influbench.api import Shard, Work
from influbench.engine.preparation import Candidate
from influbench.errors import UsageError
from influbench.executors.here import Here
from influbench.resources import Progress, Resources, no_progress
from influbench.results import Quantity
from influbench.shards import trained
from influbench.studies.subjects import estimate_of
from influbench.training.fingerprint import digest, training_key
from influbench.training.loop import Trainer


@dataclass(frozen=True, eq=False)
class Scores(Work[Tensor]):
    """One quantity of one estimator, in some of its repeats: each repeat has its own seeds, and is a shard."""

    holds: ClassVar[str] = "scores"

    candidate: Candidate
    trainer: Trainer
    root_seed: int
    quantity: Quantity
    repeats: range

    def mean(self, resources: Resources, *, what: str = "", progress: Progress = no_progress) -> Tensor:
        """Scores averaged over repeats, (n_train,) or (n_train, n_test) float64. UsageError without this quantity.

        An estimator of a plugin runs every time, because nothing shows whether its code has changed. Estimators run in
        this process.
        """
        if self._is_own:
            return trained(self, replace(resources, executor=Here()), what=what, progress=progress)
        found = []
        for repeat in self.repeats:
            found.append(self._scores(repeat))
            progress(what, len(found), len(self.repeats))
        return torch.stack(found).mean(0)

    @cached_property
    def folder(self) -> str:
        """The folder of these scores: all seeds derive from the root seed, the estimator's name and the repeat."""
        what = self.quantity, self.candidate.selector.name, repr(self.candidate.estimator)
        return f"scores/{digest('scores', *what, _own_code(), training_key(self.trainer, self.root_seed))}"

    @property
    def names(self) -> list[str]:
        return [f"repeat-{repeat:04d}" for repeat in self.repeats]

    def compute(self, name: str) -> dict[str, Tensor]:
        """The scores of one repeat."""
        return {self.quantity: self._scores(int(name.rpartition("-")[2]))}

    def assemble(self, shards: Sequence[Shard]) -> Tensor:
        """The mean over repeats."""
        return torch.stack([shard.tensors[self.quantity] for shard in shards]).mean(0)

    @property
    def _is_own(self) -> bool:
        return self.candidate.supplied == str(self.candidate.selector)

    def _scores(self, repeat: int) -> Tensor:
        scores: Tensor | None = getattr(estimate_of(self.candidate, repeat), self.quantity)
        if scores is None:
            who = self.candidate.supplied
            raise UsageError(
                f"{who} does not estimate {self.quantity}; name another estimator in the plan's [informativeness]"
            )
        return scores


@cache
def _own_code() -> str:
    """A digest of influbench's source files."""
    folder = Path(influbench.__file__).parent
    return digest(*(path.read_text(encoding="utf-8") for path in sorted(folder.rglob("*.py"))))
