"""Pictures in a folder for each class. A DataError here begins with a verb; the caller puts the folder's name first."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from PIL import Image

from influbench.api import Data, Split
from influbench.datasets.examples import Examples, telling_names
from influbench.datasets.pixels import Format, format_of, pixels_in
from influbench.errors import DataError

_PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm")
_TRAIN, _TEST = "train", "test"


@dataclass(frozen=True)
class Pictures:
    """The pictures in a folder; `look` is the size and the channels that all of them get."""

    path: Path
    sides: Mapping[
        str, Sequence[str]
    ]  # names of the folders of classes: of the whole pool under "", or of train and test
    files: Sequence[Path]
    look: Format

    def examples(self) -> Examples:
        """All pictures, without their pixels: inputs (n, 1) and ids are places among the files."""
        classes = sorted({name for folders in self.sides.values() for name in folders})
        if len(classes) < 2:
            raise DataError(f"has pictures of one class, {classes[0]}; a folder for each class is expected")
        labels = torch.tensor([classes.index(self._class_of(file)) for file in self.files])
        places = torch.arange(len(self.files))
        everything = Split(places[:, None].double(), labels, places)
        rows = [
            torch.tensor([n for n, file in enumerate(self.files) if self._is_in(file, side)]) for side in self.sides
        ]
        if empty := [side for side, own in zip(self.sides, rows, strict=True) if not len(own)]:
            raise DataError(f"holds no pictures in {empty[0]}")
        return Examples(
            tuple(everything.rows(own) for own in rows),
            len(classes),
            telling_names(classes),
            (*_unused(self.path, self.sides), *self.look.notes),
        )

    def filled(self, data: Data) -> Data:
        """The data with the pixels of their pictures, (n, channels, height, width) in [0, 1]."""
        return replace(data, train=self._filled(data.train), test=self._filled(data.test))

    def _filled(self, split: Split) -> Split:
        chosen = [self.files[place] for place in split.ids.tolist()]
        pixels = [pixels_in(file, self.look, shown=_shown(self.path, file)) for file in chosen]
        return replace(split, inputs=torch.stack(pixels))

    def _class_of(self, file: Path) -> str:
        return file.relative_to(self.path).parts[0 if "" in self.sides else 1]

    def _is_in(self, file: Path, side: str) -> bool:
        return side in ("", file.relative_to(self.path).parts[0])


def pictures_in(path: Path, *, size: int | None) -> Pictures:
    """The pictures in this folder. Only their headers are read."""
    if not path.is_dir():
        raise FileNotFoundError(2, "No such folder")
    sides = _sides(path)
    files = _files(path, sides)
    if not files:
        classes = sorted({name for folders in sides.values() for name in folders})
        raise DataError(f"holds no pictures in its folders {', '.join(classes)}")
    return Pictures(path, sides, files, _format(path, files, size))


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
