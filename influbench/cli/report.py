"""`influbench report`."""

from pathlib import Path

import click


@click.command("report", short_help="Show the result of a run or a study again.")
@click.argument("directory", type=click.Path(path_type=Path))
@click.option(
    "--details", is_flag=True, help="For a run, show other statistics of each agreement: tau-b, top k, sign, ..."
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object.")
def report_command(directory: Path, details: bool, as_json: bool) -> None:
    """Show the result of the run or the study in DIRECTORY again."""
    from influbench.report.details import print_details
    from influbench.report.terminal import print_report
    from influbench.results import Results, to_json
    from influbench.store.run_directory import read_found, read_result
    from influbench.studies.running import print_study

    found = read_result(directory) if details else read_found(directory)
    if as_json:
        click.echo(to_json(found))
        return
    from influbench.report.console import Console

    if not isinstance(found, Results):
        print_study(Console(), found)
    elif details:
        print_details(Console(), found)
    else:
        print_report(Console(), found)
