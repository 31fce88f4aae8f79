"""The report in a terminal: how reliable the truth is, who predicted it how well, and at what cost."""

from collections.abc import Iterator, Sequence

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from influbench.api import Recipe
from influbench.report.chart import cost_charts
from influbench.report.names import Name
from influbench.report.numbers import UNKNOWN, count, decimal, interval, seconds, share, trainings
from influbench.report.tables import COLUMN_TITLES, new_table, on_one_line, side_by_side
from influbench.report.trace import trace_tables
from influbench.results import Cell, Result, Results, Statistic, Trust, Where

_WIDE, _WIDE_COLUMN = 54, 28  # characters that a row needs to fit on one line, besides its columns and for each
_NARROW, _NARROW_COLUMN = 26, 16  # and to fit on two
_TRUST, _TRUST_COLUMN = 21, 19
_FEW = 10  # points; with fewer, intervals are not to be relied on
_STATISTICS: dict[Where, tuple[str, str]] = {  # of a cell: the agreement, and its share of the ceiling
    "influence": ("spearman", "of_ceiling"),
    "within_class": ("within_class", "within_class_of_ceiling"),
    "memorization": ("spearman", "of_ceiling"),
    "lds": ("lds", "lds_of_ceiling"),
}
_LETTERS = {"spearman": "letters", "within_class": "within_class_letters", "lds": "lds_letters"}
_STATUS_STYLE = {"ok": "green", "unsupported": "yellow", "failed": "red"}


def print_report(console: Console, result: Result | Results) -> None:
    """Print the report of a run, as wide as the console."""
    for part in report(result, width=console.width):
        console.print(part)


def report(result: Result | Results, *, width: int) -> Iterator[RenderableType]:
    """The parts of the report of a run, for so many columns."""
    if isinstance(result, Result):
        yield _problem_report(result, width=width)
        return
    for one in result.results:
        yield Rule(one.problem.name, style="dim")
        yield _problem_report(one, width=width)
    for failure in result.failures:
        yield Rule(failure.problem, style="dim")
        yield Text(f"{failure.status}: {failure.reason}", style="red" if failure.status == "failed" else "yellow")


def _problem_report(result: Result, *, width: int) -> Group:
    columns = [where for where, trust in _trusts(result).items() if trust is not None]
    wide = width >= _WIDE + _WIDE_COLUMN * len(columns)
    return Group(
        Text(),
        _header(result),
        Text(),
        *_trust_tables(result, columns, width=width),
        *_agreement_tables(result, columns, width=width, wide=wide),
        *_wrong_labels(result),
        *trace_tables(result, width=width),
        *cost_charts(result, width=width, wide=wide),
        Padding(_notes(result), (0, 2)),
    )


def _header(result: Result) -> Table:
    problem, truth = result.problem, result.truth
    rows = {
        "problem": f"{problem.dataset}, {problem.model}",
        "training": _training(result),
        "truth": (
            f"{problem.measure} of {count(problem.n_test, 'test point')} with and without each of "
            f"{count(problem.n_train, 'train point')}, {count(truth.n_seeds, 'seed')}: "
            f"{count(truth.n_trainings, 'training')}, {seconds(truth.seconds)}{_reuse(result)}"
        ),
    }
    labels = problem.random_labels
    if labels.fraction:
        rows["labels"] = (
            f"{labels.n_drawn} of {problem.n_train} train labels drawn at random, {labels.n_wrong} of them wrong"
        )
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold", no_wrap=True)
    table.add_column()
    for name, text in rows.items():
        table.add_row(f"  {name}", Text(text))
    return table


def _training(result: Result) -> str:
    problem = result.problem
    recipe = problem.recipe
    momentum = f", momentum {recipe['momentum']:g}" if recipe.get("momentum") else ""
    decay = f", weight decay {recipe['weight_decay']:g}" if recipe["weight_decay"] else ""
    schedule = f", {recipe['schedule']} schedule" if recipe["schedule"] != Recipe.schedule else ""
    return (
        f"{count(problem.n_parameters, 'parameter')}, {recipe['optimizer']} at {recipe['learning_rate']:g}{momentum}"
        f"{decay}{schedule}, batches of {recipe['batch_size']}, {recipe['epochs']} epochs = {problem.n_steps:,} steps, "
        f"{problem.dtype} on {problem.device}"
    )


def _reuse(result: Result) -> str:
    truth = result.truth
    if not truth.n_shards_reused:
        return ""
    if truth.n_shards_reused == truth.n_shards:
        return " (stored before, reused)"
    return f" ({truth.n_shards_reused} of {truth.n_shards} shards stored before, reused)"


def _trust_tables(result: Result, columns: Sequence[Where], *, width: int) -> Iterator[RenderableType]:
    """How far each column's truth can be trusted: in one table if that fits."""
    for shown in side_by_side(columns, [_TRUST_COLUMN] * len(columns), width - _TRUST):
        yield _trust_table(result, shown)
        yield Text()


def _trust_table(result: Result, columns: Sequence[Where]) -> Table:
    truth = result.truth
    table = new_table()
    table.add_column("  Is the truth reliable?", no_wrap=True)
    known = {name: trust for name, trust in _trusts(result).items() if trust is not None and name in columns}
    for name in known:
        table.add_column(_title(name, result), no_wrap=True)
    of_all = count(truth.n_seeds, "seed")
    for label, statistic in (
        (f"  {of_all}", "reliability"),
        ("  one seed alone", "single_seed_reliability"),
        ("  ceiling", "ceiling"),
    ):
        table.add_row(label, *(on_one_line(getattr(trust, statistic)) for trust in known.values()))
    if any(trust.seeds_needed for trust in known.values()):
        table.add_row("  seeds for .5/.8/.9", *(_seeds_needed(trust, truth.n_seeds) for trust in known.values()))
    return table


def _seeds_needed(trust: Trust, n_seeds: int) -> Text:
    """ "2, 8, > 8": seeds for each reliability that is told of."""
    if trust.reliability.value is None:
        return Text(f"{UNKNOWN:>4}", style="dim")
    most = max([point.n_seeds for point in trust.curve], default=n_seeds)
    return Text(" " + ", ".join(f"> {most}" if n is None else str(n) for n in trust.seeds_needed.values()))


def _agreement_tables(result: Result, columns: Sequence[Where], *, width: int, wide: bool) -> Iterator[RenderableType]:
    """Who agrees how well: in one table if that fits."""
    widths = [_WIDE_COLUMN if wide else _NARROW_COLUMN] * len(columns)
    for shown in side_by_side(columns, widths, width - (_WIDE if wide else _NARROW)):
        yield _agreement_table(result, shown, wide=wide)
        yield Text()


def _agreement_table(result: Result, columns: Sequence[Where], *, wide: bool) -> Table:
    table = new_table()
    table.add_column("  Who predicts it?", min_width=16)
    for where in columns:
        table.add_column(_title(where, result), no_wrap=True)
    for name in ("trainings", "time") if wide else ("trainings\ntime",):
        table.add_column(name, justify="right", no_wrap=True)
    if wide:
        table.add_column("status", no_wrap=True)
    for influence, memorization in _rows(result):
        table.add_row(*_row(columns, influence, memorization, wide=wide))
    return table


def _wrong_labels(result: Result) -> Iterator[RenderableType]:
    """Who finds the wrong labels, where some are known to be wrong."""
    found = [cell for cell in result.cells if cell.wrong_labels_auroc.value is not None]
    if not found:
        return
    table = new_table()
    table.add_column("  Who finds the wrong labels?", min_width=16)
    table.add_column("area under the ROC curve", no_wrap=True)
    table.add_column("trainings", justify="right", no_wrap=True)
    for cell in sorted(found, key=lambda cell: -(cell.wrong_labels_auroc.value or 0.0)):
        table.add_row(Name(cell.name), on_one_line(cell.wrong_labels_auroc), trainings(cell.training_equivalents))
    yield table
    yield Text()


def _trusts(result: Result) -> dict[Where, Trust | None]:
    """How far the truth of each column can be trusted; None where the problem does not have it."""
    truth = result.truth
    return {
        "influence": truth.influence,
        "within_class": truth.influence.within_class,
        "memorization": truth.memorization,
        "lds": truth.subsets.trust if truth.subsets else None,
    }


def _title(where: Where, result: Result) -> str:
    """The column's title, marked where it rests on few points."""
    return COLUMN_TITLES[where] + (" !" if where in _few(result) else "")


def _few(result: Result) -> dict[Where, str]:
    """Columns that rest on fewer than ten points, and which points these are."""
    problem = result.problem
    sizes: dict[Where, list[tuple[int | None, str]]] = {
        "influence": [(problem.n_train, "train points"), (problem.n_test, "test points")],
        "within_class": [(problem.fewest_in_class, "train points in a class"), (problem.n_test, "test points")],
        "memorization": [(problem.n_train, "train points")],
        "lds": [(result.truth.subsets.n_subsets if result.truth.subsets else None, "subsets")],
    }
    few = {where: [f"{n} {noun}" for n, noun in of if n is not None and n < _FEW] for where, of in sizes.items()}
    return {where: " and ".join(words) for where, words in few.items() if words}


def _rows(result: Result) -> list[tuple[Cell | None, Cell | None]]:
    """Cells of each estimator, (influence, memorization), best agreement first; what has none comes last."""
    by_name: dict[str, dict[str, Cell]] = {}
    for cell in result.cells:
        by_name.setdefault(cell.name, {})[cell.quantity] = cell

    def order(row: tuple[Cell | None, Cell | None]) -> tuple[float, ...]:
        return tuple(-2.0 if c is None or c.spearman.value is None else c.spearman.value for c in row)

    rows = [(cells.get("influence"), cells.get("memorization")) for cells in by_name.values()]
    return sorted(rows, key=order, reverse=True)


def _row(
    columns: Sequence[Where], influence: Cell | None, memorization: Cell | None, *, wide: bool
) -> list[RenderableType]:
    cell = influence or memorization
    assert cell is not None
    status = Text(cell.status, style=_STATUS_STYLE[cell.status])
    name = Name(cell.name, below=None if cell.status == "ok" or wide else status)
    agreements = [
        _agreement(memorization if where == "memorization" else influence, *_STATISTICS[where], wide=wide)
        for where in columns
    ]
    cost = [Text(trainings(cell.training_equivalents)), Text(seconds(cell.seconds))]
    return [name, *agreements, *([*cost, status] if wide else [Text("\n").join(cost)])]


def _agreement(cell: Cell | None, statistic: str, of_ceiling: str, *, wide: bool) -> Text:
    """ "  .55  64 %  [.52, .57] a" on one line, or the interval below the rest."""
    found: Statistic | None = getattr(cell, statistic) if cell else None
    if cell is None or found is None or found.value is None:
        return Text(f"{UNKNOWN:>4}", style="dim")
    text = Text(f"{decimal(found.value):>4}", style="bold")
    text.append(f"{share(getattr(cell, of_ceiling)):>7}", style="cyan not bold")
    letters = getattr(cell, _LETTERS[statistic])
    marked = Text(f" {letters}", style="magenta not bold") if letters else Text()
    if wide:
        return text.append("  ").append(interval(found), style="dim not bold").append(marked)
    return text.append(marked).append("\n ").append(interval(found), style="dim not bold")


def _notes(result: Result) -> Group:
    notes = [*_reasons(result), *_undefined(result), *_of_estimators(result), *_limits(result)]
    return Group(*(Text(note, style=style) for note, style in notes))


def _reasons(result: Result) -> Iterator[tuple[str, str]]:
    for name, cell in {cell.name: cell for cell in result.cells if cell.status != "ok"}.items():
        reason = cell.reason if cell.status == "failed" else f"{name}: {cell.reason}"
        yield f"{cell.status}: {reason}", _STATUS_STYLE[cell.status]


def _undefined(result: Result) -> Iterator[tuple[str, str]]:
    """Correlations that are not defined are counted aloud."""
    n_test = result.problem.n_test
    for cell in result.cells:
        if cell.quantity == "memorization":
            if cell.n_undefined:
                yield f"{cell.name}: no correlation in memorization, because scores or truth are constant.", "dim"
            continue
        for where, n in (("", cell.n_undefined), (" within class", cell.within_class_n_undefined)):
            if n:
                yield (
                    f"{cell.name}: no correlation{where} on {n} of {count(n_test, 'test point')}: "
                    "constant scores or too few points",
                    "dim",
                )


def _of_estimators(result: Result) -> Iterator[tuple[str, str]]:
    """What estimators say themselves; variants of one estimator that say the same, together."""
    names: dict[tuple[str, str], set[str]] = {}
    for cell in result.cells:
        for note in cell.notes:
            names.setdefault((cell.estimator, note), set()).add(cell.name)
    for (estimator, note), variants in names.items():
        who = min(variants) if len(variants) == 1 else f"{estimator} ({len(variants)} variants)"
        yield f"{who}: {note}.", "dim"


def _limits(result: Result) -> Iterator[tuple[str, str]]:
    truth = result.truth
    if truth.n_seeds == 1:
        yield "One seed says nothing of its own noise: no reliability, no ceiling. Two seeds are the least.", "yellow"
    elif truth.influence.ceiling.low is None or truth.influence.ceiling.low <= 0:
        yield "The truth may be noise alone: its ceiling for influence is not clearly above 0. Add seeds.", "yellow"
    for where, points in _few(result).items():
        title = " ".join(COLUMN_TITLES[where].split())
        yield f"! {title}: only {points}; intervals from fewer than ten are not to be relied on.", "yellow"
    if truth.memorization is None:
        yield "Regression: there are no classes to look within, and no memorization score.", "dim"
    yield (
        (
            "All figures are Spearman's rank correlations, for influence the mean over test points; in brackets the "
            "95 % interval over train and test points; % of the ceiling, the best that the truth's noise allows."
        ),
        "dim",
    )
    if result.comparisons:
        yield (
            (
                "Letters: estimators that share one in a column cannot be told apart there; those that share none can "
                "(all differences at once, with 95 %, on the same points)."
            ),
            "dim",
        )
    yield (
        (
            "trainings: what the estimator spent in training, in units of one ordinary training, stored or not. What "
            "it computes besides shows in seconds only."
        ),
        "dim",
    )
    if any(cell.status == "ok" and cell.training_equivalents is None for cell in result.cells):
        yield "- in trainings and time: scores from elsewhere, at a cost that is not known.", "dim"
