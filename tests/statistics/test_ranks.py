"""Ranks, against scipy and by counting."""

import numpy as np
import pytest
import torch
from scipy.stats import rankdata

from influbench.statistics.ranks import rank, standard_ranks, weight_above
from tests.statistics.test_correlation import tables


@pytest.mark.parametrize("digits", [None, 1, 0])
def test_ranks_are_scipys_with_ties_by_mean(digits: int | None) -> None:
    table, _ = tables(15, 3, digits=digits)
    found = rank(table)
    for j in range(3):
        column = table[:, j].numpy()
        torch.testing.assert_close(found.cdf[j] * 15 + 0.5, torch.from_numpy(rankdata(column)))
        assert torch.equal(found.below[j] + 1, torch.from_numpy(rankdata(column, method="min")).long())
        assert torch.equal(found.upto[j], torch.from_numpy(rankdata(column, method="max")).long())
        assert np.array_equal(column[found.order[j].numpy()], np.sort(column))


@pytest.mark.parametrize("digits", [None, 0])
def test_weights_above_are_counted_and_those_of_equals_by_half(digits: int | None) -> None:
    table, other = tables(11, 2, digits=digits)
    found = weight_above(rank(table), other.T)
    for j in range(2):
        for row in range(11):
            larger, equal = table[:, j] > table[row, j], table[:, j] == table[row, j]
            expected = float(other[larger, j].sum() + other[equal, j].sum() / 2) / 11
            assert found[j, row].item() == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("digits", [None, 1, 0])
def test_standard_ranks_have_mean_0_and_norm_1(digits: int | None) -> None:
    table, _ = tables(15, 3, digits=digits)
    found = standard_ranks(table)
    for j in range(3):
        ranks = rankdata(table[:, j]) - 8
        expected = torch.from_numpy(ranks / np.linalg.norm(ranks))
        torch.testing.assert_close(found[:, j], expected, rtol=1e-12, atol=1e-12)


def test_ties_in_one_column_do_not_touch_the_others() -> None:
    table, _ = tables(15, 2)
    alone = standard_ranks(table[:, 1:])
    table[3, 0] = table[4, 0]
    found = standard_ranks(table)
    torch.testing.assert_close(found[:, 1:], alone)
    assert found[3, 0] == found[4, 0]
    table[:, 0] = 2.0
    assert standard_ranks(table)[:, 0].isnan().all()
    torch.testing.assert_close(standard_ranks(table)[:, 1:], alone)


def test_two_rows_have_standard_ranks_too() -> None:
    found = standard_ranks(torch.tensor([[3.0, 1.0], [2.0, 1.0]]))
    assert found[:, 0].tolist() == pytest.approx([0.5**0.5, -(0.5**0.5)])
    assert found[:, 1].isnan().all()
