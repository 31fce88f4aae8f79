"""Means and ranks over problems."""

from math import asin, pi, sqrt

import pytest
import torch
from scipy import stats

from influbench.results import Statistic
from influbench.statistics.correlation import mean_over_columns, spearman, whole_table
from influbench.statistics.differences import Difference
from influbench.statistics.estimation import Estimation, repeated
from influbench.statistics.over_problems import (
    mean_elsewhere,
    mean_over_problems,
    ranks,
    reversed_without,
    widened,
    widened_differences,
)


def estimated(seed: int, *, n: int = 200, m: int = 100) -> Estimation:
    generator = torch.Generator().manual_seed(seed)
    x, noise = (torch.randn(n, m, generator=generator, dtype=torch.float64) for _ in range(2))
    found = mean_over_columns(spearman, x, 0.4 * x + noise, whole_table(n, m)).estimation
    assert found is not None
    return found


def error(of: Estimation) -> float:
    found = of.standard_error()
    assert found is not None
    return found


def test_problems_on_the_same_points_share_their_error_and_others_do_not() -> None:
    one, other = estimated(0), estimated(1, n=80, m=30)
    assert error(mean_over_problems([[one, one]])) == pytest.approx(error(one))
    assert error(mean_over_problems([[one], [one]])) == pytest.approx(error(one) / sqrt(2), rel=0.02)
    both = mean_over_problems([[one], [other]])
    assert both.value == pytest.approx((one.value + other.value) / 2)
    assert error(both) == pytest.approx(sqrt(error(one) ** 2 + error(other) ** 2) / 2, rel=0.05)
    assert both.contributions.shape == (280, 130)
    assert (both.n_rows, both.n_columns) == (280, 130)
    assert float(both.contributions.sum()) == pytest.approx(0, abs=1e-12)


def test_problems_count_equally_however_they_are_grouped() -> None:
    parts = [estimated(seed) for seed in range(3)]
    assert mean_over_problems([parts[:2], parts[2:]]).value == pytest.approx(sum(part.value for part in parts) / 3)


def test_the_mean_of_one_column_has_no_sample_of_columns_and_repeats_are_kept() -> None:
    column = repeated([estimated(seed, m=1) for seed in range(4)])
    mean = mean_over_problems([[column], [column]])
    assert mean.n_columns is None
    assert [len(repeats) for repeats in mean.by_repeat] == [4, 4]
    assert error(mean) == pytest.approx(error(column) / sqrt(2), rel=0.02)


@pytest.mark.slow
def test_coverage_of_the_mean_over_problems() -> None:
    """Against the expectation of Spearman's correlation of 60 and of 40 normal pairs (Moran 1948)."""
    rho = 0.4 / sqrt(1.16)
    known = sum(6 / (pi * (n + 1)) * (asin(rho) + (n - 2) * asin(rho / 2)) for n in (60, 40)) / 2
    covered = 0
    for seed in range(200):
        mean = mean_over_problems([[estimated(3 * seed, n=60, m=20)], [estimated(3 * seed + 1, n=40, m=30)]])
        found = mean.correlation_interval()
        assert found.low is not None
        assert found.high is not None
        covered += found.low <= known <= found.high
    assert covered / 200 >= 0.92


def elsewhere(values: list[float], datasets: str) -> Estimation:
    """The mean over problems on these data sets, one letter each."""
    found = mean_elsewhere(values, list(datasets))
    assert found is not None
    return found


def test_with_one_problem_for_each_data_set_the_interval_elsewhere_is_student_s() -> None:
    values = [0.3, 0.5, 0.1, 0.4, 0.35]
    known = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    found = elsewhere(values, "abcde").interval()
    assert found.value == pytest.approx(0.33)
    assert (found.low, found.high) == (pytest.approx(known.low), pytest.approx(known.high))


def test_problems_of_one_data_set_are_one_observation() -> None:
    one = elsewhere([0.3, 0.5, 0.1, 0.4], "abcd")
    several = elsewhere([0.2, 0.4, 0.55, 0.45, 0.0, 0.2, 0.4, 0.4], "aabbccdd")
    assert several.value == pytest.approx(one.value)
    assert error(several) == pytest.approx(error(one))
    assert several.degrees_of_freedom() == pytest.approx(3)


def test_data_sets_count_by_their_problems_and_the_variance_is_unbiased_if_they_vary_alike() -> None:
    datasets = "aaaaabbbccd"
    sizes = {name: datasets.count(name) for name in "abcd"}

    def variance(**of: float) -> float:
        return error(elsewhere([of.get(name, 0.0) for name in datasets], datasets)) ** 2

    assert elsewhere([float(name == "a") for name in datasets], datasets).value == pytest.approx(5 / 11)
    unit = {name: variance(**{name: 1.0}) for name in sizes}
    assert sum(unit.values()) == pytest.approx(sum((size / 11) ** 2 for size in sizes.values()))
    # the variance is a quadratic form, so values of pairs give all of it
    form = torch.tensor(
        [
            [(variance(**{one: 1.0, other: 1.0} if one != other else {one: 2.0}) - unit[one] - unit[other]) / 2
             for other in sizes]
            for one in sizes
        ]
    )  # fmt: skip
    expected = float(form.trace() ** 2 / form.square().sum())
    found = elsewhere([0.1 * place for place in range(11)], datasets)
    assert found.degrees_of_freedom() == pytest.approx(expected, rel=1e-5)
    assert 1 < expected < 3


def test_differences_elsewhere_are_of_the_same_data_sets() -> None:
    datasets = "aabcdd"
    one, other = [0.3, 0.5, 0.1, 0.4, 0.3, 0.2], [0.1, 0.4, 0.1, 0.2, 0.3, 0.1]
    of_pairs = [first - second for first, second in zip(one, other, strict=True)]
    difference = elsewhere(one, datasets).minus(elsewhere(other, datasets))
    assert error(difference) == pytest.approx(error(elsewhere(of_pairs, datasets)))
    assert difference.degrees_of_freedom() == elsewhere(of_pairs, datasets).degrees_of_freedom()


def test_three_data_sets_are_too_few() -> None:
    assert mean_elsewhere([0.1, 0.2, 0.3, 0.4], ["a", "a", "b", "c"]) is None
    assert mean_elsewhere([0.1, 0.2, 0.3, 0.4], ["a", "d", "b", "c"]) is not None


def test_an_interval_is_widened_on_both_sides_and_never_made_up() -> None:
    one, other = Statistic(value=0.5, low=0.4, high=0.6), Statistic(value=0.5, low=0.45, high=0.7)
    open_ended = Statistic(value=0.5, low=None, high=None)
    assert widened(one, other) == Statistic(value=0.5, low=0.4, high=0.7)
    assert widened(other, one) == Statistic(value=0.5, low=0.4, high=0.7)
    assert widened(one, open_ended) == one
    assert widened(open_ended, one) == open_ended
    (found,) = widened_differences(
        [Difference("a", "b", one)], [Difference("x", "y", one), Difference("a", "b", other)]
    )
    assert (found.first, found.second, found.statistic) == ("a", "b", widened(one, other))


def test_ranks_share_ties() -> None:
    assert ranks({"a": 0.5, "b": 0.2, "c": 0.5, "d": -0.1}) == {"a": 1.5, "b": 3, "c": 1.5, "d": 4}


def test_a_pair_is_reversed_by_the_problem_that_decides_it() -> None:
    assert reversed_without([0.9, 0.1, 0.2], [0.2, 0.2, 0.3]) == [0]
    assert reversed_without([0.2, 0.2, 0.3], [0.9, 0.1, 0.2]) == [0]
    assert reversed_without([0.5, 0.4], [0.3, 0.3]) == []
    assert reversed_without([0.5, 0.25], [0.25, 0.25]) == []  # a tie is not a reversed order
    assert reversed_without([0.5], [0.3]) == []
