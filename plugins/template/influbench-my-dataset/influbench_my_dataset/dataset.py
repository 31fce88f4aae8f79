"""Two spirals. Replace them with your data."""

from dataclasses import dataclass
from math import pi

import torch
from influbench import Data, Dataset, Split
from torch import Tensor

_N_POINTS = 1000


@dataclass(frozen=True)
class MyDataset(Dataset):
    """Two interleaving spirals of 1,000 points with noise; the seed draws train and test points.

    An example's id is its place in the source, so that it is the same for every seed.
    """

    n_train: int = 200
    n_test: int = 100

    def __post_init__(self) -> None:
        if min(self.n_train, self.n_test) < 2 or self.n_train + self.n_test > _N_POINTS:
            raise ValueError(f"n_train and n_test must be at least 2, and together at most {_N_POINTS}")

    def load(self, seed: int) -> Data:
        """Disjoint train and test points."""
        inputs, labels = _source()
        order = torch.randperm(_N_POINTS, generator=torch.Generator().manual_seed(seed))
        train, test = order[: self.n_train], order[self.n_train : self.n_train + self.n_test]
        return Data(
            train=Split(inputs[train], labels[train], train),
            test=Split(inputs[test], labels[test], test),
            n_classes=2,
        )


def _source() -> tuple[Tensor, Tensor]:
    """All inputs (1000, 2) and labels (1000,). Your own data set would read a file here."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(_N_POINTS) % 2
    turns = torch.rand(_N_POINTS, generator=generator).sqrt()
    angle = 3 * pi * turns + pi * labels
    spiral = 2 * turns[:, None] * torch.stack([angle.cos(), angle.sin()], 1)
    return spiral + 0.1 * torch.randn(_N_POINTS, 2, generator=generator), labels
