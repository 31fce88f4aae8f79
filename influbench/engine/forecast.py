"""Forecasts of time, memory and disk for a plan, from a few timed steps."""

import gc
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import psutil
import torch

from influbench.api import Executor, Work
from influbench.engine.described import data_in_words
from influbench.engine.preparation import Prepared, fitting_truth, prepare, resolved
from influbench.isolation import isolated
from influbench.plan import ALL, Plan
from influbench.registry import Registry, installed
from influbench.resources import Resources
from influbench.results import Failure, Forecast
from influbench.shards import stored
from influbench.store.cache import Cache
from influbench.store.truths import ExportedTruth
from influbench.training.loop import Trainer
from influbench.truth.fit import OrdinaryTrainings

_BYTES_PER_SHARD_HEADER = 2048


def forecast(
    plan: Plan,
    *,
    registry: Registry | None = None,
    resources: Resources | None = None,
    truth_file: Path | None = None,
) -> tuple[list[Forecast], list[Failure]]:
    """A forecast for each problem, and the problems refused. Nothing is trained but a few steps, nothing is written.

    With a reliability asked for, it is that of the plan's first seeds. The shards of a truth file count as stored.
    UsageError if the file holds the truth of another problem.
    """
    registry, resources = registry or installed(), resources or Resources()
    named = set(plan.estimators) - {ALL}
    prepared, refused = prepare(resolved(plan, registry), registry, named=named, resources=resources)
    exported = None if truth_file is None else fitting_truth(truth_file, prepared)
    with isolated():
        return [_of_problem(problem, resources, exported) for problem in prepared], refused


def _of_problem(prepared: Prepared, resources: Resources, exported: ExportedTruth | None) -> Forecast:
    trainer = prepared.trainer
    pieces = _pieces(prepared, resources.cache, exported)
    missing = [piece for piece in pieces if not piece.is_stored]
    n_trainings = sum(piece.work.trainings_in(piece.name) for piece in missing)
    bytes_per_value = torch.empty(0, dtype=trainer.dtype).element_size()
    n_values = sum(piece.work.values_in(piece.name) for piece in missing)
    return Forecast(
        problem=prepared.plan.name,
        n_trainings=n_trainings,
        n_shards=len(pieces),
        n_shards_stored=len(pieces) - len(missing),
        seconds=_seconds(n_trainings, trainer, resources.executor) if n_trainings else 0.0,
        memory_bytes=_resident_bytes() + trainer.stack_width * trainer.replica_bytes,
        disk_bytes=n_values * bytes_per_value + len(missing) * _BYTES_PER_SHARD_HEADER,
        stack_width=trainer.stack_width,
        path=trainer.network.path(trainer.device),
        fit=stored(OrdinaryTrainings.of(prepared.judged.ground_truth), resources.cache),
        data=data_in_words(trainer.data),
    )


@dataclass(frozen=True, eq=False)
class _Piece:
    """One shard of what the judges train."""

    work: Work[Any]
    name: str
    is_stored: bool


def _pieces(prepared: Prepared, cache: Cache, exported: ExportedTruth | None) -> list[_Piece]:
    """Every shard that the judges ask for, each once; those of an exported truth count as stored."""
    ground_truth = prepared.judged.ground_truth
    in_file: Collection[str] = ()
    if exported is not None and exported.key == ground_truth.key:
        in_file = {f"{ground_truth.folder}/{name}" for name in exported.shards}
    pieces: dict[str, _Piece] = {}
    for seat in prepared.seats:
        for work in seat.works:
            for name in work.names:
                place = f"{work.folder}/{name}"
                pieces[place] = _Piece(work, name, place in in_file or cache.holds(place))
    return list(pieces.values())


def _seconds(n_trainings: int, trainer: Trainer, executor: Executor) -> float:
    """Time until this many trainings are done, from a few steps timed here and the start of the workers."""
    of_one = _seconds_per_training(trainer, one_thread=executor.one_thread)
    return n_trainings * of_one / executor.capacity() + _start_seconds(executor)


def _seconds_per_training(trainer: Trainer, *, one_thread: bool) -> float:
    """Time of one training and its evaluation, from a few steps of a full stack."""
    threads = torch.get_num_threads()
    try:
        if one_thread:
            torch.set_num_threads(1)
        width = trainer.stack_width
        step = trainer.step_seconds(width) / width
        runs = trainer.untrained(width)
        start = perf_counter()
        runs.measured(trainer.data.test)
        evaluation = (perf_counter() - start) / width
    finally:
        torch.set_num_threads(threads)
    return trainer.n_steps * step + evaluation


def _start_seconds(executor: Executor) -> float:
    """Time until workers are there, of which each imports torch once: that of a piece that does nothing."""
    start = perf_counter()
    list(executor.run(_nothing, None, ["start"]))
    return perf_counter() - start


def _nothing(_shared: None, _item: str) -> None:
    pass


def _resident_bytes() -> int:
    gc.collect()
    return int(psutil.Process().memory_info().rss)
