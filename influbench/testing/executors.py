"""The contract that every executor must keep."""

import os
import socket
import time
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import replace
from io import StringIO
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor

from influbench.api import Executor, Shard
from influbench.errors import TrainingError
from influbench.executors.here import Here
from influbench.process import settings_kept
from influbench.resources import Resources
from influbench.shards import gather
from influbench.store.cache import Cache
from influbench.testing.checks import (
    Check,
    ContractError,
    NotApplicable,
    Promise,
    assert_unchanged,
    checks_of,
    described,
    instance,
)
from influbench.testing.problems import small_trainer
from influbench.truth.leave_one_out import GroundTruth

_ITEMS = [f"piece-{number}" for number in range(8)]
_PIECE_SECONDS = 0.05  # long enough that pieces of one process would overlap if they ran at the same time
_DIVERGED, _NEVER_WORKS, _ELSEWHERE = "training diverged, as it should", "never works", "another file system"


def executor_checks(executor: str | Executor) -> list[Check]:
    """The contract of executors for one of them, an instance or its selector: a list of checks to be called.

    All of them use the same instance, and the last one closes it. `Executor.exempt` declares exceptions.
    """
    executor = instance("executor", executor)
    return checks_of(_PROMISES, executor, executor)


# ---------------------------------------------------------------- pieces, which workers import


def _joined(shared: str, item: str) -> str:
    return f"{shared} {item}"


def _applied(shared: tuple[Callable[[Tensor], Tensor], Tensor], item: str) -> dict[str, Tensor]:
    function, tensor = shared
    return {item: function(tensor)}


def _threads(_shared: None, _item: str) -> int:
    return torch.get_num_threads()


def _span(_shared: None, _item: str) -> tuple[tuple[str, int], float, float]:
    """The process of a piece, and the times at which the piece began and ended there."""
    start = time.monotonic()
    time.sleep(_PIECE_SECONDS)
    return (socket.gethostname(), os.getpid()), start, time.monotonic()


def _diverges(folder: str, item: str) -> str:
    if not _counted(folder, item):
        return _ELSEWHERE
    raise TrainingError(_DIVERGED)


def _fails_at_first(folder: str, item: str) -> str:
    n_calls = _counted(folder, item)
    if n_calls == 1:
        raise OSError("the network hiccups")
    return item if n_calls else _ELSEWHERE


def _always_fails(_shared: None, _item: str) -> str:
    raise ZeroDivisionError(_NEVER_WORKS)


def _counted(folder: str, item: str) -> int:
    """The number of calls for this item, including this one; 0 if the worker does not see the folder."""
    if not Path(folder).is_dir():
        return 0
    with (Path(folder) / item).open("a") as calls:
        calls.write("x")
    return len((Path(folder) / item).read_text())


# ---------------------------------------------------------------- what is done with them


def _has_room(executor: Executor) -> None:
    capacity: Any = executor.capacity()
    if not isinstance(capacity, int) or isinstance(capacity, bool) or capacity < 1:
        raise ContractError(f"capacity() returned {capacity!r}")


def _gives_every_item_once(executor: Executor) -> None:
    found: Any = list(executor.run(_joined, "of", _ITEMS))
    if sorted(found) != [(item, f"of {item}") for item in _ITEMS]:
        raise ContractError(f"{len(_ITEMS)} items gave {sorted(found)}")


def _takes_no_items(executor: Executor) -> None:
    if found := list(executor.run(_joined, "of", [])):
        raise ContractError(f"no items gave {found}")


def _sends_objects_whole(executor: Executor) -> None:
    numbers, offset = torch.arange(6, dtype=torch.float64).reshape(2, 3) / 7, 0.1
    shared = (lambda tensor: tensor * 3 + offset), numbers
    for item, result in executor.run(_applied, shared, _ITEMS[:2]):
        if not torch.equal(result[item], numbers * 3 + offset):
            raise ContractError(f"a tensor that was {numbers * 3 + offset} there is {result[item]} here")


def _uses_one_thread(executor: Executor) -> None:
    if not executor.one_thread:
        raise NotApplicable("it declares that its pieces use more threads")
    for item, n_threads in executor.run(_threads, None, _ITEMS):
        if n_threads != 1:
            raise ContractError(f"{item} ran with {n_threads} torch threads")


def _keeps_pieces_apart(executor: Executor) -> None:
    spans = sorted(span for _, span in executor.run(_span, None, _ITEMS))
    for (process, _, end), (next_process, start, _) in pairwise(spans):
        if process == next_process and start < end:
            raise ContractError(f"two pieces ran in process {process[1]} at the same time")


def _raises_our_errors(executor: Executor) -> None:
    with TemporaryDirectory(prefix="influbench-") as folder:
        error, found = _outcome(executor, _diverges, folder, _ITEMS[:1])
        _check_seen(folder, found)
        if not isinstance(error, TrainingError) or str(error) != _DIVERGED:
            raise ContractError(f"a piece raised TrainingError: {_DIVERGED}, and {_arrived(error)}")
        if (n_calls := len((Path(folder) / _ITEMS[0]).read_text())) > 1:
            raise ContractError(f"a piece that raised an InflubenchError was computed {n_calls} times")


def _raises_other_errors(executor: Executor) -> None:
    error, _ = _outcome(executor, _always_fails, None, _ITEMS[:1])
    if error is None or _NEVER_WORKS not in str(error):
        raise ContractError(f"a piece raised ZeroDivisionError: {_NEVER_WORKS}, and {_arrived(error)}")


def _tries_again(executor: Executor) -> None:
    items = _ITEMS[:3]
    with TemporaryDirectory(prefix="influbench-") as folder:
        error, found = _outcome(executor, _fails_at_first, folder, items)
        _check_seen(folder, found)
        if error is not None:
            raise ContractError(f"pieces raised OSError the first time, and {_arrived(error)}")
        if dict(found) != {item: item for item in items}:
            raise ContractError(f"pieces that failed once gave {sorted(found)}")


def _outcome(
    executor: Executor, function: Callable[[Any, str], str], shared: object, items: list[str]
) -> tuple[Exception | None, list[tuple[str, str]]]:
    """The error that ended the run, if any, and the results that it gave before."""
    found = []
    try:
        for pair in executor.run(function, shared, items):
            found.append(pair)  # noqa: PERF402 - kept if the next one raises
    except Exception as error:
        return error, found
    return None, found


def _check_seen(folder: str, found: list[tuple[str, str]]) -> None:
    if _ELSEWHERE in dict(found).values():
        raise NotApplicable(f"its workers do not see this machine's {folder}, where calls are counted")


def _arrived(error: Exception | None) -> str:
    return "nothing arrived" if error is None else f"{described(error)} arrived"


def _stores_the_same_bytes(executor: Executor) -> None:
    threads = torch.get_num_threads()
    try:
        if executor.one_thread:
            torch.set_num_threads(1)
        expected = _truth(Here())
    finally:
        torch.set_num_threads(threads)
    found = _truth(executor)
    if different := [name for name in expected if found.get(name) != expected[name]]:
        raise ContractError(f"{len(different)} of {len(expected)} shards of a small truth differ from this process's")


def _leaves_the_process_alone(executor: Executor) -> None:
    with settings_kept() as changed, redirect_stdout(StringIO()) as printed:
        list(executor.run(_joined, "of", _ITEMS))
    assert_unchanged(changed, type(executor), "run")
    if printed.getvalue():
        raise ContractError(f"run printed {printed.getvalue().splitlines()[0]!r} to standard output")


def _closes_twice(executor: Executor) -> None:
    executor.close()
    executor.close()


def _truth(executor: Executor) -> dict[str, dict[str, bytes]]:
    """The shards of a small truth, computed now."""
    trainer = small_trainer(dtype=torch.float32)
    # Memory for one network only: the stack's width is timed, differs between processes, and changes rounding.
    alone = replace(trainer, memory=trainer.replica_bytes)
    ground_truth = GroundTruth(alone, 0, n_seeds=4)
    with TemporaryDirectory(prefix="influbench-") as folder:
        shards = list(gather(ground_truth, Resources(cache=Cache(folder), executor=executor)))
    return {shard.name: _bytes(shard) for shard in shards}


def _bytes(shard: Shard) -> dict[str, bytes]:
    return {name: values.numpy().tobytes() for name, values in shard.tensors.items()}


_PROMISES = [
    Promise(
        "capacity",
        "says how many pieces it computes at a time",
        "return a whole number of at least 1",
        _has_room,
    ),
    Promise(
        "items",
        "gives every item once, with its result",
        "yield (item, result) for each item as it is done",
        _gives_every_item_once,
    ),
    Promise(
        "nothing",
        "gives nothing for no items",
        "return before starting anything",
        _takes_no_items,
    ),
    Promise(
        "objects",
        "sends shared objects and results whole, even if other processes cannot import them",
        "pickle them with cloudpickle",
        _sends_objects_whole,
        needs="items",
    ),
    Promise(
        "threads",
        "computes each piece with one torch thread, if it declares so",
        "call torch.set_num_threads(1) where a piece begins, or set `one_thread = False`",
        _uses_one_thread,
        needs="items",
    ),
    Promise(
        "apart",
        "never computes two pieces in one process at the same time",
        "use processes instead of threads, or let the threads of a process wait for each other",
        _keeps_pieces_apart,
        needs="items",
    ),
    Promise(
        "own errors",
        "raises an InflubenchError of a piece unchanged and at once",
        "let it pass unchanged: its type decides what the user reads",
        _raises_our_errors,
        needs="items",
    ),
    Promise(
        "other errors",
        "raises the error that a piece keeps raising, or an EscapedError with its words",
        "give up after the third attempt, and raise the last error",
        _raises_other_errors,
        needs="items",
    ),
    Promise(
        "retries",
        "computes a piece again if it raised another error",
        "submit it again, up to three times in total",
        _tries_again,
        needs="items",
    ),
    Promise(
        "bytes",
        "stores the same bytes as this process would",
        "change neither what is sent nor what comes back, and fix `threads` and `apart` first",
        _stores_the_same_bytes,
        needs="objects",
    ),
    Promise(
        "process",
        "leaves the settings of this process unchanged, and prints nothing to standard output",
        "change settings in the workers, and print to standard error",
        _leaves_the_process_alone,
        needs="items",
    ),
    Promise(
        "close",
        "can be closed twice",
        "let `close` stop what is running, and do nothing when it is called again",
        _closes_twice,
    ),
]
