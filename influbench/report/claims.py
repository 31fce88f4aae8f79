"""The claims of a study with their verdicts, as a table."""

from collections.abc import Sequence

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from influbench.report.names import Name
from influbench.report.numbers import count
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


def in_summary(claims: Sequence[Claim], false_discovery_rate: float | None) -> str:
    """The number of claims that were tested and of each verdict, and the rule for all of them, in a sentence."""
    if false_discovery_rate is None:
        return (
            f"{count(len(claims), 'claim')}, judged by the rule of an earlier version: each by its own 95% interval. "
            "Run the study again to test them together."
        )
    tested = [claim.verdict for claim in claims if claim.p_value is not None]
    counts = ", ".join(f"{tested.count(verdict)} {verdict}" for verdict in _STYLES)
    return (
        f"{count(len(tested), 'claim')} tested: {counts}, at a false discovery rate of "
        f"{100 * false_discovery_rate:g}%. A claim may be undecided although its interval excludes the other verdicts, "
        "because the test is for all of them."
    )


def value_of(claim: Claim) -> Statistic:
    """A claim's value with its interval."""
    return Statistic(value=claim.value, low=claim.low, high=claim.high)
