"""An executor as another package brings it: Python's own pool of processes, whose workers import this module."""

import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing import get_context
from typing import Any

import cloudpickle
import torch

from influbench import Executor
from influbench.errors import InflubenchError

_GIVEN: list[tuple[Callable[[Any, str], Any], Any]] = []  # in a worker: the function and the shared object


@dataclass(frozen=True)
class Pool(Executor):
    """A pool of processes on this machine, which is started anew for all pieces of one kind."""

    n_workers: int = 2
    n_attempts: int = 3

    def capacity(self) -> int:
        return self.n_workers

    def run(self, function: Callable[..., Any], shared: Any, items: Sequence[str]) -> Iterator[tuple[str, Any]]:
        work, waiting = cloudpickle.dumps((function, shared)), list(items)
        for attempt in range(1, self.n_attempts + 1):
            failed = []
            pool = ProcessPoolExecutor(self.n_workers, get_context("spawn"), _begin, (work,))
            try:
                futures = {pool.submit(_computed, item): item for item in waiting}
                for future in as_completed(futures):
                    error = future.exception()
                    if error is None:
                        yield futures[future], cloudpickle.loads(future.result())
                    elif isinstance(error, InflubenchError) or attempt == self.n_attempts:
                        raise error
                    else:
                        failed.append(futures[future])
            finally:
                pool.shutdown(cancel_futures=True)
            if not failed:
                return
            waiting = failed


def _begin(work: bytes) -> None:
    """In each worker: the shared object is read once."""
    sys.stdout = sys.stderr
    torch.set_num_threads(1)
    _GIVEN[:] = [cloudpickle.loads(work)]


def _computed(item: str) -> bytes:
    ((function, shared),) = _GIVEN
    return cloudpickle.dumps(function(shared, item))
