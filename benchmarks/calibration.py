"""How often the 95% intervals contain the known value, in simulations.

    python benchmarks/calibration.py [--only CASE]... [--simulations N] [--processes N] [-o FILE]

Every simulation draws train points, test points and, if they are random, seeds; computes the interval that a report
would show; and checks whether the known value is inside. Known values are exact or, without a formula, the mean
over large simulations. `coverage` should be .95; `error_of_coverage` is the standard error of the simulation itself.
"""

import json
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import cache, partial
from math import asin, pi, sqrt
from pathlib import Path
from statistics import median, stdev

import click
import torch
from scipy import stats
from torch import Generator, Tensor

from influbench.results import UNKNOWN, Statistic
from influbench.seeds import derive
from influbench.statistics.correlation import mean_over_columns, spearman, whole_table, within_classes
from influbench.statistics.differences import differences
from influbench.statistics.ranks import standard_ranks
from influbench.statistics.reliability import reliability
from influbench.statistics.yardsticks import correlations, statistic
from influbench.store.files import write_bytes
from influbench.store.run_directory import environment

CHUNK = 50  # simulations that one process does at a time
RESAMPLES = 200  # of the bootstrap
TRUST = ("reliability", "ceiling", "share of ceiling")
NOISE = {
    "cells": {"cells": 1.0},
    "rows": {"rows": 4.0},
    "columns": {"columns": 4.0},
    "rows, columns, cells": {"rows": 1.0, "columns": 1.0},
}


@dataclass(frozen=True)
class Case:
    """A way of drawing tables, and the statistics that are estimated from them.

    `simulate` returns intervals with the values that they should contain. All of them must contain their value at once,
    unless `of` names each of them as a separate result.
    """

    name: str
    simulate: Callable[[Generator], list[tuple[Statistic, float]]]
    of: tuple[str, ...] = ()


@dataclass(frozen=True)
class Outcome:
    """The results of a case. `width` is the median width of its intervals."""

    name: str
    simulations: int
    undefined: int
    coverage: float
    error_of_coverage: float
    width: float
    mean_error: float  # of the value minus the known value


def normal(generator: Generator, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def two_way(generator: Generator, n: int, m: int, *, rows: float, columns: float, cells: float) -> Tensor:
    """Noise of rows, columns and cells, with these variances."""
    parts = ((rows, (n, 1)), (columns, (1, m)), (cells, (n, m)))
    return sum((sqrt(variance) * normal(generator, *shape) for variance, shape in parts), torch.zeros(n, m).double())


def expected_spearman(rho: float, n: int) -> float:
    """The expected rank correlation of n pairs of normals with correlation rho (Moran 1948); it grows with n."""
    return 6 / (pi * (n + 1)) * (asin(rho) + (n - 2) * asin(rho / 2))


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
    for n_seeds in (4, 8):
        for tails in (0.0, 0.5):
            name = f", {n_seeds} seeds, {'heavy' if tails else 'normal'} tails, 100 x 40"
            simulate = partial(trust, n=100, m=40, n_seeds=n_seeds, tails=tails)
            yield Case(name, simulate, of=TRUST)
    yield Case("reliability of noise alone, 8 seeds, 100 x 40", partial(noise_alone, n=100, m=40, n_seeds=8))
    yield Case("all pairs of six, noise of cells, 60 x 40", partial(all_pairs, n=60, m=40, rows=0.0))
    yield Case("all pairs of six, noise of rows, 100 x 40", partial(all_pairs, n=100, m=40, rows=1.0))


def simulated(case: Case, first: int, n: int) -> list[list[tuple[Statistic, float]]]:
    """Intervals and known values of some simulations of a case; each simulation has its own seed."""
    torch.set_num_threads(1)
    return [
        case.simulate(Generator().manual_seed(derive(0, "calibration", case.name, number)))
        for number in range(first, first + n)
    ]


def outcomes(case: Case, found: list[list[tuple[Statistic, float]]]) -> list[Outcome]:
    if not case.of:
        return [outcome(case.name, found)]
    return [outcome(f"{of}{case.name}", [[one[place]] for one in found]) for place, of in enumerate(case.of)]


def outcome(name: str, found: list[list[tuple[Statistic, float]]]) -> Outcome:
    defined = [one for one in found if all(found.low is not None for found, _ in one)]
    holds = [all(_holds(interval, known) for interval, known in one) for one in defined]
    widths = [(interval.high or 0) - (interval.low or 0) for one in defined for interval, _ in one]
    errors = [(interval.value or 0) - known for one in defined for interval, known in one]
    coverage = sum(holds) / len(holds)
    return Outcome(
        name,
        simulations=len(found),
        undefined=len(found) - len(defined),
        coverage=coverage,
        error_of_coverage=sqrt(coverage * (1 - coverage) / len(holds)),
        width=median(widths),
        mean_error=sum(errors) / len(errors),
    )


def _holds(interval: Statistic, known: float) -> bool:
    return interval.low is not None and interval.high is not None and interval.low <= known <= interval.high


@click.command()
@click.option("--only", multiple=True, help="Simulate only the cases whose name contains this.")
@click.option("--simulations", type=click.IntRange(min=2), default=2000, show_default=True, help="Of each case.")
@click.option("--processes", type=click.IntRange(min=1), default=2, show_default=True, help="With one thread each.")
@click.option("-o", "output", type=click.Path(dir_okay=False, path_type=Path), help="Write the JSON to this file.")
def calibration(only: tuple[str, ...], simulations: int, processes: int, output: Path | None) -> None:
    """Simulate how often the intervals contain the known value."""
    all_outcomes: list[Outcome] = []
    with ProcessPoolExecutor(processes) as pool:
        for case in cases():
            if only and not any(part in case.name for part in only):
                continue
            starts = range(0, simulations, CHUNK)
            sizes = [min(CHUNK, simulations - start) for start in starts]
            parts = pool.map(simulated, [case] * len(starts), starts, sizes)
            for one in outcomes(case, [one for part in parts for one in part]):
                all_outcomes.append(one)
                click.echo(f"{one.coverage:.3f}  width {one.width:.3f}  error {one.mean_error:+.3f}  {one.name}")
    if output:
        described = {**environment(), "command": " ".join(["python benchmarks/calibration.py", *sys.argv[1:]])}
        text = json.dumps({"environment": described, "cases": [asdict(one) for one in all_outcomes]}, indent=2)
        write_bytes(output, f"{text}\n".encode())


if __name__ == "__main__":
    calibration()
