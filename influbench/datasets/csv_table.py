"""Columns in a CSV file. A DataError here begins with a verb or a line; the caller puts the file's name before it."""

import csv
from collections.abc import Sequence
from pathlib import Path

from influbench.datasets.examples import is_whole_number
from influbench.datasets.table import Column, check_names, is_number, listed
from influbench.errors import DataError

_OTHER_SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "bars"}
_MOST_LISTED = 10  # columns of a header that fit into one sentence


def read_csv(path: Path, label: str) -> dict[str, Column]:
    """The columns of a CSV file, whose labels are in the column `label`."""
    rows = _rows(path)
    if not rows:
        raise DataError("is empty")
    (_, header), *rows = rows
    names = [name.strip() for name in header]
    _check_header(names, label)
    check_names(names)
    for line, cells in rows:
        if len(cells) != len(names):
            raise DataError(f"line {line}: {len(cells)} cell{'s' * (len(cells) != 1)}, expected {len(names)}")
    if not rows:
        raise DataError("has no examples")
    places = [f"line {line}" for line, _ in rows]
    return {name: Column(name, [cells[n].strip() for _, cells in rows], places) for n, name in enumerate(names)}


def _check_header(names: Sequence[str], label: str) -> None:
    """Raise DataError if the first line does not name columns."""
    if len(names) == 1 and (others := [sign for sign in _OTHER_SEPARATORS if sign in names[0]]):
        raise DataError(
            f"is separated by {_OTHER_SEPARATORS[others[0]]}, expected commas; write it again, in pandas with "
            f"read_csv(..., sep={others[0]!r}).to_csv(..., index=False)"
        )
    numbers = [name for name in names if is_number(name)]
    is_named = label in names and label not in numbers
    if not is_named and 2 * len(numbers) > len(names) and not _is_a_range(numbers):
        raise DataError(
            f"has no header: its first line is {listed(names)}; write a line of names above it, "
            f"for instance {_header(len(names), label)}"
        )


def _header(n: int, label: str) -> str:
    """A line of names for `n` columns, of which the last holds labels."""
    inputs = [f"x{place}" for place in range(1, n)]
    shown = inputs if n <= _MOST_LISTED else [*inputs[:2], "...", inputs[-1]]
    return ",".join([*shown, "label" if is_number(label) else label])


def _is_a_range(numbers: Sequence[str]) -> bool:
    """True if these names count: 0,1,2, as pandas names the columns of an array, or 2019,2020."""
    whole = [int(number) for number in numbers if is_whole_number(number)]
    return len(whole) == len(numbers) and whole == list(range(whole[0], whole[0] + len(whole)))


def _rows(path: Path) -> list[tuple[int, list[str]]]:
    """The lines that are not blank, with their line numbers."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, skipinitialspace=True)
            return [(reader.line_num, cells) for cells in reader if cells]
    except UnicodeDecodeError:
        raise DataError("is not UTF-8 text") from None
    except csv.Error as error:
        raise DataError(f"is not valid CSV: {error}") from None
