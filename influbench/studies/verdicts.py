"""Verdicts on claims, by the intervals of their statistics."""

from math import inf

from influbench.results import Claim, Statistic, Verdict

Range = tuple[float, float]  # open at both ends


def above(bound: float) -> Range:
    """All numbers above the bound."""
    return bound, inf


def below(bound: float) -> Range:
    """All numbers below the bound."""
    return -inf, bound


def verdict(found: Statistic, *, supported: Range, refuted: Range) -> Verdict:
    """`supported` or `not supported` if the whole 95% interval lies within that range, otherwise `undecided`."""
    if found.low is None or found.high is None:
        return "undecided"
    if supported[0] < found.low and found.high < supported[1]:
        return "supported"
    return "not supported" if refuted[0] < found.low and found.high < refuted[1] else "undecided"


def judged(
    id_: str, statement: str, problem: str, found: Statistic, *, rule: str, supported: Range, refuted: Range
) -> Claim:
    """The claim with its statistic and its verdict."""
    return Claim(
        id=id_,
        statement=statement,
        problem=problem,
        value=found.value,
        low=found.low,
        high=found.high,
        rule=rule,
        verdict=verdict(found, supported=supported, refuted=refuted),
    )
