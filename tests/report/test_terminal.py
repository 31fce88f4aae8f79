"""The report as text: golden at 80 and at 160 columns, without colour."""

from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from influbench.report import numbers
from influbench.report.details import print_details
from influbench.report.terminal import print_report
from influbench.results import Failure, Result, Results, Statistic, SubsetTruth, TracePoint
from tests.report.printing import text_of

GOLDEN = Path(__file__).parent / "golden"
RESULT = Result.model_validate_json((GOLDEN / "result.json").read_text())


def printed(result: Result | Results, width: int) -> str:
    return text_of(lambda console: print_report(console, result), width)


@pytest.mark.parametrize("width", [80, 160])
def test_the_report_reads_as_it_did(width: int) -> None:
    text = printed(RESULT, width)
    assert max(map(len, text.splitlines())) <= width
    assert "…" not in text
    assert text == (GOLDEN / f"report-{width}.txt").read_text()


def test_the_widest_figures_fit_into_80_columns() -> None:
    widest = Statistic(value=-1.0, low=-1.0, high=-0.99)
    update = {"spearman": widest, "within_class": widest, "of_ceiling": widest, "within_class_of_ceiling": widest}
    cells = [cell.model_copy(update={**update, "training_equivalents": 12345.6}) for cell in RESULT.cells]
    text = printed(RESULT.model_copy(update={"cells": tuple(cells)}), 80)
    assert max(map(len, text.splitlines())) <= 80
    assert "…" not in text
    assert text.count("12,345.6") == len({cell.name for cell in cells})
    assert text.count("[-1.00, -.99]") == sum(2 if cell.quantity == "influence" else 1 for cell in cells)


def test_a_cost_that_nobody_knows_is_a_dash_and_said_below() -> None:
    unknown = {"training_equivalents": None, "seconds": None}
    cells = [cell.model_copy(update=unknown) if cell.name == "tracin" else cell for cell in RESULT.cells]
    result = RESULT.model_copy(update={"cells": tuple(cells)})
    row = next(line for line in printed(result, 160).splitlines() if line.startswith("  tracin"))
    assert row.split()[-3:] == ["-", "-", "ok"]
    said = "- in trainings and time: scores from elsewhere, at a cost that is not known."
    assert said in " ".join(printed(result, 80).split())
    assert said not in " ".join(printed(RESULT, 80).split())


def test_estimators_are_sorted_by_agreement_and_failures_come_last() -> None:
    lines = printed(RESULT, 160).splitlines()
    names = ["leave_one_out", "turn_over_dropout", "tracin", "random", "mine", "needs_conv"]
    rows = [next(i for i, line in enumerate(lines) if line.startswith(f"  {name}")) for name in names]
    assert rows == sorted(rows)


def test_several_problems_stand_one_below_the_other_and_a_failed_one_keeps_its_place() -> None:
    failure = Failure(problem="line, linear", status="failed", reason="training diverged", traceback="Traceback ...")
    text = printed(Results(plan="two", seed=0, results=(RESULT, RESULT), failures=(failure,)), 80)
    assert text.count("Who predicts it?") == 2
    assert "failed: training diverged" in text


def test_regression_shows_neither_classes_nor_memorization() -> None:
    truth = RESULT.truth.model_copy(
        update={"memorization": None, "influence": RESULT.truth.influence.model_copy(update={"within_class": None})}
    )
    cells = tuple(cell for cell in RESULT.cells if cell.quantity == "influence" and cell.name != "same_label")
    text = printed(RESULT.model_copy(update={"truth": truth, "cells": cells}), 80)
    assert "within class" not in text
    assert "Regression: there are no classes to look within, and no memorization score." in " ".join(text.split())


def test_one_seed_is_said_to_be_too_few() -> None:
    unknown = Statistic(value=None, low=None, high=None)
    influence = RESULT.truth.influence.model_copy(
        update={"reliability": unknown, "ceiling": unknown, "single_seed_reliability": unknown}
    )
    text = printed(
        RESULT.model_copy(update={"truth": RESULT.truth.model_copy(update={"n_seeds": 1, "influence": influence})}), 80
    )
    assert "Two seeds are the least." in " ".join(text.split())


def test_a_truth_that_may_be_noise_is_flagged() -> None:
    influence = RESULT.truth.influence.model_copy(update={"ceiling": Statistic(value=0.1, low=-0.1, high=0.3)})
    truth = RESULT.truth.model_copy(update={"influence": influence})
    assert "The truth may be noise alone" in printed(RESULT.model_copy(update={"truth": truth}), 80)


def test_few_points_are_marked_in_the_table_and_named_below() -> None:
    text = printed(RESULT, 80)
    assert "!" not in text
    few = RESULT.problem.model_copy(update={"n_test": 9, "fewest_in_class": 4})
    text = printed(RESULT.model_copy(update={"problem": few}), 80)
    assert text.count("all points !") == text.count("within class !") == 2
    assert "memorization !" not in text
    words = " ".join(text.split())
    assert "! influence all points: only 9 test points; intervals from fewer than ten" in words
    assert "! influence within class: only 4 train points in a class and 9 test points;" in words


@pytest.mark.parametrize("width", [80, 160])
def test_details_hold_every_statistic_and_fit(width: int) -> None:
    console = Console(width=width, file=StringIO(), color_system=None, legacy_windows=False)
    print_details(console, RESULT)
    assert isinstance(console.file, StringIO)
    text = console.file.getvalue()
    assert max(map(len, text.splitlines())) <= width
    for title in ("quarters", "sig.", "centred", "pooled", "tau-b", "Pearson", "top k", "sign", "AUROC", "most"):
        assert title in text
    (cell,) = (c for c in RESULT.cells if c.name.startswith("turn_over") and c.quantity == "influence")
    assert cell.details is not None
    row = next(line for line in text.splitlines() if line.startswith("  turn_over"))
    for statistic in (cell.details.kendall, cell.details.pearson, cell.details.top_k_overlap, cell.pooled_spearman):
        assert numbers.decimal(statistic.value) in row


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.5478, ".55"), (-0.034, "-.03"), (0.999, "1.00"), (-0.999, "-1.00"), (0.0, ".00"), (-0.001, ".00"), (None, "-")],
)
def test_correlations_have_two_digits_and_no_zero(value: float | None, text: str) -> None:
    assert numbers.decimal(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.01, "< 0.1 s"), (0.26, "0.3 s"), (9.96, "10 s"), (61, "61 s"), (200, "3 min 20 s"), (7500, "2 h 05 min")],
)
def test_durations_have_units(value: float, text: str) -> None:
    assert numbers.seconds(value) == text


def test_a_trace_has_a_table_for_each_kind_of_agreement() -> None:
    cells = tuple(cell for cell in RESULT.cells if cell.name.startswith("turn_over_dropout"))
    others = [
        cell.model_copy(update={"name": f"{cell.name}, a {n} one"}) for cell in cells for n in ("second", "third")
    ]
    steps = (6, 12, 30, 60, 120)
    points = tuple(TracePoint(step=step, truth=RESULT.truth, cells=(*cells, *others)) for step in steps)
    text = printed(RESULT.model_copy(update={"trace": points}), 80)
    assert max(map(len, text.splitlines())) <= 80
    assert "…" not in text
    assert text.count("\n  step 6 ") == text.count("\n  step 120") == 3
    assert sum(" ceiling " in line for line in text.splitlines()) >= 3
    (influence,) = (cell for cell in cells if cell.quantity == "influence")
    assert text.count(numbers.interval(influence.within_class)) >= len(steps) * 3


def with_subsets(result: Result) -> Result:
    """The same with a second truth, so that there are four columns."""
    truth = result.truth
    subsets = SubsetTruth(estimand="", n_subsets=64, ratio=0.5, n_trainings=64, trust=truth.influence)
    return result.model_copy(update={"truth": truth.model_copy(update={"subsets": subsets})})


@pytest.mark.parametrize("width", [50, 60, 70, 80, 100, 160])
@pytest.mark.parametrize("result", [RESULT, with_subsets(RESULT)], ids=["three columns", "four"])
def test_nothing_is_cut_where_the_terminal_is_narrow(result: Result, width: int) -> None:
    text = printed(result, width)
    assert max(map(len, text.splitlines())) <= width
    assert "…" not in text
    for cell in result.cells:
        if cell.spearman.value is not None:
            assert numbers.interval(cell.spearman) in text
    for trust in (result.truth.influence, result.truth.memorization):
        assert trust is not None
        assert numbers.interval(trust.reliability) in text
    details = text_of(lambda console: print_details(console, result), width)
    assert max(map(len, details.splitlines())) <= width
    assert "…" not in details


@pytest.mark.parametrize("width", [80, 100, 120, 137, 138, 150])
def test_no_column_is_dropped_at_any_width(width: int) -> None:
    head = next(line for line in printed(RESULT, width).splitlines() if "Who predicts it?" in line)
    assert ("status" in head) == (width >= 138)
    assert "time" in printed(RESULT, width)
