"""What the studies find."""

from typing import Literal

from pydantic import Field

from influbench.results.records import Record, Statistic, Where

Verdict = Literal["supported", "not supported", "undecided"]


class Claim(Record):
    """A statement about training, the statistic that it stands or falls with, its 95 % interval, and the verdict.

    Which values support it and which speak against it stands in the plan before the run, and in `rule`.
    """

    id: str
    statement: str
    problem: str
    value: float | None
    low: float | None
    high: float | None
    rule: str
    verdict: Verdict


class Term(Record):
    """A part of turn-over dropout's scores: its share of their variance, its Spearman correlation with the truth."""

    name: str
    share_of_variance: Statistic
    spearman: Statistic


class Estimand(Record):
    """A leave-one-out effect that turn-over dropout may predict: the scores' Spearman correlation with it."""

    name: str
    spearman: Statistic
    ceiling: Statistic


class Decomposed(Record):
    """An estimator's scores on one problem, taken apart; influbench.studies.decomposition explains the terms."""

    problem: str
    estimator: str
    sealed_share: float
    n_trainings: int
    influence: tuple[Term, ...]
    memorization: tuple[Term, ...]
    estimands: dict[Where, tuple[Estimand, ...]] = Field(default_factory=dict)


class DecompositionStudy(Record):
    """What `influbench study decomposition` finds."""

    schema_name: Literal["influbench.decomposition/1"] = Field(default="influbench.decomposition/1", alias="schema")
    plan: str
    seed: int
    n_seeds: int
    decomposed: tuple[Decomposed, ...]
