"""Effects on the mean test point. Replace them with your own question."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from influbench import Column, Estimate, Judge, JudgedProblem, Truth, Work
from influbench.statistics.yardsticks import Yardstick, correlations
from torch import Tensor


@dataclass(frozen=True)
class MyJudge(Judge):
    """The leave-one-out effect of each train point on the mean of the measure over the test points.

    Estimand: Spearman's correlation over train points of the scores' mean over test points with this effect, expected
    over seeds. It asks which points are worth having, whichever test points benefit. Cost: the plan's ground truth.
    """

    def columns(self, problem: JudgedProblem) -> Sequence[Column]:
        """One column."""
        return [Column("my_judge", "mean\ntest point", "influence")]

    def trainings(self, problem: JudgedProblem) -> Sequence[Work[Truth]]:
        """The plan's ground truth, which all judges share."""
        return [problem.leave_one_out]

    def yardsticks(self, problem: JudgedProblem, trained: Sequence[Truth], *, step: int) -> Mapping[str, Yardstick]:
        """The effects for each seed, (n_seeds, n_train, 1)."""
        truth = trained[0].after(step)
        return {"my_judge": correlations(truth.influence.mean(2, keepdim=True))}

    def scores(self, estimate: Estimate, column: Column) -> Tensor | None:
        """The mean score over test points, (n_train,)."""
        return None if estimate.influence is None else estimate.influence.mean(1)
