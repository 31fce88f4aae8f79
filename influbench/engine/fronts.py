"""The estimators of a run that are worth their cost."""

from collections.abc import Iterable, Sequence

from influbench.results import Cell
from influbench.statistics.front import pareto_front


def fronts(cells: Sequence[Cell], columns: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Names on the Pareto front of training-run equivalents and agreement, cheapest first, by column.

    Columns in which no estimator has a value are left out.
    """
    found: dict[str, tuple[str, ...]] = {}
    for column in columns:
        names, costs, values = [], [], []
        for cell in cells:
            value, cost = cell.value(column).value, cell.training_equivalents
            if value is not None and cost is not None:
                names.append(cell.name)
                costs.append(cost)
                values.append(value)
        if names:
            found[column] = tuple(names[number] for number in pareto_front(costs, values))
    return found
