"""dattri's TracIn."""

from dataclasses import dataclass
from typing import Any

import torch
from influbench import Estimate, Estimator, Problem

from influbench_dattri.boundary import (
    dattri_runs,
    examples_at_a_time,
    handover,
    n_trained,
    of_one,
    out_of_reach,
    projection,
)
from influbench_dattri.values import at_least


@dataclass(frozen=True)
class TracIn(Estimator):
    """dattri's TracInAttributor: the sum over checkpoints of learning rate times inner product of projected gradients.

    `influence[i, j] = - sum_k eta_k <P grad loss_i(theta_k), P grad measure_j(theta_k)>` (Pruthi et al. 2020,
    "Estimating training data influence by tracing gradient descent", TracInCP), where P is a matrix of `n_projected`
    rows of normal numbers, a different one for each checkpoint. Positive means that i helps. The inner product of two
    projections is the inner product of the gradients plus noise of about the product of their lengths divided by the
    root of `n_projected`, even if there are fewer parameters than that. dattri projects by default; `n_projected = 0`
    turns this off and is exact. Checkpoints are `n_checkpoints` evenly spaced steps of one training, the last one
    included. Cost: one training, and gradients of every example at each checkpoint, which count in seconds only.
    """

    scores_duplicates_alike = True

    n_checkpoints: int = 5
    n_projected: int = 512

    def __post_init__(self) -> None:
        at_least(1, n_checkpoints=self.n_checkpoints)
        at_least(0, n_projected=self.n_projected)

    def unsupported(self, problem: Problem) -> str | None:
        """The reason if the checkpoints do not fit the training, or if dattri cannot be called."""
        if self.n_checkpoints > problem.n_steps:
            return f"{self.n_checkpoints} checkpoints asked for, the training has {problem.n_steps} steps"
        if problem.recipe.ema:
            return "the recipe averages the parameters (ema), and TracIn needs those from which steps were taken"
        return out_of_reach(problem)

    def estimate(self, problem: Problem) -> Estimate:
        """Influence only."""
        steps = [problem.n_steps * (k + 1) // self.n_checkpoints for k in range(self.n_checkpoints)]
        runs = problem.train(replicates=[0], checkpoints=steps)
        networks = [{name: p[0] for name, p in runs.parameters(step=step).items()} for step in steps]
        rates = [runs.learning_rates[step - 1] for step in steps]
        at_a_time = examples_at_a_time(n_trained(problem))
        with dattri_runs(problem, problem.dtype):
            given = handover(problem, networks, problem.dtype)
            task = given.task(of_one(given.loss), of_one(given.negative(problem.measure)))
            attributor = self._attributor(task, problem, torch.tensor(rates))
            influence = attributor.attribute(
                given.loader(given.train, batch_size=at_a_time), given.loader(given.test, batch_size=at_a_time)
            )
        return Estimate(given.returned(influence, otherwise="a gradient overflows"))

    def _attributor(self, task: Any, problem: Problem, rates: torch.Tensor) -> Any:
        from dattri.algorithm import TracInAttributor

        attributor = TracInAttributor(task=task, weight_list=rates, normalized_grad=False)
        attributor.projector_kwargs = projection(problem, self.n_projected)
        return attributor
