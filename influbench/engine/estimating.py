"""One estimator on one problem: run apart from the process, checked, and what it changed put back."""

from collections.abc import Sequence
from dataclasses import replace

from influbench.api import Estimate, Estimator
from influbench.engine.boundary import Pristine, checked_estimate
from influbench.engine.process import isolated
from influbench.errors import EstimateError
from influbench.problem import TrainingProblem


def estimated(estimator: Estimator, problem: TrainingProblem, *, who: str, steps: Sequence[int] = ()) -> list[Estimate]:
    """What the estimator returns, checked, after each of `steps` if it can be traced; otherwise one estimate.

    Raises what the estimator raises, and EstimateError where it owes something else or wrote into what it was given.
    `who` is whom a note names that had to put a setting back.
    """
    pristine, put_back = Pristine(problem), list[str]()
    try:
        with isolated(problem.seed) as put_back:
            traced = estimator.trace(problem, steps) if steps else None
            returned = [estimator.estimate(problem)] if traced is None else list(traced)
        if traced is not None and len(returned) != len(steps):
            raise EstimateError(f"traced {len(returned)} steps, expected {len(steps)}")
        found = [checked_estimate(one, problem.data) for one in returned]
    finally:
        if changed := pristine.restore():
            raise EstimateError(f"wrote into the {' and the '.join(changed)} it was given; work on a copy")
    if put_back:
        note = f"changed {' and '.join(put_back)}, which is put back; {who} should do so itself, in a `finally`"
        found = [replace(estimate, notes=(*estimate.notes, note)) for estimate in found]
    return found
