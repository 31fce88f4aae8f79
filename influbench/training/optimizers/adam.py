"""Adam, and AdamW, which differs from it only in weight decay."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from influbench.api import Optimizer, OptimizerState, Recipe

Parameters = Mapping[str, Tensor]


class _Adaptive(Optimizer):
    """Bias-corrected moments, for either kind of weight decay."""

    reads = ("betas", "epsilon")

    def initial_moments(self, recipe: Recipe, parameters: Parameters) -> Mapping[str, Parameters]:
        """The first and second moments, both 0."""
        return {moment: {name: torch.zeros_like(p) for name, p in parameters.items()} for moment in ("first", "second")}

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
        """A step along the first moment divided by the root of the second."""
        beta_1, beta_2 = recipe.betas
        step = state.step + 1
        first = {name: beta_1 * state.moments["first"][name] + (1 - beta_1) * g for name, g in gradients.items()}
        second = {name: beta_2 * state.moments["second"][name] + (1 - beta_2) * g * g for name, g in gradients.items()}
        stepped = {
            name: p
            - learning_rate
            * (first[name] / (1 - beta_1**step))
            / (_root(second[name] / (1 - beta_2**step)) + recipe.epsilon)
            for name, p in parameters.items()
        }
        return stepped, {"first": first, "second": second}


@dataclass(frozen=True)
class Adam(_Adaptive):
    """Bias-corrected moments as in `torch.optim.Adam`, with the recipe's `betas` and `epsilon`.

    Weight decay adds to the gradients, and therefore to both moments: it belongs to the objective.
    """


@dataclass(frozen=True)
class AdamW(_Adaptive):
    """Adam whose weight decay shrinks the parameters separately from the gradients, like `torch.optim.AdamW`.

    Such a decay is not the gradient of anything and does not belong to an objective. `betas` and `epsilon` are the
    recipe's.
    """

    decay_is_in_objective = False


def _root(moment: Tensor) -> Tensor:
    """The square root, with derivative 0 where the root is 0, which makes the derivative of Adam's step exact.

    Where all gradients so far are 0, the first moment is 0 as well, and a change of d in the gradients moves the step
    by d / epsilon to first order: the root of the second moment is of order d and multiplies a factor of 0. Autograd
    alone would give NaN.
    """
    if not moment.requires_grad:
        return moment.sqrt()
    nothing = moment == 0
    return moment.masked_fill(nothing, 1).sqrt().masked_fill(nothing, 0)
