"""When train points are learnt and memorised, on the problems of a plan; learning.py has the questions.

The networks of a turn-over dropout are looked at while they are trained. Beside them stands memorization by leaving
each point out of ordinary trainings, after the same steps: how far masks tell what leaving out would.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from influbench.engine.preparation import Prepared, resolved
from influbench.errors import UsageError
from influbench.estimators.turn_over_dropout.estimator import TurnOverDropout
from influbench.plan import DynamicsTable, Plan
from influbench.registry import Registry, installed
from influbench.resources import Progress, Resources, no_progress
from influbench.results import Claim, DynamicsStudy, MemorizationAt, ProblemDynamics
from influbench.seeds import derive
from influbench.shards import trained
from influbench.statistics.comparison import Yardstick, statistic
from influbench.statistics.correlation import whole_table
from influbench.studies.dynamics.difficulty import LearningTimes, subset_memorization
from influbench.studies.dynamics.learning import CLAIMS, TRUE, WRONG, Labels, Learning
from influbench.studies.dynamics.masked_networks import MaskedNetworks, PointCurves
from influbench.studies.preparation import check_estimators, prepared_for_study, with_masks_of_units
from influbench.truth.leave_one_out import GroundTruth

ALL_POINTS = "all points"
FEWEST_SEEDS = 4  # of masked networks: fewer tell nothing of the chance of seeds


def dynamics(
    plan: Plan,
    *,
    registry: Registry | None = None,
    resources: Resources | None = None,
    progress: Progress = no_progress,
    ready: Callable[[], None] = lambda: None,
) -> DynamicsStudy:
    """Train, look and judge, on each problem of the plan. `ready` is called when all is checked and nothing trained.

    UsageError before that where a problem is refused, where the plan's settings do not fit one, or where no claim can
    be asked of any.
    """
    registry, resources, settings = registry or installed(), resources or Resources(), plan.dynamics
    if settings.apart_below > settings.together_above:
        raise UsageError(
            f"[dynamics] apart_below = {settings.apart_below:g} must not be above together_above = "
            f"{settings.together_above:g}"
        )
    plan = resolved(plan.changed(estimators=(settings.estimator,)), registry)
    prepared = prepared_for_study(plan, registry, resources=resources)
    subjects = [_Subject(plan, problem, _estimator(problem), resources, progress) for problem in prepared]
    for subject in subjects:
        subject.check()
    reasons = [subject.labels.cannot_be_asked(settings) for subject in subjects]
    if all(len(of_problem) == len(CLAIMS) for of_problem in reasons):
        name, reason = prepared[0].plan.name, next(iter(reasons[0].values()))
        raise UsageError(f"no claim can be asked of {plan.name}; on {name}, {reason}")
    ready()
    found = [subject.found() for subject in subjects]
    return DynamicsStudy(
        plan=plan.name,
        seed=plan.seed,
        n_seeds=plan.truth.seeds if settings.leave_one_out else 0,
        settings=settings.model_dump(),
        problems=tuple(problem for problem, _ in found),
        claims=tuple(claim for _, claims in found for claim in claims),
    )


def _estimator(problem: Prepared) -> TurnOverDropout:
    """The turn-over dropout of `[dynamics] estimator`, if it is one whose networks can be looked at while trained."""
    (candidate,) = problem.candidates
    estimator = with_masks_of_units(candidate)
    check_estimators(problem)
    if (n_seeds := len(set(estimator.replicates()))) < FEWEST_SEEDS:
        raise UsageError(
            f"{candidate.selector} has networks of {n_seeds} seeds, and intervals over seeds take {FEWEST_SEEDS}"
        )
    return estimator


@dataclass(frozen=True, eq=False)
class _Subject:
    """One problem, and what it is trained with."""

    plan: Plan
    problem: Prepared
    estimator: TurnOverDropout
    resources: Resources
    progress: Progress

    @property
    def settings(self) -> DynamicsTable:
        return self.plan.dynamics

    @property
    def name(self) -> str:
        return self.problem.plan.name

    @property
    def steps(self) -> list[int]:
        """Steps after which points are looked at: 0, the truth's or a grid that is dense early, and the last one.

        The grid's k-th of K steps is at (k / K)^2 of the training.
        """
        last, n = self.problem.trainer.n_steps, self.settings.checkpoints
        chosen = self.plan.truth.steps or [round(last * (k / n) ** 2) for k in range(1, n)]
        return sorted({0, *chosen, last})

    @property
    def steps_per_epoch(self) -> int:
        return self.problem.trainer.n_steps // self.problem.trainer.recipe.epochs

    @property
    def labels(self) -> Labels:
        """A label that was drawn and is right by chance is a true one; but if all were drawn, none is."""
        drawn, wrong = self.problem.labels.drawn, self.problem.labels.wrong
        return Labels(self.problem.trainer.data.train.ids.cpu(), ~wrong & ~drawn.all(), wrong)

    def check(self) -> None:
        """UsageError where the settings do not fit the problem."""
        trainer, settings = self.problem.trainer, self.settings
        if trainer.data.n_classes is None:
            raise UsageError(f"{self.name} is for regression: without classes nothing is memorised")
        if settings.initial_epochs > trainer.recipe.epochs:
            raise UsageError(
                f"[dynamics] initial_epochs = {settings.initial_epochs:g} is beyond the last epoch of {self.name}, "
                f"{trainer.recipe.epochs}"
            )

    def found(self) -> tuple[ProblemDynamics, tuple[Claim, ...]]:
        """What this problem shows, and the claims that can be asked of it."""
        difficulty, course = self._difficulty(), self._course()
        left_out = self._left_out() if self.settings.leave_one_out else None
        learning = Learning(
            course,
            self.labels,
            difficulty,
            self.settings,
            seed=self._seed("resampling", self.name),
            left_out=left_out,
        )
        reasons = self.labels.cannot_be_asked(self.settings)
        of_problem = ProblemDynamics(
            problem=self.name,
            n_train=len(self.problem.trainer.data.train),
            n_networks=self.estimator.n_masks,
            n_seeds=len(course.seen),
            steps_per_epoch=self.steps_per_epoch,
            steps=tuple(self.steps),
            by_label=learning.by_label(),
            by_difficulty=learning.by_difficulty(),
            left_out_overlap=learning.left_out_overlap(),
            agreement={} if left_out is None else self._agreement(course, left_out),
            notes=tuple(dict.fromkeys(reasons.values())),
        )
        return of_problem, learning.claims(self.name, steps_per_epoch=self.steps_per_epoch)

    def _difficulty(self) -> Tensor:
        """By other trainings than those that are looked at, (n_train,): higher is harder."""
        trainer, seed, n = self.problem.trainer, self._seed("difficulty"), self.settings.difficulty_trainings
        what = f"difficulty on {self.name}"
        if self.settings.difficulty == "learning_time":
            return trained(LearningTimes(trainer, seed, n), self.resources, what=what, progress=self.progress)
        return subset_memorization(
            trainer, seed, n_trainings=n, resources=self.resources, what=what, progress=self.progress
        )

    def _course(self) -> PointCurves:
        networks = MaskedNetworks(self.problem.trainer, self.estimator, self._seed("masks"), self.steps)
        return trained(networks, self.resources, what=f"masked networks on {self.name}", progress=self.progress)

    def _left_out(self) -> Tensor:
        """Memorization by leave-one-out after each step, (n_seeds, n_steps, n_train).

        Where the plan has `[truth] steps`, this is the truth of a run of it. Before training there is no difference.
        """
        ground_truth = GroundTruth(
            self.problem.trainer,
            self.plan.seed,
            self.plan.truth.steps or self.steps[1:-1],
            n_seeds=self.plan.truth.seeds,
        )
        what = f"ground truth of {self.name}"
        truth = trained(ground_truth, self.resources, what=what, progress=self.progress)
        at_end = {self.steps[-1]: truth}
        after = [({**truth.earlier, **at_end})[step].memorization for step in self.steps if step > 0]
        known = [memorization for memorization in after if memorization is not None]
        return torch.stack([torch.zeros_like(known[0]), *known], dim=1)

    def _agreement(self, course: PointCurves, left_out: Tensor) -> dict[str, tuple[MemorizationAt, ...]]:
        """Of memorization by masks with that by leaving out: over all points, and over those of one kind of label."""
        labels, memorization = self.labels, course.memorization.mean(0)
        kinds = {ALL_POINTS: torch.ones_like(labels.wrong), TRUE: labels.true, WRONG: labels.wrong}
        large = {name: of_kind for name, of_kind in kinds.items() if of_kind.sum() >= self.settings.fewest}
        return {
            name: tuple(
                _agreement_at(step, memorization[place, of_kind], left_out[:, place, of_kind])
                for place, step in enumerate(self.steps)
                if step > 0
            )
            for name, of_kind in large.items()
        }

    def _seed(self, *labels: str) -> int:
        """A stream of this study: neither the truth nor the estimators of a run have it."""
        return derive(self.plan.seed, "study", "dynamics", *labels)


def _agreement_at(step: int, scores: Tensor, left_out: Tensor) -> MemorizationAt:
    truth = Yardstick(left_out[:, :, None], whole_table(len(scores), 1))
    return MemorizationAt(
        step=step,
        spearman=statistic(truth.agreement([scores[:, None]]).spearman),
        ceiling=statistic(truth.reliability.ceiling),
    )
