"""The reliability of the truth: its correlation with the truth of other seeds, and the ceiling that follows from it.

Disjoint sets of k seeds are drawn, their mean effects are correlated, and the correlation is averaged over many draws.
This is the measured curve h(k), up to half of the seeds. The last doubling is extrapolated, or slightly more if the
number of seeds is odd: from 2 of 5 seeds to 5. By Spearman (1910) and Brown
(1910), the odds h / (1 - h) grow in proportion to k. Leave-one-out effects have heavy tails and noise that grows with
the effect, and their odds grow more slowly, so the growth measured over the last doubling is continued for one more. On
truths of 64 seeds, the growth changes little from doubling to doubling; the possible change enters the intervals.

The best rank correlation that any scores can have with the truth is sqrt(reliability), reached by the expected ranks.
The ceiling is its mean over test points.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations, pairwise
from math import atanh, ceil, comb, exp, hypot, log, sqrt, tanh
from random import Random

import torch
from scipy import stats
from torch import Tensor

from influbench.results import UNKNOWN, Statistic
from influbench.statistics.between_seeds import BetweenSeeds, between_seeds, norms
from influbench.statistics.correlation import Block, ColumnMean, mean_over_columns, spearman
from influbench.statistics.estimation import Estimation, combined, mean_estimation

_N_SPLITS = 24  # draws that the value is averaged over
FEWEST_SEEDS = 4  # for an interval: the chance of two or three seeds cannot be estimated from them

# Standard error of the logarithm of the factor by which the odds grow over the next doubling. A measured factor changed
# from one doubling to the next by up to 10% on real truths of 64 seeds, and by 23% in simulations with heavy tails. If
# the factor was not measured, the interval reaches from Spearman and Brown's factor down to no growth: the error is
# half of its logarithm.
_ERROR_OF_GROWTH = 0.12
_ERROR_OF_UNKNOWN_GROWTH = 1 / 2

SeedSplit = tuple[tuple[int, ...], tuple[int, ...]]


@dataclass(frozen=True, eq=False)
class Reliability:
    """The reliability of a truth with all its seeds. None if fewer than two seeds were trained.

    The intervals are about a truth of other seeds, drawn from all seeds that might have been, and about other points.
    They are symmetric in the log-odds, or on Fisher's z scale if the reliability is not clearly above 0. With fewer
    than four seeds, values do not have intervals.
    """

    reliability: Estimation | None
    ceiling: Estimation | None  # None also if the reliability is not clearly above 0
    curve: dict[int, Estimation]  # measured, by number of seeds in each half
    n_seeds: int
    single_seed_reach: Estimation | None = None  # None where the ceiling is
    norms: tuple[float, ...] = ()  # of each seed's effects, over the median norm

    @property
    def single_seed(self) -> Estimation | None:
        """The reliability of one seed."""
        return self.curve.get(1)

    @property
    def is_clear(self) -> bool:
        """True if the truth can be distinguished from noise: its reliability is clearly above 0."""
        return self.ceiling is not None

    def interval(self) -> Statistic:
        """The reliability with its interval."""
        return reliability_interval(self.reliability, self.n_seeds)

    def interval_at(self, size: int) -> Statistic:
        """The measured reliability of this many seeds with its interval."""
        return reliability_interval(self.curve.get(size), self.n_seeds)

    def ceiling_interval(self) -> Statistic:
        """The ceiling with its interval, within [0, 1]."""
        return _root_interval(self.ceiling, self.reliability, self.n_seeds)

    def reach_interval(self) -> Statistic:
        """The correlation of one seed's effects with the expected effects, with its interval within [0, 1]."""
        return _root_interval(self.single_seed_reach, self.single_seed, self.n_seeds)

    def share_interval(self, value: Estimation) -> Statistic:
        """An agreement as a share of the ceiling, with its interval; unknown without a ceiling."""
        if self.ceiling is None:
            return UNKNOWN
        if self.n_seeds < FEWEST_SEEDS:
            return Statistic(value=value.value / self.ceiling.value, low=None, high=None)
        unseen = self.ceiling.value * _share_of_unseen_seeds(self.n_seeds) / 2
        ceiling = replace(self.ceiling, by_extrapolation=hypot(self.ceiling.by_extrapolation, unseen))
        return value.ratio_interval(ceiling, freedom=self.n_seeds - 1)

    def seeds_needed(self, wanted: float) -> int | None:
        """Seeds for this reliability, on the measured curve and up to all seeds; None if it takes more."""
        if self.reliability is None or not self.is_clear:
            return None
        points = sorted((n, one.value) for n, one in {**self.curve, self.n_seeds: self.reliability}.items())
        if points[0][1] >= wanted:
            return points[0][0]
        for below, above in pairwise(points):
            if below[1] < wanted <= above[1]:
                return _between(below, above, wanted)
        return None


def reliability(truth: Tensor, blocks: Sequence[Block], weights: Tensor | None = None) -> Reliability:
    """The reliability of a truth (n_seeds, n_train, n_test) within blocks, averaged over test points.

    With `weights` (n_train, n_test), the average is weighted, as in `mean_over_columns`.
    """
    n_seeds = len(truth)
    sizes, seeds = halvings(n_seeds // 2), between_seeds(truth, blocks, weights)
    measured = {size: _half_splits(truth, blocks, size, weights, seeds) for size in sizes}
    curve = {size: mean.estimation for size, mean in sorted(measured.items()) if mean.estimation is not None}
    if not sizes or sizes[0] not in curve:
        return Reliability(None, None, curve, n_seeds, norms=norms(truth, blocks))
    whole = _with_seeds(_extrapolated(curve, sizes, n_seeds), seeds, n_seeds)
    known = Reliability(whole, None, curve, n_seeds, norms=norms(truth, blocks))
    if not _is_clear(whole, n_seeds):
        return known
    reach = _mean_of_roots(curve[1], measured[1], weights) if _is_clear(curve[1], n_seeds) else None
    ceiling = _mean_of_roots(whole, measured[sizes[0]], weights)
    return replace(known, ceiling=ceiling, single_seed_reach=reach)


def reliability_interval(found: Estimation | None, n_seeds: int) -> Statistic:
    """The reliability of a truth of this many seeds, or of part of them, with its 95% interval."""
    if found is None:
        return UNKNOWN
    unseen = 3 * _share_of_unseen_seeds(n_seeds) * abs(found.value * (1 - found.value))
    half = _half_width(replace(found, by_extrapolation=hypot(found.by_extrapolation, unseen)), n_seeds)
    if n_seeds < FEWEST_SEEDS or half is None or abs(found.value) >= 1:
        return Statistic(value=found.value, low=None, high=None)
    if not _is_clear(found, n_seeds):
        z, half_of_z = atanh(found.value), half / (1 - found.value**2)
        return Statistic(value=found.value, low=tanh(z - half_of_z), high=tanh(z + half_of_z))
    odds, half_of_odds = _log_odds(found.value), half / (found.value * (1 - found.value))
    return Statistic(value=found.value, low=_of_log_odds(odds - half_of_odds), high=_of_log_odds(odds + half_of_odds))


def halvings(size: int) -> list[int]:
    """Repeated halves: size, size // 2, ..., 1."""
    return [size, *halvings(size // 2)] if size else []


def splits(n_seeds: int, size: int) -> list[SeedSplit]:
    """Disjoint pairs of sets of `size` seeds: all of them, or a fixed random choice if there are many."""
    if comb(n_seeds, size) * comb(n_seeds - size, size) // 2 <= _N_SPLITS + _N_SPLITS // 2:
        pairs: list[SeedSplit] = []
        for half in combinations(range(n_seeds), size):
            others = combinations([seed for seed in range(n_seeds) if seed not in half], size)
            pairs += [(half, other) for other in others if half < other]
        return pairs
    random, chosen = Random(0), set[SeedSplit]()
    while len(chosen) < _N_SPLITS:
        drawn = random.sample(range(n_seeds), 2 * size)
        half, other = tuple(sorted(drawn[:size])), tuple(sorted(drawn[size:]))
        chosen.add((min(half, other), max(half, other)))
    return sorted(chosen, key=lambda _: random.random())


def _half_splits(
    truth: Tensor, blocks: Sequence[Block], size: int, weights: Tensor | None, seeds: BetweenSeeds | None
) -> ColumnMean:
    """The correlation between disjoint sets of `size` seeds, averaged over draws, with the contributions of seeds."""
    found = [
        mean_over_columns(spearman, truth[list(half)].mean(0), truth[list(other)].mean(0), blocks, weights)
        for half, other in splits(len(truth), size)
    ]
    known = [mean.estimation for mean in found if mean.estimation is not None]
    return ColumnMean(
        _with_seeds(mean_estimation(known), seeds, size) if known else None,
        torch.stack([mean.values for mean in found]).nanmean(0),
        torch.stack([mean.sampling_variances for mean in found]).nanmean(0),
    )


def _with_seeds(found: Estimation, seeds: BetweenSeeds | None, size: int) -> Estimation:
    """The reliability of this many seeds with the contributions of the seeds."""
    return replace(found, by_seed=None if seeds is None else seeds.contributions(found.value, size))


def _half_width(found: Estimation, n_seeds: int) -> float | None:
    """Half of the width of a reliability's 95% interval, on its own scale."""
    error = found.standard_error()
    if error is None:
        return None
    return float(stats.t.ppf(0.975, min(n_seeds - 1, found.degrees_of_freedom()))) * error


def _share_of_unseen_seeds(n_seeds: int) -> float:
    """The share q of seeds of a kind that n seeds did not show, by Laplace's rule of succession.

    If these seeds have nothing in common with the others, and signal and noise of a seed are about equal, the log-odds
    of the reliability are lower by about 3 q. A share of the ceiling is lower by about q / 2 if the effects in these
    seeds are twice as large. Both enter the intervals as standard errors.
    """
    return 1 / (n_seeds + 2)


def _is_clear(found: Estimation, n_seeds: int) -> bool:
    """True if a reliability is clearly above 0, on Fisher's z scale.

    With too few seeds for an interval, it depends on points alone. Kinds of seeds that were not seen do not matter:
    they can lower the reliability, but the signal that was found remains.
    """
    if found.value >= 1:
        return True
    if n_seeds < FEWEST_SEEDS:
        low = replace(found, by_seed=None).correlation_interval().low
        return low is not None and low > 0
    half = _half_width(found, n_seeds)
    return half is not None and found.value > 0 and atanh(found.value) > half / (1 - found.value**2)


def _root_interval(root: Estimation | None, of: Estimation | None, n_seeds: int) -> Statistic:
    """A mean of roots of reliabilities with the interval of the reliability, by the same factor of their roots."""
    if root is None or of is None:
        return UNKNOWN
    interval, factor = reliability_interval(of, n_seeds), root.value / sqrt(of.value)
    if interval.low is None or interval.high is None:
        return Statistic(value=root.value, low=None, high=None)
    return Statistic(value=root.value, low=factor * sqrt(max(0.0, interval.low)), high=factor * sqrt(interval.high))


def _extrapolated(curve: dict[int, Estimation], sizes: Sequence[int], n_seeds: int) -> Estimation:
    """The reliability of all seeds, extrapolated from the largest half with the same power of the seeds in the odds."""
    half = curve[sizes[0]]
    before = curve.get(sizes[1]) if len(sizes) > 1 else None
    factor = n_seeds / sizes[0]
    if before is None or not 0 < before.value < half.value < 1:
        return _uncertain(_times_odds(half, factor), log(factor) * _ERROR_OF_UNKNOWN_GROWTH)
    further = log(factor) / log(sizes[0] / sizes[1])
    growth = _log_odds(half.value) - _log_odds(before.value)
    value = _of_log_odds(_log_odds(half.value) + further * growth)
    slope = value * (1 - value)  # of the value by its log-odds
    extrapolated = combined(
        value,
        [
            (slope * (1 + further) / (half.value * (1 - half.value)), half),
            (-slope * further / (before.value * (1 - before.value)), before),
        ],
    )
    return _uncertain(extrapolated, log(factor) / log(2) * _ERROR_OF_GROWTH)


def _uncertain(found: Estimation, error_of_log_odds: float) -> Estimation:
    """The reliability with the standard error of its extrapolated log-odds."""
    return replace(found, by_extrapolation=abs(found.value * (1 - found.value)) * error_of_log_odds)


def _times_odds(half: Estimation, factor: float) -> Estimation:
    """Spearman and Brown's formula, factor h / (1 + (factor - 1) h); -1 if that is lower or undefined."""
    if (2 * factor - 1) * half.value <= -1:
        return half.apply(lambda _: -1.0, 0.0)
    scale = 1 + (factor - 1) * half.value
    return half.apply(lambda h: factor * h / scale, factor / scale**2)


def _mean_of_roots(found: Estimation, of_columns: ColumnMean, weights: Tensor | None) -> Estimation:
    """The mean of sqrt(reliability) over test points, to second order in the differences between test points.

    `found` is above 0. The differences relative to the mean are those of `of_columns`, less the noise of each.
    """
    defined = ~of_columns.values.isnan()
    share = torch.ones(len(defined), dtype=torch.float64) if weights is None else weights.double().mean(0)
    share = share[defined] / share[defined].sum()
    values, n_effective = of_columns.values[defined], 1 / float(share.square().sum())
    spread, mean = 0.0, float((share * values).sum())
    if n_effective > 1 + 1e-9:
        variance = float((share * (values - mean).square()).sum()) * n_effective / (n_effective - 1)
        spread = max(0.0, variance - float((share * of_columns.sampling_variances[defined]).sum())) / mean**2
    between = 1 - min(spread, 1.0) / 8
    return found.apply(lambda r: between * sqrt(r), between * 0.5 / sqrt(found.value))


def _between(below: tuple[int, float], above: tuple[int, float], wanted: float) -> int:
    """Seeds at which the curve reaches a reliability; the log-odds are linear in the logarithm of the seeds."""
    if below[1] <= 0 or above[1] >= 1:
        return above[0]
    passed = (_log_odds(wanted) - _log_odds(below[1])) / (_log_odds(above[1]) - _log_odds(below[1]))
    return ceil(exp(log(below[0]) + passed * log(above[0] / below[0])) - 1e-9)


def _log_odds(value: float) -> float:
    return log(value / (1 - value))


def _of_log_odds(log_odds: float) -> float:
    return 1 / (1 + exp(-log_odds))
