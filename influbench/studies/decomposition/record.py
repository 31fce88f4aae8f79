"""The findings of `influbench study decomposition`."""

from typing import Literal

from pydantic import Field

from influbench.results.fits import Fit
from influbench.results.records import Record, Statistic


class Term(Record):
    """A term of turn-over dropout's scores: its share of their variance and its Spearman correlation with the truth."""

    name: str
    share_of_variance: Statistic
    spearman: Statistic


class Estimand(Record):
    """A leave-one-out effect that turn-over dropout may predict: the scores' Spearman correlation with it."""

    name: str
    spearman: Statistic
    ceiling: Statistic


class Decomposed(Record):
    """The terms of an estimator's scores on one problem; influbench.studies.decomposition.terms defines them.

    `fit` is the accuracy of ordinary trainings.
    """

    problem: str
    estimator: str
    sealed_share: float
    n_trainings: int
    influence: tuple[Term, ...]
    memorization: tuple[Term, ...]
    estimands: dict[str, tuple[Estimand, ...]] = Field(default_factory=dict)
    fit: Fit | None = None


class DecompositionRecord(Record):
    """The findings of `influbench study decomposition`."""

    schema_name: Literal["influbench.decomposition/1"] = Field(default="influbench.decomposition/1", alias="schema")
    plan: str
    seed: int
    n_seeds: int
    decomposed: tuple[Decomposed, ...]
