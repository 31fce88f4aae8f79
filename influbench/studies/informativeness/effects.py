"""Means over seeds and test points, with errors that include the chance of which points are in a group.

A group represents others that could have been drawn instead: hard groups from other data, as random groups from this
data. Effects of hard points vary more from point to point than effects of random ones (6.6 times on digits), so each
kind of group needs a variance of its own.

* For random groups, it is the variance between them.
* For the hardest, the easiest, and the hardest wrong points, it is the variance between groups that are chosen in the
  same way from random halves of the train points (McCarthy 1969: the variance between half-samples of a mean is the
  variance of the mean). Choosing anew in each half includes the chance of where the hard points begin.

These groups differ by the noise of their own trainings as well, which is estimated and subtracted. A half-group has
half the points and the same noise, so per point the variance of its noise is four times that of the whole group. At
least a quarter of the variance between half-groups always remains: an error of the subtraction cannot make the points'
share vanish.
"""

from math import sqrt

from torch import Tensor

from influbench.results import Statistic
from influbench.statistics.estimation import Estimation

_LEAST_OF_HALVES = 0.25  # the noise of a whole group, as a share of the noise of a group of half the size


def mean_over_all(values: Tensor) -> Statistic:
    """The mean of a table (n_rows, n_columns) with its 95% interval: rows and columns are two-way clusters."""
    return mean_effect(values).interval()


def mean_effect(values: Tensor, *by_points: Tensor) -> Estimation:
    """The mean of an effect (n_seeds, n_test), or of a difference of two effects, with its error.

    Seeds and test points are two-way clusters. `by_points` are the contributions of each kind of group that takes part:
    `of_random_groups` or `of_halves`. The error is unknown with a single seed.
    """
    mean, (n_seeds, n_test) = values.mean(), values.shape
    return Estimation(float(mean), (values - mean) / values.numel(), n_seeds, n_test, by_repeat=by_points)


def of_random_groups(effects: Tensor) -> Tensor:
    """The contributions of the points to the mean effect (n_groups, n_seeds, n_test) of random groups."""
    return _contributions(effects, between_groups(effects) / len(effects))


def of_halves(effects: Tensor) -> Tensor:
    """The contributions of the points to a group's effect, from the effects (n_halves, n_seeds, n_test) in halves."""
    least = _LEAST_OF_HALVES * float(effects.mean((1, 2)).var())
    return _contributions(effects, max(between_groups(effects), least))


def between_groups(effects: Tensor) -> float:
    """Variance of a group's expected effect, over groups; effects are (n_groups, n_seeds, n_test).

    This is the variance of the groups' means minus the contributions of seeds and test points, each interaction
    estimated by its mean square in the three-way table (analysis of variance of random effects); 0 if that is negative.
    """
    _, n_seeds, n_test = effects.shape
    if n_seeds < 2 or n_test < 2:
        return float(effects.mean((1, 2)).var())
    by_seed, by_test = effects.mean(2), effects.mean(1)  # (n_groups, n_seeds), (n_groups, n_test)
    with_seed, with_test = _interaction(by_seed), _interaction(by_test)
    noise = _residual(effects)
    found = effects.mean((1, 2)).var() - with_seed / n_seeds - with_test / n_test + noise / (n_seeds * n_test)
    return max(0.0, float(found))


def _contributions(effects: Tensor, variance: float) -> Tensor:
    """Deviations of the groups' means, (n_groups,), scaled such that as a source of chance they have this variance."""
    deviations = effects.mean((1, 2)) - effects.mean()
    total = float(deviations.square().sum())
    scale = sqrt(variance * (1 - 1 / len(effects)) / total) if total else 0.0
    return scale * deviations


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
