"""Values with the contributions of every point, seed and repeat, from which their intervals follow.

A statistic of an (n_rows, n_columns) table is linearized: `value - estimand ~ contributions.sum()`, with the influence
function of the statistic at each cell (the infinitesimal jackknife, Efron 1982). Train points (rows) and test points
(columns) are both random, and cells that share either are dependent, so the variance is the variance of two-way
clusters, rows + columns - cells (Cameron, Gelbach, Miller 2011). The truth's seeds and an estimator's repeats are
further, independent sources of chance. Each is linearized in the same way, and the variances add up; so does the
variance of the error of an extrapolation.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
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
    all statistics.
    """

    value: float
    contributions: Tensor  # (n_rows, n_columns)
    n_rows: int
    n_columns: int | None
    by_seed: Tensor | None = None  # (n_seeds,)
    by_repeat: tuple[Tensor, ...] = ()  # (n_repeats,) for each estimator that takes part
    by_extrapolation: float = 0.0

    def standard_error(self) -> float | None:
        """The standard error over points, seeds and repeats; None if there is only one of any of them."""
        variance = self._variance()
        return None if variance is None else sqrt(variance)

    def degrees_of_freedom(self) -> float:
        """The degrees of freedom of this standard error (Satterthwaite 1946); infinite if it is 0."""
        parts = self._variances() or []
        uncertain = sum(variance**2 / freedom for variance, freedom in parts)
        return sum(variance for variance, _ in parts) ** 2 / uncertain if uncertain else inf

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

    def interval(self) -> Statistic:
        """The value with its symmetric 95% interval."""
        half = self._half_width()
        if half is None:
            return Statistic(value=self.value, low=None, high=None)
        return Statistic(value=self.value, low=self.value - half, high=self.value + half)

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
        of_points = (self._variance_over_points(), min(sizes) - 1)
        return [of_points, (self.by_extrapolation**2, inf)] + [
            (_corrected(part, len(part)), len(part) - 1) for part in further
        ]

    def _variance_over_points(self) -> float:
        rows = _corrected(self.contributions.sum(1), self.n_rows)
        if self.n_columns is None:
            return rows
        columns = _corrected(self.contributions.sum(0), self.n_columns)
        cells = _corrected(self.contributions.flatten(), self.n_rows * self.n_columns)
        return max(rows + columns - cells, rows, columns)


def combined(value: float, parts: Sequence[tuple[float, Estimation]]) -> Estimation:
    """The statistic with this value whose linearization is the sum of slopes times statistics of the same table.

    Seeds are common to all parts; repeats belong to the estimator of each part.
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
    )


def mean_estimation(parts: Sequence[Estimation]) -> Estimation:
    """The mean of several statistics of the same table."""
    return combined(sum(part.value for part in parts) / len(parts), [(1 / len(parts), part) for part in parts])


def repeated(parts: Sequence[Estimation]) -> Estimation:
    """The mean over repeats of an estimator that draws at random; its randomness enters the error."""
    mean = mean_estimation(parts)
    values = parts[0].contributions.new_tensor([part.value for part in parts])
    return mean if len(parts) < 2 else replace(mean, by_repeat=((values - mean.value) / len(parts),))


def _total(tensors: Sequence[Tensor]) -> Tensor:
    total = tensors[0]
    for tensor in tensors[1:]:
        total = total + tensor
    return total


def _corrected(sums: Tensor, n: int) -> float:
    return float(sums.square().sum()) * n / (n - 1)
