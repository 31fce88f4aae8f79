"""`influbench study`."""

from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from influbench.results import Record


@click.group("study")
def study_command() -> None:
    """Ask what a table of agreements does not answer."""


@study_command.command("decomposition")
@click.argument("plan", default="digits")
@click.option(
    "-e",
    "--estimator",
    "estimators",
    multiple=True,
    metavar="turn_over_dropout[PARAMETER=VALUE]",
    help="Take this one apart; repeatable. Default: 8 masks, sealed and not.",
)
@click.option("--seeds", type=click.IntRange(min=1), help="Seeds of the ground truth.")
@click.option("-o", "output", type=click.Path(dir_okay=False, path_type=Path), help="Write the JSON to this file too.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object.")
def decomposition_command(
    plan: str, estimators: tuple[str, ...], seeds: int | None, output: Path | None, as_json: bool
) -> None:
    """Take turn-over dropout's scores apart into signal, mask noise and leakage, on the problems of PLAN.

    Each mask's network is trained once more for each train point, without it.
    """
    from influbench.plan import read_plan
    from influbench.report.console import Console
    from influbench.report.decomposition import print_decomposition
    from influbench.report.progress import named_bar
    from influbench.store.cache import default_cache
    from influbench.studies.running import DEFAULT, decomposition

    with named_bar() as progress:
        study = decomposition(
            read_plan(plan).changed(n_seeds=seeds),
            estimators=estimators or DEFAULT,
            cache=default_cache(),
            progress=progress,
        )
    _deliver(study, lambda: print_decomposition(Console(), study), output, as_json=as_json)


@study_command.command("informativeness")
@click.argument("plan", default="informativeness")
@click.option("--seeds", type=click.IntRange(min=1), help="Seeds with which each group is removed.")
@click.option("--workers", type=click.IntRange(min=1), help="Train in this many processes, a thread each.")
@click.option("-o", "output", type=click.Path(dir_okay=False, path_type=Path), help="Write the JSON to this file too.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object.")
def informativeness_command(
    plan: str, seeds: int | None, workers: int | None, output: Path | None, as_json: bool
) -> None:
    """Ask whether correct difficult examples are more informative than easy ones, on the problems of PLAN.

    Groups of train points are removed and the network is trained again, and trained on each group alone. Which groups,
    and what decides, stands in the plan's [informativeness]. What is trained is stored: an interrupted study goes on.
    """
    from influbench.engine import Resources
    from influbench.executors import Here, LocalProcesses
    from influbench.plan import read_plan
    from influbench.report.console import Console
    from influbench.report.informativeness import print_informativeness
    from influbench.report.progress import named_bar
    from influbench.store.cache import default_cache
    from influbench.studies.informativeness.study import informativeness

    with closing(LocalProcesses(workers) if workers else Here()) as executor, named_bar() as progress:
        study = informativeness(
            read_plan(plan).changed(n_seeds=seeds),
            cache=default_cache(),
            resources=Resources(executor),
            progress=progress,
        )
    _deliver(study, lambda: print_informativeness(Console(), study), output, as_json=as_json)


@study_command.command("dynamics")
@click.argument("plan", default="dynamics")
@click.option(
    "-e",
    "--estimator",
    metavar="turn_over_dropout[PARAMETER=VALUE]",
    help="Look at the networks of this one instead of the plan's.",
)
@click.option("--seeds", type=click.IntRange(min=1), help="Seeds of the ground truth.")
@click.option("--workers", type=click.IntRange(min=1), help="Train in this many processes, a thread each.")
@click.option("-o", "output", type=click.Path(dir_okay=False, path_type=Path), help="Write the JSON to this file too.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object.")
def dynamics_command(
    plan: str,
    estimator: str | None,
    seeds: int | None,
    workers: int | None,
    output: Path | None,
    as_json: bool,
) -> None:
    """Tell when true and random labels, easy and hard points, are learnt and memorised, on the problems of PLAN.

    What the claims stand or fall with is in the plan's [dynamics]. Trainings are stored as they are done: an
    interrupted study goes on where it stopped.
    """
    from influbench.engine import Resources
    from influbench.executors import Here, LocalProcesses
    from influbench.plan import read_plan
    from influbench.report.console import Console
    from influbench.report.dynamics import print_dynamics
    from influbench.report.progress import named_bar
    from influbench.store.cache import default_cache
    from influbench.studies.dynamics import dynamics

    chosen = read_plan(plan).changed(n_seeds=seeds)
    if estimator:
        chosen = chosen.model_copy(update={"dynamics": chosen.dynamics.model_copy(update={"estimator": estimator})})
    with closing(LocalProcesses(workers) if workers else Here()) as executor, named_bar() as progress:
        study = dynamics(chosen, cache=default_cache(), resources=Resources(executor), progress=progress)
    _deliver(study, lambda: print_dynamics(Console(), study), output, as_json=as_json)


def _deliver(study: "Record", show: Callable[[], None], output: Path | None, *, as_json: bool) -> None:
    """Print what was found, and write it."""
    from influbench.errors import UsageError
    from influbench.results import to_json
    from influbench.store.files import write_bytes

    if as_json:
        click.echo(to_json(study))
    else:
        show()
    if not output:
        return
    try:
        write_bytes(output, f"{to_json(study)}\n".encode())
    except OSError as error:
        raise UsageError(f"cannot write {output}: {error.strerror}; name another file with -o") from None
