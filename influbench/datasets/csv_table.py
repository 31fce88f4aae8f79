"""Examples in a CSV table. A DataError here begins with a verb or a line; the caller puts the file's name before it."""

import csv
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from math import isfinite
from pathlib import Path

import torch
from torch import Tensor

from influbench.api import Split
from influbench.datasets.examples import Examples, kinds_like_classes
from influbench.errors import DataError
from influbench.registry.selectors import written

ID, SPLIT = "id", "split"
_SIDES = ("train", "test")
_WHOLE = r"[+-]?[0-9]+"
_UNNAMED = r"|Unnamed: [0-9]+"  # the header that pandas writes or reads above its row numbers
_INDEX = "index"  # the header that pandas' reset_index writes above row numbers
_MISSING = ("na", "n/a", "<na>", "nan", "null")  # what programs write for a missing cell, if they do not leave it empty
_OTHER_SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "bars"}
_MOST_LISTED = 10  # names of columns that fit into one sentence


@dataclass(frozen=True)
class _Column:
    """One column of a table: its cells, and their line numbers."""

    name: str
    cells: Sequence[str]
    lines: Sequence[int]

    def numbers(self, *, missing: str, words: str) -> Tensor:
        """The column as numbers, (n,) float64. Errors end in the remedy for a `missing` cell, or for `words`."""
        numbers = [self._number(row, missing, words) for row in range(len(self.cells))]
        return torch.tensor(numbers, dtype=torch.float64)

    def _number(self, row: int, missing: str, words: str) -> float:
        self.check_present(row, missing)
        try:
            number = float(self.cells[row])
        except ValueError:
            raise self.wrong(row, f"is not a number; {words}") from None
        if not isfinite(number):
            raise self.wrong(row, f"is not a finite number; {missing}")
        return number

    def check_present(self, row: int, missing: str) -> None:
        """Raise DataError with this remedy if the cell is `missing`."""
        if not self.cells[row]:
            raise self.wrong(row, f"is empty; {missing}")
        if self.cells[row].lower() in _MISSING:
            raise self.wrong(row, f"stands for a missing cell; {missing}")

    def counts_rows(self) -> bool:
        """True if the cells are 0, 1, 2, ... or 1, 2, 3, ... in any order."""
        if not all(re.fullmatch(_WHOLE, cell) for cell in self.cells):
            return False
        numbers, n = sorted(map(int, self.cells)), len(self.cells)
        return numbers in (list(range(n)), list(range(1, n + 1)))

    def wrong(self, row: int, why: str) -> DataError:
        """An error about one cell."""
        cell = f": {self.cells[row]!r}" if self.cells[row] else ""
        return DataError(f"line {self.lines[row]}, column {self.name!r}{cell} {why}")


def read_table(path: Path, *, label: str, standardize: bool, regression: bool) -> Examples:
    """The pool, or the train and test points, in the table."""
    columns = _columns(path, label)
    if label not in columns:
        raise DataError(f"has no column {label!r}; it has {_listed(columns)}; {_how_to_name(label, columns)}")
    measured = [column for name, column in columns.items() if name not in (label, ID, SPLIT)]
    if not measured:
        raise DataError(f"has no inputs: its columns are {', '.join(columns)}")
    if _INDEX in columns and label != _INDEX and columns[_INDEX].counts_rows():
        raise DataError(
            f"has a column {_INDEX!r} that only counts the rows and would be an input; leave it out, in pandas with "
            f"reset_index(drop=True), or name it {ID!r}"
        )
    missing, words = (
        "fill it in, or leave out the line or the column",
        "write words as columns of 0 and 1, or leave it out",
    )
    inputs = torch.stack([column.numbers(missing=missing, words=words) for column in measured], 1)
    labels, n_classes = _labels(columns[label], regression=regression)
    if standardize:
        inputs = _standardized(inputs)
        labels = _standardized(labels) if n_classes is None else labels
    sides = _sides(columns.get(SPLIT), len(inputs))
    ids = _ids(columns.get(ID), sides)
    splits = tuple(Split(inputs[rows], labels[rows], ids[rows]) for rows in sides)
    return Examples(splits, n_classes)


def _listed(names: Iterable[str]) -> str:
    every = list(names)
    listed, n_more = ", ".join(every[:_MOST_LISTED]), len(every) - _MOST_LISTED
    return f"{listed} and {n_more} more" if n_more > 0 else listed


def _how_to_name(label: str, names: Iterable[str]) -> str:
    """The remedy if there is not a column called `label`."""
    close = [*get_close_matches(label, names, n=1), *reversed(list(names))][0]
    if _is_number(close):
        return f"write {label!r} above the one that holds the labels"
    return f"say which one holds the labels, for instance [label={written(close)}] after its name"


def _columns(path: Path, label: str) -> dict[str, _Column]:
    rows = _rows(path)
    if not rows:
        raise DataError("is empty")
    (_, header), *rows = rows
    names = [name.strip() for name in header]
    _check_header(names, label)
    if unnamed := [place for place, name in enumerate(names, start=1) if re.fullmatch(_UNNAMED, name)]:
        raise DataError(
            f"has no name above column {unnamed[0]}, as pandas writes its row numbers; leave them out with "
            "to_csv(index=False), or name the column, 'id' if it holds ids"
        )
    if twice := [name for name in names if names.count(name) > 1]:
        raise DataError(f"has two columns {twice[0]!r}")
    for line, cells in rows:
        if len(cells) != len(names):
            raise DataError(f"line {line}: {len(cells)} cell{'s' * (len(cells) != 1)}, expected {len(names)}")
    if not rows:
        raise DataError("has no examples")
    lines = [line for line, _ in rows]
    return {name: _Column(name, [cells[n].strip() for _, cells in rows], lines) for n, name in enumerate(names)}


def _check_header(names: Sequence[str], label: str) -> None:
    """Raise DataError if the first line does not name columns."""
    if len(names) == 1 and (others := [sign for sign in _OTHER_SEPARATORS if sign in names[0]]):
        raise DataError(
            f"is separated by {_OTHER_SEPARATORS[others[0]]}, expected commas; write it again, in pandas with "
            f"read_csv(..., sep={others[0]!r}).to_csv(..., index=False)"
        )
    numbers = [name for name in names if _is_number(name)]
    is_named = label in names and label not in numbers
    if not is_named and 2 * len(numbers) > len(names) and not _is_a_range(numbers):
        raise DataError(
            f"has no header: its first line is {_listed(names)}; write a line of names above it, "
            f"for instance {_header(len(names), label)}"
        )


def _header(n: int, label: str) -> str:
    """A line of names for `n` columns, of which the last holds labels."""
    inputs = [f"x{place}" for place in range(1, n)]
    shown = inputs if n <= _MOST_LISTED else [*inputs[:2], "...", inputs[-1]]
    return ",".join([*shown, "label" if _is_number(label) else label])


def _is_a_range(numbers: Sequence[str]) -> bool:
    """True if these names count: 0,1,2, as pandas names the columns of an array, or 2019,2020."""
    whole = [int(number) for number in numbers if re.fullmatch(_WHOLE, number)]
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


def _labels(column: _Column, *, regression: bool) -> tuple[Tensor, int | None]:
    """Labels and the number of classes, which is None for regression."""
    missing = "give its label, in full if it is the name of a class, or leave out the line"
    for row in range(len(column.cells)):
        column.check_present(row, missing)
    if regression or any(map(_is_fraction, column.cells)):
        numbers = column.numbers(missing=missing, words="labels here are numbers, not classes")
        if not regression and (n_kinds := kinds_like_classes(numbers)):
            raise DataError(
                f"has labels of {n_kinds} whole numbers that are written with a decimal point, like 1.0; write classes "
                "as 1, or ask for regression with [regression=true] after its name"
            )
        return numbers, None
    whole = all(re.fullmatch(_WHOLE, cell) for cell in column.cells)
    names = [str(int(cell)) if whole else cell for cell in column.cells]  # 07 is 7
    places = {name: place for place, name in enumerate(sorted(set(names), key=int if whole else None))}
    return torch.tensor([places[name] for name in names]), len(places)


def _is_fraction(cell: str) -> bool:
    """True if a cell is a number that is not written as a whole number."""
    return _is_number(cell) and re.fullmatch(_WHOLE, cell) is None


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _sides(column: _Column | None, n: int) -> list[Tensor]:
    """The rows of the pool, or the rows of the train points and of the test points."""
    if column is None:
        return [torch.arange(n)]
    for row, cell in enumerate(column.cells):
        if cell not in _SIDES:
            raise column.wrong(row, "is neither train nor test")
    return [torch.tensor([row for row, cell in enumerate(column.cells) if cell == side]).long() for side in _SIDES]


def _ids(column: _Column | None, sides: Sequence[Tensor]) -> Tensor:
    """The ids in the column, or numbers from 0 on, first for train points and then for test points."""
    if column is None:
        return torch.cat(list(sides)).argsort()
    seen: set[str] = set()
    for row, cell in enumerate(column.cells):
        if not re.fullmatch(r"[0-9]{1,18}", cell):
            raise column.wrong(row, "is not an id, which is a whole number")
        if str(int(cell)) in seen:
            raise column.wrong(row, "is in the column twice")
        seen.add(str(int(cell)))
    return torch.tensor([int(cell) for cell in column.cells])


def _standardized(values: Tensor) -> Tensor:
    """Values with mean 0 and standard deviation 1 along the first axis; 0 if they are all the same."""
    scaled = (values - values.mean(0)) / values.std(0, correction=0)
    return scaled.where(values.amax(0) > values.amin(0), torch.zeros_like(values))
