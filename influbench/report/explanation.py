"""One point of a run in a terminal: who helps and hurts it, by the truth and by each estimator below it."""

from collections.abc import Iterator

from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from influbench.report.names import Name
from influbench.report.numbers import count, decimal, effect
from influbench.report.tables import new_table
from influbench.results import Effect, ExplanationRecord, Point, Strongest

_TITLES = {
    "test": ("Who helps it?", "Who hurts it?"),
    "train": ("Whom does it help?", "Whom does it hurt?"),
}
_NAME, _LONGEST_NAME = 20, 40  # characters of the column of names, with its margin
_LONGEST_LABEL = 16  # characters of the name of a class, which is in every entry of a table


def print_explanation(console: Console, explanation: ExplanationRecord) -> None:
    """Print who helps and hurts this point, as wide as the console."""
    for part in explanation_report(explanation, width=console.width):
        console.print(part)


def explanation_report(explanation: ExplanationRecord, *, width: int) -> Iterator[RenderableType]:
    """The parts of the report on one point, for this many columns of text."""
    yield Text()
    yield Padding(_header(explanation), (0, 2))
    yield Text()
    if explanation.memorization:
        yield _memorization(explanation)
        yield Text()
    helps, hurts = _TITLES[explanation.side]
    accounts = explanation.accounts
    for title, lists in (
        (helps, {account.name: account.helps for account in accounts}),
        (hurts, {account.name: account.hurts for account in accounts}),
    ):
        yield _table(title, lists, width=width)
        yield Text()
    yield Padding(Text("\n".join(_notes(explanation)), style="dim"), (0, 2))


def _header(explanation: ExplanationRecord) -> Text:
    point = explanation.point
    text = Text(f"{explanation.side} point {point.id}, label {label(point)}", style="bold")
    if point.wrong:
        text.append(" (drawn at random, and wrong)", style="red")
    known = explanation.reliability.value
    return text.append(
        f"\n{explanation.problem}: {count(explanation.n_train, 'train point')}, "
        f"{count(explanation.n_test, 'test point')}, truth from {count(explanation.n_seeds, 'seed')}"
        f"{'' if known is None else f' (reliability {decimal(known)})'}",
        style="not bold",
    )


def label(point: Point) -> str:
    """A class by its name, cut if it is long, or by its number; a value of regression to three digits."""
    if point.label_name is not None:
        name = point.label_name
        return name if len(name) <= _LONGEST_LABEL else f"{name[: _LONGEST_LABEL - 1]}…"
    return f"{point.label:.3g}" if isinstance(point.label, float) else str(point.label)


def _memorization(explanation: ExplanationRecord) -> Table:
    table = new_table()
    table.add_column("  How memorized is it?", min_width=_NAME)
    table.add_column("score", no_wrap=True, justify="right")
    table.add_column("rank", no_wrap=True, justify="right")
    for account in explanation.memorization:
        rank = f"{account.rank} of {explanation.n_train}"
        table.add_row(Name(account.name), Text(effect(account.value), style="bold"), rank)
    return table


def _table(title: str, lists: dict[str, Strongest], *, width: int) -> Table:
    """A row for each account, its points side by side; as many to a line as fit."""
    truth = lists["truth"]
    of_truth = {point.id for point in truth.points}
    entries = {
        name: [_entry(point, marked=name != "truth" and point.id in of_truth) for point in found.points]
        for name, found in lists.items()
    }
    founds = {name: _found(found, len(truth.points)) for name, found in lists.items()}
    widest = max(_width(entry) for of in entries.values() for entry in [*of, Text()])
    of_found = max(map(_width, [Text("found"), *founds.values()]))
    most, room = max(1, *map(len, entries.values())), width - _NAME - of_found - 1
    pitch = widest + (2 if most * (widest + 2) <= room else 1)
    per_line = min(most, max(1, room // pitch))
    table = new_table(narrow=True)
    table.add_column(f"  {title}", width=min(_NAME + room - per_line * pitch, _LONGEST_NAME))
    table.add_column("found", no_wrap=True, min_width=of_found)
    for _ in range(per_line):
        table.add_column("", no_wrap=True, min_width=pitch - 1)
    for name in lists:
        lines = [entries[name][start : start + per_line] for start in range(0, len(entries[name]), per_line)]
        for number, line in enumerate(lines or [[Text("none", style="dim")]]):
            first = (Name(name), founds[name]) if number == 0 else ("", "")
            table.add_row(*first, *line)
    return table


def _width(text: Text) -> int:
    return max(map(len, text.plain.split("\n")))


def _entry(point: Effect, *, marked: bool) -> Text:
    """ "812 (7)*" above its effect."""
    text = Text(str(point.id), style="bold" if marked else "")
    text.append(f" ({label(point)}").append("!" if point.wrong else "", style="red").append(")")
    return text.append("*" if marked else "").append(f"\n{effect(point.effect)}", style="dim not bold")


def _found(found: Strongest, n_truth: int) -> Text:
    """ "2 of 5", and how many tie for the last place."""
    if found.found is None:
        return Text()
    text = Text(f"{found.found:.1f}".removesuffix(".0") + f" of {n_truth}", style="cyan")
    return text.append(f"\n+{found.n_tied} tied", style="dim") if found.n_tied else text


def _notes(explanation: ExplanationRecord) -> Iterator[str]:
    of = "this point" if explanation.side == "test" else "the test point"
    yield (
        f"id (label), and below it the effect: {explanation.measure} of {of} with the train point minus that without, "
        "by the truth; estimators have units of their own."
    )
    yield f"found, *: how many of the truth's {explanation.k} strongest an estimator names, and which they are."
    every = [found for account in explanation.accounts for found in (account.helps, account.hurts)]
    if any(found.n_tied for found in every):
        yield "tied: points not shown that have the score of the last one; found is what to expect when lots are drawn."
    if any(point.wrong for found in every for point in found.points):
        yield "!: a train label that was drawn at random, and is wrong."
    if explanation.memorization:
        yield f"rank: 1 is the most memorized of {count(explanation.n_train, 'train point')}."
    for note in explanation.notes:
        yield f"{note}."
