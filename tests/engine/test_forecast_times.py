"""What a forecast multiplies and divides, with a step whose time is known."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import psutil
import pytest
import torch

from influbench.api import Executor
from influbench.banks import BLOCK
from influbench.engine import forecast
from influbench.engine.events import RunDone
from influbench.engine.run import run
from influbench.executors.here import Here
from influbench.executors.processes import LocalProcesses
from influbench.plan import Plan
from influbench.results import Forecast
from influbench.store.files import read_arrays
from influbench.training.loop import Trainer
from tests.engine.test_run import plan
from tests.plugins import registry
from tests.problems import stored_in

S = TypeVar("S")
T = TypeVar("T")

STEP = 1000.0  # seconds of one step of one network: evaluation and the start of workers vanish beside it
N_STEPS = 4  # two epochs of 20 points in batches of 10


@dataclass(frozen=True)
class Workers(LocalProcesses):
    """As many workers as are asked for, none of which is started."""

    def run(self, function: Callable[[S, str], T], shared: S, items: Sequence[str]) -> Iterator[tuple[str, T]]:
        for item in items:
            yield item, function(shared, item)

    def close(self) -> None:
        pass


@pytest.fixture
def known_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Trainer, "step_seconds", lambda _self, width: STEP * width)
    monkeypatch.setattr(psutil, "cpu_count", lambda: 8)


def forecast_of(of: Plan, cache: Path, executor: Executor | None = None) -> Forecast:
    resources = stored_in(cache, executor=executor or Here())
    (found,), refused = forecast(of, registry=registry(), resources=resources)
    assert not refused
    return found


@pytest.mark.usefixtures("known_steps")
def test_the_time_is_that_of_all_steps_of_all_trainings(tmp_path: Path) -> None:
    found = forecast_of(plan(["random"]).changed(n_seeds=3), tmp_path)
    assert found.n_trainings == 3 * (20 + 1)
    assert found.seconds == pytest.approx(63 * N_STEPS * STEP, rel=1e-3)


@pytest.mark.usefixtures("known_steps")
@pytest.mark.parametrize(("n_workers", "at_once"), [(1, 1), (2, 2), (5, 5), (8, 8), (40, 8)])
def test_workers_divide_the_time_as_far_as_there_are_processors(n_workers: int, at_once: int, tmp_path: Path) -> None:
    found = forecast_of(plan(["random"]).changed(n_seeds=3), tmp_path, Workers(n_workers))
    assert found.seconds == pytest.approx(63 * N_STEPS * STEP / at_once, rel=1e-3)


@pytest.mark.usefixtures("known_steps")
def test_random_subsets_add_whole_shards(tmp_path: Path) -> None:
    of = plan(["random"]).changed(n_seeds=2, judges=("leave_one_out", "subsets[n=70]"))
    found = forecast_of(of, tmp_path)
    assert found.n_trainings == 2 * 21 + 2 * 2 * BLOCK  # two seeds of two shards
    assert found.seconds == pytest.approx(found.n_trainings * N_STEPS * STEP, rel=1e-3)


@pytest.mark.usefixtures("known_steps")
def test_what_is_stored_takes_no_time_and_no_disk(tmp_path: Path) -> None:
    of = plan(["random"]).changed(n_seeds=2, judges=("leave_one_out", "subsets[n=5]"))
    list(run(of, directory=tmp_path / "out", resources=stored_in(tmp_path / "cache"), registry=registry()))
    found = forecast_of(of, tmp_path / "cache")
    assert (found.n_trainings, found.n_shards, found.n_shards_stored) == (0, 4, 4)
    assert (found.seconds, found.disk_bytes) == (0, 0)
    more = forecast_of(of.changed(n_seeds=5), tmp_path / "cache")
    assert (more.n_trainings, more.n_shards, more.n_shards_stored) == (3 * 21, 7, 4)


def test_disk_is_that_of_the_tensors_with_two_kilobytes_for_each_header(tmp_path: Path) -> None:
    of = plan(["random"], dataset='"digits[n_train=70,n_test=15]"').changed(judges=("leave_one_out", "subsets[n=70]"))
    of = of.model_copy(update={"truth": of.truth.model_copy(update={"steps": (2,)})})
    found = forecast_of(of, tmp_path / "cache")
    events = list(run(of, directory=tmp_path / "out", resources=stored_in(tmp_path / "cache"), registry=registry()))
    assert isinstance(events[-1], RunDone)
    shards = [read_arrays(path).tensors for path in (tmp_path / "cache").rglob("block-*.safetensors")]
    n_bytes = sum(tensor.nbytes for shard in shards for tensor in shard.values())
    assert len(shards) == found.n_shards == 2 * 2 + 2 * 2
    assert found.disk_bytes == n_bytes + 2048 * len(shards)


def test_memory_is_what_the_process_has_and_a_stack_of_replicas(tmp_path: Path) -> None:
    of = plan(["random"])
    (found,), _ = forecast(of, registry=registry(), resources=stored_in(tmp_path, memory=2**20))
    assert found.path == "stacked"
    assert found.stack_width >= 1
    resident = psutil.Process().memory_info().rss
    assert 0.9 * resident < found.memory_bytes < 1.1 * resident + 2**20


def test_a_forecast_leaves_the_number_of_threads(tmp_path: Path) -> None:
    before = torch.get_num_threads()
    forecast_of(plan(["random"]), tmp_path, Workers(2))
    assert torch.get_num_threads() == before
