"""Cases of known values, and how often their intervals contain these."""

from collections.abc import Callable
from dataclasses import dataclass
from math import sqrt
from statistics import median

import torch
from torch import Generator

from influbench.results import Statistic
from influbench.seeds import derive


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
    """The results of a case; None if no simulation has an interval. `width` is the median width of the intervals."""

    name: str
    simulations: int
    undefined: int  # simulations without an interval
    silent: int  # those of them without a value, too
    coverage: float | None
    error_of_coverage: float | None
    width: float | None
    mean_error: float | None  # of the value minus the known value


def simulated(case: Case, first: int, n: int) -> list[list[tuple[Statistic, float]]]:
    """Intervals and known values of some simulations of a case, on one thread; each simulation has its own seed."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return [
            case.simulate(Generator().manual_seed(derive(0, "calibration", case.name, number)))
            for number in range(first, first + n)
        ]
    finally:
        torch.set_num_threads(threads)


def outcomes(case: Case, found: list[list[tuple[Statistic, float]]]) -> list[Outcome]:
    if not case.of:
        return [outcome(case.name, found)]
    return [outcome(f"{of}{case.name}", [[one[place]] for one in found]) for place, of in enumerate(case.of)]


def outcome(name: str, found: list[list[tuple[Statistic, float]]]) -> Outcome:
    defined = [one for one in found if all(found.low is not None for found, _ in one)]
    silent = sum(all(found.value is None for found, _ in one) for one in found)
    if not defined:
        return Outcome(name, len(found), len(found), silent, None, None, None, None)
    holds = [all(_holds(interval, known) for interval, known in one) for one in defined]
    widths = [(interval.high or 0) - (interval.low or 0) for one in defined for interval, _ in one]
    errors = [(interval.value or 0) - known for one in defined for interval, known in one]
    coverage = sum(holds) / len(holds)
    return Outcome(
        name,
        simulations=len(found),
        undefined=len(found) - len(defined),
        silent=silent,
        coverage=coverage,
        error_of_coverage=sqrt(coverage * (1 - coverage) / len(holds)),
        width=median(widths),
        mean_error=sum(errors) / len(errors),
    )


def _holds(interval: Statistic, known: float) -> bool:
    return interval.low is not None and interval.high is not None and interval.low <= known <= interval.high
