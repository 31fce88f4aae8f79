"""TracIn of Pruthi et al. 2020."""

from dataclasses import dataclass

import torch

from influbench.api import Estimate, Estimator, Problem
from influbench.estimators.gradient_products import GradientProducts


@dataclass(frozen=True)
class TracIn(Estimator):
    """First-order effect of the steps taken on i: the sum over checkpoints of learning rate times inner product.

    `influence[i, j] = - sum_k eta_k <grad loss_i(theta_k), grad measure_j(theta_k)>` (TracInCP of Pruthi et al.
    2020, "Estimating training data influence by tracing gradient descent"), which for the measure `neg_loss` is
    their inner product of loss gradients. Assumes small plain gradient steps: it ignores momentum, adaptive rates and
    the effect of a step on later steps. Cost: one training, and per-example gradients at `n_checkpoints` evenly spaced
    steps, the last one included, which count in seconds only.
    """

    predicts = ("influence",)
    scores_duplicates_alike = True

    n_checkpoints: int = 5

    def __post_init__(self) -> None:
        if self.n_checkpoints < 1:
            raise ValueError(f"n_checkpoints must be at least 1, got {self.n_checkpoints}")

    def unsupported(self, problem: Problem) -> str | None:
        """Cannot have more checkpoints than steps, and needs the parameters from which steps were taken."""
        if problem.recipe.ema:
            return "the recipe averages the parameters (ema), and TracIn needs those from which steps were taken"
        if self.n_checkpoints > problem.n_steps:
            return f"n_checkpoints is {self.n_checkpoints}, but the training has {problem.n_steps} steps"
        return None

    def estimate(self, problem: Problem) -> Estimate:
        """Influence only; TracIn does not predict memorization."""
        steps = [problem.n_steps * (k + 1) // self.n_checkpoints for k in range(self.n_checkpoints)]
        runs = problem.train(replicates=[0], checkpoints=steps)
        data = problem.data
        influence = torch.zeros(len(data.train), len(data.test), dtype=torch.float64)
        kept = {step: {name: p[0] for name, p in runs.parameters(step=step).items()} for step in steps}
        gradients = GradientProducts(problem, kept[steps[0]])
        for step, parameters in kept.items():
            influence -= runs.learning_rates[step - 1] * gradients.products(parameters)
        return Estimate(influence)
