"""The verdict of a study on a claim."""

from typing import Literal

from influbench.results.records import Record

Verdict = Literal["supported", "not supported", "undecided"]


class Claim(Record):
    """A statement about training, the statistic that it depends on, its 95% interval, and the verdict.

    The plan says before the run which values support it and which speak against it; so does `rule`. `p_value` is
    two-sided, and None if the claim was not tested: because its error is unknown, because it is derived from other
    claims, or because an earlier version judged it by its interval.
    """

    id: str
    statement: str
    problem: str
    value: float | None
    low: float | None
    high: float | None
    rule: str
    p_value: float | None = None
    verdict: Verdict
