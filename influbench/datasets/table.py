"""Examples in a table: named columns of cells. A DataError here begins with a verb or a place in the table."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from math import isfinite

import torch
from torch import Tensor

from influbench.api import Split
from influbench.datasets.examples import (
    Examples,
    Remedy,
    check_kind,
    in_brackets,
    is_whole_number,
    kinds_like_classes,
    telling_names,
)
from influbench.errors import DataError

ID, SPLIT = "id", "split"
_SIDES = ("train", "test")
_UNNAMED = r"|Unnamed: [0-9]+"  # the header that pandas writes or reads above its row numbers
_INDEX = "index"  # the header that pandas' reset_index writes above row numbers
_MISSING = ("na", "n/a", "<na>", "nan", "nat", "null")  # what programs write for a missing cell, if they do not leave
_MOST_LISTED = 10  # names of columns that fit into one sentence


@dataclass(frozen=True)
class Column:
    """One column of a table: its cells as they are written, and the places of these for errors: "line 3".

    `values` are the cells as numbers, (n,) float64, if it is known already that all of them are finite numbers; then
    `cells` may be empty.
    """

    name: str
    cells: Sequence[str]
    places: Sequence[str]
    values: Tensor | None = None

    def numbers(self, *, missing: str, words: str) -> Tensor:
        """The column as numbers, (n,) float64. Errors end in the remedy for a `missing` cell, or for `words`."""
        if self.values is not None:
            return self.values
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
        if not all(map(is_whole_number, self.cells)):
            return False
        numbers, n = sorted(map(int, self.cells)), len(self.cells)
        return numbers in (list(range(n)), list(range(1, n + 1)))

    def wrong(self, row: int, why: str) -> DataError:
        """An error about one cell."""
        cell = f": {self.cells[row]!r}" if self.cells[row] else ""
        return DataError(f"{self.places[row]}, column {self.name!r}{cell} {why}")


@dataclass(frozen=True)
class Reading:
    """A user's settings for reading a table, and the way in which errors say how to change one of them.

    `regression` None means that the labels themselves decide, or that an error asks.
    """

    label: str = "label"
    standardize: bool = True
    regression: bool | None = None
    remedy: Remedy = in_brackets


def cells_are_read(name: str, label: str) -> bool:
    """True if more is read from this column than numbers."""
    return name in (label, ID, SPLIT, _INDEX)


def examples_in(columns: Mapping[str, Column], reading: Reading) -> Examples:
    """The pool, or the train and test points, in these columns."""
    label = reading.label
    if label not in columns:
        raise DataError(
            f"has no column {label!r}; it has {listed(columns)}; {_how_to_name(label, columns, reading.remedy)}"
        )
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
    labels, class_names = _labels(columns[label], reading)
    n_classes = None if class_names is None else len(class_names)
    if reading.standardize:
        inputs = standardized(inputs)
        labels = standardized(labels) if n_classes is None else labels
    sides = _sides(columns.get(SPLIT), len(inputs))
    ids = _ids(columns.get(ID), sides)
    splits = tuple(Split(inputs[rows], labels[rows], ids[rows]) for rows in sides)
    return Examples(splits, n_classes, telling_names(class_names))


def check_names(names: Sequence[str]) -> None:
    """Raise DataError if a column has no name, or shares it."""
    if unnamed := [place for place, name in enumerate(names, start=1) if re.fullmatch(_UNNAMED, name)]:
        raise DataError(
            f"has no name above column {unnamed[0]}, as pandas writes its row numbers; leave them out with "
            "to_csv(index=False), or name the column, 'id' if it holds ids"
        )
    if twice := [name for name in names if names.count(name) > 1]:
        raise DataError(f"has two columns {twice[0]!r}")


def listed(names: Iterable[str]) -> str:
    """Names in a sentence, the first of them if they are many."""
    every = list(names)
    shown, n_more = ", ".join(every[:_MOST_LISTED]), len(every) - _MOST_LISTED
    return f"{shown} and {n_more} more" if n_more > 0 else shown


def is_number(cell: str) -> bool:
    """True if a cell is a number of any kind."""
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _how_to_name(label: str, names: Iterable[str], remedy: Remedy) -> str:
    """The remedy if there is not a column called `label`."""
    others = [name for name in names if name not in (ID, SPLIT)] or list(names)
    close = [*get_close_matches(label, others, n=1), *reversed(others)][0]
    if remedy is in_brackets and is_number(close):
        return f"write {label!r} above the one that holds the labels"
    return f"say which one holds the labels, for instance {remedy('label', close)}"


def _labels(column: Column, reading: Reading) -> tuple[Tensor, tuple[str, ...] | None]:
    """Labels and the names of the classes, which are None for regression."""
    missing = "give its label, in full if it is the name of a class, or leave out the line"
    for row in range(len(column.cells)):
        column.check_present(row, missing)
    if reading.regression or (reading.regression is None and any(map(_is_fraction, column.cells))):
        numbers = column.numbers(missing=missing, words="labels here are numbers, not classes")
        if reading.regression is None and (n_kinds := kinds_like_classes(numbers)):
            raise DataError(
                f"has labels of {n_kinds} whole numbers that are written with a decimal point, like 1.0; write classes "
                f"as 1, or ask for regression with {reading.remedy('regression', True)}"
            )
        return numbers, None
    whole = all(map(is_whole_number, column.cells))
    of_numbers = whole or all(map(is_number, column.cells))  # classes written 1.0 are numbers, if that is asked for
    names = [_as_number(cell) if of_numbers else cell for cell in column.cells]
    kinds = sorted(set(names), key=float if of_numbers else None)
    if whole and reading.regression is None:
        check_kind(len(kinds), len(names), reading.remedy)
    places = {name: place for place, name in enumerate(kinds)}
    return torch.tensor([places[name] for name in names]), tuple(kinds)


def _as_number(cell: str) -> str:
    """The number in a cell, in one way of writing it: 07 and 7.0 are 7."""
    number = float(cell)
    if is_whole_number(cell):
        return str(int(cell))
    return str(int(number)) if number.is_integer() else repr(number)


def _is_fraction(cell: str) -> bool:
    """True if a cell is a number that is not written as a whole number."""
    return is_number(cell) and not is_whole_number(cell)


def _sides(column: Column | None, n: int) -> list[Tensor]:
    """The rows of the pool, or the rows of the train points and of the test points."""
    if column is None:
        return [torch.arange(n)]
    for row, cell in enumerate(column.cells):
        if cell not in _SIDES:
            raise column.wrong(row, "is neither train nor test")
    return [torch.tensor([row for row, cell in enumerate(column.cells) if cell == side]).long() for side in _SIDES]


def _ids(column: Column | None, sides: Sequence[Tensor]) -> Tensor:
    """The ids in the column, or numbers from 0 on, first for train points and then for test points."""
    if column is None:
        return torch.cat(list(sides)).argsort()
    seen: set[str] = set()
    for row, cell in enumerate(column.cells):
        if not re.fullmatch(r"[0-9]{1,18}", cell):
            raise column.wrong(row, "is not an id, which is a whole number; leave the column out to count rows instead")
        if str(int(cell)) in seen:
            raise column.wrong(row, "is in the column twice")
        seen.add(str(int(cell)))
    return torch.tensor([int(cell) for cell in column.cells])


def standardized(values: Tensor) -> Tensor:
    """The values with mean 0 and standard deviation 1 along the first axis; 0 if they are all the same."""
    scaled = (values - values.mean(0)) / values.std(0, correction=0)
    return scaled.where(values.amax(0) > values.amin(0), torch.zeros_like(values))
