"""Work in pieces that are small, independent and stored as soon as they are done, so that nothing is computed twice."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter

import torch
from torch import Tensor

from influbench.errors import StoreError
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


def gather(
    cache: Cache, folder: str, names: Sequence[str], compute: Callable[[str], Mapping[str, Tensor]]
) -> Iterator[Shard]:
    """Each named piece, in order: from the cache where it is stored, computed and stored otherwise.

    A damaged file is named in `warning` and computed again. What `compute` raises is raised, and nothing is stored.
    """
    for name in names:
        place = f"{folder}/{name}"
        warning = None
        try:
            stored = cache.read(place)
        except StoreError as error:
            stored, warning = None, f"{error}; it is computed again"
            cache.discard(place)
        if stored is not None:
            yield Shard(name, stored.tensors, float(stored.notes[_SECONDS]), reused=True)
            continue
        start = perf_counter()
        tensors = compute(name)
        seconds = perf_counter() - start
        cache.write(place, Arrays(tensors, {_SECONDS: repr(seconds), "torch": torch.__version__}))
        yield Shard(name, tensors, seconds, reused=False, warning=warning)
