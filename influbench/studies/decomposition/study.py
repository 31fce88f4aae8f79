"""The study over the problems of a plan."""

from collections.abc import Callable
from dataclasses import replace

from influbench.api import Truth
from influbench.engine.preparation import Candidate, Prepared, resolved
from influbench.estimators.turn_over_dropout.sealing import sealing
from influbench.plan import Plan
from influbench.registry import Registry, installed
from influbench.resources import Progress, Resources, no_progress
from influbench.results import Decomposed, DecompositionStudy, Estimand, Term
from influbench.shards import trained
from influbench.statistics.correlation import whole_table, within_classes
from influbench.statistics.yardsticks import Yardstick
from influbench.studies.decomposition.retraining import MaskedRetraining
from influbench.studies.decomposition.terms import Halves, against_effects, in_shares
from influbench.studies.preparation import check_estimators, prepared_for_study, with_masks_of_units


def decomposition(
    plan: Plan,
    *,
    registry: Registry | None = None,
    resources: Resources | None = None,
    progress: Progress = no_progress,
    ready: Callable[[], None] = lambda: None,
) -> DecompositionStudy:
    """Take the scores of each of the plan's turn-over dropouts apart, on each of its problems.

    `ready` is called when all is checked and nothing trained. UsageError before that where an estimator is another,
    gates whole members, or cannot run on a problem, or a problem is refused.
    """
    registry, resources = registry or installed(), resources or Resources()
    plan = resolved(plan, registry)
    prepared = prepared_for_study(plan, registry, resources=resources)
    chosen = [[(one, with_masks_of_units(one)) for one in problem.candidates] for problem in prepared]
    for problem in prepared:
        check_estimators(problem)
    ready()
    decomposed = []
    for problem, of_problem in zip(prepared, chosen, strict=True):
        what = f"ground truth of {problem.plan.name}"
        truth = trained(replace(problem.judged.ground_truth, reliability=None), resources, what=what, progress=progress)
        for candidate, estimator in of_problem:
            retraining = MaskedRetraining(problem.trainer, estimator, candidate.problems[0].seed)
            what = f"{candidate.selector} on {problem.plan.name}"
            halves = trained(retraining, resources, what=what, progress=progress)
            decomposed.append(_decomposed(problem, candidate, retraining, *halves, truth))
    return DecompositionStudy(plan=plan.name, seed=plan.seed, n_seeds=plan.truth.seeds, decomposed=tuple(decomposed))


def _decomposed(
    problem: Prepared,
    candidate: Candidate,
    retraining: MaskedRetraining,
    influence: Halves,
    memorization: Halves | None,
    truth: Truth,
) -> Decomposed:
    view, estimator = candidate.problems[0], retraining.estimator
    train, test = view.data.train, view.data.test
    everywhere = whole_table(len(train), len(test))
    estimands: dict[str, tuple[Estimand, ...]] = {
        "influence": against_effects(influence, everywhere, Yardstick(truth.influence, everywhere))
    }
    terms_of_memorization: tuple[Term, ...] = ()
    if memorization is not None and truth.memorization is not None:
        within, one_column = within_classes(train.labels, test.labels), whole_table(len(train), 1)
        estimands["within_class"] = against_effects(influence, within, Yardstick(truth.influence, within))
        of_memorization = Yardstick(truth.memorization[:, :, None], one_column)
        estimands["memorization"] = against_effects(memorization, one_column, of_memorization)
        terms_of_memorization = in_shares(memorization.all, one_column, of_memorization.mean)
    found = sealing(view, estimator.masks(view), frozen=estimator.frozen(view))
    return Decomposed(
        problem=problem.plan.name,
        estimator=str(candidate.selector),
        sealed_share=found.share,
        n_trainings=retraining.n_trainings,
        influence=in_shares(influence.all, everywhere, truth.influence.mean(0)),
        memorization=terms_of_memorization,
        estimands=estimands,
    )
