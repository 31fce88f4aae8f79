"""The place where trainings run, their storage, and their limits. None of it changes what they compute."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch

from influbench.api import Executor
from influbench.errors import UsageError
from influbench.executors.here import Here
from influbench.store.cache import Cache, default_cache

Progress = Callable[[str, int, int], None]  # what is being done, how many pieces are done, how many there are


def no_progress(_what: str, _done: int, _all: int) -> None:
    """Ignore progress."""


def check_one_given(given: Mapping[str, object]) -> None:
    """Raise UsageError if more than one of these alternative arguments is given (is not None)."""
    names = [name for name, value in given.items() if value is not None]
    if len(names) > 1:
        raise UsageError(f"give {names[0]} or {names[1]}, not both")


@dataclass(frozen=True)
class Resources:
    """The cache of stored trainings, the executor that runs them, and the limits of each process that trains."""

    cache: Cache = field(default_factory=default_cache)
    executor: Executor = field(default_factory=Here)
    memory: int | None = None  # bytes; None means a share of the free memory
    device: str = "cpu"

    def torch_device(self) -> torch.device:
        """The device. UsageError if it cannot be used here."""
        try:
            device = torch.device(self.device)
            torch.empty(0, device=device)
        except (RuntimeError, AssertionError) as error:
            reason = str(error).splitlines()[0].rstrip(".")
            raise UsageError(f"device {self.device!r} cannot be used here: {reason}") from None
        return device
