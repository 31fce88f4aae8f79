"""`influbench.run`: classes that nobody installed, results that show themselves."""

import sys
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pytest
import torch
from rich.console import Console

import influbench
from influbench.api import Data, Dataset, Estimate, Estimator, Problem
from influbench.errors import UsageError
from influbench.estimators.tracin import TracIn
from influbench.judges.subsets import Subsets
from influbench.models.mlp import Mlp
from influbench.plan import read_plan
from influbench.reading.explanation import explain_test
from influbench.reading.stored import read_stored
from influbench.report.explanation import print_explanation
from influbench.results import to_json
from influbench.store.run_directory import read_result
from influbench.testing.problems import pictures
from tests.plugins import Blobs, Needy, NoDataclass, Raises
from tests.report.printing import text_of


@dataclass(frozen=True)
class Pictures(Dataset):
    """What looks like pictures."""

    def load(self, seed: int) -> Data:
        return pictures()


@dataclass
class Thawed(Estimator):
    """Could be changed."""

    def estimate(self, problem: Problem) -> Estimate:
        return Products().estimate(problem)


@dataclass(frozen=True)
class Products(Estimator):
    """Inner products of inputs."""

    draws = False

    power: int = 1

    def estimate(self, problem: Problem) -> Estimate:
        return Estimate((problem.data.train.inputs.flatten(1) @ problem.data.test.inputs.flatten(1).T) ** self.power)


@dataclass(frozen=True)
class Given(Products):
    """With scores that are given."""

    scores: Any = None


OF_A_FILE = """
from dataclasses import dataclass
from influbench import Estimate, Estimator

@dataclass(frozen=True)
class Products(Estimator):
    def estimate(self, problem):
        return Estimate(problem.data.train.inputs @ problem.data.test.inputs.T)
"""

GIVEN = np.random.default_rng(0).normal(size=(27, 3)), np.arange(27) % 2
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
    for given in (Products(), Products):
        assert torch.equal(found.scores(given)["influence"], products["influence"])
    assert torch.equal(found.scores(TracIn(n_checkpoints=2))["train_ids"], truth["train_ids"])


@pytest.mark.parametrize(
    ("estimator", "message"),
    [
        ("Product", r"no scores of 'Product' are stored; did you mean 'Products'\?"),
        (
            Raises,
            r"no scores of 'Raises' are stored, as it failed: Raises \(tests\.plugins\) raised RuntimeError: no luck",
        ),
        (3, r"3 is neither a name nor an influbench\.Estimator"),
    ],
)
def test_why_there_are_no_scores_is_one_sentence(found: influbench.Result, estimator: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        found.scores(estimator)


def test_a_point_is_explained_as_on_the_command_line(found: influbench.Result) -> None:
    stored = read_stored(found.directory)
    explained = found.explain(test=stored.example("test"), k=2)
    assert to_json(explained.record) == to_json(explain_test(stored, stored.example("test"), k=2))
    told = text_of(lambda console: console.print(explained), 100)
    assert told == text_of(lambda console: print_explanation(console, explained.record), 100)
    assert "Who helps it?" in told
    assert "Who helps it?" in explained._repr_html_()
    assert repr(explained).startswith("<influbench explanation of test point ")
    assert found.explain(train=stored.example("train")).record.memorization
    for nothing in ({}, {"test": 1, "train": 1}):
        with pytest.raises(UsageError, match="choose one point: a test point, for instance"):
            found.explain(**nothing)
    with pytest.raises(UsageError, match="k = 0 does not fit; give a whole number from 1 on"):
        found.explain(test=stored.example("test"), k=0)


def test_a_gallery_is_drawn_of_data_that_nobody_installed(tmp_path: Path) -> None:
    given = {"estimators": Products, "dataset": Pictures(), "directory": tmp_path / "out", "quiet": True}
    drawn = influbench.run(PLAN, **given)  # type: ignore[arg-type]
    assert drawn.gallery() == tmp_path / "out" / "gallery.png"
    assert drawn.gallery(by=Products) == tmp_path / "out" / "gallery-Products.png"
    assert drawn.gallery(tmp_path / "few.png", k=1).is_file()
    assert (tmp_path / "out" / "gallery-Products.png").read_bytes() != drawn.gallery().read_bytes()


def test_a_result_shows_itself(found: influbench.Result) -> None:
    console = Console(file=StringIO(), width=100, color_system=None)
    console.print(found)
    assert isinstance(console.file, StringIO)
    for text in (console.file.getvalue(), str(found), found._repr_html_()):
        assert "Who predicts it?" in text
        assert "Products" in text
    assert found._repr_html_().startswith("<pre")
    assert repr(found).startswith("<influbench result of plan: 5 estimates, in ")


def test_a_frame_has_a_row_for_each_column_that_an_estimator_has_a_value_in(
    found: influbench.Result, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame = found.frame()
    keys = ["captured", "within_class", "weighted", "memorization", "influence"]
    of_influence = [key for key in keys if key != "memorization"]
    products = [
        (name, key) for name in ("Products", "Products[power=3]", "tracin[n_checkpoints=2]") for key in of_influence
    ]
    whole = [(name, key) for name in ("Raises", "random") for key in keys]
    assert list(zip(frame["estimator"], frame["column"], strict=True)) == products + whole
    assert [tuple(row) for row in frame[["estimator", "value"]].dropna().itertuples(index=False)] == [
        (cell.estimator, cell.value) for cell in found.cells if cell.value is not None
    ]
    (problem,) = found.problems
    for cells in frame[frame["status"] == "ok"].to_dict("records"):
        row = {name: None if cell != cell else cell for name, cell in cells.items()}  # pandas has nan for None
        (cell,) = (cell for cell in problem.cells if cell.name == row["estimator"])
        column, agreement = problem.column(row["column"]), cell.columns[row["column"]]
        assert (row["problem"], row["judge"], row["unit"]) == (problem.problem.name, "leave_one_out", column.unit)
        assert (row["quantity"], row["headline"], row["reason"]) == (column.quantity, column.headline, column.silence)
        assert (row["value"], row["low"], row["high"]) == tuple(agreement.value.model_dump().values())
        assert (row["letters"], row["of_ceiling"]) == (agreement.letters, agreement.of_ceiling.value)
        assert (row["n"], row["n_undefined"], row["n_silent"]) == (
            agreement.n,
            agreement.n_undefined,
            agreement.n_silent,
        )
        assert (row["trainings"], row["seconds"]) == (cell.training_equivalents, cell.seconds)
        trust = problem.trust.get(row["column"])
        known = (None, None) if trust is None else (trust.ceiling.value, trust.reliability.value)
        assert (row["ceiling"], row["reliability"]) == known
    failed = frame[frame["estimator"] == "Raises"]
    assert set(failed["status"]) == {"failed"}
    assert set(failed["reason"]) == {"Raises (tests.plugins) raised RuntimeError: no luck today"}
    assert failed[["value", "low", "high", "letters", "n"]].isna().all(axis=None)
    # two seeds cannot show whether there is signal to weigh test points by
    assert set(failed["column"][failed["reliability"].isna()]) == {"captured", "weighted"}
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(UsageError, match="needs pandas: pip install pandas"):
        found.frame()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"estimators": []}, "no estimator is given; name at least one, or leave the argument out to take the plan's"),
        ({"dataset": ()}, "no data set is given"),
        ({"estimators": Needy}, r"Needy\(\) raised TypeError: .*'power'; give an instance in place of the class"),
        ({"estimators": Thawed()}, r"Thawed is not a frozen dataclass; write @dataclass\(frozen=True\) above it"),
        ({"estimators": [Thawed]}, "Thawed is not a frozen dataclass"),
        ({"estimators": NoDataclass()}, "NoDataclass is not a frozen dataclass"),
        ({"estimators": NoDataclass}, "NoDataclass is not a frozen dataclass"),
        ({"dataset": Path("nowhere.npz")}, r"cannot read nowhere\.npz: No such file or directory"),
        ({"model": Path("net.py")}, r"net\.py is a file; name the class in it, for instance net\.py:Mine"),
        ({"seeds": 0}, r"seeds = 0 in \[truth\] does not fit; input should be greater than or equal to 1"),
        ({"seeds": "2"}, r"seeds = '2' in \[truth\] does not fit; input should be a valid integer"),
        ({"seeds": 2.5}, r"seeds = 2\.5 in \[truth\] does not fit; input should be a valid integer"),
        ({"seed": -1}, "seed = -1 does not fit; input should be greater than or equal to 0"),
        ({"judges": []}, "no judge is given; name at least one, or leave the argument out to take the plan's"),
        ({"judges": "leave_one_ou"}, r"unknown judge 'leave_one_ou'; did you mean 'leave_one_out'\?"),
        ({"judges": "subsets[n=-1]"}, r"subsets\[n=-1\]: n must be at least 3, got -1: a correlation needs three"),
        ({"judges": [3]}, r"3 is neither a name nor an influbench\.Judge"),
        ({"judges": [Subsets(n=8), Subsets(n=8)]}, r"judge subsets\[n=8\] is given twice; leave one out"),
        ({"judges": ["subsets", "subsets"]}, "judge subsets is named twice; name it once"),
        ({"repeats": 0}, "repeats = 0 does not fit; input should be greater than or equal to 1"),
        ({"reliability": 1.5}, r"reliability = 1\.5 in \[truth\] does not fit; input should be less than 1"),
        ({"workers": 0}, "workers = 0 does not fit; give a whole number from 1 on"),
        ({"workers": "2"}, "workers = '2' does not fit; give a whole number from 1 on"),
        ({"memory": 2.5}, r"memory = 2\.5 does not fit; give a whole number of bytes from 1 on"),
        ({"memory": -1}, r"memory = -1 does not fit; give a whole number of bytes from 1 on"),
        ({"estimators": [3]}, r"3 is neither a name nor an influbench\.Estimator"),
        ({"estimators": [Mlp()]}, r"neither a name nor an influbench\.Estimator"),
        ({"estimators": ["tracinn"]}, r"unknown estimator 'tracinn'; did you mean 'tracin'\?"),
        ({"estimators": ["random", "random"]}, "estimator random is named twice; name it once"),
        (
            {"estimators": [Given(scores=torch.ones(2)), Given(scores=torch.zeros(2))]},
            "estimator Given is given twice; leave one out, or, where the two differ, give Given a field of a "
            "number or a text that distinguishes them in reports",
        ),
        (
            {"dataset": [Blobs(n_train=8), Blobs(n_train=8)]},
            r"data set Blobs\[n_train=8\] is given twice; leave one out",
        ),
        ({"dataset": (torch.ones(9, 2), torch.ones(8))}, r"the tuple has y of shape \(8,\) and 9 rows of X"),
        (
            {"dataset": np.ones((9, 2))},
            r"a ndarray is neither .*Dataset; give \(X, y\), a pandas frame with label='...', a torch data set",
        ),
        ({"dataset": {"inputs": 1}}, "a dict is neither a name nor"),
        ({"dataset": "digits", "label": "kind"}, r"label='kind' is about data in memory; for a file, write \[label="),
        ({"regression": True}, r"regression=True is about data in memory; for a file, write \[regression="),
        ({"dataset": [GIVEN, GIVEN]}, r"data set InMemory\[of=tuple,digest=[0-9a-f]{8}\] is given twice; leave one"),
        ({"estimators": Mlp}, "the class Mlp is neither a name nor an influbench.Estimator$"),
        (
            {"plan": None},
            "plan is a NoneType; give a name, a TOML file, its content as a dict, or a Plan, or leave it out",
        ),
        ({"plan": "digit"}, r"unknown plan 'digit'; did you mean 'digits'\?"),
        ({"plan": {"estimators": ["random"]}}, "the plan: key 'problem' is missing"),
    ],
)
def test_what_does_not_fit_is_one_sentence(arguments: dict[str, object], message: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=message):
        influbench.run(**{"plan": PLAN, "directory": tmp_path / "out", **arguments})  # type: ignore[arg-type]


@pytest.mark.parametrize("estimators", [Products, Products(), "Products_of_a_file", [Products], (Products(),)])
def test_one_thing_needs_no_list(estimators: Any, tmp_path: Path) -> None:
    if estimators == "Products_of_a_file":
        (tmp_path / "mine.py").write_text(OF_A_FILE)
        estimators = tmp_path / "mine.py:Products"
    found = influbench.run(PLAN, estimators=estimators, dataset=Blobs, seeds=1, directory=tmp_path / "out", quiet=True)
    rows = [(cell.estimator.rpartition(":")[2], cell.column, cell.status) for cell in found.cells]
    keys = ["captured", "within_class", "weighted", "influence"]
    assert rows == [("Products", key, "ok") for key in keys]
    silence = "it needs the truth of at least 3 seeds"
    assert [cell.reason for cell in found.cells] == [silence, None, silence, None]


def test_data_in_memory_are_run_on_in_other_processes_and_stored_by_their_content(tmp_path: Path) -> None:
    cache = influbench.Cache(tmp_path / "cache")
    plan = {**PLAN, "problem": {"dataset": "digits", "model": "mlp[hidden=[4]]"}}

    def ran(given: object, name: str) -> influbench.Result:
        resources = influbench.Resources(cache=cache)
        return influbench.run(plan, dataset=given, resources=resources, directory=tmp_path / name, quiet=True)

    first, again, changed = ran(GIVEN, "one"), ran(GIVEN, "two"), ran((GIVEN[0] + 1, GIVEN[1]), "three")
    reused = [result.problems[0].judges[0].n_shards_reused for result in (first, again, changed)]
    assert reused == [0, first.problems[0].judges[0].n_shards, 0]
    assert first.problems[0].problem.name == again.problems[0].problem.name != changed.problems[0].problem.name
    workers = influbench.run(plan, dataset=GIVEN, workers=1, directory=tmp_path / "four", quiet=True, truth_file=None)
    assert torch.equal(workers.scores("truth")["influence"], first.scores("truth")["influence"])


def test_classes_in_memory_have_their_names_in_records_and_reports(tmp_path: Path) -> None:
    frame = pandas.DataFrame({"x": GIVEN[0][:, 0], "z": GIVEN[0][:, 1], "kind": np.array(["ant", "bee"])[GIVEN[1]]})
    found = influbench.run(PLAN, dataset=frame, label="kind", seeds=3, directory=tmp_path / "out", quiet=True)
    assert found.problems[0].problem.class_names == ("ant", "bee")
    truth = found.scores("truth")
    explained = found.explain(test=int(truth["test_ids"][0]))
    name = ("ant", "bee")[int(truth["test_labels"][0])]
    assert (explained.record.point.label, explained.record.point.label_name) == (int(truth["test_labels"][0]), name)
    assert f"test point {int(truth['test_ids'][0])}, label {name}\n" in str(explained)
    again = influbench.read(tmp_path / "out").explain(test=int(truth["test_ids"][0]))
    assert to_json(again.record) == to_json(explained.record)
    with pytest.raises(
        UsageError, match="unknown data set 'InMemory'; its points were given in Python, so run it from"
    ):
        influbench.run(tmp_path / "out" / "plan.toml", directory=tmp_path / "new", quiet=True)


def test_data_stand_among_names(tmp_path: Path) -> None:
    given = ["digits[n_train=20,n_test=10]", GIVEN, pictures()]
    found = influbench.run(PLAN, dataset=given, seeds=1, directory=tmp_path / "out", quiet=True)
    assert [problem.problem.dataset.partition(",digest")[0] for problem in found.problems] == [
        "digits[n_train=20,n_test=10]",
        "InMemory[of=tuple",
        "InMemory[of=Data",
    ]


def test_one_test_point_is_enough(tmp_path: Path) -> None:
    x, y = GIVEN
    given = (x[:26], y[:26], x[26:27], y[26:27])
    judges = ["leave_one_out", "subsets[n=8]", "expected_rank"]
    found = influbench.run(
        PLAN, dataset=given, estimators=Products, judges=judges, seeds=3, directory=tmp_path / "out", quiet=True
    )
    assert found.scores("truth")["influence"].shape == (26, 1)
    assert {cell.status for cell in found.cells} == {"ok"}
    text = " ".join(str(found).split())
    assert "neg_loss of 1 test point with and without each of 26 train points" in text
    assert "There is one test point: all figures of influence are about this point alone" in text
    assert found.explain(test=26).record.n_test == 1


def test_data_may_be_given_by_their_path(tmp_path: Path) -> None:
    inputs = np.random.default_rng(0).random((30, 5), dtype=np.float32)
    np.savez(tmp_path / "points.npz", inputs=inputs, labels=np.arange(30) % 2)
    found = influbench.run(PLAN, dataset=tmp_path / "points.npz", seeds=1, directory=tmp_path / "out", quiet=True)
    assert found.problems[0].problem.dataset == str(tmp_path / "points.npz")


def test_a_plan_may_be_given_as_itself(tmp_path: Path) -> None:
    plan = read_plan("digits").changed(estimators=("same_label",), datasets=("digits[n_train=40,n_test=10]",))
    found = influbench.run(plan, seeds=1, directory=tmp_path / "out", quiet=True)
    assert {cell.estimator for cell in found.cells} == {"same_label"}
