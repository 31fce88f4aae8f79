"""The verdict of a study on a claim."""

from typing import Literal

from influbench.results.records import Record

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
