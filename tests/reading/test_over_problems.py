"""One column over several problems, from estimations whose values are known."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch

from influbench.reading.over_problems import OnProblem, compared_column
from influbench.results import ColumnRecord, ComparedColumn
from influbench.statistics.estimation import Estimation

COLUMN = ColumnRecord(
    key="influence",
    title="influence\nall points",
    quantity="influence",
    judge="leave_one_out",
    statistic="spearman",
    unit="Spearman's rank correlation",
    rows="train points",
    n_rows=40,
    n_columns=20,
)


def estimation(value: float, *, seed: int = 0) -> Estimation:
    """A value with a standard error of about .02."""
    drawn = torch.randn(40, 20, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return Estimation(value, 0.0005 * (drawn - drawn.mean()), n_rows=40, n_columns=20)


def problem(values: dict[str, float], dataset: str, *, ceiling: float | None = None, seed: int = 0) -> OnProblem:
    found = {name: estimation(value, seed=seed + place) for place, (name, value) in enumerate(values.items())}
    return OnProblem(found, points=dataset, dataset=dataset, ceiling=ceiling)


def compared(problems: Sequence[OnProblem], column: ColumnRecord = COLUMN) -> ComparedColumn:
    found = compared_column(column, problems)
    assert found is not None
    return found


def differing() -> list[OnProblem]:
    """Ten data sets on which `a` is far ahead of `c`, and ahead of `b` on seven of them."""
    return [
        problem({"c": 0.1 + 0.01 * (i % 3), "b": 0.55 - 0.1 * (i < 7), "a": 0.5 + 0.01 * (i % 2)}, str(i), seed=10 * i)
        for i in range(10)
    ]


def test_letters_answer_two_questions() -> None:
    column = compared(differing())
    assert column.n_datasets == 10
    assert [(one.name, one.letters, one.letters_elsewhere) for one in column.estimators] == [
        ("a", "a", "a"), ("b", "b", "a"), ("c", "c", "b"),
    ]  # fmt: skip
    clear = {(one.first, one.second): (one.is_clear, one.is_clear_elsewhere) for one in column.comparisons}
    assert clear == {("a", "b"): (True, False), ("a", "c"): (True, True), ("b", "c"): (True, True)}
    for pair in column.comparisons:
        here, elsewhere = pair.difference, pair.difference_elsewhere
        assert here.value == elsewhere.value
        assert elsewhere.low <= here.low  # type: ignore[operator]
        assert elsewhere.high >= here.high  # type: ignore[operator]


def test_an_interval_elsewhere_is_never_narrower_than_on_these_problems() -> None:
    alike = [problem({"a": 0.5, "b": 0.2}, str(i), seed=2 * i) for i in range(6)]
    for one in compared(alike).estimators:
        assert one.mean_elsewhere == one.mean
    for one in compared(differing()).estimators:
        assert one.mean_elsewhere.low <= one.mean.low  # type: ignore[operator]
        assert one.mean_elsewhere.high >= one.mean.high  # type: ignore[operator]


def test_problems_on_three_data_sets_say_nothing_about_others() -> None:
    column = compared([problem({"a": 0.5, "b": 0.2}, str(i % 3), ceiling=0.9) for i in range(12)])
    assert column.n_datasets == 3
    for one in column.estimators:
        assert one.mean_elsewhere.value is None
        assert one.letters_elsewhere is None
        assert one.of_ceiling.low is None
    assert not any(pair.is_clear_elsewhere for pair in column.comparisons)


def test_an_estimator_without_an_error_on_these_problems_can_have_one_elsewhere() -> None:
    def one_draw(of: OnProblem) -> OnProblem:
        drawn = replace(of.estimations["c"], by_repeat=(torch.zeros(1),))
        return replace(of, estimations={**of.estimations, "c": drawn})

    column = compared([one_draw(of) for of in differing()])
    (one,) = (one for one in column.estimators if one.name == "c")
    assert one.mean.low is None
    assert one.mean_elsewhere.low is not None
    assert [pair.is_clear_elsewhere for pair in column.comparisons if pair.second == "c"] == [True, True]
    assert [pair.is_clear for pair in column.comparisons if pair.second == "c"] == [False, False]


def test_what_is_left_out_has_names_and_orders_have_places_among_all_problems() -> None:
    column = compared(
        [
            problem({"a": 0.9}, "w"),
            problem({"a": 0.9, "b": 0.1}, "x", ceiling=0.9),
            problem({}, "y"),
            problem({"a": 0.1, "b": 0.2}, "z", ceiling=None),
            problem({"a": 0.2, "b": 0.3}, "z", ceiling=0.5),
        ]
    )
    assert column.in_common == (1, 3, 4)
    assert [(one.problem, one.without_value) for one in column.left_out] == [(0, ("b",)), (2, ("a", "b"))]
    (pair,) = column.comparisons
    assert (pair.first, pair.second, pair.reversed_without) == ("a", "b", (1,))
    assert column.above_noise == (1, 4)
    assert column.mean_ceiling == pytest.approx(0.7)
    shares = {one.name: one.of_ceiling.value for one in column.estimators}
    assert shares == {"a": pytest.approx((1.0 + 0.4) / 2), "b": pytest.approx((1 / 9 + 0.6) / 2)}
    assert {one.name: one.rank.value for one in column.estimators} == {
        "a": pytest.approx(5 / 3), "b": pytest.approx(4 / 3),
    }  # fmt: skip


def test_without_a_problem_in_common_nothing_is_known_of_means() -> None:
    column = compared([problem({"a": 0.9}, "w", ceiling=0.9), problem({"b": 0.1}, "x", ceiling=0.9)])
    assert (column.in_common, column.comparisons, column.mean_ceiling) == ((), (), None)
    for one in column.estimators:
        assert one.mean.value is one.rank.value is one.of_ceiling.value is one.letters is None
