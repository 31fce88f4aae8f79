"""A study over the problems of a plan."""

from collections.abc import Sequence

from influbench.engine.preparation import Prepared, Resources, prepare, resolved
from influbench.errors import UsageError
from influbench.estimators.turn_over_dropout.estimator import TurnOverDropout
from influbench.estimators.turn_over_dropout.sealing import sealing
from influbench.plan import Plan
from influbench.problem import TrainingProblem
from influbench.registry import Registry, installed
from influbench.results import Decomposed, DecompositionStudy, Estimand, Term, Where
from influbench.shards import gather
from influbench.statistics.comparison import Yardstick
from influbench.statistics.correlation import whole_table, within_classes
from influbench.store.cache import Cache
from influbench.studies.decomposition import against_effects, decompose, in_shares
from influbench.studies.progress import Progress, told
from influbench.truth.leave_one_out import Truth

DEFAULT = ("turn_over_dropout[n_masks=8]", "turn_over_dropout[n_masks=8,sealed=true]")


def decomposition(
    plan: Plan,
    *,
    estimators: Sequence[str],
    cache: Cache,
    registry: Registry | None = None,
    resources: Resources | None = None,
    progress: Progress = lambda _what, _done, _all: None,
) -> DecompositionStudy:
    """Take the scores of each turn-over dropout apart, on each problem of the plan.

    UsageError where an estimator is another, gates whole members, or cannot run on a problem, or a problem is refused.
    """
    registry, resources = registry or installed(), resources or Resources()
    plan = resolved(plan.changed(estimators=tuple(estimators)), registry)
    prepared, refused = prepare(plan, registry, named=estimators, required=estimators, resources=resources, cache=cache)
    if refused:
        raise UsageError(f"{refused[0].problem} cannot be studied: {refused[0].reason}")
    decomposed = []
    for problem in prepared:
        chosen = [(str(one.selector), one.estimator, one.problems[0], one.obstacle) for one in problem.candidates]
        for name, estimator, _, obstacle in chosen:
            if not isinstance(estimator, TurnOverDropout) or estimator.units == "member":
                raise UsageError(f"{name} has no masks of units to take apart; name turn_over_dropout")
            if obstacle is not None:
                raise UsageError(f"{name} cannot run on {problem.plan.name}: {obstacle.reason}")
        truth = _truth(plan, problem, cache, resources, progress)
        for name, estimator, view, _ in chosen:
            assert isinstance(estimator, TurnOverDropout)
            decomposed.append(_decomposed(problem.plan.name, name, estimator, view, truth, progress))
    return DecompositionStudy(plan=plan.name, seed=plan.seed, n_seeds=plan.truth.seeds, decomposed=tuple(decomposed))


def _truth(plan: Plan, problem: Prepared, cache: Cache, resources: Resources, progress: Progress) -> Truth:
    ground_truth = problem.ground_truth
    names = ground_truth.shard_names(range(plan.truth.seeds))
    shards = gather(cache, ground_truth.folder, names, ground_truth, resources.executor)
    what = f"ground truth of {problem.plan.name}"
    return ground_truth.assemble(told(shards, len(names), what=what, progress=progress))


def _decomposed(
    problem: str,
    name: str,
    estimator: TurnOverDropout,
    view: TrainingProblem,
    truth: Truth,
    progress: Progress,
) -> Decomposed:
    n_trained, n_train, n_test = 0, len(view.data.train), len(view.data.test)

    def trained(n: int) -> None:
        nonlocal n_trained
        n_trained += n
        progress(f"{name} on {problem}", n_trained, estimator.n_masks * n_train)

    influence, memorization = decompose(view, estimator, progress=trained)
    everywhere = whole_table(n_train, n_test)
    estimands: dict[Where, tuple[Estimand, ...]] = {
        "influence": against_effects(influence, everywhere, Yardstick(truth.influence, everywhere))
    }
    terms_of_memorization: tuple[Term, ...] = ()
    if memorization is not None and truth.memorization is not None:
        within, one_column = within_classes(view.data.train.labels, view.data.test.labels), whole_table(n_train, 1)
        estimands["within_class"] = against_effects(influence, within, Yardstick(truth.influence, within))
        of_memorization = Yardstick(truth.memorization[:, :, None], one_column)
        estimands["memorization"] = against_effects(memorization, one_column, of_memorization)
        terms_of_memorization = in_shares(memorization.all, one_column, of_memorization.mean)
    found = sealing(view, estimator.masks(view), frozen=estimator.frozen(view))
    return Decomposed(
        problem=problem,
        estimator=name,
        sealed_share=found.share,
        n_trainings=round(view.meter.trainings),
        influence=in_shares(influence.all, everywhere, truth.influence.mean(0)),
        memorization=terms_of_memorization,
        estimands=estimands,
    )
