"""What turn-over dropout's scores are made of, in a terminal."""

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from influbench.report.numbers import UNKNOWN, count, decimal, interval
from influbench.report.tables import new_table
from influbench.results import Decomposed, DecompositionStudy, Statistic, Term

_NOTE = (
    "share: of the variance of the scores over train points; the three add up to 1. truth: Spearman's correlation with "
    "the expected leave-one-out effect of the plain training. signal: leave-one-out of the masked training, seen "
    "through the point's mask. mask noise: what the two halves differ in though neither saw the point. leakage: what "
    "the point taught the half that it does not train, with the opposite sign. whole network: leave-one-out of the "
    "masked training, seen without a mask. In brackets the 95 % interval over train and test points."
)


def print_decomposition(console: Console, study: DecompositionStudy) -> None:
    """Print a table for each problem and estimator."""
    for one in study.decomposed:
        console.print()
        console.print(Padding(Text(f"{one.problem}: {one.estimator}", style="bold"), (0, 2)))
        sealed = "all parameters" if one.sealed_share == 1 else f"{100 * one.sealed_share:.4g} % of the parameters"
        console.print(Padding(Text(f"{count(one.n_trainings, 'training')}; {sealed} sealed"), (0, 2)))
        console.print()
        console.print(_table(one))
    console.print()
    console.print(Padding(Text(_NOTE, style="dim"), (0, 2)))


def _table(one: Decomposed) -> Table:
    table = new_table()
    table.add_column("", no_wrap=True)
    columns = [one.influence, *([one.memorization] if one.memorization else [])]
    for title in ("influence", "memorization")[: len(columns)]:
        for kind in ("share", "truth"):
            table.add_column(f"{title}\n{kind}", no_wrap=True)
    for terms in zip(*columns, strict=True):
        table.add_row(f"  {terms[0].name}", *(_written(found) for term in terms for found in _statistics(term)))
    return table


def _statistics(term: Term) -> tuple[Statistic, Statistic]:
    return term.share_of_variance, term.spearman


def _written(found: Statistic) -> Text:
    if found.value is None:
        return Text(f"{UNKNOWN:>5}", style="dim")
    return Text(f"{decimal(found.value):>5}", style="bold").append(f"\n {interval(found)}", style="dim not bold")
