"""Agreement as it changes during training, in a terminal."""

from collections.abc import Iterator, Sequence

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from influbench.report.names import Name
from influbench.report.tables import new_table, on_one_line, on_two_lines, side_by_side
from influbench.results import UNKNOWN, ColumnRecord, Result

_STEP, _VALUE, _COLUMN = 14, 13, 16  # characters of the first column, of a value, and of a value with its margin
_ON_ONE_LINE = 3  # columns whose intervals fit beside their values in 80 characters


def trace_tables(result: Result, *, width: int) -> Iterator[RenderableType]:
    """Tables for each column: the ceiling and the traced estimators, after each step."""
    for column in result.headline:
        traced = [cell.name for point in result.trace for cell in point.cells if column.key in cell.columns]
        names = list(dict.fromkeys(traced))
        for shown in side_by_side(names, [_COLUMN] * len(names), width - _STEP - _COLUMN):
            yield _table(result, column, shown)
            yield Text()


def _table(result: Result, column: ColumnRecord, names: Sequence[str]) -> Table:
    has_ceiling = column.key in result.trust
    table = new_table()
    table.add_column("\n".join(f"  {line}" for line in column.title.split("\n")), no_wrap=True)
    if has_ceiling:
        table.add_column("ceiling", min_width=_VALUE)
    for name in names:
        table.add_column(Name(name, indent=0), min_width=_VALUE)
    for point in result.trace:
        of_step = {cell.name: cell.value(column.key) for cell in point.cells}
        trust = point.trust.get(column.key)
        ceilings = [UNKNOWN if trust is None else trust.ceiling] if has_ceiling else []
        row = [*ceilings, *(of_step.get(name, UNKNOWN) for name in names)]
        written = on_one_line if len(row) <= _ON_ONE_LINE else on_two_lines
        table.add_row(f"  step {point.step:,}", *map(written, row))
    return table
