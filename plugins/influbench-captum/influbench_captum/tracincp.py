"""Captum's TracInCP."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from influbench.api import Estimate, Estimator, Problem
from torch import nn

from influbench_captum.peer import (
    as_influence,
    batches,
    minus_measure,
    n_parameters,
    obstacle,
    parts,
    train_loss,
    undisturbed,
)

_ONE_BY_ONE = 4  # examples in a batch, with a backward pass for each of them
_BATCHED = 64
_TOLERANCE = 1e-4  # of the largest entry of a gradient

Load = Callable[[nn.Module, int], float]


@dataclass(frozen=True)
class CaptumTracInCP(Estimator):
    """First-order effect of the steps taken on i: the sum over checkpoints of learning rate times inner product.

    `influence[i, j] = - sum_k eta_k <grad loss_i(theta_k), grad measure_j(theta_k)>` (Pruthi et al. 2020, "Estimating
    training data influence by tracing gradient descent", TracInCP, section 3.2), positive where i helps. This is the
    definition of influbench's `tracin`, at the same checkpoints of the same training, computed by
    `captum.influence.TracInCP`.

    `batched` computes the gradients of a whole batch in one backward pass (captum's `sample_wise_grads_per_batch`),
    which is much faster, and correct for Linear and Conv2d layers only; otherwise, as by captum's default, every
    example has its own backward pass. The scores are the same.

    Cost: one training; gradients of every train and test point at each of `n_checkpoints` evenly spaced steps,
    including the last one, which count in seconds only. The gradients of the test points are held in memory.
    """

    scores_duplicates_alike = True

    n_checkpoints: int = 5
    batched: bool = False

    def __post_init__(self) -> None:
        if self.n_checkpoints < 1:
            raise ValueError(f"n_checkpoints must be at least 1, got {self.n_checkpoints}")

    def unsupported(self, problem: Problem) -> str | None:
        """The reason if captum is missing, checkpoints do not fit, or `batched` does not support a layer."""
        if self.n_checkpoints > problem.n_steps:
            return f"{self.n_checkpoints} checkpoints asked for, the training has {problem.n_steps} steps"
        if problem.recipe.ema:
            return "the recipe averages the parameters (ema), and TracIn needs those from which steps were taken"
        return obstacle() or (self._batched_obstacle(problem) if self.batched else None)

    def estimate(self, problem: Problem) -> Estimate:
        """Influence only; TracIn does not predict memorization."""
        steps = [problem.n_steps * (k + 1) // self.n_checkpoints for k in range(self.n_checkpoints)]
        runs = problem.train(replicates=[0], checkpoints=steps)
        kept = {step: {name: p[0] for name, p in runs.parameters(step=step).items()} for step in steps}
        module = problem.module(kept[steps[-1]], frozen_as_buffers=True)

        def load(module: nn.Module, step: int) -> float:
            with torch.no_grad():
                for name, parameter in module.named_parameters():
                    parameter.copy_(kept[step][name])
            return runs.learning_rates[step - 1]

        tracin = self._tracin(problem, module, steps, load)
        held = n_parameters(module) * len(steps)  # for each test point
        with undisturbed():
            tests = [batches(part, size=self._at_a_time) for part in parts(problem.data.test, numbers=held)]
            return Estimate(torch.cat([as_influence(tracin.influence(test)) for test in tests], dim=1))

    @property
    def _at_a_time(self) -> int:
        return _BATCHED if self.batched else _ONE_BY_ONE

    def _tracin(self, problem: Problem, module: nn.Module, checkpoints: Sequence[int], load: Load) -> Any:
        from captum.influence import TracInCP

        return TracInCP(
            module,
            batches(problem.data.train, size=self._at_a_time),
            list(checkpoints),
            load,
            loss_fn=train_loss(problem, summed=self.batched),
            test_loss_fn=minus_measure(problem, summed=self.batched),
            sample_wise_grads_per_batch=self.batched,
        )

    def _batched_obstacle(self, problem: Problem) -> str | None:
        """The reason if captum's gradients of a few examples do not add up to the gradient of their summed loss.

        Captum silently leaves out parameters of layers that it does not know, and treats any padding as zeros.
        """
        few = problem.data.train.rows(slice(0, 2))
        module = problem.module(problem.initial_parameters(0), frozen_as_buffers=True)
        total = problem.loss(module(few.inputs), few.labels).sum()
        gradients = torch.autograd.grad(total, list(module.parameters()), allow_unused=True, materialize_grads=True)
        expected = torch.cat([gradient.flatten() for gradient in gradients])
        try:
            with undisturbed():
                tracin = self._tracin(problem, module, [0], lambda _module, _step: 1.0)
                found = tracin.compute_intermediate_quantities((few.inputs, few.labels), aggregate=True)[0]
        except Exception as error:
            return f"captum's batched gradients fail on this model ({type(error).__name__}); set batched=false"
        if len(found) == len(expected) and (found - expected).abs().max() <= _TOLERANCE * expected.abs().max():
            return None
        return "captum's batched gradients are wrong for a layer of this model; set batched=false"
