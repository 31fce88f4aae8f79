"""Eigenvalue-corrected Kronecker factors (George et al. 2018) from the derivatives of one example at a time."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from influbench.estimators.influence_function.curvature import Network, gauss_newton_factors
from influbench.estimators.influence_function.solvers import reciprocals, spectrum_notes


@dataclass(frozen=True, eq=False)
class Basis:
    """The Kronecker basis `left` (x) `right` of one layer's directions."""

    positions: Tensor  # (n_out, n_in) positions in the vector of the layer's weights, and of its bias as a last column
    left: Tensor  # (n_out, n_out) orthogonal
    right: Tensor  # (n_in, n_in) orthogonal

    def coordinates(self, rows: Tensor) -> Tensor:
        """The layer's part of rows (n, n_parameters) in this basis, (n, n_out, n_in)."""
        return self.left.T @ rows[:, self.positions] @ self.right

    def restore(self, coordinates: Tensor) -> Tensor:
        """The inverse of `coordinates`, in the shape of the layer."""
        return self.left @ coordinates @ self.right.T


class Ekfac:
    """A solver for each layer separately, in which no two directions of a layer's Kronecker basis are coupled.

    With G an example's weight-shaped row of the Gauss-Newton factors, the basis holds the eigenvectors of E[G G^T] and
    E[G^T G], and the eigenvalues are the exact second moments along it, E[(u^T G v)^2] (George et al. 2018). The basis
    is therefore Shampoo's (Gupta et al. 2018) instead of K-FAC's E[g g^T] and E[a a^T], which assume that a layer's
    inputs and output gradients are independent. It does not need access to either, and it accepts any parameter,
    including parameters of convolutions and shared parameters; a vector that is not a layer's bias has its full block.
    No labels are drawn: the expectation over the model's labels is exact.
    """

    def __init__(self, network: Network, *, added: float) -> None:
        self._bases = kronecker_bases(network)
        self._eigenvalues = [torch.full_like(basis.positions, added, dtype=torch.float64) for basis in self._bases]
        for rows, signs in gauss_newton_factors(network):
            for basis, eigenvalues in zip(self._bases, self._eigenvalues, strict=True):
                eigenvalues.add_(torch.einsum("n,noi->oi", signs, basis.coordinates(rows).square()))

    def solve(self, rows: Tensor) -> Tensor:
        solution = torch.empty_like(rows)
        for basis, eigenvalues in zip(self._bases, self._eigenvalues, strict=True):
            solution[:, basis.positions] = basis.restore(basis.coordinates(rows) * reciprocals(eigenvalues))
        return solution

    def notes(self) -> list[str]:
        return spectrum_notes(torch.cat([eigenvalues.flatten() for eigenvalues in self._eigenvalues]))


def kronecker_bases(network: Network) -> list[Basis]:
    """One basis for each layer, from one pass over the train points."""
    positions = layer_positions(network.trained)
    left = [network.point.new_zeros(of.shape[0], of.shape[0]) for of in positions]
    right = [network.point.new_zeros(of.shape[1], of.shape[1]) for of in positions]
    for rows, _ in gauss_newton_factors(network):
        for k, of in enumerate(positions):
            layer = rows[:, of]  # (n, n_out, n_in)
            by_output, by_input = layer.movedim(1, 0).flatten(1), layer.movedim(2, 0).flatten(1)
            left[k] += by_output @ by_output.T
            right[k] += by_input @ by_input.T
    eigenvectors = [(torch.linalg.eigh(a)[1], torch.linalg.eigh(b)[1]) for a, b in zip(left, right, strict=True)]
    return [Basis(of, *of_layer) for of, of_layer in zip(positions, eigenvectors, strict=True)]


def layer_positions(trained: Mapping[str, Tensor]) -> list[Tensor]:
    """For each layer, the positions of its parameters in the vector, (n_out, n_in).

    A weight of any shape (n_out, ...) is a matrix, and the `bias` that belongs to a `weight` is one more column.
    """
    positions: dict[str, Tensor] = {}
    start = 0
    for name, p in trained.items():
        places = torch.arange(start, start + p.numel(), device=p.device)
        positions[name] = places.reshape(p.shape[0] if p.ndim else 1, -1)
        start += p.numel()
    for name in [name for name, p in trained.items() if name.endswith("weight") and p.ndim > 1]:
        bias = name.removesuffix("weight") + "bias"
        if bias in trained and trained[bias].shape == trained[name].shape[:1]:
            positions[name] = torch.cat([positions[name], positions.pop(bias)], dim=1)
    return list(positions.values())
