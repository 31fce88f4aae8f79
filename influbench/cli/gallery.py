"""`influbench gallery`."""

from pathlib import Path

import click


@click.command("gallery", short_help="Draw what a run on pictures found.")
@click.argument("directory", metavar="RUN", type=click.Path(path_type=Path))
@click.option(
    "-e",
    "--estimator",
    default="truth",
    metavar="NAME[PARAMETER=VALUE]",
    help="Choose points by this estimator, named as in the run. Default: by the truth.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="The .png file to write.  [default: RUN/gallery.png, or RUN/gallery-NAME.png for an estimator]",
)
@click.option(
    "--test",
    "tests",
    multiple=True,
    metavar="ID",
    type=int,
    help="Show this test point; repeatable. Default: those with the largest total absolute influence.",
)
@click.option(
    "-k",
    default=5,
    show_default=True,
    type=click.IntRange(1, 20),
    help="Number of train points that help, and that hurt, each test point.",
)
@click.option("--problem", metavar="NAME", help="The problem, named as in the report, if RUN has several.")
def gallery_command(
    directory: Path, estimator: str, output: Path | None, tests: tuple[int, ...], k: int, problem: str | None
) -> None:
    """Draw what the run in directory RUN found, if its inputs are pictures.

    The gallery shows the most and the least memorized train points, and the train points that help and hurt some test
    points most, by the truth or by an estimator. The data are loaded again from the run's plan.
    """
    from influbench.reading.gallery import gallery, gallery_file
    from influbench.reading.stored import read_stored
    from influbench.report.gallery import write_gallery

    output = output or gallery_file(directory, estimator)
    write_gallery(gallery(read_stored(directory, problem), by=estimator, tests=tests, k=k), output)
    click.echo(f"The gallery is in {output}.")
