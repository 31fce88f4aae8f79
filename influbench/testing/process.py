"""What a call does to the process around it."""

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


@contextmanager
def changes() -> Iterator[list[str]]:
    """A list that holds, after the block, what of the process the block has changed and left changed."""
    before, changed = _state(), list[str]()
    yield changed
    changed += [name for name, value in _state().items() if value != before[name]]


def _state() -> dict[str, object]:
    kind, keys, *rest = np.random.get_state(legacy=True)
    return {
        "torch's random state": torch.get_rng_state().numpy().tobytes(),
        "numpy's random state": (kind, np.asarray(keys).tobytes(), *rest),
        "Python's random state": random.getstate(),
        "the gradient mode": torch.is_grad_enabled(),
        "the default dtype": torch.get_default_dtype(),
        "the number of threads": torch.get_num_threads(),
        "the use of deterministic algorithms": torch.are_deterministic_algorithms_enabled(),
    }
