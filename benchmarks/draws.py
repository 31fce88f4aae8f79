"""How often two sets of draws of one estimator differ clearly; nominally in at most 5% of pairs.

    python benchmarks/draws.py [PLAN] [-e ESTIMATOR]... [--sets 10] [--repeats 4] [-o FILE]

Every estimator of influbench that draws at random runs sets x repeats times on the plan's problems. Each set of repeats
is what a run shows of the estimator. All pairs of sets of one estimator are compared as a report compares estimators.
"""

import json
import sys
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean, stdev
from tempfile import TemporaryDirectory

import click
from torch import Tensor

from influbench.engine import run
from influbench.engine.written import has_derived_scores, held_scores, read_yardstick
from influbench.plan import Plan, read_plan
from influbench.registry import installed
from influbench.resources import Resources
from influbench.results import ColumnRecord, Statistic
from influbench.statistics.differences import differences
from influbench.statistics.yardsticks import Yardstick
from influbench.store.files import write_bytes
from influbench.store.run_directory import environment, read_result, read_scores, read_yardsticks


@dataclass(frozen=True)
class Found:
    """The sets of draws of one estimator in one column."""

    problem: str
    column: str
    estimator: str
    n_pairs: int
    n_clear: int
    mean: float
    sd_over_sets: float
    half_width: float | None  # mean over sets of half the width of the interval


def drawing() -> tuple[str, ...]:
    """Influbench's own estimators that draw at random, with their defaults."""
    known = installed()
    own = [one.spec.name for one in known.entries if one.kind == "estimator" and one.distribution.name == "influbench"]
    return tuple(name for name in own if name != "from_file" and known.load("estimator", name).draws)


def clear_pairs(directory: Path, repeats: int) -> Iterator[Found]:
    """Each estimator of a run in each column, its repeats divided into sets of this many."""
    for result in read_result(directory).results:
        stored = read_yardsticks(directory, result.problem.name)
        for cell in result.cells:
            if not cell.scores:
                continue
            scores = read_scores(directory, cell.scores)
            for column in result.columns:
                yardstick = read_yardstick(stored, column.key)
                if yardstick is None or yardstick.paired:
                    continue  # its truth has no value, or is another one for each draw
                derived = has_derived_scores(stored, column.key)
                held = held_scores(scores, column.key, column.quantity, yardstick, derived=derived)
                sets = [held[start : start + repeats] for start in range(0, len(held), repeats)]
                yield from _found(result.problem.name, column, cell.name, yardstick, sets)


def _found(
    problem: str, column: ColumnRecord, estimator: str, yardstick: Yardstick, sets: Sequence[Sequence[Tensor]]
) -> Iterator[Found]:
    """The pairs of sets; nothing where fewer than two have a value."""
    agreements = {f"{number}": yardstick.agreement(some, draws=True).value for number, some in enumerate(sets)}
    known = {name: one for name, one in agreements.items() if one is not None}
    if len(known) < 2:
        return
    pairs, values = differences(known), [one.value for one in known.values()]
    widths = [_half_width(yardstick.measurement.interval(one)) for one in known.values()]
    yield Found(
        problem=problem,
        column=column.key,
        estimator=estimator,
        n_pairs=len(pairs),
        n_clear=sum(pair.is_clear for pair in pairs),
        mean=fmean(values),
        sd_over_sets=stdev(values),
        half_width=fmean(width for width in widths if width is not None) if any(widths) else None,
    )


def _half_width(interval: Statistic) -> float | None:
    return None if interval.low is None or interval.high is None else (interval.high - interval.low) / 2


def of_plan(plan: Plan, *, sets: int, repeats: int, resources: Resources | None = None) -> list[Found]:
    """The findings on all problems of a plan; its estimators are run here, and only the findings are kept."""
    with TemporaryDirectory() as folder:
        directory = Path(folder) / "run"
        for _ in run(plan.changed(repeats=sets * repeats), directory=directory, resources=resources):
            pass
        return list(clear_pairs(directory, repeats))


@click.command()
@click.argument("plan", default="digits")
@click.option("-e", "--estimator", "estimators", multiple=True, help="Only these; default: all that draw.")
@click.option("--sets", type=click.IntRange(min=2), default=10, show_default=True, help="Sets of draws.")
@click.option("--repeats", type=click.IntRange(min=1), default=4, show_default=True, help="Draws in each set.")
@click.option("-o", "output", type=click.Path(dir_okay=False, path_type=Path), help="Write the JSON to this file.")
def draws(plan: str, estimators: tuple[str, ...], sets: int, repeats: int, output: Path | None) -> None:
    """Compare sets of draws of each estimator that draws at random, on the problems of PLAN."""
    chosen = read_plan(plan).changed(estimators=estimators or drawing())
    found = of_plan(chosen, sets=sets, repeats=repeats)
    for one in found:
        click.echo(f"{one.n_clear:3d} of {one.n_pairs}  sd {one.sd_over_sets:.4f}  {one.column}  {one.estimator}")
    if output:
        described = {**environment(), "command": " ".join(["python benchmarks/draws.py", *sys.argv[1:]])}
        settings = {"sets": sets, "repeats": repeats, "plan": tomllib.loads(chosen.to_toml())}
        record = {"environment": described, **settings, "found": [asdict(one) for one in found]}
        write_bytes(output, f"{json.dumps(record, indent=2)}\n".encode())


if __name__ == "__main__":
    draws()
