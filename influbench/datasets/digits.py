"""Handwritten digits that ship with scikit-learn."""

from dataclasses import dataclass

import torch
from sklearn.datasets import load_digits

from influbench.api import Data, Dataset, Split
from influbench.datasets.sizes import check_sizes
from influbench.errors import DataError
from influbench.seeds import derive, hash_integers


@dataclass(frozen=True)
class Digits(Dataset):
    """1,797 handwritten digits of 8 x 8 pixels in [0, 1]; train and test points are drawn at random by the seed.

    An example's id is its place in scikit-learn's order (Alpaydin & Kaynak 1998).
    """

    n_train: int = 300
    n_test: int = 200

    def __post_init__(self) -> None:
        check_sizes(n_train=self.n_train, n_test=self.n_test)

    def load(self, seed: int) -> Data:
        """Disjoint train and test points of this seed."""
        pixels, labels = load_digits(return_X_y=True)
        if self.n_train + self.n_test > len(pixels):
            raise DataError(
                f"digits has {len(pixels)} examples; n_train={self.n_train} and n_test={self.n_test} "
                f"ask for {self.n_train + self.n_test}"
            )
        ids = torch.arange(len(pixels))
        everything = Split(
            torch.tensor(pixels / 16, dtype=torch.float32).reshape(-1, 1, 8, 8), torch.tensor(labels), ids
        )
        order = hash_integers(derive(seed, "split"), ids).argsort()
        return Data(
            train=everything.rows(order[: self.n_train]),
            test=everything.rows(order[self.n_train : self.n_train + self.n_test]),
            n_classes=10,
        )
