"""Names in narrow columns are broken where they read on."""

import pytest
from rich.console import Console

from influbench.report.names import Name, broken
from influbench.report.tables import new_table, side_by_side
from tests.report.printing import text_of


@pytest.mark.parametrize(
    ("name", "width", "lines"),
    [
        ("random", 6, ["random"]),
        ("leave_one_out[n_seeds=1]", 20, ["leave_one_out[", "n_seeds=1]"]),
        ("mine[power=2,steps=100]", 16, ["mine[power=2,", "steps=100]"]),
        ("turn_over_dropout", 14, ["turn_over_", "dropout"]),
        ("./folder/mine.py:Mine", 18, ["./folder/mine.py:", "Mine"]),
        ("digits[n_train=60], mlp[hidden=[8]]", 24, ["digits[n_train=60],", "mlp[hidden=[8]]"]),
        ("abcdefghij", 4, ["abcd", "efgh", "ij"]),
        ("x", 1, ["x"]),
    ],
)
def test_a_name_is_broken_where_it_reads_on(name: str, width: int, lines: list[str]) -> None:
    assert broken(name, width) == lines


@pytest.mark.parametrize("width", range(1, 30))
def test_no_line_is_too_long_and_no_character_is_lost(width: int) -> None:
    name = "stranger[path=/a/b c.npy,rows=test], linear"
    lines = broken(name, width)
    assert max(map(len, lines)) <= width
    assert "".join(lines).replace(" ", "") == name.replace(" ", "")


def test_a_name_leaves_room_for_the_columns_beside_it() -> None:
    def draw(console: Console) -> None:
        table = new_table()
        table.add_column("  name")
        table.add_column("value", no_wrap=True)
        table.add_row(Name("leave_one_out[n_seeds=1]"), ".55 [.52, .57]")
        console.print(table)

    assert text_of(draw, 32).splitlines()[2:] == ["  leave_one_out[  .55 [.52, .57]", "  n_seeds=1]"]


def test_columns_stand_side_by_side_as_far_as_they_fit() -> None:
    assert list(side_by_side("abcd", [3, 3, 3, 9], 6)) == ["ab", "c", "d"]
    assert list(side_by_side("abc", [3, 3, 3], 9)) == ["abc"]
    assert list(side_by_side("", [], 9)) == []
