"""Means over seeds and test points, with intervals that include the chance of which points are in a group.

A group represents others that could have been drawn instead: hard groups from other data, as random groups from this
data. The part of an effect that depends on which points are in the group is assumed to vary as it does between the
random groups of the same size. The variance estimated there enters an interval once for each group that takes part.
"""

from dataclasses import replace
from math import sqrt

from torch import Tensor

from influbench.results import Statistic
from influbench.statistics.estimation import Estimation


def mean_over_all(values: Tensor) -> Statistic:
    """The mean of a table (n_rows, n_columns) with its 95% interval: rows and columns are two-way clusters."""
    return _estimation(values).interval()


def mean_effect(values: Tensor, reference: Tensor, *, n_groups: float) -> Statistic:
    """The mean of an effect (n_seeds, n_test), or of a difference of two effects, with its 95% interval.

    Seeds and test points are two-way clusters. The chance of which points are in a group enters `n_groups` times: 1 for
    a group or a difference from a known value, 2 for a difference of two groups, 1 / n for the mean of n groups. It is
    estimated from `reference`, the effects (n_random, n_seeds, n_test) of random groups of the same size. The interval
    is unknown with a single seed.
    """
    deviations = reference.mean((1, 2)) - reference.mean()
    variance = between_groups(reference)
    scale = sqrt(n_groups * variance / float(deviations.square().sum()) * (1 - 1 / len(reference))) if variance else 0.0
    return replace(_estimation(values), by_repeat=(scale * deviations,)).interval()


def against_random(values: Tensor, reference: Tensor) -> Statistic:
    """A group's effect (n_seeds, n_test) minus the mean of the random groups'."""
    return mean_effect(values - reference.mean(0), reference, n_groups=1 + 1 / len(reference))


def against_group(values: Tensor, others: Tensor, reference: Tensor) -> Statistic:
    """A group's effect (n_seeds, n_test) minus the effect of another group of the same size."""
    return mean_effect(values - others, reference, n_groups=2)


def between_groups(reference: Tensor) -> float:
    """Variance of a random group's expected effect, over groups; effects are (n_groups, n_seeds, n_test).

    This is the variance of the groups' means minus the contributions of seeds and test points, each interaction
    estimated by its mean square in the three-way table (analysis of variance of random effects); 0 if that is negative.
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
