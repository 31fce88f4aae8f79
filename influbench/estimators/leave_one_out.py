"""Leave-one-out retraining as an estimator of itself."""

from dataclasses import dataclass

import torch

from influbench.api import Estimate, Estimator, Problem


@dataclass(frozen=True)
class LeaveOneOut(Estimator):
    """The leave-one-out effect, averaged over `n_seeds` of the estimator's own seeds.

    It has the truth's estimand and the truth's noise: its only error is the noise of this many seeds. Cost: n_train
    trainings for each seed, one with all points and n_train with all points but one.
    """

    n_seeds: int = 1

    def __post_init__(self) -> None:
        if self.n_seeds < 1:
            raise ValueError(f"n_seeds must be at least 1, got {self.n_seeds}")

    def estimate(self, problem: Problem) -> Estimate:
        """Train with every point and without each in turn, with the same initial parameters and batches."""
        data = problem.data
        n_train = len(data.train)
        with_all_then_without_each = torch.cat([torch.ones(1, n_train), 1 - torch.eye(n_train)])
        influence = torch.zeros(n_train, len(data.test), dtype=torch.float64)
        memorization = torch.zeros(n_train, dtype=torch.float64)
        for seed in range(self.n_seeds):
            runs = problem.train(with_all_then_without_each, replicates=[seed] * (n_train + 1))
            on_test = runs.measured(data.test)
            influence += (on_test[0] - on_test[1:]).cpu() / self.n_seeds
            if data.n_classes is not None:
                on_itself = runs.p_correct(data.train)
                memorization += (on_itself[0] - on_itself[1:].diagonal()).cpu() / self.n_seeds
        return Estimate(influence, None if data.n_classes is None else memorization)
