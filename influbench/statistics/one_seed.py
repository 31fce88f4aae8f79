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

from influbench.statistics.correlation import Block, mean_over_columns, spearman, standard_ranks_within
from influbench.statistics.estimation import Estimation, mean_estimation
from influbench.statistics.reliability import deleted_seed_contributions

FEWEST_SEEDS = 3  # when one of them is left out, there is still one to compare the other with


def one_seed(effects: Tensor, blocks: Sequence[Block]) -> Estimation | None:
    """The rank correlation of each of the effects (n_seeds, n_rows, n_columns) with the mean of the others, averaged.

    None if there are fewer than three seeds, or if it is undefined for one of them.
    """
    n_seeds, total = len(effects), effects.sum(0)
    if n_seeds < FEWEST_SEEDS:
        return None
    found = [mean_over_columns(spearman, one, (total - one) / (n_seeds - 1), blocks).estimation for one in effects]
    defined = [one for one in found if one is not None]
    if len(defined) < n_seeds:
        return None
    return replace(mean_estimation(defined), by_seed=_by_seed(effects, blocks))


def _by_seed(effects: Tensor, blocks: Sequence[Block]) -> Tensor:
    """The contribution of each seed: the value without it, both as the one seed and in the mean of the others."""
    n_seeds, total = len(effects), effects.sum(0)
    ranks = [standard_ranks_within(one, blocks) for one in effects]
    without = torch.zeros(n_seeds, dtype=torch.float64)
    for first, second in combinations(range(n_seeds), 2):
        rest = standard_ranks_within((total - effects[first] - effects[second]) / (n_seeds - 2), blocks)
        without[second] += (ranks[first] * rest).sum(0).nanmean() / (n_seeds - 1)
        without[first] += (ranks[second] * rest).sum(0).nanmean() / (n_seeds - 1)
    return deleted_seed_contributions(without)
