"""One judge on one problem: what it needs, and what it holds scores against, with a stranger's code kept apart."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from typing import Any, TypeVar, get_args

from torch import Tensor

from influbench.api import Column, Estimate, Judge, JudgedProblem, Quantity, Work
from influbench.engine.boundary import Pristine
from influbench.engine.obstacles import Obstacle, in_words
from influbench.errors import JudgeError, printable, whole_traceback
from influbench.isolation import isolated
from influbench.statistics.yardsticks import MEASUREMENTS, Yardstick

T = TypeVar("T")

_KEY = re.compile(r"[\w.-]+")  # keys name tensors and rows of tables


@dataclass(frozen=True, eq=False)
class Seat:
    """A judge on a problem, with the columns and trainings that it asked for; or what keeps it from judging there."""

    name: str  # the selector
    supplied: str  # the selector, and by whom unless it is influbench's own
    judge: Judge
    problem: JudgedProblem
    columns: Sequence[Column] = ()
    works: Sequence[Work[Any]] = ()
    runs: Sequence[int] = ()  # the truth's seeds whose runs are handed to the estimators
    obstacle: Obstacle | None = None
    pristine: Pristine | None = None

    @contextmanager
    def apart(self, what: str) -> Iterator[None]:
        """Within, the judge does `what`: the process's state is put back, and so is whatever it wrote into."""
        with self.guarded(what), isolated(self.problem.seed):
            yield

    def guarded(self, what: str) -> AbstractContextManager[None]:
        """Within, what is written into data, model and recipe is put back; EstimateError if that was needed."""
        return nullcontext() if self.pristine is None else self.pristine.guarded(what)

    @property
    def derives_scores(self) -> bool:
        """True if the judge has its own rule for the part of an estimate that is compared."""
        return type(self.judge).scores is not Judge.scores

    def yardsticks(self, trained: Sequence[Any], step: int) -> dict[str, Yardstick]:
        """The yardsticks after this step, by column. Raises JudgeError, and whatever the judge raises."""
        with self.apart("yardsticks"):
            found: object = self.judge.yardsticks(self.problem, trained, step=step)
        if not isinstance(found, Mapping):
            raise JudgeError(f"yardsticks returned a {type(found).__name__}, expected a mapping of keys to Yardsticks")
        known = {column.key for column in self.columns}
        for key, yardstick in found.items():
            if key not in known:
                raise JudgeError(f"yardsticks returned the column {key!r}, which is not one of {sorted(known)}")
            _check_yardstick(key, yardstick)
            _check_pairs(key, yardstick, n_runs=len(self.runs))
        missing = sorted(known - found.keys())
        if missing and step == self.problem.n_steps:
            raise JudgeError(f"yardsticks returned nothing for the column {missing[0]!r} after the last step")
        return dict(found)

    def held(self, estimate: Estimate, column: Column, yardstick: Yardstick) -> Tensor | None:
        """The part of an estimate that is compared in this column, (n_rows, n_columns). Raises as `yardsticks` does."""
        with self.apart("scores"):
            scores: object = self.judge.scores(estimate, column)
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
        with self.apart("estimand"):
            return printable(str(self.judge.estimand(self.problem, trained)))


def seated(name: str, supplied: str, judge: Judge, problem: JudgedProblem, *, pristine: Pristine | None = None) -> Seat:
    """The judge on this problem, asked for everything that is known before training."""
    empty = Seat(name, supplied, judge, problem, pristine=pristine)
    try:
        with empty.apart("unsupported"):
            reason: object = judge.unsupported(problem)
        if reason is not None:
            return replace(empty, obstacle=Obstacle("unsupported", _checked_reason(reason)))
        with empty.apart("columns"):
            columns = tuple(judge.columns(problem))
        _check_columns(columns)
        with empty.apart("trainings"):
            works = tuple(judge.trainings(problem))
            _check_works(works)
        with empty.apart("runs_handed_over"):
            runs = tuple(judge.runs_handed_over(problem))
        _check_runs(runs, problem.n_seeds)
        return replace(empty, columns=columns, works=works, runs=runs)
    except Exception as error:
        return replace(empty, obstacle=failure(supplied, error))


def attempt(supplied: str, call: Callable[[], T]) -> T | Obstacle:
    """The result of the call, or the obstacle that it raised."""
    try:
        return call()
    except Exception as error:
        return failure(supplied, error)


def failure(supplied: str, error: Exception) -> Obstacle:
    """A judge's error, as a report shows it."""
    return Obstacle("failed", in_words(error, supplied), whole_traceback())


def _checked_reason(reason: object) -> str:
    if not isinstance(reason, str) or not reason.strip():
        raise JudgeError(f"unsupported returned {reason!r}, expected a sentence or None")
    return printable(reason)


def _check_runs(runs: Sequence[object], n_seeds: int) -> None:
    for run in runs:
        if not isinstance(run, int) or isinstance(run, bool) or not 0 <= run < n_seeds:
            raise JudgeError(f"runs_handed_over returned {run!r}, expected seeds of the truth, from 0 to {n_seeds - 1}")


def _check_columns(columns: Sequence[object]) -> None:
    if not columns:
        raise JudgeError("columns returned no column; return at least one, or a reason in `unsupported`")
    for column in columns:
        if not isinstance(column, Column):
            raise JudgeError(f"columns returned a {type(column).__name__}, expected influbench.Column")
        if not isinstance(column.key, str) or not _KEY.fullmatch(column.key):
            raise JudgeError(f"a column has the key {column.key!r}; write letters, digits, '_', '-' and '.' alone")
        if column.quantity not in get_args(Quantity):
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
        folder: object = work.folder
        if not isinstance(folder, str) or not folder:
            raise JudgeError(f"{type(work).__name__}.folder is {folder!r}, expected the path of a folder in the cache")
        names = list(work.names)
        if not names or len(set(names)) < len(names):
            raise JudgeError(f"{type(work).__name__}.names is {names!r}, expected at least one name, each once")


def _check_yardstick(key: str, yardstick: object) -> None:
    if not isinstance(yardstick, Yardstick):
        raise JudgeError(f"yardsticks returned a {type(yardstick).__name__} for {key!r}, expected a Yardstick")
    effects, what = yardstick.effects, f"the yardstick of {key!r}"
    if not isinstance(effects, Tensor) or effects.ndim != 3 or not effects.is_floating_point():
        raise JudgeError(f"{what} must hold floating-point effects (n_seeds, n_rows, n_columns)")
    if not effects.numel():
        raise JudgeError(f"{what} has effects of shape {tuple(effects.shape)}, expected at least one of each")
    if not effects.isfinite().all():
        raise JudgeError(f"{what} holds effects that are not finite")
    if yardstick.statistic not in MEASUREMENTS:
        raise JudgeError(f"{what} has the statistic {yardstick.statistic!r}; known are {', '.join(MEASUREMENTS)}")
    if yardstick.statistic == "auroc" and not ((effects == 0) | (effects == 1)).all():
        raise JudgeError(f"{what} is for the area under the ROC curve, and its effects are not all 0 or 1")
    weights = yardstick.weights
    if weights is not None and (weights.ndim != 2 or len(weights) != effects.shape[1] or not weights.isfinite().all()):
        raise JudgeError(
            f"{what} has weights of shape {tuple(weights.shape)}, expected finite ones of shape (n_rows, n_train), "
            f"with {effects.shape[1]} rows"
        )
    _check_blocks(what, yardstick)


def _check_pairs(key: str, yardstick: Yardstick, *, n_runs: int) -> None:
    if yardstick.paired and not n_runs:
        raise JudgeError(f"the yardstick of {key!r} is paired, and runs_handed_over returned no run to pair it with")
    if n_runs and not yardstick.paired:
        raise JudgeError(f"the yardstick of {key!r} is not paired, and runs_handed_over returned {n_runs} runs")
    if n_runs and len(yardstick.effects) != n_runs:
        raise JudgeError(
            f"the yardstick of {key!r} has the effects of {len(yardstick.effects)} runs, and runs_handed_over returned "
            f"{n_runs}"
        )


def _check_blocks(what: str, yardstick: Yardstick) -> None:
    _, n_rows, n_columns = yardstick.effects.shape
    if not yardstick.blocks:
        raise JudgeError(f"{what} has no blocks; whole_table(n_rows, n_columns) is one of all rows and columns")
    for block in yardstick.blocks:
        for name, places, n in (("row", block.rows, n_rows), ("column", block.columns, n_columns)):
            if len(places) and not 0 <= int(places.min()) <= int(places.max()) < n:
                raise JudgeError(f"{what} has a block with {name} {int(places.max())}, and there are {n} {name}s")
