"""The width of a stack."""

import psutil
import pytest
import torch

from influbench.errors import UsageError
from influbench.models.mlp import Mlp
from influbench.training.width import WIDEST, fastest_width, memory_limit
from tests.problems import blobs, trainer


def test_the_fastest_width_that_fits_is_taken() -> None:
    per_replica = {2: 5.0, 4: 3.0, 8: 2.0, 16: 1.0, 32: 1.02, WIDEST: 3.0}

    def seconds(width: int) -> float:
        return width * per_replica[width]

    assert fastest_width(seconds, replica_bytes=1, limit=1000) == 32  # nearly as fast as 16, and wider
    assert fastest_width(seconds, replica_bytes=1, limit=9) == 8
    assert fastest_width(seconds, replica_bytes=10, limit=25) == 2
    assert fastest_width(seconds, replica_bytes=10, limit=15) == 1


def test_less_memory_than_one_replica_is_refused() -> None:
    with pytest.raises(UsageError, match=r"one replica needs about 20 MB, and the memory limit is 10 MB"):
        fastest_width(lambda _: 1.0, replica_bytes=20_000_000, limit=10_000_000)


def test_the_default_limit_is_half_of_what_is_free() -> None:
    assert memory_limit(torch.device("cpu")) == pytest.approx(psutil.virtual_memory().available / 2, rel=0.2)


def test_a_replica_takes_more_with_more_units_and_larger_batches() -> None:
    small = trainer(blobs(), Mlp(hidden=(8,))).replica_bytes
    assert trainer(blobs(), Mlp(hidden=(64,))).replica_bytes > 4 * small
    assert trainer(blobs(), Mlp(hidden=(8,)), batch_size=20).replica_bytes > small
