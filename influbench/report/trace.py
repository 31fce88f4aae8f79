"""How agreement changes in the course of training, in a terminal."""

from collections.abc import Iterator

from rich.console import RenderableType
from rich.padding import Padding
from rich.text import Text

from influbench.report.tables import COLUMN_TITLES, new_table, on_one_line
from influbench.results import UNKNOWN, Cell, Result, Statistic, TruthRecord, Where

_COLUMNS: tuple[Where, ...] = ("influence", "within_class", "memorization")


def trace_tables(result: Result) -> Iterator[RenderableType]:
    """A table for each kind of agreement: the ceiling and every traced estimator, after each step."""
    for where in _COLUMNS:
        rows: dict[str, list[Text]] = {}
        for point in result.trace:
            for cell in point.cells:
                found = _agreement(cell, where)
                if found is not None:
                    rows.setdefault(cell.name, []).append(on_one_line(found))
        if not rows:
            continue
        table = new_table(narrow=True)
        table.add_column(f"  {' '.join(COLUMN_TITLES[where].split())}", overflow="fold", min_width=16)
        for point in result.trace:
            table.add_column(f"step {point.step:,}", no_wrap=True)
        table.add_row("  ceiling", *(on_one_line(_ceiling(point.truth, where)) for point in result.trace))
        for name, of_steps in rows.items():
            table.add_row(Padding(Text(name, overflow="fold"), (0, 0, 0, 2)), *of_steps)
        yield table
        yield Text()


def _agreement(cell: Cell, where: Where) -> Statistic | None:
    if cell.quantity != ("memorization" if where == "memorization" else "influence"):
        return None
    return cell.within_class if where == "within_class" else cell.spearman


def _ceiling(truth: TruthRecord, where: Where) -> Statistic:
    trust = {"within_class": truth.influence.within_class, "memorization": truth.memorization}.get(
        where, truth.influence
    )
    return UNKNOWN if trust is None else trust.ceiling
