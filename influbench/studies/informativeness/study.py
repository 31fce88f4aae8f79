"""The study over the problems of a plan."""

from collections.abc import Callable

import torch
from torch import Tensor

from influbench.engine.preparation import Candidate, Prepared
from influbench.errors import DataError, PlanError
from influbench.plan import InformativenessTable, Plan
from influbench.registry import Registry, installed, parse_selector
from influbench.resources import Progress, Resources, no_progress
from influbench.results import Claim, InformativenessStudy, ProblemInformativeness
from influbench.seeds import derive
from influbench.shards import trained
from influbench.studies.informativeness.effects import mean_over_all
from influbench.studies.informativeness.findings import Claims, Effects, agreement
from influbench.studies.informativeness.groups import Pool, choose
from influbench.studies.informativeness.retraining import ACCURACY, Retraining
from influbench.studies.informativeness.scores import Scores
from influbench.studies.preparation import check_estimators, prepared_for_study


def informativeness(
    plan: Plan,
    *,
    registry: Registry | None = None,
    resources: Resources | None = None,
    progress: Progress = no_progress,
    ready: Callable[[], None] = lambda: None,
) -> InformativenessStudy:
    """Take groups of train points away on each problem of the plan, over as many seeds as its truth has.

    `ready` is called when all is checked and nothing trained. UsageError before that where a problem has no classes or
    too few points for a group, or an estimator cannot run on it.
    """
    registry, resources, settings = registry or installed(), resources or Resources(), plan.informativeness
    if settings.decided_at not in settings.fractions:
        raise PlanError(
            f"{plan.name}: [informativeness] decided_at = {settings.decided_at:g} is none of its fractions, "
            f"{', '.join(f'{fraction:g}' for fraction in settings.fractions)}"
        )
    if settings.refuted_below > settings.supported_above:
        raise PlanError(
            f"{plan.name}: [informativeness] refuted_below = {settings.refuted_below:g} is above supported_above = "
            f"{settings.supported_above:g}"
        )
    names = _estimators(settings)
    plan = plan.changed(estimators=names, repeats=settings.difficulty_repeats + 1)
    prepared = prepared_for_study(plan, registry, resources=resources)
    pools = [_pool(problem, plan, settings) for problem in prepared]
    ready()
    found = [_studied(plan, *of_problem, resources, progress) for of_problem in zip(prepared, pools, strict=True)]
    return InformativenessStudy(
        plan=plan.name,
        seed=plan.seed,
        n_seeds=plan.truth.seeds,
        settings=settings.model_dump(mode="json"),
        problems=tuple(problem for problem, _ in found),
        claims=tuple(claim for _, claims in found for claim in claims),
    )


def _estimators(settings: InformativenessTable) -> tuple[str, ...]:
    """Those of difficulty and the one of influence, each once."""
    return tuple(dict.fromkeys(str(parse_selector(name)) for name in (*settings.difficulty, settings.influence)))


def _pool(problem: Prepared, plan: Plan, settings: InformativenessTable) -> Pool:
    """What groups of the problem are drawn from, once it is known that all can be."""
    name, train = problem.plan.name, problem.trainer.data.train
    if problem.trainer.data.n_classes is None:
        raise DataError(f"{name} cannot be studied: difficulty is that of a class, and this data set is for regression")
    if len(problem.trainer.data.test) < 2:
        raise DataError(f"{name} cannot be studied: intervals need at least 2 test points, and it has 1")
    check_estimators(problem)
    labels, correct = train.labels.cpu(), ~problem.labels.wrong
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


def _studied(
    plan: Plan, problem: Prepared, pool: Pool, resources: Resources, progress: Progress
) -> tuple[ProblemInformativeness, list[Claim]]:
    settings, data = plan.informativeness, problem.trainer.data
    assert data.n_classes is not None
    influence = _influence(problem, plan, resources)
    difficulties = _difficulties(problem, plan, resources, progress)
    groups = choose(pool, settings.fractions, difficulties, n_random=settings.random_groups)
    retraining = Retraining(problem.trainer, plan.seed, groups, plan.truth.seeds)
    what = f"{problem.plan.name}, without each group and on it alone"
    outcomes = trained(retraining, resources, what=what, progress=progress)
    effects = Effects(
        groups,
        outcomes,
        influence=influence,
        labels=data.train.labels.cpu(),
        measure=problem.trainer.measure,
        n_classes=data.n_classes,
    )
    n_wrong = int(problem.labels.wrong.sum())
    record = ProblemInformativeness(
        problem=problem.plan.name,
        measure=problem.trainer.measure,
        n_train=len(data.train),
        n_test=len(data.test),
        n_wrong=n_wrong,
        n_trainings=plan.truth.seeds * len(retraining.weights),
        whole=mean_over_all(outcomes.whole[problem.trainer.measure]),
        accuracy=mean_over_all(outcomes.whole[ACCURACY]),
        random=effects.random(),
        by_difficulty=effects.by_difficulty(),
        agreement=agreement(difficulties, pool.correct),
    )
    return record, Claims(problem.plan.name, effects, settings, has_wrong=n_wrong > 0).all()


def _difficulties(problem: Prepared, plan: Plan, resources: Resources, progress: Progress) -> dict[str, Tensor]:
    """Memorization by each estimator of difficulty, the mean of its repeats, (n_train,)."""
    repeats, difficulties = range(plan.informativeness.difficulty_repeats), {}
    for name in dict.fromkeys(str(parse_selector(name)) for name in plan.informativeness.difficulty):
        scores = Scores(_candidate(problem, name), problem.trainer, plan.seed, "memorization", repeats)
        difficulties[name] = scores.mean(resources, what=f"{name} on {problem.plan.name}", progress=progress)
    return difficulties


def _influence(problem: Prepared, plan: Plan, resources: Resources) -> Tensor:
    """Influence by its estimator, with seeds that no difficulty has, (n_train, n_test)."""
    candidate = _candidate(problem, str(parse_selector(plan.informativeness.influence)))
    of_its_own = plan.informativeness.difficulty_repeats
    return Scores(candidate, problem.trainer, plan.seed, "influence", range(of_its_own, of_its_own + 1)).mean(resources)


def _candidate(problem: Prepared, name: str) -> Candidate:
    return next(candidate for candidate in problem.candidates if str(candidate.selector) == name)
