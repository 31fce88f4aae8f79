"""The effects in one run, which estimators see, as another estimand of leave-one-out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from influbench.api import Column, Judge, JudgedProblem, Truth, Work
from influbench.judges.influence import influence_columns, influence_yardsticks
from influbench.statistics.yardsticks import Yardstick

PREFIX = "run_"


@dataclass(frozen=True)
class ThisRun(Judge):
    """The leave-one-out effect in one run, not its expectation: estimators are handed the run, and predict its effects.

    Each estimator runs once more for each of the first `n` seeds of the truth, and its replicate 0 then is the training
    of that seed with all train points. An estimator that follows one training exactly can reach 1 here, where the
    expected effect caps it far lower. The effects of a run have no noise, so they do not need a ceiling. The trainings
    of the truth are those of `leave_one_out`.
    """

    n: int = 4

    def __post_init__(self) -> None:
        if self.n < 1:
            raise ValueError(f"n must be at least 1, got {self.n}")

    def unsupported(self, problem: JudgedProblem) -> str | None:
        if self.n > problem.n_seeds:
            return f"it hands over {self.n} runs, and the truth has {problem.n_seeds}; raise [truth] seeds or lower n"
        return None

    def runs_handed_over(self, problem: JudgedProblem) -> Sequence[int]:
        return range(self.n)

    def columns(self, problem: JudgedProblem) -> Sequence[Column]:
        return influence_columns(problem.data, prefix=PREFIX, of="this run")

    def trainings(self, problem: JudgedProblem) -> Sequence[Work[Truth]]:
        return [problem.leave_one_out]

    def yardsticks(self, problem: JudgedProblem, trained: Sequence[Truth], *, step: int) -> Mapping[str, Yardstick]:
        if step != problem.n_steps:
            return {}  # the estimators are handed whole runs
        effects = trained[0].influence[: self.n]
        return influence_yardsticks(effects, problem.data, prefix=PREFIX, noisy=False, paired=True)

    def estimand(self, problem: JudgedProblem, trained: Sequence[Truth]) -> str:
        return (
            f"{problem.measure} with and without each train point in {self.n} run{'s' * (self.n != 1)}, which the "
            "estimators see (one at a time)"
        )
