"""Which estimators can be told apart: all pairwise differences, judged on the same points, with simultaneous intervals.

Intervals of all pairs hold at once with 95%: each reaches as many standard errors as the largest |difference| /
standard error of all pairs does in 95 of 100 cases where nothing differs (Hothorn, Bretz, Westfall 2008). That
quantile comes from normal draws with the differences' correlation. Standard errors are estimates, too, so the
quantile is replaced by the one of Student's t with the same tail probability and with the fewest degrees of freedom
of any pair. With few degrees of freedom that is above the quantile of the multivariate t, and intervals err on the
wide side.
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
    """Agreement of one estimator minus that of another, with its simultaneous 95 % interval."""

    first: str
    second: str
    statistic: Statistic

    @property
    def is_clear(self) -> bool:
        """Whether the interval leaves 0 out."""
        low, high = self.statistic.low, self.statistic.high
        return low is not None and high is not None and not low <= 0 <= high


@dataclass(frozen=True, eq=False)
class _Pair:
    """What is needed of the difference of two estimations, without the table of its contributions."""

    first: str
    second: str
    value: float
    error: float | None
    degrees_of_freedom: float
    rows: Tensor  # (n_rows,) sums of the contributions
    columns: Tensor | None  # (n_columns,) None where the columns are no sample


def differences(estimations: Mapping[str, Estimation]) -> list[Difference]:
    """All pairs, the higher value first."""
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
        found.standard_error(),
        found.degrees_of_freedom(),
        rows=found.contributions.sum(1),
        columns=None if found.n_columns is None else found.contributions.sum(0),
    )


def letters(names: list[str], found: list[Difference]) -> dict[str, str]:
    """Compact letter display: names share a letter if, and only if, they cannot be told apart (Piepho 2004).

    `names` in descending order of value, so that the best have "a". Pairs are taken in the order of `found`, the best
    with all others first: in no order at all, the groups on the way are exponentially many.
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
    """Standard errors on either side in a simultaneous 95% interval: a normal quantile, taken to Student's t."""
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
    """Whether another group holds all of it; of equal ones the first stays."""
    return any(
        group < other or (group == other and place > elsewhere)
        for elsewhere, other in enumerate(groups)
        if elsewhere != place
    )


def _letter(number: int) -> str:
    """a ... z, A ... Z, then with a prime each further round."""
    alphabet = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
    return alphabet[number % len(alphabet)] + "'" * (number // len(alphabet))
