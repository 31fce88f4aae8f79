"""Several runs side by side in a terminal: who agrees better on these problems, on other data sets, on each problem.

Rows are in the order of the mean agreement in the first column. Shares of the ceiling and ranks are beside it, because
a mean agreement also depends on how noisy the truths are.
"""

from collections.abc import Iterator, Sequence

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from influbench.report.content import few_draws
from influbench.report.names import Name
from influbench.report.numbers import DASH, count, decimal, interval, share
from influbench.report.tables import new_table, side_by_side
from influbench.results import ComparedColumn, ComparedRuns, OverProblems, Statistic
from influbench.statistics.over_problems import FEWEST_DATASETS

_WIDTH_BESIDE, _WIDTH_OF_COLUMN = 20, 20  # characters beside the columns of means, and of each
_WIDTH_OF_NAMES, _WIDTH_OF_VALUES = 32, 6  # columns of text for a problem's name, and for each estimator beside it

_USUAL_UNIT = "Spearman's rank correlation"


def print_comparison(console: Console, compared: ComparedRuns) -> None:
    """Print who agrees better: means first, then every problem, as wide as the console."""
    numbers = _numbers(compared)
    several = len(compared.problems) > 1
    console.print()
    console.print(Padding(Text(_what(compared)), (0, 2)))
    console.print()
    for table in _overviews(compared, numbers, several=several, width=console.width):
        console.print(table)
        console.print()
    if several:
        for line in _findings(compared):
            console.print(Padding(Text(line), (0, 2)))
        console.print()
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


def _overviews(compared: ComparedRuns, numbers: dict[str, int], *, several: bool, width: int) -> Iterator[Table]:
    """These problems, then other data sets where there is something to say; columns in one table if they fit."""
    columns, room = compared.columns, width - _WIDTH_BESIDE
    for some in side_by_side(columns, [_WIDTH_OF_COLUMN] * len(columns), room):
        yield _on_these(some, numbers, len(compared.problems)) if several else _on_one(some, numbers)
    sampled = [column for column in columns if _has_elsewhere(column)]
    for some in side_by_side(sampled, [_WIDTH_OF_COLUMN] * len(sampled), room):
        yield _elsewhere(some, numbers)


def _has_elsewhere(column: ComparedColumn) -> bool:
    return any(one.letters_elsewhere is not None for one in column.estimators)


def _on_one(columns: Sequence[ComparedColumn], numbers: dict[str, int]) -> Table:
    """A row for each estimator on one problem: agreement, share of the ceiling, and letters."""
    table = new_table(narrow=True)
    table.add_column("  Who agrees better?", min_width=14)
    for column in columns:
        table.add_column(f"{column.title}\n        share", no_wrap=True)
    for name in numbers:
        table.add_row(Name(name), *(_mean(_find(column, name), with_rank=False) for column in columns))
    return table


def _on_these(columns: Sequence[ComparedColumn], numbers: dict[str, int], n_problems: int) -> Table:
    """A row for each estimator: mean agreement with letters, mean share of the ceiling, and mean rank."""
    table = _numbered_table("Who agrees better on these problems?")
    for column in columns:
        table.add_column(f"{column.title}\n{_over(column, n_problems)}\nmean   share  rank", no_wrap=True)
    for name, number in numbers.items():
        cells = (_mean(_find(column, name), with_rank=True) for column in columns)
        table.add_row(Text(str(number)), Name(name, indent=0), *cells)
    if any(column.mean_ceiling is not None for column in columns):
        ceilings = (Text(f"{decimal(column.mean_ceiling):>4}", style="dim") for column in columns)
        table.add_row("", Text("mean ceiling", style="dim"), *ceilings)
    return table


def _over(column: ComparedColumn, n_problems: int) -> str:
    """The number of problems that the means of a column are over."""
    n = len(column.in_common)
    return count(n_problems, "problem") if n == n_problems else f"{n} of {count(n_problems, 'problem')}"


def _elsewhere(columns: Sequence[ComparedColumn], numbers: dict[str, int]) -> Table:
    """A row for each estimator: the intervals of its means for problems on other data sets, with letters."""
    table = _numbered_table("And on other data sets?")
    for column in columns:
        table.add_column(f"{column.title}\n{count(column.n_datasets, 'data set')}\nmean\nshare", no_wrap=True)
    for name, number in numbers.items():
        found = (_find(column, name) for column in columns)
        table.add_row(Text(str(number)), Name(name, indent=0), *map(_mean_elsewhere, found))
    return table


def _numbered_table(question: str) -> Table:
    """A table with a column for the numbers of estimators and one for their names."""
    table = new_table(narrow=True)
    table.add_column("", justify="right", no_wrap=True, min_width=4)
    table.add_column(question, min_width=14)
    return table


def _find(column: ComparedColumn, name: str) -> OverProblems | None:
    return next((one for one in column.estimators if one.name == name), None)


def _mean(one: OverProblems | None, *, with_rank: bool) -> Text:
    """ " .55     67%   1.2" above "[.52, .57] a"."""
    if one is None or one.mean.value is None:
        return Text(f"{DASH:>4}", style="dim")
    text = Text(f"{decimal(one.mean.value):>4}", style="bold")
    text.append(f"{share(one.of_ceiling):>8}", style="not bold")
    if with_rank:
        text.append(f"{one.rank.value:>6.1f}", style="cyan not bold")
    text.append(f"\n{interval(one.mean)}", style="dim not bold")
    return text.append(f" {one.letters or ''}", style="magenta not bold")


def _mean_elsewhere(one: OverProblems | None) -> Text:
    """ "[.25, .77] a" above "32%-92%"."""
    if one is None or one.mean_elsewhere.value is None:
        return Text(DASH, style="dim")
    text = Text(interval(one.mean_elsewhere), style="dim")
    text.append(f" {one.letters_elsewhere or ''}", style="magenta not dim")
    return text.append(f"\n{_percentages(one.of_ceiling)}", style="dim")


def _percentages(statistic: Statistic) -> str:
    if statistic.low is None or statistic.high is None:
        return ""
    return f"{round(100 * statistic.low)}%-{round(100 * statistic.high)}%"


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


def _findings(compared: ComparedRuns) -> Iterator[str]:
    """The limits of the means, in words; columns of which the same holds share a sentence."""
    for about in (_order, _too_few, _left_out, _noisy):
        columns: dict[str, list[str]] = {}
        for column in compared.columns:
            for sentence in about(compared, column):
                columns.setdefault(sentence, []).append(column.name)
        for sentence, names in columns.items():
            yield f"{', '.join(names)}: {sentence}"


def _order(compared: ComparedRuns, column: ComparedColumn) -> Iterator[str]:
    """The part of the order that does not depend on any single problem, and what changes the rest."""
    if len(column.in_common) < 2:
        return
    names = [one.name for one in column.estimators]
    turned = [pair for pair in column.comparisons if pair.reversed_without]
    if not turned:
        yield "the order does not change if any one problem is left out."
        return
    pair = min(turned, key=lambda one: (names.index(one.first), names.index(one.second)))
    n, problem = len(pair.reversed_without), compared.problems[pair.reversed_without[0]].name
    without = f"without {problem}" if n == 1 else f"without any one of {n} problems, such as {problem}"
    change = f"{without}, {pair.second} is ahead of {pair.first}."
    n_stable = names.index(pair.first)
    if n_stable:
        first = f"order of the first {n_stable}" if n_stable > 1 else "first"
        change = f"the {first} does not change if any one problem is left out; {change}"
    yield change


def _too_few(_: ComparedRuns, column: ComparedColumn) -> Iterator[str]:
    if column.n_datasets and not _has_elsewhere(column):
        yield (
            "too few problems to say anything about other problems: they are on "
            f"{count(column.n_datasets, 'data set')}, and it takes {FEWEST_DATASETS}."
        )


def _left_out(compared: ComparedRuns, column: ComparedColumn) -> Iterator[str]:
    """The problems that are not part of the means, and the estimators that do not have a value there."""
    problems: dict[tuple[str, ...], list[str]] = {}
    for one in column.left_out:
        problems.setdefault(one.without_value, []).append(compared.problems[one.problem].name)
    for without, names in problems.items():
        of_all = len(without) == len(column.estimators)
        reason = "any estimator" if of_all else _listed(without)
        yield f"not part of the means (no value of {reason}): {_listed(names)}."


def _noisy(compared: ComparedRuns, column: ComparedColumn) -> Iterator[str]:
    """The problems in common on which shares of the ceiling are not defined, if they are on others."""
    noisy = [compared.problems[place].name for place in column.in_common if place not in column.above_noise]
    if noisy and column.above_noise:
        yield f"not part of the shares, as the truth is not clearly above noise: {_listed(noisy)}."


def _listed(words: Sequence[str]) -> str:
    return "; ".join(words) if any("," in word for word in words) else ", ".join(words)


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
    fixed = [column.name for column in compared.columns if column.fixed_seeds]
    if fixed:
        yield (
            f"{', '.join(fixed)}: runs store the mean over the truth's seeds, so intervals and letters here take these "
            "seeds as given; in a run's own report, they include the chance of the seeds."
        )
    shared = "Letters: estimators that share one in a column cannot be distinguished there; those that share none can."
    if not several:
        yield f"Agreement with the truth, with its 95% interval over train and test points. {shared}"
        yield "share: of the ceiling, the best that the truth's noise allows. All of this is about this problem only."
        return
    yield (
        "mean: of agreements over the problems on which all estimators of the column have a value, with the 95% "
        "interval over the train and test points of these problems. Rows are in the order of the first mean."
    )
    yield (
        "share: mean of agreement / ceiling; like the mean ceiling, over the problems whose truth is clearly above "
        "noise. A mean agreement also reflects how noisy truths are; a share does not. rank: mean rank, 1 is the best."
    )
    yield shared
    if any(map(_has_elsewhere, compared.columns)):
        yield (
            "Other data sets: 95% intervals of the same means and shares, and letters, if data sets are a random "
            "sample. All problems on one data set count as one observation; models and settings are as in these runs."
        )
    yield "ceil.: the best that the truth's noise allows. +: no other is clearly better on this problem."
    if any(len(column.in_common) < len(compared.problems) for column in compared.columns):
        yield "*: not part of the means; name the estimators to compare with -e."
