"""The subset estimator of Feldman & Zhang 2020."""

from dataclasses import dataclass

from influbench.api import Estimate, Estimator, Problem
from influbench.estimators.inclusion import with_minus_without


@dataclass(frozen=True)
class Subset(Estimator):
    """Mean measure of the networks trained with a point minus the mean of the networks trained without it.

    Estimand: the effect of adding i to a random subset of `ratio` of the other points, in expectation over subsets and
    seeds (Feldman & Zhang 2020, "What neural networks memorize and why"). It tends to the leave-one-out effect as
    `ratio` tends to 1, where its variance explodes. Cost: `n_models` times `ratio` trainings. It is undefined if a
    point is in every subset or in none; this is an EstimateError.
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
        influence = with_minus_without(inside, bank.on_test)
        if bank.p_correct is None:
            return Estimate(influence)
        return Estimate(influence, with_minus_without(inside, bank.p_correct, own=True))
