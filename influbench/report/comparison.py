"""Several runs side by side in a terminal: who agrees better over all problems, and on each of them."""

from collections.abc import Iterator, Sequence

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from influbench.report.content import few_draws
from influbench.report.names import Name
from influbench.report.numbers import DASH, count, decimal, interval
from influbench.report.tables import new_table, side_by_side
from influbench.results import ComparedColumn, ComparedRuns, OverProblems, Statistic

_WIDTHS, _WIDTHS_WITH_RANKS = (18, 14), (20, 20)  # characters beside the columns of means, and of each
_WIDTH_OF_NAMES, _WIDTH_OF_VALUES = 32, 6  # columns of text for a problem's name, and for each estimator beside it

_USUAL_UNIT = "Spearman's rank correlation"


def print_comparison(console: Console, compared: ComparedRuns) -> None:
    """Print who agrees better: means and ranks first, then every problem, as wide as the console."""
    numbers = _numbers(compared)
    several = len(compared.problems) > 1
    console.print()
    console.print(Padding(Text(_what(compared)), (0, 2)))
    console.print()
    for table in _overviews(compared, numbers, with_ranks=several, width=console.width):
        console.print(table)
        console.print()
    if several:
        at_a_time = max(1, (console.width - _WIDTH_OF_NAMES - _WIDTH_OF_VALUES) // _WIDTH_OF_VALUES)
        for column in compared.columns:
            in_order = sorted(column.estimators, key=lambda one: numbers[one.name])
            for start in range(0, len(in_order), at_a_time):
                console.print(_by_problem(compared, column, in_order[start : start + at_a_time], numbers))
                console.print()
    for line in _versions(compared):
        console.print(Padding(Text(line), (0, 2)))
    for note in _notes(compared, several=several):
        console.print(Padding(Text(note, style="dim"), (0, 2)))


def _numbers(compared: ComparedRuns) -> dict[str, int]:
    """A number for each estimator, in the order of the first column; what has no value there comes last."""
    names = [one.name for column in compared.columns for one in column.estimators]
    return {name: number for number, name in enumerate(dict.fromkeys(names), start=1)}


def _what(compared: ComparedRuns) -> str:
    problems = compared.problems
    of = problems[0].name if len(problems) == 1 else count(len(problems), "problem")
    return f"{of}, from {count(len(compared.runs), 'run')}: {', '.join(compared.runs)}"


def _overviews(compared: ComparedRuns, numbers: dict[str, int], *, with_ranks: bool, width: int) -> Iterator[Table]:
    """Means and ranks of every column, in one table if that fits."""
    name, value = _WIDTHS_WITH_RANKS if with_ranks else _WIDTHS
    for columns in side_by_side(compared.columns, [value] * len(compared.columns), width - name):
        yield _overview(columns, numbers, with_ranks=with_ranks)


def _overview(columns: Sequence[ComparedColumn], numbers: dict[str, int], *, with_ranks: bool) -> Table:
    """A row for each estimator: mean agreement with letters, and mean rank."""
    table = new_table(narrow=True)
    if with_ranks:
        table.add_column("", justify="right", no_wrap=True, min_width=4)
    table.add_column("Who agrees better?" if with_ranks else "  Who agrees better?", min_width=14)
    for column in columns:
        title = column.title
        table.add_column(f"{title}\nmean       rank" if with_ranks else title, no_wrap=True)
    for name, number in numbers.items():
        table.add_row(
            *([Text(str(number)), Name(name, indent=0)] if with_ranks else [Name(name)]),
            *(_mean_and_rank(_find(column, name), with_rank=with_ranks) for column in columns),
        )
    return table


def _find(column: ComparedColumn, name: str) -> OverProblems | None:
    return next((one for one in column.estimators if one.name == name), None)


def _mean_and_rank(one: OverProblems | None, *, with_rank: bool) -> Text:
    """ " .55 a    1.2" above "[.52, .57] 1.0-1.6"."""
    if one is None or one.mean.value is None:
        return Text(f"{DASH:>4}", style="dim")
    text = Text(f"{decimal(one.mean.value):>4}", style="bold").append(
        f" {one.letters or '':<5}", style="magenta not bold"
    )
    if with_rank:
        text.append(f" {one.rank.value:.1f}", style="cyan not bold")
    text.append(f"\n{interval(one.mean):<10}", style="dim not bold")
    return text.append(f" {_between(one.rank)}", style="dim not bold") if with_rank else text


def _between(rank: Statistic) -> str:
    return "" if rank.low is None else f"{rank.low:.1f}-{rank.high:.1f}"


def _by_problem(
    compared: ComparedRuns, column: ComparedColumn, shown: Sequence[OverProblems], numbers: dict[str, int]
) -> Table:
    """A row for each problem: the truth's ceiling, then estimators by number, those in bold not clearly behind."""
    table = new_table(narrow=True)
    table.add_column(f"  {column.name}", min_width=16)
    table.add_column("ceil.", justify="right", no_wrap=True)
    for one in shown:
        table.add_column(str(numbers[one.name]), justify="right", no_wrap=True, min_width=4)
    for place, problem in enumerate(compared.problems):
        ceiling = problem.ceilings.get(column.key)
        if ceiling is None:
            continue
        values = [_value(one, place) for one in shown]
        mark = "" if place in column.in_common else " *"
        table.add_row(Name(f"{problem.name}{mark}"), Text(decimal(ceiling.value), style="dim"), *values)
    return table


def _value(one: OverProblems, place: int) -> Text:
    found = one.by_problem[place]
    if found is None:
        return Text(DASH, style="dim")
    best = one.not_clearly_behind[place]
    return Text(f"{decimal(found.value)}{'+' if best else ' '}", style="bold" if best else "")


def _versions(compared: ComparedRuns) -> Iterator[str]:
    """The differences between versions of one estimator, in words."""
    for versions in compared.versions:
        for column in compared.columns:
            for one in column.comparisons:
                if one.first in versions and one.second in versions:
                    difference = one.difference
                    verdict = "clearly apart" if one.is_clear else "not clearly apart"
                    yield (
                        f"{column.name}: {one.first} minus {one.second} = "
                        f"{decimal(difference.value)} {interval(difference)}, {verdict}."
                    )


def _notes(compared: ComparedRuns, *, several: bool) -> Iterator[str]:
    others = ", ".join(f"{one.name}: {one.unit}" for one in compared.columns if one.unit != _USUAL_UNIT)
    yield f"All agreements are {_USUAL_UNIT}s{f' ({others})' if others else ''}."
    few = dict.fromkeys(one.name for column in compared.columns for one in column.estimators if one.few_draws)
    if few:
        yield few_draws(list(few))
    shared = "Letters: estimators that share one in a column cannot be distinguished there; those that share none can."
    if not several:
        yield f"Agreement with the truth, with its 95% interval over train and test points. {shared}"
        return
    yield (
        "mean: of agreements over the problems on which all estimators of the column have a value, with the 95% "
        f"interval over their train and test points; the interval does not cover the choice of problems. {shared}"
    )
    yield (
        "rank: 1 is the best; mean over the same problems, within bounds from who is clearly better and worse. "
        "ceil.: the best that the truth's noise allows. +: no other is clearly better on this problem."
    )
    if any(len(column.in_common) < len(compared.problems) for column in compared.columns):
        yield "*: not part of mean and rank, as some estimator has no value there; choose estimators with -e."
