"""Problems on which little can be known: the report says why, once, and prints no number there."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

from influbench.api import Column, Estimate, Estimator, Judge, JudgedProblem, Problem, Spec
from influbench.engine import run
from influbench.engine.events import RunDone
from influbench.judges.influence import influence_columns, influence_yardsticks
from influbench.plan import Plan
from influbench.registry import Entry
from influbench.report.details import print_details
from influbench.report.terminal import print_report
from influbench.results import UNKNOWN, Result
from influbench.statistics.yardsticks import Yardstick
from tests.engine.test_run import cell_of, plan
from tests.plugins import STRANGERS, registry_with
from tests.problems import stored_in
from tests.report.printing import text_of
from tests.report.test_terminal import results_of

TOO_FEW = "Nothing can be said about {}: it needs the truth of at least 3 seeds."
NOISE = "Nothing can be said about {}: the truth cannot be distinguished from noise; add seeds."


@dataclass(frozen=True)
class Constant(Estimator):
    """The same score everywhere."""

    draws = False

    def estimate(self, problem: Problem) -> Estimate:
        n_train, n_test = len(problem.data.train), len(problem.data.test)
        return Estimate(torch.ones(n_train, n_test), torch.ones(n_train))


@dataclass(frozen=True)
class Noise(Judge):
    """Effects without a signal, in the columns of influence."""

    def columns(self, problem: JudgedProblem) -> Sequence[Column]:
        return influence_columns(problem.data)

    def yardsticks(self, problem: JudgedProblem, trained: Sequence[Any], *, step: int) -> Mapping[str, Yardstick]:
        shape = (5, len(problem.data.train), len(problem.data.test))
        noise = torch.randn(shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
        return influence_yardsticks(noise, problem.data)


def found(of: Plan, tmp_path: Path) -> tuple[Result, str]:
    """The result, and the words of its report."""
    own = Entry("estimator", Spec("constant", f"{__name__}:Constant", ""), STRANGERS)
    noise = Entry("judge", Spec("noise", f"{__name__}:Noise", ""), STRANGERS)
    resources, registry = stored_in(tmp_path / "cache"), registry_with(own, noise)
    (*_, last) = run(of, directory=tmp_path / "out", resources=resources, registry=registry)
    assert isinstance(last, RunDone)
    (result,) = last.result.results
    return result, " ".join(text_of(lambda console: print_report(console, last.result), 200).split())


def assert_silent(result: Result, *keys: str) -> None:
    """These columns have a value of no estimator and no pair, neither an interval nor a letter."""
    for cell in result.cells:
        for key in keys:
            if (agreement := cell.columns.get(key)) is not None:
                assert (agreement.value, agreement.of_ceiling, agreement.letters) == (UNKNOWN, UNKNOWN, None)
    assert not {comparison.column for comparison in result.comparisons} & set(keys)
    assert not any(key in one.columns for one in result.one_seed for key in keys)


def test_one_seed_has_no_noise_to_show(tmp_path: Path) -> None:
    result, words = found(plan(["random", "subset"]).changed(n_seeds=1), tmp_path)
    assert_silent(result, "captured", "weighted")
    assert result.one_seed == ()
    for trust in result.trust.values():
        assert (trust.reliability, trust.ceiling, trust.single_seed_reach) == (UNKNOWN, UNKNOWN, UNKNOWN)
    assert words.count("One seed cannot show its own noise, so reliability and ceiling are unknown.") == 1
    assert words.count(TOO_FEW.format("influence captured, influence by signal")) == 1
    assert words.count("Nothing can be said") == 1


def test_two_seeds_are_too_few_for_intervals_of_trust(tmp_path: Path) -> None:
    result, words = found(plan(["random", "subset"]), tmp_path)
    assert_silent(result, "captured", "weighted")
    assert result.one_seed == ()
    for trust in result.trust.values():
        assert (trust.reliability.low, trust.ceiling.low) == (None, None)
    assert words.count(TOO_FEW.format("influence captured, influence by signal")) == 1
    assert words.count(NOISE.format("influence within class, memorization")) == 1
    assert words.count("Nothing can be said") == 2
    details = " ".join(text_of(lambda console: print_details(console, results_of(result)), 200).split())
    said = "influence all points: 2 seeds are too few for intervals of reliability, ceiling, and share of the ceiling."
    assert details.count(said) == 1
    assert "too few for intervals" not in words


def test_nothing_is_captured_of_a_truth_of_noise(tmp_path: Path) -> None:
    result, words = found(plan(["random", "subset"]).changed(judges=("noise",)), tmp_path)
    assert_silent(result, "captured", "weighted")
    for trust in result.trust.values():
        assert (trust.ceiling, trust.single_seed_reach, trust.seeds_needed) == (UNKNOWN, UNKNOWN, {})
    assert all(one.of_ceiling == UNKNOWN for cell in result.cells for one in cell.columns.values())
    names = "influence captured, influence within class, influence by signal"  # the other column is in the details
    assert words.count(NOISE.format(names)) == 1
    assert words.count("Nothing can be said") == 1


def test_scores_that_are_constant_everywhere_have_no_value(tmp_path: Path) -> None:
    result, words = found(plan(["random", "constant"]).changed(n_seeds=5), tmp_path)
    assert {column.silence for column in result.columns} == {None}
    cell = cell_of(result, "constant")
    assert cell.status == "ok"
    for column in result.columns:
        assert cell.value(column.key) == UNKNOWN
        assert cell_of(result, "random").value(column.key).value is not None
        names = {one.first for one in result.comparisons} | {one.second for one in result.comparisons}
        assert "constant" not in names
    names = "influence captured, influence within class, influence by signal"
    assert words.count(f"constant: no value in {names}, because all scores are equal") == 1
    assert words.count("constant: no value") == 1
    assert words.count(NOISE.format("memorization")) == 1  # which is why its constant scores are not counted


@pytest.mark.parametrize("n_train", [6, 8])
def test_a_class_of_two_train_points_has_no_correlation(n_train: int, tmp_path: Path) -> None:
    """Of 6 train points, all three classes have two; of 8, one of the classes has two."""
    of = plan(["random"], dataset=f'"blobs[n_train={n_train}]"').changed(n_seeds=4)
    result, words = found(of, tmp_path)
    labels = [row % 3 for row in range(n_train + 8)]  # of the train points, then of the 8 test points
    n_without = sum(labels[:n_train].count(label) < 3 for label in labels[n_train:])
    assert n_without == (8 if n_train == 6 else 3)
    agreement = cell_of(result, "random").columns["within_class"]
    assert agreement.n_undefined == n_without
    assert (agreement.value == UNKNOWN) is (n_train == 6)
    said = (
        f"random: no value in influence within class on {n_without} of 8 test points: constant truth or too few points"
    )
    assert words.count(said) == 1
    assert words.count("! influence within class: only 2 train points in a class and 8 test points;") == 1
    if n_train == 6:
        assert_silent(result, "within_class")
        assert result.trust["within_class"].reliability == UNKNOWN
