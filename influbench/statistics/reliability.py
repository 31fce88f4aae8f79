"""The reliability of the truth: its correlation with the truth of other seeds, and the ceiling that follows from it.

Disjoint sets of k seeds are drawn, their mean effects are correlated, and the correlation is averaged over many draws.
This is the measured curve h(k), up to half of the seeds. One doubling is extrapolated. By Spearman (1910) and Brown
(1910), the odds h / (1 - h) grow in proportion to k. Leave-one-out effects have heavy tails and noise that grows with
the effect, and their odds grow more slowly, so the growth measured over the last doubling is continued for one more. On
truths of 64 seeds, the growth changes little from doubling to doubling; the possible change enters the intervals.

The best rank correlation that any scores can have with the truth is sqrt(reliability), reached by the expected ranks.
The ceiling is its mean over test points.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations, pairwise
from math import ceil, comb, exp, log, sqrt
from random import Random

import torch
from torch import Tensor

from influbench.statistics.correlation import (
    Block,
    ColumnMean,
    mean_over_columns,
    spearman,
    standard_ranks_within,
)
from influbench.statistics.estimation import Estimation, combined, mean_estimation

_N_SPLITS = 24  # draws that the value is averaged over
_N_DELETED_FROM = 8  # draws from which each seed is left out in turn

# Standard error of the logarithm of the factor by which the odds grow over the next doubling. A measured factor changed
# from one doubling to the next by up to 10% on real truths of 64 seeds, and by 23% in simulations with heavy tails. If
# the factor was not measured, the interval reaches from Spearman and Brown's factor 2 down to no growth.
_ERROR_OF_GROWTH = 0.12
_ERROR_OF_UNKNOWN_GROWTH = log(2) / 2

SeedSplit = tuple[tuple[int, ...], tuple[int, ...]]


@dataclass(frozen=True, eq=False)
class Reliability:
    """The reliability of a truth with all its seeds. None if fewer than two seeds were trained."""

    reliability: Estimation | None
    ceiling: Estimation | None  # None also if the reliability is not above 0
    curve: dict[int, Estimation]  # measured, by number of seeds in each half
    n_seeds: int

    @property
    def single_seed(self) -> Estimation | None:
        """The reliability of one seed."""
        return self.curve.get(1)

    def seeds_needed(self, wanted: float) -> int | None:
        """Seeds for this reliability, on the measured curve and one doubling beyond it; None if it takes more."""
        if self.reliability is None:
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

    `weights` (n_train, n_test) makes it the weighted mean over test points; see `mean_over_columns`.
    """
    n_seeds = len(truth)
    sizes = halvings(n_seeds // 2)
    measured = {size: _half_splits(truth, blocks, size, weights) for size in sizes}
    curve = {size: mean.estimation for size, mean in sorted(measured.items()) if mean.estimation is not None}
    if not sizes or sizes[0] not in curve:
        return Reliability(None, None, curve, n_seeds)
    half, extrapolated = measured[sizes[0]], _extrapolated(curve, sizes, n_seeds)
    return Reliability(extrapolated, _ceiling(extrapolated, half), curve, n_seeds)


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


def deleted_seed_contributions(values: Tensor) -> Tensor:
    """Contributions (n_seeds,) of the seeds to a statistic, from its values without each of them."""
    return -(values - values.mean()) * (len(values) - 1) / len(values)


def _half_splits(truth: Tensor, blocks: Sequence[Block], size: int, weights: Tensor | None) -> ColumnMean:
    """The correlation between disjoint sets of `size` seeds, averaged over draws, with the contributions of seeds."""
    drawn = splits(len(truth), size)
    found = [
        mean_over_columns(spearman, truth[list(half)].mean(0), truth[list(other)].mean(0), blocks, weights)
        for half, other in drawn
    ]
    known = [mean.estimation for mean in found if mean.estimation is not None]
    estimation = mean_estimation(known) if known else None
    if estimation is not None:
        by_seed = _by_seed_pairs(truth, drawn, found) if size == 1 else _by_seed(truth, blocks, drawn)
        estimation = replace(estimation, by_seed=by_seed)
    return ColumnMean(
        estimation,
        torch.stack([mean.values for mean in found]).nanmean(0),
        torch.stack([mean.sampling_variances for mean in found]).nanmean(0),
    )


def _by_seed_pairs(truth: Tensor, drawn: Sequence[SeedSplit], found: Sequence[ColumnMean]) -> Tensor | None:
    """Contributions of the seeds to the mean over pairs of seeds, from the mean over the pairs without each seed."""
    n_seeds = len(truth)
    known = [(pair, mean.estimation.value) for pair, mean in zip(drawn, found, strict=True) if mean.estimation]
    without = [[value for ((a,), (b,)), value in known if seed not in (a, b)] for seed in range(n_seeds)]
    if not all(without):
        return None
    means = [sum(values) / len(values) for values in without]
    return deleted_seed_contributions(torch.tensor(means, dtype=torch.float64))


def _by_seed(truth: Tensor, blocks: Sequence[Block], drawn: Sequence[SeedSplit]) -> Tensor:
    """Contributions of the seeds: each is left out of its half in turn, while the other half is unchanged.

    The change is compared with the change for the other seeds of the same draw, since a smaller half is less reliable
    whichever seed is left out. A seed takes part in 2 size / n_seeds of the draws, and has a slightly larger effect on
    a half with one seed less.
    """
    n_seeds, size = len(truth), len(drawn[0][0])
    effects, n_drawn = torch.zeros(n_seeds, dtype=torch.float64), torch.zeros(n_seeds, dtype=torch.float64)
    for split in drawn[:_N_DELETED_FROM]:
        of_draw = {}
        for half, other in (split, split[::-1]):
            against = standard_ranks_within(truth[list(other)].mean(0), blocks)
            for seed in half:
                rest = truth[[one for one in half if one != seed]].mean(0)
                of_draw[seed] = (standard_ranks_within(rest, blocks) * against).sum(0).nanmean()
        values = torch.stack(list(of_draw.values()))
        effects[list(of_draw)] += values - values.mean()
        n_drawn[list(of_draw)] += 1
    deviations = effects / n_drawn.clamp_min(1) * (2 * (size - 1) / (n_seeds - 1))
    return deleted_seed_contributions(deviations)


def _extrapolated(curve: dict[int, Estimation], sizes: Sequence[int], n_seeds: int) -> Estimation:
    """The reliability of all seeds, extrapolated from the largest half with the same power of the seeds in the odds."""
    half = curve[sizes[0]]
    before = curve.get(sizes[1]) if len(sizes) > 1 else None
    doubling = log(n_seeds / sizes[0])
    if before is None or not 0 < before.value < half.value < 1:
        return _uncertain(_times_odds(half, n_seeds / sizes[0]), _ERROR_OF_UNKNOWN_GROWTH)
    last_doubling = log(sizes[0] / sizes[1])
    further = doubling / last_doubling
    growth = _log_odds(half.value) - _log_odds(before.value)
    value = 1 / (1 + exp(-(_log_odds(half.value) + further * growth)))
    slope = value * (1 - value)  # of the value by its log-odds
    extrapolated = combined(
        value,
        [
            (slope * (1 + further) / (half.value * (1 - half.value)), half),
            (-slope * further / (before.value * (1 - before.value)), before),
        ],
    )
    return _uncertain(extrapolated, _ERROR_OF_GROWTH)


def _uncertain(found: Estimation, error_of_log_odds: float) -> Estimation:
    """The reliability with the standard error of its extrapolated log-odds."""
    return replace(found, by_extrapolation=abs(found.value * (1 - found.value)) * error_of_log_odds)


def _times_odds(half: Estimation, factor: float) -> Estimation:
    """Spearman and Brown's formula, factor h / (1 + (factor - 1) h); -1 if that is lower or undefined."""
    if (2 * factor - 1) * half.value <= -1:
        return half.apply(lambda _: -1.0, 0.0)
    scale = 1 + (factor - 1) * half.value
    return half.apply(lambda h: factor * h / scale, factor / scale**2)


def _ceiling(found: Estimation, half: ColumnMean) -> Estimation | None:
    """The mean of sqrt(reliability) over test points, to second order in the differences between test points."""
    if found.value <= 0 or half.estimation is None:
        return None
    defined = ~half.values.isnan()
    spread = 0.0
    if int(defined.sum()) > 1:
        noise = half.sampling_variances[defined].mean()
        spread = max(0.0, float(half.values[defined].var() - noise)) / half.estimation.value**2
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
