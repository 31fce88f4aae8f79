"""`influbench data`."""

from pathlib import Path

import click


@click.command("data", short_help="Write a problem's points for other programs.")
@click.argument("plan", default="digits")
@click.option(
    "-d",
    "--dataset",
    metavar="NAME[PARAMETER=VALUE]",
    help="Use this data set instead of the plan's, as in `influbench run`.",
)
@click.option("--problem", metavar="NAME", help="The problem, named as in the report, if PLAN has several.")
@click.option("--seed", type=click.IntRange(min=0), help="Root seed, as in `influbench run`.")
@click.option(
    "-o", "--output", required=True, type=click.Path(path_type=Path), help="The file to write, which ends in .npz."
)
def data_command(plan: str, dataset: str | None, problem: str | None, seed: int | None, output: Path) -> None:
    """Write the train and test points of a problem of PLAN to a .npz file, exactly as a run uses them.

    Another program can compute scores for them, which the estimator `from_file` reads. Random labels are drawn as in a
    run; the file does not say which ones they are.
    """
    from influbench.engine.data import write_data
    from influbench.plan import read_plan

    chosen = read_plan(plan).changed(datasets=(dataset,) if dataset else (), seed=seed)
    written = write_data(chosen, output, problem=problem)
    noise = f" with random_labels={written.random_labels:g}" if written.random_labels else ""
    click.echo(
        f"{written.n_train} train points and {written.n_test} test points of {written.dataset}{noise} are in {output}."
    )
