"""The forecast of a run, as a table."""

from collections.abc import Sequence

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from influbench.report.fit import fit_in_words, fit_warnings
from influbench.report.names import Name
from influbench.report.numbers import seconds, size
from influbench.report.tables import new_table
from influbench.results import Failure, Forecast


def print_forecasts(console: Console, forecasts: Sequence[Forecast], refused: Sequence[Failure] = ()) -> None:
    """Print a row for each problem."""
    table = new_table()
    table.add_column("  Ground truth of", min_width=16)
    for name in ("trainings", "stored", "time", "memory", "disk"):
        table.add_column(name, justify="right", no_wrap=True)
    for one in forecasts:
        table.add_row(
            Name(one.problem),
            f"{one.n_trainings:,}",
            f"{100 * one.n_shards_stored / one.n_shards:.0f}%",
            seconds(one.seconds),
            size(one.memory_bytes),
            size(one.disk_bytes),
        )
    console.print()
    console.print(table, markup=False)
    for failure in refused:
        console.print(Padding(Text(f"{failure.status}: {failure.problem}: {failure.reason}"), (1, 2, 0, 2)))
    for one in forecasts:
        if one.data:
            console.print(Padding(Text(f"{one.problem}: {one.data}"), (1, 2, 0, 2)))
    for one in forecasts:
        if one.fit is not None:
            lines = [f"{one.fit.statistic} on {one.problem}, stored: {fit_in_words(one.fit)}", *fit_warnings(one.fit)]
            console.print(Padding(Text("\n".join(lines)), (1, 2, 0, 2)))
    total = seconds(sum(one.seconds for one in forecasts))
    note = (
        f"About {total} for the ground truth, from a few timed steps; the estimators, and an ordinary training for "
        "each seed to measure accuracy, come on top of it. Memory is that of each process that trains."
    )
    console.print(Padding(Text(note), (1, 2, 0, 2)))
