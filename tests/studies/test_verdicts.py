"""Verdicts on several claims at once, against scipy's procedure and simulated claims."""

import pytest
import torch
from scipy import stats

from influbench.statistics.student import Student
from influbench.studies.verdicts import Question, above, below, decided


def question(value: float | None, error: float | None = 1.0, *, refuted: float = 0, supported: float = 0) -> Question:
    found = Student(value, error)
    return Question("id", "statement", "problem", found, "rule", supported=above(supported), refuted=below(refuted))


def test_a_single_claim_is_decided_by_its_95_percent_interval() -> None:
    for value, verdict in ((1.97, "supported"), (1.95, "undecided"), (-1.95, "undecided"), (-1.97, "not supported")):
        (claim,) = decided([question(value)])
        assert claim.verdict == verdict
        assert claim.p_value == pytest.approx(2 * stats.norm.sf(abs(value)))
        assert claim.low is not None
        assert claim.high is not None
        assert (claim.low > 0 or claim.high < 0) == (verdict != "undecided")


def test_between_the_bounds_a_claim_is_undecided() -> None:
    (between,) = decided([question(0.3, 0.01, refuted=0, supported=0.5)])
    (supported,) = decided([question(0.6, 0.01, refuted=0, supported=0.5)])
    (refuted,) = decided([question(-0.1, 0.01, refuted=0, supported=0.5)])
    assert [one.verdict for one in (between, supported, refuted)] == ["undecided", "supported", "not supported"]


def test_several_claims_are_decided_by_the_procedure_of_benjamini_and_hochberg() -> None:
    values = [2.1, 3.5, -2.6, 0.3, -4.0, 1.0, 2.0]
    adjusted = stats.false_discovery_control([2 * stats.norm.sf(abs(value)) for value in values])
    expected = [
        ("supported" if value > 0 else "not supported") if p <= 0.05 else "undecided"
        for value, p in zip(values, adjusted, strict=True)
    ]
    assert [claim.verdict for claim in decided([question(value) for value in values])] == expected
    assert expected[0] == "undecided"  # its own interval excludes 0


def test_a_claim_without_an_error_is_undecided_and_does_not_count() -> None:
    alone = decided([question(1.97)])
    among = decided([question(None, None), question(1.97), question(5.0, None)])
    assert [claim.verdict for claim in among] == ["undecided", "supported", "undecided"]
    assert [claim.p_value for claim in among] == [None, alone[0].p_value, None]
    assert decided([]) == []


def test_the_share_of_wrong_verdicts_is_at_most_5_percent() -> None:
    """Of 15 claims, 10 are about differences of 0, in groups of five that share half of their chance."""
    generator = torch.Generator().manual_seed(0)
    shares, alone = [], 0
    for _ in range(400):
        common = torch.randn(3, 1, generator=generator).expand(3, 5)
        noise = (0.5**0.5 * (common + torch.randn(3, 5, generator=generator))).flatten()
        effects = torch.tensor([0.0] * 10 + [3.0] * 5)
        verdicts = [claim.verdict for claim in decided([question(float(value)) for value in effects + noise])]
        wrong = sum(verdict != "undecided" for verdict in verdicts[:10]) + verdicts[10:].count("not supported")
        shares.append(wrong / max(1, sum(verdict != "undecided" for verdict in verdicts)))
        alone += int((noise[:10].abs() > 1.96).any())
    assert sum(shares) / len(shares) <= 0.05
    assert alone / len(shares) > 0.2  # of studies with a wrong verdict, if each claim were decided alone
