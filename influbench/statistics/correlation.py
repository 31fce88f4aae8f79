"""Correlations of scores with the truth, column by column, and their mean over columns, each with its linearization."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from influbench.statistics.estimation import Estimation
from influbench.statistics.ranks import Ranked, rank, standard_ranks, weight_above

FEWEST = 3  # points that a correlation needs
_CELLS_AT_A_TIME = 2**24


@dataclass(frozen=True, eq=False)
class Columns:
    """A statistic column by column."""

    values: Tensor  # (n_columns,) nan where undefined, as a correlation is if either column is constant
    influence: Tensor  # (n_rows, n_columns) influence function of the statistic at each row; 0 where undefined
    unseen: Tensor | None = None  # (n_columns,) variance that it does not show, at an end of the scale; 0 if undefined


ColumnStatistic = Callable[[Tensor, Tensor], Columns]


@dataclass(frozen=True, eq=False)
class Block:
    """The part of a table over which the statistics of its test points are computed."""

    rows: Tensor  # train points
    columns: Tensor  # test points


@dataclass(frozen=True, eq=False)
class ColumnMean:
    """The mean over columns. The estimation is None if no column has a value, or if scores are constant in all."""

    estimation: Estimation | None
    values: Tensor  # (n_columns,) in the order of the table; nan where undefined
    sampling_variances: Tensor  # (n_columns,) of each value, over the rows
    n_silent: int = 0  # columns in which the scores are constant and the truth is not; their value is 0

    @property
    def n_undefined(self) -> int:
        return int(self.values.isnan().sum())


def whole_table(n_train: int, n_test: int) -> list[Block]:
    """One block: every train point with every test point."""
    return [Block(torch.arange(n_train), torch.arange(n_test))]


def within_classes(train_labels: Tensor, test_labels: Tensor) -> list[Block]:
    """One block per class: its train points with its test points."""
    return [
        Block((train_labels == label).nonzero()[:, 0], (test_labels == label).nonzero()[:, 0])
        for label in test_labels.unique()
    ]


def mean_over_columns(
    of: ColumnStatistic, x: Tensor, y: Tensor, blocks: Sequence[Block], weights: Tensor | None = None
) -> ColumnMean:
    """Mean over test points of a statistic of scores `x` and truth `y` over the train points of the test point's block.

    Both are (n_train, n_test). A test point with fewer than three train points in its block, or with a constant truth,
    is not part of the mean. Where the truth varies and the scores are constant, the value is 0: it does not pay to give
    no ranking where one is least sure of it. If a table has one column (memorization), only its rows are a sample.

    `weights` (n_train, n_test) makes it a weighted mean. Their sums over the rows of each block weigh the columns;
    being sums over rows that are a sample, they are uncertain, too. They must not be negative in sum.
    """
    values, variances, influence, unseen = _by_column(of, x, y, blocks)
    silent = values.isnan() & _varying(y, blocks) & ~_varying(x, blocks)
    values = values.masked_fill(silent, 0.0)
    cells = _weight_cells(values, blocks, weights, n_rows=len(x))
    total = float(cells.sum())
    if total <= 0 or bool((silent | values.isnan()).all()):
        return ColumnMean(None, values, variances, int(silent.sum()))
    known = values.nan_to_num(0.0)
    mean = float((cells.sum(0) * known).sum()) / total
    contributions = (cells.sum(0) * influence + cells * (known - mean)) / total
    estimation = Estimation(
        mean,
        contributions,
        n_rows=int((cells != 0).any(1).sum()),
        n_columns=int((cells != 0).any(0).sum()) if x.shape[1] > 1 else None,
        unseen=float((cells.sum(0).square() * unseen).sum().sqrt()) / total,
        rest_of_columns=None if weights is None else without_each(cells.sum(0) / total),
    )
    return ColumnMean(estimation, values, variances, int(silent.sum()))


def without_each(shares: Tensor) -> Tensor:
    """The share of the weight that is left without each column; at least a tenth, so that no single one decides all."""
    return (1 - shares).clamp_min(0.1)


def _by_column(
    of: ColumnStatistic, x: Tensor, y: Tensor, blocks: Sequence[Block]
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Values and their variances over rows, (n_columns,) each, each cell's influence on its column, and `unseen`."""
    values = torch.full((x.shape[1],), torch.nan, dtype=torch.float64)
    variances, influence = values.clone(), torch.zeros(x.shape, dtype=torch.float64)
    unseen = torch.zeros(x.shape[1], dtype=torch.float64)
    for block in blocks:
        if len(block.rows) < FEWEST:
            continue
        columns = of(x[block.rows][:, block.columns], y[block.rows][:, block.columns])
        values[block.columns] = columns.values
        variances[block.columns] = columns.influence.square().sum(0) / len(block.rows) ** 2
        influence[block.rows[:, None], block.columns] = columns.influence / len(block.rows)
        if columns.unseen is not None:
            unseen[block.columns] = columns.unseen
    return values, variances, influence, unseen


def _varying(table: Tensor, blocks: Sequence[Block]) -> Tensor:
    """True for columns that are not constant within their block, if it is large enough for a correlation."""
    varying = torch.zeros(table.shape[1], dtype=torch.bool)
    for block in blocks:
        if len(block.rows) >= FEWEST:
            part = table[block.rows][:, block.columns]
            varying[block.columns] = (part != part[:1]).any(0)
    return varying


def _weight_cells(values: Tensor, blocks: Sequence[Block], weights: Tensor | None, *, n_rows: int) -> Tensor:
    """Cells (n_rows, n_columns) whose sums weigh the columns: equal for all with a value, and 0 for the others."""
    cells = torch.zeros(n_rows, len(values), dtype=torch.float64)
    for block in blocks:
        if len(block.rows) < FEWEST:
            continue
        of_block = block.rows[:, None], block.columns
        cells[of_block] = 1 / len(block.rows) if weights is None else weights[of_block].double()
    return cells.masked_fill(values.isnan(), 0.0)


def pooled(of: ColumnStatistic, x: Tensor, y: Tensor) -> Estimation | None:
    """A statistic over all pairs at once; None if it is undefined."""
    found = of(x.reshape(-1, 1), y.reshape(-1, 1))
    if x.numel() < FEWEST or found.values.isnan().any():
        return None
    return Estimation(float(found.values), found.influence.reshape(x.shape) / x.numel(), *x.shape)


def spearman(x: Tensor, y: Tensor) -> Columns:
    """Spearman's rank correlation; ties share the mean rank."""
    return spearman_of_ranks(rank(x), rank(y))


def spearman_of_ranks(x: Ranked, y: Ranked) -> Columns:
    """Spearman's correlation of tables that have already been ranked."""
    f, g = x.cdf - 0.5, y.cdf - 0.5
    covariance, var_x, var_y = (f * g).mean(1), f.square().mean(1), g.square().mean(1)
    defined = (var_x > 0) & (var_y > 0)
    scale = torch.where(defined, (var_x * var_y).sqrt(), torch.nan)[:, None]
    values = covariance[:, None] / scale
    of_covariance = f * g + weight_above(x, g) + weight_above(y, f) - 3 * covariance[:, None]
    of_var_x = f.square() + 2 * weight_above(x, f) - 3 * var_x[:, None]
    of_var_y = g.square() + 2 * weight_above(y, g) - 3 * var_y[:, None]
    influence = of_covariance / scale - values / 2 * (of_var_x / var_x[:, None] + of_var_y / var_y[:, None])
    return Columns(values[:, 0], influence.where(defined[:, None], 0.0).T)


def standard_ranks_within(table: Tensor, blocks: Sequence[Block]) -> Tensor:
    """Standard ranks within blocks and 0 outside of them; nan in columns without standard ranks."""
    ranks = torch.full(table.shape, torch.nan, dtype=torch.float64)
    for block in blocks:
        if len(block.rows) >= FEWEST:
            ranks[:, block.columns] = 0.0
            ranks[block.rows[:, None], block.columns] = standard_ranks(table[block.rows][:, block.columns])
    return ranks


def pearson(x: Tensor, y: Tensor) -> Columns:
    """Pearson's linear correlation."""
    zx, zy = _standardized(x), _standardized(y)
    values = (zx * zy).mean(0)
    influence = zx * zy - values / 2 * (zx.square() + zy.square())
    return Columns(values, influence.nan_to_num(0.0))


def kendall(x: Tensor, y: Tensor) -> Columns:
    """Kendall's tau-b: concordant minus discordant pairs of rows, over the geometric mean of the numbers untied."""
    at_a_time = max(1, _CELLS_AT_A_TIME // len(x) ** 2)
    parts = [_kendall(*tables) for tables in zip(x.split(at_a_time, dim=1), y.split(at_a_time, dim=1), strict=True)]
    return Columns(torch.cat([part.values for part in parts]), torch.cat([part.influence for part in parts], dim=1))


def _kendall(x: Tensor, y: Tensor) -> Columns:
    n = len(x)
    order_x, order_y = _comparisons(x), _comparisons(y)
    agreeing = (order_x * order_y).sum(0, dtype=torch.int32).double() / (n - 1)  # (n_columns, n) mean over other rows
    untied_x, untied_y = ((order != 0).sum(0, dtype=torch.int32).double() / (n - 1) for order in (order_x, order_y))
    numerator, of_x, of_y = agreeing.mean(1), untied_x.mean(1), untied_y.mean(1)
    defined = (of_x > 0) & (of_y > 0)
    values = numerator / torch.where(defined, (of_x * of_y).sqrt(), torch.nan)
    # a mean over pairs of rows has twice the influence function of a mean over rows
    relative = (agreeing - numerator[:, None]) / torch.where(defined, (of_x * of_y).sqrt(), torch.nan)[:, None]
    shrunk = (untied_x / of_x[:, None] + untied_y / of_y[:, None] - 2) / 2
    influence = 2 * (relative - values[:, None] * shrunk)
    return Columns(values, influence.nan_to_num(0.0).T)


def _comparisons(table: Tensor) -> Tensor:
    """Comparisons of rows, (n, n_columns, n) int8: 1 where the first row's value is higher, 0 if equal, -1 if lower."""
    values = table.T.contiguous()
    above, below = values.T[:, :, None] > values, values.T[:, :, None] < values
    return above.to(torch.int8) - below.to(torch.int8)


def double_centered(table: Tensor) -> Tensor:
    """The table minus the means of its rows and columns: effects of pairs, without effects common to all points."""
    return table - table.mean(0) - table.mean(1, keepdim=True) + table.mean()


def _standardized(table: Tensor) -> Tensor:
    centered = table - table.mean(0)
    variance = centered.square().mean(0)
    constant = (table == table[:1]).all(0)
    return centered / torch.where(constant, torch.nan, variance.sqrt())
