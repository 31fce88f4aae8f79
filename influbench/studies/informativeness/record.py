"""The findings of `influbench study informativeness`."""

from typing import Any, Literal

from pydantic import Field

from influbench.results.claims import Claim
from influbench.results.fits import Fit
from influbench.results.records import Record, Statistic

AGREEMENT = "difficulties agree"  # the claim whose value is a share of statements, not an effect
GroupKind = Literal["hard", "easy", "random", "wrong"]


class GroupEffect(Record):
    """The effects of training without a group of train points, and on it alone: means over seeds and test points.

    `drop`, `accuracy_drop` and `p_correct_drop` are per removed example and positive where the group helps: in the
    problem's measure, in correct answers (0 to 1), and in the probability of the true class. `alone`, `accuracy_alone`
    and `p_correct_alone` are measures of networks trained on this group only. `influence` is an estimator's prediction
    of `drop`: its mean over the points of the group and the test points. Random groups of one size are averaged:
    `n_groups` of `n_points` each.
    """

    kind: GroupKind
    fraction: float
    n_points: int
    n_groups: int
    class_counts: tuple[int, ...]
    drop: Statistic
    drop_minus_random: Statistic
    accuracy_drop: Statistic
    p_correct_drop: Statistic
    alone: Statistic
    alone_minus_random: Statistic
    accuracy_alone: Statistic
    p_correct_alone: Statistic
    influence: Statistic


class ByDifficulty(Record):
    """The groups that one difficulty chose, of all sizes."""

    difficulty: str
    groups: tuple[GroupEffect, ...]


class DifficultyPair(Record):
    """The agreement of two difficulties on the correct points: Spearman's correlation over train points."""

    difficulties: tuple[str, str]
    spearman: Statistic


class ProblemInformativeness(Record):
    """The findings on one problem. `whole` and `accuracy` are measures of networks trained on all train points.

    `fit` is the accuracy of the same trainings with the seeds of the plan's truth.
    """

    problem: str
    measure: str
    n_train: int
    n_test: int
    n_wrong: int
    n_trainings: int
    whole: Statistic
    accuracy: Statistic
    random: tuple[GroupEffect, ...]
    by_difficulty: tuple[ByDifficulty, ...]
    agreement: tuple[DifficultyPair, ...]
    fit: Fit | None = None


class InformativenessRecord(Record):
    """The findings of `influbench study informativeness`. `settings` is the plan's [informativeness].

    `false_discovery_rate` is the rate at which the claims were tested together; it is None in the findings of an
    earlier version, which judged each claim by its own interval.
    """

    schema_name: Literal["influbench.informativeness/1"] = Field(default="influbench.informativeness/1", alias="schema")
    plan: str
    seed: int
    n_seeds: int
    settings: dict[str, Any]
    problems: tuple[ProblemInformativeness, ...]
    claims: tuple[Claim, ...]
    false_discovery_rate: float | None = None
