"""An executor that computes pieces on a Dask cluster."""

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from threading import Lock
from typing import TYPE_CHECKING, TypeVar

import psutil
import torch

from influbench.api import Executor
from influbench.errors import UsageError
from influbench.executors.retries import is_final

if TYPE_CHECKING:
    from distributed import Client

S = TypeVar("S")
T = TypeVar("T")

_ADDRESS = re.compile(r"local:\d+|((tcp|tls)://)?[^/\s]+:\d+|(?!tcp:|tls:)\w+://\S+")  # the last: other protocols
_CONNECT_SECONDS = 5  # a scheduler that runs answers well within this; a user who mistyped should not wait


@dataclass(frozen=True)
class Dask(Executor):
    """A running Dask cluster ("tcp://head:8786"), or one that is started on this machine ("local:4").

    Each piece computes with one torch thread, and a worker process computes one piece at a time, however many threads
    Dask gives it: start one worker per core, with `--nthreads 1`.
    """

    address: str

    def __post_init__(self) -> None:
        """Raise UsageError if it is not an address, even if nothing is left to train."""
        kind, _, n_workers = self.address.partition(":")
        if kind == "local" and not (n_workers.isdigit() and int(n_workers) >= 1):
            raise UsageError(
                f"the Dask address {self.address} does not fit; write local:N with a number of workers of at least 1"
            )
        if not _ADDRESS.fullmatch(self.address):
            raise UsageError(
                f"the Dask address {self.address} does not fit; write tcp://HOST:PORT, the address that the scheduler "
                "prints, or local:N"
            )

    def capacity(self) -> int:
        """The number of worker processes that the cluster has now; on this machine, at most its number of cores."""
        if self._n_local is not None:
            return min(self._n_local, psutil.cpu_count() or 1)
        return max(1, len(self._client.nthreads()))  # a cluster may not have any workers yet

    def run(self, function: Callable[[S, str], T], shared: S, items: Sequence[str]) -> Iterator[tuple[str, T]]:
        """Dask reruns a piece that is lost with a worker; a piece that raises is retried here."""
        if not items:
            return
        from distributed import as_completed

        client = self._client
        given = client.submit(_same, shared, pure=False)
        attempts = dict.fromkeys(items, 1)
        of_future = {client.submit(_on_worker, function, given, item, pure=False): item for item in items}
        running = as_completed(list(of_future))
        for future in running:
            item = of_future.pop(future)
            error = future.exception()
            if error is None:
                yield item, future.result()
                future.release()
            elif is_final(error, attempts[item]):
                raise error
            else:
                attempts[item] += 1
                again = client.submit(_on_worker, function, given, item, pure=False)
                of_future[again] = item
                running.add(again)

    def close(self) -> None:
        """Disconnect from the cluster, and stop it if it was started here."""
        self._opened.close()

    @property
    def _n_local(self) -> int | None:
        kind, _, n_workers = self.address.partition(":")
        return int(n_workers) if kind == "local" else None

    @cached_property
    def _opened(self) -> ExitStack:
        return ExitStack()

    @cached_property
    def _client(self) -> "Client":
        try:
            from distributed import Client, LocalCluster
        except ImportError:
            raise UsageError("the executor dask needs Dask: pip install 'influbench[cluster]'") from None
        if self._n_local is not None:
            started = LocalCluster(
                n_workers=self._n_local, threads_per_worker=1, host="127.0.0.1", dashboard_address="127.0.0.1:0"
            )
            client: Client = self._opened.enter_context(Client(self._opened.enter_context(started)))
            return client
        try:
            client = self._opened.enter_context(Client(self.address, timeout=_CONNECT_SECONDS))
        except (OSError, ValueError) as error:
            raise UsageError(f"no Dask scheduler answers at {self.address} ({type(error).__name__})") from None
        return client


# in each worker process: two pieces at a time would change each other's torch random state
_ONE_AT_A_TIME = Lock()


def _on_worker(function: Callable[[S, str], T], shared: S, item: str) -> T:
    with _ONE_AT_A_TIME:
        torch.set_num_threads(1)
        return function(shared, item)


def _same(shared: S) -> S:
    return shared
