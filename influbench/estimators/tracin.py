"""TracIn of Pruthi et al. 2020."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.func import grad, vmap

from influbench.api import Estimate, Estimator, Problem, Split

_GRADIENT_NUMBERS = 2**24  # per-example gradient entries held at a time


@dataclass(frozen=True)
class TracIn(Estimator):
    """First-order effect of the steps taken on i: the sum over checkpoints of learning rate times inner product.

    `influence[i, j] = - sum_k eta_k <grad loss_i(theta_k), grad measure_j(theta_k)>` (TracInCP of Pruthi et al.
    2020, "Estimating training data influence by tracing gradient descent"), which for the measure `neg_loss` is
    their inner product of loss gradients. Assumes small plain gradient steps: momentum, adaptive rates and what a step
    changes in later ones are left out. Cost: one training, and per-example gradients at `n_checkpoints` evenly spaced
    steps, the last one included, which count in seconds only.
    """

    n_checkpoints: int = 5

    def __post_init__(self) -> None:
        if self.n_checkpoints < 1:
            raise ValueError(f"n_checkpoints must be at least 1, got {self.n_checkpoints}")

    def unsupported(self, problem: Problem) -> str | None:
        """Cannot have more checkpoints than steps."""
        if self.n_checkpoints > problem.n_steps:
            return f"{self.n_checkpoints} checkpoints asked for, the training has {problem.n_steps} steps"
        return None

    def estimate(self, problem: Problem) -> Estimate:
        """Influence only; TracIn does not speak of memorization."""
        steps = [problem.n_steps * (k + 1) // self.n_checkpoints for k in range(self.n_checkpoints)]
        runs = problem.train(replicates=[0], checkpoints=steps)
        data = problem.data
        influence = torch.zeros(len(data.train), len(data.test), dtype=torch.float64)
        for step in steps:
            parameters = {name: stacked[0] for name, stacked in runs.parameters(step=step).items()}
            product = _gradient_products(problem, parameters)
            influence -= runs.learning_rates[step - 1] * product.double().cpu()
        return Estimate(influence)


def _gradient_products(problem: Problem, parameters: Mapping[str, Tensor]) -> Tensor:
    """Inner products of every train point's loss gradient with every test point's measure gradient."""

    frozen = {name: p for name, p in parameters.items() if name not in problem.trainable}
    trained = {name: p for name, p in parameters.items() if name in problem.trainable}

    def loss(trained: Mapping[str, Tensor], inputs: Tensor, label: Tensor) -> Tensor:
        return problem.model.loss(problem.forward({**frozen, **trained}, inputs[None]), label[None])[0]

    def measure(trained: Mapping[str, Tensor], inputs: Tensor, label: Tensor) -> Tensor:
        return problem.measured(problem.forward({**frozen, **trained}, inputs[None]), label[None])[0]

    n_parameters = sum(p.numel() for p in trained.values())
    at_a_time = max(1, _GRADIENT_NUMBERS // n_parameters)
    rows = []
    for train in _chunks(problem.data.train, at_a_time):
        of_loss = _gradients(loss, trained, train)
        columns = [of_loss @ _gradients(measure, trained, test).T for test in _chunks(problem.data.test, at_a_time)]
        rows.append(torch.cat(columns, dim=1))
    return torch.cat(rows)


def _gradients(function: Callable[..., Tensor], parameters: Mapping[str, Tensor], split: Split) -> Tensor:
    """Gradient of `function` at each example, (n, n_parameters)."""
    by_name = vmap(grad(function), in_dims=(None, 0, 0))(dict(parameters), split.inputs, split.labels)
    return torch.cat([gradient.flatten(1) for gradient in by_name.values()], dim=1)


def _chunks(split: Split, at_a_time: int) -> list[Split]:
    return [split.rows(slice(start, start + at_a_time)) for start in range(0, len(split), at_a_time)]
