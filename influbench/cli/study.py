"""`influbench study`."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from influbench.cli.resources import ResourceOptions, resource_options

if TYPE_CHECKING:
    from influbench.plan import Plan
    from influbench.results import Study


@click.group("study", short_help="Ask what a table of agreements does not answer.")
def study_command() -> None:
    """Ask what a table of agreements does not answer.

    Each study is asked on the problems of a plan, which also says what decides. Trainings are stored as they are done,
    where INFLUBENCH_CACHE names a folder: an interrupted study goes on where it stopped. What was found is written to a
    directory, as by `influbench run`; `influbench report` shows it again.
    """


def _options(plan: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """What all studies take; `plan` is the one that ships for this study."""
    given = (
        click.argument("plan", default=plan),
        click.option("-d", "--dataset", "datasets", multiple=True, metavar="NAME[...]", help="Take this data set."),
        click.option("-m", "--model", "models", multiple=True, metavar="NAME[...]", help="Train this model."),
        click.option("--seeds", type=click.IntRange(min=1), help="Seeds of trainings without some train points."),
        resource_options,
        click.option("-o", "--output", type=click.Path(path_type=Path), help="Directory. Default: runs/PLAN-TIME."),
        click.option("--json", "as_json", is_flag=True, help="Print what was found as one JSON object."),
        click.option("-q", "--quiet", is_flag=True, help="Print neither progress nor report."),
    )

    def decorated(command: Callable[..., None]) -> Callable[..., None]:
        for option in reversed(given):
            command = option(command)
        return command

    return decorated


@study_command.command("decomposition", short_help="What turn-over dropout's scores are made of.")
@click.option(
    "-e",
    "--estimator",
    "estimators",
    multiple=True,
    metavar="turn_over_dropout[PARAMETER=VALUE]",
    help="Take this one apart instead of the plan's; repeatable.",
)
@_options("decomposition")
def decomposition_command(plan: str, estimators: tuple[str, ...], **options: Any) -> None:
    """Take turn-over dropout's scores apart into signal, mask noise and leakage, on the problems of PLAN.

    Each mask's network is trained once more for each train point, without it.
    """
    from influbench.plan import read_plan
    from influbench.studies.decomposition.study import decomposition

    _study(decomposition, read_plan(plan).changed(estimators=estimators), **options)


@study_command.command("dynamics", short_help="When true and random labels are learnt and memorised.")
@click.option(
    "-e",
    "--estimator",
    metavar="turn_over_dropout[PARAMETER=VALUE]",
    help="Look at the networks of this one instead of the plan's.",
)
@_options("dynamics")
def dynamics_command(plan: str, estimator: str | None, **options: Any) -> None:
    """Tell when true and random labels, easy and hard points, are learnt and memorised, on the problems of PLAN.

    What the claims stand or fall with is in the plan's [dynamics].
    """
    from influbench.plan import read_plan
    from influbench.studies.dynamics.study import dynamics

    chosen = read_plan(plan)
    if estimator:
        chosen = chosen.model_copy(update={"dynamics": chosen.dynamics.model_copy(update={"estimator": estimator})})
    _study(dynamics, chosen, **options)


@study_command.command("informativeness", short_help="Which examples a network needs.")
@_options("informativeness")
def informativeness_command(plan: str, **options: Any) -> None:
    """Ask whether correct difficult examples are more informative than easy ones, on the problems of PLAN.

    Groups of train points are removed and the network is trained again, and trained on each group alone. Which groups,
    and what decides, stands in the plan's [informativeness].
    """
    from influbench.plan import read_plan
    from influbench.studies.informativeness.study import informativeness

    _study(informativeness, read_plan(plan), **options)


def _study(
    ask: "Callable[..., Study]",
    plan: "Plan",
    *,
    datasets: tuple[str, ...],
    models: tuple[str, ...],
    seeds: int | None,
    resources: ResourceOptions,
    output: Path | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Ask, write what was found, and show it."""
    from influbench.errors import InflubenchError
    from influbench.report.console import Console
    from influbench.report.progress import named_bar
    from influbench.report.studies import print_study
    from influbench.report.written import print_where
    from influbench.results import to_json
    from influbench.store.run_directory import RunDirectory, new_directory

    chosen = plan.changed(datasets=datasets, models=models, n_seeds=seeds)
    places: list[RunDirectory] = []

    def ready() -> None:
        place = RunDirectory(output or new_directory(chosen.name))
        place.begin(chosen)
        places.append(place)

    with resources.opened() as opened, named_bar(quiet=quiet) as progress:
        try:
            study = ask(chosen, resources=opened, progress=progress, ready=ready)
        except InflubenchError:
            for place in places:
                place.withdraw()
            raise
    places[0].write_result(study)
    if as_json:
        click.echo(to_json(study))
    elif not quiet:
        print_study(Console(), study)
        print_where(Console(), places[0].path)
