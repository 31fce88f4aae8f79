"""Muon, which steps along an orthogonal matrix close to the momentum."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod, sqrt

import torch
from torch import Tensor
from torch.linalg import vector_norm

from influbench.api import Optimizer, OptimizerState, Recipe

Parameters = Mapping[str, Tensor]

_COEFFICIENTS = (
    3.4445,
    -4.7750,
    2.0315,
)  # of the quintic that moves singular values from (0, 1] to about 1; see Jordan
_SMALLEST_NORM = 1e-7


@dataclass(frozen=True)
class Muon(Optimizer):
    """Momentum whose singular values are made about 1, for matrices; plain momentum for vectors (Jordan et al. 2024).

    `v <- momentum v + (1 - momentum) g`, with the recipe's momentum; its authors use 0.95. With `nesterov`, a step is
    along `(1 - momentum) g + momentum v`, else along v. Every parameter with two axes or more is taken as a matrix, a
    convolution with its last axes as one; the step along it is orthogonalized by `iterations` of Newton-Schulz and, for
    a matrix of more rows than columns, multiplied by `sqrt(rows / columns)`, as in `torch.optim.Muon`. Biases and other
    vectors, which have no singular values, fall back to the same step without orthogonalization. First and last layers
    are matrices like the others, whereas its authors leave them to AdamW. Weight decay is decoupled from the objective.

    Every operation is a polynomial or a norm, so the derivative of a step is that which autograd finds. It computes in
    the dtype of the parameters, where torch rounds to bfloat16.
    """

    decay_is_in_objective = False
    reads = ("momentum",)

    nesterov: bool = True
    iterations: int = 5

    def __post_init__(self) -> None:
        if not 0 < self.iterations < 100:
            raise ValueError(f"iterations must be from 1 to 99, got {self.iterations}")

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
        """A step along the orthogonalized moment."""
        moments = state.moments["first"]
        first = {name: torch.lerp(moments[name], g, 1 - recipe.momentum) for name, g in gradients.items()}
        along = first
        if self.nesterov:
            along = {name: torch.lerp(g, first[name], recipe.momentum) for name, g in gradients.items()}
        stepped = {name: p - learning_rate * self._direction(along[name]) for name, p in parameters.items()}
        return stepped, {"first": first}

    def _direction(self, momentum: Tensor) -> Tensor:
        """The step of a stack (n_replicas, ...) at a learning rate of 1."""
        if momentum.ndim < 3:  # a vector or a number for each replica
            return momentum
        n_replicas, n_rows, *others = momentum.shape
        matrices = momentum.reshape(n_replicas, n_rows, prod(others))
        scale = sqrt(max(1.0, n_rows / prod(others)))
        return scale * orthogonalized(matrices, self.iterations).reshape(momentum.shape)


def orthogonalized(matrices: Tensor, iterations: int) -> Tensor:
    """Matrices (n, rows, columns) with the same singular vectors and singular values of about 1, by Newton-Schulz."""
    if matrices.shape[1] > matrices.shape[2]:
        return orthogonalized(matrices.mT, iterations).mT
    a, b, c = _COEFFICIENTS
    norms = vector_norm(matrices.flatten(1), dim=1).clamp(min=_SMALLEST_NORM)
    found: Tensor = matrices / norms[:, None, None]  # no singular value is above 1
    for _ in range(iterations):
        squares = found @ found.mT
        found = a * found + (b * squares + c * squares @ squares) @ found
    return found
