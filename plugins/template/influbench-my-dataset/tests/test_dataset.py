"""Tests of my_dataset beyond the contract."""

import pytest

from influbench_my_dataset.dataset import MyDataset


def test_it_has_as_many_points_as_asked_for() -> None:
    data = MyDataset(n_train=30, n_test=10).load(seed=0)
    assert (len(data.train), len(data.test)) == (30, 10)


def test_more_points_than_there_are_is_an_error() -> None:
    with pytest.raises(ValueError, match="together at most 1000"):
        MyDataset(n_train=999, n_test=10)
