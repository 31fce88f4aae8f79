"""Judges on the command line: one in a file, exit codes, and one sentence for each mistake."""

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Influbench

MINE = '''
"""A judge of one's own."""

from dataclasses import dataclass

from influbench import Column, Judge
from influbench.statistics.yardsticks import flags


@dataclass(frozen=True)
class Early(Judge):
    """Train points whose id is below `below`, which memorization should find."""

    below: int = 900
    fails: bool = False

    def columns(self, problem):
        return [Column("early", "early\\npoints", "memorization")]

    def yardsticks(self, problem, trained, *, step):
        if self.fails:
            raise RuntimeError("no luck today")
        return {"early": flags(problem.data.train.ids < self.below)}
'''


@pytest.fixture
def mine(tmp_path: Path) -> str:
    (tmp_path / "mine.py").write_text(MINE)
    return "./mine.py:Early"


def test_a_judge_in_a_file_is_one_like_any_other(
    influbench: Influbench, quick_plan: Path, mine: str, tmp_path: Path
) -> None:
    words = ["-j", f"{mine}[below=1000]", "-j", "leave_one_out", "-j", "subsets[n=8]", "-e", "random", "-o", "out"]
    ran = influbench("run", quick_plan, *words)
    assert ran.exit_code == 0, ran.stderr
    for columns in (80, 160):
        shown = influbench("report", "out", columns=columns).stdout
        assert "early points, against" not in shown  # of one estimator there is no chart
        assert "subsets (LDS)" in shown
        legend = " ".join(shown.split())
        assert "correlations (early points: area under the ROC curve; influence captured: captured effect" in legend
    result = json.loads(influbench("report", "out", "--json").stdout)["results"][0]
    assert [judge["name"] for judge in result["judges"]] == [
        "./mine.py:Early[below=1000]",
        "leave_one_out",
        "subsets[n=8]",
    ]
    of_truth = ["captured", "within_class", "weighted", "memorization", "influence"]
    assert list(result["cells"][0]["columns"]) == ["early", *of_truth, "lds"]
    assert result["trust"].keys() == {*of_truth, "lds"} - {"captured"}  # the noise of a share has no reliability
    again = influbench("run", "out/plan.toml", "-o", "again", "--json")
    assert again.exit_code == 0, again.stderr
    replayed = json.loads(again.stdout)["results"][0]
    assert replayed["cells"][0]["columns"] == result["cells"][0]["columns"]


def test_a_judge_that_fails_is_exit_code_1_and_the_others_judge(
    influbench: Influbench, quick_plan: Path, mine: str
) -> None:
    told = "./mine.py:Early[fails=true] (mine.py) raised RuntimeError: no luck today"
    ran = influbench("run", quick_plan, "-j", f"{mine}[fails=true]", "-j", "leave_one_out", "-o", "out")
    assert ran.exit_code == 1
    words = " ".join(ran.stdout.split())
    assert f"failed: {told}" in words
    assert "within class" in words
    assert influbench("report", "out").exit_code == 0
    alone = influbench("run", quick_plan, "-j", f"{mine}[fails=true]", "-o", "alone")
    assert (alone.exit_code, alone.stdout) == (1, "")
    assert told in alone.stderr
    assert alone.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["-j", "leave_one_ou"], "unknown judge 'leave_one_ou'; did you mean 'leave_one_out'?"),
        (["-j", "subsets[n=2]"], "subsets[n=2]: n must be at least 3, got 2: a correlation needs three subsets"),
        (["-j", "subsets", "-j", "subsets"], "judge subsets is named twice; name it once"),
        (
            ["-j", "subsets[n=8]", "-j", "subsets[n=9]"],
            "judges subsets[n=8] and subsets[n=9] both make the column 'lds'; name one of them",
        ),
        (
            ["-j", "leave_one_out", "-j", "wrong_labels"],
            "judge wrong_labels cannot run on any problem of the plan: no train label is known to be wrong; ask with "
            "random_labels above 0 and below 1",
        ),
        (
            ["-j", "./mine.py:Early", "-e", "same_label"],
            "same_label cannot run on any problem of the plan: it predicts influence, and the judges of the plan ask "
            "for memorization alone",
        ),
    ],
)
def test_wrong_judges_are_one_sentence_and_exit_code_2_before_anything_is_trained(
    influbench: Influbench,
    quick_plan: Path,
    mine: str,
    own_cache: Path,
    tmp_path: Path,
    words: list[str],
    sentence: str,
) -> None:
    ran = influbench("run", quick_plan, "-o", "out", *words)
    assert (ran.exit_code, ran.stdout, ran.stderr) == (2, "", f"Error: {sentence}\n")
    assert not list(own_cache.rglob("*.safetensors"))
    assert not (tmp_path / "out").exists()


def test_effects_of_single_runs_have_no_details_of_the_mean_effect(influbench: Influbench, quick_plan: Path) -> None:
    words = ["-j", "leave_one_out", "-j", "this_run[n=2]", "-e", "grad_dot", "-o", "out", "--json"]
    ran = influbench("run", quick_plan, *words)
    assert ran.exit_code == 0, ran.stderr
    (cell,) = json.loads(ran.stdout)["results"][0]["cells"]
    with_details = {key for key, agreement in cell["columns"].items() if agreement["details"] is not None}
    assert with_details == {"influence"}
    assert cell["columns"]["run_influence"]["value"]["value"] is not None
    shown = influbench("report", "out", "--details")
    assert (shown.exit_code, shown.stderr) == (0, "")
    assert "This run" not in shown.stdout  # the title of a table of details


def test_a_dry_run_counts_what_all_judges_train_once(influbench: Influbench, quick_plan: Path, mine: str) -> None:
    def trainings(*judges: str) -> int:
        words = [word for judge in judges for word in ("-j", judge)]
        told = influbench("run", quick_plan, "--dry-run", "--json", *words)
        assert told.exit_code == 0, told.stderr
        (problem,) = json.loads(told.stdout)["problems"]
        return int(problem["n_trainings"])

    assert trainings("leave_one_out") == 144
    assert trainings(mine) == 0
    assert trainings("leave_one_out", "subsets[n=8]", mine) == 144 + 2 * 64  # shards hold 64 models
