"""`influbench run`."""

from pathlib import Path

import click


@click.command("run")
@click.argument("plan", default="digits")
@click.option(
    "-e",
    "--estimator",
    "estimators",
    multiple=True,
    metavar="NAME[PARAMETER=VALUE]",
    help="Judge this estimator instead of the plan's; repeatable; `all` takes every installed one.",
)
@click.option("--seeds", type=click.IntRange(min=1), help="Seeds of the ground truth.")
@click.option(
    "--seed", type=click.IntRange(min=0), help="Root seed: data, labels, truth and estimators derive from it."
)
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Run directory. Default: runs/PLAN-TIME.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object.")
@click.option("-q", "--quiet", is_flag=True, help="Print neither progress nor report.")
def run_command(
    plan: str,
    estimators: tuple[str, ...],
    seeds: int | None,
    seed: int | None,
    output: Path | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Run PLAN, a TOML file or the name of a plan that ships with influbench (default: digits).

    Ground truth is stored as it is computed, in the folder that INFLUBENCH_CACHE names: an interrupted run goes on
    where it stopped, and a second one starts with the estimators.
    """
    from influbench.cli.progress import follow
    from influbench.engine import run
    from influbench.plan import read_plan
    from influbench.report.terminal import print_report
    from influbench.results import has_failed, result_json
    from influbench.store.cache import default_cache

    chosen = read_plan(plan).changed(estimators=estimators, n_seeds=seeds, seed=seed)
    events = run(chosen, directory=output, cache=default_cache(), required=estimators)
    directory, result = follow(events, quiet=quiet)
    if as_json:
        click.echo(result_json(result))
    elif not quiet:
        from rich.console import Console
        from rich.text import Text

        console = Console()
        print_report(console, result)
        console.print()
        console.print(
            Text(f"  Written to {directory}; `influbench report {directory}` shows it again."), soft_wrap=True
        )
    if has_failed(result):
        raise click.exceptions.Exit(1)
