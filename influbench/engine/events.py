"""What the engine tells while it runs. It never prints: who listens draws."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from influbench.results import Cell, Failure, Result, Results, Statistic


class Spending(Protocol):
    """A live count of example-gradients: `spent` of those `announced` so far."""

    spent: int
    announced: int


@dataclass(frozen=True)
class ProblemStarted:
    """A problem's ground truth begins."""

    name: str
    index: int
    n_problems: int


@dataclass(frozen=True)
class ShardDone:
    """One shard of the ground truth is there, computed or reused."""

    n_done: int
    n_shards: int
    reused: bool
    warning: str | None
    of_subsets: bool = False  # of the second truth, that of random subsets


@dataclass(frozen=True)
class TruthDone:
    """The ground truth is whole; the estimators come next."""

    n_seeds: int


@dataclass(frozen=True)
class SubsetsDone:
    """The truth of random subsets is whole, too."""

    n_subsets: int


@dataclass(frozen=True)
class TruthExtended:
    """The ground truth is not yet as reliable as asked for: seeds are added."""

    n_seeds: int
    reliability: Statistic
    wanted: float


@dataclass(frozen=True, eq=False)
class EstimatorStarted:
    """An estimator begins. What it spends, for each repeat, goes on counting while it runs."""

    name: str
    index: int
    n_estimators: int
    spendings: tuple[Spending, ...]

    def share_done(self) -> float:
        """How far it has come, as far as that shows in what it announced."""
        shares = [one.spent / one.announced if one.announced else 0.0 for one in self.spendings]
        return sum(shares) / len(shares)


@dataclass(frozen=True)
class EstimatorDone:
    """An estimator's cells, whatever their status."""

    name: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class ProblemDone:
    """All that one problem's run found."""

    result: Result


@dataclass(frozen=True)
class ProblemFailed:
    """A problem of several whose ground truth could not be had; the others go on."""

    failure: Failure


@dataclass(frozen=True)
class RunDone:
    """Everything is written to the run directory."""

    directory: Path
    result: Result | Results


TruthEvent = ProblemStarted | ShardDone | TruthExtended | TruthDone | SubsetsDone
Event = TruthEvent | EstimatorStarted | EstimatorDone | ProblemDone | ProblemFailed | RunDone
