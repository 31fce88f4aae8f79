"""What the tables of all reports have in common."""

from rich import box
from rich.table import Table

from influbench.results import Where

COLUMN_TITLES: dict[Where, str] = {
    "influence": "influence\nall points",
    "within_class": "influence\nwithin class",
    "memorization": "memorization",
    "lds": "random\nsubsets (LDS)",
}


def new_table(*, narrow: bool = False) -> Table:
    """A table with a line below its head and none around it; `narrow` has one space between columns and not two."""
    return Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 0 if narrow else 1, 0, 0))
