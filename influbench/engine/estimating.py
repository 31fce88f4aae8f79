"""One estimator on one problem: run apart from the process, checked, and what it changed put back."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import torch

from influbench.api import Estimate, Estimator
from influbench.engine.boundary import Pristine, checked_estimate, checked_trace
from influbench.errors import EstimateError, ModelError, printable
from influbench.isolation import isolated
from influbench.problem import TrainingProblem
from influbench.registry import changed_on_import


def estimated(estimator: Estimator, problem: TrainingProblem, *, who: str, steps: Sequence[int] = ()) -> list[Estimate]:
    """The checked estimates of an estimator, after each of `steps` if it can be traced; otherwise one estimate.

    Raises what the estimator raises, and EstimateError where it owes something else or wrote into what it was given.
    `who` is whom a note names that had to put a setting back.
    """
    with Pristine(problem).guarded(), isolated(problem.seed) as put_back:
        traced = estimator.trace(problem, steps) if steps else None
        if traced is None:
            found = [checked_estimate(estimator.estimate(problem), problem.data)]
        else:
            found = checked_trace(traced, problem.data, n_steps=len(steps))
    notes = tuple(_notes(put_back, changed_on_import(type(estimator)), who=who))
    return [replace(estimate, notes=(*estimate.notes, *notes)) for estimate in found]


def same_scores(first: Estimate, second: Estimate) -> bool:
    """True if both estimates have the same scores, to the last bit."""
    pairs = ((first.influence, second.influence), (first.memorization, second.memorization))
    return all((x is None and y is None) or (x is not None and y is not None and torch.equal(x, y)) for x, y in pairs)


def refusal(estimator: Estimator, problem: TrainingProblem, pristine: Pristine) -> str | None:
    """The estimator's own reason why it cannot run on the problem, or None if it can.

    Raises what the estimator raises, and EstimateError as above.
    """
    with pristine.guarded("unsupported"), isolated(problem.seed):
        try:
            reason: object = estimator.unsupported(problem)
        except ModelError as error:
            reason = str(error)
    if reason is None:
        return None
    if not isinstance(reason, str):
        raise EstimateError(f"unsupported returned {reason!r}, expected a sentence or None")
    if not reason.strip():
        raise EstimateError("unsupported returned an empty reason, expected a sentence or None")
    return printable(reason)


def _notes(changed: Sequence[str], on_import: Sequence[str], *, who: str) -> Iterator[str]:
    if changed:
        yield f"changed {' and '.join(changed)}, which is put back; {who} should do so itself, in a `finally`"
    if on_import:
        yield f"changed {' and '.join(on_import)} on import, which is put back; {who} should change it where it is used"
