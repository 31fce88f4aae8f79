"""The summary of a study's claims."""

from influbench.report.claims import in_summary
from influbench.results import Claim, Verdict


def claim(verdict: Verdict, p_value: float | None) -> Claim:
    return Claim(
        id="id",
        statement="statement",
        problem="problem",
        value=1.0,
        low=None,
        high=None,
        rule="rule",
        p_value=p_value,
        verdict=verdict,
    )


def test_the_summary_counts_the_claims_that_were_tested() -> None:
    claims = [claim("supported", 0.001), claim("undecided", 0.2), claim("supported", 0.002), claim("supported", None)]
    assert in_summary(claims, 0.05) == (
        "3 claims tested: 2 supported, 0 not supported, 1 undecided, at a false discovery rate of 5%. A claim may be "
        "undecided although its interval excludes the other verdicts, because the test is for all of them."
    )
    assert in_summary([claim("not supported", 0.01)], 0.1).startswith(
        "1 claim tested: 0 supported, 1 not supported, 0 undecided, at a false discovery rate of 10%."
    )


def test_claims_of_an_earlier_version_are_named_as_such() -> None:
    assert in_summary([claim("supported", None), claim("undecided", None)], None) == (
        "2 claims, judged by the rule of an earlier version: each by its own 95% interval. Run the study again to test "
        "them together."
    )
