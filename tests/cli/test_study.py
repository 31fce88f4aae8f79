"""`influbench study` as users have it."""

import json
from pathlib import Path

import pytest

from influbench.studies.decomposition.record import DecompositionRecord
from influbench.studies.dynamics.record import DynamicsRecord
from influbench.studies.informativeness.record import InformativenessRecord
from tests.cli.conftest import Influbench


def test_a_decomposition_is_printed_and_written(influbench: Influbench, quick_plan: Path, tmp_path: Path) -> None:
    words = ("study", "decomposition", quick_plan, "-e", "turn_over_dropout[n_masks=1]")
    ran = influbench(*words, "-o", "out")
    assert ran.exit_code == 0, ran.stderr
    assert max(map(len, ran.stdout.splitlines())) <= 80
    for name in ("signal", "mask noise", "leakage", "whole network"):
        assert f"\n  {name} " in ran.stdout
    study = DecompositionRecord.model_validate_json((tmp_path / "out" / "result.json").read_text())
    assert [one.estimator for one in study.decomposed] == ["turn_over_dropout[n_masks=1]"]
    assert influbench(*words, "--json").stdout == (tmp_path / "out" / "result.json").read_text()


def test_a_study_leaves_a_directory_that_tells_all_of_it(influbench: Influbench, dynamics_plan: Path) -> None:
    words = ("--seeds", 1, "-d", "digits[n_train=90,n_test=10]", "-m", "mlp[hidden=[9]]")
    ran = influbench("study", "dynamics", dynamics_plan, *words)
    assert ran.exit_code == 0, ran.stderr
    (directory,) = Path("runs").iterdir()
    assert sorted(file.name for file in directory.iterdir()) == ["environment.json", "plan.toml", "result.json"]
    assert ran.stdout.splitlines()[-1] == f"  Written to {directory}; `influbench report {directory}` shows it again."
    again = influbench("report", directory)
    assert again.exit_code == 0, again.stderr
    assert again.stdout.splitlines() == ran.stdout.splitlines()[:-2]
    found = (directory / "result.json").read_text()
    assert json.loads(found)["problems"][0]["problem"].startswith("digits[n_train=90,n_test=10], mlp[hidden=[9]]")
    assert influbench("report", directory, "--json").stdout == found
    assert influbench("study", "dynamics", directory / "plan.toml", "--json").stdout == found
    quiet = influbench("study", "dynamics", directory / "plan.toml", "-q")
    assert (quiet.exit_code, quiet.stdout, quiet.stderr) == (0, "", "")


@pytest.mark.parametrize("words", [("compare", "out", "other"), ("explain", "out"), ("report", "out", "--details")])
def test_what_takes_a_run_refuses_a_study(influbench: Influbench, dynamics_plan: Path, words: tuple[str, ...]) -> None:
    assert influbench("study", "dynamics", dynamics_plan, "-q", "-o", "out").exit_code == 0
    ran = influbench(*words)
    assert ran.exit_code == 2
    assert ran.stderr == "Error: out holds a study and not a run; `influbench report out` shows it\n"


def test_a_place_that_is_another_plan_s_is_left_as_it_is(influbench: Influbench, dynamics_plan: Path) -> None:
    assert influbench("study", "dynamics", dynamics_plan, "-q", "-o", "out").exit_code == 0
    Path("out/result.json").unlink()  # as after an interruption
    kept = Path("out/plan.toml").read_bytes()
    ran = influbench("study", "dynamics", dynamics_plan, "--seeds", 1, "-o", "out")
    assert (ran.exit_code, ran.stdout) == (2, "")
    assert ran.stderr == "Error: out holds the run of another plan; name another directory with -o\n"
    assert Path("out/plan.toml").read_bytes() == kept


def test_what_cannot_be_written_is_one_sentence_before_anything_is_trained(
    influbench: Influbench, dynamics_plan: Path, own_cache: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    for place in ("file/out", "file"):
        ran = influbench("study", "dynamics", dynamics_plan, "-o", place)
        assert ran.exit_code == 2
        assert ran.stderr.startswith("Error: ")
        assert ran.stderr.endswith("; name another directory with -o\n")
    assert not list(own_cache.rglob("*.safetensors"))


DYNAMICS = """
estimators = ["random"]
[problem]
dataset = "digits[n_train=80,n_test=10]"
model = "mlp[hidden=[8]]"
random_labels = 0.5
[training]
epochs = 2
[truth]
seeds = 2
[dynamics]
estimator = "turn_over_dropout[n_masks=4]"
checkpoints = 3
difficulty_trainings = 2
resamples = 100
"""


@pytest.fixture
def dynamics_plan(tmp_path: Path) -> Path:
    path = tmp_path / "course.toml"
    path.write_text(DYNAMICS)
    return path


def test_dynamics_are_printed_and_written(influbench: Influbench, dynamics_plan: Path, tmp_path: Path) -> None:
    words = ("study", "dynamics", dynamics_plan, "--seeds", 1)
    ran = influbench(*words, "-o", "out")
    assert ran.exit_code == 0, ran.stderr
    assert ran.stderr == ""
    assert max(map(len, ran.stdout.splitlines())) <= 80
    assert max(map(len, influbench(*words, columns=160).stdout.splitlines())) <= 160
    found = json.loads((tmp_path / "out" / "result.json").read_text())
    assert json.loads(influbench(*words, "--json").stdout) == found
    study = DynamicsRecord.model_validate(found)
    assert (study.n_seeds, study.settings["apart_below"], study.settings["together_above"]) == (1, 0.05, 0.4)
    assert [claim.id for claim in study.claims][:1] == ["simultaneous"]
    for claim in study.claims:
        assert claim.statement in ran.stdout
    fields = {"id", "statement", "problem", "value", "low", "high", "rule", "p_value", "verdict"}
    assert fields == found["claims"][0].keys()


def test_another_estimator_and_processes_can_be_named(influbench: Influbench, dynamics_plan: Path) -> None:
    words = ("study", "dynamics", dynamics_plan, "-e", "turn_over_dropout[n_masks=6,p=0.4]", "--json")
    together, alone = influbench(*words, "--workers", 2), influbench(*words)  # the second reads what the first stored
    assert alone.exit_code == 0, alone.stderr
    assert alone.stdout == together.stdout
    found = json.loads(alone.stdout)
    assert found["settings"]["estimator"] == "turn_over_dropout[n_masks=6,p=0.4]"
    assert found["problems"][0]["n_networks"] == 6


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("random_labels = 0.5", "random_labels = 1.0"), "no claim can be tested on course; on digits"),
        (("random_labels = 0.5", "random_labels = 1.5"), "random_labels = 1.5 in [problem] does not fit"),
        (("seeds = 2", "seeds = 2\nsteps = [999]"), "[truth] step 999 is beyond the last step, 4"),
        (("checkpoints = 3", "checkpoint = 3"), "unknown key 'checkpoint' in [dynamics]; did you mean 'checkpoints'?"),
        (('"digits[n_train=80,n_test=10]"\n', '"diabetes"\n'), "random_labels = 0.5 needs classes"),
    ],
)
def test_what_cannot_be_studied_is_one_sentence(
    influbench: Influbench, dynamics_plan: Path, own_cache: Path, change: tuple[str, str], message: str
) -> None:
    dynamics_plan.write_text(DYNAMICS.replace(*change))
    ran = influbench("study", "dynamics", dynamics_plan)
    assert ran.exit_code == 2
    assert ran.stdout == ""
    assert message in ran.stderr
    assert len(ran.stderr.splitlines()) == 1
    assert not list(own_cache.rglob("*.safetensors"))
    assert not Path("runs").exists()


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
    ran = influbench("study", "informativeness", groups_plan, "-o", "out")
    assert ran.exit_code == 0, ran.stderr
    assert max(map(len, ran.stdout.splitlines())) <= 80
    for part in ("\n  random (2) ", "\n  hard ", "\n  easy ", "h hard", "2 seeds, ", "undecided"):
        assert part in ran.stdout
    study = InformativenessRecord.model_validate_json((tmp_path / "out" / "result.json").read_text())
    assert study.n_seeds == 2
    again = influbench("study", "informativeness", groups_plan, "--json", "--workers", "2")
    assert json.loads(again.stdout) == json.loads((tmp_path / "out" / "result.json").read_text())
    told = json.loads(again.stdout)
    assert told["settings"]["fractions"] == [0.1, 0.2]
    fields = {"id", "statement", "problem", "value", "low", "high", "rule", "p_value", "verdict"}
    assert fields == told["claims"][0].keys()
    more = influbench("study", "informativeness", groups_plan, "--json", "--seeds", "3", "--workers", "2")
    assert json.loads(more.stdout)["n_seeds"] == 3


def test_a_study_that_is_refused_leaves_its_place_to_the_corrected_plan(
    influbench: Influbench, groups_plan: Path, own_cache: Path, tmp_path: Path
) -> None:
    wrong = groups_plan.with_name("wrong.toml")
    wrong.write_text(groups_plan.read_text().replace("grad_dot", "learning_time"))
    for words in (("-o", "out"), ()):
        ran = influbench("study", "informativeness", wrong, "-q", *words)
        assert ran.exit_code == 2
        assert ran.stderr == (
            "Error: learning_time does not estimate influence; name another estimator in the plan's [informativeness]\n"
        )
        assert not list(own_cache.rglob("*.safetensors"))
    assert not (tmp_path / "out").exists()
    assert not list((tmp_path / "runs").iterdir())
    ran = influbench("study", "informativeness", groups_plan, "-q", "-o", "out")
    assert ran.exit_code == 0, ran.stderr
    (tmp_path / "out" / "result.json").unlink()  # as where it still trains, in another process
    ran = influbench("study", "informativeness", wrong, "-q", "-o", "out")
    assert ran.stderr == "Error: out holds the run of another plan; name another directory with -o\n"
    assert (tmp_path / "out" / "plan.toml").is_file()


def test_mistakes_in_the_groups_are_one_sentence(influbench: Influbench, groups_plan: Path) -> None:
    groups_plan.write_text(groups_plan.read_text().replace("[0.1, 0.2]", "[0.1, 1.2]"))
    ran = influbench("study", "informativeness", groups_plan)
    assert ran.exit_code == 2
    assert ran.stderr == (
        "Error: quick.toml: fractions = 1.2 in [informativeness] does not fit; input should be less than 1\n"
    )
