"""Correlations, against scipy, and their linearisation against the jackknife."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import kendalltau, pearsonr, spearmanr

from influbench.statistics.correlation import (
    ColumnStatistic,
    kendall,
    mean_over_columns,
    pearson,
    pooled,
    spearman,
    whole_table,
    within_classes,
)
from influbench.statistics.ranks import standard_ranks


def tables(n: int, m: int, *, seed: int = 0, digits: int | None = None) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(n, m, generator=generator, dtype=torch.float64)
    y = x + torch.randn(n, m, generator=generator, dtype=torch.float64)
    return (x, y) if digits is None else (x.round(decimals=digits), y.round(decimals=digits))


@settings(deadline=None, max_examples=30)
@given(n=st.integers(3, 30), m=st.integers(1, 6), seed=st.integers(0, 100), digits=st.sampled_from([None, 1, 0]))
@pytest.mark.parametrize(("ours", "theirs"), [(spearman, spearmanr), (pearson, pearsonr), (kendall, kendalltau)])
def test_columns_equal_scipy_with_and_without_ties(ours, theirs, n, m, seed, digits) -> None:  # type: ignore[no-untyped-def]
    x, y = tables(n, m, seed=seed, digits=digits)
    values = ours(x, y).values
    for j in range(m):
        if x[:, j].unique().numel() > 1 and y[:, j].unique().numel() > 1:
            assert values[j].item() == pytest.approx(theirs(x[:, j], y[:, j]).statistic, abs=1e-12)
        else:
            assert values[j].isnan()


@pytest.mark.parametrize("digits", [None, 0])
def test_standard_ranks_multiply_to_spearman(digits: int | None) -> None:
    x, y = tables(25, 4, digits=digits)
    products = (standard_ranks(x) * standard_ranks(y)).sum(0)
    torch.testing.assert_close(products, spearman(x, y).values, rtol=0, atol=1e-12)
    assert standard_ranks(torch.ones(5, 2)).isnan().all()


def test_pooled_equals_scipy() -> None:
    x, y = tables(20, 7, digits=1)
    found = pooled(spearman, x, y)
    assert found is not None
    assert found.value == pytest.approx(spearmanr(x.flatten(), y.flatten()).statistic, abs=1e-12)


def test_within_classes_takes_each_test_point_with_its_own_class() -> None:
    x, y = tables(30, 9)
    train_labels, test_labels = torch.arange(30) % 3, torch.arange(9) // 3
    mean = mean_over_columns(spearman, x, y, within_classes(train_labels, test_labels))
    expected = [
        spearmanr(x[train_labels == test_labels[j], j], y[train_labels == test_labels[j], j]).statistic
        for j in range(9)
    ]
    assert mean.estimation is not None
    assert mean.estimation.value == pytest.approx(sum(expected) / 9, abs=1e-12)
    off_class = train_labels[:, None] != test_labels[None]
    assert (mean.estimation.contributions[off_class] == 0).all()


def test_constant_columns_and_small_classes_are_counted() -> None:
    x, y = tables(12, 5)
    x[:, 1], y[:, 3] = 4.0, 0.0
    mean = mean_over_columns(spearman, x, y, whole_table(12, 5))
    assert (mean.n_undefined, mean.n_silent) == (1, 1)
    assert mean.estimation is not None
    assert mean.estimation.value == pytest.approx(
        sum(spearmanr(x[:, j], y[:, j]).statistic for j in (0, 2, 4)) / 4, abs=1e-12
    )
    few = within_classes(torch.tensor([0] * 2 + [1] * 10), torch.tensor([0, 0, 1, 1, 1]))
    assert mean_over_columns(spearman, *tables(12, 5), few).n_undefined == 2
    nothing = mean_over_columns(spearman, torch.zeros(12, 5), y, whole_table(12, 5))
    assert (nothing.estimation, nothing.n_undefined, nothing.n_silent) == (None, 1, 4)
    assert pooled(spearman, torch.zeros(12, 5), y) is None


@pytest.mark.parametrize("digits", [None, 1, 0])
@pytest.mark.parametrize("of", [spearman, pearson, kendall])
def test_the_linearisation_agrees_with_leaving_rows_out(of: ColumnStatistic, digits: int | None) -> None:
    """The jackknife's standard error over rows, and each row's own effect."""
    n, m = 80, 6
    x, y = tables(n, m, digits=digits)
    whole = mean_over_columns(of, x, y, whole_table(n, m)).estimation
    assert whole is not None
    without = []
    for i in range(n):
        others = [row for row in range(n) if row != i]
        part = mean_over_columns(of, x[others], y[others], whole_table(n - 1, m)).estimation
        assert part is not None
        without.append(part.value)
    jackknife = whole.value - torch.tensor(without, dtype=torch.float64)
    jackknife -= jackknife.mean()
    rows = whole.contributions.sum(1)
    assert torch.corrcoef(torch.stack([jackknife, rows]))[0, 1] > 0.999
    standard_error = ((n - 1) / n) ** 0.5 * jackknife.norm().item()
    assert rows.norm().item() == pytest.approx(standard_error, rel=0.06)


def test_contributions_sum_to_nothing_and_columns_hold_their_own_excess() -> None:
    x, y = tables(25, 6, digits=1)
    whole = mean_over_columns(spearman, x, y, whole_table(25, 6)).estimation
    assert whole is not None
    assert abs(whole.contributions.sum()) < 1e-12
    excess = torch.tensor([spearmanr(x[:, j], y[:, j]).statistic for j in range(6)]) - whole.value
    torch.testing.assert_close(whole.contributions.sum(0), excess / 6, rtol=1e-9, atol=1e-12)


def test_it_does_not_pay_to_be_silent_where_the_scores_are_least_sure() -> None:
    x, y = tables(40, 6)
    values = mean_over_columns(spearman, x, y, whole_table(40, 6)).values
    silent = x.clone()
    silent[:, values < values.median()] = 0.0
    spoken, kept = (mean_over_columns(spearman, scores, y, whole_table(40, 6)).estimation for scores in (x, silent))
    assert spoken is not None
    assert kept is not None
    assert kept.value < spoken.value
    assert kept.n_columns == spoken.n_columns == 6


def weighted_by_hand(x: np.ndarray, y: np.ndarray, weights: np.ndarray) -> float:
    """A second implementation: scipy's correlations, weighted by column sums."""
    total = value = 0.0
    for j in range(x.shape[1]):
        if np.ptp(y[:, j]) == 0:
            continue
        weight = float(weights[:, j].sum())
        total += weight
        value += weight * (0.0 if np.ptp(x[:, j]) == 0 else float(spearmanr(x[:, j], y[:, j]).statistic))
    return value / total


@pytest.mark.parametrize("digits", [None, 0])
def test_a_weighted_mean_is_scipys_correlations_weighted_by_column_sums(digits: int | None) -> None:
    x, y = tables(25, 7, digits=digits)
    weights = torch.rand(25, 7, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    x[:, 2], y[:, 4], weights[:, 6] = 1.0, 3.0, 0.0
    found = mean_over_columns(spearman, x, y, whole_table(25, 7), weights).estimation
    assert found is not None
    assert found.value == pytest.approx(weighted_by_hand(x.numpy(), y.numpy(), weights.numpy()), abs=1e-12)
    assert found.n_columns == 5
    assert float(found.contributions.sum()) == pytest.approx(0, abs=1e-12)


def test_the_weights_uncertainty_over_rows_is_in_the_linearization() -> None:
    """The jackknife over rows, with weights that are sums over the same rows."""
    n, m = 120, 5
    x, y = tables(n, m)
    weights = y.square() * torch.tensor([4.0, 1.0, 0.2, 3.0, 1.0]).double()
    whole = mean_over_columns(spearman, x, y, whole_table(n, m), weights).estimation
    assert whole is not None
    without = []
    for row in range(n):
        kept = [i for i in range(n) if i != row]
        found = mean_over_columns(spearman, x[kept], y[kept], whole_table(n - 1, m), weights[kept]).estimation
        assert found is not None
        without.append(found.value)
    jackknife = (n - 1) * (np.mean(without) - np.array(without)) / n
    rows = whole.contributions.sum(1).numpy()
    assert np.corrcoef(rows, jackknife)[0, 1] > 0.99
    assert np.linalg.norm(rows) == pytest.approx(np.linalg.norm(jackknife), rel=0.1)


def test_a_table_without_weight_has_no_mean() -> None:
    x, y = tables(12, 3)
    found = mean_over_columns(spearman, x, y, whole_table(12, 3), torch.zeros(12, 3))
    assert found.estimation is None
