"""Values with what each cell of the table contributed to them, so that every one has an interval.

A statistic of an (n_rows, n_columns) table is linearised: `value - estimand ~ contributions.sum()`, with the influence
function of the statistic at each cell (the infinitesimal jackknife, Efron 1982). Train points (rows) and test points
(columns) are both random, and cells that share either are dependent, so that the variance is that of two-way clusters,
rows + columns - cells (Cameron, Gelbach, Miller 2011).
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import atanh, sqrt, tanh

from scipy import stats
from torch import Tensor

from influbench.results import Statistic


@dataclass(frozen=True, eq=False)
class Estimation:
    """A statistic of a table and its linearisation. `contributions` (n_rows, n_columns) sum to 0."""

    value: float
    contributions: Tensor

    def standard_error(self) -> float:
        """Over the points that make the rows and, where there is more than one, the columns."""
        n_rows, n_columns = self.contributions.shape
        rows = _corrected(self.contributions.sum(1), n_rows)
        if n_columns == 1:
            return sqrt(rows)
        columns = _corrected(self.contributions.sum(0), n_columns)
        cells = _corrected(self.contributions.flatten(), n_rows * n_columns)
        return sqrt(max(rows + columns - cells, rows, columns))

    def apply(self, function: Callable[[float], float], slope: float) -> "Estimation":
        """The statistic `function(value)`, by the delta method with this slope at the value."""
        return Estimation(function(self.value), self.contributions * slope)

    def over(self, other: "Estimation") -> "Estimation":
        """The ratio of two statistics of the same table."""
        ratio = self.value / other.value
        return Estimation(ratio, (self.contributions - ratio * other.contributions) / other.value)

    def correlation_interval(self) -> Statistic:
        """The value with its 95 % interval, symmetric on Fisher's z scale, so that it stays within [-1, 1]."""
        if abs(self.value) >= 1:
            return Statistic(value=self.value, low=self.value, high=self.value)
        half = self._quantile() * self.standard_error() / (1 - self.value**2)
        z = atanh(self.value)
        return Statistic(value=self.value, low=tanh(z - half), high=tanh(z + half))

    def interval(self) -> Statistic:
        """The value with its symmetric 95 % interval."""
        half = self._quantile() * self.standard_error()
        return Statistic(value=self.value, low=self.value - half, high=self.value + half)

    def _quantile(self) -> float:
        fewest = min(n for n in self.contributions.shape if n > 1)
        return float(stats.t.ppf(0.975, fewest - 1))


def mean_estimation(parts: list[Estimation]) -> Estimation:
    """The mean of several statistics of the same table."""
    contributions = sum(part.contributions for part in parts)
    assert isinstance(contributions, Tensor)
    return Estimation(sum(part.value for part in parts) / len(parts), contributions / len(parts))


def _corrected(sums: Tensor, n: int) -> float:
    return float(sums.square().sum()) * n / (n - 1)
