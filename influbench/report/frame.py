"""The frame of a chart that is drawn with characters."""

from collections.abc import Mapping, Sequence


def framed(rows: Sequence[Sequence[str]], heights: Mapping[int, str], ticks: Mapping[int, str], *, margin: int) -> str:
    """Rows of characters, top first, with an axis to the left and one below.

    `heights` are labels of rows, in `margin` characters; `ticks` are labels of columns, each in the middle below its
    tick.
    """
    lines = [f"{heights.get(number, ''):>{margin}} │{''.join(row).rstrip()}" for number, row in enumerate(rows)]
    n_columns = len(rows[0])
    axis, labels = ["─"] * n_columns, [" "] * (n_columns + 8)
    for column, label in ticks.items():
        axis[column] = "┴"
        start = max(0, column - len(label) // 2)
        labels[start : start + len(label)] = label
    below = [f"{'':{margin}} └{''.join(axis)}", f"{'':{margin + 2}}{''.join(labels).rstrip()}"]
    return "\n".join([*lines, *below])
