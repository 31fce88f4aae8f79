"""Where pieces of work run: in this process, in local processes, or on a Dask cluster.

Each takes `run(function, shared, items)` and yields `(item, result)` as they are done, in any order. `shared` goes to
every worker once. A piece that is lost with its worker, or that raises what is not one of our own errors, is tried
again; one that fails three times raises what it raised last.
"""

import re
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import cloudpickle
import torch
from loky import get_reusable_executor

from influbench.errors import EscapedError, InflubenchError, TrainingError, UsageError, told
from influbench.isolation import isolated

if TYPE_CHECKING:
    from distributed import Client

S = TypeVar("S")
T = TypeVar("T")

_ADDRESS = re.compile(r"local:\d+|((tcp|tls)://)?[^/\s]+:\d+|(?!tcp:|tls:)\w+://\S+")  # the last: of other protocols
_ATTEMPTS = 3
_CONNECT_SECONDS = 5
_IDLE_SECONDS = 300


class Executor(Protocol):
    """Runs pieces of work somewhere."""

    def run(self, function: Callable[[S, str], T], shared: S, items: Sequence[str]) -> Iterator[tuple[str, T]]:
        """`function(shared, item)` for every item, as they are done."""
        ...

    def close(self) -> None:
        """Give back what was started to run them."""
        ...


@dataclass(frozen=True)
class Here:
    """This process, one piece after the other, with all of torch's threads."""

    def run(self, function: Callable[[S, str], T], shared: S, items: Sequence[str]) -> Iterator[tuple[str, T]]:
        """In order."""
        for item in items:
            yield item, function(shared, item)

    def close(self) -> None:
        """Nothing was started."""


@dataclass(frozen=True)
class LocalProcesses:
    """Processes on this machine, each with one torch thread. They are kept from one call to the next."""

    n_workers: int

    def run(self, function: Callable[[S, str], T], shared: S, items: Sequence[str]) -> Iterator[tuple[str, T]]:
        """As many pieces at a time as there are workers; a broken pool is replaced."""
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
                    if lost := [item for item in pending if attempts[item] >= _ATTEMPTS]:
                        raise TrainingError(f"{lost[0]} lost its worker process {_ATTEMPTS} times: {error}") from error

    def close(self) -> None:
        """Stop the processes."""
        self._pool().shutdown(wait=True, kill_workers=True)

    def _by_one_pool(
        self, function: Callable[[S, str], T], place: str, items: list[str], attempts: dict[str, int]
    ) -> Iterator[tuple[str, T]]:
        pool, waiting, running = self._pool(), items[::-1], dict[Future[T], str]()
        try:
            while waiting or running:
                while waiting and len(running) <= self.n_workers:  # one waits, so that no worker does
                    item = waiting.pop()
                    attempts[item] += 1
                    running[pool.submit(_on_shared, function, place, item)] = item
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
            for future in running:
                future.cancel()

    def _pool(self) -> Any:
        return get_reusable_executor(max_workers=self.n_workers, timeout=_IDLE_SECONDS, initializer=_prepare_worker)


@dataclass
class Dask:
    """An existing Dask cluster ("tcp://host:8786"), or one that is started on 127.0.0.1 ("local:4")."""

    address: str

    def run(self, function: Callable[[S, str], T], shared: S, items: Sequence[str]) -> Iterator[tuple[str, T]]:
        """Dask runs again what is lost with a worker; what raises is tried again here."""
        if not items:
            return
        from distributed import as_completed

        client = self._client
        given = client.submit(_same, shared, pure=False)
        attempts = dict.fromkeys(items, 1)
        of_future = {client.submit(_on_given, function, given, item, pure=False): item for item in items}
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
                again = client.submit(_on_given, function, given, item, pure=False)
                of_future[again] = item
                running.add(again)

    def n_workers(self) -> int:
        """Threads that the cluster has now."""
        return sum(self._client.nthreads().values())

    def close(self) -> None:
        """Leave the cluster, and stop it if it was started here."""
        self._opened.close()

    def __post_init__(self) -> None:
        """UsageError where the address has no form of one, whether or not anything is left to be trained."""
        kind, _, n_workers = self.address.partition(":")
        if kind == "local" and not (n_workers.isdigit() and int(n_workers) >= 1):
            raise UsageError(f"--dask {self.address}: write local:N with a number of workers of at least 1")
        if not _ADDRESS.fullmatch(self.address):
            raise UsageError(
                f"--dask {self.address}: write tcp://HOST:PORT, the address that the scheduler prints, or local:N"
            )

    @cached_property
    def _opened(self) -> ExitStack:
        return ExitStack()

    @cached_property
    def _client(self) -> "Client":
        try:
            from distributed import Client, LocalCluster
        except ImportError:
            raise UsageError("--dask needs Dask: pip install 'influbench[cluster]'") from None
        kind, _, n_workers = self.address.partition(":")
        if kind == "local":
            started = LocalCluster(
                n_workers=int(n_workers), threads_per_worker=1, host="127.0.0.1", dashboard_address="127.0.0.1:0"
            )
            client: Client = self._opened.enter_context(Client(self._opened.enter_context(started)))
            return client
        try:
            client = self._opened.enter_context(Client(self.address, timeout=_CONNECT_SECONDS))
        except (OSError, ValueError) as error:
            raise UsageError(f"no Dask scheduler answers at {self.address} ({type(error).__name__})") from None
        return client


def _is_final(error: BaseException, attempts: int) -> bool:
    """Our own errors say what is wrong and would come again; a broken pool is replaced as a whole."""
    return isinstance(error, InflubenchError | BrokenProcessPool) or attempts >= _ATTEMPTS


_SHARED: dict[str, Any] = {}


def _on_shared(function: Callable[[Any, str], T], place: str, item: str) -> T:
    """In a worker process: what all pieces share is read once, and kept until another run shares something else."""
    content = Path(place).name
    if content not in _SHARED:
        _SHARED.clear()
        with isolated():  # it imports plugins
            _SHARED[content] = cloudpickle.loads(Path(place).read_bytes())
    try:
        return function(_SHARED[content], item)
    except Exception as error:
        if _can_be_sent(error):
            raise
        raise EscapedError(told(error)) from error


def _can_be_sent(error: Exception) -> bool:
    """Whether another process can read it: an exception with arguments of its own often cannot be made again."""
    try:
        cloudpickle.loads(cloudpickle.dumps(error))
    except Exception:
        return False
    return True


def _on_given(function: Callable[[S, str], T], shared: S, item: str) -> T:
    _use_one_thread()
    return function(shared, item)


def _prepare_worker() -> None:
    """In a worker process, whose standard output is that of the run: only reports go there."""
    sys.stdout = sys.stderr
    _use_one_thread()


def _use_one_thread() -> None:
    torch.set_num_threads(1)


def _same(shared: S) -> S:
    return shared
