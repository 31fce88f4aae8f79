"""Pictures in a folder for each class. A DataError here begins with a verb; the caller puts the folder's name first."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from PIL import Image

from influbench.api import Data, Split
from influbench.datasets.examples import Examples, telling_names
from influbench.datasets.pixels import Format, format_of, pixels_in
from influbench.errors import DataError

_PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm")
_TRAIN, _TEST = "train", "test"


def read_folder(path: Path, *, size: int | None) -> Examples:
    """All pictures, without their pixels: inputs (n, 1) are places among the paths that `with_pictures` reads."""
    if not path.is_dir():
        raise FileNotFoundError(2, "No such folder")
    sides = _sides(path)
    classes = sorted({name for folders in sides.values() for name in folders})
    files = _files(path, sides)
    if not files:
        raise DataError(f"holds no pictures in its folders {', '.join(classes)}")
    look = _format(path, files, size)
    if len(classes) < 2:
        raise DataError(f"has pictures of one class, {classes[0]}; a folder for each class is expected")
    labels = torch.tensor([classes.index(_class_of(path, file, sides)) for file in files])
    places = torch.arange(len(files))
    everything = Split(places[:, None].double(), labels, places)
    rows = [torch.tensor([n for n, file in enumerate(files) if _is_in(path, file, side)]) for side in sides]
    if empty := [side for side, own in zip(sides, rows, strict=True) if not len(own)]:
        raise DataError(f"holds no pictures in {empty[0]}")
    return Examples(
        tuple(everything.rows(own) for own in rows),
        len(classes),
        telling_names(classes),
        (*_unused(path, sides), *look.notes),
    )


def with_pictures(path: Path, data: Data, *, size: int | None) -> Data:
    """The data with the pixels of their pictures, (n, channels, height, width) in [0, 1]."""
    files = _files(path, _sides(path))
    look = _format(path, files, size)

    def filled(split: Split) -> Split:
        chosen = [files[place] for place in split.ids.tolist()]
        return replace(split, inputs=torch.stack([pixels_in(file, look, shown=_shown(path, file)) for file in chosen]))

    return replace(data, train=filled(data.train), test=filled(data.test))


def _sides(path: Path) -> Mapping[str, Sequence[str]]:
    """The names of the folders of classes: of the whole pool, under "", or of train and of test."""
    names = _folders(path)
    if _TRAIN in names and _folders(path / _TRAIN):
        if _TEST not in names or not _folders(path / _TEST):
            raise DataError(
                f"has {_TRAIN} and not {_TEST} with folders of classes in it; add {_TEST}, or name {path / _TRAIN} to "
                "draw test points from it"
            )
        return {side: _folders(path / side) for side in (_TRAIN, _TEST)}
    if not names:
        raise DataError("holds no folders; a folder for each class is expected, for instance cat/1.png and dog/1.png")
    return {"": names}


def _folders(path: Path) -> list[str]:
    return sorted(one.name for one in path.iterdir() if one.is_dir() and not one.name.startswith("."))


def _files(path: Path, sides: Mapping[str, Sequence[str]]) -> list[Path]:
    """The pictures, first those of train, by class and then by path."""
    folders = [path / side / name for side, names in sides.items() for name in names]
    found: list[Path] = []
    for folder in folders:
        found += sorted(file for file in folder.rglob("*") if file.suffix.lower() in _PICTURES and file.is_file())
    return found


def _class_of(path: Path, file: Path, sides: Mapping[str, Sequence[str]]) -> str:
    return file.relative_to(path).parts[0 if "" in sides else 1]


def _is_in(path: Path, file: Path, side: str) -> bool:
    return side in ("", file.relative_to(path).parts[0])


def _unused(path: Path, sides: Mapping[str, Sequence[str]]) -> list[str]:
    """A sentence about the folders beside train and test, if there are any."""
    others = [name for name in _folders(path) if "" not in sides and name not in sides]
    return [f"The pictures in {', '.join(others)} are not used."] if others else []


def _shown(path: Path, file: Path) -> str:
    return str(file.relative_to(path))


def _format(path: Path, files: Sequence[Path], size: int | None) -> Format:
    """The size and channels that all pictures get. Only their headers are read."""
    headers: list[tuple[tuple[int, int], str]] = []
    for file in files:
        try:
            with Image.open(file) as image:
                headers.append((image.size, image.mode))
        except (OSError, ValueError, SyntaxError) as error:
            raise DataError(f"holds {_shown(path, file)}, which is damaged or not a picture") from error
    return format_of([shape for shape, _ in headers], [mode for _, mode in headers], size=size)
