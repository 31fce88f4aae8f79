"""What a ground truth will take, told before it is spent, from a few timed steps."""

import gc
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import psutil
import torch

from influbench.api import Executor
from influbench.banks import BLOCK as MODELS
from influbench.engine.preparation import Prepared, fitting_truth, prepare, resolved
from influbench.isolation import isolated
from influbench.measures import available
from influbench.plan import ALL, Plan
from influbench.registry import Registry, installed
from influbench.resources import Resources
from influbench.results import Failure, Forecast
from influbench.store.cache import Cache
from influbench.store.truths import ExportedTruth
from influbench.training.loop import Trainer
from influbench.truth.linear_datamodeling import subset_banks

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
        return [_of_problem(plan, problem, resources, exported) for problem in prepared], refused


def _of_problem(plan: Plan, prepared: Prepared, resources: Resources, exported: ExportedTruth | None) -> Forecast:
    ground_truth, trainer = prepared.ground_truth, prepared.trainer
    names, cache, executor = ground_truth.names, resources.cache, resources.executor
    in_file = exported.shards if exported is not None and exported.key == ground_truth.key else frozenset[str]()
    missing = [name for name in names if name not in in_file and not cache.holds(f"{ground_truth.folder}/{name}")]
    n_left_out = [ground_truth.n_left_out(name) for name in missing]
    of_subsets = _of_subsets(plan, trainer, cache)
    n_train, n_test = len(trainer.data.train), len(trainer.data.test)
    n_trainings = sum(n_left_out) + len(missing) + of_subsets.n_missing * MODELS
    of_measures = len(available(trainer.data.n_classes)) * torch.empty(0, dtype=trainer.dtype).element_size()
    n_bytes = (n_test + 1) * len(ground_truth.kept_steps) * of_measures
    n_bytes_of_subsets = MODELS * (n_test + n_train) * of_measures
    return Forecast(
        problem=prepared.plan.name,
        n_trainings=n_trainings,
        n_shards=len(names) + of_subsets.n_shards,
        n_shards_stored=len(names) - len(missing) + of_subsets.n_shards - of_subsets.n_missing,
        seconds=_seconds(n_trainings, trainer, executor) if n_trainings else 0.0,
        memory_bytes=_resident_bytes() + trainer.stack_width * trainer.replica_bytes,
        disk_bytes=sum(n_left_out) * n_bytes
        + len(missing) * _BYTES_PER_SHARD_HEADER
        + of_subsets.n_missing * (n_bytes_of_subsets + _BYTES_PER_SHARD_HEADER),
        stack_width=trainer.stack_width,
        path=trainer.network.path(trainer.device),
    )


@dataclass(frozen=True)
class _Subsets:
    """Shards of the second truth, and how many of them are not stored."""

    n_shards: int
    n_missing: int


def _of_subsets(plan: Plan, trainer: Trainer, cache: Cache) -> _Subsets:
    banks = subset_banks(trainer, plan.seed, n_subsets=plan.truth.subsets, ratio=plan.truth.subset_ratio)
    places = [f"{bank.folder}/{name}" for bank in banks for name in bank.names] if plan.truth.subsets else []
    return _Subsets(len(places), sum(not cache.holds(place) for place in places))


def _seconds(n_trainings: int, trainer: Trainer, executor: Executor) -> float:
    """Time until so many trainings are done, from a few steps that are timed here and the start of the workers."""
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
