"""Leave-one-out retraining as the judge of influence and memorization."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from influbench.api import Column, Judge, JudgedProblem, Truth, Work
from influbench.judges.influence import influence_columns, influence_yardsticks
from influbench.statistics.yardsticks import Yardstick, correlations

MEMORIZATION = Column("memorization", "memorization", "memorization", details=True)


@dataclass(frozen=True)
class LeaveOneOut(Judge):
    """The expected leave-one-out effect: training with all examples and retraining without each, over several seeds.

    "captured" is the true effect of the 5% of train points with the highest scores, over the largest possible. "within
    class" ranks only the train points of the test point's class, which an estimator that only recognizes the class
    cannot rank. "by signal" ranks all train points, and weighs test points by their squared effects. The details also
    rank all train points with equal weights. Regression lacks "within class" and memorization. Seeds and steps are set
    in the plan's [truth].
    """

    def columns(self, problem: JudgedProblem) -> Sequence[Column]:
        *headline, all_points = influence_columns(problem.data)
        if problem.data.n_classes is None:
            return (*headline, all_points)
        return (*headline, MEMORIZATION, all_points)

    def trainings(self, problem: JudgedProblem) -> Sequence[Work[Truth]]:
        return [problem.leave_one_out]

    def yardsticks(self, problem: JudgedProblem, trained: Sequence[Truth], *, step: int) -> Mapping[str, Yardstick]:
        truth = trained[0].after(step)
        found = dict(influence_yardsticks(truth.influence, problem.data))
        if truth.memorization is not None:
            found[MEMORIZATION.key] = correlations(truth.memorization[:, :, None])
        return found

    def estimand(self, problem: JudgedProblem, trained: Sequence[Truth]) -> str:
        n_train, n_test, n_seeds = len(problem.data.train), len(problem.data.test), trained[0].n_seeds
        return (
            f"{problem.measure} of {n_test:,} test point{'s' * (n_test != 1)} with and without each of {n_train:,} "
            f"train points, {n_seeds} seed{'s' * (n_seeds != 1)}"
        )
