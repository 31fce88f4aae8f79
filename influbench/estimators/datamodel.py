"""Datamodels of Ilyas et al. 2022."""

from dataclasses import dataclass

import torch

from influbench.api import Estimate, Estimator, Problem
from influbench.estimators.inclusion import check_both_sides
from influbench.estimators.lasso import TOLERANCE, SparseFit, sparse_fit


@dataclass(frozen=True)
class Datamodel(Estimator):
    """Coefficients of sparse linear models that predict each test point's measure from the points trained on.

    `influence[i, j]` is the weight of i in the lasso regression of measure j on inclusion, over networks trained on
    random subsets of `ratio` of the points (Ilyas et al. 2022, "Datamodels: predicting predictions from training
    data"). Estimand: the effect of adding i to a random subset, as in `subset`, if effects add up. The penalty reduces
    noise at the price of coefficients that are zero or too small, which helps if only a few points matter to a test
    point. Every test point has its own penalty: among 25, from the smallest penalty that makes all coefficients 0 down
    to a twentieth of it, the one with the least error in `n_folds`-fold cross-validation over the networks. A test
    point whose coefficients are all 0 has a constant column.

    It does not predict memorization, because the one coefficient that matters there is known in advance: see `subset`.

    Cost: `n_models` times `ratio` trainings, which `subset` shares at the same ratio, and 1 + `n_folds` lasso paths for
    each test point, which count in seconds only. EstimateError if a point is in every subset or in none.
    """

    predicts = ("influence",)

    n_models: int = 256
    ratio: float = 0.7
    n_folds: int = 5
    max_iterations: int = 1000

    def __post_init__(self) -> None:
        if self.n_models < 2:
            raise ValueError(f"n_models must be at least 2, got {self.n_models}")
        if not 0 < self.ratio < 1:
            raise ValueError(f"ratio must be in (0, 1), got {self.ratio}")
        if self.n_folds < 2:
            raise ValueError(f"n_folds must be at least 2, got {self.n_folds}")
        if self.max_iterations < 1:
            raise ValueError(f"max_iterations must be at least 1, got {self.max_iterations}")

    def unsupported(self, problem: Problem) -> str | None:  # noqa: ARG002 - it depends only on the fields
        """Needs two models or more in every fold."""
        if self.n_models < 2 * self.n_folds:
            return f"{self.n_folds} folds need at least {2 * self.n_folds} models, n_models is {self.n_models}"
        return None

    def estimate(self, problem: Problem) -> Estimate:
        """Influence only."""
        bank = problem.bank(n_models=self.n_models, ratio=self.ratio)
        check_both_sides(bank.weights)
        by_id = problem.data.train.ids.cpu().argsort()  # the solver's order of points must not depend on their rows
        fit = sparse_fit(
            bank.weights[:, by_id].double().numpy(),
            bank.on_test.numpy(),
            n_folds=self.n_folds,
            max_iterations=self.max_iterations,
        )
        influence = torch.empty(bank.weights.shape[1], bank.on_test.shape[1], dtype=torch.float64)
        influence[by_id] = torch.from_numpy(fit.coefficients)
        return Estimate(influence, notes=_notes(fit, self.max_iterations))


def _notes(fit: SparseFit, max_iterations: int) -> tuple[str, ...]:
    """A sentence about test points whose fit did not converge, if there are any."""
    if not fit.unconverged.any():
        return ()
    return (
        f"the lasso did not converge within {max_iterations} iterations for {fit.unconverged.sum()} of "
        f"{len(fit.gaps)} test points: duality gap up to {fit.gaps.max():.1e} of the sum of squares, "
        f"above the tolerance of {TOLERANCE:.0e}",
    )
