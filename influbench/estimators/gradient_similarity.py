"""Similarity of gradients at the end of training: the simplest of the gradient methods."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from influbench.api import Estimate, Estimator, Problem
from influbench.estimators.gradient_products import gradient_norms, gradient_products


@dataclass(frozen=True)
class GradDot(Estimator):
    """First-order effect of one more plain gradient step on i, at the end of training.

    `influence[i, j] = - <grad loss_i, grad measure_j>` (Charpiat et al. 2019, "Input similarity from the neural network
    perspective"), which is TracIn with the last checkpoint alone. Assumes that what a step does now is what all steps
    on i have done. Cost: `n_runs` trainings, over which scores are averaged, and per-example gradients, which count in
    seconds only.
    """

    n_runs: int = 1

    def __post_init__(self) -> None:
        _check(self.n_runs)

    def estimate(self, problem: Problem) -> Estimate:
        """Influence only."""
        return _mean_over_runs(problem, self.n_runs, lambda parameters: -gradient_products(problem, parameters))


@dataclass(frozen=True)
class GradCos(Estimator):
    """Cosine of the angle between gradients at the end of training: grad_dot without the gradients' lengths.

    `influence[i, j] = - cos(grad loss_i, grad measure_j)` (Charpiat et al. 2019, equation 4). Points that are fitted
    well have short gradients, so that grad_dot ranks what is fitted badly first, and this does not. A gradient of 0 has
    no direction and scores 0. Cost: as grad_dot.
    """

    n_runs: int = 1

    def __post_init__(self) -> None:
        _check(self.n_runs)

    def estimate(self, problem: Problem) -> Estimate:
        """Influence only."""

        def cosines(parameters: Mapping[str, Tensor]) -> Tensor:
            of_loss, of_measure = gradient_norms(problem, parameters)
            lengths = of_loss[:, None] * of_measure
            return -(gradient_products(problem, parameters) / lengths).where(lengths > 0, 0.0)

        return _mean_over_runs(problem, self.n_runs, cosines)


def _check(n_runs: int) -> None:
    if n_runs < 1:
        raise ValueError(f"n_runs must be at least 1, got {n_runs}")


def _mean_over_runs(problem: Problem, n_runs: int, influence: Callable[[Mapping[str, Tensor]], Tensor]) -> Estimate:
    runs = problem.train(replicates=range(n_runs))
    of_runs = [influence({name: p[run] for name, p in runs.parameters().items()}) for run in range(n_runs)]
    return Estimate(torch.stack(of_runs).mean(0))
