"""All pairwise differences of estimators, judged on the same points, with simultaneous intervals.

The intervals of all pairs hold at once with a probability of 95%. The half-width of each is the quantile of Student's t
with the degrees of freedom of its own standard error, at a tail probability that is common to all pairs. This is the 5%
quantile of the smallest p value of any pair if no estimators differ (the balanced version of Hothorn, Bretz, Westfall
2008). It comes from draws of all differences together with their standard errors, both with the correlation of the
differences: standard errors are roots of sums of squares of as many further draws as there are degrees of freedom (the
diagonal of a Wishart matrix). A standard error that is common to all pairs, as in the multivariate t, would be too
optimistic, because every pair has its own. Where degrees of freedom differ, the draws have the fewest of any pair: the
fewer, the lower the common tail probability.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from math import sqrt

import torch
from scipy import stats
from torch import Tensor

from influbench.results import Statistic
from influbench.seeds import derive
from influbench.statistics.estimation import Estimation

_N_DRAWS = 20_000
_MOST_FREEDOM = 50  # of the standard errors that are drawn; with more, the tail probability is the same up to the draws


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
    tail = _common_tail(known) if known else 0.05
    return [Difference(pair.first, pair.second, _with_interval(pair, tail)) for pair in pairs]


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


def _common_tail(pairs: list[_Pair]) -> float:
    """The two-sided tail probability of each pair at which some pair is wrong in 5% of draws."""
    root = _root_of_correlation(pairs)
    freedom = max(1, round(min(_MOST_FREEDOM, *(pair.degrees_of_freedom for pair in pairs))))
    generator = torch.Generator().manual_seed(derive(0, "differences"))

    def drawn() -> Tensor:
        return torch.randn(_N_DRAWS, root.shape[1], generator=generator, dtype=torch.float64) @ root.T

    squared_differences = drawn().square()
    variances = torch.zeros_like(squared_differences)
    for _ in range(freedom):
        variances += drawn().square() / freedom
    largest = (squared_differences / variances).max(dim=1).values.quantile(0.95)
    return float(2 * stats.t.sf(sqrt(largest), freedom))


def _root_of_correlation(pairs: list[_Pair]) -> Tensor:
    """A matrix (n_pairs, rank) whose product with its transpose is the correlation of the differences."""
    rows = torch.stack([pair.rows for pair in pairs])
    columns = [pair.columns for pair in pairs if pair.columns is not None]
    covariance = rows @ rows.T
    if columns:
        covariance += torch.stack(columns) @ torch.stack(columns).T
    scale = covariance.diagonal().clamp_min(1e-300).sqrt()
    correlation = (covariance / scale[:, None] / scale).fill_diagonal_(1.0)
    eigenvalues, vectors = torch.linalg.eigh(correlation)
    present = eigenvalues > 1e-9 * len(pairs)
    root: Tensor = vectors[:, present] * eigenvalues[present].sqrt()
    return root


def _with_interval(pair: _Pair, tail: float) -> Statistic:
    if pair.error is None:
        return Statistic(value=pair.value, low=None, high=None)
    half = float(stats.t.isf(tail / 2, pair.degrees_of_freedom)) * pair.error
    return Statistic(value=pair.value, low=pair.value - half, high=pair.value + half)


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
