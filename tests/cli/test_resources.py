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


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_finds_the_same_wherever_it_trains(
    influbench: Influbench, plan: Path, command: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, one_thread: None
) -> None:
    alone: object = None
    for words in ((), ("--workers", "2"), ("--dask", "local:1"), ("--memory", "400KB"), ("--device", "cpu:0")):
        monkeypatch.setenv("INFLUBENCH_CACHE", "cache-" + "".join(words).replace(":", "-"))  # so that all are trained
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
        (("--dask", "nonsense"), "--dask nonsense: write tcp://HOST:PORT"),
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
