"""The informativeness of groups of train points, in a terminal."""

from collections.abc import Callable, Iterator, Sequence

from rich.console import RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from influbench.report.claims import claims_table, in_summary, value_of
from influbench.report.fit import fit_lines
from influbench.report.numbers import count, decimal, share
from influbench.report.tables import new_table, on_one_line, on_two_lines
from influbench.results import Claim, Statistic
from influbench.studies.informativeness.curves import drawn
from influbench.studies.informativeness.record import (
    AGREEMENT,
    ByDifficulty,
    GroupEffect,
    InformativenessRecord,
    ProblemInformativeness,
)

_WIDE = 120
_PER = 1000  # removed examples to which drops are scaled
_LETTERS = {"hard": "h", "easy": "e", "wrong": "w", "random": "r"}
_NOTE = (
    "drop: the decrease of the measure on the test points when a group is removed and the network is retrained, per "
    "1,000 removed examples; positive: the group helps. minus random: this drop minus the drop of random groups. "
    "predicted: the drop that an estimator of influence predicts. alone: networks trained on the group only. hard, "
    "easy: correct points only, by the named difficulty; random: also correct points; wrong: the hardest points with "
    "a wrong label. All trainings of a seed share initial parameters and batches. In brackets: the 95% interval over "
    "seeds, test points and, for drops, the points that a group happens to contain; the intervals of networks trained "
    "alone are for these groups."
)


def report(record: InformativenessRecord, *, width: int) -> Iterator[RenderableType]:
    """A table, curves and the claims of each problem."""
    wide, decided_at = width >= _WIDE, record.settings["decided_at"]
    for problem in record.problems:
        yield Text()
        yield Padding(Text(problem.problem, style="bold"), (0, 2))
        yield Padding(_summary(problem, record.n_seeds), (0, 2))
        yield from fit_lines(problem.fit)
        yield Text()
        yield _groups(problem, decided_at, wide=wide)
        yield Text()
        yield Padding(_charts(problem, wide=wide), (0, 2))
        yield Padding(Text(_legend(problem)), (0, 2))
        yield Text()
        yield _claims([claim for claim in record.claims if claim.problem == problem.problem])
    yield Text()
    if record.claims:
        yield Padding(Text(in_summary(record.claims, record.false_discovery_rate)), (0, 2))
        yield Text()
    yield Padding(Text(_NOTE, style="dim"), (0, 2))


def _summary(problem: ProblemInformativeness, n_seeds: int) -> Text:
    wrong = f", {problem.n_wrong} of them with a wrong label" if problem.n_wrong else ""
    text = Text(f"{problem.n_train} train points{wrong}; {count(n_seeds, 'seed')}, ")
    text.append(f"{count(problem.n_trainings, 'training')}\nOn all: {problem.measure} ")
    text.append(on_one_line(problem.whole)).append(", accuracy ").append(on_one_line(problem.accuracy))
    for pair in problem.agreement:
        one, other = pair.difficulties
        text.append(f"\n{one} and {other} correlate by ").append(on_one_line(pair.spearman))
    return text


def _groups(problem: ProblemInformativeness, fraction: float, *, wide: bool) -> Table:
    """The groups of the size that decides the claims."""
    shown, table = on_one_line if wide else on_two_lines, new_table(narrow=not wide)
    (of_random,) = (group for group in problem.random if group.fraction == fraction)
    points = count(of_random.n_points, "point")
    table.add_column(f"  Groups of {100 * fraction:g}%\n  ({points})", no_wrap=True)
    columns = list(_columns(problem.measure, wide=wide))
    for title in (*(title for title, _ in columns), "alone:\naccuracy"):
        table.add_column(title, no_wrap=True)

    def add(name: str, group: GroupEffect) -> None:
        alone = on_one_line(group.accuracy_alone) if wide else Text(f"{decimal(group.accuracy_alone.value):>5}")
        table.add_row(f"  {name}", *(shown(of(group)) for _, of in columns), alone)

    add(f"random ({of_random.n_groups})", of_random)
    for one in problem.by_difficulty:
        table.add_row()
        table.add_row(Text(f"  {one.difficulty.partition('[')[0]}", style="italic"))
        for group in one.groups:
            if group.fraction == fraction:
                add(group.kind, group)
    return table


def _columns(measure: str, *, wide: bool) -> Iterator[tuple[str, Callable[[GroupEffect], Statistic]]]:
    yield f"drop of\n{measure}", lambda group: _scaled(group.drop)
    yield "\nminus random", lambda group: _scaled(group.drop_minus_random)
    yield "\npredicted", lambda group: _scaled(group.influence)
    if wide:
        yield "drop of\naccuracy", lambda group: _scaled(group.accuracy_drop)
        yield f"alone:\n{measure}", lambda group: group.alone


def _charts(problem: ProblemInformativeness, *, wide: bool) -> Table:
    """A chart of drops and one of accuracies for each difficulty; two difficulties share a row if there is room."""
    charts = [chart for one in problem.by_difficulty for chart in _two_charts(problem, one)]
    table, in_a_row = Table.grid(padding=(0, 3)), 4 if wide else 2
    for start in range(0, len(charts), in_a_row):
        table.add_row(*charts[start : start + in_a_row])
        table.add_row()
    return table


def _two_charts(problem: ProblemInformativeness, one: ByDifficulty) -> Iterator[RenderableType]:
    name = one.difficulty.partition("[")[0]
    yield _chart(f"{name}:\ndrop of {problem.measure}", problem, one, lambda group: _scaled(group.drop))
    yield _chart(f"{name}:\naccuracy, trained on it alone", problem, one, lambda group: group.accuracy_alone)


def _chart(
    title: str, problem: ProblemInformativeness, one: ByDifficulty, of: Callable[[GroupEffect], Statistic]
) -> Text:
    fractions = [group.fraction for group in problem.random]
    by_kind = {letter: dict[float, float | None]() for letter in _LETTERS.values()}
    for group in (*one.groups, *problem.random):
        by_kind[_LETTERS[group.kind]][group.fraction] = of(group).value
    curves = {letter: [found.get(at) for at in fractions] for letter, found in by_kind.items() if found}
    text = Text(f"{title}\n", style="bold")
    return text.append(Text(drawn(curves, [f"{100 * at:g}%" for at in fractions]), style="not bold"))


def _legend(problem: ProblemInformativeness) -> str:
    kinds = dict.fromkeys(group.kind for one in problem.by_difficulty for group in one.groups)
    letters = [f"{_LETTERS[kind]} {kind}" for kind in (*kinds, "random")]
    return f"{'  '.join(letters)}  * several; against the share of the train points"


def _claims(claims: Sequence[Claim]) -> Table:
    return claims_table([(claim.statement, _value(claim), claim.verdict) for claim in claims])


def _value(claim: Claim) -> Text:
    found = value_of(claim)
    return Text(f"{share(found):>5}", style="bold") if claim.id == AGREEMENT else on_one_line(_scaled(found))


def _scaled(found: Statistic) -> Statistic:
    """The effect per 1,000 removed examples."""
    value, low, high = (None if at is None else _PER * at for at in (found.value, found.low, found.high))
    return Statistic(value=value, low=low, high=high)
