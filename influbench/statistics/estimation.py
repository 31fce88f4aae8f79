"""Values with what each cell of the table contributed to them, so that every one has an interval.

A statistic of an (n_rows, n_columns) table is linearised: `value - estimand ~ contributions.sum()`, with the influence
function of the statistic at each cell (the infinitesimal jackknife, Efron 1982). Train points (rows) and test points
(columns) are both random, and cells that share either are dependent, so that the variance is that of two-way clusters,
rows + columns - cells (Cameron, Gelbach, Miller 2011).
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import atanh, sqrt, tanh

from scipy import stats
from torch import Tensor

from influbench.results import Statistic


@dataclass(frozen=True, eq=False)
class Estimation:
    """A statistic of a table and its linearisation. `contributions` (n_rows, n_columns) sum to 0.

    `n_rows` and `n_columns` count those that take part; `n_columns` is None where the columns are no sample.
    """

    value: float
    contributions: Tensor
    n_rows: int
    n_columns: int | None

    def standard_error(self) -> float | None:
        """Over the points that make the rows and the columns; None where one of them is a single point."""
        if min(self._sizes) < 2:
            return None
        rows = _corrected(self.contributions.sum(1), self.n_rows)
        if self.n_columns is None:
            return sqrt(rows)
        columns = _corrected(self.contributions.sum(0), self.n_columns)
        cells = _corrected(self.contributions.flatten(), self.n_rows * self.n_columns)
        return sqrt(max(rows + columns - cells, rows, columns))

    def apply(self, function: Callable[[float], float], slope: float) -> "Estimation":
        """The statistic `function(value)`, by the delta method with this slope at the value."""
        return replace(self, value=function(self.value), contributions=self.contributions * slope)

    def over(self, other: "Estimation") -> "Estimation":
        """The ratio of two statistics of the same table."""
        ratio = self.value / other.value
        return replace(
            self, value=ratio, contributions=(self.contributions - ratio * other.contributions) / other.value
        )

    def correlation_interval(self) -> Statistic:
        """The value with its 95 % interval, symmetric on Fisher's z scale, so that it stays within [-1, 1]."""
        half = self._half_width()
        if half is None or abs(self.value) >= 1:
            return Statistic(value=self.value, low=None, high=None)
        z, half = atanh(self.value), half / (1 - self.value**2)
        return Statistic(value=self.value, low=tanh(z - half), high=tanh(z + half))

    def interval(self) -> Statistic:
        """The value with its symmetric 95 % interval."""
        half = self._half_width()
        if half is None:
            return Statistic(value=self.value, low=None, high=None)
        return Statistic(value=self.value, low=self.value - half, high=self.value + half)

    @property
    def _sizes(self) -> list[int]:
        return [self.n_rows] if self.n_columns is None else [self.n_rows, self.n_columns]

    def _half_width(self) -> float | None:
        error = self.standard_error()
        return None if error is None else float(stats.t.ppf(0.975, min(self._sizes) - 1)) * error


def mean_estimation(parts: list[Estimation]) -> Estimation:
    """The mean of several statistics of the same table."""
    contributions = sum(part.contributions for part in parts)
    assert isinstance(contributions, Tensor)
    fewest = [min(sizes) for sizes in zip(*(part._sizes for part in parts), strict=True)]
    return Estimation(
        sum(part.value for part in parts) / len(parts),
        contributions / len(parts),
        n_rows=fewest[0],
        n_columns=fewest[1] if len(fewest) == 2 else None,
    )


def _corrected(sums: Tensor, n: int) -> float:
    return float(sums.square().sum()) * n / (n - 1)
