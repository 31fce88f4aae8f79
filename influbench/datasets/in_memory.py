"""Points that a user of Python has: arrays, frames, torch data sets, Bunches of scikit-learn."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset

from influbench.api import Data, Dataset, Split
from influbench.datasets.arrays import Side, array_of, examples_of
from influbench.datasets.examples import Examples, as_argument
from influbench.datasets.frame import columns_of
from influbench.datasets.sizes import check_sizes
from influbench.datasets.table import SPLIT, Reading, examples_in, standardized
from influbench.datasets.torch_items import Items, items_of
from influbench.errors import DataError, UsageError
from influbench.training.fingerprint import digest

_DIGITS = 8  # of a digest: enough to distinguish a user's few data sets in a report
_PAIR, _FOUR = 2, 4


@dataclass(frozen=True)
class InMemory(Dataset):
    """Points that were given in Python: train and test points, or one pool that the seed draws both from.

    `of` is what they were given as, and `digest` stands for their content. `n_train` and `n_test` are numbers of points
    to draw, as for a file.
    """

    of: str
    digest: str
    n_train: int | None = None
    n_test: int | None = None
    examples: Examples = field(kw_only=True, repr=False, compare=False)

    def __post_init__(self) -> None:
        sizes = {"n_train": self.n_train, "n_test": self.n_test}
        check_sizes(**{name: size for name, size in sizes.items() if size is not None})

    def load(self, seed: int) -> Data:
        """The train and test points of this seed. DataError if there are too few."""
        return self.examples.drawn(self.n_train, self.n_test, seed=seed, name=f"the {self.of}")


def is_data(thing: object) -> bool:
    """True if `as_dataset` makes a data set of this, and it is not one yet."""
    if isinstance(thing, (str, Path, type, Dataset)):
        return False
    return isinstance(thing, Data) or _is_frame(thing) or _is_bunch(thing) or _is_items(thing) or _is_tuple(thing)


def as_dataset(
    thing: object,
    *,
    label: str | None = None,
    regression: bool | None = None,
    standardize: bool | None = None,
    n_train: int | None = None,
    n_test: int | None = None,
) -> Dataset:
    """A data set of points that are in memory, which `run` takes, alone or among others.

    >>> influbench.run(dataset=influbench.as_dataset((X, y), n_train=300))

    `thing` is one of these: (X, y); (X_train, y_train, X_test, y_test); a pandas frame, with the column `label`; a
    torch data set of (inputs, label); a Bunch of scikit-learn; a pair of two of these, for training and for testing; or
    `Data`. Of what is not split, a third is drawn for testing. Frames and Bunches are standardized, as tables in files
    are; arrays are used as given, unless `standardize` says so. `regression` says that labels are amounts, or, if
    False, classes, where that is not clear. DataError if something in it is wrong.
    """
    if isinstance(thing, Dataset):
        return thing
    if not is_data(thing):
        raise UsageError(f"a {type(thing).__name__} is not data that are known; see influbench.as_dataset")
    of = type(thing).__name__
    if label is not None and not (_is_frame(thing) or _is_frame_pair(thing, label)):
        raise UsageError(f"label={label!r} names a column of a pandas frame, and the data are a {of}")
    try:
        examples = _examples(thing, label or Reading.label, regression, standardize)
    except DataError as error:
        raise DataError(f"the {of} {error}") from error
    try:
        return InMemory(of, _digest(examples), n_train, n_test, examples=examples)
    except ValueError as error:
        raise UsageError(str(error)) from error


def _examples(thing: Any, label: str, regression: bool | None, standardize: bool | None) -> Examples:
    if isinstance(thing, Data):
        return Examples((thing.train, thing.test), thing.n_classes, thing.class_names, tuple(thing.notes))
    if _is_frame(thing):
        reading = Reading(label=label, standardize=standardize is not False, regression=regression, remedy=as_argument)
        return examples_in(columns_of(thing, label), reading)
    if _is_bunch(thing):
        found = examples_of(
            [Side(thing["data"], thing["target"], "data", "target")],
            regression=regression,
            class_names=_names(thing.get("target_names")),
        )
        return found if standardize is False else _standardized(found)
    if _is_frame_pair(thing, label):
        return _examples(_joined(*thing), label, regression, standardize)
    sides, class_names = _sides(thing)
    found = examples_of(sides, regression=regression, class_names=class_names)
    return _standardized(found) if standardize else found


def _sides(thing: Any) -> tuple[list[Side], Sequence[str] | None]:
    """Inputs and labels of a torch data set, of arrays, or of a pair of either, and the names of classes if known."""
    if _is_items(thing) or _is_items(thing[0]):
        read = [items_of(one) for one in (thing if isinstance(thing, (tuple, list)) else [thing])]
        return [Side(one.inputs, one.labels) for one in read], _shared_names(read)
    if len(thing) == _PAIR and all(_is_pair(one) for one in thing):
        return [
            Side(x, y, f"X_{side}", f"y_{side}") for side, (x, y) in zip(("train", "test"), thing, strict=True)
        ], None
    if len(thing) == _PAIR:
        return [Side(thing[0], thing[1], "X", "y")], None
    x_train, y_train, x_test, y_test = thing
    if _is_of_train_test_split(*thing):
        raise DataError(
            "is in the order of train_test_split; give (X_train, y_train, X_test, y_test), labels after their inputs"
        )
    return [Side(x_train, y_train, "X_train", "y_train"), Side(x_test, y_test, "X_test", "y_test")], None


def _is_of_train_test_split(first: Any, second: Any, third: Any, fourth: Any) -> bool:
    """True if the second array looks like inputs of other examples, and the last two look like labels."""
    shapes = [array_of(one, "arrays").shape for one in (first, second, third, fourth)]
    x_train, x_test, y_train, y_test = shapes
    same_inputs = len(x_train) > 1 and x_train[1:] == x_test[1:]
    return same_inputs and x_train[0] == y_train[0] and x_test[0] == y_test[0] and len(y_train) < len(x_train) + 1


def _shared_names(read: Sequence[Items]) -> Sequence[str] | None:
    """The names of classes, if all that were read agree on them."""
    first = read[0].class_names
    return first if all(one.class_names == first for one in read) else None


def _joined(train: Any, test: Any) -> Any:
    """Two frames as one, with a column that says which is which."""
    if set(train.columns) != set(test.columns):
        different = sorted(map(str, set(train.columns) ^ set(test.columns)))
        raise DataError(f"has frames of different columns: only one has {', '.join(different)}")
    if SPLIT in train.columns:
        raise DataError(f"has a column {SPLIT!r}; give one frame, which it splits, or leave it out")
    both = [train.assign(**{SPLIT: "train"}), test.assign(**{SPLIT: "test"})]
    return sys.modules["pandas"].concat(both, ignore_index=True)


def _standardized(examples: Examples) -> Examples:
    """The examples with each input, and labels of a regression, standardized over train and test points together."""
    sizes = [len(split) for split in examples.splits]
    inputs = standardized(torch.cat([split.inputs for split in examples.splits]).double()).split(sizes)
    splits = tuple(replace(split, inputs=own) for split, own in zip(examples.splits, inputs, strict=True))
    if examples.n_classes is None:
        labels = standardized(torch.cat([split.labels for split in examples.splits])).split(sizes)
        splits = tuple(replace(split, labels=own) for split, own in zip(splits, labels, strict=True))
    return replace(examples, splits=splits)


def _names(given: object) -> list[str] | None:
    return None if given is None else [str(name) for name in array_of(given, "target_names").ravel().tolist()]


def _digest(examples: Examples) -> str:
    parts: list[object] = [examples.n_classes]
    for split in examples.splits:
        parts += [split.inputs, split.labels, split.ids] if isinstance(split, Split) else [split]
    return digest(*parts)[:_DIGITS]


def _is_frame(thing: object) -> bool:
    pandas = sys.modules.get("pandas")  # whoever has a frame has imported it
    return pandas is not None and isinstance(thing, pandas.DataFrame)


def _is_frame_pair(thing: Any, label: str) -> bool:
    """True for two frames of examples; False for a frame of inputs and one of labels."""
    if not (isinstance(thing, (tuple, list)) and len(thing) == _PAIR and all(map(_is_frame, thing))):
        return False
    first, second = (set(frame.columns) for frame in thing)
    return len(second) > 1 and (label in first or first == second)


def _is_bunch(thing: object) -> bool:
    return isinstance(thing, Mapping) and "data" in thing and "target" in thing


def _is_items(thing: object) -> bool:
    """True for a data set of torch, and for what works like one."""
    if isinstance(thing, (TorchDataset, DataLoader)):
        return True
    if isinstance(thing, (str, list, tuple, Mapping, Data, Dataset, type)) or hasattr(thing, "shape"):
        return False
    return hasattr(thing, "__getitem__") and hasattr(thing, "__len__")


def _is_tuple(thing: object) -> bool:
    """True for two or four arrays, also as a list, and for a tuple of two data sets, for training and for testing.

    A list of data sets is several of them.
    """
    if not isinstance(thing, (tuple, list)) or len(thing) not in (_PAIR, _FOUR):
        return False
    if isinstance(thing, list) and (_is_frame(thing[1]) or all(map(_is_pair, thing))):
        return False
    if _is_items(thing[0]):
        return isinstance(thing, tuple) and len(thing) == _PAIR and _is_items(thing[1])
    return all(map(_is_pair, thing)) or _is_inputs(thing[0])


def _is_pair(thing: object) -> bool:
    """True for (X, y) within a tuple of such pairs."""
    return isinstance(thing, tuple) and len(thing) == _PAIR and all(hasattr(one, "shape") for one in thing)


def _is_inputs(thing: object) -> bool:
    if isinstance(thing, (list, tuple)):
        return len(thing) > 0 and (isinstance(thing[0], (list, tuple, int, float)) or hasattr(thing[0], "shape"))
    return hasattr(thing, "shape")
