"""Trust in a truth: its reliability, its ceiling, and the share of the ceiling that an estimator reaches."""

from collections.abc import Iterator
from functools import cache, partial
from math import sqrt

import torch
from torch import Generator, Tensor

from benchmarks.calibration.draws import normal
from benchmarks.calibration.simulation import Case
from influbench.results import UNKNOWN, Statistic
from influbench.seeds import derive
from influbench.statistics.correlation import mean_over_columns, spearman, whole_table
from influbench.statistics.reliability import reliability
from influbench.statistics.yardsticks import correlations, statistic

TRUST = ("reliability", "ceiling", "share of ceiling")


def cases() -> Iterator[Case]:
    for n_seeds in (4, 8):
        for tails in (0.0, 0.5):
            name = f", {n_seeds} seeds, {'heavy' if tails else 'normal'} tails, 100 x 40"
            simulate = partial(trust, n=100, m=40, n_seeds=n_seeds, tails=tails)
            yield Case(name, simulate, of=TRUST)
    yield Case("reliability of noise alone, 8 seeds, 100 x 40", partial(noise_alone, n=100, m=40, n_seeds=8))


def heavy_tailed_truth(generator: Generator, n_seeds: int, n: int, m: int, *, tails: float) -> tuple[Tensor, Tensor]:
    """Effects with heavy tails, and their sum with noise that grows with the effect, for each seed.

    `tails` = 0 gives normal effects and noise.
    """
    size = torch.exp(tails * (normal(generator, n, 1) + normal(generator, n, m)))
    effect = size * (normal(generator, n, 1) + normal(generator, n, m))
    seeds = normal(generator, n_seeds, n, m) * torch.exp(tails * normal(generator, n_seeds, n, m))
    return effect, effect + (0.5 + effect.abs()) * seeds


def trust(generator: Generator, n: int, m: int, *, n_seeds: int, tails: float) -> list[tuple[Statistic, float]]:
    """The reliability of a truth, its ceiling, and the share of the ceiling that the noise-free effect reaches."""
    effect, truth = heavy_tailed_truth(generator, n_seeds, n, m, tails=tails)
    yardstick = correlations(truth)
    share = yardstick.agreement([effect]).of_ceiling
    found = {
        "reliability": statistic(yardstick.reliability.reliability),
        "ceiling": statistic(yardstick.reliability.ceiling),
        "share of ceiling": UNKNOWN if share is None else share.interval(),
    }
    known = known_trust(n_seeds, n, tails)
    return [(found[name], known[name]) for name in TRUST]


def noise_alone(generator: Generator, n: int, m: int, *, n_seeds: int) -> list[tuple[Statistic, float]]:
    """The reliability of a truth that is only noise."""
    return [(statistic(reliability(normal(generator, n_seeds, n, m), whole_table(n, m)).reliability), 0.0)]


@cache
def known_trust(n_seeds: int, n: int, tails: float) -> dict[str, float]:
    """Reliability, ceiling and the effect's share of it, from two truths of this many seeds on many test points."""
    generator = Generator().manual_seed(derive(0, "calibration", "known", n_seeds, n, str(tails)))
    halves, with_effect = [], []
    for _ in range(120):
        effect, both = heavy_tailed_truth(generator, 2 * n_seeds, n, 40, tails=tails)
        first, second = both[:n_seeds].mean(0), both[n_seeds:].mean(0)
        halves.append(mean_over_columns(spearman, first, second, whole_table(n, 40)).values)
        with_effect.append(mean_over_columns(spearman, effect, first, whole_table(n, 40)).values)
    between = torch.cat(halves)
    ceiling = sqrt(float(between.mean()))
    return {
        "reliability": float(between.mean()),
        "ceiling": ceiling,
        "share of ceiling": float(torch.cat(with_effect).mean()) / ceiling,
    }
