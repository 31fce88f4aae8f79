"""TRAK of Park et al. 2023."""

from dataclasses import dataclass
from math import sqrt

import torch
from torch import Tensor

from influbench.api import Estimate, Estimator, Problem, Split
from influbench.errors import EstimateError
from influbench.estimators.gradients import (
    OfNetwork,
    chunks,
    example_measures,
    gradients,
    n_trained_parameters,
    trained_and_frozen,
)
from influbench.seeds import derive

_NUMBERS = 2**24  # entries of a projection that are drawn at a time


@dataclass(frozen=True)
class Trak(Estimator):
    """Data attribution by linearizing the network's margin and projecting its gradients at random.

    With phi(z) the gradient of the margin of z, randomly projected to `n_projected` numbers, Phi the matrix with these
    vectors of the train points as rows, and Q the train points' 1 - p_correct,
    `influence[i, j] = mean over networks of phi(z_j)' (Phi' Phi + damping)^-1 phi(z_i), times mean of Q_i` (Park et al.
    2023, "TRAK: attributing model behavior at scale", equation 17 without the soft threshold; means are taken
    separately). It predicts effects on the margin; small effects on the loss have the same order for each test point,
    and the same scores are returned for every measure. Assumes that the network is linear in its parameters near the
    end of training, and that one Newton step of logistic regression leaves a point out. The networks are trained on all
    train points, whereas the authors use half of them. `damping` is in units of the mean of the diagonal of Phi' Phi.
    Cost: `n_models` trainings, and per-example gradients, which count in seconds only.
    """

    predicts = ("influence",)
    scores_duplicates_alike = True

    n_models: int = 4
    n_projected: int = 128
    damping: float = 0.0

    def __post_init__(self) -> None:
        if self.n_models < 1:
            raise ValueError(f"n_models must be at least 1, got {self.n_models}")
        if self.n_projected < 1:
            raise ValueError(f"n_projected must be at least 1, got {self.n_projected}")
        if not 0 <= self.damping < float("inf"):
            raise ValueError(f"damping must be at least 0 and finite, got {self.damping}")

    def unsupported(self, problem: Problem) -> str | None:
        """Needs classes, and as many parameters as projections; without damping, as many train points as well."""
        if problem.data.n_classes is None:
            return "regression has no margin to linearize"
        n_parameters = n_trained_parameters(problem)
        if self.n_projected > n_parameters:
            return f"a projection to {self.n_projected} numbers is wider than the {n_parameters} parameters"
        if self.n_projected > len(problem.data.train) and not self.damping:
            return (
                f"a projection to {self.n_projected} numbers needs as many train points, but there are "
                f"{len(problem.data.train)}; set damping above 0 or n_projected lower"
            )
        return None

    def estimate(self, problem: Problem) -> Estimate:
        """Influence only."""
        runs = problem.train(replicates=range(self.n_models))
        weight = (1 - runs.p_correct(problem.data.train)).mean(0).cpu()  # (n_train,)
        influence = torch.zeros(len(problem.data.train), len(problem.data.test), dtype=torch.float64)
        for run in range(self.n_models):
            parameters = {name: p[run] for name, p in runs.parameters().items()}
            influence += self._of_network(problem, parameters, derive(problem.seed, "projection", run)) / self.n_models
        return Estimate(influence * weight[:, None])

    def _of_network(self, problem: Problem, parameters: OfNetwork, seed: int) -> Tensor:
        """phi(z_i)' (Phi' Phi + damping)^-1 phi(z_j), (n_train, n_test)."""
        of_train, of_test = (
            _projected(problem, parameters, split, self.n_projected, seed)
            for split in (problem.data.train, problem.data.test)
        )
        kernel = of_train.T @ of_train
        kernel.diagonal().add_(self.damping * kernel.diagonal().mean())
        if torch.linalg.matrix_rank(kernel, hermitian=True) < self.n_projected:
            raise EstimateError(
                f"projected gradients span fewer than {self.n_projected} directions; set damping above 0 or lower "
                "n_projected"
            )
        product: Tensor = of_train @ torch.linalg.solve(kernel, of_test.T)
        return product


def _projected(problem: Problem, parameters: OfNetwork, split: Split, n_projected: int, seed: int) -> Tensor:
    """The gradient of each example's margin times a matrix of random signs, (n, n_projected) float64."""

    margins = example_measures(problem, "margin")
    trained, frozen = trained_and_frozen(problem, parameters)
    n_parameters = sum(p.numel() for p in trained.values())
    rows = []
    for chunk in chunks(split, n_parameters):
        of_chunk = gradients(margins, trained, frozen, chunk).double().cpu()
        generator = torch.Generator().manual_seed(seed)  # the same signs for every chunk
        projected = of_chunk.new_zeros(len(of_chunk), n_projected)
        for part in of_chunk.split(max(1, _NUMBERS // n_projected), dim=1):
            signs = torch.randint(2, (part.shape[1], n_projected), generator=generator).double() * 2 - 1
            projected += part @ signs / sqrt(n_projected)
        rows.append(projected)
    return torch.cat(rows)
