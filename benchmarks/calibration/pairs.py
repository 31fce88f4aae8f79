"""Differences of estimators, all pairs at once: few test points, test points that carry most, and duplicated points."""

from collections.abc import Callable, Iterator
from functools import partial
from math import sqrt

import torch
from torch import Generator, Tensor

from benchmarks.calibration.draws import expected_spearman, normal, two_way
from benchmarks.calibration.simulation import Case
from influbench.results import Statistic
from influbench.statistics.correlation import mean_over_columns, spearman, whole_table
from influbench.statistics.differences import differences
from influbench.statistics.estimation import Estimation

CORRELATIONS = (0.6, 0.6, 0.5, 0.3, 0.0, 0.0)  # of the scores of each estimator with the truth


def cases() -> Iterator[Case]:
    for n_estimators in (2, 6):
        for n_test in (5, 10, 20, 40):
            size = f"{n_estimators} estimators, {n_test} test points"
            for rows in (0.0, 1.0):
                noise = "rows and cells" if rows else "cells"
                simulate = partial(correlations, n=100, m=n_test, n_estimators=n_estimators, rows=rows)
                yield Case(f"pairs of {size}, noise of {noise}", simulate)
            yield Case(f"pairs of {size}, own effects", partial(own_effects, m=n_test, n_estimators=n_estimators))
            for name, weights in (("lognormal", lognormal), ("one has half", one_has_half)):
                simulate = partial(weighted, m=n_test, n_estimators=n_estimators, weights=weights)
                yield Case(f"pairs of {size}, {name}", simulate)
    for n_test in (20, 40):
        simulate = partial(correlations, n=50, m=n_test, n_estimators=6, rows=1.0, copies=2)
        yield Case(f"pairs of 6 estimators, {n_test} test points, each train point twice", simulate)


def correlations(
    generator: Generator, n: int, m: int, *, n_estimators: int, rows: float, copies: int = 1
) -> list[tuple[Statistic, float]]:
    """Differences of mean rank correlations; with `copies`, each train point is there more than once."""
    truth = two_way(generator, n, m, rows=rows, columns=1.0, cells=1.0)
    found: dict[str, Estimation] = {}
    for name, rho in _named(n_estimators).items():
        noise = two_way(generator, n, m, rows=rows, columns=1.0, cells=1.0)
        scores = rho * truth + sqrt(1 - rho**2) * noise
        table = whole_table(copies * n, m)
        mean = mean_over_columns(spearman, scores.repeat(copies, 1), truth.repeat(copies, 1), table).estimation
        if mean is not None:
            found[name] = mean
    return _intervals(found, {name: expected_spearman(rho, n) for name, rho in _named(n_estimators).items()})


def own_effects(generator: Generator, m: int, *, n_estimators: int) -> list[tuple[Statistic, float]]:
    """Differences of means over test points whose values are normal, with nothing in common: the hardest plain case."""
    return _mean_differences(normal(generator, m, n_estimators))


def weighted(
    generator: Generator, m: int, *, n_estimators: int, weights: Callable[[Generator, int], Tensor]
) -> list[tuple[Statistic, float]]:
    """Differences of means over test points whose values are normal, with a size for each test point."""
    return _mean_differences(weights(generator, m)[:, None] * normal(generator, m, n_estimators))


def lognormal(generator: Generator, m: int) -> Tensor:
    return normal(generator, m).exp()


def one_has_half(_: Generator, m: int) -> Tensor:
    """One test point as large as all others together."""
    return torch.ones(m, dtype=torch.float64).index_fill(0, torch.tensor(0), m - 1)


def _mean_differences(values: Tensor) -> list[tuple[Statistic, float]]:
    m = len(values)
    means = values.mean(0)
    found = {
        str(k): Estimation(float(mean), ((of - mean) / m)[:, None], n_rows=m, n_columns=None)
        for k, (of, mean) in enumerate(zip(values.T, means, strict=True))
    }
    return _intervals(found, dict.fromkeys(found, 0.0))


def _named(n_estimators: int) -> dict[str, float]:
    return dict(zip("abcdef", CORRELATIONS[:n_estimators], strict=False))


def _intervals(found: dict[str, Estimation], values: dict[str, float]) -> list[tuple[Statistic, float]]:
    return [(one.statistic, values[one.first] - values[one.second]) for one in differences(found)]
