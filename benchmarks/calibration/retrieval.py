"""Shares: areas under the ROC curve (AUROC) and their differences, overlaps of the top k, and agreements in sign."""

from collections.abc import Iterator
from functools import cache, partial
from math import sqrt

import torch
from torch import Generator, Tensor

from benchmarks.calibration.draws import normal, two_way
from benchmarks.calibration.simulation import Case
from influbench.results import UNKNOWN, Statistic
from influbench.seeds import derive
from influbench.statistics.correlation import mean_over_columns, whole_table
from influbench.statistics.differences import differences
from influbench.statistics.estimation import Estimation
from influbench.statistics.retrieval import overlap, overlap_interval, sign_agreement
from influbench.statistics.yardsticks import flags

SIZES = ((30, 300), (10, 100), (20, 50))  # positives of all
AREAS = (0.6, 0.8, 0.961, 0.993)
STEP = 0.5  # of scores with ties


def cases() -> Iterator[Case]:
    for n_positive, n in SIZES:
        size = f"{n_positive} of {n}"
        for area in AREAS:
            for step in (0.0, STEP):
                simulate = partial(areas, n_positive=n_positive, n=n, expected=area, step=step)
                yield Case(f"AUROC {area:g}, {size}{', with ties' if step else ''}", simulate)
        for share in (0.05, 0.2):
            simulate = partial(mixture, n_positive=n_positive, n=n, share=share)
            yield Case(f"AUROC, {share:.0%} of positives like negatives, {size}", simulate)
        for first, second in ((0.8, 0.7), (0.961, 0.9), (0.993, 0.9), (0.993, 0.993)):
            simulate = partial(difference, n_positive=n_positive, n=n, expected=(first, second))
            yield Case(f"AUROC {first:g} minus AUROC {second:g}, {size}", simulate)
    for n in (100, 300):
        yield Case(f"AUROC 0.961, about 10 of {n}", partial(random_number, n=n, expected=0.961))
    for n, m in ((100, 1), (300, 1), (100, 10), (100, 40)):
        for rho in (0.0, 0.8, 0.99):
            yield Case(f"top 5%, correlated {rho:g}, {n} x {m}", partial(top, n=n, m=m, rho=rho))
    for m, per_column in ((1, 15), (10, 2), (10, 15), (40, 15)):
        for expected in (0.6, 0.9, 0.99):
            simulate = partial(signs, m=m, per_column=per_column, expected=expected)
            yield Case(f"signs {expected:g}, {per_column} clear of 100, {m} test points", simulate)


def areas(
    generator: Generator, n_positive: int, n: int, *, expected: float, step: float = 0.0
) -> list[tuple[Statistic, float]]:
    """The AUROC of normal scores, rounded to multiples of a step."""
    scores = normal(generator, n)
    scores[:n_positive] += _distance(expected)
    known = _area_of_steps(expected, step) if step else expected
    return [(_interval(_found(rounded(scores, step), n_positive)), known)]


def random_number(generator: Generator, n: int, *, expected: float) -> list[tuple[Statistic, float]]:
    """The AUROC of a random number of positives, often fewer than ten, with which it has no value."""
    n_positive = int((torch.rand(n, generator=generator) < 10 / n).sum())
    return areas(generator, n_positive, n, expected=expected)


def mixture(generator: Generator, n_positive: int, n: int, *, share: float) -> list[tuple[Statistic, float]]:
    """The AUROC where some positives cannot be found and the others are far from negatives."""
    scores, distance = normal(generator, n), 4.0
    found = torch.rand(n_positive, generator=generator) >= share
    scores[:n_positive] += distance * found
    return [(_interval(_found(scores, n_positive)), share / 2 + (1 - share) * _normal_cdf(distance / sqrt(2)))]


def difference(
    generator: Generator, n_positive: int, n: int, *, expected: tuple[float, float]
) -> list[tuple[Statistic, float]]:
    """The difference of two AUROCs whose scores are correlated by a half."""
    common = normal(generator, n)
    found: dict[str, Estimation] = {}
    for name, area in zip("ab", expected, strict=True):
        scores = (common + normal(generator, n)) / sqrt(2)
        scores[:n_positive] += _distance(area)
        estimation = _found(scores, n_positive)
        if estimation is not None:
            found[name] = estimation
    (one,) = differences(found)
    sign = 1 if one.first == "a" else -1
    return [(one.statistic, sign * (expected[0] - expected[1]))]


def top(generator: Generator, n: int, m: int, *, rho: float) -> list[tuple[Statistic, float]]:
    """The overlap of the top 5% of two tables, with the correlation rho in rows and in cells."""
    found = mean_over_columns(overlap(n // 20), *_two_tables(generator, n, m, rho), whole_table(n, m)).estimation
    return [(UNKNOWN if found is None else overlap_interval(found, 1 / 20), expected_overlap(n, rho))]


def signs(generator: Generator, m: int, *, per_column: int, expected: float) -> list[tuple[Statistic, float]]:
    """The share of signs that agree, where half of the chance is common to all test points of a train point."""
    n = 100
    clear = torch.rand(n, m, generator=generator).argsort(0) < per_column
    latent = (normal(generator, n, 1) + normal(generator, n, m)) / sqrt(2)
    bound = float(torch.special.ndtri(torch.tensor(expected, dtype=torch.float64)))
    found = sign_agreement((latent < bound).double() * 2 - 1, torch.ones(n, m), clear)
    return [(_interval(found), expected)]


def _two_tables(generator: Generator, n: int, m: int, rho: float) -> tuple[Tensor, Tensor]:
    x, noise = (two_way(generator, n, m, rows=1.0, columns=1.0, cells=1.0) for _ in range(2))
    return x, rho * x + sqrt(1 - rho**2) * noise


@cache
def expected_overlap(n: int, rho: float) -> float:
    """The overlap of the top 5%, the mean over 20,000 columns."""
    generator = Generator().manual_seed(derive(0, "calibration", "known overlap", n, str(rho)))
    x, noise = normal(generator, n, 20_000), normal(generator, n, 20_000)
    return float(overlap(n // 20)(x, rho * x + sqrt(1 - rho**2) * noise).values.mean())


def rounded(scores: Tensor, step: float) -> Tensor:
    """Scores rounded to multiples of the step; 0 leaves them unchanged."""
    return (scores / step).round() * step if step else scores


def _found(scores: Tensor, n_positive: int) -> Estimation | None:
    yardstick = flags(torch.arange(len(scores)) < n_positive)
    return yardstick.agreement([yardstick.held(scores)]).value


def _interval(found: Estimation | None) -> Statistic:
    return UNKNOWN if found is None else found.share_interval()


def _distance(area: float) -> float:
    """The distance of two normal distributions of variance 1 with this area under the ROC curve."""
    return sqrt(2) * float(torch.special.ndtri(torch.tensor(area, dtype=torch.float64)))


def _normal_cdf(value: float) -> float:
    return float(torch.special.ndtr(torch.tensor(value, dtype=torch.float64)))


@cache
def _area_of_steps(area: float, step: float) -> float:
    """The area of normal scores that are rounded to multiples of the step, by summing over the multiples."""
    edges = (torch.arange(-60, 61, dtype=torch.float64) - 0.5) * step
    of_negatives = torch.special.ndtr(edges).diff()
    of_positives = torch.special.ndtr(edges - _distance(area)).diff()
    return float((of_positives * (of_negatives.cumsum(0) - of_negatives / 2)).sum())
