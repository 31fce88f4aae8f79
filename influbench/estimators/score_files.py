"""Files in which other programs write scores. A faulty file is an EstimateError whose message begins with a verb."""

import csv
import re
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tokenize import TokenError
from typing import Literal

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from influbench.errors import EstimateError

Rows = Literal["train", "test"]

_IDS = ("train_ids", "test_ids")
_QUANTITIES = ("influence", "memorization")
_DAMAGE = (
    ValueError,
    TypeError,
    SyntaxError,
    TokenError,
    EOFError,
    MemoryError,
)  # raised by numpy on bytes that are not an array


@dataclass(frozen=True, eq=False)
class FileScores:
    """The contents of a file in its own order, in float64; None for what it does not hold."""

    influence: Tensor | None = None  # (n_train, n_test), or (n_test, n_train) where rows are test points
    memorization: Tensor | None = None  # (n_train,)
    train_ids: Tensor | None = None
    test_ids: Tensor | None = None
    notes: tuple[str, ...] = ()


def read_scores(path: Path, rows: Rows, draw: int = 0) -> FileScores:
    """The scores of one draw in a file of one of FORMATS, whose rows of influence are train or test points."""
    try:
        return FORMATS[path.suffix.lower()](path, rows, draw)
    except OSError as error:
        raise EstimateError(f"cannot be read: {error.strerror or error}") from None


def n_draws(path: Path) -> int:
    """The number of draws in a file of one of FORMATS; only .safetensors can hold more than one."""
    return _n_draws(_tensors(path)) if path.suffix.lower() == ".safetensors" else 1


def _n_draws(names: Container[str]) -> int:
    """One more than the last number, from 1 without gaps, in influence@1, influence@2, ... or memorization@1, ..."""
    n = 1
    while any(f"{quantity}@{n}" in names for quantity in _QUANTITIES):
        n += 1
    return n


def _of_safetensors(path: Path, _rows: Rows, draw: int) -> FileScores:
    tensors = _tensors(path)
    held = ", ".join(sorted(tensors)) or "nothing"
    quantities = [name for name in _QUANTITIES if name in tensors]
    if not quantities:
        raise EstimateError(f"holds neither influence nor memorization; it holds {held}")
    known, others = {}, {*tensors}
    for other in range(_n_draws(tensors)):
        for quantity in quantities:
            name = f"{quantity}@{other}" if other else quantity
            if name not in tensors:
                raise EstimateError(f"lacks {name}")
            others.remove(name)
            if other == draw:
                known[quantity] = _numbers(tensors[name], name)
    ids = {name: _ids(tensors[name], name) for name in _IDS if name in tensors}
    for name in _IDS if "influence" in known else _IDS[:1]:
        if name not in ids:
            raise EstimateError(f"lacks {name}")
    others -= ids.keys()
    notes = (f"{path.name} also holds {', '.join(sorted(others))}, not read",) if others else ()
    return FileScores(**known, **ids, notes=notes)


def _of_npy(path: Path, _rows: Rows, _draw: int) -> FileScores:
    try:
        with path.open("rb") as file:
            array = np.lib.format.read_array(file, allow_pickle=False)
    except _DAMAGE as error:
        if "allow_pickle" in str(error):
            raise EstimateError("holds pickled objects, which are not read; save an array of numbers") from None
        raise _damaged(path, error) from None
    quantity = {2: "influence", 1: "memorization"}.get(array.ndim)
    if quantity is None:
        raise EstimateError(
            f"holds an array of shape {array.shape}, expected two axes (influence) or one (memorization)"
        )
    if array.dtype.kind not in "fiu":
        raise EstimateError(f"holds {quantity} as {array.dtype}, expected floats or integers")
    values = torch.from_numpy(np.ascontiguousarray(array, dtype=np.float64))
    return FileScores(
        **{quantity: values}, notes=(f"{path.name} holds no ids and is taken to be in the order of the data",)
    )


def _of_csv(path: Path, rows: Rows, _draw: int) -> FileScores:
    header, lines = _table(path)
    row_ids = torch.tensor([_id(cells[0], line, 1) for line, cells in lines], dtype=torch.int64)
    table = [_numbers_of(cells[1:], line) for line, cells in lines]
    values = torch.tensor(table, dtype=torch.float64).reshape(len(lines), len(header) - 1)
    if header[1:] == ["memorization"]:
        return FileScores(memorization=values[:, 0], train_ids=row_ids)
    column_ids = torch.tensor([_id(cell, 1, column) for column, cell in enumerate(header[1:], 2)])
    train_ids, test_ids = (row_ids, column_ids) if rows == "train" else (column_ids, row_ids)
    return FileScores(influence=values, train_ids=train_ids, test_ids=test_ids)


FORMATS: Mapping[str, Callable[[Path, Rows, int], FileScores]] = {
    ".safetensors": _of_safetensors,
    ".npy": _of_npy,
    ".csv": _of_csv,
}


def _tensors(path: Path) -> dict[str, Tensor]:
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in sorted(file.keys())}
    except SafetensorError as error:
        raise _damaged(path, error) from None


def _numbers(tensor: Tensor, name: str) -> Tensor:
    if tensor.is_complex() or tensor.dtype == torch.bool:
        raise EstimateError(f"holds {name} as {tensor.dtype}, expected floats or integers")
    return tensor.double()


def _ids(tensor: Tensor, name: str) -> Tensor:
    if tensor.ndim != 1 or tensor.is_floating_point() or tensor.is_complex() or tensor.dtype == torch.bool:
        raise EstimateError(
            f"holds {name} as {tensor.dtype} of shape {tuple(tensor.shape)}, expected integers along one axis"
        )
    return tensor.long()


def _table(path: Path) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """The header, and the lines below it that are not blank, with their numbers."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file)
            lines = [(reader.line_num, cells) for cells in reader if cells]
    except UnicodeDecodeError:
        raise EstimateError("is not UTF-8 text") from None
    except csv.Error as error:
        raise EstimateError(f"is not valid CSV: {error}") from None
    if not lines:
        raise EstimateError("is empty")
    (_, header), *lines = lines
    header = [cell.strip() for cell in header]
    if header[0] != "id" or len(header) == 1:
        raise EstimateError(f"begins with {','.join(header)[:40]!r}, expected a header of id and further columns")
    for line, cells in lines:
        if len(cells) != len(header):
            raise EstimateError(f"line {line}: {len(cells)} cells, expected {len(header)}")
    return header, lines


def _id(cell: str, line: int, column: int) -> int:
    if not re.fullmatch(r"\s*[0-9]{1,18}\s*", cell):
        raise EstimateError(f"line {line}, column {column}: {cell!r} is not an id, which is a whole number")
    return int(cell)


def _numbers_of(cells: Sequence[str], line: int) -> list[float]:
    """The numbers of a line after the id in its first column."""
    numbers = []
    for column, cell in enumerate(cells, 2):
        try:
            numbers.append(float(cell))
        except ValueError:
            raise EstimateError(f"line {line}, column {column}: {cell!r} is not a number") from None
    return numbers


def _damaged(path: Path, error: Exception) -> EstimateError:
    return EstimateError(f"is damaged or not a {path.suffix.lower()} file: {str(error).splitlines()[0]}")
