"""Which estimators can be told apart: all pairwise differences, judged on the same points, with simultaneous intervals.

The largest |difference| / standard error over all pairs is compared with its distribution under no difference (max-|t|,
Hothorn, Bretz, Westfall 2008), so that all intervals hold at once with 95 %.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

import torch
from scipy import stats

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


def differences(estimations: Mapping[str, Estimation]) -> list[Difference]:
    """All pairs, the higher value first."""
    ordered = sorted(estimations, key=lambda name: -estimations[name].value)
    pairs = list(combinations(ordered, 2))
    found = [estimations[first].minus(estimations[second]) for first, second in pairs]
    errors = [one.standard_error() for one in found]
    known = [one for one, error in zip(found, errors, strict=True) if error]
    critical = _largest_t(known) if known else 0.0
    return [
        Difference(first, second, _with_interval(one.value, error, critical))
        for (first, second), one, error in zip(pairs, found, errors, strict=True)
    ]


def letters(names: list[str], found: list[Difference]) -> dict[str, str]:
    """Compact letter display: names share a letter if, and only if, they cannot be told apart (Piepho 2004).

    `names` in descending order of value, so that the best have "a".
    """
    apart = {frozenset((one.first, one.second)) for one in found if one.is_clear}
    groups = [set(names)]
    for first, second in map(tuple, apart):
        split = [group for group in groups if {first, second} <= group]
        groups = [group for group in groups if group not in split]
        groups += [group - {one} for group in split for one in (first, second)]
        groups = [group for i, group in enumerate(groups) if not _is_within(group, i, groups)]
    groups.sort(key=lambda group: sorted(names.index(name) for name in group))
    return {name: "".join(_letter(number) for number, group in enumerate(groups) if name in group) for name in names}


def _largest_t(found: list[Estimation]) -> float:
    """The 95 % quantile of the largest |t|: normal draws with the differences' correlation, each over its own chi."""
    rows = torch.stack([one.contributions.sum(1) for one in found])
    columns = torch.stack([one.contributions.sum(0) for one in found])
    has_columns = found[0].n_columns is not None
    covariance = rows @ rows.T + (columns @ columns.T if has_columns else 0)
    scale = covariance.diagonal().clamp_min(1e-300).sqrt()
    correlation = (covariance / scale[:, None] / scale).fill_diagonal_(1.0)
    eigenvalues, vectors = torch.linalg.eigh(correlation)
    root = vectors * eigenvalues.clamp_min(0).sqrt()
    generator = torch.Generator().manual_seed(derive(0, "differences"))
    normal = torch.randn(_N_DRAWS, len(found), generator=generator, dtype=torch.float64) @ root.T
    largest = normal.abs().max(dim=1).values.quantile(0.95)
    # the same tail probability under Student's t, with the fewest degrees of freedom among the differences
    tail = 1 - stats.norm.cdf(float(largest))
    return max(one.quantile(1 - tail) for one in found)


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
