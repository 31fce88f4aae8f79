"""Events that the engine reports while it runs. It never prints; listeners draw."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from influbench.results import Cell, Failure, Result, Results


class Spending(Protocol):
    """A live count of example-gradients: `spent` of those `announced` so far."""

    spent: int
    announced: int


@dataclass(frozen=True)
class ProblemStarted:
    """A problem begins, with what its judges train."""

    name: str
    index: int
    n_problems: int


@dataclass(frozen=True)
class ShardDone:
    """One shard of what a judge trains is there, computed or reused; `n_shards` are those of the judge."""

    judge: str
    n_done: int
    n_shards: int
    reused: bool
    warning: str | None


@dataclass(frozen=True)
class WorkExtended:
    """A judge's trainings do not suffice yet, and more are trained; `standing` says why in a few words."""

    judge: str
    standing: str


@dataclass(frozen=True)
class TrainingsDone:
    """Everything that the judges train is there."""


@dataclass(frozen=True)
class AccuracyMeasured:
    """The accuracy of one seed's ordinary training is known; the estimators come next."""

    n_done: int
    n_seeds: int
    warning: str | None


@dataclass(frozen=True, eq=False)
class EstimatorStarted:
    """An estimator begins. Its spending, for each repeat, keeps counting while it runs."""

    name: str
    index: int
    n_estimators: int
    spendings: tuple[Spending, ...]

    def share_done(self) -> float:
        """The share of its work that is done, judging by what it announced."""
        shares = [one.spent / one.announced if one.announced else 0.0 for one in self.spendings]
        return sum(shares) / len(shares)


@dataclass(frozen=True)
class EstimatorDone:
    """An estimator's cell, whatever its status."""

    name: str
    cell: Cell


@dataclass(frozen=True)
class ProblemDone:
    """All that one problem's run found."""

    result: Result


@dataclass(frozen=True)
class ProblemFailed:
    """One of several problems that could not be run; the others still run."""

    failure: Failure


@dataclass(frozen=True)
class RunDone:
    """Everything is written to the run directory."""

    directory: Path
    result: Results


JudgeEvent = ProblemStarted | ShardDone | WorkExtended | TrainingsDone
Event = JudgeEvent | AccuracyMeasured | EstimatorStarted | EstimatorDone | ProblemDone | ProblemFailed | RunDone
