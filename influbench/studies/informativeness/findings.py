"""The effect of every group, computed from the trainings, and the claims that are tested with them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import torch
from torch import Tensor

from influbench.results import UNKNOWN, Claim, Statistic, Verdict
from influbench.statistics.correlation import mean_over_columns, spearman, whole_table
from influbench.statistics.student import Student
from influbench.statistics.yardsticks import statistic
from influbench.studies.informativeness.effects import mean_effect, mean_over_all, of_halves, of_random_groups
from influbench.studies.informativeness.groups import Group
from influbench.studies.informativeness.record import AGREEMENT, ByDifficulty, DifficultyPair, GroupEffect, GroupKind
from influbench.studies.informativeness.retraining import ACCURACY, P_CORRECT, Outcomes
from influbench.studies.informativeness.study import Informativeness
from influbench.studies.verdicts import TESTED, Question, above, below

MORE_THAN_RANDOM, MORE_THAN_EASY = "more than random", "more than easy"
Values = Callable[[str, int], Tensor]  # a measure and the place of a group, to values (n_seeds, n_test)


@dataclass(frozen=True, eq=False)
class Effects:
    """The effects of all groups of one problem."""

    groups: Sequence[Group]
    outcomes: Outcomes
    influence: Tensor  # (n_train, n_test) an estimator's
    labels: Tensor  # (n_train,) int64
    measure: str
    n_classes: int

    def random(self) -> tuple[GroupEffect, ...]:
        """The effects of the random groups of each size, averaged over groups."""
        return tuple(self._random(fraction) for fraction in dict.fromkeys(group.fraction for group in self.groups))

    def by_difficulty(self) -> tuple[ByDifficulty, ...]:
        """The effects of the groups that each difficulty chose."""
        return tuple(ByDifficulty(difficulty=name, groups=tuple(self._chosen_by(name))) for name in self.difficulties)

    @property
    def difficulties(self) -> list[str]:
        """The difficulties that chose groups."""
        return list(dict.fromkeys(group.difficulty for group in self.groups if group.difficulty is not None))

    def drops(self, measure: str, number: int) -> Tensor:
        """The drop of a measure when one group is removed, per removed example: (n_seeds, n_test)."""
        lost = self.outcomes.whole[measure] - self.outcomes.without[measure][:, number]
        return lost / len(self.groups[number].rows)

    def alone(self, measure: str, number: int) -> Tensor:
        """A measure after training on one group alone: (n_seeds, n_test)."""
        return self.outcomes.alone[measure][:, number]

    def numbers(
        self, kind: GroupKind, fraction: float, difficulty: str | None = None, *, of_halves: bool = False
    ) -> list[int]:
        """The places of the groups of this kind and size that this difficulty chose, of all points or of halves."""
        wanted = (kind, fraction, difficulty, of_halves)
        return [
            number
            for number, group in enumerate(self.groups)
            if (group.kind, group.fraction, group.difficulty, group.half is not None) == wanted
        ]

    def random_groups(self, values: Values, measure: str, fraction: float) -> Tensor:
        """These values for each random group of this size: (n_groups, n_seeds, n_test)."""
        return torch.stack([values(measure, number) for number in self.numbers("random", fraction)])

    def by_points(self, measure: str, number: int) -> Tensor | None:
        """The points' contributions to the drop of a group. None without groups of its kind in random halves."""
        group = self.groups[number]
        halves = self.numbers(group.kind, group.fraction, group.difficulty, of_halves=True)
        return of_halves(torch.stack([self.drops(measure, half) for half in halves])) if halves else None

    def _random(self, fraction: float) -> GroupEffect:
        def mean(values: Values, measure: str) -> Statistic:
            effects = self.random_groups(values, measure, fraction)
            return mean_effect(effects.mean(0), of_random_groups(effects)).interval()

        return self._effect(
            self.numbers("random", fraction),
            drop=lambda measure: mean(self.drops, measure),
            alone=lambda measure: mean(self.alone, measure),
            drop_minus_random=UNKNOWN,
            alone_minus_random=UNKNOWN,
        )

    def _chosen_by(self, difficulty: str) -> list[GroupEffect]:
        return [
            self._single(number)
            for number, group in enumerate(self.groups)
            if group.difficulty == difficulty and group.half is None
        ]

    def _single(self, number: int) -> GroupEffect:
        """The effect of one group. Its drops do not have intervals if the chance of its points is unknown."""
        fraction = self.groups[number].fraction

        def drop(measure: str, *, minus_random: bool = False) -> Statistic:
            values, by_points = self.drops(measure, number), [self.by_points(measure, number)]
            if minus_random:
                effects = self.random_groups(self.drops, measure, fraction)
                values, by_points = values - effects.mean(0), [*by_points, of_random_groups(effects)]
            known = [one for one in by_points if one is not None]
            if len(known) < len(by_points):
                return Statistic(value=float(values.mean()), low=None, high=None)
            return mean_effect(values, *known).interval()

        effects = self.random_groups(self.alone, self.measure, fraction)
        alone_minus_random = self.alone(self.measure, number) - effects.mean(0)
        return self._effect(
            [number],
            drop=drop,
            alone=lambda measure: mean_effect(self.alone(measure, number)).interval(),
            drop_minus_random=drop(self.measure, minus_random=True),
            alone_minus_random=mean_effect(alone_minus_random, of_random_groups(effects)).interval(),
        )

    def _effect(
        self,
        numbers: Sequence[int],
        *,
        drop: Callable[[str], Statistic],
        alone: Callable[[str], Statistic],
        drop_minus_random: Statistic,
        alone_minus_random: Statistic,
    ) -> GroupEffect:
        first, rows = self.groups[numbers[0]], torch.cat([self.groups[number].rows for number in numbers])
        return GroupEffect(
            kind=first.kind,
            fraction=first.fraction,
            n_points=len(first.rows),
            n_groups=len(numbers),
            class_counts=tuple(self.labels[first.rows].bincount(minlength=self.n_classes).tolist()),
            drop=drop(self.measure),
            drop_minus_random=drop_minus_random,
            accuracy_drop=drop(ACCURACY),
            p_correct_drop=drop(P_CORRECT),
            alone=alone(self.measure),
            alone_minus_random=alone_minus_random,
            accuracy_alone=_in_unit_interval(alone(ACCURACY)),
            p_correct_alone=_in_unit_interval(alone(P_CORRECT)),
            influence=mean_over_all(self.influence[rows]),
        )


def agreement(difficulties: Mapping[str, Tensor], among: Tensor) -> tuple[DifficultyPair, ...]:
    """The rank correlation of each pair of difficulties (n_train,) among some of the points."""
    table = whole_table(int(among.sum()), 1)
    return tuple(
        DifficultyPair(
            difficulties=(one, other),
            spearman=statistic(mean_over_columns(spearman, x[among][:, None], y[among][:, None], table).estimation),
        )
        for (one, x), (other, y) in combinations(difficulties.items(), 2)
    )


@dataclass(frozen=True, eq=False)
class Questions:
    """The claims about one problem that its effects can test."""

    problem: str
    effects: Effects
    settings: Informativeness
    has_wrong: bool

    def all(self) -> list[Question]:
        """The claims about correct points by each difficulty, then those about wrong ones."""
        difficulties = self.effects.difficulties
        questions = [question for difficulty in difficulties for question in self._correct_ones(difficulty)]
        if self.has_wrong:
            questions += [question for difficulty in difficulties for question in self._wrong_ones(difficulty)]
        return questions

    def _correct_ones(self, difficulty: str) -> list[Question]:
        effects, measure, fraction = self.effects, self.effects.measure, self.settings.decided_at
        (hard,) = effects.numbers("hard", fraction, difficulty)
        (easy,) = effects.numbers("easy", fraction, difficulty)
        reference = effects.random_groups(effects.drops, measure, fraction)
        drop, of_hard = effects.drops(measure, hard), effects.by_points(measure, hard)
        than_random = _tested(drop - reference.mean(0), of_hard, of_random_groups(reference))
        than_easy = _tested(drop - effects.drops(measure, easy), of_hard, effects.by_points(measure, easy))
        subject = f"hard correct points are more informative than {{}} ones, by {difficulty}"
        return [
            self._question(MORE_THAN_RANDOM, subject.format("random"), "hard minus random", than_random),
            self._question(MORE_THAN_EASY, subject.format("easy"), "hard minus easy", than_easy),
        ]

    def _wrong_ones(self, difficulty: str) -> list[Question]:
        effects, measure, fraction = self.effects, self.effects.measure, self.settings.decided_at
        (hard,) = effects.numbers("hard", fraction, difficulty)
        than_wrong, harm, more = Student(None), Student(None), ""
        if wrong := effects.numbers("wrong", fraction, difficulty):
            drops, of_wrong = effects.drops(measure, wrong[0]), effects.by_points(measure, wrong[0])
            than_wrong = _tested(effects.drops(measure, hard) - drops, effects.by_points(measure, hard), of_wrong)
            harm = _tested(-drops, of_wrong)
        else:
            more = "; too few points of a wrong label for a group, so it is undecided"
        subject = f"hard correct points are more informative than hard wrong ones, by {difficulty}"
        return [
            self._question("correct matters", subject, "hard minus wrong", than_wrong, more),
            self._question("wrong do harm", f"hard wrong points do harm, by {difficulty}", "minus wrong", harm, more),
        ]

    def _question(self, id_: str, statement: str, what: str, found: Student, more: str = "") -> Question:
        high, low = self.settings.supported_above, self.settings.refuted_below
        n_points = len(self.effects.groups[self.effects.numbers("random", self.settings.decided_at)[0]].rows)
        rule = (
            f"drop of {self.effects.measure} per removed example, {what}, groups of {n_points} points: supported above "
            f"{high:g}, not supported below {low:g}, {TESTED}{more}"
        )
        return Question(id_, statement, self.problem, found, rule, supported=above(high), refuted=below(low))


def with_agreement(claims: Sequence[Claim]) -> list[Claim]:
    """The claims and, for each problem with several difficulties, one that these agree on the correct points."""
    found: list[Claim] = []
    for problem in dict.fromkeys(claim.problem for claim in claims):
        of_problem = [claim for claim in claims if claim.problem == problem]
        by_statement = {
            id_: [claim.verdict for claim in of_problem if claim.id == id_]
            for id_ in (MORE_THAN_RANDOM, MORE_THAN_EASY)
        }
        found += of_problem
        if len(by_statement[MORE_THAN_RANDOM]) > 1:
            found.append(_agreement(problem, [set(verdicts) for verdicts in by_statement.values()]))
    return found


def _agreement(problem: str, by_statement: Sequence[set[Verdict]]) -> Claim:
    return Claim(
        id=AGREEMENT,
        statement="all difficulties agree on hard correct points",
        problem=problem,
        value=sum(len(verdicts) == 1 for verdicts in by_statement) / len(by_statement),
        low=None,
        high=None,
        rule="share of the statements on which all difficulties have the same verdict: supported if all are "
        "decided and the same, not supported if one difficulty supports a statement that another does not",
        verdict=agreed(by_statement),
    )


def agreed(by_statement: Sequence[set[Verdict]]) -> Verdict:
    """The verdict on whether several difficulties, which gave each statement these verdicts, agree."""
    if any({"supported", "not supported"} <= verdicts for verdicts in by_statement):
        return "not supported"
    decided = all(len(verdicts) == 1 and "undecided" not in verdicts for verdicts in by_statement)
    return "supported" if decided else "undecided"


def _in_unit_interval(found: Statistic) -> Statistic:
    """A share, whose interval is cut off at 0 and 1."""
    if found.low is None or found.high is None:
        return found
    return Statistic(value=found.value, low=max(0.0, found.low), high=min(1.0, found.high))


def _tested(values: Tensor, *by_points: Tensor | None) -> Student:
    """A difference (n_seeds, n_test) for a test; its error is unknown without the chance of the points of a group."""
    known = [one for one in by_points if one is not None]
    found = mean_effect(values, *known)
    if len(known) < len(by_points):
        return Student(found.value)
    return Student(found.value, found.standard_error(), found.degrees_of_freedom())
