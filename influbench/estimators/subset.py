"""The subset estimator of Feldman & Zhang 2020."""

from dataclasses import dataclass

from torch import Tensor

from influbench.api import Estimate, Estimator, Problem
from influbench.errors import EstimateError


@dataclass(frozen=True)
class Subset(Estimator):
    """Mean measure of the networks trained with a point minus that of those trained without it.

    Estimand: the effect of adding i to a random subset of `ratio` of the other points, in expectation over subsets and
    seeds (Feldman & Zhang 2020, "What neural networks memorize and why"). It tends to the leave-one-out
    effect as `ratio` tends to 1, where its variance explodes. Cost: `n_models` trainings. Undefined, and refused, where
    a point is in every subset or in none.
    """

    n_models: int = 64
    ratio: float = 0.7

    def __post_init__(self) -> None:
        if self.n_models < 2:
            raise ValueError(f"n_models must be at least 2, got {self.n_models}")
        if not 0 < self.ratio < 1:
            raise ValueError(f"ratio must be in (0, 1), got {self.ratio}")

    def estimate(self, problem: Problem) -> Estimate:
        """Influence, and memorization for classes, from one bank of subset trainings."""
        bank = problem.bank(n_models=self.n_models, ratio=self.ratio)
        inside = bank.weights.double()  # (n_models, n_train)
        n_inside = inside.sum(0)
        undefined = int(((n_inside == 0) | (n_inside == self.n_models)).sum())
        if undefined:
            raise EstimateError(
                f"{undefined} of {inside.shape[1]} train points are in all or in none of the {self.n_models} subsets; "
                "use more models"
            )
        influence = _with_minus_without(inside, bank.on_test)
        if bank.p_correct is None:
            return Estimate(influence)
        with_it = (inside * bank.p_correct).sum(0) / n_inside
        without_it = ((1 - inside) * bank.p_correct).sum(0) / (self.n_models - n_inside)
        return Estimate(influence, with_it - without_it)


def _with_minus_without(inside: Tensor, measured: Tensor) -> Tensor:
    """Mean of `measured` (n_models, n_test) over the models with each point, minus over those without."""
    outside = 1 - inside
    return inside.T @ measured / inside.sum(0)[:, None] - outside.T @ measured / outside.sum(0)[:, None]
