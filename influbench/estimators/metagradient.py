"""The derivative of a training with respect to the weights of its examples: reverse mode through every step."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from influbench.api import Estimate, Estimator, MeasureName, Problem, Split
from influbench.estimators.gradients import measure_gradients_by_name
from influbench.estimators.trajectory import Trajectory


@dataclass(frozen=True)
class Metagradient(Estimator):
    """Exact derivative of the measure with respect to each train point's weight, averaged over `n_seeds` trainings.

    `influence[i, j] = d measure_j(theta_T(w)) / d w_i` at w = 1, where w_i multiplies the loss of i in every batch and
    the normalizer remains the batch size. To first order it equals f(1) - f(0), the effect of leaving i out. It is
    computed in float64 by reverse mode through training (Maclaurin et al. 2015, "Gradient-based hyperparameter
    optimization through reversible learning"; Hara et al. 2019, "Data cleansing for models trained with SGD", here with
    momentum, adaptive rates, schedules, clipping and averaged parameters; Engstrom et al. 2025, "Optimizing ML training
    with metagradient descent").
    Cost: about three trainings for each seed, and for every test point the products of its cotangent with the Jacobian
    of each step, which count in seconds only: as long as five to ten stacked trainings for each test point and seed.
    `memorization` needs the same products for every train point, n_train / n_test times as many.
    """

    n_seeds: int = 4
    memorization: bool = False

    def __post_init__(self) -> None:
        if self.n_seeds < 1:
            raise ValueError(f"n_seeds must be at least 1, got {self.n_seeds}")

    def unsupported(self, problem: Problem) -> str | None:
        """Needs steps with a derivative, and classes for memorization."""
        if not problem.optimizer.differentiable:
            return f"the steps of {problem.recipe.optimizer} do not follow small changes of the gradients"
        if self.memorization and problem.data.n_classes is None:
            return "regression does not have memorization; set memorization=false"
        return None

    def estimate(self, problem: Problem) -> Estimate:
        """Influence, and memorization if the field `memorization` is set."""
        train, test = problem.data.train, problem.data.test
        influence = torch.zeros(len(train), len(test), dtype=torch.float64)
        memorization = torch.zeros(len(train), dtype=torch.float64) if self.memorization else None
        batches = problem.train(replicates=range(self.n_seeds)).batches
        for seed in range(self.n_seeds):
            trajectory = Trajectory(problem, seed, [rows[seed] for rows in batches])
            for columns, derivatives in _derivatives(problem, trajectory, test, problem.measure):
                influence[:, columns] += derivatives.T.cpu() / self.n_seeds
            if memorization is not None:
                for rows, derivatives in _derivatives(problem, trajectory, train, "p_correct"):
                    memorization[rows] += derivatives[:, rows].diagonal().cpu() / self.n_seeds
        return Estimate(influence, memorization)


def _derivatives(
    problem: Problem, trajectory: Trajectory, split: Split, measure: MeasureName
) -> Iterator[tuple[slice, Tensor]]:
    """Derivatives of each example's measure with respect to all weights, (n, n_train), a few examples at a time."""
    split, at_a_time = split.to(torch.float64), trajectory.cotangents_at_a_time
    for start in range(0, len(split), at_a_time):
        rows = slice(start, start + at_a_time)
        gradients = measure_gradients_by_name(problem, trajectory.parameters, split.rows(rows), measure=measure)
        yield rows, trajectory.weight_gradients(gradients)
