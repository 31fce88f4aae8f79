"""`influbench.run`: the command line's run for Python, with classes that need not be installed."""

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console, ConsoleOptions, RenderResult
from torch import Tensor

from influbench import results
from influbench.api import Dataset, Estimator, Model
from influbench.engine import Resources
from influbench.engine import run as run_engine
from influbench.errors import UsageError, did_you_mean
from influbench.executors import Here, LocalProcesses
from influbench.plan import Plan, plan_of, read_plan
from influbench.registry import Kind, Registry, installed
from influbench.report.progress import follow
from influbench.report.terminal import print_report, report
from influbench.store.cache import default_cache
from influbench.store.run_directory import read_result, read_scores, truth_beside

if TYPE_CHECKING:
    from pandas import DataFrame

_CONTRACTS: dict[Kind, type] = {"estimator": Estimator, "dataset": Dataset, "model": Model}
_PAGE_WIDTH = 140


def run(
    plan: str | Path | Plan | Mapping[str, Any] = "digits",
    *,
    estimators: Sequence[str | Estimator | type[Estimator]] = (),
    dataset: str | Dataset | None = None,
    model: str | Model | None = None,
    seeds: int | None = None,
    seed: int | None = None,
    reliability: float | None = None,
    max_seeds: int | None = None,
    subsets: int | None = None,
    repeats: int | None = None,
    workers: int | None = None,
    memory: int | None = None,
    device: str = "cpu",
    directory: str | Path | None = None,
    quiet: bool = False,
) -> "Result":
    """Run a plan (a name, a TOML file, its content as a mapping, or a Plan), and return what it found.

    Estimators, data set and model take the place of the plan's: what the command line takes, or instances, or classes
    of estimators, installed or not. The truth is stored and reused as on the command line, and the run directory is
    written (`directory`, or a new one below `runs`). Raises `influbench.errors.UsageError` where a name or a value is
    wrong, and where an estimator that is named here cannot run on any problem.
    """
    registry = installed()
    registry, chosen = _names(registry, "estimator", estimators)
    registry, datasets = _names(registry, "dataset", () if dataset is None else (dataset,))
    registry, models = _names(registry, "model", () if model is None else (model,))
    changed = _plan(plan).changed(
        estimators=chosen,
        datasets=datasets,
        models=models,
        n_seeds=seeds,
        seed=seed,
        reliability=reliability,
        max_seeds=max_seeds,
        subsets=subsets,
        repeats=repeats,
    )
    with closing(LocalProcesses(workers) if workers else Here()) as executor:
        events = run_engine(
            changed,
            directory=None if directory is None else Path(directory),
            cache=default_cache(),
            registry=registry,
            required=chosen,
            resources=Resources(executor, memory, device),
        )
        return Result(*follow(events, quiet=quiet))


def read(directory: str | Path) -> "Result":
    """What the run in this directory found."""
    return Result(Path(directory), read_result(Path(directory)))


@dataclass(frozen=True)
class Row:
    """One estimator's agreement on one problem and quantity: a row of `Result.frame()`.

    Agreements are Spearman correlations as in the report, with the ends of their 95 % intervals; None where there is
    none. `of_ceiling` are shares of the noise ceiling. `trainings` is the cost in ordinary trainings.
    """

    problem: str
    estimator: str
    quantity: str
    status: str
    reason: str | None
    spearman: float | None
    spearman_low: float | None
    spearman_high: float | None
    of_ceiling: float | None
    letters: str | None
    within_class: float | None
    within_class_low: float | None
    within_class_high: float | None
    within_class_of_ceiling: float | None
    lds: float | None
    n: int
    trainings: float | None
    seconds: float | None


@dataclass(frozen=True, repr=False)
class Result:
    """What a run found. It shows itself as the report, in a terminal by rich and in a notebook as HTML.

    `record` is all of it, as in result.json.
    """

    directory: Path
    record: results.Result | results.Results

    @property
    def problems(self) -> list[results.Result]:
        """One for each problem of the plan that could be run."""
        return [self.record] if isinstance(self.record, results.Result) else list(self.record.results)

    @property
    def cells(self) -> list[Row]:
        """Every estimator on every problem, one row for each quantity, in the order of the report."""
        return [_row(problem.problem.name, cell) for problem in self.problems for cell in problem.cells]

    def frame(self) -> "DataFrame":
        """The cells as a table of pandas. UsageError where pandas is not installed."""
        try:
            from pandas import DataFrame
        except ImportError:
            raise UsageError("frame() needs pandas: pip install pandas; `cells` is the same without it") from None
        return DataFrame([asdict(cell) for cell in self.cells])

    def scores(self, estimator: str, problem: str | None = None) -> dict[str, Tensor]:
        """The scores of an estimator, or of "truth": `influence`, `memorization`, with `train_ids` and `test_ids`."""
        of_problem = [one for one in self.problems if problem in (None, one.problem.name)]
        if len(of_problem) != 1:
            names = ", ".join(one.problem.name for one in self.problems)
            raise UsageError(f"name one problem of {names}")
        places = {cell.name: cell.scores for cell in of_problem[0].cells if cell.scores}
        if estimator == "truth" and places:
            return read_scores(self.directory, truth_beside(next(iter(places.values()))))
        if estimator not in places:
            raise UsageError(f"no scores of {estimator!r} are stored{did_you_mean(estimator, list(places))}")
        return read_scores(self.directory, places[estimator])

    def __str__(self) -> str:
        console = Console(file=StringIO(), width=_PAGE_WIDTH, color_system=None)
        print_report(console, self.record)
        assert isinstance(console.file, StringIO)
        return "\n".join(line.rstrip() for line in console.file.getvalue().splitlines())

    def __repr__(self) -> str:
        n = len({(cell.problem, cell.estimator) for cell in self.cells})
        return f"<influbench result of {self.record.plan}: {n} estimates, in {self.directory}>"

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield from report(self.record, width=options.max_width)

    def _repr_html_(self) -> str:
        console = Console(file=StringIO(), width=_PAGE_WIDTH, record=True)
        print_report(console, self.record)
        return console.export_html(inline_styles=True, code_format=_HTML)


# A notebook brings colours of its own for text and background.
_HTML = '<pre style="font-family: monospace; line-height: 1.3; white-space: pre; overflow-x: auto">{code}</pre>'


def _names(registry: Registry, kind: Kind, things: Sequence[object]) -> tuple[Registry, tuple[str, ...]]:
    """Names for what was given, and a registry that knows them."""
    if isinstance(things, str):
        raise UsageError(f"{kind}s is a text; give a list: {kind}s=[{things!r}]")
    names = []
    for thing in things:
        made = thing() if isinstance(thing, type) and issubclass(thing, _CONTRACTS[kind]) else thing
        if isinstance(made, str):
            names.append(made)
        elif isinstance(made, _CONTRACTS[kind]):
            registry, name = registry.with_instance(kind, made)
            names.append(name)
        else:
            raise UsageError(f"{made!r} is neither a name nor an influbench.{_CONTRACTS[kind].__name__}")
    return registry, tuple(names)


def _plan(plan: str | Path | Plan | Mapping[str, Any]) -> Plan:
    if isinstance(plan, Plan):
        return plan
    if isinstance(plan, Mapping):
        return plan_of(plan, source="the plan", name="plan")
    return read_plan(str(plan))


def _row(problem: str, cell: results.Cell) -> Row:
    return Row(
        problem=problem,
        estimator=cell.name,
        quantity=cell.quantity,
        status=cell.status,
        reason=cell.reason,
        spearman=cell.spearman.value,
        spearman_low=cell.spearman.low,
        spearman_high=cell.spearman.high,
        of_ceiling=cell.of_ceiling.value,
        letters=cell.letters,
        within_class=cell.within_class.value,
        within_class_low=cell.within_class.low,
        within_class_high=cell.within_class.high,
        within_class_of_ceiling=cell.within_class_of_ceiling.value,
        lds=cell.lds.value,
        n=cell.n,
        trainings=cell.training_equivalents,
        seconds=cell.seconds,
    )
