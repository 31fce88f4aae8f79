"""Verdicts on claims, by tests of their statistics, at a false discovery rate of 5% over all claims of a study."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf

from scipy import stats

from influbench.results import Claim, Verdict
from influbench.statistics.student import Student

FALSE_DISCOVERY_RATE = 0.05
TESTED = f"tested at a false discovery rate of {100 * FALSE_DISCOVERY_RATE:g}% over all claims of the study"

Range = tuple[float, float]  # open at both ends


def above(bound: float) -> Range:
    """All numbers above the bound."""
    return bound, inf


def below(bound: float) -> Range:
    """All numbers below the bound."""
    return -inf, bound


@dataclass(frozen=True)
class Question:
    """A statement about training with its statistic, and the ranges of values that support it and that refute it.

    `rule` says in words which statistic and which ranges these are.
    """

    id: str
    statement: str
    problem: str
    found: Student
    rule: str
    supported: Range
    refuted: Range

    @property
    def p_value(self) -> float | None:
        """Twice the smaller p-value of the tests that find the statement supported and refuted; None if unknown."""
        found = [self.found.p_value(*values) for values in (self.supported, self.refuted)]
        known = [one for one in found if one is not None]
        return min(1.0, 2 * min(known)) if known else None

    @property
    def direction(self) -> Verdict:
        """The verdict if the statistic is clear enough: that of the test with the smaller p-value."""
        supported, refuted = (self.found.p_value(*values) for values in (self.supported, self.refuted))
        if supported is None or refuted is None or supported == refuted:
            return "undecided"
        return "supported" if supported < refuted else "not supported"


def decided(questions: Sequence[Question]) -> list[Claim]:
    """The claims with their verdicts, tested together by the procedure of Benjamini and Hochberg (1995).

    The p-values are two-sided, so the expected share of wrong verdicts among all claims that are supported or refuted
    is at most 5% (Benjamini and Yekutieli 2005, for the direction). A claim whose error is unknown is not tested.
    """
    p_values = [one.p_value for one in questions]
    tested = [one for one in p_values if one is not None]
    adjusted = iter(stats.false_discovery_control(tested).tolist() if tested else [])
    clear = [one is not None and next(adjusted) <= FALSE_DISCOVERY_RATE for one in p_values]
    return [
        _claim(question, question.direction if is_clear else "undecided")
        for question, is_clear in zip(questions, clear, strict=True)
    ]


def _claim(question: Question, verdict: Verdict) -> Claim:
    found = question.found.interval()
    return Claim(
        id=question.id,
        statement=question.statement,
        problem=question.problem,
        value=found.value,
        low=found.low,
        high=found.high,
        rule=question.rule,
        p_value=question.p_value,
        verdict=verdict,
    )
