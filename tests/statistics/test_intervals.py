"""Intervals cover what they claim to, in a small seeded simulation."""

from math import asin, pi

import pytest
import torch
from torch import Tensor

from influbench.statistics.correlation import mean_over_columns, spearman, whole_table, within_classes
from influbench.statistics.estimation import Estimation


def two_way(n: int, m: int, generator: torch.Generator) -> Tensor:
    """Row, column and cell noise of equal variance 1."""

    def noise(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    return noise(n, 1) + noise(1, m) + noise(n, m)


def covers(estimation: Estimation | None, target: float) -> bool:
    """Whether the 95% interval, which must be there, holds the target."""
    assert estimation is not None
    found = estimation.correlation_interval()
    assert found.low is not None
    assert found.high is not None
    return found.low <= target <= found.high


@pytest.mark.slow
@pytest.mark.parametrize(("n", "m"), [(60, 40), (25, 60)])
@pytest.mark.parametrize("rows_in_common", [False, True])
def test_coverage_of_a_known_correlation(n: int, m: int, rows_in_common: bool) -> None:
    """Columns of bivariate normals with correlation .5, whose Spearman correlation is 6/pi asin(.25)."""
    generator = torch.Generator().manual_seed(n + m)
    rho, covered, n_simulations = 0.5, 0, 200
    # A rank correlation of n points is an estimate of its own expectation, slightly below that of infinitely many.
    target = (6 / pi) * (asin(rho / 2) * (n - 2) + asin(rho)) / (n + 1)
    for _ in range(n_simulations):
        shape = (n, 1) if rows_in_common else (n, m)
        shared, own = (torch.randn(*shape, generator=generator, dtype=torch.float64) for _ in range(2))
        cells = torch.randn(n, m, generator=generator, dtype=torch.float64)
        cells_too = rho * cells + (1 - rho**2) ** 0.5 * torch.randn(n, m, generator=generator, dtype=torch.float64)
        x, y = shared + cells, rho * shared + (1 - rho**2) ** 0.5 * own + cells_too
        estimation = mean_over_columns(spearman, x, y, whole_table(n, m)).estimation
        covered += covers(estimation, target)
    assert covered / n_simulations >= 0.92


@pytest.mark.slow
def test_coverage_of_nothing_within_classes() -> None:
    generator = torch.Generator().manual_seed(5)
    blocks = within_classes(torch.arange(90) % 3, torch.arange(60) % 3)
    covered, n_simulations = 0, 200
    for _ in range(n_simulations):
        estimation = mean_over_columns(
            spearman, two_way(90, 60, generator), two_way(90, 60, generator), blocks
        ).estimation
        covered += covers(estimation, 0)
    assert covered / n_simulations >= 0.92


@pytest.mark.slow
@pytest.mark.parametrize("n_defined", [2, 3, 5])
def test_columns_that_are_not_defined_do_not_make_an_interval_narrower(n_defined: int) -> None:
    """Fifty columns, of which few have scores: the interval is that of the few."""
    generator = torch.Generator().manual_seed(n_defined)
    covered, n_simulations = 0, 200
    for _ in range(n_simulations):
        effect = 0.3 * torch.randn(1, 50, generator=generator, dtype=torch.float64)  # a correlation for each column
        x = torch.randn(100, 50, generator=generator, dtype=torch.float64)
        y = effect * x + torch.randn(100, 50, generator=generator, dtype=torch.float64)
        x[:, n_defined:] = 0
        estimation = mean_over_columns(spearman, x, y, whole_table(100, 50)).estimation
        covered += covers(estimation, 0)
    assert covered / n_simulations >= 0.92


def test_one_column_or_perfect_agreement_has_no_interval() -> None:
    x, y = two_way(30, 4, torch.Generator().manual_seed(0)), two_way(30, 4, torch.Generator().manual_seed(1))
    single_column = y.clone()
    single_column[:, 1:] = 0
    single = mean_over_columns(spearman, x, single_column, whole_table(30, 4)).estimation
    assert single is not None
    assert single.standard_error() is None
    assert single.interval().low is None
    perfect = mean_over_columns(spearman, y, y, whole_table(30, 4)).estimation
    assert perfect is not None
    found = perfect.correlation_interval()
    assert found.value == pytest.approx(1)
    assert (found.low, found.high) == (None, None)


def test_intervals_stay_within_bounds_and_hold_their_value() -> None:
    nearly = Estimation(0.99, torch.randn(30, 4, dtype=torch.float64) / 100, 30, 4)
    found = nearly.correlation_interval()
    assert found.low is not None
    assert found.high is not None
    assert found.low < 0.99 < found.high <= 1


def test_functions_and_ratios_move_value_and_error_by_the_delta_method() -> None:
    contributions = torch.randn(50, 20, generator=torch.Generator().manual_seed(0), dtype=torch.float64) / 1000
    one = Estimation(0.4, contributions, 50, 20)
    error = one.standard_error()
    assert error is not None
    squared = one.apply(lambda v: v**2, 0.8)
    assert squared.value == pytest.approx(0.16)
    assert squared.standard_error() == pytest.approx(0.8 * error)
    assert one.over(one).value == 1
    assert one.over(one).standard_error() == pytest.approx(0, abs=1e-15)
    half = one.over(Estimation(0.8, torch.zeros(50, 20, dtype=torch.float64), 50, 20))
    assert half.value == pytest.approx(0.5)
    assert half.standard_error() == pytest.approx(error / 0.8)
