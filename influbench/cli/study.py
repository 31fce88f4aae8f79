"""`influbench study`."""

from pathlib import Path

import click


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
    from rich.console import Console

    from influbench.errors import UsageError
    from influbench.plan import read_plan
    from influbench.report.decomposition import print_decomposition
    from influbench.report.progress import named_bar
    from influbench.results import to_json
    from influbench.store.cache import default_cache
    from influbench.store.files import write_bytes
    from influbench.studies.running import DEFAULT, decomposition

    with named_bar() as progress:
        study = decomposition(
            read_plan(plan).changed(n_seeds=seeds),
            estimators=estimators or DEFAULT,
            cache=default_cache(),
            progress=progress,
        )
    if as_json:
        click.echo(to_json(study))
    else:
        print_decomposition(Console(), study)
    if output:
        try:
            write_bytes(output, f"{to_json(study)}\n".encode())
        except OSError as error:
            raise UsageError(f"cannot write {output}: {error.strerror}; name another file with -o") from None
