"""The terms of turn-over dropout's scores, in a terminal."""

from collections.abc import Iterator, Mapping, Sequence

from rich.console import RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from influbench.report.fit import fit_lines
from influbench.report.numbers import count, decimal, interval
from influbench.report.tables import new_table, on_two_lines
from influbench.results import Statistic
from influbench.studies.decomposition.record import Decomposed, DecompositionRecord, Estimand, Term

_NOTE = (
    "share: of the variance of the scores over train points; the three add up to 1. truth: Spearman's correlation with "
    "the expected leave-one-out effect of the plain training. signal: the leave-one-out effect of the masked training, "
    "measured through the point's mask. mask noise: the difference between the two halves of a network that has not "
    "seen the point. leakage: what the point taught the half that it does not train, with the opposite sign. whole "
    "network: the leave-one-out effect of the masked training, measured without a mask. Which effect: the correlation "
    "of the scores of half of the masks with the leave-one-out effect of the masked training, measured with the other "
    "half, and with the effect of the plain training, of the best that the noise of the effect allows. In brackets: "
    "the 95% interval over train and test points."
)

_TITLES = {
    "influence": "influence\nall points",
    "within_class": "influence\nwithin class",
    "memorization": "memorization",
}


def report(record: DecompositionRecord) -> Iterator[RenderableType]:
    """A table for each problem and estimator."""
    for one in record.decomposed:
        yield Text()
        yield Padding(Text(f"{one.problem}: {one.estimator}", style="bold"), (0, 2))
        sealed = "all parameters" if one.sealed_share == 1 else f"{100 * one.sealed_share:.4g}% of the parameters"
        yield Padding(Text(f"{count(one.n_trainings, 'training')}; {sealed} sealed"), (0, 2))
        yield from fit_lines(one.fit)
        yield Text()
        yield _table(one)
        if one.estimands:
            yield Text()
            yield _estimands(one.estimands)
    yield Text()
    yield Padding(Text(_NOTE, style="dim"), (0, 2))


def _table(one: Decomposed) -> Table:
    table = new_table()
    table.add_column("", no_wrap=True)
    columns = [one.influence, *([one.memorization] if one.memorization else [])]
    for title in ("influence", "memorization")[: len(columns)]:
        for kind in ("share", "truth"):
            table.add_column(f"{title}\n{kind}", no_wrap=True)
    for terms in zip(*columns, strict=True):
        table.add_row(f"  {terms[0].name}", *(on_two_lines(found) for term in terms for found in _statistics(term)))
    return table


def _estimands(estimands: Mapping[str, Sequence[Estimand]]) -> Table:
    """The agreement of the scores with each leave-one-out effect."""
    table = new_table()
    table.add_column("  Which effect?", overflow="fold")
    for where in estimands:
        table.add_column(_TITLES[where], no_wrap=True)
    for of_columns in zip(*estimands.values(), strict=True):
        table.add_row(Padding(Text(of_columns[0].name), (0, 0, 0, 2)), *map(_of_ceiling, of_columns))
    return table


def _of_ceiling(found: Estimand) -> Text:
    if found.ceiling.value is None:
        return on_two_lines(found.spearman)
    text = Text(f"{decimal(found.spearman.value):>5}", style="bold")
    text.append(f" of {decimal(found.ceiling.value)}", style="cyan not bold")
    return text.append(f"\n {interval(found.spearman)}", style="dim not bold")


def _statistics(term: Term) -> tuple[Statistic, Statistic]:
    return term.share_of_variance, term.spearman
