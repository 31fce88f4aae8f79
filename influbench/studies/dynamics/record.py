"""The findings of `influbench study dynamics`: when examples are learned and memorized."""

from typing import Literal

from pydantic import Field

from influbench.results.claims import Claim
from influbench.results.fits import Fit
from influbench.results.records import Record, Statistic


class GroupCurves(Record):
    """Means over a group of train points after each of the problem's steps, and times, in steps, read off these curves.

    `seen` is p_correct under each point's own mask, `unseen` is p_correct under its flipped mask, and `memorization` is
    their difference; `left_out` is memorization by leaving the points out of ordinary training. `difficulty` is the
    mean of the independent estimate.
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
    """The agreement of memorization by masks with memorization by leaving out, after one step."""

    step: int
    spearman: Statistic
    ceiling: Statistic


class ProblemDynamics(Record):
    """The course of training on one problem. `by_label` are groups by label, `by_difficulty` quantiles of true labels.

    `left_out_overlap` is the statistic of the claim `simultaneous`, measured by leaving points out. The keys of
    `agreement` name the points that it is over. `notes` say which claims could not be tested, and why.
    `fit` is the accuracy of ordinary trainings.
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
    fit: Fit | None = None


class DynamicsRecord(Record):
    """The findings of the study. `settings` is the plan's `[dynamics]`; `n_seeds` counts the seeds of the truth.

    `false_discovery_rate` is the rate at which the claims were tested together; it is None in the findings of an
    earlier version, which judged each claim by its own interval.
    """

    schema_name: Literal["influbench.dynamics/1"] = Field(default="influbench.dynamics/1", alias="schema")
    plan: str
    seed: int
    n_seeds: int
    settings: dict[str, bool | int | float | str]
    problems: tuple[ProblemDynamics, ...]
    claims: tuple[Claim, ...]
    false_discovery_rate: float | None = None
