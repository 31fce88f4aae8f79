"""`influbench run`."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from influbench.cli.resources import ResourceOptions, resource_options

if TYPE_CHECKING:
    from influbench.results import Failure, Forecast, Results


@click.command("run", short_help="Measure the truth, and judge estimators by it.")
@click.argument("plan", default="digits")
@click.option(
    "-e",
    "--estimator",
    "estimators",
    multiple=True,
    metavar="NAME[PARAMETER=VALUE]",
    help="Judge this estimator, or ./FILE.py:CLASS, instead of the plan's; repeatable. `all`: every one.",
)
@click.option(
    "-j",
    "--judge",
    "judges",
    multiple=True,
    metavar="NAME[PARAMETER=VALUE]",
    help="Judge by this, or by ./FILE.py:CLASS, instead of by the plan's judges; repeatable.",
)
@click.option(
    "-d",
    "--dataset",
    "datasets",
    multiple=True,
    metavar="NAME[PARAMETER=VALUE]",
    help="Use this data set, or ./FILE.csv, .npz, .parquet, ./FOLDER, ./FILE.py:CLASS, not the plan's; repeatable.",
)
@click.option(
    "-m",
    "--model",
    "models",
    multiple=True,
    metavar="NAME[PARAMETER=VALUE]",
    help="Train this model, or ./FILE.py:CLASS, instead of the plan's; repeatable.",
)
@click.option("--seeds", type=click.IntRange(min=1), help="Number of seeds of the ground truth.")
@click.option(
    "--reliability",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    help="Add seeds until the ground truth of influence is this reliable.",
)
@click.option("--max-seeds", type=click.IntRange(min=2), help="Most seeds that --reliability may use (default: 64).")
@click.option(
    "--repeats", type=click.IntRange(min=1), help="Run each random estimator this many times, with new seeds."
)
@click.option("--seed", type=click.IntRange(min=0), help="Root seed of data, labels, truth and estimators.")
@resource_options
@click.option(
    "--truth", "truth_file", type=click.Path(path_type=Path), help="Use the ground truth in this exported file."
)
@click.option("--dry-run", is_flag=True, help="Forecast the truth's trainings, time, memory and disk, and stop.")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Run directory. Default: runs/PLAN-TIME.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object.")
@click.option("-q", "--quiet", is_flag=True, help="Print neither progress nor report.")
def run_command(
    plan: str,
    estimators: tuple[str, ...],
    judges: tuple[str, ...],
    datasets: tuple[str, ...],
    models: tuple[str, ...],
    seeds: int | None,
    reliability: float | None,
    max_seeds: int | None,
    repeats: int | None,
    seed: int | None,
    resources: ResourceOptions,
    truth_file: Path | None,
    dry_run: bool,
    output: Path | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Run PLAN, a TOML file or the name of a plan that ships with influbench (default: digits).

    Ground truth is stored while it is computed, in the folder that INFLUBENCH_CACHE names: an interrupted run continues
    where it stopped, and a second run starts with the estimators.
    """
    from influbench.engine import forecast, run
    from influbench.plan import read_plan
    from influbench.report.progress import follow
    from influbench.results import to_json

    chosen = read_plan(plan).changed(
        estimators=estimators,
        judges=judges,
        datasets=datasets,
        models=models,
        n_seeds=seeds,
        seed=seed,
        reliability=reliability,
        max_seeds=max_seeds,
        repeats=repeats,
    )
    with resources.opened() as opened:
        if dry_run:
            _print_forecasts(*forecast(chosen, resources=opened, truth_file=truth_file), as_json=as_json)
            return
        events = run(
            chosen,
            directory=output,
            required=estimators,
            resources=opened,
            truth_file=truth_file,
        )
        directory, result = follow(events, quiet=quiet)
    if as_json:
        click.echo(to_json(result))
    elif not quiet:
        _print_report(directory, result)
    if result.has_failed:
        raise click.exceptions.Exit(1)


def _print_report(directory: Path, result: "Results") -> None:
    from influbench.report.console import Console
    from influbench.report.terminal import print_report
    from influbench.report.written import print_where

    print_report(Console(), result)
    print_where(Console(), directory)


def _print_forecasts(forecasts: "list[Forecast]", refused: "list[Failure]", *, as_json: bool) -> None:
    import json

    from influbench.report.console import Console
    from influbench.report.forecast import print_forecasts

    if as_json:
        problems = {"problems": [_as_json(forecast) for forecast in forecasts]}
        click.echo(json.dumps({**problems, "failures": [failure.model_dump() for failure in refused]}, indent=2))
    else:
        print_forecasts(Console(), forecasts, refused)


def _as_json(forecast: "Forecast") -> dict[str, object]:
    fit = forecast.fit
    return {**vars(forecast), "fit": None if fit is None else fit.model_dump()}
