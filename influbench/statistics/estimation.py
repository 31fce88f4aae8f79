"""Values with the contributions of every point, seed and repeat, from which their intervals follow.

A statistic of an (n_rows, n_columns) table is linearized: `value - estimand ~ contributions.sum()`, with the influence
function of the statistic at each cell (the infinitesimal jackknife, Efron 1982). Train points (rows) and test points
(columns) are both random, and cells that share either are dependent, so the variance is the variance of two-way
clusters, rows + columns - cells (Cameron, Gelbach, Miller 2011). The truth's seeds and an estimator's repeats are
further, independent sources of chance. Each is linearized in the same way, and the variances add up; so does the
variance of the error of an extrapolation. The degrees of freedom are fewer where few points carry most of the variance.

Repeats are draws of an estimator, and intervals hold for other draws as well. Noise that a draw has in single rows,
columns or cells is in the share of the points and in the share of the repeats, which is conservative.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from math import atanh, inf, sqrt, tanh

from scipy import stats
from torch import Tensor

from influbench.results import Statistic


@dataclass(frozen=True, eq=False)
class Estimation:
    """A statistic of a table and its linearization. All contributions sum to 0.

    `n_rows` and `n_columns` count the rows and columns that take part; `n_columns` is None if the columns are not a
    sample. `by_seed` is None if the seeds are fixed: then the estimand is the value for these seeds.
    `by_extrapolation` is a standard error that cannot be estimated from a sample, with its sign: the error is common to
    all statistics. With `few_draws`, the interval does not hold for other draws of the estimator. `freedom` replaces
    the degrees of freedom of the points where these do not count equally. `unseen` is the standard error of what the
    contributions cannot show, because they are 0 or nearly so at an end of the scale; it is as correlated between
    statistics as the contributions are. `rest_of_columns` is the share of the weight that is left without each column
    of a weighted mean: leaving a column out moves the mean by its contribution over this rest.
    """

    value: float
    contributions: Tensor  # (n_rows, n_columns)
    n_rows: int
    n_columns: int | None
    by_seed: Tensor | None = None  # (n_seeds,)
    by_repeat: tuple[Tensor, ...] = ()  # (n_repeats,) for each estimator that takes part
    by_extrapolation: float = 0.0
    few_draws: bool = False
    freedom: float | None = None
    unseen: float = 0.0
    rest_of_columns: Tensor | None = None  # (n_columns,)

    def standard_error(self) -> float | None:
        """The standard error over points, seeds and repeats; None if there is only one of any of them."""
        variance = self._variance()
        return None if variance is None else sqrt(variance)

    def degrees_of_freedom(self) -> float:
        """The degrees of freedom of this standard error (Satterthwaite 1946); infinite if it is 0."""
        return _satterthwaite(self._variances() or [])

    def apply(self, function: Callable[[float], float], slope: float) -> "Estimation":
        """The statistic `function(value)`, by the delta method with this slope at the value."""
        return combined(function(self.value), [(slope, self)])

    def over(self, other: "Estimation") -> "Estimation":
        """The ratio of two statistics of the same table."""
        ratio = self.value / other.value
        return combined(ratio, [(1 / other.value, self), (-ratio / other.value, other)])

    def minus(self, other: "Estimation") -> "Estimation":
        """The difference of two statistics of the same table."""
        return combined(self.value - other.value, [(1.0, self), (-1.0, other)])

    def correlation_interval(self) -> Statistic:
        """The value with its 95% interval, symmetric on Fisher's z scale, so that it stays within [-1, 1]."""
        half = self._half_width()
        if half is None or abs(self.value) >= 1:
            return Statistic(value=self.value, low=None, high=None)
        z, half = atanh(self.value), half / (1 - self.value**2)
        return Statistic(value=self.value, low=tanh(z - half), high=tanh(z + half))

    def share_interval(self) -> Statistic:
        """The value of a share with its 95% interval, by Wilson's score method (1927), so that it stays within [0, 1].

        The method needs a number of independent trials. It is the number that gives this standard error, for a value
        that is at least one standard error from 0 and from 1.
        """
        half = self._half_width()
        if half is None:
            return Statistic(value=self.value, low=None, high=None)
        error = min(self.standard_error() or 0.0, 0.5)
        inner = min(max(self.value, error), 1 - error)
        per_trial = half**2 / (inner * (1 - inner)) if half else 0.0  # squared t quantile over the number of trials
        center = (self.value + per_trial / 2) / (1 + per_trial)
        width = sqrt(per_trial * self.value * (1 - self.value) + per_trial**2 / 4) / (1 + per_trial)
        low, high = min(self.value, center - width), max(self.value, center + width)
        return Statistic(value=self.value, low=max(0.0, low), high=min(1.0, high))

    def interval(self, *, most: float = inf) -> Statistic:
        """The value with its symmetric 95% interval, both cut at the `most` that the estimand can be."""
        value, half = min(most, self.value), self._half_width()
        if half is None:
            return Statistic(value=value, low=None, high=None)
        return Statistic(value=value, low=min(most, self.value - half), high=min(most, self.value + half))

    def ratio_interval(self, other: "Estimation", *, freedom: float = inf) -> Statistic:
        """The ratio of two statistics of the same table, with its 95% interval by Fieller (1940).

        The interval holds each ratio q for which self - q other is not clearly different from 0. Its variance is a
        parabola in q. The ends are unknown if `other` is not clearly different from 0. `freedom` limits the degrees of
        freedom.
        """
        ratio = self.value / other.value
        differences = [combined(0.0, [(1.0, self), (-(ratio + shift), other)]) for shift in (-1, 0, 1)]
        below, here, above = (difference._variance() for difference in differences)
        if below is None or here is None or above is None:
            return Statistic(value=ratio, low=None, high=None)
        critical = float(stats.t.ppf(0.975, min(freedom, differences[1].degrees_of_freedom()))) ** 2
        squared = other.value**2 - critical * ((below + above) / 2 - here)
        if squared <= 0:
            return Statistic(value=ratio, low=None, high=None)
        middle = critical * (above - below) / 4 / squared
        half = sqrt(middle**2 + critical * here / squared)
        return Statistic(value=ratio, low=ratio + middle - half, high=ratio + middle + half)

    def _half_width(self) -> float | None:
        error = self.standard_error()
        return None if error is None else float(stats.t.ppf(0.975, self.degrees_of_freedom())) * error

    def _variance(self) -> float | None:
        parts = self._variances()
        return None if parts is None else sum(variance for variance, _ in parts)

    def _variances(self) -> list[tuple[float, float]] | None:
        """The variance and degrees of freedom of each source; None if a source has only one point, seed or repeat."""
        sizes = [self.n_rows] if self.n_columns is None else [self.n_rows, self.n_columns]
        further = [*([] if self.by_seed is None else [self.by_seed]), *self.by_repeat]
        if min(sizes) < 2 or any(len(part) < 2 for part in further):
            return None
        return [self._of_points(), (self.by_extrapolation**2 + self.unseen**2, inf)] + [
            (_corrected(part, len(part)), len(part) - 1) for part in further
        ]

    def _of_points(self) -> tuple[float, float]:
        """The variance over points, with the degrees of freedom that its rows and columns have together."""
        variance, freedom = self._over_points()
        return variance, freedom if self.freedom is None else self.freedom

    def _over_points(self) -> tuple[float, float]:
        rows = _corrected(self.contributions.sum(1), self.n_rows)
        of_rows = (rows, _effective_freedom(self.contributions.sum(1), self.n_rows))
        if self.n_columns is None:
            return of_rows
        sums = self.contributions.sum(0)
        if self.rest_of_columns is not None:
            # as the jackknife does: if all columns weigh the same, nothing changes
            sums = sums / self.rest_of_columns * ((self.n_columns - 1) / self.n_columns)
        columns = _corrected(sums, self.n_columns)
        of_columns = (columns, _effective_freedom(sums, self.n_columns))
        cells = _corrected(self.contributions.flatten(), self.n_rows * self.n_columns)
        variance = max(rows + columns - cells, rows, columns)
        return variance, _satterthwaite([of_rows, of_columns], variance)


def combined(value: float, parts: Sequence[tuple[float, Estimation]]) -> Estimation:
    """The statistic with this value whose linearization is the sum of slopes times statistics of the same table.

    Seeds are common to all parts; repeats belong to the estimator of each part. Estimators that share networks in each
    repeat count as independent, which is conservative for their differences, because shared networks make their errors
    alike.
    """
    first = parts[0][1]
    of_seeds = [slope * part.by_seed for slope, part in parts if part.by_seed is not None]
    sizes = [part.n_columns for _, part in parts if part.n_columns is not None]
    return replace(
        first,
        value=value,
        contributions=_total([slope * part.contributions for slope, part in parts]),
        n_rows=min(part.n_rows for _, part in parts),
        n_columns=min(sizes) if sizes else None,
        by_seed=_total(of_seeds) if of_seeds else None,
        by_repeat=tuple(slope * repeats for slope, part in parts for repeats in part.by_repeat),
        by_extrapolation=sum(slope * part.by_extrapolation for slope, part in parts),
        few_draws=any(part.few_draws for _, part in parts),
        unseen=_unseen(parts),
    )


def mean_estimation(parts: Sequence[Estimation]) -> Estimation:
    """The mean of several statistics of the same table."""
    return combined(sum(part.value for part in parts) / len(parts), [(1 / len(parts), part) for part in parts])


def repeated(parts: Sequence[Estimation]) -> Estimation:
    """The mean over repeats of an estimator that draws at random; its randomness enters the error."""
    mean = mean_estimation(parts)
    values = parts[0].contributions.new_tensor([part.value for part in parts])
    return mean if len(parts) < 2 else replace(mean, by_repeat=((values - mean.value) / len(parts),))


def _unseen(parts: Sequence[tuple[float, Estimation]]) -> float:
    """The standard error of a sum that the contributions cannot show; in the worst case without any contributions."""
    sizes = [slope * part.unseen for slope, part in parts]
    variance = sum(size**2 for size in sizes)
    for (size, (_, part)), (other_size, (_, other)) in combinations(zip(sizes, parts, strict=True), 2):
        if size and other_size:
            worst = float(size * other_size > 0)
            variance += 2 * size * other_size * _correlation(part.contributions, other.contributions, worst)
    return sqrt(max(0.0, variance))


def _correlation(first: Tensor, second: Tensor, if_none: float) -> float:
    """The correlation of two statistics by their contributions; `if_none` where one of them does not have any."""
    scale = float(first.norm() * second.norm())
    return float((first * second).sum()) / scale if scale else if_none


def _total(tensors: Sequence[Tensor]) -> Tensor:
    total = tensors[0]
    for tensor in tensors[1:]:
        total = total + tensor
    return total


def _satterthwaite(parts: Sequence[tuple[float, float]], total: float | None = None) -> float:
    """The degrees of freedom of a sum of variances, each with its own; `total` if it is not just their sum."""
    uncertain = sum(variance**2 / freedom for variance, freedom in parts)
    total = sum(variance for variance, _ in parts) if total is None else total
    return total**2 / uncertain if uncertain else inf


def _effective_freedom(sums: Tensor, n: int) -> float:
    """The degrees of freedom of the variance of n points: n - 1, or fewer if few of them carry most of it.

    The effective number of points is (sum of squares)^2 / sum of fourth powers. It is in proportion to what n normal
    values are expected to have, 3 (n - 1) / (n (n + 1)) for the inverse.
    """
    squares = sums.square()
    concentration = float(squares.square().sum() / squares.sum().square())
    usual = 3 * (n - 1) / (n * (n + 1))
    return (n - 1) * min(1.0, usual / concentration) if concentration > 0 else n - 1


def _corrected(sums: Tensor, n: int) -> float:
    return float(sums.square().sum()) * n / (n - 1)
