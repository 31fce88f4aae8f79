"""Data sets of pictures that torchvision reads."""

import gzip
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import ClassVar

import torch
from platformdirs import user_cache_path
from torchvision.datasets import CIFAR10, CIFAR100, MNIST, FashionMNIST, VisionDataset

from influbench.api import Data, Dataset, Split
from influbench.datasets.sizes import check_sizes
from influbench.errors import DataError
from influbench.seeds import derive, hash_integers

VARIABLE = "INFLUBENCH_DATA"


@dataclass(frozen=True)
class Pictures(Dataset):
    """Pictures (n, channels, height, width) in [0, 1]; the seed draws train and test points at random.

    Train points come from the official train set and test points from the official test set; an example's id is its
    index there. `root` is torchvision's root; the default is the folder that INFLUBENCH_DATA names, or one in the
    user's cache folder. Missing files are unzipped from `package` if it is installed, or downloaded.
    """

    name: ClassVar[str]
    source: ClassVar[type[VisionDataset]]
    package: ClassVar[Path | None] = None  # where Debian puts the files, zipped and under torchvision's names

    n_train: int = 2000
    n_test: int = 1000
    root: str = ""

    def __post_init__(self) -> None:
        check_sizes(n_train=self.n_train, n_test=self.n_test)

    def load(self, seed: int) -> Data:
        """The train and test points of this seed. DataError if there are too few, or if the files cannot be had."""
        root = self.root or os.environ.get(VARIABLE) or user_cache_path("influbench") / "data"
        train, test = self._official(Path(root).expanduser())
        for part, official, n in (("train", train, self.n_train), ("test", test, self.n_test)):
            if n > len(official):
                raise DataError(f"{self.name} has {len(official)} {part} examples; n_{part}={n} asks for more")
        return Data(
            train=_drawn(train, self.n_train, derive(seed, "train")),
            test=_drawn(test, self.n_test, derive(seed, "test")),
            n_classes=len(train.classes),
        )

    def _official(self, root: Path) -> tuple[VisionDataset, VisionDataset]:
        with suppress(RuntimeError):  # by which torchvision reports a file that is missing or damaged
            return self._read(root)
        if self.package is not None and self.package.is_dir():
            with _filling(root) as scratch:
                _unzip(self.package, scratch / self.source.__name__ / "raw")
        else:
            self._download(root)
        return self._read(root)

    def _read(self, root: Path) -> tuple[VisionDataset, VisionDataset]:
        return self.source(root, train=True), self.source(root, train=False)

    def _download(self, root: Path) -> None:
        try:
            with _filling(root) as scratch, redirect_stdout(sys.stderr):
                self.source(scratch, download=True)
        except (RuntimeError, OSError) as error:  # OSError: URLError, and a folder that cannot be written
            install = f"install Debian's package dataset-{self.package.name}, " if self.package else ""
            raise DataError(
                f"{self.name} is missing or damaged in {root} and could not be downloaded; point root or {VARIABLE} "
                f"to a torchvision root that holds it, {install}or run once where the network allows the download"
            ) from error


@dataclass(frozen=True)
class FashionMnist(Pictures):
    """Clothes in gray, 28 x 28 pixels, 10 classes, 60,000 for training and 10,000 for testing (Xiao et al. 2017)."""

    name = "fashion_mnist"
    source = FashionMNIST
    package = Path("/usr/share/datasets/fashion-mnist")


@dataclass(frozen=True)
class Mnist(Pictures):
    """Handwritten digits in gray, 28 x 28 pixels, 60,000 for training and 10,000 for testing (LeCun et al. 1998)."""

    name = "mnist"
    source = MNIST


@dataclass(frozen=True)
class Cifar10(Pictures):
    """Color photographs, 32 x 32 pixels, 10 classes, 50,000 for training and 10,000 for testing (Krizhevsky 2009)."""

    name = "cifar10"
    source = CIFAR10


@dataclass(frozen=True)
class Cifar100(Pictures):
    """Color photographs, 32 x 32 pixels, 100 classes, 50,000 to train and 10,000 to test (Krizhevsky 2009)."""

    name = "cifar100"
    source = CIFAR100


def _drawn(official: VisionDataset, n: int, seed: int) -> Split:
    ids = hash_integers(seed, torch.arange(len(official))).argsort()[:n]
    pixels = torch.as_tensor(official.data)[ids]  # (n, height, width) or (n, height, width, channels), uint8
    pixels = pixels.reshape(*pixels.shape[:3], -1).permute(0, 3, 1, 2)
    return Split(pixels.contiguous().float() / 255, torch.as_tensor(official.targets)[ids], ids)


def _unzip(package: Path, folder: Path) -> None:
    folder.mkdir(parents=True)
    for archive in package.glob("*.gz"):
        with gzip.open(archive) as zipped, (folder / archive.stem).open("wb") as file:
            shutil.copyfileobj(zipped, file)


@contextmanager
def _filling(root: Path) -> Iterator[Path]:
    """A scratch folder whose files are moved into `root` at the end, each in one step, if nothing failed."""
    root.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=root, prefix=".") as name:
        scratch = Path(name)
        yield scratch
        for file in [path for path in scratch.rglob("*") if path.is_file()]:
            place = root / file.relative_to(scratch)
            place.parent.mkdir(parents=True, exist_ok=True)
            file.replace(place)
