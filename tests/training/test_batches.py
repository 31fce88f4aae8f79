"""Batches follow ids, not rows."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from influbench.api import Recipe
from influbench.training.batches import batch_rows, steps_per_training


@given(n=st.integers(2, 40), size=st.integers(1, 50), epochs=st.integers(1, 3), seed=st.integers(0, 2**62))
def test_every_epoch_visits_every_example_once(n: int, size: int, epochs: int, seed: int) -> None:
    recipe = Recipe(batch_size=size, epochs=epochs)
    batches = batch_rows(recipe, torch.arange(n) * 7, [seed])
    assert len(batches) == steps_per_training(recipe, n)
    visited = torch.cat(batches).reshape(epochs, n)
    assert all(torch.equal(epoch.sort().values, torch.arange(n)) for epoch in visited)


def test_permuting_rows_leaves_every_batch_as_it_was() -> None:
    recipe = Recipe(batch_size=4, epochs=3)
    ids = torch.tensor([5, 90, 3, 44, 21, 8, 1000, 13, 2])
    order = torch.tensor([3, 0, 8, 1, 7, 2, 6, 4, 5])
    for before, after in zip(batch_rows(recipe, ids, [9]), batch_rows(recipe, ids[order], [9]), strict=True):
        assert torch.equal(ids[before], ids[order][after])


def test_another_example_does_not_reorder_the_others() -> None:
    recipe = Recipe(batch_size=100, epochs=1)
    ids = torch.arange(30)
    (few,), (many,) = batch_rows(recipe, ids[:20], [3]), batch_rows(recipe, ids, [3])
    assert torch.equal(many[many < 20], few)


def test_epochs_and_seeds_differ() -> None:
    recipe = Recipe(batch_size=20, epochs=2)
    rows = batch_rows(recipe, torch.arange(20), [1, 2])
    assert rows[0].shape == (2, 20)
    assert not torch.equal(rows[0][0], rows[0][1])
    assert not torch.equal(rows[0][0], rows[1][0])
    assert torch.equal(rows[0][1], batch_rows(recipe, torch.arange(20), [2])[0])
