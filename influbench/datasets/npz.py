"""Examples in a .npz file. A DataError here begins with a verb; the caller puts the file's name before it."""

import struct
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from tokenize import TokenError
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from influbench.api import Split
from influbench.datasets.examples import (
    Examples,
    check_kind,
    in_brackets,
    kinds_like_classes,
    telling_names,
)
from influbench.datasets.shapes import channels_first
from influbench.errors import DataError, did_you_mean

Array = NDArray[Any]

_POOL, _GIVEN = ("",), ("train_", "test_")  # prefixes of the names of arrays
_REQUIRED, _OPTIONAL = ("inputs", "labels"), ("ids",)
_N_CLASSES, _CLASS_NAMES = "n_classes", "class_names"
_DAMAGE = (
    *(
        ValueError,
        TypeError,
        SyntaxError,
        TokenError,
        EOFError,
        MemoryError,
    ),  # from numpy, on bytes that are not an array
    *(zipfile.BadZipFile, zlib.error, struct.error, KeyError, NotImplementedError, RuntimeError),  # and from zipfile
)


def read_npz(path: Path, *, regression: bool | None) -> Examples:
    """The pool, or the train and test points, in the file. With `regression`, integer labels become floats."""
    arrays, sides = _arrays(path)
    splits: list[Split] = []
    for side in sides:
        inputs = _inputs(arrays[f"{side}inputs"], f"{side}inputs")
        labels = _labels(arrays[f"{side}labels"], f"{side}labels", n=len(inputs))
        labels = _of_kind(labels, regression)
        first = int(splits[0].ids.max()) + 1 if splits else 0
        splits.append(Split(inputs, labels, _ids(arrays.get(f"{side}ids"), f"{side}ids", len(inputs), first)))
    labels_of_sides = [split.labels for split in splits]
    n_classes = _n_classes(labels_of_sides, sides, arrays.get(_N_CLASSES))
    if n_classes is None and regression is None and (n_kinds := kinds_like_classes(torch.cat(labels_of_sides))):
        raise DataError(
            f"holds {sides[0]}labels as floats that are {n_kinds} whole numbers; store classes as integers, with "
            "labels.astype(int), or ask for regression with [regression=true] after its name"
        )
    if n_classes is not None and regression is None and _N_CLASSES not in arrays:
        check_kind(n_classes, sum(map(len, labels_of_sides)), in_brackets)
    names = _class_names(arrays.get(_CLASS_NAMES), n_classes)
    return channels_first(Examples(tuple(splits), n_classes, telling_names(names)))


def _of_kind(labels: Tensor, regression: bool | None) -> Tensor:
    """The labels as floats for regression, as integers for classes, and unchanged if neither is asked for."""
    if regression:
        return labels.double()
    if regression is False and labels.is_floating_point():
        if not bool((labels == labels.round()).all()):
            raise DataError("holds labels that are not whole numbers, so they are not classes; leave out regression")
        return labels.long()
    return labels


def _class_names(stored: Array | None, n_classes: int | None) -> list[str] | None:
    if stored is None:
        return None
    if stored.dtype.kind != "U":
        raise DataError(f"holds {_CLASS_NAMES} as {stored.dtype}, expected words")
    if stored.shape != (n_classes,):
        expected = "none for regression" if n_classes is None else f"({n_classes},)"
        raise DataError(f"holds {_CLASS_NAMES} of shape {stored.shape}, expected {expected}")
    return [str(name) for name in stored]


def _arrays(path: Path) -> tuple[Mapping[str, Array], Sequence[str]]:
    with path.open("rb") as file:
        try:
            archive = np.load(file, allow_pickle=False)
        except _DAMAGE as error:
            raise _damaged(error) from None
        if not isinstance(archive, np.lib.npyio.NpzFile):
            raise _damaged()
        sides = _sides(archive.files)
        return {name: _read(archive, name) for name in archive.files}, sides


def _sides(names: Sequence[str]) -> Sequence[str]:
    """The prefixes of the names of the arrays. DataError if an array is missing or not known."""
    found = [sides for sides in (_POOL, _GIVEN) if all(name in names for name in _with(sides, _REQUIRED))]
    if not found:
        pool, given = (", ".join(_with(sides, _REQUIRED)) for sides in (_POOL, _GIVEN))
        raise DataError(f"holds {', '.join(names) or 'nothing'}; it needs {pool}, or {given}")
    if len(found) > 1:
        raise DataError("holds both a pool (inputs) and train and test points (train_inputs)")
    known = [*_with(found[0], _REQUIRED + _OPTIONAL), _N_CLASSES, _CLASS_NAMES]
    if unknown := [name for name in names if name not in known]:
        hint = did_you_mean(unknown[0], known) or f"; known here are {', '.join(known)}"
        raise DataError(f"holds {unknown[0]!r}, which is not known{hint}")
    return found[0]


def _with(sides: Sequence[str], names: Sequence[str]) -> list[str]:
    return [f"{side}{name}" for side in sides for name in names]


def _read(archive: Any, name: str) -> Array:
    try:
        array = archive[name]
    except _DAMAGE as error:
        if "allow_pickle" in str(error):
            number = f", of words np.unique({name}, return_inverse=True)[1]" if name.endswith("labels") else ""
            raise DataError(f"holds pickled objects in {name}, which are not read; store numbers{number}") from None
        raise _damaged(error) from None
    if not isinstance(array, np.ndarray):
        raise _damaged()
    return array


def _inputs(array: Array, name: str) -> Tensor:
    if array.dtype.kind in "iu":
        raise DataError(f"holds {name} as {array.dtype}; store floats, for pixels {name} / 255: nothing is scaled here")
    if array.dtype.kind != "f":
        raise DataError(f"holds {name} as {array.dtype}, expected floats")
    if array.ndim < 2 or not len(array):
        raise DataError(f"holds {name} of shape {array.shape}, expected an axis of examples and at least one more")
    return _floats(array)


def _labels(array: Array, name: str, *, n: int) -> Tensor:
    if array.dtype.kind not in "iuf":
        number = f"{name}.astype(int)" if array.dtype.kind == "b" else f"np.unique({name}, return_inverse=True)[1]"
        raise DataError(f"holds {name} as {array.dtype}; number the classes: {number}")
    if array.shape != (n,):
        raise DataError(f"holds {name} of shape {array.shape}, expected ({n},)")
    return _floats(array) if array.dtype.kind == "f" else torch.from_numpy(array.astype(np.int64))


def _floats(array: Array) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(array, dtype=np.float32 if array.itemsize <= 4 else np.float64))


def _ids(array: Array | None, name: str, n: int, first: int) -> Tensor:
    """The stored ids, or numbers from `first` on."""
    if array is None:
        return torch.arange(first, first + n)
    if array.dtype.kind not in "iu":
        raise DataError(f"holds {name} as {array.dtype}, expected integers")
    if array.shape != (n,):
        raise DataError(f"holds {name} of shape {array.shape}, expected ({n},)")
    ids, counts = np.unique(array.astype(np.int64), return_counts=True)
    if ids[0] < 0:
        raise DataError(f"holds {ids[0]} in {name}, expected ids of at least 0")
    if counts.max() > 1:
        raise DataError(f"holds {ids[counts.argmax()]} more than once in {name}")
    return torch.from_numpy(array.astype(np.int64))


def _n_classes(labels: Sequence[Tensor], sides: Sequence[str], stored: Array | None) -> int | None:
    """The number of classes, or None for regression. Every class has an example, unless their number is stored."""
    if stored is not None and (stored.dtype.kind not in "iu" or stored.size != 1):
        raise DataError(f"holds {_N_CLASSES} = {stored}, expected one integer")
    kinds = [one.is_floating_point() for one in labels]
    if all(kinds) and stored is not None:
        raise DataError(f"holds {_N_CLASSES}, and labels that are floats (regression)")
    if all(kinds):
        return None
    if any(kinds):
        words = {True: "floats (regression)", False: "integers (classes)"}
        both = " and ".join(f"{side}labels as {words[kind]}" for side, kind in zip(sides, kinds, strict=True))
        raise DataError(f"holds {both}, expected one kind")
    present = torch.cat(list(labels)).unique().tolist()
    if present[0] < 0:
        raise DataError(f"holds the label {present[0]}, expected classes that are numbered from 0 on")
    if stored is None:
        if gaps := [number for number, label in enumerate(present) if label != number]:
            raise DataError(f"holds no label {gaps[0]}; number classes from 0 on without gaps, or store {_N_CLASSES}")
        return len(present)
    if present[-1] >= stored:
        raise DataError(f"holds the label {present[-1]}, which is too high for {_N_CLASSES} = {int(stored)}")
    return int(stored)


def _damaged(error: Exception | None = None) -> DataError:
    lines = str(error or "").splitlines()
    return DataError(f"is damaged or not a .npz file{f': {lines[0]}' if lines else ''}")
