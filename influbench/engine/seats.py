"""One judge on one problem: what it needs, and what it holds scores against, with a stranger's code kept apart."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from torch import Tensor

from influbench.api import Column, Estimate, Judge, JudgedProblem, Work
from influbench.engine.obstacles import Obstacle, in_words
from influbench.errors import JudgeError, printable, whole_traceback
from influbench.isolation import isolated
from influbench.statistics.yardsticks import Yardstick

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Seat:
    """A judge on a problem, with the columns and trainings that it asked for; or what keeps it from judging there."""

    name: str  # the selector
    supplied: str  # the selector, and by whom unless it is influbench's own
    judge: Judge | None
    problem: JudgedProblem
    columns: Sequence[Column] = ()
    works: Sequence[Work[Any]] = ()
    obstacle: Obstacle | None = None

    @property
    def derives_scores(self) -> bool:
        """True if the judge has its own rule for the part of an estimate that is compared."""
        return self.judge is not None and type(self.judge).scores is not Judge.scores

    def yardsticks(self, trained: Sequence[Any], step: int) -> dict[str, Yardstick]:
        """The yardsticks after this step, by column. Raises JudgeError, and whatever the judge raises."""
        judge = self.judge
        assert judge is not None
        with isolated(self.problem.seed):
            found: object = judge.yardsticks(self.problem, trained, step=step)
        if not isinstance(found, Mapping):
            raise JudgeError(f"yardsticks returned a {type(found).__name__}, expected a mapping of keys to Yardsticks")
        known = {column.key for column in self.columns}
        for key, yardstick in found.items():
            if key not in known:
                raise JudgeError(f"yardsticks returned the column {key!r}, which is not one of {sorted(known)}")
            _check_yardstick(key, yardstick)
        return dict(found)

    def held(self, estimate: Estimate, column: Column, yardstick: Yardstick) -> Tensor | None:
        """The part of an estimate that is compared in this column, (n_rows, n_columns). Raises as `yardsticks` does."""
        judge = self.judge
        assert judge is not None
        with isolated(self.problem.seed):
            scores: object = judge.scores(estimate, column)
        if scores is None:
            return None
        if not isinstance(scores, Tensor):
            raise JudgeError(f"scores returned a {type(scores).__name__}, expected a torch.Tensor or None")
        held = yardstick.held(scores.detach().cpu())
        if held.shape != yardstick.mean.shape:
            raise JudgeError(
                f"scores for {column.key!r} have shape {tuple(held.shape)}, and the yardstick has "
                f"{tuple(yardstick.mean.shape)}"
            )
        return held

    def estimand(self, trained: Sequence[Any]) -> str:
        """The judge's estimand, in words."""
        judge = self.judge
        assert judge is not None
        with isolated(self.problem.seed):
            return printable(str(judge.estimand(self.problem, trained)))


def seated(name: str, supplied: str, judge: Judge, problem: JudgedProblem) -> Seat:
    """The judge on this problem, asked for everything that is known before training."""
    empty = Seat(name, supplied, judge, problem)
    try:
        with isolated(problem.seed):
            reason: object = judge.unsupported(problem)
        if reason is not None:
            return _with_obstacle(empty, Obstacle("unsupported", _checked_reason(reason)))
        with isolated(problem.seed):
            columns, works = tuple(judge.columns(problem)), tuple(judge.trainings(problem))
        _check_columns(columns)
        _check_works(works)
        return Seat(name, supplied, judge, problem, columns, works)
    except Exception as error:
        return _with_obstacle(empty, failure(supplied, error))


def attempt(supplied: str, call: Callable[[], T]) -> T | Obstacle:
    """The result of the call, or the obstacle that it raised."""
    try:
        return call()
    except Exception as error:
        return failure(supplied, error)


def failure(supplied: str, error: Exception) -> Obstacle:
    """A judge's error, as a report shows it."""
    return Obstacle("failed", in_words(error, supplied), whole_traceback())


def _with_obstacle(seat: Seat, obstacle: Obstacle) -> Seat:
    return Seat(seat.name, seat.supplied, seat.judge, seat.problem, obstacle=obstacle)


def _checked_reason(reason: object) -> str:
    if not isinstance(reason, str) or not reason.strip():
        raise JudgeError(f"unsupported returned {reason!r}, expected a sentence or None")
    return printable(reason)


def _check_columns(columns: Sequence[object]) -> None:
    if not columns:
        raise JudgeError("columns returned no column; return at least one, or a reason in `unsupported`")
    for column in columns:
        if not isinstance(column, Column):
            raise JudgeError(f"columns returned a {type(column).__name__}, expected influbench.Column")
        if column.quantity not in ("influence", "memorization"):
            raise JudgeError(
                f"column {column.key!r} has the quantity {column.quantity!r}; write influence or memorization"
            )
    keys = [column.key for column in columns if isinstance(column, Column)]
    if twice := [key for key in keys if keys.count(key) > 1]:
        raise JudgeError(f"columns returned {twice[0]!r} twice; each key must be unique")


def _check_works(works: Sequence[object]) -> None:
    for work in works:
        if not isinstance(work, Work):
            raise JudgeError(f"trainings returned a {type(work).__name__}, expected influbench.Work")


def _check_yardstick(key: str, yardstick: object) -> None:
    if not isinstance(yardstick, Yardstick):
        raise JudgeError(f"yardsticks returned a {type(yardstick).__name__} for {key!r}, expected a Yardstick")
    effects = yardstick.effects
    if not isinstance(effects, Tensor) or effects.ndim != 3 or not effects.is_floating_point():
        raise JudgeError(f"the yardstick of {key!r} must hold floating-point effects (n_seeds, n_rows, n_columns)")
    if not effects.isfinite().all():
        raise JudgeError(f"the yardstick of {key!r} holds effects that are not finite")
