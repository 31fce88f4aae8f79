"""Curves over the steps of training, drawn in a terminal."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import floor

from rich.text import Text

from influbench.report.frame import framed

_ROWS, _COLUMNS = 11, 60
_LABELLED = 5  # steps that the lower axis names, at the most
SEVERAL = "*"


@dataclass(frozen=True)
class Chart:
    """Curves by the letter that draws them, with what the letters stand for. All curves lie about in [0, 1]."""

    title: str
    curves: Mapping[str, Sequence[float]]
    legend: Mapping[str, str]


def drawn(chart: Chart, steps: Sequence[int]) -> Text:
    """The chart as lines of characters: its title, the frame, and its legend.

    Neighboring steps stand equally far apart, however many there are between them. Where several curves meet there is
    a star.
    """
    bottom = min(0.0, *(min(curve) for curve in chart.curves.values()))
    top = max(1.0, *(max(curve) for curve in chart.curves.values()))
    rows = [[" "] * _COLUMNS for _ in range(_ROWS)]
    for letter, curve in chart.curves.items():
        for column in range(_COLUMNS):
            height = (_between(curve, column) - bottom) / (top - bottom)
            row = rows[round((1 - height) * (_ROWS - 1))]
            row[column] = letter if row[column] == " " else SEVERAL
    heights = {0: f"{top:.1f}", _ROWS // 2: f"{(top + bottom) / 2:.1f}", _ROWS - 1: f"{bottom:.1f}"}
    text = Text(f"{chart.title}\n", style="bold")
    text.append(framed(rows, heights, _ticks(steps), margin=5), style="not bold")
    legend = "  ".join(f"{letter} {name}" for letter, name in chart.legend.items())
    return text.append(f"\n{'':7}{legend}", style="not bold")


def _between(curve: Sequence[float], column: int) -> float:
    """The curve at this column, on a straight line between two steps."""
    place = column / (_COLUMNS - 1) * (len(curve) - 1)
    before = min(floor(place), len(curve) - 2)
    return curve[before] + (place - before) * (curve[before + 1] - curve[before])


def _ticks(steps: Sequence[int]) -> dict[int, str]:
    """Labels of some of the steps, by column."""
    n_between = min(_LABELLED, len(steps)) - 1
    named = sorted({round(k * (len(steps) - 1) / n_between) for k in range(n_between + 1)})
    return {
        round(number / (len(steps) - 1) * (_COLUMNS - 1)): f"{steps[number]:,}" if number else "step 0"
        for number in named
    }
