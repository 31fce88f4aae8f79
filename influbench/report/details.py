"""The other statistics of a run's agreements in a terminal: `influbench report DIR --details`."""

from collections.abc import Iterator, Mapping

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from influbench.report.content import notes_of_details, without_noise
from influbench.report.names import Name
from influbench.report.numbers import DASH, count, decimal
from influbench.report.tables import new_table, side_by_side
from influbench.report.terminal import agreement_tables, trust_tables, written
from influbench.results import ColumnRecord, Details, Result, Results, Statistic

_NAME = 16  # characters of the column of names at the least
_OF_TEST_POINTS = (
    "quarters: of the test points' Spearman correlations. sig.: share of them that is not 0 (false discovery rate 5%). "
    "centered: without the means of rows and columns. pooled: over all pairs at once."
)
_OF_TRAIN_POINTS = "most: Spearman among the fifth of the train points that is memorized most."
_NOTE = (
    "top k: overlap of the {k} highest, 0 by chance and 1 at best. sign, AUROC: of the effects that are clearly not 0 "
    "by a paired test over seeds ({clear}), the share with the right sign; and how well scores separate the clear "
    "proponents ({proponents}) from the rest, where there are ten of either. Intervals are in result.json."
)


def print_details(console: Console, results: Results) -> None:
    """Print a table of the other statistics of each problem, for each column that has them."""
    for found in results.results:
        result = without_noise(found)
        console.print(Text(f"\n  {result.problem.name}", style="bold"))
        others = [column for column in result.columns if not column.headline]
        for tables in (trust_tables, agreement_tables):
            for table in tables(result, others, width=console.width):
                console.print(table)
        for column in result.columns:
            rows = _rows(result, column)
            if rows:
                console.print()
                for table in _tables(column, rows, width=console.width):
                    console.print(table)
                    console.print()
                details = next(iter(rows.values()))
                console.print(Padding(Text(" ".join(_notes(column, details)), style="dim"), (0, 2)))
        if notes := list(notes_of_details(result)):
            console.print()
            console.print(written(notes))


def _rows(result: Result, column: ColumnRecord) -> dict[str, Details]:
    """The details of each estimator that has some in this column, best agreement first."""
    found = {}
    for cell in sorted(result.cells, key=lambda cell: -(cell.value(column.key).value or -2.0)):
        agreement = cell.columns.get(column.key)
        if agreement is not None and agreement.details is not None:
            found[cell.name] = agreement.details
    return found


def _tables(column: ColumnRecord, details: Mapping[str, Details], *, width: int) -> Iterator[Table]:
    """All statistics, in one table if that fits."""
    rows = {name: dict(_values(column, one)) for name, one in details.items()}
    titles = list(next(iter(rows.values())))
    widths = [1 + max(_width(text) for text in (title, *(of[title] for of in rows.values()))) for title in titles]
    for shown in side_by_side(titles, widths, width - _NAME):
        table = new_table(narrow=True)
        table.add_column(f"  {column.title.partition(chr(10))[0].capitalize()}", min_width=_NAME)
        for title in shown:
            table.add_column(title, justify="right", no_wrap=True)
        for name, values in rows.items():
            table.add_row(Name(name), *(Text(values[title]) for title in shown))
        yield table


def _width(text: str) -> int:
    return max(map(len, text.split("\n")))


def _values(column: ColumnRecord, details: Details) -> Iterator[tuple[str, str]]:
    """Titles with the values below them."""
    if column.n_columns is not None:
        yield "median\nquarters", _quarters(details.quartiles) if details.quartiles else DASH
        share = details.share_significant
        yield "sig.", DASH if share is None else f"{100 * share:.0f}%"
        yield "centered", _decimal(details.double_centered_spearman)
        yield "pooled", _decimal(details.pooled)
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


def _notes(column: ColumnRecord, details: Details) -> Iterator[str]:
    yield _OF_TRAIN_POINTS if column.n_columns is None else _OF_TEST_POINTS
    yield _NOTE.format(
        k=details.top_k,
        clear=DASH if details.n_clear is None else count(details.n_clear, "effect"),
        proponents=DASH if details.n_proponents is None else f"{details.n_proponents:,}",
    )
