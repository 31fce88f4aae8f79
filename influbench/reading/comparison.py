"""Finished runs side by side: the same estimators on several problems, or several versions of one estimator.

Only run directories are read. Scores of all runs on one problem are held against one truth, that with most seeds, so
that every difference is between estimators on the same points.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from influbench.engine.judgement import recorded
from influbench.errors import UnknownNameError, UsageError, did_you_mean
from influbench.results import (
    UNKNOWN,
    ComparedColumn,
    ComparedProblem,
    ComparedRuns,
    OverProblems,
    Result,
    Results,
    Statistic,
    Where,
)
from influbench.statistics.comparison import statistic
from influbench.statistics.correlation import Block, mean_over_columns, spearman, whole_table, within_classes
from influbench.statistics.differences import differences, letters
from influbench.statistics.estimation import Estimation, repeated
from influbench.statistics.over_problems import mean_over_problems, mean_rank, rank_bounds, ranks
from influbench.store.run_directory import read_result, read_scores, truth_beside

_COLUMNS: tuple[Where, ...] = ("influence", "within_class", "memorization")

Estimations = dict[str, Estimation]  # by estimator
Progress = Callable[[str, int, int], None]  # what is done, how much of it, and of how much


@dataclass(frozen=True, eq=False)
class _Scores:
    """What one run stored of one estimator on one problem, by column: (n_train, n_test) or (n_train, 1) per repeat."""

    run: str
    name: str
    influence: Sequence[Tensor]
    memorization: Sequence[Tensor]

    def equal(self, other: "_Scores") -> bool:
        """Whether the two are of one version: the same scores, or the same in every repeat of both."""
        return _same(self.influence, other.influence) and _same(self.memorization, other.memorization)


def _same(mine: Sequence[Tensor], others: Sequence[Tensor]) -> bool:
    if len(mine) == len(others):
        return all(map(torch.equal, mine, others))
    return bool(mine) and all(torch.equal(mine[0], one) for one in [*mine, *others]) and bool(others)


@dataclass(frozen=True, eq=False)
class _Problem:
    """One problem with the scores of all runs."""

    record: ComparedProblem
    points: str  # which train and test points it has
    truth: Mapping[str, Tensor]
    regression: bool
    scores: list[_Scores]

    def estimations(self, where: Where, labelled: Mapping[str, _Scores]) -> Estimations:
        """Of each labelled estimator that has a value in this column."""
        if where == "memorization":
            truth = self.truth.get("memorization")
            return {} if truth is None else _agreements(labelled, "memorization", truth[:, None], None)
        blocks = None
        if where == "within_class":
            if self.regression:
                return {}
            blocks = within_classes(self.truth["train_labels"], self.truth["test_labels"])
        return _agreements(labelled, "influence", self.truth["influence"], blocks)


def compare(
    directories: Sequence[Path],
    *,
    estimators: Collection[str] = (),
    progress: Progress = lambda _what, _done, _all: None,
) -> ComparedRuns:
    """What these runs say of the estimators that they share, or of the named ones.

    An estimator of one name whose scores differ between runs of the same problem stands there once for each run, as
    NAME@RUN. UsageError where there is nothing to compare.
    """
    runs = {name: read_result(path) for name, path in _run_names(directories).items()}
    paths = dict(zip(runs, directories, strict=True))
    by_key: dict[str, list[tuple[str, Result]]] = {}
    for run, whole in runs.items():
        for result in whole.results if isinstance(whole, Results) else (whole,):
            if result.truth.key is None:
                raise UsageError(f"{paths[run]} was written by an earlier influbench; run its plan.toml again")
            by_key.setdefault(result.truth.key, []).append((run, result))
    problems = [_read(key, results, paths, estimators) for key, results in by_key.items()]
    versioned = _versioned(problems)
    labelled = [_labelled(problem, versioned) for problem in problems]
    _check_names(
        estimators, [cell.name for results in by_key.values() for _, result in results for cell in result.cells]
    )
    if len({label for of_problem in labelled for label in of_problem}) < 2:
        raise UsageError("there are no two estimators with scores to compare; name more runs or more estimators")
    of_problems: list[dict[Where, Estimations]] = []
    for problem, of_labels in zip(problems, labelled, strict=True):
        progress("comparing problems", len(of_problems), len(problems))
        of_problems.append({where: problem.estimations(where, of_labels) for where in _COLUMNS})
    columns = [_column(where, problems, [of[where] for of in of_problems]) for where in _COLUMNS]
    return ComparedRuns(
        runs=tuple(runs),
        problems=tuple(problem.record for problem in problems),
        columns=tuple(column for column in columns if column is not None),
        versions=tuple(_versions(versioned, labelled)),
    )


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
    run_of_truth, with_truth = max(results, key=lambda one: one[1].truth.n_seeds)
    scores, places = [], {}
    for run, result in results:
        stored: dict[str, str] = {cell.name: cell.scores for cell in result.cells if cell.scores}
        for name, place in stored.items():
            places[run] = place
            if not estimators or name in estimators:
                scores.append(_scores(run, name, read_scores(paths[run], place)))
    if run_of_truth not in places:
        raise UsageError(f"{paths[run_of_truth]} holds no scores of {with_truth.problem.name}: every estimator failed")
    truth = read_scores(paths[run_of_truth], truth_beside(places[run_of_truth]))
    trust = with_truth.truth.influence
    ceilings: dict[Where, Statistic] = {"influence": trust.ceiling}
    if trust.within_class is not None:
        ceilings["within_class"] = trust.within_class.ceiling
    if with_truth.truth.memorization is not None:
        ceilings["memorization"] = with_truth.truth.memorization.ceiling
    record = ComparedProblem(
        name=with_truth.problem.name,
        key=key,
        n_seeds=with_truth.truth.n_seeds,
        runs=tuple(run for run, _ in results),
        ceilings=ceilings,
    )
    points = repr((truth["train_ids"].tolist(), truth["test_ids"].tolist(), with_truth.problem.dataset))
    return _Problem(record, points, truth, with_truth.problem.n_classes is None, scores)


def _scores(run: str, name: str, tensors: Mapping[str, Tensor]) -> _Scores:
    def repeats(quantity: str) -> list[Tensor]:
        return [values for key, values in sorted(tensors.items()) if key.partition("@")[0] == quantity]

    return _Scores(run, name, repeats("influence"), [values[:, None] for values in repeats("memorization")])


def _versioned(problems: Sequence[_Problem]) -> set[str]:
    """Names whose scores differ between runs of one problem."""
    return {
        one.name
        for problem in problems
        for one in problem.scores
        for other in problem.scores
        if one.name == other.name and one.run != other.run and not one.equal(other)
    }


def _labelled(problem: _Problem, versioned: Collection[str]) -> dict[str, _Scores]:
    return {_label(one, versioned): one for one in problem.scores}


def _label(scores: _Scores, versioned: Collection[str]) -> str:
    return f"{scores.name}@{scores.run}" if scores.name in versioned else scores.name


def _versions(versioned: Collection[str], labelled: Sequence[Mapping[str, _Scores]]) -> list[tuple[str, ...]]:
    """The labels of each versioned name, in the order of the runs."""
    every = {label: scores.name for of_problem in labelled for label, scores in of_problem.items()}
    return [tuple(label for label, of in every.items() if of == name) for name in sorted(versioned)]


def _agreements(
    labelled: Mapping[str, _Scores], quantity: str, truth: Tensor, blocks: Sequence[Block] | None
) -> Estimations:
    """Agreement of each that speaks of the quantity and has a value."""
    found = {}
    for label, scores in labelled.items():
        repeats: Sequence[Tensor] = getattr(scores, quantity)
        parts = [
            mean_over_columns(spearman, one.double(), truth.double(), blocks or whole_table(*truth.shape)).estimation
            for one in repeats
        ]
        defined = [part for part in parts if part is not None]
        if defined and len(defined) == len(parts):
            found[label] = repeated(defined)
    return found


def _column(where: Where, problems: Sequence[_Problem], of_problems: Sequence[Estimations]) -> ComparedColumn | None:
    """One column over all problems; None if fewer than two estimators ever have a value in it."""
    names = list(dict.fromkeys(name for of_problem in of_problems for name in of_problem))
    if len(names) < 2:
        return None
    in_common = [place for place, of_problem in enumerate(of_problems) if len(of_problem) == len(names)]
    pairs = [differences(of_problem) for of_problem in of_problems]
    means = _means([of_problems[place] for place in in_common], [problems[place].points for place in in_common])
    between = differences(means)
    ordered = sorted(names, key=lambda name: -means[name].value if name in means else 0.0)
    letter = letters(ordered, between) if means else {}
    rank = [ranks({name: one.value for name, one in of_problems[place].items()}) for place in in_common]
    bounds = [rank_bounds(names, pairs[place]) for place in in_common]
    beaten = [{one.second for one in of_problem if one.is_clear} for of_problem in pairs]
    estimators = tuple(
        OverProblems(
            name=name,
            mean=statistic(means.get(name)),
            rank=mean_rank([of[name] for of in rank], [of[name] for of in bounds]) if in_common else UNKNOWN,
            letters=letter.get(name),
            by_problem=tuple(statistic(of[name]) if name in of else None for of in of_problems),
            not_clearly_behind=tuple(
                name in of and name not in worse for of, worse in zip(of_problems, beaten, strict=True)
            ),
        )
        for name in ordered
    )
    comparisons = tuple(recorded(where, between))
    return ComparedColumn(where=where, in_common=tuple(in_common), estimators=estimators, comparisons=comparisons)


def _means(of_problems: Sequence[Estimations], points: Sequence[str]) -> Estimations:
    """The mean over problems of each estimator; problems with the same points are grouped."""
    if not of_problems:
        return {}
    groups: dict[str, list[Estimations]] = {}
    for of_problem, of_points in zip(of_problems, points, strict=True):
        groups.setdefault(of_points, []).append(of_problem)
    return {
        name: mean_over_problems([[of_problem[name] for of_problem in group] for group in groups.values()])
        for name in of_problems[0]
    }
