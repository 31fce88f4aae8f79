"""Spearman's rank correlation, per column, pooled and within classes, each with its linearisation."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from influbench.statistics.estimation import Estimation

_FEWEST = 3  # points that a correlation needs


@dataclass(frozen=True, eq=False)
class Columns:
    """Correlations column by column."""

    values: Tensor  # (n_columns,) nan where either column is constant
    influence: Tensor  # (n_rows, n_columns) influence function of the correlation at each row; 0 where undefined


@dataclass(frozen=True, eq=False)
class Block:
    """The part of a table in which a test point's correlation is taken."""

    rows: Tensor  # train points
    columns: Tensor  # test points


@dataclass(frozen=True, eq=False)
class MeanSpearman:
    """A mean of correlations, None where no test point has one, and for how many test points there is none."""

    estimation: Estimation | None
    n_undefined: int


@dataclass(frozen=True, eq=False)
class Ranked:
    """The columns of a table in ranks: `cdf` is the mid-distribution function, so that ties share the mean rank."""

    cdf: Tensor  # (n_columns, n_rows) in (0, 1)
    order: Tensor  # (n_columns, n_rows) rows in ascending order
    below: Tensor  # (n_columns, n_rows) number of smaller values
    upto: Tensor  # (n_columns, n_rows) number of values not larger


def rank(table: Tensor) -> Ranked:
    """Ranks of each column of (n_rows, n_columns)."""
    values = table.T.contiguous()
    ascending, order = values.sort(dim=1)
    below = torch.searchsorted(ascending, values)
    upto = torch.searchsorted(ascending, values, right=True)
    return Ranked((below + upto).double() / (2 * values.shape[1]), order, below, upto)


def spearman_columns(x: Ranked, y: Ranked) -> Columns:
    """Spearman's correlation of each column of x with that of y, ties by mean ranks."""
    f, g = x.cdf - 0.5, y.cdf - 0.5
    covariance, var_x, var_y = (f * g).mean(1), f.square().mean(1), g.square().mean(1)
    defined = (var_x > 0) & (var_y > 0)
    scale = torch.where(defined, (var_x * var_y).sqrt(), torch.nan)[:, None]
    values = covariance[:, None] / scale
    of_covariance = f * g + _weight_above(x, g) + _weight_above(y, f) - 3 * covariance[:, None]
    of_var_x = f.square() + 2 * _weight_above(x, f) - 3 * var_x[:, None]
    of_var_y = g.square() + 2 * _weight_above(y, g) - 3 * var_y[:, None]
    influence = of_covariance / scale - values / 2 * (of_var_x / var_x[:, None] + of_var_y / var_y[:, None])
    return Columns(values[:, 0], influence.where(defined[:, None], 0.0).T)


def whole_table(n_train: int, n_test: int) -> list[Block]:
    """One block: every train point with every test point."""
    return [Block(torch.arange(n_train), torch.arange(n_test))]


def within_classes(train_labels: Tensor, test_labels: Tensor) -> list[Block]:
    """One block per class: its train points with its test points."""
    return [
        Block((train_labels == label).nonzero()[:, 0], (test_labels == label).nonzero()[:, 0])
        for label in test_labels.unique()
    ]


def mean_spearman(x: Tensor, y: Tensor, blocks: Sequence[Block]) -> MeanSpearman:
    """Mean over test points of Spearman's correlation over the train points of the test point's block.

    `x` and `y` are (n_train, n_test). A test point with fewer than three train points in its block, or with scores that
    are all the same there, has no correlation: it is counted in `n_undefined` and is not part of the mean. A table of
    one column (memorization) is taken as it is: only its rows are a sample.
    """
    by_block = [
        (block, spearman_columns(rank(x[block.rows][:, block.columns]), rank(y[block.rows][:, block.columns])))
        for block in blocks
        if len(block.rows) >= _FEWEST
    ]
    n_columns, sampled_columns = sum(len(block.columns) for block in blocks), x.shape[1] > 1
    values = torch.cat([columns.values for _, columns in by_block]) if by_block else torch.empty(0)
    n_defined = int((~values.isnan()).sum())
    if not n_defined:
        return MeanSpearman(None, n_columns)
    mean = values.nanmean()
    contributions = torch.zeros(x.shape, dtype=torch.float64)
    taking_part = torch.zeros(len(x), dtype=torch.bool)
    for block, columns in by_block:
        excess = (columns.values - mean).nan_to_num(0.0)
        cells = (columns.influence + excess) / (len(block.rows) * n_defined)
        contributions[block.rows[:, None], block.columns] = cells
        taking_part[block.rows] |= bool((~columns.values.isnan()).any())
    estimation = Estimation(
        float(mean),
        contributions,
        n_rows=int(taking_part.sum()),
        n_columns=n_defined if sampled_columns else None,
    )
    return MeanSpearman(estimation, n_columns - n_defined)


def pooled_spearman(x: Tensor, y: Tensor) -> Estimation | None:
    """Spearman's correlation over all pairs at once; None where it is undefined."""
    pooled = spearman_columns(rank(x.reshape(-1, 1)), rank(y.reshape(-1, 1)))
    if x.numel() < _FEWEST or pooled.values.isnan().any():
        return None
    return Estimation(float(pooled.values), pooled.influence.reshape(x.shape) / x.numel(), *x.shape)


def _weight_above(ranked: Ranked, weights: Tensor) -> Tensor:
    """For each value, the mean over rows of `weights` where the row's value is larger, and half where it is equal."""
    sums = torch.nn.functional.pad(weights.gather(1, ranked.order).cumsum(1), (1, 0))
    half_way = (sums.gather(1, ranked.below) + sums.gather(1, ranked.upto)) / 2
    return (sums[:, -1:] - half_way) / weights.shape[1]
