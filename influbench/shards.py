"""Work in small independent pieces that are stored as soon as each is done, so that nothing is computed twice."""

from abc import ABC
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Generic, TypeVar

import torch
from torch import Tensor

from influbench.api import Shard, Work
from influbench.errors import StoreError, TrainingError
from influbench.isolation import isolated
from influbench.resources import Progress, Resources, no_progress
from influbench.store.cache import Cache
from influbench.store.files import Arrays, are_finite
from influbench.training.loop import Trainer

T = TypeVar("T")

_SECONDS = "seconds"


@dataclass(frozen=True, eq=False)
class Trainings(Work[T], ABC, Generic[T]):
    """Work that trains networks with one trainer."""

    trainer: Trainer

    @property
    def remedy(self) -> str:
        return f"lower the learning rate in the plan's [training], which is {self.trainer.recipe.learning_rate}"


def gather(work: Work[T], resources: Resources, *, known: Sequence[Shard] = ()) -> Iterator[Shard]:
    """Each piece of the work: first the stored ones, then the others when they have been computed and stored.

    Pieces that are `known` are left out. A file that is damaged, or is not the one that belongs there, is named in
    `warning` and computed again. An exception while a piece is computed is raised here, and the piece is not stored;
    TrainingError if a piece is not finite.
    """
    cache, warnings = resources.cache, dict[str, str]()
    missing, there = [], {shard.name for shard in known}
    for name in work.names:
        if name in there:
            continue
        shard = _read(cache, f"{work.folder}/{name}", name, warnings)
        if shard is None:
            missing.append(name)
        else:
            yield shard
    for name, (tensors, seconds) in resources.executor.run(_computed, work, missing):
        cache.write(f"{work.folder}/{name}", Arrays(tensors, {_SECONDS: repr(seconds), "torch": torch.__version__}))
        yield Shard(name, tensors, seconds, reused=False, warning=warnings.get(name))


def trained(work: Work[T], resources: Resources, *, what: str = "", progress: Progress = no_progress) -> T:
    """The result of the whole work, and of the further work that it asks for. Progress is reported piece by piece."""
    shards: list[Shard] = []
    asked: Work[T] | None = work
    while asked is not None:
        for shard in gather(asked, resources, known=shards):
            shards.append(shard)
            progress(what, len(shards), len(asked.names))
        found = asked.assemble(in_order(shards))
        asked = asked.further(found)
    return found


def stored(work: Work[T], cache: Cache) -> T | None:
    """The result of the whole work if all of its pieces are stored and whole. Nothing is computed or discarded."""
    shards = []
    for name in work.names:
        try:
            found = cache.read(f"{work.folder}/{name}")
        except StoreError:
            return None
        if found is None:
            return None
        shards.append(_shard(name, found))
    return work.assemble(in_order(shards))


def in_order(shards: Sequence[Shard]) -> list[Shard]:
    """Shards in the order of their names, as `Work.assemble` takes them."""
    return sorted(shards, key=lambda shard: shard.name)


def _read(cache: Cache, place: str, name: str, warnings: dict[str, str]) -> Shard | None:
    try:
        found = cache.read(place)
    except StoreError as error:
        warnings[name] = f"{error}; it is computed again"
        cache.discard(place)
        return None
    if found is None:
        return None
    return _shard(name, found)


def _shard(name: str, arrays: Arrays) -> Shard:
    return Shard(name, arrays.tensors, float(arrays.notes[_SECONDS]), reused=True)


def _computed(work: Work[T], name: str) -> tuple[Mapping[str, Tensor], float]:
    start = perf_counter()
    with isolated():
        tensors = work.compute(name)
    if not are_finite(tensors):
        raise TrainingError(f"training diverged: {work.holds} are not finite; {work.remedy}")
    return tensors, perf_counter() - start
