"""The findings of `influbench explain`."""

from typing import Literal

from pydantic import Field

from influbench.results.records import Record, Statistic

Side = Literal["train", "test"]


class Point(Record):
    """A train or test point. `wrong` is a train label that was drawn at random and is not the true one.

    `label_name` is the name of its class; null where classes are numbers alone, and for regression.
    """

    id: int
    label: int | float
    label_name: str | None = None
    wrong: bool = False


class Effect(Point):
    """A point with its effect on the one that is explained, or that one's effect on it; positive helps."""

    effect: float


class Strongest(Record):
    """The points of the largest effects of one sign, strongest first; fewer than k if so few have that sign.

    `found` is how many of the truth's are among them, in expectation where points tie for the last place; null for the
    truth itself. `n_tied` counts the points that are left out with the same effect as the last one.
    """

    points: tuple[Effect, ...]
    found: float | None = None
    n_tied: int = 0


class Account(Record):
    """The points that help and hurt, by the truth or one estimator. Estimators have units of their own."""

    name: str
    helps: Strongest
    hurts: Strongest


class MemorizationAccount(Record):
    """The memorization of a train point, as the truth or one estimator has it; rank 1 is the most memorised."""

    name: str
    value: float
    rank: int


class ExplanationRecord(Record):
    """One point of a run: a test point with its proponents and opponents, or a train point with what it does to tests.

    `accounts` and `memorization` begin with the truth, named "truth"; the latter is empty for a test point and for
    regression. `reliability` is that of the influence truth over all points. `notes` are sentences for the report.
    """

    schema_name: Literal["influbench.explanation/1"] = Field(default="influbench.explanation/1", alias="schema")
    problem: str
    measure: str
    n_seeds: int
    reliability: Statistic
    n_train: int
    n_test: int
    side: Side
    point: Point
    k: int
    accounts: tuple[Account, ...]
    memorization: tuple[MemorizationAccount, ...] = ()
    notes: tuple[str, ...] = ()
