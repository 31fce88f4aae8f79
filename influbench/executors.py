"""Where pieces of work run: in this process, in local processes, or on a Dask cluster.

Each takes `run(function, shared, items)` and yields `(item, result)` as they are done, in any order. `shared` goes to
every worker once. A piece that is lost with its worker, or that raises what is not one of our own errors, is tried
again; one that fails three times raises what it raised last.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import torch

from influbench.errors import InflubenchError, TrainingError, UsageError

if TYPE_CHECKING:
    from distributed import Client

S = TypeVar("S")
T = TypeVar("T")

_ATTEMPTS = 3
_CONNECT_SECONDS = 5


class Executor(Protocol):
    """Runs pieces of work somewhere."""

    def run(self, function: Callable[[S, str], T], shared: S, items: Sequence[str]) -> Iterator[tuple[str, T]]:
        """`function(shared, item)` for every item, as they are done."""
        ...


@dataclass(frozen=True)
class Here:
    """This process, one piece after the other, with all of torch's threads."""

    def run(self, function: Callable[[S, str], T], shared: S, items: Sequence[str]) -> Iterator[tuple[str, T]]:
        """In order."""
        for item in items:
            yield item, function(shared, item)


@dataclass(frozen=True)
class LocalProcesses:
    """Processes on this machine, each with one torch thread."""

    n_workers: int

    def run(self, function: Callable[[S, str], T], shared: S, items: Sequence[str]) -> Iterator[tuple[str, T]]:
        """As many pieces at a time as there are workers; a broken pool is replaced."""
        attempts = dict.fromkeys(items, 0)
        pending = list(items)
        while pending:
            try:
                for item, result in self._by_one_pool(function, shared, list(pending), attempts):
                    pending.remove(item)
                    yield item, result
            except BrokenProcessPool as error:
                if lost := [item for item in pending if attempts[item] >= _ATTEMPTS]:
                    raise TrainingError(f"{lost[0]} lost its worker process {_ATTEMPTS} times: {error}") from error

    def _by_one_pool(
        self, function: Callable[[S, str], T], shared: S, items: list[str], attempts: dict[str, int]
    ) -> Iterator[tuple[str, T]]:
        from loky import ProcessPoolExecutor

        pool = ProcessPoolExecutor(max_workers=self.n_workers, initializer=_take, initargs=(shared,))
        waiting, running = items[::-1], dict[Future[T], str]()
        try:
            while waiting or running:
                while waiting and len(running) < self.n_workers:
                    item = waiting.pop()
                    attempts[item] += 1
                    running[pool.submit(_on_taken, function, item)] = item
                done, _ = wait(running, return_when=FIRST_COMPLETED)
                for future in done:
                    item = running.pop(future)
                    error = future.exception()
                    if error is None:
                        yield item, future.result()
                    elif _is_final(error, attempts[item]):
                        raise error
                    else:
                        waiting.append(item)
        finally:
            pool.shutdown(wait=True, kill_workers=True)


@dataclass(frozen=True)
class Dask:
    """An existing Dask cluster ("tcp://host:8786"), or one that is started on 127.0.0.1 ("local:4")."""

    address: str

    def run(self, function: Callable[[S, str], T], shared: S, items: Sequence[str]) -> Iterator[tuple[str, T]]:
        """Dask runs again what is lost with a worker; what raises is tried again here."""
        from distributed import as_completed

        with self._client() as client:
            given = client.submit(_same, shared, pure=False)
            attempts = dict.fromkeys(items, 1)
            of_future = {client.submit(_one_thread, function, given, item, pure=False): item for item in items}
            running = as_completed(list(of_future))
            for future in running:
                item = of_future.pop(future)
                error = future.exception()
                if error is None:
                    yield item, future.result()
                    future.release()
                elif _is_final(error, attempts[item]):
                    raise error
                else:
                    attempts[item] += 1
                    again = client.submit(_one_thread, function, given, item, pure=False)
                    of_future[again] = item
                    running.add(again)

    def n_workers(self) -> int:
        """Threads that the cluster has now."""
        with self._client() as client:
            return sum(client.nthreads().values())

    @contextmanager
    def _client(self) -> "Iterator[Client]":
        try:
            from distributed import Client, LocalCluster
        except ImportError:
            raise UsageError("--dask needs Dask: pip install 'influbench[cluster]'") from None
        kind, _, n_workers = self.address.partition(":")
        with ExitStack() as stack:
            if kind == "local":
                if not n_workers.isdigit() or int(n_workers) < 1:
                    raise UsageError(f"--dask {self.address}: write local:N with a number of workers of at least 1")
                cluster = stack.enter_context(
                    LocalCluster(
                        n_workers=int(n_workers), threads_per_worker=1, host="127.0.0.1", dashboard_address=None
                    )
                )
                yield stack.enter_context(Client(cluster))
                return
            try:
                client = stack.enter_context(Client(self.address, timeout=_CONNECT_SECONDS))
            except (OSError, ValueError) as error:
                raise UsageError(f"no Dask scheduler answers at {self.address} ({type(error).__name__})") from None
            yield client


def _is_final(error: BaseException, attempts: int) -> bool:
    """Our own errors say what is wrong and would come again; a broken pool is replaced as a whole."""
    return isinstance(error, InflubenchError | BrokenProcessPool) or attempts >= _ATTEMPTS


_TAKEN: list[Any] = []


def _take(shared: object) -> None:
    """In a new worker process: keep what all pieces share."""
    torch.set_num_threads(1)
    _TAKEN[:] = [shared]


def _on_taken(function: Callable[[Any, str], T], item: str) -> T:
    return function(_TAKEN[0], item)


def _one_thread(function: Callable[[S, str], T], shared: S, item: str) -> T:
    torch.set_num_threads(1)
    return function(shared, item)


def _same(shared: S) -> S:
    return shared
