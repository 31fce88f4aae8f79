"""The examples of each step's batch, from a seed.

An epoch visits the examples in the order of a hash of (seed, epoch, example id). An example is therefore in a batch
with the same other examples whatever its row, and leaving one out by weight 0 does not move any other.
"""

from collections.abc import Sequence
from math import ceil

import torch
from torch import Tensor

from influbench.api import Recipe
from influbench.seeds import derive, hash_integers


def steps_per_training(recipe: Recipe, n_train: int) -> int:
    return recipe.epochs * ceil(n_train / recipe.batch_size)


def smallest_batch(recipe: Recipe, n_train: int) -> int:
    """The number of examples in the smallest batch, which is the last one of an epoch."""
    return n_train % recipe.batch_size or recipe.batch_size


def batch_rows(recipe: Recipe, ids: Tensor, seeds: Sequence[int]) -> list[Tensor]:
    """Rows of each step's batch: (batch,) if all seeds are equal, otherwise (n_seeds, batch).

    The last batch of an epoch is smaller if the batch size does not divide the number of examples.
    """
    order = _orders(recipe, ids, sorted(set(seeds)))
    if len(order) == 1:
        (rows,) = order.values()
    else:
        rows = torch.stack([order[seed] for seed in seeds], dim=1)  # (epochs, n_seeds, n)
    return [batch for epoch in rows for batch in epoch.split(recipe.batch_size, dim=-1)]


def _orders(recipe: Recipe, ids: Tensor, seeds: Sequence[int]) -> dict[int, Tensor]:
    epochs = torch.arange(recipe.epochs, device=ids.device)[:, None]
    return {
        seed: hash_integers(derive(seed, "batches"), epochs, ids[None]).argsort(dim=1)  # (epochs, n)
        for seed in seeds
    }
