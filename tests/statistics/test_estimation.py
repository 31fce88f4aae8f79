"""Errors, degrees of freedom and intervals, against textbook formulas and scipy."""

from math import atanh, inf, sqrt, tanh

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor

from influbench.results import Statistic
from influbench.statistics.estimation import Estimation, combined, mean_estimation, repeated


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def mean_of(sample: Tensor) -> Estimation:
    """The mean of a sample, as a statistic of a table of one column."""
    return Estimation(float(sample.mean()), ((sample - sample.mean()) / len(sample))[:, None], len(sample), None)


def nothing(value: float = 0.5, **parts: object) -> Estimation:
    """A statistic to which the points add no chance."""
    return Estimation(value, torch.zeros(6, 4, dtype=torch.float64), 6, 4, **parts)  # type: ignore[arg-type]


def test_the_interval_of_a_mean_is_students() -> None:
    sample = 0.3 + noise(9)
    found = mean_of(sample)
    assert found.standard_error() == pytest.approx(stats.sem(sample), rel=1e-12)
    assert found.degrees_of_freedom() == pytest.approx(8)
    expected = stats.ttest_1samp(sample, 0).confidence_interval(0.95)
    interval = found.interval()
    assert (interval.low, interval.high) == (pytest.approx(expected.low), pytest.approx(expected.high))


def even(n: int) -> Tensor:
    """Values +1 and -1 of equal size, of n - 1 degrees of freedom; n is even."""
    return torch.tensor([1.0, -1.0], dtype=torch.float64).repeat(n // 2)


def test_the_degrees_of_freedom_of_a_table_are_those_of_the_side_that_varies() -> None:
    for n_rows, n_columns in ((50, 6), (6, 50)):
        rows, columns = even(n_rows)[:, None] / n_columns, even(n_columns) / n_rows
        of_rows = Estimation(0.1, (rows + 0 * columns) / 1000, n_rows, n_columns)
        of_columns = Estimation(0.1, (0 * rows + columns) / 1000, n_rows, n_columns)
        assert of_rows.degrees_of_freedom() == pytest.approx(n_rows - 1)
        assert of_columns.degrees_of_freedom() == pytest.approx(n_columns - 1)
        interval, error = of_columns.interval(), of_columns.standard_error()
        assert error is not None
        assert interval.high == pytest.approx(0.1 + stats.t.ppf(0.975, n_columns - 1) * error, rel=1e-12)
        assert interval.low == pytest.approx(0.1 - stats.t.ppf(0.975, n_columns - 1) * error, rel=1e-12)


def test_the_degrees_of_freedom_of_rows_and_columns_are_satterthwaites() -> None:
    n, m = 12, 6
    table = (even(n)[:, None] / m + even(m) / n) / 1000
    rows, columns, cells = (
        np.square(sums).sum() * size / (size - 1)
        for sums, size in ((table.sum(1).numpy(), n), (table.sum(0).numpy(), m), (table.numpy().ravel(), n * m))
    )
    total = rows + columns - cells
    assert total > max(rows, columns)
    expected = total**2 / (rows**2 / (n - 1) + columns**2 / (m - 1))
    assert Estimation(0.1, table, n, m).degrees_of_freedom() == pytest.approx(expected, rel=1e-9)


def test_a_point_that_carries_most_leaves_few_degrees_of_freedom() -> None:
    """One value against 39 equal ones: its square is nearly all, so that the effective number of points is one."""
    sums = torch.full((40, 1), -1 / 39, dtype=torch.float64).index_fill(0, torch.tensor(0), 1.0)
    concentration = (1 + 39 / 39**4) / (1 + 39 / 39**2) ** 2
    found = Estimation(0.1, sums, 40, None)
    assert found.degrees_of_freedom() == pytest.approx(39 * 3 * 39 / (40 * 41) / concentration, rel=1e-9)
    assert Estimation(0.1, 7 * sums, 40, None).degrees_of_freedom() == pytest.approx(found.degrees_of_freedom())


@pytest.mark.parametrize("n", [3, 5, 20])
def test_normal_values_are_expected_to_have_all_their_degrees_of_freedom(n: int) -> None:
    values = np.random.default_rng(n).normal(size=(100_000, n))
    squares = np.square(values - values.mean(1, keepdims=True))
    concentration = np.mean(np.square(squares).sum(1) / np.square(squares.sum(1)))
    assert 3 * (n - 1) / (n * (n + 1)) == pytest.approx(concentration, rel=0.01)


def test_what_is_combined_has_the_fewest_rows_and_columns_of_its_parts() -> None:
    few, many = Estimation(0.5, noise(30, 20), 7, 20), Estimation(0.5, noise(30, 20, seed=1), 30, 6)
    for found in (few.minus(many), many.minus(few), few.over(many), mean_estimation([few, many])):
        assert (found.n_rows, found.n_columns) == (7, 6)
        assert found.degrees_of_freedom() < 5
    one = Estimation(0.5, noise(30, 1), 30, None)
    assert one.minus(one).n_columns is None
    assert one.minus(few).n_columns == 20


def test_the_variance_is_that_of_two_way_clusters() -> None:
    """rows + columns - cells (Cameron, Gelbach, Miller 2011), each n / (n - 1) times its sum of squares."""
    n, m = 12, 8
    table = (noise(n, 1, seed=1) + noise(1, m, seed=2) + 0.1 * noise(n, m, seed=3)).numpy() / (n * m)
    rows = np.square(table.sum(1)).sum() * n / (n - 1)
    columns = np.square(table.sum(0)).sum() * m / (m - 1)
    cells = np.square(table).sum() * n * m / (n * m - 1)
    expected = rows + columns - cells
    assert expected > max(rows, columns)
    found = Estimation(0.0, torch.from_numpy(table), n, m).standard_error()
    assert found == pytest.approx(sqrt(expected), rel=1e-12)


@pytest.mark.parametrize("wide", [False, True])
def test_the_variance_is_no_less_than_that_of_one_way(wide: bool) -> None:
    """Where cells differ by themselves, rows + columns - cells can fall below either."""
    table = noise(6, 40, seed=4)
    table = table - table.mean(1, keepdim=True) if not wide else table - table.mean(0)
    rows = float(table.sum(1).square().sum()) * 6 / 5
    columns = float(table.sum(0).square().sum()) * 40 / 39
    cells = float(table.square().sum()) * 240 / 239
    assert rows + columns - cells < max(rows, columns)
    found = Estimation(0.0, table, 6, 40).standard_error()
    assert found == pytest.approx(sqrt(max(rows, columns)), rel=1e-12)


def test_only_points_that_take_part_are_counted() -> None:
    """A row of zeros is no sample: 6 of 9 rows and 3 of 4 columns."""
    table = noise(9, 4)
    table[6:], table[:, 3] = 0, 0
    part = Estimation(0.0, table, 6, 3)
    alone = Estimation(0.0, table[:6, :3], 6, 3)
    assert part.standard_error() == pytest.approx(alone.standard_error() or 0, rel=1e-12)


def test_repeats_enter_with_the_error_of_their_mean() -> None:
    values = [0.2, 0.5, 0.3, 0.6]
    found = repeated([nothing(value) for value in values])
    assert found.value == pytest.approx(0.4, rel=1e-12)
    assert found.standard_error() == pytest.approx(stats.sem(values), rel=1e-12)
    assert found.degrees_of_freedom() == pytest.approx(3)
    assert repeated([nothing(0.2)]).by_repeat == ()


def test_sources_add_and_their_degrees_of_freedom_are_satterthwaites() -> None:
    sample, seeds, repeats = noise(9), noise(5, seed=1), noise(3, seed=2)
    of = mean_of(sample)
    parts = {
        8: float(stats.sem(sample)) ** 2,
        4: float(seeds.square().sum()) * 5 / 4,
        2: float(repeats.square().sum()) * 3 / 2,
    }
    found = Estimation(of.value, of.contributions, 9, None, by_seed=seeds, by_repeat=(repeats,))
    total = sum(parts.values())
    assert found.standard_error() == pytest.approx(sqrt(total), rel=1e-12)
    expected = total**2 / sum(variance**2 / freedom for freedom, variance in parts.items())
    assert found.degrees_of_freedom() == pytest.approx(expected, rel=1e-12)


def test_the_degrees_of_freedom_of_two_samples_are_welchs() -> None:
    """The difference of two means over repeats is Welch's test."""
    first, second = noise(6), 2 * noise(4, seed=1)
    found = repeated([nothing(value) for value in first.tolist()]).minus(
        repeated([nothing(value) for value in second.tolist()])
    )
    expected = stats.ttest_ind(first, second, equal_var=False)
    assert found.value / (found.standard_error() or inf) == pytest.approx(expected.statistic, rel=1e-12)
    assert found.degrees_of_freedom() == pytest.approx(expected.df, rel=1e-12)


def test_an_extrapolation_adds_its_error_without_a_loss_of_freedom() -> None:
    of = mean_of(noise(9))
    error = of.standard_error()
    assert error is not None
    found = Estimation(of.value, of.contributions, 9, None, by_extrapolation=0.7)
    assert found.standard_error() == pytest.approx(sqrt(error**2 + 0.49), rel=1e-12)
    assert found.degrees_of_freedom() == pytest.approx((error**2 + 0.49) ** 2 / (error**4 / 8), rel=1e-12)
    assert nothing(by_extrapolation=0.7).degrees_of_freedom() == inf
    interval = nothing(by_extrapolation=0.1).interval()
    assert interval.high == pytest.approx(0.5 + stats.norm.ppf(0.975) * 0.1)


def test_a_single_one_of_anything_has_no_error() -> None:
    table = noise(6, 4)
    for n_rows, n_columns, parts in (
        (1, 4, {}),
        (6, 1, {}),
        (6, 4, {"by_seed": noise(1)}),
        (6, 4, {"by_repeat": (noise(3), noise(1))}),
    ):
        found = Estimation(0.2, table, n_rows, n_columns, **parts)  # type: ignore[arg-type]
        assert found.standard_error() is None
        assert found.interval() == found.correlation_interval() == Statistic(value=0.2, low=None, high=None)
    for n_rows, n_columns, parts in ((2, 2, {}), (2, None, {"by_seed": noise(2), "by_repeat": (noise(2),)})):
        assert Estimation(0.2, table, n_rows, n_columns, **parts).standard_error() is not None  # type: ignore[arg-type]


def test_a_statistic_without_chance_is_certain() -> None:
    found = nothing()
    assert found.standard_error() == 0
    assert found.degrees_of_freedom() == inf
    for interval in (found.interval(), found.correlation_interval()):
        assert (interval.value, interval.low, interval.high) == (0.5, pytest.approx(0.5), pytest.approx(0.5))


def test_the_interval_of_a_correlation_is_symmetric_on_fishers_scale() -> None:
    sample = 0.1 * noise(9)
    of = Estimation(0.6, mean_of(sample).contributions, 9, None)
    half = stats.t.ppf(0.975, 8) * stats.sem(sample) / (1 - 0.36)
    found = of.correlation_interval()
    assert (found.value, found.low, found.high) == (
        0.6,
        pytest.approx(tanh(atanh(0.6) - half), rel=1e-12),
        pytest.approx(tanh(atanh(0.6) + half), rel=1e-12),
    )
    for certain in (1.0, -1.0):
        perfect = Estimation(certain, of.contributions, 9, None).correlation_interval()
        assert perfect == Statistic(value=certain, low=None, high=None)


def test_differences_and_ratios_share_seeds_and_keep_the_repeats_of_each() -> None:
    seeds, repeats = (noise(4), noise(4, seed=1)), (noise(3, seed=2), noise(2, seed=3))
    tables = (noise(6, 4, seed=4), noise(6, 4, seed=5))
    first, second = (
        Estimation(value, table, 6, 4, by_seed=of_seeds, by_repeat=(of_repeats,), by_extrapolation=extrapolation)
        for value, table, of_seeds, of_repeats, extrapolation in zip(
            (0.6, 0.8), tables, seeds, repeats, (0.1, 0.3), strict=True
        )
    )
    for found, value, slopes in (
        (first.minus(second), -0.2, (1, -1)),
        (first.over(second), 0.75, (1 / 0.8, -0.75 / 0.8)),
        (mean_estimation([first, second]), 0.7, (0.5, 0.5)),
        (combined(9.0, [(3.0, first), (-2.0, second)]), 9.0, (3, -2)),
    ):
        assert found.value == pytest.approx(value)
        assert found.by_seed is not None
        torch.testing.assert_close(found.contributions, slopes[0] * tables[0] + slopes[1] * tables[1])
        torch.testing.assert_close(found.by_seed, slopes[0] * seeds[0] + slopes[1] * seeds[1])
        torch.testing.assert_close(list(found.by_repeat), [slopes[0] * repeats[0], slopes[1] * repeats[1]])
        assert found.by_extrapolation == pytest.approx(slopes[0] * 0.1 + slopes[1] * 0.3)
    alone = first.minus(nothing(0.1))
    assert alone.by_seed is not None
    torch.testing.assert_close(alone.by_seed, seeds[0])
    assert nothing(0.1).minus(nothing(0.2)).by_seed is None


def table(value: float, scale: float, seed: int) -> Estimation:
    cells = scale * torch.randn(40, 30, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) / 1200
    return Estimation(value, cells - cells.mean(), 40, None)


def test_fiellers_interval_ends_where_the_difference_is_just_clear() -> None:
    first, second = table(0.4, 6.0, 1), table(0.7, 8.0, 2)
    found = first.ratio_interval(second)
    assert found.value == pytest.approx(4 / 7)
    assert found.low is not None
    assert found.high is not None
    assert found.low < 4 / 7 < found.high
    for end in (found.low, found.high):
        difference = combined(0.0, [(1.0, first), (-end, second)])
        error = difference.standard_error()
        assert error is not None
        at_the_ratio = combined(0.0, [(1.0, first), (-found.value, second)])
        critical = stats.t.ppf(0.975, at_the_ratio.degrees_of_freedom())
        assert abs(first.value - end * second.value) / error == pytest.approx(critical, rel=1e-9)


def test_a_ratio_to_what_may_be_0_has_no_interval() -> None:
    first, second = table(0.4, 6.0, 1), table(0.1, 80.0, 2)
    assert first.ratio_interval(second).value == pytest.approx(4)
    assert first.ratio_interval(second).low is None
    assert first.ratio_interval(table(0.1, 1.0, 2)).low is not None


def test_the_fewest_degrees_of_freedom_make_a_ratio_wider() -> None:
    first, second = table(0.4, 6.0, 1), table(0.7, 1e-9, 2)
    many, few = first.ratio_interval(second), first.ratio_interval(second, freedom=3)
    assert None not in (many.low, many.high, few.low, few.high)
    ratio = ((few.high or 0) - (few.low or 0)) / ((many.high or 0) - (many.low or 0))
    assert ratio == pytest.approx(stats.t.ppf(0.975, 3) / stats.t.ppf(0.975, 39), rel=1e-6)


def test_two_repeats_are_a_source_of_chance() -> None:
    first, second = mean_of(noise(30, 4, seed=1)), mean_of(noise(30, 4, seed=2))
    (of_repeats,) = repeated([first, second]).by_repeat
    assert of_repeats.tolist() == pytest.approx([(first.value - second.value) / 4, (second.value - first.value) / 4])
    assert repeated([first]).by_repeat == ()
