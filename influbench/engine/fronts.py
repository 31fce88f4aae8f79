"""Which estimators of a run are worth their cost."""

from collections.abc import Sequence
from typing import get_args

from influbench.results import Cell, Where
from influbench.statistics.front import pareto_front


def fronts(cells: Sequence[Cell]) -> dict[Where, tuple[str, ...]]:
    """Names on the Pareto front of training-run equivalents and agreement, cheapest first; by the values as they are.

    Columns in which no estimator has an agreement are left out.
    """
    found: dict[Where, tuple[str, ...]] = {}
    for where in get_args(Where):
        points = [
            (cell.name, cell.training_equivalents, agreement.value)
            for cell in cells
            if (agreement := cell.agreement(where)) and agreement.value is not None
        ]
        known = [(name, cost, value) for name, cost, value in points if cost is not None]
        front = pareto_front([cost for _, cost, _ in known], [value for _, _, value in known])
        if front:
            found[where] = tuple(known[number][0] for number in front)
    return found
