"""Examples in arrays: of numpy, torch, or pandas, or nested lists. A DataError here begins with a verb."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isnan
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from influbench.api import Split
from influbench.datasets.examples import (
    Examples,
    as_argument,
    check_kind,
    is_whole_number,
    kinds_like_classes,
    telling_names,
)
from influbench.datasets.shapes import channels_first
from influbench.errors import DataError, first_line

Array: TypeAlias = NDArray[Any]

_NUMBERS = "biuf"  # numpy's kinds of booleans, integers and floats
_LEAST_PICTURE = 3  # axes from which bytes are pixels, and not counts in a table


@dataclass(frozen=True)
class Side:
    """Inputs and labels as they were given, with what errors call them: "X" and "y"."""

    inputs: object
    labels: object
    inputs_name: str = "inputs"
    labels_name: str = "labels"


def examples_of(
    sides: Sequence[Side], *, regression: bool | None = None, class_names: Sequence[str] | None = None
) -> Examples:
    """The pool, or the train and test points, in these arrays.

    Inputs (n, ...) are numbers, and nothing is scaled but bytes of pictures. Labels (n,), (n, 1) or one-hot are words
    or whole numbers for classes, and other numbers for regression; `regression` says which one it is where the numbers
    do not. `class_names` are the names of the labels 0, 1, 2, ..., if they are known.
    """
    notes: list[str] = []
    inputs = [_inputs(side, notes) for side in sides]
    raw = [_labels(side, len(one)) for side, one in zip(sides, inputs, strict=True)]
    labels, names = _of_one_kind(raw, sides, regression, class_names)
    first = [0, len(inputs[0])]
    splits = tuple(
        Split(x, y, torch.arange(start, start + len(x))) for x, y, start in zip(inputs, labels, first, strict=False)
    )
    n_classes = None if names is None else len(names)
    return channels_first(Examples(splits, n_classes, telling_names(names), tuple(dict.fromkeys(notes))))


def array_of(values: object, name: str) -> Array:
    """The values as an array of numpy. DataError if they are not an array."""
    if isinstance(values, Tensor):
        values = values.detach().cpu()
        values = values.float() if values.dtype == torch.bfloat16 else values
        return np.asarray(values.numpy())
    if hasattr(values, "toarray"):
        raise DataError(f"has {name} as a sparse {type(values).__name__}; write {name}.toarray()")
    try:
        found = np.asarray(values.to_numpy() if hasattr(values, "to_numpy") else _without_tensors(values))
    except (ValueError, TypeError) as error:
        raise DataError(f"has {name} that are not an array: {first_line(error)}") from error
    return found


def _without_tensors(values: Any) -> Any:
    """A list of tensors as one of arrays, which numpy stacks."""
    if isinstance(values, list | tuple):
        return [array_of(one, "items") if isinstance(one, Tensor) else one for one in values]
    return values


def _inputs(side: Side, notes: list[str]) -> Tensor:
    name, found = side.inputs_name, array_of(side.inputs, side.inputs_name)
    if found.dtype.kind == "O":
        found = _as_numbers(found, name)
    if found.dtype.kind not in _NUMBERS:
        raise DataError(f"has {name} of type {found.dtype}, expected numbers")
    if found.ndim < 2:
        raise DataError(
            f"has {name} of shape {found.shape}, expected (n, ...), a row for each example; write {name}[:, None] "
            "where each is one number"
        )
    if found.dtype == np.uint8 and found.ndim >= _LEAST_PICTURE:
        notes.append("Inputs are bytes from 0 to 255, and are divided by 255.")
        found = found / np.float32(255)
    precise = found.dtype.kind == "f" and found.dtype.itemsize > 4
    return torch.from_numpy(np.array(found, dtype=np.float64 if precise else np.float32))  # the caller's may change


def _as_numbers(found: Array, name: str) -> Array:
    """The values as float64. DataError, with the first that is not one."""
    try:
        return found.astype(np.float64)
    except (ValueError, TypeError):
        wrong = next((one for one in found.ravel().tolist() if not isinstance(one, int | float)), None)
        raise DataError(f"has {wrong!r} in {name}, which is not a number; write words as columns of 0 and 1") from None


def _labels(side: Side, n: int) -> Array:
    """Labels, (n,), of numbers or words; what is one-hot becomes whole numbers."""
    name, found = side.labels_name, array_of(side.labels, side.labels_name)
    if found.ndim == 2 and found.shape[1] == 1:
        found = found[:, 0]
    if len(found.shape) == 0 or len(found) != n:
        raise DataError(f"has {name} of shape {found.shape} and {n} rows of {side.inputs_name}, expected ({n},)")
    if found.ndim == 2:
        found = _of_one_hot(found, name)
    if found.ndim != 1:
        raise DataError(f"has {name} of shape {found.shape}, expected ({n},), a label for each example")
    missing = [row for row, label in enumerate(found.tolist()) if _is_missing(label)]
    if missing:
        raise DataError(
            f"has no label in {len(missing)} of {n} rows of {name}, the first in row {missing[0]}; fill them in, or "
            "leave these rows out"
        )
    return found


def _is_missing(label: object) -> bool:
    """True for None, NaN, an empty word, and what pandas writes for a missing cell."""
    if isinstance(label, float):
        return isnan(label)
    return label is None or label == "" or type(label).__name__ in ("NAType", "NaTType")


def _of_one_hot(found: Array, name: str) -> Array:
    n_columns = found.shape[1]
    if found.dtype.kind not in _NUMBERS or not np.isin(found, (0, 1)).all():
        raise DataError(f"has {n_columns} numbers for each example in {name}; choose one of them, as {name}[:, 0]")
    if (found.sum(1) == 1).all():
        return np.asarray(found.argmax(1))
    raise DataError(
        f"has {name} with several labels for one example, or none, in {n_columns} columns of 0 and 1; multi-label "
        f"targets are not supported: choose one of them, as {name}[:, 0]"
    )


def _of_one_kind(
    raw: Sequence[Array], sides: Sequence[Side], regression: bool | None, class_names: Sequence[str] | None
) -> tuple[list[Tensor], tuple[str, ...] | None]:
    """The labels of each side, and the names of the classes, which are None for regression."""
    whole = _together(raw)
    if regression or (regression is None and whole.dtype.kind == "f"):
        labels, names = _amounts(whole, sides[0].labels_name, regression), None
    else:
        labels, names = _classes(whole, regression, class_names)
    return list(labels.split([len(one) for one in raw])), names


def _together(raw: Sequence[Array]) -> Array:
    """All labels as one array, of numbers if all are, else of words."""
    whole = np.concatenate([one if one.dtype.kind in _NUMBERS else one.astype(object) for one in raw])
    if whole.dtype.kind != "O":
        return whole
    if all(isinstance(label, int | float) for label in whole.tolist()):
        return np.array(whole.tolist())
    return whole.astype(str)


def _amounts(whole: Array, name: str, regression: bool | None) -> Tensor:
    numbers = torch.from_numpy(_as_numbers(whole, name))
    if regression is None and (n_kinds := kinds_like_classes(numbers)):
        raise DataError(
            f"has labels of {n_kinds} whole numbers that are floats; say what they are: amounts, with "
            f"{as_argument('regression', True)}, or classes, with {as_argument('regression', False)}"
        )
    return numbers


def _classes(
    whole: Array, regression: bool | None, class_names: Sequence[str] | None
) -> tuple[Tensor, tuple[str, ...]]:
    """The places of the labels among the classes, in the order of numbers or words, and the names of these."""
    if whole.dtype.kind == "f":
        if len(fractions := whole[whole != whole.round()]):
            raise DataError(
                f"has labels like {fractions[0]:g}, which are not classes; they need {as_argument('regression', True)}"
            )
        whole = whole.astype(np.int64)
    are_whole_numbers = whole.dtype.kind in "iu"
    if class_names is not None and are_whole_numbers and 0 <= min(whole) <= max(whole) < len(class_names):
        return torch.from_numpy(whole.astype(np.int64)), tuple(map(str, class_names))
    given = whole.tolist()
    kinds = sorted(set(given), key=int if all(is_whole_number(str(label)) for label in given) else None)
    if are_whole_numbers and regression is None:
        check_kind(len(kinds), len(given), as_argument)
    places = {label: place for place, label in enumerate(kinds)}
    return torch.tensor([places[label] for label in given]), tuple(map(str, kinds))
