"""Estimators that draw at random: intervals and letters should hold for other draws of the same estimators."""

from collections.abc import Iterator
from functools import partial
from math import sqrt

from scipy import stats
from torch import Generator, Tensor

from benchmarks.calibration.draws import expected_spearman, normal, two_way
from benchmarks.calibration.simulation import Case
from influbench.results import Statistic
from influbench.statistics.differences import differences
from influbench.statistics.estimation import Estimation
from influbench.statistics.yardsticks import correlations, statistic

RHO, MOST = 0.5, 0.95
VARIATION = {
    "cells": {},  # each draw has its own noise in every cell
    "rows": {"rows": 1.0},  # and in every row
    "quality, by .03": {"spread": 0.03},  # and draws differ in their correlation with the truth
    "quality, by .1": {"spread": 0.1},
}
N_ESTIMATORS = 6


def cases() -> Iterator[Case]:
    for n_repeats in (2, 3, 4, 8):  # a report shows no letters for fewer than four
        for kind, variation in VARIATION.items():
            simulate = partial(expected_agreement, n=60, m=40, n_repeats=n_repeats, **variation)
            yield Case(f"{n_repeats} draws that differ in {kind}, 60 x 40", simulate)
        simulate = partial(expected_agreement, n=60, m=40, n_repeats=n_repeats, rho=0.0)
        yield Case(f"{n_repeats} draws of noise alone, 60 x 40", simulate)
        for kind, variation in VARIATION.items():
            simulate = partial(same_estimator, n=60, m=40, n_repeats=n_repeats, **variation)
            yield Case(f"pairs of one estimator, {n_repeats} draws that differ in {kind}, 60 x 40", simulate)


def drawn(
    generator: Generator, truth: Tensor, n_repeats: int, *, rho: float, rows: float = 0.0, spread: float = 0.0
) -> Estimation:
    """The agreement of several draws with the truth, whose correlations are normal around `rho`, at most .95."""
    repeats = []
    for _ in range(n_repeats):
        of_draw = min(rho + spread * float(normal(generator, 1)), MOST)
        noise = two_way(generator, *truth.shape, rows=rows, columns=0.0, cells=1.0) / sqrt(1 + rows)
        repeats.append(of_draw * truth + sqrt(1 - of_draw**2) * noise)
    found = correlations(truth[None]).agreement(repeats).value
    assert found is not None
    return found


def expected(rho: float, spread: float, n: int) -> float:
    """The mean agreement over draws."""
    grid = [min(rho + spread * float(stats.norm.ppf((i + 0.5) / 200)), MOST) for i in range(200)]
    return sum(expected_spearman(one, n) for one in grid) / len(grid)


def expected_agreement(
    generator: Generator, n: int, m: int, *, n_repeats: int, rho: float = RHO, rows: float = 0.0, spread: float = 0.0
) -> list[tuple[Statistic, float]]:
    """The agreement of an estimator, with its expectation over draws and points."""
    found = drawn(generator, normal(generator, n, m), n_repeats, rho=rho, rows=rows, spread=spread)
    return [(statistic(found), expected(rho, spread, n))]


def same_estimator(
    generator: Generator, n: int, m: int, *, n_repeats: int, rows: float = 0.0, spread: float = 0.0
) -> list[tuple[Statistic, float]]:
    """All differences between estimators that are one estimator, each with draws of its own."""
    truth = normal(generator, n, m)
    found = {
        f"{number}": drawn(generator, truth, n_repeats, rho=RHO, rows=rows, spread=spread)
        for number in range(N_ESTIMATORS)
    }
    return [(one.statistic, 0.0) for one in differences(found)]
