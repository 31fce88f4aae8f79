"""The options that say where trainings run and what they may take, the same for every command that trains."""

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING, Any

import click

from influbench.cli.types import MEMORY

if TYPE_CHECKING:
    from influbench.executors import Executor
    from influbench.resources import Resources

_OPTIONS = (
    click.option("--workers", type=click.IntRange(min=1), help="Train in this many processes, one thread each."),
    click.option("--dask", metavar="ADDRESS", help="Train on a Dask cluster: tcp://HOST:PORT, or local:N."),
    click.option("--memory", type=MEMORY, help="Memory for trainings in each process: 500MB, 4GB. Default: half."),
    click.option("--device", default="cpu", help="Device that networks are trained on: cpu, cuda, cuda:1."),
)


@dataclass(frozen=True)
class ResourceOptions:
    """The values that a user gave for these options."""

    workers: int | None
    dask: str | None
    memory: int | None
    device: str

    @contextmanager
    def opened(self) -> "Iterator[Resources]":
        """The resources that they describe. On leaving, the executor is closed."""
        from influbench.resources import Resources

        with closing(self._executor()) as executor:
            yield Resources(executor=executor, memory=self.memory, device=self.device)

    def _executor(self) -> "Executor":
        from influbench.executors import Dask, Here, LocalProcesses

        if self.workers and self.dask:
            raise click.UsageError("give --workers or --dask, not both")
        if self.dask:
            return Dask(self.dask)
        return LocalProcesses(self.workers) if self.workers else Here()


def resource_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options to a command, which receives their values as one argument, `resources`."""

    @wraps(command)
    def with_resources(
        *arguments: Any, workers: int | None, dask: str | None, memory: int | None, device: str, **others: Any
    ) -> None:
        command(*arguments, resources=ResourceOptions(workers, dask, memory, device), **others)

    decorated: Callable[..., None] = with_resources
    for option in reversed(_OPTIONS):
        decorated = option(decorated)
    return decorated
