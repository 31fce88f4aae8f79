"""The claims of a study with their verdicts, as a table."""

from collections.abc import Sequence

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from influbench.report.names import Name
from influbench.report.tables import new_table
from influbench.results import Claim, Statistic, Verdict

_STYLES: dict[Verdict, str] = {"supported": "green", "not supported": "red", "undecided": "yellow"}


def claims_table(rows: Sequence[tuple[str, RenderableType, Verdict | None]]) -> Table:
    """A line for each statement, with what was found and the verdict, if it has one."""
    table = new_table()
    table.add_column(Name("Claim"))
    table.add_column("value", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    for statement, found, verdict in rows:
        shown = Text(verdict, style=f"bold {_STYLES[verdict]}") if verdict else Text()
        table.add_row(Name(statement), found, shown)
    return table


def value_of(claim: Claim) -> Statistic:
    """A claim's value with its interval."""
    return Statistic(value=claim.value, low=claim.low, high=claim.high)
