"""Captum's TracInCP."""

from dataclasses import dataclass

import torch
from torch import nn

from influbench.api import Estimate, Estimator, Problem
from influbench_captum.peer import (
    as_influence,
    batches,
    minus_measure,
    module_of,
    n_parameters,
    obstacle,
    parts,
    train_loss,
    undisturbed,
)


@dataclass(frozen=True)
class CaptumTracInCP(Estimator):
    """First-order effect of the steps taken on i: the sum over checkpoints of learning rate times inner product.

    `influence[i, j] = - sum_k eta_k <grad loss_i(theta_k), grad measure_j(theta_k)>` (Pruthi et al. 2020, "Estimating
    training data influence by tracing gradient descent", TracInCP, section 3.2), positive where i helps: the definition
    of influbench's `tracin`, at the same checkpoints of the same training, computed by `captum.influence.TracInCP`.
    Gradients are taken example by example, captum's default, which is right for layers of every kind.

    Cost: one training; a pass back through the network for every train and test point at each of `n_checkpoints` evenly
    spaced steps, the last one included, and the test points' gradients held in memory, which count in seconds only.
    """

    scores_duplicates_alike = True

    n_checkpoints: int = 5

    def __post_init__(self) -> None:
        if self.n_checkpoints < 1:
            raise ValueError(f"n_checkpoints must be at least 1, got {self.n_checkpoints}")

    def unsupported(self, problem: Problem) -> str | None:
        """Needs captum, and no more checkpoints than steps."""
        if self.n_checkpoints > problem.n_steps:
            return f"{self.n_checkpoints} checkpoints asked for, the training has {problem.n_steps} steps"
        return obstacle()

    def estimate(self, problem: Problem) -> Estimate:
        """Influence only; TracIn does not speak of memorization."""
        from captum.influence import TracInCP

        steps = [problem.n_steps * (k + 1) // self.n_checkpoints for k in range(self.n_checkpoints)]
        runs = problem.train(replicates=[0], checkpoints=steps)
        kept = {step: {name: p[0] for name, p in runs.parameters(step=step).items()} for step in steps}
        module = module_of(problem, kept[steps[-1]])

        def load(module: nn.Module, step: int) -> float:
            with torch.no_grad():
                for name, parameter in module.named_parameters():
                    parameter.copy_(kept[step][name])
            return runs.learning_rates[step - 1]

        tracin = TracInCP(
            module,
            batches(problem.data.train),
            steps,
            load,
            loss_fn=train_loss(problem),
            test_loss_fn=minus_measure(problem),
        )
        held = n_parameters(module) * len(steps)  # for each test point
        with undisturbed():
            columns = [as_influence(tracin.influence(batches(part))) for part in parts(problem.data.test, numbers=held)]
        return Estimate(torch.cat(columns, dim=1))
