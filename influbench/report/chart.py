"""Agreement against cost, drawn in a terminal."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import ceil, floor, log10
from string import ascii_lowercase

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from influbench.report.frame import framed
from influbench.report.numbers import decimal
from influbench.results import Cell, Result

_ROWS, _COLUMNS, _FEWEST_COLUMNS = 10, 60, 20
_BESIDE = 19  # characters beside a chart's columns: margins, heights, and what the last tick's label may take
_LEAST = 0.1  # trainings; what costs less stands at the left, with what costs nothing
_FEWEST = 3
_SEVERAL = "*"


@dataclass(frozen=True)
class _Point:
    letter: str
    trainings: float
    value: float

    @property
    def decade(self) -> float:
        return log10(max(_LEAST, self.trainings))


def cost_charts(result: Result, *, width: int, wide: bool) -> Iterator[RenderableType]:
    """A chart for each column that has one, two side by side if `wide`.

    Not drawn where fewer than three estimators have an agreement, or all cost the same.
    """
    letters, charts = _letters(result.cells), []
    n_columns = max(_FEWEST_COLUMNS, min(_COLUMNS, width - _BESIDE))
    for column in result.columns:
        points = list(_points(result, column.key, letters)) if column.chart else []
        if len(points) >= _FEWEST and len({point.trainings for point in points}) > 1:
            title = Text(f"{column.name}, against trainings\n", style="bold")
            charts.append(title.append(Text(_drawn(points, n_columns), style="not bold")))
    if not charts:
        return
    legend = [f"{letter} {name}" for name, letter in letters.items()]
    note = "Capitals: nothing as cheap agrees better (the Pareto front). *: several in one place."
    table = Table.grid(padding=(0, 3))
    per_row = 2 if wide else 1
    for start in range(0, len(charts), per_row):
        table.add_row(*charts[start : start + per_row])
        table.add_row()
    yield Padding(Group(table, Text("  ".join(legend)), Text(note, style="dim"), Text()), (0, 2))


def _letters(cells: Sequence[Cell]) -> Mapping[str, str]:
    """A letter for each estimator of known cost, whatever its parameters; the first 26 have one."""
    known = [cell for cell in cells if cell.status == "ok" and cell.training_equivalents is not None]
    estimators = list(dict.fromkeys(cell.estimator for cell in known))
    return dict(zip(estimators, ascii_lowercase, strict=False))


def _points(result: Result, column: str, letters: Mapping[str, str]) -> Iterator[_Point]:
    front = result.fronts.get(column, ())
    for cell in result.cells:
        value, letter, cost = cell.value(column).value, letters.get(cell.estimator), cell.training_equivalents
        if letter is not None and value is not None and cost is not None:
            yield _Point(letter.upper() if cell.name in front else letter, cost, value)


def _drawn(points: Sequence[_Point], n_columns: int) -> str:
    """Letters in a frame; the lower axis counts trainings in powers of ten."""
    first, last = floor(min(point.decade for point in points)), ceil(max(point.decade for point in points))
    bottom, top = min(point.value for point in points), max(point.value for point in points)
    per_decade, per_value = (n_columns - 1) / max(1, last - first), (_ROWS - 1) / max(top - bottom, 1e-9)
    rows = [[" "] * n_columns for _ in range(_ROWS)]
    for point in points:
        row = rows[round((top - point.value) * per_value)]
        column = round((point.decade - first) * per_decade)
        row[column] = point.letter if row[column] in (" ", point.letter) else _SEVERAL
    heights = {number: decimal(top - number / per_value) for number in range(0, _ROWS, 3)}
    ticks = {
        round((decade - first) * per_decade): "0" if 10**decade <= _LEAST else f"{10**decade:,}"
        for decade in range(first, last + 1)
    }
    return framed(rows, heights, ticks, margin=5)
