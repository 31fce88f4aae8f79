"""`benchmarks/draws.py`, on a tiny problem: draws of one estimator are not told apart."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from benchmarks.draws import drawing, draws, of_plan
from influbench.plan import Plan, parse_plan
from tests.problems import stored_in

SMALL = {
    "turn_over_dropout": "turn_over_dropout[n_masks=4]",
    "subset": "subset[n_models=24]",
    "datamodel": "datamodel[n_models=24]",
    "tracin": "tracin[n_checkpoints=2]",
    "trak": "trak[n_projected=8]",
    "metagradient": "metagradient[n_seeds=1]",
    "influence_function": "influence_function[solver=ekfac]",
}
PLAN = """
judges = ["leave_one_out"]
[problem]
dataset = "digits[n_train=40,n_test=15]"
model = "mlp[hidden=[8]]"
[training]
epochs = 4
[truth]"""


def tiny(*estimators: str, seeds: int = 2) -> Plan:
    words = f"estimators = {list(estimators)}\n{PLAN}\nseeds = {seeds}\n"
    return parse_plan(words, source="test.toml", name="test")


def test_two_sets_of_draws_of_any_estimator_are_told_apart_in_few_pairs(tmp_path: Path) -> None:
    plan = tiny(*(SMALL.get(name, name) for name in drawing()))
    found = of_plan(plan, sets=3, repeats=4, resources=stored_in(tmp_path))
    assert {one.estimator.partition("[")[0] for one in found} == set(drawing())
    n_pairs = sum(one.n_pairs for one in found)
    assert n_pairs > 80
    assert sum(one.n_clear for one in found) <= 0.05 * n_pairs


def test_single_draws_are_never_told_apart_and_noise_has_no_agreement(tmp_path: Path) -> None:
    found = of_plan(tiny("random", "leave_one_out"), sets=4, repeats=1, resources=stored_in(tmp_path))
    assert {one.n_clear for one in found} == {0}
    noise, retrained = (next(one for one in found if one.estimator == name) for name in ("random", "leave_one_out"))
    assert abs(noise.mean) < 0.15 < retrained.mean
    assert noise.sd_over_sets > 0


def test_all_columns_with_a_value_are_compared(tmp_path: Path) -> None:
    found = of_plan(tiny("random", seeds=6), sets=2, repeats=2, resources=stored_in(tmp_path))
    assert {one.column for one in found} == {"captured", "within_class", "weighted", "memorization", "influence"}
    assert all(one.half_width and one.half_width > 0 for one in found)


def test_the_script_writes_its_plan_and_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INFLUBENCH_CACHE", str(tmp_path / "cache"))
    path = tmp_path / "plan.toml"
    path.write_text(tiny("random").to_toml())
    words = [str(path), "-e", "random", "--sets", "2", "--repeats", "2", "-o", str(tmp_path / "draws.json")]
    ran = CliRunner().invoke(draws, words, catch_exceptions=False)
    assert ran.exit_code == 0
    written = json.loads((tmp_path / "draws.json").read_text())
    assert (written["sets"], written["repeats"], written["plan"]["estimators"]) == (2, 2, ["random"])
    assert written["environment"]["torch"]
    # the truth of two seeds has no captured effects and no weights
    assert {one["column"] for one in written["found"]} == {"influence", "within_class", "memorization"}
