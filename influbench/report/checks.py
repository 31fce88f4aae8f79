"""The findings of `influbench check`, as a table."""

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from influbench.registry import NOUNS
from influbench.report.numbers import count
from influbench.report.tables import new_table
from influbench.results import CheckedPlugin, CheckOutcome

_STYLES = {"passed": "green", "failed": "bold red", "exempt": "yellow", "not applicable": "dim", "not checked": "dim"}


def print_checks(console: Console, checked: CheckedPlugin) -> None:
    """Print one plugin's outcomes; under each that failed, what was seen and how to fix it."""
    kind = NOUNS.get(checked.kind, checked.kind)
    console.print(Text.assemble((checked.name, "bold"), f"  {kind} of {checked.distribution}"), soft_wrap=True)
    console.print()
    table = new_table()
    table.add_column("  Check", no_wrap=True)
    table.add_column("", no_wrap=True)
    table.add_column("The contract", ratio=1)
    for outcome in checked.outcomes:
        style = _STYLES[outcome.status]
        table.add_row(f"  {outcome.name}", Text(outcome.status, style=style), _contract(outcome))
    console.print(table)
    console.print()
    console.print(Padding(_summary(checked), (0, 2)))


def _contract(outcome: CheckOutcome) -> Text:
    text = Text(outcome.promise)
    if outcome.detail:
        text.append(f"\n{outcome.detail}", style=_STYLES[outcome.status])
    if outcome.remedy:
        text.append(f"\nTo fix: {outcome.remedy}.")
    return text


def _summary(checked: CheckedPlugin) -> Text:
    n_failed, n_passed, n_unchecked = (
        sum(outcome.status == status for outcome in checked.outcomes) for status in ("failed", "passed", "not checked")
    )
    if n_failed:
        rest = f", {n_unchecked} not checked" if n_unchecked else ""
        return Text(f"{count(n_failed, 'check')} failed, {n_passed} passed{rest}.", style="red")
    return Text(f"Keeps the contract: {n_passed} passed, none failed.", style="green")
