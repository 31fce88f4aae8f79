"""Agreement of scores with a truth: the mean rank correlation over test points, and all differences at once."""

from collections.abc import Iterator
from functools import partial
from math import sqrt
from statistics import stdev

import torch
from scipy import stats
from torch import Generator

from benchmarks.calibration.draws import expected_spearman, normal, two_way
from benchmarks.calibration.simulation import Case
from influbench.results import Statistic
from influbench.statistics.correlation import mean_over_columns, spearman, whole_table, within_classes
from influbench.statistics.differences import differences
from influbench.statistics.ranks import standard_ranks
from influbench.statistics.yardsticks import statistic

RESAMPLES = 200  # of the bootstrap
NOISE = {
    "cells": {"cells": 1.0},
    "rows": {"rows": 4.0},
    "columns": {"columns": 4.0},
    "rows, columns, cells": {"rows": 1.0, "columns": 1.0},
}


def cases() -> Iterator[Case]:
    for n, m in ((30, 10), (60, 40), (100, 20), (300, 200)):
        for kind, noise in NOISE.items():
            yield Case(f"independent, noise of {kind}, {n} x {m}", partial(independent, n=n, m=m, **noise))
        yield Case(f"correlated .5, noise of cells, {n} x {m}", partial(correlated, n=n, m=m, rho=0.5))
        yield Case(f"correlated .5, noise of rows, {n} x {m}", partial(correlated, n=n, m=m, rho=0.5, rows=1.0))
        yield Case(f"correlated .3 on average, {n} x {m}", partial(varying, n=n, m=m, spread=0.5))
    for kind, noise in NOISE.items():
        yield Case(f"two-way bootstrap, noise of {kind}, 60 x 40", partial(bootstrapped, n=60, m=40, **noise))
    yield Case("independent, within 10 classes, 300 x 200", partial(independent, n=300, m=200, classes=10))
    for rho in (0.0, 0.5, 0.9):
        yield Case(f"memorization, correlated {rho:g}, 200", partial(correlated, n=200, m=1, rho=rho))
    yield Case("all pairs of six, noise of cells, 60 x 40", partial(all_pairs, n=60, m=40, rows=0.0))
    yield Case("all pairs of six, noise of rows, 100 x 40", partial(all_pairs, n=100, m=40, rows=1.0))


def independent(
    generator: Generator,
    n: int,
    m: int,
    *,
    rows: float = 0.0,
    columns: float = 0.0,
    cells: float = 1.0,
    classes: int = 1,
) -> list[tuple[Statistic, float]]:
    """Two independent tables."""
    x, y = (two_way(generator, n, m, rows=rows, columns=columns, cells=cells) for _ in range(2))
    blocks = within_classes(torch.arange(n) % classes, torch.arange(m) % classes)
    return [(statistic(mean_over_columns(spearman, x, y, blocks).estimation), 0.0)]


def bootstrapped(
    generator: Generator, n: int, m: int, *, rows: float = 0.0, columns: float = 0.0, cells: float = 1.0
) -> list[tuple[Statistic, float]]:
    """Two independent tables, with the interval of a plain two-way bootstrap that redraws rows and columns.

    It is the comparison for `independent`; a report never shows it.
    """
    x, y = (two_way(generator, n, m, rows=rows, columns=columns, cells=cells) for _ in range(2))
    drawn = []
    for _ in range(RESAMPLES):
        of_rows, of_columns = (torch.randint(size, (size,), generator=generator) for size in (n, m))
        resampled = (standard_ranks(table[of_rows][:, of_columns]) for table in (x, y))
        drawn.append(float(torch.stack(list(resampled)).prod(0).sum(0).nanmean()))
    value = float((standard_ranks(x) * standard_ranks(y)).sum(0).mean())
    half = float(stats.norm.ppf(0.975)) * stdev(drawn)
    return [(Statistic(value=value, low=value - half, high=value + half), 0.0)]


def correlated(generator: Generator, n: int, m: int, *, rho: float, rows: float = 0.0) -> list[tuple[Statistic, float]]:
    """Two tables whose rows and cells have the correlation rho."""
    x, noise = (two_way(generator, n, m, rows=rows, columns=1.0, cells=1.0) for _ in range(2))
    found = mean_over_columns(spearman, x, rho * x + sqrt(1 - rho**2) * noise, whole_table(n, m)).estimation
    return [(statistic(found), expected_spearman(rho, n))]


def varying(generator: Generator, n: int, m: int, *, spread: float) -> list[tuple[Statistic, float]]:
    """Two tables in which each column has its own correlation, uniform within +-spread of .3."""
    rho = 0.3 + spread * (2 * torch.rand(1, m, generator=generator, dtype=torch.float64) - 1)
    x, noise = normal(generator, n, m), normal(generator, n, m)
    found = mean_over_columns(spearman, x, rho * x + (1 - rho.square()).sqrt() * noise, whole_table(n, m)).estimation
    grid = [0.3 + spread * (2 * (i + 0.5) / 200 - 1) for i in range(200)]
    return [(statistic(found), sum(expected_spearman(one, n) for one in grid) / len(grid))]


def all_pairs(generator: Generator, n: int, m: int, *, rows: float) -> list[tuple[Statistic, float]]:
    """All differences between six estimators of different quality, at once."""
    truth = two_way(generator, n, m, rows=rows, columns=1.0, cells=1.0)
    rhos = {"a": 0.6, "b": 0.6, "c": 0.5, "d": 0.3, "e": 0.0, "f": 0.0}
    found = {}
    for name, rho in rhos.items():
        noise = two_way(generator, n, m, rows=rows, columns=1.0, cells=1.0)
        scores = rho * truth + sqrt(1 - rho**2) * noise
        found[name] = mean_over_columns(spearman, scores, truth, whole_table(n, m)).estimation
    known = {name: one for name, one in found.items() if one is not None}
    values = {name: expected_spearman(rho, n) for name, rho in rhos.items()}
    return [(one.statistic, values[one.first] - values[one.second]) for one in differences(known)]
