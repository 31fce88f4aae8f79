"""The effect of every group, computed from the trainings, and the verdicts on the claims."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import torch
from torch import Tensor

from influbench.results import UNKNOWN, Claim, Statistic, Verdict
from influbench.statistics.correlation import mean_over_columns, spearman, whole_table
from influbench.statistics.yardsticks import statistic
from influbench.studies.informativeness.effects import (
    against_group,
    against_random,
    mean_effect,
    mean_over_all,
)
from influbench.studies.informativeness.groups import Group
from influbench.studies.informativeness.record import AGREEMENT, ByDifficulty, DifficultyPair, GroupEffect
from influbench.studies.informativeness.retraining import ACCURACY, P_CORRECT, Outcomes
from influbench.studies.informativeness.study import Informativeness
from influbench.studies.verdicts import above, below, judged


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
        names = dict.fromkeys(group.difficulty for group in self.groups if group.difficulty is not None)
        return tuple(ByDifficulty(difficulty=name, groups=tuple(self._chosen_by(name))) for name in names)

    def drops(self, measure: str, number: int) -> Tensor:
        """The drop of a measure when one group is removed, per removed example: (n_seeds, n_test)."""
        lost = self.outcomes.whole[measure] - self.outcomes.without[measure][:, number]
        return lost / len(self.groups[number].rows)

    def alone(self, measure: str, number: int) -> Tensor:
        """A measure after training on one group alone: (n_seeds, n_test)."""
        return self.outcomes.alone[measure][:, number]

    def of_random(self, values: Callable[[str, int], Tensor], measure: str, fraction: float) -> Tensor:
        """These values for each random group of this size: (n_groups, n_seeds, n_test)."""
        return torch.stack([values(measure, number) for number in self.numbers("random", fraction)])

    def numbers(self, kind: str, fraction: float, difficulty: str | None = None) -> list[int]:
        """The places of the groups of this kind and size that this difficulty chose."""
        wanted = (kind, fraction, difficulty)
        return [
            number
            for number, group in enumerate(self.groups)
            if (group.kind, group.fraction, group.difficulty) == wanted
        ]

    def _random(self, fraction: float) -> GroupEffect:
        numbers = self.numbers("random", fraction)

        def mean(values: Callable[[str, int], Tensor], measure: str) -> Statistic:
            reference = self.of_random(values, measure, fraction)
            return mean_effect(reference.mean(0), reference, n_groups=1 / len(reference))

        return self._effect(numbers, mean, minus_random=lambda _values: UNKNOWN)

    def _chosen_by(self, difficulty: str) -> list[GroupEffect]:
        return [
            self._single(number, group.fraction)
            for number, group in enumerate(self.groups)
            if group.difficulty == difficulty
        ]

    def _single(self, number: int, fraction: float) -> GroupEffect:
        def mean(values: Callable[[str, int], Tensor], measure: str) -> Statistic:
            return mean_effect(values(measure, number), self.of_random(values, measure, fraction), n_groups=1)

        def minus_random(values: Callable[[str, int], Tensor]) -> Statistic:
            return against_random(values(self.measure, number), self.of_random(values, self.measure, fraction))

        return self._effect([number], mean, minus_random=minus_random)

    def _effect(
        self,
        numbers: Sequence[int],
        mean: Callable[[Callable[[str, int], Tensor], str], Statistic],
        *,
        minus_random: Callable[[Callable[[str, int], Tensor]], Statistic],
    ) -> GroupEffect:
        first, rows = self.groups[numbers[0]], torch.cat([self.groups[number].rows for number in numbers])
        return GroupEffect(
            kind=first.kind,
            fraction=first.fraction,
            n_points=len(first.rows),
            n_groups=len(numbers),
            class_counts=tuple(self.labels[first.rows].bincount(minlength=self.n_classes).tolist()),
            drop=mean(self.drops, self.measure),
            drop_minus_random=minus_random(self.drops),
            accuracy_drop=mean(self.drops, ACCURACY),
            p_correct_drop=mean(self.drops, P_CORRECT),
            alone=mean(self.alone, self.measure),
            alone_minus_random=minus_random(self.alone),
            accuracy_alone=_in_unit_interval(mean(self.alone, ACCURACY)),
            p_correct_alone=_in_unit_interval(mean(self.alone, P_CORRECT)),
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
class Claims:
    """The verdicts of the effects on the claims about one problem."""

    problem: str
    effects: Effects
    settings: Informativeness
    has_wrong: bool

    def all(self) -> list[Claim]:
        """A claim for each difficulty and statement, and one that several difficulties agree on the correct points."""
        difficulties = [one.difficulty for one in self.effects.by_difficulty()]
        of_correct = [claim for difficulty in difficulties for claim in self._correct_ones(difficulty)]
        of_wrong = [claim for difficulty in difficulties for claim in self._wrong_ones(difficulty)]
        of_all = [self._agreement(of_correct)] if len(difficulties) > 1 else []
        return [*of_correct, *of_all, *of_wrong]

    def _correct_ones(self, difficulty: str) -> list[Claim]:
        hard, reference = self._drops("hard", difficulty), self._reference
        easy = self._drops("easy", difficulty)
        assert hard is not None
        assert easy is not None
        subject = f"hard correct points are more informative than {{}} ones, by {difficulty}"
        return [
            self._claim(
                "more than random", subject.format("random"), "hard minus random", against_random(hard, reference)
            ),
            self._claim(
                "more than easy", subject.format("easy"), "hard minus easy", against_group(hard, easy, reference)
            ),
        ]

    def _wrong_ones(self, difficulty: str) -> list[Claim]:
        if not self.has_wrong:
            return []
        hard, wrong, reference = self._drops("hard", difficulty), self._drops("wrong", difficulty), self._reference
        assert hard is not None
        than_wrong = harm = UNKNOWN
        if wrong is not None:
            than_wrong = against_group(hard, wrong, reference)
            harm = mean_effect(-wrong, reference, n_groups=1)
        too_few = "" if wrong is not None else "; too few points of a wrong label for a group, so it is undecided"
        subject = f"hard correct points are more informative than hard wrong ones, by {difficulty}"
        return [
            self._claim("correct matters", subject, "hard minus wrong", than_wrong, too_few),
            self._claim("wrong do harm", f"hard wrong points do harm, by {difficulty}", "minus wrong", harm, too_few),
        ]

    def _claim(self, name: str, statement: str, what: str, found: Statistic, more: str = "") -> Claim:
        high, low = self.settings.supported_above, self.settings.refuted_below
        n_points = len(self.effects.groups[self.effects.numbers("random", self.settings.decided_at)[0]].rows)
        rule = (
            f"drop of {self.effects.measure} per removed example, {what}, groups of {n_points} points: supported if "
            f"the interval lies above {high:g}, not supported if below {low:g}{more}"
        )
        return judged(name, statement, self.problem, found, rule=rule, supported=above(high), refuted=below(low))

    def _agreement(self, claims: Sequence[Claim]) -> Claim:
        by_statement: dict[str, set[Verdict]] = {}
        for claim in claims:
            by_statement.setdefault(claim.id, set()).add(claim.verdict)
        return Claim(
            id=AGREEMENT,
            statement="all difficulties agree on hard correct points",
            problem=self.problem,
            value=sum(len(verdicts) == 1 for verdicts in by_statement.values()) / len(by_statement),
            low=None,
            high=None,
            rule="share of the statements on which all difficulties have the same verdict: supported if all are "
            "decided and the same, not supported if one difficulty supports a statement that another does not",
            verdict=agreed(list(by_statement.values())),
        )

    def _drops(self, kind: str, difficulty: str) -> Tensor | None:
        numbers = self.effects.numbers(kind, self.settings.decided_at, difficulty)
        return self.effects.drops(self.effects.measure, numbers[0]) if numbers else None

    @property
    def _reference(self) -> Tensor:
        return self.effects.of_random(self.effects.drops, self.effects.measure, self.settings.decided_at)


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
