"""A recipe made into optimizer steps: pure functions of stacked parameters, differentiable from end to end."""

from collections.abc import Mapping
from math import cos, pi

import torch
from torch import Tensor

from influbench.api import OptimizerState, Recipe

Parameters = Mapping[str, Tensor]


def initial_state(recipe: Recipe, parameters: Parameters) -> OptimizerState:
    """Moments of 0, those that this recipe's optimizer keeps."""
    sgd = recipe.optimizer == "sgd"
    keeps_first, keeps_second = not sgd or bool(recipe.momentum), not sgd
    return OptimizerState(
        0,
        {name: torch.zeros_like(p) for name, p in parameters.items() if keeps_first},
        {name: torch.zeros_like(p) for name, p in parameters.items() if keeps_second},
    )


def learning_rates(recipe: Recipe, n_steps: int) -> list[float]:
    """The learning rate of each step; the cosine schedule falls from the full rate towards 0 over all steps."""
    if recipe.schedule == "constant":
        return [recipe.learning_rate] * n_steps
    return [recipe.learning_rate * (1 + cos(pi * step / n_steps)) / 2 for step in range(n_steps)]


def optimizer_step(
    recipe: Recipe,
    parameters: Parameters,
    gradients: Parameters,
    state: OptimizerState,
    *,
    learning_rate: float,
    in_place: bool = False,
) -> tuple[Parameters, OptimizerState]:
    """The parameters and the state after one step, as torch.optim's SGD, Adam and AdamW take it.

    `in_place` may write into `parameters` and `state`, which spares memory traffic; the numbers are the same.
    """
    if recipe.weight_decay and recipe.optimizer != "adamw":
        gradients = {n: torch.add(g, parameters[n], alpha=recipe.weight_decay) for n, g in gradients.items()}
    if recipe.optimizer == "sgd":
        return _sgd(recipe, parameters, gradients, state, learning_rate, in_place)
    if recipe.weight_decay and recipe.optimizer == "adamw":
        parameters = {name: p * (1 - learning_rate * recipe.weight_decay) for name, p in parameters.items()}
    return _adam(recipe, parameters, gradients, state, learning_rate)


def _sgd(
    recipe: Recipe,
    parameters: Parameters,
    gradients: Parameters,
    state: OptimizerState,
    learning_rate: float,
    in_place: bool,
) -> tuple[Parameters, OptimizerState]:
    first = state.first
    if recipe.momentum:
        first = gradients = {
            name: torch.add(g, state.first[name], alpha=recipe.momentum, out=state.first[name] if in_place else None)
            for name, g in gradients.items()
        }
    stepped = {
        name: torch.add(p, gradients[name], alpha=-learning_rate, out=p if in_place else None)
        for name, p in parameters.items()
    }
    return stepped, OptimizerState(state.step + 1, first, state.second)


def _adam(
    recipe: Recipe, parameters: Parameters, gradients: Parameters, state: OptimizerState, learning_rate: float
) -> tuple[Parameters, OptimizerState]:
    beta_1, beta_2 = recipe.betas
    step = state.step + 1
    first = {name: beta_1 * state.first[name] + (1 - beta_1) * g for name, g in gradients.items()}
    second = {name: beta_2 * state.second[name] + (1 - beta_2) * g * g for name, g in gradients.items()}
    stepped = {
        name: p
        - learning_rate
        * (first[name] / (1 - beta_1**step))
        / (_root(second[name] / (1 - beta_2**step)) + recipe.epsilon)
        for name, p in parameters.items()
    }
    return stepped, OptimizerState(step, first, second)


def _root(moment: Tensor) -> Tensor:
    """The square root, with derivative 0 where it is 0, which makes that of Adam's step the exact one.

    Where all gradients so far are 0, the first moment is, too, and a change of d in them moves the step by d / epsilon
    to first order: the root of the second moment, itself of order d, multiplies what is 0. Autograd alone says NaN.
    """
    if not moment.requires_grad:
        return moment.sqrt()
    nothing = moment == 0
    return moment.masked_fill(nothing, 1).sqrt().masked_fill(nothing, 0)
