"""The optimizer steps of a recipe: pure functions of stacked parameters, differentiable from end to end."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.linalg import vector_norm

from influbench.api import OPTIMIZER_SETTINGS, Optimizer, OptimizerState, Recipe, Schedule
from influbench.registry import Registry, installed, parse_selector

Parameters = Mapping[str, Tensor]

_NOT_0 = 1e-6  # added to the norm of gradients, as in torch


@dataclass(frozen=True)
class UpdateRule:
    """A recipe with the optimizer and the schedule that it names."""

    recipe: Recipe
    optimizer: Optimizer
    schedule: Schedule

    def initial_state(self, parameters: Parameters, others: Parameters | None = None) -> OptimizerState:
        """The optimizer's state before the first step of these parameters.

        `others` are running statistics, which steps set without gradients; the average has them, too.
        """
        averaged = {**parameters, **(others or {})} if self.recipe.ema else {}
        average = {name: values.clone() for name, values in averaged.items()}
        return OptimizerState(0, self.optimizer.initial_moments(self.recipe, parameters), average)

    def learning_rates(self, n_steps: int) -> list[float]:
        """The learning rate of each step of a training."""
        return [self.schedule.learning_rate(self.recipe, step, n_steps) for step in range(n_steps)]

    def step(
        self,
        parameters: Parameters,
        gradients: Parameters,
        state: OptimizerState,
        *,
        learning_rate: float,
        others: Parameters | None = None,
        in_place: bool = False,
    ) -> tuple[Parameters, OptimizerState]:
        """The parameters and the state after one step: clipping, weight decay, the optimizer's step, and averaging.

        `others` are the running statistics after the step, which the average has, too.

        With `in_place` it may write into `parameters` and `state` to save memory traffic; the numbers are the same.
        """
        if self.recipe.clip_norm is not None:
            gradients = clipped(gradients, self.recipe.clip_norm)
        decay, decayed = self.recipe.weight_decay, self._decayed(parameters)
        if decay and self.optimizer.decay_is_in_objective:
            shrinking = {name: torch.add(gradients[name], p, alpha=decay) for name, p in decayed.items()}
            gradients = {**gradients, **shrinking}
        elif decay:
            shrunk = {name: p * (1 - learning_rate * decay) for name, p in decayed.items()}
            parameters = {**parameters, **shrunk}
        stepped, moments = self.optimizer.step(
            self.recipe, parameters, gradients, state, learning_rate=learning_rate, in_place=in_place
        )
        return stepped, OptimizerState(state.step + 1, moments, self._averaged({**stepped, **(others or {})}, state))

    def _decayed(self, parameters: Parameters) -> Parameters:
        """The parameters that weight decay acts on: all, or those of each replica with two axes or more."""
        if self.recipe.decay_norms_and_biases:
            return parameters
        return {name: p for name, p in parameters.items() if p.ndim > 2}

    def _averaged(self, stepped: Parameters, state: OptimizerState) -> Parameters:
        """The moving average after a step. It begins with the parameters after the first step, as in torch."""
        share = 1 - self.recipe.ema if state.step else 1.0
        return {name: torch.lerp(average, stepped[name], share) for name, average in state.average.items()}

    def settings(self) -> dict[str, str | int | float | tuple[float, ...]]:
        """The fields of the recipe that decide a training, without the fields that only other optimizers read."""
        unread = {*OPTIMIZER_SETTINGS} - {*self.optimizer.reads}
        return {name: value for name, value in self.recipe.settings().items() if name not in unread}


def clipped(gradients: Parameters, largest: float) -> Parameters:
    """The gradients of each replica, shrunk together if their norm is above `largest`, as in `clip_grad_norm_`."""
    of_parameters = [vector_norm(g.flatten(1), dim=1) for g in gradients.values()]  # (n_replicas,) each
    norms = vector_norm(torch.stack(of_parameters, dim=1), dim=1)
    factors = (largest / (norms + _NOT_0)).clamp(max=1.0)
    return {name: g * factors.reshape(-1, *[1] * (g.ndim - 1)) for name, g in gradients.items()}


def update_rule(recipe: Recipe, registry: Registry | None = None) -> UpdateRule:
    """The rule of a recipe whose names are looked up in a registry, by default the registry of installed plugins.

    UsageError if a name is unknown or its settings do not fit.
    """
    known = registry or installed()
    return UpdateRule(
        recipe,
        known.create("optimizer", parse_selector(recipe.optimizer)),
        known.create("schedule", parse_selector(recipe.schedule)),
    )
