"""Captured effect, and agreement and ceiling with test points weighted by signal.

Effects have heavy tails, and each seed has noise that grows with the effect. Test points differ in size by a lognormal
factor: with a standard deviation of 1.5, a tenth of them hold nine tenths of the squared effects.
"""

from collections.abc import Iterator
from functools import cache, partial
from math import sqrt

import torch
from torch import Generator, Tensor

from benchmarks.calibration.draws import normal
from benchmarks.calibration.simulation import Case
from influbench.results import UNKNOWN, Statistic
from influbench.seeds import derive
from influbench.statistics.captured import captured, known_largest, n_highest
from influbench.statistics.correlation import spearman, whole_table
from influbench.statistics.differences import differences
from influbench.statistics.yardsticks import TOP_SHARE, correlations

OF = ("captured effect", "agreement by signal", "ceiling by signal", "share of the ceiling by signal")
KNOWN_DRAWS = 300  # tables that a known value is the mean over
QUALITY = {"a": 0.5, "b": 0.5, "c": 1.0, "d": 4.0}  # noise of the scores of four estimators


def cases() -> Iterator[Case]:
    for n, m in ((60, 20), (100, 40)):
        for n_seeds in (3, 4, 8):
            for spread in (0.0, 1.0, 1.5):
                name = f", {n_seeds} seeds, test points lognormal({spread:g}), {n} x {m}"
                yield Case(name, partial(judged, n=n, m=m, n_seeds=n_seeds, spread=spread), of=OF)
    for n_seeds in (3, 4, 8):
        yield Case(f", {n_seeds} seeds, noise alone, 60 x 20", partial(of_noise, n=60, m=20, n_seeds=n_seeds), of=OF)
    for spread in (0.0, 1.0):
        name = f"pairs of four captured effects, test points lognormal({spread:g}), 100 x 40"
        yield Case(name, partial(pairs, n=100, m=40, n_seeds=8, spread=spread))


def drawn(generator: Generator, n_seeds: int, n: int, m: int, *, spread: float) -> tuple[Tensor, Tensor]:
    """The expected effect, and a truth with noise that grows with it."""
    of_points = torch.exp(spread * normal(generator, 1, m))
    size = of_points * torch.exp(0.5 * (normal(generator, n, 1) + normal(generator, n, m)))
    effect = size * (normal(generator, n, 1) + normal(generator, n, m))
    noise = normal(generator, n_seeds, n, m) * torch.exp(0.5 * normal(generator, n_seeds, n, m))
    return effect, effect + (0.5 * of_points + effect.abs()) * noise


def scored(generator: Generator, effect: Tensor, *, noise: float) -> Tensor:
    """Scores with noise in proportion to the size of each test point."""
    return effect + noise * effect.square().mean(0).sqrt() * normal(generator, *effect.shape)


def judged(generator: Generator, n: int, m: int, *, n_seeds: int, spread: float) -> list[tuple[Statistic, float]]:
    """One estimator's captured effect, weighted agreement and share of the ceiling, and the ceiling."""
    effect, truth = drawn(generator, n_seeds, n, m, spread=spread)
    return list(zip(_found(scored(generator, effect, noise=1.0), truth), known(n, n_seeds, spread), strict=True))


def of_noise(generator: Generator, n: int, m: int, *, n_seeds: int) -> list[tuple[Statistic, float]]:
    """The same for a truth that is only noise: nothing should be printed, and 0 is right for all that is."""
    effect, truth = drawn(generator, n_seeds, n, m, spread=1.0)
    return [(found, 0.0) for found in _found(normal(generator, n, m), truth - effect)]


def pairs(generator: Generator, n: int, m: int, *, n_seeds: int, spread: float) -> list[tuple[Statistic, float]]:
    """All differences between the captured effects of four estimators, at once."""
    effect, truth = drawn(generator, n_seeds, n, m, spread=spread)
    yardstick = correlations(truth, statistic="captured")
    found = {}
    for name, noise in QUALITY.items():
        value = yardstick.agreement([scored(generator, effect, noise=noise)]).value
        if value is None:
            return [(UNKNOWN, 0.0)]
        found[name] = value
    values = {name: known_captured(n, spread, noise) for name, noise in QUALITY.items()}
    return [(one.statistic, values[one.first] - values[one.second]) for one in differences(found)]


@cache
def known(n: int, n_seeds: int, spread: float) -> tuple[float, float, float, float]:
    """The known values, with sums over many tables in the place of each mean."""
    generator = Generator().manual_seed(derive(0, "calibration", "by signal", n, n_seeds, str(spread)))
    weight = agreement = between = 0.0
    for _ in range(KNOWN_DRAWS):
        effect, both = drawn(generator, 2 * n_seeds, n, 40, spread=spread)
        first, second = both[:n_seeds].mean(0), both[n_seeds:].mean(0)
        weights = effect.square().sum(0)
        weight += float(weights.sum())
        agreement += float((weights * spearman(scored(generator, effect, noise=1.0), first).values).sum())
        between += float((weights * spearman(first, second).values).sum())
    ceiling = sqrt(between / weight)
    return known_captured(n, spread, 1.0), agreement / weight, ceiling, agreement / weight / ceiling


@cache
def known_captured(n: int, spread: float, noise: float) -> float:
    generator = Generator().manual_seed(derive(0, "calibration", "captured", n, str(spread), str(noise)))
    k, got, possible = n_highest(TOP_SHARE, n), 0.0, 0.0
    for _ in range(KNOWN_DRAWS):
        effect, _ = drawn(generator, 1, n, 100, spread=spread)
        most = known_largest(effect, k)
        found = captured(scored(generator, effect, noise=noise), effect[None], most)
        possible += float(most.cells.sum())
        got += 0.0 if found is None else found.value * float(most.cells.sum())
    return got / possible


def _found(scores: Tensor, truth: Tensor) -> list[Statistic]:
    of_captured = correlations(truth, statistic="captured")
    by_signal = correlations(truth, whole_table(*scores.shape), statistic="weighted_spearman")
    agreement = by_signal.agreement([scores])
    return [
        of_captured.measurement.interval(of_captured.agreement([scores]).value),
        by_signal.measurement.interval(agreement.value),
        by_signal.reliability.ceiling_interval(),
        agreement.of_ceiling,
    ]
