"""Tables of measurements that ship with scikit-learn."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.datasets import load_breast_cancer, load_diabetes, load_wine

from influbench.api import Data, Dataset, Split
from influbench.datasets.pool import drawn_from
from influbench.datasets.sizes import check_sizes


@dataclass(frozen=True)
class Table(Dataset):
    """Rows of measurements; the seed draws train and test points at random.

    Every column is standardized by its mean and standard deviation over the whole table, so that an example's inputs
    do not depend on which others are drawn. An example's id is its row in scikit-learn's table.
    """

    name: ClassVar[str]
    source: ClassVar[Callable[..., Any]]
    n_classes: ClassVar[int | None]

    n_train: int
    n_test: int

    def __post_init__(self) -> None:
        check_sizes(n_train=self.n_train, n_test=self.n_test)

    def load(self, seed: int) -> Data:
        """Disjoint train and test points of this seed. DataError if the table has fewer."""
        measurements, labels = type(self).source(return_X_y=True)
        if self.n_classes is None:
            labels = _standardized(labels)
        table = Split(
            torch.tensor(_standardized(measurements), dtype=torch.float32),
            torch.tensor(labels, dtype=torch.float32 if self.n_classes is None else torch.int64),
            torch.arange(len(labels)),
        )
        train, test = drawn_from(table, n_train=self.n_train, n_test=self.n_test, seed=seed, name=self.name)
        return Data(train, test, self.n_classes)


@dataclass(frozen=True)
class Wine(Table):
    """178 wines of three growers by 13 chemical measurements, standardized (Aeberhard & Forina 1992)."""

    name = "wine"
    source = staticmethod(load_wine)
    n_classes = 3

    n_train: int = 118
    n_test: int = 60


@dataclass(frozen=True)
class BreastCancer(Table):
    """569 tumors, malignant (0) or benign (1), by 30 measurements of nuclei, standardized (Wolberg et al. 1993)."""

    name = "breast_cancer"
    source = staticmethod(load_breast_cancer)
    n_classes = 2

    n_train: int = 300
    n_test: int = 200


@dataclass(frozen=True)
class Diabetes(Table):
    """442 patients by 10 measurements, and the progress of their disease over a year, standardized (Efron et al. 2004).

    A regression, without classes and without memorization.
    """

    name = "diabetes"
    source = staticmethod(load_diabetes)
    n_classes = None

    n_train: int = 300
    n_test: int = 140


def _standardized(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray((values - values.mean(0)) / values.std(0))
