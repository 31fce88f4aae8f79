"""Ways to multiply rows by the inverse of a curvature, each of which reports the problems that it met."""

from typing import Protocol

import torch
from torch import Tensor

from influbench.estimators.influence_function.curvature import OfTensor


class Solver(Protocol):
    """A solver for rows that remembers the problems it has to report."""

    def solve(self, rows: Tensor) -> Tensor:
        """The inverse curvature times each row, (n, n_parameters)."""
        ...

    def notes(self) -> list[str]:
        """Sentences about the solves so far that a reader of the scores has to know."""
        ...


class Explicit:
    """The whole matrix, factorized once. If it is singular, directions without curvature are left out."""

    def __init__(self, product: OfTensor, like: Tensor) -> None:
        n = len(like)
        matrix = like.new_empty(n, n)
        for rows in torch.arange(n, device=like.device).split(512):
            matrix[rows] = product(torch.nn.functional.one_hot(rows, n).to(like))
        self._factor, failed = torch.linalg.cholesky_ex(matrix)
        pivots = self._factor.diagonal().square()
        self._definite = not failed and bool(pivots.min() > _rounding(pivots))
        if not self._definite:
            self._values, self._vectors = torch.linalg.eigh(matrix)

    def solve(self, rows: Tensor) -> Tensor:
        solution: Tensor
        if self._definite:
            solution = torch.cholesky_solve(rows.T, self._factor).T
        else:
            solution = (rows @ self._vectors * reciprocals(self._values)) @ self._vectors.T
        return solution

    def notes(self) -> list[str]:
        return [] if self._definite else spectrum_notes(self._values)


class ConjugateGradients:
    """Hestenes & Stiefel's conjugate gradients, for all rows of a call in lock-step, each until it has converged.

    A row that meets a direction of curvature 0 or below stops there and keeps its current solution (truncated Newton).
    """

    def __init__(self, product: OfTensor, *, max_iterations: int, tolerance: float) -> None:
        self._product, self._max_iterations, self._tolerance = product, max_iterations, tolerance
        self._residuals: list[Tensor] = []  # relative to the row, (n,) for each call
        self._bent: list[Tensor] = []  # true for rows that met such a direction

    def solve(self, rows: Tensor) -> Tensor:
        solution, residual, direction = torch.zeros_like(rows), rows.clone(), rows.clone()
        initial = rows.square().sum(1)
        squared = initial.clone()
        bent = torch.zeros_like(initial, dtype=torch.bool)
        for _ in range(self._max_iterations):
            going = (~bent & (_ratio(squared, initial) > self._tolerance)).nonzero()[:, 0]
            if not len(going):
                break
            curved = self._product(direction[going])
            along = (direction[going] * curved).sum(1)
            bent[going] = along <= 0
            going, curved, along = going[along > 0], curved[along > 0], along[along > 0]
            length = (squared[going] / along)[:, None]
            solution[going] += length * direction[going]
            residual[going] -= length * curved
            before, squared[going] = squared[going], residual[going].square().sum(1)
            direction[going] = residual[going] + (squared[going] / before)[:, None] * direction[going]
        self._residuals.append(_ratio(squared, initial))
        self._bent.append(bent)
        return solution

    def notes(self) -> list[str]:
        residuals, bent = torch.cat(self._residuals), torch.cat(self._bent)
        open_ones = residuals[~bent & (residuals > self._tolerance)]
        notes = []
        if len(open_ones):
            notes.append(
                f"conjugate gradients did not converge for {len(open_ones)} of {len(bent)} train points in "
                f"{self._max_iterations} iterations: largest relative residual {open_ones.max():.2g}, "
                f"tolerance {self._tolerance:g}"
            )
        if bent.any():
            notes.append(
                f"conjugate gradients met negative or no curvature for {int(bent.sum())} of {len(bent)} train points "
                f"and stopped there: largest relative residual {residuals[bent].max():.2g}; more damping would help"
            )
        return notes


def _ratio(squared: Tensor, initial: Tensor) -> Tensor:
    """Length divided by initial length, and 0 if the initial length is 0."""
    return (squared / initial).sqrt().nan_to_num(0.0)


def reciprocals(eigenvalues: Tensor) -> Tensor:
    """One over each eigenvalue; 0 for those that are 0 up to rounding, so that their directions are left out."""
    return torch.where(_is_zero(eigenvalues), 0.0, 1 / eigenvalues)


def spectrum_notes(eigenvalues: Tensor) -> list[str]:
    """Sentences about eigenvalues of a damped curvature that make solving with it unreliable."""
    zero = _is_zero(eigenvalues)
    negative = eigenvalues[(eigenvalues < 0) & ~zero]
    notes = []
    if zero.any():
        notes.append(
            f"the damped curvature is 0 along {int(zero.sum())} of {zero.numel()} directions, which were left out"
        )
    if len(negative):
        notes.append(
            f"the damped curvature is negative along {len(negative)} of {zero.numel()} directions, the "
            f"smallest {negative.min():.2g}: this is not a minimum, and along them scores have the wrong sign; more "
            "damping would help"
        )
    return notes


def _is_zero(eigenvalues: Tensor) -> Tensor:
    return eigenvalues.abs() <= _rounding(eigenvalues)


def _rounding(eigenvalues: Tensor) -> Tensor:
    """The size below which an eigenvalue of this matrix is rounding error."""
    return eigenvalues.numel() * torch.finfo(eigenvalues.dtype).eps * eigenvalues.abs().max()
