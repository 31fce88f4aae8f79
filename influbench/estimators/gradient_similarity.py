"""Similarity of gradients at the end of training: the simplest of the gradient methods."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from influbench.api import Estimate, Estimator, Problem
from influbench.estimators.gradient_products import GradientProducts
from influbench.estimators.gradients import OfNetwork


@dataclass(frozen=True)
class GradDot(Estimator):
    """First-order effect of one more plain gradient step on i at the end of training.

    `influence[i, j] = - <grad loss_i, grad measure_j>` (Charpiat et al. 2019, "Input similarity from the neural network
    perspective"), which is TracIn with only the last checkpoint. Assumes that a step at the end has the same effect as
    all earlier steps on i. Cost: `n_runs` trainings, over which scores are averaged, and per-example gradients, which
    count in seconds only.
    """

    predicts = ("influence",)
    scores_duplicates_alike = True

    n_runs: int = 1

    def __post_init__(self) -> None:
        _check(self.n_runs)

    def estimate(self, problem: Problem) -> Estimate:
        """Influence only."""
        return _mean_over_runs(problem, self.n_runs, lambda gradients, parameters: -gradients.products(parameters))


@dataclass(frozen=True)
class GradCos(Estimator):
    """Cosine of the angle between gradients at the end of training: grad_dot without the gradients' lengths.

    `influence[i, j] = - cos(grad loss_i, grad measure_j)` (Charpiat et al. 2019, equation 4). Points that are fitted
    well have short gradients, so grad_dot ranks badly fitted points first; grad_cos does not. A gradient of 0 does not
    have a direction and scores 0. Cost: the same as grad_dot.
    """

    predicts = ("influence",)
    scores_duplicates_alike = True

    n_runs: int = 1

    def __post_init__(self) -> None:
        _check(self.n_runs)

    def estimate(self, problem: Problem) -> Estimate:
        """Influence only."""

        def cosines(gradients: GradientProducts, parameters: OfNetwork) -> Tensor:
            of_loss, of_measure = gradients.norms(parameters)
            lengths = of_loss[:, None] * of_measure
            return -(gradients.products(parameters) / lengths).where(lengths > 0, 0.0)

        return _mean_over_runs(problem, self.n_runs, cosines)


def _check(n_runs: int) -> None:
    if n_runs < 1:
        raise ValueError(f"n_runs must be at least 1, got {n_runs}")


def _mean_over_runs(
    problem: Problem, n_runs: int, influence: Callable[[GradientProducts, OfNetwork], Tensor]
) -> Estimate:
    runs = problem.train(replicates=range(n_runs))
    of_runs = [{name: p[run] for name, p in runs.parameters().items()} for run in range(n_runs)]
    gradients = GradientProducts(problem, of_runs[0])
    return Estimate(torch.stack([influence(gradients, parameters) for parameters in of_runs]).mean(0))
