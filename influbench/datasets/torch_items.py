"""Items of torch data sets. A DataError here begins with a verb."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image
from torch.utils.data import DataLoader

from influbench.datasets.arrays import Array, array_of
from influbench.datasets.pixels import GRAY, Format, pixels_of
from influbench.errors import DataError, type_and_message

_PAIR = 2


@dataclass(frozen=True, eq=False)
class Items:
    """Inputs (n, ...) and labels (n, ...) of a torch data set, and the names of its classes if it has some."""

    inputs: Array
    labels: Array
    class_names: Sequence[str] | None


def items_of(dataset: Any) -> Items:
    """All items of a map-style data set of (inputs, label), each read once. DataError if they cannot be stacked."""
    if isinstance(dataset, DataLoader):
        raise DataError("is given in batches; give its data set, loader.dataset")
    if not hasattr(dataset, "__len__"):
        raise DataError("has no length; give a map-style data set, with __len__ and __getitem__")
    if len(dataset) == 0:
        raise DataError("has no items")
    pairs = [_item(dataset, index) for index in range(len(dataset))]
    if not np.array_equal(pairs[0][0], _item(dataset, 0)[0], equal_nan=True):
        raise DataError("has items that change each time they are read; leave out its random transforms")
    shapes = sorted({inputs.shape for inputs, _ in pairs})
    if len(shapes) > 1:
        raise DataError(
            f"has items of {len(shapes)} shapes, from {shapes[0]} to {shapes[-1]}; give them one shape, pictures for "
            "instance by torchvision.transforms.Resize((32, 32))"
        )
    labels = {label.shape for _, label in pairs}
    if len(labels) > 1:
        raise DataError(f"has labels of {len(labels)} shapes, expected one number or word for each item")
    return Items(np.stack([one for one, _ in pairs]), np.stack([one for _, one in pairs]), _class_names(dataset))


def _item(dataset: Any, index: int) -> tuple[Array, Array]:
    try:
        item = dataset[index]
    except Exception as error:
        raise DataError(f"raised {type_and_message(error)} at item {index}") from error
    if not isinstance(item, (tuple, list)) or len(item) != _PAIR:
        given = f"{len(item)} parts" if isinstance(item, (tuple, list)) else f"a {type(item).__name__}"
        raise DataError(f"has {given} as an item, expected (inputs, label)")
    inputs, label = item
    if isinstance(label, Mapping):
        raise DataError("has a mapping as the label of an item, expected a number or a word")
    return _inputs(inputs), array_of(label, "labels")


def _inputs(inputs: object) -> Array:
    """The inputs of an item; of a picture of pillow, (channels, height, width) in [0, 1]."""
    if isinstance(inputs, Image.Image):
        look = Format(*inputs.size, 1 if inputs.mode in GRAY else 3)
        return np.asarray(pixels_of(inputs, look).numpy())
    return array_of(inputs, "inputs")


def _class_names(dataset: Any) -> Sequence[str] | None:
    """The names of the classes, also of the data set of which this is a part."""
    while not hasattr(dataset, "classes") and hasattr(dataset, "dataset"):
        dataset = dataset.dataset
    names = getattr(dataset, "classes", None)
    return [str(name) for name in names] if isinstance(names, list | tuple) else None
