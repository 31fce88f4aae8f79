"""The findings of `influbench compare`."""

from typing import Literal

from pydantic import Field

from influbench.api import Quantity
from influbench.results.records import Record, Statistic
from influbench.results.runs import Comparison


class ComparedProblem(Record):
    """A problem of compared runs, with the truth that scores of all runs are held against; `ceilings` by column."""

    name: str
    key: str
    n_seeds: int
    runs: tuple[str, ...]
    ceilings: dict[str, Statistic]


class OverProblems(Record):
    """One estimator over several problems. `by_problem` is in the order of the problems, with null where it has none.

    `mean` is the mean agreement over the problems in common. `rank` is its mean rank there, 1 the best; its interval
    counts who is clearly better and who is clearly worse (Mogstad, Romano, Shaikh, Wilhelm 2024). Estimators that share
    a letter cannot be distinguished by their means. `not_clearly_behind` is where none is clearly better. An estimator
    of `few_draws` on some problem has no letter and no clear differences.
    """

    name: str
    mean: Statistic
    rank: Statistic
    letters: str | None
    by_problem: tuple[Statistic | None, ...]
    not_clearly_behind: tuple[bool, ...]
    few_draws: bool = False


class ComparedColumn(Record):
    """The order of estimators in one column; `in_common` are places of the problems on which all have a value.

    `comparisons` are all pairs, by their means over the problems in common, with intervals that hold at once.
    """

    key: str
    title: str
    quantity: Quantity
    unit: str
    in_common: tuple[int, ...]
    estimators: tuple[OverProblems, ...]
    comparisons: tuple[Comparison, ...]

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
