"""What a plugin's code does to the process around it: seen, told and undone."""

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

_SETTINGS = {
    "the gradient mode": (torch.is_grad_enabled, torch.set_grad_enabled),
    "the default dtype": (torch.get_default_dtype, torch.set_default_dtype),
    "the number of threads": (torch.get_num_threads, torch.set_num_threads),
    "the use of deterministic algorithms": (
        torch.are_deterministic_algorithms_enabled,
        torch.use_deterministic_algorithms,
    ),
}


@contextmanager
def isolated(seed: int) -> Iterator[list[str]]:
    """Within, every global random state starts from `seed` and gradients are enabled; on leaving, all is as before.

    The list tells afterwards which settings had to be put back. Random states are put back without a word.
    """
    numpy_state, python_state = np.random.get_state(), random.getstate()
    put_back: list[str] = []
    with torch.random.fork_rng(), torch.set_grad_enabled(True):
        torch.manual_seed(seed)
        np.random.seed(seed % 2**32)
        random.seed(seed)
        before = {name: read() for name, (read, _) in _SETTINGS.items()}
        try:
            yield put_back
        finally:
            np.random.set_state(numpy_state)
            random.setstate(python_state)
            for name, (read, write) in _SETTINGS.items():
                if read() != before[name]:
                    write(before[name])  # type: ignore[operator]
                    put_back.append(name)


@contextmanager
def changes() -> Iterator[list[str]]:
    """A list that holds, after the block, what of the process it has changed and left changed."""
    before, changed = _state(), list[str]()
    yield changed
    changed += [name for name, value in _state().items() if value != before[name]]


def _state() -> dict[str, object]:
    kind, keys, *rest = np.random.get_state(legacy=True)
    return {
        "torch's random state": torch.get_rng_state().numpy().tobytes(),
        "numpy's random state": (kind, np.asarray(keys).tobytes(), *rest),
        "Python's random state": random.getstate(),
        **{name: read() for name, (read, _) in _SETTINGS.items()},
    }
