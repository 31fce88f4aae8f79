"""The report of `influbench compare` over several problems."""

from collections.abc import Sequence

import pytest

from influbench.reading.over_problems import OnProblem
from influbench.report.comparison import print_comparison
from influbench.results import UNKNOWN, ColumnRecord, ComparedProblem, ComparedRuns
from tests.reading.test_over_problems import COLUMN, compared, differing, problem
from tests.report.printing import text_of


def shown(problems: Sequence[OnProblem], width: int = 80, *, columns: Sequence[ColumnRecord] = (COLUMN,)) -> str:
    runs = ComparedRuns(
        runs=("out",),
        problems=tuple(
            ComparedProblem(name=f"p{i}", key=f"{i}", n_seeds=2, runs=("out",), ceilings={"influence": UNKNOWN})
            for i in range(len(problems))
        ),
        columns=tuple(compared(problems, column) for column in columns),
    )
    return text_of(lambda console: print_comparison(console, runs), width)


@pytest.mark.parametrize("width", [60, 80, 160])
def test_both_questions_have_a_table_and_letters(width: int) -> None:
    text = shown(differing(), width)
    assert max(map(len, text.splitlines())) <= width
    words = " ".join(text.split())
    assert "on these problems? mean share rank" in words
    assert "And on other data sets?" in words
    assert "10 data sets" in words
    assert "influence all points: the first does not change" not in words
    assert "influence all points: without any one of" not in words
    assert "the order does not change if any one problem is left out." in words
    assert "too few" not in words
    assert "not part of" not in words


def test_limits_of_the_means_are_in_words() -> None:
    words = " ".join(
        shown(
            [
                problem({"a": 0.9}, "w"),
                problem({"a": 0.9, "b": 0.1}, "x", ceiling=0.9),
                problem({"a": 0.1, "b": 0.2}, "z"),
                problem({"a": 0.2, "b": 0.3}, "z", ceiling=0.5),
            ]
        ).split()
    )
    assert "3 of 4 problems" in words
    assert "mean ceiling .70" in words
    assert "influence all points: without p1, b is ahead of a." in words
    assert "too few problems to say anything about other problems: they are on 2 data sets, and it takes 4." in words
    assert "not part of the means (no value of b): p0." in words
    assert "not part of the shares, as the truth is not clearly above noise: p2." in words
    assert "And on other data sets?" not in words


def test_intervals_without_the_seeds_are_said_to_be_so() -> None:
    column = COLUMN.model_copy(update={"key": "captured", "title": "influence\ncaptured", "statistic": "captured"})
    in_hand = column.model_copy(update={"key": "run_captured", "title": "this run\ncaptured", "has_run": True})
    said = (
        "influence captured: runs store the mean over the truth's seeds, so intervals and letters here take these seeds"
    )
    for columns, n in (((column, in_hand), 1), ((COLUMN, in_hand), 0)):
        words = " ".join(shown(differing(), columns=columns).split())
        assert words.count(said) == n
        assert words.count("runs store the mean") == n


def test_the_part_of_the_order_that_is_stable_is_named() -> None:
    problems = [
        problem({"a": 0.9, "b": 0.8, "c": 0.5, "d": 0.1}, "x"),
        problem({"a": 0.9, "b": 0.8, "c": 0.1, "d": 0.3}, "y"),
        problem({"a": 0.9, "b": 0.8, "c": 0.1, "d": 0.2}, "z"),
    ]
    words = " ".join(shown(problems).split())
    assert (
        "the order of the first 2 does not change if any one problem is left out; without p0, d is ahead of c."
    ) in words
