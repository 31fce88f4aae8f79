"""The command line. Commands import what they need when they run, so that `--help` is quick."""

import sys
from typing import Any

import click

from influbench import __version__
from influbench.cli.catalogue import list_command, show_command
from influbench.cli.check import check_command
from influbench.cli.compare import compare_command
from influbench.cli.data import data_command
from influbench.cli.explain import explain_command
from influbench.cli.gallery import gallery_command
from influbench.cli.new import new_command
from influbench.cli.plugins import plugins_command
from influbench.cli.report import report_command
from influbench.cli.run import run_command
from influbench.cli.study import study_command
from influbench.cli.truth import truth_command
from influbench.errors import InflubenchError, UsageError

INTERRUPTED = 130


class _Main(click.Group):
    """Errors as one sentence; exit codes 1 (something failed), 2 (wrong usage), 130 (interrupted)."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except InflubenchError as error:
            if ctx.params["traceback"]:
                raise
            click.echo(f"Error: {error}", err=True)
            ctx.exit(2 if isinstance(error, UsageError) else 1)
        except KeyboardInterrupt:
            click.echo("Interrupted. Finished shards are stored; run the same command again to continue.", err=True)
            ctx.exit(INTERRUPTED)
        except BrokenPipeError:
            sys.stderr.close()
            ctx.exit(1)


@click.group(cls=_Main, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="influbench")
@click.option("--traceback", is_flag=True, help="Show where an error comes from.")
def main(traceback: bool) -> None:
    """Measure how well influence estimators predict the effect of leaving out a training example.

    `influbench run` measures the truth (it retrains without each example, over several seeds), judges estimators by it,
    and prints a report. `influbench list` shows all plugins and plans.
    """


for command in (
    run_command,
    report_command,
    explain_command,
    gallery_command,
    compare_command,
    study_command,
    list_command,
    show_command,
    plugins_command,
    new_command,
    check_command,
    data_command,
    truth_command,
):
    main.add_command(command)
