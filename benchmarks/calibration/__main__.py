"""How often the 95% intervals contain the known value, in simulations.

    python -m benchmarks.calibration [--topic FILE]... [--only CASE]... [--simulations N] [--processes N] [-o FILE]

Every simulation draws train points, test points and, if they are random, seeds; computes the interval that a report
would show; and checks whether the known value is inside. Known values are exact or, without a formula, the mean
over large simulations. `coverage` should be .95; `error_of_coverage` is the standard error of the simulation itself.
"""

import json
import sys
from collections.abc import Collection, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from pathlib import Path

import click

from benchmarks.calibration import (
    agreement,
    captured,
    draws_of_estimators,
    groups,
    one_seed,
    over_problems,
    pairs,
    resampling,
    retrieval,
    trust,
)
from benchmarks.calibration.simulation import Case, Outcome, outcomes, simulated
from influbench.store.files import write_bytes
from influbench.store.run_directory import environment

CHUNK = 50  # simulations that one process does at a time
TOPICS = (
    agreement,
    captured,
    pairs,
    retrieval,
    draws_of_estimators,
    one_seed,
    over_problems,
    trust,
    resampling,
    groups,
)


def every_case(topics: Collection[str] = ()) -> Iterator[Case]:
    """The cases of all topics, or of the named ones."""
    for topic in TOPICS:
        if not topics or topic.__name__.rpartition(".")[2] in topics:
            yield from topic.cases()


@click.command()
@click.option(
    "--topic",
    "topics",
    multiple=True,
    type=click.Choice([topic.__name__.rpartition(".")[2] for topic in TOPICS]),
    help="Simulate only the cases of this file.",
)
@click.option("--only", multiple=True, help="Simulate only the cases whose name contains this.")
@click.option("--simulations", type=click.IntRange(min=2), default=2000, show_default=True, help="Of each case.")
@click.option("--processes", type=click.IntRange(min=1), default=2, show_default=True, help="With one thread each.")
@click.option("-o", "output", type=click.Path(dir_okay=False, path_type=Path), help="Write the JSON to this file.")
def calibration(
    topics: tuple[str, ...], only: tuple[str, ...], simulations: int, processes: int, output: Path | None
) -> None:
    """Simulate how often the intervals contain the known value."""
    all_outcomes: list[Outcome] = []
    with ProcessPoolExecutor(processes) as pool:
        for case in every_case(topics):
            if only and not any(part in case.name for part in only):
                continue
            starts = range(0, simulations, CHUNK)
            sizes = [min(CHUNK, simulations - start) for start in starts]
            parts = pool.map(simulated, [case] * len(starts), starts, sizes)
            for one in outcomes(case, [one for part in parts for one in part]):
                all_outcomes.append(one)
                click.echo(_line(one))
    if output:
        described = {**environment(), "command": " ".join(["python -m benchmarks.calibration", *sys.argv[1:]])}
        text = json.dumps({"environment": described, "cases": [asdict(one) for one in all_outcomes]}, indent=2)
        write_bytes(output, f"{text}\n".encode())


def _line(one: Outcome) -> str:
    without = f"  {one.undefined} undefined ({one.silent} without a value)" if one.undefined else ""
    if one.coverage is None:
        return f"  -  {one.name}{without}"
    return f"{one.coverage:.3f}  width {one.width:.3f}  error {one.mean_error:+.3f}  {one.name}{without}"


if __name__ == "__main__":
    calibration()
