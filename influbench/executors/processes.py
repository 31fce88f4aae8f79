"""An executor that computes pieces in processes on this machine."""

import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

import cloudpickle
import psutil
import torch
from loky import get_reusable_executor

from influbench.api import Executor
from influbench.errors import EscapedError, TrainingError, type_and_message
from influbench.executors.retries import ATTEMPTS, is_final
from influbench.isolation import isolated

S = TypeVar("S")
T = TypeVar("T")

_IDLE_SECONDS = 300  # long enough that the next run of a session finds its processes, which take seconds to start


@dataclass(frozen=True)
class LocalProcesses(Executor):
    """Processes on this machine, each with one torch thread. They stay alive between calls."""

    n_workers: int

    def __post_init__(self) -> None:
        if self.n_workers < 1:
            raise ValueError(f"n_workers must be at least 1, got {self.n_workers}")

    def capacity(self) -> int:
        """The number of processes, at most the number of cores."""
        return min(self.n_workers, psutil.cpu_count() or 1)

    def run(self, function: Callable[[S, str], T], shared: S, items: Sequence[str]) -> Iterator[tuple[str, T]]:
        """One piece at a time for each worker. A broken pool is replaced."""
        attempts, pending = dict.fromkeys(items, 0), list(items)
        with TemporaryDirectory(prefix="influbench-") as folder:
            content = cloudpickle.dumps(shared)
            place = Path(folder) / blake2b(content, digest_size=16).hexdigest()
            place.write_bytes(content)
            while pending:
                try:
                    for item, result in self._by_one_pool(function, str(place), list(pending), attempts):
                        pending.remove(item)
                        yield item, result
                except BrokenProcessPool as error:
                    if lost := [item for item in pending if attempts[item] >= ATTEMPTS]:
                        raise TrainingError(f"{lost[0]} lost its worker process {ATTEMPTS} times: {error}") from error

    def close(self) -> None:
        """Stop the processes."""
        self._pool().shutdown(wait=True, kill_workers=True)

    def _by_one_pool(
        self, function: Callable[[S, str], T], place: str, items: list[str], attempts: dict[str, int]
    ) -> Iterator[tuple[str, T]]:
        pool, waiting, running = self._pool(), items[::-1], dict[Future[T], str]()
        try:
            while waiting or running:
                while waiting and len(running) <= self.n_workers:  # one piece waits, so that a worker does not
                    item = waiting.pop()
                    attempts[item] += 1
                    running[pool.submit(_on_shared, function, place, item)] = item
                done, _ = wait(running, return_when=FIRST_COMPLETED)
                for future in done:
                    item = running.pop(future)
                    error = future.exception()
                    if error is None:
                        yield item, future.result()
                    elif isinstance(error, BrokenProcessPool) or is_final(error, attempts[item]):
                        raise error
                    else:
                        waiting.append(item)
        finally:
            for future in running:
                future.cancel()

    def _pool(self) -> Any:
        return get_reusable_executor(max_workers=self.n_workers, timeout=_IDLE_SECONDS, initializer=_prepare_worker)


_SHARED: dict[str, Any] = {}


def _on_shared(function: Callable[[Any, str], T], place: str, item: str) -> T:
    """Compute in a worker process. What all pieces share is read once, and kept until a run shares something else."""
    content = Path(place).name
    if content not in _SHARED:
        _SHARED.clear()
        with isolated():  # because it imports plugins
            _SHARED[content] = cloudpickle.loads(Path(place).read_bytes())
    try:
        return function(_SHARED[content], item)
    except Exception as error:
        if _can_be_sent(error):
            raise
        raise EscapedError(type_and_message(error)) from error


def _can_be_sent(error: Exception) -> bool:
    """True if another process can read the error; one with arguments of its own often cannot be unpickled."""
    try:
        cloudpickle.loads(cloudpickle.dumps(error))
    except Exception:
        return False
    return True


def _prepare_worker() -> None:
    """Prepare a worker process. Its standard output is the output of the run, which is for reports only."""
    sys.stdout = sys.stderr
    torch.set_num_threads(1)
