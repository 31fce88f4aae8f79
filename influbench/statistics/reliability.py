"""How far the truth can be trusted: what another set of seeds would have said, and the best that can be reached.

The seeds are split into halves, the halves' means are correlated, and the mean over many splits is stepped up to all
seeds by Spearman-Brown, r = 2 h / (1 + h). An estimator without any noise reaches sqrt(r) in expectation: the ceiling.
The intervals are over train and test points; the seeds' own share is not in them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from math import comb, sqrt
from random import Random

from torch import Tensor

from influbench.statistics.correlation import Block, mean_spearman
from influbench.statistics.estimation import Estimation, mean_estimation

_N_SPLITS = 40


@dataclass(frozen=True, eq=False)
class Reliability:
    """Of a truth with all its seeds, and of one seed alone. None where fewer than two seeds were trained."""

    reliability: Estimation | None
    ceiling: Estimation | None  # None also where the reliability is not above 0
    single_seed: Estimation | None


def reliability(truth: Tensor, blocks: Sequence[Block]) -> Reliability:
    """Of a truth (n_seeds, n_train, n_test), per test point within its block, averaged over test points."""
    halves = [
        mean_spearman(truth[list(half)].mean(0), truth[list(rest)].mean(0), blocks).estimation
        for half, rest in split_halves(len(truth))
    ]
    pairs = [mean_spearman(truth[a], truth[b], blocks).estimation for a, b in seed_pairs(len(truth))]
    half = _mean(halves)
    if half is None:
        return Reliability(None, None, _mean(pairs))
    stepped_up = half.apply(lambda h: 2 * h / (1 + h), 2 / (1 + half.value) ** 2)
    ceiling = stepped_up.apply(sqrt, 0.5 / sqrt(stepped_up.value)) if stepped_up.value > 0 else None
    return Reliability(stepped_up, ceiling, _mean(pairs))


def split_halves(n_seeds: int) -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
    """Ways of splitting the seeds in two halves: all of them, or a fixed random choice where they are many."""
    size = n_seeds // 2
    if size == 0:
        return []
    seeds = range(n_seeds)
    if comb(n_seeds, size) <= 2 * _N_SPLITS:
        chosen = {frozenset((half, _rest(half, seeds))) for half in combinations(seeds, size)}
        return sorted((min(split), max(split)) for split in chosen)
    random, splits = Random(0), set[tuple[int, ...]]()
    while len(splits) < _N_SPLITS:
        half = tuple(sorted(random.sample(seeds, size)))
        splits.add(min(half, _rest(half, seeds)) if 2 * size == n_seeds else half)
    return [(half, _rest(half, seeds)) for half in sorted(splits)]


def seed_pairs(n_seeds: int) -> list[tuple[int, int]]:
    """Pairs of seeds: all of them, or a fixed random choice where they are many."""
    pairs = list(combinations(range(n_seeds), 2))
    return pairs if len(pairs) <= _N_SPLITS else sorted(Random(0).sample(pairs, _N_SPLITS))


def _rest(half: tuple[int, ...], seeds: Sequence[int]) -> tuple[int, ...]:
    return tuple(seed for seed in seeds if seed not in half)


def _mean(estimations: Sequence[Estimation | None]) -> Estimation | None:
    known = [estimation for estimation in estimations if estimation is not None]
    return mean_estimation(known) if known else None
