"""Stochastic gradient descent."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from influbench.api import Optimizer, OptimizerState, Recipe

Parameters = Mapping[str, Tensor]


@dataclass(frozen=True)
class Sgd(Optimizer):
    """Gradient descent as in `torch.optim.SGD`: `v <- momentum v + g`, then `p <- p - learning_rate v`.

    `momentum` is the recipe's; if it is 0, no moment is kept. With `nesterov`, a step is along `g + momentum v`.
    """

    reads = ("momentum",)

    nesterov: bool = False

    def initial_moments(self, recipe: Recipe, parameters: Parameters) -> Mapping[str, Parameters]:
        """A first moment of 0 if there is momentum."""
        return {"first": {name: torch.zeros_like(p) for name, p in parameters.items()}} if recipe.momentum else {}

    def step(
        self,
        recipe: Recipe,
        parameters: Parameters,
        gradients: Parameters,
        state: OptimizerState,
        *,
        learning_rate: float,
        in_place: bool = False,
    ) -> tuple[Parameters, Mapping[str, Parameters]]:
        """A step along the first moment, beyond it with `nesterov`, or along the gradient without momentum."""
        moments, directions = state.moments, gradients
        if recipe.momentum:
            first = state.moments["first"]
            directions = {
                name: torch.add(g, first[name], alpha=recipe.momentum, out=first[name] if in_place else None)
                for name, g in gradients.items()
            }
            moments = {"first": directions}
            if self.nesterov:
                directions = {
                    name: torch.add(g, directions[name], alpha=recipe.momentum) for name, g in gradients.items()
                }
        stepped = {
            name: torch.add(p, directions[name], alpha=-learning_rate, out=p if in_place else None)
            for name, p in parameters.items()
        }
        return stepped, moments
