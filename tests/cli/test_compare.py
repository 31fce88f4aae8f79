"""`influbench compare` as users have it."""

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Influbench


@pytest.fixture
def two_runs(influbench: Influbench, quick_plan: Path) -> tuple[str, str]:
    """Two runs of one problem, with subset in two versions."""
    for name, options in (("before", ()), ("after", ("--repeats", 2))):
        ran = influbench("run", quick_plan, "-q", "-o", name, "-e", "subset", "-e", "same_label", *options)
        assert ran.exit_code == 0, ran.stderr
    return "before", "after"


@pytest.mark.parametrize("columns", [60, 80, 160])
def test_versions_are_shown_side_by_side_and_their_difference_in_words(
    influbench: Influbench, two_runs: tuple[str, str], columns: int
) -> None:
    shown = influbench("compare", *two_runs, columns=columns)
    assert shown.exit_code == 0, shown.stderr
    assert max(map(len, shown.stdout.splitlines())) <= columns
    assert "…" not in shown.stdout
    words = " ".join(shown.stdout.split())
    assert "mlp[hidden=[8]], from 2 runs: before, after" in words
    assert "subset@before" in words
    assert "subset@after" in words
    assert "same_label@" not in words
    for where in ("influence all points", "influence within class", "memorization"):
        assert f"{where}: subset@" in words
    assert "rank:" not in words


def test_json_is_one_object_with_every_pair(influbench: Influbench, two_runs: tuple[str, str]) -> None:
    found = json.loads(influbench("compare", *two_runs, "--json").stdout)
    assert found["schema"] == "influbench.comparison/2"
    assert found["versions"] == [["subset@before", "subset@after"]]
    influence = next(column for column in found["columns"] if column["key"] == "influence")
    assert len(influence["comparisons"]) == 3
    assert {one["name"] for one in influence["estimators"]} == {"subset@before", "subset@after", "same_label"}


def test_several_problems_have_ranks_and_a_row_each(influbench: Influbench, quick_plan: Path, tmp_path: Path) -> None:
    text = quick_plan.read_text().replace('model = "mlp[hidden=[8]]"', 'model = ["mlp[hidden=[8]]", "linear"]')
    (tmp_path / "grid.toml").write_text(text)
    assert influbench("run", "grid.toml", "-q", "-o", "grid").exit_code == 0
    shown = influbench("compare", "grid")
    assert shown.exit_code == 0, shown.stderr
    assert max(map(len, shown.stdout.splitlines())) <= 80
    words = " ".join(shown.stdout.split())
    assert "2 problems, from 1 run: grid" in words
    assert "mean rank" in words
    assert words.count("linear") == 1  # in the other columns only `random` has a value: nothing to compare


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["nowhere"], "nowhere is not a run directory: it has no result.json"),
        (["before", "-e", "subsett"], "no run has an estimator 'subsett'; did you mean 'subset'?"),
        (["before", "-e", "subset"], "fewer than two estimators have scores to compare; name more runs or more "
         "estimators"),
    ],
)  # fmt: skip
def test_wrong_words_are_one_sentence_and_exit_code_2(
    influbench: Influbench, two_runs: tuple[str, str], words: list[str], sentence: str
) -> None:
    ran = influbench("compare", *words)
    assert (ran.exit_code, ran.stdout, ran.stderr) == (2, "", f"Error: {sentence}\n")


def test_a_run_of_an_earlier_version_is_refused(
    influbench: Influbench, two_runs: tuple[str, str], tmp_path: Path
) -> None:
    result = json.loads((tmp_path / "before" / "result.json").read_text())
    assert result["results"][0]["problem"]["key"]
    del result["results"][0]["problem"]["key"]
    (tmp_path / "before" / "result.json").write_text(json.dumps(result))
    ran = influbench("compare", *two_runs)
    assert ran.exit_code == 2
    assert ran.stderr == "Error: before was written by an earlier influbench; run its plan.toml again\n"
