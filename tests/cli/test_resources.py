"""Where trainings run and what they may take: the same options for runs and studies, and none changes what is found."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from tests.cli.conftest import Influbench

pytestmark = pytest.mark.filterwarnings("default")  # of Dask's own

PLAN = """
estimators = ["turn_over_dropout[n_masks=1]"]
[problem]
dataset = "digits[n_train=66,n_test=10]"
model = "mlp[hidden=[8]]"
random_labels = 0.5
dtype = "float64"
[training]
epochs = 2
[truth]
seeds = 2
[dynamics]
estimator = "turn_over_dropout[n_masks=4]"
checkpoints = 2
difficulty_trainings = 2
resamples = 100
[informativeness]
fractions = [0.1, 0.2]
random_groups = 2
difficulty = ["el2n"]
difficulty_repeats = 1
influence = "grad_dot"
"""
COMMANDS = (("run",), ("study", "decomposition"), ("study", "dynamics"), ("study", "informativeness"))


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    path = tmp_path / "plan.toml"
    path.write_text(PLAN)
    return path


@pytest.fixture
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def assert_same(found: object, expected: object, place: str = "the record") -> None:
    """Two records are the same but for times and devices, up to rounding: the width of stacks is timed."""
    if isinstance(expected, dict) and isinstance(found, dict):
        assert found.keys() == expected.keys(), place
        for key in found.keys() - {"seconds", "device", "fronts"}:
            assert_same(found[key], expected[key], f"{place}.{key}")
    elif isinstance(expected, list) and isinstance(found, list):
        assert len(found) == len(expected), place
        for number, (one, other) in enumerate(zip(found, expected, strict=True)):
            assert_same(one, other, f"{place}[{number}]")
    elif isinstance(expected, float):
        assert found == pytest.approx(expected, rel=1e-9, abs=1e-9), place
    else:
        assert found == expected, place


@pytest.mark.parametrize(
    ("command", "elsewhere"),
    [
        (COMMANDS[0], ("-x", "processes[n_workers=1]")),
        (COMMANDS[1], ("--dask", "local:1")),
        (COMMANDS[2], ("--workers", "2")),
        (COMMANDS[3], ("--workers", "1")),
    ],
    ids=" ".join,
)
def test_every_command_finds_the_same_wherever_it_trains(
    influbench: Influbench,
    plan: Path,
    command: tuple[str, ...],
    elsewhere: tuple[str, ...],
    monkeypatch: pytest.MonkeyPatch,
    one_thread: None,
) -> None:
    alone: object = None
    for number, words in enumerate(((), ("--memory", "400KB"), ("--device", "cpu:0"), elsewhere)):
        monkeypatch.setenv("INFLUBENCH_CACHE", f"cache-{number}")  # so that all of them train
        ran = influbench(*command, plan, "--json", *words)
        assert ran.exit_code == 0, ran.stderr
        alone = alone or json.loads(ran.stdout)
        assert_same(json.loads(ran.stdout), alone, " ".join(words))


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--device", "nonsense"), "device 'nonsense' cannot be used here"),
        (("--memory", "10B"), "Invalid value for '--memory': '10B' is not a size"),
        (("--memory", "1KB"), "one replica needs about 0 MB, and the memory limit is 0 MB"),
        (("--workers", "2", "--dask", "local:2"), "give --workers or --dask, not both"),
        (("--workers", "2", "-x", "here"), "give --workers or --executor, not both"),
        (("--dask", "nonsense"), "the Dask address nonsense does not fit; write tcp://HOST:PORT"),
        (("-x", "process"), "unknown executor 'process'; did you mean 'processes'?"),
        (("-x", "processes"), "processes needs a value for 'n_workers': processes[n_workers=...]"),
        (("-x", "processes[n_workers=0]"), "processes[n_workers=0]: n_workers must be at least 1, got 0"),
        (("-x", "dask[adress=local:1]"), "dask has no parameter 'adress'; did you mean 'address'?"),
    ],
)
def test_wrong_resources_are_one_sentence_and_exit_code_2(
    influbench: Influbench, plan: Path, command: tuple[str, ...], words: tuple[str, ...], sentence: str
) -> None:
    ran = influbench(*command, plan, *words)
    assert ran.exit_code == 2
    assert ran.stdout == ""
    last = ran.stderr.strip().splitlines()[-1]
    assert last.startswith("Error: ")
    assert sentence in last


def stored(cache: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in cache.rglob("*") if path.is_file()}


def test_a_dry_run_counts_the_shards_of_a_truth_file_and_writes_nothing(
    influbench: Influbench, quick_plan: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert influbench("run", quick_plan, "-q").exit_code == 0
    (truth,) = json.loads(influbench("truth", "list", "--json").stdout)["truths"]
    assert influbench("truth", "export", truth["key"], "truth.safetensors").exit_code == 0
    monkeypatch.setenv("INFLUBENCH_CACHE", "elsewhere")

    def forecast(*words: object) -> dict[str, object]:
        ran = influbench("run", quick_plan, "--dry-run", "--json", *words)
        assert ran.exit_code == 0, ran.stderr
        (problem,) = json.loads(ran.stdout)["problems"]
        return {key: problem[key] for key in ("n_trainings", "n_shards", "n_shards_stored")}

    assert forecast() == {"n_trainings": 144, "n_shards": 4, "n_shards_stored": 0}
    given = ("--truth", "truth.safetensors")
    assert forecast(*given) == {"n_trainings": 0, "n_shards": 4, "n_shards_stored": 4}
    assert forecast(*given, "--seeds", 3) == {"n_trainings": 72, "n_shards": 6, "n_shards_stored": 4}
    assert stored(Path("elsewhere")) == {}
    (problem,) = json.loads(influbench("run", quick_plan, "--dry-run", "--json", *given).stdout)["problems"]
    assert (problem["seconds"], problem["disk_bytes"]) == (0, 0)


def test_a_dry_run_refuses_what_a_run_refuses(influbench: Influbench, quick_plan: Path) -> None:
    assert influbench("run", quick_plan, "-q").exit_code == 0
    (truth,) = json.loads(influbench("truth", "list", "--json").stdout)["truths"]
    assert influbench("truth", "export", truth["key"], "truth.safetensors").exit_code == 0
    Path("text").write_text("not a truth")
    for words in (("--truth", "truth.safetensors", "--seed", 5), ("--truth", "nowhere"), ("--truth", "text")):
        ran, dry = influbench("run", quick_plan, *words), influbench("run", quick_plan, *words, "--dry-run")
        assert ran.exit_code in (1, 2)
        assert (dry.exit_code, dry.stderr, dry.stdout) == (ran.exit_code, ran.stderr, "")
    assert (
        "no problem of this plan has that key"
        in influbench("run", quick_plan, "--truth", "truth.safetensors", "--seed", 5, "--dry-run").stderr
    )
