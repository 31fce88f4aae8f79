"""The scores of each turn-over dropout on each problem, split into the terms that terms.py defines."""

from collections.abc import Sequence

from influbench.api import Subject, Truth
from influbench.engine.preparation import Candidate
from influbench.estimators.turn_over_dropout.sealing import sealing
from influbench.plan import Plan
from influbench.results import Fit
from influbench.statistics.correlation import whole_table, within_classes
from influbench.statistics.yardsticks import Yardstick
from influbench.studies.decomposition.record import Decomposed, DecompositionRecord, Estimand, Term
from influbench.studies.decomposition.retraining import MaskedRetraining
from influbench.studies.decomposition.terms import Halves, against_effects, in_shares
from influbench.studies.subjects import fit_of, with_masks_of_units


def check(subjects: Sequence[Subject]) -> None:
    """Raise UsageError if an estimator is not a turn-over dropout with masks of units."""
    for subject in subjects:
        for candidate in subject.prepared.candidates:
            with_masks_of_units(candidate)


def found(plan: Plan, subjects: Sequence[Subject]) -> DecompositionRecord:
    """The terms of the scores of each turn-over dropout on each problem."""
    decomposed = []
    for subject in subjects:
        truth, fit = subject.truth(), fit_of(subject)
        for candidate in subject.prepared.candidates:
            estimator, seed = with_masks_of_units(candidate), candidate.problems[0].seed
            retraining = MaskedRetraining(subject.prepared.trainer, estimator, seed)
            halves = subject.trained(retraining, what=f"{candidate.selector} on {subject.name}")
            decomposed.append(_decomposed(subject.name, candidate, retraining, *halves, truth, fit))
    return DecompositionRecord(plan=plan.name, seed=plan.seed, n_seeds=plan.truth.seeds, decomposed=tuple(decomposed))


def _decomposed(
    problem: str,
    candidate: Candidate,
    retraining: MaskedRetraining,
    influence: Halves,
    memorization: Halves | None,
    truth: Truth,
    fit: Fit,
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
        problem=problem,
        estimator=str(candidate.selector),
        sealed_share=found.share,
        n_trainings=retraining.n_trainings,
        influence=in_shares(influence.all, everywhere, truth.influence.mean(0)),
        memorization=terms_of_memorization,
        estimands=estimands,
        fit=fit,
    )
