"""Runs that are handed to estimators: who sees them, what is compared with what, and what is stored."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from influbench.api import Column, Estimate, Estimator, Judge, JudgedProblem, Problem, Spec, Truth, Work
from influbench.engine import run
from influbench.engine.events import RunDone
from influbench.engine.preparation import prepare
from influbench.errors import UsageError
from influbench.plan import Plan
from influbench.reading.comparison import compare
from influbench.registry import Entry, Registry
from influbench.results import UNKNOWN, Result, Results
from influbench.statistics.yardsticks import Yardstick, correlations
from influbench.store.files import read_arrays
from influbench.store.run_directory import read_yardsticks
from tests.engine.test_run import cell_of, judge_of, plan
from tests.plugins import STRANGERS, registry_with
from tests.problems import stored_in

RUN_COLUMNS = ["run_captured", "run_within_class", "run_weighted", "run_influence"]
EXACT = 'dtype = "float64"'


def table(problem: Problem, *, has_run: bool, draw: int) -> Tensor:
    """Scores that differ between draws, and between draws and runs in hand."""
    generator = torch.Generator().manual_seed(2 * draw + has_run)
    return torch.randn(len(problem.data.train), len(problem.data.test), generator=generator, dtype=torch.float64)


@dataclass(frozen=True)
class Tells(Estimator):
    """Other scores with a run in hand."""

    def estimate(self, problem: Problem) -> Estimate:
        return Estimate(table(problem, has_run=problem.has_run, draw=problem.draw))


@dataclass(frozen=True)
class Stumbles(Tells):
    """Raises with a run in hand."""

    def estimate(self, problem: Problem) -> Estimate:
        if problem.has_run:
            raise RuntimeError("no luck with this run")
        return super().estimate(problem)


@dataclass(frozen=True)
class Hands(Judge):
    """Hands over runs, with one thing that does not fit."""

    what: str

    def runs_handed_over(self, problem: JudgedProblem) -> Sequence[int]:
        runs: dict[str, Any] = {
            "below": [-1],
            "beyond": [0, problem.n_seeds],
            "a float": [0.5],
            "a bool": [True],
            "none": [],
        }
        return runs.get(self.what, [0, 1])  # type: ignore[no-any-return]

    def columns(self, problem: JudgedProblem) -> Sequence[Column]:
        return [Column("handed", "handed", "influence")]

    def trainings(self, problem: JudgedProblem) -> Sequence[Work[Truth]]:
        return [problem.leave_one_out]

    def yardsticks(self, problem: JudgedProblem, trained: Sequence[Truth], *, step: int) -> Mapping[str, Yardstick]:
        right = correlations(trained[0].influence[:2], noisy=False, paired=True)
        returned = {
            "unpaired": replace(right, paired=False),
            "one of two": replace(right, effects=right.effects[:1]),
        }
        return {"handed": returned.get(self.what, right)}


def known() -> Registry:
    own = [
        Entry("estimator", Spec(name.lower(), f"{__name__}:{name}", ""), STRANGERS) for name in ("Tells", "Stumbles")
    ]
    return registry_with(*own, Entry("judge", Spec("hands", f"{__name__}:Hands", ""), STRANGERS))


def asked(*estimators: str, judges: Sequence[str] = ("leave_one_out", "this_run[n=3]"), n_seeds: int = 4) -> Plan:
    return plan(estimators, more=EXACT).changed(judges=tuple(judges), n_seeds=n_seeds)


def results_of(of: Plan, tmp_path: Path, *, out: str = "out") -> Results:
    (*_, last) = run(of, directory=tmp_path / out, resources=stored_in(tmp_path / "cache"), registry=known())
    assert isinstance(last, RunDone)
    return last.result


def result_of(of: Plan, tmp_path: Path, *, out: str = "out") -> Result:
    (result,) = results_of(of, tmp_path, out=out).results
    return result


def scores_of(result: Result, name: str, tmp_path: Path) -> Mapping[str, Tensor]:
    return read_arrays(tmp_path / "out" / str(cell_of(result, name).scores)).tensors


def test_retraining_the_run_in_hand_is_exact_and_only_there(tmp_path: Path) -> None:
    result = result_of(asked("leave_one_out[n_seeds=1]", "random"), tmp_path)
    exact, random = cell_of(result, "leave_one_out[n_seeds=1]"), cell_of(result, "random")
    assert [column.key for column in result.columns if column.has_run] == RUN_COLUMNS
    for key in RUN_COLUMNS:
        assert exact.value(key).value == pytest.approx(1, abs=1e-9)
        value = random.value(key).value
        assert value is not None
        assert value < 0.9
        assert key not in result.trust
    for key in ("within_class", "influence"):
        value = exact.value(key).value
        assert value is not None
        assert value < 0.99


def test_the_run_in_hand_is_the_truths_training_and_other_replicates_are_the_draws_own(tmp_path: Path) -> None:
    (prepared,), _ = prepare(asked("random"), known(), resources=stored_in(tmp_path))
    (candidate,) = prepared.candidates
    assert list(candidate.handed) == [0, 1, 2]
    ground_truth, trainer = prepared.judged.ground_truth, prepared.trainer
    for number, view in candidate.handed.items():
        draw = candidate.draws[number]
        assert (view.has_run, draw.has_run) == (True, False)
        truths = trainer.initial_parameters(ground_truth.seed(number))
        for name, values in view.initial_parameters(0).items():
            assert torch.equal(values, truths[name])
        expected = trainer.train(trainer.course(None, seeds=[ground_truth.seed(number)])).parameters()
        found = view.train(replicates=[0]).parameters()
        assert all(torch.equal(found[name], expected[name]) for name in expected)
        assert not all(torch.equal(values, truths[name]) for name, values in draw.initial_parameters(0).items())
        second = draw.initial_parameters(1)
        assert all(torch.equal(values, second[name]) for name, values in view.initial_parameters(1).items())


def test_draws_are_in_ordinary_columns_and_runs_in_hand_in_the_others(tmp_path: Path) -> None:
    of = asked("tells", judges=("leave_one_out", "this_run[n=3]"))
    result = result_of(of, tmp_path)
    (prepared,), _ = prepare(of, known(), resources=stored_in(tmp_path / "cache"))
    view = prepared.candidates[0].draws[0]
    stored = scores_of(result, "tells", tmp_path)
    for draw in range(4):
        suffix = f"@{draw}" if draw else ""
        assert torch.equal(stored[f"influence{suffix}"], table(view, has_run=False, draw=draw))
    for key in RUN_COLUMNS:
        for number in range(3):
            suffix = f"@{number}" if number else ""
            assert torch.equal(stored[f"column {key}{suffix}"], table(view, has_run=True, draw=number))
        assert f"column {key}@3" not in stored
    assert not any(name.startswith(f"column {key}") for name in stored for key in ("captured", "within", "weighted"))

    alone = result_of(asked("tells", judges=("leave_one_out",)), tmp_path, out="alone")
    ordinary = cell_of(alone, "tells").columns
    assert list(ordinary) == ["captured", "within_class", "weighted", "influence"]
    for key, agreement in ordinary.items():
        assert cell_of(result, "tells").columns[key] == agreement
    assert cell_of(result, "tells").training_equivalents == cell_of(alone, "tells").training_equivalents
    only_runs = result_of(asked("tells", judges=("this_run[n=3]",)), tmp_path, out="runs")
    for key in RUN_COLUMNS:
        assert cell_of(only_runs, "tells").columns[key] == cell_of(result, "tells").columns[key]


def test_an_estimator_that_raises_with_a_run_in_hand_fails_only_there(tmp_path: Path) -> None:
    results = results_of(asked("stumbles", "tells"), tmp_path)
    (result,) = results.results
    cell = cell_of(result, "stumbles")
    assert cell.status == "ok"
    for key in RUN_COLUMNS:
        assert cell.value(key).value is None
        assert cell.columns[key].failure == "stumbles (strangers 1.0) raised RuntimeError: no luck with this run"
    for key in ("within_class", "influence"):
        assert cell.columns[key].failure is None
        assert cell.columns[key].value == cell_of(result, "tells").columns[key].value
    assert all(cell_of(result, "tells").value(key).value is not None for key in RUN_COLUMNS)
    assert results.has_failed
    assert not any(name.startswith("column ") for name in scores_of(result, "stumbles", tmp_path))


@pytest.mark.parametrize(
    ("what", "sentence"),
    [
        ("below", "runs_handed_over returned -1, expected seeds of the truth, from 0 to 3"),
        ("beyond", "runs_handed_over returned 4, expected seeds of the truth, from 0 to 3"),
        ("a float", "runs_handed_over returned 0.5, expected seeds of the truth, from 0 to 3"),
        ("a bool", "runs_handed_over returned True, expected seeds of the truth, from 0 to 3"),
        ("none", "the yardstick of 'handed' is paired, and runs_handed_over returned no run to pair it with"),
        ("unpaired", "the yardstick of 'handed' is not paired, and runs_handed_over returned 2 runs"),
        ("one of two", "the yardstick of 'handed' has the effects of 1 runs, and runs_handed_over returned 2"),
    ],
)
def test_runs_that_do_not_fit_are_one_sentence(what: str, sentence: str, tmp_path: Path) -> None:
    name = f"hands[what={what!r}]" if " " in what else f"hands[what={what}]"
    result = result_of(asked("tells", judges=("leave_one_out", name)), tmp_path)
    (judge,) = (judge for judge in result.judges if judge.name != "leave_one_out")
    assert (judge.status, judge.reason) == ("failed", f"{name} (strangers 1.0): {sentence}")
    assert cell_of(result, "tells").value("influence").value is not None


def test_a_strangers_judge_can_hand_over_runs(tmp_path: Path) -> None:
    result = result_of(asked("leave_one_out", judges=("hands[what=right]",)), tmp_path)
    assert cell_of(result, "leave_one_out").value("handed").value == pytest.approx(1, abs=1e-9)
    assert result.column("handed").has_run


def test_stored_columns_are_compared_as_in_the_run(tmp_path: Path) -> None:
    of = asked(
        "leave_one_out[n_seeds=1]", "tells", "random", judges=("leave_one_out", "this_run[n=3]", "expected_rank")
    )
    result = result_of(of, tmp_path)
    assert {column.silence for column in result.columns} == {None}
    stored = read_yardsticks(tmp_path / "out", result.problem.name)
    assert stored.tensors["run_captured/truth"].shape == (3, 20, 8)
    assert stored.notes["run_weighted/truth"] == "run_captured/truth"  # no truth is stored twice
    assert {name for name in stored.tensors if name.endswith("/stakes")} == {"captured/stakes", "weighted/stakes"}
    compared = {one.key: one for one in compare([tmp_path / "out"]).columns}
    assert list(compared) == [column.key for column in result.columns]
    for key, column in compared.items():
        for one in column.estimators:
            own, (here,) = cell_of(result, one.name).value(key), one.by_problem
            assert here is not None
            assert here.value == pytest.approx(own.value, abs=1e-9)
    for key in RUN_COLUMNS:
        for one in compared[key].estimators:
            own, (here,) = cell_of(result, one.name).value(key), one.by_problem
            assert here is not None
            if own.low is not None:
                assert (here.low, here.high) == (pytest.approx(own.low, abs=1e-6), pytest.approx(own.high, abs=1e-6))


def test_runs_with_other_numbers_of_runs_in_hand_can_be_compared(tmp_path: Path) -> None:
    three = result_of(asked("tells", "random"), tmp_path, out="three")
    result_of(asked("random", "same_label", judges=("leave_one_out", "this_run[n=2]")), tmp_path, out="two")
    compared = {one.key: one for one in compare([tmp_path / "two", tmp_path / "three"]).columns}
    found = {one.name: one.by_problem[0] for one in compared["run_influence"].estimators}
    assert set(found) == {"tells", "random"}  # of same_label there are two estimates with a run in hand, not three
    for name, value in found.items():
        assert value is not None
        assert value.value == pytest.approx(cell_of(three, name).value("run_influence").value, abs=1e-9)
    assert {one.name for one in compared["influence"].estimators} == {"tells", "random", "same_label"}


def test_yardsticks_that_are_silent_are_not_stored(tmp_path: Path) -> None:
    result = result_of(asked("tells", "random", judges=("leave_one_out",), n_seeds=2), tmp_path)
    silent = {column.key for column in result.columns if column.silence}
    assert silent == {"captured", "weighted"}
    stored = read_yardsticks(tmp_path / "out", result.problem.name)
    keys = {name.partition("/")[0] for name in (*stored.tensors, *stored.notes)}
    assert keys == {"within_class", "influence", "memorization"}
    assert {one.key for one in compare([tmp_path / "out"]).columns} == {"within_class", "influence"}


def test_one_seed_of_the_spread_is_of_the_columns_of_single_seeds(tmp_path: Path) -> None:
    """Two seeds make one variance, which does not have the cost of one seed."""
    result = result_of(asked("random", judges=("spread",)), tmp_path)
    (one,) = result.one_seed
    assert (list(one.columns), one.n_seeds, one.training_equivalents) == (["sign"], 4, 21)
    assert one.seconds == pytest.approx(judge_of(result, "spread").seconds / 4)


def test_the_trust_in_a_variance_counts_seeds(tmp_path: Path) -> None:
    """A pair of seeds makes one variance, so that one seed has none."""
    result = result_of(asked("random", judges=("spread",)), tmp_path)
    variance, sign = result.trust["variance"], result.trust["sign"]
    assert (variance.n_seeds, variance.seeds_each, variance.n_effects) == (4, 2, 2)
    assert (sign.n_seeds, sign.seeds_each, sign.n_effects) == (4, 1, 4)
    assert [point.n_seeds for point in variance.curve] == [2, 4]
    assert variance.single_seed_reliability == variance.single_seed_reach == UNKNOWN
    assert sign.single_seed_reliability.value is not None


def test_more_runs_than_seeds_cannot_be_handed_over(tmp_path: Path) -> None:
    result = result_of(asked("random", judges=("leave_one_out", "this_run[n=3]"), n_seeds=4), tmp_path)
    assert judge_of(result, "this_run[n=3]").status == "ok"
    of = asked("random", n_seeds=2)
    reason = "it hands over 3 runs, and the truth has 2; raise [truth] seeds or lower n"
    with pytest.raises(UsageError) as caught:
        prepare(of, known(), resources=stored_in(tmp_path))
    assert str(caught.value) == f"judge this_run[n=3] cannot run on any problem of the plan: {reason}"
