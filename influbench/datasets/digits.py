"""Handwritten digits that ship with scikit-learn."""

from dataclasses import dataclass

import torch
from sklearn.datasets import load_digits

from influbench.api import Data, Dataset, Split
from influbench.datasets.pool import drawn_from
from influbench.datasets.sizes import check_sizes


@dataclass(frozen=True)
class Digits(Dataset):
    """1,797 handwritten digits of 8 x 8 pixels in [0, 1]; the seed draws train and test points at random.

    An example's id is its place in scikit-learn's order (Alpaydin & Kaynak 1998).
    """

    n_train: int = 300
    n_test: int = 200

    def __post_init__(self) -> None:
        check_sizes(n_train=self.n_train, n_test=self.n_test)

    def load(self, seed: int) -> Data:
        """Disjoint train and test points of this seed."""
        pixels, labels = load_digits(return_X_y=True)
        everything = Split(
            torch.tensor(pixels / 16, dtype=torch.float32).reshape(-1, 1, 8, 8),
            torch.tensor(labels),
            torch.arange(len(pixels)),
        )
        train, test = drawn_from(everything, n_train=self.n_train, n_test=self.n_test, seed=seed, name="digits")
        return Data(train, test, n_classes=10)
