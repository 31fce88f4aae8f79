"""When groups of train points are learned and memorized: their curves, and the claims about them.

Under the mask of a point, a network shows how well it has *learned* the point (the seen curve). Under the flipped mask,
it shows how well it knows the point without having been trained on it (the unseen curve). The difference is what it has
*memorized*. Liu, Lin & Jaggi 2021 ("Understanding memorization from the perspective of optimization via efficient
influence estimation") claim that points with true and with random labels, and easy and difficult points, are learned at
the same time, and the easy points faster. The claims are tested with these statistics:

* `simultaneous`: the share of the gain in memorization of the wrong labels that is made while the memorization of the
  true labels goes from 10% to 90% of its own gain.
* `faster to half`: the step at which wrong labels have made half of their gain in the seen curve, divided by that step
  of the true labels. `faster at first`: the slope of the seen curve of the wrong labels over the first epoch, divided
  by the slope for the true labels.
* `within real data`: the share of the hardest points' gain in the seen curve that is made while the easiest points go
  from 10% to 90% of their own gain, among true labels. Other trainings measure the difficulty. (The easiest points may
  be learned without being memorized, so their memorization has no times.)

Intervals are over examples and seeds; the groups are fixed. Times and their ratios are positive, so their intervals are
symmetric on a logarithmic scale.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import inf

import torch
from torch import Tensor

from influbench.results import UNKNOWN, Statistic
from influbench.seeds import derive, hash_integers
from influbench.statistics.learning_curves import HALF, initial_slope, overlap, time_of
from influbench.statistics.resampling import crossed, estimated, weights
from influbench.statistics.student import Student
from influbench.studies.dynamics.difficulty import by_difficulty
from influbench.studies.dynamics.masked_networks import PointCurves
from influbench.studies.dynamics.record import GroupCurves
from influbench.studies.dynamics.study import Dynamics
from influbench.studies.verdicts import TESTED, Question, Range, above, below

TRUE, WRONG = "true labels", "wrong labels"
SIMULTANEOUS, HALF_TIME, SLOPE, WITHIN = "simultaneous", "faster to half", "faster at first", "within real data"
CLAIMS = {
    SIMULTANEOUS: "true and wrong labels are memorized at once",
    HALF_TIME: "true labels are half learned sooner",
    SLOPE: "true labels are learned faster at first",
    WITHIN: "easy and hard points are learned at once",
}


@dataclass(frozen=True, eq=False)
class Labels:
    """Train points by label: `true` and `wrong` (n_train,) bool. A point may be neither."""

    ids: Tensor
    true: Tensor
    wrong: Tensor

    def groups(self, *, fewest: int, seed: int) -> dict[str, Tensor]:
        """Rows of each group of at least `fewest` points, reduced at random, by id, to the size of the smallest."""
        rows = {name: its.nonzero()[:, 0] for name, its in ((TRUE, self.true), (WRONG, self.wrong))}
        large = {name: of_group for name, of_group in rows.items() if len(of_group) >= fewest}
        size = min(map(len, large.values()), default=0)
        order = ties(self.ids, seed)
        return {name: of_group[order[of_group].argsort()[:size]] for name, of_group in large.items()}

    def n_quantiles(self, settings: Dynamics) -> int:
        """The number of groups by difficulty among the true labels; fewer than 2 are not compared."""
        return min(settings.quantiles, int(self.true.sum()) // settings.fewest)

    def cannot_be_asked(self, settings: Dynamics) -> dict[str, str]:
        """The reason why a claim cannot be tested on these points, in a sentence, by the id of the claim."""
        n_true, n_wrong, fewest = int(self.true.sum()), int(self.wrong.sum()), settings.fewest
        counts = f"{n_true} points with true labels and {n_wrong} with wrong ones"
        reasons: dict[str, str] = {}
        if min(n_true, n_wrong) < fewest:
            reasons |= dict.fromkeys(
                (SIMULTANEOUS, HALF_TIME, SLOPE),
                f"true and wrong labels are not compared: there are {counts}, but a group needs {fewest}",
            )
        if self.n_quantiles(settings) < 2:
            reasons[WITHIN] = f"easy and hard points are not compared: there are {counts}, but a group needs {fewest}"
        return reasons


@dataclass(frozen=True, eq=False)
class GroupCourse:
    """Curves of one group of `n` points: of all of them (row 0) and of every resample, (1 + 3 n_resamples, n_steps)."""

    n: int
    steps: Sequence[int]
    seen: Tensor
    unseen: Tensor
    left_out: Tensor | None

    @cached_property
    def memorization(self) -> Tensor:
        """Seen minus unseen."""
        return self.seen - self.unseen


class Learning:
    """The course of one problem's training, in groups.

    `left_out` (n_seeds, n_steps, n_train) is memorization by leaving points out of ordinary trainings, after the same
    steps; `difficulty` (n_train,) is higher for harder points. `seed` decides groups and resamples.
    """

    def __init__(
        self,
        course: PointCurves,
        labels: Labels,
        difficulty: Tensor,
        settings: Dynamics,
        *,
        seed: int,
        left_out: Tensor | None = None,
    ) -> None:
        self._course, self._left_out, self._difficulty, self._settings = course, left_out, difficulty, settings
        self._labels, self._seed = labels, seed
        self._rows = labels.groups(fewest=settings.fewest, seed=derive(seed, "groups"))
        self._by_label = {name: self._of_group(rows) for name, rows in self._rows.items()}
        self._rows_by_difficulty = self._quantiles()
        self._by_difficulty = [self._of_group(rows) for rows in self._rows_by_difficulty]

    def by_label(self) -> tuple[GroupCurves, ...]:
        """Points with true and with wrong labels, if there are enough of each."""
        return tuple(self._recorded(name, self._rows[name], course) for name, course in self._by_label.items())

    def by_difficulty(self) -> tuple[GroupCurves, ...]:
        """Points with true labels in quantiles, the easiest first."""
        n = len(self._by_difficulty)
        groups = enumerate(zip(self._rows_by_difficulty, self._by_difficulty, strict=True), start=1)
        return tuple(self._recorded(f"{number} of {n}", rows, course) for number, (rows, course) in groups)

    def left_out_overlap(self) -> Statistic:
        """The statistic of `simultaneous` for memorization by leaving points out; unknown if none were left out."""
        groups = [course.left_out for course in self._by_label.values() if course.left_out is not None]
        if len(groups) < 2:
            return UNKNOWN
        found = overlap(self._course.steps, *groups, tail=self._settings.tail)
        return self._estimated(found, *self._by_label.values(), of="left out").interval()

    def questions(self, problem: str, *, steps_per_epoch: int) -> tuple[Question, ...]:
        """The claims that can be tested on these points."""
        steps, settings, questions = self._course.steps, self._settings, []
        at_once = {"refuted": below(settings.apart_below), "supported": above(settings.together_above)}
        if len(self._by_label) == 2:
            groups = true, wrong = self._by_label[TRUE], self._by_label[WRONG]
            found = self._estimated(overlap(steps, true.memorization, wrong.memorization, tail=settings.tail), *groups)
            questions.append(question(SIMULTANEOUS, problem, found, **at_once))
            half_times = [time_of(steps, course.seen, HALF) for course in (wrong, true)]
            found = self._estimated(half_times[0] / half_times[1], *groups, logarithmic=True)
            questions.append(question(HALF_TIME, problem, found, refuted=below(1), supported=above(1)))
            until = settings.initial_epochs * steps_per_epoch
            slopes = [initial_slope(steps, course.seen, until=until) for course in (wrong, true)]
            rising = torch.where(slopes[1] > 0, slopes[1], torch.nan)
            found = self._estimated(slopes[0] / rising, *groups)
            questions.append(question(SLOPE, problem, found, refuted=above(1), supported=below(1)))
        if self._by_difficulty:
            groups = easiest, hardest = self._by_difficulty[0], self._by_difficulty[-1]
            found = self._estimated(overlap(steps, easiest.seen, hardest.seen, tail=settings.tail), *groups)
            questions.append(question(WITHIN, problem, found, **at_once))
        return tuple(questions)

    def _quantiles(self) -> Sequence[Tensor]:
        n_groups = self._labels.n_quantiles(self._settings)
        if n_groups < 2:
            return []
        order = ties(self._labels.ids, derive(self._seed, "ties"))
        return by_difficulty(self._labels.true.nonzero()[:, 0], self._difficulty, order, n_groups=n_groups)

    def _of_group(self, rows: Tensor) -> GroupCourse:
        of_points = weights(
            self._labels.ids[rows], n_resamples=self._settings.resamples, seed=derive(self._seed, "examples")
        )
        masked = crossed(self._of_seeds["masked"], of_points)
        left_out = None
        if self._left_out is not None:
            left_out = crossed(self._of_seeds["left out"], of_points).means(self._left_out[..., rows])
        seen, unseen = (masked.means(half[..., rows]) for half in (self._course.seen, self._course.unseen))
        return GroupCourse(len(rows), self._course.steps, seen, unseen, left_out)

    @cached_property
    def _of_seeds(self) -> Mapping[str, Tensor]:
        """Weights of the seeds, the same for all groups, because the groups share the randomness of a seed."""
        return {
            kind: weights(torch.arange(n), n_resamples=self._settings.resamples, seed=derive(self._seed, kind))
            for kind, n in self._n_seeds.items()
        }

    @property
    def _n_seeds(self) -> Mapping[str, int]:
        masked = {"masked": len(self._course.seen)}
        return masked if self._left_out is None else {**masked, "left out": len(self._left_out)}

    def _estimated(
        self, resampled: Tensor, *groups: GroupCourse, of: str = "masked", logarithmic: bool = False
    ) -> Student:
        """A statistic of curves of these groups with its error."""
        n_examples = min(group.n for group in groups)
        return estimated(resampled, n_seeds=self._n_seeds[of], n_examples=n_examples, logarithmic=logarithmic)

    def _recorded(self, name: str, rows: Tensor, course: GroupCourse) -> GroupCurves:
        def at(curves: Tensor | None, share: float, of: str = "masked") -> Statistic:
            if curves is None:
                return UNKNOWN
            return self._estimated(time_of(course.steps, curves, share), course, of=of, logarithmic=True).interval()

        return GroupCurves(
            name=name,
            n=len(rows),
            difficulty=float(self._difficulty[rows].mean()),
            seen=_numbers(course.seen),
            unseen=_numbers(course.unseen),
            memorization=_numbers(course.memorization),
            left_out=None if course.left_out is None else _numbers(course.left_out),
            final_memorization=self._estimated(course.memorization[:, -1], course).interval(),
            onset=at(course.memorization, self._settings.tail),
            half_memorised=at(course.memorization, HALF),
            half_seen=at(course.seen, HALF),
            half_left_out=at(course.left_out, HALF, of="left out"),
        )


def question(id_: str, problem: str, found: Student, *, refuted: Range, supported: Range) -> Question:
    """The claim of this id, with its rule in words."""
    rule = f"supported {_in_words(supported)}, not supported {_in_words(refuted)}, {TESTED}"
    return Question(id_, CLAIMS[id_], problem, found, rule, supported=supported, refuted=refuted)


def ties(ids: Tensor, seed: int) -> Tensor:
    """Numbers (n,) that sort points in a random order, by id."""
    return hash_integers(seed, ids)


def _in_words(bounds: Range) -> str:
    low, high = bounds
    return f"below {high:g}" if low == -inf else f"above {low:g}"


def _numbers(resampled: Tensor) -> tuple[float, ...]:
    return tuple(resampled[0].tolist())
