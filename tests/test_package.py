"""One package brings a judge, a study, an optimizer, a schedule and an executor, and nothing else has to be touched."""

import json
from pathlib import Path
from shutil import copytree

import pytest

from influbench.registry import installed
from tests.fresh_environment import Run, fresh_environment, install

PACKAGE = Path(__file__).parent / "package"
PLAN = """
estimators = ["turn_over_dropout[n_masks=4]", "subset[n_models=32]", "random"]
judges = ["leave_one_out", "mean_effect"]

[problem]
dataset = "digits[n_train=40,n_test=20]"
model = "mlp[hidden=[8]]"

[training]
optimizer = "plain"
schedule = "linear[last=0.5]"
epochs = 4

[truth]
seeds = 16
steps = [2]
"""
FRAME = """
import influbench
frame = influbench.read("out").frame()
print(frame[frame.column == "mean_effect"].to_json(orient="records"))
"""
NAMES = {
    "judges": "mean_effect", "studies": "helpers", "optimizers": "plain", "schedules": "linear",
    "executors": "backwards",
}  # fmt: skip


@pytest.fixture
def sockets(tmp_path: Path, own_cache: Path) -> Run:
    """An environment in which the package is installed, beside a plan that uses it."""
    run = fresh_environment(tmp_path, own_cache)
    install(run, Path(copytree(PACKAGE, tmp_path / "package")))
    (tmp_path / "plan.toml").write_text(PLAN)
    return run


@pytest.mark.timeout(900)
def test_everything_that_a_package_brings_is_found_wherever_it_belongs(sockets: Run, tmp_path: Path) -> None:
    listed = json.loads(sockets("-m", "influbench", "list", "--json"))
    for kind, name in NAMES.items():
        own = [one["name"] for one in listed[kind] if one["distribution"] == "influbench-sockets"]
        assert own == [name]
    for kind, name in (("judge", "mean_effect"), ("optimizer", "plain"), ("schedule", "linear")):
        assert "Keeps the contract" in sockets("-m", "influbench", "check", kind, name)

    result = json.loads(sockets("-m", "influbench", "run", "plan.toml", "-x", "backwards", "-o", "out", "--json"))
    (problem,) = result["results"]
    assert (problem["problem"]["recipe"]["optimizer"], problem["problem"]["recipe"]["schedule"]) == (
        "plain",
        "linear[last=0.5]",
    )
    assert problem["columns"][-1] | {"judge": "mean_effect", "key": "mean_effect"} == problem["columns"][-1]
    ceiling = problem["trust"]["mean_effect"]["ceiling"]["value"]
    for cell in problem["cells"]:
        found = cell["columns"]["mean_effect"]
        assert found["value"]["low"] < found["value"]["value"] < found["value"]["high"]
        assert found["of_ceiling"]["value"] == pytest.approx(found["value"]["value"] / ceiling)
        assert found["letters"]
    assert any(one["column"] == "mean_effect" for one in problem["comparisons"])
    assert problem["fronts"]["mean_effect"]
    assert [point["step"] for point in problem["trace"]] == [2, 4]
    for point in problem["trace"]:
        (traced,) = point["cells"]
        assert traced["columns"]["mean_effect"]["value"]["value"] is not None

    (random,) = (cell for cell in problem["cells"] if cell["name"] == "random")
    value = random["columns"]["mean_effect"]["value"]["value"]
    for columns in (80, 160):
        report = sockets("-m", "influbench", "report", "out", columns=columns)
        assert "mean effect, against trainings" in report
        assert f"{value:.2f}".replace("0.", ".") in report
        assert "step 2" in report
        assert max(map(len, report.splitlines())) <= columns

    rows = json.loads(sockets("-c", FRAME))
    assert {row["estimator"] for row in rows} == {cell["name"] for cell in problem["cells"]}
    for row in rows:
        assert row["ceiling"] == pytest.approx(ceiling)
        assert row["letters"]
        assert row["low"] < row["value"] < row["high"]

    compared = json.loads(sockets("-m", "influbench", "compare", "out", "--json"))
    (column,) = (one for one in compared["columns"] if one["key"] == "mean_effect")
    (found,) = (one for one in column["estimators"] if one["name"] == "random")
    assert found["by_problem"][0]["value"] == pytest.approx(value, abs=1e-5)
    (row,) = (
        line for line in sockets("-m", "influbench", "compare", "out").splitlines() if line.split()[:1] == ["random"]
    )
    assert f"{value:.2f}".replace("0.", ".") in row.split()

    study = json.loads(sockets("-m", "influbench", "study", "helpers", "plan.toml", "-o", "counted", "--json"))
    ((name, count),) = study["counts"].items()
    assert 0 < count < 40
    assert f"{name}: {count} train points help" in sockets("-m", "influbench", "report", "counted")
    assert "mean_effect" not in installed().names("judge")
