"""The row of one seed of the truth: its agreement with the mean of the other seeds."""

from collections.abc import Iterator
from functools import cache, partial

import torch
from torch import Generator, Tensor

from benchmarks.calibration.draws import heavy_tailed_truth, normal
from benchmarks.calibration.simulation import Case
from influbench.results import Statistic
from influbench.seeds import derive
from influbench.statistics.correlation import mean_over_columns, spearman, whole_table
from influbench.statistics.one_seed import correlation_of_one_seed
from influbench.statistics.yardsticks import statistic

N, M = 60, 40


def cases() -> Iterator[Case]:
    for n_seeds in (3, 4, 8):
        for tails, unlike in ((0.0, 0.0), (0.5, 0.0), (0.0, 0.3)):
            kind = "seeds that differ" if unlike else "heavy tails" if tails else "normal tails"
            simulate = partial(of_one_seed, n_seeds=n_seeds, tails=tails, unlike=unlike)
            yield Case(f"one seed of the truth, {n_seeds} seeds, {kind}, {N} x {M}", simulate)


def of_one_seed(generator: Generator, *, n_seeds: int, tails: float, unlike: float) -> list[tuple[Statistic, float]]:
    """The agreement of one seed with the mean of the others."""
    truth = truth_of(generator, n_seeds, M, tails=tails, unlike=unlike)
    return [(statistic(correlation_of_one_seed(truth, whole_table(N, M))), known(n_seeds, tails, unlike))]


def truth_of(generator: Generator, n_seeds: int, m: int, *, tails: float, unlike: float) -> Tensor:
    """A truth whose seeds have noise of different size, lognormal with this standard deviation."""
    effect, truth = heavy_tailed_truth(generator, n_seeds, N, m, tails=tails)
    return effect + (truth - effect) * torch.exp(unlike * normal(generator, n_seeds, 1, 1))


@cache
def known(n_seeds: int, tails: float, unlike: float) -> float:
    """The mean over many truths, each with points and seeds of its own."""
    generator = Generator().manual_seed(derive(0, "calibration", "one seed", n_seeds, str(tails), str(unlike)))
    found = []
    for _ in range(1000):
        truth = truth_of(generator, n_seeds, M, tails=tails, unlike=unlike)
        found.append(mean_over_columns(spearman, truth[0], truth[1:].mean(0), whole_table(N, M)).values.mean())
    return float(torch.stack(found).mean())
