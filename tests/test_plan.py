"""Plans: checked to the last key, and complete enough to be replayed."""

import tomllib
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from influbench.api import Recipe, Spec
from influbench.errors import PlanError, PluginError, UnknownNameError
from influbench.plan import Plan, parse_plan, read_plan, shipped_plans
from influbench.registry.registration import PLAN_KEYS, checked_specs
from influbench.studies.dynamics.study import Dynamics
from influbench.studies.informativeness.study import Informativeness

MINIMAL = """
estimators = ["random"]
[problem]
dataset = "digits"
model = "mlp"
"""


def parse(text: str) -> Plan:
    return parse_plan(text, source="mine.toml", name="mine")


def test_a_minimal_plan_has_the_defaults() -> None:
    plan = parse(MINIMAL)
    assert (plan.name, plan.seed, plan.truth.seeds) == ("mine", 0, 8)
    assert plan.judges == ("leave_one_out",)
    (problem,) = plan.problems()
    assert (problem.dataset, problem.model, problem.random_labels) == ("digits", "mlp", 0.0)


def test_lists_span_a_grid() -> None:
    plan = parse(
        """
        estimators = ["random"]
        [problem]
        dataset = ["digits", "digits[n_train=100]"]
        model = ["linear", "mlp"]
        random_labels = [0, 0.1]
        """
    )
    assert [problem.name for problem in plan.problems()] == [
        "digits, linear",
        "digits, linear, random_labels=0.1",
        "digits, mlp",
        "digits, mlp, random_labels=0.1",
        "digits[n_train=100], linear",
        "digits[n_train=100], linear, random_labels=0.1",
        "digits[n_train=100], mlp",
        "digits[n_train=100], mlp, random_labels=0.1",
    ]


@pytest.mark.parametrize(
    ("shares", "finds"), [("0", False), ("0.1", True), ("[0, 0.1]", True), ("1.0", False), ("[0, 1]", False)]
)
def test_wrong_labels_judge_where_some_labels_and_not_all_are_random(shares: str, finds: bool) -> None:
    judges = parse(f"{MINIMAL}random_labels = {shares}").judges
    assert judges == (("leave_one_out", "wrong_labels") if finds else ("leave_one_out",))
    named = parse(f'judges = ["subsets[n=8]"]\n{MINIMAL}random_labels = {shares}')
    assert named.judges == ("subsets[n=8]",)
    assert named.changed(judges=("leave_one_out",)).judges == ("leave_one_out",)
    assert parse(f'judges = "subsets"\n{MINIMAL}').judges == ("subsets",)


def test_random_subsets_of_an_earlier_plan_are_a_judge() -> None:
    def judges(truth: str, labels: str = "") -> tuple[str, ...]:
        return parse(f"{MINIMAL}{labels}\n[truth]\nseeds = 3\n{truth}").judges

    assert judges("subsets = 0") == judges("subset_ratio = 0.3") == ("leave_one_out",)
    assert judges("subsets = 40") == ("leave_one_out", "subsets[n=40,ratio=0.5]")
    assert judges("subsets = 40\nsubset_ratio = 0.25") == ("leave_one_out", "subsets[n=40,ratio=0.25]")
    found = judges("subsets = 40", "random_labels = 0.1")
    assert found == ("leave_one_out", "wrong_labels", "subsets[n=40,ratio=0.5]")


@pytest.mark.parametrize("name", list(shipped_plans()))
def test_shipped_plans_are_read_and_described(name: str) -> None:
    plan = read_plan(name)
    assert plan.name == name
    assert plan.summary


@pytest.mark.parametrize("name", list(shipped_plans()))
def test_what_is_written_reads_back(name: str) -> None:
    plan = read_plan(name).changed(estimators=("tracin[n_checkpoints=3]",), n_seeds=3, seed=9)
    assert parse(plan.to_toml()) == plan
    assert (plan.estimators, plan.truth.seeds, plan.seed) == (("tracin[n_checkpoints=3]",), 3, 9)


def test_the_thresholds_of_a_study_stand_in_the_shipped_plan_and_are_the_defaults() -> None:
    text = shipped_plans()["dynamics"]
    written = tomllib.loads(text)["dynamics"]
    assert {"apart_below", "together_above", "tail", "initial_epochs", "quantiles", "fewest"} <= written.keys()
    assert "dynamics" not in read_plan("dynamics").studies  # no setting differs from the defaults
    (changed,) = parse(MINIMAL + "[dynamics]\ntail = 0.2").studies.values()
    assert changed == Dynamics(tail=0.2)
    assert parse(MINIMAL + "[dynamics]\ntail = 0.2").to_toml().count("[dynamics]") == 1


def test_settings_of_a_study_are_written_only_where_they_differ_from_the_defaults() -> None:
    plan = parse(MINIMAL + "[informativeness]\nfractions = 0.1\ndifficulty = 'el2n'\nsupported_above = 1")
    changed = Informativeness(fractions=(0.1,), difficulty=("el2n",), supported_above=1.0)
    assert plan.studies == {"informativeness": changed}
    written = tomllib.loads(plan.to_toml())
    assert written["informativeness"]["fractions"] == [0.1]
    assert written["informativeness"]["balanced_classes"] is True
    assert "dynamics" not in written
    assert parse(plan.to_toml()) == plan.changed(n_seeds=plan.truth.seeds)
    assert plan.with_study("informativeness", Informativeness()) == parse(MINIMAL)


def test_no_study_has_the_name_of_a_key_of_every_plan() -> None:
    assert {*Plan.model_fields} - {"studies"} <= {*PLAN_KEYS}
    with pytest.raises(
        PluginError, match="study 'truth' has the name of a key of every plan; register it under another name"
    ):
        checked_specs("study", [Spec("truth", "a:B", "")])
    assert checked_specs("estimator", [Spec("truth", "a:B", "")])


def test_changes_on_the_command_line_leave_the_rest() -> None:
    plan = read_plan("digits")
    assert plan.changed() == plan


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("estimators = [", r"mine\.toml is not valid TOML: .*line 1"),
        (MINIMAL + "[truth]\nseed = 3", r"mine\.toml: unknown key 'seed' in \[truth\]; did you mean 'seeds'\?"),
        ("zeeds = 3\n" + MINIMAL, r"unknown key 'zeeds'; did you mean 'seed'\?"),
        (MINIMAL + "qqq = 1", r"unknown key 'qqq' in \[problem\]; known are dataset, model"),
        (
            "estimators = []\n[problem]\ndataset='a'\nmodel='b'",
            r"estimators = \[\] does not fit; expected at least one value",
        ),
        ("[problem]\ndataset='a'\nmodel='b'", r"key 'estimators' is missing"),
        (f"judges = []\n{MINIMAL}", r"judges = \[\] does not fit; expected at least one value"),
        (f"judges = 'subsets'\n{MINIMAL}[truth]\nsubsets = 40", r"unknown key 'subsets' in \[truth\]; known are seeds"),
        (f"judge = 'subsets'\n{MINIMAL}", r"unknown key 'judge'; did you mean 'judges'\?"),
        ("estimators = ['a']\n[problem]\nmodel='b'", r"key 'dataset' is missing in \[problem\]"),
        (MINIMAL + "random_labels = 1.5", r"1\.5 in \[problem\] does not fit; input should be less than or equal to 1"),
        (MINIMAL + "random_labels = [0.1, -1]", r"-1 in \[problem\] does not fit; .* greater than or equal to 0"),
        (MINIMAL + "measure = 'accuracy'", r"measure = 'accuracy' in \[problem\] does not fit"),
        (MINIMAL + "[truth]\nseeds = 0", r"seeds = 0 in \[truth\] does not fit"),
        (MINIMAL + "[truth]\nseeds = '3'", r"seeds = '3' in \[truth\] does not fit; input should be a valid integer"),
        (
            MINIMAL + "[training]\noptimiser = 'sgd'",
            r"unknown key 'optimiser' in \[training\]; did you mean 'optimizer'",
        ),
        ("problem = 3\nestimators = ['a']", r"problem = 3 does not fit; expected a table of keys"),
        (MINIMAL + "random_labels = true", r"random_labels = True in \[problem\] does not fit; .* valid number"),
        (MINIMAL + "random_labels = '0.1'", r"random_labels = '0\.1' in \[problem\] does not fit; .* valid number"),
        (MINIMAL + "[training]\nbetas = [0.9]", r"betas = .* in \[training\] does not fit; expected more values"),
        (MINIMAL + "[training]\nbetas = [0.9, 'b']", r"betas = 'b' in \[training\] does not fit; .* valid number"),
        (MINIMAL + "[training]\nbetas = 0.9", r"betas = 0\.9 in \[training\] does not fit; expected a list"),
        (MINIMAL + "[training]\noptimizer = 3", r"optimizer = 3 in \[training\] does not fit; .* valid string"),
        (MINIMAL + "[training]\nepochs = '3'", r"epochs = '3' in \[training\] does not fit; .* valid integer"),
        (MINIMAL + "[training]\nepochs = 3.5", r"epochs = 3\.5 in \[training\] does not fit; .* valid integer"),
        (MINIMAL + "[training]\nepochs = true", r"epochs = True in \[training\] does not fit; .* valid integer"),
        (
            MINIMAL + "[training]\nreplace_batch_norm = 1",
            r"replace_batch_norm = 1 in \[training\] does not fit; .* valid boolean",
        ),
        (
            MINIMAL + "[dynamics]\nquantile = 4",
            r"mine\.toml: unknown key 'quantile' in \[dynamics\]; did you mean 'quantiles'\?",
        ),
        (MINIMAL + "[dynamics]\napart_below = 1.5", r"apart_below = 1\.5 in \[dynamics\] does not fit; .* equal to 1"),
        (MINIMAL + "[dynamic]\ntail = 0.2", r"mine\.toml: unknown key 'dynamic'; did you mean 'dynamics'\?"),
        (MINIMAL + "[trainin]\nepochs = 2", r"unknown key 'trainin'; did you mean 'training'\?"),
        (MINIMAL + "[studies]\ndynamics = 2", r"unknown key 'studies'"),
        ("dynamics = 3\n" + MINIMAL, r"mine\.toml: dynamics = 3 does not fit; expected a table of keys"),
        (MINIMAL + "[dynamics]\nestimator = 3", r"estimator = 3 in \[dynamics\] does not fit; .* valid string"),
        (
            MINIMAL + "[dynamics]\ntail = 0.5",
            r"tail = 0\.5 in \[dynamics\] does not fit; input should be less than 0\.5",
        ),
        (MINIMAL + "[dynamics]\ndifficulty = 'loss'", r"difficulty = 'loss' in \[dynamics\] does not fit"),
        ("name = '../up'\n" + MINIMAL, r"name = '../up' does not fit; expected a name without slashes"),
    ],
)
def test_what_does_not_fit_is_one_sentence(text: str, message: str) -> None:
    with pytest.raises(PlanError, match=message) as caught:
        parse(text)
    assert "\n" not in str(caught.value)


def test_the_training_table_has_a_key_for_every_field_of_a_recipe() -> None:
    assert list(parse(MINIMAL).training.model_dump()) == [*asdict(Recipe()), "replace_batch_norm"]
    assert parse(MINIMAL).training.replacements() == {}
    keys = "optimizer = 'lion[beta=0.5]'\nlearning_rate = 1\nbetas = [0.5, 0.25]\nepochs = 3\nreplace_batch_norm = true"
    plan = parse(f"{MINIMAL}[training]\n{keys}")
    replaced = replace(Recipe(momentum=0.5), **plan.training.replacements())
    assert replaced == Recipe("lion[beta=0.5]", 1, momentum=0.5, betas=(0.5, 0.25), epochs=3)
    assert parse(plan.to_toml()) == plan


def test_one_estimator_needs_no_list_and_a_problem_cannot_stand_twice() -> None:
    assert parse(MINIMAL.replace('["random"]', '"random"')).estimators == ("random",)
    twice = parse(MINIMAL + "random_labels = [0.1, 0.1000]")
    with pytest.raises(PlanError, match=r"problem 'digits, mlp, random_labels=0.1' is in the plan twice"):
        twice.problems()
    near = parse(MINIMAL + "random_labels = [0.101, 0.102]")
    assert len({problem.name for problem in near.problems()}) == 2


def test_a_plan_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match=r"unknown plan 'digit'; did you mean 'digits'\?"):
        read_plan("digit")
    with pytest.raises(PlanError, match=r"cannot read the plan .*nowhere\.toml: No such file"):
        read_plan(str(tmp_path / "nowhere.toml"))
    with pytest.raises(PlanError, match="Is a directory"):
        read_plan(str(tmp_path))
    (tmp_path / "bytes.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(PlanError, match="it is not UTF-8 text"):
        read_plan(str(tmp_path / "bytes.toml"))
