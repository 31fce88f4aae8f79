"""Means and ranks over problems."""

from math import asin, pi, sqrt

import pytest
import torch

from influbench.results import Statistic
from influbench.statistics.correlation import mean_over_columns, spearman, whole_table
from influbench.statistics.differences import Difference
from influbench.statistics.estimation import Estimation, repeated
from influbench.statistics.over_problems import mean_over_problems, mean_rank, rank_bounds, ranks


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


def test_ranks_share_ties_and_bounds_count_who_is_clearly_better_or_worse() -> None:
    assert ranks({"a": 0.5, "b": 0.2, "c": 0.5, "d": -0.1}) == {"a": 1.5, "b": 3, "c": 1.5, "d": 4}

    def pair(first: str, second: str, *, clear: bool) -> Difference:
        return Difference(first, second, Statistic(value=0.2, low=0.1 if clear else -0.1, high=0.3))

    found = [pair("a", "b", clear=False), pair("a", "c", clear=True), pair("b", "c", clear=False)]
    bounds = rank_bounds(["a", "b", "c"], found)
    assert bounds == {"a": (1, 2), "b": (1, 3), "c": (2, 3)}
    assert mean_rank([1, 2], [(1, 2), (1, 3)]) == Statistic(value=1.5, low=1, high=2.5)
