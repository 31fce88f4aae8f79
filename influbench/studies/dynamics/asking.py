"""When train points are learned and memorized, on the problems of a plan; learning.py defines the questions.

The networks of a turn-over dropout are evaluated during training. Their memorization is compared with memorization by
leaving each point out of ordinary trainings, after the same steps: how well masks predict what leaving out would show.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from influbench.api import Subject
from influbench.engine.preparation import Prepared
from influbench.errors import UsageError
from influbench.estimators.turn_over_dropout.estimator import TurnOverDropout
from influbench.plan import Plan
from influbench.report.numbers import count
from influbench.settings import table_of
from influbench.statistics.correlation import whole_table
from influbench.statistics.resampling import FEWEST_SEEDS
from influbench.statistics.yardsticks import Yardstick, statistic
from influbench.studies.dynamics.difficulty import LearningTimes, subset_memorization
from influbench.studies.dynamics.learning import CLAIMS, TRUE, WRONG, Labels, Learning
from influbench.studies.dynamics.masked_networks import MaskedNetworks, PointCurves
from influbench.studies.dynamics.record import DynamicsRecord, MemorizationAt, ProblemDynamics
from influbench.studies.dynamics.study import Dynamics
from influbench.studies.subjects import fit_of, with_masks_of_units
from influbench.studies.verdicts import FALSE_DISCOVERY_RATE, Question, decided
from influbench.truth.leave_one_out import GroundTruth

ALL_POINTS = "all points"


def check(settings: Dynamics, plan: Plan, subjects: Sequence[Subject]) -> None:
    """Raise UsageError if the settings do not fit a problem, or if no claim can be tested on any problem."""
    trainings = [_Training(settings, plan, subject) for subject in subjects]
    for training in trainings:
        training.check()
    reasons = [training.labels.cannot_be_asked(settings) for training in trainings]
    if all(len(of_problem) == len(CLAIMS) for of_problem in reasons):
        name, reason = trainings[0].name, next(iter(reasons[0].values()))
        raise UsageError(f"no claim can be tested on {plan.name}; on {name}, {reason}")


def found(settings: Dynamics, plan: Plan, subjects: Sequence[Subject]) -> DynamicsRecord:
    """The findings on each problem, and the claims that can be tested on it."""
    of_problems = [_Training(settings, plan, subject).found() for subject in subjects]
    return DynamicsRecord(
        plan=plan.name,
        seed=plan.seed,
        n_seeds=plan.truth.seeds if settings.leave_one_out else 0,
        settings=table_of(settings),
        problems=tuple(problem for problem, _ in of_problems),
        claims=tuple(decided([question for _, questions in of_problems for question in questions])),
        false_discovery_rate=FALSE_DISCOVERY_RATE,
    )


def _estimator(subject: Subject) -> TurnOverDropout:
    """The turn-over dropout of `[dynamics] estimator`. UsageError without masks of units or with too few seeds."""
    (candidate,) = subject.prepared.candidates
    estimator = with_masks_of_units(candidate)
    if (n_seeds := len(set(estimator.replicates()))) < FEWEST_SEEDS:
        raise UsageError(
            f"{candidate.selector} has networks of {n_seeds} seeds, but intervals over seeds need at least "
            f"{FEWEST_SEEDS}; raise n_masks"
        )
    return estimator


@dataclass(frozen=True, eq=False)
class _Training:
    """The training of one problem, and the points that are evaluated during it."""

    settings: Dynamics
    plan: Plan
    subject: Subject

    @property
    def problem(self) -> Prepared:
        return self.subject.prepared

    @property
    def estimator(self) -> TurnOverDropout:
        return _estimator(self.subject)

    @property
    def name(self) -> str:
        return self.subject.name

    @property
    def steps(self) -> list[int]:
        """Steps after which points are evaluated: 0, the truth's steps or a grid dense at the start, and the last step.

        Step k of the K steps in the grid is at (k / K)^2 of the training.
        """
        last, n = self.problem.trainer.n_steps, self.settings.checkpoints
        chosen = self.plan.truth.steps or [round(last * (k / n) ** 2) for k in range(1, n)]
        return sorted({0, *chosen, last})

    @property
    def steps_per_epoch(self) -> int:
        return self.problem.trainer.n_steps // self.problem.trainer.recipe.epochs

    @property
    def labels(self) -> Labels:
        """The train points by label. A drawn label that is right by chance is true, unless all labels were drawn."""
        drawn, wrong = self.subject.drawn, self.subject.wrong
        return Labels(self.subject.data.train.ids.cpu(), ~wrong & ~drawn.all(), wrong)

    def check(self) -> None:
        """Raise UsageError if the settings or the estimator do not fit the problem."""
        _estimator(self.subject)
        trainer, settings = self.problem.trainer, self.settings
        if trainer.data.n_classes is None:
            raise UsageError(
                f"{self.name} is a regression problem, but memorization needs classes; choose a data set with classes"
            )
        if settings.initial_epochs > trainer.recipe.epochs:
            raise UsageError(
                f"[dynamics] initial_epochs = {settings.initial_epochs:g} is beyond the last epoch of {self.name}, "
                f"{trainer.recipe.epochs}"
            )

    def found(self) -> tuple[ProblemDynamics, tuple[Question, ...]]:
        """The findings on this problem, and the claims that are to be tested on it."""
        difficulty, course = self._difficulty(), self._course()
        left_out = self._left_out() if self.settings.leave_one_out else None
        learning = Learning(
            course,
            self.labels,
            difficulty,
            self.settings,
            seed=self.subject.seed("resampling", self.name),
            left_out=left_out,
        )
        notes = [*self.labels.cannot_be_asked(self.settings).values(), *self._notes()]
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
            notes=tuple(dict.fromkeys(notes)),
            fit=fit_of(self.subject),
        )
        return of_problem, learning.questions(self.name, steps_per_epoch=self.steps_per_epoch)

    def _notes(self) -> Iterator[str]:
        """The reason why intervals are missing, in a sentence."""
        n_seeds = self.plan.truth.seeds
        if self.settings.leave_one_out and n_seeds < FEWEST_SEEDS:
            yield (
                f"memorization by leaving out has no intervals: it is the mean over {count(n_seeds, 'seed')}, and "
                f"intervals need {FEWEST_SEEDS}"
            )

    def _difficulty(self) -> Tensor:
        """Difficulty by other trainings than the evaluated ones, (n_train,): higher is harder."""
        trainer, seed, n = self.problem.trainer, self.subject.seed("difficulty"), self.settings.difficulty_trainings
        what = f"difficulty on {self.name}"
        if self.settings.difficulty == "learning_time":
            return self.subject.trained(LearningTimes(trainer, seed, n), what=what)
        return subset_memorization(
            trainer, seed, n_trainings=n, resources=self.subject.resources, what=what, progress=self.subject.progress
        )

    def _course(self) -> PointCurves:
        networks = MaskedNetworks(self.problem.trainer, self.estimator, self.subject.seed("masks"), self.steps)
        return self.subject.trained(networks, what=f"masked networks on {self.name}")

    def _left_out(self) -> Tensor:
        """Memorization by leave-one-out after each step, (n_seeds, n_steps, n_train); 0 before training.

        If the plan has `[truth] steps`, this equals the truth of a run of the plan.
        """
        ground_truth = GroundTruth(
            self.problem.trainer,
            self.plan.seed,
            self.plan.truth.steps or self.steps[1:-1],
            n_seeds=self.plan.truth.seeds,
        )
        truth = self.subject.trained(ground_truth, what=f"ground truth of {self.name}")
        at_end = {self.steps[-1]: truth}
        after = [({**truth.earlier, **at_end})[step].memorization for step in self.steps if step > 0]
        known = [memorization for memorization in after if memorization is not None]
        return torch.stack([torch.zeros_like(known[0]), *known], dim=1)

    def _agreement(self, course: PointCurves, left_out: Tensor) -> dict[str, tuple[MemorizationAt, ...]]:
        """Agreement of memorization by masks with memorization by leaving out, over all points and by kind of label."""
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


def _agreement_at(step: int, scores: Tensor, left_out: Tensor) -> MemorizationAt:
    truth = Yardstick(left_out[:, :, None], whole_table(len(scores), 1))
    return MemorizationAt(
        step=step,
        spearman=statistic(truth.agreement([scores[:, None]]).value),
        ceiling=truth.reliability.ceiling_interval(),
    )
