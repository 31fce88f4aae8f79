"""Shares: the area under the ROC curve (AUROC), its differences, the overlap of the top k, and the agreement in sign."""

from collections.abc import Iterator
from functools import cache, partial
from math import sqrt

import torch
from torch import Generator, Tensor

from benchmarks.calibration.draws import normal
from benchmarks.calibration.simulation import Case
from influbench.results import UNKNOWN, Statistic
from influbench.statistics.differences import differences
from influbench.statistics.estimation import Estimation
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
