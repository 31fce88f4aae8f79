"""The other statistics of a run's agreements in a terminal: `influbench report DIR --details`."""

from collections.abc import Iterator, Sequence

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from influbench.report.names import Name
from influbench.report.numbers import UNKNOWN, count, decimal
from influbench.report.tables import new_table, side_by_side
from influbench.results import Cell, Details, Quantity, Result, Results, Statistic

_NAME = 16  # characters of the column of names at the least
_NOTES = {
    "influence": (
        "quarters: of the test points' Spearman correlations. sig.: share of them that is not 0 (false "
        "discovery rate 5 %). centred: without the means of rows and columns. pooled: over all pairs at once."
    ),
    "memorization": "most: Spearman among the fifth of the train points that is memorised most.",
}
_NOTE = (
    "top k: overlap of the {k} highest, 0 by chance and 1 at best. sign, AUROC: of the effects that are clearly not 0 "
    "by a paired test over seeds ({clear}), the share with the right sign; and how well scores tell the clear "
    "proponents ({proponents}) from the rest. Intervals are in result.json."
)


def print_details(console: Console, result: Result | Results) -> None:
    """Print a table of the other statistics of each problem, for influence and for memorization."""
    for one in result.results if isinstance(result, Results) else (result,):
        console.print(Text(f"\n  {one.problem.name}", style="bold"))
        for quantity in ("influence", "memorization"):
            cells = [cell for cell in one.cells if cell.quantity == quantity and cell.details is not None]
            if cells:
                console.print()
                in_order = sorted(cells, key=lambda cell: -(cell.spearman.value or -2.0))
                for table in _tables(quantity, in_order, width=console.width):
                    console.print(table)
                    console.print()
                console.print(Padding(Text(" ".join(_notes(quantity, cells)), style="dim"), (0, 2)))


def _tables(quantity: Quantity, cells: Sequence[Cell], *, width: int) -> Iterator[Table]:
    """All statistics, in one table if that fits."""
    rows = [(cell, dict(_values(cell))) for cell in cells]
    titles = list(rows[0][1])
    widths = [1 + max(_width(text) for text in (title, *(values[title] for _, values in rows))) for title in titles]
    for shown in side_by_side(titles, widths, width - _NAME):
        table = new_table(narrow=True)
        table.add_column(f"  {quantity.capitalize()}", min_width=_NAME)
        for title in shown:
            table.add_column(title, justify="right", no_wrap=True)
        for cell, values in rows:
            table.add_row(Name(cell.name), *(Text(values[title]) for title in shown))
        yield table


def _width(text: str) -> int:
    return max(map(len, text.split("\n")))


def _values(cell: Cell) -> Iterator[tuple[str, str]]:
    """Titles with what stands below them."""
    details = cell.details
    assert details is not None
    if cell.quantity == "influence":
        yield "median\nquarters", _quarters(details.quartiles) if details.quartiles else UNKNOWN
        share = details.share_significant
        yield "sig.", UNKNOWN if share is None else f"{100 * share:.0f} %"
        yield "centred", _decimal(details.double_centred_spearman)
        yield "pooled", _decimal(cell.pooled_spearman)
    else:
        yield "most", _decimal(details.among_most)
    yield "tau-b", _decimal(details.kendall)
    yield "Pearson", _decimal(details.pearson)
    yield "top k", _decimal(details.top_k_overlap)
    yield "sign", _decimal(details.sign_agreement)
    yield "AUROC", _decimal(details.proponents_auroc)


def _quarters(quartiles: tuple[float, float, float]) -> str:
    """The median above the other two."""
    low, median, high = map(decimal, quartiles)
    return f"{median}  \n{low:>4} {high:>3}"


def _decimal(statistic: Statistic) -> str:
    return decimal(statistic.value)


def _notes(quantity: Quantity, cells: Sequence[Cell]) -> Iterator[str]:
    details: Details | None = cells[0].details
    assert details is not None
    yield _NOTES[quantity]
    yield _NOTE.format(
        k=details.top_k,
        clear=UNKNOWN if details.n_clear is None else count(details.n_clear, "effect"),
        proponents=UNKNOWN if details.n_proponents is None else f"{details.n_proponents:,}",
    )
