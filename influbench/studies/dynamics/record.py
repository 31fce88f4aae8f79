"""What `influbench study dynamics` finds: when examples are learnt and memorised."""

from typing import Literal

from pydantic import Field

from influbench.results.claims import Claim
from influbench.results.records import Record, Statistic


class GroupCurves(Record):
    """Means over a group of train points, after each of the problem's steps, and times in steps that are read off them.

    `seen` is p_correct under each point's own mask, `unseen` that under its flipped mask, and `memorization` their
    difference; `left_out` is memorization by leaving the points out of ordinary training. `difficulty` is the mean of
    the independent estimate.
    """

    name: str
    n: int
    difficulty: float
    seen: tuple[float, ...]
    unseen: tuple[float, ...]
    memorization: tuple[float, ...]
    left_out: tuple[float, ...] | None
    final_memorization: Statistic
    onset: Statistic  # of memorization
    half_memorised: Statistic
    half_seen: Statistic
    half_left_out: Statistic


class MemorizationAt(Record):
    """How well memorization by masks agrees with memorization by leaving out, after one step."""

    step: int
    spearman: Statistic
    ceiling: Statistic


class ProblemDynamics(Record):
    """The course of training on one problem. `by_label` are groups by label, `by_difficulty` quantiles of true labels.

    `left_out_overlap` is the statistic of the claim `simultaneous` by leaving points out. `agreement` is by name of the
    points that it is over. `notes` say what could not be asked.
    """

    problem: str
    n_train: int
    n_networks: int
    n_seeds: int
    steps_per_epoch: int
    steps: tuple[int, ...]
    by_label: tuple[GroupCurves, ...]
    by_difficulty: tuple[GroupCurves, ...]
    left_out_overlap: Statistic
    agreement: dict[str, tuple[MemorizationAt, ...]]
    notes: tuple[str, ...]


class DynamicsRecord(Record):
    """What `influbench study dynamics` finds. `settings` are the plan's `[dynamics]`, `n_seeds` those of the truth."""

    schema_name: Literal["influbench.dynamics/1"] = Field(default="influbench.dynamics/1", alias="schema")
    plan: str
    seed: int
    n_seeds: int
    settings: dict[str, bool | int | float | str]
    problems: tuple[ProblemDynamics, ...]
    claims: tuple[Claim, ...]
