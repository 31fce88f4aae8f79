"""The spread of leave-one-out effects over runs, as estimands of their own."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from influbench.api import Column, Estimate, Judge, JudgedProblem, Truth, Work
from influbench.statistics.yardsticks import Yardstick, correlations

VARIANCE = Column("variance", "variance\nover runs", "influence")
SIGN = Column("sign", "probability of\na positive effect", "influence")


@dataclass(frozen=True)
class Spread(Judge):
    """The spread of the leave-one-out effect over runs: its variance, and the probability that it is positive.

    The variance is compared with the absolute scores: an estimator that ranks effects by size often ranks their
    variance as well, and this column shows how much of an agreement is due to that. The probability is compared with
    the scores. The variance is taken from disjoint pairs of seeds, so that it needs four seeds for a reliability; the
    trainings are those of `leave_one_out`.
    """

    def unsupported(self, problem: JudgedProblem) -> str | None:
        if problem.n_seeds < 2:
            return "the variance over runs needs at least two seeds; raise [truth] seeds"
        return None

    def columns(self, problem: JudgedProblem) -> Sequence[Column]:
        return (VARIANCE, SIGN)

    def trainings(self, problem: JudgedProblem) -> Sequence[Work[Truth]]:
        return [problem.leave_one_out]

    def yardsticks(self, problem: JudgedProblem, trained: Sequence[Truth], *, step: int) -> Mapping[str, Yardstick]:
        effects = trained[0].after(step).influence
        return {
            VARIANCE.key: correlations(_variances(effects), seeds_each=2),
            SIGN.key: correlations((effects.sign() + 1) / 2),
        }

    def scores(self, estimate: Estimate, column: Column) -> Tensor | None:
        if estimate.influence is None:
            return None
        return estimate.influence.abs() if column.key == VARIANCE.key else estimate.influence

    def estimand(self, problem: JudgedProblem, trained: Sequence[Truth]) -> str:
        return f"variance and sign over {trained[0].n_seeds} seeds of {problem.measure} with and without a train point"


def _variances(effects: Tensor) -> Tensor:
    """Variances from disjoint pairs of seeds, (n_seeds // 2, n_train, n_test): independent, and right on average."""
    pairs = effects[: len(effects) // 2 * 2].unflatten(0, (-1, 2))
    return torch.diff(pairs, dim=1)[:, 0].square() / 2
