"""Effects on the mean test point."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

from influbench import Column, Estimate, Judge, JudgedProblem, Truth, Work
from influbench.statistics.yardsticks import Yardstick, correlations


@dataclass(frozen=True)
class MeanEffect(Judge):
    """The leave-one-out effect of each train point on the mean of the measure over the test points."""

    def columns(self, problem: JudgedProblem) -> Sequence[Column]:
        return [Column("mean_effect", "mean\neffect", "influence")]

    def trainings(self, problem: JudgedProblem) -> Sequence[Work[Truth]]:
        return [problem.leave_one_out]

    def yardsticks(self, problem: JudgedProblem, trained: Sequence[Truth], *, step: int) -> Mapping[str, Yardstick]:
        return {"mean_effect": correlations(trained[0].after(step).influence.mean(2, keepdim=True))}

    def scores(self, estimate: Estimate, column: Column) -> Tensor | None:
        return None if estimate.influence is None else estimate.influence.mean(1)
