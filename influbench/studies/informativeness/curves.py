"""Curves in a terminal: their points are letters, joined by lines of dots."""

from collections.abc import Mapping, Sequence

from influbench.report.frame import framed
from influbench.report.numbers import decimal

_ROWS, _COLUMNS = 9, 26
_SEVERAL = "*"


def drawn(curves: Mapping[str, Sequence[float | None]], labels: Sequence[str]) -> str:
    """A chart with one curve for each letter: a value, or None, above each of the evenly spaced labels.

    A star replaces several letters in one place.
    """
    values = [value for curve in curves.values() for value in curve if value is not None]
    if not values:
        return ""
    bottom, top = min(values), max(values)
    per_value = (_ROWS - 1) / max(top - bottom, 1e-9)
    columns = [round((at + 0.5) * _COLUMNS / len(labels)) for at in range(len(labels))]
    rows = [[" "] * _COLUMNS for _ in range(_ROWS)]

    def at(value: float) -> list[str]:
        return rows[round((top - value) * per_value)]

    for curve in curves.values():
        for left, right in zip(range(len(curve) - 1), range(1, len(curve)), strict=True):
            start, end = curve[left], curve[right]
            if start is not None and end is not None:
                for column in range(columns[left] + 1, columns[right]):
                    share = (column - columns[left]) / (columns[right] - columns[left])
                    at(start + share * (end - start))[column] = "·"
    taken: dict[tuple[int, int], str] = {}
    for letter, curve in curves.items():
        for column, value in zip(columns, curve, strict=True):
            if value is not None:
                place = round((top - value) * per_value), column
                taken[place] = _SEVERAL if place in taken else letter
    for (row, column), letter in taken.items():
        rows[row][column] = letter
    heights = {number: decimal(top - number / per_value) for number in range(0, _ROWS, 4)}
    return framed(rows, heights, dict(zip(columns, labels, strict=True)), margin=6)
