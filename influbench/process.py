"""The global state of torch, numpy and Python in this process: how it is read, and how it is put back."""

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
    except (RuntimeError, AssertionError):  # torch creates a tensor there to find out
        return _ELSEWHERE


def _set_default_device(device: str) -> None:
    """Set the device. The CPU is set as None, the only device that does not slow down every torch function."""
    torch.set_default_device(None if device == "cpu" else device)


# The device comes first: while it is an invalid one, nothing else can be put back.
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

# Torch's initial settings, without the number of threads, which depends on the machine.
INITIAL: Mapping[str, object] = {
    "the default device": "cpu",
    "the gradient mode": True,
    "the default dtype": torch.float32,
    "the use of deterministic algorithms": False,
}


@contextmanager
def settings_kept() -> Iterator[list[str]]:
    """A context that puts all settings back at the end. Afterwards, the list has the ones that had changed."""
    before, changed = _settings(), list[str]()
    try:
        yield changed
    finally:
        changed += put_back(before)


def _settings() -> dict[str, object]:
    return {name: read() for name, (read, _) in _SETTINGS.items()}


def put_back(before: Mapping[str, object]) -> list[str]:
    """Restore these settings, and return the names of the ones that had changed."""
    changed = []
    for name, (read, write) in _SETTINGS.items():
        if name in before and read() != before[name]:
            write(before[name])
            changed.append(name)
    return changed


@contextmanager
def random_states_kept(seed: int | None = None) -> Iterator[None]:
    """A context in which global random states start from `seed`, if there is one; all are restored at the end."""
    numpy_state, python_state = np.random.get_state(), random.getstate()
    devices = () if seed is None else None  # without a seed, do not initialize a GPU to read its state
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
    """A context with a list that has, after the block, every state of the process that the block left changed."""
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
