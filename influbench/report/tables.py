"""Common parts of the tables of all reports."""

from collections.abc import Iterator, Sequence
from typing import TypeVar

from rich import box
from rich.table import Table
from rich.text import Text

from influbench.report.numbers import DASH, decimal, interval
from influbench.results import Statistic

T = TypeVar("T")


def side_by_side(columns: Sequence[T], widths: Sequence[int], room: int) -> Iterator[Sequence[T]]:
    """Columns, each of some width, in groups that fit into the room; one that does not fit stands alone."""
    start, taken = 0, 0
    for place, width in enumerate(widths):
        if taken + width > room and place > start:
            yield columns[start:place]
            start, taken = place, 0
        taken += width
    if columns:
        yield columns[start:]


def new_table(*, narrow: bool = False) -> Table:
    """A table with a line below its head and none around it; `narrow` has one space between columns and not two."""
    return Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 0 if narrow else 1, 0, 0))


def on_one_line(statistic: Statistic) -> Text:
    """A value and its interval: " .55 [.52, .57]"."""
    text = Text(f"{decimal(statistic.value):>4}", style="bold" if statistic.value is not None else "dim")
    return text.append(f" {interval(statistic)}", style="dim not bold")


def on_two_lines(statistic: Statistic) -> Text:
    """A value, and its interval below it."""
    if statistic.value is None:
        return Text(f"{DASH:>5}", style="dim")
    return Text(f"{decimal(statistic.value):>5}", style="bold").append(
        f"\n {interval(statistic)}", style="dim not bold"
    )
