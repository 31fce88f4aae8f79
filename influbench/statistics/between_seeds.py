"""The truth's seeds as a source of chance: the variance that they share, the variance of each, and seeds that differ.

A value v in column j has a rank among the values of all seeds and rows of its block. Of these ranks, the covariance
between two seeds is the *common* variance C, and the variance within a seed beyond C is its *own* variance V; both are
means over columns. By Spearman (1910) and Brown (1910), the mean over k seeds has a reliability with odds k C / V. The
ranks keep the scale of each seed, so a seed with more noise or larger effects than the others shows in V and C, while
heavy tails are bounded. C and V are linearized by the jackknife: each seed is left out in turn.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

import torch
from torch import Tensor

from influbench.statistics.correlation import FEWEST, Block
from influbench.statistics.ranks import rank

_CELLS_AT_A_TIME = 2**24
_LEAST_LEFT = 1e-3  # of V without a seed, as a share of V: its logarithm stays finite if the other seeds are identical


@dataclass(frozen=True, eq=False)
class BetweenSeeds:
    """C and V of a truth of at least three seeds, with the contributions (n_seeds,) of the seeds to C and to log V."""

    common: float
    own: float
    of_common: Tensor
    of_log_own: Tensor

    def contributions(self, reliability: float, n_seeds: int) -> Tensor:
        """The contributions of the seeds to the reliability of this many seeds.

        It is R (1 - R) times the change of log(k C / V), written with (1 - R) k / (k C + V) in the place of
        R (1 - R) / C, which is the same if the odds are k C / V and is defined if C is 0, too.
        """
        total = n_seeds * self.common + self.own
        if self.own <= 0 or total <= 0:
            return torch.zeros_like(self.of_common)
        of_odds = n_seeds / total * self.of_common - reliability * self.of_log_own
        return (1 - reliability) * of_odds


def between_seeds(truth: Tensor, blocks: Sequence[Block], weights: Tensor | None = None) -> BetweenSeeds | None:
    """C and V of a truth (n_seeds, n_rows, n_columns) within blocks; None of fewer than three seeds."""
    n_seeds = len(truth)
    if n_seeds < 3:
        return None
    of_columns = torch.ones(truth.shape[2], dtype=torch.float64) if weights is None else weights.double().mean(0)
    products = torch.zeros(n_seeds, n_seeds, dtype=torch.float64)
    for block in blocks:
        if len(block.rows) >= FEWEST:
            products += _products(truth, block, of_columns)
    within, between = products.diagonal(), products.sum(1) - products.diagonal()
    common = between.sum() / (n_seeds * (n_seeds - 1))
    own = within.mean() - common
    common_without = (between.sum() - 2 * between) / ((n_seeds - 1) * (n_seeds - 2))
    own_without = (within.sum() - within) / (n_seeds - 1) - common_without
    return BetweenSeeds(
        float(common),
        float(own),
        deleted_seed_contributions(common_without),
        deleted_seed_contributions(own_without.clamp_min(_LEAST_LEFT * float(own)).log()),
    )


def deleted_seed_contributions(values: Tensor) -> Tensor:
    """Contributions (n_seeds,) of the seeds to a statistic, from its values without each of them."""
    return -(values - values.mean()) * (len(values) - 1) / len(values)


def norms(truth: Tensor, blocks: Sequence[Block]) -> tuple[float, ...]:
    """The norm of each seed's effects, less the mean of their column, over the median norm; empty if that is 0."""
    squares = torch.zeros(len(truth), dtype=torch.float64)
    for block in blocks:
        for columns in _parts(truth, block):
            effects = truth[:, block.rows][:, :, columns].double()
            squares += (effects - effects.mean(1, keepdim=True)).square().sum((1, 2))
    found = squares.sqrt().tolist()
    middle = median(found)
    return tuple(norm / middle for norm in found) if middle > 0 else ()


def _products(truth: Tensor, block: Block, weights: Tensor) -> Tensor:
    """Inner products (n_seeds, n_seeds) of the seeds' ranks in a block, summed over columns with these weights."""
    products = torch.zeros(len(truth), len(truth), dtype=torch.float64)
    for columns in _parts(truth, block):
        effects = truth[:, block.rows][:, :, columns]
        ranks = rank(effects.reshape(-1, len(columns))).cdf.reshape(len(columns), len(truth), -1)
        centered = ranks - ranks.mean(2, keepdim=True)
        products += torch.einsum("j,jai,jbi->ab", weights[columns] / len(block.rows), centered, centered)
    return products


def _parts(truth: Tensor, block: Block) -> Sequence[Tensor]:
    """The columns of a block, in parts whose effects of all seeds fit in memory."""
    parts: tuple[Tensor, ...] = block.columns.split(max(1, _CELLS_AT_A_TIME // max(1, len(truth) * len(block.rows))))
    return parts
