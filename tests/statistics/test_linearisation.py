"""Influence functions of all statistics: the derivative with respect to the weight of a row, taken numerically.

Each statistic is written out once more for rows with weights, as a sum over rows or over pairs of rows.
"""

from collections.abc import Callable
from math import nan, sqrt

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from influbench.statistics.correlation import (
    Block,
    Columns,
    ColumnStatistic,
    kendall,
    mean_over_columns,
    pearson,
    pooled,
    spearman,
    standard_ranks_within,
    whole_table,
)
from influbench.statistics.retrieval import auroc, membership, overlap, sign_agreement
from tests.statistics.test_correlation import tables

Numbers = NDArray[np.float64]


def covariance(w: Numbers, x: Numbers, y: Numbers) -> float:
    return float(w @ (x * y) - (w @ x) * (w @ y))


def weighted_pearson(w: Numbers, x: Numbers, y: Numbers) -> float:
    return covariance(w, x, y) / sqrt(covariance(w, x, x) * covariance(w, y, y))


def above(x: Numbers) -> Numbers:
    """1 where the first row is above the second, 1/2 where they are equal, for all pairs."""
    return (x[:, None] > x) + 0.5 * (x[:, None] == x)


def weighted_spearman(w: Numbers, x: Numbers, y: Numbers) -> float:
    return weighted_pearson(w, above(x) @ w, above(y) @ w)


def weighted_kendall(w: Numbers, x: Numbers, y: Numbers) -> float:
    a, b = np.sign(x[:, None] - x), np.sign(y[:, None] - y)
    pairs = np.outer(w, w)
    return float((pairs * a * b).sum() / sqrt((pairs * a**2).sum() * (pairs * b**2).sum()))


def weighted_auroc(w: Numbers, x: Numbers, y: Numbers) -> float:
    pairs = np.outer(w * y, w * (1 - y))
    return float((pairs * above(x)).sum() / pairs.sum())


def derivative(of: Callable[[Numbers, Numbers, Numbers], float], x: Numbers, y: Numbers) -> list[float]:
    """Of the statistic, as the distribution of rows moves towards each of them."""
    n, step = len(x), 1e-5
    found = []
    for row in range(n):
        ends = []
        for share in (step, -step):
            w = np.full(n, (1 - share) / n)
            w[row] += share
            ends.append(of(w, x, y))
        found.append((ends[0] - ends[1]) / (2 * step))
    return found


@pytest.mark.parametrize("digits", [None, 1, 0])
@pytest.mark.parametrize(
    ("of", "weighted"), [(spearman, weighted_spearman), (pearson, weighted_pearson), (kendall, weighted_kendall)]
)
def test_the_influence_of_a_row_is_the_derivative(of: ColumnStatistic, weighted, digits: int | None) -> None:  # type: ignore[no-untyped-def]
    x, y = tables(14, 4, digits=digits)
    found = of(x, y)
    for j in range(4):
        columns = x[:, j].numpy(), y[:, j].numpy()
        assert found.values[j].item() == pytest.approx(weighted(np.full(14, 1 / 14), *columns), abs=1e-12)
        assert found.influence[:, j].tolist() == pytest.approx(derivative(weighted, *columns), abs=1e-6)


@pytest.mark.parametrize("digits", [None, 0])
def test_the_influence_on_the_area_is_the_derivative(digits: int | None) -> None:
    """Each class is a sample of its own, so it has its own correction of squares by n / (n - 1)."""
    x, y = tables(40, 3, digits=digits)
    positive = (y > 0.3).double()
    found = auroc(x, positive)
    for j in range(3):
        columns = x[:, j].numpy(), positive[:, j].numpy()
        n_class = np.where(columns[1], columns[1].sum(), 40 - columns[1].sum())
        expected = derivative(weighted_auroc, *columns) * np.sqrt(n_class / (n_class - 1) * 39 / 40)
        assert found.influence[:, j].tolist() == pytest.approx(expected.tolist(), abs=1e-6)


def overlap_of_three(x: Tensor, y: Tensor) -> Columns:
    return overlap(3)(x, y)


@pytest.mark.parametrize("of", [spearman, pearson, kendall, overlap_of_three])
def test_where_a_column_is_constant_nothing_has_influence(of: ColumnStatistic) -> None:
    """Also where the mean of a constant is off by rounding, and its variance above 0."""
    x, y = tables(11, 4)
    x[:, 1], y[:, 2] = 0.1, -0.3
    assert x.mean(0)[1] != 0.1
    found = of(x, y)
    assert found.values.isnan().tolist() == [False, True, True, False]
    assert (found.influence[:, 1:3] == 0).all()
    assert (found.influence[:, 3] != 0).any()


def test_where_all_or_none_are_positive_nothing_has_influence() -> None:
    x, y = tables(40, 3)
    positive = (y > 0).double()
    positive[:, 0], positive[:, 1] = 1.0, 0.0
    found = auroc(x, positive)
    assert found.values.isnan().tolist() == [True, True, False]
    assert (found.influence[:, :2] == 0).all()


def test_kendalls_parts_join_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = tables(12, 7, digits=1)
    whole = kendall(x, y)
    monkeypatch.setattr("influbench.statistics.correlation._CELLS_AT_A_TIME", 2 * 12**2)
    parts = kendall(x, y)
    assert torch.equal(whole.values, parts.values)
    assert torch.equal(whole.influence, parts.influence)


def test_means_are_over_columns_and_contributions_over_the_rows_of_a_block() -> None:
    """Two blocks of unlike size, and a column that is not defined."""
    x, y = tables(15, 6)
    y[:6, 1] = 0.0
    blocks = [Block(torch.arange(6), torch.tensor([1, 4])), Block(torch.arange(6, 15), torch.tensor([0, 2, 5]))]
    found = mean_over_columns(spearman, x, y, blocks)
    expected, values, variances = torch.zeros(15, 6, dtype=torch.float64), [nan] * 6, [nan] * 6
    for block in blocks:
        columns = spearman(x[block.rows][:, block.columns], y[block.rows][:, block.columns])
        for place, j in enumerate(block.columns.tolist()):
            values[j] = columns.values[place].item()
            variances[j] = float(columns.influence[:, place].square().sum()) / len(block.rows) ** 2
    mean = sum(values[j] for j in (0, 2, 4, 5)) / 4
    for block, defined in ((blocks[0], [4]), (blocks[1], [0, 2, 5])):
        for j in defined:
            influence = spearman(x[block.rows, j : j + 1], y[block.rows, j : j + 1]).influence[:, 0]
            expected[block.rows, j] = (influence + values[j] - mean) / (len(block.rows) * 4)
    assert found.estimation is not None
    assert found.estimation.value == pytest.approx(mean, rel=1e-12)
    torch.testing.assert_close(found.estimation.contributions, expected, rtol=1e-9, atol=1e-15)
    assert (found.estimation.n_rows, found.estimation.n_columns, found.n_undefined) == (15, 4, 2)
    assert found.values.tolist() == pytest.approx(values, rel=1e-12, nan_ok=True)
    assert found.sampling_variances.tolist() == pytest.approx(variances, rel=1e-9, nan_ok=True)


def test_rows_of_blocks_without_a_value_do_not_take_part() -> None:
    x, y = tables(15, 4)
    y[:6, :2] = 0.0
    blocks = [Block(torch.arange(6), torch.arange(2)), Block(torch.arange(6, 15), torch.arange(2, 4))]
    found = mean_over_columns(spearman, x, y, blocks).estimation
    assert found is not None
    assert (found.n_rows, found.n_columns) == (9, 2)


def test_a_block_of_three_rows_has_a_correlation_and_one_of_two_has_not() -> None:
    x, y = tables(5, 2)
    blocks = [Block(torch.arange(3), torch.tensor([0])), Block(torch.arange(3, 5), torch.tensor([1]))]
    found = mean_over_columns(spearman, x, y, blocks)
    assert found.values.isnan().tolist() == [False, True]
    assert standard_ranks_within(x, blocks).isnan().any(0).tolist() == [False, True]
    assert (standard_ranks_within(x, blocks)[3:, 0] == 0).all()
    assert pooled(spearman, x[:2, :1], y[:2, :1]) is None
    assert pooled(spearman, x[:3, :1], y[:3, :1]) is not None


def test_one_column_is_no_sample_of_columns() -> None:
    found = mean_over_columns(spearman, *tables(9, 1), whole_table(9, 1)).estimation
    assert found is not None
    assert (found.n_rows, found.n_columns) == (9, None)


def test_all_pairs_at_once_have_the_influence_of_one_long_column() -> None:
    x, y = tables(6, 5)
    found = pooled(kendall, x, y)
    assert found is not None
    influence = derivative(weighted_kendall, x.flatten().numpy(), y.flatten().numpy())
    assert (found.contributions * 30).flatten().tolist() == pytest.approx(influence, abs=1e-6)
    assert (found.n_rows, found.n_columns) == (6, 5)


def test_membership_is_shared_by_those_tied_at_the_threshold() -> None:
    table = torch.tensor([[5.0, 1.0, 2.0], [4.0, 1.0, 2.0], [4.0, 1.0, 3.0], [4.0, 1.0, 0.0], [1.0, 1.0, 1.0]])
    found = membership(table, 2)
    assert found[:, 0].tolist() == pytest.approx([1, 1 / 3, 1 / 3, 1 / 3, 0])
    assert found[:, 1].tolist() == pytest.approx([0.4] * 5)
    assert found[:, 2].tolist() == pytest.approx([0.5, 0.5, 1, 0, 0])
    assert found.sum(0).tolist() == pytest.approx([2] * 3)


def near(order: list[int], other: list[float], k: int) -> float:
    """The mean of the others' membership over those placed about the threshold."""
    half = max(1, k // 2)
    about = order[max(0, k - half) : k + half]
    return sum(other[i] for i in about) / len(about)


@pytest.mark.parametrize("k", [1, 2, 3, 5, 7])
def test_the_influence_on_the_overlap_of_the_highest(k: int) -> None:
    """A row that is in both counts itself; one that enters moves a threshold, and pushes out what stands near it."""
    x, y = tables(12, 3)
    found = overlap(k)(x, y)
    share = k / 12
    for j in range(3):
        of_x, of_y = x[:, j].tolist(), y[:, j].tolist()
        order_x, order_y = (sorted(range(12), key=lambda i, of=of: -of[i]) for of in (of_x, of_y))
        a, b = ([float(i in order[:k]) for i in range(12)] for order in (order_x, order_y))
        common = sum(p * q for p, q in zip(a, b, strict=True)) / k
        at_x, at_y = near(order_x, b, k), near(order_y, a, k)
        assert found.values[j].item() == pytest.approx((common - share) / (1 - share), abs=1e-12)
        expected = [
            (a[i] * b[i] / share - common - (at_x * (a[i] - share) + at_y * (b[i] - share)) / share) / (1 - share)
            for i in range(12)
        ]
        assert found.influence[:, j].tolist() == pytest.approx(expected, abs=1e-12)


def test_the_overlap_of_all_points_is_not_defined() -> None:
    x, y = tables(6, 2)
    assert overlap(6)(x, y).values.isnan().all()
    assert (overlap(6)(x, y).influence == 0).all()


def test_signs_that_agree_have_the_linearisation_of_a_mean() -> None:
    truth, scores = tables(30, 5)
    clear = torch.zeros(30, 5, dtype=torch.bool)
    clear[1:13, :2] = True
    clear[20, :4] = True
    scores[2, 1] = 0.0
    found = sign_agreement(scores, truth, clear)
    agreeing = (1 + np.sign(scores.numpy()) * np.sign(truth.numpy())) / 2
    value = agreeing[clear.numpy()].mean()
    expected = np.where(clear.numpy(), (agreeing - value) / 28, 0)
    assert found is not None
    assert found.value == pytest.approx(value, abs=1e-12)
    torch.testing.assert_close(found.contributions, torch.from_numpy(expected))
    assert (found.n_rows, found.n_columns) == (13, 4)
    single = sign_agreement(scores[:, :1], truth[:, :1], clear[:, :1])
    assert single is not None
    assert (single.n_rows, single.n_columns) == (13, None)
    two = sign_agreement(scores[:13, :2], truth[:13, :2], clear[:13, :2])
    assert two is not None
    assert (two.n_rows, two.n_columns) == (12, 2)
