"""Means over problems, and all their differences: on these problems, and elsewhere, on data sets drawn as these were.

Data sets have different sizes and different numbers of problems, which share the rows' part of their truths.
`between` is the standard deviation, between data sets, of an estimator's correlation.
"""

from collections.abc import Iterator, Sequence
from functools import cache, partial
from math import sqrt

from scipy import stats
from torch import Generator, Tensor, randint

from benchmarks.calibration.draws import expected_spearman, normal
from benchmarks.calibration.simulation import Case
from influbench.reading.over_problems import InCommon, OnProblem
from influbench.results import Statistic
from influbench.statistics.correlation import mean_over_columns, spearman, whole_table
from influbench.statistics.yardsticks import MEASUREMENTS

SIZES = ((30, 10), (60, 20), (100, 10))  # train points and test points of a data set
MOST_PROBLEMS = 3  # of a data set
DIFFERENT, EQUAL = (0.5, 0.45, 0.2, 0.0), (0.3,) * 5  # mean correlations of estimators
MEANS = ("mean elsewhere", "mean on these problems")


def cases() -> Iterator[Case]:
    for n_datasets in (4, 6, 12, 20):
        for between in (0.0, 0.05, 0.15):
            of = {"n_datasets": n_datasets, "between": between}
            name = f"{n_datasets} data sets, sd {between:g}"
            yield Case(f", {name}", partial(means, **of), of=MEANS)
            yield Case(f"all differences elsewhere, {name}", partial(differences_elsewhere, **of, rhos=DIFFERENT))
            yield Case(f"five equal estimators elsewhere, {name}", partial(differences_elsewhere, **of, rhos=EQUAL))


def means(generator: Generator, n_datasets: int, between: float) -> list[tuple[Statistic, float]]:
    """The mean of one estimator, for problems elsewhere and for these problems."""
    problems, correlations = drawn(generator, n_datasets, between, DIFFERENT[:1])
    known = [expected_spearman(of_problem[0], n) for of_problem, n in correlations]
    return [
        (problems.mean_elsewhere("0"), expected(DIFFERENT[0], between)),
        (problems.mean("0"), sum(known) / len(known)),
    ]


def differences_elsewhere(
    generator: Generator, n_datasets: int, between: float, rhos: Sequence[float]
) -> list[tuple[Statistic, float]]:
    """All differences for problems elsewhere, at once; among equal estimators, one that is clear is an error."""
    problems, _ = drawn(generator, n_datasets, between, rhos)
    known = {str(name): expected(rho, between) for name, rho in enumerate(rhos)}
    return [(one.statistic, known[one.first] - known[one.second]) for one in problems.differences_elsewhere]


def drawn(
    generator: Generator, n_datasets: int, between: float, rhos: Sequence[float]
) -> tuple[InCommon, list[tuple[list[float], int]]]:
    """Problems, and the estimators' correlations and the number of train points of each."""
    problems, correlations = [], []
    for dataset in range(n_datasets):
        n, m = SIZES[_integer(generator, len(SIZES))]
        of_dataset = [limited(rho + between * float(normal(generator, 1))) for rho in rhos]
        rows = normal(generator, n, 1)
        for _ in range(1 + _integer(generator, MOST_PROBLEMS)):
            truth = (rows + normal(generator, n, m)) / sqrt(2)
            problems.append(one_problem(generator, str(dataset), truth, of_dataset))
            correlations.append((of_dataset, n))
    return InCommon(MEASUREMENTS["spearman"], [str(name) for name in range(len(rhos))], problems), correlations


def one_problem(generator: Generator, dataset: str, truth: Tensor, rhos: Sequence[float]) -> OnProblem:
    """Estimators of these correlations on one problem."""
    estimations = {}
    for name, rho in enumerate(rhos):
        noise = (normal(generator, len(truth), 1) + normal(generator, *truth.shape)) / sqrt(2)
        scores = rho * truth + sqrt(1 - rho**2) * noise
        found = mean_over_columns(spearman, scores, truth, whole_table(*truth.shape)).estimation
        assert found is not None
        estimations[str(name)] = found
    return OnProblem(estimations, points=dataset, dataset=dataset, ceiling=None)


def limited(rho: float) -> float:
    """A correlation within [-.95, .95]."""
    return max(-0.95, min(0.95, rho))


@cache
def expected(rho: float, between: float) -> float:
    """The expected agreement on a problem of a new data set."""
    grid = [limited(rho + between * float(stats.norm.ppf((i + 0.5) / 1000))) for i in range(1000)]
    of_sizes = [sum(expected_spearman(one, n) for one in grid) / len(grid) for n, _ in SIZES]
    return sum(of_sizes) / len(of_sizes)


def _integer(generator: Generator, n: int) -> int:
    return int(randint(n, (), generator=generator))
