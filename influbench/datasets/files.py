"""Data sets in users' own files."""

from abc import abstractmethod
from dataclasses import dataclass
from pathlib import Path

from influbench.api import Data, Dataset
from influbench.datasets.csv_table import ID, SPLIT, read_table
from influbench.datasets.examples import Examples
from influbench.datasets.npz import read_npz
from influbench.datasets.sizes import check_sizes
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
        try:
            examples = self.read(path)
        except OSError as error:
            raise DataError(f"cannot read {self.path}: {error.strerror or error}") from None
        except DataError as error:
            raise DataError(f"{path.name} {error}") from error
        return examples.drawn(self.n_train, self.n_test, seed=seed, name=path.name)

    @abstractmethod
    def read(self, path: Path) -> Examples:
        """Everything in the file. DataError that begins with a verb or a line if something in it is wrong."""


@dataclass(frozen=True)
class Npz(File):
    """The arrays of a .npz file, which numpy.savez writes. Nothing in it is scaled, and nothing pickled is read.

    It has either `train_inputs`, `train_labels`, `test_inputs` and `test_labels`, with `train_ids` and `test_ids` if
    examples have ids; or a pool, `inputs` and `labels`, with `ids`. Inputs (n, ...) are floats. Labels (n,) are
    integers from 0 on for classes, and floats for regression; with `regression`, integers are regression as well. If
    some classes do not have an example, the file also has `n_classes`. Without ids, an example's id is its row, and
    test points are counted after train points.
    """

    regression: bool = False

    def read(self, path: Path) -> Examples:
        return read_npz(path, regression=self.regression)


@dataclass(frozen=True)
class Csv(File):
    """A table with a header: a column of labels, called `label`, and columns of numbers, which are the inputs.

    Labels that are words or whole numbers are classes, in the order of the words or numbers. Other labels are
    regression; with `regression`, whole numbers are regression as well. With `standardize`, each input, and the label
    of a regression, is standardized by its mean and standard deviation over the whole file; a constant column becomes
    0. A column `id` has whole numbers; without it, an example's id is its row. A column `split` has the words train and
    test; without it, the file is a pool.
    """

    label: str = "label"
    standardize: bool = True
    regression: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.label in (ID, SPLIT):
            raise ValueError(f"label must not be {self.label!r}, which has another meaning")

    def read(self, path: Path) -> Examples:
        return read_table(path, label=self.label, standardize=self.standardize, regression=self.regression)
