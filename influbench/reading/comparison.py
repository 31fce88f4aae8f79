"""Finished runs side by side: the same estimators on several problems, or several versions of one estimator.

Only run directories are read. In each column, scores of all runs on one problem are held against one truth, the one
with the most seeds, so that every difference is between estimators on the same points.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import get_args

import torch
from torch import Tensor

from influbench.api import Quantity
from influbench.engine.written import has_derived_scores, held_scores, read_yardstick
from influbench.errors import UnknownNameError, UsageError, did_you_mean
from influbench.reading.over_problems import Estimations, OnProblem, compared_column
from influbench.registry import parse_selector
from influbench.results import UNKNOWN, ColumnRecord, ComparedProblem, ComparedRuns, Result
from influbench.statistics.yardsticks import Yardstick
from influbench.store.files import Arrays
from influbench.store.run_directory import read_result, read_scores, read_yardsticks, truth_beside

Progress = Callable[[str, int, int], None]  # what is done, how much of it, and of how much


@dataclass(frozen=True, eq=False)
class _Scores:
    """The stored tensors of one run for one estimator on one problem."""

    run: str
    name: str
    draws: bool
    tensors: Mapping[str, Tensor]

    def equal(self, other: "_Scores") -> bool:
        """True if the two are one version: the same scores, or the same in every repeat of both."""
        return all(_same(self._repeats(name), other._repeats(name)) for name in get_args(Quantity))

    def _repeats(self, quantity: str) -> list[Tensor]:
        return [values for key, values in sorted(self.tensors.items()) if key.partition("@")[0] == quantity]


def _same(mine: Sequence[Tensor], others: Sequence[Tensor]) -> bool:
    if len(mine) == len(others):
        return all(map(torch.equal, mine, others))
    return bool(mine) and all(torch.equal(mine[0], one) for one in [*mine, *others]) and bool(others)


@dataclass(frozen=True, eq=False)
class _Problem:
    """One problem with the scores of all runs."""

    record: ComparedProblem
    points: str  # which train and test points it has
    yardsticks: Mapping[str, Yardstick]  # by column
    derived: Collection[str]  # columns whose scores follow a rule of their judge
    above_noise: Collection[str]  # columns whose truth is clearly above noise
    scores: list[_Scores]

    def on_column(self, column: ColumnRecord, labeled: Mapping[str, _Scores]) -> OnProblem:
        """Everything that a column needs of this problem."""
        ceiling = self.record.ceilings.get(column.key, UNKNOWN).value
        return OnProblem(
            estimations=self._estimations(column, labeled),
            points=self.points,
            dataset=self.record.dataset,
            ceiling=ceiling if column.key in self.above_noise else None,
        )

    def _estimations(self, column: ColumnRecord, labeled: Mapping[str, _Scores]) -> Estimations:
        """Of each labeled estimator that has a value in this column."""
        yardstick = self.yardsticks.get(column.key)
        if yardstick is None:
            return {}
        found = {}
        for label, scores in labeled.items():
            derived = column.key in self.derived
            held = held_scores(scores.tensors, column.key, column.quantity, yardstick, derived=derived)
            fits = _fit(held, yardstick)
            value = yardstick.agreement(held, draws=scores.draws).value if fits else None
            if value is not None:
                found[label] = value
        return found


def _fit(held: Sequence[Tensor], yardstick: Yardstick) -> bool:
    """True if there are scores, and they can be compared: other runs may have other rows, or fewer runs in hand."""
    if yardstick.paired and len(held) != len(yardstick.effects):
        return False
    return bool(held) and all(one.shape == yardstick.mean.shape for one in held)


def compare(
    directories: Sequence[Path],
    *,
    estimators: Collection[str] = (),
    progress: Progress = lambda _what, _done, _all: None,
) -> ComparedRuns:
    """A comparison, over these runs, of the estimators that they share, or of the named ones.

    An estimator of one name whose scores differ between runs of the same problem is listed once for each run, as
    NAME@RUN. UsageError where there is nothing to compare.
    """
    paths = _run_names(directories)
    by_key: dict[str, list[tuple[str, Result]]] = {}
    for run, path in paths.items():
        for result in read_result(path).results:
            if result.problem.key is None:
                raise UsageError(f"{path} was written by an earlier influbench; run its plan.toml again")
            by_key.setdefault(result.problem.key, []).append((run, result))
    problems = [_read(key, results, paths, estimators) for key, results in by_key.items()]
    versioned = _versioned(problems)
    labeled = [_labeled(problem, versioned) for problem in problems]
    every_result = [result for results in by_key.values() for _, result in results]
    _check_names(estimators, [cell.name for result in every_result for cell in result.cells])
    if len({label for of_problem in labeled for label in of_problem}) < 2:
        raise UsageError("fewer than two estimators have scores to compare; name more runs or more estimators")
    columns = _columns(every_result)
    of_problems: list[dict[str, OnProblem]] = []
    for problem, of_labels in zip(problems, labeled, strict=True):
        progress("comparing problems", len(of_problems), len(problems))
        of_problems.append({column.key: problem.on_column(column, of_labels) for column in columns})
    compared = [compared_column(column, [of[column.key] for of in of_problems]) for column in columns]
    return ComparedRuns(
        runs=tuple(paths),
        problems=tuple(problem.record for problem in problems),
        columns=tuple(column for column in compared if column is not None),
        versions=tuple(_versions(versioned, labeled)),
    )


def _columns(results: Iterable[Result]) -> list[ColumnRecord]:
    """Every column that a run has, each once, in the order of the runs."""
    found: dict[str, ColumnRecord] = {}
    for result in results:
        for column in result.columns:
            found.setdefault(column.key, column)
    return list(found.values())


def _run_names(directories: Sequence[Path]) -> dict[str, Path]:
    """Runs by the names of their directories, or by their paths where two have one name."""
    short = [path.resolve().name for path in directories]
    names = [name if short.count(name) == 1 else str(path) for name, path in zip(short, directories, strict=True)]
    if twice := [name for name in names if names.count(name) > 1]:
        raise UsageError(f"run {twice[0]} is named twice")
    return dict(zip(names, directories, strict=True))


def _check_names(named: Collection[str], known: list[str]) -> None:
    for name in named:
        if name not in known:
            hint = did_you_mean(name, known) or f"; they have {', '.join(dict.fromkeys(known))}"
            raise UnknownNameError(f"no run has an estimator {name!r}{hint}")


def _read(
    key: str, results: list[tuple[str, Result]], paths: Mapping[str, Path], estimators: Collection[str]
) -> _Problem:
    """One problem from all runs that have it."""
    scores, places = [], {}
    for run, result in results:
        for cell in result.cells:
            if not cell.scores:
                continue
            places[run] = cell.scores
            if not estimators or cell.name in estimators:
                scores.append(_Scores(run, cell.name, cell.draws, read_scores(paths[run], cell.scores)))
    for run, result in results:
        if run not in places:
            raise UsageError(f"{paths[run]} holds no scores of {result.problem.name}: every estimator failed")
    stored = {run: read_yardsticks(paths[run], result.problem.name) for run, result in results}
    yardsticks, source = _yardsticks(results, stored)
    trust = {column: of.trust[column] for column, of in source.items() if column in of.trust}
    first_run, first = results[0]
    record = ComparedProblem(
        name=first.problem.name,
        key=key,
        dataset=_dataset(first.problem.dataset),
        n_seeds=max((one.n_seeds for one in trust.values()), default=1),
        runs=tuple(run for run, _ in results),
        ceilings={column: trust[column].ceiling if column in trust else UNKNOWN for column in yardsticks},
    )
    truth = read_scores(paths[first_run], truth_beside(places[first_run]))
    points = repr((truth["train_ids"].tolist(), truth["test_ids"].tolist(), first.problem.dataset))
    derived = {column for column in yardsticks if any(has_derived_scores(arrays, column) for arrays in stored.values())}
    above_noise = {column for column, of in source.items() if _is_above_noise(of, column)}
    return _Problem(record, points, yardsticks, derived, above_noise, scores)


def _dataset(selector: str) -> str:
    """The data set of a selector, whatever its sizes: points of one data set are not a new sample of data sets."""
    try:
        named = parse_selector(selector)
    except UsageError:  # a name that a notebook made
        return selector
    parameters = {key: value for key, value in named.parameters.items() if key not in ("n_train", "n_test")}
    return str(replace(named, parameters=parameters))


def _is_above_noise(result: Result, column: str) -> bool:
    """True if the run gave any estimator a share of the ceiling, which it does where the truth is above noise."""
    found = [cell.columns[column] for cell in result.cells if column in cell.columns]
    return any(agreement.of_ceiling.value is not None for agreement in found)


def _yardsticks(
    results: list[tuple[str, Result]], stored: Mapping[str, Arrays]
) -> tuple[dict[str, Yardstick], dict[str, Result]]:
    """Of each column the yardstick with most rows and seeds, and the result of the run that stored it."""
    yardsticks: dict[str, Yardstick] = {}
    source: dict[str, Result] = {}
    for column in _columns(result for _, result in results):
        most = (0, 0, 0)
        for run, result in results:
            yardstick = read_yardstick(stored[run], column.key)
            if yardstick is not None and (size := _size(result, column.key, yardstick)) > most:
                most, yardsticks[column.key], source[column.key] = size, yardstick, result
    return yardsticks, source


def _size(result: Result, key: str, yardstick: Yardstick) -> tuple[int, int, int]:
    """Rows, seeds, and runs in hand of a column; seeds are of its judge, as not every column has a reliability."""
    column = result.column(key)
    of_judge = {one.key for one in result.columns if one.judge == column.judge}
    n_seeds = max((trust.n_seeds for one, trust in result.trust.items() if one in of_judge), default=0)
    return column.n_rows, n_seeds, len(yardstick.effects)


def _versioned(problems: Sequence[_Problem]) -> set[str]:
    """Names whose scores differ between runs of one problem."""
    return {
        one.name
        for problem in problems
        for one in problem.scores
        for other in problem.scores
        if one.name == other.name and one.run != other.run and not one.equal(other)
    }


def _labeled(problem: _Problem, versioned: Collection[str]) -> dict[str, _Scores]:
    """Scores by label. Several runs that stored the same scores are one, with what any judge of theirs derived."""
    labeled: dict[str, _Scores] = {}
    for one in problem.scores:
        label = _label(one, versioned)
        known = labeled.get(label)
        labeled[label] = one if known is None else replace(known, tensors={**one.tensors, **known.tensors})
    return labeled


def _label(scores: _Scores, versioned: Collection[str]) -> str:
    return f"{scores.name}@{scores.run}" if scores.name in versioned else scores.name


def _versions(versioned: Collection[str], labeled: Sequence[Mapping[str, _Scores]]) -> list[tuple[str, ...]]:
    """The labels of each versioned name, in the order of the runs."""
    every = {label: scores.name for of_problem in labeled for label, scores in of_problem.items()}
    return [tuple(label for label, of in every.items() if of == name) for name in sorted(versioned)]
