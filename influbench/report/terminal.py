"""The report in a terminal: how reliable the truth is, who predicted it how well, and at what cost."""

from collections.abc import Callable, Iterable, Iterator, Sequence

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from influbench.report import content
from influbench.report.chart import cost_charts
from influbench.report.names import Name
from influbench.report.numbers import DASH, count, decimal, interval, seconds, share, trainings
from influbench.report.tables import new_table, on_one_line, side_by_side
from influbench.report.trace import trace_tables
from influbench.results import Agreement, Cell, ColumnRecord, OneSeed, Result, Results, Statistic, Trust

_WIDE, _WIDE_COLUMN = 54, 28  # characters that a row needs to fit on one line, besides its columns and for each
_NARROW, _NARROW_COLUMN = 28, 16  # and to fit on two
_GAP = 2  # characters between columns
_TRUST, _TRUST_COLUMN = 21, 19
_STATUS_STYLE = {"ok": "green", "failed": "red"}  # others: yellow
_TONES = {"plain": "dim", "warning": "yellow", "failure": "red"}


def print_report(console: Console, results: Results) -> None:
    """Print the report of a run, as wide as the console."""
    for part in report(results, width=console.width):
        console.print(part)


def report(results: Results, *, width: int) -> Iterator[RenderableType]:
    """The parts of the report of a run, for this many columns of text."""
    several = len(results.results) + len(results.failures) > 1
    for one in results.results:
        if several:
            yield _heading(one.problem.name)
        yield _problem_report(one, width=width)
    for failure in results.failures:
        yield _heading(failure.problem)
        yield Text(f"{failure.status}: {failure.reason}", style="red" if failure.status == "failed" else "yellow")


def _heading(problem: str) -> Rule:
    return Rule(Text(problem), style="dim")  # as a str, its brackets would be read as markup


def _problem_report(found: Result, *, width: int) -> Group:
    result = content.without_noise(found)
    wide = _fits(result, result.headline, width=width)
    return Group(
        Text(),
        _header(result),
        Text(),
        *trust_tables(result, result.headline, width=width),
        *agreement_tables(result, result.headline, width=width),
        *trace_tables(result, width=width),
        *cost_charts(result, width=width, wide=wide),
        written(content.notes(result)),
    )


def written(notes: Iterable[content.Note]) -> RenderableType:
    """Notes below tables."""
    return Padding(Group(*(Text(note.text, style=_TONES[note.tone]) for note in notes)), (0, 2))


def _header(result: Result) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold", min_width=10)
    table.add_column()
    for name, text in content.facts(result).items():
        table.add_row(Name(name), Text(text))
    return table


def trust_tables(result: Result, columns: Sequence[ColumnRecord], *, width: int) -> Iterator[RenderableType]:
    """The trust in each column's truth: in one table if that fits."""
    trusted = [column for column in columns if column.key in result.trust]
    for shown in side_by_side(trusted, [_TRUST_COLUMN] * len(trusted), width - _TRUST):
        yield _trust_table(result, shown)
        yield Text()


def _trust_table(result: Result, columns: Sequence[ColumnRecord]) -> Table:
    table = new_table()
    table.add_column("  Is the truth reliable?", no_wrap=True)
    for column in columns:
        table.add_column(_title(column), no_wrap=True)
    trusts = [result.trust[column.key] for column in columns]
    seeds = list(dict.fromkeys(trust.n_seeds for trust in trusts))
    rows: dict[str, Callable[[Trust], Text]] = {
        f"  {count(seeds[0], 'seed')}" if len(seeds) == 1 else "  all seeds": lambda trust: on_one_line(
            trust.reliability
        ),
        "  one seed alone": lambda trust: on_one_line(trust.single_seed_reliability),
        "  ceiling": lambda trust: on_one_line(trust.ceiling),
    }
    if any(trust.single_seed_reach.value is not None for trust in trusts):
        rows["  one seed can reach"] = lambda trust: on_one_line(trust.single_seed_reach)
    if any(trust.seeds_needed for trust in trusts):
        rows["  seeds for .5/.8/.9"] = _seeds_needed
    if len(seeds) > 1:
        rows["  seeds"] = lambda trust: Text(f" {trust.n_seeds}")
    for label, shown in rows.items():
        table.add_row(label, *map(shown, trusts))
    return table


def _seeds_needed(trust: Trust) -> Text:
    words = content.seeds_needed(trust)
    return Text(f"{words:>4}", style="dim") if words == DASH else Text(f" {words}")


def agreement_tables(result: Result, columns: Sequence[ColumnRecord], *, width: int) -> Iterator[RenderableType]:
    """The agreement of each estimator: in one table if that fits."""
    wide = _fits(result, columns, width=width)
    room = width - (_WIDE if wide else _NARROW)
    for shown in side_by_side(columns, _widths(result, columns, wide=wide), room):
        yield _agreement_table(result, shown, wide=wide)
        yield Text()


def _fits(result: Result, columns: Sequence[ColumnRecord], *, width: int) -> bool:
    """True if every row of agreements fits on one line."""
    return width >= _WIDE + sum(_widths(result, columns, wide=True))


def _widths(result: Result, columns: Sequence[ColumnRecord], *, wide: bool) -> list[int]:
    """Characters that each column of agreements takes: more than usual where a value has many letters."""
    widths = []
    for column in columns:
        texts = [_agreement(cell.columns.get(column.key), wide=wide).plain for cell in result.cells]
        texts += [_of_one_seed(one.columns.get(column.key), wide=wide).plain for one in result.one_seed]
        lines = "\n".join(texts).split("\n")
        widths.append(max(_WIDE_COLUMN if wide else _NARROW_COLUMN, _GAP + max(map(len, lines))))
    return widths


def _agreement_table(result: Result, columns: Sequence[ColumnRecord], *, wide: bool) -> Table:
    table = new_table()
    table.add_column("  Who predicts it?", min_width=16)
    for column in columns:
        table.add_column(_title(column), no_wrap=True)
    for name in ("trainings", "time") if wide else ("trainings\ntime",):
        table.add_column(name, justify="right", no_wrap=True)
    if wide:
        table.add_column("status", no_wrap=True)
    for one in result.one_seed:
        if not any(column.key in one.columns for column in columns):
            continue
        row = Name(content.one_seed_name(result, one))
        figures = [_of_one_seed(one.columns.get(column.key), wide=wide) for column in columns]
        table.add_row(row, *figures, *_cost(one, wide=wide), *([""] if wide else []))
    for cell in content.in_order(result):
        table.add_row(*_row(cell, columns, wide=wide))
    return table


def _title(column: ColumnRecord) -> str:
    """The column's title, marked where it rests on few points."""
    return column.title + (" !" if content.few(column) else "")


def _row(cell: Cell, columns: Sequence[ColumnRecord], *, wide: bool) -> list[RenderableType]:
    words = content.status(cell)
    status = Text(words, style=_STATUS_STYLE.get(words, "yellow"))
    name = Name(cell.name, below=None if words == "ok" or wide else status)
    agreements = [_agreement(cell.columns.get(column.key), wide=wide) for column in columns]
    return [name, *agreements, *_cost(cell, wide=wide), *([status] if wide else [])]


def _cost(of: Cell | OneSeed, *, wide: bool) -> list[Text]:
    cost = [Text(trainings(of.training_equivalents)), Text(seconds(of.seconds))]
    return cost if wide else [Text("\n").join(cost)]


def _of_one_seed(found: Statistic | None, *, wide: bool) -> Text:
    return _agreement(None if found is None else Agreement(value=found, n=None), wide=wide)


def _agreement(found: Agreement | None, *, wide: bool) -> Text:
    """ "  .55  64%  [.52, .57] a" on one line, or the interval below the rest."""
    if found is None or found.value.value is None:
        failed = found is not None and found.failure is not None
        return Text("failed", style="red") if failed else Text(f"{DASH:>4}", style="dim")
    text = Text(f"{decimal(found.value.value):>4}", style="bold")
    text.append(f"{share(found.of_ceiling):>7}", style="cyan not bold")
    marked = Text(f" {found.letters}", style="magenta not bold") if found.letters else Text()
    if wide:
        return text.append("  ").append(interval(found.value), style="dim not bold").append(marked)
    return text.append(marked).append("\n ").append(interval(found.value), style="dim not bold")
