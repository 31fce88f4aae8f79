"""`influbench report`."""

from pathlib import Path

import click


@click.command("report")
@click.argument("directory", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object.")
def report_command(directory: Path, as_json: bool) -> None:
    """Show again what the run in DIRECTORY found."""
    from influbench.report.terminal import print_report
    from influbench.results import result_json
    from influbench.store.run_directory import read_result

    result = read_result(directory)
    if as_json:
        click.echo(result_json(result))
        return
    from rich.console import Console

    print_report(Console(), result)
