"""All pairwise differences of estimators, judged on the same points, with simultaneous intervals.

The intervals of all pairs hold at once with a probability of 95%. Their half-width in standard errors is the 95%
quantile of the largest |difference| / standard error over all pairs if no estimators differ (Hothorn, Bretz, Westfall
2008). That quantile comes from normal draws with the correlation of the differences. Since standard errors are
estimates as well, the quantile is replaced by the quantile of Student's t with the same tail probability and with the
fewest degrees of freedom of any pair. With few degrees of freedom, this is above the quantile of the multivariate t, so
the intervals are conservative.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

import torch
from scipy import stats
from torch import Tensor

from influbench.results import Statistic
from influbench.seeds import derive
from influbench.statistics.estimation import Estimation

_N_DRAWS = 20_000


@dataclass(frozen=True)
class Difference:
    """Agreement of one estimator minus the agreement of another, with its simultaneous 95% interval."""

    first: str
    second: str
    statistic: Statistic

    @property
    def is_clear(self) -> bool:
        """True if the interval excludes 0."""
        low, high = self.statistic.low, self.statistic.high
        return low is not None and high is not None and not low <= 0 <= high


@dataclass(frozen=True, eq=False)
class _Pair:
    """The difference of two estimations, reduced to the sums of its contributions."""

    first: str
    second: str
    value: float
    error: float | None
    degrees_of_freedom: float
    rows: Tensor  # (n_rows,) sums of the contributions
    columns: Tensor | None  # (n_columns,) None if the columns are not a sample


def differences(estimations: Mapping[str, Estimation]) -> list[Difference]:
    """The differences of all pairs, the higher value first; without an interval where one of the two has few draws."""
    ordered = sorted(estimations, key=lambda name: -estimations[name].value)
    pairs = [_pair(first, second, estimations) for first, second in combinations(ordered, 2)]
    known = [pair for pair in pairs if pair.error]
    critical = _largest_t(known) if known else 0.0
    return [Difference(pair.first, pair.second, _with_interval(pair.value, pair.error, critical)) for pair in pairs]


def _pair(first: str, second: str, estimations: Mapping[str, Estimation]) -> _Pair:
    found = estimations[first].minus(estimations[second])
    return _Pair(
        first,
        second,
        found.value,
        None if found.few_draws else found.standard_error(),
        found.degrees_of_freedom(),
        rows=found.contributions.sum(1),
        columns=None if found.n_columns is None else found.contributions.sum(0),
    )


def letters(names: list[str], found: list[Difference]) -> dict[str, str]:
    """Compact letter display: names share a letter if and only if they do not differ clearly (Piepho 2004).

    `names` are in descending order of value, so that the best have "a". Pairs are processed in the order of `found`,
    the best with all others first; in an arbitrary order, the number of intermediate groups can grow exponentially.
    """
    apart = [(one.first, one.second) for one in found if one.is_clear]
    groups = [set(names)]
    for first, second in apart:
        split = [group for group in groups if {first, second} <= group]
        groups = [group for group in groups if group not in split]
        groups += [group - {one} for group in split for one in (first, second)]
        groups = [group for i, group in enumerate(groups) if not _is_within(group, i, groups)]
    groups.sort(key=lambda group: sorted(names.index(name) for name in group))
    return {name: "".join(_letter(number) for number, group in enumerate(groups) if name in group) for name in names}


def _largest_t(pairs: list[_Pair]) -> float:
    """Half-width of a simultaneous 95% interval in standard errors: a normal quantile, converted to Student's t."""
    rows = torch.stack([pair.rows for pair in pairs])
    columns = [pair.columns for pair in pairs if pair.columns is not None]
    covariance = rows @ rows.T
    if columns:
        covariance += torch.stack(columns) @ torch.stack(columns).T
    scale = covariance.diagonal().clamp_min(1e-300).sqrt()
    correlation = (covariance / scale[:, None] / scale).fill_diagonal_(1.0)
    eigenvalues, vectors = torch.linalg.eigh(correlation)
    root = vectors * eigenvalues.clamp_min(0).sqrt()
    generator = torch.Generator().manual_seed(derive(0, "differences"))
    normal = torch.randn(_N_DRAWS, len(pairs), generator=generator, dtype=torch.float64) @ root.T
    largest = normal.abs().max(dim=1).values.quantile(0.95)
    tail = 1 - stats.norm.cdf(float(largest))
    return float(stats.t.ppf(1 - tail, min(pair.degrees_of_freedom for pair in pairs)))


def _with_interval(value: float, error: float | None, critical: float) -> Statistic:
    if error is None:
        return Statistic(value=value, low=None, high=None)
    return Statistic(value=value, low=value - critical * error, high=value + critical * error)


def _is_within(group: set[str], place: int, groups: list[set[str]]) -> bool:
    """True if another group contains this group; of equal groups, the first is kept."""
    return any(
        group < other or (group == other and place > elsewhere)
        for elsewhere, other in enumerate(groups)
        if elsewhere != place
    )


def _letter(number: int) -> str:
    """The letter of a group: a ... z, A ... Z, then the same letters with primes."""
    alphabet = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
    return alphabet[number % len(alphabet)] + "'" * (number // len(alphabet))
