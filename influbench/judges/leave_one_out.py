"""Leave-one-out retraining as the judge of influence and memorization."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from influbench.api import Column, Judge, JudgedProblem, Truth, Work
from influbench.statistics.correlation import within_classes
from influbench.statistics.yardsticks import Yardstick, correlations

INFLUENCE = Column("influence", "influence\nall points", "influence", details=True)
WITHIN_CLASS = Column("within_class", "influence\nwithin class", "influence", rows="train points in a class")
MEMORIZATION = Column("memorization", "memorization", "memorization", details=True)


@dataclass(frozen=True)
class LeaveOneOut(Judge):
    """The expected leave-one-out effect: training with all examples and retraining without each, over several seeds.

    The column "all points" ranks all train points for each test point; "within class" ranks only the train points of
    the test point's class, which an estimator that only recognizes the class cannot rank. Regression has only the first
    column. Seeds and steps are set in the plan's [truth].
    """

    def columns(self, problem: JudgedProblem) -> Sequence[Column]:
        if problem.data.n_classes is None:
            return (INFLUENCE,)
        # the chart shows the column within class: in the other, an estimator that only recognizes the class is high
        return replace(INFLUENCE, chart=False), WITHIN_CLASS, MEMORIZATION

    def trainings(self, problem: JudgedProblem) -> Sequence[Work[Truth]]:
        return [problem.leave_one_out]

    def yardsticks(self, problem: JudgedProblem, trained: Sequence[Truth], *, step: int) -> Mapping[str, Yardstick]:
        truth = trained[0].after(step)
        found = {INFLUENCE.key: correlations(truth.influence)}
        if truth.memorization is not None:
            train, test = problem.data.train.labels.cpu(), problem.data.test.labels.cpu()
            found[WITHIN_CLASS.key] = correlations(truth.influence, within_classes(train, test))
            found[MEMORIZATION.key] = correlations(truth.memorization[:, :, None])
        return found

    def estimand(self, problem: JudgedProblem, trained: Sequence[Truth]) -> str:
        n_train, n_test, n_seeds = len(problem.data.train), len(problem.data.test), trained[0].n_seeds
        return (
            f"{problem.measure} of {n_test:,} test points with and without each of {n_train:,} train points, "
            f"{n_seeds} seed{'s' * (n_seeds != 1)}"
        )
