"""Gradient descent."""

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from influbench import Optimizer, OptimizerState, Recipe

Parameters = Mapping[str, Tensor]


@dataclass(frozen=True)
class Plain(Optimizer):
    """`p <- p - learning_rate * g`, whatever momentum the recipe has."""

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
        return {name: p - learning_rate * gradients[name] for name, p in parameters.items()}, {}
