"""`benchmarks/speed.py` runs and compares like with like; how fast anything is, no test says."""

import json
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest
import torch
from click.testing import CliRunner

from influbench.training.batches import batch_rows
from tests import problems

SCRIPT = Path(__file__).parent.parent / "benchmarks" / "speed.py"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = spec_from_file_location("speed", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_json_has_every_key_and_positive_times(script: ModuleType, tmp_path: Path) -> None:
    output = tmp_path / "speed.json"
    arguments = ["--only", "replicas-1", "--repeats", "1", "--threads", "1", "--json", "-o", str(output)]
    result = CliRunner().invoke(script.speed, arguments, catch_exceptions=False)
    assert result.exit_code == 0
    found = json.loads(result.stdout)
    assert found == json.loads(output.read_text())
    assert set(found) == {"environment", "cases"}
    assert found["environment"]["threads"] == 1
    assert found["environment"]["torch_threads"] == 1
    (case,) = found["cases"]
    assert case.pop("name") == "replicas-1"
    assert case.pop("ours_ms") > 0
    others = ["ours_one_process_ms", "plain_loop_ms", "dattri_ms", "speedup_plain", "speedup_dattri", "gemm_fraction"]
    assert case == dict.fromkeys(others)


def test_a_case_whose_data_are_not_here_is_left_out_with_a_sentence(
    script: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(script, "CASES", [script.Case("far", "far", "nowhere_to_be_found")])
    result = CliRunner().invoke(script.speed, ["--json"], catch_exceptions=False)
    assert result.exit_code == 0
    assert json.loads(result.stdout)["cases"] == []
    assert result.stderr.startswith("far is left out: unknown data set 'nowhere_to_be_found'")


@pytest.mark.parametrize(
    "recipe",
    [
        {"momentum": 0.9, "schedule": "cosine"},
        {"optimizer": "adam", "learning_rate": 0.01},
        {"optimizer": "adamw", "learning_rate": 0.01, "weight_decay": 0.1},
    ],
)
def test_the_plain_loop_trains_the_networks_that_ours_trains(script: ModuleType, recipe: dict[str, object]) -> None:
    trainer = problems.trainer(**recipe)
    batches = batch_rows(trainer.recipe, trainer.data.train.ids, [script.SEED])
    losses = torch.stack([script.plain_loop(trainer, script.SEED, batches, left_out=row) for row in range(3)])
    weights = torch.ones(3, len(trainer.data.train)).fill_diagonal_(0)
    ours = trainer.train(trainer.course(weights, seeds=[script.SEED] * 3)).measured(trainer.data.test)
    torch.testing.assert_close(-losses, ours)
