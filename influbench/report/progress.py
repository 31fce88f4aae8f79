"""Progress bars for the engine's events, on standard error."""

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path

from rich.console import Console, RenderableType
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.text import Text

from influbench.engine.events import (
    AccuracyMeasured,
    EstimatorDone,
    EstimatorStarted,
    Event,
    ProblemFailed,
    ProblemStarted,
    RunDone,
    ShardDone,
    WorkExtended,
)
from influbench.results import Results


def follow(events: Iterable[Event], *, quiet: bool) -> tuple[Path, Results]:
    """Draw the events until the run is done, and return where it is written and what it found.

    What is printed meanwhile goes to standard error, for a model may print.
    """
    console = Console(stderr=True)
    shown = not quiet and console.is_terminal
    with redirect_stdout(sys.stderr), _Bars(console, disable=not shown) as bars:
        for event in events:
            bars.show(event)
            if isinstance(event, RunDone):
                return event.directory, event.result
    raise AssertionError("a run ends with RunDone")


@contextmanager
def named_bar(*, quiet: bool = False) -> Iterator[Callable[[str, int, int], None]]:
    """A bar that is moved by calls with what is done, how much of it, and of how much.

    What is printed meanwhile goes to standard error, for a model may print.
    """
    console = Console(stderr=True)
    bar = Progress(console=console, disable=quiet or not console.is_terminal, transient=True)
    with redirect_stdout(sys.stderr), bar as progress:
        task = progress.add_task("", total=None)
        yield lambda what, n_done, n: progress.update(task, description=what, completed=n_done, total=n)


class _Bars(Progress):
    """One bar for the judges' shards and one for the estimators, both with the time that is left."""

    def __init__(self, console: Console, *, disable: bool) -> None:
        columns = (
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[n_done]} of {task.fields[n]}"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
        )
        self._running: EstimatorStarted | None = None
        super().__init__(*columns, console=console, disable=disable, transient=True)

    def get_renderables(self) -> Iterable[RenderableType]:
        self._sync()
        return super().get_renderables()

    def show(self, event: Event) -> None:
        if isinstance(event, ProblemStarted):
            for task in self.task_ids:
                self.remove_task(task)
            which = f" ({event.index + 1} of {event.n_problems})" if event.n_problems > 1 else ""
            self._which = which
            self._judges = self.add_task(f"judges{which}", total=None, n_done=0, n="-")
            self._estimators = self.add_task("estimators", total=None, start=False, n_done=0, n="-")
        elif isinstance(event, ShardDone):
            self._trained(event.judge, event.n_done, event.n_shards, event.warning)
        elif isinstance(event, AccuracyMeasured):
            self._trained("accuracy", event.n_done, event.n_seeds, event.warning)
        elif isinstance(event, WorkExtended) and not self.disable:
            self.console.print(Text(event.standing))
        elif isinstance(event, EstimatorStarted):
            self.start_task(self._estimators)
            self._running = event
            self.update(
                self._estimators,
                total=event.n_estimators,
                description=event.name,
                n_done=event.index,
                n=event.n_estimators,
            )
        elif isinstance(event, EstimatorDone) and self._running:
            self.update(self._estimators, completed=self._running.index + 1, n_done=self._running.index + 1)
            self._running = None
        elif isinstance(event, ProblemFailed):
            self.console.print(Text(f"{event.failure.status}: {event.failure.problem}: {event.failure.reason}"))

    def _trained(self, what: str, n_done: int, n: int, warning: str | None) -> None:
        """Show that one more stored piece is there."""
        self.update(self._judges, description=f"{what}{self._which}", total=n, completed=n_done, n_done=n_done, n=n)
        if warning:
            self.console.print(Text(f"warning: {warning}"))

    def _sync(self) -> None:
        """Take over how far the running estimator has come."""
        if self._running:
            self.update(self._estimators, completed=self._running.index + 0.99 * self._running.share_done())
