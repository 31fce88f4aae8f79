"""`influbench study`: a subcommand for each study that is registered."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from influbench.cli.resources import ResourceOptions, resource_options

if TYPE_CHECKING:
    from influbench.api import Option, Study


class _Studies(click.Group):
    """Studies by name. They are not imported to be listed, so that a broken one is an error only if it is named."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        from influbench.registry import installed

        return installed().names("study")

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command:
        from influbench.registry import installed

        return _command(cmd_name, installed().load("study", cmd_name))

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        from influbench.registry import installed

        rows = {entry.spec.name: entry.spec.summary for entry in installed().entries if entry.kind == "study"}
        with formatter.section("Commands"):
            formatter.write_dl(sorted(rows.items()))


@click.group("study", cls=_Studies, short_help="Answer a question that agreements do not.")
def study_command() -> None:
    """Answer a question that a table of agreements does not answer.

    A study runs on the problems of a plan, which also states what decides its claims. Trainings are stored as they
    finish, in the folder that INFLUBENCH_CACHE names: an interrupted study continues where it stopped. The result is
    written to a directory, as by `influbench run`; `influbench report` shows it again.
    """


def _command(name: str, study: "type[Study[Any]]") -> click.Command:
    """The subcommand of one study, with its own options before those of all studies."""
    from influbench.registry import description

    def ask(**given: Any) -> None:
        replaced = {option.replaces: given.pop(f"replaced_{n}") for n, option in enumerate(study.options)}
        _ask(name, {key: value for key, value in replaced.items() if value}, **given)

    command = click.command(name, help=description(study))(_options(study.default_plan)(ask))
    taken = {flag for parameter in command.params for flag in parameter.opts}
    own = [_own_option(option, f"replaced_{n}", name, taken) for n, option in enumerate(study.options)]
    command.params[:0] = own
    return command


def _own_option(option: "Option", parameter: str, study: str, taken: set[str]) -> click.Option:
    from influbench.errors import PluginError

    if clashing := [flag for flag in option.flags if flag in taken]:
        raise PluginError(f"option {clashing[0]} of study {study} is one that all studies have; give it another flag")
    taken.update(option.flags)
    return click.Option(
        [*option.flags, parameter], multiple=option.repeatable, metavar=option.metavar, help=option.help
    )


def _options(plan: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """The arguments of every study. `plan` is the default plan."""
    given = (
        click.argument("plan", default=plan),
        click.option("-d", "--dataset", "datasets", multiple=True, metavar="NAME[...]", help="Use this data set."),
        click.option("-m", "--model", "models", multiple=True, metavar="NAME[...]", help="Train this model."),
        click.option("--seeds", type=click.IntRange(min=1), help="Number of seeds of trainings without some points."),
        resource_options,
        click.option("-o", "--output", type=click.Path(path_type=Path), help="Directory. Default: runs/PLAN-TIME."),
        click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object."),
        click.option("-q", "--quiet", is_flag=True, help="Print neither progress nor report."),
    )

    def decorated(command: Callable[..., None]) -> Callable[..., None]:
        for option in reversed(given):
            command = option(command)
        return command

    return decorated


def _ask(
    name: str,
    replaced: dict[str, object],
    *,
    plan: str,
    datasets: tuple[str, ...],
    models: tuple[str, ...],
    seeds: int | None,
    resources: ResourceOptions,
    output: Path | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Run the study, write its result, and show it."""
    from influbench.plan import read_plan
    from influbench.registry import installed
    from influbench.report.console import Console
    from influbench.report.progress import named_bar
    from influbench.report.written import print_where
    from influbench.results import to_json
    from influbench.studies.running import print_study, run_study, with_options

    chosen = with_options(read_plan(plan), name, replaced, installed())
    chosen = chosen.changed(datasets=datasets, models=models, n_seeds=seeds)
    with resources.opened() as opened, named_bar(quiet=quiet) as progress:
        directory, record = run_study(name, chosen, directory=output, resources=opened, progress=progress)
    if as_json:
        click.echo(to_json(record))
    elif not quiet:
        print_study(Console(), record, name=name)
        print_where(Console(), directory, can_be_shown=name in installed().names("study"))
