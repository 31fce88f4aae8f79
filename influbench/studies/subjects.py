"""The problems of a plan, in the form that a study receives."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar

from influbench.api import Estimate, Subject, Truth, Work
from influbench.engine.estimating import estimated
from influbench.engine.obstacles import in_words
from influbench.engine.preparation import Candidate, Prepared, prepare
from influbench.errors import InflubenchError, PluginError, UnknownNameError, UsageError, did_you_mean
from influbench.estimators.turn_over_dropout.estimator import TurnOverDropout
from influbench.plan import Plan
from influbench.problem import TrainingProblem
from influbench.registry import Registry, parse_selector
from influbench.resources import Progress, Resources
from influbench.results import Fit
from influbench.seeds import derive
from influbench.shards import trained
from influbench.truth.fit import OrdinaryTrainings

T = TypeVar("T")


class PreparedSubject(Subject):
    """A problem prepared by the engine, for the study of this name."""

    def __init__(
        self, prepared: Prepared, *, study: str, root_seed: int, resources: Resources, progress: Progress
    ) -> None:
        self.name, self.data = prepared.plan.name, prepared.trainer.data
        self.drawn, self.wrong = prepared.labels.drawn, prepared.labels.wrong
        self.prepared, self.resources, self.progress = prepared, resources, progress
        self._study, self._root_seed = study, root_seed

    def seed(self, *labels: str) -> int:
        return derive(self._root_seed, "study", self._study, *labels)

    def problem(self, *labels: str) -> TrainingProblem:
        seed = self.seed(*labels)
        return TrainingProblem(
            self.prepared.trainer, seed=seed, bank_seed=derive(seed, "bank"), resources=self.resources
        )

    def truth(self) -> Truth:
        work = replace(self.prepared.judged.ground_truth, reliability=None)
        return self.trained(work, what=f"ground truth of {self.name}")

    def estimate(self, estimator: str, *, repeat: int = 0) -> Estimate:
        candidate = candidate_of(self, estimator)
        if not 0 <= repeat < len(candidate.problems):
            raise UsageError(f"repeat {repeat} was asked for, and the plan has repeats = {len(candidate.problems)}")
        return estimate_of(candidate, repeat)

    def trained(self, work: Work[T], *, what: str) -> T:
        return trained(work, self.resources, what=what, progress=self.progress)


def subjects_of(
    plan: Plan, registry: Registry, *, study: str, resources: Resources, progress: Progress
) -> list[PreparedSubject]:
    """All problems of a resolved plan, for the study of this name. UsageError if a problem is invalid."""
    prepared, refused = prepare(plan, registry, named=plan.estimators, resources=resources)
    if refused:
        raise UsageError(f"{refused[0].problem} cannot be studied: {refused[0].reason}")
    return [
        PreparedSubject(problem, study=study, root_seed=plan.seed, resources=resources, progress=progress)
        for problem in prepared
    ]


def check_estimators(subjects: Sequence[Subject]) -> None:
    """Raise UsageError if one of the estimators cannot run on one of the problems."""
    for subject in subjects:
        for candidate in subject.prepared.candidates:
            if candidate.obstacle is not None:
                raise UsageError(f"{candidate.supplied} cannot run on {subject.name}: {candidate.obstacle.reason}")


def candidate_of(subject: Subject, estimator: str) -> Candidate:
    """The estimator of this name in the plan, ready to run on the subject. UnknownNameError if it is not there."""
    name, candidates = str(parse_selector(estimator)), subject.prepared.candidates
    for candidate in candidates:
        if str(candidate.selector) == name:
            return candidate
    known = [str(candidate.selector) for candidate in candidates]
    hint = did_you_mean(name, known) or f"; they are {', '.join(known)}"
    raise UnknownNameError(f"{name} is not one of the estimators of this study's plan{hint}")


def estimate_of(candidate: Candidate, repeat: int) -> Estimate:
    """The predictions of an estimator in one of its repeats. An error names the estimator and its distribution."""
    view, estimator, who = candidate.problems[repeat], candidate.estimator, candidate.supplied
    assert estimator is not None
    try:
        (estimate,) = estimated(estimator, view, who=who)
    except InflubenchError as error:
        raise type(error)(in_words(error, who)) from error
    except Exception as error:
        raise PluginError(in_words(error, who)) from error
    return estimate


def fit_of(subject: Subject) -> Fit:
    """The accuracy of ordinary trainings with the seeds of the plan's truth, trained now if they are not stored."""
    work = OrdinaryTrainings.of(subject.prepared.judged.ground_truth)
    return subject.trained(work, what=f"accuracy on {subject.name}")


def with_masks_of_units(candidate: Candidate) -> TurnOverDropout:
    """The candidate as a turn-over dropout. UsageError if it is another estimator or its masks gate whole members."""
    estimator = candidate.estimator
    if not isinstance(estimator, TurnOverDropout) or estimator.units == "member":
        raise UsageError(f"{candidate.selector} has no masks of units; name a turn_over_dropout, in the plan or by -e")
    return estimator
