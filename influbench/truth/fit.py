"""The accuracy of the truth's ordinary trainings: how well the networks fit whose training points are judged."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import torch
from torch import Tensor

from influbench.api import Shard, Split
from influbench.results import Fit
from influbench.shards import Trainings
from influbench.training.fingerprint import digest, training_key
from influbench.truth.leave_one_out import GroundTruth

_SPLITS = ("train", "test")


@dataclass(frozen=True, eq=False)
class OrdinaryTrainings(Trainings[Fit]):
    """Trainings on all train points, with the seeds of a truth; a shard holds the accuracy of one seed's network.

    They are the trainings that the truth compares with those that leave a point out, run once more for their accuracy.
    """

    holds: ClassVar[str] = "errors of ordinary trainings"

    ground_truth: GroundTruth

    @classmethod
    def of(cls, ground_truth: GroundTruth) -> "OrdinaryTrainings":
        return cls(ground_truth.trainer, ground_truth)

    @cached_property
    def folder(self) -> str:
        return f"fits/{digest('fit', training_key(self.trainer, self.ground_truth.seed(0)))}"

    @property
    def names(self) -> list[str]:
        return [f"seed-{number:04d}" for number in range(self.ground_truth.n_seeds)]

    def compute(self, name: str) -> dict[str, Tensor]:
        """For each split, the share of correct answers, or the mean squared error of regression: () float64."""
        seed = self.ground_truth.seed(int(name.rpartition("-")[2]))
        runs = self.trainer.train(self.trainer.course(seeds=[seed]))
        found = {}
        for which, split in self._splits().items():
            (outputs,) = runs.outputs(split)
            found[which] = _mean_error(outputs, split) if self._is_regression else _accuracy(outputs, split)
        return {which: value.double().cpu() for which, value in found.items()}

    def assemble(self, shards: Sequence[Shard]) -> Fit:
        """The mean and the standard deviation over the seeds."""
        fit = Fit(
            statistic="R2" if self._is_regression else "accuracy",
            n_seeds=len(shards),
            n_test=len(self.trainer.data.test),
            train=None,
            test=None,
        )
        for which, split in self._splits().items():
            values = torch.stack([shard.tensors[which] for shard in shards])
            if self._is_regression:
                variance = split.labels.double().var(correction=0).cpu()
                if not variance:  # R2 is not defined
                    continue
                values = 1 - values / variance
            known: dict[str, float | None] = {
                which: float(values.mean()),
                f"{which}_sd": float(values.std()) if len(values) > 1 else None,
                f"{which}_majority": None if self._is_regression else _majority(split.labels),
            }
            fit = fit.model_copy(update=known)
        return fit

    @property
    def _is_regression(self) -> bool:
        return self.trainer.data.n_classes is None

    def _splits(self) -> dict[str, Split]:
        return {which: getattr(self.trainer.data, which) for which in _SPLITS}


def _accuracy(outputs: Tensor, split: Split) -> Tensor:
    return (outputs.argmax(-1) == split.labels).double().mean()


def _mean_error(outputs: Tensor, split: Split) -> Tensor:
    return (outputs.double().reshape(len(split)) - split.labels).square().mean()


def _majority(labels: Tensor) -> float:
    """The share of the most frequent label."""
    return float(labels.bincount().max()) / len(labels)
