"""The problems of a plan, as a study takes them."""

from influbench.engine.preparation import Candidate, Prepared, prepare
from influbench.errors import UsageError
from influbench.estimators.turn_over_dropout.estimator import TurnOverDropout
from influbench.plan import Plan
from influbench.registry import Registry
from influbench.resources import Resources


def prepared_for_study(plan: Plan, registry: Registry, *, resources: Resources) -> list[Prepared]:
    """Every problem of a resolved plan with its estimators. UsageError where a problem is refused."""
    prepared, refused = prepare(plan, registry, named=plan.estimators, resources=resources)
    if refused:
        raise UsageError(f"{refused[0].problem} cannot be studied: {refused[0].reason}")
    return prepared


def check_estimators(problem: Prepared) -> None:
    """UsageError where one of the problem's estimators cannot run on it."""
    for candidate in problem.candidates:
        if candidate.obstacle is not None:
            raise UsageError(f"{candidate.supplied} cannot run on {problem.plan.name}: {candidate.obstacle.reason}")


def with_masks_of_units(candidate: Candidate) -> TurnOverDropout:
    """The turn-over dropout that a candidate is. UsageError if it is another estimator, or gates whole members."""
    estimator = candidate.estimator
    if not isinstance(estimator, TurnOverDropout) or estimator.units == "member":
        raise UsageError(f"{candidate.selector} has no masks of units; name a turn_over_dropout, in the plan or by -e")
    return estimator
