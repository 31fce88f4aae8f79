"""The chart of agreement against cost."""

from rich.console import Console

from influbench.report.chart import cost_charts
from influbench.results import Agreement, Cell, Result, Statistic
from tests.report.test_terminal import RESULT


def cell(estimator: str, name: str, cost: float | None, value: float | None) -> Cell:
    found = Agreement(value=Statistic(value=value, low=None, high=None), n=10)
    columns = {"influence": found, "memorization": found}  # a chart is drawn of the second alone
    return Cell(estimator=estimator, name=name, status="ok", columns=columns, training_equivalents=cost)


def drawn(result: Result, *, wide: bool = False) -> list[str]:
    with (console := Console(width=80, color_system=None)).capture() as capture:
        for part in cost_charts(result, width=160 if wide else 80, wide=wide):
            console.print(part)
    return [line.rstrip() for line in capture.get().splitlines()]


def test_points_stand_at_their_cost_and_agreement() -> None:
    cells = (
        cell("random", "random", 0.0, 0.0),
        cell("subset", "subset[n_models=10]", 10.0, 0.5),
        cell("subset", "subset[n_models=100]", 100.0, 0.9),
        cell("slow", "slow", 100.0, 0.45),
        cell("slower", "slower", 100.0, 0.46),
        cell("silent", "silent", 1.0, None),
    )
    result = RESULT.model_copy(update={"cells": cells, "fronts": {"memorization": ("random", "subset[n_models=100]")}})
    lines = drawn(result)
    assert [line.strip() for line in lines if "against" in line] == ["memorization, against trainings"]
    top, bottom = (next(line for line in lines if line.lstrip().startswith(start)) for start in (".90", ".00"))
    labels = next(line for line in lines if line.split() == ["0", "1", "10", "100"])
    assert top[labels.index("100") + 1] == "B"
    assert bottom[labels.index("0")] == "A"
    assert any(line[labels.index("10 ") + 1 :].startswith("b") for line in lines)
    assert any(line.endswith("*") for line in lines)
    assert "  a random  b subset  c slow  d slower  e silent" in lines


def test_what_cost_nobody_knows_is_neither_drawn_nor_in_the_legend() -> None:
    known = (cell("random", "random", 0.0, 0.0), cell("b", "b", 10.0, 0.5), cell("c", "c", 100.0, 0.9))
    unknown = cell("from_file", "from_file[path=x.csv]", None, 0.95)
    without, with_it = (drawn(RESULT.model_copy(update={"cells": cells})) for cells in (known, (unknown, *known)))
    assert without == with_it != []


def test_nothing_is_drawn_of_few_or_of_equal_costs() -> None:
    few = (cell("random", "random", 0.0, 0.0), cell("subset", "subset", 10.0, 0.5))
    equal = tuple(cell(name, name, 1.0, 0.1) for name in "abc")
    for cells in (few, equal):
        assert drawn(RESULT.model_copy(update={"cells": cells})) == []
