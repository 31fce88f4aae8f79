"""The findings of `influbench compare`.

Means answer two questions: about *these* problems, and about problems *elsewhere*, whose data sets would be drawn as
these were. What is named `elsewhere` is about the second question, and null if there are too few data sets.
"""

from typing import Literal

from pydantic import Field

from influbench.api import Quantity
from influbench.results.records import UNKNOWN, Record, Statistic
from influbench.results.runs import Comparison


class ComparedProblem(Record):
    """A problem of compared runs, with the truth that scores of all runs are held against; `ceilings` by column.

    `dataset` is the data set, whatever its sizes; problems of one data set depend on each other.
    """

    name: str
    key: str
    n_seeds: int
    runs: tuple[str, ...]
    ceilings: dict[str, Statistic]
    dataset: str = ""


class OverProblems(Record):
    """One estimator over several problems. `by_problem` is in the order of the problems, with null where it has none.

    `mean` is the mean agreement over the problems in common, and `mean_elsewhere` the same value with its interval for
    problems elsewhere. Estimators that share one of the `letters` cannot be distinguished by their means on these
    problems; for `letters_elsewhere`, by their means elsewhere. `of_ceiling` is the mean share of the ceiling over the
    problems whose truth is clearly above noise, with its interval for problems elsewhere. `rank` is the mean rank over
    the problems in common, 1 the best; it does not have an interval. `not_clearly_behind` is where none is clearly
    better. An estimator of `few_draws` on some problem has no letters and no clear differences.
    """

    name: str
    mean: Statistic
    mean_elsewhere: Statistic = UNKNOWN
    of_ceiling: Statistic = UNKNOWN
    rank: Statistic
    letters: str | None
    letters_elsewhere: str | None = None
    by_problem: tuple[Statistic | None, ...]
    not_clearly_behind: tuple[bool, ...]
    few_draws: bool = False


class PairOverProblems(Comparison):
    """The difference of two means over the problems in common, with intervals that hold at once for all pairs.

    `reversed_without` are places of problems: without any one of them, the order of the two means is the other one.
    """

    difference_elsewhere: Statistic = UNKNOWN
    is_clear_elsewhere: bool = False
    reversed_without: tuple[int, ...] = ()


class LeftOut(Record):
    """The place of a problem that is not part of the means, and the estimators that do not have a value there."""

    problem: int
    without_value: tuple[str, ...]


class ComparedColumn(Record):
    """The order of estimators in one column; `in_common` are places of the problems on which all have a value.

    These problems are on `n_datasets` data sets. `left_out` are the other problems. `above_noise` are places of the
    problems in common whose truth is clearly above noise; `mean_ceiling` is over these. `comparisons` are all pairs.
    With `fixed_seeds`, intervals take the truth's seeds as given, while those in a run's own result include them.
    """

    key: str
    title: str
    quantity: Quantity
    unit: str
    in_common: tuple[int, ...]
    n_datasets: int = 0
    fixed_seeds: bool = False
    left_out: tuple[LeftOut, ...] = ()
    above_noise: tuple[int, ...] = ()
    mean_ceiling: float | None = None
    estimators: tuple[OverProblems, ...]
    comparisons: tuple[PairOverProblems, ...]

    @property
    def name(self) -> str:
        """The title on one line."""
        return " ".join(self.title.split())


class ComparedRuns(Record):
    """The findings of `influbench compare`. `versions` holds the labels of one estimator's scores in different runs."""

    schema_name: Literal["influbench.comparison/2"] = Field(default="influbench.comparison/2", alias="schema")
    runs: tuple[str, ...]
    problems: tuple[ComparedProblem, ...]
    columns: tuple[ComparedColumn, ...]
    versions: tuple[tuple[str, ...], ...] = ()
