"""Means over seeds and test points, with intervals that also hold the chance of which points are in a group.

A group stands for others that could have been drawn in its place, hard ones from other data as random ones from these.
What a group's own points add to its effect varies as it does between the random groups of its size; that is estimated
there, and enters an interval once for each group that takes part.
"""

from dataclasses import replace
from math import sqrt

from torch import Tensor

from influbench.results import Statistic
from influbench.statistics.estimation import Estimation


def mean_over_all(values: Tensor) -> Statistic:
    """The mean of a table (n_rows, n_columns) with its 95 % interval: rows and columns are two-way clusters."""
    return _estimation(values).interval()


def mean_effect(values: Tensor, reference: Tensor, *, n_groups: float) -> Statistic:
    """The mean of an effect (n_seeds, n_test), or of a difference of two, with its 95 % interval.

    Seeds and test points are two-way clusters. The chance of which points are in a group enters `n_groups` times: 1 for
    a group or a difference from what is known, 2 for a difference of two, 1 / n for the mean of n groups. It is that of
    `reference`, the effects (n_random, n_seeds, n_test) of random groups of the size. Unknown with a single seed.
    """
    deviations = reference.mean((1, 2)) - reference.mean()
    variance = between_groups(reference)
    scale = sqrt(n_groups * variance / float(deviations.square().sum()) * (1 - 1 / len(reference))) if variance else 0.0
    return replace(_estimation(values), by_repeat=(scale * deviations,)).interval()


def against_random(values: Tensor, reference: Tensor) -> Statistic:
    """A group's effect (n_seeds, n_test) minus the mean of the random groups'."""
    return mean_effect(values - reference.mean(0), reference, n_groups=1 + 1 / len(reference))


def against_group(values: Tensor, others: Tensor, reference: Tensor) -> Statistic:
    """A group's effect (n_seeds, n_test) minus that of another group of the same size."""
    return mean_effect(values - others, reference, n_groups=2)


def between_groups(reference: Tensor) -> float:
    """Variance of a random group's expected effect, over groups; effects are (n_groups, n_seeds, n_test).

    The variance of the groups' means, without what seeds and test points contribute to it: each interaction by its
    mean square in the three-way table (the analysis of variance of random effects), and 0 where that is more.
    """
    _, n_seeds, n_test = reference.shape
    if n_seeds < 2 or n_test < 2:
        return float(reference.mean((1, 2)).var())
    by_seed, by_test = reference.mean(2), reference.mean(1)  # (n_groups, n_seeds), (n_groups, n_test)
    with_seed, with_test = _interaction(by_seed), _interaction(by_test)
    noise = _residual(reference)
    found = reference.mean((1, 2)).var() - with_seed / n_seeds - with_test / n_test + noise / (n_seeds * n_test)
    return max(0.0, float(found))


def _estimation(values: Tensor) -> Estimation:
    mean = values.mean()
    return Estimation(float(mean), (values - mean) / values.numel(), *values.shape)


def _interaction(table: Tensor) -> Tensor:
    """Mean square of a two-way table without the means of its rows and columns."""
    left = table - table.mean(0) - table.mean(1, keepdim=True) + table.mean()
    rows, columns = table.shape
    return left.square().sum() / ((rows - 1) * (columns - 1))


def _residual(table: Tensor) -> Tensor:
    """Mean square of a three-way table without the means over each of its axes."""
    left, freedom = table, 1
    for axis, size in enumerate(table.shape):
        left, freedom = left - left.mean(axis, keepdim=True), freedom * (size - 1)
    return left.square().sum() / freedom
