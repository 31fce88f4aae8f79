"""What the study of informativeness finds."""

from typing import Any, Literal

from pydantic import Field

from influbench.results.claims import Claim
from influbench.results.records import Record, Statistic

AGREEMENT = "difficulties agree"  # the claim whose value is a share of statements and no effect
GroupKind = Literal["hard", "easy", "random", "wrong"]


class GroupEffect(Record):
    """What happens without a group of train points, and on it alone, in means over seeds and test points.

    `drop`, `accuracy_drop` and `p_correct_drop` are per removed example and positive where the group helps, in the
    problem's measure, in correct answers (0 to 1), and in the probability of the true class. `alone`, `accuracy_alone`
    and `p_correct_alone` are of networks trained on nothing else. `influence` is what an estimator predicts for `drop`:
    its mean over the points of the group and the test points. Random groups are taken together: `n_groups`, of
    `n_points` each.
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
    """How two difficulties agree on the correct points: Spearman's correlation, over train points."""

    difficulties: tuple[str, str]
    spearman: Statistic


class ProblemInformativeness(Record):
    """What is found on one problem. `whole` and `accuracy` are of networks trained on all train points."""

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


class InformativenessRecord(Record):
    """What `influbench study informativeness` finds. `settings` are those of the plan's [informativeness]."""

    schema_name: Literal["influbench.informativeness/1"] = Field(default="influbench.informativeness/1", alias="schema")
    plan: str
    seed: int
    n_seeds: int
    settings: dict[str, Any]
    problems: tuple[ProblemInformativeness, ...]
    claims: tuple[Claim, ...]
