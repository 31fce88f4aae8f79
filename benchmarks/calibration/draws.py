"""Random tables, and the rank correlation that is expected of them."""

from math import asin, pi, sqrt

import torch
from torch import Generator, Tensor


def normal(generator: Generator, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def two_way(generator: Generator, n: int, m: int, *, rows: float, columns: float, cells: float) -> Tensor:
    """Noise of rows, columns and cells, with these variances."""
    parts = ((rows, (n, 1)), (columns, (1, m)), (cells, (n, m)))
    return sum((sqrt(variance) * normal(generator, *shape) for variance, shape in parts), torch.zeros(n, m).double())


def expected_spearman(rho: float, n: int) -> float:
    """The expected rank correlation of n pairs of normals with correlation rho (Moran 1948); it grows with n."""
    return 6 / (pi * (n + 1)) * (asin(rho) + (n - 2) * asin(rho / 2))


def heavy_tailed_truth(generator: Generator, n_seeds: int, n: int, m: int, *, tails: float) -> tuple[Tensor, Tensor]:
    """Effects with heavy tails, and their sum with noise that grows with the effect, for each seed.

    `tails` = 0 gives normal effects and noise.
    """
    size = torch.exp(tails * (normal(generator, n, 1) + normal(generator, n, m)))
    effect = size * (normal(generator, n, 1) + normal(generator, n, m))
    seeds = normal(generator, n_seeds, n, m) * torch.exp(tails * normal(generator, n_seeds, n, m))
    return effect, effect + (0.5 + effect.abs()) * seeds
