"""One column of compared runs over several problems: means, ranks, shares of the ceiling, and all pairs."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from influbench.results import (
    UNKNOWN,
    ColumnRecord,
    ComparedColumn,
    LeftOut,
    OverProblems,
    PairOverProblems,
    Statistic,
)
from influbench.statistics.differences import Difference, differences, letters
from influbench.statistics.estimation import Estimation
from influbench.statistics.over_problems import (
    mean_elsewhere,
    mean_over_problems,
    ranks,
    reversed_without,
    widened,
    widened_differences,
)
from influbench.statistics.yardsticks import MEASUREMENTS, Measurement, statistic_named

Estimations = dict[str, Estimation]  # by estimator


@dataclass(frozen=True, eq=False)
class OnProblem:
    """One problem in one column. `ceiling` is None unless the truth is clearly above noise."""

    estimations: Estimations
    points: str  # which train and test points the problem has
    dataset: str
    ceiling: float | None


@dataclass(frozen=True, eq=False)
class InCommon:
    """The problems on which all named estimators have a value, in one column; possibly none."""

    measurement: Measurement
    names: Sequence[str]
    problems: Sequence[OnProblem]

    @property
    def datasets(self) -> list[str]:
        return [problem.dataset for problem in self.problems]

    def values(self, name: str) -> list[float]:
        return [problem.estimations[name].value for problem in self.problems]

    @cached_property
    def means(self) -> Estimations:
        """The mean of each estimator on these problems; problems with the same points are grouped."""
        groups: dict[str, list[Estimations]] = {}
        for problem in self.problems:
            groups.setdefault(problem.points, []).append(problem.estimations)
        names = self.names if groups else ()
        return {name: mean_over_problems([[one[name] for one in group] for group in groups.values()]) for name in names}

    @cached_property
    def means_elsewhere(self) -> Estimations:
        """The mean of each estimator, with the data sets of these problems as a sample; empty if they are too few."""
        found = {}
        for name, mean in self.means.items():
            elsewhere = mean_elsewhere(self.values(name), self.datasets)
            if elsewhere is not None:
                # the value is equal to the last bit, so that orders are too
                found[name] = replace(elsewhere, value=mean.value, few_draws=mean.few_draws)
        return found

    @cached_property
    def differences(self) -> list[Difference]:
        """The differences of all pairs on these problems."""
        return differences(self.means)

    @cached_property
    def differences_elsewhere(self) -> list[Difference]:
        """The differences of all pairs elsewhere, with intervals that are never narrower than on these problems."""
        return widened_differences(differences(self.means_elsewhere), self.differences)

    @cached_property
    def ordered(self) -> list[str]:
        """The names, those with the highest mean first."""
        return sorted(self.names, key=lambda name: -self.means[name].value if self.means else 0.0)

    def mean(self, name: str) -> Statistic:
        return self.measurement.interval(self.means.get(name))

    def mean_elsewhere(self, name: str) -> Statistic:
        return widened(self.measurement.interval(self.means_elsewhere.get(name)), self.mean(name))

    def rank(self, name: str) -> Statistic:
        """The mean of an estimator's ranks, without an interval: tiny differences decide ranks as large ones do."""
        if not self.problems:
            return UNKNOWN
        of_problems = []
        for problem in self.problems:
            of_problem = ranks({one: estimation.value for one, estimation in problem.estimations.items()})
            of_problems.append(of_problem[name])
        return Statistic(value=sum(of_problems) / len(of_problems), low=None, high=None)

    def of_ceiling(self, name: str) -> Statistic:
        """The mean of an estimator's shares of the ceiling, over the problems whose truth is clearly above noise."""
        shares, datasets = [], []
        for problem in self.problems:
            if problem.ceiling is not None:
                shares.append(problem.estimations[name].value / problem.ceiling)
                datasets.append(problem.dataset)
        if not shares:
            return UNKNOWN
        elsewhere = mean_elsewhere(shares, datasets)
        if elsewhere is None:
            return Statistic(value=sum(shares) / len(shares), low=None, high=None)
        return elsewhere.interval()


def compared_column(column: ColumnRecord, problems: Sequence[OnProblem]) -> ComparedColumn | None:
    """One column over all problems; None if fewer than two estimators ever have a value in it."""
    names = list(dict.fromkeys(name for problem in problems for name in problem.estimations))
    if len(names) < 2:
        return None
    places = [place for place, problem in enumerate(problems) if len(problem.estimations) == len(names)]
    in_common = InCommon(_measurement(column), names, [problems[place] for place in places])
    ceilings = {place: ceiling for place in places if (ceiling := problems[place].ceiling) is not None}
    return ComparedColumn(
        key=column.key,
        title=column.title,
        quantity=column.quantity,
        unit=column.unit,
        in_common=tuple(places),
        n_datasets=len(set(in_common.datasets)),
        # runs store the mean truth, from which the share of its seeds cannot be found; an effect in hand has no noise
        fixed_seeds=column.statistic == "captured" and not column.has_run,
        left_out=tuple(_left_out(problems, in_common.ordered)),
        above_noise=tuple(ceilings),
        mean_ceiling=sum(ceilings.values()) / len(ceilings) if ceilings else None,
        estimators=tuple(_estimators(in_common, problems)),
        comparisons=tuple(_pairs(column.key, in_common, places)),
    )


def _measurement(column: ColumnRecord) -> Measurement:
    """The measurement of a column; a statistic that this influbench does not know is read as a correlation."""
    return MEASUREMENTS[statistic_named(column.statistic) or "spearman"]


def _left_out(problems: Sequence[OnProblem], names: Sequence[str]) -> list[LeftOut]:
    """The problems that are not in common."""
    found = []
    for place, problem in enumerate(problems):
        without = tuple(name for name in names if name not in problem.estimations)
        if without:
            found.append(LeftOut(problem=place, without_value=without))
    return found


def _estimators(in_common: InCommon, problems: Sequence[OnProblem]) -> list[OverProblems]:
    """Every estimator, the highest mean first."""
    names, interval = in_common.ordered, in_common.measurement.interval
    few_draws = {name for problem in problems for name, one in problem.estimations.items() if one.few_draws}
    lettered = [name for name in names if name not in few_draws]
    letters_here = letters(lettered, in_common.differences) if in_common.means else {}
    letters_elsewhere = letters(lettered, in_common.differences_elsewhere) if in_common.means_elsewhere else {}
    behind = [_clearly_behind(problem.estimations) for problem in problems]
    found = []
    for name in names:
        of_problems = [problem.estimations.get(name) for problem in problems]
        found.append(
            OverProblems(
                name=name,
                mean=in_common.mean(name),
                mean_elsewhere=in_common.mean_elsewhere(name),
                of_ceiling=in_common.of_ceiling(name),
                rank=in_common.rank(name),
                letters=letters_here.get(name),
                letters_elsewhere=letters_elsewhere.get(name),
                by_problem=tuple(None if one is None else interval(one) for one in of_problems),
                not_clearly_behind=tuple(
                    one is not None and name not in worse and not one.few_draws
                    for one, worse in zip(of_problems, behind, strict=True)
                ),
                few_draws=name in few_draws,
            )
        )
    return found


def _clearly_behind(estimations: Estimations) -> set[str]:
    """Estimators than which another is clearly better."""
    return {one.second for one in differences(estimations) if one.is_clear}


def _pairs(key: str, in_common: InCommon, places: Sequence[int]) -> list[PairOverProblems]:
    """All pairs of estimators."""
    elsewhere = {(one.first, one.second): one for one in in_common.differences_elsewhere}
    found = []
    for one in in_common.differences:
        other = elsewhere.get((one.first, one.second))
        turned = reversed_without(in_common.values(one.first), in_common.values(one.second))
        found.append(
            PairOverProblems(
                column=key,
                first=one.first,
                second=one.second,
                difference=one.statistic,
                is_clear=one.is_clear,
                difference_elsewhere=UNKNOWN if other is None else other.statistic,
                is_clear_elsewhere=other is not None and other.is_clear,
                reversed_without=tuple(places[place] for place in turned),
            )
        )
    return found
