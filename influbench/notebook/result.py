"""The findings of a run, for Python."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import RenderableType
from torch import Tensor

from influbench import results
from influbench.api import Estimator
from influbench.errors import UsageError
from influbench.notebook.naming import Named, name_of
from influbench.notebook.shown import Shown
from influbench.notebook.values import check_counts
from influbench.reading.explanation import explain_point
from influbench.reading.gallery import gallery, gallery_file
from influbench.reading.stored import place_of_scores, read_stored
from influbench.registry import Registry, installed
from influbench.report.explanation import explanation_report
from influbench.report.gallery import write_gallery
from influbench.report.terminal import report
from influbench.store.run_directory import read_result, read_scores

if TYPE_CHECKING:
    from pandas import DataFrame


def read(directory: str | Path) -> "Result":
    """The findings of the run in this directory."""
    return Result(Path(directory), read_result(Path(directory)))


@dataclass(frozen=True)
class Row:
    """One estimator's agreement on one problem in one column: a row of `Result.frame()`.

    A column that is not in the `headline` is only in the report's details. `value` is in the column's `unit`, with the
    ends of its 95% interval; None if it is unknown, and `reason` may say why. `of_ceiling` is its share of the noise
    `ceiling`; ceiling and reliability are those of the column's truth. Estimators that share one of the `letters`
    cannot be distinguished.
    `n` counts the pairs that are compared, `n_undefined` test points without a value, and `n_silent` those with equal
    scores, which count as 0. `trainings` is the cost of one of `n_draws` in ordinary trainings. With `few_draws`, the
    interval does not hold for other draws.
    """

    problem: str
    estimator: str
    column: str
    headline: bool
    quantity: str
    unit: str
    judge: str
    status: str
    reason: str | None
    value: float | None
    low: float | None
    high: float | None
    of_ceiling: float | None
    letters: str | None
    ceiling: float | None
    reliability: float | None
    n: int | None
    n_undefined: int | None
    n_silent: int | None
    trainings: float | None
    seconds: float | None
    n_draws: int
    few_draws: bool


@dataclass(frozen=True, repr=False)
class Explanation(Shown):
    """The points that help and hurt one point of a run. It shows itself as `influbench explain` does.

    `record` is all of it, as `influbench explain --json` prints it.
    """

    record: results.ExplanationRecord

    def __repr__(self) -> str:
        return f"<influbench explanation of {self.record.side} point {self.record.point.id} of {self.record.problem}>"

    def _report(self, width: int) -> Iterator[RenderableType]:
        return explanation_report(self.record, width=width)


@dataclass(frozen=True, repr=False)
class Result(Shown):
    """The findings of a run. It shows itself as the report, in a terminal by rich and in a notebook as HTML.

    `record` is all of it, as in result.json.
    """

    directory: Path
    record: results.Results
    _registry: Registry = field(default_factory=installed, compare=False)

    @property
    def problems(self) -> list[results.Result]:
        """One for each problem of the plan that could be run."""
        return list(self.record.results)

    @property
    def cells(self) -> list[Row]:
        """Every estimator on every problem, one row for each column of the report, in the order of the plan."""
        return [row for problem in self.problems for row in _rows(problem)]

    def frame(self) -> "DataFrame":
        """The cells as a table of pandas. UsageError where pandas is not installed."""
        try:
            from pandas import DataFrame
        except ImportError:
            raise UsageError("frame() needs pandas: pip install pandas; `cells` is the same without it") from None
        return DataFrame([asdict(cell) for cell in self.cells])

    def scores(self, estimator: Named[Estimator], problem: str | None = None) -> dict[str, Tensor]:
        """The scores of an estimator, or of "truth": `influence`, `memorization`, with `train_ids` and `test_ids`.

        An estimator is named as the report names it, or is the instance or class that was run. UsageError, with why,
        where no scores of it are stored.
        """
        return read_scores(self.directory, place_of_scores(self._problem(problem), self._name(estimator)))

    def explain(
        self, *, test: int | None = None, train: int | None = None, k: int = 5, problem: str | None = None
    ) -> Explanation:
        """The points that help and hurt the test point of this id, or the effects of the train point of this id.

        The k strongest of each kind, as `influbench explain` shows them. UsageError unless one point is chosen that the
        problem has.
        """
        check_counts(k=k)
        stored = read_stored(self.directory, self._problem(problem).problem.name)
        return Explanation(explain_point(stored, test=test, train=train, k=k))

    def gallery(
        self,
        path: str | Path | None = None,
        *,
        by: Named[Estimator] = "truth",
        tests: Sequence[int] = (),
        k: int = 5,
        problem: str | None = None,
    ) -> Path:
        """Draw what is memorized, and who helps and hurts test points, by the truth or an estimator; the file's path.

        As `influbench gallery`, whose default file it is. UsageError if the inputs are not pictures.
        """
        check_counts(k=k)
        stored = read_stored(self.directory, self._problem(problem).problem.name)
        drawn = gallery(stored, by=self._name(by), tests=tests, k=k, registry=self._registry)
        written = gallery_file(self.directory, drawn.by) if path is None else Path(path)
        write_gallery(drawn, written)
        return written

    def _name(self, estimator: object) -> str:
        return name_of(self._registry, "estimator", estimator)[1]

    def _problem(self, name: str | None) -> results.Result:
        """The problem of this name, which need not be given where there is one."""
        found = [one for one in self.problems if name in (None, one.problem.name)]
        if len(found) == 1:
            return found[0]
        if not self.problems:
            raise UsageError(f"{self.directory} holds no scores: all of its problems failed")
        raise UsageError(f"name one problem of {', '.join(repr(one.problem.name) for one in self.problems)}")

    def __repr__(self) -> str:
        n = len({(cell.problem, cell.estimator) for cell in self.cells})
        return f"<influbench result of {self.record.plan}: {n} estimates, in {self.directory}>"

    def _report(self, width: int) -> Iterator[RenderableType]:
        return report(self.record, width=width)


def _rows(result: results.Result) -> Iterator[Row]:
    """A row for each column that an estimator has a value in; one for each column, if it did not run or failed."""
    for cell in result.cells:
        for column in result.columns:
            agreement = cell.columns.get(column.key)
            if agreement is not None or cell.status != "ok":
                yield _row(result, cell, column, agreement)


def _row(
    result: results.Result, cell: results.Cell, column: results.ColumnRecord, agreement: results.Agreement | None
) -> Row:
    failure = None if agreement is None else agreement.failure
    value = results.UNKNOWN if agreement is None else agreement.value
    trust = result.trust.get(column.key)
    return Row(
        problem=result.problem.name,
        estimator=cell.name,
        column=column.key,
        headline=column.headline,
        quantity=column.quantity,
        unit=column.unit,
        judge=column.judge,
        status=cell.status if failure is None else "failed",
        reason=cell.reason or failure or column.silence,
        value=value.value,
        low=value.low,
        high=value.high,
        of_ceiling=None if agreement is None else agreement.of_ceiling.value,
        letters=None if agreement is None else agreement.letters,
        ceiling=None if trust is None else trust.ceiling.value,
        reliability=None if trust is None else trust.reliability.value,
        n=None if agreement is None else agreement.n,
        n_undefined=None if agreement is None else agreement.n_undefined,
        n_silent=None if agreement is None else agreement.n_silent,
        trainings=cell.training_equivalents,
        seconds=cell.seconds,
        n_draws=cell.n_repeats,
        few_draws=cell.status == "ok" and cell.has_few_draws,
    )
