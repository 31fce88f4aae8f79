"""Lion, which steps by signs."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from influbench.api import Optimizer, OptimizerState, Recipe

Parameters = Mapping[str, Tensor]


@dataclass(frozen=True)
class Lion(Optimizer):
    """A step along the sign of `beta_1 m + (1 - beta_1) g`, then `m <- beta_2 m + (1 - beta_2) g` (Chen et al. 2023).

    Weight decay is decoupled from the objective, as in AdamW. Every entry moves by the learning rate, so take about a
    tenth of AdamW's. A sign does not follow small changes of the gradients: the derivative of a step by them is 0
    wherever it is defined, which is what autograd finds. An example acts through the signs that it flips, so
    `metagradient` does not run on such a training.
    """

    decay_is_in_objective = False
    differentiable = False

    beta_1: float = 0.9
    beta_2: float = 0.99

    def __post_init__(self) -> None:
        for name, beta in (("beta_1", self.beta_1), ("beta_2", self.beta_2)):
            if not 0 <= beta < 1:
                raise ValueError(f"{name} must be in [0, 1), got {beta}")

    def initial_moments(self, recipe: Recipe, parameters: Parameters) -> Mapping[str, Parameters]:
        """A first moment of 0."""
        return {"first": {name: torch.zeros_like(p) for name, p in parameters.items()}}

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
        """A step along signs."""
        first = state.moments["first"]
        signs = {name: (self.beta_1 * first[name] + (1 - self.beta_1) * g).sign() for name, g in gradients.items()}
        stepped = {name: p - learning_rate * signs[name] for name, p in parameters.items()}
        moved = {name: self.beta_2 * first[name] + (1 - self.beta_2) * g for name, g in gradients.items()}
        return stepped, {"first": moved}
