"""Where work runs does not change what comes out, and a lost worker loses nothing but its piece."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
import torch
from distributed import LocalCluster

from influbench.api import Executor
from influbench.errors import EscapedError, TrainingError, UsageError
from influbench.executors.dask import Dask
from influbench.executors.here import Here
from influbench.executors.processes import LocalProcesses
from influbench.resources import Resources
from influbench.shards import gather
from influbench.store.cache import Cache
from influbench.testing import Check, executor_checks
from influbench.truth.leave_one_out import GroundTruth
from tests import executor_work as work
from tests.problems import blobs, trainer

pytestmark = pytest.mark.filterwarnings("default")  # of Dask's own


@pytest.fixture(scope="module")
def cluster() -> Iterator[LocalCluster]:
    with LocalCluster(n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address="127.0.0.1:0") as started:
        yield started


@pytest.fixture(params=["processes", "dask"])
def elsewhere(request: pytest.FixtureRequest, cluster: LocalCluster) -> Iterator[Executor]:
    executor: Executor = LocalProcesses(2) if request.param == "processes" else Dask(cluster.scheduler_address)
    yield executor
    executor.close()


def test_pieces_run_elsewhere_with_one_thread_each(elsewhere: Executor) -> None:
    items = [f"piece-{number}" for number in range(6)]
    results = dict(elsewhere.run(work.threads, "a ", items))
    assert results.keys() == set(items)
    for item, text in results.items():
        assert text.startswith(f"a {item} on 1 in ")
    assert str(os.getpid()) not in {text.rpartition(" ")[2] for text in results.values()}
    assert dict(elsewhere.run(work.threads, "b ", ["again"]))["again"].startswith("b again")
    assert list(elsewhere.run(work.threads, "c ", [])) == []


def test_a_piece_whose_worker_dies_is_tried_again(elsewhere: Executor, tmp_path: Path) -> None:
    items = ["a", "deadly", "b", "c"]
    assert dict(elsewhere.run(work.dies_at_first, str(tmp_path), items)) == {item: item for item in items}


def test_a_piece_that_raises_is_tried_again(elsewhere: Executor, tmp_path: Path) -> None:
    assert dict(elsewhere.run(work.raises_at_first, str(tmp_path), ["a", "b"])) == {"a": "a", "b": "b"}


def test_a_piece_that_fails_three_times_raises_what_it_raised(elsewhere: Executor, tmp_path: Path) -> None:
    done = []

    def collect() -> None:
        for item, _ in elsewhere.run(work.always_raises, str(tmp_path), ["a", "b", "bad"]):
            done.append(item)

    with pytest.raises(ZeroDivisionError, match="never works"):
        collect()
    assert (tmp_path / "calls").read_text() == "xxx"
    assert set(done) == {"a", "b"}


def test_an_error_that_cannot_be_sent_is_sent_in_words() -> None:
    with closing(LocalProcesses(1)) as processes, pytest.raises(EscapedError, match="OddError: never works"):
        list(processes.run(work.raises_oddly, "", ["a"]))


def test_our_own_errors_are_not_tried_again(elsewhere: Executor, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="training diverged"):
        list(elsewhere.run(work.refuses, str(tmp_path), ["a"]))
    assert (tmp_path / "calls").read_text() == "x"


def test_a_piece_that_kills_three_workers_is_named(tmp_path: Path) -> None:
    executor = LocalProcesses(1)
    try:
        with pytest.raises(TrainingError, match="deadly lost its worker process 3 times"):
            list(executor.run(work.always_dies, str(tmp_path), ["deadly"]))
        assert dict(executor.run(work.always_dies, str(tmp_path), ["fine"])) == {"fine": "fine"}
    finally:
        executor.close()


def truth_tensors(ground_truth: GroundTruth, cache: Cache, executor: Executor) -> dict[str, dict[str, torch.Tensor]]:
    shards = gather(replace(ground_truth, n_seeds=3), Resources(cache=cache, executor=executor))
    return {shard.name: dict(shard.tensors) for shard in shards}


def same_bytes(one: dict[str, dict[str, torch.Tensor]], other: dict[str, dict[str, torch.Tensor]]) -> bool:
    def content(tensors: dict[str, torch.Tensor]) -> dict[str, bytes]:
        return {name: values.numpy().tobytes() for name, values in tensors.items()}

    return {name: content(shard) for name, shard in one.items()} == {n: content(shard) for n, shard in other.items()}


@pytest.fixture
def by_one_thread(tmp_path: Path) -> tuple[GroundTruth, dict[str, dict[str, torch.Tensor]]]:
    """A truth that takes a few seconds, as computed here with one thread."""
    of = trainer(blobs(n_train=200, n_test=30), dtype=torch.float32, epochs=8, batch_size=10)
    # Room for 8 networks: the width of a stack is timed in each process, and wider stacks round otherwise.
    ground_truth = GroundTruth(replace(of, memory=8 * of.replica_bytes), 0)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return ground_truth, truth_tensors(ground_truth, Cache(tmp_path / "here"), Here())
    finally:
        torch.set_num_threads(threads)


def test_processes_store_the_same_bytes_as_one_thread_here(by_one_thread, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    ground_truth, expected = by_one_thread
    executor = LocalProcesses(2)
    try:
        assert same_bytes(truth_tensors(ground_truth, Cache(tmp_path / "there"), executor), expected)
    finally:
        executor.close()


def test_a_cluster_that_loses_a_worker_stores_the_same_bytes(by_one_thread, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    ground_truth, expected = by_one_thread
    cache = Cache(tmp_path / "there")
    killed: list[int] = []
    with LocalCluster(n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address="127.0.0.1:0") as cluster:

        def kill_one_in_the_middle() -> None:
            deadline = time.monotonic() + 60
            while time.monotonic() < deadline:
                if 0 < len(list(cache.root.rglob("block-*.safetensors"))) < len(expected):
                    killed.append(cluster.workers[0].pid)
                    os.kill(killed[0], signal.SIGKILL)
                    return
                time.sleep(0.01)

        killer = threading.Thread(target=kill_one_in_the_middle)
        killer.start()
        executor = Dask(cluster.scheduler_address)
        try:
            found = truth_tensors(ground_truth, cache, executor)
        finally:
            executor.close()
            killer.join()
    assert killed
    assert same_bytes(found, expected)
    assert same_bytes(truth_tensors(ground_truth, cache, Here()), expected)


def test_nobody_listening_is_a_sentence_after_a_few_seconds() -> None:
    start = time.monotonic()
    with pytest.raises(UsageError, match=r"no Dask scheduler answers at tcp://127\.0\.0\.1:9 \("):
        list(Dask("tcp://127.0.0.1:9").run(work.threads, "", ["a"]))
    assert time.monotonic() - start < 30


def test_a_local_cluster_needs_a_number() -> None:
    with pytest.raises(UsageError, match="write local:N with a number of workers of at least 1"):
        list(Dask("local:0").run(work.threads, "", ["a"]))


@pytest.mark.parametrize("check", [*map(str, executor_checks("here"))])
@pytest.mark.parametrize("name", ["here", "processes[n_workers=2]", "dask"])
def test_the_executors_that_come_with_influbench_keep_the_contract(
    contracts: dict[str, dict[str, Check]], name: str, check: str
) -> None:
    outcome = contracts[name][check].outcome()
    exceptions = {("here", "retries"): "exempt", ("here", "threads"): "not applicable"}
    assert outcome.status == exceptions.get((name, check), "passed"), outcome.detail


@pytest.fixture(scope="module")
def contracts(cluster: LocalCluster) -> dict[str, dict[str, Check]]:
    selectors = {"here": "here", "dask": f"dask[address={cluster.scheduler_address}]"}
    selectors["processes[n_workers=2]"] = "processes[n_workers=2]"
    return {name: {str(check): check for check in executor_checks(of)} for name, of in selectors.items()}


def test_a_worker_with_several_threads_computes_one_piece_at_a_time() -> None:
    """Dask's own workers have a thread for each core, and torch's random state is that of the whole process."""
    with LocalCluster(n_workers=1, threads_per_worker=4, host="127.0.0.1", dashboard_address="127.0.0.1:0") as cluster:
        executor = Dask(cluster.scheduler_address)
        (apart,) = (check for check in executor_checks(executor) if str(check) == "apart")
        assert apart.outcome().status == "passed"
        assert executor.capacity() == 1
        executor.close()


@pytest.mark.parametrize(
    ("executor", "capacity"),
    [(Here(), 1), (LocalProcesses(2), 2), (LocalProcesses(3), 3), (LocalProcesses(50), 3), (Dask("local:50"), 3)],
)
def test_pieces_run_at_a_time_as_far_as_there_are_processors(
    executor: Executor, capacity: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(psutil, "cpu_count", lambda: 3)
    assert executor.capacity() == capacity


def test_a_cluster_computes_a_piece_in_each_worker(cluster: LocalCluster) -> None:
    with closing(Dask(cluster.scheduler_address)) as executor:
        assert executor.capacity() == 2


def test_an_executor_needs_a_worker() -> None:
    with pytest.raises(ValueError, match="n_workers must be at least 1, got 0"):
        LocalProcesses(0)
