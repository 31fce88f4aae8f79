"""Work in pieces that are small, independent and stored as soon as they are done, so that nothing is computed twice."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Protocol

import torch
from torch import Tensor

from influbench.errors import StoreError
from influbench.executors import Executor
from influbench.isolation import isolated
from influbench.store.cache import Cache
from influbench.store.files import Arrays

_SECONDS = "seconds"


@dataclass(frozen=True, eq=False)
class Shard:
    """One finished piece. `seconds` is what it took to compute, whenever that was."""

    name: str
    tensors: Mapping[str, Tensor]
    seconds: float
    reused: bool
    warning: str | None = None


class Work(Protocol):
    """What can compute a piece by its name, here or, pickled, elsewhere."""

    def compute(self, name: str) -> Mapping[str, Tensor]:
        """The tensors of the piece."""
        ...


def gather(cache: Cache, folder: str, names: Sequence[str], work: Work, executor: Executor) -> Iterator[Shard]:
    """Each named piece: first those that are stored, then the others as they are computed, stored at once.

    A damaged file is named in `warning` and computed again. What computing raises is raised, and nothing is stored.
    """
    warnings: dict[str, str] = {}
    missing = []
    for name in names:
        stored = _read(cache, f"{folder}/{name}", name, warnings)
        if stored is None:
            missing.append(name)
        else:
            yield stored
    for name, (tensors, seconds) in executor.run(_timed, work, missing):
        cache.write(f"{folder}/{name}", Arrays(tensors, {_SECONDS: repr(seconds), "torch": torch.__version__}))
        yield Shard(name, tensors, seconds, reused=False, warning=warnings.get(name))


def _read(cache: Cache, place: str, name: str, warnings: dict[str, str]) -> Shard | None:
    try:
        stored = cache.read(place)
    except StoreError as error:
        warnings[name] = f"{error}; it is computed again"
        cache.discard(place)
        return None
    if stored is None:
        return None
    return Shard(name, stored.tensors, float(stored.notes[_SECONDS]), reused=True)


def _timed(work: Work, name: str) -> tuple[Mapping[str, Tensor], float]:
    start = perf_counter()
    with isolated():
        tensors = work.compute(name)
    return tensors, perf_counter() - start
