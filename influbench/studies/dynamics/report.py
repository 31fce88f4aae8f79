"""When train points are learned and memorized, in a terminal."""

from collections.abc import Iterator, Sequence
from string import ascii_lowercase

from rich.console import RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from influbench.report.claims import claims_table, in_summary, value_of
from influbench.report.curves import SEVERAL, Chart, drawn
from influbench.report.fit import fit_lines
from influbench.report.numbers import DASH, count, decimal
from influbench.report.tables import new_table, on_one_line, on_two_lines
from influbench.results import Claim, Statistic, Verdict
from influbench.studies.dynamics.record import DynamicsRecord, GroupCurves, MemorizationAt, ProblemDynamics

_WIDE = 140  # characters from which on charts are side by side
_SHOWN_STEPS = 6
_DRAWN_QUANTILES = 4
_NOTE = (
    "seen: p_correct under a point's own mask, which trains on it; unseen: under the flipped mask, which does not; "
    "memorized: seen minus unseen. left out: memorization by leaving each point out of ordinary trainings. difficulty: "
    "{difficulty} in other trainings. onset: the step at which a group has {tail:g}% of its final memorization; half: "
    "the step at which it has made half of its gain. Agreement: Spearman's correlation of memorization by masks with "
    "memorization by leaving out. {several}: several curves in one place. Claims, at once: the share of the gain of "
    "wrong labels (of hard points) that is made while true labels (easy points) go from {tail:g}% to {rest:g}% of "
    "their own; it is {equal:g}% where the curves are the same; supported above {together:g}%, not supported below "
    "{apart:g}%. half learned sooner: the step at half seen of wrong "
    "labels divided by the step of true labels. faster at first: the slope of the seen curve of wrong labels divided "
    "by the slope of true labels, over the first {epochs}. In brackets: 95% intervals over examples and seeds; for the "
    "agreement, over examples."
)
_DIFFICULTIES = {"learning_time": "the epoch in which a point is learned", "subset": "memorization by random subsets"}


def report(record: DynamicsRecord, *, width: int) -> Iterator[RenderableType]:
    """Charts and tables for each problem, then a line for each claim."""
    for problem in record.problems:
        yield Text()
        yield Padding(Text(problem.problem, style="bold"), (0, 2))
        yield Padding(Text(_size(problem, record.n_seeds)), (0, 2))
        yield from fit_lines(problem.fit)
        for part in _parts(problem, wide=width >= _WIDE):
            yield Text()
            yield part
        if problem.notes:
            yield Text()
            yield Padding(Text("\n".join(problem.notes)), (0, 2))
    yield Text()
    for problem in record.problems:
        if claims := [claim for claim in record.claims if claim.problem == problem.problem]:
            yield Padding(Text(problem.problem, style="bold"), (0, 2))
            yield _claims(problem, claims)
            yield Text()
    if record.claims:
        yield Padding(Text(in_summary(record.claims, record.false_discovery_rate)), (0, 2))
        yield Text()
    yield Padding(Text(_in_words(record), style="dim"), (0, 2))


def _size(problem: ProblemDynamics, n_seeds_left_out: int) -> str:
    words = [f"{count(problem.n_networks, 'masked network')} of {count(problem.n_seeds, 'seed')}"]
    if problem.agreement:
        words.append(f"leave-one-out of {count(n_seeds_left_out, 'seed')}")
    return ", ".join([*words, f"{count(problem.steps_per_epoch, 'step')} per epoch"])


def _in_words(record: DynamicsRecord) -> str:
    tail, n_epochs = float(record.settings["tail"]), float(record.settings["initial_epochs"])
    return _NOTE.format(
        tail=100 * tail,
        rest=100 - 100 * tail,
        equal=100 - 200 * tail,
        together=100 * float(record.settings["together_above"]),
        apart=100 * float(record.settings["apart_below"]),
        epochs="epoch" if n_epochs == 1 else f"{n_epochs:g} epochs",
        difficulty=_DIFFICULTIES[str(record.settings["difficulty"])],
        several=SEVERAL,
    )


def _parts(problem: ProblemDynamics, *, wide: bool) -> Iterator[RenderableType]:
    charts = [drawn(chart, problem.steps) for chart in _charts(problem)]
    grid = Table.grid(padding=(0, 3))
    n_beside = 2 if wide else 1
    for start in range(0, len(charts), n_beside):
        if start:
            grid.add_row()
        grid.add_row(*charts[start : start + n_beside])
    yield Padding(grid, (0, 2))
    if problem.by_label:
        yield _by_label(problem.by_label)
    if problem.by_difficulty:
        yield _by_difficulty(problem.by_difficulty)
    if problem.agreement:
        yield _agreement(problem.agreement)


def _charts(problem: ProblemDynamics) -> Iterator[Chart]:
    """Two charts of the groups by label, and one of some of the quantiles."""
    if problem.by_label:
        letters = {group.name[0]: group for group in problem.by_label}  # t for true, w for wrong labels
        legend = {letter.upper(): group.name for letter, group in letters.items()}
        seen = {letter.upper(): group.seen for letter, group in letters.items()}
        unseen = {letter: group.unseen for letter, group in letters.items()}
        yield Chart("p_correct seen (small letters: unseen)", seen | unseen, legend)
        memorized = {letter.upper(): group.memorization for letter, group in letters.items()}
        left_out = {letter: group.left_out for letter, group in letters.items() if group.left_out is not None}
        title = "memorization by masks" + (" (small letters: by leaving out)" if left_out else "")
        yield Chart(title, memorized | left_out, legend)
    groups = problem.by_difficulty
    if groups:
        n = min(_DRAWN_QUANTILES, len(groups))
        some = [groups[round(k * (len(groups) - 1) / (n - 1))] for k in range(n)]
        lettered = dict(zip(ascii_lowercase, some, strict=False))
        legend = {letter: group.name for letter, group in lettered.items()}
        legend["a"] += " (easiest)"
        seen = {letter: group.seen for letter, group in lettered.items()}
        yield Chart("p_correct seen, true labels by difficulty", seen, legend)


def _by_label(groups: Sequence[GroupCurves]) -> Table:
    table = new_table(narrow=True)
    for title in ("  By label", "\nmemorized", *_time_titles(groups)):
        table.add_column(title, no_wrap=True, vertical="bottom")
    for group in groups:
        name, memorized = f"  {group.name}\n  n = {group.n:,}", on_two_lines(group.final_memorization)
        table.add_row(name, memorized, *map(_time, _times(group)))
    return table


def _by_difficulty(groups: Sequence[GroupCurves]) -> Table:
    """Values without intervals, so that a group fits on a line; the intervals are in the JSON file."""
    table = new_table()
    titles = ("  By difficulty", "n", "difficulty", "\nmemorized", *_time_titles(groups))
    for title in titles:
        table.add_column(title, no_wrap=True, vertical="bottom", justify="left" if title == titles[0] else "right")
    for group in groups:
        numbers = (f"{group.n:,}", f"{group.difficulty:.2f}", decimal(group.final_memorization.value))
        table.add_row(f"  {group.name}", *numbers, *(_number(time.value) for time in _times(group)))
    return table


def _time_titles(groups: Sequence[GroupCurves]) -> list[str]:
    left_out = [] if groups[0].left_out is None else ["half\nleft out"]
    return ["\nonset", "half\nmemorized", "half\nseen", *left_out]


def _times(group: GroupCurves) -> list[Statistic]:
    left_out = [] if group.left_out is None else [group.half_left_out]
    return [group.onset, group.half_memorised, group.half_seen, *left_out]


def _agreement(agreement: dict[str, tuple[MemorizationAt, ...]]) -> Table:
    table = new_table()
    table.add_column("  Agreement")
    for name in agreement:
        table.add_column(name, no_wrap=True)
    for of_step in _some(list(zip(*agreement.values(), strict=True))):
        table.add_row(f"  step {of_step[0].step:,}", *(on_one_line(found.spearman) for found in of_step))
    return table


def _some(rows: Sequence[tuple[MemorizationAt, ...]]) -> list[tuple[MemorizationAt, ...]]:
    n_between = min(_SHOWN_STEPS, len(rows)) - 1
    return [rows[round(k * (len(rows) - 1) / max(1, n_between))] for k in range(n_between + 1)]


def _claims(problem: ProblemDynamics, claims: Sequence[Claim]) -> Table:
    """A line for each claim, and one without a verdict for the first claim by leaving points out."""
    rows: list[tuple[str, RenderableType, Verdict | None]] = []
    for claim in claims:
        rows.append((claim.statement, on_one_line(value_of(claim)), claim.verdict))
        if claim.id == "simultaneous" and problem.left_out_overlap.value is not None:
            rows.append(("the same by leaving out", on_one_line(problem.left_out_overlap), None))
    return claims_table(rows)


def _time(found: Statistic) -> Text:
    """A number of steps with its interval below it."""
    text = Text(f"{_number(found.value):>4}", style="bold" if found.value is not None else "dim")
    if found.low is None and found.high is None:
        return text
    return text.append(f"\n[{_number(found.low)}, {_number(found.high)}]", style="dim not bold")


def _number(value: float | None) -> str:
    """A number of steps in four characters: "2.4", "45", "1.2k"."""
    if value is None:
        return DASH
    if value < 9.95:
        return f"{value:.1f}"
    if value < 999.5:
        return f"{value:.0f}"
    return f"{value / 1000:.1f}k" if value < 9950 else f"{value / 1000:.0f}k"
