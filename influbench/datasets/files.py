"""Data sets in users' own files."""

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from influbench.api import Data, Dataset
from influbench.datasets.csv_table import read_csv
from influbench.datasets.examples import Examples
from influbench.datasets.folder import pictures_in
from influbench.datasets.frame import read_parquet
from influbench.datasets.npz import read_npz
from influbench.datasets.sizes import check_sizes
from influbench.datasets.table import ID, SPLIT, Column, Reading, examples_in
from influbench.errors import DataError


@dataclass(frozen=True)
class File(Dataset):
    """Examples in the file at `path`: train and test points, or one pool that the seed draws both from.

    `n_train` and `n_test` are numbers of points to draw. Without them, all given train and test points are used, in
    their order; from a pool, a third is drawn for testing, or what the other number leaves.
    """

    path: str
    n_train: int | None = None
    n_test: int | None = None

    def __post_init__(self) -> None:
        sizes = {"n_train": self.n_train, "n_test": self.n_test}
        check_sizes(**{name: size for name, size in sizes.items() if size is not None})

    def load(self, seed: int) -> Data:
        """The train and test points of this seed. DataError if the file is missing, wrong or too small."""
        path = Path(self.path).expanduser()
        with self._named(path):
            examples = self.read(path)
        return examples.drawn(self.n_train, self.n_test, seed=seed, name=path.name)

    @contextmanager
    def _named(self, path: Path) -> Iterator[None]:
        """A context whose errors begin with the name of the file."""
        try:
            yield
        except OSError as error:
            raise DataError(f"cannot read {self.path}: {error.strerror or error}") from None
        except DataError as error:
            raise DataError(f"{path.name} {error}") from error

    @abstractmethod
    def read(self, path: Path) -> Examples:
        """Everything in the file. DataError that begins with a verb or a line if something in it is wrong."""


@dataclass(frozen=True)
class Npz(File):
    """The arrays of a .npz file, which numpy.savez writes. Nothing in it is scaled, and nothing pickled is read.

    It has either `train_inputs`, `train_labels`, `test_inputs` and `test_labels`, with `train_ids` and `test_ids` if
    examples have ids; or a pool, `inputs` and `labels`, with `ids`. Inputs (n, ...) are floats. Labels (n,) are
    integers from 0 on for classes, and floats for regression; `regression` (true or false) says which one it is where
    the numbers do not. If some classes do not have an example, the file also has `n_classes`; `class_names` are words
    for the classes in reports. Pictures (n, height, width, 3) become (n, 3, height, width). Without ids, an example's
    id is its row, and test points are counted after train points.
    """

    regression: bool | None = None

    def read(self, path: Path) -> Examples:
        return read_npz(path, regression=self.regression)


@dataclass(frozen=True)
class Table(File):
    """A table in a file, of any format."""

    label: str = "label"
    standardize: bool = True
    regression: bool | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.label in (ID, SPLIT):
            raise ValueError(f"label must not be {self.label!r}, which has another meaning")

    def read(self, path: Path) -> Examples:
        reading = Reading(label=self.label, standardize=self.standardize, regression=self.regression)
        return examples_in(self.columns(path), reading)

    @abstractmethod
    def columns(self, path: Path) -> Mapping[str, Column]:
        """The columns of the table."""


@dataclass(frozen=True)
class Csv(Table):
    """A table with a header: a column of labels, called `label`, and columns of numbers, which are the inputs.

    Labels that are words or whole numbers are classes, in the order of the words or numbers. Other labels are
    regression; `regression` (true or false) says which one it is where the labels do not. With `standardize`, each
    input, and the label of a regression, is standardized by its mean and standard deviation over the whole file; a
    constant column becomes 0. A column `id` has whole numbers; without it, an example's id is its row. A column `split`
    has the words train and test; without it, the file is a pool.
    """

    def columns(self, path: Path) -> Mapping[str, Column]:
        return read_csv(path, self.label)


@dataclass(frozen=True)
class Parquet(Table):
    """A table that pandas reads: a column of labels, called `label`, and columns of numbers, which are the inputs.

    Labels that are words or whole numbers are classes, in the order of the words or numbers. Other labels are
    regression; `regression` (true or false) says which one it is where the labels do not. With `standardize`, each
    input, and the label of a regression, is standardized by its mean and standard deviation over the whole file; a
    constant column becomes 0. A column `id` has whole numbers; without it, an example's id is its row. A column `split`
    has the words train and test; without it, the file is a pool.
    """

    def columns(self, path: Path) -> Mapping[str, Column]:
        return read_parquet(path, self.label)


@dataclass(frozen=True)
class Folder(File):
    """Pictures in a folder for each class: `CLASS/*.png`; or `train/CLASS/*.png` and `test/CLASS/*.png`.

    Inputs are (n, channels, height, width) in [0, 1], with one channel if all pictures are gray, else three. All have
    one size, or get `size` (pixels of height and width). Classes are in the order of their names. An example's id is
    its place among all pictures in the order of their paths; test points are counted after train points.
    """

    size: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.size is not None:
            check_sizes(size=self.size)

    def load(self, seed: int) -> Data:
        """The train and test points of this seed. Only the pictures that are drawn are decoded."""
        path = Path(self.path).expanduser()
        with self._named(path):
            pictures = pictures_in(path, size=self.size)
            examples = pictures.examples()
        drawn = examples.drawn(self.n_train, self.n_test, seed=seed, name=path.name)
        with self._named(path):
            return pictures.filled(drawn)

    def read(self, path: Path) -> Examples:
        return pictures_in(path, size=self.size).examples()
