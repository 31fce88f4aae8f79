"""Draws of estimators: how many there are, and what may be said with few."""

from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from influbench.api import Estimate, Estimator, Problem, Spec
from influbench.engine import run
from influbench.engine.events import RunDone
from influbench.engine.preparation import prepare
from influbench.plan import Plan
from influbench.registry import Entry, installed
from influbench.results import Result
from tests.engine.test_run import cell_of, plan, result_of
from tests.plugins import STRANGERS, registry, registry_with
from tests.problems import stored_in


@dataclass(frozen=True)
class Forgetful(Estimator):
    """Does not draw, and does not say so."""

    def estimate(self, problem: Problem) -> Estimate:
        return Estimate(problem.data.train.inputs @ problem.data.test.inputs.T, notes=(f"draw {problem.draw}",))


@dataclass(frozen=True)
class Counts(Estimator):
    """Says how many draws it has."""

    answer: int = 0

    def stored_draws(self) -> int | None:
        if self.answer == 99:
            raise RuntimeError("lost them")
        return self.answer

    def estimate(self, problem: Problem) -> Estimate:
        generator = torch.Generator().manual_seed(problem.draw)
        return Estimate(torch.randn(len(problem.data.train), len(problem.data.test), generator=generator))


def result_with(of: Plan, tmp_path: Path) -> Result:
    own = (
        Entry("estimator", Spec(name.lower(), f"{__name__}:{name}", ""), STRANGERS) for name in ("Forgetful", "Counts")
    )
    directory, resources = tmp_path / "out", stored_in(tmp_path / "cache")
    *_, event = run(of, directory=directory, resources=resources, registry=registry_with(*own))
    assert isinstance(event, RunDone)
    (result,) = event.result.results
    return result


def test_estimators_that_draw_run_four_times_by_default_and_have_letters(tmp_path: Path) -> None:
    result = result_of(plan(["random", "tracin[n_checkpoints=1]", "same_label"]), tmp_path)
    assert {cell.estimator: (cell.draws, cell.n_repeats, cell.has_few_draws) for cell in result.cells} == {
        "random": (True, 4, False),
        "tracin": (True, 4, False),
        "same_label": (False, 1, False),
    }
    assert all(cell.columns["influence"].letters for cell in result.cells)
    assert all(one.difference.low is not None for one in result.comparisons)


@pytest.mark.parametrize("repeats", [1, 3])
def test_few_draws_have_an_interval_but_no_letters_and_no_clear_differences(repeats: int, tmp_path: Path) -> None:
    of = plan(["leave_one_out", "same_label", "input_similarity"]).changed(repeats=repeats)
    result = result_of(of, tmp_path)
    cell = cell_of(result, "leave_one_out")
    assert cell.has_few_draws
    assert {agreement.letters for agreement in cell.columns.values()} == {None}
    with_interval = {key for key, agreement in cell.columns.items() if agreement.value.low is not None}
    assert with_interval == {"within_class", "memorization", "influence"}  # the others need three seeds
    for one in result.comparisons:
        if "leave_one_out" in (one.first, one.second):
            assert (one.is_clear, one.difference.low, one.difference.high) == (False, None, None)
    assert {one.first for one in result.comparisons} >= {"leave_one_out"}
    for name in ("same_label", "input_similarity"):
        assert cell_of(result, name).columns["influence"].letters


def test_each_draw_has_one_bank_for_all_estimators(tmp_path: Path) -> None:
    of = plan(["subset[n_models=4]", "datamodel[n_models=10]"])
    ((prepared,), _) = prepare(of, registry(), resources=stored_in(tmp_path))
    subset, datamodel = prepared.candidates
    assert len(subset.draws) == len(datamodel.draws) == 4
    banks = [view.bank(n_models=4, ratio=0.5) for view in subset.draws]
    for bank, view in zip(banks, datamodel.draws, strict=True):
        assert torch.equal(bank.weights, view.bank(n_models=4, ratio=0.5).weights)
        assert torch.equal(bank.on_test, view.bank(n_models=4, ratio=0.5).on_test)
    assert not any(torch.equal(banks[0].weights, bank.weights) for bank in banks[1:])
    assert [view.draw for view in subset.draws] == [0, 1, 2, 3]


def test_draws_with_the_same_scores_are_one_draw(tmp_path: Path) -> None:
    result = result_with(plan(["forgetful", "random"]), tmp_path)
    cell = cell_of(result, "forgetful")
    assert (cell.n_repeats, cell.has_few_draws) == (1, True)
    assert cell.notes == (
        "draw 0",
        "draw 1",
        "draw 2",
        "draw 3",
        "all of its 4 draws have the same scores and count as one; if it never draws at random, set `draws = False` in "
        "its class",
    )


def test_draws_from_elsewhere_are_all_used_whatever_the_plan_repeats(tmp_path: Path) -> None:
    result = result_with(plan(["counts[answer=6]", "random"]).changed(repeats=1), tmp_path)
    assert cell_of(result, "counts[answer=6]").n_repeats == 6
    assert cell_of(result, "random").n_repeats == 1


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (0, "counts[answer=0] (strangers 1.0): stored_draws returned 0, expected a whole number from 1, or None"),
        (99, "counts[answer=99] (strangers 1.0) raised RuntimeError: lost them"),
    ],
)
def test_a_number_of_draws_that_cannot_be_is_a_failed_cell(answer: int, reason: str, tmp_path: Path) -> None:
    cell = cell_of(result_with(plan([f"counts[answer={answer}]", "random"]), tmp_path), f"counts[answer={answer}]")
    assert (cell.status, cell.reason) == ("failed", reason)


def test_one_seed_of_the_truth_has_the_cost_of_retraining_without_each_point(tmp_path: Path) -> None:
    of = plan(["random"]).changed(n_seeds=3, judges=("leave_one_out", "subsets[n=20]"))
    (one,) = result_of(of, tmp_path).one_seed
    assert (one.judge, one.n_seeds, one.training_equivalents) == ("leave_one_out", 3, 21)
    assert list(one.columns) == ["captured", "within_class", "weighted", "memorization", "influence"]
    assert one.columns["memorization"].low is not None
    assert one.seconds is not None
    assert result_of(plan(["random"]), tmp_path / "two").one_seed == ()


@pytest.mark.parametrize("name", sorted({one.spec.name for one in installed().entries if one.kind == "estimator"}))
def test_only_what_looks_at_points_alone_does_not_draw(name: str) -> None:
    draws: bool = installed().load("estimator", name).draws
    assert draws is (name not in ("same_label", "input_similarity"))
