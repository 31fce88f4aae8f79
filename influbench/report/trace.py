"""How agreement changes in the course of training, in a terminal."""

from collections.abc import Iterator

from rich.console import RenderableType
from rich.text import Text

from influbench.report.tables import COLUMN_TITLES, new_table, on_one_line, on_two_lines
from influbench.results import UNKNOWN, Result, Statistic, TruthRecord, Where

_COLUMNS: tuple[Where, ...] = ("influence", "within_class", "memorization")
_ON_ONE_LINE = 3  # columns whose intervals fit beside their values in 80 characters


def trace_tables(result: Result) -> Iterator[RenderableType]:
    """A table for each kind of agreement: the ceiling and every traced estimator, after each step."""
    for where in _COLUMNS:
        names = {cell.name: None for point in result.trace for cell in point.cells if cell.agreement(where) is not None}
        if not names:
            continue
        table = new_table()
        table.add_column("\n".join(f"  {line}" for line in COLUMN_TITLES[where].split("\n")), no_wrap=True)
        for title in ("ceiling", *names):
            table.add_column(title, overflow="fold", min_width=13)
        for point in result.trace:
            of_step = {cell.name: agreement for cell in point.cells if (agreement := cell.agreement(where)) is not None}
            row = [_ceiling(point.truth, where), *(of_step.get(name, UNKNOWN) for name in names)]
            written = on_one_line if len(row) <= _ON_ONE_LINE else on_two_lines
            table.add_row(f"  step {point.step:,}", *map(written, row))
        yield table
        yield Text()


def _ceiling(truth: TruthRecord, where: Where) -> Statistic:
    trust = {"within_class": truth.influence.within_class, "memorization": truth.memorization}.get(
        where, truth.influence
    )
    return UNKNOWN if trust is None else trust.ceiling
