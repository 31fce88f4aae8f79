"""The effects of the groups of each problem; findings.py defines the claims about them."""

from collections.abc import Sequence

import torch
from torch import Tensor

from influbench.api import Subject
from influbench.errors import DataError
from influbench.plan import Plan
from influbench.seeds import derive
from influbench.settings import table_of
from influbench.studies.informativeness.effects import mean_over_all
from influbench.studies.informativeness.findings import Effects, Questions, agreement, with_agreement
from influbench.studies.informativeness.groups import Pool, choose
from influbench.studies.informativeness.record import InformativenessRecord, ProblemInformativeness
from influbench.studies.informativeness.retraining import ACCURACY, Retraining
from influbench.studies.informativeness.scores import Scores
from influbench.studies.informativeness.study import Informativeness
from influbench.studies.subjects import candidate_of, fit_of
from influbench.studies.verdicts import FALSE_DISCOVERY_RATE, Question, decided


def check(settings: Informativeness, plan: Plan, subjects: Sequence[Subject]) -> None:
    """Raise DataError if a problem does not have classes or has too few points for a group."""
    for subject in subjects:
        _pool(settings, plan, subject)


def found(settings: Informativeness, plan: Plan, subjects: Sequence[Subject]) -> InformativenessRecord:
    """The effects of groups on each problem, over the number of seeds of the plan's truth."""
    of_problems = [_studied(settings, plan, subject) for subject in subjects]
    return InformativenessRecord(
        plan=plan.name,
        seed=plan.seed,
        n_seeds=plan.truth.seeds,
        settings=table_of(settings),
        problems=tuple(problem for problem, _ in of_problems),
        claims=tuple(with_agreement(decided([one for _, questions in of_problems for one in questions]))),
        false_discovery_rate=FALSE_DISCOVERY_RATE,
    )


def _pool(settings: Informativeness, plan: Plan, subject: Subject) -> Pool:
    """The points that groups of the problem are drawn from. DataError if some group cannot be drawn."""
    name, train = subject.name, subject.data.train
    if subject.data.n_classes is None:
        raise DataError(f"{name} cannot be studied: difficulty needs classes, and this data set is for regression")
    if len(subject.data.test) < 2:
        raise DataError(f"{name} cannot be studied: intervals need at least 2 test points, and it has 1")
    labels, correct = train.labels.cpu(), ~subject.wrong
    strata = labels if settings.balanced_classes else torch.zeros_like(labels)
    pool = Pool(train.ids.cpu(), strata, correct, derive(plan.seed, "informativeness", "groups"))
    for fraction in settings.fractions:
        if pool.n_points(fraction) < 1:
            raise DataError(f"{name} cannot be studied: {fraction:g} of its {len(train)} train points is less than one")
        if pool.sizes(fraction) is None:
            of_class = " of each class" if settings.balanced_classes else ""
            raise DataError(
                f"{name} cannot be studied: two groups of {pool.n_points(fraction)} points ({fraction:g} of the train "
                f"points) do not fit into half of its {int(correct.sum())} correct ones{of_class}; lower the fraction"
            )
    return pool


def _studied(settings: Informativeness, plan: Plan, subject: Subject) -> tuple[ProblemInformativeness, list[Question]]:
    pool, data, trainer = _pool(settings, plan, subject), subject.data, subject.prepared.trainer
    assert data.n_classes is not None
    influence = _influence(settings, plan, subject)
    difficulties = _difficulties(settings, plan, subject)
    groups = choose(
        pool,
        settings.fractions,
        difficulties,
        n_random=settings.random_groups,
        n_halves=settings.halves,
        halved_at=settings.decided_at,
    )
    retraining = Retraining(trainer, plan.seed, groups, plan.truth.seeds)
    outcomes = subject.trained(retraining, what=f"{subject.name}, without each group and on it alone")
    effects = Effects(
        groups,
        outcomes,
        influence=influence,
        labels=data.train.labels.cpu(),
        measure=trainer.measure,
        n_classes=data.n_classes,
    )
    n_wrong = int(subject.wrong.sum())
    record = ProblemInformativeness(
        problem=subject.name,
        measure=trainer.measure,
        n_train=len(data.train),
        n_test=len(data.test),
        n_wrong=n_wrong,
        n_trainings=plan.truth.seeds * len(retraining.weights),
        whole=mean_over_all(outcomes.whole[trainer.measure]),
        accuracy=mean_over_all(outcomes.whole[ACCURACY]),
        random=effects.random(),
        by_difficulty=effects.by_difficulty(),
        agreement=agreement(difficulties, pool.correct),
        fit=fit_of(subject),
    )
    return record, Questions(subject.name, effects, settings, has_wrong=n_wrong > 0).all()


def _difficulties(settings: Informativeness, plan: Plan, subject: Subject) -> dict[str, Tensor]:
    """Memorization by each estimator of difficulty, the mean of its repeats, (n_train,)."""
    repeats, difficulties = range(settings.difficulty_repeats), {}
    for name in settings.difficulties:
        scores = Scores(candidate_of(subject, name), subject.prepared.trainer, plan.seed, "memorization", repeats)
        what = f"{name} on {subject.name}"
        difficulties[name] = scores.mean(subject.resources, what=what, progress=subject.progress)
    return difficulties


def _influence(settings: Informativeness, plan: Plan, subject: Subject) -> Tensor:
    """Influence by its estimator, with seeds that no difficulty uses, (n_train, n_test)."""
    candidate = candidate_of(subject, settings.influence)
    of_its_own = range(settings.difficulty_repeats, settings.difficulty_repeats + 1)
    return Scores(candidate, subject.prepared.trainer, plan.seed, "influence", of_its_own).mean(subject.resources)
