"""`influbench new`."""

from pathlib import Path

import click

_TRIED_BY = {"estimator": "-e {} -e grad_dot", "dataset": "-d {}", "model": "-m {}", "judge": "-j leave_one_out -j {}"}


@click.command("new", short_help="Write a package for a plugin of your own.")
@click.argument("kind", type=click.Choice([*_TRIED_BY]))
@click.argument("name")
@click.option(
    "--into", type=click.Path(file_okay=False, path_type=Path), default=".", help="Folder for the package.  [here]"
)
def new_command(kind: str, name: str, into: Path) -> None:
    """Write a package with a working estimator, data set, model or judge called NAME, its tests and a README.

    The package passes its tests unchanged; replace what it computes with your own code.
    """
    from influbench.registry import NOUNS, installed
    from influbench.scaffold import WITH_TEMPLATES, write_package

    (of_kind,) = (one for one in WITH_TEMPLATES if one == kind)
    folder = write_package(of_kind, name, into=into, registry=installed())
    name = name.replace("-", "_")
    click.echo(f"{folder} holds the {NOUNS[of_kind]} {name}. Next steps:\n")
    for line in (
        f"pip install --editable '{folder}[test]'",
        f"pytest {folder}",
        f"influbench check {name}",
        f"influbench run digits {_TRIED_BY[kind].format(name)}",
    ):
        click.echo(f"  {line}")
    click.echo(f"\nYour code goes into {folder / f'influbench_{name}' / f'{kind}.py'}.")
