"""The definitions, written out with autograd on a handful of points, in float64."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from influbench.api import Data, Model, Problem, Recipe, Split
from torch import Tensor, nn

Parameters = Mapping[str, Tensor]


def gradients(parameters: Parameters, values: Callable[[Parameters], Tensor]) -> Tensor:
    """Gradient of each value, (n, n_parameters)."""
    leaves = {name: p.detach().clone().requires_grad_() for name, p in parameters.items()}
    rows = [
        torch.autograd.grad(value, list(leaves.values()), retain_graph=True, materialize_grads=True, allow_unused=True)
        for value in values(leaves)
    ]
    return torch.stack([torch.cat([part.flatten() for part in row]) for row in rows])


def loss_gradients(problem: Problem, parameters: Parameters, split: Split) -> Tensor:
    return gradients(parameters, lambda p: problem.model.loss(problem.forward(p, split.inputs), split.labels))


def measure_gradients(problem: Problem, parameters: Parameters, split: Split) -> Tensor:
    return gradients(parameters, lambda p: problem.measured(problem.forward(p, split.inputs), split.labels))


def tracin(problem: Problem, checkpoints: Sequence[Parameters], weights: Sequence[float]) -> Tensor:
    """Minus the weighted sum over checkpoints of inner products, (n_train, n_test)."""
    total = torch.zeros(len(problem.data.train), len(problem.data.test), dtype=torch.float64)
    for parameters, weight in zip(checkpoints, weights, strict=True):
        of_train = loss_gradients(problem, parameters, problem.data.train)
        total -= weight * of_train @ measure_gradients(problem, parameters, problem.data.test).T
    return total


def hessian(problem: Problem, parameters: Parameters) -> Tensor:
    """Hessian of the loss summed over train points, (n_parameters, n_parameters)."""
    shapes = {name: p.shape for name, p in parameters.items()}

    def total(point: Tensor) -> Tensor:
        pieces = point.split([shape.numel() for shape in shapes.values()])
        moved = {name: piece.view(shape) for (name, shape), piece in zip(shapes.items(), pieces, strict=True)}
        return problem.model.loss(problem.forward(moved, problem.data.train.inputs), problem.data.train.labels).sum()

    return torch.autograd.functional.hessian(total, torch.cat([p.flatten() for p in parameters.values()]))


def krylov(matrix: Tensor, start: Tensor, n_directions: int) -> Tensor:
    """Orthonormal columns that span start, matrix start, matrix^2 start, ..."""
    columns = [start / start.norm()]
    while len(columns) < n_directions:
        basis = torch.stack(columns, dim=1)
        new = matrix @ columns[-1]
        for _ in range(2):  # the second time against rounding
            new = new - basis @ (basis.T @ new)
        columns.append(new / new.norm())
    return torch.stack(columns, dim=1)


def inverse_within(matrix: Tensor, basis: Tensor, *, damping: float) -> Tensor:
    """The inverse of the damped matrix in the directions of these columns where it is positive, and 0 elsewhere."""
    values, vectors = torch.linalg.eigh(basis.T @ matrix @ basis)
    values = values + damping
    kept = (basis @ vectors)[:, values > 1e-4]
    return kept / values[values > 1e-4] @ kept.T


@dataclass(frozen=True)
class ModuleModel(Model):
    """Any module, made anew by `make`."""

    make: Callable[[Data], nn.Module]

    @property
    def recipe(self) -> Recipe:
        return Recipe(batch_size=6, epochs=2)

    def build(self, data: Data) -> nn.Module:
        return self.make(data)
