"""The contract that every judge must keep."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import cloudpickle
import torch
from torch import Tensor

from influbench.api import Column, Estimate, Judge
from influbench.engine.seats import Seat, seated
from influbench.process import changes
from influbench.shards import trained
from influbench.statistics.yardsticks import Yardstick
from influbench.testing.checks import (
    Check,
    ContractError,
    NotApplicable,
    Promise,
    assert_unchanged,
    checks_of,
    instance,
)
from influbench.testing.problems import blobs, line, scratch, small_judged_problem
from influbench.truth.judged_problem import TruthProblem

_STEPS = (2,)  # a step besides the last one, for judges that can be traced
_N_SEEDS = 4  # as many as the built-in judges need, so that judges of variances and of single runs are checked as well
_N_WRONG = 10  # of 20 train labels, so that there are enough wrong and right ones for an area under the ROC curve


def judge_checks(judge: str | Judge) -> list[Check]:
    """The contract of judges for one of them, an instance or its selector: a list of checks to be called.

    The checks use small problems of influbench, one with classes (some labels wrong) and one for regression.
    `Judge.exempt` declares exceptions.
    """
    judge = instance("judge", judge)
    return checks_of(_PROMISES, _Subject(judge), judge)


@dataclass(frozen=True)
class _Subject:
    judge: Judge

    @cached_property
    def problems(self) -> Mapping[str, TruthProblem]:
        return {
            "classes": small_judged_problem(blobs(), steps=_STEPS, n_seeds=_N_SEEDS, n_wrong=_N_WRONG),
            "regression": small_judged_problem(line(), steps=_STEPS, n_seeds=_N_SEEDS),
        }

    @cached_property
    def seats(self) -> dict[str, Seat]:
        """The judge on each problem on which it can run. ContractError if it raises or cannot run on any of them."""
        name, found, reasons = type(self.judge).__name__, {}, []
        for kind, problem in self.problems.items():
            seat = seated(name, name, self.judge, problem)
            if seat.obstacle is None:
                found[kind] = seat
            elif seat.obstacle.status == "failed":
                raise ContractError(f"on {kind}: {seat.obstacle.reason}")
            else:
                reasons.append(f"{kind}: {seat.obstacle.reason}")
        if not found:
            raise ContractError(
                f"it cannot run on any of the small problems ({'; '.join(reasons)})",
                "return None from `unsupported` if it can run",
            )
        return found

    def results(self, kind: str) -> list[Any]:
        """The results of its trainings on one of the problems, stored for all checks."""
        return [trained(work, scratch()) for work in self.seats[kind].works]

    def yardsticks(self, kind: str, step: int) -> dict[str, Yardstick]:
        return self.seats[kind].yardsticks(self.results(kind), step)


def _columns_are_fixed(subject: _Subject) -> None:
    for seat in subject.seats.values():
        if tuple(subject.judge.columns(seat.problem)) != tuple(seat.columns):
            raise ContractError("`columns` differs from one call to the next")


def _trainings_are_found_again(subject: _Subject) -> None:
    for kind, seat in subject.seats.items():
        if not seat.works:
            continue
        again = subject.judge.trainings(seat.problem)
        if [(work.folder, list(work.names)) for work in again] != [(one.folder, list(one.names)) for one in seat.works]:
            raise ContractError(
                f"on {kind}, `trainings` asks for another folder or other names in a second call",
                "derive both from the problem and the judge's fields alone",
            )


def _trainings_travel(subject: _Subject) -> None:
    works = [work for seat in subject.seats.values() for work in seat.works]
    if not works:
        raise NotApplicable("it needs no trainings")
    for work in works:
        here = work.compute(work.names[0])
        there = cloudpickle.loads(cloudpickle.dumps(work)).compute(work.names[0])
        if not _same(here, there):
            raise ContractError(f"{type(work).__name__} computes a different result after it was pickled")


def _every_column_has_a_yardstick(subject: _Subject) -> None:
    for kind, seat in subject.seats.items():
        found = subject.yardsticks(kind, seat.problem.n_steps)
        if missing := [column.key for column in seat.columns if column.key not in found]:
            raise ContractError(f"on {kind}, a yardstick is missing for the column {missing[0]!r} after the last step")


def _earlier_steps_differ_or_are_left_out(subject: _Subject) -> None:
    for kind, seat in subject.seats.items():
        known = {column.key for column in seat.columns}
        for step in _STEPS:
            if unknown := set(subject.yardsticks(kind, step)) - known:
                raise ContractError(f"on {kind}, step {step} has the column {min(unknown)!r}, which the last one lacks")


def _scores_fit(subject: _Subject) -> None:
    for kind, seat in subject.seats.items():
        yardsticks = subject.yardsticks(kind, seat.problem.n_steps)
        for column in seat.columns:
            yardstick = yardsticks[column.key]
            held = seat.held(_estimate(seat, column), column, yardstick)
            if held is None:
                raise ContractError(f"on {kind}, it takes no scores for {column.key!r} from an estimate that has some")
            if yardstick.silence is not None:
                continue  # no scores have a value, and reports say why
            if yardstick.agreement([held] * max(1, len(seat.runs))).value is None:
                raise ContractError(
                    f"on {kind}, random scores have no value in {column.key!r}", "rank at least three rows"
                )


def _missing_scores_are_no_error(subject: _Subject) -> None:
    for kind, seat in subject.seats.items():
        yardsticks = subject.yardsticks(kind, seat.problem.n_steps)
        for column in seat.columns:
            other = Column("other", "other", "memorization" if column.quantity == "influence" else "influence")
            if seat.held(_estimate(seat, other), column, yardsticks[column.key]) is not None:
                raise ContractError(
                    f"on {kind}, it takes scores for {column.key!r} from an estimate without {column.quantity}",
                    f"return None from `scores` where {column.quantity} is None, or name the other quantity",
                )


def _is_deterministic(subject: _Subject) -> None:
    for kind, seat in subject.seats.items():
        once, twice = (subject.yardsticks(kind, seat.problem.n_steps) for _ in range(2))
        if any(not torch.equal(once[key].effects, twice[key].effects) for key in once):
            raise ContractError(f"on {kind}, two calls of `yardsticks` differ", "derive seeds from `problem.seed`")


def _leaves_the_process_alone(subject: _Subject) -> None:
    for kind, seat in subject.seats.items():
        results = subject.results(kind)
        with changes() as changed:
            subject.judge.yardsticks(seat.problem, results, step=seat.problem.n_steps)
        assert_unchanged(changed, type(subject.judge), "yardsticks")


def _estimate(seat: Seat, column: Column) -> Estimate:
    """Random scores for only the column's quantity."""
    n_train, n_test = len(seat.problem.data.train), len(seat.problem.data.test)
    generator = torch.Generator().manual_seed(0)
    if column.quantity == "influence":
        return Estimate(influence=torch.randn(n_train, n_test, generator=generator, dtype=torch.float64))
    return Estimate(memorization=torch.randn(n_train, generator=generator, dtype=torch.float64))


def _same(x: Mapping[str, Tensor], y: Mapping[str, Tensor]) -> bool:
    return x.keys() == y.keys() and all(torch.equal(x[name], y[name]) for name in x)


_PROMISES: Sequence[Promise] = [
    Promise(
        "columns",
        "names its columns before anything is trained, the same ones at each call",
        "return Columns with keys of their own from `columns`",
        _columns_are_fixed,
    ),
    Promise(
        "trainings",
        "asks for the same trainings each time",
        "return Works whose folder is a digest of everything that decides them: problem.key(...)",
        _trainings_are_found_again,
        needs="columns",
    ),
    Promise(
        "pickle",
        "has trainings that give the same results in other processes",
        "keep only picklable fields in a Work, and draw only from derived seeds in `compute`",
        _trainings_travel,
        needs="trainings",
    ),
    Promise(
        "yardsticks",
        "has a yardstick for each column after the last step",
        "return a Yardstick for every key in `columns`",
        _every_column_has_a_yardstick,
        needs="trainings",
    ),
    Promise(
        "steps",
        "returns only columns that it named, at earlier steps as well",
        "return an empty mapping for a step at which nothing is known",
        _earlier_steps_differ_or_are_left_out,
        needs="yardsticks",
    ),
    Promise(
        "scores",
        "accepts scores in the shape that an estimator returns",
        "let rows be train points, or give the Yardstick weights (n_rows, n_train)",
        _scores_fit,
        needs="yardsticks",
    ),
    Promise(
        "missing",
        "leaves out estimates that lack the quantity it needs",
        "return None from `scores`",
        _missing_scores_are_no_error,
        needs="scores",
    ),
    Promise(
        "deterministic",
        "gives the same yardsticks each time",
        "draw only from seeds derived from `problem.seed`",
        _is_deterministic,
        needs="yardsticks",
    ),
    Promise(
        "process",
        "leaves gradient mode, default dtype and device, the number of threads and others' generators unchanged",
        "restore settings in a `finally`, and draw only from torch's generator",
        _leaves_the_process_alone,
        needs="yardsticks",
    ),
]
