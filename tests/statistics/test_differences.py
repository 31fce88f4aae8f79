"""Who can be told apart."""

import torch

from influbench.results import Statistic
from influbench.statistics.correlation import mean_over_columns, spearman, whole_table
from influbench.statistics.differences import Difference, differences, letters
from influbench.statistics.estimation import Estimation


def judged(*strengths: float) -> dict[str, Estimation]:
    """Estimators named a, b, c, ... whose scores are the truth times a strength, plus noise."""
    generator = torch.Generator().manual_seed(0)
    truth = torch.randn(80, 30, generator=generator, dtype=torch.float64)
    found = {}
    for name, strength in zip("abcdef", strengths, strict=False):
        scores = strength * truth + torch.randn(80, 30, generator=generator, dtype=torch.float64)
        estimation = mean_over_columns(spearman, scores, truth, whole_table(80, 30)).estimation
        assert estimation is not None
        found[name] = estimation
    return found


def test_clear_differences_are_found_and_others_are_not() -> None:
    found = {(one.first, one.second): one for one in differences(judged(1.0, 0.98, 0.2))}
    assert found["a", "c"].is_clear
    assert not any(one.is_clear for pair, one in found.items() if set(pair) == {"a", "b"})


def test_simultaneous_intervals_are_wider_than_single_ones() -> None:
    known = judged(1.0, 0.9, 0.5, 0.4, 0.3, 0.2)
    single = known["a"].minus(known["b"]).interval()
    together = next(one for one in differences(known) if {one.first, one.second} == {"a", "b"}).statistic
    assert single.low is not None
    assert single.high is not None
    assert together.low is not None
    assert together.high is not None
    assert together.high - together.low > 1.2 * (single.high - single.low)
    two = next(iter(differences(judged(1.0, 0.9)))).statistic
    assert two.low is not None
    assert abs(two.low - single.low) < 0.1 * (single.high - single.low)


def test_the_same_scores_do_not_differ() -> None:
    known = judged(1.0)
    (same,) = differences({"a": known["a"], "b": known["a"]})
    assert not same.is_clear
    assert differences(known) == []


def pair(first: str, second: str, *, clear: bool) -> Difference:
    low = 0.1 if clear else -0.1
    return Difference(first, second, Statistic(value=0.2, low=low, high=0.5))


def test_names_share_a_letter_if_and_only_if_they_cannot_be_told_apart() -> None:
    names = ["w", "x", "y", "z"]
    apart = {("w", "y"), ("w", "z"), ("x", "z")}
    found = [pair(a, b, clear=(a, b) in apart) for i, a in enumerate(names) for b in names[i + 1 :]]
    assert letters(names, found) == {"w": "a", "x": "ab", "y": "bc", "z": "c"}
    assert letters(["x"], []) == {"x": "a"}
