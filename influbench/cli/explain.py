"""`influbench explain`."""

from pathlib import Path

import click


@click.command("explain", short_help="Show who helps and hurts one point of a run.")
@click.argument("directory", metavar="RUN", type=click.Path(path_type=Path))
@click.option("--test", "test_id", metavar="ID", type=int, help="A test point, to show its proponents and opponents.")
@click.option(
    "--train",
    "train_id",
    metavar="ID",
    type=int,
    help="A train point, to show its memorization, and whom it helps and hurts.",
)
@click.option("-k", default=5, show_default=True, type=click.IntRange(min=1), help="Number of points of each kind.")
@click.option("--problem", metavar="NAME", help="The problem, named as in the report, if RUN has several.")
@click.option("--json", "as_json", is_flag=True, help="Print the explanation as one JSON object.")
def explain_command(
    directory: Path, test_id: int | None, train_id: int | None, k: int, problem: str | None, as_json: bool
) -> None:
    """Explain one point of the run in directory RUN, by the truth and by each estimator, side by side.

    For a test point, show the train points that help and hurt it most. For a train point, show how memorized it is, and
    the test points that it helps and hurts most.
    """
    from influbench.errors import UsageError
    from influbench.reading.explanation import explain_point
    from influbench.reading.stored import read_stored
    from influbench.report.console import Console
    from influbench.report.explanation import print_explanation
    from influbench.results import to_json

    stored = read_stored(directory, problem)
    if (test_id is None) == (train_id is None):
        raise UsageError(
            f"choose one point, for instance --test {stored.example('test')} or --train {stored.example('train')}"
        )
    explanation = explain_point(stored, test=test_id, train=train_id, k=k)
    if as_json:
        click.echo(to_json(explanation))
    else:
        print_explanation(Console(), explanation)
