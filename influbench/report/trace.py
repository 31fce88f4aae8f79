"""How agreement changes in the course of training, in a terminal."""

from collections.abc import Iterator, Sequence

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from influbench.report.names import Name
from influbench.report.tables import COLUMN_TITLES, new_table, on_one_line, on_two_lines, side_by_side
from influbench.results import UNKNOWN, Result, Statistic, TruthRecord, Where

_COLUMNS: tuple[Where, ...] = ("influence", "within_class", "memorization")
_STEP, _VALUE, _COLUMN = 14, 13, 16  # characters of the first column, of a value, and of a value with its margin
_ON_ONE_LINE = 3  # columns whose intervals fit beside their values in 80 characters


def trace_tables(result: Result, *, width: int) -> Iterator[RenderableType]:
    """Tables for each kind of agreement: the ceiling and the traced estimators, after each step."""
    for where in _COLUMNS:
        names = {cell.name: None for point in result.trace for cell in point.cells if cell.agreement(where) is not None}
        for shown in side_by_side(list(names), [_COLUMN] * len(names), width - _STEP - _COLUMN):
            yield _table(result, where, shown)
            yield Text()


def _table(result: Result, where: Where, names: Sequence[str]) -> Table:
    table = new_table()
    table.add_column("\n".join(f"  {line}" for line in COLUMN_TITLES[where].split("\n")), no_wrap=True)
    table.add_column("ceiling", min_width=_VALUE)
    for name in names:
        table.add_column(Name(name, indent=0), min_width=_VALUE)
    for point in result.trace:
        of_step = {cell.name: agreement for cell in point.cells if (agreement := cell.agreement(where)) is not None}
        row = [_ceiling(point.truth, where), *(of_step.get(name, UNKNOWN) for name in names)]
        written = on_one_line if len(row) <= _ON_ONE_LINE else on_two_lines
        table.add_row(f"  step {point.step:,}", *map(written, row))
    return table


def _ceiling(truth: TruthRecord, where: Where) -> Statistic:
    trust = {"within_class": truth.influence.within_class, "memorization": truth.memorization}.get(
        where, truth.influence
    )
    return UNKNOWN if trust is None else trust.ceiling
