"""`influbench study` as users have it."""

import json
from pathlib import Path

from influbench.results import DecompositionStudy
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
