"""What a run will take, and truths that grow and travel."""

import re
from collections.abc import Sequence
from io import StringIO
from pathlib import Path

import pytest
import torch
from rich.console import Console

from influbench.api import Executor
from influbench.engine import forecast, run
from influbench.engine.events import Event, ShardDone, WorkExtended
from influbench.errors import PlanError, UsageError
from influbench.executors.here import Here
from influbench.executors.processes import LocalProcesses
from influbench.plan import Plan, parse_plan
from influbench.report.forecast import print_forecasts
from influbench.results import Result
from influbench.store.cache import Cache
from influbench.store.truths import Truths
from tests.engine.test_run import judge_of, plan, result_in
from tests.plugins import registry
from tests.problems import stored_in

STANDING = re.compile(
    r"(?P<n_seeds>\d+) seeds: reliability -?[\d.]+ \[(?P<low>-?[\d.]+), -?[\d.]+\], (?P<wanted>[\d.]+) wanted"
)


def result_of(
    of: Plan, cache: Path, out: Path, *, executor: Executor | None = None, truth_file: Path | None = None
) -> tuple[Result, list[Event]]:
    resources = stored_in(cache, executor=executor or Here())
    events = list(run(of, directory=out, resources=resources, registry=registry(), truth_file=truth_file))
    return result_in(events), events


def test_a_forecast_counts_what_is_missing_and_writes_nothing(tmp_path: Path) -> None:
    of, cache = plan(["random"]).changed(n_seeds=3), tmp_path / "cache"
    (before,), _ = forecast(of, resources=stored_in(cache), registry=registry())
    assert (before.n_trainings, before.n_shards, before.n_shards_stored) == (63, 3, 0)
    assert before.seconds > 0
    assert before.memory_bytes > 0
    assert not cache.exists()
    result, _ = result_of(of.changed(n_seeds=2), cache, tmp_path / "out")
    assert judge_of(result, "leave_one_out").n_trainings == 42
    (after,), _ = forecast(of, resources=stored_in(cache), registry=registry())
    assert (after.n_trainings, after.n_shards_stored) == (21, 2)


def test_a_forecast_counts_the_random_subsets_too(tmp_path: Path) -> None:
    of, cache = plan(["random"]).changed(judges=("leave_one_out", "subsets[n=70]")), tmp_path / "cache"
    (before,), _ = forecast(of, resources=stored_in(cache), registry=registry())
    result, events = result_of(of, cache, tmp_path / "out")
    assert sum(isinstance(event, ShardDone) for event in events) == before.n_shards == 2 + 4
    left_out, subsets = (judge_of(result, name).n_trainings for name in of.judges)
    assert subsets == 4 * 64  # a shard holds 64 models, whatever is asked for
    assert before.n_trainings == left_out + subsets
    written = sum(path.stat().st_size for path in cache.rglob("block-*.safetensors"))
    assert written / 1.5 < before.disk_bytes < written * 1.5
    (after,), _ = forecast(
        of.changed(judges=("leave_one_out", "subsets[n=130]")), resources=stored_in(cache), registry=registry()
    )
    assert (after.n_trainings, after.n_shards_stored) == (2 * 64, 6)


def test_the_disk_forecast_is_what_is_written(tmp_path: Path) -> None:
    of = plan(["random"], dataset='"digits[n_train=130,n_test=50]"', model='"mlp[hidden=[8]]"')
    (before,), _ = forecast(of, resources=stored_in(tmp_path / "cache"), registry=registry())
    result_of(of, tmp_path / "cache", tmp_path / "out")
    written = sum(path.stat().st_size for path in (tmp_path / "cache").rglob("block-*.safetensors"))
    assert written / 1.5 < before.disk_bytes < written * 1.5


def test_seeds_are_added_until_the_truth_is_reliable(tmp_path: Path) -> None:
    four, _ = result_of(plan(["random"]).changed(n_seeds=4), tmp_path / "cache", tmp_path / "four")
    low = four.trust["influence"].reliability.low
    assert low is not None
    wanted = 1 - 0.4 * (1 - low)
    of = plan(["random"]).changed(n_seeds=4, reliability=wanted, max_seeds=60)
    result, events = result_of(of, tmp_path / "cache", tmp_path / "out")
    extended = [event for event in events if isinstance(event, WorkExtended)]
    assert {event.judge for event in extended} == {"leave_one_out"}
    told = [STANDING.fullmatch(event.standing) for event in extended]
    assert all(one is not None and float(one["low"]) < wanted + 0.005 for one in told)  # it has two digits
    assert {one["wanted"] for one in told if one} == {f"{wanted:g}"}
    trust = result.trust["influence"]
    assert trust.reliability.low is not None
    assert trust.reliability.low >= wanted
    assert 4 == int(told[0]["n_seeds"]) <= int(told[-1]["n_seeds"]) < trust.n_seeds < 60  # type: ignore[index]
    shards = [event for event in events if isinstance(event, ShardDone)]
    assert len(shards) == trust.n_seeds == judge_of(result, "leave_one_out").n_shards
    assert [(shard.n_done, shard.n_shards) for shard in shards][-1] == 2 * (trust.n_seeds,)
    assert sum(shard.reused for shard in shards) == 4
    again, _ = result_of(of, tmp_path / "cache", tmp_path / "out")
    judge = judge_of(again, "leave_one_out")
    assert judge.n_shards_reused == judge.n_shards == trust.n_seeds
    assert again.cells[0].columns == result.cells[0].columns


def test_seeds_stop_at_their_maximum(tmp_path: Path) -> None:
    of = plan(["random"]).changed(n_seeds=2, reliability=0.9999, max_seeds=5)
    assert result_of(of, tmp_path / "cache", tmp_path / "out")[0].trust["influence"].n_seeds == 5


def test_workers_find_what_this_process_finds(tmp_path: Path) -> None:
    of = plan(["subset[n_models=30]"])
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        here, _ = result_of(of, tmp_path / "one", tmp_path / "a")
    finally:
        torch.set_num_threads(threads)
    executor = LocalProcesses(2)
    try:
        there, _ = result_of(of, tmp_path / "two", tmp_path / "b", executor=executor)
    finally:
        executor.close()
    assert there.trust == here.trust
    assert there.trust["influence"].reliability.value is not None
    assert [cell.columns for cell in there.cells] == [cell.columns for cell in here.cells]


def exported(tmp_path: Path, of: Plan) -> Path:
    result_of(of, tmp_path / "lab", tmp_path / "at-lab")
    truths = Truths(Cache(tmp_path / "lab"))
    (stored,) = truths.all()
    truths.export(stored, tmp_path / "truth.safetensors")
    return tmp_path / "truth.safetensors"


def test_an_exported_truth_serves_another_lab(tmp_path: Path) -> None:
    of = plan(["random"])
    file = exported(tmp_path, of)
    result, _ = result_of(of, tmp_path / "elsewhere", tmp_path / "out", truth_file=file)
    judge = judge_of(result, "leave_one_out")
    assert judge.n_shards_reused == judge.n_shards == 2


@pytest.mark.parametrize(
    "change", [{"seed": 5}, {"more": "random_labels = 0.5"}, {"model": '"mlp[hidden=[9]]"'}, {"model": '"linear"'}]
)
def test_the_truth_of_another_problem_is_refused(tmp_path: Path, change: dict[str, object]) -> None:
    file = exported(tmp_path, plan(["random"]))
    other = plan(["random"]).changed(seed=5) if "seed" in change else plan(["random"], **change)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=r"holds the truth of blobs, mlp\[hidden=\[8\]\], and no problem of this plan"):
        result_of(other, tmp_path / "elsewhere", tmp_path / "out", truth_file=file)
    assert not (tmp_path / "out").exists()


def test_a_device_that_is_not_there_and_a_step_too_far_are_refused(tmp_path: Path) -> None:
    def forecasts(of: Plan, **limits: object) -> Sequence[object]:
        return forecast(of, resources=stored_in(tmp_path, **limits), registry=registry())[0]

    with pytest.raises(UsageError, match="device 'cuda:9' cannot be used here"):
        forecasts(plan(["random"]), device="cuda:9")
    with pytest.raises(UsageError, match="device 'gpu' cannot be used here"):
        forecasts(plan(["random"]), device="gpu")
    with pytest.raises(UsageError, match=r"one replica needs about .* MB, and the memory limit is 0 MB"):
        forecasts(plan(["random"]), memory=1000)
    far = parse_plan(
        'estimators = ["random"]\n[problem]\ndataset = "blobs"\nmodel = "linear"\n[truth]\nsteps = [3, 999]',
        source="far.toml",
        name="far",
    )
    with pytest.raises(PlanError, match=r"far: \[truth\] step 999 is beyond the last step, 20"):
        forecasts(far)


def test_a_refused_problem_is_told_beside_the_others(tmp_path: Path) -> None:
    known, refused = forecast(
        plan(["random"], model='["linear", "cnn"]'), resources=stored_in(tmp_path), registry=registry()
    )
    assert [one.problem for one in known] == ["blobs, linear"]
    assert [one.problem for one in refused] == ["blobs, cnn"]
    text = StringIO()
    print_forecasts(Console(file=text, width=200, color_system=None), known, refused)
    assert "unsupported: blobs, cnn: cnn: inputs have shape" in text.getvalue()
