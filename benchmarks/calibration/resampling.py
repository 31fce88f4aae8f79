"""Statistics of means over seeds and examples: a plain mean, and what the study of dynamics reads off curves."""

from collections.abc import Iterator
from functools import cache, partial
from math import sqrt

import torch
from torch import Generator, Tensor

from benchmarks.calibration.draws import normal
from benchmarks.calibration.simulation import Case
from influbench.results import Statistic
from influbench.statistics.learning_curves import HALF, initial_slope, overlap, time_of
from influbench.statistics.resampling import crossed, estimated, weights
from influbench.studies.dynamics.learning import Labels, Learning
from influbench.studies.dynamics.masked_networks import PointCurves
from influbench.studies.dynamics.study import Dynamics

RESAMPLES = 300
STEPS = tuple(round(240 * (k / 20) ** 2) for k in range(21))
EPOCH, CHANCE, TRUE_TIME, WIDTH, TAIL = 20, 0.1, 60.0, 12.0, 0.1
STATISTICS = ("overlap", "ratio of half-times", "ratio of slopes")
# of seeds, of examples and of cells, in the variance of the mean over this many of each
NOISE = {"seeds": (1, 0, 0), "examples": (0, 1, 0), "both": (1, 1, 0), "cells": (0, 0, 1), "both and cells": (1, 1, 1)}


def cases() -> Iterator[Case]:
    for n_seeds in (4, 8, 16, 32):
        for n in (30, 100, 300):
            for kind, noise in NOISE.items():
                name = f"resampled mean, noise of {kind}, {n_seeds} seeds, {n} examples"
                yield Case(name, partial(mean, n_seeds=n_seeds, n=n, noise=noise))
    for n_seeds in (4, 8, 16, 32):
        for n in (30, 100):
            for ratio in (1.0, 1.5):
                name = f", wrong {ratio:g} times as late, {n_seeds} seeds, {n} examples"
                yield Case(name, partial(curves, n_seeds=n_seeds, n=n, ratio=ratio), of=STATISTICS)


def mean(
    generator: Generator, n_seeds: int, n: int, *, noise: tuple[float, float, float]
) -> list[tuple[Statistic, float]]:
    """The mean of a table whose seeds, examples and cells each have a share in the variance of the mean."""
    of_seeds, of_examples, of_cells = (sqrt(share) for share in noise)
    values = of_seeds * sqrt(n_seeds) * normal(generator, n_seeds, 1, 1)
    values = values + of_examples * sqrt(n) * normal(generator, 1, 1, n)
    values = values + of_cells * sqrt(n_seeds * n) * normal(generator, n_seeds, 1, n)
    seed = int(torch.randint(2**31, (1,), generator=generator))
    resamples = crossed(
        weights(torch.arange(n_seeds), n_resamples=RESAMPLES, seed=seed),
        weights(torch.arange(n), n_resamples=RESAMPLES, seed=seed + 1),
    )
    found = estimated(resamples.means(values)[:, 0], n_seeds=n_seeds, n_examples=n)
    return [(found.interval(), 0.0)]


def curves(generator: Generator, n_seeds: int, n: int, *, ratio: float) -> list[tuple[Statistic, float]]:
    """The statistics of the claims about true and wrong labels, of points whose times of learning vary.

    Wrong labels are learned `ratio` times as late as true ones, up to the chance of each point and of each seed.
    """
    true = torch.arange(2 * n) < n
    labels = Labels(torch.arange(2 * n), true, ~true)
    of_points, of_seeds = normal(generator, 1, 1, 2 * n), normal(generator, n_seeds, 1, 1)
    noise = 0.02 * normal(generator, n_seeds, len(STEPS), 2 * n)
    seen = learned(torch.where(true, TRUE_TIME, ratio * TRUE_TIME), of_points, of_seeds) + noise
    course = PointCurves(STEPS, seen, torch.full_like(seen, CHANCE))
    settings = Dynamics(resamples=RESAMPLES, fewest=n, quantiles=2, tail=TAIL)
    seed = int(torch.randint(2**31, (1,), generator=generator))
    learning = Learning(course, labels, torch.zeros(2 * n), settings, seed=seed)
    found = [one.found.interval() for one in learning.questions("simulated", steps_per_epoch=EPOCH)]
    return list(zip(found, known(ratio), strict=True))


def learned(times: Tensor, of_points: Tensor, of_seeds: Tensor) -> Tensor:
    """Curves that rise around these times, which are lognormal over points and seeds."""
    at = torch.tensor(STEPS, dtype=torch.float64)[:, None]
    own = times * torch.exp(0.3 * of_points + 0.05 * of_seeds)
    return CHANCE + (1 - CHANCE) * ((at - own) / WIDTH).sigmoid()


@cache
def known(ratio: float) -> tuple[float, ...]:
    """The statistics of the expected curves, by the quantiles of the chance of points and of seeds."""
    shares = (torch.arange(2000, dtype=torch.float64) + 0.5) / 2000
    of_points = torch.special.ndtri(shares)
    of_seeds = torch.special.ndtri(shares[::40])[:, None, None]
    true, wrong = (
        learned(torch.tensor(time, dtype=torch.float64), of_points, of_seeds).mean((0, 2))
        for time in (TRUE_TIME, ratio * TRUE_TIME)
    )
    half_times = [float(time_of(STEPS, one, HALF)) for one in (wrong, true)]
    slopes = [float(initial_slope(STEPS, one, until=EPOCH)) for one in (wrong, true)]
    return (
        float(overlap(STEPS, true, wrong, tail=TAIL)),
        half_times[0] / half_times[1],
        slopes[0] / slopes[1],
    )
