"""`influbench.run`: classes that nobody installed, results that show themselves."""

import sys
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

import pytest
import torch
from rich.console import Console

import influbench
from influbench.api import Estimate, Estimator, Problem
from influbench.errors import UsageError
from influbench.estimators.tracin import TracIn
from influbench.models.mlp import Mlp
from influbench.plan import read_plan
from influbench.results import to_json
from influbench.store.run_directory import read_result
from tests.plugins import Blobs, Raises


@dataclass(frozen=True)
class Products(Estimator):
    """Inner products of inputs."""

    power: int = 1

    def estimate(self, problem: Problem) -> Estimate:
        return Estimate((problem.data.train.inputs @ problem.data.test.inputs.T) ** self.power)


PLAN = {
    "estimators": ["random"],
    "problem": {"dataset": "digits", "model": "mlp"},
    "training": {"epochs": 2},
    "truth": {"seeds": 2},
}


@pytest.fixture
def found(tmp_path: Path) -> influbench.Result:
    return influbench.run(
        PLAN,
        estimators=[Products(), Products(power=3), TracIn(n_checkpoints=2), Raises, "random"],
        dataset=Blobs(n_train=24),
        model=Mlp(hidden=(8,)),
        directory=tmp_path / "out",
    )


def test_instances_classes_and_names_are_judged_side_by_side(found: influbench.Result) -> None:
    names = {cell.estimator: cell.status for cell in found.cells}
    assert names == {
        "Products": "ok",
        "Products[power=3]": "ok",
        "tracin[n_checkpoints=2]": "ok",
        "Raises": "failed",
        "random": "ok",
    }
    raised = next(cell for cell in found.cells if cell.estimator == "Raises")
    assert raised.reason == "Raises (tests.plugins) raised RuntimeError: no luck today"
    assert found.cells[0].problem == "Blobs[n_train=24], mlp[hidden=[8]]"


def test_a_result_is_what_the_directory_holds(found: influbench.Result) -> None:
    assert to_json(found.record) == to_json(read_result(found.directory))
    assert influbench.read(found.directory).cells == found.cells
    truth, products = found.scores("truth"), found.scores("Products")
    assert torch.equal(truth["train_ids"], products["train_ids"])
    assert products["influence"].shape == (24, 8)
    with pytest.raises(UsageError, match=r"no scores of 'Product' are stored; did you mean 'Products'\?"):
        found.scores("Product")


def test_a_result_shows_itself(found: influbench.Result) -> None:
    console = Console(file=StringIO(), width=100, color_system=None)
    console.print(found)
    assert isinstance(console.file, StringIO)
    for text in (console.file.getvalue(), str(found), found._repr_html_()):
        assert "Who predicts it?" in text
        assert "Products" in text
    assert found._repr_html_().startswith("<pre")
    assert repr(found).startswith("<influbench result of plan: 5 estimates, in ")


def test_a_frame_has_a_row_for_each_cell(found: influbench.Result, monkeypatch: pytest.MonkeyPatch) -> None:
    frame = found.frame()
    assert list(frame["estimator"]) == [cell.estimator for cell in found.cells]
    assert frame["spearman"].iloc[0] == found.cells[0].spearman
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(UsageError, match="needs pandas: pip install pandas"):
        found.frame()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"estimators": "random"}, r"estimators is a text; give a list: estimators=\['random'\]"),
        ({"estimators": [3]}, r"3 is neither a name nor an influbench\.Estimator"),
        ({"estimators": [Mlp()]}, r"neither a name nor an influbench\.Estimator"),
        ({"estimators": ["tracinn"]}, r"unknown estimator 'tracinn'; did you mean 'tracin'\?"),
        ({"estimators": [Products(), Products()]}, "estimator Products is named twice"),
        ({"plan": "digit"}, r"unknown plan 'digit'; did you mean 'digits'\?"),
        ({"plan": {"estimators": ["random"]}}, "the plan: key 'problem' is missing"),
    ],
)
def test_what_does_not_fit_is_one_sentence(arguments: dict[str, object], message: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=message):
        influbench.run(**{"plan": PLAN, "directory": tmp_path / "out", **arguments})  # type: ignore[arg-type]


def test_a_plan_may_be_given_as_itself(tmp_path: Path) -> None:
    plan = read_plan("digits").changed(estimators=("same_label",), datasets=("digits[n_train=40,n_test=10]",))
    found = influbench.run(plan, seeds=1, directory=tmp_path / "out", quiet=True)
    assert [cell.estimator for cell in found.cells] == ["same_label"]
