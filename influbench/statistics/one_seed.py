"""The agreement of one seed of the truth with the mean of its other seeds: the score of retraining once.

A retraining has the truth's estimand, and its only error is the noise of one seed. Every seed of the truth is such a
retraining, at no further cost. The mean over seeds is less a matter of luck than the agreement of one retraining with
seeds of its own. It is compared with the mean of one seed less than estimators are.
"""

from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations

import torch
from torch import Tensor

from influbench.statistics.between_seeds import deleted_seed_contributions
from influbench.statistics.captured import Largest, captured
from influbench.statistics.correlation import Block, mean_over_columns, spearman, standard_ranks_within
from influbench.statistics.estimation import Estimation, mean_estimation
from influbench.statistics.retrieval import membership

FEWEST_SEEDS = 3  # when one of them is left out, there is still one to compare the other with


def correlation_of_one_seed(
    effects: Tensor, blocks: Sequence[Block], weights: Tensor | None = None
) -> Estimation | None:
    """The rank correlation of each of the effects (n_seeds, n_rows, n_columns) with the mean of the others, averaged.

    `weights` (n_rows, n_columns) weigh columns; see `mean_over_columns`. None if there are fewer than three seeds, or
    if it is undefined for one of them.
    """
    n_seeds, total = len(effects), effects.sum(0)
    if n_seeds < FEWEST_SEEDS:
        return None
    found = [
        mean_over_columns(spearman, one, (total - one) / (n_seeds - 1), blocks, weights).estimation for one in effects
    ]
    defined = [one for one in found if one is not None]
    if len(defined) < n_seeds:
        return None
    return replace(mean_estimation(defined), by_seed=_by_seed(effects, blocks, weights))


def captured_by_one_seed(effects: Tensor, most: Largest) -> Estimation:
    """The captured effect of each of the effects (n_seeds, n_rows, n_columns) under the mean of the others."""
    n_seeds, total = len(effects), effects.sum(0)
    parts = [captured(one, ((total - one) / (n_seeds - 1))[None], most) for one in effects]
    mean = mean_estimation([part for part in parts if part is not None])
    chosen = torch.stack([membership(one, most.k) for one in effects]).flatten(1)
    worth = chosen @ effects.flatten(1).T  # (n_seeds, n_seeds) of the rows that one seed chooses, in another seed
    worth.fill_diagonal_(0.0)
    without = (worth.sum() - worth.sum(0) - worth.sum(1)) / ((n_seeds - 1) * (n_seeds - 2))
    by_seed = deleted_seed_contributions(without) - mean.value * most.by_seed
    return replace(mean, by_seed=by_seed / float(most.cells.sum()))


def _by_seed(effects: Tensor, blocks: Sequence[Block], weights: Tensor | None) -> Tensor:
    """The contribution of each seed: the value without it, both as the one seed and in the mean of the others."""
    n_seeds, total = len(effects), effects.sum(0)
    columns = torch.ones(effects.shape[2], dtype=torch.float64) if weights is None else weights.sum(0)
    ranks = [standard_ranks_within(one, blocks) for one in effects]
    without = torch.zeros(n_seeds, dtype=torch.float64)
    for first, second in combinations(range(n_seeds), 2):
        rest = standard_ranks_within((total - effects[first] - effects[second]) / (n_seeds - 2), blocks)
        without[second] += _weighted_mean(ranks[first] * rest, columns) / (n_seeds - 1)
        without[first] += _weighted_mean(ranks[second] * rest, columns) / (n_seeds - 1)
    return deleted_seed_contributions(without)


def _weighted_mean(products: Tensor, columns: Tensor) -> Tensor:
    """The mean of column sums, of those that are defined."""
    sums = products.sum(0)
    mean: Tensor = (sums.nan_to_num(0.0) * columns).sum() / columns[~sums.isnan()].sum()
    return mean
