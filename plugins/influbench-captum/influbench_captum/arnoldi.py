"""Captum's influence functions by Arnoldi iteration."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf
from typing import Any

import torch
from influbench.api import Estimate, Estimator, Problem, Split
from influbench.seeds import derive
from torch import Tensor

from influbench_captum.peer import as_influence, batches, minus_measure, obstacle, train_loss, undisturbed

_AT_A_TIME = 4  # captum passes back through a whole batch for each of its examples
_HESSIAN_AT_A_TIME = 256  # examples in a Hessian-vector product


@dataclass(frozen=True)
class CaptumArnoldi(Estimator):
    """First-order response of the optimum to the weight of i, in the directions of the largest curvature.

    `influence[i, j] = - 1/n <grad measure_j, R R' grad loss_i>` predicts the measure of j with i minus without it,
    positive where i helps; `memorization[i]` is the same for `p_correct` of i itself. R R' approximates
    (H + damping)^-1, where H is the Hessian of the mean training loss at the end of training: it is the inverse on the
    `n_projected` eigenvectors with the largest eigenvalues, and 0 elsewhere. The eigenvectors are found in a Krylov
    space, by at most `n_iterations` steps of the Arnoldi iteration from a random start (Schioppa et al. 2022, "Scaling
    up influence functions", section 4; Koh & Liang 2017, eq. 2), which end when the vector that a step adds is shorter
    than `tolerance`. Captum's `ArnoldiInfluenceFunction`, which computes this, leaves out the last direction of the
    Krylov space, and directions whose curvature, damped and summed over the train points, is not above 1e-4.

    `damping` and `tolerance` are in units of the mean loss, while captum's `hessian_reg` and `arnoldi_tol` are in units
    of the sum. The recipe's weight decay is added to the damping if it is part of the objective, as in
    `influence_function`: not with `adamw`. Computes in float64.

    Cost: `n_runs` trainings, whose scores are averaged. In addition, in seconds only: `n_iterations` products of the
    Hessian of all train points with a vector, and a gradient of every example.
    """

    scores_duplicates_alike = True

    damping: float = 0.01
    n_iterations: int = 200
    n_projected: int = 50
    tolerance: float = 1e-4
    n_runs: int = 1

    def __post_init__(self) -> None:
        if not 0 <= self.damping < inf:
            raise ValueError(f"damping must be at least 0 and finite, got {self.damping}")
        if self.n_iterations < 2:  # captum keeps one direction fewer than it takes steps
            raise ValueError(f"n_iterations must be at least 2, got {self.n_iterations}")
        if self.n_projected < 1:
            raise ValueError(f"n_projected must be at least 1, got {self.n_projected}")
        if not 0 < self.tolerance < inf:
            raise ValueError(f"tolerance must be above 0 and finite, got {self.tolerance}")
        if self.n_runs < 1:
            raise ValueError(f"n_runs must be at least 1, got {self.n_runs}")

    def unsupported(self, problem: Problem) -> str | None:
        """The reason if captum cannot be used, or if weight decay differs between parameters."""
        if problem.decay_in_objective and not problem.recipe.decay_norms_and_biases:
            return "its curvature has one weight decay for all parameters, and the recipe leaves out norms and biases"
        return obstacle()

    def estimate(self, problem: Problem) -> Estimate:
        """Influence, and memorization for classes."""
        stacked = problem.train(replicates=range(self.n_runs)).parameters()
        of_runs = [self._of_run(problem, {name: p[k] for name, p in stacked.items()}, k) for k in range(self.n_runs)]
        return Estimate(_mean([run.influence for run in of_runs]), _mean([run.memorization for run in of_runs]))

    def _of_run(self, problem: Problem, parameters: Mapping[str, Tensor], run: int) -> Estimate:
        train, test = problem.data.train.to(torch.float64), problem.data.test.to(torch.float64)
        with undisturbed():
            function = self._function(problem, parameters, train, seed=derive(problem.seed, "arnoldi", run))
            influence = as_influence(function.influence(batches(test, size=_AT_A_TIME)))
            if problem.data.n_classes is None:
                return Estimate(influence)
            function.test_loss_fn = minus_measure(problem, "p_correct")
            return Estimate(influence, _of_itself(function, train))

    def _function(self, problem: Problem, parameters: Mapping[str, Tensor], train: Split, *, seed: int) -> Any:
        """Captum's influence function, after its computations with the Hessian."""
        from captum.influence._core.arnoldi_influence_function import ArnoldiInfluenceFunction

        decay = problem.decay_in_objective
        return ArnoldiInfluenceFunction(
            problem.module(parameters, frozen_as_buffers=True).double(),
            batches(train, size=_AT_A_TIME),
            "the end of training",
            lambda _module, _checkpoint: 1.0,  # the module has its parameters already
            loss_fn=train_loss(problem),
            test_loss_fn=minus_measure(problem),
            hessian_dataset=batches(train, size=_HESSIAN_AT_A_TIME),
            seed=seed,
            arnoldi_dim=self.n_iterations,
            projection_dim=self.n_projected,
            arnoldi_tol=self.tolerance * len(train),
            hessian_reg=(self.damping + decay) * len(train),
        )


def _of_itself(function: Any, split: Split) -> Tensor:
    """Influence of each point on itself, (n,) float64."""
    of_loss = function.compute_intermediate_quantities(batches(split, size=_AT_A_TIME))
    of_measure = function.compute_intermediate_quantities(batches(split, size=_AT_A_TIME), test=True)
    scores: Tensor = (of_loss * of_measure).sum(1)
    return scores.detach().double().cpu()


def _mean(of_runs: list[Tensor | None]) -> Tensor | None:
    present = [scores for scores in of_runs if scores is not None]
    return torch.stack(present).mean(0) if present else None
