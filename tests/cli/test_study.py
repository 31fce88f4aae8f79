"""`influbench study` as users have it."""

import json
from pathlib import Path

import pytest

from influbench.results import DecompositionStudy, InformativenessStudy
from tests.cli.conftest import Influbench


def test_a_decomposition_is_printed_and_written(influbench: Influbench, quick_plan: Path, tmp_path: Path) -> None:
    words = ("study", "decomposition", quick_plan, "-e", "turn_over_dropout[n_masks=1]")
    ran = influbench(*words, "-o", "out.json")
    assert ran.exit_code == 0, ran.stderr
    assert max(map(len, ran.stdout.splitlines())) <= 80
    for name in ("signal", "mask noise", "leakage", "whole network"):
        assert f"\n  {name} " in ran.stdout
    study = DecompositionStudy.model_validate_json((tmp_path / "out.json").read_text())
    assert [one.estimator for one in study.decomposed] == ["turn_over_dropout[n_masks=1]"]
    assert json.loads(influbench(*words, "--json").stdout) == json.loads((tmp_path / "out.json").read_text())


def test_what_cannot_be_written_is_one_sentence_after_the_result(
    influbench: Influbench, quick_plan: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    ran = influbench("study", "decomposition", quick_plan, "-e", "turn_over_dropout[n_masks=1]", "-o", "file/out.json")
    assert ran.exit_code == 2
    assert "signal" in ran.stdout
    assert ran.stderr.startswith("Error: cannot write file/out.json: ")
    assert ran.stderr.endswith("; name another file with -o\n")


INFORMATIVENESS = """
[informativeness]
fractions = [0.1, 0.2]
random_groups = 2
difficulty = ["learning_time", "el2n"]
difficulty_repeats = 1
influence = "grad_dot"
"""


@pytest.fixture
def groups_plan(quick_plan: Path) -> Path:
    quick_plan.write_text(quick_plan.read_text() + INFORMATIVENESS)
    return quick_plan


def test_informativeness_is_printed_and_written(influbench: Influbench, groups_plan: Path, tmp_path: Path) -> None:
    ran = influbench("study", "informativeness", groups_plan, "-o", "out.json")
    assert ran.exit_code == 0, ran.stderr
    assert max(map(len, ran.stdout.splitlines())) <= 80
    for part in ("\n  random (2) ", "\n  hard ", "\n  easy ", "h hard", "2 seeds, ", "undecided"):
        assert part in ran.stdout
    study = InformativenessStudy.model_validate_json((tmp_path / "out.json").read_text())
    assert study.n_seeds == 2
    again = influbench("study", "informativeness", groups_plan, "--json", "--workers", "2")
    assert json.loads(again.stdout) == json.loads((tmp_path / "out.json").read_text())
    told = json.loads(again.stdout)
    assert told["settings"]["fractions"] == [0.1, 0.2]
    assert {"id", "statement", "problem", "value", "low", "high", "rule", "verdict"} == told["claims"][0].keys()
    more = influbench("study", "informativeness", groups_plan, "--json", "--seeds", "3", "--workers", "2")
    assert json.loads(more.stdout)["n_seeds"] == 3


def test_mistakes_in_the_groups_are_one_sentence(influbench: Influbench, groups_plan: Path) -> None:
    groups_plan.write_text(groups_plan.read_text().replace("[0.1, 0.2]", "[0.1, 1.2]"))
    ran = influbench("study", "informativeness", groups_plan)
    assert ran.exit_code == 2
    assert ran.stderr == (
        "Error: quick.toml: fractions = 1.2 in [informativeness] does not fit; input should be less than 1\n"
    )
