"""`influbench compare`."""

from pathlib import Path

import click


@click.command("compare", short_help="Compare estimators over several runs.")
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "-e",
    "--estimator",
    "estimators",
    multiple=True,
    metavar="NAME[PARAMETER=VALUE]",
    help="Compare this estimator, named as in the runs; repeatable. Default: all.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the comparison as one JSON object.")
def compare_command(runs: tuple[Path, ...], estimators: tuple[str, ...], as_json: bool) -> None:
    """Compare estimators over the problems of several RUNS, which are directories that `influbench run` wrote.

    Means are over all problems of all runs; they say who agrees better on these problems and, with enough data sets,
    on other ones. If two runs hold the same problem and an estimator has different scores in them, it is shown twice,
    as NAME@RUN: two versions of it. All differences are on the same points and against the same truth, the one with
    the most seeds.
    """
    from influbench.reading.comparison import compare
    from influbench.report.comparison import print_comparison
    from influbench.report.console import Console
    from influbench.report.progress import named_bar
    from influbench.results import to_json

    with named_bar() as progress:
        compared = compare(runs, estimators=estimators, progress=progress)
    if as_json:
        click.echo(to_json(compared))
    else:
        print_comparison(Console(), compared)
