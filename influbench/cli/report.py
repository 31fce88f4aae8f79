"""`influbench report`."""

from pathlib import Path

import click


@click.command("report", short_help="Show again what a run found.")
@click.argument("directory", type=click.Path(path_type=Path))
@click.option(
    "--details", is_flag=True, help="Show other statistics of each agreement instead: tau-b, top k, sign, ..."
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object.")
def report_command(directory: Path, details: bool, as_json: bool) -> None:
    """Show again what the run in DIRECTORY found."""
    from influbench.report.details import print_details
    from influbench.report.terminal import print_report
    from influbench.results import to_json
    from influbench.store.run_directory import read_result

    result = read_result(directory)
    if as_json:
        click.echo(to_json(result))
        return
    from influbench.report.console import Console

    (print_details if details else print_report)(Console(), result)
