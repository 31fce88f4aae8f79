"""The state of the process that torch, numpy and Python keep for everybody: seen, and put back."""

import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from influbench import floating_point

_ELSEWHERE = "a device that is not there"


def _default_device() -> str:
    try:
        return str(torch.get_default_device())
    except (RuntimeError, AssertionError):  # torch makes a tensor there to find out
        return _ELSEWHERE


def _set_default_device(device: str) -> None:
    """None is the CPU as well, and the only one that costs no time."""
    torch.set_default_device(None if device == "cpu" else device)


# The device comes first: nothing else can be put back as long as it is a wrong one.
_SETTINGS: dict[str, tuple[Callable[[], Any], Callable[[Any], object]]] = {
    "the default device": (_default_device, _set_default_device),
    "the gradient mode": (torch.is_grad_enabled, torch.set_grad_enabled),
    "the default dtype": (torch.get_default_dtype, torch.set_default_dtype),
    "the number of threads": (torch.get_num_threads, torch.set_num_threads),
    "the use of deterministic algorithms": (
        torch.are_deterministic_algorithms_enabled,
        torch.use_deterministic_algorithms,
    ),
    floating_point.NAME: (floating_point.handling, floating_point.handle),
}

# What torch begins with; its number of threads depends on the machine.
INITIAL: Mapping[str, object] = {
    "the default device": "cpu",
    "the gradient mode": True,
    "the default dtype": torch.float32,
    "the use of deterministic algorithms": False,
}


@contextmanager
def settings_kept() -> Iterator[list[str]]:
    """On leaving, all settings are as before; the list tells afterwards which had to be put back."""
    before, changed = _settings(), list[str]()
    try:
        yield changed
    finally:
        changed += put_back(before)


def _settings() -> dict[str, object]:
    return {name: read() for name, (read, _) in _SETTINGS.items()}


def put_back(before: Mapping[str, object]) -> list[str]:
    """Make the settings what they were, and name those that were not."""
    changed = []
    for name, (read, write) in _SETTINGS.items():
        if name in before and read() != before[name]:
            write(before[name])
            changed.append(name)
    return changed


@contextmanager
def random_states_kept(seed: int | None = None) -> Iterator[None]:
    """Within, every global random state starts from `seed`, if there is one; on leaving, all are as before."""
    numpy_state, python_state = np.random.get_state(), random.getstate()
    devices = () if seed is None else None  # without a seed, no GPU is woken up to ask for its state
    with torch.random.fork_rng(devices=devices):
        if seed is not None:
            torch.manual_seed(seed)
            np.random.seed(seed % 2**32)
            random.seed(seed)
        try:
            yield
        finally:
            np.random.set_state(numpy_state)
            random.setstate(python_state)


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
        **_settings(),
    }
