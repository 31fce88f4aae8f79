"""Captured effect: what the train points with the highest scores are really worth, over the most that k could be.

For test point j, let S_j be the k train points with the highest scores. The captured effect is

    sum over j of sum over i in S_j of the effect (i, j)  /  sum over j of the largest such sum that any k points have.

It is 1 for scores that rank the expected effect, about k / n times (total effect / largest) for random scores, and
negative for scores that pick what harms. Test points count in proportion to how much they depend on k train points. The
numerator is linear in the truth, so noise of the truth does not attenuate it, and it needs no ceiling.

The largest possible sum is not linear: the k highest of noisy effects are higher than the k highest expected effects
by some optimism, and the same points in other seeds are lower by about as much. So points are chosen by some seeds and
valued by the mean of their effect in these seeds and in the others. What is left of the bias falls in proportion to the
number of seeds that choose. It is found by letting one seed choose, and all seeds but one, and is removed.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from influbench.statistics.correlation import without_each
from influbench.statistics.estimation import Estimation
from influbench.statistics.retrieval import mean_near_threshold, membership


@dataclass(frozen=True, eq=False)
class Largest:
    """The largest effect that k train points of each test point have together.

    `cells` sum to it, column by column; they are linearized, so that their spread over rows is the error that the
    choice of train points brings. `by_seed` sums to 0.
    """

    k: int
    cells: Tensor  # (n_rows, n_columns)
    by_seed: Tensor  # (n_seeds,)


def n_highest(share: float, n_rows: int) -> int:
    """The k of a share of the rows: at least 1."""
    return max(1, round(share * n_rows))


def largest(effects: Tensor, k: int) -> Largest:
    """The largest effect that k train points have under a truth (n_seeds, n_rows, n_columns) of three seeds or more."""
    n_seeds, total = len(effects), effects.sum(0)
    by_others, by_one = (torch.zeros(effects.shape[1:], dtype=torch.float64) for _ in range(2))
    of_seeds = []
    for effect in effects:
        others = (total - effect) / (n_seeds - 1)
        worth = (others + effect) / 2
        chosen = membership(others, k)
        by_others += _worth_of(chosen, others, worth, k) / n_seeds
        by_one += _worth_of(membership(effect, k), effect, worth, k) / n_seeds
        of_seeds.append((chosen * effect).sum())
    # the bias of choosing by n - 1 seeds, if it is 1 / (n - 1) of the bias of choosing by one seed
    bias = (by_one - by_others) / (n_seeds - 2)
    return Largest(k, by_others - bias, _centered(torch.stack(of_seeds)))


def known_largest(effect: Tensor, k: int) -> Largest:
    """The same for one effect (n_rows, n_columns) that has no noise."""
    return Largest(k, _worth_of(membership(effect, k), effect, effect, k), torch.zeros(1, dtype=torch.float64))


def captured(scores: Tensor, effects: Tensor, most: Largest) -> Estimation | None:
    """The captured effect of scores (n_rows, n_columns) under a truth (n_seeds, n_rows, n_columns).

    None if the largest possible effect is not above 0.
    """
    truth, n_seeds = effects.mean(0), len(effects)
    possible = float(most.cells.sum())
    if possible <= 0:
        return None
    chosen = membership(scores, most.k)
    cells = _worth_of(chosen, scores, truth, most.k)
    value = float(cells.sum()) / possible
    of_seeds = None
    if n_seeds > 1:
        got = _centered((effects * chosen).sum((1, 2)))
        of_seeds = (got - value * most.by_seed) / possible
    return Estimation(
        value,
        (cells - value * most.cells) / possible,
        n_rows=len(scores),
        n_columns=scores.shape[1] if scores.shape[1] > 1 else None,
        by_seed=of_seeds,
        rest_of_columns=without_each(most.cells.sum(0) / possible),
    )


def _worth_of(chosen: Tensor, scores: Tensor, worth: Tensor, k: int) -> Tensor:
    """Cells whose column sums are the worth of the k chosen rows, which have the highest scores.

    Another row would shift the threshold: what that brings is in each row's cell, and sums to 0.
    """
    return chosen * worth - mean_near_threshold(scores, worth, k) * (chosen - k / len(scores))


def _centered(of_seeds: Tensor) -> Tensor:
    return (of_seeds - of_seeds.mean()) / len(of_seeds)
