"""A problem as a judge sees it: its data, and the stored trainings that scores are compared with."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from influbench.api import Bank, Data, JudgedProblem, MeasureName, Model, Normalizer, Recipe, Runs, Truth, Work
from influbench.banks import SubsetBank
from influbench.seeds import derive
from influbench.training.fingerprint import digest, training_key
from influbench.training.loop import Trainer
from influbench.truth.leave_one_out import GroundTruth


@dataclass(frozen=True, eq=False)
class TruthProblem(JudgedProblem):
    """The problem of one ground truth."""

    ground_truth: GroundTruth
    wrong: Tensor

    @property
    def trainer(self) -> Trainer:
        return self.ground_truth.trainer

    @property
    def data(self) -> Data:  # type: ignore[override]
        return self.trainer.data

    @property
    def model(self) -> Model:  # type: ignore[override]
        return self.trainer.model

    @property
    def recipe(self) -> Recipe:  # type: ignore[override]
        return self.trainer.recipe

    @property
    def measure(self) -> MeasureName:  # type: ignore[override]
        return self.trainer.measure

    @property
    def seed(self) -> int:  # type: ignore[override]
        return self.ground_truth.root_seed

    @property
    def dtype(self) -> torch.dtype:  # type: ignore[override]
        return self.trainer.dtype

    @property
    def device(self) -> torch.device:  # type: ignore[override]
        return self.trainer.device

    @property
    def n_seeds(self) -> int:  # type: ignore[override]
        return self.ground_truth.n_seeds

    @property
    def n_steps(self) -> int:
        return self.trainer.n_steps

    @property
    def leave_one_out(self) -> Work[Truth]:
        return self.ground_truth

    def subsets(self, *, n_models: int, ratio: float, repeat: int = 0) -> Work[Bank]:
        seed = derive(self.seed, "bank", "truth")
        steps = self.ground_truth.steps
        return SubsetBank(self.trainer, seed, n_models=n_models, ratio=ratio, repeat=repeat, steps=steps)

    def train(
        self,
        weights: Tensor | None = None,
        *,
        seeds: Sequence[int],
        checkpoints: Sequence[int] = (),
        normalizer: Normalizer = "batch",
    ) -> Runs:
        course = self.trainer.course(weights, seeds=seeds, checkpoints=checkpoints, normalizer=normalizer)
        return self.trainer.train(course)

    def key(self, *parts: object) -> str:
        return digest(*parts, training_key(self.trainer, self.seed))
